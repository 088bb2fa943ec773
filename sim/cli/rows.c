/* rows.c - writes columns as text. */
#include "sim/cli/rows.h"

#include <inttypes.h>
#include <string.h>

#include "node/cli/text.h"
#include "sim/cli/terminal.h"

static bool print_table(sqlite3_stmt *statement, FILE *out);
static bool print_csv(sqlite3_stmt *statement, FILE *out);
static bool print_objects(sqlite3_stmt *statement, bool is_array, FILE *out);

bool rows_print(sqlite3_stmt *statement, enum rows_format format, FILE *out)
{
    switch (format) {
    case ROWS_TABLE:
        return print_table(statement, out);
    case ROWS_CSV:
        return print_csv(statement, out);
    default:
        return print_objects(statement, format == ROWS_JSON, out);
    }
}

static bool print_table(sqlite3_stmt *statement, FILE *out)
{
    struct terminal terminal;
    terminal_open(&terminal, out, TERMINAL_AUTO);
    int columns = sqlite3_column_count(statement);
    struct grid grid = {.columns = (size_t)columns};
    for (int i = 0; i < columns; i++) {
        grid_add(&grid, "%s", sqlite3_column_name(statement, i));
    }
    int status;
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < columns; i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            grid_add(&grid, "%s", text != NULL ? text : "-");
        }
    }
    if (columns > 0) {
        grid_print(&grid, &terminal, "", true);
    }
    return status == SQLITE_DONE;
}

static void print_hex(const unsigned char *bytes, int len, FILE *out)
{
    for (int i = 0; i < len; i++) {
        fprintf(out, "%02x", bytes[i]);
    }
}

static void print_number(sqlite3_stmt *statement, int column, FILE *out)
{
    if (sqlite3_column_type(statement, column) == SQLITE_INTEGER) {
        fprintf(out, "%" PRId64, (int64_t)sqlite3_column_int64(statement, column));
        return;
    }
    char text[TEXT_DOUBLE_SIZE];
    text_double(sqlite3_column_double(statement, column), text);
    fputs(text, out);
}

static void print_csv_text(const char *text, FILE *out)
{
    if (text[0] != '\0' && strpbrk(text, "\",\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', out);
        }
        fputc(*text, out);
    }
    fputc('"', out);
}

static bool print_csv(sqlite3_stmt *statement, FILE *out)
{
    int columns = sqlite3_column_count(statement);
    for (int i = 0; i < columns; i++) {
        fputs(i > 0 ? "," : "", out);
        print_csv_text(sqlite3_column_name(statement, i), out);
    }
    fputs("\r\n", out);
    int status;
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < columns; i++) {
            fputs(i > 0 ? "," : "", out);
            switch (sqlite3_column_type(statement, i)) {
            case SQLITE_NULL:
                break;
            case SQLITE_BLOB:
                print_hex(sqlite3_column_blob(statement, i), sqlite3_column_bytes(statement, i),
                          out);
                break;
            case SQLITE_TEXT:
                print_csv_text((const char *)sqlite3_column_text(statement, i), out);
                break;
            default:
                print_number(statement, i, out);
                break;
            }
        }
        fputs("\r\n", out);
    }
    return status == SQLITE_DONE;
}

static void print_json_text(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char letter = (unsigned char)*text;
        if (letter == '"' || letter == '\\') {
            fprintf(out, "\\%c", letter);
        } else if (letter < 0x20 || letter == 0x7f) {
            fprintf(out, "\\u%04x", letter);
        } else {
            fputc(letter, out);
        }
    }
    fputc('"', out);
}

static void print_json_value(sqlite3_stmt *statement, int column, FILE *out)
{
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL:
        fputs("null", out);
        break;
    case SQLITE_BLOB:
        fputc('"', out);
        print_hex(sqlite3_column_blob(statement, column), sqlite3_column_bytes(statement, column),
                  out);
        fputc('"', out);
        break;
    case SQLITE_TEXT:
        print_json_text((const char *)sqlite3_column_text(statement, column), out);
        break;
    default:
        print_number(statement, column, out);
        break;
    }
}

/* One object per line; in an array, with commas and brackets around. */
static bool print_objects(sqlite3_stmt *statement, bool is_array, FILE *out)
{
    fputs(is_array ? "[" : "", out);
    bool is_first = true;
    int status;
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        fputs(is_array ? (is_first ? "\n{" : ",\n{") : "{", out);
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            fputs(i > 0 ? "," : "", out);
            print_json_text(sqlite3_column_name(statement, i), out);
            fputc(':', out);
            print_json_value(statement, i, out);
        }
        fputs(is_array ? "}" : "}\n", out);
        is_first = false;
    }
    fputs(is_array ? "\n]\n" : "", out);
    return status == SQLITE_DONE;
}
