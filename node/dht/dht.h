/* dht.h - Kademlia: who is near an id, and what is stored there.
 *
 * Maymounkov & Mazieres, "Kademlia: A Peer-to-peer Information System Based on the XOR Metric",
 * 2002: k = 20, alpha = 3, old contacts stay. Differences, and why: buckets are allocated on use; a
 * contact enters only after an authenticated round trip with its own address (no table poisoning by
 * hearsay); at most a few contacts per address group in a bucket, in the table and in a lookup's
 * results; values are signed records with sequence numbers (wire/record.h).
 *
 *      dht_lookup -> transport calls -> answers -> shortlist -> done      lookup.h, shortlist.h
 *      hooks of transport (verified, lost) -> table                       table.h
 *      dht_on_find_node, dht_on_find_value, dht_on_store -> replies       holder.h, store.h
 *      dht_put, dht_publish -> lookup -> STORE to the k closest           publish.h
 *      timers -> join, refresh, checks                                    upkeep.h
 *      a client's lookups <-> the server that makes them                  delegate.h
 *
 * What it does not do: sessions, retransmission, deciding what a value means.
 */
#ifndef NODE_DHT_DHT_H
#define NODE_DHT_DHT_H

#include "node/dht/delegate.h"
#include "node/dht/holder.h"
#include "node/dht/known.h"
#include "node/dht/lookup.h"
#include "node/dht/publish.h"
#include "node/dht/store.h"
#include "node/dht/table.h"
#include "node/dht/upkeep.h"

struct dht_config {
    uint8_t k;                /* Bucket size and replication, 1..20. */
    uint8_t alpha;            /* Parallel requests of a lookup, 1..8. */
    uint8_t group_bucket_max; /* Contacts of one address group in a bucket (go-libp2p: 2). */
    uint8_t group_table_max;  /* And in the whole table (go-libp2p: 3). */
    uint8_t group_result_max; /* And among a lookup's k results. */
    uint8_t store_ack_min;    /* A put is acknowledged at this many durable holders: 3. */
    uint8_t read_agree_min;   /* A mutable read needs this many agreeing holders: 3. */
    uint8_t lookups_max;      /* Concurrent lookups of one node; and puts. */
    bool path_cache;     /* Store found immutable values at the nearest node that lacked them. */
    uint64_t refresh_us; /* Per bucket, spread out; the paper: 1 hour. */
    /* With nobody to call: for whom we are to be connected to, before we are the first. */
    uint64_t join_wait_us;
    uint64_t join_spread_us; /* The refreshes of a join beyond the first three, spread over this. */
    uint64_t republish_us;   /* Holders' republish; the paper: 1 hour. */
    uint64_t check_us;    /* A contact silent for longer is pinged when its bucket is looked at. */
    uint16_t known_max;   /* Peers remembered over restarts; at most DHT_KNOWN_MAX. */
    uint32_t records_max; /* Held for others; when full the farthest key makes room. */
    uint32_t expiry_s;    /* Of what this node publishes. */
};

struct dht {
    struct core *core;
    const struct dht_config *config;
    const struct identity *identity;
    struct transport *transport;
    bool is_client; /* We serve nobody: we hold nothing for others, and are nobody's contact. */
    bool is_stopping;
    struct dht_table table;
    struct dht_known known;
    struct dht_lookups lookups;
    struct dht_delegate delegate;
    struct dht_store store;
    struct dht_holder holder;
    struct dht_publish publish;
    struct dht_upkeep upkeep;
};

/* ERR_FULL without memory, ERR_IO when the storage cannot be read. */
int dht_init(struct dht *dht, struct core *core, const struct dht_config *config,
             const struct identity *identity, struct transport *transport);

/* Joins through contacts remembered from the last run and bootstrap addresses: self lookup, then
 * three refreshes at once, the rest spread over join_spread_us. With nobody to join through the
 * node is the first of its network: ERR_OK. */
void dht_start(struct dht *dht, const struct dht_start_options *options);
/* Remembers whom it knew on disk; ends lookups and puts with ERR_STOPPED. */
void dht_stop(struct dht *dht);

/* Whether strangers can reach us, and so whether we serve. Who begins to serve looks for its
 * neighbours, which makes it known to them. */
void dht_serve(struct dht *dht, bool is_server);

/* Whom to ask for lookups while we are a client: delegate.h. */
void dht_delegate_to(struct dht *dht, uint32_t (*choose)(void *arg), void *arg);

/* A peer has been met on purpose: looks for our neighbours through it, unless a join that has found
 * somebody is under way. */
void dht_join(struct dht *dht);

/* ERR_FULL when lookups_max run already, ERR_STOPPED. done is never called before return. */
int dht_lookup(struct dht *dht, const struct node_id *target, enum lookup_kind kind, lookup_fn done,
               void *owner, uint32_t tag);

/* Puts a record that is signed already, ours or somebody else's. ERR_OK and later done, or an error
 * and no done: ERR_FULL, ERR_STOPPED, ERR_INVALID for a record that no holder would take. */
int dht_put(struct dht *dht, const struct record *record, put_fn done, void *owner, uint32_t tag);
/* Makes the record and puts it. Mutable ones and tombstones (deletes) are signed with our identity
 * and live under (own key, salt) with the sequence after the highest that a lookup finds; immutable
 * ones take no salt and tombstones no value. ERR_TOO_LARGE above RECORD_VALUE_MAX. */
int dht_publish(struct dht *dht, enum record_kind kind, uint32_t salt, struct slice value,
                put_fn done, void *owner, uint32_t tag);

/* Puts our presence (wire/voucher.h) under our own id, for expiry_s seconds. */
int dht_publish_presence(struct dht *dht, struct slice value, uint32_t expiry_s, put_fn done,
                         void *owner, uint32_t tag);

void dht_on_find_node(struct dht *dht, const struct message_from *from,
                      const struct message_find_node *request);
void dht_on_find_value(struct dht *dht, const struct message_from *from,
                       const struct message_find_value *request);
void dht_on_store(struct dht *dht, const struct message_from *from,
                  const struct message_store *request);
void dht_on_durable(struct dht *dht, uint64_t ticket, int status);

/* Of a peer that serves, at an address of its own. */
void dht_on_verified(struct dht *dht, uint32_t peer, uint32_t rtt_us);
void dht_on_lost(struct dht *dht, uint32_t peer);
/* The peer is to be neither in the table nor remembered, until it is verified again. */
void dht_forget(struct dht *dht, const struct node_id *id);
bool dht_is_wanted(const struct dht *dht, const struct node_id *id, const struct port_addr *addr);
/* Whether contacts are worth looking for: a client with enough to begin a lookup from is content.
 */
bool dht_is_seeking(const struct dht *dht);

/* Up to `max` distinct contacts of the table chosen at random. Returns how many. */
uint32_t dht_sample(struct dht *dht, uint32_t *handles, uint32_t max);
/* Up to `max` nearest of the own table, closest first. */
uint32_t dht_nearest(const struct dht *dht, const struct node_id *target, uint32_t *handles,
                     uint32_t max);
uint32_t dht_contact_count(const struct dht *dht);
/* The contact of the table with this id, or PORT_INTERN_NONE. Not retained. */
uint32_t dht_find(const struct dht *dht, const struct node_id *id);
uint32_t dht_contacts(const struct dht *dht, uint32_t *handles,
                      uint32_t max); /* All, table order. */
bool dht_holds(const struct dht *dht, const struct node_id *key);
uint32_t dht_record_count(const struct dht *dht);
uint32_t dht_lookup_count(const struct dht *dht); /* Running now. */

/* Simulation start without joins: enters a contact as if verified long ago. */
void dht_seed_contact(struct dht *dht, uint32_t peer);

/* NULL when every table is well-formed (right bucket, no duplicates, limits kept), else what is
 * not. */
const char *dht_check(const struct dht *dht);

#endif /* NODE_DHT_DHT_H */
