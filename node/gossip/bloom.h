/* bloom.h - a set of 64-bit items in a few bytes, for those who can bear a wrong yes in a hundred.
 *
 *      known ids -> bloom_add -> bytes of an EXCHANGE -> bloom_has -> who is not worth telling
 *
 * Burton H. Bloom, "Space/time trade-offs in hash coding with allowable errors", CACM 13(7), 1970.
 * The items are prefixes of ids, which are hashes already: a keyed mixer is enough, and a fresh
 * salt for each filter makes sure that a peer hidden by one false positive is not hidden by the
 * next filter.
 */
#ifndef NODE_GOSSIP_BLOOM_H
#define NODE_GOSSIP_BLOOM_H

#include <stdbool.h>
#include <stdint.h>

#include "node/base/slice.h"

enum {
    /* ln(1/0.01) / ln(2)^2 = 9.59 bits an item give 1 % with (bits/items) ln 2 = 6.6 hashes. */
    BLOOM_TENTHS_OF_BITS = 96,
    BLOOM_HASHES = 7,
};

/* Bytes for `count` items at 1 %; the caller cuts them to its maximum and lives with more. */
size_t bloom_len(uint32_t count);

void bloom_add(uint8_t *bytes, size_t len, uint8_t hash_count, uint32_t salt, uint64_t item);

/* An empty filter holds nothing. */
bool bloom_has(struct slice filter, uint8_t hash_count, uint32_t salt, uint64_t item);

#endif /* NODE_GOSSIP_BLOOM_H */
