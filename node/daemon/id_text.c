/* id_text.c - digits to bytes and back. */
#include "node/daemon/id_text.h"

#include <string.h>

static int digit(char letter)
{
    static const char digits[] = "0123456789abcdef";
    char lower = letter >= 'A' && letter <= 'F' ? (char)(letter - 'A' + 'a') : letter;
    const char *at = lower != '\0' ? strchr(digits, lower) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

void id_format(const struct node_id *id, char text[ID_TEXT_SIZE])
{
    hex_format(id->bytes, NODE_ID_LEN, text);
}

bool id_prefix_parse(const char *text, struct id_prefix *prefix)
{
    *prefix = (struct id_prefix){0};
    for (; text[prefix->digits] != '\0'; prefix->digits++) {
        int value = digit(text[prefix->digits]);
        if (value < 0 || prefix->digits == (size_t)2 * NODE_ID_LEN) {
            return false;
        }
        uint8_t *byte = &prefix->id.bytes[prefix->digits / 2];
        *byte = (uint8_t)(*byte | (prefix->digits % 2 == 0 ? value * 16 : value));
    }
    return prefix->digits > 0;
}

bool id_prefix_matches(const struct id_prefix *prefix, const struct node_id *id)
{
    size_t whole = prefix->digits / 2;
    if (memcmp(prefix->id.bytes, id->bytes, whole) != 0) {
        return false;
    }
    return prefix->digits % 2 == 0 || prefix->id.bytes[whole] == (id->bytes[whole] & 0xf0);
}

bool hex_parse(const char *text, uint8_t *bytes, size_t cap, size_t *len)
{
    for (*len = 0; text[2 * *len] != '\0'; (*len)++) {
        int high = digit(text[2 * *len]);
        int low = high >= 0 ? digit(text[2 * *len + 1]) : -1;
        if (low < 0 || *len == cap) {
            return false;
        }
        bytes[*len] = (uint8_t)(high * 16 + low);
    }
    return true;
}

void hex_format(const uint8_t *bytes, size_t len, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] / 16];
        text[2 * i + 1] = digits[bytes[i] % 16];
    }
    text[2 * len] = '\0';
}

/* How many bytes the sequence at `bytes` has; 0 when it is none: overlong, a surrogate, too high,
 * cut off (RFC 3629 section 4). */
static size_t sequence_len(const uint8_t *bytes, size_t len)
{
    static const struct {
        uint8_t first_min, first_max, second_min, second_max;
        size_t len;
    } rows[] = {
        {0xc2, 0xc2, 0xa0, 0xbf, 2}, /* Below lie the control characters of ISO 6429. */
        {0xc3, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (bytes[0] < rows[i].first_min || bytes[0] > rows[i].first_max) {
            continue;
        }
        if (len < rows[i].len || bytes[1] < rows[i].second_min || bytes[1] > rows[i].second_max) {
            return 0;
        }
        for (size_t j = 2; j < rows[i].len; j++) {
            if (bytes[j] < 0x80 || bytes[j] > 0xbf) {
                return 0;
            }
        }
        return rows[i].len;
    }
    return 0;
}

bool text_is_printable(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t step = 1;
        if (bytes[i] >= 0x80) {
            step = sequence_len(bytes + i, len - i);
        } else if ((bytes[i] < 0x20 && bytes[i] != '\t' && bytes[i] != '\n') || bytes[i] == 0x7f) {
            step = 0;
        }
        if (step == 0) {
            return false;
        }
        i += step;
    }
    return true;
}
