/* arena.h - a node's memory: chunks from the host, handed out for good or lent for a while.
 *
 *      port_ops.arena_more -> struct arena -> arena_alloc -> tables of the modules, for good
 *                                          -> arena_take, arena_give_back -> pools
 *
 * Every allocation names its module, so that a run can print who uses what. Memory is zeroed. A
 * node that reaches its declared maximum gets NULL and answers by its table's when-full policy.
 */
#ifndef NODE_BASE_ARENA_H
#define NODE_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_USERS(X)                                                                             \
    X(NODE, "node")                                                                                \
    X(TIMERS, "timers")                                                                            \
    X(GUARD, "guard")                                                                              \
    X(SESSIONS, "sessions")                                                                        \
    X(CALLS, "calls")                                                                              \
    X(NAT, "nat")                                                                                  \
    X(TABLE, "dht table")                                                                          \
    X(LOOKUPS, "dht lookups")                                                                      \
    X(RECORDS, "dht records")                                                                      \
    X(GOSSIP, "gossip")                                                                            \
    X(LEDGER, "ledger")

enum arena_user {
#define ARENA_ENUM(name, text) ARENA_##name,
    ARENA_USERS(ARENA_ENUM)
#undef ARENA_ENUM
        ARENA_USER_COUNT
};

struct port;

struct arena {
    struct port *port;
    uint8_t *next;
    uint8_t *end;
    uint32_t used_bytes[ARENA_USER_COUNT];
    uint32_t chunk_bytes; /* What the host has given, spare room included. */
};

void arena_init(struct arena *arena, struct port *port);

/* Zeroed, aligned to 8. NULL at the node's maximum. */
void *arena_alloc(struct arena *arena, enum arena_user user, size_t bytes);

/* The same, straight from the host, to be given back with the same number of bytes. */
void *arena_take(struct arena *arena, enum arena_user user, size_t bytes);
void arena_give_back(struct arena *arena, enum arena_user user, void *memory, size_t bytes);

#endif /* NODE_BASE_ARENA_H */
