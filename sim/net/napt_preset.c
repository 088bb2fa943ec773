/* napt_preset.c - kinds of NAT box and fates of packets by name; what a box's properties may be. */
#include <string.h>

#include "node/base/must.h"
#include "sim/net/napt.h"

#define US_PER_S           UINT64_C(1000000)
#define UNREPLIED_US       (30 * US_PER_S)    /* nf_conntrack_udp_timeout. */
#define STREAM_US          (120 * US_PER_S)   /* nf_conntrack_udp_timeout_stream. */
#define TCP_OPENING_US     (240 * US_PER_S)   /* RFC 5382 REQ-5: transitory, 4 minutes. */
#define TCP_ESTABLISHED_US (7440 * US_PER_S)  /* The same: established, 2 h 4 min. */
#define REQUEST_MAX_US     (86400 * US_PER_S) /* RFC 6887 section 15: a day. */
#define TIMEOUT_MAX_US     (366 * 86400 * US_PER_S)
#define PORT_FIRST         1024
#define PORT_LAST          UINT16_MAX

struct preset {
    const char *text;
    enum napt_scope mapping;
    enum napt_scope filtering;
    enum napt_ports ports;
    enum napt_unsolicited unsolicited;
    bool is_firewall;
    bool is_udp_blocked;
};

static const struct preset presets[NAPT_PRESET_COUNT] = {
    [NAPT_PRESET_FULL_CONE] = {.text = "full_cone"},
    [NAPT_PRESET_RESTRICTED] = {.text = "restricted", .filtering = NAPT_ADDRESS_DEPENDENT},
    [NAPT_PRESET_PORT_RESTRICTED] = {.text = "port_restricted",
                                     .filtering = NAPT_ADDRESS_AND_PORT_DEPENDENT},
    [NAPT_PRESET_ADDRESS_DEPENDENT] = {.text = "address_dependent",
                                       .mapping = NAPT_ADDRESS_DEPENDENT,
                                       .filtering = NAPT_ADDRESS_AND_PORT_DEPENDENT,
                                       .ports = NAPT_PORTS_RANDOM},
    [NAPT_PRESET_SYMMETRIC] = {.text = "symmetric",
                               .mapping = NAPT_ADDRESS_AND_PORT_DEPENDENT,
                               .filtering = NAPT_ADDRESS_AND_PORT_DEPENDENT,
                               .ports = NAPT_PORTS_RANDOM},
    [NAPT_PRESET_SYMMETRIC_OPEN] = {.text = "symmetric_open",
                                    .mapping = NAPT_ADDRESS_AND_PORT_DEPENDENT,
                                    .ports = NAPT_PORTS_RANDOM},
    [NAPT_PRESET_SEQUENTIAL] = {.text = "sequential",
                                .mapping = NAPT_ADDRESS_AND_PORT_DEPENDENT,
                                .filtering = NAPT_ADDRESS_AND_PORT_DEPENDENT,
                                .ports = NAPT_PORTS_SEQUENTIAL},
    [NAPT_PRESET_POISONABLE] = {.text = "poisonable",
                                .filtering = NAPT_ADDRESS_AND_PORT_DEPENDENT,
                                .unsolicited = NAPT_UNSOLICITED_POISONS},
    [NAPT_PRESET_UDP_BLOCKED] = {.text = "udp_blocked",
                                 .filtering = NAPT_ADDRESS_AND_PORT_DEPENDENT,
                                 .is_udp_blocked = true},
    [NAPT_PRESET_FIREWALL] = {.text = "firewall",
                              .filtering = NAPT_ADDRESS_AND_PORT_DEPENDENT,
                              .is_firewall = true},
};

static const char *ports_fault(const struct napt_config *config);
static const char *times_fault(const struct napt_config *config);

const char *napt_fate_text(enum napt_fate fate)
{
    static const char *const texts[NAPT_FATE_COUNT] = {
        [NAPT_FATE_FILTERED] = "filtered", [NAPT_FATE_UNMAPPED] = "unmapped",
        [NAPT_FATE_BLOCKED] = "blocked",   [NAPT_FATE_SESSIONS] = "sessions",
        [NAPT_FATE_PORTS] = "ports",       [NAPT_FATE_HAIRPIN] = "hairpin",
        [NAPT_FATE_POISONED] = "poisoned", [NAPT_FATE_REMAPPED] = "remapped"};
    must((unsigned)fate < NAPT_FATE_COUNT);
    return texts[fate];
}

const char *napt_preset_text(enum napt_preset preset)
{
    must((unsigned)preset < NAPT_PRESET_COUNT);
    return presets[preset].text;
}

bool napt_preset_find(const char *text, enum napt_preset *preset)
{
    for (int i = 0; i < NAPT_PRESET_COUNT; i++) {
        if (strcmp(text, presets[i].text) == 0) {
            *preset = (enum napt_preset)i;
            return true;
        }
    }
    return false;
}

void napt_preset_config(enum napt_preset preset, struct napt_config *config)
{
    must((unsigned)preset < NAPT_PRESET_COUNT);
    const struct preset *kind = &presets[preset];
    *config = (struct napt_config){.mapping = kind->mapping,
                                   .filtering = kind->filtering,
                                   .ports = kind->ports,
                                   .unsolicited = kind->unsolicited,
                                   .is_firewall = kind->is_firewall,
                                   .is_udp_blocked = kind->is_udp_blocked,
                                   .refreshes_in = true,
                                   .first_port = PORT_FIRST,
                                   .port_count = PORT_LAST - PORT_FIRST + 1,
                                   .unreplied_us = UNREPLIED_US,
                                   .stream_us = STREAM_US,
                                   .tcp_opening_us = TCP_OPENING_US,
                                   .tcp_established_us = TCP_ESTABLISHED_US,
                                   .request_max_us = REQUEST_MAX_US};
}

int napt_config_check(const struct napt_config *config, const char **reason)
{
    *reason = NULL;
    if ((unsigned)config->mapping > NAPT_ADDRESS_AND_PORT_DEPENDENT ||
        (unsigned)config->filtering > NAPT_ADDRESS_AND_PORT_DEPENDENT ||
        (unsigned)config->ports > NAPT_PORTS_RANDOM ||
        (unsigned)config->unsolicited > NAPT_UNSOLICITED_POISONS) {
        *reason = "there is no such behaviour";
    } else if (config->is_firewall && config->mapping != NAPT_ENDPOINT_INDEPENDENT) {
        *reason = "a firewall translates nothing, so no mapping depends on the remote end";
    } else if (config->is_firewall && config->unsolicited == NAPT_UNSOLICITED_POISONS) {
        *reason = "a firewall has no ports of its own that could be poisoned";
    }
    if (*reason == NULL) {
        *reason = ports_fault(config);
    }
    if (*reason == NULL) {
        *reason = times_fault(config);
    }
    return *reason == NULL ? ERR_OK : ERR_INVALID;
}

static const char *ports_fault(const struct napt_config *config)
{
    if (config->first_port == 0 || config->port_count == 0) {
        return "there are no external ports, or port 0 is one of them";
    }
    if ((uint32_t)config->first_port + config->port_count > (uint32_t)UINT16_MAX + 1) {
        return "external ports end at 65535";
    }
    if (config->block_ports > config->port_count) {
        return "a block has more ports than the box";
    }
    if (config->block_ports != 0 && config->is_firewall) {
        return "a firewall gives no ports away";
    }
    if (config->keeps_parity && (config->port_count < 2 || config->block_ports == 1)) {
        return "parity needs an even and an odd port";
    }
    return NULL;
}

static const char *times_fault(const struct napt_config *config)
{
    if (config->unreplied_us == 0 || config->tcp_opening_us == 0) {
        return "a timeout is zero";
    }
    if (config->stream_us < config->unreplied_us ||
        config->tcp_established_us < config->tcp_opening_us) {
        return "what has been answered times out before what has not";
    }
    if (config->maps_on_request && config->request_max_us == 0) {
        return "mappings on request have no lifetime";
    }
    if (config->stream_us > TIMEOUT_MAX_US || config->tcp_established_us > TIMEOUT_MAX_US ||
        config->request_max_us > TIMEOUT_MAX_US) {
        return "a timeout is longer than a year";
    }
    return NULL;
}
