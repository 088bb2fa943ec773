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
#include "node/wire/voucher.h"

enum message_class {
    MESSAGE_READ,  /* An idempotent request: may ride in a first handshake message. */
    MESSAGE_WRITE, /* A request that needs an established session. */
    MESSAGE_REPLY,
    MESSAGE_NOTE, /* Needs a session too, and has no reply. */
};

/*    name       number body        text          owner      class */
#define MESSAGES(X)                                                                                \
    X(PING, 0x01, ping, "ping", transport, READ)                                                   \
    X(PONG, 0x02, pong, "pong", transport, REPLY)                                                  \
    X(PROBE, 0x03, probe, "probe", transport, NOTE)                                                \
    X(PROBED, 0x04, probed, "probed", transport, NOTE)                                             \
    X(PROVED, 0x05, proved, "proved", transport, NOTE)                                             \
    X(FIND_NODE, 0x10, find_node, "dht.find_node", dht, READ)                                      \
    X(NODES, 0x11, nodes, "dht.nodes", dht, REPLY)                                                 \
    X(FIND_VALUE, 0x12, find_value, "dht.find_value", dht, READ)                                   \
    X(VALUE, 0x13, value, "dht.value", dht, REPLY)                                                 \
    X(STORE, 0x14, store, "dht.store", dht, WRITE)                                                 \
    X(STORED, 0x15, stored, "dht.stored", dht, REPLY)                                              \
    X(SEEK, 0x16, seek, "dht.seek", dht, WRITE)                                                    \
    X(SEEKING, 0x17, seeking, "dht.seeking", dht, REPLY)                                           \
    X(SOUGHT, 0x18, sought, "dht.sought", dht, NOTE)                                               \
    X(EXCHANGE, 0x20, exchange, "gossip.exchange", gossip, READ)                                   \
    X(PEERS, 0x21, peers, "gossip.peers", gossip, REPLY)                                           \
    X(BROADCAST, 0x22, broadcast, "gossip.broadcast", gossip, WRITE)                               \
    X(HEARD, 0x23, heard, "gossip.heard", gossip, REPLY)                                           \
    X(APP, 0x30, app, "node.app", app, WRITE)                                                      \
    X(APP_DONE, 0x31, app_done, "node.app_done", app, REPLY)                                       \
    X(STATEMENT, 0x40, statement, "ledger.statement", ledger, WRITE)                               \
    X(STATED, 0x41, stated, "ledger.stated", ledger, REPLY)                                        \
    X(REACH, 0x50, reach, "nat.reach", nat, WRITE)                                                 \
    X(REACHED, 0x51, reached, "nat.reached", nat, REPLY)                                           \
    X(DIAL, 0x52, dial, "nat.dial", nat, WRITE)                                                    \
    X(DIALLED, 0x53, dialled, "nat.dialled", nat, REPLY)                                           \
    X(RESERVE, 0x54, reserve, "nat.reserve", nat, WRITE)                                           \
    X(RESERVED, 0x55, reserved, "nat.reserved", nat, REPLY)                                        \
    X(CONNECT, 0x56, connect, "nat.connect", nat, WRITE)                                           \
    X(CONNECTED, 0x57, connected, "nat.connected", nat, REPLY)                                     \
    X(PUNCH, 0x58, punch, "nat.punch", nat, WRITE)                                                 \
    X(PUNCHING, 0x59, punching, "nat.punching", nat, REPLY)                                        \
    X(PUNCH_GO, 0x5a, punch_go, "nat.punch_go", nat, NOTE)                                         \
    X(RELAY, 0x5b, relay, "nat.relay", nat, NOTE)                                                  \
    X(HUNG_UP, 0x5c, hung_up, "nat.hung_up", nat, NOTE)

enum message_kind {
#define MESSAGE_ENUM(name, number, body, text, owner, class) MESSAGE_##name = (number),
    MESSAGES(MESSAGE_ENUM)
#undef MESSAGE_ENUM
        MESSAGE_KIND_MAX = 0x5d
};

enum {
    MESSAGE_HEADER_LEN = 5,
    MESSAGE_CONTACTS_MAX = 20,  /* k of the Kademlia paper; also the peers of one exchange. */
    MESSAGE_BLOOM_MAX = 400,    /* 1 % false positives for 330 known peers: 9.6 bits each. */
    MESSAGE_PAYLOAD_MAX = 1000, /* Application and broadcast payload of one datagram. */
    MESSAGE_MAX = 1160,         /* PORT_DATAGRAM_MAX less the session's 40 bytes at most. */
    MESSAGE_PROBE_LEN = MESSAGE_HEADER_LEN + 2 * 8 + 1 + 16 + 2, /* As long as any PROBED. */
    /* At least the IK 1 that it has somebody send (transport/packet.h), less the session's bytes.
     */
    MESSAGE_DIAL_LEN = 200,
    /* A datagram inside a RELAY: what the session of the relay leaves of PORT_DATAGRAM_MAX. The
     * longest message that goes over a circuit, a broadcast, still fits into it sealed. */
    MESSAGE_RELAYED_MAX = 1160,
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

/* Trying a way to the peer of a session: each side sends a nonce there and gets it back. `observed`
 * is where the PROBE came from. */
struct message_probe {
    uint64_t nonce;
    uint16_t port; /* Of the sender's address, to be answered at instead; 0: where it came from. */
};

struct message_probed {
    uint64_t nonce;
    uint64_t own_nonce;
    struct port_addr observed;
};

struct message_proved {
    uint64_t nonce;
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

/* Please make this lookup in my place. */
struct message_seek {
    uint32_t number; /* Of the asker's choice. */
    uint8_t kind;    /* 0: nodes near the target; 1: the value there. */
    struct node_id target;
};

struct message_seeking {
    bool is_accepted; /* SOUGHT will come. */
};

struct message_sought {
    uint32_t number;
    bool is_found;
    uint8_t hops;
    struct message_value value; /* The record, or the nearest contacts. */
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

/* Please find out whether I can be reached at the address that you see me at: from another port of
 * yours, or by somebody I have never written to. */
enum reach_from {
    REACH_FROM_PORT = 0,
    REACH_FROM_STRANGER = 1,
};

struct message_reach {
    uint8_t from; /* enum reach_from */
};

enum reached_status {
    REACHED_YES = 0, /* Of REACH_FROM_PORT: it was sent; whoever it reached knows. */
    REACHED_NO = 1,
    REACHED_UNKNOWN = 2, /* Nobody could try. */
};

struct message_reached {
    uint8_t status; /* enum reached_status */
    struct port_addr observed;
    struct port_addr by; /* Who tried: the stranger's address, or that of the asked itself. */
};

/* From the asked to the stranger: shake hands with this node there, once. */
struct message_dial {
    uint8_t key[CRYPTO_PUBLIC_LEN];
    struct port_addr addr;
};

struct message_dialled {
    uint8_t status; /* enum reached_status */
};

enum relay_status {
    RELAY_OK,
    RELAY_FULL,    /* No room, or the limit of this peer or its address group is reached. */
    RELAY_MISSING, /* No such reservation, or its holder is gone. */
    RELAY_REFUSED, /* It relays for nobody, or the voucher is none of its own. */
    RELAY_STATUS_COUNT
};

struct message_reserve {
    uint32_t life_s; /* Wanted. */
};

struct message_reserved {
    uint8_t status; /* enum relay_status */
    struct voucher voucher;
};

/* A circuit to the holder of this key, who has a reservation with the relay. */
struct message_connect {
    uint8_t target[CRYPTO_PUBLIC_LEN];
    struct voucher voucher;
};

struct message_connected {
    uint8_t status; /* enum relay_status */
    uint32_t circuit;
};

/* Types and their order of preference: RFC 8445 section 5.1.2.2, with mapped between them. */
enum candidate_type {
    CANDIDATE_HOST,
    CANDIDATE_MAPPED,           /* By a router that was asked to. */
    CANDIDATE_SERVER_REFLEXIVE, /* As others see us. */
    CANDIDATE_PREDICTED,        /* As the next mapping of a sequential box may be. */
    CANDIDATE_TYPE_COUNT
};

enum {
    PUNCH_CANDIDATES_MAX = 12,
    PUNCH_PROBES_EACH = 5, /* To a candidate: an opener, and four rounds. */
    PUNCH_PROBES_MAX = 16, /* What the longest message over a circuit pays for. */
    PUNCH_PROBE_LEN = 69,  /* A PROBE, with the bytes that the session puts around it. */
};

struct candidate {
    uint8_t type; /* enum candidate_type */
    struct port_addr addr;
};

/* Where I can perhaps be reached, and how the box in front of me behaves (node/nat/classify.h). As
 * long as all probes together that it may have somebody send: the candidates may be anybody's. */
struct message_punch {
    uint8_t round;
    uint8_t mapping;
    uint8_t filtering;
    uint8_t count;
    struct candidate candidates[PUNCH_CANDIDATES_MAX];
};

/* Of so many candidates. */
static inline uint8_t message_punch_probes(uint8_t candidates)
{
    unsigned probes = PUNCH_PROBES_EACH * (unsigned)candidates;
    return (uint8_t)(probes < PUNCH_PROBES_MAX ? probes : PUNCH_PROBES_MAX);
}

/* The answer has the same shape. */
struct message_punching {
    struct message_punch side;
};

/* Now: the caller sends its own half a round trip later. */
struct message_punch_go {
    uint8_t round;
};

/* A datagram of the circuit in `call`. */
struct message_relay {
    struct slice datagram;
};

enum hung_up_reason {
    HUNG_UP_BYTES, /* The circuit's bytes are used up, */
    HUNG_UP_TIME,  /* its time is over, */
    HUNG_UP_GONE,  /* or the other side is gone. */
    HUNG_UP_REASON_COUNT
};

/* The circuit in `call` is no more. */
struct message_hung_up {
    uint8_t reason; /* enum hung_up_reason */
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
