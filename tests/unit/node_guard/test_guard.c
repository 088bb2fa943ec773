/* test_guard.c - how much a crowd of strangers gets, in tokens. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/base/err.h"
#include "node/guard/guard.h"
#include "tests/support/bare_port.h"

#define SECOND UINT64_C(1000000)

static const struct guard_config ordinary = {
    .group_rate = 7, /* Does not divide a million: drift would show. */
    .group_burst = 40,
    .groups_max = 64,
    .handshake_rate = 3,
    .handshake_burst = 10,
    .peers_max = 64,
    .peer_per_minute = 100, /* The live node's defaults. */
    .peer_per_hour = 1000,
    .bans_max = 4,
    .threat_medium = 500,
    .threat_high = 2000,
    .threat_decay = 5,
    .weights = {[GUARD_EXCESS] = 1,
                [GUARD_UNASKED] = 1,
                [GUARD_UNKNOWN] = 5,
                [GUARD_MALFORMED] = 200,
                [GUARD_FORGED] = 500},
    .ban_s = 3600,
};

static struct bare_port *bare;
static struct guard guard;
static int init(const struct guard_config *config)
{
    return guard_init(&guard, &bare->core, config, &(struct guard_hooks){0});
}

static void setup(void)
{
    bare = bare_open(1);
    cr_assert_eq(init(&ordinary), ERR_OK);
}

static void teardown(void)
{
    bare_close(bare);
}

TestSuite(guard, .init = setup, .fini = teardown);

static struct port_addr addr_v4(uint32_t number)
{
    struct port_addr addr = {.ip = {[10] = 0xff, 0xff}};
    for (int i = 0; i < 4; i++) {
        addr.ip[12 + i] = (uint8_t)(number >> (24 - 8 * i));
    }
    return addr;
}

/* The n-th address group. */
static struct port_addr group(uint32_t number)
{
    return addr_v4(UINT32_C(0x0a000001) + (number << 8));
}

static uint32_t admitted_of(uint32_t tries, const struct port_addr *addr)
{
    uint32_t admitted = 0;
    for (uint32_t i = 0; i < tries; i++) {
        admitted += guard_admit(&guard, addr, GUARD_STRANGER, GUARD_DATA);
    }
    return admitted;
}

Test(guard, a_burst_is_admitted_and_not_one_more)
{
    struct port_addr addr = group(1);
    cr_assert_eq(admitted_of(100, &addr), ordinary.group_burst);
    cr_assert_eq(bare->core.counters.value[COUNT_THROTTLED], 60);
}

/* Every slot of the strangers' table is full of debt, whoever asks. */
Test(guard, strangers_in_any_name_crowd_out_nobody_who_has_proved_an_address)
{
    for (uint32_t i = 0; i < 4u * ordinary.groups_max; i++) {
        struct port_addr forged = group(i);
        (void)admitted_of(2 * ordinary.group_burst, &forged);
    }
    struct port_addr honest = group(3);
    cr_assert_not(guard_admit(&guard, &honest, GUARD_STRANGER, GUARD_DATA));
    uint32_t admitted = 0;
    for (uint32_t i = 0; i < 2 * ordinary.group_burst; i++) {
        admitted += guard_admit(&guard, &honest, GUARD_PROVED, GUARD_DATA);
    }
    cr_assert_eq(admitted, ordinary.group_burst, "proved or not, the limit is the same");
}

Test(guard, a_handshake_costs_four_tokens)
{
    struct port_addr addr = group(1);
    uint32_t admitted = 0;
    for (int i = 0; i < 100; i++) {
        admitted += guard_admit(&guard, &addr, GUARD_STRANGER, GUARD_HANDSHAKE);
    }
    cr_assert_eq(admitted, ordinary.group_burst / GUARD_HANDSHAKE);
}

Test(guard, the_rate_is_exact_over_ten_hours_of_odd_steps)
{
    struct port_addr addr = group(1);
    cr_assert_eq(admitted_of(100, &addr), ordinary.group_burst);

    /* Steps of 0..199 ms, all far below the burst's 5.7 s: nothing may be lost or won. */
    struct rng rng;
    rng_seed(&rng, 42);
    uint64_t start_us = bare->port.now_us;
    uint64_t end_us = start_us + 10 * 3600 * SECOND;
    uint64_t admitted = 0;
    while (bare->port.now_us < end_us) {
        uint64_t step_us = rng_below(&rng, 200000);
        uint64_t left_us = end_us - bare->port.now_us;
        bare->port.now_us += step_us < left_us ? step_us : left_us;
        admitted += admitted_of(3, &addr);
    }
    cr_assert_eq(admitted, UINT64_C(10) * 3600 * ordinary.group_rate);
}

Test(guard, long_idleness_fills_the_bucket_to_the_burst_and_no_further)
{
    struct port_addr addr = group(1);
    cr_assert_eq(admitted_of(100, &addr), ordinary.group_burst);
    bare->port.now_us = UINT64_MAX - 1; /* Half a million years. */
    cr_assert_eq(admitted_of(100, &addr), ordinary.group_burst);
}

Test(guard, groups_have_buckets_of_their_own_and_share_them_within)
{
    for (uint32_t i = 0; i < 6; i++) {
        struct port_addr addr = group(i);
        cr_assert_eq(admitted_of(100, &addr), ordinary.group_burst, "group %u", i);
        struct port_addr neighbour = addr_v4(UINT32_C(0x0a000077) + (i << 8));
        neighbour.port[1] = 9;
        cr_assert_eq(admitted_of(100, &neighbour), 0, "group %u", i);
    }
}

Test(guard, ipv6_addresses_share_a_bucket_within_their_48_bits)
{
    struct port_addr first = {.ip = {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 1}};
    struct port_addr neighbour = {.ip = {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0xff, 2, 9}};
    struct port_addr other = {.ip = {0x20, 0x01, 0x0d, 0xb8, 0, 2}};
    cr_assert_eq(admitted_of(100, &first), ordinary.group_burst);
    cr_assert_eq(admitted_of(100, &neighbour), 0);
    cr_assert_eq(admitted_of(100, &other), ordinary.group_burst);
}

/* All groups together get what the slots of the table can give: their bursts once, then their
 * rates. 10,000 groups and no bound would get 400,000 tokens at once. */
Test(guard, cycling_ten_thousand_groups_gains_nothing_over_the_table)
{
    enum { GROUPS = 10000 };
    uint64_t start_us = bare->port.now_us;
    uint64_t admitted = 0;
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < GROUPS; i++) {
            struct port_addr addr = group(i);
            admitted += admitted_of(3, &addr);
            bare->port.now_us += 10;
        }
    }
    uint64_t elapsed_us = bare->port.now_us - start_us;
    uint64_t burst_sum = (uint64_t)ordinary.groups_max * ordinary.group_burst;
    uint64_t earned =
        (uint64_t)ordinary.groups_max * (elapsed_us * ordinary.group_rate / SECOND + 1);
    cr_assert_leq(admitted, burst_sum + earned);
    cr_assert_geq(admitted, burst_sum, "the table's slots are all in use");
}

Test(guard, two_thousand_quiet_groups_are_all_served_by_sixty_four_slots)
{
    /* One datagram each per 50 s: what evicted slots owe is paid back by then. */
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < 2000; i++) {
            struct port_addr addr = group(i);
            cr_assert(guard_admit(&guard, &addr, GUARD_STRANGER, GUARD_DATA), "round %u group %u",
                      round, i);
            bare->port.now_us += 25000;
        }
    }
    cr_assert_eq(bare->core.counters.value[COUNT_THROTTLED], 0);
}

Test(guard, memory_is_taken_on_first_use_and_never_again)
{
    cr_assert_eq(bare->core.arena.used_bytes[ARENA_GUARD], 0);
    uint32_t admitted = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        struct port_addr addr = group(i);
        admitted += admitted_of(1, &addr);
        bare->port.now_us++;
    }
    cr_assert_geq(admitted, ordinary.groups_max * ordinary.group_burst, "every slot was used");
    cr_assert_eq(bare->core.arena.used_bytes[ARENA_GUARD],
                 ordinary.groups_max * sizeof(struct guard_slot));
}

Test(guard, a_node_without_memory_refuses)
{
    bare->bytes_max = 0;
    struct port_addr addr = group(1);
    cr_assert_not(guard_admit(&guard, &addr, GUARD_STRANGER, GUARD_DATA));
    cr_assert_eq(bare->core.counters.value[COUNT_THROTTLED], 1);
}

Test(guard, handshakes_of_the_whole_node_have_one_exact_bucket)
{
    uint32_t admitted = 0;
    for (int i = 0; i < 100; i++) {
        admitted += guard_admit_handshake(&guard);
    }
    cr_assert_eq(admitted, ordinary.handshake_burst);
    cr_assert_eq(bare->core.counters.value[COUNT_THROTTLED], 0, "a cookie is not a refusal");

    for (int i = 0; i < 3600 * 10; i++) {
        bare->port.now_us += SECOND / 10;
        admitted += guard_admit_handshake(&guard);
    }
    cr_assert_eq(admitted, ordinary.handshake_burst + 3600 * ordinary.handshake_rate);
}

Test(guard, a_rate_of_zero_switches_a_limit_off)
{
    static const struct guard_config off = {.bans_max = 1};
    cr_assert_eq(init(&off), ERR_OK);
    struct port_addr addr = group(1);
    struct node_id peer = {.bytes = {1}};
    for (int i = 0; i < 100000; i++) {
        cr_assert(guard_admit(&guard, &addr, GUARD_STRANGER, GUARD_HANDSHAKE));
        cr_assert(guard_admit_peer(&guard, &peer, false));
        guard_offend(&guard, &peer, GUARD_FORGED);
        cr_assert(guard_admit_handshake(&guard));
    }
    cr_assert_eq(bare->core.arena.used_bytes[ARENA_GUARD], 0);
}

Test(guard, a_handshake_burst_of_zero_asks_everybody_for_a_cookie)
{
    static const struct guard_config strict = {.handshake_rate = 1, .bans_max = 1};
    cr_assert_eq(init(&strict), ERR_OK);
    cr_assert_not(guard_admit_handshake(&guard));
    bare->port.now_us += 100 * SECOND;
    cr_assert_not(guard_admit_handshake(&guard));
}

Test(guard, configurations_out_of_their_limits_are_refused)
{
    struct guard_config config = ordinary;
    config.groups_max = 48;
    cr_expect_eq(init(&config), ERR_INVALID, "not a power of two");
    config = ordinary;
    config.groups_max = 4;
    cr_expect_eq(init(&config), ERR_INVALID, "smaller than a set");
    config = ordinary;
    config.group_burst = GUARD_BURST_MAX + 1;
    cr_expect_eq(init(&config), ERR_INVALID, "debt would not fit");
    config = ordinary;
    config.peers_max = 0;
    cr_expect_eq(init(&config), ERR_INVALID, "no room for peers");
    config = ordinary;
    config.peer_per_hour = GUARD_REQUESTS_MAX + 1;
    cr_expect_eq(init(&config), ERR_INVALID, "debt would not fit");
    config = ordinary;
    config.threat_high = GUARD_THREAT_MAX + 1;
    cr_expect_eq(init(&config), ERR_INVALID, "threat would not fit");
    config = ordinary;
    config.threat_medium = config.threat_high + 1;
    cr_expect_eq(init(&config), ERR_INVALID, "medium above high");
    config = ordinary;
    config.bans_max = 0;
    cr_expect_eq(init(&config), ERR_INVALID, "no room for bans");
}
