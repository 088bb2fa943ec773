/* test_known.c - who is remembered, who makes room, what a disk gives back, and who is called. */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_net_parts.h"

enum { MAX = 45 }; /* Two pages and a part of one. */
#define HOUR_S 3600u

static struct net *net;
static struct net_node *node; /* Whose port and disk are used. */
static struct dht_table table;
static struct dht_known known;

static void setup(void)
{
    struct dht_config config = net_config();
    net = net_open(1, &config);
    node = net_add(net);
    net_set_clock(node);
    dht_table_init(&table, &node->core, &node->identity.id, 20, 2, 3);
    dht_known_init(&known, &node->core, &node->identity.id, MAX);
}

static void teardown(void)
{
    cr_assert_null(dht_known_check(&known), "%s", dht_known_check(&known));
    dht_known_release(&known);
    dht_table_release(&table);
    cr_assert(net_close(net), "references leaked");
}

TestSuite(dht_known, .init = setup, .fini = teardown, .timeout = 60);

static uint32_t now_s(void)
{
    return (uint32_t)(node->port.wall_us / SECOND);
}

static void pass_s(uint32_t seconds)
{
    node->port.wall_us += seconds * SECOND;
    node->port.now_us += seconds * SECOND;
}

/* The contact of a stranger; the caller has its reference. */
static uint32_t stranger(uint32_t number)
{
    uint8_t key[CRYPTO_PUBLIC_LEN] = {1};
    memcpy(key + 1, &number, sizeof number);
    struct port_addr addr = net_addr(number);
    return contact_intern(&node->port, key, &addr);
}

static struct node_id id_of(uint32_t number)
{
    struct node_id id;
    uint8_t key[CRYPTO_PUBLIC_LEN] = {1};
    memcpy(key + 1, &number, sizeof number);
    contact_id(&id, key);
    return id;
}

static void meet(uint32_t number, bool is_placed)
{
    uint32_t peer = stranger(number);
    dht_known_meet(&known, peer, is_placed);
    node->port.ops->intern_release(&node->port, peer);
}

static bool knows(uint32_t number)
{
    struct node_id id = id_of(number);
    bool is_known = false;
    for (uint32_t i = 0; i < known.count; i++) {
        is_known |= node_id_equal(&contact_at(&node->port, known.peers[i].peer)->id, &id);
    }
    return is_known;
}

static void restart(void)
{
    cr_assert_null(dht_known_check(&known));
    dht_known_release(&known);
    dht_known_init(&known, &node->core, &node->identity.id, MAX);
    cr_assert_eq(dht_known_load(&known), ERR_OK);
    cr_assert_null(dht_known_check(&known));
}

static struct net_blob *page(uint8_t number)
{
    uint8_t key[] = "dht.known?";
    key[sizeof key - 2] = number;
    return fake_find_blob(node, slice_of(key, sizeof key - 1));
}

static uint32_t corrupt_count(void)
{
    return node->core.counters.value[COUNT_VALUES_CORRUPT];
}

Test(dht_known, remembers_those_seen_last_over_a_restart)
{
    for (uint32_t i = 0; i < 2 * MAX; i++) {
        meet(i, true);
        pass_s(10);
    }
    dht_known_save(&known, &table);
    uint32_t end_s = now_s();
    restart();
    cr_assert_eq(known.count, MAX);
    for (uint32_t i = 0; i < MAX; i++) { /* The newest first, each with its time. */
        struct node_id id = id_of(2 * MAX - 1 - i);
        cr_assert(node_id_equal(&contact_at(&node->port, known.peers[i].peer)->id, &id));
        cr_assert_eq(known.peers[i].seen_s, end_s - 10 * (i + 1));
    }
    cr_assert_eq(corrupt_count(), 0);
}

Test(dht_known, takes_over_the_tables_peers_and_their_times)
{
    uint32_t peer = stranger(1);
    dht_table_verified(&table, peer);
    node->port.ops->intern_release(&node->port, peer);
    pass_s(100);
    dht_known_save(&known, &table);
    cr_assert_eq(known.count, 1);
    cr_assert_leq(now_s() - known.peers[0].seen_s, 101);
    cr_assert_geq(now_s() - known.peers[0].seen_s, 99);
}

Test(dht_known, has_an_id_once_wherever_it_moves)
{
    meet(1, true);
    pass_s(1);
    uint8_t key[CRYPTO_PUBLIC_LEN] = {1, 1};
    struct port_addr addr = net_addr(99);
    uint32_t moved = contact_intern(&node->port, key, &addr);
    dht_known_meet(&known, moved, true);
    node->port.ops->intern_release(&node->port, moved);
    cr_assert_eq(known.count, 1);
    cr_assert_eq(known.peers[0].peer, moved);
}

Test(dht_known, strangers_do_not_push_out_who_was_seen_within_the_hour)
{
    for (uint32_t i = 0; i < MAX; i++) {
        meet(i, i % 2 == 0);
    }
    cr_assert_eq(known.count, MAX, "while there is room, everybody is remembered");
    pass_s(HOUR_S);
    meet(100, false);
    cr_assert_not(knows(100));
    meet(101, true);
    cr_assert(knows(101));
    pass_s(1);
    meet(100, false);
    cr_assert(knows(100));
}

Test(dht_known, never_holds_ourselves_nor_whom_it_was_told_to_forget)
{
    dht_known_meet(&known, node->contact, true);
    cr_assert_eq(known.count, 0);
    for (uint32_t i = 0; i < MAX; i++) {
        meet(i, true);
    }
    dht_known_save(&known, &table);
    for (uint32_t i = 0; i < MAX - 10; i++) {
        struct node_id id = id_of(i);
        dht_known_forget(&known, &id);
    }
    cr_assert_not(knows(0));
    dht_known_save(&known, &table);
    cr_assert_null(page(1), "a page that is not needed is deleted");
    restart();
    cr_assert_eq(known.count, 10);
    cr_assert_not(knows(0));
}

Test(dht_known, a_page_that_was_altered_is_ignored_and_counted)
{
    for (uint32_t i = 0; i < MAX; i++) {
        meet(i, true);
    }
    dht_known_save(&known, &table);
    struct rng rng;
    rng_seed(&rng, 3);
    for (uint32_t round = 1; round <= 50; round++) {
        struct net_blob *blob = page(1);
        cr_assert_not_null(blob);
        blob->value[rng_below(&rng, blob->value_len)] ^= (uint8_t)(1u << rng_below(&rng, 8));
        restart();
        cr_assert_eq(corrupt_count(), round);
        cr_assert_eq(known.count, MAX - 20, "the other pages are whole");
        for (uint32_t i = 0; i < MAX; i++) {
            meet(i, true);
        }
        dht_known_save(&known, &table);
        restart();
        cr_assert_eq(known.count, MAX);
        cr_assert_eq(corrupt_count(), round, "it has been written anew");
    }
}

Test(dht_known, short_and_foreign_values_are_ignored_and_counted)
{
    static const uint8_t junk[40] = "dht.known";
    for (uint8_t i = 0; i < 40; i++) {
        uint8_t key[] = "dht.known?";
        key[sizeof key - 2] = i;
        node->port.ops->store_put(&node->port, slice_of(key, sizeof key - 1), slice_of(junk, i));
    }
    restart();
    cr_assert_eq(known.count, 0);
    cr_assert_eq(corrupt_count(), 40);
    dht_known_save(&known, &table);
    cr_assert_null(page(39), "and cleared away");
}

Test(dht_known, a_clock_that_was_ahead_makes_nobody_unforgettable)
{
    pass_s(1000 * HOUR_S);
    meet(1, true);
    dht_known_save(&known, &table);
    node->port.wall_us -= 1000 * HOUR_S * SECOND;
    restart();
    cr_assert_eq(known.peers[0].seen_s, now_s());
}

Test(dht_known, writes_only_what_changed)
{
    for (uint32_t i = 0; i < MAX; i++) {
        meet(i, true);
    }
    dht_known_save(&known, &table);
    uint64_t ticket = node->core.ticket_last;
    dht_known_save(&known, &table);
    cr_assert_eq(node->core.ticket_last, ticket, "nothing changed, nothing is committed");
    node->is_disk_refusing = true;
    pass_s(1);
    meet(0, true);
    dht_known_save(&known, &table);
    cr_assert_eq(node->core.ticket_last, ticket);
    node->is_disk_refusing = false;
    dht_known_save(&known, &table);
    cr_assert_eq(node->core.ticket_last, ticket + 1, "what the disk refused is written later");
}

static uint32_t requests_to(uint32_t first, uint32_t end)
{
    uint32_t requests = 0;
    for (uint32_t i = first; i < end; i++) {
        requests += net_at(net, i)->requests_got[MESSAGE_FIND_NODE];
    }
    return requests;
}

/* The bootstrap node is dead, and so is all but one of those that the node knew. */
Test(dht_known, a_restart_goes_through_everybody_it_knew_a_few_at_a_time)
{
    enum { PEERS = 60, SURVIVOR = 5 };
    struct dht_config config = net_config();
    config.known_max = 1024;
    cr_assert(net_close(net));
    net = net_open(2, &config);
    net_start(net_add(net), NULL);
    for (uint32_t i = 1; i < PEERS; i++) {
        net_run_for(net, SECOND);
        net_start(net_add(net), net_at(net, 0));
    }
    net_run_for(net, 60 * SECOND);
    node = net_at(net, 1);
    cr_assert_gt(node->dht.known.count, 40);
    net_kill(node);
    for (uint32_t i = 0; i < PEERS; i++) {
        if (i != 1 && i != SURVIVOR) {
            net_kill(net_at(net, i));
        }
    }
    net_run_for(net, 60 * SECOND);
    uint32_t before = requests_to(SURVIVOR, SURVIVOR + 1);
    net_revive(node, net_at(net, 0));
    cr_assert_gt(node->dht.known.count, 20, "as of the last time the table had doubled");
    cr_assert_leq(node->calls_open, 2 * UPKEEP_TRIED_MAX);
    net_run_for(net, 400 * SECOND);
    cr_assert(node->is_joined);
    cr_assert_gt(requests_to(SURVIVOR, SURVIVOR + 1), before);

    /* For teardown. */
    dht_table_init(&table, &node->core, &node->identity.id, 20, 2, 3);
    dht_known_init(&known, &node->core, &node->identity.id, MAX);
}
