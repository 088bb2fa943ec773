/* toy_port.c - every port operation in memory, and the loop that calls the ports back. */
#include "tests/support/toy_port.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/err.h"
#include "node/base/must.h"
#include "node/base/rng.h"

enum {
    SLOT_COUNT = TOY_CONTACTS_MAX * 2,
    SLOT_MASK = SLOT_COUNT - 1,
    CHUNK_HEADER = 16, /* The link, and the alignment of what follows. */
    UDP_PORT = 8468,
};
_Static_assert((SLOT_COUNT & SLOT_MASK) == 0, "slots are found by masking");

static const struct port_ops toy_ops;

static void *memory(size_t count, size_t bytes);
static void *grown(void *array, size_t count, size_t bytes);
static struct toy_datagram *datagram_new(struct toy_world *world);
static void datagram_push(struct toy_world *world, struct toy_datagram *datagram);
static void datagram_deliver(struct toy_world *world, struct toy_datagram *datagram);
static struct toy_port *find_port(struct toy_world *world, const struct port_addr *addr);
static size_t find_pair(const struct toy_port *toy, struct slice key, bool *is_found);
static void durable(struct toy_port *toy);

struct toy_world *toy_open(uint32_t count, uint64_t seed, const struct port_crypto *crypto)
{
    must(count > 0 && count <= TOY_PORTS_MAX);

    struct toy_world *world = memory(1, sizeof *world);
    world->ports = memory(count, sizeof *world->ports);
    world->port_count = count;
    world->latency_us = TOY_LATENCY_US;
    world->records = memory(TOY_CONTACTS_MAX, PORT_INTERN_RECORD);
    world->prefixes = memory(TOY_CONTACTS_MAX, sizeof *world->prefixes);
    world->references = memory(TOY_CONTACTS_MAX, sizeof *world->references);
    world->slots = memory(SLOT_COUNT, sizeof *world->slots);
    world->intern = (struct port_intern){.records = world->records, .prefixes = world->prefixes};
    for (uint32_t i = 0; i < count; i++) {
        struct toy_port *toy = &world->ports[i];
        *toy = (struct toy_port){
            .port = {.ops = &toy_ops, .crypto = crypto, .intern = &world->intern},
            .world = world,
            .index = i,
            .entropy = memory(1, sizeof *toy->entropy),
            .wake_us = PORT_NEVER,
            .durable_us = PORT_NEVER,
            .arena_max = TOY_ARENA_MAX,
        };
        toy->port.local = toy_addr(i);
        rng_stream(toy->entropy, seed, "toy entropy", i, 0);
    }
    return world;
}

void toy_close(struct toy_world *world)
{
    for (uint32_t i = 0; i < world->port_count; i++) {
        struct toy_port *toy = &world->ports[i];
        for (void *chunk = toy->chunks, *next; chunk != NULL; chunk = next) {
            memcpy(&next, chunk, sizeof next);
            free(chunk);
        }
        for (size_t j = 0; j < toy->pair_count; j++) {
            free(toy->pairs[j].value);
        }
        for (size_t j = 0; j < toy->event_count; j++) {
            free(toy->events[j].copies);
        }
        free(toy->pairs);
        free(toy->events);
        free(toy->traces);
        free(toy->tickets);
        free(toy->entropy);
    }
    struct toy_datagram *lists[] = {world->pending, world->spare};
    for (size_t i = 0; i < array_len(lists); i++) {
        for (struct toy_datagram *datagram = lists[i], *next; datagram != NULL; datagram = next) {
            next = datagram->next;
            free(datagram);
        }
    }
    free(world->ports);
    free(world->records);
    free(world->prefixes);
    free(world->references);
    free(world->slots);
    free(world);
}

struct toy_port *toy_at(struct toy_world *world, uint32_t index)
{
    must(index < world->port_count);
    return &world->ports[index];
}

struct port_addr toy_addr(uint32_t index)
{
    return (struct port_addr){
        .ip = {[10] = 0xff, 0xff, 10, (uint8_t)(index >> 8), (uint8_t)index, 1},
        .port = {UDP_PORT >> 8, UDP_PORT & 0xff},
    };
}

void toy_move(struct toy_port *port, const struct port_addr *addr)
{
    must(port->world->entered == NULL);
    port->port.local = *addr;
}

void toy_enter(struct toy_port *port)
{
    must(port->world->entered == NULL);
    port->world->entered = port;
    port->port.now_us = port->world->now_us;
    port->port.wall_us = port->world->now_us + UINT64_C(1700000000000000);
    port->port.spent_ns = 0;
}

void toy_leave(struct toy_port *port)
{
    must(port->world->entered == port);
    must(port->port.now_us == port->world->now_us);
    port->world->entered = NULL;
}

void toy_inject(struct toy_world *world, const struct port_addr *from, const struct port_addr *to,
                struct slice bytes)
{
    must(bytes.len <= PORT_DATAGRAM_MAX);
    struct toy_datagram *datagram = datagram_new(world);
    datagram->from = *from;
    datagram->to = *to;
    datagram->len = (uint16_t)bytes.len;
    datagram->due_us = world->now_us + world->latency_us;
    if (bytes.len > 0) {
        memcpy(datagram->bytes, bytes.data, bytes.len);
    }
    datagram_push(world, datagram);
}

void toy_run_until(struct toy_world *world, uint64_t time_us)
{
    must(time_us >= world->now_us);
    for (;;) {
        /* Of what is due at once: datagrams, then port by port what was committed, then the wake.
         */
        uint64_t due_us = world->pending != NULL ? world->pending->due_us : PORT_NEVER;
        struct toy_port *waking = NULL;
        struct toy_port *syncing = NULL;
        for (uint32_t i = 0; i < world->port_count; i++) {
            struct toy_port *toy = &world->ports[i];
            if (toy->durable_us < due_us) {
                due_us = toy->durable_us;
                syncing = toy;
                waking = NULL;
            }
            if (toy->wake_us < due_us) {
                due_us = toy->wake_us;
                waking = toy;
                syncing = NULL;
            }
        }
        if (due_us == PORT_NEVER || due_us > time_us) {
            break;
        }
        world->now_us = due_us > world->now_us ? due_us : world->now_us;
        if (waking != NULL) {
            waking->wake_us = PORT_NEVER;
            toy_enter(waking);
            waking->callbacks.on_wake(waking);
            toy_leave(waking);
        } else if (syncing != NULL) {
            durable(syncing);
        } else {
            struct toy_datagram *datagram = world->pending;
            world->pending = datagram->next;
            world->last = world->pending == NULL ? NULL : world->last;
            datagram_deliver(world, datagram);
        }
    }
    world->now_us = time_us;
}

void toy_run_for(struct toy_world *world, uint64_t span_us)
{
    toy_run_until(world, world->now_us + span_us);
}

uint64_t toy_reference_count(const struct toy_world *world)
{
    uint64_t total = 0;
    for (uint32_t i = 1; i <= world->contact_count; i++) {
        total += world->references[i];
    }
    return total;
}

static void *memory(size_t count, size_t bytes)
{
    void *block = calloc(count, bytes);
    must(block != NULL);
    return block;
}

/* The array with room for one more element. */
static void *grown(void *array, size_t count, size_t bytes)
{
    if ((count & (count - 1)) != 0) {
        return array; /* Grown to the next power of two before. */
    }
    array = realloc(array, (count == 0 ? 1 : count * 2) * bytes);
    must(array != NULL);
    return array;
}

static struct toy_datagram *datagram_new(struct toy_world *world)
{
    struct toy_datagram *datagram = world->spare;
    if (datagram != NULL) {
        world->spare = datagram->next;
    } else {
        datagram = malloc(sizeof *datagram);
        must(datagram != NULL);
    }
    datagram->next = NULL;
    datagram->flags = (struct port_send_flags){0};
    return datagram;
}

static void datagram_push(struct toy_world *world, struct toy_datagram *datagram)
{
    datagram->order = ++world->order_last;
    struct toy_datagram **link = &world->pending;
    if (world->last != NULL && world->last->due_us <= datagram->due_us) {
        link = &world->last->next;
    }
    while (*link != NULL && (*link)->due_us <= datagram->due_us) {
        link = &(*link)->next;
    }
    datagram->next = *link;
    *link = datagram;
    if (datagram->next == NULL) {
        world->last = datagram;
    }
}

static void datagram_deliver(struct toy_world *world, struct toy_datagram *datagram)
{
    struct toy_port *toy = find_port(world, &datagram->to);
    if (toy != NULL && toy->callbacks.on_datagram != NULL) {
        world->delivered++;
        toy_enter(toy);
        toy->callbacks.on_datagram(toy, &datagram->from, slice_of(datagram->bytes, datagram->len));
        toy_leave(toy);
    }
    datagram->next = world->spare;
    world->spare = datagram;
}

static struct toy_port *find_port(struct toy_world *world, const struct port_addr *addr)
{
    /* Most ports still live where they started. */
    uint32_t guess = (uint32_t)addr->ip[13] << 8 | addr->ip[14];
    if (guess < world->port_count &&
        memcmp(&world->ports[guess].port.local, addr, sizeof *addr) == 0) {
        return &world->ports[guess];
    }
    for (uint32_t i = 0; i < world->port_count; i++) {
        if (memcmp(&world->ports[i].port.local, addr, sizeof *addr) == 0) {
            return &world->ports[i];
        }
    }
    return NULL;
}

/* --- the operations ------------------------------------------------------------------------ */

static void toy_wake_at(struct port *port, uint64_t due_us)
{
    toy_of(port)->wake_us = due_us;
}

static int toy_path_open(struct port *port, enum port_carrier carrier, const struct port_addr *hint,
                         const struct port_addr *remote)
{
    (void)port;
    (void)carrier;
    (void)hint;
    (void)remote;
    return ERR_UNSUPPORTED;
}

static bool toy_path_local(struct port *port, int path, struct port_addr *addr)
{
    *addr = port->local;
    return path == PORT_MAIN_PATH;
}

static void toy_path_close(struct port *port, int path)
{
    (void)port;
    must(path != PORT_MAIN_PATH);
}

static int toy_send(struct port *port, int path, const struct port_addr *to, struct slice bytes,
                    struct port_send_flags flags)
{
    struct toy_port *toy = toy_of(port);
    struct toy_world *world = toy->world;
    must(world->entered == toy);
    if (path != PORT_MAIN_PATH) {
        return ERR_INVALID;
    }
    if (bytes.len > PORT_DATAGRAM_MAX) {
        return ERR_TOO_LARGE;
    }
    toy->datagrams_sent++;
    toy->bytes_sent += bytes.len;
    struct toy_datagram *datagram = datagram_new(world);
    datagram->from = port->local;
    datagram->to = *to;
    datagram->flags = flags;
    datagram->len = (uint16_t)bytes.len;
    datagram->due_us = world->now_us + world->latency_us;
    memcpy(datagram->bytes, bytes.data, bytes.len);
    int copies = world->filter != NULL ? world->filter(world->filter_arg, datagram) : 1;
    for (int i = 1; i < copies; i++) {
        struct toy_datagram *copy = datagram_new(world);
        *copy = *datagram;
        datagram_push(world, copy);
    }
    if (copies > 0) {
        datagram_push(world, datagram);
    } else {
        datagram->next = world->spare;
        world->spare = datagram;
    }
    return ERR_OK;
}

static int toy_resolve(struct port *port, const char *name, uint32_t ticket)
{
    (void)port;
    (void)name;
    (void)ticket;
    return ERR_UNSUPPORTED;
}

static void toy_entropy(struct port *port, void *buffer, size_t len)
{
    struct toy_port *toy = toy_of(port);
    uint8_t *next = buffer;
    toy->entropy_bytes += len;
    while (len > 0) {
        uint64_t word = rng_next(toy->entropy);
        size_t part = len < sizeof word ? len : sizeof word;
        memcpy(next, &word, part);
        next += part;
        len -= part;
    }
}

static int toy_store_get(struct port *port, struct slice key, void *buffer, size_t cap, size_t *len)
{
    const struct toy_port *toy = toy_of(port);
    bool is_found;
    size_t at = find_pair(toy, key, &is_found);
    if (toy->store_fails) {
        return ERR_IO;
    }
    if (!is_found) {
        return ERR_MISSING;
    }
    *len = toy->pairs[at].value_len;
    if (*len > cap) {
        return ERR_TOO_LARGE;
    }
    memcpy(buffer, toy->pairs[at].value, *len);
    return ERR_OK;
}

static int toy_store_put(struct port *port, struct slice key, struct slice value)
{
    struct toy_port *toy = toy_of(port);
    must(key.len > 0 && key.len <= PORT_KEY_MAX && value.len <= PORT_VALUE_MAX);
    if (toy->store_fails) {
        return ERR_IO;
    }
    bool is_found;
    size_t at = find_pair(toy, key, &is_found);
    if (!is_found) {
        toy->pairs = grown(toy->pairs, toy->pair_count, sizeof *toy->pairs);
        memmove(toy->pairs + at + 1, toy->pairs + at, (toy->pair_count - at) * sizeof *toy->pairs);
        toy->pair_count++;
        toy->pairs[at] = (struct toy_pair){.key_len = (uint8_t)key.len};
        memcpy(toy->pairs[at].key, key.data, key.len);
    }
    free(toy->pairs[at].value);
    toy->pairs[at].value = memory(1, value.len + 1);
    toy->pairs[at].value_len = value.len;
    if (value.len > 0) {
        memcpy(toy->pairs[at].value, value.data, value.len);
    }
    return ERR_OK;
}

static int toy_store_del(struct port *port, struct slice key)
{
    struct toy_port *toy = toy_of(port);
    if (toy->store_fails) {
        return ERR_IO;
    }
    bool is_found;
    size_t at = find_pair(toy, key, &is_found);
    if (is_found) {
        free(toy->pairs[at].value);
        toy->pair_count--;
        memmove(toy->pairs + at, toy->pairs + at + 1, (toy->pair_count - at) * sizeof *toy->pairs);
    }
    return ERR_OK;
}

static int toy_store_scan(struct port *port, struct slice prefix, port_scan_fn visit, void *arg)
{
    const struct toy_port *toy = toy_of(port);
    if (toy->store_fails) {
        return ERR_IO;
    }
    for (size_t i = 0; i < toy->pair_count; i++) {
        const struct toy_pair *pair = &toy->pairs[i];
        bool is_below = pair->key_len >= prefix.len &&
                        (prefix.len == 0 || memcmp(pair->key, prefix.data, prefix.len) == 0);
        if (is_below && !visit(arg, slice_of(pair->key, pair->key_len),
                               slice_of(pair->value, pair->value_len))) {
            break;
        }
    }
    return ERR_OK;
}

static int toy_store_commit(struct port *port, uint64_t ticket)
{
    struct toy_port *toy = toy_of(port);
    if (toy->store_fails) {
        return ERR_IO;
    }
    toy->tickets = grown(toy->tickets, toy->ticket_count, sizeof *toy->tickets);
    toy->tickets[toy->ticket_count++] = ticket;
    if (toy->durable_us == PORT_NEVER) {
        toy->durable_us = toy->world->now_us + toy->world->durable_delay_us;
    }
    return ERR_OK;
}

static uint32_t toy_intern_get(struct port *port, const void *key, port_intern_fn complete)
{
    struct toy_world *world = toy_of(port)->world;
    uint64_t hash = 0;
    for (size_t i = 0; i < PORT_INTERN_KEY; i += sizeof hash) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)key + i, sizeof word);
        hash = rng_mix(hash ^ word);
    }
    uint32_t slot = (uint32_t)hash & SLOT_MASK;
    for (; world->slots[slot] != PORT_INTERN_NONE; slot = (slot + 1) & SLOT_MASK) {
        uint32_t handle = world->slots[slot];
        if (memcmp(world->records + (size_t)handle * PORT_INTERN_RECORD, key, PORT_INTERN_KEY) ==
            0) {
            world->references[handle]++;
            return handle;
        }
    }
    uint32_t handle = ++world->contact_count;
    must(handle < TOY_CONTACTS_MAX);
    uint8_t *record = world->records + (size_t)handle * PORT_INTERN_RECORD;
    memcpy(record, key, PORT_INTERN_KEY);
    world->prefixes[handle] = complete(record);
    world->references[handle] = 1;
    world->slots[slot] = handle;
    return handle;
}

/* Records stay for the life of the world: the counts are there to find leaks. */
static void toy_intern_retain(struct port *port, uint32_t handle)
{
    struct toy_world *world = toy_of(port)->world;
    must(handle != PORT_INTERN_NONE && world->references[handle] > 0);
    world->references[handle]++;
}

static void toy_intern_release(struct port *port, uint32_t handle)
{
    struct toy_world *world = toy_of(port)->world;
    must(handle != PORT_INTERN_NONE && world->references[handle] > 0);
    world->references[handle]--;
}

static void *toy_arena_more(struct port *port, size_t bytes, size_t *given)
{
    struct toy_port *toy = toy_of(port);
    if (toy->arena_bytes + bytes > toy->arena_max) {
        return NULL;
    }
    uint8_t *chunk = memory(1, CHUNK_HEADER + bytes);
    memcpy(chunk, &toy->chunks, sizeof toy->chunks);
    memcpy(chunk + sizeof toy->chunks, &bytes, sizeof bytes);
    toy->chunks = chunk;
    toy->arena_bytes += bytes;
    *given = bytes;
    return chunk + CHUNK_HEADER;
}

static void toy_arena_less(struct port *port, void *given)
{
    struct toy_port *toy = toy_of(port);
    uint8_t *chunk = (uint8_t *)given - CHUNK_HEADER;
    void *next;
    size_t bytes;
    memcpy(&next, chunk, sizeof next);
    memcpy(&bytes, chunk + sizeof next, sizeof bytes);
    if (toy->chunks == chunk) {
        toy->chunks = next;
    } else {
        uint8_t *before = toy->chunks;
        for (void *link = before; link != chunk; memcpy(&link, before, sizeof link)) {
            before = link;
            must(before != NULL);
        }
        memcpy(before, &next, sizeof next);
    }
    toy->arena_bytes -= bytes;
    free(chunk);
}

static int toy_work(struct port *port, struct port_work *work)
{
    (void)port;
    (void)work;
    return ERR_UNSUPPORTED;
}

static void toy_deliver(struct port *port, const struct port_event *event)
{
    struct toy_port *toy = toy_of(port);
    must(toy->world->entered == toy);
    if (toy->is_muted) {
        return;
    }
    toy->events = grown(toy->events, toy->event_count, sizeof *toy->events);
    struct toy_event *captured = &toy->events[toy->event_count++];
    captured->event = *event;
    captured->copies = memory(1, event->bytes.len + event->about.len + 1);
    if (event->bytes.len > 0) {
        memcpy(captured->copies, event->bytes.data, event->bytes.len);
    }
    if (event->about.len > 0) {
        memcpy(captured->copies + event->bytes.len, event->about.data, event->about.len);
    }
    captured->event.bytes.data = captured->copies;
    captured->event.about.data = captured->copies + event->bytes.len;
}

static void toy_trace(struct port *port, const struct port_trace *event)
{
    struct toy_port *toy = toy_of(port);
    if (toy->is_muted) {
        return;
    }
    toy->traces = grown(toy->traces, toy->trace_count, sizeof *toy->traces);
    toy->traces[toy->trace_count++] = *event;
}

static const struct port_ops toy_ops = {
    .wake_at = toy_wake_at,
    .path_open = toy_path_open,
    .path_close = toy_path_close,
    .path_local = toy_path_local,
    .send = toy_send,
    .resolve = toy_resolve,
    .entropy = toy_entropy,
    .store_get = toy_store_get,
    .store_put = toy_store_put,
    .store_del = toy_store_del,
    .store_scan = toy_store_scan,
    .store_commit = toy_store_commit,
    .intern_get = toy_intern_get,
    .intern_retain = toy_intern_retain,
    .intern_release = toy_intern_release,
    .arena_more = toy_arena_more,
    .arena_less = toy_arena_less,
    .work = toy_work,
    .deliver = toy_deliver,
    .trace = toy_trace,
};

/* Where the key is, or would be put. */
static size_t find_pair(const struct toy_port *toy, struct slice key, bool *is_found)
{
    size_t at = 0;
    *is_found = false;
    for (; at < toy->pair_count; at++) {
        const struct toy_pair *pair = &toy->pairs[at];
        size_t common = pair->key_len < key.len ? pair->key_len : key.len;
        int order = memcmp(pair->key, key.data, common);
        order = order != 0 ? order : (pair->key_len > key.len) - (pair->key_len < key.len);
        if (order >= 0) {
            *is_found = order == 0;
            break;
        }
    }
    return at;
}

static void durable(struct toy_port *toy)
{
    uint64_t ticket = toy->tickets[toy->ticket_count - 1];
    toy->ticket_count = 0;
    toy->durable_us = PORT_NEVER;
    toy_enter(toy);
    toy->callbacks.on_durable(toy, ticket);
    toy_leave(toy);
}
