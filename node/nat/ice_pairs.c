/* ice_pairs.c - the checklist of an ICE agent: candidates, their pairs, and whose turn it is. */
#include "node/nat/ice_parts.h"

#include "node/base/must.h"

static bool may_pair(const struct port_addr *own, const struct port_addr *other);
static bool is_link_local(const struct port_addr *addr);
static struct ice_pair *pair_place(struct ice *ice, const struct ice_pair *pair);
static bool is_replaceable(const struct ice *ice, const struct ice_pair *pair);
static bool is_same_group(const struct ice *ice, const struct ice_pair *a,
                          const struct ice_pair *b);
static bool group_is_busy(const struct ice *ice, const struct ice_pair *pair);
static const struct ice_pair *best_thawing(const struct ice *ice);
static const struct ice_pair *best_in(const struct ice *ice, enum ice_pair_state state);
static void pairs_rest(struct ice *ice);

uint8_t ice_local_find(const struct ice *ice, uint8_t base, const struct port_addr *addr)
{
    for (uint8_t i = 0; i < ice->local_count; i++) {
        if (ice->locals[i].base == base && port_addr_equal(&ice->locals[i].addr, addr)) {
            return i;
        }
    }
    return ICE_NONE;
}

uint8_t ice_remote_find(const struct ice *ice, const struct port_addr *addr)
{
    for (uint8_t i = 0; i < ice->remote_count; i++) {
        if (port_addr_equal(&ice->remotes[i].addr, addr)) {
            return i;
        }
    }
    return ICE_NONE;
}

/* Only host candidates form pairs: the others would be replaced by their base and pruned, since the
 * base has the same pair with a higher priority (RFC 8445 section 6.1.2.4). */
uint8_t ice_local_add(struct ice *ice, const struct ice_candidate *candidate)
{
    if (ice->local_count == ICE_LOCALS) {
        return ICE_NONE;
    }
    uint8_t number = ice->local_count++;
    ice->locals[number] = *candidate;
    for (uint8_t i = 0; candidate->type == ICE_HOST && i < ice->remote_count; i++) {
        (void)ice_pair_find(ice, number, i);
    }
    return number;
}

uint8_t ice_remote_add(struct ice *ice, const struct ice_candidate *candidate)
{
    if (ice->remote_count == ICE_REMOTES) {
        return ICE_NONE;
    }
    uint8_t number = ice->remote_count++;
    ice->remotes[number] = *candidate;
    for (uint8_t i = 0; i < ice->local_count; i++) {
        if (ice->locals[i].type == ICE_HOST) {
            (void)ice_pair_find(ice, i, number);
        }
    }
    return number;
}

struct ice_pair *ice_pair_find(struct ice *ice, uint8_t base, uint8_t remote)
{
    must(base < ice->local_count && ice->locals[base].type == ICE_HOST);
    must(remote < ice->remote_count);
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        if (ice->pairs[i].base == base && ice->pairs[i].remote == remote) {
            return &ice->pairs[i];
        }
    }
    struct ice_pair pair = {.base = base, .remote = remote, .valid = ICE_NONE};
    if (!may_pair(&ice->locals[base].addr, &ice->remotes[remote].addr)) {
        return NULL;
    }
    /* RFC 8838 section 12: one of a foundation goes ahead of its others. */
    pair.state = group_is_busy(ice, &pair) ? ICE_PAIR_FROZEN : ICE_PAIR_WAITING;
    struct ice_pair *place = pair_place(ice, &pair);
    if (place != NULL) {
        *place = pair;
    }
    return place;
}

/* RFC 8445 section 6.1.2.2. */
static bool may_pair(const struct port_addr *own, const struct port_addr *other)
{
    return port_addr_is_v4(own) == port_addr_is_v4(other) &&
           is_link_local(own) == is_link_local(other);
}

/* IPv6 only, fe80::/10: RFC 4291 section 2.5.6. */
static bool is_link_local(const struct port_addr *addr)
{
    return addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80;
}

/* NULL: the table is full of better ones, or of such as are under way. */
static struct ice_pair *pair_place(struct ice *ice, const struct ice_pair *pair)
{
    if (ice->pair_count < ICE_PAIRS) {
        return &ice->pairs[ice->pair_count++];
    }
    struct ice_pair *worst = NULL;
    uint64_t rank = ice_pair_rank(ice, pair);
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        struct ice_pair *other = &ice->pairs[i];
        if (is_replaceable(ice, other) && ice_pair_rank(ice, other) < rank) {
            worst = other;
            rank = ice_pair_rank(ice, other);
        }
    }
    return worst;
}

static bool is_replaceable(const struct ice *ice, const struct ice_pair *pair)
{
    return pair->valid == ICE_NONE && pair->turn == 0 && pair->state != ICE_PAIR_CHECKED &&
           (ice->selected == ICE_NONE || pair != &ice->pairs[ice->selected]);
}

/* Once the peer has said where it sees us, that counts: so both sides rank valid pairs alike. */
uint64_t ice_pair_rank(const struct ice *ice, const struct ice_pair *pair)
{
    uint8_t local = pair->valid != ICE_NONE ? pair->valid : pair->base;
    uint32_t own = ice->locals[local].priority;
    uint32_t other = ice->remotes[pair->remote].priority;
    return ice->is_controlling ? ice_pair_priority(own, other) : ice_pair_priority(other, own);
}

static bool is_same_group(const struct ice *ice, const struct ice_pair *a, const struct ice_pair *b)
{
    const char *own = ice->locals[a->base].foundation;
    const char *other = ice->remotes[a->remote].foundation;
    /* What was learnt from a check has a foundation of its own: section 7.3.1.3. */
    bool is_same_remote =
        a->remote == b->remote ||
        (other[0] != '\0' && strcmp(other, ice->remotes[b->remote].foundation) == 0);
    return is_same_remote && strcmp(own, ice->locals[b->base].foundation) == 0;
}

static bool group_is_busy(const struct ice *ice, const struct ice_pair *pair)
{
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        const struct ice_pair *other = &ice->pairs[i];
        if ((other->state == ICE_PAIR_WAITING || other->state == ICE_PAIR_CHECKED) &&
            is_same_group(ice, pair, other)) {
            return true;
        }
    }
    return false;
}

/* After something has been agreed on, only what the peer has nominated is checked. */
const struct ice_pair *ice_pair_next(const struct ice *ice)
{
    const struct ice_pair *first = NULL;
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        const struct ice_pair *pair = &ice->pairs[i];
        if (pair->turn != 0 && (first == NULL || pair->turn < first->turn)) {
            first = pair;
        }
    }
    if (first != NULL || ice->state != ICE_RUNNING) {
        return first;
    }
    first = best_in(ice, ICE_PAIR_WAITING);
    return first != NULL ? first : best_thawing(ice);
}

static const struct ice_pair *best_in(const struct ice *ice, enum ice_pair_state state)
{
    const struct ice_pair *best = NULL;
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        const struct ice_pair *pair = &ice->pairs[i];
        if (pair->state == state &&
            (best == NULL || ice_pair_rank(ice, pair) > ice_pair_rank(ice, best))) {
            best = pair;
        }
    }
    return best;
}

static const struct ice_pair *best_thawing(const struct ice *ice)
{
    const struct ice_pair *best = NULL;
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        const struct ice_pair *pair = &ice->pairs[i];
        if (pair->state == ICE_PAIR_FROZEN && !group_is_busy(ice, pair) &&
            (best == NULL || ice_pair_rank(ice, pair) > ice_pair_rank(ice, best))) {
            best = pair;
        }
    }
    return best;
}

uint32_t ice_pairs_busy(const struct ice *ice)
{
    uint32_t count = 0;
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        uint8_t state = ice->pairs[i].state;
        count += state == ICE_PAIR_WAITING || state == ICE_PAIR_CHECKED;
    }
    return count;
}

void ice_pair_trigger(struct ice *ice, struct ice_pair *pair)
{
    pair->state = ICE_PAIR_WAITING;
    if (pair->turn == 0) {
        pair->turn = ++ice->turns;
    }
}

void ice_pair_thaw(struct ice *ice, const struct ice_pair *pair)
{
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        struct ice_pair *other = &ice->pairs[i];
        if (other->state == ICE_PAIR_FROZEN && is_same_group(ice, pair, other)) {
            other->state = ICE_PAIR_WAITING;
        }
    }
}

void ice_pair_select(struct ice *ice, struct ice_pair *pair, uint64_t now_us)
{
    must(pair->valid != ICE_NONE);
    uint8_t number = (uint8_t)(pair - ice->pairs);
    if (number == ice->selected ||
        (ice->selected != ICE_NONE &&
         ice_pair_rank(ice, pair) <= ice_pair_rank(ice, &ice->pairs[ice->selected]))) {
        return;
    }
    ice->selected = number;
    ice->state = ICE_COMPLETED;
    ice->consent_next_us = now_us + ice_consent_pause_us(ice);
    ice->consent_end_us = now_us + ICE_CONSENT_LOST_US;
    pairs_rest(ice);
}

/* RFC 8445 section 8.1.2: other checks end, but for better pairs that the peer has nominated. */
static void pairs_rest(struct ice *ice)
{
    uint64_t least = ice_pair_rank(ice, &ice->pairs[ice->selected]);
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        struct ice_pair *pair = &ice->pairs[i];
        if (i == ice->selected || pair->valid != ICE_NONE ||
            (pair->wants_nomination && !ice->is_controlling && ice_pair_rank(ice, pair) > least)) {
            continue;
        }
        pair->turn = 0;
        if (pair->state != ICE_PAIR_FAILED) {
            pair->state = ICE_PAIR_FROZEN;
        }
    }
}
