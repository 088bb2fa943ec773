/* publish.h - putting records where they are looked for.
 *
 *      dht_publish(mutable, tombstone) -> value lookup (what sequence is next?) -> sign -> place
 *      dht_publish(immutable), dht_put -> place
 *      place: node lookup -> STORE to the k closest, and to ourselves if we are among them -> done
 *
 * A put is done at store_ack_min durable holders; the other stores go on silently.
 */
#ifndef NODE_DHT_PUBLISH_H
#define NODE_DHT_PUBLISH_H

#include "node/dht/lookup.h"

struct put_result {
    /* ERR_OK from store_ack_min durable holders on (in a mesh of fewer: once all of them hold it),
     * else ERR_STALE when one of them had a newer record, else ERR_UNREACHABLE, ERR_FULL,
     * ERR_STOPPED. */
    int status;
    struct node_id key;
    uint32_t took_us;
    uint8_t holders; /* Durable ones. */
};
typedef void (*put_fn)(void *owner, uint32_t tag, const struct put_result *result);

struct dht_put {
    put_fn done;
    void *owner;
    uint64_t started_us;
    uint32_t tag;
    uint16_t serial; /* 0 when the slot is free. */
    uint16_t index;
    struct node_id key;
    struct dht_record_copy copy;
    uint32_t targets[DHT_K_MAX]; /* A reference to each. */
    uint8_t target_count;
    uint8_t target_next; /* The first that was not sent to. */
    uint8_t in_flight;   /* Stores to others, and our own until it is durable. */
    uint8_t holders;
    bool is_stale;    /* A holder has a newer record. */
    bool is_reported; /* done was called. */
    bool is_placed;   /* The k closest are known. */
};

struct dht_publish {
    struct pool pool;
    struct timer retry; /* Sends what found no call free. */
    uint16_t serial_last;
};

int dht_publish_init(struct dht *dht);
void dht_publish_stop(struct dht *dht); /* All end with ERR_STOPPED. */

/* Our own storage has (ERR_OK) or has not made the record of a put durable. */
void dht_publish_on_own(struct dht *dht, uint32_t put_tag, int status);

/* One STORE whose outcome nobody waits for: read-repair, path cache, republish, hand-over. */
void dht_publish_send(struct dht *dht, uint32_t peer, const struct record *record, uint32_t age_s,
                      bool is_cache);

#endif /* NODE_DHT_PUBLISH_H */
