/* rng.c - seeding and stream mixing. */
#include "node/base/rng.h"

void rng_seed(struct rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        rng->state[i] = rng_mix(seed + (uint64_t)i * 0x9e3779b97f4a7c15u);
    }
}

uint64_t rng_stream_seed(uint64_t seed, const char *purpose, uint64_t a, uint64_t b)
{
    uint64_t mixed = rng_mix(seed);
    for (const char *letter = purpose; *letter != '\0'; letter++) {
        mixed = rng_mix(mixed ^ (uint8_t)*letter);
    }
    mixed = rng_mix(mixed ^ a);
    return rng_mix(mixed ^ rng_rotate(b, 32));
}

void rng_stream(struct rng *rng, uint64_t seed, const char *purpose, uint64_t a, uint64_t b)
{
    rng_seed(rng, rng_stream_seed(seed, purpose, a, b));
}
