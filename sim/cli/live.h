/* live.h - `meshtwin run --live`: a scenario simulated, then played again by real processes.
 *
 *      plan -> script_record -> replay_run -> compare_make -> table or JSON, exit code
 */
#ifndef SIM_CLI_LIVE_H
#define SIM_CLI_LIVE_H

#include "sim/cli/plan.h"
#include "sim/cli/terminal.h"

struct live_options {
    const char *program; /* meshnode; NULL: the one beside this program. */
    enum terminal_color color;
    bool is_json;
    bool is_quiet;
};

/* The plan's one run. CLI_OK, or CLI_THRESHOLDS when the two differ too much. */
int live_command(const struct plan *plan, const struct live_options *options);

#endif /* SIM_CLI_LIVE_H */
