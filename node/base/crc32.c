/* crc32.c - CRC-32, four bits at a time. */
#include "node/base/crc32.h"

uint32_t crc32_of(struct slice bytes)
{
    /* What four bits do to the register: the polynomial 0x04c11db7, lowest bit first. */
    static const uint32_t table[16] = {
        0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u,
        0x4db26158u, 0x5005713cu, 0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
        0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
    };
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < bytes.len; i++) {
        crc = table[(crc ^ bytes.data[i]) & 15] ^ (crc >> 4);
        crc = table[(crc ^ (bytes.data[i] >> 4)) & 15] ^ (crc >> 4);
    }
    return ~crc;
}
