/* codec.h - bounded reading and writing of big-endian bytes.
 *
 * A reader or writer that runs past its end turns bad and stays so; callers check once, at the end.
 * Nothing else in the node turns bytes into numbers.
 */
#ifndef NODE_WIRE_CODEC_H
#define NODE_WIRE_CODEC_H

#include <stdbool.h>
#include <string.h>

#include "node/base/slice.h"

struct reader {
    const uint8_t *next;
    const uint8_t *end;
    bool bad;
};

struct writer {
    uint8_t *start;
    uint8_t *next;
    uint8_t *end;
    bool bad;
};

static inline struct reader reader_of(struct slice bytes)
{
    return (struct reader){.next = bytes.data, .end = bytes.data + bytes.len};
}

static inline struct writer writer_of(uint8_t *buffer, size_t cap)
{
    return (struct writer){.start = buffer, .next = buffer, .end = buffer + cap};
}

static inline size_t reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->next);
}

static inline size_t writer_len(const struct writer *writer)
{
    return (size_t)(writer->next - writer->start);
}

/* `len` bytes in place, or NULL (and bad) when fewer are left. */
static inline const uint8_t *read_bytes(struct reader *reader, size_t len)
{
    if (reader->bad || reader_left(reader) < len) {
        reader->bad = true;
        return NULL;
    }
    const uint8_t *bytes = reader->next;
    reader->next += len;
    return bytes;
}

static inline void read_into(struct reader *reader, void *out, size_t len)
{
    const uint8_t *bytes = read_bytes(reader, len);
    if (bytes != NULL) {
        memcpy(out, bytes, len);
    } else {
        memset(out, 0, len);
    }
}

static inline uint64_t read_number(struct reader *reader, size_t len)
{
    const uint8_t *bytes = read_bytes(reader, len);
    uint64_t value = 0;
    for (size_t i = 0; bytes != NULL && i < len; i++) {
        value = (value << 8) | bytes[i];
    }
    return value;
}

static inline uint8_t read_u8(struct reader *reader)
{
    return (uint8_t)read_number(reader, 1);
}

static inline uint16_t read_u16(struct reader *reader)
{
    return (uint16_t)read_number(reader, 2);
}

static inline uint32_t read_u32(struct reader *reader)
{
    return (uint32_t)read_number(reader, 4);
}

static inline uint64_t read_u64(struct reader *reader)
{
    return read_number(reader, 8);
}

static inline void write_bytes(struct writer *writer, const void *bytes, size_t len)
{
    if (writer->bad || (size_t)(writer->end - writer->next) < len) {
        writer->bad = true;
        return;
    }
    if (len > 0) {
        memcpy(writer->next, bytes, len);
    }
    writer->next += len;
}

static inline void write_number(struct writer *writer, uint64_t value, size_t len)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
    }
    write_bytes(writer, bytes, len);
}

static inline void write_u8(struct writer *writer, uint8_t value)
{
    write_number(writer, value, 1);
}

static inline void write_u16(struct writer *writer, uint16_t value)
{
    write_number(writer, value, 2);
}

static inline void write_u32(struct writer *writer, uint32_t value)
{
    write_number(writer, value, 4);
}

static inline void write_u64(struct writer *writer, uint64_t value)
{
    write_number(writer, value, 8);
}

#endif /* NODE_WIRE_CODEC_H */
