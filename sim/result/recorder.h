/* recorder.h - what a run reports, on its way into the results.
 *
 * Every value goes into a histogram; gauges and counters also become rows of `sample`; operations
 * become rows where the scenario asks for them (metrics.events), thinned by a stream of the
 * recorder's own. Memory is the histograms': rows leave in batches.
 *
 *      sim -> recorder_sink -> measures          -> recorder_finish -> summary, histogram_bucket,
 *                           -> rows in a batch                         threshold_result
 */
#ifndef SIM_RESULT_RECORDER_H
#define SIM_RESULT_RECORDER_H

#include "node/base/rng.h"
#include "sim/result/database.h"
#include "sim/result/measures.h"
#include "sim/sim.h"

enum { RECORDER_VIOLATIONS_MAX = 1000 }; /* Written out; further ones are only counted. */

struct recorder {
    struct database *database;
    const struct scenario *scenario;
    struct measures measures;
    struct rng sampling; /* Which operations get a row when not all do. */
    uint64_t run_id;
    uint32_t point;
    uint64_t *ways; /* Messages by kind of NAT of sender and receiver, way and step. */
    uint64_t violations;
};

/* Borrows the database and the scenario until recorder_free. */
void recorder_init(struct recorder *recorder, struct database *database,
                   const struct scenario *scenario, uint64_t run_id, uint32_t point, uint64_t seed);
void recorder_free(struct recorder *recorder);

struct sim_sink recorder_sink(struct recorder *recorder);

/* Writes what is known only at the end. */
void recorder_finish(struct recorder *recorder);
/* Writes this run's verdict on every threshold. */
void recorder_judge(struct recorder *recorder);

/* What the threshold is about: a group, a pair of kinds of NAT, or "" for the whole network. */
const char *recorder_scope_name(const struct scenario *scenario,
                                const struct scenario_threshold *threshold);
/* "" for SCENARIO_GROUP_NONE. */
const char *recorder_group_name(const struct scenario *scenario, uint32_t group);

#endif /* SIM_RESULT_RECORDER_H */
