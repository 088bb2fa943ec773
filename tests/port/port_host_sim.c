/* port_host_sim.c - the simulated host under the contract suite. */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/must.h"
#include "sim/host/host.h"
#include "tests/port/port_host.h"

enum { HOSTS_MAX = 8, LATENCY_US = 5000, STEP_US = 1000 };

struct port_host {
    struct world *world;
    struct dist latency;
    struct net_access access;
    struct net_config net;
    struct node_config config;
    unsigned count;
    unsigned delivered[HOSTS_MAX];
    uint16_t kinds[HOSTS_MAX];
};

static void on_delivered(void *arg, struct host *host, const struct port_event *event)
{
    struct port_host *hosts = arg;
    hosts->delivered[host->index]++;
    hosts->kinds[host->index] = event->kind;
}

struct port_host *port_host_open(unsigned count)
{
    must(count <= HOSTS_MAX);
    struct port_host *hosts = calloc(1, sizeof *hosts);
    must(hosts != NULL);
    hosts->count = count;
    must(dist_fill(&hosts->latency,
                   &(struct dist_spec){.kind = DIST_CONSTANT, .value = LATENCY_US}) == ERR_OK);
    hosts->net = (struct net_config){.latency = NET_LATENCY_DIST,
                                     .latency_us = &hosts->latency,
                                     .access = &hosts->access,
                                     .access_count = 1};
    must(net_config_check(&hosts->net) == ERR_OK);
    hosts->world =
        world_open(&(struct world_options){.seed = 1,
                                           .crypto = &modelled_suite,
                                           .net = &hosts->net,
                                           .hosts_max = HOSTS_MAX,
                                           .node_bytes_max = PORT_HOST_NODE_BYTES,
                                           .hooks = {.arg = hosts, .delivered = on_delivered}});
    for (unsigned i = 0; i < count; i++) {
        struct host *host = world_host(hosts->world, world_add_host(hosts->world, i));
        host_place(host, &(struct net_site){0}, 1);
        port_host_start(hosts, i);
    }
    return hosts;
}

void port_host_close(struct port_host *hosts)
{
    world_close(hosts->world);
    dist_close(&hosts->latency);
    free(hosts);
}

struct probe *port_host_probe(struct port_host *hosts, unsigned index)
{
    return probe_of(world_host(hosts->world, index)->node);
}

struct step {
    port_host_step_fn step;
    void *arg;
};

static void run_step(struct node *node, void *arg)
{
    struct step *step = arg;
    step->step(probe_of(node), step->arg);
}

void port_host_enter(struct port_host *hosts, unsigned index, port_host_step_fn step, void *arg)
{
    host_enter(world_host(hosts->world, index), run_step, &(struct step){step, arg});
}

bool port_host_run(struct port_host *hosts, port_host_until_fn until, void *arg, uint64_t limit_us)
{
    uint64_t end_us = world_now_us(hosts->world) + limit_us;
    while (!until(arg)) {
        if (world_now_us(hosts->world) >= end_us) {
            return false;
        }
        world_run_until(hosts->world, world_now_us(hosts->world) + STEP_US, 0, NULL);
    }
    return true;
}

void port_host_pass(struct port_host *hosts, uint64_t span_us)
{
    world_run_until(hosts->world, world_now_us(hosts->world) + span_us, 0, NULL);
}

void port_host_kill(struct port_host *hosts, unsigned index)
{
    host_kill(world_host(hosts->world, index));
}

void port_host_start(struct port_host *hosts, unsigned index)
{
    must(host_start(world_host(hosts->world, index), &hosts->config) == ERR_OK);
}

unsigned port_host_delivered(struct port_host *hosts, unsigned index, uint16_t *kind)
{
    *kind = hosts->kinds[index];
    return hosts->delivered[index];
}

void port_host_name(struct port_host *hosts, unsigned index, char *name, size_t size)
{
    (void)hosts;
    snprintf(name, size, "node-%u", index);
}
