/* test_arena.c - a node's memory: accounting, alignment, the end of it; and the pools on top. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/base/err.h"
#include "node/base/pool.h"
#include "tests/support/bare_port.h"

static struct bare_port *bare;
static struct arena *arena;

static void setup(void)
{
    bare = bare_open(1);
    arena = &bare->core.arena;
}

static void teardown(void)
{
    bare_close(bare);
}

TestSuite(arena, .init = setup, .fini = teardown);
TestSuite(pool, .init = setup, .fini = teardown);

Test(arena, memory_is_aligned_zeroed_and_booked_to_its_user)
{
    uint32_t booked[ARENA_USER_COUNT] = {0};
    struct rng rng;
    rng_seed(&rng, 7);
    for (int i = 0; i < 1000; i++) {
        size_t bytes = 1 + rng_below(&rng, 300);
        enum arena_user user = (enum arena_user)rng_below(&rng, ARENA_USER_COUNT);
        uint8_t *memory = arena_alloc(arena, user, bytes);
        cr_assert_eq((uintptr_t)memory % 8, 0);
        for (size_t at = 0; at < bytes; at++) {
            cr_assert_eq(memory[at], 0, "block %d overlaps an earlier one", i);
        }
        memset(memory, 0xa5, bytes);
        booked[user] += (uint32_t)(bytes + 7) / 8 * 8;
    }
    uint32_t sum = 0;
    for (int user = 0; user < ARENA_USER_COUNT; user++) {
        cr_assert_eq(arena->used_bytes[user], booked[user], "user %d", user);
        sum += booked[user];
    }
    cr_assert_eq(arena->chunk_bytes, bare->bytes_given);
    cr_assert_geq(arena->chunk_bytes, sum);
    /* What is left at the ends of chunks stays a small part. */
    cr_assert_leq(arena->chunk_bytes, sum + sum / 5);
}

Test(arena, the_end_of_memory_is_null_and_leaves_the_books_alone)
{
    bare->bytes_max = 4096;
    cr_assert_not_null(arena_alloc(arena, ARENA_TABLE, 4096));
    cr_assert_null(arena_alloc(arena, ARENA_TABLE, 1));
    cr_assert_eq(arena->used_bytes[ARENA_TABLE], 4096);
    cr_assert_eq(arena->chunk_bytes, 4096);
}

Test(arena, an_oversized_block_does_not_waste_the_chunk_in_use)
{
    cr_assert_not_null(arena_alloc(arena, ARENA_NODE, 8));
    size_t given = bare->bytes_given;
    cr_assert_not_null(arena_alloc(arena, ARENA_NODE, 100000));
    given += 100000;
    cr_assert_eq(bare->bytes_given, given);
    cr_assert_not_null(arena_alloc(arena, ARENA_NODE, 200));
    cr_assert_eq(bare->bytes_given, given, "the small block came from the first chunk");
}

Test(pool, objects_keep_their_address_and_come_back_zeroed)
{
    struct pool pool;
    cr_assert_eq(pool_init(&pool, arena, ARENA_CALLS, 20, 4, 10), ERR_OK);
    void *objects[10];
    for (uint16_t i = 0; i < 10; i++) {
        uint16_t index;
        objects[i] = pool_get(&pool, &index);
        cr_assert_eq(index, i);
        cr_assert_eq(pool_at(&pool, index), objects[i]);
        memset(objects[i], 0xff, 20);
    }
    uint16_t index;
    cr_assert_null(pool_get(&pool, &index), "ten are in use");
    cr_assert_eq(pool.count, 10);

    uint32_t booked = arena->used_bytes[ARENA_CALLS];
    pool_put(&pool, 3);
    pool_put(&pool, 7);
    static const uint8_t zero[20];
    for (int i = 0; i < 2; i++) {
        void *object = pool_get(&pool, &index);
        cr_assert_eq(index, i == 0 ? 3 : 7, "low ones first");
        cr_assert_eq(object, objects[index]);
        cr_assert_arr_eq(object, zero, 20);
    }
    cr_assert_null(pool_get(&pool, &index));
    cr_assert_eq(arena->used_bytes[ARENA_CALLS], booked, "reuse takes no memory");
}

Test(pool, slabs_go_back_with_their_last_object)
{
    struct pool pool;
    cr_assert_eq(pool_init(&pool, arena, ARENA_CALLS, 16, 2, 100), ERR_OK);
    size_t given = bare->bytes_given;
    uint32_t booked = arena->used_bytes[ARENA_CALLS];
    uint16_t index;
    for (int i = 0; i < 6; i++) {
        memset(pool_get(&pool, &index), 0xff, 16);
    }
    cr_assert_eq(bare->bytes_given, given + (2 + 2 + 4) * 16);
    pool_put(&pool, 3);
    cr_assert_not_null(pool_peek(&pool, 3), "its neighbour is in use");
    pool_put(&pool, 2);
    cr_assert_eq(bare->bytes_given, given + (2 + 4) * 16);
    cr_assert_null(pool_peek(&pool, 2));
    cr_assert_null(pool_peek(&pool, 6), "never handed out");
    static const uint8_t zero[16];
    uint8_t *again = pool_get(&pool, &index);
    cr_assert_eq(index, 2);
    cr_assert_arr_eq(again, zero, 16);
    pool_put(&pool, 2);
    for (uint16_t i = 0; i < 6; i++) {
        if (i / 2 != 1) {
            pool_put(&pool, i);
        }
    }
    cr_assert_eq(bare->bytes_given, given);
    cr_assert_eq(arena->used_bytes[ARENA_CALLS], booked);
}

Test(pool, slabs_are_allocated_on_use)
{
    struct pool pool;
    cr_assert_eq(pool_init(&pool, arena, ARENA_CALLS, 16, 8, 1000), ERR_OK);
    uint32_t bare_pool = arena->used_bytes[ARENA_CALLS];
    uint16_t index;
    cr_assert_not_null(pool_get(&pool, &index));
    cr_assert_eq(arena->used_bytes[ARENA_CALLS], bare_pool + 8 * 16);
}

Test(pool, slabs_double_and_the_last_one_ends_with_the_pool)
{
    struct pool pool;
    cr_assert_eq(pool_init(&pool, arena, ARENA_CALLS, 16, 4, 21), ERR_OK);
    uint32_t bare_pool = arena->used_bytes[ARENA_CALLS];
    uint16_t index;
    for (uint16_t i = 0; i < 21; i++) {
        static const uint8_t expected[] = {4, 8, 16, 21};
        memset(pool_get(&pool, &index), 0xff, 16);
        cr_assert_eq(index, i);
        uint32_t slab = pool_slab_of(&pool, i);
        cr_assert_eq(arena->used_bytes[ARENA_CALLS], bare_pool + expected[slab] * 16);
        cr_assert_geq(i, pool_slab_start(&pool, slab));
        cr_assert_lt(i, expected[slab]);
    }
    cr_assert_null(pool_get(&pool, &index));
}

Test(pool, the_end_of_memory_is_null_and_a_freed_object_still_serves)
{
    struct pool pool;
    bare->bytes_max = 3 * 1024;
    cr_assert_eq(pool_init(&pool, arena, ARENA_CALLS, 500, 1, 100), ERR_OK);
    uint16_t index = 0;
    uint16_t got = 0;
    while (pool_get(&pool, &index) != NULL) {
        got++;
    }
    cr_assert_geq(got, 1u);
    cr_assert_leq(bare->bytes_given, 3u * 1024);
    cr_assert_eq(pool.count, got);
    pool_put(&pool, 0);
    cr_assert_not_null(pool_get(&pool, &index));
    cr_assert_null(pool_get(&pool, &index));
}

Test(pool, an_index_never_handed_out_is_a_bug, .signal = SIGABRT)
{
    struct pool pool;
    cr_assert_eq(pool_init(&pool, arena, ARENA_CALLS, 16, 8, 8), ERR_OK);
    pool_put(&pool, 0);
}
