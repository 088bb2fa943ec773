/* host.c - the world of hosts: their life, the entries into their nodes, and the run loop. */
#include "sim/host/host.h"

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
};

static void dispatch(struct world *world, const struct event *event);
static void look_ahead(struct world *world);

static const struct port_ops simulated_ops = {
    .wake_at = host_wake_at,
    .path_open = host_path_open,
    .path_close = host_path_close,
    .send = host_send,
    .resolve = host_resolve,
    .entropy = host_entropy,
    .store_get = host_store_get,
    .store_put = host_store_put,
    .store_del = host_store_del,
    .store_scan = host_store_scan,
    .store_commit = host_store_commit,
    .intern_get = host_intern_get,
    .intern_expect = host_intern_expect,
    .intern_retain = host_intern_keep,
    .intern_release = host_intern_keep,
    .arena_more = host_arena_more,
    .arena_less = host_arena_less,
    .work = host_work,
    .deliver = host_deliver,
    .trace = host_trace,
};

struct world *world_open(const struct world_options *options)
{
    must(options->hosts_max > 0 && options->crypto != NULL && options->net != NULL);

    struct world *world = calloc(1, sizeof *world);
    must(world != NULL);
    world->options = *options;
    must(queue_open(&world->queue, options->queue_kind) == ERR_OK);
    world->hosts = world_memory(options->hosts_max * sizeof(struct host), true);
    packets_open(world);
    uint32_t contacts_max = options->contacts_max;
    intern_open(&world->intern, contacts_max != 0 ? contacts_max : options->hosts_max * 4 + 1024);
    return world;
}

void world_close(struct world *world)
{
    for (uint32_t i = 0; i < world->host_count; i++) {
        host_chunks_drop(&world->hosts[i]);
        host_disk_free(&world->hosts[i]);
    }
    for (void *slab = world->chunk_slabs, *next; slab != NULL; slab = next) {
        memcpy(&next, slab, sizeof next);
        free(slab);
    }
    packets_close(world);
    intern_close(&world->intern);
    queue_close(world->queue);
    free(world->deliveries.items);
    free(world->deliveries.text);
    free(world->errands);
    free(world->groups);
    free(world->hosts);
    free(world);
}

struct host *world_host(struct world *world, uint32_t index)
{
    must(index < world->host_count);
    return &world->hosts[index];
}

uint32_t world_host_count(const struct world *world)
{
    return world->host_count;
}

uint64_t world_now_us(const struct world *world)
{
    return world->now_us;
}

uint64_t world_seed(const struct world *world)
{
    return world->options.seed;
}

const struct host_counts *world_counts(const struct world *world)
{
    return &world->counts;
}

size_t world_queue_len(const struct world *world)
{
    return queue_len(world->queue);
}

void world_digest_chains(const struct world *world, uint64_t *chains)
{
    for (uint32_t i = 0; i < world->host_count; i++) {
        chains[i] = world->hosts[i].digest;
    }
}

uint64_t world_digest(const struct world *world)
{
    uint64_t *chains = malloc((world->host_count + 1u) * sizeof *chains);
    must(chains != NULL);
    world_digest_chains(world, chains);
    uint64_t digest = digest_combine(chains, world->host_count);
    free(chains);
    return digest;
}

void world_replay_context(const struct world *world, struct replay_context *context)
{
    context->now_us = &world->now_us;
    context->node = &world->destination;
    context->events = &world->counts.events;
}

bool world_run_until(struct world *world, uint64_t time_us, uint64_t events_max,
                     const volatile int *stop)
{
    must(world->entered == NULL);
    must(time_us >= world->now_us);

    for (;;) {
        const struct event *next = queue_peek(world->queue);
        if (next == NULL || next->time_us >= time_us) {
            break;
        }
        if ((events_max != 0 && world->counts.events >= events_max) ||
            (stop != NULL && *stop != 0)) {
            return false;
        }
        struct event event = queue_pop(world->queue);
        look_ahead(world);
        must(event.time_us >= world->now_us);
        world->now_us = event.time_us;
        dispatch(world, &event);
    }
    world->now_us = time_us;
    return true;
}

int host_start(struct host *host, const struct node_config *config)
{
    must(host->node == NULL);

    struct world *world = host->world;
    host->incarnation++;
    host->wake_us = PORT_NEVER;
    host->cpu_free_ns = world->now_us * 1000;
    host->paths_open = 0;
    host->port.ops = &simulated_ops;
    host->port.crypto = world->options.crypto;
    host->port.intern = &world->intern.view;
    host->node = host_chunk_get(host, sizeof(struct node));
    host_entry_begin(host);
    int status = node_init(host->node, &host->port, config);
    if (status == ERR_OK) {
        status = node_start(host->node);
    }
    host_entry_end(host);
    if (status != ERR_OK) {
        host_kill(host);
    }
    return status;
}

void host_stop(struct host *host)
{
    must(host->node != NULL);
    host_entry_begin(host);
    node_stop(host->node);
    host_entry_end(host);
    /* A polite leave waits for its disk. */
    host_disk_durable(host, UINT64_MAX);
    host_kill(host);
}

void host_kill(struct host *host)
{
    must(host->node != NULL);
    must(host->world->entered == NULL);
    host->node = NULL;
    host->wake_us = PORT_NEVER;
    host_backlog_drop(host);
    host_chunks_drop(host);
    host_disk_crash(host);
}

int host_submit(struct host *host, const struct node_command *command)
{
    must(host->node != NULL);
    host_entry_begin(host);
    int status = node_submit(host->node, command);
    host_entry_end(host);
    return status;
}

void host_enter(struct host *host, void (*call)(struct node *node, void *arg), void *arg)
{
    must(host->node != NULL);
    host_entry_begin(host);
    call(host->node, arg);
    host_entry_end(host);
}

void host_script(struct host *host, uint64_t time_us, uint32_t what)
{
    must(time_us >= host->world->now_us);
    host_post(host, time_us, HOST_EVENT_SCRIPT, what);
}

void host_post(struct host *host, uint64_t time_us, enum host_event kind, uint32_t index)
{
    must(index < 1u << EVENT_INDEX_BITS);
    struct event event = {.time_us = time_us,
                          .destination = host->index,
                          .source = host->index,
                          .sequence = host->sequence++,
                          .payload = event_payload(kind, index)};
    queue_push(host->world->queue, &event);
}

void host_entry_begin(struct host *host)
{
    struct world *world = host->world;
    must(world->entered == NULL); /* Laws: one thread, never re-entered. */
    world->entered = host;
    host->port.now_us = world->now_us;
    host->port.wall_us = world->options.wall_start_us + world->now_us;
    host->port.spent_ns = 0;
}

void host_entry_end(struct host *host)
{
    struct world *world = host->world;
    must(world->entered == host);
    must(host->port.now_us == world->now_us); /* Law: time stood still. */
    uint64_t free_ns = world->now_us * 1000;
    free_ns = host->cpu_free_ns > free_ns ? host->cpu_free_ns : free_ns;
    host->cpu_free_ns = free_ns + host->port.spent_ns;
    world->entered = NULL;
    host_deliveries_flush(host);
}

/* Folds the event into its owner's chain, and shows it to whoever watches. */
static void record(struct world *world, struct host *host, const struct event *event,
                   enum host_event kind, struct slice bytes)
{
    world->counts.events++;
    host->digest = digest_step(host->digest, event->time_us, event->source, event->sequence, kind,
                               bytes.data, bytes.len);
    const struct world_hooks *hooks = &world->options.hooks;
    if (hooks->dispatched != NULL) {
        hooks->dispatched(hooks->arg, event, kind, bytes, host->digest);
    }
}

static void deliver(struct world *world, struct host *host, const struct event *event,
                    enum host_event kind, struct packet *packet)
{
    struct slice bytes = slice_of(packet->bytes, packet->len);
    record(world, host, event, kind, bytes);
    host_entry_begin(host);
    node_on_datagram(host->node, packet->to_path, &packet->from, bytes);
    host_entry_end(host);
}

static void on_datagram(struct world *world, struct host *host, const struct event *event,
                        uint32_t index)
{
    struct packet *packet = packet_at(world, index);
    if (host_receive(host, event, packet)) {
        deliver(world, host, event, HOST_EVENT_DATAGRAM, packet);
        packet_free(world, index);
    }
}

static void on_ready(struct world *world, struct host *host, const struct event *event)
{
    uint32_t index;
    struct packet *packet = host_backlog_next(host, &index);
    if (packet == NULL) {
        return;
    }
    deliver(world, host, event, HOST_EVENT_READY, packet);
    packet_free(world, index);
    if (host->backlog_first != 0) {
        host_post(host, (host->cpu_free_ns + 999) / 1000, HOST_EVENT_READY, 0);
    }
}

static void on_errand(struct world *world, struct host *host, const struct event *event,
                      enum host_event kind, uint32_t index)
{
    struct errand errand = world->errands[index];
    errand_put(world, index);
    if (host->node == NULL || errand.incarnation != host->incarnation) {
        return;
    }
    record(world, host, event, kind, slice_of(NULL, 0));
    if (kind == HOST_EVENT_DURABLE) {
        host_disk_durable(host, errand.ticket);
    }
    host_entry_begin(host);
    if (kind == HOST_EVENT_DURABLE) {
        node_on_durable(host->node, errand.ticket, errand.status);
    } else if (kind == HOST_EVENT_RESOLVED) {
        node_on_resolved(host->node, (uint32_t)errand.ticket, errand.status, &errand.addr);
    } else {
        node_on_work(host->node, errand.work);
    }
    host_entry_end(host);
}

static void dispatch(struct world *world, const struct event *event)
{
    struct host *host = &world->hosts[event->destination];
    world->destination = event->destination;
    enum host_event kind = event->payload >> EVENT_INDEX_BITS;
    uint32_t index = event->payload & EVENT_INDEX_MASK;
    switch (kind) {
    case HOST_EVENT_DATAGRAM:
        on_datagram(world, host, event, index);
        break;
    case HOST_EVENT_READY:
        on_ready(world, host, event);
        break;
    case HOST_EVENT_WAKE:
        if (host->node == NULL || host->wake_us != event->time_us) {
            break; /* A wake-up that was moved, or of a node that is gone. */
        }
        host->wake_us = PORT_NEVER;
        record(world, host, event, kind, slice_of(NULL, 0));
        host_entry_begin(host);
        node_on_wake(host->node);
        host_entry_end(host);
        break;
    case HOST_EVENT_SCRIPT:
        record(world, host, event, kind, slice_of(&index, sizeof index));
        world->options.hooks.scripted(world->options.hooks.arg, host, index);
        break;
    default:
        on_errand(world, host, event, kind, index);
        break;
    }
}

/* Three steps ahead of the run, each with what the one before has brought: the host and the
 * packet's head; the node's head and the packet's body; what the node itself knows the packet will
 * touch. */
static void look_ahead(struct world *world)
{
    const struct event *ahead = queue_ahead(world->queue, AHEAD_HOST);
    if (ahead != NULL) {
        prefetch(&world->hosts[ahead->destination], sizeof(struct host));
        if (ahead->payload >> EVENT_INDEX_BITS == HOST_EVENT_DATAGRAM) {
            prefetch(packet_at(world, ahead->payload & EVENT_INDEX_MASK), sizeof(struct packet));
        }
    }
    ahead = queue_ahead(world->queue, AHEAD_NODE);
    const struct node *node = ahead != NULL ? world->hosts[ahead->destination].node : NULL;
    if (node != NULL) {
        prefetch(node, NODE_HEAD_BYTES);
        if (ahead->payload >> EVENT_INDEX_BITS == HOST_EVENT_DATAGRAM) {
            const struct packet *packet = packet_at(world, ahead->payload & EVENT_INDEX_MASK);
            prefetch(packet->bytes, packet->len);
        }
    }
    ahead = queue_ahead(world->queue, AHEAD_SESSION);
    node = ahead != NULL ? world->hosts[ahead->destination].node : NULL;
    if (node != NULL && ahead->payload >> EVENT_INDEX_BITS == HOST_EVENT_DATAGRAM) {
        const struct packet *packet = packet_at(world, ahead->payload & EVENT_INDEX_MASK);
        node_expect(node, &packet->from, slice_of(packet->bytes, packet->len));
    }
}
