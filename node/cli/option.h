/* option.h - options of a command: one table that parses, helps, suggests and reads the
 * environment.
 *
 * A row says how an option is written, where its value goes and what it is for. Flags beat the
 * environment (MESHTWIN_<COMMAND>_<OPTION>), which beats the default that already stands in the
 * arguments. Options and operands may be mixed; "--" ends the options.
 *
 *      argv, environment -> option_parse -> struct of arguments      table -> option_print -> help
 *
 * Texts are borrowed from argv and the environment.
 */
#ifndef NODE_CLI_OPTION_H
#define NODE_CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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

struct option_table {
    const char *command;
    const struct option *options;
    size_t count;
};

/* Fills `arguments` and the list of operands, which the caller frees with option_list_free. False
 * with a message that names the culprit, and a suggestion where there is one. */
bool option_parse(const struct option_table *table, int count, char **words, void *arguments,
                  struct option_list *operands, char *error, size_t error_size);
void option_list_free(struct option_list *list);

/* One line per option, for help. */
void option_print(const struct option_table *table, FILE *out);

#endif /* NODE_CLI_OPTION_H */
