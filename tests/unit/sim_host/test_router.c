/* test_router.c - a router that has 64 places for what its users do keeps working.
 *
 * What is counted is what the box counts: sessions, each an inside end, an external one and a
 * remote one, and packets that it dropped for want of room.
 */
#include <criterion/criterion.h>

#include "tests/support/boxed_world.h"

enum { PLACES = 64 };

static struct client_world *world;
static struct napt_config router;

/* A Linux home router as Linux has it, but for its size and its patience. */
static void open_world(uint32_t servers, uint32_t clients, uint64_t timeout_us)
{
    napt_preset_config(NAPT_PRESET_PORT_RESTRICTED, &router);
    router.sessions_max = PLACES;
    router.unreplied_us = router.stream_us = timeout_us;
    world = client_world_open(servers, clients, 3);
    world->client.nat.reach = NAT_REACH_AUTO;
    for (uint32_t i = 0; i < clients; i++) {
        (void)boxed_add(world, &router);
    }
}

static bool look_up(struct host *host, uint32_t number)
{
    struct node_command command = {.kind = NODE_LOOKUP};
    memset(command.id.bytes, (int)(number * 13 + 1), sizeof command.id.bytes);
    return client_world_do(world, host, &command, 60 * CLIENT_SECOND) == ERR_OK;
}

static void expect_room(uint32_t box)
{
    struct napt_load load = boxed_load(world, box);
    cr_expect_leq(load.sessions_most, PLACES, "box %u: %u sessions", box, load.sessions_most);
    cr_expect_eq(boxed_fate(world, box, NAPT_FATE_SESSIONS), 0, "box %u had no room for some", box);
}

/* Of more servers than it could remember. */
Test(router, survives_a_join_lookups_and_a_transfer)
{
    open_world(90, 2, 30 * CLIENT_SECOND);
    client_world_start(world);
    struct host *client = client_world_client(world, 0);
    cr_assert_not(client->node->nat.is_server);
    uint32_t found = 0;
    uint32_t sent = 0;
    for (uint32_t i = 0; i < 20; i++) {
        found += look_up(client, i);
        client_world_run(world, 5 * CLIENT_SECOND);
        sent += client_world_send(world, client, client_world_client(world, 1)) == ERR_OK;
        client_world_run(world, 5 * CLIENT_SECOND);
    }
    struct node_command put = {.kind = NODE_PUT, .bytes = slice_of("a value", 7)};
    cr_expect_eq(client_world_do(world, client, &put, 60 * CLIENT_SECOND), ERR_OK);
    cr_expect_lt(world_now_us(world->world), 330 * CLIENT_SECOND, "five minutes, and the joins");
    cr_expect_eq(found, 20);
    cr_expect_eq(sent, 20);
    expect_room(0);
    expect_room(1);
    client_world_close(world);
}

/* With Linux's two minutes for what has been answered, which is harder. */
Test(router, has_room_for_ordinary_traffic)
{
    enum { SERVERS = 150, CLIENTS = 6 };
    open_world(SERVERS, CLIENTS, 120 * CLIENT_SECOND);
    client_world_start(world);
    uint64_t end_us = world_now_us(world->world) + 600 * CLIENT_SECOND;
    for (uint32_t i = 0; world_now_us(world->world) < end_us; i++) {
        struct host *client = client_world_client(world, i % CLIENTS);
        cr_expect(look_up(client, i));
        struct node_command news = {.kind = NODE_BROADCAST, .bytes = slice_of("news", 4)};
        struct host *author = world_host(world->world, (i * 7) % (SERVERS + CLIENTS));
        cr_expect_eq(client_world_do(world, author, &news, CLIENT_SECOND), ERR_OK);
        (void)client_world_send(world, client, client_world_client(world, (i + 1) % CLIENTS));
        client_world_run(world, 2 * CLIENT_SECOND);
    }
    for (uint32_t box = 0; box < CLIENTS; box++) {
        expect_room(box);
        cr_expect_gt(world->news[SERVERS + box], 50, "client %u hears", box);
    }
    client_world_close(world);
}
