/* test_addr.c - addresses: who is where, however groups were filled, and who runs whom. */
#include <criterion/criterion.h>

#include "node/base/rng.h"
#include "sim/host/world.h"

enum { HOSTS_MAX = 3000, GROUPS = 40, SEED = 11 };

static struct net_access access_link;
static uint32_t path_us = 5000;
static struct net_config net = {.latency = NET_LATENCY_MATRIX,
                                .matrix_us = &path_us,
                                .region_count = 1,
                                .access = &access_link,
                                .access_count = 1};

static struct world *open_world(uint32_t threads)
{
    cr_assert_eq(net_config_check(&net), ERR_OK);
    return world_open(&(struct world_options){.seed = SEED,
                                              .crypto = &modelled_suite,
                                              .net = &net,
                                              .hosts_max = HOSTS_MAX,
                                              .node_bytes_max = 1 << 20,
                                              .threads = threads});
}

static void expect_text(const struct port_addr *addr, const uint8_t ip[4])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    cr_expect_arr_eq(addr->ip, mapped, sizeof mapped);
    cr_expect_arr_eq(addr->ip + 12, ip, 4);
    cr_expect_eq(addr->port[0] << 8 | addr->port[1], HOST_PORT);
}

/* Groups grow in any order and move while they do; nobody's address or place changes with that. */
Test(addr, finds_every_host_however_groups_were_filled)
{
    struct world *world = open_world(1);
    static struct port_addr addrs[HOSTS_MAX];
    uint32_t counts[GROUPS] = {0};
    struct rng rng;
    rng_seed(&rng, SEED);
    for (uint32_t i = 0; i < HOSTS_MAX; i++) {
        uint32_t group;
        do {
            group = (uint32_t)(rng_next(&rng) % GROUPS);
        } while (counts[group] == HOST_GROUP_NODES_MAX);
        cr_assert_eq(world_add_host(world, group), i);
        host_place(world_host(world, i), &(struct net_site){.access_us = i}, SEED);
        addrs[i] = world_host(world, i)->port.local;
        expect_text(&addrs[i], (uint8_t[4]){1, 0, (uint8_t)group, (uint8_t)++counts[group]});
    }
    for (uint32_t i = 0; i < HOSTS_MAX; i++) {
        cr_expect(memcmp(&world_host(world, i)->port.local, &addrs[i], sizeof addrs[i]) == 0);
        cr_expect_eq(world_find(world, &addrs[i]), world_host(world, i));
        cr_expect_eq(addr_slot(world, host_ip(world_host(world, i)))->site.access_us, i);
    }
    for (uint32_t group = 0; group < GROUPS; group++) {
        struct port_addr beyond;
        addr_set(&beyond, 1u << 24 | group << 8 | (counts[group] + 1), HOST_PORT);
        cr_expect_null(world_find(world, &beyond));
        addr_set(&beyond, 1u << 24 | group << 8, HOST_PORT);
        cr_expect_null(world_find(world, &beyond));
    }
    world_close(world);
}

/* RFC 1918 section 3: the public network has no 10.0.0.0/8. */
Test(addr, gives_nobody_a_private_address)
{
    struct world *world = open_world(1);
    static const struct {
        uint32_t group24;
        uint8_t ip[4];
    } cases[] = {{0, {1, 0, 0, 1}},
                 {9 * 65536 - 1, {9, 255, 255, 1}},
                 {9 * 65536, {11, 0, 0, 1}},
                 {9 * 65536 + 300, {11, 1, 44, 1}}};
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host *host = world_host(world, world_add_host(world, cases[i].group24));
        expect_text(&host->port.local, cases[i].ip);
        cr_expect_eq(world_find(world, &host->port.local), host);
    }
    struct port_addr inside;
    addr_set(&inside, 10u << 24 | 1, HOST_PORT);
    cr_expect_null(world_find(world, &inside));
    inside.ip[0] = 0x20; /* No IPv4 at all. */
    cr_expect_null(world_find(world, &inside));
    world_close(world);
}

Test(addr, public_hosts_are_dealt_out_in_turn)
{
    struct world *world = open_world(3);
    for (uint32_t i = 0; i < 100; i++) {
        struct host *host = world_host(world, world_add_host(world, i / 7));
        cr_expect_eq(host->shard->number, i % 3);
        cr_expect_eq(world->shard_of[i], i % 3);
    }
    world_close(world);
}

static void open_path(struct node *node, void *arg)
{
    *(int *)arg = node->core.port->ops->path_open(node->core.port, PORT_UDP, NULL, NULL);
}

Test(addr, extra_paths_cost_only_those_who_open_them)
{
    struct world *world = open_world(2);
    struct node_config config;
    node_config_default(&config);
    int path = 0;
    for (uint32_t i = 0; i < 4; i++) {
        struct host *host = world_host(world, world_add_host(world, i));
        host_place(host, &(struct net_site){0}, SEED);
        cr_assert_eq(host_start(host, &config), ERR_OK);
        cr_expect_eq(host->extra, 0);
    }
    host_enter(world_host(world, 1), open_path, &path);
    cr_expect_eq(path, 1);
    cr_expect_neq(world_host(world, 1)->extra, 0);
    cr_expect_eq(world->shards[0]->extra_count, 0);
    host_kill(world_host(world, 1)); /* Sockets go with the process. */
    cr_expect_eq(world_host(world, 1)->extra, 0);
    host_enter(world_host(world, 3), open_path, &path);
    cr_expect_eq(world->shards[1]->extra_count, 1, "what was given back is used again");
    world_close(world);
}
