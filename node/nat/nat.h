/* nat.h - nodes that cannot be reached, and how they are reached.
 *
 * A node that a stranger can reach at its address serves: it is in tables, holds records, relays.
 * Any other is a client: it asks, and is in no table. A client keeps reservations with a few
 * servers and says so in a presence record under its own id (wire/voucher.h). Who wants it takes a
 * circuit through one of them, shakes hands with it over the circuit, end to end, and from then on
 * both try to do without the relay: the session stays, its address changes.
 *
 *      am I reachable?   REACH -> server -> DIAL -> stranger -> handshake -> me       reach.c
 *      reservations      RESERVE -> voucher -> hooks.presence                          link.c
 *      the box's patience   PROBE -> relay -> PROBED to an idle socket of ours         keep.c
 *      nat_connect       CONNECT -> circuit -> IK through it -> session                attempt.c
 *      direct            PUNCH, PUNCH_GO -> probes both ways -> hooks.proved -> moved  punch.c
 *      without UDP       PUNCH, PUNCH_GO -> calls both ways -> one stream -> moved     meet.c
 *      silence           probes; circuit -> probe through it -> moved                  rescue.c
 *      who sees us       names -> servers; STUN -> servers                             discover.c
 *      whom we see       others -> STUN -> us, at two addresses if there are           stun_role.c
 *      for others        reservations, circuits, accounts                              relay.c
 *      a port            PCP, NAT-PMP -> router -> am I reachable now?                 map.c
 *
 * To the transport a peer behind a relay has an address of our own making (transport_is_relayed):
 * what goes there is wrapped into RELAY messages to the relay, what comes is unwrapped and received
 * from there. The relay sees ciphertext.
 *
 * What it does not do: find presence records, publish them, keep a routing table: hooks.
 *
 * Sources: behaviour discovery by peers after RFC 5780; candidates and pairs after RFC 8445; the
 * synchronised start after libp2p's DCUtR; openers with a low TTL after HyperDHT; limits of relays
 * after circuit relay v2. docs/modules/nat.md has the reasons.
 */
#ifndef NODE_NAT_NAT_H
#define NODE_NAT_NAT_H

#include "node/nat/classify.h"
#include "node/transport/transport.h"

enum nat_reach {
    NAT_REACH_PUBLIC, /* It serves; whoever configured it knows why. */
    NAT_REACH_AUTO,   /* It serves once a stranger has reached it. */
    NAT_REACH_CLIENT, /* It never serves. */
};

enum {
    NAT_OWN_MAX = 8,
    NAT_STUN_MAX = 4,
};

struct nat_config {
    /* Addresses of this machine, for a node that is bound to any: else nobody could tell from how
     * others see it that no box is in the way. Ports do not matter. */
    struct port_addr own[NAT_OWN_MAX];
    uint8_t own_count;
    struct port_addr stun[NAT_STUN_MAX]; /* Servers to be asked where they see us, */
    uint8_t stun_count;
    const char *stun_names[NAT_STUN_MAX]; /* and some by name, "name:port", borrowed: */
    uint8_t stun_name_count;              /* at most NAT_STUN_MAX of both. */
    bool is_stun_server;                  /* We answer such questions, */
    bool has_stun_other;         /* and from another address of this machine as well (RFC 5780): */
    struct port_addr stun_other; /* that. Its port does not matter. */
    uint8_t reach;               /* enum nat_reach */
    bool is_relay;               /* A server relays for clients. */
    bool has_punching;           /* False: what is relayed stays so. */
    bool has_prediction;      /* Behind a box that counts its ports up, the next ones are named. */
    bool has_stream_punching; /* With whom has no UDP, or without it ourselves. */
    bool has_mapping;         /* A client asks its router for a port. */
    uint8_t relays_wanted;    /* 1..PRESENCE_RELAYS_MAX. */
    uint8_t opener_ttl;       /* Of datagrams that open our own box and reach no other. */
    uint8_t punch_rounds;     /* Of probes in one attempt. */
    uint8_t punch_attempts;   /* With a peer, before waiting for longer. */
    /* When one side's box maps by destination, and only then: sockets that side opens, and ports
     * that the other tries. 256 x 1024 of 64,512 ports meet in 98 %. Their entries in the boxes
     * are no part of flows_max. 0 sockets: not done. */
    uint16_t birthday_sockets;
    uint16_t birthday_probes;
    /* Between signs of life to a relay; 0: as long as the box in front of us turns out to remember
     * (keep.c). */
    uint64_t keep_us;
    uint64_t recheck_us; /* Between questions whether we are still reachable. */
    /* Destinations that a client has open at once, each for flow_us after the last datagram; 0: any
     * number. */
    uint16_t flows_max;
    uint64_t flow_us;
    uint64_t punch_again_us; /* After the attempts have failed; doubles up to 32 times that. */

    /* Of a relay. Circuit relay v2: 1 h, 128 reservations, 2 min, 128 KiB each way. */
    uint16_t reservations_max;
    uint16_t circuits_max;
    uint32_t reservation_s;
    uint32_t circuit_s;
    uint64_t circuit_bytes;
    /* In an hour, for one peer and, four times that, for one address group. Counted when given, so
     * that giving back and coming again gains nothing. */
    uint16_t reservations_per_hour;
    uint16_t circuits_per_hour;
    uint64_t bytes_per_hour;
};

/* By which way a peer is reached, and where the attempt to reach it better stands or ended. */
enum nat_way {
    NAT_WAY_NONE,
    NAT_WAY_DIRECT, /* At the address that it is known by. */
    NAT_WAY_PUNCHED,
    NAT_WAY_RELAYED,
    NAT_WAY_COUNT
};

/*    name               text                      what would help */
#define NAT_STEPS(X)                                                                               \
    X(NONE, "none", "")                                                                            \
    X(NO_PRESENCE, "no presence record", "the peer may be offline, or has found no relay yet")     \
    X(NO_RELAY, "no relay answered", "relays of the peer are gone: it will name others soon")      \
    X(NO_CIRCUIT, "no circuit", "the peer has left its relay, or the relay is full")               \
    X(NO_HANDSHAKE, "no answer through the relay", "the peer may have gone a moment ago")          \
    X(NO_CANDIDATES, "no candidates", "the peer does not know its own address yet")                \
    X(PUNCH_REFUSED, "punching refused", "the peer does not punch")                                \
    X(PUNCH_UNANSWERED, "no probe came through",                                                   \
      "one side's box maps by destination: allow port mapping there, or open a port")              \
    X(PUNCH_HARD, "both sides' boxes map by destination",                                          \
      "allow port mapping on one side's router, or open a port")                                   \
    X(PUNCH_WAITING, "waiting for the next attempt", "earlier attempts failed")

enum nat_step {
#define NAT_STEP_ENUM(name, text, help) NAT_STEP_##name,
    NAT_STEPS(NAT_STEP_ENUM)
#undef NAT_STEP_ENUM
        NAT_STEP_COUNT
};
const char *nat_step_text(enum nat_step step);
const char *nat_step_help(enum nat_step step);
const char *nat_way_text(enum nat_way way);

/* Filled by node.c. */
struct nat_hooks {
    void *arg;
    /* Up to `max` servers at random: contact handles, not retained. */
    uint32_t (*sample)(void *arg, uint32_t *peers, uint32_t max);
    /* Trust in a peer, millionths; NULL: none is known. */
    uint32_t (*trust)(void *arg, const struct node_id *id);
    /* Our reservations have changed: the presence is to be published. */
    void (*presence)(void *arg, const struct presence *presence, uint32_t life_s);
    /* Whether we serve has changed. */
    void (*serving)(void *arg, bool is_server);
    /* The presence of a client is looked up: nat_on_presence. False: it cannot be now. NULL: it
     * never can. */
    bool (*seek)(void *arg, const struct node_id *id);
};

/* nat_connect has ended. ERR_OK and the peer's handle: there is a session with it. Else step tells
 * how far it came: ERR_UNREACHABLE, ERR_STOPPED. */
typedef void (*nat_connect_fn)(void *owner, uint32_t tag, int status, uint32_t peer,
                               enum nat_step step);

/* Counts that tests and metrics look at. */
struct nat_counts {
    uint32_t punches_begun;
    uint32_t punches_won;
    uint32_t birthdays_begun;
    uint32_t birthdays_won;
    uint32_t connects_begun;
    uint32_t connects_won;
    uint32_t rescues_begun; /* Sessions that another way was looked for, */
    uint32_t rescues_won;   /* and found. */
    uint32_t reservations_given;
    uint32_t circuits_given;
    uint32_t refused; /* Reservations and circuits. */
    uint32_t vouchers_forged;
    uint32_t maps_asked;    /* Requests to our router, */
    uint32_t maps_granted;  /* and what it gave, renewals among it. */
    uint32_t stun_heard;    /* Answers of STUN servers, */
    uint32_t stun_served;   /* and ours as one. */
    uint64_t relayed_bytes; /* Of datagrams that were passed on for others. */
    uint64_t relayed_datagrams;
    uint64_t wrapped_bytes;   /* Of our own that went to relays, */
    uint64_t unwrapped_bytes; /* and that came from them. */
};

/* What is known of the way to a peer. */
struct nat_trail {
    struct node_id id;
    uint8_t way;       /* enum nat_way */
    uint8_t step;      /* enum nat_step: of the last failure on the way to a better one. */
    uint8_t attempts;  /* To punch, in a row, that failed. */
    uint8_t doublings; /* Of the wait. */
    uint64_t again_us; /* No attempt before. */
    uint32_t punch_us; /* How long the last that succeeded took, from PUNCH_GO on. */
    uint32_t rtt_us;   /* Through the relay, when it was begun. */
    uint64_t touched_us;
    uint64_t rescue_us; /* No rescue of a session before. */
    uint64_t moved_us;  /* When its session moved to a circuit last. */
};

struct nat_work; /* nat_parts.h: what only nodes need that are behind a NAT, or deal with one. */

struct nat {
    struct core *core;
    const struct nat_config *config;
    const struct identity *identity;
    struct transport *transport;
    struct nat_hooks hooks;
    struct nat_work *work; /* NULL until needed. */
    bool is_server;
    bool is_checked; /* Whether that has been found out, or configured. */
    bool has_served; /* What is on disk: a node that served begins its next life so. */
    bool is_stopping;
    bool has_observed;
    bool is_udp_blocked;       /* Streams are the way. */
    bool is_urgent;            /* What is begun now somebody waits for: room was kept for it. */
    struct port_addr observed; /* Where others see us. */
    struct nat_counts counts;
};

NODISCARD int nat_init(struct nat *nat, struct core *core, const struct nat_config *config,
                       const struct identity *identity, struct transport *transport,
                       const struct nat_hooks *hooks);
/* True when others had better be written to NAT_ROUTER_WAIT_US later: our router is being asked for
 * a port, and one at home answers within a few milliseconds. */
#define NAT_ROUTER_WAIT_US UINT64_C(250000)
bool nat_start(struct nat *nat);
void nat_stop(struct nat *nat);

/* The network has been joined: there is somebody to ask. is_first: there was none, we begin it. */
void nat_on_joined(struct nat *nat, bool is_first);

/* Enough peers are known while the network is still being joined: who is a client whatever it finds
 * out has a relay look for the rest. */
void nat_on_met(struct nat *nat);

/* How hooks.presence ended. */
void nat_on_published(struct nat *nat, int status);

/* A session, over a circuit, with the holder of `key`, whose presence has been found. ERR_FULL,
 * ERR_STOPPED or ERR_OK and later done. */
int nat_connect(struct nat *nat, const uint8_t key[CRYPTO_PUBLIC_LEN],
                const struct presence *presence, nat_connect_fn done, void *owner, uint32_t tag);

/* No presence was found of a peer that has to be reached. */
void nat_on_absent(struct nat *nat, const struct node_id *id);

/* The session with a client lives, and may be used: else it takes nat_connect again. */
bool nat_is_fresh(const struct nat *nat, const struct transport_session *session);

/* For transport_hooks.silent and .moved. */
uint64_t nat_on_silent(struct nat *nat, uint32_t session);
void nat_on_moved(struct nat *nat, uint32_t session);
/* How hooks.seek ended: NULL when nothing was found. */
void nat_on_presence(struct nat *nat, const struct node_id *id, const struct presence *presence);

/* The messages. */
void nat_on_reach(struct nat *nat, const struct message_from *from,
                  const struct message_reach *request);
void nat_on_dial(struct nat *nat, const struct message_from *from,
                 const struct message_dial *request);
void nat_on_reserve(struct nat *nat, const struct message_from *from,
                    const struct message_reserve *request);
void nat_on_connect(struct nat *nat, const struct message_from *from,
                    const struct message_connect *request);
void nat_on_punch(struct nat *nat, const struct message_from *from,
                  const struct message_punch *request);
void nat_on_punch_go(struct nat *nat, const struct message_from *from,
                     const struct message_punch_go *note);
void nat_on_relay(struct nat *nat, const struct message_from *from,
                  const struct message_relay *note);
void nat_on_hung_up(struct nat *nat, const struct message_from *from,
                    const struct message_hung_up *note);

/* Nobody could be joined through by UDP: tries streams to these addresses. */
void nat_on_unreachable(struct nat *nat, const struct port_addr *addrs, uint32_t count);
void nat_on_path(struct nat *nat, int path, enum port_path_event event);

/* Answers to lookups of names: nobody else's yet. */
void nat_on_resolved(struct nat *nat, uint32_t ticket, int status, const struct port_addr *addr);

/* Every datagram comes here first. True when it was none of a mesh: from our router, which answers
 * requests for ports to the main path, or STUN's, which can be none of ours (stun.h). */
bool nat_on_datagram(struct nat *nat, int path, const struct port_addr *from, struct slice bytes);

/* Somebody begins a handshake with us from there. */
void nat_on_stranger(struct nat *nat, const struct port_addr *addr);

/* Destinations open now. */
uint32_t nat_flow_count(const struct nat *nat);

/* For transport_hooks. */
bool nat_may_open(struct nat *nat, const struct port_addr *addr);
void nat_sent(struct nat *nat, const struct port_addr *addr);
uint16_t nat_path_to(struct nat *nat, const struct port_addr *addr);
void nat_send_relayed(struct nat *nat, const struct port_addr *to, struct slice datagram);
bool nat_proved(struct nat *nat, uint32_t session, const struct transport_way *way,
                const struct port_addr *observed);

/* Clients with a reservation here and a session: contact handles, not retained. */
uint32_t nat_clients(struct nat *nat, uint32_t *peers, uint32_t max);

/* --- for those who look: view.c ----------------------------------------------------------------
 */

/* "server", "client", "finding out". */
const char *nat_reach_text(const struct nat *nat);

/* A relay that holds a reservation of ours. */
struct nat_relay_view {
    uint32_t peer; /* Contact handle, not retained. */
    uint64_t ends_us;
};
/* The one of that number, counted from 0: false when there are not so many. */
bool nat_relay_at(const struct nat *nat, uint32_t number, struct nat_relay_view *relay);

/* By which way a peer is reached now. */
struct nat_way_view {
    enum nat_way way; /* NAT_WAY_NONE: there is no session with it. */
    uint32_t relay;   /* NAT_WAY_RELAYED: contact handle, not retained; else PORT_INTERN_NONE. */
};
void nat_way_of(const struct nat *nat, const struct transport_session *session,
                struct nat_way_view *view);

/* What is known of the way to this peer; false when nothing is. */
bool nat_trail_of(const struct nat *nat, const struct node_id *id, struct nat_trail *trail);
/* Reservations and circuits held for others now. */
uint32_t nat_reservation_count(const struct nat *nat);
uint32_t nat_circuit_count(const struct nat *nat);
/* Relays that hold a reservation of ours; and the voucher of one of them, counted from 0: false
 * when there are not so many. */
uint32_t nat_relay_count(const struct nat *nat);
/* One of them: its contact handle, not retained; PORT_INTERN_NONE while there is none. */
uint32_t nat_relay(const struct nat *nat);
bool nat_voucher(const struct nat *nat, uint32_t number, struct voucher *voucher);

/* Between two signs of life to a relay, as learned or configured: to those beyond the first. */
uint64_t nat_keep_us(const struct nat *nat);

/* What kind of box is in front of us, as far as is known. */
void nat_class_of(const struct nat *nat, struct nat_class *class);

/* How the router has answered the request for a port. */
enum nat_map_state {
    NAT_MAP_NONE, /* There was no need, or nobody to ask. */
    NAT_MAP_ASKING,
    NAT_MAP_GRANTED,
    NAT_MAP_INSIDE, /* Granted at a private address: another box is behind the router. */
    NAT_MAP_REFUSED,
    NAT_MAP_SILENT,
};
struct nat_map_view {
    enum nat_map_state state;
    bool is_natpmp;            /* Not PCP. */
    struct port_addr gateway;  /* The router that was asked. */
    struct port_addr external; /* GRANTED, INSIDE. */
    uint64_t ends_us;          /* The same, unless it is renewed. */
    const char *reason;        /* REFUSED: the router's; else "". */
};
void nat_map_of(const struct nat *nat, struct nat_map_view *view);
/* "not asked", "granted", ... */
const char *nat_map_text(enum nat_map_state state);

/* From where this node answers as a STUN server. */
struct nat_stun_view {
    bool has_other;           /* From two addresses, by two ports each. */
    struct port_addr other;   /* The one that differs from ours in both parts. */
    int status;               /* Why there is none though one was configured; else ERR_OK. */
    struct port_addr lacking; /* What could not be opened then; port 0: any. */
};
void nat_stun_of(const struct nat *nat, struct nat_stun_view *view);
/* How often in a row the STUN server's name of that number could not be looked up. */
uint32_t nat_stun_failures(const struct nat *nat, uint32_t number);

const char *nat_check(const struct nat *nat);

#endif /* NODE_NAT_NAT_H */
