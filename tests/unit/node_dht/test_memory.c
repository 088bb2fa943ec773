/* test_memory.c - what a dht costs, and what it does when there is no more. */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "fake_net.h"

/* The budget of an idle node at 100,000 nodes, whose table has 17 buckets with 264 contacts. */
Test(dht_memory, an_idle_table_of_17_buckets_fits_its_budget)
{
    struct dht_config config = net_config();
    struct net *net = net_open(1, &config);
    struct net_node *node = net_add(net);
    net_set_clock(node);
    uint32_t expected[17];
    for (uint32_t i = 0; i < 17; i++) {
        uint32_t range = 100000u >> (i + 1);
        expected[i] = range < 20 ? range : 20;
    }
    /* Ids are hashes: strangers are made until every bucket has what it would have. */
    uint32_t wanted = 264;
    for (uint32_t n = 0; wanted > 0 && n < 60000; n++) {
        uint8_t key[CRYPTO_PUBLIC_LEN] = {1};
        memcpy(key + 1, &n, sizeof n);
        struct port_addr addr = net_addr(n);
        struct node_id id;
        contact_id(&id, key);
        uint32_t bucket = dht_table_bucket_of(&node->dht.table, &id);
        if (bucket < 17 && dht_table_bucket_count(&node->dht.table, bucket) < expected[bucket]) {
            uint32_t handle = contact_intern(&node->port, key, &addr);
            dht_seed_contact(&node->dht, handle);
            node->port.ops->intern_release(&node->port, handle);
            wanted--;
        }
    }
    const uint32_t *used = node->core.arena.used_bytes;
    uint32_t arena = used[ARENA_TABLE] + used[ARENA_LOOKUPS] + used[ARENA_RECORDS];
    size_t bytes = sizeof node->dht + arena;
    cr_log_info("%u contacts, %d buckets: %zu in the struct, %u in the arena, %zu bytes in all",
                dht_contact_count(&node->dht), __builtin_popcount(node->dht.table.occupied),
                sizeof node->dht, arena, bytes);
    cr_assert_geq(dht_contact_count(&node->dht), 250);
    cr_assert_leq(bytes, 4500);
    cr_assert(net_close(net));
}

/* With one chunk of memory more each time, until a node gets through life: it never crashes, and
 * what it cannot do it says. */
Test(dht_memory, running_out_at_any_allocation_is_an_error_not_a_crash, .timeout = 120)
{
    uint32_t refused_inits = 0;
    uint32_t refused_lookups = 0;
    uint32_t refused_puts = 0;
    uint32_t refused_stores = 0;
    uint32_t untroubled = 0;
    for (uint32_t chunks = 0; chunks < 40; chunks++) {
        struct dht_config config = net_config();
        struct net *net = net_open(100 + chunks, &config);
        net_add_many(net, 40);
        struct net_node *poor = net_add_poor(net, chunks);
        if (poor == NULL) {
            refused_inits++;
            net_at(net, 40)->is_alive = false; /* Never came to life. */
            cr_assert(net_close(net));
            continue;
        }
        bool had_trouble = false;
        net_fill_tables(net);
        net_serve_all(net);
        for (uint32_t i = 0; i < 4; i++) {
            struct net_found found = {0};
            struct node_id target = net_random_id(net);
            int status = dht_lookup(&poor->dht, &target, i % 2 == 0 ? LOOKUP_NODE : LOOKUP_VALUE,
                                    net_on_found, &found, 0);
            cr_assert(status == ERR_OK || status == ERR_FULL);
            refused_lookups += status == ERR_FULL;
            had_trouble |= status == ERR_FULL;
            timerq_settle(&poor->core.timers);
            net_run_for(net, 20 * SECOND);
            cr_assert_eq(found.is_done, status == ERR_OK);
        }
        struct net_put put = net_publish(poor, RECORD_MUTABLE, 1, "poor");
        refused_puts += put.result.status == ERR_FULL;
        had_trouble |= put.result.status != ERR_OK;
        for (uint32_t i = 0; i < 20; i++) {
            struct record record = net_record(net_at(net, 0), i, 1, "rich");
            struct message_stored stored = net_store(poor, net_at(net, 0), &record, 0, false);
            cr_assert(stored.status == STORED_OK || stored.status == STORED_FULL);
            refused_stores += stored.status == STORED_FULL;
            had_trouble |= stored.status == STORED_FULL;
        }
        cr_assert_null(dht_check(&poor->dht));
        untroubled += !had_trouble;
        cr_assert(net_close(net));
    }
    cr_log_info("refused: %u inits, %u lookups, %u puts, %u stores; %u untroubled", refused_inits,
                refused_lookups, refused_puts, refused_stores, untroubled);
    cr_assert_gt(refused_inits, 0);
    cr_assert_gt(refused_lookups, 0);
    cr_assert_gt(refused_puts, 0);
    cr_assert_gt(refused_stores, 0);
    cr_assert_gt(untroubled, 0, "the loop ends where memory suffices");
}
