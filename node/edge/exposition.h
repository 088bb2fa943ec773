/* exposition.h - writes metrics as Prometheus reads them: text format 0.0.4, or OpenMetrics 1.0.
 *
 *      family(name, type, help), sample(labels, value) ... end -> text
 *
 * A family is named without "_total" or "_info": where those stand differs between the formats.
 * Labels are written as they are ("kind=\"ping\""), without anything that wants escaping.
 */
#ifndef NODE_EDGE_EXPOSITION_H
#define NODE_EDGE_EXPOSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "node/cli/text.h"

enum exposition_type {
    EXPOSITION_GAUGE,
    EXPOSITION_COUNTER,
    EXPOSITION_INFO,
    EXPOSITION_SUMMARY,
};

struct exposition {
    struct text *out;
    bool is_openmetrics;
    const char *name; /* Of the family that has been opened. */
    enum exposition_type type;
};

/* Whether a client would rather have OpenMetrics than the text format (RFC 9110 section 12.5.1);
 * NULL: no. */
bool exposition_is_openmetrics(const char *accept);
const char *exposition_content_type(bool is_openmetrics);

void exposition_family(struct exposition *exposition, const char *name, enum exposition_type type,
                       const char *help);
/* Labels: NULL for none. */
void exposition_count(struct exposition *exposition, uint64_t value, const char *labels, ...)
    __attribute__((format(printf, 3, 4)));
void exposition_number(struct exposition *exposition, double value, const char *labels, ...)
    __attribute__((format(printf, 3, 4)));
void exposition_end(struct exposition *exposition);

#endif /* NODE_EDGE_EXPOSITION_H */
