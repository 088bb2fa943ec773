/* test_seen.c - the seen-filter forgets what it may and nothing else. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/gossip/seen.h"
#include "tests/support/bare_port.h"

enum { MAX = 100 };

static struct bare_port *bare;
static struct seen *seen;

static void setup(void)
{
    bare = bare_open(1);
    seen = seen_new(&bare->core, MAX);
    cr_assert_not_null(seen);
}

static void teardown(void)
{
    cr_expect_null(seen_check(seen));
    bare_close(bare);
}

TestSuite(seen, .init = setup, .fini = teardown);

struct broadcast_id {
    uint8_t bytes[BROADCAST_ID_LEN];
};

static struct broadcast_id id_number(uint64_t number)
{
    struct broadcast_id id = {{0}};
    uint64_t mixed = rng_mix(number);
    memcpy(id.bytes, &mixed, sizeof mixed);
    return id;
}

static bool has(uint64_t number)
{
    struct broadcast_id id = id_number(number);
    return seen_has(seen, id.bytes);
}

static void add(uint64_t number)
{
    struct broadcast_id id = id_number(number);
    seen_add(seen, bare->port.now_us, id.bytes);
}

Test(seen, an_id_is_remembered_for_as_many_more_as_a_generation_holds)
{
    for (uint64_t i = 0; i < 1000; i++) {
        cr_assert_not(has(i));
        add(i);
        for (uint64_t back = 0; back <= MAX && back <= i; back++) {
            cr_assert(has(i - back), "%d back from %d", (int)back, (int)i);
        }
        if (i >= 2 * MAX) {
            cr_assert_not(has(i - 2 * MAX), "after %d", (int)i);
        }
        cr_assert_null(seen_check(seen));
    }
}

Test(seen, a_generation_grows_old_even_when_not_full)
{
    add(1);
    bare->port.now_us += SEEN_AGE_US - 1;
    add(2);
    bare->port.now_us += 1;
    add(3); /* Begins the second generation. */
    cr_assert(has(1) && has(2) && has(3));
    bare->port.now_us += SEEN_AGE_US;
    add(4); /* The third. */
    cr_assert(!has(1) && !has(2) && has(3) && has(4));
}

Test(seen, memory_is_fixed)
{
    uint32_t used = bare->core.arena.used_bytes[ARENA_GOSSIP];
    cr_assert_leq(used, sizeof *seen + 2 * 256 * sizeof(uint64_t));
    for (uint64_t i = 0; i < 10000; i++) {
        add(i);
    }
    cr_assert_eq(bare->core.arena.used_bytes[ARENA_GOSSIP], used);
}

Test(seen, an_id_of_zeros_is_an_id)
{
    static const uint8_t zeros[BROADCAST_ID_LEN];
    cr_assert_not(seen_has(seen, zeros));
    seen_add(seen, bare->port.now_us, zeros);
    cr_assert(seen_has(seen, zeros));
}

Test(seen, ids_that_differ_late_only_are_told_apart_by_their_first_eight_bytes)
{
    /* The tag is 64 bits of a hash: two broadcasts share it once in 2^64. */
    uint8_t id[BROADCAST_ID_LEN] = {1};
    seen_add(seen, bare->port.now_us, id);
    for (int byte = 0; byte < 8; byte++) {
        uint8_t other[BROADCAST_ID_LEN] = {1};
        other[byte] ^= 0x80;
        cr_assert_not(seen_has(seen, other), "byte %d", byte);
    }
}

Test(seen, no_memory_is_no_set)
{
    bare->bytes_max = bare->bytes_given;
    cr_assert_null(seen_new(&bare->core, 10000));
}
