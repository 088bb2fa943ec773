/* test_queue.c - the timing wheel pops what the heap pops, in that order, under any load. */
#include <signal.h>

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "node/base/rng.h"
#include "node/base/slice.h"
#include "sim/engine/queue.h"

#define HOUR_US UINT64_C(3600000000)

enum mix {
    EXPONENTIAL,
    NETMIX,
    PERIODIC,
    EQUAL_TIMES,
    FAR_AHEAD,
    NEAR_AND_FAR,
    BEFORE_THE_SLOT,
    BURSTS,
};

struct load {
    enum mix mix;
    size_t pending;
};

struct pair {
    struct queue *wheel;
    struct queue *heap;
    struct rng rng;
    uint32_t sequence;
};

static struct pair pair_open(uint64_t seed)
{
    struct pair pair = {.sequence = 0};
    rng_seed(&pair.rng, seed);
    cr_assert_eq(queue_open(&pair.wheel, QUEUE_WHEEL), ERR_OK);
    cr_assert_eq(queue_open(&pair.heap, QUEUE_HEAP), ERR_OK);
    return pair;
}

static void pair_close(struct pair *pair)
{
    queue_close(pair->wheel);
    queue_close(pair->heap);
}

static void pair_push(struct pair *pair, uint64_t time_us)
{
    struct event event = {.time_us = time_us,
                          .destination = (uint32_t)rng_below(&pair->rng, 50),
                          .source = (uint32_t)rng_below(&pair->rng, 50),
                          .sequence = pair->sequence,
                          .payload = ~pair->sequence};
    pair->sequence++;
    queue_push(pair->wheel, &event);
    queue_push(pair->heap, &event);
}

static bool same(const struct event *a, const struct event *b)
{
    return a->time_us == b->time_us && a->destination == b->destination && a->source == b->source &&
           a->sequence == b->sequence && a->payload == b->payload;
}

/* Pops both and returns the time. */
static uint64_t pair_pop(struct pair *pair)
{
    struct event peeked = *queue_peek(pair->wheel);
    struct event event = queue_pop(pair->wheel);
    struct event expected = queue_pop(pair->heap);
    cr_assert(same(&peeked, &event));
    cr_assert(same(&event, &expected),
              "popped time %llu sequence %u, the heap says time %llu sequence %u",
              (unsigned long long)event.time_us, event.sequence,
              (unsigned long long)expected.time_us, expected.sequence);
    return event.time_us;
}

static void pair_drain(struct pair *pair)
{
    while (queue_len(pair->heap) > 0) {
        cr_assert_eq(queue_len(pair->wheel), queue_len(pair->heap));
        pair_pop(pair);
    }
    cr_assert_eq(queue_len(pair->wheel), 0);
    cr_assert_null(queue_peek(pair->wheel));
    cr_assert_null(queue_peek(pair->heap));
}

/* Geometric with a mean of 2^16 us or so: an exponential law without libm. */
static uint64_t exponential_us(struct rng *rng)
{
    uint64_t word = rng_next(rng);
    unsigned zeros = (unsigned)__builtin_ctzll(word | UINT64_C(1) << 40);
    return zeros * 45426 + (word >> 48) * 45426 / 65536;
}

static uint64_t increment_us(enum mix mix, struct rng *rng)
{
    uint64_t percent = rng_below(rng, 100);
    switch (mix) {
    case EXPONENTIAL:
        return exponential_us(rng);
    case NETMIX:
        return percent < 70   ? 20000 + exponential_us(rng)
               : percent < 95 ? 1000 * (1 + rng_below(rng, 1000))
                              : 27000000 + rng_below(rng, 6000000);
    case PERIODIC:
        return 1000000;
    case EQUAL_TIMES:
        return percent == 0 ? 1 : 0;
    case FAR_AHEAD:
        return rng_next(rng) >> (16 + rng_below(rng, 48));
    case NEAR_AND_FAR:
        return percent < 90 ? rng_below(rng, 2000) : HOUR_US * (1 + rng_below(rng, 500));
    default:
        return percent < 50 ? 0 : rng_below(rng, 100000);
    }
}

ParameterizedTestParameters(queue, wheel_pops_what_the_heap_pops)
{
    static struct load loads[] = {
        {EXPONENTIAL, 1},      {EXPONENTIAL, 10},      {EXPONENTIAL, 3000}, {EXPONENTIAL, 100000},
        {NETMIX, 10},          {NETMIX, 1000},         {NETMIX, 50000},     {PERIODIC, 1},
        {PERIODIC, 5000},      {EQUAL_TIMES, 5000},    {FAR_AHEAD, 100},    {FAR_AHEAD, 20000},
        {NEAR_AND_FAR, 10000}, {BEFORE_THE_SLOT, 100}, {BURSTS, 5},         {BURSTS, 3000},
    };
    return cr_make_param_array(struct load, loads, array_len(loads));
}

ParameterizedTest(struct load *load, queue, wheel_pops_what_the_heap_pops)
{
    struct pair pair = pair_open(load->mix * 1000 + load->pending);
    for (size_t i = 0; i < load->pending; i++) {
        pair_push(&pair, increment_us(load->mix, &pair.rng));
    }
    size_t holds = 20000 + 2 * load->pending;
    for (size_t i = 0; i < holds; i++) {
        uint64_t now_us = pair_pop(&pair);
        uint64_t increment = increment_us(load->mix, &pair.rng);
        if (load->mix == BEFORE_THE_SLOT && now_us > increment) {
            increment = -increment; /* The past is allowed. */
        }
        pair_push(&pair, now_us + increment);
        if (load->mix == BURSTS && i % 5000 == 0) {
            for (size_t k = 0; k < 3000; k++) {
                pair_push(&pair, now_us + rng_below(&pair.rng, 300));
            }
            for (size_t k = 0; k < 3000; k++) {
                pair_pop(&pair);
            }
        }
    }
    pair_drain(&pair);
    pair_close(&pair);
}

Test(queue, the_end_of_time_is_a_time)
{
    struct pair pair = pair_open(1);
    pair_push(&pair, UINT64_MAX);
    pair_push(&pair, 0);
    pair_push(&pair, UINT64_MAX);
    pair_push(&pair, UINT64_MAX - 1);
    pair_push(&pair, UINT64_C(1) << 46);
    pair_drain(&pair);
    pair_close(&pair);
}

Test(queue, slot_opened_far_ahead_does_not_hurt_what_comes_earlier)
{
    struct pair pair = pair_open(2);
    pair_push(&pair, HOUR_US);
    cr_assert_eq(queue_peek(pair.wheel)->time_us, HOUR_US);
    unsigned shift = pair.wheel->wheel.shift;
    for (size_t i = 0; i < 100000; i++) {
        pair_push(&pair, 1 + rng_below(&pair.rng, HOUR_US - 1));
        cr_assert_leq(pair.wheel->side.len, 256 + pair.wheel->len / 8);
    }
    cr_assert_lt(pair.wheel->wheel.slot_now, wheel_slot(&pair.wheel->wheel, HOUR_US),
                 "the wheel has been turned back");
    cr_assert_eq(pair.wheel->wheel.shift, shift, "slots were not too wide");
    pair_drain(&pair);
    pair_close(&pair);
}

Test(queue, run_that_never_drains_does_not_grow)
{
    struct pair pair = pair_open(3);
    pair_push(&pair, HOUR_US);
    queue_peek(pair.wheel);
    for (uint64_t now_us = 0; now_us < 200000; now_us++) {
        pair_push(&pair, now_us);
        cr_assert_eq(pair_pop(&pair), now_us);
    }
    cr_assert_leq(pair.wheel->run_max, 1024);
    pair_drain(&pair);
    pair_close(&pair);
}

/* Holds `pending` events for long enough to judge the slot width, and checks it. */
static void settle(struct queue *queue, struct rng *rng, size_t pending, uint32_t *sequence)
{
    uint64_t now_us = queue_len(queue) > 0 ? queue_peek(queue)->time_us : 0;
    while (queue_len(queue) < pending) {
        struct event event = {.time_us = now_us + exponential_us(rng), .sequence = ++*sequence};
        queue_push(queue, &event);
    }
    while (queue_len(queue) > pending) {
        queue_pop(queue);
    }
    /* Until the width has had time to change, and a good part of a window has passed since. */
    for (size_t i = 0; i < 10000 + 2 * pending || queue->window_slots < 30; i++) {
        struct event event = queue_pop(queue);
        cr_assert_geq(event.time_us, now_us);
        now_us = event.time_us;
        event.time_us += exponential_us(rng);
        event.sequence = ++*sequence;
        queue_push(queue, &event);
    }
    double per_slot = (double)queue->window_events / (double)queue->window_slots;
    cr_expect(per_slot > 7 && per_slot < 65, "%zu pending, shift %u: %.1f events per slot", pending,
              queue->wheel.shift, per_slot);
}

Test(queue, slot_width_follows_the_load_up_and_down)
{
    struct queue *queue;
    cr_assert_eq(queue_open(&queue, QUEUE_WHEEL), ERR_OK);
    struct rng rng;
    rng_seed(&rng, 4);
    uint32_t sequence = 0;
    static const size_t steps[] = {10, 1000, 100000, 1000000, 30000, 100, 10};
    for (size_t i = 0; i < array_len(steps); i++) {
        settle(queue, &rng, steps[i], &sequence);
    }
    queue_close(queue);
}

Test(queue, width_does_not_swing_under_a_steady_load)
{
    struct queue *queue;
    cr_assert_eq(queue_open(&queue, QUEUE_WHEEL), ERR_OK);
    struct rng rng;
    rng_seed(&rng, 5);
    uint32_t sequence = 0;
    settle(queue, &rng, 5000, &sequence);
    unsigned shift = queue->wheel.shift;
    for (size_t i = 0; i < 300000; i++) {
        struct event event = queue_pop(queue);
        event.time_us += exponential_us(&rng);
        event.sequence = ++sequence;
        queue_push(queue, &event);
        cr_assert_eq(queue->wheel.shift, shift);
    }
    queue_close(queue);
}

Test(queue, events_ahead_are_the_ones_popped_next)
{
    struct queue *queue;
    cr_assert_eq(queue_open(&queue, QUEUE_WHEEL), ERR_OK);
    cr_assert_null(queue_ahead(queue, 0));
    for (uint32_t i = 0; i < 20; i++) {
        struct event event = {.time_us = 4200 + 7 * (i * 13 % 20), .sequence = i};
        queue_push(queue, &event);
    }
    struct event first = *queue_peek(queue);
    cr_assert(same(queue_ahead(queue, 0), &first));
    struct event ahead[20];
    for (size_t i = 0; i < 20; i++) {
        ahead[i] = *queue_ahead(queue, i);
    }
    cr_assert_null(queue_ahead(queue, 20));
    for (size_t i = 0; i < 20; i++) {
        struct event event = queue_pop(queue);
        cr_assert(same(&event, &ahead[i]));
    }
    queue_close(queue);
}

Test(queue, pop_of_nothing_is_a_bug, .signal = SIGABRT)
{
    struct queue *queue;
    cr_assert_eq(queue_open(&queue, QUEUE_WHEEL), ERR_OK);
    queue_pop(queue);
}

Test(queue, sorts_any_number_of_events_with_any_ties)
{
    static struct event events[1000];
    static struct event scratch[1000];
    struct rng rng;
    rng_seed(&rng, 6);
    for (size_t count = 0; count < array_len(events); count += 1 + count / 20) {
        uint64_t span = 1 + rng_below(&rng, 2 * count + 1);
        struct heap heap = {.items = NULL};
        for (size_t i = 0; i < count; i++) {
            events[i] = (struct event){.time_us = rng_below(&rng, span),
                                       .destination = (uint32_t)rng_below(&rng, 3),
                                       .source = (uint32_t)rng_below(&rng, 3),
                                       .sequence = (uint32_t)i};
            heap_push(&heap, &events[i]);
        }
        event_sort(events, count, scratch);
        for (size_t i = 0; i < count; i++) {
            struct event expected = heap_pop(&heap);
            cr_assert(same(&events[i], &expected), "%zu events, place %zu", count, i);
        }
        heap_close(&heap);
    }
}

Test(queue, order_is_time_destination_source_sequence)
{
    const struct event base = {.time_us = 5, .destination = 5, .source = 5, .sequence = 5};
    struct event later[] = {base, base, base, base};
    later[0].time_us = 6;
    later[0].destination = 0;
    later[1].destination = 6;
    later[1].source = 0;
    later[2].source = 6;
    later[2].sequence = 0;
    later[3].sequence = 6;
    for (size_t i = 0; i < array_len(later); i++) {
        cr_assert(event_before(&base, &later[i]), "member %zu", i);
        cr_assert_not(event_before(&later[i], &base), "member %zu", i);
    }
    struct event other = base;
    other.payload = 1;
    cr_assert_not(event_before(&base, &other));
    cr_assert_not(event_before(&other, &base));
}
