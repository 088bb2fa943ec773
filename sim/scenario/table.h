/* table.h - reads comma-separated tables, line by line, knowing where each cell stands.
 *
 * Cells have no quotes and no commas inside; spaces around them are dropped; empty lines and lines
 * that begin with '#' are skipped. What a table means is the business of matrix.c and trace.c:
 *
 *      file -> table_open -> table_next (a row) -> table_cell ... -> matrix or trace
 */
#ifndef SIM_SCENARIO_TABLE_H
#define SIM_SCENARIO_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/cli/text.h"

#define TABLE_CELLS_MAX 260 /* 256 regions and the columns before them */

/* What is wrong with a table file; line 0: with the file as a whole. `message` is heap or NULL. */
struct table_slip {
    uint32_t line;
    uint32_t column;
    char *message;
};

struct table {
    char *text; /* the file; cells are NUL-terminated in place as rows are read */
    size_t len;
    size_t at;
    char sha256[TEXT_SHA256_SIZE]; /* of the file as it was */
    uint32_t line;
    char *row;
    char *cells[TABLE_CELLS_MAX];
    size_t cell_count;
    struct table_slip *slip;
};

/* False after filling `slip`. */
bool table_open(struct table *table, const char *path, struct table_slip *slip);
void table_close(struct table *table);

/* Goes to the next row; false at the end, or after a slip (slip->message is set). */
bool table_next(struct table *table);

/* A plain decimal number of the current row within [min, max]; false after filling the slip. */
bool table_number(struct table *table, size_t cell, double min, double max, double *value);

/* Fills the slip for one cell (or the row, when there is no such cell) and returns false. */
bool table_complain(struct table *table, size_t cell, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct scenario_latency;
struct scenario_trace;

/* Round-trip times between regions:
 *
 *      region,weight,berlin,tokyo
 *      berlin,0.7,2.1,231.4
 *      tokyo,0.3,231.6,1.8
 *
 * One column and one row per region, in the same order; milliseconds with decimals; the weight
 * column may be left out. The two directions of a pair are averaged, because a round trip has none.
 * Weights are scaled to sum 1. Fills regions, one_way_us and file_sha256; false after a slip. */
bool matrix_read(const char *path, struct scenario_latency *latency, struct table_slip *slip);

/* Presence: "node,start_s,end_s", nodes numbered from 0, in any order. `*sha256` receives a heap
 * text; false after a slip. */
bool trace_read(const char *path, struct scenario_trace *trace, char **sha256,
                struct table_slip *slip);

#endif /* SIM_SCENARIO_TABLE_H */
