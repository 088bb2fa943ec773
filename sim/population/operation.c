/* operation.c - the table of open operations, and how each kind begins. */
#include "sim/population/operation.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/wire/codec.h"
#include "sim/population/arrival.h"

/* What is handed to the node; lives until host_submit has returned. */
struct request {
    struct node_command command;
    uint8_t bytes[RECORD_VALUE_MAX];
    struct rng rng;
};

static struct operation *operation_make(struct population *population, uint32_t node,
                                        enum operation_kind kind);
static bool prepare(struct population *population, const struct population_work *work,
                    struct operation *operation, struct request *request);
static uint32_t key_draw(const struct population_work *work, struct rng *rng);
static bool prepare_lookup(struct population *population, const struct population_work *work,
                           struct operation *operation, struct request *request);
static bool prepare_get(struct population *population, const struct population_work *work,
                        struct operation *operation, struct request *request);
static bool prepare_store(struct population *population, const struct population_work *work,
                          struct operation *operation, struct request *request);
static bool prepare_message(struct population *population, const struct population_work *work,
                            struct operation *operation, struct request *request);
static bool prepare_broadcast(struct population *population, const struct population_work *work,
                              struct operation *operation, struct request *request);
static void payload_make(const struct population *population, const struct population_work *work,
                         const struct operation *operation, struct request *request);

void operations_open(struct operations *operations)
{
    *operations = (struct operations){0};
}

void operations_close(struct operations *operations)
{
    for (uint32_t i = 0; i < operations->count; i++) {
        free(operations->slots[i].arrived_us);
    }
    free(operations->slots);
    *operations = (struct operations){0};
}

/* Open operations of the node that began at this moment. */
static uint64_t begun_at(const struct population *population, uint32_t node, uint64_t now_us)
{
    const struct operations *operations = &population->operations;
    uint64_t begun = 0;
    for (uint32_t at = population->members[node].operation; at != 0;) {
        const struct operation *operation = &operations->slots[at - 1];
        begun += operation->start_us == now_us;
        at = operation->next;
    }
    return begun;
}

void operation_begin(struct population *population, struct host *host, uint32_t work)
{
    const struct population_work *it = &population->options.works[work];
    uint64_t now_us = world_now_us(population->options.world);
    struct request request = {0};
    /* Node, work and moment name the operation: its dice depend on nothing else. Moments are whole
     * milliseconds, and what begins within one is told apart by its microseconds. */
    rng_stream(&request.rng, population->options.seed, "work", (uint64_t)work << 32 | host->index,
               now_us + begun_at(population, host->index, now_us));
    struct operation *operation = operation_make(population, host->index, it->kind);
    if (!prepare(population, it, operation, &request)) {
        operation_free(population, operation);
        return;
    }
    uint32_t number = (uint32_t)(operation - population->operations.slots) + 1;
    uint32_t serial = operation->serial;
    request.command.number = number;
    const struct population_hooks *hooks = &population->options.hooks;
    if (hooks->submitting != NULL) {
        hooks->submitting(hooks->arg, host->index, &request.command);
    }
    int status = host_submit(host, &request.command);
    /* An event of the same entry may have ended it already. */
    operation = operation_at(&population->operations, number);
    if (status != ERR_OK && operation != NULL && operation->serial == serial) {
        judge_refused(population, operation);
    }
}

void operation_free(struct population *population, struct operation *operation)
{
    struct operations *operations = &population->operations;
    uint32_t number = (uint32_t)(operation - operations->slots) + 1;
    must(operation->serial != 0);
    uint32_t *link = &population->members[operation->node].operation;
    while (*link != number) {
        must(*link != 0);
        link = &operations->slots[*link - 1].next;
    }
    *link = operation->next;
    free(operation->arrived_us);
    *operation = (struct operation){.next = operations->free};
    operations->free = number;
}

void operation_free_all(struct population *population, uint32_t node)
{
    while (population->members[node].operation != 0) {
        uint32_t number = population->members[node].operation;
        operation_free(population, &population->operations.slots[number - 1]);
    }
}

struct operation *operation_at(struct operations *operations, uint32_t number)
{
    if (number == 0 || number > operations->count) {
        return NULL;
    }
    struct operation *operation = &operations->slots[number - 1];
    return operation->serial != 0 ? operation : NULL;
}

struct operation *operation_of(struct operations *operations, struct slice payload)
{
    struct reader reader = reader_of(payload);
    uint32_t number = read_u32(&reader);
    uint32_t serial = read_u32(&reader);
    struct operation *operation = reader.bad ? NULL : operation_at(operations, number);
    return operation != NULL && operation->serial == serial ? operation : NULL;
}

static struct operation *operation_make(struct population *population, uint32_t node,
                                        enum operation_kind kind)
{
    struct operations *operations = &population->operations;
    if (operations->free == 0) {
        if (operations->count == operations->cap) {
            operations->cap = operations->cap == 0 ? 64 : operations->cap * 2;
            operations->slots =
                realloc(operations->slots, operations->cap * sizeof *operations->slots);
            must(operations->slots != NULL);
        }
        operations->slots[operations->count++] = (struct operation){0};
        operations->free = operations->count;
    }
    uint32_t number = operations->free;
    struct operation *operation = &operations->slots[number - 1];
    operations->free = operation->next;
    operations->serial += operations->serial == UINT32_MAX ? 2 : 1;
    struct member *member = &population->members[node];
    *operation = (struct operation){.start_us = world_now_us(population->options.world),
                                    .node = node,
                                    .next = member->operation,
                                    .serial = operations->serial,
                                    .key = OPERATION_NO_KEY,
                                    .kind = (uint8_t)kind};
    member->operation = number;
    return operation;
}

/* False when there is nothing to do: no key stored yet, nobody to write to. */
static bool prepare(struct population *population, const struct population_work *work,
                    struct operation *operation, struct request *request)
{
    switch (work->kind) {
    case OPERATION_LOOKUP:
        return prepare_lookup(population, work, operation, request);
    case OPERATION_GET:
        return prepare_get(population, work, operation, request);
    case OPERATION_STORE:
        return prepare_store(population, work, operation, request);
    case OPERATION_MESSAGE:
        return prepare_message(population, work, operation, request);
    default:
        must(work->kind == OPERATION_BROADCAST);
        return prepare_broadcast(population, work, operation, request);
    }
}

static uint32_t key_draw(const struct population_work *work, struct rng *rng)
{
    if (work->ranks != NULL) {
        return (uint32_t)dist_draw(work->ranks, rng) - 1;
    }
    return (uint32_t)rng_below(rng, work->key_count);
}

static bool prepare_lookup(struct population *population, const struct population_work *work,
                           struct operation *operation, struct request *request)
{
    if (work->key_count > 0) {
        uint32_t number = key_draw(work, &request->rng);
        operation->target = keys_at(&population->keys, number)->id;
    } else {
        keys_fill(operation->target.bytes, NODE_ID_LEN, rng_next(&request->rng), "target", 0);
    }
    const struct population_group *group =
        &population->options.groups[population->members[operation->node].group];
    operation->node_count =
        (uint8_t)truth_nearest(&population->truth, &operation->target, operation->node,
                               operation->nodes, group->configs->dht.k);
    request->command.kind = NODE_LOOKUP;
    request->command.id = operation->target;
    return true;
}

/* Getters ask for what is stored: another key is drawn until one is, at most KEY_TRIES times. */
static bool prepare_get(struct population *population, const struct population_work *work,
                        struct operation *operation, struct request *request)
{
    enum { KEY_TRIES = 16, HOLDERS_MAX = 4 };
    struct key *key = NULL;
    for (int tries = 0; tries < KEY_TRIES && operation->key == OPERATION_NO_KEY; tries++) {
        uint32_t number = key_draw(work, &request->rng);
        key = keys_at(&population->keys, number);
        bool is_stored = keys_is_stored(key, population->barrier_us, operation->start_us,
                                        population->options.value_expiry_us);
        operation->key = is_stored ? number : OPERATION_NO_KEY;
    }
    if (operation->key == OPERATION_NO_KEY) {
        return false;
    }
    /* A few living holders are enough to judge by; the nearest are asked only if the list is short.
     */
    for (int pass = 0; pass < 2 && operation->node_count < HOLDERS_MAX; pass++) {
        if (pass == 1) {
            population_holders_update(population, key);
            operation->node_count = 0;
        }
        for (uint32_t i = 0; i < key->holder_count && operation->node_count < HOLDERS_MAX; i++) {
            if (population_holds(population, key->holders[i], &key->id)) {
                operation->nodes[operation->node_count++] = key->holders[i];
            }
        }
    }
    operation->target = key->id;
    request->command.kind = NODE_GET;
    request->command.id = key->id;
    return true;
}

static bool prepare_store(struct population *population, const struct population_work *work,
                          struct operation *operation, struct request *request)
{
    size_t len;
    if (work->key_count > 0) {
        operation->key = key_draw(work, &request->rng);
        len = keys_value(&population->keys, operation->key, request->bytes);
    } else {
        uint64_t size = dist_draw(work->size_bytes, &request->rng);
        len = size < RECORD_VALUE_MAX ? size : RECORD_VALUE_MAX;
        keys_fill(request->bytes, len, rng_next(&request->rng), "fresh", 0);
    }
    operation->bytes = (uint16_t)len;
    request->command.kind = NODE_PUT;
    request->command.bytes = slice_of(request->bytes, len);
    return true;
}

static bool prepare_message(struct population *population, const struct population_work *work,
                            struct operation *operation, struct request *request)
{
    operation->receiver =
        arrival_pick(population, &request->rng, 0, population->member_count, operation->node);
    if (operation->receiver == POPULATION_ALL) {
        return false;
    }
    operation->target = population->members[operation->receiver].id;
    payload_make(population, work, operation, request);
    operation->bytes = (uint16_t)request->command.bytes.len;
    request->command.kind = NODE_SEND;
    request->command.id = operation->target;
    return true;
}

static bool prepare_broadcast(struct population *population, const struct population_work *work,
                              struct operation *operation, struct request *request)
{
    operation->arrived_us = calloc(population->member_count, sizeof *operation->arrived_us);
    must(operation->arrived_us != NULL);
    operation->news = population_counter(population, COUNT_BROADCASTS_NEW);
    operation->duplicates = population_counter(population, COUNT_BROADCASTS_DUPLICATE);
    payload_make(population, work, operation, request);
    operation->bytes = (uint16_t)request->command.bytes.len;
    request->command.kind = NODE_BROADCAST;
    return true;
}

/* The tag, and what fills up the size that was drawn. */
static void payload_make(const struct population *population, const struct population_work *work,
                         const struct operation *operation, struct request *request)
{
    uint64_t size = dist_draw(work->size_bytes, &request->rng);
    size_t len = size < OPERATION_TAG_LEN ? OPERATION_TAG_LEN : size;
    len = len < MESSAGE_PAYLOAD_MAX ? len : MESSAGE_PAYLOAD_MAX;
    len = len < sizeof request->bytes ? len : sizeof request->bytes;
    keys_fill(request->bytes, len, rng_next(&request->rng), "payload", 0);
    struct writer writer = writer_of(request->bytes, OPERATION_TAG_LEN);
    write_u32(&writer, (uint32_t)(operation - population->operations.slots) + 1);
    write_u32(&writer, operation->serial);
    must(!writer.bad);
    request->command.bytes = slice_of(request->bytes, len);
}
