/* wheel.c - filing events into slots, cascading levels, handing over the next slot. */
#include "sim/engine/wheel.h"

#include <string.h>

#include "node/base/must.h"

#define CHUNKS_FIRST 256
#define SLOT_MASK    ((uint64_t)WHEEL_SLOTS - 1)

static uint32_t chunk_new(struct wheel *wheel, uint32_t next);
static void chain_add(struct wheel *wheel, uint32_t *chain, const struct event *event);
static uint32_t level_detach(struct wheel_level *level, unsigned slot);
static int level_find(const struct wheel_level *level, unsigned from);
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
    uint32_t first = *chain;
    if (first == 0 || wheel->chunks[first].count == WHEEL_CHUNK_EVENTS) {
        first = chunk_new(wheel, first);
        *chain = first;
    }
    struct wheel_chunk *chunk = &wheel->chunks[first];
    chunk->events[chunk->count++] = *event;
}

static uint32_t chunk_new(struct wheel *wheel, uint32_t next)
{
    uint32_t index = wheel->chunk_free;
    if (index != 0) {
        wheel->chunk_free = wheel->chunks[index].next;
    } else {
        if (wheel->chunk_count >= wheel->chunk_max) {
            size_t wanted = wheel->chunk_max == 0 ? CHUNKS_FIRST : 2 * (size_t)wheel->chunk_max;
            must(wanted <= UINT32_MAX);
            must(pages_grow(&wheel->pages, wanted * sizeof(struct wheel_chunk)) == ERR_OK);
            wheel->chunks = wheel->pages.base;
            wheel->chunk_max = (uint32_t)wanted;
        }
        index = wheel->chunk_count++;
    }
    wheel->chunks[index].count = 0;
    wheel->chunks[index].next = next;
    return index;
}

uint32_t wheel_next(struct wheel *wheel)
{
    do {
        int slot = level_find(&wheel->levels[0], (unsigned)(wheel->slot_now & SLOT_MASK));
        if (slot >= 0) {
            wheel->slot_now = (wheel->slot_now & ~SLOT_MASK) | (unsigned)slot;
            return level_detach(&wheel->levels[0], (unsigned)slot);
        }
    } while (cascade(wheel) || overflow_return(wheel));
    return 0;
}

/* The first occupied slot at or after `from`, -1 without one. */
static int level_find(const struct wheel_level *level, unsigned from)
{
    unsigned word = from / 64;
    uint64_t bits = level->occupied[word] & ~UINT64_C(0) << from % 64;
    if (bits == 0) {
        uint64_t words = word == 63 ? 0 : level->words & ~UINT64_C(0) << (word + 1);
        if (words == 0) {
            return -1;
        }
        word = (unsigned)__builtin_ctzll(words);
        bits = level->occupied[word];
    }
    return (int)(word * 64 + (unsigned)__builtin_ctzll(bits));
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
 * below. False if all are empty. Slots before slot_now's own are empty by construction, and so is
 * its own: what shares it lies lower. */
static bool cascade(struct wheel *wheel)
{
    for (unsigned i = 1; i < WHEEL_LEVELS; i++) {
        unsigned height = i * WHEEL_SLOT_BITS;
        struct wheel_level *level = &wheel->levels[i];
        int slot = level_find(level, (unsigned)(wheel->slot_now >> height & SLOT_MASK));
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
    uint64_t earliest = UINT64_MAX;
    for (uint32_t i = wheel->overflow; i != 0; i = wheel->chunks[i].next) {
        const struct wheel_chunk *chunk = &wheel->chunks[i];
        for (uint32_t k = 0; k < chunk->count; k++) {
            uint64_t slot = wheel_slot(wheel, chunk->events[k].time_us);
            earliest = slot < earliest ? slot : earliest;
        }
    }
    uint32_t chain = wheel->overflow;
    if (chain == 0) {
        return false;
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
    struct wheel_chunk *chunk = &wheel->chunks[chain];
    uint32_t rest = chunk->next;
    *count = chunk->count;
    memcpy(out, chunk->events, chunk->count * sizeof *out);
    chunk->next = wheel->chunk_free;
    wheel->chunk_free = chain;
    return rest;
}

void wheel_prefetch(const struct wheel *wheel)
{
    int slot = level_find(&wheel->levels[0], (unsigned)(wheel->slot_now & SLOT_MASK));
    if (slot < 0) {
        return;
    }
    const char *line = (const char *)&wheel->chunks[wheel->levels[0].slots[slot]];
    for (size_t i = 0; i < sizeof(struct wheel_chunk); i += 64) {
        __builtin_prefetch(line + i);
    }
}

size_t wheel_gather(struct wheel *wheel, struct event *out)
{
    size_t total = 0;
    size_t count;
    for (int i = 0; i < WHEEL_LEVELS; i++) {
        struct wheel_level *level = &wheel->levels[i];
        for (int slot; (slot = level_find(level, 0)) >= 0;) {
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
