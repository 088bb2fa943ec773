/* handshake_ik.c - Noise IK: the responder answers at once, the initiator establishes. */
#include <string.h>

#include "node/base/must.h"
#include "node/port/crypto_calls.h"
#include "node/transport/call.h"
#include "node/transport/cookie.h"
#include "node/transport/dispatch.h"
#include "node/transport/handshake_parts.h"

/* What came in an IK 1 beside the key. */
struct request {
    struct slice text;
    bool is_client;
    size_t received; /* Bytes that the answer may have. */
};

static void answer_ik_1(struct transport *transport, const struct packet_handshake *packet,
                        struct noise *noise, uint32_t peer, const struct request *request);
static void read_early(struct transport *transport, struct session *session, struct slice request,
                       struct early_answer *early);
static void send_ik_2(struct transport *transport, struct session *session, struct noise *noise,
                      uint8_t *datagram, size_t payload_len, size_t received);
static void finish_ik(struct transport *transport, struct session *session, struct slice payload,
                      const struct handshake *handshake);

void handshake_on_ik_1(struct transport *transport, const struct packet_handshake *packet,
                       const struct port_addr *from, size_t received)
{
    struct core *core = transport->core;
    struct noise_static own = handshake_static(transport);
    if (!handshake_admit(transport, packet, from, own.public_key)) {
        return;
    }
    struct prologue prologue;
    struct noise noise;
    uint8_t text[PORT_DATAGRAM_MAX];
    size_t len = 0;
    handshake_prologue(transport, transport->identity->public_key, &prologue);
    noise_start(&noise, core->port, NOISE_IK, false, slice_of(prologue.bytes, prologue.len), &own,
                NULL);
    if (!noise_read(&noise, core->port, &own, packet->noise, text, &len)) {
        count(&core->counters, COUNT_UNAUTHENTIC);
        return;
    }
    struct slice payload = slice_of(text, len);
    const uint8_t *key;
    bool is_client;
    if (!handshake_read_key(transport, &noise, &payload, &key, &is_client)) {
        return;
    }
    uint32_t peer = contact_intern(core->port, key, from);
    struct request request = {.text = payload, .is_client = is_client, .received = received};
    if (transport_is_relayed(from)) {
        request.received = MESSAGE_RELAYED_MAX; /* It needs no padding: see send_first. */
    }
    answer_ik_1(transport, packet, &noise, peer, &request);
    core->port->ops->intern_release(core->port, peer);
}

static void answer_ik_1(struct transport *transport, const struct packet_handshake *packet,
                        struct noise *noise, uint32_t peer, const struct request *request)
{
    struct port *port = transport->core->port;
    const struct contact *contact = contact_at(port, peer);
    const struct session *rival = session_with(transport, peer, SESSION_OPENING);
    if (rival != NULL && memcmp(&transport->identity->id, &contact->id, sizeof contact->id) < 0) {
        return; /* Simultaneous open: ours wins, and its answer asks for our confirmation. */
    }
    struct session *session = session_new(transport, SESSION_UNCONFIRMED, peer, &contact->addr);
    if (session == NULL) {
        return;
    }
    session->is_rival = rival != NULL;
    session->is_client = request->is_client;
    session->peer_index = packet->sender;

    uint8_t datagram[PORT_DATAGRAM_MAX];
    uint8_t *payload = datagram + PACKET_HANDSHAKE_HEADER_LEN + NOISE_IK_2_PREFIX;
    uint32_t index = session->index;
    must(request->received >= PACKET_IK_2_OVERHEAD); /* Any IK 1 is longer. */
    size_t cap = request->received - PACKET_IK_2_OVERHEAD;
    struct early_answer early = {.buffer = payload + PACKET_FLAGS_LEN,
                                 .cap = cap < MESSAGE_MAX ? cap : MESSAGE_MAX,
                                 .session = index};
    if (request->text.len > 0) {
        read_early(transport, session, request->text, &early);
        session = session_find(transport, index);
        if (session == NULL) {
            return;
        }
    }
    const struct transport_hooks *hooks = &transport->hooks;
    bool is_of_use = !session->is_client && !transport_is_relayed(&contact->addr);
    bool is_asked = session->is_rival ||
                    (is_of_use && hooks->is_wanted(hooks->arg, &contact->id, &contact->addr));
    payload[0] = (uint8_t)((is_asked ? PACKET_FLAG_CONFIRM : 0) |
                           (session_table_is_crowded(transport) ? PACKET_FLAG_CROWDED : 0) |
                           (transport->is_client ? PACKET_FLAG_CLIENT : 0));
    if (early.len > 0) {
        traffic_sent(&transport->traffic, traffic_row_of(early.buffer[0]));
    }
    send_ik_2(transport, session, noise, datagram, PACKET_FLAGS_LEN + early.len, request->received);
}

static void read_early(struct transport *transport, struct session *session, struct slice request,
                       struct early_answer *early)
{
    const struct dispatch_source source = {
        .addr = &session->addr,
        .answer_max = early->cap,
        .is_early = true,
        .is_verified = session_with(transport, session->peer, SESSION_ESTABLISHED) != NULL,
    };
    transport->early = early;
    dispatch_message(transport, session, &source, request);
    transport->early = NULL;
}

static void send_ik_2(struct transport *transport, struct session *session, struct noise *noise,
                      uint8_t *datagram, size_t payload_len, size_t received)
{
    struct port *port = transport->core->port;
    struct noise_static own = handshake_static(transport);
    uint8_t ephemeral[CRYPTO_AGREE_LEN];
    port->ops->entropy(port, ephemeral, sizeof ephemeral);
    int len = noise_write(noise, port, &own, ephemeral, datagram + PACKET_HANDSHAKE_HEADER_LEN,
                          payload_len);
    if (len < 0) {
        session_close(transport, session, SESSION_FAILED);
        return;
    }
    must(PACKET_HANDSHAKE_HEADER_LEN + (size_t)len + PACKET_MACS_LEN <= received);
    uint32_t peer_index = session->peer_index;
    handshake_take_keys(transport, session, noise, peer_index);
    packet_write_handshake(datagram, PACKET_IK_2, session->index, peer_index, (size_t)len);
    traffic_sent(&transport->traffic, TRAFFIC_IK_2);
    struct transport_way way = session_way(session);
    handshake_transmit(transport, &way, datagram, (size_t)len, noise->peer_static);
}

void handshake_on_ik_2(struct transport *transport, const struct packet_handshake *packet,
                       const struct port_addr *from)
{
    struct core *core = transport->core;
    struct session *session = handshake_await(transport, packet, from, SESSION_OPENING, NOISE_IK);
    if (session == NULL || !cookie_mac1_is_valid(transport, packet, transport->mac_key)) {
        count(&core->counters, COUNT_UNAUTHENTIC);
        return;
    }
    /* A copy, because a forgery would spoil it for the true answer. */
    struct handshake handshake = *handshake_of(transport, session);
    struct noise_static own = handshake_static(transport);
    uint8_t text[PORT_DATAGRAM_MAX];
    size_t len = 0;
    if (!noise_read(&handshake.noise, core->port, &own, packet->noise, text, &len)) {
        count(&core->counters, COUNT_UNAUTHENTIC);
        return;
    }
    if (len < PACKET_FLAGS_LEN) {
        count(&core->counters, COUNT_MALFORMED);
        return;
    }
    handshake_end(transport, session);
    handshake_take_keys(transport, session, &handshake.noise, packet->sender);
    session_establish(transport, session, session->peer);
    finish_ik(transport, session, slice_of(text, len), &handshake);
}

static void finish_ik(struct transport *transport, struct session *session, struct slice payload,
                      const struct handshake *handshake)
{
    struct port *port = transport->core->port;
    uint32_t index = session->index;
    uint32_t peer = session->peer;
    uint32_t rtt_us = handshake_round_trip(transport, session, handshake);
    uint32_t sent = call_flush(transport, session, handshake->rider);
    session->is_brief = (payload.data[0] & PACKET_FLAG_CROWDED) != 0;
    bool is_client = (payload.data[0] & PACKET_FLAG_CLIENT) != 0;
    session->is_client = is_client;
    if ((payload.data[0] & PACKET_FLAG_CONFIRM) != 0) {
        session->is_kept = true;
        if (sent == 0) {
            uint8_t datagram[PACKET_DATA_OVERHEAD];
            session_send(transport, session, datagram, 0);
        }
    }
    port->ops->intern_retain(port, peer);
    transport->hooks.verified(transport->hooks.arg, peer, rtt_us, is_client);
    session = session_find(transport, index);
    if (session != NULL && payload.len > PACKET_FLAGS_LEN) {
        const struct dispatch_source source = {
            .addr = &session->addr, .answer_max = 0, .is_early = false, .is_verified = true};
        struct slice answer =
            slice_of(payload.data + PACKET_FLAGS_LEN, payload.len - PACKET_FLAGS_LEN);
        dispatch_message(transport, session, &source, answer);
    }
    port->ops->intern_release(port, peer);
}
