/* test_net.c - what becomes of datagrams: loss by the formulas, bandwidth to the nanosecond, and
 * dice that nobody else can move. */
#include <signal.h>

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "node/base/slice.h"
#include "sim/net/net.h"

#define REGIONS 3
#define PATH_US 20000

static const uint32_t matrix_us[REGIONS * REGIONS] = {
    PATH_US, 40000, 90000, //
    40000,   500,   60000, //
    90000,   60000, 7000,
};

/* The kinds of access link the tests use. */
enum access { UNLIMITED, MEGABIT, GIGABIT, LOSSY, DEAD, ACCESS_COUNT };

static const struct net_access accesses[ACCESS_COUNT] = {
    [MEGABIT] = {.up_bps = 1000000,
                 .down_bps = 1000000,
                 .up_queue_bytes = 3000,
                 .down_queue_bytes = 3000},
    [GIGABIT] = {.up_bps = 1000000000},
    [LOSSY] = {.loss = UINT32_C(1) << 30}, /* One in four. */
    [DEAD] = {.loss = UINT32_MAX},
};

static struct net_config config_plain(void)
{
    return (struct net_config){.latency = NET_LATENCY_MATRIX,
                               .matrix_us = matrix_us,
                               .region_count = REGIONS,
                               .access = accesses,
                               .access_count = ACCESS_COUNT};
}

static struct net_link link_make(const struct net_config *config, enum access access,
                                 uint16_t region, uint64_t node)
{
    const struct net_site site = {.access = (uint16_t)access, .region = region};
    struct net_link link;
    net_link_init(&link, config, &site, 1, node);
    return link;
}

static enum net_verdict depart(const struct net_config *config, struct net_link *from,
                               const struct net_link *to, size_t bytes, uint64_t now_us,
                               uint64_t *arrive_us)
{
    struct net_site site = {
        .place = to->place, .access = to->access, .region = to->region, .access_us = to->access_us};
    return net_depart(config, from, &site, bytes, now_us, arrive_us);
}

/* Sends one and returns when it arrives; it does. */
static uint64_t sent(const struct net_config *config, struct net_link *from,
                     const struct net_link *to, size_t bytes, uint64_t now_us)
{
    uint64_t arrive_us;
    cr_assert_eq(depart(config, from, to, bytes, now_us, &arrive_us), NET_PASSED);
    return arrive_us;
}

struct counts {
    size_t lost;
    size_t bursts; /* Runs of lost ones. */
};

static struct counts losses(const struct net_config *config, struct net_link *from,
                            const struct net_link *to, size_t datagrams)
{
    struct counts counts = {0};
    bool was_lost = false;
    for (size_t i = 0; i < datagrams; i++) {
        uint64_t arrive_us;
        bool is_lost = depart(config, from, to, 100, i, &arrive_us) == NET_LOST;
        counts.lost += is_lost;
        counts.bursts += is_lost && !was_lost;
        was_lost = is_lost;
    }
    return counts;
}

Test(net, path_is_the_matrix_in_both_directions_plus_both_accesses)
{
    struct net_config config = config_plain();
    for (uint16_t a = 0; a < REGIONS; a++) {
        for (uint16_t b = 0; b < REGIONS; b++) {
            struct net_link from = link_make(&config, UNLIMITED, a, 1);
            struct net_link to = link_make(&config, UNLIMITED, b, 2);
            from.access_us = 300;
            to.access_us = 4000;
            uint64_t there_us = sent(&config, &from, &to, 100, 5000) - 5000;
            cr_assert_eq(there_us, 300 + matrix_us[a * REGIONS + b] + 4000);
            cr_assert_eq(sent(&config, &to, &from, 100, 5000) - 5000, there_us);
        }
    }
}

Test(net, nothing_is_faster_than_the_look_ahead)
{
    struct net_config config = config_plain();
    struct net_link from = link_make(&config, UNLIMITED, 1, 1);
    struct net_link to = link_make(&config, UNLIMITED, 1, 2);
    cr_assert_eq(sent(&config, &from, &to, 100, 77), 77 + NET_LATENCY_MIN_US);
    to.access_us = 500;
    cr_assert_eq(sent(&config, &from, &to, 100, 77), 77 + NET_LATENCY_MIN_US);
    to.access_us = 501;
    cr_assert_eq(sent(&config, &from, &to, 100, 77), 77 + NET_LATENCY_MIN_US + 1);
}

Test(net, direction_of_an_uneven_matrix_is_from_row_to_column)
{
    const uint32_t uneven_us[] = {1000, 2000, 3000, 4000};
    struct net_config config = config_plain();
    config.matrix_us = uneven_us;
    config.region_count = 2;
    struct net_link a = link_make(&config, UNLIMITED, 0, 1);
    struct net_link b = link_make(&config, UNLIMITED, 1, 2);
    cr_assert_eq(sent(&config, &a, &b, 100, 0), 2000);
    cr_assert_eq(sent(&config, &b, &a, 100, 0), 3000);
}

Test(net, bernoulli_loss_is_as_frequent_as_asked)
{
    const double chances[] = {0.0005, 0.01, 0.3};
    const size_t datagrams = 1000000;
    for (size_t i = 0; i < array_len(chances); i++) {
        struct net_config config = config_plain();
        config.loss.loss_good = net_chance(chances[i]);
        struct net_link from = link_make(&config, UNLIMITED, 0, i);
        struct net_link to = link_make(&config, UNLIMITED, 0, 9);
        struct counts counts = losses(&config, &from, &to, datagrams);
        double n = (double)datagrams;
        double deviation = sqrt(n * chances[i] * (1 - chances[i]));
        cr_expect_float_eq(counts.lost, n * chances[i], 3 * deviation, "%zu lost at %g",
                           counts.lost, chances[i]);
        /* Independent: a burst begins wherever a loss follows a pass. */
        double bursts = n * chances[i] * (1 - chances[i]);
        cr_expect_float_eq(counts.bursts, bursts, 3 * sqrt(bursts));
    }
}

Test(net, access_links_lose_on_either_side_independently)
{
    struct net_config config = config_plain();
    config.loss.loss_good = net_chance(0.1);
    const size_t datagrams = 400000;
    struct net_link from = link_make(&config, LOSSY, 0, 1);
    struct net_link to = link_make(&config, LOSSY, 0, 2);
    double chance = 1 - 0.9 * 0.75 * 0.75;
    double deviation = sqrt((double)datagrams * chance * (1 - chance));
    cr_assert_float_eq(losses(&config, &from, &to, datagrams).lost, (double)datagrams * chance,
                       3 * deviation);
    to = link_make(&config, UNLIMITED, 0, 2);
    chance = 1 - 0.9 * 0.75;
    deviation = sqrt((double)datagrams * chance * (1 - chance));
    cr_assert_float_eq(losses(&config, &from, &to, datagrams).lost, (double)datagrams * chance,
                       3 * deviation);
}

Test(net, certain_loss_and_no_loss_are_certain)
{
    struct net_config config = config_plain();
    struct net_link from = link_make(&config, UNLIMITED, 0, 1);
    struct net_link alive = link_make(&config, UNLIMITED, 0, 2);
    struct net_link dead = link_make(&config, DEAD, 0, 3);
    cr_assert_eq(losses(&config, &from, &alive, 100000).lost, 0);
    cr_assert_eq(losses(&config, &from, &dead, 100000).lost, 100000);
    cr_assert_eq(losses(&config, &dead, &alive, 100000).lost, 100000);
    config.loss.loss_good = net_chance(1);
    cr_assert_eq(losses(&config, &from, &alive, 100000).lost, 100000);
}

/* The access technologies that scenarios offer: enter, leave, loss in the bad state. */
Test(net, bad_spells_come_as_often_and_stay_as_long_as_the_formulas_say)
{
    const double presets[][3] = {
        {0.0005, 0.5, 1}, {0.002, 0.4, 1}, {0.01, 0.3, 0.8}, {0.005, 0.15, 0.7}, {0.05, 0.35, 1}};
    const size_t datagrams = 2000000;
    const double n = (double)datagrams;
    for (size_t i = 0; i < array_len(presets); i++) {
        double enter = presets[i][0];
        double leave = presets[i][1];
        double loss = presets[i][2];
        struct net_config config = config_plain();
        config.loss = (struct net_loss){.enter_bad = net_chance(enter),
                                        .leave_bad = net_chance(leave),
                                        .loss_bad = net_chance(loss)};
        struct net_link from = link_make(&config, UNLIMITED, 0, i);
        struct net_link to = link_make(&config, UNLIMITED, 0, 9);
        struct counts counts = losses(&config, &from, &to, datagrams);
        double bad = enter / (enter + leave);
        double mean = bad * loss;
        /* Losses k datagrams apart have covariance loss^2 bad (1 - bad) memory^k. */
        double memory = 1 - enter - leave;
        double together = 2 * loss * loss * bad * (1 - bad) * memory / (1 - memory);
        double deviation = sqrt((mean * (1 - mean) + together) / n);
        cr_expect_float_eq((double)counts.lost / n, mean, 3 * deviation, "preset %zu: %g lost", i,
                           (double)counts.lost / n);
        if (loss == 1) {
            double burst = (double)counts.lost / (double)counts.bursts;
            double spread = sqrt(1 - leave) / leave / sqrt((double)counts.bursts);
            cr_expect_float_eq(burst, 1 / leave, 3 * spread, "preset %zu: bursts of %g", i, burst);
        }
    }
}

Test(net, first_datagram_meets_the_chain_in_equilibrium)
{
    struct net_config config = config_plain();
    config.loss = (struct net_loss){
        .enter_bad = net_chance(0.1), .leave_bad = net_chance(0.3), .loss_bad = UINT32_MAX};
    const size_t links = 100000;
    size_t bad = 0;
    for (size_t i = 0; i < links; i++) {
        struct net_link link = link_make(&config, UNLIMITED, 0, i);
        bad += link.is_bad;
    }
    cr_assert_float_eq(bad, 0.25 * (double)links, 3 * sqrt(0.25 * 0.75 * (double)links));
}

Test(net, uplink_sends_one_after_the_other_to_the_nanosecond)
{
    struct net_config config = config_plain();
    struct net_link from = link_make(&config, MEGABIT, 0, 1);
    struct net_link to = link_make(&config, UNLIMITED, 0, 2);
    cr_assert_eq(sent(&config, &from, &to, 1000, 0), 8000 + PATH_US);
    cr_assert_eq(sent(&config, &from, &to, 500, 1000), 12000 + PATH_US);
    cr_assert_eq(sent(&config, &from, &to, 125, 20000), 21000 + PATH_US, "idle again");
    from = link_make(&config, GIGABIT, 0, 3);
    for (uint64_t i = 1; i <= 1000; i++) {
        /* 100 bytes take 800 ns; arrivals are whole microseconds, rounded up. */
        cr_assert_eq(sent(&config, &from, &to, 100, 50), 50 + (i * 800 + 999) / 1000 + PATH_US);
    }
    cr_assert_eq(from.up_free_ns, 50000 + 1000 * 800);
}

Test(net, full_uplink_queue_drops_the_last_to_come)
{
    struct net_config config = config_plain();
    struct net_link from = link_make(&config, MEGABIT, 0, 1);
    struct net_link to = link_make(&config, UNLIMITED, 0, 2);
    uint64_t arrive_us;
    for (uint64_t i = 1; i <= 3; i++) {
        cr_assert_eq(sent(&config, &from, &to, 1000, 0), i * 8000 + PATH_US);
    }
    cr_assert_eq(depart(&config, &from, &to, 1, 0, &arrive_us), NET_QUEUE_FULL);
    cr_assert_eq(depart(&config, &from, &to, 1000, 7999, &arrive_us), NET_QUEUE_FULL);
    cr_assert_eq(sent(&config, &from, &to, 1000, 8000), 32000 + PATH_US, "1000 bytes are out");
    cr_assert_eq(depart(&config, &from, &to, 1, 8000, &arrive_us), NET_QUEUE_FULL);
    cr_assert_eq(sent(&config, &from, &to, 1, 8008), 32008 + PATH_US);
    /* Drops cost the line nothing, and an idle line takes what the queue could not hold. */
    cr_assert_eq(sent(&config, &from, &to, 9000, 32008), 32008 + 72000 + PATH_US);
}

Test(net, downlink_queues_at_the_receiver)
{
    struct net_config config = config_plain();
    struct net_link to = link_make(&config, MEGABIT, 0, 1);
    uint64_t deliver_us;
    for (uint64_t i = 1; i <= 3; i++) {
        cr_assert_eq(net_arrive(&config, &to, 1000, 100, &deliver_us), NET_PASSED);
        cr_assert_eq(deliver_us, 100 + i * 8000);
    }
    cr_assert_eq(net_arrive(&config, &to, 1000, 100, &deliver_us), NET_QUEUE_FULL);
    cr_assert_eq(net_arrive(&config, &to, 1000, 8100, &deliver_us), NET_PASSED);
    cr_assert_eq(deliver_us, 100 + 32000);
    cr_assert_eq(to.up_free_ns, 0, "the other direction is free");
    struct net_link fast = link_make(&config, UNLIMITED, 0, 2);
    struct net_link before = fast;
    cr_assert_eq(net_arrive(&config, &fast, 1000, 100, &deliver_us), NET_PASSED);
    cr_assert_eq(deliver_us, 100);
    cr_assert_arr_eq(&fast, &before, sizeof fast);
}

Test(net, too_long_datagrams_vanish)
{
    struct net_config config = config_plain();
    struct net_link from = link_make(&config, UNLIMITED, 0, 1);
    struct net_link to = link_make(&config, UNLIMITED, 0, 2);
    uint64_t arrive_us;
    sent(&config, &from, &to, NET_BYTES_MAX, 0);
    config.mtu_bytes = 1280;
    sent(&config, &from, &to, 1280, 0);
    cr_assert_eq(depart(&config, &from, &to, 1281, 0, &arrive_us), NET_TOO_LONG);
}

/* A mean of `count` departures' latency beyond the path. */
static double jitter_mean(const struct net_config *config, size_t count)
{
    struct net_link from = link_make(config, UNLIMITED, 0, 1);
    struct net_link to = link_make(config, UNLIMITED, 0, 2);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)(sent(config, &from, &to, 100, i) - i) - PATH_US;
    }
    return sum / (double)count;
}

Test(net, jitter_adds_or_scales)
{
    struct net_config config = config_plain();
    struct dist jitter;
    config.jitter_dist = &jitter;
    config.jitter = NET_JITTER_ADD;
    cr_assert_eq(dist_fill(&jitter, &(struct dist_spec){.kind = DIST_EXPONENTIAL, .mean = 3000}),
                 ERR_OK);
    cr_assert_float_eq(jitter_mean(&config, 200000), 3000, 3 * 3000 / sqrt(200000));
    config.jitter = NET_JITTER_SCALE;
    cr_assert_eq(
        dist_fill(&jitter, &(struct dist_spec){.kind = DIST_CONSTANT, .value = 65536 * 1.25}),
        ERR_OK);
    cr_assert_eq(jitter_mean(&config, 10), PATH_US / 4);
    cr_assert_eq(
        dist_fill(&jitter,
                  &(struct dist_spec){.kind = DIST_NORMAL, .mean = 65536, .sigma = 6553.6}),
        ERR_OK);
    cr_assert_float_eq(jitter_mean(&config, 200000), 0, 3 * 0.1 * PATH_US / sqrt(200000));
}

Test(net, latency_may_be_drawn_and_is_independent_of_jitter)
{
    struct dist latency;
    struct dist jitter;
    cr_assert_eq(
        dist_fill(&latency, &(struct dist_spec){.kind = DIST_UNIFORM, .min = 10000, .max = 30000}),
        ERR_OK);
    cr_assert_eq(
        dist_fill(&jitter, &(struct dist_spec){.kind = DIST_UNIFORM, .min = 0, .max = 20000}),
        ERR_OK);
    struct net_config drawn = config_plain();
    drawn.latency = NET_LATENCY_DIST;
    drawn.latency_us = &latency;
    struct net_config both = drawn;
    both.jitter = NET_JITTER_ADD;
    both.jitter_dist = &jitter;
    struct net_link one = link_make(&drawn, UNLIMITED, 0, 1);
    struct net_link two = one;
    struct net_link to = link_make(&drawn, UNLIMITED, 0, 2);
    const size_t count = 100000;
    double sum = 0;
    double product = 0;
    for (size_t i = 0; i < count; i++) {
        double path_us = (double)sent(&drawn, &one, &to, 100, 0);
        double jitter_us = (double)sent(&both, &two, &to, 100, 0) - path_us;
        cr_assert(path_us >= 10000 && path_us <= 30000 && jitter_us >= 0 && jitter_us <= 20000);
        sum += path_us;
        product += (path_us - 20000) * (jitter_us - 10000);
    }
    double variance = 20000.0 * 20000.0 / 12;
    cr_assert_float_eq(sum / (double)count, 20000, 3 * sqrt(variance / (double)count));
    cr_assert_float_eq(product / (double)count / variance, 0, 3 / sqrt((double)count));
}

Test(net, places_decide_under_coordinates)
{
    struct geo geo;
    cr_assert_eq(geo_fill(&geo, 1.7), ERR_OK);
    struct net_config config = config_plain();
    config.latency = NET_LATENCY_GEO;
    config.geo = &geo;
    struct net_link from = link_make(&config, UNLIMITED, 0, 1);
    struct net_link to = link_make(&config, UNLIMITED, 0, 2);
    cr_assert_eq(geo_place_at(&from.place, 51.5, 0), ERR_OK);
    cr_assert_eq(geo_place_at(&to.place, 40.7, -74), ERR_OK);
    cr_assert_eq(sent(&config, &from, &to, 100, 0), geo_us(&geo, from.place, to.place));
}

Test(net, every_departure_takes_two_words)
{
    struct dist jitter;
    cr_assert_eq(dist_fill(&jitter, &(struct dist_spec){.kind = DIST_EXPONENTIAL, .mean = 3000}),
                 ERR_OK);
    struct net_config plain = config_plain();
    struct net_config full = plain;
    full.loss = (struct net_loss){.loss_good = net_chance(0.5), .enter_bad = net_chance(0.1)};
    full.jitter = NET_JITTER_ADD;
    full.jitter_dist = &jitter;
    full.mtu_bytes = 1500;
    for (enum access access = UNLIMITED; access < ACCESS_COUNT; access++) {
        struct net_link a = link_make(&plain, UNLIMITED, 0, 1);
        struct net_link b = link_make(&plain, access, 0, 1);
        struct net_link to = link_make(&plain, LOSSY, 0, 2);
        size_t verdicts[4] = {0};
        for (size_t i = 0; i < 1000; i++) {
            uint64_t arrive_us;
            depart(&plain, &a, &to, 100, i, &arrive_us);
            verdicts[depart(&full, &b, &to, 1000 + i, i, &arrive_us)]++;
            cr_assert_arr_eq(a.rng.state, b.rng.state, sizeof a.rng.state);
        }
        cr_assert(verdicts[NET_LOST] > 0 || access == MEGABIT);
        cr_assert_gt(verdicts[NET_TOO_LONG], 0);
        cr_assert_eq(verdicts[NET_QUEUE_FULL] > 0, access == MEGABIT);
    }
}

/* Along no path: certain loss and slow paths concern nobody, uplink and dice do. */
Test(net, inside_a_box_it_is_the_uplink_and_the_least_latency)
{
    struct net_config config = config_plain();
    config.loss = (struct net_loss){.loss_good = UINT32_MAX, .loss_bad = UINT32_MAX};
    config.mtu_bytes = 1500;
    struct net_link from = link_make(&config, MEGABIT, 0, 1);
    struct rng twin = from.rng;
    uint64_t arrive_us;
    for (uint64_t i = 1; i <= 2; i++) { /* 8 ms each; two fill the queue. */
        cr_assert_eq(net_depart_inside(&config, &from, 1000, 5000, &arrive_us), NET_PASSED);
        cr_expect_eq(arrive_us, 5000 + i * 8000 + NET_LATENCY_MIN_US);
    }
    cr_expect_eq(net_depart_inside(&config, &from, 1500, 5000, &arrive_us), NET_QUEUE_FULL);
    cr_expect_eq(net_depart_inside(&config, &from, 1501, 5000, &arrive_us), NET_TOO_LONG);
    for (int i = 0; i < 4 * 2; i++) {
        (void)rng_next(&twin);
    }
    cr_expect_eq(memcmp(&from.rng, &twin, sizeof twin), 0);
    struct net_link free = link_make(&config, UNLIMITED, 0, 2);
    cr_assert_eq(net_depart_inside(&config, &free, 1500, 7, &arrive_us), NET_PASSED);
    cr_expect_eq(arrive_us, 7 + NET_LATENCY_MIN_US);
}

Test(net, switching_loss_on_moves_no_latency)
{
    struct dist jitter;
    cr_assert_eq(dist_fill(&jitter, &(struct dist_spec){.kind = DIST_EXPONENTIAL, .mean = 3000}),
                 ERR_OK);
    struct net_config clean = config_plain();
    clean.jitter = NET_JITTER_ADD;
    clean.jitter_dist = &jitter;
    struct net_config lossy = clean;
    lossy.loss.loss_good = net_chance(0.4);
    struct net_link a = link_make(&clean, UNLIMITED, 0, 1);
    struct net_link b = link_make(&lossy, UNLIMITED, 0, 1);
    struct net_link to = link_make(&clean, UNLIMITED, 0, 2);
    size_t survivors = 0;
    for (size_t i = 0; i < 1000; i++) {
        uint64_t arrive_us;
        uint64_t clean_us = sent(&clean, &a, &to, 100, i);
        if (depart(&lossy, &b, &to, 100, i, &arrive_us) == NET_PASSED) {
            cr_assert_eq(arrive_us, clean_us);
            survivors++;
        }
    }
    cr_assert(survivors > 500 && survivors < 700);
}

Test(net, same_seed_and_node_give_the_same_dice_and_others_do_not)
{
    struct net_config config = config_plain();
    const struct net_site site = {.region = 0};
    struct net_link links[4];
    net_link_init(&links[0], &config, &site, 1, 7);
    net_link_init(&links[1], &config, &site, 1, 7);
    net_link_init(&links[2], &config, &site, 2, 7);
    net_link_init(&links[3], &config, &site, 1, 8);
    cr_assert_arr_eq(&links[0], &links[1], sizeof links[0]);
    cr_assert_neq(rng_next(&links[0].rng), rng_next(&links[2].rng));
    cr_assert_neq(rng_next(&links[1].rng), rng_next(&links[3].rng));
}

/* What one node sees does not depend on what others send, nor on whom it sends to. */
Test(net, other_nodes_do_not_move_my_dice)
{
    struct dist jitter;
    cr_assert_eq(dist_fill(&jitter, &(struct dist_spec){.kind = DIST_EXPONENTIAL, .mean = 3000}),
                 ERR_OK);
    struct net_config config = config_plain();
    config.jitter = NET_JITTER_ADD;
    config.jitter_dist = &jitter;
    config.loss = (struct net_loss){
        .enter_bad = net_chance(0.05), .leave_bad = net_chance(0.3), .loss_bad = UINT32_MAX};
    struct net_link alone = link_make(&config, UNLIMITED, 0, 1);
    struct net_link busy = link_make(&config, UNLIMITED, 0, 1);
    struct net_link to = link_make(&config, UNLIMITED, 0, 2);
    struct net_link others[10];
    for (size_t i = 0; i < array_len(others); i++) {
        others[i] = link_make(&config, UNLIMITED, 0, 10 + i);
    }
    for (size_t i = 0; i < 2000; i++) {
        uint64_t expected_us = 0;
        uint64_t arrive_us = 0;
        enum net_verdict expected = depart(&config, &alone, &to, 100, i, &expected_us);
        for (size_t k = 0; k < i % array_len(others); k++) {
            uint64_t ignored_us;
            depart(&config, &others[k], &busy, 100, i, &ignored_us);
        }
        enum net_verdict verdict =
            depart(&config, &busy, &others[i % array_len(others)], 100, i, &arrive_us);
        cr_assert_eq(verdict, expected);
        cr_assert_eq(arrive_us, expected_us);
    }
}

Test(net, incomplete_configurations_are_refused)
{
    struct net_config config = config_plain();
    cr_assert_eq(net_config_check(&config), ERR_OK);
    struct net_config bad[7];
    for (size_t i = 0; i < array_len(bad); i++) {
        bad[i] = config;
    }
    bad[0].access = NULL;
    bad[1].access_count = 0;
    bad[2].matrix_us = NULL;
    bad[3].region_count = NET_REGIONS_MAX + 1;
    bad[4].latency = NET_LATENCY_DIST;
    bad[5].latency = NET_LATENCY_GEO;
    bad[6].jitter = NET_JITTER_SCALE;
    for (size_t i = 0; i < array_len(bad); i++) {
        cr_assert_eq(net_config_check(&bad[i]), ERR_INVALID, "configuration %zu", i);
    }
}

Test(net, region_outside_the_matrix_is_a_bug, .signal = SIGABRT)
{
    struct net_config config = config_plain();
    link_make(&config, UNLIMITED, REGIONS, 1);
}

Test(net, access_outside_the_table_is_a_bug, .signal = SIGABRT)
{
    struct net_config config = config_plain();
    link_make(&config, ACCESS_COUNT, 0, 1);
}

Test(net, chances_are_rounded_to_the_nearest_and_kept_in_range)
{
    cr_assert_eq(net_chance(0), 0);
    cr_assert_eq(net_chance(0.25), UINT32_C(1) << 30);
    cr_assert_eq(net_chance(1), UINT32_MAX);
    cr_assert_eq(net_chance(1e-9), 4);
}
