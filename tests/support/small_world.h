/* small_world.h - a population of a few real nodes for unit tests, without a scenario file.
 *
 * One group, one address group per node, 20 ms from anyone to anyone, nothing lost, tables prebuilt
 * unless told otherwise. What the population tells its hooks is kept for the test to look at.
 *
 *      small_world_open(options) -> small_world_run(until) -> ends[], sessions[], joins, troubles
 */
#ifndef TESTS_SUPPORT_SMALL_WORLD_H
#define TESTS_SUPPORT_SMALL_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "node/base/must.h"
#include "sim/population/population.h"

#define SMALL_SECOND UINT64_C(1000000)

enum { SMALL_ENDS_MAX = 4096, SMALL_WORKS_MAX = 8 };

struct small_session {
    uint32_t node;
    uint64_t start_us;
    uint64_t end_us;
};

struct small_world {
    struct dist latency_us;
    struct dist sizes;
    struct dist gaps[SMALL_WORKS_MAX];
    struct net_access access;
    struct net_config net;
    struct world *world;
    struct node_config config;
    struct port_addr bootstrap;
    struct population_group group;
    struct population_work works[SMALL_WORKS_MAX];
    struct population_options options;
    struct population *population;
    struct operation_end ends[SMALL_ENDS_MAX];
    struct small_session sessions[SMALL_ENDS_MAX];
    uint32_t end_count;
    uint32_t session_count;
    uint32_t joins;
    uint32_t troubles;
    uint32_t scripted;
};

static inline void small_world_on_joined(void *arg, uint32_t node, uint64_t took_us)
{
    (void)node;
    (void)took_us;
    ((struct small_world *)arg)->joins++;
}

static inline void small_world_on_session(void *arg, uint32_t node, uint64_t start_us,
                                          uint64_t end_us, const char *end_reason)
{
    struct small_world *small = arg;
    (void)end_reason;
    must(small->session_count < SMALL_ENDS_MAX);
    small->sessions[small->session_count++] =
        (struct small_session){.node = node, .start_us = start_us, .end_us = end_us};
}

static inline void small_world_on_ended(void *arg, const struct operation_end *end)
{
    struct small_world *small = arg;
    must(small->end_count < SMALL_ENDS_MAX);
    small->ends[small->end_count++] = *end;
}

static inline void small_world_on_trouble(void *arg, uint32_t node, const char *what)
{
    (void)node;
    (void)what;
    ((struct small_world *)arg)->troubles++;
}

static inline void small_world_on_delivered(void *arg, struct host *host,
                                            const struct port_event *event)
{
    population_delivered(((struct small_world *)arg)->population, host, event);
}

static inline void small_world_on_scripted(void *arg, struct host *host, uint32_t what)
{
    struct small_world *small = arg;
    small->scripted++;
    population_scripted(small->population, host, what);
}

static inline void small_world_constant(struct dist *dist, double value)
{
    struct dist_spec spec = {.kind = DIST_CONSTANT, .value = value};
    must(dist_fill(dist, &spec) == ERR_OK);
}

/* Empty of nodes; the caller may change config, group and works before small_world_start. */
static inline struct small_world *small_world_open(uint32_t nodes, uint64_t seed)
{
    struct small_world *small = calloc(1, sizeof *small);
    must(small != NULL);
    small_world_constant(&small->latency_us, 20000);
    small_world_constant(&small->sizes, 100);
    small->net = (struct net_config){.latency = NET_LATENCY_DIST,
                                     .latency_us = &small->latency_us,
                                     .access = &small->access,
                                     .access_count = 1};
    struct world_options options = {
        .seed = seed,
        .wall_start_us = 1000000 * SMALL_SECOND,
        .crypto = &modelled_suite,
        .net = &small->net,
        .hosts_max = nodes,
        .node_bytes_max = 4u << 20,
        .hooks = {.arg = small,
                  .delivered = small_world_on_delivered,
                  .scripted = small_world_on_scripted},
    };
    small->world = world_open(&options);
    for (uint32_t i = 0; i < nodes; i++) {
        struct net_site site = {0};
        struct host *host = world_host(small->world, world_add_host(small->world, i));
        host_place(host, &site, seed);
    }
    small->bootstrap = world_host(small->world, 0)->port.local;
    node_config_default(&small->config);
    small->config.bootstrap = &small->bootstrap;
    small->config.bootstrap_count = 1;
    small->group = (struct population_group){.count = nodes,
                                             .configs = &small->config,
                                             .seed_configs = &small->config,
                                             .config_count = 1,
                                             .seed_count = 1};
    small->options = (struct population_options){
        .world = small->world,
        .seed = seed,
        .end_us = 100000 * SMALL_SECOND,
        .is_prebuilt = true,
        .groups = &small->group,
        .group_count = 1,
        .works = small->works,
        .value_bytes = &small->sizes,
        .value_expiry_us = 80000 * SMALL_SECOND,
        .hooks = {.arg = small,
                  .joined = small_world_on_joined,
                  .session = small_world_on_session,
                  .ended = small_world_on_ended,
                  .trouble = small_world_on_trouble},
    };
    return small;
}

/* Adds a work of all nodes together, `per_s` a second. */
static inline struct population_work *small_world_work(struct small_world *small,
                                                       enum operation_kind kind, double per_s)
{
    uint32_t index = small->options.work_count++;
    must(index < SMALL_WORKS_MAX);
    struct dist_spec spec = {.kind = DIST_EXPONENTIAL, .mean = 1e6 / per_s};
    must(dist_fill(&small->gaps[index], &spec) == ERR_OK);
    small->works[index] = (struct population_work){.kind = kind,
                                                   .group = POPULATION_ALL,
                                                   .gap = &small->gaps[index],
                                                   .size_bytes = &small->sizes,
                                                   .until_us = POPULATION_NEVER};
    return &small->works[index];
}

static inline void small_world_start(struct small_world *small)
{
    small->population = population_open(&small->options);
    population_start(small->population);
    population_barrier(small->population, SMALL_SECOND);
}

/* Barriers at whole seconds, like a run's. */
static inline void small_world_run(struct small_world *small, uint64_t until_us)
{
    while (world_now_us(small->world) < until_us) {
        uint64_t next_us = (world_now_us(small->world) / SMALL_SECOND + 1) * SMALL_SECOND;
        uint64_t stop_us = next_us < until_us ? next_us : until_us;
        must(world_run_until(small->world, stop_us, 0, NULL));
        if (stop_us == next_us) {
            population_barrier(small->population, next_us + SMALL_SECOND);
        }
    }
}

static inline void small_world_close(struct small_world *small)
{
    population_close(small->population);
    world_close(small->world);
    free(small);
}

/* How many operations of a kind ended; judged and right; judged and wrong. */
struct small_tally {
    uint32_t all;
    uint32_t ok;
    uint32_t failed;
    uint32_t exact;
    uint32_t inexact;
    uint32_t lost;
};

static inline struct small_tally small_world_tally(const struct small_world *small,
                                                   enum operation_kind kind)
{
    struct small_tally tally = {0};
    for (uint32_t i = 0; i < small->end_count; i++) {
        const struct operation_end *end = &small->ends[i];
        if (end->kind == kind) {
            tally.all++;
            tally.ok += end->is_judged && end->is_ok;
            tally.failed += end->is_judged && !end->is_ok;
            tally.exact += end->is_exact_judged && end->is_exact;
            tally.inexact += end->is_exact_judged && !end->is_exact;
            tally.lost += end->is_lost;
        }
    }
    return tally;
}

#endif /* TESTS_SUPPORT_SMALL_WORLD_H */
