/* place.h - where a node lives: its region, and the latency of its access line.
 *
 * Drawn once per node from the stream ("place", node): always two words, so that giving a group
 * several regions does not move its access lines.
 *
 *      struct place_model (per group) -> place_draw(seed, node) -> struct net_site
 */
#ifndef SIM_POPULATION_PLACE_H
#define SIM_POPULATION_PLACE_H

#include "sim/net/net.h"

struct place_share {
    uint32_t region;
    uint32_t cumulative; /* Of all shares up to here, in 2^-32; the last is UINT32_MAX. */
};

struct place_model {
    const struct place_share *shares; /* Borrowed, like all pointers here. */
    uint32_t share_count;
    uint16_t access;                     /* Index of the group's line in net_config.access. */
    const struct dist *access_us;        /* One way. */
    const struct geo_place *coordinates; /* By region; NULL when distance does not matter. */
};

void place_draw(const struct place_model *model, uint64_t seed, uint32_t node,
                struct net_site *site);

#endif /* SIM_POPULATION_PLACE_H */
