/* dispatch.h - what happens to a message once it has been opened.
 *
 *      text -> decode -> reply: call_answer
 *                     -> PING:  PONG at once, to where the session lives
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

/* Sends a PING to a new address of the session's peer; its answer is seen by dispatch_message. */
void dispatch_probe(struct transport *transport, struct session *session,
                    const struct port_addr *addr);

enum {
    /* call number of probes: no call has it. */
    DISPATCH_PROBE_CALL = 0,
};

#endif /* NODE_TRANSPORT_DISPATCH_H */
