/* main.c - meshtwin: finds the command and steps aside. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "sim/cli/cli.h"
#include "sim/result/machine.h"

static const struct command *const commands[] = {
    &command_run,    &command_check, &command_schema, &command_explain, &command_metrics,
    &command_replay, &command_diff,  &command_export, &command_ls,      &command_query,
    &command_node,   &command_ctl,   &command_doctor, &command_version, &command_completion,
    &command_man,    &command_help,
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

volatile int cli_stop;

static void usage(FILE *out);
static const struct command *command_find(const char *name);
static void on_signal(int signal);

int main(int count, char **words)
{
    if (count < 2) {
        usage(stderr);
        return CLI_USAGE;
    }
    const char *name = words[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) {
        name = "help";
    } else if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0) {
        name = "version";
    }
    const struct command *command = command_find(name);
    if (command == NULL) {
        return CLI_USAGE;
    }
    int code = command->run(command, count - 2, words + 2);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_complain(command->name, "cannot write to standard output");
        return code == CLI_OK ? CLI_FAILURE : code;
    }
    return code;
}

const struct command *const *cli_commands(size_t *count)
{
    *count = COMMANDS;
    return commands;
}

bool cli_parse(const struct command *command, int count, char **words, void *arguments,
               struct option_list *operands, int *code)
{
    char error[512];
    struct option_table table = {
        .command = command->name, .options = command->options, .count = command->option_count};
    bool ok = option_parse(&table, count, words, arguments, operands, error, sizeof error);
    if (ok && *(bool *)arguments) {
        cli_help(command, stdout);
        *code = CLI_OK;
        return false;
    }
    if (ok && operands->count >= command->operand_min && operands->count <= command->operand_max) {
        return true;
    }
    if (!ok) {
        cli_complain(command->name, "%s", error);
    } else if (operands->count > command->operand_max) {
        cli_complain(command->name, "one argument too many: \"%s\"",
                     operands->items[command->operand_max]);
    }
    fprintf(stderr, "usage: meshtwin %s [options] %s   (more: meshtwin help %s)\n", command->name,
            command->operands, command->name);
    *code = CLI_USAGE;
    return false;
}

void cli_help(const struct command *command, FILE *out)
{
    fprintf(out, "usage: meshtwin %s [options] %s\n\n%s\n\n", command->name, command->operands,
            command->summary);
    struct option_table table = {
        .command = command->name, .options = command->options, .count = command->option_count};
    option_print(&table, out);
    if (command->example != NULL) {
        fprintf(out, "\nexample: %s\n", command->example);
    }
}

void cli_complain(const char *command, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "meshtwin %s: ", command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

bool cli_open(const char *command, const char *path, struct database *database,
              struct catalog *catalog)
{
    *catalog = (struct catalog){0};
    if (database_open(database, path) != ERR_OK || catalog_read(database, catalog) != ERR_OK) {
        cli_complain(command, "%s", database->error);
        catalog_free(catalog);
        database_close(database);
        return false;
    }
    return true;
}

static void usage(FILE *out)
{
    fprintf(out, "usage: meshtwin COMMAND [options]\n\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(out, "  %-10s %-22s %s\n", commands[i]->name, commands[i]->operands,
                commands[i]->summary);
    }
    fprintf(out, "\nEvery option can also come from the environment: MESHTWIN_RUN_JOBS=2.\n"
                 "More on one of them: meshtwin help COMMAND\n");
}

void cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    must(sigaction(SIGINT, &action, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0);
}

static const struct command *command_find(const char *name)
{
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++) {
        names[i] = commands[i]->name;
        if (strcmp(names[i], name) == 0) {
            return commands[i];
        }
    }
    const char *meant = text_suggest(name, names, COMMANDS);
    if (meant != NULL) {
        fprintf(stderr, "meshtwin: unknown command \"%s\", did you mean \"%s\"?\n", name, meant);
    } else {
        fprintf(stderr, "meshtwin: unknown command \"%s\"\n", name);
        usage(stderr);
    }
    return NULL;
}

/* Once asks for an orderly end, twice for an end; a third time the system does it. */
static void on_signal(int number)
{
    if (++cli_stop >= 2) {
        struct sigaction plain = {.sa_handler = SIG_DFL};
        (void)sigaction(number, &plain, NULL);
    }
}

/* --- help and version ------------------------------------------------------------------------ */

struct plain_arguments {
    bool help;
};

static const struct option plain_options[] = {CLI_HELP_OPTION};

static int run_help(const struct command *command, int count, char **words)
{
    struct plain_arguments arguments = {0};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        const struct command *about = operands.count > 0 ? command_find(operands.items[0]) : NULL;
        if (operands.count == 0) {
            usage(stdout);
        } else if (about != NULL) {
            cli_help(about, stdout);
        } else {
            code = CLI_USAGE;
        }
    }
    option_list_free(&operands);
    return code;
}

const struct command command_help = {.name = "help",
                                     .operands = "[COMMAND]",
                                     .summary = "Lists the commands, or explains one of them.",
                                     .options = plain_options,
                                     .option_count = 1,
                                     .operand_max = 1,
                                     .run = run_help};

static int run_version(const struct command *command, int count, char **words)
{
    struct plain_arguments arguments = {0};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        struct machine machine;
        machine_describe(&machine);
        printf("meshtwin %s (commit %s, %s, %s)\n", machine.version, machine.git_commit,
               machine.compiler, machine.build_flags);
    }
    option_list_free(&operands);
    return code;
}

const struct command command_version = {.name = "version",
                                        .operands = "",
                                        .summary = "Names the version, commit and build.",
                                        .options = plain_options,
                                        .option_count = 1,
                                        .run = run_version};
