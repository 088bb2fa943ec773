/* session.c - the session table: pool, peer index, the two lists, eviction, sending. */
#include "node/transport/session.h"

#include <string.h>

#include "node/base/must.h"
#include "node/port/crypto_calls.h"
#include "node/transport/call.h"
#include "node/transport/handshake.h"
#include "node/transport/packet.h"

enum {
    SESSIONS_PER_SLAB = 4,
    HANDSHAKES_PER_SLAB = 4,
    SESSIONS_MIN = 8,
    STRANGERS_SHARE = 4, /* One part in four of the table. */
    PEER_HEADS_MAX = 4096,
};

static uint32_t strangers_max(const struct transport *transport);
static struct session *session_at(const struct transport *transport, uint16_t place);
static struct transport_list *list_of(struct transport *transport, const struct session *session);
static void list_push(struct transport *transport, struct session *session);
static void list_remove(struct transport *transport, struct session *session);
static uint16_t *bucket_of(const struct transport *transport, uint32_t peer);
static void name(struct transport *transport, struct session *session);
static void unname(struct transport *transport, struct session *session);
static bool make_room(struct transport *transport, bool is_stranger);
static void displace(struct transport *transport, struct session *session);

int session_table_init(struct transport *transport)
{
    struct arena *arena = &transport->core->arena;
    uint16_t max = transport->config->sessions_max;
    if (max < SESSIONS_MIN) {
        return ERR_INVALID;
    }
    uint32_t heads = SESSIONS_MIN;
    while (heads < max && heads < PEER_HEADS_MAX) {
        heads *= 2;
    }
    transport->peer_mask = (uint16_t)(heads - 1);
    transport->peer_heads = arena_alloc(arena, ARENA_SESSIONS, heads * sizeof(uint16_t));
    if (transport->peer_heads == NULL) {
        return ERR_FULL;
    }
    memset(transport->peer_heads, 0xff, heads * sizeof(uint16_t));
    const struct transport_list none = {.newest = POOL_NONE, .oldest = POOL_NONE};
    transport->used = none;
    transport->strangers = none;
    int status = pool_init(&transport->handshakes, arena, ARENA_SESSIONS, sizeof(struct handshake),
                           HANDSHAKES_PER_SLAB, max);
    if (status != ERR_OK) {
        return status;
    }
    return pool_init(&transport->sessions, arena, ARENA_SESSIONS, sizeof(struct session),
                     SESSIONS_PER_SLAB, max);
}

struct session *session_new(struct transport *transport, enum session_state state, uint32_t peer,
                            const struct port_addr *addr)
{
    struct core *core = transport->core;
    bool is_stranger = state == SESSION_ANSWERED || state == SESSION_UNCONFIRMED;
    must(is_stranger || state == SESSION_OPENING);

    uint32_t opening =
        (uint32_t)(transport->sessions.count - transport->used.count - transport->strangers.count);
    uint32_t opening_max = transport->config->sessions_max - strangers_max(transport);
    if (!is_stranger && opening >= opening_max) {
        return NULL; /* However busy we are ourselves, strangers are answered. */
    }
    if (is_stranger && transport->strangers.count >= strangers_max(transport)) {
        session_close(transport, session_at(transport, transport->strangers.oldest),
                      SESSION_EVICTED);
    }
    uint16_t place;
    struct session *session = pool_get(&transport->sessions, &place);
    if (session == NULL && make_room(transport, is_stranger)) {
        session = pool_get(&transport->sessions, &place);
    }
    if (session == NULL) {
        return NULL;
    }
    if (++transport->session_number == 0) {
        transport->session_number = 1; /* No index is 0. */
    }
    session->index = (uint32_t)transport->session_number << 16 | place;
    session->state = (uint8_t)state;
    session->is_initiator = state == SESSION_OPENING;
    session->chain = POOL_NONE;
    session->calls = POOL_NONE;
    session->handshake = POOL_NONE;
    session->addr = *addr;
    session->started_us = core_now(core);
    if (peer != PORT_INTERN_NONE) {
        core->port->ops->intern_retain(core->port, peer);
        session->peer = peer;
        if (!is_stranger) {
            name(transport, session);
        }
    }
    list_push(transport, session);
    return session;
}

void session_close(struct transport *transport, struct session *session, enum session_end why)
{
    struct core *core = transport->core;
    must(session->index != 0);

    uint64_t age_us = core_now(core) - session->started_us;
    uint64_t prefix =
        session->peer != PORT_INTERN_NONE ? contact_prefix(core->port, session->peer) : 0;
    if (session_has_keys(session)) {
        core_trace(core, TRACE_SESSION_GONE, session->index, (int64_t)prefix, why, (int64_t)age_us);
        if (why == SESSION_EVICTED) {
            count(&core->counters, COUNT_SESSIONS_EVICTED);
        }
    }
    call_detach_all(transport, session);
    list_remove(transport, session);
    unname(transport, session);
    handshake_end(transport, session);
    if (session->peer != PORT_INTERN_NONE) {
        core->port->ops->intern_release(core->port, session->peer);
    }
    uint16_t place = session_place(session);
    memset(session->send_key, 0, sizeof session->send_key);
    memset(session->receive_key, 0, sizeof session->receive_key);
    session->index = 0;
    pool_put(&transport->sessions, place);
}

struct session *session_find(const struct transport *transport, uint32_t index)
{
    uint16_t place = (uint16_t)index;
    struct session *session = index != 0 ? pool_peek(&transport->sessions, place) : NULL;
    return session != NULL && session->index == index ? session : NULL;
}

struct session *session_with(const struct transport *transport, uint32_t peer,
                             enum session_state state)
{
    for (uint16_t place = *bucket_of(transport, peer); place != POOL_NONE;) {
        struct session *session = session_at(transport, place);
        if (session->peer == peer && session->state == state) {
            return session;
        }
        place = session->chain;
    }
    return NULL;
}

void session_establish(struct transport *transport, struct session *session, uint32_t peer)
{
    struct core *core = transport->core;
    must(session->state < SESSION_ESTABLISHED);

    list_remove(transport, session);
    if (session->peer == PORT_INTERN_NONE) {
        core->port->ops->intern_retain(core->port, peer);
        session->peer = peer;
        name(transport, session);
    } else if (session->state == SESSION_UNCONFIRMED) {
        name(transport, session);
    }
    must(session->peer == peer);
    uint64_t took_us = core_now(core) - session->started_us;
    displace(transport, session);
    session->state = SESSION_ESTABLISHED;
    session->started_us = core_now(core);
    session->heard_us = core_now(core);
    list_push(transport, session);
    count(&core->counters, COUNT_HANDSHAKES_DONE);
    core_trace(core, TRACE_SESSION_UP, session->index, (int64_t)contact_prefix(core->port, peer),
               (int64_t)took_us, session->is_initiator);
}

void session_move(struct transport *transport, struct session *session,
                  const struct port_addr *addr)
{
    struct port *port = transport->core->port;
    must(session->state == SESSION_ESTABLISHED);

    uint8_t key[CRYPTO_PUBLIC_LEN];
    memcpy(key, contact_at(port, session->peer)->key, sizeof key);
    uint32_t moved = contact_intern(port, key, addr);
    unname(transport, session);
    port->ops->intern_release(port, session->peer);
    session->peer = moved;
    session->addr = *addr;
    displace(transport, session);
    name(transport, session);
}

void session_heard(struct transport *transport, struct session *session)
{
    uint64_t now_us = core_now(transport->core);
    session->heard_us = now_us;
    session->is_kept = true;
    session->is_suspect = false;
    /* Moving it costs three cache lines, and a second more or less decides nothing. */
    if (session->state == SESSION_ESTABLISHED && now_us - session->used_us >= SESSION_USE_STEP_US) {
        list_remove(transport, session);
        list_push(transport, session);
    }
}

void session_send(struct transport *transport, struct session *session, uint8_t *datagram,
                  size_t len)
{
    session_send_to(transport, session, &session->addr, datagram, len);
}

void session_send_to(struct transport *transport, struct session *session,
                     const struct port_addr *to, uint8_t *datagram, size_t len)
{
    must(session_has_keys(session));
    must(len + PACKET_DATA_OVERHEAD <= PORT_DATAGRAM_MAX);

    uint8_t *text = datagram + PACKET_DATA_HEADER_LEN;
    packet_write_data(datagram, session->peer_index, session->send_counter);
    port_seal(transport->core->port, text, slice_of(text, len), slice_of(NULL, 0),
              session->send_counter++, session->send_key);
    session_transmit(transport, to, slice_of(datagram, len + PACKET_DATA_OVERHEAD));
}

void session_transmit(struct transport *transport, const struct port_addr *to,
                      struct slice datagram)
{
    struct core *core = transport->core;
    count(&core->counters, COUNT_DATAGRAMS_OUT);
    count_by(&core->counters, COUNT_BYTES_OUT, (uint32_t)datagram.len);
    /* A full local queue is one more way to lose a datagram: the timers see to it. */
    (void)core->port->ops->send(core->port, PORT_MAIN_PATH, to, datagram,
                                (struct port_send_flags){0});
}

static uint32_t strangers_max(const struct transport *transport)
{
    return transport->config->sessions_max / STRANGERS_SHARE;
}

static struct session *session_at(const struct transport *transport, uint16_t place)
{
    return pool_at(&transport->sessions, place);
}

static struct transport_list *list_of(struct transport *transport, const struct session *session)
{
    switch (session->state) {
    case SESSION_ANSWERED:
    case SESSION_UNCONFIRMED:
        return &transport->strangers;
    case SESSION_ESTABLISHED:
    case SESSION_DRAINING:
        return &transport->used;
    default:
        return NULL; /* Opening sessions are held by their calls. */
    }
}

static void list_push(struct transport *transport, struct session *session)
{
    struct transport_list *list = list_of(transport, session);
    if (list == NULL) {
        return;
    }
    session->used_us = core_now(transport->core);
    session->newer = POOL_NONE;
    session->older = list->newest;
    if (list->newest != POOL_NONE) {
        session_at(transport, list->newest)->newer = session_place(session);
    } else {
        list->oldest = session_place(session);
    }
    list->newest = session_place(session);
    list->count++;
}

static void list_remove(struct transport *transport, struct session *session)
{
    struct transport_list *list = list_of(transport, session);
    if (list == NULL) {
        return;
    }
    must(list->count > 0);
    if (session->newer != POOL_NONE) {
        session_at(transport, session->newer)->older = session->older;
    } else {
        list->newest = session->older;
    }
    if (session->older != POOL_NONE) {
        session_at(transport, session->older)->newer = session->newer;
    } else {
        list->oldest = session->newer;
    }
    list->count--;
}

static uint16_t *bucket_of(const struct transport *transport, uint32_t peer)
{
    /* By id, not by handle: handles differ between hosts. */
    uint64_t prefix = contact_prefix(transport->core->port, peer);
    return &transport->peer_heads[rng_mix(prefix ^ transport->salt) & transport->peer_mask];
}

/* Makes the session known by its peer. */
static void name(struct transport *transport, struct session *session)
{
    uint16_t *head = bucket_of(transport, session->peer);
    session->chain = *head;
    *head = session_place(session);
}

static void unname(struct transport *transport, struct session *session)
{
    if (session->peer == PORT_INTERN_NONE) {
        return;
    }
    uint16_t place = session_place(session);
    uint16_t *link = bucket_of(transport, session->peer);
    while (*link != POOL_NONE && *link != place) {
        link = &session_at(transport, *link)->chain;
    }
    if (*link == place) { /* Strangers are not in the index. */
        *link = session->chain;
        session->chain = POOL_NONE;
    }
}

/* The session that was used longest ago and has no calls, failing that the oldest stranger, failing
 * that one whose calls are all cancelled. Never one that an answer is waited for on: to evict it
 * would only move the shortage to the call after this one. */
static bool make_room(struct transport *transport, bool is_stranger)
{
    for (uint16_t place = transport->used.oldest; place != POOL_NONE;) {
        struct session *session = session_at(transport, place);
        if (session->calls == POOL_NONE) {
            session_close(transport, session, SESSION_EVICTED);
            return true;
        }
        place = session->newer;
    }
    uint16_t victim = transport->strangers.oldest;
    if (victim == POOL_NONE && !is_stranger) {
        victim = transport->used.oldest;
        while (victim != POOL_NONE && call_is_wanted(transport, session_at(transport, victim))) {
            victim = session_at(transport, victim)->newer;
        }
    }
    if (victim == POOL_NONE) {
        return false;
    }
    session_close(transport, session_at(transport, victim), SESSION_EVICTED);
    return true;
}

/* What was established with the contact drains, what was draining ends: two epochs at most. */
static void displace(struct transport *transport, struct session *session)
{
    struct session *drained = session_with(transport, session->peer, SESSION_DRAINING);
    if (drained != NULL && drained != session) {
        session_close(transport, drained, SESSION_REPLACED);
    }
    struct session *older = session_with(transport, session->peer, SESSION_ESTABLISHED);
    if (older == NULL || older == session) {
        return;
    }
    uint64_t now_us = core_now(transport->core);
    bool is_in_use = older->is_kept && now_us - older->heard_us < SESSION_DRAIN_US;
    if (older->calls == POOL_NONE && !is_in_use) {
        session_close(transport, older, SESSION_REPLACED); /* Nothing can be under way. */
        return;
    }
    older->state = SESSION_DRAINING;
    older->drain_us = now_us + SESSION_DRAIN_US;
    count(&transport->core->counters, COUNT_REKEYS);
}

bool session_table_is_crowded(const struct transport *transport)
{
    if (transport->strangers.count < strangers_max(transport)) {
        return false;
    }
    const struct session *oldest = session_at(transport, transport->strangers.oldest);
    return core_now(transport->core) - oldest->started_us < SESSION_UNCONFIRMED_US;
}

const char *session_table_check(const struct transport *transport)
{
    uint32_t live = 0;
    uint32_t in_lists = 0;
    for (uint16_t place = 0; place < transport->sessions.made; place++) {
        const struct session *session = pool_peek(&transport->sessions, place);
        if (session == NULL || session->index == 0) {
            continue;
        }
        live++;
        in_lists += session->state != SESSION_OPENING;
        bool is_indexed = session->state >= SESSION_ESTABLISHED ||
                          (session->state == SESSION_OPENING && session->peer != PORT_INTERN_NONE);
        if (session_place(session) != place || session->state < SESSION_OPENING ||
            session->state > SESSION_DRAINING) {
            return "a session is in no state";
        }
        if (is_indexed && session_with(transport, session->peer, session->state) != session) {
            return "a contact has two sessions of one kind";
        }
        if (session->state == SESSION_OPENING && session->calls == POOL_NONE) {
            return "a handshake that nobody waits for";
        }
        bool has_handshake =
            session->state == SESSION_OPENING || session->state == SESSION_ANSWERED;
        if (has_handshake != (session->handshake != POOL_NONE)) {
            return "a handshake outlived its session's opening";
        }
    }
    if (live != transport->sessions.count) {
        return "the pool of sessions miscounts";
    }
    const struct transport_list *lists[] = {&transport->used, &transport->strangers};
    for (size_t i = 0; i < array_len(lists); i++) {
        uint16_t newer = POOL_NONE;
        uint32_t seen = 0;
        for (uint16_t place = lists[i]->newest; place != POOL_NONE && seen <= live; seen++) {
            const struct session *session = session_at(transport, place);
            if (session->newer != newer || (session->state >= SESSION_ESTABLISHED) != (i == 0)) {
                return "a list of sessions is broken";
            }
            newer = place;
            place = session->older;
        }
        if (seen != lists[i]->count || lists[i]->oldest != newer) {
            return "a list of sessions miscounts";
        }
        in_lists -= seen;
    }
    return in_lists == 0 ? NULL : "a session is in no list";
}
