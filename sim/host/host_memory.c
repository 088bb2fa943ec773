/* host_memory.c - node memory in recycled chunks, and the interned records of the process. */
#define _GNU_SOURCE /* madvise, MAP_NORESERVE */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "node/base/must.h"
#include "node/base/prefetch.h"
#include "sim/host/world.h"

enum {
    CHUNK_STEP = 64, /* Sizes of recycled chunks, header included. */
    CHUNK_HEADER = 32,
    CHUNK_ALIGN = 64, /* Of what follows the header: a cache line. */
    CHUNK_SHIFT = CHUNK_ALIGN - CHUNK_HEADER,
    CHUNK_SLAB_BYTES = 2 << 20, /* One huge page. */
    HUGE_FROM_BYTES = 4 << 20,  /* Small worlds shall stay small. */
    INTERN_SLOTS_FIRST = 1 << 12,
    ADDR_TAIL = 42, /* The last octets of the address and the port, in an interning key. */
};
_Static_assert(sizeof(struct host_chunk) <= CHUNK_HEADER, "the header fits before the bytes");

static struct host_chunk *chunk_new(struct shard *shard, size_t size);
static void chunk_release(struct host *host, struct host_chunk *chunk);
static void *reserve(size_t bytes);
static uint8_t *record_at(const struct intern *intern, uint32_t handle);
static uint64_t intern_hash(const void *key);
static uint32_t intern_slot(const struct intern *intern, const void *key, uint64_t hash);
static void intern_grow(struct intern *intern);

void *world_memory(size_t bytes, bool is_huge)
{
    void *memory = NULL;
    must(posix_memalign(&memory, is_huge ? CHUNK_SLAB_BYTES : 64, bytes) == 0);
    if (is_huge) {
        /* Fewer TLB misses in pools that are read at random; without them all is well too. */
        (void)madvise(memory, bytes, MADV_HUGEPAGE);
    }
    memset(memory, 0, bytes);
    return memory;
}

void *host_arena_more(struct port *port, size_t bytes, size_t *given)
{
    struct host *host = host_of(port);
    if (host->chunk_bytes + bytes > world_of(host)->options.node_bytes_max) {
        return NULL;
    }
    *given = bytes;
    return host_chunk_get(host, bytes);
}

void *host_chunk_get(struct host *host, size_t bytes)
{
    struct shard *shard = host->shard;
    size_t size = (CHUNK_HEADER + bytes + CHUNK_STEP - 1) / CHUNK_STEP * CHUNK_STEP;
    struct host_chunk *chunk = chunk_new(shard, size);
    chunk->bytes = (uint32_t)bytes;
    chunk->size = (uint32_t)size;
    chunk->previous = NULL;
    chunk->next = host->chunks;
    if (host->chunks != NULL) {
        host->chunks->previous = chunk;
    }
    host->chunks = chunk;
    host->chunk_bytes += (uint32_t)bytes;
    shard->node_bytes += size;
    return (uint8_t *)chunk + CHUNK_HEADER;
}

void host_arena_less(struct port *port, void *memory)
{
    chunk_release(host_of(port), (struct host_chunk *)(void *)((uint8_t *)memory - CHUNK_HEADER));
}

static void chunk_release(struct host *host, struct host_chunk *chunk)
{
    struct shard *shard = host->shard;
    if (chunk->previous != NULL) {
        chunk->previous->next = chunk->next;
    } else {
        must(host->chunks == chunk);
        host->chunks = chunk->next;
    }
    if (chunk->next != NULL) {
        chunk->next->previous = chunk->previous;
    }
    host->chunk_bytes -= chunk->bytes;
    shard->node_bytes -= chunk->size;
    size_t class = chunk->size / CHUNK_STEP;
    if (class >= CHUNK_CLASSES) {
        free((uint8_t *)chunk - CHUNK_SHIFT);
        return;
    }
    chunk->next = shard->free_chunks[class];
    shard->free_chunks[class] = chunk;
}

void host_chunks_drop(struct host *host)
{
    while (host->chunks != NULL) {
        must(host->chunks->previous == NULL); /* It is the first. */
        chunk_release(host, host->chunks);
    }
    must(host->chunk_bytes == 0);
}

size_t world_node_bytes(const struct world *world)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < world->shard_count; i++) {
        bytes += world->shards[i]->node_bytes;
    }
    return bytes;
}

/* Zeroed. Larger ones than the classes go are the heap's business. */
static struct host_chunk *chunk_new(struct shard *shard, size_t size)
{
    size_t class = size / CHUNK_STEP;
    if (class >= CHUNK_CLASSES) {
        uint8_t *large = world_memory(CHUNK_SHIFT + size, false);
        return (struct host_chunk *)(void *)(large + CHUNK_SHIFT);
    }
    struct host_chunk *chunk = shard->free_chunks[class];
    if (chunk != NULL) {
        shard->free_chunks[class] = chunk->next;
        memset(chunk, 0, size);
        return chunk;
    }
    if ((size_t)(shard->chunk_end - shard->chunk_next) < size) {
        uint8_t *slab = world_memory(CHUNK_SLAB_BYTES, true);
        memcpy(slab, &shard->chunk_slabs, sizeof shard->chunk_slabs);
        shard->chunk_slabs = slab;
        shard->chunk_next = slab + CHUNK_SHIFT; /* Behind the link. */
        shard->chunk_end = slab + CHUNK_SLAB_BYTES;
    }
    chunk = (struct host_chunk *)(void *)shard->chunk_next;
    shard->chunk_next += size;
    return chunk;
}

/* --- interned records ------------------------------------------------------------------------
 *
 * Records are kept for the whole run: a simulated population is finite, and counting references
 * would touch a cold line for every contact that passes by. */

void intern_open(struct intern *intern, uint32_t max)
{
    /* Reserved, not touched: the arrays never move, as the port promises. */
    *intern = (struct intern){.max = max, .count = 1};
    intern->records = reserve((size_t)max * PORT_INTERN_RECORD);
    intern->prefixes = reserve((size_t)max * sizeof(uint64_t));
    intern->slots = calloc(INTERN_SLOTS_FIRST, sizeof *intern->slots);
    must(intern->slots != NULL);
    intern->slot_mask = INTERN_SLOTS_FIRST - 1;
    intern->view = (struct port_intern){.records = intern->records, .prefixes = intern->prefixes};
}

static void *reserve(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(memory != MAP_FAILED);
    if (bytes > HUGE_FROM_BYTES) {
        (void)madvise(memory, bytes, MADV_HUGEPAGE);
    }
    return memory;
}

void intern_close(struct intern *intern)
{
    munmap(intern->records, (size_t)intern->max * PORT_INTERN_RECORD);
    munmap(intern->prefixes, (size_t)intern->max * sizeof(uint64_t));
    free(intern->slots);
}

uint32_t host_intern_get(struct port *port, const void *key, port_intern_fn complete)
{
    struct intern *intern = &host_of(port)->shard->intern;
    uint64_t hash = intern_hash(key);
    uint32_t slot = intern_slot(intern, key, hash);
    if (intern->slots[slot].handle != 0) {
        return intern->slots[slot].handle;
    }
    must(intern->count < intern->max); /* Exhaustion ends the run; it is no node's error. */
    uint32_t handle = intern->count++;
    uint8_t *record = record_at(intern, handle);
    memcpy(record, key, PORT_INTERN_KEY);
    intern->prefixes[handle] = complete(record);
    intern->slots[slot] = (struct intern_slot){.handle = handle, .tag = (uint32_t)(hash >> 32)};
    if (intern->count > intern->slot_mask / 2) {
        intern_grow(intern);
    }
    return handle;
}

/* First all slots, then all records they name: two rounds of waiting instead of two for each key.
 */
void host_intern_expect(struct port *port, const void *keys, size_t count)
{
    const struct intern *intern = &host_of(port)->shard->intern;
    const uint8_t *key = keys;
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = intern_hash(key + i * PORT_INTERN_KEY);
        prefetch(&intern->slots[(uint32_t)hash & intern->slot_mask], PREFETCH_LINE);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = intern_hash(key + i * PORT_INTERN_KEY);
        uint32_t handle = intern->slots[(uint32_t)hash & intern->slot_mask].handle;
        prefetch(record_at(intern, handle), PORT_INTERN_RECORD);
        prefetch(&intern->prefixes[handle], PREFETCH_LINE);
    }
}

void host_intern_keep(struct port *port, uint32_t handle)
{
    must(handle < host_of(port)->shard->intern.count);
}

size_t world_intern_bytes(const struct world *world)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < world->shard_count; i++) {
        const struct intern *intern = &world->shards[i]->intern;
        bytes += (size_t)intern->count * (PORT_INTERN_RECORD + sizeof(uint64_t)) +
                 ((size_t)intern->slot_mask + 1) * sizeof(struct intern_slot);
    }
    return bytes;
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

static uint32_t intern_slot(const struct intern *intern, const void *key, uint64_t hash)
{
    uint32_t slot = (uint32_t)hash & intern->slot_mask;
    uint32_t tag = (uint32_t)(hash >> 32);
    while (intern->slots[slot].handle != 0 &&
           (intern->slots[slot].tag != tag ||
            memcmp(record_at(intern, intern->slots[slot].handle), key, PORT_INTERN_KEY) != 0)) {
        slot = (slot + 1) & intern->slot_mask;
    }
    return slot;
}

static void intern_grow(struct intern *intern)
{
    free(intern->slots);
    intern->slot_mask = intern->slot_mask * 2 + 1;
    size_t bytes = ((size_t)intern->slot_mask + 1) * sizeof *intern->slots;
    intern->slots = world_memory(bytes, bytes >= CHUNK_SLAB_BYTES);
    for (uint32_t handle = 1; handle < intern->count; handle++) {
        const uint8_t *record = record_at(intern, handle);
        uint64_t hash = intern_hash(record);
        intern->slots[intern_slot(intern, record, hash)] =
            (struct intern_slot){.handle = handle, .tag = (uint32_t)(hash >> 32)};
    }
}
