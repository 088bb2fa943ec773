/* heap.h - the plain binary heap of events.
 *
 * It has two uses: as the oracle and speed reference beside the timing wheel (queue.h, QUEUE_HEAP),
 * and inside the wheel for the few events that come too late for the slots.
 *
 *      heap_push -> items[0] is the earliest -> heap_pop
 */
#ifndef SIM_ENGINE_HEAP_H
#define SIM_ENGINE_HEAP_H

#include "sim/engine/event.h"

/* All zero is an empty heap. */
struct heap {
    struct event *items;
    size_t len;
    size_t max;
};

/* Running out of memory is the end of a run: must() reports it. */
void heap_push(struct heap *heap, const struct event *event);
/* Removes items[0]; the heap is not empty. */
struct event heap_pop(struct heap *heap);
void heap_close(struct heap *heap);

#endif /* SIM_ENGINE_HEAP_H */
