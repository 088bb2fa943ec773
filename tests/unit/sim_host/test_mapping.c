/* test_mapping.c - nodes behind boxes ask them for a port, and serve by it. */
#include <criterion/criterion.h>

#include "sim/host/world.h"
#include "sim/net/napt.h"
#include "tests/support/client_world.h"

enum { SERVERS = 24 };

static struct client_world *world;
static struct napt_config config;
static uint32_t box;
static bool has_mapping = true;
static bool is_old; /* The box speaks NAT-PMP alone. */
static enum nat_reach reach = NAT_REACH_AUTO;

/* One node that finds out for itself what it is, behind one box, or one in another. */
static void open_world(enum napt_preset preset, bool has_permission, bool is_double)
{
    world = client_world_open(SERVERS, 1, 17);
    world->client.nat.reach = reach;
    world->client.nat.has_mapping = has_mapping;
    napt_preset_config(preset, &config);
    uint32_t outer = WORLD_BOX_NONE;
    if (is_double) {
        outer = world_add_box(world->world, 100, &config, WORLD_BOX_NONE);
    }
    config.maps_on_request = has_permission;
    config.is_natpmp_only = is_old;
    box = world_add_box(world->world, 100, &config, outer);
    struct host *host = world_host(world->world, world_add_host_behind(world->world, box));
    host_place(host, &(struct net_site){0}, world_seed(world->world));
    client_world_start(world);
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

static struct nat *nat_of_client(void)
{
    return &client_world_client(world, 0)->node->nat;
}

static struct nat_map_view view(void)
{
    struct nat_map_view view;
    nat_map_of(nat_of_client(), &view);
    return view;
}

/* False when it has not become one until then. */
static bool serves_within(uint64_t us)
{
    for (uint64_t end_us = world_now_us(world->world) + us;
         !nat_of_client()->is_server && world_now_us(world->world) < end_us;) {
        client_world_run(world, CLIENT_SECOND);
    }
    return nat_of_client()->is_server;
}

/* Of the servers: who has it in its tables, under the address that the box gave it. */
static uint32_t count_knowing(void)
{
    struct host *client = client_world_client(world, 0);
    struct nat_map_view map = view();
    uint32_t knowing = 0;
    for (uint32_t i = 0; i < SERVERS; i++) {
        struct host *server = world_host(world->world, i);
        uint32_t contact = dht_find(&server->node->dht, &client->node->identity.id);
        knowing += contact != PORT_INTERN_NONE &&
                   port_addr_equal(&contact_at(&server->port, contact)->addr, &map.external);
    }
    return knowing;
}

Test(mapping, makes_a_server_of_whom_strangers_could_not_reach, .timeout = 120)
{
    static const enum napt_preset presets[] = {NAPT_PRESET_PORT_RESTRICTED, NAPT_PRESET_RESTRICTED,
                                               NAPT_PRESET_SYMMETRIC, NAPT_PRESET_SEQUENTIAL};
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        const char *name = napt_preset_text(presets[i]);
        open_world(presets[i], true, false);
        cr_expect(serves_within(300 * CLIENT_SECOND), "%s", name);
        cr_expect_eq(view().state, NAT_MAP_GRANTED, "%s", name);
        client_world_run(world, 120 * CLIENT_SECOND);
        uint32_t knowing = count_knowing();
        cr_expect_geq(knowing, SERVERS / 2, "%s: %u of %d", name, knowing, SERVERS);
        close_world();
    }
}

Test(mapping, is_renewed_and_ends_with_the_node, .timeout = 120)
{
    open_world(NAPT_PRESET_PORT_RESTRICTED, true, false);
    cr_assert(serves_within(60 * CLIENT_SECOND));
    struct nat_map_view first = view();
    for (int minute = 0; minute < 180; minute++) {
        client_world_run(world, 60 * CLIENT_SECOND);
        cr_assert(nat_of_client()->is_server, "minute %d", minute);
        cr_assert_eq(view().state, NAT_MAP_GRANTED);
        cr_assert_gt(view().ends_us, world_now_us(world->world));
    }
    struct nat_map_view last = view();
    cr_expect(port_addr_equal(&last.external, &first.external));
    cr_expect_geq(view().ends_us, first.ends_us + 3 * UINT64_C(3600) * CLIENT_SECOND);
    cr_expect_eq(nat_of_client()->counts.maps_granted, 4, "every hour");
    cr_expect_eq(nat_of_client()->counts.maps_asked, 4);
    struct napt_end inside = {0};
    struct napt_end external;
    uint64_t granted_us;
    struct host *client = client_world_client(world, 0);
    must(addr_ip(&client->port.local, &inside.ip));
    inside.port = HOST_PORT;
    host_stop(client);
    client_world_run(world, 600 * CLIENT_SECOND);
    cr_assert_eq(napt_request(world_box(world->world, box), world_now_us(world->world), NAPT_UDP,
                              &inside, CLIENT_SECOND, 7777, &external, &granted_us),
                 ERR_OK);
    cr_expect_eq(external.port, 7777, "the box has forgotten the other");
    close_world();
}

Test(mapping, is_asked_for_in_the_language_of_older_boxes, .timeout = 120)
{
    is_old = true;
    open_world(NAPT_PRESET_PORT_RESTRICTED, true, false);
    cr_assert(serves_within(60 * CLIENT_SECOND));
    cr_expect(view().is_natpmp);
    cr_expect_eq(nat_of_client()->counts.maps_asked, 3, "PCP, address, port");
    client_world_run(world, 3 * UINT64_C(3600) * CLIENT_SECOND);
    cr_expect(nat_of_client()->is_server);
    cr_expect_eq(view().state, NAT_MAP_GRANTED);
    cr_expect_eq(nat_of_client()->counts.maps_granted, 4);
    cr_expect_geq(count_knowing(), SERVERS / 2);
    close_world();
}

Test(mapping, is_asked_for_again_when_the_box_has_forgotten_it, .timeout = 120)
{
    open_world(NAPT_PRESET_SYMMETRIC, true, false);
    cr_assert(serves_within(300 * CLIENT_SECOND));
    uint32_t granted = nat_of_client()->counts.maps_granted;
    world_reboot_box(world->world, box);
    client_world_run(world, 900 * CLIENT_SECOND); /* Longer than between two checks. */
    cr_expect_gt(nat_of_client()->counts.maps_granted, granted);
    cr_expect(serves_within(600 * CLIENT_SECOND));
    client_world_run(world, 120 * CLIENT_SECOND);
    cr_expect_geq(count_knowing(), SERVERS / 2);
    close_world();
}

/* It begins its next life as a server, and is one by a port that nobody keeps. */
Test(mapping, of_an_earlier_life_is_kept, .timeout = 120)
{
    open_world(NAPT_PRESET_PORT_RESTRICTED, true, false);
    cr_assert(serves_within(60 * CLIENT_SECOND));
    struct nat_map_view before = view();
    host_kill(client_world_client(world, 0));
    client_world_run(world, 300 * CLIENT_SECOND);
    cr_assert_eq(host_start(client_world_client(world, 0), &world->client), ERR_OK);
    for (int minute = 0; minute < 180; minute++) {
        client_world_run(world, 60 * CLIENT_SECOND);
        cr_assert(nat_of_client()->is_server, "minute %d", minute);
    }
    struct nat_map_view after = view();
    cr_expect_eq(after.state, NAT_MAP_GRANTED);
    cr_expect(port_addr_equal(&after.external, &before.external));
    close_world();
}

Test(mapping, is_not_asked_for_forever_where_there_is_none, .timeout = 120)
{
    open_world(NAPT_PRESET_PORT_RESTRICTED, false, false);
    client_world_run(world, 3600 * CLIENT_SECOND);
    cr_expect_not(nat_of_client()->is_server);
    cr_expect_eq(view().state, NAT_MAP_SILENT);
    cr_expect_eq(nat_of_client()->counts.maps_asked, 4);
    cr_expect_eq(nat_relay_count(nat_of_client()), 2);
    close_world();
}

Test(mapping, of_a_box_inside_another_is_no_use, .timeout = 120)
{
    open_world(NAPT_PRESET_PORT_RESTRICTED, true, true);
    client_world_run(world, 3600 * CLIENT_SECOND);
    cr_expect_not(nat_of_client()->is_server);
    cr_expect_eq(view().state, NAT_MAP_INSIDE);
    cr_expect_leq(nat_of_client()->counts.maps_asked, 3);
    cr_expect_eq(nat_relay_count(nat_of_client()), 2);
    close_world();
}

/* The router is silent, and nobody is written to for a moment: whoever wants something then, and
 * whoever writes to the node, does not lose its join to that. */
Test(mapping, is_not_waited_for_by_who_has_something_to_ask)
{
    open_world(NAPT_PRESET_FULL_CONE, false, false);
    client_world_run(world, 120 * CLIENT_SECOND);
    struct host *client = client_world_client(world, 0);
    struct host *server = world_host(world->world, 0);
    struct node_command connect = {.kind = NODE_CONNECT, .number = 1};
    for (int by_server = 0; by_server < 2; by_server++) {
        struct port_addr outside = nat_of_client()->observed;
        host_kill(client);
        cr_assert_eq(host_start(client, &world->client), ERR_OK);
        connect.addr = by_server ? outside : server->port.local;
        cr_assert_eq(host_submit(by_server ? server : client, &connect), ERR_OK);
        client_world_run(world, CLIENT_SECOND / 5);
        cr_expect_not(client->node->is_joined);
        client_world_run(world, 20 * CLIENT_SECOND);
        cr_expect(client->node->is_joined, "asked by %s", by_server ? "the server" : "the client");
        cr_expect_geq(dht_contact_count(&client->node->dht), SERVERS / 2);
    }
    close_world();
}

/* Somebody has opened the port by hand, and says so. */
Test(mapping, is_not_asked_for_without_need)
{
    reach = NAT_REACH_PUBLIC;
    open_world(NAPT_PRESET_FULL_CONE, true, false);
    cr_expect(nat_of_client()->is_server);
    cr_expect_eq(nat_of_client()->counts.maps_asked, 0);
    close_world();
}

/* Its punches gain by it. */
Test(mapping, is_asked_for_by_whom_will_never_serve)
{
    reach = NAT_REACH_CLIENT;
    open_world(NAPT_PRESET_PORT_RESTRICTED, true, false);
    client_world_run(world, 60 * CLIENT_SECOND);
    cr_expect_not(nat_of_client()->is_server);
    cr_expect_eq(view().state, NAT_MAP_GRANTED);
    close_world();
}

Test(mapping, is_not_asked_for_when_that_is_not_wanted)
{
    has_mapping = false;
    open_world(NAPT_PRESET_PORT_RESTRICTED, true, false);
    client_world_run(world, 600 * CLIENT_SECOND);
    cr_expect_not(nat_of_client()->is_server);
    cr_expect_eq(nat_of_client()->counts.maps_asked, 0);
    close_world();
}
