/* mesh.c - the toy world of mesh.h: shared contacts, an event queue, calls, and tables. */
#include "tests/unit/node_gossip/mesh.h"

#include <stdlib.h>

#include "node/base/err.h"
#include "node/base/must.h"
#include "tests/support/toy_suite.h"

enum {
    RECORDS_MAX = 1 << 16,
    SENT_MAX = 1 << 20,
    SECOND_US = 1000000,
    SLOT_COUNT = 1 << 17, /* Of the index of interned records. */
};

enum event_kind {
    EVENT_WAKE,    /* node */
    EVENT_REQUEST, /* call arrives at its peer */
    EVENT_ANSWER,  /* answer arrives at its caller */
    EVENT_RETRY,   /* call was not answered in time */
};

struct event {
    uint64_t due_us;
    uint64_t order;
    enum event_kind kind;
    uint32_t subject; /* Node or call. */
    uint8_t *bytes;   /* Owned. */
    int len;
};

struct call {
    uint32_t from;
    uint32_t peer; /* Contact called. */
    struct call_options options;
    uint8_t *bytes; /* Owned. */
    int len;
    uint32_t tries;
    uint64_t begun_us;
    bool is_done;
};

static struct {
    struct event *heap;
    uint32_t count;
    uint32_t cap;
    uint64_t order_last;
    struct call *calls;
    uint32_t call_count;
    uint32_t call_cap;

    uint8_t *records;
    uint64_t *prefixes;
    uint32_t *slots;
    uint32_t record_count;
    struct port_intern intern;

    void **chunks;
    uint32_t chunk_count;
    uint32_t chunk_cap;
} world;

struct mesh mesh;

/* --- memory -------------------------------------------------------------------------------- */

static void *grown(void *array, uint32_t *cap, size_t object_bytes)
{
    *cap = *cap == 0 ? 1024 : *cap * 2;
    array = realloc(array, *cap * object_bytes);
    must(array != NULL);
    return array;
}

static void *zeroed(size_t count, size_t object_bytes)
{
    void *memory = calloc(count, object_bytes);
    must(memory != NULL);
    return memory;
}

/* --- events -------------------------------------------------------------------------------- */

static bool event_before(const struct event *a, const struct event *b)
{
    return a->due_us < b->due_us || (a->due_us == b->due_us && a->order < b->order);
}

static void event_push(struct event event)
{
    if (world.count == world.cap) {
        world.heap = grown(world.heap, &world.cap, sizeof *world.heap);
    }
    event.order = ++world.order_last;
    uint32_t place = world.count++;
    while (place > 0 && event_before(&event, &world.heap[(place - 1) / 2])) {
        world.heap[place] = world.heap[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    world.heap[place] = event;
}

static struct event event_pop(void)
{
    struct event first = world.heap[0];
    struct event last = world.heap[--world.count];
    uint32_t place = 0;
    for (uint32_t child = 1; child < world.count; child = 2 * place + 1) {
        if (child + 1 < world.count && event_before(&world.heap[child + 1], &world.heap[child])) {
            child++;
        }
        if (!event_before(&world.heap[child], &last)) {
            break;
        }
        world.heap[place] = world.heap[child];
        place = child;
    }
    world.heap[place] = last;
    return first;
}

/* --- port ---------------------------------------------------------------------------------- */

static struct mesh_node *node_of_port(struct port *port)
{
    return container_of(port, struct mesh_node, port);
}

static uint32_t number_of(const struct mesh_node *node)
{
    return (uint32_t)(node - mesh.nodes);
}

static void toy_wake_at(struct port *port, uint64_t due_us)
{
    event_push((struct event){
        .due_us = due_us, .kind = EVENT_WAKE, .subject = number_of(node_of_port(port))});
}

static void toy_entropy(struct port *port, void *buffer, size_t len)
{
    (void)port;
    uint8_t *bytes = buffer;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)rng_next(&mesh.rng);
    }
}

static void *toy_arena_more(struct port *port, size_t bytes, size_t *given)
{
    (void)port;
    if (world.chunk_count == world.chunk_cap) {
        world.chunks = grown(world.chunks, &world.chunk_cap, sizeof *world.chunks);
    }
    *given = bytes;
    return world.chunks[world.chunk_count++] = zeroed(1, bytes);
}

static void toy_arena_less(struct port *port, void *given)
{
    (void)port;
    for (uint32_t i = 0; i < world.chunk_count; i++) {
        if (world.chunks[i] == given) {
            free(given);
            world.chunks[i] = world.chunks[--world.chunk_count];
            return;
        }
    }
    must(given == NULL); /* Given back what was never given. */
}

static uint32_t toy_intern_get(struct port *port, const void *key, port_intern_fn complete)
{
    (void)port;
    uint64_t mixed = 0;
    for (size_t i = 0; i < PORT_INTERN_KEY; i++) {
        mixed = rng_mix(mixed ^ ((const uint8_t *)key)[i]);
    }
    uint32_t slot = (uint32_t)mixed % SLOT_COUNT;
    for (; world.slots[slot] != PORT_INTERN_NONE; slot = (slot + 1) % SLOT_COUNT) {
        const uint8_t *record = world.records + (size_t)world.slots[slot] * PORT_INTERN_RECORD;
        if (memcmp(record, key, PORT_INTERN_KEY) == 0) {
            return world.slots[slot];
        }
    }
    uint32_t handle = ++world.record_count;
    must(handle < RECORDS_MAX);
    uint8_t *record = world.records + (size_t)handle * PORT_INTERN_RECORD;
    memcpy(record, key, PORT_INTERN_KEY);
    world.prefixes[handle] = complete(record);
    world.slots[slot] = handle;
    return handle;
}

static void toy_intern_keep(struct port *port, uint32_t handle)
{
    (void)port;
    must(handle <= world.record_count); /* Records stay for the length of the test. */
}

static void toy_trace(struct port *port, const struct port_trace *event)
{
    (void)port;
    must(event->kind == TRACE_BROADCAST_NEW);
}

static const struct port_ops toy_ops = {
    .wake_at = toy_wake_at,
    .entropy = toy_entropy,
    .arena_more = toy_arena_more,
    .arena_less = toy_arena_less,
    .intern_get = toy_intern_get,
    .intern_retain = toy_intern_keep,
    .intern_release = toy_intern_keep,
    .trace = toy_trace,
};

/* --- dht ----------------------------------------------------------------------------------- */

static struct mesh_node *node_of_dht(const struct dht *dht)
{
    return (struct mesh_node *)(void *)dht;
}

static bool table_has(const struct mesh_node *node, uint32_t contact)
{
    for (uint32_t i = 0; i < node->table_count; i++) {
        if (world.prefixes[node->table[i]] == world.prefixes[contact]) {
            return true;
        }
    }
    return false;
}

static bool table_has_room(const struct mesh_node *node, const struct node_id *id)
{
    int shared = node_id_shared_bits(&node->identity.id, id);
    uint32_t beside = 0;
    for (uint32_t i = 0; i < node->table_count; i++) {
        const struct contact *contact = contact_at(&node->port, node->table[i]);
        if (node_id_equal(&contact->id, id)) {
            return false;
        }
        beside += node_id_shared_bits(&node->identity.id, &contact->id) == shared;
    }
    return shared < 160 && beside < MESH_K && node->table_count < MESH_TABLE_MAX;
}

/* What node.c does when transport has seen a round trip. */
static bool table_verified(struct mesh_node *node, uint32_t contact)
{
    if (!table_has_room(node, &contact_at(&node->port, contact)->id)) {
        return false;
    }
    node->table[node->table_count++] = contact;
    gossip_on_change(&node->gossip);
    return true;
}

uint32_t dht_contact_count(const struct dht *dht)
{
    return node_of_dht(dht)->table_count;
}

bool dht_is_seeking(const struct dht *dht)
{
    return !node_of_dht(dht)->is_content;
}

uint32_t dht_contacts(const struct dht *dht, uint32_t *handles, uint32_t max)
{
    const struct mesh_node *node = node_of_dht(dht);
    uint32_t found = node->table_count < max ? node->table_count : max;
    memcpy(handles, node->table, found * sizeof *handles);
    return found;
}

uint32_t dht_sample(struct dht *dht, uint32_t *handles, uint32_t max)
{
    struct mesh_node *node = node_of_dht(dht);
    uint32_t all[MESH_TABLE_MAX];
    uint32_t left = dht_contacts(dht, all, MESH_TABLE_MAX);
    uint32_t found = 0;
    while (left > 0 && found < max) {
        uint32_t drawn = (uint32_t)rng_below(&node->core.rng, left);
        handles[found++] = all[drawn];
        all[drawn] = all[--left];
    }
    return found;
}

uint32_t dht_nearest(const struct dht *dht, const struct node_id *target, uint32_t *handles,
                     uint32_t max)
{
    const struct mesh_node *node = node_of_dht(dht);
    uint32_t found = 0;
    for (uint32_t i = 0; i < node->table_count; i++) {
        const struct node_id *id = &contact_at(&node->port, node->table[i])->id;
        uint32_t place = found;
        while (place > 0 &&
               node_id_closer(id, &contact_at(&node->port, handles[place - 1])->id, target) < 0) {
            place--;
        }
        if (place == max) {
            continue;
        }
        found += found < max;
        memmove(handles + place + 1, handles + place, (found - 1 - place) * sizeof *handles);
        handles[place] = node->table[i];
    }
    return found;
}

bool dht_is_wanted(const struct dht *dht, const struct node_id *id, const struct port_addr *addr)
{
    (void)addr;
    return table_has_room(node_of_dht(dht), id);
}

/* --- transport ----------------------------------------------------------------------------- */

static bool is_lost(void)
{
    return rng_below(&mesh.rng, 1000) < mesh.options.loss_in_1000;
}

static uint64_t latency_us(void)
{
    uint64_t span_us = mesh.options.latency_max_us - mesh.options.latency_min_us;
    return mesh.options.latency_min_us + rng_below(&mesh.rng, span_us + 1);
}

static void call_transmit(uint32_t number)
{
    struct call *call = &world.calls[number];
    call->tries++;
    mesh.transmissions++;
    if (!is_lost()) {
        event_push((struct event){
            .due_us = mesh.now_us + latency_us(), .kind = EVENT_REQUEST, .subject = number});
    }
    event_push((struct event){
        .due_us = mesh.now_us + MESH_RETRY_US, .kind = EVENT_RETRY, .subject = number});
}

int transport_call(struct transport *transport, uint32_t peer, const struct message *request,
                   const struct call_options *options)
{
    struct mesh_node *node = (struct mesh_node *)(void *)transport;
    if (world.call_count == world.call_cap) {
        world.calls = grown(world.calls, &world.call_cap, sizeof *world.calls);
    }
    uint8_t bytes[MESSAGE_MAX];
    uint32_t number = world.call_count++;
    struct call *call = &world.calls[number];
    *call = (struct call){
        .from = number_of(node),
        .peer = peer,
        .options = *options,
        .len = message_encode(&node->port, request, bytes, sizeof bytes),
        .begun_us = mesh.now_us,
    };
    must(call->len > 0);
    call->bytes = zeroed((size_t)call->len, 1);
    memcpy(call->bytes, bytes, (size_t)call->len);
    node->calls_open++;

    must(mesh.sent_count < SENT_MAX);
    mesh.sent[mesh.sent_count++] = (struct mesh_sent){
        .at_us = mesh.now_us,
        .from = number_of(node),
        .to = mesh_node_of(peer),
        .kind = request->kind,
        .ttl = request->kind == MESSAGE_EXCHANGE ? request->exchange.ttl : 0,
        .hops = request->kind == MESSAGE_BROADCAST ? request->broadcast.hops : 0,
        .bloom_len = request->kind == MESSAGE_EXCHANGE ? (uint16_t)request->exchange.bloom.len : 0,
        .addr = contact_at(&node->port, peer)->addr,
    };
    call_transmit(number);
    return (int)number + 1;
}

void transport_offend(struct transport *transport, uint32_t peer, enum guard_offence which)
{
    struct mesh_node *node = (struct mesh_node *)(void *)transport;
    must(peer != PORT_INTERN_NONE && which == GUARD_FORGED);
    node->offences++;
}

int transport_reply(struct transport *transport, const struct message_from *from,
                    struct message *reply)
{
    struct mesh_node *node = (struct mesh_node *)(void *)transport;
    reply->call = from->call;
    uint8_t bytes[MESSAGE_MAX];
    int len = message_encode(&node->port, reply, bytes, from->answer_max);
    must(len > 0);
    if (!is_lost()) {
        uint8_t *copy = zeroed((size_t)len, 1);
        memcpy(copy, bytes, (size_t)len);
        event_push((struct event){.due_us = mesh.now_us + latency_us(),
                                  .kind = EVENT_ANSWER,
                                  .subject = from->call,
                                  .bytes = copy,
                                  .len = len});
    }
    return ERR_OK;
}

static void call_end(uint32_t number, enum call_outcome outcome, const struct message *answer)
{
    struct call *call = &world.calls[number];
    struct call_options options = call->options;
    struct call_result result = {.outcome = outcome,
                                 .peer = call->peer,
                                 .tag = options.tag,
                                 .rtt_us = (uint32_t)(mesh.now_us - call->begun_us),
                                 .answer = answer};
    if (outcome != CALL_SLOW) {
        call->is_done = true;
        mesh.nodes[call->from].calls_open--;
    }
    options.done(options.owner, &result); /* May start calls: `call` is stale from here on. */
}

/* Entering a node fixes its clock. */
static struct mesh_node *enter(uint32_t number)
{
    struct mesh_node *node = &mesh.nodes[number];
    node->port.now_us = mesh.now_us;
    return node;
}

static void on_wake(struct mesh_node *node)
{
    if (!node->is_dead) {
        timerq_fire_due(&node->core.timers);
        timerq_settle(&node->core.timers);
    }
}

static void on_request(uint32_t number)
{
    const struct call *call = &world.calls[number];
    struct mesh_node *node = enter(mesh_node_of(call->peer));
    if (node->is_dead) {
        return;
    }
    struct message request;
    must(message_decode(&node->port, slice_of(call->bytes, (size_t)call->len), &request));
    struct message_from from = {
        .peer = mesh.nodes[call->from].contact,
        .is_verified = true,
        .call = number,
        .answer_max = message_answer_max(&request),
    };
    table_verified(node, from.peer);
    struct transport *transport = (struct transport *)(void *)node;
    struct message pong = {.kind = MESSAGE_PONG};
    struct message forged = {.kind = MESSAGE_PEERS};
    switch (request.kind) {
    case MESSAGE_EXCHANGE:
        if (mesh.forged == NULL) {
            gossip_on_exchange(&node->gossip, &from, &request.exchange);
        } else {
            forged.peers.contacts = *mesh.forged;
            transport_reply(transport, &from, &forged);
        }
        break;
    case MESSAGE_BROADCAST:
        gossip_on_broadcast(&node->gossip, &from, &request.broadcast);
        break;
    default:
        must(request.kind == MESSAGE_PING);
        pong.pong.nonce = request.ping.nonce;
        transport_reply(transport, &from, &pong);
    }
    timerq_settle(&node->core.timers);
}

static void on_answer(const struct event *event)
{
    struct call *call = &world.calls[event->subject];
    struct mesh_node *node = enter(call->from);
    if (call->is_done || node->is_dead) {
        return;
    }
    struct message answer;
    must(message_decode(&node->port, slice_of(event->bytes, (size_t)event->len), &answer));
    table_verified(node, call->peer);
    call_end(event->subject, CALL_ANSWERED, &answer);
    message_release(&node->port, &answer);
    timerq_settle(&node->core.timers);
}

static void on_retry(uint32_t number)
{
    struct mesh_node *node = enter(world.calls[number].from);
    if (world.calls[number].is_done || node->is_dead) {
        return;
    }
    if (world.calls[number].tries == 1) {
        call_end(number, CALL_SLOW, NULL);
    }
    if (world.calls[number].tries < MESH_TRIES_MAX) {
        call_transmit(number);
    } else {
        call_end(number, CALL_LOST, NULL);
    }
    timerq_settle(&node->core.timers);
}

/* --- the mesh ------------------------------------------------------------------------------ */

static void on_news(void *arg, const struct message_broadcast *broadcast)
{
    struct mesh_node *node = arg;
    node->news++;
    node->news_last = *broadcast;
    memcpy(node->news_bytes, broadcast->payload.data, broadcast->payload.len);
    node->news_last.payload.data = node->news_bytes;
}

static uint32_t no_priority(void *arg, uint32_t peer)
{
    (void)arg;
    (void)peer;
    return 0;
}

static void node_open(uint32_t number)
{
    struct mesh_node *node = &mesh.nodes[number];
    node->port = (struct port){
        .ops = &toy_ops, .crypto = &toy_suite, .intern = &world.intern, .now_us = mesh.now_us};
    node->core.port = &node->port;
    arena_init(&node->core.arena, &node->port);
    timerq_init(&node->core.timers, &node->port, &node->core.arena);
    rng_stream(&node->core.rng, mesh.options.seed, "node", number, 0);

    uint8_t seed[CRYPTO_SEED_LEN] = {0};
    toy_entropy(&node->port, seed, sizeof seed);
    toy_suite.sign_keypair(seed, node->identity.public_key, node->identity.secret_key);
    contact_id(&node->identity.id, node->identity.public_key);
    struct port_addr addr = {
        .ip = {[10] = 0xff, 0xff, 10, (uint8_t)(number >> 8), (uint8_t)number, 1}, .port = {1, 1}};
    node->contact = contact_intern(&node->port, node->identity.public_key, &addr);
    must(node->contact == number + 1);
}

void mesh_open(const struct mesh_options *options)
{
    mesh = (struct mesh){
        .options = *options, .now_us = 3600 * (uint64_t)SECOND_US, .priority = no_priority};
    mesh.nodes = zeroed(options->nodes, sizeof *mesh.nodes);
    mesh.sent = zeroed(SENT_MAX, sizeof *mesh.sent);
    rng_stream(&mesh.rng, options->seed, "mesh", 0, 0);
    world.records = zeroed(RECORDS_MAX, PORT_INTERN_RECORD);
    world.prefixes = zeroed(RECORDS_MAX, sizeof *world.prefixes);
    world.slots = zeroed(SLOT_COUNT, sizeof *world.slots);
    world.intern = (struct port_intern){.records = world.records, .prefixes = world.prefixes};
    for (uint32_t i = 0; i < options->nodes; i++) {
        node_open(i);
    }
}

void mesh_close(void)
{
    for (uint32_t i = 0; i < world.count; i++) {
        free(world.heap[i].bytes);
    }
    for (uint32_t i = 0; i < world.call_count; i++) {
        free(world.calls[i].bytes);
    }
    for (uint32_t i = 0; i < world.chunk_count; i++) {
        free(world.chunks[i]);
    }
    free(world.heap);
    free(world.calls);
    free(world.chunks);
    free(world.records);
    free(world.prefixes);
    free(world.slots);
    free(mesh.nodes);
    free(mesh.sent);
    memset(&world, 0, sizeof world);
}

void mesh_start(uint32_t number)
{
    struct mesh_node *node = &mesh.nodes[number];
    struct gossip_hooks hooks = {.arg = node, .news = on_news, .priority = mesh.priority};
    node->port.now_us = mesh.now_us;
    must(gossip_init(&node->gossip, &node->core, &mesh.options.gossip, &node->identity,
                     (struct transport *)(void *)node, (struct dht *)(void *)node,
                     &hooks) == ERR_OK);
    gossip_start(&node->gossip);
    timerq_settle(&node->core.timers);
}

bool mesh_know(uint32_t node, uint32_t peer)
{
    return table_verified(&mesh.nodes[node], mesh.nodes[peer].contact);
}

bool mesh_knows(uint32_t node, uint32_t peer)
{
    return table_has(&mesh.nodes[node], mesh.nodes[peer].contact);
}

void mesh_grow_tables(void)
{
    uint32_t *order = zeroed(mesh.options.nodes, sizeof *order);
    for (uint32_t newcomer = 0; newcomer < mesh.options.nodes; newcomer++) {
        order[newcomer] = newcomer;
        for (uint32_t i = newcomer; i > 1; i--) {
            uint32_t other = (uint32_t)rng_below(&mesh.rng, i);
            uint32_t moved = order[other];
            order[other] = order[i - 1];
            order[i - 1] = moved;
        }
        for (uint32_t i = 0; i < newcomer; i++) {
            mesh_know(newcomer, order[i]);
            mesh_know(order[i], newcomer);
        }
    }
    free(order);
}

void mesh_run_until(uint64_t until_us)
{
    while (world.count > 0 && world.heap[0].due_us <= until_us) {
        struct event event = event_pop();
        mesh.now_us = event.due_us;
        switch (event.kind) {
        case EVENT_WAKE:
            on_wake(enter(event.subject));
            break;
        case EVENT_REQUEST:
            on_request(event.subject);
            break;
        case EVENT_ANSWER:
            on_answer(&event);
            break;
        case EVENT_RETRY:
            on_retry(event.subject);
            break;
        }
        free(event.bytes);
    }
    mesh.now_us = until_us;
    for (uint32_t i = 0; i < mesh.options.nodes; i++) {
        mesh.nodes[i].port.now_us = until_us;
    }
}

static void on_asked(void *owner, const struct call_result *result)
{
    struct message *answer = owner;
    if (result->outcome == CALL_ANSWERED) {
        *answer = *result->answer; /* Handles stay valid: no record of this world is ever freed. */
    }
}

void mesh_ask(uint32_t from, uint32_t to, const struct message *request, struct message *answer)
{
    answer->kind = 0;
    struct call_options options = {.done = on_asked, .owner = answer};
    must(transport_call((struct transport *)(void *)&mesh.nodes[from], mesh.nodes[to].contact,
                        request, &options) > 0);
}

uint32_t mesh_node_of(uint32_t contact)
{
    if (contact > mesh.options.nodes) { /* A key of ours at another address. */
        const struct contact *wanted = contact_at(&mesh.nodes[0].port, contact);
        for (contact = 1; contact <= mesh.options.nodes; contact++) {
            if (world.prefixes[contact] == node_id_prefix(&wanted->id)) {
                break;
            }
        }
    }
    must(contact <= mesh.options.nodes);
    return contact - 1;
}

uint32_t mesh_sent_count(uint8_t kind, uint32_t since)
{
    uint32_t found = 0;
    for (uint32_t i = since; i < mesh.sent_count; i++) {
        found += mesh.sent[i].kind == kind;
    }
    return found;
}

uint32_t mesh_heard(uint32_t count)
{
    uint32_t heard = 0;
    for (uint32_t i = 0; i < mesh.options.nodes; i++) {
        heard += mesh.nodes[i].news == count;
    }
    return heard;
}

const char *mesh_check(void)
{
    for (uint32_t i = 0; i < mesh.options.nodes; i++) {
        const char *wrong = gossip_check(&mesh.nodes[i].gossip);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}
