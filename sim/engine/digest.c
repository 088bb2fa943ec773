/* digest.c - folding multiplications over events and chains. */
#include "sim/engine/digest.h"

#include <string.h>

#define ROOT_2  DIGEST_START
#define ROOT_3  UINT64_C(0xbb67ae8584caa73b)
#define ROOT_5  UINT64_C(0x3c6ef372fe94f82b)
#define ROOT_7  UINT64_C(0xa54ff53a5f1d36f1)
#define ROOT_11 UINT64_C(0x510e527fade682d1)
#define ROOT_13 UINT64_C(0x9b05688c2b3e6c1f)
#define ROOT_17 UINT64_C(0x1f83d9abfb41bd6b)
#define ROOT_19 UINT64_C(0x5be0cd19137e2179)

#define STRIPE 64 /* Bytes per turn of the four lanes. */

static uint64_t fold(uint64_t a, uint64_t b);
static uint64_t mix(uint64_t state, uint64_t a, uint64_t b, uint64_t root);
static uint64_t swallow(uint64_t state, const uint8_t *bytes, size_t len);
static uint64_t swallow_short(uint64_t state, const uint8_t *bytes, size_t len);
static const uint8_t *swallow_stripes(uint64_t *state, const uint8_t *bytes, size_t *len);
static uint64_t load64(const uint8_t *bytes);
static uint64_t load32(const uint8_t *bytes);

uint64_t digest_step(uint64_t chain, uint64_t time_us, uint32_t source, uint32_t sequence,
                     uint32_t kind, const void *bytes, size_t len)
{
    uint64_t sender = (uint64_t)source << 32 | sequence;
    uint64_t state = mix(chain, time_us, sender, ROOT_3);
    state = mix(state, kind, len, ROOT_5);
    if (len > 0) {
        state = swallow(state, bytes, len);
    }
    return fold(state ^ ROOT_7, ROOT_11);
}

uint64_t digest_combine(const uint64_t *chains, size_t count)
{
    uint64_t state = mix(DIGEST_START, count, 0, ROOT_13);
    for (size_t i = 0; i < count; i++) {
        state = mix(state, chains[i], i, ROOT_17);
    }
    return fold(state ^ ROOT_7, ROOT_11);
}

/* Both halves of the product matter: the low one hides high input bits, the high one low bits. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The old state is added again after the product, so a factor that happens to be zero cannot make
 * two histories equal. */
static uint64_t mix(uint64_t state, uint64_t a, uint64_t b, uint64_t root)
{
    uint64_t carried = state << 29 | state >> 35;
    return fold(state ^ a, b ^ root) + carried;
}

/* The length was mixed in before, so the overlapping loads at the end are unambiguous. */
static uint64_t swallow(uint64_t state, const uint8_t *bytes, size_t len)
{
    if (len < 16) {
        return swallow_short(state, bytes, len);
    }
    const uint8_t *last = bytes + len - 16;
    if (len > STRIPE) {
        bytes = swallow_stripes(&state, bytes, &len);
    }
    for (; len > 16; len -= 16, bytes += 16) {
        state = mix(state, load64(bytes), load64(bytes + 8), ROOT_5);
    }
    return mix(state, load64(last), load64(last + 8), ROOT_7);
}

static uint64_t swallow_short(uint64_t state, const uint8_t *bytes, size_t len)
{
    if (len >= 8) {
        return mix(state, load64(bytes), load64(bytes + len - 8), ROOT_11);
    }
    if (len >= 4) {
        return mix(state, load32(bytes), load32(bytes + len - 4), ROOT_13);
    }
    uint64_t few = (uint64_t)bytes[0] << 16 | (uint64_t)bytes[len / 2] << 8 | bytes[len - 1];
    return mix(state, few, 0, ROOT_17);
}

/* Leaves 1 to STRIPE bytes. The lanes do not wait for each other's multiplications. */
static const uint8_t *swallow_stripes(uint64_t *state, const uint8_t *bytes, size_t *len)
{
    uint64_t lane_0 = *state;
    uint64_t lane_1 = *state ^ ROOT_13;
    uint64_t lane_2 = *state ^ ROOT_17;
    uint64_t lane_3 = *state ^ ROOT_19;
    for (; *len > STRIPE; *len -= STRIPE, bytes += STRIPE) {
        lane_0 = mix(lane_0, load64(bytes), load64(bytes + 8), ROOT_3);
        lane_1 = mix(lane_1, load64(bytes + 16), load64(bytes + 24), ROOT_5);
        lane_2 = mix(lane_2, load64(bytes + 32), load64(bytes + 40), ROOT_7);
        lane_3 = mix(lane_3, load64(bytes + 48), load64(bytes + 56), ROOT_11);
    }
    *state = mix(mix(lane_0, lane_1, lane_2, ROOT_2), lane_3, lane_1, ROOT_19);
    return bytes;
}

static uint64_t load64(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static uint64_t load32(const uint8_t *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    return word;
}
