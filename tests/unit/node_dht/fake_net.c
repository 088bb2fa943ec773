/* fake_net.c - the event queue, the lives of nodes, and time. */
#include <stdlib.h>
#include <string.h>

#include "fake_net_parts.h"
#include "node/base/must.h"

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

void fake_post(struct net *net, uint64_t delay_us, enum event_kind kind, uint32_t node,
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
                               .known_max = 20,
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
    struct port_addr usual = net_addr(net->node_count);
    must(memcmp(addr->port, usual.port, sizeof usual.port) == 0);
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
    node->port = (struct port){
        .ops = &fake_ops, .crypto = &fake_crypto, .intern = &net->intern, .local = *addr};
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
            fake_close_call(node->net, i);
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
    struct dht_start_options options = {.bootstrap = through != NULL ? &through->addr : NULL,
                                        .bootstrap_count = through != NULL,
                                        .done = on_joined,
                                        .owner = node};
    dht_start(&node->dht, &options);
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

void net_run_for(struct net *net, uint64_t delay_us)
{
    uint64_t until_us = net->now_us + delay_us;
    while (net->event_count > 0 && net->heap[0].at_us <= until_us) {
        struct event event = take(net);
        net->now_us = event.at_us;
        fake_deliver(net, &event);
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
