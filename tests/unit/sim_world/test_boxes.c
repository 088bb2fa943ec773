/* test_boxes.c - a scenario's mixes of NAT, dealt out to nodes and built in the world. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node/base/slice.h"
#include "sim/setup.h"
#include "sim/sim.h"
#include "tests/support/scenario_text.h"

#define RELAY "{ \"name\": \"relay\", \"count\": 3 }, "

static struct setup setup;
static struct world *world;

static struct scenario *set_up(const char *body, uint64_t seed)
{
    struct scenario *scenario = scenario_text(body);
    char error[200] = "";
    cr_assert(setup_open(&setup, scenario, seed, error, sizeof error), "%s", error);
    struct world_options options = {.seed = seed,
                                    .crypto = &modelled_suite,
                                    .net = &setup.net,
                                    .hosts_max = scenario->node_count,
                                    .node_bytes_max = 1u << 20};
    world = world_open(&options);
    cr_assert(setup_hosts(&setup, world) && setup_groups(&setup, world), "%s", error);
    return scenario;
}

static void tear_down(struct scenario *scenario)
{
    world_close(world);
    setup_close(&setup);
    scenario_free(scenario);
}

static uint32_t count_of(const struct scenario *scenario, uint32_t group, uint32_t kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < scenario->groups[group].count; i++) {
        count += setup.nat_kinds[setup.groups[group].first + i] == kind;
    }
    return count;
}

static uint32_t preset_kind(enum napt_preset preset)
{
    return (uint32_t)SCENARIO_NAT_PRESET + preset;
}

Test(boxes, public_nodes_have_none)
{
    struct scenario *scenario =
        set_up("\"groups\": [ { \"name\": \"a\", \"count\": 9, \"nat\": \"public\" } ]", 1);
    cr_assert_null(setup.nat_kinds);
    cr_assert_eq(world_box_count(world), 0);
    tear_down(scenario);
}

Test(boxes, shares_are_met_by_largest_remainder)
{
    struct scenario *scenario =
        set_up("\"groups\": [ " RELAY "{ \"name\": \"a\", \"count\": 10, \"nat\":"
               " { \"full_cone\": 0.33, \"symmetric\": 0.33, \"public\": 0.34 } },"
               " { \"name\": \"b\", \"count\": 200, \"nat\": \"calibrated\", \"nat_double\": 0 } ]",
               1);
    /* 3.3, 3.3 and 3.4: the one that is left goes to the last. */
    cr_assert_eq(count_of(scenario, 1, preset_kind(NAPT_PRESET_FULL_CONE)), 3);
    cr_assert_eq(count_of(scenario, 1, preset_kind(NAPT_PRESET_SYMMETRIC)), 3);
    cr_assert_eq(count_of(scenario, 1, SCENARIO_NAT_PUBLIC), 4);
    static const struct {
        enum napt_preset preset;
        uint32_t count;
    } expected[] = {{NAPT_PRESET_FULL_CONE, 24},        {NAPT_PRESET_RESTRICTED, 15},
                    {NAPT_PRESET_PORT_RESTRICTED, 120}, {NAPT_PRESET_SYMMETRIC, 28},
                    {NAPT_PRESET_SEQUENTIAL, 7},        {NAPT_PRESET_UDP_BLOCKED, 6}};
    for (size_t i = 0; i < array_len(expected); i++) {
        cr_assert_eq(count_of(scenario, 2, preset_kind(expected[i].preset)), expected[i].count);
    }
    cr_assert_eq(count_of(scenario, 0, SCENARIO_NAT_PUBLIC), 3);
    cr_assert_eq(world_box_count(world), 206);
    for (uint32_t node = 0; node < 213; node++) {
        bool is_public = world_box_of(world, node) == WORLD_BOX_NONE;
        cr_assert_eq(is_public, setup.nat_kinds[node] == SCENARIO_NAT_PUBLIC);
    }
    tear_down(scenario);
}

/* Where the kinds stand in a group of 100, as text. */
static void order_of(uint64_t seed, const char *more, char order[101])
{
    char body[500];
    snprintf(body, sizeof body,
             "\"groups\": [ " RELAY "{ \"name\": \"a\", \"count\": 100, %s"
             " \"nat\": { \"full_cone\": 0.5, \"symmetric\": 0.5 } } ]",
             more);
    struct scenario *scenario = set_up(body, seed);
    for (uint32_t i = 0; i < 100; i++) {
        bool is_cone = setup.nat_kinds[3 + i] == preset_kind(NAPT_PRESET_FULL_CONE);
        order[i] = is_cone ? 'c' : 's';
    }
    order[100] = '\0';
    tear_down(scenario);
}

Test(boxes, kinds_are_dealt_by_the_seed_and_other_keys_move_none)
{
    char first[101];
    char other[101];
    order_of(1, "", first);
    order_of(1, "\"nat_double\": 0.5, \"nat_hairpin\": 0.5, \"address_group_size\": 7,", other);
    cr_assert_str_eq(first, other);
    order_of(2, "", other);
    cr_assert_str_neq(first, other);
}

/* Boxes move no dice of hosts: places, entropy, links. */
Test(boxes, hosts_are_where_they_would_be_without_boxes)
{
    enum { NODES = 43 };
    struct net_link links[NODES];
    static const char *const nats[] = {"public", "calibrated"};
    for (int run = 0; run < 2; run++) {
        char body[500];
        snprintf(body, sizeof body,
                 "\"groups\": [ " RELAY "{ \"name\": \"a\", \"count\": 40, \"nat\": \"%s\","
                 " \"link\": { \"latency\": { \"dist\": \"uniform\", \"min\": \"1ms\","
                 "  \"max\": \"90ms\" } } } ]",
                 nats[run]);
        struct scenario *scenario = set_up(body, 4);
        for (uint32_t i = 0; i < NODES; i++) {
            const struct host *host = world_host(world, i);
            if (run == 0) {
                links[i] = host->link;
            } else {
                cr_assert_eq(host->link.access_us, links[i].access_us);
                cr_assert_arr_eq(&host->link.rng, &links[i].rng, sizeof links[i].rng);
            }
        }
        tear_down(scenario);
    }
}

Test(boxes, a_box_is_shared_by_as_many_as_it_says)
{
    struct scenario *scenario =
        set_up("\"boxes\": { \"carrier\": { \"preset\": \"symmetric\", \"shared_by\": 4 } },"
               "\"groups\": [ " RELAY "{ \"name\": \"a\", \"count\": 10, \"nat\": \"carrier\" },"
               "  { \"name\": \"b\", \"count\": 3, \"nat\": \"carrier\" } ]",
               1);
    cr_assert_eq(world_box_count(world), 3 + 1); /* 4, 4 and 2; and 3 of another group. */
    static const uint32_t expected[] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 3};
    for (uint32_t i = 0; i < array_len(expected); i++) {
        cr_assert_eq(world_box_of(world, 3 + i), expected[i], "node %u", i);
    }
    tear_down(scenario);
}

/* Out through all boxes in a row: the address that a packet has outside. */
static uint32_t outside_of(uint32_t box, uint32_t inside_ip)
{
    struct napt_packet packet = {.from = {inside_ip, 8468}, .to = {0x08080808, 53}};
    cr_assert_eq(napt_out(world_box(world, box), 1, &packet), NAPT_PASSED);
    return packet.from.ip;
}

Test(boxes, boxes_stand_behind_boxes_and_share_those_too)
{
    struct scenario *scenario =
        set_up("\"boxes\": { \"home\": { \"behind\": \"carrier\", \"shared_by\": 2 },"
               "             \"carrier\": { \"preset\": \"symmetric\", \"shared_by\": 3 } },"
               "\"groups\": [ " RELAY "{ \"name\": \"a\", \"count\": 10, \"nat\": \"home\" } ]",
               1);
    /* Five homes; the first three behind one carrier, the others behind a second: seven boxes. */
    cr_assert_eq(world_box_count(world), 7);
    static const uint32_t homes[] = {1, 1, 2, 2, 3, 3, 5, 5, 6, 6};
    for (uint32_t i = 0; i < array_len(homes); i++) {
        cr_assert_eq(world_box_of(world, 3 + i), homes[i], "node %u", i);
    }
    uint32_t ten = 10u << 24; /* An inner box has a private address of the outer one's inside. */
    cr_assert_eq(outside_of(1, ten | 2) & 0xff000000, ten);
    cr_assert_neq(outside_of(0, ten | 2) & 0xff000000, ten);
    tear_down(scenario);
}

static uint32_t answers_requests(uint32_t box)
{
    struct napt_end inside = {10u << 24 | 2, 8468};
    struct napt_end external;
    uint64_t granted_us;
    return napt_request(world_box(world, box), 1, NAPT_UDP, &inside, 1000000, 0, &external,
                        &granted_us) == ERR_OK;
}

static uint32_t hairpins(uint32_t box)
{
    struct napt *nat = world_box(world, box);
    struct napt_packet packet = {.from = {10u << 24 | 2, 8468}, .to = {napt_external_ip(nat), 1}};
    return napt_out(nat, 1, &packet) == NAPT_PASSED;
}

/* Exact shares of those behind presets, each chosen for itself. */
Test(boxes, traits_are_given_to_exact_shares_independently)
{
    struct scenario *scenario =
        set_up("\"groups\": [ " RELAY "{ \"name\": \"a\", \"count\": 500,"
               "  \"nat\": { \"public\": 0.2, \"port_restricted\": 0.8 }, \"nat_hairpin\": 0.25,"
               "  \"nat_port_mapping\": 0.3, \"nat_double\": 0.1 } ]",
               1);
    uint32_t boxes = 0;
    uint32_t hairpin = 0;
    uint32_t mapping = 0;
    uint32_t both = 0;
    for (uint32_t i = 3; i < 503; i++) {
        uint32_t box = world_box_of(world, i);
        if (box != WORLD_BOX_NONE) {
            boxes++;
            uint32_t does_hairpin = hairpins(box);
            uint32_t does_map = answers_requests(box);
            hairpin += does_hairpin;
            mapping += does_map;
            both += does_hairpin & does_map;
        }
    }
    cr_assert(boxes == 400 && hairpin == 100 && mapping == 120);
    cr_assert_eq(world_box_count(world), 440); /* A tenth stand behind another. */
    /* Hypergeometric: mean 30, deviation 4. */
    cr_assert(both > 14 && both < 46, "%u", both);
    tear_down(scenario);
}

Test(boxes, a_run_is_the_same_on_any_number_of_threads_and_tells_what_nodes_stand_behind)
{
    struct scenario *scenario = scenario_text(
        "\"boxes\": { \"carrier\": { \"preset\": \"symmetric\", \"shared_by\": 5 } },"
        "\"groups\": [ { \"name\": \"relay\", \"count\": 10 }, { \"name\": \"a\", \"count\": 30,"
        "  \"nat\": { \"public\": 0.2, \"full_cone\": 0.4, \"carrier\": 0.4 } } ],"
        "\"topology\": { \"join_ramp\": \"10s\" },"
        "\"workload\": [ { \"type\": \"lookup\", \"rate\": \"2/s\", \"per\": \"network\" } ]");
    uint64_t digests[2];
    for (uint32_t threads = 1; threads <= 2; threads++) {
        struct sim_options options = {.scenario = scenario, .seed = 5, .threads = threads};
        char error[200] = "";
        struct sim *sim = sim_open(&options, error, sizeof error);
        cr_assert_not_null(sim, "%s", error);
        cr_assert(sim_run_until(sim, 60000000));
        digests[threads - 1] = sim_digest(sim);
        cr_assert_gt(world_counts(sim_world(sim)).datagrams_filtered, 0);
        uint32_t behind_carrier = 0;
        for (uint32_t node = 0; node < sim_node_count(sim); node++) {
            struct sim_node_info info;
            sim_node_info(sim, node, &info);
            bool is_public = world_box_of(sim_world(sim), node) == WORLD_BOX_NONE;
            cr_assert_eq(strcmp(info.nat_name, "public") == 0, is_public);
            behind_carrier += strcmp(info.nat_name, "carrier") == 0;
        }
        cr_assert_eq(behind_carrier, 12);
        sim_close(sim);
    }
    cr_assert_eq(digests[0], digests[1]);
    scenario_free(scenario);
}

/* How many boxes have another address than in `before`, and how many know anything. */
static void look_at(struct world *of, const uint32_t *before, uint32_t *moved, uint32_t *full)
{
    *moved = *full = 0;
    for (uint32_t i = 0; i < world_box_count(of); i++) {
        struct napt *box = world_box(of, i);
        *moved += napt_external_ip(box) != before[i];
        *full += napt_load_of(box, world_now_us(of), 0).mappings > 0;
    }
}

Test(boxes, actions_make_them_forget_or_give_them_another_address)
{
    enum { BOXES = 24 };
    struct scenario *scenario = scenario_text(
        "\"groups\": [ { \"name\": \"relay\", \"count\": 10 }, { \"name\": \"a\", \"count\": 24,"
        "  \"nat\": { \"full_cone\": 0.5, \"firewall\": 0.5 } } ],"
        "\"topology\": { \"join_ramp\": \"10s\" }, \"actions\": ["
        "  { \"at\": \"30s\", \"type\": \"nat_rebind\", \"select\": \"group:relay\" },"
        "  { \"at\": \"40s\", \"type\": \"nat_rebind\", \"select\": \"group:a\" },"
        "  { \"at\": \"50s\", \"type\": \"nat_renumber\", \"select\": \"all\" } ]");
    struct sim_options options = {.scenario = scenario, .seed = 5};
    char error[200] = "";
    struct sim *sim = sim_open(&options, error, sizeof error);
    cr_assert_not_null(sim, "%s", error);
    uint32_t before[BOXES];
    uint32_t moved;
    uint32_t full;
    cr_assert_eq(world_box_count(sim_world(sim)), BOXES);
    for (uint32_t i = 0; i < BOXES; i++) {
        before[i] = napt_external_ip(world_box(sim_world(sim), i));
    }
    cr_assert(sim_run_until(sim, 30000001));
    look_at(sim_world(sim), before, &moved, &full);
    cr_expect(moved == 0 && full == BOXES, "nothing happens to those that stand before nobody");
    cr_assert(sim_run_until(sim, 40000001));
    look_at(sim_world(sim), before, &moved, &full);
    cr_expect(moved == 0 && full < BOXES / 4, "%u moved, %u full", moved, full);
    cr_assert(sim_run_until(sim, 50000001));
    look_at(sim_world(sim), before, &moved, &full);
    cr_expect_eq(moved, BOXES / 2, "a firewall has no address of its own");
    sim_close(sim);
    scenario_free(scenario);
}

/* A full cone in a /24 of its own has the address its node would have, keeps its port and lets all
 * in: nobody can tell who is not looking for it. */
Test(boxes, a_run_behind_full_cones_is_the_run_without_boxes)
{
    static const char *const nats[] = {"public", "full_cone"};
    uint64_t digests[2];
    for (int run = 0; run < 2; run++) {
        char body[500];
        snprintf(
            body, sizeof body,
            "\"defaults\": { \"protocol\": { \"reach\": \"public\" } },"
            "\"groups\": [ { \"name\": \"relay\", \"count\": 10 }, { \"name\": \"a\","
            "  \"count\": 40, \"nat\": \"%s\" } ], \"topology\": { \"join_ramp\": \"10s\" },"
            "\"workload\": [ { \"type\": \"store\", \"rate\": \"2/s\", \"per\": \"network\" } ]",
            nats[run]);
        struct scenario *scenario = scenario_text(body);
        struct sim_options options = {.scenario = scenario, .seed = 5};
        char error[200] = "";
        struct sim *sim = sim_open(&options, error, sizeof error);
        cr_assert_not_null(sim, "%s", error);
        cr_assert(sim_run_until(sim, 90000000));
        cr_assert_eq(world_box_count(sim_world(sim)), run == 0 ? 0 : 40);
        digests[run] = sim_digest(sim);
        sim_close(sim);
        scenario_free(scenario);
    }
    cr_assert_eq(digests[0], digests[1]);
}
