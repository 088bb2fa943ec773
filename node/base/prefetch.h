/* prefetch.h - asking the processor for memory ahead of its use.
 *
 * A hint changes nothing, so gcc takes a function that gives only hints for one without effect and
 * drops the calls of it: hence the empty statement that it must not look through.
 */
#ifndef NODE_BASE_PREFETCH_H
#define NODE_BASE_PREFETCH_H

#include <stddef.h>

enum { PREFETCH_LINE = 64 };

static inline void prefetch(const void *memory, size_t bytes)
{
    const char *line = memory;
    for (size_t at = 0; at < bytes; at += PREFETCH_LINE) {
        __builtin_prefetch(line + at);
    }
    __asm__ volatile("" : : "r"(memory));
}

#endif /* NODE_BASE_PREFETCH_H */
