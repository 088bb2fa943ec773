/* recorder.c - a sink that fills histograms and tables. */
#include "sim/result/recorder.h"

#include <stdlib.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "sim/result/verdict.h"

static void on_observe(void *arg, enum metric_id metric, uint64_t t_us, uint32_t group,
                       double value);
static void on_operation(void *arg, const struct sim_operation *operation);
static void on_session(void *arg, uint32_t node, uint64_t start_us, uint64_t end_us,
                       const char *end_reason);
static void on_way(void *arg, const struct sim_way *way);
static void on_violation(void *arg, uint64_t t_us, uint32_t node, const char *what);
static void write_ways(struct recorder *recorder);
static void write_pairs(struct recorder *recorder, enum scenario_phase phase);
static void write_histogram(struct recorder *recorder, enum metric_id metric,
                            enum scenario_phase phase, const char *group_name,
                            const struct histogram *histogram);
static void write_cell(struct recorder *recorder, enum metric_id metric, enum scenario_phase phase,
                       uint32_t group);

static const struct {
    const char *name;
    enum scenario_stat stat;
    double percentile;
} summary_stats[] = {
    {"mean", SCENARIO_STAT_MEAN, 0},       {"median", SCENARIO_STAT_MEDIAN, 0},
    {"min", SCENARIO_STAT_MIN, 0},         {"max", SCENARIO_STAT_MAX, 0},
    {"last", SCENARIO_STAT_LAST, 0},       {"sum", SCENARIO_STAT_SUM, 0},
    {"count", SCENARIO_STAT_COUNT, 0},     {"p50", SCENARIO_STAT_PERCENTILE, 50},
    {"p90", SCENARIO_STAT_PERCENTILE, 90}, {"p95", SCENARIO_STAT_PERCENTILE, 95},
    {"p99", SCENARIO_STAT_PERCENTILE, 99},
};

static size_t way_count(const struct recorder *recorder)
{
    size_t kinds = recorder->measures.nat_count;
    return kinds * kinds * NAT_WAY_COUNT * NAT_STEP_COUNT;
}

void recorder_init(struct recorder *recorder, struct database *database,
                   const struct scenario *scenario, uint64_t run_id, uint32_t point, uint64_t seed)
{
    *recorder = (struct recorder){
        .database = database, .scenario = scenario, .run_id = run_id, .point = point};
    measures_init(&recorder->measures, scenario->group_count,
                  SCENARIO_NAT_BOX + scenario->box_count, scenario->warmup_us);
    recorder->ways = text_alloc(way_count(recorder), sizeof *recorder->ways);
    rng_stream(&recorder->sampling, seed, "recorder", 0, 0);
}

void recorder_free(struct recorder *recorder)
{
    measures_free(&recorder->measures);
    free(recorder->ways);
}

struct sim_sink recorder_sink(struct recorder *recorder)
{
    return (struct sim_sink){.arg = recorder,
                             .observe = on_observe,
                             .operation = on_operation,
                             .way = on_way,
                             .session = on_session,
                             .violation = on_violation};
}

void recorder_finish(struct recorder *recorder)
{
    static const enum scenario_phase phases[] = {SCENARIO_PHASE_WARMUP, SCENARIO_PHASE_STEADY,
                                                 SCENARIO_PHASE_ALL};
    for (enum metric_id metric = 0; metric < METRIC_COUNT; metric++) {
        for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
            write_cell(recorder, metric, phases[i], SCENARIO_GROUP_NONE);
            for (uint32_t group = 0; group < recorder->scenario->group_count; group++) {
                write_cell(recorder, metric, phases[i], group);
            }
        }
    }
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        write_pairs(recorder, phases[i]);
    }
    write_ways(recorder);
}

void recorder_judge(struct recorder *recorder)
{
    const struct scenario *scenario = recorder->scenario;
    for (uint32_t i = 0; i < scenario->threshold_count; i++) {
        const struct scenario_threshold *threshold = &scenario->thresholds[i];
        struct histogram histogram = {0};
        if (threshold->nat != NULL) {
            measures_take_pair(&recorder->measures, threshold->phase, threshold->nat_pair,
                               &histogram);
        } else {
            measures_take(&recorder->measures, threshold->metric, threshold->phase,
                          threshold->group, &histogram);
        }
        struct verdict verdict = verdict_judge(threshold, &histogram);
        histogram_free(&histogram);
        database_insert(
            recorder->database, DATABASE_THRESHOLD_RESULT, database_integer(recorder->run_id),
            database_integer(recorder->point), database_integer(i),
            database_integer(threshold->metric), database_text(threshold->expr),
            database_text(measures_phase_text(threshold->phase)),
            database_text(recorder_scope_name(scenario, threshold)),
            database_real(verdict.observed), database_real(threshold->limit),
            database_integer(verdict.passed), database_integer(!verdict.has_data), database_null(),
            database_null(), database_null(), database_null(), database_integer(threshold->line),
            database_integer(threshold->column), database_text(threshold->pointer));
    }
}

const char *recorder_scope_name(const struct scenario *scenario,
                                const struct scenario_threshold *threshold)
{
    return threshold->nat != NULL ? threshold->nat
                                  : recorder_group_name(scenario, threshold->group);
}

const char *recorder_group_name(const struct scenario *scenario, uint32_t group)
{
    must(group == SCENARIO_GROUP_NONE || group < scenario->group_count);
    return group == SCENARIO_GROUP_NONE ? "" : scenario->groups[group].name;
}

static void on_observe(void *arg, enum metric_id metric, uint64_t t_us, uint32_t group,
                       double value)
{
    struct recorder *recorder = arg;
    measures_observe(&recorder->measures, metric, t_us, group, value);
    if (metric_info(metric)->kind != METRIC_DISTRIBUTION) {
        database_insert(recorder->database, DATABASE_SAMPLE, database_integer(recorder->run_id),
                        database_integer(metric),
                        database_text(recorder_group_name(recorder->scenario, group)),
                        database_integer(t_us), database_real(value));
    }
}

static const char *phase_of(const struct recorder *recorder, uint64_t t_us)
{
    return measures_phase_text(t_us < recorder->scenario->warmup_us ? SCENARIO_PHASE_WARMUP
                                                                    : SCENARIO_PHASE_STEADY);
}

static void write_lookup(struct recorder *recorder, const struct sim_operation *operation)
{
    static const char *const kinds[] = {[SCENARIO_WORKLOAD_LOOKUP] = "lookup",
                                        [SCENARIO_WORKLOAD_GET] = "get",
                                        [SCENARIO_WORKLOAD_STORE] = "store"};
    bool has_exact = operation->type == SCENARIO_WORKLOAD_LOOKUP;
    database_insert(recorder->database, DATABASE_LOOKUP, database_integer(recorder->run_id),
                    database_integer(operation->start_us), database_integer(operation->node),
                    database_text(kinds[operation->type]), database_integer(operation->took_us),
                    database_integer(operation->hops), database_integer(operation->messages),
                    database_integer(operation->holders), database_integer(operation->is_ok),
                    has_exact ? database_integer(operation->is_exact) : database_null(),
                    database_text(phase_of(recorder, operation->start_us)));
}

static void write_message(struct recorder *recorder, const struct sim_operation *operation)
{
    database_insert(recorder->database, DATABASE_MESSAGE, database_integer(recorder->run_id),
                    database_integer(operation->start_us), database_integer(operation->node),
                    database_integer(operation->receiver), database_integer(operation->took_us),
                    database_integer(operation->bytes), database_integer(operation->is_ok),
                    database_text(phase_of(recorder, operation->start_us)));
}

static void write_broadcast(struct recorder *recorder, const struct sim_operation *operation)
{
    database_insert(recorder->database, DATABASE_BROADCAST, database_integer(recorder->run_id),
                    database_integer(operation->start_us), database_integer(operation->node),
                    database_integer(operation->bytes), database_real(operation->reach_ratio),
                    database_integer(operation->t50_us), database_integer(operation->t99_us),
                    database_real(operation->duplicate_ratio), database_integer(operation->is_ok),
                    database_text(phase_of(recorder, operation->start_us)));
}

static void on_operation(void *arg, const struct sim_operation *operation)
{
    static const struct {
        uint32_t event;
        void (*write)(struct recorder *recorder, const struct sim_operation *operation);
    } rows[] = {
        [SCENARIO_WORKLOAD_LOOKUP] = {SCENARIO_EVENT_LOOKUP, write_lookup},
        [SCENARIO_WORKLOAD_GET] = {SCENARIO_EVENT_LOOKUP, write_lookup},
        [SCENARIO_WORKLOAD_STORE] = {SCENARIO_EVENT_LOOKUP, write_lookup},
        [SCENARIO_WORKLOAD_MESSAGE] = {SCENARIO_EVENT_MESSAGE, write_message},
        [SCENARIO_WORKLOAD_BROADCAST] = {SCENARIO_EVENT_BROADCAST, write_broadcast},
    };
    struct recorder *recorder = arg;
    const struct scenario_metrics *metrics = &recorder->scenario->metrics;
    uint32_t chance = metrics->event_sampling.threshold;
    if ((metrics->events & rows[operation->type].event) != 0 &&
        (chance == UINT32_MAX || rng_chance(&recorder->sampling, chance))) {
        rows[operation->type].write(recorder, operation);
    }
}

static void on_session(void *arg, uint32_t node, uint64_t start_us, uint64_t end_us,
                       const char *end_reason)
{
    struct recorder *recorder = arg;
    database_insert(recorder->database, DATABASE_NODE_SESSION, database_integer(recorder->run_id),
                    database_integer(node), database_integer(start_us), database_integer(end_us),
                    database_text(end_reason));
}

static void on_way(void *arg, const struct sim_way *way)
{
    struct recorder *recorder = arg;
    size_t kinds = recorder->measures.nat_count;
    size_t pair = way->nat_from * kinds + way->nat_to;
    recorder->ways[(pair * NAT_WAY_COUNT + way->way) * NAT_STEP_COUNT + way->step]++;
    if (way->nat_from != SCENARIO_NAT_PUBLIC && way->nat_to != SCENARIO_NAT_PUBLIC) {
        measures_observe_pair(&recorder->measures, way->start_us,
                              (const uint32_t[]){way->nat_from, way->nat_to},
                              way->way != NAT_WAY_RELAYED);
    }
}

static void on_violation(void *arg, uint64_t t_us, uint32_t node, const char *what)
{
    struct recorder *recorder = arg;
    if (recorder->violations++ < RECORDER_VIOLATIONS_MAX) {
        database_insert(recorder->database, DATABASE_LOG, database_integer(recorder->run_id),
                        database_integer(t_us), database_text("error"),
                        node != UINT32_MAX ? database_integer(node) : database_null(),
                        database_text("check"), database_text(what));
    }
}

struct bucket_rows {
    struct recorder *recorder;
    enum metric_id metric;
    const char *phase;
    const char *group_name;
};

static void write_bucket(void *arg, double upper, uint64_t count)
{
    const struct bucket_rows *rows = arg;
    database_insert(rows->recorder->database, DATABASE_HISTOGRAM_BUCKET,
                    database_integer(rows->recorder->run_id), database_integer(rows->metric),
                    database_text(rows->phase), database_text(rows->group_name),
                    database_real(upper), database_integer(count));
}

/* One metric of one phase and group. */
static void write_cell(struct recorder *recorder, enum metric_id metric, enum scenario_phase phase,
                       uint32_t group)
{
    struct histogram histogram = {0};
    measures_take(&recorder->measures, metric, phase, group, &histogram);
    write_histogram(recorder, metric, phase, recorder_group_name(recorder->scenario, group),
                    &histogram);
    histogram_free(&histogram);
}

/* direct_ratio of one phase between any two kinds of NAT. */
static void write_pairs(struct recorder *recorder, enum scenario_phase phase)
{
    uint32_t kinds = recorder->measures.nat_count;
    for (uint32_t low = 0; low < kinds; low++) {
        for (uint32_t high = low; high < kinds; high++) {
            struct histogram histogram = {0};
            const uint32_t pair[] = {low, high};
            measures_take_pair(&recorder->measures, phase, pair, &histogram);
            char *name = text_format("%s/%s", scenario_nat_text(recorder->scenario, low),
                                     scenario_nat_text(recorder->scenario, high));
            write_histogram(recorder, METRIC_DIRECT_RATIO, phase, name, &histogram);
            free(name);
            histogram_free(&histogram);
        }
    }
}

/* Its statistics, and for distributions the whole shape. */
static void write_histogram(struct recorder *recorder, enum metric_id metric,
                            enum scenario_phase phase, const char *group_name,
                            const struct histogram *histogram)
{
    struct bucket_rows rows = {.recorder = recorder,
                               .metric = metric,
                               .phase = measures_phase_text(phase),
                               .group_name = group_name};
    size_t stat_count = sizeof summary_stats / sizeof summary_stats[0];
    for (size_t i = 0; i < stat_count && histogram->count > 0; i++) {
        double value;
        must(measures_stat(histogram, summary_stats[i].stat, summary_stats[i].percentile, &value));
        database_insert(recorder->database, DATABASE_SUMMARY, database_integer(recorder->run_id),
                        database_integer(metric), database_text(rows.phase),
                        database_text(rows.group_name), database_text(summary_stats[i].name),
                        database_real(value), database_integer(histogram->count));
    }
    if (metric_info(metric)->kind == METRIC_DISTRIBUTION) {
        histogram_visit(histogram, write_bucket, &rows);
    }
}

static void write_ways(struct recorder *recorder)
{
    const struct scenario *scenario = recorder->scenario;
    uint32_t kinds = recorder->measures.nat_count;
    for (size_t i = 0; i < way_count(recorder); i++) {
        size_t pair = i / NAT_STEP_COUNT / NAT_WAY_COUNT;
        if (recorder->ways[i] > 0) {
            database_insert(
                recorder->database, DATABASE_WAY, database_integer(recorder->run_id),
                database_text(scenario_nat_text(scenario, (uint32_t)(pair / kinds))),
                database_text(scenario_nat_text(scenario, (uint32_t)(pair % kinds))),
                database_text(nat_way_text((enum nat_way)(i / NAT_STEP_COUNT % NAT_WAY_COUNT))),
                database_text(nat_step_text((enum nat_step)(i % NAT_STEP_COUNT))),
                database_integer(recorder->ways[i]));
        }
    }
}
