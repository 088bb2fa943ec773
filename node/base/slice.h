/* slice.h - borrowed bytes, and the small byte tools that everybody needs.
 *
 * A slice never owns: it is valid for the call that receives it and no longer.
 */
#ifndef NODE_BASE_SLICE_H
#define NODE_BASE_SLICE_H

#include <stddef.h>
#include <stdint.h>

struct slice {
    const uint8_t *data;
    size_t len;
};

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){.data = data, .len = len};
}

/* The object that embeds `member` at `pointer`. */
#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define array_len(array) (sizeof(array) / sizeof((array)[0]))

#endif /* NODE_BASE_SLICE_H */
