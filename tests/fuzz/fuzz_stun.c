/* fuzz_stun.c - any bytes as STUN: see tests/support/stun_check.h for what must hold.
 *
 * The length and the fingerprint are put right in a copy, because a fuzzer rarely guesses a CRC.
 */
#include "node/base/crc32.h"
#include "tests/support/stun_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_mended(const uint8_t *data, size_t size)
{
    static uint8_t bytes[STUN_CHECK_MAX];
    if (size < STUN_HEADER_LEN + STUN_FINGERPRINT_LEN || size > sizeof bytes) {
        return;
    }
    memcpy(bytes, data, size);
    struct writer length = writer_of(bytes + 2, 2);
    write_u16(&length, (uint16_t)(size - STUN_HEADER_LEN));
    struct slice covered = slice_of(bytes, size - STUN_FINGERPRINT_LEN);
    struct writer fingerprint = writer_of(bytes + covered.len, STUN_FINGERPRINT_LEN);
    write_u16(&fingerprint, STUN_FINGERPRINT);
    write_u16(&fingerprint, 4);
    write_u32(&fingerprint, crc32_of(covered) ^ STUN_FINGERPRINT_XOR);
    (void)stun_check(slice_of(bytes, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)stun_check(slice_of(data, size));
    check_mended(data, size);
    return 0;
}
