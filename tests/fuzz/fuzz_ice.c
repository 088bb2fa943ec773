/* fuzz_ice.c - any bytes as what is done to two ICE agents under way: see
 * tests/support/ice_check.h for what must hold. */
#include "tests/support/ice_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)ice_check(slice_of(data, size));
    return 0;
}
