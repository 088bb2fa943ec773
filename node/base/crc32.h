/* crc32.h - the checksum of Ethernet and zip (ISO/IEC 8802-3 section 3.2.9), as STUN uses it.
 *
 * It finds accidents, not attackers: with it a STUN message is told from bytes that happen to look
 * like one (RFC 8489 section 14.7).
 *
 *      bytes -> crc32_of -> 32 bits
 */
#ifndef NODE_BASE_CRC32_H
#define NODE_BASE_CRC32_H

#include "node/base/slice.h"

uint32_t crc32_of(struct slice bytes);

#endif /* NODE_BASE_CRC32_H */
