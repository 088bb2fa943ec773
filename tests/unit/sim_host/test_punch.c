/* test_punch.c - nodes behind simulated boxes get off the relay where the kernel's boxes let them.
 *
 * The table is that of tests/live/nat_matrix.sh and docs/modules/natlab.md, measured on Linux.
 */
#include <criterion/criterion.h>

#include "sim/net/napt.h"
#include "tests/support/client_world.h"

enum { KINDS = 6, SERVERS = 12 };

static const enum napt_preset kinds[KINDS] = {
    NAPT_PRESET_FULL_CONE,         NAPT_PRESET_RESTRICTED, NAPT_PRESET_PORT_RESTRICTED,
    NAPT_PRESET_ADDRESS_DEPENDENT, NAPT_PRESET_SYMMETRIC,  NAPT_PRESET_SYMMETRIC_OPEN};
/* y: plain punching gets through. */
static const char *const table[KINDS] = {"yyyyyy", "yyyyyy", "yyynny",
                                         "yynnny", "yynnny", "yyyyyy"};

static struct napt_config left;
static struct napt_config right;

/* A host behind a box of its own. */
static void add_behind(struct client_world *world, const struct napt_config *config)
{
    uint32_t group = world_host_count(world->world) + 100;
    uint32_t box = world_add_box(world->world, group, config, WORLD_BOX_NONE);
    struct host *host = world_host(world->world, world_add_host_behind(world->world, box));
    host_place(host, &(struct net_site){0}, world_seed(world->world));
}

/* Two nodes that find out for themselves what they are. */
static struct client_world *open_pair(uint64_t seed)
{
    struct client_world *world = client_world_open(SERVERS, 2, seed);
    world->client.nat.reach = NAT_REACH_AUTO;
    add_behind(world, &left);
    add_behind(world, &right);
    return world;
}

/* Whether they end up without a relay between them. */
static bool get_through(struct client_world *world)
{
    struct host *a = client_world_client(world, 0);
    struct host *b = client_world_client(world, 1);
    client_world_start(world);
    cr_assert_eq(client_world_send(world, a, b), ERR_OK, "reached in some way");
    client_world_run(world, 15 * CLIENT_SECOND);
    struct transport_session session;
    return transport_session_of(&a->node->transport, &b->node->identity.id, &session) &&
           !transport_is_relayed(&contact_at(&a->port, session.peer)->addr);
}

Test(punch, gets_through_where_the_kernel_lets_it)
{
    for (int i = 0; i < KINDS; i++) {
        char row[KINDS + 1] = {0};
        for (int k = 0; k < KINDS; k++) {
            napt_preset_config(kinds[i], &left);
            napt_preset_config(kinds[k], &right);
            struct client_world *world = open_pair(7);
            row[k] = get_through(world) ? 'y' : 'n';
            client_world_close(world);
        }
        cr_expect_str_eq(row, table[i], "%s: %s, not %s", napt_preset_text(kinds[i]), row,
                         table[i]);
    }
}

Test(punch, predicts_the_ports_of_a_sequential_box)
{
    int won = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        napt_preset_config(NAPT_PRESET_PORT_RESTRICTED, &left);
        napt_preset_config(NAPT_PRESET_SEQUENTIAL, &right);
        struct client_world *world = open_pair(seed);
        won += get_through(world);
        client_world_close(world);
    }
    cr_assert_geq(won, 9, "%d of 10; on the kernel, with three guesses: 10", won);
}

Test(punch, meets_by_birthday_behind_a_symmetric_box)
{
    int won = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        napt_preset_config(NAPT_PRESET_PORT_RESTRICTED, &left);
        napt_preset_config(NAPT_PRESET_SYMMETRIC, &right);
        struct client_world *world = open_pair(seed);
        world->client.nat.birthday_sockets = 256;
        won += get_through(world);
        client_world_close(world);
    }
    cr_assert_geq(won, 17, "%d of 20; 0.9835 in theory, the 99.9 %% interval begins at 17", won);
}

/* Whether both meet by a stream, whoever of the two calls. */
static bool meet(enum napt_preset near, enum napt_preset far)
{
    napt_preset_config(near, &left);
    napt_preset_config(far, &right);
    struct client_world *world = open_pair(3);
    bool is_met = get_through(world);
    struct host *a = client_world_client(world, 0);
    struct nat_trail trail;
    if (is_met) {
        cr_expect(
            nat_trail_of(&a->node->nat, &client_world_client(world, 1)->node->identity.id, &trail));
        cr_expect_eq(trail.way, NAT_WAY_PUNCHED);
        cr_expect_eq(client_world_send(world, a, client_world_client(world, 1)), ERR_OK);
    }
    client_world_close(world);
    return is_met;
}

/* Streams need a port that others can know on either side, and UDP on none. */
Test(punch, meets_by_a_stream_who_has_no_udp)
{
    static const enum napt_preset steady[] = {NAPT_PRESET_FULL_CONE, NAPT_PRESET_RESTRICTED,
                                              NAPT_PRESET_PORT_RESTRICTED, NAPT_PRESET_UDP_BLOCKED};
    for (size_t i = 0; i < array_len(steady); i++) {
        cr_expect(meet(NAPT_PRESET_UDP_BLOCKED, steady[i]), "to %s", napt_preset_text(steady[i]));
        cr_expect(meet(steady[i], NAPT_PRESET_UDP_BLOCKED), "from %s", napt_preset_text(steady[i]));
    }
    cr_expect_not(meet(NAPT_PRESET_UDP_BLOCKED, NAPT_PRESET_SYMMETRIC));
    cr_expect_not(meet(NAPT_PRESET_SYMMETRIC, NAPT_PRESET_UDP_BLOCKED));
}

/* Resets come back from where nobody has called yet: who is refused calls again. */
Test(punch, meets_by_a_stream_through_boxes_that_refuse)
{
    napt_preset_config(NAPT_PRESET_UDP_BLOCKED, &left);
    napt_preset_config(NAPT_PRESET_PORT_RESTRICTED, &right);
    left.unsolicited = NAPT_UNSOLICITED_REJECTED;
    right.unsolicited = NAPT_UNSOLICITED_REJECTED;
    struct client_world *world = open_pair(4);
    cr_assert(get_through(world));
    client_world_close(world);
}

/* An idle stream is closed after three minutes: the next message finds another way. */
Test(punch, a_stream_that_has_gone_is_missed_by_nobody)
{
    napt_preset_config(NAPT_PRESET_UDP_BLOCKED, &left);
    napt_preset_config(NAPT_PRESET_PORT_RESTRICTED, &right);
    struct client_world *world = open_pair(5);
    struct host *a = client_world_client(world, 0);
    struct host *b = client_world_client(world, 1);
    cr_assert(get_through(world));
    client_world_run(world, 240 * CLIENT_SECOND);
    cr_expect_eq(client_world_send(world, a, b), ERR_OK);
    client_world_run(world, 240 * CLIENT_SECOND);
    cr_expect_eq(client_world_send(world, b, a), ERR_OK);
    client_world_close(world);
}
