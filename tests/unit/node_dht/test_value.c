/* test_value.c - putting and finding values over a network: agreement, repair, caches, deletes. */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "fake_net.h"

static struct net *value_net(uint64_t seed, uint32_t nodes, bool path_cache)
{
    struct dht_config config = net_config();
    config.path_cache = path_cache;
    struct net *net = net_open(seed, &config);
    net_add_many(net, nodes);
    net_fill_tables(net);
    net_serve_all(net);
    return net;
}

static bool is_text(const struct net_found *found, const char *text)
{
    struct slice value = found->copy.record.value;
    return found->has_record && value.len == strlen(text) &&
           memcmp(found->copy.value, text, value.len) == 0;
}

static struct node_id key_of(const struct record *record)
{
    struct node_id key;
    record_key(&key, record);
    return key;
}

/* Gives the i-th nearest to the record's key a copy, for i in [from, end). */
static void hand_out(struct net *net, struct net_node *sender, const struct record *record,
                     uint32_t from, uint32_t end)
{
    struct node_id key = key_of(record);
    uint32_t nearest[DHT_K_MAX];
    net_true_nearest(net, &key, NULL, nearest, DHT_K_MAX);
    for (uint32_t i = from; i < end; i++) {
        struct net_node *holder = net_by_contact(net, nearest[i]);
        if (holder != sender) {
            cr_assert_eq(net_store(holder, sender, record, 0, false).status, STORED_OK);
        }
    }
}

static struct net_node *far_from(struct net *net, const struct node_id *key)
{
    uint32_t nearest[200];
    uint32_t count = net_true_nearest(net, key, NULL, nearest, 200);
    return net_by_contact(net, nearest[count - 1]);
}

Test(dht_value, what_is_put_is_found_by_everybody, .timeout = 60)
{
    struct net *net = value_net(1, 200, false);
    struct net_put put = net_publish(net_at(net, 0), RECORD_IMMUTABLE, 0, "hello");
    cr_assert_eq(put.result.status, ERR_OK);
    cr_assert_geq(put.result.holders, 3);
    cr_assert_eq(net_holders(net, &put.result.key), 20);
    uint64_t took_us = 0;
    for (uint32_t i = 0; i < 200; i++) {
        struct net_found found = net_lookup(net_at(net, i), &put.result.key, LOOKUP_VALUE);
        cr_assert_eq(found.status, ERR_OK, "node %u", i);
        cr_assert(is_text(&found, "hello"));
        took_us += found.took_us;
    }
    /* A round trip is 170 ms on average here, and a fifth of the nodes need two. */
    cr_assert_lt(took_us / 200, 320 * MILLISECOND);
    cr_assert(net_close(net));
}

Test(dht_value, a_holder_finds_its_own_copy_at_no_cost)
{
    struct net *net = value_net(2, 100, false);
    struct net_put put = net_publish(net_at(net, 0), RECORD_IMMUTABLE, 0, "at home");
    uint32_t nearest[1];
    net_true_nearest(net, &put.result.key, net_at(net, 0), nearest, 1);
    struct net_found found =
        net_lookup(net_by_contact(net, nearest[0]), &put.result.key, LOOKUP_VALUE);
    cr_assert_eq(found.status, ERR_OK);
    cr_assert(is_text(&found, "at home"));
    cr_assert_eq(found.hops, 0);
    cr_assert_eq(found.messages, 0);
    cr_assert(net_close(net));
}

Test(dht_value, what_nobody_put_is_missing)
{
    struct net *net = value_net(3, 100, false);
    struct node_id key = net_random_id(net);
    struct net_found found = net_lookup(net_at(net, 0), &key, LOOKUP_VALUE);
    cr_assert_eq(found.status, ERR_MISSING);
    cr_assert_not(found.has_record);
    cr_assert_eq(found.count, 20);
    cr_assert(net_close(net));
}

Test(dht_value, a_mutable_value_changes_with_every_put, .timeout = 60)
{
    struct net *net = value_net(4, 150, false);
    struct net_node *publisher = net_at(net, 3);
    static const char *const texts[] = {"first", "second", "third"};
    struct node_id key = {0};
    for (uint32_t i = 0; i < 3; i++) {
        struct net_put put = net_publish(publisher, RECORD_MUTABLE, 9, texts[i]);
        cr_assert_eq(put.result.status, ERR_OK);
        cr_assert(i == 0 || node_id_equal(&key, &put.result.key));
        key = put.result.key;
        for (uint32_t j = 0; j < 150; j += 10) {
            struct net_found found = net_lookup(net_at(net, j), &key, LOOKUP_VALUE);
            cr_assert_eq(found.status, ERR_OK);
            cr_assert(is_text(&found, texts[i]));
            cr_assert_eq(found.copy.record.sequence, i + 1);
        }
    }
    cr_assert(net_close(net));
}

Test(dht_value, what_is_deleted_is_missing_and_can_be_put_again, .timeout = 60)
{
    struct net *net = value_net(5, 150, false);
    struct net_node *publisher = net_at(net, 3);
    struct net_put put = net_publish(publisher, RECORD_MUTABLE, 1, "short-lived");
    struct net_put gone = net_publish(publisher, RECORD_TOMBSTONE, 1, "");
    cr_assert_eq(gone.result.status, ERR_OK);
    cr_assert(node_id_equal(&gone.result.key, &put.result.key));
    for (uint32_t j = 0; j < 150; j += 10) {
        struct net_found found = net_lookup(net_at(net, j), &put.result.key, LOOKUP_VALUE);
        cr_assert_eq(found.status, ERR_MISSING);
        cr_assert_eq(found.copy.record.kind, RECORD_TOMBSTONE);
    }
    net_publish(publisher, RECORD_MUTABLE, 1, "back");
    struct net_found found = net_lookup(net_at(net, 77), &put.result.key, LOOKUP_VALUE);
    cr_assert_eq(found.status, ERR_OK);
    cr_assert_eq(found.copy.record.sequence, 3);
    cr_assert(net_close(net));
}

/* Three that agree are enough: the others are not asked. */
Test(dht_value, three_agreeing_holders_end_a_mutable_read)
{
    struct net *net = value_net(6, 200, false);
    struct net_node *publisher = net_at(net, 0);
    struct record record = net_record(publisher, 1, 4, "agreed");
    struct node_id key = key_of(&record);
    hand_out(net, publisher, &record, 0, 20);
    struct net_found found = net_lookup(far_from(net, &key), &key, LOOKUP_VALUE);
    cr_assert_eq(found.status, ERR_OK);
    cr_assert(is_text(&found, "agreed"));
    cr_assert_lt(found.messages, 15, "it asked %u", found.messages);
    cr_assert(net_close(net));
}

/* Nineteen hold the old one and one the new: with no three that agree on it before all have
 * answered the highest sequence would lose, so the old ones are kept below three. */
Test(dht_value, without_agreement_the_highest_sequence_wins_and_is_repaired, .timeout = 60)
{
    struct net *net = value_net(7, 200, false);
    struct net_node *publisher = net_at(net, 0);
    struct record old = net_record(publisher, 1, 4, "old");
    struct record fresh = net_record(publisher, 1, 5, "new");
    struct node_id key = key_of(&old);
    hand_out(net, publisher, &old, 3, 5);
    hand_out(net, publisher, &fresh, 6, 7);
    struct net_node *reader = far_from(net, &key);
    struct net_found found = net_lookup(reader, &key, LOOKUP_VALUE);
    cr_assert_eq(found.status, ERR_OK);
    cr_assert(is_text(&found, "new"));
    cr_assert_eq(found.count, 20);
    net_run_for(net, 5 * SECOND);
    uint32_t nearest[DHT_K_MAX];
    net_true_nearest(net, &key, reader, nearest, DHT_K_MAX);
    for (uint32_t i = 0; i < DHT_K_MAX; i++) {
        const struct dht_held *held =
            dht_store_find(&net_by_contact(net, nearest[i])->dht.store, &key);
        cr_assert_not_null(held, "the holder of rank %u lacks it", i);
        cr_assert_eq(held->sequence, 5);
    }
    cr_assert(net_close(net));
}

/* A reader that holds an old copy itself repairs that too. */
Test(dht_value, read_repair_reaches_our_own_copy, .timeout = 60)
{
    struct net *net = value_net(8, 200, false);
    struct net_node *publisher = net_at(net, 0);
    struct record old = net_record(publisher, 1, 4, "old");
    struct record fresh = net_record(publisher, 1, 5, "new");
    struct node_id key = key_of(&old);
    hand_out(net, publisher, &old, 2, 3);
    hand_out(net, publisher, &fresh, 5, 8);
    uint32_t nearest[DHT_K_MAX];
    net_true_nearest(net, &key, NULL, nearest, DHT_K_MAX);
    struct net_node *reader = net_by_contact(net, nearest[2]);
    struct net_found found = net_lookup(reader, &key, LOOKUP_VALUE);
    cr_assert(is_text(&found, "new"));
    cr_assert_eq(dht_store_find(&reader->dht.store, &key)->sequence, 5);
    cr_assert(net_close(net));
}

/* A put needs three durable holders: with failing disks everywhere it is not acknowledged. */
Test(dht_value, a_put_that_no_disk_takes_is_unreachable, .timeout = 60)
{
    struct net *net = value_net(9, 100, false);
    for (uint32_t i = 0; i < 100; i++) {
        net_at(net, i)->is_disk_failing = i % 50 != 0;
    }
    struct net_put put = net_publish(net_at(net, 1), RECORD_IMMUTABLE, 0, "nowhere");
    cr_assert_eq(put.result.status, ERR_UNREACHABLE);
    cr_assert_lt(put.result.holders, 3);
    cr_assert(net_close(net));
}

Test(dht_value, a_put_that_meets_a_newer_record_is_stale, .timeout = 60)
{
    struct net *net = value_net(10, 100, false);
    struct net_node *publisher = net_at(net, 0);
    struct record fresh = net_record(publisher, 1, 9, "new");
    struct record old = net_record(publisher, 1, 8, "old");
    hand_out(net, publisher, &fresh, 0, 20);
    struct node_id key = key_of(&fresh);
    struct net_node *sender = far_from(net, &key);
    struct net_put put = {0};
    cr_assert_eq(dht_put(&sender->dht, &old, net_on_put, &put, 0), ERR_OK);
    net_run_for(net, 10 * SECOND);
    cr_assert_eq(put.reports, 1);
    cr_assert_eq(put.result.status, ERR_STALE);
    cr_assert(net_close(net));
}

Test(dht_value, a_put_that_no_holder_would_take_is_refused_at_once)
{
    struct net *net = value_net(11, 10, false);
    struct net_node *node = net_at(net, 0);
    struct record forged = net_record(node, 1, 1, "true");
    forged.sequence = 2;
    struct net_put put = {0};
    cr_assert_eq(dht_put(&node->dht, &forged, net_on_put, &put, 0), ERR_INVALID);
    static uint8_t large[RECORD_VALUE_MAX + 1];
    cr_assert_eq(dht_publish(&node->dht, RECORD_IMMUTABLE, 0, slice_of(large, sizeof large),
                             net_on_put, &put, 0),
                 ERR_TOO_LARGE);
    cr_assert_eq(dht_publish(&node->dht, RECORD_IMMUTABLE, 0, slice_of(large, RECORD_VALUE_MAX),
                             net_on_put, &put, 0),
                 ERR_OK);
    net_run_for(net, 10 * SECOND);
    cr_assert_eq(put.reports, 1);
    cr_assert_eq(put.result.status, ERR_OK);
    cr_assert(net_close(net));
}

/* Three nodes are all there are: two others and ourselves make three holders. */
Test(dht_value, in_a_mesh_of_three_the_publisher_is_a_holder)
{
    struct net *net = value_net(12, 3, false);
    struct net_put put = net_publish(net_at(net, 0), RECORD_IMMUTABLE, 0, "small world");
    cr_assert_eq(put.result.status, ERR_OK);
    cr_assert_eq(put.result.holders, 3);
    cr_assert_eq(net_holders(net, &put.result.key), 3);
    cr_assert(net_close(net));
}

Test(dht_value, in_a_mesh_of_two_both_are_enough)
{
    struct net *net = value_net(15, 2, false);
    struct net_put put = net_publish(net_at(net, 0), RECORD_IMMUTABLE, 0, "a pair");
    cr_assert_eq(put.result.status, ERR_OK);
    cr_assert_eq(put.result.holders, 2);
    cr_assert(net_close(net));
}

Test(dht_value, who_knows_nobody_cannot_put)
{
    struct net *net = value_net(16, 1, false);
    struct net_put put = net_publish(net_at(net, 0), RECORD_IMMUTABLE, 0, "alone");
    cr_assert_eq(put.result.status, ERR_UNREACHABLE);
    cr_assert(net_close(net));
}

Test(dht_value, more_puts_than_slots_are_refused_and_all_end_at_stop)
{
    struct net *net = value_net(13, 60, false);
    struct net_node *node = net_at(net, 0);
    struct net_put puts[9] = {0};
    for (uint32_t i = 0; i < 9; i++) {
        uint8_t text = (uint8_t)i;
        int status = dht_publish(&node->dht, RECORD_IMMUTABLE, 0, slice_of(&text, 1), net_on_put,
                                 &puts[i], i);
        cr_assert_eq(status, i < 8 ? ERR_OK : ERR_FULL);
    }
    net_run_for(net, 50 * MILLISECOND);
    net_kill(node);
    for (uint32_t i = 0; i < 8; i++) {
        cr_assert_eq(puts[i].reports, 1);
        cr_assert_eq(puts[i].result.status, ERR_STOPPED);
    }
    cr_assert(net_close(net));
}

static uint32_t cached_copies(struct net *net, const struct node_id *key)
{
    uint32_t copies = 0;
    for (uint32_t i = 0; i < net_size(net); i++) {
        const struct dht_held *held = dht_store_find(&net_at(net, i)->dht.store, key);
        copies += held != NULL && held->is_cached;
    }
    return copies;
}

Test(dht_value, immutable_values_leave_copies_along_the_path, .timeout = 60)
{
    struct net *net = value_net(14, 400, true);
    struct net_put put = net_publish(net_at(net, 0), RECORD_IMMUTABLE, 0, "popular");
    uint32_t nearest[400];
    net_true_nearest(net, &put.result.key, NULL, nearest, 400);
    for (uint32_t i = 0; i < 40; i++) {
        struct net_node *reader = net_by_contact(net, nearest[399 - i]);
        struct net_found found = net_lookup(reader, &put.result.key, LOOKUP_VALUE);
        cr_assert_eq(found.status, ERR_OK);
        cr_assert(is_text(&found, "popular"));
    }
    net_run_for(net, SECOND);
    uint32_t copies = cached_copies(net, &put.result.key);
    cr_assert_gt(copies, 0);
    cr_assert_leq(copies, 40, "one lookup leaves one copy at most");
    cr_assert(net_close(net));
}

Test(dht_value, mutable_values_are_never_cached, .timeout = 60)
{
    struct net *net = value_net(15, 400, true);
    struct net_put put = net_publish(net_at(net, 0), RECORD_MUTABLE, 1, "changing");
    uint32_t holders = net_holders(net, &put.result.key);
    for (uint32_t i = 0; i < 400; i += 10) {
        net_lookup(net_at(net, i), &put.result.key, LOOKUP_VALUE);
    }
    net_run_for(net, SECOND);
    cr_assert_eq(cached_copies(net, &put.result.key), 0);
    cr_assert_eq(net_holders(net, &put.result.key), holders);
    /* And nobody takes a copy that is called one. */
    struct net_node *node = net_at(net, 0);
    struct record record = net_record(node, 7, 1, "x");
    struct dht_held *held;
    cr_assert_eq(dht_store_offer(&net_at(net, 1)->dht.store, &record, 0, true, &held),
                 STORE_INVALID);
    cr_assert(net_close(net));
}

/* A holder that serves a record under another key, or one altered, is passed over. */
Test(dht_value, forged_records_are_passed_over, .timeout = 60)
{
    struct net *net = value_net(16, 200, false);
    struct net_node *publisher = net_at(net, 0);
    struct record record = net_record(publisher, 1, 4, "genuine");
    struct node_id key = key_of(&record);
    hand_out(net, publisher, &record, 0, 20);
    uint32_t nearest[DHT_K_MAX];
    net_true_nearest(net, &key, publisher, nearest, DHT_K_MAX);
    for (uint32_t i = 0; i < 8; i++) { /* The eight nearest have altered theirs on disk. */
        struct net_node *holder = net_by_contact(net, nearest[i]);
        cr_assert(net_alter_record(holder, &key, "genuine", "altered"));
    }
    struct net_node *reader = far_from(net, &key);
    struct net_found found = net_lookup(reader, &key, LOOKUP_VALUE);
    cr_assert_eq(found.status, ERR_OK);
    cr_assert(is_text(&found, "genuine"));
    cr_assert_gt(reader->core.counters.value[COUNT_MALFORMED], 0);
    cr_assert_eq(reader->offences, reader->core.counters.value[COUNT_MALFORMED]);
    cr_assert_not_null(net_by_contact(net, reader->offender));
    cr_assert(net_close(net));
}

/* Who offers what no honest node would have is complained of; who is late or slow is not. */
Test(dht_value, an_offer_of_a_forged_record_is_an_offence)
{
    struct net *net = value_net(21, 20, false);
    struct net_node *sender = net_at(net, 0);
    struct net_node *holder = net_at(net, 1);
    struct record record = net_record(sender, 1, 4, "genuine");
    cr_assert_eq(net_store(holder, sender, &record, 0, false).status, STORED_OK);
    struct record older = net_record(sender, 1, 3, "older");
    cr_assert_eq(net_store(holder, sender, &older, 0, false).status, STORED_STALE);
    struct record newer = net_record(sender, 1, 5, "newer");
    cr_assert_eq(net_store(holder, sender, &newer, newer.expiry_s, false).status, STORED_INVALID);
    cr_assert_eq(holder->offences, 0);
    newer.signature[3] ^= 1;
    cr_assert_eq(net_store(holder, sender, &newer, 0, false).status, STORED_INVALID);
    cr_assert_eq(holder->offences, 1);
    cr_assert_eq(holder->offender, sender->contact);
    cr_assert(net_close(net));
}

/* A record can be genuine and still not be what was asked for. */
Test(dht_value, genuine_records_of_another_key_are_passed_over, .timeout = 60)
{
    struct net *net = value_net(17, 200, false);
    struct net_node *publisher = net_at(net, 0);
    struct record record = net_record(publisher, 1, 4, "wanted");
    struct record other = net_record(publisher, 2, 9, "another");
    struct node_id key = key_of(&record);
    struct node_id other_key = key_of(&other);
    hand_out(net, publisher, &record, 0, 20);
    uint32_t nearest[DHT_K_MAX];
    net_true_nearest(net, &key, publisher, nearest, DHT_K_MAX);
    for (uint32_t i = 0; i < 8; i++) {
        struct net_node *holder = net_by_contact(net, nearest[i]);
        cr_assert_eq(net_store(holder, publisher, &other, 0, false).status, STORED_OK);
        cr_assert(net_swap_record(holder, &key, &other_key));
    }
    struct net_found found = net_lookup(far_from(net, &key), &key, LOOKUP_VALUE);
    cr_assert_eq(found.status, ERR_OK);
    cr_assert(is_text(&found, "wanted"));
    cr_assert(net_close(net));
}

/* A holder whose clock stands still serves what others know to have expired. */
Test(dht_value, expired_records_are_not_believed, .timeout = 60)
{
    struct net *net = value_net(18, 100, false);
    struct net_node *publisher = net_at(net, 0);
    struct record record = net_record(publisher, 1, 4, "stale");
    struct node_id key = key_of(&record);
    hand_out(net, publisher, &record, 0, 20);
    for (uint32_t i = 0; i < 100; i++) {
        struct dht_held *held = dht_store_find(&net_at(net, i)->dht.store, &key);
        if (held != NULL) {
            held->expires_s += 7200;
        }
    }
    net_run_for(net, 3590 * SECOND);
    struct net_found found = net_lookup(publisher, &key, LOOKUP_VALUE);
    cr_assert_eq(found.status, ERR_OK);
    net_run_for(net, 20 * SECOND);
    found = net_lookup(publisher, &key, LOOKUP_VALUE);
    cr_assert_eq(found.status, ERR_MISSING);
    cr_assert(net_close(net));
}

/* Two holders of the old record and one of the new are not three that agree. */
Test(dht_value, holders_of_an_older_record_do_not_agree_with_a_newer, .timeout = 60)
{
    struct dht_config config = net_config();
    config.alpha = 1; /* The nearest are asked first, one by one. */
    struct net *net = net_open(19, &config);
    net_add_many(net, 200);
    net_fill_tables(net);
    net_serve_all(net);
    struct net_node *publisher = net_at(net, 0);
    struct record old = net_record(publisher, 1, 4, "old");
    struct record fresh = net_record(publisher, 1, 5, "new");
    struct node_id key = key_of(&old);
    hand_out(net, publisher, &old, 0, 2);
    hand_out(net, publisher, &fresh, 15, 16);
    struct net_found found = net_lookup(far_from(net, &key), &key, LOOKUP_VALUE);
    cr_assert(is_text(&found, "new"));
    cr_assert_eq(found.count, 20, "only %u had answered", found.count);
    cr_assert(net_close(net));
}

Test(dht_value, a_put_that_finds_no_call_free_stores_later, .timeout = 60)
{
    struct net *net = value_net(20, 60, false);
    struct net_node *node = net_at(net, 0);
    struct net_put put = {0};
    cr_assert_eq(
        dht_publish(&node->dht, RECORD_IMMUTABLE, 0, slice_of("later", 5), net_on_put, &put, 0),
        ERR_OK);
    /* When the lookup has asked all it will ask, what calls are free are taken: the one whose
     * answer ends the lookup is not free yet when the stores are to go out. */
    const struct dht_put *running = pool_at(&node->dht.publish.pool, 0);
    const struct dht_lookup *lookup = pool_at(&node->dht.lookups.pool, 0);
    for (uint32_t i = 0; i < 5000 && !running->is_placed; i++) {
        uint32_t unasked = 0;
        for (uint32_t j = 0; j < lookup->list.count && j < DHT_K_MAX; j++) {
            unasked += lookup->list.entries[j].state == ENTRY_NEW;
        }
        if (unasked == 0) {
            net_take_calls(node, 0);
        }
        net_run_for(net, MILLISECOND);
    }
    cr_assert_eq(running->in_flight, 0);
    net_run_for(net, 20 * SECOND);
    cr_assert_eq(put.reports, 1);
    cr_assert_eq(put.result.status, ERR_OK);
    cr_assert_geq(net_holders(net, &put.result.key), 19);
    cr_assert(net_close(net));
}
