/* test_ice.c - two ICE agents behind boxes of each kind: who finds a way to whom.
 *
 * The boxes alone, without hosts of the simulator: an agent needs none. Whether two meet must
 * follow from what their boxes do, as in test_pairs.c, and both must have agreed on the same way.
 */
#include <criterion/criterion.h>

#include "sim/net/napt.h"
#include "tests/support/ice_world.h"

#define SECOND_US UINT64_C(1000000)

enum { SOCKET_PORT = 4000 };

static const uint32_t inside_ips[] = {0x0a000002, 0x0a000102};  /* 10.0.0.2, 10.0.1.2 */
static const uint32_t outside_ips[] = {0xcb007102, 0xcb00710a}; /* 203.0.113.2 and .10 */

static struct ice_world world;

struct boxes {
    struct napt_config configs[2];
    struct napt *naps[2];
};

static struct napt_end end_of(const struct port_addr *addr)
{
    uint32_t ip = 0;
    for (int i = 0; i < 4; i++) {
        ip = ip * 256 + addr->ip[12 + i];
    }
    return (struct napt_end){ip, (uint16_t)(addr->port[0] * 256 + addr->port[1])};
}

static bool out(struct ice_world *net, int side, struct port_addr *from, struct port_addr *to)
{
    struct boxes *boxes = net->arg;
    struct napt_packet packet = {.protocol = NAPT_UDP, .from = end_of(from), .to = end_of(to)};
    if (napt_out(boxes->naps[side], net->now_us, &packet) != NAPT_PASSED) {
        return false;
    }
    *from = ice_world_addr(packet.from.ip, packet.from.port);
    return true;
}

static bool in(struct ice_world *net, int side, struct port_addr *from, struct port_addr *to)
{
    struct boxes *boxes = net->arg;
    struct napt_packet packet = {.protocol = NAPT_UDP, .from = end_of(from), .to = end_of(to)};
    uint32_t own =
        boxes->configs[side].is_firewall ? inside_ips[side] : napt_external_ip(boxes->naps[side]);
    if (packet.to.ip != own || napt_in(boxes->naps[side], net->now_us, &packet) != NAPT_PASSED) {
        return false;
    }
    *to = ice_world_addr(packet.to.ip, packet.to.port);
    return true;
}

/* What a STUN server sees, as its client would have learnt it. */
static void gather(int side)
{
    struct port_addr host = ice_world_addr(inside_ips[side], SOCKET_PORT);
    struct port_addr server = ice_world_addr(0xc6336402, 3478);
    struct port_addr seen = host;
    cr_assert_eq(ice_add_host(&world.agents[side], &host), 0);
    if (out(&world, side, &seen, &server)) {
        cr_assert_geq(ice_add_reflexive(&world.agents[side], 0, &seen, &server), 0);
    }
}

static bool filters_by_port(const struct napt_config *config)
{
    return config->filtering == NAPT_ADDRESS_AND_PORT_DEPENDENT;
}

static bool maps_by_goal(const struct napt_config *config)
{
    return config->mapping != NAPT_ENDPOINT_INDEPENDENT;
}

/* What each sends on its way comes to the other. Both call the ends the same, unless a box without
 * a filter lets in at an end by which its host does not send. */
static void assert_agreement(const struct boxes *boxes)
{
    struct ice_route routes[2];
    for (int side = 0; side < 2; side++) {
        cr_assert(ice_selected(&world.agents[side], &routes[side]));
        struct port_addr from = world.agents[side].locals[routes[side].base].addr;
        struct port_addr to = routes[side].remote;
        cr_assert(out(&world, side, &from, &to) && in(&world, 1 - side, &from, &to));
        cr_assert(port_addr_equal(&to, &world.agents[1 - side].locals[0].addr));
    }
    if (!maps_by_goal(&boxes->configs[0]) && !maps_by_goal(&boxes->configs[1])) {
        cr_assert(port_addr_equal(&routes[0].local, &routes[1].remote));
        cr_assert(port_addr_equal(&routes[0].remote, &routes[1].local));
    }
}

static bool meet(enum napt_preset one, enum napt_preset other, uint64_t seed)
{
    struct boxes boxes;
    napt_preset_config(one, &boxes.configs[0]);
    napt_preset_config(other, &boxes.configs[1]);
    ice_world_start(&world, seed, seed % 2 == 0, seed % 2 == 1);
    world.out = out;
    world.in = in;
    world.arg = &boxes;
    world.jitter_us = 30000;
    for (int side = 0; side < 2; side++) {
        boxes.naps[side] = napt_open(&boxes.configs[side], outside_ips[side], seed, (uint64_t)side);
        gather(side);
    }
    ice_world_meet(&world);
    ice_world_run(&world, 90 * SECOND_US, true);
    bool is_met = ice_world_is_completed(&world);
    if (is_met) {
        assert_agreement(&boxes);
    } else {
        cr_assert_eq(world.agents[0].state, ICE_FAILED);
        cr_assert_eq(world.agents[1].state, ICE_FAILED);
    }
    napt_close(boxes.naps[0]);
    napt_close(boxes.naps[1]);
    return is_met;
}

/* As in test_pairs.c. Both begin at once, so that nobody comes to a poisonable box too early. */
static bool should_meet(const struct napt_config *one, const struct napt_config *other)
{
    if (one->is_udp_blocked || other->is_udp_blocked) {
        return false;
    }
    return !(filters_by_port(one) && filters_by_port(other)) ||
           (!maps_by_goal(one) && !maps_by_goal(other));
}

Test(ice_boxes, agents_meet_exactly_where_boxes_let_them)
{
    for (int one = 0; one < NAPT_PRESET_COUNT; one++) {
        for (int other = 0; other < NAPT_PRESET_COUNT; other++) {
            struct napt_config configs[2];
            napt_preset_config((enum napt_preset)one, &configs[0]);
            napt_preset_config((enum napt_preset)other, &configs[1]);
            for (uint64_t seed = 1; seed <= 10; seed++) {
                cr_assert_eq(meet((enum napt_preset)one, (enum napt_preset)other, seed),
                             should_meet(&configs[0], &configs[1]), "%s with %s, seed %lu",
                             napt_preset_text((enum napt_preset)one),
                             napt_preset_text((enum napt_preset)other), (unsigned long)seed);
            }
        }
    }
}
