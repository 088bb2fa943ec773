/* test_change.c - sessions through simultaneous opens, new keys, new addresses and full tables. */
#include "tests/unit/node_transport/fixture.h"

#include "node/transport/packet.h"

static void setup(void)
{
    fixture_open(24);
}

TestSuite(change, .init = setup, .fini = fixture_close, .timeout = 120);

static struct session *established(uint32_t at, uint32_t with)
{
    struct transport *transport = &peer_at(at)->transport;
    return session_with(transport, contact_of(with), SESSION_ESTABLISHED);
}

static void open_both_at_once(uint8_t kind, int64_t drop)
{
    toy_peer_restart(peers, 0);
    toy_peer_restart(peers, 1);
    fixture_mark();
    network.drop = drop;
    struct toy_answer answers[2];
    toy_ask(peer_at(0), contact_of(1), kind, &answers[0]);
    toy_ask(peer_at(1), contact_of(0), kind, &answers[1]);
    toy_run_for(peers->world, 10 * SECOND);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(answers[i].answered, 1, "caller %d, datagram %d lost", i, (int)drop);
        cr_assert_eq(answers[i].lost, 0);
    }
    cr_assert_null(toy_peers_check(peers));
}

Test(change, of_two_simultaneous_handshakes_the_lower_ids_wins)
{
    toy_peers_start(peers);
    const uint8_t kinds[] = {MESSAGE_FIND_NODE, MESSAGE_STORE};
    for (size_t i = 0; i < array_len(kinds); i++) {
        open_both_at_once(kinds[i], -1);
        bool is_first_lower =
            memcmp(&peer_at(0)->identity.id, &peer_at(1)->identity.id, sizeof(struct node_id)) < 0;
        const struct session *winner = established(0, 1);
        const struct session *loser = established(1, 0);
        cr_assert_not_null(winner);
        cr_assert_not_null(loser);
        cr_assert_eq(winner->is_initiator, is_first_lower);
        cr_assert_eq(loser->is_initiator, !is_first_lower);
        cr_assert_eq(winner->index, loser->peer_index);
        cr_assert_eq(winner->peer_index, loser->index);
        cr_assert_eq(transport_session_count(&peer_at(0)->transport), 1);
        cr_assert_eq(transport_session_count(&peer_at(1)->transport), 1);
    }
}

Test(change, simultaneous_handshakes_survive_the_loss_of_any_datagram)
{
    toy_peers_start(peers);
    for (int64_t drop = 0; drop < 7; drop++) {
        open_both_at_once(MESSAGE_FIND_NODE, drop);
        open_both_at_once(MESSAGE_STORE, drop);
    }
}

Test(change, rekeying_loses_nothing_that_is_under_way)
{
    peers->transport.rekey_after_us = 5 * SECOND;
    toy_peers_start(peers);
    (void)ask_now(0, 1, MESSAGE_STORE);
    uint32_t contact = contact_of(1);
    struct toy_answer answers[400];
    for (int i = 0; i < 400; i++) {
        toy_ask(peer_at(0), contact, i % 4 == 3 ? MESSAGE_STORE : MESSAGE_FIND_NODE, &answers[i]);
        toy_run_for(peers->world, SECOND / 20);
    }
    fixture_settle();
    for (int i = 0; i < 400; i++) {
        cr_assert_eq(answers[i].answered, 1, "call %d", i);
        cr_assert_leq(answers[i].rtt_us, RTT_US);
    }
    cr_assert_eq(counter_of(peer_at(0), COUNT_RETRANSMITS), 0);
    cr_assert_geq(counter_of(peer_at(0), COUNT_HANDSHAKES_DONE), 4);
    cr_assert_leq(counter_of(peer_at(0), COUNT_HANDSHAKES_DONE), 6);
    cr_assert_leq(transport_session_count(&peer_at(0)->transport), 2);
}

Test(change, keys_are_renewed_after_so_many_messages)
{
    peers->transport.rekey_after_messages = 10;
    toy_peers_start(peers);
    for (int i = 0; i < 40; i++) {
        struct toy_answer answer;
        toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answer);
        fixture_settle();
        cr_assert_eq(answer.answered, 1);
    }
    cr_assert_geq(counter_of(peer_at(0), COUNT_HANDSHAKES_DONE), 3);
}

Test(change, writes_alone_renew_their_keys_at_twice_the_age)
{
    peers->transport.rekey_after_us = 5 * SECOND;
    toy_peers_start(peers);
    for (int i = 0; i < 13; i++) { /* One a second; the first makes the first keys. */
        struct toy_answer answer;
        toy_ask(peer_at(0), contact_of(1), MESSAGE_STORE, &answer);
        fixture_settle();
        cr_assert_eq(answer.answered, 1);
        cr_assert_eq(counter_of(peer_at(0), COUNT_HANDSHAKES_DONE), i <= 10 ? 1 : 2, "call %d", i);
    }
}

Test(change, old_keys_are_refused_after_they_have_drained)
{
    peers->transport.rekey_after_us = SECOND;
    toy_peers_start(peers);
    struct toy_answer answers[2];
    toy_ask(peer_at(0), contact_of(1), MESSAGE_STORE, &answers[0]);
    toy_run_for(peers->world, 3 * SECOND / 2); /* Old for a read, not for a write. */
    static struct sent old;
    fixture_mark();
    network.drop = 0;
    toy_ask(peer_at(0), contact_of(1), MESSAGE_STORE, &answers[0]);
    old = network.sent[0]; /* Sealed with the first keys, never arrived. */
    toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answers[1]);
    fixture_settle();
    struct toy_answer confirm;
    toy_ask(peer_at(0), contact_of(1), MESSAGE_STORE, &confirm);
    toy_run_for(peers->world, SESSION_DRAIN_US + 5 * SECOND);
    cr_assert_eq(confirm.answered, 1);
    uint32_t requests = peer_at(1)->requests;
    uint32_t refused = counter_of(peer_at(1), COUNT_UNAUTHENTIC);
    toy_inject(peers->world, &old.from, &old.to, slice_of(old.bytes, old.len));
    fixture_settle();
    cr_assert_eq(peer_at(1)->requests, requests);
    cr_assert_eq(counter_of(peer_at(1), COUNT_UNAUTHENTIC), refused + 1);
}

static const struct port_addr moved = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 77}, .port = {4, 5}};

Test(change, a_session_survives_a_new_address_without_a_handshake)
{
    toy_peers_start(peers);
    (void)ask_now(0, 1, MESSAGE_STORE);
    uint32_t contact = contact_of(1);
    toy_move(peer_at(0)->toy, &moved);
    fixture_mark();
    struct toy_answer answer;
    toy_ask(peer_at(0), contact, MESSAGE_STORE, &answer);
    fixture_settle();
    cr_assert_eq(answer.answered, 1);
    cr_assert_eq(answer.lost, 0);
    for (uint32_t i = 0; i < network.count; i++) {
        cr_assert_eq(network.sent[i].bytes[0], PACKET_DATA);
    }
    cr_assert_eq(peer_at(1)->verified_last, contact_of(0)); /* At the new address. */
    const struct session *session = established(1, 0);
    cr_assert_not_null(session);
    cr_assert(port_addr_equal(&session->addr, &moved));
    fixture_mark();
    (void)ask_now(1, 0, MESSAGE_STORE);
    cr_assert_eq(network.count, 2);
}

Test(change, before_a_round_trip_a_new_address_gets_no_more_than_it_sent)
{
    toy_peers_start(peers);
    peer_at(1)->is_generous = true;
    (void)ask_now(0, 1, MESSAGE_STORE);
    uint32_t contact = contact_of(1);
    struct port_addr before = peer_at(0)->toy->port.local;
    toy_move(peer_at(0)->toy, &moved);
    fixture_mark();
    network.deaf = &moved; /* As if the source address were forged. */
    struct toy_answer answer;
    toy_ask(peer_at(0), contact, MESSAGE_FIND_NODE, &answer);
    toy_run_for(peers->world, RTT_US);
    uint64_t to_moved = 0;
    uint64_t to_before = 0;
    for (uint32_t i = 0; i < network.count; i++) {
        to_moved += port_addr_equal(&network.sent[i].to, &moved) ? network.sent[i].len : 0;
        to_before += port_addr_equal(&network.sent[i].to, &before) ? network.sent[i].len : 0;
    }
    cr_assert_gt(to_moved, 0);
    cr_assert_leq(to_moved, network.sent[0].len);
    cr_assert_gt(to_before, to_moved); /* The answer itself goes where the peer was seen last. */
    cr_assert_not(peer_at(1)->last_from.is_verified);
    const struct session *session = established(1, 0);
    cr_assert_null(session, "the session followed an address that never answered");
    toy_move(peer_at(0)->toy, &before);
    cr_assert_not_null(established(1, 0));
}

Test(change, a_path_nonce_is_good_for_its_address_only)
{
    toy_peers_start(peers);
    (void)ask_now(0, 1, MESSAGE_STORE);
    uint32_t contact = contact_of(1);
    struct port_addr before = peer_at(0)->toy->port.local;
    struct port_addr third = moved;
    third.port[0]++;
    toy_move(peer_at(0)->toy, &moved);
    fixture_mark();
    struct toy_answer answer;
    toy_ask(peer_at(0), contact, MESSAGE_FIND_NODE, &answer);
    toy_run_for(peers->world, TOY_LATENCY_US);
    /* The probe arrives at `moved`, but its answer will leave from a third address. */
    toy_run_for(peers->world, TOY_LATENCY_US - 1);
    struct toy_peer *mover = peer_at(0);
    (void)mover;
    network.deaf = &third;
    static struct sent probe;
    bool is_found = false;
    for (uint32_t i = 0; i < network.count; i++) {
        if (port_addr_equal(&network.sent[i].to, &moved)) {
            probe = network.sent[i];
            is_found = true;
        }
    }
    cr_assert(is_found);
    toy_move(peer_at(0)->toy, &third);
    toy_inject(peers->world, &probe.from, &third, slice_of(probe.bytes, probe.len));
    toy_run_for(peers->world, 2 * TOY_LATENCY_US);
    const struct session *session =
        session_with(&peer_at(1)->transport, contact_of(0), SESSION_ESTABLISHED);
    cr_assert_null(session);
    toy_move(peer_at(0)->toy, &before);
    cr_assert_not_null(established(1, 0));
}

Test(change, a_full_table_forgets_who_was_used_longest_ago_and_recovers_in_one_round_trip)
{
    peers->transport.sessions_max = 8;
    peers->transport.session_idle_us = 1000 * SECOND;
    peers->transport.rekey_after_us = 1000 * SECOND;
    toy_peers_start(peers);
    for (uint32_t i = 1; i <= 8; i++) {
        (void)ask_now(0, i, MESSAGE_STORE);
    }
    (void)ask_now(0, 1, MESSAGE_STORE); /* 2 is the oldest now. */
    cr_assert_eq(counter_of(peer_at(0), COUNT_SESSIONS_EVICTED), 0);
    (void)ask_now(0, 9, MESSAGE_STORE);
    cr_assert_eq(counter_of(peer_at(0), COUNT_SESSIONS_EVICTED), 1);
    cr_assert_null(established(0, 2));
    cr_assert_not_null(established(0, 1));
    cr_assert_eq(transport_session_count(&peer_at(0)->transport), 8);

    uint64_t start_us = peers->world->now_us;
    struct toy_answer answer = ask_now(0, 2, MESSAGE_FIND_NODE);
    cr_assert_eq(answer.ended_us - start_us, RTT_US);
}

Test(change, a_crowded_peer_says_so_and_is_not_relied_on)
{
    peers->transport.sessions_max = 8; /* Two of them for strangers. */
    toy_peers_start(peers);
    for (uint32_t i = 1; i <= 4; i++) {
        struct toy_answer answer;
        toy_ask(peer_at(i), contact_of(0), MESSAGE_FIND_NODE, &answer);
        toy_run_for(peers->world, SECOND / 10);
        cr_assert_eq(answer.answered, 1);
    }
    fixture_mark();
    for (uint32_t i = 1; i <= 4; i++) { /* All but the first two were warned. */
        struct toy_answer answer;
        toy_ask(peer_at(i), contact_of(0), MESSAGE_STORE, &answer);
        bool is_relied_on = network.sent[network.count - 1].bytes[0] == PACKET_DATA;
        cr_assert_eq(is_relied_on, i < 2, "peer %u", i);
        fixture_settle();
        cr_assert_eq(answer.answered, 1);
    }
    cr_assert_eq(counter_of(peer_at(4), COUNT_RETRANSMITS), 0);
}

Test(change, more_calls_than_sessions_are_all_answered)
{
    peers->transport.sessions_max = 8;
    toy_peers_start(peers);
    struct toy_answer answers[23];
    for (uint32_t i = 1; i < 24; i++) {
        toy_ask(peer_at(0), contact_of(i), MESSAGE_FIND_NODE, &answers[i - 1]);
        cr_assert_gt(answers[i - 1].call, 0);
    }
    toy_run_for(peers->world, 10 * SECOND);
    for (int i = 0; i < 23; i++) { /* Six at once; the others wait for room. */
        cr_assert_eq(answers[i].answered, 1, "call %d", i);
        cr_assert_eq(answers[i].lost, 0);
    }
    cr_assert_eq(peer_at(0)->lost, 0);
}

Test(change, sessions_come_back_after_a_restart_with_the_same_identity)
{
    toy_peers_start(peers);
    (void)ask_now(0, 1, MESSAGE_STORE);
    uint32_t contact = contact_of(1);
    toy_peer_restart(peers, 1);
    cr_assert_eq(contact_of(1), contact);
    (void)ask_now(1, 0, MESSAGE_STORE); /* The old session is still established at 0. */
    (void)ask_now(0, 1, MESSAGE_STORE);
    cr_assert_eq(counter_of(peer_at(0), COUNT_RETRANSMITS), 0);
}
