/* test_fixtures.c - every bad scenario gets exactly the complaints it should, every good one none.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "fixtures.h"
#include "node/cli/text.h"
#include "sim/scenario/descriptor.h"

static bool has_word(const char *list, const char *word, size_t len)
{
    for (const char *at = list; *at != '\0'; at += strspn(at, " ")) {
        size_t now = strcspn(at, " ");
        if (now == len && memcmp(at, word, len) == 0) {
            return true;
        }
        at += now;
    }
    return false;
}

/* The first word of `list` that `other` lacks, or NULL. */
static const char *missing_word(const char *list, const char *other)
{
    for (const char *at = list; *at != '\0'; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        if (!has_word(other, at, len)) {
            return at;
        }
        at += len;
    }
    return NULL;
}

static size_t words(const char *list)
{
    size_t count = 0;
    for (const char *at = list; *at != '\0'; at += strspn(at, " ")) {
        at += strcspn(at, " ");
        count++;
    }
    return count;
}

Test(scenario_fixtures, bad_scenarios_get_exactly_the_expected_complaints)
{
    static struct expectation expectations[EXPECTATIONS_MAX];
    size_t count = expectations_read(expectations);
    cr_assert(count >= 60, "only %zu bad scenarios", count);
    for (size_t i = 0; i < count; i++) {
        struct scenario_report report;
        struct scenario *scenario;
        char *path = text_format("%s/%s", BAD_FOLDER, expectations[i].file);
        scenario_report_init(&report);
        int code = scenario_load(path, NULL, &scenario, &report);
        cr_expect_eq(code, ERR_INVALID, "%s loads", path);
        cr_expect_null(scenario);
        char *got = complaints(&report, BAD_FOLDER);
        bool is_same = missing_word(got, expectations[i].codes) == NULL &&
                       missing_word(expectations[i].codes, got) == NULL &&
                       words(got) == words(expectations[i].codes);
        cr_expect(is_same, "%s: got %s, expected %s", expectations[i].file, got,
                  expectations[i].codes);
        free(got);
        free(path);
        scenario_report_free(&report);
    }
}

Test(scenario_fixtures, every_bad_scenario_is_in_the_list_and_every_row_has_its_file)
{
    static struct expectation expectations[EXPECTATIONS_MAX];
    size_t count = expectations_read(expectations);
    char **names = list_scenarios(BAD_FOLDER);
    size_t files = 0;
    for (; names[files] != NULL; files++) {
        bool is_listed = false;
        for (size_t i = 0; i < count; i++) {
            is_listed = is_listed || strcmp(expectations[i].file, names[files]) == 0;
        }
        cr_expect(is_listed, "%s is not in expected.list", names[files]);
    }
    cr_expect_eq(files, count, "%zu files, %zu rows", files, count);
    list_free(names);
}

Test(scenario_fixtures, every_code_has_a_text_and_a_fixture_or_a_test)
{
    /* These need no file, a huge file, an override, or no error: test_load.c, test_override.c. */
    static const char elsewhere[] = "MT0001 MT0002 MT0020 MT0204 MT0211 MT0401 MT0402";
    static struct expectation expectations[EXPECTATIONS_MAX];
    size_t count = expectations_read(expectations);
    for (enum report_code code = 0; code < REPORT_CODE_COUNT; code++) {
        const char *name = report_code_name(code);
        bool has_fixture = strstr(elsewhere, name) != NULL;
        for (size_t i = 0; i < count; i++) {
            has_fixture = has_fixture || strstr(expectations[i].codes, name) != NULL;
        }
        cr_expect(has_fixture, "%s has no fixture", name);
        cr_expect(strlen(report_code_title(code)) > 5, "%s has no title", name);
        cr_expect(strlen(report_code_text(code)) > 60, "%s is not explained", name);
        cr_expect_eq(report_code_find(name), code);
        cr_expect_eq(report_code_find(name + 2), code);
    }
    cr_expect_eq(report_code_find("mt0103"), REPORT_MT0103);
    cr_expect_eq(report_code_find("103"), REPORT_MT0103);
    cr_expect_eq(report_code_find("MT9999"), REPORT_CODE_COUNT);
    cr_expect_eq(report_code_find("MT"), REPORT_CODE_COUNT);
    cr_expect_eq(report_code_find(""), REPORT_CODE_COUNT);
    cr_expect_eq(report_code_find("-1"), REPORT_CODE_COUNT);
}

/* Loads all scenarios of a folder, and each again from its resolved form; returns how many. */
static size_t check_folder(const char *folder)
{
    char **names = list_scenarios(folder);
    size_t i = 0;
    for (; names[i] != NULL; i++) {
        char *path = text_format("%s/%s", folder, names[i]);
        struct scenario *first = load_good(path);
        char *text = printed_resolved(first);
        struct scenario_report report;
        struct scenario *second;
        scenario_report_init(&report);
        int code = scenario_load_text(path, text, strlen(text), NULL, &second, &report);
        cr_assert_eq(code, ERR_OK, "%s does not load from its resolved form", path);
        char *again = printed_resolved(second);
        cr_expect(strcmp(again, text) == 0, "%s resolves to something else again", path);
        char first_sha[SCENARIO_SHA256_SIZE];
        char second_sha[SCENARIO_SHA256_SIZE];
        scenario_sha256(first, first_sha);
        scenario_sha256(second, second_sha);
        cr_expect_str_eq(first_sha, second_sha);
        scenario_report_free(&report);
        scenario_free(first);
        scenario_free(second);
        free(text);
        free(again);
        free(path);
    }
    list_free(names);
    return i;
}

Test(scenario_fixtures, good_scenarios_load_and_their_resolved_form_loads_to_the_same)
{
    cr_expect_geq(check_folder(GOOD_FOLDER), 5);
    cr_expect_geq(check_folder(SOURCE_DIR "/scenarios"), 6);
}

Test(scenario_fixtures, the_good_scenarios_use_every_key)
{
    char **names = list_scenarios(GOOD_FOLDER);
    struct text all = {0};
    for (size_t i = 0; names[i] != NULL; i++) {
        char *path = text_format("%s/%s", GOOD_FOLDER, names[i]);
        size_t len;
        char *text = text_read_file(path, 1 << 20, &len);
        cr_assert_not_null(text);
        text_add(&all, "%s", text);
        free(text);
        free(path);
    }
    for (size_t i = 0; scenario_shapes[i] != NULL; i++) {
        for (size_t j = 0; j < scenario_shapes[i]->key_count; j++) {
            const struct scenario_key *key = &scenario_shapes[i]->keys[j];
            char *quoted = text_format("\"%s\"", key->name);
            cr_expect(strstr(all.data, quoted) != NULL, "no good scenario uses %s", quoted);
            free(quoted);
        }
    }
    list_free(names);
    free(all.data);
}
