/* store.h - records held for others: an index in memory, the records on disk.
 *
 *      offer(record, age) -> rules -> staged put -> (caller commits) -> durable
 *      find(key) -> index; read(index entry) -> disk -> record and its age now
 *
 * Rules (wire/record.h): the highest sequence wins, of equal ones the lower body hash; expired ones
 * are not there; nothing is written before its signature was checked. Age is what the sender stated
 * plus the time since by the wall clock. A cache copy lives STORE_CACHE_S at most and is never
 * republished. When full, the farthest cache copy makes room, else the farthest key if the new one
 * is nearer.
 *
 * What it does not do: send, commit, decide where records belong.
 */
#ifndef NODE_DHT_STORE_H
#define NODE_DHT_STORE_H

#include "node/base/core.h"
#include "node/wire/message.h"

enum {
    /* The paper shortens a cache copy's life with its distance from the key; a fixed short one
     * bounds what a stale copy can do, without trusting an estimate of the network's size. */
    STORE_CACHE_S = 600,
    /* When it was received, then the STORE message it came in. */
    STORE_VALUE_MAX = 8 + MESSAGE_MAX,
};

/* A record with its own bytes. */
struct dht_record_copy {
    struct record record;
    uint8_t value[RECORD_VALUE_MAX];
};

void dht_record_copy(struct dht_record_copy *copy, const struct record *record);

struct dht_held {
    struct node_id key;
    uint32_t expires_s; /* Wall clock, Unix time: 32 bits last until 2106. */
    uint64_t sequence;
    uint32_t republish_s; /* Monotonic: when it is due for republishing. */
    bool is_cached;
    bool is_outside; /* k others are nearer to the key and hold it: ours is left to expire. */
};

struct dht_store {
    struct core *core;
    const struct node_id *self;
    struct dht_held *held; /* By key. */
    uint32_t count;
    uint32_t cap;
    uint32_t max;
};

/* A record read from disk. */
struct dht_stored {
    struct record record; /* Its value points into bytes. */
    uint32_t age_s;
    bool is_cached;
    uint8_t bytes[STORE_VALUE_MAX];
};

enum dht_store_verdict {
    STORE_WRITTEN, /* Staged: commit it. */
    STORE_SAME,    /* Held already. */
    STORE_STALE,   /* A better one is held. */
    STORE_FULL,    /* No room, or the disk refused. */
    STORE_INVALID,
    STORE_FORGED, /* The same, and no honest node would have offered it. */
};

void dht_store_init(struct dht_store *store, struct core *core, const struct node_id *self,
                    uint32_t records_max);
/* Reads the index from disk. ERR_FULL, ERR_IO. */
int dht_store_load(struct dht_store *store);

/* *held is the entry of the record's key, whatever the verdict; NULL when there is none. */
enum dht_store_verdict dht_store_offer(struct dht_store *store, const struct record *record,
                                       uint32_t age_s, bool is_cached, struct dht_held **held);

/* The entry of a key, or NULL when it is not held or has expired. Valid until the next offer. */
struct dht_held *dht_store_find(const struct dht_store *store, const struct node_id *key);
/* False when the disk does not give it back whole. */
bool dht_store_read(const struct dht_store *store, const struct dht_held *held,
                    struct dht_stored *out);

/* Takes it from index and disk; the caller commits. */
void dht_store_drop(struct dht_store *store, const struct node_id *key);
/* Drops what has expired. Returns how many. */
uint32_t dht_store_sweep(struct dht_store *store);

const char *dht_store_check(const struct dht_store *store);

#endif /* NODE_DHT_STORE_H */
