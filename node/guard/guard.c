/* guard.c - the buckets of guard.h, the two tables that hold them, and what an offence does. */
#include "node/guard/guard.h"

#include "node/base/err.h"
#include "node/base/must.h"
#include "node/base/prefetch.h"

#define MINUTE_US UINT64_C(60000000)
#define HOUR_US   UINT64_C(3600000000)

enum {
    MICRO_PER_TOKEN =
        1000000, /* A rate in tokens per second is one in millionths per microsecond. */
    PEERS_FETCHED_MAX = 16,
    SHARE_MIN = 100000, /* Millionths of its limits that a peer without any trust is left. */
    SHARE_ONE = 1000000,
};
/* Early requests are a subject of their own. */
#define EARLY_SUBJECT UINT64_C(0x6561726c79)

_Static_assert((uint64_t)GUARD_BURST_MAX *MICRO_PER_TOKEN <= UINT32_MAX, "a debt fits its slot");
_Static_assert((uint64_t)GUARD_THREAT_MAX *MICRO_PER_TOKEN <= UINT32_MAX, "so does a threat");
_Static_assert(sizeof(struct guard_slot) == 16, "eight slots are two cache lines");
_Static_assert(sizeof(struct guard_peer) == 32, "eight slots are four cache lines");

/* Of one peer, its trust considered; 0 for none. */
struct limits {
    uint64_t per_minute;
    uint64_t per_hour;
};

static bool table_is_sound(uint16_t max);
static uint32_t share_of(const struct guard *guard, const struct node_id *id);
static struct limits limits_for(const struct guard *guard, const struct node_id *id);
static uint8_t *set_of(void *table, size_t slot_bytes, uint32_t max, uint64_t hash);
static uint32_t tag_of(uint64_t hash);
static struct guard_slot *slot_of(void *table, size_t slot_bytes, uint32_t max, uint64_t hash);
static struct guard_slot *group_of(struct guard *guard, enum guard_standing standing,
                                   uint64_t group);
static struct guard_peer *peer_of(struct guard *guard, const struct node_id *id, bool is_early);
static uint64_t peer_hash(const struct guard *guard, const struct node_id *id, bool is_early);
static void peer_drain(const struct guard *guard, struct guard_peer *peer,
                       const struct limits *limits);
static enum guard_threat threat_level(const struct guard *guard, uint32_t threat_micro);
static uint64_t debt_left(uint64_t debt, uint64_t elapsed_us, uint64_t rate);

int guard_init(struct guard *guard, struct core *core, const struct guard_config *config,
               const struct guard_hooks *hooks)
{
    *guard = (struct guard){.core = core, .config = config, .hooks = *hooks};
    core->port->ops->entropy(core->port, &guard->salt, sizeof guard->salt);
    guard->handshake_drained_us = core_now(core);
    bool has_groups = config->group_rate > 0;
    bool has_peers =
        config->peer_per_minute > 0 || config->peer_per_hour > 0 || config->threat_high > 0;
    bool is_sound =
        (!has_groups ||
         (table_is_sound(config->groups_max) && config->group_burst <= GUARD_BURST_MAX)) &&
        (!has_peers || table_is_sound(config->peers_max)) && config->bans_max > 0 &&
        config->peer_per_minute <= GUARD_REQUESTS_MAX &&
        config->peer_per_hour <= GUARD_REQUESTS_MAX && config->threat_high <= GUARD_THREAT_MAX &&
        config->threat_medium <= config->threat_high;
    return is_sound ? ERR_OK : ERR_INVALID;
}

bool guard_admit(struct guard *guard, const struct port_addr *addr, enum guard_standing standing,
                 enum guard_cost cost)
{
    const struct guard_config *config = guard->config;
    if (config->group_rate == 0) {
        return true;
    }
    struct guard_slot *group = group_of(guard, standing, contact_addr_group(addr));
    if (group == NULL) {
        count(&guard->core->counters, COUNT_THROTTLED);
        return false;
    }
    uint64_t now_us = core_now(guard->core);
    must(now_us >= group->drained_us);

    uint64_t debt_micro =
        debt_left(group->debt_micro, now_us - group->drained_us, config->group_rate);
    uint64_t wanted_micro = debt_micro + (uint64_t)cost * MICRO_PER_TOKEN;
    bool is_admitted = wanted_micro <= (uint64_t)config->group_burst * MICRO_PER_TOKEN;
    group->debt_micro = (uint32_t)(is_admitted ? wanted_micro : debt_micro);
    group->drained_us = now_us;
    if (!is_admitted) {
        count(&guard->core->counters, COUNT_THROTTLED);
    }
    return is_admitted;
}

void guard_expect(const struct guard *guard, const struct port_addr *addr)
{
    struct guard_slot *groups = guard->groups[GUARD_PROVED]; /* Most datagrams. */
    if (groups != NULL) {
        uint64_t hash = rng_mix(contact_addr_group(addr) ^ guard->salt);
        prefetch(set_of(groups, sizeof *groups, guard->config->groups_max, hash),
                 GUARD_WAYS * sizeof *groups);
    }
    if (guard->peers != NULL) {
        /* Who it is comes out too late for a hint; the table is small enough to fetch whole. */
        prefetch(guard->peers, guard->config->peers_max <= PEERS_FETCHED_MAX
                                   ? guard->config->peers_max * sizeof *guard->peers
                                   : 0);
    }
}

bool guard_admit_peer(struct guard *guard, const struct node_id *id, bool is_early)
{
    const struct guard_config *config = guard->config;
    if (config->peer_per_minute == 0 && config->peer_per_hour == 0) {
        return true;
    }
    struct guard_peer *peer = peer_of(guard, id, is_early);
    if (peer == NULL) {
        count(&guard->core->counters, COUNT_THROTTLED);
        return false;
    }
    struct limits limits = limits_for(guard, id);
    peer_drain(guard, peer, &limits);
    uint64_t minute_cost = limits.per_minute > 0 ? MINUTE_US : 0;
    uint64_t hour_cost = limits.per_hour > 0 ? HOUR_US : 0;
    if (peer->minute_debt + minute_cost <= limits.per_minute * MINUTE_US &&
        peer->hour_debt + hour_cost <= limits.per_hour * HOUR_US) {
        peer->minute_debt += minute_cost;
        peer->hour_debt += hour_cost;
        return true;
    }
    count(&guard->core->counters, COUNT_THROTTLED);
    if (!is_early) {
        guard_offend(guard, id, GUARD_EXCESS);
    }
    return false;
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

void guard_offend(struct guard *guard, const struct node_id *id, enum guard_offence which)
{
    const struct guard_config *config = guard->config;
    must(which < GUARD_OFFENCE_COUNT);

    count(&guard->core->counters, COUNT_OFFENCES);
    if (guard->hooks.offended != NULL) {
        guard->hooks.offended(guard->hooks.arg, id, which);
    }
    struct guard_peer *peer = config->threat_high > 0 ? peer_of(guard, id, false) : NULL;
    if (peer == NULL || guard_is_banned(guard, id)) {
        return;
    }
    struct limits limits = limits_for(guard, id);
    peer_drain(guard, peer, &limits);
    uint32_t *threat_micro = &peer->slot.debt_micro;
    enum guard_threat before = threat_level(guard, *threat_micro);
    uint64_t raised_micro = *threat_micro + (uint64_t)config->weights[which] * MICRO_PER_TOKEN;
    uint64_t most_micro = (uint64_t)config->threat_high * MICRO_PER_TOKEN;
    *threat_micro = (uint32_t)(raised_micro < most_micro ? raised_micro : most_micro);
    enum guard_threat level = threat_level(guard, *threat_micro);
    uint32_t points = *threat_micro / MICRO_PER_TOKEN;
    if (level > before) {
        core_trace(guard->core, TRACE_THREAT, which, (int64_t)node_id_prefix(id), level, points);
        count(&guard->core->counters, COUNT_THREATS);
    }
    if (level == GUARD_HIGH) {
        *threat_micro = 0; /* The ban is what came of it. */
        if (guard_ban(guard, id, points) == ERR_OK && guard->hooks.banned != NULL) {
            guard->hooks.banned(guard->hooks.arg, id, points);
        }
    }
}

enum guard_threat guard_threat_of(const struct guard *guard, const struct node_id *id)
{
    if (guard_is_banned(guard, id)) {
        return GUARD_HIGH;
    }
    if (guard->peers == NULL) {
        return GUARD_LOW;
    }
    uint64_t hash = peer_hash(guard, id, false);
    const struct guard_slot *slot =
        slot_of(guard->peers, sizeof *guard->peers, guard->config->peers_max, hash);
    uint64_t elapsed_us = core_now(guard->core) - slot->drained_us;
    return slot->tag != tag_of(hash)
               ? GUARD_LOW
               : threat_level(guard, (uint32_t)debt_left(slot->debt_micro, elapsed_us,
                                                         guard->config->threat_decay));
}

const char *guard_offence_text(enum guard_offence which)
{
    static const char *const texts[GUARD_OFFENCE_COUNT] = {
#define GUARD_OFFENCE_TEXT(name, text) [GUARD_##name] = (text),
        GUARD_OFFENCES(GUARD_OFFENCE_TEXT)
#undef GUARD_OFFENCE_TEXT
    };
    must(which < GUARD_OFFENCE_COUNT);
    return texts[which];
}

static bool table_is_sound(uint16_t max)
{
    return max >= GUARD_WAYS && (max & (max - 1)) == 0;
}

/* In millionths: twice its trust, so that neutral trust means the limits as configured. */
static uint32_t share_of(const struct guard *guard, const struct node_id *id)
{
    if (guard->hooks.trust == NULL) {
        return SHARE_ONE;
    }
    uint32_t share = guard->hooks.trust(guard->hooks.arg, id) * (SHARE_ONE / GUARD_TRUST_NEUTRAL);
    return share > SHARE_MIN ? share : SHARE_MIN;
}

/* The limits of this peer; 0 stays none, and no other becomes it. */
static struct limits limits_for(const struct guard *guard, const struct node_id *id)
{
    const struct guard_config *config = guard->config;
    uint64_t share = share_of(guard, id);
    uint64_t per_minute = config->peer_per_minute * share;
    uint64_t per_hour = config->peer_per_hour * share;
    return (struct limits){.per_minute = (per_minute + SHARE_ONE - 1) / SHARE_ONE,
                           .per_hour = (per_hour + SHARE_ONE - 1) / SHARE_ONE};
}

static uint8_t *set_of(void *table, size_t slot_bytes, uint32_t max, uint64_t hash)
{
    return (uint8_t *)table + (hash & (max / GUARD_WAYS - 1)) * GUARD_WAYS * slot_bytes;
}

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32) | 1;
}

/* The subject's slot: the one with its tag, a free one, or the one of its set that was silent for
 * longest. Slots of a set fill from the front and are never freed, so a free one ends the search.
 */
static struct guard_slot *slot_of(void *table, size_t slot_bytes, uint32_t max, uint64_t hash)
{
    uint8_t *set = set_of(table, slot_bytes, max, hash);
    struct guard_slot *oldest = NULL;
    for (uint32_t i = 0; i < GUARD_WAYS; i++) {
        struct guard_slot *slot = (struct guard_slot *)(void *)(set + i * slot_bytes);
        if (slot->tag == tag_of(hash) || slot->tag == 0) {
            return slot;
        }
        if (oldest == NULL || slot->drained_us < oldest->drained_us) {
            oldest = slot;
        }
    }
    return oldest;
}

/* The group's slot, with the debt that lies there; NULL without memory. */
static struct guard_slot *group_of(struct guard *guard, enum guard_standing standing,
                                   uint64_t group)
{
    uint32_t max = guard->config->groups_max;
    struct guard_slot **groups = &guard->groups[standing];
    if (*groups == NULL) {
        *groups = arena_alloc(&guard->core->arena, ARENA_GUARD, max * sizeof **groups);
        if (*groups == NULL) {
            return NULL;
        }
    }
    uint64_t hash = rng_mix(group ^ guard->salt);
    struct guard_slot *slot = slot_of(*groups, sizeof **groups, max, hash);
    slot->tag = tag_of(hash);
    return slot;
}

/* The same for a peer, who starts clean. */
static struct guard_peer *peer_of(struct guard *guard, const struct node_id *id, bool is_early)
{
    uint32_t max = guard->config->peers_max;
    if (guard->peers == NULL) {
        guard->peers = arena_alloc(&guard->core->arena, ARENA_GUARD, max * sizeof *guard->peers);
        if (guard->peers == NULL) {
            return NULL;
        }
    }
    uint64_t hash = peer_hash(guard, id, is_early);
    struct guard_slot *slot = slot_of(guard->peers, sizeof *guard->peers, max, hash);
    struct guard_peer *peer = container_of(slot, struct guard_peer, slot);
    if (slot->tag != tag_of(hash)) {
        *peer =
            (struct guard_peer){.slot = {.tag = tag_of(hash), .drained_us = core_now(guard->core)}};
    }
    return peer;
}

static uint64_t peer_hash(const struct guard *guard, const struct node_id *id, bool is_early)
{
    return rng_mix(node_id_prefix(id) ^ guard->salt ^ (is_early ? EARLY_SUBJECT : 0));
}

static void peer_drain(const struct guard *guard, struct guard_peer *peer,
                       const struct limits *limits)
{
    uint64_t now_us = core_now(guard->core);
    must(now_us >= peer->slot.drained_us);

    uint64_t elapsed_us = now_us - peer->slot.drained_us;
    peer->minute_debt = debt_left(peer->minute_debt, elapsed_us, limits->per_minute);
    peer->hour_debt = debt_left(peer->hour_debt, elapsed_us, limits->per_hour);
    peer->slot.debt_micro =
        (uint32_t)debt_left(peer->slot.debt_micro, elapsed_us, guard->config->threat_decay);
    peer->slot.drained_us = now_us;
}

static enum guard_threat threat_level(const struct guard *guard, uint32_t threat_micro)
{
    const struct guard_config *config = guard->config;
    uint32_t points = threat_micro / MICRO_PER_TOKEN;
    if (config->threat_high == 0 || points < config->threat_medium) {
        return GUARD_LOW;
    }
    return points < config->threat_high ? GUARD_MEDIUM : GUARD_HIGH;
}

/* In 128 bits, because a node may have slept for years at any rate. */
static uint64_t debt_left(uint64_t debt, uint64_t elapsed_us, uint64_t rate)
{
    unsigned __int128 earned = (unsigned __int128)elapsed_us * rate;
    return earned >= debt ? 0 : debt - (uint64_t)earned;
}
