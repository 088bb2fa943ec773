/* option.h - options of a command: one table that parses, helps, suggests, reads the environment
 * and a configuration file.
 *
 * A row says how an option is written, where its value goes and what it is for. Flags beat the
 * environment (MESHTWIN_<COMMAND>_<OPTION>), which beats the file, which beats the default that
 * already stands in the arguments. Options and operands may be mixed; "--" ends the options.
 *
 *      file -> option_read_file -> struct of arguments <- option_parse <- argv, environment
 *      table -> option_print -> help        table, arguments -> option_print_values -> a file again
 *
 * Texts are borrowed from argv, the environment and the text of the file.
 */
#ifndef NODE_CLI_OPTION_H
#define NODE_CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "node/cli/text.h"

enum option_type {                  /* stored as */
                   OPTION_FLAG,     /* bool */
                   OPTION_TEXT,     /* const char * */
                   OPTION_LIST,     /* struct option_list: may be repeated */
                   OPTION_COUNT,    /* uint64_t, at least 1 */
                   OPTION_NUMBER,   /* uint64_t */
                   OPTION_DURATION, /* uint64_t in microseconds */
                   OPTION_CHOICE,   /* int: index into `choices` */
};

struct option_list {
    const char **items;
    size_t count;
};

struct option {
    char letter; /* 0 for none */
    const char *name;
    const char *value; /* What help calls it: "FILE"; NULL for a flag. */
    enum option_type type;
    size_t offset;
    const char *const *choices; /* NULL at the end. */
    const char *doc;
};

/* Who gave an option its value; the later beats the earlier, and replaces its lists. */
enum option_layer {
    OPTION_DEFAULT,
    OPTION_FILE,
    OPTION_ENVIRONMENT,
    OPTION_COMMAND_LINE,
};

struct option_origin {
    enum option_layer layer;
    unsigned line; /* In the file. */
};

struct option_table {
    const char *command;
    const struct option *options;
    size_t count;
    /* Asks for something else than running, or where to look: the first rows, not for a file. */
    size_t unfiled;
    bool ends_at_operand; /* What follows the first operand is an operand too. */
    /* NULL, or one for each option, zero at first. Wanted when a file is read. */
    struct option_origin *origins;
};

/* Fills `arguments` and the list of operands, which the caller frees with option_list_free. False
 * with a message that names the culprit, and a suggestion where there is one. */
bool option_parse(const struct option_table *table, int count, char **words, void *arguments,
                  struct option_list *operands, char *error, size_t error_size);
void option_list_free(struct option_list *list);

/* Lines of `name = value`; a value may stand in quotes, '#' begins a comment, lists are repeated.
 * Comes before option_parse. Collects every complaint, a line each ("path:3: ..."), in
 * `errors`: empty afterwards means that all is well. NULL when the file cannot be read, else its
 * text, which the caller frees after the arguments. */
char *option_read_file(const struct option_table *table, const char *path, void *arguments,
                       struct text *errors);

/* One line per option, for help. */
void option_print(const struct option_table *table, FILE *out);

/* What holds, in the form of a file, with who said so: `path` is the file's. */
void option_print_values(const struct option_table *table, const void *arguments, const char *path,
                         FILE *out);

#endif /* NODE_CLI_OPTION_H */
