/* dist.c - filling tables from descriptions; ranks. */
#include "sim/engine/dist.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/engine/digest.h"
#include "sim/engine/dist_knots.h"

/* See "Why every machine fills the same table" in dist.h. */
#define QUANTISE_BITS   20
/* Unbounded distributions end at the quantile above which this probability lies. */
#define ABOVE_MIN       0x1p-53
/* Weights of ranks sum up to less than 2^62, so that a sum shifted by 64 bits fits 128. */
#define WEIGHT_SUM_BITS 62
#define WEIGHT_BITS_MAX 52
#define GUIDE_BITS      10
#define GUIDES          (1u << GUIDE_BITS)

_Static_assert(sizeof((struct dist_ranks *)0)->guide / sizeof(uint32_t) == GUIDES + 1,
               "the guide has a start for each part and an end");

static bool spec_is_valid(const struct dist_spec *spec);
static bool samples_are_valid(const struct dist_spec *spec);
static bool is_computed(enum dist_kind kind);
static double quantile(const struct dist_spec *spec, double below, double above);
static double quantile_exact(const struct dist_spec *spec, double below, double above);
static double quantile_normal(const struct dist_spec *spec, double below, double above);
static double quantile_sample(const struct dist_spec *spec, double below, double above);
static int ranks_fill(struct dist *dist, const struct dist_spec *spec);
static void ranks_weigh(uint64_t *sums, const struct dist_spec *spec);
static uint32_t rank_find(const struct dist_ranks *ranks, uint64_t word, uint32_t from,
                          uint32_t to);

int dist_fill(struct dist *dist, const struct dist_spec *spec)
{
    memset(dist, 0, sizeof *dist);
    if (!spec_is_valid(spec)) {
        return ERR_INVALID;
    }
    if (spec->kind == DIST_ZIPF) {
        return ranks_fill(dist, spec);
    }
    struct dist_knot knots[DIST_KNOTS];
    dist_knots_place(knots);
    for (size_t i = 0; i < DIST_KNOTS; i++) {
        struct dist_knot *knot = &knots[i];
        if (is_computed(spec->kind)) {
            double above = knot->above < ABOVE_MIN ? ABOVE_MIN : knot->above;
            knot->value = dist_quantise(quantile(spec, knot->below, above));
        } else {
            knot->value = dist_round(quantile_exact(spec, knot->below, knot->above));
        }
    }
    dist_knots_store(dist, knots);
    return ERR_OK;
}

/* Comparisons are written so that NaN fails them. */
static bool spec_is_valid(const struct dist_spec *spec)
{
    const double max = (double)DIST_VALUE_MAX;
    switch (spec->kind) {
    case DIST_CONSTANT:
        return spec->value >= 0 && spec->value <= max;
    case DIST_UNIFORM:
        return spec->min >= 0 && spec->min <= spec->max && spec->max <= max;
    case DIST_EXPONENTIAL:
        return spec->mean > 0 && spec->mean <= max;
    case DIST_NORMAL:
        return spec->mean >= 0 && spec->mean <= max && spec->sigma >= 0 && spec->sigma <= max;
    case DIST_LOGNORMAL:
        return spec->median > 0 && spec->median <= max && spec->sigma >= 0 && isfinite(spec->sigma);
    case DIST_WEIBULL:
    case DIST_PARETO:
        return spec->scale > 0 && spec->scale <= max && spec->shape > 0 && isfinite(spec->shape);
    case DIST_ZIPF:
        return spec->s >= 0 && isfinite(spec->s) && spec->n >= 1 && spec->n <= DIST_RANKS_MAX;
    case DIST_EMPIRICAL:
        return samples_are_valid(spec);
    }
    return false;
}

static bool samples_are_valid(const struct dist_spec *spec)
{
    if (spec->samples == NULL || spec->sample_count == 0) {
        return false;
    }
    for (size_t i = 1; i < spec->sample_count; i++) {
        if (spec->samples[i] < spec->samples[i - 1]) {
            return false;
        }
    }
    return spec->samples[spec->sample_count - 1] <= DIST_VALUE_MAX;
}

/* Whether libm takes part in the quantiles. */
static bool is_computed(enum dist_kind kind)
{
    return kind != DIST_CONSTANT && kind != DIST_UNIFORM && kind != DIST_EMPIRICAL;
}

/* Of `below` and `above`, the smaller is the one to trust. */
static double quantile(const struct dist_spec *spec, double below, double above)
{
    bool is_low = below < 0.5;
    switch (spec->kind) {
    case DIST_EXPONENTIAL:
        return is_low ? gsl_cdf_exponential_Pinv(below, spec->mean)
                      : gsl_cdf_exponential_Qinv(above, spec->mean);
    case DIST_NORMAL:
        return quantile_normal(spec, below, above);
    case DIST_LOGNORMAL: {
        double zeta = log(spec->median);
        if (spec->sigma == 0) {
            return spec->median;
        }
        return is_low ? gsl_cdf_lognormal_Pinv(below, zeta, spec->sigma)
                      : gsl_cdf_lognormal_Qinv(above, zeta, spec->sigma);
    }
    case DIST_WEIBULL:
        return is_low ? gsl_cdf_weibull_Pinv(below, spec->scale, spec->shape)
                      : gsl_cdf_weibull_Qinv(above, spec->scale, spec->shape);
    default:
        must(spec->kind == DIST_PARETO);
        return is_low ? gsl_cdf_pareto_Pinv(below, spec->shape, spec->scale)
                      : gsl_cdf_pareto_Qinv(above, spec->shape, spec->scale);
    }
}

/* Given that the value is not negative. */
static double quantile_normal(const struct dist_spec *spec, double below, double above)
{
    if (spec->sigma == 0) {
        return spec->mean;
    }
    double negative = gsl_cdf_gaussian_P(-spec->mean, spec->sigma);
    double rest = gsl_cdf_gaussian_Q(-spec->mean, spec->sigma);
    double upper = above * rest;
    double offset = upper < 0.5 ? gsl_cdf_gaussian_Qinv(upper, spec->sigma)
                                : gsl_cdf_gaussian_Pinv(negative + below * rest, spec->sigma);
    return spec->mean + offset;
}

static double quantile_exact(const struct dist_spec *spec, double below, double above)
{
    switch (spec->kind) {
    case DIST_CONSTANT:
        return spec->value;
    case DIST_UNIFORM:
        return below < 0.5 ? spec->min + (spec->max - spec->min) * below
                           : spec->max - (spec->max - spec->min) * above;
    default:
        must(spec->kind == DIST_EMPIRICAL);
        return quantile_sample(spec, below, above);
    }
}

static double quantile_sample(const struct dist_spec *spec, double below, double above)
{
    size_t last = spec->sample_count - 1;
    double place = below < 0.5 ? below * (double)last : (double)last - above * (double)last;
    size_t index = (size_t)place;
    if (index >= last) {
        return (double)spec->samples[last];
    }
    double from = (double)spec->samples[index];
    double to = (double)spec->samples[index + 1];
    return from + (to - from) * (place - (double)index);
}

static int ranks_fill(struct dist *dist, const struct dist_spec *spec)
{
    uint32_t n = spec->n;
    struct dist_ranks *ranks = malloc(sizeof *ranks + n * sizeof *ranks->shares);
    if (ranks == NULL) {
        return ERR_FULL;
    }
    ranks->count = n;
    ranks_weigh(ranks->shares, spec);
    uint64_t total = ranks->shares[n - 1];
    uint64_t before = 0;
    for (uint32_t i = 0; i < n; i++) {
        unsigned __int128 sum = (unsigned __int128)ranks->shares[i] << 64;
        uint64_t share = i == n - 1 ? UINT64_MAX : (uint64_t)(sum / total);
        ranks->shares[i] = share;
        dist->mean += (i + 1) * ((double)(share - before) * 0x1p-64);
        before = share;
    }
    for (uint64_t i = 0; i < GUIDES; i++) {
        ranks->guide[i] = rank_find(ranks, i << (64 - GUIDE_BITS), 0, n - 1);
    }
    ranks->guide[GUIDES] = n - 1;
    dist->ranks = ranks;
    dist->hash = digest_combine(ranks->shares, n);
    return ERR_OK;
}

/* Running sums of the ranks' weights as integers. The least weight is 1: a rank that may be named
 * may come up. */
static void ranks_weigh(uint64_t *sums, const struct dist_spec *spec)
{
    int bits = WEIGHT_SUM_BITS;
    for (uint32_t n = spec->n; n > 0; n /= 2) {
        bits--;
    }
    bits = bits > WEIGHT_BITS_MAX ? WEIGHT_BITS_MAX : bits;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < spec->n; i++) {
        uint64_t weight = dist_quantise(ldexp(pow(i + 1, -spec->s), bits));
        sum += weight > 0 ? weight : 1;
        sums[i] = sum;
    }
}

/* Index of the first rank in [from, to] whose share exceeds `word`; `to` without one. */
static uint32_t rank_find(const struct dist_ranks *ranks, uint64_t word, uint32_t from, uint32_t to)
{
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (ranks->shares[middle] > word) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    return from;
}

void dist_close(struct dist *dist)
{
    free(dist->ranks);
    memset(dist, 0, sizeof *dist);
}

uint64_t dist_rank_at(const struct dist_ranks *ranks, uint64_t word)
{
    uint64_t guide = word >> (64 - GUIDE_BITS);
    return 1 + (uint64_t)rank_find(ranks, word, ranks->guide[guide], ranks->guide[guide + 1]);
}

double dist_mean(const struct dist *dist)
{
    return dist->mean;
}

uint64_t dist_quantile(const struct dist *dist, double probability)
{
    must(probability >= 0 && probability < 1);
    return dist_at(dist, (uint64_t)ldexp(probability, 64));
}

uint64_t dist_hash(const struct dist *dist)
{
    return dist->hash;
}

uint64_t dist_quantise(double value)
{
    if (!(value > 0) || value >= (double)DIST_VALUE_MAX) {
        return dist_round(value);
    }
    int exponent;
    (void)frexp(value, &exponent); /* value < 2^exponent; exact, like ldexp. */
    int cut = exponent > QUANTISE_BITS ? exponent - QUANTISE_BITS : 0;
    return dist_round(ldexp(value, -cut)) << cut;
}
