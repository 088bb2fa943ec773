/* pool.h - equal objects by index, in slabs that come and go with their use.
 *
 * A slab is taken from the host when one of its objects is needed and given back when the last of
 * them is freed: what many nodes need only now and then (calls, lookups, handshakes) is shared by
 * all nodes of a process. Each slab after the second is twice as large as the one before, so that a
 * table of any size has few. An object keeps its address from pool_get to pool_put. An index names
 * it in 16 bits, so that it can travel (a session's) or be stored small; low indices are used
 * first.
 *
 *      slab        0     1     2        3
 *      indices   0..3  4..7  8..15   16..31      of a pool whose first slab has four
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
    uint16_t max;
    uint16_t made;       /* Above every index handed out so far. */
    uint16_t count;      /* Objects in use. */
    uint8_t first_shift; /* The first slab has 2^first_shift objects. */
    uint8_t first_room;  /* Slabs before this one are full. */
    uint8_t user;        /* enum arena_user. */
};

/* `max` objects of `object_bytes` (at least 2), the first slab of `first` (a power of two).
 * ERR_FULL without memory. */
int pool_init(struct pool *pool, struct arena *arena, enum arena_user user, uint32_t object_bytes,
              uint16_t first, uint16_t max);

/* A zeroed object, its index in *index; NULL when `max` are in use or the arena is at its end. */
void *pool_get(struct pool *pool, uint16_t *index);
void pool_put(struct pool *pool, uint16_t index);

static inline uint32_t pool_slab_of(const struct pool *pool, uint32_t index)
{
    uint32_t unit = index >> pool->first_shift;
    return unit == 0 ? 0 : 32u - (uint32_t)__builtin_clz(unit);
}

static inline uint32_t pool_slab_start(const struct pool *pool, uint32_t slab)
{
    return slab == 0 ? 0 : UINT32_C(1) << (pool->first_shift + slab - 1);
}

/* The object of an index in use. */
static inline void *pool_at(const struct pool *pool, uint16_t index)
{
    uint32_t slab = pool_slab_of(pool, index);
    return pool->slabs[slab].memory + (index - pool_slab_start(pool, slab)) * pool->object_bytes;
}

/* The object of any index, even one that came from the network: NULL where no memory is. An object
 * that is not in use holds zeros but for its first two bytes. */
static inline void *pool_peek(const struct pool *pool, uint32_t index)
{
    if (index >= pool->made || pool->slabs[pool_slab_of(pool, index)].memory == NULL) {
        return NULL;
    }
    return pool_at(pool, (uint16_t)index);
}

#endif /* NODE_BASE_POOL_H */
