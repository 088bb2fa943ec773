/* test_parse.c - what the edge reads itself: queries, bodies, operands, Accept, topics, ids. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "node/edge/events.h"
#include "node/edge/exposition.h"
#include "node/edge/fields.h"
#include "node/edge/operand.h"

static void expect_field(bool is_json, const char *text, const char *name, const char *value)
{
    struct fields fields = {0};
    const char *why = "";
    bool is_good = is_json ? fields_read_json(&fields, text, strlen(text), &why)
                           : fields_read_query(&fields, text, &why);
    cr_assert(is_good, "%s: %s", text, why);
    const char *found = fields_get(&fields, name);
    cr_assert_not_null(found, "%s", text);
    cr_expect_str_eq(found, value, "%s", text);
    fields_clear(&fields);
}

static void expect_refused(bool is_json, const char *text)
{
    struct fields fields = {0};
    const char *why = NULL;
    bool is_good = is_json ? fields_read_json(&fields, text, strlen(text), &why)
                           : fields_read_query(&fields, text, &why);
    cr_expect_not(is_good, "%s is taken", text);
    cr_expect_not_null(why, "%s is refused without a reason", text);
    fields_clear(&fields);
}

Test(fields, query_is_decoded)
{
    expect_field(false, "id=3fa2&hex=true", "hex", "true");
    expect_field(false, "value=a%20b+c", "value", "a b c");
    expect_field(false, "value=%C3%a4", "value", "\xc3\xa4");
    expect_field(false, "value=a=b", "value", "a=b");
    expect_field(false, "hex", "hex", "");
    expect_field(false, "a=1&b=%26", "b", "&");
}

Test(fields, broken_query_is_refused)
{
    expect_refused(false, "a=%");
    expect_refused(false, "a=%4");
    expect_refused(false, "a=%4g");
    expect_refused(false, "a=%00");
    expect_refused(false, "a=1&a=2");
    expect_refused(false, "a=%ff");
    expect_refused(false, "a=%1b[31m");
    expect_refused(false, "a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q");
}

Test(fields, json_scalars_become_texts)
{
    expect_field(true, "{\"value\": \"on duty\", \"salt\": 7}", "salt", "7");
    expect_field(true, "{\"hex\": false}", "hex", "false");
    expect_field(true, "{\"n\": 9007199254740991}", "n", "9007199254740991");
    expect_field(true, "{\"value\": \"\\\\u0000\"}", "value", "\\u0000");
    expect_field(true, " {\"value\": \"\\u00e4\"} ", "value", "\xc3\xa4");
}

Test(fields, any_other_json_is_refused)
{
    static const char *const bodies[] = {
        "",
        "[]",
        "7",
        "{",
        "{} {}",
        "{\"a\": null}",
        "{\"a\": [1]}",
        "{\"a\": {\"b\": 1}}",
        "{\"a\": 1.5}",
        "{\"a\": 1e300}",
        "{\"a\": 9007199254740993}",
        "{\"a\": 1, \"a\": 2}",
        "{\"a\": \"x\\u0000y\"}",
        "{\"a\": \"\\u001b\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        expect_refused(true, bodies[i]);
    }
}

Test(operand, every_form_is_taken_apart)
{
    const char *at = "[--salt N] [--hex] <value> [verb] <address:port>";
    static const struct operand expected[] = {{"salt", OPERAND_OPTION, false},
                                              {"hex", OPERAND_SWITCH, false},
                                              {"value", OPERAND_WORD, true},
                                              {"verb", OPERAND_WORD, false},
                                              {"address", OPERAND_WORD, true}};
    struct operand operand;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        cr_assert(operand_next(&at, &operand));
        cr_expect_str_eq(operand.name, expected[i].name);
        cr_expect_eq(operand.kind, expected[i].kind, "%s", operand.name);
        cr_expect_eq(operand.is_required, expected[i].is_required, "%s", operand.name);
    }
    cr_expect_not(operand_next(&at, &operand));
}

Test(exposition, openmetrics_goes_to_who_prefers_it)
{
    static const struct {
        const char *accept;
        bool is_openmetrics;
    } rows[] = {
        {NULL, false},
        {"", false},
        {"*/*", false},
        {"text/plain", false},
        {"application/openmetrics-text", true},
        {"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3", true},
        {"application/openmetrics-text;q=0.3, text/plain;q=0.5", false},
        {"application/openmetrics-text;q=0", false},
        {"APPLICATION/OpenMetrics-Text; Q=1", true},
        {"application/*;q=0.9, text/*;q=0.1", true},
        {"text/html, */*;q=0.8, application/openmetrics-text;q=0.7", false},
        {";;q=,,,/", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect_eq(exposition_is_openmetrics(rows[i].accept), rows[i].is_openmetrics, "%s",
                     rows[i].accept != NULL ? rows[i].accept : "no header");
    }
}

Test(exposition, endings_stand_where_each_format_wants_them)
{
    static const char *const expected[] = {
        "# HELP a_total Help.\n# TYPE a_total counter\na_total{b=\"c\"} 7\n"
        "# HELP d_info Help.\n# TYPE d_info gauge\nd_info 1\n",
        "# HELP a Help.\n# TYPE a counter\na_total{b=\"c\"} 7\n"
        "# HELP d Help.\n# TYPE d info\nd_info 1\n# EOF\n",
    };
    for (int i = 0; i < 2; i++) {
        struct text text = {0};
        struct exposition out = {.out = &text, .is_openmetrics = i == 1};
        exposition_family(&out, "a", EXPOSITION_COUNTER, "Help.");
        exposition_count(&out, 7, "b=\"%s\"", "c");
        exposition_family(&out, "d", EXPOSITION_INFO, "Help.");
        exposition_count(&out, 1, NULL);
        exposition_end(&out);
        cr_expect_str_eq(text.data, expected[i]);
        free(text.data);
    }
}

Test(events, topics_are_words_between_commas)
{
    unsigned topics;
    const char *bad;
    size_t bad_len;
    cr_expect(events_read_topics("log,news", &topics, &bad, &bad_len));
    cr_expect_eq(topics, 1U << EVENT_LOG | 1U << EVENT_NEWS);
    cr_expect_not(events_read_topics("log,pears,x", &topics, &bad, &bad_len));
    cr_expect_eq(bad_len, 5);
    cr_expect_eq(memcmp(bad, "pears", 5), 0);
    cr_expect_not(events_read_topics("", &topics, &bad, &bad_len));
    cr_expect_not(events_read_topics("log,", &topics, &bad, &bad_len));
    cr_expect_not(events_read_topics(" log", &topics, &bad, &bad_len));
}

static void add(struct events *events, enum event_topic topic, int number)
{
    cJSON *data = cJSON_CreateObject();
    cJSON_AddNumberToObject(data, "n", number);
    events_add(events, topic, data);
}

/* All that a cursor has before it. */
static char *rest(struct events *events, struct event_cursor *cursor)
{
    struct text text = {0};
    text_add(&text, "%s", "");
    while (events_next(events, cursor, &text)) {
    }
    return text.data;
}

static int occurrences(const char *text, const char *word)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        count++;
    }
    return count;
}

Test(events, stream_starts_at_the_present_and_keeps_order_over_topics)
{
    struct events events;
    struct event_cursor cursor;
    events_init(&events, 0xabc);
    add(&events, EVENT_LOG, 1);
    cr_assert(events_start(&events, &cursor, EVENTS_ALL, NULL));
    add(&events, EVENT_NEWS, 2);
    add(&events, EVENT_LOG, 3);
    char *text = rest(&events, &cursor);
    cr_expect_str_eq(text, "id: abc-1.0.0.1.0\nevent: news\ndata: {\"n\":2}\n\n"
                           "id: abc-2.0.0.1.0\nevent: log\ndata: {\"n\":3}\n\n");
    free(text);
    events_free(&events);
}

Test(events, client_that_comes_back_gets_what_it_missed)
{
    struct events events;
    struct event_cursor cursor;
    events_init(&events, 0xabc);
    for (int i = 0; i < 6; i++) {
        add(&events, i % 2 == 0 ? EVENT_LOG : EVENT_MESSAGE, i);
    }
    cr_assert(events_start(&events, &cursor, 1U << EVENT_MESSAGE, "abc-1.0.1.0.0"));
    char *text = rest(&events, &cursor);
    cr_expect_null(strstr(text, "{\"n\":1}"));
    cr_expect_not_null(strstr(text, "{\"n\":3}"));
    cr_expect_not_null(strstr(text, "{\"n\":5}"));
    cr_expect_eq(occurrences(text, "event:"), 2, "%s", text);
    free(text);
    events_free(&events);
}

Test(events, loss_is_told_exactly_and_one_topic_never_pushes_out_another)
{
    struct events events;
    struct event_cursor cursor;
    events_init(&events, 0xabc);
    cr_assert(events_start(&events, &cursor, 1U << EVENT_LOG | 1U << EVENT_MESSAGE, NULL));
    add(&events, EVENT_MESSAGE, -1);
    for (int i = 0; i < EVENTS_KEPT + 7; i++) {
        add(&events, EVENT_LOG, i);
    }
    char *text = rest(&events, &cursor);
    cr_expect_not_null(strstr(text, "event: skipped\ndata: {\"skipped\":7}\n\n"), "%s", text);
    cr_expect_not_null(strstr(text, "{\"n\":-1}"));
    cr_expect_eq(occurrences(text, "event: log"), EVENTS_KEPT);
    cr_expect_eq(events.skipped, 7);
    free(text);
    events_free(&events);
}

Test(events, id_of_another_run_means_everything_that_is_kept)
{
    struct events events;
    struct event_cursor cursor;
    events_init(&events, 0xabc);
    add(&events, EVENT_LOG, 1);
    add(&events, EVENT_LOG, 2);
    cr_assert(events_start(&events, &cursor, EVENTS_ALL, "def-900.0.0.0.0"));
    char *text = rest(&events, &cursor);
    cr_expect_eq(occurrences(text, "event: log"), 2);
    cr_expect_eq(occurrences(text, "skipped"), 0);
    free(text);
    events_free(&events);
}

Test(events, what_is_no_id_is_refused)
{
    static const char *const ids[] = {"",
                                      "abc",
                                      "abc-",
                                      "abc-1",
                                      "abc-0.0.0.0",
                                      "abc-0.0.0.0.0.0",
                                      "abc-1.0.0.0.0",
                                      "abc-0.0.0.0.0 ",
                                      "-0.0.0.0.0",
                                      "xyz-0.0.0.0.0",
                                      "abc--1.0.0.0.0",
                                      "abc-99999999999999999999.0.0.0.0"};
    struct events events;
    struct event_cursor cursor;
    events_init(&events, 0xabc);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        cr_expect_not(events_start(&events, &cursor, EVENTS_ALL, ids[i]), "\"%s\"", ids[i]);
    }
    cr_expect(events_start(&events, &cursor, EVENTS_ALL, "abc-0.0.0.0.0"));
    events_free(&events);
}
