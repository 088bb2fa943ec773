/* test_timerq.c - the order of timers, and what the host is asked for. */
#include <signal.h>

#include <criterion/criterion.h>

#include "tests/support/bare_port.h"

enum { TIMERS = 500 };

struct alarm {
    struct timer timer;
    uint32_t number;
    uint64_t due_us;  /* As the test reckons; PORT_NEVER when stopped. */
    uint32_t started; /* The test's own start order. */
};

static struct bare_port *bare;
static struct timerq *timers;
static struct alarm alarms[TIMERS];
static uint32_t fired[100000];
static uint32_t fired_count;

static void setup(void)
{
    bare = bare_open(1);
    timers = &bare->core.timers;
    for (uint32_t i = 0; i < TIMERS; i++) {
        alarms[i] = (struct alarm){.number = i, .due_us = PORT_NEVER};
    }
}

static void teardown(void)
{
    bare_close(bare);
}

TestSuite(timerq, .init = setup, .fini = teardown);

static void note(struct timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    fired[fired_count++] = alarm->number;
}

Test(timerq, equal_deadlines_fire_in_start_order)
{
    for (uint32_t i = 0; i < 100; i++) {
        timer_start(timers, &alarms[i].timer, i % 2 == 0 ? 1000 : 2000, note);
    }
    bare_run_until(bare, bare->port.now_us + 3000);
    cr_assert_eq(fired_count, 100);
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert_eq(fired[i], i < 50 ? 2 * i : 2 * (i - 50) + 1, "place %u", i);
    }
}

static void note_and_check(struct timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    cr_assert_eq(bare->port.now_us, alarm->due_us, "alarm %u", alarm->number);
    for (uint32_t i = 0; i < TIMERS; i++) {
        struct alarm *other = &alarms[i];
        bool is_first = alarm->due_us < other->due_us ||
                        (alarm->due_us == other->due_us && alarm->started <= other->started);
        cr_assert(is_first, "alarm %u fired before %u", alarm->number, i);
    }
    alarm->due_us = PORT_NEVER;
    note(timer);
}

/* Starts, restarts and stops at random against the naive list of deadlines above. */
Test(timerq, a_random_history_fires_everything_once_and_in_order, .timeout = 60)
{
    struct rng rng;
    rng_seed(&rng, 99);
    uint32_t order = 0;
    for (int step = 0; step < 20000; step++) {
        struct alarm *alarm = &alarms[rng_below(&rng, TIMERS)];
        uint64_t choice = rng_below(&rng, 10);
        if (choice < 6) {
            uint64_t delay_us = rng_below(&rng, 50) * 100;
            alarm->due_us = bare->port.now_us + delay_us;
            alarm->started = ++order;
            timer_start(timers, &alarm->timer, delay_us, note_and_check);
        } else if (choice < 8) {
            alarm->due_us = PORT_NEVER;
            timer_stop(timers, &alarm->timer);
        } else {
            bare_run_until(bare, bare->port.now_us + rng_below(&rng, 5) * 50);
        }
        for (uint32_t i = 0; step % 100 == 0 && i < TIMERS; i++) {
            cr_assert_eq(timer_is_running(&alarms[i].timer), alarms[i].due_us != PORT_NEVER);
        }
    }
    bare_run_until(bare, bare->port.now_us + 10000);
    cr_assert_eq(timers->count, 0);
    cr_assert_gt(fired_count, 1000);
}

static void restart(struct timer *timer)
{
    note(timer);
    timer_start(timers, timer, 10, restart);
}

Test(timerq, a_timer_may_start_itself_again)
{
    timer_start(timers, &alarms[0].timer, 10, restart);
    bare_run_until(bare, bare->port.now_us + 100);
    cr_assert_eq(fired_count, 10);
    cr_assert(timer_is_running(&alarms[0].timer));
}

static void stop_the_others(struct timer *timer)
{
    note(timer);
    for (uint32_t i = 1; i < 50; i++) {
        timer_stop(timers, &alarms[i].timer);
    }
}

Test(timerq, a_timer_may_stop_others_that_are_due)
{
    for (uint32_t i = 0; i < 60; i++) {
        timer_start(timers, &alarms[i].timer, 10, i == 0 ? stop_the_others : note);
    }
    bare_run_until(bare, bare->port.now_us + 100);
    cr_assert_eq(fired_count, 11);
    cr_assert_eq(fired[0], 0);
    cr_assert_eq(fired[1], 50);
}

static void start_at_once(struct timer *timer)
{
    note(timer);
    timer_start(timers, timer, 0, start_at_once);
}

Test(timerq, zero_delay_waits_for_the_next_entry)
{
    timer_start(timers, &alarms[0].timer, 0, start_at_once);
    timer_start(timers, &alarms[1].timer, 0, note);
    timerq_fire_due(timers);
    cr_assert_eq(fired_count, 2, "an entry ends");
    timerq_settle(timers);
    cr_assert_eq(bare->wake_us, bare->port.now_us);
    timerq_fire_due(timers);
    cr_assert_eq(fired_count, 3);
}

Test(timerq, the_host_is_asked_only_when_the_earliest_deadline_moves_forward)
{
    uint64_t start_us = bare->port.now_us;
    timerq_settle(timers);
    cr_assert_eq(bare->wakes_asked, 0, "no timers, no wake-up");

    timer_start(timers, &alarms[0].timer, 1000, note);
    timerq_settle(timers);
    cr_assert_eq(bare->wake_us, start_us + 1000);
    timer_start(timers, &alarms[1].timer, 2000, note);
    timerq_settle(timers);
    cr_assert_eq(bare->wakes_asked, 1, "later than what was asked for");
    timer_start(timers, &alarms[2].timer, 500, note);
    timerq_settle(timers);
    cr_assert_eq(bare->wakes_asked, 2);
    cr_assert_eq(bare->wake_us, start_us + 500);

    /* The earliest goes away: the wake-up comes, finds nothing due, and asks anew. */
    timer_stop(timers, &alarms[2].timer);
    timerq_settle(timers);
    cr_assert_eq(bare->wakes_asked, 2);
    bare->port.now_us = start_us + 500;
    timerq_fire_due(timers);
    timerq_settle(timers);
    cr_assert_eq(fired_count, 0);
    cr_assert_eq(bare->wake_us, start_us + 1000);
}

Test(timerq, start_order_survives_the_wrap_of_its_counter)
{
    timers->order_last = UINT32_MAX - 5;
    for (uint32_t i = 0; i < 12; i++) {
        timer_start(timers, &alarms[i].timer, 10, note);
    }
    bare_run_until(bare, bare->port.now_us + 10);
    cr_assert_eq(fired_count, 12);
    for (uint32_t i = 0; i < 12; i++) {
        cr_assert_eq(fired[i], i);
    }
}
