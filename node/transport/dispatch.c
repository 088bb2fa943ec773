/* dispatch.c - decoding, the answers transport gives itself, and replies of the modules. */
#include "node/transport/dispatch.h"

#include "node/base/must.h"
#include "node/transport/call.h"
#include "node/transport/cookie.h"
#include "node/transport/handshake.h"
#include "node/transport/packet.h"

static void on_request(struct transport *transport, struct session *session,
                       const struct dispatch_source *source, const struct message *request);
static void on_ping(struct transport *transport, const struct message_from *from,
                    const struct message *request, const struct port_addr *addr);
static void on_reply(struct transport *transport, struct session *session,
                     const struct dispatch_source *source, struct message *reply);
static void on_probe_answer(struct transport *transport, struct session *session,
                            const struct port_addr *addr, uint64_t nonce);

void dispatch_message(struct transport *transport, struct session *session,
                      const struct dispatch_source *source, struct slice text)
{
    struct core *core = transport->core;
    struct message message;
    if (!message_decode(core->port, text, &message)) {
        traffic_received(&transport->traffic, TRAFFIC_UNREADABLE);
        count(&core->counters, COUNT_MALFORMED);
        if (!source->is_early) {
            bool is_known = text.len > 0 && message_kind_is_known(text.data[0]);
            transport_offend(transport, session->peer, is_known ? GUARD_MALFORMED : GUARD_UNKNOWN);
        }
        return;
    }
    traffic_received(&transport->traffic, traffic_row_of(message.kind));
    enum message_class class = message_class_of(message.kind);
    if (source->is_early && class != MESSAGE_READ) {
        count(&core->counters, COUNT_MALFORMED); /* It may be a replay: nothing may hang on it. */
    } else if (class == MESSAGE_REPLY) {
        on_reply(transport, session, source, &message);
    } else {
        on_request(transport, session, source, &message);
    }
    message_release(core->port, &message);
}

void dispatch_probe(struct transport *transport, struct session *session,
                    const struct port_addr *addr)
{
    const struct message ping = {
        .kind = MESSAGE_PING,
        .call = DISPATCH_PROBE_CALL,
        .ping = {.nonce = cookie_path_nonce(transport, session->index, addr)}};
    uint8_t datagram[PACKET_DATA_OVERHEAD + MESSAGE_HEADER_LEN + 8];
    int len = message_encode(transport->core->port, &ping, datagram + PACKET_DATA_HEADER_LEN,
                             MESSAGE_HEADER_LEN + 8);
    must(len > 0);
    session_send_to(transport, session, addr, datagram, (size_t)len);
}

int transport_reply(struct transport *transport, const struct message_from *from,
                    struct message *reply)
{
    struct port *port = transport->core->port;
    must(message_class_of(reply->kind) == MESSAGE_REPLY);

    reply->call = from->call;
    if (from->is_early) {
        struct early_answer *early = transport->early;
        if (early == NULL || early->session != from->session) {
            return ERR_MISSING;
        }
        int len = message_encode(port, reply, early->buffer, early->cap);
        early->len = len > 0 ? (size_t)len : 0;
        return len > 0 ? ERR_OK : len;
    }
    struct session *session = session_find(transport, from->session);
    if (session == NULL || session->state < SESSION_ESTABLISHED) {
        return ERR_MISSING;
    }
    uint8_t datagram[PORT_DATAGRAM_MAX];
    int len = message_encode(port, reply, datagram + PACKET_DATA_HEADER_LEN, MESSAGE_MAX);
    if (len < 0) {
        return len;
    }
    session_send(transport, session, datagram, (size_t)len);
    return ERR_OK;
}

static void on_request(struct transport *transport, struct session *session,
                       const struct dispatch_source *source, const struct message *request)
{
    struct port *port = transport->core->port;
    const struct transport_hooks *hooks = &transport->hooks;
    const struct node_id *id = &contact_at(port, session->peer)->id;
    if (!guard_admit_peer(transport->guard, id, source->is_early)) {
        return;
    }
    struct message_from from = {
        .peer = session->peer,
        .is_verified = source->is_verified,
        .is_early = source->is_early,
        .session = session->index,
        .call = request->call,
        .answer_max = source->answer_max,
    };
    if (request->kind == MESSAGE_PING) {
        on_ping(transport, &from, request, source->addr);
        return;
    }
    /* The name must outlive the session, should the module close it by what it does. A peer that
     * writes from a new address goes by that one, and is answered at the old. */
    if (port_addr_equal(source->addr, &session->addr)) {
        port->ops->intern_retain(port, from.peer);
    } else {
        from.peer = contact_intern(port, contact_at(port, session->peer)->key, source->addr);
    }
    hooks->message(hooks->arg, &from, request);
    port->ops->intern_release(port, from.peer);
}

static void on_ping(struct transport *transport, const struct message_from *from,
                    const struct message *request, const struct port_addr *addr)
{
    struct message pong = {.kind = MESSAGE_PONG,
                           .pong = {.nonce = request->ping.nonce, .observed = *addr}};
    (void)transport_reply(transport, from, &pong); /* It always fits. */
}

static void on_reply(struct transport *transport, struct session *session,
                     const struct dispatch_source *source, struct message *reply)
{
    if (reply->kind == MESSAGE_PONG && reply->call == DISPATCH_PROBE_CALL) {
        on_probe_answer(transport, session, source->addr, reply->pong.nonce);
    } else if (!call_answer(transport, session, reply)) {
        /* To a call that is over, or to none: late, doubled, or made up. */
        count(&transport->core->counters, COUNT_ANSWERS_UNASKED);
        transport_offend(transport, session->peer, GUARD_UNASKED);
    }
}

/* The peer has received at the address it now sends from: the session lives there. */
static void on_probe_answer(struct transport *transport, struct session *session,
                            const struct port_addr *addr, uint64_t nonce)
{
    if (session->state != SESSION_ESTABLISHED || port_addr_equal(addr, &session->addr) ||
        !cookie_path_nonce_is_valid(transport, session->index, addr, nonce)) {
        return;
    }
    session_move(transport, session, addr);
    transport->hooks.verified(transport->hooks.arg, session->peer, 0);
}
