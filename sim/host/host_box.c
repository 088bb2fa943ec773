/* host_box.c - NAT boxes before hosts: the addresses behind them, and the way through them.
 *
 *      host -> box -> box -> public network          box_route: from the innermost outwards
 *      event of a box's first host -> box -> box -> host        box_admit: and inwards again
 *
 * All that is behind one outermost box is one shard's, and so are the boxes: what happens to them
 * is in the order of that shard's events. A way turns back where its goal is inside the boxes that
 * it has passed so far: at a neighbour's, or at a box that is sent to from its own inside.
 */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/base/prefetch.h"
#include "node/nat/pcp.h"
#include "sim/host/world.h"

#define US_PER_S UINT64_C(1000000)

enum {
    BOXES_FIRST = 16,
    NETS_MAX = 1 << 16, /* /24s of 10.0.0.0/8. */
    MEMBER_FIRST = 2,   /* Last octet of a /24's first member; 1 is the box itself. */
    NET_MEMBERS = 253,  /* Up to 254; 255 is everybody. */
};
#define MEMBER_BOX    (1u << 31)
#define MEMBER_NOBODY UINT32_MAX

static uint32_t realm_around(const struct world *world, const struct box *box);
static uint32_t addr_take_in(struct world *world, uint32_t realm, uint32_t group24,
                             uint32_t member);
static uint32_t inside_take(struct world *world, uint32_t realm, uint32_t member);
static uint32_t *member_at(const struct world *world, uint32_t realm, uint32_t ip);
static struct addr_slot *slot_of(const struct world *world, const struct box *box);
static bool inside_find(const struct world *world, uint32_t level, struct route *route);
static enum route_end route_public(const struct world *world, struct route *route);
static uint32_t chain_of(const struct host *host, uint32_t chain[WORLD_BOX_DEPTH_MAX]);
static uint32_t goal_of(const struct host *host, const uint32_t *chain, uint32_t count,
                        uint32_t depth);
static uint32_t host_at(const struct world *world, uint32_t realm, uint32_t ip);
static size_t pcp_answer(struct host *host, struct box *box, struct slice bytes,
                         uint8_t buffer[PCP_ANSWER_MAX]);
static size_t natpmp_answer(struct host *host, struct box *box, struct slice bytes,
                            uint8_t buffer[PCP_ANSWER_MAX]);
static void answer_map(struct host *host, struct box *box, const struct pcp_request *request,
                       struct pcp_answer *answer);
static void answer_send(struct host *host, int path, struct slice bytes, uint64_t leave_us);

static uint32_t host_box(const struct host *host)
{
    const struct host_extra *extra = host_extra(host);
    return extra != NULL ? extra->box : WORLD_BOX_NONE;
}

/* --- who stands where ------------------------------------------------------------------------- */

uint32_t world_add_box(struct world *world, uint32_t group24, const struct napt_config *config,
                       uint32_t outer)
{
    must(!world->is_in_window && (outer == WORLD_BOX_NONE || outer < world->box_count));
    if (world->box_count == world->box_cap) {
        world->box_cap = world->box_cap == 0 ? BOXES_FIRST : world->box_cap * 2;
        world->boxes = realloc(world->boxes, world->box_cap * sizeof *world->boxes);
        must(world->boxes != NULL);
    }
    uint32_t number = world->box_count++;
    must(number < MEMBER_BOX);
    struct box *box = &world->boxes[number];
    *box = (struct box){.outer = outer,
                        .outermost = number,
                        .group24 = group24,
                        .first_host = HOST_NONE,
                        .shard = (uint8_t)(number % world->shard_count),
                        .is_firewall = config->is_firewall,
                        .maps_on_request = config->maps_on_request,
                        .is_natpmp_only = config->is_natpmp_only};
    if (outer != WORLD_BOX_NONE) {
        const struct box *around = &world->boxes[outer];
        must(around->depth + 1 < WORLD_BOX_DEPTH_MAX);
        box->outermost = around->outermost;
        box->depth = (uint8_t)(around->depth + 1);
        box->shard = around->shard;
    }
    uint32_t around = realm_around(world, box);
    box->realm = box->is_firewall ? around : number;
    uint32_t ip = addr_take_in(world, around, group24, MEMBER_BOX | number);
    world->boxes[number].nat = napt_open(config, ip, world->options.seed, number);
    return number;
}

uint32_t world_add_host_behind(struct world *world, uint32_t number)
{
    must(!world->is_in_window && number < world->box_count);
    const struct box *innermost = &world->boxes[number];
    uint32_t index = world->host_count;
    uint32_t ip = addr_take_in(world, innermost->realm, innermost->group24, index);
    struct host *host = host_make(world, ip, innermost->shard);
    host_extra_get(host)->box = number;
    for (uint32_t at = number; at != WORLD_BOX_NONE; at = world->boxes[at].outer) {
        struct box *box = &world->boxes[at];
        if (box->first_host == HOST_NONE) {
            box->first_host = index;
            struct addr_slot *slot = slot_of(world, box);
            if (slot != NULL) {
                slot->host = index;
            }
        }
    }
    return index;
}

void boxes_close(struct world *world)
{
    for (uint32_t i = 0; i < world->box_count; i++) {
        napt_close(world->boxes[i].nat);
        free(world->boxes[i].members);
        free(world->boxes[i].nets);
    }
    free(world->boxes);
}

uint32_t world_box_count(const struct world *world)
{
    return world->box_count;
}

struct napt *world_box(struct world *world, uint32_t box)
{
    must(box < world->box_count);
    return world->boxes[box].nat;
}

uint32_t world_box_of(const struct world *world, uint32_t host)
{
    must(host < world->host_count);
    return host_box(&world->hosts[host]);
}

bool world_box_translates(const struct world *world, uint32_t box)
{
    must(box < world->box_count);
    return !world->boxes[box].is_firewall;
}

void box_place(struct host *host, const struct net_site *site)
{
    const struct world *world = world_of(host);
    for (uint32_t at = host_box(host); at != WORLD_BOX_NONE; at = world->boxes[at].outer) {
        struct addr_slot *slot = slot_of(world, &world->boxes[at]);
        if (slot != NULL && slot->host == host->index) {
            slot->site = *site;
        }
    }
}

/* Between two addresses in turn, so that it may happen any number of times. */
void world_renumber_box(struct world *world, uint32_t number)
{
    must(!world->is_in_window && number < world->box_count);
    struct box *box = &world->boxes[number];
    must(!box->is_firewall);
    uint32_t around = realm_around(world, box);
    uint32_t old_ip = napt_external_ip(box->nat);
    uint32_t new_ip = box->other_ip != 0 ? box->other_ip
                                         : addr_take_in(world, around, box->group24, MEMBER_NOBODY);
    box->other_ip = old_ip;
    if (around == WORLD_BOX_NONE) {
        *addr_slot(world, new_ip) = *addr_slot(world, old_ip);
        addr_slot(world, old_ip)->host = HOST_NONE;
    } else {
        *member_at(world, around, new_ip) = MEMBER_BOX | number;
        *member_at(world, around, old_ip) = MEMBER_NOBODY;
    }
    napt_renumber(box->nat, new_ip);
    box->begun_us = world->now_us;
}

void world_reboot_box(struct world *world, uint32_t number)
{
    must(!world->is_in_window && number < world->box_count);
    napt_rebind(world->boxes[number].nat);
    world->boxes[number].begun_us = world->now_us;
}

static uint32_t realm_around(const struct world *world, const struct box *box)
{
    return box->outer == WORLD_BOX_NONE ? WORLD_BOX_NONE : world->boxes[box->outer].realm;
}

static uint32_t addr_take_in(struct world *world, uint32_t realm, uint32_t group24, uint32_t member)
{
    if (realm == WORLD_BOX_NONE) {
        return addr_take(world, group24, (member & MEMBER_BOX) == 0 ? member : HOST_NONE);
    }
    return inside_take(world, realm, member);
}

static uint32_t inside_take(struct world *world, uint32_t realm, uint32_t member)
{
    struct box *box = &world->boxes[realm];
    struct box *outermost = &world->boxes[box->outermost];
    uint32_t place = box->member_count++;
    if (place % NET_MEMBERS == 0) {
        if (outermost->net_count == outermost->net_cap) {
            outermost->net_cap = outermost->net_cap == 0 ? 1 : outermost->net_cap * 2;
            outermost->nets =
                realloc(outermost->nets, outermost->net_cap * sizeof *outermost->nets);
            must(outermost->nets != NULL);
        }
        box->net_last = outermost->net_count++;
        must(box->net_last < NETS_MAX);
        outermost->nets[box->net_last] = (struct inside_net){.box = realm, .first = place};
    }
    if (place == box->member_cap) {
        box->member_cap = box->member_cap == 0 ? 1 : box->member_cap * 2;
        box->members = realloc(box->members, box->member_cap * sizeof *box->members);
        must(box->members != NULL);
    }
    box->members[place] = member;
    return (uint32_t)ADDR_NET_PRIVATE << 8 | box->net_last << 8 |
           (MEMBER_FIRST + place % NET_MEMBERS);
}

/* NULL for an address that has not been given in this realm. */
static uint32_t *member_at(const struct world *world, uint32_t realm, uint32_t ip)
{
    const struct box *box = &world->boxes[realm];
    const struct box *outermost = &world->boxes[box->outermost];
    uint32_t net = (ip >> 8) - ADDR_NET_PRIVATE;
    uint32_t place = (ip & 0xff) - MEMBER_FIRST;
    if (net >= outermost->net_count || outermost->nets[net].box != realm || place >= NET_MEMBERS) {
        return NULL;
    }
    place += outermost->nets[net].first;
    return place < box->member_count ? &box->members[place] : NULL;
}

/* Of a box that is reached at a public address. Nobody is at a firewall's own. */
static struct addr_slot *slot_of(const struct world *world, const struct box *box)
{
    bool is_public = realm_around(world, box) == WORLD_BOX_NONE && !box->is_firewall;
    return is_public ? addr_slot(world, napt_external_ip(box->nat)) : NULL;
}

void box_expect(const struct host *host, const struct packet *packet, enum box_step step)
{
    const struct host_extra *extra = host_extra(host);
    if (extra == NULL) {
        return;
    }
    if (step == BOX_STEP_EXTRA) {
        prefetch(&extra->box, sizeof extra->box);
        return;
    }
    if (extra->box == WORLD_BOX_NONE) {
        return;
    }
    const struct box *box = &world_of(host)->boxes[extra->box];
    struct napt_packet seen = {.protocol = NAPT_UDP};
    switch (step) {
    case BOX_STEP_BOX:
        prefetch(box, sizeof *box);
        return;
    case BOX_STEP_NAT:
        napt_expect(box->nat);
        prefetch(box->members, sizeof *box->members);
        prefetch(box->nets, sizeof *box->nets);
        return;
    default:
        break;
    }
    if (packet == NULL || !addr_ip(&packet->from, &seen.from.ip)) {
        return;
    }
    seen.from.port = (uint16_t)addr_port(&packet->from);
    seen.to = (struct napt_end){napt_external_ip(box->nat), packet->to_port};
    if (step == BOX_STEP_CHAIN) {
        napt_expect_in(box->nat, &seen);
    } else {
        napt_expect_in_next(box->nat, &seen);
    }
}

/* --- outwards --------------------------------------------------------------------------------- */

static enum route_end end_of(enum napt_verdict verdict)
{
    switch (verdict) {
    case NAPT_PASSED:
        return ROUTE_FOUND;
    case NAPT_REJECTED:
        return ROUTE_REJECTED;
    default:
        return ROUTE_FILTERED;
    }
}

/* A box opens a mapping for what it sends on, not for what dies there. */
enum route_end box_route(struct host *host, struct route *route)
{
    const struct world *world = world_of(host);
    uint64_t now_us = host_now_us(host);
    uint32_t number = host_box(host);
    while (number != WORLD_BOX_NONE) {
        const struct box *box = &world->boxes[number];
        if (inside_find(world, number, route)) {
            return ROUTE_FOUND;
        }
        if (route->ttl <= 1) {
            return ROUTE_LOST;
        }
        route->ttl--;
        enum napt_verdict verdict = napt_out(box->nat, now_us, &route->packet);
        bool is_hairpin = !box->is_firewall && route->packet.to.ip == napt_external_ip(box->nat);
        if (verdict == NAPT_PASSED && is_hairpin) {
            verdict = napt_in(box->nat, now_us, &route->packet);
        }
        if (verdict != NAPT_PASSED) {
            return end_of(verdict);
        }
        if (is_hairpin) {
            return inside_find(world, number, route) ? ROUTE_FOUND : ROUTE_LOST;
        }
        number = box->outer;
    }
    return route_public(world, route);
}

/* A TTL that ends on the way is found out when the packet has left. */
static enum route_end route_public(const struct world *world, struct route *route)
{
    const struct addr_slot *slot = addr_slot(world, route->packet.to.ip);
    if (slot == NULL || slot->host == HOST_NONE) {
        return ROUTE_LOST;
    }
    route->site = &slot->site;
    route->host = slot->host;
    route->ttl = route->ttl > NET_HOPS ? (uint8_t)(route->ttl - NET_HOPS) : 0;
    route->depth = 0;
    return ROUTE_FOUND;
}

/* Whether the packet's goal is inside of the box `level`, reached without passing it. */
static bool inside_find(const struct world *world, uint32_t level, struct route *route)
{
    uint32_t found = host_at(world, world->boxes[level].realm, route->packet.to.ip);
    if (found == HOST_NONE || world->shard_of[found] != world->boxes[level].shard) {
        return false; /* What another shard's hosts have is not ours to read: they are outside. */
    }
    uint32_t chain[WORLD_BOX_DEPTH_MAX];
    uint32_t depth = world->boxes[level].depth;
    if (depth >= chain_of(&world->hosts[found], chain) || chain[depth] != level) {
        return false;
    }
    route->site = NULL;
    route->host = found;
    route->depth = (uint8_t)(depth + 1);
    return true;
}

/* Who gets the events of an address: the host, or the first one behind the box. */
static uint32_t host_at(const struct world *world, uint32_t realm, uint32_t ip)
{
    if (realm == WORLD_BOX_NONE) {
        const struct addr_slot *slot = addr_slot(world, ip);
        return slot != NULL ? slot->host : HOST_NONE;
    }
    const uint32_t *member = member_at(world, realm, ip);
    if (member == NULL || *member == MEMBER_NOBODY) {
        return HOST_NONE;
    }
    if ((*member & MEMBER_BOX) == 0) {
        return *member;
    }
    const struct box *box = &world->boxes[*member & ~MEMBER_BOX];
    return box->is_firewall ? HOST_NONE : box->first_host;
}

/* --- inwards ---------------------------------------------------------------------------------- */

/* As connection tracking has it, a packet counts for its session before its TTL is looked at. */
enum route_end box_admit(struct host **host, struct packet *packet, enum napt_protocol protocol,
                         enum napt_segment segment)
{
    const struct world *world = world_of(*host);
    uint64_t now_us = host_now_us(*host);
    uint32_t chain[WORLD_BOX_DEPTH_MAX];
    uint32_t count = chain_of(*host, chain);
    if (packet->depth >= count) {
        return ROUTE_FOUND;
    }
    struct napt_packet seen = {.protocol = protocol, .segment = segment};
    must(addr_ip(&packet->from, &seen.from.ip));
    seen.from.port = (uint16_t)addr_port(&packet->from);
    seen.to = (struct napt_end){goal_of(*host, chain, count, packet->depth), packet->to_port};
    while (packet->depth < count) {
        uint32_t number = chain[packet->depth];
        const struct box *box = &world->boxes[number];
        enum napt_verdict verdict = napt_in(box->nat, now_us, &seen);
        if (verdict != NAPT_PASSED) {
            return end_of(verdict);
        }
        if (packet->ttl <= 1) {
            return ROUTE_LOST;
        }
        packet->ttl--;
        packet->depth++;
        if (!box->is_firewall) {
            uint32_t found = host_at(world, number, seen.to.ip);
            if (found == HOST_NONE) {
                return ROUTE_LOST; /* A box inside that has another address by now. */
            }
            *host = &world->hosts[found];
            count = chain_of(*host, chain);
        }
    }
    packet->to_port = seen.to.port;
    return ROUTE_FOUND;
}

/* The boxes around a host, outermost first. */
static uint32_t chain_of(const struct host *host, uint32_t chain[WORLD_BOX_DEPTH_MAX])
{
    const struct world *world = world_of(host);
    uint32_t number = host_box(host);
    if (number == WORLD_BOX_NONE) {
        return 0;
    }
    uint32_t count = world->boxes[number].depth + 1u;
    for (uint32_t i = count; i > 0; i--) {
        chain[i - 1] = number;
        number = world->boxes[number].outer;
    }
    return count;
}

/* What a packet for this host, `depth` boxes in, is addressed to: the next box that translates, or
 * the host. */
static uint32_t goal_of(const struct host *host, const uint32_t *chain, uint32_t count,
                        uint32_t depth)
{
    const struct world *world = world_of(host);
    for (uint32_t i = depth; i < count; i++) {
        const struct box *box = &world->boxes[chain[i]];
        if (!box->is_firewall) {
            return napt_external_ip(box->nat);
        }
    }
    return host_ip(host);
}

/* --- requests --------------------------------------------------------------------------------- */

static uint32_t gateway_of(const struct host *host)
{
    return (host_ip(host) & ~(uint32_t)UINT8_MAX) | 1;
}

bool host_gateway(struct port *port, struct port_addr *addr)
{
    const struct host *host = host_of(port);
    if (!addr_is_private(host_ip(host))) {
        return false;
    }
    addr_set(addr, gateway_of(host), PCP_PORT);
    return true;
}

bool box_is_asked(const struct host *host, const struct port_addr *to)
{
    uint32_t ip;
    return addr_ip(to, &ip) && addr_is_private(ip) && ip == gateway_of(host) &&
           addr_port(to) == PCP_PORT;
}

/* By the box that translates; where it takes no requests there is nobody to answer. What it changes
 * it changes now, a millisecond before the request is there: it has no event of its own. */
void box_on_request(struct host *host, int path, struct slice bytes, uint64_t arrive_us)
{
    struct world *world = world_of(host);
    struct box *box = &world->boxes[world->boxes[host_box(host)].realm];
    uint8_t answer[PCP_ANSWER_MAX];
    if (box->maps_on_request) {
        size_t len = box->is_natpmp_only || (bytes.len > 0 && bytes.data[0] == 0)
                         ? natpmp_answer(host, box, bytes, answer)
                         : pcp_answer(host, box, bytes, answer);
        answer_send(host, path, slice_of(answer, len), arrive_us);
    }
}

static uint32_t epoch_of(const struct host *host, const struct box *box)
{
    return (uint32_t)((host_now_us(host) - box->begun_us) / US_PER_S);
}

/* In the order of RFC 6887 section 8.2. */
static size_t pcp_answer(struct host *host, struct box *box, struct slice bytes,
                         uint8_t buffer[PCP_ANSWER_MAX])
{
    struct pcp_request request;
    if (!pcp_read_request(bytes, &request)) {
        return 0;
    }
    struct pcp_answer answer = {
        .opcode = request.opcode, .result = PCP_SUCCESS, .epoch_s = epoch_of(host, box)};
    if (request.has_unknown) {
        answer.result = PCP_UNSUPPORTED_OPTION;
    } else if (memcmp(request.client, host->port.local.ip, sizeof request.client) != 0) {
        answer.result = PCP_ADDRESS_MISMATCH;
    } else if (request.opcode == PCP_MAP) {
        answer_map(host, box, &request, &answer);
    }
    if (request.opcode == PCP_MAP) {
        answer.has_map = true;
        answer.map.nonce = request.map.nonce;
        answer.map.protocol = request.map.protocol;
        answer.map.internal_port = request.map.internal_port;
    }
    return pcp_write_answer(&answer, buffer);
}

/* What it cannot read is of a protocol that it does not speak: RFC 6886 section 3.5. */
static size_t natpmp_answer(struct host *host, struct box *box, struct slice bytes,
                            uint8_t buffer[PCP_ANSWER_MAX])
{
    struct natpmp_request request;
    struct natpmp_answer answer = {.epoch_s = epoch_of(host, box)};
    if (!natpmp_read_request(bytes, &request)) {
        answer.result = NATPMP_UNSUPPORTED_VERSION;
        return natpmp_write_answer(&answer, buffer);
    }
    answer.opcode = request.opcode;
    if (request.opcode == NATPMP_EXTERNAL) {
        struct port_addr own;
        addr_set(&own, napt_external_ip(box->nat), 0);
        memcpy(answer.external, own.ip + sizeof own.ip - sizeof answer.external,
               sizeof answer.external);
        return natpmp_write_answer(&answer, buffer);
    }
    struct napt_end inside = {host_ip(host), request.internal_port};
    struct napt_end external;
    uint64_t granted_us;
    int status = napt_request(
        box->nat, host_now_us(host), request.opcode == NATPMP_MAP_UDP ? NAPT_UDP : NAPT_TCP,
        &inside, request.lifetime_s * US_PER_S, request.external_port, &external, &granted_us);
    if (status != ERR_OK) {
        answer.result = status == ERR_FULL ? NATPMP_NO_RESOURCES : NATPMP_NOT_AUTHORIZED;
    }
    answer.internal_port = request.internal_port;
    answer.external_port = external.port;
    answer.lifetime_s = (uint32_t)(granted_us / US_PER_S);
    return natpmp_write_answer(&answer, buffer);
}

static void answer_map(struct host *host, struct box *box, const struct pcp_request *request,
                       struct pcp_answer *answer)
{
    const struct pcp_map *map = &request->map;
    bool is_known = map->protocol == PCP_UDP || map->protocol == PCP_TCP;
    if (!is_known || map->internal_port == 0) {
        answer->result = PCP_UNSUPPORTED_PROTOCOL;
        return;
    }
    enum napt_protocol protocol = map->protocol == PCP_UDP ? NAPT_UDP : NAPT_TCP;
    struct napt_end inside = {host_ip(host), map->internal_port};
    struct napt_end external;
    uint64_t now_us = host_now_us(host);
    uint64_t granted_us;
    uint16_t wanted = (uint16_t)addr_port(&map->external);
    int status = napt_request(box->nat, now_us, protocol, &inside, request->lifetime_s * US_PER_S,
                              wanted, &external, &granted_us);
    if (status == ERR_OK && request->lifetime_s > 0 && request->must_fit &&
        external.port != wanted) {
        status = napt_request(box->nat, now_us, protocol, &inside, 0, 0, &external, &granted_us);
        must(status == ERR_OK);
        answer->result = PCP_CANNOT_PROVIDE_EXTERNAL;
    } else if (status != ERR_OK) {
        answer->result = status == ERR_FULL ? PCP_NO_RESOURCES : PCP_NOT_AUTHORIZED;
    } else {
        answer->lifetime_s = (uint32_t)(granted_us / US_PER_S);
        addr_set(&answer->map.external, external.ip, external.port);
    }
}

/* Nothing is sent of no length. */
static void answer_send(struct host *host, int path, struct slice bytes, uint64_t leave_us)
{
    struct packet *packet;
    if (bytes.len == 0) {
        return;
    }
    uint32_t index = packet_get(host->shard, bytes.len, &packet);
    packet->len = (uint16_t)bytes.len;
    packet->kept = packet->len;
    addr_set(&packet->from, gateway_of(host), PCP_PORT);
    packet->to_port = (uint16_t)(HOST_PORT + path);
    packet->is_received = false;
    packet->is_segment = false;
    packet->depth = WORLD_BOX_DEPTH_MAX; /* All boxes are behind it. */
    memcpy(packet->bytes, bytes.data, bytes.len);
    host_post(host, leave_us + NET_LATENCY_MIN_US, HOST_EVENT_DATAGRAM, index);
}
