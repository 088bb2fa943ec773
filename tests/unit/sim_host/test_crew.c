/* test_crew.c - every job of every round runs once, and all have returned when the round has. */
#include <criterion/criterion.h>

#include "sim/host/crew.h"

enum {
    COUNT_MAX = 5,
    ROUNDS = 2000,
};

struct tally {
    struct crew *crew;
    uint32_t count;
    uint64_t round;            /* Written between rounds only. */
    uint64_t seen[COUNT_MAX];  /* The round each job saw last. */
    uint64_t calls[COUNT_MAX]; /* Each written by its job alone. */
};

static void job(void *arg, uint32_t number)
{
    struct tally *tally = arg;
    tally->calls[number]++;
    tally->seen[number] = tally->round;
    /* Uneven on purpose: now one is late, now another. */
    for (volatile uint64_t i = 0; i < (tally->round + number) % 7 * 300; i++) {
    }
}

static void run_rounds(uint32_t count)
{
    struct tally tally = {.count = count};
    tally.crew = crew_open(count, job, &tally);
    cr_assert_not_null(tally.crew);
    for (tally.round = 1; tally.round <= ROUNDS; tally.round++) {
        crew_run(tally.crew);
        for (uint32_t i = 0; i < count; i++) {
            cr_assert_eq(tally.calls[i], tally.round);
            cr_assert_eq(tally.seen[i], tally.round);
        }
    }
    crew_close(tally.crew);
}

Test(crew, every_job_of_every_round_runs_once)
{
    for (uint32_t count = 2; count <= COUNT_MAX; count++) {
        run_rounds(count);
    }
}

Test(crew, closes_without_a_round)
{
    struct tally tally = {0};
    struct crew *crew = crew_open(3, job, &tally);
    cr_assert_not_null(crew);
    crew_close(crew);
    cr_assert_eq(tally.calls[0] + tally.calls[1] + tally.calls[2], 0);
}
