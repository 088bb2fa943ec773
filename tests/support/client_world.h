/* client_world.h - a few servers and clients in a simulated network, and commands that are waited
 * for.
 *
 * Each host has an address group of its own, 40 ms from anyone to anyone. Who is a client is so by
 * configuration: no box is in the way unless a test puts one there.
 *
 *      client_world_open(servers, clients) -> client_world_run(until) -> client_world_do(command)
 */
#ifndef TESTS_SUPPORT_CLIENT_WORLD_H
#define TESTS_SUPPORT_CLIENT_WORLD_H

#include <stdlib.h>

#include "node/base/must.h"
#include "sim/host/host.h"

#define CLIENT_SECOND UINT64_C(1000000)

enum { CLIENT_NODES_MAX = 512 };

struct client_world {
    struct dist latency_us;
    struct net_access access;
    struct net_config net;
    struct world *world;
    struct node_config server;
    struct node_config client;
    struct port_addr bootstrap;
    uint32_t servers;
    uint32_t clients;
    uint32_t number;                     /* Of the command that is waited for; */
    bool is_done;                        /* it has ended, */
    struct port_event done;              /* like this. */
    uint32_t messages[CLIENT_NODES_MAX]; /* NODE_MESSAGE events, by host. */
    uint32_t news[CLIENT_NODES_MAX];
    uint32_t joined;
};

static inline void client_world_on_delivered(void *arg, struct host *host,
                                             const struct port_event *event)
{
    struct client_world *clients = arg;
    if (event->command != 0 && event->command == clients->number) {
        clients->is_done = true;
        clients->done = *event;
        clients->done.bytes = clients->done.about = slice_of(NULL, 0);
    }
    clients->messages[host->index] += event->kind == NODE_MESSAGE;
    clients->news[host->index] += event->kind == NODE_NEWS;
    clients->joined += event->kind == NODE_JOINED && event->status == ERR_OK;
}

static inline void client_world_on_scripted(void *arg, struct host *host, uint32_t what)
{
    (void)arg;
    (void)host;
    (void)what;
}

/* Servers first: host 0 is whom all join through. Nobody has started. */
static inline struct client_world *client_world_open(uint32_t servers, uint32_t clients,
                                                     uint64_t seed)
{
    struct client_world *world = calloc(1, sizeof *world);
    must(world != NULL && servers + clients <= CLIENT_NODES_MAX);
    must(dist_fill(&world->latency_us,
                   &(struct dist_spec){.kind = DIST_CONSTANT, .value = 40000}) == ERR_OK);
    world->net = (struct net_config){.latency = NET_LATENCY_DIST,
                                     .latency_us = &world->latency_us,
                                     .access = &world->access,
                                     .access_count = 1};
    struct world_options options = {.seed = seed,
                                    .wall_start_us = 1000000 * CLIENT_SECOND,
                                    .crypto = &modelled_suite,
                                    .net = &world->net,
                                    .hosts_max = servers + clients,
                                    .node_bytes_max = 4u << 20,
                                    .hooks = {.arg = world,
                                              .delivered = client_world_on_delivered,
                                              .scripted = client_world_on_scripted}};
    world->world = world_open(&options);
    world->servers = servers;
    world->clients = clients;
    for (uint32_t i = 0; i < servers; i++) {
        struct host *host = world_host(world->world, world_add_host(world->world, i));
        host_place(host, &(struct net_site){0}, seed);
    }
    world->bootstrap = world_host(world->world, 0)->port.local;
    node_config_default(&world->server);
    world->server.bootstrap = &world->bootstrap;
    world->server.bootstrap_count = 1;
    world->client = world->server;
    world->client.nat.reach = NAT_REACH_CLIENT;
    return world;
}

static inline void client_world_add_clients(struct client_world *world)
{
    for (uint32_t i = 0; i < world->clients; i++) {
        struct host *host =
            world_host(world->world, world_add_host(world->world, world->servers + i));
        host_place(host, &(struct net_site){0}, world_seed(world->world));
    }
}

static inline void client_world_run(struct client_world *world, uint64_t us)
{
    must(world_run_until(world->world, world_now_us(world->world) + us, 0, NULL));
}

/* Starts everybody, and gives them the time to join and to find relays. */
static inline void client_world_start(struct client_world *world)
{
    for (uint32_t i = 0; i < world_host_count(world->world); i++) {
        const struct node_config *config = i < world->servers ? &world->server : &world->client;
        must(host_start(world_host(world->world, i), config) == ERR_OK);
        client_world_run(world, CLIENT_SECOND / 10);
    }
    client_world_run(world, 30 * CLIENT_SECOND);
}

static inline struct host *client_world_client(struct client_world *world, uint32_t number)
{
    return world_host(world->world, world->servers + number);
}

/* Submits the command and runs until it has ended, or `us` have passed: ERR_TIMEOUT. */
static inline int client_world_do(struct client_world *world, struct host *host,
                                  struct node_command *command, uint64_t us)
{
    command->number = ++world->number;
    world->is_done = false;
    int status = host_submit(host, command);
    if (status != ERR_OK) {
        return status;
    }
    for (uint64_t end_us = world_now_us(world->world) + us;
         !world->is_done && world_now_us(world->world) < end_us;) {
        client_world_run(world, CLIENT_SECOND / 100);
    }
    return world->is_done ? world->done.status : ERR_TIMEOUT;
}

static inline int client_world_send(struct client_world *world, struct host *from, struct host *to)
{
    struct node_command command = {
        .kind = NODE_SEND, .id = to->node->identity.id, .bytes = slice_of("hello", 5)};
    return client_world_do(world, from, &command, 60 * CLIENT_SECOND);
}

static inline void client_world_close(struct client_world *world)
{
    world_close(world->world);
    free(world);
}

#endif /* TESTS_SUPPORT_CLIENT_WORLD_H */
