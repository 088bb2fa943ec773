/* toy_suite.h - signatures for tests that are not about cryptography.
 *
 *      key, message -> hash -> signature
 *
 * Bound to key and message, so that what is altered fails; forgeable by whoever reads this file.
 * There is nothing else in the suite: a test that needs sessions needs a real one.
 */
#ifndef TESTS_SUPPORT_TOY_SUITE_H
#define TESTS_SUPPORT_TOY_SUITE_H

#include <string.h>

#include "node/base/hash.h"
#include "node/port/crypto.h"

static inline void toy_keypair(const uint8_t seed[CRYPTO_SEED_LEN],
                               uint8_t public_key[CRYPTO_PUBLIC_LEN],
                               uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    hash_domain(public_key, CRYPTO_PUBLIC_LEN, "toy key", slice_of(seed, CRYPTO_SEED_LEN),
                slice_of(NULL, 0));
    memcpy(secret_key, seed, CRYPTO_SEED_LEN);
    memcpy(secret_key + CRYPTO_SEED_LEN, public_key, CRYPTO_PUBLIC_LEN);
}

static inline void toy_sign(uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                            const uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    hash_domain(signature, CRYPTO_SIGNATURE_LEN, "toy signature",
                slice_of(secret_key + CRYPTO_SEED_LEN, CRYPTO_PUBLIC_LEN), message);
}

static inline bool toy_verify(const uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                              const uint8_t public_key[CRYPTO_PUBLIC_LEN])
{
    uint8_t expected[CRYPTO_SIGNATURE_LEN];
    hash_domain(expected, sizeof expected, "toy signature", slice_of(public_key, CRYPTO_PUBLIC_LEN),
                message);
    return memcmp(expected, signature, sizeof expected) == 0;
}

static const struct port_crypto toy_suite = {
    .name = "toy",
    .cost = {.sign_ns = 100, .verify_ns = 1000},
    .sign_keypair = toy_keypair,
    .sign = toy_sign,
    .verify = toy_verify,
};

#endif /* TESTS_SUPPORT_TOY_SUITE_H */
