/* transport.h - sessions with peers, and calls over them.
 *
 * Sessions are Noise: IK when the peer's key is known (every contact), XX when only an address is.
 * The first request of a call rides in the first handshake message when it is a read, so that a
 * cold call costs one round trip like a warm one.
 *
 *      transport_call -> session or handshake -> port send
 *      node_on_datagram -> transport_on_datagram -> MAC or cookie -> AEAD -> decode
 *                                  -> reply:   call.done(ANSWERED)
 *                                  -> request: hooks.message -> transport_reply
 *      timers -> SLOW (p95 of observed RTT: a slot is free, the late answer still counts)
 *             -> retransmit at the hard RTO (>= 200 ms) -> LOST
 *
 * What it does not do: routing, NAT traversal, bulk transfer, deciding whom to talk to.
 *
 * Law for every datagram: cheap checks, MAC or cookie, AEAD, signature, state. Silence to what
 * cannot be authenticated. Before an address is validated it is never sent more bytes than it sent.
 */
#ifndef NODE_TRANSPORT_TRANSPORT_H
#define NODE_TRANSPORT_TRANSPORT_H

#include "node/base/pool.h"
#include "node/guard/guard.h"
#include "node/identity/identity.h"
#include "node/transport/rtt.h"
#include "node/transport/traffic.h"
#include "node/wire/message.h"

enum {
    TRANSPORT_CALLS_MAX = 4096,
};

struct transport_config {
    uint64_t network_id;   /* Bound into every handshake: networks do not mix. */
    uint16_t sessions_max; /* Least recently used out; at least 8. */
    uint16_t calls_max;
    uint64_t session_idle_us; /* A session unused for longer is not trusted to live at the peer: the
                                 next call makes a new one at no cost in round trips. */
    /* The next read after either makes new keys at no cost in round trips; a write waits for them
     * only past twice as much. WireGuard: 120 s, 2^60 (whitepaper section 6.1). */
    uint64_t rekey_after_us;
    uint64_t rekey_after_messages;
};

enum call_outcome {
    CALL_ANSWERED,
    CALL_SLOW, /* No answer within the p95 of observed RTT. The call goes on. */
    CALL_LOST, /* No answer to the retransmission either, after three RTO in all. */
};

struct call_result {
    enum call_outcome outcome;
    uint32_t peer;                /* Contact handle; for calls by address known from ANSWERED on. */
    uint32_t tag;                 /* As given. */
    uint32_t rtt_us;              /* ANSWERED only: since the last transmission. */
    const struct message *answer; /* ANSWERED only; borrowed, released by transport afterwards. */
};

/* Called SLOW at most once, then ANSWERED or LOST exactly once. May start and cancel calls. */
typedef void (*call_fn)(void *owner, const struct call_result *result);

struct call_options {
    call_fn done;
    void *owner;
    uint32_t tag;
    /* 0, or for requests that take the peer time: it is asked once, and waited for so long. */
    uint16_t patience_ms;
};

/* A way to an address: the local path, and how far the datagram may go. */
struct transport_way {
    struct port_addr addr;
    uint16_t path;
    uint8_t ttl; /* 0: the host's default. */
};

/* Addresses of peers behind relays are of our own making and go into no datagram: they lie in the
 * discard-only block 100::/64 (RFC 6666), where no host is. */
static inline bool transport_is_relayed(const struct port_addr *addr)
{
    return addr->ip[0] == 1 && addr->ip[1] == 0;
}

/* Who sent a request. May be copied and answered later than inside hooks.message, as long as the
 * session lives; early requests are answered inside or never. */
struct message_from {
    uint32_t peer;     /* Contact handle: authenticated key, address it came from. Not retained. */
    bool is_verified;  /* The address has answered to us: a round trip was seen. */
    bool is_client;    /* The peer serves nobody. */
    bool is_early;     /* Early payload: only reads arrive this way, and may be replays. */
    uint32_t session;  /* For transport_reply. */
    uint32_t call;     /* For transport_reply. */
    size_t answer_max; /* Bytes the encoded answer may have. */
};

/* Filled by node.c; called from inside a node entry. */
struct transport_hooks {
    void *arg;
    /* A request to answer, or not. `message` is borrowed. A request may arrive twice: a caller who
     * heard nothing asks again, and over a new session nothing tells the two apart. */
    void (*message)(void *arg, const struct message_from *from, const struct message *message);
    /* An authenticated round trip with this contact was seen: it may enter tables, unless it is a
     * client. rtt_us is 0 when the peer was the initiator. */
    void (*verified)(void *arg, uint32_t peer, uint32_t rtt_us, bool is_client);
    /* A contact answered neither a call nor its retransmission. */
    void (*lost)(void *arg, uint32_t peer);
    /* Whether a verified round trip with this stranger would be of use: if so the answer to its
     * handshake asks it to confirm, at the price of one datagram. Asked before anything is sent to
     * it. */
    bool (*is_wanted)(void *arg, const struct node_id *id, const struct port_addr *addr);
    /* Whether a handshake may begin with an address; false: the call waits. And an address that
     * something was sent to. NULL: of no interest. */
    bool (*may_open)(void *arg, const struct port_addr *addr);
    void (*sent)(void *arg, const struct port_addr *addr);
    /* The local path to an address; NULL: always the main one. */
    uint16_t (*path_to)(void *arg, const struct port_addr *addr);
    /* A datagram for a peer behind a relay. NULL: no address is relayed. */
    void (*relay)(void *arg, const struct port_addr *to, struct slice datagram);
    /* NULL, or a way to the peer of a session is proved: both receive by it. `observed`, unless
     * NULL: the address that the peer saw us at. False: the session is to stay where it is. */
    bool (*proved)(void *arg, uint32_t session, const struct transport_way *way,
                   const struct port_addr *observed);
    /* NULL, or a session has moved from this address to the one it has. */
    void (*moved)(void *arg, uint32_t session, const struct port_addr *from);
    /* NULL, or a call over the session was not answered in time and nothing else has been heard.
     * Above 0: the way to the peer is looked into, and for so long the call waits for that instead
     * of shaking hands anew: it goes again when a way is proved. May start calls. */
    uint64_t (*silent)(void *arg, uint32_t session);
};

struct early_answer; /* handshake.h */

struct transport {
    struct core *core;
    const struct transport_config *config;
    const struct identity *identity;
    struct guard *guard;
    struct transport_hooks hooks;
    struct pool sessions;   /* struct session */
    struct pool calls;      /* struct call */
    struct pool handshakes; /* struct handshake, while one is under way */
    struct pool blocks;     /* Encoded requests that are too long to lie in their call. */
    uint32_t *peer_index;   /* Sessions by peer: open addressing; see session.c. */
    uint32_t *stamps;       /* By place: class of the session, and its rank there by use or age. */
    uint32_t stamp_last;
    uint16_t peer_mask;              /* Of places in peer_index. */
    uint16_t used;                   /* Established and draining sessions. */
    uint16_t strangers;              /* Unconfirmed and answered ones. */
    uint16_t session_number;         /* High half of the last session index given. */
    uint16_t call_number;            /* The same of calls. */
    uint16_t parked;                 /* Calls that wait for room in the session table. */
    uint64_t salt;                   /* Where contacts lie in peer_index is nobody's business. */
    uint8_t secret[CRYPTO_HASH_LEN]; /* Of cookies and path nonces: nothing else is kept of them. */
    uint8_t mac_key[CRYPTO_HASH_LEN]; /* What mac1 of packets to us is keyed by. */
    struct rtt_node rtt;
    struct early_answer *early; /* While hooks.message looks at an early request. */
    uint16_t path;              /* By which the datagram at hand came. */
    uint16_t pinned;            /* Sessions. */
    bool is_client;             /* We serve nobody, and say so in handshakes. */
    struct traffic traffic;
};
_Static_assert(sizeof(struct transport) <= 440 + sizeof(struct traffic),
               "there are a hundred thousand of them");

NODISCARD int transport_init(struct transport *transport, struct core *core,
                             const struct transport_config *config, const struct identity *identity,
                             struct guard *guard, const struct transport_hooks *hooks);
/* Forgets all sessions and calls; done is not called any more. */
void transport_stop(struct transport *transport);

/* Sends `request` (call number filled in here) to the contact and reports to options->done. Returns
 * the call's number > 0, ERR_FULL when calls_max are open, or ERR_REFUSED for a banned peer. Never
 * calls done before it returns. */
int transport_call(struct transport *transport, uint32_t peer, const struct message *request,
                   const struct call_options *options);

/* The same to an address whose key is not known (a bootstrap node): Noise XX, two round trips. */
int transport_call_addr(struct transport *transport, const struct port_addr *addr,
                        const struct message *request, const struct call_options *options);

/* A PING with a nonce; PONG is checked and answers the call. */
int transport_ping(struct transport *transport, uint32_t peer, const struct call_options *options);

/* done is not called any more. A late answer still counts as a round trip seen. */
void transport_cancel(struct transport *transport, uint32_t call);

/* What the peer said in a session is an offence: see guard.h. Not to be called for early requests.
 */
void transport_offend(struct transport *transport, uint32_t peer, enum guard_offence which);

/* Whether we tell peers that we serve. The next read of every session makes a new one, so that they
 * hear of a change. */
void transport_set_client(struct transport *transport, bool is_client);

/* Ends all sessions with the peer; its calls end as lost. Not from inside a hook or callback. */
void transport_drop(struct transport *transport, const struct node_id *id);

/* Answers a request. The reply's call number is filled in here, contact lists are cut to what fits.
 * ERR_MISSING when the session is gone or an early request's time has passed, ERR_TOO_LARGE. */
int transport_reply(struct transport *transport, const struct message_from *from,
                    struct message *reply);

/* A message of class NOTE over an established session, to its address; no answer comes. ERR_MISSING
 * when the session is gone, ERR_TOO_LARGE. */
int transport_note(struct transport *transport, uint32_t session, struct message *note);
/* A probe of a way to the session's peer: a PING whose answer moves the session there. */
int transport_probe(struct transport *transport, uint32_t session, const struct transport_way *way);
/* The same, by the session's own way, but the answer is to come to that port of ours as the peer
 * sees us; 0: to where the probe comes from. */
int transport_probe_port(struct transport *transport, uint32_t session,
                         const struct transport_way *way, uint16_t port);
/* What waits because hooks.silent said so waits no longer. */
void transport_go_on(struct transport *transport, uint32_t session);
/* Keeps what lies between us and the session's peer open: DATA without a message. */
int transport_keep(struct transport *transport, uint32_t session);

/* A pinned session makes no room for others; the one that takes over from it is pinned too. At most
 * half of the table can be: false when it is full of them, or the session is gone. */
bool transport_pin(struct transport *transport, uint32_t session, bool is_pinned);

/* Hints that change nothing. A datagram will arrive soon: brings the way to its session nearer; and
 * then the session that these bytes name. */
void transport_expect(const struct transport *transport);
void transport_expect_next(const struct transport *transport, struct slice bytes);

void transport_on_datagram(struct transport *transport, int path, const struct port_addr *from,
                           struct slice bytes);

/* The node's own estimate, from all observed round trips: `part` in 1/1000 (950 = p95), µs. */
uint32_t transport_rtt_quantile_us(const struct transport *transport, uint32_t part);
uint32_t transport_session_count(const struct transport *transport);

/* A session as others may see it. */
struct transport_session {
    uint32_t peer;  /* Contact handle. Not retained. */
    uint32_t index; /* For transport_note and its like. */
    uint16_t path;
    bool is_client;
    bool is_initiator;
    uint32_t rtt_us; /* Smoothed; 0 before the first sample. */
    uint64_t started_us;
    uint64_t heard_us;
    uint64_t sent;     /* Datagrams, */
    uint64_t received; /* by the peer's count: those lost on the way are in it. */
};
/* The established sessions one by one, in no order: true, and the next one in *session, *place to
 * be 0 at first. The table may not change meanwhile. */
bool transport_session_next(const struct transport *transport, uint32_t *place,
                            struct transport_session *session);
/* The one with this id; false when there is none. */
bool transport_session_of(const struct transport *transport, const struct node_id *id,
                          struct transport_session *session);
/* The one with this index, if it is established. */
bool transport_session_at(const struct transport *transport, uint32_t index,
                          struct transport_session *session);

/* A checker for every run: at most one established session per contact, lists and index whole,
 * every call on a session that holds it. Returns NULL when well-formed, else what is wrong. */
const char *transport_check(const struct transport *transport);

#endif /* NODE_TRANSPORT_TRANSPORT_H */
