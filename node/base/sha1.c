/* sha1.c - SHA-1 as FIPS 180-4 has it. */
#include "node/base/sha1.h"

#include <string.h>

enum {
    ROUNDS = 80,
    LENGTH_AT = SHA1_BLOCK_LEN - 8, /* Where the last block holds the message's length. */
};

static void take_block(struct sha1 *sha1, const uint8_t *block);
static uint32_t mix(int round, uint32_t b, uint32_t c, uint32_t d);

void sha1_start(struct sha1 *sha1)
{
    /* Section 5.3.1. */
    *sha1 = (struct sha1){
        .state = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u},
    };
}

void sha1_add(struct sha1 *sha1, struct slice bytes)
{
    while (bytes.len > 0) {
        size_t waiting = sha1->total_bytes % SHA1_BLOCK_LEN;
        size_t taken = SHA1_BLOCK_LEN - waiting;
        taken = bytes.len < taken ? bytes.len : taken;
        memcpy(sha1->block + waiting, bytes.data, taken);
        sha1->total_bytes += taken;
        bytes = slice_of(bytes.data + taken, bytes.len - taken);
        if (waiting + taken == SHA1_BLOCK_LEN) {
            take_block(sha1, sha1->block);
        }
    }
}

void sha1_end(struct sha1 *sha1, uint8_t out[SHA1_LEN])
{
    static const uint8_t padding[SHA1_BLOCK_LEN] = {0x80};
    uint64_t total_bits = sha1->total_bytes * 8;
    size_t waiting = sha1->total_bytes % SHA1_BLOCK_LEN;
    size_t padding_len = (waiting < LENGTH_AT ? LENGTH_AT : LENGTH_AT + SHA1_BLOCK_LEN) - waiting;
    sha1_add(sha1, slice_of(padding, padding_len));
    uint8_t length[8];
    for (int i = 0; i < 8; i++) {
        length[i] = (uint8_t)(total_bits >> (56 - 8 * i));
    }
    sha1_add(sha1, slice_of(length, sizeof length));
    for (int i = 0; i < SHA1_LEN; i++) {
        out[i] = (uint8_t)(sha1->state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

static inline uint32_t rotate(uint32_t value, int bits)
{
    return (value << bits) | (value >> (32 - bits));
}

/* Section 6.1.2. */
static void take_block(struct sha1 *sha1, const uint8_t *block)
{
    /* Section 4.2.1: one constant for each quarter of the rounds. */
    static const uint32_t constants[4] = {0x5a827999u, 0x6ed9eba1u, 0x8f1bbcdcu, 0xca62c1d6u};
    uint32_t schedule[ROUNDS];
    for (int i = 0; i < 16; i++) {
        const uint8_t *at = block + (ptrdiff_t)4 * i;
        schedule[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
    for (int i = 16; i < ROUNDS; i++) {
        schedule[i] =
            rotate(schedule[i - 3] ^ schedule[i - 8] ^ schedule[i - 14] ^ schedule[i - 16], 1);
    }
    uint32_t a = sha1->state[0];
    uint32_t b = sha1->state[1];
    uint32_t c = sha1->state[2];
    uint32_t d = sha1->state[3];
    uint32_t e = sha1->state[4];
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t next = rotate(a, 5) + mix(i, b, c, d) + e + constants[i / 20] + schedule[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    sha1->state[0] += a;
    sha1->state[1] += b;
    sha1->state[2] += c;
    sha1->state[3] += d;
    sha1->state[4] += e;
}

/* Section 4.1.1: Ch, Parity, Maj, Parity. */
static uint32_t mix(int round, uint32_t b, uint32_t c, uint32_t d)
{
    switch (round / 20) {
    case 0:
        return (b & c) ^ (~b & d);
    case 2:
        return (b & c) ^ (b & d) ^ (c & d);
    default:
        return b ^ c ^ d;
    }
}
