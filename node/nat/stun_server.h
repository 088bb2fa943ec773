/* stun_server.h - what a STUN server answers: RFC 8489 section 6.3, RFC 5780 section 6.1.
 *
 *      request, who asked, which of our addresses was asked
 *          -> stun_server_answer -> bytes, from which of our addresses, to whom
 *
 * A pure function: no state, no sockets, no rate limit; whoever serves brings those. Answers go to
 * the address that asked, never to another (RESPONSE-PORT is not understood), and are at most
 * STUN_ANSWER_MAX bytes. What is not a well-formed binding request is met with silence.
 *
 * NAT behaviour discovery wants answers from another address than the one that was asked. Its
 * clients ask from sockets that we have never heard of, and would not return a token: there is no
 * way to find out first whether the asker's address is its own (RFC 5780 has none either). So these
 * answers are worth nothing to a forger: they go to the address that asked, where the usual answer
 * would have gone as well, and never have more bytes than the request had. What does not fit is
 * left out, in the end all but the header, which still shows a filter's tester that an answer came.
 * Our own client asks with enough bytes (stun_client.h).
 */
#ifndef NODE_NAT_STUN_SERVER_H
#define NODE_NAT_STUN_SERVER_H

#include "node/nat/stun.h"

enum {
    STUN_ANSWER_MAX = 128,
    STUN_LOCALS = 4,
    STUN_OTHER_PORT = 1, /* Local addresses are numbered 2 * ip + port: 1 is the other port, */
    STUN_OTHER_IP = 2,   /* 2 the other IP address, 3 both: RFC 5780 section 6. */
};

struct stun_server_config {
    struct slice software; /* SOFTWARE of answers with room for it; empty: none. */
    bool has_other;        /* All of local[] exist; else only the first. */
    struct port_addr local[STUN_LOCALS];
};

struct stun_server_question {
    struct slice request;
    struct port_addr from;
    uint8_t local; /* Number of the address it has come to. */
};

struct stun_server_reply {
    struct port_addr to;
    uint8_t local; /* Number of the address to send it from. */
    uint8_t len;
    uint8_t bytes[STUN_ANSWER_MAX];
};

/* False: no answer. */
bool stun_server_answer(const struct stun_server_config *config,
                        const struct stun_server_question *question,
                        struct stun_server_reply *reply);

#endif /* NODE_NAT_STUN_SERVER_H */
