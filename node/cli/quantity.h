/* quantity.h - numbers with units, exactly.
 *
 * "1.5h" is read as the integer 15, one decimal and the factor of the unit, all in integers, so no
 * rounding can differ between machines; what is finer than the base unit is refused, not rounded.
 *
 *      "250ms" -> quantity_parse -> 250000 (us) -> quantity_format -> "250000us"
 */
#ifndef NODE_CLI_QUANTITY_H
#define NODE_CLI_QUANTITY_H

#include <stdint.h>

enum quantity_kind {
    QUANTITY_DURATION,  /* us: us ms s m h d */
    QUANTITY_BYTES,     /* B: B KiB MiB GiB */
    QUANTITY_BANDWIDTH, /* bit/s: bit/s kbit/s Mbit/s Gbit/s, decimal as line rates are */
    QUANTITY_RATE       /* events per second: /s /min /h */
};

enum quantity_verdict {
    QUANTITY_OK,
    QUANTITY_MALFORMED, /* does not begin with a decimal number */
    QUANTITY_NO_UNIT,
    QUANTITY_UNKNOWN_UNIT,
    QUANTITY_TOO_FINE, /* not a whole number of base units */
    QUANTITY_TOO_LARGE
};

/* Everything but rates, into the base unit. */
enum quantity_verdict quantity_parse(enum quantity_kind kind, const char *text, uint64_t *value);
enum quantity_verdict quantity_parse_rate(const char *text, double *per_s);

/* "us", "B", "bit/s", "/s": what quantity_format writes behind the number. */
const char *quantity_base_unit(enum quantity_kind kind);
/* "us, ms, s, m, h, d": for messages; and an example value. */
const char *quantity_unit_list(enum quantity_kind kind);
const char *quantity_example(enum quantity_kind kind);
/* The units as alternatives of a regular expression: "us|ms|s|m|h|d". */
const char *quantity_unit_pattern(enum quantity_kind kind);

/* A limit for people: the largest unit that needs no decimals ("10m", "1KiB"); heap. */
char *quantity_format_short(enum quantity_kind kind, uint64_t value);
char *quantity_format(enum quantity_kind kind, uint64_t value);
char *quantity_format_rate(double per_s);

#endif /* NODE_CLI_QUANTITY_H */
