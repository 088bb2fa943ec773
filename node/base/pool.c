/* pool.c - slabs taken and given back, free lists inside the unused objects. */
#include "node/base/pool.h"

#include <string.h>

#include "node/base/err.h"
#include "node/base/must.h"

static bool slab_take(struct pool *pool, struct pool_slab *slab);

int pool_init(struct pool *pool, struct arena *arena, enum arena_user user, uint32_t object_bytes,
              uint16_t per_slab, uint16_t max)
{
    must(object_bytes >= sizeof(uint16_t));
    must(per_slab > 0 && max > 0 && max < POOL_NONE);

    uint32_t slab_max = ((uint32_t)max + per_slab - 1) / per_slab;
    *pool = (struct pool){
        .arena = arena,
        .slabs = arena_alloc(arena, user, slab_max * sizeof(struct pool_slab)),
        .object_bytes = (object_bytes + 7u) & ~7u,
        .per_slab = per_slab,
        .max = max,
        .user = (uint8_t)user,
    };
    return pool->slabs != NULL ? ERR_OK : ERR_FULL;
}

void *pool_get(struct pool *pool, uint16_t *index)
{
    if (pool->count == pool->max) {
        return NULL;
    }
    struct pool_slab *slab = &pool->slabs[pool->first_room];
    while (slab->used == pool->per_slab) {
        slab = &pool->slabs[++pool->first_room];
    }
    if (slab->memory == NULL && !slab_take(pool, slab)) {
        return NULL;
    }
    uint16_t place = slab->free;
    bool is_fresh = place == POOL_NONE;
    if (is_fresh) {
        must(slab->fresh > 0);
        place = (uint16_t)(pool->per_slab - slab->fresh--);
    }
    uint8_t *object = slab->memory + (uint32_t)place * pool->object_bytes;
    if (!is_fresh) {
        memcpy(&slab->free, object, sizeof slab->free);
        memset(object, 0, sizeof slab->free); /* The rest was zeroed when it was freed. */
    }
    slab->used++;
    pool->count++;
    *index = (uint16_t)(pool->first_room * pool->per_slab + place);
    pool->made = *index >= pool->made ? (uint16_t)(*index + 1) : pool->made;
    return object;
}

void pool_put(struct pool *pool, uint16_t index)
{
    must(index < pool->made);
    uint16_t number = index / pool->per_slab;
    struct pool_slab *slab = &pool->slabs[number];
    must(slab->memory != NULL && slab->used > 0);

    pool->count--;
    pool->first_room = number < pool->first_room ? number : pool->first_room;
    if (--slab->used == 0) {
        arena_give_back(pool->arena, pool->user, slab->memory,
                        (size_t)pool->per_slab * pool->object_bytes);
        slab->memory = NULL;
        return;
    }
    uint8_t *object = pool_at(pool, index);
    memset(object, 0, pool->object_bytes);
    memcpy(object, &slab->free, sizeof slab->free);
    slab->free = index % pool->per_slab;
}

static bool slab_take(struct pool *pool, struct pool_slab *slab)
{
    *slab = (struct pool_slab){
        .memory = arena_take(pool->arena, pool->user, (size_t)pool->per_slab * pool->object_bytes),
        .free = POOL_NONE,
        .fresh = pool->per_slab,
    };
    return slab->memory != NULL;
}
