/* holder.h - the duties of a node that holds records: acknowledge, serve, republish, hand over.
 *
 *      STORE -> store -> commit -> durable -> STORED            (a reply is a promise kept on disk)
 *      sweep timer -> expired ones dropped; one that is due -> node lookup -> STORE to the k
 * closest a newly verified contact near a held key -> STORE to it
 *
 * Kademlia paper 2.5: republishing every hour, skipped when another holder's STORE came meanwhile;
 * a newcomer gets the records it is among the k closest to, from the holders nearest to the key
 * only.
 */
#ifndef NODE_DHT_HOLDER_H
#define NODE_DHT_HOLDER_H

#include "node/dht/store.h"
#include "node/transport/transport.h"

struct dht;

enum {
    HOLDER_PENDING_MAX = 32,  /* Stores that wait for the disk; more are refused. */
    HOLDER_NEWCOMERS_MAX = 8, /* More in a rush are left to republishing. */
    HOLDER_HANDOVER_RANK = 3, /* Only so many of the nearest holders hand a record over. */
    HOLDER_HANDOVERS_PER_TICK = 2,
};

/* A store that is staged but not durable. */
struct dht_pending {
    uint64_t ticket;
    struct message_from from; /* Unless is_own. Holds a reference to from.peer. */
    struct node_id key;
    uint64_t sequence;
    uint32_t put_tag; /* is_own: whose record it is. */
    uint16_t next;
    bool is_own;
    bool is_new; /* The commit writes it; else it only waits for an earlier one. */
};

struct dht_holder {
    struct pool pending; /* A queue by ticket. */
    uint16_t pending_first;
    uint16_t pending_last;
    uint8_t newcomer_count;
    bool is_republishing;
    uint32_t newcomers[HOLDER_NEWCOMERS_MAX]; /* The first is being served. A reference to each. */
    uint32_t handover_next;                   /* Index of the record to look at. */
    struct timer sweep;
    struct timer handover;
};

int dht_holder_init(struct dht *dht);
void dht_holder_start(struct dht *dht);
void dht_holder_stop(struct dht *dht);

/* A contact has entered the table. */
void dht_holder_meet(struct dht *dht, uint32_t peer);

/* Stores a record of our own put here too; dht_publish_on_own hears when it is durable. ERR_FULL,
 * ERR_STALE: it never will be. */
int dht_holder_keep(struct dht *dht, const struct record *record, uint32_t put_tag);

#endif /* NODE_DHT_HOLDER_H */
