/* pcp.h - asking a router for a port: PCP (RFC 6887) and its forerunner NAT-PMP (RFC 6886).
 *
 *      pcp_write_request, natpmp_write_request -> bytes to port 5351 of the router
 *      bytes from it -> pcp_read_answer, else natpmp_read_answer -> what was granted
 *
 * PCP's MAP and ANNOUNCE, NAT-PMP's external address and mapping; requests and answers in both
 * directions, so that the simulated router speaks through the same code. A router that knows only
 * the older protocol answers a request of PCP with version 0 and NATPMP_UNSUPPORTED_VERSION (RFC
 * 6887 section 9): natpmp_read_answer reads that too. Reading is strict and bounded, and allocates
 * nothing. Repetitions and renewals are the caller's; pcp_epoch_check says when all is lost.
 *
 *      PCP      version(1) R and opcode(1) reserved(2) lifetime(4) client address(16)   request
 *               version(1) R and opcode(1) reserved(1) result(1) lifetime(4) epoch(4) reserved(12)
 *               MAP: nonce(12) protocol(1) reserved(3) internal port(2) external port(2)
 * address(16) options: code(1) reserved(1) length(2) value, padded to 4
 */
#ifndef NODE_NAT_PCP_H
#define NODE_NAT_PCP_H

#include "node/port/port.h"

enum {
    PCP_PORT = 5351,        /* Of the router, RFC 6887 section 19.1; NAT-PMP's too. */
    PCP_CLIENT_PORT = 5350, /* Where announcements come to, by multicast to 224.0.0.1. */
    PCP_VERSION = 2,        /* Section 5. */
    PCP_MESSAGE_MAX = 1100, /* Section 7. */
    PCP_NONCE_LEN = 12,     /* Section 11.1. */
    PCP_REQUEST_MAX = 24 + 36 + 4,
    PCP_ANSWER_MAX = 24 + 36,
    NATPMP_REQUEST_MAX = 12, /* RFC 6886 section 3.3. */
    NATPMP_ANSWER_MAX = 16,
    PCP_LIFETIME_S = 7200, /* Recommended: RFC 6886 section 3.3. */
};

enum pcp_opcode { /* Section 19.2. */
                  PCP_ANNOUNCE = 0,
                  PCP_MAP = 1,
};

enum pcp_protocol { /* Internet protocol numbers: section 11.1. */
                    PCP_ALL = 0,
                    PCP_TCP = 6,
                    PCP_UDP = 17,
};

/* Section 7.4. */
#define PCP_RESULTS(X)                                                                             \
    X(SUCCESS, 0, "success")                                                                       \
    X(UNSUPPORTED_VERSION, 1, "unsupported version")                                               \
    X(NOT_AUTHORIZED, 2, "not authorized")                                                         \
    X(MALFORMED_REQUEST, 3, "malformed request")                                                   \
    X(UNSUPPORTED_OPCODE, 4, "unsupported opcode")                                                 \
    X(UNSUPPORTED_OPTION, 5, "unsupported option")                                                 \
    X(MALFORMED_OPTION, 6, "malformed option")                                                     \
    X(NETWORK_FAILURE, 7, "network failure")                                                       \
    X(NO_RESOURCES, 8, "no resources")                                                             \
    X(UNSUPPORTED_PROTOCOL, 9, "unsupported protocol")                                             \
    X(USER_OVER_QUOTA, 10, "user over quota")                                                      \
    X(CANNOT_PROVIDE_EXTERNAL, 11, "cannot provide the external address or port")                  \
    X(ADDRESS_MISMATCH, 12, "a NAT lies between")                                                  \
    X(EXCESSIVE_REMOTE_PEERS, 13, "too many remote peers")

/* RFC 6886 section 3.5. */
#define NATPMP_RESULTS(X)                                                                          \
    X(SUCCESS, 0, "success")                                                                       \
    X(UNSUPPORTED_VERSION, 1, "unsupported version")                                               \
    X(NOT_AUTHORIZED, 2, "not authorized")                                                         \
    X(NETWORK_FAILURE, 3, "network failure")                                                       \
    X(NO_RESOURCES, 4, "no resources")                                                             \
    X(UNSUPPORTED_OPCODE, 5, "unsupported opcode")

enum pcp_result {
#define PCP_ENUM(name, number, text) PCP_##name = (number),
    PCP_RESULTS(PCP_ENUM)
#undef PCP_ENUM
};

enum natpmp_result {
#define NATPMP_ENUM(name, number, text) NATPMP_##name = (number),
    NATPMP_RESULTS(NATPMP_ENUM)
#undef NATPMP_ENUM
};

struct pcp_nonce {
    uint8_t bytes[PCP_NONCE_LEN];
};

struct pcp_map {
    struct pcp_nonce nonce;    /* Of the host's entropy; the same for renewal and end. */
    uint8_t protocol;          /* enum pcp_protocol */
    uint16_t internal_port;    /* 0 with PCP_ALL: all. */
    struct port_addr external; /* Suggested, or assigned; address of zeroes and port 0: any. */
};

struct pcp_request {
    uint8_t opcode;      /* enum pcp_opcode */
    uint32_t lifetime_s; /* 0 ends a mapping. */
    uint8_t client[16];  /* The asker's own address, which a router compares with the sender's. */
    struct pcp_map map;  /* Of PCP_MAP. */
    bool must_fit;       /* Option PREFER_FAILURE: no port rather than another one. */
    bool has_unknown;    /* An option that must not be ignored: PCP_UNSUPPORTED_OPTION. */
};

struct pcp_answer {
    uint8_t opcode;
    uint8_t result;      /* enum pcp_result; other numbers are failures too. */
    uint32_t lifetime_s; /* Granted; after a failure how long it will not change. */
    uint32_t epoch_s;    /* The router's seconds since it lost its mappings. */
    bool has_map;        /* A failure may come without. */
    struct pcp_map map;
};

/* Bytes written; the buffer has PCP_REQUEST_MAX or PCP_ANSWER_MAX. */
size_t pcp_write_request(const struct pcp_request *request, uint8_t *buffer);
size_t pcp_write_answer(const struct pcp_answer *answer, uint8_t *buffer);

/* False when the bytes are not exactly one message of this version, direction and one of these
 * opcodes. An answer that grants something must have all of it. */
bool pcp_read_request(struct slice bytes, struct pcp_request *request);
bool pcp_read_answer(struct slice bytes, struct pcp_answer *answer);

/* Whether it answers this request rather than another, or a forger's guess: section 11.4. A failure
 * without a map answers none for sure. */
bool pcp_answers(const struct pcp_answer *answer, const struct pcp_request *request);

const char *pcp_result_text(unsigned result); /* "unknown result" for other numbers. */

/* What is remembered of a router's clock: section 8.5. Zero at the start. */
struct pcp_epoch {
    bool is_known;
    uint32_t server_s;
    uint64_t seen_us;
};

/* Takes the epoch of an answer. False: the router has lost its state since the last, and mappings
 * have to be asked for anew. */
bool pcp_epoch_check(struct pcp_epoch *epoch, uint32_t server_s, uint64_t now_us);

/* --- NAT-PMP ------------------------------------------------------------------------------- */

enum natpmp_opcode { /* RFC 6886 sections 3.2 and 3.3. */
                     NATPMP_EXTERNAL = 0,
                     NATPMP_MAP_UDP = 1,
                     NATPMP_MAP_TCP = 2,
};

struct natpmp_request {
    uint8_t opcode; /* enum natpmp_opcode */
    uint16_t internal_port;
    uint16_t external_port; /* Suggested; 0: any. */
    uint32_t lifetime_s;    /* 0 ends a mapping. */
};

struct natpmp_answer {
    uint8_t opcode;
    uint16_t result; /* enum natpmp_result; other numbers are failures too. */
    uint32_t epoch_s;
    uint8_t external[4]; /* Of NATPMP_EXTERNAL. */
    uint16_t internal_port;
    uint16_t external_port;
    uint32_t lifetime_s;
};

/* Bytes written; the buffer has NATPMP_REQUEST_MAX or NATPMP_ANSWER_MAX. */
size_t natpmp_write_request(const struct natpmp_request *request, uint8_t *buffer);
size_t natpmp_write_answer(const struct natpmp_answer *answer, uint8_t *buffer);

/* False when the bytes are no such message. A failure may end behind its epoch (section 3.5), and
 * then answers any opcode; its other fields are zero. */
bool natpmp_read_request(struct slice bytes, struct natpmp_request *request);
bool natpmp_read_answer(struct slice bytes, struct natpmp_answer *answer);

const char *natpmp_result_text(unsigned result);

#endif /* NODE_NAT_PCP_H */
