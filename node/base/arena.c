/* arena.c - bump allocation out of the host's chunks. */
#include "node/base/arena.h"

#include "node/base/must.h"
#include "node/port/port.h"

enum {
    ARENA_ALIGN = 8,
    /* Small, because a hundred thousand nodes each leave half a chunk unused. */
    ARENA_CHUNK_BYTES = 1024,
};

void arena_init(struct arena *arena, struct port *port)
{
    *arena = (struct arena){.port = port};
}

void *arena_alloc(struct arena *arena, enum arena_user user, size_t bytes)
{
    must(user < ARENA_USER_COUNT);

    size_t need = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if ((size_t)(arena->end - arena->next) < need) {
        size_t given = 0;
        size_t ask = need > ARENA_CHUNK_BYTES ? need : ARENA_CHUNK_BYTES;
        uint8_t *chunk = arena->port->ops->arena_more(arena->port, ask, &given);
        if (chunk == NULL) {
            return NULL;
        }
        must(given >= ask);
        arena->chunk_bytes += (uint32_t)given;
        if (given - need < (size_t)(arena->end - arena->next)) {
            /* An oversized request: keep the chunk with more room for the small ones to come. */
            arena->used_bytes[user] += (uint32_t)need;
            return chunk;
        }
        arena->next = chunk;
        arena->end = chunk + given;
    }
    void *memory = arena->next;
    arena->next += need;
    arena->used_bytes[user] += (uint32_t)need;
    return memory;
}

void *arena_take(struct arena *arena, enum arena_user user, size_t bytes)
{
    size_t given = 0;
    void *memory = arena->port->ops->arena_more(arena->port, bytes, &given);
    if (memory != NULL) {
        arena->chunk_bytes += (uint32_t)bytes;
        arena->used_bytes[user] += (uint32_t)bytes;
    }
    return memory;
}

void arena_give_back(struct arena *arena, enum arena_user user, void *memory, size_t bytes)
{
    must(arena->used_bytes[user] >= bytes && arena->chunk_bytes >= bytes);
    arena->chunk_bytes -= (uint32_t)bytes;
    arena->used_bytes[user] -= (uint32_t)bytes;
    arena->port->ops->arena_less(arena->port, memory);
}
