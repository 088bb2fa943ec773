/* napt_table.c - sessions, mappings and hosts of a NAT box: added, found, expired. */
#include "sim/net/napt_table.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/base/prefetch.h"

#define CAP_FIRST 8
#define CAP_MAX   (UINT32_C(1) << 30)

static void sessions_grow(struct napt *nat);
static void sessions_free(struct napt *nat, uint32_t first);
static uint32_t session_take(struct napt *nat, unsigned protocol, struct napt_end external,
                             struct napt_end remote);
static void leaving_set_aside(struct napt *nat, unsigned protocol, struct napt_end inside,
                              struct napt_end remote);
static void session_file(struct napt *nat, uint32_t id);
static void owner_leave(struct napt *nat, uint32_t id);
static void leaving_link(struct napt *nat, uint32_t id);
static void leaving_unlink(struct napt *nat, uint32_t id);
static void arriving_link(struct napt *nat, uint32_t id);
static void arriving_unlink(struct napt *nat, uint32_t id);
static void mapping_drop(struct napt *nat, uint32_t id);
static void mappings_grow(struct napt *nat);
static void mappings_free(struct napt *nat, uint32_t first);
static void mapping_link(struct napt *nat, uint32_t id);
static uint32_t wanted_chain(const struct napt *nat, unsigned protocol, struct napt_end inside,
                             struct napt_end scope);
static uint32_t port_chain(const struct napt *nat, unsigned protocol, struct napt_end external);
static void hosts_grow(struct napt *nat);
static void host_link(struct napt *nat, uint32_t id);
static uint32_t cap_next(uint32_t cap);
static void *array_grow(void *array, uint32_t cap, size_t record_bytes);
static char *block_make(size_t bytes);
static void chains_clear(struct napt_chains *chains, unsigned kinds);
static struct napt_end inside_of(const struct napt_session *session);
static struct napt_end remote_of(const struct napt_session *session);
static struct napt_end external_of(const struct napt_session *session);

bool napt_has_sent_to(const struct napt *nat, unsigned protocol, struct napt_end external,
                      struct napt_end remote)
{
    if (nat->session_cap == 0) {
        return false;
    }
    uint32_t id = nat->session_chains.heads[napt_arriving_chain(nat, protocol, external, remote)];
    while (id != NAPT_NONE) {
        const struct napt_session *session = &nat->sessions[id];
        if (session->remote_ip == remote.ip && session->external_port == external.port &&
            session->protocol == protocol && (session->flags & NAPT_SENT) != 0 &&
            (!nat->config->is_firewall || session->inside_ip == external.ip) &&
            napt_session_is_live(nat, id)) {
            return true;
        }
        id = session->next_arriving;
    }
    return false;
}

uint32_t napt_find_wanted(const struct napt *nat, unsigned protocol, struct napt_end inside,
                          struct napt_end scope)
{
    if (nat->mapping_cap == 0) {
        return NAPT_NONE;
    }
    uint32_t id = nat->mapping_chains.heads[wanted_chain(nat, protocol, inside, scope)];
    while (id != NAPT_NONE) {
        const struct napt_mapping *mapping = &nat->mappings[id];
        if (mapping->inside_ip == inside.ip && mapping->inside_port == inside.port &&
            mapping->scope_ip == scope.ip && mapping->scope_port == scope.port &&
            mapping->protocol == protocol) {
            return id;
        }
        id = mapping->next_wanted;
    }
    return NAPT_NONE;
}

uint32_t napt_find_port(const struct napt *nat, unsigned protocol, struct napt_end external)
{
    if (nat->mapping_cap == 0) {
        return NAPT_NONE;
    }
    uint32_t id = nat->mapping_chains.heads[port_chain(nat, protocol, external)];
    while (id != NAPT_NONE) {
        const struct napt_mapping *mapping = &nat->mappings[id];
        if (mapping->external_port == external.port && mapping->protocol == protocol &&
            (!nat->config->is_firewall || mapping->inside_ip == external.ip)) {
            return id;
        }
        id = mapping->next_port;
    }
    return NAPT_NONE;
}

uint32_t napt_host_meet(struct napt *nat, uint32_t ip)
{
    uint32_t id = napt_host_find(nat, ip);
    if (id != NAPT_NONE) {
        return id;
    }
    if (nat->host_count == nat->host_cap) {
        hosts_grow(nat);
    }
    id = nat->host_count++;
    nat->hosts[id] = (struct napt_host){.ip = ip};
    if (nat->host_cap > 1) {
        host_link(nat, id);
    }
    return id;
}

uint32_t napt_host_find(const struct napt *nat, uint32_t ip)
{
    if (nat->host_cap <= 1) {
        return nat->host_count == 1 && nat->first_host.ip == ip ? 0 : NAPT_NONE;
    }
    uint32_t id = nat->host_chains.heads[napt_chain(ip, 0, nat->host_chains.mask)];
    while (id != NAPT_NONE && nat->hosts[id].ip != ip) {
        id = nat->hosts[id].next;
    }
    return id;
}

/* A count that includes what has expired is never too small. So it is only where it would set a
 * record that it has to be exact; who is at the limit is at his record, too. */
void napt_room_make(struct napt *nat, uint32_t host)
{
    bool is_full = nat->session_free == NAPT_NONE;
    bool decides = false;
    if (host != NAPT_NONE) {
        const struct napt_host *owner = &nat->hosts[host];
        decides =
            owner->sessions >= owner->sessions_most || nat->session_count >= nat->sessions_most;
    }
    if (is_full || decides) {
        napt_sweep(nat);
    }
    /* A table that is nearly full would be swept again and again. */
    if (is_full && nat->session_count + nat->poison_count >= nat->session_cap / 4 * 3) {
        sessions_grow(nat);
    }
}

static void sessions_grow(struct napt *nat)
{
    uint32_t old = nat->session_cap;
    uint32_t cap = cap_next(old);
    size_t owners_at = cap * sizeof *nat->sessions;
    size_t heads_at = owners_at + cap * sizeof *nat->owners;
    char *block = block_make(heads_at + 2 * (size_t)cap * sizeof(uint32_t));
    struct napt_session *sessions = (struct napt_session *)(void *)block;
    struct napt_owner *owners = (struct napt_owner *)(void *)(block + owners_at);
    if (old != 0) {
        memcpy(sessions, nat->sessions, old * sizeof *sessions);
        memcpy(owners, nat->owners, old * sizeof *owners);
        free(nat->sessions);
    }
    nat->sessions = sessions;
    nat->owners = owners;
    nat->session_cap = cap;
    nat->session_chains.heads = (uint32_t *)(void *)(block + heads_at);
    nat->session_chains.mask = cap - 1;
    chains_clear(&nat->session_chains, 2);
    sessions_free(nat, old);
    for (uint32_t id = 0; id < old; id++) {
        if ((nat->sessions[id].flags & NAPT_FREE) == 0) {
            session_file(nat, id);
        }
    }
}

/* All from `first` on; the lowest is taken first. */
static void sessions_free(struct napt *nat, uint32_t first)
{
    for (uint32_t id = nat->session_cap; id-- > first;) {
        nat->sessions[id] =
            (struct napt_session){.flags = NAPT_FREE, .next_arriving = nat->session_free};
        nat->owners[id] = (struct napt_owner){NAPT_NONE, NAPT_NONE, NAPT_NONE};
        nat->session_free = id;
    }
}

uint32_t napt_session_add(struct napt *nat, uint32_t mapping, struct napt_end remote)
{
    struct napt_mapping *owner = &nat->mappings[mapping];
    struct napt_end inside = {owner->inside_ip, owner->inside_port};
    unsigned protocol = owner->protocol;
    if (nat->config->mapping != NAPT_ENDPOINT_INDEPENDENT || nat->private_count > 0) {
        leaving_set_aside(nat, protocol, inside, remote);
    }
    uint32_t id =
        session_take(nat, protocol, (struct napt_end){inside.ip, owner->external_port}, remote);
    nat->sessions[id].inside_port = inside.port;
    nat->owners[id] = (struct napt_owner){mapping, owner->first, NAPT_NONE};
    if (owner->first != NAPT_NONE) {
        nat->owners[owner->first].previous = id;
    }
    owner->first = id;
    session_file(nat, id);
    struct napt_host *host = &nat->hosts[owner->host];
    host->sessions++;
    if (host->sessions > host->sessions_most) {
        host->sessions_most = host->sessions;
    }
    nat->session_count++;
    if (nat->session_count > nat->sessions_most) {
        nat->sessions_most = nat->session_count;
    }
    return id;
}

uint32_t napt_poison_add(struct napt *nat, unsigned protocol, struct napt_end external,
                         struct napt_end remote)
{
    uint32_t id = session_take(nat, protocol, external, remote);
    nat->sessions[id].flags = NAPT_POISON;
    session_file(nat, id);
    nat->poison_count++;
    return id;
}

/* A free session with these ends; its inside address is the external one where that matters. */
static uint32_t session_take(struct napt *nat, unsigned protocol, struct napt_end external,
                             struct napt_end remote)
{
    uint32_t id = nat->session_free;
    must(id != NAPT_NONE);
    must_slow(napt_find_arriving(nat, protocol, external, remote) == NAPT_NONE);
    nat->session_free = nat->sessions[id].next_arriving;
    nat->sessions[id] = (struct napt_session){.inside_ip = external.ip,
                                              .remote_ip = remote.ip,
                                              .remote_port = remote.port,
                                              .external_port = external.port,
                                              .protocol = (uint8_t)protocol};
    return id;
}

/* Where an inside end can have several mappings, another may have had the remote end. */
static void leaving_set_aside(struct napt *nat, unsigned protocol, struct napt_end inside,
                              struct napt_end remote)
{
    uint32_t other = napt_find_leaving(nat, protocol, inside, remote);
    if (other != NAPT_NONE) {
        leaving_unlink(nat, other);
        nat->sessions[other].flags |= NAPT_ASIDE;
    }
}

static void session_file(struct napt *nat, uint32_t id)
{
    arriving_link(nat, id);
    if ((nat->sessions[id].flags & (NAPT_ASIDE | NAPT_POISON)) == 0) {
        leaving_link(nat, id);
    }
}

void napt_session_drop(struct napt *nat, uint32_t id)
{
    struct napt_session *session = &nat->sessions[id];
    must((session->flags & NAPT_FREE) == 0);
    arriving_unlink(nat, id);
    if ((session->flags & NAPT_POISON) != 0) {
        nat->poison_count--;
    } else {
        if ((session->flags & NAPT_ASIDE) == 0) {
            leaving_unlink(nat, id);
        }
        owner_leave(nat, id);
    }
    *session = (struct napt_session){.flags = NAPT_FREE, .next_arriving = nat->session_free};
    nat->session_free = id;
}

static void owner_leave(struct napt *nat, uint32_t id)
{
    struct napt_owner owner = nat->owners[id];
    struct napt_mapping *mapping = &nat->mappings[owner.mapping];
    if (owner.previous != NAPT_NONE) {
        nat->owners[owner.previous].next = owner.next;
    } else {
        mapping->first = owner.next;
    }
    if (owner.next != NAPT_NONE) {
        nat->owners[owner.next].previous = owner.previous;
    }
    nat->owners[id] = (struct napt_owner){NAPT_NONE, NAPT_NONE, NAPT_NONE};
    nat->hosts[mapping->host].sessions--;
    nat->session_count--;
    if (mapping->first == NAPT_NONE && mapping->request_until_us <= nat->now_us) {
        mapping_drop(nat, owner.mapping);
    }
}

void napt_session_return(struct napt *nat, uint32_t id)
{
    struct napt_session *session = &nat->sessions[id];
    must((session->flags & NAPT_ASIDE) != 0);
    session->flags &= (uint8_t)~NAPT_ASIDE;
    leaving_link(nat, id);
}

static void leaving_link(struct napt *nat, uint32_t id)
{
    struct napt_session *session = &nat->sessions[id];
    uint32_t *head = &nat->session_chains.heads[napt_leaving_chain(
        nat, session->protocol, inside_of(session), remote_of(session))];
    session->next_leaving = *head;
    *head = id;
}

static void leaving_unlink(struct napt *nat, uint32_t id)
{
    const struct napt_session *session = &nat->sessions[id];
    uint32_t *link = &nat->session_chains.heads[napt_leaving_chain(
        nat, session->protocol, inside_of(session), remote_of(session))];
    while (*link != id) {
        must(*link != NAPT_NONE);
        link = &nat->sessions[*link].next_leaving;
    }
    *link = session->next_leaving;
}

static void arriving_link(struct napt *nat, uint32_t id)
{
    struct napt_session *session = &nat->sessions[id];
    uint32_t *head = &nat->session_chains.heads[napt_arriving_chain(
        nat, session->protocol, external_of(session), remote_of(session))];
    session->next_arriving = *head;
    *head = id;
}

static void arriving_unlink(struct napt *nat, uint32_t id)
{
    const struct napt_session *session = &nat->sessions[id];
    uint32_t *link = &nat->session_chains.heads[napt_arriving_chain(
        nat, session->protocol, external_of(session), remote_of(session))];
    while (*link != id) {
        must(*link != NAPT_NONE);
        link = &nat->sessions[*link].next_arriving;
    }
    *link = session->next_arriving;
}

uint32_t napt_mapping_add(struct napt *nat, const struct napt_mapping *mapping)
{
    if (nat->mapping_free == NAPT_NONE) {
        mappings_grow(nat);
    }
    uint32_t id = nat->mapping_free;
    nat->mapping_free = nat->mappings[id].next_port;
    nat->mappings[id] = *mapping;
    nat->mappings[id].first = NAPT_NONE;
    mapping_link(nat, id);
    nat->mapping_count++;
    nat->private_count += mapping->is_private;
    nat->hosts[mapping->host].mappings++;
    return id;
}

bool napt_mapping_is_live(struct napt *nat, uint32_t id)
{
    const struct napt_mapping *mapping = &nat->mappings[id];
    if (mapping->request_until_us > nat->now_us) {
        return true;
    }
    uint32_t session;
    while ((session = mapping->first) != NAPT_NONE) {
        if (napt_session_is_live(nat, session)) {
            return true;
        }
        bool is_last = nat->owners[session].next == NAPT_NONE;
        napt_session_drop(nat, session);
        if (is_last) {
            return false; /* It went with its last session. */
        }
    }
    mapping_drop(nat, id);
    return false;
}

static void mapping_drop(struct napt *nat, uint32_t id)
{
    struct napt_mapping *mapping = &nat->mappings[id];
    must(!mapping->is_free && mapping->first == NAPT_NONE);
    unsigned protocol = mapping->protocol;
    struct napt_end inside = {mapping->inside_ip, mapping->inside_port};
    struct napt_end external = {mapping->inside_ip, mapping->external_port};
    struct napt_end scope = {mapping->scope_ip, mapping->scope_port};
    uint32_t *link = &nat->mapping_chains.heads[port_chain(nat, protocol, external)];
    while (*link != id) {
        must(*link != NAPT_NONE);
        link = &nat->mappings[*link].next_port;
    }
    *link = mapping->next_port;
    if (!mapping->is_private) {
        link = &nat->mapping_chains.heads[wanted_chain(nat, protocol, inside, scope)];
        while (*link != id) {
            must(*link != NAPT_NONE);
            link = &nat->mappings[*link].next_wanted;
        }
        *link = mapping->next_wanted;
    }
    nat->hosts[mapping->host].mappings--;
    nat->mapping_count--;
    nat->private_count -= mapping->is_private;
    nat->request_count -= mapping->request_until_us != 0;
    *mapping = (struct napt_mapping){.is_free = true, .next_port = nat->mapping_free};
    nat->mapping_free = id;
}

/* Chains first, so that a box with one mapping has both in one cache line. */
static void mappings_grow(struct napt *nat)
{
    uint32_t old = nat->mapping_cap;
    uint32_t cap = old == 0 ? CAP_FIRST / 4 : cap_next(old); /* Often one, with many sessions. */
    size_t mappings_at = 2 * (size_t)cap * sizeof(uint32_t);
    char *block = block_make(mappings_at + cap * sizeof *nat->mappings);
    struct napt_mapping *mappings = (struct napt_mapping *)(void *)(block + mappings_at);
    if (old != 0) {
        memcpy(mappings, nat->mappings, old * sizeof *mappings);
        free(nat->mapping_chains.heads);
    }
    nat->mappings = mappings;
    nat->mapping_cap = cap;
    nat->mapping_chains = (struct napt_chains){(uint32_t *)(void *)block, cap - 1};
    chains_clear(&nat->mapping_chains, 2);
    mappings_free(nat, old);
    for (uint32_t id = 0; id < old; id++) {
        if (!nat->mappings[id].is_free) {
            mapping_link(nat, id);
        }
    }
}

static void mappings_free(struct napt *nat, uint32_t first)
{
    for (uint32_t id = nat->mapping_cap; id-- > first;) {
        nat->mappings[id] = (struct napt_mapping){.is_free = true, .next_port = nat->mapping_free};
        nat->mapping_free = id;
    }
}

static void mapping_link(struct napt *nat, uint32_t id)
{
    struct napt_mapping *mapping = &nat->mappings[id];
    unsigned protocol = mapping->protocol;
    struct napt_end inside = {mapping->inside_ip, mapping->inside_port};
    struct napt_end external = {mapping->inside_ip, mapping->external_port};
    struct napt_end scope = {mapping->scope_ip, mapping->scope_port};
    uint32_t *head = &nat->mapping_chains.heads[port_chain(nat, protocol, external)];
    mapping->next_port = *head;
    *head = id;
    if (!mapping->is_private) {
        head = &nat->mapping_chains.heads[wanted_chain(nat, protocol, inside, scope)];
        mapping->next_wanted = *head;
        *head = id;
    }
}

static uint32_t wanted_chain(const struct napt *nat, unsigned protocol, struct napt_end inside,
                             struct napt_end scope)
{
    return napt_chain(napt_word(inside, protocol), napt_word(scope, 0), nat->mapping_chains.mask);
}

static uint32_t port_chain(const struct napt *nat, unsigned protocol, struct napt_end external)
{
    uint32_t mask = nat->mapping_chains.mask;
    return mask + 1 + napt_chain(napt_word(napt_outer_key(nat, external), protocol), 0, mask);
}

/* Most boxes have one inside address, and need no table for it. */
static void hosts_grow(struct napt *nat)
{
    if (nat->host_cap == 0) {
        nat->host_cap = 1;
        nat->hosts = &nat->first_host;
        return;
    }
    bool is_first = nat->hosts == &nat->first_host;
    nat->host_cap = nat->host_cap == 1 ? CAP_FIRST : cap_next(nat->host_cap);
    nat->hosts = array_grow(is_first ? NULL : nat->hosts, nat->host_cap, sizeof *nat->hosts);
    if (is_first) {
        nat->hosts[0] = nat->first_host;
    }
    nat->host_chains.heads =
        array_grow(nat->host_chains.heads, nat->host_cap, sizeof *nat->host_chains.heads);
    nat->host_chains.mask = nat->host_cap - 1;
    chains_clear(&nat->host_chains, 1);
    for (uint32_t id = 0; id < nat->host_count; id++) {
        host_link(nat, id);
    }
}

static void host_link(struct napt *nat, uint32_t id)
{
    struct napt_host *host = &nat->hosts[id];
    uint32_t *head = &nat->host_chains.heads[napt_chain(host->ip, 0, nat->host_chains.mask)];
    host->next = *head;
    *head = id;
}

void napt_sweep(struct napt *nat)
{
    if (nat->sweep_us > nat->now_us) {
        return;
    }
    uint64_t next_us = UINT64_MAX;
    for (uint32_t id = 0; id < nat->session_cap; id++) {
        const struct napt_session *session = &nat->sessions[id];
        if ((session->flags & NAPT_FREE) != 0) {
            continue;
        }
        if (session->expires_us <= nat->now_us) {
            napt_session_drop(nat, id);
        } else if (session->expires_us < next_us) {
            next_us = session->expires_us;
        }
    }
    for (uint32_t id = 0; nat->request_count > 0 && id < nat->mapping_cap; id++) {
        const struct napt_mapping *mapping = &nat->mappings[id];
        if (mapping->request_until_us > nat->now_us) {
            next_us = mapping->request_until_us < next_us ? mapping->request_until_us : next_us;
        } else if (!mapping->is_free && mapping->first == NAPT_NONE) {
            mapping_drop(nat, id);
        }
    }
    nat->sweep_us = next_us;
}

void napt_tables_forget(struct napt *nat)
{
    nat->session_free = NAPT_NONE;
    sessions_free(nat, 0);
    chains_clear(&nat->session_chains, 2);
    nat->session_count = 0;
    nat->poison_count = 0;
    nat->mapping_free = NAPT_NONE;
    mappings_free(nat, 0);
    chains_clear(&nat->mapping_chains, 2);
    nat->mapping_count = 0;
    nat->private_count = 0;
    nat->request_count = 0;
    for (uint32_t id = 0; id < nat->host_count; id++) {
        nat->hosts[id].mappings = 0;
        nat->hosts[id].sessions = 0;
        nat->hosts[id].port_next = 0;
    }
    nat->sweep_us = UINT64_MAX;
}

void napt_tables_close(struct napt *nat)
{
    free(nat->sessions);
    free(nat->mapping_chains.heads);
    if (nat->hosts != &nat->first_host) {
        free(nat->hosts);
    }
    free(nat->host_chains.heads);
}

static uint32_t cap_next(uint32_t cap)
{
    must(cap <= CAP_MAX / 2);
    return cap == 0 ? CAP_FIRST : 2 * cap;
}

static void *array_grow(void *array, uint32_t cap, size_t record_bytes)
{
    array = realloc(array, cap * record_bytes);
    must(array != NULL);
    return array;
}

/* As aligned_alloc wants it: a whole number of lines. */
static char *block_make(size_t bytes)
{
    char *block = aligned_alloc(PREFETCH_LINE, bytes + -bytes % PREFETCH_LINE);
    must(block != NULL);
    return block;
}

static void chains_clear(struct napt_chains *chains, unsigned kinds)
{
    if (chains->heads != NULL) {
        memset(chains->heads, 0xff, ((size_t)chains->mask + 1) * kinds * sizeof *chains->heads);
    }
}

static struct napt_end inside_of(const struct napt_session *session)
{
    return (struct napt_end){session->inside_ip, session->inside_port};
}

static struct napt_end remote_of(const struct napt_session *session)
{
    return (struct napt_end){session->remote_ip, session->remote_port};
}

static struct napt_end external_of(const struct napt_session *session)
{
    return (struct napt_end){session->inside_ip, session->external_port};
}
