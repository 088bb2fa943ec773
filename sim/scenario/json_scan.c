/* json_scan.c - walks the bytes of a JSON text once, complaining with a repair for each slip. */
#include "sim/scenario/json_scan.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"

#define NUMBER_LEN_MAX 60 /* cJSON copies a number into 64 bytes and cuts off the rest */

struct scanner {
    struct json_document *document;
    struct scenario_report *report;
    const char *text;
    size_t len;
    size_t at;
    char *blanked;
    uint32_t place; /* the value being scanned, JSON_NO_PLACE between them */
    uint32_t depth;
    const char *key; /* of the member whose value comes next, with its byte range */
    size_t key_from;
    size_t key_to;
    size_t keys_used;
    bool is_stopped;
};

static bool utf8_check(struct scanner *scanner);
static size_t utf8_len(const unsigned char *bytes, size_t len);
static void mark_skip(struct scanner *scanner);
static void space_skip(struct scanner *scanner);
static void comment_skip(struct scanner *scanner);
static void value_scan(struct scanner *scanner);
static uint32_t place_open(struct scanner *scanner);
static void container_scan(struct scanner *scanner, char close);
static bool comma_scan(struct scanner *scanner, char close);
static void member_scan(struct scanner *scanner);
static void key_scan(struct scanner *scanner);
static void key_note(struct scanner *scanner, size_t from, size_t to);
static void duplicates_check(struct scanner *scanner, uint32_t object);
static int place_compare(const void *left, const void *right);
static void string_scan(struct scanner *scanner);
static void letter_scan(struct scanner *scanner, char quote);
static void escape_scan(struct scanner *scanner);
static bool unicode_escape_scan(const struct scanner *scanner, uint32_t *value);
static void word_scan(struct scanner *scanner);
static void number_check(struct scanner *scanner, size_t from, size_t to);
static const char *number_slip(const char *word, size_t len);
static void literal_complain(struct scanner *scanner, size_t from, size_t to);
static void unexpected(struct scanner *scanner, const char *expected);
static void complain(struct scanner *scanner, enum report_code code, size_t from, size_t to,
                     char *help, const char *format, ...) __attribute__((format(printf, 6, 7)));
static void patch(struct scanner *scanner, size_t from, size_t to, char first);
static char peek(const struct scanner *scanner);
static bool is_word(char letter);

bool json_scan(struct json_document *document, const char *text, size_t len, char *blanked,
               struct scenario_report *report)
{
    struct scanner scanner = {.document = document,
                              .report = report,
                              .text = text,
                              .len = len,
                              .blanked = blanked,
                              .place = JSON_NO_PLACE};
    document->keys = text_alloc(len + 1, 1);
    mark_skip(&scanner);
    if (!utf8_check(&scanner)) {
        return false;
    }
    space_skip(&scanner);
    if (!scanner.is_stopped && scanner.at == len) {
        complain(&scanner, REPORT_MT0003, 0, 0, NULL, "the file is empty: it must hold one object");
        return false;
    }
    value_scan(&scanner);
    space_skip(&scanner);
    if (!scanner.is_stopped && scanner.at < len) {
        complain(&scanner, REPORT_MT0019, scanner.at, scanner.at + 1,
                 text_format("one file holds one value; is there a closing bracket too many?"),
                 "text after the end of the document");
        patch(&scanner, scanner.at, len, ' ');
    }
    return !scanner.is_stopped;
}

static bool utf8_check(struct scanner *scanner)
{
    const unsigned char *bytes = (const unsigned char *)scanner->text;
    size_t at = scanner->at;
    while (at < scanner->len) {
        size_t width = utf8_len(bytes + at, scanner->len - at);
        if (width == 0) {
            bool is_utf16 = at < 2 && (bytes[at] == 0xff || bytes[at] == 0xfe);
            complain(scanner, REPORT_MT0005, at, at + 1,
                     text_format(is_utf16 ? "this looks like UTF-16: save it as UTF-8"
                                          : "save the file as UTF-8"),
                     "byte 0x%02x is not valid UTF-8", bytes[at]);
            return false;
        }
        at += width;
    }
    return true;
}

/* The length of the UTF-8 sequence at `bytes`, 0 when it is none (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). */
static size_t utf8_len(const unsigned char *bytes, size_t len)
{
    unsigned char first = bytes[0];
    size_t width = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (width == 0 || first > 0xf4 || width > len) {
        return 0;
    }
    for (size_t i = 1; i < width; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool is_bad = (first == 0xe0 && bytes[1] < 0xa0) || (first == 0xed && bytes[1] >= 0xa0) ||
                  (first == 0xf0 && bytes[1] < 0x90) || (first == 0xf4 && bytes[1] >= 0x90);
    return is_bad ? 0 : width;
}

static void mark_skip(struct scanner *scanner)
{
    if (scanner->len >= 3 && memcmp(scanner->text, "\xef\xbb\xbf", 3) == 0) {
        complain(scanner, REPORT_MT0004, 0, 3, text_format("save the file as UTF-8 without BOM"),
                 "the file begins with a byte order mark");
        patch(scanner, 0, 3, ' ');
        scanner->at = 3;
    }
}

static void space_skip(struct scanner *scanner)
{
    while (scanner->at < scanner->len && !scanner->is_stopped) {
        char letter = scanner->text[scanner->at];
        if (letter == ' ' || letter == '\t' || letter == '\n' || letter == '\r') {
            scanner->at++;
        } else if (letter == '/') {
            comment_skip(scanner);
        } else {
            return;
        }
    }
}

static void comment_skip(struct scanner *scanner)
{
    const char *begin = scanner->text + scanner->at;
    size_t left = scanner->len - scanner->at;
    const char *end = NULL;
    if (left >= 2 && begin[1] == '/') {
        end = memchr(begin, '\n', left);
        end = end != NULL ? end : begin + left;
    } else if (left >= 2 && begin[1] == '*') {
        for (size_t i = 2; i + 1 < left && end == NULL; i++) {
            end = begin[i] == '*' && begin[i + 1] == '/' ? begin + i + 2 : NULL;
        }
        if (end == NULL) {
            complain(scanner, REPORT_MT0007, scanner->at, scanner->at + 2,
                     text_format("close it with */"), "this comment is never closed");
            scanner->is_stopped = true;
            return;
        }
    } else {
        complain(scanner, REPORT_MT0011, scanner->at, scanner->at + 1,
                 text_format("comments are // to the end of the line, or /* ... */"),
                 "a single '/'");
        scanner->is_stopped = true;
        return;
    }
    /* Line breaks stay, so that lines stay lines for whoever reads the blanked text. */
    for (const char *letter = begin; letter < end; letter++) {
        if (*letter != '\n' && *letter != '\r') {
            scanner->blanked[letter - scanner->text] = ' ';
        }
    }
    scanner->at = (size_t)(end - scanner->text);
}

/* Scans one value into a new place below the current one; a key was noted just before. */
static void value_scan(struct scanner *scanner)
{
    space_skip(scanner);
    if (scanner->is_stopped) {
        return;
    }
    uint32_t parent = scanner->place;
    scanner->place = place_open(scanner);
    char letter = peek(scanner);
    if (letter == '{' || letter == '[') {
        container_scan(scanner, letter == '{' ? '}' : ']');
    } else if (letter == '"' || letter == '\'') {
        string_scan(scanner);
    } else if (is_word(letter)) {
        word_scan(scanner);
    } else {
        unexpected(scanner, "a value");
    }
    scanner->document->places[scanner->place].to = (uint32_t)scanner->at;
    scanner->place = parent;
}

static uint32_t place_open(struct scanner *scanner)
{
    struct json_document *document = scanner->document;
    uint32_t self = document->place_count;
    if (self == JSON_VALUES_MAX) {
        complain(scanner, REPORT_MT0020, scanner->at, scanner->at + 1, NULL, "more than %u values",
                 JSON_VALUES_MAX);
        scanner->is_stopped = true;
        return self - 1;
    }
    document->places = text_grow(document->places, self, sizeof *document->places);
    document->places[self] = (struct json_place){.parent = scanner->place,
                                                 .first = JSON_NO_PLACE,
                                                 .last = JSON_NO_PLACE,
                                                 .next = JSON_NO_PLACE,
                                                 .key = scanner->key,
                                                 .key_from = (uint32_t)scanner->key_from,
                                                 .key_to = (uint32_t)scanner->key_to,
                                                 .from = (uint32_t)scanner->at,
                                                 .to = (uint32_t)scanner->at};
    document->place_count++;
    scanner->key = NULL;
    scanner->key_from = 0;
    scanner->key_to = 0;
    if (scanner->place == JSON_NO_PLACE) {
        return self;
    }
    struct json_place *parent = &document->places[scanner->place];
    if (parent->last == JSON_NO_PLACE) {
        parent->first = self;
    } else {
        document->places[parent->last].next = self;
        document->places[self].index = document->places[parent->last].index + 1;
    }
    parent->last = self;
    return self;
}

static void container_scan(struct scanner *scanner, char close)
{
    if (scanner->depth == JSON_DEPTH_MAX) {
        complain(scanner, REPORT_MT0016, scanner->at, scanner->at + 1, NULL,
                 "more than %d brackets inside each other", JSON_DEPTH_MAX);
        scanner->is_stopped = true;
        return;
    }
    scanner->depth++;
    uint32_t self = scanner->place;
    scanner->at++;
    space_skip(scanner);
    bool has_more = !scanner->is_stopped && peek(scanner) != close;
    while (has_more && !scanner->is_stopped) {
        if (close == '}') {
            member_scan(scanner);
        } else {
            value_scan(scanner);
        }
        has_more = comma_scan(scanner, close);
    }
    if (!scanner->is_stopped) {
        scanner->at++; /* the closing bracket */
        if (close == '}') {
            duplicates_check(scanner, self);
        }
    }
    scanner->depth--;
}

/* Behind an element: true when another follows, false at the closing bracket or after a slip. */
static bool comma_scan(struct scanner *scanner, char close)
{
    space_skip(scanner);
    if (scanner->is_stopped || peek(scanner) == close) {
        return false;
    }
    size_t comma = scanner->at;
    if (peek(scanner) != ',') {
        unexpected(scanner, close == '}' ? "',' or '}'" : "',' or ']'");
        return false;
    }
    scanner->at++;
    space_skip(scanner);
    if (scanner->is_stopped || peek(scanner) != close) {
        return !scanner->is_stopped;
    }
    complain(scanner, REPORT_MT0010, comma, comma + 1, text_format("remove this comma"),
             "trailing comma before '%c'", close);
    patch(scanner, comma, comma + 1, ' ');
    return false;
}

static void member_scan(struct scanner *scanner)
{
    size_t from = scanner->at;
    key_scan(scanner);
    size_t to = scanner->at;
    if (!scanner->is_stopped) {
        key_note(scanner, from, to);
        space_skip(scanner);
    }
    if (!scanner->is_stopped && peek(scanner) != ':') {
        unexpected(scanner, "':' between key and value");
    }
    if (!scanner->is_stopped) {
        scanner->at++;
        value_scan(scanner);
    }
}

static void key_scan(struct scanner *scanner)
{
    char letter = peek(scanner);
    if (letter == '"' || letter == '\'') {
        string_scan(scanner);
        return;
    }
    size_t from = scanner->at;
    if (!is_word(letter)) {
        unexpected(scanner, "a key in double quotes");
        return;
    }
    size_t to = from;
    while (to < scanner->len && is_word(scanner->text[to])) {
        to++;
    }
    complain(
        scanner, REPORT_MT0018, from, to,
        text_format("write \"%.*s\"", (int)(to - from < 40 ? to - from : 40), scanner->text + from),
        "keys need double quotes");
    scanner->is_stopped = true;
}

/* Decodes a key into the document's store. The patched text is decoded, because that is what the
 * tree will hold; cJSON itself does it, so the two cannot disagree. */
static void key_note(struct scanner *scanner, size_t from, size_t to)
{
    cJSON *decoded = cJSON_ParseWithLength(scanner->blanked + from, to - from);
    must(cJSON_IsString(decoded));
    size_t len = strlen(decoded->valuestring);
    must(scanner->keys_used + len <= scanner->len);
    scanner->key =
        memcpy(scanner->document->keys + scanner->keys_used, decoded->valuestring, len + 1);
    scanner->key_from = from;
    scanner->key_to = to;
    scanner->keys_used += len + 1;
    cJSON_Delete(decoded);
}

/* Sorted by key, equal ones are neighbours: a file with a million keys is still checked at once. */
static void duplicates_check(struct scanner *scanner, uint32_t object)
{
    const struct json_place *places = scanner->document->places;
    uint32_t last = places[object].last;
    if (last == JSON_NO_PLACE || places[last].index == 0) {
        return;
    }
    size_t count = (size_t)places[last].index + 1;
    const struct json_place **sorted = text_alloc(count, sizeof *sorted);
    size_t used = 0;
    for (uint32_t child = places[object].first; child != JSON_NO_PLACE;
         child = places[child].next) {
        sorted[used++] = &places[child];
    }
    qsort(sorted, count, sizeof *sorted, place_compare);
    uint32_t outer = scanner->place;
    for (size_t i = 1; i < count; i++) {
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0) {
            uint32_t line = 0;
            uint32_t column;
            if (!report_is_full(scanner->report)) {
                report_locate(scanner->text, scanner->len, sorted[i - 1]->key_from, &line, &column);
            }
            scanner->place = (uint32_t)(sorted[i] - places);
            complain(scanner, REPORT_MT0012, sorted[i]->key_from, sorted[i]->key_to,
                     text_format("remove one of the two"),
                     "key \"%s\" was already given in line %u", sorted[i]->key, line);
        }
    }
    scanner->place = outer;
    free(sorted);
}

static int place_compare(const void *left, const void *right)
{
    const struct json_place *first = *(const struct json_place *const *)left;
    const struct json_place *second = *(const struct json_place *const *)right;
    int order = strcmp(first->key, second->key);
    return order != 0 ? order : (first->index > second->index) - (first->index < second->index);
}

static void string_scan(struct scanner *scanner)
{
    size_t from = scanner->at;
    char quote = peek(scanner);
    scanner->at++;
    while (scanner->at < scanner->len && scanner->text[scanner->at] != quote &&
           scanner->text[scanner->at] != '\n') {
        letter_scan(scanner, quote);
    }
    if (scanner->at >= scanner->len || scanner->text[scanner->at] == '\n') {
        complain(scanner, REPORT_MT0007, from, from + 1,
                 text_format("a string ends in the line it begins in; write \\n for a line break"),
                 "this string is never closed");
        scanner->is_stopped = true;
        return;
    }
    scanner->at++;
    if (quote == '\'') {
        complain(scanner, REPORT_MT0018, from, scanner->at, text_format("use \"double quotes\""),
                 "strings need double quotes");
        scanner->blanked[from] = '"';
        scanner->blanked[scanner->at - 1] = '"';
    }
}

static void letter_scan(struct scanner *scanner, char quote)
{
    char letter = scanner->text[scanner->at];
    if (letter == '\\') {
        escape_scan(scanner);
        return;
    }
    if ((unsigned char)letter < 0x20) {
        complain(
            scanner, REPORT_MT0006, scanner->at, scanner->at + 1,
            text_format(letter == '\t' ? "write \\t" : "write it as \\u%04x", (unsigned)letter),
            "control character 0x%02x inside a string", (unsigned)letter);
        patch(scanner, scanner->at, scanner->at + 1, ' ');
    } else if (letter == '"' && quote == '\'') {
        patch(scanner, scanner->at, scanner->at + 1, ' ');
    }
    scanner->at++;
}

static void escape_scan(struct scanner *scanner)
{
    size_t from = scanner->at;
    char kind = from + 1 < scanner->len ? scanner->text[from + 1] : '\0';
    if (kind != '\0' && strchr("\"\\/bfnrt", kind) != NULL) {
        scanner->at += 2;
        return;
    }
    uint32_t value = 0;
    size_t width = 2;
    if (kind == 'u' && unicode_escape_scan(scanner, &value)) {
        width = 6;
        bool is_high = value >= 0xd800 && value < 0xdc00;
        uint32_t low = 0;
        struct scanner ahead = *scanner;
        ahead.at += 6;
        if (is_high && unicode_escape_scan(&ahead, &low) && low >= 0xdc00 && low < 0xe000) {
            scanner->at += 12;
            return;
        }
        if (value != 0 && (value < 0xd800 || value >= 0xe000)) {
            scanner->at += 6;
            return;
        }
    }
    if ((unsigned char)kind < 0x20 || (unsigned char)kind >= 0x80) {
        width = 1; /* what follows is judged on its own */
    }
    complain(scanner, REPORT_MT0008, from, from + width,
             text_format("JSON knows \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u0001 to \\uffff, "
                         "pairs for what lies above"),
             "bad escape \"%.*s\"", (int)width, scanner->text + from);
    patch(scanner, from, from + width, ' ');
    scanner->at += width;
}

/* Reads \uXXXX at the scanner's place without moving it. */
static bool unicode_escape_scan(const struct scanner *scanner, uint32_t *value)
{
    const char *text = scanner->text + scanner->at;
    if (scanner->at + 6 > scanner->len || text[0] != '\\' || text[1] != 'u') {
        return false;
    }
    *value = 0;
    for (int i = 2; i < 6; i++) {
        const char *digits = "0123456789abcdefABCDEF";
        const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;
        if (digit == NULL) {
            return false;
        }
        uint32_t nibble = (uint32_t)(digit - digits);
        *value = *value * 16 + (nibble < 16 ? nibble : nibble - 6);
    }
    return true;
}

/* A run of letters, digits, signs and dots: a literal, a number, or something to complain about. */
static void word_scan(struct scanner *scanner)
{
    size_t from = scanner->at;
    while (scanner->at < scanner->len && is_word(scanner->text[scanner->at])) {
        scanner->at++;
    }
    const char *word = scanner->text + from;
    size_t len = scanner->at - from;
    if ((len == 4 && (memcmp(word, "true", 4) == 0 || memcmp(word, "null", 4) == 0)) ||
        (len == 5 && memcmp(word, "false", 5) == 0)) {
        return;
    }
    bool is_signed = *word == '-' || *word == '+' || *word == '.';
    char first = is_signed && len > 1 ? word[1] : *word;
    if ((first >= '0' && first <= '9') || first == '.' || (is_signed && len == 1)) {
        number_check(scanner, from, scanner->at);
    } else {
        literal_complain(scanner, from, scanner->at);
    }
}

static void number_check(struct scanner *scanner, size_t from, size_t to)
{
    const char *word = scanner->text + from;
    const char *slip = number_slip(word, to - from);
    int shown = (int)(to - from < 40 ? to - from : 40);
    if (slip != NULL) {
        complain(scanner, REPORT_MT0013, from, to, text_format("%s", slip), "malformed number %.*s",
                 shown, word);
        patch(scanner, from, to, '0');
        return;
    }
    char *copy = text_copy(word, to - from);
    double value = strtod(copy, NULL);
    free(copy);
    if (isinf(value)) {
        complain(scanner, REPORT_MT0014, from, to, NULL, "number %.*s is too large for a double",
                 shown, word);
        patch(scanner, from, to, '0');
    } else if (fabs(value) > JSON_INTEGER_MAX) {
        complain(scanner, REPORT_MT0015, from, to,
                 text_format("write a 64-bit seed as a string: \"0x5EED0001\""),
                 "number %.*s is above 2^53 - 1 and would be rounded", shown, word);
        patch(scanner, from, to, '0');
    }
}

/* NULL for a number as RFC 8259 writes it, else how to repair it. */
static const char *number_slip(const char *word, size_t len)
{
    size_t at = *word == '-' ? 1 : 0;
    if (*word == '+') {
        return "leave the plus sign out";
    }
    if (at < len && word[at] == '.') {
        return "write a digit before the point: 0.5";
    }
    if (at + 1 < len && word[at] == '0' && (word[at + 1] == 'x' || word[at + 1] == 'X')) {
        return "hexadecimal is a string: \"0x5EED\"";
    }
    if (at + 1 < len && word[at] == '0' && word[at + 1] >= '0' && word[at + 1] <= '9') {
        return "remove the leading zero";
    }
    size_t digits = at;
    while (at < len && word[at] >= '0' && word[at] <= '9') {
        at++;
    }
    if (at == digits) {
        return "a number begins with a digit";
    }
    if (at < len && word[at] == '.') {
        size_t fraction = ++at;
        while (at < len && word[at] >= '0' && word[at] <= '9') {
            at++;
        }
        if (at == fraction) {
            return "write a digit behind the point: 5.0";
        }
    }
    if (at < len && (word[at] == 'e' || word[at] == 'E')) {
        at++;
        at += at < len && (word[at] == '+' || word[at] == '-') ? 1 : 0;
        size_t exponent = at;
        while (at < len && word[at] >= '0' && word[at] <= '9') {
            at++;
        }
        if (at == exponent) {
            return "the exponent has no digits";
        }
    }
    if (at == len && len > NUMBER_LEN_MAX) {
        return "no number needs so many digits";
    }
    return at == len ? NULL : "a quantity with a unit is a string: \"250ms\"";
}

static void literal_complain(struct scanner *scanner, size_t from, size_t to)
{
    static const char *const literals[] = {"true", "false", "null"};
    char *word = text_copy(scanner->text + from, to - from < 40 ? to - from : 40);
    const char *bare = *word == '-' || *word == '+' ? word + 1 : word;
    bool is_not_finite = strcmp(bare, "NaN") == 0 || strcmp(bare, "Infinity") == 0 ||
                         strcmp(bare, "nan") == 0 || strcmp(bare, "inf") == 0;
    const char *near = text_suggest(word, literals, 3);
    char *help = is_not_finite  ? text_format("leave the key out, or give a finite number")
                 : near != NULL ? text_format("did you mean %s?", near)
                                : text_format("a string needs double quotes: \"%s\"", word);
    complain(scanner, REPORT_MT0017, from, to, help, "%s is not a JSON value", word);
    patch(scanner, from, to, '0');
    free(word);
}

static void unexpected(struct scanner *scanner, const char *expected)
{
    char letter = peek(scanner);
    size_t at = scanner->at;
    if (at >= scanner->len) {
        uint32_t open = scanner->place;
        uint32_t line = 0;
        uint32_t column = 0;
        if (open != JSON_NO_PLACE && scanner->document->places[open].from == at) {
            open = scanner->document->places[open].parent; /* a value that never began */
        }
        char *help = NULL;
        if (open != JSON_NO_PLACE) {
            size_t from = scanner->document->places[open].from;
            report_locate(scanner->text, scanner->len, from, &line, &column);
            help = text_format("the '%c' of %u:%u is not closed: was the file cut off?",
                               scanner->text[from], line, column);
        }
        complain(scanner, REPORT_MT0009, at, at, help, "the file ends where %s should come",
                 expected);
    } else if ((unsigned char)letter < 0x20 || letter == 0x7f) {
        complain(scanner, REPORT_MT0006, at, at + 1, text_format("is this a binary file?"),
                 "control character 0x%02x where %s should come", (unsigned)letter, expected);
    } else {
        size_t width = utf8_len((const unsigned char *)scanner->text + at, scanner->len - at);
        bool is_comma = *expected == '\'' &&
                        (letter == '"' || letter == '{' || letter == '[' || is_word(letter));
        char *help = letter == '#' ? text_format("comments begin with //")
                     : is_comma    ? text_format("is a comma missing before it?")
                                   : NULL;
        complain(scanner, REPORT_MT0011, at, at + width, help, "'%.*s' where %s should come",
                 (int)width, scanner->text + at, expected);
    }
    scanner->is_stopped = true;
}

static void complain(struct scanner *scanner, enum report_code code, size_t from, size_t to,
                     char *help, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *message = text_format_list(format, arguments);
    va_end(arguments);

    struct json_document *document = scanner->document;
    char *pointer = NULL;
    if (scanner->place != JSON_NO_PLACE) {
        struct json_place *value = &document->places[scanner->place];
        char first = value->from < scanner->len ? scanner->text[value->from] : '\0';
        value->is_patched = value->is_patched || (first != '{' && first != '[');
        pointer = json_place_pointer(document, scanner->place);
    }
    struct report_place place = {.from = from, .to = to, .pointer = pointer};
    report_add(scanner->report, code, &place, message, help);
    free(pointer);
}

/* Overwrites a slip so that the rest can still be checked: `first`, then spaces. */
static void patch(struct scanner *scanner, size_t from, size_t to, char first)
{
    memset(scanner->blanked + from, ' ', to - from);
    scanner->blanked[from] = first;
}

static char peek(const struct scanner *scanner)
{
    return scanner->at < scanner->len ? scanner->text[scanner->at] : '\0';
}

static bool is_word(char letter)
{
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') ||
           (letter >= 'A' && letter <= 'Z') || letter == '_' || letter == '+' || letter == '-' ||
           letter == '.';
}
