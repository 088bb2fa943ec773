/* setup.h - a scenario's numbers turned into what net, host and population run on.
 *
 * Owns every table of the run: distributions, the network's configuration, one node configuration
 * for each group and set of bootstrap addresses, churn models, works.
 *
 *      struct scenario -> setup_network -> net_config -> world_open
 *                      -> setup_hosts   -> hosts with address, region and access line
 *                      -> setup_groups, setup_works -> struct population_options
 */
#ifndef SIM_SETUP_H
#define SIM_SETUP_H

#include "sim/population/place.h"
#include "sim/population/population.h"
#include "sim/scenario/scenario.h"

enum {
    /* Whom newcomers know: so many of the seeds each, another choice for each of the variants. */
    SETUP_BOOTSTRAP_KNOWN = 4,
    SETUP_SEEDS_MAX = 128,
    SETUP_VARIANTS_MAX = SETUP_SEEDS_MAX / SETUP_BOOTSTRAP_KNOWN,
};

struct setup_group {
    struct node_config configs[SETUP_VARIANTS_MAX];
    struct node_config seed_configs[SETUP_VARIANTS_MAX];
    struct churn_model churn;
    struct churn_trace trace;
    struct churn_stay *stays;
    uint32_t *first_stays;
    struct place_share *shares;
    const struct dist *access_us;
};

struct setup {
    const struct scenario *scenario;
    uint64_t seed;
    char *error;
    size_t error_size;
    struct dist **dists;
    uint32_t dist_count;
    struct net_config net;
    struct net_access *access; /* One per group. */
    struct geo geo;
    struct geo_place *coordinates; /* By region; NULL unless distance decides. */
    struct setup_group *group_setups;
    struct population_group *groups;
    struct population_work *works;
    struct port_addr seeds[SETUP_SEEDS_MAX];
    uint32_t seed_count;
    uint32_t variant_count;
};

/* Each returns false, with a message in `error`, when the scenario cannot be set up. */
bool setup_open(struct setup *setup, const struct scenario *scenario, uint64_t seed, char *error,
                size_t error_size);
void setup_close(struct setup *setup);

bool setup_network(struct setup *setup);
/* Adds the hosts of all groups to the world, and draws where they live. */
bool setup_hosts(struct setup *setup, struct world *world);
bool setup_groups(struct setup *setup, struct world *world);
bool setup_works(struct setup *setup, struct population_options *options);

/* A table for a scenario's distribution, owned by the set-up; NULL, and the error said. */
const struct dist *setup_dist(struct setup *setup, const char *what,
                              const struct dist_config *config);
const struct dist *setup_dist_fill(struct setup *setup, const char *what,
                                   const struct dist_spec *spec);
/* Of all tables: equal for equal worlds. */
uint64_t setup_hash(const struct setup *setup);

#endif /* SIM_SETUP_H */
