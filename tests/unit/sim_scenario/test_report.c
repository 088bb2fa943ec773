/* test_report.c - what a person, a program and a CI page get to read. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "fixtures.h"
#include "node/cli/text.h"
#include "sim/scenario/json.h"

#define TEXT                                                                                       \
    "{\n"                                                                                          \
    "  \"schema_version\": 1, \"name\": \"t\", \"seed\": 1, \"duration\": \"10m\",\n"              \
    "\t\"crypto\": \"reel\",\n"                                                                    \
    "  \"duratoin\": \"5m\",\n"                                                                    \
    "  \"groups\": [{ \"name\": \"a\", \"count\": 4, \"\\u001b[31m\": 1 }]\n"                      \
    "}\n"

static char *report_of(const char *text, const char *override, enum report_format format)
{
    struct scenario_report report;
    struct scenario *scenario;
    struct scenario_options options = {.overrides = &override,
                                       .override_count = override != NULL ? 1 : 0};
    scenario_report_init(&report);
    int code = scenario_load_text("dir/x.jsonc", text, strlen(text), &options, &scenario, &report);
    cr_expect_eq(code == ERR_OK, report.error_count == 0);
    char *printed = printed_report(&report, format);
    scenario_free(scenario);
    scenario_report_free(&report);
    return printed;
}

Test(scenario_report, a_person_sees_place_line_caret_pointer_and_suggestion_in_file_order)
{
    char *printed = report_of(TEXT, NULL, REPORT_HUMAN);
    cr_expect_str_eq(
        printed,
        "dir/x.jsonc:3:12: error[MT0103]: unknown crypto \"reel\"\n"
        "    3 | \t\"crypto\": \"reel\",\n"
        "      | \t          ^^^^^^\n"
        "      = at /crypto\n"
        "      = did you mean \"real\"?  known: modelled, real\n"
        "dir/x.jsonc:4:3: error[MT0101]: unknown key \"duratoin\"\n"
        "    4 |   \"duratoin\": \"5m\",\n"
        "      |   ^^^^^^^^^^\n"
        "      = at /duratoin\n"
        "      = did you mean \"duration\"?  known: $schema, schema_version, name, description, "
        "seed, replicates, duration, warmup, crypto, defaults, network, boxes, ...\n"
        "dir/x.jsonc:5:41: error[MT0101]: unknown key \"?[31m\"\n"
        "    5 |   \"groups\": [{ \"name\": \"a\", \"count\": 4, \"\\u001b[31m\": 1 }]\n"
        "      |                                         ^^^^^^^^^^^^\n"
        "      = at /groups/0/?[31m\n"
        "      = known: name, count, region, nat, nat_hairpin, nat_port_mapping, nat_double, link, "
        "churn, address_group_size, join, protocol\n"
        "3 errors, 0 warnings: nothing was run.   meshtwin explain MT0103\n");
    free(printed);
}

Test(scenario_report, a_program_gets_json_that_our_own_reader_accepts)
{
    char *printed = report_of(TEXT, "/network/mtu=1", REPORT_JSON);
    struct scenario_report slips;
    struct json_document document;
    scenario_report_init(&slips);
    json_read(&document, printed, strlen(printed), &slips);
    cr_assert_eq(slips.error_count, 0);
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(document.root, "items");
    cr_assert_eq(cJSON_GetArraySize(items), 4);
    const cJSON *first = cJSON_GetArrayItem(items, 0);
    cr_expect_str_eq(cJSON_GetObjectItemCaseSensitive(first, "code")->valuestring, "MT0103");
    cr_expect_eq(cJSON_GetObjectItemCaseSensitive(first, "line")->valueint, 3);
    cr_expect_eq(cJSON_GetObjectItemCaseSensitive(first, "column")->valueint, 12);
    const cJSON *last = cJSON_GetArrayItem(items, 3);
    cr_expect_str_eq(cJSON_GetObjectItemCaseSensitive(last, "where")->valuestring,
                     "--set /network/mtu=1");
    cr_expect_str_eq(cJSON_GetObjectItemCaseSensitive(document.root, "schema")->valuestring,
                     "meshtwin.check.v1");
    json_free(&document);
    scenario_report_free(&slips);
    free(printed);
}

Test(scenario_report, a_ci_page_gets_workflow_commands_with_its_escapes)
{
    char *printed = report_of("{ \"crypto\": \"50%\", \"schema_version\": 1, \"name\": \"t\",\n"
                              "\"seed\": 1, \"duration\": \"1m\", \"groups\": "
                              "[{\"name\":\"a\",\"count\":1}] }",
                              "/network/mtu=1", REPORT_GITHUB);
    cr_expect_str_eq(printed,
                     "::error file=dir/x.jsonc,line=1,col=13,title=MT0103::unknown crypto "
                     "\"50%25\" - known: modelled, real\n"
                     "::error file=dir/x.jsonc,title=MT0106::--set /network/mtu=1: must be 576 to "
                     "65535\n");
    free(printed);
}

Test(scenario_report, nothing_is_printed_when_all_is_well)
{
    char *printed = report_of("{\"schema_version\":1,\"name\":\"t\",\"seed\":1,\"duration\":\"1m\","
                              "\"groups\":[{\"name\":\"a\",\"count\":1}]}",
                              NULL, REPORT_HUMAN);
    cr_expect_str_eq(printed, "");
    free(printed);
}

Test(scenario_report, a_line_of_a_megabyte_is_shown_in_part)
{
    struct text text = {0};
    text_add(&text, "{\"schema_version\":1,\"name\":\"t\",\"seed\":1,\"duration\":\"1m\",");
    text_add(&text, "\"x-long\": \"%01000000d\", \"wrong\": 1, \"x-more\": \"%01000d\",", 0, 0);
    text_add(&text, "\"groups\":[{\"name\":\"a\",\"count\":1}]}");
    char *printed = report_of(text.data, NULL, REPORT_HUMAN);
    cr_expect_lt(strlen(printed), 1000);
    cr_expect_not_null(strstr(printed, "\"wrong\": 1"));
    const char *source = strstr(printed, " | ") + 3;
    const char *carets = strstr(source, " | ") + 3;
    cr_expect_eq(strstr(source, "\"wrong\"") - source, strstr(carets, "^^^^^^^") - carets,
                 "the carets stand under the word");
    free(printed);
    free(text.data);
}

Test(scenario_report, a_warning_before_an_error_is_not_what_gets_explained)
{
    char *printed = report_of("{\"schema_version\":1,\"name\":\"t\",\"seed\":1,\"duration\":\"1m\","
                              "\"groups\":[{\"name\":\"a\",\"count\":1,\"region\":{\"all\":0.97}}],"
                              "\"wrong\":1}",
                              NULL, REPORT_HUMAN);
    cr_expect_not_null(strstr(printed, "warning[MT0204]: the shares sum to 0.97; scaled to 1"));
    cr_expect_not_null(strstr(printed, "1 error, 1 warning: nothing was run.   "
                                       "meshtwin explain MT0101\n"));
    free(printed);
}

Test(scenario_report, a_long_line_is_never_cut_inside_a_character)
{
    struct text text = {0};
    text_add(&text, "{\"x-long\": \"");
    for (int i = 0; i < 300; i++) {
        text_add(&text, "\xe2\x82\xac");
    }
    text_add(&text, "\", \"wrong\": 1, \"x-more\": \"");
    for (int i = 0; i < 300; i++) {
        text_add(&text, "\xe2\x82\xac");
    }
    text_add(&text, "\", \"schema_version\":1,\"name\":\"t\",\"seed\":1,\"duration\":\"1m\","
                    "\"groups\":[{\"name\":\"a\",\"count\":1}]}");
    char *printed = report_of(text.data, NULL, REPORT_HUMAN);
    char *quoted = text_format("[\"%.*s\"]", (int)strcspn(strstr(printed, " | ") + 3, "\n\""),
                               strstr(printed, " | ") + 3);
    struct scenario_report slips;
    struct json_document document;
    scenario_report_init(&slips);
    json_read(&document, quoted, strlen(quoted), &slips);
    cr_expect_eq(slips.error_count, 0, "%s", quoted);
    json_free(&document);
    scenario_report_free(&slips);
    free(quoted);
    free(printed);
    free(text.data);
}

Test(scenario_report, suggestions_are_near_and_ignore_case)
{
    static const char *const known[] = {"duration", "warmup", "mtu", "k"};
    static const struct {
        const char *word;
        const char *expected;
    } cases[] = {{"duratoin", "duration"},
                 {"DURATION", "duration"},
                 {"wramup", "warmup"},
                 {"mut", "mtu"},
                 {"K", "k"},
                 {"throughput", NULL},
                 {"", NULL},
                 {"xyz", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = text_suggest(cases[i].word, known, 4);
        if (cases[i].expected == NULL) {
            cr_expect_null(got, "%s -> %s", cases[i].word, got);
        } else {
            cr_assert_not_null(got, "%s", cases[i].word);
            cr_expect_str_eq(got, cases[i].expected);
        }
    }
    char word[100];
    memset(word, 'a', 99);
    word[99] = '\0';
    cr_expect_null(text_suggest(word, known, 4), "too long to be anybody's slip");
}

Test(scenario_report, doubles_are_written_so_that_they_read_back)
{
    static const double values[] = {0,
                                    1,
                                    0.1,
                                    1.0 / 3,
                                    1e-9,
                                    123456789.125,
                                    1e300,
                                    -2.5,
                                    5e-324,
                                    1e22 / 3.0,
                                    0.003333333333333333};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[TEXT_DOUBLE_SIZE];
        text_double(values[i], text);
        cr_expect_eq(strtod(text, NULL), values[i], "%s", text);
    }
    char text[TEXT_DOUBLE_SIZE];
    text_double(0.1, text);
    cr_expect_str_eq(text, "0.1");
}
