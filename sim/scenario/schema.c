/* schema.c - the table of keys as JSON Schema (draft-07), for editors and for the tests. */
#include <stdlib.h>
#include <string.h>

#include "node/cli/text.h"
#include "sim/scenario/descriptor.h"
#include "sim/scenario/json.h"
#include "sim/scenario/json_write.h"
#include "sim/scenario/scenario.h"

#define DECIMAL "[0-9]+(\\.[0-9]+)?"
#define EXPR_PATTERN                                                                               \
    "^ *(mean|median|min|max|last|sum|count|p[0-9]{1,3}(\\.[0-9]+)?) *(<|<=|>|>=|==|!=) "          \
    "*-?" DECIMAL " *(us|ms|s|m|h|B|KiB|MiB|GiB)? *$"
#define REGION_PATTERN "[a-z0-9_]{1,64}"

typedef void (*write_form_fn)(struct json_writer *writer, const struct scenario_key *key);

static void write_shape(struct json_writer *writer, const struct scenario_shape *shape);
static void write_required(struct json_writer *writer, const struct scenario_shape *shape,
                           uint32_t variant, uint8_t alternative);
static void write_variants(struct json_writer *writer, const struct scenario_shape *shape);
static void write_alternatives(struct json_writer *writer, const struct scenario_shape *shape);
static void write_key(struct json_writer *writer, const struct scenario_key *key);
static void write_type(struct json_writer *writer, const struct scenario_key *key);
static void write_plain(struct json_writer *writer, const struct scenario_key *key);
static void write_either(struct json_writer *writer, const struct scenario_key *key,
                         write_form_fn first, write_form_fn second);
static void write_shape_ref(struct json_writer *writer, const struct scenario_key *key);
static void write_string(struct json_writer *writer, const struct scenario_key *key);
static void write_shares(struct json_writer *writer, const struct scenario_key *key);
static void write_seed_number(struct json_writer *writer, const struct scenario_key *key);
static void write_seed_text(struct json_writer *writer, const struct scenario_key *key);
static void write_coordinates(struct json_writer *writer);
static void write_thresholds(struct json_writer *writer);
static void write_threshold_list(struct json_writer *writer);
static void map_open(struct json_writer *writer, const char *names);
static void map_close(struct json_writer *writer);
static void free_keys_allow(struct json_writer *writer);
static void write_ref(struct json_writer *writer, const char *key,
                      const struct scenario_shape *shape);
static void write_pattern(struct json_writer *writer, const char *pattern);
static void write_quantity(struct json_writer *writer, const struct scenario_key *key);
static void write_limits(struct json_writer *writer, double min, double max);
static void write_choices(struct json_writer *writer, const struct scenario_key *key);
static void write_default(struct json_writer *writer, const struct scenario_key *key);

void scenario_print_schema(FILE *out)
{
    struct json_writer writer;
    json_write_start(&writer, out);
    json_write_open(&writer, NULL, '{');
    json_write_string(&writer, "$schema", "http://json-schema.org/draft-07/schema#");
    json_write_string(&writer, "title", "meshtwin scenario, version 1");
    write_ref(&writer, NULL, &scenario_shape);
    json_write_open(&writer, "definitions", '{');
    for (size_t i = 0; scenario_shapes[i] != NULL; i++) {
        write_shape(&writer, scenario_shapes[i]);
    }
    write_threshold_list(&writer);
    json_write_close(&writer, '}');
    json_write_close(&writer, '}');
    fputc('\n', out);
}

static void write_shape(struct json_writer *writer, const struct scenario_shape *shape)
{
    json_write_open(writer, shape->name, '{');
    json_write_string(writer, "title", shape->title);
    json_write_string(writer, "type", "object");
    json_write_bool(writer, "additionalProperties", false);
    free_keys_allow(writer);
    json_write_open(writer, "properties", '{');
    for (size_t i = 0; i < shape->key_count; i++) {
        write_key(writer, &shape->keys[i]);
    }
    json_write_close(writer, '}');
    write_required(writer, shape, KEY_VARIANT_UNKNOWN, 0);
    json_write_open(writer, "allOf", '[');
    json_write_bool(writer, NULL, true); /* draft-07 wants at least one */
    write_variants(writer, shape);
    write_alternatives(writer, shape);
    json_write_close(writer, ']');
    json_write_close(writer, '}');
}

/* Keys every variant needs have all bits set, so an unknown variant asks for just these. */
static void write_required(struct json_writer *writer, const struct scenario_shape *shape,
                           uint32_t variant, uint8_t alternative)
{
    json_write_open(writer, "required", '[');
    for (size_t i = 0; i < shape->key_count; i++) {
        const struct scenario_key *key = &shape->keys[i];
        if (key_is_required(key, variant) && key->alternative == alternative) {
            json_write_string(writer, NULL, key->name);
        }
    }
    json_write_close(writer, ']');
}

/* For each value of the choosing key: what it needs, and what it does not know. */
static void write_variants(struct json_writer *writer, const struct scenario_shape *shape)
{
    const struct scenario_key *chooser = &shape->keys[0];
    for (uint32_t variant = 0; shape->has_variants && variant < chooser->choices->count;
         variant++) {
        const char *name = chooser->choices->names[variant];
        bool is_default = chooser->fallback != NULL && strcmp(chooser->fallback, name) == 0;
        json_write_open(writer, NULL, '{');
        json_write_open(writer, "if", '{');
        json_write_open(writer, "properties", '{');
        json_write_open(writer, chooser->name, '{');
        json_write_string(writer, "const", name);
        json_write_close(writer, '}');
        json_write_close(writer, '}');
        if (!is_default) {
            json_write_open(writer, "required", '[');
            json_write_string(writer, NULL, chooser->name);
            json_write_close(writer, ']');
        }
        json_write_close(writer, '}');
        json_write_open(writer, "then", '{');
        write_required(writer, shape, variant, 0);
        json_write_open(writer, "properties", '{');
        for (size_t i = 1; i < shape->key_count; i++) {
            if (!key_is_in_variant(&shape->keys[i], variant)) {
                json_write_bool(writer, shape->keys[i].name, false);
            }
        }
        json_write_close(writer, '}');
        json_write_close(writer, '}');
        json_write_close(writer, '}');
    }
}

static void write_alternatives(struct json_writer *writer, const struct scenario_shape *shape)
{
    for (size_t i = 0; shape->alternative != NULL && i < shape->key_count; i++) {
        for (size_t j = 0; j < shape->key_count && shape->keys[i].alternative == 1; j++) {
            if (shape->keys[j].alternative == 2) {
                json_write_open(writer, NULL, '{');
                json_write_open(writer, "not", '{');
                json_write_open(writer, "required", '[');
                json_write_string(writer, NULL, shape->keys[i].name);
                json_write_string(writer, NULL, shape->keys[j].name);
                json_write_close(writer, ']');
                json_write_close(writer, '}');
                json_write_close(writer, '}');
            }
        }
    }
    if (!shape->needs_alternative) {
        return;
    }
    json_write_open(writer, NULL, '{');
    json_write_open(writer, "anyOf", '[');
    for (uint8_t alternative = 1; alternative <= 2; alternative++) {
        json_write_open(writer, NULL, '{');
        write_required(writer, shape, KEY_VARIANT_UNKNOWN, alternative);
        json_write_close(writer, '}');
    }
    json_write_close(writer, ']');
    json_write_close(writer, '}');
}

static void write_key(struct json_writer *writer, const struct scenario_key *key)
{
    json_write_open(writer, key->name, '{');
    json_write_string(writer, "description", key->doc);
    write_type(writer, key);
    write_default(writer, key);
    json_write_close(writer, '}');
}

static void write_type(struct json_writer *writer, const struct scenario_key *key)
{
    switch (key->type) {
    case KEY_OBJECT:
        write_ref(writer, NULL, key->shape);
        break;
    case KEY_LIST:
        json_write_string(writer, "type", "array");
        json_write_number(writer, "minItems", key->min);
        json_write_number(writer, "maxItems", key->max);
        write_ref(writer, "items", key->shape);
        break;
    case KEY_DIST:
        write_either(writer, key, write_quantity, write_shape_ref);
        break;
    case KEY_MAP:
        map_open(writer, KEY_NAME_PATTERN);
        write_ref(writer, NULL, key->shape);
        map_close(writer);
        break;
    case KEY_MIX:
    case KEY_NAT:
        write_either(writer, key, write_string, write_shares);
        break;
    case KEY_FLAGS:
        json_write_string(writer, "type", "array");
        json_write_bool(writer, "uniqueItems", true);
        json_write_open(writer, "items", '{');
        write_choices(writer, key);
        json_write_close(writer, '}');
        break;
    case KEY_MATRIX:
        map_open(writer, "^" REGION_PATTERN "-" REGION_PATTERN "$");
        write_quantity(writer, key);
        map_close(writer);
        break;
    case KEY_COORDINATES:
        map_open(writer, "^" REGION_PATTERN "$");
        write_coordinates(writer);
        map_close(writer);
        break;
    case KEY_THRESHOLDS:
        write_thresholds(writer);
        break;
    default:
        write_plain(writer, key);
        break;
    }
}

static void write_plain(struct json_writer *writer, const struct scenario_key *key)
{
    switch (key->type) {
    case KEY_BOOL:
        json_write_string(writer, "type", "boolean");
        break;
    case KEY_INTEGER:
        json_write_string(writer, "type", "integer");
        json_write_number(writer, "minimum", key->min);
        json_write_number(writer, "maximum", key->max);
        break;
    case KEY_NUMBER:
        write_limits(writer, key->min, key->max);
        break;
    case KEY_CHANCE:
        write_limits(writer, 0, 1);
        break;
    case KEY_NAME:
        write_pattern(writer, KEY_NAME_PATTERN);
        break;
    case KEY_FILE:
        write_pattern(writer, ".");
        break;
    case KEY_EXPR:
        write_pattern(writer, EXPR_PATTERN);
        break;
    case KEY_SELECT:
        write_pattern(writer, "^(all|holders|group:.+)$");
        break;
    case KEY_SEED:
        write_either(writer, key, write_seed_number, write_seed_text);
        break;
    case KEY_QUANTITY:
    case KEY_RATE:
        write_quantity(writer, key);
        break;
    case KEY_ENUM:
        write_choices(writer, key);
        break;
    default: /* KEY_STRING, KEY_GROUP */
        write_string(writer, key);
        break;
    }
}

/* Two forms of one value. */
static void write_either(struct json_writer *writer, const struct scenario_key *key,
                         write_form_fn first, write_form_fn second)
{
    json_write_open(writer, "oneOf", '[');
    json_write_open(writer, NULL, '{');
    first(writer, key);
    json_write_close(writer, '}');
    json_write_open(writer, NULL, '{');
    second(writer, key);
    json_write_close(writer, '}');
    json_write_close(writer, ']');
}

static void write_shape_ref(struct json_writer *writer, const struct scenario_key *key)
{
    write_ref(writer, NULL, key->shape);
}

static void write_string(struct json_writer *writer, const struct scenario_key *key)
{
    (void)key;
    json_write_string(writer, "type", "string");
}

static void write_shares(struct json_writer *writer, const struct scenario_key *key)
{
    (void)key;
    map_open(writer, ".");
    write_limits(writer, 0, 1);
    map_close(writer);
}

static void write_seed_number(struct json_writer *writer, const struct scenario_key *key)
{
    (void)key;
    json_write_string(writer, "type", "integer");
    json_write_number(writer, "minimum", 0);
    json_write_number(writer, "maximum", JSON_INTEGER_MAX);
}

static void write_seed_text(struct json_writer *writer, const struct scenario_key *key)
{
    (void)key;
    write_pattern(writer, "^0x[0-9A-Fa-f]{1,16}$");
}

static void write_coordinates(struct json_writer *writer)
{
    json_write_string(writer, "type", "array");
    json_write_number(writer, "minItems", 2);
    json_write_number(writer, "maxItems", 2);
    json_write_open(writer, "items", '[');
    for (int i = 0; i < 2; i++) {
        json_write_open(writer, NULL, '{');
        write_limits(writer, i == 0 ? -90 : -180, i == 0 ? 90 : 180);
        json_write_close(writer, '}');
    }
    json_write_close(writer, ']');
}

static void write_thresholds(struct json_writer *writer)
{
    json_write_string(writer, "type", "object");
    json_write_bool(writer, "additionalProperties", false);
    free_keys_allow(writer);
    json_write_open(writer, "properties", '{');
    for (enum metric_id id = 0; id < METRIC_COUNT; id++) {
        json_write_open(writer, metric_info(id)->name, '{');
        json_write_string(writer, "description", metric_info(id)->description);
        json_write_string(writer, "$ref", "#/definitions/threshold_list");
        json_write_close(writer, '}');
    }
    json_write_close(writer, '}');
}

static void write_threshold_list(struct json_writer *writer)
{
    json_write_open(writer, "threshold_list", '{');
    json_write_string(writer, "type", "array");
    json_write_number(writer, "minItems", 1);
    json_write_number(writer, "maxItems", SCENARIO_THRESHOLDS_MAX);
    json_write_open(writer, "items", '{');
    json_write_open(writer, "oneOf", '[');
    json_write_open(writer, NULL, '{');
    write_pattern(writer, EXPR_PATTERN);
    json_write_close(writer, '}');
    json_write_open(writer, NULL, '{');
    write_ref(writer, NULL, &threshold_shape);
    json_write_close(writer, '}');
    json_write_close(writer, ']');
    json_write_close(writer, '}');
    json_write_close(writer, '}');
}

/* An object whose keys are names of the user's; the caller writes what their values are. The names
 * exclude the free "x-" keys, which would otherwise have to be both. */
static void map_open(struct json_writer *writer, const char *names)
{
    json_write_string(writer, "type", "object");
    json_write_bool(writer, "additionalProperties", false);
    json_write_number(writer, "minProperties", 1);
    json_write_open(writer, "patternProperties", '{');
    json_write_bool(writer, "^x-", true);
    char *pattern = text_format("^(?!x-)(?:%s)", names);
    json_write_open(writer, pattern, '{');
    free(pattern);
}

static void map_close(struct json_writer *writer)
{
    json_write_close(writer, '}');
    json_write_close(writer, '}');
}

static void free_keys_allow(struct json_writer *writer)
{
    json_write_open(writer, "patternProperties", '{');
    json_write_bool(writer, "^x-", true);
    json_write_close(writer, '}');
}

static void write_ref(struct json_writer *writer, const char *key,
                      const struct scenario_shape *shape)
{
    char *target = text_format("#/definitions/%s", shape->name);
    if (key != NULL) {
        json_write_open(writer, key, '{');
    }
    json_write_string(writer, "$ref", target);
    if (key != NULL) {
        json_write_close(writer, '}');
    }
    free(target);
}

static void write_pattern(struct json_writer *writer, const char *pattern)
{
    json_write_string(writer, "type", "string");
    json_write_string(writer, "pattern", pattern);
}

static void write_quantity(struct json_writer *writer, const struct scenario_key *key)
{
    enum quantity_kind kind = key->type == KEY_RATE ? QUANTITY_RATE : key->quantity;
    char *pattern = text_format("^" DECIMAL "(%s)$", quantity_unit_pattern(kind));
    write_pattern(writer, pattern);
    free(pattern);
}

static void write_limits(struct json_writer *writer, double min, double max)
{
    json_write_string(writer, "type", "number");
    json_write_number(writer, "minimum", min);
    json_write_number(writer, "maximum", max);
}

static void write_choices(struct json_writer *writer, const struct scenario_key *key)
{
    json_write_open(writer, "enum", '[');
    for (uint32_t i = 0; i < key->choices->count; i++) {
        json_write_string(writer, NULL, key->choices->names[i]);
    }
    json_write_close(writer, ']');
}

static void write_default(struct json_writer *writer, const struct scenario_key *key)
{
    if (key->fallback == NULL) {
        return;
    }
    switch (key->type) {
    case KEY_BOOL:
        json_write_bool(writer, "default", strcmp(key->fallback, "true") == 0);
        break;
    case KEY_INTEGER:
    case KEY_NUMBER:
    case KEY_CHANCE:
        json_write_number(writer, "default", strtod(key->fallback, NULL));
        break;
    default:
        json_write_string(writer, "default", key->fallback);
        break;
    }
}
