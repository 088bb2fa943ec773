/* session.h - the table of sessions: found by index, found by peer, evicted when full.
 *
 *                    we call                               a stranger calls
 *      OPENING (IK 1 or XX 1 sent)          ANSWERED (XX 2 sent), UNCONFIRMED (IK 2 sent)
 *           |  IK 2, XX 2 arrives                |  XX 3, or the first DATA that opens
 *           v                                    v
 *      ESTABLISHED ----------------------> DRAINING: a newer session with the peer took over; what
 *                      replaced            was under way is still received for SESSION_DRAIN_US
 *
 * So a peer has at most two epochs of keys, each a session of its own. Established and draining
 * sessions form one class, ordered by last use, those that are pinned another that makes no room.
 * Strangers have a quarter of the table, ordered by age: they may push out idle sessions until that
 * share is full and each other from then on. Opening sessions are in neither class: calls hold
 * them. The order is a stamp for each place in an array of its own: who is oldest is asked once for
 * a session, who was used for every datagram.
 *
 * An index on the wire is the place in the pool (low half) and a number that changes with every use
 * of the place (high half), so that what comes late finds nobody.
 */
#ifndef NODE_TRANSPORT_SESSION_H
#define NODE_TRANSPORT_SESSION_H

#include "node/transport/rtt.h"
#include "node/transport/transport.h"
#include "node/transport/window.h"

enum session_state {
    SESSION_OPENING = 1,
    SESSION_ANSWERED,
    SESSION_UNCONFIRMED,
    SESSION_ESTABLISHED,
    SESSION_DRAINING,
};

enum session_end {
    SESSION_EVICTED,  /* The table was full. */
    SESSION_REPLACED, /* By a newer one, or drained. */
    SESSION_FAILED,   /* The peer did not answer. */
    SESSION_STOPPED,
    SESSION_BANNED,
};

enum {
    SESSION_DRAIN_US = 10000000,
    /* For how long we trust a peer to keep a session that it has not seen confirmed. */
    SESSION_UNCONFIRMED_US = 3000000,
    SESSION_USE_STEP_US = 1000000, /* Grain of the order by last use. */
    SESSION_HOT_BYTES = 192,       /* What a datagram touches. */
};

/* What every datagram of a session touches comes first: three cache lines as long as fewer than 256
 * were received. */
struct session {
    /* Contact handle, one reference; PORT_INTERN_NONE until the key is known. First, because a free
     * object's link lies here. */
    uint32_t peer;
    uint32_t index; /* What the peer addresses us by; 0 in free objects. */
    uint32_t peer_index;
    uint16_t calls;     /* First of the calls that hang on this session. */
    uint16_t handshake; /* OPENING and ANSWERED, else POOL_NONE. */
    uint8_t state;      /* enum session_state */
    bool is_initiator : 1;
    bool is_kept : 1;  /* The peer has it as established: it sent DATA, or we confirmed as asked. */
    bool is_brief : 1; /* Unless kept: the peer has so many strangers that it will soon forget us.
                        */
    bool is_suspect : 1;  /* A call went unanswered and nothing was heard since. */
    bool is_rival : 1;    /* UNCONFIRMED, and it beat a handshake of our own: simultaneous open. */
    bool is_client : 1;   /* The peer serves nobody: it is to be in no table. */
    bool is_outdated : 1; /* It was told something else of us than is so now. */
    bool is_pinned : 1;   /* Somebody above needs it: it does not make room. */
    uint16_t path; /* The local path that its datagrams take; meaningless for a relayed address. */
    struct port_addr addr; /* Validated, except in ANSWERED and UNCONFIRMED. */
    struct rtt_peer rtt;
    uint64_t send_counter;
    uint64_t heard_us; /* Last authentic datagram. */
    uint8_t send_key[CRYPTO_AGREE_LEN];
    uint8_t receive_key[CRYPTO_AGREE_LEN];
    uint64_t started_us; /* OPENING: since when; later: since when the keys are in use. */
    uint64_t used_us;    /* When it was last ordered as the most recently used. */
    uint64_t drain_us;   /* DRAINING: until when. */
    struct window window;
};
_Static_assert(sizeof(struct session) == 256, "whole cache lines, and few of them");

int session_table_init(struct transport *transport);

/* A new session in `state`; a reference to `peer` (which may be none) is taken. NULL when nobody
 * can make room. */
struct session *session_new(struct transport *transport, enum session_state state, uint32_t peer,
                            const struct port_addr *addr);

/* Detaches the calls, releases the peer, wipes the keys. */
void session_close(struct transport *transport, struct session *session, enum session_end why);

/* By the index a peer sent, or NULL. */
struct session *session_find(const struct transport *transport, uint32_t index);

/* The session of that state (OPENING, ESTABLISHED or DRAINING) with the peer, or NULL. */
struct session *session_with(const struct transport *transport, uint32_t peer,
                             enum session_state state);

/* Keys are set and the peer has shown to hold them: takes over from an established session with the
 * same contact. */
void session_establish(struct transport *transport, struct session *session, uint32_t peer);

/* A round trip over another address, or by another path, was seen. */
void session_move(struct transport *transport, struct session *session, uint16_t path,
                  const struct port_addr *addr);

/* An authentic datagram arrived. */
void session_heard(struct transport *transport, struct session *session);

/* Seals the message of `len` bytes at PACKET_DATA_HEADER_LEN of the datagram and sends it to the
 * session's address. */
void session_send(struct transport *transport, struct session *session, uint8_t *datagram,
                  size_t len);
/* The same by another way. */
void session_send_by(struct transport *transport, struct session *session,
                     const struct transport_way *way, uint8_t *datagram, size_t len);

/* Counts a datagram and hands it to the network, or to the relay when the address is relayed. */
void session_transmit(struct transport *transport, const struct transport_way *way,
                      struct slice datagram);

/* Where the session's datagrams go. */
static inline struct transport_way session_way(const struct session *session)
{
    return (struct transport_way){.addr = session->addr, .path = session->path};
}

/* Whether strangers come so fast that one is forgotten within SESSION_UNCONFIRMED_US. */
bool session_table_is_crowded(const struct transport *transport);

/* What is wrong with the table, or NULL. */
const char *session_table_check(const struct transport *transport);

static inline uint16_t session_place(const struct session *session)
{
    return (uint16_t)session->index;
}

static inline bool session_has_keys(const struct session *session)
{
    return session->state >= SESSION_UNCONFIRMED;
}

#endif /* NODE_TRANSPORT_SESSION_H */
