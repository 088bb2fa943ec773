/* sample.c - gauges and counters, looked at while the world stands still. */
#include <stdlib.h>

#include "node/base/must.h"
#include "sim/run.h"

/* Sums over nodes of one group, or of all. */
struct sums {
    uint64_t nodes;
    uint64_t contacts;
    uint64_t dead;
    uint64_t sessions;
    uint64_t arena_bytes;
};

static void sample_online(struct sim *sim, uint64_t now_us);
static void sample_nodes(struct sim *sim, uint64_t now_us);
static void add(struct sim *sim, struct sums *sums, const struct host *host);
static uint64_t dead_contacts(struct sim *sim, const struct host *host);
static bool is_alive(struct sim *sim, const struct contact *contact);
static void tell(const struct sim *sim, uint64_t now_us, uint32_t group, const struct sums *sums);
static void sample_traffic(struct sim *sim, uint64_t now_us);

void run_observe(const struct sim *sim, enum metric_id metric, uint64_t t_us, uint32_t group,
                 double value)
{
    const struct sim_sink *sink = &sim->options.sink;
    if (sink->observe != NULL) {
        sink->observe(sink->arg, metric, t_us, group, value);
    }
}

void run_sample(struct sim *sim)
{
    uint64_t now_us = world_now_us(sim->world);
    sample_online(sim, now_us);
    sample_nodes(sim, now_us);
    sample_traffic(sim, now_us);
    sim->sampled_us = now_us;
    sim->sample_count++;
}

static void sample_online(struct sim *sim, uint64_t now_us)
{
    const struct population *population = sim->population;
    for (uint32_t i = 0; i < population->options.group_count; i++) {
        const struct population_group *group = &population->options.groups[i];
        uint32_t online = 0;
        for (uint32_t node = group->first; node < group->first + group->count; node++) {
            online += host_is_up(world_host(sim->world, node));
        }
        run_observe(sim, METRIC_NODES_ONLINE, now_us, i, online);
    }
    run_observe(sim, METRIC_NODES_ONLINE, now_us, SCENARIO_GROUP_NONE, population->online);
}

/* Of a large network every n-th node, another one at each sample. */
static void sample_nodes(struct sim *sim, uint64_t now_us)
{
    const struct population *population = sim->population;
    uint32_t groups = population->options.group_count;
    struct sums *sums = calloc(groups + 1u, sizeof *sums);
    must(sums != NULL);
    uint32_t stride = population->member_count / (RUN_SAMPLE_NODES + 1) + 1;
    for (uint32_t node = sim->sample_count % stride; node < population->member_count;
         node += stride) {
        const struct host *host = world_host(sim->world, node);
        if (host_is_up(host)) {
            add(sim, &sums[population->members[node].group], host);
            add(sim, &sums[groups], host);
        }
    }
    for (uint32_t i = 0; i < groups; i++) {
        tell(sim, now_us, i, &sums[i]);
    }
    tell(sim, now_us, SCENARIO_GROUP_NONE, &sums[groups]);
    free(sums);
}

static void add(struct sim *sim, struct sums *sums, const struct host *host)
{
    const struct node *node = host->node;
    sums->nodes++;
    sums->contacts += dht_contact_count(&node->dht);
    sums->dead += dead_contacts(sim, host);
    sums->sessions += transport_session_count(&node->transport);
    sums->arena_bytes += node->core.arena.chunk_bytes;
}

static uint64_t dead_contacts(struct sim *sim, const struct host *host)
{
    uint32_t handles[DHT_CONTACTS_MAX];
    uint32_t count = dht_contacts(&host->node->dht, handles, DHT_CONTACTS_MAX);
    uint64_t dead = 0;
    for (uint32_t i = 0; i < count; i++) {
        dead += !is_alive(sim, contact_at(&host->port, handles[i]));
    }
    return dead;
}

/* By address; where that is a NAT box's, by identity. */
static bool is_alive(struct sim *sim, const struct contact *contact)
{
    const struct host *host = world_find(sim->world, &contact->addr);
    return host != NULL ? host_is_up(host)
                        : sim->setup.nat_kinds != NULL &&
                              truth_find(&sim->population->truth, &contact->id) != TRUTH_NOBODY;
}

static void tell(const struct sim *sim, uint64_t now_us, uint32_t group, const struct sums *sums)
{
    if (sums->nodes == 0) {
        return;
    }
    double nodes = (double)sums->nodes;
    run_observe(sim, METRIC_TABLE_CONTACTS, now_us, group, (double)sums->contacts / nodes);
    run_observe(sim, METRIC_SESSIONS, now_us, group, (double)sums->sessions / nodes);
    run_observe(sim, METRIC_MEMORY_NODE_BYTES, now_us, group, (double)sums->arena_bytes / nodes);
    if (sums->contacts > 0) {
        run_observe(sim, METRIC_TABLE_DEAD_RATIO, now_us, group,
                    (double)sums->dead / (double)sums->contacts);
    }
}

static void sample_traffic(struct sim *sim, uint64_t now_us)
{
    struct host_counts counts = world_counts(sim->world);
    uint64_t handshakes = population_counter(sim->population, COUNT_HANDSHAKES_DONE);
    uint32_t all = SCENARIO_GROUP_NONE;
    run_observe(sim, METRIC_MESSAGES_TOTAL, now_us, all, (double)counts.datagrams_sent);
    run_observe(sim, METRIC_BYTES_TOTAL, now_us, all, (double)counts.bytes_sent);
    run_observe(sim, METRIC_HANDSHAKES_TOTAL, now_us, all, (double)handshakes);
    run_observe(sim, METRIC_EVENTS_TOTAL, now_us, all, (double)counts.events);
    run_observe(sim, METRIC_INVARIANT_VIOLATIONS, now_us, all, (double)sim->violations);
    /* Node seconds since the last sample, as if nodes had come and gone evenly. */
    double online = ((double)sim->sampled_online + sim->population->online) / 2;
    double node_s = online * (double)(now_us - sim->sampled_us) / 1e6;
    if (node_s > 0) {
        double bytes = (double)(counts.bytes_sent - sim->sampled_bytes);
        run_observe(sim, METRIC_BYTES_PER_NODE_S, now_us, all, bytes / node_s);
    }
    sim->sampled_bytes = counts.bytes_sent;
    sim->sampled_online = sim->population->online;
}
