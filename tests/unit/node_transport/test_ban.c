/* test_ban.c - what a peer has to do to be banned, what others cannot do to it, and what a ban is.
 */
#include "tests/unit/node_transport/fixture.h"

#include "node/transport/packet.h"
#include "node/transport/session.h"

static void setup(void)
{
    fixture_open(3);
    peers->guard.peers_max = GUARD_WAYS;
    peers->guard.peer_per_minute = 100;
    peers->guard.peer_per_hour = 1000;
    peers->guard.threat_medium = 500;
    peers->guard.threat_high = 2000;
    peers->guard.threat_decay = 5;
    peers->guard.weights[GUARD_EXCESS] = 1;
    peers->guard.weights[GUARD_UNASKED] = 1;
    peers->guard.weights[GUARD_UNKNOWN] = 5;
    peers->guard.weights[GUARD_MALFORMED] = 200;
    toy_peers_start(peers);
}

TestSuite(ban, .init = setup, .fini = fixture_close, .timeout = 60);

static const struct node_id *id_of(uint32_t index)
{
    return &peer_at(index)->identity.id;
}

static bool bans(uint32_t index, uint32_t other)
{
    return guard_is_banned(&peer_at(index)->guard, id_of(other));
}

static enum guard_threat threat(uint32_t index, uint32_t other)
{
    return guard_threat_of(&peer_at(index)->guard, id_of(other));
}

/* As node.c does it. */
static void ban(uint32_t index, uint32_t other)
{
    struct toy_peer *peer = peer_at(index);
    toy_enter(peer->toy);
    cr_assert_eq(guard_ban(&peer->guard, id_of(other), 0), ERR_OK);
    transport_drop(&peer->transport, id_of(other));
    toy_leave(peer->toy);
}

/* Peer 0 seals bytes for peer 1 over their session. */
static void send_bytes(const uint8_t *bytes, size_t len)
{
    struct toy_peer *peer = peer_at(0);
    struct session *session = session_with(&peer->transport, contact_of(1), SESSION_ESTABLISHED);
    cr_assert_not_null(session);
    uint8_t datagram[PORT_DATAGRAM_MAX];
    memcpy(datagram + PACKET_DATA_HEADER_LEN, bytes, len);
    toy_enter(peer->toy);
    session_send(&peer->transport, session, datagram, len);
    toy_leave(peer->toy);
    toy_run_for(peers->world, TOY_LATENCY_US);
}

static uint32_t sent_by(uint32_t index)
{
    struct port_addr addr = toy_addr(index);
    uint32_t count = 0;
    for (uint32_t i = 0; i < network.count; i++) {
        count += port_addr_equal(&network.sent[i].from, &addr);
    }
    return count;
}

Test(ban, closes_sessions_and_meets_handshakes_with_silence)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    (void)ask_now(2, 1, MESSAGE_STORE);
    ban(1, 0);
    cr_assert_null(session_with(&peer_at(1)->transport, contact_of(0), SESSION_ESTABLISHED));
    fixture_mark();
    struct toy_answer answers[3];
    toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answers[0]);
    toy_run_for(peers->world, 10 * SECOND);
    toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answers[1]); /* By a new session. */
    toy_run_for(peers->world, 10 * SECOND);
    cr_assert_eq(answers[0].lost, 1);
    cr_assert_eq(answers[1].lost, 1);
    cr_assert_eq(sent_by(1), 0);
    cr_assert_geq(counter_of(peer_at(1), COUNT_BANNED_DROPPED), 2);

    /* By address its key comes with the third message: that one is met with silence. */
    struct port_addr addr = toy_addr(1);
    toy_ask_addr(peer_at(0), &addr, MESSAGE_FIND_NODE, &answers[2]);
    toy_run_for(peers->world, 10 * SECOND);
    cr_assert_eq(answers[2].answered, 0);
    cr_assert_eq(counter_of(peer_at(1), COUNT_HANDSHAKES_DONE), 2, "those before the ban");
    (void)ask_now(2, 1, MESSAGE_STORE); /* Others notice nothing. */
}

Test(ban, means_that_we_do_not_call_the_peer_either)
{
    (void)ask_now(1, 0, MESSAGE_STORE);
    ban(1, 0);
    fixture_mark();
    struct toy_answer answer;
    toy_ask(peer_at(1), contact_of(0), MESSAGE_FIND_NODE, &answer);
    cr_assert_eq(answer.call, ERR_REFUSED);
    cr_assert_eq(network.count, 0);
    cr_assert_eq(guard_unban(&peer_at(1)->guard, id_of(0)), ERR_OK);
    (void)ask_now(1, 0, MESSAGE_FIND_NODE);
    (void)ask_now(0, 1, MESSAGE_FIND_NODE);
}

Test(ban, ends_the_calls_that_are_under_way)
{
    peer_at(0)->is_silent = true;
    struct toy_answer answers[2];
    toy_ask(peer_at(1), contact_of(0), MESSAGE_STORE, &answers[0]);
    toy_run_for(peers->world, 3 * TOY_LATENCY_US); /* Over an established session. */
    toy_ask(peer_at(1), contact_of(0), MESSAGE_FIND_NODE, &answers[1]);
    ban(1, 0);
    fixture_mark();
    toy_run_for(peers->world, 10 * SECOND);
    cr_assert_eq(answers[0].lost, 1);
    cr_assert_eq(answers[1].lost, 1);
    cr_assert_eq(network.count, 0, "nothing is sent to a banned peer");
}

Test(ban, comes_of_ten_malformed_messages)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    const uint8_t malformed[MESSAGE_HEADER_LEN + 3] = {MESSAGE_PING}; /* Too short. */
    for (uint32_t i = 0; i < 9; i++) {
        send_bytes(malformed, sizeof malformed);
    }
    cr_assert_eq(threat(1, 0), GUARD_MEDIUM);
    send_bytes(malformed, sizeof malformed);
    send_bytes(malformed, sizeof malformed);
    cr_assert(bans(1, 0));
    cr_assert_eq(counter_of(peer_at(1), COUNT_OFFENCES), 11);
    cr_assert_not(bans(1, 2));
}

/* What a newer node says that we do not understand must not cost it our company. */
Test(ban, does_not_come_of_unknown_messages_now_and_then)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    const uint8_t unknown[MESSAGE_HEADER_LEN] = {MESSAGE_KIND_MAX + 1};
    for (uint32_t i = 0; i < 100; i++) {
        send_bytes(unknown, sizeof unknown);
        toy_run_for(peers->world, SECOND);
    }
    cr_assert_eq(threat(1, 0), GUARD_LOW);
    cr_assert_eq(counter_of(peer_at(1), COUNT_OFFENCES), 100);
}

Test(ban, answers_that_nobody_asked_for_are_counted)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    const uint8_t answer[MESSAGE_HEADER_LEN + 1] = {MESSAGE_HEARD, 0, 0, 0, 9, 1};
    for (uint32_t i = 0; i < 400; i++) {
        send_bytes(answer, sizeof answer);
    }
    cr_assert_eq(counter_of(peer_at(1), COUNT_OFFENCES), 400);
    cr_assert_eq(threat(1, 0), GUARD_LOW, "late answers are honest");
}

/* Whoever has once seen a first message can send it again from anywhere: that must not be held
 * against its author, neither as a threat nor against its allowance. */
Test(ban, cannot_be_brought_about_by_replaying_first_messages)
{
    (void)ask_now(0, 1, MESSAGE_FIND_NODE);
    struct sent captured = network.sent[0];
    cr_assert_eq(captured.bytes[0], PACKET_HANDSHAKE);
    fixture_mark();
    for (uint32_t i = 0; i < 3000; i++) {
        struct port_addr from = toy_addr(2);
        toy_inject(peers->world, &from, &captured.to, slice_of(captured.bytes, captured.len));
        toy_run_for(peers->world, TOY_LATENCY_US);
        fixture_mark();
    }
    cr_assert_gt(counter_of(peer_at(1), COUNT_THROTTLED), 2000);
    cr_assert_eq(counter_of(peer_at(1), COUNT_OFFENCES), 0);
    cr_assert_eq(threat(1, 0), GUARD_LOW);
    struct toy_answer answers[50];
    for (uint32_t i = 0; i < 50; i++) { /* Early ones are not answered, but the session is made. */
        toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answers[i]);
        toy_run_for(peers->world, 5 * SECOND);
        cr_assert_eq(answers[i].answered, 1, "call %u", i);
    }
}

/* The same with forged source addresses and garbage: nothing that fails a check is anybody's. */
Test(ban, cannot_be_brought_about_by_forged_datagrams)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    struct port_addr source = toy_addr(0);
    struct port_addr target = toy_addr(1);
    uint32_t seen = network.count;
    struct rng rng;
    rng_seed(&rng, 5);
    for (uint32_t i = 0; i < 5000; i++) {
        struct sent forged = network.sent[rng_below(&rng, seen)];
        forged.bytes[rng_below(&rng, forged.len)] ^= (uint8_t)(1 + rng_below(&rng, 255));
        toy_inject(peers->world, &source, &target, slice_of(forged.bytes, forged.len));
    }
    fixture_settle();
    cr_assert_eq(counter_of(peer_at(1), COUNT_OFFENCES), 0);
    (void)ask_now(0, 1, MESSAGE_STORE);
}
