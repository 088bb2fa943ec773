/* store_overlay.c - the writes that are not in the file yet, ordered by key. */
#include "node/host/store_overlay.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"

static struct overlay_batch *batch_make(void);
static struct overlay_cell *cell_at(struct overlay *overlay, struct slice key);
static struct overlay_write *staged_write(struct overlay *overlay, struct overlay_cell *cell);
static void forget(struct overlay *overlay, struct overlay_write *write);
static size_t cost(const struct overlay_write *write);

void overlay_init(struct overlay *overlay)
{
    *overlay = (struct overlay){.staged = batch_make()};
}

void overlay_free(struct overlay *overlay)
{
    overlay_drop(overlay, overlay->staged);
    must(overlay->cell_count == 0);
    must(overlay->bytes == 0);
    free(overlay->cells);
}

const struct overlay_write *overlay_find(const struct overlay *overlay, struct slice key)
{
    size_t at = overlay_seek(overlay, key);
    bool is_found =
        at < overlay->cell_count && overlay_key_order(overlay_key(overlay->cells[at]), key) == 0;
    return is_found ? overlay->cells[at]->newest : NULL;
}

size_t overlay_seek(const struct overlay *overlay, struct slice key)
{
    size_t low = 0;
    size_t high = overlay->cell_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (overlay_key_order(overlay_key(overlay->cells[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void overlay_write(struct overlay *overlay, struct slice key, const struct slice *value)
{
    struct overlay_write *write = staged_write(overlay, cell_at(overlay, key));
    overlay->bytes -= cost(write);
    free(write->value);
    write->value = NULL;
    write->value_len = 0;
    write->is_deletion = value == NULL;
    if (value != NULL && value->len > 0) {
        write->value = malloc(value->len);
        must(write->value != NULL);
        memcpy(write->value, value->data, value->len);
        write->value_len = (uint32_t)value->len;
    }
    overlay->bytes += cost(write);
}

struct overlay_batch *overlay_commit(struct overlay *overlay, uint64_t ticket)
{
    struct overlay_batch *batch = overlay->staged;
    batch->ticket = ticket;
    overlay->staged = batch_make();
    return batch;
}

void overlay_drop(struct overlay *overlay, struct overlay_batch *batch)
{
    struct overlay_write *write = batch->writes;
    while (write != NULL) {
        struct overlay_write *next = write->next;
        forget(overlay, write);
        write = next;
    }
    free(batch);
}

int overlay_key_order(struct slice a, struct slice b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared > 0 ? memcmp(a.data, b.data, shared) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static struct overlay_batch *batch_make(void)
{
    struct overlay_batch *batch = calloc(1, sizeof *batch);
    must(batch != NULL);
    return batch;
}

static struct overlay_cell *cell_at(struct overlay *overlay, struct slice key)
{
    size_t at = overlay_seek(overlay, key);
    if (at < overlay->cell_count && overlay_key_order(overlay_key(overlay->cells[at]), key) == 0) {
        return overlay->cells[at];
    }
    if (overlay->cell_count == overlay->cell_cap) {
        overlay->cell_cap = overlay->cell_cap == 0 ? 16 : overlay->cell_cap * 2;
        overlay->cells = realloc(overlay->cells, overlay->cell_cap * sizeof(overlay->cells[0]));
        must(overlay->cells != NULL);
    }
    struct overlay_cell *cell = malloc(sizeof *cell + key.len);
    must(cell != NULL);
    cell->newest = NULL;
    cell->key_len = (uint8_t)key.len;
    memcpy(cell->key, key.data, key.len);
    memmove(overlay->cells + at + 1, overlay->cells + at,
            (overlay->cell_count - at) * sizeof(overlay->cells[0]));
    overlay->cells[at] = cell;
    overlay->cell_count++;
    return cell;
}

/* The cell's write in the staged batch; a new one if it has none there. */
static struct overlay_write *staged_write(struct overlay *overlay, struct overlay_cell *cell)
{
    if (cell->newest != NULL && cell->newest->batch == overlay->staged) {
        return cell->newest;
    }
    struct overlay_write *write = malloc(sizeof *write);
    must(write != NULL);
    *write = (struct overlay_write){.next = overlay->staged->writes,
                                    .older = cell->newest,
                                    .cell = cell,
                                    .batch = overlay->staged};
    cell->newest = write;
    overlay->staged->writes = write;
    overlay->bytes += cost(write);
    return write;
}

static void forget(struct overlay *overlay, struct overlay_write *write)
{
    struct overlay_cell *cell = write->cell;
    struct overlay_write **link = &cell->newest;
    while (*link != write) {
        link = &(*link)->older;
    }
    *link = write->older;
    overlay->bytes -= cost(write);
    if (cell->newest == NULL) {
        size_t at = overlay_seek(overlay, overlay_key(cell));
        overlay->cell_count--;
        memmove(overlay->cells + at, overlay->cells + at + 1,
                (overlay->cell_count - at) * sizeof(overlay->cells[0]));
        free(cell);
    }
    free(write->value);
    free(write);
}

static size_t cost(const struct overlay_write *write)
{
    return sizeof *write + sizeof *write->cell + write->cell->key_len + write->value_len;
}
