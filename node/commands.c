/* commands.c - one function to start each command, one to tell how it ended. */
#include "node/commands.h"

#include <string.h>

#include "node/base/must.h"

/* A NODE_SEND under way: a lookup for the receiver, then one call. */
struct send {
    struct node *node;
    uint64_t start_us;
    struct node_id to;
    uint32_t number;
    uint16_t messages;
    uint16_t len;
    uint16_t index;
    uint8_t payload[MESSAGE_PAYLOAD_MAX];
};

static void on_lookup_done(void *owner, uint32_t tag, const struct lookup_result *result);
static void on_put_done(void *owner, uint32_t tag, const struct put_result *result);
static int start_put(struct node *node, const struct node_command *command);
static int start_send(struct node *node, const struct node_command *command);
static void on_receiver_found(void *owner, uint32_t tag, const struct lookup_result *result);
static void on_send_done(void *owner, const struct call_result *result);
static void end_send(struct send *send, int status);
static int start_broadcast(struct node *node, const struct node_command *command);

int node_commands_init(struct node *node)
{
    return pool_init(&node->sends, &node->core.arena, ARENA_NODE, sizeof(struct send), 1,
                     node->config->sends_max);
}

int node_command_start(struct node *node, const struct node_command *command)
{
    switch (command->kind) {
    case NODE_LOOKUP:
        return dht_lookup(&node->dht, &command->id, LOOKUP_NODE, on_lookup_done, node,
                          command->number);
    case NODE_GET:
        return dht_lookup(&node->dht, &command->id, LOOKUP_VALUE, on_lookup_done, node,
                          command->number);
    case NODE_PUT:
    case NODE_PUBLISH:
    case NODE_DELETE:
        return start_put(node, command);
    case NODE_SEND:
        return start_send(node, command);
    case NODE_BROADCAST:
        return start_broadcast(node, command);
    default:
        return ERR_INVALID;
    }
}

void node_on_app(struct node *node, const struct message_from *from,
                 const struct message_app *message)
{
    const struct contact *sender = contact_at(node->core.port, from->peer);
    node_deliver(node, &(struct port_event){.kind = NODE_MESSAGE,
                                            .bytes = message->payload,
                                            .about = slice_of(&sender->id, sizeof sender->id)});
    struct message done = {.kind = MESSAGE_APP_DONE};
    transport_reply(&node->transport, from, &done);
}

static void on_lookup_done(void *owner, uint32_t tag, const struct lookup_result *result)
{
    struct port_event event = {
        .kind = result->kind == LOOKUP_NODE ? NODE_LOOKUP_DONE : NODE_GET_DONE,
        .status = (int16_t)result->status,
        .command = tag,
        .took_us = result->took_us,
        .count = {result->messages, result->hops, result->count},
        .about = slice_of(&result->target, sizeof result->target),
    };
    if (result->kind == LOOKUP_NODE) {
        event.bytes = slice_of(result->nearest, result->count * sizeof *result->nearest);
    } else {
        event.count[2] = result->age_s;
        event.bytes = result->record != NULL ? result->record->value : slice_of(NULL, 0);
    }
    node_deliver(owner, &event);
}

static void on_put_done(void *owner, uint32_t tag, const struct put_result *result)
{
    node_deliver(owner, &(struct port_event){.kind = NODE_PUT_DONE,
                                             .status = (int16_t)result->status,
                                             .command = tag,
                                             .took_us = result->took_us,
                                             .count = {result->holders},
                                             .about = slice_of(&result->key, sizeof result->key)});
}

static int start_put(struct node *node, const struct node_command *command)
{
    if (command->bytes.len > RECORD_VALUE_MAX) {
        return ERR_TOO_LARGE;
    }
    static const enum record_kind kinds[] = {[NODE_PUT] = RECORD_IMMUTABLE,
                                             [NODE_PUBLISH] = RECORD_MUTABLE,
                                             [NODE_DELETE] = RECORD_TOMBSTONE};
    return dht_publish(&node->dht, kinds[command->kind], command->salt, command->bytes, on_put_done,
                       node, command->number);
}

static int start_send(struct node *node, const struct node_command *command)
{
    if (command->bytes.len > MESSAGE_PAYLOAD_MAX) {
        return ERR_TOO_LARGE;
    }
    uint16_t index;
    struct send *send = pool_get(&node->sends, &index);
    if (send == NULL) {
        return ERR_FULL;
    }
    send->node = node;
    send->start_us = core_now(&node->core);
    send->to = command->id;
    send->number = command->number;
    send->index = index;
    send->len = (uint16_t)command->bytes.len;
    if (send->len > 0) {
        memcpy(send->payload, command->bytes.data, send->len);
    }
    int status = dht_lookup(&node->dht, &send->to, LOOKUP_NODE, on_receiver_found, send, 0);
    if (status != ERR_OK) {
        pool_put(&node->sends, index);
    }
    return status;
}

static void on_receiver_found(void *owner, uint32_t tag, const struct lookup_result *result)
{
    (void)tag;
    struct send *send = owner;
    struct transport *transport = &send->node->transport;
    send->messages = result->messages;
    if (result->count == 0 ||
        !node_id_equal(&contact_at(send->node->core.port, result->nearest[0])->id, &send->to)) {
        end_send(send, ERR_UNREACHABLE);
        return;
    }
    struct message request = {.kind = MESSAGE_APP,
                              .app = {.payload = slice_of(send->payload, send->len)}};
    struct call_options options = {.done = on_send_done, .owner = send};
    int call = transport_call(transport, result->nearest[0], &request, &options);
    if (call < 0) {
        end_send(send, call);
    } else {
        send->messages++;
    }
}

static void on_send_done(void *owner, const struct call_result *result)
{
    if (result->outcome != CALL_SLOW) {
        end_send(owner, result->outcome == CALL_ANSWERED ? ERR_OK : ERR_TIMEOUT);
    }
}

static void end_send(struct send *send, int status)
{
    struct node *node = send->node;
    node_deliver(node, &(struct port_event){.kind = NODE_SENT,
                                            .status = (int16_t)status,
                                            .command = send->number,
                                            .took_us = core_now(&node->core) - send->start_us,
                                            .count = {send->messages},
                                            .about = slice_of(&send->to, sizeof send->to)});
    pool_put(&node->sends, send->index);
}

static int start_broadcast(struct node *node, const struct node_command *command)
{
    uint8_t id[BROADCAST_ID_LEN];
    int status = gossip_broadcast(&node->gossip, command->bytes, id);
    if (status == ERR_OK) {
        node_deliver(node, &(struct port_event){.kind = NODE_BROADCAST_SENT,
                                                .command = command->number,
                                                .about = slice_of(id, sizeof id)});
    }
    return status;
}
