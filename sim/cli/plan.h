/* plan.h - what one `run` command is going to run: points of the sweep times replicates.
 *
 *      SCENARIO, --set, --sweep -> one loaded scenario per point
 *      --seeds                  -> replicates of each point        -> struct replicate, in order
 */
#ifndef SIM_CLI_PLAN_H
#define SIM_CLI_PLAN_H

#include "node/cli/option.h"
#include "sim/result/replicate.h"

struct plan_options {
    const char *path;
    struct option_list overrides;
    struct option_list sweeps;
    const char *seeds;   /* NULL: as many as the scenario says. */
    uint64_t until_us;   /* 0: the scenario's duration. */
    uint64_t events_max; /* 0: no limit. */
    enum queue_kind queue_kind;
    bool is_judged;
    enum report_format report_format;
};

struct plan {
    struct scenario **scenarios; /* One per point. */
    char **texts;                /* What sets a point apart; "" without a sweep. */
    uint32_t point_count;
    struct replicate *runs;
    uint32_t run_count;
};

/* CLI_OK, or CLI_USAGE or CLI_SCENARIO after having said why. Warnings are printed once. */
int plan_make(struct plan *plan, const struct plan_options *options);
void plan_free(struct plan *plan);

#endif /* SIM_CLI_PLAN_H */
