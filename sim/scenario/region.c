/* region.c - regions: the latency models that define them and the groups that mix them. */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/scenario/parse.h"
#include "sim/scenario/relation.h"
#include "sim/scenario/table.h"

#define PAIR_MISSING UINT32_MAX

static uint32_t region_find(const struct scenario_latency *latency, const char *name, size_t len);
static uint32_t region_add(struct scenario_latency *latency, const char *name, size_t len);
static void weights_even(struct scenario_latency *latency);
static bool pair_names_read(struct loader *loader, const cJSON *matrix,
                            struct scenario_latency *latency);
static bool is_region_name(const char *name, size_t len);
static bool pair_read(struct loader *loader, const cJSON *pair, const struct scenario_key *key,
                      struct scenario_latency *latency);
static bool pairs_complete(struct loader *loader, const struct scenario_latency *latency);
static bool share_read(struct loader *loader, const cJSON *member, enum loader_aim aim,
                       struct scenario_share *share);
static bool place_read(struct loader *loader, const cJSON *member,
                       struct scenario_latency *latency);
static void matrix_load(struct loader *loader, struct scenario_latency *latency);

void finish_latency(struct loader *loader, const cJSON *object, void *data)
{
    (void)object;
    struct scenario_latency *latency = data;
    if (latency->model == SCENARIO_LATENCY_CONSTANT) {
        (void)region_add(latency, "all", 3);
        weights_even(latency);
        const struct dist_config *value = &latency->value;
        latency->one_way = (struct dist_config){.kind = value->kind,
                                                .value = value->value / 2,
                                                .min = value->min / 2,
                                                .max = value->max / 2,
                                                .mean = value->mean / 2,
                                                .median = value->median / 2,
                                                .scale = value->scale / 2,
                                                .sigma = value->sigma,
                                                .shape = value->shape};
    } else if (latency->model == SCENARIO_LATENCY_MATRIX_CSV && latency->file != NULL) {
        size_t mark = loader_enter(loader, "file");
        matrix_load(loader, latency);
        loader_leave(loader, mark);
    }
}

static void matrix_load(struct loader *loader, struct scenario_latency *latency)
{
    char *path = loader_file_path(loader, latency->file);
    struct table_slip slip = {0};
    if (!matrix_read(path, latency, &slip)) {
        loader_complain_table(loader, path, &slip);
    }
    free(path);
}

bool parse_matrix(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                  struct scenario_latency *latency)
{
    if (!cJSON_IsObject(item)) {
        parse_complain_type(loader, item, "an object of \"a-b\" pairs");
        return false;
    }
    if (!pair_names_read(loader, item, latency)) {
        return false;
    }
    if (latency->region_count == 0) {
        loader_complain(loader, REPORT_MT0112, LOADER_VALUE, NULL, "the matrix has no pairs");
        return false;
    }
    size_t cells = (size_t)latency->region_count * latency->region_count;
    latency->one_way_us = text_alloc(cells, sizeof *latency->one_way_us);
    memset(latency->one_way_us, 0xff, cells * sizeof *latency->one_way_us);
    weights_even(latency);
    bool ok = true;
    const cJSON *pair;
    cJSON_ArrayForEach(pair, item)
    {
        if (!parse_is_free(pair)) {
            size_t mark = loader_enter(loader, pair->string);
            ok = pair_read(loader, pair, key, latency) && ok;
            loader_leave(loader, mark);
        }
    }
    return ok && pairs_complete(loader, latency);
}

/* Regions are numbered in the order in which the pairs mention them. */
static bool pair_names_read(struct loader *loader, const cJSON *matrix,
                            struct scenario_latency *latency)
{
    bool ok = true;
    const cJSON *pair;
    cJSON_ArrayForEach(pair, matrix)
    {
        if (parse_is_free(pair)) {
            continue;
        }
        const char *name = pair->string;
        const char *dash = strchr(name, '-');
        size_t mark = loader_enter(loader, name);
        if (dash == NULL || !is_region_name(name, (size_t)(dash - name)) ||
            !is_region_name(dash + 1, strlen(dash + 1))) {
            loader_complain(loader, REPORT_MT0109, LOADER_KEY,
                            text_format("names of lower-case letters, digits and '_', for example "
                                        "\"eu-us\""),
                            "\"%s\" is not a pair of regions", name);
            ok = false;
        } else if (region_add(latency, name, (size_t)(dash - name)) == PAIR_MISSING ||
                   region_add(latency, dash + 1, strlen(dash + 1)) == PAIR_MISSING) {
            loader_complain(loader, REPORT_MT0106, LOADER_KEY, NULL, "more than %d regions",
                            SCENARIO_REGIONS_MAX);
            ok = false;
        }
        loader_leave(loader, mark);
    }
    return ok;
}

static bool is_region_name(const char *name, size_t len)
{
    return len >= 1 && len <= 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") >= len;
}

static bool pair_read(struct loader *loader, const cJSON *pair, const struct scenario_key *key,
                      struct scenario_latency *latency)
{
    uint64_t rtt_us;
    if (!parse_quantity(loader, pair, key, &rtt_us)) {
        rtt_us = 0; /* and go on: the pair is there, if wrong */
    }
    const char *dash = strchr(pair->string, '-');
    uint32_t from = region_find(latency, pair->string, (size_t)(dash - pair->string));
    uint32_t to = region_find(latency, dash + 1, strlen(dash + 1));
    uint32_t *there = &latency->one_way_us[from * latency->region_count + to];
    uint32_t *back = &latency->one_way_us[to * latency->region_count + from];
    if (*there != PAIR_MISSING) {
        loader_complain(loader, REPORT_MT0209, LOADER_KEY,
                        text_format("a round trip has no direction: keep one of the two"),
                        "the pair \"%s\" is given in both orders", pair->string);
        return false;
    }
    *there = (uint32_t)(rtt_us / 2);
    *back = *there;
    return true;
}

static bool pairs_complete(struct loader *loader, const struct scenario_latency *latency)
{
    for (uint32_t from = 0; from < latency->region_count; from++) {
        for (uint32_t to = from; to < latency->region_count; to++) {
            if (latency->one_way_us[from * latency->region_count + to] == PAIR_MISSING) {
                loader_complain(loader, REPORT_MT0209, LOADER_VALUE,
                                text_format("every pair is needed, also a region with itself"),
                                "the pair \"%s-%s\" is missing", latency->regions[from].name,
                                latency->regions[to].name);
                return false;
            }
        }
    }
    return true;
}

bool parse_coordinates(struct loader *loader, const cJSON *item, struct scenario_latency *latency)
{
    if (!cJSON_IsObject(item)) {
        parse_complain_type(loader, item, "an object of places");
        return false;
    }
    uint32_t before = loader->report->error_count;
    latency->coordinates = text_alloc(SCENARIO_REGIONS_MAX, sizeof *latency->coordinates);
    const cJSON *member;
    cJSON_ArrayForEach(member, item)
    {
        if (!parse_is_free(member)) {
            size_t mark = loader_enter(loader, member->string);
            (void)place_read(loader, member, latency);
            loader_leave(loader, mark);
        }
    }
    if (latency->region_count == 0 && loader->report->error_count == before) {
        loader_complain(loader, REPORT_MT0112, LOADER_VALUE, NULL, "there are no places");
    }
    weights_even(latency);
    return loader->report->error_count == before;
}

static bool place_read(struct loader *loader, const cJSON *member, struct scenario_latency *latency)
{
    const char *name = member->string;
    if (!is_region_name(name, strlen(name))) {
        loader_complain(loader, REPORT_MT0109, LOADER_KEY,
                        text_format("lower-case letters, digits and '_'"),
                        "\"%s\" is not the name of a region", name);
        return false;
    }
    uint32_t region = region_add(latency, name, strlen(name));
    if (region == PAIR_MISSING) {
        loader_complain(loader, REPORT_MT0106, LOADER_KEY, NULL, "more than %d regions",
                        SCENARIO_REGIONS_MAX);
        return false;
    }
    if (!cJSON_IsArray(member) || cJSON_GetArraySize(member) != 2) {
        parse_complain_type(loader, member, "[latitude, longitude]");
        return false;
    }
    struct scenario_coordinates *place = &latency->coordinates[region];
    size_t mark = loader_enter_index(loader, 0);
    bool ok = parse_number(loader, member->child, -90, 90, &place->latitude);
    loader_leave(loader, mark);
    (void)loader_enter_index(loader, 1);
    ok = parse_number(loader, member->child->next, -180, 180, &place->longitude) && ok;
    loader_leave(loader, mark);
    return ok;
}

/* The region's number, PAIR_MISSING when there is no such region. */
static uint32_t region_find(const struct scenario_latency *latency, const char *name, size_t len)
{
    for (uint32_t i = 0; i < latency->region_count; i++) {
        const char *known = latency->regions[i].name;
        if (strlen(known) == len && memcmp(known, name, len) == 0) {
            return i;
        }
    }
    return PAIR_MISSING;
}

/* The same, adding it; PAIR_MISSING when there are too many. */
static uint32_t region_add(struct scenario_latency *latency, const char *name, size_t len)
{
    uint32_t region = region_find(latency, name, len);
    if (region != PAIR_MISSING || latency->region_count == SCENARIO_REGIONS_MAX) {
        return region;
    }
    region = latency->region_count++;
    latency->regions = text_grow(latency->regions, region, sizeof *latency->regions);
    latency->regions[region] = (struct scenario_region){.name = text_copy(name, len)};
    return region;
}

static void weights_even(struct scenario_latency *latency)
{
    for (uint32_t i = 0; i < latency->region_count; i++) {
        latency->regions[i].weight = 1.0 / latency->region_count;
    }
}

bool parse_mix(struct loader *loader, const cJSON *item, struct scenario_group *group)
{
    if (!cJSON_IsString(item) && !cJSON_IsObject(item)) {
        parse_complain_type(loader, item, "a region or shares of regions");
        return false;
    }
    if (loader->scenario->network.latency.region_count == 0) {
        return false; /* the latency model itself is wrong, which is said already */
    }
    return parse_shares(loader, item, share_read, &group->region_mix, &group->region_mix_count);
}

static bool share_read(struct loader *loader, const cJSON *member, enum loader_aim aim,
                       struct scenario_share *share)
{
    const struct scenario_latency *latency = &loader->scenario->network.latency;
    const char *name = member->string;
    share->index = region_find(latency, name, strlen(name));
    if (share->index == PAIR_MISSING) {
        const char **known = text_alloc(latency->region_count, sizeof *known);
        for (uint32_t i = 0; i < latency->region_count; i++) {
            known[i] = latency->regions[i].name;
        }
        loader_complain(loader, REPORT_MT0202, aim,
                        loader_suggest(loader, name, known, latency->region_count),
                        "the latency model has no region \"%s\"", name);
        free(known);
        return false;
    }
    return parse_number(loader, member, 0, 1, &share->ratio);
}

void region_mix_default(struct loader *loader, struct scenario_group *group)
{
    const struct scenario_latency *latency = &loader->scenario->network.latency;
    if (group->region_mix != NULL || latency->region_count == 0) {
        return;
    }
    group->region_mix = text_alloc(latency->region_count, sizeof *group->region_mix);
    group->region_mix_count = latency->region_count;
    for (uint32_t i = 0; i < latency->region_count; i++) {
        group->region_mix[i] =
            (struct scenario_share){.index = i, .ratio = latency->regions[i].weight};
    }
    shares_accumulate(group->region_mix, group->region_mix_count);
}
