/* store_overlay.h - the writes that are not in the file yet, ordered by key.
 *
 * Each key holds its pending values, newest first, and each value belongs to one batch: the staged
 * one, or a committed one on its way through the writer. So when a batch fails, what an earlier one
 * wrote under the same key shows again, and when it succeeds, newer values stay on top.
 *
 *      overlay_write -> staged batch -> overlay_commit -> writer -> settled -> overlay_drop
 *      overlay_find, overlay_seek <- newest value of each key
 *
 * Belongs to the loop's thread. The writer reads a committed batch (next, key, value), which nobody
 * changes before it is settled, and nothing else.
 */
#ifndef NODE_HOST_STORE_OVERLAY_H
#define NODE_HOST_STORE_OVERLAY_H

#include <stdbool.h>

#include "node/port/port.h"

struct overlay_cell {
    struct overlay_write *newest;
    uint8_t key_len;
    uint8_t key[];
};

struct overlay_write {
    struct overlay_write *next;  /* Of the same batch. */
    struct overlay_write *older; /* Of the same key. */
    struct overlay_cell *cell;
    const struct overlay_batch *batch;
    uint8_t *value;
    uint32_t value_len;
    bool is_deletion;
};

/* What one commit makes durable, all of it or nothing. */
struct overlay_batch {
    struct overlay_batch *next; /* In whatever queue it stands. */
    struct overlay_write *writes;
    uint64_t ticket;
    uint64_t generation; /* How many failures its writer had heard of when it committed. */
    int status;          /* The writer's: an SQLite code, extended. */
    int system_errno;    /* Behind the status, where there is one. */
};

struct overlay {
    struct overlay_cell **cells; /* By key. */
    size_t cell_count;
    size_t cell_cap;
    size_t bytes; /* Keys, values and their bookkeeping. */
    struct overlay_batch *staged;
};

void overlay_init(struct overlay *overlay);
/* Discards what is staged; every committed batch has been dropped before. */
void overlay_free(struct overlay *overlay);

/* The newest pending value of `key`; NULL: ask the file. */
const struct overlay_write *overlay_find(const struct overlay *overlay, struct slice key);
/* The index of the first cell at or after `key`. */
size_t overlay_seek(const struct overlay *overlay, struct slice key);
/* value NULL deletes. */
void overlay_write(struct overlay *overlay, struct slice key, const struct slice *value);
/* Closes the staged batch, which may be empty, and begins a new one. */
struct overlay_batch *overlay_commit(struct overlay *overlay, uint64_t ticket);
/* Forgets a batch and all it wrote: the file has it now, or nobody has. */
void overlay_drop(struct overlay *overlay, struct overlay_batch *batch);

/* As memcmp, a prefix before what it begins. The order of SQLite's blobs, and of the seam. */
int overlay_key_order(struct slice a, struct slice b);

static inline struct slice overlay_key(const struct overlay_cell *cell)
{
    return slice_of(cell->key, cell->key_len);
}

#endif /* NODE_HOST_STORE_OVERLAY_H */
