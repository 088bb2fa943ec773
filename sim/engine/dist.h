/* dist.h - probability distributions as tables of quantiles, drawn with integers only.
 *
 * A table is filled once per run from a description (GSL supplies the quantile functions) and then
 * drawn from with one 64-bit random word. The word's distance from the nearer end of its range is
 * the share of the distribution on that side; each octave of shares, from 1/2 down to 2^-49, is
 * split into 32 equal cells, and quantiles are linear within a cell. So a cell is never wider than
 * 1/32 of the tail beyond it: tails are as exact as the middle (to about 1e-4 of a mean for an
 * exponential law). Values are unit-free integers (us, bytes, ...) up to 2^53. Reading trace files
 * is the scenario's job.
 *
 *      struct dist_spec -> dist_fill -> struct dist -> dist_draw(rng) -> integer
 *                                          +---------> dist_residual_fill -> struct dist
 *
 * Why every machine fills the same table. The logarithms and powers behind a quantile may differ in
 * their last bits between processors, because libm picks other code where FMA exists. So a computed
 * quantile is rounded to a whole number AND to at most 20 significant bits (1e-6 relative, far
 * below what any model means). That can only go two ways if a boundary of this grid lies within the
 * error. Measured between glibc's variants, one quantile in 3,000 differs, by one unit of its last
 * bit, and a step of the grid is at least 2^33 of those units: less than one table in 10^9 can
 * differ. Rounding cannot make it impossible, so the table's hash is recorded with every run.
 * Constant, uniform, empirical and residual tables use only + - * / and sqrt, which IEEE 754 fixes
 * to the last bit: they are rounded to whole numbers and need no further argument.
 */
#ifndef SIM_ENGINE_DIST_H
#define SIM_ENGINE_DIST_H

#include <stddef.h>
#include <stdint.h>

#include "node/base/err.h"
#include "node/base/rng.h"

#define DIST_CELL_BITS  5
#define DIST_CELLS      (1u << DIST_CELL_BITS) /* Per octave. */
#define DIST_OCTAVES    48
/* Of one side: at share 0, and at both ends of each cell. */
#define DIST_SIDE_KNOTS (DIST_OCTAVES * DIST_CELLS + 2)
#define DIST_VALUE_MAX  (UINT64_C(1) << 53) /* Larger quantiles are cut to this. */
#define DIST_RANKS_MAX  (UINT32_C(1) << 22) /* Of a Zipf distribution; 8 bytes each. */

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

/* What replaces the table of a Zipf distribution. */
struct dist_ranks {
    uint32_t count;
    uint32_t guide[1025]; /* Index of the first rank in each 1024th of the distribution. */
    uint64_t shares[];    /* shares[k] / 2^64 is the probability of a rank <= k + 1. */
};

/* 25 KB, of which the middle ones are hot; by value. All zero is the constant 0. Immutable once
 * filled. sides[0] goes from share 0 up to the median, sides[1] from share 0 above down to it. */
struct dist {
    struct dist_ranks *ranks;
    double mean;
    uint64_t hash;
    uint64_t sides[2][DIST_SIDE_KNOTS];
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

/* Not for callers: dist_at for ranks. */
uint64_t dist_rank_at(const struct dist_ranks *ranks, uint64_t word);

/* The quantile at word / 2^64. Never decreases in `word`. */
static inline uint64_t dist_at(const struct dist *dist, uint64_t word)
{
    if (dist->ranks != NULL) {
        return dist_rank_at(dist->ranks, word);
    }
    const unsigned lowest = 63 - DIST_OCTAVES; /* Bit that leads a share of the lowest octave. */
    uint64_t side = word >> 63;
    uint64_t share = word ^ (0 - side); /* Below 2^63. */
    uint64_t cell = 0;
    uint64_t part = share << (64 - lowest); /* How far into the cell. */
    if (share >> lowest != 0) {
        unsigned lead = 63 - (unsigned)__builtin_clzll(share);
        unsigned shift = lead - DIST_CELL_BITS;
        cell = 1 + (uint64_t)(lead - lowest) * DIST_CELLS + (share >> shift) - DIST_CELLS;
        part = share << (64 - shift);
    }
    /* Values fall with the share on the upper side, so the rise is signed. */
    const uint64_t *knot = &dist->sides[side][cell];
    __int128 way = (__int128)(int64_t)(knot[1] - knot[0]) * (int64_t)(part >> 1);
    return knot[0] + (uint64_t)((way + (INT64_C(1) << 62)) >> 63);
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
