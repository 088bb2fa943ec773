/* host_store.c - a node's disk: ordered keys, and an undo log of what is not durable yet.
 *
 * The view a node reads holds every write at once. Each write leaves what it replaced in the log; a
 * commit closes a batch under its ticket, durability drops the batch from the log, and a crash
 * undoes what is left: uncommitted writes all, committed ones from a random point on (a batch may
 * tear).
 *
 *      put, del -> view + log -> commit(ticket) -> durable: log shrinks
 *                                              \-> crash: log is undone, newest first
 */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/host/world.h"

enum {
    /* A flash disk's flush, 1 to 5 ms; a stand-in until disks become a scenario's business. */
    FLUSH_MIN_US = 1000,
    FLUSH_SPREAD_US = 4000,
};

struct entry {
    uint8_t *bytes; /* Key, then value. */
    uint32_t value_len;
    uint8_t key_len;
};

struct undo {
    struct entry before; /* What the write replaced, unless was_absent. */
    uint8_t *key;
    uint8_t key_len;
    bool was_absent;
    uint64_t ticket; /* 0 until committed. */
};

struct host_disk {
    struct entry *entries; /* By key. */
    struct undo *log;      /* Oldest first. */
    uint32_t entry_count;
    uint32_t entry_cap;
    uint32_t log_count;
    uint32_t log_cap;
    uint64_t durable_us; /* When the last flush asked for is done: flushes keep their order. */
    struct rng rng;
};

static struct host_disk *disk_of(struct host *host);
static uint32_t lower_bound(const struct host_disk *disk, struct slice key);
static bool has_key(const struct entry *entry, struct slice key);
static void change(struct host *host, struct slice key, const struct slice *value);
static void insert(struct host_disk *disk, uint32_t at, struct entry entry);
static void undo_last(struct host *host);

int host_store_get(struct port *port, struct slice key, void *buffer, size_t cap, size_t *len)
{
    struct host_disk *disk = disk_of(host_of(port));
    uint32_t at = lower_bound(disk, key);
    if (at == disk->entry_count || !has_key(&disk->entries[at], key)) {
        return ERR_MISSING;
    }
    const struct entry *entry = &disk->entries[at];
    *len = entry->value_len;
    if (entry->value_len > cap) {
        return ERR_TOO_LARGE;
    }
    memcpy(buffer, entry->bytes + entry->key_len, entry->value_len);
    return ERR_OK;
}

int host_store_put(struct port *port, struct slice key, struct slice value)
{
    if (key.len == 0 || key.len > PORT_KEY_MAX || value.len > PORT_VALUE_MAX) {
        return ERR_TOO_LARGE;
    }
    change(host_of(port), key, &value);
    return ERR_OK;
}

int host_store_del(struct port *port, struct slice key)
{
    struct host_disk *disk = disk_of(host_of(port));
    uint32_t at = lower_bound(disk, key);
    if (at == disk->entry_count || !has_key(&disk->entries[at], key)) {
        return ERR_MISSING;
    }
    change(host_of(port), key, NULL);
    return ERR_OK;
}

int host_store_scan(struct port *port, struct slice prefix, port_scan_fn visit, void *arg)
{
    struct host_disk *disk = disk_of(host_of(port));
    uint32_t log_count = disk->log_count;
    for (uint32_t at = lower_bound(disk, prefix); at < disk->entry_count; at++) {
        const struct entry *entry = &disk->entries[at];
        if (entry->key_len < prefix.len || memcmp(entry->bytes, prefix.data, prefix.len) != 0) {
            break;
        }
        bool goes_on = visit(arg, slice_of(entry->bytes, entry->key_len),
                             slice_of(entry->bytes + entry->key_len, entry->value_len));
        must(disk->log_count == log_count); /* The visitor makes no store call. */
        if (!goes_on) {
            break;
        }
    }
    return ERR_OK;
}

int host_store_commit(struct port *port, uint64_t ticket)
{
    struct host *host = host_of(port);
    struct host_disk *disk = disk_of(host);
    for (uint32_t i = disk->log_count; i > 0 && disk->log[i - 1].ticket == 0; i--) {
        disk->log[i - 1].ticket = ticket;
    }
    uint64_t done_us = port->now_us + FLUSH_MIN_US + rng_below(&disk->rng, FLUSH_SPREAD_US);
    disk->durable_us = done_us > disk->durable_us ? done_us : disk->durable_us;
    uint32_t index = errand_get(
        host->shard, &(struct errand){.ticket = ticket, .incarnation = host->incarnation});
    host_post(host, disk->durable_us, HOST_EVENT_DURABLE, index);
    return ERR_OK;
}

void host_disk_durable(struct host *host, uint64_t ticket)
{
    struct host_disk *disk = disk_of(host);
    uint32_t settled = 0;
    while (settled < disk->log_count && disk->log[settled].ticket != 0 &&
           disk->log[settled].ticket <= ticket) {
        free(disk->log[settled].before.bytes);
        free(disk->log[settled].key);
        settled++;
    }
    disk->log_count -= settled;
    if (disk->log_count > 0) {
        memmove(disk->log, disk->log + settled, disk->log_count * sizeof *disk->log);
    } else {
        free(disk->log);
        disk->log = NULL;
        disk->log_cap = 0;
    }
}

void host_disk_crash(struct host *host)
{
    struct host_disk *disk = disk_of(host);
    while (disk->log_count > 0 && disk->log[disk->log_count - 1].ticket == 0) {
        undo_last(host);
    }
    /* Of the committed writes the disk has taken a prefix nobody can foretell: batches tear. */
    uint64_t kept = disk->log_count > 0 ? rng_below(&disk->rng, disk->log_count + 1u) : 0;
    while (disk->log_count > kept) {
        undo_last(host);
    }
    host_disk_durable(host, UINT64_MAX);
}

void host_disk_free(struct host *host)
{
    struct host_disk *disk = host->disk;
    if (disk == NULL) {
        return;
    }
    for (uint32_t i = 0; i < disk->entry_count; i++) {
        free(disk->entries[i].bytes);
    }
    for (uint32_t i = 0; i < disk->log_count; i++) {
        free(disk->log[i].before.bytes);
        free(disk->log[i].key);
    }
    free(disk->entries);
    free(disk->log);
    free(disk);
    host->disk = NULL;
}

size_t world_disk_bytes(const struct world *world)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < world->shard_count; i++) {
        bytes += world->shards[i]->disk_bytes;
    }
    return bytes;
}

static struct host_disk *disk_of(struct host *host)
{
    if (host->disk == NULL) {
        host->disk = calloc(1, sizeof *host->disk);
        must(host->disk != NULL);
        rng_stream(&host->disk->rng, world_of(host)->options.seed, "disk", host->index, 0);
    }
    return host->disk;
}

static int key_order(const struct entry *entry, struct slice key)
{
    size_t shared = entry->key_len < key.len ? entry->key_len : key.len;
    int order = memcmp(entry->bytes, key.data, shared);
    return order != 0 ? order : (int)entry->key_len - (int)key.len;
}

static bool has_key(const struct entry *entry, struct slice key)
{
    return key_order(entry, key) == 0;
}

static uint32_t lower_bound(const struct host_disk *disk, struct slice key)
{
    uint32_t low = 0;
    uint32_t high = disk->entry_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (key_order(&disk->entries[middle], key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct entry entry_make(struct slice key, struct slice value)
{
    struct entry entry = {.bytes = malloc(key.len + value.len),
                          .key_len = (uint8_t)key.len,
                          .value_len = (uint32_t)value.len};
    must(entry.bytes != NULL);
    memcpy(entry.bytes, key.data, key.len);
    if (value.len > 0) {
        memcpy(entry.bytes + key.len, value.data, value.len);
    }
    return entry;
}

/* value NULL deletes. */
static void change(struct host *host, struct slice key, const struct slice *value)
{
    struct host_disk *disk = disk_of(host);
    if (disk->log_count == disk->log_cap) {
        disk->log_cap = disk->log_cap == 0 ? 4 : disk->log_cap * 2;
        disk->log = realloc(disk->log, disk->log_cap * sizeof *disk->log);
        must(disk->log != NULL);
    }
    uint32_t at = lower_bound(disk, key);
    bool is_present = at < disk->entry_count && has_key(&disk->entries[at], key);
    struct undo *undo = &disk->log[disk->log_count++];
    *undo = (struct undo){
        .key = malloc(key.len), .key_len = (uint8_t)key.len, .was_absent = !is_present};
    must(undo->key != NULL);
    memcpy(undo->key, key.data, key.len);
    if (is_present) {
        undo->before = disk->entries[at];
        host->shard->disk_bytes -= undo->before.value_len + undo->before.key_len;
    }
    if (value == NULL) {
        disk->entry_count--;
        memmove(disk->entries + at, disk->entries + at + 1,
                (disk->entry_count - at) * sizeof *disk->entries);
        return;
    }
    struct entry entry = entry_make(key, *value);
    host->shard->disk_bytes += entry.value_len + entry.key_len;
    if (is_present) {
        disk->entries[at] = entry;
    } else {
        insert(disk, at, entry);
    }
}

static void insert(struct host_disk *disk, uint32_t at, struct entry entry)
{
    if (disk->entry_count == disk->entry_cap) {
        disk->entry_cap = disk->entry_cap == 0 ? 2 : disk->entry_cap * 2;
        disk->entries = realloc(disk->entries, disk->entry_cap * sizeof *disk->entries);
        must(disk->entries != NULL);
    }
    memmove(disk->entries + at + 1, disk->entries + at,
            (disk->entry_count - at) * sizeof *disk->entries);
    disk->entries[at] = entry;
    disk->entry_count++;
}

static void undo_last(struct host *host)
{
    struct host_disk *disk = host->disk;
    struct undo undo = disk->log[--disk->log_count];
    struct slice key = slice_of(undo.key, undo.key_len);
    uint32_t at = lower_bound(disk, key);
    bool is_present = at < disk->entry_count && has_key(&disk->entries[at], key);
    if (is_present) {
        host->shard->disk_bytes -= disk->entries[at].value_len + disk->entries[at].key_len;
        free(disk->entries[at].bytes);
    }
    if (undo.was_absent) {
        must(is_present);
        disk->entry_count--;
        memmove(disk->entries + at, disk->entries + at + 1,
                (disk->entry_count - at) * sizeof *disk->entries);
    } else {
        host->shard->disk_bytes += undo.before.value_len + undo.before.key_len;
        if (is_present) {
            disk->entries[at] = undo.before;
        } else {
            insert(disk, at, undo.before);
        }
    }
    free(undo.key);
}
