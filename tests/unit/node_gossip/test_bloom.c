/* test_bloom.c - the Bloom filter keeps its promise of one per cent. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node/base/rng.h"
#include "node/gossip/bloom.h"
#include "node/wire/message.h"

static double false_positives(uint32_t items, uint64_t stride, uint32_t filters)
{
    uint32_t wrong = 0;
    uint32_t asked = 0;
    struct rng rng;
    rng_seed(&rng, items);
    for (uint32_t filter = 0; filter < filters; filter++) {
        uint8_t bytes[MESSAGE_BLOOM_MAX] = {0};
        size_t len = bloom_len(items);
        cr_assert_leq(len, sizeof bytes);
        uint32_t salt = (uint32_t)rng_next(&rng);
        uint64_t base = rng_next(&rng);
        for (uint64_t i = 0; i < items; i++) {
            bloom_add(bytes, len, BLOOM_HASHES, salt, base + i * stride);
        }
        for (uint64_t i = 0; i < items; i++) {
            cr_assert(bloom_has(slice_of(bytes, len), BLOOM_HASHES, salt, base + i * stride));
        }
        for (uint64_t i = 0; i < 2000; i++) {
            wrong +=
                bloom_has(slice_of(bytes, len), BLOOM_HASHES, salt, base + (items + i) * stride);
            asked++;
        }
    }
    double rate = (double)wrong / asked;
    fprintf(stderr, "%u items, %zu bytes: %.3f %% false positives\n", items, bloom_len(items),
            100 * rate);
    return rate;
}

Test(bloom, one_in_a_hundred_is_a_false_positive_at_nominal_fill)
{
    static const uint32_t sizes[] = {20, 85, 150, 333};
    for (size_t i = 0; i < array_len(sizes); i++) {
        double spread = false_positives(sizes[i], UINT64_C(0x9e3779b97f4a7c15), 100);
        cr_expect(spread > 0.005 && spread < 0.015, "%u items: %f", sizes[i], spread);
        double dense = false_positives(sizes[i], 1, 100);
        cr_expect(dense > 0.005 && dense < 0.015, "%u consecutive items: %f", sizes[i], dense);
    }
}

Test(bloom, the_rate_holds_at_the_fill_that_fits_one_message)
{
    /* 333 of the 335 that would fit: the comment at MESSAGE_BLOOM_MAX. */
    cr_assert_eq(bloom_len(333), MESSAGE_BLOOM_MAX);
    cr_assert_leq(bloom_len(1), 2);
    cr_assert_eq(bloom_len(0), 0);
}

Test(bloom, what_one_salt_hides_the_next_shows)
{
    enum { ITEMS = 100, ASKED = 100000 };
    uint8_t bytes[2][MESSAGE_BLOOM_MAX] = {{0}};
    size_t len = bloom_len(ITEMS);
    for (uint64_t i = 0; i < ITEMS; i++) {
        bloom_add(bytes[0], len, BLOOM_HASHES, 1, i);
        bloom_add(bytes[1], len, BLOOM_HASHES, 2, i);
    }
    uint32_t hidden = 0;
    uint32_t hidden_twice = 0;
    for (uint64_t i = ITEMS; i < ASKED; i++) {
        if (bloom_has(slice_of(bytes[0], len), BLOOM_HASHES, 1, i)) {
            hidden++;
            hidden_twice += bloom_has(slice_of(bytes[1], len), BLOOM_HASHES, 2, i);
        }
    }
    cr_assert_gt(hidden, 500);
    /* One per cent of about 1,000 again, were they independent; dependent ones would all be there.
     */
    cr_assert_lt(hidden_twice, 40, "%u of %u", hidden_twice, hidden);
}

Test(bloom, an_empty_filter_knows_nobody)
{
    cr_assert_not(bloom_has(slice_of(NULL, 0), BLOOM_HASHES, 1, 1));
}
