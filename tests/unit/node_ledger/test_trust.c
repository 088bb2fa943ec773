/* test_trust.c - arithmetic, caps, decay, who makes room, and what a restart remembers. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "node/base/hash.h"
#include "node/ledger/trust.h"
#include "tests/support/toy_port.h"
#include "tests/support/toy_suite.h"

#define SECOND UINT64_C(1000000)
#define DAY    (86400 * SECOND)

enum { PEERS = 64 };

static struct toy_world *world;
static struct toy_port *port;
static struct core core;
static struct trust trust;

static void on_wake(struct toy_port *toy)
{
    (void)toy;
    timerq_fire_due(&core.timers);
    timerq_settle(&core.timers);
}

static void on_durable(struct toy_port *toy, uint64_t ticket)
{
    (void)toy;
    (void)ticket;
}

static void begin(uint32_t peers_max)
{
    toy_enter(port);
    core = (struct core){.port = &port->port};
    arena_init(&core.arena, core.port);
    timerq_init(&core.timers, core.port, &core.arena);
    cr_assert_eq(trust_init(&trust, &core, peers_max), ERR_OK);
    toy_leave(port);
}

static void setup(void)
{
    world = toy_open(1, 1, &toy_suite);
    port = toy_at(world, 0);
    port->callbacks = (struct toy_callbacks){.on_wake = on_wake, .on_durable = on_durable};
    begin(PEERS);
}

static void teardown(void)
{
    toy_close(world);
}

TestSuite(trust, .init = setup, .fini = teardown);

static struct node_id peer(uint32_t number)
{
    struct node_id id = {{0}};
    hash_domain(id.bytes, NODE_ID_LEN, "test", slice_of(&number, sizeof number), slice_of(NULL, 0));
    return id;
}

static void pass(uint64_t us)
{
    toy_run_for(world, us);
}

static void note(const struct node_id *id, enum trust_event event, uint32_t times)
{
    toy_enter(port);
    for (uint32_t i = 0; i < times; i++) {
        trust_note(&trust, id, event);
    }
    timerq_settle(&core.timers);
    toy_leave(port);
}

Test(trust, starts_at_zero_and_moves_by_the_stated_steps)
{
    struct node_id id = peer(1);
    cr_assert_eq(trust_micro(&trust, &id), 0);
    note(&id, TRUST_MESSAGE_VALID, 1);
    cr_assert_eq(trust_micro(&trust, &id), 1000);
    note(&id, TRUST_TRANSFER_OK, 5);
    note(&id, TRUST_IOU_REDEEMED, 5);
    cr_assert_eq(trust_micro(&trust, &id), 151000);
    note(&id, TRUST_TRANSFER_FAILED, 1);
    cr_assert_eq(trust_micro(&trust, &id), 101000);
    note(&id, TRUST_MESSAGE_INVALID, 1);
    cr_assert_eq(trust_micro(&trust, &id), 81000);
    note(&id, TRUST_IOU_DEFAULTED, 1);
    cr_assert_eq(trust_micro(&trust, &id), 0, "what is owed shows as nothing");
}

Test(trust, caps_hold_per_window_event_and_peer)
{
    struct node_id a = peer(1);
    struct node_id b = peer(2);
    note(&a, TRUST_TRANSFER_OK, 1000);
    note(&b, TRUST_TRANSFER_OK, 1);
    cr_assert_eq(trust_micro(&trust, &a), 50000);
    cr_assert_eq(trust_micro(&trust, &b), 10000);
    pass(DAY);
    note(&a, TRUST_TRANSFER_OK, 1000);
    cr_assert_gt(trust_micro(&trust, &a), 95000);
    cr_assert_leq(trust_micro(&trust, &a), 100000);
}

Test(trust, halves_over_a_half_life_whatever_pieces_it_comes_in)
{
    cr_assert_leq(abs(trust_decayed(1000000, TRUST_STEPS) - 500000), TRUST_STEPS);
    cr_assert_leq(abs(trust_decayed(-1000000, TRUST_STEPS) + 500000), TRUST_STEPS);
    cr_assert_eq(trust_decayed(1000000, UINT32_MAX), 0);
    for (uint32_t steps = 0; steps < 700; steps++) {
        int32_t whole = trust_decayed(777777, steps);
        cr_assert_eq(whole, trust_decayed(trust_decayed(777777, steps / 3), steps - steps / 3));
    }
    cr_assert_eq(trust_decayed(1000000, 64 * TRUST_STEPS), 0);

    struct node_id often = peer(1);
    struct node_id seldom = peer(2);
    note(&often, TRUST_IOU_REDEEMED, 5);
    note(&seldom, TRUST_IOU_REDEEMED, 5);
    for (uint32_t hour = 0; hour < 24 * 45; hour++) {
        pass(DAY / 24);
        note(&often, TRUST_IOU_DEFAULTED, 0);
        (void)trust_micro(&trust, &often);
    }
    cr_assert_eq(trust_micro(&trust, &often), trust_micro(&trust, &seldom));
    cr_assert_gt(trust_micro(&trust, &often), 30000);
    cr_assert_lt(trust_micro(&trust, &often), 40000);
}

/* For the two half-lives, sixty days, in which docs/modules/ledger.md promises it. */
static void buy_back(uint32_t redeemed_before, uint32_t valid_before, uint32_t per_day)
{
    struct node_id id = peer(100 + redeemed_before * 10 + valid_before);
    note(&id, TRUST_IOU_REDEEMED, redeemed_before);
    note(&id, TRUST_MESSAGE_VALID, valid_before);
    uint32_t before = trust_micro(&trust, &id);
    note(&id, TRUST_IOU_DEFAULTED, 1);
    uint32_t sent = 0;
    for (uint32_t day = 0; day < 60; day++) {
        note(&id, TRUST_MESSAGE_VALID, per_day);
        sent += per_day;
        cr_assert_leq(trust_micro(&trust, &id), before, "day %u, %u messages, %u redeemed", day,
                      sent, redeemed_before);
        pass(DAY);
    }
    cr_assert_geq(sent, 500);
}

Test(trust, five_hundred_messages_do_not_pay_for_a_default)
{
    for (uint32_t redeemed = 0; redeemed <= 5; redeemed++) {
        buy_back(redeemed, 0, 500);
        buy_back(redeemed, 3, 500);
    }
}

Test(trust, nor_do_a_hundred_thousand)
{
    buy_back(0, 0, 100000);
    buy_back(5, 20, 100000);
}

Test(trust, a_new_key_is_worth_nothing_and_the_honest_rank_above_it)
{
    struct node_id honest = peer(1);
    struct node_id stranger = peer(2);
    note(&honest, TRUST_TRANSFER_OK, 1);
    pass(300 * DAY);
    cr_assert_geq(trust_micro(&trust, &honest), trust_micro(&trust, &stranger));
    cr_assert_eq(trust_micro(&trust, &stranger), 0);
}

Test(trust, a_restart_remembers_and_time_at_rest_forgives_nothing)
{
    struct node_id good = peer(1);
    struct node_id bad = peer(2);
    note(&good, TRUST_IOU_REDEEMED, 4);
    note(&bad, TRUST_TRANSFER_OK, 5);
    note(&bad, TRUST_IOU_DEFAULTED, 1);
    pass(2 * 60 * SECOND); /* Past the flush. */
    pass(365 * DAY);
    begin(PEERS);
    cr_assert_eq(trust_micro(&trust, &good), 80000);
    note(&bad, TRUST_TRANSFER_OK, 1000);
    cr_assert_eq(trust_micro(&trust, &bad), 0, "its window is remembered too");
}

Test(trust, strangers_push_out_strangers_and_no_defaulter)
{
    struct node_id bad = peer(1);
    note(&bad, TRUST_TRANSFER_OK, 5);
    note(&bad, TRUST_IOU_REDEEMED, 5);
    note(&bad, TRUST_IOU_DEFAULTED, 3);
    for (uint32_t i = 2; i < 5000; i++) {
        struct node_id id = peer(i);
        note(&id, TRUST_MESSAGE_VALID, 1);
        note(&id, TRUST_TRANSFER_OK, 1);
    }
    note(&bad, TRUST_TRANSFER_OK, 5);
    note(&bad, TRUST_IOU_REDEEMED, 5);
    cr_assert_eq(trust_micro(&trust, &bad), 0, "three defaults are not forgotten");
    uint32_t rows = 0;
    uint32_t place = 0;
    while (trust_next(&trust, &place) != NULL) {
        rows++;
    }
    cr_assert_leq(rows, PEERS);
}

static void note_default(const struct node_id *id, const uint8_t *iou)
{
    toy_enter(port);
    trust_note_iou(&trust, id, TRUST_IOU_DEFAULTED, iou, IOU_DEFAULTED);
    timerq_settle(&core.timers);
    toy_leave(port);
}

Test(trust, an_iou_counts_once_for_each_state)
{
    struct node_id id = peer(1);
    uint8_t iou[IOU_ID_LEN] = {7};
    note(&id, TRUST_IOU_REDEEMED, 5);
    note_default(&id, iou);
    note_default(&id, iou);
    cr_assert_eq(trust_micro(&trust, &id), 0);
    begin(PEERS); /* Staged at once. */
    note_default(&id, iou);
    uint32_t place = 0;
    cr_assert_eq(trust_next(&trust, &place)->count[TRUST_IOU_DEFAULTED], 1);
}

Test(trust, that_is_off_costs_no_memory)
{
    begin(0);
    struct node_id id = peer(1);
    note(&id, TRUST_TRANSFER_OK, 5);
    cr_assert_eq(trust_micro(&trust, &id), 0);
    cr_assert_eq(core.arena.used_bytes[ARENA_LEDGER], 0);
}
