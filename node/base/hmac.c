/* hmac.c - HMAC over our SHA-1 and libsodium's SHA-256. */
#include "node/base/hmac.h"

#include <sodium/crypto_auth_hmacsha256.h>
#include <string.h>

_Static_assert(HMAC_SHA256_LEN == crypto_auth_hmacsha256_BYTES, "the whole tag");

/* The key xor `pad` in every byte of a block: RFC 2104 section 2. */
static void add_padded_key(struct sha1 *sha1, const uint8_t key[SHA1_BLOCK_LEN], uint8_t pad)
{
    uint8_t block[SHA1_BLOCK_LEN];
    for (int i = 0; i < SHA1_BLOCK_LEN; i++) {
        block[i] = key[i] ^ pad;
    }
    sha1_add(sha1, slice_of(block, sizeof block));
}

void hmac_sha1(uint8_t out[SHA1_LEN], struct slice key, struct slice a, struct slice b)
{
    struct sha1 sha1;
    uint8_t block_key[SHA1_BLOCK_LEN] = {0};
    if (key.len > sizeof block_key) {
        sha1_start(&sha1);
        sha1_add(&sha1, key);
        sha1_end(&sha1, block_key);
    } else if (key.len > 0) {
        memcpy(block_key, key.data, key.len);
    }
    uint8_t inner[SHA1_LEN];
    sha1_start(&sha1);
    add_padded_key(&sha1, block_key, 0x36);
    sha1_add(&sha1, a);
    sha1_add(&sha1, b);
    sha1_end(&sha1, inner);
    sha1_start(&sha1);
    add_padded_key(&sha1, block_key, 0x5c);
    sha1_add(&sha1, slice_of(inner, sizeof inner));
    sha1_end(&sha1, out);
}

void hmac_sha256(uint8_t out[HMAC_SHA256_LEN], struct slice key, struct slice a, struct slice b)
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key.data, key.len);
    crypto_auth_hmacsha256_update(&state, a.data, a.len);
    if (b.len > 0) {
        crypto_auth_hmacsha256_update(&state, b.data, b.len);
    }
    crypto_auth_hmacsha256_final(&state, out);
}
