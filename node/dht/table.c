/* table.c - buckets: who enters, who leaves, who is nearest. */
#include "node/dht/table.h"

#include <string.h>

#include "node/base/must.h"
#include "node/base/prefetch.h"

enum {
    TIME_SHIFT = 20,
    NO_SLOT = DHT_K_MAX,
    DROP_LOST = 1, /* Reasons of TRACE_TABLE_DROP. */
    DROP_REPLACED = 2,
    DROP_MOVED = 3,
    DROP_BANNED = 4,
    TAG_COUNT_MAX = 15,
};

static uint16_t coarse_now(const struct dht_table *table);
static uint32_t bucket_of_prefix(const struct dht_table *table, uint64_t prefix);
static uint32_t find_peer(const struct dht_bucket *bucket, uint32_t peer);
static uint32_t find_id(const struct dht_table *table, const struct dht_bucket *bucket,
                        uint64_t prefix, const struct node_id *id);
static uint32_t find_failed(const struct dht_bucket *bucket);
static void clear_losses(struct dht_table *table, struct dht_bucket *bucket, uint32_t slot);
static bool may_have_tag(const struct dht_bucket *bucket, uint8_t tag);
static uint32_t tag_count(const struct dht_table *table, uint8_t tag);
static void tag_count_add(struct dht_table *table, uint8_t tag, int change);
static uint32_t count_group(const struct dht_table *table, uint32_t index, uint32_t except,
                            uint64_t group, uint8_t tag);
static bool is_group_full(const struct dht_table *table, uint32_t index, uint32_t except,
                          const struct port_addr *addr);
static enum dht_table_news admit(struct dht_table *table, uint32_t index, uint32_t peer);
static void put_at(struct dht_table *table, uint32_t index, uint32_t slot, uint32_t peer);
static void drop_at(struct dht_table *table, uint32_t index, uint32_t slot, int reason);
static void forget_at(struct dht_table *table, uint32_t index, uint32_t slot);
static bool promote_spare(struct dht_table *table, uint32_t index, uint32_t slot);
static void keep_spare(struct dht_table *table, struct dht_bucket *bucket, uint32_t peer);
static void remove_spares_of(struct dht_table *table, struct dht_bucket *bucket,
                             const struct node_id *id);
static void remove_spare(struct dht_table *table, struct dht_bucket *bucket, uint32_t place);
static const struct dht_bucket *next_bucket(const struct dht_table *table, uint32_t *nearer,
                                            uint32_t *farther);
static uint32_t take(const struct dht_table *table, const struct dht_bucket *bucket,
                     const struct node_id *target, uint32_t *peers, uint32_t room);
static uint32_t take_nearest(const struct dht_table *table, const struct dht_bucket *bucket,
                             const struct node_id *target, uint32_t *peers, uint32_t room);
static const char *check_bucket(const struct dht_table *table, uint32_t index);

void dht_table_init(struct dht_table *table, struct core *core, const struct node_id *self,
                    uint8_t k, uint8_t group_bucket_max, uint8_t group_table_max)
{
    must(k >= 1 && k <= DHT_K_MAX);

    *table = (struct dht_table){
        .core = core,
        .self = self,
        .self_prefix = node_id_prefix(self),
        .k = k,
        .group_bucket_max = group_bucket_max,
        .group_table_max = group_table_max,
    };
}

enum dht_table_news dht_table_verified(struct dht_table *table, uint32_t peer)
{
    const struct port *port = table->core->port;
    uint64_t prefix = contact_prefix(port, peer);
    uint32_t index = bucket_of_prefix(table, prefix);
    struct dht_bucket *bucket = table->buckets[index];
    table->losses_in_row = 0;
    if (bucket != NULL) {
        uint32_t slot = find_peer(bucket, peer);
        if (slot != NO_SLOT) {
            bucket->heard[slot] = coarse_now(table);
            clear_losses(table, bucket, slot);
            return DHT_TABLE_KNOWN;
        }
    }

    const struct contact *contact = contact_at(port, peer);
    if (prefix == table->self_prefix && node_id_equal(&contact->id, table->self)) {
        return DHT_TABLE_REFUSED;
    }
    uint32_t slot = bucket != NULL ? find_id(table, bucket, prefix, &contact->id) : NO_SLOT;
    if (slot == NO_SLOT) {
        return admit(table, index, peer);
    }
    if (is_group_full(table, index, slot, &contact->addr)) {
        count(&table->core->counters, COUNT_CONTACTS_REFUSED);
        return DHT_TABLE_REFUSED;
    }
    drop_at(table, index, slot, DROP_MOVED);
    put_at(table, index, slot, peer);
    return DHT_TABLE_MOVED;
}

void dht_table_lost(struct dht_table *table, uint32_t peer)
{
    uint32_t index = bucket_of_prefix(table, contact_prefix(table->core->port, peer));
    struct dht_bucket *bucket = table->buckets[index];
    uint32_t slot = bucket != NULL ? find_peer(bucket, peer) : NO_SLOT;
    if (slot == NO_SLOT) {
        return;
    }
    /* When everybody is silent the fault is at our end: keep the table for when it is mended. */
    if (table->losses_in_row >= DHT_OUTAGE_LOSSES) {
        return;
    }
    table->losses_in_row++;
    table->suspects = (uint16_t)(table->suspects + (bucket->losses[slot]++ == 0));
    if (promote_spare(table, index, slot) || bucket->losses[slot] < DHT_LOSSES_MAX) {
        return;
    }
    drop_at(table, index, slot, DROP_LOST);
    forget_at(table, index, slot);
}

void dht_table_forget(struct dht_table *table, const struct node_id *id)
{
    uint64_t prefix = node_id_prefix(id);
    uint32_t index = bucket_of_prefix(table, prefix);
    struct dht_bucket *bucket = table->buckets[index];
    if (bucket == NULL) {
        return;
    }
    remove_spares_of(table, bucket, id);
    uint32_t slot = find_id(table, bucket, prefix, id);
    if (slot != NO_SLOT && !promote_spare(table, index, slot)) {
        drop_at(table, index, slot, DROP_BANNED);
        forget_at(table, index, slot);
    }
}

bool dht_table_is_wanted(const struct dht_table *table, const struct node_id *id,
                         const struct port_addr *addr)
{
    uint64_t prefix = node_id_prefix(id);
    if (node_id_equal(id, table->self)) {
        return false;
    }
    uint32_t index = bucket_of_prefix(table, prefix);
    const struct dht_bucket *bucket = table->buckets[index];
    uint32_t slot = NO_SLOT;
    if (bucket != NULL) {
        slot = find_id(table, bucket, prefix, id);
        if (slot != NO_SLOT) {
            const struct contact *known = contact_at(table->core->port, bucket->peers[slot]);
            if (port_addr_equal(&known->addr, addr)) {
                return bucket->losses[slot] > 0;
            }
        } else if (bucket->count == table->k) {
            slot = find_failed(bucket);
            if (slot == NO_SLOT) {
                return false;
            }
        }
    }
    return !is_group_full(table, index, slot, addr);
}

uint32_t dht_table_bucket_of(const struct dht_table *table, const struct node_id *id)
{
    return bucket_of_prefix(table, node_id_prefix(id));
}

uint32_t dht_table_bucket_count(const struct dht_table *table, uint32_t bucket)
{
    must(bucket < DHT_BUCKETS);
    return table->buckets[bucket] != NULL ? table->buckets[bucket]->count : 0;
}

uint32_t dht_table_find(const struct dht_table *table, const struct node_id *id)
{
    uint64_t prefix = node_id_prefix(id);
    const struct dht_bucket *bucket = table->buckets[bucket_of_prefix(table, prefix)];
    uint32_t slot = bucket != NULL ? find_id(table, bucket, prefix, id) : NO_SLOT;
    return slot != NO_SLOT ? bucket->peers[slot] : PORT_INTERN_NONE;
}

void dht_table_row(const struct dht_table *table, uint32_t number, struct dht_table_row *row)
{
    must(number < table->count);

    uint32_t index = 0;
    while (number >= dht_table_bucket_count(table, index)) {
        number -= dht_table_bucket_count(table, index++);
    }
    const struct dht_bucket *bucket = table->buckets[index];
    *row = (struct dht_table_row){
        .peer = bucket->peers[number],
        .bucket = index,
        .losses = bucket->losses[number],
        .silent_us = (uint64_t)(uint16_t)(coarse_now(table) - bucket->heard[number]) << TIME_SHIFT};
}

uint32_t dht_table_nearest(const struct dht_table *table, const struct node_id *target,
                           uint32_t *peers, uint32_t max)
{
    /* A contact of bucket i agrees with us before bit i and differs at it. So where we differ from
     * the target at bit i, bucket i is nearer to it than we are, the nearer the smaller i; where we
     * agree, it is farther, the farther the smaller i. */
    uint32_t differs = (uint32_t)((table->self_prefix ^ node_id_prefix(target)) >> 32);
    uint32_t nearer = table->occupied & differs;
    uint32_t farther = table->occupied & ~differs;
    const struct dht_bucket *bucket = next_bucket(table, &nearer, &farther);
    uint32_t got = 0;
    while (bucket != NULL && got < max) {
        /* One bucket does for most; a second one comes while we copy the first. */
        const struct dht_bucket *next = next_bucket(table, &nearer, &farther);
        if (next != NULL) {
            prefetch(next, PREFETCH_LINE);
        }
        got += take(table, bucket, target, peers + got, max - got);
        bucket = next;
    }
    return got;
}

/* Takes the bucket that comes next out of the two sets. */
static const struct dht_bucket *next_bucket(const struct dht_table *table, uint32_t *nearer,
                                            uint32_t *farther)
{
    uint32_t index;
    if (*nearer != 0) {
        index = (uint32_t)__builtin_clz(*nearer);
        *nearer ^= UINT32_C(0x80000000) >> index;
    } else if (*farther != 0) {
        index = 31u - (uint32_t)__builtin_ctz(*farther);
        *farther &= *farther - 1;
    } else {
        return NULL;
    }
    return table->buckets[index];
}

uint32_t dht_table_all(const struct dht_table *table, uint32_t *peers, uint32_t max)
{
    uint32_t got = 0;
    for (uint32_t i = 0; i < DHT_BUCKETS; i++) {
        const struct dht_bucket *bucket = table->buckets[i];
        for (uint32_t j = 0; bucket != NULL && j < bucket->count && got < max; j++) {
            peers[got++] = bucket->peers[j];
        }
    }
    return got;
}

uint32_t dht_table_silent(struct dht_table *table, uint32_t bucket, uint64_t silent_us)
{
    must(bucket < DHT_BUCKETS);
    const struct dht_bucket *looked = table->buckets[bucket];
    uint32_t allowed = (uint32_t)(silent_us >> TIME_SHIFT);
    uint16_t now = coarse_now(table);
    if (looked == NULL || (uint16_t)(now - table->heard_since[bucket]) <= allowed) {
        return PORT_INTERN_NONE;
    }
    uint16_t longest = 0;
    uint32_t peer = PORT_INTERN_NONE;
    for (uint32_t i = 0; i < looked->count; i++) {
        uint16_t age = (uint16_t)(now - looked->heard[i]);
        if (peer == PORT_INTERN_NONE || age > longest) {
            longest = age;
            peer = looked->peers[i];
        }
    }
    table->heard_since[bucket] = (uint16_t)(now - longest);
    return longest > allowed ? peer : PORT_INTERN_NONE;
}

uint32_t dht_table_suspect(const struct dht_table *table)
{
    if (table->suspects == 0) {
        return PORT_INTERN_NONE;
    }
    uint32_t suspects[DHT_CONTACTS_MAX];
    uint32_t found = 0;
    for (uint32_t i = 0; i < DHT_BUCKETS; i++) {
        const struct dht_bucket *bucket = table->buckets[i];
        for (uint32_t j = 0; bucket != NULL && j < bucket->count; j++) {
            if (bucket->losses[j] > 0) {
                suspects[found++] = bucket->peers[j];
            }
        }
    }
    must(found == table->suspects);
    return suspects[rng_below(&table->core->rng, found)];
}

uint32_t dht_table_depth(const struct dht_table *table)
{
    uint32_t neighbours = 0;
    for (uint32_t left = table->occupied; left != 0; left &= left - 1) {
        uint32_t index = 31u - (uint32_t)__builtin_ctz(left);
        neighbours += table->buckets[index]->count;
        if (neighbours >= table->k) {
            return index;
        }
    }
    return 0;
}

void dht_table_release(struct dht_table *table)
{
    struct port *port = table->core->port;
    for (uint32_t i = 0; i < DHT_BUCKETS; i++) {
        struct dht_bucket *bucket = table->buckets[i];
        for (uint32_t j = 0; bucket != NULL && j < bucket->count; j++) {
            port->ops->intern_release(port, bucket->peers[j]);
        }
        for (uint32_t j = 0; bucket != NULL && j < bucket->spare_count; j++) {
            port->ops->intern_release(port, bucket->spares[j]);
        }
        if (bucket != NULL) {
            bucket->count = 0;
            bucket->spare_count = 0;
        }
    }
    table->occupied = 0;
    table->count = 0;
    table->suspects = 0;
    memset(table->tag_counts, 0, sizeof table->tag_counts);
}

const char *dht_table_check(const struct dht_table *table)
{
    uint32_t contacts = 0;
    uint32_t suspects = 0;
    uint32_t tagged[DHT_TAGS] = {0};
    for (uint32_t i = 0; i < DHT_BUCKETS; i++) {
        uint32_t held = dht_table_bucket_count(table, i);
        contacts += held;
        if ((held > 0) != ((table->occupied & (UINT32_C(0x80000000) >> i)) != 0)) {
            return "dht table: the set of occupied buckets is wrong";
        }
        const char *wrong = held > 0 ? check_bucket(table, i) : NULL;
        if (wrong != NULL) {
            return wrong;
        }
        for (uint32_t j = 0; j < held; j++) {
            suspects += table->buckets[i]->losses[j] > 0;
            tagged[table->buckets[i]->group_tags[j]]++;
        }
    }
    for (uint32_t tag = 0; tag < DHT_TAGS; tag++) {
        uint32_t counted = tag_count(table, (uint8_t)tag);
        if (counted < tagged[tag] || (counted > tagged[tag] && counted < TAG_COUNT_MAX)) {
            return "dht table: a count of group tags is wrong";
        }
    }
    if (suspects != table->suspects) {
        return "dht table: the count of suspects is wrong";
    }
    return contacts == table->count ? NULL : "dht table: the count of contacts is wrong";
}

int dht_closer(const struct port *port, uint32_t a, uint32_t b, const struct node_id *target)
{
    uint64_t target_prefix = node_id_prefix(target);
    uint64_t distance_a = contact_prefix(port, a) ^ target_prefix;
    uint64_t distance_b = contact_prefix(port, b) ^ target_prefix;
    if (distance_a != distance_b) {
        return distance_a < distance_b ? -1 : 1;
    }
    return node_id_closer(&contact_at(port, a)->id, &contact_at(port, b)->id, target);
}

uint8_t dht_group_tag(const struct port_addr *addr)
{
    /* A function of the group alone, of the bytes that contact_addr_group takes: one
     * multiplication, because every contact that a lookup hears of pays for it. */
    uint64_t high;
    uint32_t middle;
    memcpy(&high, addr->ip, sizeof high);
    memcpy(&middle, addr->ip + 8, sizeof middle);
    bool is_v4 = high == 0 && memcmp(&middle, "\0\0\xff\xff", sizeof middle) == 0;
    uint64_t group = 0;
    memcpy(&group, is_v4 ? addr->ip + 12 : addr->ip, is_v4 ? 3 : 6);
    return (uint8_t)((group * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static uint16_t coarse_now(const struct dht_table *table)
{
    return (uint16_t)(core_now(table->core) >> TIME_SHIFT);
}

static uint32_t bucket_of_prefix(const struct dht_table *table, uint64_t prefix)
{
    uint32_t differs = (uint32_t)((table->self_prefix ^ prefix) >> 32);
    return differs != 0 ? (uint32_t)__builtin_clz(differs) : DHT_BUCKETS - 1;
}

static uint32_t find_peer(const struct dht_bucket *bucket, uint32_t peer)
{
    for (uint32_t i = 0; i < bucket->count; i++) {
        if (bucket->peers[i] == peer) {
            return i;
        }
    }
    return NO_SLOT;
}

static uint32_t find_id(const struct dht_table *table, const struct dht_bucket *bucket,
                        uint64_t prefix, const struct node_id *id)
{
    const struct port *port = table->core->port;
    for (uint32_t i = 0; i < bucket->count; i++) {
        if (contact_prefix(port, bucket->peers[i]) == prefix &&
            node_id_equal(&contact_at(port, bucket->peers[i])->id, id)) {
            return i;
        }
    }
    return NO_SLOT;
}

/* The contact that has failed most, of equal ones the one silent for longest. */
static uint32_t find_failed(const struct dht_bucket *bucket)
{
    uint32_t worst = NO_SLOT;
    for (uint32_t i = 0; i < bucket->count; i++) {
        if (bucket->losses[i] == 0) {
            continue;
        }
        if (worst == NO_SLOT || bucket->losses[i] > bucket->losses[worst] ||
            (bucket->losses[i] == bucket->losses[worst] &&
             (int16_t)(bucket->heard[i] - bucket->heard[worst]) < 0)) {
            worst = i;
        }
    }
    return worst;
}

static void clear_losses(struct dht_table *table, struct dht_bucket *bucket, uint32_t slot)
{
    table->suspects = (uint16_t)(table->suspects - (bucket->losses[slot] > 0));
    bucket->losses[slot] = 0;
}

/* False when none of the bucket's tags is `tag`. A byte that is zero in a word's difference from
 * eight copies of it is the first to borrow when one is taken from each byte. */
static bool may_have_tag(const struct dht_bucket *bucket, uint8_t tag)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t borrows = 0;
    for (uint32_t i = 0; i < DHT_TAG_WORDS; i++) {
        uint64_t word;
        memcpy(&word, bucket->group_tags + i * sizeof word, sizeof word);
        word ^= ones * tag;
        borrows |= (word - ones) & ~word & (ones << 7);
    }
    return borrows != 0;
}

static uint32_t tag_count(const struct dht_table *table, uint8_t tag)
{
    return table->tag_counts[tag / 2] >> 4 * (tag % 2) & TAG_COUNT_MAX;
}

static void tag_count_add(struct dht_table *table, uint8_t tag, int change)
{
    if (tag_count(table, tag) < TAG_COUNT_MAX) {
        uint8_t *counts = &table->tag_counts[tag / 2];
        *counts = (uint8_t)(*counts + change * (1 << 4 * (tag % 2)));
    }
}

/* Contacts of the address group in a bucket, but for the one in slot `except`. */
static uint32_t count_group(const struct dht_table *table, uint32_t index, uint32_t except,
                            uint64_t group, uint8_t tag)
{
    const struct dht_bucket *bucket = table->buckets[index];
    uint32_t found = 0;
    uint32_t end = bucket != NULL && may_have_tag(bucket, tag) ? bucket->count : 0;
    for (uint32_t i = 0; i < end; i++) {
        if (bucket->group_tags[i] == tag && i != except) {
            const struct contact *contact = contact_at(table->core->port, bucket->peers[i]);
            found += contact_addr_group(&contact->addr) == group;
        }
    }
    return found;
}

/* Whether one more contact at `addr` would break a group limit, slot `except` of the bucket left
 * out of the count. */
static bool is_group_full(const struct dht_table *table, uint32_t index, uint32_t except,
                          const struct port_addr *addr)
{
    const struct dht_bucket *bucket = table->buckets[index];
    uint8_t tag = dht_group_tag(addr);
    uint32_t alike = tag_count(table, tag);
    bool is_saturated = alike == TAG_COUNT_MAX;
    if (bucket != NULL && except < bucket->count && bucket->group_tags[except] == tag) {
        alike--;
    }
    if (!is_saturated && alike < table->group_bucket_max && alike < table->group_table_max) {
        return false;
    }
    uint64_t group = contact_addr_group(addr);
    uint32_t found = count_group(table, index, except, group, tag);
    if (found >= table->group_bucket_max) {
        return true;
    }
    if (!is_saturated && alike < table->group_table_max) {
        return false;
    }
    for (uint32_t left = table->occupied; left != 0; left &= left - 1) {
        uint32_t i = 31u - (uint32_t)__builtin_ctz(left);
        found += i != index ? count_group(table, i, NO_SLOT, group, tag) : 0;
    }
    return found >= table->group_table_max;
}

static enum dht_table_news admit(struct dht_table *table, uint32_t index, uint32_t peer)
{
    struct counters *counters = &table->core->counters;
    if (table->buckets[index] == NULL) {
        table->buckets[index] =
            arena_alloc(&table->core->arena, ARENA_TABLE, sizeof(struct dht_bucket));
        table->heard_since[index] = coarse_now(table);
    }
    struct dht_bucket *bucket = table->buckets[index];
    const struct port_addr *addr = &contact_at(table->core->port, peer)->addr;
    if (bucket == NULL) {
        count(counters, COUNT_CONTACTS_REFUSED);
        return DHT_TABLE_REFUSED;
    }
    uint32_t slot = bucket->count < table->k ? bucket->count : find_failed(bucket);
    if (slot == NO_SLOT) {
        /* Most end here, so the limits of groups wait until a spare is promoted. */
        keep_spare(table, bucket, peer);
        return DHT_TABLE_SPARE;
    }
    if (is_group_full(table, index, slot, addr)) {
        count(counters, COUNT_CONTACTS_REFUSED);
        return DHT_TABLE_REFUSED;
    }
    if (slot < bucket->count) {
        drop_at(table, index, slot, DROP_REPLACED);
    } else {
        bucket->count++;
        table->count++;
        table->occupied |= UINT32_C(0x80000000) >> index;
    }
    put_at(table, index, slot, peer);
    return DHT_TABLE_ADDED;
}

/* Writes a contact, with a new reference, into a slot that holds none. */
static void put_at(struct dht_table *table, uint32_t index, uint32_t slot, uint32_t peer)
{
    struct port *port = table->core->port;
    struct dht_bucket *bucket = table->buckets[index];
    const struct contact *contact = contact_at(port, peer);
    must(slot < bucket->count);

    port->ops->intern_retain(port, peer);
    bucket->peers[slot] = peer;
    bucket->heard[slot] = coarse_now(table);
    bucket->group_tags[slot] = dht_group_tag(&contact->addr);
    tag_count_add(table, bucket->group_tags[slot], 1);
    remove_spares_of(table, bucket, &contact->id);
    count(&table->core->counters, COUNT_CONTACTS_ADDED);
    core_trace(table->core, TRACE_TABLE_ADD, 0, peer, index, table->count);
}

/* Gives up the contact of a slot; the slot is then to be written or forgotten. */
static void drop_at(struct dht_table *table, uint32_t index, uint32_t slot, int reason)
{
    struct port *port = table->core->port;
    struct dht_bucket *bucket = table->buckets[index];
    uint32_t peer = bucket->peers[slot];
    clear_losses(table, bucket, slot);
    tag_count_add(table, bucket->group_tags[slot], -1);
    count(&table->core->counters, COUNT_CONTACTS_DROPPED);
    core_trace(table->core, TRACE_TABLE_DROP, 0, peer, index, reason);
    port->ops->intern_release(port, peer);
}

static void forget_at(struct dht_table *table, uint32_t index, uint32_t slot)
{
    struct dht_bucket *bucket = table->buckets[index];
    uint32_t last = --bucket->count;
    bucket->peers[slot] = bucket->peers[last];
    bucket->heard[slot] = bucket->heard[last];
    bucket->losses[slot] = bucket->losses[last];
    bucket->losses[last] = 0; /* A slot without a contact has no losses. */
    bucket->group_tags[slot] = bucket->group_tags[last];
    table->count--;
    if (bucket->count == 0) {
        table->occupied &= ~(UINT32_C(0x80000000) >> index);
    }
}

/* Puts the newest spare that the group limits allow in the place of a contact that failed. */
static bool promote_spare(struct dht_table *table, uint32_t index, uint32_t slot)
{
    struct port *port = table->core->port;
    struct dht_bucket *bucket = table->buckets[index];
    while (bucket->spare_count > 0) {
        uint32_t spare = bucket->spares[0];
        if (!is_group_full(table, index, slot, &contact_at(port, spare)->addr)) {
            drop_at(table, index, slot, DROP_REPLACED);
            put_at(table, index, slot, spare);
            return true;
        }
        remove_spare(table, bucket, 0);
    }
    return false;
}

static void keep_spare(struct dht_table *table, struct dht_bucket *bucket, uint32_t peer)
{
    struct port *port = table->core->port;
    port->ops->intern_retain(port, peer);
    remove_spares_of(table, bucket, &contact_at(port, peer)->id);
    if (bucket->spare_count == DHT_SPARES) {
        remove_spare(table, bucket, DHT_SPARES - 1);
    }
    memmove(bucket->spares + 1, bucket->spares, bucket->spare_count * sizeof bucket->spares[0]);
    bucket->spares[0] = peer;
    bucket->spare_count++;
}

/* An id is at one address at most, and never both a contact and a spare. */
static void remove_spares_of(struct dht_table *table, struct dht_bucket *bucket,
                             const struct node_id *id)
{
    for (uint32_t i = bucket->spare_count; i-- > 0;) {
        if (node_id_equal(&contact_at(table->core->port, bucket->spares[i])->id, id)) {
            remove_spare(table, bucket, i);
        }
    }
}

static void remove_spare(struct dht_table *table, struct dht_bucket *bucket, uint32_t place)
{
    table->core->port->ops->intern_release(table->core->port, bucket->spares[place]);
    bucket->spare_count--;
    memmove(bucket->spares + place, bucket->spares + place + 1,
            (bucket->spare_count - place) * sizeof bucket->spares[0]);
}

static uint32_t take(const struct dht_table *table, const struct dht_bucket *bucket,
                     const struct node_id *target, uint32_t *peers, uint32_t room)
{
    if (bucket->count > room) {
        return take_nearest(table, bucket, target, peers, room);
    }
    memcpy(peers, bucket->peers, bucket->count * sizeof *peers);
    return bucket->count;
}

/* The `room` nearest of a bucket with more, by counting for each how many are nearer: no branch to
 * mispredict, and nothing is moved. */
static uint32_t take_nearest(const struct dht_table *table, const struct dht_bucket *bucket,
                             const struct node_id *target, uint32_t *peers, uint32_t room)
{
    const struct port *port = table->core->port;
    uint64_t target_prefix = node_id_prefix(target);
    uint64_t distances[DHT_K_MAX];
    for (uint32_t i = 0; i < bucket->count; i++) {
        distances[i] = contact_prefix(port, bucket->peers[i]) ^ target_prefix;
    }
    uint32_t got = 0;
    for (uint32_t i = 0; i < bucket->count; i++) {
        uint32_t nearer = 0;
        uint32_t equal = 0;
        for (uint32_t j = 0; j < bucket->count; j++) {
            nearer += distances[j] < distances[i];
            equal += distances[j] == distances[i];
        }
        for (uint32_t j = 0; equal > 1 && j < bucket->count; j++) {
            nearer += distances[j] == distances[i] &&
                      dht_closer(port, bucket->peers[j], bucket->peers[i], target) < 0;
        }
        if (nearer < room) {
            peers[got++] = bucket->peers[i];
        }
    }
    must(got == room);
    return got;
}

static const char *check_bucket(const struct dht_table *table, uint32_t index)
{
    const struct port *port = table->core->port;
    const struct dht_bucket *bucket = table->buckets[index];
    if (bucket->count > table->k || bucket->spare_count > DHT_SPARES) {
        return "dht table: a bucket holds too many";
    }
    for (uint32_t i = 0; i < bucket->count; i++) {
        prefetch(contact_at(port, bucket->peers[i]), sizeof(struct contact));
    }
    for (uint32_t i = 0; i < bucket->count; i++) {
        const struct contact *contact = contact_at(port, bucket->peers[i]);
        if (dht_table_bucket_of(table, &contact->id) != index) {
            return "dht table: a contact is in the wrong bucket";
        }
        if (node_id_equal(&contact->id, table->self)) {
            return "dht table: it holds ourselves";
        }
        if (find_id(table, bucket, contact_prefix(port, bucket->peers[i]), &contact->id) != i) {
            return "dht table: two contacts have the same id";
        }
        if (bucket->group_tags[i] != dht_group_tag(&contact->addr)) {
            return "dht table: a group tag is wrong";
        }
        /* The contact itself left out, its group must have room for it. */
        if (is_group_full(table, index, i, &contact->addr)) {
            return "dht table: an address group exceeds its limit";
        }
        uint16_t now = coarse_now(table);
        if ((uint16_t)(now - bucket->heard[i]) > (uint16_t)(now - table->heard_since[index])) {
            return "dht table: a contact was silent for longer than its bucket says";
        }
        if (bucket->losses[i] >= DHT_LOSSES_MAX) {
            return "dht table: a lost contact was kept";
        }
    }
    return NULL;
}
