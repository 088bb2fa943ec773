/* napt_table.h - what a NAT box keeps: sessions, mappings and inside hosts, and how they are found.
 *
 *      (protocol, inside, remote)        -> leaving chains  --+
 *      (protocol, external end, remote)  -> arriving chains --+-> session -> mapping -> host
 *      (protocol, inside, scope)         -> wanted chains   ------------------^
 *      (protocol, external end)          -> port chains     ------------------^
 *
 * For napt.c, napt_map.c and napt_check.c alone. Records lie in arrays and are named by their
 * index; chains are hash tables whose links lie in the records. Everything is sized on use: a box
 * that nobody has used is its struct. What has expired stays until somebody meets it, or until a
 * number depends on it: then one sweep takes out all of it. No result depends on the order of a
 * chain.
 *
 * A session is one of four things to the chains:
 *   - ordinary: in both;
 *   - aside: another mapping has taken over its remote end, so it is found by what arrives only;
 *   - poison: no mapping, in the arriving chains only (NAPT_UNSOLICITED_POISONS);
 *   - free: in the list of free ones.
 * Under address-dependent filtering the arriving chains leave the remote port out of the hash, so
 * that all sessions with one address are in one chain.
 */
#ifndef SIM_NET_NAPT_TABLE_H
#define SIM_NET_NAPT_TABLE_H

#include <stddef.h>

#include "sim/net/napt.h"

#define NAPT_NONE UINT32_MAX

enum napt_session_flag {
    NAPT_SENT = 1,     /* From inside, by this session. */
    NAPT_ANSWERED = 2, /* From outside. */
    NAPT_ENDED = 4,    /* FIN or RST, either way. */
    NAPT_ASIDE = 8,
    NAPT_POISON = 16,
    NAPT_FREE = 32,
};

/* What a packet touches: half a cache line. The ends are copies, so that it is all. */
struct napt_session {
    uint64_t expires_us;
    uint32_t inside_ip;
    uint32_t remote_ip;
    uint16_t inside_port;
    uint16_t remote_port;
    uint16_t external_port;
    uint8_t protocol;
    uint8_t flags;
    uint32_t next_leaving;
    uint32_t next_arriving; /* Or the next free one. */
};

_Static_assert(sizeof(struct napt_session) == 32, "two sessions are a cache line");

/* The rest of a session, in an array beside. */
struct napt_owner {
    uint32_t mapping; /* NAPT_NONE for poison. */
    uint32_t next;    /* Session of the same mapping. */
    uint32_t previous;
};

struct napt_mapping {
    uint64_t request_until_us; /* 0: not on request. */
    uint32_t inside_ip;
    uint32_t scope_ip; /* The remote end it is for, as far as its scope goes: else 0. */
    uint16_t inside_port;
    uint16_t scope_port;
    uint16_t external_port;
    uint8_t protocol;
    bool is_free;
    bool is_private; /* Found through its session alone: made because of poison. */
    uint32_t host;
    uint32_t first; /* Session. */
    uint32_t next_wanted;
    uint32_t next_port; /* Or the next free one. */
};

struct napt_host { /* An inside address; never forgotten. */
    uint32_t ip;
    uint32_t next;
    uint32_t mappings;
    uint32_t sessions;
    uint32_t sessions_most;
    uint16_t port_next; /* Sequential ports within its block: offset of the next. */
};

/* As many chains as the records they hold have room. */
struct napt_chains {
    uint32_t *heads;
    uint32_t mask; /* Of the hash; the chains of the second kind come mask + 1 later. */
};

struct napt {
    /* The first cache line is what a packet of a known session touches. */
    _Alignas(64) const struct napt_config *config;
    struct napt_session *sessions;     /* One allocation with their owners and chains. */
    struct napt_chains session_chains; /* Leaving, arriving. */
    uint64_t now_us;
    uint64_t sweep_us; /* Nothing expires before. */
    uint32_t external_ip;
    uint32_t session_cap;
    uint32_t session_count; /* Poison not included. */
    uint32_t poison_count;

    /* And the next two what a new session touches. */
    struct napt_owner *owners;
    struct napt_mapping *mappings;     /* One allocation with their chains. */
    struct napt_chains mapping_chains; /* Wanted, port. */
    struct napt_host *hosts;           /* first_host, while there is no other. */
    uint32_t session_free;
    uint32_t sessions_most;
    uint32_t mapping_cap;
    uint32_t mapping_free;
    uint32_t private_count; /* Mappings that are private. */
    uint32_t request_count; /* Mappings that have been on request, over or not. */

    struct napt_host first_host;
    uint32_t mapping_count;
    uint32_t host_cap;
    uint32_t host_count;
    uint16_t port_next;             /* Sequential ports: offset of the next. */
    struct napt_chains host_chains; /* One kind; none for a single host. */
    struct rng rng;
    uint64_t fates[NAPT_FATE_COUNT];
};

_Static_assert(offsetof(struct napt, owners) == 64 && offsetof(struct napt, first_host) == 128,
               "what packets touch is one cache line");

/* The chain of two words that together are a key, as a number below mask + 1. */
static inline uint32_t napt_chain(uint64_t a, uint64_t b, uint32_t mask)
{
    uint64_t mixed = (a ^ (b * 0x9e3779b97f4a7c15u)) * 0xbf58476d1ce4e5b9u;
    mixed ^= mixed >> 32;
    return (uint32_t)((mixed * 0x94d049bb133111ebu) >> 32) & mask;
}

static inline uint64_t napt_word(struct napt_end end, unsigned more)
{
    return (uint64_t)end.ip << 32 | (uint64_t)end.port << 16 | more;
}

/* An external end as a key: the port, and for a firewall, which has many addresses, the address. */
static inline struct napt_end napt_outer_key(const struct napt *nat, struct napt_end external)
{
    return (struct napt_end){nat->config->is_firewall ? external.ip : 0, external.port};
}

static inline uint32_t napt_leaving_chain(const struct napt *nat, unsigned protocol,
                                          struct napt_end inside, struct napt_end remote)
{
    return napt_chain(napt_word(inside, protocol), napt_word(remote, 0), nat->session_chains.mask);
}

static inline uint32_t napt_arriving_chain(const struct napt *nat, unsigned protocol,
                                           struct napt_end external, struct napt_end remote)
{
    if (nat->config->filtering == NAPT_ADDRESS_DEPENDENT) {
        remote.port = 0;
    }
    uint32_t mask = nat->session_chains.mask;
    return mask + 1 +
           napt_chain(napt_word(napt_outer_key(nat, external), protocol), napt_word(remote, 0),
                      mask);
}

/* The session by which such a packet leaves, expired or not; or NAPT_NONE. */
static inline uint32_t napt_find_leaving(const struct napt *nat, unsigned protocol,
                                         struct napt_end inside, struct napt_end remote)
{
    if (nat->session_cap == 0) {
        return NAPT_NONE;
    }
    uint32_t id = nat->session_chains.heads[napt_leaving_chain(nat, protocol, inside, remote)];
    while (id != NAPT_NONE) {
        const struct napt_session *session = &nat->sessions[id];
        if (session->remote_ip == remote.ip && session->remote_port == remote.port &&
            session->inside_port == inside.port && session->inside_ip == inside.ip &&
            session->protocol == protocol) {
            return id;
        }
        id = session->next_leaving;
    }
    return NAPT_NONE;
}

/* The session (or poison) with exactly this sender, expired or not; or NAPT_NONE. */
static inline uint32_t napt_find_arriving(const struct napt *nat, unsigned protocol,
                                          struct napt_end external, struct napt_end remote)
{
    if (nat->session_cap == 0) {
        return NAPT_NONE;
    }
    uint32_t id = nat->session_chains.heads[napt_arriving_chain(nat, protocol, external, remote)];
    while (id != NAPT_NONE) {
        const struct napt_session *session = &nat->sessions[id];
        if (session->remote_ip == remote.ip && session->remote_port == remote.port &&
            session->external_port == external.port && session->protocol == protocol &&
            (!nat->config->is_firewall || session->inside_ip == external.ip)) {
            return id;
        }
        id = session->next_arriving;
    }
    return NAPT_NONE;
}

static inline bool napt_session_is_live(const struct napt *nat, uint32_t session)
{
    return nat->sessions[session].expires_us > nat->now_us;
}

/* True when something inside has sent to this address from that external end, lately. */
bool napt_has_sent_to(const struct napt *nat, unsigned protocol, struct napt_end external,
                      struct napt_end remote);

/* The mapping of an inside end for a scope, or of an external end; expired or not, or NAPT_NONE. */
uint32_t napt_find_wanted(const struct napt *nat, unsigned protocol, struct napt_end inside,
                          struct napt_end scope);
uint32_t napt_find_port(const struct napt *nat, unsigned protocol, struct napt_end external);

/* The number of an inside address, which becomes known by this; or NAPT_NONE if it is not known. */
uint32_t napt_host_meet(struct napt *nat, uint32_t ip);
uint32_t napt_host_find(const struct napt *nat, uint32_t ip);

/* Before a session is added: room for one, and exact counts where they decide something. `host`:
 * whose it will be, NAPT_NONE for poison. Mappings without a live session may be gone after this.
 */
void napt_room_make(struct napt *nat, uint32_t host);

/* A session of that mapping, or poison at `external`; its expiry is the caller's to set. There is
 * room, and no other with the same ends. A session that had the remote end is put aside. */
uint32_t napt_session_add(struct napt *nat, uint32_t mapping, struct napt_end remote);
uint32_t napt_poison_add(struct napt *nat, unsigned protocol, struct napt_end external,
                         struct napt_end remote);
/* Drops it, and its mapping if that has nothing else to live for. */
void napt_session_drop(struct napt *nat, uint32_t session);
/* A session that was put aside is again the one by which packets leave. */
void napt_session_return(struct napt *nat, uint32_t session);

/* The mapping is set but for its links, and must get a session or a request before time passes. */
uint32_t napt_mapping_add(struct napt *nat, const struct napt_mapping *mapping);
/* True if it has a live session or a request that is not over. Else it is gone afterwards. */
bool napt_mapping_is_live(struct napt *nat, uint32_t mapping);

/* What a mapping is wanted for. `remote` is all zero for one on request. */
struct napt_wish {
    unsigned protocol;
    struct napt_end inside;
    struct napt_end remote;
    uint32_t host;
};

/* The live mapping that serves the wish, or NAPT_NONE; one on request serves every remote end. */
uint32_t napt_mapping_find(struct napt *nat, const struct napt_wish *wish);
/* A new one, or NAPT_NONE without a port. Poison at the port that would be right sends this one
 * flow to another: at random, as Linux does. `is_poisoned`: the inside end has its mapping, and
 * that is the one which is poisoned. */
uint32_t napt_mapping_make(struct napt *nat, const struct napt_wish *wish, bool is_poisoned);

/* Takes out all that has expired. Free when nothing can have. */
void napt_sweep(struct napt *nat);
/* Forgets all but the hosts and what they had at most. */
void napt_tables_forget(struct napt *nat);
void napt_tables_close(struct napt *nat);

#endif /* SIM_NET_NAPT_TABLE_H */
