/* shortlist.h - the nearest contacts a lookup knows of, and how far it is with each.
 *
 * Sorted by distance. Twice k entries, because those that fail are replaced by the next nearest,
 * which a list of k would have forgotten. At most group_max entries of one address group, the
 * nearest ones, so that a crowd behind one router cannot fill a lookup's results.
 *
 *      own table, answers -> dht_shortlist_merge -> entries -> asked, answered, dropped
 *
 * Distances are compared by their first 64 bits; equal ones by the whole id. A contact that failed
 * is remembered by handle, so that the same key at another address gets its chance. The list holds
 * a reference to every entry.
 */
#ifndef NODE_DHT_SHORTLIST_H
#define NODE_DHT_SHORTLIST_H

#include "node/dht/table.h"

enum {
    SHORTLIST_MAX = 2 * DHT_K_MAX,
    SHORTLIST_FAILED_MAX = 24, /* When full the oldest is forgotten. */
};

enum shortlist_state {
    ENTRY_NEW,
    ENTRY_ASKED,
    ENTRY_SLOW, /* Asked, and taking long: its answer counts, its slot does not. */
    ENTRY_ANSWERED,
};

struct shortlist_entry {
    uint32_t peer;
    uint8_t state; /* enum shortlist_state */
    uint8_t hops;  /* Length of the chain of referrals: own table 1, learned from h is h + 1. */
    uint8_t group_tag;
    uint8_t version; /* Which of a lookup's candidate records it holds; 0 none. */
};

struct dht_shortlist {
    struct port *port;
    const struct node_id *self; /* Never enters. */
    struct node_id target;
    uint64_t target_prefix;
    uint64_t self_distance;
    uint8_t count;
    uint8_t group_max;
    uint8_t failed_count;
    uint8_t failed_next;
    uint64_t tags_seen[4]; /* A set of group tags; those that left stay in it. */
    /* First 64 bits of the XOR distance of each entry to the target; UINT64_MAX behind the last. */
    uint64_t distances[SHORTLIST_MAX];
    struct shortlist_entry entries[SHORTLIST_MAX];
    uint32_t failed[SHORTLIST_FAILED_MAX];
};

void dht_shortlist_init(struct dht_shortlist *list, struct port *port, const struct node_id *self,
                        const struct node_id *target, uint8_t group_max);

/* Offers `count` contacts learned at the end of a chain of `hops`. True when one of them became the
 * nearest of all. */
bool dht_shortlist_merge(struct dht_shortlist *list, const uint32_t *peers, uint32_t count,
                         uint8_t hops);

/* The entry of a contact, or NULL when it has been pushed out. */
struct shortlist_entry *dht_shortlist_find(struct dht_shortlist *list, uint32_t peer);

/* Takes out an entry that failed; the same handle does not come back. */
void dht_shortlist_fail(struct dht_shortlist *list, struct shortlist_entry *entry);

void dht_shortlist_release(struct dht_shortlist *list);
const char *dht_shortlist_check(const struct dht_shortlist *list);

#endif /* NODE_DHT_SHORTLIST_H */
