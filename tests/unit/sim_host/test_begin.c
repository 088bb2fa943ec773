/* test_begin.c - nodes whose driver connects them: who begins a network, and who serves in it. */
#include <criterion/criterion.h>

#include "tests/support/client_world.h"

enum { WAIT_S = 5 };

static struct client_world *world;

/* Every node finds out for itself, and is told of nobody but by NODE_CONNECT. */
static void open_world(uint32_t nodes)
{
    world = client_world_open(nodes, 0, 13);
    world->server.nat.reach = NAT_REACH_AUTO;
    world->server.bootstrap = NULL;
    world->server.bootstrap_count = 0;
    world->server.dht.join_wait_us = WAIT_S * CLIENT_SECOND;
}

static void close_world(void)
{
    for (uint32_t i = 0; i < world_host_count(world->world); i++) {
        const struct host *host = world_host(world->world, i);
        const char *wrong = host_is_up(host) ? node_check(host->node) : NULL;
        cr_assert_null(wrong, "node %u: %s", i, wrong);
    }
    client_world_close(world);
}

static struct host *host_at(uint32_t index)
{
    return world_host(world->world, index);
}

static struct nat *nat_of(uint32_t index)
{
    return &host_at(index)->node->nat;
}

static void start(uint32_t index)
{
    cr_assert_eq(host_start(host_at(index), &world->server), ERR_OK);
}

static void connect_to(uint32_t from, uint32_t to, int expected)
{
    struct node_command command = {.kind = NODE_CONNECT, .addr = host_at(to)->port.local};
    cr_assert_eq(client_world_do(world, host_at(from), &command, 10 * CLIENT_SECOND), expected);
}

Test(begin, nobody_begins_a_network_before_it_has_waited)
{
    open_world(1);
    start(0);
    client_world_run(world, WAIT_S * CLIENT_SECOND - CLIENT_SECOND);
    cr_expect_not(host_at(0)->node->is_joined);
    cr_expect_not(nat_of(0)->is_server);
    client_world_run(world, 2 * CLIENT_SECOND);
    cr_expect(host_at(0)->node->is_joined);
    cr_expect(nat_of(0)->is_server);
    close_world();
}

Test(begin, who_is_connected_in_time_joins_and_then_serves)
{
    open_world(2);
    start(0);
    client_world_run(world, 2 * WAIT_S * CLIENT_SECOND);
    start(1);
    client_world_run(world, CLIENT_SECOND);
    connect_to(1, 0, ERR_OK);
    cr_expect_not(nat_of(1)->is_server);
    client_world_run(world, 2 * CLIENT_SECOND);
    cr_expect(host_at(1)->node->is_joined);
    cr_expect(nat_of(1)->is_server && nat_of(1)->is_checked);
    cr_expect_eq(dht_contact_count(&host_at(0)->node->dht), 1);
    close_world();
}

Test(begin, who_began_alone_asks_the_first_it_meets)
{
    open_world(2);
    start(0);
    client_world_run(world, 2 * WAIT_S * CLIENT_SECOND);
    cr_assert_eq(host_at(0)->node->transport.traffic.sent[TRAFFIC_REACH], 0);
    start(1);
    connect_to(1, 0, ERR_OK);
    client_world_run(world, 5 * CLIENT_SECOND);
    cr_expect_gt(host_at(0)->node->transport.traffic.sent[TRAFFIC_REACH], 0);
    cr_expect(nat_of(0)->is_server);
    close_world();
}

/* All call each other while none serves; one of them has to begin. */
Test(begin, nodes_that_know_only_each_other_become_one_network)
{
    open_world(3);
    for (uint32_t i = 0; i < 3; i++) {
        start(i);
    }
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 3; i++) {
            connect_to(i, (i + 1) % 3, ERR_OK);
            connect_to(i, (i + 2) % 3, ERR_OK);
        }
        client_world_run(world, 2 * WAIT_S * CLIENT_SECOND);
    }
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect(nat_of(i)->is_server, "node %u", i);
        cr_expect_eq(dht_contact_count(&host_at(i)->node->dht), 2, "node %u", i);
    }
    close_world();
}

Test(begin, a_network_that_comes_back_all_at_once_is_one_again)
{
    enum { NODES = 6 };
    open_world(NODES);
    start(0);
    client_world_run(world, 2 * WAIT_S * CLIENT_SECOND);
    for (uint32_t i = 1; i < NODES; i++) {
        start(i);
        connect_to(i, 0, ERR_OK);
        client_world_run(world, 3 * CLIENT_SECOND);
    }
    client_world_run(world, 700 * CLIENT_SECOND); /* All have written down whom they know. */
    for (uint32_t i = 0; i < NODES; i++) {
        cr_assert(nat_of(i)->is_server);
        host_kill(host_at(i));
    }
    world->server.dht.join_wait_us = 0;
    for (uint32_t i = 0; i < NODES; i++) {
        start(i);
        cr_expect(nat_of(i)->is_server, "it served before");
        cr_expect_not(nat_of(i)->is_checked, "and has to find out anew");
    }
    client_world_run(world, 60 * CLIENT_SECOND);
    for (uint32_t i = 0; i < NODES; i++) {
        cr_expect(nat_of(i)->is_server && nat_of(i)->is_checked, "node %u", i);
        cr_expect_eq(dht_contact_count(&host_at(i)->node->dht), NODES - 1, "node %u", i);
    }
    close_world();
}
