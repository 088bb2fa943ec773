/* fuzz_pcp.c - any bytes as PCP or NAT-PMP: see tests/support/pcp_check.h for what must hold. */
#include "tests/support/pcp_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)pcp_check(slice_of(data, size));
    return 0;
}
