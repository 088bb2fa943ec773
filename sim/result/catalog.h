/* catalog.h - the runs in a results file, and which of them a person means.
 *
 *      results -> catalog_read -> rows -> catalog_find("#3" | "0x5eed...") -> one of them
 */
#ifndef SIM_RESULT_CATALOG_H
#define SIM_RESULT_CATALOG_H

#include "sim/engine/queue.h"
#include "sim/result/database.h"

struct catalog_run {
    uint64_t run_id;
    uint32_t point;
    uint32_t replicate;
    uint64_t seed;
    char *point_text;
    char *scenario_name;
    char *status;
    char *digest; /* NULL when the run's process died. */
    char *tables_hash;
    char *git_commit;
    char *started_at_utc;
    uint64_t until_us;
    uint64_t events_max; /* 0 for none. */
    uint64_t sim_time_us;
    uint64_t wall_us;
    uint64_t events;
    uint32_t node_count;
    enum queue_kind queue_kind;
};

struct catalog {
    struct catalog_run *runs; /* In the order of their ids. */
    size_t count;
};

/* ERR_IO when the file cannot be read: database->error. */
NODISCARD int catalog_read(struct database *database, struct catalog *catalog);
void catalog_free(struct catalog *catalog);

/* A seed ("0x..." or decimal) names its first run; "#n" names replicate n of the first point, or
 * with "#p.n" of point p. NULL when there is none. */
const struct catalog_run *catalog_find(const struct catalog *catalog, const char *selector);

#endif /* SIM_RESULT_CATALOG_H */
