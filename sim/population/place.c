/* place.c - two words of dice per node, and what they stand for. */
#include "sim/population/place.h"

#include "node/base/must.h"

void place_draw(const struct place_model *model, uint64_t seed, uint32_t node,
                struct net_site *site)
{
    must(model->share_count > 0);

    struct rng rng;
    rng_stream(&rng, seed, "place", node, 0);
    uint32_t drawn = (uint32_t)(rng_next(&rng) >> 32);
    uint32_t share = 0;
    while (share + 1 < model->share_count && model->shares[share].cumulative < drawn) {
        share++;
    }
    uint64_t access_us = dist_draw(model->access_us, &rng);
    uint32_t region = model->shares[share].region;
    *site = (struct net_site){
        .access = model->access,
        .region = (uint16_t)region,
        .access_us = (uint32_t)(access_us < NET_ACCESS_US_MAX ? access_us : NET_ACCESS_US_MAX)};
    if (model->coordinates != NULL) {
        site->place = model->coordinates[region];
    }
}
