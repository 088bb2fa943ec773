/* setup_groups.c - what the nodes of a group are like, when they come and go, and what they do. */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/setup.h"

enum {
    /* A seed is called by everybody who joins: it keeps more sessions and takes more from
       strangers. */
    SEED_SESSIONS_MIN = 256,
    SEED_GUARD_FACTOR = 8,
    SEED_GUARD_SLOTS = 1024,
    GUARD_SLOTS = 16,
    GUARD_BANS = 16,
    KNOWN_PEERS = 20,    /* k: enough to come back by. */
    GOSSIP_BACKOFF = 16, /* period_max over period, as in node_config_default. */
};

static void protocol_set(struct node_config *config, const struct scenario_protocol *protocol);
static void nat_set(struct nat_config *nat, const struct scenario_protocol *protocol);
static void guard_set(struct guard_config *guard, const struct scenario_protocol *protocol);
static void seed_set(struct node_config *config);
static void seeds_choose(struct setup *setup, struct world *world);
static void bootstrap_set(const struct setup *setup, struct node_config *config, uint32_t variant);
static bool churn_set(struct setup *setup, uint32_t index);
static void trace_set(struct setup_group *own, const struct scenario_trace *trace);
static bool work_set(struct setup *setup, struct population_work *work,
                     const struct scenario_workload *workload);
static enum operation_kind kind_of(enum scenario_workload_type type);

bool setup_groups(struct setup *setup, struct world *world)
{
    const struct scenario *scenario = setup->scenario;
    seeds_choose(setup, world);
    for (uint32_t i = 0; i < scenario->group_count; i++) {
        const struct scenario_group *config = &scenario->groups[i];
        struct setup_group *own = &setup->group_setups[i];
        struct population_group *group = &setup->groups[i];
        for (uint32_t variant = 0; variant < setup->variant_count; variant++) {
            protocol_set(&own->configs[variant], &config->protocol);
            /* Where nobody stands behind a box everybody knows that it can be reached. */
            if (config->protocol.reach == SCENARIO_REACH_AUTO && scenario_is_public(config)) {
                own->configs[variant].nat.reach = NAT_REACH_PUBLIC;
            }
            bootstrap_set(setup, &own->configs[variant], variant);
            own->seed_configs[variant] = own->configs[variant];
            seed_set(&own->seed_configs[variant]);
        }
        group->configs = own->configs;
        group->seed_configs = own->seed_configs;
        group->config_count = setup->variant_count;
        bool is_bootstrap = i == scenario->topology.bootstrap_group;
        group->seed_count = is_bootstrap ? setup->seed_count : 0;
        group->origin_us = config->has_join ? config->join.at_us : 0;
        group->ramp_us = config->has_join ? config->join.over_us
                         : is_bootstrap   ? 0
                                          : scenario->topology.join_ramp_us;
        if (config->has_churn && !churn_set(setup, i)) {
            return false;
        }
    }
    return true;
}

bool setup_works(struct setup *setup, struct population_options *options)
{
    static const struct dist_config value_default = {.kind = DIST_CONFIG_CONSTANT, .value = 256};
    const struct scenario *scenario = setup->scenario;
    const struct dist_config *value_config = NULL;
    options->works = setup->works;
    options->work_count = scenario->workload_count;
    for (uint32_t i = 0; i < scenario->workload_count; i++) {
        const struct scenario_workload *workload = &scenario->workloads[i];
        if (!work_set(setup, &setup->works[i], workload)) {
            return false;
        }
        bool is_keyed_store = workload->type == SCENARIO_WORKLOAD_STORE && workload->keys.n > 0;
        if (is_keyed_store && value_config == NULL) {
            value_config = &workload->size_bytes;
        }
        if (workload->keys.n > options->key_count) {
            options->key_count = workload->keys.n;
        }
    }
    value_config = value_config != NULL ? value_config : &value_default;
    options->value_bytes = setup_dist(setup, "workload.size", value_config);
    options->value_expiry_us = UINT64_MAX;
    for (uint32_t i = 0; i < scenario->group_count; i++) {
        uint64_t expiry_us = setup->group_setups[i].configs[0].dht.expiry_s * UINT64_C(1000000);
        if (expiry_us < options->value_expiry_us) {
            options->value_expiry_us = expiry_us;
        }
    }
    return options->value_bytes != NULL;
}

static void protocol_set(struct node_config *config, const struct scenario_protocol *protocol)
{
    node_config_default(config);
    uint64_t expiry_s = protocol->record_expiry_us / 1000000;
    config->dht.k = (uint8_t)protocol->k;
    config->dht.alpha = (uint8_t)protocol->alpha;
    config->dht.path_cache = protocol->path_cache;
    config->ledger.peers_max = protocol->ledger ? config->ledger.peers_max : 0;
    config->dht.republish_us = protocol->republish_us;
    config->dht.refresh_us = protocol->refresh_us;
    config->dht.expiry_s =
        expiry_s < RECORD_EXPIRY_MAX_S ? (uint32_t)expiry_s : RECORD_EXPIRY_MAX_S;
    config->dht.known_max = KNOWN_PEERS;
    config->transport.sessions_max = (uint16_t)protocol->sessions_max;
    config->gossip.period_us = protocol->gossip_period_us;
    config->gossip.period_max_us = protocol->gossip_period_us * GOSSIP_BACKOFF;
    nat_set(&config->nat, protocol);
    guard_set(&config->guard, protocol);
}

static void nat_set(struct nat_config *nat, const struct scenario_protocol *protocol)
{
    static const enum nat_reach reaches[] = {[SCENARIO_REACH_AUTO] = NAT_REACH_AUTO,
                                             [SCENARIO_REACH_PUBLIC] = NAT_REACH_PUBLIC,
                                             [SCENARIO_REACH_CLIENT] = NAT_REACH_CLIENT};
    nat->reach = (uint8_t)reaches[protocol->reach];
    nat->has_punching = protocol->punching;
    nat->has_prediction = protocol->prediction;
    nat->has_stream_punching = protocol->stream_punching;
    nat->birthday_sockets = (uint16_t)protocol->birthday_sockets;
    nat->birthday_probes = (uint16_t)protocol->birthday_probes;
    nat->flows_max = (uint16_t)protocol->flows_max;
}

/* The live node's limits in tables of a size that a hundred thousand nodes can afford. */
static void guard_set(struct guard_config *guard, const struct scenario_protocol *protocol)
{
    guard->groups_max = GUARD_SLOTS;
    guard->peers_max = GUARD_SLOTS;
    guard->bans_max = GUARD_BANS;
    guard->peer_per_minute = protocol->guard_per_minute;
    guard->peer_per_hour = protocol->guard_per_hour;
    /* A limit for the whole address group must not be the tighter one. */
    uint32_t peer_rate = protocol->guard_per_minute / 60;
    if (guard->group_rate < peer_rate * 2) {
        guard->group_rate = peer_rate * 2;
        guard->group_burst = peer_rate < GUARD_BURST_MAX / 4 ? peer_rate * 4 : GUARD_BURST_MAX;
    }
}

static void seed_set(struct node_config *config)
{
    if (config->transport.sessions_max < SEED_SESSIONS_MIN) {
        config->transport.sessions_max = SEED_SESSIONS_MIN;
    }
    config->guard.handshake_rate *= SEED_GUARD_FACTOR;
    config->guard.handshake_burst *= SEED_GUARD_FACTOR;
    config->guard.groups_max = SEED_GUARD_SLOTS;
    config->guard.peers_max = SEED_GUARD_SLOTS;
}

/* The first nodes of the bootstrap group. */
static void seeds_choose(struct setup *setup, struct world *world)
{
    const struct population_group *group =
        &setup->groups[setup->scenario->topology.bootstrap_group];
    setup->seed_count = group->count < SETUP_SEEDS_MAX ? group->count : SETUP_SEEDS_MAX;
    for (uint32_t i = 0; i < setup->seed_count; i++) {
        setup->seeds[i] = world_host(world, group->first + i)->port.local;
    }
    setup->variant_count = (setup->seed_count + SETUP_BOOTSTRAP_KNOWN - 1) / SETUP_BOOTSTRAP_KNOWN;
}

static void bootstrap_set(const struct setup *setup, struct node_config *config, uint32_t variant)
{
    uint32_t first = variant * SETUP_BOOTSTRAP_KNOWN;
    uint32_t left = setup->seed_count - first;
    config->bootstrap = &setup->seeds[first];
    config->bootstrap_count = left < SETUP_BOOTSTRAP_KNOWN ? left : SETUP_BOOTSTRAP_KNOWN;
}

static bool churn_set(struct setup *setup, uint32_t index)
{
    const struct scenario_churn *churn = &setup->scenario->groups[index].churn;
    struct setup_group *own = &setup->group_setups[index];
    struct population_group *group = &setup->groups[index];
    group->churn = &own->churn;
    group->always_on = churn->always_on.threshold;
    if (churn->trace_file != NULL) {
        trace_set(own, &churn->trace);
        return true;
    }
    struct churn_model_spec spec = {
        .session = setup_dist(setup, "churn.session", &churn->session),
        .offline = setup_dist(setup, "churn.offline", &churn->offline),
        .correlation = churn->correlation,
        .is_equilibrium = churn->start == SCENARIO_CHURN_EQUILIBRIUM,
    };
    if (spec.session == NULL || spec.offline == NULL) {
        return false;
    }
    if (churn_model_fill(&own->churn, &spec) != ERR_OK) {
        (void)snprintf(setup->error, setup->error_size, "the churn of group \"%s\" never changes",
                       setup->scenario->groups[index].name);
        return false;
    }
    return true;
}

static void trace_set(struct setup_group *own, const struct scenario_trace *trace)
{
    own->stays = calloc(trace->stay_count + 1u, sizeof *own->stays);
    own->first_stays = calloc(trace->node_count + 1u, sizeof *own->first_stays);
    must(own->stays != NULL && own->first_stays != NULL);
    for (uint32_t i = 0; i < trace->stay_count; i++) {
        const struct scenario_stay *stay = &trace->stays[i];
        own->stays[i] = (struct churn_stay){.start_us = stay->start_us, .end_us = stay->end_us};
        own->first_stays[stay->node + 1]++;
    }
    for (uint32_t i = 0; i < trace->node_count; i++) {
        own->first_stays[i + 1] += own->first_stays[i];
    }
    own->trace = (struct churn_trace){
        .stays = own->stays, .first = own->first_stays, .node_count = trace->node_count};
    churn_model_trace(&own->churn, &own->trace);
}

static bool work_set(struct setup *setup, struct population_work *work,
                     const struct scenario_workload *workload)
{
    struct dist_spec gap = {.kind = DIST_EXPONENTIAL, .mean = 1e6 / workload->rate_per_s};
    *work = (struct population_work){
        .kind = kind_of(workload->type),
        .is_per_node = workload->per == SCENARIO_PER_NODE,
        .group = workload->group == SCENARIO_GROUP_NONE ? POPULATION_ALL : workload->group,
        .gap = setup_dist_fill(setup, "workload.rate", &gap),
        .size_bytes = setup_dist(setup, "workload.size", &workload->size_bytes),
        .key_count = workload->keys.n,
        .from_us = workload->from_us,
        .until_us = workload->until_us};
    if (workload->keys.kind == SCENARIO_KEYS_ZIPF) {
        struct dist_spec ranks = {.kind = DIST_ZIPF, .s = workload->keys.s, .n = workload->keys.n};
        work->ranks = setup_dist_fill(setup, "workload.keys", &ranks);
    }
    return work->gap != NULL && work->size_bytes != NULL &&
           (work->ranks != NULL || workload->keys.kind != SCENARIO_KEYS_ZIPF);
}

static enum operation_kind kind_of(enum scenario_workload_type type)
{
    static const enum operation_kind kinds[] = {[SCENARIO_WORKLOAD_LOOKUP] = OPERATION_LOOKUP,
                                                [SCENARIO_WORKLOAD_GET] = OPERATION_GET,
                                                [SCENARIO_WORKLOAD_STORE] = OPERATION_STORE,
                                                [SCENARIO_WORKLOAD_MESSAGE] = OPERATION_MESSAGE,
                                                [SCENARIO_WORKLOAD_BROADCAST] =
                                                    OPERATION_BROADCAST};
    return kinds[type];
}
