/* test_dist_residual.c - the rest of a life, against the formulas of renewal theory. */
#include <signal.h>

#include <criterion/criterion.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_math.h>
#include <gsl/gsl_sf_gamma.h>
#include <math.h>

#include "node/base/slice.h"
#include "sim/engine/dist.h"

static struct dist filled(const struct dist_spec *spec)
{
    struct dist dist;
    cr_assert_eq(dist_fill(&dist, spec), ERR_OK);
    return dist;
}

static struct dist residual(const struct dist *life)
{
    struct dist dist;
    cr_assert_eq(dist_residual_fill(&dist, life), ERR_OK);
    return dist;
}

Test(dist_residual, an_exponential_life_does_not_age)
{
    struct dist life = filled(&(struct dist_spec){.kind = DIST_EXPONENTIAL, .mean = 60e6});
    struct dist rest = residual(&life);
    cr_assert_float_eq(dist_mean(&rest) / 60e6, 1, 1e-3);
    for (double share = 1e-6; share < 1; share = share < 0.05 ? share * 3 : share + 0.01) {
        double expected = -60e6 * log1p(-share);
        cr_assert_float_eq((double)dist_quantile(&rest, share), expected, 2 + 1e-3 * expected,
                           "share %g", share);
    }
    double far = (double)dist_at(&rest, UINT64_MAX - (UINT64_C(1) << 34)); /* 2^-30 above. */
    cr_assert_float_eq(far / (60e6 * 30 * M_LN2), 1, 1e-3);
}

Test(dist_residual, a_constant_life_is_seen_at_any_age)
{
    struct dist life = filled(&(struct dist_spec){.kind = DIST_CONSTANT, .value = 1000000});
    struct dist rest = residual(&life);
    for (double share = 0; share < 1; share += 1.0 / 64) {
        cr_assert_eq(dist_quantile(&rest, share), (uint64_t)floor(share * 1000000 + 0.5));
    }
    cr_assert_eq(dist_at(&rest, UINT64_MAX), 1000000);
    cr_assert_float_eq(dist_mean(&rest), 500000, 1);
}

Test(dist_residual, heavy_weibull_sessions_follow_the_incomplete_gamma_function)
{
    const double scale = 3.66 * 3600e6;
    const double shape = 0.608;
    struct dist life =
        filled(&(struct dist_spec){.kind = DIST_WEIBULL, .scale = scale, .shape = shape});
    struct dist rest = residual(&life);
    double mean = scale * gsl_sf_gamma(1 + 1 / shape);
    double square = scale * scale * gsl_sf_gamma(1 + 2 / shape);
    cr_assert_float_eq(dist_mean(&life) / mean, 1, 0.01);
    cr_assert_float_eq(dist_mean(&rest) / (square / (2 * mean)), 1, 0.01);
    cr_assert_gt(dist_mean(&rest), 1.9 * dist_mean(&life), "old nodes stay");
    for (double share = 1e-5; share < 0.99999; share += share < 0.01 ? share : 0.0099) {
        double value = (double)dist_quantile(&rest, share);
        double reached = gsl_cdf_gamma_P(pow(value / scale, shape), 1 / shape, 1);
        cr_assert_float_eq(reached, share, 1e-4, "share %g", share);
    }
    double far = (double)dist_quantile(&rest, 0.9999);
    double left = gsl_cdf_gamma_Q(pow(far / scale, shape), 1 / shape, 1);
    cr_assert_float_eq(left, 1e-4, 1e-6);
}

/* Looks at an alternating process of many lives at fixed moments, as a run's start does. */
Test(dist_residual, population_looked_at_anytime_has_it)
{
    struct dist life =
        filled(&(struct dist_spec){.kind = DIST_LOGNORMAL, .median = 10000, .sigma = 1});
    struct dist rest = residual(&life);
    struct rng rng;
    rng_seed(&rng, 1);
    const size_t looks = 100000;
    const double shares[] = {0.1, 0.5, 0.9, 0.99};
    size_t counts[array_len(shares)] = {0};
    uint64_t end = 0;
    for (size_t i = 0; i < looks; i++) {
        uint64_t look = 1000000 + i * 200000; /* Several lives apart, so nearly independent. */
        while (end <= look) {
            end += dist_draw(&life, &rng);
        }
        for (size_t k = 0; k < array_len(shares); k++) {
            counts[k] += end - look <= dist_quantile(&rest, shares[k]);
        }
    }
    for (size_t k = 0; k < array_len(shares); k++) {
        double deviation = sqrt(shares[k] * (1 - shares[k]) / (double)looks);
        cr_expect_float_eq((double)counts[k] / (double)looks, shares[k], 4 * deviation,
                           "share %.2f", shares[k]);
    }
}

Test(dist_residual, ranks_and_lives_of_no_length_have_none)
{
    struct dist zipf = filled(&(struct dist_spec){.kind = DIST_ZIPF, .s = 1, .n = 10});
    struct dist nothing = filled(&(struct dist_spec){.kind = DIST_CONSTANT, .value = 0});
    struct dist rest;
    cr_assert_eq(dist_residual_fill(&rest, &zipf), ERR_INVALID);
    cr_assert_eq(dist_residual_fill(&rest, &nothing), ERR_INVALID);
    dist_close(&zipf);
}
