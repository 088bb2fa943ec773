/* masked.h - a stream dressed as HTTP/1.1: one long upload, answered by one long download.
 *
 *      opener:   POST /<path> HTTP/1.1, Transfer-Encoding: chunked   chunk(nonce, hello, frames)
 * ... acceptor: HTTP/1.1 200 OK, Transfer-Encoding: chunked         chunk(nonce, hello, frames) ...
 *
 * Both bodies go on for as long as the stream does, so a datagram waits for nobody in either
 * direction; batches of requests and responses would cost a round trip, or need a request hanging
 * at all times. A server may answer before a request has ended (RFC 9112 section 9.3).
 *
 * A body begins with 16 random bytes. From them and the direction comes the key of a stream cipher
 * over all that follows: a check value, the sender's listening port, frames. So no byte of a body
 * is the same in two streams, and neither lengths of frames nor heads of datagrams can be read
 * without doing this computation; whoever knows this file can do it, for no secret is involved. It
 * hides from filters that look for patterns, not from whoever looks for us:
 * docs/modules/carriers.md.
 *
 *      bytes as TCP cuts them -> masked_read -> heads and pieces of body -> masked_apply -> frames
 *
 * No sockets, no heap, no recursion. A head has at most MASKED_HEAD_MAX bytes; chunks may have any
 * size below 2^32, extensions and trailers are refused: we send none.
 */
#ifndef NODE_HOST_MASKED_H
#define NODE_HOST_MASKED_H

#include <stdbool.h>

#include "node/port/port.h"

enum {
    MASKED_HEAD_MAX = 4096,
    MASKED_NONCE_LEN = 16,
    MASKED_CHECK_LEN = 8,
    MASKED_HELLO_LEN = MASKED_NONCE_LEN + MASKED_CHECK_LEN + 2,
    MASKED_BLOCK_LEN = 64,
    MASKED_CHUNK_HEAD_MAX = 6, /* "ffff\r\n" */
    MASKED_CHUNK_TAIL_LEN = 2,
    MASKED_REFUSAL_MAX = 512,
};

/* --- the cipher of one direction ---------------------------------------------------------------
 */

enum masked_direction { MASKED_REQUEST, MASKED_RESPONSE };

struct masked_cipher {
    uint8_t key[32];
    uint8_t block[MASKED_BLOCK_LEN];
    uint64_t position;
};

void masked_cipher_start(struct masked_cipher *cipher, enum masked_direction direction,
                         const uint8_t nonce[MASKED_NONCE_LEN]);
/* Encrypts or decrypts: out[i] = in[i] ^ key stream. May be the same buffer. */
void masked_apply(struct masked_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len);
/* Starts the cipher with a fresh nonce. */
void masked_hello_write(struct masked_cipher *cipher, enum masked_direction direction,
                        const uint8_t port[2], uint8_t hello[MASKED_HELLO_LEN]);
/* Starts the cipher. False: not a hello of ours. The port as in frame_preface_read. */
bool masked_hello_read(struct masked_cipher *cipher, enum masked_direction direction,
                       const uint8_t hello[MASKED_HELLO_LEN], uint8_t port[2]);

/* --- heads and chunks, in ----------------------------------------------------------------------
 */

enum masked_verdict {
    MASKED_MORE, /* All input is used up. */
    MASKED_HEAD, /* The head is complete: is_ours says whether a stream of ours may follow. */
    MASKED_BODY, /* A piece of the body. */
    MASKED_END,  /* The last chunk has been read. */
    MASKED_BAD,  /* Not HTTP/1.1, or over a limit. */
};

enum masked_state {
    MASKED_IN_HEAD,
    MASKED_IN_SIZE,
    MASKED_IN_SIZE_LF,
    MASKED_IN_DATA,
    MASKED_IN_DATA_CR,
    MASKED_IN_DATA_LF,
    MASKED_IN_LAST_CR,
    MASKED_IN_LAST_LF,
    MASKED_AFTER,
};

struct masked_reader {
    enum masked_direction direction;
    enum masked_state state;
    bool is_ours; /* POST, or status 200, with a chunked body. */
    bool is_head; /* The method is HEAD: an answer to it has no body (RFC 9110 9.3.2). */
    uint8_t digits;
    uint32_t left; /* Of the chunk. */
    uint16_t head_len;
    uint8_t head[MASKED_HEAD_MAX];
};

void masked_reader_start(struct masked_reader *reader, enum masked_direction direction);
/* Takes from the front of *input; *body points into it. */
enum masked_verdict masked_read(struct masked_reader *reader, struct slice *input,
                                struct slice *body);

/* --- heads and chunks, out ---------------------------------------------------------------------
 */

/* Each returns the length written; the buffer has MASKED_HEAD_MAX bytes. `host` is the text of the
 * address that is called. */
size_t masked_request_write(char *buffer, const char *host);
size_t masked_response_write(char *buffer);
/* What a client that is not ours is answered: 404, or 400 when it did not speak HTTP. */
size_t masked_refusal_write(char *buffer, bool is_http, bool is_head);

/* Puts the size of a chunk of `len` bytes (1..65535) right before `data`, where there must be room
 * for MASKED_CHUNK_HEAD_MAX bytes, and the line end after it; returns the length of the head. */
size_t masked_chunk_close(uint8_t *data, size_t len);

#define MASKED_LAST_CHUNK "0\r\n\r\n"

#endif /* NODE_HOST_MASKED_H */
