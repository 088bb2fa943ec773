/* revival.c - sets recorded runs up again. */
#include "sim/cli/revival.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim/result/archive.h"

int revival_open(struct revival *revival, const char *command, const char *path,
                 const char *selector)
{
    *revival = (struct revival){0};
    if (!cli_open(command, path, &revival->database, &revival->catalog)) {
        return CLI_FAILURE;
    }
    if (revival->catalog.count == 0) {
        cli_complain(command, "%s holds no run", path);
        return CLI_FAILURE;
    }
    if (selector != NULL) {
        revival->run = catalog_find(&revival->catalog, selector);
        if (revival->run == NULL) {
            cli_complain(command, "%s holds no run \"%s\": see meshtwin ls %s", path, selector,
                         path);
            return CLI_USAGE;
        }
    } else if (revival->catalog.count == 1) {
        revival->run = &revival->catalog.runs[0];
    }
    return CLI_OK;
}

int revival_start(struct revival *revival, const char *command,
                  void (*dispatched)(void *arg, const struct event *event, uint32_t kind,
                                     struct slice bytes, uint64_t chain),
                  void *arg)
{
    const struct catalog_run *run = revival->run;
    char error[DATABASE_ERROR_SIZE] = "";
    if (archive_load(&revival->database, run->run_id, &revival->scenario, error, sizeof error) !=
        ERR_OK) {
        cli_complain(command, "%s", error);
        return CLI_FAILURE;
    }
    struct sim_options options = {.scenario = revival->scenario,
                                  .seed = run->seed,
                                  .events_max = run->events_max,
                                  .queue_kind = run->queue_kind,
                                  .stop = &cli_stop,
                                  .dispatched = dispatched,
                                  .dispatched_arg = arg};
    revival->sim = sim_open(&options, error, sizeof error);
    if (revival->sim == NULL) {
        cli_complain(command, "%s", error);
        return CLI_FAILURE;
    }
    char tables[24];
    snprintf(tables, sizeof tables, "%016" PRIx64, sim_tables_hash(revival->sim));
    if (run->tables_hash != NULL && strcmp(tables, run->tables_hash) != 0) {
        cli_complain(command,
                     "warning: this program draws from other tables (%s, recorded %s by commit "
                     "%s): expect another run",
                     tables, run->tables_hash, run->git_commit);
    }
    return CLI_OK;
}

void revival_stop(struct revival *revival)
{
    if (revival->sim != NULL) {
        sim_close(revival->sim);
        revival->sim = NULL;
    }
    scenario_free(revival->scenario);
    revival->scenario = NULL;
}

void revival_close(struct revival *revival)
{
    revival_stop(revival);
    catalog_free(&revival->catalog);
    database_close(&revival->database);
}
