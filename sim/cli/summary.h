/* summary.h - what a campaign found, for a person or for a program: both read the results file.
 *
 *      results.db -> summary_print (text) | summary_print_json ("meshtwin.run.v1") -> stdout
 */
#ifndef SIM_CLI_SUMMARY_H
#define SIM_CLI_SUMMARY_H

#include "sim/cli/terminal.h"
#include "sim/result/catalog.h"

struct summary_options {
    const char *path; /* Of the results, as the next command should name it. */
    bool is_quiet;    /* Run lines and failed thresholds only. */
    bool is_verbose;  /* Memory, counters, every run. */
    uint64_t wall_us; /* Of the whole campaign. */
};

void summary_print(struct database *database, const struct catalog *catalog,
                   const struct summary_options *options, const struct terminal *terminal);
void summary_print_json(struct database *database, const struct catalog *catalog,
                        const struct summary_options *options, FILE *out);

/* "name · seed 0x… · N nodes · E events · digest 16 hex digits" */
void summary_print_run(const struct catalog_run *run, const struct terminal *terminal);

#endif /* SIM_CLI_SUMMARY_H */
