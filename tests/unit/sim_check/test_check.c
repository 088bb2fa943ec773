/* test_check.c - each invariant holds in a healthy run, and is missed when something is broken. */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "sim/check/check.h"
#include "sim/host/world.h"
#include "tests/support/small_world.h"

enum { NODES = 50 };

struct violations {
    uint32_t count;
    uint32_t node;
    const char *what;
};

static struct small_world *small;
static struct violations seen;
static struct check check;

static void on_violation(void *arg, uint32_t node, const char *what)
{
    struct violations *violations = arg;
    violations->count++;
    violations->node = node;
    violations->what = what;
}

static void open_small(void)
{
    small = small_world_open(NODES, 1);
    small_world_work(small, OPERATION_STORE, 2)->key_count = 5;
    small_world_work(small, OPERATION_MESSAGE, 2);
    small->options.key_count = 5;
    small_world_start(small);
    small_world_run(small, 20 * SMALL_SECOND);
    check = (struct check){.world = small->world,
                           .population = small->population,
                           .violation = on_violation,
                           .arg = &seen};
}

static void close_small(void)
{
    small_world_close(small);
}

static void expect_finding(uint32_t node, const char *words)
{
    seen = (struct violations){0};
    check_finish(&check);
    cr_assert_geq(seen.count, 1, "the broken invariant is missed");
    cr_assert_eq(seen.node, node);
    cr_assert_not_null(strstr(seen.what, words), "%s", seen.what);
}

TestSuite(check, .init = open_small, .fini = close_small);

Test(check, a_healthy_run_breaks_nothing)
{
    for (int tick = 0; tick < 50; tick++) {
        check_tick(&check);
    }
    check_finish(&check);
    cr_assert_eq(seen.count, 0, "%s", seen.what);
}

Test(check, a_broken_table_is_reported)
{
    struct dht_table *table = &world_host(small->world, 9)->node->dht.table;
    table->count++;
    seen = (struct violations){0};
    check_finish(&check);
    cr_assert(seen.count == 1 && seen.node == 9);
    table->count--;
}

Test(check, ticks_come_round_to_every_node)
{
    struct dht_table *table = &world_host(small->world, NODES - 1)->node->dht.table;
    table->count++;
    for (uint32_t tick = 0; tick < NODES / CHECK_NODES_MIN + 1 && seen.count == 0; tick++) {
        check_tick(&check);
    }
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(seen.node, NODES - 1);
    table->count--;
}

Test(check, a_host_that_miscounts_its_chunks_is_reported)
{
    struct host *host = world_host(small->world, 3);
    host->chunk_bytes += 8;
    expect_finding(3, "sum of its chunks");
    host->chunk_bytes -= 8;
}

Test(check, an_arena_that_differs_from_its_host_is_reported)
{
    struct arena *arena = &world_host(small->world, 3)->node->core.arena;
    arena->chunk_bytes += 8;
    expect_finding(3, "not what its host gave");
    arena->chunk_bytes -= 8;
}

Test(check, modules_that_use_more_than_there_is_are_reported)
{
    struct arena *arena = &world_host(small->world, 3)->node->core.arena;
    arena->used_bytes[ARENA_TABLE] += 1000000;
    expect_finding(3, "use more than its arena");
    arena->used_bytes[ARENA_TABLE] -= 1000000;
}

Test(check, memory_that_a_dead_node_keeps_is_reported)
{
    struct host *host = world_host(small->world, 3);
    struct population_leave leave = {.select = POPULATION_SELECT_ALL, .fraction = UINT32_MAX};
    population_leave(small->population, &leave);
    host->chunk_bytes = 8;
    expect_finding(3, "down holds memory");
    host->chunk_bytes = 0;
}

Test(check, a_wrong_sum_of_all_memory_is_reported)
{
    small->world->shards[0]->node_bytes += 16;
    expect_finding(POPULATION_ALL, "count of node memory");
    small->world->shards[0]->node_bytes -= 16;
}

Test(check, a_datagram_from_who_never_started_is_reported)
{
    struct host *host = world_host(small->world, 5);
    struct event event = {.time_us = world_now_us(small->world), .source = 5};
    check_event(&check, &event, HOST_EVENT_DATAGRAM);
    cr_assert_eq(seen.count, 0);
    uint32_t incarnation = host->incarnation;
    host->incarnation = 0;
    check_event(&check, &event, HOST_EVENT_WAKE);
    cr_assert_eq(seen.count, 0, "a wake-up has no sender");
    check_event(&check, &event, HOST_EVENT_DATAGRAM);
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(seen.node, 5);
    host->incarnation = incarnation;
}

Test(check, a_datagram_from_the_long_dead_is_reported)
{
    struct population_leave leave = {.select = POPULATION_SELECT_ALL, .fraction = UINT32_MAX};
    population_leave(small->population, &leave);
    uint64_t now_us = world_now_us(small->world);
    cr_assert_null(check_sender(small->population, 5, now_us + CHECK_FLIGHT_US),
                   "it may have been under way");
    cr_assert_not_null(check_sender(small->population, 5, now_us + CHECK_FLIGHT_US + 1));
}

static void forget(struct node *node, void *arg)
{
    const struct node_id *key = arg;
    dht_store_drop(&node->dht.store, key);
    timerq_settle(&node->core.timers);
}

Test(check, an_acknowledged_record_that_its_holder_forgot_is_reported)
{
    struct key *key = keys_at(&small->population->keys, 0);
    cr_assert_geq(key->acknowledged, 3, "it has been stored");
    uint32_t holder = key->holders[1];
    host_enter(world_host(small->world, holder), forget, &key->id);
    expect_finding(holder, "acknowledged record");
}

Test(check, a_record_that_left_with_its_holder_is_no_violation)
{
    struct key *key = keys_at(&small->population->keys, 0);
    uint32_t holder = key->holders[1];
    host_enter(world_host(small->world, holder), forget, &key->id);
    /* It came, or joined, after the put was acknowledged. */
    small->population->members[holder].joined_us = key->last_us + 1;
    check_finish(&check);
    cr_assert_eq(seen.count, 0, "%s", seen.what);
}

Test(check, an_expired_record_may_go)
{
    struct key *key = keys_at(&small->population->keys, 0);
    host_enter(world_host(small->world, key->holders[1]), forget, &key->id);
    small->population->options.value_expiry_us = world_now_us(small->world) - key->last_us;
    check_finish(&check);
    cr_assert_eq(seen.count, 0, "%s", seen.what);
}
