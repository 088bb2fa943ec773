/* sodium_suite.c - struct port_crypto over libsodium. */
#include "node/sodium/sodium_suite.h"

#include <sodium.h>
#include <string.h>

#include "node/base/must.h"
#include "node/port/crypto_cost.h"

enum {
    NONCE_LEN = crypto_aead_chacha20poly1305_ietf_NPUBBYTES,
};
_Static_assert(CRYPTO_SEED_LEN == crypto_sign_ed25519_SEEDBYTES, "Ed25519 seeds");
_Static_assert(CRYPTO_PUBLIC_LEN == crypto_sign_ed25519_PUBLICKEYBYTES, "Ed25519 public keys");
_Static_assert(CRYPTO_SECRET_LEN == crypto_sign_ed25519_SECRETKEYBYTES, "Ed25519 secret keys");
_Static_assert(CRYPTO_SIGNATURE_LEN == crypto_sign_ed25519_BYTES, "Ed25519 signatures");
_Static_assert(CRYPTO_AGREE_LEN == crypto_scalarmult_curve25519_BYTES, "X25519 keys");
_Static_assert(CRYPTO_AGREE_LEN == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "cipher keys");
_Static_assert(CRYPTO_TAG_LEN == crypto_aead_chacha20poly1305_ietf_ABYTES, "tags");
_Static_assert(CRYPTO_HASH_LEN == crypto_hash_sha256_BYTES, "the handshake's hash");
_Static_assert(CRYPTO_HASH_LEN == crypto_auth_hmacsha256_BYTES, "and its HMAC");
_Static_assert(CRYPTO_MAC_LEN >= crypto_generichash_blake2b_BYTES_MIN, "keyed hashes");

int sodium_suite_init(void)
{
    return sodium_init() >= 0 ? ERR_OK : ERR_UNSUPPORTED;
}

static void sign_keypair(const uint8_t seed[CRYPTO_SEED_LEN], uint8_t public_key[CRYPTO_PUBLIC_LEN],
                         uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    crypto_sign_ed25519_seed_keypair(public_key, secret_key, seed);
}

static void sign(uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                 const uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    crypto_sign_ed25519_detached(signature, NULL, message.data, message.len, secret_key);
}

static bool verify(const uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                   const uint8_t public_key[CRYPTO_PUBLIC_LEN])
{
    return crypto_sign_ed25519_verify_detached(signature, message.data, message.len, public_key) ==
           0;
}

static bool agree_public(const uint8_t sign_public[CRYPTO_PUBLIC_LEN],
                         uint8_t public_key[CRYPTO_AGREE_LEN])
{
    return crypto_sign_ed25519_pk_to_curve25519(public_key, sign_public) == 0;
}

static void agree_secret(const uint8_t sign_secret[CRYPTO_SECRET_LEN],
                         uint8_t secret_key[CRYPTO_AGREE_LEN])
{
    must(crypto_sign_ed25519_sk_to_curve25519(secret_key, sign_secret) == 0);
}

static void agree_keypair(const uint8_t seed[CRYPTO_SEED_LEN], uint8_t public_key[CRYPTO_AGREE_LEN],
                          uint8_t secret_key[CRYPTO_AGREE_LEN])
{
    /* The seed is the secret as it stands (RFC 7748 clamps on use), as Noise has it. */
    memcpy(secret_key, seed, CRYPTO_AGREE_LEN);
    must(crypto_scalarmult_curve25519_base(public_key, secret_key) == 0);
}

static bool agree(uint8_t shared[CRYPTO_AGREE_LEN], const uint8_t secret_key[CRYPTO_AGREE_LEN],
                  const uint8_t peer_public[CRYPTO_AGREE_LEN])
{
    return crypto_scalarmult_curve25519(shared, secret_key, peer_public) == 0;
}

/* Noise revision 34 section 12.2: 32 bits of zeros, then the counter little-endian. */
static void nonce_of(uint8_t nonce[NONCE_LEN], uint64_t counter)
{
    memset(nonce, 0, 4);
    for (int i = 0; i < 8; i++) {
        nonce[4 + i] = (uint8_t)(counter >> (8 * i));
    }
}

static void seal(uint8_t *out, struct slice message, struct slice associated, uint64_t counter,
                 const uint8_t key[CRYPTO_AGREE_LEN])
{
    uint8_t nonce[NONCE_LEN];
    nonce_of(nonce, counter);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, message.data, message.len, associated.data,
                                              associated.len, NULL, nonce, key);
}

static bool unseal(uint8_t *out, struct slice sealed, struct slice associated, uint64_t counter,
                   const uint8_t key[CRYPTO_AGREE_LEN])
{
    uint8_t nonce[NONCE_LEN];
    nonce_of(nonce, counter);
    return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.data, sealed.len,
                                                     associated.data, associated.len, nonce,
                                                     key) == 0;
}

static void hash(uint8_t out[CRYPTO_HASH_LEN], struct slice a, struct slice b)
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, a.data, a.len);
    if (b.len > 0) {
        crypto_hash_sha256_update(&state, b.data, b.len);
    }
    crypto_hash_sha256_final(&state, out);
}

/* HMAC-SHA256 of previous (may be empty), input and one counter byte (0: none). */
static void hmac(uint8_t out[CRYPTO_HASH_LEN], const uint8_t key[CRYPTO_HASH_LEN],
                 struct slice previous, uint8_t number)
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key, CRYPTO_HASH_LEN);
    if (previous.len > 0) {
        crypto_auth_hmacsha256_update(&state, previous.data, previous.len);
    }
    if (number != 0) {
        crypto_auth_hmacsha256_update(&state, &number, 1);
    }
    crypto_auth_hmacsha256_final(&state, out);
}

/* Noise revision 34 section 4.3: RFC 5869 with the chaining key as salt and no info. */
static void derive(const uint8_t chaining_key[CRYPTO_HASH_LEN], struct slice input, uint8_t *first,
                   uint8_t *second, uint8_t *third)
{
    uint8_t temporary[CRYPTO_HASH_LEN];
    uint8_t outputs[3][CRYPTO_HASH_LEN];
    uint8_t *const wanted[3] = {first, second, third};
    hmac(temporary, chaining_key, input, 0);
    struct slice previous = slice_of(NULL, 0);
    for (uint8_t i = 0; i < 3 && wanted[i] != NULL; i++) {
        hmac(outputs[i], temporary, previous, (uint8_t)(i + 1));
        previous = slice_of(outputs[i], CRYPTO_HASH_LEN);
    }
    /* Only now: the chaining key may be one of the outputs. */
    for (int i = 0; i < 3 && wanted[i] != NULL; i++) {
        memcpy(wanted[i], outputs[i], CRYPTO_HASH_LEN);
    }
    sodium_memzero(temporary, sizeof temporary);
    sodium_memzero(outputs, sizeof outputs);
}

static void mac(uint8_t out[CRYPTO_MAC_LEN], struct slice message,
                const uint8_t key[CRYPTO_HASH_LEN])
{
    crypto_generichash_blake2b(out, CRYPTO_MAC_LEN, message.data, message.len, key,
                               CRYPTO_HASH_LEN);
}

const struct port_crypto sodium_suite = {
    .name = "sodium",
    .cost = CRYPTO_COSTS,
    .sign_keypair = sign_keypair,
    .sign = sign,
    .verify = verify,
    .agree_public = agree_public,
    .agree_secret = agree_secret,
    .agree_keypair = agree_keypair,
    .agree = agree,
    .seal = seal,
    .unseal = unseal,
    .hash = hash,
    .derive = derive,
    .mac = mac,
};
