/* contact.c - ids, their order, and the interning of contacts. */
#include "node/wire/contact.h"

#include "node/base/hash.h"

static uint64_t complete(void *record);

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void contact_id(struct node_id *id, const uint8_t key[CRYPTO_PUBLIC_LEN])
{
    hash_domain(id->bytes, sizeof id->bytes, "meshtwin id", slice_of(key, CRYPTO_PUBLIC_LEN),
                slice_of(NULL, 0));
}

void contact_key(uint8_t record_key[PORT_INTERN_KEY], const uint8_t key[CRYPTO_PUBLIC_LEN],
                 const struct port_addr *addr)
{
    memcpy(record_key, key, CRYPTO_PUBLIC_LEN);
    memcpy(record_key + CRYPTO_PUBLIC_LEN, addr, sizeof *addr);
    memset(record_key + CRYPTO_PUBLIC_LEN + sizeof *addr, 0,
           PORT_INTERN_KEY - CRYPTO_PUBLIC_LEN - sizeof *addr);
}

uint32_t contact_intern(struct port *port, const uint8_t key[CRYPTO_PUBLIC_LEN],
                        const struct port_addr *addr)
{
    uint8_t record_key[PORT_INTERN_KEY];
    contact_key(record_key, key, addr);
    return port->ops->intern_get(port, record_key, complete);
}

void contact_intern_all(struct port *port, const uint8_t (*record_keys)[PORT_INTERN_KEY],
                        uint32_t count, uint32_t *handles)
{
    if (port->ops->intern_expect != NULL) {
        port->ops->intern_expect(port, record_keys, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        handles[i] = port->ops->intern_get(port, record_keys[i], complete);
    }
}

int node_id_closer(const struct node_id *a, const struct node_id *b, const struct node_id *target)
{
    for (int i = 0; i < NODE_ID_LEN; i++) {
        int distance_a = a->bytes[i] ^ target->bytes[i];
        int distance_b = b->bytes[i] ^ target->bytes[i];
        if (distance_a != distance_b) {
            return distance_a - distance_b;
        }
    }
    return 0;
}

int node_id_shared_bits(const struct node_id *a, const struct node_id *b)
{
    for (int i = 0; i < NODE_ID_LEN; i++) {
        unsigned different = (unsigned)(a->bytes[i] ^ b->bytes[i]);
        if (different != 0) {
            return i * 8 + __builtin_clz(different) - 24;
        }
    }
    return NODE_ID_LEN * 8;
}

bool port_addr_is_v4(const struct port_addr *addr)
{
    return memcmp(addr->ip, v4_prefix, sizeof v4_prefix) == 0;
}

uint64_t contact_addr_group(const struct port_addr *addr)
{
    /* /24 for IPv4, /48 for IPv6; the top bit keeps the number above 0 and the families apart. */
    const uint8_t *bytes = addr->ip;
    bool is_v4 = port_addr_is_v4(addr);
    uint64_t group = is_v4 ? 1u : 2u;
    for (int i = is_v4 ? 12 : 0; i < (is_v4 ? 15 : 6); i++) {
        group = (group << 8) | bytes[i];
    }
    return group;
}

static uint64_t complete(void *record)
{
    struct contact *contact = record;
    contact_id(&contact->id, contact->key);
    return node_id_prefix(&contact->id);
}
