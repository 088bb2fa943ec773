/* judge.c - what became of an operation, by the knowledge of the whole world.
 *
 * The rules, and why they are so: docs/modules/population.md.
 */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/population/population.h"

enum { SETTLING_FIRST = 64 };

static struct operation_end end_of(const struct operation *operation, uint64_t now_us);
static void tell(struct population *population, struct operation *operation,
                 const struct operation_end *end);
static void judge_lookup(struct population *population, const struct host *host,
                         struct operation *operation, const struct port_event *event);
static void judge_get(struct population *population, struct operation *operation,
                      const struct port_event *event);
static void judge_store(struct population *population, struct operation *operation,
                        const struct port_event *event);
static void judge_message(struct population *population, struct operation *operation,
                          const struct port_event *event);
static void settle_later(struct population *population, const struct operation *operation);
static void judge_broadcast(struct population *population, struct operation *operation);
static uint32_t found_nodes(struct population *population, const struct host *host,
                            struct slice handles, uint32_t *nodes);
static bool is_same_value(const struct population *population, uint32_t key, struct slice value);
static void note_arrival(struct population *population, const struct host *host,
                         const struct port_event *event);

void judge_delivered(struct population *population, struct host *host,
                     const struct port_event *event)
{
    if (event->kind == NODE_MESSAGE || event->kind == NODE_NEWS) {
        note_arrival(population, host, event);
        return;
    }
    struct operation *operation = operation_at(&population->operations, event->command);
    if (operation == NULL || operation->node != host->index) {
        return;
    }
    switch (event->kind) {
    case NODE_LOOKUP_DONE:
        judge_lookup(population, host, operation, event);
        break;
    case NODE_GET_DONE:
        judge_get(population, operation, event);
        break;
    case NODE_PUT_DONE:
        judge_store(population, operation, event);
        break;
    case NODE_SENT:
        judge_message(population, operation, event);
        break;
    default:
        must(event->kind == NODE_BROADCAST_SENT); /* Judged later, by its arrivals. */
        break;
    }
}

void judge_refused(struct population *population, struct operation *operation)
{
    struct operation_end end = end_of(operation, world_told_us(population->options.world));
    end.is_judged = true;
    tell(population, operation, &end);
}

void judge_broadcasts(struct population *population, uint64_t now_us)
{
    struct operations *operations = &population->operations;
    for (uint32_t i = 0; i < operations->count; i++) {
        struct operation *operation = &operations->slots[i];
        if (operation->serial != 0 && operation->kind == OPERATION_BROADCAST &&
            now_us - operation->start_us >= POPULATION_BROADCAST_US) {
            judge_broadcast(population, operation);
        }
    }
}

static struct operation_end end_of(const struct operation *operation, uint64_t now_us)
{
    return (struct operation_end){.kind = operation->kind,
                                  .start_us = operation->start_us,
                                  .node = operation->node,
                                  .took_us = now_us - operation->start_us,
                                  .bytes = operation->bytes};
}

static void tell(struct population *population, struct operation *operation,
                 const struct operation_end *end)
{
    const struct population_hooks *hooks = &population->options.hooks;
    operation_free(population, operation);
    hooks->ended(hooks->arg, end);
}

static void judge_lookup(struct population *population, const struct host *host,
                         struct operation *operation, const struct port_event *event)
{
    struct operation_end end = end_of(operation, world_told_us(population->options.world));
    end.took_us = event->took_us;
    end.messages = event->count[0];
    end.hops = event->count[1];
    uint32_t found[OPERATION_NODES_MAX];
    uint32_t found_count = found_nodes(population, host, event->bytes, found);
    uint32_t truth[OPERATION_NODES_MAX];
    const struct population_group *group =
        &population->options.groups[population->members[operation->node].group];
    uint32_t truth_count = truth_nearest(&population->truth, &operation->target, operation->node,
                                         truth, group->configs->dht.k);
    for (uint32_t i = 0; i < operation->node_count && !end.is_judged; i++) {
        if (!population_stayed(population, operation->nodes[i], operation->start_us)) {
            continue;
        }
        end.is_judged = true; /* By the first of the true ones that stayed. */
        for (uint32_t j = 0; j < found_count; j++) {
            end.is_ok |= found[j] == operation->nodes[i];
        }
    }
    end.is_exact_judged = truth_count > 0 && truth_count == operation->node_count;
    end.is_exact = event->bytes.len >= truth_count * sizeof(uint32_t);
    for (uint32_t i = 0; i < truth_count && end.is_exact_judged; i++) {
        end.is_exact_judged = truth[i] == operation->nodes[i] &&
                              population_stayed(population, truth[i], operation->start_us);
        end.is_exact &= i >= found_count || found[i] == truth[i];
    }
    end.is_exact &= end.is_exact_judged;
    tell(population, operation, &end);
}

static void judge_get(struct population *population, struct operation *operation,
                      const struct port_event *event)
{
    struct operation_end end = end_of(operation, world_told_us(population->options.world));
    end.took_us = event->took_us;
    end.messages = event->count[0];
    end.hops = event->count[1];
    end.bytes = (uint32_t)event->bytes.len;
    end.is_ok = event->status == ERR_OK && is_same_value(population, operation->key, event->bytes);
    end.is_lost = operation->node_count == 0 && !end.is_ok;
    /* A value that came is wrong or right whoever stayed; none is a failure if one could come. */
    end.is_judged = event->status == ERR_OK;
    for (uint32_t i = 0; i < operation->node_count && !end.is_judged; i++) {
        end.is_judged = population_stayed(population, operation->nodes[i], operation->start_us) &&
                        population_holds(population, operation->nodes[i], &operation->target);
    }
    tell(population, operation, &end);
}

static void judge_store(struct population *population, struct operation *operation,
                        const struct port_event *event)
{
    struct operation_end end = end_of(operation, world_told_us(population->options.world));
    end.took_us = event->took_us;
    end.holders = event->count[0];
    end.is_judged = true;
    end.is_ok = event->status == ERR_OK;
    if (end.is_ok && operation->key != OPERATION_NO_KEY) {
        population_acknowledged(population, keys_at(&population->keys, operation->key));
    }
    tell(population, operation, &end);
}

static void judge_message(struct population *population, struct operation *operation,
                          const struct port_event *event)
{
    struct operation_end end = end_of(operation, world_told_us(population->options.world));
    end.messages = event->count[0];
    end.receiver = operation->receiver;
    end.is_ok = operation->delivered_us != 0;
    end.took_us = end.is_ok ? operation->delivered_us - operation->start_us : event->took_us;
    end.is_judged = population_stayed(population, operation->receiver, operation->start_us);
    const struct population_hooks *hooks = &population->options.hooks;
    if (end.is_ok && end.is_judged && hooks->settled != NULL &&
        !hooks->settled(hooks->arg, operation->node, operation->receiver, operation->start_us,
                        false)) {
        settle_later(population, operation);
    }
    tell(population, operation, &end);
}

static void settle_later(struct population *population, const struct operation *operation)
{
    if (population->settling_count == population->settling_cap) {
        uint32_t open = population->settling_count - population->settling_first;
        uint32_t cap = open * 2 > SETTLING_FIRST ? open * 2 : SETTLING_FIRST;
        struct settling *grown = malloc(cap * sizeof *grown);
        must(grown != NULL);
        if (open > 0) {
            memcpy(grown, &population->settling[population->settling_first], open * sizeof *grown);
        }
        free(population->settling);
        population->settling = grown;
        population->settling_cap = cap;
        population->settling_first = 0;
        population->settling_count = open;
    }
    population->settling[population->settling_count++] =
        (struct settling){.start_us = operation->start_us,
                          .due_us = world_told_us(population->options.world) + POPULATION_SETTLE_US,
                          .node = operation->node,
                          .receiver = operation->receiver};
}

void judge_settling(struct population *population, uint64_t now_us)
{
    const struct population_hooks *hooks = &population->options.hooks;
    while (population->settling_first < population->settling_count) {
        const struct settling *settling = &population->settling[population->settling_first];
        if (settling->due_us > now_us) {
            break;
        }
        population->settling_first++;
        if (population_stayed(population, settling->node, settling->start_us) &&
            population_stayed(population, settling->receiver, settling->start_us)) {
            (void)hooks->settled(hooks->arg, settling->node, settling->receiver, settling->start_us,
                                 true);
        }
    }
}

static int order_times(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* The moment by which `share` percent of all had it; 0 when it never came to that. */
static uint64_t reached_by(const uint64_t *times, uint32_t reached, uint32_t all, uint32_t percent)
{
    uint64_t needed = ((uint64_t)all * percent + 99) / 100;
    return needed > 0 && needed <= reached ? times[needed - 1] : 0;
}

static void judge_broadcast(struct population *population, struct operation *operation)
{
    struct operation_end end = end_of(operation, world_told_us(population->options.world));
    uint64_t *times = operation->arrived_us;
    uint32_t all = 0;
    uint32_t reached = 0;
    for (uint32_t node = 0; node < population->member_count; node++) {
        if (node == operation->node || !population_stayed(population, node, operation->start_us)) {
            continue;
        }
        all++;
        if (times[node] != 0) {
            times[reached++] = times[node] - operation->start_us;
        }
    }
    qsort(times, reached, sizeof *times, order_times);
    end.is_judged = all > 0;
    end.reach_ratio = all > 0 ? (double)reached / all : 0;
    end.is_ok = end.is_judged && reached == all;
    end.t50_us = reached_by(times, reached, all, 50);
    end.t99_us = reached_by(times, reached, all, 99);
    uint64_t news = population_counter(population, COUNT_BROADCASTS_NEW) - operation->news;
    uint64_t duplicates =
        population_counter(population, COUNT_BROADCASTS_DUPLICATE) - operation->duplicates;
    end.duplicate_ratio = news > 0 ? (double)duplicates / (double)news : 0;
    tell(population, operation, &end);
}

/* The nodes that take part among those found, by identity: behind a NAT box an address names
 * nobody, and whether it leads to the node is for the node to find out. Who is up but has not
 * joined yet may well be found; the truth does not know of it. */
static uint32_t found_nodes(struct population *population, const struct host *host,
                            struct slice handles, uint32_t *nodes)
{
    uint32_t count = 0;
    for (size_t i = 0; i < handles.len / sizeof(uint32_t) && count < OPERATION_NODES_MAX; i++) {
        uint32_t handle;
        memcpy(&handle, handles.data + i * sizeof handle, sizeof handle);
        const struct contact *contact = contact_at(&host->port, handle);
        uint32_t found = truth_find(&population->truth, &contact->id);
        if (found != TRUTH_NOBODY && node_id_equal(&contact->id, &population->members[found].id)) {
            nodes[count++] = found;
        }
    }
    return count;
}

static bool is_same_value(const struct population *population, uint32_t key, struct slice value)
{
    uint8_t bytes[RECORD_VALUE_MAX];
    size_t len = keys_value(&population->keys, key, bytes);
    return len == value.len && memcmp(bytes, value.data, len) == 0;
}

static void note_arrival(struct population *population, const struct host *host,
                         const struct port_event *event)
{
    struct operation *operation = operation_of(&population->operations, event->bytes);
    uint64_t now_us = world_told_us(population->options.world);
    if (operation == NULL) {
        return; /* Of an operation that is over. */
    }
    if (event->kind == NODE_MESSAGE && operation->kind == OPERATION_MESSAGE &&
        operation->receiver == host->index && operation->delivered_us == 0) {
        operation->delivered_us = now_us;
    }
    if (event->kind == NODE_NEWS && operation->kind == OPERATION_BROADCAST &&
        operation->arrived_us[host->index] == 0) {
        operation->arrived_us[host->index] = now_us;
    }
}
