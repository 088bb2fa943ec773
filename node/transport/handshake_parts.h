/* handshake_parts.h - what the files of the handshake share; for them alone.
 *
 *      handshake.c      first messages out, packets in by step, the checks all of them need
 *      handshake_ik.c   IK 1 in, IK 2 out and in
 *      handshake_xx.c   XX 1 in, XX 2 out and in, XX 3 out and in
 */
#ifndef NODE_TRANSPORT_HANDSHAKE_PARTS_H
#define NODE_TRANSPORT_HANDSHAKE_PARTS_H

#include "node/transport/handshake.h"

enum {
    PROLOGUE_MAX = 64,
};

struct prologue {
    uint8_t bytes[PROLOGUE_MAX];
    size_t len;
};

void handshake_on_ik_1(struct transport *transport, const struct packet_handshake *packet,
                       const struct port_addr *from, size_t received);
void handshake_on_ik_2(struct transport *transport, const struct packet_handshake *packet,
                       const struct port_addr *from);
void handshake_on_xx_1(struct transport *transport, const struct packet_handshake *packet,
                       const struct port_addr *from, size_t received);
void handshake_on_xx_2(struct transport *transport, const struct packet_handshake *packet,
                       const struct port_addr *from);
void handshake_on_xx_3(struct transport *transport, const struct packet_handshake *packet,
                       const struct port_addr *from);

/* Whether a first message deserves four key agreements: MAC, allowance of its address group, and
 * under load a cookie. own_public: what mac1 is keyed by, NULL for the network. */
bool handshake_admit(struct transport *transport, const struct packet_handshake *packet,
                     const struct port_addr *from, const uint8_t *own_public);

/* The session whose handshake this message continues, at the address it runs with; or NULL. */
struct session *handshake_await(struct transport *transport, const struct packet_handshake *packet,
                                const struct port_addr *from, enum session_state state,
                                enum noise_pattern pattern);

/* Writes our canonical key, and that we are a client if we are. Returns the bytes written. */
size_t handshake_write_key(const struct transport *transport, uint8_t *payload);

/* Takes the sender's canonical key, and what it says of itself, off the front of its payload. False
 * when it is not the key whose X25519 form shook hands, when we are talking to ourselves, or when
 * the sender is banned. */
bool handshake_read_key(struct transport *transport, const struct noise *noise,
                        struct slice *payload, const uint8_t **key, bool *is_client);

/* responder_key: NULL in XX, whose initiator does not know it yet: there the payload alone names
 * it. */
void handshake_prologue(const struct transport *transport, const uint8_t *responder_key,
                        struct prologue *prologue);

struct noise_static handshake_static(const struct transport *transport);
struct handshake *handshake_of(const struct transport *transport, const struct session *session);

/* After the last message: the session's keys, and what to address the peer by. */
void handshake_take_keys(struct transport *transport, struct session *session,
                         const struct noise *noise, uint32_t peer_index);

/* How long the answer took; measured only when there was one question. */
uint32_t handshake_round_trip(struct transport *transport, struct session *session,
                              const struct handshake *handshake);

/* Adds the macs behind a message that answers another, and sends it. */
void handshake_transmit(struct transport *transport, const struct transport_way *way,
                        uint8_t *datagram, size_t noise_len, const uint8_t *peer_public);

#endif /* NODE_TRANSPORT_HANDSHAKE_PARTS_H */
