/* host_trace.c - what a node says: held back until its entry has returned, then told to the hooks.
 */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/host/world.h"

static size_t keep(struct deliveries *deliveries, struct slice bytes);
static bool has_news(const struct world *world);
static void tell_round(struct world *world);

void host_deliver(struct port *port, const struct port_event *event)
{
    struct host *host = host_of(port);
    struct deliveries *deliveries = &host->shard->deliveries;
    if (deliveries->count == deliveries->cap) {
        deliveries->cap = deliveries->cap == 0 ? 16 : deliveries->cap * 2;
        deliveries->items = realloc(deliveries->items, deliveries->cap * sizeof(struct delivery));
        must(deliveries->items != NULL);
    }
    struct delivery *delivery = &deliveries->items[deliveries->count++];
    delivery->host = host;
    delivery->time_us = port->now_us;
    delivery->event = *event;
    delivery->bytes_at = keep(deliveries, event->bytes);
    delivery->about_at = keep(deliveries, event->about);
}

void world_tell(struct world *world)
{
    must(!world->is_telling);
    world->is_telling = true;
    /* The hooks may submit commands, which are entries of their own with deliveries of their own.
     */
    while (has_news(world)) {
        tell_round(world);
    }
    world->is_telling = false;
}

static bool has_news(const struct world *world)
{
    for (uint32_t i = 0; i < world->shard_count; i++) {
        if (world->shards[i]->deliveries.count > 0) {
            return true;
        }
    }
    return false;
}

/* By time, then by host; of one host in the order it spoke, which is that of its shard's array. */
static int telling_order(const void *a, const void *b)
{
    const struct delivery *first = *(struct delivery *const *)a;
    const struct delivery *second = *(struct delivery *const *)b;
    if (first->time_us != second->time_us) {
        return first->time_us < second->time_us ? -1 : 1;
    }
    if (first->host->index != second->host->index) {
        return first->host->index < second->host->index ? -1 : 1;
    }
    return (first > second) - (first < second);
}

/* Tells what there is now; what that leads to is for the next round. */
static void tell_round(struct world *world)
{
    struct deliveries held[SHARDS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < world->shard_count; i++) {
        struct deliveries *deliveries = &world->shards[i]->deliveries;
        held[i] = *deliveries;
        count += held[i].count;
        *deliveries = (struct deliveries){0};
    }
    struct delivery **order = malloc(count * sizeof(struct delivery *));
    must(order != NULL);
    size_t next = 0;
    for (uint32_t i = 0; i < world->shard_count; i++) {
        for (uint32_t j = 0; j < held[i].count; j++) {
            struct delivery *delivery = &held[i].items[j];
            delivery->event.bytes.data = held[i].text + delivery->bytes_at;
            delivery->event.about.data = held[i].text + delivery->about_at;
            order[next++] = delivery;
        }
    }
    qsort(order, count, sizeof(struct delivery *), telling_order);
    const struct world_hooks *hooks = &world->options.hooks;
    for (size_t i = 0; i < count && hooks->delivered != NULL; i++) {
        world->told_us = order[i]->time_us;
        hooks->delivered(hooks->arg, order[i]->host, &order[i]->event);
    }
    free(order);
    for (uint32_t i = 0; i < world->shard_count; i++) {
        free(held[i].items);
        free(held[i].text);
    }
}

void host_trace(struct port *port, const struct port_trace *event)
{
    struct host *host = host_of(port);
    const struct world_hooks *hooks = &world_of(host)->options.hooks;
    if (hooks->traced != NULL) {
        hooks->traced(hooks->arg, host, event);
    }
}

static size_t keep(struct deliveries *deliveries, struct slice bytes)
{
    if (deliveries->text_len + bytes.len > deliveries->text_cap || deliveries->text == NULL) {
        deliveries->text_cap = (deliveries->text_len + bytes.len) * 2 + 1024;
        deliveries->text = realloc(deliveries->text, deliveries->text_cap);
        must(deliveries->text != NULL);
    }
    size_t at = deliveries->text_len;
    if (bytes.len > 0) {
        memcpy(deliveries->text + at, bytes.data, bytes.len);
    }
    deliveries->text_len += bytes.len;
    return at;
}
