/* queue.h - the pending events of a run, earliest first.
 *
 * QUEUE_WHEEL is a hierarchical timing wheel whose current slot lies open as a sorted array, the
 * run. QUEUE_HEAP is a plain binary heap behind the same functions: the oracle of the tests, the
 * reference of the benchmark, and a way to rule the wheel out when a digest looks wrong. Both pop
 * the same events in the same order (event.h), so a run may use either.
 *
 * An event that falls into the open slot, or before it, goes into the run when its place is near
 * the end, else into a side heap that is merged on the way out. So a slot opened early (an idle
 * world peeks an hour ahead, then a user arrives) costs at worst a heap; when the side heap grows,
 * everything is filed anew from the earliest event on. Slot width follows the load: about sixteen
 * events per opened slot, judged over a window of events and changed by powers of two.
 *
 *      queue_push -> wheel (later slots) -> run (open slot, sorted) -+-> queue_peek, queue_pop
 *                 -> run or side heap (this slot or before) ---------+
 *
 * There is no cancel: owners ignore wake-ups that are no longer due.
 */
#ifndef SIM_ENGINE_QUEUE_H
#define SIM_ENGINE_QUEUE_H

#include "node/base/err.h"
#include "sim/engine/event.h"
#include "sim/engine/heap.h"
#include "sim/engine/wheel.h"

enum queue_kind { QUEUE_WHEEL, QUEUE_HEAP };

/* Laid open only so that the common cases of peek and pop are inlined. */
struct queue {
    struct event *run; /* run[run_head] .. run[run_len - 1] still to come, sorted. */
    size_t run_head;
    size_t run_len;
    size_t run_max;
    struct heap side; /* QUEUE_HEAP: all events. */
    size_t len;
    enum queue_kind kind;
    size_t scratch_max;
    struct event *scratch;  /* For sorting. */
    uint64_t window_slots;  /* Slots opened since the width was last judged, */
    uint64_t window_events; /* and the events that were due in them. */
    struct wheel wheel;
};

NODISCARD int queue_open(struct queue **queue, enum queue_kind kind);
void queue_close(struct queue *queue);

/* Copies the event in. Its key differs from every pending one; any time is allowed, even before
 * what was popped last. Running out of memory ends the run through must(). */
void queue_push(struct queue *queue, const struct event *event);

/* Not for callers: what peek and pop do when the run is empty or the side heap is not. */
const struct event *queue_peek_slow(struct queue *queue);
struct event queue_pop_slow(struct queue *queue);

/* The earliest event, NULL when there is none; valid until the next push, peek or pop. */
static inline const struct event *queue_peek(struct queue *queue)
{
    if (queue->side.len == 0 && queue->run_head < queue->run_len) {
        return &queue->run[queue->run_head];
    }
    return queue_peek_slow(queue);
}

/* Removes the earliest event; the queue is not empty. */
static inline struct event queue_pop(struct queue *queue)
{
    if (queue->side.len == 0 && queue->run_head < queue->run_len) {
        queue->len--;
        return queue->run[queue->run_head++];
    }
    return queue_pop_slow(queue);
}

static inline size_t queue_len(const struct queue *queue)
{
    return queue->len;
}

/* The event n places behind the first in the open slot (0 is the first itself), NULL past its end.
 * A hint for prefetching: events of the side heap, and pushes to come, may go before it. */
static inline const struct event *queue_ahead(const struct queue *queue, size_t n)
{
    size_t index = queue->run_head + n;
    return index < queue->run_len ? &queue->run[index] : NULL;
}

#endif /* SIM_ENGINE_QUEUE_H */
