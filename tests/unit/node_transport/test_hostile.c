/* test_hostile.c - what strangers can do to a node with datagrams: very little. */
#include "tests/unit/node_transport/fixture.h"

#include "node/transport/packet.h"

static void setup(void)
{
    fixture_open(3);
}

TestSuite(hostile, .init = setup, .fini = fixture_close, .timeout = 120);

/* An address at which nobody we know lives. */
static const struct port_addr elsewhere = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 9}, .port = {1, 2}};

/* Bytes sent to `to` since the mark. */
static uint64_t bytes_to(const struct port_addr *to)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < network.count; i++) {
        total += port_addr_equal(&network.sent[i].to, to) ? network.sent[i].len : 0;
    }
    return total;
}

/* A conversation of every kind of datagram; returns how many, kept in `copies`. */
static uint32_t record_conversation(struct sent *copies)
{
    struct port_addr addr = toy_addr(1);
    struct toy_answer answers[4];
    fixture_mark();
    toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answers[0]);
    fixture_settle();
    toy_ask(peer_at(0), contact_of(1), MESSAGE_STORE, &answers[1]);
    fixture_settle();
    toy_ask_addr(peer_at(2), &addr, MESSAGE_FIND_VALUE, &answers[2]);
    fixture_settle();
    toy_ask(peer_at(1), contact_of(2), MESSAGE_STORE, &answers[3]);
    fixture_settle();
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(answers[i].answered, 1);
    }
    memcpy(copies, network.sent, network.count * sizeof *copies);
    return network.count;
}

static uint32_t handshakes_done(void)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < peers->count; i++) {
        done += counter_of(peer_at(i), COUNT_HANDSHAKES_DONE);
    }
    return done;
}

Test(hostile, replaying_a_whole_conversation_moves_nothing_and_gains_nothing)
{
    static struct sent copies[64];
    toy_peers_start(peers);
    peer_at(1)->is_generous = true;
    uint32_t count = record_conversation(copies);
    cr_assert_geq(count, 10);
    uint32_t done = handshakes_done();
    uint32_t verified = peer_at(0)->verified + peer_at(1)->verified + peer_at(2)->verified;
    for (uint32_t i = 0; i < count; i++) {
        const struct port_addr *sources[] = {&copies[i].from, &elsewhere};
        for (int j = 0; j < 2; j++) {
            fixture_mark();
            toy_inject(peers->world, sources[j], &copies[i].to,
                       slice_of(copies[i].bytes, copies[i].len));
            toy_run_for(peers->world, 3 * TOY_LATENCY_US);
            cr_assert_leq(network.count, 1, "datagram %u", i);
            cr_assert_leq(bytes_to(sources[j]), copies[i].len, "datagram %u", i);
        }
    }
    fixture_settle();
    cr_assert_eq(handshakes_done(), done);
    cr_assert_eq(peer_at(0)->verified + peer_at(1)->verified + peer_at(2)->verified, verified);
    cr_assert_eq(counter_of(peer_at(0), COUNT_MALFORMED), 0);
    cr_assert_gt(counter_of(peer_at(1), COUNT_REPLAYED), 0);
    /* And the sessions of before still carry what they are asked to. */
    fixture_mark();
    (void)ask_now(1, 2, MESSAGE_STORE);
    cr_assert_eq(network.count, 2);
    cr_assert_eq(network.sent[0].bytes[0], PACKET_DATA);
}

Test(hostile, any_flipped_bit_of_any_datagram_is_dropped_in_silence)
{
    static struct sent copies[64];
    toy_peers_start(peers);
    uint32_t count = record_conversation(copies);
    struct rng rng;
    rng_seed(&rng, 5);
    for (uint32_t i = 0; i < count; i++) {
        for (int j = 0; j < 40; j++) {
            struct sent *copy = &copies[i];
            struct packet_handshake packet;
            size_t len = copy->len;
            if (packet_read_handshake(slice_of(copy->bytes, len), &packet)) {
                len = packet.before_mac2.len; /* mac2 counts under load only, padding never. */
            }
            uint32_t bit = (uint32_t)rng_below(&rng, len * 8);
            copy->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            fixture_mark();
            toy_inject(peers->world, &copy->from, &copy->to, slice_of(copy->bytes, copy->len));
            toy_run_for(peers->world, 3 * TOY_LATENCY_US);
            cr_assert_eq(network.count, 0, "datagram %u, bit %u", i, bit);
            copy->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

Test(hostile, a_call_survives_the_corruption_of_any_datagram)
{
    toy_peers_start(peers);
    struct rng rng;
    rng_seed(&rng, 9);
    for (uint32_t number = 0; number < 4; number++) {
        for (int i = 0; i < 8; i++) {
            toy_peer_restart(peers, 0);
            fixture_mark();
            network.corrupt = number;
            network.corrupt_bit = (uint32_t)rng_next(&rng);
            (void)ask_now(0, 1, number < 2 ? MESSAGE_FIND_NODE : MESSAGE_STORE);
        }
    }
}

Test(hostile, truncated_and_random_datagrams_are_dropped_in_silence)
{
    static struct sent copies[64];
    toy_peers_start(peers);
    uint32_t count = record_conversation(copies);
    struct rng rng;
    rng_seed(&rng, 6);
    for (uint32_t i = 0; i < 4000; i++) {
        uint8_t bytes[PORT_DATAGRAM_MAX];
        const struct sent *copy = &copies[rng_below(&rng, count)];
        struct packet_handshake packet;
        size_t whole = copy->len;
        if (packet_read_handshake(slice_of(copy->bytes, whole), &packet)) {
            whole = packet.before_mac2.len + CRYPTO_MAC_LEN;
        }
        size_t len = rng_below(&rng, whole);
        for (size_t j = 0; j < len; j++) {
            bytes[j] = i % 2 == 0 ? copy->bytes[j] : (uint8_t)rng_next(&rng);
        }
        if (len > 0 && i % 4 == 1) {
            bytes[0] = (uint8_t)(1 + rng_below(&rng, 3));
        }
        fixture_mark();
        toy_inject(peers->world, &copy->from, &copy->to, slice_of(bytes, len));
        toy_run_for(peers->world, 3 * TOY_LATENCY_US);
        cr_assert_eq(network.count, 0);
    }
    cr_assert_null(toy_peers_check(peers));
}

Test(hostile, no_first_message_is_answered_with_more_than_it_brought)
{
    toy_peers_start(peers);
    peer_at(1)->is_generous = true;
    peer_at(1)->is_curious = true;
    const uint8_t kinds[] = {MESSAGE_PING,  MESSAGE_FIND_NODE, MESSAGE_FIND_VALUE, MESSAGE_EXCHANGE,
                             MESSAGE_STORE, MESSAGE_BROADCAST, MESSAGE_APP};
    for (size_t i = 0; i < array_len(kinds); i++) {
        for (int by_addr = 0; by_addr < 2; by_addr++) {
            toy_peer_restart(peers, 0);
            fixture_mark();
            network.deaf = &peer_at(0)->toy->port.local; /* Never validated. */
            struct toy_answer answer;
            struct port_addr addr = toy_addr(1);
            if (by_addr) {
                toy_ask_addr(peer_at(0), &addr, kinds[i], &answer);
            } else {
                toy_ask(peer_at(0), contact_of(1), kinds[i], &answer);
            }
            uint64_t sent = 0;
            for (int step = 0; step < 50; step++) {
                toy_run_for(peers->world, SECOND / 10);
                sent = bytes_to(&addr);
                cr_assert_leq(bytes_to(&peer_at(0)->toy->port.local), sent);
            }
            cr_assert_gt(sent, 0);
            cr_assert_eq(answer.lost, 1);
        }
    }
}

Test(hostile, a_shortened_padding_shortens_the_answer)
{
    toy_peers_start(peers);
    peer_at(1)->is_generous = true;
    static struct sent copy;
    struct toy_answer answer = ask_now(0, 1, MESSAGE_FIND_NODE);
    cr_assert_eq(answer.contacts, 20);
    copy = network.sent[0];
    struct packet_handshake packet;
    cr_assert(packet_read_handshake(slice_of(copy.bytes, copy.len), &packet));
    size_t unpadded = packet.before_mac2.len + CRYPTO_MAC_LEN;
    for (size_t len = unpadded; len <= copy.len; len += 7) {
        fixture_mark();
        toy_inject(peers->world, &elsewhere, &copy.to, slice_of(copy.bytes, len));
        toy_run_for(peers->world, 3 * TOY_LATENCY_US);
        cr_assert_eq(network.count, 1);
        cr_assert_leq(network.sent[0].len, len);
    }
}

Test(hostile, under_load_only_who_returns_a_cookie_is_answered)
{
    peers->guard.handshake_rate = 1;
    peers->guard.handshake_burst = 0;
    toy_peers_start(peers);
    struct toy_answer answer = ask_now(0, 1, MESSAGE_FIND_NODE);
    cr_assert_eq(network.count, 4); /* IK 1, cookie, IK 1 with it, IK 2. */
    cr_assert_eq(network.sent[1].bytes[0], PACKET_COOKIE);
    cr_assert_lt(network.sent[1].len, network.sent[0].len);
    cr_assert_eq(answer.ended_us, 2 * RTT_US);
    cr_assert_eq(peer_at(1)->requests, 1);

    fixture_mark();
    struct port_addr addr = toy_addr(1);
    toy_ask_addr(peer_at(2), &addr, MESSAGE_FIND_NODE, &answer);
    fixture_settle();
    cr_assert_eq(answer.answered, 1);
    cr_assert_eq(network.count, 6);
}

/* Somebody may have used up the group's tokens in the peer's name: the cookie is the way past. */
Test(hostile, a_group_without_tokens_is_shown_the_way_in)
{
    peers->guard.group_rate = 1;
    peers->guard.group_burst = GUARD_HANDSHAKE;
    peers->guard.groups_max = GUARD_WAYS;
    toy_peers_start(peers);
    struct port_addr victim = toy_addr(0);
    cr_assert(guard_admit(&peer_at(1)->guard, &victim, GUARD_STRANGER, GUARD_HANDSHAKE));
    fixture_mark();
    struct toy_answer answer = ask_now(0, 1, MESSAGE_FIND_NODE);
    cr_assert_eq(network.count, 4); /* IK 1, cookie, IK 1 with it, IK 2. */
    cr_assert_eq(network.sent[1].bytes[0], PACKET_COOKIE);
    cr_assert_lt(network.sent[1].len, network.sent[0].len);
    cr_assert_eq(answer.answered, 1);
}

Test(hostile, a_cookie_is_good_for_its_address_only)
{
    peers->guard.handshake_rate = 1;
    peers->guard.handshake_burst = 0;
    toy_peers_start(peers);
    (void)ask_now(0, 1, MESSAGE_FIND_NODE);
    static struct sent with_cookie;
    with_cookie = network.sent[2];
    uint32_t requests = peer_at(1)->requests;
    fixture_mark();
    toy_inject(peers->world, &elsewhere, &with_cookie.to,
               slice_of(with_cookie.bytes, with_cookie.len));
    toy_run_for(peers->world, 3 * TOY_LATENCY_US);
    cr_assert_eq(network.count, 1);
    cr_assert_eq(network.sent[0].bytes[0], PACKET_COOKIE);
    cr_assert_eq(peer_at(1)->requests, requests);
}

Test(hostile, a_forged_cookie_is_ignored)
{
    peers->guard.handshake_rate = 1;
    peers->guard.handshake_burst = 0;
    toy_peers_start(peers);
    network.corrupt = 1;
    network.corrupt_bit = 150; /* In the sealed cookie. */
    struct toy_answer answer = ask_now(0, 1, MESSAGE_FIND_NODE);
    cr_assert_eq(counter_of(peer_at(0), COUNT_UNAUTHENTIC), 1);
    cr_assert_gt(answer.ended_us, 2 * RTT_US);
}

Test(hostile, a_flood_of_handshakes_leaves_sessions_in_use_alone)
{
    peers->transport.sessions_max = 8;
    toy_peers_start(peers);
    (void)ask_now(0, 1, MESSAGE_STORE);
    (void)ask_now(2, 1, MESSAGE_FIND_NODE);
    static struct sent first;
    first = network.sent[network.count - 2];
    cr_assert_eq(first.bytes[1], PACKET_IK_1);
    for (uint16_t i = 0; i < 1000; i++) {
        struct port_addr from = elsewhere;
        from.port[0] = (uint8_t)(i >> 8);
        from.port[1] = (uint8_t)i;
        toy_inject(peers->world, &from, &first.to, slice_of(first.bytes, first.len));
    }
    fixture_settle();
    cr_assert_leq(transport_session_count(&peer_at(1)->transport), 8);
    fixture_mark();
    (void)ask_now(0, 1, MESSAGE_STORE);
    cr_assert_eq(network.count, 2);
    cr_assert_eq(network.sent[0].bytes[0], PACKET_DATA);
}

Test(hostile, another_network_is_met_with_silence)
{
    toy_peers_start(peers);
    struct transport_config other = peers->transport;
    other.network_id++;
    peer_at(1)->transport.config = &other;
    struct toy_answer answers[2];
    struct port_addr addr = toy_addr(1);
    toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answers[0]);
    toy_ask_addr(peer_at(0), &addr, MESSAGE_FIND_NODE, &answers[1]);
    toy_run_for(peers->world, 10 * SECOND);
    cr_assert_eq(answers[0].lost, 1);
    cr_assert_eq(answers[1].lost, 1);
    cr_assert_eq(counter_of(peer_at(1), COUNT_DATAGRAMS_OUT), 0);
    cr_assert_eq(bytes_to(&peer_at(0)->toy->port.local), 0);
}

Test(hostile, a_contact_whose_key_is_no_key_is_lost_not_called)
{
    peers->transport.sessions_max = 8;
    toy_peers_start(peers);
    (void)ask_now(0, 1, MESSAGE_STORE);
    fixture_mark();
    const uint8_t keys[][CRYPTO_PUBLIC_LEN] = {{0}, {1}};
    for (size_t i = 0; i < array_len(keys); i++) {
        struct port *port = &peer_at(0)->toy->port;
        struct port_addr addr = toy_addr(1);
        uint32_t contact = contact_intern(port, keys[i], &addr);
        struct toy_answer answer;
        toy_ask(peer_at(0), contact, MESSAGE_FIND_NODE, &answer);
        cr_assert_gt(answer.call, 0);
        toy_run_for(peers->world, 10 * SECOND);
        cr_assert_eq(answer.lost, 1);
        port->ops->intern_release(port, contact);
    }
    cr_assert_eq(network.count, 0);
    cr_assert_eq(transport_session_count(&peer_at(0)->transport), 1); /* Nobody had to go. */
}

Test(hostile, a_node_does_not_talk_to_itself)
{
    toy_peers_start(peers);
    struct toy_answer answers[2];
    struct port_addr addr = toy_addr(0);
    toy_ask(peer_at(0), contact_of(0), MESSAGE_FIND_NODE, &answers[0]);
    toy_ask_addr(peer_at(0), &addr, MESSAGE_FIND_NODE, &answers[1]);
    toy_run_for(peers->world, 10 * SECOND);
    cr_assert_eq(answers[0].lost + answers[1].lost, 2);
    cr_assert_eq(peer_at(0)->requests, 0);
}

/* The responder has many strangers' handshakes half open; a call by address from each. */
Test(hostile, half_open_handshakes_are_bounded)
{
    peers->transport.sessions_max = 8;
    toy_peers_start(peers);
    struct toy_answer answers[20];
    struct port_addr addr = toy_addr(1);
    network.deaf = &peer_at(0)->toy->port.local;
    for (int i = 0; i < 7; i++) {
        toy_ask_addr(peer_at(0), &addr, MESSAGE_FIND_NODE, &answers[i]);
    }
    toy_run_for(peers->world, SECOND / 10);
    cr_assert_leq(transport_session_count(&peer_at(1)->transport), 2);
    cr_assert_null(toy_peers_check(peers));
    toy_run_for(peers->world, 10 * SECOND);
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(answers[i].lost, 1);
    }
}
