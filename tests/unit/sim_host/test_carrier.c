/* test_carrier.c - nodes without UDP find others by streams, and UDP again when it is there. */
#include <criterion/criterion.h>

#include "sim/net/napt.h"
#include "tests/support/client_world.h"

enum { SERVERS = 6 };

static struct client_world *world;
static struct napt_config config;

/* Its last host stands behind a box of that kind. */
static struct host *open_behind(enum napt_preset preset)
{
    world = client_world_open(SERVERS, 1, 11);
    world->client.nat.reach = NAT_REACH_AUTO;
    napt_preset_config(preset, &config);
    uint32_t box = world_add_box(world->world, SERVERS + 100, &config, WORLD_BOX_NONE);
    struct host *host = world_host(world->world, world_add_host_behind(world->world, box));
    host_place(host, &(struct net_site){0}, world_seed(world->world));
    return host;
}

static int connect_to_first(struct host *host)
{
    struct node_command command = {.kind = NODE_CONNECT, .addr = world->bootstrap};
    return client_world_do(world, host, &command, 20 * CLIENT_SECOND);
}

/* As a daemon does with the bootstrap nodes it is told: by command, and again when nobody answers.
 * For lack of anybody the node may have begun a network of its own. */
Test(carrier, who_has_no_udp_joins_by_the_second_call)
{
    struct host *host = open_behind(NAPT_PRESET_UDP_BLOCKED);
    world->client.bootstrap_count = 0;
    world->client.dht.join_wait_us = 2 * CLIENT_SECOND;
    client_world_start(world);
    cr_assert(host->node->nat.is_server, "the first of its own network");
    cr_assert_eq(connect_to_first(host), ERR_TIMEOUT);
    client_world_run(world, CLIENT_SECOND);
    cr_assert_eq(connect_to_first(host), ERR_OK);
    cr_assert_not(host->node->nat.is_server);
    client_world_run(world, 10 * CLIENT_SECOND);
    cr_assert_eq(nat_relay_count(&host->node->nat), 2);
    cr_assert_eq(client_world_send(world, world_host(world->world, 2), host), ERR_OK);
    client_world_close(world);
}

static uint32_t sessions_by_streams(const struct host *host)
{
    struct transport_session session;
    uint32_t count = 0;
    for (uint32_t place = 0; transport_session_next(&host->node->transport, &place, &session);) {
        count += session.path != PORT_MAIN_PATH;
    }
    return count;
}

/* A bootstrap node that was away for a moment, or another network. */
Test(carrier, who_has_udp_after_all_finds_out)
{
    struct host *host = open_behind(NAPT_PRESET_PORT_RESTRICTED);
    client_world_start(world);
    host->node->nat.is_udp_blocked = true;
    client_world_run(world, 70 * CLIENT_SECOND);
    cr_assert_not(host->node->nat.is_udp_blocked);
    client_world_run(world, 60 * CLIENT_SECOND);
    cr_assert_eq(sessions_by_streams(host), 0);
    cr_assert_eq(nat_relay_count(&host->node->nat), 2);
    client_world_close(world);
}

Test(carrier, who_has_none_does_not_believe_so)
{
    struct host *host = open_behind(NAPT_PRESET_UDP_BLOCKED);
    client_world_start(world);
    cr_assert(host->node->nat.is_udp_blocked);
    client_world_run(world, 200 * CLIENT_SECOND);
    cr_assert(host->node->nat.is_udp_blocked);
    cr_assert_eq(nat_relay_count(&host->node->nat), 2);
    client_world_close(world);
}

/* Streams were there before its patience for others was over: it begins no network. */
Test(carrier, who_has_no_udp_does_not_serve_for_lack_of_others)
{
    struct host *host = open_behind(NAPT_PRESET_UDP_BLOCKED);
    world->client.bootstrap_count = 0;
    world->client.dht.join_wait_us = 60 * CLIENT_SECOND;
    client_world_start(world);
    cr_assert_eq(connect_to_first(host), ERR_TIMEOUT);
    client_world_run(world, 60 * CLIENT_SECOND);
    cr_assert(host->node->is_joined);
    cr_assert(host->node->nat.is_udp_blocked);
    cr_assert_not(host->node->nat.is_server);
    client_world_close(world);
}
