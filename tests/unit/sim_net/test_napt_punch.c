/* test_napt_punch.c - who can punch whom: the table measured with real kernels, cell for cell, and
 * what prediction, birthday, poison and double NAT do to it. */
#include <signal.h>

#include <criterion/criterion.h>
#include <gsl/gsl_cdf.h>
#include <math.h>

#include "napt_lab.h"
#include "node/base/slice.h"

#define KINDS   6
#define ODDS    1e-4 /* Of a test's binomial interval, on either side. */
#define SOCKETS 256

static const enum napt_preset kinds[KINDS] = {
    NAPT_PRESET_FULL_CONE,         NAPT_PRESET_RESTRICTED, NAPT_PRESET_PORT_RESTRICTED,
    NAPT_PRESET_ADDRESS_DEPENDENT, NAPT_PRESET_SYMMETRIC,  NAPT_PRESET_SYMMETRIC_OPEN,
};

static bool punch(const struct napt_config *a, const struct napt_config *b, uint64_t seed)
{
    struct lab lab = {.seed = seed};
    struct lab_side left = lab_side_open(&lab, a, NULL);
    struct lab_side right = lab_side_open(&lab, b, NULL);
    bool is_through = lab_punch_plain(&left, &right);
    lab_side_close(&left);
    lab_side_close(&right);
    return is_through;
}

/* Rows and columns in the order of `kinds`: y, and n where only a relay helps. */
Test(nat_punch, all_pairs_are_as_measured_with_kernels)
{
    static const char *const table[KINDS] = {
        "yyyyyy", /* full cone */
        "yyyyyy", /* address-restricted */
        "yyynny", /* port-restricted */
        "yynnny", /* address-dependent mapping */
        "yynnny", /* symmetric, random ports */
        "yyyyyy", /* symmetric mapping, open filter */
    };
    for (int row = 0; row < KINDS; row++) {
        for (int column = 0; column < KINDS; column++) {
            struct napt_config a = lab_config(kinds[row]);
            struct napt_config b = lab_config(kinds[column]);
            for (uint64_t seed = 1; seed <= 20; seed++) {
                cr_expect_eq(punch(&a, &b, seed), table[row][column] == 'y', "%s to %s, seed %d",
                             napt_preset_text(kinds[row]), napt_preset_text(kinds[column]),
                             (int)seed);
            }
        }
    }
}

static bool maps_by_destination(const struct napt_config *config)
{
    return config->mapping != NAPT_ENDPOINT_INDEPENDENT;
}

/* A filter by address is one by port to a stranger whose address has a mapping of its own: it has
 * never been sent to from the external end that he knows. */
static bool filters_by_port(const struct napt_config *config)
{
    return config->filtering == NAPT_ADDRESS_AND_PORT_DEPENDENT ||
           (config->filtering == NAPT_ADDRESS_DEPENDENT && maps_by_destination(config));
}

/* The rule behind the table, also for mixes that no kernel was set up for. */
Test(nat_punch, succeeds_unless_both_filter_by_port_and_one_maps_by_destination)
{
    const int mixes = 9;
    for (int i = 0; i < mixes * mixes; i++) {
        struct napt_config a = lab_config(NAPT_PRESET_SYMMETRIC);
        struct napt_config b = a;
        a.mapping = (enum napt_scope)(i / mixes / 3);
        a.filtering = (enum napt_scope)(i / mixes % 3);
        b.mapping = (enum napt_scope)(i % mixes / 3);
        b.filtering = (enum napt_scope)(i % mixes % 3);
        bool is_hopeless = filters_by_port(&a) && filters_by_port(&b) &&
                           (maps_by_destination(&a) || maps_by_destination(&b));
        cr_expect_neq(punch(&a, &b, 7), is_hopeless, "mapping %d filtering %d, %d and %d",
                      a.mapping, a.filtering, b.mapping, b.filtering);
    }
}

/* The easy side sends to the three ports after the one that a server saw. */
static bool predict(uint64_t seed, int others)
{
    struct napt_config easy = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt_config hard = lab_config(NAPT_PRESET_SEQUENTIAL);
    struct lab lab = {.seed = seed};
    struct lab_side guesser = lab_side_open(&lab, &easy, NULL);
    struct lab_side target = lab_side_open(&lab, &hard, NULL);
    struct napt_end server = lab_end(LAB_SERVER_A, 3478);
    struct napt_end goal = lab_learn(&guesser, server);
    struct napt_end seen = lab_learn(&target, server);
    struct napt_end ignored;
    for (int i = 0; i < others; i++) { /* The target's neighbours are not idle. */
        struct lab_side neighbour = target;
        neighbour.socket = lab_end(target.socket.ip + 1, 9000u + (unsigned)i);
        cr_assert(lab_send(&neighbour, server, &ignored));
    }
    for (unsigned guess = 1; guess <= 3; guess++) {
        unsigned port = 1024 + (seen.port - 1024u + guess) % hard.port_count;
        cr_assert(lab_send(&guesser, lab_end(seen.ip, port), &ignored));
    }
    bool is_through = lab_send(&target, goal, &seen) && lab_receive(&guesser, seen, goal) &&
                      lab_send(&guesser, seen, &ignored) && lab_receive(&target, ignored, seen);
    lab_side_close(&guesser);
    lab_side_close(&target);
    return is_through;
}

Test(nat_punch, sequential_ports_are_met_by_three_guesses)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        for (int others = 0; others <= 3; others++) {
            cr_expect_eq(predict(seed, others), others < 3, "seed %d, %d others", (int)seed,
                         others);
        }
    }
}

/* 256 sockets of the hard side send to the easy one, which tries random ports. */
static bool birthday(uint64_t seed, int probes)
{
    struct napt_config easy = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt_config hard = lab_config(NAPT_PRESET_SYMMETRIC);
    struct lab lab = {.seed = seed};
    struct lab_side prober = lab_side_open(&lab, &easy, NULL);
    struct lab_side target = lab_side_open(&lab, &hard, NULL);
    struct napt_end goal = lab_learn(&prober, lab_end(LAB_SERVER_A, 3478));
    struct napt_end seen = {0};
    for (int i = 0; i < SOCKETS; i++) {
        struct lab_side socket = target;
        socket.socket.port = (uint16_t)(20000 + i);
        cr_assert(lab_send(&socket, goal, &seen));
    }
    struct rng rng;
    rng_stream(&rng, seed, "probes", 0, 0);
    bool is_through = false;
    for (int i = 0; i < probes && !is_through; i++) {
        struct napt_end probe = {seen.ip, (uint16_t)(1024 + rng_below(&rng, 64512))};
        struct napt_packet packet = {.to = probe};
        cr_assert(lab_send(&prober, probe, &packet.from));
        is_through = lab_arrive(&target, &packet) == NAPT_PASSED;
        if (is_through) { /* The socket that was met answers, and is heard. */
            struct napt_packet answer = {.from = packet.to, .to = packet.from};
            cr_assert_eq(lab_leave(&target, &answer), NAPT_PASSED);
            cr_assert(lab_same(answer.from, probe));
            cr_assert(lab_receive(&prober, answer.from, goal));
        }
    }
    lab_side_close(&prober);
    lab_side_close(&target);
    return is_through;
}

Test(nat_punch, birthday_succeeds_as_often_as_it_should)
{
    const struct {
        int probes;
        double published;
    } cases[] = {{256, 0.64}, {1024, 0.983}};
    const unsigned runs = 200;
    for (size_t i = 0; i < array_len(cases); i++) {
        double chance = 1 - pow(1 - SOCKETS / 64512.0, cases[i].probes);
        cr_assert_float_eq(chance, cases[i].published, 0.005);
        unsigned successes = 0;
        for (uint64_t seed = 1; seed <= runs; seed++) {
            successes += birthday(seed, cases[i].probes);
        }
        cr_expect_gt(gsl_cdf_binomial_P(successes, chance, runs), ODDS, "%u of %u", successes,
                     runs);
        cr_expect_gt(gsl_cdf_binomial_Q(successes - 1, chance, runs), ODDS, "%u of %u", successes,
                     runs);
    }
}

/* The right side's packets arrive before the left has sent any. */
static bool staggered(enum napt_preset left_kind, uint64_t wait_us)
{
    struct napt_config a = lab_config(left_kind);
    struct napt_config b = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct lab lab = {.seed = 3};
    struct lab_side sides[2] = {lab_side_open(&lab, &a, NULL), lab_side_open(&lab, &b, NULL)};
    struct napt_end server = lab_end(LAB_SERVER_A, 3478);
    struct lab_puncher left = {.side = &sides[0]};
    struct lab_puncher right = {.side = &sides[1]};
    right.target = lab_learn(&sides[0], server);
    left.target = lab_learn(&sides[1], server);
    lab_punch(&right, &left);
    lab.now_us += wait_us;
    for (int i = 0; i < 4; i++) {
        lab_punch(&left, &right);
        lab_punch(&right, &left);
    }
    const uint64_t *fates = napt_fates(sides[0].boxes[0]);
    bool is_poisoned = left_kind == NAPT_PRESET_POISONABLE && wait_us < a.unreplied_us;
    cr_expect_eq(fates[NAPT_FATE_REMAPPED], is_poisoned);
    lab_side_close(&sides[0]);
    lab_side_close(&sides[1]);
    return left.has_received && right.has_received;
}

Test(nat_punch, staggered_start_fails_where_unsolicited_packets_poison)
{
    cr_expect(staggered(NAPT_PRESET_PORT_RESTRICTED, 50000));
    cr_expect_not(staggered(NAPT_PRESET_POISONABLE, 50000));
    cr_expect(staggered(NAPT_PRESET_POISONABLE, 31 * LAB_S)); /* The poison has expired. */
}

Test(nat_punch, simultaneous_start_survives_poison)
{
    struct napt_config config = lab_config(NAPT_PRESET_POISONABLE);
    struct lab lab = {.seed = 3};
    struct lab_side a = lab_side_open(&lab, &config, NULL);
    struct lab_side b = lab_side_open(&lab, &config, NULL);
    struct napt_end server = lab_end(LAB_SERVER_A, 3478);
    struct napt_end end_a = lab_learn(&a, server);
    struct napt_end end_b = lab_learn(&b, server);
    struct napt_end seen_a;
    struct napt_end seen_b;
    cr_assert(lab_send(&a, end_b, &seen_a)); /* Both are on their way */
    cr_assert(lab_send(&b, end_a, &seen_b));
    cr_assert(lab_receive(&b, seen_a, end_b)); /* before either arrives. */
    cr_assert(lab_receive(&a, seen_b, end_a));
    lab_side_close(&a);
    lab_side_close(&b);
}

static enum napt_verdict tcp(struct lab_side *from, struct lab_side *to, struct napt_end goal,
                             enum napt_segment segment)
{
    struct napt_packet packet = {
        .protocol = NAPT_TCP, .segment = segment, .from = from->socket, .to = goal};
    cr_assert_eq(lab_leave(from, &packet), NAPT_PASSED);
    return lab_arrive(to, &packet);
}

/* Both send a SYN; then each sends one more. *told: a SYN was answered by a reset. */
static bool open_at_once(const struct napt_config *a, const struct napt_config *b, bool *told)
{
    struct lab lab = {.seed = 5};
    struct lab_side left = lab_side_open(&lab, a, NULL);
    struct lab_side right = lab_side_open(&lab, b, NULL);
    struct napt_packet syn = {.protocol = NAPT_TCP, .segment = NAPT_SEGMENT_SYN};
    struct napt_end ends[2];
    struct lab_side *sides[2] = {&left, &right};
    for (int i = 0; i < 2; i++) {
        syn.from = sides[i]->socket;
        syn.to = lab_end(LAB_SERVER_A, 443);
        cr_assert_eq(lab_leave(sides[i], &syn), NAPT_PASSED);
        ends[i] = syn.from;
    }
    enum napt_verdict first = tcp(&left, &right, ends[1], NAPT_SEGMENT_SYN);
    enum napt_verdict second = tcp(&right, &left, ends[0], NAPT_SEGMENT_SYN);
    *told = first == NAPT_REJECTED || second == NAPT_REJECTED;
    bool is_through = second == NAPT_PASSED &&
                      tcp(&left, &right, ends[1], NAPT_SEGMENT_DATA) == NAPT_PASSED &&
                      tcp(&right, &left, ends[0], NAPT_SEGMENT_DATA) == NAPT_PASSED;
    lab_side_close(&left);
    lab_side_close(&right);
    return is_through && !*told;
}

Test(nat_punch, tcp_opens_at_once_where_unsolicited_syns_are_dropped)
{
    struct napt_config drops = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt_config rejects = drops;
    rejects.unsolicited = NAPT_UNSOLICITED_REJECTED;
    struct napt_config symmetric = lab_config(NAPT_PRESET_SYMMETRIC);
    bool told;
    cr_expect(open_at_once(&drops, &drops, &told));
    cr_expect_not(told);
    cr_expect_not(open_at_once(&drops, &rejects, &told));
    cr_expect(told);
    cr_expect_not(open_at_once(&drops, &symmetric, &told));
    cr_expect_not(told);
}

struct class
{
    enum napt_scope mapping;
    enum napt_scope filtering;
};

/* RFC 5780, sections 4.3 and 4.4: two addresses and two ports of a server. */
static struct class classify(const struct napt_config *inner, const struct napt_config *outer)
{
    struct lab lab = {.seed = 11};
    struct class class;
    struct lab_side side = lab_side_open(&lab, inner, outer);
    struct napt_end first = lab_learn(&side, lab_end(LAB_SERVER_A, 3478));
    if (lab_receive(&side, lab_end(LAB_SERVER_B, 3479), first)) {
        class.filtering = NAPT_ENDPOINT_INDEPENDENT;
    } else if (lab_receive(&side, lab_end(LAB_SERVER_A, 3479), first)) {
        class.filtering = NAPT_ADDRESS_DEPENDENT;
    } else {
        class.filtering = NAPT_ADDRESS_AND_PORT_DEPENDENT;
    }
    side.socket.port++; /* Another socket, about which the boxes know nothing. */
    first = lab_learn(&side, lab_end(LAB_SERVER_A, 3478));
    if (lab_same(first, lab_learn(&side, lab_end(LAB_SERVER_B, 3478)))) {
        class.mapping = NAPT_ENDPOINT_INDEPENDENT;
    } else if (lab_same(first, lab_learn(&side, lab_end(LAB_SERVER_A, 3479)))) {
        class.mapping = NAPT_ADDRESS_DEPENDENT;
    } else {
        class.mapping = NAPT_ADDRESS_AND_PORT_DEPENDENT;
    }
    lab_side_close(&side);
    return class;
}

Test(nat_punch, every_preset_is_classified_as_what_it_is)
{
    for (int i = 0; i < NAPT_PRESET_COUNT; i++) {
        struct napt_config config = lab_config((enum napt_preset)i);
        if (config.is_udp_blocked) {
            continue;
        }
        struct class class = classify(&config, NULL);
        cr_expect_eq(class.mapping, config.mapping, "%s", napt_preset_text((enum napt_preset)i));
        cr_expect_eq(class.filtering, config.filtering, "%s",
                     napt_preset_text((enum napt_preset)i));
    }
}

/* Measured with kernels: C in C, A in A, A in C, C in D. The rule holds for all pairs. */
Test(nat_punch, of_two_boxes_the_stricter_wins_on_each_axis)
{
    for (int inner = 0; inner < KINDS; inner++) {
        for (int outer = 0; outer < KINDS; outer++) {
            struct napt_config a = lab_config(kinds[inner]);
            struct napt_config b = lab_config(kinds[outer]);
            struct class class = classify(&a, &b);
            cr_expect_eq(class.mapping, a.mapping > b.mapping ? a.mapping : b.mapping,
                         "mapping of %s in %s", napt_preset_text(kinds[inner]),
                         napt_preset_text(kinds[outer]));
            cr_expect_eq(class.filtering, a.filtering > b.filtering ? a.filtering : b.filtering,
                         "filtering of %s in %s", napt_preset_text(kinds[inner]),
                         napt_preset_text(kinds[outer]));
        }
    }
}
