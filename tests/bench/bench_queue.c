/* bench_queue.c - timing wheel against binary heap: hold model, CPU time, both in this process.
 *
 * Hold model (Jones, CACM 29(4), 1986): pop the earliest event, push it again an increment later,
 * with a constant number pending and the population started in equilibrium. exp50 draws increments
 * from an exponential distribution with a mean of 50 ms. netmix is what a simulated mesh does: 70 %
 * latencies (log-normal, median 50 ms, sigma 0.5), 25 % timers of whole milliseconds up to a
 * second, 5 % periodic timers of 30 s +- 10 %. Times are in us, as in the simulator, so with a
 * million pending many events share a microsecond and the rest of the key decides.
 *
 * Usage: bench_queue [repetitions] [largest pending]. Both queues must pop the same sequence; the
 * program fails if they do not. Rates are medians.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "node/base/must.h"
#include "node/base/rng.h"
#include "sim/engine/dist.h"
#include "sim/engine/queue.h"

#define INCREMENTS      65521 /* A prime, so that increments and nodes do not fall into step. */
#define REPETITIONS_MAX 31
#define HOLDS           3000000
#define REPETITIONS     5

enum mix { MIX_EXP50, MIX_NETMIX };

struct load {
    uint64_t increment_us[INCREMENTS];
    struct dist residual; /* Time to the next event of a population in equilibrium. */
    size_t pending;
};

static void load_fill(struct load *load, enum mix mix);
static double hold(const struct load *load, enum queue_kind kind, uint64_t *popped);
static double hold_median(const struct load *load, enum queue_kind kind, int repetitions,
                          uint64_t *popped);
static double cpu_s(void);
static int compare_u64(const void *a, const void *b);
static int compare_double(const void *a, const void *b);

int main(int argc, char **argv)
{
    int repetitions = argc > 1 ? atoi(argv[1]) : REPETITIONS;
    size_t pending_max = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    if (repetitions < 1 || repetitions > REPETITIONS_MAX || pending_max < 10) {
        fprintf(stderr, "usage: bench_queue [repetitions 1..%d] [largest pending]\n",
                REPETITIONS_MAX);
        return 2;
    }
    static struct load load;
    const char *const names[] = {[MIX_EXP50] = "exp50", [MIX_NETMIX] = "netmix"};
    printf("mix      pending   wheel M events/s   heap M events/s   ratio\n");
    for (int mix = MIX_EXP50; mix <= MIX_NETMIX; mix++) {
        load_fill(&load, (enum mix)mix);
        for (load.pending = 1000; load.pending <= pending_max; load.pending *= 10) {
            uint64_t wheel_popped;
            uint64_t heap_popped;
            double wheel = hold_median(&load, QUEUE_WHEEL, repetitions, &wheel_popped);
            double heap = hold_median(&load, QUEUE_HEAP, repetitions, &heap_popped);
            printf("%-7s %8zu   %16.2f   %15.2f   %5.2f\n", names[mix], load.pending, wheel / 1e6,
                   heap / 1e6, wheel / heap);
            fflush(stdout);
            must(wheel_popped == heap_popped);
        }
        dist_close(&load.residual);
    }
    return 0;
}

static void load_fill(struct load *load, enum mix mix)
{
    static struct dist exponential;
    static struct dist latency;
    must(dist_fill(&exponential, &(struct dist_spec){.kind = DIST_EXPONENTIAL, .mean = 50e3}) ==
         ERR_OK);
    must(dist_fill(&latency, &(struct dist_spec){
                                 .kind = DIST_LOGNORMAL, .median = 50e3, .sigma = 0.5}) == ERR_OK);
    struct rng rng;
    rng_seed(&rng, 42);
    for (size_t i = 0; i < INCREMENTS; i++) {
        uint64_t percent = rng_below(&rng, 100);
        if (mix == MIX_EXP50) {
            load->increment_us[i] = dist_draw(&exponential, &rng) + 1;
        } else if (percent < 70) {
            load->increment_us[i] = dist_draw(&latency, &rng) + 1;
        } else if (percent < 95) {
            load->increment_us[i] = 1000 * (1 + rng_below(&rng, 1000));
        } else {
            load->increment_us[i] = 27000000 + rng_below(&rng, 6000000);
        }
    }
    static uint64_t sorted[INCREMENTS];
    for (size_t i = 0; i < INCREMENTS; i++) {
        sorted[i] = load->increment_us[i];
    }
    qsort(sorted, INCREMENTS, sizeof *sorted, compare_u64);
    static struct dist increments;
    struct dist_spec empirical = {
        .kind = DIST_EMPIRICAL, .samples = sorted, .sample_count = INCREMENTS};
    must(dist_fill(&increments, &empirical) == ERR_OK);
    must(dist_residual_fill(&load->residual, &increments) == ERR_OK);
}

static double hold_median(const struct load *load, enum queue_kind kind, int repetitions,
                          uint64_t *popped)
{
    double rates[REPETITIONS_MAX];
    for (int i = 0; i < repetitions; i++) {
        rates[i] = hold(load, kind, popped);
    }
    qsort(rates, (size_t)repetitions, sizeof *rates, compare_double);
    return rates[repetitions / 2];
}

/* Events per CPU second; *popped sums up what was popped, in order. */
static double hold(const struct load *load, enum queue_kind kind, uint64_t *popped)
{
    struct queue *queue;
    must(queue_open(&queue, kind) == ERR_OK);
    struct rng rng;
    rng_seed(&rng, 7);
    uint32_t sequence = 0;
    for (size_t i = 0; i < load->pending; i++) {
        struct event event = {.time_us = dist_draw(&load->residual, &rng),
                              .destination = (uint32_t)i,
                              .source = (uint32_t)i,
                              .sequence = sequence++};
        queue_push(queue, &event);
    }
    uint64_t sum = 0;
    double start_s = 0;
    size_t next = 0;
    size_t warm_up = HOLDS / 4 + 2 * load->pending;
    for (size_t i = 0; i < HOLDS + warm_up; i++) {
        if (i == warm_up) {
            start_s = cpu_s();
        }
        struct event event = queue_pop(queue);
        sum = (sum ^ event.time_us) * 0x9e3779b97f4a7c15u + event.sequence;
        event.time_us += load->increment_us[next];
        event.sequence = sequence++;
        next = next + 1 == INCREMENTS ? 0 : next + 1;
        queue_push(queue, &event);
    }
    double spent_s = cpu_s() - start_s;
    queue_close(queue);
    *popped = sum;
    return HOLDS / spent_s;
}

static double cpu_s(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static int compare_double(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}
