/* cli.h - what the commands of meshtwin share: their table, exit codes, streams.
 *
 * Standard output is the result and nothing else; talk, progress and complaints go to standard
 * error. Exit codes are never reused for another meaning.
 *
 *      main -> command -> option_parse -> work -> stdout, exit code
 */
#ifndef SIM_CLI_CLI_H
#define SIM_CLI_CLI_H

#include "node/cli/option.h"
#include "sim/result/catalog.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILURE = 1,    /* Something went wrong while running; `diff` found a difference. */
    CLI_USAGE = 2,      /* The command line makes no sense. */
    CLI_SCENARIO = 3,   /* The scenario is invalid; nothing was run. */
    CLI_THRESHOLDS = 4, /* All runs ended in order, and a threshold does not hold. */
    CLI_INTERRUPTED = 130,
};

struct command {
    const char *name;
    const char *operands; /* As help writes them: "SCENARIO". */
    const char *summary;
    const char *example; /* NULL, or one line that works. */
    const struct option *options;
    size_t option_count;
    size_t operand_min;
    size_t operand_max;
    int (*run)(const struct command *command, int count, char **words);
};

extern const struct command command_run;
extern const struct command command_check;
extern const struct command command_schema;
extern const struct command command_explain;
extern const struct command command_metrics;
extern const struct command command_replay;
extern const struct command command_diff;
extern const struct command command_export;
extern const struct command command_ls;
extern const struct command command_query;
extern const struct command command_node;
extern const struct command command_ctl;
extern const struct command command_doctor;
extern const struct command command_version;
extern const struct command command_help;
extern const struct command command_man;
extern const struct command command_completion;

/* All commands, in the order of the help. */
const struct command *const *cli_commands(size_t *count);

/* How often Ctrl-C (or SIGTERM) has come since cli_catch_signals. Who calls that looks at it. */
extern volatile int cli_stop;
void cli_catch_signals(void);

/* Every command begins with this. False when it has already said all there is to say (help, or a
 * usage error) and `*code` is the exit code. `help` must be the first member: a bool. */
bool cli_parse(const struct command *command, int count, char **words, void *arguments,
               struct option_list *operands, int *code);
/* The first row of every command's table. */
#define CLI_HELP_OPTION                                                                            \
    {                                                                                              \
        'h', "help", NULL, OPTION_FLAG, 0, NULL, "show this text"                                  \
    }
#define CLI_TABLE(table) .options = (table), .option_count = sizeof(table) / sizeof((table)[0])

void cli_help(const struct command *command, FILE *out);

/* "meshtwin COMMAND: message" on standard error. */
void cli_complain(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Opens results and lists their runs; false after a complaint. */
bool cli_open(const char *command, const char *path, struct database *database,
              struct catalog *catalog);

#endif /* SIM_CLI_CLI_H */
