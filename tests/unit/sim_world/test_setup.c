/* test_setup.c - a scenario's numbers arrive where net, host and node read them. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdio.h>

#include "sim/setup.h"
#include "tests/support/scenario_text.h"

static struct setup setup;
static struct world *world;

/* Sets up `body`, the inside of a scenario, as far as its hosts and groups. */
static struct scenario *set_up(const char *body)
{
    struct scenario *scenario = scenario_text(body);
    char error[200] = "";
    cr_assert(setup_open(&setup, scenario, 5, error, sizeof error), "%s", error);
    struct world_options options = {.seed = 5,
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

Test(setup, links_and_loss_reach_the_network)
{
    struct scenario *scenario =
        set_up("\"groups\": [ { \"name\": \"a\", \"count\": 3, \"link\": { \"up\": \"1Mbit/s\","
               "  \"down\": \"2Mbit/s\", \"queue\": \"64KiB\", \"latency\": \"7ms\","
               "  \"loss\": 0.25 } }, { \"name\": \"b\", \"count\": 2 } ],"
               "\"network\": { \"mtu\": 1400, \"loss\": { \"model\": \"gilbert_elliott\","
               "  \"p_good_to_bad\": 0.125, \"p_bad_to_good\": 0.5, \"loss_bad\": 0.75 },"
               "  \"latency\": { \"value\": \"100ms\", \"jitter\": \"3ms\" } }");
    const struct net_access *access = &setup.net.access[0];
    cr_assert(access->up_bps == 1000000 && access->down_bps == 2000000);
    cr_assert(access->up_queue_bytes == 65536 && access->down_queue_bytes == 65536);
    cr_assert_eq(access->loss, 1u << 30);
    cr_assert_eq(setup.net.access_count, 2);
    cr_assert_eq(setup.net.mtu_bytes, 1400);
    cr_assert_eq(setup.net.loss.enter_bad, 1u << 29);
    cr_assert_eq(setup.net.loss.leave_bad, 1u << 31);
    cr_assert_eq(setup.net.loss.loss_good, 0);
    cr_assert_eq(setup.net.loss.loss_bad, 3u << 30);
    cr_assert_eq(setup.net.latency, NET_LATENCY_DIST);
    cr_assert_eq(dist_quantile(setup.net.latency_us, 0.5), 50000, "one way is half of it");
    cr_assert_eq(setup.net.jitter, NET_JITTER_ADD);
    cr_assert_eq(dist_quantile(setup.net.jitter_dist, 0.5), 3000);
    cr_assert_eq(world_host(world, 0)->link.access_us, 7000);
    cr_assert(world_host(world, 2)->link.access == 0 && world_host(world, 3)->link.access == 1);
    tear_down(scenario);
}

Test(setup, independent_loss_is_the_good_state_only)
{
    struct scenario *scenario =
        set_up("\"groups\": [ { \"name\": \"a\", \"count\": 1 } ],"
               "\"network\": { \"loss\": { \"model\": \"bernoulli\", \"p\": 0.5 } }");
    cr_assert_eq(setup.net.loss.enter_bad, 0);
    cr_assert_eq(setup.net.loss.loss_good, 1u << 31);
    cr_assert_eq(setup.net.jitter, NET_JITTER_NONE);
    tear_down(scenario);
}

Test(setup, coordinates_place_every_host_in_its_region)
{
    struct scenario *scenario =
        set_up("\"groups\": [ { \"name\": \"a\", \"count\": 4, \"region\": \"oslo\" },"
               "  { \"name\": \"b\", \"count\": 4, \"region\": \"lima\" } ],"
               "\"network\": { \"latency\": { \"model\": \"coordinates\","
               "  \"places\": { \"oslo\": [59.9, 10.7], \"lima\": [-12.0, -77.0] } } }");
    cr_assert_eq(setup.net.latency, NET_LATENCY_GEO);
    struct geo_place oslo;
    cr_assert_eq(geo_place_at(&oslo, 59.9, 10.7), ERR_OK);
    const struct net_link *here = &world_host(world, 0)->link;
    const struct net_link *there = &world_host(world, 7)->link;
    cr_assert(here->place.x == oslo.x && here->place.y == oslo.y && here->place.z == oslo.z);
    /* 11,000 km of great circle, 1.7 times as much cable, 5 us a km. */
    cr_assert_float_eq(geo_us(setup.net.geo, here->place, there->place), 93500.0, 2000);
    tear_down(scenario);
}

Test(setup, address_groups_hold_as_many_nodes_as_asked_for)
{
    struct scenario *scenario =
        set_up("\"groups\": [ { \"name\": \"a\", \"count\": 5, \"address_group_size\": 2 },"
               "  { \"name\": \"b\", \"count\": 2 } ]");
    static const uint32_t expected[] = {0, 0, 1, 1, 2, 3, 4};
    uint64_t first = contact_addr_group(&world_host(world, 0)->port.local);
    for (uint32_t i = 0; i < 7; i++) {
        cr_assert_eq(contact_addr_group(&world_host(world, i)->port.local) - first, expected[i],
                     "node %u", i);
    }
    tear_down(scenario);
}

Test(setup, protocol_settings_reach_the_nodes_of_their_group)
{
    struct scenario *scenario = set_up(
        "\"defaults\": { \"protocol\": { \"k\": 8, \"alpha\": 2 } },"
        "\"groups\": [ { \"name\": \"a\", \"count\": 1 }, { \"name\": \"b\", \"count\": 1,"
        "  \"protocol\": { \"sessions_max\": 99, \"path_cache\": false, \"republish\": \"10m\","
        "  \"record_expiry\": \"2h\", \"refresh\": \"20m\", \"gossip_period\": \"0s\","
        "  \"guard_per_minute\": 30000, \"guard_per_hour\": 0 } } ]");
    const struct node_config *a = setup.groups[0].configs;
    const struct node_config *b = setup.groups[1].configs;
    cr_assert(a->dht.k == 8 && a->dht.alpha == 2 && b->dht.k == 8);
    cr_assert(a->dht.path_cache && !b->dht.path_cache);
    cr_assert_eq(b->transport.sessions_max, 99);
    cr_assert_eq(b->dht.republish_us, UINT64_C(600000000));
    cr_assert_eq(b->dht.refresh_us, UINT64_C(1200000000));
    cr_assert_eq(b->dht.expiry_s, 7200);
    cr_assert_eq(b->gossip.period_us, 0);
    cr_assert_eq(a->guard.peer_per_minute, 100);
    cr_assert_eq(a->guard.peer_per_hour, 1000);
    cr_assert_eq(b->guard.peer_per_minute, 30000);
    cr_assert_eq(b->guard.peer_per_hour, 0);
    cr_assert_geq(b->guard.group_rate, 2 * b->guard.peer_per_minute / 60);
    cr_assert_leq(b->guard.group_burst, GUARD_BURST_MAX);
    tear_down(scenario);
}

Test(setup, newcomers_know_four_seeds_and_all_seeds_are_known)
{
    struct scenario *scenario = set_up("\"groups\": [ { \"name\": \"core\", \"count\": 10 },"
                                       "  { \"name\": \"peers\", \"count\": 30 } ]");
    cr_assert(setup.groups[0].seed_count == 10 && setup.groups[1].seed_count == 0);
    cr_assert_eq(setup.groups[1].config_count, 3);
    bool is_known[10] = {false};
    for (uint32_t variant = 0; variant < 3; variant++) {
        const struct node_config *config = &setup.groups[1].configs[variant];
        cr_assert_eq(config->bootstrap_count, variant < 2 ? 4 : 2);
        for (uint32_t i = 0; i < config->bootstrap_count; i++) {
            const struct host *host = world_find(world, &config->bootstrap[i]);
            cr_assert(host != NULL && host->index < 10);
            is_known[host->index] = true;
        }
        const struct node_config *seed = &setup.groups[0].seed_configs[variant];
        cr_assert_gt(seed->transport.sessions_max, config->transport.sessions_max);
        cr_assert_gt(seed->guard.handshake_rate, config->guard.handshake_rate);
    }
    for (uint32_t i = 0; i < 10; i++) {
        cr_assert(is_known[i], "seed %u", i);
    }
    tear_down(scenario);
}

Test(setup, starts_follow_join_ramp_and_bootstrap_group)
{
    struct scenario *scenario =
        set_up("\"groups\": [ { \"name\": \"late\", \"count\": 1, \"join\": { \"at\": \"20s\","
               "  \"over\": \"5s\" } }, { \"name\": \"core\", \"count\": 1 },"
               "  { \"name\": \"peers\", \"count\": 1 } ],"
               "\"topology\": { \"bootstrap_group\": \"core\", \"join_ramp\": \"30s\" }");
    cr_assert(setup.groups[0].origin_us == 20000000 && setup.groups[0].ramp_us == 5000000);
    cr_assert(setup.groups[1].origin_us == 0 && setup.groups[1].ramp_us == 0);
    cr_assert(setup.groups[2].origin_us == 0 && setup.groups[2].ramp_us == 30000000);
    tear_down(scenario);
}

Test(setup, churn_reaches_its_group_only)
{
    struct scenario *scenario =
        set_up("\"groups\": [ { \"name\": \"a\", \"count\": 1 }, { \"name\": \"b\", \"count\": 1,"
               "  \"churn\": { \"session\": \"10m\", \"offline\": \"30m\", \"always_on\": 0.5,"
               "  \"correlation\": 0.5 } } ]");
    cr_assert_null(setup.groups[0].churn);
    cr_assert_float_eq(churn_online_ratio(setup.groups[1].churn), 0.25, 1e-9);
    cr_assert_eq(setup.groups[1].always_on, 1u << 31);
    cr_assert(setup.groups[1].churn->is_equilibrium);
    tear_down(scenario);
}

Test(setup, works_carry_rates_keys_and_sizes)
{
    struct scenario *scenario = set_up(
        "\"groups\": [ { \"name\": \"a\", \"count\": 1 } ],"
        "\"workload\": ["
        "  { \"type\": \"get\", \"rate\": \"2/s\", \"keys\": { \"dist\": \"zipf\", \"s\": 1,"
        "    \"n\": 50 }, \"group\": \"a\", \"from\": \"10s\", \"until\": \"20s\" },"
        "  { \"type\": \"store\", \"rate\": \"1/min\", \"per\": \"network\", \"size\": \"77B\","
        "    \"keys\": { \"dist\": \"uniform\", \"n\": 80 } },"
        "  { \"type\": \"message\", \"rate\": \"1/s\" }, { \"type\": \"broadcast\","
        "    \"rate\": \"1/s\" }, { \"type\": \"lookup\", \"rate\": \"1/s\" } ]");
    struct population_options options = {0};
    cr_assert(setup_works(&setup, &options));
    cr_assert_eq(options.work_count, 5);
    const struct population_work *get = &options.works[0];
    cr_assert(get->kind == OPERATION_GET && get->is_per_node && get->group == 0);
    cr_assert(get->key_count == 50 && get->ranks != NULL && get->ranks->ranks != NULL);
    cr_assert(get->from_us == 10000000 && get->until_us == 20000000);
    cr_assert_float_eq(dist_mean(get->gap), 500000, 500);
    const struct population_work *store = &options.works[1];
    cr_assert(store->kind == OPERATION_STORE && !store->is_per_node);
    cr_assert(store->group == POPULATION_ALL && store->ranks == NULL && store->key_count == 80);
    cr_assert_eq(options.works[2].kind, OPERATION_MESSAGE);
    cr_assert_eq(options.works[3].kind, OPERATION_BROADCAST);
    cr_assert_eq(options.works[4].kind, OPERATION_LOOKUP);
    cr_assert_eq(options.key_count, 80);
    cr_assert_eq(dist_quantile(options.value_bytes, 0.5), 77);
    cr_assert_eq(options.value_expiry_us, UINT64_C(86400000000));
    tear_down(scenario);
}

Test(setup, the_hash_tells_one_world_from_another)
{
    static const char *const bodies[] = {
        "\"groups\": [ { \"name\": \"a\", \"count\": 1 } ]",
        "\"groups\": [ { \"name\": \"a\", \"count\": 1, \"link\": { \"latency\": \"2ms\" } } ]",
        "\"groups\": [ { \"name\": \"a\", \"count\": 1 } ],"
        "\"network\": { \"latency\": { \"value\": \"101ms\" } }",
        "\"groups\": [ { \"name\": \"a\", \"count\": 1 } ],"
        "\"network\": { \"latency\": { \"model\": \"region_matrix\","
        "  \"matrix\": { \"eu-eu\": \"10ms\" } } }",
        "\"groups\": [ { \"name\": \"a\", \"count\": 1 } ],"
        "\"network\": { \"latency\": { \"model\": \"region_matrix\","
        "  \"matrix\": { \"eu-eu\": \"12ms\" } } }",
        "\"groups\": [ { \"name\": \"a\", \"count\": 1 } ],"
        "\"network\": { \"latency\": { \"model\": \"coordinates\","
        "  \"places\": { \"x\": [1, 2] } } }",
        "\"groups\": [ { \"name\": \"a\", \"count\": 1 } ],"
        "\"network\": { \"latency\": { \"model\": \"coordinates\", \"inflation\": 2,"
        "  \"places\": { \"x\": [1, 2] } } }",
    };
    enum { BODIES = sizeof bodies / sizeof *bodies };
    uint64_t hashes[BODIES];
    for (size_t i = 0; i < BODIES; i++) {
        struct scenario *scenario = set_up(bodies[i]);
        hashes[i] = setup_hash(&setup);
        tear_down(scenario);
        scenario = set_up(bodies[i]);
        cr_assert_eq(setup_hash(&setup), hashes[i]);
        tear_down(scenario);
        for (size_t j = 0; j < i; j++) {
            cr_assert_neq(hashes[i], hashes[j], "worlds %zu and %zu", i, j);
        }
    }
}
