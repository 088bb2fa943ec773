/* prebuilt.h - a network that has always been there: tables filled from the world's knowledge.
 *
 * For experiments that are not about joining. Each node that is up gets, for each of its buckets,
 * all nodes that belong there if they fit, else k of them at random (stream "prebuilt", node); what
 * the table's own limits refuse is replaced by others. Joined tables differ: they prefer whom a
 * node met.
 *
 *      nodes that are up, sorted by id -> a range per bucket -> dht_seed_contact
 */
#ifndef SIM_POPULATION_PREBUILT_H
#define SIM_POPULATION_PREBUILT_H

struct population;

/* At time 0, when everybody who is there has started. */
void prebuilt_fill(struct population *population);

#endif /* SIM_POPULATION_PREBUILT_H */
