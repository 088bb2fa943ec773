/* exposition.c - lines of metrics in either format, and which one a client wants. */
#include "node/edge/exposition.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Behind the name of a family, on its samples. */
static const char *const endings[] = {[EXPOSITION_GAUGE] = "",
                                      [EXPOSITION_COUNTER] = "_total",
                                      [EXPOSITION_INFO] = "_info",
                                      [EXPOSITION_SUMMARY] = ""};

static int quality(const char *accept, const char *type);
static int range_quality(const char *range, size_t len);
static void sample(struct exposition *exposition, const char *value, const char *labels,
                   va_list arguments);

bool exposition_is_openmetrics(const char *accept)
{
    if (accept == NULL) {
        return false;
    }
    int openmetrics = quality(accept, "application/openmetrics-text");
    int text = quality(accept, "text/plain");
    return openmetrics > text; /* What takes anything, as curl does, gets text. */
}

const char *exposition_content_type(bool is_openmetrics)
{
    return is_openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                          : "text/plain; version=0.0.4; charset=utf-8";
}

void exposition_family(struct exposition *exposition, const char *name, enum exposition_type type,
                       const char *help)
{
    static const char *const types[] = {[EXPOSITION_GAUGE] = "gauge",
                                        [EXPOSITION_COUNTER] = "counter",
                                        [EXPOSITION_INFO] = "info",
                                        [EXPOSITION_SUMMARY] = "summary"};
    exposition->name = name;
    exposition->type = type;
    const char *ending = exposition->is_openmetrics ? "" : endings[type];
    const char *type_text = type == EXPOSITION_INFO && !exposition->is_openmetrics
                                ? types[EXPOSITION_GAUGE] /* 0.0.4 knows no info. */
                                : types[type];
    text_add(exposition->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, ending, help, name, ending,
             type_text);
}

void exposition_count(struct exposition *exposition, uint64_t value, const char *labels, ...)
{
    char *text = text_format("%llu", (unsigned long long)value);
    va_list arguments;
    va_start(arguments, labels);
    sample(exposition, text, labels, arguments);
    va_end(arguments);
    free(text);
}

void exposition_number(struct exposition *exposition, double value, const char *labels, ...)
{
    char text[TEXT_DOUBLE_SIZE];
    text_double(value, text);
    va_list arguments;
    va_start(arguments, labels);
    sample(exposition, text, labels, arguments);
    va_end(arguments);
}

void exposition_end(struct exposition *exposition)
{
    if (exposition->is_openmetrics) {
        text_add(exposition->out, "# EOF\n");
    }
}

/* Thousandths for `type`, from the range that names it most exactly; 0: not acceptable. */
static int quality(const char *accept, const char *type)
{
    size_t major_len = strcspn(type, "/") + 1;
    int best = 0;
    int exactness_best = 0;
    while (*accept != '\0') {
        accept += strspn(accept, " \t,");
        size_t len = strcspn(accept, ",");
        size_t name_len = strcspn(accept, "; \t,");
        int exactness = 0;
        if (name_len == strlen(type) && strncasecmp(accept, type, name_len) == 0) {
            exactness = 3;
        } else if (name_len == major_len + 1 && accept[major_len] == '*' &&
                   strncasecmp(accept, type, major_len) == 0) {
            exactness = 2;
        } else if (name_len == 3 && strncmp(accept, "*/*", 3) == 0) {
            exactness = 1;
        }
        if (exactness > exactness_best) {
            exactness_best = exactness;
            best = range_quality(accept, len);
        }
        accept += len;
    }
    return best;
}

/* The q of "text/plain; version=0.0.4; q=0.5", in thousandths. */
static int range_quality(const char *range, size_t len)
{
    for (size_t i = 0; i + 2 < len; i++) {
        bool is_parameter = i > 0 && (range[i - 1] == ';' || range[i - 1] == ' ');
        if (is_parameter && tolower((unsigned char)range[i]) == 'q' && range[i + 1] == '=') {
            int value = range[i + 2] == '1' ? 1000 : 0;
            size_t at = i + 4; /* Behind "q=0." */
            for (int place = 100; value < 1000 && place > 0 && at < len; place /= 10, at++) {
                value += isdigit((unsigned char)range[at]) ? (range[at] - '0') * place : 0;
            }
            return value;
        }
    }
    return 1000;
}

static void sample(struct exposition *exposition, const char *value, const char *labels,
                   va_list arguments)
{
    text_add(exposition->out, "%s%s", exposition->name, endings[exposition->type]);
    if (labels != NULL) {
        char *text = text_format_list(labels, arguments);
        text_add(exposition->out, "{%s}", text);
        free(text);
    }
    text_add(exposition->out, " %s\n", value);
}
