/* test_amplification.c - an address that never proved that it can receive is sent no more bytes
 * than came from it: counted for every type of datagram and every kind of message.
 *
 * Each datagram of a real conversation is caught before it arrives and delivered from an address
 * that nobody answers at, as if that were its forged source. */
#include "tests/unit/node_transport/fixture.h"

#include <stdio.h>

#include "node/transport/packet.h"

enum {
    TYPES_MAX = 64,
    NAME_LEN = 48,
};

static const struct port_addr forged = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 9}, .port = {1, 2}};
static const uint8_t requests[] = {MESSAGE_PING,  MESSAGE_FIND_NODE, MESSAGE_FIND_VALUE,
                                   MESSAGE_STORE, MESSAGE_EXCHANGE,  MESSAGE_BROADCAST,
                                   MESSAGE_APP};

static struct {
    char name[NAME_LEN];
    uint32_t len;
    uint64_t drawn;
} types[TYPES_MAX];
static uint32_t type_count;

static void setup(void)
{
    fixture_open(2);
    type_count = 0;
}

static void teardown(void)
{
    cr_assert_gt(type_count, 0);
    for (uint32_t i = 0; i < type_count; i++) {
        fprintf(stderr, "%-36s %5u in %5u out\n", types[i].name, types[i].len,
                (unsigned)types[i].drawn);
    }
    fixture_close();
}

TestSuite(amplification, .init = setup, .fini = teardown, .timeout = 120);

static void start(void)
{
    toy_peers_start(peers);
    for (uint32_t i = 0; i < peers->count; i++) {
        peer_at(i)->is_generous = true; /* Answers with all that fits. */
        peer_at(i)->is_curious = true;  /* And asks to be confirmed. */
    }
}

/* The same peers with no sessions. */
static void forget(void)
{
    for (uint32_t i = 0; i < peers->count; i++) {
        toy_peer_restart(peers, i);
        peer_at(i)->is_generous = true;
        peer_at(i)->is_curious = true;
    }
}

/* Delivers the datagram from the forged address, for as long as anybody may repeat an answer. */
static void deliver(const struct sent *caught, const char *packet, uint8_t kind)
{
    fixture_mark();
    toy_inject(peers->world, &forged, &caught->to, slice_of(caught->bytes, caught->len));
    toy_run_for(peers->world, 20 * SECOND);
    uint64_t drawn = 0;
    for (uint32_t i = 0; i < network.count; i++) {
        drawn += port_addr_equal(&network.sent[i].to, &forged) ? network.sent[i].len : 0;
    }
    cr_assert_lt(type_count, TYPES_MAX);
    (void)snprintf(types[type_count].name, NAME_LEN, "%s %s", packet,
                   kind != 0 ? message_text(kind) : "");
    types[type_count].len = caught->len;
    types[type_count++].drawn = drawn;
    cr_assert_leq(drawn, caught->len, "%s %s", packet, message_text(kind));
}

/* Peer 0 asks peer 1; datagram `number` of what follows, and all later ones, are caught. */
static struct sent catch_at(uint8_t kind, bool is_by_addr, int64_t number)
{
    static struct toy_answer answers[TYPES_MAX];
    static uint32_t asked;
    struct toy_answer *answer = &answers[asked++ % TYPES_MAX];
    struct port_addr addr = toy_addr(1);
    uint32_t contact = contact_of(1);
    fixture_mark();
    network.drop_from = number;
    if (is_by_addr) {
        toy_ask_addr(peer_at(0), &addr, kind, answer);
    } else {
        toy_ask(peer_at(0), contact, kind, answer);
    }
    toy_run_for(peers->world, 4 * TOY_LATENCY_US);
    cr_assert_gt(network.count, number);
    return network.sent[number];
}

Test(amplification, no_first_message_draws_more_than_it_brought)
{
    start();
    for (size_t i = 0; i < array_len(requests); i++) {
        bool is_read = message_class_of(requests[i]) == MESSAGE_READ;
        forget();
        struct sent caught = catch_at(requests[i], false, 0);
        deliver(&caught, is_read ? "IK 1 with" : "IK 1 before", requests[i]);
        cr_assert_gt(types[type_count - 1].drawn, 0, "it was answered");
    }
    forget();
    struct sent caught = catch_at(MESSAGE_FIND_NODE, true, 0);
    deliver(&caught, "XX 1", 0);
    cr_assert_gt(types[type_count - 1].drawn, 0, "it was answered");
}

Test(amplification, no_later_handshake_message_draws_anything)
{
    start();
    for (size_t i = 0; i < array_len(requests); i++) {
        forget();
        struct sent caught = catch_at(requests[i], true, 2);
        deliver(&caught, "XX 3 with", requests[i]);
        cr_assert_eq(types[type_count - 1].drawn, 0);
        forget();
        caught = catch_at(requests[i], false, 1);
        deliver(&caught, "IK 2 after", requests[i]);
        cr_assert_eq(types[type_count - 1].drawn, 0);
    }
    forget();
    struct sent caught = catch_at(MESSAGE_FIND_NODE, true, 1);
    deliver(&caught, "XX 2", 0);
    cr_assert_eq(types[type_count - 1].drawn, 0);
}

Test(amplification, cookies_are_shorter_than_what_asks_for_them)
{
    peers->guard.handshake_rate = 1;
    peers->guard.handshake_burst = 0;
    start();
    for (int is_by_addr = 0; is_by_addr < 2; is_by_addr++) {
        forget();
        struct sent caught = catch_at(MESSAGE_PING, is_by_addr, 0);
        deliver(&caught, is_by_addr ? "XX 1 under load" : "IK 1 under load", 0);
        cr_assert_eq(types[type_count - 1].drawn, PACKET_COOKIE_LEN);
        forget();
        caught = catch_at(MESSAGE_PING, is_by_addr, 1);
        cr_assert_eq(caught.bytes[0], PACKET_COOKIE);
        deliver(&caught, "COOKIE", 0);
        cr_assert_eq(types[type_count - 1].drawn, 0);
    }
}

/* A peer that has moved, or somebody who catches its datagrams and sends them on from elsewhere. */
Test(amplification, no_data_from_a_new_address_draws_more_than_it_brought)
{
    start();
    uint32_t drawing = 0;
    for (size_t i = 0; i < array_len(requests); i++) {
        for (int64_t number = 0; number < 2; number++) {
            forget();
            (void)ask_now(0, 1, MESSAGE_STORE);
            struct sent caught = catch_at(requests[i], false, number);
            cr_assert_eq(caught.bytes[0], PACKET_DATA);
            deliver(&caught, "DATA", (uint8_t)(requests[i] + number));
            drawing += types[type_count - 1].drawn > 0;
        }
    }
    cr_assert_gt(drawing, array_len(requests), "new addresses are probed");
    forget();
    struct sent caught = catch_at(MESSAGE_FIND_NODE, false, 2);
    cr_assert_eq(caught.len, PACKET_DATA_OVERHEAD);
    deliver(&caught, "DATA without a message", 0);
    cr_assert_eq(types[type_count - 1].drawn, 0);
}
