/* verdict.c - compares what was observed with what was promised. */
#include "sim/result/verdict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "sim/result/measures.h"

static bool holds(const struct scenario_threshold *threshold, double observed);
static double badness(const struct scenario_threshold *threshold, const struct verdict *verdict);
static double middle(const struct verdict *verdicts, size_t count, size_t with_data);
static double average(const struct verdict *verdicts, size_t count, size_t with_data);

struct verdict verdict_judge(const struct scenario_threshold *threshold,
                             const struct histogram *histogram)
{
    struct verdict verdict = {.observed = NAN};
    double value;
    verdict.has_data = measures_stat(histogram, threshold->stat, threshold->percentile, &value);
    if (!verdict.has_data) {
        verdict.passed = threshold->no_data == SCENARIO_NO_DATA_PASS;
        return verdict;
    }
    verdict.observed = value;
    verdict.passed = holds(threshold, value);
    return verdict;
}

struct verdict_summary verdict_across(const struct scenario_threshold *threshold,
                                      const struct verdict *verdicts, size_t count)
{
    must(count > 0);

    struct verdict_summary summary = {.verdict = {.observed = NAN}};
    size_t with_data = 0;
    for (size_t i = 0; i < count; i++) {
        with_data += verdicts[i].has_data;
        summary.passed_count += verdicts[i].passed;
        if (badness(threshold, &verdicts[i]) > badness(threshold, &verdicts[summary.worst])) {
            summary.worst = i;
        }
    }

    struct verdict *verdict = &summary.verdict;
    bool absence_fails = with_data < count && threshold->no_data == SCENARIO_NO_DATA_FAIL;
    verdict->has_data = with_data > 0;
    switch (threshold->across_seeds) {
    case SCENARIO_ACROSS_ALL:
        verdict->observed = verdicts[summary.worst].observed;
        verdict->has_data = verdicts[summary.worst].has_data;
        verdict->passed = summary.passed_count == count;
        return summary;
    case SCENARIO_ACROSS_ANY:
        verdict->passed = summary.passed_count > 0;
        for (size_t i = 0, best = 0; i < count; i++) {
            best =
                badness(threshold, &verdicts[i]) < badness(threshold, &verdicts[best]) ? i : best;
            verdict->observed = verdicts[best].observed;
        }
        return summary;
    case SCENARIO_ACROSS_MEAN:
        verdict->observed = average(verdicts, count, with_data);
        break;
    default:
        verdict->observed = middle(verdicts, count, with_data);
        break;
    }
    verdict->has_data = with_data > 0 && !absence_fails;
    verdict->passed =
        with_data == 0 ? !absence_fails : !absence_fails && holds(threshold, verdict->observed);
    return summary;
}

const char *verdict_op_text(enum scenario_op op)
{
    static const char *const texts[] = {
        [SCENARIO_OP_LT] = "<",  [SCENARIO_OP_LE] = "<=", [SCENARIO_OP_GT] = ">",
        [SCENARIO_OP_GE] = ">=", [SCENARIO_OP_EQ] = "==", [SCENARIO_OP_NE] = "!=",
    };
    return texts[op];
}

static bool holds(const struct scenario_threshold *threshold, double observed)
{
    switch (threshold->op) {
    case SCENARIO_OP_LT:
        return observed < threshold->limit;
    case SCENARIO_OP_LE:
        return observed <= threshold->limit;
    case SCENARIO_OP_GT:
        return observed > threshold->limit;
    case SCENARIO_OP_GE:
        return observed >= threshold->limit;
    case SCENARIO_OP_EQ:
        return observed == threshold->limit;
    default:
        return observed != threshold->limit;
    }
}

/* How far the observation lies on the wrong side of the limit; negative on the right side. */
static double badness(const struct scenario_threshold *threshold, const struct verdict *verdict)
{
    if (!verdict->has_data) {
        return verdict->passed ? -INFINITY : INFINITY;
    }
    switch (threshold->op) {
    case SCENARIO_OP_LT:
    case SCENARIO_OP_LE:
        return verdict->observed - threshold->limit;
    case SCENARIO_OP_GT:
    case SCENARIO_OP_GE:
        return threshold->limit - verdict->observed;
    case SCENARIO_OP_EQ:
        return fabs(verdict->observed - threshold->limit);
    default:
        return -fabs(verdict->observed - threshold->limit);
    }
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double middle(const struct verdict *verdicts, size_t count, size_t with_data)
{
    if (with_data == 0) {
        return NAN;
    }
    double *values = text_alloc(with_data, sizeof *values);
    for (size_t i = 0, used = 0; i < count; i++) {
        if (verdicts[i].has_data) {
            values[used++] = verdicts[i].observed;
        }
    }
    qsort(values, with_data, sizeof *values, compare);
    size_t half = with_data / 2;
    double median = with_data % 2 == 1 ? values[half]
                                       : values[half - 1] + (values[half] - values[half - 1]) / 2;
    free(values);
    return median;
}

static double average(const struct verdict *verdicts, size_t count, size_t with_data)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += verdicts[i].has_data ? verdicts[i].observed : 0;
    }
    return with_data > 0 ? sum / (double)with_data : NAN;
}
