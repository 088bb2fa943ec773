/* rng.h - a small random generator for protocol decisions, and the mixer of named streams.
 *
 * xoshiro256** (Blackman & Vigna, "Scrambled linear pseudorandom number generators", 2021) seeded
 * through SplitMix64 (Steele, Lea & Flood, OOPSLA 2014). Not for keys: those come from the host's
 * entropy. One generator per purpose and owner, mixed and never added, so that drawing more in one
 * place does not move the dice of another.
 *
 *      (seed, purpose, a, b) -> rng_stream -> struct rng -> rng_next, rng_below
 */
#ifndef NODE_BASE_RNG_H
#define NODE_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state[4];
};

/* One step of SplitMix64's output function: a good 64-bit mixer. */
static inline uint64_t rng_mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

void rng_seed(struct rng *rng, uint64_t seed);

/* The stream of `purpose` (a short constant text) between owners a and b under `seed`. */
void rng_stream(struct rng *rng, uint64_t seed, const char *purpose, uint64_t a, uint64_t b);
/* The 64-bit seed that rng_stream would use; for deriving replicate seeds and the like. */
uint64_t rng_stream_seed(uint64_t seed, const char *purpose, uint64_t a, uint64_t b);

static inline uint64_t rng_rotate(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rng_rotate(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rng_rotate(s[3], 45);
    return result;
}

/* Uniform in [0, bound); 0 when bound is 0. Bias is at most bound / 2^64 (multiply-shift, Lemire
 * 2019, without the rejection: the draw count must not depend on the values drawn). */
static inline uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)rng_next(rng) * bound) >> 64);
}

/* True with probability chance / 2^32. */
static inline int rng_chance(struct rng *rng, uint32_t chance)
{
    return (uint32_t)(rng_next(rng) >> 32) < chance;
}

#endif /* NODE_BASE_RNG_H */
