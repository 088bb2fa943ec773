/* sim.c - a run's life: set up, driven from barrier to barrier, finished. */
#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/sodium/sodium_suite.h"
#include "sim/run.h"

/* Unix time at simulated time 0: 2025-01-01 00:00 UTC. Any constant does; it is never the real one.
 */
#define WALL_START_US           (UINT64_C(1735689600) * 1000000)
/* A node's declared maximum: four times what a seed with full tables and records has been seen
 * with. */
#define NODE_BYTES_MAX          (8u << 20)
/* Room for contacts where NAT boxes give nodes many addresses; 88 bytes each once used. */
#define BOXED_CONTACTS_PER_NODE 4096
#define BOXED_CONTACTS_MAX      (1u << 26)

static bool world_make(struct sim *sim, char *error, size_t error_size);
static uint32_t contacts_max(const struct scenario *scenario);
static bool population_make(struct sim *sim);
static void on_delivered(void *arg, struct host *host, const struct port_event *event);
static void on_scripted(void *arg, struct host *host, uint32_t what);
static void on_dispatched(void *arg, const struct event *event, uint32_t kind, struct slice bytes,
                          uint64_t chain);
static void barrier(struct sim *sim);
static uint64_t barrier_after(const struct sim *sim, uint64_t now_us);
static void act(struct sim *sim, const struct scenario_action *action, uint32_t number);

struct sim *sim_open(const struct sim_options *options, char *error, size_t error_size)
{
    struct sim *sim = calloc(1, sizeof *sim);
    must(sim != NULL);
    sim->options = *options;
    must(pthread_mutex_init(&sim->violation_mutex, NULL) == 0);
    uint32_t nodes = options->scenario->node_count;
    sim->public_keys = calloc(nodes, sizeof *sim->public_keys);
    must(sim->public_keys != NULL);
    if (!setup_open(&sim->setup, options->scenario, options->seed, error, error_size) ||
        !world_make(sim, error, error_size) || !population_make(sim)) {
        sim_close(sim);
        return NULL;
    }
    sim->check = (struct check){
        .world = sim->world, .population = sim->population, .violation = run_violation, .arg = sim};
    population_start(sim->population);
    barrier(sim);
    return sim;
}

void sim_close(struct sim *sim)
{
    if (sim->population != NULL) {
        population_close(sim->population);
    }
    if (sim->world != NULL) {
        world_close(sim->world);
    }
    setup_close(&sim->setup);
    pthread_mutex_destroy(&sim->violation_mutex);
    free(sim->public_keys);
    free(sim);
}

bool sim_run_until(struct sim *sim, uint64_t time_us)
{
    must(!sim->is_finished);
    uint64_t duration_us = sim->options.scenario->duration_us;
    uint64_t end_us = time_us < duration_us ? time_us : duration_us;
    while (world_now_us(sim->world) < end_us) {
        uint64_t next_us = sim->barrier_us < end_us ? sim->barrier_us : end_us;
        if (!world_run_until(sim->world, next_us, sim->options.events_max, sim->options.stop)) {
            return false;
        }
        if (next_us == sim->barrier_us) {
            barrier(sim);
        }
    }
    return true;
}

void sim_finish(struct sim *sim)
{
    must(!sim->is_finished);
    sim->is_finished = true;
    population_finish(sim->population);
    check_finish(&sim->check);
    if (sim->sampled_us < world_now_us(sim->world)) {
        run_sample(sim);
    } else {
        run_observe(sim, METRIC_INVARIANT_VIOLATIONS, sim->sampled_us, SCENARIO_GROUP_NONE,
                    (double)sim->violations);
    }
}

uint64_t sim_now_us(const struct sim *sim)
{
    return world_now_us(sim->world);
}

uint64_t sim_digest(const struct sim *sim)
{
    return world_digest(sim->world);
}

uint64_t sim_tables_hash(const struct sim *sim)
{
    return setup_hash(&sim->setup);
}

uint32_t sim_nodes_online(const struct sim *sim)
{
    return sim->population->online;
}

struct world *sim_world(struct sim *sim)
{
    return sim->world;
}

uint32_t sim_node_count(const struct sim *sim)
{
    return sim->population->member_count;
}

void sim_node_info(struct sim *sim, uint32_t node, struct sim_node_info *info)
{
    const struct scenario *scenario = sim->options.scenario;
    const struct host *host = world_host(sim->world, node);
    const struct scenario_group *group = &scenario->groups[sim->population->members[node].group];
    *info = (struct sim_node_info){
        .group_name = group->name,
        .region_name = scenario->network.latency.regions[host->link.region].name,
        .nat_name =
            scenario_nat_text(scenario, sim->setup.nat_kinds != NULL ? sim->setup.nat_kinds[node]
                                                                     : SCENARIO_NAT_PUBLIC),
        .up_bps = group->link.up_bps,
        .down_bps = group->link.down_bps,
        .addr = host->port.local,
        .config = population_config(sim->population, node),
        .is_up = host_is_up(host)};
    const uint8_t *key =
        host->node != NULL ? host->node->identity.public_key : sim->public_keys[node];
    memcpy(info->public_key, key, sizeof info->public_key);
}

bool sim_node_seed(struct sim *sim, uint32_t node, uint8_t seed[CRYPTO_SEED_LEN])
{
    static const char name[] = "identity"; /* As node/identity keeps it. */
    struct host *host = world_host(sim->world, node);
    size_t len = 0;
    return host->incarnation > 0 &&
           host->port.ops->store_get(&host->port, slice_of(name, sizeof name - 1), seed,
                                     CRYPTO_SEED_LEN, &len) == ERR_OK &&
           len == CRYPTO_SEED_LEN;
}

void sim_memory(struct sim *sim, struct sim_memory *memory)
{
    *memory = (struct sim_memory){.node_struct_bytes = sizeof(struct node),
                                  .host_bytes = sizeof(struct host),
                                  .queue_bytes = world_queue_len(sim->world) * sizeof(struct event),
                                  .packet_bytes = world_packet_bytes(sim->world),
                                  .intern_bytes = world_intern_bytes(sim->world),
                                  .disk_bytes = world_disk_bytes(sim->world)};
    uint32_t online = 0;
    for (uint32_t i = 0; i < world_host_count(sim->world); i++) {
        const struct host *host = world_host(sim->world, i);
        if (!host_is_up(host)) {
            continue;
        }
        online++;
        const struct arena *arena = &host->node->core.arena;
        memory->arena_bytes += arena->chunk_bytes;
        for (int user = 0; user < ARENA_USER_COUNT; user++) {
            memory->used_bytes[user] += arena->used_bytes[user];
        }
    }
    double nodes = online > 0 ? online : 1;
    memory->arena_bytes /= nodes;
    for (int user = 0; user < ARENA_USER_COUNT; user++) {
        memory->used_bytes[user] /= nodes;
    }
}

void sim_counters(struct sim *sim, uint64_t counters[COUNTER_COUNT])
{
    population_counters(sim->population, counters);
}

void sim_traffic(struct sim *sim, struct traffic *traffic)
{
    population_traffic(sim->population, traffic);
}

uint32_t sim_true_nearest(struct sim *sim, const struct node_id *target, uint32_t except,
                          uint32_t *nodes, uint32_t k)
{
    return truth_nearest(&sim->population->truth, target, except, nodes, k);
}

static bool world_make(struct sim *sim, char *error, size_t error_size)
{
    const struct scenario *scenario = sim->options.scenario;
    bool is_real = scenario->crypto == SCENARIO_CRYPTO_REAL;
    if (is_real && sodium_suite_init() != ERR_OK) {
        (void)snprintf(error, error_size, "libsodium cannot be used on this machine");
        return false;
    }
    bool is_ordered = sim->options.events_max != 0 || sim->options.dispatched != NULL;
    struct world_options options = {
        .seed = sim->options.seed,
        .wall_start_us = WALL_START_US,
        .queue_kind = sim->options.queue_kind,
        .crypto = is_real ? &sodium_suite : &modelled_suite,
        .net = &sim->setup.net,
        .hosts_max = scenario->node_count,
        .contacts_max = contacts_max(scenario),
        .node_bytes_max = NODE_BYTES_MAX,
        .threads = is_ordered ? 1 : sim->options.threads,
        .hooks = {.arg = sim,
                  .delivered = on_delivered,
                  .scripted = on_scripted,
                  .dispatched = on_dispatched},
    };
    sim->world = world_open(&options);
    return setup_hosts(&sim->setup, sim->world) && setup_groups(&sim->setup, sim->world);
}

/* Behind a NAT box a node has as many addresses as it has mappings, and each that a peer has seen
 * is a contact. Only address space depends on it. */
static uint32_t contacts_max(const struct scenario *scenario)
{
    bool is_public = true;
    for (uint32_t i = 0; i < scenario->group_count; i++) {
        is_public = is_public && scenario_is_public(&scenario->groups[i]);
    }
    uint64_t many = (uint64_t)scenario->node_count * BOXED_CONTACTS_PER_NODE;
    return is_public ? 0 : many < BOXED_CONTACTS_MAX ? (uint32_t)many : BOXED_CONTACTS_MAX;
}

static bool population_make(struct sim *sim)
{
    const struct scenario *scenario = sim->options.scenario;
    struct population_options options = {
        .world = sim->world,
        .seed = sim->options.seed,
        .end_us = scenario->duration_us,
        .is_prebuilt = scenario->topology.source == SCENARIO_SOURCE_PREBUILT,
        .groups = sim->setup.groups,
        .group_count = scenario->group_count,
        .hooks = {.arg = sim,
                  .joined = run_joined,
                  .session = run_session,
                  .ended = run_ended,
                  .submitting = run_submitting,
                  .settled = sim->setup.nat_kinds != NULL ? run_settled : NULL,
                  .trouble = run_violation},
    };
    if (!setup_works(&sim->setup, &options)) {
        return false;
    }
    sim->population = population_open(&options);
    return true;
}

static void on_delivered(void *arg, struct host *host, const struct port_event *event)
{
    struct sim *sim = arg;
    const struct sim_sink *sink = &sim->options.sink;
    if (sink->delivered != NULL) {
        sink->delivered(sink->arg, host->index, event);
    }
    population_delivered(sim->population, host, event);
}

static void on_scripted(void *arg, struct host *host, uint32_t what)
{
    struct sim *sim = arg;
    population_scripted(sim->population, host, what);
}

static void on_dispatched(void *arg, const struct event *event, uint32_t kind, struct slice bytes,
                          uint64_t chain)
{
    struct sim *sim = arg;
    check_event(&sim->check, event, kind);
    if (sim->options.dispatched != NULL) {
        sim->options.dispatched(sim->options.dispatched_arg, event, kind, bytes, chain);
    }
}

/* The world stands still: what concerns several nodes at once happens here. Its times do not depend
 * on how a caller cuts the run into pieces. */
static void barrier(struct sim *sim)
{
    const struct scenario *scenario = sim->options.scenario;
    uint64_t now_us = world_now_us(sim->world);
    while (sim->action_next < scenario->action_count &&
           scenario->actions[sim->action_next].at_us <= now_us) {
        act(sim, &scenario->actions[sim->action_next], sim->action_next);
        sim->action_next++;
    }
    sim->barrier_us = barrier_after(sim, now_us);
    population_barrier(sim->population, sim->barrier_us);
    check_tick(&sim->check);
    if (now_us > 0 && now_us % scenario->metrics.sample_every_us == 0) {
        run_sample(sim);
    }
}

static uint64_t barrier_after(const struct sim *sim, uint64_t now_us)
{
    const struct scenario *scenario = sim->options.scenario;
    uint64_t sample_us = scenario->metrics.sample_every_us;
    uint64_t next_us = (now_us / RUN_TICK_US + 1) * RUN_TICK_US;
    uint64_t next_sample_us = (now_us / sample_us + 1) * sample_us;
    next_us = next_sample_us < next_us ? next_sample_us : next_us;
    if (sim->action_next < scenario->action_count &&
        scenario->actions[sim->action_next].at_us < next_us) {
        next_us = scenario->actions[sim->action_next].at_us;
    }
    return next_us;
}

static void act(struct sim *sim, const struct scenario_action *action, uint32_t number)
{
    static const enum population_select selects[] = {
        [SCENARIO_SELECT_ALL] = POPULATION_SELECT_ALL,
        [SCENARIO_SELECT_GROUP] = POPULATION_SELECT_GROUP,
        [SCENARIO_SELECT_HOLDERS] = POPULATION_SELECT_HOLDERS};
    struct population_leave who = {.select = selects[action->select.kind],
                                   .group = action->select.group,
                                   .fraction = action->fraction.threshold,
                                   .number = number};
    if (action->type == SCENARIO_ACTION_LEAVE) {
        (void)population_leave(sim->population, &who);
    } else {
        bool keeps_address = action->type == SCENARIO_ACTION_NAT_REBIND;
        (void)population_strike_boxes(sim->population, &who, keeps_address);
    }
}
