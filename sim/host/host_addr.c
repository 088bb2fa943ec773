/* host_addr.c - addresses given out, and who is reached at one.
 *
 *      address -> /24 -> addr_group: a stretch of world->slots -> the host, and where it is
 *
 * The slots of a group lie side by side, so that a sender finds all it needs of a receiver in one
 * place. A group that has others behind it moves when it grows; its addresses stay what they are.
 */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/host/world.h"

enum { GROUPS_FIRST = 64 };

static struct addr_group *group_at(struct world *world, uint32_t group24);
static uint32_t group_room(struct world *world, struct addr_group *group);
static void slots_reserve(struct world *world, size_t count);

void addr_set(struct port_addr *addr, uint32_t ip, uint32_t port)
{
    *addr = (struct port_addr){.ip = {[10] = 0xff, [11] = 0xff}};
    for (int i = 0; i < 4; i++) {
        addr->ip[12 + i] = (uint8_t)(ip >> (24 - 8 * i));
    }
    addr->port[0] = (uint8_t)(port >> 8);
    addr->port[1] = (uint8_t)port;
}

void host_addr_of(const struct host *host, int path, struct port_addr *addr)
{
    *addr = host->port.local;
    uint32_t port = HOST_PORT + (uint32_t)path;
    addr->port[0] = (uint8_t)(port >> 8);
    addr->port[1] = (uint8_t)port;
}

uint32_t world_add_host(struct world *world, uint32_t group24)
{
    uint32_t index = world->host_count;
    uint32_t ip = addr_take(world, group24, index);
    return host_make(world, ip, index % world->shard_count)->index;
}

struct host *host_make(struct world *world, uint32_t ip, uint32_t shard)
{
    must(world->host_count < world->options.hosts_max);
    uint32_t index = world->host_count++;
    struct host *host = &world->hosts[index];
    addr_set(&host->port.local, ip, HOST_PORT);
    host->index = index;
    host->shard = world->shards[shard];
    world->shard_of[index] = (uint8_t)shard;
    host->wake_us = PORT_NEVER;
    host->digest = DIGEST_START;
    rng_stream(&host->entropy, world->options.seed, "entropy", index, 0);
    return host;
}

uint32_t host_ip(const struct host *host)
{
    uint32_t ip;
    must(addr_ip(&host->port.local, &ip));
    return ip;
}

uint32_t addr_take(struct world *world, uint32_t group24, uint32_t host)
{
    struct addr_group *group = group_at(world, group24);
    must(group->count < HOST_GROUP_NODES_MAX);
    uint32_t member = group->count;
    uint32_t at = group_room(world, group); /* May move the slots. */
    world->slots[at] = (struct addr_slot){.host = host};
    group->count++;
    return addr_group_net(group24) << 8 | (member + 1);
}

static struct addr_group *group_at(struct world *world, uint32_t group24)
{
    if (group24 >= world->group_cap) {
        must(group24 < ADDR_GROUPS_MAX);
        uint32_t cap = group24 * 2 + GROUPS_FIRST;
        world->groups = realloc(world->groups, cap * sizeof *world->groups);
        must(world->groups != NULL);
        memset(world->groups + world->group_cap, 0,
               (cap - world->group_cap) * sizeof *world->groups);
        world->group_cap = cap;
    }
    return &world->groups[group24];
}

/* The place of the group's next slot. */
static uint32_t group_room(struct world *world, struct addr_group *group)
{
    if (group->count < group->room) {
        return group->first + group->count;
    }
    bool is_last = group->first + group->room == world->slot_count;
    if (group->count > 0 && !is_last) {
        slots_reserve(world, world->slot_count + 2u * group->count);
        memcpy(world->slots + world->slot_count, world->slots + group->first,
               group->count * sizeof *world->slots);
        group->first = world->slot_count;
        group->room = (uint16_t)(2 * group->count);
        world->slot_count += group->room;
        return group->first + group->count;
    }
    slots_reserve(world, world->slot_count + 1u);
    if (group->count == 0) {
        group->first = world->slot_count;
    }
    group->room++;
    return world->slot_count++;
}

static void slots_reserve(struct world *world, size_t count)
{
    if (count <= world->slot_cap) {
        return;
    }
    size_t cap = count * 2;
    must(cap <= UINT32_MAX);
    struct addr_slot *slots = world_memory(cap * sizeof *slots, true);
    memcpy(slots, world->slots, world->slot_count * sizeof *slots);
    free(world->slots);
    world->slots = slots;
    world->slot_cap = (uint32_t)cap;
}

void host_place(struct host *host, const struct net_site *site, uint64_t seed)
{
    struct world *world = world_of(host);
    net_link_init(&host->link, world->options.net, site, seed, host->index);
    struct addr_slot *slot = addr_slot(world, host_ip(host));
    if (slot != NULL) { /* No private address. */
        must(slot->host == host->index);
        slot->site = *site;
    }
    box_place(host, site);
}

struct host *world_find(struct world *world, const struct port_addr *addr)
{
    uint32_t ip;
    const struct addr_slot *slot = addr_ip(addr, &ip) ? addr_slot(world, ip) : NULL;
    if (slot == NULL || slot->host == HOST_NONE) {
        return NULL;
    }
    struct host *host = &world->hosts[slot->host];
    return host_ip(host) == ip ? host : NULL; /* A box is no host. */
}
