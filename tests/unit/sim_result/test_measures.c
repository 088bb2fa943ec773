/* test_measures.c - values end up under the right phase and group, and nowhere else. */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "sim/result/measures.h"

enum { WARMUP_US = 1000 };

static double stat(const struct measures *measures, enum metric_id metric,
                   enum scenario_phase phase, uint32_t group, enum scenario_stat stat)
{
    struct histogram histogram = {0};
    measures_take(measures, metric, phase, group, &histogram);
    double value;
    bool has_data = measures_stat(&histogram, stat, 0, &value);
    histogram_free(&histogram);
    return has_data ? value : -1;
}

Test(measures, the_warm_up_ends_at_its_time)
{
    struct measures measures;
    measures_init(&measures, 1, 2, WARMUP_US);
    uint32_t all = SCENARIO_GROUP_NONE;
    measures_observe(&measures, METRIC_NODES_ONLINE, 999, all, 3);
    measures_observe(&measures, METRIC_NODES_ONLINE, 1000, all, 5);
    measures_observe(&measures, METRIC_NODES_ONLINE, 2000, all, 7);
    enum metric_id online = METRIC_NODES_ONLINE;
    cr_expect_eq(stat(&measures, online, SCENARIO_PHASE_WARMUP, all, SCENARIO_STAT_SUM), 3);
    cr_expect_eq(stat(&measures, online, SCENARIO_PHASE_STEADY, all, SCENARIO_STAT_SUM), 12);
    cr_expect_eq(stat(&measures, online, SCENARIO_PHASE_ALL, all, SCENARIO_STAT_MEAN), 5);
    cr_expect_eq(stat(&measures, online, SCENARIO_PHASE_ALL, all, SCENARIO_STAT_LAST), 7);
    cr_expect_eq(stat(&measures, online, SCENARIO_PHASE_ALL, 0, SCENARIO_STAT_MEAN), -1);
    measures_free(&measures);
}

Test(measures, a_groups_distribution_is_part_of_the_networks_and_its_gauge_is_not)
{
    struct measures measures;
    measures_init(&measures, 2, 1, 0);
    measures_observe(&measures, METRIC_LOOKUP_HOPS, 1, 0, 2);
    measures_observe(&measures, METRIC_LOOKUP_HOPS, 1, 1, 4);
    measures_observe(&measures, METRIC_NODES_ONLINE, 1, 1, 10);
    enum scenario_phase steady = SCENARIO_PHASE_STEADY;
    uint32_t all = SCENARIO_GROUP_NONE;
    cr_expect_eq(stat(&measures, METRIC_LOOKUP_HOPS, steady, 0, SCENARIO_STAT_COUNT), 1);
    cr_expect_eq(stat(&measures, METRIC_LOOKUP_HOPS, steady, 1, SCENARIO_STAT_MAX), 4);
    cr_expect_eq(stat(&measures, METRIC_LOOKUP_HOPS, steady, all, SCENARIO_STAT_SUM), 6);
    cr_expect_eq(stat(&measures, METRIC_NODES_ONLINE, steady, 1, SCENARIO_STAT_SUM), 10);
    cr_expect_eq(stat(&measures, METRIC_NODES_ONLINE, steady, all, SCENARIO_STAT_COUNT), 0);
    measures_free(&measures);
}

Test(measures, only_a_count_can_be_had_from_nothing)
{
    struct histogram nothing = {0};
    double value = 1;
    for (enum scenario_stat stat = SCENARIO_STAT_MEAN; stat <= SCENARIO_STAT_PERCENTILE; stat++) {
        cr_expect_eq(measures_stat(&nothing, stat, 50, &value), stat == SCENARIO_STAT_COUNT);
    }
    cr_expect(measures_stat(&nothing, SCENARIO_STAT_COUNT, 0, &value) && value == 0);
}

Test(measures, phases_are_named_as_scenarios_name_them)
{
    cr_expect_str_eq(measures_phase_text(SCENARIO_PHASE_STEADY), "steady");
    cr_expect_str_eq(measures_phase_text(SCENARIO_PHASE_WARMUP), "warmup");
    cr_expect_str_eq(measures_phase_text(SCENARIO_PHASE_ALL), "all");
}
