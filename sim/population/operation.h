/* operation.h - operations under way: a table of slots, and for each node the list of its own.
 *
 * A slot's number is the command number that node and driver use, and the first bytes of a message
 * or broadcast name slot and serial, so that whoever receives it can be connected with its start. A
 * serial is never used twice; a slot is.
 *
 *      arrival -> operation_begin -> host_submit ... event -> judge -> operation_free
 *
 * An operation whose node goes away ends as nobody's success or failure: who asked never learned.
 */
#ifndef SIM_POPULATION_OPERATION_H
#define SIM_POPULATION_OPERATION_H

#include "node/node.h"

struct population;
struct host;

enum operation_kind {
    OPERATION_LOOKUP,
    OPERATION_GET,
    OPERATION_STORE,
    OPERATION_MESSAGE,
    OPERATION_BROADCAST,
};

enum {
    OPERATION_NODES_MAX = DHT_K_MAX,
    OPERATION_TAG_LEN = 8, /* Of a payload: slot and serial. Shorter payloads grow to this. */
};

#define OPERATION_NO_KEY UINT32_MAX

struct operation {
    uint64_t start_us;
    uint64_t delivered_us; /* Message: when it arrived; 0 until then. */
    uint64_t news;         /* Broadcast: the network's counters at its start. */
    uint64_t duplicates;
    uint64_t *arrived_us;  /* Broadcast: by node, 0 where it has not; else NULL. */
    struct node_id target; /* Lookup, get, message. */
    uint32_t node;
    uint32_t next;   /* Of the same node, + 1; of the free list, + 1. */
    uint32_t serial; /* 0: the slot is free. */
    uint32_t key;    /* Number, or OPERATION_NO_KEY. */
    uint32_t receiver;
    uint16_t bytes;
    uint8_t kind;
    uint8_t node_count;
    /* Lookup: the truly nearest at its start, closest first. Get: some living holders then. */
    uint32_t nodes[OPERATION_NODES_MAX];
};

struct operations {
    struct operation *slots;
    uint32_t count;
    uint32_t cap;
    uint32_t free; /* Slot + 1. */
    uint32_t serial;
};

/* A message that has arrived: its ends may still be finding a better way to each other. */
struct settling {
    uint64_t start_us;
    uint64_t due_us;
    uint32_t node;
    uint32_t receiver;
};

/* What became of an operation. Fields that make no sense for its kind are 0. */
struct operation_end {
    enum operation_kind kind;
    uint64_t start_us;
    uint32_t node;
    uint32_t receiver; /* Message. */
    uint64_t took_us;
    uint32_t hops;
    uint32_t messages;
    uint32_t holders;
    uint32_t bytes;
    double reach_ratio;
    uint64_t t50_us; /* 0: half was never reached. */
    uint64_t t99_us;
    double duplicate_ratio;
    bool is_judged; /* is_ok means something: nothing beyond the node's power got in the way. */
    bool is_ok;
    bool is_exact_judged;
    bool is_exact;
    bool is_lost; /* Get: no living node held the value. */
};

void operations_open(struct operations *operations);
void operations_close(struct operations *operations);

/* Begins an operation of work number `work` on the host's node, if the node takes part. */
void operation_begin(struct population *population, struct host *host, uint32_t work);
/* Forgets it, and tells nobody. */
void operation_free(struct population *population, struct operation *operation);
/* Forgets all of the node's. */
void operation_free_all(struct population *population, uint32_t node);

/* The open operation of this number, or NULL. */
struct operation *operation_at(struct operations *operations, uint32_t number);
/* The open operation that a payload's first bytes name, or NULL. */
struct operation *operation_of(struct operations *operations, struct slice payload);

/* judge.c: an event of a node that ends an operation, or shows that one arrived. */
void judge_delivered(struct population *population, struct host *host,
                     const struct port_event *event);
/* The command was not accepted: that ends the operation too. */
void judge_refused(struct population *population, struct operation *operation);
/* Ends the broadcasts that are old enough. */
void judge_broadcasts(struct population *population, uint64_t now_us);
/* Tells of the messages that arrived long enough ago. */
void judge_settling(struct population *population, uint64_t now_us);

#endif /* SIM_POPULATION_OPERATION_H */
