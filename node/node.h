/* node.h - one node: every module by value, lowest first, and the entries the world calls.
 *
 *      host -> node_on_datagram -> transport (MAC, AEAD, decode) -> dispatch -> module
 *      module -> transport_call, transport_reply -> port send -> host
 *      node_submit(command) -> module ... -> port deliver(event)
 *
 * node_submit is the one door for every intent: shell, HTTP edge, scenario file, test. So a
 * recorded live day replays as a scenario. node.c wires the modules and holds no logic: read it
 * first.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "node/gossip/gossip.h"
#include "node/ledger/ledger.h"
#include "node/nat/nat.h"

struct node_config {
    struct guard_config guard;
    struct transport_config transport;
    struct nat_config nat;
    struct dht_config dht;
    struct gossip_config gossip;
    struct ledger_config ledger; /* peers_max 0: the node keeps none. */
    /* CRYPTO_SEED_LEN bytes, borrowed until node_init returns. NULL: drawn once, and kept in the
     * node's storage. */
    const uint8_t *identity_seed;
    const struct port_addr *bootstrap; /* Borrowed; the node skips its own address. */
    uint32_t bootstrap_count;
    uint16_t errands_max; /* NODE_SEND, NODE_PING and NODE_CONNECT commands under way. */
};

/* The defaults of the live node and of a scenario that says nothing. */
void node_config_default(struct node_config *config);

enum node_command_kind {
    NODE_LOOKUP,    /* id: the k closest nodes. */
    NODE_GET,       /* id: the value under this key. */
    NODE_PUT,       /* bytes: an immutable value. */
    NODE_PUBLISH,   /* bytes: the mutable value under (own key, salt). */
    NODE_DELETE,    /* The mutable value under (own key, salt). */
    NODE_SEND,      /* bytes to the node with this id, found by a lookup. */
    NODE_BROADCAST, /* bytes to everybody. */
    NODE_CONNECT,   /* The node at addr, whoever it is; then joins through it. */
    NODE_PING,      /* A round trip with the node with this id, found by a lookup if need be. */
    NODE_BAN,       /* The peer with this id, for guard.ban_s. */
    NODE_UNBAN,
    NODE_IOU_OWE,    /* amount to the node with this id, due_s from now; bytes: a memo. */
    NODE_IOU_ACCEPT, /* The IOU offered to us; and so on: iou. */
    NODE_IOU_REJECT,
    NODE_IOU_REDEEM,  /* It has been paid. */
    NODE_IOU_DEFAULT, /* It is past due and has not. */
};

struct node_command {
    enum node_command_kind kind;
    uint32_t number; /* Of the driver's choice, not 0; comes back in the event. */
    struct node_id id;
    struct port_addr addr;
    uint32_t salt;
    uint64_t amount;
    uint32_t due_s;
    uint8_t iou[IOU_ID_LEN];
    struct slice bytes; /* Borrowed. At most RECORD_VALUE_MAX, MESSAGE_PAYLOAD_MAX or */
                        /* IOU_MEMO_MAX. */
};

/* Kinds of port_event, and what count[0..3], bytes and about hold. */
enum node_event_kind {
    NODE_JOINED =
        1, /* took_us; status ERR_UNREACHABLE when no bootstrap node answered (it retries). */
    NODE_LOOKUP_DONE, /* messages, hops, found; bytes: uint32_t handles, closest first; about: id.
                       */
    NODE_GET_DONE,    /* messages, hops, age_s; bytes: the value; about: key. */
    NODE_PUT_DONE,    /* durable holders; about: key. PUBLISH and DELETE too. */
    NODE_SENT,        /* messages; about: id. */
    NODE_BROADCAST_SENT, /* about: broadcast id. */
    NODE_MESSAGE,        /* bytes: payload; about: the sender's id. */
    NODE_NEWS,           /* hops, origin's number; bytes: payload; about: broadcast id. */
    NODE_CONNECTED,      /* about: the peer's id, empty when nobody answered. */
    NODE_PINGED,         /* messages; took_us is the round trip itself; about: id. */
    NODE_BANNED,         /* points of its threat, 0 by command; about: id. A notification too. */
    NODE_UNBANNED,       /* status ERR_MISSING when it was not banned; about: id. */
    NODE_IOU_DONE,       /* Durable here; about: the IOU's id, empty when none came to be. */
    NODE_IOU_CHANGED,    /* state (enum iou_state); about: the IOU's id. A notification only. */
};

/* Numbers out. */
struct node_view {
    struct node_id id;
    uint32_t contacts;
    uint32_t sessions;
    uint32_t records;
    uint32_t lookups;
    struct counters counters;
    struct traffic traffic;
    struct nat_counts nat;
    bool is_server; /* Strangers can reach it, so it serves. */
    uint32_t used_bytes[ARENA_USER_COUNT];
    uint32_t arena_bytes;
    bool is_joined;
};

struct node {
    /* What the world gave us, and what every module may use. */
    struct core core;
    const struct node_config *config; /* One per group of a run, shared by its nodes. */

    /* Modules, lowest first. A module calls those above it in this list and speaks to those below
     * through the hooks that node.c fills. */
    struct identity identity;
    struct guard guard;
    struct transport transport;
    struct nat nat;
    struct dht dht;
    struct gossip gossip;
    struct ledger ledger;

    struct pool errands;  /* Commands that need one peer's answer. */
    struct timer enforce; /* Somebody has just been banned. */
    uint64_t started_us;
    bool is_joined;
    bool is_stopping;
};

/* Memory for the node is zeroed by the host. ERR_IO, ERR_FULL. */
int node_init(struct node *node, struct port *port, const struct node_config *config);
int node_start(struct node *node);
void node_on_datagram(struct node *node, int path, const struct port_addr *from,
                      struct slice bytes);
/* Hints, not entries: a datagram from there will arrive soon; it comes next or next but one. They
 * change nothing, and a host need not give them. */
void node_expect(const struct node *node, const struct port_addr *from);
void node_expect_next(const struct node *node, struct slice bytes);
void node_on_path(struct node *node, int path, enum port_path_event event);
void node_on_wake(struct node *node);
void node_on_durable(struct node *node, uint64_t ticket, int status);
void node_on_work(struct node *node, struct port_work *work);
void node_on_resolved(struct node *node, uint32_t ticket, int status, const struct port_addr *addr);
/* ERR_OK and later exactly one event with the command's number, or a negative ERR_* and none. */
int node_submit(struct node *node, const struct node_command *command);
void node_observe(const struct node *node, struct node_view *view);
void node_stop(struct node *node); /* Polite leave. A crash is the absence of this call. */

/* NULL when every module's invariants hold, else what does not. */
const char *node_check(const struct node *node);

#endif /* NODE_NODE_H */
