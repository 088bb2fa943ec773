/* test_holder.c - records outlive their holders: republishing, handing over, and the bounds of
 * both. */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "fake_net.h"

static struct net *busy_net(uint64_t seed, uint32_t nodes, uint64_t republish_us)
{
    struct dht_config config = net_config();
    config.republish_us = republish_us;
    struct net *net = net_open(seed, &config);
    net_add_many(net, nodes);
    net_fill_tables(net);
    net_start_all(net);
    net_run_for(net, SECOND);
    return net;
}

static void kill_holders(struct net *net, const struct node_id *key, uint32_t count)
{
    for (uint32_t i = 0; i < net_size(net) && count > 0; i++) {
        struct net_node *node = net_at(net, i);
        if (node->is_alive && dht_holds(&node->dht, key)) {
            net_kill(node);
            count--;
        }
    }
}

/* How many of the k nearest that live hold the key. */
static uint32_t nearest_that_hold(struct net *net, const struct node_id *key)
{
    uint32_t nearest[DHT_K_MAX];
    uint32_t count = net_true_nearest(net, key, NULL, nearest, DHT_K_MAX);
    uint32_t holding = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct net_node *node = net_by_contact(net, nearest[i]);
        net_set_clock(node);
        holding += dht_holds(&node->dht, key);
    }
    return holding;
}

Test(dht_holder, republishing_makes_up_for_holders_that_left, .timeout = 120)
{
    struct net *net = busy_net(1, 150, 600 * SECOND);
    struct net_put put = net_publish(net_at(net, 0), RECORD_IMMUTABLE, 0, "kept alive");
    cr_assert_eq(net_holders(net, &put.result.key), 20);
    for (uint32_t round = 0; round < 3; round++) {
        kill_holders(net, &put.result.key, net_holders(net, &put.result.key) / 2);
        cr_assert_leq(nearest_that_hold(net, &put.result.key), 13, "round %u", round);
        net_run_for(net, 800 * SECOND);
        cr_assert_geq(nearest_that_hold(net, &put.result.key), 18, "round %u", round);
    }
    cr_assert(net_close(net));
}

/* Paper 2.5: who hears the record from another holder within the period keeps still. Twenty holders
 * send it to twenty once each period, not twenty times. */
Test(dht_holder, one_holder_republishes_for_all, .timeout = 120)
{
    struct net *net = busy_net(2, 150, 600 * SECOND);
    net_publish(net_at(net, 0), RECORD_IMMUTABLE, 0, "once an hour");
    uint32_t before = net_requests(net, MESSAGE_STORE);
    net_run_for(net, 2400 * SECOND);
    uint32_t stores = net_requests(net, MESSAGE_STORE) - before;
    /* Four periods, a little early each; a sweep of 30 s lets several holders be first at once. */
    cr_assert_geq(stores, 3 * 19);
    cr_assert_leq(stores, 5 * 5 * 20, "%u stores", stores);
    cr_assert(net_close(net));
}

Test(dht_holder, a_newcomer_is_handed_what_it_is_near_to, .timeout = 120)
{
    struct net *net = busy_net(3, 60, 3600 * SECOND);
    struct net_put puts[10];
    for (uint32_t i = 0; i < 10; i++) {
        char text[] = {'v', (char)('a' + i), 0};
        puts[i] = net_publish(net_at(net, i), RECORD_IMMUTABLE, 0, text);
    }
    uint32_t before = net_requests(net, MESSAGE_STORE);
    for (uint32_t i = 0; i < 10; i++) {
        net_start(net_add(net), net_at(net, i));
    }
    net_run_for(net, 120 * SECOND);
    uint32_t lacking = 0;
    uint32_t due = 0;
    for (uint32_t i = 0; i < 10; i++) {
        uint32_t nearest[DHT_K_MAX];
        net_true_nearest(net, &puts[i].result.key, NULL, nearest, DHT_K_MAX);
        for (uint32_t j = 0; j < DHT_K_MAX; j++) {
            struct net_node *node = net_by_contact(net, nearest[j]);
            net_set_clock(node);
            due += node->index >= 60;
            lacking += node->index >= 60 && !dht_holds(&node->dht, &puts[i].result.key);
        }
    }
    cr_assert_gt(due, 10, "the test is about something");
    /* Not quite all: who is among the last of the k nearest can be in a full bucket of the holders
     * that would hand over. Republishing finds those. */
    cr_assert_leq(lacking, due / 5, "%u of %u were not handed over", lacking, due);
    /* Three holders at most tell each newcomer, and nobody else is told. */
    uint32_t stores = net_requests(net, MESSAGE_STORE) - before;
    cr_assert_leq(stores, 10 * 10 * HOLDER_HANDOVER_RANK, "%u stores", stores);
    cr_assert(net_close(net));
}

Test(dht_holder, a_holder_that_k_nearer_ones_relieve_stops_republishing, .timeout = 120)
{
    struct net *net = busy_net(4, 150, 300 * SECOND);
    struct net_node *sender = net_at(net, 0);
    struct record record = net_record(sender, 1, 1, "far away");
    struct node_id key;
    record_key(&key, &record);
    uint32_t ranked[150];
    net_true_nearest(net, &key, NULL, ranked, 150);
    struct net_node *outsider = net_by_contact(net, ranked[149]);
    net_store(outsider, sender, &record, 0, false);
    net_run_for(net, 400 * SECOND);
    cr_assert_geq(nearest_that_hold(net, &key), 19, "it passed the record on");
    const struct dht_held *held = dht_store_find(&outsider->dht.store, &key);
    cr_assert_not_null(held);
    cr_assert(held->is_outside);
    /* Alone with it, it would have to publish every 300 s; it does not. */
    for (uint32_t i = 0; i < 150; i++) {
        struct net_node *node = net_at(net, i);
        if (node != outsider && node->is_alive && dht_holds(&node->dht, &key)) {
            net_kill(node);
        }
    }
    uint32_t stores = net_requests(net, MESSAGE_STORE);
    net_run_for(net, 1500 * SECOND);
    cr_assert_eq(net_requests(net, MESSAGE_STORE), stores);
    /* Until somebody takes it for one of the nearest again. */
    struct record again = net_record(sender, 1, 1, "far away");
    cr_assert_eq(net_store(outsider, sender, &again, 1900, false).status, STORED_OK);
    cr_assert_not(dht_store_find(&outsider->dht.store, &key)->is_outside);
    cr_assert(net_close(net));
}

/* A flood of stores while the disk is slow is refused past the bound, and each is answered. */
Test(dht_holder, stores_that_wait_for_the_disk_are_bounded)
{
    struct net *net = busy_net(5, 2, 3600 * SECOND);
    struct net_node *holder = net_at(net, 0);
    struct net_node *sender = net_at(net, 1);
    struct net_tally tally = {0};
    for (uint32_t i = 0; i < HOLDER_PENDING_MAX + 20; i++) {
        struct record record = net_record(sender, i, 1, "flood");
        net_store_later(holder, sender, &record, &tally);
    }
    holder->is_disk_stuck = true;
    net_run_for(net, SECOND);
    cr_assert_eq(tally.answers, 20, "those past the bound are told at once");
    cr_assert_eq(tally.full, 20);
    holder->is_disk_stuck = false;
    net_run_for(net, SECOND);
    cr_assert_eq(tally.answers, HOLDER_PENDING_MAX + 20);
    cr_assert_eq(tally.durable, HOLDER_PENDING_MAX);
    cr_assert(net_close(net));
}

/* Kademlia's answer to a request never names the asker. */
Test(dht_holder, an_answer_leaves_the_asker_out_and_is_full_all_the_same)
{
    struct net *net = busy_net(6, 120, 3600 * SECOND);
    struct net_node *node = net_at(net, 0);
    for (uint32_t i = 1; i < 30; i++) {
        struct net_node *asker = net_at(net, i);
        struct message_contacts contacts = net_ask(asker, node, &asker->identity.id);
        cr_assert_eq(contacts.count, 20);
        for (uint32_t j = 0; j < contacts.count; j++) {
            cr_assert_neq(contacts.handles[j], asker->contact);
            cr_assert_neq(contacts.handles[j], node->contact);
        }
    }
    cr_assert(net_close(net));
}
