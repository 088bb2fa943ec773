/* guard.h - how much work others may cause: token buckets per address group, per peer, per node.
 *
 *      datagram  -> guard_admit(addr, cost)    -> transport goes on, or drops in silence
 *      handshake -> guard_admit_handshake()    -> answered, or only against a cookie
 *      message   -> guard_admit_peer(id, cost) -> dispatched, or dropped in silence
 *
 * A bucket is kept as a debt that drains with time: exact in integers, and zeroed memory is a table
 * of full buckets. Tables are fixed: eight slots may hold a subject, the one silent for longest
 * makes room, and who takes a slot takes over its debt. So all subjects together get what the slots
 * of the table can earn, and cycling through addresses buys nothing. Which subjects share slots
 * hangs on a salt that no stranger knows.
 *
 * Under load (the handshake bucket of the whole node is empty) transport asks for cookies. What
 * guard does not do: ban, remember, or tell anybody that it refused.
 */
#ifndef NODE_GUARD_GUARD_H
#define NODE_GUARD_GUARD_H

#include "node/base/core.h"
#include "node/wire/contact.h"

enum {
    GUARD_BURST_MAX = 4000, /* Tokens: a slot counts its debt in millionths, in 32 bits. */
    GUARD_WAYS = 8,         /* Slots that may hold one subject; the smallest table. */
};

struct guard_config {
    uint32_t group_rate;      /* Tokens per second for one address group (IPv4 /24, IPv6 /48). */
    uint32_t group_burst;     /* At most GUARD_BURST_MAX. */
    uint32_t handshake_rate;  /* Handshake answers per second for the whole node before cookies. */
    uint32_t handshake_burst; /* Any number; 0 asks everybody for a cookie. */
    uint16_t groups_max;      /* Slots: a power of two, at least GUARD_WAYS. */
    uint16_t peers_max;       /* The same for authenticated peers. */
    uint32_t peer_rate;       /* Tokens per second for one authenticated peer. */
    uint32_t peer_burst;      /* At most GUARD_BURST_MAX. */
};                            /* A rate of 0 switches its limit off. */

enum guard_cost {
    GUARD_DATA = 1,      /* A datagram of an established session. */
    GUARD_HANDSHAKE = 4, /* Four key agreements. */
};

struct guard_slot {
    uint64_t drained_us; /* When the debt was last brought up to date: when last seen. */
    uint32_t debt_micro; /* Millionths of a token taken and not yet earned back. */
    uint32_t tag;        /* Of the subject; 0 when free. */
};

struct guard {
    struct core *core;
    const struct guard_config *config;
    struct guard_slot *groups; /* Both tables are allocated on first use. */
    struct guard_slot *peers;
    uint64_t salt;
    uint64_t handshake_debt_micro;
    uint64_t handshake_drained_us;
};

/* Draws the salt; allocates nothing. ERR_INVALID when the configuration breaks the limits above. */
NODISCARD int guard_init(struct guard *guard, struct core *core, const struct guard_config *config);

/* True when the group of `addr` may cause work of `cost`; takes the tokens. Counts refusals. A node
 * without memory for the table refuses. */
NODISCARD bool guard_admit(struct guard *guard, const struct port_addr *addr, enum guard_cost cost);

/* A hint: a datagram from `addr` will soon be judged. Changes nothing. */
void guard_expect(const struct guard *guard, const struct port_addr *addr);

/* The same for a peer whose key has been proved. */
NODISCARD bool guard_admit_peer(struct guard *guard, const struct node_id *id,
                                enum guard_cost cost);

/* Takes a handshake token of the whole node; false: answer only those who return a cookie. */
NODISCARD bool guard_admit_handshake(struct guard *guard);

#endif /* NODE_GUARD_GUARD_H */
