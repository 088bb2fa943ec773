/* test_message.c - every message there and back, and nothing else accepted. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/base/err.h"
#include "tests/support/wire_check.h"
#include "tests/unit/node_wire/random_message.h"

static struct bare_port *bare;
static struct rng rng;

static void setup(void)
{
    bare = bare_open(1);
    rng_seed(&rng, 2024);
}

static void teardown(void)
{
    cr_expect_eq(bare_references(bare), 0, "contacts leaked");
    bare_close(bare);
}

TestSuite(message, .init = setup, .fini = teardown, .timeout = 60);

struct encoded {
    uint8_t bytes[MESSAGE_MAX];
    int len;
};

/* A random message of the kind, encoded; released, so that only decoding holds contacts. Lists that
 * do not fit are cut, so what was written is what was drawn or less: decode to know. */
static void draw(uint8_t kind, struct encoded *encoded)
{
    uint8_t borrowed[MESSAGE_MAX];
    struct message message;
    random_message(&message, kind, bare, &rng, borrowed);
    encoded->len = message_encode(&bare->port, &message, encoded->bytes, sizeof encoded->bytes);
    cr_assert_gt(encoded->len, 0, "%s", message_text(kind));
    message_release(&bare->port, &message);
}

Test(message, every_kind_survives_the_way_there_and_back)
{
    for (size_t k = 0; k < message_kind_count; k++) {
        for (int i = 0; i < 300; i++) {
            uint8_t borrowed[MESSAGE_MAX];
            uint8_t wire[MESSAGE_MAX];
            struct message sent;
            struct message got;
            random_message(&sent, message_kinds[k], bare, &rng, borrowed);
            int len = message_encode(&bare->port, &sent, wire, sizeof wire);
            cr_assert_gt(len, 0);
            cr_assert(message_decode(&bare->port, slice_of(wire, (size_t)len), &got));
            cr_assert(messages_equal(&sent, &got), "%s, draw %d", message_text(sent.kind), i);
            message_release(&bare->port, &sent);
            message_release(&bare->port, &got);
        }
    }
}

Test(message, every_truncation_is_refused)
{
    for (size_t k = 0; k < message_kind_count; k++) {
        for (int i = 0; i < 20; i++) {
            struct encoded encoded;
            draw(message_kinds[k], &encoded);
            for (int len = 0; len < encoded.len; len++) {
                /* An allocation of its own, so that the sanitizer sees a read past the end. */
                uint8_t *exact = malloc(len > 0 ? (size_t)len : 1);
                memcpy(exact, encoded.bytes, (size_t)len);
                cr_assert_not(wire_check(bare, slice_of(exact, (size_t)len)), "%s cut to %d",
                              message_text(message_kinds[k]), len);
                free(exact);
            }
        }
    }
}

Test(message, trailing_bytes_are_refused)
{
    for (size_t k = 0; k < message_kind_count; k++) {
        for (int i = 0; i < 50; i++) {
            struct encoded encoded;
            draw(message_kinds[k], &encoded);
            uint8_t longer[MESSAGE_MAX + 1];
            memcpy(longer, encoded.bytes, (size_t)encoded.len);
            longer[encoded.len] = (uint8_t)rng_next(&rng);
            cr_assert_not(wire_check(bare, slice_of(longer, (size_t)encoded.len + 1)), "%s",
                          message_text(message_kinds[k]));
        }
    }
}

/* What is accepted encodes to the very same bytes (wire_check), whatever was done to them before.
 */
Test(message, altered_messages_are_refused_or_canonical)
{
    uint32_t accepted = 0;
    uint32_t refused = 0;
    for (int i = 0; i < 20000; i++) {
        struct encoded encoded;
        draw(message_kinds[rng_below(&rng, message_kind_count)], &encoded);
        uint64_t changes = 1 + rng_below(&rng, 3);
        for (uint64_t change = 0; change < changes; change++) {
            /* Mostly in the first bytes, where the structure is. */
            uint64_t range = rng_below(&rng, 2) == 0 ? 16 : (uint64_t)encoded.len;
            uint64_t at = rng_below(&rng, range) % (uint64_t)encoded.len;
            encoded.bytes[at] ^= (uint8_t)(1u << rng_below(&rng, 8));
        }
        bool is_accepted = wire_check(bare, slice_of(encoded.bytes, (size_t)encoded.len));
        accepted += is_accepted;
        refused += !is_accepted;
    }
    cr_assert_gt(accepted, 1000, "the test reached the bodies");
    cr_assert_gt(refused, 1000, "the test reached the limits");
}

Test(message, random_bytes_are_refused_or_canonical)
{
    for (int i = 0; i < 50000; i++) {
        uint8_t bytes[64];
        random_bytes(&rng, bytes, sizeof bytes);
        bytes[0] = message_kinds[rng_below(&rng, message_kind_count)];
        (void)wire_check(bare, slice_of(bytes, rng_below(&rng, sizeof bytes + 1)));
    }
}

Test(message, numbers_out_of_their_range_are_refused)
{
    static const struct {
        const char *what;
        uint8_t len;
        uint8_t bytes[24];
    } cases[] = {
        {"an unknown kind", 13, {0x7f}},
        {"find_node for no contacts", 26, {0x10}},
        {"a boolean of two", 6, {0x23, 0, 0, 0, 0, 2}},
        {"an address of family five", 15, {0x02, [13] = 5}},
        {"an exchange with a ttl of four", 14, {0x20, 0, 0, 0, 0, 4, 20, 7}},
        {"an exchange that wants nobody", 14, {0x20, 0, 0, 0, 0, 3, 0, 7}},
        {"an exchange that wants 21", 14, {0x20, 0, 0, 0, 0, 3, 21, 7}},
        {"an exchange without hashes", 14, {0x20, 0, 0, 0, 0, 3, 20, 0}},
        {"an exchange with 17 hashes", 14, {0x20, 0, 0, 0, 0, 3, 20, 17}},
        {"a stored status of four", 15, {0x15, 0, 0, 0, 0, 4}},
    };
    static const uint8_t sound[14] = {0x20, 0, 0, 0, 0, 3, 20, 7};
    cr_assert(wire_check(bare, slice_of(sound, sizeof sound)), "the pattern of the exchanges");
    for (size_t i = 0; i < array_len(cases); i++) {
        uint8_t bytes[32] = {0};
        memcpy(bytes, cases[i].bytes, sizeof cases[i].bytes);
        cr_expect_not(wire_check(bare, slice_of(bytes, cases[i].len)), "%s", cases[i].what);
    }
}

Test(message, a_mapped_address_has_its_short_form_only)
{
    uint8_t pong[5 + 8 + 1 + 16 + 2] = {0x02, [13] = 6, [24] = 0xff, 0xff, 10, 0, 0, 1};
    cr_assert_not(wire_check(bare, slice_of(pong, sizeof pong)));
    pong[23] = 1; /* Not in the mapped range any more. */
    cr_assert(wire_check(bare, slice_of(pong, sizeof pong)));
}

Test(message, a_list_of_21_contacts_is_refused)
{
    uint8_t bytes[5 + 1 + 21 * 39] = {0x11, 0, 0, 0, 0, 21};
    for (int i = 0; i < 21; i++) {
        bytes[6 + 39 * i] = (uint8_t)(i + 1);
        bytes[6 + 39 * i + 32] = 4;
    }
    cr_assert_not(wire_check(bare, slice_of(bytes, sizeof bytes)));
    bytes[5] = 20;
    cr_assert(wire_check(bare, slice_of(bytes, sizeof bytes - 39)));
}

Test(message, a_cache_serves_no_mutable_records)
{
    struct message store = {.kind = MESSAGE_STORE,
                            .store = {.is_cache = true, .record = {.kind = RECORD_MUTABLE}}};
    struct message value = {
        .kind = MESSAGE_VALUE,
        .value = {.has_record = true, .is_cached = true, .record = {.kind = RECORD_TOMBSTONE}}};
    uint8_t bytes[MESSAGE_MAX];
    int len = message_encode(&bare->port, &store, bytes, sizeof bytes);
    cr_assert_not(wire_check(bare, slice_of(bytes, (size_t)len)));
    len = message_encode(&bare->port, &value, bytes, sizeof bytes);
    cr_assert_not(wire_check(bare, slice_of(bytes, (size_t)len)));
}

static struct message twenty_contacts(uint8_t kind, bool is_v6)
{
    struct message message = {.kind = kind};
    for (uint8_t i = 0; i < MESSAGE_CONTACTS_MAX; i++) {
        uint8_t key[CRYPTO_PUBLIC_LEN] = {i};
        struct port_addr addr = {.ip = {0x20, 1, [15] = i}, .port = {1, i}};
        if (!is_v6) {
            addr = (struct port_addr){.ip = {[10] = 0xff, 0xff, 10, 0, i, 1}, .port = {1, i}};
        }
        message.nodes.contacts.handles[i] = contact_intern(&bare->port, key, &addr);
    }
    message.nodes.contacts.count = MESSAGE_CONTACTS_MAX;
    return message;
}

Test(message, a_contact_list_is_cut_to_whole_contacts_that_fit)
{
    struct message nodes = twenty_contacts(MESSAGE_NODES, false);
    for (size_t cap = MESSAGE_HEADER_LEN + 1; cap <= MESSAGE_MAX; cap++) {
        uint8_t bytes[MESSAGE_MAX];
        int len = message_encode(&bare->port, &nodes, bytes, cap);
        cr_assert_leq(len, (int)cap);
        struct message got;
        cr_assert(message_decode(&bare->port, slice_of(bytes, (size_t)len), &got));
        size_t fitting = (cap - MESSAGE_HEADER_LEN - 1) / 39;
        cr_assert_eq(got.nodes.contacts.count, fitting < 20 ? fitting : 20, "%zu bytes", cap);
        cr_assert_arr_eq(got.nodes.contacts.handles, nodes.nodes.contacts.handles,
                         got.nodes.contacts.count * sizeof(uint32_t), "the first are kept");
        message_release(&bare->port, &got);
    }
    uint8_t bytes[MESSAGE_HEADER_LEN];
    cr_assert_eq(message_encode(&bare->port, &nodes, bytes, sizeof bytes), ERR_TOO_LARGE);
    message_release(&bare->port, &nodes);
}

Test(message, what_does_not_fit_its_buffer_is_too_large)
{
    for (size_t k = 0; k < message_kind_count; k++) {
        uint8_t kind = message_kinds[k];
        if (kind == MESSAGE_NODES || kind == MESSAGE_PEERS || kind == MESSAGE_VALUE ||
            kind == MESSAGE_SOUGHT) {
            continue; /* Cut, see above. */
        }
        uint8_t borrowed[MESSAGE_MAX];
        struct message message;
        random_message(&message, kind, bare, &rng, borrowed);
        uint8_t whole[MESSAGE_MAX];
        int len = message_encode(&bare->port, &message, whole, sizeof whole);
        for (int cap = 0; cap < len; cap++) {
            uint8_t *exact = malloc(cap > 0 ? (size_t)cap : 1);
            cr_assert_eq(message_encode(&bare->port, &message, exact, (size_t)cap), ERR_TOO_LARGE);
            free(exact);
        }
    }
}

/* The largest answer a request can get, by encoding it. */
static int answer_len(uint8_t kind)
{
    uint8_t bytes[MESSAGE_MAX];
    struct message answer = {.kind = kind};
    switch (kind) {
    case MESSAGE_NODES:
    case MESSAGE_PEERS:
        answer = twenty_contacts(kind, false);
        break;
    case MESSAGE_VALUE: {
        static const uint8_t value[RECORD_VALUE_MAX];
        answer.value = (struct message_value){
            .has_record = true,
            .record = {.kind = RECORD_MUTABLE, .value = slice_of(value, sizeof value)}};
        break;
    }
    case MESSAGE_PUNCHING:
        answer.punching.side.count = PUNCH_CANDIDATES_MAX;
        break;
    case MESSAGE_STATED:
        answer.stated.said.state = IOU_REDEEMED; /* Signed: the longer form. */
        break;
    default:
        break; /* A PONG to a zero address is the longer, IPv6 one; the rest has one length. */
    }
    int len = message_encode(&bare->port, &answer, bytes, sizeof bytes);
    message_release(&bare->port, &answer);
    return len;
}

Test(message, an_answer_is_never_longer_than_its_bound)
{
    static const struct {
        struct message request;
        uint8_t answer;
    } pairs[] = {
        {{.kind = MESSAGE_PING}, MESSAGE_PONG},
        {{.kind = MESSAGE_FIND_NODE, .find_node = {.count = 20}}, MESSAGE_NODES},
        {{.kind = MESSAGE_FIND_VALUE, .find_value = {.count = 20}}, MESSAGE_VALUE},
        {{.kind = MESSAGE_STORE}, MESSAGE_STORED},
        {{.kind = MESSAGE_EXCHANGE, .exchange = {.wanted = 20}}, MESSAGE_PEERS},
        {{.kind = MESSAGE_BROADCAST}, MESSAGE_HEARD},
        {{.kind = MESSAGE_APP}, MESSAGE_APP_DONE},
        {{.kind = MESSAGE_STATEMENT}, MESSAGE_STATED},
        {{.kind = MESSAGE_SEEK}, MESSAGE_SEEKING},
        {{.kind = MESSAGE_REACH}, MESSAGE_REACHED},
        {{.kind = MESSAGE_DIAL}, MESSAGE_DIALLED},
        {{.kind = MESSAGE_RESERVE}, MESSAGE_RESERVED},
        {{.kind = MESSAGE_CONNECT}, MESSAGE_CONNECTED},
        {{.kind = MESSAGE_PUNCH}, MESSAGE_PUNCHING},
    };
    size_t requests = 0;
    for (size_t k = 0; k < message_kind_count; k++) {
        requests += message_class_of(message_kinds[k]) == MESSAGE_READ ||
                    message_class_of(message_kinds[k]) == MESSAGE_WRITE;
    }
    cr_assert_eq(requests, array_len(pairs), "every request has its row");
    for (size_t i = 0; i < array_len(pairs); i++) {
        size_t bound = message_answer_max(&pairs[i].request);
        cr_expect_leq(answer_len(pairs[i].answer), (int)bound, "%s",
                      message_text(pairs[i].request.kind));
        cr_expect_leq(bound, MESSAGE_MAX);
    }
}

Test(message, a_neighbourhood_of_ipv6_gets_fewer_contacts_not_a_larger_answer)
{
    struct message find = {.kind = MESSAGE_FIND_NODE, .find_node = {.count = 20}};
    struct message nodes = twenty_contacts(MESSAGE_NODES, true);
    uint8_t bytes[MESSAGE_MAX];
    int len = message_encode(&bare->port, &nodes, bytes, message_answer_max(&find));
    cr_assert_gt(len, 0);
    cr_assert_eq(bytes[MESSAGE_HEADER_LEN], 15);
    message_release(&bare->port, &nodes);
}

Test(message, the_largest_of_each_kind_fits_a_datagram)
{
    int longest = 0;
    for (size_t k = 0; k < message_kind_count; k++) {
        for (int i = 0; i < 200; i++) {
            struct encoded encoded;
            draw(message_kinds[k], &encoded);
            bool is_wrapped = message_kinds[k] == MESSAGE_RELAY;
            longest = encoded.len > longest && !is_wrapped ? encoded.len : longest;
        }
    }
    cr_assert_leq(longest, MESSAGE_MAX);
    cr_assert_leq(longest + 29, MESSAGE_RELAYED_MAX, "sealed, over a circuit");
    cr_assert_leq(MESSAGE_MAX + 40, PORT_DATAGRAM_MAX);
    /* The largest are broadcasts, and the draw does reach the limits. */
    cr_assert_eq(longest, MESSAGE_HEADER_LEN + BROADCAST_ID_LEN + CRYPTO_PUBLIC_LEN + 4 + 1 +
                              CRYPTO_SIGNATURE_LEN + 2 + MESSAGE_PAYLOAD_MAX);
}

Test(message, kinds_have_numbers_texts_and_classes_of_their_own)
{
    for (size_t i = 0; i < message_kind_count; i++) {
        cr_assert(message_kind_is_known(message_kinds[i]));
        cr_assert_lt(message_kinds[i], MESSAGE_KIND_MAX);
        for (size_t k = i + 1; k < message_kind_count; k++) {
            cr_assert_neq(message_kinds[i], message_kinds[k]);
            cr_assert_str_neq(message_text(message_kinds[i]), message_text(message_kinds[k]));
        }
    }
    cr_assert_not(message_kind_is_known(0));
    cr_assert_str_eq(message_text(0), "unknown");
    cr_assert_eq(message_class_of(0), MESSAGE_REPLY);
    cr_assert_eq(message_class_of(MESSAGE_STORE), MESSAGE_WRITE);
    cr_assert_eq(message_class_of(MESSAGE_FIND_NODE), MESSAGE_READ);
}

Test(message, encoding_an_unknown_kind_is_a_bug, .signal = SIGABRT)
{
    struct message message = {.kind = 0x7f};
    uint8_t bytes[MESSAGE_MAX];
    (void)message_encode(&bare->port, &message, bytes, sizeof bytes);
}
