/* fields.c - reads query strings and flat JSON objects, strictly. */
#include "node/edge/fields.h"

#include <cJSON.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/text.h"
#include "node/daemon/id_text.h"

static bool add(struct fields *fields, char *name, char *value, const char **why);
static char *decode(const char *text, size_t len);
static int digit(char letter);
static bool has_nul_escape(const char *body, size_t len);
static char *value_text(const cJSON *value);

bool fields_read_query(struct fields *fields, const char *query, const char **why)
{
    while (*query != '\0') {
        size_t len = strcspn(query, "&");
        size_t name_len = strcspn(query, "=&");
        size_t value_at = name_len < len ? name_len + 1 : len;
        char *name = decode(query, name_len);
        char *value = decode(query + value_at, len - value_at);
        if (name == NULL || value == NULL) {
            free(name);
            free(value);
            *why = "the query holds an escape that is none, or a zero byte";
            return false;
        }
        if (!add(fields, name, value, why)) {
            return false;
        }
        query += len + (query[len] == '&');
    }
    return true;
}

bool fields_read_json(struct fields *fields, const char *body, size_t len, const char **why)
{
    if (memchr(body, '\0', len) != NULL || has_nul_escape(body, len)) {
        *why = "the body holds a zero byte";
        return false;
    }
    char *copy = text_copy(body, len);
    cJSON *object = cJSON_ParseWithOpts(copy, NULL, true);
    free(copy);
    bool is_good = cJSON_IsObject(object);
    if (!is_good) {
        *why = "the body is no JSON object";
    }
    for (const cJSON *item = is_good ? object->child : NULL; is_good && item != NULL;
         item = item->next) {
        char *value = value_text(item);
        if (value == NULL) {
            *why = "the values may be texts, whole numbers below 2^53 and booleans";
            is_good = false;
        } else {
            is_good = add(fields, text_copy(item->string, strlen(item->string)), value, why);
        }
    }
    cJSON_Delete(object);
    return is_good;
}

const char *fields_get(const struct fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (strcmp(fields->items[i].name, name) == 0) {
            return fields->items[i].value;
        }
    }
    return NULL;
}

void fields_clear(struct fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        free(fields->items[i].name);
        free(fields->items[i].value);
    }
    fields->count = 0;
}

/* Takes both texts over. */
static bool add(struct fields *fields, char *name, char *value, const char **why)
{
    *why = NULL;
    if (fields_get(fields, name) != NULL) {
        *why = "a name is given twice";
    } else if (fields->count == FIELDS_MAX) {
        *why = "there are more names than anything here takes";
    } else if (!text_is_printable((const uint8_t *)name, strlen(name)) ||
               !text_is_printable((const uint8_t *)value, strlen(value))) {
        *why = "names and values are UTF-8 without control characters";
    }
    if (*why != NULL) {
        free(name);
        free(value);
        return false;
    }
    fields->items[fields->count++] = (struct field){.name = name, .value = value};
    return true;
}

/* Percent escapes and '+' undone (WHATWG URL, application/x-www-form-urlencoded); NULL when one is
 * broken or spells the byte 0. */
static char *decode(const char *text, size_t len)
{
    char *out = text_copy(text, len);
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        out[to] = text[i] == '+' ? ' ' : text[i];
        if (text[i] == '%') {
            int high = i + 2 < len ? digit(text[i + 1]) : -1;
            int low = i + 2 < len ? digit(text[i + 2]) : -1;
            out[to] = (char)(high * 16 + low);
            if (high < 0 || low < 0 || out[to] == '\0') {
                free(out);
                return NULL;
            }
            i += 2;
        }
        to++;
    }
    out[to] = '\0';
    return out;
}

static int digit(char letter)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = letter != '\0' ? strchr(digits, letter) : NULL;
    if (at == NULL) {
        return -1;
    }
    int value = (int)(at - digits);
    return value < 16 ? value : value - 6;
}

/* cJSON ends a text there without a word. */
static bool has_nul_escape(const char *body, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (body[i] != '\\') {
            continue;
        }
        if (len - i >= 6 && memcmp(body + i, "\\u0000", 6) == 0) {
            return true;
        }
        i++; /* The letter behind a backslash is no backslash of its own. */
    }
    return false;
}

/* Beyond 2^53 doubles skip whole numbers. */
static char *value_text(const cJSON *value)
{
    if (cJSON_IsString(value)) {
        return text_copy(value->valuestring, strlen(value->valuestring));
    }
    if (cJSON_IsBool(value)) {
        return text_format("%s", cJSON_IsTrue(value) ? "true" : "false");
    }
    double number = cJSON_IsNumber(value) ? value->valuedouble : NAN;
    if (floor(number) == number && fabs(number) < 9007199254740992.0) {
        return text_format("%.0f", number);
    }
    return NULL;
}
