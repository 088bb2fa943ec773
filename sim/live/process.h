/* process.h - nodes as processes: one folder for all that they write, one child for each.
 *
 *      stage_open -> folder -> process_start -> meshnode --control FOLDER/n7.sock ...
 *      process_kill (SIGKILL), process_is_gone -> stage_close: no child and no file is left
 *
 * Children die with us, however we end.
 */
#ifndef SIM_LIVE_PROCESS_H
#define SIM_LIVE_PROCESS_H

#include <sys/types.h>

#include "sim/live/script.h"

enum { PROCESS_PATH_MAX = 256 };

struct stage {
    char folder[PROCESS_PATH_MAX];
    const char *program;
};

struct process {
    const struct stage *stage;
    const struct live_node *node;
    uint32_t number;
    pid_t pid; /* 0: not running. */
};

/* The program that runs a node live: beside this one. False with a reason when it is not there. */
NODISCARD bool process_program(char path[PROCESS_PATH_MAX], char *reason, size_t reason_size);

NODISCARD int stage_open(struct stage *stage, const char *program, char *reason,
                         size_t reason_size);
/* Removes the folder; all processes have ended. */
void stage_close(struct stage *stage);

/* The path of one of the node's files: "sock", "key", "db", "log". */
void process_path(const struct process *process, const char *kind, char path[PROCESS_PATH_MAX]);
/* Writes the key file the first time. ERR_IO with a reason. */
NODISCARD int process_start(struct process *process, char *reason, size_t reason_size);
/* At once, and waits for its end. */
void process_kill(struct process *process);
/* True when it has ended by itself; the reason is the last line of its log. */
bool process_is_gone(struct process *process, char *reason, size_t reason_size);

#endif /* SIM_LIVE_PROCESS_H */
