/* ice.h - an agent of Interactive Connectivity Establishment: RFC 8445, with candidates that come
 * one by one (RFC 8838) and consent that has to be renewed (RFC 7675).
 *
 *      options, entropy -> ice_start -> fragment, password --+
 *      own sockets, STUN's answers -> ice_add_host, ice_add_reflexive -> offer to the peer
 *      the peer's offer -> ice_set_peer, ice_add_remote, ice_end_remotes
 *      ice_next_us passed -> ice_ask -> packet to send, from which of our sockets
 *      datagram -> ice_hear -> packet to answer with
 *      ice_selected -> the way on which both sides have agreed
 *
 * It is for peers that are not of our kind. Nodes of ours punch with probes of the session they
 * already have (punch.c), which need no second password and leave nothing to be agreed on; whoever
 * speaks ICE has neither, so this agent brings checks signed with what two offers have exchanged.
 * How offers travel is the caller's business, and so is what is sent on the way that was found.
 *
 * A full agent, one component, UDP, either role. No heap, no socket, no clock: whoever drives it
 * sends, waits and calls. A socket of ours is known by the number of its host candidate, the
 * "base". A relay of ours is not among the candidates, because we have no TURN client; one of the
 * peer's is a remote candidate like any other.
 *
 * It differs from the text of RFC 8445 where nobody can see it: a server-reflexive candidate of
 * ours forms no pair that would be pruned at once (6.1.2.4), and a triggered check of a pair that
 * is being checked sends the same request again, instead of another beside it (7.3.1.4), so that
 * an answer to either counts.
 *
 * What has no right MESSAGE-INTEGRITY changes nothing. A request without is refused, at the length
 * of the request or not at all; one with it is from the peer, or the offer has leaked.
 */
#ifndef NODE_NAT_ICE_H
#define NODE_NAT_ICE_H

#include "node/base/err.h"
#include "node/nat/stun.h"

enum {
    ICE_LOCALS = 8,   /* A candidate that finds its table full is not taken; */
    ICE_REMOTES = 16, /* a pair takes the place of the lowest that is not under way. */
    ICE_PAIRS = 64,   /* RFC 8445 section 6.1.2.5: a limit; 100 by default. */
    ICE_NONE = UINT8_MAX,
    ICE_ENTROPY_LEN = 32,
    ICE_FRAGMENT_LEN = 8,  /* 48 bits; RFC 8445 section 5.3: at least 24, */
    ICE_PASSWORD_LEN = 24, /* 144 bits; at least 128. */
    ICE_FRAGMENT_MIN = 4,  /* RFC 8839 section 5.4, and both at most 256. */
    ICE_PASSWORD_MIN = 22,
    ICE_TEXT_MAX = 256,
    ICE_FOUNDATION_MAX = 32,         /* RFC 8839 section 5.1. */
    ICE_TA_US = 50000,               /* RFC 8445 section 14.2. */
    ICE_RTO_MIN_US = 500000,         /* Section 14.3; repeated as in RFC 8489, seven times. */
    ICE_FAILURE_MIN_US = 39500000,   /* RFC 8863 section 4: not earlier, a check may still come. */
    ICE_CONSENT_US = 5000000,        /* RFC 7675 section 5.1: times 0.8 .. 1.2, */
    ICE_CONSENT_LOST_US = 30000000,  /* and then it is over. */
    ICE_PATIENCE_US = 500000,        /* A pair that works is nominated when nothing better has */
    ICE_PATIENCE_RELAY_US = 2000000, /* shown for that long; later if it uses a relay. */
    ICE_PACKET_MAX = 352,            /* A request with the longest of fragments. */
};

enum ice_type { ICE_HOST, ICE_REFLEXIVE, ICE_PEER_REFLEXIVE, ICE_RELAYED };

struct ice_candidate {
    struct port_addr addr;
    enum ice_type type;
    uint32_t priority;
    char foundation[ICE_FOUNDATION_MAX + 1];
    /* Ours, of local candidates: */
    uint8_t base;
    struct port_addr server; /* That saw it, of a server-reflexive one. */
};

enum ice_pair_state { /* RFC 8445 section 6.1.2.6. */
                      ICE_PAIR_FROZEN,
                      ICE_PAIR_WAITING,
                      ICE_PAIR_CHECKED, /* In-Progress. */
                      ICE_PAIR_SUCCEEDED,
                      ICE_PAIR_FAILED,
};

/* A base of ours and a remote candidate, with the one request that is or was under way. */
struct ice_pair {
    uint8_t base;
    uint8_t remote;
    uint8_t valid; /* Local candidate as which the peer saw the request; ICE_NONE: not yet. */
    uint8_t state; /* enum ice_pair_state */
    uint8_t sent;  /* Times. */
    bool is_open;  /* An answer to `id` would count. */
    bool was_controlling;  /* In what role the request was made. */
    bool is_nominating;    /* We are controlling, and this is to be it. */
    bool wants_nomination; /* The peer has said so, and our own check has not succeeded. */
    uint32_t turn;         /* Place in the queue of triggered checks; 0: none. */
    uint32_t rto_us;
    uint64_t next_us; /* Of the repetition. */
    uint64_t valid_us;
    struct stun_id id;
};

enum ice_state {
    ICE_RUNNING,
    ICE_COMPLETED, /* There is a selected pair. */
    ICE_FAILED,    /* Every pair has, and the peer has no more candidates. Not if a pair works and
                      the peer never nominates: how long to wait for that is the caller's choice. */
    ICE_LOST,      /* The peer's consent has run out: nothing more may be sent. */
};

struct ice_options {
    uint8_t entropy[ICE_ENTROPY_LEN]; /* Of the host: credentials and ids come from it. */
    bool is_controlling;
};

struct ice {
    uint8_t entropy[ICE_ENTROPY_LEN];
    uint64_t draws; /* Of the entropy, so far. */
    enum ice_state state;
    bool is_controlling;
    bool has_peer;
    bool has_all_remotes;
    uint64_t tie_breaker;
    char fragment[ICE_FRAGMENT_LEN + 1]; /* To be offered. */
    char password[ICE_PASSWORD_LEN + 1];
    char peer_fragment[ICE_TEXT_MAX + 1];
    char peer_password[ICE_TEXT_MAX + 1];
    struct ice_candidate locals[ICE_LOCALS];
    struct ice_candidate remotes[ICE_REMOTES];
    struct ice_pair pairs[ICE_PAIRS];
    uint8_t local_count;
    uint8_t remote_count;
    uint8_t pair_count;
    uint8_t selected; /* Pair, or ICE_NONE. */
    uint32_t turns;
    uint64_t failure_us; /* Not before. */
    uint64_t pace_us;    /* The next check may begin. */
    uint64_t consent_next_us;
    uint64_t consent_end_us;
};

struct ice_packet {
    uint8_t base; /* The socket to send it from. */
    struct port_addr to;
    size_t len; /* 0: nothing. */
    uint8_t bytes[ICE_PACKET_MAX];
};

struct ice_route {
    uint8_t base;
    struct port_addr local; /* As the peer sees it. */
    struct port_addr remote;
    enum ice_type local_type;
    enum ice_type remote_type;
};

void ice_start(struct ice *ice, const struct ice_options *options);

/* A socket of ours, bound to that address: the number of its candidate, or ERR_FULL. Candidates of
 * either side may come at any time. */
int ice_add_host(struct ice *ice, const struct port_addr *addr);

/* As what the server sees the base: the candidate's number, perhaps of one that was there already
 * (RFC 8445 section 5.1.3), or ERR_FULL. */
int ice_add_reflexive(struct ice *ice, uint8_t base, const struct port_addr *addr,
                      const struct port_addr *server);

/* The peer's user fragment and password. ERR_INVALID: such are not allowed. Checks begin now. */
NODISCARD int ice_set_peer(struct ice *ice, const char *fragment, const char *password,
                           uint64_t now_us);

/* ERR_OK, also when it is known already; ERR_INVALID, ERR_FULL. Of the candidate, what is ours is
 * not read. */
int ice_add_remote(struct ice *ice, const struct ice_candidate *candidate);
void ice_end_remotes(struct ice *ice);

/* When to call ice_ask; PORT_NEVER: when something else has happened. May have passed already. */
uint64_t ice_next_us(const struct ice *ice);

/* The packet to send now; false: there is none. To be called until then. */
bool ice_ask(struct ice *ice, uint64_t now_us, struct ice_packet *packet);

/* A datagram that came to the base's socket. False: it is not for the agent, but the application's
 * or a STUN client's. True: it was, and the answer may be empty. */
bool ice_hear(struct ice *ice, uint64_t now_us, uint8_t base, const struct port_addr *from,
              struct slice bytes, struct ice_packet *answer);

/* False while nothing has been agreed on, and when consent was lost. A better pair may follow when
 * the peer nominates as RFC 5245 allowed. */
bool ice_selected(const struct ice *ice, struct ice_route *route);

/* RFC 8445 sections 5.1.2.1, of our one component, and 6.1.2.3. */
uint32_t ice_priority(enum ice_type type, uint16_t preference);
uint64_t ice_pair_priority(uint32_t controlling, uint32_t controlled);

#endif /* NODE_NAT_ICE_H */
