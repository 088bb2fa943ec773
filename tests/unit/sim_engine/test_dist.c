/* test_dist.c - tables follow their formulas, into the tails, and are the same on every machine. */
#include <signal.h>

#include <criterion/criterion.h>
#include <float.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_math.h>
#include <gsl/gsl_sf_gamma.h>
#include <inttypes.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "node/base/slice.h"
#include "sim/engine/dist.h"

#define DRAWS 200000

/* Churn of IPFS and Kad in us, latencies, jitter, message sizes: what scenarios will use. */
static const struct dist_spec specs[] = {
    {.kind = DIST_WEIBULL, .scale = 3.66 * 3600e6, .shape = 0.608},
    {.kind = DIST_WEIBULL, .scale = 413.7 * 60e6, .shape = 0.47648},
    {.kind = DIST_WEIBULL, .scale = 50000, .shape = 2},
    {.kind = DIST_EXPONENTIAL, .mean = 18 * 60e6},
    {.kind = DIST_EXPONENTIAL, .mean = 50000},
    {.kind = DIST_LOGNORMAL, .median = 139770, .sigma = 0.82},
    {.kind = DIST_LOGNORMAL, .median = 65536, .sigma = 0.2},
    {.kind = DIST_PARETO, .scale = 60e6, .shape = 1.5},
    {.kind = DIST_PARETO, .scale = 1e6, .shape = 3},
    {.kind = DIST_NORMAL, .mean = 100000, .sigma = 20000},
    {.kind = DIST_NORMAL, .mean = 1000, .sigma = 5000},
    {.kind = DIST_UNIFORM, .min = 1000, .max = 500000},
};

static double normal_cdf(const struct dist_spec *spec, double value)
{
    double negative = gsl_cdf_gaussian_P(-spec->mean, spec->sigma);
    return (gsl_cdf_gaussian_P(value - spec->mean, spec->sigma) - negative) / (1 - negative);
}

/* P(X <= value) by the formula. */
static double cdf(const struct dist_spec *spec, double value)
{
    switch (spec->kind) {
    case DIST_WEIBULL:
        return gsl_cdf_weibull_P(value, spec->scale, spec->shape);
    case DIST_EXPONENTIAL:
        return gsl_cdf_exponential_P(value, spec->mean);
    case DIST_LOGNORMAL:
        return gsl_cdf_lognormal_P(value, log(spec->median), spec->sigma);
    case DIST_PARETO:
        return gsl_cdf_pareto_P(value, spec->shape, spec->scale);
    case DIST_NORMAL:
        return normal_cdf(spec, value);
    default:
        return gsl_cdf_flat_P(value, spec->min, spec->max);
    }
}

/* P(X > value), with all its digits in the tail. */
static double survival(const struct dist_spec *spec, double value)
{
    switch (spec->kind) {
    case DIST_WEIBULL:
        return gsl_cdf_weibull_Q(value, spec->scale, spec->shape);
    case DIST_EXPONENTIAL:
        return gsl_cdf_exponential_Q(value, spec->mean);
    case DIST_LOGNORMAL:
        return gsl_cdf_lognormal_Q(value, log(spec->median), spec->sigma);
    case DIST_PARETO:
        return gsl_cdf_pareto_Q(value, spec->shape, spec->scale);
    case DIST_NORMAL:
        return gsl_cdf_gaussian_Q(value - spec->mean, spec->sigma) /
               gsl_cdf_gaussian_Q(-spec->mean, spec->sigma);
    default:
        return gsl_cdf_flat_Q(value, spec->min, spec->max);
    }
}

static double mean_of(const struct dist_spec *spec)
{
    switch (spec->kind) {
    case DIST_WEIBULL:
        return spec->scale * gsl_sf_gamma(1 + 1 / spec->shape);
    case DIST_LOGNORMAL:
        return spec->median * exp(spec->sigma * spec->sigma / 2);
    case DIST_PARETO:
        return spec->scale * spec->shape / (spec->shape - 1);
    case DIST_NORMAL: {
        double start = -spec->mean / spec->sigma;
        double density = exp(-start * start / 2) / sqrt(2 * M_PI);
        return spec->mean + spec->sigma * density / gsl_cdf_ugaussian_Q(start);
    }
    case DIST_UNIFORM:
        return (spec->min + spec->max) / 2;
    default:
        return spec->mean;
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static struct dist filled(const struct dist_spec *spec)
{
    struct dist dist;
    cr_assert_eq(dist_fill(&dist, spec), ERR_OK);
    return dist;
}

Test(dist, draws_follow_the_formula)
{
    static uint64_t draws[DRAWS];
    for (size_t i = 0; i < array_len(specs); i++) {
        struct dist dist = filled(&specs[i]);
        struct rng rng;
        rng_seed(&rng, i);
        for (size_t k = 0; k < DRAWS; k++) {
            draws[k] = dist_draw(&dist, &rng);
        }
        qsort(draws, DRAWS, sizeof *draws, compare);
        double distance = 0;
        for (size_t k = 0; k < DRAWS; k++) {
            /* A whole number stands for everything that rounds to it. */
            double above = (double)(k + 1) / DRAWS - cdf(&specs[i], (double)draws[k] + 0.5);
            double below = cdf(&specs[i], fmax((double)draws[k] - 0.5, 0)) - (double)k / DRAWS;
            distance = fmax(distance, fmax(above, below));
        }
        /* Kolmogorov's 99.9 % quantile is 1.95 / sqrt(n). */
        cr_expect_lt(distance, 1.95 / sqrt(DRAWS), "distribution %zu: %.5f", i, distance);
    }
}

Test(dist, quantiles_are_exact_into_both_tails)
{
    for (size_t i = 0; i < array_len(specs); i++) {
        struct dist dist = filled(&specs[i]);
        for (double share = 0.3; share > 1e-12; share /= 1.7) {
            uint64_t word = (uint64_t)ldexp(share, 64);
            double low = (double)dist_at(&dist, word);
            double high = (double)dist_at(&dist, ~word);
            /* Within a step of the grid of whole numbers and 20 bits, or 1 in 1000 of the share. */
            double tolerance = 1e-3 * share;
            double step = fmax(1, low * 0x1p-20);
            cr_expect(cdf(&specs[i], fmax(low - step, 0)) <= share + tolerance &&
                          cdf(&specs[i], low + step) >= share - tolerance,
                      "distribution %zu, lower share %g: %.0f", i, share, low);
            step = fmax(1, high * 0x1p-20);
            cr_expect(survival(&specs[i], high + step) <= share + tolerance &&
                          survival(&specs[i], high - step) >= share - tolerance,
                      "distribution %zu, upper share %g: %.0f", i, share, high);
        }
    }
}

Test(dist, means_are_those_of_the_formulas)
{
    for (size_t i = 0; i < array_len(specs); i++) {
        struct dist dist = filled(&specs[i]);
        double expected = mean_of(&specs[i]);
        cr_expect_float_eq(dist_mean(&dist) / expected, 1, 1e-3, "distribution %zu: %f for %f", i,
                           dist_mean(&dist), expected);
    }
}

Test(dist, mean_of_many_draws_is_the_mean_of_the_table)
{
    struct dist dist = filled(&specs[0]);
    struct rng rng;
    rng_seed(&rng, 11);
    double sum = 0;
    double squares = 0;
    const size_t count = 2000000;
    for (size_t i = 0; i < count; i++) {
        double value = (double)dist_draw(&dist, &rng);
        sum += value;
        squares += value * value;
    }
    double mean = sum / (double)count;
    double error = sqrt((squares / (double)count - mean * mean) / (double)count);
    cr_assert_lt(fabs(mean - dist_mean(&dist)), 3 * error);
    cr_assert_float_eq(mean / mean_of(&specs[0]), 1, 0.01);
}

Test(dist, far_quantiles_are_those_of_the_formulas)
{
    struct dist session = filled(&specs[0]);
    double expected = 3.66 * 3600e6 * pow(-log(1e-4), 1 / 0.608);
    cr_assert_float_eq((double)dist_quantile(&session, 0.9999) / expected, 1, 1e-3);
    struct dist latency = filled(&specs[5]);
    expected = 139770 * exp(0.82 * gsl_cdf_ugaussian_Pinv(0.9999));
    cr_assert_float_eq((double)dist_quantile(&latency, 0.9999) / expected, 1, 1e-3);
    cr_assert_eq(dist_quantile(&latency, 0.5), 139770);
}

Test(dist, never_decreases)
{
    static uint64_t words[100000];
    struct rng rng;
    rng_seed(&rng, 12);
    for (size_t i = 0; i < array_len(words); i++) {
        /* Half of them spread over the tails by magnitude. */
        words[i] = rng_next(&rng) >> (i % 2 == 0 ? 0 : rng_below(&rng, 64));
        words[i] = i % 4 == 1 ? ~words[i] : words[i];
    }
    qsort(words, array_len(words), sizeof *words, compare);
    for (size_t i = 0; i < array_len(specs); i++) {
        struct dist dist = filled(&specs[i]);
        for (size_t k = 1; k < array_len(words); k++) {
            cr_assert_leq(dist_at(&dist, words[k - 1]), dist_at(&dist, words[k]));
        }
    }
}

Test(dist, draw_takes_exactly_one_word)
{
    struct dist weibull = filled(&specs[0]);
    struct dist zipf = filled(&(struct dist_spec){.kind = DIST_ZIPF, .s = 0.9, .n = 1000});
    struct rng rng;
    rng_seed(&rng, 13);
    struct rng copy = rng;
    for (size_t i = 0; i < 100000; i++) {
        dist_draw(i % 2 == 0 ? &weibull : &zipf, &rng);
        rng_next(&copy);
    }
    cr_assert_arr_eq(rng.state, copy.state, sizeof rng.state);
    dist_close(&zipf);
}

Test(dist, constants_and_bounds_are_exact)
{
    struct dist dist = filled(&(struct dist_spec){.kind = DIST_CONSTANT, .value = 1234567890123});
    cr_assert_eq(dist_at(&dist, 0), 1234567890123);
    cr_assert_eq(dist_at(&dist, UINT64_C(1) << 63), 1234567890123);
    cr_assert_eq(dist_at(&dist, UINT64_MAX), 1234567890123);
    cr_assert_eq(dist_mean(&dist), 1234567890123);
    dist = filled(&(struct dist_spec){.kind = DIST_UNIFORM, .min = 123456789, .max = 987654321});
    cr_assert_eq(dist_at(&dist, 0), 123456789);
    cr_assert_eq(dist_at(&dist, UINT64_MAX), 987654321);
    dist = filled(&(struct dist_spec){.kind = DIST_PARETO, .scale = 700, .shape = 0.01});
    cr_assert_eq(dist_at(&dist, 0), 700);
    cr_assert_eq(dist_at(&dist, UINT64_MAX), DIST_VALUE_MAX);
    dist = filled(&(struct dist_spec){.kind = DIST_LOGNORMAL, .median = 500, .sigma = 0});
    cr_assert_eq(dist_at(&dist, 0), 500);
    cr_assert_eq(dist_at(&dist, UINT64_MAX), 500);
    dist = filled(&(struct dist_spec){.kind = DIST_NORMAL, .mean = 500, .sigma = 0});
    cr_assert_eq(dist_at(&dist, 0), 500);
    cr_assert_eq(dist_at(&dist, UINT64_MAX), 500);
}

Test(dist, ranks_come_as_often_as_zipf_says)
{
    static uint32_t counts[1001];
    const struct dist_spec zipfs[] = {{.kind = DIST_ZIPF, .s = 0.9, .n = 1000},
                                      {.kind = DIST_ZIPF, .s = 2, .n = 1000},
                                      {.kind = DIST_ZIPF, .s = 0, .n = 7}};
    for (size_t i = 0; i < array_len(zipfs); i++) {
        struct dist dist = filled(&zipfs[i]);
        uint32_t n = zipfs[i].n;
        struct rng rng;
        rng_seed(&rng, 14);
        memset(counts, 0, sizeof counts);
        for (size_t k = 0; k < DRAWS; k++) {
            uint64_t rank = dist_draw(&dist, &rng);
            cr_assert(rank >= 1 && rank <= n);
            counts[rank]++;
        }
        double total = 0;
        double mean = 0;
        for (uint32_t k = 1; k <= n; k++) {
            total += pow(k, -zipfs[i].s);
            mean += k * pow(k, -zipfs[i].s);
        }
        cr_expect_float_eq(dist_mean(&dist) / (mean / total), 1, 1e-5);
        double chi_squared = 0;
        for (uint32_t k = 1; k <= n; k++) {
            double expected = DRAWS * pow(k, -zipfs[i].s) / total;
            chi_squared += (counts[k] - expected) * (counts[k] - expected) / expected;
        }
        cr_expect_lt(chi_squared, gsl_cdf_chisq_Qinv(1e-3, n - 1), "s = %.1f", zipfs[i].s);
        cr_expect_eq(dist_at(&dist, 0), 1);
        cr_expect_eq(dist_at(&dist, UINT64_MAX), n);
        dist_close(&dist);
    }
}

Test(dist, guide_of_the_ranks_agrees_with_a_plain_search)
{
    struct dist dist = filled(&(struct dist_spec){.kind = DIST_ZIPF, .s = 1.1, .n = 300000});
    uint32_t rank = 1;
    for (uint64_t word = 0; word < UINT64_MAX - (UINT64_C(1) << 45); word += UINT64_C(1) << 45) {
        while (rank < dist.ranks->count && dist.ranks->shares[rank - 1] <= word) {
            rank++;
        }
        cr_assert_eq(dist_at(&dist, word), rank, "word %" PRIx64, word);
    }
    dist_close(&dist);
}

Test(dist, samples_are_reproduced)
{
    const uint64_t samples[] = {10, 20, 20, 40, 1000000};
    struct dist_spec spec = {
        .kind = DIST_EMPIRICAL, .samples = samples, .sample_count = array_len(samples)};
    struct dist dist = filled(&spec);
    cr_assert_eq(dist_at(&dist, 0), 10);
    cr_assert_eq(dist_quantile(&dist, 0.125), 15);
    cr_assert_eq(dist_quantile(&dist, 0.25), 20);
    cr_assert_eq(dist_quantile(&dist, 0.375), 20);
    cr_assert_eq(dist_quantile(&dist, 0.75), 40);
    cr_assert_eq(dist_quantile(&dist, 0.875), 500020);
    cr_assert_eq(dist_at(&dist, UINT64_MAX), 1000000);
    spec.sample_count = 1;
    dist = filled(&spec);
    cr_assert_eq(dist_at(&dist, 0), 10);
    cr_assert_eq(dist_at(&dist, UINT64_MAX), 10);
}

Test(dist, nonsense_is_refused)
{
    const uint64_t falling[] = {2, 1};
    const struct dist_spec bad[] = {
        {.kind = DIST_CONSTANT, .value = -1},
        {.kind = DIST_CONSTANT, .value = NAN},
        {.kind = DIST_CONSTANT, .value = 1e16},
        {.kind = DIST_UNIFORM, .min = 2, .max = 1},
        {.kind = DIST_UNIFORM, .min = -1, .max = 1},
        {.kind = DIST_EXPONENTIAL, .mean = 0},
        {.kind = DIST_EXPONENTIAL, .mean = INFINITY},
        {.kind = DIST_NORMAL, .mean = -1, .sigma = 1},
        {.kind = DIST_NORMAL, .mean = 1, .sigma = -1},
        {.kind = DIST_LOGNORMAL, .median = 0, .sigma = 1},
        {.kind = DIST_LOGNORMAL, .median = 1, .sigma = NAN},
        {.kind = DIST_WEIBULL, .scale = 1, .shape = 0},
        {.kind = DIST_PARETO, .scale = 0, .shape = 1},
        {.kind = DIST_ZIPF, .s = 1, .n = 0},
        {.kind = DIST_ZIPF, .s = 1, .n = DIST_RANKS_MAX + 1},
        {.kind = DIST_ZIPF, .s = -1, .n = 10},
        {.kind = DIST_EMPIRICAL, .samples = falling, .sample_count = 2},
        {.kind = DIST_EMPIRICAL, .samples = falling, .sample_count = 0},
        {.kind = DIST_EMPIRICAL + 1},
    };
    for (size_t i = 0; i < array_len(bad); i++) {
        struct dist dist;
        cr_expect_eq(dist_fill(&dist, &bad[i]), ERR_INVALID, "description %zu", i);
        cr_expect_eq(dist_at(&dist, UINT64_MAX), 0);
    }
}

Test(dist, rounding_ignores_the_last_bits_of_a_double)
{
    struct rng rng;
    rng_seed(&rng, 15);
    for (size_t i = 0; i < 1000000; i++) {
        double value =
            ldexp(1 + ldexp((double)(rng_next(&rng) >> 12), -52), (int)rng_below(&rng, 53));
        uint64_t rounded = dist_quantise(value);
        cr_assert_eq(dist_quantise(value * (1 + 4 * DBL_EPSILON)), rounded, "%a", value);
        cr_assert_eq(dist_quantise(value * (1 - 4 * DBL_EPSILON)), rounded, "%a", value);
        cr_assert_leq(fabs((double)rounded - value), fmax(0.5, value * 0x1p-20));
    }
    cr_assert_eq(dist_quantise(0.49), 0);
    cr_assert_eq(dist_quantise(0.5), 1);
    cr_assert_eq(dist_quantise(1048575), 1048575);
    cr_assert_eq(dist_quantise(-1), 0);
    cr_assert_eq(dist_quantise(NAN), 0);
    cr_assert_eq(dist_quantise(INFINITY), DIST_VALUE_MAX);
}

static uint64_t specs_hash(void)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < array_len(specs); i++) {
        struct dist dist = filled(&specs[i]);
        struct dist residual;
        cr_assert_eq(dist_residual_fill(&residual, &dist), ERR_OK);
        hash = rng_mix(hash ^ dist_hash(&dist));
        hash = rng_mix(hash ^ dist_hash(&residual));
    }
    struct dist zipf = filled(&(struct dist_spec){.kind = DIST_ZIPF, .s = 0.9, .n = 100000});
    hash = rng_mix(hash ^ dist_hash(&zipf));
    dist_close(&zipf);
    return hash;
}

Test(dist, hash_tells_tables_apart)
{
    uint64_t hashes[array_len(specs)];
    for (size_t i = 0; i < array_len(specs); i++) {
        struct dist dist = filled(&specs[i]);
        hashes[i] = dist_hash(&dist);
        struct dist again = filled(&specs[i]);
        cr_assert_eq(dist_hash(&again), hashes[i]);
        for (size_t k = 0; k < i; k++) {
            cr_assert_neq(hashes[i], hashes[k]);
        }
    }
}

/* Runs itself again under a libm that may not use fused multiply-add; there it finds the hash it
 * has to reach in its environment. */
Test(dist, tables_are_the_same_without_fused_multiply_add)
{
    uint64_t hash = specs_hash();
    const char *expected = getenv("DIST_HASH_EXPECTED");
    if (expected != NULL) {
        cr_assert_eq(hash, strtoull(expected, NULL, 16), "%016" PRIx64 " for %s", hash, expected);
        return;
    }
    char name[64];
    snprintf(name, sizeof name, "DIST_HASH_EXPECTED=%016" PRIx64, hash);
    char tunables[] = "GLIBC_TUNABLES=glibc.cpu.hwcaps="
                      "-AVX2_Usable,-FMA_Usable,-FMA4_Usable,-AVX2,-FMA,-FMA4,-AVX512F";
    char program[] = "/proc/self/exe";
    char filter[] = "--filter=dist/tables_are_the_same_without_fused_multiply_add";
    char quiet[] = "--quiet";
    char *arguments[] = {program, filter, quiet, NULL};
    char *environment[] = {tunables, name, NULL};
    pid_t child;
    cr_assert_eq(posix_spawn(&child, program, NULL, NULL, arguments, environment), 0);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "another table without FMA");
}

/* Reached by gcc and clang, optimised or not: whatever changes it changes every run's digest. */
Test(dist, tables_are_those_of_the_first_day)
{
    cr_assert_eq(specs_hash(), UINT64_C(0x8a7741c018d56816), "%016" PRIx64, specs_hash());
}
