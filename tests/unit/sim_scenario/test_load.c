/* test_load.c - what a file says is what the struct holds, in base units; and defaults. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "fixtures.h"
#include "node/cli/text.h"
#include "sim/scenario/json.h"

#define HEAD  "{\"schema_version\":1,\"name\":\"t\",\"seed\":1,\"duration\":\"10m\","
#define GROUP "\"groups\":[{\"name\":\"a\",\"count\":4}]"

Test(scenario_load, defaults_are_those_of_the_table)
{
    struct scenario *scenario = load_good(GOOD_FOLDER "/minimal.jsonc");
    cr_expect_str_eq(scenario->name, "minimal");
    cr_expect_null(scenario->description);
    cr_expect_eq(scenario->seed, 1);
    cr_expect_eq(scenario->replicates, 1);
    cr_expect_eq(scenario->duration_us, 300000000);
    cr_expect_eq(scenario->warmup_us, 0);
    cr_expect_eq(scenario->crypto, SCENARIO_CRYPTO_MODELLED);
    cr_expect_eq(scenario->protocol.k, 20);
    cr_expect_eq(scenario->protocol.alpha, 3);
    cr_expect(scenario->protocol.path_cache);
    cr_expect_eq(scenario->protocol.gossip_period_us, 30000000);
    cr_expect_eq(scenario->network.latency.model, SCENARIO_LATENCY_CONSTANT);
    cr_expect_eq(scenario->network.latency.one_way.value, 50000);
    cr_expect_eq(scenario->network.latency.region_count, 1);
    cr_expect_eq(scenario->network.latency.jitter.value, 0);
    cr_expect_eq(scenario->network.loss.model, SCENARIO_LOSS_NONE);
    cr_expect_eq(scenario->network.mtu, 1500);
    cr_assert_eq(scenario->group_count, 1);
    const struct scenario_group *group = &scenario->groups[0];
    cr_expect_eq(group->region_mix_count, 1);
    cr_expect_eq(group->region_mix[0].cumulative, UINT32_MAX);
    cr_expect_eq(group->link.up_bps, 50000000);
    cr_expect_eq(group->link.latency.value, 1000);
    cr_expect_not(group->has_churn || group->has_join);
    cr_expect_eq(memcmp(&group->protocol, &scenario->protocol, sizeof group->protocol), 0);
    cr_expect_eq(scenario->topology.source, SCENARIO_SOURCE_BOOTSTRAP);
    cr_expect_eq(scenario->topology.bootstrap_group, 0);
    cr_expect_eq(scenario->topology.join_ramp_us, 60000000);
    cr_expect_eq(scenario->metrics.sample_every_us, 10000000);
    cr_expect_eq(scenario->workload_count + scenario->action_count + scenario->threshold_count, 0);
    scenario_free(scenario);
}

Test(scenario_load, every_key_arrives_in_base_units)
{
    struct scenario *scenario = load_good(GOOD_FOLDER "/every-key.jsonc");
    cr_expect_eq(scenario->seed, UINT64_MAX);
    cr_expect_eq(scenario->warmup_us, 630000000);
    cr_expect_eq(scenario->crypto, SCENARIO_CRYPTO_REAL);
    cr_expect_eq(scenario->node_count, 40 + 1400 + 560 + 3);
    cr_expect_eq(scenario->protocol.guard_per_minute, 600);
    cr_expect_eq(scenario->protocol.guard_per_hour, 0);
    cr_expect_not_null(strstr(scenario->description, "\xf0\x9f\x98\x80"));

    const struct scenario_network *network = &scenario->network;
    cr_assert_eq(network->latency.region_count, 3);
    cr_expect_str_eq(network->latency.regions[2].name, "as");
    cr_expect_eq(network->latency.one_way_us[0 * 3 + 2], 85000);
    cr_expect_eq(network->latency.one_way_us[2 * 3 + 0], 85000);
    cr_expect_eq(network->latency.one_way_us[1 * 3 + 2], 75250);
    cr_expect_eq(network->latency.jitter.kind, DIST_CONFIG_LOGNORMAL);
    cr_expect_eq(network->latency.jitter.median, 3000);
    cr_expect_eq(network->latency.jitter.sigma, 0.5);
    cr_expect_eq(network->loss.model, SCENARIO_LOSS_GILBERT_ELLIOTT);
    cr_expect_eq(network->loss.p_bad_to_good.ratio, 0.2);
    cr_expect_eq(network->loss.p_bad_to_good.threshold, 858993459u);

    const struct scenario_group *home = &scenario->groups[1];
    cr_expect_eq(home->protocol.k, 16, "from defaults.protocol");
    cr_expect_eq(home->protocol.alpha, 8, "its own");
    cr_expect_eq(home->region_mix_count, 3);
    cr_expect_eq(home->region_mix[0].cumulative, UINT32_MAX / 2);
    cr_expect_eq(home->link.latency.kind, DIST_CONFIG_UNIFORM);
    cr_expect_eq(home->link.latency.max, 12000);
    cr_expect_eq(home->churn.session.kind, DIST_CONFIG_WEIBULL);
    cr_expect_eq(home->churn.session.scale, 52ull * 60 * 1000000);
    cr_expect_eq(home->churn.start, SCENARIO_CHURN_ONLINE);
    cr_expect_eq(home->churn.correlation, 0.4);
    cr_expect_eq(scenario->groups[0].link.queue_bytes, 1536 * 1024);
    cr_expect_eq(scenario->groups[0].link.down_bps, 0);
    cr_expect(scenario->groups[2].has_join);
    cr_expect_eq(scenario->groups[2].join.over_us, 10000000);
    cr_expect_eq(scenario->groups[2].region_mix_count, 3, "the model's weights");
    cr_expect_eq(scenario->groups[2].churn.offline.kind, DIST_CONFIG_CONSTANT);

    cr_expect_eq(scenario->topology.join_ramp_us, (uint64_t)(1403 / 40.0 * 1e6),
                 "nodes that neither bootstrap nor join later, at 40 per second");
    scenario_free(scenario);
}

Test(scenario_load, workloads_actions_and_thresholds_arrive)
{
    struct scenario *scenario = load_good(GOOD_FOLDER "/every-key.jsonc");
    cr_assert_eq(scenario->workload_count, 5);
    cr_expect_eq(scenario->workloads[0].rate_per_s, 0.2 / 60);
    cr_expect_eq(scenario->workloads[0].keys.kind, SCENARIO_KEYS_FRESH);
    cr_expect_eq(scenario->workloads[0].group, SCENARIO_GROUP_NONE);
    cr_expect_eq(scenario->workloads[0].until_us, scenario->duration_us);
    cr_expect_eq(scenario->workloads[1].keys.kind, SCENARIO_KEYS_ZIPF);
    cr_expect_eq(scenario->workloads[1].size_bytes.mean, 300);
    cr_expect_eq(scenario->workloads[2].type, SCENARIO_WORKLOAD_GET);
    cr_expect_eq(scenario->workloads[2].group, 1);
    cr_expect_eq(scenario->workloads[4].size_bytes.value, 256);

    cr_assert_eq(scenario->action_count, 3);
    cr_expect_eq(scenario->actions[0].at_us, 1200000000, "in order of time");
    cr_expect_eq(scenario->actions[0].select.group, 2);
    cr_expect_eq(scenario->actions[1].select.kind, SCENARIO_SELECT_HOLDERS);
    cr_expect_eq(scenario->actions[1].fraction.threshold, 1u << 31);
    cr_expect_eq(scenario->metrics.events, SCENARIO_EVENT_LOOKUP | SCENARIO_EVENT_BROADCAST);

    cr_assert_eq(scenario->threshold_count, 8);
    const struct scenario_threshold *second = &scenario->thresholds[1];
    cr_expect_eq(second->metric, METRIC_LOOKUP_SUCCESS_RATIO);
    cr_expect_eq(second->stat, SCENARIO_STAT_MIN);
    cr_expect_eq(second->op, SCENARIO_OP_GE);
    cr_expect_eq(second->limit, 0.8);
    cr_expect_eq(second->phase, SCENARIO_PHASE_ALL);
    cr_expect_eq(second->group, 1);
    cr_expect_str_eq(second->pointer, "/thresholds/lookup_success_ratio/1");
    cr_expect_gt(second->line, 70);
    cr_expect_eq(scenario->thresholds[0].group, SCENARIO_GROUP_NONE);
    cr_expect_eq(scenario->thresholds[2].limit, 1.2);
    cr_expect_eq(scenario->thresholds[2].percentile, 95);
    cr_expect_eq(scenario->thresholds[3].limit, 3);
    cr_expect_eq(scenario->thresholds[3].percentile, 99.9);
    cr_expect_eq(scenario->thresholds[4].limit, 16384);
    cr_expect_eq(scenario->thresholds[4].across_seeds, SCENARIO_ACROSS_ALL);
    cr_expect_eq(scenario->thresholds[4].no_data, SCENARIO_NO_DATA_PASS);
    scenario_free(scenario);
}

Test(scenario_load, a_matrix_file_gives_regions_weights_and_half_round_trips)
{
    struct scenario *scenario = load_good(GOOD_FOLDER "/matrix-csv.jsonc");
    const struct scenario_latency *latency = &scenario->network.latency;
    cr_assert_eq(latency->region_count, 3);
    cr_expect_str_eq(latency->regions[2].name, "new york");
    cr_expect_eq(latency->regions[0].weight, 0.5);
    cr_expect_eq(latency->one_way_us[0], 1050);
    cr_expect_eq(latency->one_way_us[1], 115750, "mean of both directions, halved");
    cr_expect_eq(latency->one_way_us[3], 115750);
    cr_expect_eq(latency->one_way_us[5], 85001, "85000.75 is rounded");
    cr_expect_eq(strlen(latency->file_sha256), 64);
    cr_expect_eq(scenario->groups[0].region_mix_count, 3);
    cr_expect_eq(scenario->groups[0].region_mix[0].ratio, 0.5);
    cr_expect_eq(scenario->groups[1].region_mix[0].index, 1);
    scenario_free(scenario);
}

Test(scenario_load, a_trace_is_sorted_by_node_and_time)
{
    struct scenario *scenario = load_good(GOOD_FOLDER "/every-key.jsonc");
    const struct scenario_trace *trace = &scenario->groups[3].churn.trace;
    cr_assert_eq(trace->stay_count, 3);
    cr_expect_eq(trace->node_count, 2);
    cr_expect_eq(trace->stays[0].start_us, 0);
    cr_expect_eq(trace->stays[1].start_us, 30500000);
    cr_expect_eq(trace->stays[1].end_us, 60250000);
    cr_expect_eq(trace->stays[2].node, 1);
    scenario_free(scenario);
}

Test(scenario_load, coordinates_and_drawn_latency_arrive)
{
    struct scenario *scenario = load_good(GOOD_FOLDER "/coordinates.jsonc");
    cr_expect_eq(scenario->network.latency.coordinates[1].latitude, -33.87);
    cr_expect_eq(scenario->network.latency.inflation, 2);
    cr_expect_null(scenario->network.latency.one_way_us);
    cr_expect_eq(scenario->topology.source, SCENARIO_SOURCE_PREBUILT);
    scenario_free(scenario);
    scenario = load_good(GOOD_FOLDER "/drawn-latency.jsonc");
    cr_expect_eq(scenario->network.latency.one_way.kind, DIST_CONFIG_LOGNORMAL);
    cr_expect_eq(scenario->network.latency.one_way.median, 70000);
    cr_expect_eq(scenario->network.latency.one_way.sigma, 0.82);
    cr_expect_eq(scenario->groups[0].region_mix[0].ratio, 1);
    scenario_free(scenario);
}

Test(scenario_load, shares_that_miss_one_by_a_little_are_scaled_with_a_warning)
{
    struct scenario_report report;
    struct scenario *scenario;
    scenario_report_init(&report);
    int code = scenario_load(GOOD_FOLDER "/drawn-latency.jsonc", NULL, &scenario, &report);
    cr_assert_eq(code, ERR_OK);
    cr_expect_eq(report.error_count, 0);
    cr_expect_eq(report.warning_count, 1);
    cr_expect_eq(report.items[0].code, REPORT_MT0204);
    cr_expect_eq(report.items[0].line, 6);
    scenario_free(scenario);
    scenario_report_free(&report);
}

Test(scenario_load, a_join_ramp_that_nobody_uses_gets_a_warning)
{
    char *got = complaints_of(HEAD GROUP ",\n\"topology\":{\"join_ramp\":\"2m\"}}", NULL);
    cr_expect_str_eq(got, "MT0211@2:25 ");
    free(got);
    got = complaints_of(HEAD GROUP ",\n\"topology\":{\"source\":\"bootstrap\"}}", NULL);
    cr_expect_str_eq(got, "", "the default ramp is nobody's mistake");
    free(got);
}

Test(scenario_load, probabilities_become_thresholds_of_rng_chance)
{
    struct scenario *scenario =
        load_good_text(HEAD "\"groups\":[{\"name\":\"a\",\"count\":1,\"link\":{\"loss\":1}},"
                            "{\"name\":\"b\",\"count\":1,\"link\":{\"loss\":0}},"
                            "{\"name\":\"c\",\"count\":1,\"link\":{\"loss\":1e-10}}]}");
    cr_expect_eq(scenario->groups[0].link.loss.threshold, UINT32_MAX);
    cr_expect_eq(scenario->groups[1].link.loss.threshold, 0);
    cr_expect_eq(scenario->groups[2].link.loss.threshold, 0, "below 2^-32");
    scenario_free(scenario);
}

static void expect_file_code(const char *path, enum report_code expected)
{
    struct scenario_report report;
    struct scenario *scenario;
    scenario_report_init(&report);
    cr_expect_eq(scenario_load(path, NULL, &scenario, &report), ERR_INVALID);
    cr_expect_null(scenario);
    cr_assert_eq(report.error_count, 1, "%s", path);
    cr_expect_eq(report.items[0].code, expected, "%s", path);
    char *printed = printed_report(&report, REPORT_HUMAN);
    cr_expect_eq(strncmp(printed, path, strlen(path)), 0);
    free(printed);
    scenario_report_free(&report);
}

Test(scenario_load, files_that_cannot_be_read_are_said_so)
{
    expect_file_code(GOOD_FOLDER "/none.jsonc", REPORT_MT0001);
    expect_file_code(GOOD_FOLDER, REPORT_MT0001);
}

Test(scenario_load, a_file_of_100_mb_is_refused_without_reading_it_all)
{
    char path[] = "/tmp/meshtwin-large-XXXXXX";
    int file = mkstemp(path);
    cr_assert_geq(file, 0);
    cr_assert_eq(ftruncate(file, 100 << 20), 0);
    close(file);
    expect_file_code(path, REPORT_MT0002);
    unlink(path);
}

Test(scenario_load, a_text_of_more_than_64_mib_is_refused)
{
    struct scenario_report report;
    struct scenario *scenario;
    size_t len = JSON_LEN_MAX + 1;
    char *text = text_alloc(len + 1, 1);
    memset(text, ' ', len);
    scenario_report_init(&report);
    int code = scenario_load_text("x.jsonc", text, len, NULL, &scenario, &report);
    cr_expect_eq(code, ERR_INVALID);
    cr_expect_eq(report.items[0].code, REPORT_MT0002);
    scenario_report_free(&report);
    free(text);
}

Test(scenario_load, files_are_found_beside_the_scenario)
{
    static const struct {
        const char *path;
        const char *file;
        const char *expected;
    } cases[] = {{"x.jsonc", "none.csv", "looked for none.csv"},
                 {"dir/x.jsonc", "none.csv", "looked for dir/none.csv"},
                 {"dir/x.jsonc", "/none.csv", "looked for /none.csv"}};
    for (size_t i = 0; i < 3; i++) {
        struct scenario_report report;
        struct scenario *scenario;
        char *text = text_format(HEAD "\"groups\":[{\"name\":\"a\",\"count\":1,\"churn\":"
                                      "{\"trace\":\"%s\"}}]}",
                                 cases[i].file);
        scenario_report_init(&report);
        int code = scenario_load_text(cases[i].path, text, strlen(text), NULL, &scenario, &report);
        cr_expect_eq(code, ERR_INVALID);
        cr_assert_eq(report.items[0].code, REPORT_MT0203);
        cr_expect_str_eq(report.items[0].help, cases[i].expected);
        scenario_report_free(&report);
        free(text);
    }
}

Test(scenario_load, ten_thousand_slips_are_counted_and_twenty_kept)
{
    struct text text = {0};
    text_add(&text, HEAD GROUP);
    for (int i = 0; i < 10000; i++) {
        text_add(&text, ",\"wrong%d\":0", i);
    }
    text_add(&text, "}");
    struct scenario_report report;
    struct scenario *scenario;
    scenario_report_init(&report);
    int code = scenario_load_text("x.jsonc", text.data, text.len, NULL, &scenario, &report);
    cr_expect_eq(code, ERR_INVALID);
    cr_expect_eq(report.error_count, 10000);
    cr_expect_eq(report.item_count, REPORT_ITEMS_MAX);
    char *printed = printed_report(&report, REPORT_HUMAN);
    cr_expect_not_null(strstr(printed, "... and 9980 more\n"));
    free(printed);
    scenario_report_free(&report);
    free(text.data);
}

Test(scenario_load, replicate_seeds_are_fixed_and_differ)
{
    cr_expect_eq(scenario_replicate_seed(1, 0), scenario_replicate_seed(1, 0));
    cr_expect_neq(scenario_replicate_seed(1, 0), 1);
    cr_expect_neq(scenario_replicate_seed(1, 0), scenario_replicate_seed(1, 1));
    cr_expect_neq(scenario_replicate_seed(1, 0), scenario_replicate_seed(2, 0));
    cr_expect_neq(scenario_replicate_seed(1, 1), scenario_replicate_seed(2, 0));
}

Test(scenario_load, the_hash_changes_with_what_changes_a_run_and_only_with_that)
{
    static const char base[] = HEAD GROUP "}";
    static const char *const same[] = {
        "{\"schema_version\":1,\"name\":\"t\",\"seed\":\"0x99\",\"duration\":\"600s\"," GROUP "}",
        HEAD GROUP ",\"replicates\":9,\"description\":\"other\",\"x-y\":1}",
        HEAD GROUP ",\"thresholds\":{\"lookup_hops\":[\"mean < 5\"]},\"warmup\":\"0s\"}",
        HEAD "\"defaults\":{\"protocol\":{\"k\":20}}," GROUP "}",
    };
    static const char *const other[] = {
        HEAD "\"defaults\":{\"protocol\":{\"k\":19}}," GROUP "}",
        HEAD "\"groups\":[{\"name\":\"a\",\"count\":5}]}",
        HEAD GROUP ",\"crypto\":\"real\"}",
    };
    char expected[SCENARIO_SHA256_SIZE];
    char got[SCENARIO_SHA256_SIZE];
    struct scenario *scenario = load_good_text(base);
    scenario_sha256(scenario, expected);
    scenario_free(scenario);
    cr_expect_eq(strlen(expected), 64);
    for (size_t i = 0; i < 4; i++) {
        scenario = load_good_text(same[i]);
        scenario_sha256(scenario, got);
        cr_expect_str_eq(got, expected, "%s", same[i]);
        scenario_free(scenario);
    }
    for (size_t i = 0; i < 3; i++) {
        scenario = load_good_text(other[i]);
        scenario_sha256(scenario, got);
        cr_expect_str_neq(got, expected, "%s", other[i]);
        scenario_free(scenario);
    }
}
