/* errand.c - finds the peer that a command is about, asks it once, and tells how that ended. */
#include "node/errand.h"

#include <string.h>

#include "node/base/must.h"
#include "node/commands.h"
#include "node/nat/nat.h"

struct errand {
    struct node *node;
    uint64_t start_us;
    struct node_id to;     /* Of a CONNECT: once it has answered. */
    struct port_addr addr; /* Of a CONNECT. */
    enum node_command_kind kind;
    uint32_t number;
    uint16_t messages;
    uint16_t len;
    uint16_t index;
    bool is_client; /* The peer serves nobody: it may have to be reached in another way. */
    bool is_sought; /* Its presence has been looked up: there is no other way. */
    uint64_t amount;
    uint32_t due_s;
    uint8_t payload[MESSAGE_PAYLOAD_MAX];
};

static const uint8_t *key_of(const struct node *node, const struct node_id *id);
static int begin(struct errand *errand, const struct node_command *command);
static uint32_t known_peer(const struct node *node, const struct node_id *id);
static void on_found(void *owner, uint32_t tag, const struct lookup_result *result);
static void seek_presence(struct errand *errand);
static void on_presence(void *owner, uint32_t tag, const struct lookup_result *result);
static void on_connected(void *owner, uint32_t tag, int status, uint32_t peer, enum nat_step step);
static void go_on(struct errand *errand, uint32_t peer);
static int ask(struct errand *errand, uint32_t peer);
static void owe(struct errand *errand, const uint8_t *creditor, uint64_t took_us);
static int connect_to(struct errand *errand, const struct port_addr *addr);
static void on_done(void *owner, const struct call_result *result);
static void end(struct errand *errand, int status, uint64_t took_us);

int errand_init(struct node *node)
{
    return pool_init(&node->errands, &node->core.arena, ARENA_NODE, sizeof(struct errand), 1,
                     node->config->errands_max);
}

int errand_start(struct node *node, const struct node_command *command)
{
    if (command->kind == NODE_SEND && command->bytes.len > MESSAGE_PAYLOAD_MAX) {
        return ERR_TOO_LARGE;
    }
    if (command->kind == NODE_PING && node_id_equal(&command->id, &node->identity.id)) {
        return ERR_INVALID;
    }
    if (command->kind == NODE_IOU_OWE) {
        const uint8_t *key = key_of(node, &command->id);
        if (key != NULL) {
            return ledger_owe(&node->ledger, key, command->amount, command->due_s, command->bytes,
                              command->number);
        }
        if (command->bytes.len > IOU_MEMO_MAX) {
            return ERR_TOO_LARGE;
        }
    }
    uint16_t index;
    struct errand *errand = pool_get(&node->errands, &index);
    if (errand == NULL) {
        return ERR_FULL;
    }
    errand->node = node;
    errand->start_us = core_now(&node->core);
    errand->kind = command->kind;
    errand->to = command->id;
    errand->number = command->number;
    errand->amount = command->amount;
    errand->due_s = command->due_s;
    errand->index = index;
    int status = begin(errand, command);
    if (status < 0) {
        pool_put(&node->errands, index);
    }
    return status < 0 ? status : ERR_OK;
}

/* Of ourselves too: the ledger says what is wrong with that. */
static const uint8_t *key_of(const struct node *node, const struct node_id *id)
{
    uint32_t peer = known_peer(node, id);
    if (node_id_equal(id, &node->identity.id)) {
        return node->identity.public_key;
    }
    return peer != PORT_INTERN_NONE ? contact_at(node->core.port, peer)->key
                                    : ledger_key_of(&node->ledger, id);
}

static int begin(struct errand *errand, const struct node_command *command)
{
    struct node *node = errand->node;
    uint32_t known = PORT_INTERN_NONE;
    switch (command->kind) {
    case NODE_CONNECT:
        return connect_to(errand, &command->addr);
    case NODE_PING:
        known = known_peer(node, &command->id);
        break;
    default:
        must(command->kind == NODE_SEND || command->kind == NODE_IOU_OWE);
        errand->len = (uint16_t)command->bytes.len;
        if (errand->len > 0) {
            memcpy(errand->payload, command->bytes.data, errand->len);
        }
        break;
    }
    return known != PORT_INTERN_NONE
               ? ask(errand, known)
               : dht_lookup(&node->dht, &errand->to, LOOKUP_NODE, on_found, errand, 0);
}

/* Who has a session with us that can be used, or is in the table. */
static uint32_t known_peer(const struct node *node, const struct node_id *id)
{
    struct transport_session session;
    return transport_session_of(&node->transport, id, &session) &&
                   nat_is_fresh(&node->nat, &session)
               ? session.peer
               : dht_find(&node->dht, id);
}

static void on_found(void *owner, uint32_t tag, const struct lookup_result *result)
{
    (void)tag;
    struct errand *errand = owner;
    const struct port *port = errand->node->core.port;
    errand->messages = result->messages;
    if (result->status == ERR_STOPPED) {
        end(errand, ERR_STOPPED, core_now(&errand->node->core) - errand->start_us);
    } else if (result->count > 0 &&
               node_id_equal(&contact_at(port, result->nearest[0])->id, &errand->to)) {
        go_on(errand, result->nearest[0]);
    } else {
        seek_presence(errand);
    }
}

/* It does not serve, so it is in no table: perhaps it has said how it can be reached. */
static void seek_presence(struct errand *errand)
{
    struct node *node = errand->node;
    uint32_t known = known_peer(node, &errand->to);
    if (known != PORT_INTERN_NONE && !errand->is_client) {
        go_on(errand, known);
        return;
    }
    errand->is_sought = true;
    int status = dht_lookup(&node->dht, &errand->to, LOOKUP_VALUE, on_presence, errand, 0);
    if (status != ERR_OK) {
        end(errand, status, core_now(&node->core) - errand->start_us);
    }
}

static void on_presence(void *owner, uint32_t tag, const struct lookup_result *result)
{
    (void)tag;
    struct errand *errand = owner;
    struct node *node = errand->node;
    const struct record *record = result->record;
    struct presence presence;
    errand->messages = (uint16_t)(errand->messages + result->messages);
    int status = result->status == ERR_STOPPED ? ERR_STOPPED : ERR_UNREACHABLE;
    if (result->status == ERR_OK && record->kind == RECORD_PRESENCE &&
        presence_read(record->value, &presence)) {
        status = nat_connect(&node->nat, record->publisher, &presence, on_connected, errand, 0);
    } else if (status != ERR_STOPPED) {
        nat_on_absent(&node->nat, &errand->to);
    }
    if (status != ERR_OK) {
        end(errand, status, core_now(&node->core) - errand->start_us);
    }
}

static void on_connected(void *owner, uint32_t tag, int status, uint32_t peer, enum nat_step step)
{
    (void)tag;
    (void)step;
    struct errand *errand = owner;
    if (status == ERR_OK) {
        go_on(errand, peer);
    } else {
        end(errand, status, core_now(&errand->node->core) - errand->start_us);
    }
}

/* The peer is known. */
static void go_on(struct errand *errand, uint32_t peer)
{
    uint64_t took_us = core_now(&errand->node->core) - errand->start_us;
    if (errand->kind == NODE_IOU_OWE) {
        owe(errand, contact_at(errand->node->core.port, peer)->key, took_us);
        return;
    }
    int status = ask(errand, peer);
    if (status < 0) {
        end(errand, status, took_us);
    }
}

static int ask(struct errand *errand, uint32_t peer)
{
    struct transport *transport = &errand->node->transport;
    struct transport_session session;
    errand->is_client = transport_session_of(transport, &errand->to, &session) && session.is_client;
    struct call_options options = {.done = on_done, .owner = errand};
    int call;
    errand->node->nat.is_urgent = true;
    if (errand->kind == NODE_PING) {
        call = transport_ping(transport, peer, &options);
    } else {
        struct message request = {.kind = MESSAGE_APP,
                                  .app = {.payload = slice_of(errand->payload, errand->len)}};
        call = transport_call(transport, peer, &request, &options);
    }
    errand->node->nat.is_urgent = false;
    errand->messages = (uint16_t)(errand->messages + (call >= 0));
    return call;
}

/* The ledger tells how it ended. */
static void owe(struct errand *errand, const uint8_t *creditor, uint64_t took_us)
{
    struct node *node = errand->node;
    int status = ledger_owe(&node->ledger, creditor, errand->amount, errand->due_s,
                            slice_of(errand->payload, errand->len), errand->number);
    if (status < 0) {
        end(errand, status, took_us);
    } else {
        pool_put(&node->errands, errand->index);
    }
}

static int connect_to(struct errand *errand, const struct port_addr *addr)
{
    struct node *node = errand->node;
    if (port_addr_equal(addr, &node->core.port->local)) {
        return ERR_INVALID;
    }
    struct message request = {
        .kind = MESSAGE_FIND_NODE,
        .find_node = {.target = node->identity.id, .count = node->config->dht.k},
    };
    errand->addr = *addr;
    struct call_options options = {.done = on_done, .owner = errand};
    node->nat.is_urgent = true;
    int call = transport_call_addr(&node->transport, addr, &request, &options);
    node->nat.is_urgent = false;
    return call;
}

static void on_done(void *owner, const struct call_result *result)
{
    struct errand *errand = owner;
    struct node *node = errand->node;
    uint64_t took_us = core_now(&node->core) - errand->start_us;
    if (result->outcome == CALL_SLOW) {
        return;
    }
    if (result->outcome == CALL_LOST && errand->is_client && !errand->is_sought) {
        seek_presence(errand); /* Its box has forgotten us, or it has moved. */
        return;
    }
    if (errand->kind == NODE_SEND) {
        ledger_note(&node->ledger, &errand->to,
                    result->outcome == CALL_LOST ? TRUST_TRANSFER_FAILED : TRUST_TRANSFER_OK);
    }
    if (result->outcome == CALL_LOST) {
        if (errand->kind == NODE_CONNECT && dht_contact_count(&node->dht) == 0) {
            nat_on_unreachable(&node->nat, &errand->addr, 1);
        }
        end(errand, ERR_TIMEOUT, took_us);
        return;
    }
    if (errand->kind == NODE_CONNECT) {
        errand->to = contact_at(node->core.port, result->peer)->id;
        dht_join(&node->dht);
    }
    end(errand, ERR_OK, errand->kind == NODE_PING ? result->rtt_us : took_us);
}

static void end(struct errand *errand, int status, uint64_t took_us)
{
    bool is_connect = errand->kind == NODE_CONNECT;
    bool is_owe = errand->kind == NODE_IOU_OWE;
    bool has_name = !is_owe && (!is_connect || status == ERR_OK);
    enum node_event_kind kind = errand->kind == NODE_SEND ? NODE_SENT
                                : is_connect              ? NODE_CONNECTED
                                : is_owe                  ? NODE_IOU_DONE
                                                          : NODE_PINGED;
    node_deliver(errand->node,
                 &(struct port_event){.kind = (uint16_t)kind,
                                      .status = (int16_t)status,
                                      .command = errand->number,
                                      .took_us = took_us,
                                      .count = {errand->messages},
                                      .about = slice_of(&errand->to, has_name ? NODE_ID_LEN : 0)});
    pool_put(&errand->node->errands, errand->index);
}
