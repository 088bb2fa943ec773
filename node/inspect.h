/* inspect.h - a node's tables, row by row, for whoever shows them: shell, HTTP edge, tests.
 *
 * Reading only, between entries (host_enter): a visitor may not call into the node, and what it is
 * given is borrowed for the call. Numbers are in node_observe; this is for what has rows.
 *
 *      node_inspect_peers(node, visit, arg) -> visit(arg, row) for each
 */
#ifndef NODE_INSPECT_H
#define NODE_INSPECT_H

#include "node/node.h"

enum {
    INSPECT_NEVER_S = -1, /* In fields that count seconds since. */
};

/* Somebody we know: in the routing table, in a session with us, or both. */
struct inspect_peer {
    const struct contact *contact; /* Key, id, address. */
    int32_t bucket;                /* In the routing table; -1 when it is not. */
    uint32_t losses;               /* Answers missed in a row. */
    int64_t heard_s;               /* Since it was last heard of. */
    bool has_session;
    bool is_client;              /* It serves nobody: strangers cannot reach it. */
    enum nat_way way;            /* Of the session; NAT_WAY_NONE without one. */
    const struct contact *relay; /* NULL unless the way is relayed. */
    bool is_initiator;           /* We opened it. */
    uint32_t rtt_us;             /* Smoothed; 0 before the first sample. */
    uint64_t age_s;              /* Of the session's keys. */
    uint64_t sent;               /* Datagrams over the session, */
    uint64_t received;           /* by the peer's count: those lost on the way are in it. */
    uint32_t trust_micro;        /* Millionths, 0..1,000,000: node/ledger/trust.h. */
    enum guard_threat threat;
};

/* Somebody once verified, remembered over restarts. */
struct inspect_known {
    const struct contact *contact;
    uint64_t seen_s; /* Unix time. */
    uint32_t trust_micro;
    bool is_connected; /* Also an inspect_peer now. */
};

struct inspect_bucket {
    uint32_t index; /* Leading bits shared with our id. */
    uint32_t count;
    uint32_t spares;
};

struct inspect_ban {
    struct node_id id;
    uint64_t until_s;  /* From now. */
    uint32_t offences; /* Points of its threat when it was banned; 0: by hand. */
};

typedef void (*inspect_peer_fn)(void *arg, const struct inspect_peer *peer);
typedef void (*inspect_known_fn)(void *arg, const struct inspect_known *known);
typedef void (*inspect_bucket_fn)(void *arg, const struct inspect_bucket *bucket);
typedef void (*inspect_ban_fn)(void *arg, const struct inspect_ban *ban);

/* Contacts of the table, nearest bucket last, then peers with a session only. */
void node_inspect_peers(const struct node *node, inspect_peer_fn visit, void *arg);
void node_inspect_known(const struct node *node, inspect_known_fn visit, void *arg);
void node_inspect_buckets(const struct node *node, inspect_bucket_fn visit, void *arg);
void node_inspect_bans(const struct node *node, inspect_ban_fn visit, void *arg);

/* The peer with this id; false when it is neither contact nor session. */
bool node_inspect_peer(const struct node *node, const struct node_id *id,
                       struct inspect_peer *peer);

#endif /* NODE_INSPECT_H */
