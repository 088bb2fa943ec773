/* commands.h - what node_submit starts, and how its end is told.
 *
 *      node_submit -> node_command_start -> dht, gossip, ledger, errand.h -> done ->
 * node_deliver(event)
 *
 * One file with node.c as far as the arrows go: it may call every module.
 */
#ifndef NODE_COMMANDS_H
#define NODE_COMMANDS_H

#include "node/node.h"

/* ERR_OK and later one event with the command's number, or a negative ERR_* and no event. */
int node_command_start(struct node *node, const struct node_command *command);

/* guard has banned a peer: it is told, and its sessions and its place in the table end after this
 * entry. */
void node_on_banned(void *arg, const struct node_id *id, uint32_t points);

/* The ledger has ended a command, or heard from an IOU's other party. */
void node_on_iou_done(void *arg, uint32_t number, int status, const uint8_t iou[IOU_ID_LEN]);
void node_on_iou_changed(void *arg, const uint8_t iou[IOU_ID_LEN], uint8_t state);

/* An application message from a peer: delivered to the driver, then acknowledged. */
void node_on_app(struct node *node, const struct message_from *from,
                 const struct message_app *message);

static inline void node_deliver(struct node *node, const struct port_event *event)
{
    node->core.port->ops->deliver(node->core.port, event);
}

#endif /* NODE_COMMANDS_H */
