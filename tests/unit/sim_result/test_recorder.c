/* test_recorder.c - what a sink is told, found again in the results. */
#include <signal.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "node/base/rng.h"
#include "sim/result/recorder.h"

enum { WARMUP_US = 60000000, VALUES = 5000 };

struct recording {
    struct scenario *scenario;
    struct database database;
    struct recorder recorder;
    struct sim_sink sink;
    const char *path;
};

static void recording_open(struct recording *recording, const char *more)
{
    recording->scenario = fixture_scenario(more);
    recording->path = fixture_path("recording.db");
    cr_assert_eq(database_create(&recording->database, recording->path, DATABASE_RESULTS), ERR_OK);
    for (enum metric_id metric = 0; metric < METRIC_COUNT; metric++) {
        const struct metric_info *info = metric_info(metric);
        database_insert(&recording->database, DATABASE_METRIC, database_integer(metric),
                        database_text(info->name), database_text(info->unit),
                        database_text(metric_better_text(info->better)),
                        database_text(metric_kind_text(info->kind)),
                        database_text(info->description));
    }
    recorder_init(&recording->recorder, &recording->database, recording->scenario, 1, 0, 99);
    recording->sink = recorder_sink(&recording->recorder);
}

static void recording_close(struct recording *recording)
{
    recorder_finish(&recording->recorder);
    recorder_judge(&recording->recorder);
    recorder_free(&recording->recorder);
    scenario_free(recording->scenario);
    cr_assert_eq(database_finish(&recording->database), ERR_OK, "%s", recording->database.error);
}

static double summary(const struct recording *recording, const char *metric, const char *phase,
                      const char *group, const char *stat)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT value FROM summary JOIN metric USING(metric_id) WHERE name = '%s' AND"
             " phase = '%s' AND group_name = '%s' AND stat = '%s'",
             metric, phase, group, stat);
    return fixture_number(recording->path, sql);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

Test(recorder, statistics_are_those_of_the_values)
{
    struct recording recording;
    recording_open(&recording, "");
    static double values[VALUES];
    struct rng rng;
    rng_seed(&rng, 4);
    double sum = 0;
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = exp((double)(rng_next(&rng) >> 11) * 0x1p-53 * 6 - 4);
        sum += values[i];
        recording.sink.observe(recording.sink.arg, METRIC_LOOKUP_LATENCY_S, WARMUP_US + i,
                               (uint32_t)(i % 2), values[i]);
    }
    double last = values[VALUES - 1];
    recording_close(&recording);
    qsort(values, VALUES, sizeof values[0], compare);
    static const struct {
        const char *stat;
        double percent;
    } quantiles[] = {{"median", 50}, {"p50", 50}, {"p90", 90}, {"p95", 95}, {"p99", 99}};
    const char *name = "lookup_latency_s";
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        double exact = values[(size_t)ceil(quantiles[i].percent / 100 * VALUES) - 1];
        double read = summary(&recording, name, "steady", "", quantiles[i].stat);
        cr_expect(read >= exact && read < exact * 1.008, "%s: %g, exactly %g", quantiles[i].stat,
                  read, exact);
    }
    cr_expect_float_eq(summary(&recording, name, "all", "", "mean"), sum / VALUES, 1e-12);
    cr_expect_float_eq(summary(&recording, name, "steady", "", "sum"), sum, 1e-9);
    cr_expect_eq(summary(&recording, name, "steady", "", "min"), values[0]);
    cr_expect_eq(summary(&recording, name, "steady", "", "max"), values[VALUES - 1]);
    cr_expect_eq(summary(&recording, name, "steady", "", "last"), last);
    cr_expect_eq(summary(&recording, name, "steady", "edge", "count"), VALUES / 2);
    cr_expect_eq(
        fixture_number(recording.path, "SELECT count(*) FROM summary WHERE phase = 'warmup'"), 0);
    fixture_remove(1);
}

Test(recorder, the_stored_buckets_hold_every_value)
{
    struct recording recording;
    recording_open(&recording, "");
    for (uint32_t i = 1; i <= 900; i++) {
        recording.sink.observe(recording.sink.arg, METRIC_LOOKUP_HOPS, i * 100000, 0, i % 9);
    }
    recording_close(&recording);
    cr_expect_eq(fixture_number(recording.path, "SELECT sum(count) FROM histogram_bucket"
                                                " WHERE phase = 'all' AND group_name = ''"),
                 900);
    cr_expect_eq(fixture_number(recording.path, "SELECT sum(count) FROM histogram_bucket"
                                                " WHERE phase = 'warmup' AND group_name = 'core'"),
                 599);
    cr_expect_float_eq(fixture_number(recording.path,
                                      "SELECT cumulative_ratio FROM v_cdf WHERE phase = 'all' AND"
                                      " group_name = '' AND metric = 'lookup_hops' AND value = 3"),
                       4 / 9.0, 1e-12);
    fixture_remove(1);
}

Test(recorder, gauges_become_a_series)
{
    struct recording recording;
    recording_open(&recording, "");
    uint32_t all = SCENARIO_GROUP_NONE;
    for (uint64_t i = 0; i < 10; i++) {
        recording.sink.observe(recording.sink.arg, METRIC_NODES_ONLINE, i, all, (double)i);
        recording.sink.observe(recording.sink.arg, METRIC_NODES_ONLINE, i, 1, (double)i / 2);
    }
    /* The last sample of a run may fall on the time of one before: it replaces that. */
    recording.sink.observe(recording.sink.arg, METRIC_NODES_ONLINE, 9, all, 99);
    recording.sink.observe(recording.sink.arg, METRIC_LOOKUP_HOPS, 9, 1, 3);
    recording_close(&recording);
    cr_expect_str_eq(fixture_text(recording.path, "SELECT count(*) || ' ' || max(value) FROM sample"
                                                  " WHERE group_name = ''"),
                     "10 99.0");
    cr_expect_eq(fixture_number(recording.path, "SELECT max(value) FROM sample"
                                                " WHERE group_name = 'edge'"),
                 4.5);
    cr_expect_eq(fixture_number(recording.path, "SELECT count(*) FROM sample"), 20);
    fixture_remove(1);
}

static void tell_operations(struct recording *recording, uint32_t count)
{
    for (enum scenario_workload_type type = 0; type <= SCENARIO_WORKLOAD_BROADCAST; type++) {
        for (uint32_t i = 0; i < count; i++) {
            struct sim_operation operation = {.type = type,
                                              .start_us = WARMUP_US - 1 + i % 2,
                                              .node = i,
                                              .took_us = 1000 + i,
                                              .hops = 3,
                                              .messages = 7,
                                              .holders = 4,
                                              .bytes = 50,
                                              .reach_ratio = 0.5,
                                              .is_ok = i % 4 != 0,
                                              .is_exact = i % 2 == 0};
            recording->sink.operation(recording->sink.arg, &operation);
        }
    }
}

Test(recorder, operations_have_no_rows_unless_the_scenario_asks)
{
    struct recording recording;
    recording_open(&recording, "");
    tell_operations(&recording, 10);
    recording_close(&recording);
    cr_expect_eq(fixture_number(recording.path, "SELECT (SELECT count(*) FROM lookup) +"
                                                " (SELECT count(*) FROM message) +"
                                                " (SELECT count(*) FROM broadcast)"),
                 0);
    fixture_remove(1);
}

Test(recorder, rows_of_operations_say_what_happened)
{
    struct recording recording;
    recording_open(&recording, "\"metrics\": {\"events\": [\"lookup\", \"broadcast\"]}");
    tell_operations(&recording, 8);
    recording_close(&recording);
    cr_expect_str_eq(fixture_text(recording.path,
                                  "SELECT group_concat(kind || n || ok || phases, ' ') FROM"
                                  " (SELECT kind, count(*) AS n, sum(ok) AS ok,"
                                  "   count(DISTINCT phase) AS phases FROM lookup"
                                  "   GROUP BY kind ORDER BY kind)"),
                     "get862 lookup862 store862");
    cr_expect_eq(fixture_number(recording.path, "SELECT sum(latency_us) FROM lookup"
                                                " WHERE kind = 'get'"),
                 8 * 1000 + 28);
    cr_expect_eq(fixture_number(recording.path, "SELECT sum(exact IS NULL) FROM lookup"), 16);
    cr_expect_eq(fixture_number(recording.path, "SELECT sum(reached_ratio) FROM broadcast"), 4);
    cr_expect_eq(fixture_number(recording.path, "SELECT count(*) FROM message"), 0);
    fixture_remove(1);
}

Test(recorder, sampling_keeps_its_share_of_the_rows)
{
    struct recording recording;
    recording_open(&recording,
                   "\"metrics\": {\"events\": [\"message\"], \"event_sampling\": 0.25}");
    tell_operations(&recording, 4000);
    recording_close(&recording);
    double rows = fixture_number(recording.path, "SELECT count(*) FROM message");
    double deviation = sqrt(4000 * 0.25 * 0.75);
    cr_expect_float_eq(rows, 1000, 4 * deviation);
    fixture_remove(1);
}

Test(recorder, violations_are_counted_all_and_written_up_to_a_limit)
{
    struct recording recording;
    recording_open(&recording, "");
    for (uint32_t i = 0; i < RECORDER_VIOLATIONS_MAX + 5; i++) {
        recording.sink.violation(recording.sink.arg, i, i == 0 ? UINT32_MAX : i, "table too full");
    }
    cr_expect_eq(recording.recorder.violations, RECORDER_VIOLATIONS_MAX + 5);
    recording_close(&recording);
    cr_expect_eq(fixture_number(recording.path, "SELECT count(*) FROM log"),
                 RECORDER_VIOLATIONS_MAX);
    cr_expect_str_eq(fixture_text(recording.path, "SELECT node_id FROM log WHERE t_us = 0"),
                     "NULL");
    fixture_remove(1);
}

Test(recorder, sessions_are_kept)
{
    struct recording recording;
    recording_open(&recording, "");
    recording.sink.session(recording.sink.arg, 3, 10, 20, "churn");
    recording.sink.session(recording.sink.arg, 3, 30, 45, "end");
    recording_close(&recording);
    cr_expect_eq(fixture_number(recording.path, "SELECT sum(end_us - start_us) FROM node_session"
                                                " WHERE node_id = 3 AND end_reason <> ''"),
                 25);
    fixture_remove(1);
}

/* Either end may have begun; who is public has no difficulty worth a figure. */
Test(recorder, ways_are_told_by_pairs_of_boxes)
{
    struct recording recording;
    recording_open(&recording,
                   "\"thresholds\": { \"direct_ratio\": ["
                   "  { \"expr\": \"mean >= 0.7\", \"nat\": \"symmetric/full_cone\" } ] }");
    const uint32_t symmetric = SCENARIO_NAT_PRESET + NAPT_PRESET_SYMMETRIC;
    const uint32_t full_cone = SCENARIO_NAT_PRESET + NAPT_PRESET_FULL_CONE;
    struct sim_way way = {.start_us = WARMUP_US, .nat_from = symmetric, .nat_to = full_cone};
    way.way = NAT_WAY_PUNCHED;
    for (int i = 0; i < 3; i++) {
        recording.sink.way(recording.sink.arg, &way);
    }
    way = (struct sim_way){.start_us = WARMUP_US,
                           .nat_from = full_cone,
                           .nat_to = symmetric,
                           .way = NAT_WAY_RELAYED,
                           .step = NAT_STEP_PUNCH_REFUSED};
    recording.sink.way(recording.sink.arg, &way);
    way.nat_from = SCENARIO_NAT_PUBLIC;
    recording.sink.way(recording.sink.arg, &way);
    recording_close(&recording);
    cr_expect_eq(summary(&recording, "direct_ratio", "steady", "full_cone/symmetric", "mean"),
                 0.75);
    cr_expect_eq(fixture_number(recording.path, "SELECT passed FROM threshold_result"), 1);
    cr_expect_eq(fixture_number(recording.path, "SELECT messages FROM way WHERE nat_from ="
                                                " 'full_cone' AND step = 'punching refused'"),
                 1);
    cr_expect_eq(fixture_number(recording.path, "SELECT sum(messages) FROM way"), 5);
    cr_expect_eq(fixture_number(recording.path, "SELECT count(*) FROM summary WHERE group_name"
                                                " LIKE 'public/%'"),
                 0);
    fixture_remove(1);
}

Test(recorder, each_threshold_gets_a_verdict_with_its_place)
{
    struct recording recording;
    recording_open(&recording, "\"thresholds\": {\"lookup_hops\": [\"mean <= 3\","
                               "{\"expr\": \"max < 3\", \"phase\": \"all\", \"group\": \"edge\"},"
                               "{\"expr\": \"p95 < 9\", \"phase\": \"warmup\"}]}");
    recording.sink.observe(recording.sink.arg, METRIC_LOOKUP_HOPS, WARMUP_US, 0, 2);
    recording.sink.observe(recording.sink.arg, METRIC_LOOKUP_HOPS, WARMUP_US, 1, 4);
    recording_close(&recording);
    cr_expect_str_eq(fixture_text(recording.path,
                                  "SELECT group_concat(expr || '|' || phase || '|' || group_name ||"
                                  " '|' || coalesce(observed, 'NULL') || '|' || passed || no_data,"
                                  " '; ') FROM (SELECT * FROM threshold_result ORDER BY rowid)"),
                     "mean <= 3|steady||3.0|10; max < 3|all|edge|4.0|00; p95 < 9|warmup||NULL|01");
    cr_expect_str_eq(fixture_text(recording.path,
                                  "SELECT json_pointer FROM threshold_result WHERE threshold = 1"),
                     "/thresholds/lookup_hops/1");
    fixture_remove(1);
}
