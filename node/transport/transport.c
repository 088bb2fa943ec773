/* transport.c - the module's door: setting up, calls in, datagrams in, and the checker. */
#include "node/transport/transport.h"

#include <string.h>

#include "node/base/must.h"
#include "node/base/prefetch.h"
#include "node/port/crypto_calls.h"
#include "node/transport/call.h"
#include "node/transport/cookie.h"
#include "node/transport/dispatch.h"
#include "node/transport/handshake.h"
#include "node/transport/packet.h"
#include "node/transport/session.h"

static struct transport_session look_at(const struct session *session);
static void on_data(struct transport *transport, const struct port_addr *from, struct slice bytes);
static bool is_at_home(const struct transport *transport, const struct session *session,
                       const struct port_addr *from);
static bool admit_data(struct transport *transport, struct session *session,
                       const struct packet_data *packet, const struct port_addr *from);
static void confirm(struct transport *transport, struct session *session);

int transport_init(struct transport *transport, struct core *core,
                   const struct transport_config *config, const struct identity *identity,
                   struct guard *guard, const struct transport_hooks *hooks)
{
    must(hooks->message != NULL && hooks->verified != NULL && hooks->lost != NULL);
    must(hooks->is_wanted != NULL);

    *transport = (struct transport){
        .core = core, .config = config, .identity = identity, .guard = guard, .hooks = *hooks};
    uint32_t number;
    core->port->ops->entropy(core->port, transport->secret, sizeof transport->secret);
    core->port->ops->entropy(core->port, &transport->salt, sizeof transport->salt);
    core->port->ops->entropy(core->port, &number, sizeof number);
    transport->session_number = (uint16_t)number; /* Not where it began before a restart. */
    transport->call_number = (uint16_t)(number >> 16);
    cookie_mac_key(transport, identity->agree_public, transport->mac_key);
    int status = session_table_init(transport);
    return status == ERR_OK ? call_table_init(transport) : status;
}

void transport_stop(struct transport *transport)
{
    call_stop_all(transport);
    for (uint16_t place = 0; place < transport->sessions.made; place++) {
        struct session *session = pool_peek(&transport->sessions, place);
        if (session != NULL && session->index != 0) {
            session_close(transport, session, SESSION_STOPPED);
        }
    }
}

int transport_call(struct transport *transport, uint32_t peer, const struct message *request,
                   const struct call_options *options)
{
    must(peer != PORT_INTERN_NONE);
    return call_start(transport, peer, NULL, request, options);
}

int transport_call_addr(struct transport *transport, const struct port_addr *addr,
                        const struct message *request, const struct call_options *options)
{
    return call_start(transport, PORT_INTERN_NONE, addr, request, options);
}

int transport_ping(struct transport *transport, uint32_t peer, const struct call_options *options)
{
    const struct message ping = {.kind = MESSAGE_PING,
                                 .ping = {.nonce = rng_next(&transport->core->rng)}};
    return transport_call(transport, peer, &ping, options);
}

void transport_go_on(struct transport *transport, uint32_t index)
{
    struct session *session = session_find(transport, index);
    if (session != NULL) {
        call_go_on(transport, session);
    }
}

void transport_cancel(struct transport *transport, uint32_t call)
{
    call_cancel(transport, call);
}

void transport_offend(struct transport *transport, uint32_t peer, enum guard_offence which)
{
    guard_offend(transport->guard, &contact_at(transport->core->port, peer)->id, which);
}

void transport_set_client(struct transport *transport, bool is_client)
{
    if (transport->is_client == is_client) {
        return;
    }
    transport->is_client = is_client;
    for (uint16_t place = 0; place < transport->sessions.made; place++) {
        struct session *session = pool_peek(&transport->sessions, place);
        if (session != NULL && session->index != 0) {
            session->is_outdated = true;
        }
    }
}

void transport_drop(struct transport *transport, const struct node_id *id)
{
    struct port *port = transport->core->port;
    must(transport->early == NULL);

    for (uint16_t place = 0; place < transport->sessions.made; place++) {
        struct session *session = pool_peek(&transport->sessions, place);
        if (session != NULL && session->index != 0 && session->peer != PORT_INTERN_NONE &&
            node_id_equal(&contact_at(port, session->peer)->id, id)) {
            session_close(transport, session, SESSION_BANNED);
        }
    }
}

void transport_expect(const struct transport *transport)
{
    prefetch(transport->sessions.slabs, 2 * PREFETCH_LINE);
    prefetch(transport->stamps, PREFETCH_LINE); /* Somebody may have to make room. */
}

void transport_expect_next(const struct transport *transport, struct slice bytes)
{
    const void *session = pool_peek(&transport->sessions, (uint16_t)packet_receiver(bytes));
    if (session != NULL) {
        prefetch(session, SESSION_HOT_BYTES);
    }
}

void transport_on_datagram(struct transport *transport, int path, const struct port_addr *from,
                           struct slice bytes)
{
    struct counters *counters = &transport->core->counters;
    count(counters, COUNT_DATAGRAMS_IN);
    count_by(counters, COUNT_BYTES_IN, (uint32_t)bytes.len);
    if (bytes.len == 0 || bytes.len > PORT_DATAGRAM_MAX) {
        count(counters, COUNT_MALFORMED);
        return;
    }
    transport->path = (uint16_t)path;
    switch (bytes.data[0]) {
    case PACKET_DATA:
        on_data(transport, from, bytes);
        break;
    case PACKET_HANDSHAKE:
        handshake_on_packet(transport, from, bytes);
        break;
    case PACKET_COOKIE:
        handshake_on_cookie(transport, from, bytes);
        break;
    default:
        count(counters, COUNT_MALFORMED);
        break;
    }
    transport->path = PORT_MAIN_PATH;
    call_unpark(transport);
}

uint32_t transport_rtt_quantile_us(const struct transport *transport, uint32_t part)
{
    return rtt_node_quantile_us(&transport->rtt, part);
}

uint32_t transport_session_count(const struct transport *transport)
{
    return transport->sessions.count;
}

bool transport_session_next(const struct transport *transport, uint32_t *place,
                            struct transport_session *session)
{
    while (*place < transport->sessions.made) {
        const struct session *found = pool_peek(&transport->sessions, (*place)++);
        if (found != NULL && found->index != 0 && found->state == SESSION_ESTABLISHED) {
            *session = look_at(found);
            return true;
        }
    }
    return false;
}

bool transport_session_at(const struct transport *transport, uint32_t index,
                          struct transport_session *session)
{
    const struct session *found = session_find(transport, index);
    if (found == NULL || found->state != SESSION_ESTABLISHED) {
        return false;
    }
    *session = look_at(found);
    return true;
}

bool transport_session_of(const struct transport *transport, const struct node_id *id,
                          struct transport_session *session)
{
    uint32_t place = 0;
    while (transport_session_next(transport, &place, session)) {
        if (node_id_equal(&contact_at(transport->core->port, session->peer)->id, id)) {
            return true;
        }
    }
    return false;
}

const char *transport_check(const struct transport *transport)
{
    const char *wrong = session_table_check(transport);
    wrong = wrong != NULL ? wrong : call_table_check(transport);
    return transport->early != NULL ? "an early answer outlived its request" : wrong;
}

static struct transport_session look_at(const struct session *session)
{
    return (struct transport_session){.peer = session->peer,
                                      .index = session->index,
                                      .path = session->path,
                                      .is_client = session->is_client,
                                      .is_initiator = session->is_initiator,
                                      .rtt_us = session->rtt.smoothed_us,
                                      .started_us = session->started_us,
                                      .heard_us = session->heard_us,
                                      .sent = session->send_counter,
                                      .received = session->window.next};
}

static void on_data(struct transport *transport, const struct port_addr *from, struct slice bytes)
{
    struct core *core = transport->core;
    struct packet_data packet;
    if (!packet_read_data(bytes, &packet)) {
        count(&core->counters, COUNT_MALFORMED);
        return;
    }
    struct session *session = session_find(transport, packet.receiver);
    if (session == NULL || !session_has_keys(session)) {
        count(&core->counters, COUNT_UNAUTHENTIC);
        return;
    }
    uint8_t text[PORT_DATAGRAM_MAX];
    if (!admit_data(transport, session, &packet, from)) {
        return;
    }
    if (!port_unseal(core->port, text, packet.sealed, slice_of(NULL, 0), packet.counter,
                     session->receive_key)) {
        count(&core->counters, COUNT_UNAUTHENTIC);
        return;
    }
    window_mark(&session->window, packet.counter);
    if (session->state == SESSION_UNCONFIRMED) {
        confirm(transport, session);
        session = session_find(transport, packet.receiver);
        if (session == NULL) {
            return;
        }
    }
    session_heard(transport, session);
    struct dispatch_source source = {
        .addr = from,
        .answer_max = MESSAGE_MAX,
        .is_verified = is_at_home(transport, session, from),
    };
    /* Nothing that a forger of addresses could gain by: no more bytes than just came from there. A
     * probe of the peer's is answered and has no need of ours. */
    bool is_probe = packet.sealed.len > CRYPTO_TAG_LEN && dispatch_is_probe(text[0]);
    if (!source.is_verified && session->state == SESSION_ESTABLISHED && !is_probe &&
        bytes.len >= PACKET_DATA_OVERHEAD + MESSAGE_HEADER_LEN + 8) {
        dispatch_ask(transport, session, from);
    }
    if (packet.sealed.len == CRYPTO_TAG_LEN) {
        traffic_received(&transport->traffic, TRAFFIC_CONFIRM);
    } else {
        dispatch_message(transport, session, &source,
                         slice_of(text, packet.sealed.len - CRYPTO_TAG_LEN));
    }
}

/* Whether a datagram came by the way that the session's own take. */
static bool is_at_home(const struct transport *transport, const struct session *session,
                       const struct port_addr *from)
{
    return port_addr_equal(from, &session->addr) &&
           (session->path == transport->path || transport_is_relayed(from));
}

/* The checks that come before any cryptography. */
static bool admit_data(struct transport *transport, struct session *session,
                       const struct packet_data *packet, const struct port_addr *from)
{
    struct core *core = transport->core;
    if (session->state == SESSION_DRAINING && core_now(core) > session->drain_us) {
        session_close(transport, session, SESSION_REPLACED);
        count(&core->counters, COUNT_UNAUTHENTIC);
        return false;
    }
    if (!window_is_fresh(&session->window, packet->counter)) {
        count(&core->counters, COUNT_REPLAYED);
        return false;
    }
    bool is_proved = session->state >= SESSION_ESTABLISHED && is_at_home(transport, session, from);
    return guard_admit(transport->guard, from, is_proved ? GUARD_PROVED : GUARD_STRANGER,
                       GUARD_DATA);
}

/* The first DATA of a stranger: it received our answer, so it is where it said it is. */
static void confirm(struct transport *transport, struct session *session)
{
    struct port *port = transport->core->port;
    uint32_t peer = session->peer;
    bool is_client = session->is_client;
    port->ops->intern_retain(port, peer);
    session_establish(transport, session, peer);
    if (session->is_rival) {
        struct session *loser = session_with(transport, peer, SESSION_OPENING);
        if (loser != NULL) {
            call_move_all(transport, loser, session);
            session_close(transport, loser, SESSION_REPLACED);
        }
    }
    transport->hooks.verified(transport->hooks.arg, peer, 0, is_client);
    port->ops->intern_release(port, peer);
}
