/* wheel.c - filing events into slots, cascading levels, handing over the next slot. */
#include "sim/engine/wheel.h"

#include <string.h>

#include "node/base/must.h"
#include "node/base/prefetch.h"

#define CHUNKS_FIRST 256
#define SLOT_MASK    ((uint64_t)WHEEL_SLOTS - 1)
/* Of a chain's name. */
#define COUNT_BITS   4
#define COUNT_MASK   ((1u << COUNT_BITS) - 1)

static uint32_t chunk_new(struct wheel *wheel, uint32_t rest);
static void chain_add(struct wheel *wheel, uint32_t *chain, const struct event *event);
static uint32_t level_detach(struct wheel_level *level, unsigned slot);
static int level_first(const struct wheel_level *level);
static bool cascade(struct wheel *wheel);
static bool overflow_return(struct wheel *wheel);
static void chain_place(struct wheel *wheel, uint32_t chain);

void wheel_init(struct wheel *wheel, unsigned shift)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->shift = shift;
    wheel->chunk_count = 1;
}

void wheel_close(struct wheel *wheel)
{
    pages_close(&wheel->pages);
    wheel_init(wheel, wheel->shift);
}

void wheel_place(struct wheel *wheel, const struct event *event)
{
    uint64_t slot = wheel_slot(wheel, event->time_us);
    uint64_t differs = slot ^ wheel->slot_now;
    unsigned height = 0; /* Of the chosen level, in bits. */
    for (int i = 0; i < WHEEL_LEVELS; i++, height += WHEEL_SLOT_BITS) {
        if (differs >> height >= WHEEL_SLOTS) {
            continue;
        }
        struct wheel_level *level = &wheel->levels[i];
        unsigned index = (unsigned)(slot >> height & SLOT_MASK);
        chain_add(wheel, &level->slots[index], event);
        level->occupied[index / 64] |= UINT64_C(1) << index % 64;
        level->words |= UINT64_C(1) << index / 64;
        return;
    }
    chain_add(wheel, &wheel->overflow, event);
}

static void chain_add(struct wheel *wheel, uint32_t *chain, const struct event *event)
{
    uint32_t count = *chain & COUNT_MASK;
    if (*chain == 0 || count == WHEEL_CHUNK_EVENTS) {
        *chain = chunk_new(wheel, *chain);
        count = 0;
    }
    wheel->chunks[*chain >> COUNT_BITS].events[count] = *event;
    ++*chain;
}

/* The chain of a new, empty chunk before the chain `rest`. */
static uint32_t chunk_new(struct wheel *wheel, uint32_t rest)
{
    uint32_t index = wheel->chunk_free;
    if (index != 0) {
        wheel->chunk_free = wheel->chunks[index].next;
    } else {
        if (wheel->chunk_count >= wheel->chunk_max) {
            size_t wanted = wheel->chunk_max == 0 ? CHUNKS_FIRST : 2 * (size_t)wheel->chunk_max;
            must(wanted <= UINT32_MAX >> COUNT_BITS);
            must(pages_grow(&wheel->pages, wanted * sizeof(struct wheel_chunk)) == ERR_OK);
            wheel->chunks = wheel->pages.base;
            wheel->chunk_max = (uint32_t)wanted;
        }
        index = wheel->chunk_count++;
    }
    wheel->chunks[index].next = rest;
    return index << COUNT_BITS;
}

uint32_t wheel_next(struct wheel *wheel)
{
    do {
        int slot = level_first(&wheel->levels[0]);
        if (slot >= 0) {
            wheel->slot_now = (wheel->slot_now & ~SLOT_MASK) | (unsigned)slot;
            return level_detach(&wheel->levels[0], (unsigned)slot);
        }
    } while (cascade(wheel) || overflow_return(wheel));
    return 0;
}

/* The first occupied slot, -1 without one. It is also the next in time: a level holds one turn of
 * its slots, and those before slot_now are empty. */
static int level_first(const struct wheel_level *level)
{
    if (level->words == 0) {
        return -1;
    }
    int word = __builtin_ctzll(level->words);
    return 64 * word + __builtin_ctzll(level->occupied[word]);
}

static uint32_t level_detach(struct wheel_level *level, unsigned slot)
{
    uint32_t chain = level->slots[slot];
    level->slots[slot] = 0;
    level->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    if (level->occupied[slot / 64] == 0) {
        level->words &= ~(UINT64_C(1) << slot / 64);
    }
    return chain;
}

/* Level 0 is exhausted: spreads the next slot of the lowest level that has one over the levels
 * below. False if all are empty. */
static bool cascade(struct wheel *wheel)
{
    for (unsigned i = 1; i < WHEEL_LEVELS; i++) {
        unsigned height = i * WHEEL_SLOT_BITS;
        struct wheel_level *level = &wheel->levels[i];
        int slot = level_first(level);
        if (slot < 0) {
            continue;
        }
        uint64_t above = wheel->slot_now >> height & ~SLOT_MASK;
        wheel->slot_now = (above | (unsigned)slot) << height;
        chain_place(wheel, level_detach(level, (unsigned)slot));
        return true;
    }
    return false;
}

/* All levels are empty: starts anew at the earliest event beyond the horizon. */
static bool overflow_return(struct wheel *wheel)
{
    uint32_t chain = wheel->overflow;
    if (chain == 0) {
        return false;
    }
    uint64_t earliest = UINT64_MAX;
    for (uint32_t at = chain; at != 0; at = wheel->chunks[at >> COUNT_BITS].next) {
        for (uint32_t i = 0; i < (at & COUNT_MASK); i++) {
            uint64_t slot = wheel_slot(wheel, wheel->chunks[at >> COUNT_BITS].events[i].time_us);
            earliest = slot < earliest ? slot : earliest;
        }
    }
    wheel->overflow = 0;
    wheel->slot_now = earliest;
    chain_place(wheel, chain);
    return true;
}

static void chain_place(struct wheel *wheel, uint32_t chain)
{
    struct event events[WHEEL_CHUNK_EVENTS];
    while (chain != 0) {
        size_t count;
        chain = wheel_take(wheel, chain, events, &count);
        for (size_t i = 0; i < count; i++) {
            wheel_place(wheel, &events[i]);
        }
    }
}

uint32_t wheel_take(struct wheel *wheel, uint32_t chain, struct event *out, size_t *count)
{
    uint32_t index = chain >> COUNT_BITS;
    struct wheel_chunk *chunk = &wheel->chunks[index];
    uint32_t rest = chunk->next;
    *count = chain & COUNT_MASK;
    /* The whole chunk: a fixed length is copied without a call. */
    memcpy(out, chunk->events, sizeof chunk->events);
    chunk->next = wheel->chunk_free;
    wheel->chunk_free = index;
    return rest;
}

void wheel_prefetch(const struct wheel *wheel)
{
    int slot = level_first(&wheel->levels[0]);
    if (slot < 0) {
        return;
    }
    prefetch(&wheel->chunks[wheel->levels[0].slots[slot] >> COUNT_BITS],
             sizeof(struct wheel_chunk));
}

size_t wheel_gather(struct wheel *wheel, struct event *out)
{
    size_t total = 0;
    size_t count;
    for (int i = 0; i < WHEEL_LEVELS; i++) {
        struct wheel_level *level = &wheel->levels[i];
        for (int slot; (slot = level_first(level)) >= 0;) {
            uint32_t chain = level_detach(level, (unsigned)slot);
            while (chain != 0) {
                chain = wheel_take(wheel, chain, out + total, &count);
                total += count;
            }
        }
    }
    while (wheel->overflow != 0) {
        wheel->overflow = wheel_take(wheel, wheel->overflow, out + total, &count);
        total += count;
    }
    return total;
}
