/* known.h - who has ever been verified, and when it was last seen: over restarts, for the next
 * join.
 *
 *      verified peers, table -> known -> pages on disk -> the next run's join
 *
 * Bounded: when full, who was unseen for longest makes room. Peers of the table always find a
 * place; those that the table had none for only beside or instead of somebody unseen for an hour,
 * because who stays in a table has proved to stay. Times of the table's peers are the table's
 * business, and taken over whenever known is saved: after a join, whenever the table has doubled
 * since, once a round of refreshes and at a stop. So a run writes a few pages in ten minutes.
 *
 * A page on disk: hash(16) count(1), seen(4) for each, and the peers as a NODES message. A page
 * that is not as it was written is ignored and counted.
 */
#ifndef NODE_DHT_KNOWN_H
#define NODE_DHT_KNOWN_H

#include "node/dht/table.h"

enum {
    DHT_KNOWN_PAGE_PEERS = MESSAGE_CONTACTS_MAX,
    DHT_KNOWN_PAGES_MAX = 64,
    DHT_KNOWN_MAX =
        DHT_KNOWN_PAGES_MAX * DHT_KNOWN_PAGE_PEERS, /* Upper bound of dht_config.known_max. */
};

struct dht_known_peer {
    uint32_t peer;   /* Contact handle, one reference. */
    uint32_t tag;    /* Of its id: most comparisons end here. */
    uint32_t seen_s; /* Unix time. */
};

struct dht_known {
    struct core *core;
    const struct node_id *self;
    struct dht_known_peer *peers; /* Allocated on first use. */
    uint64_t dirty;               /* Bit per page that differs from the one on disk. */
    uint32_t oldest_s;            /* Nobody was seen for the last time before this. */
    uint16_t max;
    uint16_t count;
};

void dht_known_init(struct dht_known *known, struct core *core, const struct node_id *self,
                    uint16_t max);
/* Reads what earlier runs left. ERR_OK, or why the storage cannot be read. */
int dht_known_load(struct dht_known *known);

/* A round trip with the peer was seen just now; is_placed: it is in the table. */
void dht_known_meet(struct dht_known *known, uint32_t peer, bool is_placed);
/* Takes over the table's peers and their times, and writes the pages that changed. */
void dht_known_save(struct dht_known *known, const struct dht_table *table);
void dht_known_forget(struct dht_known *known, const struct node_id *id);
/* Those seen last come first. */
void dht_known_sort(struct dht_known *known);
void dht_known_release(struct dht_known *known);

/* NULL, or what is wrong. */
const char *dht_known_check(const struct dht_known *known);

#endif /* NODE_DHT_KNOWN_H */
