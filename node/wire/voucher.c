/* voucher.c - vouchers signed and checked, presences as bytes. */
#include "node/wire/voucher.h"

#include "node/base/must.h"
#include "node/port/crypto_calls.h"
#include "node/wire/addr.h"
#include "node/wire/codec.h"

enum {
    PRESENCE_VERSION = 1,
    BODY_LEN = 16 + 2 * CRYPTO_PUBLIC_LEN + VOUCHER_LEN - CRYPTO_SIGNATURE_LEN,
};

static void write_body(uint8_t body[BODY_LEN], const struct voucher *voucher, const uint8_t *client,
                       const uint8_t *relay);

void voucher_sign(struct port *port, struct voucher *voucher,
                  const uint8_t client[CRYPTO_PUBLIC_LEN], const uint8_t relay[CRYPTO_PUBLIC_LEN],
                  const uint8_t relay_secret[CRYPTO_SECRET_LEN])
{
    uint8_t body[BODY_LEN];
    write_body(body, voucher, client, relay);
    port_sign(port, voucher->signature, slice_of(body, sizeof body), relay_secret);
}

bool voucher_is_genuine(struct port *port, const struct voucher *voucher,
                        const uint8_t client[CRYPTO_PUBLIC_LEN],
                        const uint8_t relay[CRYPTO_PUBLIC_LEN])
{
    uint8_t body[BODY_LEN];
    write_body(body, voucher, client, relay);
    return port_verify(port, voucher->signature, slice_of(body, sizeof body), relay);
}

size_t presence_write(const struct presence *presence, uint8_t bytes[PRESENCE_LEN_MAX])
{
    must(presence->relay_count <= PRESENCE_RELAYS_MAX);
    struct writer writer = writer_of(bytes, PRESENCE_LEN_MAX);
    write_u8(&writer, PRESENCE_VERSION);
    write_u8(&writer, (uint8_t)presence->relay_count);
    for (uint32_t i = 0; i < presence->relay_count; i++) {
        const struct presence_relay *relay = &presence->relays[i];
        write_bytes(&writer, relay->key, sizeof relay->key);
        write_addr(&writer, &relay->addr);
        write_voucher(&writer, &relay->voucher);
    }
    must(!writer.bad);
    return writer_len(&writer);
}

bool presence_read(struct slice bytes, struct presence *presence)
{
    struct reader reader = reader_of(bytes);
    reader.bad |= read_u8(&reader) != PRESENCE_VERSION;
    presence->relay_count = read_u8(&reader);
    reader.bad |= presence->relay_count > PRESENCE_RELAYS_MAX;
    for (uint32_t i = 0; i < presence->relay_count && !reader.bad; i++) {
        struct presence_relay *relay = &presence->relays[i];
        read_into(&reader, relay->key, sizeof relay->key);
        read_addr(&reader, &relay->addr);
        read_voucher(&reader, &relay->voucher);
    }
    return !reader.bad && reader_left(&reader) == 0;
}

static void write_body(uint8_t body[BODY_LEN], const struct voucher *voucher, const uint8_t *client,
                       const uint8_t *relay)
{
    static const char purpose[16] = "meshtwin voucher"; /* So that it is no other signature. */
    struct writer writer = writer_of(body, BODY_LEN);
    write_bytes(&writer, purpose, sizeof purpose);
    write_bytes(&writer, client, CRYPTO_PUBLIC_LEN);
    write_bytes(&writer, relay, CRYPTO_PUBLIC_LEN);
    write_u64(&writer, voucher->serial);
    write_u32(&writer, voucher->life_s);
    write_u64(&writer, voucher->circuit_max);
    write_u32(&writer, voucher->circuit_s);
    must(!writer.bad && writer_len(&writer) == BODY_LEN);
}
