/* fuzz_wire.c - any bytes as a message: see tests/support/wire_check.h for what must hold. */
#include "tests/support/wire_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bare_port *bare;
    if (bare == NULL) {
        bare = bare_open(1);
    }
    (void)wire_check(bare, slice_of(data, size));
    return 0;
}
