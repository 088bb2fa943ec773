/* contact.h - who and where: a public key, an address, and the id derived from the key.
 *
 * Contacts are interned: a process holds each once and nodes hold 32-bit handles, so that a routing
 * table costs 4 bytes an entry and a comparison of ids is one load from a shared array.
 *
 *      key, address -> contact_intern -> handle -> contact_at, contact_prefix
 */
#ifndef NODE_WIRE_CONTACT_H
#define NODE_WIRE_CONTACT_H

#include <string.h>

#include "node/port/port.h"

enum {
    NODE_ID_LEN = 20, /* 160 bits: Maymounkov & Mazieres 2002, section 2. */
};

struct node_id {
    uint8_t bytes[NODE_ID_LEN];
};

/* The layout of an interned record: PORT_INTERN_KEY bytes of key, then what is derived. */
struct contact {
    uint8_t key[CRYPTO_PUBLIC_LEN]; /* Ed25519. */
    struct port_addr addr;
    uint8_t reserved[6]; /* Zero. */
    struct node_id id;   /* First 160 bits of BLAKE2b(key), domain "meshtwin id". */
    uint8_t reserved_tail[4];
};
_Static_assert(offsetof(struct contact, id) == PORT_INTERN_KEY, "the key comes first");
_Static_assert(sizeof(struct contact) == PORT_INTERN_RECORD, "contacts are interned as they are");

/* The id that belongs to a public key. */
void contact_id(struct node_id *id, const uint8_t key[CRYPTO_PUBLIC_LEN]);

/* The handle of (key, address), with one reference for the caller. */
uint32_t contact_intern(struct port *port, const uint8_t key[CRYPTO_PUBLIC_LEN],
                        const struct port_addr *addr);

/* The same for many: their interning keys, written by contact_key, one after the other. */
void contact_key(uint8_t record_key[PORT_INTERN_KEY], const uint8_t key[CRYPTO_PUBLIC_LEN],
                 const struct port_addr *addr);
void contact_intern_all(struct port *port, const uint8_t (*record_keys)[PORT_INTERN_KEY],
                        uint32_t count, uint32_t *handles);

static inline const struct contact *contact_at(const struct port *port, uint32_t handle)
{
    return (const struct contact *)(const void *)(port->intern->records +
                                                  (size_t)handle * PORT_INTERN_RECORD);
}

/* The first 64 bits of the contact's id as a number: enough to order ids but for a chance of 2^-64.
 */
static inline uint64_t contact_prefix(const struct port *port, uint32_t handle)
{
    return port->intern->prefixes[handle];
}

/* The first 64 bits of any id, big-endian. */
static inline uint64_t node_id_prefix(const struct node_id *id)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value = (value << 8) | id->bytes[i];
    }
    return value;
}

static inline bool node_id_equal(const struct node_id *a, const struct node_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Which of a and b is closer to target by XOR distance: negative, 0 or positive like memcmp. */
int node_id_closer(const struct node_id *a, const struct node_id *b, const struct node_id *target);

/* Number of leading bits a and b share, 0..160. */
int node_id_shared_bits(const struct node_id *a, const struct node_id *b);

/* The address group that diversity limits count: IPv4 /24 or IPv6 /48, as a number never 0. */
uint64_t contact_addr_group(const struct port_addr *addr);

bool port_addr_is_v4(const struct port_addr *addr);

static inline bool port_addr_equal(const struct port_addr *a, const struct port_addr *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

#endif /* NODE_WIRE_CONTACT_H */
