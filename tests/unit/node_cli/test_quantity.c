/* test_quantity.c - units, exactness, and the way back. */
#include <signal.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "node/cli/quantity.h"

static void expect_value(enum quantity_kind kind, const char *text, uint64_t expected)
{
    uint64_t value = 0;
    cr_expect_eq(quantity_parse(kind, text, &value), QUANTITY_OK, "%s", text);
    cr_expect_eq(value, expected, "%s: %llu", text, (unsigned long long)value);
}

static void expect_verdict(enum quantity_kind kind, const char *text,
                           enum quantity_verdict expected)
{
    uint64_t value;
    enum quantity_verdict verdict = quantity_parse(kind, text, &value);
    cr_expect_eq(verdict, expected, "%s: %d", text, verdict);
}

Test(scenario_quantity, every_unit_has_its_factor)
{
    expect_value(QUANTITY_DURATION, "1us", 1);
    expect_value(QUANTITY_DURATION, "1ms", 1000);
    expect_value(QUANTITY_DURATION, "1s", 1000000);
    expect_value(QUANTITY_DURATION, "1m", 60000000);
    expect_value(QUANTITY_DURATION, "1h", 3600000000);
    expect_value(QUANTITY_DURATION, "1d", 86400000000);
    expect_value(QUANTITY_BYTES, "1B", 1);
    expect_value(QUANTITY_BYTES, "1KiB", 1024);
    expect_value(QUANTITY_BYTES, "1MiB", 1048576);
    expect_value(QUANTITY_BYTES, "1GiB", 1073741824);
    expect_value(QUANTITY_BANDWIDTH, "1bit/s", 1);
    expect_value(QUANTITY_BANDWIDTH, "1kbit/s", 1000);
    expect_value(QUANTITY_BANDWIDTH, "1Mbit/s", 1000000);
    expect_value(QUANTITY_BANDWIDTH, "1Gbit/s", 1000000000);
}

Test(scenario_quantity, decimals_are_exact)
{
    expect_value(QUANTITY_DURATION, "0.1s", 100000);
    expect_value(QUANTITY_DURATION, "0.000001s", 1);
    expect_value(QUANTITY_DURATION, "1.000000h", 3600000000);
    expect_value(QUANTITY_DURATION, "2.345678s", 2345678);
    expect_value(QUANTITY_DURATION, "00.50d", 43200000000);
    expect_value(QUANTITY_BYTES, "1.5KiB", 1536);
    expect_value(QUANTITY_DURATION, "999999999999.999999s", 999999999999999999);
}

Test(scenario_quantity, what_is_finer_or_larger_than_an_integer_is_refused)
{
    expect_verdict(QUANTITY_DURATION, "0.5us", QUANTITY_TOO_FINE);
    expect_verdict(QUANTITY_DURATION, "0.0000001s", QUANTITY_TOO_FINE);
    expect_verdict(QUANTITY_BYTES, "0.3KiB", QUANTITY_TOO_FINE);
    expect_verdict(QUANTITY_DURATION, "0.1234567890123456789s", QUANTITY_TOO_FINE);
    expect_verdict(QUANTITY_DURATION, "999999999999999999d", QUANTITY_TOO_LARGE);
    expect_verdict(QUANTITY_DURATION, "1234567890123456789012s", QUANTITY_TOO_LARGE);
}

Test(scenario_quantity, only_number_and_unit_are_accepted)
{
    static const char *const malformed[] = {"",    "s",   "-1s",  "+1s", ".5s",
                                            "1.s", " 1s", "1,5s", "x"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        uint64_t value;
        enum quantity_verdict verdict = quantity_parse(QUANTITY_DURATION, malformed[i], &value);
        cr_expect(verdict == QUANTITY_MALFORMED || verdict == QUANTITY_UNKNOWN_UNIT, "%s",
                  malformed[i]);
    }
    expect_verdict(QUANTITY_DURATION, "1", QUANTITY_NO_UNIT);
    expect_verdict(QUANTITY_DURATION, "1.5", QUANTITY_NO_UNIT);
    expect_verdict(QUANTITY_DURATION, "1min", QUANTITY_UNKNOWN_UNIT);
    expect_verdict(QUANTITY_DURATION, "1S", QUANTITY_UNKNOWN_UNIT);
    expect_verdict(QUANTITY_DURATION, "1s ", QUANTITY_UNKNOWN_UNIT);
    expect_verdict(QUANTITY_DURATION, "1e3s", QUANTITY_UNKNOWN_UNIT);
    expect_verdict(QUANTITY_BYTES, "1KB", QUANTITY_UNKNOWN_UNIT);
    expect_verdict(QUANTITY_BANDWIDTH, "1MB/s", QUANTITY_UNKNOWN_UNIT);
}

Test(scenario_quantity, rates_are_per_second_and_survive_the_way_back)
{
    static const char *const rates[] = {"40/s", "0.2/min", "1/h", "0.001/h", "999999.9/s", "7/min"};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        double first = 0;
        double second = 0;
        cr_assert_eq(quantity_parse_rate(rates[i], &first), QUANTITY_OK);
        char *text = quantity_format_rate(first);
        cr_assert_eq(quantity_parse_rate(text, &second), QUANTITY_OK, "%s", text);
        cr_expect_eq(first, second, "%s -> %s", rates[i], text);
        free(text);
    }
    double per_s = 0;
    cr_expect_eq(quantity_parse_rate("30/min", &per_s), QUANTITY_OK);
    cr_expect_eq(per_s, 0.5);
    cr_expect_eq(quantity_parse_rate("30/m", &per_s), QUANTITY_UNKNOWN_UNIT);
    cr_expect_eq(quantity_parse_rate("30", &per_s), QUANTITY_NO_UNIT);
    cr_expect_eq(quantity_parse_rate("often", &per_s), QUANTITY_MALFORMED);
}

Test(scenario_quantity, limits_are_shown_in_the_largest_whole_unit)
{
    static const struct {
        enum quantity_kind kind;
        uint64_t value;
        const char *text;
    } limits[] = {{QUANTITY_DURATION, 0, "0us"},          {QUANTITY_DURATION, 1500, "1500us"},
                  {QUANTITY_DURATION, 86400000000, "1d"}, {QUANTITY_BYTES, 1 << 20, "1MiB"},
                  {QUANTITY_BYTES, 900, "900B"},          {QUANTITY_BANDWIDTH, 25000, "25kbit/s"}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        char *text = quantity_format_short(limits[i].kind, limits[i].value);
        cr_expect_str_eq(text, limits[i].text);
        free(text);
    }
}

Test(scenario_quantity, a_rate_is_no_integer_quantity, .signal = SIGABRT)
{
    uint64_t value;
    (void)quantity_parse(QUANTITY_RATE, "1/s", &value);
}
