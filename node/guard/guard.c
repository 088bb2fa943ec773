/* guard.c - the buckets of guard.h and the two tables that hold them. */
#include "node/guard/guard.h"

#include "node/base/err.h"
#include "node/base/must.h"
#include "node/base/prefetch.h"

enum {
    MICRO_PER_TOKEN =
        1000000, /* A rate in tokens per second is one in millionths per microsecond. */
    PEERS_FETCHED_MAX = 16,
    GUARD_SET_BYTES = GUARD_WAYS * sizeof(struct guard_slot),
};
_Static_assert((uint64_t)GUARD_BURST_MAX *MICRO_PER_TOKEN <= UINT32_MAX, "a debt fits its slot");
_Static_assert(sizeof(struct guard_slot) == 16, "eight slots are two cache lines");

static bool limit_is_sound(uint32_t rate, uint32_t burst, uint16_t max);
static bool table_admit(struct guard *guard, struct guard_slot *table, uint32_t slots_max,
                        uint64_t subject, uint32_t rate, uint32_t burst, enum guard_cost cost);
static struct guard_slot *set_of(struct guard_slot *table, uint32_t slots_max, uint64_t hash);
static struct guard_slot *slot_of(struct guard_slot *table, uint32_t slots_max, uint64_t hash);
static uint64_t debt_left(uint64_t debt_micro, uint64_t elapsed_us, uint32_t rate);

int guard_init(struct guard *guard, struct core *core, const struct guard_config *config)
{
    *guard = (struct guard){.core = core, .config = config};
    core->port->ops->entropy(core->port, &guard->salt, sizeof guard->salt);
    guard->handshake_drained_us = core_now(core);
    if (!limit_is_sound(config->group_rate, config->group_burst, config->groups_max) ||
        !limit_is_sound(config->peer_rate, config->peer_burst, config->peers_max)) {
        return ERR_INVALID;
    }
    return ERR_OK;
}

bool guard_admit(struct guard *guard, const struct port_addr *addr, enum guard_cost cost)
{
    const struct guard_config *config = guard->config;
    if (config->group_rate == 0) {
        return true;
    }
    if (guard->groups == NULL) {
        guard->groups = arena_alloc(&guard->core->arena, ARENA_GUARD,
                                    config->groups_max * sizeof *guard->groups);
    }
    return table_admit(guard, guard->groups, config->groups_max, contact_addr_group(addr),
                       config->group_rate, config->group_burst, cost);
}

void guard_expect(const struct guard *guard, const struct port_addr *addr)
{
    if (guard->groups != NULL) {
        uint64_t hash = rng_mix(contact_addr_group(addr) ^ guard->salt);
        prefetch(set_of(guard->groups, guard->config->groups_max, hash), GUARD_SET_BYTES);
    }
    if (guard->peers != NULL) {
        /* Who it is comes out too late for a hint; the table is small enough to fetch whole. */
        prefetch(guard->peers, guard->config->peers_max <= PEERS_FETCHED_MAX
                                   ? guard->config->peers_max * sizeof *guard->peers
                                   : 0);
    }
}

bool guard_admit_peer(struct guard *guard, const struct node_id *id, enum guard_cost cost)
{
    const struct guard_config *config = guard->config;
    if (config->peer_rate == 0) {
        return true;
    }
    if (guard->peers == NULL) {
        guard->peers =
            arena_alloc(&guard->core->arena, ARENA_GUARD, config->peers_max * sizeof *guard->peers);
    }
    return table_admit(guard, guard->peers, config->peers_max, node_id_prefix(id),
                       config->peer_rate, config->peer_burst, cost);
}

bool guard_admit_handshake(struct guard *guard)
{
    const struct guard_config *config = guard->config;
    if (config->handshake_rate == 0) {
        return true;
    }
    uint64_t now_us = core_now(guard->core);
    uint64_t debt_micro = debt_left(guard->handshake_debt_micro,
                                    now_us - guard->handshake_drained_us, config->handshake_rate) +
                          MICRO_PER_TOKEN;
    bool is_admitted = debt_micro <= (uint64_t)config->handshake_burst * MICRO_PER_TOKEN;
    guard->handshake_debt_micro = is_admitted ? debt_micro : debt_micro - MICRO_PER_TOKEN;
    guard->handshake_drained_us = now_us;
    return is_admitted;
}

static bool limit_is_sound(uint32_t rate, uint32_t burst, uint16_t max)
{
    return rate == 0 || (burst <= GUARD_BURST_MAX && max >= GUARD_WAYS && (max & (max - 1)) == 0);
}

static bool table_admit(struct guard *guard, struct guard_slot *table, uint32_t slots_max,
                        uint64_t subject, uint32_t rate, uint32_t burst, enum guard_cost cost)
{
    if (table == NULL) {
        count(&guard->core->counters, COUNT_THROTTLED);
        return false;
    }
    struct guard_slot *slot = slot_of(table, slots_max, rng_mix(subject ^ guard->salt));
    uint64_t now_us = core_now(guard->core);
    must(now_us >= slot->drained_us);

    uint64_t debt_micro = debt_left(slot->debt_micro, now_us - slot->drained_us, rate);
    uint64_t wanted_micro = debt_micro + (uint64_t)cost * MICRO_PER_TOKEN;
    bool is_admitted = wanted_micro <= (uint64_t)burst * MICRO_PER_TOKEN;
    slot->debt_micro = (uint32_t)(is_admitted ? wanted_micro : debt_micro);
    slot->drained_us = now_us;
    if (!is_admitted) {
        count(&guard->core->counters, COUNT_THROTTLED);
    }
    return is_admitted;
}

static struct guard_slot *set_of(struct guard_slot *table, uint32_t slots_max, uint64_t hash)
{
    return table + (hash & (slots_max / GUARD_WAYS - 1)) * GUARD_WAYS;
}

/* The subject's slot: the one with its tag, a free one, or the one of its set that was silent for
 * longest. Slots of a set fill from the front and are never freed, so a free one ends the search.
 */
static struct guard_slot *slot_of(struct guard_slot *table, uint32_t slots_max, uint64_t hash)
{
    struct guard_slot *set = set_of(table, slots_max, hash);
    struct guard_slot *oldest = set;
    uint32_t tag = (uint32_t)(hash >> 32) | 1;
    for (uint32_t i = 0; i < GUARD_WAYS; i++) {
        if (set[i].tag == tag) {
            return &set[i];
        }
        if (set[i].tag == 0) {
            oldest = &set[i];
            break;
        }
        if (set[i].drained_us < oldest->drained_us) {
            oldest = &set[i];
        }
    }
    oldest->tag = tag;
    return oldest;
}

/* In 128 bits, because a node may have slept for years at any rate. */
static uint64_t debt_left(uint64_t debt_micro, uint64_t elapsed_us, uint32_t rate)
{
    unsigned __int128 earned_micro = (unsigned __int128)elapsed_us * rate;
    return earned_micro >= debt_micro ? 0 : debt_micro - (uint64_t)earned_micro;
}
