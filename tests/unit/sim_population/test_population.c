/* test_population.c - members come, join, work and go, with real nodes on simulated hosts. */
#include <signal.h>

#include <criterion/criterion.h>
#include <math.h>

#include "sim/population/arrival.h"
#include "tests/support/small_world.h"

static bool is_up(const struct small_world *small, uint32_t node)
{
    return host_is_up(world_host(small->world, node));
}

Test(population, members_come_and_go_as_their_stays_say)
{
    static const struct churn_stay stays[] = {{2000000, 4000000}, {6000000, 9000000}};
    static const uint32_t first[] = {0, 2};
    struct churn_trace trace = {.stays = stays, .first = first, .node_count = 1};
    struct small_world *small = small_world_open(4, 1);
    struct churn_model model;
    churn_model_trace(&model, &trace);
    small->group.churn = &model;
    small->options.is_prebuilt = false;
    small_world_start(small);
    static const bool expected[] = {false, false, true, true, false,
                                    false, true,  true, true, false};
    for (uint32_t second = 0; second < array_len(expected); second++) {
        small_world_run(small, second * SMALL_SECOND + SMALL_SECOND / 2);
        cr_assert_eq(is_up(small, 3), expected[second], "second %u", second);
        cr_assert(is_up(small, 0), "the seed never leaves");
    }
    cr_assert_eq(small->session_count, 6);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < small->session_count; i++) {
        const struct small_session *session = &small->sessions[i];
        if (session->node == 3) {
            cr_assert_eq(session->start_us, stays[seen].start_us);
            cr_assert_eq(session->end_us, stays[seen].end_us);
            seen++;
        }
    }
    cr_assert_eq(seen, 2);
    cr_assert_eq(small->population->online, 1);
    small_world_close(small);
}

Test(population, who_returns_is_the_same_node)
{
    static const struct churn_stay stays[] = {{0, 4000000}, {6000000, 9000000}};
    static const uint32_t first[] = {0, 2};
    struct churn_trace trace = {.stays = stays, .first = first, .node_count = 1};
    struct small_world *small = small_world_open(4, 1);
    struct churn_model model;
    churn_model_trace(&model, &trace);
    small->group.churn = &model;
    small->options.is_prebuilt = false;
    small_world_start(small);
    small_world_run(small, 3 * SMALL_SECOND);
    struct node_id before = world_host(small->world, 2)->node->identity.id;
    small_world_run(small, 8 * SMALL_SECOND);
    cr_assert_eq(world_host(small->world, 2)->incarnation, 2);
    cr_assert(node_id_equal(&world_host(small->world, 2)->node->identity.id, &before));
    small_world_close(small);
}

Test(population, members_start_evenly_over_the_ramp_and_join)
{
    struct small_world *small = small_world_open(40, 1);
    small->options.is_prebuilt = false;
    small->group.ramp_us = 20 * SMALL_SECOND;
    small->group.origin_us = 5 * SMALL_SECOND;
    small_world_start(small);
    small_world_run(small, 5 * SMALL_SECOND);
    cr_assert_eq(small->population->online, 0);
    small_world_run(small, 15 * SMALL_SECOND);
    cr_assert_eq(small->population->online, 20);
    small_world_run(small, 40 * SMALL_SECOND);
    cr_assert_eq(small->population->online, 40);
    cr_assert_eq(small->joins, 40);
    cr_assert_eq(small->population->truth.count, 40);
    small_world_close(small);
}

Test(population, a_share_that_never_leaves_is_met_exactly)
{
    struct dist_spec spec = {.kind = DIST_CONSTANT, .value = 1e6};
    struct dist second;
    cr_assert_eq(dist_fill(&second, &spec), ERR_OK);
    struct churn_model_spec churn = {.session = &second, .offline = &second};
    struct churn_model model;
    cr_assert_eq(churn_model_fill(&model, &churn), ERR_OK);
    struct small_world *small = small_world_open(101, 1);
    small->group.churn = &model;
    small->group.always_on = 1u << 30;
    small_world_start(small);
    cr_assert_eq(small->population->online, 101);
    small_world_run(small, 3 * SMALL_SECOND / 2);
    /* A quarter of 101, and the seed. */
    cr_assert_eq(small->population->online, 26);
    small_world_close(small);
}

Test(population, prebuilt_tables_hold_everybody_who_fits)
{
    struct small_world *small = small_world_open(25, 1);
    small_world_start(small);
    for (uint32_t i = 0; i < 25; i++) {
        cr_assert_eq(dht_contact_count(&world_host(small->world, i)->node->dht), 24);
    }
    cr_assert_eq(small->population->truth.count, 25);
    small_world_close(small);
}

Test(population, a_prebuilt_network_is_quiet)
{
    struct small_world *small = small_world_open(25, 1);
    small->config.gossip.period_us = 0;
    small_world_start(small);
    small_world_run(small, 5 * SMALL_SECOND);
    /* Nobody joins, and nothing else is due so early but a first check of a contact. */
    cr_assert_eq(population_counter(small->population, COUNT_LOOKUPS), 0);
    cr_assert_eq(small->joins, 0);
    small_world_close(small);
}

Test(population, prebuilt_buckets_are_full_and_well_formed)
{
    struct small_world *small = small_world_open(400, 1);
    small_world_start(small);
    for (uint32_t i = 0; i < 400; i++) {
        const struct node *node = world_host(small->world, i)->node;
        cr_assert_null(node_check(node));
        /* Buckets of about 200, 100, 50 and 25 candidates, and all of the rest. */
        cr_assert_eq(dht_table_bucket_count(&node->dht.table, 0), 20);
        cr_assert_eq(dht_table_bucket_count(&node->dht.table, 1), 20);
        cr_assert_eq(dht_table_bucket_count(&node->dht.table, 2), 20);
    }
    small_world_close(small);
}

Test(population, all_who_hold_records_may_leave_for_good)
{
    struct small_world *small = small_world_open(60, 1);
    struct population_work *store = small_world_work(small, OPERATION_STORE, 1);
    store->key_count = 2;
    store->until_us = 5 * SMALL_SECOND;
    small->options.key_count = 2;
    small_world_start(small);
    small_world_run(small, 10 * SMALL_SECOND);
    uint32_t holders = 0;
    for (uint32_t i = 0; i < 60; i++) {
        holders += dht_record_count(&world_host(small->world, i)->node->dht) > 0;
    }
    cr_assert(holders >= 20 && holders < 60, "%u holders", holders);
    struct population_leave leave = {.select = POPULATION_SELECT_HOLDERS, .fraction = 1u << 31};
    cr_assert_eq(population_leave(small->population, &leave), (holders + 1) / 2);
    cr_assert_eq(small->population->online, 60 - (holders + 1) / 2);
    cr_assert_eq(small->population->truth.count, small->population->online);
    leave.fraction = UINT32_MAX;
    cr_assert_eq(population_leave(small->population, &leave), holders / 2);
    cr_assert_eq(population_leave(small->population, &leave), 0);
    small_world_close(small);
}

Test(population, a_group_that_left_does_not_return)
{
    static const struct churn_stay stays[] = {{0, 4000000}, {6000000, 9000000}};
    static const uint32_t first[] = {0, 2};
    struct churn_trace trace = {.stays = stays, .first = first, .node_count = 1};
    struct small_world *small = small_world_open(4, 1);
    struct churn_model model;
    churn_model_trace(&model, &trace);
    small->group.churn = &model;
    small_world_start(small);
    small_world_run(small, 2 * SMALL_SECOND);
    struct population_leave leave = {.select = POPULATION_SELECT_GROUP, .fraction = UINT32_MAX};
    cr_assert_eq(population_leave(small->population, &leave), 4);
    small_world_run(small, 8 * SMALL_SECOND);
    cr_assert_eq(small->population->online, 0);
    cr_assert_eq(small->session_count, 4);
    small_world_close(small);
}

Test(population, counters_of_those_who_left_are_kept)
{
    struct small_world *small = small_world_open(10, 1);
    small_world_work(small, OPERATION_LOOKUP, 20);
    small_world_start(small);
    small_world_run(small, 5 * SMALL_SECOND);
    uint64_t before[COUNTER_COUNT];
    population_counters(small->population, before);
    cr_assert_gt(before[COUNT_LOOKUPS], 50);
    cr_assert_eq(before[COUNT_LOOKUPS], population_counter(small->population, COUNT_LOOKUPS));
    struct population_leave leave = {.select = POPULATION_SELECT_ALL, .fraction = UINT32_MAX};
    cr_assert_eq(population_leave(small->population, &leave), 10);
    uint64_t after[COUNTER_COUNT];
    population_counters(small->population, after);
    cr_assert_arr_eq(after, before, sizeof after);
    small_world_close(small);
}

/* Arrivals of a Poisson process: four deviations are 4 sqrt(expected). */
static void expect_arrivals(uint32_t count, double expected)
{
    cr_assert_float_eq(count, expected, 4 * sqrt(expected), "%u arrivals, expected %.0f", count,
                       expected);
}

Test(population, a_rate_per_node_is_each_nodes_own)
{
    struct small_world *small = small_world_open(20, 1);
    struct population_work *work = small_world_work(small, OPERATION_LOOKUP, 0.5);
    work->is_per_node = true;
    work->from_us = 10 * SMALL_SECOND;
    work->until_us = 110 * SMALL_SECOND;
    small_world_start(small);
    small_world_run(small, 10 * SMALL_SECOND);
    cr_assert_eq(small->scripted, 0);
    small_world_run(small, 200 * SMALL_SECOND);
    expect_arrivals(small->scripted, 20 * 100 * 0.5);
    cr_assert_eq(small_world_tally(small, OPERATION_LOOKUP).all, small->scripted);
    small_world_close(small);
}

Test(population, a_shared_rate_does_not_depend_on_how_many_share_it)
{
    for (uint32_t nodes = 5; nodes <= 40; nodes *= 8) {
        struct small_world *small = small_world_open(nodes, 1);
        small_world_work(small, OPERATION_LOOKUP, 5)->until_us = 100 * SMALL_SECOND;
        small_world_start(small);
        small_world_run(small, 110 * SMALL_SECOND);
        expect_arrivals(small->scripted, 500);
        small_world_close(small);
    }
}

Test(population, a_pick_is_fair_among_those_who_take_part)
{
    struct small_world *small = small_world_open(64, 1);
    small_world_start(small);
    struct population *population = small->population;
    population->known[0] = UINT64_C(0x8000000000000411); /* Nodes 0, 4, 10 and 63. */
    uint32_t counts[64] = {0};
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 3000; i++) {
        counts[arrival_pick(population, &rng, 0, 64, 10)]++;
    }
    cr_assert_eq(counts[0] + counts[4] + counts[63], 3000);
    /* Mean 1000, deviation 26; the order of nodes decides in 1 of 20 picks only. */
    cr_assert(counts[0] > 850 && counts[4] > 850 && counts[63] > 850);
    population->known[0] = UINT64_C(1) << 10;
    cr_assert_eq(arrival_pick(population, &rng, 0, 64, 10), POPULATION_ALL);
    cr_assert_eq(arrival_pick(population, &rng, 0, 64, 11), 10);
    small_world_close(small);
}
