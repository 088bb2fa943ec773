/* handshake_xx.c - Noise XX: a responder whose key the initiator learns on the way. */
#include <string.h>

#include "node/base/must.h"
#include "node/port/crypto_calls.h"
#include "node/transport/call.h"
#include "node/transport/cookie.h"
#include "node/transport/dispatch.h"
#include "node/transport/handshake_parts.h"

enum {
    /* The longest request that rides in an XX 3. */
    RIDER_MAX = PORT_DATAGRAM_MAX - PACKET_XX_3_OVERHEAD - PACKET_CLIENT_MARK_LEN,
};

static void send_xx_3(struct transport *transport, struct session *session, struct noise *noise,
                      uint32_t peer);

void handshake_on_xx_1(struct transport *transport, const struct packet_handshake *packet,
                       const struct port_addr *from, size_t received)
{
    struct core *core = transport->core;
    if (received < PACKET_XX_2_OVERHEAD) {
        count(&core->counters, COUNT_MALFORMED); /* The answer would be longer. */
        return;
    }
    if (!handshake_admit(transport, packet, from, NULL)) {
        return;
    }
    struct noise_static own = handshake_static(transport);
    struct prologue prologue;
    struct noise noise;
    uint8_t text[PORT_DATAGRAM_MAX];
    size_t len = 0;
    handshake_prologue(transport, NULL, &prologue);
    noise_start(&noise, core->port, NOISE_XX, false, slice_of(prologue.bytes, prologue.len), &own,
                NULL);
    if (!noise_read(&noise, core->port, &own, packet->noise, text, &len) || len != 0) {
        count(&core->counters, COUNT_MALFORMED);
        return;
    }
    uint8_t datagram[PORT_DATAGRAM_MAX];
    uint8_t *message = datagram + PACKET_HANDSHAKE_HEADER_LEN;
    uint8_t ephemeral[CRYPTO_AGREE_LEN];
    core->port->ops->entropy(core->port, ephemeral, sizeof ephemeral);
    /* No word of our being a client: who is answered here has reached us as a stranger. */
    memcpy(message + NOISE_XX_2_PREFIX, transport->identity->public_key, PACKET_KEY_LEN);
    int noise_len = noise_write(&noise, core->port, &own, ephemeral, message, PACKET_KEY_LEN);
    if (noise_len < 0) {
        count(&core->counters, COUNT_UNAUTHENTIC);
        return;
    }
    struct session *session = session_new(transport, SESSION_ANSWERED, PORT_INTERN_NONE, from);
    uint16_t place;
    struct handshake *handshake = session != NULL ? pool_get(&transport->handshakes, &place) : NULL;
    if (handshake == NULL) {
        if (session != NULL) {
            session_close(transport, session, SESSION_FAILED);
        }
        return;
    }
    session->handshake = place;
    session->peer_index = packet->sender;
    handshake->noise = noise;
    packet_write_handshake(datagram, PACKET_XX_2, session->index, packet->sender,
                           (size_t)noise_len);
    traffic_sent(&transport->traffic, TRAFFIC_XX_2);
    struct transport_way way = session_way(session);
    handshake_transmit(transport, &way, datagram, (size_t)noise_len, NULL);
}

void handshake_on_xx_2(struct transport *transport, const struct packet_handshake *packet,
                       const struct port_addr *from)
{
    struct core *core = transport->core;
    struct session *session = handshake_await(transport, packet, from, SESSION_OPENING, NOISE_XX);
    uint8_t mac_key[CRYPTO_HASH_LEN];
    cookie_mac_key(transport, NULL, mac_key);
    if (session == NULL || !cookie_mac1_is_valid(transport, packet, mac_key)) {
        count(&core->counters, COUNT_UNAUTHENTIC);
        return;
    }
    struct handshake handshake = *handshake_of(transport, session);
    struct noise_static own = handshake_static(transport);
    uint8_t text[PORT_DATAGRAM_MAX];
    size_t len = 0;
    if (!noise_read(&handshake.noise, core->port, &own, packet->noise, text, &len)) {
        count(&core->counters, COUNT_UNAUTHENTIC);
        return;
    }
    struct slice payload = slice_of(text, len);
    const uint8_t *key;
    bool is_client;
    if (!handshake_read_key(transport, &handshake.noise, &payload, &key, &is_client)) {
        return;
    }
    uint32_t peer = contact_intern(core->port, key, from);
    uint32_t rtt_us = handshake_round_trip(transport, session, &handshake);
    session->peer_index = packet->sender;
    session->is_client = is_client;
    send_xx_3(transport, session, &handshake.noise, peer);
    transport->hooks.verified(transport->hooks.arg, peer, rtt_us, is_client);
    core->port->ops->intern_release(core->port, peer);
}

static void send_xx_3(struct transport *transport, struct session *session, struct noise *noise,
                      uint32_t peer)
{
    struct port *port = transport->core->port;
    struct noise_static own = handshake_static(transport);
    uint8_t datagram[PORT_DATAGRAM_MAX];
    uint8_t *message = datagram + PACKET_HANDSHAKE_HEADER_LEN;
    uint8_t *payload = message + NOISE_XX_3_PREFIX;
    size_t request_len = 0;
    size_t key_len = handshake_write_key(transport, payload);
    uint32_t rider = call_ride(transport, session, payload + key_len, RIDER_MAX, &request_len);
    int len = noise_write(noise, port, &own, NULL, message, key_len + request_len);
    if (len < 0) {
        session_close(transport, session, SESSION_FAILED);
        return;
    }
    uint32_t peer_index = session->peer_index;
    packet_write_handshake(datagram, PACKET_XX_3, session->index, peer_index, (size_t)len);
    traffic_sent(&transport->traffic, TRAFFIC_XX_3);
    struct transport_way way = session_way(session);
    handshake_transmit(transport, &way, datagram, (size_t)len, NULL);
    handshake_end(transport, session);
    handshake_take_keys(transport, session, noise, peer_index);
    session_establish(transport, session, peer);
    (void)call_flush(transport, session, rider);
}

void handshake_on_xx_3(struct transport *transport, const struct packet_handshake *packet,
                       const struct port_addr *from)
{
    struct core *core = transport->core;
    struct session *session = handshake_await(transport, packet, from, SESSION_ANSWERED, NOISE_XX);
    uint8_t mac_key[CRYPTO_HASH_LEN];
    cookie_mac_key(transport, NULL, mac_key);
    if (session == NULL || !cookie_mac1_is_valid(transport, packet, mac_key)) {
        count(&core->counters, COUNT_UNAUTHENTIC);
        return;
    }
    struct noise noise = handshake_of(transport, session)->noise;
    struct noise_static own = handshake_static(transport);
    uint8_t text[PORT_DATAGRAM_MAX];
    size_t len = 0;
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
    uint32_t index = session->index;
    handshake_end(transport, session);
    handshake_take_keys(transport, session, &noise, packet->sender);
    session_establish(transport, session, peer);
    session->is_kept = true;
    session->is_client = is_client;
    transport->hooks.verified(transport->hooks.arg, peer, 0, is_client);
    session = session_find(transport, index);
    if (session != NULL && payload.len > 0) {
        const struct dispatch_source source = {
            .addr = from, .answer_max = MESSAGE_MAX, .is_early = false, .is_verified = true};
        dispatch_message(transport, session, &source, payload);
    }
    core->port->ops->intern_release(core->port, peer);
}
