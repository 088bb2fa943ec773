/* test_digest.c - a digest changes with everything it has seen, and with nothing else. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/rng.h"
#include "node/base/slice.h"
#include "sim/engine/digest.h"

#define BYTES_MAX 300

struct input {
    uint64_t chain;
    uint64_t time_us;
    uint32_t source;
    uint32_t sequence;
    uint32_t kind;
    size_t len;
    uint8_t bytes[BYTES_MAX];
};

static uint64_t step(const struct input *input)
{
    return digest_step(input->chain, input->time_us, input->source, input->sequence, input->kind,
                       input->bytes, input->len);
}

static struct input input_random(struct rng *rng, size_t len)
{
    struct input input = {.chain = rng_next(rng),
                          .time_us = rng_next(rng) >> 20,
                          .source = (uint32_t)rng_below(rng, 1000),
                          .sequence = (uint32_t)rng_below(rng, 100000),
                          .kind = (uint32_t)rng_below(rng, 20),
                          .len = len};
    for (size_t i = 0; i < len; i++) {
        input.bytes[i] = (uint8_t)rng_next(rng);
    }
    return input;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void expect_all_different(uint64_t *digests, size_t count)
{
    qsort(digests, count, sizeof *digests, compare);
    for (size_t i = 1; i < count; i++) {
        cr_assert_neq(digests[i - 1], digests[i]);
    }
}

/* Mean number of digest bits that a flip of each of the field's bits turns over. */
static double turned(struct input *input, void *field, size_t size)
{
    uint64_t digest = step(input);
    uint64_t sum = 0;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        uint8_t *byte = (uint8_t *)field + bit / 8;
        *byte ^= (uint8_t)(1u << bit % 8);
        uint64_t changed = step(input);
        *byte ^= (uint8_t)(1u << bit % 8);
        cr_assert_neq(digest, changed, "bit %zu of a field of %zu bytes", bit, size);
        sum += (uint64_t)__builtin_popcountll(digest ^ changed);
    }
    return (double)sum / (double)(8 * size);
}

Test(digest, every_bit_turns_over_about_half_of_the_digest)
{
    struct rng rng;
    rng_seed(&rng, 1);
    double sums[5] = {0};
    for (size_t i = 0; i < 200; i++) {
        struct input input = input_random(&rng, i);
        sums[0] += turned(&input, &input.chain, sizeof input.chain);
        sums[1] += turned(&input, &input.time_us, sizeof input.time_us);
        sums[2] += turned(&input, &input.source, sizeof input.source);
        sums[3] += turned(&input, &input.sequence, sizeof input.sequence);
        sums[4] += turned(&input, &input.kind, sizeof input.kind);
        if (input.len > 0) {
            double bits = turned(&input, input.bytes, input.len);
            cr_assert(bits > 28 && bits < 36, "%zu bytes: %.2f bits", input.len, bits);
        }
    }
    for (size_t i = 0; i < array_len(sums); i++) {
        cr_assert(sums[i] / 200 > 31 && sums[i] / 200 < 33, "field %zu: %.2f", i, sums[i] / 200);
    }
}

Test(digest, zero_bytes_at_the_end_count)
{
    static uint64_t digests[BYTES_MAX];
    struct input input = {.chain = DIGEST_START};
    for (size_t len = 0; len < BYTES_MAX; len++) {
        input.len = len;
        digests[len] = step(&input);
    }
    expect_all_different(digests, BYTES_MAX);
}

Test(digest, continuing_a_chain_is_not_a_longer_message)
{
    struct rng rng;
    rng_seed(&rng, 2);
    struct input whole = input_random(&rng, 128);
    struct input first = whole;
    first.len = 64;
    struct input second = whole;
    second.chain = step(&first);
    second.len = 64;
    memcpy(second.bytes, whole.bytes + 64, 64);
    cr_assert_neq(step(&whole), step(&second));
}

Test(digest, order_of_events_matters)
{
    struct rng rng;
    rng_seed(&rng, 3);
    for (size_t len = 0; len < 100; len++) {
        struct input a = input_random(&rng, len);
        struct input b = input_random(&rng, len);
        a.chain = b.chain = DIGEST_START;
        struct input a_then_b = b;
        a_then_b.chain = step(&a);
        struct input b_then_a = a;
        b_then_a.chain = step(&b);
        cr_assert_neq(step(&a_then_b), step(&b_then_a));
    }
}

Test(digest, words_in_other_places_count)
{
    struct rng rng;
    rng_seed(&rng, 4);
    struct input input = input_random(&rng, 256);
    uint64_t digest = step(&input);
    for (size_t from = 0; from + 8 <= input.len; from += 8) {
        for (size_t to = from + 8; to + 8 <= input.len; to += 8) {
            struct input swapped = input;
            memcpy(swapped.bytes + from, input.bytes + to, 8);
            memcpy(swapped.bytes + to, input.bytes + from, 8);
            cr_assert_neq(step(&swapped), digest, "words at %zu and %zu", from, to);
        }
    }
}

Test(digest, small_numbers_do_not_collide)
{
    enum { COUNT = 64 * 64 * 64 };
    uint64_t *digests = malloc(COUNT * sizeof *digests);
    size_t next = 0;
    for (uint32_t a = 0; a < 64; a++) {
        for (uint32_t b = 0; b < 64; b++) {
            for (uint32_t c = 0; c < 64; c++) {
                digests[next++] = digest_step(DIGEST_START, a, b, c, 0, NULL, 0);
            }
        }
    }
    expect_all_different(digests, COUNT);
    free(digests);
}

/* A zero factor would forget the rest of the state; the words to reach it are the constants. */
Test(digest, constants_as_input_do_not_erase_history)
{
    const uint64_t roots[] = {UINT64_C(0x6a09e667f3bcc908), UINT64_C(0xbb67ae8584caa73b),
                              UINT64_C(0x3c6ef372fe94f82b), UINT64_C(0xa54ff53a5f1d36f1),
                              UINT64_C(0x510e527fade682d1), UINT64_C(0x9b05688c2b3e6c1f),
                              UINT64_C(0x1f83d9abfb41bd6b), UINT64_C(0x5be0cd19137e2179)};
    for (size_t len = 8; len <= 128; len += 8) {
        for (size_t i = 0; i < array_len(roots); i++) {
            struct input input = {.chain = 1, .len = len};
            for (size_t at = 0; at < len; at += 8) {
                memcpy(input.bytes + at, &roots[i], 8);
            }
            uint64_t digest = step(&input);
            input.chain = 2;
            cr_assert_neq(step(&input), digest, "root %zu, %zu bytes", i, len);
        }
    }
}

Test(digest, alignment_of_the_bytes_does_not_matter)
{
    struct rng rng;
    rng_seed(&rng, 5);
    for (size_t len = 0; len < 200; len++) {
        struct input input = input_random(&rng, len);
        uint8_t moved[BYTES_MAX + 8];
        for (size_t offset = 0; offset < 8; offset++) {
            memcpy(moved + offset, input.bytes, len);
            cr_assert_eq(step(&input),
                         digest_step(input.chain, input.time_us, input.source, input.sequence,
                                     input.kind, moved + offset, len));
        }
    }
}

Test(digest, combination_sees_order_count_and_every_chain)
{
    uint64_t chains[100];
    for (size_t i = 0; i < array_len(chains); i++) {
        chains[i] = DIGEST_START;
    }
    uint64_t combined = digest_combine(chains, array_len(chains));
    cr_assert_neq(combined, digest_combine(chains, array_len(chains) - 1));
    uint64_t digests[100];
    for (size_t i = 0; i < array_len(chains); i++) {
        chains[i] ^= 1;
        digests[i] = digest_combine(chains, array_len(chains));
        cr_assert_neq(digests[i], combined);
        chains[i] ^= 1;
    }
    expect_all_different(digests, array_len(digests));
    cr_assert_eq(combined, digest_combine(chains, array_len(chains)));
    cr_assert_neq(digest_combine(NULL, 0), DIGEST_START);
}
