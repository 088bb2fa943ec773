/* timerq.c - a 4-ary heap of deadlines. */
#include "node/base/timerq.h"

#include <string.h>

#include "node/base/must.h"
#include "node/port/port.h"

enum {
    TIMERQ_CAP_FIRST = 8,
    TIMERQ_ARITY = 4,
    TIMERQ_SPARSE = 4, /* Below one part in four it shrinks by half. */
};

static bool before(const struct timerq_entry *a, const struct timerq_entry *b);
static void put(struct timerq *timers, uint32_t place, const struct timerq_entry *entry);
static void sift_up(struct timerq *timers, uint32_t place, const struct timerq_entry *entry);
static void sift_down(struct timerq *timers, uint32_t place, const struct timerq_entry *entry);
static void resize(struct timerq *timers, uint32_t cap);

void timerq_init(struct timerq *timers, struct port *port, struct arena *arena)
{
    *timers = (struct timerq){.arena = arena, .port = port, .wake_us = PORT_NEVER};
}

void timer_start(struct timerq *timers, struct timer *timer, uint64_t delay_us, timer_fn fire)
{
    must(fire != NULL);

    timer_stop(timers, timer);
    if (timers->count == timers->cap) {
        resize(timers, timers->cap == 0 ? TIMERQ_CAP_FIRST : timers->cap * 2);
    }
    timer->due_us = timers->port->now_us + delay_us;
    timer->fire = fire;
    struct timerq_entry entry = {
        .due_us = timer->due_us, .timer = timer, .order = ++timers->order_last};
    sift_up(timers, timers->count++, &entry);
}

void timer_stop(struct timerq *timers, struct timer *timer)
{
    if (timer->place == 0) {
        return;
    }
    uint32_t place = timer->place - 1;
    must(place < timers->count && timers->heap[place].timer == timer);

    timer->place = 0;
    struct timerq_entry last = timers->heap[--timers->count];
    /* A node is busy for a moment and idle for long. */
    if (timers->cap > TIMERQ_CAP_FIRST && timers->count < timers->cap / TIMERQ_SPARSE) {
        resize(timers, timers->cap / 2);
    }
    if (last.timer == timer) {
        return;
    }
    if (place > 0 && before(&last, &timers->heap[(place - 1) / TIMERQ_ARITY])) {
        sift_up(timers, place, &last);
    } else {
        sift_down(timers, place, &last);
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
        const struct timerq_entry *first = &timers->heap[0];
        if (first->due_us > timers->port->now_us || (int32_t)(first->order - order_end) > 0) {
            break;
        }
        struct timer *timer = first->timer;
        timer_stop(timers, timer);
        timer->fire(timer);
    }
}

void timerq_settle(struct timerq *timers)
{
    if (timers->count == 0 || timers->heap[0].due_us >= timers->wake_us) {
        return;
    }
    timers->wake_us = timers->heap[0].due_us;
    timers->port->ops->wake_at(timers->port, timers->wake_us);
}

static bool before(const struct timerq_entry *a, const struct timerq_entry *b)
{
    /* Orders are compared by difference, so that the counter may wrap. */
    return a->due_us < b->due_us || (a->due_us == b->due_us && (int32_t)(a->order - b->order) < 0);
}

static void put(struct timerq *timers, uint32_t place, const struct timerq_entry *entry)
{
    timers->heap[place] = *entry;
    entry->timer->place = place + 1;
}

static void sift_up(struct timerq *timers, uint32_t place, const struct timerq_entry *entry)
{
    while (place > 0) {
        uint32_t parent = (place - 1) / TIMERQ_ARITY;
        if (!before(entry, &timers->heap[parent])) {
            break;
        }
        put(timers, place, &timers->heap[parent]);
        place = parent;
    }
    put(timers, place, entry);
}

static void sift_down(struct timerq *timers, uint32_t place, const struct timerq_entry *entry)
{
    for (;;) {
        uint32_t first = place * TIMERQ_ARITY + 1;
        if (first >= timers->count) {
            break;
        }
        uint32_t end = first + TIMERQ_ARITY < timers->count ? first + TIMERQ_ARITY : timers->count;
        uint32_t least = first;
        for (uint32_t child = first + 1; child < end; child++) {
            if (before(&timers->heap[child], &timers->heap[least])) {
                least = child;
            }
        }
        if (!before(&timers->heap[least], entry)) {
            break;
        }
        put(timers, place, &timers->heap[least]);
        place = least;
    }
    put(timers, place, entry);
}

static void resize(struct timerq *timers, uint32_t cap)
{
    struct timerq_entry *heap = arena_take(timers->arena, ARENA_TIMERS, cap * sizeof *heap);
    /* Every timer lives in an object of a bounded pool, so running out here is a config error. */
    must(heap != NULL);
    if (timers->cap > 0) {
        uint32_t kept = timers->cap < cap ? timers->cap : cap;
        memcpy(heap, timers->heap, kept * sizeof *heap);
        arena_give_back(timers->arena, ARENA_TIMERS, timers->heap, timers->cap * sizeof *heap);
    }
    timers->heap = heap;
    timers->cap = cap;
}
