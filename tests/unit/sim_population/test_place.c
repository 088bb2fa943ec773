/* test_place.c - regions in their shares, access lines once per node. */
#include <signal.h>

#include <criterion/criterion.h>
#include <math.h>

#include "sim/population/place.h"

enum { NODES = 20000 };

static struct dist access_us;

static void fill_access(void)
{
    struct dist_spec spec = {.kind = DIST_LOGNORMAL, .median = 4500, .sigma = 0.5};
    cr_assert_eq(dist_fill(&access_us, &spec), ERR_OK);
}

Test(place, regions_come_in_their_shares, .init = fill_access)
{
    static const struct place_share shares[] = {{.region = 4, .cumulative = 1u << 29},
                                                {.region = 2, .cumulative = 1u << 31},
                                                {.region = 7, .cumulative = UINT32_MAX}};
    static const double expected[] = {[4] = 0.125, [2] = 0.375, [7] = 0.5};
    struct place_model model = {.shares = shares, .share_count = 3, .access_us = &access_us};
    uint32_t counts[8] = {0};
    for (uint32_t node = 0; node < NODES; node++) {
        struct net_site site;
        place_draw(&model, 1, node, &site);
        cr_assert_lt(site.region, 8);
        counts[site.region]++;
    }
    for (size_t i = 0; i < 8; i++) {
        double share = expected[i];
        double deviation = sqrt(share * (1 - share) / NODES);
        cr_assert_float_eq((double)counts[i] / NODES, share, 4 * deviation + 1e-9, "region %zu", i);
    }
}

Test(place, another_mix_of_regions_leaves_the_access_lines_alone, .init = fill_access)
{
    static const struct place_share one[] = {{.region = 0, .cumulative = UINT32_MAX}};
    static const struct place_share two[] = {{.region = 0, .cumulative = 1u << 31},
                                             {.region = 1, .cumulative = UINT32_MAX}};
    struct place_model model = {.shares = one, .share_count = 1, .access_us = &access_us};
    struct place_model other = {.shares = two, .share_count = 2, .access_us = &access_us};
    uint32_t distinct = 0;
    uint32_t last_us = 0;
    for (uint32_t node = 0; node < 100; node++) {
        struct net_site a;
        struct net_site b;
        place_draw(&model, 1, node, &a);
        place_draw(&other, 1, node, &b);
        cr_assert_eq(a.access_us, b.access_us);
        distinct += a.access_us != last_us;
        last_us = a.access_us;
    }
    cr_assert_eq(distinct, 100);
}

Test(place, a_node_gets_the_coordinates_of_its_region, .init = fill_access)
{
    static const struct place_share shares[] = {{.region = 1, .cumulative = UINT32_MAX}};
    static const struct geo_place coordinates[] = {{1, 2, 3}, {4, 5, 6}};
    struct place_model model = {.shares = shares,
                                .share_count = 1,
                                .access_us = &access_us,
                                .access = 3,
                                .coordinates = coordinates};
    struct net_site site;
    place_draw(&model, 1, 0, &site);
    cr_assert(site.place.x == 4 && site.place.y == 5 && site.place.z == 6);
    cr_assert_eq(site.access, 3);
}
