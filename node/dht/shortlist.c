/* shortlist.c - one sorted array: insert, refuse, drop. */
#include "node/dht/shortlist.h"

#include <string.h>

#include "node/base/must.h"

enum { SHORTLIST_BLOCK = 8 };
_Static_assert(SHORTLIST_MAX % SHORTLIST_BLOCK == 0, "place_of counts whole blocks");

static uint32_t place_of(const struct dht_shortlist *list, uint64_t distance);
static bool offer(struct dht_shortlist *list, uint32_t peer, uint64_t distance, uint8_t hops);
static bool is_known(const struct dht_shortlist *list, uint32_t peer, uint64_t distance,
                     uint32_t *place);
static bool has_failed(const struct dht_shortlist *list, uint32_t peer);
static bool make_group_room(struct dht_shortlist *list, uint32_t place,
                            const struct contact *contact, uint8_t tag);
static void remove_at(struct dht_shortlist *list, uint32_t place);

void dht_shortlist_init(struct dht_shortlist *list, struct port *port, const struct node_id *self,
                        const struct node_id *target, uint8_t group_max)
{
    must(group_max > 0);

    list->port = port;
    list->self = self;
    list->target = *target;
    list->target_prefix = node_id_prefix(target);
    list->self_distance = node_id_prefix(self) ^ list->target_prefix;
    list->count = 0;
    list->group_max = group_max;
    list->failed_count = 0;
    list->failed_next = 0;
    memset(list->tags_seen, 0, sizeof list->tags_seen);
    memset(list->distances, 0xff, sizeof list->distances);
}

bool dht_shortlist_merge(struct dht_shortlist *list, const uint32_t *peers, uint32_t count,
                         uint8_t hops)
{
    bool is_nearer = false;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t distance = contact_prefix(list->port, peers[i]) ^ list->target_prefix;
        if (distance > list->distances[SHORTLIST_MAX - 1]) {
            continue; /* Most of what is heard late in a lookup. */
        }
        is_nearer |= offer(list, peers[i], distance, hops);
    }
    return is_nearer;
}

struct shortlist_entry *dht_shortlist_find(struct dht_shortlist *list, uint32_t peer)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->entries[i].peer == peer) {
            return &list->entries[i];
        }
    }
    return NULL;
}

void dht_shortlist_fail(struct dht_shortlist *list, struct shortlist_entry *entry)
{
    uint32_t place = (uint32_t)(entry - list->entries);
    must(place < list->count);

    if (list->failed_count == SHORTLIST_FAILED_MAX) {
        list->port->ops->intern_release(list->port, list->failed[list->failed_next]);
    } else {
        list->failed_count++;
    }
    /* The entry's reference becomes that of the list of failed ones: a handle given up could come
     * to name somebody else. */
    list->port->ops->intern_retain(list->port, entry->peer);
    list->failed[list->failed_next] = entry->peer;
    list->failed_next = (uint8_t)((list->failed_next + 1) % SHORTLIST_FAILED_MAX);
    remove_at(list, place);
}

void dht_shortlist_release(struct dht_shortlist *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        list->port->ops->intern_release(list->port, list->entries[i].peer);
    }
    for (uint32_t i = 0; i < list->failed_count; i++) {
        list->port->ops->intern_release(list->port, list->failed[i]);
    }
    list->count = 0;
    list->failed_count = 0;
}

const char *dht_shortlist_check(const struct dht_shortlist *list)
{
    if (list->count > SHORTLIST_MAX || list->failed_count > SHORTLIST_FAILED_MAX) {
        return "dht shortlist: too many entries";
    }
    for (uint32_t i = 0; i < list->count; i++) {
        const struct shortlist_entry *entry = &list->entries[i];
        if ((contact_prefix(list->port, entry->peer) ^ list->target_prefix) != list->distances[i]) {
            return "dht shortlist: an entry's distance is wrong";
        }
        if (i > 0 && dht_closer(list->port, entry[-1].peer, entry->peer, &list->target) >= 0) {
            return "dht shortlist: entries are out of order";
        }
    }
    return NULL;
}

/* The first entry that is not nearer: how many are. Counted, first by eights, because the branches
 * of a search would be mispredicted half of the time. */
static uint32_t place_of(const struct dht_shortlist *list, uint64_t distance)
{
    uint32_t place = 0;
    for (uint32_t i = SHORTLIST_BLOCK - 1; i < SHORTLIST_MAX - 1; i += SHORTLIST_BLOCK) {
        place += list->distances[i] < distance ? (uint32_t)SHORTLIST_BLOCK : 0u;
    }
    const uint64_t *block = list->distances + place;
    for (uint32_t i = 0; i < SHORTLIST_BLOCK; i++) {
        place += block[i] < distance;
    }
    return place;
}

/* True when the contact became the nearest of all. */
static bool offer(struct dht_shortlist *list, uint32_t peer, uint64_t distance, uint8_t hops)
{
    uint32_t place = place_of(list, distance);
    if (is_known(list, peer, distance, &place) || has_failed(list, peer)) {
        return false;
    }
    const struct contact *contact = contact_at(list->port, peer);
    uint8_t tag = dht_group_tag(&contact->addr);
    bool is_self = distance == list->self_distance && node_id_equal(&contact->id, list->self);
    if (is_self || !make_group_room(list, place, contact, tag)) {
        return false;
    }
    if (list->count == SHORTLIST_MAX) {
        if (place == SHORTLIST_MAX) {
            return false;
        }
        remove_at(list, SHORTLIST_MAX - 1);
    }
    list->port->ops->intern_retain(list->port, peer);
    memmove(list->entries + place + 1, list->entries + place,
            (list->count - place) * sizeof list->entries[0]);
    memmove(list->distances + place + 1, list->distances + place,
            (list->count - place) * sizeof list->distances[0]);
    list->distances[place] = distance;
    list->entries[place] =
        (struct shortlist_entry){.peer = peer, .state = ENTRY_NEW, .hops = hops, .group_tag = tag};
    list->count++;
    list->tags_seen[tag / 64] |= UINT64_C(1) << (tag % 64);
    return place == 0;
}

/* Whether the id is listed, at whatever address: what came first stays, and our own table comes
 * first of all. Moves *place past nearer ids with the same first 64 bits. */
static bool is_known(const struct dht_shortlist *list, uint32_t peer, uint64_t distance,
                     uint32_t *place)
{
    while (*place < list->count && list->distances[*place] == distance) {
        if (list->entries[*place].peer == peer) {
            return true;
        }
        int order = dht_closer(list->port, list->entries[*place].peer, peer, &list->target);
        if (order >= 0) {
            return order == 0;
        }
        (*place)++;
    }
    return false;
}

static bool has_failed(const struct dht_shortlist *list, uint32_t peer)
{
    for (uint32_t i = 0; i < list->failed_count; i++) {
        if (list->failed[i] == peer) {
            return true;
        }
    }
    return false;
}

/* Keeps the group_max nearest of an address group. False when the newcomer is none of them. */
static bool make_group_room(struct dht_shortlist *list, uint32_t place,
                            const struct contact *contact, uint8_t tag)
{
    if ((list->tags_seen[tag / 64] & (UINT64_C(1) << (tag % 64))) == 0) {
        return true;
    }
    uint64_t group = contact_addr_group(&contact->addr);
    uint32_t same = 0;
    uint32_t farthest = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct shortlist_entry *entry = &list->entries[i];
        if (entry->group_tag == tag &&
            contact_addr_group(&contact_at(list->port, entry->peer)->addr) == group) {
            same++;
            farthest = i;
        }
    }
    if (same < list->group_max) {
        return true;
    }
    if (farthest < place) {
        return false;
    }
    remove_at(list, farthest);
    return true;
}

static void remove_at(struct dht_shortlist *list, uint32_t place)
{
    list->port->ops->intern_release(list->port, list->entries[place].peer);
    list->count--;
    memmove(list->entries + place, list->entries + place + 1,
            (list->count - place) * sizeof list->entries[0]);
    memmove(list->distances + place, list->distances + place + 1,
            (list->count - place) * sizeof list->distances[0]);
    list->distances[list->count] = UINT64_MAX;
}
