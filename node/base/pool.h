/* pool.h - equal objects by index, allocated on use up to a maximum.
 *
 * Objects live in slabs from the arena and keep their address for the life of the node; freed ones
 * are reused, last in first out. An index names an object in 16 bits, so that it can travel (a
 * session's receiver index) or be stored small.
 */
#ifndef NODE_BASE_POOL_H
#define NODE_BASE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "node/base/arena.h"

#define POOL_NONE UINT16_MAX

struct pool {
    struct arena *arena;
    uint8_t **slabs; /* slab_max pointers, slab_count of them set. */

    uint32_t object_bytes;
    uint16_t per_slab;
    uint16_t max;
    uint16_t made;  /* Objects ever handed out. */
    uint16_t count; /* Objects in use. */
    uint16_t free;  /* First free index or POOL_NONE. */
    uint8_t user;   /* enum arena_user. */
};

/* `max` objects of `object_bytes` (at least 2), grown `per_slab` at a time. ERR_FULL without memory. */
int pool_init(struct pool *pool, struct arena *arena, enum arena_user user, uint32_t object_bytes,
              uint16_t per_slab, uint16_t max);

/* A zeroed object, its index in *index; NULL when `max` are in use or the arena is at its end. */
void *pool_get(struct pool *pool, uint16_t *index);
void pool_put(struct pool *pool, uint16_t index);

static inline void *pool_at(const struct pool *pool, uint16_t index)
{
    return pool->slabs[index / pool->per_slab] +
           (uint32_t)(index % pool->per_slab) * pool->object_bytes;
}

#endif /* NODE_BASE_POOL_H */
