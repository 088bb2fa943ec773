/* verb_rows.h - the one table of verbs.
 *
 * A row: name, operands, least and most words, options, kind, example, summary. From it come help,
 * completion, the checks of a request, and the functions each verb must have:
 *
 *      request -> verb_NAME_start(call) -> [event -> verb_NAME_finish(call)] -> verb_NAME_print
 *
 * READ looks, WRITE changes something, ASK asks the mesh and so has a finish; ASK_WRITE is both.
 */
#ifndef NODE_DAEMON_VERB_ROWS_H
#define NODE_DAEMON_VERB_ROWS_H

#include "node/daemon/verb_parts.h"

/* clang-format off */
#define VERBS(X)                                                                                   \
    X(peers, "", 0, 0, 0, READ, "peers",                                                           \
      "Lists the nodes of the routing table and of open sessions.")                                \
    X(known, "", 0, 0, 0, READ, "known",                                                           \
      "Lists the nodes that were verified once, over restarts too.")                               \
    X(routes, "", 0, 0, 0, READ, "routes",                                                         \
      "Shows how full the buckets of the routing table are.")                                      \
    X(bans, "", 0, 0, 0, READ, "bans",                                                             \
      "Lists the nodes that are not listened to, and until when.")                                 \
    X(ban, "<id>", 1, 1, 0, ASK_WRITE, "ban 3fa2",                                                 \
      "Stops listening to a node for a while.")                                                    \
    X(unban, "<id>", 1, 1, 0, ASK_WRITE, "unban 3fa2",                                             \
      "Listens to a banned node again.")                                                           \
    X(why, "<id>", 1, 1, 0, READ, "why 3fa2",                                                      \
      "Explains what this node thinks of another, and how it is reached.")                         \
    X(trust, "<id>", 1, 1, 0, READ, "trust 3fa2",                                                  \
      "Shows how far a node is trusted, from 0 to 1.")                                             \
    X(connect, "<address:port>", 1, 1, 0, ASK_WRITE, "connect 127.0.0.1:8469",                     \
      "Joins the mesh through the node at an address.")                                            \
    X(ping, "<id>", 1, 1, 0, ASK, "ping 3fa2",                                                     \
      "Measures a round trip to a node.")                                                          \
    X(find, "<id>", 1, 1, 0, ASK, "find 3fa2",                                                     \
      "Looks up the nodes that are closest to an id.")                                             \
    X(put, "[--hex] <value>", 1, VERB_WORDS_MAX, VERB_HEX, ASK_WRITE, "put hello world",           \
      "Stores a value in the mesh, and names its key.")                                            \
    X(get, "[--hex] <key>", 1, 1, VERB_HEX, ASK,                                                   \
      "get 0a4b3c2d1e0f5a6b7c8d9e0f1a2b3c4d5e6f7a8b",                                              \
      "Fetches the value under a key.")                                                            \
    X(publish, "[--salt N] [--hex] <value>", 1, VERB_WORDS_MAX, VERB_HEX | VERB_SALT, ASK_WRITE,   \
      "publish --salt 1 on duty",                                                                  \
      "Stores a value under this node's own key, over the last one.")                              \
    X(delete, "[--salt N]", 0, 0, VERB_SALT, ASK_WRITE, "delete --salt 1",                         \
      "Deletes what was published.")                                                               \
    X(send, "<id> <message>", 2, VERB_WORDS_MAX, 0, ASK_WRITE, "send 3fa2 hello",                  \
      "Sends a message to one node.")                                                              \
    X(broadcast, "<message>", 1, VERB_WORDS_MAX, 0, ASK_WRITE, "broadcast lunch at noon",          \
      "Sends a message to everybody.")                                                             \
    X(ledger, "", 0, 0, 0, READ, "ledger",                                                         \
      "Shows balances and IOUs.")                                                                  \
    X(owe, "<id> <amount> <time> [memo]", 3, VERB_WORDS_MAX, 0, ASK_WRITE,                         \
      "owe 3fa2 100 7d for the disk",                                                              \
      "Promises an amount to a node, due in that time.")                                           \
    X(accept, "<iou>", 1, 1, 0, ASK_WRITE, "accept 9c01",                                          \
      "Accepts an IOU that was offered to us.")                                                    \
    X(reject, "<iou>", 1, 1, 0, ASK_WRITE, "reject 9c01",                                          \
      "Rejects an IOU that was offered to us.")                                                    \
    X(redeem, "<iou>", 1, 1, 0, ASK_WRITE, "redeem 9c01",                                          \
      "Says that an IOU held by us has been paid.")                                                \
    X(default, "<iou>", 1, 1, 0, ASK_WRITE, "default 9c01",                                        \
      "Says that an IOU held by us is past due and not paid.")                                     \
    X(id, "", 0, 0, 0, READ, "id",                                                                 \
      "Shows this node's id, public key and address.")                                             \
    X(status, "", 0, 0, 0, READ, "status",                                                         \
      "Says how this node does, and how others reach it.")                                         \
    X(health, "", 0, 0, 0, READ, "health",                                                         \
      "Judges each part; fails while the node is not ready.")                                      \
    X(stats, "", 0, 0, 0, READ, "stats",                                                           \
      "Shows counters of messages, datagrams, storage and memory.")                                \
    X(log, "<level>", 1, 1, 0, WRITE, "log debug",                                                 \
      "Sets what is logged: error, warn, info or debug.")                                          \
    X(watch, "", 0, 0, 0, READ, "watch",                                                           \
      "Prints messages and news as they arrive.")                                                  \
    X(help, "[verb]", 0, 1, 0, READ, "help put",                                                   \
      "Lists the verbs, or explains one.")                                                         \
    X(quit, "", 0, 0, 0, WRITE, "quit",                                                            \
      "Leaves the mesh and ends the node.")
/* clang-format on */

#define VERB_HAS_READ(name)
#define VERB_HAS_WRITE(name)
#define VERB_HAS_ASK(name)                                                                         \
    void verb_##name##_finish(struct verb_call *call, const struct port_event *event);
#define VERB_HAS_ASK_WRITE(name) VERB_HAS_ASK(name)
#define VERB_DECLARE(name, operands, word_min, word_max, options, kind, example, summary)          \
    void verb_##name##_start(struct verb_call *call);                                              \
    void verb_##name##_print(const cJSON *data, struct text *out);                                 \
    VERB_HAS_##kind(name)
VERBS(VERB_DECLARE)
#undef VERB_DECLARE

#endif /* NODE_DAEMON_VERB_ROWS_H */
