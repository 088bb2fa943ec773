/* test_boxes.c - the way of datagrams through boxes: inside, hairpins, boxes in boxes, TTL. */
#include <string.h>

#include "tests/sim/boxes/lab.h"

static struct lab *lab;
static uint32_t reflector;

static void setup(void)
{
    lab = lab_open(1);
    reflector = lab_reflector(lab);
}

static void teardown(void)
{
    lab_close(lab);
}

TestSuite(boxes, .init = setup, .fini = teardown, .timeout = 60);

static uint32_t external_ip(uint32_t box)
{
    return napt_external_ip(world_box(lab->world, box));
}

static bool is_private(const struct port_addr *addr)
{
    return addr->ip[12] == 10;
}

Test(boxes, a_host_behind_one_is_seen_by_the_box_s_address)
{
    uint32_t box = lab_box(lab, &lab->presets[NAPT_PRESET_SYMMETRIC], WORLD_BOX_NONE);
    uint32_t host = lab_behind(lab, box);
    struct port_addr own = lab_addr(lab, host);
    struct port_addr seen = lab_seen(lab, host, reflector);
    cr_expect(is_private(&own));
    cr_expect_not(is_private(&seen));
    cr_expect_eq(lab_ip(&seen), external_ip(box));
    cr_expect_eq(world_box_of(lab->world, host), box);
    cr_expect_eq(world_box_of(lab->world, reflector), WORLD_BOX_NONE);
    cr_expect_null(world_find(lab->world, &seen), "a box is no host");
    cr_expect_null(world_find(lab->world, &own));
}

Test(boxes, neighbours_meet_at_once_and_without_the_box)
{
    uint32_t box = lab_box(lab, &lab->presets[NAPT_PRESET_SYMMETRIC], WORLD_BOX_NONE);
    uint32_t first = lab_behind(lab, box);
    uint32_t second = lab_behind(lab, box);
    struct port_addr to = lab_addr(lab, second);
    struct port_addr own = lab_addr(lab, first);
    uint64_t said_us = world_now_us(lab->world);
    struct port_addr from;
    cr_assert(lab_reaches(lab, first, &to, second, &from));
    cr_expect(memcmp(&from, &own, sizeof own) == 0);
    cr_expect_eq(lab_heard(lab, second)->at_us - said_us, NET_LATENCY_MIN_US);
    cr_expect_eq(napt_load_of(world_box(lab->world, box), world_now_us(lab->world), 0).sessions, 0);

    uint32_t other = lab_behind(lab, lab_box(lab, &lab->presets[0], WORLD_BOX_NONE));
    cr_expect_not(lab_reaches(lab, other, &to, second, NULL), "another inside, the same number");
    cr_expect_not(lab_reaches(lab, reflector, &to, second, NULL));
}

/* RFC 4787 REQ-9: "External source IP address and port". */
Test(boxes, a_hairpin_comes_from_outside_where_there_is_one)
{
    for (int has_hairpin = 0; has_hairpin < 2; has_hairpin++) {
        struct napt_config config = lab->presets[NAPT_PRESET_FULL_CONE];
        config.has_hairpin = has_hairpin;
        uint32_t box = lab_box(lab, &config, WORLD_BOX_NONE);
        uint32_t first = lab_behind(lab, box);
        uint32_t second = lab_behind(lab, box);
        struct port_addr seen_first = lab_seen(lab, first, reflector);
        struct port_addr seen_second = lab_seen(lab, second, reflector);
        uint64_t filtered = world_counts(lab->world).datagrams_filtered;
        struct port_addr from;
        bool reaches = lab_reaches(lab, first, &seen_second, second, &from);
        cr_expect_eq(reaches, has_hairpin);
        if (reaches) {
            cr_expect(memcmp(&from, &seen_first, sizeof from) == 0);
            cr_expect(lab_reaches(lab, second, &from, first, NULL));
        } else {
            cr_expect_eq(world_counts(lab->world).datagrams_filtered, filtered + 1);
        }
    }
}

Test(boxes, two_in_a_row_are_both_asked)
{
    uint32_t carrier = lab_box(lab, &lab->presets[NAPT_PRESET_FULL_CONE], WORLD_BOX_NONE);
    uint32_t home = lab_box(lab, &lab->presets[NAPT_PRESET_PORT_RESTRICTED], carrier);
    uint32_t host = lab_behind(lab, home);
    uint32_t stranger = lab_public(lab);
    struct port_addr seen = lab_seen(lab, host, reflector);
    cr_expect_eq(lab_ip(&seen), external_ip(carrier));
    cr_expect_eq(external_ip(home) >> 24, 10);
    cr_expect_not(lab_reaches(lab, stranger, &seen, host, NULL), "the inner one filters");
    cr_expect_eq(napt_fates(world_box(lab->world, carrier))[NAPT_FATE_FILTERED], 0);
    cr_expect_eq(napt_fates(world_box(lab->world, home))[NAPT_FATE_FILTERED], 1);
    struct port_addr there = lab_addr(lab, stranger);
    cr_expect(lab_reaches(lab, host, &there, stranger, NULL));
    cr_expect(lab_reaches(lab, stranger, &seen, host, NULL));
}

/* A carrier's own network: homes reach each other inside it, and by its external address only with
 * a hairpin there. */
Test(boxes, behind_one_carrier_homes_are_neighbours)
{
    struct napt_config config = lab->presets[NAPT_PRESET_FULL_CONE];
    config.has_hairpin = true;
    uint32_t carrier = lab_box(lab, &config, WORLD_BOX_NONE);
    uint32_t homes[2];
    uint32_t hosts[2];
    struct port_addr seen[2];
    for (int i = 0; i < 2; i++) {
        homes[i] = lab_box(lab, &lab->presets[NAPT_PRESET_FULL_CONE], carrier);
        hosts[i] = lab_behind(lab, homes[i]);
        seen[i] = lab_seen(lab, hosts[i], reflector);
    }
    uint32_t direct = lab_behind(lab, carrier);
    struct port_addr from;
    cr_assert(lab_reaches(lab, hosts[0], &seen[1], hosts[1], &from));
    cr_expect(memcmp(&from, &seen[0], sizeof from) == 0);

    struct port_addr inner;
    addr_set(&inner, external_ip(homes[1]), HOST_PORT); /* Its port is preserved. */
    uint64_t said_us = world_now_us(lab->world);
    cr_assert(lab_reaches(lab, hosts[0], &inner, hosts[1], &from));
    cr_expect_eq(lab_ip(&from), external_ip(homes[0]));
    cr_expect_eq(lab_heard(lab, hosts[1])->at_us - said_us, NET_LATENCY_MIN_US);
    cr_assert(lab_reaches(lab, direct, &inner, hosts[1], &from));
    struct port_addr own = lab_addr(lab, direct);
    cr_expect(memcmp(&from, &own, sizeof from) == 0);
    cr_expect(lab_reaches(lab, hosts[1], &from, direct, NULL));
    struct port_addr hidden = lab_addr(lab, hosts[1]);
    lab_forget(lab, hosts[0]);
    cr_expect_not(lab_reaches(lab, hosts[0], &hidden, hosts[1], NULL), "inside another home");
    cr_expect_null(lab_heard(lab, hosts[0]));
    cr_expect_not(lab_reaches(lab, direct, &hidden, hosts[1], NULL));
}

Test(boxes, a_carrier_has_room_for_hundreds)
{
    enum { HOMES = 600 };
    uint32_t carrier = lab_box(lab, &lab->presets[NAPT_PRESET_SYMMETRIC], WORLD_BOX_NONE);
    static struct port_addr seen[HOMES];
    static uint32_t hosts[HOMES];
    for (uint32_t i = 0; i < HOMES; i++) {
        hosts[i] = lab_behind(lab, carrier);
        struct port_addr own = lab_addr(lab, hosts[i]);
        cr_expect(own.ip[15] >= 2 && own.ip[15] < 255);
        struct port_addr to = lab_addr(lab, reflector);
        lab_say(lab, hosts[i], &to, '?');
    }
    lab_run(lab, 50 * LAB_MS);
    for (uint32_t i = 0; i < HOMES; i++) {
        const struct probe_datagram *heard = lab_heard(lab, hosts[i]);
        cr_assert_not_null(heard, "host %u", i);
        memcpy(&seen[i], heard->bytes, sizeof seen[i]);
        cr_expect_eq(lab_ip(&seen[i]), external_ip(carrier));
        for (uint32_t j = 0; j < i; j++) {
            cr_expect(memcmp(&seen[i], &seen[j], sizeof seen[i]) != 0);
        }
    }
    struct port_addr to = lab_addr(lab, hosts[HOMES - 1]);
    cr_expect(lab_reaches(lab, hosts[0], &to, hosts[HOMES - 1], NULL));
}

Test(boxes, fifty_behind_a_carrier_and_a_home_each_talk_at_once)
{
    enum { HOMES = 50 };
    uint32_t carrier = lab_box(lab, &lab->presets[NAPT_PRESET_PORT_RESTRICTED], WORLD_BOX_NONE);
    uint32_t hosts[HOMES];
    struct port_addr to = lab_addr(lab, reflector);
    for (uint32_t i = 0; i < HOMES; i++) {
        hosts[i] =
            lab_behind(lab, lab_box(lab, &lab->presets[i % NAPT_PRESET_UDP_BLOCKED], carrier));
        lab_say(lab, hosts[i], &to, '?');
    }
    lab_run(lab, 50 * LAB_MS);
    for (uint32_t i = 0; i < HOMES; i++) {
        cr_expect_not_null(lab_heard(lab, hosts[i]), "host %u", i);
    }
    struct napt_load load =
        napt_load_of(world_box(lab->world, carrier), world_now_us(lab->world), 0);
    cr_expect_eq(load.sessions, HOMES);
}

/* Nobody behind a firewall is hidden, but strangers are kept out; and none inside is asked of. */
Test(boxes, a_firewall_translates_nothing)
{
    uint32_t wall = lab_box(lab, &lab->presets[NAPT_PRESET_FIREWALL], WORLD_BOX_NONE);
    uint32_t first = lab_behind(lab, wall);
    uint32_t second = lab_behind(lab, wall);
    uint32_t stranger = lab_public(lab);
    struct port_addr own = lab_addr(lab, first);
    struct port_addr seen = lab_seen(lab, first, reflector);
    cr_expect(memcmp(&seen, &own, sizeof own) == 0);
    cr_expect_eq(world_find(lab->world, &own), world_host(lab->world, first));
    cr_expect_not(lab_reaches(lab, stranger, &own, first, NULL));
    struct port_addr there = lab_addr(lab, stranger);
    cr_expect(lab_reaches(lab, first, &there, stranger, NULL));
    cr_expect(lab_reaches(lab, stranger, &own, first, NULL));
    cr_expect(lab_reaches(lab, second, &own, first, NULL));
    cr_expect_eq(lab_heard(lab, first)->at_us % LAB_LATENCY_US % LAB_MS, 0);
    struct port_addr walls;
    addr_set(&walls, external_ip(wall), HOST_PORT);
    cr_expect_not(lab_reaches(lab, second, &walls, first, NULL), "nobody is there");
    cr_expect_not(lab_reaches(lab, stranger, &walls, first, NULL));
}

Test(boxes, a_firewall_inside_guards_from_the_rest_of_the_inside)
{
    uint32_t home = lab_box(lab, &lab->presets[NAPT_PRESET_FULL_CONE], WORLD_BOX_NONE);
    uint32_t wall = lab_box(lab, &lab->presets[NAPT_PRESET_FIREWALL], home);
    uint32_t router = lab_box(lab, &lab->presets[NAPT_PRESET_FULL_CONE], wall);
    uint32_t guarded = lab_behind(lab, wall);
    uint32_t hidden = lab_behind(lab, router);
    uint32_t free = lab_behind(lab, home);
    struct port_addr own = lab_addr(lab, guarded);
    struct port_addr there = lab_addr(lab, free);
    cr_expect_not(lab_reaches(lab, free, &own, guarded, NULL));
    cr_expect(lab_reaches(lab, guarded, &there, free, NULL));
    cr_expect(lab_reaches(lab, free, &own, guarded, NULL));
    struct port_addr seen = lab_seen(lab, hidden, reflector);
    cr_expect_eq(lab_ip(&seen), external_ip(home));
    struct port_addr from;
    cr_assert(lab_reaches(lab, hidden, &own, guarded, &from), "both are inside the wall");
    cr_expect_eq(lab_ip(&from), external_ip(router));
    cr_expect(lab_reaches(lab, guarded, &from, hidden, NULL));
    cr_expect_not(lab_reaches(lab, free, &from, hidden, NULL));
}

/* What is passed counts down: the own box, NET_HOPS routers, the other box. */
Test(boxes, a_ttl_ends_where_it_has_run_out)
{
    uint32_t boxes[2];
    uint32_t hosts[2];
    struct port_addr seen[2];
    for (int i = 0; i < 2; i++) {
        boxes[i] = lab_box(lab, &lab->presets[NAPT_PRESET_FULL_CONE], WORLD_BOX_NONE);
        hosts[i] = lab_behind(lab, boxes[i]);
        seen[i] = lab_seen(lab, hosts[i], reflector);
    }
    lab_forget(lab, hosts[1]);
    for (uint8_t ttl = 1; ttl < NET_HOPS + 3; ttl++) {
        lab_say_with(lab, hosts[0], PORT_MAIN_PATH, &seen[1], 't', ttl);
        lab_run(lab, 50 * LAB_MS);
        cr_expect_null(lab_heard(lab, hosts[1]), "TTL %u", ttl);
    }
    lab_say_with(lab, hosts[0], PORT_MAIN_PATH, &seen[1], 't', NET_HOPS + 3);
    lab_run(lab, 50 * LAB_MS);
    cr_expect_not_null(lab_heard(lab, hosts[1]));
    cr_expect_eq(world_counts(lab->world).datagrams_filtered, 0, "it was no box's doing");

    uint32_t outside = lab_public(lab);
    struct port_addr there = lab_addr(lab, outside);
    lab_say_with(lab, reflector, PORT_MAIN_PATH, &there, 't', NET_HOPS);
    lab_run(lab, 50 * LAB_MS);
    cr_expect_null(lab_heard(lab, outside));
    lab_say_with(lab, reflector, PORT_MAIN_PATH, &there, 't', NET_HOPS + 1);
    lab_run(lab, 50 * LAB_MS);
    cr_expect_not_null(lab_heard(lab, outside));
}

/* The opener of a hole: it passes its own boxes and nobody else hears of it. */
Test(boxes, a_low_ttl_opens_the_boxes_it_passes_and_none_beyond)
{
    uint32_t outer = lab_box(lab, &lab->presets[NAPT_PRESET_PORT_RESTRICTED], WORLD_BOX_NONE);
    uint32_t inner = lab_box(lab, &lab->presets[NAPT_PRESET_PORT_RESTRICTED], outer);
    uint32_t host = lab_behind(lab, inner);
    uint32_t outside = lab_public(lab);
    struct port_addr there = lab_addr(lab, outside);
    struct port_addr hole;
    addr_set(&hole, external_ip(outer), HOST_PORT);
    const unsigned sessions[][2] = {{0, 0}, {1, 0}, {1, 1}}; /* Of the inner one, of the outer. */
    for (uint8_t ttl = 1; ttl <= 3; ttl++) {
        lab_say_with(lab, host, PORT_MAIN_PATH, &there, 'o', ttl);
        uint64_t now_us = world_now_us(lab->world);
        cr_expect_eq(napt_load_of(world_box(lab->world, inner), now_us, 0).sessions,
                     sessions[ttl - 1][0], "TTL %u", ttl);
        cr_expect_eq(napt_load_of(world_box(lab->world, outer), now_us, 0).sessions,
                     sessions[ttl - 1][1], "TTL %u", ttl);
        cr_expect_eq(lab_reaches(lab, outside, &hole, host, NULL), ttl == 3);
        cr_expect_null(lab_heard(lab, outside));
    }
}

Test(boxes, know_what_they_knew_when_a_node_has_crashed)
{
    uint32_t box = lab_box(lab, &lab->presets[NAPT_PRESET_PORT_RESTRICTED], WORLD_BOX_NONE);
    uint32_t index = lab_behind(lab, box);
    uint32_t outside = lab_public(lab);
    struct port_addr there = lab_addr(lab, outside);
    struct port_addr seen;
    cr_assert(lab_reaches(lab, index, &there, outside, &seen));
    struct host *host = world_host(lab->world, index);
    host_kill(host);
    lab_say(lab, outside, &seen, 'd');
    lab_run(lab, 50 * LAB_MS);
    cr_expect_eq(world_counts(lab->world).datagrams_dead, 1);
    cr_assert_eq(host_start(host, &lab->config), ERR_OK);
    cr_expect(lab_reaches(lab, outside, &seen, index, NULL));
    cr_expect_eq(world_box_of(lab->world, index), box);
    lab_run(lab, 121 * LAB_SECOND); /* nf_conntrack_udp_timeout_stream. */
    cr_expect_not(lab_reaches(lab, outside, &seen, index, NULL));
}

Test(boxes, one_with_another_address_is_found_there_and_only_there)
{
    uint32_t carrier = lab_box(lab, &lab->presets[NAPT_PRESET_FULL_CONE], WORLD_BOX_NONE);
    uint32_t home = lab_box(lab, &lab->presets[NAPT_PRESET_FULL_CONE], carrier);
    uint32_t host = lab_behind(lab, home);
    uint32_t outside = lab_public(lab);
    for (int i = 0; i < 6; i++) {
        struct port_addr before = lab_seen(lab, host, reflector);
        cr_assert(lab_reaches(lab, outside, &before, host, NULL));
        world_renumber_box(lab->world, i % 2 == 0 ? carrier : home);
        cr_expect_not(lab_reaches(lab, outside, &before, host, NULL));
        struct port_addr after = lab_seen(lab, host, reflector);
        cr_expect_eq(lab_ip(&after) == lab_ip(&before), i % 2 == 1);
        cr_expect(lab_reaches(lab, outside, &after, host, NULL));
        cr_expect_eq(lab_reaches(lab, outside, &before, host, NULL),
                     memcmp(&before, &after, sizeof after) == 0);
    }
}

Test(boxes, every_path_has_a_port_of_its_own_inside)
{
    uint32_t box = lab_box(lab, &lab->presets[NAPT_PRESET_PORT_RESTRICTED], WORLD_BOX_NONE);
    uint32_t host = lab_behind(lab, box);
    struct port_addr at = lab_addr(lab, reflector);
    for (int i = 0; i < 20; i++) {
        int path = lab_path(lab, host);
        lab_forget(lab, host);
        lab_say_with(lab, host, path, &at, '?', 0);
        lab_run(lab, 50 * LAB_MS);
        const struct probe_datagram *heard = lab_heard(lab, host);
        cr_assert_not_null(heard);
        cr_expect_eq(heard->path, path);
        struct port_addr seen;
        memcpy(&seen, heard->bytes, sizeof seen);
        cr_expect_eq(addr_port(&seen), (unsigned)(HOST_PORT + path));
    }
}

Test(boxes, hosts_without_one_carry_nothing_for_it)
{
    cr_expect_eq(world_host(lab->world, reflector)->extra, 0);
    cr_expect_leq(sizeof(struct host), 256u);
    cr_expect_eq(offsetof(struct packet, bytes) + 96, 128u, "the small class: two lines");
}
