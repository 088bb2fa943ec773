/* node.c - the wiring of the modules, the dispatch of messages, and the entries. No logic lives
 * here: who may call whom, and what reaches whom, is read off this file. */
#include "node/node.h"

#include <string.h>

#include "node/base/must.h"
#include "node/base/prefetch.h"
#include "node/commands.h"
#include "node/errand.h"

static int wire_up(struct node *node);
static void on_message(void *arg, const struct message_from *from, const struct message *message);
static void on_verified(void *arg, uint32_t peer, uint32_t rtt_us, bool is_client);
static void on_lost(void *arg, uint32_t peer);
static bool on_is_wanted(void *arg, const struct node_id *id, const struct port_addr *addr);
static bool on_may_open(void *arg, const struct port_addr *addr);
static void on_sent(void *arg, const struct port_addr *addr);
static uint16_t on_path_to(void *arg, const struct port_addr *addr);
static void on_to_relay(void *arg, const struct port_addr *to, struct slice datagram);
static bool on_proved(void *arg, uint32_t session, const struct transport_way *way,
                      const struct port_addr *observed);
static uint32_t nat_sample(void *arg, uint32_t *peers, uint32_t max);
static uint32_t nat_trust(void *arg, const struct node_id *id);
static void on_presence(void *arg, const struct presence *presence, uint32_t life_s);
static void on_presence_put(void *owner, uint32_t tag, const struct put_result *result);
static void on_serving(void *arg, bool is_server);
static bool nat_seek(void *arg, const struct node_id *id);
static void on_sought(void *owner, uint32_t tag, const struct lookup_result *result);
static uint64_t on_silent(void *arg, uint32_t session);
static void on_moved(void *arg, uint32_t session, const struct port_addr *from);
static uint32_t dht_helper(void *arg);
static uint32_t gossip_clients(void *arg, uint32_t *peers, uint32_t max);
static uint32_t guard_trust(void *arg, const struct node_id *id);
static uint32_t gossip_priority(void *arg, uint32_t peer);
static void on_offended(void *arg, const struct node_id *id, enum guard_offence which);
static void on_news(void *arg, const struct message_broadcast *broadcast);
static void on_joined(void *owner, int status, uint32_t took_us);

#define SECOND UINT64_C(1000000)

/* Sources: node/nat/nat.h, docs/modules/nat.md. */
static const struct nat_config nat_defaults = {
    .reach = NAT_REACH_PUBLIC,
    .is_relay = true,
    .has_punching = true,
    .has_prediction = true,
    .has_stream_punching = true,
    .has_mapping = true,
    .relays_wanted = 2,
    .opener_ttl = 5, /* HyperDHT: past any boxes of ours, short of the peer's. */
    .punch_rounds = 4,
    .punch_attempts = 3,   /* libp2p's DCUtR; 97.6 % of what succeeds does at once. */
    .birthday_sockets = 0, /* Hundreds of entries in the boxes: whoever runs the node decides. */
    .birthday_probes = 1024,
    .keep_us = 0,
    .recheck_us = 600 * SECOND,
    .punch_again_us = 30 * SECOND,
    .flows_max = 60, /* Routers with 64 places exist: docs/modules/nat.md. */
    .flow_us = 120 * SECOND,
    .reservations_max = 128,
    .circuits_max = 64,
    .reservation_s = 3600,
    .circuit_s = 120,
    .circuit_bytes = 256 << 10,
    .reservations_per_hour = 16,
    .circuits_per_hour = 64,
    .bytes_per_hour = 4 << 20};

void node_config_default(struct node_config *config)
{
    *config = (struct node_config){
        .guard = {.group_rate = 200,
                  .group_burst = 400,
                  .peer_per_minute = 100,
                  .peer_per_hour = 1000,
                  .handshake_rate = 2000, /* About 40 % of a core at 0.2 ms each. */
                  .handshake_burst = 4000,
                  .groups_max = 256,
                  .peers_max = 1024,
                  .bans_max = 256,
                  .threat_medium = 500,
                  .threat_high = 2000,
                  .threat_decay = 5,
                  .weights = {[GUARD_EXCESS] = 1,
                              [GUARD_UNASKED] = 1,
                              [GUARD_UNKNOWN] = 5,
                              [GUARD_MALFORMED] = 200,
                              [GUARD_FORGED] = 500},
                  .ban_s = 3600},
        .transport = {.network_id = UINT64_C(0x6d65736874776e31),
                      .sessions_max = 256, /* Half of them for clients, whom we relay for. */
                      .calls_max = 128,
                      .session_idle_us = 60 * SECOND,
                      .rekey_after_us = 120 * SECOND,
                      .rekey_after_messages = UINT64_C(1) << 60},
        .nat = nat_defaults,
        .dht = {.k = 20,
                .alpha = 3,
                .group_bucket_max = 2,
                .group_table_max = 3,
                .group_result_max = 3,
                .store_ack_min = 3,
                .read_agree_min = 3,
                .lookups_max = 8,
                .path_cache = true,
                .refresh_us = 600 * SECOND,
                .join_spread_us = 600 * SECOND,
                .republish_us = 3600 * SECOND,
                .check_us = 300 * SECOND,
                .known_max = 1024,
                .records_max = 512,
                .expiry_s = RECORD_EXPIRY_MAX_S},
        .gossip = {.period_us = 30 * SECOND,
                   .period_max_us = 480 * SECOND,
                   .ttl = 3,
                   .fanout = 8,
                   .candidates_per_exchange = 3,
                   .seen_max = 256},
        .ledger = {.peers_max = 1024, .ious_max = 1024, .offers_max = 64, .offers_per_peer_max = 8},
        .errands_max = 8,
    };
}

int node_init(struct node *node, struct port *port, const struct node_config *config)
{
    *node = (struct node){.core = {.port = port}, .config = config};
    arena_init(&node->core.arena, port);
    timerq_init(&node->core.timers, port, &node->core.arena);
    uint64_t seed;
    port->ops->entropy(port, &seed, sizeof seed);
    rng_seed(&node->core.rng, seed);
    return wire_up(node);
}

int node_start(struct node *node)
{
    node->started_us = core_now(&node->core);
    struct dht_start_options options = {.bootstrap = node->config->bootstrap,
                                        .bootstrap_count = node->config->bootstrap_count,
                                        .wait_us = nat_start(&node->nat) ? NAT_ROUTER_WAIT_US : 0,
                                        .done = on_joined,
                                        .owner = node};
    dht_start(&node->dht, &options);
    gossip_start(&node->gossip);
    ledger_start(&node->ledger);
    timerq_settle(&node->core.timers);
    return ERR_OK;
}

void node_on_datagram(struct node *node, int path, const struct port_addr *from, struct slice bytes)
{
    if (!nat_on_datagram(&node->nat, path, from, bytes)) {
        transport_on_datagram(&node->transport, path, from, bytes);
    }
    timerq_settle(&node->core.timers);
}

void node_expect(const struct node *node, const struct port_addr *from)
{
    guard_expect(&node->guard, from);
    prefetch(node->core.timers.heap, PREFETCH_LINE);
    transport_expect(&node->transport);
}

void node_expect_next(const struct node *node, struct slice bytes)
{
    transport_expect_next(&node->transport, bytes);
}

void node_on_path(struct node *node, int path, enum port_path_event event)
{
    nat_on_path(&node->nat, path, event);
    timerq_settle(&node->core.timers);
}

void node_on_wake(struct node *node)
{
    timerq_fire_due(&node->core.timers);
    timerq_settle(&node->core.timers);
}

void node_on_durable(struct node *node, uint64_t ticket, int status)
{
    dht_on_durable(&node->dht, ticket, status);
    ledger_on_durable(&node->ledger, ticket, status);
    timerq_settle(&node->core.timers);
}

void node_on_work(struct node *node, struct port_work *work)
{
    (void)work;
    timerq_settle(&node->core.timers);
}

void node_on_resolved(struct node *node, uint32_t ticket, int status, const struct port_addr *addr)
{
    nat_on_resolved(&node->nat, ticket, status, addr);
    timerq_settle(&node->core.timers);
}

int node_submit(struct node *node, const struct node_command *command)
{
    must(command->number != 0);
    int status = node->is_stopping ? ERR_STOPPED : node_command_start(node, command);
    timerq_settle(&node->core.timers);
    return status;
}

void node_observe(const struct node *node, struct node_view *view)
{
    *view = (struct node_view){
        .id = node->identity.id,
        .contacts = dht_contact_count(&node->dht),
        .sessions = transport_session_count(&node->transport),
        .records = dht_record_count(&node->dht),
        .lookups = dht_lookup_count(&node->dht),
        .counters = node->core.counters,
        .traffic = node->transport.traffic,
        .nat = node->nat.counts,
        .is_server = node->nat.is_server,
        .arena_bytes = node->core.arena.chunk_bytes,
        .is_joined = node->is_joined,
    };
    memcpy(view->used_bytes, node->core.arena.used_bytes, sizeof view->used_bytes);
}

void node_stop(struct node *node)
{
    node->is_stopping = true;
    timer_stop(&node->core.timers, &node->enforce);
    ledger_stop(&node->ledger);
    gossip_stop(&node->gossip);
    dht_stop(&node->dht);
    nat_stop(&node->nat);
    transport_stop(&node->transport);
}

const char *node_check(const struct node *node)
{
    const char *wrong = transport_check(&node->transport);
    wrong = wrong != NULL ? wrong : nat_check(&node->nat);
    wrong = wrong != NULL ? wrong : dht_check(&node->dht);
    wrong = wrong != NULL ? wrong : gossip_check(&node->gossip);
    return wrong != NULL ? wrong : ledger_check(&node->ledger);
}

static int wire_up(struct node *node)
{
    struct core *core = &node->core;
    const struct node_config *config = node->config;
    bool has_ledger = config->ledger.peers_max > 0;
    struct guard_hooks guard_hooks = {.arg = node,
                                      .trust = has_ledger ? guard_trust : NULL,
                                      .offended = has_ledger ? on_offended : NULL,
                                      .banned = node_on_banned};
    struct transport_hooks transport_hooks = {.arg = node,
                                              .message = on_message,
                                              .verified = on_verified,
                                              .lost = on_lost,
                                              .is_wanted = on_is_wanted,
                                              .may_open = on_may_open,
                                              .sent = on_sent,
                                              .path_to = on_path_to,
                                              .relay = on_to_relay,
                                              .proved = on_proved,
                                              .moved = on_moved,
                                              .silent = on_silent};
    struct nat_hooks nat_hooks = {.arg = node,
                                  .sample = nat_sample,
                                  .trust = has_ledger ? nat_trust : NULL,
                                  .presence = on_presence,
                                  .serving = on_serving,
                                  .seek = nat_seek};
    struct gossip_hooks gossip_hooks = {.arg = node,
                                        .news = on_news,
                                        .priority = has_ledger ? gossip_priority : NULL,
                                        .clients = gossip_clients};
    struct ledger_hooks ledger_hooks = {
        .arg = node, .done = node_on_iou_done, .changed = node_on_iou_changed};

    int status = identity_init(&node->identity, core, config->identity_seed);
    if (status == ERR_OK) {
        status = guard_init(&node->guard, core, &config->guard, &guard_hooks);
    }
    if (status == ERR_OK) {
        status = transport_init(&node->transport, core, &config->transport, &node->identity,
                                &node->guard, &transport_hooks);
    }
    if (status == ERR_OK) {
        status =
            nat_init(&node->nat, core, &config->nat, &node->identity, &node->transport, &nat_hooks);
    }
    if (status == ERR_OK) {
        status = dht_init(&node->dht, core, &config->dht, &node->identity, &node->transport);
    }
    if (status == ERR_OK) {
        dht_serve(&node->dht, node->nat.is_server);
        dht_delegate_to(&node->dht, dht_helper, node);
        status = gossip_init(&node->gossip, core, &config->gossip, &node->identity,
                             &node->transport, &node->dht, &gossip_hooks);
    }
    if (status == ERR_OK) {
        status = ledger_init(&node->ledger, core, &config->ledger, &node->identity,
                             &node->transport, &node->dht, &ledger_hooks);
    }
    if (status == ERR_OK) {
        status = errand_init(node);
    }
    return status;
}

/* The dispatch table: one row per request of wire/message.h. Replies end in their call. */
static void on_message(void *arg, const struct message_from *from, const struct message *message)
{
    struct node *node = arg;
    switch (message->kind) {
    case MESSAGE_FIND_NODE:
        dht_on_find_node(&node->dht, from, &message->find_node);
        break;
    case MESSAGE_FIND_VALUE:
        dht_on_find_value(&node->dht, from, &message->find_value);
        break;
    case MESSAGE_STORE:
        dht_on_store(&node->dht, from, &message->store);
        break;
    case MESSAGE_SEEK:
        dht_on_seek(&node->dht, from, &message->seek);
        break;
    case MESSAGE_SOUGHT:
        dht_on_sought(&node->dht, from, &message->sought);
        break;
    case MESSAGE_EXCHANGE:
        gossip_on_exchange(&node->gossip, from, &message->exchange);
        break;
    case MESSAGE_BROADCAST:
        gossip_on_broadcast(&node->gossip, from, &message->broadcast);
        break;
    case MESSAGE_APP:
        node_on_app(node, from, &message->app);
        break;
    case MESSAGE_STATEMENT:
        ledger_on_statement(&node->ledger, from, &message->statement);
        break;
    case MESSAGE_REACH:
        nat_on_reach(&node->nat, from, &message->reach);
        break;
    case MESSAGE_DIAL:
        nat_on_dial(&node->nat, from, &message->dial);
        break;
    case MESSAGE_RESERVE:
        nat_on_reserve(&node->nat, from, &message->reserve);
        break;
    case MESSAGE_CONNECT:
        nat_on_connect(&node->nat, from, &message->connect);
        break;
    case MESSAGE_PUNCH:
        nat_on_punch(&node->nat, from, &message->punch);
        break;
    case MESSAGE_PUNCH_GO:
        nat_on_punch_go(&node->nat, from, &message->punch_go);
        break;
    case MESSAGE_RELAY:
        nat_on_relay(&node->nat, from, &message->relay);
        return; /* What is inside will be judged for itself. */
    case MESSAGE_HUNG_UP:
        nat_on_hung_up(&node->nat, from, &message->hung_up);
        break;
    default:
        count(&node->core.counters, COUNT_MALFORMED); /* A reply without its call. */
        break;
    }
    if (from->is_verified && !from->is_early) {
        ledger_note(&node->ledger, &contact_at(node->core.port, from->peer)->id,
                    TRUST_MESSAGE_VALID);
    }
}

static void on_verified(void *arg, uint32_t peer, uint32_t rtt_us, bool is_client)
{
    struct node *node = arg;
    uint32_t contacts = dht_contact_count(&node->dht);
    const struct contact *contact = contact_at(node->core.port, peer);
    if (is_client) {
        dht_forget(&node->dht, &contact->id); /* It may have served before. */
    } else if (!transport_is_relayed(&contact->addr)) {
        dht_on_verified(&node->dht, peer, rtt_us);
    }
    if (dht_contact_count(&node->dht) != contacts) {
        gossip_on_change(&node->gossip);
    }
    if (contacts == 0 && dht_contact_count(&node->dht) > 0 && node->is_joined) {
        nat_on_joined(&node->nat, false); /* Who began a network alone has met somebody. */
    } else if (!node->is_joined && dht_contact_count(&node->dht) >= node->config->dht.k) {
        nat_on_met(&node->nat);
    }
    if (rtt_us > 0) {
        ledger_note(&node->ledger, &contact_at(node->core.port, peer)->id, TRUST_MESSAGE_VALID);
    }
    ledger_on_verified(&node->ledger, peer);
}

static void on_lost(void *arg, uint32_t peer)
{
    struct node *node = arg;
    uint32_t contacts = dht_contact_count(&node->dht);
    dht_on_lost(&node->dht, peer);
    if (dht_contact_count(&node->dht) != contacts) {
        gossip_on_change(&node->gossip);
    }
}

static bool on_is_wanted(void *arg, const struct node_id *id, const struct port_addr *addr)
{
    struct node *node = arg;
    nat_on_stranger(&node->nat, addr);
    return dht_is_wanted(&node->dht, id, addr);
}

static bool on_may_open(void *arg, const struct port_addr *addr)
{
    struct node *node = arg;
    return nat_may_open(&node->nat, addr);
}

static void on_sent(void *arg, const struct port_addr *addr)
{
    struct node *node = arg;
    nat_sent(&node->nat, addr);
}

static uint16_t on_path_to(void *arg, const struct port_addr *addr)
{
    struct node *node = arg;
    return nat_path_to(&node->nat, addr);
}

static void on_to_relay(void *arg, const struct port_addr *to, struct slice datagram)
{
    struct node *node = arg;
    nat_send_relayed(&node->nat, to, datagram);
}

static bool on_proved(void *arg, uint32_t session, const struct transport_way *way,
                      const struct port_addr *observed)
{
    struct node *node = arg;
    return nat_proved(&node->nat, session, way, observed);
}

static uint32_t nat_sample(void *arg, uint32_t *peers, uint32_t max)
{
    struct node *node = arg;
    return dht_sample(&node->dht, peers, max);
}

static uint32_t nat_trust(void *arg, const struct node_id *id)
{
    const struct node *node = arg;
    return ledger_trust_micro(&node->ledger, id);
}

/* What cannot be published now is published again with the next change, or at half its life. */
static void on_presence(void *arg, const struct presence *presence, uint32_t life_s)
{
    struct node *node = arg;
    uint8_t bytes[PRESENCE_LEN_MAX];
    size_t len = presence_write(presence, bytes);
    (void)dht_publish_presence(&node->dht, slice_of(bytes, len), life_s, on_presence_put, node, 0);
}

static void on_presence_put(void *owner, uint32_t tag, const struct put_result *result)
{
    struct node *node = owner;
    (void)tag;
    nat_on_published(&node->nat, result->status);
}

static void on_serving(void *arg, bool is_server)
{
    struct node *node = arg;
    dht_serve(&node->dht, is_server);
}

static bool nat_seek(void *arg, const struct node_id *id)
{
    struct node *node = arg;
    return dht_lookup(&node->dht, id, LOOKUP_VALUE, on_sought, node, 0) == ERR_OK;
}

static void on_sought(void *owner, uint32_t tag, const struct lookup_result *result)
{
    struct node *node = owner;
    (void)tag;
    struct presence presence;
    bool is_found = result->status == ERR_OK && result->record->kind == RECORD_PRESENCE &&
                    presence_read(result->record->value, &presence);
    nat_on_presence(&node->nat, &result->target, is_found ? &presence : NULL);
}

static uint64_t on_silent(void *arg, uint32_t session)
{
    struct node *node = arg;
    return nat_on_silent(&node->nat, session);
}

static void on_moved(void *arg, uint32_t session, const struct port_addr *from)
{
    struct node *node = arg;
    (void)from;
    nat_on_moved(&node->nat, session);
}

static uint32_t dht_helper(void *arg)
{
    const struct node *node = arg;
    return nat_relay(&node->nat);
}

static uint32_t gossip_clients(void *arg, uint32_t *peers, uint32_t max)
{
    struct node *node = arg;
    return nat_clients(&node->nat, peers, max);
}

/* A stranger has the limits as configured, and who has earned it up to twice that. */
static uint32_t guard_trust(void *arg, const struct node_id *id)
{
    const struct node *node = arg;
    return GUARD_TRUST_NEUTRAL + ledger_trust_micro(&node->ledger, id) / 2;
}

static uint32_t gossip_priority(void *arg, uint32_t peer)
{
    const struct node *node = arg;
    return ledger_trust_micro(&node->ledger, &contact_at(node->core.port, peer)->id);
}

/* What a newer node, a slow one or an eager one may do as well is none against its trust. */
static void on_offended(void *arg, const struct node_id *id, enum guard_offence which)
{
    struct node *node = arg;
    if (which == GUARD_MALFORMED || which == GUARD_FORGED) {
        ledger_note(&node->ledger, id, TRUST_MESSAGE_INVALID);
    }
}

static void on_news(void *arg, const struct message_broadcast *broadcast)
{
    struct node *node = arg;
    node_deliver(node, &(struct port_event){.kind = NODE_NEWS,
                                            .count = {broadcast->hops, broadcast->number},
                                            .bytes = broadcast->payload,
                                            .about = slice_of(broadcast->id, BROADCAST_ID_LEN)});
}

static void on_joined(void *owner, int status, uint32_t took_us)
{
    struct node *node = owner;
    node->is_joined |= status == ERR_OK;
    if (status == ERR_OK) {
        nat_on_joined(&node->nat, dht_contact_count(&node->dht) == 0);
    } else {
        nat_on_unreachable(&node->nat, node->config->bootstrap, node->config->bootstrap_count);
    }
    node_deliver(node, &(struct port_event){
                           .kind = NODE_JOINED, .status = (int16_t)status, .took_us = took_us});
}
