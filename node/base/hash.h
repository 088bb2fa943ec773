/* hash.h - the hash of ids, records and tree nodes: BLAKE2b (RFC 7693), always real.
 *
 * The domain separates uses, so that a record can never pass for a key: it is the personalisation
 * text, at most 16 bytes, of the BLAKE2b parameter block.
 */
#ifndef NODE_BASE_HASH_H
#define NODE_BASE_HASH_H

#include <stdint.h>

#include "node/base/slice.h"

/* len is 16..64 bytes. Hashes a followed by b. */
void hash_domain(uint8_t *out, size_t len, const char *domain, struct slice a, struct slice b);

#endif /* NODE_BASE_HASH_H */
