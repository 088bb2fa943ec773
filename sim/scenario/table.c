/* table.c - rows and cells of comma-separated files. */
#include "sim/scenario/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_LEN_MAX ((size_t)64 << 20)

static bool row_split(struct table *table, char *row);
static char *cell_trim(char *cell);

bool table_open(struct table *table, const char *path, struct table_slip *slip)
{
    *table = (struct table){.slip = slip};
    table->text = text_read_file(path, TABLE_LEN_MAX, &table->len);
    if (table->text == NULL) {
        slip->message = text_format("cannot read the file: %s", strerror(errno));
        return false;
    }
    text_sha256(table->text, table->len, table->sha256);
    if (memchr(table->text, '\0', table->len) != NULL) {
        slip->message = text_format("the file is not a text");
        table_close(table);
        return false;
    }
    return true;
}

void table_close(struct table *table)
{
    free(table->text);
    table->text = NULL;
}

bool table_next(struct table *table)
{
    while (table->at < table->len) {
        char *row = table->text + table->at;
        size_t len = strcspn(row, "\n");
        table->at += len + 1;
        table->line++;
        row[len] = '\0';
        if (row[strspn(row, " \t\r")] != '\0' && row[0] != '#') {
            return row_split(table, row);
        }
    }
    return false;
}

static bool row_split(struct table *table, char *row)
{
    table->row = row;
    table->cell_count = 0;
    char *cell = row;
    while (cell != NULL) {
        char *comma = strchr(cell, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        if (table->cell_count == TABLE_CELLS_MAX) {
            return table_complain(table, TABLE_CELLS_MAX - 1, "more than %d cells in a row",
                                  TABLE_CELLS_MAX);
        }
        table->cells[table->cell_count++] = cell_trim(cell);
        cell = comma != NULL ? comma + 1 : NULL;
    }
    return true;
}

static char *cell_trim(char *cell)
{
    cell += strspn(cell, " \t\r");
    size_t len = strlen(cell);
    while (len > 0 && strchr(" \t\r", cell[len - 1]) != NULL) {
        cell[--len] = '\0';
    }
    return cell;
}

bool table_number(struct table *table, size_t cell, double min, double max, double *value)
{
    if (cell >= table->cell_count) {
        return table_complain(table, cell, "the row has only %zu cells", table->cell_count);
    }
    const char *text = table->cells[cell];
    char *end;
    *value = strtod(text, &end);
    if (*text == '\0' || text[strspn(text, "0123456789.")] != '\0' || *end != '\0') {
        return table_complain(table, cell, "\"%s\" is not a plain decimal number", text);
    }
    if (*value < min || *value > max) {
        return table_complain(table, cell, "%s is not within %g and %g", text, min, max);
    }
    return true;
}

bool table_complain(struct table *table, size_t cell, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    table->slip->message = text_format_list(format, arguments);
    va_end(arguments);
    table->slip->line = table->line;
    table->slip->column =
        cell < table->cell_count ? (uint32_t)(table->cells[cell] - table->row) + 1 : 1;
    return false;
}
