/* test_rng.c - the generators against published values, and the independence of streams. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/base/rng.h"
#include "node/base/slice.h"

/* The first outputs of splitmix64.c (Vigna, public domain, 2015) for the seed 1234567. */
Test(rng, seeding_is_splitmix64)
{
    struct rng rng;
    rng_seed(&rng, 1234567);
    cr_expect_eq(rng.state[0], UINT64_C(6457827717110365317));
    cr_expect_eq(rng.state[1], UINT64_C(3203168211198807973));
    cr_expect_eq(rng.state[2], UINT64_C(9817491932198370423));
    cr_expect_eq(rng.state[3], UINT64_C(4593380528125082431));
}

/* The first outputs of xoshiro256starstar.c (Blackman & Vigna, 2018) for the state 1, 2, 3, 4, as
 * other implementations of it test themselves. */
Test(rng, the_generator_is_xoshiro256_star_star)
{
    static const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
        UINT64_C(1216172134540287360),
        UINT64_C(607988272756665600),
        UINT64_C(16172922978634559625),
        UINT64_C(8476171486693032832),
        UINT64_C(10595114339597558777),
        UINT64_C(2904607092377533576),
    };
    struct rng rng = {.state = {1, 2, 3, 4}};
    for (size_t i = 0; i < array_len(expected); i++) {
        cr_expect_eq(rng_next(&rng), expected[i], "output %zu", i);
    }
}

Test(rng, streams_differ_in_seed_purpose_and_each_owner)
{
    uint64_t seeds[] = {
        rng_stream_seed(1, "link", 2, 3), rng_stream_seed(2, "link", 2, 3),
        rng_stream_seed(1, "loss", 2, 3), rng_stream_seed(1, "link", 3, 2),
        rng_stream_seed(1, "link", 2, 4), rng_stream_seed(1, "link", 0, 3),
        rng_stream_seed(1, "", 2, 3),     rng_stream_seed(1, "links", 2, 3),
        rng_stream_seed(0, "link", 2, 3), rng_stream_seed(1, "link", 3, 3),
    };
    for (size_t i = 0; i < array_len(seeds); i++) {
        for (size_t k = i + 1; k < array_len(seeds); k++) {
            cr_expect_neq(seeds[i], seeds[k], "streams %zu and %zu", i, k);
        }
    }
}

/* Streams of neighbouring owners agree bit for bit as often as coins do. */
Test(rng, streams_of_neighbours_are_uncorrelated)
{
    enum { STREAMS = 64, DRAWS = 100 };
    for (uint64_t owner = 0; owner < STREAMS; owner++) {
        struct rng one;
        struct rng next;
        rng_stream(&one, 5, "node", owner, 0);
        rng_stream(&next, 5, "node", owner + 1, 0);
        int equal_bits = 0;
        for (int i = 0; i < DRAWS; i++) {
            equal_bits += 64 - __builtin_popcountll(rng_next(&one) ^ rng_next(&next));
        }
        /* 6400 coins: mean 3200, standard deviation 40; five of them. */
        cr_expect(equal_bits > 3000 && equal_bits < 3400, "owner %d: %d", (int)owner, equal_bits);
    }
}

Test(rng, below_stays_below_and_reaches_every_value)
{
    struct rng rng;
    rng_seed(&rng, 3);
    uint32_t histogram[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint64_t value = rng_below(&rng, 7);
        cr_assert_lt(value, 7);
        histogram[value]++;
    }
    for (int i = 0; i < 7; i++) {
        /* 10,000 expected, standard deviation 93; five of them. */
        cr_expect(histogram[i] > 9535 && histogram[i] < 10465, "%d: %u", i, histogram[i]);
    }
    cr_assert_eq(rng_below(&rng, 0), 0);
    cr_assert_eq(rng_below(&rng, 1), 0);
}

Test(rng, a_chance_comes_as_often_as_it_says)
{
    struct rng rng;
    rng_seed(&rng, 4);
    int came = 0;
    for (int i = 0; i < 100000; i++) {
        came += rng_chance(&rng, UINT32_MAX / 20);
        cr_assert_not(rng_chance(&rng, 0));
    }
    /* 5,000 expected, standard deviation 69. */
    cr_assert(came > 4655 && came < 5345, "%d", came);
}
