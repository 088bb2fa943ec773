/* population.c - the lives of the members: scheduled, begun, ended, counted. */
#include "sim/population/population.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/population/arrival.h"
#include "sim/population/prebuilt.h"

static void holders_add(struct population *population, struct key *key, bool is_for_good);
static void schedule_first(struct population *population, uint32_t node);
static void schedule(struct population *population, uint32_t node, struct churn_stay stay);
static void member_up(struct population *population, struct host *host);
static void member_down(struct population *population, struct host *host, const char *reason);
static void member_joined(struct population *population, struct host *host);
static void on_end(struct population *population, struct host *host);
static uint32_t *choose(struct population *population, const struct population_leave *who,
                        uint32_t *share);
static bool is_selected(struct population *population, const struct population_leave *leave,
                        uint32_t node);
static bool is_seed(const struct population *population, uint32_t node);
static uint64_t *bits_make(uint32_t count);

struct population *population_open(const struct population_options *options)
{
    must(options->group_count > 0 && options->group_count <= UINT16_MAX);

    struct population *population = calloc(1, sizeof *population);
    must(population != NULL);
    population->options = *options;
    population->member_count = world_host_count(options->world);
    population->members = calloc(population->member_count, sizeof *population->members);
    must(population->members != NULL);
    population->joined = bits_make(population->member_count);
    population->known = bits_make(population->member_count);
    truth_open(&population->truth, population->member_count);
    keys_open(&population->keys, options->key_count, options->seed, options->value_bytes);
    operations_open(&population->operations);
    for (uint32_t i = 0; i < options->group_count; i++) {
        const struct population_group *group = &options->groups[i];
        for (uint32_t node = group->first; node < group->first + group->count; node++) {
            must(node < population->member_count);
            population->members[node].group = (uint16_t)i;
            population->members[node].joined_us = POPULATION_NEVER;
        }
    }
    arrivals_open(population);
    return population;
}

void population_close(struct population *population)
{
    operations_close(&population->operations);
    keys_close(&population->keys);
    truth_close(&population->truth);
    free(population->arrivals);
    free(population->settling);
    free(population->known);
    free(population->joined);
    free(population->members);
    free(population);
}

void population_start(struct population *population)
{
    must(world_now_us(population->options.world) == 0);

    for (uint32_t node = 0; node < population->member_count; node++) {
        schedule_first(population, node);
    }
    if (population->options.is_prebuilt) {
        prebuilt_fill(population);
    }
    arrivals_start(population);
}

void population_scripted(struct population *population, struct host *host, uint32_t what)
{
    switch (what & SCRIPT_KIND_MASK) {
    case SCRIPT_START:
        if (!population->members[host->index].is_gone) {
            member_up(population, host);
        }
        break;
    case SCRIPT_END:
        on_end(population, host);
        break;
    default:
        must((what & SCRIPT_KIND_MASK) == SCRIPT_ARRIVAL);
        arrival_due(population, host, what >> SCRIPT_KIND_BITS);
        break;
    }
}

void population_delivered(struct population *population, struct host *host,
                          const struct port_event *event)
{
    if (event->kind != NODE_JOINED) {
        judge_delivered(population, host, event);
        return;
    }
    struct member *member = &population->members[host->index];
    if (member->joined_us == POPULATION_NEVER &&
        (event->status == ERR_OK || is_seed(population, host->index))) {
        member_joined(population, host);
        const struct population_hooks *hooks = &population->options.hooks;
        hooks->joined(hooks->arg, host->index, member->joined_us - member->since_us);
    }
}

void population_barrier(struct population *population, uint64_t next_us)
{
    population->barrier_us = world_now_us(population->options.world);
    size_t words = population->member_count / 64 + 1;
    memcpy(population->known, population->joined, words * sizeof *population->known);
    judge_broadcasts(population, population->barrier_us);
    judge_settling(population, population->barrier_us);
    arrivals_share(population, next_us);
}

uint32_t population_leave(struct population *population, const struct population_leave *leave)
{
    uint32_t leaving;
    uint32_t *chosen = choose(population, leave, &leaving);
    for (uint32_t i = 0; i < leaving; i++) {
        member_down(population, world_host(population->options.world, chosen[i]), "leave");
        population->members[chosen[i]].is_gone = true;
    }
    free(chosen);
    return leaving;
}

uint32_t population_strike_boxes(struct population *population, const struct population_leave *who,
                                 bool keeps_address)
{
    struct world *world = population->options.world;
    uint32_t count;
    uint32_t *chosen = choose(population, who, &count);
    bool *is_struck = calloc(world_box_count(world) + 1u, sizeof *is_struck);
    must(is_struck != NULL);
    uint32_t struck = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t box = world_box_of(world, chosen[i]);
        if (box == WORLD_BOX_NONE || is_struck[box]) {
            continue;
        }
        is_struck[box] = true;
        struck++;
        if (keeps_address || !world_box_translates(world, box)) {
            world_reboot_box(world, box);
        } else {
            world_renumber_box(world, box);
        }
    }
    free(is_struck);
    free(chosen);
    return struck;
}

/* The share of the selected that the dice of the action fall on, to be freed. */
static uint32_t *choose(struct population *population, const struct population_leave *who,
                        uint32_t *share)
{
    uint32_t *chosen = malloc((population->online + 1u) * sizeof *chosen);
    must(chosen != NULL);
    uint32_t count = 0;
    for (uint32_t node = 0; node < population->member_count; node++) {
        if (is_selected(population, who, node)) {
            chosen[count++] = node;
        }
    }
    uint64_t fraction = who->fraction == UINT32_MAX ? UINT64_C(1) << 32 : who->fraction;
    *share = (uint32_t)((count * fraction + (UINT64_C(1) << 31)) >> 32);
    struct rng rng;
    rng_stream(&rng, population->options.seed, "action", who->number, 0);
    for (uint32_t i = 0; i < *share; i++) {
        uint32_t other = i + (uint32_t)rng_below(&rng, count - i);
        uint32_t node = chosen[other];
        chosen[other] = chosen[i];
        chosen[i] = node;
    }
    return chosen;
}

void population_finish(struct population *population)
{
    const struct population_hooks *hooks = &population->options.hooks;
    uint64_t now_us = world_now_us(population->options.world);
    judge_broadcasts(population, now_us);
    for (uint32_t node = 0; node < population->member_count; node++) {
        operation_free_all(population, node);
        if (host_is_up(world_host(population->options.world, node))) {
            hooks->session(hooks->arg, node, population->members[node].since_us, now_us, "end");
        }
    }
}

const struct node_config *population_config(const struct population *population, uint32_t node)
{
    const struct population_group *group =
        &population->options.groups[population->members[node].group];
    const struct node_config *configs =
        is_seed(population, node) ? group->seed_configs : group->configs;
    return &configs[(node - group->first) % group->config_count];
}

bool population_stayed(const struct population *population, uint32_t node, uint64_t since_us)
{
    return population_is_in(population->joined, node) &&
           population->members[node].joined_us <= since_us;
}

void population_counters(const struct population *population, uint64_t counters[COUNTER_COUNT])
{
    memcpy(counters, population->gone, sizeof population->gone);
    for (uint32_t node = 0; node < population->member_count; node++) {
        const struct host *host = world_host(population->options.world, node);
        for (int i = 0; host_is_up(host) && i < COUNTER_COUNT; i++) {
            counters[i] += host->node->core.counters.value[i];
        }
    }
}

void population_traffic(const struct population *population, struct traffic *traffic)
{
    *traffic = population->gone_traffic;
    for (uint32_t node = 0; node < population->member_count; node++) {
        const struct host *host = world_host(population->options.world, node);
        if (host_is_up(host)) {
            traffic_add(traffic, &host->node->transport.traffic);
        }
    }
}

uint64_t population_counter(const struct population *population, enum counter which)
{
    uint64_t sum = population->gone[which];
    for (uint32_t node = 0; node < population->member_count; node++) {
        const struct host *host = world_host(population->options.world, node);
        sum += host_is_up(host) ? host->node->core.counters.value[which] : 0;
    }
    return sum;
}

bool population_holds(const struct population *population, uint32_t node, const struct node_id *key)
{
    const struct host *host = world_host(population->options.world, node);
    return host_is_up(host) && dht_holds(&host->node->dht, key);
}

void population_acknowledged(struct population *population, struct key *key)
{
    keys_acknowledged(key, world_told_us(population->options.world));
    key->acknowledged = 0;
    key->holder_count = 0;
    holders_add(population, key, true);
    key->acknowledged = key->holder_count;
}

void population_holders_update(struct population *population, struct key *key)
{
    uint32_t kept = key->acknowledged;
    for (uint32_t i = kept; i < key->holder_count; i++) {
        if (population_holds(population, key->holders[i], &key->id)) {
            key->holders[kept++] = key->holders[i];
        }
    }
    key->holder_count = (uint8_t)kept;
    holders_add(population, key, false);
}

/* Those of the nearest nodes that hold the record and are not on the list. */
static void holders_add(struct population *population, struct key *key, bool is_for_good)
{
    uint32_t nearest[OPERATION_NODES_MAX];
    uint32_t count =
        truth_nearest(&population->truth, &key->id, TRUTH_NOBODY, nearest, OPERATION_NODES_MAX);
    for (uint32_t i = 0; i < count && key->holder_count < KEYS_HOLDERS_MAX; i++) {
        const struct host *host = world_host(population->options.world, nearest[i]);
        const struct dht_held *held = dht_store_find(&host->node->dht.store, &key->id);
        bool is_left_out = held == NULL || (is_for_good && held->is_cached);
        for (uint32_t j = 0; j < key->holder_count; j++) {
            is_left_out |= key->holders[j] == nearest[i];
        }
        if (!is_left_out) {
            key->holders[key->holder_count++] = nearest[i];
        }
    }
}

static void schedule_first(struct population *population, uint32_t node)
{
    const struct population_options *options = &population->options;
    struct member *member = &population->members[node];
    const struct population_group *group = &options->groups[member->group];
    uint32_t place = node - group->first;
    uint64_t slot_us = (uint64_t)((unsigned __int128)group->ramp_us * place / group->count);
    /* Every 1/share-th member, evenly: with a share of a half, every other one. */
    uint64_t share = group->always_on == UINT32_MAX ? UINT64_C(1) << 32 : group->always_on;
    bool is_always_on = ((place + 1) * share) >> 32 > (place * share) >> 32;
    struct churn_stay stay = {.start_us = slot_us, .end_us = POPULATION_NEVER};
    if (group->churn != NULL && !is_always_on && !is_seed(population, node)) {
        uint32_t number = group->churn->trace != NULL ? place : node;
        stay = churn_first(group->churn, &member->churn, options->seed, number, slot_us);
    }
    if (options->is_prebuilt && stay.start_us == 0 && group->origin_us == 0) {
        member->end_us = stay.end_us;
        struct host *host = world_host(options->world, node);
        member_up(population, host);
        if (host_is_up(host) && member->joined_us == POPULATION_NEVER) {
            member_joined(population, host);
        }
        return;
    }
    schedule(population, node, stay);
}

/* Stays are told in the group's own time. */
static void schedule(struct population *population, uint32_t node, struct churn_stay stay)
{
    const struct population_options *options = &population->options;
    struct member *member = &population->members[node];
    uint64_t origin_us = options->groups[member->group].origin_us;
    uint64_t start_us =
        stay.start_us == CHURN_FOREVER ? POPULATION_NEVER : origin_us + stay.start_us;
    member->end_us = stay.end_us == CHURN_FOREVER ? POPULATION_NEVER : origin_us + stay.end_us;
    if (start_us < options->end_us) {
        host_script(world_host(options->world, node), start_us, SCRIPT_START);
    }
}

static void member_up(struct population *population, struct host *host)
{
    const struct population_options *options = &population->options;
    struct member *member = &population->members[host->index];
    must(!host_is_up(host));
    member->since_us = world_now_us(options->world);
    int status = host_start(host, population_config(population, host->index));
    if (status == ERR_OK) {
        population->online++;
        member->id = host->node->identity.id;
    } else {
        options->hooks.trouble(options->hooks.arg, host->index, err_text(status));
    }
    if (member->end_us < options->end_us) {
        host_script(host, member->end_us, SCRIPT_END);
    }
}

static void on_end(struct population *population, struct host *host)
{
    struct member *member = &population->members[host->index];
    if (host_is_up(host)) {
        member_down(population, host, "churn");
    }
    if (!member->is_gone) {
        const struct population_options *options = &population->options;
        const struct population_group *group = &options->groups[member->group];
        uint64_t end_us = world_now_us(options->world) - group->origin_us;
        uint32_t number = group->churn->trace != NULL ? host->index - group->first : host->index;
        schedule(population, host->index,
                 churn_next(group->churn, &member->churn, options->seed, number, end_us));
    }
}

static void member_joined(struct population *population, struct host *host)
{
    struct member *member = &population->members[host->index];
    member->id = host->node->identity.id;
    member->joined_us = world_told_us(population->options.world);
    population->joined[host->index / 64] |= UINT64_C(1) << (host->index % 64);
    truth_add(&population->truth, &member->id, host->index);
}

static void member_down(struct population *population, struct host *host, const char *reason)
{
    struct member *member = &population->members[host->index];
    const struct population_hooks *hooks = &population->options.hooks;
    uint64_t now_us = world_now_us(population->options.world);
    operation_free_all(population, host->index);
    if (member->joined_us != POPULATION_NEVER) {
        population->joined[host->index / 64] &= ~(UINT64_C(1) << (host->index % 64));
        truth_remove(&population->truth, &member->id, host->index);
        member->joined_us = POPULATION_NEVER;
    }
    for (int i = 0; i < COUNTER_COUNT; i++) {
        population->gone[i] += host->node->core.counters.value[i];
    }
    traffic_add(&population->gone_traffic, &host->node->transport.traffic);
    hooks->session(hooks->arg, host->index, member->since_us, now_us, reason);
    host_kill(host);
    population->online--;
    member->since_us = now_us;
}

static bool is_selected(struct population *population, const struct population_leave *leave,
                        uint32_t node)
{
    const struct host *host = world_host(population->options.world, node);
    if (!host_is_up(host)) {
        return false;
    }
    switch (leave->select) {
    case POPULATION_SELECT_GROUP:
        return population->members[node].group == leave->group;
    case POPULATION_SELECT_HOLDERS:
        return dht_record_count(&host->node->dht) > 0;
    default:
        return true;
    }
}

static bool is_seed(const struct population *population, uint32_t node)
{
    const struct population_group *group =
        &population->options.groups[population->members[node].group];
    return node - group->first < group->seed_count;
}

static uint64_t *bits_make(uint32_t count)
{
    uint64_t *bits = calloc(count / 64 + 1, sizeof *bits);
    must(bits != NULL);
    return bits;
}
