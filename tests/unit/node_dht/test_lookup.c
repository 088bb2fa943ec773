/* test_lookup.c - lookups on networks that stand still, lose nodes, are slow, or lie. */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "fake_net.h"

/* Whether the lookup returned exactly the true nearest, in order. */
static bool is_exact(struct net *net, struct net_node *node, const struct node_id *target,
                     const struct net_found *found)
{
    uint32_t truth[DHT_K_MAX];
    uint32_t count = net_true_nearest(net, target, node, truth, DHT_K_MAX);
    return found->count == count && memcmp(found->nearest, truth, count * sizeof *truth) == 0;
}

static struct net *still_network(uint64_t seed, uint32_t nodes)
{
    struct dht_config config = net_config();
    struct net *net = net_open(seed, &config);
    net_add_many(net, nodes);
    net_fill_tables(net);
    net_serve_all(net);
    return net;
}

static struct net_node *anybody(struct net *net)
{
    struct net_node *node;
    do {
        node = net_at(net, (uint32_t)rng_below(net_dice(net), net_size(net)));
    } while (!node->is_alive);
    return node;
}

static void kill_some(struct net *net, uint32_t per_cent)
{
    for (uint32_t i = 0; i < net_size(net); i++) {
        if (rng_below(net_dice(net), 100) < per_cent) {
            net_kill(net_at(net, i));
        }
    }
}

/* How many of `lookups` are exact. */
static uint32_t exact_of(struct net *net, uint32_t lookups)
{
    uint32_t exact = 0;
    for (uint32_t i = 0; i < lookups; i++) {
        struct net_node *node = anybody(net);
        struct node_id target = net_random_id(net);
        struct net_found found = net_lookup(node, &target, LOOKUP_NODE);
        cr_assert_eq(found.status, ERR_OK);
        exact += is_exact(net, node, &target, &found);
    }
    return exact;
}

/* The issue's own requirement: 99.9 % of node lookups return exactly the 20 closest. */
Test(dht_lookup, finds_exactly_the_true_closest_in_a_still_network_of_2000, .timeout = 300)
{
    const uint32_t lookups = 1000;
    struct net *net = still_network(1, 2000);
    uint32_t exact = exact_of(net, lookups);
    cr_log_info("exact %u of %u", exact, lookups);
    cr_assert_geq(exact, lookups * 999 / 1000, "exact %u of %u (seed 1)", exact, lookups);
    cr_assert(net_close(net), "references to contacts were left over");
}

/* Perfect tables, k 20, alpha 3, 1,000 nodes: chains of 1.91 +- 0.33 (a pilot's mean and
 * deviation). The mean of 300 must lie within the pilot's and ours' standard errors, taken wide. */
Test(dht_lookup, chains_of_referrals_are_as_long_as_known, .timeout = 120)
{
    const uint32_t lookups = 300;
    struct net *net = still_network(2, 1000);
    uint32_t sum = 0;
    uint32_t longest = 0;
    for (uint32_t i = 0; i < lookups; i++) {
        struct node_id target = net_random_id(net);
        struct net_found found = net_lookup(anybody(net), &target, LOOKUP_NODE);
        sum += found.hops;
        longest = found.hops > longest ? found.hops : longest;
    }
    double mean = (double)sum / lookups;
    cr_log_info("mean chain %.3f, longest %u", mean, longest);
    cr_assert(mean > 1.91 - 0.1 && mean < 1.91 + 0.1, "mean chain %.3f (seed 2)", mean);
    cr_assert_leq(longest, 4);
    cr_assert(net_close(net));
}

/* Of the true closest that live, how many in a thousand the lookups find; and whether each finds
 * the closest of all and nobody dead. Tables are not mended meanwhile, so an answer of 20 names
 * some dead ones in the place of the last of the living: those may be missed, the nearest may not.
 */
static uint32_t recall_of(struct net *net, uint32_t lookups)
{
    uint32_t found_true = 0;
    for (uint32_t i = 0; i < lookups; i++) {
        struct net_node *node = anybody(net);
        struct node_id target = net_random_id(net);
        struct net_found found = net_lookup(node, &target, LOOKUP_NODE);
        uint32_t truth[DHT_K_MAX];
        net_true_nearest(net, &target, node, truth, DHT_K_MAX);
        cr_assert_eq(found.nearest[0], truth[0], "lookup %u missed the closest", i);
        for (uint32_t j = 0; j < found.count; j++) {
            cr_assert(net_by_contact(net, found.nearest[j])->is_alive);
            for (uint32_t t = 0; t < DHT_K_MAX; t++) {
                found_true += truth[t] == found.nearest[j];
            }
        }
    }
    return found_true * 1000 / (lookups * DHT_K_MAX);
}

Test(dht_lookup, finds_the_living_among_a_tenth_of_dead, .timeout = 120)
{
    struct net *net = still_network(3, 1000);
    kill_some(net, 10);
    uint32_t recall = recall_of(net, 200);
    cr_log_info("recall %u of 1000", recall);
    cr_assert_geq(recall, 970, "recall %u of 1000 (seed 3)", recall);
    cr_assert(net_close(net));
}

Test(dht_lookup, finds_the_living_among_three_tenths_of_dead, .timeout = 120)
{
    struct net *net = still_network(4, 1000);
    kill_some(net, 30);
    uint32_t recall = recall_of(net, 200);
    cr_log_info("recall %u of 1000", recall);
    cr_assert_geq(recall, 900, "recall %u of 1000 (seed 4)", recall);
    cr_assert(net_close(net));
}

Test(dht_lookup, is_exact_when_one_datagram_in_ten_is_lost, .timeout = 120)
{
    struct net *net = still_network(5, 500);
    net_set_loss(net, 100);
    uint32_t exact = exact_of(net, 200);
    cr_log_info("exact %u of 200", exact);
    cr_assert_geq(exact, 186, "exact %u of 200 (seed 5)", exact);
    cr_assert(net_close(net));
}

/* Slow peers free their slots, and their late answers count: nothing is lost but time. */
Test(dht_lookup, waits_for_slow_peers_and_is_exact, .timeout = 120)
{
    struct net *net = still_network(6, 500);
    for (uint32_t i = 0; i < 500; i += 4) {
        net_at(net, i)->delay_us = 1500 * MILLISECOND;
    }
    uint32_t slow = 0;
    for (uint32_t i = 0; i < 100; i++) {
        struct net_node *node = anybody(net);
        struct node_id target = net_random_id(net);
        struct net_found found = net_lookup(node, &target, LOOKUP_NODE);
        cr_assert(is_exact(net, node, &target, &found), "lookup %u (seed 6)", i);
        slow += found.took_us > 1500 * MILLISECOND;
        /* One slow one at a time would take 5 x 1.5 s. */
        cr_assert_lt(found.took_us, 5 * SECOND);
    }
    cr_assert_gt(slow, 90);
    cr_assert(net_close(net));
}

/* Twenty contacts per answer that do not exist cost time, but neither the result nor the table. */
Test(dht_lookup, survives_liars_and_lets_none_of_their_contacts_in, .timeout = 120)
{
    struct net *net = still_network(7, 300);
    for (uint32_t i = 0; i < 300; i += 10) {
        net_at(net, i)->is_liar = true;
    }
    struct net_node *node = net_at(net, 1);
    uint32_t exact = 0;
    for (uint32_t i = 0; i < 50; i++) {
        struct node_id target = net_random_id(net);
        struct net_found found = net_lookup(node, &target, LOOKUP_NODE);
        exact += is_exact(net, node, &target, &found);
    }
    cr_assert_geq(exact, 40, "exact %u of 50 (seed 7)", exact);
    uint32_t contacts[DHT_CONTACTS_MAX];
    uint32_t count = dht_contacts(&node->dht, contacts, DHT_CONTACTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_not_null(net_by_contact(net, contacts[i]), "a contact nobody ever verified");
    }
    cr_assert_null(dht_check(&node->dht));
    cr_assert(net_close(net));
}

Test(dht_lookup, excludes_the_looking_node_from_its_own_neighbourhood)
{
    struct net *net = still_network(8, 100);
    struct net_node *node = net_at(net, 0);
    struct net_found found = net_lookup(node, &node->identity.id, LOOKUP_NODE);
    cr_assert(is_exact(net, node, &node->identity.id, &found));
    for (uint32_t i = 0; i < found.count; i++) {
        cr_assert_neq(found.nearest[i], node->contact);
    }
    cr_assert(net_close(net));
}

Test(dht_lookup, keeps_no_more_than_alpha_requests_under_way_at_first)
{
    struct net *net = still_network(9, 200);
    struct net_node *node = net_at(net, 0);
    struct node_id target = net_random_id(net);
    struct net_found found = {0};
    cr_assert_eq(dht_lookup(&node->dht, &target, LOOKUP_NODE, net_on_found, &found, 0), ERR_OK);
    cr_assert_eq(node->calls_open, 3);
    cr_assert_not(found.is_done, "done was called before return");
    net_run_for(net, 20 * SECOND);
    cr_assert(found.is_done);
    cr_assert_eq(node->calls_open, 0);
    cr_assert(net_close(net));
}

/* Kademlia paper 2.3: alpha answers that bring nothing nearer, and the rest is asked in one go. */
Test(dht_lookup, asks_all_the_rest_at_once_when_nothing_nearer_comes)
{
    struct net *net = still_network(15, 200);
    struct net_node *node = net_at(net, 0);
    struct node_id target = net_random_id(net);
    struct net_found found = {0};
    cr_assert_eq(dht_lookup(&node->dht, &target, LOOKUP_NODE, net_on_found, &found, 0), ERR_OK);
    uint32_t most = 0;
    for (uint32_t i = 0; i < 1000 && !found.is_done; i++) {
        net_run_for(net, MILLISECOND);
        most = node->calls_open > most ? node->calls_open : most;
    }
    cr_assert(found.is_done, "20 requests, 3 at a time, would take longer");
    cr_assert_geq(most, 8, "never more than %u at once", most);
    cr_assert(net_close(net));
}

/* While the dead are waited for, those that will take their places have answered already. */
Test(dht_lookup, asks_substitutes_before_it_gives_the_slow_up)
{
    struct net *net = still_network(16, 200);
    struct net_node *node = net_at(net, 0);
    struct node_id target = net_random_id(net);
    uint32_t nearest[6];
    net_true_nearest(net, &target, node, nearest, 6);
    for (uint32_t i = 0; i < 6; i++) {
        net_kill(net_by_contact(net, nearest[i]));
    }
    struct net_found found = {0};
    cr_assert_eq(dht_lookup(&node->dht, &target, LOOKUP_NODE, net_on_found, &found, 0), ERR_OK);
    net_run_for(net, 2500 * MILLISECOND);
    cr_assert_not(found.is_done, "the dead ones are not given up yet");
    const struct dht_lookup *lookup = pool_at(&node->dht.lookups.pool, 0);
    uint32_t answered = 0;
    for (uint32_t i = 0; i < lookup->list.count; i++) {
        answered += lookup->list.entries[i].state == ENTRY_ANSWERED;
    }
    cr_assert_geq(answered, 20);
    net_run_for(net, 3 * SECOND);
    cr_assert(found.is_done);
    cr_assert(is_exact(net, node, &target, &found));
    cr_assert(net_close(net));
}

Test(dht_lookup, that_finds_no_call_free_starts_later)
{
    struct net *net = still_network(17, 100);
    struct net_node *node = net_at(net, 0);
    net_take_calls(node, 0);
    struct node_id target = net_random_id(net);
    struct net_found found = net_lookup(node, &target, LOOKUP_NODE);
    cr_assert(is_exact(net, node, &target, &found));
    cr_assert_gt(found.took_us, 2 * SECOND);
    cr_assert(net_close(net));
}

Test(dht_lookup, tells_a_node_that_knows_nobody_only_after_return)
{
    struct dht_config config = net_config();
    struct net *net = net_open(10, &config);
    struct net_node *node = net_add(net);
    struct node_id target = net_random_id(net);
    struct net_found found = net_lookup(node, &target, LOOKUP_NODE);
    cr_assert_eq(found.status, ERR_UNREACHABLE);
    found = net_lookup(node, &target, LOOKUP_VALUE);
    cr_assert_eq(found.status, ERR_UNREACHABLE);
    cr_assert(net_close(net));
}

Test(dht_lookup, ends_when_everybody_has_died)
{
    struct net *net = still_network(11, 50);
    for (uint32_t i = 1; i < 50; i++) {
        net_kill(net_at(net, i));
    }
    struct node_id target = net_random_id(net);
    struct net_found found = net_lookup(net_at(net, 0), &target, LOOKUP_NODE);
    cr_assert_eq(found.status, ERR_UNREACHABLE);
    cr_assert_eq(found.count, 0);
    cr_assert(net_close(net));
}

Test(dht_lookup, refuses_more_than_lookups_max_and_ends_all_at_stop)
{
    struct net *net = still_network(12, 100);
    struct net_node *node = net_at(net, 0);
    struct net_found found[9] = {0};
    for (uint32_t i = 0; i < 8; i++) {
        struct node_id target = net_random_id(net);
        cr_assert_eq(dht_lookup(&node->dht, &target, LOOKUP_NODE, net_on_found, &found[i], i),
                     ERR_OK);
    }
    struct node_id target = net_random_id(net);
    cr_assert_eq(dht_lookup(&node->dht, &target, LOOKUP_NODE, net_on_found, &found[8], 8),
                 ERR_FULL);
    cr_assert_eq(dht_lookup_count(&node->dht), 8);
    net_run_for(net, 20 * MILLISECOND);
    net_kill(node);
    for (uint32_t i = 0; i < 8; i++) {
        cr_assert(found[i].is_done);
        cr_assert_eq(found[i].status, ERR_STOPPED);
    }
    cr_assert_not(found[8].is_done);
    cr_assert_eq(dht_lookup(&node->dht, &target, LOOKUP_NODE, net_on_found, &found[8], 8),
                 ERR_STOPPED);
    cr_assert(net_close(net));
}

/* Eight lookups of twenty requests want more calls than there are; all of them end all the same. */
Test(dht_lookup, goes_on_when_calls_are_free_again, .timeout = 60)
{
    struct net *net = still_network(13, 300);
    struct net_node *node = net_at(net, 0);
    for (uint32_t i = 1; i < 300; i++) {
        net_at(net, i)->delay_us = 2 * SECOND; /* Calls pile up. */
    }
    struct net_found found[8] = {0};
    for (uint32_t i = 0; i < 8; i++) {
        struct node_id target = net_random_id(net);
        cr_assert_eq(dht_lookup(&node->dht, &target, LOOKUP_NODE, net_on_found, &found[i], i),
                     ERR_OK);
        timerq_settle(&node->core.timers);
    }
    net_run_for(net, 60 * SECOND);
    for (uint32_t i = 0; i < 8; i++) {
        cr_assert(found[i].is_done);
        cr_assert_eq(found[i].count, 20);
    }
    cr_assert(net_close(net));
}

/* A hundred nodes behind one router, all nearer to the target than anybody else's: three get in. */
Test(dht_lookup, limits_an_address_group_among_its_results, .timeout = 60)
{
    struct dht_config config = net_config();
    config.group_bucket_max = DHT_K_MAX; /* Tables let them in: the results must not. */
    config.group_table_max = UINT8_MAX;
    struct net *net = net_open(14, &config);
    net_add_many(net, 40);
    for (uint32_t i = 40; i < 140; i++) {
        struct port_addr addr = net_addr(i);
        addr.ip[13] = 0xee;
        addr.ip[14] = 0xee;
        cr_assert_not_null(net_add_at(net, &addr));
    }
    net_fill_tables(net);
    net_serve_all(net);
    uint32_t hidden = 0;
    for (uint32_t i = 0; i < 50; i++) {
        struct node_id target = net_random_id(net);
        struct net_found found = net_lookup(net_at(net, i % 40), &target, LOOKUP_NODE);
        uint32_t same = 0;
        const struct net_node *first_other = NULL;
        for (uint32_t j = 0; j < found.count; j++) {
            const struct net_node *node = net_by_contact(net, found.nearest[j]);
            same += node->index >= 40;
            first_other = first_other == NULL && node->index < 40 ? node : first_other;
        }
        cr_assert_leq(same, 3, "lookup %u: %u of one group", i, same);
        /* The crowd has not hidden the nearest of the others. */
        const struct net_node *nearest_other = NULL;
        for (uint32_t j = 0; j < 40; j++) {
            const struct net_node *node = net_at(net, j);
            if (j != i % 40 &&
                (nearest_other == NULL ||
                 node_id_closer(&node->identity.id, &nearest_other->identity.id, &target) < 0)) {
                nearest_other = node;
            }
        }
        hidden += first_other != nearest_other;
    }
    cr_assert_leq(hidden, 2, "%u of 50 lookups did not find the nearest other", hidden);
    cr_assert(net_close(net));
}
