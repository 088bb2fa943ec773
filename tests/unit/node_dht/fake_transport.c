/* fake_transport.c - the calls of node/transport as events: late, lost, or answered. */
#include <stdlib.h>
#include <string.h>

#include "fake_net_parts.h"
#include "node/base/must.h"

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
        fake_post(net, trip_us, EVENT_REQUEST, to, number);
    }
    fake_post(net, SLOW_US, EVENT_SLOW, node->index, number);
    fake_post(net, LOST_US, EVENT_LOST, node->index, number);
    return (int)number + 1;
}

int transport_call(struct transport *transport, uint32_t peer, const struct message *request,
                   const struct call_options *options)
{
    struct net_node *node = container_of(transport, struct net_node, transport);
    must(peer != PORT_INTERN_NONE);
    return start_call(node, peer, &contact_at(&node->port, peer)->addr, request, options);
}

int transport_ping(struct transport *transport, uint32_t peer, const struct call_options *options)
{
    struct message request = {.kind = MESSAGE_PING, .ping = {.nonce = 7}};
    return transport_call(transport, peer, &request, options);
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
        fake_post(net, trip_us + node->delay_us, EVENT_REPLY, call->node, from->call);
    }
    return ERR_OK;
}

/* Nobody is a client in this network: tests/unit/sim_host/test_clients.c has some. */
int transport_note(struct transport *transport, uint32_t session, struct message *note)
{
    (void)transport;
    (void)session;
    must(note == NULL);
    return ERR_MISSING;
}

/* Answers that are still under way find nobody waiting. */
void fake_close_call(struct net *net, uint32_t number)
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
        fake_entropy(&node->port, key, sizeof key);
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
            fake_post(net, 2 * trip_us, EVENT_VERIFIED, node->index, asker->contact);
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
    fake_close_call(net, number);
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
        fake_close_call(node->net, number);
    }
}

void fake_deliver(struct net *net, const struct event *event)
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
            fake_post(net, 10 * FLUSH_US, EVENT_DURABLE, node->index, event->value);
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

void transport_offend(struct transport *transport, uint32_t peer, enum guard_offence which)
{
    struct net_node *node = container_of(transport, struct net_node, transport);
    must(which == GUARD_FORGED);
    node->offences++;
    node->offender = peer;
}
