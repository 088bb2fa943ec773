/* hash.c - BLAKE2b with a domain, through libsodium's pure hash functions. */
#include "node/base/hash.h"

#include <sodium/crypto_generichash_blake2b.h>
#include <string.h>

#include "node/base/must.h"

void hash_domain(uint8_t *out, size_t len, const char *domain, struct slice a, struct slice b)
{
    static const uint8_t salt[crypto_generichash_blake2b_SALTBYTES];
    uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = {0};
    size_t domain_len = strlen(domain);
    must(domain_len <= sizeof personal);
    memcpy(personal, domain, domain_len);

    crypto_generichash_blake2b_state state;
    crypto_generichash_blake2b_init_salt_personal(&state, NULL, 0, len, salt, personal);
    crypto_generichash_blake2b_update(&state, a.data, a.len);
    if (b.len > 0) {
        crypto_generichash_blake2b_update(&state, b.data, b.len);
    }
    crypto_generichash_blake2b_final(&state, out, len);
}
