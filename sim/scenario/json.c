/* json.c - from bytes to a cJSON tree with places, and JSON pointers between the two. */
#include "sim/scenario/json.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/base/slice.h"
#include "node/cli/text.h"
#include "sim/scenario/json_scan.h"

static char *segment_decode(const char *from, size_t len);

void json_read(struct json_document *document, const char *text, size_t len,
               struct scenario_report *report)
{
    *document = (struct json_document){0};
    if (len > JSON_LEN_MAX) {
        report_add(report, REPORT_MT0002, &(struct report_place){0},
                   text_format("the file is larger than %zu MiB", JSON_LEN_MAX >> 20),
                   text_format("is this the right file?"));
        return;
    }
    char *blanked = text_copy(text, len);
    if (json_scan(document, text, len, blanked, report)) {
        document->root = cJSON_ParseWithLength(blanked, len);
        /* The scanner is the stricter of the two; tests/fuzz holds it to that. */
        must(document->root != NULL);
    }
    free(blanked);
}

void json_free(struct json_document *document)
{
    cJSON_Delete(document->root);
    free(document->places);
    free(document->keys);
    *document = (struct json_document){0};
}

uint32_t json_place_find(const struct json_document *document, const char *pointer)
{
    uint32_t place = document->place_count > 0 ? 0 : JSON_NO_PLACE;
    char *segment;
    while (place != JSON_NO_PLACE && (segment = json_pointer_next(&pointer)) != NULL) {
        char *end;
        unsigned long index = strtoul(segment, &end, 10);
        uint32_t child = document->places[place].first;
        while (child != JSON_NO_PLACE) {
            const struct json_place *now = &document->places[child];
            bool is_it = now->key != NULL ? strcmp(now->key, segment) == 0
                                          : *end == '\0' && now->index == index;
            if (is_it) {
                break;
            }
            child = now->next;
        }
        place = child;
        free(segment);
    }
    return place;
}

char *json_place_pointer(const struct json_document *document, uint32_t place)
{
    uint32_t chain[JSON_DEPTH_MAX + 1];
    size_t depth = 0;
    while (document->places[place].parent != JSON_NO_PLACE) {
        must(depth < array_len(chain));
        chain[depth++] = place;
        place = document->places[place].parent;
    }
    struct text pointer = {0};
    text_add(&pointer, "%s", "");
    while (depth > 0) {
        const struct json_place *now = &document->places[chain[--depth]];
        if (now->key == NULL) {
            text_add(&pointer, "/%u", now->index);
            continue;
        }
        char *segment = json_pointer_encode(now->key);
        text_add(&pointer, "/%s", segment);
        free(segment);
    }
    return pointer.data;
}

char *json_pointer_next(const char **rest)
{
    if (**rest != '/') {
        return NULL;
    }
    const char *from = *rest + 1;
    size_t len = strcspn(from, "/");
    *rest = from + len;
    return segment_decode(from, len);
}

char *json_pointer_encode(const char *segment)
{
    struct text encoded = {0};
    text_add(&encoded, "%s", "");
    for (; *segment != '\0'; segment++) {
        if (*segment == '~' || *segment == '/') {
            text_add(&encoded, "%s", *segment == '~' ? "~0" : "~1");
        } else {
            text_add(&encoded, "%c", *segment);
        }
    }
    return encoded.data;
}

const char *json_type_text(const cJSON *item)
{
    switch (item->type & 0xff) {
    case cJSON_Object:
        return "object";
    case cJSON_Array:
        return "array";
    case cJSON_String:
        return "string";
    case cJSON_Number:
        return "number";
    case cJSON_True:
        return "true";
    case cJSON_False:
        return "false";
    default:
        return "null";
    }
}

static char *segment_decode(const char *from, size_t len)
{
    char *segment = text_copy(from, len);
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        char letter = from[i];
        if (letter == '~' && i + 1 < len && (from[i + 1] == '0' || from[i + 1] == '1')) {
            letter = from[++i] == '0' ? '~' : '/';
        }
        segment[used++] = letter;
    }
    segment[used] = '\0';
    return segment;
}
