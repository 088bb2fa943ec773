/* mesh.h - many gossip modules over a transport and a dht of a few lines each.
 *
 *      gossip -> transport_call (toy) -> encode -> latency, loss, retransmission -> decode ->
 * gossip round trip -> table (toy: Kademlia buckets, old contacts stay) -> gossip_on_change
 *
 * The program defines the functions of transport.h and dht.h that gossip calls, so the real modules
 * are not linked: what is tested here is gossip alone, on as many nodes as it takes, with all that
 * is said between them on the record. One mesh at a time per process.
 */
#ifndef TESTS_UNIT_NODE_GOSSIP_MESH_H
#define TESTS_UNIT_NODE_GOSSIP_MESH_H

#include "node/gossip/gossip.h"

enum {
    MESH_K = 20,            /* Bucket size. */
    MESH_TABLE_MAX = 512,   /* Contacts of one node. */
    MESH_TRIES_MAX = 3,     /* Transmissions of one request. */
    MESH_RETRY_US = 500000, /* Between them. */
};

struct mesh_options {
    uint32_t nodes;
    uint64_t seed;
    uint32_t loss_in_1000; /* Of each datagram. */
    uint64_t latency_min_us;
    uint64_t latency_max_us;
    struct gossip_config gossip;
};

struct mesh_node {
    struct port port;
    struct core core;
    struct identity identity;
    struct gossip gossip;
    uint32_t contact; /* Own handle. */

    uint32_t table[MESH_TABLE_MAX];
    uint32_t table_count;
    bool is_dead;    /* Hears nothing. */
    bool is_content; /* Its dht seeks nobody. */

    uint32_t offences; /* Of others, complained of. */
    uint32_t news;     /* Broadcasts heard of. */
    struct message_broadcast news_last;
    uint8_t news_bytes[MESSAGE_PAYLOAD_MAX];
    uint32_t calls_open;
};

/* One request as first sent. */
struct mesh_sent {
    uint64_t at_us;
    uint32_t from; /* Node numbers. */
    uint32_t to;
    uint8_t kind;
    uint8_t ttl;  /* EXCHANGE */
    uint8_t hops; /* BROADCAST */
    uint16_t bloom_len;
    struct port_addr addr; /* Called. */
};

struct mesh {
    struct mesh_options options;
    uint64_t now_us;
    struct mesh_node *nodes;
    struct mesh_sent *sent;
    uint32_t sent_count;
    uint32_t transmissions; /* With retransmissions, without answers. */
    struct rng rng;
    const struct message_contacts *forged; /* When set, what every EXCHANGE is answered with. */
    uint32_t (*priority)(void *arg, uint32_t peer); /* Hook of all nodes; set before mesh_start. */
};

extern struct mesh mesh;

/* Nodes with identities and empty tables. */
void mesh_open(const struct mesh_options *options);
void mesh_close(void);

/* Starts gossip on a node. */
void mesh_start(uint32_t node);

/* `node` learns of `peer` as after a round trip; false when there is no room. */
bool mesh_know(uint32_t node, uint32_t peer);
bool mesh_knows(uint32_t node, uint32_t peer);

/* Tables as a mesh has them that grew one node at a time: each newcomer meets all that are there in
 * random order, and they it; full buckets keep whom they have. */
void mesh_grow_tables(void);

void mesh_run_until(uint64_t until_us);

/* A request of one node to another outside of gossip's own doing; its answer's kind, or 0 for none,
 * is in *answer when the mesh has run for long enough. */
void mesh_ask(uint32_t from, uint32_t to, const struct message *request, struct message *answer);

/* The node number of a contact handle; nodes of the mesh only. */
uint32_t mesh_node_of(uint32_t contact);

/* Requests of this kind in the record from `since` on. */
uint32_t mesh_sent_count(uint8_t kind, uint32_t since);

/* How many nodes have heard `count` broadcasts. */
uint32_t mesh_heard(uint32_t count);

/* gossip_check() of all nodes: NULL or the first complaint. */
const char *mesh_check(void);

#endif /* TESTS_UNIT_NODE_GOSSIP_MESH_H */
