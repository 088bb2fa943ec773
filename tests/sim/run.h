/* run.h - a scenario given as text, run to its end, and what came of it.
 *
 *      text -> scenario_load_text -> sim_open .. sim_finish -> struct run
 */
#ifndef TESTS_SIM_RUN_H
#define TESTS_SIM_RUN_H

#include "sim/sim.h"

struct run {
    uint64_t digest;
    uint64_t events;
    uint64_t datagrams;
    uint64_t violations;
    char violation[256];                             /* The first. */
    uint64_t count[SCENARIO_WORKLOAD_BROADCAST + 1]; /* Operations by type, after the warm-up. */
    uint64_t ok[SCENARIO_WORKLOAD_BROADCAST + 1];
    uint64_t exact;
    double hops;      /* Mean of the lookups. */
    uint64_t outcome; /* Folds every operation's verdict, hops and messages, in order. */
};

/* Criterion fails the test when the scenario does not load. */
struct run run_scenario(const char *text, uint64_t seed, enum queue_kind queue_kind);

#endif /* TESTS_SIM_RUN_H */
