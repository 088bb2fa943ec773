/* guard.h - how much work others may cause, and who has gone too far.
 *
 *      datagram  -> guard_admit(addr, ...)    -> transport goes on, or drops it
 *      handshake -> guard_admit_handshake()   -> answered, or only against a cookie
 *      key       -> guard_is_banned(id)       -> goes on, or silence
 *      request   -> guard_admit_peer(id)      -> dispatched, or dropped in silence
 *      offence   -> guard_offend(id, which)   -> threat rises; HIGH: hooks.banned
 *
 * Buckets are kept as debts that drain with time: exact in integers, and zeroed memory is a table
 * of full buckets. Tables are fixed; which subjects share slots hangs on a salt that no stranger
 * knows. Address groups cost nothing to come by, so who takes the slot of another group takes over
 * its debt. Peers have proved a key behind an address that had to be admitted, so they start clean:
 * docs/modules/guard.md has the numbers.
 *
 * Only a peer that has proved its key within a round trip can offend, and only by what it said in a
 * session: nobody is banned for what somebody else could have sent in their name.
 *
 * What guard does not do: tell anybody that it refused, or keep bans over a restart.
 */
#ifndef NODE_GUARD_GUARD_H
#define NODE_GUARD_GUARD_H

#include "node/base/core.h"
#include "node/wire/contact.h"

enum {
    GUARD_BURST_MAX = 4000, /* Tokens: a group's slot counts its debt in millionths, in 32 bits. */
    GUARD_WAYS = 8,         /* Slots that may hold one subject; the smallest table. */
    GUARD_REQUESTS_MAX = 60000000, /* Upper bound of both limits of a peer. */
    GUARD_THREAT_MAX = 4000,       /* Points, in millionths in 32 bits. */
    GUARD_TRUST_NEUTRAL = 500000,  /* Millionths: the middle of node/ledger/trust.h. */
};

/*    name        text         why it weighs what it does by default: docs/modules/guard.md */
#define GUARD_OFFENCES(X)                                                                          \
    X(EXCESS, "excess")       /* A request over the peer's limits. */                              \
    X(UNASKED, "unasked")     /* An answer to no question of ours; late ones are honest. */        \
    X(UNKNOWN, "unknown")     /* A message of a kind we do not know; a newer node has some. */     \
    X(MALFORMED, "malformed") /* A message of a known kind in no form it can have. */              \
    X(FORGED, "forged")       /* A record or broadcast whose signature or hash is wrong. */

enum guard_offence {
#define GUARD_OFFENCE_ENUM(name, text) GUARD_##name,
    GUARD_OFFENCES(GUARD_OFFENCE_ENUM)
#undef GUARD_OFFENCE_ENUM
        GUARD_OFFENCE_COUNT
};

enum guard_threat {
    GUARD_LOW,
    GUARD_MEDIUM, /* Told by a trace event and a counter. */
    GUARD_HIGH,   /* Banned. */
};

struct guard_config {
    uint32_t group_rate;      /* Tokens per second for one address group (IPv4 /24, IPv6 /48). */
    uint32_t group_burst;     /* At most GUARD_BURST_MAX. */
    uint32_t handshake_rate;  /* Handshake answers per second for the whole node before cookies. */
    uint32_t handshake_burst; /* Any number; 0 asks everybody for a cookie. */
    uint32_t peer_per_minute; /* Requests of one authenticated peer: both limits hold. The burst */
    uint32_t peer_per_hour;   /* is the limit itself. */
    /* A rate of 0 switches its limit off. */
    uint16_t groups_max;                   /* Slots: a power of two, at least GUARD_WAYS. */
    uint16_t peers_max;                    /* The same for authenticated peers. */
    uint16_t bans_max;                     /* The oldest makes room. At least 1. */
    uint16_t threat_medium;                /* Points. */
    uint16_t threat_high;                  /* At most GUARD_THREAT_MAX; 0: nobody is banned. */
    uint16_t threat_decay;                 /* Points forgiven per second. */
    uint16_t weights[GUARD_OFFENCE_COUNT]; /* Points of an offence of each kind. */
    uint32_t ban_s;                        /* How long a ban lasts. */
};

enum guard_cost {
    GUARD_DATA = 1,      /* A datagram of an established session. */
    GUARD_HANDSHAKE = 4, /* Four key agreements. */
};

/* Filled by node.c; any of them may be NULL. */
struct guard_hooks {
    void *arg;
    /* Trust in a peer in millionths, 0..1,000,000: scales its limits. NULL: neutral. */
    uint32_t (*trust)(void *arg, const struct node_id *id);
    /* A peer has offended, whatever comes of it. No call back into guard. */
    void (*offended)(void *arg, const struct node_id *id, enum guard_offence which);
    /* A peer has been banned for its offences. No call back into guard but for questions. */
    void (*banned)(void *arg, const struct node_id *id, uint32_t points);
};

/* Whether the sender has shown that it receives at its address. Anybody can write in any name, so
 * those who have not can never crowd out those who have: each has a table of its own. */
enum guard_standing {
    GUARD_STRANGER,
    GUARD_PROVED, /* A session with that address, or a cookie that was sent there. */
    GUARD_STANDINGS,
};

struct guard_slot {
    uint64_t drained_us; /* When the debt was last brought up to date: when last seen. */
    uint32_t debt_micro; /* A group's: millionths of a token taken and not yet earned back. A */
                         /* peer's: its threat, in millionths of a point. */
    uint32_t tag;        /* Of the subject; 0 when free. */
};

/* A limit of N in a period of P microseconds: a request costs P units, N units drain in each
 * microsecond, and N * P is the burst. So any N is exact. */
struct guard_peer {
    struct guard_slot slot;
    uint64_t minute_debt;
    uint64_t hour_debt;
};

struct guard_ban {
    struct node_id id;
    uint32_t points; /* Of its threat when it was banned; 0: by hand. */
    uint64_t until_us;
};

struct guard {
    struct core *core;
    const struct guard_config *config;
    struct guard_hooks hooks;
    struct guard_slot *groups[GUARD_STANDINGS]; /* All tables are allocated on first use. */
    struct guard_peer *peers;
    struct guard_ban *bans;
    uint64_t salt;
    uint64_t handshake_debt_micro;
    uint64_t handshake_drained_us;
    uint16_t ban_count;
};

/* Draws the salt; allocates nothing. ERR_INVALID when the configuration breaks the limits above. */
NODISCARD int guard_init(struct guard *guard, struct core *core, const struct guard_config *config,
                         const struct guard_hooks *hooks);

/* True when the group of `addr` may cause work of `cost`; takes the tokens. Counts refusals. A node
 * without memory for the table refuses. */
NODISCARD bool guard_admit(struct guard *guard, const struct port_addr *addr,
                           enum guard_standing standing, enum guard_cost cost);

/* A hint: a datagram from `addr` will soon be judged. Changes nothing. */
void guard_expect(const struct guard *guard, const struct port_addr *addr);

/* The same for a request of a peer whose key has been proved. Early requests may be replays of what
 * the peer sent long ago: they have an allowance of their own, and to exceed it is no offence. */
NODISCARD bool guard_admit_peer(struct guard *guard, const struct node_id *id, bool is_early);

/* Takes a handshake token of the whole node; false: answer only those who return a cookie. */
NODISCARD bool guard_admit_handshake(struct guard *guard);

/* The peer has done what no peer should, in a session with us. */
void guard_offend(struct guard *guard, const struct node_id *id, enum guard_offence which);

/* How much of a threat the peer is now. */
enum guard_threat guard_threat_of(const struct guard *guard, const struct node_id *id);
const char *guard_offence_text(enum guard_offence which);

/* --- bans ---------------------------------------------------------------------------------- */

/* For config.ban_s from now, whether banned before or not. ERR_FULL without memory. Calls no hook.
 */
int guard_ban(struct guard *guard, const struct node_id *id, uint32_t points);
/* ERR_MISSING when it is not banned. */
int guard_unban(struct guard *guard, const struct node_id *id);

bool guard_ban_find(const struct guard *guard, const struct node_id *id);
/* Ban number `number` of those that have not ended, oldest first; NULL behind the last. */
const struct guard_ban *guard_ban_at(const struct guard *guard, uint32_t number);

/* Almost always there are no bans at all. */
static inline bool guard_is_banned(const struct guard *guard, const struct node_id *id)
{
    return guard->ban_count > 0 && guard_ban_find(guard, id);
}

#endif /* NODE_GUARD_GUARD_H */
