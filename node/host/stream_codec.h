/* stream_codec.h - a stream's bytes to datagrams and back, plain or masked, without a socket.
 *
 * The decoder is fed what TCP brings, cut anywhere. On an accepted connection the first byte tells
 * how the peer is dressed; on one of ours we know. The encoder holds what is to be written: first
 * the opening, then batches of datagrams, each batch a chunk if masked.
 *
 *      bytes -> stream_decode -> hello, datagrams, or what else it is
 *      datagrams -> stream_encode_add, stream_encode_end -> encoder.bytes[from..len)
 *
 * Bounded by their own size; nothing here recurses or allocates.
 */
#ifndef NODE_HOST_STREAM_CODEC_H
#define NODE_HOST_STREAM_CODEC_H

#include "node/host/frame.h"
#include "node/host/masked.h"

enum stream_dress { STREAM_UNKNOWN, STREAM_PLAIN, STREAM_MASKED };

enum stream_news {
    STREAM_MORE,     /* All input is used up. */
    STREAM_HELLO,    /* decoder.port is known; once, before any datagram. */
    STREAM_DATAGRAM, /* One, in *datagram. */
    STREAM_FOREIGN,  /* An HTTP client that is none of ours, or one that does not speak HTTP. */
    STREAM_END,      /* A masked peer has said its last. */
    STREAM_GARBAGE,
};

enum {
    STREAM_PIECE_BYTES = 1024,
    STREAM_OUT_BYTES = 8192,
    /* Of random length in a batch, so that sizes on the wire are not those of our messages. The
     * hello, whose size would be constant, gets more. */
    STREAM_BATCH_PADDING_MAX = 64,
    STREAM_HELLO_PADDING_MAX = 512,
};

struct stream_decoder {
    enum stream_dress dress;
    bool is_acceptor;
    bool has_hello;
    bool is_http; /* What a foreign client sent was. */
    uint8_t port[2];
    uint8_t hello_len;
    uint8_t hello[MASKED_HELLO_LEN];
    struct frame_reader frames;
    struct masked_reader masked;
    struct masked_cipher cipher;
    uint16_t piece_at;
    uint16_t piece_len;
    uint8_t piece[STREAM_PIECE_BYTES]; /* Of a masked body, deciphered. */
};

/* dress: STREAM_UNKNOWN for one who accepts. */
void stream_decoder_start(struct stream_decoder *decoder, enum stream_dress dress);
/* Takes from the front of *input. *datagram lies in the decoder, until the next call. After
 * STREAM_FOREIGN, STREAM_END or STREAM_GARBAGE there is no next call. */
enum stream_news stream_decode(struct stream_decoder *decoder, struct slice *input,
                               struct slice *datagram);

struct stream_encoder {
    enum stream_dress dress;
    struct masked_cipher cipher;
    uint16_t body; /* Where the chunk that is being filled begins. */
    uint16_t from; /* bytes[from..len) are to be written. */
    uint16_t len;
    uint8_t bytes[STREAM_OUT_BYTES];
};

static inline bool stream_encoder_is_empty(const struct stream_encoder *encoder)
{
    return encoder->from == encoder->len;
}

/* The opening of a stream to `host`, or the answer to one (host NULL). */
void stream_encoder_start(struct stream_encoder *encoder, enum stream_dress dress,
                          const uint8_t port[2], const char *host);
/* The first of a batch needs an empty encoder. False: no room, end the batch. */
bool stream_encode_add(struct stream_encoder *encoder, struct slice datagram);
void stream_encode_end(struct stream_encoder *encoder);
/* Instead of an opening: what a foreign client is told. */
void stream_encode_refusal(struct stream_encoder *encoder, const struct stream_decoder *decoder);

#endif /* NODE_HOST_STREAM_CODEC_H */
