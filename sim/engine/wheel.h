/* wheel.h - hierarchical timing wheel: events of the future, sorted only as far as needed.
 *
 * Three levels of 4096 slots (Varghese & Lauck, SOSP 1987, scheme 7). A slot of level 0 is 2^shift
 * microseconds wide, a slot of the next level is a whole turn of the one below. An event lies at
 * the lowest level on which its slot number and slot_now differ, so it is moved at most twice
 * before it is due; what lies beyond 2^36 slots waits in an overflow chain. Slots hold unsorted
 * chains of 256-byte chunks. A chain is named by the index of its first chunk times 16 plus the
 * number of events in that chunk, 0 being the empty chain: so filing an event touches the slot's
 * word and the event's own place, and the pool may move. All chunks but the first are full.
 *
 * The wheel only knows slots after slot_now (and, while it cascades, slot_now itself); queue.c
 * keeps the opened slot, sorts it, and decides how wide slots should be.
 *
 *      wheel_place -> level 2 -> level 1 -> level 0 -> wheel_next -> chain of the next slot
 *                  -> overflow ----^
 */
#ifndef SIM_ENGINE_WHEEL_H
#define SIM_ENGINE_WHEEL_H

#include "sim/engine/event.h"
#include "sim/engine/pages.h"

#define WHEEL_SLOT_BITS    12
#define WHEEL_SLOTS        (1u << WHEEL_SLOT_BITS)
#define WHEEL_LEVELS       3
#define WHEEL_CHUNK_EVENTS 10

/* Four cache lines. */
struct wheel_chunk {
    struct event events[WHEEL_CHUNK_EVENTS];
    uint32_t next; /* Chain of the full chunks behind this one, or next free chunk. */
    uint32_t unused[3];
};

_Static_assert(sizeof(struct wheel_chunk) == 256, "a chunk is four cache lines");

struct wheel_level {
    uint64_t words;                      /* Bit w: occupied[w] is not zero. */
    uint64_t occupied[WHEEL_SLOTS / 64]; /* Bit k of word w: slot 64 w + k has a chain. */
    uint32_t slots[WHEEL_SLOTS];         /* Chains. */
};

struct wheel {
    uint64_t slot_now;    /* Time of the opened slot, in slot widths. */
    unsigned shift;       /* Slots of level 0 are 2^shift us wide. */
    uint32_t chunk_free;  /* Index, 0 for none. */
    uint32_t chunk_count; /* Chunks ever used, chunk 0 included, which never is. */
    uint32_t chunk_max;
    struct wheel_chunk *chunks;
    uint32_t overflow; /* Chain. */
    struct pages pages;
    struct wheel_level levels[WHEEL_LEVELS];
};

void wheel_init(struct wheel *wheel, unsigned shift);
void wheel_close(struct wheel *wheel);

/* The slot that holds `time_us`. */
static inline uint64_t wheel_slot(const struct wheel *wheel, uint64_t time_us)
{
    return time_us >> wheel->shift;
}

/* Files an event whose slot is not before slot_now. */
void wheel_place(struct wheel *wheel, const struct event *event);

/* Moves slot_now to the next slot that holds events and hands over its chain, 0 when the wheel is
 * empty. The caller empties it with wheel_take. */
uint32_t wheel_next(struct wheel *wheel);

/* Copies the events of the chain's first chunk to `out`, which has room for WHEEL_CHUNK_EVENTS,
 * frees the chunk, and returns the rest of the chain. */
uint32_t wheel_take(struct wheel *wheel, uint32_t chain, struct event *out, size_t *count);

/* Asks the processor for the chunk that wheel_next will probably return. */
void wheel_prefetch(const struct wheel *wheel);

/* Takes out everything, in no order, and returns how many that were. `out` has room for all and
 * WHEEL_CHUNK_EVENTS more. */
size_t wheel_gather(struct wheel *wheel, struct event *out);

#endif /* SIM_ENGINE_WHEEL_H */
