/* gate.h - who may ask for what.
 *
 *      ask -> gate_admits: Host, then Origin, then token -> route
 *                 '-> 400, 401, 403 with a reason
 *
 * A page in a browser can make its visitor's machine talk to loopback. It cannot choose the Host
 * header, so a name that is not ours means that somebody's DNS points here (rebinding); it cannot
 * hide its Origin, so one that is not this very address means a foreign page. Programs on this
 * machine send no Origin and the address as Host; they may read, and with the token write.
 */
#ifndef NODE_EDGE_GATE_H
#define NODE_EDGE_GATE_H

#include "node/edge/answer.h"
#include "node/edge/token.h"

enum gate_need {
    GATE_OPEN,  /* No token in any case. */
    GATE_READ,  /* A token when bound to more than loopback. */
    GATE_WRITE, /* A token. */
};

#define GATE_NAME_SIZE 256

struct gate {
    bool is_local;                 /* Bound to loopback: a read needs no token. */
    bool has_token;                /* False: there are no writes at all. */
    char own_name[GATE_NAME_SIZE]; /* What this machine calls itself; counts when not is_local. */
    struct token token;
};

/* False: `answer` says why. */
bool gate_admits(const struct gate *gate, const struct ask *ask, enum gate_need need,
                 struct answer *answer);

#endif /* NODE_EDGE_GATE_H */
