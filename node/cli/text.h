/* text.h - the few allocating text helpers of command lines, files and their loaders.
 *
 * Not for nodes. Who reads options and scenario files may use the heap; memory that cannot be had
 * ends the process (must), because a half-checked file is worse than none.
 *
 *      format, arguments -> text_format -> heap text        pieces -> struct text -> heap text
 */
#ifndef NODE_CLI_TEXT_H
#define NODE_CLI_TEXT_H

#include <stdarg.h>
#include <stddef.h>

/* Zeroed; never NULL. `count * size` must not overflow. */
void *text_alloc(size_t count, size_t size);
/* Room for one more element behind `count` of them, doubling at powers of two; zeroes nothing. */
void *text_grow(void *array, size_t count, size_t size);
char *text_copy(const char *text, size_t len);
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same into a fresh NUL-terminated text, from a va_list. */
char *text_format_list(const char *format, va_list arguments);

/* A text that grows at its end. Zero is an empty one; `data` is NULL or NUL-terminated. */
struct text {
    char *data;
    size_t len;
    size_t size;
};
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_cut(struct text *text, size_t len);

#define TEXT_DOUBLE_SIZE 40
/* The shortest decimal that reads back as the same double, without an exponent where it fits. */
void text_double(double value, char out[TEXT_DOUBLE_SIZE]);

/* The lower-case hexadecimal SHA-256 of `len` bytes. */
#define TEXT_SHA256_SIZE 65
void text_sha256(const void *data, size_t len, char out[TEXT_SHA256_SIZE]);

/* A whole file; NULL (and errno) when it cannot be read or holds more than `len_max` bytes
 * (errno EFBIG). NUL-terminated for convenience; `*len` does not count that. */
char *text_read_file(const char *path, size_t len_max, size_t *len);

/* The word of `words` that `word` is most likely a misspelling of, or NULL: Damerau-Levenshtein
 * distance (optimal string alignment; Damerau 1964), ignoring case, at most a third of the length.
 */
const char *text_suggest(const char *word, const char *const *words, size_t count);

#endif /* NODE_CLI_TEXT_H */
