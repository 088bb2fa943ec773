/* geo.c - places as lattice points, great circles as a table over the length of the chord. */
#include "sim/net/geo.h"

#include <math.h>

#include "sim/engine/dist.h"

#define RADIANS_PER_DEGREE 0x1.1df46a2529d39p-6 /* pi / 180 */
/* Chords carry this many fractional bits into the table. */
#define CHORD_BITS         8

static int16_t coordinate(double share);
static uint64_t squared(int32_t x, int32_t y, int32_t z);
static uint32_t chord_time(const struct geo *geo, uint64_t chord_squared);

int geo_place_at(struct geo_place *place, double latitude, double longitude)
{
    if (!(fabs(latitude) <= 90) || !(fabs(longitude) <= 180)) {
        return ERR_INVALID;
    }
    double north = latitude * RADIANS_PER_DEGREE;
    double east = longitude * RADIANS_PER_DEGREE;
    place->x = coordinate(cos(north) * cos(east));
    place->y = coordinate(cos(north) * sin(east));
    place->z = coordinate(sin(north));
    return ERR_OK;
}

/* From a share of the radius, -1 to 1, to lattice steps. */
static int16_t coordinate(double share)
{
    int16_t steps = (int16_t)dist_quantise(fabs(share) * GEO_RADIUS_STEPS);
    return share < 0 ? (int16_t)-steps : steps;
}

int geo_fill(struct geo *geo, double inflation)
{
    if (!(inflation >= 1) || !(inflation <= GEO_INFLATION_MAX)) {
        return ERR_INVALID;
    }
    double radius_time = GEO_RADIUS_KM * GEO_US_PER_KM * inflation * (1 << GEO_SCALE_BITS);
    geo->half_turn = (uint32_t)dist_quantise(radius_time * 180 * RADIANS_PER_DEGREE);
    for (unsigned i = 0; i <= GEO_CELLS; i++) {
        double half_chord = (double)(i << GEO_CELL_BITS) / (2 * GEO_RADIUS_STEPS);
        geo->time[i] = (uint32_t)dist_quantise(radius_time * 2 * asin(half_chord));
    }
    return ERR_OK;
}

/* The chord from a to b is a - b, and the one from a to the antipodes of b is a + b. The shorter of
 * the two is looked up, because arcs hardly tell long chords apart. */
uint32_t geo_us(const struct geo *geo, struct geo_place a, struct geo_place b)
{
    uint64_t near = squared(a.x - b.x, a.y - b.y, a.z - b.z);
    uint64_t far = squared(a.x + b.x, a.y + b.y, a.z + b.z);
    uint32_t time = near <= far ? chord_time(geo, near) : geo->half_turn - chord_time(geo, far);
    return (time + (1u << (GEO_SCALE_BITS - 1))) >> GEO_SCALE_BITS;
}

static uint64_t squared(int32_t x, int32_t y, int32_t z)
{
    return (uint64_t)((int64_t)x * x + (int64_t)y * y + (int64_t)z * z);
}

static uint32_t chord_time(const struct geo *geo, uint64_t chord_squared)
{
    uint32_t chord = (uint32_t)(sqrt((double)chord_squared) * (1 << CHORD_BITS));
    const unsigned bits = GEO_CELL_BITS + CHORD_BITS;
    uint32_t cell = chord >> bits;
    uint64_t part = chord & ((1u << bits) - 1);
    uint64_t rise = geo->time[cell + 1] - geo->time[cell];
    return geo->time[cell] + (uint32_t)(rise * part >> bits);
}
