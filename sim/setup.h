/* setup.h - a scenario's numbers turned into what net, host and population run on.
 *
 * Owns every table of the run: distributions, the network's configuration, one node configuration
 * for each group and set of bootstrap addresses, churn models, works.
 *
 *      struct scenario -> setup_network -> net_config -> world_open
 *                      -> setup_hosts   -> hosts with address, NAT box, region and access line
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

/* A NAT box of a kind that still has room; `room` 0: none. */
struct setup_open_box {
    uint32_t number;
    uint32_t room;
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
    struct geo_place *coordinates;   /* By region; NULL unless distance decides. */
    struct napt_config *nat_configs; /* NULL while all nodes are public; so is the next. */
    uint16_t *nat_kinds;             /* Of each node: enum scenario_nat. */
    struct setup_group *group_setups;
    struct population_group *groups;
    struct population_work *works;
    struct port_addr seeds[SETUP_SEEDS_MAX];
    uint32_t seed_count;
    uint32_t variant_count;
};

/* The kinds of NAT of one group, dealt out to its members (setup_boxes.c). */
struct setup_deal {
    struct setup *setup;
    uint32_t group;
    uint16_t *kinds; /* Of each member, in the set-up's table; NULL: all are public. */
    uint8_t *traits;
    struct setup_open_box *open; /* By box of the scenario. */
};

/* Each returns false, with a message in `error`, when the scenario cannot be set up. */
bool setup_open(struct setup *setup, const struct scenario *scenario, uint64_t seed, char *error,
                size_t error_size);
void setup_close(struct setup *setup);

bool setup_network(struct setup *setup);
/* Adds the hosts of all groups to the world, and draws where they live. */
bool setup_hosts(struct setup *setup, struct world *world);
/* `first`: the group's first node. Dealing draws from streams of its own. */
void setup_deal_open(struct setup_deal *deal, struct setup *setup, uint32_t group, uint32_t first);
/* Adds the member's host, behind a box where it has one; members come in order. Its index. */
uint32_t setup_deal_host(struct setup_deal *deal, struct world *world, uint32_t member,
                         uint32_t group24);
void setup_deal_close(struct setup_deal *deal);
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
