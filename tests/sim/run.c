/* run.c - runs a scenario text and sums up its operations. */
#include <signal.h>

#include "tests/sim/run.h"

#include <criterion/criterion.h>
#include <string.h>

#include "sim/engine/digest.h"

struct gather {
    struct run *run;
    uint64_t warmup_us;
    double hops_sum;
};

static void on_operation(void *arg, const struct sim_operation *operation)
{
    struct gather *gather = arg;
    struct run *run = gather->run;
    uint64_t facts[] = {operation->type,     operation->node,    operation->hops,
                        operation->messages, operation->holders, operation->is_ok,
                        operation->is_exact};
    run->outcome =
        digest_step(run->outcome, operation->start_us, operation->node, 0, 0, facts, sizeof facts);
    if (operation->start_us < gather->warmup_us) {
        return;
    }
    run->count[operation->type]++;
    run->ok[operation->type] += operation->is_ok;
    if (operation->type == SCENARIO_WORKLOAD_LOOKUP) {
        run->exact += operation->is_exact;
        gather->hops_sum += operation->hops;
    }
}

static void on_violation(void *arg, uint64_t t_us, uint32_t node, const char *what)
{
    struct run *run = ((struct gather *)arg)->run;
    if (run->violations++ == 0) {
        snprintf(run->violation, sizeof run->violation, "t=%.3fs node=%u: %s", (double)t_us * 1e-6,
                 node, what);
    }
}

struct run run_scenario(const char *text, uint64_t seed, enum queue_kind queue_kind)
{
    struct run run = {.outcome = DIGEST_START};
    struct gather gather = {.run = &run};
    struct scenario *scenario = NULL;
    struct scenario_report report;
    scenario_report_init(&report);
    int status = scenario_load_text("story", text, strlen(text), NULL, &scenario, &report);
    cr_assert_eq(status, ERR_OK, "the story's scenario does not load");
    gather.warmup_us = scenario->warmup_us;

    char error[256] = "";
    struct sim_options options = {
        .scenario = scenario,
        .seed = seed,
        .queue_kind = queue_kind,
        .sink = {.arg = &gather, .operation = on_operation, .violation = on_violation}};
    struct sim *sim = sim_open(&options, error, sizeof error);
    cr_assert_not_null(sim, "%s", error);
    cr_assert(sim_run_until(sim, scenario->duration_us));
    sim_finish(sim);
    run.digest = sim_digest(sim);
    run.events = world_counts(sim_world(sim)).events;
    run.datagrams = world_counts(sim_world(sim)).datagrams_sent;
    uint64_t lookups = run.count[SCENARIO_WORKLOAD_LOOKUP];
    run.hops = lookups > 0 ? gather.hops_sum / (double)lookups : 0;
    sim_close(sim);
    scenario_free(scenario);
    scenario_report_free(&report);
    return run;
}
