/* stun.c - reading and writing of STUN messages. */
#include "node/nat/stun.h"

#include <sodium/utils.h>

#include "node/base/crc32.h"
#include "node/base/must.h"

enum {
    ATTRIBUTE_HEADER_LEN = 4,
    LENGTH_AT = 2, /* Of the header: what follows it, bytes. */
    COOKIE_AT = 4, /* Cookie and id: the mask of XOR-MAPPED-ADDRESS. */
    FAMILY_IPV4 = 1,
    FAMILY_IPV6 = 2,
    IPV4_LEN = 4,
    IPV6_LEN = 16,
    /* Bits of a type: the class lies between those of the method (section 5). */
    CLASS_LOW = 0x010,
    CLASS_HIGH = 0x100,
};

static const uint16_t attribute_types[] = {
#define STUN_TYPE(name, type) (type),
    STUN_ATTRIBUTES(STUN_TYPE)
#undef STUN_TYPE
};
_Static_assert(array_len(attribute_types) <= 32, "one bit each");

static const uint8_t ipv4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool read_header(struct reader *reader, struct stun_message *message);
static bool read_attributes(struct reader *reader, struct stun_message *message);
static bool is_read(const struct stun_message *message, uint16_t type);
static bool read_attribute(struct stun_message *message, uint16_t type, struct slice value);
static uint32_t bit_of(uint16_t type);
static bool read_value(struct stun_message *message, uint16_t type, struct slice value);
static bool read_addr(struct slice value, const uint8_t *mask, struct port_addr *addr);
static bool read_text(struct slice value, size_t max, struct slice *text);
static bool read_u32_of(struct slice value, uint32_t *number);
static bool read_u64_of(struct slice value, uint64_t *number);
static bool read_port(struct slice value, uint16_t *port);
static bool read_error(struct stun_message *message, struct slice value);
static bool read_types(struct slice value, struct stun_types *types);
static void types_add(struct stun_types *types, uint16_t type);
static bool fingerprint_is_valid(const struct stun_message *message, struct slice value);
static void tag_sha1(uint8_t tag[SHA1_LEN], struct slice covered, struct slice key);
static void tag_sha256(uint8_t tag[HMAC_SHA256_LEN], struct slice covered, struct slice key,
                       size_t tag_len);
static struct slice header_for(uint8_t header[STUN_HEADER_LEN], struct slice covered,
                               size_t tag_len);
static void length_put(uint8_t *header, size_t message_len);
static void add(struct stun_writer *writer, enum stun_attribute attribute, struct slice value);

/* --- reading ------------------------------------------------------------------------------- */

bool stun_is_message(struct slice bytes)
{
    struct reader reader = reader_of(bytes);
    uint16_t type = read_u16(&reader);
    uint16_t length = read_u16(&reader);
    uint32_t cookie = read_u32(&reader);
    return !reader.bad && (type >> 8) <= 1 && cookie == STUN_COOKIE && length % 4 == 0 &&
           bytes.len == (size_t)STUN_HEADER_LEN + length;
}

bool stun_read(struct slice bytes, struct stun_message *message)
{
    *message = (struct stun_message){.bytes = bytes};
    struct reader reader = reader_of(bytes);
    return read_header(&reader, message) && read_attributes(&reader, message);
}

static bool read_header(struct reader *reader, struct stun_message *message)
{
    uint16_t type = read_u16(reader);
    uint16_t length = read_u16(reader);
    uint32_t cookie = read_u32(reader);
    read_into(reader, message->id.bytes, STUN_ID_LEN);
    unsigned kind = ((type & CLASS_HIGH) != 0 ? 2u : 0u) | ((type & CLASS_LOW) != 0 ? 1u : 0u);
    message->class = (enum stun_class)kind;
    message->method = (uint16_t)((type & 0x000f) | (type & 0x00e0) >> 1 | (type & 0x3e00) >> 2);
    return !reader->bad && (type & 0xc000) == 0 && cookie == STUN_COOKIE && length % 4 == 0 &&
           reader_left(reader) == length;
}

static bool read_attributes(struct reader *reader, struct stun_message *message)
{
    while (reader_left(reader) > 0) {
        uint16_t type = read_u16(reader);
        size_t len = read_u16(reader);
        struct slice value = slice_of(read_bytes(reader, len), len);
        (void)read_bytes(reader, (4 - len % 4) % 4);
        if (reader->bad || stun_has(message, STUN_FINGERPRINT) ||
            (is_read(message, type) && !read_attribute(message, type, value))) {
            return false;
        }
    }
    return true;
}

/* Whether an attribute at this place means anything: sections 14.5 and 14.6. */
static bool is_read(const struct stun_message *message, uint16_t type)
{
    if (type == STUN_FINGERPRINT) {
        return true;
    }
    bool is_sealed = stun_has(message, STUN_MESSAGE_INTEGRITY);
    return !stun_has(message, STUN_MESSAGE_INTEGRITY_SHA256) &&
           (!is_sealed || type == STUN_MESSAGE_INTEGRITY_SHA256);
}

static bool read_attribute(struct stun_message *message, uint16_t type, struct slice value)
{
    uint32_t bit = bit_of(type);
    if (bit == 0) {
        if (type < STUN_REQUIRED_END) {
            types_add(&message->unknown, type);
        }
        return true;
    }
    if ((message->present & bit) != 0) {
        return true; /* Only the first of a kind counts: section 14. */
    }
    message->present |= bit;
    return read_value(message, type, value);
}

bool stun_has(const struct stun_message *message, enum stun_attribute attribute)
{
    return (message->present & bit_of((uint16_t)attribute)) != 0;
}

static uint32_t bit_of(uint16_t type)
{
    for (size_t i = 0; i < array_len(attribute_types); i++) {
        if (attribute_types[i] == type) {
            return 1u << i;
        }
    }
    return 0;
}

static bool read_value(struct stun_message *message, uint16_t type, struct slice value)
{
    size_t at = (size_t)(value.data - message->bytes.data) - ATTRIBUTE_HEADER_LEN;
    switch ((enum stun_attribute)type) {
    case STUN_MAPPED_ADDRESS:
        return read_addr(value, NULL, &message->mapped);
    case STUN_XOR_MAPPED_ADDRESS:
        return read_addr(value, message->bytes.data + COOKIE_AT, &message->xor_mapped);
    case STUN_RESPONSE_ORIGIN:
        return read_addr(value, NULL, &message->origin);
    case STUN_OTHER_ADDRESS:
        return read_addr(value, NULL, &message->other);
    case STUN_USERNAME:
        return read_text(value, STUN_USERNAME_MAX, &message->username);
    case STUN_REALM:
        return read_text(value, STUN_TEXT_MAX, &message->realm);
    case STUN_NONCE:
        return read_text(value, STUN_TEXT_MAX, &message->nonce);
    case STUN_SOFTWARE:
        return read_text(value, STUN_TEXT_MAX, &message->software);
    case STUN_PADDING:
        return read_text(value, UINT16_MAX, &message->padding);
    case STUN_ERROR_CODE:
        return read_error(message, value);
    case STUN_UNKNOWN_ATTRIBUTES:
        return read_types(value, &message->refused);
    case STUN_CHANGE_REQUEST:
        return read_u32_of(value, &message->change);
    case STUN_PRIORITY:
        return read_u32_of(value, &message->priority);
    case STUN_RESPONSE_PORT:
        return read_port(value, &message->response_port);
    case STUN_ICE_CONTROLLED:
        return read_u64_of(value, &message->controlled);
    case STUN_ICE_CONTROLLING:
        return read_u64_of(value, &message->controlling);
    case STUN_USE_CANDIDATE:
        return value.len == 0;
    case STUN_MESSAGE_INTEGRITY:
        message->integrity_at = at;
        return value.len == SHA1_LEN;
    case STUN_MESSAGE_INTEGRITY_SHA256:
        message->integrity_sha256_at = at;
        message->integrity_sha256_len = value.len;
        return value.len >= STUN_SHA256_MIN && value.len <= HMAC_SHA256_LEN && value.len % 4 == 0;
    case STUN_FINGERPRINT:
        return fingerprint_is_valid(message, value);
    }
    return false;
}

/* Section 14.1: a byte of nothing, the family, port, address. */
static bool read_addr(struct slice value, const uint8_t *mask, struct port_addr *addr)
{
    struct reader reader = reader_of(value);
    (void)read_u8(&reader);
    uint8_t family = read_u8(&reader);
    size_t len = family == FAMILY_IPV4 ? IPV4_LEN : IPV6_LEN;
    uint8_t *ip = addr->ip + IPV6_LEN - len;
    memcpy(addr->ip, ipv4_prefix, sizeof ipv4_prefix);
    read_into(&reader, addr->port, sizeof addr->port);
    read_into(&reader, ip, len);
    for (size_t i = 0; mask != NULL && i < len; i++) {
        ip[i] ^= mask[i];
    }
    for (size_t i = 0; mask != NULL && i < sizeof addr->port; i++) {
        addr->port[i] ^= mask[i];
    }
    return (family == FAMILY_IPV4 || family == FAMILY_IPV6) && !reader.bad &&
           reader_left(&reader) == 0;
}

static bool read_text(struct slice value, size_t max, struct slice *text)
{
    *text = value;
    return value.len <= max;
}

static bool read_u32_of(struct slice value, uint32_t *number)
{
    struct reader reader = reader_of(value);
    *number = read_u32(&reader);
    return value.len == sizeof *number;
}

static bool read_u64_of(struct slice value, uint64_t *number)
{
    struct reader reader = reader_of(value);
    *number = read_u64(&reader);
    return value.len == sizeof *number;
}

/* The two bytes of nothing behind the port are counted in the length by some, not by others. */
static bool read_port(struct slice value, uint16_t *port)
{
    struct reader reader = reader_of(value);
    *port = read_u16(&reader);
    return value.len == 2 || value.len == 4;
}

/* Section 14.8: the hundreds in three bits, the rest in a byte, then words. */
static bool read_error(struct stun_message *message, struct slice value)
{
    struct reader reader = reader_of(value);
    (void)read_u16(&reader);
    unsigned hundreds = read_u8(&reader) & 7u;
    unsigned rest = read_u8(&reader);
    message->error_code = (uint16_t)(hundreds * 100 + rest);
    message->reason = slice_of(reader.next, reader_left(&reader));
    return !reader.bad && hundreds >= 3 && hundreds <= 6 && rest <= 99 &&
           message->reason.len <= STUN_TEXT_MAX;
}

static bool read_types(struct slice value, struct stun_types *types)
{
    struct reader reader = reader_of(value);
    while (reader_left(&reader) >= 2) {
        types_add(types, read_u16(&reader));
    }
    return reader_left(&reader) == 0;
}

static void types_add(struct stun_types *types, uint16_t type)
{
    if (types->count < array_len(types->type)) {
        types->type[types->count++] = type;
    }
}

static bool fingerprint_is_valid(const struct stun_message *message, struct slice value)
{
    const uint8_t *start = message->bytes.data;
    size_t covered_len = (size_t)(value.data - start) - ATTRIBUTE_HEADER_LEN;
    uint32_t number = 0;
    return read_u32_of(value, &number) &&
           number == (crc32_of(slice_of(start, covered_len)) ^ STUN_FINGERPRINT_XOR);
}

bool stun_integrity_is_valid(const struct stun_message *message, struct slice key)
{
    if (!stun_has(message, STUN_MESSAGE_INTEGRITY)) {
        return false;
    }
    const uint8_t *at = message->bytes.data + message->integrity_at;
    uint8_t tag[SHA1_LEN];
    tag_sha1(tag, slice_of(message->bytes.data, message->integrity_at), key);
    return sodium_memcmp(tag, at + ATTRIBUTE_HEADER_LEN, sizeof tag) == 0;
}

bool stun_sha256_is_valid(const struct stun_message *message, struct slice key)
{
    if (!stun_has(message, STUN_MESSAGE_INTEGRITY_SHA256)) {
        return false;
    }
    const uint8_t *at = message->bytes.data + message->integrity_sha256_at;
    uint8_t tag[HMAC_SHA256_LEN];
    tag_sha256(tag, slice_of(message->bytes.data, message->integrity_sha256_at), key,
               message->integrity_sha256_len);
    return sodium_memcmp(tag, at + ATTRIBUTE_HEADER_LEN, message->integrity_sha256_len) == 0;
}

static void tag_sha1(uint8_t tag[SHA1_LEN], struct slice covered, struct slice key)
{
    uint8_t header[STUN_HEADER_LEN];
    struct slice rest = header_for(header, covered, SHA1_LEN);
    hmac_sha1(tag, key, slice_of(header, sizeof header), rest);
}

static void tag_sha256(uint8_t tag[HMAC_SHA256_LEN], struct slice covered, struct slice key,
                       size_t tag_len)
{
    uint8_t header[STUN_HEADER_LEN];
    struct slice rest = header_for(header, covered, tag_len);
    hmac_sha256(tag, key, slice_of(header, sizeof header), rest);
}

/* A tag covers the header as it would be if the tag's attribute were the last: section 14.5.
 * Returns what is covered behind the header. */
static struct slice header_for(uint8_t header[STUN_HEADER_LEN], struct slice covered,
                               size_t tag_len)
{
    memcpy(header, covered.data, STUN_HEADER_LEN);
    length_put(header, covered.len + ATTRIBUTE_HEADER_LEN + tag_len);
    return slice_of(covered.data + STUN_HEADER_LEN, covered.len - STUN_HEADER_LEN);
}

static void length_put(uint8_t *header, size_t message_len)
{
    struct writer writer = writer_of(header + LENGTH_AT, 2);
    write_u16(&writer, (uint16_t)(message_len - STUN_HEADER_LEN));
}

/* --- writing ------------------------------------------------------------------------------- */

void stun_start(struct stun_writer *writer, uint8_t *buffer, size_t cap, enum stun_class class,
                uint16_t method, const struct stun_id *id)
{
    must(method < 0x1000);
    unsigned type = (method & 0x00fu) | (method & 0x070u) << 1 | (method & 0xf80u) << 2;
    type |= (class & 1u) != 0 ? CLASS_LOW : 0u;
    type |= (class & 2u) != 0 ? CLASS_HIGH : 0u;
    writer->id = *id;
    writer->writer = writer_of(buffer, cap);
    write_u16(&writer->writer, (uint16_t)type);
    write_u16(&writer->writer, 0);
    write_u32(&writer->writer, STUN_COOKIE);
    write_bytes(&writer->writer, id->bytes, sizeof id->bytes);
}

size_t stun_room(const struct stun_writer *writer)
{
    const struct writer *bytes = &writer->writer;
    return bytes->bad ? 0 : (size_t)(bytes->end - bytes->next);
}

size_t stun_addr_len(const struct port_addr *addr)
{
    return ATTRIBUTE_HEADER_LEN + 4u + (port_addr_is_v4(addr) ? IPV4_LEN : IPV6_LEN);
}

void stun_add_addr(struct stun_writer *writer, enum stun_attribute attribute,
                   const struct port_addr *addr)
{
    must(attribute == STUN_MAPPED_ADDRESS || attribute == STUN_XOR_MAPPED_ADDRESS ||
         attribute == STUN_RESPONSE_ORIGIN || attribute == STUN_OTHER_ADDRESS);
    uint8_t mask[4 + STUN_ID_LEN] = {0};
    if (attribute == STUN_XOR_MAPPED_ADDRESS) {
        struct writer masks = writer_of(mask, sizeof mask);
        write_u32(&masks, STUN_COOKIE);
        write_bytes(&masks, writer->id.bytes, STUN_ID_LEN);
    }
    bool is_v4 = port_addr_is_v4(addr);
    size_t len = is_v4 ? IPV4_LEN : IPV6_LEN;
    const uint8_t *ip = addr->ip + IPV6_LEN - len;
    uint8_t value[4 + IPV6_LEN] = {0, is_v4 ? FAMILY_IPV4 : FAMILY_IPV6};
    for (size_t i = 0; i < sizeof addr->port; i++) {
        value[2 + i] = addr->port[i] ^ mask[i];
    }
    for (size_t i = 0; i < len; i++) {
        value[4 + i] = ip[i] ^ mask[i];
    }
    add(writer, attribute, slice_of(value, 4 + len));
}

void stun_add_bytes(struct stun_writer *writer, enum stun_attribute attribute, struct slice value)
{
    must(attribute == STUN_USERNAME || attribute == STUN_REALM || attribute == STUN_NONCE ||
         attribute == STUN_SOFTWARE || attribute == STUN_PADDING ||
         attribute == STUN_USE_CANDIDATE);
    must(attribute != STUN_USERNAME || value.len <= STUN_USERNAME_MAX);
    must(attribute != STUN_USE_CANDIDATE || value.len == 0);
    must(attribute == STUN_PADDING || value.len <= STUN_TEXT_MAX);
    add(writer, attribute, value);
}

void stun_add_number(struct stun_writer *writer, enum stun_attribute attribute, uint64_t value)
{
    bool is_long = attribute == STUN_ICE_CONTROLLED || attribute == STUN_ICE_CONTROLLING;
    must(is_long || attribute == STUN_CHANGE_REQUEST || attribute == STUN_PRIORITY ||
         attribute == STUN_RESPONSE_PORT);
    uint8_t bytes[8];
    struct writer number = writer_of(bytes, sizeof bytes);
    if (attribute == STUN_RESPONSE_PORT) {
        value <<= 16;
    }
    write_number(&number, value, is_long ? 8 : 4);
    add(writer, attribute, slice_of(bytes, writer_len(&number)));
}

void stun_add_error(struct stun_writer *writer, enum stun_error code)
{
    const char *text = stun_error_text(code);
    uint8_t bytes[64];
    struct writer value = writer_of(bytes, sizeof bytes);
    write_u16(&value, 0);
    write_u8(&value, (uint8_t)(code / 100));
    write_u8(&value, (uint8_t)(code % 100));
    write_bytes(&value, text, strlen(text));
    must(!value.bad);
    add(writer, STUN_ERROR_CODE, slice_of(bytes, writer_len(&value)));
}

void stun_add_unknown(struct stun_writer *writer, const struct stun_types *types)
{
    uint8_t bytes[2 * STUN_UNKNOWN_MAX];
    struct writer value = writer_of(bytes, sizeof bytes);
    for (size_t i = 0; i < types->count; i++) {
        write_u16(&value, types->type[i]);
    }
    must(!value.bad);
    add(writer, STUN_UNKNOWN_ATTRIBUTES, slice_of(bytes, writer_len(&value)));
}

void stun_add_integrity(struct stun_writer *writer, struct slice key)
{
    uint8_t tag[SHA1_LEN];
    if (writer->writer.bad) {
        return;
    }
    tag_sha1(tag, slice_of(writer->writer.start, writer_len(&writer->writer)), key);
    add(writer, STUN_MESSAGE_INTEGRITY, slice_of(tag, sizeof tag));
}

void stun_add_sha256(struct stun_writer *writer, struct slice key)
{
    uint8_t tag[HMAC_SHA256_LEN];
    if (writer->writer.bad) {
        return;
    }
    tag_sha256(tag, slice_of(writer->writer.start, writer_len(&writer->writer)), key, sizeof tag);
    add(writer, STUN_MESSAGE_INTEGRITY_SHA256, slice_of(tag, sizeof tag));
}

void stun_add_fingerprint(struct stun_writer *writer)
{
    struct writer *bytes = &writer->writer;
    if (stun_room(writer) < STUN_FINGERPRINT_LEN) {
        bytes->bad = true;
        return;
    }
    length_put(bytes->start, writer_len(bytes) + STUN_FINGERPRINT_LEN);
    uint32_t crc = crc32_of(slice_of(bytes->start, writer_len(bytes)));
    write_u16(bytes, STUN_FINGERPRINT);
    write_u16(bytes, 4);
    write_u32(bytes, crc ^ STUN_FINGERPRINT_XOR);
}

size_t stun_end(struct stun_writer *writer)
{
    struct writer *bytes = &writer->writer;
    if (bytes->bad) {
        return 0;
    }
    length_put(bytes->start, writer_len(bytes));
    return writer_len(bytes);
}

static void add(struct stun_writer *writer, enum stun_attribute attribute, struct slice value)
{
    static const uint8_t zeros[3];
    write_u16(&writer->writer, (uint16_t)attribute);
    write_u16(&writer->writer, (uint16_t)value.len);
    write_bytes(&writer->writer, value.data, value.len);
    write_bytes(&writer->writer, zeros, (4 - value.len % 4) % 4);
}

const char *stun_error_text(unsigned code)
{
    switch (code) {
    case STUN_TRY_ALTERNATE:
        return "Try Alternate";
    case STUN_BAD_REQUEST:
        return "Bad Request";
    case STUN_UNAUTHENTICATED:
        return "Unauthenticated";
    case STUN_UNKNOWN_ATTRIBUTE:
        return "Unknown Attribute";
    case STUN_STALE_NONCE:
        return "Stale Nonce";
    case STUN_ROLE_CONFLICT:
        return "Role Conflict";
    case STUN_SERVER_ERROR:
        return "Server Error";
    default:
        return "Error";
    }
}
