/* terminal.c - what the other end of a stream can show, and how. */
#include "sim/cli/terminal.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/cli/text.h"

const char *const terminal_color_names[] = {"auto", "always", "never", NULL};

static bool is_set(const char *name);
static bool speaks_utf8(void);
static size_t columns_of(const char *text);
static bool is_numeric(const char *text);

void terminal_open(struct terminal *terminal, FILE *out, enum terminal_color color)
{
    const char *type = getenv("TERM");
    bool is_dumb = type != NULL && strcmp(type, "dumb") == 0;
    bool is_tty = isatty(fileno(out)) == 1;
    bool automatic = is_set("CLICOLOR_FORCE") || (is_tty && !is_dumb && !is_set("NO_COLOR"));
    *terminal = (struct terminal){
        .out = out,
        .is_live = is_tty && !is_dumb,
        .has_color = color == TERMINAL_ALWAYS || (color == TERMINAL_AUTO && automatic),
        .has_utf8 = speaks_utf8(),
    };
}

const char *terminal_style(const struct terminal *terminal, enum terminal_style style)
{
    static const char *const codes[] = {
        [TERMINAL_PLAIN] = "\033[0m", [TERMINAL_GOOD] = "\033[32m",  [TERMINAL_BAD] = "\033[31m",
        [TERMINAL_DIM] = "\033[2m",   [TERMINAL_STRONG] = "\033[1m",
    };
    return terminal->has_color ? codes[style] : "";
}

const char *terminal_dot(const struct terminal *terminal)
{
    return terminal->has_utf8 ? " \u00b7 " : " - ";
}

void grid_add(struct grid *grid, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    grid->cells = text_grow(grid->cells, grid->cell_count, sizeof *grid->cells);
    grid->cells[grid->cell_count++] = text_format_list(format, arguments);
    va_end(arguments);
}

/* Nothing is padded behind the last cell that says something. */
static void print_row(const struct terminal *terminal, size_t columns, const char *const *cells,
                      const size_t *widths, const bool *is_right, bool is_heading)
{
    while (columns > 1 && cells[columns - 1][0] == '\0') {
        columns--;
    }
    fputs(is_heading ? terminal_style(terminal, TERMINAL_DIM) : "", terminal->out);
    for (size_t i = 0; i < columns; i++) {
        int gap = (int)(widths[i] - columns_of(cells[i]));
        bool is_last = i + 1 == columns;
        fprintf(terminal->out, "%s%*s%s%*s", i > 0 ? "  " : "", is_right[i] ? gap : 0, "", cells[i],
                is_right[i] || is_last ? 0 : gap, "");
    }
    fprintf(terminal->out, "%s\n", is_heading ? terminal_style(terminal, TERMINAL_PLAIN) : "");
}

void grid_print(struct grid *grid, const struct terminal *terminal, const char *indent,
                bool has_heading)
{
    must(grid->columns > 0 && grid->cell_count % grid->columns == 0);

    size_t *widths = text_alloc(grid->columns, sizeof *widths);
    bool *is_right = text_alloc(grid->columns, sizeof *is_right);
    for (size_t column = 0; column < grid->columns; column++) {
        is_right[column] = grid->cell_count > grid->columns;
        for (size_t i = column; i < grid->cell_count; i += grid->columns) {
            size_t width = columns_of(grid->cells[i]);
            widths[column] = width > widths[column] ? width : widths[column];
            bool is_name = has_heading && i < grid->columns;
            is_right[column] = is_right[column] && (is_name || is_numeric(grid->cells[i]));
        }
    }
    for (size_t row = 0; row < grid->cell_count; row += grid->columns) {
        const char *const *cells = (const char *const *)&grid->cells[row];
        fputs(indent, terminal->out);
        print_row(terminal, grid->columns, cells, widths, is_right, has_heading && row == 0);
    }
    for (size_t i = 0; i < grid->cell_count; i++) {
        free(grid->cells[i]);
    }
    free(widths);
    free(is_right);
    free(grid->cells);
    *grid = (struct grid){0};
}

static void print_scaled(double value, const char *unit, char text[TERMINAL_NUMBER_SIZE])
{
    int decimals = fabs(value) >= 100 || value == floor(value) ? 0 : fabs(value) >= 10 ? 1 : 2;
    snprintf(text, TERMINAL_NUMBER_SIZE, "%.*f%s%s", decimals, value, unit[0] != '\0' ? " " : "",
             unit);
}

void terminal_number(double value, const char *unit, char text[TERMINAL_NUMBER_SIZE])
{
    if (isnan(value)) {
        snprintf(text, TERMINAL_NUMBER_SIZE, "-");
    } else if (strcmp(unit, "s") == 0) {
        bool is_short = fabs(value) < 1 && value != 0;
        print_scaled(is_short ? value * 1000 : value, is_short ? "ms" : "s", text);
    } else if (strcmp(unit, "bytes") == 0) {
        static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
        size_t step = 0;
        for (; fabs(value) >= 1024 && step < 4; step++) {
            value /= 1024;
        }
        print_scaled(value, units[step], text);
    } else if (strcmp(unit, "ratio") == 0) {
        snprintf(text, TERMINAL_NUMBER_SIZE, "%.4g", value);
    } else if (fabs(value) >= 100000) {
        terminal_count(value, text);
    } else {
        print_scaled(value, "", text);
    }
}

void terminal_time(uint64_t time_us, char text[TERMINAL_NUMBER_SIZE])
{
    unsigned long long seconds = time_us / 1000000;
    if (seconds < 3600) {
        snprintf(text, TERMINAL_NUMBER_SIZE, "%02llu:%02llu", seconds / 60, seconds % 60);
    } else {
        snprintf(text, TERMINAL_NUMBER_SIZE, "%llu:%02llu:%02llu", seconds / 3600,
                 seconds / 60 % 60, seconds % 60);
    }
}

void terminal_count(double count, char text[TERMINAL_NUMBER_SIZE])
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    size_t step = 0;
    for (; fabs(count) >= 1000 && step < 4; step++) {
        count /= 1000;
    }
    print_scaled(count, units[step], text);
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' && strcmp(value, "0") != 0;
}

/* By the names POSIX gives precedence: LC_ALL, LC_CTYPE, LANG. */
static bool speaks_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0') {
            return strstr(value, "UTF-8") != NULL || strstr(value, "utf8") != NULL;
        }
    }
    return false;
}

/* Characters, taking each for one column wide. */
static size_t columns_of(const char *text)
{
    size_t columns = 0;
    for (; *text != '\0'; text++) {
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return columns;
}

static bool is_numeric(const char *text)
{
    return text[0] == '\0' || isdigit((unsigned char)text[0]) ||
           (text[0] == '-' && (text[1] == '\0' || isdigit((unsigned char)text[1])));
}
