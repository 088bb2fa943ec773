/* host_crypto.c - the modelled suite: the shape and the cost of cryptography, at a mixer's price.
 *
 * Same sizes, same Ed25519 public keys (real ones: ids hang on them), same charged nanoseconds as
 * the sodium suite. Tags, signatures and secrets are a fast mix of everything they must be bound
 * to, so a wrong key or an altered byte fails; they resist no attacker who knows this file, and no
 * behaviour of the simulator is one. What a secret is here: its public half says it too, so that
 * both ends of an agreement compute the same.
 */
#include <sodium/crypto_sign_ed25519.h>
#include <string.h>

#include "node/base/must.h"
#include "node/port/crypto_cost.h"
#include "sim/host/host.h"

/* Folding multiplications on two lanes, and on four for long inputs, so that they do not wait for
 * each other. The constants are those of sim/engine/digest.h: fractional parts of square roots of
 * primes (FIPS 180-4 section 5.3.5). */
#define ROOT_2  UINT64_C(0x6a09e667f3bcc908)
#define ROOT_3  UINT64_C(0xbb67ae8584caa73b)
#define ROOT_5  UINT64_C(0x3c6ef372fe94f82b)
#define ROOT_7  UINT64_C(0xa54ff53a5f1d36f1)
#define ROOT_11 UINT64_C(0x510e527fade682d1)

enum {
    STRIPE = 64, /* Bytes per turn of the four lanes. */
};

struct mixer {
    uint64_t a;
    uint64_t b;
};

static inline uint64_t load(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline void store(uint8_t *bytes, uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(bytes, &word, sizeof word);
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t step(uint64_t lane, const uint8_t *bytes, uint64_t root)
{
    return fold(lane ^ load(bytes), load(bytes + 8) ^ root) + (lane << 29 | lane >> 35);
}

static inline struct mixer mixer_of(uint64_t purpose)
{
    return (struct mixer){.a = ROOT_2 ^ purpose, .b = ROOT_3};
}

/* All but the last 1 to STRIPE bytes. */
static const uint8_t *absorb_stripes(struct mixer *mixer, const uint8_t *bytes, size_t *len)
{
    uint64_t c = mixer->a ^ ROOT_7;
    uint64_t d = mixer->b ^ ROOT_11;
    for (; *len > STRIPE; *len -= STRIPE, bytes += STRIPE) {
        mixer->a = step(mixer->a, bytes, ROOT_3);
        mixer->b = step(mixer->b, bytes + 16, ROOT_5);
        c = step(c, bytes + 32, ROOT_7);
        d = step(d, bytes + 48, ROOT_11);
    }
    mixer->a = fold(mixer->a ^ ROOT_2, c) + mixer->b;
    mixer->b = fold(mixer->b ^ ROOT_2, d) + c;
    return bytes;
}

/* Inputs of different lengths leave different traces, so absorbing several is unambiguous. */
static inline void absorb(struct mixer *mixer, const uint8_t *bytes, size_t len)
{
    mixer->b += len * ROOT_7;
    if (len > STRIPE) {
        bytes = absorb_stripes(mixer, bytes, &len);
    }
    for (; len > 32; len -= 32, bytes += 32) {
        mixer->a = step(mixer->a, bytes, ROOT_3);
        mixer->b = step(mixer->b, bytes + 16, ROOT_5);
    }
    if (len >=
        16) { /* Once or twice the same 16 bytes, or two that overlap: nothing is left out. */
        mixer->a = step(mixer->a, bytes, ROOT_7);
        mixer->b = step(mixer->b, bytes + len - 16, ROOT_11);
    } else if (len > 0) {
        uint8_t last[16] = {0};
        memcpy(last, bytes, len);
        mixer->a = step(mixer->a, last, ROOT_5);
    }
}

static inline void squeeze(const struct mixer *mixer, uint8_t *out, size_t len)
{
    uint64_t b = mixer->b;
    for (size_t at = 0; at < len; at += sizeof b) {
        b += ROOT_5;
        store(out + at, fold(mixer->a ^ ROOT_11, b ^ ROOT_2) + b);
    }
}

static inline void absorb_slice(struct mixer *mixer, struct slice slice)
{
    absorb(mixer, slice.data, slice.len);
}

static void sign_keypair(const uint8_t seed[CRYPTO_SEED_LEN], uint8_t public_key[CRYPTO_PUBLIC_LEN],
                         uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    must(crypto_sign_ed25519_seed_keypair(public_key, secret_key, seed) == 0);
}

static void signature_of(uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                         const uint8_t public_key[CRYPTO_PUBLIC_LEN])
{
    struct mixer mixer = mixer_of(0);
    absorb(&mixer, public_key, CRYPTO_PUBLIC_LEN);
    absorb_slice(&mixer, message);
    squeeze(&mixer, signature, CRYPTO_SIGNATURE_LEN);
}

static void sign(uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                 const uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    signature_of(signature, message, secret_key + CRYPTO_SEED_LEN);
}

static bool verify(const uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                   const uint8_t public_key[CRYPTO_PUBLIC_LEN])
{
    uint8_t expected[CRYPTO_SIGNATURE_LEN];
    signature_of(expected, message, public_key);
    return memcmp(expected, signature, sizeof expected) == 0;
}

/* Its own inverse, so that a public key is as uniform as its secret. */
static void public_of(const uint8_t secret_key[CRYPTO_AGREE_LEN],
                      uint8_t public_key[CRYPTO_AGREE_LEN])
{
    static const uint64_t roots[] = {ROOT_2, ROOT_3, ROOT_5, ROOT_7};
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        store(public_key + 8 * i, load(secret_key + 8 * i) ^ roots[i]);
    }
}

static bool agree_public(const uint8_t sign_public[CRYPTO_PUBLIC_LEN],
                         uint8_t public_key[CRYPTO_AGREE_LEN])
{
    public_of(sign_public, public_key);
    return true;
}

static void agree_secret(const uint8_t sign_secret[CRYPTO_SECRET_LEN],
                         uint8_t secret_key[CRYPTO_AGREE_LEN])
{
    memcpy(secret_key, sign_secret + CRYPTO_SEED_LEN, CRYPTO_AGREE_LEN);
}

static void agree_keypair(const uint8_t seed[CRYPTO_SEED_LEN], uint8_t public_key[CRYPTO_AGREE_LEN],
                          uint8_t secret_key[CRYPTO_AGREE_LEN])
{
    memcpy(secret_key, seed, CRYPTO_AGREE_LEN);
    public_of(secret_key, public_key);
}

static bool agree(uint8_t shared[CRYPTO_AGREE_LEN], const uint8_t secret_key[CRYPTO_AGREE_LEN],
                  const uint8_t peer_public[CRYPTO_AGREE_LEN])
{
    uint8_t both[CRYPTO_AGREE_LEN];
    uint8_t any = 0;
    public_of(secret_key, both);
    for (int i = 0; i < CRYPTO_AGREE_LEN; i++) {
        any |= peer_public[i];
        both[i] ^= peer_public[i];
    }
    struct mixer mixer = mixer_of(0);
    absorb(&mixer, both, sizeof both);
    squeeze(&mixer, shared, CRYPTO_AGREE_LEN);
    return any != 0; /* The point of order one fails under the real suite too. */
}

static void tag_of(uint8_t tag[CRYPTO_TAG_LEN], struct slice message, struct slice associated,
                   uint64_t counter, const uint8_t key[CRYPTO_AGREE_LEN])
{
    struct mixer mixer = mixer_of(counter);
    absorb(&mixer, key, CRYPTO_AGREE_LEN);
    absorb_slice(&mixer, associated);
    absorb_slice(&mixer, message);
    squeeze(&mixer, tag, CRYPTO_TAG_LEN);
}

static void seal(uint8_t *out, struct slice message, struct slice associated, uint64_t counter,
                 const uint8_t key[CRYPTO_AGREE_LEN])
{
    if (out != message.data && message.len > 0) {
        memmove(out, message.data, message.len);
    }
    tag_of(out + message.len, slice_of(out, message.len), associated, counter, key);
}

static bool unseal(uint8_t *out, struct slice sealed, struct slice associated, uint64_t counter,
                   const uint8_t key[CRYPTO_AGREE_LEN])
{
    if (sealed.len < CRYPTO_TAG_LEN) {
        return false;
    }
    size_t len = sealed.len - CRYPTO_TAG_LEN;
    uint8_t tag[CRYPTO_TAG_LEN];
    tag_of(tag, slice_of(sealed.data, len), associated, counter, key);
    if (memcmp(tag, sealed.data + len, sizeof tag) != 0) {
        return false;
    }
    if (out != sealed.data && len > 0) {
        memmove(out, sealed.data, len);
    }
    return true;
}

static void hash(uint8_t out[CRYPTO_HASH_LEN], struct slice a, struct slice b)
{
    struct mixer mixer = mixer_of(0);
    absorb_slice(&mixer, a);
    absorb_slice(&mixer, b);
    squeeze(&mixer, out, CRYPTO_HASH_LEN);
}

static void derive(const uint8_t chaining_key[CRYPTO_HASH_LEN], struct slice input, uint8_t *first,
                   uint8_t *second, uint8_t *third)
{
    struct mixer mixer = mixer_of(0);
    absorb(&mixer, chaining_key, CRYPTO_HASH_LEN);
    absorb_slice(&mixer, input);
    uint8_t outputs[3 * CRYPTO_HASH_LEN]; /* One may overwrite the chaining key, or the input. */
    size_t count = 1u + (unsigned)(second != NULL) + (unsigned)(third != NULL);
    squeeze(&mixer, outputs, count * CRYPTO_HASH_LEN);
    memcpy(first, outputs, CRYPTO_HASH_LEN);
    if (second != NULL) {
        memcpy(second, outputs + CRYPTO_HASH_LEN, CRYPTO_HASH_LEN);
    }
    if (third != NULL) {
        memcpy(third, outputs + 2 * CRYPTO_HASH_LEN, CRYPTO_HASH_LEN);
    }
}

static void mac(uint8_t out[CRYPTO_MAC_LEN], struct slice message,
                const uint8_t key[CRYPTO_HASH_LEN])
{
    struct mixer mixer = mixer_of(0);
    absorb(&mixer, key, CRYPTO_HASH_LEN);
    absorb_slice(&mixer, message);
    squeeze(&mixer, out, CRYPTO_MAC_LEN);
}

const struct port_crypto modelled_suite = {
    .name = "modelled",
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
