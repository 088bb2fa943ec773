/* napt.c - what becomes of a packet at a NAT box. */
#include "sim/net/napt.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/base/prefetch.h"
#include "sim/net/napt_table.h"

static void time_pass(struct napt *nat, uint64_t now_us);
static enum napt_verdict drop(struct napt *nat, enum napt_fate fate);
static uint32_t session_open(struct napt *nat, const struct napt_packet *packet);
static bool is_at_cap(const struct napt *nat, uint32_t host);
static void session_use(struct napt *nat, uint32_t id, enum napt_session_flag way,
                        enum napt_segment segment);
static enum napt_verdict admit(struct napt *nat, struct napt_packet *packet, bool is_poisoned);
static bool admits(const struct napt *nat, uint32_t id, const struct napt_packet *packet);
static enum napt_verdict unsolicited(struct napt *nat, const struct napt_packet *packet,
                                     enum napt_fate fate);
static void poison(struct napt *nat, const struct napt_packet *packet);

struct napt *napt_open(const struct napt_config *config, uint32_t external_ip, uint64_t seed,
                       uint64_t number)
{
    const char *reason = NULL;
    must(napt_config_check(config, &reason) == ERR_OK);
    struct napt *nat = aligned_alloc(PREFETCH_LINE, sizeof *nat);
    must(nat != NULL);
    memset(nat, 0, sizeof *nat);
    nat->config = config;
    nat->external_ip = external_ip;
    nat->session_free = NAPT_NONE;
    nat->mapping_free = NAPT_NONE;
    nat->sweep_us = UINT64_MAX;
    rng_stream(&nat->rng, seed, "nat", number, 0);
    nat->port_next = (uint16_t)rng_below(&nat->rng, config->port_count);
    return nat;
}

void napt_close(struct napt *nat)
{
    if (nat != NULL) {
        napt_tables_close(nat);
        free(nat);
    }
}

uint32_t napt_external_ip(const struct napt *nat)
{
    return nat->external_ip;
}

enum napt_verdict napt_out(struct napt *nat, uint64_t now_us, struct napt_packet *packet)
{
    const struct napt_config *config = nat->config;
    time_pass(nat, now_us);
    if (config->is_udp_blocked && packet->protocol == NAPT_UDP) {
        return drop(nat, NAPT_FATE_BLOCKED);
    }
    if (packet->to.ip == nat->external_ip && !config->has_hairpin && !config->is_firewall) {
        return drop(nat, NAPT_FATE_HAIRPIN);
    }
    uint32_t id = napt_find_leaving(nat, packet->protocol, packet->from, packet->to);
    if (id != NAPT_NONE && !napt_session_is_live(nat, id)) {
        napt_session_drop(nat, id);
        id = NAPT_NONE;
    }
    if (id == NAPT_NONE) {
        id = session_open(nat, packet);
        if (id == NAPT_NONE) {
            return NAPT_DROPPED;
        }
    }
    session_use(nat, id, NAPT_SENT, packet->segment);
    if (!config->is_firewall) {
        packet->from = (struct napt_end){nat->external_ip, nat->sessions[id].external_port};
    }
    return NAPT_PASSED;
}

static void time_pass(struct napt *nat, uint64_t now_us)
{
    must(now_us >= nat->now_us);
    nat->now_us = now_us;
}

static enum napt_verdict drop(struct napt *nat, enum napt_fate fate)
{
    nat->fates[fate]++;
    return NAPT_DROPPED;
}

/* A packet for which there is no session makes one, except the end of a connection that nobody
 * knows. That data in the middle of a TCP connection makes one is the loose tracking of Linux: a
 * box that has rebooted lets connections go on. */
static uint32_t session_open(struct napt *nat, const struct napt_packet *packet)
{
    if (packet->protocol == NAPT_TCP && packet->segment == NAPT_SEGMENT_END) {
        nat->fates[NAPT_FATE_UNMAPPED]++;
        return NAPT_NONE;
    }
    uint32_t host = napt_host_meet(nat, packet->from.ip);
    struct napt_wish wish = {packet->protocol, packet->from, packet->to, host};
    napt_room_make(nat, host);
    uint32_t mapping = napt_mapping_find(nat, &wish);
    bool is_poisoned = false;
    if (mapping != NAPT_NONE) {
        struct napt_end external = {packet->from.ip, nat->mappings[mapping].external_port};
        uint32_t known = napt_find_arriving(nat, packet->protocol, external, packet->to);
        if (known != NAPT_NONE && !napt_session_is_live(nat, known)) {
            napt_session_drop(nat, known); /* The mapping has another, or it would be gone. */
        } else if (known != NAPT_NONE && (nat->sessions[known].flags & NAPT_POISON) == 0) {
            napt_session_return(nat, known);
            return known;
        } else {
            is_poisoned = known != NAPT_NONE;
        }
    }
    if (is_at_cap(nat, host)) {
        nat->fates[NAPT_FATE_SESSIONS]++;
        return NAPT_NONE;
    }
    if (mapping == NAPT_NONE || is_poisoned) {
        mapping = napt_mapping_make(nat, &wish, is_poisoned);
        if (mapping == NAPT_NONE) {
            nat->fates[NAPT_FATE_PORTS]++;
            return NAPT_NONE;
        }
    }
    return napt_session_add(nat, mapping, packet->to);
}

static bool is_at_cap(const struct napt *nat, uint32_t host)
{
    uint32_t max = nat->config->sessions_max;
    return max != 0 && nat->hosts[host].sessions >= max;
}

/* The session has carried a packet. Of TCP a connection is established when both sides have been
 * seen and neither has ended it; the third packet of the handshake is not waited for. */
static void session_use(struct napt *nat, uint32_t id, enum napt_session_flag way,
                        enum napt_segment segment)
{
    const struct napt_config *config = nat->config;
    struct napt_session *session = &nat->sessions[id];
    if (segment == NAPT_SEGMENT_END) {
        session->flags |= NAPT_ENDED;
    } else if (segment == NAPT_SEGMENT_SYN && (session->flags & NAPT_ENDED) != 0) {
        session->flags &= (uint8_t) ~(NAPT_ENDED | NAPT_SENT | NAPT_ANSWERED);
    }
    session->flags |= (uint8_t)way;
    if (way == NAPT_ANSWERED && !config->refreshes_in && segment != NAPT_SEGMENT_END) {
        return;
    }
    bool is_both = (session->flags & (NAPT_SENT | NAPT_ANSWERED)) == (NAPT_SENT | NAPT_ANSWERED);
    uint64_t idle_us = is_both ? config->stream_us : config->unreplied_us;
    if (session->protocol == NAPT_TCP) {
        bool is_open = is_both && (session->flags & NAPT_ENDED) == 0;
        idle_us = is_open ? config->tcp_established_us : config->tcp_opening_us;
    }
    session->expires_us = nat->now_us + idle_us;
    if (session->expires_us < nat->sweep_us) {
        nat->sweep_us = session->expires_us;
    }
}

enum napt_verdict napt_in(struct napt *nat, uint64_t now_us, struct napt_packet *packet)
{
    time_pass(nat, now_us);
    if (nat->config->is_udp_blocked && packet->protocol == NAPT_UDP) {
        return drop(nat, NAPT_FATE_BLOCKED);
    }
    uint32_t id = napt_find_arriving(nat, packet->protocol, packet->to, packet->from);
    if (id != NAPT_NONE && !napt_session_is_live(nat, id)) {
        napt_session_drop(nat, id);
        id = NAPT_NONE;
    }
    if (id == NAPT_NONE || (nat->sessions[id].flags & NAPT_POISON) != 0) {
        return admit(nat, packet, id != NAPT_NONE);
    }
    session_use(nat, id, NAPT_ANSWERED, packet->segment);
    packet->to = (struct napt_end){nat->sessions[id].inside_ip, nat->sessions[id].inside_port};
    return NAPT_PASSED;
}

void napt_expect(const struct napt *nat)
{
    prefetch(nat, 3 * (size_t)PREFETCH_LINE);
}

void napt_expect_in(const struct napt *nat, const struct napt_packet *packet)
{
    if (nat->session_cap != 0) {
        uint32_t chain = napt_arriving_chain(nat, packet->protocol, packet->to, packet->from);
        prefetch(&nat->session_chains.heads[chain], sizeof(uint32_t));
        prefetch(nat->mapping_chains.heads, PREFETCH_LINE);
    }
}

void napt_expect_in_next(const struct napt *nat, const struct napt_packet *packet)
{
    if (nat->session_cap != 0) {
        uint32_t chain = napt_arriving_chain(nat, packet->protocol, packet->to, packet->from);
        uint32_t id = nat->session_chains.heads[chain];
        prefetch(&nat->sessions[id == NAPT_NONE ? 0 : id], sizeof *nat->sessions);
    }
}

/* A packet without a session. Where it passes and what comes in counts, it makes one, by which
 * answers go too: so they leave from the very end that the packet was sent to, whatever the mapping
 * rule, as connection tracking has it. */
static enum napt_verdict admit(struct napt *nat, struct napt_packet *packet, bool is_poisoned)
{
    uint32_t id = napt_find_port(nat, packet->protocol, packet->to);
    if (id == NAPT_NONE || !napt_mapping_is_live(nat, id)) {
        return unsolicited(nat, packet, NAPT_FATE_UNMAPPED);
    }
    if (is_poisoned || !admits(nat, id, packet)) {
        return unsolicited(nat, packet, NAPT_FATE_FILTERED);
    }
    if (nat->config->refreshes_in) {
        uint32_t host = nat->mappings[id].host;
        napt_room_make(nat, host);
        if (is_at_cap(nat, host)) {
            return drop(nat, NAPT_FATE_SESSIONS);
        }
        uint32_t session = napt_session_add(nat, id, packet->from);
        session_use(nat, session, NAPT_ANSWERED, packet->segment);
    }
    packet->to = (struct napt_end){nat->mappings[id].inside_ip, nat->mappings[id].inside_port};
    return NAPT_PASSED;
}

/* Whether the filter lets a stranger's packet through to a live mapping. A TCP connection begins
 * with a SYN, from outside too. */
static bool admits(const struct napt *nat, uint32_t id, const struct napt_packet *packet)
{
    if (packet->protocol == NAPT_TCP && packet->segment != NAPT_SEGMENT_SYN) {
        return false;
    }
    if (nat->mappings[id].request_until_us > nat->now_us) {
        return true;
    }
    switch (nat->config->filtering) {
    case NAPT_ENDPOINT_INDEPENDENT:
        return true;
    case NAPT_ADDRESS_DEPENDENT:
        return napt_has_sent_to(nat, packet->protocol, packet->to, packet->from);
    default:
        return false;
    }
}

static enum napt_verdict unsolicited(struct napt *nat, const struct napt_packet *packet,
                                     enum napt_fate fate)
{
    nat->fates[fate]++;
    switch (nat->config->unsolicited) {
    case NAPT_UNSOLICITED_REJECTED:
        /* Nobody answers a reset. */
        return packet->segment == NAPT_SEGMENT_END ? NAPT_DROPPED : NAPT_REJECTED;
    case NAPT_UNSOLICITED_POISONS:
        poison(nat, packet);
        return NAPT_DROPPED;
    default:
        return NAPT_DROPPED;
    }
}

static void poison(struct napt *nat, const struct napt_packet *packet)
{
    uint32_t id = napt_find_arriving(nat, packet->protocol, packet->to, packet->from);
    if (id == NAPT_NONE) {
        napt_room_make(nat, NAPT_NONE);
        id = napt_poison_add(nat, packet->protocol, packet->to, packet->from);
        nat->fates[NAPT_FATE_POISONED]++;
    }
    nat->sessions[id].expires_us = nat->now_us + nat->config->unreplied_us;
    if (nat->sessions[id].expires_us < nat->sweep_us) {
        nat->sweep_us = nat->sessions[id].expires_us;
    }
}

void napt_rebind(struct napt *nat)
{
    napt_tables_forget(nat);
    nat->port_next = (uint16_t)rng_below(&nat->rng, nat->config->port_count);
}

void napt_renumber(struct napt *nat, uint32_t external_ip)
{
    napt_rebind(nat);
    nat->external_ip = external_ip;
}

struct napt_load napt_load_of(struct napt *nat, uint64_t now_us, uint32_t inside_ip)
{
    time_pass(nat, now_us);
    napt_sweep(nat);
    if (inside_ip == 0) {
        return (struct napt_load){nat->mapping_count, nat->session_count, nat->sessions_most};
    }
    uint32_t id = napt_host_find(nat, inside_ip);
    if (id == NAPT_NONE) {
        return (struct napt_load){0};
    }
    const struct napt_host *host = &nat->hosts[id];
    return (struct napt_load){host->mappings, host->sessions, host->sessions_most};
}

const uint64_t *napt_fates(const struct napt *nat)
{
    return nat->fates;
}

size_t napt_bytes(const struct napt *nat)
{
    size_t hosts = nat->host_cap > 1 ? nat->host_cap : 0;
    size_t heads = 2 * (size_t)nat->session_cap + 2 * (size_t)nat->mapping_cap + hosts;
    return sizeof *nat + nat->session_cap * (sizeof *nat->sessions + sizeof *nat->owners) +
           nat->mapping_cap * sizeof *nat->mappings + hosts * sizeof *nat->hosts +
           heads * sizeof(uint32_t);
}
