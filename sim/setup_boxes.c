/* setup_boxes.c - which nodes of a group stand behind which NAT boxes. */
#include <math.h>
#include <stdlib.h>

#include "node/base/must.h"
#include "sim/setup.h"

/* What shares of the nodes behind presets have; the first two are part of a box's configuration. */
enum trait {
    TRAIT_HAIRPIN = 1,
    TRAIT_MAPS_ON_REQUEST = 2,
    TRAIT_DOUBLE = 4,
    CONFIGS_PER_PRESET = 4,
};
#define CONFIG_TRAITS  (TRAIT_HAIRPIN | TRAIT_MAPS_ON_REQUEST)
#define CONFIGS_PRESET (CONFIGS_PER_PRESET * NAPT_PRESET_COUNT)

static void configs_fill(struct setup *setup);
static void kinds_deal(struct setup_deal *deal);
static void counts_exact(const struct scenario_group *group, uint32_t *counts);
static void shuffle(struct rng *rng, uint32_t *numbers, uint32_t count);
static void trait_deal(struct setup_deal *deal, enum trait trait, const char *purpose,
                       double ratio);
static uint32_t box_of_preset(struct setup_deal *deal, struct world *world, uint32_t member,
                              uint32_t group24);
static uint32_t box_of_kind(struct setup_deal *deal, struct world *world, uint32_t kind,
                            uint32_t group24);

void setup_deal_open(struct setup_deal *deal, struct setup *setup, uint32_t group, uint32_t first)
{
    const struct scenario *scenario = setup->scenario;
    const struct scenario_group *config = &scenario->groups[group];
    *deal = (struct setup_deal){.setup = setup, .group = group};
    if (scenario_is_public(config)) {
        return;
    }
    if (setup->nat_kinds == NULL) {
        setup->nat_kinds = calloc(scenario->node_count, sizeof *setup->nat_kinds);
        must(setup->nat_kinds != NULL);
        configs_fill(setup);
    }
    deal->kinds = &setup->nat_kinds[first];
    deal->traits = calloc(config->count, sizeof *deal->traits);
    deal->open = calloc(scenario->box_count + 1u, sizeof *deal->open);
    must(deal->traits != NULL && deal->open != NULL);
    kinds_deal(deal);
    trait_deal(deal, TRAIT_HAIRPIN, "nat-hairpin", config->nat_hairpin.ratio);
    trait_deal(deal, TRAIT_MAPS_ON_REQUEST, "nat-port-mapping", config->nat_port_mapping.ratio);
    trait_deal(deal, TRAIT_DOUBLE, "nat-double", config->nat_double.ratio);
}

void setup_deal_close(struct setup_deal *deal)
{
    free(deal->traits);
    free(deal->open);
}

static void configs_fill(struct setup *setup)
{
    const struct scenario *scenario = setup->scenario;
    setup->nat_configs = calloc(CONFIGS_PRESET + scenario->box_count, sizeof(struct napt_config));
    must(setup->nat_configs != NULL);
    for (uint32_t i = 0; i < CONFIGS_PRESET; i++) {
        struct napt_config *config = &setup->nat_configs[i];
        napt_preset_config((enum napt_preset)(i / CONFIGS_PER_PRESET), config);
        config->has_hairpin = (i & TRAIT_HAIRPIN) != 0;
        config->maps_on_request = (i & TRAIT_MAPS_ON_REQUEST) != 0;
    }
    for (uint32_t i = 0; i < scenario->box_count; i++) {
        setup->nat_configs[CONFIGS_PRESET + i] = scenario->boxes[i].config;
    }
}

/* As many of each kind as its share says, in random order. */
static void kinds_deal(struct setup_deal *deal)
{
    const struct scenario_group *group = &deal->setup->scenario->groups[deal->group];
    uint32_t *counts = calloc(group->nat_mix_count, sizeof *counts);
    uint32_t *kinds = calloc(group->count, sizeof *kinds);
    must(counts != NULL && kinds != NULL);
    counts_exact(group, counts);
    uint32_t member = 0;
    for (uint32_t i = 0; i < group->nat_mix_count; i++) {
        for (uint32_t k = 0; k < counts[i]; k++) {
            kinds[member++] = group->nat_mix[i].index;
        }
    }
    must(member == group->count);
    struct rng rng;
    rng_stream(&rng, deal->setup->seed, "nat-kind", deal->group, 0);
    shuffle(&rng, kinds, group->count);
    for (member = 0; member < group->count; member++) {
        deal->kinds[member] = (uint16_t)kinds[member];
    }
    free(kinds);
    free(counts);
}

/* Largest remainder: whole parts first; what is left goes to the largest fractions, of equal ones
 * to the first in the file. */
static void counts_exact(const struct scenario_group *group, uint32_t *counts)
{
    uint32_t left = group->count;
    for (uint32_t i = 0; i < group->nat_mix_count; i++) {
        uint32_t whole = (uint32_t)floor(group->nat_mix[i].ratio * group->count);
        counts[i] = whole < left ? whole : left;
        left -= counts[i];
    }
    for (; left > 0; left--) {
        uint32_t best = 0;
        double most = -INFINITY;
        for (uint32_t i = 0; i < group->nat_mix_count; i++) {
            double missing = group->nat_mix[i].ratio * group->count - counts[i];
            if (missing > most) {
                most = missing;
                best = i;
            }
        }
        counts[best]++;
    }
}

static void shuffle(struct rng *rng, uint32_t *numbers, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = (uint32_t)rng_below(rng, i);
        uint32_t kept = numbers[i - 1];
        numbers[i - 1] = numbers[other];
        numbers[other] = kept;
    }
}

/* Gives the trait to a share of the members behind presets, rounded, each as likely as another. */
static void trait_deal(struct setup_deal *deal, enum trait trait, const char *purpose, double ratio)
{
    uint32_t count = deal->setup->scenario->groups[deal->group].count;
    uint32_t *members = calloc(count, sizeof *members);
    must(members != NULL);
    uint32_t boxed = 0;
    for (uint32_t member = 0; member < count; member++) {
        uint32_t kind = deal->kinds[member];
        if (kind >= SCENARIO_NAT_PRESET && kind < SCENARIO_NAT_BOX) {
            members[boxed++] = member;
        }
    }
    struct rng rng;
    rng_stream(&rng, deal->setup->seed, purpose, deal->group, 0);
    shuffle(&rng, members, boxed);
    uint32_t chosen = (uint32_t)floor(ratio * boxed + 0.5);
    for (uint32_t i = 0; i < chosen; i++) {
        deal->traits[members[i]] |= (uint8_t)trait;
    }
    free(members);
}

uint32_t setup_deal_host(struct setup_deal *deal, struct world *world, uint32_t member,
                         uint32_t group24)
{
    uint32_t kind = deal->kinds != NULL ? deal->kinds[member] : SCENARIO_NAT_PUBLIC;
    if (kind == SCENARIO_NAT_PUBLIC) {
        return world_add_host(world, group24);
    }
    uint32_t box = kind < SCENARIO_NAT_BOX
                       ? box_of_preset(deal, world, member, group24)
                       : box_of_kind(deal, world, kind - SCENARIO_NAT_BOX, group24);
    return world_add_host_behind(world, box);
}

/* A box of the member's own. */
static uint32_t box_of_preset(struct setup_deal *deal, struct world *world, uint32_t member,
                              uint32_t group24)
{
    const struct napt_config *configs = deal->setup->nat_configs;
    uint32_t outer = WORLD_BOX_NONE;
    if ((deal->traits[member] & TRAIT_DOUBLE) != 0) {
        outer = world_add_box(world, group24,
                              &configs[CONFIGS_PER_PRESET * NAPT_PRESET_PORT_RESTRICTED], outer);
    }
    uint32_t preset = deal->kinds[member] - (uint32_t)SCENARIO_NAT_PRESET;
    uint32_t traits = deal->traits[member] & CONFIG_TRAITS;
    return world_add_box(world, group24, &configs[CONFIGS_PER_PRESET * preset + traits], outer);
}

/* The one of this kind that still has room, or a new one, behind one of its outer kind; outermost
 * first, because an inner box needs the one it stands behind. */
static uint32_t box_of_kind(struct setup_deal *deal, struct world *world, uint32_t kind,
                            uint32_t group24)
{
    const struct scenario_box *boxes = deal->setup->scenario->boxes;
    uint32_t way[SCENARIO_BOX_DEPTH_MAX];
    uint32_t depth = 0;
    for (uint32_t at = kind; at != SCENARIO_BOX_NONE; at = boxes[at].outer) {
        must(depth < SCENARIO_BOX_DEPTH_MAX);
        way[depth++] = at;
        if (deal->open[at].room > 0) {
            break; /* It stands where it stands. */
        }
    }
    uint32_t number = WORLD_BOX_NONE;
    while (depth-- > 0) {
        struct setup_open_box *open = &deal->open[way[depth]];
        if (open->room == 0) {
            const struct napt_config *config =
                &deal->setup->nat_configs[CONFIGS_PRESET + way[depth]];
            open->number = world_add_box(world, group24, config, number);
            open->room = boxes[way[depth]].shared_by;
        }
        open->room--;
        number = open->number;
    }
    return number;
}
