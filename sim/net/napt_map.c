/* napt_map.c - mappings of a NAT box: which one serves, which external port a new one gets, and
 * those on request. */
#include "node/base/must.h"
#include "sim/net/napt_table.h"

struct port_range {
    uint16_t first;
    uint16_t count;
};

static struct napt_end scope_of(const struct napt_config *config, struct napt_end remote);
static bool is_poisoned_for(const struct napt *nat, const struct napt_wish *wish, uint16_t port);
static struct port_range range_of(const struct napt *nat, uint32_t host);
static uint32_t port_preferred(struct napt *nat, const struct napt_wish *wish,
                               struct port_range range);
static bool is_within(struct port_range range, uint16_t port);
static uint32_t port_find(struct napt *nat, const struct napt_wish *wish, struct port_range range,
                          uint32_t start);
static bool is_right(struct napt *nat, const struct napt_wish *wish, uint16_t port);
static bool is_taken(struct napt *nat, const struct napt_wish *wish, uint16_t port);
static int request_end(struct napt *nat, unsigned protocol, const struct napt_end *inside);
static uint32_t request_mapping(struct napt *nat, const struct napt_wish *wish,
                                uint16_t suggested_port);

uint32_t napt_mapping_find(struct napt *nat, const struct napt_wish *wish)
{
    struct napt_end scope = scope_of(nat->config, wish->remote);
    if (nat->request_count > 0 && scope.ip != 0) {
        uint32_t id = napt_find_wanted(nat, wish->protocol, wish->inside, (struct napt_end){0, 0});
        if (id != NAPT_NONE && nat->mappings[id].request_until_us > nat->now_us) {
            return id;
        }
    }
    uint32_t id = napt_find_wanted(nat, wish->protocol, wish->inside, scope);
    return id != NAPT_NONE && napt_mapping_is_live(nat, id) ? id : NAPT_NONE;
}

static struct napt_end scope_of(const struct napt_config *config, struct napt_end remote)
{
    switch (config->mapping) {
    case NAPT_ADDRESS_DEPENDENT:
        return (struct napt_end){remote.ip, 0};
    case NAPT_ADDRESS_AND_PORT_DEPENDENT:
        return remote;
    default:
        return (struct napt_end){0, 0};
    }
}

uint32_t napt_mapping_make(struct napt *nat, const struct napt_wish *wish, bool is_poisoned)
{
    struct napt_end scope = scope_of(nat->config, wish->remote);
    struct napt_mapping mapping = {.inside_ip = wish->inside.ip,
                                   .inside_port = wish->inside.port,
                                   .external_port = wish->inside.port,
                                   .scope_ip = scope.ip,
                                   .scope_port = scope.port,
                                   .protocol = (uint8_t)wish->protocol,
                                   .host = wish->host};
    if (nat->config->is_firewall) {
        return napt_mapping_add(nat, &mapping);
    }
    struct port_range range = range_of(nat, wish->host);
    if (range.count == 0) {
        return NAPT_NONE;
    }
    uint32_t start = port_preferred(nat, wish, range);
    if (nat->config->ports == NAPT_PORTS_PRESERVED) { /* Others have no port that would be right. */
        is_poisoned = is_poisoned || is_poisoned_for(nat, wish, (uint16_t)(range.first + start));
    }
    if (is_poisoned) {
        start = (uint32_t)rng_below(&nat->rng, range.count);
    }
    uint32_t port = port_find(nat, wish, range, start);
    if (port == NAPT_NONE) {
        return NAPT_NONE;
    }
    nat->fates[NAPT_FATE_REMAPPED] += is_poisoned;
    mapping.external_port = (uint16_t)port;
    mapping.is_private = is_poisoned;
    return napt_mapping_add(nat, &mapping);
}

static bool is_poisoned_for(const struct napt *nat, const struct napt_wish *wish, uint16_t port)
{
    struct napt_end external = {nat->external_ip, port};
    uint32_t id = napt_find_arriving(nat, wish->protocol, external, wish->remote);
    return id != NAPT_NONE && napt_session_is_live(nat, id) &&
           (nat->sessions[id].flags & NAPT_POISON) != 0;
}

/* The ports an inside address may have. Blocks go out in the order in which addresses come. */
static struct port_range range_of(const struct napt *nat, uint32_t host)
{
    const struct napt_config *config = nat->config;
    if (config->block_ports == 0) {
        return (struct port_range){config->first_port, config->port_count};
    }
    if (host >= (uint32_t)config->port_count / config->block_ports) {
        return (struct port_range){0, 0};
    }
    return (struct port_range){(uint16_t)(config->first_port + host * config->block_ports),
                               config->block_ports};
}

/* Where in the range the search for a free port begins. A port that is to be preserved and lies
 * outside is folded into the range. */
static uint32_t port_preferred(struct napt *nat, const struct napt_wish *wish,
                               struct port_range range)
{
    const struct napt_config *config = nat->config;
    switch (config->ports) {
    case NAPT_PORTS_SEQUENTIAL:
        return config->block_ports != 0 ? nat->hosts[wish->host].port_next : nat->port_next;
    case NAPT_PORTS_RANDOM:
        return (uint32_t)rng_below(&nat->rng, range.count);
    default:
        return is_within(range, wish->inside.port) ? (uint32_t)wish->inside.port - range.first
                                                   : (uint32_t)wish->inside.port % range.count;
    }
}

static bool is_within(struct port_range range, uint16_t port)
{
    return port >= range.first && port - range.first < range.count;
}

/* The first port from `start` on that is free for the wish; or NAPT_NONE. */
static uint32_t port_find(struct napt *nat, const struct napt_wish *wish, struct port_range range,
                          uint32_t start)
{
    bool has_blocks = nat->config->block_ports != 0;
    for (uint32_t i = 0; i < range.count; i++) {
        uint32_t offset = (start + i) % range.count;
        uint16_t port = (uint16_t)(range.first + offset);
        if (is_right(nat, wish, port)) {
            uint16_t *next = has_blocks ? &nat->hosts[wish->host].port_next : &nat->port_next;
            *next = (uint16_t)((offset + 1) % range.count);
            return port;
        }
    }
    return NAPT_NONE;
}

static bool is_right(struct napt *nat, const struct napt_wish *wish, uint16_t port)
{
    bool is_odd_one = nat->config->keeps_parity && (port ^ wish->inside.port) % 2 != 0;
    return !is_odd_one && !is_taken(nat, wish, port);
}

static bool is_taken(struct napt *nat, const struct napt_wish *wish, uint16_t port)
{
    struct napt_end external = {nat->external_ip, port};
    uint32_t id = napt_find_port(nat, wish->protocol, external);
    if (id != NAPT_NONE && napt_mapping_is_live(nat, id)) {
        return true;
    }
    id = napt_find_arriving(nat, wish->protocol, external, wish->remote);
    if (id != NAPT_NONE && !napt_session_is_live(nat, id)) {
        napt_session_drop(nat, id);
        id = NAPT_NONE;
    }
    return id != NAPT_NONE;
}

int napt_request(struct napt *nat, uint64_t now_us, enum napt_protocol protocol,
                 const struct napt_end *inside, uint64_t lifetime_us, uint16_t suggested_port,
                 struct napt_end *external, uint64_t *granted_us)
{
    const struct napt_config *config = nat->config;
    must(now_us >= nat->now_us);
    nat->now_us = now_us;
    *external = (struct napt_end){0, 0};
    *granted_us = 0;
    if (!config->maps_on_request || (config->is_udp_blocked && protocol == NAPT_UDP)) {
        return ERR_UNSUPPORTED;
    }
    if (lifetime_us == 0) {
        return request_end(nat, protocol, inside);
    }
    struct napt_wish wish = {protocol, *inside, {0, 0}, napt_host_meet(nat, inside->ip)};
    uint32_t id = request_mapping(nat, &wish, suggested_port);
    if (id == NAPT_NONE) {
        nat->fates[NAPT_FATE_PORTS]++;
        return ERR_FULL;
    }
    *granted_us = lifetime_us < config->request_max_us ? lifetime_us : config->request_max_us;
    struct napt_mapping *mapping = &nat->mappings[id];
    nat->request_count += mapping->request_until_us == 0;
    mapping->request_until_us = now_us + *granted_us;
    if (mapping->request_until_us < nat->sweep_us) {
        nat->sweep_us = mapping->request_until_us;
    }
    *external = (struct napt_end){config->is_firewall ? inside->ip : nat->external_ip,
                                  mapping->external_port};
    return ERR_OK;
}

/* Sessions that use the mapping keep it, as any other mapping. */
static int request_end(struct napt *nat, unsigned protocol, const struct napt_end *inside)
{
    uint32_t id = napt_find_wanted(nat, protocol, *inside, (struct napt_end){0, 0});
    if (id != NAPT_NONE && nat->mappings[id].request_until_us != 0) {
        nat->mappings[id].request_until_us = 0;
        nat->request_count--;
        (void)napt_mapping_is_live(nat, id);
    }
    return ERR_OK;
}

/* The mapping that the inside end has for all remote ends, or a new one. */
static uint32_t request_mapping(struct napt *nat, const struct napt_wish *wish,
                                uint16_t suggested_port)
{
    uint32_t id = napt_find_wanted(nat, wish->protocol, wish->inside, (struct napt_end){0, 0});
    if (id != NAPT_NONE && napt_mapping_is_live(nat, id)) {
        return id;
    }
    struct napt_mapping mapping = {.inside_ip = wish->inside.ip,
                                   .inside_port = wish->inside.port,
                                   .external_port = wish->inside.port,
                                   .protocol = (uint8_t)wish->protocol,
                                   .host = wish->host};
    if (!nat->config->is_firewall) {
        struct port_range range = range_of(nat, wish->host);
        if (range.count == 0) {
            return NAPT_NONE;
        }
        uint32_t port = suggested_port;
        if (!is_within(range, suggested_port) || !is_right(nat, wish, suggested_port)) {
            port = port_find(nat, wish, range, port_preferred(nat, wish, range));
        }
        if (port == NAPT_NONE) {
            return NAPT_NONE;
        }
        mapping.external_port = (uint16_t)port;
    }
    return napt_mapping_add(nat, &mapping);
}
