/* timerq.c - a 4-ary heap of timers. */
#include "node/base/timerq.h"

#include <string.h>

#include "node/base/must.h"
#include "node/port/port.h"

enum {
    TIMERQ_CAP_FIRST = 16,
    TIMERQ_ARITY = 4,
};

static bool before(const struct timer *a, const struct timer *b);
static void put(struct timerq *timers, uint32_t place, struct timer *timer);
static void sift_up(struct timerq *timers, uint32_t place, struct timer *timer);
static void sift_down(struct timerq *timers, uint32_t place, struct timer *timer);
static void grow(struct timerq *timers);

void timerq_init(struct timerq *timers, struct port *port, struct arena *arena)
{
    *timers = (struct timerq){.arena = arena, .port = port, .wake_us = PORT_NEVER};
}

void timer_start(struct timerq *timers, struct timer *timer, uint64_t delay_us, timer_fn fire)
{
    must(fire != NULL);

    timer_stop(timers, timer);
    if (timers->count == timers->cap) {
        grow(timers);
    }
    timer->due_us = timers->port->now_us + delay_us;
    timer->order = ++timers->order_last;
    timer->fire = fire;
    sift_up(timers, timers->count++, timer);
}

void timer_stop(struct timerq *timers, struct timer *timer)
{
    if (timer->place == 0) {
        return;
    }
    uint32_t place = timer->place - 1;
    must(place < timers->count && timers->heap[place] == timer);

    timer->place = 0;
    struct timer *last = timers->heap[--timers->count];
    if (last == timer) {
        return;
    }
    if (place > 0 && before(last, timers->heap[(place - 1) / TIMERQ_ARITY])) {
        sift_up(timers, place, last);
    } else {
        sift_down(timers, place, last);
    }
}

void timerq_fire_due(struct timerq *timers)
{
    /* The host's request is spent, whether or not something is due yet. */
    timers->wake_us = PORT_NEVER;

    /* What is started while firing waits for the next entry, even at zero delay: an entry is
     * finite. */
    uint32_t order_end = timers->order_last;
    while (timers->count > 0) {
        struct timer *timer = timers->heap[0];
        if (timer->due_us > timers->port->now_us || (int32_t)(timer->order - order_end) > 0) {
            break;
        }
        timer_stop(timers, timer);
        timer->fire(timer);
    }
}

void timerq_settle(struct timerq *timers)
{
    if (timers->count == 0 || timers->heap[0]->due_us >= timers->wake_us) {
        return;
    }
    timers->wake_us = timers->heap[0]->due_us;
    timers->port->ops->wake_at(timers->port, timers->wake_us);
}

static bool before(const struct timer *a, const struct timer *b)
{
    /* Orders are compared by difference, so that the counter may wrap. */
    return a->due_us < b->due_us || (a->due_us == b->due_us && (int32_t)(a->order - b->order) < 0);
}

static void put(struct timerq *timers, uint32_t place, struct timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place + 1;
}

static void sift_up(struct timerq *timers, uint32_t place, struct timer *timer)
{
    while (place > 0) {
        uint32_t parent = (place - 1) / TIMERQ_ARITY;
        if (!before(timer, timers->heap[parent])) {
            break;
        }
        put(timers, place, timers->heap[parent]);
        place = parent;
    }
    put(timers, place, timer);
}

static void sift_down(struct timerq *timers, uint32_t place, struct timer *timer)
{
    for (;;) {
        uint32_t first = place * TIMERQ_ARITY + 1;
        if (first >= timers->count) {
            break;
        }
        uint32_t end = first + TIMERQ_ARITY < timers->count ? first + TIMERQ_ARITY : timers->count;
        uint32_t least = first;
        for (uint32_t child = first + 1; child < end; child++) {
            if (before(timers->heap[child], timers->heap[least])) {
                least = child;
            }
        }
        if (!before(timers->heap[least], timer)) {
            break;
        }
        put(timers, place, timers->heap[least]);
        place = least;
    }
    put(timers, place, timer);
}

static void grow(struct timerq *timers)
{
    uint32_t cap = timers->cap == 0 ? TIMERQ_CAP_FIRST : timers->cap * 2;
    struct timer **heap = arena_take(timers->arena, ARENA_TIMERS, cap * sizeof *heap);
    /* Every timer lives in an object of a bounded pool, so running out here is a config error. */
    must(heap != NULL);
    if (timers->count > 0) {
        memcpy(heap, timers->heap, timers->count * sizeof *heap);
        arena_give_back(timers->arena, ARENA_TIMERS, timers->heap, timers->cap * sizeof *heap);
    }
    timers->heap = heap;
    timers->cap = cap;
}
