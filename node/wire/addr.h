/* addr.h - addresses and vouchers inside messages and records, in the one form each has.
 *
 *      address  family(1: 4 or 6) ip(4 or 16) port(2); a mapped IPv4 address has the short form
 * only voucher  serial(8) life(4) bytes(8) seconds(4) signature(64)
 */
#ifndef NODE_WIRE_ADDR_H
#define NODE_WIRE_ADDR_H

#include "node/wire/codec.h"
#include "node/wire/voucher.h"

void write_addr(struct writer *writer, const struct port_addr *addr);
void read_addr(struct reader *reader, struct port_addr *addr);

void write_voucher(struct writer *writer, const struct voucher *voucher);
void read_voucher(struct reader *reader, struct voucher *voucher);

#endif /* NODE_WIRE_ADDR_H */
