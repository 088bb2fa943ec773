/* report_print.c - a report for a person at a terminal, for a program, and for a CI page. */
#include "sim/scenario/report.h"

#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "sim/scenario/json_write.h"

#define CARET_LEN_MAX  80
#define SOURCE_LEN_MAX 160 /* longer lines are shown from a little before the slip */
#define SOURCE_BEFORE  60

static void order(const struct scenario_report *report, const struct report_item **sorted);
static bool is_before(const struct report_item *left, const struct report_item *right);
static void print_human(const struct scenario_report *report, FILE *out);
static void print_item(const struct scenario_report *report, const struct report_item *item,
                       FILE *out);
static void print_source(const struct scenario_report *report, const struct report_item *item,
                         FILE *out);
static void print_plain(const char *text, FILE *out);
static void print_json(const struct scenario_report *report, FILE *out);
static void print_github(const struct scenario_report *report, FILE *out);
static void print_escaped(const char *text, bool is_property, FILE *out);
static const char *severity_text(const struct report_item *item);
static const char *file_name(const struct scenario_report *report, const struct report_item *item);

void scenario_report_print(const struct scenario_report *report, enum report_format format,
                           FILE *out)
{
    switch (format) {
    case REPORT_HUMAN:
        print_human(report, out);
        break;
    case REPORT_JSON:
        print_json(report, out);
        break;
    case REPORT_GITHUB:
        print_github(report, out);
        break;
    }
}

/* Checks run in their own order; a reader goes through the file from top to bottom. */
static void order(const struct scenario_report *report, const struct report_item **sorted)
{
    for (uint32_t i = 0; i < report->item_count; i++) {
        uint32_t at = i;
        while (at > 0 && is_before(&report->items[i], sorted[at - 1])) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = &report->items[i];
    }
}

static bool is_before(const struct report_item *left, const struct report_item *right)
{
    if ((left->where == NULL) != (right->where == NULL)) {
        return left->where == NULL;
    }
    return left->where == NULL ? left->from < right->from : false;
}

static void print_human(const struct scenario_report *report, FILE *out)
{
    const struct report_item *sorted[REPORT_ITEMS_MAX];
    order(report, sorted);
    for (uint32_t i = 0; i < report->item_count; i++) {
        print_item(report, sorted[i], out);
    }
    uint32_t total = report->error_count + report->warning_count;
    if (total > report->item_count) {
        fprintf(out, "... and %u more\n", total - report->item_count);
    }
    if (report->error_count > 0) {
        must(report->item_count > 0);
        uint32_t first = 0;
        while (first + 1 < report->item_count &&
               report_severity(sorted[first]->code) != REPORT_ERROR) {
            first++;
        }
        fprintf(out, "%u error%s, %u warning%s: nothing was run.   meshtwin explain %s\n",
                report->error_count, report->error_count == 1 ? "" : "s", report->warning_count,
                report->warning_count == 1 ? "" : "s", report_code_name(sorted[first]->code));
    } else if (report->warning_count > 0) {
        fprintf(out, "%u warning%s\n", report->warning_count,
                report->warning_count == 1 ? "" : "s");
    }
}

static void print_item(const struct scenario_report *report, const struct report_item *item,
                       FILE *out)
{
    fprintf(out, "%s:", file_name(report, item));
    if (item->line > 0) {
        fprintf(out, "%u:%u:", item->line, item->column);
    }
    fprintf(out, " %s[%s]: ", severity_text(item), report_code_name(item->code));
    print_plain(item->message, out);
    fputc('\n', out);
    if (item->where == NULL && item->line > 0) {
        print_source(report, item, out);
    }
    if (item->pointer != NULL && item->pointer[0] != '\0') {
        fputs("      = at ", out);
        print_plain(item->pointer, out);
        fputc('\n', out);
    }
    if (item->help != NULL) {
        fputs("      = ", out);
        print_plain(item->help, out);
        fputc('\n', out);
    }
}

/* The source line with carets under the slip. Tabs are repeated, so that the carets line up;
 * control characters become '?', so that a binary file cannot drive the terminal. */
static void print_source(const struct scenario_report *report, const struct report_item *item,
                         FILE *out)
{
    size_t from = item->line_from;
    if (item->from - from > SOURCE_LEN_MAX - SOURCE_BEFORE) {
        from = item->from - SOURCE_BEFORE;
        while (from < item->from && ((unsigned char)report->text[from] & 0xc0) == 0x80) {
            from++;
        }
    }
    size_t to = item->line_to - from > SOURCE_LEN_MAX ? from + SOURCE_LEN_MAX : item->line_to;
    while (to > from && to < item->line_to && ((unsigned char)report->text[to] & 0xc0) == 0x80) {
        to--;
    }
    fprintf(out, "%5u | ", item->line);
    for (size_t i = from; i < to; i++) {
        unsigned char letter = (unsigned char)report->text[i];
        bool is_control = (letter < 0x20 && letter != '\t') || letter == 0x7f;
        fputc(is_control ? '?' : letter, out);
    }
    fprintf(out, "\n      | ");
    for (size_t i = from; i < item->from; i++) {
        if (((unsigned char)report->text[i] & 0xc0) != 0x80) {
            fputc(report->text[i] == '\t' ? '\t' : ' ', out);
        }
    }
    size_t end = item->to < to ? item->to : to;
    size_t carets = 0;
    for (size_t i = item->from; i < end && carets < CARET_LEN_MAX; i++) {
        if (((unsigned char)report->text[i] & 0xc0) != 0x80) {
            fputc('^', out);
            carets++;
        }
    }
    fprintf(out, "%s\n", carets == 0 ? "^" : "");
}

/* Names come out of the file: one with an escape sequence in it must not reach the terminal. */
static void print_plain(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        bool is_control = (unsigned char)*text < 0x20 || *text == 0x7f;
        fputc(is_control ? '?' : *text, out);
    }
}

static void print_json(const struct scenario_report *report, FILE *out)
{
    const struct report_item *sorted[REPORT_ITEMS_MAX];
    order(report, sorted);
    struct json_writer writer;
    json_write_start(&writer, out);
    json_write_open(&writer, NULL, '{');
    json_write_string(&writer, "schema", "meshtwin.check.v1");
    json_write_string(&writer, "file", report->path != NULL ? report->path : "");
    json_write_number(&writer, "errors", report->error_count);
    json_write_number(&writer, "warnings", report->warning_count);
    json_write_open(&writer, "items", '[');
    for (uint32_t i = 0; i < report->item_count; i++) {
        const struct report_item *item = sorted[i];
        json_write_open(&writer, NULL, '{');
        json_write_string(&writer, "severity", severity_text(item));
        json_write_string(&writer, "code", report_code_name(item->code));
        json_write_string(&writer, "message", item->message);
        json_write_string(&writer, "help", item->help);
        json_write_string(&writer, "where", file_name(report, item));
        json_write_number(&writer, "line", item->line);
        json_write_number(&writer, "column", item->column);
        json_write_string(&writer, "pointer", item->pointer);
        json_write_close(&writer, '}');
    }
    json_write_close(&writer, ']');
    json_write_close(&writer, '}');
}

static void print_github(const struct scenario_report *report, FILE *out)
{
    const struct report_item *sorted[REPORT_ITEMS_MAX];
    order(report, sorted);
    for (uint32_t i = 0; i < report->item_count; i++) {
        const struct report_item *item = sorted[i];
        fprintf(out, "::%s file=", severity_text(item));
        bool is_override = item->where != NULL && item->line == 0;
        print_escaped(is_override ? report->path : file_name(report, item), true, out);
        if (item->line > 0) {
            fprintf(out, ",line=%u,col=%u", item->line, item->column);
        }
        fprintf(out, ",title=%s::", report_code_name(item->code));
        if (is_override) {
            print_escaped(item->where, false, out);
            fputs(": ", out);
        }
        print_escaped(item->message, false, out);
        if (item->help != NULL) {
            fputs(" - ", out);
            print_escaped(item->help, false, out);
        }
        fputc('\n', out);
    }
}

/* GitHub's rule for workflow commands: %, CR and LF are escaped, in properties also ':' and ','. */
static void print_escaped(const char *text, bool is_property, FILE *out)
{
    for (; text != NULL && *text != '\0'; text++) {
        if (strchr("%\r\n", *text) != NULL || (is_property && strchr(":,", *text) != NULL)) {
            fprintf(out, "%%%02X", (unsigned char)*text);
        } else {
            fputc(*text, out);
        }
    }
}

static const char *severity_text(const struct report_item *item)
{
    return report_severity(item->code) == REPORT_ERROR ? "error" : "warning";
}

static const char *file_name(const struct scenario_report *report, const struct report_item *item)
{
    if (item->where != NULL) {
        return item->where;
    }
    return report->path != NULL ? report->path : "scenario";
}
