/* dist.h - probability distributions as tables of quantiles, drawn with integers only.
 *
 * A table is filled once per run from a description (GSL supplies the quantile functions) and then
 * drawn from: one 64-bit random word picks a cell by its high bits and a point in the cell by the
 * rest. 1024 equal cells form the body; the first and the last are split into 64 parts, the
 * outermost part again, seven times, so tails are resolved down to a probability of 2^-52. Values
 * are unit-free integers (us, bytes, ...) below 2^53. Reading trace files is the scenario's job.
 *
 *      struct dist_spec -> dist_fill -> struct dist -> dist_draw(rng) -> integer
 *                                          |---------> dist_residual_fill -> struct dist
 *
 * Why every machine fills the same table. The logarithms and powers behind a quantile may differ in
 * their last bits between processors, because libm picks other code where FMA exists. So a computed
 * quantile is rounded to a whole number AND to at most 20 significant bits (1e-6 relative, far
 * below what any model means). Rounding can only go two ways if a boundary of that grid lies within
 * the error: a few units of the 53rd bit against a grid step of 2^33 of them, a chance of about
 * 1e-9 per unlucky point, less than 1e-6 per table. Nothing of the kind can be made impossible by
 * rounding, so the table's hash is recorded with every run. Constant, uniform, empirical and
 * residual tables use only + - * / and sqrt, which IEEE 754 fixes to the last bit: these are
 * rounded to whole numbers and are the same everywhere without further argument.
 */
#ifndef SIM_ENGINE_DIST_H
#define SIM_ENGINE_DIST_H

#include <stddef.h>
#include <stdint.h>

#include "node/base/err.h"
#include "node/base/rng.h"

#define DIST_BODY_BITS   10
#define DIST_BODY_CELLS  (1u << DIST_BODY_BITS)
#define DIST_TAIL_BITS   6
#define DIST_TAIL_CELLS  (1u << DIST_TAIL_BITS)
#define DIST_TAIL_LEVELS 7
#define DIST_VALUE_MAX   (UINT64_C(1) << 53) /* Larger quantiles are cut to this. */
#define DIST_RANKS_MAX   (UINT32_C(1) << 22) /* Of a Zipf distribution; 8 bytes each. */

enum dist_kind {
    DIST_CONSTANT,    /* value */
    DIST_UNIFORM,     /* min, max */
    DIST_EXPONENTIAL, /* mean */
    DIST_NORMAL,      /* mean, sigma; given that the result is not negative */
    DIST_LOGNORMAL,   /* median, sigma of the logarithm */
    DIST_WEIBULL,     /* scale, shape */
    DIST_PARETO,      /* scale (the smallest value), shape */
    DIST_ZIPF,        /* s, n: rank k of 1..n with probability proportional to k^-s */
    DIST_EMPIRICAL,   /* samples, linear between order statistics (Hyndman & Fan 1996, type 7) */
};

/* Only the members named beside the kind are read. */
struct dist_spec {
    enum dist_kind kind;
    double value;
    double min;
    double max;
    double mean;
    double median;
    double sigma;
    double scale;
    double shape;
    double s;
    uint32_t n;
    const uint64_t *samples; /* Ascending; borrowed while filling. */
    size_t sample_count;
};

/* 15 KB, by value; all zero is the constant 0. Immutable once filled. */
struct dist {
    uint64_t *ranks; /* Zipf: ranks[k] / 2^64 is the probability of a rank <= k; else NULL. */
    uint32_t rank_count;
    double mean;
    uint64_t hash;
    uint64_t body[DIST_BODY_CELLS + 1];
    uint64_t low[DIST_TAIL_LEVELS][DIST_TAIL_CELLS + 1];
    uint64_t high[DIST_TAIL_LEVELS][DIST_TAIL_CELLS + 1];
};

/* ERR_INVALID when the numbers describe no distribution, ERR_FULL without memory for ranks. On
 * failure the table is all zero. dist_close releases what a filled table holds. */
NODISCARD int dist_fill(struct dist *dist, const struct dist_spec *spec);
void dist_close(struct dist *dist);

/* The time that is left when one looks at a random moment into a renewal process whose lives follow
 * `life`: density (1 - F(x)) / mean, the forward recurrence time (Cox, Renewal Theory, 1962,
 * section 5.2). Churn that starts with it starts in equilibrium. Computed exactly from the table
 * `life`. ERR_INVALID for ranks and for lives that are all zero. */
NODISCARD int dist_residual_fill(struct dist *dist, const struct dist *life);

/* The value at word / 2^64 of the way through the distribution; tails, and ranks. */
uint64_t dist_tail_at(const struct dist *dist, uint64_t word);

static inline uint64_t dist_blend(uint64_t from, uint64_t to, uint64_t fraction)
{
    unsigned __int128 way = (unsigned __int128)(to - from) * fraction;
    return from + (uint64_t)((way + (UINT64_C(1) << 63)) >> 64);
}

/* The quantile at word / 2^64. Never decreases in `word`. */
static inline uint64_t dist_at(const struct dist *dist, uint64_t word)
{
    uint64_t cell = word >> (64 - DIST_BODY_BITS);
    if (cell - 1 >= DIST_BODY_CELLS - 2 || dist->ranks != NULL) {
        return dist_tail_at(dist, word);
    }
    return dist_blend(dist->body[cell], dist->body[cell + 1], word << DIST_BODY_BITS);
}

/* One value; takes exactly one word from `rng`, whatever comes out. */
static inline uint64_t dist_draw(const struct dist *dist, struct rng *rng)
{
    return dist_at(dist, rng_next(rng));
}

/* Of the table, which for heavy tails is a little below that of the formula: the table ends. */
double dist_mean(const struct dist *dist);
/* 0 <= probability < 1. */
uint64_t dist_quantile(const struct dist *dist, double probability);
/* Equal for equal tables, recorded with every run. */
uint64_t dist_hash(const struct dist *dist);

/* To the nearest whole number with at most 20 significant bits, within [0, DIST_VALUE_MAX]; 0 for
 * what is not a number. For every computed double that becomes part of the world (see above). */
uint64_t dist_quantise(double value);

#endif /* SIM_ENGINE_DIST_H */
