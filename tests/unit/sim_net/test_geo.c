/* test_geo.c - great circles between lattice points against spherical trigonometry. */
#include <signal.h>

#include <criterion/criterion.h>
#include <gsl/gsl_math.h>
#include <math.h>

#include "node/base/rng.h"
#include "node/base/slice.h"
#include "sim/net/geo.h"

static struct geo_place place_at(double latitude, double longitude)
{
    struct geo_place place;
    cr_assert_eq(geo_place_at(&place, latitude, longitude), ERR_OK);
    return place;
}

static struct geo filled(double inflation)
{
    struct geo geo;
    cr_assert_eq(geo_fill(&geo, inflation), ERR_OK);
    return geo;
}

/* Haversine, one way. */
static double expected_us(const double *a, const double *b, double inflation)
{
    double degree = M_PI / 180;
    double north = sin((a[0] - b[0]) * degree / 2);
    double east = sin((a[1] - b[1]) * degree / 2);
    double h = north * north + cos(a[0] * degree) * cos(b[0] * degree) * east * east;
    return 2 * asin(sqrt(fmin(h, 1))) * GEO_RADIUS_KM * GEO_US_PER_KM * inflation;
}

Test(geo, known_distances)
{
    struct geo geo = filled(1);
    struct geo_place london = place_at(51.5074, -0.1278);
    /* 5,570 km, 16,994 km and 343.6 km at 200 km per ms. */
    cr_assert_float_eq((double)geo_us(&geo, london, place_at(40.7128, -74.0060)), 27851, 10);
    cr_assert_float_eq((double)geo_us(&geo, london, place_at(-33.8688, 151.2093)), 84970, 20);
    cr_assert_float_eq((double)geo_us(&geo, london, place_at(48.8566, 2.3522)), 1718, 3);
    cr_assert_float_eq((double)geo_us(&geo, place_at(90, 0), place_at(-90, 0)), 100075, 1);
    cr_assert_eq(geo_us(&geo, london, london), 0);
}

Test(geo, every_pair_is_within_the_lattice_of_the_formula_and_symmetric)
{
    const double inflations[] = {1, 1.7, GEO_INFLATION_MAX};
    struct rng rng;
    rng_seed(&rng, 1);
    for (size_t k = 0; k < array_len(inflations); k++) {
        struct geo geo = filled(inflations[k]);
        double worst = 0;
        for (size_t i = 0; i < 50000; i++) {
            double a[] = {(double)rng_below(&rng, 180000) / 1000 - 90,
                          (double)rng_below(&rng, 360000) / 1000 - 180};
            double b[] = {(double)rng_below(&rng, 180000) / 1000 - 90,
                          (double)rng_below(&rng, 360000) / 1000 - 180};
            if (i % 4 == 1) { /* Close together. */
                b[0] = fmax(-90, fmin(90, a[0] + (double)rng_below(&rng, 1000) / 500 - 1));
                b[1] = a[1];
            } else if (i % 4 == 2) { /* Nearly antipodes. */
                b[0] = -a[0];
                b[1] = a[1] > 0 ? a[1] - 179.9 : a[1] + 179.9;
            }
            struct geo_place from = place_at(a[0], a[1]);
            struct geo_place to = place_at(b[0], b[1]);
            uint32_t us = geo_us(&geo, from, to);
            cr_assert_eq(us, geo_us(&geo, to, from));
            worst = fmax(worst, fabs(us - expected_us(a, b, inflations[k])));
        }
        /* Each end is off by at most sqrt(3) / 2 steps of 194 m, which an arc of a quarter turn
         * stretches by sqrt(2): 2.4 us of fibre. The result is off by half a unit and rounding. */
        cr_expect_lt(worst, 1 + 2.4 * inflations[k], "inflation %.1f: %.2f us", inflations[k],
                     worst);
    }
}

Test(geo, a_longer_way_never_takes_less)
{
    struct geo geo = filled(1.5);
    struct geo_place pole = place_at(90, 0);
    uint32_t last_us = 0;
    for (double latitude = 90; latitude >= -90; latitude -= 0.01) {
        uint32_t us = geo_us(&geo, pole, place_at(latitude, 0));
        cr_assert_geq(us, last_us, "latitude %.2f", latitude);
        last_us = us;
    }
}

Test(geo, nonsense_is_refused)
{
    struct geo_place place;
    struct geo geo;
    cr_assert_eq(geo_place_at(&place, 90.1, 0), ERR_INVALID);
    cr_assert_eq(geo_place_at(&place, 0, -180.1), ERR_INVALID);
    cr_assert_eq(geo_place_at(&place, NAN, 0), ERR_INVALID);
    cr_assert_eq(geo_fill(&geo, 0.99), ERR_INVALID);
    cr_assert_eq(geo_fill(&geo, 16.1), ERR_INVALID);
    cr_assert_eq(geo_fill(&geo, NAN), ERR_INVALID);
}
