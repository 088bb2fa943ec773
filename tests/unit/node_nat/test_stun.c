/* test_stun.c - STUN messages: published ones, random ones, cut ones, altered ones, and ours beside
 * them on one socket. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/base/rng.h"
#include "node/transport/packet.h"
#include "tests/support/corpus.h"
#include "tests/support/stun_check.h"
#include "tests/support/vectors.h"

static const char password[] = "VOkJxbRl1RmTxUk/WvJxBt"; /* RFC 5769 sections 2.1 to 2.3. */

static struct slice text_slice(const char *text)
{
    return slice_of(text, strlen(text));
}

static bool is_text(struct slice bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static struct port_addr addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (struct port_addr){
        .ip = {[10] = 0xff, [11] = 0xff, [12] = a, [13] = b, [14] = c, [15] = d},
        .port = {(uint8_t)(port >> 8), (uint8_t)port},
    };
}

/* Lines of hex, as one piece of bytes. */
static size_t read_hex(const char *name, uint8_t *bytes, size_t cap)
{
    size_t len;
    size_t count = 0;
    char *text = vectors_read(name, &len);
    for (const char *at = text; *at != '\0';) {
        unsigned byte;
        int taken = 0;
        if (sscanf(at, "%2x%n", &byte, &taken) != 1) {
            break;
        }
        cr_assert_lt(count, cap);
        bytes[count++] = (uint8_t)byte;
        at += taken + (int)strspn(at + taken, " \r\n");
    }
    free(text);
    return count;
}

/* --- RFC 5769 ------------------------------------------------------------------------------ */

Test(stun, sample_request_of_rfc_5769)
{
    static const uint8_t id[STUN_ID_LEN] = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
                                            0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};
    uint8_t bytes[256];
    size_t len = read_hex("stun/rfc5769_2.1_sample_request.hex", bytes, sizeof bytes);
    struct stun_message message;
    cr_assert_eq(len, 108);
    cr_assert(stun_is_message(slice_of(bytes, len)));
    cr_assert(stun_read(slice_of(bytes, len), &message));
    cr_assert_eq(message.class, STUN_REQUEST);
    cr_assert_eq(message.method, STUN_BINDING);
    cr_assert_arr_eq(message.id.bytes, id, sizeof id);
    cr_assert(is_text(message.software, "STUN test client"));
    cr_assert(is_text(message.username, "evtj:h6vY"));
    cr_assert_eq(message.priority, 0x6e0001ffu);
    cr_assert(stun_has(&message, STUN_ICE_CONTROLLED));
    cr_assert_not(stun_has(&message, STUN_ICE_CONTROLLING));
    cr_assert_eq(message.controlled, 0x932ff9b151263b36u);
    cr_assert(stun_has(&message, STUN_FINGERPRINT)); /* And right, or it were refused. */
    cr_assert(stun_integrity_is_valid(&message, text_slice(password)));
    cr_assert_not(stun_integrity_is_valid(&message, text_slice("VOkJxbRl1RmTxUk/WvJxBT")));
    cr_assert_not(stun_sha256_is_valid(&message, text_slice(password)));
    cr_assert_eq(message.unknown.count, 0);
}

Test(stun, sample_ipv4_response_of_rfc_5769)
{
    uint8_t bytes[256];
    size_t len = read_hex("stun/rfc5769_2.2_sample_ipv4_response.hex", bytes, sizeof bytes);
    struct port_addr mapped = addr_v4(192, 0, 2, 1, 32853);
    struct stun_message message;
    cr_assert_eq(len, 80);
    cr_assert(stun_read(slice_of(bytes, len), &message));
    cr_assert_eq(message.class, STUN_SUCCESS);
    cr_assert(is_text(message.software, "test vector"));
    cr_assert(stun_has(&message, STUN_FINGERPRINT));
    cr_assert(stun_integrity_is_valid(&message, text_slice(password)));
    cr_assert(stun_has(&message, STUN_XOR_MAPPED_ADDRESS));
    cr_assert(port_addr_equal(&message.xor_mapped, &mapped));
}

/* Section 2.3. */
static const uint8_t ipv6_response[] = {
    0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa,
    0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14,
    0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75,
    0xbf, 0xe3, 0xed, 0x41, 0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c,
};

Test(stun, sample_ipv6_response_of_rfc_5769)
{
    /* 2001:db8:1234:5678:11:2233:4455:6677, port 32853. */
    static const struct port_addr mapped = {
        .ip = {0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, 0x78, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
               0x66, 0x77},
        .port = {0x80, 0x55},
    };
    struct stun_message message;
    cr_assert(stun_read(slice_of(ipv6_response, sizeof ipv6_response), &message));
    cr_assert(stun_has(&message, STUN_FINGERPRINT));
    cr_assert(stun_integrity_is_valid(&message, text_slice(password)));
    cr_assert(port_addr_equal(&message.xor_mapped, &mapped));
}

/* Section 2.4. The key of long-term credentials is MD5("user:realm:password") of its six Katakana,
 * example.org and TheMatrIX; we have no use for MD5, so its result stands here. */
Test(stun, sample_request_with_long_term_credentials_of_rfc_5769)
{
    static const uint8_t key[16] = {0xe8, 0xca, 0x7a, 0xd5, 0x9d, 0x5e, 0xb0, 0x51,
                                    0x8e, 0x31, 0x29, 0x11, 0xd2, 0xda, 0xb2, 0xa9};
    static const uint8_t bytes[] = {
        0x00, 0x01, 0x00, 0x60, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72,
        0xc0, 0x29, 0xda, 0x41, 0x2e, 0x00, 0x06, 0x00, 0x12, 0xe3, 0x83, 0x9e, 0xe3, 0x83, 0x88,
        0xe3, 0x83, 0xaa, 0xe3, 0x83, 0x83, 0xe3, 0x82, 0xaf, 0xe3, 0x82, 0xb9, 0x00, 0x00, 0x00,
        0x15, 0x00, 0x1c, 0x66, 0x2f, 0x2f, 0x34, 0x39, 0x39, 0x6b, 0x39, 0x35, 0x34, 0x64, 0x36,
        0x4f, 0x4c, 0x33, 0x34, 0x6f, 0x4c, 0x39, 0x46, 0x53, 0x54, 0x76, 0x79, 0x36, 0x34, 0x73,
        0x41, 0x00, 0x14, 0x00, 0x0b, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x2e, 0x6f, 0x72,
        0x67, 0x00, 0x00, 0x08, 0x00, 0x14, 0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6, 0x4a, 0x3e, 0x02,
        0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2, 0x8c, 0xa8, 0x96, 0x66,
    };
    struct stun_message message;
    cr_assert(stun_read(slice_of(bytes, sizeof bytes), &message));
    cr_assert_eq(message.username.len, 18);
    cr_assert(is_text(message.nonce, "f//499k954d6OL34oL9FSTvy64sA"));
    cr_assert(is_text(message.realm, "example.org"));
    cr_assert(stun_integrity_is_valid(&message, slice_of(key, sizeof key)));
    cr_assert_not(stun_integrity_is_valid(&message, text_slice("TheMatrIX")));
}

/* --- what browsers sent, and what fuzzers found ---------------------------------------------- */

static size_t from_base64(const char *text, uint8_t *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = 0;
    unsigned held = 0;
    int bits = 0;
    for (; *text != '\0' && strchr(digits, *text) != NULL; text++) {
        held = held << 6 | (unsigned)(strchr(digits, *text) - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[len++] = (uint8_t)(held >> bits);
        }
    }
    return len;
}

Test(stun, what_browsers_send_is_understood)
{
    size_t len;
    char *text = vectors_read("stun/frombrowsers.csv", &len);
    uint32_t count = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *message = strchr(line, ',');
        if (line[0] == '#' || message == NULL || strncmp(line, "ip,", 3) == 0) {
            continue;
        }
        uint8_t bytes[512];
        size_t size = from_base64(message + 1, bytes);
        cr_assert(stun_is_message(slice_of(bytes, size)), "%s", line);
        cr_assert(stun_check(slice_of(bytes, size)), "%s", line);
        count++;
    }
    free(text);
    cr_assert_eq(count, 14);
}

Test(stun, a_message_of_chrome_is_understood)
{
    size_t len;
    char *bytes = vectors_read("stun/ex1_chrome.stun", &len);
    struct stun_message message;
    cr_assert(stun_check(slice_of(bytes, len)));
    /* An attribute it may do without: Google's own. */
    cr_assert(stun_read(slice_of(bytes, len), &message));
    cr_assert_eq(message.present, 0);
    cr_assert_eq(message.unknown.count, 0);
    free(bytes);
}

/* The bytes between []byte(" and "), with Go's escapes. */
static size_t from_go(const char *text, uint8_t *bytes)
{
    static const char names[] = "abfnrtv\\\"'";
    static const char values[] = "\a\b\f\n\r\t\v\\\"'";
    const char *at = strchr(text, '"') + 1;
    size_t len = 0;
    while (*at != '"') {
        unsigned byte = (uint8_t)*at++;
        if (byte == '\\') {
            const char *name = strchr(names, *at);
            if (name != NULL) {
                byte = (uint8_t)values[name - names];
                at++;
            } else if (*at == 'x') {
                cr_assert_eq(sscanf(at, "x%2x", &byte), 1);
                at += 3;
            } else if (*at == 'u') { /* A character, which Go keeps as UTF-8. */
                cr_assert_eq(sscanf(at, "u%4x", &byte), 1);
                cr_assert_geq(byte, 0x800u);
                bytes[len++] = (uint8_t)(0xe0 | byte >> 12);
                bytes[len++] = (uint8_t)(0x80 | (byte >> 6 & 0x3f));
                byte = 0x80 | (byte & 0x3f);
                at += 5;
            } else {
                cr_assert_eq(sscanf(at, "%3o", &byte), 1, "%s", at);
                at += 3;
            }
        }
        bytes[len++] = (uint8_t)byte;
    }
    return len;
}

Test(stun, inputs_that_broke_others_are_refused_or_understood)
{
    static const char *const names[] = {
        "245b929694bde0bb", "27e983676cba4e3d", "40d19a226a06d95c", "4bd12c454bb66377",
        "562054225de70935", "66239baa5358757f", "8038d52e604bf435", "8c2645e17b9f6f54",
        "95d2ccdd0016d210", "9ae6a162122bc543", "9f92a54747b065e4", "bea9013452ffd1e8",
    };
    for (size_t i = 0; i < array_len(names); i++) {
        char name[64];
        uint8_t bytes[1024];
        size_t len;
        snprintf(name, sizeof name, "stun/fuzz/%s.txt", names[i]);
        char *text = vectors_read(name, &len);
        size_t size = from_go(text, bytes);
        uint8_t *exact = malloc(size + 1); /* So that the sanitizer sees the end. */
        memcpy(exact, bytes, size);
        (void)stun_check(slice_of(exact, size));
        free(exact);
        free(text);
    }
}

/* --- random messages ------------------------------------------------------------------------- */

enum { RANDOM_MAX = 4096 };

static void random_bytes(struct rng *rng, void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)rng_next(rng);
    }
}

static struct port_addr random_addr(struct rng *rng)
{
    struct port_addr addr = addr_v4(1, 2, 3, 4, 5);
    bool is_v4 = rng_below(rng, 2) == 0;
    random_bytes(rng, addr.ip + (is_v4 ? 12 : 0), is_v4 ? 4 : 16);
    random_bytes(rng, addr.port, sizeof addr.port);
    return addr;
}

static struct slice random_text(struct rng *rng, size_t max, uint8_t **next)
{
    size_t len = rng_below(rng, 4) == 0 ? max : rng_below(rng, 40);
    struct slice text = slice_of(*next, len);
    random_bytes(rng, *next, len);
    *next += len;
    return text;
}

static void add_random_text(struct rng *rng, enum stun_attribute attribute, size_t max,
                            struct stun_writer *writer, struct slice *said, uint8_t **next)
{
    *said = random_text(rng, max, next);
    stun_add_bytes(writer, attribute, *said);
}

static void add_random_addr(struct rng *rng, enum stun_attribute attribute,
                            struct stun_writer *writer, struct port_addr *said)
{
    *said = random_addr(rng);
    stun_add_addr(writer, attribute, said);
}

/* Numbers, and what holds nothing. */
static void add_random_number(struct rng *rng, enum stun_attribute attribute,
                              struct stun_writer *writer, struct stun_message *said)
{
    uint64_t number = rng_next(rng);
    switch (attribute) {
    case STUN_CHANGE_REQUEST:
        number = said->change = (uint32_t)number;
        break;
    case STUN_PRIORITY:
        number = said->priority = (uint32_t)number;
        break;
    case STUN_RESPONSE_PORT:
        number = said->response_port = (uint16_t)number;
        break;
    case STUN_ICE_CONTROLLED:
        said->controlled = number;
        break;
    default:
        said->controlling = number;
        break;
    }
    stun_add_number(writer, attribute, number);
}

static void add_random(struct rng *rng, enum stun_attribute attribute, struct stun_writer *writer,
                       struct stun_message *said, uint8_t **next)
{
    static const uint16_t codes[] = {300, 400, 401, 420, 438, 487, 500};
    switch (attribute) {
    case STUN_MAPPED_ADDRESS:
        return add_random_addr(rng, attribute, writer, &said->mapped);
    case STUN_XOR_MAPPED_ADDRESS:
        return add_random_addr(rng, attribute, writer, &said->xor_mapped);
    case STUN_RESPONSE_ORIGIN:
        return add_random_addr(rng, attribute, writer, &said->origin);
    case STUN_OTHER_ADDRESS:
        return add_random_addr(rng, attribute, writer, &said->other);
    case STUN_USERNAME:
        return add_random_text(rng, attribute, STUN_USERNAME_MAX, writer, &said->username, next);
    case STUN_REALM:
        return add_random_text(rng, attribute, STUN_TEXT_MAX, writer, &said->realm, next);
    case STUN_NONCE:
        return add_random_text(rng, attribute, STUN_TEXT_MAX, writer, &said->nonce, next);
    case STUN_SOFTWARE:
        return add_random_text(rng, attribute, STUN_TEXT_MAX, writer, &said->software, next);
    case STUN_PADDING:
        return add_random_text(rng, attribute, 1000, writer, &said->padding, next);
    case STUN_USE_CANDIDATE:
        return stun_add_bytes(writer, attribute, slice_of(NULL, 0));
    case STUN_ERROR_CODE:
        said->error_code = codes[rng_below(rng, array_len(codes))];
        return stun_add_error(writer, (enum stun_error)said->error_code);
    case STUN_UNKNOWN_ATTRIBUTES:
        said->refused.count = (uint8_t)rng_below(rng, STUN_UNKNOWN_MAX + 1);
        random_bytes(rng, said->refused.type, said->refused.count * sizeof said->refused.type[0]);
        return stun_add_unknown(writer, &said->refused);
    case STUN_MESSAGE_INTEGRITY:
        return stun_add_integrity(writer, text_slice(password));
    case STUN_MESSAGE_INTEGRITY_SHA256:
        return stun_add_sha256(writer, text_slice(password));
    case STUN_FINGERPRINT:
        return stun_add_fingerprint(writer);
    default:
        return add_random_number(rng, attribute, writer, said);
    }
}

/* Any attributes, in any order but for the last three. *present: one bit for each of all[]. */
static const enum stun_attribute all[] = {
    STUN_MAPPED_ADDRESS,
    STUN_CHANGE_REQUEST,
    STUN_USERNAME,
    STUN_ERROR_CODE,
    STUN_UNKNOWN_ATTRIBUTES,
    STUN_REALM,
    STUN_NONCE,
    STUN_XOR_MAPPED_ADDRESS,
    STUN_PRIORITY,
    STUN_USE_CANDIDATE,
    STUN_PADDING,
    STUN_RESPONSE_PORT,
    STUN_SOFTWARE,
    STUN_ICE_CONTROLLED,
    STUN_ICE_CONTROLLING,
    STUN_RESPONSE_ORIGIN,
    STUN_OTHER_ADDRESS,
    STUN_MESSAGE_INTEGRITY,
    STUN_MESSAGE_INTEGRITY_SHA256,
    STUN_FINGERPRINT,
};
enum { ORDERED = 17 };

static size_t random_message(struct rng *rng, uint8_t *buffer, uint8_t *texts,
                             struct stun_message *said, uint32_t *present)
{
    struct stun_writer writer;
    *said = (struct stun_message){.class = (enum stun_class)rng_below(rng, 4),
                                  .method = (uint16_t)rng_below(rng, 0x1000)};
    random_bytes(rng, said->id.bytes, sizeof said->id.bytes);
    stun_start(&writer, buffer, RANDOM_MAX, said->class, said->method, &said->id);
    *present = (uint32_t)(rng_next(rng) & rng_next(rng)) & ((1u << array_len(all)) - 1);
    size_t first = rng_below(rng, ORDERED);
    for (size_t i = 0; i < array_len(all); i++) {
        size_t index = i < ORDERED ? (i + first) % ORDERED : i;
        if ((*present >> index & 1) != 0) {
            add_random(rng, all[index], &writer, said, &texts);
        }
    }
    return stun_end(&writer);
}

Test(stun, random_messages_come_back_as_they_were)
{
    static uint8_t buffer[RANDOM_MAX];
    static uint8_t texts[4 * RANDOM_MAX];
    struct rng rng;
    uint32_t seen = 0;
    rng_seed(&rng, 8489);
    for (int round = 0; round < 20000; round++) {
        struct stun_message said;
        struct stun_message read;
        uint32_t present;
        size_t len = random_message(&rng, buffer, texts, &said, &present);
        if (len == 0) {
            continue; /* Larger than the buffer. */
        }
        cr_assert(stun_read(slice_of(buffer, len), &read), "round %d", round);
        for (size_t i = 0; i < array_len(all); i++) {
            cr_assert_eq(stun_has(&read, all[i]), (present >> i & 1) != 0, "round %d", round);
        }
        said.present = read.present;
        cr_assert(stun_check_equal(&said, &read), "round %d", round);
        cr_assert(stun_check(slice_of(buffer, len)), "round %d", round);
        seen++;
    }
    cr_assert_gt(seen, 15000);
}

Test(stun, a_writer_never_passes_its_buffer)
{
    static uint8_t buffer[RANDOM_MAX];
    static uint8_t texts[4 * RANDOM_MAX];
    struct rng rng;
    rng_seed(&rng, 5389);
    for (int round = 0; round < 300; round++) {
        struct stun_message said;
        struct stun_message read;
        uint32_t present;
        size_t len = random_message(&rng, buffer, texts, &said, &present);
        if (len == 0 || !stun_read(slice_of(buffer, len), &read)) {
            continue;
        }
        for (size_t cap = 0; cap <= len; cap += 1 + cap / 40) {
            uint8_t *exact = malloc(cap + 1);
            cr_assert_eq(stun_check_write(&read, text_slice(password), exact, cap),
                         cap < len ? 0 : len);
            free(exact);
        }
    }
}

/* --- broken messages ------------------------------------------------------------------------- */

/* Every attribute that a check of ICE has, both tags and a fingerprint. */
static size_t full_message(uint8_t *buffer)
{
    static const struct stun_id id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
    struct port_addr addr = addr_v4(192, 0, 2, 1, 32853);
    struct stun_writer writer;
    stun_start(&writer, buffer, RANDOM_MAX, STUN_SUCCESS, STUN_BINDING, &id);
    stun_add_bytes(&writer, STUN_USERNAME, text_slice("evtj:h6vY"));
    stun_add_addr(&writer, STUN_XOR_MAPPED_ADDRESS, &addr);
    stun_add_number(&writer, STUN_PRIORITY, 0x6e0001ff);
    stun_add_number(&writer, STUN_ICE_CONTROLLING, 0x932ff9b151263b36u);
    stun_add_integrity(&writer, text_slice(password));
    stun_add_sha256(&writer, text_slice(password));
    stun_add_fingerprint(&writer);
    return stun_end(&writer);
}

Test(stun, a_message_cut_anywhere_is_refused)
{
    uint8_t buffer[RANDOM_MAX];
    size_t len = full_message(buffer);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut + 1);
        struct stun_message message;
        memcpy(exact, buffer, cut);
        cr_assert_not(stun_read(slice_of(exact, cut), &message), "%zu", cut);
        cr_assert_not(stun_is_message(slice_of(exact, cut)));
        (void)stun_check(slice_of(exact, cut));
        free(exact);
    }
    /* Nor is more than one message: on UDP a datagram is a message (section 6.1). */
    uint8_t longer[RANDOM_MAX + 4] = {0};
    struct stun_message message;
    memcpy(longer, buffer, len);
    for (size_t more = 1; more <= 4; more++) {
        cr_assert_not(stun_read(slice_of(longer, len + more), &message));
    }
}

/* The fingerprint covers all before it and itself. One flip can only hide it: by making its own
 * type an unknown one, which its receiver may do without. */
Test(stun, a_single_altered_bit_is_refused_by_fingerprint_or_integrity)
{
    uint8_t buffer[RANDOM_MAX];
    size_t len = full_message(buffer);
    size_t fingerprint_at = len - STUN_FINGERPRINT_LEN;
    uint32_t hidden = 0;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        uint8_t *exact = malloc(len);
        memcpy(exact, buffer, len);
        exact[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        struct stun_message message;
        bool is_read = stun_read(slice_of(exact, len), &message);
        cr_assert(!is_read || !stun_has(&message, STUN_FINGERPRINT), "bit %zu", bit);
        if (is_read) {
            cr_assert(bit / 8 == fingerprint_at || bit / 8 == fingerprint_at + 1, "bit %zu", bit);
            hidden++;
        }
        (void)stun_check(slice_of(exact, len));
        free(exact);
    }
    cr_assert_gt(hidden, 0);
}

Test(stun, a_single_altered_bit_before_a_tag_breaks_the_tag)
{
    uint8_t buffer[RANDOM_MAX];
    size_t len = full_message(buffer) - STUN_FINGERPRINT_LEN;
    buffer[3] = (uint8_t)(len - STUN_HEADER_LEN); /* The same without fingerprint. */
    struct stun_message message;
    cr_assert(stun_read(slice_of(buffer, len), &message));
    cr_assert(stun_integrity_is_valid(&message, text_slice(password)));
    cr_assert(stun_sha256_is_valid(&message, text_slice(password)));
    size_t sha1_end = message.integrity_sha256_at;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        uint8_t *exact = malloc(len);
        memcpy(exact, buffer, len);
        exact[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        if (stun_read(slice_of(exact, len), &message)) {
            cr_assert(bit / 8 >= sha1_end ||
                          !stun_integrity_is_valid(&message, text_slice(password)),
                      "bit %zu", bit);
            cr_assert_not(stun_sha256_is_valid(&message, text_slice(password)), "bit %zu", bit);
        }
        free(exact);
    }
}

/* Bytes of a message with these attributes, each {type, length, value...}, written by hand. */
static size_t by_hand(uint8_t *buffer, const uint8_t *attributes, size_t len)
{
    static const uint8_t head[] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0,
                                   0, 0, 0, 0, 0,    0,    0,    0,    0, 0};
    memcpy(buffer, head, sizeof head);
    memcpy(buffer + sizeof head, attributes, len);
    buffer[3] = (uint8_t)len;
    return sizeof head + len;
}

#define READS(...)                                                                                 \
    stun_read(slice_of(buffer, by_hand(buffer, (const uint8_t[]){__VA_ARGS__},                     \
                                       sizeof((const uint8_t[]){__VA_ARGS__}))),                   \
              &message)

Test(stun, attributes_of_a_wrong_shape_are_refused)
{
    uint8_t buffer[256];
    struct stun_message message;
    cr_assert(READS(0x00, 0x01, 0, 8, 0, 1, 1, 1, 2, 2, 2, 2));
    cr_assert_not(READS(0x00, 0x01, 0, 8, 0, 2, 1, 1, 2, 2, 2, 2)); /* IPv6 in eight bytes. */
    cr_assert_not(READS(0x00, 0x01, 0, 8, 0, 3, 1, 1, 2, 2, 2, 2)); /* No such family. */
    cr_assert_not(READS(0x00, 0x20, 0, 12, 0, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 0));
    cr_assert_not(READS(0x00, 0x03, 0, 0));
    cr_assert_not(READS(0x00, 0x24, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0));
    cr_assert_not(READS(0x00, 0x25, 0, 4, 0, 0, 0, 0));
    cr_assert_not(READS(0x00, 0x27, 0, 0));
    cr_assert(READS(0x00, 0x27, 0, 2, 1, 2, 0, 0));
    cr_assert_eq(message.response_port, 258);
    cr_assert(READS(0x00, 0x27, 0, 4, 1, 2, 0, 0));
    cr_assert_eq(message.response_port, 258);
    cr_assert_not(READS(0x00, 0x09, 0, 4, 0, 0, 2, 99)); /* 299 is no error, */
    cr_assert_not(READS(0x00, 0x09, 0, 4, 0, 0, 4, 100));
    cr_assert(READS(0x00, 0x09, 0, 4, 0, 0, 4, 20));
    cr_assert_eq(message.error_code, 420);
    cr_assert_not(READS(0x00, 0x0a, 0, 3, 0, 1, 0, 0)); /* one type and a half. */
    cr_assert_not(READS(0x00, 0x08, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    cr_assert_not(READS(0x00, 0x1c, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    cr_assert_not(READS(0x80, 0x22, 0, 8, 'x', 'x', 'x', 'x')); /* Past the end, */
    cr_assert_not(READS(0x80, 0x22, 0, 1));                     /* and its padding too. */
    cr_assert(READS(0x80, 0x22, 0, 1, 'x', 9, 9, 9));           /* What padding holds is free. */
    cr_assert(is_text(message.software, "x"));
}

Test(stun, long_texts_are_refused)
{
    static uint8_t buffer[RANDOM_MAX];
    static const uint8_t zeros[1024];
    static const struct stun_id id;
    static const struct {
        enum stun_attribute attribute;
        size_t max;
    } limits[] = {{STUN_USERNAME, 508}, {STUN_REALM, 763}, {STUN_NONCE, 763}, {STUN_SOFTWARE, 763}};
    for (size_t i = 0; i < array_len(limits); i++) {
        for (size_t more = 0; more <= 1; more++) {
            struct stun_writer writer;
            struct stun_message message;
            stun_start(&writer, buffer, sizeof buffer, STUN_REQUEST, STUN_BINDING, &id);
            stun_add_bytes(&writer, STUN_PADDING, slice_of(zeros, limits[i].max + more));
            buffer[STUN_HEADER_LEN] = (uint8_t)(limits[i].attribute >> 8);
            buffer[STUN_HEADER_LEN + 1] = (uint8_t)limits[i].attribute;
            size_t len = stun_end(&writer);
            cr_assert_eq(stun_read(slice_of(buffer, len), &message), more == 0, "%x",
                         limits[i].attribute);
        }
    }
}

Test(stun, what_is_not_understood_is_listed_where_it_has_to_be)
{
    uint8_t buffer[256];
    struct stun_message message;
    cr_assert(READS(0x7f, 0xff, 0, 0, 0x80, 0x00, 0, 0, 0x00, 0x77, 0, 0, 0xff, 0xff, 0, 0));
    cr_assert_eq(message.unknown.count, 2);
    cr_assert_eq(message.unknown.type[0], 0x7fff);
    cr_assert_eq(message.unknown.type[1], 0x0077);
    uint8_t many[4 * (STUN_UNKNOWN_MAX + 5)] = {0};
    for (size_t i = 0; i < sizeof many; i += 4) {
        many[i] = 0x70;
    }
    size_t len = by_hand(buffer, many, sizeof many);
    cr_assert(stun_read(slice_of(buffer, len), &message));
    cr_assert_eq(message.unknown.count, STUN_UNKNOWN_MAX);
}

Test(stun, only_the_first_of_a_kind_counts)
{
    uint8_t buffer[256];
    struct stun_message message;
    cr_assert(READS(0x00, 0x24, 0, 4, 0, 0, 0, 1, 0x00, 0x24, 0, 4, 0, 0, 0, 2));
    cr_assert_eq(message.priority, 1);
}

/* Sections 14.5 to 14.7. */
Test(stun, what_stands_behind_a_tag_is_ignored_and_behind_a_fingerprint_refused)
{
    static const struct stun_id id;
    uint8_t buffer[256];
    struct stun_message message;
    struct stun_writer writer;
    stun_start(&writer, buffer, sizeof buffer, STUN_REQUEST, STUN_BINDING, &id);
    stun_add_integrity(&writer, text_slice(password));
    stun_add_number(&writer, STUN_PRIORITY, 7);
    stun_add_sha256(&writer, text_slice(password));
    stun_add_integrity(&writer, text_slice("another"));
    size_t len = stun_end(&writer);
    cr_assert(stun_read(slice_of(buffer, len), &message));
    cr_assert_not(stun_has(&message, STUN_PRIORITY));
    cr_assert(stun_integrity_is_valid(&message, text_slice(password)));
    cr_assert(stun_sha256_is_valid(&message, text_slice(password)));

    stun_start(&writer, buffer, sizeof buffer, STUN_REQUEST, STUN_BINDING, &id);
    stun_add_fingerprint(&writer);
    stun_add_number(&writer, STUN_PRIORITY, 7);
    len = stun_end(&writer);
    cr_assert_not(stun_read(slice_of(buffer, len), &message));
}

/* Section 14.6: a tag may be cut to 16 bytes. */
Test(stun, a_shortened_sha256_tag_is_checked_as_far_as_it_goes)
{
    static const struct stun_id id;
    static const uint8_t zeros[HMAC_SHA256_LEN];
    for (size_t tag_len = 12; tag_len <= 36; tag_len += 4) {
        uint8_t buffer[256];
        uint8_t tag[HMAC_SHA256_LEN];
        struct stun_message message;
        struct stun_writer writer;
        stun_start(&writer, buffer, sizeof buffer, STUN_REQUEST, STUN_BINDING, &id);
        buffer[3] = (uint8_t)(4 + tag_len);
        hmac_sha256(tag, text_slice(password), slice_of(buffer, STUN_HEADER_LEN),
                    slice_of(NULL, 0));
        size_t first = tag_len < sizeof tag ? tag_len : sizeof tag;
        write_u16(&writer.writer, STUN_MESSAGE_INTEGRITY_SHA256);
        write_u16(&writer.writer, (uint16_t)tag_len);
        write_bytes(&writer.writer, tag, first);
        write_bytes(&writer.writer, zeros, tag_len - first);
        size_t len = stun_end(&writer);
        bool is_good = tag_len >= STUN_SHA256_MIN && tag_len <= HMAC_SHA256_LEN;
        cr_assert_eq(stun_read(slice_of(buffer, len), &message), is_good, "%zu", tag_len);
        if (is_good) {
            cr_assert(stun_sha256_is_valid(&message, text_slice(password)));
            buffer[STUN_HEADER_LEN + 4] ^= 1;
            cr_assert_not(stun_sha256_is_valid(&message, text_slice(password)));
        }
    }
}

Test(stun, random_bytes_are_refused_or_understood)
{
    struct rng rng;
    uint8_t bytes[200];
    uint32_t accepted = 0;
    rng_seed(&rng, 780);
    for (int round = 0; round < 100000; round++) {
        size_t len = STUN_HEADER_LEN + 4 * rng_below(&rng, 40);
        random_bytes(&rng, bytes, len);
        bytes[0] &= 1;
        bytes[2] = 0;
        bytes[3] = (uint8_t)(len - STUN_HEADER_LEN);
        memcpy(bytes + 4, (const uint8_t[]){0x21, 0x12, 0xa4, 0x42}, 4);
        if (len > STUN_HEADER_LEN) { /* A first attribute that fits. */
            bytes[STUN_HEADER_LEN + 2] = 0;
            bytes[STUN_HEADER_LEN + 3] = (uint8_t)rng_below(&rng, len - STUN_HEADER_LEN - 3);
        }
        accepted += stun_check(slice_of(bytes, len));
    }
    cr_assert_gt(accepted, 0);
}

/* --- on one socket with our own packets ------------------------------------------------------ */

/* A datagram of ours with everything random that may be, and a length that STUN could have. */
static size_t random_packet(struct rng *rng, enum packet_type type, uint8_t *bytes, size_t cap)
{
    size_t len = STUN_HEADER_LEN + 4 * rng_below(rng, (cap - STUN_HEADER_LEN) / 4);
    random_bytes(rng, bytes, cap);
    switch (type) {
    case PACKET_HANDSHAKE:
        packet_write_handshake(bytes, (enum packet_step)(1 + rng_below(rng, 5)),
                               (uint32_t)rng_next(rng), (uint32_t)rng_next(rng), 32);
        /* The message id is the sender's to choose: here it is the length STUN would have. */
        bytes[2] = (uint8_t)((len - STUN_HEADER_LEN) >> 8);
        bytes[3] = (uint8_t)(len - STUN_HEADER_LEN);
        break;
    case PACKET_COOKIE:
        packet_write_cookie(bytes, (uint32_t)rng_next(rng), rng_next(rng));
        break;
    case PACKET_DATA:
        packet_write_data(bytes, (uint32_t)rng_next(rng), rng_next(rng));
        break;
    }
    return len;
}

Test(stun, our_own_packets_are_never_taken_for_stun)
{
    static const enum packet_type types[] = {PACKET_HANDSHAKE, PACKET_COOKIE, PACKET_DATA};
    struct rng rng;
    uint8_t bytes[PORT_DATAGRAM_MAX];
    rng_seed(&rng, 443);
    for (int round = 0; round < 100000; round++) {
        enum packet_type type = types[round % 3];
        size_t len = random_packet(&rng, type, bytes, sizeof bytes);
        cr_assert_not(stun_is_message(slice_of(bytes, len)));
        /* Even when everything that is not fixed by the packet's shape is made to look like it. */
        if (type != PACKET_HANDSHAKE) {
            bytes[2] = (uint8_t)((len - STUN_HEADER_LEN) >> 8);
            bytes[3] = (uint8_t)(len - STUN_HEADER_LEN);
            memcpy(bytes + 4, (const uint8_t[]){0x21, 0x12, 0xa4, 0x42}, 4);
        }
        cr_assert_not(stun_is_message(slice_of(bytes, len)), "type %d", type);
    }
}

/* And fragments, when they come, have a number below their count: 0x21 of 0x12 never is one. */
Test(stun, no_stun_message_is_taken_for_a_packet_of_ours)
{
    static uint8_t buffer[RANDOM_MAX];
    static uint8_t texts[4 * RANDOM_MAX];
    struct rng rng;
    rng_seed(&rng, 444);
    for (int round = 0; round < 20000; round++) {
        struct stun_message said;
        struct packet_handshake handshake;
        uint32_t present;
        size_t len = random_message(&rng, buffer, texts, &said, &present);
        if (len == 0) {
            continue;
        }
        cr_assert_eq(stun_is_message(slice_of(buffer, len)), said.method < 0x80);
        if (said.method < 0x80) {
            cr_assert(buffer[0] != PACKET_COOKIE && buffer[0] != PACKET_DATA);
            cr_assert_gt(buffer[4], buffer[5]);
            cr_assert_not(packet_read_handshake(slice_of(buffer, len), &handshake));
        }
    }
}

/* --- inputs of the fuzzers, once more in every build ----------------------------------------- */

Test(stun, every_input_of_the_corpus_is_refused_or_understood)
{
    struct corpus_count count = corpus_replay(SOURCE_DIR "/tests/fuzz/corpus/stun", stun_check);
    cr_assert_geq(count.replayed, 8);
    cr_assert_geq(count.accepted, 4);
}

Test(stun, a_text_that_no_reader_would_take_is_a_bug, .signal = SIGABRT)
{
    static const uint8_t zeros[STUN_TEXT_MAX + 1];
    static const struct stun_id id;
    uint8_t buffer[2 * STUN_TEXT_MAX];
    struct stun_writer writer;
    stun_start(&writer, buffer, sizeof buffer, STUN_REQUEST, STUN_BINDING, &id);
    stun_add_bytes(&writer, STUN_SOFTWARE, slice_of(zeros, sizeof zeros));
}
