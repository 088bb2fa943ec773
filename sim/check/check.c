/* check.c - the invariants of a run, each as a function that says what is wrong. */
#include "sim/check/check.h"

#include "sim/host/world.h"

static void look_at_node(void *arg, struct host *host);
static void look_at_key(struct check *check, uint32_t number);

void check_tick(struct check *check)
{
    uint32_t nodes = check->population->member_count;
    uint32_t share = nodes / CHECK_NODE_SHARE;
    share = share < CHECK_NODES_MIN ? CHECK_NODES_MIN : share;
    share = share < nodes ? share : nodes;
    uint32_t before_end = nodes - check->node_next < share ? nodes - check->node_next : share;
    world_visit(check->world, check->node_next, before_end, look_at_node, check);
    world_visit(check->world, 0, share - before_end, look_at_node, check);
    check->node_next = (check->node_next + share) % nodes;
    uint32_t keys = check->population->keys.count;
    for (uint32_t i = 0; i < CHECK_KEYS_PER_TICK && i < keys; i++) {
        look_at_key(check, check->key_next);
        check->key_next = (check->key_next + 1) % keys;
    }
}

void check_event(struct check *check, const struct event *event, uint32_t kind)
{
    if (kind != HOST_EVENT_DATAGRAM || event->sequence % CHECK_EVENT_SHARE != 0) {
        return;
    }
    const char *wrong = check_sender(check->population, event->source, event->time_us);
    if (wrong != NULL) {
        check->violation(check->arg, event->source, wrong);
    }
}

void check_finish(struct check *check)
{
    world_visit(check->world, 0, check->population->member_count, look_at_node, check);
    for (uint32_t i = 0; i < check->population->keys.count; i++) {
        look_at_key(check, i);
    }
    const char *wrong = check_memory_sum(check->world);
    if (wrong != NULL) {
        check->violation(check->arg, POPULATION_ALL, wrong);
    }
}

const char *check_node(const struct host *host)
{
    return host_is_up(host) ? node_check(host->node) : NULL;
}

const char *check_memory(const struct host *host)
{
    if (!host_is_up(host)) {
        return host->chunks == NULL && host->chunk_bytes == 0 ? NULL
                                                              : "a node that is down holds memory";
    }
    uint64_t chunk_bytes = 0;
    uint64_t node_bytes = 0; /* Of struct node: the first chunk, at the end of the list. */
    for (const struct host_chunk *chunk = host->chunks; chunk != NULL; chunk = chunk->next) {
        chunk_bytes += chunk->bytes;
        node_bytes = chunk->bytes;
    }
    const struct arena *arena = &host->node->core.arena;
    uint64_t used_bytes = 0;
    for (int user = 0; user < ARENA_USER_COUNT; user++) {
        used_bytes += arena->used_bytes[user];
    }
    if (chunk_bytes != host->chunk_bytes) {
        return "a host's memory is not the sum of its chunks";
    }
    if (arena->chunk_bytes + node_bytes != chunk_bytes) {
        return "a node's arena is not what its host gave";
    }
    return used_bytes <= arena->chunk_bytes ? NULL : "a node's modules use more than its arena has";
}

const char *check_memory_sum(struct world *world)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < world_host_count(world); i++) {
        const struct host *host = world_host(world, i);
        for (const struct host_chunk *chunk = host->chunks; chunk != NULL; chunk = chunk->next) {
            sum += chunk->size;
        }
    }
    return sum == world_node_bytes(world) ? NULL : "the world's count of node memory is wrong";
}

const char *check_sender(const struct population *population, uint32_t sender, uint64_t now_us)
{
    const struct host *host = world_host(population->options.world, sender);
    if (host->incarnation == 0) {
        return "a datagram arrived from a node that never started";
    }
    if (!host_is_up(host) && now_us - population->members[sender].since_us > CHECK_FLIGHT_US) {
        return "a datagram arrived from a node that has been down for a minute";
    }
    return NULL;
}

const char *check_key(const struct population *population, const struct key *key, uint32_t *node)
{
    uint64_t now_us = world_now_us(population->options.world);
    if (key->first_us == 0 || now_us - key->last_us >= population->options.value_expiry_us) {
        return NULL;
    }
    for (uint32_t i = 0; i < key->acknowledged; i++) {
        *node = key->holders[i];
        if (!population_stayed(population, *node, key->last_us) ||
            population_holds(population, *node, &key->id)) {
            continue;
        }
        const struct dht *dht = &world_host(population->options.world, *node)->node->dht;
        if (dht_record_count(dht) < dht->config->records_max) {
            return "an acknowledged record is gone from a holder that stayed";
        }
    }
    return NULL;
}

static void look_at_node(void *arg, struct host *host)
{
    struct check *check = arg;
    const char *wrong = check_node(host);
    wrong = wrong != NULL ? wrong : check_memory(host);
    if (wrong != NULL) {
        check->violation(check->arg, host->index, wrong);
    }
}

static void look_at_key(struct check *check, uint32_t number)
{
    uint32_t node = POPULATION_ALL;
    const char *wrong = check_key(check->population, &check->population->keys.keys[number], &node);
    if (wrong != NULL) {
        check->violation(check->arg, node, wrong);
    }
}
