/* trace.c - recorded presence: a CSV of stays, sorted and checked for overlaps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/table.h"

#define TRACE_S_MAX 3.2e8 /* ten years */

struct line_stay {
    struct scenario_stay stay;
    uint32_t line;
};

static bool stays_read(struct table *table, struct line_stay **stays, size_t *count);
static bool stay_read(struct table *table, struct line_stay *entry);
static int stay_compare(const void *left, const void *right);
static bool stays_check(struct table *table, const struct line_stay *stays, size_t count);

bool trace_read(const char *path, struct scenario_trace *trace, char **sha256,
                struct table_slip *slip)
{
    struct table table;
    if (!table_open(&table, path, slip)) {
        return false;
    }
    struct line_stay *stays = NULL;
    size_t count = 0;
    bool ok = stays_read(&table, &stays, &count);
    if (ok) {
        must(stays != NULL && count > 0);
        qsort(stays, count, sizeof *stays, stay_compare);
        ok = stays_check(&table, stays, count);
    }
    if (ok) {
        trace->stays = text_alloc(count, sizeof *trace->stays);
        trace->stay_count = (uint32_t)count;
        trace->node_count = stays[count - 1].stay.node + 1;
        for (size_t i = 0; i < count; i++) {
            trace->stays[i] = stays[i].stay;
        }
        *sha256 = text_copy(table.sha256, strlen(table.sha256));
    }
    free(stays);
    table_close(&table);
    return ok;
}

static bool stays_read(struct table *table, struct line_stay **stays, size_t *count)
{
    bool has_header = table_next(table);
    if (!has_header || table->cell_count != 3 || strcmp(table->cells[0], "node") != 0 ||
        strcmp(table->cells[1], "start_s") != 0 || strcmp(table->cells[2], "end_s") != 0) {
        free(table->slip->message);
        return table_complain(table, 0, "the first row must be node,start_s,end_s");
    }
    while (table_next(table)) {
        struct line_stay entry = {.line = table->line};
        if (!stay_read(table, &entry)) {
            return false;
        }
        *stays = text_grow(*stays, *count, sizeof **stays);
        (*stays)[(*count)++] = entry;
    }
    if (table->slip->message == NULL && *count == 0) {
        return table_complain(table, 0, "the trace has no rows");
    }
    return table->slip->message == NULL;
}

static bool stay_read(struct table *table, struct line_stay *entry)
{
    double node;
    double start_s;
    double end_s;
    if (!table_number(table, 0, 0, SCENARIO_NODES_MAX - 1, &node) ||
        !table_number(table, 1, 0, TRACE_S_MAX, &start_s) ||
        !table_number(table, 2, 0, TRACE_S_MAX, &end_s)) {
        return false;
    }
    if (node != floor(node)) {
        return table_complain(table, 0, "a node is a whole number");
    }
    if (end_s <= start_s) {
        return table_complain(table, 2, "the stay ends before it begins");
    }
    entry->stay = (struct scenario_stay){.node = (uint32_t)node,
                                         .start_us = (uint64_t)floor(start_s * 1e6 + 0.5),
                                         .end_us = (uint64_t)floor(end_s * 1e6 + 0.5)};
    return true;
}

static int stay_compare(const void *left, const void *right)
{
    const struct line_stay *first = left;
    const struct line_stay *second = right;
    if (first->stay.node != second->stay.node) {
        return first->stay.node < second->stay.node ? -1 : 1;
    }
    if (first->stay.start_us != second->stay.start_us) {
        return first->stay.start_us < second->stay.start_us ? -1 : 1;
    }
    return first->line < second->line ? -1 : first->line > second->line;
}

static bool stays_check(struct table *table, const struct line_stay *stays, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const struct scenario_stay *before = &stays[i - 1].stay;
        if (stays[i].stay.node == before->node && stays[i].stay.start_us < before->end_us) {
            table->line = stays[i].line;
            table->cell_count = 0; /* the row is no longer at hand */
            return table_complain(table, 0, "overlaps the stay of line %u", stays[i - 1].line);
        }
    }
    return true;
}
