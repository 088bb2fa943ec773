/* nat.c - NAT in scenarios: boxes the file describes, and groups that stand behind kinds of box. */
#include <stdlib.h>
#include <string.h>

#include "node/base/slice.h"
#include "sim/scenario/parse.h"
#include "sim/scenario/relation.h"

#define CALIBRATED          "calibrated"
#define FIREWALL_SHARED_MAX 250 /* public addresses in one /24, with those of the boxes */

/* The mix that gives plain punching the 70 % success measured in the field, and prediction and
 * birthday 90 %: docs/SCENARIOS.md. */
static const struct scenario_share calibrated[] = {
    {.index = SCENARIO_NAT_PRESET + NAPT_PRESET_FULL_CONE, .ratio = 0.12},
    {.index = SCENARIO_NAT_PRESET + NAPT_PRESET_RESTRICTED, .ratio = 0.075},
    {.index = SCENARIO_NAT_PRESET + NAPT_PRESET_PORT_RESTRICTED, .ratio = 0.60},
    {.index = SCENARIO_NAT_PRESET + NAPT_PRESET_SYMMETRIC, .ratio = 0.14},
    {.index = SCENARIO_NAT_PRESET + NAPT_PRESET_SEQUENTIAL, .ratio = 0.035},
    {.index = SCENARIO_NAT_PRESET + NAPT_PRESET_UDP_BLOCKED, .ratio = 0.03},
};
static const struct scenario_chance calibrated_hairpin = {0.25, 1u << 30};
static const struct scenario_chance calibrated_port_mapping = {0.3, 1288490188};
static const struct scenario_chance calibrated_double = {0.1, 429496729};

static uint32_t nat_find(const struct scenario *scenario, const char *name);
static bool share_read(struct loader *loader, const cJSON *member, enum loader_aim aim,
                       struct scenario_share *share);
static char *nat_suggest(const struct loader *loader, const char *name);
static uint32_t box_find(const struct scenario *scenario, const char *name);
static bool box_nest(struct loader *loader, struct scenario_box *box);

const char *scenario_nat_text(const struct scenario *scenario, uint32_t nat)
{
    if (nat == SCENARIO_NAT_PUBLIC) {
        return "public";
    }
    return nat < SCENARIO_NAT_BOX ? napt_preset_text((enum napt_preset)(nat - SCENARIO_NAT_PRESET))
                                  : scenario->boxes[nat - SCENARIO_NAT_BOX].name;
}

bool scenario_is_public(const struct scenario_group *group)
{
    for (uint32_t i = 0; i < group->nat_mix_count; i++) {
        if (group->nat_mix[i].index != SCENARIO_NAT_PUBLIC && group->nat_mix[i].ratio > 0) {
            return false;
        }
    }
    return true;
}

/* A preset that is not known is said when the key is read. */
void start_box(struct loader *loader, const cJSON *object, void *data)
{
    (void)loader;
    struct scenario_box *box = data;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "preset");
    enum napt_preset preset = NAPT_PRESET_PORT_RESTRICTED;
    if (cJSON_IsString(item)) {
        (void)napt_preset_find(item->valuestring, &preset);
    }
    napt_preset_config(preset, &box->config);
    box->outer = SCENARIO_BOX_NONE;
}

void finish_box(struct loader *loader, const cJSON *object, void *data)
{
    (void)object;
    struct scenario_box *box = data;
    const struct scenario *scenario = loader->scenario;
    uint32_t kind = nat_find(scenario, box->name);
    if (kind < SCENARIO_NAT_BOX || strcmp(box->name, CALIBRATED) == 0) {
        loader_complain(loader, REPORT_MT0206, LOADER_KEY, text_format("choose another name"),
                        "\"%s\" is already the name of a kind of NAT", box->name);
    }
    box->config.block_ports = (uint16_t)box->port_block;
    const char *reason;
    if (napt_config_check(&box->config, &reason) != ERR_OK) {
        loader_complain(loader, REPORT_MT0210, LOADER_KEY, NULL, "box \"%s\": %s", box->name,
                        reason);
    }
    if (box->config.is_firewall && box->shared_by > FIREWALL_SHARED_MAX) {
        loader_complain_at(loader, "shared_by", REPORT_MT0210, NULL,
                           "nodes behind a firewall have addresses in one /24: at most %d",
                           FIREWALL_SHARED_MAX);
    }
}

void boxes_nest(struct loader *loader)
{
    struct scenario *scenario = loader->scenario;
    size_t mark = loader_enter(loader, "boxes");
    for (uint32_t i = 0; i < scenario->box_count; i++) {
        struct scenario_box *box = &scenario->boxes[i];
        if (box->behind != NULL) {
            size_t own = loader_enter(loader, box->name);
            (void)loader_enter(loader, "behind");
            (void)box_nest(loader, box);
            loader_leave(loader, own);
        }
    }
    loader_leave(loader, mark);
}

/* Boxes before this one in the list have their outer box, others may not yet: so the way outwards
 * is followed by name. */
static bool box_nest(struct loader *loader, struct scenario_box *box)
{
    const struct scenario *scenario = loader->scenario;
    box->outer = box_find(scenario, box->behind);
    if (box->outer == SCENARIO_BOX_NONE) {
        const char **names = text_alloc(scenario->box_count, sizeof *names);
        for (uint32_t i = 0; i < scenario->box_count; i++) {
            names[i] = scenario->boxes[i].name;
        }
        loader_complain(loader, REPORT_MT0103, LOADER_VALUE,
                        loader_suggest(loader, box->behind, names, scenario->box_count),
                        "there is no box \"%s\"", box->behind);
        free(names);
        return false;
    }
    uint32_t depth = 1;
    for (const struct scenario_box *at = box; at->behind != NULL;) {
        uint32_t outer = box_find(scenario, at->behind);
        if (outer == SCENARIO_BOX_NONE) {
            return false;
        }
        at = &scenario->boxes[outer];
        if (at == box || ++depth > SCENARIO_BOX_DEPTH_MAX) {
            loader_complain(loader, REPORT_MT0210, LOADER_VALUE, NULL,
                            "box \"%s\" stands behind itself, or behind more than %d others",
                            box->name, SCENARIO_BOX_DEPTH_MAX - 1);
            return false;
        }
    }
    return true;
}

static uint32_t box_find(const struct scenario *scenario, const char *name)
{
    for (uint32_t i = 0; i < scenario->box_count; i++) {
        if (strcmp(scenario->boxes[i].name, name) == 0) {
            return i;
        }
    }
    return SCENARIO_BOX_NONE;
}

bool parse_nat(struct loader *loader, const cJSON *item, struct scenario_group *group)
{
    if (!cJSON_IsString(item) && !cJSON_IsObject(item)) {
        parse_complain_type(loader, item, "a kind of NAT or shares of kinds");
        return false;
    }
    if (!cJSON_IsString(item) || strcmp(item->valuestring, CALIBRATED) != 0) {
        return parse_shares(loader, item, share_read, &group->nat_mix, &group->nat_mix_count);
    }
    group->nat_mix_count = array_len(calibrated);
    group->nat_mix = text_alloc(array_len(calibrated), sizeof *group->nat_mix);
    memcpy(group->nat_mix, calibrated, sizeof calibrated);
    shares_accumulate(group->nat_mix, group->nat_mix_count);
    group->nat_hairpin = calibrated_hairpin; /* Keys of their own, read later, replace them. */
    group->nat_port_mapping = calibrated_port_mapping;
    group->nat_double = calibrated_double;
    return true;
}

bool nat_pair_read(struct loader *loader, const char *text, uint32_t pair[2])
{
    const struct scenario *scenario = loader->scenario;
    const char *slash = strchr(text, '/');
    if (slash == NULL) {
        loader_complain(loader, REPORT_MT0302, LOADER_VALUE,
                        text_format("write \"port_restricted/symmetric\""),
                        "\"%s\" names no two kinds of NAT", text);
        return false;
    }
    char *names[] = {text_copy(text, (size_t)(slash - text)),
                     text_copy(slash + 1, strlen(slash + 1))};
    bool is_read = true;
    for (size_t i = 0; i < array_len(names) && is_read; i++) {
        pair[i] = nat_find(scenario, names[i]);
        if (pair[i] >= SCENARIO_NAT_BOX + scenario->box_count) {
            loader_complain(loader, REPORT_MT0103, LOADER_VALUE, nat_suggest(loader, names[i]),
                            "unknown kind of NAT \"%s\"", names[i]);
            is_read = false;
        }
    }
    if (is_read && pair[0] > pair[1]) {
        uint32_t higher = pair[0];
        pair[0] = pair[1];
        pair[1] = higher;
    }
    free(names[0]);
    free(names[1]);
    return is_read;
}

bool nat_has_firewall(const struct scenario *scenario, const struct scenario_group *group)
{
    for (uint32_t i = 0; i < group->nat_mix_count; i++) {
        uint32_t index = group->nat_mix[i].index;
        if (index == SCENARIO_NAT_PRESET + NAPT_PRESET_FIREWALL ||
            (index >= SCENARIO_NAT_BOX &&
             scenario->boxes[index - SCENARIO_NAT_BOX].config.is_firewall)) {
            return true;
        }
    }
    return false;
}

static bool share_read(struct loader *loader, const cJSON *member, enum loader_aim aim,
                       struct scenario_share *share)
{
    const struct scenario *scenario = loader->scenario;
    share->index = nat_find(scenario, member->string);
    if (share->index >= SCENARIO_NAT_BOX + scenario->box_count) {
        loader_complain(loader, REPORT_MT0103, aim, nat_suggest(loader, member->string),
                        "unknown kind of NAT \"%s\"", member->string);
        return false;
    }
    return parse_number(loader, member, 0, 1, &share->ratio);
}

/* UINT32_MAX when there is none. */
static uint32_t nat_find(const struct scenario *scenario, const char *name)
{
    enum napt_preset preset;
    if (strcmp(name, "public") == 0) {
        return SCENARIO_NAT_PUBLIC;
    }
    if (napt_preset_find(name, &preset)) {
        return (uint32_t)SCENARIO_NAT_PRESET + preset;
    }
    uint32_t box = box_find(scenario, name);
    return box == SCENARIO_BOX_NONE ? UINT32_MAX : SCENARIO_NAT_BOX + box;
}

static char *nat_suggest(const struct loader *loader, const char *name)
{
    const struct scenario *scenario = loader->scenario;
    uint32_t kinds = SCENARIO_NAT_BOX + scenario->box_count;
    const char **names = text_alloc(kinds + 1, sizeof *names);
    for (uint32_t i = 0; i < kinds; i++) {
        names[i] = scenario_nat_text(scenario, i);
    }
    names[kinds] = CALIBRATED;
    char *help = loader_suggest(loader, name, names, kinds + 1);
    free(names);
    return help;
}
