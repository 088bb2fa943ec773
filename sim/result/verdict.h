/* verdict.h - whether a threshold holds: in one replicate, and over all of them.
 *
 *      histogram + threshold -> verdict_judge  -> one verdict per replicate
 *      verdicts  + threshold -> verdict_across -> the verdict that decides the exit code
 *
 * A replicate without data has no verdict of its own: `no_data` says whether that counts as passed.
 * Over replicates "all" and "any" count verdicts; "median" and "mean" compare the median or mean of
 * the observed values with the limit, and if absence counts as failed, one absence fails them.
 */
#ifndef SIM_RESULT_VERDICT_H
#define SIM_RESULT_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/result/histogram.h"
#include "sim/scenario/scenario.h"

struct verdict {
    double observed; /* NAN without data. */
    bool has_data;
    bool passed;
};

struct verdict_summary {
    struct verdict verdict;
    size_t passed_count; /* Of the replicates. */
    size_t worst;        /* The replicate farthest on the wrong side, or least far on the right. */
};

struct verdict verdict_judge(const struct scenario_threshold *threshold,
                             const struct histogram *histogram);
/* There is at least one replicate. */
struct verdict_summary verdict_across(const struct scenario_threshold *threshold,
                                      const struct verdict *verdicts, size_t count);

const char *verdict_op_text(enum scenario_op op); /* "<" */

#endif /* SIM_RESULT_VERDICT_H */
