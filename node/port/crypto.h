/* crypto.h - the second seam: the primitives a node's secrets and signatures are made of.
 *
 * Two suites fill this table: "sodium" (real, both worlds) and "modelled" (simulator only). Both
 * give the same sizes, the same identity keys for the same seed and draw the same entropy; both are
 * charged the same nanoseconds. Modelled tags and signatures are bound to key and message, so that
 * a wrong key or an altered byte still fails. Hashes of ids and records are not here: they are
 * always real (BLAKE2b, node/base/hash.h).
 *
 * No id, tie-break or dedupe key may depend on a signature, a ciphertext or an ephemeral key: then
 * a run under either suite takes the same course.
 */
#ifndef NODE_PORT_CRYPTO_H
#define NODE_PORT_CRYPTO_H

#include <stdbool.h>
#include <stdint.h>

#include "node/base/slice.h"

enum {
    CRYPTO_SEED_LEN = 32,
    CRYPTO_PUBLIC_LEN = 32,    /* Ed25519 public key, RFC 8032. */
    CRYPTO_SECRET_LEN = 64,    /* Seed followed by the public key. */
    CRYPTO_SIGNATURE_LEN = 64, /* Ed25519 signature. */
    CRYPTO_AGREE_LEN = 32,     /* X25519 keys and shared secrets, RFC 7748. */
    CRYPTO_TAG_LEN = 16,       /* ChaCha20-Poly1305 tag, RFC 8439. */
    CRYPTO_HASH_LEN = 32,      /* SHA-256, the handshake's hash. */
    CRYPTO_MAC_LEN = 16,       /* Keyed hash of first messages and cookies. */
};

/* What each primitive costs a processor, nanoseconds: reference/perf-ceilings.md section 3
 * (libsodium 1.0.18, one core of a 2.x GHz Xeon). A simulated node is charged these under both
 * suites. */
struct crypto_cost {
    uint32_t sign_keypair_ns;
    uint32_t sign_ns;
    uint32_t verify_ns;
    uint32_t agree_keypair_ns;
    uint32_t agree_ns;
    uint32_t seal_ns; /* Plus seal_ns_per_kib for the bytes. Unseal costs the same. */
    uint32_t seal_ns_per_kib;
    uint32_t hash_ns; /* hash and mac; derive: two, and two more per output. */
};

struct port_crypto {
    const char *name; /* "sodium" or "modelled"; every result names it. */
    struct crypto_cost cost;

    /* Ed25519. The public key is the same under every suite. */
    void (*sign_keypair)(const uint8_t seed[CRYPTO_SEED_LEN], uint8_t public_key[CRYPTO_PUBLIC_LEN],
                         uint8_t secret_key[CRYPTO_SECRET_LEN]);
    void (*sign)(uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                 const uint8_t secret_key[CRYPTO_SECRET_LEN]);
    bool (*verify)(const uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                   const uint8_t public_key[CRYPTO_PUBLIC_LEN]);

    /* X25519: the form of an identity, and fresh pairs from 32 random bytes, which become the
     * secret key as they are. */
    bool (*agree_public)(const uint8_t sign_public[CRYPTO_PUBLIC_LEN],
                         uint8_t public_key[CRYPTO_AGREE_LEN]);
    void (*agree_secret)(const uint8_t sign_secret[CRYPTO_SECRET_LEN],
                         uint8_t secret_key[CRYPTO_AGREE_LEN]);
    void (*agree_keypair)(const uint8_t seed[CRYPTO_SEED_LEN], uint8_t public_key[CRYPTO_AGREE_LEN],
                          uint8_t secret_key[CRYPTO_AGREE_LEN]);
    /* False when the result is all zero (RFC 7748 section 6.1). */
    bool (*agree)(uint8_t shared[CRYPTO_AGREE_LEN], const uint8_t secret_key[CRYPTO_AGREE_LEN],
                  const uint8_t peer_public[CRYPTO_AGREE_LEN]);

    /* ChaCha20-Poly1305 with Noise's nonce: 32 zero bits, then `counter` little-endian. `out` holds
     * message.len + CRYPTO_TAG_LEN (seal) or sealed.len - CRYPTO_TAG_LEN (unseal) bytes and may be
     * the input buffer itself. */
    void (*seal)(uint8_t *out, struct slice message, struct slice associated, uint64_t counter,
                 const uint8_t key[CRYPTO_AGREE_LEN]);
    bool (*unseal)(uint8_t *out, struct slice sealed, struct slice associated, uint64_t counter,
                   const uint8_t key[CRYPTO_AGREE_LEN]);

    /* The handshake's hash of a followed by b, its HKDF (Noise revision 34 section 4.3, 1..3
     * outputs of CRYPTO_HASH_LEN bytes each; outputs may be NULL from the right), and a keyed hash.
     * An output may be the input a or the chaining key itself. */
    void (*hash)(uint8_t out[CRYPTO_HASH_LEN], struct slice a, struct slice b);
    void (*derive)(const uint8_t chaining_key[CRYPTO_HASH_LEN], struct slice input, uint8_t *first,
                   uint8_t *second, uint8_t *third);
    void (*mac)(uint8_t out[CRYPTO_MAC_LEN], struct slice message,
                const uint8_t key[CRYPTO_HASH_LEN]);
};

#endif /* NODE_PORT_CRYPTO_H */
