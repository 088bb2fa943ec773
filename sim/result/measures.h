/* measures.h - every distribution of one run: by metric, phase and group.
 *
 * A value belongs to the warm-up or to the steady phase by the time it is about; the phase "all" is
 * both. What was told for a group of a distribution is also part of the whole network's; a gauge or
 * counter of a group is not (the mean over a group is no part of the mean over all).
 *
 *      measures_observe -> histogram per (metric, phase, group) -> measures_take -> stat
 */
#ifndef SIM_RESULT_MEASURES_H
#define SIM_RESULT_MEASURES_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/result/histogram.h"
#include "sim/scenario/scenario.h"

#define MEASURES_PHASES (SCENARIO_PHASE_ALL + 1)

struct measures {
    struct histogram *cells; /* Phases steady and warm-up, each metrics x (groups + 1). */
    struct histogram *pairs; /* Of direct_ratio: the same phases, each kinds x kinds of NAT. */
    uint32_t group_count;
    uint32_t nat_count;
    uint64_t warmup_us;
};

void measures_init(struct measures *measures, uint32_t group_count, uint32_t nat_count,
                   uint64_t warmup_us);
void measures_free(struct measures *measures);

/* group: SCENARIO_GROUP_NONE for the whole network. */
void measures_observe(struct measures *measures, enum metric_id metric, uint64_t t_us,
                      uint32_t group, double value);

/* Makes `out`, an empty histogram that the caller frees, a copy of what was observed. */
void measures_take(const struct measures *measures, enum metric_id metric,
                   enum scenario_phase phase, uint32_t group, struct histogram *out);

/* The same between two kinds of NAT, in either order. */
void measures_observe_pair(struct measures *measures, uint64_t t_us, const uint32_t pair[2],
                           double value);
void measures_take_pair(const struct measures *measures, enum scenario_phase phase,
                        const uint32_t pair[2], struct histogram *out);

/* False when there is nothing to compute it from; a count of nothing is 0. */
bool measures_stat(const struct histogram *histogram, enum scenario_stat stat, double percentile,
                   double *value);

const char *measures_phase_text(enum scenario_phase phase); /* "steady", "warmup", "all" */

#endif /* SIM_RESULT_MEASURES_H */
