/* archive.h - the scenario inside the results, so that a run can be made again anywhere.
 *
 * Kept are the resolved scenario and every file it reads (latency tables, presence traces), these
 * by the SHA-256 of their bytes. Loading puts the files into a temporary folder and points the
 * scenario at them; where the original lay, and whether it still does, is of no account.
 *
 *      scenario -> archive_text, archive_files, archive_references -> run, file, run_file
 *      run, file, run_file -> archive_load -> the same scenario
 */
#ifndef SIM_RESULT_ARCHIVE_H
#define SIM_RESULT_ARCHIVE_H

#include "sim/result/database.h"
#include "sim/scenario/scenario.h"

/* The resolved scenario as JSON; the caller frees it. */
char *archive_text(const struct scenario *scenario);

/* Stores the files of a scenario that lies at `path`. ERR_IO when one cannot be read any more,
 * ERR_STALE when it is not what the scenario was loaded with; `error` says which. */
NODISCARD int archive_files(struct database *database, const struct scenario *scenario,
                            const char *path, char *error, size_t error_size);

/* Notes which of the stored files a run read, and where its scenario names them. */
void archive_references(struct database *database, const struct scenario *scenario,
                        uint64_t run_id);

/* The scenario of a run, owned by the caller. ERR_MISSING without such a run, ERR_IO, ERR_INVALID
 * when this program refuses the archived text. */
NODISCARD int archive_load(struct database *database, uint64_t run_id, struct scenario **scenario,
                           char *error, size_t error_size);

#endif /* SIM_RESULT_ARCHIVE_H */
