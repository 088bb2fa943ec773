/* parse.c - objects: which keys are there, which are missing, which should not be. */
#include "sim/scenario/parse.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"

struct reading {
    const cJSON *object; /* or NULL */
    const struct scenario_shape *shape;
    void *data;
    bool overlay;
    uint32_t variant;
    uint8_t alternative; /* 0: none chosen */
};

static uint32_t variant_read(struct loader *loader, const struct reading *reading);
static void members_check(struct loader *loader, const struct reading *reading);
static const struct scenario_key *key_find(const struct scenario_shape *shape, const char *name);
static void unknown_complain(struct loader *loader, const struct reading *reading,
                             const char *name);
static uint8_t alternative_read(struct loader *loader, const struct reading *reading);
static bool key_read(struct loader *loader, const struct reading *reading,
                     const struct scenario_key *key);
static void default_read(struct loader *loader, const struct scenario_key *key, void *data);
static cJSON *default_item(const struct scenario_key *key);

void parse_object(struct loader *loader, const cJSON *object, const struct scenario_shape *shape,
                  void *data, bool overlay)
{
    struct reading reading = {.object = object, .shape = shape, .data = data, .overlay = overlay};
    if (shape->start != NULL) {
        shape->start(loader, object, data);
    }
    reading.variant = variant_read(loader, &reading);
    members_check(loader, &reading);
    reading.alternative = alternative_read(loader, &reading);
    for (size_t i = shape->has_variants ? 1 : 0; i < shape->key_count; i++) {
        const struct scenario_key *key = &shape->keys[i];
        bool is_excluded = key->alternative != 0 && reading.alternative != 0 &&
                           key->alternative != reading.alternative;
        if (key_is_in_variant(key, reading.variant) && !is_excluded) {
            (void)key_read(loader, &reading, key);
        }
    }
    if (shape->finish != NULL) {
        shape->finish(loader, object, data);
    }
}

/* The variant is chosen by the first key, so that one is read before all others. */
static uint32_t variant_read(struct loader *loader, const struct reading *reading)
{
    if (!reading->shape->has_variants) {
        return 0;
    }
    const struct scenario_key *key = &reading->shape->keys[0];
    if (!key_read(loader, reading, key)) {
        return KEY_VARIANT_UNKNOWN;
    }
    uint32_t variant;
    memcpy(&variant, (const char *)reading->data + key->offset, sizeof variant);
    return variant;
}

static void members_check(struct loader *loader, const struct reading *reading)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, reading->object)
    {
        if (parse_is_free(member)) {
            continue;
        }
        const struct scenario_key *key = key_find(reading->shape, member->string);
        size_t mark = loader_enter(loader, member->string);
        if (key == NULL) {
            unknown_complain(loader, reading, member->string);
        } else if (reading->variant != KEY_VARIANT_UNKNOWN &&
                   !key_is_in_variant(key, reading->variant)) {
            const struct scenario_key *chooser = &reading->shape->keys[0];
            loader_complain(loader, REPORT_MT0108, LOADER_KEY, NULL,
                            "\"%s\" has no meaning where %s is \"%s\"", key->name, chooser->name,
                            chooser->choices->names[reading->variant]);
        }
        loader_leave(loader, mark);
    }
}

static const struct scenario_key *key_find(const struct scenario_shape *shape, const char *name)
{
    for (size_t i = 0; i < shape->key_count; i++) {
        if (strcmp(shape->keys[i].name, name) == 0) {
            return &shape->keys[i];
        }
    }
    return NULL;
}

static void unknown_complain(struct loader *loader, const struct reading *reading, const char *name)
{
    const char **known = text_alloc(reading->shape->key_count, sizeof *known);
    size_t count = 0;
    for (size_t i = 0; i < reading->shape->key_count; i++) {
        if (reading->variant == KEY_VARIANT_UNKNOWN ||
            key_is_in_variant(&reading->shape->keys[i], reading->variant)) {
            known[count++] = reading->shape->keys[i].name;
        }
    }
    loader_complain(loader, REPORT_MT0101, LOADER_KEY, loader_suggest(loader, name, known, count),
                    "unknown key \"%s\"", name);
    free(known);
}

static uint8_t alternative_read(struct loader *loader, const struct reading *reading)
{
    if (reading->shape->alternative == NULL) {
        return 0;
    }
    const struct scenario_key *given[3] = {NULL, NULL, NULL};
    for (size_t i = 0; i < reading->shape->key_count; i++) {
        const struct scenario_key *key = &reading->shape->keys[i];
        if (given[key->alternative] == NULL &&
            cJSON_GetObjectItemCaseSensitive(reading->object, key->name) != NULL) {
            given[key->alternative] = key;
        }
    }
    if (given[1] != NULL && given[2] != NULL) {
        size_t mark = loader_enter(loader, given[2]->name);
        loader_complain(loader, REPORT_MT0111, LOADER_KEY, text_format("keep one of the two"),
                        "\"%s\" and \"%s\" exclude each other", given[1]->name, given[2]->name);
        loader_leave(loader, mark);
    }
    return given[2] != NULL ? 2 : (uint8_t)(given[1] != NULL ? 1 : 0);
}

/* Reads one key, or its default; false after a complaint. */
static bool key_read(struct loader *loader, const struct reading *reading,
                     const struct scenario_key *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(reading->object, key->name);
    bool is_chosen = key->alternative == 0 || key->alternative == reading->alternative ||
                     (key->alternative == 1 && reading->shape->needs_alternative);
    bool ok = true;
    if (item == NULL && key_is_required(key, reading->variant) && is_chosen) {
        loader_complain(loader, REPORT_MT0102, LOADER_VALUE, text_format("%s", key->doc),
                        "missing key \"%s\"", key->name);
        return false;
    }
    size_t mark = loader_enter(loader, key->name);
    if (item != NULL) {
        ok = parse_value(loader, item, key, reading->data);
    } else if (!reading->overlay) {
        default_read(loader, key, reading->data);
    }
    loader_leave(loader, mark);
    return ok;
}

static void default_read(struct loader *loader, const struct scenario_key *key, void *data)
{
    char *at = (char *)data + (key->offset == KEY_NOWHERE ? 0 : key->offset);
    if (key->fallback != NULL) {
        cJSON *item = default_item(key);
        bool ok = parse_value(loader, item, key, data);
        must(ok);
        cJSON_Delete(item);
    } else if (key->type == KEY_GROUP) {
        *(uint32_t *)(void *)at = SCENARIO_GROUP_NONE;
    } else if (key->type == KEY_OBJECT && key->extra == KEY_NOWHERE) {
        if (key->overlays) {
            memcpy(at, &loader->scenario->protocol, sizeof loader->scenario->protocol);
        } else {
            parse_object(loader, NULL, key->shape, at, false);
        }
    }
}

static cJSON *default_item(const struct scenario_key *key)
{
    cJSON *item;
    if (key->type == KEY_BOOL) {
        item = cJSON_CreateBool(strcmp(key->fallback, "true") == 0);
    } else if (key->type == KEY_INTEGER || key->type == KEY_NUMBER || key->type == KEY_CHANCE) {
        item = cJSON_CreateNumber(strtod(key->fallback, NULL));
    } else {
        item = cJSON_CreateString(key->fallback);
    }
    must(item != NULL);
    return item;
}

void parse_complain_type(struct loader *loader, const cJSON *item, const char *wanted)
{
    loader_complain(loader, REPORT_MT0104, LOADER_VALUE, NULL, "expected %s, found %s%s", wanted,
                    json_type_text(item), cJSON_IsNull(item) ? "; leave the key out instead" : "");
}

bool parse_is_free(const cJSON *member)
{
    return strncmp(member->string, "x-", 2) == 0;
}
