/* truth.h - who is nearest to an id, by the knowledge of the whole world.
 *
 * Judges compare what a node found with this index of all nodes that take part. Nodes lie in cells
 * by the top bits of their ids, so a cell d steps away by XOR is nearer than any further one: a
 * query opens cells in that order until it has enough. Ids are told apart by their first 64 bits;
 * of two equal ones (a chance of 2^-64 per pair) the lower node number comes first.
 *
 *      truth_add, truth_remove -> cells -> truth_nearest(target, k) -> nodes, closest first
 *                                       -> truth_find(id) -> node
 *
 * Cost: O(1) to add, remove, and per answer, for ids spread evenly (hashes are).
 */
#ifndef SIM_POPULATION_TRUTH_H
#define SIM_POPULATION_TRUTH_H

#include <stdint.h>

#include "node/wire/contact.h"

struct truth_entry {
    uint64_t prefix;
    uint32_t node;
};

struct truth_cell {
    struct truth_entry *entries;
    uint32_t count;
    uint32_t cap;
};

struct truth {
    struct truth_cell *cells;
    struct truth_entry *found; /* Scratch of a query: of one cell. */
    uint32_t found_cap;
    uint32_t cell_bits;
    uint32_t count;
};

#define TRUTH_NOBODY UINT32_MAX

/* For about `nodes` nodes; more are possible and slower. */
void truth_open(struct truth *truth, uint32_t nodes);
void truth_close(struct truth *truth);

/* A node is added at most once, and removed under the id it was added with. */
void truth_add(struct truth *truth, const struct node_id *id, uint32_t node);
void truth_remove(struct truth *truth, const struct node_id *id, uint32_t node);

/* The node with this id, or TRUTH_NOBODY. Ids are compared by what tells them apart here. */
uint32_t truth_find(const struct truth *truth, const struct node_id *id);

/* The k nodes nearest to `target`, closest first, without `except` (TRUTH_NOBODY: all count).
 * Returns how many there are, at most k. */
uint32_t truth_nearest(struct truth *truth, const struct node_id *target, uint32_t except,
                       uint32_t *nodes, uint32_t k);

#endif /* SIM_POPULATION_TRUTH_H */
