/* test_lookups.c - networks at rest: lookups find what is there, by published hop counts. */
#include <signal.h>

#include <criterion/criterion.h>

#include "tests/sim/run.h"

#define STATIC_NETWORK(count, duration, rate)                                                      \
    "{\"schema_version\":1,\"name\":\"static\",\"seed\":\"0x1\",\"duration\":\"" duration "\","    \
    "\"warmup\":\"0s\",\"groups\":[{\"name\":\"all\",\"count\":" count "}],"                       \
    "\"network\":{\"latency\":{\"model\":\"constant\",\"value\":\"80ms\"}},"                       \
    "\"topology\":{\"source\":\"prebuilt\"},"                                                      \
    "\"workload\":[{\"type\":\"lookup\",\"rate\":\"" rate "\",\"per\":\"node\"}]}"

/* Must: 99.9 % of lookups in a static network of 2,000 return exactly the true 20 closest. */
Test(lookups, a_static_network_gives_the_exact_twenty_closest, .timeout = 600)
{
    struct run run = run_scenario(STATIC_NETWORK("2000", "60s", "2/min"), 11, QUEUE_WHEEL);
    uint64_t count = run.count[SCENARIO_WORKLOAD_LOOKUP];
    cr_assert_gt(count, 3000u);
    cr_assert_eq(run.violations, 0u, "%s", run.violation);
    cr_assert_geq(run.exact * 1000, count * 999, "%llu of %llu exact, seed 11",
                  (unsigned long long)run.exact, (unsigned long long)count);
    cr_assert_geq(run.ok[SCENARIO_WORKLOAD_LOOKUP] * 1000, count * 999);
}

/* Hops to the closest node with full tables, k = 20, alpha = 3, N = 1,000: 1.91 +- 0.33 in an
 * independent Monte Carlo (Cai & Devroye, arXiv 1309.5866, give the c log n form). The mean of some
 * thousand lookups has to lie within one standard deviation of a single one. */
Test(lookups, hops_of_a_thousand_nodes_lie_in_the_published_band, .timeout = 600)
{
    struct run run = run_scenario(STATIC_NETWORK("1000", "60s", "2/min"), 12, QUEUE_WHEEL);
    cr_assert_gt(run.count[SCENARIO_WORKLOAD_LOOKUP], 1500u);
    cr_assert_geq(run.hops, 1.58, "mean %f", run.hops);
    cr_assert_leq(run.hops, 2.24, "mean %f", run.hops);
}
