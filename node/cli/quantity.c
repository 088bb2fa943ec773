/* quantity.c - the units and the exact arithmetic behind them. */
#include "node/cli/quantity.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"

#define UNITS_MAX  6
#define DIGITS_MAX 18 /* 10^18 fits 64 bits, and times a day in microseconds fits 128 */

struct unit {
    const char *name;
    uint64_t factor; /* of the base unit; for rates, seconds per unit of time */
};

struct units {
    struct unit units[UNITS_MAX]; /* smallest first */
    const char *list;
    const char *pattern;
    const char *example;
    const char *base;
};

static const struct units kinds[] = {
    [QUANTITY_DURATION] = {{{"us", 1},
                            {"ms", 1000},
                            {"s", 1000000},
                            {"m", 60000000},
                            {"h", 3600000000},
                            {"d", 86400000000}},
                           "us, ms, s, m, h, d",
                           "us|ms|s|m|h|d",
                           "250ms",
                           "us"},
    [QUANTITY_BYTES] = {{{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}},
                        "B, KiB, MiB, GiB",
                        "B|KiB|MiB|GiB",
                        "256KiB",
                        "B"},
    [QUANTITY_BANDWIDTH] =
        {{{"bit/s", 1}, {"kbit/s", 1000}, {"Mbit/s", 1000000}, {"Gbit/s", 1000000000}},
         "bit/s, kbit/s, Mbit/s, Gbit/s",
         "bit/s|kbit/s|Mbit/s|Gbit/s",
         "20Mbit/s",
         "bit/s"},
    [QUANTITY_RATE] =
        {{{"/s", 1}, {"/min", 60}, {"/h", 3600}}, "/s, /min, /h", "/s|/min|/h", "0.5/min", "/s"},
};

/* How a quantity is written: so many digits before the point and behind it, then a unit. */
struct shape {
    size_t whole;
    size_t decimals;
    uint64_t factor;
};

static enum quantity_verdict shape_read(enum quantity_kind kind, const char *text,
                                        struct shape *shape);

enum quantity_verdict quantity_parse(enum quantity_kind kind, const char *text, uint64_t *value)
{
    must(kind != QUANTITY_RATE);
    struct shape shape;
    enum quantity_verdict verdict = shape_read(kind, text, &shape);
    if (verdict != QUANTITY_OK) {
        return verdict;
    }
    if (shape.whole + shape.decimals > DIGITS_MAX) {
        return shape.whole > DIGITS_MAX ? QUANTITY_TOO_LARGE : QUANTITY_TOO_FINE;
    }
    uint64_t digits = 0;
    uint64_t divisor = 1;
    size_t len = shape.whole + (shape.decimals > 0 ? shape.decimals + 1 : 0);
    for (size_t i = 0; i < len; i++) {
        if (i != shape.whole) { /* the point */
            digits = digits * 10 + (uint64_t)(text[i] - '0');
            divisor *= i > shape.whole ? 10 : 1;
        }
    }
    unsigned __int128 product = (unsigned __int128)digits * shape.factor;
    if (product % divisor != 0) {
        return QUANTITY_TOO_FINE;
    }
    if (product / divisor > UINT64_MAX) {
        return QUANTITY_TOO_LARGE;
    }
    *value = (uint64_t)(product / divisor);
    return QUANTITY_OK;
}

/* A rate has no smallest step, so it is a double: two correctly rounded operations, the same on
 * every machine. */
enum quantity_verdict quantity_parse_rate(const char *text, double *per_s)
{
    struct shape shape;
    enum quantity_verdict verdict = shape_read(QUANTITY_RATE, text, &shape);
    if (verdict != QUANTITY_OK) {
        return verdict;
    }
    *per_s = strtod(text, NULL) / (double)shape.factor;
    return shape.whole > DIGITS_MAX ? QUANTITY_TOO_LARGE : QUANTITY_OK;
}

const char *quantity_base_unit(enum quantity_kind kind)
{
    return kinds[kind].base;
}

const char *quantity_unit_list(enum quantity_kind kind)
{
    return kinds[kind].list;
}

const char *quantity_example(enum quantity_kind kind)
{
    return kinds[kind].example;
}

const char *quantity_unit_pattern(enum quantity_kind kind)
{
    return kinds[kind].pattern;
}

char *quantity_format_short(enum quantity_kind kind, uint64_t value)
{
    const struct unit *best = &kinds[kind].units[0];
    for (size_t i = 1; i < UNITS_MAX && kinds[kind].units[i].name != NULL; i++) {
        if (value != 0 && value % kinds[kind].units[i].factor == 0) {
            best = &kinds[kind].units[i];
        }
    }
    return text_format("%llu%s", (unsigned long long)(value / best->factor), best->name);
}

char *quantity_format(enum quantity_kind kind, uint64_t value)
{
    return text_format("%llu%s", (unsigned long long)value, kinds[kind].base);
}

char *quantity_format_rate(double per_s)
{
    char number[TEXT_DOUBLE_SIZE];
    text_double(per_s, number);
    return text_format("%s/s", number);
}

static enum quantity_verdict shape_read(enum quantity_kind kind, const char *text,
                                        struct shape *shape)
{
    size_t whole = strspn(text, "0123456789");
    size_t decimals = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
    if (whole == 0 || (text[whole] == '.' && decimals == 0)) {
        return QUANTITY_MALFORMED;
    }
    *shape = (struct shape){.whole = whole, .decimals = decimals};
    const char *unit = text + whole + (decimals > 0 ? decimals + 1 : 0);
    if (*unit == '\0') {
        return QUANTITY_NO_UNIT;
    }
    for (size_t i = 0; i < UNITS_MAX && kinds[kind].units[i].name != NULL; i++) {
        if (strcmp(kinds[kind].units[i].name, unit) == 0) {
            shape->factor = kinds[kind].units[i].factor;
            return QUANTITY_OK;
        }
    }
    return QUANTITY_UNKNOWN_UNIT;
}
