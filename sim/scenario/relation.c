/* relation.c - contradictions between keys, and values that follow from other keys. */
#include "sim/scenario/relation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/scenario/loader.h"
#include "sim/scenario/table.h"

static bool has(const cJSON *object, const char *key);
static void reachable_check(struct loader *loader, const cJSON *object,
                            const struct scenario_topology *topology);
static bool is_after_end(struct loader *loader, const cJSON *object, const char *key,
                         uint64_t at_us);
static void actions_sort(struct scenario *scenario);

void finish_dist(struct loader *loader, const cJSON *object, void *data)
{
    (void)object;
    const struct dist_config *dist = data;
    if (dist->kind == DIST_CONFIG_UNIFORM && dist->max > 0 && dist->min > dist->max) {
        loader_complain(loader, REPORT_MT0210, LOADER_VALUE, NULL, "\"min\" is above \"max\"");
    }
}

void finish_protocol(struct loader *loader, const cJSON *object, void *data)
{
    const struct scenario_protocol *protocol = data;
    if (object == NULL) {
        return; /* defaults agree with each other */
    }
    if (protocol->k > 0 && protocol->alpha > protocol->k) {
        loader_complain_at(loader, has(object, "alpha") ? "alpha" : "k", REPORT_MT0210, NULL,
                           "alpha (%u) is above k (%u)", protocol->alpha, protocol->k);
    }
    if (protocol->record_expiry_us > 0 && protocol->republish_us >= protocol->record_expiry_us) {
        loader_complain_at(loader, has(object, "republish") ? "republish" : "record_expiry",
                           REPORT_MT0207, text_format("set republish below record_expiry"),
                           "records would expire before they are republished");
    }
}

void finish_churn(struct loader *loader, const cJSON *object, void *data)
{
    (void)object;
    struct scenario_churn *churn = data;
    if (churn->trace_file == NULL) {
        return;
    }
    size_t mark = loader_enter(loader, "trace");
    char *path = loader_file_path(loader, churn->trace_file);
    struct table_slip slip = {0};
    bool ok = trace_read(path, &churn->trace, &churn->trace_sha256, &slip);
    if (!ok) {
        loader_complain_table(loader, path, &slip);
    }
    free(path);
    loader_leave(loader, mark);
}

void finish_group(struct loader *loader, const cJSON *object, void *data)
{
    struct scenario_group *group = data;
    const struct scenario *scenario = loader->scenario;
    uint32_t index = (uint32_t)(group - scenario->groups);
    if (group->name != NULL && loader_group_find(loader, group->name) < index) {
        loader_complain_at(loader, "name", REPORT_MT0206, NULL,
                           "there is another group \"%s\" before", group->name);
    }
    if (group->address_group_size > 1 && nat_has_firewall(scenario, group)) {
        loader_complain_at(loader, "address_group_size", REPORT_MT0210, NULL,
                           "behind a firewall each node has a /24 of its own");
    }
    if (!has(object, "region")) {
        region_mix_default(loader, group);
    }
}

void finish_join(struct loader *loader, const cJSON *object, void *data)
{
    const struct scenario_join *join = data;
    (void)is_after_end(loader, object, "at", join->at_us);
}

void finish_topology(struct loader *loader, const cJSON *object, void *data)
{
    struct scenario_topology *topology = data;
    const struct scenario *scenario = loader->scenario;
    if (topology->bootstrap_group == SCENARIO_GROUP_NONE) {
        topology->bootstrap_group = 0;
    }
    uint64_t joiners = 0;
    for (uint32_t i = 0; i < scenario->group_count; i++) {
        bool is_joining = i != topology->bootstrap_group && !scenario->groups[i].has_join;
        joiners += is_joining ? scenario->groups[i].count : 0;
    }
    const char *given = has(object, "join_rate") ? "join_rate" : "join_ramp";
    if (joiners == 0 && topology->source == SCENARIO_SOURCE_BOOTSTRAP && has(object, given) &&
        scenario->group_count > 0) {
        loader_complain_at(loader, given, REPORT_MT0211,
                           text_format("name a smaller bootstrap_group, or leave the key out"),
                           "no node joins: the bootstrap group starts at once");
    }
    reachable_check(loader, object, topology);
    if (topology->join_rate_per_s > 0) {
        topology->join_ramp_us =
            (uint64_t)floor((double)joiners / topology->join_rate_per_s * 1e6 + 0.5);
        topology->join_rate_per_s = 0;
    }
    if (topology->bootstrap_group < scenario->group_count &&
        scenario->groups[topology->bootstrap_group].has_join) {
        const char *key = has(object, "bootstrap_group") ? "bootstrap_group" : "source";
        loader_complain_at(loader, key, REPORT_MT0210,
                           text_format("name a group that has no \"join\""),
                           "the bootstrap group starts at once, but group \"%s\" joins later",
                           scenario->groups[topology->bootstrap_group].name);
    }
}

void finish_workload(struct loader *loader, const cJSON *object, void *data)
{
    struct scenario_workload *workload = data;
    const struct scenario *scenario = loader->scenario;
    if (workload->per == SCENARIO_PER_GROUP && !has(object, "group")) {
        loader_complain(loader, REPORT_MT0102, LOADER_VALUE, NULL,
                        "missing key \"group\": the rate is per group");
    }
    if (workload->per == SCENARIO_PER_NETWORK && has(object, "group")) {
        loader_complain_at(loader, "group", REPORT_MT0210,
                           text_format("a rate that all nodes of a group share is per \"group\""),
                           "the rate is per network, not per group");
    }
    if (workload->type == SCENARIO_WORKLOAD_GET && has(object, "keys") &&
        workload->keys.kind == SCENARIO_KEYS_FRESH) {
        loader_complain_at(loader, "keys", REPORT_MT0210,
                           text_format("use \"uniform\" or \"zipf\", like the store workload"),
                           "a fresh key was never stored, so there is nothing to get");
    }
    bool is_late = is_after_end(loader, object, "from", workload->from_us);
    if (!has(object, "until")) {
        workload->until_us = scenario->duration_us;
    } else if (workload->until_us > scenario->duration_us && scenario->duration_us > 0) {
        loader_complain_at(loader, "until", REPORT_MT0207, NULL, "the run ends before that");
    } else if (!is_late && workload->until_us > 0 && workload->from_us >= workload->until_us) {
        loader_complain_at(loader, "until", REPORT_MT0207, NULL, "\"until\" is not after \"from\"");
    }
}

void finish_action(struct loader *loader, const cJSON *object, void *data)
{
    const struct scenario_action *action = data;
    (void)is_after_end(loader, object, "at", action->at_us);
}

void finish_scenario(struct loader *loader, const cJSON *object, void *data)
{
    struct scenario *scenario = data;
    if (scenario->duration_us > 0 && scenario->warmup_us >= scenario->duration_us) {
        loader_complain_at(loader, "warmup", REPORT_MT0207, NULL,
                           "the run is over before its warm-up");
    }
    boxes_nest(loader);
    uint64_t nodes = 0;
    for (uint32_t i = 0; i < scenario->group_count; i++) {
        nodes += scenario->groups[i].count;
    }
    if (nodes > SCENARIO_NODES_MAX && has(object, "groups")) {
        loader_complain_at(loader, "groups", REPORT_MT0106, NULL,
                           "%llu nodes in all, at most %u are possible", (unsigned long long)nodes,
                           SCENARIO_NODES_MAX);
        return;
    }
    scenario->node_count = (uint32_t)nodes;
    actions_sort(scenario);
}

static bool has(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key) != NULL;
}

/* Newcomers send to the bootstrap group's own addresses, and so do tables that are filled at the
 * start. */
static void reachable_check(struct loader *loader, const cJSON *object,
                            const struct scenario_topology *topology)
{
    const struct scenario *scenario = loader->scenario;
    const char *key = has(object, "bootstrap_group") ? "bootstrap_group" : "source";
    for (uint32_t i = 0; i < scenario->group_count; i++) {
        const struct scenario_group *group = &scenario->groups[i];
        bool is_bootstrap = i == topology->bootstrap_group;
        if (scenario_is_public(group) ||
            (!is_bootstrap && topology->source == SCENARIO_SOURCE_BOOTSTRAP)) {
            continue;
        }
        if (is_bootstrap) {
            loader_complain_at(loader, key, REPORT_MT0210,
                               text_format("name a group whose nodes are all public"),
                               "nobody could join through group \"%s\", whose nodes stand behind "
                               "NAT boxes",
                               group->name);
        } else {
            loader_complain_at(loader, "source", REPORT_MT0210,
                               text_format("use source \"bootstrap\""),
                               "tables cannot be filled with nodes behind NAT boxes, as in group "
                               "\"%s\"",
                               group->name);
        }
        return;
    }
}

/* Complains about a moment the run never reaches. */
static bool is_after_end(struct loader *loader, const cJSON *object, const char *key,
                         uint64_t at_us)
{
    uint64_t end_us = loader->scenario->duration_us;
    bool is_late = end_us > 0 && at_us >= end_us && has(object, key);
    if (is_late) {
        loader_complain_at(loader, key, REPORT_MT0207, NULL, "the run ends before that");
    }
    return is_late;
}

/* By insertion: few, mostly sorted, and equal times must keep the order of the file. */
static void actions_sort(struct scenario *scenario)
{
    for (uint32_t i = 1; i < scenario->action_count; i++) {
        struct scenario_action moving = scenario->actions[i];
        uint32_t at = i;
        while (at > 0 && scenario->actions[at - 1].at_us > moving.at_us) {
            scenario->actions[at] = scenario->actions[at - 1];
            at--;
        }
        scenario->actions[at] = moving;
    }
}
