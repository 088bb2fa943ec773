/* napt_check.c - whether the tables of a NAT box are whole. */
#include "node/base/slice.h"
#include "sim/net/napt_table.h"

/* What is counted on the way through the sessions. */
struct census {
    uint32_t ordinary;
    uint32_t aside;
    uint32_t poison;
};

static const char *sessions_fault(const struct napt *nat);
static const char *session_fault(const struct napt *nat, uint32_t id);
static const char *owned_fault(const struct napt *nat, uint32_t id);
static const char *mappings_fault(const struct napt *nat);
static const char *mapping_fault(const struct napt *nat, uint32_t id);
static const char *port_fault(const struct napt *nat, const struct napt_mapping *mapping);
static const char *hosts_fault(const struct napt *nat);
static const char *free_fault(const struct napt *nat);
static bool chains_hold(const struct napt *nat, const struct census *census);

const char *napt_check(const struct napt *nat)
{
    const char *(*const faults[])(const struct napt *) = {free_fault, sessions_fault,
                                                          mappings_fault, hosts_fault};
    for (size_t i = 0; i < array_len(faults); i++) {
        const char *fault = faults[i](nat);
        if (fault != NULL) {
            return fault;
        }
    }
    return NULL;
}

/* The lists of free records are as long as they should be: no cycle, nothing lost. */
static const char *free_fault(const struct napt *nat)
{
    uint32_t count = 0;
    for (uint32_t id = nat->session_free; id != NAPT_NONE && count <= nat->session_cap; count++) {
        if (id >= nat->session_cap || nat->sessions[id].flags != NAPT_FREE) {
            return "a session in the list of free ones is not free";
        }
        id = nat->sessions[id].next_arriving;
    }
    if (count + nat->session_count + nat->poison_count != nat->session_cap) {
        return "sessions used and free are not all there are";
    }
    count = 0;
    for (uint32_t id = nat->mapping_free; id != NAPT_NONE && count <= nat->mapping_cap; count++) {
        if (id >= nat->mapping_cap || !nat->mappings[id].is_free) {
            return "a mapping in the list of free ones is not free";
        }
        id = nat->mappings[id].next_port;
    }
    return count + nat->mapping_count == nat->mapping_cap
               ? NULL
               : "mappings used and free are not all there are";
}

static const char *sessions_fault(const struct napt *nat)
{
    struct census census = {0};
    for (uint32_t id = 0; id < nat->session_cap; id++) {
        const struct napt_session *session = &nat->sessions[id];
        if ((session->flags & NAPT_FREE) == 0) {
            census.poison += (session->flags & NAPT_POISON) != 0;
            census.aside += (session->flags & NAPT_ASIDE) != 0;
            census.ordinary += (session->flags & (NAPT_POISON | NAPT_ASIDE)) == 0;
        }
    }
    if (census.poison != nat->poison_count ||
        census.ordinary + census.aside != nat->session_count) {
        return "the counts of sessions are wrong";
    }
    if (!chains_hold(nat, &census)) {
        return "a session is missing in a chain, or twice in it";
    }
    for (uint32_t id = 0; id < nat->session_cap; id++) {
        const char *fault =
            (nat->sessions[id].flags & NAPT_FREE) == 0 ? session_fault(nat, id) : NULL;
        if (fault != NULL) {
            return fault;
        }
    }
    return NULL;
}

/* As many records in the chains as there should be. */
static bool chains_hold(const struct napt *nat, const struct census *census)
{
    uint32_t limit = nat->session_cap;
    uint32_t leaving = 0;
    uint32_t arriving = 0;
    for (uint32_t chain = 0; chain < nat->session_cap; chain++) {
        uint32_t id = nat->session_chains.heads[chain];
        for (; id != NAPT_NONE && leaving <= limit; leaving++) {
            id = nat->sessions[id].next_leaving;
        }
        id = nat->session_chains.heads[nat->session_chains.mask + 1 + chain];
        for (; id != NAPT_NONE && arriving <= limit; arriving++) {
            id = nat->sessions[id].next_arriving;
        }
    }
    return leaving == census->ordinary &&
           arriving == census->ordinary + census->aside + census->poison;
}

static const char *session_fault(const struct napt *nat, uint32_t id)
{
    const struct napt_session *session = &nat->sessions[id];
    struct napt_end external = {session->inside_ip, session->external_port};
    struct napt_end remote = {session->remote_ip, session->remote_port};
    if (napt_find_arriving(nat, session->protocol, external, remote) != id) {
        return "two sessions have the same external and remote ends, or one is not found by them";
    }
    if (session->expires_us < nat->sweep_us) {
        return "a session expires before the next sweep";
    }
    return (session->flags & NAPT_POISON) != 0 ? NULL : owned_fault(nat, id);
}

static const char *owned_fault(const struct napt *nat, uint32_t id)
{
    const struct napt_session *session = &nat->sessions[id];
    struct napt_end inside = {session->inside_ip, session->inside_port};
    struct napt_end remote = {session->remote_ip, session->remote_port};
    bool is_aside = (session->flags & NAPT_ASIDE) != 0;
    if ((napt_find_leaving(nat, session->protocol, inside, remote) == id) == is_aside) {
        return "packets leave by a session that is aside, or by none";
    }
    const struct napt_owner *owner = &nat->owners[id];
    if (owner->mapping >= nat->mapping_cap || nat->mappings[owner->mapping].is_free) {
        return "a session has no mapping";
    }
    const struct napt_mapping *mapping = &nat->mappings[owner->mapping];
    if (mapping->inside_ip != inside.ip || mapping->inside_port != inside.port ||
        mapping->external_port != session->external_port ||
        mapping->protocol != session->protocol) {
        return "a session and its mapping differ";
    }
    uint32_t before = owner->previous;
    if (before == NAPT_NONE ? mapping->first != id : nat->owners[before].next != id) {
        return "a session is not in the list of its mapping";
    }
    return NULL;
}

static const char *mappings_fault(const struct napt *nat)
{
    uint32_t sessions = 0;
    uint32_t requests = 0;
    uint32_t privates = 0;
    for (uint32_t id = 0; id < nat->mapping_cap; id++) {
        const struct napt_mapping *mapping = &nat->mappings[id];
        if (mapping->is_free) {
            continue;
        }
        const char *fault = mapping_fault(nat, id);
        if (fault != NULL) {
            return fault;
        }
        requests += mapping->request_until_us != 0;
        privates += mapping->is_private;
        uint32_t session = mapping->first;
        for (; session != NAPT_NONE && sessions <= nat->session_count; sessions++) {
            session = nat->owners[session].next;
        }
    }
    if (requests != nat->request_count || privates != nat->private_count) {
        return "the count of mappings on request, or of private ones, is wrong";
    }
    return sessions == nat->session_count ? NULL : "mappings list more or fewer sessions";
}

static const char *mapping_fault(const struct napt *nat, uint32_t id)
{
    const struct napt_mapping *mapping = &nat->mappings[id];
    struct napt_end inside = {mapping->inside_ip, mapping->inside_port};
    struct napt_end external = {mapping->inside_ip, mapping->external_port};
    struct napt_end scope = {mapping->scope_ip, mapping->scope_port};
    if (napt_find_port(nat, mapping->protocol, external) != id) {
        return "two mappings have the same external end, or one is not found by it";
    }
    uint32_t wanted = napt_find_wanted(nat, mapping->protocol, inside, scope);
    if ((wanted == id) == mapping->is_private) {
        return "an inside end has two mappings of one scope, or its mapping is not found";
    }
    if (mapping->first == NAPT_NONE && mapping->request_until_us == 0) {
        return "a mapping has nothing to live for";
    }
    if (mapping->host >= nat->host_count || nat->hosts[mapping->host].ip != inside.ip) {
        return "a mapping belongs to another inside address";
    }
    return port_fault(nat, mapping);
}

static const char *port_fault(const struct napt *nat, const struct napt_mapping *mapping)
{
    const struct napt_config *config = nat->config;
    if (config->is_firewall) {
        return mapping->external_port == mapping->inside_port ? NULL
                                                              : "a firewall has translated a port";
    }
    uint32_t offset = (uint32_t)mapping->external_port - config->first_port;
    if (offset >= config->port_count) {
        return "an external port is out of range";
    }
    if (config->block_ports != 0 && offset / config->block_ports != mapping->host) {
        return "an external port is of another's block";
    }
    if (config->keeps_parity && (mapping->external_port ^ mapping->inside_port) % 2 != 0) {
        return "an external port has the wrong parity";
    }
    return NULL;
}

static const char *hosts_fault(const struct napt *nat)
{
    uint32_t sessions = 0;
    uint32_t mappings = 0;
    for (uint32_t id = 0; id < nat->host_count; id++) {
        const struct napt_host *host = &nat->hosts[id];
        uint32_t max = nat->config->sessions_max;
        if (napt_host_find(nat, host->ip) != id) {
            return "an inside address is not found";
        }
        if (host->sessions > host->sessions_most || (max != 0 && host->sessions_most > max)) {
            return "an inside address has more sessions than it may";
        }
        sessions += host->sessions;
        mappings += host->mappings;
    }
    if (sessions != nat->session_count || mappings != nat->mapping_count) {
        return "the counts of inside addresses do not add up";
    }
    return nat->session_count <= nat->sessions_most ? NULL : "the most has been exceeded";
}
