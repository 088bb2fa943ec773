/* stun.h - STUN messages as bytes: RFC 8489, with the attributes of NAT behaviour discovery
 * (RFC 5780) and of ICE's connectivity checks (RFC 8445).
 *
 *      type(2) length(2) cookie(4) id(12), then attributes: type(2) length(2) value, padded to 4
 *
 *      bytes -> stun_is_message -> stun_read -> struct stun_message, borrowed from the bytes
 *      stun_start -> stun_add_* -> stun_end -> bytes
 *
 * It knows messages, not what to do about them: see stun_server.h and stun_client.h. Reading is
 * strict, bounded and without allocation. What RFC 8489 lets a reader ignore is ignored: the bytes
 * of padding, a second attribute of a kind, and what follows MESSAGE-INTEGRITY (section 14.5).
 *
 * Telling STUN from our own datagrams, which share the socket: those begin with 1, 2 or 3
 * (node/transport/packet.h). Every method that was ever assigned is below 0x80, so STUN begins with
 * 0 or 1 (section 5) and only answers, which begin with 1, need a second look. Their bytes 4 to 7
 * are the cookie, where a handshake has its fragment's number and count: 0x21 of 0x12. A fragment's
 * number is below its count, so no handshake can ever be that.
 */
#ifndef NODE_NAT_STUN_H
#define NODE_NAT_STUN_H

#include "node/base/hmac.h"
#include "node/wire/codec.h"
#include "node/wire/contact.h"

enum {
    STUN_COOKIE = 0x2112a442, /* Section 5. */
    STUN_PORT = 3478,         /* Where servers are: section 18.6. */
    STUN_HEADER_LEN = 20,
    STUN_ID_LEN = 12,
    STUN_FINGERPRINT_XOR = 0x5354554e, /* Section 14.7. */
    STUN_USERNAME_MAX = 508,           /* Section 14.3. */
    STUN_TEXT_MAX = 763,               /* Sections 14.8 to 14.10, 14.14. */
    STUN_SHA256_MIN = 16,              /* Section 14.6: the tag may be cut to this. */
    STUN_UNKNOWN_MAX = 16,             /* Of either list that are remembered; the rest is not. */
    STUN_BINDING = 0x001,              /* The method: section 18.2. */
};

enum stun_class { /* Section 5. */
                  STUN_REQUEST = 0,
                  STUN_INDICATION = 1,
                  STUN_SUCCESS = 2,
                  STUN_ERROR = 3,
};

/* Sections 14 and 18.3; RFC 5780 section 7; RFC 8445 section 16.1. Who receives a type below 0x8000
 * without knowing it must not answer as if it did. */
#define STUN_ATTRIBUTES(X)                                                                         \
    X(MAPPED_ADDRESS, 0x0001)                                                                      \
    X(CHANGE_REQUEST, 0x0003)                                                                      \
    X(USERNAME, 0x0006)                                                                            \
    X(MESSAGE_INTEGRITY, 0x0008)                                                                   \
    X(ERROR_CODE, 0x0009)                                                                          \
    X(UNKNOWN_ATTRIBUTES, 0x000a)                                                                  \
    X(REALM, 0x0014)                                                                               \
    X(NONCE, 0x0015)                                                                               \
    X(MESSAGE_INTEGRITY_SHA256, 0x001c)                                                            \
    X(XOR_MAPPED_ADDRESS, 0x0020)                                                                  \
    X(PRIORITY, 0x0024)                                                                            \
    X(USE_CANDIDATE, 0x0025)                                                                       \
    X(PADDING, 0x0026)                                                                             \
    X(RESPONSE_PORT, 0x0027)                                                                       \
    X(SOFTWARE, 0x8022)                                                                            \
    X(FINGERPRINT, 0x8028)                                                                         \
    X(ICE_CONTROLLED, 0x8029)                                                                      \
    X(ICE_CONTROLLING, 0x802a)                                                                     \
    X(RESPONSE_ORIGIN, 0x802b)                                                                     \
    X(OTHER_ADDRESS, 0x802c)

enum stun_attribute {
#define STUN_ENUM(name, type) STUN_##name = (type),
    STUN_ATTRIBUTES(STUN_ENUM)
#undef STUN_ENUM
};

enum { STUN_REQUIRED_END = 0x8000 }; /* Types below it have to be understood: section 14. */

enum stun_change { /* Flags of CHANGE-REQUEST: RFC 5780 section 7.2. */
                   STUN_CHANGE_PORT = 0x2,
                   STUN_CHANGE_IP = 0x4,
};

enum stun_error { /* Section 14.8; 487 is RFC 8445's, section 7.3.1.1. */
                  STUN_TRY_ALTERNATE = 300,
                  STUN_BAD_REQUEST = 400,
                  STUN_UNAUTHENTICATED = 401,
                  STUN_UNKNOWN_ATTRIBUTE = 420,
                  STUN_STALE_NONCE = 438,
                  STUN_ROLE_CONFLICT = 487,
                  STUN_SERVER_ERROR = 500,
};

struct stun_id {
    uint8_t bytes[STUN_ID_LEN];
};

/* Types of attributes, in order of appearance; at most STUN_UNKNOWN_MAX of them. */
struct stun_types {
    uint16_t type[STUN_UNKNOWN_MAX];
    uint8_t count;
};

/* What a message says. A field means something when stun_has() its attribute. */
struct stun_message {
    struct slice bytes; /* All of it, borrowed. */
    enum stun_class class;
    uint16_t method;
    struct stun_id id;
    uint32_t present; /* One bit per line of STUN_ATTRIBUTES. */
    struct port_addr mapped;
    struct port_addr xor_mapped; /* Already without its mask. */
    struct port_addr origin;
    struct port_addr other;
    struct slice username;
    struct slice realm;
    struct slice nonce;
    struct slice software;
    struct slice padding;
    struct slice reason; /* Of ERROR-CODE. */
    uint16_t error_code; /* 300 .. 699 */
    uint16_t response_port;
    uint32_t change; /* Flags of enum stun_change. */
    uint32_t priority;
    uint64_t controlled; /* ICE's tie-breakers: RFC 8445 section 16.1. */
    uint64_t controlling;
    struct stun_types refused; /* UNKNOWN-ATTRIBUTES: what the answering side did not know. */
    struct stun_types unknown; /* Attributes of this message that have to be understood, and are
                                  not. */
    size_t integrity_at;       /* Where MESSAGE-INTEGRITY begins in bytes, */
    size_t integrity_sha256_at;
    size_t integrity_sha256_len;
};

/* Cheap: whether a datagram is STUN's rather than ours. It may still be refused by stun_read. */
bool stun_is_message(struct slice bytes);

/* False when the bytes are not exactly one well-formed message, or its FINGERPRINT is wrong. */
bool stun_read(struct slice bytes, struct stun_message *message);

bool stun_has(const struct stun_message *message, enum stun_attribute attribute);

/* Whether the message carries MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256, and it is right under
 * this key: the password of short-term credentials, the hash of long-term ones (section 9). Takes
 * the same time wherever a wrong tag differs. */
bool stun_integrity_is_valid(const struct stun_message *message, struct slice key);
bool stun_sha256_is_valid(const struct stun_message *message, struct slice key);

/* --- writing ------------------------------------------------------------------------------- */

struct stun_writer {
    struct writer writer;
    struct stun_id id;
};

void stun_start(struct stun_writer *writer, uint8_t *buffer, size_t cap, enum stun_class class,
                uint16_t method, const struct stun_id *id);

/* Bytes that attributes may still take, their headers and padding included. */
size_t stun_room(const struct stun_writer *writer);

/* MAPPED-ADDRESS, XOR-MAPPED-ADDRESS, RESPONSE-ORIGIN, OTHER-ADDRESS, and what one of them takes:
 * less for IPv4 than for IPv6. */
void stun_add_addr(struct stun_writer *writer, enum stun_attribute attribute,
                   const struct port_addr *addr);
size_t stun_addr_len(const struct port_addr *addr);

/* USERNAME, REALM, NONCE, SOFTWARE, PADDING, and USE-CANDIDATE with nothing in it. */
void stun_add_bytes(struct stun_writer *writer, enum stun_attribute attribute, struct slice value);

/* CHANGE-REQUEST, PRIORITY, RESPONSE-PORT, ICE-CONTROLLED, ICE-CONTROLLING. */
void stun_add_number(struct stun_writer *writer, enum stun_attribute attribute, uint64_t value);

void stun_add_error(struct stun_writer *writer, enum stun_error code); /* With its text. */
void stun_add_unknown(struct stun_writer *writer, const struct stun_types *types);

/* Over all before it. */
void stun_add_integrity(struct stun_writer *writer, struct slice key);
void stun_add_sha256(struct stun_writer *writer, struct slice key);
void stun_add_fingerprint(struct stun_writer *writer); /* The last of all. */

enum { STUN_FINGERPRINT_LEN = 8 }; /* What stun_add_fingerprint takes. */

/* Bytes of the message; 0 when something did not fit. */
size_t stun_end(struct stun_writer *writer);

const char *stun_error_text(unsigned code); /* "Error" for codes not listed here. */

#endif /* NODE_NAT_STUN_H */
