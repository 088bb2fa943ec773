/* manual.c - `meshtwin completion` and `meshtwin man`: the tables of all commands, written out. */
#include "node/cli/manual.h"

#include <stdlib.h>
#include <string.h>

#include "node/cli/text.h"
#include "sim/cli/cli.h"
#include "sim/result/machine.h"

static const char description[] =
    "meshtwin runs one peer-to-peer node library in two worlds: in a deterministic simulator with\n"
    "thousands of nodes, described by a scenario file, and as a live node on real sockets\n"
    "(meshnode(1)). Results go to an SQLite database; the same scenario and seed give the same\n"
    "digest on every machine.\n\n"
    "Standard output is the result and nothing else; progress and complaints go to standard error.";

static const struct manual_section sections[] = {
    {"EXIT STATUS",
     "0: everything held. 1: something went wrong while running; diff found a difference.\n"
     "2: the command line makes no sense. 3: the scenario is invalid, nothing was run.\n"
     "4: a threshold does not hold. 8: the live node cannot start. 130, 143: interrupted."},
    {"ENVIRONMENT",
     "Every option can also come from the environment as MESHTWIN_<COMMAND>_<OPTION>, for example\n"
     "MESHTWIN_RUN_JOBS=2. An option on the command line wins."},
    {"SEE ALSO", "meshnode(1)"},
};

struct manual_arguments {
    bool help;
};

static const struct option plain_options[] = {CLI_HELP_OPTION};

static struct manual manual_make(struct manual_command **rows)
{
    struct machine machine;
    machine_describe(&machine);
    size_t count;
    const struct command *const *commands = cli_commands(&count);
    *rows = text_alloc(count, sizeof **rows);
    for (size_t i = 0; i < count; i++) {
        (*rows)[i] = (struct manual_command){.name = commands[i]->name,
                                             .operands = commands[i]->operands,
                                             .summary = commands[i]->summary,
                                             .example = commands[i]->example,
                                             .options = commands[i]->options,
                                             .option_count = commands[i]->option_count};
    }
    return (struct manual){.program = "meshtwin",
                           .version = machine.version,
                           .tagline = "simulate a peer-to-peer mesh, and run its node",
                           .description = description,
                           .commands = *rows,
                           .command_count = count,
                           .sections = sections,
                           .section_count = sizeof sections / sizeof sections[0]};
}

static int run_man(const struct command *command, int count, char **words)
{
    struct manual_arguments arguments = {0};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        struct manual_command *rows;
        struct manual manual = manual_make(&rows);
        manual_page(&manual, stdout);
        free(rows);
    }
    option_list_free(&operands);
    return code;
}

const struct command command_man = {.name = "man",
                                    .operands = "",
                                    .summary = "Prints this program's man page.",
                                    .example = "meshtwin man | man -l -",
                                    CLI_TABLE(plain_options),
                                    .run = run_man};

static int run_completion(const struct command *command, int count, char **words)
{
    struct manual_arguments arguments = {0};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        code = CLI_USAGE;
        for (int shell = 0; manual_shell_names[shell] != NULL; shell++) {
            if (strcmp(operands.items[0], manual_shell_names[shell]) == 0) {
                struct manual_command *rows;
                struct manual manual = manual_make(&rows);
                manual_completion(&manual, (enum manual_shell)shell, stdout);
                free(rows);
                code = CLI_OK;
            }
        }
        if (code != CLI_OK) {
            cli_complain(command->name, "bash, zsh or fish, not \"%s\"", operands.items[0]);
        }
    }
    option_list_free(&operands);
    return code;
}

const struct command command_completion = {
    .name = "completion",
    .operands = "bash|zsh|fish",
    .summary = "Prints completions for a shell.",
    .example = "meshtwin completion bash > ~/.local/share/bash-completion/completions/meshtwin",
    CLI_TABLE(plain_options),
    .operand_min = 1,
    .operand_max = 1,
    .run = run_completion};
