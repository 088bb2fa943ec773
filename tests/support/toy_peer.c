/* toy_peer.c - the module that answers everything, and the peers it lives in. */
#include "tests/support/toy_peer.h"

#include <stdlib.h>

#include "node/base/must.h"

enum {
    VALUE_LEN = 900,
    PAYLOAD_LEN = 100,
    BLOOM_LEN = 200,
};

static const uint8_t filler[RECORD_VALUE_MAX] = {1, 2, 3};

static void on_datagram(struct toy_port *toy, const struct port_addr *from, struct slice bytes)
{
    struct toy_peer *peer = toy->owner;
    transport_on_datagram(&peer->transport, PORT_MAIN_PATH, from, bytes);
    timerq_settle(&peer->core.timers);
}

static void on_wake(struct toy_port *toy)
{
    struct toy_peer *peer = toy->owner;
    timerq_fire_due(&peer->core.timers);
    timerq_settle(&peer->core.timers);
}

static void on_durable(struct toy_port *toy, uint64_t ticket)
{
    (void)toy;
    (void)ticket;
}

static void fill_contacts(const struct toy_peer *peer, struct message_contacts *contacts)
{
    contacts->count = 0;
    for (uint32_t i = 0; peer->is_generous && i < MESSAGE_CONTACTS_MAX; i++) {
        contacts->handles[contacts->count++] = toy_contact(peer->all, i % peer->all->count);
    }
}

static int answer(struct toy_peer *peer, const struct message_from *from, uint8_t kind)
{
    struct message reply = {.kind = (uint8_t)(kind + 1)};
    if (kind == MESSAGE_FIND_NODE || kind == MESSAGE_EXCHANGE) {
        fill_contacts(peer,
                      kind == MESSAGE_FIND_NODE ? &reply.nodes.contacts : &reply.peers.contacts);
    } else if (kind == MESSAGE_FIND_VALUE) {
        reply.value.has_record = peer->is_generous;
        reply.value.record = (struct record){.kind = RECORD_MUTABLE,
                                             .sequence = 1,
                                             .expiry_s = 60,
                                             .value = slice_of(filler, VALUE_LEN)};
    }
    int status = transport_reply(&peer->transport, from, &reply);
    struct port *port = peer->core.port;
    if (kind == MESSAGE_FIND_NODE || kind == MESSAGE_EXCHANGE) {
        struct message_contacts *contacts =
            kind == MESSAGE_FIND_NODE ? &reply.nodes.contacts : &reply.peers.contacts;
        for (uint32_t i = 0; i < contacts->count; i++) {
            port->ops->intern_release(port, contacts->handles[i]);
        }
    }
    return status;
}

static void on_message(void *arg, const struct message_from *from, const struct message *message)
{
    struct toy_peer *peer = arg;
    peer->requests++;
    peer->early_requests += from->is_early;
    peer->last_from = *from;
    if (peer->is_deferring && !from->is_early) {
        must(peer->deferred_count < TOY_DEFERRED_MAX);
        peer->deferred[peer->deferred_count++] = *from;
    } else if (!peer->is_silent) {
        (void)answer(peer, from, message->kind); /* An answer may be too large for where it goes. */
    }
}

static void on_verified(void *arg, uint32_t contact, uint32_t rtt_us, bool is_client)
{
    struct toy_peer *peer = arg;
    (void)rtt_us;
    (void)is_client;
    peer->verified++;
    peer->verified_last = contact;
}

static void on_lost(void *arg, uint32_t contact)
{
    struct toy_peer *peer = arg;
    must(contact != PORT_INTERN_NONE);
    peer->lost++;
}

static bool on_is_wanted(void *arg, const struct node_id *id, const struct port_addr *addr)
{
    const struct toy_peer *peer = arg;
    (void)id;
    (void)addr;
    return peer->is_curious;
}

static void start(struct toy_peers *peers, uint32_t index)
{
    struct toy_peer *peer = &peers->peers[index];
    struct toy_port *toy = toy_at(peers->world, index);
    *peer = (struct toy_peer){.toy = toy, .all = peers, .core = {.port = &toy->port}};
    toy->owner = peer;
    toy->callbacks = (struct toy_callbacks){on_datagram, on_wake, on_durable};
    toy_enter(toy);
    arena_init(&peer->core.arena, &toy->port);
    timerq_init(&peer->core.timers, &toy->port, &peer->core.arena);
    rng_seed(&peer->core.rng, index);
    const struct transport_hooks hooks = {.arg = peer,
                                          .message = on_message,
                                          .verified = on_verified,
                                          .lost = on_lost,
                                          .is_wanted = on_is_wanted};
    must(identity_init(&peer->identity, &peer->core, NULL) == ERR_OK);
    must(guard_init(&peer->guard, &peer->core, &peers->guard, &(struct guard_hooks){0}) == ERR_OK);
    must(transport_init(&peer->transport, &peer->core, &peers->transport, &peer->identity,
                        &peer->guard, &hooks) == ERR_OK);
    toy_leave(toy);
}

struct toy_peers *toy_peers_open(uint32_t count, uint64_t seed, const struct port_crypto *crypto)
{
    struct toy_peers *peers = calloc(1, sizeof *peers);
    must(peers != NULL);
    peers->peers = calloc(count, sizeof *peers->peers);
    must(peers->peers != NULL);
    peers->count = count;
    peers->world = toy_open(count, seed, crypto);
    peers->guard = (struct guard_config){.bans_max = 8, .ban_s = 3600}; /* No limits. */
    peers->transport = (struct transport_config){.network_id = 7,
                                                 .sessions_max = 16,
                                                 .calls_max = 32,
                                                 .session_idle_us = 60000000,
                                                 .rekey_after_us = 120000000,
                                                 .rekey_after_messages = UINT64_C(1) << 60};
    return peers;
}

void toy_peers_start(struct toy_peers *peers)
{
    for (uint32_t i = 0; i < peers->count; i++) {
        start(peers, i);
    }
}

void toy_peers_close(struct toy_peers *peers)
{
    toy_close(peers->world);
    free(peers->peers);
    free(peers);
}

void toy_peer_restart(struct toy_peers *peers, uint32_t index)
{
    /* A crash: nothing is stopped. The toy host counts references, so they are given back. */
    transport_stop(&peers->peers[index].transport);
    peers->peers[index].toy->wake_us = PORT_NEVER;
    start(peers, index);
}

uint32_t toy_contact(struct toy_peers *peers, uint32_t index)
{
    struct toy_peer *peer = &peers->peers[index];
    return contact_intern(&peer->toy->port, peer->identity.public_key, &peer->toy->port.local);
}

void toy_request(struct message *request, uint8_t kind)
{
    *request = (struct message){.kind = kind};
    switch (kind) {
    case MESSAGE_PING:
        request->ping.nonce = 42;
        break;
    case MESSAGE_FIND_NODE:
        request->find_node = (struct message_find_node){.count = MESSAGE_CONTACTS_MAX};
        break;
    case MESSAGE_FIND_VALUE:
        request->find_value = (struct message_find_value){.count = MESSAGE_CONTACTS_MAX};
        break;
    case MESSAGE_EXCHANGE:
        request->exchange = (struct message_exchange){
            .wanted = MESSAGE_CONTACTS_MAX, .hash_count = 7, .bloom = slice_of(filler, BLOOM_LEN)};
        break;
    case MESSAGE_STORE:
        request->store.record = (struct record){.kind = RECORD_MUTABLE,
                                                .sequence = 1,
                                                .expiry_s = 60,
                                                .value = slice_of(filler, VALUE_LEN)};
        break;
    case MESSAGE_BROADCAST:
        request->broadcast.payload = slice_of(filler, PAYLOAD_LEN);
        break;
    case MESSAGE_APP:
        request->app.payload = slice_of(filler, PAYLOAD_LEN);
        break;
    default:
        must(kind == MESSAGE_PING);
    }
}

static void on_done(void *owner, const struct call_result *result)
{
    struct toy_answer *log = owner;
    log->answered += result->outcome == CALL_ANSWERED;
    log->slow += result->outcome == CALL_SLOW;
    log->lost += result->outcome == CALL_LOST;
    log->peer = result->peer;
    if (result->outcome == CALL_ANSWERED) {
        log->rtt_us = result->rtt_us;
        log->kind = result->answer->kind;
        log->contacts =
            result->answer->kind == MESSAGE_NODES ? result->answer->nodes.contacts.count : 0;
    }
    if (result->outcome != CALL_SLOW) {
        log->ended_us = core_now(&log->caller->core);
    }
}

static void ask(struct toy_peer *from, uint32_t peer, const struct port_addr *addr, uint8_t kind,
                struct toy_answer *log)
{
    struct message request;
    toy_request(&request, kind);
    *log = (struct toy_answer){.caller = from};
    const struct call_options options = {.done = on_done, .owner = log};
    toy_enter(from->toy);
    log->call = addr == NULL ? transport_call(&from->transport, peer, &request, &options)
                             : transport_call_addr(&from->transport, addr, &request, &options);
    timerq_settle(&from->core.timers);
    toy_leave(from->toy);
}

void toy_ask(struct toy_peer *from, uint32_t peer, uint8_t kind, struct toy_answer *answer_log)
{
    ask(from, peer, NULL, kind, answer_log);
}

void toy_ask_addr(struct toy_peer *from, const struct port_addr *addr, uint8_t kind,
                  struct toy_answer *answer_log)
{
    ask(from, PORT_INTERN_NONE, addr, kind, answer_log);
}

int toy_reply_deferred(struct toy_peer *peer, uint32_t index)
{
    must(index < peer->deferred_count);
    toy_enter(peer->toy);
    struct message reply = {.kind = MESSAGE_STORED};
    int status = transport_reply(&peer->transport, &peer->deferred[index], &reply);
    timerq_settle(&peer->core.timers);
    toy_leave(peer->toy);
    return status;
}

const char *toy_peers_check(const struct toy_peers *peers)
{
    const char *wrong = NULL;
    for (uint32_t i = 0; i < peers->count && wrong == NULL; i++) {
        wrong = transport_check(&peers->peers[i].transport);
    }
    return wrong;
}
