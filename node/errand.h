/* errand.h - commands that need one peer: NODE_SEND, NODE_PING, NODE_CONNECT, NODE_IOU_OWE.
 *
 *      SEND                  lookup of the receiver -> APP ------------------> NODE_SENT
 *           of a client: lookup of its presence -> circuit -> APP
 *      PING     known peer, or lookup of the peer   -> PING -----------------> NODE_PINGED
 *      CONNECT               Noise XX to an address -> FIND_NODE(own id) ----> NODE_CONNECTED, join
 *      IOU_OWE  known peer, or lookup of the creditor -> its key -> ledger --> NODE_IOU_DONE
 *
 * One file with node.c as far as the arrows go: it may call every module.
 */
#ifndef NODE_ERRAND_H
#define NODE_ERRAND_H

#include "node/node.h"

int errand_init(struct node *node);

/* ERR_OK and later one event with the command's number, or a negative ERR_* and no event. */
int errand_start(struct node *node, const struct node_command *command);

#endif /* NODE_ERRAND_H */
