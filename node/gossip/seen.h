/* seen.h - which broadcasts went through here lately, in fixed memory.
 *
 *      id -> seen_has -> a repeat, dropped
 *         -> seen_add -> current generation -> (full or old) -> previous generation -> forgotten
 *
 * Two generations of 64-bit tags in open-addressed tables, at most half full. An id is remembered
 * until seen_max more have come after it or SEEN_AGE_US has passed, and for up to twice that.
 * Somebody who replays a broadcast after both generations are gone makes it news once more; its hop
 * count ends it.
 */
#ifndef NODE_GOSSIP_SEEN_H
#define NODE_GOSSIP_SEEN_H

#include "node/base/core.h"
#include "node/wire/message.h"

/* A broadcast is everywhere within seconds, or a minute where links are lost: this is an age. */
#define SEEN_AGE_US (5 * 60 * UINT64_C(1000000))

struct seen {
    uint64_t *tags[2]; /* Current and previous generation, slot_count each; 0 is a free slot. */
    uint64_t salt;     /* Whose tags crowd together is not for senders to choose. */
    uint64_t begun_us; /* When the current generation was. */
    uint32_t slot_count;
    uint16_t max;
    uint16_t count; /* Tags of the current generation. */
};

/* A set for `max` ids per generation. NULL when the arena is at its end. */
struct seen *seen_new(struct core *core, uint16_t max);

bool seen_has(const struct seen *seen, const uint8_t id[BROADCAST_ID_LEN]);

/* Remembers an id that the set does not have. */
void seen_add(struct seen *seen, uint64_t now_us, const uint8_t id[BROADCAST_ID_LEN]);

/* NULL when well-formed, else what is not. */
const char *seen_check(const struct seen *seen);

#endif /* NODE_GOSSIP_SEEN_H */
