/* fixtures.c - loading and comparing, shared by the tests of the scenario loader. */
#include "fixtures.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "node/cli/text.h"

static int name_compare(const void *left, const void *right);

struct scenario *load_good(const char *path)
{
    struct scenario_report report;
    struct scenario *scenario;
    scenario_report_init(&report);
    int code = scenario_load(path, NULL, &scenario, &report);
    if (code != ERR_OK) {
        char *text = printed_report(&report, REPORT_HUMAN);
        cr_assert(false, "%s", text);
    }
    scenario_report_free(&report);
    return scenario;
}

struct scenario *load_good_text(const char *text)
{
    struct scenario_report report;
    struct scenario *scenario;
    scenario_report_init(&report);
    int code =
        scenario_load_text(GOOD_FOLDER "/x.jsonc", text, strlen(text), NULL, &scenario, &report);
    if (code != ERR_OK) {
        char *printed = printed_report(&report, REPORT_HUMAN);
        cr_assert(false, "%s", printed);
    }
    scenario_report_free(&report);
    return scenario;
}

char *complaints(const struct scenario_report *report, const char *folder)
{
    struct text list = {0};
    text_add(&list, "%s", "");
    for (uint32_t i = 0; i < report->item_count; i++) {
        const struct report_item *item = &report->items[i];
        text_add(&list, "%s@", report_code_name(item->code));
        if (item->where != NULL) {
            size_t len = strlen(folder);
            bool is_inside = strncmp(item->where, folder, len) == 0;
            text_add(&list, "%s", item->where + (is_inside ? len + 1 : 0));
        }
        if (item->where != NULL && item->line > 0) {
            text_add(&list, ":");
        }
        if (item->line > 0) {
            text_add(&list, "%u:%u ", item->line, item->column);
        } else {
            text_add(&list, item->where == NULL ? "- " : " ");
        }
    }
    return list.data;
}

char *complaints_of(const char *text, const char *override)
{
    struct scenario_report report;
    struct scenario *scenario;
    struct scenario_options options = {.overrides = &override,
                                       .override_count = override != NULL ? 1 : 0};
    scenario_report_init(&report);
    int code = scenario_load_text(GOOD_FOLDER "/x.jsonc", text, strlen(text), &options, &scenario,
                                  &report);
    cr_assert_eq(code == ERR_OK, report.error_count == 0);
    char *list = complaints(&report, GOOD_FOLDER);
    scenario_free(scenario);
    scenario_report_free(&report);
    return list;
}

char *printed_resolved(const struct scenario *scenario)
{
    char *data = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&data, &len);
    scenario_print_resolved(scenario, out);
    fclose(out);
    return data;
}

char *printed_report(const struct scenario_report *report, enum report_format format)
{
    char *data = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&data, &len);
    scenario_report_print(report, format, out);
    fclose(out);
    return data;
}

char **list_scenarios(const char *folder)
{
    DIR *directory = opendir(folder);
    cr_assert_not_null(directory, "no folder %s", folder);
    char **names = NULL;
    size_t count = 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        size_t len = strlen(entry->d_name);
        if (len > 6 && strcmp(entry->d_name + len - 6, ".jsonc") == 0) {
            names = text_grow(names, count, sizeof *names);
            names[count++] = text_copy(entry->d_name, len);
        }
    }
    closedir(directory);
    qsort(names, count, sizeof *names, name_compare);
    names = text_grow(names, count, sizeof *names);
    names[count] = NULL;
    return names;
}

void list_free(char **names)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        free(names[i]);
    }
    free(names);
}

size_t expectations_read(struct expectation *expectations)
{
    FILE *file = fopen(BAD_FOLDER "/expected.list", "r");
    cr_assert_not_null(file);
    char line[600];
    size_t count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#') {
            continue;
        }
        cr_assert(count < EXPECTATIONS_MAX);
        struct expectation *now = &expectations[count++];
        int fields = sscanf(line, "%79s %15s %399[^\n]", now->file, now->schema, now->codes);
        cr_assert_eq(fields, 3, "expected.list: %s", line);
    }
    fclose(file);
    return count;
}

static int name_compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}
