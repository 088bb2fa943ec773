/* session.c - the session table: pool, peer index, order of use, eviction, sending. */
#include "node/transport/session.h"

#include <string.h>

#include "node/base/must.h"
#include "node/port/crypto_calls.h"
#include "node/transport/call.h"
#include "node/transport/handshake.h"
#include "node/transport/packet.h"

enum {
    SESSIONS_FIRST = 4,
    HANDSHAKES_FIRST = 4,
    SESSIONS_MIN = 8,
    STRANGERS_SHARE = 4, /* One part in four of the table. */
    /* An entry of the peer index: 16 bits of the peer's hash, whose low ones say where it would
     * like to lie, and the session's place. */
    INDEX_TAG_SHIFT = 16,
    INDEX_LEN_MAX = 1 << 16,
    /* A stamp: when in the order, and of which class; 0 for sessions of none. */
    STAMP_SHIFT = 2,
    STAMP_CLASS_MASK = (1 << STAMP_SHIFT) - 1,
};
#define INDEX_EMPTY UINT32_MAX

enum stamp_class {
    STAMP_NONE,
    STAMP_USED,
    STAMP_STRANGER,
    STAMP_PINNED, /* Used, and not to make room. */
};

static uint16_t path_to(const struct transport *transport, const struct port_addr *addr);
static uint32_t strangers_max(const struct transport *transport);
static struct session *session_at(const struct transport *transport, uint16_t place);
static void rank_newest(struct transport *transport, struct session *session,
                        enum stamp_class class);
static enum stamp_class class_of(const struct session *session);
static void stamp(struct transport *transport, struct session *session);
static void unstamp(struct transport *transport, const struct session *session);
static uint16_t oldest_of(const struct transport *transport, enum stamp_class class,
                          uint16_t after);
static uint32_t tag_of(const struct transport *transport, uint32_t peer);
static void name(struct transport *transport, struct session *session);
static void unname(struct transport *transport, struct session *session);
static bool make_room(struct transport *transport, bool is_stranger);
static void displace(struct transport *transport, struct session *session);
static void mark(struct transport *transport, struct session *session, bool is_pinned);

int session_table_init(struct transport *transport)
{
    struct arena *arena = &transport->core->arena;
    uint16_t max = transport->config->sessions_max;
    if (max < SESSIONS_MIN) {
        return ERR_INVALID;
    }
    /* Twice as many entries as sessions: most searches end at the first or second. */
    uint32_t len = SESSIONS_MIN;
    while (len < 2u * max && len < INDEX_LEN_MAX) {
        len *= 2;
    }
    transport->peer_mask = (uint16_t)(len - 1);
    transport->peer_index = arena_alloc(arena, ARENA_SESSIONS, len * sizeof(uint32_t));
    transport->stamps = arena_alloc(arena, ARENA_SESSIONS, max * sizeof(uint32_t));
    if (transport->peer_index == NULL || transport->stamps == NULL) {
        return ERR_FULL;
    }
    memset(transport->peer_index, 0xff, len * sizeof(uint32_t));
    int status = pool_init(&transport->handshakes, arena, ARENA_SESSIONS, sizeof(struct handshake),
                           HANDSHAKES_FIRST, max);
    if (status != ERR_OK) {
        return status;
    }
    return pool_init(&transport->sessions, arena, ARENA_SESSIONS, sizeof(struct session),
                     SESSIONS_FIRST, max);
}

struct session *session_new(struct transport *transport, enum session_state state, uint32_t peer,
                            const struct port_addr *addr)
{
    struct core *core = transport->core;
    bool is_stranger = state == SESSION_ANSWERED || state == SESSION_UNCONFIRMED;
    must(is_stranger || state == SESSION_OPENING);

    uint32_t opening =
        (uint32_t)(transport->sessions.count - transport->used - transport->strangers);
    uint32_t opening_max = transport->config->sessions_max - strangers_max(transport);
    if (!is_stranger && opening >= opening_max) {
        return NULL; /* However busy we are ourselves, strangers are answered. */
    }
    if (is_stranger && transport->strangers >= strangers_max(transport)) {
        uint16_t oldest = oldest_of(transport, STAMP_STRANGER, POOL_NONE);
        session_close(transport, session_at(transport, oldest), SESSION_EVICTED);
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
    session->calls = POOL_NONE;
    session->handshake = POOL_NONE;
    session->addr = *addr;
    session->path = is_stranger ? transport->path : path_to(transport, addr);
    session->started_us = core_now(core);
    if (peer != PORT_INTERN_NONE) {
        core->port->ops->intern_retain(core->port, peer);
        session->peer = peer;
        if (!is_stranger) {
            name(transport, session);
        }
    }
    stamp(transport, session);
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
    (void)transport_pin(transport, session->index, false);
    unstamp(transport, session);
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
    uint32_t tag = tag_of(transport, peer);
    for (uint32_t at = tag & transport->peer_mask; transport->peer_index[at] != INDEX_EMPTY;
         at = (at + 1) & transport->peer_mask) {
        uint32_t entry = transport->peer_index[at];
        if (entry >> INDEX_TAG_SHIFT != tag) {
            continue;
        }
        struct session *session = session_at(transport, (uint16_t)entry);
        if (session->peer == peer && session->state == state) {
            return session;
        }
    }
    return NULL;
}

void session_establish(struct transport *transport, struct session *session, uint32_t peer)
{
    struct core *core = transport->core;
    must(session->state < SESSION_ESTABLISHED);

    unstamp(transport, session);
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
    stamp(transport, session);
    count(&core->counters, COUNT_HANDSHAKES_DONE);
    core_trace(core, TRACE_SESSION_UP, session->index, (int64_t)contact_prefix(core->port, peer),
               (int64_t)took_us, session->is_initiator);
}

void session_move(struct transport *transport, struct session *session, uint16_t path,
                  const struct port_addr *addr)
{
    struct port *port = transport->core->port;
    must(session->state == SESSION_ESTABLISHED);

    struct port_addr from = session->addr;
    session->path = path;
    if (port_addr_equal(addr, &from)) {
        return; /* The same contact, by another socket of ours. */
    }
    uint8_t key[CRYPTO_PUBLIC_LEN];
    memcpy(key, contact_at(port, session->peer)->key, sizeof key);
    uint32_t moved = contact_intern(port, key, addr);
    unname(transport, session);
    port->ops->intern_release(port, session->peer);
    session->peer = moved;
    session->addr = *addr;
    displace(transport, session);
    name(transport, session);
    if (transport->hooks.moved != NULL) {
        transport->hooks.moved(transport->hooks.arg, session->index, &from);
    }
}

void session_heard(struct transport *transport, struct session *session)
{
    uint64_t now_us = core_now(transport->core);
    session->heard_us = now_us;
    session->is_kept = true;
    session->is_suspect = false;
    /* A second more or less decides nothing. */
    if (session->state == SESSION_ESTABLISHED && now_us - session->used_us >= SESSION_USE_STEP_US) {
        rank_newest(transport, session, class_of(session));
    }
}

void session_send(struct transport *transport, struct session *session, uint8_t *datagram,
                  size_t len)
{
    struct transport_way way = session_way(session);
    session_send_by(transport, session, &way, datagram, len);
}

void session_send_by(struct transport *transport, struct session *session,
                     const struct transport_way *way, uint8_t *datagram, size_t len)
{
    must(session_has_keys(session));
    must(len + PACKET_DATA_OVERHEAD <= PORT_DATAGRAM_MAX);

    uint8_t *text = datagram + PACKET_DATA_HEADER_LEN;
    traffic_sent(&transport->traffic, len > 0 ? traffic_row_of(text[0]) : TRAFFIC_CONFIRM);
    packet_write_data(datagram, session->peer_index, session->send_counter);
    port_seal(transport->core->port, text, slice_of(text, len), slice_of(NULL, 0),
              session->send_counter++, session->send_key);
    session_transmit(transport, way, slice_of(datagram, len + PACKET_DATA_OVERHEAD));
}

void session_transmit(struct transport *transport, const struct transport_way *way,
                      struct slice datagram)
{
    struct core *core = transport->core;
    if (transport_is_relayed(&way->addr)) {
        /* What the relay gets of it is counted when it goes there. */
        if (transport->hooks.relay != NULL) {
            transport->hooks.relay(transport->hooks.arg, &way->addr, datagram);
        }
        return;
    }
    if (transport->is_client && transport->hooks.sent != NULL) {
        transport->hooks.sent(transport->hooks.arg, &way->addr);
    }
    count(&core->counters, COUNT_DATAGRAMS_OUT);
    count_by(&core->counters, COUNT_BYTES_OUT, (uint32_t)datagram.len);
    /* A full local queue is one more way to lose a datagram: the timers see to it. */
    (void)core->port->ops->send(core->port, way->path, &way->addr, datagram,
                                (struct port_send_flags){.ttl = way->ttl});
}

static uint16_t path_to(const struct transport *transport, const struct port_addr *addr)
{
    const struct transport_hooks *hooks = &transport->hooks;
    return hooks->path_to != NULL ? hooks->path_to(hooks->arg, addr) : PORT_MAIN_PATH;
}

static uint32_t strangers_max(const struct transport *transport)
{
    return transport->config->sessions_max / STRANGERS_SHARE;
}

static struct session *session_at(const struct transport *transport, uint16_t place)
{
    return pool_at(&transport->sessions, place);
}

static enum stamp_class class_of(const struct session *session)
{
    switch (session->state) {
    case SESSION_ANSWERED:
    case SESSION_UNCONFIRMED:
        return STAMP_STRANGER;
    case SESSION_ESTABLISHED:
    case SESSION_DRAINING:
        return session->is_pinned ? STAMP_PINNED : STAMP_USED;
    default:
        return STAMP_NONE; /* Opening sessions are held by their calls. */
    }
}

static void rank_newest(struct transport *transport, struct session *session,
                        enum stamp_class class)
{
    transport->stamp_last++;
    transport->stamps[session_place(session)] = transport->stamp_last << STAMP_SHIFT | class;
    session->used_us = core_now(transport->core);
}

/* Makes the session the newest of its class. */
static void stamp(struct transport *transport, struct session *session)
{
    enum stamp_class class = class_of(session);
    if (class == STAMP_NONE) {
        return;
    }
    rank_newest(transport, session, class);
    bool is_stranger = class == STAMP_STRANGER;
    transport->used = (uint16_t)(transport->used + !is_stranger);
    transport->strangers = (uint16_t)(transport->strangers + is_stranger);
}

static void unstamp(struct transport *transport, const struct session *session)
{
    enum stamp_class class = class_of(session);
    must(transport->stamps[session_place(session)] != 0 || class == STAMP_NONE);
    transport->stamps[session_place(session)] = 0;
    bool is_stranger = class == STAMP_STRANGER;
    transport->used = (uint16_t)(transport->used - (class != STAMP_NONE && !is_stranger));
    transport->strangers = (uint16_t)(transport->strangers - is_stranger);
}

/* How long ago by the order; stamps of the same class only. */
static uint32_t rank(const struct transport *transport, uint32_t stamp)
{
    return (transport->stamp_last << STAMP_SHIFT) - (stamp & ~(uint32_t)STAMP_CLASS_MASK);
}

/* The oldest of the class, or the next newer one after `after`; POOL_NONE when there is none. */
static uint16_t oldest_of(const struct transport *transport, enum stamp_class class, uint16_t after)
{
    uint32_t below = after != POOL_NONE ? rank(transport, transport->stamps[after]) : UINT32_MAX;
    uint16_t made = transport->sessions.made;
    uint32_t best = 0; /* Age and class: without a branch, for the compiler to do many at once. */
    for (uint16_t place = 0; place < made; place++) {
        uint32_t stamp = transport->stamps[place];
        uint32_t age = rank(transport, stamp);
        bool is_one = ((stamp & STAMP_CLASS_MASK) == class) & (age < below);
        uint32_t candidate = is_one ? age | class : 0;
        best = candidate > best ? candidate : best;
    }
    for (uint16_t place = 0; best != 0 && place < made; place++) {
        uint32_t stamp = transport->stamps[place];
        if ((rank(transport, stamp) | (stamp & STAMP_CLASS_MASK)) == best) {
            return place;
        }
    }
    return POOL_NONE;
}

static uint32_t tag_of(const struct transport *transport, uint32_t peer)
{
    /* By id, not by handle: handles differ between hosts. */
    uint64_t prefix = contact_prefix(transport->core->port, peer);
    return (uint32_t)(rng_mix(prefix ^ transport->salt) >> 48);
}

/* Makes the session known by its peer. */
static void name(struct transport *transport, struct session *session)
{
    uint32_t tag = tag_of(transport, session->peer);
    uint32_t at = tag & transport->peer_mask;
    while (transport->peer_index[at] != INDEX_EMPTY) {
        at = (at + 1) & transport->peer_mask;
    }
    transport->peer_index[at] = tag << INDEX_TAG_SHIFT | session_place(session);
}

static void unname(struct transport *transport, struct session *session)
{
    if (session->peer == PORT_INTERN_NONE) {
        return;
    }
    uint32_t *index = transport->peer_index;
    uint32_t mask = transport->peer_mask;
    uint32_t tag = tag_of(transport, session->peer);
    uint32_t hole = tag & mask;
    while (index[hole] != (tag << INDEX_TAG_SHIFT | session_place(session))) {
        if (index[hole] == INDEX_EMPTY) {
            return; /* Strangers are not in the index. */
        }
        hole = (hole + 1) & mask;
    }
    /* What follows moves up, unless it lies between its own place and the hole: no tombstones. */
    for (uint32_t at = (hole + 1) & mask; index[at] != INDEX_EMPTY; at = (at + 1) & mask) {
        uint32_t home = index[at] >> INDEX_TAG_SHIFT & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            index[hole] = index[at];
            hole = at;
        }
    }
    index[hole] = INDEX_EMPTY;
}

/* The session that was used longest ago and has no calls, failing that the oldest stranger, failing
 * that one whose calls are all cancelled. Never one that an answer is waited for on: to evict it
 * would only move the shortage to the call after this one. */
static bool make_room(struct transport *transport, bool is_stranger)
{
    uint16_t victim = oldest_of(transport, STAMP_USED, POOL_NONE);
    while (victim != POOL_NONE && session_at(transport, victim)->calls != POOL_NONE) {
        victim = oldest_of(transport, STAMP_USED, victim);
    }
    if (victim == POOL_NONE) {
        victim = oldest_of(transport, STAMP_STRANGER, POOL_NONE);
    }
    if (victim == POOL_NONE && !is_stranger) {
        victim = oldest_of(transport, STAMP_USED, POOL_NONE);
        while (victim != POOL_NONE && call_is_wanted(transport, session_at(transport, victim))) {
            victim = oldest_of(transport, STAMP_USED, victim);
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
    bool was_pinned = older->is_pinned;
    mark(transport, older, false);
    mark(transport, session, was_pinned || session->is_pinned);
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

bool transport_pin(struct transport *transport, uint32_t index, bool is_pinned)
{
    struct session *session = session_find(transport, index);
    if (session == NULL || session->is_pinned == is_pinned) {
        return session != NULL;
    }
    if (is_pinned && transport->pinned >= transport->config->sessions_max / 2) {
        return false;
    }
    mark(transport, session, is_pinned);
    return true;
}

/* Its place in the order stays. */
static void mark(struct transport *transport, struct session *session, bool is_pinned)
{
    transport->pinned = (uint16_t)(transport->pinned - session->is_pinned + is_pinned);
    session->is_pinned = is_pinned;
    uint32_t *stamp = &transport->stamps[session_place(session)];
    if (*stamp != 0) {
        *stamp = (*stamp & ~(uint32_t)STAMP_CLASS_MASK) | class_of(session);
    }
}

bool session_table_is_crowded(const struct transport *transport)
{
    if (transport->strangers < strangers_max(transport)) {
        return false;
    }
    uint16_t oldest = oldest_of(transport, STAMP_STRANGER, POOL_NONE);
    return core_now(transport->core) - session_at(transport, oldest)->started_us <
           SESSION_UNCONFIRMED_US;
}

const char *session_table_check(const struct transport *transport)
{
    uint32_t live = 0;
    uint32_t used = 0;
    uint32_t strangers = 0;
    uint32_t indexed = 0;
    for (uint16_t place = 0; place < transport->sessions.made; place++) {
        const struct session *session = pool_peek(&transport->sessions, place);
        if (session == NULL || session->index == 0) {
            continue;
        }
        live++;
        enum stamp_class class = class_of(session);
        used += class == STAMP_USED || class == STAMP_PINNED;
        strangers += class == STAMP_STRANGER;
        if ((transport->stamps[place] & STAMP_CLASS_MASK) != class) {
            return "a session is ordered in the wrong class";
        }
        bool is_indexed = session->state >= SESSION_ESTABLISHED ||
                          (session->state == SESSION_OPENING && session->peer != PORT_INTERN_NONE);
        indexed += is_indexed;
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
    for (uint32_t at = 0; at <= transport->peer_mask; at++) {
        indexed -= transport->peer_index[at] != INDEX_EMPTY;
    }
    if (indexed != 0) {
        return "the peer index names others than the sessions";
    }
    return used == transport->used && strangers == transport->strangers
               ? NULL
               : "the classes of sessions are miscounted";
}
