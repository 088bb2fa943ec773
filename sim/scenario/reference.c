/* reference.c - the table of keys as Markdown: the generated part of docs/SCENARIOS.md. */
#include <stdlib.h>
#include <string.h>

#include "node/cli/text.h"
#include "sim/scenario/descriptor.h"
#include "sim/scenario/scenario.h"

static void print_shape(const struct scenario_shape *shape, FILE *out);
static void print_key(const struct scenario_shape *shape, const struct scenario_key *key,
                      FILE *out);
static void print_type(const struct scenario_key *key, FILE *out);
static void print_choices(const struct scenario_key *key, FILE *out);
static void print_default(const struct scenario_shape *shape, const struct scenario_key *key,
                          FILE *out);
static void print_limits(const struct scenario_key *key, FILE *out);
static void print_condition(const struct scenario_shape *shape, const struct scenario_key *key,
                            FILE *out);

void scenario_print_reference(FILE *out)
{
    for (size_t i = 0; scenario_shapes[i] != NULL; i++) {
        print_shape(scenario_shapes[i], out);
    }
}

static void print_shape(const struct scenario_shape *shape, FILE *out)
{
    fprintf(out, "\n### %s (`%s`)\n\n", shape->title, shape->name);
    fputs("| key | value | default | limits | meaning |\n|---|---|---|---|---|\n", out);
    for (size_t i = 0; i < shape->key_count; i++) {
        print_key(shape, &shape->keys[i], out);
    }
}

static void print_key(const struct scenario_shape *shape, const struct scenario_key *key, FILE *out)
{
    fprintf(out, "| `%s` | ", key->name);
    print_type(key, out);
    fputs(" | ", out);
    print_default(shape, key, out);
    fputs(" | ", out);
    print_limits(key, out);
    fputs(" | ", out);
    print_condition(shape, key, out);
    fprintf(out, "%s |\n", key->doc);
}

static void print_type(const struct scenario_key *key, FILE *out)
{
    static const char *const names[] = {[KEY_BOOL] = "true or false",
                                        [KEY_INTEGER] = "whole number",
                                        [KEY_NUMBER] = "number",
                                        [KEY_CHANCE] = "probability",
                                        [KEY_STRING] = "text",
                                        [KEY_NAME] = "name",
                                        [KEY_FILE] = "file",
                                        [KEY_EXPR] = "expression",
                                        [KEY_SEED] = "hex string or whole number",
                                        [KEY_MIX] = "region, or shares by region",
                                        [KEY_NAT] = "kind of NAT, or shares by kind",
                                        [KEY_GROUP] = "name of a group",
                                        [KEY_SELECT] = "selection",
                                        [KEY_MATRIX] = "durations by \"a-b\"",
                                        [KEY_COORDINATES] = "[latitude, longitude] by region",
                                        [KEY_THRESHOLDS] = "lists by metric"};
    static const char *const quantities[] = {[QUANTITY_DURATION] = "duration",
                                             [QUANTITY_BYTES] = "size",
                                             [QUANTITY_BANDWIDTH] = "bandwidth",
                                             [QUANTITY_RATE] = "rate"};
    switch (key->type) {
    case KEY_ENUM:
        print_choices(key, out);
        break;
    case KEY_FLAGS:
        fputs("list of ", out);
        print_choices(key, out);
        break;
    case KEY_QUANTITY:
    case KEY_RATE:
        fputs(quantities[key->type == KEY_RATE ? QUANTITY_RATE : key->quantity], out);
        break;
    case KEY_DIST:
        fprintf(out, "%s or `%s`", quantities[key->quantity], key->shape->name);
        break;
    case KEY_OBJECT:
        fprintf(out, "`%s`", key->shape->name);
        break;
    case KEY_LIST:
        fprintf(out, "list of `%s`", key->shape->name);
        break;
    case KEY_MAP:
        fprintf(out, "`%s` by name", key->shape->name);
        break;
    default:
        fputs(names[key->type], out);
        break;
    }
}

static void print_choices(const struct scenario_key *key, FILE *out)
{
    for (uint32_t i = 0; i < key->choices->count; i++) {
        fprintf(out, "%s`%s`", i > 0 ? ", " : "", key->choices->names[i]);
    }
}

static void print_default(const struct scenario_shape *shape, const struct scenario_key *key,
                          FILE *out)
{
    bool is_required = key->required != 0;
    bool is_conditional = key->alternative != 0 ||
                          (key->required != KEY_ALL_VARIANTS && key->required != key->variants);
    if (key->fallback != NULL) {
        fprintf(out, "`%s`", key->fallback);
    } else if (is_required && is_conditional && shape->has_variants) {
        fputs("required for ", out);
        bool has_one = false;
        for (uint32_t i = 0; i < shape->keys[0].choices->count; i++) {
            if (key_is_required(key, i)) {
                fprintf(out, "%s`%s`", has_one ? ", " : "", shape->keys[0].choices->names[i]);
                has_one = true;
            }
        }
    } else if (is_required) {
        fputs("required", out);
    }
}

static void print_limits(const struct scenario_key *key, FILE *out)
{
    switch (key->type) {
    case KEY_INTEGER:
    case KEY_NUMBER: {
        char low[TEXT_DOUBLE_SIZE];
        char high[TEXT_DOUBLE_SIZE];
        text_double(key->min, low);
        text_double(key->max, high);
        fprintf(out, key->min == key->max ? "%s" : "%s to %s", low, high);
        break;
    }
    case KEY_CHANCE:
        fputs("0 to 1", out);
        break;
    case KEY_LIST:
    case KEY_MAP:
        fprintf(out, "%g to %g", key->min, key->max);
        break;
    case KEY_RATE: {
        char *low = quantity_format_rate(key->min);
        char *high = quantity_format_rate(key->max);
        fprintf(out, "%s to %s", low, high);
        free(low);
        free(high);
        break;
    }
    case KEY_QUANTITY:
    case KEY_DIST:
    case KEY_MATRIX: {
        char *low = quantity_format_short(key->quantity, (uint64_t)key->min);
        char *high = quantity_format_short(key->quantity, (uint64_t)key->max);
        fprintf(out, "%s to %s", low, high);
        free(low);
        free(high);
        break;
    }
    default:
        break;
    }
}

/* "Only for model `a`, `b`." or "Excludes `trace`." */
static void print_condition(const struct scenario_shape *shape, const struct scenario_key *key,
                            FILE *out)
{
    if (key->variants != 0) {
        fprintf(out, "Only for %s", shape->keys[0].name);
        bool has_one = false;
        for (uint32_t i = 0; i < shape->keys[0].choices->count; i++) {
            if (key_is_in_variant(key, i)) {
                fprintf(out, "%s `%s`", has_one ? "," : "", shape->keys[0].choices->names[i]);
                has_one = true;
            }
        }
        fputs(". ", out);
    }
    for (size_t i = 0; key->alternative != 0 && i < shape->key_count; i++) {
        uint8_t other = shape->keys[i].alternative;
        if (other != 0 && other != key->alternative) {
            fprintf(out, "Excludes `%s`. ", shape->keys[i].name);
        }
    }
}
