/* fake_net.h - many dhts on one clock, over a transport that is an event queue.
 *
 * Stands in for node/transport and for a host, so that the dht is tested alone: a call is a message
 * that arrives later, is late, or is lost. Messages cross as encoded bytes. Everything is a
 * function of the seed.
 *
 *      dht -> transport_call -> queue -> dht_on_find_node ... -> transport_reply -> queue -> done
 *      dht -> store_put, store_commit -> memory; queue -> dht_on_durable
 */
#ifndef TESTS_UNIT_NODE_DHT_FAKE_NET_H
#define TESTS_UNIT_NODE_DHT_FAKE_NET_H

#include "node/dht/dht.h"

#define MILLISECOND UINT64_C(1000)
#define SECOND      UINT64_C(1000000)
#define MINUTE      (60 * SECOND)

struct net;

struct net_node {
    struct port port;
    struct core core;
    struct identity identity;
    struct transport transport;
    struct dht dht;
    struct net *net;
    struct port_addr addr;
    uint32_t contact; /* Handle of its own contact. */
    uint32_t index;
    uint32_t incarnation;
    bool is_alive;
    bool is_started;
    bool is_joined;
    int join_status;
    uint32_t join_reports;
    uint64_t joined_us;

    uint64_t wake_us;
    uint32_t calls_open;
    uint32_t requests_got[256]; /* By message kind. */
    uint32_t offences;          /* It complained of. */
    uint32_t offender;          /* Contact of the last. */

    /* The world's misbehaviour, set by tests. */
    uint64_t delay_us;     /* Added to each of its answers. */
    uint32_t chunks_left;  /* Memory: arena_more fails at 0. */
    bool is_disk_refusing; /* store_put fails. */
    bool is_disk_failing;  /* Commits end with ERR_IO. */
    bool is_disk_stuck;    /* Commits do not end until it is free again. */
    bool is_liar;          /* Answers FIND_NODE with contacts that do not exist. */

    void **chunks;
    uint32_t chunk_count;
    size_t bytes_given;
    struct net_blob *blobs;
    uint32_t blob_count;
};

struct net *net_open(uint64_t seed, const struct dht_config *config);
/* Stops every node; true when no reference to an interned contact was left over. */
bool net_close(struct net *net);

struct dht_config net_config(void); /* What most tests want. */

/* One more node, initialised but not started. NULL when its dht could not be. */
struct net_node *net_add(struct net *net);
/* The same at an address of the caller's choice; its port must be net_next_port(net). */
struct net_node *net_add_at(struct net *net, const struct port_addr *addr);
/* The same with `chunks` pieces of memory. */
struct net_node *net_add_poor(struct net *net, uint32_t chunks);
void net_add_many(struct net *net, uint32_t count);
struct net_node *net_at(struct net *net, uint32_t index);
uint32_t net_size(const struct net *net);
struct port_addr net_addr(uint32_t index); /* One address group each. */

/* Fills every table as well as it can be: all of a bucket's range, or k of it at random. */
void net_fill_tables(struct net *net);
void net_start(struct net_node *node, struct net_node *through); /* NULL: nobody. */
/* Starts all, with no joins: their tables are filled. */
void net_start_all(struct net *net);
/* They answer, but do nothing on their own. */
void net_serve_all(struct net *net);
void net_kill(struct net_node *node);
/* A dead node comes back with its storage and nothing else. */
void net_revive(struct net_node *node, struct net_node *through);

void net_wipe(struct net_node *node); /* A dead node loses its storage too. */

void net_run_for(struct net *net, uint64_t delay_us);
uint64_t net_now(const struct net *net);
void net_set_clock(struct net_node *node); /* To now, for a look at it between events. */
void net_jump_wall(struct net *net, uint64_t forward_us); /* The wall clock alone. */
struct rng *net_dice(struct net *net);
void net_set_loss(struct net *net,
                  uint32_t per_mille); /* Of datagrams; each is sent three times. */

/* The k living started nodes nearest to target, `except` left out. Returns how many. */
uint32_t net_true_nearest(struct net *net, const struct node_id *target,
                          const struct net_node *except, uint32_t *handles, uint32_t max);
struct net_node *net_by_contact(struct net *net, uint32_t handle);
uint32_t net_holders(struct net *net, const struct node_id *key); /* Living ones. */
uint32_t net_requests(struct net *net, uint8_t kind);             /* Received by all, ever. */
struct node_id net_random_id(struct net *net);

/* Runs a lookup to its end. */
struct net_found {
    bool is_done;
    int status;
    uint32_t took_us;
    uint16_t messages;
    uint8_t hops;
    uint8_t count;
    uint32_t nearest[DHT_K_MAX];
    bool has_record;
    struct dht_record_copy copy;
    uint32_t age_s;
};
struct net_found net_lookup(struct net_node *node, const struct node_id *target,
                            enum lookup_kind kind);

struct net_put {
    bool is_done;
    uint32_t reports;
    struct put_result result;
};
struct net_put net_publish(struct net_node *node, enum record_kind kind, uint32_t salt,
                           const char *text);
void net_on_found(void *owner, uint32_t tag, const struct lookup_result *result);
void net_on_put(void *owner, uint32_t tag, const struct put_result *result);

/* A record signed by the node, and one STORE of it straight into another's dht, answer awaited. */
struct record net_record(struct net_node *publisher, uint32_t salt, uint64_t sequence,
                         const char *text);
struct message_stored net_store(struct net_node *holder, struct net_node *sender,
                                const struct record *record, uint32_t age_s, bool is_cache);

/* STOREs whose answers are counted as they come. */
struct net_tally {
    uint32_t answers;
    uint32_t full;
    uint32_t durable;
};
void net_store_later(struct net_node *holder, struct net_node *sender, const struct record *record,
                     struct net_tally *tally);

/* One FIND_NODE and its answer. */
struct message_contacts net_ask(struct net_node *asker, struct net_node *node,
                                const struct node_id *target);

/* Takes calls of the node, to somebody who never answers, until `left` are free: for LOST_US. */
void net_take_calls(struct net_node *node, uint32_t left);

/* The node serves, under `key`, what it holds under `other`. */
bool net_swap_record(struct net_node *node, const struct node_id *key, const struct node_id *other);
/* Replaces a text in a record on the node's disk by another of the same length. */
bool net_alter_record(struct net_node *node, const struct node_id *key, const char *from,
                      const char *to);

#endif /* TESTS_UNIT_NODE_DHT_FAKE_NET_H */
