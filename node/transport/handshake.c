/* handshake.c - first messages out, handshake packets in, and the checks that every step needs. */
#include "node/transport/handshake.h"

#include <string.h>

#include "node/base/must.h"
#include "node/port/crypto_calls.h"
#include "node/transport/call.h"
#include "node/transport/cookie.h"
#include "node/transport/handshake_parts.h"
#include "node/wire/codec.h"

enum {
    /* The longest request that rides in an IK 1. */
    RIDER_MAX = PORT_DATAGRAM_MAX - PACKET_IK_1_OVERHEAD - PACKET_CLIENT_MARK_LEN,
};

static bool has_cookie(const struct packet_handshake *packet);
static bool send_first(struct transport *transport, struct session *session);
static int write_ik_1(struct transport *transport, struct handshake *handshake,
                      const struct contact *contact, uint8_t *noise, size_t *len_min);
static int write_xx_1(struct transport *transport, struct handshake *handshake, uint8_t *noise,
                      size_t *len_min);

int handshake_open(struct transport *transport, const struct call *call, struct session **opened)
{
    struct port *port = transport->core->port;
    bool is_ik = call->peer != PORT_INTERN_NONE;
    const struct port_addr *addr = is_ik ? &contact_at(port, call->peer)->addr : &call->addr;
    uint8_t peer_public[CRYPTO_AGREE_LEN] = {0};
    if (is_ik && guard_is_banned(transport->guard, &contact_at(port, call->peer)->id)) {
        return ERR_REFUSED; /* Banned since the call was begun. */
    }
    /* Before anybody has to make room: who told us of a bad key shall not cost us a session. */
    if (is_ik && !port_agree_public(port, contact_at(port, call->peer)->key, peer_public)) {
        return ERR_INVALID;
    }
    const struct transport_hooks *hooks = &transport->hooks;
    if (hooks->may_open != NULL && !hooks->may_open(hooks->arg, addr)) {
        return ERR_FULL;
    }
    struct session *session = session_new(transport, SESSION_OPENING, call->peer, addr);
    if (session == NULL) {
        return ERR_FULL;
    }
    uint16_t place;
    struct handshake *handshake = pool_get(&transport->handshakes, &place);
    if (handshake == NULL) {
        session_close(transport, session, SESSION_FAILED);
        return ERR_FULL;
    }
    session->handshake = place;
    handshake->noise.pattern = is_ik ? NOISE_IK : NOISE_XX;
    memcpy(handshake->noise.peer_static, peer_public, sizeof peer_public);
    handshake->rider = is_ik && call->is_read && call->len <= RIDER_MAX ? call->number : 0;
    port->ops->entropy(port, handshake->noise.ephemeral_secret, CRYPTO_AGREE_LEN);
    count(&transport->core->counters, COUNT_HANDSHAKES_STARTED);
    if (!send_first(transport, session)) {
        session_close(transport, session, SESSION_FAILED);
        return ERR_INVALID;
    }
    *opened = session;
    return ERR_OK;
}

void handshake_again(struct transport *transport, struct session *session)
{
    struct handshake *handshake = handshake_of(transport, session);
    if (core_now(transport->core) - handshake->sent_us >= HANDSHAKE_AGAIN_US) {
        must(send_first(transport, session)); /* The key was good the first time. */
    }
}

void handshake_end(struct transport *transport, struct session *session)
{
    if (session->handshake != POOL_NONE) {
        memset(handshake_of(transport, session), 0, sizeof(struct handshake));
        pool_put(&transport->handshakes, session->handshake);
        session->handshake = POOL_NONE;
    }
}

void handshake_on_packet(struct transport *transport, const struct port_addr *from,
                         struct slice bytes)
{
    struct packet_handshake packet;
    if (!packet_read_handshake(bytes, &packet)) {
        count(&transport->core->counters, COUNT_MALFORMED);
        return;
    }
    traffic_received(&transport->traffic, traffic_row_of_step(packet.step));
    switch (packet.step) {
    case PACKET_IK_1:
        handshake_on_ik_1(transport, &packet, from, bytes.len);
        break;
    case PACKET_IK_2:
        handshake_on_ik_2(transport, &packet, from);
        break;
    case PACKET_XX_1:
        handshake_on_xx_1(transport, &packet, from, bytes.len);
        break;
    case PACKET_XX_2:
        handshake_on_xx_2(transport, &packet, from);
        break;
    case PACKET_XX_3:
        handshake_on_xx_3(transport, &packet, from);
        break;
    }
}

void handshake_on_cookie(struct transport *transport, const struct port_addr *from,
                         struct slice bytes)
{
    struct counters *counters = &transport->core->counters;
    struct packet_cookie packet;
    if (!packet_read_cookie(bytes, &packet)) {
        count(counters, COUNT_MALFORMED);
        return;
    }
    traffic_received(&transport->traffic, TRAFFIC_COOKIE);
    struct session *session = session_find(transport, packet.receiver);
    if (session == NULL || session->state != SESSION_OPENING ||
        !port_addr_equal(from, &session->addr)) {
        count(counters, COUNT_UNAUTHENTIC);
        return;
    }
    struct handshake *handshake = handshake_of(transport, session);
    const uint8_t *peer_public =
        handshake->noise.pattern == NOISE_IK ? handshake->noise.peer_static : NULL;
    uint8_t cookie[CRYPTO_MAC_LEN];
    if (!cookie_open(transport, &packet, peer_public, handshake->mac1, cookie)) {
        count(counters, COUNT_UNAUTHENTIC);
        return;
    }
    memcpy(handshake->cookie, cookie, sizeof cookie);
    if (!handshake->has_cookie) {
        handshake->has_cookie =
            true; /* At once, but only once: cookies come for as long as asked. */
        must(send_first(transport, session));
    }
}

/* --- the initiator's first message --------------------------------------------------------- */

/* False when there is no agreeing with the peer's key. */
static bool send_first(struct transport *transport, struct session *session)
{
    struct core *core = transport->core;
    struct handshake *handshake = handshake_of(transport, session);
    if (handshake->rider != 0 && call_find(transport, handshake->rider) == NULL) {
        /* One key never seals two texts, so another payload takes another key. */
        handshake->rider = 0;
        core->port->ops->entropy(core->port, handshake->noise.ephemeral_secret, CRYPTO_AGREE_LEN);
    }
    uint8_t datagram[PORT_DATAGRAM_MAX];
    uint8_t *noise = datagram + PACKET_HANDSHAKE_HEADER_LEN;
    bool is_ik = handshake->noise.pattern == NOISE_IK;
    size_t len_min = 0;
    int noise_len = is_ik ? write_ik_1(transport, handshake, contact_at(core->port, session->peer),
                                       noise, &len_min)
                          : write_xx_1(transport, handshake, noise, &len_min);
    if (noise_len < 0) {
        return false;
    }
    size_t len = PACKET_HANDSHAKE_HEADER_LEN + (size_t)noise_len;
    packet_write_handshake(datagram, is_ik ? PACKET_IK_1 : PACKET_XX_1, session->index, 0,
                           (size_t)noise_len);
    uint8_t mac_key[CRYPTO_HASH_LEN];
    cookie_mac_key(transport, is_ik ? handshake->noise.peer_static : NULL, mac_key);
    cookie_seal(transport, datagram, len, mac_key,
                handshake->has_cookie ? handshake->cookie : NULL);
    memcpy(handshake->mac1, datagram + len, sizeof handshake->mac1);
    len += PACKET_MACS_LEN;
    len_min = len_min < PORT_DATAGRAM_MAX ? len_min : PORT_DATAGRAM_MAX;
    /* Who is relayed has shown the relay where it is: there is nobody to protect. */
    if (len < len_min && !transport_is_relayed(&session->addr)) {
        memset(datagram + len, 0, len_min - len);
        len = len_min;
    }
    traffic_sent(&transport->traffic, is_ik ? TRAFFIC_IK_1 : TRAFFIC_XX_1);
    struct transport_way way = session_way(session);
    session_transmit(transport, &way, slice_of(datagram, len));
    handshake->sent_us = core_now(core);
    handshake->tries++;
    return true;
}

/* Returns the length of the Noise message, or ERR_INVALID; *len_min: what the answer may need. */
static int write_ik_1(struct transport *transport, struct handshake *handshake,
                      const struct contact *contact, uint8_t *noise, size_t *len_min)
{
    struct port *port = transport->core->port;
    struct noise_static own = handshake_static(transport);
    uint8_t ephemeral[CRYPTO_AGREE_LEN];
    uint8_t peer_public[CRYPTO_AGREE_LEN];
    memcpy(ephemeral, handshake->noise.ephemeral_secret, sizeof ephemeral);
    memcpy(peer_public, handshake->noise.peer_static, sizeof peer_public);
    struct prologue prologue;
    handshake_prologue(transport, contact->key, &prologue);
    noise_start(&handshake->noise, port, NOISE_IK, true, slice_of(prologue.bytes, prologue.len),
                &own, peer_public);

    uint8_t *payload = noise + NOISE_IK_1_PREFIX;
    size_t payload_len = handshake_write_key(transport, payload);
    *len_min = PACKET_IK_2_OVERHEAD;
    const struct call *rider = call_find(transport, handshake->rider);
    if (rider != NULL) {
        call_load(transport, rider, payload + payload_len);
        payload_len += rider->len;
        *len_min += rider->answer_max;
        traffic_sent(&transport->traffic, traffic_row_of(rider->kind));
    }
    return noise_write(&handshake->noise, port, &own, ephemeral, noise, payload_len);
}

static int write_xx_1(struct transport *transport, struct handshake *handshake, uint8_t *noise,
                      size_t *len_min)
{
    struct port *port = transport->core->port;
    struct noise_static own = handshake_static(transport);
    uint8_t ephemeral[CRYPTO_AGREE_LEN];
    memcpy(ephemeral, handshake->noise.ephemeral_secret, sizeof ephemeral);
    struct prologue prologue;
    handshake_prologue(transport, NULL, &prologue);
    noise_start(&handshake->noise, port, NOISE_XX, true, slice_of(prologue.bytes, prologue.len),
                &own, NULL);
    *len_min = PACKET_XX_2_OVERHEAD;
    return noise_write(&handshake->noise, port, &own, ephemeral, noise, 0);
}

/* --- what every step needs ------------------------------------------------------------ */

struct session *handshake_await(struct transport *transport, const struct packet_handshake *packet,
                                const struct port_addr *from, enum session_state state,
                                enum noise_pattern pattern)
{
    struct session *session = session_find(transport, packet->receiver);
    if (session == NULL || session->state != state || !port_addr_equal(from, &session->addr) ||
        handshake_of(transport, session)->noise.pattern != pattern) {
        return NULL;
    }
    return session;
}

bool handshake_admit(struct transport *transport, const struct packet_handshake *packet,
                     const struct port_addr *from, const uint8_t *own_public)
{
    uint8_t network_key[CRYPTO_HASH_LEN];
    const uint8_t *mac_key = transport->mac_key;
    if (own_public == NULL) {
        cookie_mac_key(transport, NULL, network_key);
        mac_key = network_key;
    }
    if (packet->receiver != 0 || !cookie_mac1_is_valid(transport, packet, mac_key)) {
        count(&transport->core->counters, COUNT_UNAUTHENTIC);
        return false;
    }
    if (has_cookie(packet) && cookie_mac2_is_valid(transport, packet, from)) {
        return guard_admit(transport->guard, from, GUARD_PROVED, GUARD_HANDSHAKE);
    }
    /* A group that has used up its tokens may have been written in the name of: it is shown the way
     * in, which costs a hundredth of an answer, as is everybody when the whole node is busy. */
    bool is_welcome = guard_admit(transport->guard, from, GUARD_STRANGER, GUARD_HANDSHAKE) &&
                      guard_admit_handshake(transport->guard);
    if (!is_welcome) {
        cookie_reply(transport, packet, from, own_public);
    }
    return is_welcome;
}

/* Without one the field is zero: then there is nothing to compute a MAC for. */
static bool has_cookie(const struct packet_handshake *packet)
{
    static const uint8_t zero[CRYPTO_MAC_LEN];
    return memcmp(packet->mac2, zero, sizeof zero) != 0;
}

size_t handshake_write_key(const struct transport *transport, uint8_t *payload)
{
    memcpy(payload, transport->identity->public_key, PACKET_KEY_LEN);
    if (transport->is_client) {
        payload[PACKET_KEY_LEN] = PACKET_CLIENT_MARK;
    }
    return PACKET_KEY_LEN + (size_t)transport->is_client;
}

bool handshake_read_key(struct transport *transport, const struct noise *noise,
                        struct slice *payload, const uint8_t **key, bool *is_client)
{
    struct core *core = transport->core;
    struct reader reader = reader_of(*payload);
    uint8_t expected[CRYPTO_AGREE_LEN];
    *key = read_bytes(&reader, PACKET_KEY_LEN);
    if (*key == NULL) {
        count(&core->counters, COUNT_MALFORMED);
        return false;
    }
    *payload = slice_of(reader.next, reader_left(&reader));
    if (!port_agree_public(core->port, *key, expected) ||
        memcmp(expected, noise->peer_static, sizeof expected) != 0 ||
        memcmp(*key, transport->identity->public_key, PACKET_KEY_LEN) == 0) {
        count(&core->counters, COUNT_UNAUTHENTIC);
        return false;
    }
    *is_client = payload->len > 0 && payload->data[0] == PACKET_CLIENT_MARK;
    if (*is_client) {
        *payload = slice_of(payload->data + 1, payload->len - 1);
    }
    struct node_id id;
    if (transport->guard->ban_count > 0) {
        contact_id(&id, *key);
        if (guard_is_banned(transport->guard, &id)) {
            count(&core->counters, COUNT_BANNED_DROPPED);
            return false;
        }
    }
    return true;
}

void handshake_prologue(const struct transport *transport, const uint8_t *responder_key,
                        struct prologue *prologue)
{
    static const char protocol[] = "meshtwin/1";
    struct writer writer = writer_of(prologue->bytes, sizeof prologue->bytes);
    write_bytes(&writer, protocol, sizeof protocol - 1);
    write_u64(&writer, transport->config->network_id);
    if (responder_key != NULL) {
        write_bytes(&writer, responder_key, CRYPTO_PUBLIC_LEN);
    }
    must(!writer.bad);
    prologue->len = writer_len(&writer);
}

struct noise_static handshake_static(const struct transport *transport)
{
    return (struct noise_static){.public_key = transport->identity->agree_public,
                                 .secret_key = transport->identity->agree_secret};
}

struct handshake *handshake_of(const struct transport *transport, const struct session *session)
{
    return pool_at(&transport->handshakes, session->handshake);
}

void handshake_take_keys(struct transport *transport, struct session *session,
                         const struct noise *noise, uint32_t peer_index)
{
    session->peer_index = peer_index;
    noise_split(noise, transport->core->port, session->send_key, session->receive_key);
}

uint32_t handshake_round_trip(struct transport *transport, struct session *session,
                              const struct handshake *handshake)
{
    uint32_t rtt_us = (uint32_t)(core_now(transport->core) - handshake->sent_us);
    if (handshake->tries == 1) {
        rtt_peer_add(&session->rtt, rtt_us);
        rtt_node_add(&transport->rtt, rtt_us);
    }
    return rtt_us;
}

void handshake_transmit(struct transport *transport, const struct transport_way *way,
                        uint8_t *datagram, size_t noise_len, const uint8_t *peer_public)
{
    size_t len = PACKET_HANDSHAKE_HEADER_LEN + noise_len;
    uint8_t mac_key[CRYPTO_HASH_LEN];
    cookie_mac_key(transport, peer_public, mac_key);
    cookie_seal(transport, datagram, len, mac_key, NULL);
    session_transmit(transport, way, slice_of(datagram, len + PACKET_MACS_LEN));
}
