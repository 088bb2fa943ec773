/* test_manual.c - man page and completions say what the option tables say. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/manual.h"

struct arguments {
    bool flag;
    int choice;
    const char *file;
};

static const char *const colours[] = {"red", "blue", NULL};
static const struct option options[] = {
    {'f', "flag", NULL, OPTION_FLAG, offsetof(struct arguments, flag), NULL, ".begins with a dot"},
    {0, "colour", "WHICH", OPTION_CHOICE, offsetof(struct arguments, choice), colours,
     "it's one of: [red] \\ blue"},
    {'o', "output", "FILE", OPTION_TEXT, offsetof(struct arguments, file), NULL, "where to"},
};
static const struct manual_command commands[] = {
    {"", "[options]", "Runs.\n\n.TH is no request here.", NULL, options, 3},
    {"paint", "WALL", "Paints.", "prog paint --colour red", options + 1, 2},
    {"help", "", "Helps.", NULL, NULL, 0},
};
static const struct manual_section sections[] = {{"FILES", "'quoted' at the start\n-dash"}};
static const struct manual manual = {"prog",   "1.2", "does it", "First.\n\nSecond.",
                                     commands, 3,     sections,  1};

static char *page_text(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    manual_page(&manual, out);
    fclose(out);
    return text;
}

static char *completion_text(enum manual_shell shell)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    manual_completion(&manual, shell, out);
    fclose(out);
    return text;
}

/* Runs the shell's own syntax check on the text; true when it has no complaint. */
static bool is_accepted(const char *shell, const char *text)
{
    FILE *pipe = popen(shell, "w");
    fputs(text, pipe);
    return pclose(pipe) == 0;
}

Test(manual, page_names_every_command_and_option)
{
    char *page = page_text();
    for (size_t i = 0; i < 3; i++) {
        char line[64];
        snprintf(line, sizeof line, "\\fB\\-\\-%s\\fR", options[i].name);
        cr_assert_not_null(strstr(page, line), "%s is missing", line);
    }
    cr_assert_not_null(strstr(page, ".SS prog paint\n"));
    cr_assert_not_null(strstr(page, ".SH FILES\n"));
    free(page);
}

Test(manual, no_text_becomes_a_request)
{
    char *page = page_text();
    cr_assert_not_null(strstr(page, "\\&.begins"));
    cr_assert_not_null(strstr(page, "\\&.TH is no request"));
    cr_assert_not_null(strstr(page, "\\&'quoted'"));
    cr_assert_not_null(strstr(page, "\\e blue"), "a backslash is an escape");
    free(page);
}

Test(manual, completions_hold_choices_and_are_valid_bash)
{
    char *text = completion_text(MANUAL_BASH);
    cr_assert_not_null(strstr(text, "paint:--colour) words='red blue'"));
    cr_assert(is_accepted("bash -n", text));
    free(text);
}

Test(manual, quotes_in_texts_end_no_quote)
{
    char *zsh = completion_text(MANUAL_ZSH);
    cr_assert_not_null(strstr(zsh, "it'\\''s one of\\: \\[red\\] \\\\ blue"));
    char *fish = completion_text(MANUAL_FISH);
    cr_assert_not_null(strstr(fish, "it'\\''s one of: [red]"));
    cr_assert(is_accepted("bash -n", fish), "fish's quotes are bash's here");
    free(fish);
    free(zsh);
}
