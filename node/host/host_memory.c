/* host_memory.c - node memory in chunks of the heap, and the interned records of the process. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "node/base/must.h"
#include "node/host/loop.h"

enum {
    INTERN_SLOTS_FIRST = 1 << 12,
    /* A node of HOST_NODE_BYTES names some ten thousand contacts. Reserved, not used: 96 MB of
     * addresses. */
    INTERN_MAX = 1 << 20,
    ADDR_TAIL = 42, /* The last octets of the address and the port, in an interning key. */
};
_Static_assert(sizeof(struct host_chunk) % 16 == 0, "what follows a chunk's head is aligned");

static void chunk_release(struct host_life *life, struct host_chunk *chunk);
static void *reserve(size_t bytes);
static uint8_t *record_at(const struct intern *intern, uint32_t handle);
static uint64_t intern_hash(const void *key);
static uint32_t intern_find(const struct intern *intern, const void *key, uint64_t hash);
static uint32_t handle_new(struct intern *intern);
static void intern_grow(struct intern *intern);
static void intern_delete(struct intern *intern, uint32_t handle);

void *host_arena_more(struct port *port, size_t bytes, size_t *given)
{
    struct host *host = host_of(port);
    must(host->loop->entered == host);
    if (bytes > host->options.node_bytes_max - host->life->chunk_bytes) {
        return NULL;
    }
    *given = bytes;
    return host_chunk_get(host->life, bytes);
}

void host_arena_less(struct port *port, void *memory)
{
    chunk_release(host_of(port)->life, (struct host_chunk *)memory - 1);
}

void *host_chunk_get(struct host_life *life, size_t bytes)
{
    struct host_chunk *chunk = calloc(1, sizeof *chunk + bytes);
    must(chunk != NULL);
    chunk->bytes = (uint32_t)bytes;
    chunk->next = life->chunks;
    if (life->chunks != NULL) {
        life->chunks->previous = chunk;
    }
    life->chunks = chunk;
    life->chunk_bytes += (uint32_t)bytes;
    return chunk + 1;
}

void host_chunks_drop(struct host_life *life)
{
    for (struct host_chunk *chunk = life->chunks; chunk != NULL;) {
        struct host_chunk *next = chunk->next;
        life->chunk_bytes -= chunk->bytes;
        free(chunk);
        chunk = next;
    }
    life->chunks = NULL;
    must(life->chunk_bytes == 0);
}

static void chunk_release(struct host_life *life, struct host_chunk *chunk)
{
    if (chunk->previous != NULL) {
        chunk->previous->next = chunk->next;
    } else {
        must(life->chunks == chunk);
        life->chunks = chunk->next;
    }
    if (chunk->next != NULL) {
        chunk->next->previous = chunk->previous;
    }
    life->chunk_bytes -= chunk->bytes;
    free(chunk);
}

/* --- interned records ------------------------------------------------------------------------ */

void intern_open(struct intern *intern)
{
    /* Reserved, not touched: the arrays never move, as the port promises. */
    *intern = (struct intern){.made = 1, .slot_mask = INTERN_SLOTS_FIRST - 1};
    intern->records = reserve((size_t)INTERN_MAX * PORT_INTERN_RECORD);
    intern->prefixes = reserve((size_t)INTERN_MAX * sizeof(uint64_t));
    intern->references = reserve((size_t)INTERN_MAX * sizeof(uint32_t));
    intern->slots = calloc(INTERN_SLOTS_FIRST, sizeof *intern->slots);
    must(intern->slots != NULL);
    intern->view = (struct port_intern){.records = intern->records, .prefixes = intern->prefixes};
}

static void *reserve(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(memory != MAP_FAILED);
    return memory;
}

void intern_close(struct intern *intern)
{
    munmap(intern->records, (size_t)INTERN_MAX * PORT_INTERN_RECORD);
    munmap(intern->prefixes, (size_t)INTERN_MAX * sizeof(uint64_t));
    munmap(intern->references, (size_t)INTERN_MAX * sizeof(uint32_t));
    free(intern->slots);
}

void intern_clear(struct intern *intern)
{
    memset(intern->slots, 0, ((size_t)intern->slot_mask + 1) * sizeof *intern->slots);
    intern->made = 1;
    intern->held = 0;
    intern->free = 0;
}

uint32_t host_intern_get(struct port *port, const void *key, port_intern_fn complete)
{
    struct intern *intern = &host_of(port)->loop->intern;
    uint64_t hash = intern_hash(key);
    uint32_t slot = intern_find(intern, key, hash);
    uint32_t handle = intern->slots[slot].handle;
    if (handle != PORT_INTERN_NONE) {
        intern->references[handle]++;
        must(intern->references[handle] != 0);
        return handle;
    }
    handle = handle_new(intern);
    uint8_t *record = record_at(intern, handle);
    memset(record, 0, PORT_INTERN_RECORD);
    memcpy(record, key, PORT_INTERN_KEY);
    intern->prefixes[handle] = complete(record);
    intern->references[handle] = 1;
    intern->slots[slot] = (struct intern_slot){.handle = handle, .tag = (uint32_t)(hash >> 32)};
    if (intern->held > intern->slot_mask / 2) {
        intern_grow(intern);
    }
    return handle;
}

void host_intern_retain(struct port *port, uint32_t handle)
{
    struct intern *intern = &host_of(port)->loop->intern;
    must(handle != PORT_INTERN_NONE && handle < intern->made);
    must(intern->references[handle] > 0 && intern->references[handle] < UINT32_MAX);
    intern->references[handle]++;
}

void host_intern_release(struct port *port, uint32_t handle)
{
    struct intern *intern = &host_of(port)->loop->intern;
    must(handle != PORT_INTERN_NONE && handle < intern->made);
    must(intern->references[handle] > 0);
    if (--intern->references[handle] == 0) {
        intern_delete(intern, handle);
    }
}

static uint32_t handle_new(struct intern *intern)
{
    intern->held++;
    uint32_t handle = intern->free;
    if (handle != PORT_INTERN_NONE) {
        memcpy(&intern->free, record_at(intern, handle), sizeof intern->free);
        return handle;
    }
    must(intern->made < INTERN_MAX); /* Exhaustion ends the run; it is no node's error. */
    return intern->made++;
}

static uint8_t *record_at(const struct intern *intern, uint32_t handle)
{
    return intern->records + (size_t)handle * PORT_INTERN_RECORD;
}

static uint64_t intern_hash(const void *key)
{
    /* Public keys are uniform; the address tells apart two contacts of one key. */
    uint64_t words[2];
    memcpy(&words[0], key, sizeof words[0]);
    memcpy(&words[1], (const uint8_t *)key + ADDR_TAIL, sizeof words[1]);
    return rng_mix(words[0] ^ words[1]);
}

/* The slot of the key, or the empty one where it belongs. */
static uint32_t intern_find(const struct intern *intern, const void *key, uint64_t hash)
{
    uint32_t slot = (uint32_t)hash & intern->slot_mask;
    uint32_t tag = (uint32_t)(hash >> 32);
    while (intern->slots[slot].handle != PORT_INTERN_NONE &&
           (intern->slots[slot].tag != tag ||
            memcmp(record_at(intern, intern->slots[slot].handle), key, PORT_INTERN_KEY) != 0)) {
        slot = (slot + 1) & intern->slot_mask;
    }
    return slot;
}

static void intern_grow(struct intern *intern)
{
    struct intern_slot *old = intern->slots;
    uint32_t old_mask = intern->slot_mask;
    intern->slot_mask = old_mask * 2 + 1;
    intern->slots = calloc((size_t)intern->slot_mask + 1, sizeof *intern->slots);
    must(intern->slots != NULL);
    for (uint32_t i = 0; i <= old_mask; i++) {
        if (old[i].handle != PORT_INTERN_NONE) {
            const uint8_t *record = record_at(intern, old[i].handle);
            intern->slots[intern_find(intern, record, intern_hash(record))] = old[i];
        }
    }
    free(old);
}

/* Nobody refers to it any more. What was filed behind its slot moves up, so that no search ends at
 * the gap (Knuth, The Art of Computer Programming 3, section 6.4, algorithm R). */
static void intern_delete(struct intern *intern, uint32_t handle)
{
    uint32_t mask = intern->slot_mask;
    const uint8_t *record = record_at(intern, handle);
    uint32_t gap = intern_find(intern, record, intern_hash(record));
    must(intern->slots[gap].handle == handle);
    for (uint32_t slot = (gap + 1) & mask; intern->slots[slot].handle != PORT_INTERN_NONE;
         slot = (slot + 1) & mask) {
        uint32_t home = (uint32_t)intern_hash(record_at(intern, intern->slots[slot].handle)) & mask;
        if (((slot - home) & mask) >= ((slot - gap) & mask)) {
            intern->slots[gap] = intern->slots[slot];
            gap = slot;
        }
    }
    intern->slots[gap] = (struct intern_slot){0};
    memcpy(record_at(intern, handle), &intern->free, sizeof intern->free);
    intern->free = handle;
    intern->held--;
}
