/* test_id_text.c - prefixes of ids, hexadecimal bytes, and what can be shown as text. */
#include <signal.h>
#include <string.h>

#include <criterion/criterion.h>

#include "node/daemon/id_text.h"

static const struct node_id id = {{0x3f, 0xa2, 0xc0, 0x1b, [19] = 0x5e}};

Test(id_text, format_and_parse_are_inverse)
{
    char text[ID_TEXT_SIZE];
    struct id_prefix prefix;
    id_format(&id, text);
    cr_assert_str_eq(text, "3fa2c01b0000000000000000000000000000005e");
    cr_assert(id_prefix_parse(text, &prefix));
    cr_expect_eq(prefix.digits, 2 * NODE_ID_LEN);
    cr_expect(node_id_equal(&prefix.id, &id));
}

Test(id_text, prefix_matches_by_digit_not_by_byte)
{
    static const struct {
        const char *text;
        bool matches;
    } rows[] = {{"3", true},  {"3f", true},  {"3FA", true},  {"3fa2", true},
                {"4", false}, {"3e", false}, {"3fb", false}, {"3fa3", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct id_prefix prefix;
        cr_assert(id_prefix_parse(rows[i].text, &prefix), "%s", rows[i].text);
        cr_expect_eq(id_prefix_matches(&prefix, &id), rows[i].matches, "%s", rows[i].text);
    }
}

Test(id_text, no_digits_too_many_or_others_are_no_prefix)
{
    struct id_prefix prefix;
    cr_expect_not(id_prefix_parse("", &prefix));
    cr_expect_not(id_prefix_parse("3g", &prefix));
    cr_expect_not(id_prefix_parse("3f ", &prefix));
    cr_expect_not(id_prefix_parse("3fa2c01b0000000000000000000000000000005e0", &prefix));
}

Test(id_text, hex_takes_whole_bytes_only)
{
    uint8_t bytes[3];
    size_t len;
    cr_assert(hex_parse("00fFa5", bytes, sizeof bytes, &len));
    cr_expect_eq(len, 3);
    cr_expect(memcmp(bytes, "\x00\xff\xa5", 3) == 0);
    cr_assert(hex_parse("", bytes, sizeof bytes, &len));
    cr_expect_eq(len, 0);
    cr_expect_not(hex_parse("0", bytes, sizeof bytes, &len));
    cr_expect_not(hex_parse("0x00", bytes, sizeof bytes, &len));
    cr_expect_not(hex_parse("00112233", bytes, sizeof bytes, &len), "longer than the buffer");
}

static void expect_printable(const char *bytes, size_t len, bool expected)
{
    cr_expect_eq(text_is_printable((const uint8_t *)bytes, len), expected, "first byte %02x",
                 (unsigned char)bytes[0]);
}

/* What a terminal would obey must never be shown as text. */
Test(id_text, control_characters_and_broken_utf8_are_not_printable)
{
    expect_printable("hello\tworld\n", 12, true);
    expect_printable("gr\xc3\xbc\xc3\x9f", 6, true);
    expect_printable("\xe2\x82\xac", 3, true);
    expect_printable("\xf0\x9f\x8c\x8d", 4, true);
    expect_printable("", 0, true);
    expect_printable("\x1b[2J", 4, false);
    expect_printable("\x7f", 1, false);
    expect_printable("\0", 1, false);
    expect_printable("\xc2\x9b", 2, false);         /* CSI of ISO 6429, one character. */
    expect_printable("\xc0\xaf", 2, false);         /* Overlong. */
    expect_printable("\xed\xa0\x80", 3, false);     /* A surrogate. */
    expect_printable("\xf4\x90\x80\x80", 4, false); /* Above U+10FFFF. */
    expect_printable("\xe2\x82", 2, false);         /* Cut off. */
    expect_printable("\x80", 1, false);
}
