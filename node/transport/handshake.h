/* handshake.h - how sessions begin: IK and XX over datagrams, with early reads and cookies.
 *
 *      IK   initiator  IK 1 (key, [read]) ------------------------>  responder
 *           ESTABLISHED  <----------------- IK 2 (flags, [answer])   UNCONFIRMED
 *                        DATA ------------------------------------>  ESTABLISHED
 *      XX   initiator  XX 1 -------------------------------------->  responder
 *                        <---------------------------- XX 2 (key)    ANSWERED
 *           ESTABLISHED  XX 3 (key, [request]) ------------------->  ESTABLISHED
 *
 * The prologue binds the protocol, the network and, in IK, the responder's Ed25519 key, because its
 * X25519 form loses the sign. Payloads carry the sender's canonical Ed25519 key, which must have
 * the static key as its X25519 form.
 *
 * Simultaneous open: of two IK handshakes between the same two contacts the one begun by the lower
 * id wins. Its owner ignores the other; the other answers, asks for confirmation and, once
 * confirmed, moves its calls over. A replayed IK 1 therefore costs a stranger's place and nothing
 * else.
 */
#ifndef NODE_TRANSPORT_HANDSHAKE_H
#define NODE_TRANSPORT_HANDSHAKE_H

#include "node/transport/noise.h"
#include "node/transport/packet.h"
#include "node/transport/session.h"

enum {
    /* Between two transmissions of a first message: calls that share it have timers of their own.
     */
    HANDSHAKE_AGAIN_US = RTT_RTO_MIN_US / 2,
};

struct handshake {
    struct noise
        noise; /* An initiator's is begun anew for every transmission, with the same key. */
    uint64_t sent_us;
    uint32_t rider; /* Number of the call whose request is in the message; 0 for none. */
    uint8_t tries;
    bool has_cookie;
    uint8_t cookie[CRYPTO_MAC_LEN];
    uint8_t mac1[CRYPTO_MAC_LEN]; /* Of the last first message: a cookie is bound to it. */
};
_Static_assert(sizeof(struct handshake) <= 256, "one for every session that opens");

struct call; /* call.h */

/* Where transport_reply puts the answer to an early read. */
struct early_answer {
    uint8_t *buffer;
    size_t cap;
    size_t len; /* 0 until there is one. */
    uint32_t session;
};

/* Begins a handshake with the callee, by contact (IK) or address (XX), and sends its first message.
 * ERR_FULL without room for it; ERR_INVALID when the contact's key is none. */
NODISCARD int handshake_open(struct transport *transport, const struct call *call,
                             struct session **opened);

/* The first message again, unless that was done a moment ago. */
void handshake_again(struct transport *transport, struct session *session);

/* Frees what the session keeps of its handshake. */
void handshake_end(struct transport *transport, struct session *session);

void handshake_on_packet(struct transport *transport, const struct port_addr *from,
                         struct slice bytes);
void handshake_on_cookie(struct transport *transport, const struct port_addr *from,
                         struct slice bytes);

#endif /* NODE_TRANSPORT_HANDSHAKE_H */
