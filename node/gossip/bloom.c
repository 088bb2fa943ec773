/* bloom.c - where in a Bloom filter an item's bits are. */
#include "node/gossip/bloom.h"

#include "node/base/must.h"
#include "node/base/rng.h"

/* The places of one item, two to a mixing step: cheaper than a step each, and free of the clusters
 * that arithmetic progressions make in filters of a few hundred bits. */
struct places {
    uint64_t mixed;
    uint32_t drawn;
    uint32_t bits;
};

static struct places places_of(size_t len, uint32_t salt, uint64_t item);
static uint32_t places_next(struct places *places);

size_t bloom_len(uint32_t count)
{
    return ((size_t)count * BLOOM_TENTHS_OF_BITS + 79) / 80;
}

void bloom_add(uint8_t *bytes, size_t len, uint8_t hash_count, uint32_t salt, uint64_t item)
{
    must(len > 0 && len < UINT32_MAX / 8);

    struct places places = places_of(len, salt, item);
    for (uint32_t i = 0; i < hash_count; i++) {
        uint32_t bit = places_next(&places);
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] | 1u << (bit % 8));
    }
}

bool bloom_has(struct slice filter, uint8_t hash_count, uint32_t salt, uint64_t item)
{
    if (filter.len == 0) {
        return false;
    }
    struct places places = places_of(filter.len, salt, item);
    for (uint32_t i = 0; i < hash_count; i++) {
        uint32_t bit = places_next(&places);
        if ((filter.data[bit / 8] >> (bit % 8) & 1) == 0) {
            return false;
        }
    }
    return true;
}

static struct places places_of(size_t len, uint32_t salt, uint64_t item)
{
    return (struct places){.mixed = rng_mix(item ^ rng_mix(salt)), .bits = (uint32_t)len * 8};
}

static uint32_t places_next(struct places *places)
{
    uint64_t half = places->mixed & UINT32_MAX;
    if (places->drawn++ % 2 == 0) {
        half = places->mixed >> 32;
    } else {
        places->mixed = rng_mix(places->mixed);
    }
    return (uint32_t)(half * places->bits >> 32);
}
