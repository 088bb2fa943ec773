/* test_timing.c - soft and hard timeouts, round-trip estimates, and calls that nobody answers. */
#include "tests/unit/node_transport/fixture.h"

#include "node/transport/call.h"
#include "node/transport/packet.h"

static void setup(void)
{
    fixture_open(3);
    toy_peers_start(peers);
}

TestSuite(timing, .init = setup, .fini = fixture_close, .timeout = 60);

/* Ten round trips, so that the node knows its network. */
static void warm_up(void)
{
    for (int i = 0; i < 10; i++) {
        (void)ask_now(0, 1, MESSAGE_STORE);
    }
}

Test(timing, a_dead_stranger_is_slow_after_a_second_and_lost_after_three)
{
    network.deaf = &peer_at(1)->toy->port.local;
    struct toy_answer answer;
    toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answer);
    toy_run_for(peers->world, RTT_RTO_FIRST_US - 1);
    cr_assert_eq(answer.slow, 0);
    toy_run_for(peers->world, 1);
    cr_assert_eq(answer.slow, 1);
    toy_run_until(peers->world, 3 * RTT_RTO_FIRST_US - 1);
    cr_assert_eq(answer.lost, 0);
    toy_run_for(peers->world, 1);
    cr_assert_eq(answer.lost, 1);
    cr_assert_eq(answer.slow, 1);
    cr_assert_eq(answer.peer, contact_of(1));
    cr_assert_eq(peer_at(0)->lost, 1);
    cr_assert_eq(network.count, 2);
    cr_assert_eq(transport_session_count(&peer_at(0)->transport), 0);
}

Test(timing, both_first_messages_of_a_handshake_are_the_same_bytes)
{
    network.deaf = &peer_at(1)->toy->port.local;
    struct toy_answer answer;
    toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answer);
    toy_run_for(peers->world, 5 * SECOND);
    cr_assert_eq(network.count, 2);
    cr_assert_eq(network.sent[0].len, network.sent[1].len);
    cr_assert_arr_eq(network.sent[0].bytes, network.sent[1].bytes, network.sent[0].len);
}

Test(timing, a_dead_neighbour_is_slow_at_the_p95_and_lost_after_three_rto)
{
    warm_up();
    network.deaf = &peer_at(1)->toy->port.local;
    uint64_t start_us = peers->world->now_us;
    struct toy_answer answer;
    uint64_t p95_us = transport_rtt_quantile_us(&peer_at(0)->transport, 950);
    cr_assert_geq(p95_us, RTT_US);
    cr_assert_leq(p95_us, RTT_US * 5 / 4);
    toy_ask(peer_at(0), contact_of(1), MESSAGE_STORE, &answer);
    toy_run_until(peers->world, start_us + p95_us - 1);
    cr_assert_eq(answer.slow, 0);
    toy_run_until(peers->world, start_us + p95_us);
    cr_assert_eq(answer.slow, 1);
    toy_run_until(peers->world, start_us + 3 * RTT_RTO_MIN_US);
    cr_assert_eq(answer.lost, 1);
    cr_assert_eq(answer.ended_us, start_us + 3 * RTT_RTO_MIN_US);
    cr_assert_eq(transport_session_count(&peer_at(0)->transport), 0);
}

Test(timing, the_answer_to_a_slow_call_still_counts)
{
    warm_up();
    uint32_t before = counter_of(peer_at(0), COUNT_CALLS_SLOW);
    network.late = network.numbered;
    struct toy_answer answer = ask_now(0, 1, MESSAGE_STORE);
    cr_assert_eq(answer.slow, 1);
    cr_assert_eq(answer.rtt_us, RTT_US + 3 * TOY_LATENCY_US);
    cr_assert_eq(counter_of(peer_at(0), COUNT_CALLS_SLOW), before + 1);
    cr_assert_eq(counter_of(peer_at(0), COUNT_RETRANSMITS), 0);
}

Test(timing, round_trips_of_repeated_requests_are_not_measured)
{
    warm_up();
    struct rtt_node before = peer_at(0)->transport.rtt;
    network.drop = network.numbered;
    struct toy_answer answer = ask_now(0, 1, MESSAGE_STORE);
    cr_assert_eq(answer.answered, 1);
    cr_assert_eq(peer_at(0)->transport.rtt.total, before.total + 1); /* The handshake's own. */
    fixture_mark();
    network.drop = 0;
    before = peer_at(0)->transport.rtt;
    peer_at(1)->is_silent = true;
    toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answer);
    toy_run_for(peers->world, 10 * SECOND);
    peer_at(1)->is_silent = false;
    cr_assert_eq(answer.lost, 1);
}

Test(timing, a_repeated_request_stays_on_a_session_that_is_alive)
{
    warm_up();
    uint32_t contact = contact_of(1);
    struct toy_answer lost;
    struct toy_answer alive;
    fixture_mark();
    network.drop = 0;
    toy_ask(peer_at(0), contact, MESSAGE_STORE, &lost);
    toy_run_for(peers->world, RTT_RTO_MIN_US / 2);
    toy_ask(peer_at(0), contact, MESSAGE_STORE, &alive);
    fixture_settle();
    cr_assert_eq(alive.answered, 1);
    cr_assert_eq(lost.answered, 1);
    cr_assert_eq(counter_of(peer_at(0), COUNT_HANDSHAKES_STARTED), 1);
    cr_assert_eq(counter_of(peer_at(0), COUNT_RETRANSMITS), 1);
}

Test(timing, a_cancelled_call_is_silent_but_still_teaches_a_round_trip)
{
    struct toy_answer answer;
    toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answer);
    toy_enter(peer_at(0)->toy);
    transport_cancel(&peer_at(0)->transport, (uint32_t)answer.call);
    toy_leave(peer_at(0)->toy);
    fixture_settle();
    cr_assert_eq(answer.answered + answer.slow + answer.lost, 0);
    cr_assert_eq(peer_at(0)->verified, 1);
    cr_assert_eq(peer_at(0)->transport.rtt.total, 1);
    cr_assert_eq(peer_at(0)->transport.calls.count, 0);
}

Test(timing, a_cancelled_call_that_is_not_answered_is_not_repeated)
{
    network.deaf = &peer_at(1)->toy->port.local;
    struct toy_answer answer;
    toy_ask(peer_at(0), contact_of(1), MESSAGE_FIND_NODE, &answer);
    toy_enter(peer_at(0)->toy);
    transport_cancel(&peer_at(0)->transport, (uint32_t)answer.call);
    toy_leave(peer_at(0)->toy);
    toy_run_for(peers->world, 10 * SECOND);
    cr_assert_eq(answer.answered + answer.slow + answer.lost, 0);
    cr_assert_eq(network.count, 1);
    cr_assert_eq(peer_at(0)->lost, 0);
    cr_assert_eq(peer_at(0)->transport.calls.count, 0);
    cr_assert_eq(transport_session_count(&peer_at(0)->transport), 0);
}

Test(timing, a_full_table_of_calls_refuses_and_cancelled_ones_make_room)
{
    struct toy_answer answers[33];
    uint32_t contact = contact_of(1);
    for (int i = 0; i < 32; i++) {
        toy_ask(peer_at(0), contact, MESSAGE_FIND_NODE, &answers[i]);
        cr_assert_gt(answers[i].call, 0);
    }
    toy_ask(peer_at(0), contact, MESSAGE_FIND_NODE, &answers[32]);
    cr_assert_eq(answers[32].call, ERR_FULL);
    toy_enter(peer_at(0)->toy);
    transport_cancel(&peer_at(0)->transport, (uint32_t)answers[7].call);
    toy_leave(peer_at(0)->toy);
    toy_ask(peer_at(0), contact, MESSAGE_FIND_NODE, &answers[32]);
    cr_assert_gt(answers[32].call, 0);
    fixture_settle();
    for (int i = 0; i < 33; i++) {
        cr_assert_eq(answers[i].answered, i == 7 ? 0 : 1, "call %d", i);
    }
}

static uint32_t pongs;

static void on_pong(void *owner, const struct call_result *result)
{
    cr_assert_eq(owner, &pongs);
    cr_assert_eq(result->outcome, CALL_ANSWERED);
    cr_assert_eq(result->answer->kind, MESSAGE_PONG);
    cr_assert(port_addr_equal(&result->answer->pong.observed, &peer_at(0)->toy->port.local));
    pongs++;
}

Test(timing, a_ping_is_answered_by_transport_itself)
{
    const struct call_options options = {.done = on_pong, .owner = &pongs};
    for (int i = 0; i < 2; i++) {
        toy_enter(peer_at(0)->toy);
        cr_assert_gt(transport_ping(&peer_at(0)->transport, contact_of(1), &options), 0);
        timerq_settle(&peer_at(0)->core.timers);
        toy_leave(peer_at(0)->toy);
        fixture_settle();
    }
    cr_assert_eq(pongs, 2);
    cr_assert_eq(peer_at(1)->requests, 0);
}

/* Each outcome starts another call and cancels one: what a module does in its callbacks. */
static uint32_t chained_count;
static uint32_t chain_peer;

static void on_chain(void *owner, const struct call_result *result)
{
    struct transport *transport = owner;
    (void)result;
    if (chained_count >= 40) {
        return;
    }
    struct message request;
    toy_request(&request, chained_count % 3 == 0 ? MESSAGE_STORE : MESSAGE_FIND_NODE);
    const struct call_options options = {.done = on_chain, .owner = transport};
    int call = transport_call(transport, chain_peer, &request, &options);
    cr_assert_gt(call, 0);
    int doomed = transport_call(transport, chain_peer, &request, &options);
    cr_assert_gt(doomed, 0);
    transport_cancel(transport, (uint32_t)doomed);
    chained_count++;
}

Test(timing, callbacks_may_start_and_cancel_calls)
{
    peers->transport.calls_max = 256;
    toy_peer_restart(peers, 0);
    chain_peer = contact_of(1);
    for (int deaf = 0; deaf < 2; deaf++) {
        chained_count = 0;
        network.deaf = deaf ? &peer_at(1)->toy->port.local : NULL;
        toy_enter(peer_at(0)->toy);
        on_chain(&peer_at(0)->transport, NULL);
        timerq_settle(&peer_at(0)->core.timers);
        toy_leave(peer_at(0)->toy);
        toy_run_for(peers->world, 200 * SECOND);
        cr_assert_eq(chained_count, 40);
        cr_assert_eq(peer_at(0)->transport.calls.count, 0);
        cr_assert_null(toy_peers_check(peers));
    }
}

Test(timing, the_memory_of_a_small_node_is_small)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    const uint32_t *used = peer_at(0)->core.arena.used_bytes;
    cr_assert_leq(used[ARENA_SESSIONS], 2048);
    cr_assert_leq(used[ARENA_CALLS], 3072);
}
