/* test_store.c - the rules of holding records: who wins, who goes, and what a restart finds. */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "fake_net.h"

static struct net *small_net(uint64_t seed, uint32_t records_max)
{
    struct dht_config config = net_config();
    config.records_max = records_max;
    struct net *net = net_open(seed, &config);
    net_add_many(net, 2);
    net_fill_tables(net);
    net_serve_all(net);
    return net;
}

static struct node_id key_of(const struct record *record)
{
    struct node_id key;
    record_key(&key, record);
    return key;
}

static struct record immutable(const char *text)
{
    return (struct record){
        .kind = RECORD_IMMUTABLE, .expiry_s = 3600, .value = slice_of(text, strlen(text))};
}

/* What the node's own store holds under the key of the record. */
static struct dht_stored held_by(struct net_node *node, const struct record *record)
{
    struct node_id key = key_of(record);
    struct dht_stored stored;
    net_set_clock(node);
    const struct dht_held *held = dht_store_find(&node->dht.store, &key);
    cr_assert_not_null(held);
    cr_assert(dht_store_read(&node->dht.store, held, &stored));
    return stored;
}

static bool is_text(struct slice value, const char *text)
{
    return value.len == strlen(text) && memcmp(value.data, text, value.len) == 0;
}

Test(dht_store, the_highest_sequence_wins)
{
    struct net *net = small_net(1, 16);
    struct net_node *holder = net_at(net, 0);
    struct net_node *sender = net_at(net, 1);
    struct record second = net_record(sender, 1, 2, "two");
    struct message_stored stored = net_store(holder, sender, &second, 0, false);
    cr_assert_eq(stored.status, STORED_OK);
    cr_assert(stored.is_durable);
    cr_assert_eq(stored.sequence, 2);

    struct record first = net_record(sender, 1, 1, "one");
    stored = net_store(holder, sender, &first, 0, false);
    cr_assert_eq(stored.status, STORED_STALE);
    cr_assert_eq(stored.sequence, 2, "a stale sender is told what is newer");

    struct record third = net_record(sender, 1, 3, "three");
    cr_assert_eq(net_store(holder, sender, &third, 0, false).status, STORED_OK);
    struct dht_stored held = held_by(holder, &third);
    cr_assert(is_text(held.record.value, "three"));
    cr_assert_eq(dht_record_count(&holder->dht), 1);
    cr_assert_eq(holder->core.counters.value[COUNT_RECORDS_STORED], 2);
    cr_assert(net_close(net));
}

/* Whichever of two records with one sequence comes first, both holders settle on the same. */
Test(dht_store, equal_sequences_settle_on_the_lower_body_hash)
{
    struct net *net = small_net(2, 16);
    struct net_node *one = net_at(net, 0);
    struct net_node *two = net_at(net, 1);
    struct record a = net_record(one, 1, 5, "left");
    struct record b = net_record(one, 1, 5, "right");
    uint8_t hash_a[RECORD_HASH_LEN];
    uint8_t hash_b[RECORD_HASH_LEN];
    record_body_hash(hash_a, &a);
    record_body_hash(hash_b, &b);
    const char *winner = memcmp(hash_a, hash_b, sizeof hash_a) < 0 ? "left" : "right";
    uint8_t first = net_store(one, two, &a, 0, false).status;
    uint8_t second = net_store(one, two, &b, 0, false).status;
    cr_assert_eq(first, STORED_OK);
    cr_assert_eq(second, winner[0] == 'r' ? STORED_OK : STORED_STALE);
    net_store(two, one, &b, 0, false);
    net_store(two, one, &a, 0, false);
    cr_assert(is_text(held_by(one, &a).record.value, winner));
    cr_assert(is_text(held_by(two, &a).record.value, winner));
    cr_assert_eq(net_store(one, two, &a, 0, false).status,
                 winner[0] == 'l' ? STORED_OK : STORED_STALE);
    cr_assert(net_close(net));
}

/* A value that was signed before the delete, stored again as long as it could live, stays deleted.
 */
Test(dht_store, a_tombstone_outlives_what_it_suppresses)
{
    struct net *net = small_net(3, 16);
    struct net_node *holder = net_at(net, 0);
    struct net_node *sender = net_at(net, 1);
    struct record value = net_record(sender, 1, 1, "alive");
    value.expiry_s = RECORD_EXPIRY_MAX_S;
    record_sign(&sender->port, &value, sender->identity.public_key, sender->identity.secret_key);
    struct record tombstone = net_record(sender, 1, 2, NULL);
    cr_assert_eq(net_store(holder, sender, &value, 0, false).status, STORED_OK);
    cr_assert_eq(net_store(holder, sender, &tombstone, 0, false).status, STORED_OK);
    for (uint32_t hour = 0; hour < 24; hour++) {
        net_jump_wall(net, 3600 * SECOND);
        uint32_t age_s = (hour + 1) * 3600 < RECORD_EXPIRY_MAX_S ? (hour + 1) * 3600 : 86399;
        cr_assert_eq(net_store(holder, sender, &value, age_s, false).status, STORED_STALE,
                     "hour %u", hour);
    }
    net_jump_wall(net, 2 * 3600 * SECOND);
    net_run_for(net, 60 * SECOND);
    cr_assert_eq(dht_record_count(&holder->dht), 0, "it goes when nothing is left to suppress");
    cr_assert(net_close(net));
}

Test(dht_store, age_is_what_the_sender_says_and_the_time_since)
{
    struct net *net = small_net(4, 16);
    struct net_node *holder = net_at(net, 0);
    struct net_node *sender = net_at(net, 1);
    struct record record = net_record(sender, 1, 1, "an hour");
    struct node_id key = key_of(&record);
    cr_assert_eq(net_store(holder, sender, &record, 3600, false).status, STORED_INVALID);
    cr_assert_eq(net_store(holder, sender, &record, 3000, false).status, STORED_OK);
    net_run_for(net, 500 * SECOND);
    uint32_t age_s = held_by(holder, &record).age_s;
    cr_assert(age_s >= 3500 && age_s <= 3502, "age %u", age_s);
    net_run_for(net, 120 * SECOND);
    net_set_clock(holder);
    cr_assert_not(dht_holds(&holder->dht, &key));
    struct net_found found = net_lookup(sender, &key, LOOKUP_VALUE);
    cr_assert_eq(found.status, ERR_MISSING);
    net_run_for(net, 60 * SECOND);
    cr_assert_eq(dht_record_count(&holder->dht), 0);
    cr_assert_eq(holder->blob_count, 0, "the disk forgets too");
    cr_assert_eq(holder->core.counters.value[COUNT_RECORDS_EXPIRED], 1);
    cr_assert(net_close(net));
}

Test(dht_store, a_clock_set_back_makes_nothing_younger)
{
    struct net *net = small_net(5, 16);
    struct net_node *holder = net_at(net, 0);
    struct record record = net_record(net_at(net, 1), 1, 1, "old");
    net_store(holder, net_at(net, 1), &record, 1000, false);
    net_jump_wall(net, (uint64_t)0 - 7200 * SECOND);
    net_run_for(net, SECOND);
    cr_assert_eq(held_by(holder, &record).age_s, 1000);
    cr_assert(net_close(net));
}

Test(dht_store, refuses_what_nobody_signed)
{
    struct net *net = small_net(6, 16);
    struct net_node *holder = net_at(net, 0);
    struct net_node *sender = net_at(net, 1);
    struct record record = net_record(sender, 1, 1, "true");
    record.value = slice_of("fals", 4);
    cr_assert_eq(net_store(holder, sender, &record, 0, false).status, STORED_INVALID);
    record = net_record(sender, 1, 1, "true");
    record.sequence = 2;
    cr_assert_eq(net_store(holder, sender, &record, 0, false).status, STORED_INVALID);
    cr_assert_eq(dht_record_count(&holder->dht), 0);
    cr_assert_eq(holder->core.counters.value[COUNT_MALFORMED], 2);
    cr_assert(net_close(net));
}

Test(dht_store, holds_the_nearest_keys_when_it_is_full)
{
    const uint32_t max = 12;
    struct net *net = small_net(7, max);
    struct net_node *holder = net_at(net, 0);
    struct net_node *sender = net_at(net, 1);
    struct node_id keys[60];
    for (uint32_t i = 0; i < 60; i++) {
        struct record record = net_record(sender, i, 1, "x");
        keys[i] = key_of(&record);
        uint8_t status = net_store(holder, sender, &record, 0, false).status;
        cr_assert(status == STORED_OK || status == STORED_FULL);
        cr_assert_eq(dht_holds(&holder->dht, &keys[i]), status == STORED_OK);
        cr_assert_leq(dht_record_count(&holder->dht), max);
        cr_assert_null(dht_check(&holder->dht));
    }
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t nearer = 0;
        for (uint32_t j = 0; j < 60; j++) {
            nearer += node_id_closer(&keys[j], &keys[i], &holder->identity.id) < 0;
        }
        cr_assert_eq(dht_holds(&holder->dht, &keys[i]), nearer < max, "key %u of rank %u", i,
                     nearer);
    }
    cr_assert(net_close(net));
}

/* However near a cache copy is to us, a record that is to be held comes before it. */
Test(dht_store, cache_copies_make_room_first)
{
    static const char *const texts[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (uint32_t i = 0; i < 8; i++) {
        struct net *net = small_net(20 + i, 2);
        struct net_node *holder = net_at(net, 0);
        struct net_node *sender = net_at(net, 1);
        struct record cached = immutable(texts[i]);
        struct node_id cached_key = key_of(&cached);
        cr_assert_eq(net_store(holder, sender, &cached, 0, true).status, STORED_OK);
        struct record first = net_record(sender, 1, 1, "one");
        struct record second = net_record(sender, 2, 1, "two");
        cr_assert_eq(net_store(holder, sender, &first, 0, false).status, STORED_OK);
        cr_assert_eq(net_store(holder, sender, &second, 0, false).status, STORED_OK);
        cr_assert_not(dht_holds(&holder->dht, &cached_key));
        cr_assert_eq(net_store(holder, sender, &cached, 0, true).status, STORED_FULL,
                     "a copy pushes nothing out");
        cr_assert(net_close(net));
    }
}

Test(dht_store, cache_copies_live_shortly)
{
    struct net *net = small_net(9, 2);
    struct net_node *holder = net_at(net, 0);
    struct record cached = immutable("a copy");
    struct node_id cached_key = key_of(&cached);
    net_store(holder, net_at(net, 1), &cached, 0, true);
    net_run_for(net, (STORE_CACHE_S - 10) * SECOND);
    net_set_clock(holder);
    cr_assert(dht_holds(&holder->dht, &cached_key));
    net_run_for(net, 20 * SECOND);
    net_set_clock(holder);
    cr_assert_not(dht_holds(&holder->dht, &cached_key));
    cr_assert(net_close(net));
}

Test(dht_store, a_store_turns_a_cache_copy_into_a_held_record)
{
    struct net *net = small_net(10, 4);
    struct net_node *holder = net_at(net, 0);
    struct net_node *sender = net_at(net, 1);
    struct record record = immutable("both");
    net_store(holder, sender, &record, 0, true);
    cr_assert(held_by(holder, &record).is_cached);
    net_store(holder, sender, &record, 0, false);
    cr_assert_not(held_by(holder, &record).is_cached);
    net_store(holder, sender, &record, 0, true);
    cr_assert_not(held_by(holder, &record).is_cached, "and not back");
    net_run_for(net, 1200 * SECOND);
    net_set_clock(holder);
    struct node_id key = key_of(&record);
    cr_assert(dht_holds(&holder->dht, &key));
    cr_assert(net_close(net));
}

Test(dht_store, a_restart_finds_what_was_held)
{
    struct net *net = small_net(11, 64);
    struct net_node *holder = net_at(net, 0);
    struct net_node *sender = net_at(net, 1);
    struct record records[20];
    for (uint32_t i = 0; i < 20; i++) {
        records[i] = net_record(sender, i, 10 + i, "kept");
        net_store(holder, sender, &records[i], 100, false);
    }
    struct record cached = immutable("a copy");
    net_store(holder, sender, &cached, 0, true);
    net_kill(holder);
    net_run_for(net, 600 * SECOND);
    net_revive(holder, sender);
    cr_assert_null(dht_check(&holder->dht));
    for (uint32_t i = 0; i < 20; i++) {
        struct dht_stored stored = held_by(holder, &records[i]);
        cr_assert_eq(stored.record.sequence, 10 + i);
        cr_assert(stored.age_s >= 700 && stored.age_s < 730, "age %u", stored.age_s);
    }
    struct node_id key = key_of(&cached);
    cr_assert_not(dht_holds(&holder->dht, &key), "a cache copy does not outlive the run");
    /* The sequences are in the index again: an older record is refused unread. */
    struct record stale = net_record(sender, 3, 1, "old");
    cr_assert_eq(net_store(holder, sender, &stale, 0, false).status, STORED_STALE);
    cr_assert(net_close(net));
}

Test(dht_store, damaged_records_on_disk_are_not_served_and_go)
{
    struct net *net = small_net(12, 64);
    struct net_node *holder = net_at(net, 0);
    struct net_node *sender = net_at(net, 1);
    struct record record = net_record(sender, 1, 1, "whole");
    struct node_id key = key_of(&record);
    net_store(holder, sender, &record, 0, false);
    net_kill(holder);
    cr_assert_eq(holder->blob_count, 1);
    uint8_t name[21] = {'r'};
    memcpy(name + 1, key.bytes, sizeof key.bytes);
    cr_assert_eq(holder->port.ops->store_put(&holder->port, slice_of(name, sizeof name),
                                             slice_of("torn", 4)),
                 ERR_OK);
    net_revive(holder, sender);
    cr_assert_not(dht_holds(&holder->dht, &key));
    net_run_for(net, 60 * SECOND);
    cr_assert_eq(dht_record_count(&holder->dht), 0);
    cr_assert_eq(net_store(holder, sender, &record, 0, false).status, STORED_OK);
    cr_assert(net_close(net));
}

Test(dht_store, says_stored_only_when_the_disk_has_it)
{
    struct net *net = small_net(13, 64);
    struct net_node *holder = net_at(net, 0);
    struct net_node *sender = net_at(net, 1);
    struct record first = net_record(sender, 1, 1, "a");
    struct record second = net_record(sender, 2, 1, "b");
    struct node_id key = key_of(&second);

    holder->is_disk_refusing = true;
    cr_assert_eq(net_store(holder, sender, &first, 0, false).status, STORED_FULL);
    holder->is_disk_refusing = false;
    holder->is_disk_failing = true;
    struct message_stored stored = net_store(holder, sender, &second, 0, false);
    cr_assert_eq(stored.status, STORED_FULL);
    cr_assert_not(stored.is_durable);
    cr_assert_not(dht_holds(&holder->dht, &key), "what is not durable is not served either");
    holder->is_disk_failing = false;
    cr_assert_eq(net_store(holder, sender, &second, 0, false).status, STORED_OK);
    cr_assert(net_close(net));
}

/* A commit that fails takes nothing away that was durable before. */
Test(dht_store, a_failing_disk_keeps_what_it_had)
{
    struct net *net = small_net(14, 64);
    struct net_node *holder = net_at(net, 0);
    struct net_node *sender = net_at(net, 1);
    struct record record = net_record(sender, 1, 1, "a");
    struct node_id key = key_of(&record);
    net_store(holder, sender, &record, 0, false);
    holder->is_disk_failing = true;
    cr_assert_eq(net_store(holder, sender, &record, 0, false).status, STORED_FULL);
    cr_assert(dht_holds(&holder->dht, &key));
    cr_assert(net_close(net));
}
