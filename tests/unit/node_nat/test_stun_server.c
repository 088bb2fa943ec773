/* test_stun_server.c - what is answered, from where, to whom, and never with more than it may. */
#include <criterion/criterion.h>

#include "node/base/rng.h"
#include "tests/support/stun_check.h"

enum { REQUEST_MAX = 1024 };

static const struct stun_id id = {{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2}};

static struct port_addr addr_v4(uint8_t last, uint16_t port)
{
    return (struct port_addr){
        .ip = {[10] = 0xff, [11] = 0xff, [12] = 198, [13] = 51, [14] = 100, [15] = last},
        .port = {(uint8_t)(port >> 8), (uint8_t)port},
    };
}

static struct port_addr addr_v6(uint8_t last, uint16_t port)
{
    return (struct port_addr){
        .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = last},
        .port = {(uint8_t)(port >> 8), (uint8_t)port},
    };
}

static struct stun_server_config config_of(bool has_other, bool is_v4)
{
    static const char software[] = "meshtwin";
    struct stun_server_config config = {.software = slice_of(software, sizeof software - 1),
                                        .has_other = has_other};
    for (uint8_t i = 0; i < STUN_LOCALS; i++) {
        uint8_t last = 1 + i / STUN_OTHER_IP;
        uint16_t port = 3478 + i % STUN_OTHER_IP;
        config.local[i] = is_v4 ? addr_v4(last, port) : addr_v6(last, port);
    }
    return config;
}

struct asked {
    uint8_t bytes[REQUEST_MAX];
    struct stun_writer writer;
};

static void ask(struct asked *asked, enum stun_class class, uint16_t method)
{
    stun_start(&asked->writer, asked->bytes, sizeof asked->bytes, class, method, &id);
}

static bool answer(const struct stun_server_config *config, struct asked *asked, uint8_t local,
                   const struct port_addr *from, struct stun_server_reply *reply)
{
    struct stun_server_question question = {
        .request = slice_of(asked->bytes, stun_end(&asked->writer)),
        .from = *from,
        .local = local,
    };
    return stun_server_answer(config, &question, reply);
}

static struct stun_message said(const struct stun_server_reply *reply)
{
    struct stun_message message;
    cr_assert(stun_read(slice_of(reply->bytes, reply->len), &message));
    cr_assert_eq(memcmp(&message.id, &id, sizeof id), 0);
    return message;
}

Test(stun_server, a_bare_request_is_told_its_address)
{
    struct stun_server_config config = config_of(false, true);
    struct port_addr from = addr_v4(77, 40000);
    struct stun_server_reply reply;
    struct asked asked;
    ask(&asked, STUN_REQUEST, STUN_BINDING);
    cr_assert(answer(&config, &asked, 0, &from, &reply));
    struct stun_message message = said(&reply);
    cr_assert_eq(message.class, STUN_SUCCESS);
    cr_assert(port_addr_equal(&reply.to, &from));
    cr_assert_eq(reply.local, 0);
    cr_assert(stun_has(&message, STUN_XOR_MAPPED_ADDRESS));
    cr_assert(port_addr_equal(&message.xor_mapped, &from));
    cr_assert_not(stun_has(&message, STUN_OTHER_ADDRESS));
    cr_assert_not(stun_has(&message, STUN_FINGERPRINT));
    cr_assert_eq(message.software.len, 8);
}

/* RFC 5780 sections 7.2 to 7.4, from each address and with all flags. */
Test(stun_server, discovery_is_answered_from_the_address_that_was_wanted)
{
    struct stun_server_config config = config_of(true, true);
    struct port_addr from = addr_v4(77, 40000);
    for (uint8_t local = 0; local < STUN_LOCALS; local++) {
        for (uint32_t change = 0; change < 8; change++) {
            struct stun_server_reply reply;
            struct asked asked;
            ask(&asked, STUN_REQUEST, STUN_BINDING);
            stun_add_number(&asked.writer, STUN_CHANGE_REQUEST, change);
            stun_add_bytes(&asked.writer, STUN_SOFTWARE, slice_of("filled up to the answer's", 24));
            stun_add_bytes(&asked.writer, STUN_REALM, slice_of("filled up to the answer's", 24));
            cr_assert(answer(&config, &asked, local, &from, &reply));
            uint8_t ip = (local / 2) ^ ((change & STUN_CHANGE_IP) != 0);
            uint8_t port = (local % 2) ^ ((change & STUN_CHANGE_PORT) != 0);
            cr_assert_eq(reply.local, 2 * ip + port, "from %u with %u", local, change);
            struct stun_message message = said(&reply);
            cr_assert(port_addr_equal(&reply.to, &from));
            cr_assert(port_addr_equal(&message.xor_mapped, &from));
            cr_assert(port_addr_equal(&message.origin, &config.local[reply.local]));
            cr_assert(port_addr_equal(&message.other, &config.local[3 - local]));
            cr_assert(port_addr_equal(&message.mapped, &from));
        }
    }
}

/* The shortest request of all, as clients of others send it: 28 bytes. */
Test(stun_server, an_answer_from_another_address_is_never_longer_than_the_request)
{
    for (int kind = 0; kind < 4; kind++) {
        bool is_v4 = kind % 2 == 0;
        bool has_fingerprint = kind / 2 == 1;
        struct stun_server_config config = config_of(true, is_v4);
        struct port_addr from = is_v4 ? addr_v4(77, 40000) : addr_v6(77, 40000);
        size_t mapped_at =
            STUN_HEADER_LEN + stun_addr_len(&from) + (has_fingerprint ? STUN_FINGERPRINT_LEN : 0u);
        for (size_t filling = 0; filling < 160; filling += 4) {
            static const uint8_t zeros[160];
            struct stun_server_reply reply;
            struct asked asked;
            ask(&asked, STUN_REQUEST, STUN_BINDING);
            stun_add_number(&asked.writer, STUN_CHANGE_REQUEST, STUN_CHANGE_IP);
            if (filling > 0) {
                stun_add_bytes(&asked.writer, STUN_SOFTWARE, slice_of(zeros, filling));
            }
            if (has_fingerprint) {
                stun_add_fingerprint(&asked.writer);
            }
            size_t request_len = stun_end(&asked.writer);
            cr_assert(answer(&config, &asked, 0, &from, &reply));
            struct stun_message message = said(&reply);
            cr_assert_leq(reply.len, request_len);
            cr_assert_eq(stun_has(&message, STUN_FINGERPRINT), has_fingerprint);
            cr_assert_eq(stun_has(&message, STUN_XOR_MAPPED_ADDRESS), request_len >= mapped_at);
        }
    }
}

Test(stun_server, an_answer_to_the_longest_addresses_fits)
{
    struct stun_server_config config = config_of(true, false);
    struct port_addr from = addr_v6(77, 40000);
    struct stun_server_reply reply;
    struct asked asked;
    ask(&asked, STUN_REQUEST, STUN_BINDING);
    stun_add_fingerprint(&asked.writer);
    cr_assert(answer(&config, &asked, 0, &from, &reply));
    struct stun_message message = said(&reply);
    cr_assert(stun_has(&message, STUN_MAPPED_ADDRESS) && stun_has(&message, STUN_OTHER_ADDRESS) &&
              stun_has(&message, STUN_RESPONSE_ORIGIN) && stun_has(&message, STUN_FINGERPRINT));
    cr_assert_leq(reply.len, STUN_ANSWER_MAX);
}

/* Section 6.3.1, and RFC 5780 section 6.1 for CHANGE-REQUEST. */
Test(stun_server, what_it_must_not_ignore_is_refused_by_name)
{
    static const struct {
        enum stun_attribute attribute;
        bool is_refused;
    } cases[] = {
        {STUN_PRIORITY, true},        {STUN_RESPONSE_PORT, true},    {STUN_CHANGE_REQUEST, true},
        {STUN_ICE_CONTROLLED, false}, {STUN_ICE_CONTROLLING, false},
    };
    struct stun_server_config config = config_of(false, true);
    struct port_addr from = addr_v4(77, 40000);
    for (size_t i = 0; i < array_len(cases); i++) {
        struct stun_server_reply reply;
        struct asked asked;
        ask(&asked, STUN_REQUEST, STUN_BINDING);
        stun_add_number(&asked.writer, cases[i].attribute, 6);
        cr_assert(answer(&config, &asked, 0, &from, &reply));
        struct stun_message message = said(&reply);
        cr_assert_eq(message.class, cases[i].is_refused ? STUN_ERROR : STUN_SUCCESS);
        cr_assert_eq(reply.local, 0);
        if (cases[i].is_refused) {
            cr_assert_eq(message.error_code, STUN_UNKNOWN_ATTRIBUTE);
            cr_assert_eq(message.refused.count, 1);
            cr_assert_eq(message.refused.type[0], cases[i].attribute);
        }
    }
}

Test(stun_server, unknown_attributes_are_listed_as_far_as_an_answer_goes)
{
    struct stun_server_config config = config_of(true, true);
    struct port_addr from = addr_v4(77, 40000);
    struct stun_server_reply reply;
    struct asked asked;
    ask(&asked, STUN_REQUEST, STUN_BINDING);
    stun_add_number(&asked.writer, STUN_PRIORITY, 6);
    for (unsigned i = 0; i < 40; i++) {
        write_u16(&asked.writer.writer, (uint16_t)(0x7000 + i));
        write_u16(&asked.writer.writer, 0);
    }
    stun_add_fingerprint(&asked.writer);
    cr_assert(answer(&config, &asked, 3, &from, &reply));
    struct stun_message message = said(&reply);
    cr_assert_eq(message.refused.count, STUN_UNKNOWN_MAX);
    cr_assert_eq(message.refused.type[0], 0x7000);
    cr_assert(stun_has(&message, STUN_FINGERPRINT));
    cr_assert_eq(reply.local, 3);
}

/* Credentials and tags are no obstacle: nothing here is for friends only. */
Test(stun_server, credentials_change_nothing)
{
    struct stun_server_config config = config_of(false, true);
    struct port_addr from = addr_v4(77, 40000);
    struct stun_server_reply reply;
    struct asked asked;
    ask(&asked, STUN_REQUEST, STUN_BINDING);
    stun_add_bytes(&asked.writer, STUN_USERNAME, slice_of("user", 4));
    stun_add_integrity(&asked.writer, slice_of("whatever", 8));
    cr_assert(answer(&config, &asked, 0, &from, &reply));
    cr_assert_eq(said(&reply).class, STUN_SUCCESS);
}

Test(stun_server, anything_else_is_met_with_silence)
{
    static const struct {
        enum stun_class class;
        uint16_t method;
    } cases[] = {{STUN_INDICATION, STUN_BINDING},
                 {STUN_SUCCESS, STUN_BINDING},
                 {STUN_ERROR, STUN_BINDING},
                 {STUN_REQUEST, 3}, /* TURN's Allocate. */
                 {STUN_REQUEST, 0}};
    struct stun_server_config config = config_of(true, true);
    struct port_addr from = addr_v4(77, 40000);
    struct stun_server_reply reply;
    struct asked asked;
    for (size_t i = 0; i < array_len(cases); i++) {
        ask(&asked, cases[i].class, cases[i].method);
        cr_assert_not(answer(&config, &asked, 0, &from, &reply), "%zu", i);
    }
    ask(&asked, STUN_REQUEST, STUN_BINDING);
    stun_add_fingerprint(&asked.writer);
    asked.bytes[STUN_HEADER_LEN + 7] ^= 1;
    cr_assert_not(answer(&config, &asked, 0, &from, &reply));
    ask(&asked, STUN_REQUEST, STUN_BINDING);
    asked.bytes[4] ^= 1; /* Another cookie: RFC 3489. */
    cr_assert_not(answer(&config, &asked, 0, &from, &reply));
}

/* Whatever comes: the bounds of stun_check.h. */
Test(stun_server, altered_requests_never_get_more_than_they_may)
{
    struct rng rng;
    rng_seed(&rng, 5780);
    for (int round = 0; round < 50000; round++) {
        struct asked asked;
        ask(&asked, STUN_REQUEST, STUN_BINDING);
        stun_add_number(&asked.writer, STUN_CHANGE_REQUEST, rng_below(&rng, 8));
        stun_add_bytes(&asked.writer, STUN_SOFTWARE, slice_of("0123456789", rng_below(&rng, 10)));
        size_t len = stun_end(&asked.writer);
        for (uint64_t flips = rng_below(&rng, 3); flips > 0; flips--) {
            asked.bytes[rng_below(&rng, len)] ^= (uint8_t)(1u << rng_below(&rng, 8));
        }
        (void)stun_check(slice_of(asked.bytes, len));
    }
}
