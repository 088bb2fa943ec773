/* main.c - meshnode: finds the command and steps aside. */
#include <stdlib.h>
#include <string.h>

#include "node/cli/text.h"
#include "node/meshnode/program.h"

static const struct program *const programs[] = {
    &program_node, &program_ctl,        &program_id,           &program_doctor,
    &program_man,  &program_completion, &program_help_command,
};
enum { PROGRAMS = sizeof programs / sizeof programs[0] };

static const char description[] =
    "meshnode is one node of a peer-to-peer mesh: it joins through any node that is up, stores\n"
    "signed values with its peers, carries messages and broadcasts, and keeps its identity, its\n"
    "records and its peers over restarts. The same node library runs in the simulator,\n"
    "meshtwin(1).\n\n"
    "On a terminal it shows a shell; `meshnode ctl` asks the same things of a node that runs\n"
    "elsewhere on this machine.";

static const char files[] =
    "STATE is the folder in $STATE_DIRECTORY (set by systemd), else $XDG_STATE_HOME/meshtwin, "
    "else\n"
    "~/.local/state/meshtwin. Below it each port has a folder, so two nodes do not share files:\n"
    "identity.key, ledger.db, http.token, control.sock, history.";

static const char exits[] =
    "0: all went well. 1: an operation failed, or the node is not healthy. 2: the command line or\n"
    "a verb's words make no sense. 3: the configuration file is wrong. 8: the node cannot start,\n"
    "for the reason given. 130, 143: ended by a second Ctrl-C or SIGTERM before all was done.";

static const char signals[] =
    "SIGTERM and SIGINT (Ctrl-C) leave the mesh politely; a second one ends at once. In the shell\n"
    "Ctrl-C drops the line, and twice on an empty line leaves. SIGHUP reads the configuration\n"
    "again: bootstrap nodes, limits for peers and logging change at once; for the rest the log\n"
    "says what needs a restart.";

static const struct manual_section sections[] = {
    {"FILES", files},
    {"ENVIRONMENT",
     "Every option of the node also comes from MESHTWIN_NODE_<OPTION>, such as\n"
     "MESHTWIN_NODE_LOG_LEVEL=debug, and from a file of `option = value` lines given with\n"
     "--config. Command line beats environment beats file beats default; --print-config shows\n"
     "who won. The passphrase of the key file may be in MESHTWIN_NODE_PASSPHRASE, never on the\n"
     "command line."},
    {"SIGNALS", signals},
    {"EXIT STATUS", exits},
    {"SEE ALSO", "meshtwin(1)"},
};

int main(int count, char **words)
{
    const struct program *program = &program_node;
    int first = 1;
    if (count > 1 && words[1][0] != '-') {
        const struct program *named = program_find(words[1]);
        if (named != NULL) {
            program = named;
            first = 2;
        }
    }
    int code = program->run(count - first, words + first);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "meshnode: cannot write to standard output\n");
        return code == EXIT_OK ? EXIT_FAILED : code;
    }
    return code;
}

const struct program *program_find(const char *name)
{
    for (size_t i = 0; i < PROGRAMS; i++) {
        if (strcmp(programs[i]->name, name) == 0) {
            return programs[i];
        }
    }
    return NULL;
}

const char *program_suggest(const char *name)
{
    const char *names[PROGRAMS];
    for (size_t i = 0; i < PROGRAMS; i++) {
        names[i] = programs[i]->name;
    }
    return text_suggest(name, names, PROGRAMS);
}

void program_help(FILE *out)
{
    fprintf(out, "usage: meshnode [options]\n");
    for (size_t i = 1; i < PROGRAMS; i++) {
        fprintf(out, "       meshnode %-10s %-15s %s\n", programs[i]->name, programs[i]->operands,
                programs[i]->summary);
    }
    fprintf(out, "\n%s\n\n", program_node.summary);
    struct option_table table = {
        .command = "node", .options = settings_options, .count = settings_option_count};
    option_print(&table, out);
    for (size_t i = 0; i + 1 < sizeof sections / sizeof sections[0]; i++) {
        fprintf(out, "\n%s\n%s\n", sections[i].title, sections[i].text);
    }
    fprintf(out, "\nexample: %s\n", program_node.example);
}

void program_explain(const struct program *program, FILE *out)
{
    fprintf(out, "usage: meshnode %s [options] %s\n\n%s\n\n", program->name, program->operands,
            program->summary);
    struct option_table table = {
        .command = "node", .options = program->options, .count = program->option_count};
    option_print(&table, out);
    fprintf(out, "\nexample: %s\n", program->example);
}

bool program_parse(const struct program *program, int count, char **words, void *arguments,
                   struct option_list *operands, bool ends_at_operand, int *code)
{
    char error[512];
    struct option_table table = {.command = "node",
                                 .options = program->options,
                                 .count = program->option_count,
                                 .ends_at_operand = ends_at_operand};
    *code = EXIT_OK;
    if (!option_parse(&table, count, words, arguments, operands, error, sizeof error)) {
        fprintf(stderr, "meshnode %s: %s\n", program->name, error);
        fprintf(stderr, "usage: meshnode %s [options] %s   (more: meshnode %s --help)\n",
                program->name, program->operands, program->name);
        *code = EXIT_USAGE;
        return false;
    }
    if (*(bool *)arguments) {
        program_explain(program, stdout);
        return false;
    }
    return true;
}

/* --- help, man page, completion -------------------------------------------------------------- */

struct plain_arguments {
    bool help;
};

static const struct option plain_options[] = {PROGRAM_HELP_OPTION};

static int usage_error(const struct program *program, const char *what)
{
    fprintf(stderr, "meshnode %s: %s\n", program->name, what);
    return EXIT_USAGE;
}

static int run_help(int count, char **words)
{
    struct plain_arguments arguments = {0};
    struct option_list operands;
    int code;
    if (program_parse(&program_help_command, count, words, &arguments, &operands, false, &code)) {
        const struct program *about =
            operands.count == 1 ? program_find(operands.items[0]) : &program_node;
        if (operands.count > 1 || about == NULL) {
            code = usage_error(&program_help_command, "no such command");
        } else if (about == &program_node) {
            program_help(stdout);
        } else {
            program_explain(about, stdout);
        }
    }
    option_list_free(&operands);
    return code;
}

const struct program program_help_command = {.name = "help",
                                             .operands = "[COMMAND]",
                                             .summary = "Explains the node, or a command.",
                                             .example = "meshnode help ctl",
                                             .options = plain_options,
                                             .option_count = 1,
                                             .run = run_help};

static struct manual manual_make(struct manual_command rows[PROGRAMS])
{
    for (size_t i = 0; i < PROGRAMS; i++) {
        rows[i] = (struct manual_command){.name = programs[i]->name,
                                          .operands = programs[i]->operands,
                                          .summary = programs[i]->summary,
                                          .example = programs[i]->example,
                                          .options = programs[i]->options,
                                          .option_count = programs[i]->option_count};
    }
    rows[0].options = settings_options;
    rows[0].option_count = settings_option_count;
    return (struct manual){.program = "meshnode",
                           .version = MESHNODE_VERSION,
                           .tagline = "a node of a peer-to-peer mesh",
                           .description = description,
                           .commands = rows,
                           .command_count = PROGRAMS,
                           .sections = sections,
                           .section_count = sizeof sections / sizeof sections[0]};
}

static int run_man(int count, char **words)
{
    struct plain_arguments arguments = {0};
    struct option_list operands;
    int code;
    if (program_parse(&program_man, count, words, &arguments, &operands, false, &code)) {
        struct manual_command rows[PROGRAMS];
        struct manual manual = manual_make(rows);
        manual_page(&manual, stdout);
    }
    option_list_free(&operands);
    return code;
}

const struct program program_man = {.name = "man",
                                    .operands = "",
                                    .summary = "Prints the man page.",
                                    .example = "meshnode man | man -l -",
                                    .options = plain_options,
                                    .option_count = 1,
                                    .run = run_man};

static int run_completion(int count, char **words)
{
    struct plain_arguments arguments = {0};
    struct option_list operands;
    int code;
    if (program_parse(&program_completion, count, words, &arguments, &operands, false, &code)) {
        code = EXIT_USAGE;
        for (int shell = 0; operands.count == 1 && manual_shell_names[shell] != NULL; shell++) {
            if (strcmp(operands.items[0], manual_shell_names[shell]) == 0) {
                struct manual_command rows[PROGRAMS];
                struct manual manual = manual_make(rows);
                manual_completion(&manual, (enum manual_shell)shell, stdout);
                code = EXIT_OK;
            }
        }
        if (code == EXIT_USAGE) {
            usage_error(&program_completion, "wanted is one of bash, zsh, fish");
        }
    }
    option_list_free(&operands);
    return code;
}

const struct program program_completion = {.name = "completion",
                                           .operands = "bash|zsh|fish",
                                           .summary = "Prints completions for a shell.",
                                           .example = "meshnode completion bash > meshnode.bash",
                                           .options = plain_options,
                                           .option_count = 1,
                                           .run = run_completion};
