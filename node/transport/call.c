/* call.c - the calls of a node: where each goes, when it goes again, and how it ends. */
#include "node/transport/call.h"

#include <string.h>

#include "node/base/must.h"
#include "node/transport/handshake.h"
#include "node/transport/packet.h"
#include "node/wire/codec.h"

enum {
    PARKED_US = 5000000, /* Longer than any handshake: then it is lost, though not by its peer. */
    CALLS_FIRST = 8,
    BLOCKS_FIRST = 8, /* In the first slab: one request of any length. */
    BLOCK_LEN = 150,
    /* Most calls need none; a value on its way to 20 holders needs 200. */
    BLOCKS_BASE = 128,
    BLOCKS_PER_CALL = 2,
    BLOCKS_MAX = POOL_NONE - 1,
};

_Static_assert(BLOCKS_FIRST *BLOCK_LEN >= MESSAGE_MAX, "a slab holds the longest request");

struct block {
    uint16_t next;
    uint8_t bytes[BLOCK_LEN];
};

/* A reply's number is its request's plus one: that is how an answer is known to fit its call. */
_Static_assert(MESSAGE_PONG == MESSAGE_PING + 1, "pairs");
_Static_assert(MESSAGE_NODES == MESSAGE_FIND_NODE + 1, "pairs");
_Static_assert(MESSAGE_VALUE == MESSAGE_FIND_VALUE + 1, "pairs");
_Static_assert(MESSAGE_STORED == MESSAGE_STORE + 1, "pairs");
_Static_assert(MESSAGE_SEEKING == MESSAGE_SEEK + 1, "pairs");
_Static_assert(MESSAGE_PEERS == MESSAGE_EXCHANGE + 1, "pairs");
_Static_assert(MESSAGE_HEARD == MESSAGE_BROADCAST + 1, "pairs");
_Static_assert(MESSAGE_APP_DONE == MESSAGE_APP + 1, "pairs");
_Static_assert(MESSAGE_STATED == MESSAGE_STATEMENT + 1, "pairs");
_Static_assert(MESSAGE_REACHED == MESSAGE_REACH + 1, "pairs");
_Static_assert(MESSAGE_DIALLED == MESSAGE_DIAL + 1, "pairs");
_Static_assert(MESSAGE_RESERVED == MESSAGE_RESERVE + 1, "pairs");
_Static_assert(MESSAGE_CONNECTED == MESSAGE_CONNECT + 1, "pairs");
_Static_assert(MESSAGE_PUNCHING == MESSAGE_PUNCH + 1, "pairs");

static struct call *call_at(const struct transport *transport, uint16_t place);
static struct session *session_of(const struct transport *transport, const struct call *call);
static struct call *take(struct transport *transport);
static bool reclaim(struct transport *transport);
static void give_back(struct transport *transport, struct call *call);
static bool save(struct transport *transport, struct call *call, const uint8_t *bytes, size_t len);
static void attach(struct transport *transport, struct session *session, struct call *call);
static void detach(struct transport *transport, struct call *call);
static bool is_usable(const struct transport *transport, const struct session *session,
                      const struct call *call);
static struct session *usable_session(const struct transport *transport, const struct call *call);
static void open_session(struct transport *transport, struct call *call);
static void send_over(struct transport *transport, struct session *session, struct call *call);
static void send_again(struct transport *transport, struct call *call);
static bool hold(struct transport *transport, struct call *call);
static void schedule(struct transport *transport, struct call *call);
static void arm(struct transport *transport, struct call *call);
static void on_timer(struct timer *timer);
static void expire(struct transport *transport, struct call *call);
static void lose(struct transport *transport, struct call *call);
static bool is_from_callee(const struct transport *transport, const struct call *call,
                           const struct session *session);
static bool is_answer(const struct call *call, const struct message *reply);

int call_table_init(struct transport *transport)
{
    struct arena *arena = &transport->core->arena;
    uint16_t max = transport->config->calls_max;
    uint32_t blocks = BLOCKS_BASE + (uint32_t)max * BLOCKS_PER_CALL;
    int status =
        pool_init(&transport->calls, arena, ARENA_CALLS, sizeof(struct call), CALLS_FIRST, max);
    if (status != ERR_OK) {
        return status;
    }
    return pool_init(&transport->blocks, arena, ARENA_CALLS, sizeof(struct block), BLOCKS_FIRST,
                     (uint16_t)(blocks < BLOCKS_MAX ? blocks : BLOCKS_MAX));
}

int call_start(struct transport *transport, uint32_t peer, const struct port_addr *addr,
               const struct message *request, const struct call_options *options)
{
    struct port *port = transport->core->port;
    must(options->done != NULL);
    must((peer != PORT_INTERN_NONE) == (addr == NULL));
    must(message_class_of(request->kind) == MESSAGE_READ ||
         message_class_of(request->kind) == MESSAGE_WRITE);

    if (peer != PORT_INTERN_NONE &&
        guard_is_banned(transport->guard, &contact_at(port, peer)->id)) {
        return ERR_REFUSED;
    }
    uint8_t datagram[PORT_DATAGRAM_MAX];
    uint8_t *text = datagram + PACKET_DATA_HEADER_LEN;
    int len = message_encode(port, request, text, MESSAGE_MAX);
    if (len < 0) {
        return len;
    }
    struct call *call = take(transport);
    if (call == NULL) {
        return ERR_FULL;
    }
    struct writer number = writer_of(text + 1, 4);
    write_u32(&number, call->number);
    if (!save(transport, call, text, (size_t)len)) {
        give_back(transport, call);
        return ERR_FULL;
    }
    call->done = options->done;
    call->owner = options->owner;
    call->tag = options->tag;
    call->kind = request->kind;
    call->is_read = message_class_of(request->kind) == MESSAGE_READ;
    call->answer_max = (uint16_t)message_answer_max(request);
    call->patience_ms = options->patience_ms;
    if (peer != PORT_INTERN_NONE) {
        port->ops->intern_retain(port, peer);
        call->peer = peer;
    } else {
        call->addr = *addr;
    }
    count(&transport->core->counters, COUNT_CALLS);
    struct session *session = usable_session(transport, call);
    if (session != NULL) {
        attach(transport, session, call);
        call->is_sent = true;
        session_send(transport, session, datagram, (size_t)len);
    } else {
        open_session(transport, call);
    }
    call->tries = 1;
    schedule(transport, call);
    return (int)call->number;
}

void call_cancel(struct transport *transport, uint32_t number)
{
    struct call *call = call_find(transport, number);
    if (call != NULL && call->is_parked) {
        give_back(transport, call);
    } else if (call != NULL) {
        call->done = NULL; /* Until its next deadline it may still teach us a round trip. */
    }
}

void call_stop_all(struct transport *transport)
{
    for (uint16_t place = 0; place < transport->calls.made; place++) {
        struct call *call = pool_peek(&transport->calls, place);
        if (call != NULL && call->number != 0) {
            detach(transport, call);
            give_back(transport, call);
        }
    }
}

void call_load(const struct transport *transport, const struct call *call, uint8_t *out)
{
    if (call->len <= CALL_INLINE_LEN) {
        memcpy(out, call->bytes, call->len);
        return;
    }
    uint16_t place = call->blocks;
    for (size_t at = 0; at < call->len; at += BLOCK_LEN) {
        const struct block *block = pool_at(&transport->blocks, place);
        size_t left = call->len - at;
        memcpy(out + at, block->bytes, left < BLOCK_LEN ? left : BLOCK_LEN);
        place = block->next;
    }
}

struct call *call_find(const struct transport *transport, uint32_t number)
{
    uint16_t place = (uint16_t)number;
    struct call *call = number != 0 ? pool_peek(&transport->calls, place) : NULL;
    return call != NULL && call->number == number ? call : NULL;
}

bool call_answer(struct transport *transport, struct session *session, struct message *reply)
{
    struct core *core = transport->core;
    struct call *call = call_find(transport, reply->call);
    if (call == NULL || !is_from_callee(transport, call, session) || !is_answer(call, reply)) {
        return false;
    }
    uint32_t rtt_us = (uint32_t)(core_now(core) - call->sent_us);
    bool is_over_session = call->is_sent;
    bool is_client = session->is_client;
    if (is_over_session && !call->is_ambiguous) {
        rtt_peer_add(&session->rtt, rtt_us);
        rtt_node_add(&transport->rtt, rtt_us);
    }
    call_fn done = call->done;
    void *owner = call->owner;
    struct call_result result = {.outcome = CALL_ANSWERED,
                                 .peer = session->peer,
                                 .tag = call->tag,
                                 .rtt_us = rtt_us,
                                 .answer = reply};
    uint32_t peer = session->peer;
    if (call->peer != PORT_INTERN_NONE) {
        result.peer = call->peer;
    }
    /* What the callbacks close must not take the names in the result with it. */
    core->port->ops->intern_retain(core->port, result.peer);
    core->port->ops->intern_retain(core->port, peer);
    detach(transport, call);
    give_back(transport, call);
    if (is_over_session) {
        transport->hooks.verified(transport->hooks.arg, peer, rtt_us, is_client);
    }
    if (done != NULL) {
        count(&core->counters, COUNT_CALLS_ANSWERED);
        done(owner, &result);
    }
    core->port->ops->intern_release(core->port, peer);
    core->port->ops->intern_release(core->port, result.peer);
    return true;
}

bool call_is_wanted(const struct transport *transport, const struct session *session)
{
    for (uint16_t place = session->calls; place != POOL_NONE;) {
        const struct call *call = call_at(transport, place);
        if (call->done != NULL) {
            return true;
        }
        place = call->next;
    }
    return false;
}

void call_detach_all(struct transport *transport, struct session *session)
{
    while (session->calls != POOL_NONE) {
        struct call *call = call_at(transport, session->calls);
        session->calls = call->next;
        call->session = POOL_NONE;
        call->is_sent = false;
    }
}

uint32_t call_flush(struct transport *transport, struct session *session, uint32_t rider)
{
    struct port *port = transport->core->port;
    uint32_t sent = 0;
    for (uint16_t place = session->calls; place != POOL_NONE;) {
        struct call *call = call_at(transport, place);
        place = call->next;
        if (call->peer == PORT_INTERN_NONE) {
            port->ops->intern_retain(port, session->peer);
            call->peer = session->peer;
        }
        if (call->number != rider) {
            send_over(transport, session, call);
            call->tries = 1;
            schedule(transport, call);
            sent++;
        }
    }
    return sent;
}

uint32_t call_ride(struct transport *transport, struct session *session, uint8_t *out, size_t cap,
                   size_t *len)
{
    for (uint16_t place = session->calls; place != POOL_NONE;) {
        struct call *call = call_at(transport, place);
        if (call->len <= cap) {
            call_load(transport, call, out);
            *len = call->len;
            call->is_sent = true;
            call->tries = 1;
            traffic_sent(&transport->traffic, traffic_row_of(call->kind));
            schedule(transport, call);
            return call->number;
        }
        place = call->next;
    }
    *len = 0;
    return 0;
}

void call_move_all(struct transport *transport, struct session *from, struct session *to)
{
    while (from->calls != POOL_NONE) {
        struct call *call = call_at(transport, from->calls);
        from->calls = call->next;
        attach(transport, to, call);
        call->is_ambiguous = true; /* The peer may have seen it in the handshake that lost. */
        send_over(transport, to, call);
        call->tries = 1;
        schedule(transport, call);
    }
}

void call_go_on(struct transport *transport, struct session *session)
{
    for (uint16_t place = session->calls; place != POOL_NONE;) {
        struct call *call = call_at(transport, place);
        place = call->next;
        if (call->is_held) {
            call->is_held = false;
            send_again(transport, call);
            schedule(transport, call);
        }
    }
}

static struct call *call_at(const struct transport *transport, uint16_t place)
{
    return pool_at(&transport->calls, place);
}

static struct session *session_of(const struct transport *transport, const struct call *call)
{
    return call->session != POOL_NONE ? pool_at(&transport->sessions, call->session) : NULL;
}

static struct call *take(struct transport *transport)
{
    uint16_t place;
    struct call *call = pool_get(&transport->calls, &place);
    if (call == NULL && reclaim(transport)) {
        call = pool_get(&transport->calls, &place);
    }
    if (call == NULL) {
        return NULL;
    }
    transport->call_number = (uint16_t)(transport->call_number % CALL_NUMBER_MAX + 1);
    call->transport = transport;
    call->number = (uint32_t)transport->call_number << 16 | place;
    call->session = POOL_NONE;
    call->blocks = POOL_NONE;
    return call;
}

/* Ends one cancelled call before its time. */
static bool reclaim(struct transport *transport)
{
    for (uint16_t place = 0; place < transport->calls.made; place++) {
        struct call *call = pool_peek(&transport->calls, place);
        if (call != NULL && call->number != 0 && call->done == NULL) {
            detach(transport, call);
            give_back(transport, call);
            return true;
        }
    }
    return false;
}

static void give_back(struct transport *transport, struct call *call)
{
    struct port *port = transport->core->port;
    must(call->session == POOL_NONE);

    transport->parked = (uint16_t)(transport->parked - call->is_parked);
    timer_stop(&transport->core->timers, &call->timer);
    while (call->blocks != POOL_NONE) {
        uint16_t block = call->blocks;
        call->blocks = ((struct block *)pool_at(&transport->blocks, block))->next;
        pool_put(&transport->blocks, block);
    }
    if (call->peer != PORT_INTERN_NONE) {
        port->ops->intern_release(port, call->peer);
    }
    uint16_t place = (uint16_t)call->number;
    call->number = 0;
    pool_put(&transport->calls, place);
}

static bool save(struct transport *transport, struct call *call, const uint8_t *bytes, size_t len)
{
    call->len = (uint16_t)len;
    if (len <= CALL_INLINE_LEN) {
        memcpy(call->bytes, bytes, len);
        return true;
    }
    uint16_t *link = &call->blocks;
    for (size_t at = 0; at < len; at += BLOCK_LEN) {
        struct block *block = pool_get(&transport->blocks, link);
        if (block == NULL) {
            *link = POOL_NONE;
            return false;
        }
        block->next = POOL_NONE;
        memcpy(block->bytes, bytes + at, len - at < BLOCK_LEN ? len - at : BLOCK_LEN);
        link = &block->next;
    }
    return true;
}

static void attach(struct transport *transport, struct session *session, struct call *call)
{
    call->session = session_place(session);
    call->is_sent = false;
    call->previous = POOL_NONE;
    call->next = session->calls;
    if (session->calls != POOL_NONE) {
        call_at(transport, session->calls)->previous = (uint16_t)call->number;
    }
    session->calls = (uint16_t)call->number;
}

/* A handshake that nobody waits for any more ends with it. */
static void detach(struct transport *transport, struct call *call)
{
    struct session *session = session_of(transport, call);
    if (session == NULL) {
        return;
    }
    if (call->next != POOL_NONE) {
        call_at(transport, call->next)->previous = call->previous;
    }
    if (call->previous != POOL_NONE) {
        call_at(transport, call->previous)->next = call->next;
    } else {
        session->calls = call->next;
    }
    call->session = POOL_NONE;
    call->is_sent = false;
    if (session->calls == POOL_NONE && session->state == SESSION_OPENING) {
        session_close(transport, session, SESSION_FAILED);
    }
}

static bool is_usable(const struct transport *transport, const struct session *session,
                      const struct call *call)
{
    const struct transport_config *config = transport->config;
    uint64_t now_us = core_now(transport->core);
    uint64_t idle_us = config->session_idle_us;
    if (!session->is_kept) {
        uint64_t brief_us = session->is_brief ? 0 : SESSION_UNCONFIRMED_US;
        idle_us = idle_us < brief_us ? idle_us : brief_us;
    }
    /* Only a read can bring its own new keys along. */
    uint64_t patience = call->is_read ? 1 : 2;
    return !session->is_suspect && !(session->is_outdated && call->is_read) &&
           now_us - session->heard_us < idle_us &&
           (now_us - session->started_us) / patience < config->rekey_after_us &&
           session->send_counter / patience < config->rekey_after_messages;
}

/* The established session with the callee, if it may carry this call. */
static struct session *usable_session(const struct transport *transport, const struct call *call)
{
    if (call->peer == PORT_INTERN_NONE) {
        return NULL;
    }
    struct session *session = session_with(transport, call->peer, SESSION_ESTABLISHED);
    return session != NULL && is_usable(transport, session, call) ? session : NULL;
}

/* Waits for the handshake under way with the callee, or begins one, or is parked for lack of room.
 */
static void open_session(struct transport *transport, struct call *call)
{
    struct session *session = NULL;
    int status = ERR_OK;
    if (call->peer != PORT_INTERN_NONE) {
        session = session_with(transport, call->peer, SESSION_OPENING);
    }
    if (session == NULL) {
        status = handshake_open(transport, call, &session);
    }
    bool is_parked = status == ERR_FULL; /* With a bad key it is as good as lost on the way. */
    transport->parked = (uint16_t)(transport->parked + is_parked - call->is_parked);
    call->is_parked = is_parked;
    if (session != NULL) {
        attach(transport, session, call);
    }
}

void call_unpark(struct transport *transport)
{
    for (uint16_t place = 0; place < transport->calls.made && transport->parked > 0; place++) {
        struct call *call = pool_peek(&transport->calls, place);
        if (call == NULL || !call->is_parked) {
            continue;
        }
        struct session *session = usable_session(transport, call);
        if (session == NULL) {
            open_session(transport, call);
            if (call->is_parked) {
                return; /* Nor is there room for the others. */
            }
        } else {
            call->is_parked = false;
            transport->parked--;
            attach(transport, session, call);
            send_over(transport, session, call);
        }
        call->tries = 1;
        schedule(transport, call);
    }
}

static void send_over(struct transport *transport, struct session *session, struct call *call)
{
    uint8_t datagram[PORT_DATAGRAM_MAX];
    call_load(transport, call, datagram + PACKET_DATA_HEADER_LEN);
    call->is_sent = true;
    session_send(transport, session, datagram, call->len);
}

static void send_again(struct transport *transport, struct call *call)
{
    count(&transport->core->counters, COUNT_RETRANSMITS);
    call->is_ambiguous = true;
    struct session *session = session_of(transport, call);
    if (session != NULL && session->state == SESSION_OPENING) {
        handshake_again(transport, session);
        return;
    }
    if (session != NULL && session->state == SESSION_ESTABLISHED) {
        bool is_sent_again = session->heard_us > call->sent_us || hold(transport, call);
        session = session_of(transport, call); /* Looking for a way may have taken its place. */
        if (session != NULL && is_sent_again) {
            send_over(transport, session, call);
            return;
        }
    }
    if (session != NULL && session->state == SESSION_ESTABLISHED) {
        session->is_suspect = true; /* No call takes it until it is heard again. */
    }
    detach(transport, call);
    session = usable_session(transport, call);
    if (session != NULL) {
        attach(transport, session, call);
        send_over(transport, session, call);
    } else {
        open_session(transport, call);
    }
}

/* Whether the way to the peer is looked into. It is the first transmission's time that is given to
 * that: the second is still to come. */
static bool hold(struct transport *transport, struct call *call)
{
    const struct transport_hooks *hooks = &transport->hooks;
    const struct session *session = session_of(transport, call);
    if (call->was_held || hooks->silent == NULL) {
        return false;
    }
    call->held_us = hooks->silent(hooks->arg, session->index);
    call->is_held = call->was_held = call->held_us > 0;
    call->tries = (uint8_t)(call->tries - call->is_held);
    return call->is_held;
}

/* After a transmission: sets both deadlines. */
static void schedule(struct transport *transport, struct call *call)
{
    const struct session *session = session_of(transport, call);
    uint64_t now_us = core_now(transport->core);
    uint64_t rto_us = rtt_rto_us(session != NULL ? &session->rtt : NULL, &transport->rtt);
    call->sent_us = now_us;
    if (call->tries == 1) {
        call->slow_us = now_us + rtt_slow_us(&transport->rtt);
    }
    call->late_us = now_us + rto_us * call->tries; /* 1, then 2: LOST after 3 RTO. */
    if (call->patience_ms > 0) {
        call->late_us = now_us + call->patience_ms * UINT64_C(1000);
    }
    if (call->is_held) {
        call->late_us = now_us + call->held_us;
    }
    if (call->is_parked) {
        call->slow_us = call->late_us = now_us + PARKED_US;
    }
    arm(transport, call);
}

static void arm(struct transport *transport, struct call *call)
{
    uint64_t now_us = core_now(transport->core);
    uint64_t due_us = call->late_us;
    if (!call->is_slow && call->done != NULL && call->slow_us < due_us) {
        due_us = call->slow_us;
    }
    timer_start(&transport->core->timers, &call->timer, due_us > now_us ? due_us - now_us : 0,
                on_timer);
}

static void on_timer(struct timer *timer)
{
    struct call *call = container_of(timer, struct call, timer);
    struct transport *transport = call->transport;
    expire(transport, call);
    call_unpark(transport);
}

static void expire(struct transport *transport, struct call *call)
{
    uint64_t now_us = core_now(transport->core);
    if (!call->is_slow && call->done != NULL && now_us >= call->slow_us) {
        uint32_t number = call->number;
        call->is_slow = true;
        count(&transport->core->counters, COUNT_CALLS_SLOW);
        call->done(call->owner, &(struct call_result){
                                    .outcome = CALL_SLOW, .peer = call->peer, .tag = call->tag});
        call = call_find(transport, number);
        if (call == NULL) {
            return; /* A new call needed its place. */
        }
    }
    if (now_us < call->late_us) {
        arm(transport, call);
    } else if (call->done == NULL) {
        detach(transport, call);
        give_back(transport, call);
    } else if (call->tries < CALL_TRIES_MAX && !call->is_parked && call->patience_ms == 0) {
        call->is_held = false;
        call->tries++;
        send_again(transport, call);
        schedule(transport, call);
    } else {
        lose(transport, call);
    }
}

static void lose(struct transport *transport, struct call *call)
{
    struct core *core = transport->core;
    call_fn done = call->done;
    void *owner = call->owner;
    struct call_result result = {.outcome = CALL_LOST, .peer = call->peer, .tag = call->tag};
    if (result.peer != PORT_INTERN_NONE) {
        core->port->ops->intern_retain(core->port, result.peer);
    }
    bool was_parked = call->is_parked; /* Then the peer has not even been asked. */
    detach(transport, call);
    give_back(transport, call);
    count(&core->counters, COUNT_CALLS_LOST);
    if (result.peer != PORT_INTERN_NONE && !was_parked) {
        struct session *silent = session_with(transport, result.peer, SESSION_ESTABLISHED);
        if (silent != NULL && silent->is_suspect && silent->calls == POOL_NONE) {
            session_close(transport, silent, SESSION_FAILED);
        }
        transport->hooks.lost(transport->hooks.arg, result.peer);
    }
    done(owner, &result);
    if (result.peer != PORT_INTERN_NONE) {
        core->port->ops->intern_release(core->port, result.peer);
    }
}

/* The callee may have moved since, so the key decides. */
static bool is_from_callee(const struct transport *transport, const struct call *call,
                           const struct session *session)
{
    const struct port *port = transport->core->port;
    if (call->session == session_place(session) || call->peer == session->peer) {
        return true;
    }
    return call->peer != PORT_INTERN_NONE &&
           memcmp(contact_at(port, call->peer)->key, contact_at(port, session->peer)->key,
                  CRYPTO_PUBLIC_LEN) == 0;
}

static bool is_answer(const struct call *call, const struct message *reply)
{
    if (reply->kind != call->kind + 1) {
        return false;
    }
    if (call->kind != MESSAGE_PING) {
        return true;
    }
    must(call->len == MESSAGE_HEADER_LEN + 8);
    struct reader reader = reader_of(slice_of(call->bytes + MESSAGE_HEADER_LEN, 8));
    return reply->pong.nonce == read_u64(&reader);
}

const char *call_table_check(const struct transport *transport)
{
    uint32_t live = 0;
    uint32_t parked = 0;
    for (uint16_t place = 0; place < transport->calls.made; place++) {
        const struct call *call = pool_peek(&transport->calls, place);
        if (call == NULL || call->number == 0) {
            continue;
        }
        live++;
        parked += call->is_parked;
        if (!timer_is_running(&call->timer)) {
            return "a call waits for nothing";
        }
        const struct session *session = session_of(transport, call);
        bool is_held = session == NULL;
        for (uint16_t other = is_held ? POOL_NONE : session->calls; other != POOL_NONE;) {
            is_held |= other == place;
            other = call_at(transport, other)->next;
        }
        if (!is_held || (session != NULL && session->index == 0)) {
            return "a call hangs on a session that does not hold it";
        }
    }
    if (parked != transport->parked) {
        return "parked calls are miscounted";
    }
    return live == transport->calls.count ? NULL : "the pool of calls miscounts";
}
