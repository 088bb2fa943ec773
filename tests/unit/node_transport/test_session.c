/* test_session.c - calls over IK and XX: what they cost on a good network and survive on a bad one.
 */
#include "tests/unit/node_transport/fixture.h"

#include "node/transport/packet.h"

static void setup(void)
{
    fixture_open(2);
    toy_peers_start(peers);
}

TestSuite(session, .init = setup, .fini = fixture_close, .timeout = 60);

Test(session, a_cold_read_costs_one_round_trip_and_two_datagrams)
{
    struct toy_answer answer = ask_now(0, 1, MESSAGE_FIND_NODE);
    cr_assert_eq(answer.kind, MESSAGE_NODES);
    cr_assert_eq(answer.rtt_us, RTT_US);
    cr_assert_eq(answer.ended_us, RTT_US);
    cr_assert_eq(network.count, 2);
    cr_assert_eq(peer_at(1)->early_requests, 1);
    cr_assert_not(peer_at(1)->last_from.is_verified);
}

Test(session, a_first_message_is_as_long_as_its_answer_can_be)
{
    peer_at(1)->is_generous = true;
    const uint8_t kinds[] = {MESSAGE_FIND_NODE, MESSAGE_FIND_VALUE, MESSAGE_EXCHANGE, MESSAGE_PING};
    for (size_t i = 0; i < array_len(kinds); i++) {
        toy_peer_restart(peers, 0); /* Every call a cold one. */
        fixture_mark();
        struct toy_answer answer = ask_now(0, 1, kinds[i]);
        cr_assert_eq(network.count, 2);
        cr_assert_leq(network.sent[1].len, network.sent[0].len, "kind %#x", kinds[i]);
        if (kinds[i] == MESSAGE_FIND_NODE) {
            cr_assert_eq(answer.contacts, 20);
        }
    }
}

Test(session, a_warm_read_is_two_small_datagrams)
{
    (void)ask_now(0, 1, MESSAGE_FIND_NODE);
    fixture_mark();
    struct toy_answer answer;
    toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answer);
    cr_assert_eq(network.count, 1);
    cr_assert_eq(network.sent[0].bytes[0], PACKET_HANDSHAKE); /* 10 s old and never confirmed. */
    toy_run_for(peers->world, SECOND);
    fixture_mark();
    toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answer);
    toy_run_for(peers->world, SECOND);
    cr_assert_eq(answer.answered, 1);
    cr_assert_eq(network.count, 2);
    cr_assert_eq(network.sent[0].len, PACKET_DATA_OVERHEAD + MESSAGE_HEADER_LEN + 21);
    cr_assert(peer_at(1)->last_from.is_verified);
    cr_assert_not(peer_at(1)->last_from.is_early);
}

Test(session, once_data_was_heard_a_session_is_trusted_until_it_is_idle)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    toy_run_for(peers->world, peers->transport.session_idle_us - 20 * SECOND);
    fixture_mark();
    (void)ask_now(0, 1, MESSAGE_FIND_NODE);
    cr_assert_eq(network.sent[0].bytes[0], PACKET_DATA);
    toy_run_for(peers->world, peers->transport.session_idle_us);
    fixture_mark();
    (void)ask_now(0, 1, MESSAGE_FIND_NODE);
    cr_assert_eq(network.sent[0].bytes[0], PACKET_HANDSHAKE);
    cr_assert_eq(network.count, 2);
}

Test(session, a_cold_write_waits_for_the_handshake)
{
    struct toy_answer answer = ask_now(0, 1, MESSAGE_STORE);
    cr_assert_eq(answer.kind, MESSAGE_STORED);
    cr_assert_eq(answer.ended_us, 2 * RTT_US);
    cr_assert_eq(network.count, 4);
    cr_assert_eq(peer_at(1)->early_requests, 0);
    cr_assert_eq(peer_at(1)->requests, 1);
    cr_assert(peer_at(1)->last_from.is_verified);
}

Test(session, calls_to_the_same_stranger_share_one_handshake)
{
    struct toy_answer answers[5];
    uint32_t contact = contact_of(1);
    for (int i = 0; i < 5; i++) {
        toy_ask(peer_at(0), contact, i % 2 == 0 ? MESSAGE_FIND_NODE : MESSAGE_STORE, &answers[i]);
    }
    fixture_settle();
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(answers[i].answered, 1);
        cr_assert_eq(answers[i].lost, 0);
    }
    cr_assert_eq(counter_of(peer_at(0), COUNT_HANDSHAKES_STARTED), 1);
    cr_assert_eq(network.count, 2 + 4 * 2);
}

Test(session, both_sides_learn_that_the_other_was_verified)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    cr_assert_eq(peer_at(0)->verified_last, contact_of(1));
    cr_assert_eq(peer_at(1)->verified_last, contact_of(0));
    cr_assert_eq(peer_at(1)->verified, 1);
}

Test(session, a_stranger_that_only_read_is_not_verified_unless_wanted)
{
    (void)ask_now(0, 1, MESSAGE_FIND_NODE);
    cr_assert_eq(peer_at(1)->verified, 0);
    cr_assert_eq(network.count, 2);

    toy_peer_restart(peers, 0);
    peer_at(1)->is_curious = true;
    fixture_mark();
    (void)ask_now(0, 1, MESSAGE_FIND_NODE);
    cr_assert_eq(peer_at(1)->verified, 1);
    cr_assert_eq(network.count, 3);
    cr_assert_eq(network.sent[2].len, PACKET_DATA_OVERHEAD);
}

Test(session, the_responder_calls_back_over_a_confirmed_session)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    fixture_mark();
    (void)ask_now(1, 0, MESSAGE_STORE);
    cr_assert_eq(network.count, 2);
    cr_assert_eq(counter_of(peer_at(1), COUNT_HANDSHAKES_STARTED), 0);
}

Test(session, xx_learns_the_key_and_carries_any_request_in_its_third_message)
{
    const uint8_t kinds[] = {MESSAGE_FIND_NODE, MESSAGE_STORE};
    for (size_t i = 0; i < array_len(kinds); i++) {
        toy_peer_restart(peers, 0);
        fixture_mark();
        struct toy_answer answer;
        struct port_addr addr = toy_addr(1);
        uint64_t start_us = peers->world->now_us;
        toy_ask_addr(peer_at(0), &addr, kinds[i], &answer);
        fixture_settle();
        cr_assert_eq(answer.answered, 1);
        cr_assert_eq(answer.ended_us - start_us, 2 * RTT_US);
        cr_assert_eq(answer.peer, contact_of(1));
        cr_assert_eq(network.count, 4);
        cr_assert_eq(network.sent[2].bytes[1], PACKET_XX_3);
        cr_assert_not(peer_at(1)->last_from.is_early);
        cr_assert(peer_at(1)->last_from.is_verified);
    }
}

/* Every call must end well although datagram `drop` of the exchange is lost. */
static void survive_loss(uint8_t kind, bool by_addr, uint32_t datagrams)
{
    for (uint32_t drop = 0; drop < datagrams; drop++) {
        toy_peer_restart(peers, 0);
        toy_peer_restart(peers, 1);
        toy_run_for(peers->world, 200 * SECOND);
        fixture_mark();
        network.drop = drop;
        struct toy_answer answer;
        struct port_addr addr = toy_addr(1);
        if (by_addr) {
            toy_ask_addr(peer_at(0), &addr, kind, &answer);
        } else {
            toy_ask(peer_at(0), contact_of(1), kind, &answer);
        }
        toy_run_for(peers->world, 10 * SECOND);
        cr_assert_eq(answer.answered, 1, "kind %#x, datagram %u lost", kind, drop);
        cr_assert_eq(answer.lost, 0);
        cr_assert_eq(counter_of(peer_at(0), COUNT_RETRANSMITS), 1);
        cr_assert_null(toy_peers_check(peers));
    }
}

Test(session, a_cold_read_survives_the_loss_of_any_datagram)
{
    survive_loss(MESSAGE_FIND_NODE, false, 2);
}

Test(session, a_cold_write_survives_the_loss_of_any_datagram)
{
    survive_loss(MESSAGE_STORE, false, 4);
}

Test(session, a_call_by_address_survives_the_loss_of_any_datagram)
{
    survive_loss(MESSAGE_FIND_NODE, true, 4);
    survive_loss(MESSAGE_STORE, true, 4);
}

Test(session, doubled_and_late_datagrams_change_nothing)
{
    for (uint32_t number = 0; number < 4; number++) {
        for (int kind = 0; kind < 2; kind++) {
            toy_peer_restart(peers, 0);
            toy_peer_restart(peers, 1);
            fixture_mark();
            network.doubled = number;
            network.late = number;
            struct toy_answer answer;
            toy_ask(peer_at(0), contact_of(1), kind == 0 ? MESSAGE_FIND_NODE : MESSAGE_STORE,
                    &answer);
            toy_run_for(peers->world, 10 * SECOND);
            cr_assert_eq(answer.answered, 1);
            cr_assert_eq(answer.lost, 0);
            cr_assert_null(toy_peers_check(peers));
        }
    }
}

Test(session, a_peer_that_lost_its_memory_answers_one_round_trip_after_the_timeout)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    toy_peer_restart(peers, 1);
    fixture_mark();
    uint64_t start_us = peers->world->now_us;
    struct toy_answer answer = ask_now(0, 1, MESSAGE_FIND_NODE);
    cr_assert_eq(network.count, 3); /* Into the void; IK 1; IK 2. */
    cr_assert_eq(network.sent[1].bytes[1], PACKET_IK_1);
    cr_assert_eq(answer.ended_us - start_us, RTT_RTO_MIN_US + RTT_US);
}

Test(session, a_write_to_a_peer_that_lost_its_memory_arrives_too)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    toy_peer_restart(peers, 1);
    struct toy_answer answer = ask_now(0, 1, MESSAGE_STORE);
    cr_assert_eq(answer.lost, 0);
    cr_assert_eq(peer_at(1)->requests, 1);
}

Test(session, a_request_may_be_answered_later_over_its_session)
{
    peer_at(1)->is_deferring = true;
    struct toy_answer answer;
    toy_ask(peer_at(0), contact_of(1), MESSAGE_STORE, &answer);
    toy_run_for(peers->world, 3 * TOY_LATENCY_US);
    cr_assert_eq(peer_at(1)->deferred_count, 1);
    cr_assert_eq(answer.answered, 0);
    toy_run_for(peers->world, 30000);
    cr_assert_eq(toy_reply_deferred(peer_at(1), 0), ERR_OK);
    fixture_settle();
    cr_assert_eq(answer.answered, 1);
    cr_assert_eq(answer.rtt_us, RTT_US + 30000);
}

Test(session, a_late_reply_to_a_session_that_is_gone_is_refused)
{
    peer_at(1)->is_deferring = true;
    struct toy_answer answer;
    toy_ask(peer_at(0), contact_of(1), MESSAGE_STORE, &answer);
    toy_run_for(peers->world, 3 * TOY_LATENCY_US);
    struct message_from from = peer_at(1)->deferred[0];
    toy_peer_restart(peers, 1);
    peer_at(1)->deferred[peer_at(1)->deferred_count++] = from;
    cr_assert_eq(toy_reply_deferred(peer_at(1), 0), ERR_MISSING);
}

Test(session, an_early_request_is_not_answered_after_its_time)
{
    struct toy_answer answer = ask_now(0, 1, MESSAGE_FIND_NODE);
    cr_assert_eq(answer.answered, 1);
    peer_at(1)->deferred[peer_at(1)->deferred_count++] = peer_at(1)->last_from;
    cr_assert_eq(toy_reply_deferred(peer_at(1), 0), ERR_MISSING);
}
