/* upkeep.h - joining, and keeping the table true while nobody asks for anything.
 *
 *      start -> known peers, bootstrap addresses -> FIND_NODE(self) -> self lookup
 *            -> the three farthest buckets at once -> the others, spread over join_spread_us
 *            a client: all of them spread; the far ones at once when it begins to serve
 *            -> fewer than k contacts: other known peers, another self lookup a little later
 *      refresh timer -> a random id of the next bucket, or our own -> node lookup
 *      check timer   -> one that has failed once, or the most silent of the next bucket -> ping;
 *                       a client less often
 *
 * Bounded: one refresh and one check at a time. A join that reaches nobody is tried again with
 * capped exponential back-off and jitter, for ever; so is a node whose table ran empty.
 */
#ifndef NODE_DHT_UPKEEP_H
#define NODE_DHT_UPKEEP_H

#include "node/dht/lookup.h"

enum {
    UPKEEP_TRIED_MAX = 8,   /* Of each kind, in one try to join. */
    UPKEEP_FAR_BUCKETS = 3, /* Refreshed at once by a join. */
    UPKEEP_LOOKS_MAX = 6,   /* Self lookups after a join that found few: the last after a minute. */
};

/* Called with ERR_UNREACHABLE at most once, when the first try reached nobody, and with ERR_OK
 * once. */
typedef void (*join_fn)(void *owner, int status, uint32_t took_us);

enum dht_join_stage {
    JOIN_CALLING,  /* Waiting for any answer, or for the next try. */
    JOIN_ANSWERED, /* By somebody: the table should have an entry now. */
    JOIN_SELF,     /* Looking ourselves up. */
    JOIN_FAR,      /* Refreshing the farthest buckets. */
    JOIN_SPREAD,   /* Joined; the other buckets follow. */
    JOIN_DONE,
};

struct dht_upkeep {
    const struct port_addr *bootstrap;
    uint32_t bootstrap_count;
    join_fn done;
    void *owner;
    uint64_t started_us;
    uint8_t stage;   /* enum dht_join_stage */
    uint8_t tries;   /* In a row that reached nobody. */
    uint8_t calls;   /* To those we join through, under way. */
    uint8_t lookups; /* Of the far buckets, under way. */
    uint8_t looks;   /* For more neighbours, since the join found fewer than k. */
    bool is_failure_told;
    bool is_success_told;
    bool is_checking;
    uint16_t remembered;   /* Contacts in the table when it was last remembered, */
    uint16_t looked_count; /* and after the last look for more neighbours. */
    uint16_t known_next;   /* Place among the known peers of the next to call. */
    uint8_t refresh_next;  /* Bucket; the depth of the table + 1 stands for our own id. */
    uint8_t check_next;
    struct timer join;
    struct timer refresh;
    struct timer check;
    uint32_t looked_at[DHT_BUCKETS]; /* When a lookup went there, units of 2^14 µs + 1; 0 never. */
};

struct dht_start_options {
    const struct port_addr *bootstrap; /* Borrowed for the life of the node; our own is skipped. */
    uint32_t bootstrap_count;
    uint64_t wait_us; /* Before anybody is called. */
    join_fn done;
    void *owner;
};
void dht_upkeep_start(struct dht *dht, const struct dht_start_options *options);
void dht_upkeep_stop(struct dht *dht);

/* Somebody has answered us without a join: looks ourselves up, unless that is under way. */
void dht_upkeep_join(struct dht *dht);

/* A lookup goes to `target`: its bucket needs no refresh. */
void dht_upkeep_on_lookup(struct dht *dht, const struct node_id *target);

/* Pings the contact of the bucket silent for longest, if it is due for it. */
void dht_upkeep_check_bucket(struct dht *dht, uint32_t bucket);

#endif /* NODE_DHT_UPKEEP_H */
