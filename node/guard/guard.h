/* guard.h - how much work a stranger may cause: token buckets per peer and per address group.
 *
 *      datagram -> guard_admit(addr, cost) -> transport goes on, or drops in silence
 *
 * Fixed tables; the oldest entry makes room, and a newcomer to a full table starts with an emptied
 * bucket share, so that cycling addresses buys nothing. Under load (the handshake bucket of the whole
 * node is empty) transport asks for cookies: guard_is_loaded().
 */
#ifndef NODE_GUARD_GUARD_H
#define NODE_GUARD_GUARD_H

#include "node/base/core.h"

struct guard_config {
    uint32_t group_rate;       /* Tokens per second for one address group (IPv4 /24, IPv6 /48). */
    uint32_t group_burst;
    uint32_t handshake_rate;   /* Handshake answers per second for the whole node before cookies. */
    uint32_t handshake_burst;
    uint16_t groups_max;       /* Table size, a power of two. */
};

enum guard_cost {
    GUARD_DATA = 1,       /* A datagram of an established session. */
    GUARD_HANDSHAKE = 4,  /* Four key agreements. */
};

struct guard_entry {
    uint32_t tag; /* Of the address group; 0 when free. */
    uint32_t tokens_milli;
    uint64_t refilled_us;
};

struct guard {
    struct core *core;
    const struct guard_config *config;
    struct guard_entry *entries; /* Allocated on first use. */
    uint64_t salt;               /* Hidden from strangers: who shares a slot is not theirs to choose. */
    uint64_t handshake_milli;
    uint64_t handshake_refilled_us;
};

int guard_init(struct guard *guard, struct core *core, const struct guard_config *config);

/* True when `addr`'s group may cause work of `cost`; takes the tokens. Counts refusals. */
bool guard_admit(struct guard *guard, const struct port_addr *addr, enum guard_cost cost);

/* Takes a handshake token of the whole node; false: answer only those who return a cookie. */
bool guard_admit_handshake(struct guard *guard);

#endif /* NODE_GUARD_GUARD_H */
