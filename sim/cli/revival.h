/* revival.h - a recorded run, set up to run again: what replay and diff begin with.
 *
 *      "results.db", "#3" -> revival_open -> archived scenario -> struct sim at time 0
 */
#ifndef SIM_CLI_REVIVAL_H
#define SIM_CLI_REVIVAL_H

#include "sim/cli/cli.h"
#include "sim/sim.h"

struct revival {
    struct database database;
    struct catalog catalog;
    const struct catalog_run *run; /* NULL until one is chosen. */
    struct scenario *scenario;
    struct sim *sim; /* NULL until revival_start. */
};

/* CLI_OK, or an exit code after a complaint. `selector` as for catalog_find; NULL leaves the choice
 * open unless there is only one run. */
int revival_open(struct revival *revival, const char *command, const char *path,
                 const char *selector);
/* Makes the world of revival->run. The hook may be NULL. */
int revival_start(struct revival *revival, const char *command,
                  void (*dispatched)(void *arg, const struct event *event, uint32_t kind,
                                     struct slice bytes, uint64_t chain),
                  void *arg);
/* Ends the world, so that another run can be chosen and started. */
void revival_stop(struct revival *revival);
void revival_close(struct revival *revival);

#endif /* SIM_CLI_REVIVAL_H */
