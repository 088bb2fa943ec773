/* crew.c - a round is a number that rises; those who wait for it spin first and then sleep. */
#include "sim/host/crew.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "node/base/must.h"

enum {
    SPINS = 20000, /* Some tens of microseconds: longer than a round's uneven end. */
    CREW_ALIGN = 64,
};

struct worker {
    struct crew *crew;
    uint32_t number;
    pthread_t thread;
};

struct crew {
    crew_job job;
    void *arg;
    uint32_t count;
    struct worker *workers; /* All but the caller. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_closing; /* Written before the last round begins. */
    _Alignas(CREW_ALIGN) _Atomic uint64_t round;
    _Alignas(CREW_ALIGN) _Atomic uint64_t done; /* Jobs returned in all rounds. */
};

static void *work(void *arg);
static void await(struct crew *crew, _Atomic uint64_t *number, uint64_t least);
static void advance(struct crew *crew, _Atomic uint64_t *number);

struct crew *crew_open(uint32_t count, crew_job job, void *arg)
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
    }
    pthread_mutex_lock(&crew->mutex);
    while (atomic_load_explicit(number, memory_order_acquire) < least) {
        pthread_cond_wait(&crew->changed, &crew->mutex);
    }
    pthread_mutex_unlock(&crew->mutex);
}

/* Under the mutex, so that nobody falls asleep between looking and waiting. */
static void advance(struct crew *crew, _Atomic uint64_t *number)
{
    pthread_mutex_lock(&crew->mutex);
    atomic_fetch_add_explicit(number, 1, memory_order_release);
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->mutex);
}
