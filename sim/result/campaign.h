/* campaign.h - all replicates of one `run` command, in parallel processes, into one results file.
 *
 * Each replicate runs in a worker process of its own and writes a part of its own; the parts are
 * merged in the order of the runs, so that the content does not depend on how many worked at a time
 * (but for clocks and memory peaks). A broken must() ends one worker, not the campaign.
 *
 *      runs -> fork, replicate_run -> part k      (progress, stop: one page of shared memory)
 *      part 1, part 2, ... -> TARGET.partial.PID -> thresholds across seeds -> rename -> TARGET
 *
 * An existing TARGET is replaced only by a whole file with at least one run in it. Interrupted
 * once, the runs under way end early and are kept as 'aborted'; what was never started leaves no
 * row. Interrupted twice, or after a failure of the file itself, TARGET is as it was before.
 */
#ifndef SIM_RESULT_CAMPAIGN_H
#define SIM_RESULT_CAMPAIGN_H

#include "sim/result/replicate.h"

struct campaign_progress {
    uint32_t runs;
    uint32_t runs_ended;
    uint32_t runs_active;
    uint64_t sim_time_us; /* Over all runs, of sim_time_max_us. */
    uint64_t sim_time_max_us;
    uint64_t events;
    uint64_t elapsed_us;
};

struct campaign_options {
    const char *target;           /* The results file. */
    const struct replicate *runs; /* In the order of their run_ids, which count from 1. */
    uint32_t run_count;
    uint32_t jobs;            /* Workers at a time, at least 1. */
    const volatile int *stop; /* Interruptions so far. */
    void (*progress)(void *arg,
                     const struct campaign_progress *progress); /* A few times a second. */
    void *progress_arg;
    void (*trouble)(void *arg, const struct replicate *run,
                    const char *what); /* A worker failed. */
    void *trouble_arg;
};

struct campaign_outcome {
    uint32_t ok;
    uint32_t aborted;
    uint32_t failed;            /* A broken invariant, or a process that died. */
    uint32_t thresholds_failed; /* Across seeds. */
};

/* ERR_OK when TARGET has been written, whatever the runs' fate; ERR_IO with a message when not;
 * ERR_STOPPED when interrupted twice. */
NODISCARD int campaign_run(const struct campaign_options *options, struct campaign_outcome *outcome,
                           char *error, size_t error_size);

#endif /* SIM_RESULT_CAMPAIGN_H */
