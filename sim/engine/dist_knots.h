/* dist_knots.h - a quantile table as one ascending list of knots; inside this folder only.
 *
 * Tables are laid out for drawing (dist.h); to fill, sum up or transform one it is easier to see
 * every knot once, with the probability on either side of it. Between knots quantiles are linear.
 *
 *      dist_knots_place -> values by the caller -> dist_knots_store -> struct dist
 *      struct dist -> dist_knots_load -> values
 */
#ifndef SIM_ENGINE_DIST_KNOTS_H
#define SIM_ENGINE_DIST_KNOTS_H

#include "sim/engine/dist.h"

/* Both sides; they share the median. */
#define DIST_KNOTS (2 * DIST_SIDE_KNOTS - 1)

struct dist_knot {
    double below; /* Probability of smaller values; below + above is 1, and both are exact. */
    double above;
    uint64_t value;
};

/* Sets below and above of DIST_KNOTS knots, values to zero. */
void dist_knots_place(struct dist_knot *knots);

/* Overwrites the table, its mean and its hash. A value below its predecessor's is raised to it:
 * computed quantiles may be out of order by a rounding error, tables may not. */
void dist_knots_store(struct dist *dist, struct dist_knot *knots);

/* The knots of a table without ranks. */
void dist_knots_load(const struct dist *dist, struct dist_knot *knots);

/* To a whole number within [0, DIST_VALUE_MAX]; for values that IEEE 754 fixes to the last bit. */
uint64_t dist_round(double value);

#endif /* SIM_ENGINE_DIST_KNOTS_H */
