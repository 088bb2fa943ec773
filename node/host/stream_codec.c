/* stream_codec.c - a stream's bytes to datagrams and back, plain or masked, without a socket. */
#include "node/host/stream_codec.h"

#include <sodium.h>
#include <string.h>

#include "node/base/must.h"

enum {
    /* What a batch leaves free at the end: its padding and the end of its chunk. */
    ROOM_AFTER = FRAME_HEAD_LEN + STREAM_BATCH_PADDING_MAX + MASKED_CHUNK_TAIL_LEN,
};

_Static_assert(STREAM_OUT_BYTES >= MASKED_HEAD_MAX + MASKED_CHUNK_HEAD_MAX + MASKED_HELLO_LEN +
                                       FRAME_HEAD_LEN + STREAM_HELLO_PADDING_MAX +
                                       MASKED_CHUNK_TAIL_LEN,
               "an opening fits the encoder");
_Static_assert((int)STREAM_HELLO_PADDING_MAX <= (int)FRAME_PADDING_MAX, "one frame of padding");
_Static_assert((int)FRAME_PREFACE_LEN <= (int)MASKED_HELLO_LEN, "either hello fits");

/* --- in ----------------------------------------------------------------------------------------
 */

void stream_decoder_start(struct stream_decoder *decoder, enum stream_dress dress)
{
    *decoder = (struct stream_decoder){.dress = dress, .is_acceptor = dress == STREAM_UNKNOWN};
    masked_reader_start(&decoder->masked, decoder->is_acceptor ? MASKED_REQUEST : MASKED_RESPONSE);
}

/* Bytes after heads and cipher: the hello, then frames. */
static enum stream_news plain_decode(struct stream_decoder *decoder, struct slice *input,
                                     struct slice *datagram)
{
    bool is_masked = decoder->dress == STREAM_MASKED;
    if (!decoder->has_hello) {
        size_t want = is_masked ? MASKED_HELLO_LEN : FRAME_PREFACE_LEN;
        while (decoder->hello_len < want && input->len > 0) {
            decoder->hello[decoder->hello_len++] = input->data[0];
            *input = slice_of(input->data + 1, input->len - 1);
        }
        if (decoder->hello_len < want) {
            return STREAM_MORE;
        }
        decoder->has_hello = is_masked
                                 ? masked_hello_read(&decoder->cipher, decoder->masked.direction,
                                                     decoder->hello, decoder->port)
                                 : frame_preface_read(decoder->hello, decoder->port);
        return decoder->has_hello ? STREAM_HELLO : STREAM_GARBAGE;
    }
    switch (frame_read(&decoder->frames, input, datagram)) {
    case FRAME_WHOLE:
        return STREAM_DATAGRAM;
    case FRAME_BAD:
        return STREAM_GARBAGE;
    default:
        return STREAM_MORE;
    }
}

/* Fills the piece with what the body's next bytes mean. The hello is taken as it came: the cipher
 * starts with it. */
static void piece_fill(struct stream_decoder *decoder, struct slice *body)
{
    size_t cap = sizeof decoder->piece;
    if (!decoder->has_hello) {
        cap = (size_t)MASKED_HELLO_LEN - decoder->hello_len;
    }
    size_t take = body->len < cap ? body->len : cap;
    if (decoder->has_hello) {
        masked_apply(&decoder->cipher, decoder->piece, body->data, take);
    } else {
        memcpy(decoder->piece, body->data, take);
    }
    decoder->piece_at = 0;
    decoder->piece_len = (uint16_t)take;
    *body = slice_of(body->data + take, body->len - take);
}

/* Who does not complete our hello is a stranger who deserves an ordinary answer. */
static enum stream_news foreign(struct stream_decoder *decoder, bool is_http)
{
    decoder->is_http = is_http;
    return decoder->is_acceptor && !decoder->has_hello ? STREAM_FOREIGN : STREAM_GARBAGE;
}

static enum stream_news masked_decode(struct stream_decoder *decoder, struct slice *input,
                                      struct slice *datagram)
{
    for (;;) {
        if (decoder->piece_at < decoder->piece_len) {
            struct slice piece = slice_of(decoder->piece + decoder->piece_at,
                                          (size_t)decoder->piece_len - decoder->piece_at);
            enum stream_news news = plain_decode(decoder, &piece, datagram);
            decoder->piece_at = (uint16_t)(decoder->piece_len - piece.len);
            if (news != STREAM_MORE) {
                return news == STREAM_GARBAGE ? foreign(decoder, true) : news;
            }
        }
        /* At most a piece at a time, so that the rest of the input stays with the caller. */
        size_t cap = decoder->has_hello ? sizeof decoder->piece
                                        : (size_t)MASKED_HELLO_LEN - decoder->hello_len;
        struct slice window = slice_of(input->data, input->len < cap ? input->len : cap);
        size_t before = window.len;
        struct slice body = {0};
        enum masked_verdict verdict = masked_read(&decoder->masked, &window, &body);
        size_t used = before - window.len;
        *input = slice_of(input->data + used, input->len - used);
        switch (verdict) {
        case MASKED_BODY:
            piece_fill(decoder, &body);
            must(body.len == 0);
            break;
        case MASKED_HEAD:
            if (!decoder->masked.is_ours) {
                return foreign(decoder, true);
            }
            break;
        case MASKED_END:
            return decoder->has_hello ? STREAM_END : foreign(decoder, true);
        case MASKED_BAD:
            return foreign(decoder, false);
        case MASKED_MORE:
            if (input->len == 0) {
                return STREAM_MORE;
            }
            break;
        }
    }
}

enum stream_news stream_decode(struct stream_decoder *decoder, struct slice *input,
                               struct slice *datagram)
{
    if (decoder->dress == STREAM_UNKNOWN) {
        if (input->len == 0) {
            return STREAM_MORE;
        }
        decoder->dress = input->data[0] == FRAME_PREFACE_FIRST ? STREAM_PLAIN : STREAM_MASKED;
    }
    return decoder->dress == STREAM_PLAIN ? plain_decode(decoder, input, datagram)
                                          : masked_decode(decoder, input, datagram);
}

/* --- out ---------------------------------------------------------------------------------------
 */

static void chunk_close(struct stream_encoder *encoder)
{
    size_t len = (size_t)encoder->len - encoder->body;
    size_t head = masked_chunk_close(encoder->bytes + encoder->body, len);
    encoder->from = (uint16_t)(encoder->body - head);
    encoder->len = (uint16_t)(encoder->len + MASKED_CHUNK_TAIL_LEN);
}

/* 1 to `max` bytes of padding at the end of what is there, enciphered. */
static void padding_add(struct stream_encoder *encoder, uint32_t max)
{
    uint8_t *at = encoder->bytes + encoder->len;
    size_t len = frame_padding_write(at, 1 + randombytes_uniform(max));
    masked_apply(&encoder->cipher, at, at, len);
    encoder->len = (uint16_t)(encoder->len + len);
}

void stream_encoder_start(struct stream_encoder *encoder, enum stream_dress dress,
                          const uint8_t port[2], const char *host)
{
    must(dress != STREAM_UNKNOWN);
    encoder->dress = dress;
    encoder->from = 0;
    if (dress == STREAM_PLAIN) {
        frame_preface_write(encoder->bytes, port);
        encoder->len = FRAME_PREFACE_LEN;
        return;
    }
    char *text = (char *)encoder->bytes;
    size_t head = host != NULL ? masked_request_write(text, host) : masked_response_write(text);
    encoder->body = (uint16_t)(head + MASKED_CHUNK_HEAD_MAX);
    masked_hello_write(&encoder->cipher, host != NULL ? MASKED_REQUEST : MASKED_RESPONSE, port,
                       encoder->bytes + encoder->body);
    encoder->len = (uint16_t)(encoder->body + MASKED_HELLO_LEN);
    padding_add(encoder, STREAM_HELLO_PADDING_MAX);
    chunk_close(encoder);
    /* A chunk's head is written backwards from its body: the HTTP head follows it up. */
    encoder->from = (uint16_t)(encoder->from - head);
    memmove(encoder->bytes + encoder->from, encoder->bytes, head);
}

bool stream_encode_add(struct stream_encoder *encoder, struct slice datagram)
{
    if (stream_encoder_is_empty(encoder)) {
        encoder->from = encoder->dress == STREAM_MASKED ? MASKED_CHUNK_HEAD_MAX : 0;
        encoder->body = encoder->from;
        encoder->len = encoder->from;
    }
    size_t need = FRAME_HEAD_LEN + datagram.len;
    if (encoder->len + need + ROOM_AFTER > sizeof encoder->bytes) {
        return false;
    }
    uint8_t *at = encoder->bytes + encoder->len;
    frame_head_write(at, datagram.len);
    memcpy(at + FRAME_HEAD_LEN, datagram.data, datagram.len);
    if (encoder->dress == STREAM_MASKED) {
        masked_apply(&encoder->cipher, at, at, need);
    }
    encoder->len = (uint16_t)(encoder->len + need);
    return true;
}

void stream_encode_end(struct stream_encoder *encoder)
{
    if (encoder->dress == STREAM_MASKED) {
        padding_add(encoder, STREAM_BATCH_PADDING_MAX);
        chunk_close(encoder);
    }
}

void stream_encode_refusal(struct stream_encoder *encoder, const struct stream_decoder *decoder)
{
    encoder->from = 0;
    encoder->len = (uint16_t)masked_refusal_write((char *)encoder->bytes, decoder->is_http,
                                                  decoder->masked.is_head);
}
