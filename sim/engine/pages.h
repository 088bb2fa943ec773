/* pages.h - a growing array of raw pages, for pools that may reach gigabytes.
 *
 * Zeroed, cache-line aligned, backed by huge pages where the kernel grants them (fewer TLB misses
 * in tables that are read at random). Growing remaps instead of copying, so the peak is the size of
 * the array and not three times that. The base moves: hold indexes, not pointers.
 *
 *      pages_grow(&pages, bytes) -> kernel mapping -> pages.base .. pages.base + pages.bytes
 */
#ifndef SIM_ENGINE_PAGES_H
#define SIM_ENGINE_PAGES_H

#include <stddef.h>

#include "node/base/err.h"

struct pages {
    void *base; /* NULL while empty. */
    size_t bytes;
};

/* At least `bytes` long afterwards; new bytes are zero. ERR_FULL when the kernel has no more. */
NODISCARD int pages_grow(struct pages *pages, size_t bytes);
void pages_close(struct pages *pages);

#endif /* SIM_ENGINE_PAGES_H */
