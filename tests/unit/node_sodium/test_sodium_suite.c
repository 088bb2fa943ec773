/* test_sodium_suite.c - the real suite against Project Wycheproof's vectors, through the seam. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/sodium/sodium_suite.h"
#include "tests/support/vectors.h"

static void setup(void)
{
    cr_assert_eq(sodium_suite_init(), ERR_OK);
}

TestSuite(sodium_suite, .init = setup);

typedef void (*vector_fn)(const cJSON *group, const cJSON *vector, int *used);

/* Runs `check` over every vector of a Wycheproof file; at least used_min must have applied. */
static void for_each_vector(const char *name, vector_fn check, int used_min)
{
    cJSON *file = vectors_open(name);
    int used = 0;
    const cJSON *group;
    cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(file, "testGroups"))
    {
        const cJSON *vector;
        cJSON_ArrayForEach(vector, cJSON_GetObjectItemCaseSensitive(group, "tests"))
        {
            check(group, vector, &used);
        }
    }
    cJSON_Delete(file);
    cr_assert_geq(used, used_min, "only %d vectors of %s apply", used, name);
}

static bool is_valid(const cJSON *vector)
{
    return strcmp(vector_text(vector, "result"), "valid") == 0;
}

static void check_ed25519(const cJSON *group, const cJSON *vector, int *used)
{
    static struct vector_bytes key;
    static struct vector_bytes message;
    static struct vector_bytes signature;
    vector_hex(cJSON_GetObjectItemCaseSensitive(group, "publicKey"), "pk", &key);
    vector_hex(vector, "msg", &message);
    vector_hex(vector, "sig", &signature);
    if (signature.len != CRYPTO_SIGNATURE_LEN) {
        return; /* The seam's signatures have one length: no such bytes can be passed. */
    }
    bool verified =
        sodium_suite.verify(signature.bytes, slice_of(message.bytes, message.len), key.bytes);
    cr_assert_eq(verified, is_valid(vector), "ed25519 vector %d", vector_number(vector, "tcId"));
    (*used)++;
}

Test(sodium_suite, verifies_ed25519_as_wycheproof_does)
{
    for_each_vector("wycheproof/ed25519_test.json", check_ed25519, 80);
}

static void check_x25519(const cJSON *group, const cJSON *vector, int *used)
{
    (void)group;
    static struct vector_bytes public_key;
    static struct vector_bytes secret_key;
    static struct vector_bytes expected;
    vector_hex(vector, "public", &public_key);
    vector_hex(vector, "private", &secret_key);
    vector_hex(vector, "shared", &expected);
    uint8_t shared[CRYPTO_AGREE_LEN];
    bool agreed = sodium_suite.agree(shared, secret_key.bytes, public_key.bytes);
    bool is_refused = vector_has_flag(vector, "ZeroSharedSecret");
    cr_assert_eq(agreed, !is_refused, "x25519 vector %d", vector_number(vector, "tcId"));
    if (agreed) {
        cr_assert_arr_eq(shared, expected.bytes, sizeof shared);
    }
    (*used)++;
}

Test(sodium_suite, agrees_as_wycheproof_does_and_refuses_every_zero_secret)
{
    for_each_vector("wycheproof/x25519_test.json", check_x25519, 346);
}

static void check_cipher(const cJSON *group, const cJSON *vector, int *used)
{
    static struct vector_bytes key, nonce, associated, message, sealed, tag, out;
    vector_hex(vector, "iv", &nonce);
    static const uint8_t zero[4];
    if (vector_number(group, "ivSize") != 96 || memcmp(nonce.bytes, zero, sizeof zero) != 0) {
        return; /* Not a nonce that Noise can form. */
    }
    vector_hex(vector, "key", &key);
    vector_hex(vector, "aad", &associated);
    vector_hex(vector, "msg", &message);
    vector_hex(vector, "ct", &sealed);
    vector_hex(vector, "tag", &tag);
    uint64_t counter = 0;
    for (int i = 8; i-- > 0;) {
        counter = counter << 8 | nonce.bytes[4 + i];
    }
    memcpy(sealed.bytes + sealed.len, tag.bytes, tag.len);
    sealed.len += tag.len;
    struct slice with = slice_of(associated.bytes, associated.len);
    bool opened = sodium_suite.unseal(out.bytes, slice_of(sealed.bytes, sealed.len), with, counter,
                                      key.bytes);
    cr_assert_eq(opened, is_valid(vector));
    if (opened) {
        cr_assert_arr_eq(out.bytes, message.bytes, message.len);
        sodium_suite.seal(out.bytes, slice_of(message.bytes, message.len), with, counter,
                          key.bytes);
        cr_assert_arr_eq(out.bytes, sealed.bytes, sealed.len);
    }
    (*used)++;
}

Test(sodium_suite, seals_with_noise_nonces_as_wycheproof_does)
{
    for_each_vector("wycheproof/chacha20_poly1305_test.json", check_cipher, 6);
}

static void check_derive(const cJSON *group, const cJSON *vector, int *used)
{
    (void)group;
    static struct vector_bytes salt, input, info, expected;
    vector_hex(vector, "salt", &salt);
    vector_hex(vector, "ikm", &input);
    vector_hex(vector, "info", &info);
    vector_hex(vector, "okm", &expected);
    if (salt.len > CRYPTO_HASH_LEN || info.len > 0 || expected.len > 3 * CRYPTO_HASH_LEN ||
        !is_valid(vector)) {
        return; /* Noise's HKDF has no info and at most three outputs. */
    }
    /* HMAC pads its key with zeros (RFC 2104), so a shorter salt has this 32-byte form. */
    memset(salt.bytes + salt.len, 0, CRYPTO_HASH_LEN - salt.len);
    uint8_t out[3][CRYPTO_HASH_LEN];
    size_t blocks = (expected.len + CRYPTO_HASH_LEN - 1) / CRYPTO_HASH_LEN;
    sodium_suite.derive(salt.bytes, slice_of(input.bytes, input.len), out[0],
                        blocks > 1 ? out[1] : NULL, blocks > 2 ? out[2] : NULL);
    cr_assert_arr_eq(&out[0][0], expected.bytes, expected.len, "hkdf vector %d",
                     vector_number(vector, "tcId"));
    (*used)++;
}

Test(sodium_suite, derives_keys_as_wycheproof_does)
{
    for_each_vector("wycheproof/hkdf_sha256_test.json", check_derive, 19);
}

Test(sodium_suite, derives_into_its_own_chaining_key)
{
    uint8_t key[CRYPTO_HASH_LEN] = {1};
    uint8_t first[CRYPTO_HASH_LEN];
    uint8_t second[CRYPTO_HASH_LEN];
    uint8_t again[CRYPTO_HASH_LEN];
    struct slice input = slice_of("input", 5);
    sodium_suite.derive(key, input, first, second, NULL);
    sodium_suite.derive(key, input, key, again, NULL);
    cr_assert_arr_eq(key, first, sizeof key);
    cr_assert_arr_eq(again, second, sizeof again);
}

Test(sodium_suite, turns_an_identity_into_a_pair_that_agrees)
{
    for (uint8_t i = 0; i < 16; i++) {
        const uint8_t seed[CRYPTO_SEED_LEN] = {i, 7};
        const uint8_t fresh[CRYPTO_SEED_LEN] = {i, 8};
        uint8_t sign_public[CRYPTO_PUBLIC_LEN], sign_secret[CRYPTO_SECRET_LEN];
        uint8_t public_key[CRYPTO_AGREE_LEN], secret_key[CRYPTO_AGREE_LEN];
        uint8_t other_public[CRYPTO_AGREE_LEN], other_secret[CRYPTO_AGREE_LEN];
        uint8_t ours[CRYPTO_AGREE_LEN], theirs[CRYPTO_AGREE_LEN];
        sodium_suite.sign_keypair(seed, sign_public, sign_secret);
        cr_assert(sodium_suite.agree_public(sign_public, public_key));
        sodium_suite.agree_secret(sign_secret, secret_key);
        sodium_suite.agree_keypair(fresh, other_public, other_secret);
        cr_assert(sodium_suite.agree(ours, secret_key, other_public));
        cr_assert(sodium_suite.agree(theirs, other_secret, public_key));
        cr_assert_arr_eq(ours, theirs, sizeof ours);
    }
}

Test(sodium_suite, refuses_a_signing_key_of_low_order)
{
    const uint8_t identity_point[CRYPTO_PUBLIC_LEN] = {1};
    uint8_t public_key[CRYPTO_AGREE_LEN];
    cr_assert_not(sodium_suite.agree_public(identity_point, public_key));
}

Test(sodium_suite, binds_a_mac_to_key_and_message)
{
    uint8_t key[CRYPTO_HASH_LEN] = {1};
    uint8_t message[40] = {2};
    uint8_t mac[CRYPTO_MAC_LEN];
    uint8_t other[CRYPTO_MAC_LEN];
    sodium_suite.mac(mac, slice_of(message, sizeof message), key);
    message[39] ^= 1;
    sodium_suite.mac(other, slice_of(message, sizeof message), key);
    cr_assert_arr_neq(mac, other, sizeof mac);
    message[39] ^= 1;
    key[31] ^= 1;
    sodium_suite.mac(other, slice_of(message, sizeof message), key);
    cr_assert_arr_neq(mac, other, sizeof mac);
}
