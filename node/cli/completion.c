/* completion.c - shell completions: commands, their options, choices of a value, else files. */
#include <string.h>

#include "node/cli/manual.h"

static const char zsh_special[] = ":[]\\";

const char *const manual_shell_names[] = {"bash", "zsh", "fish", NULL};

static void write_bash(const struct manual *manual, FILE *out);
static void write_zsh(const struct manual *manual, FILE *out);
static void write_fish(const struct manual *manual, FILE *out);
static void write_words(const struct manual_command *command, FILE *out);
static void write_command_names(const struct manual *manual, FILE *out);
static void write_choices(const struct option *option, FILE *out);
static void write_quoted(const char *text, const char *special, FILE *out);

void manual_completion(const struct manual *manual, enum manual_shell shell, FILE *out)
{
    switch (shell) {
    case MANUAL_BASH:
        write_bash(manual, out);
        break;
    case MANUAL_ZSH:
        write_zsh(manual, out);
        break;
    case MANUAL_FISH:
        write_fish(manual, out);
        break;
    }
}

static const struct manual_command *main_command(const struct manual *manual)
{
    for (size_t i = 0; i < manual->command_count; i++) {
        if (manual->commands[i].name[0] == '\0') {
            return &manual->commands[i];
        }
    }
    return NULL;
}

static void write_bash(const struct manual *manual, FILE *out)
{
    fprintf(out, "# bash completion for %s\n_%s()\n{\n", manual->program, manual->program);
    fprintf(out, "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                 "    local words=\n"
                 "    case ${COMP_WORDS[1]}:$before in\n");
    for (size_t i = 0; i < manual->command_count; i++) {
        const struct manual_command *command = &manual->commands[i];
        for (size_t j = 0; j < command->option_count; j++) {
            const struct option *option = &command->options[j];
            if (option->choices != NULL) {
                fprintf(out, "    %s:--%s) words='", command->name[0] != '\0' ? command->name : "*",
                        option->name);
                write_choices(option, out);
                fprintf(out, "' ;;\n");
            }
        }
    }
    fprintf(out, "    esac\n"
                 "    if [ -z \"$words\" ] && [[ $word != -* && $COMP_CWORD -eq 1 ]]; then\n"
                 "        words='");
    write_command_names(manual, out);
    fprintf(out, "'\n    elif [ -z \"$words\" ] && [[ $word == -* ]]; then\n"
                 "        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < manual->command_count; i++) {
        const struct manual_command *command = &manual->commands[i];
        if (command->name[0] != '\0' && command->option_count > 0) {
            fprintf(out, "        %s) words='", command->name);
            write_words(command, out);
            fprintf(out, "' ;;\n");
        }
    }
    if (main_command(manual) != NULL) {
        fprintf(out, "        *) words='");
        write_words(main_command(manual), out);
        fprintf(out, "' ;;\n");
    }
    fprintf(out,
            "        esac\n    fi\n"
            "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n}\n"
            "complete -o default -F _%s %s\n",
            manual->program, manual->program);
}

static void write_zsh(const struct manual *manual, FILE *out)
{
    fprintf(out, "#compdef %s\n_%s()\n{\n    local -a commands\n    commands=(\n", manual->program,
            manual->program);
    for (size_t i = 0; i < manual->command_count; i++) {
        if (manual->commands[i].name[0] != '\0') {
            fprintf(out, "        '%s:", manual->commands[i].name);
            write_quoted(manual->commands[i].summary, zsh_special, out);
            fprintf(out, "'\n");
        }
    }
    fprintf(out, "    )\n    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n"
                 "        _describe command commands\n        return\n    fi\n"
                 "    case $words[2] in\n");
    for (size_t i = 0; i < manual->command_count; i++) {
        const struct manual_command *command = &manual->commands[i];
        if (command->option_count == 0) {
            continue;
        }
        fprintf(out, "    %s) _arguments", command->name[0] != '\0' ? command->name : "*");
        for (size_t j = 0; j < command->option_count; j++) {
            const struct option *option = &command->options[j];
            fprintf(out, " \\\n        '--%s%s", option->name, option->value != NULL ? "=[" : "[");
            write_quoted(option->doc, zsh_special, out);
            fprintf(out, "]");
            if (option->choices != NULL) {
                fprintf(out, ":%s:(", option->value);
                write_choices(option, out);
                fprintf(out, ")");
            } else if (option->value != NULL) {
                fprintf(out, ":%s:_files", option->value);
            }
            fprintf(out, "'");
        }
        fprintf(out, " '*:file:_files' ;;\n");
    }
    fprintf(out, "    esac\n}\n_%s \"$@\"\n", manual->program);
}

static void write_fish(const struct manual *manual, FILE *out)
{
    fprintf(out, "# fish completion for %s\n", manual->program);
    for (size_t i = 0; i < manual->command_count; i++) {
        const struct manual_command *command = &manual->commands[i];
        if (command->name[0] != '\0') {
            fprintf(out, "complete -c %s -n __fish_use_subcommand -f -a %s -d '", manual->program,
                    command->name);
            write_quoted(command->summary, "", out);
            fprintf(out, "'\n");
        }
        for (size_t j = 0; j < command->option_count; j++) {
            const struct option *option = &command->options[j];
            fprintf(out, "complete -c %s", manual->program);
            if (command->name[0] != '\0') {
                fprintf(out, " -n '__fish_seen_subcommand_from %s'", command->name);
            } else {
                fprintf(out, " -n __fish_use_subcommand");
            }
            fprintf(out, " -l %s", option->name);
            if (option->letter != 0) {
                fprintf(out, " -s %c", option->letter);
            }
            if (option->value != NULL) {
                fprintf(out, " -r");
            }
            if (option->choices != NULL) {
                fprintf(out, " -f -a '");
                write_choices(option, out);
                fprintf(out, "'");
            }
            fprintf(out, " -d '");
            write_quoted(option->doc, "", out);
            fprintf(out, "'\n");
        }
    }
}

static void write_words(const struct manual_command *command, FILE *out)
{
    for (size_t i = 0; i < command->option_count; i++) {
        fprintf(out, "%s--%s", i > 0 ? " " : "", command->options[i].name);
    }
}

static void write_command_names(const struct manual *manual, FILE *out)
{
    for (size_t i = 0; i < manual->command_count; i++) {
        fprintf(out, "%s%s", i > 0 ? " " : "", manual->commands[i].name);
    }
}

static void write_choices(const struct option *option, FILE *out)
{
    for (size_t i = 0; option->choices[i] != NULL; i++) {
        fprintf(out, "%s%s", i > 0 ? " " : "", option->choices[i]);
    }
}

/* Inside single quotes of the shell; zsh also reads colons and brackets of its own there. */
static void write_quoted(const char *text, const char *special, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            fprintf(out, "'\\''");
        } else if (strchr(special, *text) != NULL) {
            fprintf(out, "\\%c", *text);
        } else {
            fputc(*text == '\n' ? ' ' : *text, out);
        }
    }
}
