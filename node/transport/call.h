/* call.h - requests that wait for their answer: their bytes, their timers, their second chance.
 *
 *      call_start -> session ESTABLISHED: DATA
 *                 -> session OPENING: waits for it
 *                 -> neither: a new handshake, with the request in it when that may be
 *                 -> no room for one: parked; its timers start when it is sent
 *      timer -> SLOW -> the request again after one RTO -> LOST after two more
 *      call_answer <- DATA or IK 2 with the same call number
 *
 * The second time a request goes over its session if the session has been heard of since the first;
 * over a new handshake if not, so that a peer that has dropped the session still answers in one
 * round trip. Round trips of requests that went out twice are not measured (Karn: RFC 6298 section
 * 3).
 *
 * Requests are kept encoded: short ones in the call, others in a chain of blocks.
 */
#ifndef NODE_TRANSPORT_CALL_H
#define NODE_TRANSPORT_CALL_H

#include "node/transport/session.h"

enum {
    CALL_INLINE_LEN = 32, /* FIND_NODE, FIND_VALUE and PING lie in the call itself. */
    CALL_TRIES_MAX = 2,
    CALL_NUMBER_MAX = 0x7fff, /* High half of a call number: those are positive ints. */
};

struct call {
    struct timer timer; /* Running as long as the call is. */
    call_fn done;       /* NULL when cancelled: kept for the round trip's sake. */
    void *owner;
    uint64_t sent_us; /* Last transmission. */
    uint64_t slow_us; /* When SLOW is due. */
    uint64_t late_us; /* When the next transmission, or LOST, is due. */
    struct transport *transport;
    uint64_t held_us; /* For so long. */
    uint32_t number;  /* On the wire; 0 in free calls. Low half: place in the pool. */
    uint32_t tag;
    uint32_t peer;    /* One reference; PORT_INTERN_NONE while only an address is known. */
    uint16_t session; /* Pool place, or POOL_NONE. */
    uint16_t next;    /* Neighbours on the same session. */
    uint16_t previous;
    uint16_t blocks; /* First block of a long request. */
    uint16_t len;
    uint16_t answer_max;  /* Bytes an answer can have. */
    uint16_t patience_ms; /* As given. */
    uint8_t kind;         /* enum message_kind */
    uint8_t tries;
    bool is_read;
    bool is_slow;      /* Reported. */
    bool is_ambiguous; /* Sent more than once: its round trip says nothing. */
    bool is_sent;      /* Over its session; else it waits for it, or rides in the handshake. */
    bool is_held;      /* The way to the peer is looked into meanwhile; once for a call. */
    bool was_held;
    bool is_parked;        /* Every session is opening for others: it waits for room. */
    struct port_addr addr; /* Of calls by address. */
    uint8_t bytes[CALL_INLINE_LEN];
};

int call_table_init(struct transport *transport);

/* peer or addr, the other none. As transport_call. */
int call_start(struct transport *transport, uint32_t peer, const struct port_addr *addr,
               const struct message *request, const struct call_options *options);
void call_cancel(struct transport *transport, uint32_t number);
void call_stop_all(struct transport *transport);

/* At the end of an entry that may have made room: lets parked calls open their sessions. */
void call_unpark(struct transport *transport);

/* A way is proved, or none will be: what waited for that goes again. */
void call_go_on(struct transport *transport, struct session *session);

/* Writes the encoded request to `out`. */
void call_load(const struct transport *transport, const struct call *call, uint8_t *out);
struct call *call_find(const struct transport *transport, uint32_t number);

/* A reply that came over `session` from its address. True when a call waited for it. */
bool call_answer(struct transport *transport, struct session *session, struct message *reply);

/* Whether anybody still waits for an answer on the session. */
bool call_is_wanted(const struct transport *transport, const struct session *session);

/* The session is closed: its calls wait for their timers. */
void call_detach_all(struct transport *transport, struct session *session);

/* The session can carry data now: sends the calls that waited for it, but not the one that rode in
 * the handshake. Returns how many. */
uint32_t call_flush(struct transport *transport, struct session *session, uint32_t rider);

/* Puts the request of one call of the session, if one fits, into a last handshake message that is
 * about to be sent. Returns the call's number, or 0 and *len 0. */
uint32_t call_ride(struct transport *transport, struct session *session, uint8_t *out, size_t cap,
                   size_t *len);

/* Moves the calls of a handshake that lost to the session that won, as never sent. */
void call_move_all(struct transport *transport, struct session *from, struct session *to);

const char *call_table_check(const struct transport *transport);

#endif /* NODE_TRANSPORT_CALL_H */
