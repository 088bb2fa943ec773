/* flow.c - how many destinations a client's box has to remember at once.
 *
 * Every address we send to takes an entry in the box in front of us for as long as it is idle and
 * then some. Cheap routers have few (the reports behind reference p2p-anchors section 1.1 number 5:
 * nodes that bring their router down), so a client counts what it has opened and waits when that is
 * enough. It cannot see the box's clock; it assumes Linux's two minutes.
 */
#include "node/base/must.h"
#include "node/nat/nat_parts.h"

static bool is_relay_wanted(const struct nat *nat, const struct port_addr *addr);
static struct nat_flow *flow_of(struct nat *nat, const struct port_addr *addr, bool *is_new);
static uint64_t tag_of(const struct port_addr *addr);

bool nat_may_open(struct nat *nat, const struct port_addr *addr)
{
    if (nat->is_server || nat->config->flows_max == 0 || transport_is_relayed(addr)) {
        return true;
    }
    bool is_new;
    const struct nat_flow *flow = flow_of(nat, addr, &is_new);
    if (!is_new) {
        return true;
    }
    bool is_first = nat->is_urgent || is_relay_wanted(nat, addr);
    uint32_t spare = is_first ? NAT_FLOWS_SPARE : NAT_FLOWS_SPARE + NAT_FLOWS_WANTED;
    return flow != NULL && nat_flow_count(nat) + spare < nat->config->flows_max;
}

/* A join meets so many that nothing is left for minutes: what keeps us reachable, and reaches
 * others, does not wait for that. */
static bool is_relay_wanted(const struct nat *nat, const struct port_addr *addr)
{
    const struct port *port = nat->core->port;
    for (uint32_t i = 0; i < PRESENCE_RELAYS_MAX; i++) {
        const struct nat_link *link = &nat->work->links[i];
        if (link->state != NAT_LINK_FREE &&
            port_addr_equal(&contact_at(port, link->peer)->addr, addr)) {
            return true;
        }
    }
    for (uint16_t place = 0; place < nat->work->attempts.made; place++) {
        const struct nat_attempt *attempt = pool_peek(&nat->work->attempts, place);
        for (uint32_t i = 0; attempt != NULL && attempt->done != NULL && i < attempt->next; i++) {
            if (port_addr_equal(&attempt->presence.relays[i].addr, addr)) {
                return true;
            }
        }
    }
    return false;
}

bool nat_may_probe(struct nat *nat, const struct port_addr *addr)
{
    if (nat->is_server || nat->config->flows_max == 0) {
        return true;
    }
    bool is_new;
    const struct nat_flow *flow = flow_of(nat, addr, &is_new);
    return !is_new || (flow != NULL && nat_flow_count(nat) < nat->config->flows_max);
}

void nat_sent(struct nat *nat, const struct port_addr *addr)
{
    const struct nat_birthday *birthday = nat->work != NULL ? nat->work->birthday : NULL;
    bool is_extra = birthday != NULL && birthday->is_trying;
    if (nat->is_server || nat->config->flows_max == 0 || is_extra) {
        return;
    }
    bool is_new;
    struct nat_flow *flow = flow_of(nat, addr, &is_new);
    if (flow != NULL) {
        uint64_t now_us = core_now(nat->core);
        *flow = (struct nat_flow){
            .tag = tag_of(addr), .since_us = is_new ? now_us : flow->since_us, .used_us = now_us};
    }
}

void nat_on_stranger(struct nat *nat, const struct port_addr *addr)
{
    bool is_new;
    struct nat_flow *flow =
        nat->is_server || nat->config->flows_max == 0 ? NULL : flow_of(nat, addr, &is_new);
    if (flow != NULL && is_new) {
        uint64_t now_us = core_now(nat->core);
        *flow = (struct nat_flow){
            .tag = tag_of(addr), .since_us = now_us, .used_us = now_us, .is_theirs = true};
    }
}

bool nat_was_stranger(const struct nat *nat, const struct port_addr *addr, uint64_t after_us)
{
    uint64_t tag = tag_of(addr);
    const struct nat_flow *flows = nat->work != NULL ? nat->work->flows : NULL;
    for (uint32_t i = 0; flows != NULL && i < nat->config->flows_max; i++) {
        if (flows[i].tag == tag) {
            return flows[i].is_theirs && flows[i].since_us >= after_us;
        }
    }
    return false;
}

uint64_t nat_flow_since(const struct nat *nat, const struct port_addr *addr)
{
    uint64_t tag = tag_of(addr);
    uint64_t now_us = core_now(nat->core);
    const struct nat_flow *flows = nat->work != NULL ? nat->work->flows : NULL;
    for (uint32_t i = 0; flows != NULL && i < nat->config->flows_max; i++) {
        if (flows[i].tag == tag && now_us - flows[i].used_us < nat->config->flow_us) {
            return flows[i].since_us;
        }
    }
    return 0;
}

uint32_t nat_flow_count(const struct nat *nat)
{
    const struct nat_work *work = nat->work;
    uint64_t now_us = core_now(nat->core);
    uint32_t live = 0;
    for (uint32_t i = 0; work != NULL && work->flows != NULL && i < nat->config->flows_max; i++) {
        const struct nat_flow *flow = &work->flows[i];
        live += flow->tag != 0 && now_us - flow->used_us < nat->config->flow_us;
    }
    return live;
}

/* The flow to the address, or a place for one; NULL when all are in use. */
static struct nat_flow *flow_of(struct nat *nat, const struct port_addr *addr, bool *is_new)
{
    struct nat_work *work = nat_work_of(nat);
    *is_new = true;
    if (work == NULL) {
        return NULL;
    }
    if (work->flows == NULL) {
        work->flows =
            arena_alloc(&nat->core->arena, ARENA_NAT, nat->config->flows_max * sizeof *work->flows);
        if (work->flows == NULL) {
            return NULL;
        }
    }
    uint64_t now_us = core_now(nat->core);
    uint64_t tag = tag_of(addr);
    struct nat_flow *place = NULL;
    for (uint32_t i = 0; i < nat->config->flows_max; i++) {
        struct nat_flow *flow = &work->flows[i];
        bool is_live = flow->tag != 0 && now_us - flow->used_us < nat->config->flow_us;
        if (is_live && flow->tag == tag) {
            *is_new = false;
            return flow;
        }
        place = place == NULL && !is_live ? flow : place;
    }
    return place;
}

static uint64_t tag_of(const struct port_addr *addr)
{
    struct reader reader = reader_of(slice_of(addr->ip, sizeof addr->ip));
    uint64_t high = read_u64(&reader);
    uint64_t low = read_u64(&reader);
    reader = reader_of(slice_of(addr->port, sizeof addr->port));
    uint64_t tag = rng_mix(high ^ rng_mix(low ^ rng_mix(read_u16(&reader))));
    return tag != 0 ? tag : 1;
}
