/* shell.h - a prompt for a node's verbs: editing, history, completion, and news in between.
 *
 * Speaks to the node over its control socket only, so it may run in a thread beside the node's loop
 * or in another process, and never makes the node wait. What others want on the screen (log lines,
 * Ctrl-C) comes through a pipe and is shown above the line that is being typed.
 *
 *      keys -> libedit -> line -> client_ask -> reply -> screen
 *      pipe: log lines, SHELL_INTERRUPT; socket: messages, news -> screen, prompt drawn again
 */
#ifndef NODE_MESHNODE_SHELL_H
#define NODE_MESHNODE_SHELL_H

#include <cJSON.h>
#include <stdbool.h>

#define SHELL_INTERRUPT "\003\n" /* A line of the pipe that stands for Ctrl-C. */

struct shell_options {
    const char *control; /* Path of the socket. */
    const char *history; /* File, mode 0600; NULL: none is kept. */
    int notices;         /* Read end of the pipe; its end ends the shell. */
    bool is_own_node;    /* Leaving the shell ends the node. */
};

/* Until the user leaves or the pipe ends. The exit code of the program. */
int shell_run(const struct shell_options *options);

/* Beside the control socket; heap. */
char *shell_history_path(const char *control);

/* Text to standard output, errors to standard error, or the data as JSON. Returns the code. */
int shell_print_reply(const cJSON *reply, bool as_json);

#endif /* NODE_MESHNODE_SHELL_H */
