/* map.c - a port of ours on the router in front of us: asked for, kept, given back.
 *
 *      cannot be reached -> MAP -> granted -> am I reachable? -> server
 *                                     half of its life later -> MAP
 *      answer of version 0 -> the same by NAT-PMP: first its address, then a port
 *
 * What others have seen of us before is worth nothing once a port is granted at another place than
 * they saw: boxes go on with what they have begun with a peer (conntrack does), so those peers are
 * not asked until their flow is over.
 */
#include <string.h>

#include "node/nat/nat_parts.h"

enum {
    ASKED_MAX = 4,               /* RFC 6887 section 8.1.1's MRC: at 0, 3, 9 and 21 s. */
    IRT_US = 3000000,            /* The same; its MRT of 1,024 s is never reached. */
    SPREAD_PERMILLE = 100,       /* RAND of the same. */
    RENEW_MIN_US = 30000000,     /* However short a life is granted. */
    LIFETIME_MAX_S = 24 * 3600,  /* Section 15: what a client should believe. */
    REFUSED_MIN_US = 1800000000, /* Before the next request to a router that said no. */
    NONE_LEFT = 1,               /* Of the life granted: it is over. */
    UNTOLD_MIN = 2,              /* Rounds of questions without a verdict: no more is to come. */
};

static struct nat_map *map_of(const struct nat *nat);
static void ask_router(struct nat *nat);
static void ask_at(struct nat *nat, const struct port_addr *gateway, const struct port_addr *own);
static bool own_addr(const struct nat *nat, const struct port_addr *gateway, struct port_addr *own);
static unsigned prefix_with(const struct port_addr *one, const struct port_addr *other);
static struct nat_map *map_make(struct nat *nat);
static void nonce_get(struct nat_map *map);
static bool nonce_find(const struct nat *nat, struct pcp_nonce *nonce);
static void begin(struct nat_map *map, bool has_address);
static void on_timer(struct timer *timer);
static void ask(struct nat_map *map);
static void request_send(struct nat_map *map, enum pcp_protocol protocol, uint32_t lifetime_s);
static size_t natpmp_request(const struct nat_map *map, enum pcp_protocol protocol,
                             uint32_t lifetime_s, uint8_t *buffer);
static struct pcp_request request_of(const struct nat_map *map, enum pcp_protocol protocol,
                                     uint32_t lifetime_s);
static uint16_t port_of(const struct port_addr *addr);
static struct port_addr suggested(const struct nat_map *map);
static void end_round(struct nat_map *map, enum nat_map_state state, uint64_t pause_us);
static void on_pcp(struct nat_map *map, const struct pcp_answer *answer);
static void on_natpmp(struct nat_map *map, const struct natpmp_answer *answer);
static void on_refused(struct nat_map *map, unsigned result, uint32_t lifetime_s);
static void on_granted(struct nat_map *map, const struct port_addr *external, uint32_t lifetime_s,
                       bool has_forgotten);
static void on_changed(struct nat_map *map);

static const char nonce_key[] = "nat.map";

/* At a private address a box is in front of us, and what it opens for peers before it has granted a
 * port would go on elsewhere: so it is asked first. It is no further away than a millisecond or
 * two. */
bool nat_map_start(struct nat *nat)
{
    struct port_addr gateway;
    struct port_addr own;
    bool is_wanted = nat->config->reach == NAT_REACH_AUTO && nat->config->has_mapping &&
                     nat->core->port->ops->gateway(nat->core->port, &gateway) &&
                     own_addr(nat, &gateway, &own) && classify_is_private(&own);
    if (is_wanted) {
        ask_at(nat, &gateway, &own);
    }
    return is_wanted && map_of(nat) != NULL;
}

void nat_map_tick(struct nat *nat)
{
    if (!nat->is_server && (nat->is_checked || nat->work->rounds >= UNTOLD_MIN)) {
        ask_router(nat);
    }
}

void nat_map_keep(struct nat *nat)
{
    struct pcp_nonce nonce;
    if (map_of(nat) == NULL && nonce_find(nat, &nonce)) {
        ask_router(nat);
    }
}

void nat_map_check(struct nat *nat)
{
    struct nat_map *map = map_of(nat);
    if (map != NULL && map->state == NAT_MAP_GRANTED && !map->is_asking && !nat->is_stopping) {
        begin(map, false);
    }
}

/* Once, and nobody waits for the answer: what is not heard ends by itself. */
void nat_map_drop(struct nat *nat)
{
    struct nat_map *map = map_of(nat);
    if (map == NULL) {
        return;
    }
    timer_stop(&nat->core->timers, &map->timer);
    map->is_asking = false;
    if (map->state == NAT_MAP_GRANTED || map->state == NAT_MAP_INSIDE) {
        request_send(map, PCP_UDP, 0);
        request_send(map, PCP_TCP, 0);
        map->state = NAT_MAP_NONE;
    }
}

bool nat_map_hear(struct nat *nat, int path, const struct port_addr *from, struct slice bytes)
{
    /* Every datagram comes here, and `map` is far off in memory: the port first. */
    static const uint8_t router_port[2] = {PCP_PORT >> 8, PCP_PORT & UINT8_MAX};
    bool may_be = memcmp(from->port, router_port, sizeof router_port) == 0;
    struct nat_map *map = may_be ? map_of(nat) : NULL;
    if (map == NULL || !port_addr_equal(from, &map->gateway)) {
        return false;
    }
    struct counters *counters = &nat->core->counters;
    struct pcp_answer answer;
    struct natpmp_answer old;
    count(counters, COUNT_DATAGRAMS_IN);
    count_by(counters, COUNT_BYTES_IN, (uint32_t)bytes.len);
    if (nat->is_stopping || path != PORT_MAIN_PATH) {
        return true;
    }
    if (pcp_read_answer(bytes, &answer)) {
        on_pcp(map, &answer);
    } else if (natpmp_read_answer(bytes, &old)) {
        on_natpmp(map, &old);
    } else {
        count(counters, COUNT_MALFORMED);
    }
    return true;
}

bool nat_map_is_external(const struct nat *nat, const struct port_addr *addr)
{
    const struct nat_map *map = map_of(nat);
    return map != NULL && map->state == NAT_MAP_GRANTED && port_addr_equal(&map->external, addr);
}

bool nat_map_is_older(const struct nat *nat, const struct port_addr *peer)
{
    const struct nat_map *map = map_of(nat);
    if (map == NULL || map->state != NAT_MAP_GRANTED || !map->is_moved) {
        return false;
    }
    uint64_t since_us = nat_flow_since(nat, peer);
    return since_us != 0 && since_us <= map->granted_us;
}

static struct nat_map *map_of(const struct nat *nat)
{
    return nat->work != NULL ? nat->work->map : NULL;
}

/* Unless it was asked already, by the address that we have now. Who is seen at its own has no box
 * to ask. */
static void ask_router(struct nat *nat)
{
    struct port *port = nat->core->port;
    struct port_addr gateway;
    struct port_addr own;
    const struct port_addr local = nat_local(nat, &nat->observed);
    if (!nat->config->has_mapping || nat->is_stopping || nat->is_udp_blocked ||
        !nat->has_observed || port_addr_equal(&nat->observed, &local) ||
        !port->ops->gateway(port, &gateway) || !own_addr(nat, &gateway, &own)) {
        return;
    }
    ask_at(nat, &gateway, &own);
}

static void ask_at(struct nat *nat, const struct port_addr *gateway, const struct port_addr *own)
{
    struct nat_map *map = map_of(nat) != NULL ? map_of(nat) : map_make(nat);
    if (map == NULL ||
        (port_addr_equal(&map->gateway, gateway) && port_addr_equal(&map->client, own))) {
        return;
    }
    map->gateway = *gateway; /* For the first time, or we have moved. */
    map->client = *own;
    map->external = (struct port_addr){.port = {0}};
    map->epoch = (struct pcp_epoch){.is_known = false};
    map->is_natpmp = false;
    map->state = NAT_MAP_ASKING;
    begin(map, false);
}

/* The address of this machine that the router knows: it compares. Of several that which has most in
 * common with its own. */
static bool own_addr(const struct nat *nat, const struct port_addr *gateway, struct port_addr *own)
{
    const struct nat_config *config = nat->config;
    static const uint8_t loopback[16] = {[15] = 1};
    *own = nat->core->port->local;
    if (!nat_is_any(nat)) {
        bool is_v4 = port_addr_is_v4(own);
        bool is_inside = is_v4 ? own->ip[12] == 127 : memcmp(own->ip, loopback, 16) == 0;
        return !is_inside && is_v4 == port_addr_is_v4(gateway);
    }
    int best = -1;
    for (int i = 0; i < config->own_count; i++) {
        if (port_addr_is_v4(&config->own[i]) == port_addr_is_v4(gateway) &&
            (best < 0 ||
             prefix_with(&config->own[i], gateway) > prefix_with(&config->own[best], gateway))) {
            best = i;
        }
    }
    if (best >= 0) {
        memcpy(own->ip, config->own[best].ip, sizeof own->ip);
    }
    return best >= 0;
}

/* Bits. */
static unsigned prefix_with(const struct port_addr *one, const struct port_addr *other)
{
    unsigned bits = 0;
    while (bits < 8 * sizeof one->ip &&
           ((one->ip[bits / 8] ^ other->ip[bits / 8]) & (0x80u >> bits % 8)) == 0) {
        bits++;
    }
    return bits;
}

static struct nat_map *map_make(struct nat *nat)
{
    struct nat_work *work = nat_work_of(nat);
    struct nat_map *map =
        work != NULL ? arena_alloc(&nat->core->arena, ARENA_NAT, sizeof *map) : NULL;
    if (map != NULL) {
        *map = (struct nat_map){.nat = nat};
        nonce_get(map);
        struct reader reader = reader_of(slice_of(map->nonce.bytes, sizeof map->nonce.bytes));
        rng_seed(&map->rng, read_u64(&reader));
        work->map = map;
    }
    return map;
}

/* The same in the next life: a router gives a port that is held by another nonce to nobody. */
static void nonce_get(struct nat_map *map)
{
    struct core *core = map->nat->core;
    struct port *port = core->port;
    uint64_t ticket;
    if (nonce_find(map->nat, &map->nonce)) {
        return;
    }
    port->ops->entropy(port, map->nonce.bytes, sizeof map->nonce.bytes);
    if (port->ops->store_put(port, slice_of(nonce_key, sizeof nonce_key - 1),
                             slice_of(map->nonce.bytes, sizeof map->nonce.bytes)) == ERR_OK) {
        (void)core_commit(core, &ticket);
    }
}

static bool nonce_find(const struct nat *nat, struct pcp_nonce *nonce)
{
    struct port *port = nat->core->port;
    size_t len;
    return port->ops->store_get(port, slice_of(nonce_key, sizeof nonce_key - 1), nonce->bytes,
                                sizeof nonce->bytes, &len) == ERR_OK &&
           len == sizeof nonce->bytes;
}

/* has_address: of NAT-PMP's two questions the first is answered. */
static void begin(struct nat_map *map, bool has_address)
{
    map->is_asking = true;
    map->has_address = has_address;
    map->sent = 0;
    map->pause_us = IRT_US / 2; /* Twice that is the first. */
    ask(map);
}

static void on_timer(struct timer *timer)
{
    struct nat_map *map = container_of(timer, struct nat_map, timer);
    bool is_held = map->state == NAT_MAP_GRANTED || map->state == NAT_MAP_INSIDE;
    if (is_held && core_now(map->nat->core) >= map->ends_us) {
        map->state = NAT_MAP_SILENT;
        map->is_asking = false;
        on_changed(map);
    } else if (map->is_asking) {
        ask(map);
    } else {
        map->state = is_held ? map->state : NAT_MAP_ASKING;
        begin(map, false);
    }
}

static void ask(struct nat_map *map)
{
    struct core *core = map->nat->core;
    if (map->sent == ASKED_MAX) {
        end_round(map, NAT_MAP_SILENT, PORT_NEVER);
        return;
    }
    uint32_t pause_us = 2 * map->pause_us;
    uint32_t spread_us = pause_us / 1000 * SPREAD_PERMILLE;
    map->pause_us = pause_us - spread_us + (uint32_t)rng_below(&map->rng, 2 * spread_us + 1);
    map->sent++;
    request_send(map, PCP_UDP, PCP_LIFETIME_S);
    timer_start(&core->timers, &map->timer, map->pause_us, on_timer);
}

static void request_send(struct nat_map *map, enum pcp_protocol protocol, uint32_t lifetime_s)
{
    struct core *core = map->nat->core;
    uint8_t bytes[PCP_REQUEST_MAX];
    struct pcp_request request = request_of(map, protocol, lifetime_s);
    size_t len = map->is_natpmp ? natpmp_request(map, protocol, lifetime_s, bytes)
                                : pcp_write_request(&request, bytes);
    map->nat->counts.maps_asked += protocol == PCP_UDP;
    count(&core->counters, COUNT_DATAGRAMS_OUT);
    count_by(&core->counters, COUNT_BYTES_OUT, (uint32_t)len);
    (void)core->port->ops->send(core->port, PORT_MAIN_PATH, &map->gateway, slice_of(bytes, len),
                                (struct port_send_flags){0});
}

static size_t natpmp_request(const struct nat_map *map, enum pcp_protocol protocol,
                             uint32_t lifetime_s, uint8_t *buffer)
{
    const struct port_addr wanted = suggested(map);
    bool is_end = lifetime_s == 0;
    const unsigned map_opcode = protocol == PCP_TCP ? NATPMP_MAP_TCP : NATPMP_MAP_UDP;
    const unsigned opcode = map->has_address || is_end ? map_opcode : (unsigned)NATPMP_EXTERNAL;
    const struct natpmp_request request = {.opcode = (uint8_t)opcode,
                                           .internal_port = port_of(&map->client),
                                           .external_port = is_end ? 0 : port_of(&wanted),
                                           .lifetime_s = lifetime_s};
    return natpmp_write_request(&request, buffer);
}

static struct pcp_request request_of(const struct nat_map *map, enum pcp_protocol protocol,
                                     uint32_t lifetime_s)
{
    struct pcp_request request = {.opcode = PCP_MAP,
                                  .lifetime_s = lifetime_s,
                                  .map = {.nonce = map->nonce,
                                          .protocol = (uint8_t)protocol,
                                          .internal_port = port_of(&map->client)}};
    memcpy(request.client, map->client.ip, sizeof request.client);
    if (lifetime_s > 0) {
        request.map.external = suggested(map);
    }
    return request;
}

static uint16_t port_of(const struct port_addr *addr)
{
    struct reader reader = reader_of(slice_of(addr->port, sizeof addr->port));
    return read_u16(&reader);
}

/* What we have already; else the port where we are seen, so that nothing changes for those who see
 * us there; where a box shows everybody another one, our own. */
static struct port_addr suggested(const struct nat_map *map)
{
    static const struct port_addr any_v4 = {.ip = {[10] = 0xff, [11] = 0xff}};
    struct port_addr wanted = any_v4;
    struct nat_class class;
    nat_class_of(map->nat, &class);
    if (port_of(&map->external) != 0) {
        return map->external;
    }
    bool is_steady = map->nat->has_observed && !class.is_dependent;
    const struct port_addr *seen = is_steady ? &map->nat->observed : &map->client;
    memcpy(wanted.port, seen->port, sizeof wanted.port);
    return wanted;
}

/* Without a port, or with the one that we still have: then as long as that lasts, half of what is
 * left at a time (section 11.2.1). */
static void end_round(struct nat_map *map, enum nat_map_state state, uint64_t pause_us)
{
    struct core *core = map->nat->core;
    uint64_t now_us = core_now(core);
    map->is_asking = false;
    if (map->state == NAT_MAP_GRANTED || map->state == NAT_MAP_INSIDE) {
        uint64_t left_us = map->ends_us > now_us ? map->ends_us - now_us : NONE_LEFT;
        timer_start(&core->timers, &map->timer, left_us / 2 > RENEW_MIN_US ? left_us / 2 : left_us,
                    on_timer);
        return;
    }
    map->state = (uint8_t)state;
    timer_stop(&core->timers, &map->timer);
    if (pause_us != PORT_NEVER) {
        timer_start(&core->timers, &map->timer, pause_us, on_timer);
    }
}

static void on_pcp(struct nat_map *map, const struct pcp_answer *answer)
{
    const struct pcp_request request = request_of(map, PCP_UDP, PCP_LIFETIME_S);
    bool is_bare_failure = answer->opcode == PCP_MAP && !answer->has_map && map->is_asking;
    if (map->is_natpmp || !(pcp_answers(answer, &request) || is_bare_failure)) {
        return;
    }
    bool has_forgotten = !pcp_epoch_check(&map->epoch, answer->epoch_s, core_now(map->nat->core));
    if (answer->result != PCP_SUCCESS) {
        on_refused(map, answer->result, answer->lifetime_s);
    } else {
        on_granted(map, &answer->map.external, answer->lifetime_s, has_forgotten);
    }
}

/* Nothing in it but our waiting for it tells that it is ours. */
static void on_natpmp(struct nat_map *map, const struct natpmp_answer *answer)
{
    if (!map->is_asking) {
        return;
    }
    if (answer->result == NATPMP_UNSUPPORTED_VERSION && !map->is_natpmp) {
        map->is_natpmp = true; /* RFC 6887 section 9. */
        map->epoch = (struct pcp_epoch){.is_known = false};
        begin(map, false);
        return;
    }
    if (!map->is_natpmp) {
        return;
    }
    if (answer->result != NATPMP_SUCCESS) {
        on_refused(map, answer->result, 0);
        return;
    }
    struct port_addr external = {.ip = {[10] = 0xff, [11] = 0xff}};
    if (!map->has_address && answer->opcode == NATPMP_EXTERNAL) {
        memcpy(map->address, answer->external, sizeof map->address);
        begin(map, true);
    } else if (map->has_address && answer->opcode == NATPMP_MAP_UDP &&
               answer->internal_port == port_of(&map->client)) {
        bool has_forgotten =
            !pcp_epoch_check(&map->epoch, answer->epoch_s, core_now(map->nat->core));
        struct writer writer = writer_of(external.port, sizeof external.port);
        write_u16(&writer, answer->external_port);
        memcpy(external.ip + 12, map->address, sizeof map->address);
        on_granted(map, &external, answer->lifetime_s, has_forgotten);
    }
}

static void on_refused(struct nat_map *map, unsigned result, uint32_t lifetime_s)
{
    if (!map->is_asking) {
        return;
    }
    lifetime_s = lifetime_s < LIFETIME_MAX_S ? lifetime_s : LIFETIME_MAX_S;
    uint64_t pause_us = lifetime_s * NAT_SECOND;
    map->result = (uint8_t)(result < UINT8_MAX ? result : UINT8_MAX);
    end_round(map, NAT_MAP_REFUSED, pause_us > REFUSED_MIN_US ? pause_us : REFUSED_MIN_US);
}

static void on_granted(struct nat_map *map, const struct port_addr *external, uint32_t lifetime_s,
                       bool has_forgotten)
{
    struct nat *nat = map->nat;
    if (lifetime_s == 0 || port_of(external) == 0) {
        on_refused(map, PCP_CANNOT_PROVIDE_EXTERNAL, 0);
        return;
    }
    bool is_held = map->state == NAT_MAP_GRANTED || map->state == NAT_MAP_INSIDE;
    bool is_news = !is_held || has_forgotten || !port_addr_equal(&map->external, external);
    bool is_seen = memcmp(external->ip, nat->observed.ip, sizeof external->ip) == 0;
    lifetime_s = lifetime_s < LIFETIME_MAX_S ? lifetime_s : LIFETIME_MAX_S;
    uint64_t life_us = lifetime_s * NAT_SECOND;
    nat->counts.maps_granted++;
    map->is_asking = false;
    map->external = *external;
    map->ends_us = core_now(nat->core) + life_us;
    map->state = classify_is_private(external) && !is_seen ? NAT_MAP_INSIDE : NAT_MAP_GRANTED;
    timer_start(&nat->core->timers, &map->timer,
                life_us / 2 > RENEW_MIN_US ? life_us / 2 : RENEW_MIN_US, on_timer);
    /* For those who have no UDP; what becomes of it is no matter. */
    request_send(map, PCP_TCP, PCP_LIFETIME_S);
    if (is_news) {
        on_changed(map);
    }
}

/* The box treats us otherwise from now on: what is known of it is of the past. */
static void on_changed(struct nat_map *map)
{
    struct nat *nat = map->nat;
    struct nat_class class;
    nat_class_of(nat, &class);
    map->granted_us = core_now(nat->core);
    bool is_elsewhere = nat->has_observed && !port_addr_equal(&nat->observed, &map->external);
    map->is_moved = class.is_dependent || is_elsewhere;
    if (map->state == NAT_MAP_INSIDE || !nat->has_observed) {
        return;
    }
    classify_start(&nat->work->classify);
    classify_start(&nat->work->ports);
    nat_reach_again(nat);
}
