/* record.h - values that travel beyond one hop: signed, numbered, with a signed relative expiry.
 *
 *      publisher: record_sign -> STORE -> holders: record_is_valid -> FIND_VALUE -> readers
 *
 * An immutable record's key is the hash of its value, and needs no signature. A mutable record's
 * key is the hash of its publisher and salt; the highest sequence wins, and of equal sequences with
 * different values the one with the lower body hash, so that all holders settle on the same. A
 * tombstone is a mutable record without value; it lives RECORD_EXPIRY_MAX_S plus a margin, longer
 * than anything it could have to suppress. A presence is a mutable record whose key is the id of
 * its publisher: who looks for a node that does not serve finds it where the node would be.
 */
#ifndef NODE_WIRE_RECORD_H
#define NODE_WIRE_RECORD_H

#include "node/wire/contact.h"

enum {
    RECORD_VALUE_MAX = 900, /* A record with its header still fits one datagram. */
    RECORD_HASH_LEN = 32,
    RECORD_EXPIRY_MAX_S = 86400, /* One day: Kademlia's own expiry, 2002 paper section 2.5. */
    RECORD_TOMBSTONE_S =
        86400 + 7200, /* Outlives RECORD_EXPIRY_MAX_S by two hours of clock error. */
};

enum record_kind {
    RECORD_IMMUTABLE = 1,
    RECORD_MUTABLE = 2,
    RECORD_TOMBSTONE = 3,
    RECORD_PRESENCE = 4, /* How the node that signs it can be reached: wire/voucher.h. */
    RECORD_KIND_END
};

struct record {
    uint8_t kind;
    uint8_t publisher[CRYPTO_PUBLIC_LEN]; /* Zero for immutable records. */
    uint32_t salt;     /* Which of the publisher's mutable records; 0 otherwise. */
    uint64_t sequence; /* 0 for immutable records. */
    uint32_t expiry_s; /* From the moment of signing, at most the maximum above. */
    uint8_t signature[CRYPTO_SIGNATURE_LEN]; /* Zero for immutable records. */
    struct slice value;                      /* Borrowed. */
};

/* The key a record lives under. */
void record_key(struct node_id *key, const struct record *record);

/* The hash that breaks ties between equal sequence numbers (over everything but the signature). */
void record_body_hash(uint8_t hash[RECORD_HASH_LEN], const struct record *record);

/* Fills publisher and signature of a mutable record or tombstone. */
void record_sign(struct port *port, struct record *record,
                 const uint8_t public_key[CRYPTO_PUBLIC_LEN],
                 const uint8_t secret_key[CRYPTO_SECRET_LEN]);

/* Shape, limits, and signature (charged to the port); does not look at age. */
bool record_is_valid(struct port *port, const struct record *record);

/* Whether `candidate` replaces `held` under the same key: positive yes, 0 the same, negative no. */
int record_compare(const struct record *candidate, const struct record *held);

#endif /* NODE_WIRE_RECORD_H */
