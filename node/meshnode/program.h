/* program.h - the commands of meshnode: one table for main, help, man page and completion.
 *
 * Without a command it is a node.
 *
 *      main -> program_find -> run(words) -> exit code
 */
#ifndef NODE_MESHNODE_PROGRAM_H
#define NODE_MESHNODE_PROGRAM_H

#include "node/meshnode/settings.h"

struct program {
    const char *name; /* "" for the node itself. */
    const char *operands;
    const char *summary;
    const char *example;
    const struct option *options;
    size_t option_count;
    int (*run)(int count, char **words); /* Without the name of the command. */
};

extern const struct program program_node;
extern const struct program program_ctl;
extern const struct program program_id;
extern const struct program program_doctor;
extern const struct program program_man;
extern const struct program program_completion;
extern const struct program program_help_command;

/* NULL when there is none of that name. */
const struct program *program_find(const char *name);
const char *program_suggest(const char *name);
void program_help(FILE *out);
/* Help of one command. */
void program_explain(const struct program *program, FILE *out);

/* Begins a command other than the node itself: False when all is said, and *code is the exit code.
 * `help` must be the first member of the arguments: a bool. The environment's names are the node's:
 * a command speaks about the same node. */
bool program_parse(const struct program *program, int count, char **words, void *arguments,
                   struct option_list *operands, bool ends_at_operand, int *code);

#define PROGRAM_HELP_OPTION                                                                        \
    {                                                                                              \
        'h', "help", NULL, OPTION_FLAG, 0, NULL, "show this text"                                  \
    }

#endif /* NODE_MESHNODE_PROGRAM_H */
