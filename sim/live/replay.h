/* replay.h - plays a script against real processes, in real time.
 *
 *      steps -> process_start, process_kill, control_ask -> replies -> outcomes, totals
 *
 * One thread, one poll(). A node is asked for its numbers before it is killed, so that what it did
 * counts. However it ends, no process and no file is left.
 */
#ifndef SIM_LIVE_REPLAY_H
#define SIM_LIVE_REPLAY_H

#include "sim/live/script.h"

struct replay_options {
    const char *program;                          /* meshnode. */
    const volatile int *stop;                     /* Ends it early once it is not 0. */
    void (*progress)(void *arg, uint64_t now_us); /* About once a second. */
    void *progress_arg;
};

/* Fills the `live` half of the script. ERR_IO with a one-line reason when a process failed,
 * ERR_STOPPED. */
NODISCARD int replay_run(struct live_script *script, const struct replay_options *options,
                         char *reason, size_t reason_size);

#endif /* SIM_LIVE_REPLAY_H */
