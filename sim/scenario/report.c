/* report.c - collects complaints and knows where they stand in the text. */
#include "sim/scenario/report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"

void scenario_report_init(struct scenario_report *report)
{
    *report = (struct scenario_report){0};
}

void scenario_report_free(struct scenario_report *report)
{
    for (uint32_t i = 0; i < report->item_count; i++) {
        free(report->items[i].message);
        free(report->items[i].help);
        free(report->items[i].pointer);
        free(report->items[i].where);
    }
    free(report->path);
    free(report->text);
    scenario_report_init(report);
}

void report_locate(const char *text, size_t len, size_t at, uint32_t *line, uint32_t *column)
{
    must(at <= len);
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            *line += 1;
            *column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            *column += 1; /* not the second or later byte of a character */
        }
    }
}

bool report_is_full(const struct scenario_report *report)
{
    return report->item_count == REPORT_ITEMS_MAX;
}

void report_add(struct scenario_report *report, enum report_code code,
                const struct report_place *place, char *message, char *help)
{
    must(code < REPORT_CODE_COUNT && place->from <= place->to);
    if (report_severity(code) == REPORT_ERROR) {
        report->error_count++;
    } else {
        report->warning_count++;
    }
    if (report_is_full(report)) {
        free(message);
        free(help);
        return;
    }
    struct report_item *item = &report->items[report->item_count++];
    *item = (struct report_item){.code = code, .message = message, .help = help};
    if (place->pointer != NULL) {
        item->pointer = text_copy(place->pointer, strlen(place->pointer));
    }
    if (place->where != NULL) {
        item->where = text_copy(place->where, strlen(place->where));
        item->line = place->line;
        item->column = place->column;
        return;
    }
    item->from = place->from;
    item->to = place->to;
    if (report->text == NULL || report->len == 0) {
        return;
    }
    must(place->to <= report->len);
    report_locate(report->text, report->len, place->from, &item->line, &item->column);
    item->line_from = place->from;
    while (item->line_from > 0 && report->text[item->line_from - 1] != '\n') {
        item->line_from--;
    }
    item->line_to = place->from;
    while (item->line_to < report->len && report->text[item->line_to] != '\n' &&
           report->text[item->line_to] != '\r') {
        item->line_to++;
    }
}

enum report_code report_code_find(const char *text)
{
    if (tolower((unsigned char)text[0]) == 'm' && tolower((unsigned char)text[1]) == 't') {
        text += 2;
    }
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    enum report_code code = 0;
    if (end == text || *end != '\0' || !isdigit((unsigned char)*text)) {
        return REPORT_CODE_COUNT;
    }
    while (code < REPORT_CODE_COUNT && strtoul(report_code_name(code) + 2, NULL, 10) != number) {
        code++;
    }
    return code;
}
