/* manual.h - a program's commands as a man page and as shell completions.
 *
 * Written from the same tables that parse and help, so they cannot disagree with the program.
 *
 *      commands, options -> manual_page -> roff (man(7))
 *                        -> manual_completion -> bash, zsh or fish
 */
#ifndef NODE_CLI_MANUAL_H
#define NODE_CLI_MANUAL_H

#include "node/cli/option.h"

/* Something a person types after the program's name; "" for the program itself. */
struct manual_command {
    const char *name;
    const char *operands; /* As help writes them: "SCENARIO". */
    const char *summary;
    const char *example; /* NULL, or one line that works. */
    const struct option *options;
    size_t option_count;
};

/* A section of the page in plain text; a blank line begins a new paragraph. */
struct manual_section {
    const char *title; /* "EXIT STATUS" */
    const char *text;
};

struct manual {
    const char *program;
    const char *version;
    const char *tagline;     /* For NAME: what it is, lower case, no full stop. */
    const char *description; /* Like the text of a section. */
    const struct manual_command *commands;
    size_t command_count;
    const struct manual_section *sections; /* Behind the commands. */
    size_t section_count;
};

enum manual_shell {
    MANUAL_BASH,
    MANUAL_ZSH,
    MANUAL_FISH,
};
/* "bash", "zsh", "fish", NULL: the choices of an option. */
extern const char *const manual_shell_names[];

void manual_page(const struct manual *manual, FILE *out);
void manual_completion(const struct manual *manual, enum manual_shell shell, FILE *out);

#endif /* NODE_CLI_MANUAL_H */
