/* dist_knots.c - from a list of knots to a table and back. */
#include "sim/engine/dist_knots.h"

#include <math.h>
#include <string.h>

#include "sim/engine/digest.h"

static double share_of(size_t index);

void dist_knots_place(struct dist_knot *knots)
{
    for (size_t i = 0; i < DIST_SIDE_KNOTS; i++) {
        double share = share_of(i);
        knots[i] = (struct dist_knot){.below = share, .above = 1 - share};
        knots[DIST_KNOTS - 1 - i] = (struct dist_knot){.below = 1 - share, .above = share};
    }
}

/* Of a side's knot. No share has more than 6 significant bits or is smaller than 2^-49 unless it is
 * zero, so 1 - share is nearly always exact; below 2^-47 it is off by less than 2^-53. */
static double share_of(size_t index)
{
    if (index == 0) {
        return 0;
    }
    unsigned octave = (unsigned)(index - 1) / DIST_CELLS;
    unsigned cell = (unsigned)(index - 1) % DIST_CELLS;
    return ldexp(DIST_CELLS + cell, (int)octave - DIST_OCTAVES - 1 - DIST_CELL_BITS);
}

void dist_knots_store(struct dist *dist, struct dist_knot *knots)
{
    uint64_t values[DIST_KNOTS];
    values[0] = knots[0].value;
    double first = (double)knots[0].value;
    double excess = 0; /* Of the mean over the first value: so a constant's mean is exact. */
    for (size_t i = 1; i < DIST_KNOTS; i++) {
        const struct dist_knot *last = &knots[i - 1];
        if (knots[i].value < last->value) {
            knots[i].value = last->value;
        }
        values[i] = knots[i].value;
        double middle = ((double)last->value + (double)knots[i].value) / 2;
        double width =
            i < DIST_SIDE_KNOTS ? knots[i].below - last->below : last->above - knots[i].above;
        excess += width * (middle - first);
    }
    memset(dist, 0, sizeof *dist);
    for (size_t i = 0; i < DIST_SIDE_KNOTS; i++) {
        dist->sides[0][i] = values[i];
        dist->sides[1][i] = values[DIST_KNOTS - 1 - i];
    }
    dist->mean = first + excess;
    dist->hash = digest_combine(values, DIST_KNOTS);
}

void dist_knots_load(const struct dist *dist, struct dist_knot *knots)
{
    dist_knots_place(knots);
    for (size_t i = 0; i < DIST_SIDE_KNOTS; i++) {
        knots[i].value = dist->sides[0][i];
        knots[DIST_KNOTS - 1 - i].value = dist->sides[1][i];
    }
}

uint64_t dist_round(double value)
{
    if (!(value > 0)) {
        return 0;
    }
    if (value >= (double)DIST_VALUE_MAX) {
        return DIST_VALUE_MAX;
    }
    return (uint64_t)floor(value + 0.5);
}
