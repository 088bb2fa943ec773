/* crew.c - a round is a number that rises; those who wait for it spin first and then sleep. */
#include "sim/host/crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "node/base/must.h"

enum {
    SPINS = 100000, /* Some tens of microseconds: waking a thread takes as long. */
    SPINS_PER_YIELD = 256,
    CREW_ALIGN = 64,
};

struct worker {
    struct crew *crew;
    uint32_t number;
    pthread_t thread;
};

struct crew {
    crew_job_fn job;
    void *arg;
    uint32_t count;
    struct worker *workers; /* All but the caller. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_closing;           /* Written before the last round begins. */
    _Atomic uint32_t sleepers; /* Changed under the mutex. */
    _Alignas(CREW_ALIGN) _Atomic uint64_t round;
    _Alignas(CREW_ALIGN) _Atomic uint64_t done; /* Jobs returned in all rounds. */
};

static void *work(void *arg);
static void await(struct crew *crew, _Atomic uint64_t *number, uint64_t least);
static void advance(struct crew *crew, _Atomic uint64_t *number);

struct crew *crew_open(uint32_t count, crew_job_fn job, void *arg)
{
    must(count >= 2);

    struct crew *crew = aligned_alloc(CREW_ALIGN, sizeof *crew);
    must(crew != NULL);
    *crew = (struct crew){.job = job, .arg = arg, .count = 1};
    crew->workers = calloc(count - 1, sizeof *crew->workers);
    must(crew->workers != NULL);
    must(pthread_mutex_init(&crew->mutex, NULL) == 0);
    must(pthread_cond_init(&crew->changed, NULL) == 0);
    while (crew->count < count) {
        struct worker *worker = &crew->workers[crew->count - 1];
        *worker = (struct worker){.crew = crew, .number = crew->count};
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            crew_close(crew);
            return NULL;
        }
        crew->count++;
    }
    return crew;
}

void crew_close(struct crew *crew)
{
    crew->is_closing = true;
    advance(crew, &crew->round);
    for (uint32_t i = 1; i < crew->count; i++) {
        must(pthread_join(crew->workers[i - 1].thread, NULL) == 0);
    }
    pthread_cond_destroy(&crew->changed);
    pthread_mutex_destroy(&crew->mutex);
    free(crew->workers);
    free(crew);
}

void crew_run(struct crew *crew)
{
    uint64_t done = (crew->round + 1) * (crew->count - 1);
    advance(crew, &crew->round);
    crew->job(crew->arg, 0);
    await(crew, &crew->done, done);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct crew *crew = worker->crew;
    for (uint64_t round = 1;; round++) {
        await(crew, &crew->round, round);
        if (crew->is_closing) {
            return NULL;
        }
        crew->job(crew->arg, worker->number);
        advance(crew, &crew->done);
    }
}

/* Until the number is at least `least`. */
static void await(struct crew *crew, _Atomic uint64_t *number, uint64_t least)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(number, memory_order_acquire) >= least) {
            return;
        }
        if (i % SPINS_PER_YIELD == SPINS_PER_YIELD - 1) {
            (void)sched_yield(); /* With more threads than cores the one waited for needs ours. */
        }
    }
    pthread_mutex_lock(&crew->mutex);
    crew->sleepers++;
    while (*number < least) {
        pthread_cond_wait(&crew->changed, &crew->mutex);
    }
    crew->sleepers--;
    pthread_mutex_unlock(&crew->mutex);
}

/* All of it sequentially consistent: either we see the sleeper, or it sees the new number. */
static void advance(struct crew *crew, _Atomic uint64_t *number)
{
    ++*number;
    if (crew->sleepers > 0) {
        pthread_mutex_lock(&crew->mutex);
        pthread_cond_broadcast(&crew->changed);
        pthread_mutex_unlock(&crew->mutex);
    }
}
