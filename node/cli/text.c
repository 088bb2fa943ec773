/* text.c - heap texts, files, hashes and spelling distance for the scenario loader. */
#include "node/cli/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "node/base/must.h"

#define SUGGEST_LEN_MAX 64

static int lower(char letter);
static unsigned distance(const char *left, size_t left_len, const char *right, size_t right_len);

void *text_alloc(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    must(memory != NULL);
    return memory;
}

void *text_grow(void *array, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0) {
        return array;
    }
    size_t room = count == 0 ? 1 : count * 2;
    must(room <= SIZE_MAX / size);
    void *grown = realloc(array, room * size);
    must(grown != NULL);
    return grown;
}

char *text_copy(const char *text, size_t len)
{
    char *copy = text_alloc(len + 1, 1);
    memcpy(copy, text, len);
    return copy;
}

char *text_format(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = text_format_list(format, arguments);
    va_end(arguments);
    return text;
}

char *text_format_list(const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    must(len >= 0);
    char *text = text_alloc((size_t)len + 1, 1);
    vsnprintf(text, (size_t)len + 1, format, arguments);
    return text;
}

void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *piece = text_format_list(format, arguments);
    va_end(arguments);

    size_t len = strlen(piece);
    if (text->len + len + 1 > text->size) {
        text->size = (text->len + len + 1) * 2;
        text->data = realloc(text->data, text->size);
        must(text->data != NULL);
    }
    memcpy(text->data + text->len, piece, len + 1);
    text->len += len;
    free(piece);
}

void text_cut(struct text *text, size_t len)
{
    must(len <= text->len);
    if (text->data != NULL) {
        text->data[len] = '\0';
    }
    text->len = len;
}

void text_double(double value, char out[TEXT_DOUBLE_SIZE])
{
    for (int decimals = 0; decimals <= 30; decimals++) {
        int len = snprintf(out, TEXT_DOUBLE_SIZE, "%.*f", decimals, value);
        if (len > 0 && len < TEXT_DOUBLE_SIZE && strtod(out, NULL) == value) {
            return;
        }
    }
    snprintf(out, TEXT_DOUBLE_SIZE, "%.17g", value);
}

void text_sha256(const void *data, size_t len, char out[TEXT_SHA256_SIZE])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, data, len);
    sodium_bin2hex(out, TEXT_SHA256_SIZE, hash, sizeof hash);
}

char *text_read_file(const char *path, size_t len_max, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    char *data = NULL;
    size_t have = 0;
    size_t room = 0;
    size_t got = 1;
    while (got > 0 && have <= len_max) {
        if (have + 1 >= room) {
            room = room == 0 ? 65536 : room * 2;
            data = realloc(data, room);
            must(data != NULL);
        }
        got = fread(data + have, 1, room - have - 1, file);
        have += got;
    }
    int error = ferror(file) ? (errno != 0 ? errno : EIO) : (have > len_max ? EFBIG : 0);
    fclose(file);
    if (error != 0) {
        free(data);
        errno = error;
        return NULL;
    }
    data[have] = '\0';
    *len = have;
    return data;
}

const char *text_suggest(const char *word, const char *const *words, size_t count)
{
    size_t len = strlen(word);
    if (len == 0 || len > SUGGEST_LEN_MAX) {
        return NULL;
    }
    const char *best = NULL;
    unsigned best_distance = len < 3 ? 2 : (unsigned)(len / 3) + 1; /* must beat this */
    for (size_t i = 0; i < count; i++) {
        size_t other_len = strlen(words[i]);
        if (other_len > SUGGEST_LEN_MAX) {
            continue;
        }
        unsigned now = distance(word, len, words[i], other_len);
        if (now < best_distance) {
            best_distance = now;
            best = words[i];
        }
    }
    return best;
}

static int lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : letter;
}

/* Three rows of the usual table: the transposition looks two rows back. */
static unsigned distance(const char *left, size_t left_len, const char *right, size_t right_len)
{
    unsigned rows[3][SUGGEST_LEN_MAX + 1];
    for (size_t j = 0; j <= right_len; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= left_len; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *above = rows[(i - 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= right_len; j++) {
            bool same = lower(left[i - 1]) == lower(right[j - 1]);
            unsigned cheapest = above[j - 1] + (same ? 0 : 1);
            cheapest = above[j] + 1 < cheapest ? above[j] + 1 : cheapest;
            cheapest = now[j - 1] + 1 < cheapest ? now[j - 1] + 1 : cheapest;
            if (i > 1 && j > 1 && lower(left[i - 1]) == lower(right[j - 2]) &&
                lower(left[i - 2]) == lower(right[j - 1])) {
                unsigned swapped = rows[(i - 2) % 3][j - 2] + 1;
                cheapest = swapped < cheapest ? swapped : cheapest;
            }
            now[j] = cheapest;
        }
    }
    return rows[left_len % 3][right_len];
}
