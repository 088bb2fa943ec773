/* test_same.c - what must not change a run, and what must. */
#include <signal.h>

#include <criterion/criterion.h>

#include "tests/sim/run.h"

#define SMALL_MESH(crypto)                                                                         \
    "{\"schema_version\":1,\"name\":\"small\",\"seed\":\"0x1\",\"duration\":\"4m\","               \
    "\"warmup\":\"1m\",\"crypto\":\"" crypto "\","                                                 \
    "\"groups\":[{\"name\":\"core\",\"count\":8},{\"name\":\"home\",\"count\":52,"                 \
    "\"link\":{\"latency\":\"5ms\",\"loss\":0.01},"                                                \
    "\"churn\":{\"session\":{\"dist\":\"weibull\",\"scale\":\"3m\",\"shape\":0.6},"                \
    "\"offline\":{\"dist\":\"exponential\",\"mean\":\"1m\"}}}],"                                   \
    "\"network\":{\"latency\":{\"model\":\"constant\",\"value\":\"80ms\","                         \
    "\"jitter\":{\"dist\":\"lognormal\",\"median\":\"2ms\",\"sigma\":0.5}},"                       \
    "\"loss\":{\"model\":\"bernoulli\",\"p\":0.005}},"                                             \
    "\"topology\":{\"source\":\"bootstrap\",\"bootstrap_group\":\"core\",\"join_ramp\":\"20s\"},"  \
    "\"workload\":[{\"type\":\"lookup\",\"rate\":\"4/min\",\"per\":\"node\"},"                     \
    "{\"type\":\"store\",\"rate\":\"1/min\",\"per\":\"node\",\"size\":\"200B\","                   \
    "\"keys\":{\"dist\":\"zipf\",\"s\":0.9,\"n\":200}},"                                           \
    "{\"type\":\"get\",\"rate\":\"2/min\",\"per\":\"node\","                                       \
    "\"keys\":{\"dist\":\"zipf\",\"s\":0.9,\"n\":200}},"                                           \
    "{\"type\":\"message\",\"rate\":\"1/min\",\"per\":\"node\",\"size\":\"300B\"},"                \
    "{\"type\":\"broadcast\",\"rate\":\"2/min\",\"per\":\"network\",\"size\":\"400B\"}]}"

Test(same, the_same_seed_gives_the_same_digest_on_either_queue, .timeout = 600)
{
    struct run first = run_scenario(SMALL_MESH("modelled"), 5, QUEUE_WHEEL);
    struct run second = run_scenario(SMALL_MESH("modelled"), 5, QUEUE_WHEEL);
    struct run heap = run_scenario(SMALL_MESH("modelled"), 5, QUEUE_HEAP);
    struct run other = run_scenario(SMALL_MESH("modelled"), 6, QUEUE_WHEEL);
    cr_assert_eq(first.violations, 0u, "%s", first.violation);
    cr_assert_eq(first.digest, second.digest);
    cr_assert_eq(first.events, second.events);
    cr_assert_eq(first.digest, heap.digest);
    cr_assert_neq(first.digest, other.digest);
}

Test(same, real_and_modelled_crypto_take_the_same_course, .timeout = 600)
{
    struct run modelled = run_scenario(SMALL_MESH("modelled"), 7, QUEUE_WHEEL);
    struct run real = run_scenario(SMALL_MESH("real"), 7, QUEUE_WHEEL);
    cr_assert_gt(modelled.count[SCENARIO_WORKLOAD_LOOKUP], 100u);
    cr_assert_eq(modelled.datagrams, real.datagrams);
    cr_assert_eq(modelled.events, real.events);
    cr_assert_eq(modelled.outcome, real.outcome);
    cr_assert_neq(modelled.digest, real.digest, "the bytes on the wire do differ");
}
