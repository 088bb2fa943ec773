/* bare_port.h - the smallest host a module can be tested on: memory, clock, dice, interned records.
 *
 *      module -> port_ops -> struct bare_port -> what the test looks at
 *
 * For what lies below sessions: base, wire, guard. It has no network, no storage and no
 * cryptography of its own (toy_port.h has); a call to any of those is a NULL call and ends the
 * test. Memory is counted and can be limited, references to interned records are counted, and a
 * record without references makes room for the next, so that a fuzzer may decode messages for as
 * long as it likes.
 */
#ifndef TESTS_SUPPORT_BARE_PORT_H
#define TESTS_SUPPORT_BARE_PORT_H

#include <stdlib.h>
#include <string.h>

#include "node/base/core.h"
#include "node/base/must.h"

enum {
    BARE_CHUNKS_MAX = 256,
    BARE_RECORDS_MAX = 4096,
};

struct bare_port {
    struct port port;
    struct port_intern intern;
    struct core core;

    struct rng dice;
    uint64_t wake_us; /* PORT_NEVER: nothing asked for. */
    uint32_t wakes_asked;

    void *chunks[BARE_CHUNKS_MAX];
    size_t chunk_bytes[BARE_CHUNKS_MAX];
    uint32_t chunk_count;
    size_t bytes_given;
    size_t bytes_max;

    uint8_t *records; /* PORT_INTERN_RECORD bytes each; handle 0 stays unused. */
    uint64_t prefixes[BARE_RECORDS_MAX];
    uint32_t references[BARE_RECORDS_MAX];
    uint32_t record_count; /* Places in use or used before; those without references serve again. */

    struct port_trace trace_last;
    uint32_t traces;
};

static inline struct bare_port *bare_of(struct port *port)
{
    return container_of(port, struct bare_port, port);
}

static inline void bare_wake_at(struct port *port, uint64_t due_us)
{
    bare_of(port)->wake_us = due_us;
    bare_of(port)->wakes_asked++;
}

static inline void bare_entropy(struct port *port, void *buffer, size_t len)
{
    uint8_t *bytes = buffer;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)rng_next(&bare_of(port)->dice);
    }
}

static inline void *bare_arena_more(struct port *port, size_t bytes, size_t *given)
{
    struct bare_port *bare = bare_of(port);
    if (bytes > bare->bytes_max - bare->bytes_given) {
        return NULL;
    }
    must(bare->chunk_count < BARE_CHUNKS_MAX);
    void *chunk = calloc(1, bytes);
    must(chunk != NULL);
    bare->chunk_bytes[bare->chunk_count] = bytes;
    bare->chunks[bare->chunk_count++] = chunk;
    bare->bytes_given += bytes;
    *given = bytes;
    return chunk;
}

static inline void bare_arena_less(struct port *port, void *given)
{
    struct bare_port *bare = bare_of(port);
    for (uint32_t i = 0; i < bare->chunk_count; i++) {
        if (bare->chunks[i] == given) {
            free(given);
            bare->bytes_given -= bare->chunk_bytes[i];
            bare->chunk_count--;
            bare->chunks[i] = bare->chunks[bare->chunk_count];
            bare->chunk_bytes[i] = bare->chunk_bytes[bare->chunk_count];
            return;
        }
    }
    must(given == NULL); /* Given back what was never given. */
}

static inline uint32_t bare_intern_get(struct port *port, const void *key, port_intern_fn complete)
{
    struct bare_port *bare = bare_of(port);
    uint32_t place = 0;
    for (uint32_t handle = 1; handle <= bare->record_count; handle++) {
        if (bare->references[handle] == 0) {
            place = place == 0 ? handle : place;
        } else if (memcmp(bare->records + handle * PORT_INTERN_RECORD, key, PORT_INTERN_KEY) == 0) {
            bare->references[handle]++;
            return handle;
        }
    }
    if (place == 0) {
        place = ++bare->record_count;
        must(place < BARE_RECORDS_MAX);
    }
    uint8_t *record = bare->records + place * PORT_INTERN_RECORD;
    memset(record, 0, PORT_INTERN_RECORD);
    memcpy(record, key, PORT_INTERN_KEY);
    bare->prefixes[place] = complete(record);
    bare->references[place] = 1;
    return place;
}

static inline void bare_intern_retain(struct port *port, uint32_t handle)
{
    bare_of(port)->references[handle]++;
}

static inline void bare_intern_release(struct port *port, uint32_t handle)
{
    must(bare_of(port)->references[handle] > 0);
    bare_of(port)->references[handle]--;
}

static inline void bare_trace(struct port *port, const struct port_trace *event)
{
    bare_of(port)->trace_last = *event;
    bare_of(port)->traces++;
}

static const struct port_ops bare_ops = {
    .wake_at = bare_wake_at,
    .entropy = bare_entropy,
    .arena_more = bare_arena_more,
    .arena_less = bare_arena_less,
    .intern_get = bare_intern_get,
    .intern_retain = bare_intern_retain,
    .intern_release = bare_intern_release,
    .trace = bare_trace,
};

/* Started at a clock of one hour, with a core ready for use. Freed by bare_close(). */
static inline struct bare_port *bare_open(uint64_t seed)
{
    struct bare_port *bare = calloc(1, sizeof *bare);
    must(bare != NULL);
    bare->records = calloc(BARE_RECORDS_MAX, PORT_INTERN_RECORD);
    must(bare->records != NULL);
    bare->intern = (struct port_intern){.records = bare->records, .prefixes = bare->prefixes};
    bare->port = (struct port){
        .ops = &bare_ops,
        .intern = &bare->intern,
        .now_us = UINT64_C(3600) * 1000000,
    };
    bare->wake_us = PORT_NEVER;
    bare->bytes_max = SIZE_MAX;
    rng_stream(&bare->dice, seed, "bare entropy", 0, 0);
    bare->core.port = &bare->port;
    arena_init(&bare->core.arena, &bare->port);
    timerq_init(&bare->core.timers, &bare->port, &bare->core.arena);
    rng_stream(&bare->core.rng, seed, "bare rng", 0, 0);
    return bare;
}

static inline void bare_close(struct bare_port *bare)
{
    for (uint32_t i = 0; i < bare->chunk_count; i++) {
        free(bare->chunks[i]);
    }
    free(bare->records);
    free(bare);
}

/* References held to all interned records. */
static inline uint32_t bare_references(const struct bare_port *bare)
{
    uint32_t sum = 0;
    for (uint32_t i = 1; i <= bare->record_count; i++) {
        sum += bare->references[i];
    }
    return sum;
}

/* What a real loop does: the clock moves to each wake-up asked for, until `until_us`. */
static inline void bare_run_until(struct bare_port *bare, uint64_t until_us)
{
    timerq_settle(&bare->core.timers);
    while (bare->wake_us <= until_us) {
        if (bare->port.now_us < bare->wake_us) {
            bare->port.now_us = bare->wake_us;
        }
        bare->wake_us = PORT_NEVER;
        timerq_fire_due(&bare->core.timers);
        timerq_settle(&bare->core.timers);
    }
    bare->port.now_us = until_us;
}

#endif /* TESTS_SUPPORT_BARE_PORT_H */
