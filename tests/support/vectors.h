/* vectors.h - published test vectors: JSON files of the data folder, and the hex inside them.
 *
 *      MESHTWIN_DATA (default ../shared/data, seen from the source folder, where tests run)
 *      / vectors / name -> vectors_open -> cJSON
 *                       -> vectors_read -> bytes
 *
 * Where the folder is missing the test that asks is skipped, with the reason.
 */
#ifndef TESTS_SUPPORT_VECTORS_H
#define TESTS_SUPPORT_VECTORS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <criterion/criterion.h>

enum {
    VECTOR_BYTES_MAX = 20000,
};

struct vector_bytes {
    uint8_t bytes[VECTOR_BYTES_MAX];
    size_t len;
};

/* The whole file and a zero behind it, for free(). Ends the calling test as skipped when it is not
 * there. */
static inline char *vectors_read(const char *name, size_t *len)
{
    const char *folder = getenv("MESHTWIN_DATA");
    char path[4096];
    snprintf(path, sizeof path, "%s/vectors/%s", folder != NULL ? folder : "../shared/data", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        cr_skip("no %s: MESHTWIN_DATA does not lead to the reference data", name);
        return NULL;
    }
    cr_assert_eq(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    cr_assert_gt(size, 0);
    rewind(file);
    char *text = calloc(1, (size_t)size + 1);
    cr_assert_not_null(text);
    cr_assert_eq(fread(text, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    *len = (size_t)size;
    return text;
}

/* The parsed file, for cJSON_Delete. */
static inline cJSON *vectors_open(const char *name)
{
    size_t len;
    char *text = vectors_read(name, &len);
    cJSON *json = cJSON_Parse(text);
    free(text);
    cr_assert_not_null(json, "%s is no JSON", name);
    return json;
}

static inline const char *vector_text(const cJSON *item, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(item, name);
    cr_assert(cJSON_IsString(member), "no text \"%s\"", name);
    return member->valuestring;
}

static inline int vector_number(const cJSON *item, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(item, name);
    cr_assert(cJSON_IsNumber(member), "no number \"%s\"", name);
    return member->valueint;
}

static inline void vector_hex(const cJSON *item, const char *name, struct vector_bytes *out)
{
    const char *text = vector_text(item, name);
    out->len = strlen(text) / 2;
    cr_assert_leq(out->len, sizeof out->bytes);
    for (size_t i = 0; i < out->len; i++) {
        unsigned byte;
        cr_assert_eq(sscanf(text + 2 * i, "%2x", &byte), 1);
        out->bytes[i] = (uint8_t)byte;
    }
}

static inline bool vector_has_flag(const cJSON *item, const char *flag)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, cJSON_GetObjectItemCaseSensitive(item, "flags"))
    {
        if (strcmp(each->valuestring, flag) == 0) {
            return true;
        }
    }
    return false;
}

#endif /* TESTS_SUPPORT_VECTORS_H */
