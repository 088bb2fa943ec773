/* resolve.c - the struct, written back: the resolved file, its hash, and its flat parameters. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "sim/scenario/descriptor.h"
#include "sim/scenario/json.h"
#include "sim/scenario/json_write.h"
#include "sim/scenario/scenario.h"

/* Exactly one of `writer` and `visit` is set: the same walk serves the file and the parameters. */
struct sink {
    const struct scenario *scenario;
    struct json_writer *writer;
    scenario_param_fn visit;
    void *arg;
    struct text pointer;
    bool is_identity; /* leave out what cannot change a run */
};

static void walk_shape(struct sink *sink, const struct scenario_shape *shape, const void *data);
static void walk_key(struct sink *sink, const struct scenario_key *key, const void *data);
static void walk_scalar(struct sink *sink, const struct scenario_key *key, const void *at);
static void walk_object(struct sink *sink, const struct scenario_key *key, const void *data);
static void walk_list(struct sink *sink, const struct scenario_key *key, const void *data);
static void walk_flags(struct sink *sink, const struct scenario_key *key, uint32_t flags);
static void walk_dist(struct sink *sink, const struct scenario_key *key,
                      const struct dist_config *dist);
static void walk_file(struct sink *sink, const struct scenario_key *key, const void *data);
static void walk_map(struct sink *sink, const struct scenario_key *key, const void *data);
static void walk_mix(struct sink *sink, const struct scenario_key *key,
                     const struct scenario_group *group);
static void walk_nat(struct sink *sink, const struct scenario_key *key,
                     const struct scenario_group *group);
static void walk_select(struct sink *sink, const struct scenario_key *key,
                        const struct scenario_select *select);
static void walk_matrix(struct sink *sink, const struct scenario_key *key,
                        const struct scenario_latency *latency);
static void walk_coordinates(struct sink *sink, const struct scenario_key *key,
                             const struct scenario_latency *latency);
static void walk_thresholds(struct sink *sink, const struct scenario_key *key,
                            const struct scenario *scenario);
static size_t open_member(struct sink *sink, const char *key, char bracket);
static size_t open_element(struct sink *sink, size_t index, char bracket);
static void close_bracket(struct sink *sink, size_t mark, char bracket);
static void put_text(struct sink *sink, const char *key, const char *text);
static void put_number(struct sink *sink, const char *key, double value, const char *unit);
static void put_bool(struct sink *sink, const char *key, bool value);
static void put_quantity(struct sink *sink, const char *key, enum quantity_kind kind,
                         uint64_t value);
static void put_rate(struct sink *sink, const char *key, double per_s);
static void put_param(struct sink *sink, const char *key, const char *text, double value,
                      const char *unit);

void scenario_print_resolved(const struct scenario *scenario, FILE *out)
{
    struct json_writer writer;
    json_write_start(&writer, out);
    struct sink sink = {.scenario = scenario, .writer = &writer};
    json_write_open(&writer, NULL, '{');
    walk_shape(&sink, &scenario_shape, scenario);
    json_write_close(&writer, '}');
    fputc('\n', out);
}

void scenario_sha256(const struct scenario *scenario, char text[SCENARIO_SHA256_SIZE])
{
    char *data = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&data, &len);
    must(memory != NULL);
    struct json_writer writer;
    json_write_start(&writer, memory);
    struct sink sink = {.scenario = scenario, .writer = &writer, .is_identity = true};
    json_write_open(&writer, NULL, '{');
    walk_shape(&sink, &scenario_shape, scenario);
    json_write_close(&writer, '}');
    int failed = fclose(memory);
    must(failed == 0);
    text_sha256(data, len, text);
    free(data);
}

void scenario_visit_params(const struct scenario *scenario, scenario_param_fn visit, void *arg)
{
    struct sink sink = {.scenario = scenario, .visit = visit, .arg = arg};
    text_add(&sink.pointer, "%s", "");
    walk_shape(&sink, &scenario_shape, scenario);
    free(sink.pointer.data);
}

static void walk_shape(struct sink *sink, const struct scenario_shape *shape, const void *data)
{
    uint32_t variant = 0;
    if (shape->has_variants) {
        memcpy(&variant, (const char *)data + shape->keys[0].offset, sizeof variant);
    }
    uint8_t alternative = shape->alternative != NULL ? shape->alternative(data) : 0;
    for (size_t i = 0; i < shape->key_count; i++) {
        const struct scenario_key *key = &shape->keys[i];
        bool is_other = key->alternative != 0 && key->alternative != alternative;
        bool is_hidden = sink->is_identity && key->is_cosmetic;
        if (key_is_in_variant(key, variant) && !is_other && !is_hidden) {
            walk_key(sink, key, data);
        }
    }
}

static void walk_key(struct sink *sink, const struct scenario_key *key, const void *data)
{
    if (key->offset == KEY_NOWHERE) {
        if (key->type == KEY_INTEGER) {
            put_number(sink, key->name, key->min, "");
        }
        return;
    }
    const void *at = (const char *)data + key->offset;
    switch (key->type) {
    case KEY_OBJECT:
        walk_object(sink, key, data);
        break;
    case KEY_LIST:
        walk_list(sink, key, data);
        break;
    case KEY_FLAGS:
        walk_flags(sink, key, *(const uint32_t *)at);
        break;
    case KEY_DIST:
        walk_dist(sink, key, at);
        break;
    case KEY_FILE:
        walk_file(sink, key, data);
        break;
    case KEY_MAP:
        walk_map(sink, key, data);
        break;
    case KEY_MIX:
        walk_mix(sink, key, data);
        break;
    case KEY_NAT:
        walk_nat(sink, key, data);
        break;
    case KEY_SELECT:
        walk_select(sink, key, at);
        break;
    case KEY_MATRIX:
        walk_matrix(sink, key, data);
        break;
    case KEY_COORDINATES:
        walk_coordinates(sink, key, data);
        break;
    case KEY_THRESHOLDS:
        walk_thresholds(sink, key, data);
        break;
    default:
        walk_scalar(sink, key, at);
        break;
    }
}

/* What is absent without a default is NULL or no group, and not written. */
static void walk_scalar(struct sink *sink, const struct scenario_key *key, const void *at)
{
    switch (key->type) {
    case KEY_BOOL:
        put_bool(sink, key->name, *(const bool *)at);
        break;
    case KEY_INTEGER:
        put_number(sink, key->name, *(const uint32_t *)at, "");
        break;
    case KEY_NUMBER:
        put_number(sink, key->name, *(const double *)at, "");
        break;
    case KEY_CHANCE:
        if (!key->hides_default || ((const struct scenario_chance *)at)->ratio > 0) {
            put_number(sink, key->name, ((const struct scenario_chance *)at)->ratio, "ratio");
        }
        break;
    case KEY_SEED: {
        char *text = text_format("0x%016llx", (unsigned long long)*(const uint64_t *)at);
        put_text(sink, key->name, text);
        free(text);
        break;
    }
    case KEY_QUANTITY:
        put_quantity(sink, key->name, key->quantity, *(const uint64_t *)at);
        break;
    case KEY_RATE:
        put_rate(sink, key->name, *(const double *)at);
        break;
    case KEY_ENUM:
        put_text(sink, key->name, key->choices->names[*(const uint32_t *)at]);
        break;
    case KEY_GROUP:
        if (*(const uint32_t *)at != SCENARIO_GROUP_NONE) {
            put_text(sink, key->name, sink->scenario->groups[*(const uint32_t *)at].name);
        }
        break;
    default: /* strings */
        if (*(char *const *)at != NULL) {
            put_text(sink, key->name, *(char *const *)at);
        }
        break;
    }
}

static void walk_object(struct sink *sink, const struct scenario_key *key, const void *data)
{
    if (key->extra != KEY_NOWHERE && !*(const bool *)((const char *)data + key->extra)) {
        return;
    }
    size_t mark = open_member(sink, key->name, '{');
    walk_shape(sink, key->shape, (const char *)data + key->offset);
    close_bracket(sink, mark, '}');
}

static void walk_list(struct sink *sink, const struct scenario_key *key, const void *data)
{
    const char *elements = *(char *const *)(const void *)((const char *)data + key->offset);
    uint32_t count = *(const uint32_t *)(const void *)((const char *)data + key->extra);
    size_t list = open_member(sink, key->name, '[');
    for (uint32_t i = 0; i < count; i++) {
        size_t mark = open_element(sink, i, '{');
        walk_shape(sink, key->shape, elements + i * key->shape->size);
        close_bracket(sink, mark, '}');
    }
    close_bracket(sink, list, ']');
}

/* Without an element it is not there at all, as the format wants it. */
static void walk_map(struct sink *sink, const struct scenario_key *key, const void *data)
{
    const char *elements = *(char *const *)(const void *)((const char *)data + key->offset);
    uint32_t count = *(const uint32_t *)(const void *)((const char *)data + key->extra);
    if (count == 0) {
        return;
    }
    size_t map = open_member(sink, key->name, '{');
    for (uint32_t i = 0; i < count; i++) {
        const char *element = elements + i * key->shape->size;
        size_t mark = open_member(sink, *(char *const *)(const void *)element, '{');
        walk_shape(sink, key->shape, element);
        close_bracket(sink, mark, '}');
    }
    close_bracket(sink, map, '}');
}

static void walk_flags(struct sink *sink, const struct scenario_key *key, uint32_t flags)
{
    size_t mark = open_member(sink, key->name, '[');
    size_t index = 0;
    for (uint32_t i = 0; i < key->choices->count; i++) {
        if ((flags & (1u << i)) == 0) {
            continue;
        }
        if (sink->writer != NULL) {
            json_write_string(sink->writer, NULL, key->choices->names[i]);
        } else {
            char *element = text_format("%zu", index++);
            put_param(sink, element, key->choices->names[i], NAN, "");
            free(element);
        }
    }
    close_bracket(sink, mark, ']');
}

static void walk_dist(struct sink *sink, const struct scenario_key *key,
                      const struct dist_config *dist)
{
    if (dist->kind == DIST_CONFIG_CONSTANT) {
        put_quantity(sink, key->name, key->quantity, dist->value);
        return;
    }
    size_t mark = open_member(sink, key->name, '{');
    walk_shape(sink, key->shape, dist);
    close_bracket(sink, mark, '}');
}

/* The file by name and by what was in it; a key with "x-" is free, so the result still loads. */
static void walk_file(struct sink *sink, const struct scenario_key *key, const void *data)
{
    const char *file = *(char *const *)(const void *)((const char *)data + key->offset);
    const char *sha256 = *(char *const *)(const void *)((const char *)data + key->extra);
    put_text(sink, key->name, file);
    char *name = text_format("x-%s-sha256", key->name);
    put_text(sink, name, sha256);
    free(name);
}

static void walk_mix(struct sink *sink, const struct scenario_key *key,
                     const struct scenario_group *group)
{
    size_t mark = open_member(sink, key->name, '{');
    for (uint32_t i = 0; i < group->region_mix_count; i++) {
        const struct scenario_share *share = &group->region_mix[i];
        const char *name = sink->scenario->network.latency.regions[share->index].name;
        put_number(sink, name, share->ratio, "ratio");
    }
    close_bracket(sink, mark, '}');
}

static void walk_nat(struct sink *sink, const struct scenario_key *key,
                     const struct scenario_group *group)
{
    if (group->nat_mix_count == 0) {
        return;
    }
    size_t mark = open_member(sink, key->name, '{');
    for (uint32_t i = 0; i < group->nat_mix_count; i++) {
        const struct scenario_share *share = &group->nat_mix[i];
        put_number(sink, scenario_nat_text(sink->scenario, share->index), share->ratio, "ratio");
    }
    close_bracket(sink, mark, '}');
}

static void walk_select(struct sink *sink, const struct scenario_key *key,
                        const struct scenario_select *select)
{
    if (select->kind != SCENARIO_SELECT_GROUP) {
        put_text(sink, key->name, select->kind == SCENARIO_SELECT_ALL ? "all" : "holders");
        return;
    }
    char *text = text_format("group:%s", sink->scenario->groups[select->group].name);
    put_text(sink, key->name, text);
    free(text);
}

static void walk_matrix(struct sink *sink, const struct scenario_key *key,
                        const struct scenario_latency *latency)
{
    size_t mark = open_member(sink, key->name, '{');
    for (uint32_t from = 0; from < latency->region_count; from++) {
        for (uint32_t to = from; to < latency->region_count; to++) {
            char *pair =
                text_format("%s-%s", latency->regions[from].name, latency->regions[to].name);
            uint64_t one_way_us = latency->one_way_us[from * latency->region_count + to];
            put_quantity(sink, pair, QUANTITY_DURATION, 2 * one_way_us);
            free(pair);
        }
    }
    close_bracket(sink, mark, '}');
}

static void walk_coordinates(struct sink *sink, const struct scenario_key *key,
                             const struct scenario_latency *latency)
{
    size_t all = open_member(sink, key->name, '{');
    for (uint32_t i = 0; i < latency->region_count; i++) {
        double pair[2] = {latency->coordinates[i].latitude, latency->coordinates[i].longitude};
        size_t mark = open_member(sink, latency->regions[i].name, '[');
        for (size_t j = 0; j < 2; j++) {
            if (sink->writer != NULL) {
                json_write_number(sink->writer, NULL, pair[j]);
            } else {
                put_number(sink, j == 0 ? "0" : "1", pair[j], "");
            }
        }
        close_bracket(sink, mark, ']');
    }
    close_bracket(sink, all, '}');
}

/* Thresholds of one metric follow each other, as they did in the file. */
static void walk_thresholds(struct sink *sink, const struct scenario_key *key,
                            const struct scenario *scenario)
{
    size_t all = open_member(sink, key->name, '{');
    uint32_t i = 0;
    while (i < scenario->threshold_count) {
        enum metric_id metric = scenario->thresholds[i].metric;
        size_t list = open_member(sink, metric_info(metric)->name, '[');
        for (size_t index = 0;
             i < scenario->threshold_count && scenario->thresholds[i].metric == metric; i++) {
            size_t mark = open_element(sink, index++, '{');
            walk_shape(sink, key->shape, &scenario->thresholds[i]);
            close_bracket(sink, mark, '}');
        }
        close_bracket(sink, list, ']');
    }
    close_bracket(sink, all, '}');
}

static size_t open_member(struct sink *sink, const char *key, char bracket)
{
    size_t mark = sink->pointer.len;
    if (sink->writer != NULL) {
        json_write_open(sink->writer, key, bracket);
    } else {
        char *segment = json_pointer_encode(key);
        text_add(&sink->pointer, "/%s", segment);
        free(segment);
    }
    return mark;
}

static size_t open_element(struct sink *sink, size_t index, char bracket)
{
    size_t mark = sink->pointer.len;
    if (sink->writer != NULL) {
        json_write_open(sink->writer, NULL, bracket);
    } else {
        text_add(&sink->pointer, "/%zu", index);
    }
    return mark;
}

static void close_bracket(struct sink *sink, size_t mark, char bracket)
{
    if (sink->writer != NULL) {
        json_write_close(sink->writer, bracket);
    } else {
        text_cut(&sink->pointer, mark);
    }
}

static void put_text(struct sink *sink, const char *key, const char *text)
{
    if (sink->writer != NULL) {
        json_write_string(sink->writer, key, text);
    } else {
        put_param(sink, key, text, NAN, "");
    }
}

static void put_number(struct sink *sink, const char *key, double value, const char *unit)
{
    if (sink->writer != NULL) {
        json_write_number(sink->writer, key, value);
    } else {
        char text[TEXT_DOUBLE_SIZE];
        text_double(value, text);
        put_param(sink, key, text, value, unit);
    }
}

static void put_bool(struct sink *sink, const char *key, bool value)
{
    if (sink->writer != NULL) {
        json_write_bool(sink->writer, key, value);
    } else {
        put_param(sink, key, value ? "true" : "false", value ? 1 : 0, "");
    }
}

static void put_quantity(struct sink *sink, const char *key, enum quantity_kind kind,
                         uint64_t value)
{
    char *text = quantity_format(kind, value);
    if (sink->writer != NULL) {
        json_write_string(sink->writer, key, text);
    } else {
        const char *unit = kind == QUANTITY_BYTES ? "bytes" : quantity_base_unit(kind);
        put_param(sink, key, text, (double)value, unit);
    }
    free(text);
}

static void put_rate(struct sink *sink, const char *key, double per_s)
{
    char *text = quantity_format_rate(per_s);
    if (sink->writer != NULL) {
        json_write_string(sink->writer, key, text);
    } else {
        put_param(sink, key, text, per_s, "1/s");
    }
    free(text);
}

static void put_param(struct sink *sink, const char *key, const char *text, double value,
                      const char *unit)
{
    size_t mark = open_member(sink, key, '{');
    struct scenario_param param = {
        .pointer = sink->pointer.data, .value_text = text, .value_num = value, .unit = unit};
    sink->visit(sink->arg, &param);
    close_bracket(sink, mark, '}');
}
