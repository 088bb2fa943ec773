/* event.h - one thing that will happen: 24 bytes, and the order in which such things happen.
 *
 * An event says when, to whom, from whom, and which of the sender's messages it is; `payload` is a
 * handle that only the world understands. The order is total and does not depend on who pushed
 * first: that is the law that lets a sharded run give the digest of a single-threaded one. It holds
 * only if no two pending events share a key, so every source numbers its own events.
 *
 *      world -> struct event -> queue -> the same events, by (time, destination, source, sequence)
 */
#ifndef SIM_ENGINE_EVENT_H
#define SIM_ENGINE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event {
    uint64_t time_us;     /* Since the start of the run. */
    uint32_t destination; /* Owner that will be entered. */
    uint32_t source;      /* Owner that caused it. */
    uint32_t sequence;    /* The source's own count. */
    uint32_t payload;     /* No part of the order. */
};

_Static_assert(sizeof(struct event) == 24, "ten events and a link make a chunk of four lines");

static inline bool event_before(const struct event *a, const struct event *b)
{
    if (a->time_us != b->time_us) {
        return a->time_us < b->time_us;
    }
    uint64_t owners_a = (uint64_t)a->destination << 32 | a->source;
    uint64_t owners_b = (uint64_t)b->destination << 32 | b->source;
    if (owners_a != owners_b) {
        return owners_a < owners_b;
    }
    return a->sequence < b->sequence;
}

/* Sorts in place; `scratch` has room for `count` events. O(n log n) whatever the input. */
void event_sort(struct event *events, size_t count, struct event *scratch);

#endif /* SIM_ENGINE_EVENT_H */
