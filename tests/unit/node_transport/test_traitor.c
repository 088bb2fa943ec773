/* test_traitor.c - what a peer can do that holds true keys and uses them wrongly: no more. */
#include "tests/unit/node_transport/fixture.h"

#include "node/port/crypto_calls.h"
#include "node/transport/cookie.h"
#include "node/transport/handshake_parts.h"

static void setup(void)
{
    fixture_open(3);
    toy_peers_start(peers);
}

TestSuite(traitor, .init = setup, .fini = fixture_close, .timeout = 60);

/* A well-made IK 1 of peer `from` to peer `to`, with any key and any text in its payload. */
static void send_ik_1(uint32_t from, uint32_t to, const uint8_t *key, struct slice text)
{
    struct transport *transport = &peer_at(from)->transport;
    const struct identity *callee = &peer_at(to)->identity;
    struct port *port = &peer_at(from)->toy->port;
    struct noise_static own = handshake_static(transport);
    struct prologue prologue;
    struct noise noise;
    uint8_t ephemeral[CRYPTO_AGREE_LEN] = {3};
    uint8_t mac_key[CRYPTO_HASH_LEN];
    uint8_t datagram[PORT_DATAGRAM_MAX] = {0};
    uint8_t *message = datagram + PACKET_HANDSHAKE_HEADER_LEN;
    handshake_prologue(transport, callee->public_key, &prologue);
    noise_start(&noise, port, NOISE_IK, true, slice_of(prologue.bytes, prologue.len), &own,
                callee->agree_public);
    memcpy(message + NOISE_IK_1_PREFIX, key, PACKET_KEY_LEN);
    memcpy(message + NOISE_IK_1_PREFIX + PACKET_KEY_LEN, text.data, text.len);
    int len = noise_write(&noise, port, &own, ephemeral, message, PACKET_KEY_LEN + text.len);
    cr_assert_gt(len, 0);
    packet_write_handshake(datagram, PACKET_IK_1, 1, 0, (size_t)len);
    cookie_mac_key(transport, callee->agree_public, mac_key);
    cookie_seal(transport, datagram, PACKET_HANDSHAKE_HEADER_LEN + (size_t)len, mac_key, NULL);
    struct port_addr source = toy_addr(from);
    struct port_addr target = toy_addr(to);
    toy_inject(peers->world, &source, &target, slice_of(datagram, sizeof datagram));
    toy_run_for(peers->world, TOY_LATENCY_US);
}

static size_t encode(const struct message *message, uint8_t *text)
{
    int len = message_encode(&peer_at(0)->toy->port, message, text, MESSAGE_MAX);
    cr_assert_gt(len, 0);
    return (size_t)len;
}

/* Peer `from` seals a message for peer `to` over the session they have. */
static void send_data(uint32_t from, uint32_t to, const struct message *message)
{
    struct toy_peer *peer = peer_at(from);
    struct session *session = session_with(&peer->transport, contact_of(to), SESSION_ESTABLISHED);
    cr_assert_not_null(session);
    uint8_t datagram[PORT_DATAGRAM_MAX];
    size_t len = message != NULL ? encode(message, datagram + PACKET_DATA_HEADER_LEN) : 0;
    toy_enter(peer->toy);
    session_send(&peer->transport, session, datagram, len);
    toy_leave(peer->toy);
    toy_run_for(peers->world, TOY_LATENCY_US);
}

Test(traitor, early_reads_are_answered_and_early_writes_are_not)
{
    uint8_t text[MESSAGE_MAX];
    const uint8_t *key = peer_at(0)->identity.public_key;
    const uint8_t kinds[] = {MESSAGE_FIND_NODE, MESSAGE_STORE, MESSAGE_APP, MESSAGE_BROADCAST};
    for (size_t i = 0; i < array_len(kinds); i++) {
        struct message request;
        toy_request(&request, kinds[i]);
        if (kinds[i] == MESSAGE_STORE) {
            request.store.record.value.len = 100; /* So that it would fit. */
        }
        send_ik_1(0, 1, key, slice_of(text, encode(&request, text)));
    }
    cr_assert_eq(peer_at(1)->requests, 1);
    cr_assert_eq(counter_of(peer_at(1), COUNT_MALFORMED), 3);
    cr_assert_eq(network.count, 4);
}

Test(traitor, an_early_reply_is_not_taken_for_an_answer)
{
    uint8_t text[MESSAGE_MAX];
    struct message reply = {.kind = MESSAGE_NODES, .call = 1};
    send_ik_1(0, 1, peer_at(0)->identity.public_key, slice_of(text, encode(&reply, text)));
    cr_assert_eq(counter_of(peer_at(1), COUNT_MALFORMED), 1);
}

Test(traitor, the_key_in_a_payload_must_be_the_key_that_shook_hands)
{
    send_ik_1(0, 1, peer_at(2)->identity.public_key, slice_of("", 0));
    cr_assert_eq(network.count, 0);
    cr_assert_eq(counter_of(peer_at(1), COUNT_UNAUTHENTIC), 1);
    cr_assert_eq(transport_session_count(&peer_at(1)->transport), 0);
    /* The negative of the point has the same X25519 form up to the sign: another key all the same.
     */
    uint8_t negative[CRYPTO_PUBLIC_LEN];
    memcpy(negative, peer_at(0)->identity.public_key, sizeof negative);
    negative[CRYPTO_PUBLIC_LEN - 1] ^= 0x80;
    send_ik_1(0, 1, negative, slice_of("", 0));
    cr_assert_eq(counter_of(peer_at(1), COUNT_HANDSHAKES_DONE), 0);
}

Test(traitor, nonsense_that_is_sealed_is_dropped)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    struct rng rng;
    rng_seed(&rng, 8);
    fixture_mark();
    for (int i = 0; i < 500; i++) {
        uint8_t datagram[PORT_DATAGRAM_MAX];
        size_t len = 1 + rng_below(&rng, 60);
        for (size_t j = 0; j < len; j++) {
            datagram[PACKET_DATA_HEADER_LEN + j] = (uint8_t)rng_next(&rng);
        }
        datagram[PACKET_DATA_HEADER_LEN] |= 0x80; /* No message has such a number. */
        struct toy_peer *peer = peer_at(0);
        struct session *session =
            session_with(&peer->transport, contact_of(1), SESSION_ESTABLISHED);
        toy_enter(peer->toy);
        session_send(&peer->transport, session, datagram, len);
        toy_leave(peer->toy);
    }
    fixture_settle();
    cr_assert_eq(counter_of(peer_at(1), COUNT_MALFORMED), 500);
    cr_assert_eq(network.count, 500);
}

Test(traitor, an_answer_of_the_wrong_kind_is_none)
{
    struct toy_answer answer;
    peer_at(1)->is_deferring = true;
    toy_ask(peer_at(0), contact_of(1), MESSAGE_APP, &answer);
    toy_run_for(peers->world, 3 * TOY_LATENCY_US);
    cr_assert_eq(toy_reply_deferred(peer_at(1), 0), ERR_OK); /* STORED, to an APP. */
    toy_run_for(peers->world, TOY_LATENCY_US);
    cr_assert_eq(answer.answered, 0);
    cr_assert_eq(counter_of(peer_at(0), COUNT_ANSWERS_UNASKED), 1);
}

Test(traitor, only_the_callee_can_answer_a_call)
{
    struct toy_answer answer;
    (void)ask_now(2, 0, MESSAGE_STORE);
    peer_at(1)->is_deferring = true;
    toy_ask(peer_at(0), contact_of(1), MESSAGE_STORE, &answer);
    toy_run_for(peers->world, 3 * TOY_LATENCY_US);
    struct message reply = {.kind = MESSAGE_STORED, .call = (uint32_t)answer.call};
    send_data(2, 0, &reply);
    cr_assert_eq(answer.answered, 0);
    send_data(1, 0, &reply);
    cr_assert_eq(answer.answered, 1);
}

Test(traitor, a_pong_with_another_nonce_is_none)
{
    struct toy_answer answer;
    (void)ask_now(0, 1, MESSAGE_STORE);
    fixture_mark();
    network.drop = 1; /* The true one. */
    toy_ask(peer_at(0), contact_of(1), MESSAGE_PING, &answer);
    toy_run_for(peers->world, RTT_US);
    struct message pong = {.kind = MESSAGE_PONG, .call = (uint32_t)answer.call};
    pong.pong.nonce = 43;
    send_data(1, 0, &pong);
    cr_assert_eq(answer.answered, 0);
    pong.pong.nonce = 42;
    send_data(1, 0, &pong);
    cr_assert_eq(answer.answered, 1);
}

Test(traitor, a_tiny_datagram_from_a_new_address_draws_no_probe)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    struct port_addr before = peer_at(0)->toy->port.local;
    struct port_addr moved = before;
    moved.port[0]++;
    toy_move(peer_at(0)->toy, &moved);
    fixture_mark();
    send_data(0, 1, NULL);
    cr_assert_eq(network.count, 1);
    struct message ping = {.kind = MESSAGE_PING, .call = 5};
    send_data(0, 1, &ping);
    cr_assert_eq(network.count, 4); /* The ping, its answer, and a probe of the same length. */
    toy_move(peer_at(0)->toy, &before);
}

Test(traitor, a_probe_has_other_ports_answered_at_and_no_other_address)
{
    (void)ask_now(0, 1, MESSAGE_STORE);
    struct port_addr home = peer_at(0)->toy->port.local;
    const struct message probe = {.kind = MESSAGE_PROBE, .probe = {.nonce = 7, .port = 0x9c41}};
    fixture_mark();
    send_data(0, 1, &probe);
    cr_assert_eq(network.count, 2);
    struct port_addr other = {.port = {0x9c, 0x41}};
    memcpy(other.ip, home.ip, sizeof other.ip);
    cr_assert(port_addr_equal(&network.sent[1].to, &other));
    cr_assert_leq(network.sent[1].len, network.sent[0].len);

    struct port_addr moved = home;
    moved.ip[15]++;
    toy_move(peer_at(0)->toy, &moved);
    fixture_mark();
    send_data(0, 1, &probe);
    cr_assert_eq(network.count, 1, "it has not proved that it is there");
    toy_move(peer_at(0)->toy, &home);
}

Test(traitor, a_short_xx_1_is_not_answered)
{
    struct toy_answer answer;
    struct port_addr addr = toy_addr(1);
    toy_ask_addr(peer_at(0), &addr, MESSAGE_PING, &answer);
    fixture_settle();
    static struct sent first;
    first = network.sent[0];
    cr_assert_eq(first.bytes[1], PACKET_XX_1);
    for (size_t len = PACKET_XX_1_OVERHEAD; len <= first.len; len++) {
        fixture_mark();
        toy_inject(peers->world, &first.from, &first.to, slice_of(first.bytes, len));
        toy_run_for(peers->world, TOY_LATENCY_US);
        cr_assert_eq(network.count, len == first.len ? 1 : 0);
    }
}

/* The read that rode in a first message was answered after all, over the old session, while another
 * call waits for the handshake: its first message must not be sealed with the same key. */
Test(traitor, a_first_message_with_another_payload_has_another_key)
{
    for (int i = 0; i < 12; i++) { /* A short retransmission timeout. */
        (void)ask_now(0, 1, MESSAGE_STORE);
    }
    struct toy_answer rider;
    struct toy_answer other;
    uint32_t contact = contact_of(1);
    peers->world->latency_us = 150000;
    fixture_mark();
    network.drop = 2; /* Request, answer, IK 1. */
    toy_ask(peer_at(0), contact, MESSAGE_FIND_NODE, &rider);
    toy_run_for(peers->world, 250000);
    toy_ask(peer_at(0), contact, MESSAGE_STORE, &other);
    toy_run_for(peers->world, 100000);
    cr_assert_eq(rider.answered, 1);
    cr_assert_eq(other.answered, 0);
    toy_run_for(peers->world, 5 * SECOND);
    cr_assert_eq(other.answered, 1);
    const struct sent *firsts[2] = {NULL, NULL};
    uint32_t count = 0;
    for (uint32_t i = 0; i < network.count && count < 2; i++) {
        const uint8_t *bytes = network.sent[i].bytes;
        if (bytes[0] == PACKET_HANDSHAKE && bytes[1] == PACKET_IK_1) {
            firsts[count++] = &network.sent[i];
        }
    }
    cr_assert_eq(count, 2);
    cr_assert_arr_neq(firsts[0]->bytes + PACKET_HANDSHAKE_HEADER_LEN,
                      firsts[1]->bytes + PACKET_HANDSHAKE_HEADER_LEN, CRYPTO_AGREE_LEN);
}
