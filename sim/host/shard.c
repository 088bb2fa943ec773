/* shard.c - one shard: its parts, what comes to it from others, and its run through a window. */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/base/prefetch.h"
#include "sim/host/world.h"

enum {
    /* Events of the open slot to look ahead: far enough for a line to arrive, near enough to stay.
     */
    AHEAD_HOST = 6,
    AHEAD_NODE = 4,
    AHEAD_SESSION = 2,
    NODE_HEAD_BYTES = 1344, /* Core to the head of the dht: what every datagram touches. */
    OUTBOX_FIRST = 256,
};

static void open_mail(struct shard *shard);
static void look_ahead(const struct shard *shard);

struct shard *shard_open(struct world *world, uint32_t number)
{
    const struct world_options *options = &world->options;
    struct shard *shard = calloc(1, sizeof *shard);
    must(shard != NULL);
    shard->world = world;
    shard->number = number;
    must(queue_open(&shard->queue, options->queue_kind) == ERR_OK);
    packets_open(shard);
    uint32_t contacts_max = options->contacts_max;
    intern_open(&shard->intern, contacts_max != 0 ? contacts_max : options->hosts_max * 4 + 1024);
    return shard;
}

void shard_close(struct shard *shard)
{
    for (void *slab = shard->chunk_slabs, *next; slab != NULL; slab = next) {
        memcpy(&next, slab, sizeof next);
        free(slab);
    }
    for (int half = 0; half < 2; half++) {
        for (int to = 0; to < SHARDS_MAX; to++) {
            free(shard->outboxes[half][to].events);
        }
    }
    packets_close(shard);
    intern_close(&shard->intern);
    queue_close(shard->queue);
    free(shard->deliveries.items);
    free(shard->deliveries.text);
    free(shard->errands);
    free(shard);
}

uint64_t shard_next_us(struct shard *shard)
{
    const struct world *world = shard->world;
    const struct event *next = queue_peek(shard->queue);
    uint64_t next_us = next != NULL ? next->time_us : PORT_NEVER;
    for (uint32_t i = 0; i < world->shard_count; i++) {
        const struct outbox *box = &world->shards[i]->outboxes[world->half][shard->number];
        if (box->count > 0 && box->earliest_us < next_us) {
            next_us = box->earliest_us;
        }
    }
    return next_us;
}

void shard_push(struct shard *shard, const struct event *event)
{
    struct world *world = shard->world;
    uint32_t to = event->destination % world->shard_count;
    if (to == shard->number) {
        queue_push(shard->queue, event);
        return;
    }
    must(event->time_us >= world->window_us); /* Nobody learns what happens beside him. */
    struct outbox *box = &shard->outboxes[world->half][to];
    if (box->count == box->cap) {
        box->cap = box->cap == 0 ? OUTBOX_FIRST : box->cap * 2;
        box->events = realloc(box->events, box->cap * sizeof *box->events);
        must(box->events != NULL);
    }
    if (box->count == 0 || event->time_us < box->earliest_us) {
        box->earliest_us = event->time_us;
    }
    box->events[box->count++] = *event;
}

bool shard_run(struct shard *shard)
{
    const struct world *world = shard->world;
    open_mail(shard);
    for (;;) {
        const struct event *next = queue_peek(shard->queue);
        if (next == NULL || next->time_us >= world->window_us) {
            return true;
        }
        if (world->events_max != 0 && shard->counts.events >= world->events_max) {
            return false;
        }
        struct event event = queue_pop(shard->queue);
        look_ahead(shard);
        must(event.time_us >= shard->now_us);
        shard->now_us = event.time_us;
        host_dispatch(shard, &event);
    }
}

/* What the others sent before this window. */
static void open_mail(struct shard *shard)
{
    struct world *world = shard->world;
    for (uint32_t i = 0; i < world->shard_count; i++) {
        struct outbox *box = &world->shards[i]->outboxes[world->half ^ 1][shard->number];
        for (uint32_t j = 0; j < box->count; j++) {
            queue_push(shard->queue, &box->events[j]);
        }
        box->count = 0;
    }
}

/* Three steps ahead of the run, each with what the one before has brought: the host and the
 * packet's head; the node's head and the packet's body; what the node itself knows the packet will
 * touch. */
static void look_ahead(const struct shard *shard)
{
    const struct world *world = shard->world;
    const struct event *ahead = queue_ahead(shard->queue, AHEAD_HOST);
    if (ahead != NULL) {
        prefetch(&world->hosts[ahead->destination], sizeof(struct host));
        if (ahead->payload >> EVENT_INDEX_BITS == HOST_EVENT_DATAGRAM) {
            prefetch(packet_at(world, ahead->payload & EVENT_INDEX_MASK), sizeof(struct packet));
        }
    }
    ahead = queue_ahead(shard->queue, AHEAD_NODE);
    const struct node *node = ahead != NULL ? world->hosts[ahead->destination].node : NULL;
    if (node != NULL) {
        prefetch(node, NODE_HEAD_BYTES);
        if (ahead->payload >> EVENT_INDEX_BITS == HOST_EVENT_DATAGRAM) {
            const struct packet *packet = packet_at(world, ahead->payload & EVENT_INDEX_MASK);
            prefetch(packet->bytes, packet->len);
        }
    }
    ahead = queue_ahead(shard->queue, AHEAD_SESSION);
    node = ahead != NULL ? world->hosts[ahead->destination].node : NULL;
    if (node != NULL && ahead->payload >> EVENT_INDEX_BITS == HOST_EVENT_DATAGRAM) {
        const struct packet *packet = packet_at(world, ahead->payload & EVENT_INDEX_MASK);
        node_expect(node, &packet->from, slice_of(packet->bytes, packet->len));
    }
}
