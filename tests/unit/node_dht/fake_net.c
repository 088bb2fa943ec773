/* fake_net.c - the event queue, the fake transport, the fake host, and helpers of the tests. */
#include "fake_net.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/hash.h"
#include "node/base/must.h"
#include "node/wire/codec.h"

enum {
    NODES_MAX = 4096,
    CALLS_OPEN_MAX = 128,
    LATENCY_MIN_US = 10000, /* Each end's share of a one-way trip. */
    LATENCY_SPREAD_US = 40000,
    SLOW_US = 350000,
    LOST_US = 3000000,
    RETRANSMIT_US = 800000,
    FLUSH_US = 2000,
    RECORDS_MAX = 1 << 16,
    SLOTS = 1 << 18,
};

enum event_kind {
    EVENT_REQUEST,
    EVENT_REPLY,
    EVENT_SLOW,
    EVENT_LOST,
    EVENT_WAKE,
    EVENT_DURABLE,
    EVENT_VERIFIED,
};

struct event {
    uint64_t at_us;
    uint64_t order;
    enum event_kind kind;
    uint32_t node;
    uint32_t incarnation; /* Of the node: what was meant for an earlier one is not delivered. */
    uint64_t value;       /* Call number, ticket or contact. */
};

struct call {
    uint32_t node; /* Who asked. */
    uint32_t to;
    uint32_t peer; /* PORT_INTERN_NONE for a call by address. */
    struct call_options options;
    uint64_t started_us;
    uint16_t request_len;
    uint16_t reply_len;
    uint8_t request[MESSAGE_MAX];
    uint8_t reply[MESSAGE_MAX];
};

struct net_blob {
    uint8_t key[PORT_KEY_MAX];
    size_t key_len;
    uint8_t *value;
    size_t value_len;
};

struct net {
    struct dht_config config;
    struct rng dice;
    uint64_t seed;
    uint64_t now_us;
    uint64_t wall_us;
    uint32_t loss_per_mille;

    struct net_node *nodes[NODES_MAX];
    uint32_t node_count;

    struct event *heap;
    uint32_t event_count;
    uint32_t event_cap;
    uint64_t event_order;

    struct call **calls; /* By number. */
    uint32_t call_count;
    uint32_t call_cap;

    struct port_intern intern;
    uint8_t *records;
    uint64_t *prefixes;
    uint32_t *references;
    uint32_t *slots; /* Hash table of handles. */
    uint32_t record_count;
};

/* --- event queue --------------------------------------------------------------------------- */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

static void post(struct net *net, uint64_t delay_us, enum event_kind kind, uint32_t node,
                 uint64_t value)
{
    if (net->event_count == net->event_cap) {
        net->event_cap = net->event_cap == 0 ? 1024 : net->event_cap * 2;
        net->heap = realloc(net->heap, net->event_cap * sizeof *net->heap);
        must(net->heap != NULL);
    }
    struct event event = {.at_us = net->now_us + delay_us,
                          .order = ++net->event_order,
                          .kind = kind,
                          .node = node,
                          .incarnation = net->nodes[node]->incarnation,
                          .value = value};
    uint32_t place = net->event_count++;
    while (place > 0 && is_before(&event, &net->heap[(place - 1) / 2])) {
        net->heap[place] = net->heap[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    net->heap[place] = event;
}

static struct event take(struct net *net)
{
    struct event first = net->heap[0];
    struct event last = net->heap[--net->event_count];
    uint32_t place = 0;
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= net->event_count) {
            break;
        }
        if (child + 1 < net->event_count && is_before(&net->heap[child + 1], &net->heap[child])) {
            child++;
        }
        if (!is_before(&net->heap[child], &last)) {
            break;
        }
        net->heap[place] = net->heap[child];
        place = child;
    }
    net->heap[place] = last;
    return first;
}

/* --- the host ------------------------------------------------------------------------------ */

static struct net_node *node_of(struct port *port)
{
    return container_of(port, struct net_node, port);
}

static void host_wake_at(struct port *port, uint64_t due_us)
{
    struct net_node *node = node_of(port);
    node->wake_us = due_us;
    if (due_us != PORT_NEVER) {
        uint64_t now_us = node->net->now_us;
        post(node->net, due_us > now_us ? due_us - now_us : 0, EVENT_WAKE, node->index, due_us);
    }
}

static void host_entropy(struct port *port, void *buffer, size_t len)
{
    uint8_t *bytes = buffer;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)rng_next(&node_of(port)->net->dice);
    }
}

static struct net_blob *find_blob(struct net_node *node, struct slice key)
{
    for (uint32_t i = 0; i < node->blob_count; i++) {
        struct net_blob *blob = &node->blobs[i];
        if (blob->key_len == key.len && memcmp(blob->key, key.data, key.len) == 0) {
            return blob;
        }
    }
    return NULL;
}

static int host_store_get(struct port *port, struct slice key, void *buffer, size_t cap,
                          size_t *len)
{
    const struct net_blob *blob = find_blob(node_of(port), key);
    if (blob == NULL) {
        return ERR_MISSING;
    }
    *len = blob->value_len;
    if (blob->value_len > cap) {
        return ERR_TOO_LARGE;
    }
    memcpy(buffer, blob->value, blob->value_len);
    return ERR_OK;
}

static int host_store_put(struct port *port, struct slice key, struct slice value)
{
    struct net_node *node = node_of(port);
    must(key.len <= PORT_KEY_MAX && value.len <= PORT_VALUE_MAX);
    if (node->is_disk_refusing) {
        return ERR_IO;
    }
    struct net_blob *blob = find_blob(node, key);
    if (blob == NULL) {
        node->blobs = realloc(node->blobs, (node->blob_count + 1) * sizeof *node->blobs);
        must(node->blobs != NULL);
        blob = &node->blobs[node->blob_count++];
        *blob = (struct net_blob){.key_len = key.len};
        memcpy(blob->key, key.data, key.len);
    }
    blob->value = realloc(blob->value, value.len + 1);
    must(blob->value != NULL);
    memcpy(blob->value, value.data, value.len);
    blob->value_len = value.len;
    return ERR_OK;
}

static int host_store_del(struct port *port, struct slice key)
{
    struct net_node *node = node_of(port);
    struct net_blob *blob = find_blob(node, key);
    if (blob == NULL) {
        return ERR_MISSING;
    }
    free(blob->value);
    *blob = node->blobs[--node->blob_count];
    return ERR_OK;
}

static int host_store_scan(struct port *port, struct slice prefix, port_scan_fn visit, void *arg)
{
    struct net_node *node = node_of(port);
    for (uint32_t i = 0; i < node->blob_count; i++) {
        const struct net_blob *blob = &node->blobs[i];
        if (blob->key_len >= prefix.len && memcmp(blob->key, prefix.data, prefix.len) == 0 &&
            !visit(arg, slice_of(blob->key, blob->key_len),
                   slice_of(blob->value, blob->value_len))) {
            break;
        }
    }
    return ERR_OK;
}

static int host_store_commit(struct port *port, uint64_t ticket)
{
    post(node_of(port)->net, FLUSH_US, EVENT_DURABLE, node_of(port)->index, ticket);
    return ERR_OK;
}

static uint32_t host_intern_get(struct port *port, const void *key, port_intern_fn complete)
{
    struct net *net = node_of(port)->net;
    uint64_t hash = 0;
    for (uint32_t i = 0; i < PORT_INTERN_KEY; i += 8) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)key + i, sizeof word);
        hash = rng_mix(hash ^ word);
    }
    uint32_t slot = (uint32_t)hash % SLOTS;
    for (; net->slots[slot] != 0; slot = (slot + 1) % SLOTS) {
        uint32_t handle = net->slots[slot];
        if (memcmp(net->records + (size_t)handle * PORT_INTERN_RECORD, key, PORT_INTERN_KEY) == 0) {
            net->references[handle]++;
            return handle;
        }
    }
    uint32_t handle = ++net->record_count;
    must(handle < RECORDS_MAX);
    uint8_t *record = net->records + (size_t)handle * PORT_INTERN_RECORD;
    memcpy(record, key, PORT_INTERN_KEY);
    net->prefixes[handle] = complete(record);
    net->references[handle] = 1;
    net->slots[slot] = handle;
    return handle;
}

/* A handle without references stays in its place, but nobody may use it: the count tells. */
static void host_intern_retain(struct port *port, uint32_t handle)
{
    must(node_of(port)->net->references[handle] > 0);
    node_of(port)->net->references[handle]++;
}

static void host_intern_release(struct port *port, uint32_t handle)
{
    must(node_of(port)->net->references[handle] > 0);
    node_of(port)->net->references[handle]--;
}

static void *host_arena_more(struct port *port, size_t bytes, size_t *given)
{
    struct net_node *node = node_of(port);
    if (node->chunks_left == 0) {
        return NULL;
    }
    node->chunks_left--;
    node->chunks = realloc(node->chunks, (node->chunk_count + 1) * sizeof *node->chunks);
    must(node->chunks != NULL);
    void *chunk = calloc(1, bytes);
    must(chunk != NULL);
    node->chunks[node->chunk_count++] = chunk;
    node->bytes_given += bytes;
    *given = bytes;
    return chunk;
}

static void host_arena_less(struct port *port, void *given)
{
    struct net_node *node = node_of(port);
    for (uint32_t i = 0; i < node->chunk_count; i++) {
        if (node->chunks[i] == given) {
            free(given);
            node->chunks[i] = node->chunks[--node->chunk_count];
            return;
        }
    }
    must(given == NULL); /* Given back what was never given. */
}

static void host_trace(struct port *port, const struct port_trace *event)
{
    (void)port;
    must(event->kind < TRACE_KIND_COUNT);
}

static const struct port_ops ops = {
    .wake_at = host_wake_at,
    .entropy = host_entropy,
    .store_get = host_store_get,
    .store_put = host_store_put,
    .store_del = host_store_del,
    .store_scan = host_store_scan,
    .store_commit = host_store_commit,
    .intern_get = host_intern_get,
    .intern_retain = host_intern_retain,
    .intern_release = host_intern_release,
    .arena_more = host_arena_more,
    .arena_less = host_arena_less,
    .trace = host_trace,
};

/* A signature anybody could make, but no altered byte passes: enough for what is tested here. */
static void fake_sign(uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                      const uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    hash_domain(signature, CRYPTO_SIGNATURE_LEN, "fake signature",
                slice_of(secret_key + CRYPTO_SEED_LEN, CRYPTO_PUBLIC_LEN), message);
}

static bool fake_verify(const uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                        const uint8_t public_key[CRYPTO_PUBLIC_LEN])
{
    uint8_t expected[CRYPTO_SIGNATURE_LEN];
    hash_domain(expected, sizeof expected, "fake signature",
                slice_of(public_key, CRYPTO_PUBLIC_LEN), message);
    return memcmp(expected, signature, sizeof expected) == 0;
}

static const struct port_crypto crypto = {.name = "fake", .sign = fake_sign, .verify = fake_verify};

/* --- the transport ------------------------------------------------------------------------- */

static uint64_t latency_us(struct net *net, uint32_t a, uint32_t b)
{
    uint64_t share = rng_stream_seed(net->seed, "access", a, 0) % LATENCY_SPREAD_US +
                     rng_stream_seed(net->seed, "access", b, 0) % LATENCY_SPREAD_US;
    uint64_t trip_us = 2 * LATENCY_MIN_US + share;
    trip_us += rng_below(&net->dice, trip_us / 4);
    for (uint32_t tries = 1; rng_below(&net->dice, 1000) < net->loss_per_mille; tries++) {
        if (tries == 3) {
            return PORT_NEVER;
        }
        trip_us += RETRANSMIT_US;
    }
    return trip_us;
}

static uint32_t index_of_addr(const struct port_addr *addr)
{
    return (uint32_t)addr->port[0] << 8 | addr->port[1];
}

static int start_call(struct net_node *node, uint32_t peer, const struct port_addr *addr,
                      const struct message *request, const struct call_options *options)
{
    struct net *net = node->net;
    must(request->kind == MESSAGE_PING || message_class_of(request->kind) != MESSAGE_REPLY);
    must(options->done != NULL);
    if (node->calls_open == CALLS_OPEN_MAX) {
        return ERR_FULL;
    }
    if (net->call_count == net->call_cap) {
        net->call_cap = net->call_cap == 0 ? 1024 : net->call_cap * 2;
        net->calls = realloc(net->calls, net->call_cap * sizeof *net->calls);
        must(net->calls != NULL);
    }
    struct call *call = calloc(1, sizeof *call);
    must(call != NULL);
    uint32_t number = net->call_count++;
    net->calls[number] = call;
    *call = (struct call){
        .node = node->index, .peer = peer, .options = *options, .started_us = net->now_us};
    call->request_len =
        (uint16_t)message_encode(&node->port, request, call->request, sizeof call->request);
    if (peer != PORT_INTERN_NONE) {
        node->port.ops->intern_retain(&node->port, peer);
    }
    node->calls_open++;
    uint32_t to = index_of_addr(addr);
    call->to = to;
    bool is_there = to < net->node_count && port_addr_equal(&net->nodes[to]->addr, addr) &&
                    (peer == PORT_INTERN_NONE || net->nodes[to]->contact == peer);
    uint64_t trip_us = is_there ? latency_us(net, node->index, to) : PORT_NEVER;
    if (trip_us != PORT_NEVER) {
        post(net, trip_us, EVENT_REQUEST, to, number);
    }
    post(net, SLOW_US, EVENT_SLOW, node->index, number);
    post(net, LOST_US, EVENT_LOST, node->index, number);
    return (int)number + 1;
}

int transport_call(struct transport *transport, uint32_t peer, const struct message *request,
                   const struct call_options *options)
{
    struct net_node *node = container_of(transport, struct net_node, transport);
    must(peer != PORT_INTERN_NONE);
    return start_call(node, peer, &contact_at(&node->port, peer)->addr, request, options);
}

int transport_call_addr(struct transport *transport, const struct port_addr *addr,
                        const struct message *request, const struct call_options *options)
{
    struct net_node *node = container_of(transport, struct net_node, transport);
    return start_call(node, PORT_INTERN_NONE, addr, request, options);
}

int transport_reply(struct transport *transport, const struct message_from *from,
                    struct message *reply)
{
    struct net_node *node = container_of(transport, struct net_node, transport);
    struct net *net = node->net;
    struct call *call = net->calls[from->call];
    must(message_class_of(reply->kind) == MESSAGE_REPLY);
    if (call == NULL) {
        return ERR_MISSING; /* Who asked has given up. */
    }
    must(call->reply_len == 0); /* One answer per request. */
    reply->call = from->call;
    size_t cap = from->answer_max < sizeof call->reply ? from->answer_max : sizeof call->reply;
    int len = message_encode(&node->port, reply, call->reply, cap);
    must(len > 0);
    call->reply_len = (uint16_t)len;
    uint64_t trip_us = latency_us(net, node->index, call->node);
    if (trip_us != PORT_NEVER) {
        post(net, trip_us + node->delay_us, EVENT_REPLY, call->node, from->call);
    }
    return ERR_OK;
}

/* Answers that are still under way find nobody waiting. */
static void close_call(struct net *net, uint32_t number)
{
    struct call *call = net->calls[number];
    struct net_node *node = net->nodes[call->node];
    node->calls_open--;
    if (call->peer != PORT_INTERN_NONE) {
        node->port.ops->intern_release(&node->port, call->peer);
    }
    free(call);
    net->calls[number] = NULL;
}

/* Twenty contacts that do not exist. */
static void lie(struct net_node *node, struct message *reply)
{
    reply->kind = MESSAGE_NODES;
    reply->nodes.contacts.count = 0;
    for (uint32_t i = 0; i < MESSAGE_CONTACTS_MAX; i++) {
        uint8_t key[CRYPTO_PUBLIC_LEN];
        host_entropy(&node->port, key, sizeof key);
        struct port_addr addr = net_addr((uint32_t)rng_below(&node->net->dice, 60000));
        addr.port[0] = 0xff; /* Nobody is there. */
        reply->nodes.contacts.handles[reply->nodes.contacts.count++] =
            contact_intern(&node->port, key, &addr);
    }
}

static void on_request(struct net_node *node, uint32_t number)
{
    struct net *net = node->net;
    const struct call *call = net->calls[number];
    if (call == NULL) {
        return;
    }
    struct net_node *asker = net->nodes[call->node];
    struct message request;
    must(message_decode(&node->port, slice_of(call->request, call->request_len), &request));
    node->requests_got[request.kind]++;
    const struct contact *contact = contact_at(&node->port, asker->contact);
    if (dht_is_wanted(&node->dht, &contact->id, &contact->addr)) {
        uint64_t trip_us = latency_us(net, node->index, asker->index);
        if (trip_us != PORT_NEVER) {
            post(net, 2 * trip_us, EVENT_VERIFIED, node->index, asker->contact);
        }
    }
    struct message_from from = {.peer = asker->contact,
                                .is_verified = true,
                                .call = number,
                                .answer_max = message_answer_max(&request)};
    struct message reply = {0};
    switch (request.kind) {
    case MESSAGE_PING:
        reply.kind = MESSAGE_PONG;
        reply.pong.nonce = request.ping.nonce;
        reply.pong.observed = asker->addr;
        transport_reply(&node->transport, &from, &reply);
        break;
    case MESSAGE_FIND_NODE:
        if (node->is_liar) {
            lie(node, &reply);
            transport_reply(&node->transport, &from, &reply);
            message_release(&node->port, &reply);
        } else {
            dht_on_find_node(&node->dht, &from, &request.find_node);
        }
        break;
    case MESSAGE_FIND_VALUE:
        dht_on_find_value(&node->dht, &from, &request.find_value);
        break;
    default:
        must(request.kind == MESSAGE_STORE);
        dht_on_store(&node->dht, &from, &request.store);
        break;
    }
    message_release(&node->port, &request);
}

static void on_reply(struct net_node *node, uint32_t number)
{
    struct net *net = node->net;
    struct call *call = net->calls[number];
    if (call == NULL) {
        return;
    }
    struct message answer;
    must(message_decode(&node->port, slice_of(call->reply, call->reply_len), &answer));
    uint32_t rtt_us = (uint32_t)(net->now_us - call->started_us);
    uint32_t peer = net->nodes[call->to]->contact;
    dht_on_verified(&node->dht, peer, rtt_us);
    struct call_result result = {.outcome = CALL_ANSWERED,
                                 .peer = peer,
                                 .tag = call->options.tag,
                                 .rtt_us = rtt_us,
                                 .answer = &answer};
    call->options.done(call->options.owner, &result);
    close_call(net, number);
    message_release(&node->port, &answer);
}

static void on_silence(struct net_node *node, uint32_t number, enum call_outcome outcome)
{
    struct call *call = node->net->calls[number];
    if (call == NULL) {
        return;
    }
    if (outcome == CALL_LOST && call->peer != PORT_INTERN_NONE) {
        dht_on_lost(&node->dht, call->peer);
    }
    struct call_result result = {.outcome = outcome, .peer = call->peer, .tag = call->options.tag};
    call->options.done(call->options.owner, &result);
    if (outcome == CALL_LOST) {
        close_call(node->net, number);
    }
}

static void dispatch(struct net *net, const struct event *event)
{
    struct net_node *node = net->nodes[event->node];
    if (!node->is_alive || node->incarnation != event->incarnation) {
        return;
    }
    net_set_clock(node);
    switch (event->kind) {
    case EVENT_REQUEST:
        on_request(node, (uint32_t)event->value);
        break;
    case EVENT_REPLY:
        on_reply(node, (uint32_t)event->value);
        break;
    case EVENT_SLOW:
        on_silence(node, (uint32_t)event->value, CALL_SLOW);
        break;
    case EVENT_LOST:
        on_silence(node, (uint32_t)event->value, CALL_LOST);
        break;
    case EVENT_WAKE:
        if (node->wake_us == event->value) {
            node->wake_us = PORT_NEVER;
            timerq_fire_due(&node->core.timers);
        }
        break;
    case EVENT_DURABLE:
        if (node->is_disk_stuck) {
            post(net, 10 * FLUSH_US, EVENT_DURABLE, node->index, event->value);
            break;
        }
        dht_on_durable(&node->dht, event->value, node->is_disk_failing ? ERR_IO : ERR_OK);
        break;
    case EVENT_VERIFIED:
        dht_on_verified(&node->dht, (uint32_t)event->value, 0);
        break;
    }
    timerq_settle(&node->core.timers);
}

/* --- nodes --------------------------------------------------------------------------------- */

static struct net_node *add(struct net *net, const struct port_addr *addr, uint32_t chunks);
static int boot(struct net_node *node);
static void shut_down(struct net_node *node);
static void on_joined(void *owner, int status, uint32_t took_us);

struct dht_config net_config(void)
{
    return (struct dht_config){.k = 20,
                               .alpha = 3,
                               .group_bucket_max = 2,
                               .group_table_max = 3,
                               .group_result_max = 3,
                               .store_ack_min = 3,
                               .read_agree_min = 3,
                               .lookups_max = 8,
                               .path_cache = false,
                               .refresh_us = 600 * SECOND,
                               .join_spread_us = 120 * SECOND,
                               .republish_us = 3600 * SECOND,
                               .check_us = 300 * SECOND,
                               .records_max = 512,
                               .expiry_s = RECORD_EXPIRY_MAX_S};
}

struct net *net_open(uint64_t seed, const struct dht_config *config)
{
    struct net *net = calloc(1, sizeof *net);
    must(net != NULL);
    net->config = *config;
    net->seed = seed;
    net->now_us = 1000 * SECOND;
    net->wall_us = UINT64_C(1700000000) * SECOND;
    rng_stream(&net->dice, seed, "fake net", 0, 0);
    net->records = calloc(RECORDS_MAX, PORT_INTERN_RECORD);
    net->prefixes = calloc(RECORDS_MAX, sizeof *net->prefixes);
    net->references = calloc(RECORDS_MAX, sizeof *net->references);
    net->slots = calloc(SLOTS, sizeof *net->slots);
    must(net->records != NULL && net->prefixes != NULL && net->references != NULL &&
         net->slots != NULL);
    net->intern = (struct port_intern){.records = net->records, .prefixes = net->prefixes};
    return net;
}

bool net_close(struct net *net)
{
    for (uint32_t i = 0; i < net->node_count; i++) {
        struct net_node *node = net->nodes[i];
        if (node->is_alive) {
            shut_down(node);
        }
        node->port.ops->intern_release(&node->port, node->contact);
    }
    uint32_t references = 0;
    for (uint32_t i = 1; i <= net->record_count; i++) {
        references += net->references[i];
    }
    for (uint32_t i = 0; i < net->node_count; i++) {
        struct net_node *node = net->nodes[i];
        for (uint32_t j = 0; j < node->blob_count; j++) {
            free(node->blobs[j].value);
        }
        free(node->blobs);
        free(node);
    }
    for (uint32_t i = 0; i < net->call_count; i++) {
        free(net->calls[i]);
    }
    free(net->calls);
    free(net->heap);
    free(net->records);
    free(net->prefixes);
    free(net->references);
    free(net->slots);
    free(net);
    return references == 0;
}

struct net_node *net_add(struct net *net)
{
    struct port_addr addr = net_addr(net->node_count);
    return add(net, &addr, UINT32_MAX);
}

struct net_node *net_add_at(struct net *net, const struct port_addr *addr)
{
    must(index_of_addr(addr) == net->node_count);
    return add(net, addr, UINT32_MAX);
}

struct net_node *net_add_poor(struct net *net, uint32_t chunks)
{
    struct port_addr addr = net_addr(net->node_count);
    return add(net, &addr, chunks);
}

void net_add_many(struct net *net, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        must(net_add(net) != NULL);
    }
}

struct net_node *net_at(struct net *net, uint32_t index)
{
    must(index < net->node_count);
    return net->nodes[index];
}

uint32_t net_size(const struct net *net)
{
    return net->node_count;
}

struct port_addr net_addr(uint32_t index)
{
    struct port_addr addr = {.ip = {[10] = 0xff, [11] = 0xff}};
    addr.ip[12] = (uint8_t)(10 + (index >> 16));
    addr.ip[13] = (uint8_t)(index >> 8);
    addr.ip[14] = (uint8_t)index;
    addr.ip[15] = 1;
    addr.port[0] = (uint8_t)(index >> 8);
    addr.port[1] = (uint8_t)index;
    return addr;
}

static struct net_node *add(struct net *net, const struct port_addr *addr, uint32_t chunks)
{
    must(net->node_count < NODES_MAX);
    struct net_node *node = calloc(1, sizeof *node);
    must(node != NULL);
    node->net = net;
    node->index = net->node_count;
    node->addr = *addr;
    node->chunks_left = chunks;
    node->port =
        (struct port){.ops = &ops, .crypto = &crypto, .intern = &net->intern, .local = *addr};
    net->nodes[net->node_count++] = node;
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t word = rng_stream_seed(net->seed, "key", node->index, i);
        memcpy(node->identity.public_key + 8 * i, &word, sizeof word);
    }
    memcpy(node->identity.secret_key + CRYPTO_SEED_LEN, node->identity.public_key,
           CRYPTO_PUBLIC_LEN);
    contact_id(&node->identity.id, node->identity.public_key);
    node->contact = contact_intern(&node->port, node->identity.public_key, addr);
    if (boot(node) == ERR_OK) {
        return node;
    }
    node->is_alive = false;
    for (uint32_t i = 0; i < node->chunk_count; i++) {
        free(node->chunks[i]);
    }
    free(node->chunks);
    node->chunks = NULL;
    node->chunk_count = 0;
    return NULL;
}

static void never(struct timer *timer)
{
    (void)timer;
    must(!"a stopped timer fired");
}

static int boot(struct net_node *node)
{
    struct net *net = node->net;
    net_set_clock(node);
    node->wake_us = PORT_NEVER;
    node->core = (struct core){.port = &node->port};
    arena_init(&node->core.arena, &node->port);
    timerq_init(&node->core.timers, &node->port, &node->core.arena);
    /* Room for timers comes before any limit: the base takes it for granted. */
    uint32_t chunks = node->chunks_left;
    struct timer timer = {0};
    node->chunks_left = UINT32_MAX;
    timer_start(&node->core.timers, &timer, 0, never);
    timer_stop(&node->core.timers, &timer);
    node->chunks_left = chunks;
    if (chunks != UINT32_MAX) {
        node->core.arena.next = node->core.arena.end;
    }
    rng_stream(&node->core.rng, net->seed, "node", node->index, node->incarnation);
    node->is_alive = true;
    return dht_init(&node->dht, &node->core, &net->config, &node->identity, &node->transport);
}

/* Ends a node and gives back what it held, its open calls included. */
static void shut_down(struct net_node *node)
{
    net_set_clock(node);
    dht_stop(&node->dht);
    for (uint32_t i = 0; i < node->net->call_count; i++) {
        const struct call *call = node->net->calls[i];
        if (call != NULL && call->node == node->index) {
            close_call(node->net, i);
        }
    }
    node->is_alive = false;
    node->is_started = false;
    node->incarnation++;
    for (uint32_t i = 0; i < node->chunk_count; i++) {
        free(node->chunks[i]);
    }
    free(node->chunks);
    node->chunks = NULL;
    node->chunk_count = 0;
    node->bytes_given = 0;
}

void net_start(struct net_node *node, struct net_node *through)
{
    net_set_clock(node);
    node->is_started = true;
    dht_start(&node->dht, through != NULL ? &through->addr : NULL, through != NULL, on_joined,
              node);
    timerq_settle(&node->core.timers);
}

void net_start_all(struct net *net)
{
    for (uint32_t i = 0; i < net->node_count; i++) {
        net_start(net->nodes[i], NULL);
    }
}

void net_serve_all(struct net *net)
{
    for (uint32_t i = 0; i < net->node_count; i++) {
        net->nodes[i]->is_started = true;
    }
}

void net_kill(struct net_node *node)
{
    /* The storage stays as it was before the polite part of stopping. */
    bool is_disk_refusing = node->is_disk_refusing;
    node->is_disk_refusing = true;
    shut_down(node);
    node->is_disk_refusing = is_disk_refusing;
}

void net_revive(struct net_node *node, struct net_node *through)
{
    must(!node->is_alive);
    node->is_joined = false;
    node->join_reports = 0;
    must(boot(node) == ERR_OK);
    net_start(node, through);
}

void net_wipe(struct net_node *node)
{
    must(!node->is_alive);
    for (uint32_t i = 0; i < node->blob_count; i++) {
        free(node->blobs[i].value);
    }
    node->blob_count = 0;
}

static void on_joined(void *owner, int status, uint32_t took_us)
{
    struct net_node *node = owner;
    (void)took_us;
    node->join_status = status;
    node->join_reports++;
    node->is_joined |= status == ERR_OK;
    node->joined_us = node->net->now_us;
}

static int compare_ids(const void *a, const void *b)
{
    const struct net_node *const *left = a;
    const struct net_node *const *right = b;
    return memcmp(&(*left)->identity.id, &(*right)->identity.id, sizeof(struct node_id));
}

/* Enters up to k of sorted[from..end) at random. */
static void fill_bucket(struct net_node *node, struct net_node **sorted, uint32_t from,
                        uint32_t end)
{
    struct net *net = node->net;
    uint32_t range = end - from;
    uint32_t chosen[NODES_MAX];
    for (uint32_t i = 0; i < range; i++) {
        chosen[i] = from + i;
    }
    for (uint32_t i = 0; i < range && i < net->config.k; i++) {
        uint32_t j = i + (uint32_t)rng_below(&net->dice, range - i);
        uint32_t other = chosen[j];
        chosen[j] = chosen[i];
        dht_seed_contact(&node->dht, sorted[other]->contact);
    }
}

void net_fill_tables(struct net *net)
{
    static struct net_node *sorted[NODES_MAX];
    memcpy(sorted, net->nodes, net->node_count * sizeof *sorted);
    qsort(sorted, net->node_count, sizeof *sorted, compare_ids);
    for (uint32_t i = 0; i < net->node_count; i++) {
        struct net_node *node = sorted[i];
        net_set_clock(node);
        uint32_t from = 0;
        uint32_t end = net->node_count;
        for (int bit = 0; end - from > 1; bit++) {
            uint32_t middle = from;
            while (middle < end &&
                   (sorted[middle]->identity.id.bytes[bit / 8] & (0x80 >> (bit % 8))) == 0) {
                middle++;
            }
            if (i < middle) {
                fill_bucket(node, sorted, middle, end);
                end = middle;
            } else {
                fill_bucket(node, sorted, from, middle);
                from = middle;
            }
        }
    }
}

/* --- time ---------------------------------------------------------------------------------- */

void net_run_for(struct net *net, uint64_t delay_us)
{
    uint64_t until_us = net->now_us + delay_us;
    while (net->event_count > 0 && net->heap[0].at_us <= until_us) {
        struct event event = take(net);
        net->now_us = event.at_us;
        dispatch(net, &event);
    }
    net->now_us = until_us;
}

void net_set_clock(struct net_node *node)
{
    node->port.now_us = node->net->now_us;
    node->port.wall_us = node->net->wall_us + node->net->now_us;
}

uint64_t net_now(const struct net *net)
{
    return net->now_us;
}

void net_jump_wall(struct net *net, uint64_t forward_us)
{
    net->wall_us += forward_us;
}

struct rng *net_dice(struct net *net)
{
    return &net->dice;
}

void net_set_loss(struct net *net, uint32_t per_mille)
{
    net->loss_per_mille = per_mille;
}

/* --- truth --------------------------------------------------------------------------------- */

uint32_t net_true_nearest(struct net *net, const struct node_id *target,
                          const struct net_node *except, uint32_t *handles, uint32_t max)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < net->node_count; i++) {
        const struct net_node *node = net->nodes[i];
        if (!node->is_alive || !node->is_started || node == except) {
            continue;
        }
        uint32_t place = found < max ? found++ : max;
        for (; place > 0; place--) {
            const struct contact *before = contact_at(&node->port, handles[place - 1]);
            if (node_id_closer(&before->id, &node->identity.id, target) < 0) {
                break;
            }
            if (place < max) {
                handles[place] = handles[place - 1];
            }
        }
        if (place < max) {
            handles[place] = node->contact;
        }
    }
    return found;
}

struct net_node *net_by_contact(struct net *net, uint32_t handle)
{
    for (uint32_t i = 0; i < net->node_count; i++) {
        if (net->nodes[i]->contact == handle) {
            return net->nodes[i];
        }
    }
    return NULL;
}

uint32_t net_holders(struct net *net, const struct node_id *key)
{
    uint32_t holders = 0;
    for (uint32_t i = 0; i < net->node_count; i++) {
        struct net_node *node = net->nodes[i];
        net_set_clock(node);
        holders += node->is_alive && dht_holds(&node->dht, key);
    }
    return holders;
}

uint32_t net_requests(struct net *net, uint8_t kind)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < net->node_count; i++) {
        sum += net->nodes[i]->requests_got[kind];
    }
    return sum;
}

struct node_id net_random_id(struct net *net)
{
    struct node_id id;
    for (uint32_t i = 0; i < NODE_ID_LEN; i++) {
        id.bytes[i] = (uint8_t)rng_next(&net->dice);
    }
    return id;
}

/* --- doing things -------------------------------------------------------------------------- */

void net_on_found(void *owner, uint32_t tag, const struct lookup_result *result)
{
    struct net_found *found = owner;
    (void)tag;
    must(!found->is_done);
    found->is_done = true;
    found->status = result->status;
    found->took_us = result->took_us;
    found->messages = result->messages;
    found->hops = result->hops;
    found->count = result->count;
    memcpy(found->nearest, result->nearest, result->count * sizeof *found->nearest);
    found->has_record = result->record != NULL;
    if (found->has_record) {
        dht_record_copy(&found->copy, result->record);
    }
    found->age_s = result->age_s;
}

void net_on_put(void *owner, uint32_t tag, const struct put_result *result)
{
    struct net_put *put = owner;
    (void)tag;
    put->is_done = true;
    put->reports++;
    put->result = *result;
}

struct net_found net_lookup(struct net_node *node, const struct node_id *target,
                            enum lookup_kind kind)
{
    struct net_found found = {0};
    net_set_clock(node);
    must(dht_lookup(&node->dht, target, kind, net_on_found, &found, 7) == ERR_OK);
    must(!found.is_done);
    timerq_settle(&node->core.timers);
    for (uint32_t i = 0; i < 60000 && !found.is_done; i++) {
        net_run_for(node->net, 10 * MILLISECOND);
    }
    must(found.is_done);
    return found;
}

struct net_put net_publish(struct net_node *node, enum record_kind kind, uint32_t salt,
                           const char *text)
{
    struct net_put put = {0};
    net_set_clock(node);
    int status =
        dht_publish(&node->dht, kind, salt, slice_of(text, strlen(text)), net_on_put, &put, 7);
    must(!put.is_done);
    if (status != ERR_OK) {
        put.result.status = status;
        return put;
    }
    timerq_settle(&node->core.timers);
    for (uint32_t i = 0; i < 6000 && !put.is_done; i++) {
        net_run_for(node->net, 10 * MILLISECOND);
    }
    must(put.is_done);
    net_run_for(node->net, 5 * SECOND); /* The silent rest of the stores. */
    must(put.reports == 1);
    return put;
}

struct record net_record(struct net_node *publisher, uint32_t salt, uint64_t sequence,
                         const char *text)
{
    struct record record = {.kind = text != NULL ? RECORD_MUTABLE : RECORD_TOMBSTONE,
                            .salt = salt,
                            .sequence = sequence,
                            .expiry_s = text != NULL ? 3600 : RECORD_TOMBSTONE_S,
                            .value = slice_of(text, text != NULL ? strlen(text) : 0)};
    record_sign(&publisher->port, &record, publisher->identity.public_key,
                publisher->identity.secret_key);
    return record;
}

struct stored_answer {
    bool is_done;
    struct message_stored stored;
};

static void on_stored(void *owner, const struct call_result *result)
{
    struct stored_answer *answer = owner;
    if (result->outcome == CALL_ANSWERED) {
        answer->is_done = true;
        answer->stored = result->answer->stored;
    }
}

struct message_stored net_store(struct net_node *holder, struct net_node *sender,
                                const struct record *record, uint32_t age_s, bool is_cache)
{
    struct stored_answer answer = {0};
    struct message request = {.kind = MESSAGE_STORE,
                              .store = {.age_s = age_s, .is_cache = is_cache, .record = *record}};
    struct call_options options = {.done = on_stored, .owner = &answer};
    net_set_clock(sender);
    must(transport_call(&sender->transport, holder->contact, &request, &options) > 0);
    net_run_for(sender->net, SECOND);
    must(answer.is_done);
    return answer.stored;
}

static struct net_blob *blob_of(struct net_node *node, const struct node_id *key)
{
    uint8_t name[1 + NODE_ID_LEN] = {'r'};
    memcpy(name + 1, key->bytes, NODE_ID_LEN);
    return find_blob(node, slice_of(name, sizeof name));
}

bool net_alter_record(struct net_node *node, const struct node_id *key, const char *from,
                      const char *to)
{
    struct net_blob *blob = blob_of(node, key);
    size_t len = strlen(from);
    must(strlen(to) == len);
    for (size_t i = 0; blob != NULL && i + len <= blob->value_len; i++) {
        if (memcmp(blob->value + i, from, len) == 0) {
            memcpy(blob->value + i, to, len);
            return true;
        }
    }
    return false;
}

bool net_swap_record(struct net_node *node, const struct node_id *key, const struct node_id *other)
{
    struct net_blob *blob = blob_of(node, key);
    const struct net_blob *source = blob_of(node, other);
    if (blob == NULL || source == NULL) {
        return false;
    }
    blob->value = realloc(blob->value, source->value_len);
    must(blob->value != NULL);
    memcpy(blob->value, source->value, source->value_len);
    blob->value_len = source->value_len;
    return true;
}

static void on_taken(void *owner, const struct call_result *result)
{
    (void)owner;
    must(result->outcome != CALL_ANSWERED);
}

void net_take_calls(struct net_node *node, uint32_t left)
{
    struct message request = {.kind = MESSAGE_PING};
    struct call_options options = {.done = on_taken};
    struct port_addr nowhere = net_addr(60000);
    net_set_clock(node);
    while (node->calls_open < CALLS_OPEN_MAX - left) {
        must(transport_call_addr(&node->transport, &nowhere, &request, &options) > 0);
    }
}

static void on_tallied(void *owner, const struct call_result *result)
{
    struct net_tally *tally = owner;
    if (result->outcome == CALL_ANSWERED) {
        const struct message_stored *stored = &result->answer->stored;
        tally->answers++;
        tally->full += stored->status == STORED_FULL;
        tally->durable += stored->status == STORED_OK && stored->is_durable;
    }
}

void net_store_later(struct net_node *holder, struct net_node *sender, const struct record *record,
                     struct net_tally *tally)
{
    struct message request = {.kind = MESSAGE_STORE, .store = {.record = *record}};
    struct call_options options = {.done = on_tallied, .owner = tally};
    net_set_clock(sender);
    must(transport_call(&sender->transport, holder->contact, &request, &options) > 0);
}

struct asked {
    bool is_done;
    struct message_contacts contacts;
};

static void on_asked(void *owner, const struct call_result *result)
{
    struct asked *asked = owner;
    if (result->outcome == CALL_ANSWERED) {
        asked->is_done = true;
        asked->contacts = result->answer->nodes.contacts;
    }
}

struct message_contacts net_ask(struct net_node *asker, struct net_node *node,
                                const struct node_id *target)
{
    struct asked asked = {0};
    struct message request = {.kind = MESSAGE_FIND_NODE,
                              .find_node = {.target = *target, .count = DHT_K_MAX}};
    struct call_options options = {.done = on_asked, .owner = &asked};
    net_set_clock(asker);
    must(transport_call(&asker->transport, node->contact, &request, &options) > 0);
    net_run_for(asker->net, 2 * SECOND);
    must(asked.is_done);
    return asked.contacts;
}
