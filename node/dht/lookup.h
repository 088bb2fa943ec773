/* lookup.h - iterative lookups: asking ever closer contacts until nobody knows a closer one.
 *
 * Kademlia paper 2.3. Up to alpha requests are under way; a slow one frees its slot and is still
 * waited for. When alpha answers in a row bring nothing closer, all unasked among the k nearest are
 * asked at once. A node lookup ends when the k nearest known have answered; a value lookup at the
 * first valid immutable record, at read_agree_min agreeing holders of a mutable one, or when the k
 * nearest have answered: then the highest sequence wins and is stored where it was missing.
 *
 *      dht_lookup -> shortlist -> transport_call -> answers -> shortlist ... -> done
 *
 * A lookup that ends leaves its late calls running: their answers still teach the table who lives.
 * They are told from those of a later lookup in the same slot by a serial number in their tag.
 */
#ifndef NODE_DHT_LOOKUP_H
#define NODE_DHT_LOOKUP_H

#include "node/dht/shortlist.h"
#include "node/dht/store.h"
#include "node/transport/transport.h"

struct dht;

enum {
    /* A bound on what liars can make a lookup do; an honest one in a million nodes asks about 30.
     */
    LOOKUP_REQUESTS_MAX = 200,
};

enum lookup_kind {
    LOOKUP_NODE,  /* The k closest, all of which answered. */
    LOOKUP_VALUE, /* The first valid immutable record, or the agreed mutable one. */
};

struct lookup_result {
    /* ERR_OK; ERR_MISSING (no value, or deleted); ERR_UNREACHABLE (nobody answered); ERR_FULL (no
     * memory to compare records in); ERR_STOPPED. */
    int status;
    enum lookup_kind kind;
    struct node_id target;
    uint32_t took_us;
    uint16_t messages; /* Requests sent, retransmissions not counted. */
    uint8_t
        hops; /* Length of the chain of referrals to the best result: own table 1, own store 0. */
    uint8_t count;               /* Contacts in `nearest`, closest first. */
    const uint32_t *nearest;     /* Borrowed. Those of the k nearest known that have answered. */
    const struct record *record; /* LOOKUP_VALUE: with ERR_OK, or the tombstone. Borrowed. */
    uint32_t age_s;              /* Of the record, since its signing. */
};
typedef void (*lookup_fn)(void *owner, uint32_t tag, const struct lookup_result *result);

/* The best mutable record so far. */
struct dht_candidate {
    struct dht_record_copy copy;
    uint64_t received_us;
    uint32_t age_s; /* When received. */
    uint8_t hops;
};

struct dht_lookup {
    lookup_fn done;
    void *owner;
    uint64_t started_us;
    uint32_t tag;
    uint16_t serial; /* 0 when the slot is free. */
    uint16_t index;
    uint16_t messages;
    uint16_t candidate; /* Of the pool of candidates, or POOL_NONE. */
    uint8_t kind;
    uint8_t barren;          /* Answers in a row that brought nothing closer. */
    uint8_t version;         /* Of the candidate: how often a better one came. */
    uint8_t agreeing;        /* Holders of exactly the candidate, ourselves included. */
    bool is_local;           /* Our own storage holds the immutable record. */
    uint64_t given_to;       /* Somebody's id, first bits: he looks in our place, */
    uint64_t given_until_us; /* and is waited for until then. 0: it is ours. */
    struct dht_shortlist list;
};

struct dht_lookups {
    struct pool pool;
    struct pool candidates;
    struct timer
        kick; /* Ends what ended before dht_lookup returned; retries what found no call free. */
    uint16_t serial_last;
};

/* A pool's slot and the serial number of its present user, in one call tag. */
static inline uint32_t dht_slot_tag(uint16_t index, uint16_t serial)
{
    return (uint32_t)index << 16 | serial;
}

/* 1..65535, then 1 again: 0 marks a free slot. */
static inline uint16_t dht_serial_next(uint16_t *last)
{
    *last = *last == UINT16_MAX ? 1 : (uint16_t)(*last + 1);
    return *last;
}

/* For delegate.c. A lookup that was given away is ours again, from its beginning. */
void dht_lookup_take_back(struct dht *dht, struct dht_lookup *lookup);
/* It ends with what was found; false, and it does not, when that is no honest answer. */
bool dht_lookup_end_given(struct dht *dht, struct dht_lookup *lookup, uint32_t server,
                          const struct message_sought *sought);

int dht_lookups_init(struct dht *dht);
void dht_lookups_stop(struct dht *dht); /* All end with ERR_STOPPED. */
const char *dht_lookups_check(const struct dht *dht);

#endif /* NODE_DHT_LOOKUP_H */
