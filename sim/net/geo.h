/* geo.h - places on the earth and the time light in fibre takes between them.
 *
 * A place is a point of a sphere on a lattice of about 194 m, half a turn of the planet being 103
 * ms away: finer than the microsecond it is turned into. The way is the great circle, slowed to the
 * speed of light in fibre and lengthened by the detours of real cables.
 *
 *      degrees -> geo_place_at -> struct geo_place --+
 *      inflation -> geo_fill -> struct geo ----------+-> geo_us -> one-way microseconds
 *
 * Sines and arcs are computed once and rounded as dist.h explains; geo_us itself uses integers and
 * one square root, which IEEE 754 defines to the last bit.
 */
#ifndef SIM_NET_GEO_H
#define SIM_NET_GEO_H

#include <stdint.h>

#include "node/base/err.h"

/* Mean radius of the earth (IUGG), and the lattice steps of one radius. */
#define GEO_RADIUS_KM     6371.0088
#define GEO_RADIUS_STEPS  32767
/* Light in fibre: 200 km per ms. */
#define GEO_US_PER_KM     5.0
#define GEO_INFLATION_MAX 16
/* Steps of chord per table cell; chords beyond a quarter turn are mirrored, so the last cell lies
 * at sqrt(2) radii. */
#define GEO_CELL_BITS     5
#define GEO_CELLS         1449
#define GEO_SCALE_BITS    8 /* Table values are 1/256 us. */

struct geo_place {
    int16_t x;
    int16_t y;
    int16_t z;
};

struct geo {
    uint32_t half_turn;           /* To the antipodes; unit as in the table. */
    uint32_t time[GEO_CELLS + 1]; /* By length of chord. */
};

/* Degrees north and east; ERR_INVALID outside +-90 and +-180. */
NODISCARD int geo_place_at(struct geo_place *place, double latitude, double longitude);

/* `inflation` is cable length over great circle, 1 to GEO_INFLATION_MAX; 1.5 to 2 is common.
 * ERR_INVALID outside. */
NODISCARD int geo_fill(struct geo *geo, double inflation);

/* One way, symmetric. */
uint32_t geo_us(const struct geo *geo, struct geo_place a, struct geo_place b);

#endif /* SIM_NET_GEO_H */
