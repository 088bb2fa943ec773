/* test_shortlist.c - the order, the bounds and the diversity of a lookup's candidates. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "node/dht/dht.h"
#include "tests/support/bare_port.h"

struct bench {
    struct bare_port *bare;
    struct node_id self;
    struct node_id target;
    struct dht_shortlist list;
};

static struct bench *sorter;

static struct bench *open_bench(uint64_t seed, uint8_t group_max)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct rng dice;
    bench->bare = bare_open(seed);
    rng_stream(&dice, seed, "shortlist test", 0, 0);
    for (uint32_t i = 0; i < NODE_ID_LEN; i++) {
        bench->target.bytes[i] = (uint8_t)rng_next(&dice);
        bench->self.bytes[i] = (uint8_t)rng_next(&dice);
    }
    dht_shortlist_init(&bench->list, &bench->bare->port, &bench->self, &bench->target, group_max);
    sorter = bench;
    return bench;
}

/* `handles`: how many contacts the test itself made. */
static void close_bench(struct bench *bench, uint32_t handles)
{
    cr_assert_null(dht_shortlist_check(&bench->list));
    dht_shortlist_release(&bench->list);
    cr_assert_eq(bare_references(bench->bare), handles, "references were left over");
    bare_close(bench->bare);
    free(bench);
}

static uint32_t contact_of(struct bench *bench, uint32_t number, uint32_t group)
{
    uint8_t key[CRYPTO_PUBLIC_LEN] = {0};
    memcpy(key, &number, sizeof number);
    struct port_addr addr = {.ip = {[10] = 0xff, [11] = 0xff}};
    addr.ip[12] = (uint8_t)(group >> 8);
    addr.ip[13] = (uint8_t)group;
    return contact_intern(&bench->bare->port, key, &addr);
}

static int by_distance(const void *a, const void *b)
{
    return dht_closer(&sorter->bare->port, *(const uint32_t *)a, *(const uint32_t *)b,
                      &sorter->target);
}

/* Whatever the order of arrival, the nearest are kept, each once. */
Test(dht_shortlist, keeps_the_nearest_in_order)
{
    struct bench *bench = open_bench(1, 3);
    uint32_t all[300];
    for (uint32_t i = 0; i < 300; i++) {
        all[i] = contact_of(bench, i, i);
    }
    for (uint32_t round = 0; round < 40; round++) {
        uint32_t offered[20];
        for (uint32_t i = 0; i < 20; i++) {
            offered[i] = all[(round * 37 + i * 11) % 300];
        }
        dht_shortlist_merge(&bench->list, offered, 20, 2);
        cr_assert_null(dht_shortlist_check(&bench->list));
    }
    dht_shortlist_merge(&bench->list, all, 300, 2);
    qsort(all, 300, sizeof *all, by_distance);
    cr_assert_eq(bench->list.count, SHORTLIST_MAX);
    for (uint32_t i = 0; i < SHORTLIST_MAX; i++) {
        cr_assert_eq(bench->list.entries[i].peer, all[i], "place %u", i);
    }
    close_bench(bench, 300);
}

Test(dht_shortlist, says_when_something_nearer_came)
{
    struct bench *bench = open_bench(2, 3);
    uint32_t all[10];
    for (uint32_t i = 0; i < 10; i++) {
        all[i] = contact_of(bench, i, i);
    }
    qsort(all, 10, sizeof *all, by_distance);
    cr_assert(dht_shortlist_merge(&bench->list, all + 5, 3, 1));
    cr_assert_not(dht_shortlist_merge(&bench->list, all + 5, 3, 1));
    cr_assert_not(dht_shortlist_merge(&bench->list, all + 8, 2, 1));
    cr_assert(dht_shortlist_merge(&bench->list, all, 5, 1));
    close_bench(bench, 10);
}

Test(dht_shortlist, does_not_take_back_what_failed)
{
    struct bench *bench = open_bench(3, 3);
    uint32_t peer = contact_of(bench, 1, 1);
    dht_shortlist_merge(&bench->list, &peer, 1, 1);
    dht_shortlist_fail(&bench->list, dht_shortlist_find(&bench->list, peer));
    cr_assert_not(dht_shortlist_merge(&bench->list, &peer, 1, 2));
    cr_assert_null(dht_shortlist_find(&bench->list, peer));
    uint32_t elsewhere = contact_of(bench, 1, 2); /* The same key where it may really be. */
    cr_assert(dht_shortlist_merge(&bench->list, &elsewhere, 1, 2));
    close_bench(bench, 2);
}

Test(dht_shortlist, remembers_a_bounded_number_of_failures)
{
    struct bench *bench = open_bench(4, 3);
    for (uint32_t i = 0; i < 3 * SHORTLIST_FAILED_MAX; i++) {
        uint32_t peer = contact_of(bench, i, i);
        cr_assert(dht_shortlist_merge(&bench->list, &peer, 1, 1));
        dht_shortlist_fail(&bench->list, dht_shortlist_find(&bench->list, peer));
    }
    cr_assert_eq(bench->list.failed_count, SHORTLIST_FAILED_MAX);
    close_bench(bench, 3 * SHORTLIST_FAILED_MAX);
}

Test(dht_shortlist, hearsay_does_not_replace_an_address)
{
    struct bench *bench = open_bench(5, 3);
    uint32_t verified = contact_of(bench, 1, 1);
    uint32_t heard = contact_of(bench, 1, 2);
    dht_shortlist_merge(&bench->list, &verified, 1, 1);
    cr_assert_not(dht_shortlist_merge(&bench->list, &heard, 1, 2));
    cr_assert_eq(bench->list.count, 1);
    cr_assert_eq(bench->list.entries[0].peer, verified);
    cr_assert_eq(bench->list.entries[0].hops, 1);
    close_bench(bench, 2);
}

Test(dht_shortlist, keeps_the_nearest_of_an_address_group)
{
    struct bench *bench = open_bench(6, 3);
    uint32_t crowd[30];
    for (uint32_t i = 0; i < 30; i++) {
        crowd[i] = contact_of(bench, i, 7);
        dht_shortlist_merge(&bench->list, &crowd[i], 1, 1);
        cr_assert_leq(bench->list.count, 3);
    }
    qsort(crowd, 30, sizeof *crowd, by_distance);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(bench->list.entries[i].peer, crowd[i]);
    }
    uint32_t other = contact_of(bench, 100, 8);
    dht_shortlist_merge(&bench->list, &other, 1, 1);
    cr_assert_eq(bench->list.count, 4);
    close_bench(bench, 31);
}

Test(dht_shortlist, leaves_ourselves_out)
{
    struct bench *bench = open_bench(7, 3);
    uint32_t peer = contact_of(bench, 1, 1);
    bench->self = contact_at(&bench->bare->port, peer)->id;
    dht_shortlist_init(&bench->list, &bench->bare->port, &bench->self, &bench->target, 3);
    cr_assert_not(dht_shortlist_merge(&bench->list, &peer, 1, 1));
    cr_assert_eq(bench->list.count, 0);
    close_bench(bench, 1);
}

/* Ids alike in their first 64 bits, as only an attacker makes them. */
Test(dht_shortlist, orders_equal_prefixes_by_the_whole_id)
{
    struct bench *bench = open_bench(8, 3);
    uint32_t all[10];
    for (uint32_t i = 0; i < 10; i++) {
        all[i] = contact_of(bench, i, i);
        struct contact *contact =
            (struct contact *)(void *)(bench->bare->records + all[i] * PORT_INTERN_RECORD);
        memset(contact->id.bytes, 0x5a, 8);
        bench->bare->prefixes[all[i]] = node_id_prefix(&contact->id);
    }
    dht_shortlist_merge(&bench->list, all, 10, 1);
    dht_shortlist_merge(&bench->list, all, 10, 1);
    cr_assert_eq(bench->list.count, 10);
    qsort(all, 10, sizeof *all, by_distance);
    for (uint32_t i = 0; i < 10; i++) {
        cr_assert_eq(bench->list.entries[i].peer, all[i]);
    }
    close_bench(bench, 10);
}
