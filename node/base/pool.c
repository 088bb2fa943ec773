/* pool.c - slabs, and a free list threaded through the unused objects. */
#include "node/base/pool.h"

#include <string.h>

#include "node/base/err.h"
#include "node/base/must.h"

int pool_init(struct pool *pool, struct arena *arena, enum arena_user user, uint32_t object_bytes,
              uint16_t per_slab, uint16_t max)
{
    must(object_bytes >= sizeof(uint16_t));
    must(per_slab > 0 && max > 0 && max < POOL_NONE);

    uint32_t slab_max = ((uint32_t)max + per_slab - 1) / per_slab;
    *pool = (struct pool){
        .arena = arena,
        .slabs = arena_alloc(arena, user, slab_max * sizeof(uint8_t *)),
        .object_bytes = (object_bytes + 7u) & ~7u,
        .per_slab = per_slab,
        .max = max,
        .free = POOL_NONE,
        .user = (uint8_t)user,
    };
    return pool->slabs != NULL ? ERR_OK : ERR_FULL;
}

void *pool_get(struct pool *pool, uint16_t *index)
{
    if (pool->free != POOL_NONE) {
        *index = pool->free;
        void *object = pool_at(pool, *index);
        memcpy(&pool->free, object, sizeof pool->free);
        memset(object, 0, pool->object_bytes);
        pool->count++;
        return object;
    }
    if (pool->made == pool->max) {
        return NULL;
    }
    uint16_t slab = pool->made / pool->per_slab;
    if (pool->slabs[slab] == NULL) {
        pool->slabs[slab] =
            arena_alloc(pool->arena, pool->user, (size_t)pool->per_slab * pool->object_bytes);
        if (pool->slabs[slab] == NULL) {
            return NULL;
        }
    }
    *index = pool->made++;
    pool->count++;
    return pool_at(pool, *index);
}

void pool_put(struct pool *pool, uint16_t index)
{
    must(index < pool->made);
    must(pool->count > 0);

    memcpy(pool_at(pool, index), &pool->free, sizeof pool->free);
    pool->free = index;
    pool->count--;
}
