/* timerq.h - the timers of one node over the one wake-up its host gives it.
 *
 *      timer_start -> heap by (due, start order) -> port_ops.wake_at
 *      node_on_wake -> timerq_fire_due -> timer->fire
 *
 * Equal deadlines fire in start order, as libuv's do, so both worlds order timers alike. A timer is
 * embedded in its owner, who is found by container_of; starting a running timer moves it.
 */
#ifndef NODE_BASE_TIMERQ_H
#define NODE_BASE_TIMERQ_H

#include <stdbool.h>
#include <stdint.h>

#include "node/base/arena.h"

struct timer;
typedef void (*timer_fn)(struct timer *timer);

struct timer {
    uint64_t due_us;
    timer_fn fire;
    uint32_t place; /* Index in the heap + 1; 0 when not running. */
};

/* What timers are compared by lies in the heap: looking at the timers themselves would touch the
 * memory of all their owners. */
struct timerq_entry {
    uint64_t due_us;
    struct timer *timer;
    uint32_t order; /* Start order among equal deadlines. */
};

struct timerq {
    struct arena *arena;
    struct port *port;
    struct timerq_entry *heap;
    uint32_t count;
    uint32_t cap;
    uint32_t order_last;
    uint64_t wake_us; /* What the host was last asked for. */
};

void timerq_init(struct timerq *timers, struct port *port, struct arena *arena);

/* Calls fire(timer) once, delay_us after the entry's now_us. */
void timer_start(struct timerq *timers, struct timer *timer, uint64_t delay_us, timer_fn fire);
void timer_stop(struct timerq *timers, struct timer *timer);

static inline bool timer_is_running(const struct timer *timer)
{
    return timer->place != 0;
}

/* Fires everything due at port->now_us, in order, then asks for the next wake-up. */
void timerq_fire_due(struct timerq *timers);

/* At the end of an entry: ask the host for the earliest deadline if it moved forward. A deadline
 * that moved away is left to fire early and find nothing due: cheaper than cancelling. */
void timerq_settle(struct timerq *timers);

#endif /* NODE_BASE_TIMERQ_H */
