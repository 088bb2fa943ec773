/* manual.c - the man page: man(7) macros around the texts of the tables. */
#include "node/cli/manual.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/text.h"

static void write_title(const struct manual *manual, FILE *out);
static void write_command(const struct manual *manual, const struct manual_command *command,
                          FILE *out);
static void write_option(const struct option *option, FILE *out);
static void write_paragraphs(const char *text, FILE *out);
static void write_text(const char *text, FILE *out);
static void write_upper(const char *text, FILE *out);

void manual_page(const struct manual *manual, FILE *out)
{
    write_title(manual, out);
    fprintf(out, ".SH SYNOPSIS\n");
    for (size_t i = 0; i < manual->command_count; i++) {
        const struct manual_command *command = &manual->commands[i];
        fprintf(out, "%s.B ", i > 0 ? ".br\n" : "");
        write_text(manual->program, out);
        if (command->name[0] != '\0') {
            fputc(' ', out);
            write_text(command->name, out);
        }
        fprintf(out, "\n");
        if (command->option_count > 0) {
            fprintf(out, "[\\fIoptions\\fR]\n");
        }
        if (command->operands[0] != '\0') {
            write_text(command->operands, out);
            fputc('\n', out);
        }
    }
    fprintf(out, ".SH DESCRIPTION\n");
    write_paragraphs(manual->description, out);
    fprintf(out, ".SH COMMANDS\n");
    for (size_t i = 0; i < manual->command_count; i++) {
        write_command(manual, &manual->commands[i], out);
    }
    for (size_t i = 0; i < manual->section_count; i++) {
        fprintf(out, ".SH %s\n", manual->sections[i].title);
        write_paragraphs(manual->sections[i].text, out);
    }
}

/* No date: the same sources give the same page. */
static void write_title(const struct manual *manual, FILE *out)
{
    fprintf(out, ".TH ");
    write_upper(manual->program, out);
    fprintf(out, " 1 \"\" \"%s %s\" \"User commands\"\n.SH NAME\n", manual->program,
            manual->version);
    write_text(manual->program, out);
    fprintf(out, " \\- ");
    write_text(manual->tagline, out);
    fputc('\n', out);
}

static void write_command(const struct manual *manual, const struct manual_command *command,
                          FILE *out)
{
    fprintf(out, ".SS ");
    write_text(manual->program, out);
    fprintf(out, "%s", command->name[0] != '\0' ? " " : "");
    write_text(command->name, out);
    fputc('\n', out);
    write_paragraphs(command->summary, out);
    for (size_t i = 0; i < command->option_count; i++) {
        write_option(&command->options[i], out);
    }
    if (command->example != NULL) {
        fprintf(out, ".PP\nExample:\n.PP\n.RS 4\n.nf\n");
        write_text(command->example, out);
        fprintf(out, "\n.fi\n.RE\n");
    }
}

static void write_option(const struct option *option, FILE *out)
{
    fprintf(out, ".TP\n");
    if (option->letter != 0) {
        fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
    }
    fprintf(out, "\\fB\\-\\-");
    write_text(option->name, out);
    fprintf(out, "\\fR");
    if (option->value != NULL) {
        fprintf(out, " \\fI");
        write_text(option->value, out);
        fprintf(out, "\\fR");
    }
    fputc('\n', out);
    write_text(option->doc, out);
    fputc('\n', out);
}

static void write_paragraphs(const char *text, FILE *out)
{
    while (*text != '\0') {
        const char *end = strstr(text, "\n\n");
        size_t len = end != NULL ? (size_t)(end - text) : strlen(text);
        fprintf(out, ".PP\n");
        for (const char *line = text; line < text + len;) {
            size_t line_len = strcspn(line, "\n");
            char *copy = text_copy(line, line_len);
            write_text(copy, out);
            free(copy);
            fputc('\n', out);
            line += line_len + (line[line_len] == '\n');
        }
        text += len;
        text += strspn(text, "\n");
    }
}

/* Nothing in a text is a request, an escape or a hyphen that breaks a line. */
static void write_text(const char *text, FILE *out)
{
    if (*text == '.' || *text == '\'') {
        fprintf(out, "\\&");
    }
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '\\':
            fprintf(out, "\\e");
            break;
        case '-':
            fprintf(out, "\\-");
            break;
        default:
            fputc(*text, out);
        }
    }
}

static void write_upper(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        fputc(toupper((unsigned char)*text), out);
    }
}
