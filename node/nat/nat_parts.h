/* nat_parts.h - what the files of the module share; for them alone.
 *
 * Everything here is allocated when the first piece of it is needed: a server in a network without
 * NATs pays for one pointer.
 */
#ifndef NODE_NAT_NAT_PARTS_H
#define NODE_NAT_NAT_PARTS_H

#include "node/nat/nat.h"
#include "node/nat/pcp.h"
#include "node/nat/stun_client.h"
#include "node/nat/stun_server.h"
#include "node/wire/codec.h"

#define NAT_SECOND UINT64_C(1000000)

enum {
    NAT_DIALS_MAX = 8,
    NAT_ENDS_MAX = 64,
    NAT_ATTEMPTS_MAX = 8,
    NAT_PUNCHES_MAX = 8,
    NAT_TRAILS_MAX = 64,
    NAT_ACCOUNTS_MAX = 256,
    NAT_ASKED_MAX = 8,
    NAT_FLOWS_SPARE = 8,  /* Of the flows, kept for probes, */
    NAT_FLOWS_WANTED = 8, /* and of the others for relays and for whom somebody wants. */
    NAT_STREAMS_MAX = 32,
    NAT_SOCKETS_MAX = 512,
    NAT_MEET_MAX = 4, /* Candidates that are called: its own addresses, and as the relay sees it. */
    NAT_PORTS_ASKED = 3, /* New mappings in a row: enough to see them count. */
    NAT_KEPT_MAX = 16,
    NAT_REFUSERS_MAX = 32, /* Whole networks may be full of clients. */
    NAT_PULSES_MAX = 16,
    NAT_RESCUE_US = 4000000, /* Three seconds are the aim. */
};

/* --- flow.c: destinations that the box in front of us remembers ------------------------------- */

struct nat_flow {
    uint64_t tag;      /* Of the address; 0 in free ones. */
    uint64_t since_us; /* Without a break longer than it lives. */
    bool is_theirs;    /* They wrote first. */
    uint64_t used_us;
};

/* --- carrier.c: streams where UDP is blocked -------------------------------------------------- */

enum nat_stream_state {
    NAT_STREAM_FREE,
    NAT_STREAM_OPENING,
    NAT_STREAM_UP,
    NAT_STREAM_REFUSED, /* A plain one was: a masked one may not be. */
};

struct nat_stream {
    uint8_t state;   /* enum nat_stream_state */
    uint8_t carrier; /* enum port_carrier */
    uint16_t path;   /* PORT_MAIN_PATH: none is open. */
    struct port_addr addr;
    uint64_t used_us;
};

/* --- reach.c: somebody asked us whether it can be reached --------------------------------------
 */

struct nat_dial {
    struct nat *nat;
    struct message_from from; /* Its peer is retained while is_used. */
    struct timer timer;       /* REACH_FROM_PORT: until when an answer may come. */
    uint16_t path;            /* The same: the other port of ours. */
    uint16_t index;
    struct port_addr by; /* Who tries. */
    bool is_order;       /* A DIAL, not a REACH. */
    bool is_used;
};

/* --- link.c: our reservations
 * --------------------------------------------------------------------- */

enum nat_link_state {
    NAT_LINK_FREE,
    NAT_LINK_ASKING,
    NAT_LINK_LIVE,
};

struct nat_link {
    uint8_t state;    /* enum nat_link_state */
    uint8_t unproved; /* Probes in a row without an answer. */
    uint32_t peer;    /* Of the relay; one reference. */
    uint32_t session; /* With it, when last looked at. */
    bool has_observed;
    struct port_addr observed; /* Where it sees us. */
    uint64_t proved_us;        /* When it answered last. */
    uint64_t sent_us;          /* When it was probed last. */
    uint64_t due_us;           /* Of the next probe. */
    uint64_t renew_us;         /* Of the reservation. */
    uint64_t ends_us;
    struct voucher voucher;
};

/* --- keep.c: how long the box in front of us remembers ---------------------------------------- */

enum nat_keep_state {
    NAT_KEEP_NONE,
    NAT_KEEP_RESTING, /* Until the next test. */
    NAT_KEEP_OPENING, /* A relay has been probed from the socket, */
    NAT_KEEP_AGAIN,   /* and once more. */
    NAT_KEEP_IDLE,
    NAT_KEEP_ASKED, /* The relay has been asked to write to the socket. */
};

struct nat_keep {
    struct nat *nat;
    struct timer timer;
    uint8_t state;    /* enum nat_keep_state */
    uint8_t link;     /* Whose relay is asked; its number. */
    uint8_t failures; /* Of this length, in a row: the first may be a lost datagram. */
    bool is_heard;    /* By the socket, since it last sent. */
    uint16_t path;    /* The socket; PORT_MAIN_PATH: none is open. */
    uint16_t port;    /* Where the relay sees it. */
    uint32_t peer;    /* The relay's handle, to know it by; no reference. */
    uint32_t session; /* With it. */
    uint64_t idle_us; /* Since then nothing has passed. */
    uint64_t asked_us;
    uint64_t length_us; /* That is tried: 0 before the first test. */
    uint64_t low_us;    /* The box remembers for so long, */
    uint64_t high_us;   /* and not for so long; 0: as far as is known. */
};

/* A server that would not have us: it is not asked again for a while. */
struct nat_refuser {
    uint64_t prefix; /* Of its id; 0 in free ones. */
    uint64_t since_us;
};

/* The end of a circuit that is ours. */
struct nat_end {
    uint32_t session; /* With the relay. First, because a free object's link lies here. */
    uint32_t relay;   /* Contact handle, one reference; PORT_INTERN_NONE in free ones. */
    uint32_t circuit;
    uint64_t used_us;
};

/* --- attempt.c: nat_connect under way ----------------------------------------------------------
 */

struct nat_attempt {
    struct nat *nat;
    nat_connect_fn done; /* NULL in free ones. */
    void *owner;
    uint32_t tag;
    uint32_t next; /* Relay of the presence. */
    uint32_t peer; /* Behind the circuit that was taken; one reference or PORT_INTERN_NONE. */
    uint32_t calls[PRESENCE_RELAYS_MAX]; /* To its relays, 0 when answered. */
    uint32_t ping;                       /* To the peer, over the circuit; 0 when answered. */
    uint32_t spare;                      /* Another circuit, 0 for none, */
    uint32_t spare_relay;                /* and whose: one reference or PORT_INTERN_NONE. */
    uint32_t session;                    /* A rescue: the one to move, else 0. */
    uint64_t began_us;
    uint16_t index;
    uint8_t asked;   /* Calls to relays under way. */
    uint8_t probes;  /* A rescue: through this circuit. */
    bool is_seeking; /* The same: the presence is being looked up. */
    bool is_moved;   /* The same: it has worked. */
    uint8_t step;    /* enum nat_step: how far it came. */
    struct timer timer;
    uint8_t key[CRYPTO_PUBLIC_LEN];
    struct presence presence;
};

/* --- rescue.c: sessions that something comes over second after second ------------------------- */

struct nat_pulse {
    uint32_t session; /* 0 in free ones. */
    uint8_t beats;    /* Seconds in a row. */
};

/* --- punch.c
 * --------------------------------------------------------------------------------------- */

enum nat_punch_state {
    NAT_PUNCH_FREE,
    NAT_PUNCH_MEASURING, /* Which port our sequential box gave out last. */
    NAT_PUNCH_ASKING,    /* PUNCH is under way. */
    NAT_PUNCH_READY,     /* Candidates are exchanged: PUNCH_GO is awaited. */
    NAT_PUNCH_FIRING,
    NAT_PUNCH_BIRTHDAY,
};

/* Of PUNCH's `round`. */
enum nat_punch_kind {
    NAT_PUNCH_PLAIN,
    NAT_PUNCH_MANY,    /* Many sockets on one side, many ports on the other. */
    NAT_PUNCH_STREAMS, /* One side has no UDP: meet.c. */
};

struct nat_punch {
    struct nat *nat;
    struct timer timer;
    struct node_id id;
    uint32_t session;
    uint32_t call; /* PUNCH under way; 0: none. */
    uint16_t index;
    uint8_t state; /* enum nat_punch_state */
    bool is_caller;
    bool is_won;
    uint8_t kind; /* enum nat_punch_kind */
    uint8_t peer_mapping;
    uint16_t path;            /* MEASURING, and always of STREAMS: the socket that finds out. */
    struct message_from from; /* Of the PUNCH that waits for our answer; its peer is retained. */
    uint8_t round;            /* Of probes. */
    uint8_t paid;             /* Probes that may still be sent: message_punch_probes. */
    uint8_t count;
    uint32_t rtt_us;
    uint64_t go_us;
    struct candidate candidates[PUNCH_CANDIDATES_MAX]; /* The peer's. */
    /* Of STREAMS: the port of ours that all leave from, here and as the relay sees it, and paths to
     * the candidates, PORT_MAIN_PATH for none. */
    struct port_addr near;
    struct port_addr seen;
    bool is_seen;
    uint16_t streams[NAT_MEET_MAX];
};

/* --- birthday.c: one at a time ------------------------------------------------------------ */

struct nat_birthday {
    struct nat_punch *punch; /* NULL when there is none. */
    uint64_t asked_us;       /* When somebody else wanted one last; 0: never. */
    uint16_t paths[NAT_SOCKETS_MAX];
    uint16_t path_count;
    uint16_t sent;
    bool is_hard;          /* Ours is the box that maps by destination. */
    bool is_trying;        /* What is being sent is outside the budget of flow.c. */
    struct port_addr peer; /* Where the other side is seen. */
};

/* --- relay.c: for others
 * --------------------------------------------------------------------------- */

struct nat_reservation {
    uint8_t client[CRYPTO_PUBLIC_LEN];
    struct node_id id;
    uint32_t session; /* With it, when last looked at; 0 in free ones. */
    uint64_t ends_us;
    struct voucher voucher;
};

struct nat_side {
    struct node_id id;
    uint32_t session;
};

struct nat_crossing {
    struct nat_side sides[2]; /* Caller, client. A free object's link lies here. */
    uint32_t number;          /* The circuit's; 0 in free ones. */
    uint64_t bytes_left;
    uint64_t ends_us;
    uint64_t group; /* Of the caller. */
};

/* What a peer, or an address group, has had in this hour. */
struct nat_account {
    uint64_t subject; /* 0 in free ones. */
    uint64_t since_us;
    uint64_t bytes;
    uint16_t reservations;
    uint16_t circuits;
};

/* --- map.c: the port that the router gives us --------------------------------------------------
 */

struct nat_map {
    struct nat *nat;
    struct timer timer;        /* The next request, or the end of what was granted. */
    struct port_addr gateway;  /* Who was asked, */
    struct port_addr client;   /* and where it sees us. */
    struct port_addr external; /* Granted; port 0: nothing is. */
    struct pcp_nonce nonce;
    struct rng rng; /* Of the pauses: they move nobody else's dice. */
    struct pcp_epoch epoch;
    uint64_t granted_us; /* When it was new. */
    uint64_t ends_us;
    uint32_t pause_us; /* To the next request of the round, */
    uint8_t sent;      /* which has so many. */
    uint8_t state;     /* enum nat_map_state */
    bool is_asking;
    bool is_natpmp;
    bool has_address; /* NAT-PMP tells address and port one after the other. */
    bool is_moved;    /* Peers that we had dealings with before see us elsewhere. */
    uint8_t result;   /* Of the last refusal, in the words of its protocol. */
    uint8_t address[4];
};

/* --- discover.c: questions to STUN servers ------------------------------------------------------
 */

enum { NAT_QUESTIONS_MAX = NAT_STUN_MAX + 2 };

enum nat_name_state {
    NAT_NAME_WAITING, /* For its turn to be looked up. */
    NAT_NAME_ASKED,
    NAT_NAME_KNOWN,
};

/* A server's name. */
struct nat_name {
    uint8_t state;     /* enum nat_name_state */
    uint32_t failures; /* In a row. */
    uint64_t due_us;   /* WAITING */
};

struct nat_discovery {
    struct nat *nat;
    struct timer timer;
    uint64_t begun_us;
    struct port_addr server; /* The first that has another address, */
    struct port_addr other;  /* and that. */
    bool has_other;
    bool is_filtering; /* Its answers from there are waited for. */
    uint8_t count;
    struct stun_client clients[NAT_QUESTIONS_MAX];
    struct nat_name names[NAT_STUN_MAX]; /* In the order of the configuration. */
};

/* --- stun_role.c: another address to answer STUN from ------------------------------------------
 */

struct nat_stun_role {
    struct stun_server_config server;
    uint16_t paths[STUN_LOCALS]; /* By number of the address; PORT_MAIN_PATH: none is open. */
    int status;
    struct port_addr lacking; /* What was to be opened last. */
};

struct nat_work {
    struct nat *owner;
    struct timer tick; /* While there is anything to watch: once a second, or less often if idle. */
    struct timer check;
    struct pool dials;
    struct pool ends;
    struct pool attempts;
    struct pool punches;
    struct pool reservations;
    struct pool crossings;
    struct pool trails;
    struct nat_account *accounts;
    struct nat_flow *flows; /* flows_max of them. */
    struct nat_stream streams[NAT_STREAMS_MAX];
    uint64_t udp_us; /* When UDP was tried last, while it is blocked. */
    struct nat_link links[PRESENCE_RELAYS_MAX];
    struct nat_keep keep;
    struct nat_refuser refusers[NAT_REFUSERS_MAX];
    struct nat_pulse pulses[NAT_PULSES_MAX];
    uint64_t pulses_us; /* When they were felt last. */
    uint32_t circuit_last;
    uint64_t serial_last;
    /* Whom we have asked whether we can be reached, and what they said. */
    uint64_t asked[NAT_ASKED_MAX];
    uint8_t asked_count;
    uint8_t refusals;
    uint8_t rounds;  /* Of questions that brought no verdict, in a row. */
    bool is_reached; /* By a stranger, in this round. */
    uint64_t asked_us;
    uint8_t port_asks; /* From another port, after the strangers had failed. */
    struct classify classify;
    uint64_t ports_us; /* When sockets were opened to see which ports they get; 0: never. */
    uint16_t ports_paths[NAT_PORTS_ASKED];
    struct classify ports; /* What was seen of those alone, with nothing sent in between. */
    uint16_t port_newest;  /* Of the newest mapping seen; 0: none. */
    struct nat_birthday *birthday;
    struct nat_map *map;             /* NULL: nobody was asked. */
    struct nat_discovery *discovery; /* The same. */
    struct nat_stun_role *stun_role; /* NULL: our own address is all. */
    /* Extra paths that sessions have moved to: closed when the session is gone. */
    struct {
        uint32_t session;
        uint16_t path;
    } kept[NAT_KEPT_MAX];
    bool is_asking;
    bool is_outdated;    /* What is asked: things have changed since. */
    uint64_t publish_us; /* When the presence is to go out; 0: at once. */
};

/* The work, allocated on first use; NULL without memory. */
struct nat_work *nat_work_of(struct nat *nat);
/* Something is to be watched from now on. */
void nat_watch(struct nat *nat);
/* It is looked at then, if not before. */
void nat_watch_by(struct nat *nat, uint64_t due_us);

/* The session with this peer, whatever its number now is; 0 when there is none. */
uint32_t nat_session_with(const struct nat *nat, uint32_t session, const struct node_id *id);

void nat_reach_start(struct nat *nat);
/* Things have changed: what was found out is worth nothing, and is asked again. */
void nat_reach_again(struct nat *nat);
bool nat_reach_proved(struct nat *nat, uint32_t session, const struct transport_way *way);
void nat_become(struct nat *nat, bool is_server);
/* Where a peer says that it sees the socket of this path, by a datagram that left at asked_us. */
void nat_observe(struct nat *nat, const struct port_addr *peer, uint16_t path,
                 const struct port_addr *observed, uint64_t asked_us);

/* Whether the address wrote to us, after then, before anything was sent to it. */
bool nat_was_stranger(const struct nat *nat, const struct port_addr *addr, uint64_t after_us);

/* Whether our main path is bound to any address of this machine. */
bool nat_is_any(const struct nat *nat);
/* Where our main path is bound; for one that is bound to any, where `observed` says that it is if
 * that is an address of this machine. */
struct port_addr nat_local(const struct nat *nat, const struct port_addr *observed);

/* Since when the box has remembered that address, as far as we know; 0: it does not. */
uint64_t nat_flow_since(const struct nat *nat, const struct port_addr *addr);

/* Asks the router when there is need, and it was not asked yet. */
void nat_map_tick(struct nat *nat);
/* Before anybody else is written to: true when the router is being asked. */
bool nat_map_start(struct nat *nat);
/* We serve: perhaps by a port that was granted in an earlier life, and has to be kept. */
void nat_map_keep(struct nat *nat);
/* Strangers do not reach us (any more): does it still know of us? */
void nat_map_check(struct nat *nat);
/* Gives the port back. */
void nat_map_drop(struct nat *nat);
/* True when it was from the router. */
bool nat_map_hear(struct nat *nat, int path, const struct port_addr *from, struct slice bytes);
/* Whether this is where the router sends from and to for us; and whether what that address saw of
 * us was before it did: boxes keep what they have begun with a peer. */
bool nat_map_is_external(const struct nat *nat, const struct port_addr *addr);
bool nat_map_is_older(const struct nat *nat, const struct port_addr *peer);

/* Asks the STUN servers that are configured, anew if that was long ago. */
void nat_discover(struct nat *nat);
void nat_discover_stop(struct nat *nat);
/* True when it was STUN, and somebody here speaks it. */
bool nat_discover_hear(struct nat *nat, int path, const struct port_addr *from, struct slice bytes);

/* The other address of a STUN server; without it there is one address, and nat_stun_of says why. */
void nat_stun_open(struct nat *nat);
void nat_stun_close(struct nat *nat);
/* True when the path is there for STUN alone. */
bool nat_stun_hear(struct nat *nat, int path, const struct port_addr *from, struct slice bytes);
/* Answers what has come to our address of that number: stun_server.h. */
void nat_stun_answer(struct nat *nat, uint8_t local, const struct port_addr *from,
                     struct slice bytes);

/* Whether a probe may go to an address that nothing was sent to. */
bool nat_may_probe(struct nat *nat, const struct port_addr *addr);

bool nat_is_stream(const struct nat *nat, int path);
/* Whether UDP is still blocked: asked now and then, and not when a way on the main path is proved.
 */
void nat_carrier_tick(struct nat *nat);
void nat_carrier_proved(struct nat *nat, const struct transport_way *way);
void nat_streams_close(struct nat *nat);

void nat_links_tick(struct nat *nat);
/* When there is something to be done for them; not in the future while it is under way. */
uint64_t nat_links_next_us(const struct nat *nat);
void nat_links_proved(struct nat *nat, uint32_t session, const struct transport_way *way,
                      const struct port_addr *observed);
void nat_links_drop(struct nat *nat);
/* Probes the relay by the way its session takes. */
void nat_link_probe(struct nat *nat, struct nat_link *link);

/* There is a relay to ask. */
void nat_keep_start(struct nat *nat);
void nat_keep_stop(struct nat *nat);
/* A relay sees us elsewhere: behind another box, or the same that has forgotten us. */
void nat_keep_doubt(struct nat *nat, bool is_box_new);
/* False when the proof was for the test: no session is to move for it. */
bool nat_keep_proved(struct nat *nat, uint32_t session, const struct transport_way *way,
                     const struct port_addr *observed);
/* Between two probes of a link. */
uint64_t nat_keep_period(const struct nat *nat, const struct nat_link *link);

/* The address by which the transport knows the other end of a circuit. */
void nat_end_addr(const struct nat *nat, uint32_t relay, uint32_t circuit, struct port_addr *addr);
/* The end of that address; NULL when the circuit has ended. */
struct nat_end *nat_end_at(const struct nat *nat, const struct port_addr *addr);
/* ERR_FULL. */
int nat_end_open(struct nat *nat, uint32_t relay, uint32_t session, uint32_t circuit);

void nat_relay_tick(struct nat *nat);
/* False when the circuit is none of ours as a relay. */
bool nat_relay_pass(struct nat *nat, const struct message_from *from, uint32_t circuit,
                    struct slice datagram);

/* A free attempt, in use as soon as `done` is set; NULL when all are. */
struct nat_attempt *nat_attempt_open(struct nat *nat, const uint8_t key[CRYPTO_PUBLIC_LEN]);
/* The presence is there. Not inside what the attempt's owner has called. */
void nat_attempt_begin(struct timer *timer);
void nat_attempt_finish(struct nat_attempt *attempt, int status);
/* A rescue: the session has moved; and: there was no need. */
void nat_attempt_settle(struct nat_attempt *attempt);
void nat_attempt_close(struct nat_attempt *attempt);

/* rescue.c: with every tick, though no more than once a second. */
void nat_pulses_tick(struct nat *nat);
/* Others see us elsewhere: what is in use has to move. */
void nat_on_renumbered(struct nat *nat);
/* Relays that have not answered since then are probed now. */
void nat_links_doubt(struct nat *nat, uint32_t but_for, uint64_t since_us);

void nat_punch_start(struct nat *nat, uint32_t peer);
bool nat_punch_proved(struct nat *nat, uint32_t session, const struct transport_way *way,
                      const struct port_addr *observed);
void nat_punch_close(struct nat_punch *punch);
/* It has not worked: remembers that, and closes the punch. */
void nat_punch_fail(struct nat_punch *punch, enum nat_step step);

/* meet.c. True when an answer is waited for. */
bool nat_meet_measure(struct nat_punch *punch);
void nat_meet_gather(const struct nat_punch *punch, struct message_punch *side);
/* Calls the candidates that are not being called. */
void nat_meet_fire(struct nat_punch *punch);
/* The punch that has this path as one of its streams; NULL: none has. */
struct nat_punch *nat_meet_of(const struct nat *nat, int path);
void nat_meet_lose(struct nat_punch *punch, int path);
/* Closes all but the one: to the peers, that is, and not to the relay. */
void nat_meet_end(struct nat_punch *punch, int path_kept);
/* A stream has come up, or not, or is gone. False: it is none of a punch. */
bool nat_punch_on_path(struct nat *nat, int path, enum port_path_event event);

/* False when there is no point, or no room: the punch has failed as it is. */
bool nat_birthday_start(struct nat_punch *punch);
void nat_birthday_tick(struct nat_punch *punch);
void nat_birthday_end(struct nat *nat, uint16_t path_kept);

/* The session has moved to an extra path of ours. */
void nat_path_keep(struct nat *nat, uint32_t session, uint16_t path);
/* It is gone; false when it was kept for nobody. */
bool nat_path_lost(struct nat *nat, int path);
void nat_paths_tick(struct nat *nat);

/* What is remembered of the way to a peer, made if need be; NULL without memory. */
struct nat_trail *nat_trail_get(struct nat *nat, const struct node_id *id);

#endif /* NODE_NAT_NAT_PARTS_H */
