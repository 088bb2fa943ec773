/* test_table.c - who enters a bucket, who leaves it, and who is nearest. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "node/dht/dht.h"
#include "tests/support/bare_port.h"

#define SECOND UINT64_C(1000000)

enum { K = 20 };

struct bench {
    struct bare_port *bare;
    struct node_id self;
    struct dht_table table;
    struct rng dice;
    uint32_t made;
};

static struct bench *open_bench(uint64_t seed, uint8_t group_bucket_max, uint8_t group_table_max)
{
    struct bench *bench = calloc(1, sizeof *bench);
    bench->bare = bare_open(seed);
    rng_stream(&bench->dice, seed, "table test", 0, 0);
    for (uint32_t i = 0; i < NODE_ID_LEN; i++) {
        bench->self.bytes[i] = (uint8_t)rng_next(&bench->dice);
    }
    dht_table_init(&bench->table, &bench->bare->core, &bench->self, K, group_bucket_max,
                   group_table_max);
    return bench;
}

static void close_bench(struct bench *bench)
{
    cr_assert_null(dht_table_check(&bench->table));
    dht_table_release(&bench->table);
    cr_assert_null(dht_table_check(&bench->table));
    bare_close(bench->bare);
    free(bench);
}

static struct port_addr addr_of(uint32_t group, uint8_t host)
{
    struct port_addr addr = {.ip = {[10] = 0xff, [11] = 0xff}, .port = {0x21, 0x14}};
    addr.ip[12] = (uint8_t)(group >> 16);
    addr.ip[13] = (uint8_t)(group >> 8);
    addr.ip[14] = (uint8_t)group;
    addr.ip[15] = host;
    return addr;
}

/* Gives an interned contact another id than its key's: ids are hashes and cannot be chosen. */
static void set_id(struct bench *bench, uint32_t handle, const struct node_id *id)
{
    struct contact *contact =
        (struct contact *)(void *)(bench->bare->records + handle * PORT_INTERN_RECORD);
    contact->id = *id;
    bench->bare->prefixes[handle] = node_id_prefix(id);
}

/* Our own id with bit `bucket` flipped and dice behind. */
static struct node_id id_in(struct bench *bench, uint32_t bucket)
{
    struct node_id id = bench->self;
    id.bytes[bucket / 8] ^= (uint8_t)(0x80 >> (bucket % 8));
    for (uint32_t bit = bucket + 1; bit < 8 * NODE_ID_LEN; bit++) {
        uint8_t flip = (uint8_t)(0x80 >> (bit % 8));
        id.bytes[bit / 8] ^= (rng_next(&bench->dice) & 1) != 0 ? flip : 0;
    }
    return id;
}

static uint32_t contact_at_addr(struct bench *bench, const struct node_id *id,
                                const struct port_addr *addr)
{
    uint8_t key[CRYPTO_PUBLIC_LEN] = {0};
    bench->made++;
    memcpy(key, &bench->made, sizeof bench->made);
    uint32_t handle = contact_intern(&bench->bare->port, key, addr);
    set_id(bench, handle, id);
    return handle;
}

/* A contact for the bucket, in an address group of its own. */
static uint32_t stranger_in(struct bench *bench, uint32_t bucket)
{
    struct port_addr addr = addr_of(bench->made + 1, 1);
    struct node_id id = id_in(bench, bucket);
    return contact_at_addr(bench, &id, &addr);
}

static bool has(const struct bench *bench, uint32_t peer)
{
    uint32_t all[DHT_CONTACTS_MAX];
    uint32_t count = dht_table_all(&bench->table, all, DHT_CONTACTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (all[i] == peer) {
            return true;
        }
    }
    return false;
}

static void fill(struct bench *bench, uint32_t bucket, uint32_t peers[K])
{
    for (uint32_t i = 0; i < K; i++) {
        peers[i] = stranger_in(bench, bucket);
        cr_assert_eq(dht_table_verified(&bench->table, peers[i]), DHT_TABLE_ADDED);
        bench->bare->port.now_us += 2 * SECOND;
    }
}

Test(dht_table, a_full_bucket_keeps_its_old_contacts)
{
    struct bench *bench = open_bench(1, 2, 3);
    uint32_t old[K];
    fill(bench, 0, old);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t newcomer = stranger_in(bench, 0);
        cr_assert_eq(dht_table_verified(&bench->table, newcomer), DHT_TABLE_SPARE);
        cr_assert_not(has(bench, newcomer));
        cr_assert_null(dht_table_check(&bench->table));
    }
    for (uint32_t i = 0; i < K; i++) {
        cr_assert(has(bench, old[i]));
        cr_assert_eq(dht_table_verified(&bench->table, old[i]), DHT_TABLE_KNOWN);
    }
    close_bench(bench);
}

Test(dht_table, a_spare_takes_the_place_of_a_contact_at_its_first_loss)
{
    struct bench *bench = open_bench(2, 2, 3);
    uint32_t old[K];
    fill(bench, 3, old);
    uint32_t first = stranger_in(bench, 3);
    uint32_t second = stranger_in(bench, 3);
    uint32_t third = stranger_in(bench, 3);
    dht_table_verified(&bench->table, first);
    dht_table_verified(&bench->table, second);
    dht_table_verified(&bench->table, third);
    dht_table_lost(&bench->table, old[7]);
    cr_assert_not(has(bench, old[7]));
    cr_assert(has(bench, third), "the newest spare comes first");
    dht_table_lost(&bench->table, old[8]);
    cr_assert(has(bench, second));
    dht_table_lost(&bench->table, old[9]);
    cr_assert(has(bench, old[9]), "no spare is left: it gets its second chance");
    cr_assert_not(has(bench, first), "only two wait");
    cr_assert_eq(bench->table.count, K);
    close_bench(bench);
}

Test(dht_table, a_contact_is_forgotten_at_its_second_loss_in_a_row)
{
    struct bench *bench = open_bench(3, 2, 3);
    uint32_t peer = stranger_in(bench, 1);
    dht_table_verified(&bench->table, peer);
    dht_table_lost(&bench->table, peer);
    dht_table_verified(&bench->table, peer);
    dht_table_lost(&bench->table, peer);
    cr_assert(has(bench, peer), "an answer between two losses makes up for the first");
    dht_table_lost(&bench->table, peer);
    cr_assert_not(has(bench, peer));
    cr_assert_eq(bench->table.count, 0);
    cr_assert_eq(bench->table.occupied, 0);
    dht_table_lost(&bench->table, peer); /* Who is not known is not lost. */
    close_bench(bench);
}

Test(dht_table, a_newcomer_takes_the_place_of_the_contact_that_failed_most)
{
    struct bench *bench = open_bench(4, 2, 3);
    uint32_t old[K];
    fill(bench, 0, old);
    dht_table_lost(&bench->table, old[12]);
    dht_table_lost(&bench->table, old[5]); /* As often, but silent for longer. */
    uint32_t newcomer = stranger_in(bench, 0);
    cr_assert_eq(dht_table_verified(&bench->table, newcomer), DHT_TABLE_ADDED);
    cr_assert_not(has(bench, old[5]));
    cr_assert(has(bench, old[12]));
    close_bench(bench);
}

/* A node that is cut off loses everybody; it must know them when the cable is back in. */
Test(dht_table, an_outage_of_our_own_does_not_empty_the_table)
{
    struct bench *bench = open_bench(5, 2, 3);
    uint32_t peers[K];
    for (uint32_t i = 0; i < K; i++) {
        peers[i] = stranger_in(bench, i % 4);
        dht_table_verified(&bench->table, peers[i]);
    }
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < K; i++) {
            dht_table_lost(&bench->table, peers[i]);
        }
    }
    cr_assert_eq(bench->table.count, K);
    dht_table_verified(&bench->table, peers[0]); /* Somebody answers: losses count again. */
    dht_table_lost(&bench->table, peers[1]);
    cr_assert_not(has(bench, peers[1]));
    close_bench(bench);
}

Test(dht_table, an_address_group_has_few_places_in_a_bucket_and_in_the_table)
{
    struct bench *bench = open_bench(6, 2, 3);
    uint32_t entered = 0;
    for (uint32_t bucket = 0; bucket < 4; bucket++) {
        for (uint8_t host = 1; host <= 5; host++) {
            struct port_addr addr = addr_of(0xabcdef, host);
            struct node_id id = id_in(bench, bucket);
            enum dht_table_news news =
                dht_table_verified(&bench->table, contact_at_addr(bench, &id, &addr));
            cr_assert(news == DHT_TABLE_ADDED || news == DHT_TABLE_REFUSED);
            entered += news == DHT_TABLE_ADDED;
            cr_assert_eq(dht_table_is_wanted(&bench->table, &id, &addr), false);
        }
        cr_assert_leq(dht_table_bucket_count(&bench->table, bucket), 2);
    }
    cr_assert_eq(entered, 3);
    cr_assert_eq(bench->bare->core.counters.value[COUNT_CONTACTS_REFUSED], 17);
    cr_assert_eq(dht_table_verified(&bench->table, stranger_in(bench, 0)), DHT_TABLE_ADDED);
    close_bench(bench);
}

Test(dht_table, a_key_moves_to_a_new_address_once_that_is_verified)
{
    struct bench *bench = open_bench(7, 2, 3);
    uint32_t peer = stranger_in(bench, 2);
    dht_table_verified(&bench->table, peer);
    struct node_id id = contact_at(&bench->bare->port, peer)->id;
    struct port_addr addr = addr_of(0x777777, 9);
    uint32_t moved = contact_at_addr(bench, &id, &addr);

    cr_assert(dht_table_is_wanted(&bench->table, &id, &addr));
    cr_assert(has(bench, peer), "asking changes nothing");
    cr_assert_eq(dht_table_verified(&bench->table, moved), DHT_TABLE_MOVED);
    cr_assert(has(bench, moved));
    cr_assert_not(has(bench, peer));
    cr_assert_eq(bench->table.count, 1);
    dht_table_lost(&bench->table, peer);
    dht_table_lost(&bench->table, peer);
    cr_assert(has(bench, moved), "losing the old address is no news");
    close_bench(bench);
}

Test(dht_table, forgets_whom_it_is_told_to_and_lets_a_spare_in)
{
    struct bench *bench = open_bench(17, 2, 3);
    uint32_t old[K];
    fill(bench, 0, old);
    uint32_t spare = stranger_in(bench, 0);
    uint32_t lonely = stranger_in(bench, 2);
    dht_table_verified(&bench->table, spare);
    dht_table_verified(&bench->table, lonely);
    const struct port *port = &bench->bare->port;
    dht_table_forget(&bench->table, &contact_at(port, lonely)->id);
    cr_assert_not(has(bench, lonely));
    dht_table_forget(&bench->table, &contact_at(port, old[0])->id);
    cr_assert_not(has(bench, old[0]));
    cr_assert(has(bench, spare));
    uint32_t next = stranger_in(bench, 0);
    dht_table_verified(&bench->table, next);
    dht_table_forget(&bench->table, &contact_at(port, next)->id);
    dht_table_forget(&bench->table, &contact_at(port, old[1])->id);
    cr_assert_not(has(bench, next), "not even as a spare");
    cr_assert_eq(bench->table.count, K - 1);
    dht_table_forget(&bench->table, &contact_at(port, lonely)->id); /* There is none. */
    cr_assert_null(dht_table_check(&bench->table));
    close_bench(bench);
}

Test(dht_table, a_spare_that_enters_at_another_address_waits_no_more)
{
    struct bench *bench = open_bench(8, 2, 3);
    uint32_t old[K];
    fill(bench, 0, old);
    uint32_t spare = stranger_in(bench, 0);
    dht_table_verified(&bench->table, spare);
    struct node_id id = contact_at(&bench->bare->port, spare)->id;
    struct port_addr addr = addr_of(0x777777, 9);
    uint32_t same = contact_at_addr(bench, &id, &addr);
    dht_table_verified(&bench->table, same);
    dht_table_lost(&bench->table, old[0]);
    dht_table_lost(&bench->table, old[1]);
    cr_assert(has(bench, same));
    cr_assert_not(has(bench, spare));
    cr_assert_null(dht_table_check(&bench->table)); /* No id twice. */
    close_bench(bench);
}

Test(dht_table, we_never_enter_our_own_table)
{
    struct bench *bench = open_bench(9, 2, 3);
    struct port_addr addr = addr_of(1, 1);
    uint32_t ourselves = contact_at_addr(bench, &bench->self, &addr);
    cr_assert_not(dht_table_is_wanted(&bench->table, &bench->self, &addr));
    cr_assert_eq(dht_table_verified(&bench->table, ourselves), DHT_TABLE_REFUSED);
    cr_assert_eq(bench->table.count, 0);
    close_bench(bench);
}

Test(dht_table, wants_whom_it_has_room_for)
{
    struct bench *bench = open_bench(10, 2, 3);
    uint32_t old[K];
    for (uint32_t i = 0; i < K; i++) {
        old[i] = stranger_in(bench, 0);
        const struct contact *contact = contact_at(&bench->bare->port, old[i]);
        cr_assert(dht_table_is_wanted(&bench->table, &contact->id, &contact->addr));
        dht_table_verified(&bench->table, old[i]);
        cr_assert_not(dht_table_is_wanted(&bench->table, &contact->id, &contact->addr));
    }
    const struct contact *newcomer = contact_at(&bench->bare->port, stranger_in(bench, 0));
    cr_assert_not(dht_table_is_wanted(&bench->table, &newcomer->id, &newcomer->addr));
    dht_table_lost(&bench->table, old[3]);
    cr_assert(dht_table_is_wanted(&bench->table, &newcomer->id, &newcomer->addr));
    const struct contact *failed = contact_at(&bench->bare->port, old[3]);
    cr_assert(dht_table_is_wanted(&bench->table, &failed->id, &failed->addr));
    close_bench(bench);
}

static const struct port *sort_port;
static struct node_id sort_target;

static int by_distance(const void *a, const void *b)
{
    return dht_closer(sort_port, *(const uint32_t *)a, *(const uint32_t *)b, &sort_target);
}

static int by_number(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

/* Against sorting everything, for targets everywhere and close by, and for every size of answer. */
Test(dht_table, nearest_is_what_sorting_gives)
{
    struct bench *bench = open_bench(11, 2, 3);
    for (uint32_t i = 0; i < 900; i++) {
        uint32_t bucket = 0;
        while (bucket < 40 && (rng_next(&bench->dice) & 1) != 0) {
            bucket++;
        }
        dht_table_verified(&bench->table, stranger_in(bench, bucket));
    }
    cr_assert_null(dht_table_check(&bench->table));
    sort_port = &bench->bare->port;
    for (uint32_t trial = 0; trial < 3000; trial++) {
        struct node_id target = id_in(bench, trial % 45);
        uint32_t max = 1 + trial % K;
        uint32_t all[DHT_CONTACTS_MAX];
        uint32_t got[K];
        uint32_t count = dht_table_all(&bench->table, all, DHT_CONTACTS_MAX);
        sort_target = target;
        qsort(all, count, sizeof *all, by_distance);
        cr_assert_eq(dht_table_nearest(&bench->table, &target, got, max), max);
        qsort(got, max, sizeof *got, by_number);
        qsort(all, max, sizeof *all, by_number);
        cr_assert_arr_eq(got, all, max * sizeof *got, "trial %u", trial);
    }
    close_bench(bench);
}

/* Ids that share their first 64 bits are told apart by the rest. */
Test(dht_table, nearest_breaks_ties_of_the_prefix_by_the_whole_id)
{
    struct bench *bench = open_bench(12, 2, 3);
    struct node_id shared = id_in(bench, 0);
    for (uint32_t i = 0; i < K; i++) {
        struct node_id id = id_in(bench, 0);
        memcpy(id.bytes, shared.bytes, 8);
        uint32_t peer = stranger_in(bench, 0);
        set_id(bench, peer, &id);
        cr_assert_eq(dht_table_verified(&bench->table, peer), DHT_TABLE_ADDED);
    }
    uint32_t all[K];
    uint32_t got[7];
    sort_port = &bench->bare->port;
    sort_target = shared;
    dht_table_all(&bench->table, all, K);
    qsort(all, K, sizeof *all, by_distance);
    cr_assert_eq(dht_table_nearest(&bench->table, &shared, got, 7), 7);
    qsort(got, 7, sizeof *got, by_distance);
    cr_assert_arr_eq(got, all, sizeof got);
    close_bench(bench);
}

Test(dht_table, checks_the_most_silent)
{
    struct bench *bench = open_bench(13, 2, 3);
    uint32_t peers[10];
    for (uint32_t i = 0; i < 10; i++) {
        peers[i] = stranger_in(bench, 2);
        dht_table_verified(&bench->table, peers[i]);
        bench->bare->port.now_us += 100 * SECOND;
    }
    dht_table_verified(&bench->table, peers[0]);
    cr_assert_eq(dht_table_silent(&bench->table, 2, 500 * SECOND), peers[1]);
    cr_assert_eq(dht_table_silent(&bench->table, 2, 2000 * SECOND), PORT_INTERN_NONE);
    cr_assert_eq(dht_table_silent(&bench->table, 3, 0), PORT_INTERN_NONE);
    close_bench(bench);
}

Test(dht_table, depth_is_where_the_neighbourhood_begins)
{
    struct bench *bench = open_bench(14, 2, 3);
    cr_assert_eq(dht_table_depth(&bench->table), 0);
    for (uint32_t bucket = 0; bucket < 6; bucket++) {
        for (uint32_t i = 0; i < 20u >> bucket; i++) {
            dht_table_verified(&bench->table, stranger_in(bench, bucket));
        }
    }
    /* 0 + 1 + 2 + 5 + 10 in buckets 5 to 1 are no twenty; with ten more in bucket 2 they are. */
    cr_assert_eq(dht_table_depth(&bench->table), 0);
    for (uint32_t i = 0; i < 10; i++) {
        dht_table_verified(&bench->table, stranger_in(bench, 2));
    }
    cr_assert_eq(dht_table_depth(&bench->table), 1);
    close_bench(bench);
}

Test(dht_table, holds_one_reference_to_each_contact_and_spare)
{
    struct bench *bench = open_bench(15, 2, 3);
    uint32_t made = 0;
    for (; made < 200; made++) {
        uint32_t peer = stranger_in(bench, made % 3);
        dht_table_verified(&bench->table, peer);
        if (made % 7 == 0) {
            dht_table_lost(&bench->table, peer);
        }
    }
    uint32_t spares = 0;
    for (uint32_t i = 0; i < 3; i++) {
        spares += bench->table.buckets[i]->spare_count;
    }
    cr_assert_eq(bare_references(bench->bare), made + bench->table.count + spares);
    dht_table_release(&bench->table);
    cr_assert_eq(bare_references(bench->bare), made);
    close_bench(bench);
}

Test(dht_table, refuses_contacts_it_has_no_memory_for)
{
    struct bench *bench = open_bench(16, 2, 3);
    bench->bare->bytes_max = bench->bare->bytes_given;
    cr_assert_eq(dht_table_verified(&bench->table, stranger_in(bench, 0)), DHT_TABLE_REFUSED);
    cr_assert_eq(bench->table.count, 0);
    close_bench(bench);
}

Test(dht_table, must_be_told_a_k_it_can_hold, .signal = SIGABRT)
{
    struct bench *bench = open_bench(17, 2, 3);
    dht_table_init(&bench->table, &bench->bare->core, &bench->self, DHT_K_MAX + 1, 2, 3);
}
