/* node.c - `meshtwin node`, `ctl` and `doctor`: the live node is a program of its own, and one name
 * is enough to type. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/cli/text.h"
#include "sim/cli/cli.h"

static int run_meshnode(const char *command, const char *first, int count, char **words);
static char *beside_ourselves(const char *name);

static int run_node(const struct command *command, int count, char **words)
{
    return run_meshnode(command->name, NULL, count, words);
}

static int run_ctl(const struct command *command, int count, char **words)
{
    return run_meshnode(command->name, "ctl", count, words);
}

static int run_doctor(const struct command *command, int count, char **words)
{
    return run_meshnode(command->name, "doctor", count, words);
}

const struct command command_node = {
    .name = "node",
    .operands = "",
    .summary = "Runs a live node: meshnode, with all of its options.",
    .example = "meshtwin node -p 8469 -b 127.0.0.1:8468",
    .run = run_node,
};

const struct command command_ctl = {
    .name = "ctl",
    .operands = "[VERB [words]]",
    .summary = "Asks a live node: meshnode ctl.",
    .example = "meshtwin ctl -p 8469 peers",
    .run = run_ctl,
};

const struct command command_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "Looks at this machine's network: meshnode doctor.",
    .example = "meshtwin doctor -b node-a.example.invalid:8468",
    .run = run_doctor,
};

/* Becomes meshnode, the one beside this program first: both come from one build. */
static int run_meshnode(const char *command, const char *first, int count, char **words)
{
    char **arguments = text_alloc((size_t)count + 3, sizeof *arguments);
    char *path = beside_ourselves("meshnode");
    size_t at = 0;
    arguments[at++] = (char *)(uintptr_t) "meshnode";
    if (first != NULL) {
        arguments[at++] = (char *)(uintptr_t)first;
    }
    memcpy(&arguments[at], words, (size_t)count * sizeof *words);
    if (path != NULL) {
        execv(path, arguments);
    }
    execvp("meshnode", arguments);
    cli_complain(command, "meshnode is neither beside meshtwin nor in PATH: %s", strerror(errno));
    free(path);
    free(arguments);
    return CLI_FAILURE;
}

static char *beside_ourselves(const char *name)
{
    char own[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", own, sizeof own - 1);
    if (len <= 0) {
        return NULL;
    }
    own[len] = '\0';
    *strrchr(own, '/') = '\0';
    return text_format("%s/%s", own, name);
}
