/* test_upkeep.c - joining, refreshing, checking and remembering. */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "fake_net.h"

static struct net *empty_net(uint64_t seed)
{
    struct dht_config config = net_config();
    return net_open(seed, &config);
}

/* `nodes` join one after another within `ramp_us` through the first. */
static void join_all(struct net *net, uint32_t nodes, uint64_t ramp_us)
{
    net_start(net_add(net), NULL);
    for (uint32_t i = 1; i < nodes; i++) {
        net_run_for(net, ramp_us / nodes);
        net_start(net_add(net), net_at(net, 0));
    }
}

static uint32_t exact_of(struct net *net, uint32_t lookups)
{
    uint32_t exact = 0;
    for (uint32_t i = 0; i < lookups; i++) {
        struct net_node *node;
        do {
            node = net_at(net, (uint32_t)rng_below(net_dice(net), net_size(net)));
        } while (!node->is_alive);
        struct node_id target = net_random_id(net);
        struct net_found found = net_lookup(node, &target, LOOKUP_NODE);
        uint32_t truth[DHT_K_MAX];
        uint32_t count = net_true_nearest(net, &target, node, truth, DHT_K_MAX);
        exact += found.count == count && memcmp(found.nearest, truth, count * sizeof *truth) == 0;
    }
    return exact;
}

static void check_all(struct net *net)
{
    for (uint32_t i = 0; i < net_size(net); i++) {
        const struct net_node *node = net_at(net, i);
        const char *wrong = node->is_alive ? dht_check(&node->dht) : NULL;
        cr_assert_null(wrong, "node %u: %s", i, wrong);
    }
}

Test(dht_upkeep, the_first_node_has_joined_at_once)
{
    struct net *net = empty_net(1);
    struct net_node *node = net_add(net);
    net_start(node, NULL);
    cr_assert_eq(node->join_reports, 0, "done was called before return");
    net_run_for(net, MILLISECOND);
    cr_assert(node->is_joined);
    cr_assert_eq(node->join_reports, 1);
    cr_assert(net_close(net));
}

Test(dht_upkeep, our_own_address_is_nobody_to_join_through)
{
    struct net *net = empty_net(2);
    struct net_node *node = net_add(net);
    net_start(node, node);
    net_run_for(net, MILLISECOND);
    cr_assert(node->is_joined);
    cr_assert(net_close(net));
}

Test(dht_upkeep, joins_converge_on_a_network_where_lookups_are_exact, .timeout = 300)
{
    struct net *net = empty_net(3);
    join_all(net, 300, 30 * SECOND);
    net_run_for(net, 15 * SECOND);
    for (uint32_t i = 0; i < 300; i++) {
        const struct net_node *node = net_at(net, i);
        cr_assert(node->is_joined, "node %u", i);
        cr_assert_eq(node->join_status, ERR_OK);
        cr_assert_eq(node->join_reports, 1);
    }
    uint32_t soon = exact_of(net, 100);
    net_run_for(net, 300 * SECOND);
    check_all(net);
    uint32_t later = exact_of(net, 200);
    cr_log_info("exact %u of 100 after 15 s, %u of 200 after 5 minutes", soon, later);
    cr_assert_geq(soon, 90, "exact %u of 100 (seed 3)", soon);
    cr_assert_geq(later, 199, "exact %u of 200 (seed 3)", later);
    cr_assert(net_close(net));
}

/* Far buckets are for those who serve: their lookups are their own, and others'. */
Test(dht_upkeep, a_client_looks_itself_up_and_the_far_buckets_once_it_serves, .timeout = 60)
{
    struct net *net = empty_net(5);
    join_all(net, 100, 10 * SECOND);
    net_run_for(net, 10 * SECOND);
    struct net_node *node = net_add(net);
    dht_serve(&node->dht, false);
    net_start(node, net_at(net, 0));
    for (uint32_t i = 0; i < 50 && !node->is_joined; i++) {
        net_run_for(net, 100 * MILLISECOND);
    }
    cr_assert(node->is_joined);
    cr_assert_geq(dht_contact_count(&node->dht), net_config().k);
    for (uint32_t bucket = 0; bucket < UPKEEP_FAR_BUCKETS; bucket++) {
        cr_assert_eq(node->dht.upkeep.looked_at[bucket], 0, "bucket %u", bucket);
    }
    dht_serve(&node->dht, true);
    net_run_for(net, 10 * SECOND);
    for (uint32_t bucket = 0; bucket < UPKEEP_FAR_BUCKETS; bucket++) {
        cr_assert_neq(node->dht.upkeep.looked_at[bucket], 0, "bucket %u", bucket);
    }
    cr_assert_eq(node->join_reports, 1);
    cr_assert(net_close(net));
}

Test(dht_upkeep, a_flash_crowd_joins_all_the_same, .timeout = 300)
{
    struct net *net = empty_net(4);
    join_all(net, 400, 2 * SECOND);
    net_run_for(net, 300 * SECOND);
    for (uint32_t i = 0; i < 400; i++) {
        cr_assert(net_at(net, i)->is_joined, "node %u", i);
    }
    check_all(net);
    uint32_t exact = exact_of(net, 200);
    cr_log_info("exact %u of 200", exact);
    cr_assert_geq(exact, 198, "exact %u of 200 (seed 4)", exact);
    cr_assert(net_close(net));
}

/* The bootstrap node comes up a minute late: tries back off, and the next one succeeds. */
Test(dht_upkeep, a_join_that_reaches_nobody_is_tried_again, .timeout = 60)
{
    struct net *net = empty_net(5);
    struct net_node *late = net_add(net);
    net_kill(late);
    struct net_node *node = net_add(net);
    net_start(node, late);
    net_run_for(net, 10 * SECOND);
    cr_assert_eq(node->join_reports, 1);
    cr_assert_eq(node->join_status, ERR_UNREACHABLE);
    net_run_for(net, 300 * SECOND);
    cr_assert_eq(node->join_reports, 1, "failure is told once");
    uint32_t tries = node->dht.upkeep.tries;
    /* 3 s to learn that a call is lost, then 1, 2, 4 ... 64 s: about 9 tries in 310 s. */
    cr_assert(tries >= 7 && tries <= 11, "%u tries", tries);
    net_revive(late, NULL);
    net_run_for(net, 90 * SECOND);
    cr_assert(node->is_joined);
    cr_assert_eq(node->join_reports, 2);
    cr_assert_eq(node->join_status, ERR_OK);
    cr_assert(net_close(net));
}

/* Killed, not stopped; the bootstrap node is gone for good. */
Test(dht_upkeep, a_restart_joins_through_remembered_contacts, .timeout = 120)
{
    struct net *net = empty_net(6);
    join_all(net, 60, 10 * SECOND);
    net_run_for(net, 60 * SECOND);
    for (uint32_t i = 0; i < 20; i++) {
        net_kill(net_at(net, i));
    }
    net_run_for(net, 20 * SECOND);
    for (uint32_t i = 1; i < 20; i++) {
        net_revive(net_at(net, i), net_at(net, 0));
    }
    net_run_for(net, 60 * SECOND);
    for (uint32_t i = 1; i < 20; i++) {
        cr_assert(net_at(net, i)->is_joined, "node %u", i);
        uint32_t contacts = dht_contact_count(&net_at(net, i)->dht);
        cr_assert_gt(contacts, 20, "node %u knows %u", i, contacts);
    }
    check_all(net);
    cr_assert(net_close(net));
}

/* Those who answer first started as late as the node itself, and know as little: the others are
 * farther away than a whole join among neighbours takes. */
Test(dht_upkeep, many_that_restart_together_find_more_than_each_other, .timeout = 120)
{
    enum { NODES = 24, KILLED = 9, SEEDS = 20, FAR_US = 800000 };
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct net *net = empty_net(seed);
        join_all(net, NODES, SECOND);
        net_run_for(net, 60 * SECOND);
        for (uint32_t i = 0; i < KILLED; i++) {
            net_kill(net_at(net, i));
        }
        for (uint32_t i = KILLED; i < NODES; i++) {
            net_at(net, i)->delay_us = FAR_US;
        }
        for (uint32_t i = 1; i < KILLED; i++) {
            net_revive(net_at(net, i), net_at(net, 0));
        }
        net_run_for(net, 10 * SECOND);
        for (uint32_t i = 1; i < KILLED; i++) {
            uint32_t contacts = dht_contact_count(&net_at(net, i)->dht);
            cr_assert_geq(contacts, NODES - KILLED, "seed %u: node %u knows %u", (unsigned)seed, i,
                          contacts);
        }
        check_all(net);
        cr_assert(net_close(net));
    }
}

/* Two that know nobody else do not look for others every second. */
Test(dht_upkeep, a_small_network_is_soon_quiet, .timeout = 60)
{
    struct net *net = empty_net(12);
    join_all(net, 2, SECOND);
    net_run_for(net, 10 * SECOND);
    uint32_t asked = net_requests(net, MESSAGE_FIND_NODE);
    net_run_for(net, 110 * SECOND);
    cr_assert_leq(net_requests(net, MESSAGE_FIND_NODE) - asked, 2);
    cr_assert(net_close(net));
}

Test(dht_upkeep, contacts_that_died_are_forgotten_without_any_lookup, .timeout = 120)
{
    struct net *net = empty_net(7);
    join_all(net, 60, 10 * SECOND);
    net_run_for(net, 300 * SECOND);
    for (uint32_t i = 40; i < 60; i++) {
        net_kill(net_at(net, i));
    }
    uint32_t dead_before = 0;
    uint32_t dead_after = 0;
    for (uint32_t after = 0; after < 2; after++) {
        for (uint32_t i = 0; i < 40; i++) {
            uint32_t contacts[DHT_CONTACTS_MAX];
            uint32_t count = dht_contacts(&net_at(net, i)->dht, contacts, DHT_CONTACTS_MAX);
            for (uint32_t j = 0; j < count; j++) {
                uint32_t dead = !net_by_contact(net, contacts[j])->is_alive;
                *(after == 0 ? &dead_before : &dead_after) += dead;
            }
        }
        net_run_for(net, after == 0 ? 1800 * SECOND : 0);
    }
    cr_assert_gt(dead_before, 500);
    cr_assert_leq(dead_after, dead_before / 50, "%u of %u dead contacts are left", dead_after,
                  dead_before);
    check_all(net);
    cr_assert(net_close(net));
}

/* Kademlia paper 2.2: a newcomer that finds a full bucket has the contact silent for longest asked
 * whether it lives; but not one heard of lately, and one at a time. */
Test(dht_upkeep, a_newcomer_to_a_full_bucket_has_the_most_silent_contact_checked)
{
    struct net *net = empty_net(12);
    net_add_many(net, 80);
    net_fill_tables(net);
    net_serve_all(net);
    struct net_node *node = net_at(net, 0);
    cr_assert_eq(dht_table_bucket_count(&node->dht.table, 0), 20);
    uint32_t contacts[DHT_CONTACTS_MAX];
    uint32_t count = dht_contacts(&node->dht, contacts, DHT_CONTACTS_MAX);
    for (uint32_t i = 0; i < 80; i++) {
        struct net_node *other = net_at(net, i);
        bool is_known = other == node;
        for (uint32_t j = 0; j < count; j++) {
            is_known |= contacts[j] == other->contact;
        }
        if (!is_known && dht_table_bucket_of(&node->dht.table, &other->identity.id) == 0) {
            net_set_clock(node);
            dht_on_verified(&node->dht, other->contact, 1000);
            net_run_for(net, node->calls_open > 0 ? SECOND : 400 * SECOND);
        }
    }
    /* The first came too early; each of the next found another contact silent for 400 s or more. */
    uint32_t pings = net_requests(net, MESSAGE_PING);
    cr_assert_geq(pings, 3);
    cr_assert_eq(node->dht.upkeep.is_checking, false);
    uint32_t most = 0;
    for (uint32_t i = 0; i < 80; i++) {
        uint32_t got = net_at(net, i)->requests_got[MESSAGE_PING];
        most = got > most ? got : most;
    }
    cr_assert_eq(most, 1, "a contact that has just answered is not asked again");
    cr_assert(net_close(net));
}

/* What an idle node costs the network: bounded pings and one refresh per bucket and period. */
Test(dht_upkeep, an_idle_node_is_quiet, .timeout = 120)
{
    struct net *net = empty_net(8);
    join_all(net, 24, 10 * SECOND);
    net_run_for(net, 600 * SECOND);
    uint32_t before = 0;
    uint32_t after = 0;
    for (uint32_t kind = 0; kind < 256; kind++) {
        before += net_requests(net, (uint8_t)kind);
    }
    net_run_for(net, 3600 * SECOND);
    for (uint32_t kind = 0; kind < 256; kind++) {
        after += net_requests(net, (uint8_t)kind);
    }
    double per_second = (double)(after - before) / 3600 / 24;
    cr_log_info("%.3f requests a second and node", per_second);
    cr_assert_gt(after, before);
    cr_assert_lt(per_second,
                 0.25); /* A request and an answer each: 0.5 of the 2 packets. */
    cr_assert(net_close(net));
}

Test(dht_upkeep, buckets_that_lookups_go_to_are_not_refreshed)
{
    struct net *net = empty_net(9);
    join_all(net, 100, 10 * SECOND);
    net_run_for(net, 200 * SECOND);
    struct net_node *node = net_at(net, 50);
    uint32_t asked = 0;
    uint32_t before = node->core.counters.value[COUNT_LOOKUPS];
    for (; asked < 60;
         asked++) { /* Five rounds of refreshing: buckets 0 and 1 in turn, once a minute. */
        struct node_id target = net_random_id(net);
        target.bytes[0] = (uint8_t)(node->identity.id.bytes[0] ^ (asked % 2 == 0 ? 0x80 : 0x40));
        cr_assert_eq(net_lookup(node, &target, LOOKUP_NODE).status, ERR_OK);
        net_run_for(net, 49 * SECOND);
    }
    /* What is left are the deeper buckets and ourselves: depth + 2 turns in a round, less two. */
    uint32_t depth = dht_table_depth(&node->dht.table);
    uint32_t own = node->core.counters.value[COUNT_LOOKUPS] - before - asked;
    cr_assert_gt(own, 0);
    cr_assert_leq(own, 5 * depth + 2, "%u lookups of its own, depth %u", own, depth);
    cr_assert(net_close(net));
}

/* Everybody dies; the bootstrap node returns knowing nobody; the last node finds it by itself. */
Test(dht_upkeep, a_node_whose_table_ran_empty_joins_again, .timeout = 120)
{
    struct net *net = empty_net(10);
    join_all(net, 4, SECOND);
    net_run_for(net, 60 * SECOND);
    for (uint32_t i = 0; i < 3; i++) {
        net_kill(net_at(net, i));
    }
    struct net_node *last = net_at(net, 3);
    net_run_for(net, 1800 * SECOND);
    cr_assert_eq(dht_contact_count(&last->dht), 0);
    net_wipe(net_at(net, 0));
    net_revive(net_at(net, 0), NULL);
    net_run_for(net, 120 * SECOND);
    cr_assert_eq(dht_contact_count(&last->dht), 1);
    cr_assert_eq(last->join_reports, 1);
    cr_assert(net_close(net));
}

/* The same seed gives the same network, contact for contact. */
Test(dht_upkeep, two_runs_of_one_seed_are_alike, .timeout = 120)
{
    uint64_t digest[2] = {0, 0};
    for (uint32_t run = 0; run < 2; run++) {
        struct net *net = empty_net(11);
        net_set_loss(net, 50);
        join_all(net, 100, 10 * SECOND);
        net_run_for(net, 300 * SECOND);
        for (uint32_t i = 0; i < 100; i++) {
            uint32_t contacts[DHT_CONTACTS_MAX];
            const struct net_node *node = net_at(net, i);
            uint32_t count = dht_contacts(&node->dht, contacts, DHT_CONTACTS_MAX);
            for (uint32_t j = 0; j < count; j++) {
                digest[run] = rng_mix(digest[run] ^ net_by_contact(net, contacts[j])->index);
            }
            for (uint32_t j = 0; j < COUNTER_COUNT; j++) {
                digest[run] = rng_mix(digest[run] ^ node->core.counters.value[j]);
            }
        }
        cr_assert(net_close(net));
    }
    cr_assert_eq(digest[0], digest[1]);
}
