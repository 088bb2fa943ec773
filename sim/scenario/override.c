/* override.c - --set and --sweep: changes to the tree before anything is checked. */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/scenario/loader.h"

static cJSON *value_read(struct loader *loader, const char *override, const char *text);
static void complain(struct loader *loader, enum report_code code, const char *override,
                     char *message, char *help);
static void value_set(struct loader *loader, const char *override, const char *pointer,
                      cJSON *value);
static cJSON *step_down(cJSON *parent, const char *segment);
static cJSON *array_at(cJSON *array, const char *segment);
static void put(cJSON *parent, const char *segment, cJSON *value);
static const char *sweep_next(const char *at);

void loader_override(struct loader *loader, const char *override)
{
    const char *equals = strchr(override, '=');
    if (override[0] != '/' || equals == NULL) {
        complain(loader, REPORT_MT0401, override,
                 text_format("an override is a JSON pointer, '=' and a value"),
                 text_format("for example --set /network/mtu=1400"));
        return;
    }
    cJSON *value = value_read(loader, override, equals + 1);
    if (value == NULL) {
        return;
    }
    char *pointer = text_copy(override, (size_t)(equals - override));
    value_set(loader, override, pointer, value);
    loader->overrides =
        text_grow(loader->overrides, loader->override_count, sizeof *loader->overrides);
    loader->overrides[loader->override_count++] =
        (struct loader_override){.text = override, .pointer = pointer};
}

/* JSON if it is JSON, else the bare text as a string; what opens like JSON must be JSON. */
static cJSON *value_read(struct loader *loader, const char *override, const char *text)
{
    struct scenario_report slips;
    struct json_document document;
    scenario_report_init(&slips);
    json_read(&document, text, strlen(text), &slips);
    cJSON *value = NULL;
    bool is_meant_as_json = text[0] == '{' || text[0] == '[' || text[0] == '"';
    if (slips.error_count == 0) {
        value = document.root;
        document.root = NULL;
    } else if (!is_meant_as_json) {
        value = cJSON_CreateString(text);
        must(value != NULL);
    } else {
        complain(loader, REPORT_MT0401, override,
                 text_format("the value is not JSON: %s", slips.items[0].message), NULL);
    }
    json_free(&document);
    scenario_report_free(&slips);
    return value;
}

static void complain(struct loader *loader, enum report_code code, const char *override,
                     char *message, char *help)
{
    char *where = text_format("--set %s", override);
    struct report_place place = {.where = where};
    report_add(loader->report, code, &place, message, help);
    free(where);
}

/* Objects missing on the way are made; whether their keys exist is checked like everything else. */
static void value_set(struct loader *loader, const char *override, const char *pointer,
                      cJSON *value)
{
    cJSON *parent = loader->document.root;
    char *segment = json_pointer_next(&pointer);
    while (*pointer != '\0' && parent != NULL) {
        parent = step_down(parent, segment);
        free(segment);
        segment = json_pointer_next(&pointer);
    }
    if (parent != NULL &&
        (cJSON_IsObject(parent) || (cJSON_IsArray(parent) && array_at(parent, segment) != NULL))) {
        put(parent, segment, value);
    } else {
        cJSON_Delete(value);
        complain(loader, REPORT_MT0402, override,
                 text_format("\"%s\" is no element of a list or member of an object", segment),
                 text_format("lists are counted from 0 and do not grow"));
    }
    free(segment);
}

static cJSON *step_down(cJSON *parent, const char *segment)
{
    if (cJSON_IsArray(parent)) {
        return array_at(parent, segment);
    }
    if (!cJSON_IsObject(parent)) {
        return NULL;
    }
    cJSON *child = cJSON_GetObjectItemCaseSensitive(parent, segment);
    if (child == NULL) {
        child = cJSON_AddObjectToObject(parent, segment);
        must(child != NULL);
    }
    return child;
}

static cJSON *array_at(cJSON *array, const char *segment)
{
    char *end;
    bool is_number = segment[0] >= '0' && segment[0] <= '9';
    unsigned long index = strtoul(segment, &end, 10);
    return is_number && *end == '\0' && index < JSON_VALUES_MAX
               ? cJSON_GetArrayItem(array, (int)index)
               : NULL;
}

static void put(cJSON *parent, const char *segment, cJSON *value)
{
    cJSON_bool is_done;
    if (cJSON_IsArray(parent)) {
        is_done = cJSON_ReplaceItemViaPointer(parent, array_at(parent, segment), value);
    } else if (cJSON_GetObjectItemCaseSensitive(parent, segment) != NULL) {
        is_done = cJSON_ReplaceItemInObjectCaseSensitive(parent, segment, value);
    } else {
        is_done = cJSON_AddItemToObject(parent, segment, value);
    }
    must(is_done);
}

size_t scenario_sweep_count(const char *sweep)
{
    const char *equals = strchr(sweep, '=');
    if (sweep[0] != '/' || equals == NULL || equals[1] == '\0') {
        return 0;
    }
    size_t count = 0;
    const char *at = equals + 1;
    while (at != NULL) {
        const char *next = sweep_next(at);
        bool is_empty = next != NULL ? next == at + 1 : *at == '\0';
        if (is_empty) {
            return 0;
        }
        count++;
        at = next;
    }
    return count;
}

char *scenario_sweep_point(const char *sweep, size_t index)
{
    must(index < scenario_sweep_count(sweep));
    const char *values = strchr(sweep, '=') + 1;
    const char *at = values;
    for (size_t i = 0; i < index; i++) {
        at = sweep_next(at);
    }
    const char *next = sweep_next(at);
    size_t len = next != NULL ? (size_t)(next - 1 - at) : strlen(at);
    return text_format("%.*s%.*s", (int)(values - sweep), sweep, (int)len, at);
}

/* Behind the next comma that stands outside of brackets and quotes; NULL after the last value. */
static const char *sweep_next(const char *at)
{
    int depth = 0;
    bool is_quoted = false;
    for (; *at != '\0'; at++) {
        if (is_quoted && *at == '\\' && at[1] != '\0') {
            at++;
        } else if (*at == '"') {
            is_quoted = !is_quoted;
        } else if (!is_quoted && strchr("{[", *at) != NULL) {
            depth++;
        } else if (!is_quoted && strchr("}]", *at) != NULL) {
            depth--;
        } else if (!is_quoted && depth <= 0 && *at == ',') {
            return at + 1;
        }
    }
    return NULL;
}
