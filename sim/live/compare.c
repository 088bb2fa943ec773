/* compare.c - counts by kind, success, hops, convergence, latencies. */
#include "sim/live/compare.h"

#include <math.h>
#include <stdlib.h>

#include "node/cli/text.h"

/* A count of independent events is off by its root; three times that is chance once in 370 runs. */
#define COUNT_RATIO     0.1
#define COUNT_DEVIATION 3.0
#define COUNT_MIN       100 /* Smaller counts are mostly chance. */
#define HOPS_RATIO      0.1
#define JOINED_RATIO    0.1

enum { KINDS = NODE_BROADCAST + 1 };

static const char *const kind_names[KINDS] = {[NODE_LOOKUP] = "lookup",
                                              [NODE_GET] = "get",
                                              [NODE_PUT] = "store",
                                              [NODE_SEND] = "message",
                                              [NODE_BROADCAST] = "broadcast"};

static void add_traffic(struct comparison *comparison, const struct live_script *script);
static void add_success(struct comparison *comparison, const struct live_script *script);
static void add_hops(struct comparison *comparison, const struct live_script *script);
static void add_latencies(struct comparison *comparison, const struct live_script *script);
static void add(struct comparison *comparison, const struct compare_row *row);
static enum compare_verdict within(double simulated, double live, double allowed);

void compare_make(struct comparison *comparison, const struct live_script *script)
{
    *comparison = (struct comparison){0};
    add_traffic(comparison, script);
    add_success(comparison, script);
    add_hops(comparison, script);
    double simulated_us = (double)script->simulated.joined_us;
    double live_us = (double)script->live.joined_us;
    struct compare_row joined = {.section = "convergence",
                                 .name = "all joined",
                                 .unit = COMPARE_US,
                                 .simulated = simulated_us,
                                 .live = live_us,
                                 .allowed = JOINED_RATIO * simulated_us};
    bool have_joined = simulated_us > 0 && live_us > 0;
    joined.verdict = have_joined ? within(simulated_us, live_us, joined.allowed) : COMPARE_FAIL;
    add(comparison, &joined);
    add_latencies(comparison, script);
}

void compare_free(struct comparison *comparison)
{
    free(comparison->rows);
    *comparison = (struct comparison){0};
}

static void add_traffic(struct comparison *comparison, const struct live_script *script)
{
    for (size_t i = 0; i < TRAFFIC_ROWS; i++) {
        double simulated = (double)script->simulated.traffic.sent[i];
        double live = (double)script->live.traffic.sent[i];
        struct compare_row row = {.section = "messages sent",
                                  .name = traffic_text((enum traffic_row)i),
                                  .unit = COMPARE_COUNT,
                                  .simulated = simulated,
                                  .live = live,
                                  .verdict = COMPARE_NOT_JUDGED};
        row.allowed = fmax(COUNT_RATIO * simulated, COUNT_DEVIATION * sqrt(simulated));
        if (simulated >= COUNT_MIN || live >= COUNT_MIN) {
            row.verdict = within(simulated, live, row.allowed);
        }
        if (simulated > 0 || live > 0) {
            add(comparison, &row);
        }
    }
}

/* Of all commands of a kind; and of broadcasts, to how many nodes they came. */
static void add_success(struct comparison *comparison, const struct live_script *script)
{
    for (uint32_t kind = 0; kind < KINDS; kind++) {
        double all = 0, simulated = 0, live = 0;
        for (uint32_t i = 0; i < script->command_count; i++) {
            const struct live_command *command = &script->commands[i];
            if (command->kind == kind) {
                all++;
                simulated += command->simulated.is_ok;
                live += command->live.is_ok;
            }
        }
        if (all > 0) {
            add(comparison, &(struct compare_row){.section = "success",
                                                  .name = kind_names[kind],
                                                  .unit = COMPARE_RATIO,
                                                  .simulated = simulated / all,
                                                  .live = live / all,
                                                  .verdict = within(simulated, live, 0)});
        }
    }
    double simulated = (double)script->simulated.counters[COUNT_BROADCASTS_NEW];
    double live = (double)script->live.counters[COUNT_BROADCASTS_NEW];
    if (simulated > 0 || live > 0) {
        add(comparison, &(struct compare_row){.section = "success",
                                              .name = "broadcasts received",
                                              .unit = COMPARE_COUNT,
                                              .simulated = simulated,
                                              .live = live,
                                              .verdict = within(simulated, live, 0)});
    }
}

static double mean_hops(const struct live_script *script, enum node_command_kind kind, bool is_live)
{
    double sum = 0, count = 0;
    for (uint32_t i = 0; i < script->command_count; i++) {
        const struct live_command *command = &script->commands[i];
        const struct live_outcome *outcome = is_live ? &command->live : &command->simulated;
        if (command->kind == kind && outcome->is_ok) {
            sum += outcome->hops;
            count++;
        }
    }
    return count > 0 ? sum / count : 0;
}

static void add_hops(struct comparison *comparison, const struct live_script *script)
{
    static const enum node_command_kind kinds[] = {NODE_LOOKUP, NODE_GET};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        double simulated = mean_hops(script, kinds[i], false);
        double live = mean_hops(script, kinds[i], true);
        double allowed = HOPS_RATIO * simulated;
        if (simulated > 0 || live > 0) {
            add(comparison, &(struct compare_row){.section = "mean hops",
                                                  .name = kind_names[kinds[i]],
                                                  .unit = COMPARE_MEAN,
                                                  .simulated = simulated,
                                                  .live = live,
                                                  .allowed = allowed,
                                                  .verdict = within(simulated, live, allowed)});
        }
    }
}

static int order(const void *a, const void *b)
{
    double first = *(const double *)a;
    double second = *(const double *)b;
    return (first > second) - (first < second);
}

/* By nearest rank: of commands of the kind that succeeded. */
static double latency(const struct live_script *script, uint32_t kind, double part, bool is_live)
{
    double *took_us = text_alloc(script->command_count + 1u, sizeof *took_us);
    size_t count = 0;
    for (uint32_t i = 0; i < script->command_count; i++) {
        const struct live_command *command = &script->commands[i];
        const struct live_outcome *outcome = is_live ? &command->live : &command->simulated;
        if (command->kind == kind && outcome->is_ok) {
            took_us[count++] = (double)outcome->took_us;
        }
    }
    qsort(took_us, count, sizeof *took_us, order);
    double value = count > 0 ? took_us[(size_t)ceil(part * (double)count) - 1] : 0;
    free(took_us);
    return value;
}

/* The simulated network's least latency is a millisecond, loopback takes less: not judged. */
static void add_latencies(struct comparison *comparison, const struct live_script *script)
{
    static const struct {
        enum node_command_kind kind;
        double part;
        const char *name;
    } quantiles[] = {{NODE_LOOKUP, 0.5, "lookup p50"}, {NODE_LOOKUP, 0.95, "lookup p95"},
                     {NODE_GET, 0.5, "get p50"},       {NODE_GET, 0.95, "get p95"},
                     {NODE_PUT, 0.5, "store p50"},     {NODE_PUT, 0.95, "store p95"},
                     {NODE_SEND, 0.5, "message p50"},  {NODE_SEND, 0.95, "message p95"}};
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        struct compare_row row = {
            .section = "latency",
            .name = quantiles[i].name,
            .unit = COMPARE_US,
            .simulated = latency(script, quantiles[i].kind, quantiles[i].part, false),
            .live = latency(script, quantiles[i].kind, quantiles[i].part, true),
            .verdict = COMPARE_NOT_JUDGED};
        if (row.simulated > 0 || row.live > 0) {
            add(comparison, &row);
        }
    }
}

static void add(struct comparison *comparison, const struct compare_row *row)
{
    comparison->rows = text_grow(comparison->rows, comparison->count, sizeof *comparison->rows);
    comparison->rows[comparison->count++] = *row;
    comparison->judged += row->verdict != COMPARE_NOT_JUDGED;
    comparison->failed += row->verdict == COMPARE_FAIL;
}

static enum compare_verdict within(double simulated, double live, double allowed)
{
    return fabs(simulated - live) <= allowed ? COMPARE_PASS : COMPARE_FAIL;
}
