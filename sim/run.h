/* run.h - what the files of sim/ share: one run's inside.
 *
 *      sim.c (life, barriers) -> sample.c (gauges)    -> sink.observe
 *                             -> observe.c (verdicts) -> sink.observe, sink.operation
 */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include <pthread.h>

#include "sim/check/check.h"
#include "sim/setup.h"
#include "sim/sim.h"

enum {
    RUN_TICK_US = 1000000,   /* Between barriers, at most. */
    RUN_SAMPLE_NODES = 1000, /* Of larger networks a rotating part is looked at. */
};

struct sim {
    struct sim_options options;
    struct setup setup;
    struct world *world;
    struct population *population;
    struct check check;
    uint64_t barrier_us; /* The next one. */
    uint64_t sampled_us; /* When the last sample was taken, */
    uint64_t sampled_bytes;
    uint32_t sampled_online;
    uint32_t sample_count;
    uint32_t action_next;
    uint64_t violations;
    pthread_mutex_t violation_mutex; /* Events are checked on the threads that run them. */
    bool is_finished;
    uint8_t (*public_keys)[CRYPTO_PUBLIC_LEN]; /* Of nodes that were up and are not. */
};

void run_observe(const struct sim *sim, enum metric_id metric, uint64_t t_us, uint32_t group,
                 double value);
/* sample.c */
void run_sample(struct sim *sim);
/* observe.c: hooks of population and check. */
void run_joined(void *arg, uint32_t node, uint64_t took_us);
void run_session(void *arg, uint32_t node, uint64_t start_us, uint64_t end_us,
                 const char *end_reason);
void run_ended(void *arg, const struct operation_end *end);
bool run_settled(void *arg, uint32_t node, uint32_t receiver, uint64_t start_us, bool is_last);
void run_submitting(void *arg, uint32_t node, const struct node_command *command);
void run_violation(void *arg, uint32_t node, const char *what);

#endif /* SIM_RUN_H */
