/* dispatch.c - decoding, the answers transport gives itself, and replies of the modules. */
#include "node/transport/dispatch.h"

#include "node/base/must.h"
#include "node/transport/call.h"
#include "node/transport/cookie.h"
#include "node/transport/handshake.h"
#include "node/transport/packet.h"
#include "node/wire/codec.h"

static void on_request(struct transport *transport, struct session *session,
                       const struct dispatch_source *source, const struct message *request);
static void on_ping(struct transport *transport, const struct message_from *from,
                    const struct message *request, const struct port_addr *addr);
static void on_reply(struct transport *transport, struct session *session,
                     const struct dispatch_source *source, struct message *reply);
static void on_probe(struct transport *transport, struct session *session,
                     const struct dispatch_source *source, const struct message *probe);
static void answer_elsewhere(struct transport *transport, struct session *session,
                             const struct dispatch_source *source,
                             const struct message_probe *probe);
static void send_note_by(struct transport *transport, struct session *session,
                         const struct transport_way *way, const struct message *note);
static bool is_proof(const struct transport *transport, const struct session *session,
                     const struct port_addr *addr, uint64_t nonce);
static bool on_proved(struct transport *transport, struct session *session,
                      const struct port_addr *addr, const struct port_addr *observed);

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

void dispatch_ask(struct transport *transport, struct session *session,
                  const struct port_addr *addr)
{
    const struct message ping = {
        .kind = MESSAGE_PING,
        .call = DISPATCH_ASK_CALL,
        .ping = {.nonce = cookie_path_nonce(transport, session->index, addr)}};
    uint8_t datagram[PACKET_DATA_OVERHEAD + MESSAGE_HEADER_LEN + 8];
    int len = message_encode(transport->core->port, &ping, datagram + PACKET_DATA_HEADER_LEN,
                             MESSAGE_HEADER_LEN + 8);
    must(len > 0);
    struct transport_way way = {.addr = *addr, .path = transport->path};
    session_send_by(transport, session, &way, datagram, (size_t)len);
}

int transport_probe(struct transport *transport, uint32_t index, const struct transport_way *way)
{
    return transport_probe_port(transport, index, way, 0);
}

int transport_probe_port(struct transport *transport, uint32_t index,
                         const struct transport_way *way, uint16_t port)
{
    struct session *session = session_find(transport, index);
    if (session == NULL || session->state != SESSION_ESTABLISHED) {
        return ERR_MISSING;
    }
    struct message probe = {
        .kind = MESSAGE_PROBE,
        .probe = {.nonce = cookie_path_nonce(transport, session->index, &way->addr), .port = port}};
    send_note_by(transport, session, way, &probe);
    return ERR_OK;
}

int transport_note(struct transport *transport, uint32_t index, struct message *note)
{
    must(message_class_of(note->kind) == MESSAGE_NOTE);
    struct session *session = session_find(transport, index);
    if (session == NULL || session->state < SESSION_ESTABLISHED) {
        return ERR_MISSING;
    }
    uint8_t datagram[PORT_DATAGRAM_MAX];
    int len = message_encode(transport->core->port, note, datagram + PACKET_DATA_HEADER_LEN,
                             PORT_DATAGRAM_MAX - PACKET_DATA_OVERHEAD);
    if (len < 0) {
        return len;
    }
    session_send(transport, session, datagram, (size_t)len);
    return ERR_OK;
}

int transport_keep(struct transport *transport, uint32_t index)
{
    struct session *session = session_find(transport, index);
    if (session == NULL || session->state != SESSION_ESTABLISHED) {
        return ERR_MISSING;
    }
    uint8_t datagram[PACKET_DATA_OVERHEAD];
    session_send(transport, session, datagram, 0);
    return ERR_OK;
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
    /* What is relayed has limits of its own, and to probes nothing is answered that costs more. */
    bool is_limited = request->kind != MESSAGE_RELAY && !dispatch_is_probe(request->kind);
    if (is_limited && !guard_admit_peer(transport->guard, id, source->is_early)) {
        return;
    }
    struct message_from from = {
        .peer = session->peer,
        .is_verified = source->is_verified,
        .is_early = source->is_early,
        .is_client = session->is_client,
        .session = session->index,
        .call = request->call,
        .answer_max = source->answer_max,
    };
    if (dispatch_is_probe(request->kind)) {
        on_probe(transport, session, source, request);
        return;
    }
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
    uint32_t index = session->index;
    if (reply->kind == MESSAGE_PONG && reply->call == DISPATCH_ASK_CALL) {
        if (is_proof(transport, session, source->addr, reply->pong.nonce) &&
            on_proved(transport, session, source->addr, NULL)) {
            transport_go_on(transport, index);
        }
    } else if (!call_answer(transport, session, reply)) {
        /* To a call that is over, or to none: late, doubled, or made up. */
        count(&transport->core->counters, COUNT_ANSWERS_UNASKED);
        transport_offend(transport, session->peer, GUARD_UNASKED);
    }
}

/* The three steps of a probe. Both sides have shown to the other that they receive by this way when
 * it is over, and no message is longer than the one before. */
static void on_probe(struct transport *transport, struct session *session,
                     const struct dispatch_source *source, const struct message *message)
{
    struct transport_way way = {.addr = *source->addr, .path = transport->path};
    uint32_t index = session->index;
    if (message->kind == MESSAGE_PROBE && message->probe.port != 0) {
        answer_elsewhere(transport, session, source, &message->probe);
    } else if (message->kind == MESSAGE_PROBE) {
        struct message answer = {
            .kind = MESSAGE_PROBED,
            .probed = {.nonce = message->probe.nonce,
                       .own_nonce = cookie_path_nonce(transport, index, source->addr),
                       .observed = *source->addr}};
        send_note_by(transport, session, &way, &answer);
    } else if (message->kind == MESSAGE_PROBED) {
        /* The peer moves by PROVED: where we only ask it is not to follow us. */
        if (is_proof(transport, session, source->addr, message->probed.nonce) &&
            on_proved(transport, session, source->addr, &message->probed.observed)) {
            struct message answer = {.kind = MESSAGE_PROVED,
                                     .proved = {.nonce = message->probed.own_nonce}};
            session = session_find(transport, index);
            send_note_by(transport, session, &way, &answer);
            call_go_on(transport, session); /* Behind it: the answers come by the new way. */
        }
    } else if (is_proof(transport, session, source->addr, message->proved.nonce) &&
               on_proved(transport, session, source->addr, NULL)) {
        transport_go_on(transport, index);
    }
}

/* At another port of the address that the session has proved to be its peer's (RFC 5780's
 * RESPONSE-PORT), and at no other address: else we could be made to write to anybody. */
static void answer_elsewhere(struct transport *transport, struct session *session,
                             const struct dispatch_source *source,
                             const struct message_probe *probe)
{
    if (!source->is_verified || session->state != SESSION_ESTABLISHED ||
        transport_is_relayed(source->addr)) {
        return;
    }
    struct transport_way way = {.addr = *source->addr, .path = transport->path};
    struct writer writer = writer_of(way.addr.port, sizeof way.addr.port);
    write_u16(&writer, probe->port);
    struct message answer = {
        .kind = MESSAGE_PROBED,
        .probed = {.nonce = probe->nonce,
                   .own_nonce = cookie_path_nonce(transport, session->index, &way.addr),
                   .observed = *source->addr}};
    send_note_by(transport, session, &way, &answer);
}

static void send_note_by(struct transport *transport, struct session *session,
                         const struct transport_way *way, const struct message *note)
{
    uint8_t datagram[PACKET_DATA_OVERHEAD + MESSAGE_PROBE_LEN];
    int len = message_encode(transport->core->port, note, datagram + PACKET_DATA_HEADER_LEN,
                             MESSAGE_PROBE_LEN);
    must(len > 0);
    session_send_by(transport, session, way, datagram, (size_t)len);
}

/* Whether the peer has received at the address it now writes from. */
static bool is_proof(const struct transport *transport, const struct session *session,
                     const struct port_addr *addr, uint64_t nonce)
{
    return session->state == SESSION_ESTABLISHED &&
           cookie_path_nonce_is_valid(transport, session->index, addr, nonce);
}

/* Then the session lives there, if that is a change and nobody above prefers where it was: false
 * when somebody does, or the session is gone. */
static bool on_proved(struct transport *transport, struct session *session,
                      const struct port_addr *addr, const struct port_addr *observed)
{
    const struct transport_hooks *hooks = &transport->hooks;
    uint32_t index = session->index;
    struct transport_way way = {.addr = *addr, .path = transport->path};
    if (hooks->proved != NULL && !hooks->proved(hooks->arg, index, &way, observed)) {
        return false;
    }
    session = session_find(transport, index);
    if (session == NULL || (port_addr_equal(addr, &session->addr) && session->path == way.path)) {
        return session != NULL;
    }
    session_move(transport, session, way.path, addr);
    session = session_find(transport, index);
    if (session != NULL) {
        transport->hooks.verified(transport->hooks.arg, session->peer, 0, session->is_client);
    }
    return session_find(transport, index) != NULL;
}
