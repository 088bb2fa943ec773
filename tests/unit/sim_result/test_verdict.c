/* test_verdict.c - the meaning of thresholds, as a table. */
#include <signal.h>

#include <criterion/criterion.h>
#include <math.h>

#include "sim/result/verdict.h"

static const double none = -1; /* Stands for a replicate without data. */

Test(verdict, each_operator_compares_as_it_reads)
{
    static const struct {
        enum scenario_op op;
        bool below, equal, above; /* Whether 1, 2, 3 pass the limit 2. */
        const char *text;
    } cases[] = {
        {SCENARIO_OP_LT, true, false, false, "<"},  {SCENARIO_OP_LE, true, true, false, "<="},
        {SCENARIO_OP_GT, false, false, true, ">"},  {SCENARIO_OP_GE, false, true, true, ">="},
        {SCENARIO_OP_EQ, false, true, false, "=="}, {SCENARIO_OP_NE, true, false, true, "!="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scenario_threshold threshold = {
            .stat = SCENARIO_STAT_MEAN, .op = cases[i].op, .limit = 2};
        bool expected[] = {cases[i].below, cases[i].equal, cases[i].above};
        for (int value = 1; value <= 3; value++) {
            struct histogram histogram = {0};
            histogram_record(&histogram, value);
            struct verdict verdict = verdict_judge(&threshold, &histogram);
            cr_expect(verdict.has_data && verdict.observed == value);
            cr_expect_eq(verdict.passed, expected[value - 1], "%d %s 2", value, cases[i].text);
            histogram_free(&histogram);
        }
    }
}

Test(verdict, without_data_the_threshold_says_what_that_means)
{
    struct histogram nothing = {0};
    struct scenario_threshold threshold = {.stat = SCENARIO_STAT_MAX, .op = SCENARIO_OP_LT};
    threshold.limit = 1e9;
    struct verdict verdict = verdict_judge(&threshold, &nothing);
    cr_expect(!verdict.has_data && !verdict.passed && isnan(verdict.observed));
    threshold.no_data = SCENARIO_NO_DATA_PASS;
    cr_expect(verdict_judge(&threshold, &nothing).passed);
}

Test(verdict, percentiles_are_those_of_the_histogram)
{
    struct histogram histogram = {0};
    for (int value = 1; value <= 200; value++) {
        histogram_record(&histogram, value);
    }
    struct scenario_threshold threshold = {
        .stat = SCENARIO_STAT_PERCENTILE, .percentile = 99.5, .op = SCENARIO_OP_EQ, .limit = 199};
    cr_expect(verdict_judge(&threshold, &histogram).passed);
    histogram_free(&histogram);
}

/* Limit: observed >= 10, or with `is_upper` observed <= 10. */
struct across_case {
    enum scenario_across across;
    enum scenario_no_data no_data;
    bool is_upper;
    double values[4];
    bool passed;
    bool has_data;
    double observed; /* `none`: NAN. */
    size_t passed_count;
    size_t worst;
};

static void check_across(size_t number, const struct across_case *expected)
{
    struct scenario_threshold threshold = {.stat = SCENARIO_STAT_MEAN,
                                           .op =
                                               expected->is_upper ? SCENARIO_OP_LE : SCENARIO_OP_GE,
                                           .limit = 10,
                                           .across_seeds = expected->across,
                                           .no_data = expected->no_data};
    struct verdict verdicts[4];
    for (size_t i = 0; i < 4; i++) {
        struct histogram histogram = {0};
        if (expected->values[i] != none) {
            histogram_record(&histogram, expected->values[i]);
        }
        verdicts[i] = verdict_judge(&threshold, &histogram);
        histogram_free(&histogram);
    }
    struct verdict_summary summary = verdict_across(&threshold, verdicts, 4);
    cr_expect_eq(summary.verdict.passed, expected->passed, "case %zu: passed", number);
    cr_expect_eq(summary.verdict.has_data, expected->has_data, "case %zu: data", number);
    cr_expect(expected->observed == none ? isnan(summary.verdict.observed)
                                         : summary.verdict.observed == expected->observed,
              "case %zu: observed %g", number, summary.verdict.observed);
    cr_expect_eq(summary.passed_count, expected->passed_count, "case %zu: count", number);
    cr_expect_eq(summary.worst, expected->worst, "case %zu: worst %zu", number, summary.worst);
}

Test(verdict, replicates_are_joined_as_the_threshold_says)
{
    enum scenario_across median = SCENARIO_ACROSS_MEDIAN, mean = SCENARIO_ACROSS_MEAN,
                         all = SCENARIO_ACROSS_ALL, any = SCENARIO_ACROSS_ANY;
    enum scenario_no_data fail = SCENARIO_NO_DATA_FAIL, pass = SCENARIO_NO_DATA_PASS;
    const struct across_case cases[] = {
        /* across, no_data, upper, values, passed, data, observed, passed count, worst */
        {median, fail, false, {9, 12, 8, 11}, true, true, 10, 2, 2},
        {median, fail, false, {9, 12, 8, 10}, false, true, 9.5, 2, 2},
        {median, fail, true, {9, 12, 8, 11}, true, true, 10, 2, 1},
        {mean, fail, false, {9, 12, 8, 11}, true, true, 10, 2, 2},
        {mean, fail, false, {9, 12, 8, 10}, false, true, 9.75, 2, 2},
        {all, fail, false, {10, 12, 11, 11}, true, true, 10, 4, 0},
        {all, fail, false, {10, 12, 9, 11}, false, true, 9, 3, 2},
        {any, fail, false, {1, 2, 3, 10}, true, true, 10, 1, 0},
        {any, fail, false, {1, 2, 3, 9}, false, true, 9, 0, 0},
        /* One replicate without data. */
        {median, fail, false, {20, none, 30, 40}, false, false, 30, 3, 1},
        {median, pass, false, {20, none, 30, 40}, true, true, 30, 4, 0},
        {median, pass, false, {1, none, 3, 40}, false, true, 3, 2, 0},
        {mean, fail, true, {1, none, 1, 1}, false, false, 1, 3, 1},
        {mean, pass, true, {1, none, 2, 3}, true, true, 2, 4, 3},
        {all, fail, false, {20, none, 30, 40}, false, false, none, 3, 1},
        {all, pass, false, {20, none, 30, 40}, true, true, 20, 4, 0},
        {any, fail, false, {1, none, 30, 2}, true, true, 30, 1, 1},
        /* No replicate with data. */
        {median, fail, false, {none, none, none, none}, false, false, none, 0, 0},
        {median, pass, false, {none, none, none, none}, true, false, none, 4, 0},
        {all, pass, false, {none, none, none, none}, true, false, none, 4, 0},
        {any, fail, false, {none, none, none, none}, false, false, none, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_across(i, &cases[i]);
    }
}

Test(verdict, the_worst_replicate_of_an_equality_is_the_farthest)
{
    struct scenario_threshold threshold = {
        .stat = SCENARIO_STAT_MEAN, .op = SCENARIO_OP_EQ, .limit = 10};
    struct verdict verdicts[] = {{.observed = 11, .has_data = true},
                                 {.observed = 4, .has_data = true},
                                 {.observed = 10, .has_data = true, .passed = true}};
    cr_expect_eq(verdict_across(&threshold, verdicts, 3).worst, 1);
}
