/* window.h - which counters of a session have been received: each is accepted once.
 *
 * A ring of bits as in RFC 6479. One word of the ring is always being cleared, so a datagram may be
 * overtaken by WINDOW_LEN others before it counts as too old. Check before opening a datagram, mark
 * only after it has proved authentic.
 *
 *      counter -> window_is_fresh -> unseal -> window_mark
 */
#ifndef NODE_TRANSPORT_WINDOW_H
#define NODE_TRANSPORT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

enum {
    WINDOW_BITS = 768,
    WINDOW_WORD_BITS = 64,
    WINDOW_WORDS = WINDOW_BITS / WINDOW_WORD_BITS,
    WINDOW_LEN = WINDOW_BITS - WINDOW_WORD_BITS,
};

struct window {
    uint64_t next; /* The highest counter received, plus one. */
    uint64_t bits[WINDOW_WORDS];
};

static inline bool window_is_fresh(const struct window *window, uint64_t counter)
{
    if (counter >= window->next) {
        return counter != UINT64_MAX; /* `next` must stay above it. */
    }
    if (window->next - counter > WINDOW_LEN) {
        return false;
    }
    uint64_t word = window->bits[counter / WINDOW_WORD_BITS % WINDOW_WORDS];
    return (word >> counter % WINDOW_WORD_BITS & 1) == 0;
}

static inline void window_mark(struct window *window, uint64_t counter)
{
    if (counter >= window->next) {
        uint64_t newest = window->next == 0 ? 0 : (window->next - 1) / WINDOW_WORD_BITS;
        uint64_t words = counter / WINDOW_WORD_BITS - newest;
        for (uint64_t i = 1; i <= words && i <= WINDOW_WORDS; i++) {
            window->bits[(newest + i) % WINDOW_WORDS] = 0;
        }
        window->next = counter + 1;
    }
    window->bits[counter / WINDOW_WORD_BITS % WINDOW_WORDS] |= UINT64_C(1)
                                                               << counter % WINDOW_WORD_BITS;
}

#endif /* NODE_TRANSPORT_WINDOW_H */
