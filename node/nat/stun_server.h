/* stun_server.h - what a STUN server answers: RFC 8489 section 6.3, RFC 5780 section 6.1.
 *
 *      request, who asked, which of our addresses was asked, whether it may be answered elsewhere
 *          -> stun_server_answer -> bytes, from which of our addresses, to whom
 *
 * A pure function: no state, no sockets, no rate limit; whoever serves brings those. Answers go to
 * the address that asked, never to another (RESPONSE-PORT is not understood), and are at most
 * STUN_ANSWER_MAX bytes. What is not a well-formed binding request is met with silence.
 *
 * NAT behaviour discovery wants answers from another address than the one that was asked. Whoever
 * has forged the asker's address could have such answers sent into places, so they leave only when
 * the caller knows that the asker hears what is sent to it, and never have more bytes than the
 * request had: what does not fit is left out, in the end all but the header, which still shows a
 * filter's tester that an answer came. Our own client asks with enough bytes (stun_client.h).
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
    uint8_t local;   /* Number of the address it has come to. */
    bool may_change; /* Whether it may be answered from another: see above. */
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
