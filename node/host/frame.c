/* frame.c - datagrams in a stream of bytes. */
#include "node/host/frame.h"

#include <sodium.h>
#include <string.h>

#include "node/base/must.h"

enum { PADDING_BIT = 0x8000 };

_Static_assert((int)FRAME_PADDING_MAX <= (int)PORT_DATAGRAM_MAX, "padding fits a reader");

static const uint8_t preface_magic[FRAME_PREFACE_LEN - 2] = {
    FRAME_PREFACE_FIRST, 'm', 'e', 's', 'h', 1};

/* Moves bytes from the input until the reader has `want`. False while it has not. */
static bool gather(struct frame_reader *reader, struct slice *input, size_t want)
{
    size_t missing = want - reader->have;
    size_t take = input->len < missing ? input->len : missing;
    if (take > 0) {
        memcpy(reader->bytes + reader->have, input->data, take);
        reader->have = (uint16_t)(reader->have + take);
        *input = slice_of(input->data + take, input->len - take);
    }
    return reader->have == want;
}

enum frame_verdict frame_read(struct frame_reader *reader, struct slice *input,
                              struct slice *datagram)
{
    for (;;) {
        must(reader->have <= sizeof reader->bytes);
        if (reader->have < FRAME_HEAD_LEN && !gather(reader, input, FRAME_HEAD_LEN)) {
            return FRAME_MORE;
        }
        unsigned word = (unsigned)reader->bytes[0] << 8 | reader->bytes[1];
        bool is_padding = (word & PADDING_BIT) != 0;
        unsigned len = word & ~(unsigned)PADDING_BIT;
        if (len == 0 || len > (is_padding ? FRAME_PADDING_MAX : PORT_DATAGRAM_MAX)) {
            return FRAME_BAD;
        }
        if (!gather(reader, input, FRAME_HEAD_LEN + len)) {
            return FRAME_MORE;
        }
        reader->have = 0;
        if (!is_padding) {
            *datagram = slice_of(reader->bytes + FRAME_HEAD_LEN, len);
            return FRAME_WHOLE;
        }
    }
}

void frame_head_write(uint8_t head[FRAME_HEAD_LEN], size_t len)
{
    must(len > 0 && len <= PORT_DATAGRAM_MAX);
    head[0] = (uint8_t)(len >> 8);
    head[1] = (uint8_t)len;
}

size_t frame_padding_write(uint8_t *frame, size_t len)
{
    must(len > 0 && len <= FRAME_PADDING_MAX);
    frame[0] = (uint8_t)((PADDING_BIT | len) >> 8);
    frame[1] = (uint8_t)len;
    randombytes_buf(frame + FRAME_HEAD_LEN, len);
    return FRAME_HEAD_LEN + len;
}

void frame_preface_write(uint8_t preface[FRAME_PREFACE_LEN], const uint8_t port[2])
{
    memcpy(preface, preface_magic, sizeof preface_magic);
    memcpy(preface + sizeof preface_magic, port, 2);
}

bool frame_preface_read(const uint8_t preface[FRAME_PREFACE_LEN], uint8_t port[2])
{
    memcpy(port, preface + sizeof preface_magic, 2);
    return memcmp(preface, preface_magic, sizeof preface_magic) == 0;
}
