/* fake_net_parts.h - what the parts of the fake network share and tests do not see.
 *
 *      fake_net.c (queue, nodes) -> fake_transport.c (events become messages) -> dht
 *      dht -> fake_host.c (memory, storage, clock) and fake_transport.c (calls) -> queue
 */
#ifndef TESTS_UNIT_NODE_DHT_FAKE_NET_PARTS_H
#define TESTS_UNIT_NODE_DHT_FAKE_NET_PARTS_H

#include "fake_net.h"

enum {
    NODES_MAX = 4096,
    CALLS_OPEN_MAX = 128,
    LATENCY_MIN_US = 10000, /* Each end's share of a one-way trip. */
    LATENCY_SPREAD_US = 40000,
    SLOW_US = 350000,
    LOST_US = 3000000,
    RETRANSMIT_US = 800000,
    FLUSH_US = 2000,
    RECORDS_MAX = 1 << 16,
    SLOTS = 1 << 18,
};

enum event_kind {
    EVENT_REQUEST,
    EVENT_REPLY,
    EVENT_SLOW,
    EVENT_LOST,
    EVENT_WAKE,
    EVENT_DURABLE,
    EVENT_VERIFIED,
};

struct event {
    uint64_t at_us;
    uint64_t order;
    enum event_kind kind;
    uint32_t node;
    uint32_t incarnation; /* Of the node: what was meant for an earlier one is not delivered. */
    uint64_t value;       /* Call number, ticket or contact. */
};

struct call {
    uint32_t node; /* Who asked. */
    uint32_t to;
    uint32_t peer; /* PORT_INTERN_NONE for a call by address. */
    struct call_options options;
    uint64_t started_us;
    uint16_t request_len;
    uint16_t reply_len;
    uint8_t request[MESSAGE_MAX];
    uint8_t reply[MESSAGE_MAX];
};

struct net_blob {
    uint8_t key[PORT_KEY_MAX];
    size_t key_len;
    uint8_t *value;
    size_t value_len;
};

struct net {
    struct dht_config config;
    struct rng dice;
    uint64_t seed;
    uint64_t now_us;
    uint64_t wall_us;
    uint32_t loss_per_mille;

    struct net_node *nodes[NODES_MAX];
    uint32_t node_count;

    struct event *heap;
    uint32_t event_count;
    uint32_t event_cap;
    uint64_t event_order;

    struct call **calls; /* By number. */
    uint32_t call_count;
    uint32_t call_cap;

    struct port_intern intern;
    uint8_t *records;
    uint64_t *prefixes;
    uint32_t *references;
    uint32_t *slots; /* Hash table of handles. */
    uint32_t record_count;
};

extern const struct port_ops fake_ops;
extern const struct port_crypto fake_crypto;

void fake_post(struct net *net, uint64_t delay_us, enum event_kind kind, uint32_t node,
               uint64_t value);
void fake_entropy(struct port *port, void *buffer, size_t len);
struct net_blob *fake_find_blob(struct net_node *node, struct slice key);
void fake_deliver(struct net *net, const struct event *event); /* To the transport's part. */
void fake_close_call(struct net *net, uint32_t number);

#endif /* TESTS_UNIT_NODE_DHT_FAKE_NET_PARTS_H */
