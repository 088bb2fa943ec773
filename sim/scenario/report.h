/* report.h - what is wrong with a scenario file: collected, then printed in one go.
 *
 * Whoever checks adds complaints with a code, a byte range of the file and a JSON pointer; nothing
 * stops at the first. Codes are stable and explained by report_explain (`meshtwin explain MT0103`).
 * The report keeps the file's text, because a complaint is printed with its source line.
 *
 *      json.c, parse.c, relation.c, threshold.c -> report_add -> scenario_report_print -> stderr
 */
#ifndef SIM_SCENARIO_REPORT_H
#define SIM_SCENARIO_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define REPORT_ITEMS_MAX 20 /* kept and printed; further ones are only counted */

/* X(number, severity, title): the long texts are in report_codes.c, one per row. */
#define REPORT_CODES(X)                                                                            \
    X(0001, ERROR, "the file cannot be read")                                                      \
    X(0002, ERROR, "the file is too large")                                                        \
    X(0003, ERROR, "the file is empty")                                                            \
    X(0004, ERROR, "byte order mark")                                                              \
    X(0005, ERROR, "not UTF-8")                                                                    \
    X(0006, ERROR, "control character")                                                            \
    X(0007, ERROR, "unterminated string or comment")                                               \
    X(0008, ERROR, "bad escape in a string")                                                       \
    X(0009, ERROR, "the file ends too early")                                                      \
    X(0010, ERROR, "trailing comma")                                                               \
    X(0011, ERROR, "unexpected character")                                                         \
    X(0012, ERROR, "duplicate key")                                                                \
    X(0013, ERROR, "malformed number")                                                             \
    X(0014, ERROR, "number out of range")                                                          \
    X(0015, ERROR, "integer above 2^53")                                                           \
    X(0016, ERROR, "nested too deeply")                                                            \
    X(0017, ERROR, "not a JSON literal")                                                           \
    X(0018, ERROR, "wrong or missing quotes")                                                      \
    X(0019, ERROR, "text after the end")                                                           \
    X(0020, ERROR, "too many values")                                                              \
    X(0101, ERROR, "unknown key")                                                                  \
    X(0102, ERROR, "missing key")                                                                  \
    X(0103, ERROR, "unknown name")                                                                 \
    X(0104, ERROR, "wrong type")                                                                   \
    X(0105, ERROR, "wrong or missing unit")                                                        \
    X(0106, ERROR, "out of range")                                                                 \
    X(0107, ERROR, "finer than the base unit")                                                     \
    X(0108, ERROR, "key has no meaning here")                                                      \
    X(0109, ERROR, "malformed name")                                                               \
    X(0110, ERROR, "malformed seed")                                                               \
    X(0111, ERROR, "keys exclude each other")                                                      \
    X(0112, ERROR, "empty list")                                                                   \
    X(0201, ERROR, "unknown group")                                                                \
    X(0202, ERROR, "unknown region")                                                               \
    X(0203, ERROR, "a named file cannot be read")                                                  \
    X(0204, WARNING, "shares do not sum to 1")                                                     \
    X(0205, ERROR, "shares are far from 1")                                                        \
    X(0206, ERROR, "duplicate name")                                                               \
    X(0207, ERROR, "times contradict each other")                                                  \
    X(0208, ERROR, "malformed table file")                                                         \
    X(0209, ERROR, "incomplete or contradictory matrix")                                           \
    X(0210, ERROR, "values contradict each other")                                                 \
    X(0211, WARNING, "key without effect")                                                         \
    X(0301, ERROR, "unknown metric")                                                               \
    X(0302, ERROR, "malformed threshold")                                                          \
    X(0303, ERROR, "unit does not fit the metric")                                                 \
    X(0401, ERROR, "malformed override")                                                           \
    X(0402, ERROR, "override leads nowhere")

enum report_code {
#define REPORT_ENUM(number, severity, title) REPORT_MT##number,
    REPORT_CODES(REPORT_ENUM)
#undef REPORT_ENUM
        REPORT_CODE_COUNT
};

enum report_severity { REPORT_ERROR, REPORT_WARNING };
enum report_format { REPORT_HUMAN, REPORT_JSON, REPORT_GITHUB };

struct report_item {
    enum report_code code;
    char *message;
    char *help;       /* "did you mean ...", or NULL */
    char *pointer;    /* "" for the whole document; NULL where syntax leaves none */
    char *where;      /* the --set that brought the value, or the table file; NULL: the scenario */
    uint32_t line;    /* 1-based; 0 when the complaint has no line */
    uint32_t column;  /* 1-based, in characters */
    size_t line_from; /* byte range of the source line and the part to underline */
    size_t line_to;
    size_t from;
    size_t to;
};

struct scenario_report {
    char *path; /* as the user wrote it */
    char *text; /* the file, for source lines */
    size_t len;
    struct report_item items[REPORT_ITEMS_MAX];
    uint32_t item_count;
    uint32_t error_count; /* all of them, kept or not */
    uint32_t warning_count;
};

/* Zero is a valid empty report; this states it. */
void scenario_report_init(struct scenario_report *report);
void scenario_report_free(struct scenario_report *report);

/* Where a complaint points: a byte range of the scenario's text (from < to, or both 0 for none), or
 * line and column of another file or an override named by `where`. */
struct report_place {
    size_t from;
    size_t to;
    const char *pointer; /* or NULL */
    const char *where;   /* or NULL: the scenario file itself */
    uint32_t line;       /* with `where` only */
    uint32_t column;
};

/* For checkers. Takes `message` and `help` (which may be NULL) over; both come from the heap. */
void report_add(struct scenario_report *report, enum report_code code,
                const struct report_place *place, char *message, char *help);

/* True when further complaints are only counted, so that nobody need work out their words. */
bool report_is_full(const struct scenario_report *report);

/* 1-based line and column (in characters) of byte `at` of a text. */
void report_locate(const char *text, size_t len, size_t at, uint32_t *line, uint32_t *column);

/* Human: GCC style with source line and caret, then a count. JSON: one object without a newline at
 * its end. GitHub: workflow commands. Nothing at all is printed for a clean human report. */
void scenario_report_print(const struct scenario_report *report, enum report_format format,
                           FILE *out);

enum report_severity report_severity(enum report_code code);
/* "MT0103" and its one-line title. */
const char *report_code_name(enum report_code code);
const char *report_code_title(enum report_code code);
/* The paragraphs behind a code: what it means, why it is refused, how to repair it. */
const char *report_code_text(enum report_code code);
/* Accepts "MT0103", "mt0103" and "103"; REPORT_CODE_COUNT when there is no such code. */
enum report_code report_code_find(const char *text);

#endif /* SIM_SCENARIO_REPORT_H */
