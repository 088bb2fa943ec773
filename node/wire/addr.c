/* addr.c - addresses and vouchers as bytes. */
#include "node/wire/addr.h"

enum {
    FAMILY_V4 = 4,
    FAMILY_V6 = 6,
};

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void write_addr(struct writer *writer, const struct port_addr *addr)
{
    if (port_addr_is_v4(addr)) {
        write_u8(writer, FAMILY_V4);
        write_bytes(writer, addr->ip + sizeof v4_prefix, 4);
    } else {
        write_u8(writer, FAMILY_V6);
        write_bytes(writer, addr->ip, sizeof addr->ip);
    }
    write_bytes(writer, addr->port, sizeof addr->port);
}

void read_addr(struct reader *reader, struct port_addr *addr)
{
    uint8_t family = read_u8(reader);
    if (family == FAMILY_V4) {
        memcpy(addr->ip, v4_prefix, sizeof v4_prefix);
        read_into(reader, addr->ip + sizeof v4_prefix, 4);
    } else {
        read_into(reader, addr->ip, sizeof addr->ip);
        reader->bad |= family != FAMILY_V6 || port_addr_is_v4(addr);
    }
    read_into(reader, addr->port, sizeof addr->port);
}

void write_voucher(struct writer *writer, const struct voucher *voucher)
{
    write_u64(writer, voucher->serial);
    write_u32(writer, voucher->life_s);
    write_u64(writer, voucher->circuit_max);
    write_u32(writer, voucher->circuit_s);
    write_bytes(writer, voucher->signature, sizeof voucher->signature);
}

void read_voucher(struct reader *reader, struct voucher *voucher)
{
    voucher->serial = read_u64(reader);
    voucher->life_s = read_u32(reader);
    voucher->circuit_max = read_u64(reader);
    voucher->circuit_s = read_u32(reader);
    read_into(reader, voucher->signature, sizeof voucher->signature);
}
