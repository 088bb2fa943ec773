/* heap.c - binary heap with moving holes instead of swaps. */
#include "sim/engine/heap.h"

#include <stdlib.h>

#include "node/base/must.h"

#define ITEMS_FIRST 256

void heap_push(struct heap *heap, const struct event *event)
{
    if (heap->len == heap->max) {
        heap->max = heap->max == 0 ? ITEMS_FIRST : 2 * heap->max;
        heap->items = realloc(heap->items, heap->max * sizeof *heap->items);
        must(heap->items != NULL);
    }
    struct event *items = heap->items;
    size_t hole = heap->len++;
    while (hole > 0) {
        size_t parent = (hole - 1) / 2;
        if (!event_before(event, &items[parent])) {
            break;
        }
        items[hole] = items[parent];
        hole = parent;
    }
    items[hole] = *event;
}

struct event heap_pop(struct heap *heap)
{
    must(heap->len > 0);
    struct event *items = heap->items;
    struct event first = items[0];
    size_t len = --heap->len;
    struct event last = items[len];
    size_t hole = 0;
    for (;;) {
        size_t child = 2 * hole + 1;
        if (child >= len) {
            break;
        }
        if (child + 1 < len && event_before(&items[child + 1], &items[child])) {
            child++;
        }
        if (!event_before(&items[child], &last)) {
            break;
        }
        items[hole] = items[child];
        hole = child;
    }
    items[hole] = last;
    return first;
}

void heap_close(struct heap *heap)
{
    free(heap->items);
    *heap = (struct heap){0};
}
