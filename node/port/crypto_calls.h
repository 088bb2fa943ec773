/* crypto_calls.h - the primitives of a node's crypto suite, each charged to the node's processor.
 *
 * Node code calls the suite through these and never directly: what a call costs is added to
 * port->spent_ns, which a simulated host turns into time and a real host ignores.
 *
 *      module -> port_seal(port, ...) -> port->crypto->seal, port->spent_ns += cost
 */
#ifndef NODE_PORT_CRYPTO_CALLS_H
#define NODE_PORT_CRYPTO_CALLS_H

#include "node/port/port.h"

static inline void port_sign_keypair(struct port *port, const uint8_t seed[CRYPTO_SEED_LEN],
                                     uint8_t public_key[CRYPTO_PUBLIC_LEN],
                                     uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    port->spent_ns += port->crypto->cost.sign_keypair_ns;
    port->crypto->sign_keypair(seed, public_key, secret_key);
}

static inline void port_sign(struct port *port, uint8_t signature[CRYPTO_SIGNATURE_LEN],
                             struct slice message, const uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    port->spent_ns += port->crypto->cost.sign_ns;
    port->crypto->sign(signature, message, secret_key);
}

static inline bool port_verify(struct port *port, const uint8_t signature[CRYPTO_SIGNATURE_LEN],
                               struct slice message, const uint8_t public_key[CRYPTO_PUBLIC_LEN])
{
    port->spent_ns += port->crypto->cost.verify_ns;
    return port->crypto->verify(signature, message, public_key);
}

/* False when the key is no point of the curve's prime-order group. */
static inline bool port_agree_public(struct port *port,
                                     const uint8_t sign_public[CRYPTO_PUBLIC_LEN],
                                     uint8_t public_key[CRYPTO_AGREE_LEN])
{
    port->spent_ns += port->crypto->cost.agree_ns;
    return port->crypto->agree_public(sign_public, public_key);
}

static inline void port_agree_secret(struct port *port,
                                     const uint8_t sign_secret[CRYPTO_SECRET_LEN],
                                     uint8_t secret_key[CRYPTO_AGREE_LEN])
{
    port->spent_ns += port->crypto->cost.hash_ns;
    port->crypto->agree_secret(sign_secret, secret_key);
}

static inline void port_agree_keypair(struct port *port, const uint8_t seed[CRYPTO_SEED_LEN],
                                      uint8_t public_key[CRYPTO_AGREE_LEN],
                                      uint8_t secret_key[CRYPTO_AGREE_LEN])
{
    port->spent_ns += port->crypto->cost.agree_keypair_ns;
    port->crypto->agree_keypair(seed, public_key, secret_key);
}

static inline bool port_agree(struct port *port, uint8_t shared[CRYPTO_AGREE_LEN],
                              const uint8_t secret_key[CRYPTO_AGREE_LEN],
                              const uint8_t peer_public[CRYPTO_AGREE_LEN])
{
    port->spent_ns += port->crypto->cost.agree_ns;
    return port->crypto->agree(shared, secret_key, peer_public);
}

/* What sealing or opening len bytes costs. */
static inline uint64_t port_seal_cost_ns(const struct port *port, size_t len)
{
    const struct crypto_cost *cost = &port->crypto->cost;
    return cost->seal_ns + ((uint64_t)cost->seal_ns_per_kib * len >> 10);
}

static inline void port_seal(struct port *port, uint8_t *out, struct slice message,
                             struct slice associated, uint64_t counter,
                             const uint8_t key[CRYPTO_AGREE_LEN])
{
    port->spent_ns += port_seal_cost_ns(port, message.len + associated.len);
    port->crypto->seal(out, message, associated, counter, key);
}

static inline bool port_unseal(struct port *port, uint8_t *out, struct slice sealed,
                               struct slice associated, uint64_t counter,
                               const uint8_t key[CRYPTO_AGREE_LEN])
{
    port->spent_ns += port_seal_cost_ns(port, sealed.len + associated.len);
    return port->crypto->unseal(out, sealed, associated, counter, key);
}

static inline void port_hash(struct port *port, uint8_t out[CRYPTO_HASH_LEN], struct slice a,
                             struct slice b)
{
    port->spent_ns += port->crypto->cost.hash_ns;
    port->crypto->hash(out, a, b);
}

static inline void port_derive(struct port *port, const uint8_t chaining_key[CRYPTO_HASH_LEN],
                               struct slice input, uint8_t *first, uint8_t *second, uint8_t *third)
{
    /* One HMAC to extract and one for each output; an HMAC is two hashes. */
    uint64_t hmac_count =
        1u + (unsigned)(first != NULL) + (unsigned)(second != NULL) + (unsigned)(third != NULL);
    port->spent_ns += 2 * hmac_count * port->crypto->cost.hash_ns;
    port->crypto->derive(chaining_key, input, first, second, third);
}

static inline void port_mac(struct port *port, uint8_t out[CRYPTO_MAC_LEN], struct slice message,
                            const uint8_t key[CRYPTO_HASH_LEN])
{
    port->spent_ns += port->crypto->cost.hash_ns;
    port->crypto->mac(out, message, key);
}

#endif /* NODE_PORT_CRYPTO_CALLS_H */
