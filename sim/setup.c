/* setup.c - the run's tables, the network between places, and where each host stands in it. */
#include "sim/setup.h"

#include <stdlib.h>

#include "node/base/must.h"
#include "sim/engine/digest.h"

/* A chance of the scenario is the threshold the network wants, but for its name. */
static void loss_set(struct net_loss *loss, const struct scenario_loss *config);
static bool latency_set(struct setup *setup, const struct scenario_latency *latency);
static bool geo_set(struct setup *setup, const struct scenario_latency *latency);
static void places_set(struct setup *setup, struct setup_group *own,
                       const struct scenario_group *group);
static bool fail(struct setup *setup, const char *what);

bool setup_open(struct setup *setup, const struct scenario *scenario, uint64_t seed, char *error,
                size_t error_size)
{
    *setup = (struct setup){
        .scenario = scenario, .seed = seed, .error = error, .error_size = error_size};
    setup->access = calloc(scenario->group_count, sizeof *setup->access);
    setup->groups = calloc(scenario->group_count, sizeof *setup->groups);
    setup->group_setups = calloc(scenario->group_count, sizeof *setup->group_setups);
    setup->works = calloc(scenario->workload_count + 1u, sizeof *setup->works);
    must(setup->access != NULL && setup->groups != NULL && setup->group_setups != NULL &&
         setup->works != NULL);
    return setup_network(setup);
}

void setup_close(struct setup *setup)
{
    for (uint32_t i = 0; i < setup->dist_count; i++) {
        dist_close(setup->dists[i]);
        free(setup->dists[i]);
    }
    for (uint32_t i = 0; i < setup->scenario->group_count; i++) {
        free(setup->group_setups[i].stays);
        free(setup->group_setups[i].first_stays);
        free(setup->group_setups[i].shares);
    }
    free(setup->dists);
    free(setup->access);
    free(setup->groups);
    free(setup->group_setups);
    free(setup->works);
    free(setup->coordinates);
    free(setup->nat_configs);
    free(setup->nat_kinds);
}

bool setup_network(struct setup *setup)
{
    const struct scenario *scenario = setup->scenario;
    const struct scenario_network *network = &scenario->network;
    setup->net.mtu_bytes = network->mtu;
    setup->net.region_count = network->latency.region_count;
    setup->net.access = setup->access;
    setup->net.access_count = scenario->group_count;
    loss_set(&setup->net.loss, &network->loss);
    for (uint32_t i = 0; i < scenario->group_count; i++) {
        const struct scenario_link *link = &scenario->groups[i].link;
        setup->access[i] = (struct net_access){.up_bps = link->up_bps,
                                               .down_bps = link->down_bps,
                                               .up_queue_bytes = (uint32_t)link->queue_bytes,
                                               .down_queue_bytes = (uint32_t)link->queue_bytes,
                                               .loss = link->loss.threshold};
        struct setup_group *own = &setup->group_setups[i];
        own->access_us = setup_dist(setup, "a group's link.latency", &link->latency);
        if (own->access_us == NULL) {
            return false;
        }
        places_set(setup, own, &scenario->groups[i]);
    }
    if (!latency_set(setup, &network->latency)) {
        return false;
    }
    return net_config_check(&setup->net) == ERR_OK || fail(setup, "the network");
}

bool setup_hosts(struct setup *setup, struct world *world)
{
    uint32_t group24 = 0;
    for (uint32_t i = 0; i < setup->scenario->group_count; i++) {
        const struct scenario_group *group = &setup->scenario->groups[i];
        const struct setup_group *own = &setup->group_setups[i];
        struct place_model model = {.shares = own->shares,
                                    .share_count = group->region_mix_count,
                                    .access = (uint16_t)i,
                                    .access_us = own->access_us,
                                    .coordinates = setup->coordinates};
        setup->groups[i].first = world_host_count(world);
        setup->groups[i].count = group->count;
        struct setup_deal deal;
        setup_deal_open(&deal, setup, i, setup->groups[i].first);
        for (uint32_t member = 0; member < group->count; member++) {
            group24 += member > 0 && member % group->address_group_size == 0;
            uint32_t index = setup_deal_host(&deal, world, member, group24);
            struct net_site site;
            place_draw(&model, setup->seed, index, &site);
            host_place(world_host(world, index), &site, setup->seed);
        }
        setup_deal_close(&deal);
        group24++;
    }
    return true;
}

const struct dist *setup_dist(struct setup *setup, const char *what,
                              const struct dist_config *config)
{
    static const enum dist_kind kinds[] = {
        [DIST_CONFIG_CONSTANT] = DIST_CONSTANT,       [DIST_CONFIG_UNIFORM] = DIST_UNIFORM,
        [DIST_CONFIG_EXPONENTIAL] = DIST_EXPONENTIAL, [DIST_CONFIG_LOGNORMAL] = DIST_LOGNORMAL,
        [DIST_CONFIG_WEIBULL] = DIST_WEIBULL,         [DIST_CONFIG_PARETO] = DIST_PARETO};
    struct dist_spec spec = {.kind = kinds[config->kind],
                             .value = (double)config->value,
                             .min = (double)config->min,
                             .max = (double)config->max,
                             .mean = (double)config->mean,
                             .median = (double)config->median,
                             .sigma = config->sigma,
                             .scale = (double)config->scale,
                             .shape = config->shape};
    return setup_dist_fill(setup, what, &spec);
}

const struct dist *setup_dist_fill(struct setup *setup, const char *what,
                                   const struct dist_spec *spec)
{
    setup->dists = realloc(setup->dists, (setup->dist_count + 1u) * sizeof(struct dist *));
    must(setup->dists != NULL);
    struct dist *dist = calloc(1, sizeof *dist);
    must(dist != NULL);
    setup->dists[setup->dist_count++] = dist;
    if (dist_fill(dist, spec) != ERR_OK) {
        (void)fail(setup, what);
        return NULL;
    }
    return dist;
}

uint64_t setup_hash(const struct setup *setup)
{
    const struct scenario_latency *latency = &setup->scenario->network.latency;
    uint64_t hash = DIGEST_START;
    for (uint32_t i = 0; i < setup->dist_count; i++) {
        hash = digest_step(hash, dist_hash(setup->dists[i]), 0, i, 0, NULL, 0);
    }
    if (setup->net.matrix_us != NULL) {
        size_t cells = (size_t)latency->region_count * latency->region_count;
        for (size_t i = 0; i < cells; i++) {
            hash = digest_step(hash, setup->net.matrix_us[i], 1, (uint32_t)i, 0, NULL, 0);
        }
    }
    for (uint32_t i = 0; setup->coordinates != NULL && i < latency->region_count; i++) {
        const struct geo_place *place = &setup->coordinates[i];
        hash = digest_step(hash, (uint16_t)place->x, (uint16_t)place->y, (uint16_t)place->z, 2,
                           NULL, 0);
    }
    for (uint32_t i = 0; setup->coordinates != NULL && i <= GEO_CELLS; i++) {
        hash = digest_step(hash, setup->geo.time[i], 3, i, 0, NULL, 0);
    }
    return hash;
}

static void loss_set(struct net_loss *loss, const struct scenario_loss *config)
{
    switch (config->model) {
    case SCENARIO_LOSS_BERNOULLI:
        *loss = (struct net_loss){.loss_good = config->p.threshold};
        break;
    case SCENARIO_LOSS_GILBERT_ELLIOTT:
        *loss = (struct net_loss){.enter_bad = config->p_good_to_bad.threshold,
                                  .leave_bad = config->p_bad_to_good.threshold,
                                  .loss_good = config->loss_good.threshold,
                                  .loss_bad = config->loss_bad.threshold};
        break;
    default:
        *loss = (struct net_loss){0};
        break;
    }
}

static bool latency_set(struct setup *setup, const struct scenario_latency *latency)
{
    const struct dist *jitter = setup_dist(setup, "network.latency.jitter", &latency->jitter);
    if (jitter == NULL) {
        return false;
    }
    bool is_still = latency->jitter.kind == DIST_CONFIG_CONSTANT && latency->jitter.value == 0;
    setup->net.jitter = is_still ? NET_JITTER_NONE : NET_JITTER_ADD;
    setup->net.jitter_dist = is_still ? NULL : jitter;
    switch (latency->model) {
    case SCENARIO_LATENCY_CONSTANT:
        setup->net.latency = NET_LATENCY_DIST;
        setup->net.latency_us = setup_dist(setup, "network.latency.value", &latency->one_way);
        return setup->net.latency_us != NULL;
    case SCENARIO_LATENCY_COORDINATES:
        return geo_set(setup, latency);
    default:
        setup->net.latency = NET_LATENCY_MATRIX;
        setup->net.matrix_us = latency->one_way_us;
        return true;
    }
}

static bool geo_set(struct setup *setup, const struct scenario_latency *latency)
{
    setup->net.latency = NET_LATENCY_GEO;
    setup->net.geo = &setup->geo;
    setup->coordinates = calloc(latency->region_count, sizeof *setup->coordinates);
    must(setup->coordinates != NULL);
    if (geo_fill(&setup->geo, latency->inflation) != ERR_OK) {
        return fail(setup, "network.latency.inflation");
    }
    for (uint32_t i = 0; i < latency->region_count; i++) {
        const struct scenario_coordinates *at = &latency->coordinates[i];
        if (geo_place_at(&setup->coordinates[i], at->latitude, at->longitude) != ERR_OK) {
            return fail(setup, "network.latency.places");
        }
    }
    return true;
}

static void places_set(struct setup *setup, struct setup_group *own,
                       const struct scenario_group *group)
{
    must(group->region_mix_count > 0);
    own->shares = calloc(group->region_mix_count, sizeof *own->shares);
    must(own->shares != NULL);
    for (uint32_t i = 0; i < group->region_mix_count; i++) {
        const struct scenario_share *share = &group->region_mix[i];
        must(share->index < setup->net.region_count);
        own->shares[i] =
            (struct place_share){.region = share->index, .cumulative = share->cumulative};
    }
}

static bool fail(struct setup *setup, const char *what)
{
    (void)snprintf(setup->error, setup->error_size, "%s describes nothing that can be simulated",
                   what);
    return false;
}
