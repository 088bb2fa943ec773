/* test_clients.c - nodes that serve nobody: in no table, and reached all the same. */
#include <criterion/criterion.h>

#include "node/inspect.h"
#include "tests/support/client_world.h"

static struct client_world *world;

static void close_world(void)
{
    for (uint32_t i = 0; i < world_host_count(world->world); i++) {
        const struct host *host = world_host(world->world, i);
        const char *wrong = host_is_up(host) ? node_check(host->node) : NULL;
        cr_assert_null(wrong, "node %u: %s", i, wrong);
    }
    client_world_close(world);
}

static void open_world(uint32_t servers, uint32_t clients)
{
    world = client_world_open(servers, clients, 11);
    client_world_add_clients(world);
}

static const struct node_id *id_of(const struct host *host)
{
    return &host->node->identity.id;
}

Test(clients, are_in_nobodys_table_and_have_two_relays)
{
    open_world(12, 6);
    client_world_start(world);
    cr_assert_eq(world->joined, 18);
    for (uint32_t c = 0; c < 6; c++) {
        struct host *client = client_world_client(world, c);
        cr_expect_eq(nat_relay_count(&client->node->nat), 2);
        for (uint32_t i = 0; i < 18; i++) {
            cr_expect_eq(dht_find(&world_host(world->world, i)->node->dht, id_of(client)),
                         PORT_INTERN_NONE);
        }
    }
    close_world();
}

/* However near it is: two others have to be enough. */
Test(clients, do_not_insist_on_a_server_that_relays_for_nobody)
{
    open_world(3, 1);
    struct node_config aloof = world->server;
    aloof.nat.is_relay = false;
    for (uint32_t i = 0; i < 4; i++) {
        const struct node_config *config = i == 0   ? &aloof
                                           : i == 3 ? &world->client
                                                    : &world->server;
        cr_assert_eq(host_start(world_host(world->world, i), config), ERR_OK);
        client_world_run(world, CLIENT_SECOND);
    }
    client_world_run(world, 50 * CLIENT_SECOND);
    const struct host *client = client_world_client(world, 0);
    cr_expect_eq(nat_relay_count(&client->node->nat), 2);
    cr_expect_leq(client->node->transport.traffic.sent[TRAFFIC_RESERVE], 3);
    client_world_run(world, 20 * CLIENT_SECOND);
    close_world();
}

Test(clients, are_found_by_their_id_from_anywhere)
{
    open_world(12, 6);
    client_world_start(world);
    for (uint32_t i = 0; i < 18; i++) {
        for (uint32_t c = 0; c < 6; c++) {
            struct host *from = world_host(world->world, i);
            struct host *to = client_world_client(world, c);
            if (from != to) {
                uint32_t before = world->messages[to->index];
                cr_expect_eq(client_world_send(world, from, to), ERR_OK, "%u to client %u", i, c);
                cr_expect_eq(world->messages[to->index], before + 1);
            }
        }
    }
    close_world();
}

Test(clients, leave_their_relay_as_soon_as_they_can)
{
    open_world(12, 2);
    client_world_start(world);
    struct host *a = client_world_client(world, 0);
    struct host *b = client_world_client(world, 1);
    cr_assert_eq(client_world_send(world, a, b), ERR_OK);
    client_world_run(world, 2 * CLIENT_SECOND);
    struct nat_trail trail;
    cr_assert(nat_trail_of(&a->node->nat, id_of(b), &trail));
    cr_assert_eq(trail.way, NAT_WAY_PUNCHED);
    struct inspect_peer peer;
    cr_assert(node_inspect_peer(a->node, id_of(b), &peer));
    cr_expect_eq(peer.way, NAT_WAY_PUNCHED);
    cr_assert(node_inspect_peer(b->node, id_of(a), &peer));
    cr_expect_eq(peer.way, NAT_WAY_PUNCHED);
    struct transport_session session;
    cr_assert(transport_session_of(&a->node->transport, id_of(b), &session));
    cr_assert(port_addr_equal(&contact_at(&a->port, session.peer)->addr, &b->port.local));
    cr_assert(transport_session_of(&b->node->transport, id_of(a), &session));
    cr_assert(port_addr_equal(&contact_at(&b->port, session.peer)->addr, &a->port.local));
    close_world();
}

Test(clients, stay_relayed_without_punching)
{
    open_world(12, 2);
    world->client.nat.has_punching = false;
    client_world_start(world);
    struct host *a = client_world_client(world, 0);
    struct host *b = client_world_client(world, 1);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(client_world_send(world, a, b), ERR_OK);
        client_world_run(world, 2 * CLIENT_SECOND);
    }
    struct transport_session session;
    cr_assert(transport_session_of(&a->node->transport, id_of(b), &session));
    cr_assert(transport_is_relayed(&contact_at(&a->port, session.peer)->addr));
    close_world();
}

Test(clients, show_their_relays_and_the_way_to_each_other)
{
    open_world(12, 2);
    world->client.nat.has_punching = false;
    client_world_start(world);
    struct host *a = client_world_client(world, 0);
    struct host *b = client_world_client(world, 1);
    cr_expect_str_eq(nat_reach_text(&a->node->nat), "client");
    cr_expect_str_eq(nat_reach_text(&world_host(world->world, 0)->node->nat), "server");
    struct nat_relay_view relays[3];
    cr_assert(nat_relay_at(&b->node->nat, 0, &relays[0]));
    cr_assert(nat_relay_at(&b->node->nat, 1, &relays[1]));
    cr_assert_not(nat_relay_at(&b->node->nat, 2, &relays[2]));
    cr_expect_neq(relays[0].peer, relays[1].peer);
    cr_expect_gt(relays[0].ends_us, world_now_us(world->world));

    struct inspect_peer peer;
    cr_assert_not(node_inspect_peer(a->node, id_of(b), &peer));
    cr_assert_eq(client_world_send(world, a, b), ERR_OK);
    for (int side = 0; side < 2; side++) {
        cr_assert(node_inspect_peer((side == 0 ? a : b)->node, id_of(side == 0 ? b : a), &peer));
        cr_expect_eq(peer.way, NAT_WAY_RELAYED);
        cr_expect(peer.is_client);
        cr_assert_not_null(peer.relay);
        const struct node_id *relay = &peer.relay->id;
        cr_expect(node_id_equal(relay, &contact_at(&b->port, relays[0].peer)->id) ||
                  node_id_equal(relay, &contact_at(&b->port, relays[1].peer)->id));
    }
    cr_assert(node_inspect_peer(a->node, &contact_at(&b->port, relays[0].peer)->id, &peer));
    cr_expect(!peer.has_session || peer.way == NAT_WAY_DIRECT);
    close_world();
}

Test(clients, say_that_nobody_has_heard_of_a_peer)
{
    open_world(6, 1);
    client_world_start(world);
    struct host *client = client_world_client(world, 0);
    struct node_command command = {.kind = NODE_SEND, .id = {{7}}, .bytes = slice_of("hello", 5)};
    cr_assert_eq(client_world_do(world, client, &command, 60 * CLIENT_SECOND), ERR_UNREACHABLE);
    struct nat_trail trail;
    cr_assert(nat_trail_of(&client->node->nat, &command.id, &trail));
    cr_expect_eq(trail.way, NAT_WAY_NONE);
    cr_expect_eq(trail.step, NAT_STEP_NO_PRESENCE);
    close_world();
}

Test(clients, hear_broadcasts_through_their_relays)
{
    open_world(12, 6);
    client_world_start(world);
    struct node_command command = {.kind = NODE_BROADCAST, .bytes = slice_of("news", 4)};
    cr_assert_eq(client_world_do(world, client_world_client(world, 0), &command, CLIENT_SECOND),
                 ERR_OK);
    client_world_run(world, 10 * CLIENT_SECOND);
    for (uint32_t i = 0; i < 18; i++) {
        cr_expect_eq(world->news[i], i != 12, "node %u", i);
    }
    close_world();
}

Test(clients, are_reached_again_soon_after_their_relay_has_died)
{
    open_world(12, 4);
    world->client.nat.has_punching = false;
    client_world_start(world);
    struct host *to = client_world_client(world, 0);
    struct host *from = client_world_client(world, 1);
    for (int round = 0; round < 4; round++) {
        /* One of its relays, not the one that all join through. */
        uint32_t dead = 0;
        for (uint32_t i = 1; i < world->servers && dead == 0; i++) {
            struct host *relay = world_host(world->world, i);
            uint32_t peers[128];
            uint32_t count = host_is_up(relay) ? nat_clients(&relay->node->nat, peers, 128) : 0;
            for (uint32_t j = 0; j < count; j++) {
                if (node_id_equal(&contact_at(&relay->port, peers[j])->id, id_of(to))) {
                    dead = i;
                }
            }
        }
        if (dead == 0) {
            break;
        }
        host_kill(world_host(world->world, dead));
        uint64_t start_us = world_now_us(world->world);
        cr_expect_eq(client_world_send(world, from, to), ERR_OK, "round %d", round);
        cr_expect_lt(world_now_us(world->world) - start_us, 10 * CLIENT_SECOND);
        client_world_run(world, 40 * CLIENT_SECOND);
        cr_expect_eq(nat_relay_count(&to->node->nat), 2);
    }
    close_world();
}

Test(clients, find_out_by_a_stranger_that_they_can_serve)
{
    open_world(6, 4);
    world->client.nat.reach = NAT_REACH_AUTO;
    client_world_start(world);
    for (uint32_t c = 0; c < 4; c++) {
        struct host *client = client_world_client(world, c);
        cr_expect(client->node->nat.is_server);
        uint32_t knowing = 0;
        for (uint32_t i = 0; i < 10; i++) {
            knowing += dht_find(&world_host(world->world, i)->node->dht, id_of(client)) !=
                       PORT_INTERN_NONE;
        }
        cr_expect_geq(knowing, 5);
    }
    close_world();
}

Test(clients, of_two_nodes_the_second_is_reached_from_another_port)
{
    open_world(1, 1);
    world->server.nat.reach = NAT_REACH_AUTO;
    world->client.nat.reach = NAT_REACH_AUTO;
    client_world_start(world);
    cr_assert(world_host(world->world, 0)->node->nat.is_server);
    cr_assert(world_host(world->world, 1)->node->nat.is_server);
    close_world();
}

/* Whoever is asked, and however often: a router has only so many places. */
Test(clients, keep_few_destinations_open_at_once)
{
    open_world(150, 1);
    world->client.nat.flows_max = 30;
    client_world_start(world);
    struct host *client = client_world_client(world, 0);
    uint32_t most = 0;
    uint32_t ok = 0;
    uint64_t start_us = world_now_us(world->world);
    for (uint32_t i = 0; i < 20; i++) {
        struct node_command command = {.kind = NODE_LOOKUP};
        memset(command.id.bytes, (int)(i * 13), sizeof command.id.bytes);
        ok += client_world_do(world, client, &command, 60 * CLIENT_SECOND) == ERR_OK;
        uint32_t open = nat_flow_count(&client->node->nat);
        most = open > most ? open : most;
    }
    cr_assert_leq(most, 30);
    cr_assert_geq(most, 14, "all but what is kept for relays and the like: %u", most);
    cr_assert_eq(ok, 20);
    cr_assert_lt(world_now_us(world->world) - start_us, 60 * CLIENT_SECOND, "a relay looks");
    cr_assert_eq(nat_relay_count(&client->node->nat), 2);
    close_world();
}

/* A relay that dies in the middle of a lookup costs time, and no answer. */
Test(clients, look_for_themselves_when_their_relay_does_not)
{
    open_world(20, 1);
    client_world_start(world);
    struct host *client = client_world_client(world, 0);
    uint32_t relay = nat_relay(&client->node->nat);
    cr_assert_neq(relay, PORT_INTERN_NONE);
    struct host *dead = world_find(world->world, &contact_at(&client->port, relay)->addr);
    host_kill(dead);
    struct node_command command = {.kind = NODE_LOOKUP, .id = {{7}}};
    cr_assert_eq(client_world_do(world, client, &command, 20 * CLIENT_SECOND), ERR_OK);
    cr_assert_gt(world->done.count[2], 15);
    close_world();
}
