/* dispatch.h - what happens to a message once it has been opened.
 *
 *      text -> decode -> reply: call_answer
 *                     -> PING:  PONG at once, to where the session lives
 *                     -> PROBE: PROBED at once, by the way it came -> PROVED
 *                     -> other requests, within the peer's allowance: hooks.message
 *
 * Callbacks may close any session, the message's own included: find it again by its index.
 */
#ifndef NODE_TRANSPORT_DISPATCH_H
#define NODE_TRANSPORT_DISPATCH_H

#include "node/transport/session.h"

/* Where a message came from, beside its session. */
struct dispatch_source {
    const struct port_addr *addr;
    size_t answer_max;
    bool is_early;
    bool is_verified; /* A round trip with this contact at this address was seen. */
};

void dispatch_message(struct transport *transport, struct session *session,
                      const struct dispatch_source *source, struct slice text);

/* Asks the session's peer, who has written from a new address, to show that it receives there; the
 * answer is seen by dispatch_message. */
void dispatch_ask(struct transport *transport, struct session *session,
                  const struct port_addr *addr);

/* PROBE, PROBED and PROVED try a way out: docs/modules/transport.md. */
static inline bool dispatch_is_probe(uint8_t kind)
{
    return kind == MESSAGE_PROBE || kind == MESSAGE_PROBED || kind == MESSAGE_PROVED;
}

enum {
    /* Call number of what dispatch_ask sends: no call has it. */
    DISPATCH_ASK_CALL = 0,
};

#endif /* NODE_TRANSPORT_DISPATCH_H */
