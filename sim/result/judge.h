/* judge.h - thresholds over the replicates of a point, from the verdicts the runs have left.
 *
 *      threshold_result (one row per run) -> verdict_across -> threshold_result (run_id NULL)
 */
#ifndef SIM_RESULT_JUDGE_H
#define SIM_RESULT_JUDGE_H

#include "sim/result/replicate.h"

/* Judges every point among the runs whose verdicts `results` holds, and writes one row for each of
 * its thresholds. A threshold without a single verdict (all runs were aborted) gets none. Returns
 * how many do not hold. */
uint32_t judge_across(struct database *results, const struct replicate *runs, uint32_t run_count);

#endif /* SIM_RESULT_JUDGE_H */
