/* test_peer.c - what one peer may ask for, what its offences come to, and how bans end. */
#include <criterion/criterion.h>

#include "node/base/err.h"
#include "node/guard/guard.h"
#include "tests/support/bare_port.h"

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR   (3600 * SECOND)

static const struct guard_config live = {
    .group_rate = 200,
    .group_burst = 400,
    .groups_max = 256,
    .peers_max = 1024,
    .peer_per_minute = 100,
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
static struct guard_config config;
static uint32_t told;          /* How often hooks.banned was called, */
static struct node_id told_id; /* and about whom last. */
static uint32_t trust_micro;

static void on_banned(void *arg, const struct node_id *id, uint32_t points)
{
    (void)arg;
    cr_assert_eq(points, config.threat_high);
    told++;
    told_id = *id;
}

static uint32_t on_trust(void *arg, const struct node_id *id)
{
    (void)arg;
    (void)id;
    return trust_micro;
}

static void start(const struct guard_hooks *hooks)
{
    cr_assert_eq(guard_init(&guard, &bare->core, &config, hooks), ERR_OK);
}

static void setup(void)
{
    bare = bare_open(1);
    config = live;
    told = 0;
    start(&(struct guard_hooks){.banned = on_banned});
}

static void teardown(void)
{
    bare_close(bare);
}

TestSuite(peer, .init = setup, .fini = teardown);

static struct node_id peer_id(uint32_t number)
{
    return (struct node_id){
        .bytes = {(uint8_t)number, (uint8_t)(number >> 8), (uint8_t)(number >> 16)}};
}

static uint32_t admitted_of(uint32_t tries, const struct node_id *id, bool is_early)
{
    uint32_t admitted = 0;
    for (uint32_t i = 0; i < tries; i++) {
        admitted += guard_admit_peer(&guard, id, is_early);
    }
    return admitted;
}

static uint32_t counted(enum counter which)
{
    return bare->core.counters.value[which];
}

Test(peer, may_ask_a_hundred_times_in_a_minute_and_a_thousand_times_in_an_hour)
{
    config.threat_high = config.threat_medium = 0;
    struct node_id id = peer_id(1);
    uint64_t admitted = 0;
    for (uint32_t minute = 0; minute < 10; minute++) {
        cr_assert_eq(admitted_of(150, &id, false), 100, "minute %u", minute);
        admitted += 100;
        bare->port.now_us += MINUTE;
    }
    cr_assert_eq(counted(COUNT_THROTTLED), 10 * 50);
    /* 1,000 are gone, and eleven minutes earn back 183. */
    cr_assert_eq(admitted_of(100, &id, false), 100);
    bare->port.now_us += MINUTE;
    cr_assert_eq(admitted_of(150, &id, false), 11 * 1000 / 60 - 100);
    bare->port.now_us += HOUR;
    cr_assert_eq(admitted_of(150, &id, false), 100);
}

/* Neither limit divides a million microseconds: drift would show. */
Test(peer, gets_exactly_its_limit_over_a_hundred_hours_of_odd_steps)
{
    static const struct {
        uint32_t per_minute;
        uint32_t per_hour;
    } limits[] = {{7, 0}, {0, 331}};
    config.threat_high = config.threat_medium = 0;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        config.peer_per_minute = limits[i].per_minute;
        config.peer_per_hour = limits[i].per_hour;
        start(&(struct guard_hooks){0});
        struct node_id id = peer_id(1);
        cr_assert_eq(admitted_of(1000, &id, false), limits[i].per_minute + limits[i].per_hour);
        struct rng rng;
        rng_seed(&rng, 42);
        uint64_t end_us = bare->port.now_us + 100 * HOUR;
        uint64_t admitted = 0;
        while (bare->port.now_us < end_us) {
            uint64_t step_us = rng_below(&rng, 4 * SECOND);
            uint64_t left_us = end_us - bare->port.now_us;
            bare->port.now_us += step_us < left_us ? step_us : left_us;
            admitted += admitted_of(2, &id, false);
        }
        cr_assert_eq(admitted, UINT64_C(100) * (60 * limits[i].per_minute + limits[i].per_hour));
    }
}

Test(peer, keeps_its_allowance_in_sessions_whatever_is_replayed_in_its_name)
{
    struct node_id id = peer_id(1);
    cr_assert_eq(admitted_of(10000, &id, true), 100);
    cr_assert_eq(admitted_of(100, &id, false), 100);
    cr_assert_eq(counted(COUNT_OFFENCES), 0, "what may be a replay is no offence");
}

Test(peer, has_no_share_in_what_others_do)
{
    struct node_id other = peer_id(2);
    struct node_id id = peer_id(1);
    cr_assert_eq(admitted_of(1000, &other, false), 100);
    cr_assert_eq(admitted_of(100, &id, false), 100);
}

/* A busy node: ten times as many honest peers as the table has places for, each well within its
 * limits, and a flood. With the debts of those who made room passed on, as for address groups, the
 * table would admit 1,024 * 1,000 requests an hour, a quarter of what is asked here. */
Test(peer, that_keeps_its_limits_is_never_refused_by_a_busy_node)
{
    enum { HONEST = 10240, ROUNDS = 100 };
    struct node_id flooder = peer_id(HONEST);
    uint32_t flooded = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) { /* One each in nine seconds. */
        for (uint32_t i = 0; i < HONEST; i++) {
            struct node_id id = peer_id(i);
            cr_assert(guard_admit_peer(&guard, &id, false), "round %u peer %u", round, i);
            flooded += admitted_of(i % 16 == 0, &flooder, false);
            bare->port.now_us += 9 * SECOND / HONEST;
        }
    }
    cr_assert_eq(told, 1);
    cr_assert(node_id_equal(&told_id, &flooder));
    uint32_t minutes = ROUNDS * 9 / 60;
    cr_assert_leq(flooded, 100 + minutes * 100, "its place in the table is not taken from it");
}

/* Keys cost nothing, so the limits of peers alone would not stop who has many: the address group
 * does, which each of their datagrams has to pass first. */
Test(peer, with_twenty_thousand_keys_gets_no_more_than_its_address_group)
{
    struct port_addr addr = {.ip = {[10] = 0xff, 0xff, 10, 0, 0, 1}};
    uint32_t admitted = 0;
    for (uint32_t i = 0; i < 200000; i++) {
        struct node_id id = peer_id(i % 20000);
        admitted += guard_admit(&guard, &addr, GUARD_STRANGER, GUARD_DATA) &&
                    guard_admit_peer(&guard, &id, false);
        bare->port.now_us += 100;
    }
    cr_assert_leq(admitted, live.group_burst + live.group_rate * 20 + 1);
}

Test(peer, is_given_more_or_less_by_what_trust_it_has)
{
    static const struct {
        uint32_t trust_micro;
        uint32_t expected;
    } cases[] = {{500000, 100}, {1000000, 200}, {750000, 150}, {250000, 50}, {0, 10}};
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        trust_micro = cases[i].trust_micro;
        start(&(struct guard_hooks){.trust = on_trust});
        struct node_id id = peer_id(i);
        cr_expect_eq(admitted_of(500, &id, false), cases[i].expected, "trust %u", trust_micro);
        bare->port.now_us += MINUTE;
        cr_expect_eq(admitted_of(500, &id, false), cases[i].expected, "trust %u", trust_micro);
    }
    trust_micro = 0;
    config.peer_per_minute = config.peer_per_hour = 1;
    start(&(struct guard_hooks){.trust = on_trust});
    struct node_id id = peer_id(1);
    cr_expect_eq(admitted_of(5, &id, false), 1, "a limit that is scaled never becomes none");
}

/* --- threats ------------------------------------------------------------------------------- */

Test(peer, becomes_a_threat_by_its_offences_and_is_banned_by_the_worst)
{
    struct node_id id = peer_id(1);
    guard_offend(&guard, &id, GUARD_MALFORMED);
    guard_offend(&guard, &id, GUARD_MALFORMED);
    cr_assert_eq(guard_threat_of(&guard, &id), GUARD_LOW);
    guard_offend(&guard, &id, GUARD_MALFORMED);
    cr_assert_eq(guard_threat_of(&guard, &id), GUARD_MEDIUM);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_not(guard_is_banned(&guard, &id));
        guard_offend(&guard, &id, GUARD_FORGED);
    }
    cr_assert_eq(guard_threat_of(&guard, &id), GUARD_HIGH);
    cr_assert(guard_is_banned(&guard, &id));
    cr_assert_eq(told, 1);
    cr_assert(node_id_equal(&told_id, &id));
    cr_assert_eq(counted(COUNT_OFFENCES), 6);
    cr_assert_eq(counted(COUNT_THREATS), 2);
    cr_assert_eq(counted(COUNT_BANS), 1);
    guard_offend(&guard, &id, GUARD_FORGED);
    cr_assert_eq(told, 1, "what was under way still is no second ban");
}

Test(peer, is_forgiven_with_time)
{
    struct node_id id = peer_id(1);
    for (uint32_t i = 0; i < 1000; i++) { /* One malformed message in 40 s is what decay covers. */
        guard_offend(&guard, &id, GUARD_MALFORMED);
        bare->port.now_us += 40 * SECOND;
    }
    cr_assert_eq(guard_threat_of(&guard, &id), GUARD_LOW);
    for (uint32_t i = 0; i < 4; i++) {
        guard_offend(&guard, &id, GUARD_MALFORMED);
    }
    cr_assert_eq(guard_threat_of(&guard, &id), GUARD_MEDIUM);
    bare->port.now_us += (4 * 200 - 500) / 5 * SECOND;
    cr_assert_eq(guard_threat_of(&guard, &id), GUARD_MEDIUM);
    bare->port.now_us++;
    cr_assert_eq(guard_threat_of(&guard, &id), GUARD_LOW);
    cr_assert_eq(told, 0);
}

/* Five over the limit in each second are forgiven as fast as they come; a hundred are not. */
Test(peer, that_asks_too_often_is_only_refused_and_one_that_floods_is_banned)
{
    struct node_id busy = peer_id(1);
    struct node_id flooder = peer_id(2);
    for (uint32_t i = 0; i < 3600 * 5; i++) {
        (void)admitted_of(1, &busy, false);
        bare->port.now_us += SECOND / 5;
    }
    cr_assert_eq(told, 0);
    uint64_t start_us = bare->port.now_us;
    while (told == 0 && bare->port.now_us < start_us + HOUR) {
        (void)admitted_of(1, &flooder, false);
        bare->port.now_us += SECOND / 100;
    }
    cr_assert_eq(told, 1);
    cr_assert(node_id_equal(&told_id, &flooder));
    cr_assert_lt(bare->port.now_us - start_us, 25 * SECOND);
}

Test(peer, is_never_banned_when_threats_are_switched_off)
{
    config.threat_medium = config.threat_high = 0;
    struct node_id id = peer_id(1);
    for (uint32_t i = 0; i < 10000; i++) {
        guard_offend(&guard, &id, GUARD_FORGED);
    }
    cr_assert_eq(guard_threat_of(&guard, &id), GUARD_LOW);
    cr_assert_eq(told, 0);
}

Test(peer, offences_have_names)
{
    cr_assert_str_eq(guard_offence_text(GUARD_EXCESS), "excess");
    cr_assert_str_eq(guard_offence_text(GUARD_FORGED), "forged");
}

/* --- bans ---------------------------------------------------------------------------------- */

Test(ban, ends_by_itself_or_by_hand, .init = setup, .fini = teardown)
{
    struct node_id id = peer_id(1);
    cr_assert_eq(guard_ban(&guard, &id, 0), ERR_OK);
    bare->port.now_us += HOUR - 1;
    cr_assert(guard_is_banned(&guard, &id));
    bare->port.now_us++;
    cr_assert_not(guard_is_banned(&guard, &id));
    cr_assert_null(guard_ban_at(&guard, 0));
    cr_assert_eq(guard_unban(&guard, &id), ERR_MISSING);

    cr_assert_eq(guard_ban(&guard, &id, 7), ERR_OK);
    cr_assert_eq(guard_ban_at(&guard, 0)->points, 7);
    cr_assert_eq(guard_unban(&guard, &id), ERR_OK);
    cr_assert_not(guard_is_banned(&guard, &id));
    cr_assert_eq(guard_threat_of(&guard, &id), GUARD_LOW, "forgiven is forgiven");
}

Test(ban, of_the_oldest_makes_room, .init = setup, .fini = teardown)
{
    for (uint32_t i = 0; i < 6; i++) {
        struct node_id id = peer_id(i);
        cr_assert_eq(guard_ban(&guard, &id, 0), ERR_OK);
        bare->port.now_us += SECOND;
    }
    for (uint32_t i = 0; i < 6; i++) {
        struct node_id id = peer_id(i);
        cr_assert_eq(guard_is_banned(&guard, &id), i >= 2, "ban %u", i);
    }
    /* Renewed, it is the newest. */
    struct node_id oldest = peer_id(2);
    struct node_id newcomer = peer_id(6);
    struct node_id next = peer_id(3);
    cr_assert_eq(guard_ban(&guard, &oldest, 0), ERR_OK);
    cr_assert_eq(guard_ban(&guard, &newcomer, 0), ERR_OK);
    cr_assert(guard_is_banned(&guard, &oldest));
    cr_assert_not(guard_is_banned(&guard, &next));
    uint32_t listed = 0;
    uint64_t until_us = 0;
    for (const struct guard_ban *ban; (ban = guard_ban_at(&guard, listed)) != NULL; listed++) {
        cr_assert_geq(ban->until_us, until_us, "oldest first");
        until_us = ban->until_us;
    }
    cr_assert_eq(listed, live.bans_max);
}

Test(ban, takes_memory_when_the_first_is_made, .init = setup, .fini = teardown)
{
    struct node_id id = peer_id(1);
    cr_assert_not(guard_is_banned(&guard, &id));
    cr_assert_eq(bare->core.arena.used_bytes[ARENA_GUARD], 0);
    bare->bytes_max = 0;
    cr_assert_eq(guard_ban(&guard, &id, 0), ERR_FULL);
}
