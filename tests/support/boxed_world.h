/* boxed_world.h - clients behind NAT boxes, and what the boxes count of them.
 *
 *      client_world_open -> boxed_add per client -> client_world_start -> boxed_load, boxed_fate
 */
#ifndef TESTS_SUPPORT_BOXED_WORLD_H
#define TESTS_SUPPORT_BOXED_WORLD_H

#include "sim/net/napt.h"
#include "tests/support/client_world.h"

/* A host behind a box of its own, or behind the same as the host before: the box's number. */
static inline uint32_t boxed_add_behind(struct client_world *world, uint32_t box)
{
    struct host *host = world_host(world->world, world_add_host_behind(world->world, box));
    host_place(host, &(struct net_site){0}, world_seed(world->world));
    return box;
}

static inline uint32_t boxed_add(struct client_world *world, const struct napt_config *config)
{
    uint32_t group = world_host_count(world->world) + 100;
    return boxed_add_behind(world, world_add_box(world->world, group, config, WORLD_BOX_NONE));
}

/* Of everything behind the box. */
static inline struct napt_load boxed_load(struct client_world *world, uint32_t box)
{
    return napt_load_of(world_box(world->world, box), world_now_us(world->world), 0);
}

static inline uint64_t boxed_fate(struct client_world *world, uint32_t box, enum napt_fate fate)
{
    return napt_fates(world_box(world->world, box))[fate];
}

/* Handshakes that the node has begun. */
static inline uint64_t boxed_handshakes(const struct host *host)
{
    const struct traffic *traffic = &host->node->transport.traffic;
    return traffic->sent[TRAFFIC_IK_1] + traffic->sent[TRAFFIC_XX_1];
}

#endif /* TESTS_SUPPORT_BOXED_WORLD_H */
