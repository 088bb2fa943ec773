/* arrival.h - when operations begin: Poisson processes, owned by nodes or by all of them together.
 *
 * A rate per node is a process of that node's own: the gap after each arrival comes from the stream
 * ("gap", node, work and time), so nobody else's arrivals move it. It goes on while the node is
 * away; those arrivals begin nothing. A rate that nodes share is one process of the world: at each
 * barrier the arrivals up to the next are drawn, each for a random node among those that took part
 * at the barrier; so their number does not depend on how many nodes there are, and the rate is met
 * exactly as long as anybody takes part.
 *
 *      arrivals_start, arrivals_share -> host_script -> arrival_due -> operation_begin
 */
#ifndef SIM_POPULATION_ARRIVAL_H
#define SIM_POPULATION_ARRIVAL_H

#include "sim/population/population.h"

/* What a scripted event says: a kind, and for an arrival the number of the work. */
enum {
    SCRIPT_KIND_BITS = 2,
    SCRIPT_KIND_MASK = 3,
    SCRIPT_START = 0,
    SCRIPT_END = 1,
    SCRIPT_ARRIVAL = 2,
};

/* Of a work that nodes share. */
struct arrival {
    uint64_t next_us;
    uint64_t number; /* Of the next arrival. */
};

void arrivals_open(struct population *population);
void arrivals_start(struct population *population);
/* At a barrier: hands out what falls before next_us. */
void arrivals_share(struct population *population, uint64_t next_us);
void arrival_due(struct population *population, struct host *host, uint32_t work);

/* A random node in [first, first + count) that took part at the last barrier, not `except`. Returns
 * POPULATION_ALL when there is none. */
uint32_t arrival_pick(const struct population *population, struct rng *rng, uint32_t first,
                      uint32_t count, uint32_t except);

#endif /* SIM_POPULATION_ARRIVAL_H */
