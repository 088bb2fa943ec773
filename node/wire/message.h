/* message.h - the one table of messages, and what each holds once decoded.
 *
 * A message travels inside a session (or as the early payload of its first handshake message) as
 *
 *      kind(1) call(4) body
 *
 * in canonical form: one encoding per message, trailing bytes are an error. `call` pairs a reply
 * with its request. Decoding is bounded, allocates nothing, and borrows from the datagram; contacts
 * become interned handles on the way in.
 */
#ifndef NODE_WIRE_MESSAGE_H
#define NODE_WIRE_MESSAGE_H

#include "node/wire/contact.h"
#include "node/wire/iou.h"
#include "node/wire/record.h"

enum message_class {
    MESSAGE_READ,  /* An idempotent request: may ride in a first handshake message. */
    MESSAGE_WRITE, /* A request that needs an established session. */
    MESSAGE_REPLY,
};

/*    name       number body        text          owner      class */
#define MESSAGES(X)                                                                                \
    X(PING, 0x01, ping, "ping", transport, READ)                                                   \
    X(PONG, 0x02, pong, "pong", transport, REPLY)                                                  \
    X(FIND_NODE, 0x10, find_node, "dht.find_node", dht, READ)                                      \
    X(NODES, 0x11, nodes, "dht.nodes", dht, REPLY)                                                 \
    X(FIND_VALUE, 0x12, find_value, "dht.find_value", dht, READ)                                   \
    X(VALUE, 0x13, value, "dht.value", dht, REPLY)                                                 \
    X(STORE, 0x14, store, "dht.store", dht, WRITE)                                                 \
    X(STORED, 0x15, stored, "dht.stored", dht, REPLY)                                              \
    X(EXCHANGE, 0x20, exchange, "gossip.exchange", gossip, READ)                                   \
    X(PEERS, 0x21, peers, "gossip.peers", gossip, REPLY)                                           \
    X(BROADCAST, 0x22, broadcast, "gossip.broadcast", gossip, WRITE)                               \
    X(HEARD, 0x23, heard, "gossip.heard", gossip, REPLY)                                           \
    X(APP, 0x30, app, "node.app", app, WRITE)                                                      \
    X(APP_DONE, 0x31, app_done, "node.app_done", app, REPLY)                                       \
    X(STATEMENT, 0x40, statement, "ledger.statement", ledger, WRITE)                               \
    X(STATED, 0x41, stated, "ledger.stated", ledger, REPLY)

enum message_kind {
#define MESSAGE_ENUM(name, number, body, text, owner, class) MESSAGE_##name = (number),
    MESSAGES(MESSAGE_ENUM)
#undef MESSAGE_ENUM
        MESSAGE_KIND_MAX = 0x42
};

enum {
    MESSAGE_HEADER_LEN = 5,
    MESSAGE_CONTACTS_MAX = 20,  /* k of the Kademlia paper; also the peers of one exchange. */
    MESSAGE_BLOOM_MAX = 400,    /* 1 % false positives for 330 known peers: 9.6 bits each. */
    MESSAGE_PAYLOAD_MAX = 1000, /* Application and broadcast payload of one datagram. */
    MESSAGE_MAX = 1160,         /* PORT_DATAGRAM_MAX less the session's 40 bytes at most. */
};

/* Contact list: handles after decoding, one reference each to whoever decodes. */
struct message_contacts {
    uint32_t count;
    uint32_t handles[MESSAGE_CONTACTS_MAX];
};

struct message_ping {
    uint64_t nonce;
};

struct message_pong {
    uint64_t nonce;
    struct port_addr observed; /* Where the ping came from. */
};

struct message_find_node {
    struct node_id target;
    uint8_t count; /* Contacts wanted, 1..20. */
};

struct message_nodes {
    struct message_contacts contacts;
};

struct message_find_value {
    struct node_id key;
    uint8_t count; /* Contacts wanted should the value not be held. */
};

/* The record (age: seconds since its signing as far as the holder knows), or the nearest contacts.
 */
struct message_value {
    bool has_record;
    bool is_cached; /* Served from a path cache: immutable records only. */
    uint32_t age_s;
    struct record record;
    struct message_contacts contacts;
};

struct message_store {
    uint32_t age_s;
    bool is_cache; /* A path cache copy: shorter life, never republished. */
    struct record record;
};

enum stored_status {
    STORED_OK = 0,
    STORED_STALE = 1, /* The holder has a newer one; its sequence is in the answer. */
    STORED_FULL = 2,
    STORED_INVALID = 3,
};

struct message_stored {
    uint8_t status;
    bool is_durable;
    uint64_t sequence;
};

struct message_exchange {
    uint8_t ttl;        /* Hops this exchange may still be passed on, 0..3. */
    uint8_t wanted;     /* Peers wanted in the answer. */
    uint8_t hash_count; /* Of the Bloom filter. */
    uint32_t salt;      /* Of the Bloom filter. */
    struct slice bloom; /* What the sender already knows; 0..MESSAGE_BLOOM_MAX bytes. */
};

struct message_peers {
    struct message_contacts contacts;
};

enum { BROADCAST_ID_LEN = 16 };

struct message_broadcast {
    uint8_t id[BROADCAST_ID_LEN]; /* Hash of origin, number and payload. */
    uint8_t origin[CRYPTO_PUBLIC_LEN];
    uint32_t number; /* The origin's own count. */
    uint8_t hops;    /* Travelled so far, this one included. */
    uint8_t
        signature[CRYPTO_SIGNATURE_LEN]; /* Of the origin over the id: travels beyond one hop. */
    struct slice payload;
};

struct message_heard {
    bool was_new;
};

struct message_app {
    struct slice payload;
};

struct message_app_done {
    uint8_t status; /* 0 accepted. */
};

/* An IOU, whole, and what its creditor has said of it: from the debtor an offer, from the creditor
 * its statement. */
struct message_statement {
    struct iou iou;
    struct iou_statement said;
};

enum ledger_status {
    LEDGER_OK = 0,      /* Durable here: what was said, or more. */
    LEDGER_FULL = 1,    /* No room now. */
    LEDGER_INVALID = 2, /* Nobody honest says such a thing. */
};

/* What the answering side holds now: a debtor learns from it at once what the creditor has said. */
struct message_stated {
    uint8_t status; /* enum ledger_status */
    struct iou_statement said;
};

struct message {
    uint8_t kind; /* enum message_kind */
    uint32_t call;
    union {
#define MESSAGE_MEMBER(name, number, body, text, owner, class) struct message_##body body;
        MESSAGES(MESSAGE_MEMBER)
#undef MESSAGE_MEMBER
    };
};

/* Bytes written, or ERR_TOO_LARGE. Contact lists are cut to what fits `cap`. */
int message_encode(const struct port *port, const struct message *message, uint8_t *buffer,
                   size_t cap);

/* False when the bytes are not exactly one canonical message. */
bool message_decode(struct port *port, struct slice bytes, struct message *message);

/* Releases the contact references of a decoded message. */
void message_release(struct port *port, struct message *message);

enum message_class message_class_of(uint8_t kind); /* MESSAGE_REPLY for unknown kinds. */
bool message_kind_is_known(uint8_t kind);
const char *message_text(uint8_t kind);

/* Upper bound of the encoded answer to a request, bytes: what a first message is padded to. */
size_t message_answer_max(const struct message *request);

#endif /* NODE_WIRE_MESSAGE_H */
