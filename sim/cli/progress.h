/* progress.h - the line that moves while a campaign runs.
 *
 * On a terminal one line is rewritten: a bar, runs, simulated time, rate, time left. Elsewhere
 * there is one line for each tenth of the whole.
 *
 *      struct campaign_progress -> progress_show -> stderr
 */
#ifndef SIM_CLI_PROGRESS_H
#define SIM_CLI_PROGRESS_H

#include "sim/cli/terminal.h"
#include "sim/result/campaign.h"

struct progress {
    struct terminal terminal;
    bool is_quiet;
    bool is_shown;       /* The line on the terminal is ours. */
    unsigned tenth;      /* Said last. */
    uint64_t elapsed_us; /* At the last display, and how many events there were: for the rate. */
    uint64_t events;
    double rate_per_s;
};

void progress_open(struct progress *progress, bool is_quiet, enum terminal_color color);
void progress_show(struct progress *progress, const struct campaign_progress *now);
/* Clears the line, so that other output may begin. */
void progress_clear(struct progress *progress);

#endif /* SIM_CLI_PROGRESS_H */
