/* traffic.h - what a node has sent and received, by kind: messages, and packets of handshakes.
 *
 * A message is counted each time it goes out or comes in, so retransmissions are in it, and a
 * message that rides in a handshake packet counts in both rows. Received messages have proved
 * authentic and well-formed; received handshake packets and cookies have only the right shape.
 *
 *      session, handshake, dispatch -> traffic_sent, traffic_received -> rows -> node_observe
 *
 * Readers go over all rows and ask for their names: no reader knows the kinds.
 */
#ifndef NODE_TRANSPORT_TRAFFIC_H
#define NODE_TRANSPORT_TRAFFIC_H

#include "node/wire/message.h"

/* What is no message, in the order of enum packet_step. */
#define TRAFFIC_PACKETS(X)                                                                         \
    X(IK_1, "handshake.ik_1")                                                                      \
    X(IK_2, "handshake.ik_2")                                                                      \
    X(XX_1, "handshake.xx_1")                                                                      \
    X(XX_2, "handshake.xx_2")                                                                      \
    X(XX_3, "handshake.xx_3")                                                                      \
    X(COOKIE, "handshake.cookie")                                                                  \
    X(CONFIRM, "handshake.confirm") /* DATA without a message. */                                  \
    X(UNREADABLE, "unreadable")     /* DATA with something that is none. */

enum traffic_row {
#define TRAFFIC_MESSAGE_ENUM(name, number, body, text, owner, class) TRAFFIC_##name,
    MESSAGES(TRAFFIC_MESSAGE_ENUM)
#undef TRAFFIC_MESSAGE_ENUM
#define TRAFFIC_PACKET_ENUM(name, text) TRAFFIC_##name,
        TRAFFIC_PACKETS(TRAFFIC_PACKET_ENUM)
#undef TRAFFIC_PACKET_ENUM
            TRAFFIC_ROWS
};

struct traffic {
    uint64_t sent[TRAFFIC_ROWS];
    uint64_t received[TRAFFIC_ROWS];
};

/* "dht.find_node", "handshake.ik_1". */
const char *traffic_text(enum traffic_row row);

/* The row of a message kind, TRAFFIC_UNREADABLE for unknown ones; and of a handshake packet by its
 * step (enum packet_step). */
enum traffic_row traffic_row_of(uint8_t kind);
enum traffic_row traffic_row_of_step(uint8_t step);

static inline void traffic_sent(struct traffic *traffic, enum traffic_row row)
{
    traffic->sent[row]++;
}

static inline void traffic_received(struct traffic *traffic, enum traffic_row row)
{
    traffic->received[row]++;
}

/* Adds the rows of `more` to those of `sum`. */
void traffic_add(struct traffic *sum, const struct traffic *more);

#endif /* NODE_TRANSPORT_TRAFFIC_H */
