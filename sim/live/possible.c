/* possible.c - the limits of loopback and of a node with its default settings. */
#include "sim/live/possible.h"

#include "node/node.h"
#include "sim/live/script.h"

enum {
    /* One way, between two nodes: loopback takes less, and the simulator's least is a millisecond.
     */
    LATENCY_MAX_US = 1000,
};

static const char *wrong_network(const struct scenario *scenario);
static const char *wrong_group(const struct scenario_group *group);
static const char *wrong_protocol(const struct scenario_protocol *protocol);

bool live_is_possible(const struct scenario *scenario, char *reason, size_t reason_size)
{
    if (scenario->node_count > LIVE_NODES_MAX) {
        snprintf(reason, reason_size, "%u nodes are too many processes for one machine: at most %d",
                 scenario->node_count, LIVE_NODES_MAX);
        return false;
    }
    const char *wrong = scenario->topology.source == SCENARIO_SOURCE_PREBUILT
                            ? "topology.source \"prebuilt\": real nodes have to join"
                            : wrong_network(scenario);
    for (uint32_t i = 0; i < scenario->group_count && wrong == NULL; i++) {
        wrong = wrong_group(&scenario->groups[i]);
    }
    if (wrong != NULL) {
        snprintf(reason, reason_size, "%s", wrong);
    }
    return wrong == NULL;
}

static bool is_at_most(const struct dist_config *dist, uint64_t max_us)
{
    return dist->kind == DIST_CONFIG_CONSTANT && dist->value <= max_us;
}

static const char *wrong_network(const struct scenario *scenario)
{
    const struct scenario_latency *latency = &scenario->network.latency;
    if (latency->model != SCENARIO_LATENCY_CONSTANT ||
        !is_at_most(&latency->one_way, LATENCY_MAX_US) || !is_at_most(&latency->jitter, 0)) {
        return "network.latency: loopback has no distances; use a constant of at most 2ms";
    }
    if (scenario->network.loss.model != SCENARIO_LOSS_NONE) {
        return "network.loss: loopback loses nothing";
    }
    return NULL;
}

static const char *wrong_group(const struct scenario_group *group)
{
    if (!is_at_most(&group->link.latency, LATENCY_MAX_US) || group->link.loss.ratio > 0) {
        return "groups.link: loopback has neither a latency above 1ms nor losses";
    }
    if (!scenario_is_public(group)) {
        return "groups.nat: loopback has no NAT boxes";
    }
    return wrong_protocol(&group->protocol);
}

/* The processes run with the settings that every node has by default. */
static const char *wrong_protocol(const struct scenario_protocol *protocol)
{
    struct node_config config;
    node_config_default(&config);
    if (protocol->k != config.dht.k || protocol->alpha != config.dht.alpha ||
        protocol->path_cache != config.dht.path_cache) {
        return "protocol: k, alpha and path_cache must be those of a live node (20, 3, true)";
    }
    if (protocol->refresh_us != config.dht.refresh_us ||
        protocol->republish_us != config.dht.republish_us ||
        protocol->record_expiry_us != config.dht.expiry_s * UINT64_C(1000000)) {
        return "protocol: refresh, republish and record_expiry must be those of a live node (10m, "
               "1h, 24h)";
    }
    if (protocol->guard_per_minute != config.guard.peer_per_minute ||
        protocol->guard_per_hour != config.guard.peer_per_hour) {
        return "protocol: guard_per_minute and guard_per_hour must be those of a live node (100, "
               "1000)";
    }
    if (protocol->sessions_max != config.transport.sessions_max ||
        protocol->gossip_period_us != config.gossip.period_us) {
        return "protocol: sessions_max and gossip_period must be those of a live node (256, 30s)";
    }
    return NULL;
}
