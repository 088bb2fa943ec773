/* hmac.h - keyed hashes of RFC 2104, for protocols of others: over SHA-1 and over SHA-256.
 *
 * Both hash a followed by b under a key of any length, so that a caller can put a changed header
 * before bytes it may not change. Our own packets are authenticated through node/port/crypto.h.
 *
 *      key, a, b -> hmac_sha1 -> 20 bytes
 *                -> hmac_sha256 -> 32 bytes
 */
#ifndef NODE_BASE_HMAC_H
#define NODE_BASE_HMAC_H

#include "node/base/sha1.h"

enum { HMAC_SHA256_LEN = 32 };

void hmac_sha1(uint8_t out[SHA1_LEN], struct slice key, struct slice a, struct slice b);
void hmac_sha256(uint8_t out[HMAC_SHA256_LEN], struct slice key, struct slice a, struct slice b);

#endif /* NODE_BASE_HMAC_H */
