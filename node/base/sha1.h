/* sha1.h - SHA-1 (FIPS 180-4 section 6.1), for protocols of others that still sign with it.
 *
 * STUN's MESSAGE-INTEGRITY is an HMAC of it (RFC 8489 section 14.5). Nothing of ours rests on it:
 * ids and records are BLAKE2b (node/base/hash.h), sessions SHA-256.
 *
 *      bytes, in any pieces -> sha1_add -> sha1_end -> 20 bytes
 */
#ifndef NODE_BASE_SHA1_H
#define NODE_BASE_SHA1_H

#include "node/base/slice.h"

enum {
    SHA1_LEN = 20,
    SHA1_BLOCK_LEN = 64,
};

struct sha1 {
    uint32_t state[5];
    uint64_t total_bytes;
    uint8_t block[SHA1_BLOCK_LEN]; /* The first total_bytes % SHA1_BLOCK_LEN wait in it. */
};

void sha1_start(struct sha1 *sha1);
void sha1_add(struct sha1 *sha1, struct slice bytes);
void sha1_end(struct sha1 *sha1, uint8_t out[SHA1_LEN]);

#endif /* NODE_BASE_SHA1_H */
