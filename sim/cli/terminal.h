/* terminal.h - how to write for a person: colours, symbols, aligned columns, numbers with units.
 *
 * Meaning never hangs on colour or on a symbol alone. Output that is no terminal gets neither
 * colour nor cursor movement; outside UTF-8 symbols become ASCII.
 *
 *      isatty, NO_COLOR, CLICOLOR_FORCE, TERM, locale -> struct terminal -> terminal_* -> FILE
 */
#ifndef SIM_CLI_TERMINAL_H
#define SIM_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum terminal_color { TERMINAL_AUTO, TERMINAL_ALWAYS, TERMINAL_NEVER };
extern const char *const terminal_color_names[]; /* For options; NULL at the end. */

struct terminal {
    FILE *out;
    bool is_live; /* A person watches: lines may be rewritten. */
    bool has_color;
    bool has_utf8;
};
void terminal_open(struct terminal *terminal, FILE *out, enum terminal_color color);

enum terminal_style { TERMINAL_PLAIN, TERMINAL_GOOD, TERMINAL_BAD, TERMINAL_DIM, TERMINAL_STRONG };
/* "" without colours. */
const char *terminal_style(const struct terminal *terminal, enum terminal_style style);
const char *terminal_dot(const struct terminal *terminal); /* " · " between facts. */

/* Rows of cells, printed with aligned columns; numbers to the right. Cells are copied. */
struct grid {
    char **cells;
    size_t cell_count;
    size_t columns;
};
void grid_add(struct grid *grid, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first row is a heading when has_heading. Frees the grid. */
void grid_print(struct grid *grid, const struct terminal *terminal, const char *indent,
                bool has_heading);

#define TERMINAL_NUMBER_SIZE 32
/* A value of a metric as a person reads it: "182 ms", "98.7 %" stays "0.987", "12.3 KiB". */
void terminal_number(double value, const char *unit, char text[TERMINAL_NUMBER_SIZE]);
/* "18:40" or "1:02:03" of simulated or wall time. */
void terminal_time(uint64_t time_us, char text[TERMINAL_NUMBER_SIZE]);
/* "1.9 M", "482 k": a count with three digits. */
void terminal_count(double count, char text[TERMINAL_NUMBER_SIZE]);

#endif /* SIM_CLI_TERMINAL_H */
