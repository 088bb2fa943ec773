/* test_smoke.c - a whole run of fifty nodes: everything works, and the same run comes back. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "sim/sim.h"

#define SECOND UINT64_C(1000000)

static const char text[] =
    "{ \"schema_version\": 1, \"name\": \"smoke\", \"seed\": 7, \"duration\": \"4m\",\n"
    "  \"warmup\": \"1m\",\n"
    "  \"groups\": [\n"
    "    { \"name\": \"core\", \"count\": 10 },\n"
    "    { \"name\": \"peers\", \"count\": 50,\n"
    "      \"churn\": { \"session\": { \"dist\": \"weibull\", \"shape\": 0.6, \"scale\": \"20m\" "
    "},\n"
    "                 \"offline\": { \"dist\": \"exponential\", \"mean\": \"5m\" },\n"
    "                 \"correlation\": 0.5 } } ],\n"
    "  \"network\": { \"latency\": { \"value\": \"60ms\" } },\n"
    "  \"topology\": { \"join_ramp\": \"20s\" },\n"
    "  \"workload\": [\n"
    "    { \"type\": \"lookup\", \"rate\": \"4/min\", \"per\": \"node\" },\n"
    "    { \"type\": \"store\", \"rate\": \"2/s\", \"per\": \"network\",\n"
    "      \"keys\": { \"dist\": \"uniform\", \"n\": 40 } },\n"
    "    { \"type\": \"get\", \"rate\": \"4/min\", \"per\": \"node\",\n"
    "      \"keys\": { \"dist\": \"zipf\", \"s\": 0.9, \"n\": 40 } },\n"
    "    { \"type\": \"message\", \"rate\": \"4/min\", \"per\": \"node\" },\n"
    "    { \"type\": \"broadcast\", \"rate\": \"6/min\", \"per\": \"network\" } ] }\n";

struct observed {
    double sum[METRIC_COUNT];
    uint32_t count[METRIC_COUNT];
    uint32_t violations;
    uint32_t sessions;
    char what[200];
};

static void on_observe(void *arg, enum metric_id metric, uint64_t t_us, uint32_t group,
                       double value)
{
    struct observed *observed = arg;
    bool is_distribution = metric_info(metric)->kind == METRIC_DISTRIBUTION;
    if (t_us >= 60 * SECOND && (is_distribution || group == SCENARIO_GROUP_NONE)) {
        observed->sum[metric] += value;
        observed->count[metric]++;
    }
}

static void on_violation(void *arg, uint64_t t_us, uint32_t node, const char *what)
{
    struct observed *observed = arg;
    observed->violations++;
    (void)snprintf(observed->what, sizeof observed->what, "t=%llu node=%u: %s",
                   (unsigned long long)t_us, node, what);
}

static void on_session(void *arg, uint32_t node, uint64_t start_us, uint64_t end_us,
                       const char *end_reason)
{
    (void)node;
    (void)end_reason;
    cr_assert_leq(start_us, end_us);
    ((struct observed *)arg)->sessions++;
}

static struct scenario *load(const char *override)
{
    const char *overrides[] = {override};
    struct scenario_options options = {.overrides = overrides,
                                       .override_count = override != NULL ? 1 : 0};
    struct scenario_report report;
    scenario_report_init(&report);
    struct scenario *scenario;
    int status =
        scenario_load_text("smoke.jsonc", text, sizeof text - 1, &options, &scenario, &report);
    cr_assert_eq(status, ERR_OK);
    scenario_report_free(&report);
    return scenario;
}

/* Runs all of it in pieces of step_us; returns the digest. */
static uint64_t run(const struct scenario *scenario, uint64_t seed, uint64_t step_us,
                    enum queue_kind kind, struct observed *observed)
{
    *observed = (struct observed){0};
    struct sim_options options = {.scenario = scenario,
                                  .seed = seed,
                                  .queue_kind = kind,
                                  .sink = {.arg = observed,
                                           .observe = on_observe,
                                           .session = on_session,
                                           .violation = on_violation}};
    char error[200] = "";
    struct sim *sim = sim_open(&options, error, sizeof error);
    cr_assert_not_null(sim, "%s", error);
    for (uint64_t t_us = 0; t_us < scenario->duration_us; t_us += step_us) {
        cr_assert(sim_run_until(sim, t_us + step_us));
    }
    sim_finish(sim);
    uint64_t digest = sim_digest(sim);
    sim_close(sim);
    return digest;
}

static double mean(const struct observed *observed, enum metric_id metric)
{
    cr_assert_gt(observed->count[metric], 0, "%s was not measured", metric_info(metric)->name);
    return observed->sum[metric] / observed->count[metric];
}

Test(smoke, fifty_nodes_find_store_and_tell_each_other)
{
    struct scenario *scenario = load(NULL);
    struct observed observed;
    (void)run(scenario, 1, SECOND * 1000, QUEUE_WHEEL, &observed);
    cr_assert_eq(observed.violations, 0, "%s", observed.what);
    cr_assert(mean(&observed, METRIC_NODES_ONLINE) > 35);
    cr_assert(mean(&observed, METRIC_LOOKUP_SUCCESS_RATIO) >= 0.99);
    cr_assert(mean(&observed, METRIC_GET_SUCCESS_RATIO) >= 0.99);
    cr_assert(mean(&observed, METRIC_STORE_SUCCESS_RATIO) >= 0.99);
    cr_assert(mean(&observed, METRIC_MESSAGE_SUCCESS_RATIO) >= 0.98);
    cr_assert(mean(&observed, METRIC_BROADCAST_REACH_RATIO) >= 0.99);
    cr_assert(mean(&observed, METRIC_LOOKUP_LATENCY_S) < 2);
    cr_assert(mean(&observed, METRIC_TABLE_CONTACTS) > 25);
    cr_assert_geq(observed.sessions, 40);
    scenario_free(scenario);
}

Test(smoke, the_same_run_comes_back_and_another_seed_gives_another)
{
    struct scenario *scenario = load(NULL);
    struct observed observed;
    uint64_t digest = run(scenario, 1, SECOND * 1000, QUEUE_WHEEL, &observed);
    cr_assert_eq(run(scenario, 1, SECOND * 1000, QUEUE_WHEEL, &observed), digest);
    cr_assert_eq(run(scenario, 1, 777777, QUEUE_WHEEL, &observed), digest,
                 "how a caller cuts the run must not matter");
    cr_assert_eq(run(scenario, 1, SECOND * 1000, QUEUE_HEAP, &observed), digest);
    cr_assert_neq(run(scenario, 2, SECOND * 1000, QUEUE_WHEEL, &observed), digest);
    scenario_free(scenario);
}

Test(smoke, a_prebuilt_network_needs_no_joins)
{
    struct scenario *scenario = load("/topology={\"source\":\"prebuilt\"}");
    struct observed observed;
    (void)run(scenario, 1, SECOND * 1000, QUEUE_WHEEL, &observed);
    cr_assert_eq(observed.violations, 0, "%s", observed.what);
    cr_assert(mean(&observed, METRIC_LOOKUP_SUCCESS_RATIO) >= 0.99);
    cr_assert(mean(&observed, METRIC_GET_SUCCESS_RATIO) >= 0.99);
    scenario_free(scenario);
}
