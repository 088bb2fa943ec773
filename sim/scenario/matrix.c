/* matrix.c - a CSV of round-trip times becomes regions and a one-way table in microseconds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/scenario/scenario.h"
#include "sim/scenario/table.h"

#define RTT_MS_MAX 20000.0 /* nothing on earth is further away */

static bool header_read(struct table *table, struct scenario_latency *latency, size_t *first);
static bool rows_read(struct table *table, struct scenario_latency *latency, size_t first,
                      double *rtt_ms);
static void rows_use(struct scenario_latency *latency, const double *rtt_ms);

bool matrix_read(const char *path, struct scenario_latency *latency, struct table_slip *slip)
{
    struct table table;
    if (!table_open(&table, path, slip)) {
        return false;
    }
    size_t first = 0;
    bool ok = header_read(&table, latency, &first);
    if (ok) {
        size_t cells = (size_t)latency->region_count * latency->region_count;
        double *rtt_ms = text_alloc(cells, sizeof *rtt_ms);
        ok = rows_read(&table, latency, first, rtt_ms);
        if (ok) {
            rows_use(latency, rtt_ms);
            latency->file_sha256 = text_copy(table.sha256, strlen(table.sha256));
        }
        free(rtt_ms);
    }
    table_close(&table);
    return ok;
}

static bool header_read(struct table *table, struct scenario_latency *latency, size_t *first)
{
    if (!table_next(table)) {
        return table->slip->message == NULL ? table_complain(table, 0, "the table is empty")
                                            : false;
    }
    if (strcmp(table->cells[0], "region") != 0) {
        return table_complain(table, 0, "the first column must be called \"region\"");
    }
    *first = table->cell_count > 1 && strcmp(table->cells[1], "weight") == 0 ? 2 : 1;
    size_t count = table->cell_count - *first;
    if (count == 0 || count > SCENARIO_REGIONS_MAX) {
        return table_complain(table, 0, "a matrix has 1 to %d regions, this one %zu",
                              SCENARIO_REGIONS_MAX, count);
    }
    latency->regions = text_alloc(count, sizeof *latency->regions);
    for (size_t i = 0; i < count; i++) {
        const char *name = table->cells[*first + i];
        for (size_t j = 0; j < i; j++) {
            if (strcmp(latency->regions[j].name, name) == 0) {
                return table_complain(table, *first + i, "the region \"%s\" appears twice", name);
            }
        }
        if (*name == '\0') {
            return table_complain(table, *first + i, "a region without a name");
        }
        latency->regions[i].name = text_copy(name, strlen(name));
        latency->region_count = (uint32_t)i + 1; /* what has to be freed */
    }
    return true;
}

static bool rows_read(struct table *table, struct scenario_latency *latency, size_t first,
                      double *rtt_ms)
{
    uint32_t count = latency->region_count;
    for (uint32_t row = 0; row < count; row++) {
        if (!table_next(table)) {
            return table->slip->message == NULL
                       ? table_complain(table, 0, "the row of \"%s\" is missing",
                                        latency->regions[row].name)
                       : false;
        }
        if (strcmp(table->cells[0], latency->regions[row].name) != 0) {
            return table_complain(table, 0,
                                  "row \"%s\" where \"%s\" should come: rows and columns "
                                  "need the same order",
                                  table->cells[0], latency->regions[row].name);
        }
        if (table->cell_count != first + count) {
            return table_complain(table, 0, "%zu cells where the header has %zu", table->cell_count,
                                  first + count);
        }
        latency->regions[row].weight = 1;
        if (first == 2 && !table_number(table, 1, 0, 1e9, &latency->regions[row].weight)) {
            return false;
        }
        for (uint32_t column = 0; column < count; column++) {
            if (!table_number(table, first + column, 0, RTT_MS_MAX,
                              &rtt_ms[row * count + column])) {
                return false;
            }
        }
    }
    if (table_next(table)) {
        return table_complain(table, 0, "a row too many: the header names %u regions", count);
    }
    return table->slip->message == NULL;
}

static void rows_use(struct scenario_latency *latency, const double *rtt_ms)
{
    uint32_t count = latency->region_count;
    latency->one_way_us = text_alloc((size_t)count * count, sizeof *latency->one_way_us);
    double sum = 0;
    for (uint32_t row = 0; row < count; row++) {
        sum += latency->regions[row].weight;
        for (uint32_t column = 0; column < count; column++) {
            /* Half of the mean of both directions; + and * are the same on every machine. */
            double both_ms = rtt_ms[row * count + column] + rtt_ms[column * count + row];
            latency->one_way_us[row * count + column] = (uint32_t)floor(both_ms * 250.0 + 0.5);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        latency->regions[i].weight = sum > 0 ? latency->regions[i].weight / sum : 1.0 / count;
    }
}
