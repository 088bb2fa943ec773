/* commands.c - one function to start each command, one to tell how it ended. */
#include "node/commands.h"

#include "node/errand.h"

static void on_lookup_done(void *owner, uint32_t tag, const struct lookup_result *result);
static void on_put_done(void *owner, uint32_t tag, const struct put_result *result);
static int start_put(struct node *node, const struct node_command *command);
static int start_broadcast(struct node *node, const struct node_command *command);
static int ban(struct node *node, const struct node_command *command);
static int unban(struct node *node, const struct node_command *command);
static void on_enforce(struct timer *timer);

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
    case NODE_PING:
    case NODE_CONNECT:
    case NODE_IOU_OWE:
        return errand_start(node, command);
    case NODE_BAN:
        return ban(node, command);
    case NODE_UNBAN:
        return unban(node, command);
    case NODE_IOU_ACCEPT:
        return ledger_say(&node->ledger, command->iou, IOU_ACCEPTED, command->number);
    case NODE_IOU_REJECT:
        return ledger_say(&node->ledger, command->iou, IOU_REJECTED, command->number);
    case NODE_IOU_REDEEM:
        return ledger_say(&node->ledger, command->iou, IOU_REDEEMED, command->number);
    case NODE_IOU_DEFAULT:
        return ledger_say(&node->ledger, command->iou, IOU_DEFAULTED, command->number);
    case NODE_BROADCAST:
        return start_broadcast(node, command);
    default:
        return ERR_INVALID;
    }
}

void node_on_banned(void *arg, const struct node_id *id, uint32_t points)
{
    struct node *node = arg;
    timer_start(&node->core.timers, &node->enforce, 0, on_enforce);
    node_deliver(node, &(struct port_event){.kind = NODE_BANNED,
                                            .count = {points},
                                            .about = slice_of(id, sizeof *id)});
}

void node_on_iou_done(void *arg, uint32_t number, int status, const uint8_t iou[IOU_ID_LEN])
{
    node_deliver(arg, &(struct port_event){.kind = NODE_IOU_DONE,
                                           .status = (int16_t)status,
                                           .command = number,
                                           .about = slice_of(iou, IOU_ID_LEN)});
}

void node_on_iou_changed(void *arg, const uint8_t iou[IOU_ID_LEN], uint8_t state)
{
    node_deliver(arg, &(struct port_event){.kind = NODE_IOU_CHANGED,
                                           .count = {state},
                                           .about = slice_of(iou, IOU_ID_LEN)});
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

static int ban(struct node *node, const struct node_command *command)
{
    int status = node_id_equal(&command->id, &node->identity.id)
                     ? ERR_INVALID
                     : guard_ban(&node->guard, &command->id, 0);
    if (status == ERR_OK) {
        timer_start(&node->core.timers, &node->enforce, 0, on_enforce);
        node_deliver(node,
                     &(struct port_event){.kind = NODE_BANNED,
                                          .command = command->number,
                                          .about = slice_of(&command->id, sizeof command->id)});
    }
    return status;
}

static int unban(struct node *node, const struct node_command *command)
{
    int status = guard_unban(&node->guard, &command->id);
    node_deliver(node, &(struct port_event){.kind = NODE_UNBANNED,
                                            .status = (int16_t)status,
                                            .command = command->number,
                                            .about = slice_of(&command->id, sizeof command->id)});
    return ERR_OK;
}

/* After the entry in which somebody was banned: by then nobody holds on to its session. */
static void on_enforce(struct timer *timer)
{
    struct node *node = container_of(timer, struct node, enforce);
    const struct guard_ban *banned;
    for (uint32_t i = 0; (banned = guard_ban_at(&node->guard, i)) != NULL; i++) {
        transport_drop(&node->transport, &banned->id);
        dht_forget(&node->dht, &banned->id);
    }
}
