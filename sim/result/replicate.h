/* replicate.h - one scenario under one seed, from the first event to its row in the results.
 *
 *      struct replicate -> sim_open -> sim_run_until in steps -> recorder -> part database
 *                                        |-> progress, after each step
 *
 * It knows nothing of other replicates, processes or the final file: campaign.h does.
 */
#ifndef SIM_RESULT_REPLICATE_H
#define SIM_RESULT_REPLICATE_H

#include "sim/result/database.h"
#include "sim/sim.h"

struct replicate {
    const struct scenario *scenario;
    const char *scenario_path; /* As given; named when a must() breaks. */
    const char *point_text;    /* The overrides of a sweep's point: "/network/mtu=1400". */
    uint32_t point;
    uint32_t number; /* Of this replicate in its point. */
    uint64_t run_id;
    uint64_t seed;
    uint64_t until_us;
    uint64_t events_max; /* 0 for none. */
    enum queue_kind queue_kind;
    uint32_t threads;
    bool is_judged; /* Thresholds count. */
};

enum replicate_status { REPLICATE_OK, REPLICATE_ABORTED, REPLICATE_FAILED };

struct replicate_outcome {
    enum replicate_status status; /* FAILED: an invariant was broken. */
    uint64_t sim_time_us;
    uint64_t events;
    uint32_t node_count;
    uint64_t digest;
    uint64_t tables_hash;
    uint64_t wall_us;
    uint64_t peak_rss_bytes;
    char started_at_utc[24];
};

/* Called between steps, a thousand times a run; false ends the run as aborted. */
typedef bool (*replicate_progress_fn)(void *arg, uint64_t now_us, uint64_t events);

/* Runs and writes everything about it into `part`. ERR_INVALID with a message when the world cannot
 * be set up, ERR_IO when the results cannot be written. */
NODISCARD int replicate_run(const struct replicate *replicate, struct database *part,
                            const volatile int *stop, replicate_progress_fn progress, void *arg,
                            char *error, size_t error_size);

/* The row of a run; of one whose process died, `outcome` holds what is known. */
void replicate_write(const struct replicate *replicate, const struct replicate_outcome *outcome,
                     struct database *database);

#endif /* SIM_RESULT_REPLICATE_H */
