/* test_sim.c - what callers of a run rely on: barriers, sinks, stops, actions and views. */
#include <signal.h>

#include <criterion/criterion.h>

#include "sim/run.h"
#include "tests/support/scenario_text.h"

#define SECOND UINT64_C(1000000)

static const char thirty[] =
    "\"groups\": [ { \"name\": \"core\", \"count\": 10 }, { \"name\": \"peers\", \"count\": 20 } ],"
    "\"topology\": { \"join_ramp\": \"10s\" },"
    "\"workload\": [ { \"type\": \"lookup\", \"rate\": \"1/s\", \"per\": \"network\" } ],"
    "\"metrics\": { \"sample_every\": \"7s\" }";

struct heard {
    uint32_t samples;
    uint64_t last_us;
    double online_of[3]; /* Group 0, group 1, all. */
    uint32_t operations;
    uint32_t joins;
    uint32_t left;
    uint32_t ended;
    uint32_t violations;
    uint32_t violation_node;
};

static void on_observe(void *arg, enum metric_id metric, uint64_t t_us, uint32_t group,
                       double value)
{
    struct heard *heard = arg;
    if (metric == METRIC_NODES_ONLINE) {
        heard->online_of[group == SCENARIO_GROUP_NONE ? 2 : group] = value;
        heard->samples += group == SCENARIO_GROUP_NONE;
        heard->last_us = t_us;
    }
    heard->joins += metric == METRIC_JOIN_LATENCY_S;
}

static void on_operation(void *arg, const struct sim_operation *operation)
{
    cr_assert_lt(operation->node, 30);
    cr_assert_eq(operation->group, operation->node >= 10);
    ((struct heard *)arg)->operations++;
}

static void on_session(void *arg, uint32_t node, uint64_t start_us, uint64_t end_us,
                       const char *end_reason)
{
    struct heard *heard = arg;
    (void)node;
    cr_assert_leq(start_us, end_us);
    heard->left += strcmp(end_reason, "leave") == 0;
    heard->ended += strcmp(end_reason, "end") == 0;
}

static void on_violation(void *arg, uint64_t t_us, uint32_t node, const char *what)
{
    struct heard *heard = arg;
    (void)t_us;
    (void)what;
    heard->violations++;
    heard->violation_node = node;
}

static struct sim *open_run(const struct scenario *scenario, struct heard *heard,
                            const volatile int *stop, uint64_t events_max)
{
    *heard = (struct heard){0};
    struct sim_options options = {.scenario = scenario,
                                  .seed = 5,
                                  .stop = stop,
                                  .events_max = events_max,
                                  .sink = {.arg = heard,
                                           .observe = on_observe,
                                           .operation = on_operation,
                                           .session = on_session,
                                           .violation = on_violation}};
    char error[200] = "";
    struct sim *sim = sim_open(&options, error, sizeof error);
    cr_assert_not_null(sim, "%s", error);
    return sim;
}

Test(sim, samples_come_at_their_times_and_once_more_at_the_end)
{
    struct scenario *scenario = scenario_text(thirty);
    struct heard heard;
    struct sim *sim = open_run(scenario, &heard, NULL, 0);
    cr_assert(sim_run_until(sim, 20 * SECOND));
    cr_assert_eq(heard.samples, 2);
    cr_assert_eq(heard.last_us, 14 * SECOND);
    cr_assert(sim_run_until(sim, 1000 * SECOND));
    cr_assert_eq(sim_now_us(sim), 120 * SECOND, "a run ends with its scenario");
    cr_assert_eq(heard.samples, 17);
    sim_finish(sim);
    cr_assert_eq(heard.samples, 18);
    cr_assert_eq(heard.last_us, 120 * SECOND);
    cr_assert(heard.online_of[0] == 10 && heard.online_of[1] == 20 && heard.online_of[2] == 30);
    cr_assert_eq(heard.joins, 30);
    cr_assert_eq(heard.ended, 30);
    cr_assert_gt(heard.operations, 60);
    cr_assert_eq(heard.violations, 0);
    sim_close(sim);
    scenario_free(scenario);
}

Test(sim, a_run_stops_at_an_event_and_on_request)
{
    struct scenario *scenario = scenario_text(thirty);
    struct heard heard;
    struct sim *sim = open_run(scenario, &heard, NULL, 500);
    cr_assert(!sim_run_until(sim, 120 * SECOND));
    cr_assert_eq(world_counts(sim_world(sim)).events, 500);
    sim_finish(sim);
    sim_close(sim);
    static volatile int stop;
    stop = 0;
    sim = open_run(scenario, &heard, &stop, 0);
    cr_assert(sim_run_until(sim, 5 * SECOND));
    stop = 1;
    cr_assert(!sim_run_until(sim, 120 * SECOND));
    cr_assert_lt(sim_now_us(sim), 6 * SECOND);
    sim_finish(sim);
    sim_close(sim);
    scenario_free(scenario);
}

Test(sim, an_action_takes_its_share_away_for_good)
{
    struct scenario *scenario = scenario_text(
        "\"groups\": [ { \"name\": \"core\", \"count\": 10 }, { \"name\": \"peers\","
        "  \"count\": 20 } ], \"topology\": { \"join_ramp\": \"10s\" },"
        "\"actions\": [ { \"at\": \"30500ms\", \"type\": \"leave\", \"select\": \"group:peers\","
        "  \"fraction\": 0.25 } ]");
    struct heard heard;
    struct sim *sim = open_run(scenario, &heard, NULL, 0);
    cr_assert(sim_run_until(sim, 30 * SECOND));
    cr_assert_eq(sim_nodes_online(sim), 30);
    cr_assert(sim_run_until(sim, 31 * SECOND));
    cr_assert_eq(sim_nodes_online(sim), 25);
    cr_assert(sim_run_until(sim, 120 * SECOND));
    sim_finish(sim);
    cr_assert(heard.left == 5 && heard.ended == 25);
    cr_assert_eq(sim_nodes_online(sim), 25);
    sim_close(sim);
    scenario_free(scenario);
}

Test(sim, what_a_node_is_is_known_before_during_and_after_its_life)
{
    struct scenario *scenario = scenario_text(
        "\"groups\": [ { \"name\": \"core\", \"count\": 3 }, { \"name\": \"late\", \"count\": 1,"
        "  \"link\": { \"up\": \"3Mbit/s\", \"down\": \"4Mbit/s\" }, \"join\": { \"at\": \"20s\" }"
        "  } ], \"actions\": [ { \"at\": \"60s\", \"type\": \"leave\","
        "  \"select\": \"group:late\" } ]");
    struct heard heard;
    struct sim *sim = open_run(scenario, &heard, NULL, 0);
    static const uint8_t zero[CRYPTO_PUBLIC_LEN];
    struct sim_node_info before;
    struct sim_node_info during;
    struct sim_node_info after;
    cr_assert(sim_run_until(sim, 10 * SECOND));
    sim_node_info(sim, 3, &before);
    cr_assert(!before.is_up && memcmp(before.public_key, zero, sizeof zero) == 0);
    cr_assert(before.up_bps == 3000000 && before.down_bps == 4000000);
    cr_assert_str_eq(before.group_name, "late");
    cr_assert_str_eq(before.region_name, "all");
    cr_assert(sim_run_until(sim, 30 * SECOND));
    sim_node_info(sim, 3, &during);
    cr_assert(during.is_up && memcmp(during.public_key, zero, sizeof zero) != 0);
    cr_assert(sim_run_until(sim, 90 * SECOND));
    sim_node_info(sim, 3, &after);
    cr_assert(!after.is_up);
    cr_assert_arr_eq(after.public_key, during.public_key, sizeof zero);
    sim_finish(sim);
    sim_close(sim);
    scenario_free(scenario);
}

Test(sim, views_add_up)
{
    struct scenario *scenario = scenario_text(thirty);
    struct heard heard;
    struct sim *sim = open_run(scenario, &heard, NULL, 0);
    cr_assert(sim_run_until(sim, 60 * SECOND));
    cr_assert_eq(sim_node_count(sim), 30);
    uint64_t counters[COUNTER_COUNT];
    sim_counters(sim, counters);
    cr_assert_eq(counters[COUNT_DATAGRAMS_OUT], world_counts(sim_world(sim)).datagrams_sent);
    struct sim_memory memory;
    sim_memory(sim, &memory);
    double used = 0;
    for (int user = 0; user < ARENA_USER_COUNT; user++) {
        used += memory.used_bytes[user];
    }
    cr_assert(used > 0 && used <= memory.arena_bytes);
    cr_assert_eq(memory.node_struct_bytes, sizeof(struct node));
    cr_assert(memory.intern_bytes > 0 && memory.packet_bytes > 0 && memory.queue_bytes > 0);
    struct node_id target = world_host(sim_world(sim), 4)->node->identity.id;
    uint32_t nodes[30];
    cr_assert_eq(sim_true_nearest(sim, &target, TRUTH_NOBODY, nodes, 30), 30);
    cr_assert_eq(nodes[0], 4);
    cr_assert_eq(sim_true_nearest(sim, &target, 4, nodes, 30), 29);
    cr_assert_neq(nodes[0], 4);
    cr_assert_eq(sim_tables_hash(sim), setup_hash(&sim->setup));
    sim_finish(sim);
    sim_close(sim);
    scenario_free(scenario);
}

static void on_dispatched(void *arg, const struct event *event, uint32_t kind, struct slice bytes,
                          uint64_t chain)
{
    (void)event;
    (void)kind;
    (void)bytes;
    (void)chain;
    ++*(uint64_t *)arg;
}

Test(sim, every_event_is_shown_to_who_watches)
{
    struct scenario *scenario = scenario_text(thirty);
    uint64_t seen = 0;
    struct sim_options options = {
        .scenario = scenario, .seed = 5, .dispatched = on_dispatched, .dispatched_arg = &seen};
    char error[200];
    struct sim *sim = sim_open(&options, error, sizeof error);
    cr_assert(sim_run_until(sim, 30 * SECOND));
    cr_assert_eq(seen, world_counts(sim_world(sim)).events);
    cr_assert_gt(seen, 1000);
    sim_finish(sim);
    sim_close(sim);
    scenario_free(scenario);
}

Test(sim, a_broken_invariant_is_told_and_counted)
{
    struct scenario *scenario = scenario_text(thirty);
    struct heard heard;
    struct sim *sim = open_run(scenario, &heard, NULL, 0);
    cr_assert(sim_run_until(sim, 60 * SECOND));
    world_host(sim_world(sim), 17)->node->dht.table.count++;
    cr_assert(sim_run_until(sim, 80 * SECOND));
    cr_assert_geq(heard.violations, 1, "a rotating check came by");
    cr_assert_eq(heard.violation_node, 17);
    cr_assert_eq(sim->violations, heard.violations);
    sim_finish(sim);
    cr_assert_gt(sim->violations, 1);
    sim_close(sim);
    scenario_free(scenario);
}

Test(sim, a_churn_that_never_changes_is_refused_with_a_message)
{
    struct scenario *scenario = scenario_text(
        "\"groups\": [ { \"name\": \"core\", \"count\": 1, \"churn\": { \"session\": \"1m\","
        "  \"offline\": \"1m\" } } ]");
    scenario->groups[0].churn.offline.value = 0;
    struct sim_options options = {.scenario = scenario, .seed = 5};
    char error[200] = "";
    cr_assert_null(sim_open(&options, error, sizeof error));
    cr_assert_not_null(strstr(error, "core"), "%s", error);
    scenario_free(scenario);
}
