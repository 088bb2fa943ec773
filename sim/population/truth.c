/* truth.c - cells of nodes by the top bits of their ids. */
#include "sim/population/truth.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"

enum {
    CELL_BITS_MAX = 20,
    CELL_NODES_BITS = 3, /* About eight nodes in a cell: a query for 20 opens four. */
};

static struct truth_cell *cell_of(const struct truth *truth, uint64_t prefix);
static uint32_t distances_sort(struct truth *truth, const struct truth_cell *cell, uint64_t target,
                               uint32_t except);

void truth_open(struct truth *truth, uint32_t nodes)
{
    *truth = (struct truth){0};
    while (truth->cell_bits < CELL_BITS_MAX && nodes >> (truth->cell_bits + CELL_NODES_BITS) > 0) {
        truth->cell_bits++;
    }
    truth->cells = calloc((size_t)1 << truth->cell_bits, sizeof *truth->cells);
    must(truth->cells != NULL);
}

void truth_close(struct truth *truth)
{
    for (size_t i = 0; i < (size_t)1 << truth->cell_bits; i++) {
        free(truth->cells[i].entries);
    }
    free(truth->cells);
    free(truth->found);
    *truth = (struct truth){0};
}

void truth_add(struct truth *truth, const struct node_id *id, uint32_t node)
{
    must(node != TRUTH_NOBODY);

    uint64_t prefix = node_id_prefix(id);
    struct truth_cell *cell = cell_of(truth, prefix);
    if (cell->count == cell->cap) {
        cell->cap = cell->cap == 0 ? 8 : cell->cap * 2;
        cell->entries = realloc(cell->entries, cell->cap * sizeof *cell->entries);
        must(cell->entries != NULL);
    }
    cell->entries[cell->count++] = (struct truth_entry){.prefix = prefix, .node = node};
    truth->count++;
}

void truth_remove(struct truth *truth, const struct node_id *id, uint32_t node)
{
    struct truth_cell *cell = cell_of(truth, node_id_prefix(id));
    uint32_t at = 0;
    while (at < cell->count && cell->entries[at].node != node) {
        at++;
    }
    must(at < cell->count); /* Under this id it was added. */
    cell->entries[at] = cell->entries[--cell->count];
    truth->count--;
}

uint32_t truth_find(const struct truth *truth, const struct node_id *id)
{
    uint64_t prefix = node_id_prefix(id);
    const struct truth_cell *cell = cell_of(truth, prefix);
    uint32_t found = TRUTH_NOBODY;
    for (uint32_t i = 0; i < cell->count; i++) {
        if (cell->entries[i].prefix == prefix && cell->entries[i].node < found) {
            found = cell->entries[i].node;
        }
    }
    return found;
}

uint32_t truth_nearest(struct truth *truth, const struct node_id *target, uint32_t except,
                       uint32_t *nodes, uint32_t k)
{
    uint64_t prefix = node_id_prefix(target);
    uint32_t home = (uint32_t)(cell_of(truth, prefix) - truth->cells);
    uint32_t count = 0;
    for (uint32_t step = 0; step < 1u << truth->cell_bits && count < k; step++) {
        uint32_t found = distances_sort(truth, &truth->cells[home ^ step], prefix, except);
        for (uint32_t i = 0; i < found && count < k; i++) {
            nodes[count++] = truth->found[i].node;
        }
    }
    return count;
}

static struct truth_cell *cell_of(const struct truth *truth, uint64_t prefix)
{
    return &truth->cells[truth->cell_bits == 0 ? 0 : prefix >> (64 - truth->cell_bits)];
}

static bool is_nearer(const struct truth_entry *a, const struct truth_entry *b)
{
    return a->prefix != b->prefix ? a->prefix < b->prefix : a->node < b->node;
}

/* The cell's nodes into truth->found, with distances for prefixes, nearest first. By insertion:
 * cells are small, and the result does not depend on the order in which nodes came and went. */
static uint32_t distances_sort(struct truth *truth, const struct truth_cell *cell, uint64_t target,
                               uint32_t except)
{
    if (cell->count > truth->found_cap) {
        truth->found_cap = cell->cap;
        truth->found = realloc(truth->found, truth->found_cap * sizeof *truth->found);
        must(truth->found != NULL);
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < cell->count; i++) {
        struct truth_entry moving = {.prefix = cell->entries[i].prefix ^ target,
                                     .node = cell->entries[i].node};
        if (moving.node == except) {
            continue;
        }
        uint32_t at = count++;
        while (at > 0 && is_nearer(&moving, &truth->found[at - 1])) {
            truth->found[at] = truth->found[at - 1];
            at--;
        }
        truth->found[at] = moving;
    }
    return count;
}
