/* check.h - what must hold in every run, whatever the scenario: looked at while it runs.
 *
 *      table and sessions  node_check: every module's own invariants; at most one session per peer
 *      senders             nothing arrives from a node that never started, or has been down for
 * long durability          who held a record when its put was acknowledged, and has not been down
 *                          since, still holds it until it expires (unless its store is full)
 *      memory              what a node uses fits what it was given; what nodes were given is what
 *                          the world has counted
 *
 * At each tick a rotating share of nodes and keys is looked at, so that the cost stays below 2 % of
 * a run; at its end everything is. Checks read and never change anything.
 *
 *      world, population -> check_tick, check_event, check_finish -> violation(node, what)
 */
#ifndef SIM_CHECK_CHECK_H
#define SIM_CHECK_CHECK_H

#include "sim/population/population.h"

enum {
    /* No queue of the network holds a datagram for so long. */
    CHECK_FLIGHT_US = 60000000,
    CHECK_NODE_SHARE = 2048, /* One in so many nodes per tick, and at least CHECK_NODES_MIN. */
    CHECK_NODES_MIN = 4,
    CHECK_KEYS_PER_TICK = 8,
    CHECK_EVENT_SHARE = 16, /* One in so many of a node's datagrams has its sender looked up. */
};

struct check {
    struct world *world;
    struct population *population;
    /* May be called on several threads at once. */
    void (*violation)(void *arg, uint32_t node, const char *what);
    void *arg;
    uint32_t node_next;
    uint32_t key_next;
};

void check_tick(struct check *check);
/* For world_hooks.dispatched. */
void check_event(struct check *check, const struct event *event, uint32_t kind);
void check_finish(struct check *check);

/* The single checks: NULL, or what is wrong. */
const char *check_node(const struct host *host);
const char *check_memory(const struct host *host);
const char *check_memory_sum(struct world *world);
const char *check_sender(const struct population *population, uint32_t sender, uint64_t now_us);
/* *node is the holder that broke its promise. */
const char *check_key(const struct population *population, const struct key *key, uint32_t *node);

#endif /* SIM_CHECK_CHECK_H */
