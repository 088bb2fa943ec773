/* ban.c - the table of bans: in the order in which they were made, which is that of their ends. */
#include <string.h>

#include "node/base/must.h"
#include "node/guard/guard.h"

static uint32_t find(const struct guard *guard, const struct node_id *id);
static void remove_bans(struct guard *guard, uint32_t from, uint32_t count);
static void remove_ended(struct guard *guard);

int guard_ban(struct guard *guard, const struct node_id *id, uint32_t points)
{
    uint32_t max = guard->config->bans_max;
    if (guard->bans == NULL) {
        guard->bans = arena_alloc(&guard->core->arena, ARENA_GUARD, max * sizeof *guard->bans);
        if (guard->bans == NULL) {
            return ERR_FULL;
        }
    }
    remove_ended(guard);
    uint32_t place = find(guard, id);
    if (place < guard->ban_count) {
        remove_bans(guard, place, 1);
    } else if (guard->ban_count == max) {
        remove_bans(guard, 0, 1);
    }
    uint64_t until_us = core_now(guard->core) + guard->config->ban_s * UINT64_C(1000000);
    guard->bans[guard->ban_count++] =
        (struct guard_ban){.id = *id, .points = points, .until_us = until_us};
    count(&guard->core->counters, COUNT_BANS);
    return ERR_OK;
}

int guard_unban(struct guard *guard, const struct node_id *id)
{
    bool is_banned = guard_is_banned(guard, id);
    if (is_banned) {
        remove_bans(guard, find(guard, id), 1);
    }
    return is_banned ? ERR_OK : ERR_MISSING;
}

bool guard_ban_find(const struct guard *guard, const struct node_id *id)
{
    uint32_t place = find(guard, id);
    return place < guard->ban_count && guard->bans[place].until_us > core_now(guard->core);
}

const struct guard_ban *guard_ban_at(const struct guard *guard, uint32_t number)
{
    uint32_t ended = 0;
    while (ended < guard->ban_count && guard->bans[ended].until_us <= core_now(guard->core)) {
        ended++;
    }
    return ended + number < guard->ban_count ? &guard->bans[ended + number] : NULL;
}

/* Its place, or ban_count. */
static uint32_t find(const struct guard *guard, const struct node_id *id)
{
    uint32_t place = 0;
    while (place < guard->ban_count && !node_id_equal(&guard->bans[place].id, id)) {
        place++;
    }
    return place;
}

/* Removes `count` bans from place `from` on. */
static void remove_bans(struct guard *guard, uint32_t from, uint32_t count)
{
    must(from + count <= guard->ban_count);
    memmove(guard->bans + from, guard->bans + from + count,
            (guard->ban_count - from - count) * sizeof *guard->bans);
    guard->ban_count = (uint16_t)(guard->ban_count - count);
}

static void remove_ended(struct guard *guard)
{
    uint32_t ended = 0;
    while (ended < guard->ban_count && guard->bans[ended].until_us <= core_now(guard->core)) {
        ended++;
    }
    remove_bans(guard, 0, ended);
}
