/* dist_knots.c - from a list of knots to a table and back. */
#include "sim/engine/dist_knots.h"

#include <math.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/engine/digest.h"

#define TAIL_KNOTS (DIST_TAIL_LEVELS * (DIST_TAIL_CELLS - 1))

static void place_below(struct dist_knot *knot, double below);
static void place_above(struct dist_knot *knot, double above);
static double tail_step(unsigned level);
static uint64_t *table_knot(struct dist *dist, size_t index);

void dist_knots_place(struct dist_knot *knots)
{
    struct dist_knot *knot = knots;
    place_below(knot++, 0);
    for (unsigned level = DIST_TAIL_LEVELS; level-- > 0;) {
        for (unsigned part = 1; part < DIST_TAIL_CELLS; part++) {
            place_below(knot++, part * tail_step(level));
        }
    }
    for (unsigned cell = 1; cell < DIST_BODY_CELLS; cell++) {
        place_below(knot++, (double)cell / DIST_BODY_CELLS);
    }
    for (unsigned level = 0; level < DIST_TAIL_LEVELS; level++) {
        for (unsigned part = 1; part < DIST_TAIL_CELLS; part++) {
            place_above(knot++, (DIST_TAIL_CELLS - part) * tail_step(level));
        }
    }
    place_above(knot++, 0);
    must(knot == knots + DIST_KNOTS);
}

static void place_below(struct dist_knot *knot, double below)
{
    *knot = (struct dist_knot){.below = below, .above = 1 - below};
}

static void place_above(struct dist_knot *knot, double above)
{
    *knot = (struct dist_knot){.below = 1 - above, .above = above};
}

/* Probability of one part of a tail level; down to 2^-52, so 1 minus a multiple is exact. */
static double tail_step(unsigned level)
{
    return ldexp(1, -(int)(DIST_BODY_BITS + (level + 1) * DIST_TAIL_BITS));
}

void dist_knots_store(struct dist *dist, struct dist_knot *knots)
{
    uint64_t values[DIST_KNOTS];
    double mean = 0;
    for (size_t i = 0; i < DIST_KNOTS; i++) {
        if (i > 0) {
            const struct dist_knot *last = &knots[i - 1];
            knots[i].value = knots[i].value < last->value ? last->value : knots[i].value;
            double width = knots[i].below - last->below;
            mean += width * ((double)last->value + (double)knots[i].value) / 2;
        }
        values[i] = knots[i].value;
    }
    memset(dist, 0, sizeof *dist);
    for (size_t i = 0; i < DIST_KNOTS; i++) {
        *table_knot(dist, i) = values[i];
    }
    /* A level's outer end is where the next level begins, and nothing is read there but at the last
     * level; its inner end is a knot of the level, or of the body, around it. */
    dist->body[0] = values[0];
    dist->body[DIST_BODY_CELLS] = values[DIST_KNOTS - 1];
    for (unsigned level = 0; level < DIST_TAIL_LEVELS; level++) {
        dist->low[level][0] = values[0];
        dist->low[level][DIST_TAIL_CELLS] = level == 0 ? dist->body[1] : dist->low[level - 1][1];
        dist->high[level][0] = level == 0 ? dist->body[DIST_BODY_CELLS - 1]
                                          : dist->high[level - 1][DIST_TAIL_CELLS - 1];
        dist->high[level][DIST_TAIL_CELLS] = values[DIST_KNOTS - 1];
    }
    dist->mean = mean;
    dist->hash = digest_combine(values, DIST_KNOTS);
}

void dist_knots_load(const struct dist *dist, struct dist_knot *knots)
{
    struct dist copy = *dist;
    dist_knots_place(knots);
    for (size_t i = 0; i < DIST_KNOTS; i++) {
        knots[i].value = *table_knot(&copy, i);
    }
}

/* Where the table keeps knot `index` of the list. */
static uint64_t *table_knot(struct dist *dist, size_t index)
{
    if (index == 0) {
        return &dist->low[DIST_TAIL_LEVELS - 1][0];
    }
    index--;
    if (index < TAIL_KNOTS) {
        size_t level = DIST_TAIL_LEVELS - 1 - index / (DIST_TAIL_CELLS - 1);
        return &dist->low[level][1 + index % (DIST_TAIL_CELLS - 1)];
    }
    index -= TAIL_KNOTS;
    if (index < DIST_BODY_CELLS - 1) {
        return &dist->body[1 + index];
    }
    index -= DIST_BODY_CELLS - 1;
    if (index < TAIL_KNOTS) {
        return &dist->high[index / (DIST_TAIL_CELLS - 1)][1 + index % (DIST_TAIL_CELLS - 1)];
    }
    return &dist->high[DIST_TAIL_LEVELS - 1][DIST_TAIL_CELLS];
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
