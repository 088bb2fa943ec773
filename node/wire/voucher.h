/* voucher.h - what a relay signs when it takes a reservation, and what a node behind a NAT tells
 * the world of itself: its presence.
 *
 *      relay: voucher_sign -> RESERVED -> client: presence_write -> record under its own id
 *      caller: presence_read -> CONNECT with the voucher -> relay: voucher_is_genuine
 *
 * A voucher binds the relay, the client and the limits of a circuit. Only the relay that signed one
 * judges it: it knows by the serial when that was, so no clock but its own matters.
 */
#ifndef NODE_WIRE_VOUCHER_H
#define NODE_WIRE_VOUCHER_H

#include "node/wire/contact.h"

enum {
    PRESENCE_RELAYS_MAX = 3,
    /* serial, life, bytes, seconds, signature. */
    VOUCHER_LEN = 8 + 4 + 8 + 4 + CRYPTO_SIGNATURE_LEN,
    PRESENCE_RELAY_LEN = CRYPTO_PUBLIC_LEN + 1 + 16 + 2 + VOUCHER_LEN,
    PRESENCE_LEN_MAX = 1 + 1 + PRESENCE_RELAYS_MAX * PRESENCE_RELAY_LEN,
};

struct voucher {
    uint64_t serial;      /* Of the relay's reservations; rises. */
    uint32_t life_s;      /* From its signing. */
    uint64_t circuit_max; /* Bytes of a circuit, both directions together. */
    uint32_t circuit_s;   /* And its time. */
    uint8_t signature[CRYPTO_SIGNATURE_LEN];
};

void voucher_sign(struct port *port, struct voucher *voucher,
                  const uint8_t client[CRYPTO_PUBLIC_LEN], const uint8_t relay[CRYPTO_PUBLIC_LEN],
                  const uint8_t relay_secret[CRYPTO_SECRET_LEN]);
bool voucher_is_genuine(struct port *port, const struct voucher *voucher,
                        const uint8_t client[CRYPTO_PUBLIC_LEN],
                        const uint8_t relay[CRYPTO_PUBLIC_LEN]);

/* One relay by which a node can be reached. */
struct presence_relay {
    uint8_t key[CRYPTO_PUBLIC_LEN];
    struct port_addr addr;
    struct voucher voucher;
};

/* The value of a presence record (wire/record.h): who it is about is its publisher. */
struct presence {
    uint32_t relay_count;
    struct presence_relay relays[PRESENCE_RELAYS_MAX];
};

/* Returns the bytes written; they always fit PRESENCE_LEN_MAX. */
size_t presence_write(const struct presence *presence, uint8_t bytes[PRESENCE_LEN_MAX]);
/* False when the bytes are not exactly one presence. */
bool presence_read(struct slice bytes, struct presence *presence);

#endif /* NODE_WIRE_VOUCHER_H */
