/* pool.h - equal objects by index, in slabs that come and go with their use.
 *
 * A slab is taken from the host when one of its objects is needed and given back when the last of
 * them is freed: what many nodes need only now and then (calls, lookups, handshakes) is shared by
 * all nodes of a process. An object keeps its address from pool_get to pool_put. An index names it
 * in 16 bits, so that it can travel (a session's) or be stored small; low indices are used first.
 */
#ifndef NODE_BASE_POOL_H
#define NODE_BASE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "node/base/arena.h"

#define POOL_NONE UINT16_MAX

struct pool_slab {
    uint8_t *memory; /* NULL while none of its objects is in use. */
    uint16_t free;   /* First freed object, by its place in the slab, or POOL_NONE. */
    uint16_t fresh;  /* Objects at the end that have not been used since the slab was taken. */
    uint16_t used;
};

struct pool {
    struct arena *arena;
    struct pool_slab *slabs;
    uint32_t object_bytes;
    uint16_t per_slab;
    uint16_t max;
    uint16_t made;       /* Above every index handed out so far. */
    uint16_t count;      /* Objects in use. */
    uint16_t first_room; /* Slabs before this one are full. */
    uint8_t user;        /* enum arena_user. */
};

/* `max` objects of `object_bytes` (at least 2), grown `per_slab` at a time. ERR_FULL without
 * memory. */
int pool_init(struct pool *pool, struct arena *arena, enum arena_user user, uint32_t object_bytes,
              uint16_t per_slab, uint16_t max);

/* A zeroed object, its index in *index; NULL when `max` are in use or the arena is at its end. */
void *pool_get(struct pool *pool, uint16_t *index);
void pool_put(struct pool *pool, uint16_t index);

/* The object of an index in use. */
static inline void *pool_at(const struct pool *pool, uint16_t index)
{
    return pool->slabs[index / pool->per_slab].memory +
           (uint32_t)(index % pool->per_slab) * pool->object_bytes;
}

/* The object of any index, even one that came from the network: NULL where no memory is. An object
 * that is not in use holds zeros but for its first two bytes. */
static inline void *pool_peek(const struct pool *pool, uint32_t index)
{
    if (index >= pool->made || pool->slabs[index / pool->per_slab].memory == NULL) {
        return NULL;
    }
    return pool_at(pool, (uint16_t)index);
}

#endif /* NODE_BASE_POOL_H */
