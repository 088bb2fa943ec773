/* stun_client.h - one question to a STUN server, from asking to knowing: RFC 8489 section 6.2.1.
 *
 *      options, id from entropy -> stun_client_start
 *      stun_client_next_us passed -> stun_client_ask -> request to send, or the end: no answer
 *      datagram -> stun_client_hear -> result
 *
 * It owns no timer and no socket: whoever drives it sends, waits and calls. The request is sent
 * STUN_RC times, after 0, 500, 1500, 3500, 7500, 15500 and 31500 ms, and given up at 39500 ms.
 *
 * An answer counts only from where it is due: the server asked or, when that was asked to answer
 * from another of its addresses, that one. So a server that ignores CHANGE-REQUEST never passes for
 * a stranger who came through the NAT's filter. One that refuses it says so from the address asked.
 */
#ifndef NODE_NAT_STUN_CLIENT_H
#define NODE_NAT_STUN_CLIENT_H

#include "node/nat/stun.h"

enum {
    STUN_RTO_US = 500000, /* RFC 8489 section 6.2.1: RTO, Rc and Rm. */
    STUN_RC = 7,
    STUN_RM = 16,
    /* Our requests: header, CHANGE-REQUEST, SOFTWARE, FINGERPRINT. As long as the shortest useful
     * answer, one IPv6 address with FINGERPRINT, because of what stun_server.h says. */
    STUN_REQUEST_MAX = 56,
};

struct stun_client_options {
    struct port_addr server;
    uint32_t change;        /* Flags of CHANGE-REQUEST; 0: none is sent. */
    struct port_addr other; /* With any: OTHER-ADDRESS, from an earlier answer of this server. */
    bool is_plain;          /* Without FINGERPRINT and SOFTWARE: for servers of RFC 3489's time. */
    uint32_t rto_us;        /* First pause; 0: STUN_RTO_US. */
};

enum stun_client_state {
    STUN_ASKING,
    STUN_ANSWERED, /* The result holds the mapped address. */
    STUN_REFUSED,  /* The result holds the error's code. */
    STUN_SILENT,   /* No answer came. */
};

struct stun_result {
    struct port_addr mapped;
    struct port_addr origin;
    struct port_addr other;
    bool has_mapped; /* Not in the shortest of answers from another address. */
    bool has_origin;
    bool has_other;
    bool is_rewritten;      /* MAPPED-ADDRESS is another: a helpful box on the way rewrites. */
    uint16_t error_code;    /* 0: none. */
    uint64_t round_trip_us; /* 0 when the request had been repeated: whose answer is it? */
};

struct stun_client {
    struct stun_client_options options;
    struct stun_id id;
    enum stun_client_state state;
    uint8_t sent; /* Times. */
    uint64_t sent_us;
    uint64_t next_us;
    struct stun_result result;
};

/* `id` is 96 bits of the host's entropy: whoever can guess it can answer (section 5). */
void stun_client_start(struct stun_client *client, const struct stun_client_options *options,
                       const struct stun_id *id, uint64_t now_us);

/* When to call stun_client_ask; PORT_NEVER once it is over. */
uint64_t stun_client_next_us(const struct stun_client *client);

/* The request to send now, and its length; 0 when nothing is due, or the time is up. */
size_t stun_client_ask(struct stun_client *client, uint64_t now_us,
                       uint8_t buffer[STUN_REQUEST_MAX]);

/* A datagram: true when it has ended the question. Anything else changes nothing. */
bool stun_client_hear(struct stun_client *client, uint64_t now_us, const struct port_addr *from,
                      struct slice bytes);

/* Where an answer with these flags is due from. */
struct port_addr stun_client_source(const struct stun_client_options *options);

#endif /* NODE_NAT_STUN_CLIENT_H */
