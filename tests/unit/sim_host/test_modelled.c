/* test_modelled.c - the modelled suite has the shape of the real one, and forgeries fail under it.
 */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "node/sodium/sodium_suite.h"
#include "sim/host/host.h"

static void fill(uint8_t *bytes, size_t len, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)rng_next(&rng);
    }
}

Test(modelled, identity_keys_are_the_real_ones)
{
    uint8_t seed[CRYPTO_SEED_LEN];
    uint8_t real_public[CRYPTO_PUBLIC_LEN];
    uint8_t real_secret[CRYPTO_SECRET_LEN];
    uint8_t public_key[CRYPTO_PUBLIC_LEN];
    uint8_t secret_key[CRYPTO_SECRET_LEN];
    fill(seed, sizeof seed, 1);
    sodium_suite.sign_keypair(seed, real_public, real_secret);
    modelled_suite.sign_keypair(seed, public_key, secret_key);
    cr_assert_eq(memcmp(real_public, public_key, sizeof public_key), 0);
    cr_assert_eq(memcmp(real_secret, secret_key, sizeof secret_key), 0);
    cr_assert_eq(memcmp(&sodium_suite.cost, &modelled_suite.cost, sizeof sodium_suite.cost), 0);
}

Test(modelled, any_flipped_bit_or_wrong_key_fails_to_open)
{
    uint8_t key[CRYPTO_AGREE_LEN];
    uint8_t plain[300];
    uint8_t associated[13];
    uint8_t sealed[sizeof plain + CRYPTO_TAG_LEN];
    uint8_t opened[sizeof plain];
    fill(key, sizeof key, 2);
    fill(plain, sizeof plain, 3);
    fill(associated, sizeof associated, 4);
    struct slice ad = slice_of(associated, sizeof associated);
    for (size_t len = 0; len <= sizeof plain; len += 37) {
        struct slice whole = slice_of(sealed, len + CRYPTO_TAG_LEN);
        modelled_suite.seal(sealed, slice_of(plain, len), ad, 7, key);
        cr_assert(modelled_suite.unseal(opened, whole, ad, 7, key));
        cr_assert_eq(memcmp(opened, plain, len), 0);
        cr_assert_not(modelled_suite.unseal(opened, whole, ad, 8, key));
        cr_assert_not(modelled_suite.unseal(opened, slice_of(sealed, whole.len - 1), ad, 7, key));
        for (size_t bit = 0; bit < whole.len * 8; bit += 5) {
            sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
            cr_assert_not(modelled_suite.unseal(opened, whole, ad, 7, key), "bit %zu", bit);
            sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t bit = 0; bit < sizeof key * 8; bit++) {
            key[bit / 8] ^= (uint8_t)(1u << bit % 8);
            cr_assert_not(modelled_suite.unseal(opened, whole, ad, 7, key), "key bit %zu", bit);
            key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        associated[len % sizeof associated] ^= 1;
        cr_assert_not(modelled_suite.unseal(opened, whole, ad, 7, key));
        associated[len % sizeof associated] ^= 1;
    }
}

Test(modelled, both_ends_agree_and_a_third_does_not)
{
    uint8_t seeds[3][CRYPTO_SEED_LEN];
    uint8_t public_keys[3][CRYPTO_AGREE_LEN];
    uint8_t secret_keys[3][CRYPTO_AGREE_LEN];
    uint8_t shared[3][CRYPTO_AGREE_LEN];
    for (uint64_t i = 0; i < 3; i++) {
        fill(seeds[i], CRYPTO_SEED_LEN, 10 + i);
        modelled_suite.agree_keypair(seeds[i], public_keys[i], secret_keys[i]);
    }
    cr_assert(modelled_suite.agree(shared[0], secret_keys[0], public_keys[1]));
    cr_assert(modelled_suite.agree(shared[1], secret_keys[1], public_keys[0]));
    cr_assert(modelled_suite.agree(shared[2], secret_keys[2], public_keys[1]));
    cr_assert_eq(memcmp(shared[0], shared[1], CRYPTO_AGREE_LEN), 0);
    cr_assert_neq(memcmp(shared[0], shared[2], CRYPTO_AGREE_LEN), 0);
    uint8_t nothing[CRYPTO_AGREE_LEN] = {0};
    cr_assert_not(modelled_suite.agree(shared[0], secret_keys[0], nothing));
}

Test(modelled, the_agreement_form_of_an_identity_matches_its_secret)
{
    uint8_t seed[CRYPTO_SEED_LEN];
    uint8_t public_key[CRYPTO_PUBLIC_LEN];
    uint8_t secret_key[CRYPTO_SECRET_LEN];
    uint8_t agree_public[CRYPTO_AGREE_LEN];
    uint8_t agree_secret[CRYPTO_AGREE_LEN];
    uint8_t other_public[CRYPTO_AGREE_LEN];
    uint8_t other_secret[CRYPTO_AGREE_LEN];
    uint8_t shared[2][CRYPTO_AGREE_LEN];
    fill(seed, sizeof seed, 20);
    modelled_suite.sign_keypair(seed, public_key, secret_key);
    cr_assert(modelled_suite.agree_public(public_key, agree_public));
    modelled_suite.agree_secret(secret_key, agree_secret);
    fill(seed, sizeof seed, 21);
    modelled_suite.agree_keypair(seed, other_public, other_secret);
    cr_assert(modelled_suite.agree(shared[0], agree_secret, other_public));
    cr_assert(modelled_suite.agree(shared[1], other_secret, agree_public));
    cr_assert_eq(memcmp(shared[0], shared[1], CRYPTO_AGREE_LEN), 0);
}

Test(modelled, signatures_are_bound_to_message_and_key)
{
    uint8_t seed[CRYPTO_SEED_LEN];
    uint8_t public_key[CRYPTO_PUBLIC_LEN];
    uint8_t secret_key[CRYPTO_SECRET_LEN];
    uint8_t signature[CRYPTO_SIGNATURE_LEN];
    uint8_t message[50];
    fill(seed, sizeof seed, 30);
    fill(message, sizeof message, 31);
    modelled_suite.sign_keypair(seed, public_key, secret_key);
    modelled_suite.sign(signature, slice_of(message, sizeof message), secret_key);
    cr_assert(modelled_suite.verify(signature, slice_of(message, sizeof message), public_key));
    for (size_t i = 0; i < sizeof message; i++) {
        message[i] ^= 0x10;
        cr_assert_not(
            modelled_suite.verify(signature, slice_of(message, sizeof message), public_key));
        message[i] ^= 0x10;
    }
    for (size_t i = 0; i < sizeof signature; i++) {
        signature[i] ^= 0x01;
        cr_assert_not(
            modelled_suite.verify(signature, slice_of(message, sizeof message), public_key));
        signature[i] ^= 0x01;
    }
    public_key[5] ^= 4;
    cr_assert_not(modelled_suite.verify(signature, slice_of(message, sizeof message), public_key));
}

Test(modelled, derived_keys_are_distinct_and_may_overwrite_their_source)
{
    uint8_t chaining_key[CRYPTO_HASH_LEN];
    uint8_t input[CRYPTO_HASH_LEN];
    uint8_t first[CRYPTO_HASH_LEN];
    uint8_t second[CRYPTO_HASH_LEN];
    uint8_t third[CRYPTO_HASH_LEN];
    fill(chaining_key, sizeof chaining_key, 40);
    fill(input, sizeof input, 41);
    struct slice material = slice_of(input, sizeof input);
    modelled_suite.derive(chaining_key, material, first, second, third);
    cr_assert_neq(memcmp(first, second, sizeof first), 0);
    cr_assert_neq(memcmp(second, third, sizeof second), 0);
    uint8_t again[CRYPTO_HASH_LEN];
    modelled_suite.derive(chaining_key, material, chaining_key, again, NULL);
    cr_assert_eq(memcmp(chaining_key, first, sizeof first), 0);
    cr_assert_eq(memcmp(again, second, sizeof second), 0);
}
