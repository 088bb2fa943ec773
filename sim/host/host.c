/* host.c - the world of hosts: their life, the entries into their nodes, and the run loop. */
#include "sim/host/host.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/host/world.h"

static uint64_t next_us(struct world *world);
static bool run_scripts(struct world *world);
static bool run_window(struct world *world, uint64_t end_us);
static void run_one(void *arg, uint32_t number);
static uint64_t window_end_us(uint64_t now_us);
static struct event event_of(struct host *host, uint64_t time_us, enum host_event kind,
                             uint32_t index);

static const struct port_ops simulated_ops = {
    .wake_at = host_wake_at,
    .path_open = host_path_open,
    .path_close = host_path_close,
    .send = host_send,
    .path_local = host_path_local,
    .gateway = host_gateway,
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
    must(options->threads <= WORLD_THREADS_MAX);

    struct world *world = calloc(1, sizeof *world);
    must(world != NULL);
    world->options = *options;
    world->shard_count = options->threads > 1 ? options->threads : 1;
    world->hosts = world_memory(options->hosts_max * sizeof(struct host), true);
    world->shard_of = world_memory(options->hosts_max, false);
    world->slots = world_memory(options->hosts_max * sizeof(struct addr_slot), true);
    world->slot_cap = options->hosts_max;
    for (uint32_t i = 0; i < world->shard_count; i++) {
        world->shards[i] = shard_open(world, i);
    }
    must(queue_open(&world->scripts, options->queue_kind) == ERR_OK);
    if (world->shard_count > 1) {
        world->crew = crew_open(world->shard_count, run_one, world);
        must(world->crew != NULL);
    }
    return world;
}

void world_close(struct world *world)
{
    if (world->crew != NULL) {
        crew_close(world->crew);
    }
    for (uint32_t i = 0; i < world->host_count; i++) {
        host_streams_drop(&world->hosts[i]);
        host_chunks_drop(&world->hosts[i]);
        host_disk_free(&world->hosts[i]);
    }
    for (uint32_t i = 0; i < world->shard_count; i++) {
        shard_close(world->shards[i]);
    }
    queue_close(world->scripts);
    boxes_close(world);
    free(world->groups);
    free(world->slots);
    free(world->shard_of);
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

uint64_t world_told_us(const struct world *world)
{
    return world->is_telling ? world->told_us : world->now_us;
}

uint64_t world_seed(const struct world *world)
{
    return world->options.seed;
}

struct host_counts world_counts(const struct world *world)
{
    struct host_counts sum = {0};
    for (uint32_t i = 0; i < world->shard_count; i++) {
        const struct host_counts *counts = &world->shards[i]->counts;
        sum.events += counts->events;
        sum.datagrams_sent += counts->datagrams_sent;
        sum.datagrams_lost += counts->datagrams_lost;
        sum.datagrams_filtered += counts->datagrams_filtered;
        sum.datagrams_dead += counts->datagrams_dead;
        sum.bytes_sent += counts->bytes_sent;
    }
    return sum;
}

size_t world_queue_len(const struct world *world)
{
    size_t len = queue_len(world->scripts);
    for (uint32_t i = 0; i < world->shard_count; i++) {
        len += queue_len(world->shards[i]->queue);
    }
    return len;
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
    const struct shard *shard = world->shards[0];
    context->now_us = &shard->now_us;
    context->node = &shard->destination;
    context->events = &shard->counts.events;
}

bool world_run_until(struct world *world, uint64_t time_us, uint64_t events_max,
                     const volatile int *stop)
{
    must(!world->is_in_window && !world->is_telling);
    must(time_us >= world->now_us);
    must(events_max == 0 ||
         world->shard_count == 1); /* Which event is the n-th is for one to say. */

    world->events_max = events_max;
    for (;;) {
        uint64_t first_us = next_us(world);
        if (first_us >= time_us) {
            break;
        }
        if (stop != NULL && *stop != 0) {
            return false;
        }
        uint64_t start_us = first_us / WINDOW_US * WINDOW_US;
        world->now_us = start_us > world->now_us ? start_us : world->now_us;
        uint64_t end_us = window_end_us(world->now_us);
        if (!run_scripts(world) || !run_window(world, end_us < time_us ? end_us : time_us)) {
            return false;
        }
    }
    world->now_us = time_us;
    return true;
}

/* Of everything that is still to come. */
static uint64_t next_us(struct world *world)
{
    const struct event *script = queue_peek(world->scripts);
    uint64_t first_us = script != NULL ? script->time_us : PORT_NEVER;
    for (uint32_t i = 0; i < world->shard_count; i++) {
        uint64_t shard_us = shard_next_us(world->shards[i]);
        first_us = shard_us < first_us ? shard_us : first_us;
    }
    return first_us;
}

static uint64_t window_end_us(uint64_t now_us)
{
    return (now_us / WINDOW_US + 1) * WINDOW_US;
}

/* Those due now, and those they cause. False when the run's last event came first. */
static bool run_scripts(struct world *world)
{
    for (;;) {
        const struct event *next = queue_peek(world->scripts);
        if (next == NULL || next->time_us > world->now_us) {
            return true;
        }
        if (world->events_max != 0 && world->shards[0]->counts.events >= world->events_max) {
            return false;
        }
        struct event event = queue_pop(world->scripts);
        struct shard *shard = world->hosts[event.destination].shard;
        must(event.time_us == world->now_us);
        shard->now_us = event.time_us;
        host_dispatch(shard, &event);
    }
}

/* Likewise. */
static bool run_window(struct world *world, uint64_t end_us)
{
    world->window_us = end_us;
    world->half ^= 1;
    world->is_in_window = true;
    bool is_over = true;
    if (world->crew != NULL) {
        crew_run(world->crew);
    } else {
        is_over = shard_run(world->shards[0]);
    }
    world->is_in_window = false;
    world->now_us = is_over ? end_us : world->shards[0]->now_us;
    world_tell(world);
    return is_over;
}

void world_visit(struct world *world, uint32_t first, uint32_t count, world_visit_fn visit,
                 void *arg)
{
    must(!world->is_in_window && !world->is_telling);
    must(first <= world->host_count && count <= world->host_count - first);
    world->visit_first = first;
    world->visit_end = first + count;
    world->visit = visit;
    world->visit_arg = arg;
    if (world->crew != NULL) {
        crew_run(world->crew);
    } else {
        run_one(world, 0);
    }
    world->visit = NULL;
}

static void run_one(void *arg, uint32_t number)
{
    struct world *world = arg;
    struct shard *shard = world->shards[number];
    replay_thread_set(&shard->now_us, &shard->destination, &shard->counts.events);
    if (world->visit == NULL) {
        (void)shard_run(shard); /* Without a last event it ends with the window. */
        return;
    }
    for (uint32_t i = world->visit_first; i < world->visit_end; i++) {
        if (world->hosts[i].shard == shard) {
            shard->destination = i;
            world->visit(world->visit_arg, &world->hosts[i]);
        }
    }
}

int host_start(struct host *host, const struct node_config *config)
{
    must(host->node == NULL);

    struct world *world = world_of(host);
    host->incarnation++;
    host->wake_us = PORT_NEVER;
    host->cpu_free_ns = world->now_us * 1000;
    host->port.ops = &simulated_ops;
    host->port.crypto = world->options.crypto;
    host->port.intern = &host->shard->intern.view;
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
    host_streams_end(host);
    host_kill(host);
}

void host_kill(struct host *host)
{
    must(host->node != NULL);
    must(host->shard->entered == NULL);
    host->node = NULL;
    host->wake_us = PORT_NEVER;
    host_backlog_drop(host);
    host_extra_drop(host);
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
    struct world *world = world_of(host);
    must(!world->is_in_window);
    /* What a script says of the past was rounded past it: a stay that ends before it could begin.
     */
    time_us = time_us > world->now_us ? time_us : world->now_us;
    struct event event =
        event_of(host, (time_us + WINDOW_US - 1) / WINDOW_US * WINDOW_US, HOST_EVENT_SCRIPT, what);
    queue_push(world->scripts, &event);
}

void host_post(struct host *host, uint64_t time_us, enum host_event kind, uint32_t index)
{
    struct event event = event_of(host, time_us, kind, index);
    queue_push(host->shard->queue, &event);
}

static struct event event_of(struct host *host, uint64_t time_us, enum host_event kind,
                             uint32_t index)
{
    must(index < 1u << EVENT_INDEX_BITS);
    return (struct event){.time_us = time_us,
                          .destination = host->index,
                          .source = host->index,
                          .sequence = host->sequence++,
                          .payload = event_payload(kind, index)};
}

void host_entry_begin(struct host *host)
{
    struct shard *shard = host->shard;
    must(shard->entered == NULL); /* Laws: one thread, never re-entered. */
    shard->entered = host;
    host->port.now_us = host_now_us(host);
    host->port.wall_us = shard->world->options.wall_start_us + host->port.now_us;
    host->port.spent_ns = 0;
}

void host_entry_end(struct host *host)
{
    struct shard *shard = host->shard;
    must(shard->entered == host);
    must(host->port.now_us == host_now_us(host)); /* Law: time stood still. */
    uint64_t free_ns = host->port.now_us * 1000;
    free_ns = host->cpu_free_ns > free_ns ? host->cpu_free_ns : free_ns;
    host->cpu_free_ns = free_ns + host->port.spent_ns;
    shard->entered = NULL;
    if (!shard->world->is_in_window && !shard->world->is_telling) {
        world_tell(shard->world);
    }
}

void host_record(struct host *host, const struct event *event, enum host_event kind,
                 struct slice bytes)
{
    host->shard->counts.events++;
    host->digest = digest_step(host->digest, event->time_us, event->source, event->sequence, kind,
                               bytes.data, bytes.len);
    const struct world_hooks *hooks = &world_of(host)->options.hooks;
    if (hooks->dispatched != NULL) {
        hooks->dispatched(hooks->arg, event, kind, bytes, host->digest);
    }
}

static void deliver(struct host *host, const struct event *event, enum host_event kind,
                    struct packet *packet)
{
    if (packet->is_segment) {
        host_stream_deliver(host, event, kind, packet);
        return;
    }
    struct slice bytes = packet_bytes(host->shard, packet);
    host_record(host, event, kind, bytes);
    host_entry_begin(host);
    node_on_datagram(host->node, packet->to_port - HOST_PORT, &packet->from, bytes);
    host_entry_end(host);
}

static void on_datagram(struct host *host, const struct event *event, uint32_t index)
{
    struct packet *packet = packet_at(world_of(host), index);
    struct event inside;
    if (host->extra != 0) {
        host = host_behind(host, index, packet);
        if (host == NULL) {
            return;
        }
        inside = *event;
        inside.destination = host->index;
        event = &inside;
    }
    if (host_receive(host, event, packet)) {
        deliver(host, event, HOST_EVENT_DATAGRAM, packet);
        packet_free(host->shard, index);
    }
}

static void on_ready(struct host *host, const struct event *event)
{
    uint32_t index;
    struct packet *packet = host_backlog_next(host, &index);
    if (packet == NULL) {
        return;
    }
    deliver(host, event, HOST_EVENT_READY, packet);
    packet_free(host->shard, index);
    if (host->backlog_first != 0) {
        host_post(host, (host->cpu_free_ns + 999) / 1000, HOST_EVENT_READY, 0);
    }
}

static void on_errand(struct host *host, const struct event *event, enum host_event kind,
                      uint32_t index)
{
    struct errand errand = host->shard->errands[index];
    errand_put(host->shard, index);
    if (host->node == NULL || errand.incarnation != host->incarnation) {
        return;
    }
    host_record(host, event, kind, slice_of(NULL, 0));
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

void host_dispatch(struct shard *shard, const struct event *event)
{
    const struct world *world = shard->world;
    struct host *host = &world->hosts[event->destination];
    shard->destination = event->destination;
    enum host_event kind = event->payload >> EVENT_INDEX_BITS;
    uint32_t index = event->payload & EVENT_INDEX_MASK;
    switch (kind) {
    case HOST_EVENT_DATAGRAM:
        on_datagram(host, event, index);
        break;
    case HOST_EVENT_READY:
        on_ready(host, event);
        break;
    case HOST_EVENT_WAKE:
        if (host->node == NULL || host->wake_us != event->time_us) {
            break; /* A wake-up that was moved, or of a node that is gone. */
        }
        host->wake_us = PORT_NEVER;
        host_record(host, event, kind, slice_of(NULL, 0));
        host_entry_begin(host);
        node_on_wake(host->node);
        host_entry_end(host);
        break;
    case HOST_EVENT_STREAM:
        host_on_segment(host, event, index);
        break;
    case HOST_EVENT_SCRIPT:
        host_record(host, event, kind, slice_of(&index, sizeof index));
        world->options.hooks.scripted(world->options.hooks.arg, host, index);
        break;
    default:
        on_errand(host, event, kind, index);
        break;
    }
}
