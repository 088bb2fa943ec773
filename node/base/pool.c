/* pool.c - slabs taken and given back, free lists inside the unused objects. */
#include "node/base/pool.h"

#include <string.h>

#include "node/base/err.h"
#include "node/base/must.h"

static uint32_t slab_len(const struct pool *pool, uint32_t slab);
static bool slab_take(struct pool *pool, uint32_t slab);

int pool_init(struct pool *pool, struct arena *arena, enum arena_user user, uint32_t object_bytes,
              uint16_t first, uint16_t max)
{
    must(object_bytes >= sizeof(uint16_t));
    must(first > 0 && (first & (first - 1u)) == 0);
    must(max > 0 && max < POOL_NONE);

    *pool = (struct pool){
        .arena = arena,
        .object_bytes = (object_bytes + 7u) & ~7u,
        .first_shift = (uint8_t)__builtin_ctz(first),
        .max = max,
        .user = (uint8_t)user,
    };
    uint32_t slabs = pool_slab_of(pool, max - 1u) + 1;
    pool->slabs = arena_alloc(arena, user, slabs * sizeof(struct pool_slab));
    return pool->slabs != NULL ? ERR_OK : ERR_FULL;
}

void *pool_get(struct pool *pool, uint16_t *index)
{
    if (pool->count == pool->max) {
        return NULL;
    }
    uint32_t number = pool->first_room;
    while (pool->slabs[number].used == slab_len(pool, number)) {
        number++;
    }
    pool->first_room = (uint8_t)number;
    struct pool_slab *slab = &pool->slabs[number];
    if (slab->memory == NULL && !slab_take(pool, number)) {
        return NULL;
    }
    uint16_t place = slab->free;
    bool is_fresh = place == POOL_NONE;
    if (is_fresh) {
        must(slab->fresh > 0);
        place = (uint16_t)(slab_len(pool, number) - slab->fresh--);
    }
    uint8_t *object = slab->memory + (uint32_t)place * pool->object_bytes;
    if (!is_fresh) {
        memcpy(&slab->free, object, sizeof slab->free);
        memset(object, 0, sizeof slab->free); /* The rest was zeroed when it was freed. */
    }
    slab->used++;
    pool->count++;
    *index = (uint16_t)(pool_slab_start(pool, number) + place);
    pool->made = *index >= pool->made ? (uint16_t)(*index + 1) : pool->made;
    return object;
}

void pool_put(struct pool *pool, uint16_t index)
{
    must(index < pool->made);
    uint32_t number = pool_slab_of(pool, index);
    struct pool_slab *slab = &pool->slabs[number];
    must(slab->memory != NULL && slab->used > 0);

    pool->count--;
    pool->first_room = number < pool->first_room ? (uint8_t)number : pool->first_room;
    if (--slab->used == 0) {
        arena_give_back(pool->arena, pool->user, slab->memory,
                        (size_t)slab_len(pool, number) * pool->object_bytes);
        slab->memory = NULL;
        return;
    }
    uint8_t *object = pool_at(pool, index);
    memset(object, 0, pool->object_bytes);
    memcpy(object, &slab->free, sizeof slab->free);
    slab->free = (uint16_t)(index - pool_slab_start(pool, number));
}

/* Objects of a slab; the last one ends with the pool. */
static uint32_t slab_len(const struct pool *pool, uint32_t slab)
{
    uint32_t start = pool_slab_start(pool, slab);
    uint32_t len = slab == 0 ? UINT32_C(1) << pool->first_shift : start;
    return start + len <= pool->max ? len : pool->max - start;
}

static bool slab_take(struct pool *pool, uint32_t slab)
{
    uint32_t len = slab_len(pool, slab);
    pool->slabs[slab] = (struct pool_slab){
        .memory = arena_take(pool->arena, pool->user, (size_t)len * pool->object_bytes),
        .free = POOL_NONE,
        .fresh = (uint16_t)len,
    };
    return pool->slabs[slab].memory != NULL;
}
