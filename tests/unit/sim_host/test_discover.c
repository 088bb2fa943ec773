/* test_discover.c - nodes that ask a node where it sees them, as they would any STUN server. */
#include <criterion/criterion.h>

#include "node/nat/stun_server.h"
#include "sim/host/world.h"
#include "sim/net/napt.h"
#include "tests/support/client_world.h"

enum { SERVERS = 4 };

static struct client_world *world;
static struct napt_config config; /* Of the box, which borrows it. */

/* The first server answers; the client, behind a box, asks it. One host may come later. */
static void open_world(enum napt_preset preset)
{
    world = client_world_open(SERVERS, 2, 23);
    napt_preset_config(preset, &config);
    uint32_t box = world_add_box(world->world, 100, &config, WORLD_BOX_NONE);
    struct host *host = world_host(world->world, world_add_host_behind(world->world, box));
    host_place(host, &(struct net_site){0}, world_seed(world->world));
    world->server.nat.is_stun_server = true;
    world->client.nat.stun[0] = world->bootstrap;
    world->client.nat.stun_count = 1;
}

static const struct nat *nat_of(uint32_t host)
{
    return &world_host(world->world, host)->node->nat;
}

Test(discover, tells_a_node_where_it_is_seen)
{
    open_world(NAPT_PRESET_PORT_RESTRICTED);
    client_world_start(world);
    const struct nat *client = nat_of(SERVERS);
    uint32_t ip;
    cr_assert(addr_ip(&client->observed, &ip));
    cr_expect_eq(ip, napt_external_ip(world_box(world->world, 0)));
    cr_expect_eq(client->counts.stun_heard, 1, "once is enough");
    cr_expect_eq(nat_of(0)->counts.stun_served, 1);
    client_world_close(world);
}

static void ask_by_name(const char *name)
{
    world->client.nat.stun_count = 0;
    world->client.nat.stun_names[0] = name;
    world->client.nat.stun_name_count = 1;
}

Test(discover, asks_a_server_by_its_name)
{
    open_world(NAPT_PRESET_PORT_RESTRICTED);
    ask_by_name("node-0");
    client_world_start(world);
    cr_expect_eq(nat_of(SERVERS)->counts.stun_heard, 1);
    cr_expect_eq(nat_of(0)->counts.stun_served, 1);
    cr_expect_eq(nat_stun_failures(nat_of(SERVERS), 0), 0);
    client_world_close(world);
}

/* After 0, 1, 3, 7, 15, 31 and 63 s, and then every 64 s: at some point somebody has the name. */
Test(discover, looks_a_name_up_until_it_is_found)
{
    open_world(NAPT_PRESET_PORT_RESTRICTED);
    ask_by_name("node-5");
    client_world_start(world);
    cr_expect_eq(nat_stun_failures(nat_of(SERVERS), 0), 5);
    client_world_run(world, 90 * CLIENT_SECOND);
    cr_expect_eq(nat_stun_failures(nat_of(SERVERS), 0), 7);
    uint32_t late = world_add_host(world->world, 200);
    cr_assert_eq(late, SERVERS + 1);
    host_place(world_host(world->world, late), &(struct net_site){0}, world_seed(world->world));
    cr_assert_eq(host_start(world_host(world->world, late), &world->server), ERR_OK);
    client_world_run(world, 64 * CLIENT_SECOND);
    cr_expect_eq(nat_stun_failures(nat_of(SERVERS), 0), 0);
    cr_expect_eq(nat_of(SERVERS)->counts.stun_heard, 1);
    cr_expect_eq(nat_of(late)->counts.stun_served, 1);
    client_world_run(world, 600 * CLIENT_SECOND);
    cr_expect_eq(nat_of(SERVERS)->counts.stun_heard, 1, "once is enough");
    client_world_close(world);
}

Test(discover, a_name_that_nobody_has_holds_up_no_other_server)
{
    open_world(NAPT_PRESET_PORT_RESTRICTED);
    world->client.nat.stun_names[0] = "nobody";
    world->client.nat.stun_name_count = 1;
    client_world_start(world);
    cr_expect_eq(nat_of(SERVERS)->counts.stun_heard, 1);
    cr_expect_gt(nat_stun_failures(nat_of(SERVERS), 0), 0);
    client_world_close(world);
}

Test(discover, is_no_business_of_whom_was_not_told_to)
{
    open_world(NAPT_PRESET_PORT_RESTRICTED);
    world->server.nat.is_stun_server = false;
    client_world_start(world);
    client_world_run(world, 60 * CLIENT_SECOND);
    cr_expect_eq(nat_of(SERVERS)->counts.stun_heard, 0);
    cr_expect_eq(nat_of(0)->counts.stun_served, 0);
    cr_expect_geq(nat_of(0)->core->counters.value[COUNT_MALFORMED], 7, "every repetition");
    client_world_close(world);
}

/* Hosts of the simulator have one address. */
Test(discover, a_server_whose_other_address_is_not_there_answers_from_one)
{
    open_world(NAPT_PRESET_PORT_RESTRICTED);
    world->server.nat.has_stun_other = true;
    world->server.nat.stun_other = world->bootstrap;
    world->server.nat.stun_other.ip[15]++;
    client_world_start(world);
    struct nat_stun_view view;
    nat_stun_of(nat_of(0), &view);
    cr_expect_not(view.has_other);
    cr_expect_lt(view.status, 0);
    cr_expect_eq(view.lacking.ip[15], world->server.nat.stun_other.ip[15]);
    cr_expect_eq(view.lacking.port[1], world->bootstrap.port[1]);
    cr_expect_eq(nat_of(SERVERS)->counts.stun_heard, 1);
    cr_expect_eq(nat_of(0)->counts.stun_served, 1);
    client_world_close(world);
}

static void ask_often(struct node *node, void *arg)
{
    struct port *port = node->core.port;
    uint8_t bytes[STUN_HEADER_LEN];
    struct stun_writer writer;
    for (uint32_t i = 0; i < 1000; i++) {
        struct stun_id id = {{(uint8_t)i, (uint8_t)(i >> 8)}};
        stun_start(&writer, bytes, sizeof bytes, STUN_REQUEST, STUN_BINDING, &id);
        size_t len = stun_end(&writer);
        cr_assert_eq(port->ops->send(port, PORT_MAIN_PATH, arg, slice_of(bytes, len),
                                     (struct port_send_flags){0}),
                     ERR_OK);
    }
}

/* A flood from one address group gets what its bucket holds, and the mesh goes on. */
Test(discover, is_limited_by_address_group)
{
    open_world(NAPT_PRESET_PORT_RESTRICTED);
    world->server.guard.group_burst = 100;
    world->server.guard.group_rate = 10;
    client_world_start(world);
    uint32_t before = nat_of(1)->counts.stun_served;
    host_enter(client_world_client(world, 0), ask_often, &world_host(world->world, 1)->port.local);
    client_world_run(world, 2 * CLIENT_SECOND);
    uint32_t served = nat_of(1)->counts.stun_served - before;
    cr_expect_geq(served, 50);
    cr_expect_leq(served, 100 + 2 * 10);
    client_world_close(world);
}
