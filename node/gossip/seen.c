/* seen.c - the two generations of broadcast tags. */
#include "node/gossip/seen.h"

#include "node/base/must.h"
#include "node/wire/codec.h"

static uint64_t tag_of(const uint8_t id[BROADCAST_ID_LEN]);
static uint32_t slot_of(const struct seen *seen, const uint64_t *tags, uint64_t tag);
static void rotate(struct seen *seen, uint64_t now_us);
static uint32_t tags_count(const struct seen *seen, const uint64_t *tags);

struct seen *seen_new(struct core *core, uint16_t max)
{
    must(max > 0);

    uint32_t slot_count = 2;
    while (slot_count < 2u * max) {
        slot_count *= 2;
    }
    struct seen *seen =
        arena_alloc(&core->arena, ARENA_GOSSIP, sizeof *seen + 2 * slot_count * sizeof(uint64_t));
    if (seen == NULL) {
        return NULL;
    }
    uint64_t *tags = (uint64_t *)(void *)(seen + 1);
    *seen = (struct seen){
        .tags = {tags, tags + slot_count},
        .begun_us = core_now(core),
        .slot_count = slot_count,
        .max = max,
    };
    core->port->ops->entropy(core->port, &seen->salt, sizeof seen->salt);
    return seen;
}

bool seen_has(const struct seen *seen, const uint8_t id[BROADCAST_ID_LEN])
{
    uint64_t tag = tag_of(id);
    return seen->tags[0][slot_of(seen, seen->tags[0], tag)] == tag ||
           seen->tags[1][slot_of(seen, seen->tags[1], tag)] == tag;
}

void seen_add(struct seen *seen, uint64_t now_us, const uint8_t id[BROADCAST_ID_LEN])
{
    must_slow(!seen_has(seen, id));

    if (seen->count == seen->max || now_us - seen->begun_us >= SEEN_AGE_US) {
        rotate(seen, now_us);
    }
    uint64_t tag = tag_of(id);
    seen->tags[0][slot_of(seen, seen->tags[0], tag)] = tag;
    seen->count++;
}

const char *seen_check(const struct seen *seen)
{
    if (seen->count > seen->max || seen->count != tags_count(seen, seen->tags[0])) {
        return "gossip: the seen-filter's count is wrong";
    }
    if (tags_count(seen, seen->tags[1]) > seen->max) {
        return "gossip: the seen-filter's previous generation is too full";
    }
    return NULL;
}

static uint64_t tag_of(const uint8_t id[BROADCAST_ID_LEN])
{
    struct reader reader = reader_of(slice_of(id, BROADCAST_ID_LEN));
    uint64_t tag = read_u64(&reader);
    return tag != 0 ? tag : 1;
}

/* Where `tag` is, or the free slot where it would be. Half of the slots are free, so there is one.
 */
static uint32_t slot_of(const struct seen *seen, const uint64_t *tags, uint64_t tag)
{
    uint32_t slot = (uint32_t)rng_mix(tag ^ seen->salt) & (seen->slot_count - 1);
    while (tags[slot] != 0 && tags[slot] != tag) {
        slot = (slot + 1) & (seen->slot_count - 1);
    }
    return slot;
}

static void rotate(struct seen *seen, uint64_t now_us)
{
    uint64_t *oldest = seen->tags[1];
    memset(oldest, 0, seen->slot_count * sizeof *oldest);
    seen->tags[1] = seen->tags[0];
    seen->tags[0] = oldest;
    seen->begun_us = now_us;
    seen->count = 0;
}

static uint32_t tags_count(const struct seen *seen, const uint64_t *tags)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < seen->slot_count; i++) {
        found += tags[i] != 0;
    }
    return found;
}
