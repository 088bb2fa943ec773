/* test_suites.c - sessions take the same course under the real suite and the modelled one. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/sodium/sodium_suite.h"
#include "sim/host/host.h"
#include "tests/support/toy_peer.h"

enum {
    PEERS = 12,
    CALLS = 300,
    LOSS_IN_1000 = 100,
};

/* What went over the network: lengths and times, for contents differ. */
struct course {
    uint64_t trail;
    uint32_t datagrams;
    struct rng dice;
};

static int lose_some(void *arg, struct toy_datagram *datagram)
{
    struct course *course = arg;
    course->datagrams++;
    course->trail =
        rng_mix(course->trail ^ datagram->due_us ^ (uint64_t)datagram->len << 40 ^
                (uint64_t)datagram->from.ip[14] << 52 ^ (uint64_t)datagram->to.ip[14] << 58);
    return rng_below(&course->dice, 1000) >= LOSS_IN_1000;
}

static struct counters take_course(const struct port_crypto *crypto, struct course *course)
{
    *course = (struct course){.trail = 1};
    rng_seed(&course->dice, 11);
    struct toy_peers *peers = toy_peers_open(PEERS, 3, crypto);
    peers->world->filter = lose_some;
    peers->world->filter_arg = course;
    peers->transport.sessions_max = 8;
    peers->transport.rekey_after_us = 4000000;
    peers->guard.handshake_rate = 3;
    peers->guard.handshake_burst = 3;
    toy_peers_start(peers);
    static struct toy_answer answers[CALLS];
    struct rng rng;
    rng_seed(&rng, 5);
    const uint8_t kinds[] = {MESSAGE_FIND_NODE, MESSAGE_STORE, MESSAGE_PING, MESSAGE_FIND_VALUE};
    for (uint32_t i = 0; i < CALLS; i++) {
        uint32_t from = (uint32_t)rng_below(&rng, PEERS);
        uint32_t to = (uint32_t)((from + 1 + rng_below(&rng, PEERS - 1)) % PEERS);
        uint8_t kind = kinds[rng_below(&rng, array_len(kinds))];
        struct port_addr addr = toy_addr(to);
        if (rng_below(&rng, 8) == 0) {
            toy_ask_addr(&peers->peers[from], &addr, kind, &answers[i]);
        } else {
            toy_ask(&peers->peers[from], toy_contact(peers, to), kind, &answers[i]);
        }
        toy_run_for(peers->world, 1000 + rng_below(&rng, 90000));
        cr_assert_null(toy_peers_check(peers), "%s after call %u: %s", crypto->name, i,
                       toy_peers_check(peers));
    }
    toy_run_for(peers->world, 60000000);
    struct counters total = {0};
    for (uint32_t i = 0; i < PEERS; i++) {
        for (uint32_t j = 0; j < COUNTER_COUNT; j++) {
            total.value[j] += peers->peers[i].core.counters.value[j];
        }
    }
    for (uint32_t i = 0; i < CALLS; i++) {
        cr_assert_eq(answers[i].answered + answers[i].lost, 1, "call %u", i);
    }
    toy_peers_close(peers);
    return total;
}

Test(suites, give_the_same_datagrams_at_the_same_times, .timeout = 120)
{
    struct course real_course;
    struct course modelled_course;
    cr_assert_eq(sodium_suite_init(), ERR_OK);
    struct counters real = take_course(&sodium_suite, &real_course);
    struct counters modelled = take_course(&modelled_suite, &modelled_course);
    cr_assert_eq(real_course.datagrams, modelled_course.datagrams);
    cr_assert_eq(real_course.trail, modelled_course.trail);
    cr_assert_eq(memcmp(&real, &modelled, sizeof real), 0);
    /* The course is worth comparing: everything happened. */
    cr_assert_gt(real.value[COUNT_CALLS_ANSWERED], CALLS * 3 / 4);
    cr_assert_gt(real.value[COUNT_RETRANSMITS], 0);
    cr_assert_gt(real.value[COUNT_SESSIONS_EVICTED], 0);
    cr_assert_gt(real.value[COUNT_REKEYS], 0);
    cr_assert_gt(real.value[COUNT_CALLS_SLOW], 0);
    cr_assert_eq(real.value[COUNT_REPLAYED] + real.value[COUNT_MALFORMED], 0);
}
