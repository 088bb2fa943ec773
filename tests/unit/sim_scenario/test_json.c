/* test_json.c - the strict scanner: what it accepts, what it notes, where it goes on. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "fixtures.h"
#include "node/cli/text.h"
#include "sim/scenario/json.h"

struct read {
    struct scenario_report report;
    struct json_document document;
};

static void read_text(struct read *read, const char *text, size_t len)
{
    scenario_report_init(&read->report);
    read->report.text = text_copy(text, len);
    read->report.len = len;
    json_read(&read->document, read->report.text, len, &read->report);
}

static void read_free(struct read *read)
{
    json_free(&read->document);
    scenario_report_free(&read->report);
}

static void expect_codes(const char *text, const char *codes)
{
    struct read read;
    read_text(&read, text, strlen(text));
    char *got = complaints(&read.report, "");
    cr_expect_str_eq(got, codes, "%s: got %s, expected %s", text, got, codes);
    free(got);
    read_free(&read);
}

Test(scenario_json, accepts_all_of_json_and_comments)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        " [ ] ",
        "null",
        "-0",
        "-0.5e-10",
        "1E+2",
        "9007199254740991",
        "-9007199254740991",
        "\"\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\uffff\\ud83d\\ude00\"",
        "\"\x7f\xc2\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
        "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":\"/* no // comment */\"}",
        "// first\n[1, // one\r\n/* two \n */2]//",
        "/**/1/***/",
        "{\"\": 1, \" \": 2}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct read read;
        read_text(&read, texts[i], strlen(texts[i]));
        cr_expect_eq(read.report.error_count, 0, "%s", texts[i]);
        cr_expect_not_null(read.document.root, "%s", texts[i]);
        read_free(&read);
    }
}

Test(scenario_json, refuses_bytes_that_are_not_utf8)
{
    static const char *const bytes[] = {
        "\x80",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2",
        "\xe0\x80\x80",
        "\xed\xa0\x80",
        "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xe2\x82",
        "\xc3(",
    };
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        char *text = text_format("[\"%s\"]", bytes[i]);
        struct read read;
        read_text(&read, text, strlen(text));
        cr_expect_eq(read.report.error_count, 1, "sequence %zu", i);
        cr_expect_eq(read.report.items[0].code, REPORT_MT0005, "sequence %zu", i);
        cr_expect_null(read.document.root);
        read_free(&read);
        free(text);
    }
}

Test(scenario_json, goes_on_after_a_slip_that_can_be_patched)
{
    expect_codes("[01, 'a', NaN, 1e999, +1, 9007199254740992, \"\\x\", ]",
                 "MT0013@1:2 MT0018@1:6 MT0017@1:11 MT0014@1:16 MT0013@1:23 MT0015@1:27 "
                 "MT0008@1:46 MT0010@1:49 ");
    expect_codes("{\"a\":1,\"a\":2,\"b\":{\"c\":1,\"c\":1,\"c\":1}}",
                 "MT0012@1:25 MT0012@1:31 MT0012@1:8 ");
}

Test(scenario_json, stops_at_a_slip_of_structure)
{
    expect_codes("[1 2, 03]", "MT0011@1:4 ");
    expect_codes("{\"a\" 1, \"a\":}", "MT0011@1:6 ");
    expect_codes("[,1]", "MT0011@1:2 ");
    expect_codes("[1,,2]", "MT0011@1:4 ");
    expect_codes("{,}", "MT0011@1:2 ");
    expect_codes("{\"a\":}", "MT0011@1:6 ");
    expect_codes("]", "MT0011@1:1 ");
    expect_codes("[1}", "MT0011@1:3 ");
    expect_codes("[\"a", "MT0007@1:2 ");
    expect_codes("[\"a\\", "MT0008@1:4 MT0007@1:2 ");
    expect_codes("[", "MT0009@1:2 ");
    expect_codes("[1,", "MT0009@1:4 ");
    expect_codes("{\"a\":", "MT0009@1:6 ");
    expect_codes("[1] /", "MT0011@1:5 ");
    expect_codes("{1:2}", "MT0018@1:2 ");
}

Test(scenario_json, columns_count_characters_not_bytes)
{
    expect_codes("[\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\", 01]", "MT0013@1:9 ");
    expect_codes("[\n\r\n\t01]", "MT0013@3:2 ");
}

Test(scenario_json, refuses_a_number_that_cjson_would_cut_off)
{
    char digits[200];
    memset(digits, '0', sizeof digits);
    memcpy(digits, "[0.", 3);
    strcpy(digits + 100, "1]");
    expect_codes(digits, "MT0013@1:2 ");
}

Test(scenario_json, sixty_four_levels_are_the_limit)
{
    char text[400];
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    text[128] = '\0';
    expect_codes(text, "");
    memset(text, '[', 65);
    text[65] = '\0';
    expect_codes(text, "MT0016@1:65 ");
}

Test(scenario_json, a_nul_byte_is_a_control_character_and_no_end)
{
    struct read read;
    read_text(&read, "[1]\0", 4);
    cr_expect_eq(read.report.items[0].code, REPORT_MT0019);
    read_free(&read);
    read_text(&read, "[\"a\0b\"]", 7);
    cr_expect_eq(read.report.error_count, 1);
    cr_expect_eq(read.report.items[0].code, REPORT_MT0006);
    cr_expect_not_null(read.document.root);
    read_free(&read);
}

Test(scenario_json, pointers_lead_to_places_and_back)
{
    const char *text = "{\"a/b\": [10, {\"m~n\": 1}], \"\": 2, \"k\\u00e4\": 3}";
    struct read read;
    read_text(&read, text, strlen(text));
    const struct {
        const char *pointer;
        const char *value;
    } places[] = {{"", "{"},  {"/a~1b", "["},     {"/a~1b/0", "1"}, {"/a~1b/1/m~0n", "1"},
                  {"/", "2"}, {"/k\xc3\xa4", "3"}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint32_t place = json_place_find(&read.document, places[i].pointer);
        cr_assert_neq(place, JSON_NO_PLACE, "%s", places[i].pointer);
        cr_expect_eq(text[read.document.places[place].from], places[i].value[0]);
        char *pointer = json_place_pointer(&read.document, place);
        cr_expect_str_eq(pointer, places[i].pointer);
        free(pointer);
    }
    const struct json_place *member =
        &read.document.places[json_place_find(&read.document, "/a~1b/1/m~0n")];
    cr_expect_eq(memcmp(text + member->key_from, "\"m~n\"", 5), 0);
    cr_expect_eq(member->key_to - member->key_from, 5);
    cr_expect_eq(json_place_find(&read.document, "/a~1b/2"), JSON_NO_PLACE);
    cr_expect_eq(json_place_find(&read.document, "/none"), JSON_NO_PLACE);
    read_free(&read);
}

Test(scenario_json, an_unclosed_bracket_is_named_with_its_place)
{
    const char *text = "{ \"a\": [1,\n  2";
    struct read read;
    read_text(&read, text, strlen(text));
    cr_assert_eq(read.report.items[0].code, REPORT_MT0009);
    cr_expect_not_null(strstr(read.report.items[0].help, "'[' of 1:8"));
    read_free(&read);
}

Test(scenario_json, a_million_values_are_the_limit)
{
    size_t len = 2 * (JSON_VALUES_MAX + 10);
    char *text = text_alloc(len + 1, 1);
    for (size_t i = 0; i < len; i += 2) {
        memcpy(text + i, "1,", 2);
    }
    text[0] = '[';
    text[1] = ' ';
    struct read read;
    read_text(&read, text, len);
    cr_expect_eq(read.report.items[0].code, REPORT_MT0020);
    cr_expect_null(read.document.root);
    read_free(&read);
    free(text);
}
