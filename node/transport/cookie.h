/* cookie.h - proofs that cost no memory: MACs of first messages, cookies, nonces of path probes.
 *
 * After WireGuard (Donenfeld 2017, sections 5.3 and 5.4.7). mac1 shows that the sender knows whom
 * it writes to. A cookie is a MAC of the sender's address under our secret and the time: who
 * returns one can receive at that address. So is the nonce of a probe to a new address of a known
 * peer.
 *
 *      first message under load -> cookie_reply -> first message with mac2 -> answered
 *      DATA from a new address -> PING with cookie_path_nonce -> PONG with it -> session_move
 */
#ifndef NODE_TRANSPORT_COOKIE_H
#define NODE_TRANSPORT_COOKIE_H

#include "node/transport/packet.h"
#include "node/transport/transport.h"

enum {
    COOKIE_LIFE_US = 120000000, /* WireGuard: two minutes. */
    COOKIE_PATH_LIFE_US = 10000000,
};

/* What mac1 of packets to the holder of this X25519 key is keyed by; NULL: to anybody on the
 * network, for handshakes in which the receiver's key is not known. */
void cookie_mac_key(const struct transport *transport, const uint8_t *receiver_public,
                    uint8_t key[CRYPTO_HASH_LEN]);

/* Writes mac1 and mac2 behind the `len` bytes of a handshake packet; cookie may be NULL. */
void cookie_seal(const struct transport *transport, uint8_t *datagram, size_t len,
                 const uint8_t key[CRYPTO_HASH_LEN], const uint8_t *cookie);

bool cookie_mac1_is_valid(const struct transport *transport, const struct packet_handshake *packet,
                          const uint8_t key[CRYPTO_HASH_LEN]);
bool cookie_mac2_is_valid(const struct transport *transport, const struct packet_handshake *packet,
                          const struct port_addr *from);

/* Sends a cookie to the sender of a first message; own_public as in cookie_mac_key. */
void cookie_reply(struct transport *transport, const struct packet_handshake *packet,
                  const struct port_addr *to, const uint8_t *own_public);
/* Opens one; false when it is not for the packet with this mac1. */
bool cookie_open(const struct transport *transport, const struct packet_cookie *packet,
                 const uint8_t *peer_public, const uint8_t mac1[CRYPTO_MAC_LEN],
                 uint8_t cookie[CRYPTO_MAC_LEN]);

uint64_t cookie_path_nonce(const struct transport *transport, uint32_t session,
                           const struct port_addr *addr);
bool cookie_path_nonce_is_valid(const struct transport *transport, uint32_t session,
                                const struct port_addr *addr, uint64_t nonce);

#endif /* NODE_TRANSPORT_COOKIE_H */
