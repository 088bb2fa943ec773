/* frame.h - datagrams in a stream of bytes, and what a plain stream opens with.
 *
 * A frame is length(2, big-endian) bytes(length), 1..1200 of them. A length with its highest bit
 * set is padding instead: that many bytes follow, of no meaning, and are skipped. A plain stream
 * is, in either direction,
 *
 *      0x8d "mesh" 0x01, port(2), frame, frame, ...
 *
 * where the first byte is none that an HTTP method may begin with (RFC 9110 5.6.2), so that one
 * port serves both, and port is the one that the sender listens on.
 *
 *      bytes as TCP cuts them -> frame_read -> whole datagrams
 *
 * No sockets, no heap, no recursion; a reader holds one frame and no more.
 */
#ifndef NODE_HOST_FRAME_H
#define NODE_HOST_FRAME_H

#include <stdbool.h>

#include "node/port/port.h"

enum {
    FRAME_HEAD_LEN = 2,
    FRAME_PADDING_MAX = 1024,
    FRAME_PREFACE_LEN = 8,
    FRAME_PREFACE_FIRST = 0x8d,
};

enum frame_verdict {
    FRAME_MORE,  /* All input is used up. */
    FRAME_WHOLE, /* A datagram; there may be more input. */
    FRAME_BAD,   /* No frame begins like this: the stream is of no use any more. */
};

struct frame_reader {
    uint16_t have; /* Bytes of the frame so far, its head included. */
    uint8_t bytes[FRAME_HEAD_LEN + PORT_DATAGRAM_MAX];
};

/* Takes from the front of *input. *datagram lies in the reader, until the next call. */
enum frame_verdict frame_read(struct frame_reader *reader, struct slice *input,
                              struct slice *datagram);
/* Some of a frame is here and the rest is not. */
static inline bool frame_is_begun(const struct frame_reader *reader)
{
    return reader->have > 0;
}

/* The head of a frame of `len` bytes. */
void frame_head_write(uint8_t head[FRAME_HEAD_LEN], size_t len);
/* A frame of `len` random-looking bytes that say nothing; returns its size. */
size_t frame_padding_write(uint8_t *frame, size_t len);

void frame_preface_write(uint8_t preface[FRAME_PREFACE_LEN], const uint8_t port[2]);
/* Names the port that its sender listens on; 0: there is no other way to it than this stream.
 * False: it is none. */
bool frame_preface_read(const uint8_t preface[FRAME_PREFACE_LEN], uint8_t port[2]);

#endif /* NODE_HOST_FRAME_H */
