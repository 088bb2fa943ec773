/* table.h - the routing table: who is known, sorted by the bits an id shares with ours.
 *
 * Bucket i holds up to k contacts that share exactly i leading bits with our id; the last bucket
 * holds all that share DHT_BUCKETS - 1 or more, which no honest network fills (it would take k
 * times 2^31 nodes). Contacts enter only by dht_table_verified. Old contacts stay (Kademlia
 * paper 2.2): a full bucket takes a newcomer only in place of one that failed; else the newcomer
 * waits as a spare.
 *
 *      verified(peer) -> known | added | moved | spare | refused
 *      lost(peer)     -> one more loss; out at the second in a row, or at once if a spare waits
 *      nearest(id)    -> up to k peers
 *
 * What it does not do: send anything. Peers are contact handles; the table holds a reference to
 * each.
 */
#ifndef NODE_DHT_TABLE_H
#define NODE_DHT_TABLE_H

#include "node/base/core.h"
#include "node/wire/message.h"

enum {
    DHT_K_MAX = MESSAGE_CONTACTS_MAX, /* k = 20: Kademlia paper section 2.2. */
    DHT_BUCKETS = 32,
    DHT_TAG_WORDS = (DHT_K_MAX + 7) / 8,
    DHT_TAGS = 256,         /* Values of dht_group_tag. */
    DHT_SPARES = 2,         /* Newcomers that wait for a place, per bucket. */
    DHT_LOSSES_MAX = 2,     /* In a row, and a contact is forgotten. */
    DHT_OUTAGE_LOSSES = 10, /* In a row over all contacts: it is we who are cut off. */
    DHT_CONTACTS_MAX = DHT_BUCKETS * DHT_K_MAX,
    DHT_SILENT_MAX_S = 9 * 3600, /* Upper bound of dht_config.check_us. */
};

/* Times are in units of 2^20 µs: 16 bits wrap after 19 hours, and no contact is silent for half as
 * long without having been checked. */
struct dht_bucket {
    uint8_t count;
    uint8_t spare_count;
    uint32_t peers[DHT_K_MAX];
    uint16_t heard[DHT_K_MAX]; /* When it last proved to live. */
    uint8_t losses[DHT_K_MAX]; /* In a row, since then. */
    /* A hash of the address group: equal ones are looked at closely. In whole words, to compare
     * eight at a time; those behind the last contact mean nothing. */
    uint8_t group_tags[DHT_TAG_WORDS * sizeof(uint64_t)];
    uint32_t spares[DHT_SPARES]; /* Newest first. */
};

struct dht_table {
    struct core *core;
    const struct node_id *self;
    uint64_t self_prefix;
    uint32_t occupied; /* Bit 31 - i is set when bucket i holds a contact. */
    uint16_t count;
    uint16_t suspects; /* Contacts with losses. */
    uint8_t k;
    uint8_t group_bucket_max;
    uint8_t group_table_max;
    uint8_t losses_in_row;
    struct dht_bucket *buckets[DHT_BUCKETS]; /* NULL until used. */
    /* How many contacts have each group tag, four bits each; 15 stays 15. Spares looking: most
     * newcomers share their tag with nobody. */
    uint8_t tag_counts[DHT_TAGS / 2];
    /* No contact of the bucket was heard of for the last time before this: spares looking. */
    uint16_t heard_since[DHT_BUCKETS];
};

enum dht_table_news {
    DHT_TABLE_KNOWN,
    DHT_TABLE_ADDED,
    DHT_TABLE_MOVED, /* The same key at a new address. */
    DHT_TABLE_SPARE,
    DHT_TABLE_REFUSED, /* By a group limit, for lack of memory, or because it is ourselves. */
};

void dht_table_init(struct dht_table *table, struct core *core, const struct node_id *self,
                    uint8_t k, uint8_t group_bucket_max, uint8_t group_table_max);

enum dht_table_news dht_table_verified(struct dht_table *table, uint32_t peer);
void dht_table_lost(struct dht_table *table, uint32_t peer);

/* Drops the contact with this id, a spare in its place, and spares with it. */
void dht_table_forget(struct dht_table *table, const struct node_id *id);

/* Whether a verified round trip with (id, addr) would change the table for the better. */
bool dht_table_is_wanted(const struct dht_table *table, const struct node_id *id,
                         const struct port_addr *addr);

/* The bucket that `id` belongs to, 0..DHT_BUCKETS - 1. */
uint32_t dht_table_bucket_of(const struct dht_table *table, const struct node_id *id);
uint32_t dht_table_bucket_count(const struct dht_table *table, uint32_t bucket);

/* The contact with this id, or PORT_INTERN_NONE. */
uint32_t dht_table_find(const struct dht_table *table, const struct node_id *id);

/* What a reader may see of a contact. */
struct dht_table_row {
    uint32_t peer; /* Not retained. */
    uint32_t bucket;
    uint32_t losses;
    uint64_t silent_us; /* Within a second. */
};
/* Contact number `number` (0 .. count - 1) in the order of dht_table_all. */
void dht_table_row(const struct dht_table *table, uint32_t number, struct dht_table_row *row);

/* The `max` nearest to target, whole buckets in the order of distance, unordered inside a bucket:
 * what an answer needs, for the least work. Returns how many. */
uint32_t dht_table_nearest(const struct dht_table *table, const struct node_id *target,
                           uint32_t *peers, uint32_t max);

/* All contacts, bucket by bucket. Returns how many were written. */
uint32_t dht_table_all(const struct dht_table *table, uint32_t *peers, uint32_t max);

/* The contact of the bucket silent for longest, if that is longer than silent_us; else
 * PORT_INTERN_NONE. */
uint32_t dht_table_silent(struct dht_table *table, uint32_t bucket, uint64_t silent_us);

/* One of the contacts that have failed since they were last heard of, chosen at random; else
 * PORT_INTERN_NONE. */
uint32_t dht_table_suspect(const struct dht_table *table);

/* The bucket of the k-th nearest neighbour of our own: deeper ones are known to the last contact.
 */
uint32_t dht_table_depth(const struct dht_table *table);

void dht_table_release(struct dht_table *table);
const char *dht_table_check(const struct dht_table *table);

/* Which of two contacts is closer to target: negative, 0 (the same id) or positive. */
int dht_closer(const struct port *port, uint32_t a, uint32_t b, const struct node_id *target);

/* An 8-bit hash of the address group of a contact. */
uint8_t dht_group_tag(const struct port_addr *addr);

#endif /* NODE_DHT_TABLE_H */
