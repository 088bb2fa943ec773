/* test_classify.c - a NAT box of every kind, looked at with much, little and lossy evidence: the
 * verdict is the truth, or "unknown". */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node/base/rng.h"
#include "node/nat/classify.h"
#include "node/wire/contact.h"

enum {
    MAPS_MAX = 64,
    LOCAL_PORT = 4000, /* Of path 0; the next path has the next but PATH_APART. */
    PATH_APART = 100,
    PATHS = 5,
    TRIES = 200,
};

static struct port_addr addr_of(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (struct port_addr){
        .ip = {[10] = 0xff, [11] = 0xff, [12] = a, [13] = b, [14] = c, [15] = d},
        .port = {(uint8_t)(port >> 8), (uint8_t)port},
    };
}

static struct port_addr remote_of(uint8_t number, uint16_t port)
{
    return addr_of(198, 51, 100, number, port);
}

static struct port_addr local_of(uint8_t path)
{
    return addr_of(192, 168, 1, 2, (uint16_t)(LOCAL_PORT + PATH_APART * path));
}

static struct port_addr mapped_of(uint16_t port)
{
    return addr_of(203, 0, 113, 5, port);
}

/* --- a box ----------------------------------------------------------------------------------- */

struct box_map {
    uint8_t path;
    struct port_addr remote; /* The first one. */
    uint16_t port;
};

struct box {
    enum nat_mapping mapping;
    enum nat_filtering filtering;
    enum nat_assignment assignment;
    int step;
    uint16_t port_next;
    uint32_t loss; /* Of 2^32. */
    struct rng rng;
    struct box_map maps[MAPS_MAX];
    size_t map_count;
    struct box_map sessions[MAPS_MAX]; /* Who has been sent to, from which external port. */
    size_t session_count;
};

static struct box box_of(enum nat_mapping mapping, enum nat_filtering filtering,
                         enum nat_assignment assignment, uint64_t seed)
{
    struct box box = {.mapping = mapping,
                      .filtering = filtering,
                      .assignment = assignment,
                      .step = 1,
                      .port_next = 20000};
    rng_stream(&box.rng, seed, "box", (uint64_t)mapping, (uint64_t)filtering);
    return box;
}

static bool ips_equal(const struct port_addr *a, const struct port_addr *b)
{
    return memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static bool box_has_port(const struct box *box, uint16_t port)
{
    for (size_t i = 0; i < box->map_count; i++) {
        if (box->maps[i].port == port) {
            return true;
        }
    }
    return false;
}

static uint16_t box_port(struct box *box, uint8_t path)
{
    uint16_t port = (uint16_t)(LOCAL_PORT + PATH_APART * path);
    if (box->assignment == NAT_ASSIGNMENT_SEQUENTIAL) {
        port = box->port_next;
        box->port_next = (uint16_t)(box->port_next + box->step);
    }
    do {
        if (box->assignment == NAT_ASSIGNMENT_RANDOM) {
            port = (uint16_t)(1024 + rng_below(&box->rng, 64512));
        }
    } while (box_has_port(box, port) && (port++, true));
    return port;
}

/* The external port of a datagram from this path to this remote end. */
static uint16_t box_out(struct box *box, uint8_t path, const struct port_addr *remote)
{
    size_t at = 0;
    for (; at < box->map_count; at++) {
        const struct box_map *map = &box->maps[at];
        if (map->path == path &&
            (box->mapping == NAT_MAPPING_ENDPOINT_INDEPENDENT ||
             (box->mapping == NAT_MAPPING_ADDRESS_DEPENDENT && ips_equal(&map->remote, remote)) ||
             port_addr_equal(&map->remote, remote))) {
            break;
        }
    }
    if (at == box->map_count) {
        cr_assert_lt(at, MAPS_MAX);
        uint16_t port = box_port(box, path);
        box->maps[box->map_count++] =
            (struct box_map){.path = path, .remote = *remote, .port = port};
    }
    cr_assert_lt(box->session_count, MAPS_MAX);
    box->sessions[box->session_count++] =
        (struct box_map){.remote = *remote, .port = box->maps[at].port};
    return box->maps[at].port;
}

static bool box_in(const struct box *box, uint16_t port, const struct port_addr *remote)
{
    for (size_t i = 0; i < box->session_count; i++) {
        const struct box_map *session = &box->sessions[i];
        if (session->port == port && (box->filtering == NAT_FILTERING_ENDPOINT_INDEPENDENT ||
                                      (box->filtering == NAT_FILTERING_ADDRESS_DEPENDENT &&
                                       ips_equal(&session->remote, remote)) ||
                                      port_addr_equal(&session->remote, remote))) {
            return true;
        }
    }
    return false;
}

/* --- looking at it --------------------------------------------------------------------------- */

static void see(struct classify *classify, uint8_t path, struct port_addr remote,
                struct port_addr mapped, uint64_t asked_us)
{
    struct classify_sight sight = {.remote = remote,
                                   .mapped = mapped,
                                   .local = local_of(path),
                                   .path = path,
                                   .asked_us = asked_us};
    classify_saw(classify, &sight);
}

/* A question and, but for losses, its answer. */
static void ask(struct box *box, struct classify *classify, uint8_t path, struct port_addr remote,
                uint64_t now_us)
{
    if (rng_chance(&box->rng, box->loss)) {
        return;
    }
    uint16_t port = box_out(box, path, &remote);
    if (!rng_chance(&box->rng, box->loss)) {
        see(classify, path, remote, mapped_of(port), now_us);
    }
}

/* As RFC 5780 has it: two ports of two addresses over path 0, one over each other path, in random
 * order as far as `sights` goes; then `probes` datagrams from strangers of both kinds. */
static void look(struct box *box, struct classify *classify, size_t sights, size_t probes)
{
    struct port_addr first = remote_of(1, 3478);
    struct port_addr stranger = remote_of(9, 3478);
    struct port_addr relative = remote_of(1, 3499);
    uint64_t now_us = 1000000;
    for (size_t i = 0; i < sights; i++, now_us += 10000) {
        uint8_t path = i < 4 ? 0 : (uint8_t)(i - 3);
        static const uint8_t ips[] = {1, 2, 2, 1};
        struct port_addr remote = i < 4 ? remote_of(ips[i], i == 0 || i == 1 ? 3478 : 3479) : first;
        ask(box, classify, path, remote, now_us);
    }
    if (sights == 0) {
        return;
    }
    uint16_t port = box_out(box, 0, &first);
    for (size_t i = 0; i < probes; i++) {
        bool is_lost = rng_chance(&box->rng, box->loss);
        classify_probed(classify, CLASSIFY_OTHER_ADDRESS, !is_lost && box_in(box, port, &stranger));
        is_lost = rng_chance(&box->rng, box->loss);
        classify_probed(classify, CLASSIFY_OTHER_PORT, !is_lost && box_in(box, port, &relative));
    }
}

/* A box that keeps ports but has to give several of one inside port gives the next ones: seen from
 * outside that is preserved as well as sequential. */
static bool is_assignment_right(const struct box *box, uint8_t verdict)
{
    return verdict == NAT_ASSIGNMENT_UNKNOWN || verdict == box->assignment ||
           (box->assignment == NAT_ASSIGNMENT_PRESERVED &&
            box->mapping != NAT_MAPPING_ENDPOINT_INDEPENDENT &&
            verdict == NAT_ASSIGNMENT_SEQUENTIAL);
}

struct score {
    uint32_t mapping;
    uint32_t filtering;
    uint32_t assignment;
    uint32_t all;
};

/* Every box, TRIES times: nothing is ever wrong; how often it was known is added up. */
static struct score judge_all(size_t sights_min, size_t probes_min, uint32_t loss, uint64_t seed)
{
    struct score score = {0};
    for (uint64_t kind = 0; kind < 27 * TRIES; kind++) {
        struct box box = box_of((enum nat_mapping)(NAT_MAPPING_ENDPOINT_INDEPENDENT + kind % 3),
                                (enum nat_filtering)(1 + kind / 3 % 3),
                                (enum nat_assignment)(1 + kind / 9 % 3), seed + kind);
        struct classify classify;
        struct nat_class class;
        box.loss = loss;
        size_t sights = sights_min + rng_below(&box.rng, CLASSIFY_SIGHTS_MAX + 1 - sights_min);
        size_t probes = probes_min + rng_below(&box.rng, 20 - probes_min);
        classify_start(&classify);
        look(&box, &classify, sights, probes);
        classify_result(&classify, &class);
        cr_assert(class.mapping == NAT_MAPPING_UNKNOWN || class.mapping == box.mapping,
                  "kind %lu: mapping %s", (unsigned long)kind, nat_mapping_text(class.mapping));
        cr_assert(class.filtering == NAT_FILTERING_UNKNOWN || class.filtering == box.filtering,
                  "kind %lu: filtering %s", (unsigned long)kind,
                  nat_filtering_text(class.filtering));
        cr_assert(is_assignment_right(&box, class.assignment), "kind %lu: %s is %s",
                  (unsigned long)kind, nat_assignment_text(box.assignment),
                  nat_assignment_text(class.assignment));
        cr_assert(!class.is_dependent || box.mapping != NAT_MAPPING_ENDPOINT_INDEPENDENT);
        cr_assert_eq(class.mapping == NAT_MAPPING_UNKNOWN, class.mapping_permille == 0);
        cr_assert_eq(class.filtering == NAT_FILTERING_UNKNOWN, class.filtering_permille == 0);
        cr_assert_eq(class.assignment == NAT_ASSIGNMENT_UNKNOWN, class.assignment_permille == 0);
        score.mapping += class.mapping == box.mapping;
        score.filtering += class.filtering == box.filtering;
        score.assignment += class.assignment != NAT_ASSIGNMENT_UNKNOWN;
        score.all++;
    }
    fprintf(stderr, "of %u: mapping %u, filtering %u, assignment %u known\n", score.all,
            score.mapping, score.filtering, score.assignment);
    return score;
}

Test(classify, every_box_is_known_when_all_has_been_seen)
{
    struct score score = judge_all(CLASSIFY_SIGHTS_MAX, CLASSIFY_MISSES_MIN, 0, 4787);
    cr_assert_eq(score.mapping, score.all);
    cr_assert_eq(score.filtering, score.all);
    /* Random ports that happen to rise all the time, and kept ones that all had to move. */
    cr_assert_geq(score.assignment, score.all * 8 / 10);
}

Test(classify, with_little_evidence_nothing_is_said_that_is_wrong)
{
    struct score score = judge_all(0, 0, 0, 5780);
    cr_assert_geq(score.mapping, score.all / 3);
    cr_assert_geq(score.filtering, score.all / 3);
    cr_assert_lt(score.mapping, score.all);
}

/* A tenth is lost on each way: CLASSIFY_MISSES_MIN says why that is wrong once in 100,000 cases. */
Test(classify, with_losses_nothing_is_said_that_is_wrong)
{
    struct score score = judge_all(0, 0, UINT32_MAX / 10, 3489);
    cr_assert_geq(score.mapping, score.all / 3);
    cr_assert_geq(score.filtering, score.all / 3);
}

/* RFC 5780 section 4.3: two addresses tell independent from dependent, a second port of one of them
 * which kind of dependent. */
Test(classify, what_each_sight_adds)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_UNKNOWN);
    cr_assert_eq(class.blocked, NAT_FACT_UNKNOWN);
    cr_assert_not(class.has_mapped);

    see(&classify, 0, remote_of(1, 3478), mapped_of(20000), 1000);
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_UNKNOWN); /* There is a box; of which kind? */
    cr_assert_not(class.is_dependent);
    cr_assert(class.has_mapped);
    cr_assert_eq(class.blocked, NAT_FACT_NO);

    see(&classify, 0, remote_of(1, 3479), mapped_of(20000), 2000);
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_UNKNOWN); /* The same address: no wiser. */

    struct classify dependent = classify;
    see(&dependent, 0, remote_of(2, 3478), mapped_of(20001), 3000);
    classify_result(&dependent, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_ADDRESS_DEPENDENT);
    cr_assert_eq(class.mapping_permille, 500);

    see(&classify, 0, remote_of(2, 3478), mapped_of(20000), 3000);
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_ENDPOINT_INDEPENDENT);
    cr_assert_eq(class.mapping_permille, 500);
    see(&classify, 0, remote_of(3, 3478), mapped_of(20000), 4000);
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping_permille, 750);
}

Test(classify, dependence_is_told_before_its_kind_is_known)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    see(&classify, 0, remote_of(1, 3478), mapped_of(20000), 1000);
    see(&classify, 0, remote_of(2, 3478), mapped_of(31000), 2000);
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_UNKNOWN);
    cr_assert(class.is_dependent);
    see(&classify, 0, remote_of(2, 3479), mapped_of(25000), 3000);
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_ADDRESS_AND_PORT_DEPENDENT);
}

Test(classify, without_a_box_one_is_seen_as_one_is)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    struct classify_sight sight = {.remote = remote_of(1, 3478),
                                   .mapped = mapped_of(4000),
                                   .local = mapped_of(4000),
                                   .asked_us = 1000};
    classify_saw(&classify, &sight);
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_NONE);
    cr_assert_eq(class.mapping_permille, 500);
    cr_assert_eq(class.assignment, NAT_ASSIGNMENT_PRESERVED);
    sight.remote = remote_of(2, 3478);
    classify_saw(&classify, &sight);
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping_permille, 750);
    /* A port that was kept behind another address is no absence of NAT. */
    sight.local = local_of(0);
    classify_start(&classify);
    classify_saw(&classify, &sight);
    sight.remote = remote_of(1, 3478);
    classify_saw(&classify, &sight);
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_ENDPOINT_INDEPENDENT);
    cr_assert_eq(class.assignment, NAT_ASSIGNMENT_PRESERVED);
}

Test(classify, a_peer_on_the_same_side_of_the_box_says_nothing)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    for (uint8_t i = 0; i < 20; i++) {
        see(&classify, 0, addr_of(192, 168, 1, 10 + i, 4000), local_of(0), 1000);
    }
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_UNKNOWN);
    cr_assert_eq(class.blocked, NAT_FACT_UNKNOWN);
}

/* One liar does not outvote two honest peers, nor push them out. */
Test(classify, a_liar_is_outvoted)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    see(&classify, 0, remote_of(1, 3478), mapped_of(20000), 1000);
    see(&classify, 0, remote_of(2, 3478), mapped_of(20000), 2000);
    see(&classify, 0, remote_of(3, 3478), mapped_of(20000), 3000);
    for (uint16_t i = 0; i < 100; i++) {
        see(&classify, 0, remote_of(66, 1000 + i), mapped_of(30000 + 7 * i), 4000 + i);
    }
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_ENDPOINT_INDEPENDENT);
    cr_assert_eq(class.mapping_permille, 500);
    struct port_addr honest = mapped_of(20000);
    cr_assert(port_addr_equal(&class.mapped, &honest));
}

/* Random ports are neighbours once in a thousand times; two distances that short are no accident.
 */
Test(classify, two_neighbouring_ports_are_no_sequence)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    see(&classify, 0, remote_of(1, 3478), mapped_of(20000), 1000);
    see(&classify, 0, remote_of(2, 3478), mapped_of(20001), 2000);
    classify_result(&classify, &class);
    cr_assert_eq(class.assignment, NAT_ASSIGNMENT_UNKNOWN);
    see(&classify, 0, remote_of(3, 3478), mapped_of(20002), 3000);
    classify_result(&classify, &class);
    cr_assert_eq(class.assignment, NAT_ASSIGNMENT_SEQUENTIAL);
    cr_assert_eq(class.assignment_permille, 750);
}

/* The box was restarted, or had forgotten: what was seen before is no contradiction. */
Test(classify, a_new_mapping_is_not_taken_for_a_second_one)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    for (uint8_t i = 1; i <= 4; i++) {
        see(&classify, 0, remote_of(i, 3478), mapped_of(20000), 1000 * i);
    }
    for (uint8_t i = 1; i <= 4; i++) {
        see(&classify, 0, remote_of(i, 3478), mapped_of(31000), 1000000 + 1000 * i);
        classify_result(&classify, &class);
        cr_assert_not(class.is_dependent);
        cr_assert_eq(class.mapping,
                     i == 1 ? NAT_MAPPING_UNKNOWN : NAT_MAPPING_ENDPOINT_INDEPENDENT);
    }
}

Test(classify, what_was_seen_long_ago_contradicts_nothing)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    see(&classify, 0, remote_of(1, 3478), mapped_of(20000), 0);
    see(&classify, 0, remote_of(2, 3478), mapped_of(31000), CLASSIFY_SPAN_US + 1);
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_UNKNOWN);
    cr_assert_not(class.is_dependent);
}

Test(classify, an_answer_that_was_overtaken_changes_nothing)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    see(&classify, 0, remote_of(1, 3478), mapped_of(31000), 5000);
    see(&classify, 0, remote_of(1, 3478), mapped_of(20000), 4000);
    classify_result(&classify, &class);
    cr_assert_eq(class.port_last, 31000);
}

/* One remapped connection on a router that otherwise keeps ports: p2p networks meet it when a
 * stranger's datagram came first (Linux without a rule that drops it). */
Test(classify, a_single_moved_port_does_not_change_the_kind)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    for (uint8_t i = 1; i <= 4; i++) {
        see(&classify, 0, remote_of(i, 3478), mapped_of(i == 3 ? 64833 : LOCAL_PORT), 1000 * i);
    }
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_ENDPOINT_INDEPENDENT);
    cr_assert_eq(class.mapping_permille, 500);
}

Test(classify, an_arrival_is_proof_and_silence_is_not)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    for (int i = 1; i < CLASSIFY_MISSES_MIN; i++) {
        classify_probed(&classify, CLASSIFY_OTHER_ADDRESS, false);
        classify_probed(&classify, CLASSIFY_OTHER_PORT, false);
        classify_probed(&classify, CLASSIFY_HAIRPIN, false);
    }
    classify_result(&classify, &class);
    cr_assert_eq(class.filtering, NAT_FILTERING_UNKNOWN);
    cr_assert_eq(class.hairpin, NAT_FACT_UNKNOWN);
    classify_probed(&classify, CLASSIFY_OTHER_ADDRESS, false);
    classify_probed(&classify, CLASSIFY_OTHER_PORT, false);
    classify_probed(&classify, CLASSIFY_HAIRPIN, false);
    classify_result(&classify, &class);
    cr_assert_eq(class.filtering, NAT_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    cr_assert_eq(class.hairpin, NAT_FACT_NO);
    classify_probed(&classify, CLASSIFY_HAIRPIN, true);
    classify_probed(&classify, CLASSIFY_HAIRPIN, true);
    classify_result(&classify, &class);
    cr_assert_eq(class.hairpin, NAT_FACT_YES);
    classify_start(&classify);
    classify_probed(&classify, CLASSIFY_OTHER_ADDRESS, true);
    classify_result(&classify, &class);
    cr_assert_eq(class.filtering, NAT_FILTERING_ENDPOINT_INDEPENDENT);
    cr_assert_eq(class.filtering_permille, 1000 - 1000 / 16);
}

Test(classify, counters_never_overflow)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    for (int i = 0; i < 10000; i++) {
        classify_probed(&classify, CLASSIFY_HAIRPIN, i % 3 == 0);
        classify_silent(&classify, &(struct port_addr){.port = {(uint8_t)i}});
    }
    classify_result(&classify, &class);
    cr_assert_eq(class.hairpin, NAT_FACT_YES);
    cr_assert_eq(class.blocked, NAT_FACT_UNKNOWN); /* A single address was asked. */
}

Test(classify, udp_is_blocked_when_nobody_ever_answers)
{
    struct nat_class class;
    struct classify classify;
    classify_start(&classify);
    for (uint8_t i = 0; i < CLASSIFY_SILENT_MIN; i++) {
        struct port_addr remote = remote_of(1 + i % 3, 3478);
        classify_result(&classify, &class);
        cr_assert_eq(class.blocked, NAT_FACT_UNKNOWN);
        classify_silent(&classify, &remote);
    }
    classify_result(&classify, &class);
    cr_assert_eq(class.blocked, NAT_FACT_YES);
    see(&classify, 0, remote_of(1, 3478), mapped_of(20000), 1000);
    classify_result(&classify, &class);
    cr_assert_eq(class.blocked, NAT_FACT_NO);
}

Test(classify, families_are_not_mixed)
{
    struct nat_class class;
    struct classify classify;
    struct port_addr v6 = {.ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, .port = {13, 150}};
    classify_start(&classify);
    see(&classify, 0, remote_of(1, 3478), mapped_of(20000), 1000);
    see(&classify, 0, v6, v6, 2000);
    see(&classify, 0, v6, mapped_of(20000), 3000);
    see(&classify, 0, remote_of(2, 3478), mapped_of(0), 4000); /* There is no port 0. */
    classify_result(&classify, &class);
    cr_assert_eq(class.mapping, NAT_MAPPING_UNKNOWN);
    cr_assert_eq(classify.count, 1);
}

/* --- prediction ------------------------------------------------------------------------------ */

static bool is_predicted(const struct nat_class *class, uint16_t port, size_t guesses)
{
    uint16_t ports[8];
    size_t count = nat_class_predict(class, ports, guesses);
    for (size_t i = 0; i < count; i++) {
        if (ports[i] == port) {
            return true;
        }
    }
    return false;
}

/* With three guesses, and up to two neighbours that get a port in between. */
Test(classify, the_next_port_of_a_sequential_box_is_guessed)
{
    static const int steps[] = {1, 2, 3, 4, 7, -1, -2};
    for (size_t i = 0; i < array_len(steps); i++) {
        for (int neighbours = 0; neighbours <= 2; neighbours++) {
            struct box box =
                box_of(NAT_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                       NAT_FILTERING_ADDRESS_AND_PORT_DEPENDENT, NAT_ASSIGNMENT_SEQUENTIAL, i);
            struct classify classify;
            struct nat_class class;
            box.step = steps[i];
            classify_start(&classify);
            look(&box, &classify, 4, CLASSIFY_MISSES_MIN);
            classify_result(&classify, &class);
            cr_assert_eq(class.assignment, NAT_ASSIGNMENT_SEQUENTIAL);
            cr_assert_eq(class.step, steps[i]);
            for (int k = 0; k < neighbours; k++) {
                (void)box_port(&box, 0);
            }
            struct port_addr peer = remote_of(50, 7777);
            cr_assert(is_predicted(&class, box_out(&box, 0, &peer), 3), "step %d", steps[i]);
        }
    }
}

Test(classify, an_independent_mapping_needs_one_guess_and_a_random_one_gets_none)
{
    struct box box = box_of(NAT_MAPPING_ENDPOINT_INDEPENDENT, NAT_FILTERING_ADDRESS_DEPENDENT,
                            NAT_ASSIGNMENT_RANDOM, 1);
    struct classify classify;
    struct nat_class class;
    uint16_t ports[4];
    struct port_addr peer = remote_of(50, 7777);
    classify_start(&classify);
    look(&box, &classify, 4, 0);
    classify_result(&classify, &class);
    cr_assert_eq(nat_class_predict(&class, ports, 4), 1);
    cr_assert_eq(ports[0], box_out(&box, 0, &peer));

    box = box_of(NAT_MAPPING_ADDRESS_AND_PORT_DEPENDENT, NAT_FILTERING_ADDRESS_DEPENDENT,
                 NAT_ASSIGNMENT_RANDOM, 1);
    classify_start(&classify);
    look(&box, &classify, CLASSIFY_SIGHTS_MAX, 0);
    classify_result(&classify, &class);
    cr_assert_eq(nat_class_predict(&class, ports, 4), 0);
}

Test(classify, guesses_stay_among_the_ports_there_are)
{
    struct nat_class class = {.mapping = NAT_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                              .assignment = NAT_ASSIGNMENT_SEQUENTIAL,
                              .step = 2,
                              .port_last = 65532};
    uint16_t ports[4];
    cr_assert_eq(nat_class_predict(&class, ports, 4), 1);
    cr_assert_eq(ports[0], 65534);
    class.step = -1;
    class.port_last = CLASSIFY_PORT_MIN + 1;
    cr_assert_eq(nat_class_predict(&class, ports, 4), 1);
    cr_assert_eq(nat_class_predict(&class, ports, 0), 0);
}

Test(classify, every_value_has_a_name_and_others_are_unknown)
{
    cr_assert_str_eq(nat_mapping_text(NAT_MAPPING_NONE), "none");
    cr_assert_str_eq(nat_mapping_text(NAT_MAPPING_ADDRESS_DEPENDENT), "address_dependent");
    cr_assert_str_eq(nat_mapping_text(NAT_MAPPING_COUNT), "unknown");
    cr_assert_str_eq(nat_filtering_text(NAT_FILTERING_ADDRESS_AND_PORT_DEPENDENT),
                     "address_and_port_dependent");
    cr_assert_str_eq(nat_filtering_text(NAT_FILTERING_COUNT), "unknown");
    cr_assert_str_eq(nat_assignment_text(NAT_ASSIGNMENT_SEQUENTIAL), "sequential");
    cr_assert_str_eq(nat_assignment_text(NAT_ASSIGNMENT_COUNT), "unknown");
    cr_assert_str_eq(nat_fact_text(NAT_FACT_YES), "yes");
    cr_assert_str_eq(nat_fact_text(NAT_FACT_COUNT), "unknown");
}
