/* pages.c - growing mappings with mmap, mremap and huge pages. */
#define _GNU_SOURCE /* mremap, MADV_HUGEPAGE */
#include "sim/engine/pages.h"

#include <sys/mman.h>

#include "node/base/must.h"

/* The size of a huge page on the machines we run on; mappings are whole numbers of them once they
 * are that large, so that the kernel can use huge pages throughout. */
#define HUGE_BYTES ((size_t)2 << 20)
#define PAGE_BYTES ((size_t)4096)

int pages_grow(struct pages *pages, size_t bytes)
{
    if (bytes <= pages->bytes) {
        return ERR_OK;
    }
    size_t unit = bytes >= HUGE_BYTES ? HUGE_BYTES : PAGE_BYTES;
    size_t rounded = (bytes + unit - 1) / unit * unit;
    void *base;
    if (pages->base == NULL) {
        base = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    } else {
        base = mremap(pages->base, pages->bytes, rounded, MREMAP_MAYMOVE);
    }
    if (base == MAP_FAILED) {
        return ERR_FULL;
    }
    if (rounded >= HUGE_BYTES) {
        /* Only speed depends on it; kernels without huge pages say no. */
        (void)madvise(base, rounded, MADV_HUGEPAGE);
    }
    *pages = (struct pages){.base = base, .bytes = rounded};
    return ERR_OK;
}

void pages_close(struct pages *pages)
{
    if (pages->base != NULL) {
        must(munmap(pages->base, pages->bytes) == 0);
    }
    *pages = (struct pages){0};
}
