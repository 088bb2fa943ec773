/* shard.c - one shard: its parts, what comes to it from others, and its run through a window. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/base/prefetch.h"
#include "sim/host/world.h"

enum {
    /* Events of the open slot to look ahead: far enough for a line to arrive, near enough to stay.
     */
    AHEAD_HOST = 8,
    AHEAD_NODE = 6,
    AHEAD_WAY = 4,
    AHEAD_SESSION = 2,
    AHEAD_BOX = 6, /* And one less for each step of box_expect. */
    /* Core to the buckets of the dht: what every datagram touches. */
    NODE_HEAD_BYTES = offsetof(struct node, dht.table.tag_counts),
    OUTBOX_FIRST = 256,
};

/* What an event to come will touch; NULL where there is nothing. */
struct glimpse {
    const struct host *host;
    const struct packet *packet;
};

static void open_mail(struct shard *shard);
static void look_ahead(const struct shard *shard);
static struct glimpse glimpse_of(const struct shard *shard, size_t ahead);

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
    free(shard->extras);
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
    uint32_t to = world->shard_of[event->destination];
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

/* Four steps ahead of the run, each with what the one before has brought: the host and the packet's
 * head; the node's head and the packet's body; what the node knows a datagram will touch; and what
 * it knows of this one. */
static void look_ahead(const struct shard *shard)
{
    struct glimpse glimpse = glimpse_of(shard, AHEAD_HOST);
    if (glimpse.host != NULL) {
        prefetch(glimpse.host, sizeof *glimpse.host);
        prefetch(glimpse.packet, glimpse.packet != NULL ? sizeof *glimpse.packet : 0);
    }
    glimpse = glimpse_of(shard, AHEAD_NODE);
    if (glimpse.host != NULL && glimpse.host->node != NULL) {
        prefetch(glimpse.host->node, NODE_HEAD_BYTES);
        if (glimpse.packet != NULL) {
            prefetch(glimpse.packet->bytes, glimpse.packet->kept);
        }
    }
    glimpse = glimpse_of(shard, AHEAD_WAY);
    if (glimpse.host != NULL && glimpse.packet != NULL && glimpse.host->node != NULL) {
        node_expect(glimpse.host->node, &glimpse.packet->from);
    }
    glimpse = glimpse_of(shard, AHEAD_SESSION);
    if (glimpse.host != NULL && glimpse.packet != NULL && glimpse.host->node != NULL) {
        node_expect_next(glimpse.host->node, slice_of(glimpse.packet->bytes, glimpse.packet->kept));
    }
    for (int step = BOX_STEP_EXTRA; shard->world->box_count > 0 && step <= BOX_STEP_SESSION;
         step++) {
        glimpse = glimpse_of(shard, AHEAD_BOX - (size_t)step);
        if (glimpse.host != NULL) {
            box_expect(glimpse.host, glimpse.packet, (enum box_step)step);
        }
    }
}

static struct glimpse glimpse_of(const struct shard *shard, size_t ahead)
{
    const struct world *world = shard->world;
    const struct event *event = queue_ahead(shard->queue, ahead);
    struct glimpse glimpse = {0};
    if (event != NULL) {
        glimpse.host = &world->hosts[event->destination];
        if (event->payload >> EVENT_INDEX_BITS == HOST_EVENT_DATAGRAM) {
            glimpse.packet = packet_at(world, event->payload & EVENT_INDEX_MASK);
        }
    }
    return glimpse;
}
