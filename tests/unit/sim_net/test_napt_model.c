/* test_napt_model.c - boxes of every kind under random traffic, against a model that is slow and
 * obvious: a list of sessions, searched from end to end.
 *
 * The model has no mappings: an inside end has one for as long as the list holds a live session (or
 * a request) of it. Ports that are drawn at random it takes from the box, and judges them.
 */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "napt_lab.h"
#include "node/base/slice.h"

#define RECORDS  8192
#define INSIDES  3
#define REMOTES  4
#define PORTS    5
#define UNKNOWN  UINT32_MAX
#define OUTER_IP UINT32_C(0xcb007101)

struct record {
    unsigned protocol;
    struct napt_end inside;
    struct napt_end remote;
    struct napt_end scope;
    uint16_t port;
    bool is_private;
    bool is_aside;
    bool is_sent;
    bool is_answered;
    bool is_ended;
    uint64_t expires_us;
};

struct poison {
    unsigned protocol;
    uint16_t port;
    struct napt_end remote;
    uint64_t expires_us;
};

struct request {
    unsigned protocol;
    struct napt_end inside;
    uint16_t port;
    uint64_t until_us;
};

struct model {
    const struct napt_config *config;
    uint32_t external_ip;
    uint64_t now_us;
    uint32_t next[INSIDES]; /* Sequential ports: offset, or UNKNOWN; the first without blocks. */
    uint32_t hosts[INSIDES];
    size_t host_count;
    size_t record_count;
    size_t poison_count;
    size_t request_count;
    uint32_t most[INSIDES];
    uint32_t most_of_all;
    uint64_t fates[NAPT_FATE_COUNT];
    struct record records[RECORDS];
    struct poison poison[RECORDS];
    struct request requests[RECORDS];
};

/* Where the run is: every failure tells. */
static struct {
    unsigned long long seed;
    int step;
} running;

#define judge(condition)                                                                           \
    cr_assert(condition, "%s: seed %llu, step %d", #condition, running.seed, running.step)

/* What is mapped at an external end. */
struct mapped {
    struct napt_end inside;
    struct napt_end scope;
    uint16_t port;
    bool is_private;
    bool is_requested;
};

static size_t host_of(struct model *model, uint32_t ip)
{
    for (size_t i = 0; i < model->host_count; i++) {
        if (model->hosts[i] == ip) {
            return i;
        }
    }
    model->hosts[model->host_count] = ip;
    return model->host_count++;
}

static void expire(struct model *model, uint64_t now_us)
{
    model->now_us = now_us;
    size_t kept = 0;
    for (size_t i = 0; i < model->record_count; i++) {
        if (model->records[i].expires_us > now_us) {
            model->records[kept++] = model->records[i];
        }
    }
    model->record_count = kept;
    kept = 0;
    for (size_t i = 0; i < model->poison_count; i++) {
        if (model->poison[i].expires_us > now_us) {
            model->poison[kept++] = model->poison[i];
        }
    }
    model->poison_count = kept;
    kept = 0;
    for (size_t i = 0; i < model->request_count; i++) {
        if (model->requests[i].until_us > now_us) {
            model->requests[kept++] = model->requests[i];
        }
    }
    model->request_count = kept;
}

static bool is_at(const struct model *model, struct napt_end inside, uint16_t port,
                  struct napt_end external)
{
    return port == external.port && (!model->config->is_firewall || inside.ip == external.ip);
}

static struct poison *poison_at(struct model *model, unsigned protocol, uint16_t port,
                                struct napt_end remote)
{
    for (size_t i = 0; i < model->poison_count; i++) {
        struct poison *poison = &model->poison[i];
        if (poison->protocol == protocol && poison->port == port &&
            lab_same(poison->remote, remote)) {
            return poison;
        }
    }
    return NULL;
}

static struct record *record_at(struct model *model, unsigned protocol, struct napt_end external,
                                struct napt_end remote)
{
    for (size_t i = 0; i < model->record_count; i++) {
        struct record *record = &model->records[i];
        if (record->protocol == protocol && lab_same(record->remote, remote) &&
            is_at(model, record->inside, record->port, external)) {
            return record;
        }
    }
    return NULL;
}

static struct record *record_from(struct model *model, unsigned protocol, struct napt_end inside,
                                  struct napt_end remote)
{
    for (size_t i = 0; i < model->record_count; i++) {
        struct record *record = &model->records[i];
        if (record->protocol == protocol && lab_same(record->inside, inside) &&
            lab_same(record->remote, remote) && !record->is_aside) {
            return record;
        }
    }
    return NULL;
}

static bool mapped_at(const struct model *model, unsigned protocol, struct napt_end external,
                      struct mapped *mapped)
{
    for (size_t i = 0; i < model->request_count; i++) {
        const struct request *request = &model->requests[i];
        if (request->protocol == protocol &&
            is_at(model, request->inside, request->port, external)) {
            *mapped = (struct mapped){
                .inside = request->inside, .port = request->port, .is_requested = true};
            return true;
        }
    }
    for (size_t i = 0; i < model->record_count; i++) {
        const struct record *record = &model->records[i];
        if (record->protocol == protocol && is_at(model, record->inside, record->port, external)) {
            *mapped = (struct mapped){record->inside, record->scope, record->port,
                                      record->is_private, false};
            return true;
        }
    }
    return false;
}

static struct napt_end scope_of(const struct napt_config *config, struct napt_end remote)
{
    if (config->mapping == NAPT_ENDPOINT_INDEPENDENT) {
        return lab_end(0, 0);
    }
    return config->mapping == NAPT_ADDRESS_DEPENDENT ? lab_end(remote.ip, 0) : remote;
}

/* The mapping that packets from `inside` in this scope leave by. */
static bool mapped_for(const struct model *model, unsigned protocol, struct napt_end inside,
                       struct napt_end scope, struct mapped *mapped)
{
    for (size_t i = 0; i < model->request_count; i++) {
        const struct request *request = &model->requests[i];
        if (request->protocol == protocol && lab_same(request->inside, inside)) {
            *mapped =
                (struct mapped){.inside = inside, .port = request->port, .is_requested = true};
            return true;
        }
    }
    for (size_t i = 0; i < model->record_count; i++) {
        const struct record *record = &model->records[i];
        if (record->protocol == protocol && lab_same(record->inside, inside) &&
            lab_same(record->scope, scope) && !record->is_private) {
            *mapped = (struct mapped){inside, scope, record->port, false, false};
            return true;
        }
    }
    return false;
}

static void use(struct model *model, struct record *record, bool is_out, enum napt_segment segment)
{
    const struct napt_config *config = model->config;
    if (segment == NAPT_SEGMENT_SYN && record->is_ended) {
        record->is_ended = false;
        record->is_sent = false;
        record->is_answered = false;
    }
    record->is_ended = record->is_ended || segment == NAPT_SEGMENT_END;
    record->is_sent = record->is_sent || is_out;
    record->is_answered = record->is_answered || !is_out;
    bool is_both = record->is_sent && record->is_answered;
    uint64_t idle_us = is_both ? config->stream_us : config->unreplied_us;
    if (record->protocol == NAPT_TCP) {
        idle_us =
            is_both && !record->is_ended ? config->tcp_established_us : config->tcp_opening_us;
    }
    if (is_out || config->refreshes_in || segment == NAPT_SEGMENT_END) {
        record->expires_us = model->now_us + idle_us;
    }
}

static uint32_t sessions_of(const struct model *model, uint32_t ip)
{
    uint32_t count = 0;
    for (size_t i = 0; i < model->record_count; i++) {
        count += model->records[i].inside.ip == ip;
    }
    return count;
}

static struct record *record_add(struct model *model, unsigned protocol,
                                 const struct mapped *mapped, struct napt_end remote)
{
    struct record *other = record_from(model, protocol, mapped->inside, remote);
    if (other != NULL) {
        other->is_aside = true;
    }
    judge(model->record_count < RECORDS);
    struct record *record = &model->records[model->record_count++];
    *record = (struct record){.protocol = protocol,
                              .inside = mapped->inside,
                              .remote = remote,
                              .scope = mapped->scope,
                              .port = mapped->port,
                              .is_private = mapped->is_private};
    size_t host = host_of(model, mapped->inside.ip);
    uint32_t count = sessions_of(model, mapped->inside.ip);
    model->most[host] = count > model->most[host] ? count : model->most[host];
    if (model->record_count > model->most_of_all) {
        model->most_of_all = (uint32_t)model->record_count;
    }
    return record;
}

/* Whether a new mapping of the inside port may have this external one, towards `remote`. */
static bool may_have(struct model *model, unsigned protocol, uint16_t inside_port,
                     struct napt_end remote, uint16_t port)
{
    struct mapped mapped;
    return !(model->config->keeps_parity && (port ^ inside_port) % 2 != 0) &&
           !mapped_at(model, protocol, lab_end(model->external_ip, port), &mapped) &&
           poison_at(model, protocol, port, remote) == NULL;
}

/* Judges the port that a new mapping got (0: none) and returns if it is poison that moved it. */
static bool judge_port(struct model *model, unsigned protocol, struct napt_end inside,
                       struct napt_end remote, bool is_poisoned, uint16_t got)
{
    const struct napt_config *config = model->config;
    size_t host = host_of(model, inside.ip);
    uint16_t first = config->first_port;
    uint16_t count = config->port_count;
    if (config->block_ports != 0) {
        first = (uint16_t)(first + host * config->block_ports);
        count = host < (size_t)config->port_count / config->block_ports ? config->block_ports : 0;
    }
    uint32_t *next = &model->next[config->block_ports != 0 ? host : 0];
    uint32_t start = config->ports == NAPT_PORTS_SEQUENTIAL ? *next : UNKNOWN;
    if (config->ports == NAPT_PORTS_PRESERVED && count != 0) {
        bool is_within = inside.port >= first && inside.port < first + count;
        start = is_within ? (uint32_t)inside.port - first : (uint32_t)inside.port % count;
    }
    if (start != UNKNOWN && config->ports == NAPT_PORTS_PRESERVED && count != 0 &&
        poison_at(model, protocol, (uint16_t)(first + start), remote) != NULL) {
        is_poisoned = true;
    }
    uint32_t wanted = UNKNOWN; /* The first from start on. */
    for (uint32_t i = 0; i < count && wanted == UNKNOWN; i++) {
        uint32_t offset = ((start == UNKNOWN ? 0 : start) + i) % count;
        if (may_have(model, protocol, inside.port, remote, (uint16_t)(first + offset))) {
            wanted = offset;
        }
    }
    judge((got == 0) == (wanted == UNKNOWN));
    if (got != 0) {
        judge(got >= first && got < first + count);
        judge(may_have(model, protocol, inside.port, remote, got));
        if (start != UNKNOWN && !is_poisoned) {
            judge(got == first + wanted);
        }
        *next = ((uint32_t)got - first + 1) % count;
    }
    return is_poisoned && got != 0;
}

/* What a packet from inside should meet; `got` is the external port that the box chose, 0 if it did
 * not let it pass. */
static enum napt_verdict model_out(struct model *model, struct napt_packet *packet, uint16_t got)
{
    const struct napt_config *config = model->config;
    if (config->is_udp_blocked && packet->protocol == NAPT_UDP) {
        model->fates[NAPT_FATE_BLOCKED]++;
        return NAPT_DROPPED;
    }
    if (packet->to.ip == model->external_ip && !config->has_hairpin && !config->is_firewall) {
        model->fates[NAPT_FATE_HAIRPIN]++;
        return NAPT_DROPPED;
    }
    struct record *record = record_from(model, packet->protocol, packet->from, packet->to);
    if (record == NULL && packet->segment == NAPT_SEGMENT_END) {
        model->fates[NAPT_FATE_UNMAPPED]++;
        return NAPT_DROPPED;
    }
    host_of(model, packet->from.ip); /* Known from now on. */
    struct mapped mapped = {.inside = packet->from, .scope = scope_of(config, packet->to)};
    bool is_mapped = mapped_for(model, packet->protocol, packet->from, mapped.scope, &mapped);
    if (record == NULL && is_mapped) {
        record =
            record_at(model, packet->protocol, lab_end(packet->from.ip, mapped.port), packet->to);
        if (record != NULL) {
            judge(record->is_aside);
            record->is_aside = false;
        }
    }
    if (record == NULL) {
        if (config->sessions_max != 0 &&
            sessions_of(model, packet->from.ip) >= config->sessions_max) {
            model->fates[NAPT_FATE_SESSIONS]++;
            return NAPT_DROPPED;
        }
        bool is_poisoned =
            is_mapped && poison_at(model, packet->protocol, mapped.port, packet->to) != NULL;
        if (config->is_firewall) {
            mapped.port = packet->from.port;
        } else if (!is_mapped || is_poisoned) {
            is_poisoned =
                judge_port(model, packet->protocol, packet->from, packet->to, is_poisoned, got);
            mapped.scope = scope_of(config, packet->to);
            mapped.port = got;
            mapped.is_private = is_poisoned;
            model->fates[NAPT_FATE_REMAPPED] += is_poisoned;
        }
        if (mapped.port == 0) {
            model->fates[NAPT_FATE_PORTS]++;
            return NAPT_DROPPED;
        }
        record = record_add(model, packet->protocol, &mapped, packet->to);
    }
    use(model, record, true, packet->segment);
    if (!config->is_firewall) {
        packet->from = lab_end(model->external_ip, record->port);
    }
    return NAPT_PASSED;
}

static bool has_sent_to(const struct model *model, const struct napt_packet *packet)
{
    for (size_t i = 0; i < model->record_count; i++) {
        const struct record *record = &model->records[i];
        if (record->protocol == packet->protocol && record->remote.ip == packet->from.ip &&
            record->is_sent && is_at(model, record->inside, record->port, packet->to)) {
            return true;
        }
    }
    return false;
}

static bool admits(const struct model *model, const struct mapped *mapped,
                   const struct napt_packet *packet)
{
    if (poison_at((struct model *)model, packet->protocol, packet->to.port, packet->from) != NULL ||
        (packet->protocol == NAPT_TCP && packet->segment != NAPT_SEGMENT_SYN)) {
        return false;
    }
    switch (model->config->filtering) {
    case NAPT_ENDPOINT_INDEPENDENT:
        return true;
    case NAPT_ADDRESS_DEPENDENT:
        return mapped->is_requested || has_sent_to(model, packet);
    default:
        return mapped->is_requested;
    }
}

static enum napt_verdict model_refuse(struct model *model, const struct napt_packet *packet)
{
    if (model->config->unsolicited == NAPT_UNSOLICITED_REJECTED) {
        return packet->segment == NAPT_SEGMENT_END ? NAPT_DROPPED : NAPT_REJECTED;
    }
    if (model->config->unsolicited == NAPT_UNSOLICITED_POISONS) {
        struct poison *poison = poison_at(model, packet->protocol, packet->to.port, packet->from);
        if (poison == NULL) {
            judge(model->poison_count < RECORDS);
            poison = &model->poison[model->poison_count++];
            *poison = (struct poison){packet->protocol, packet->to.port, packet->from, 0};
            model->fates[NAPT_FATE_POISONED]++;
        }
        poison->expires_us = model->now_us + model->config->unreplied_us;
    }
    return NAPT_DROPPED;
}

static enum napt_verdict model_in(struct model *model, struct napt_packet *packet)
{
    const struct napt_config *config = model->config;
    if (config->is_udp_blocked && packet->protocol == NAPT_UDP) {
        model->fates[NAPT_FATE_BLOCKED]++;
        return NAPT_DROPPED;
    }
    struct record *record = record_at(model, packet->protocol, packet->to, packet->from);
    struct mapped mapped;
    if (record != NULL) {
        use(model, record, false, packet->segment);
        packet->to = record->inside;
        return NAPT_PASSED;
    }
    if (!mapped_at(model, packet->protocol, packet->to, &mapped)) {
        model->fates[NAPT_FATE_UNMAPPED]++;
        return model_refuse(model, packet);
    }
    if (!admits(model, &mapped, packet)) {
        model->fates[NAPT_FATE_FILTERED]++;
        return model_refuse(model, packet);
    }
    if (config->refreshes_in) {
        if (config->sessions_max != 0 &&
            sessions_of(model, mapped.inside.ip) >= config->sessions_max) {
            model->fates[NAPT_FATE_SESSIONS]++;
            return NAPT_DROPPED;
        }
        record = record_add(model, packet->protocol, &mapped, packet->from);
        use(model, record, false, packet->segment);
    }
    packet->to = mapped.inside;
    return NAPT_PASSED;
}

static void model_request(struct model *model, unsigned protocol, struct napt_end inside,
                          uint64_t lifetime_us, uint16_t suggested, uint16_t got)
{
    const struct napt_config *config = model->config;
    size_t at = 0;
    while (at < model->request_count && !(model->requests[at].protocol == protocol &&
                                          lab_same(model->requests[at].inside, inside))) {
        at++;
    }
    if (lifetime_us == 0) {
        if (at < model->request_count) {
            model->requests[at] = model->requests[--model->request_count];
        }
        return;
    }
    host_of(model, inside.ip);
    struct mapped mapped;
    uint64_t granted_us =
        lifetime_us < config->request_max_us ? lifetime_us : config->request_max_us;
    if (mapped_for(model, protocol, inside, lab_end(0, 0), &mapped)) {
        judge(got == mapped.port);
    } else if (config->is_firewall) {
        judge(got == inside.port);
    } else if (got != suggested || got == 0) {
        judge_port(model, protocol, inside, lab_end(0, 0), false, got);
    } else {
        judge(may_have(model, protocol, inside.port, lab_end(0, 0), got));
    }
    if (got == 0) {
        model->fates[NAPT_FATE_PORTS]++;
        return;
    }
    if (at == model->request_count) {
        model->requests[model->request_count++] = (struct request){protocol, inside, got, 0};
    }
    model->requests[at].until_us = model->now_us + granted_us;
}

static uint32_t draw(struct rng *rng, uint32_t bound)
{
    return (uint32_t)rng_below(rng, bound);
}

static struct napt_config config_draw(struct rng *rng)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    config.mapping = (enum napt_scope)draw(rng, 3);
    config.filtering = (enum napt_scope)draw(rng, 3);
    config.ports = (enum napt_ports)draw(rng, 3);
    config.unsolicited = (enum napt_unsolicited)draw(rng, 3);
    config.keeps_parity = draw(rng, 3) == 0;
    config.has_hairpin = draw(rng, 2) == 0;
    config.is_udp_blocked = draw(rng, 10) == 0;
    config.refreshes_in = draw(rng, 4) != 0;
    config.maps_on_request = draw(rng, 2) == 0;
    config.first_port = 5000;
    config.port_count = (uint16_t)(draw(rng, 2) == 0 ? 13 : 400);
    config.block_ports = (uint16_t)(draw(rng, 4) == 0 ? config.port_count / (2 + draw(rng, 3)) : 0);
    config.sessions_max = draw(rng, 3) == 0 ? 10 : 0;
    config.unreplied_us = 30 * LAB_S;
    config.stream_us = 120 * LAB_S;
    config.tcp_opening_us = 60 * LAB_S;
    config.tcp_established_us = 300 * LAB_S;
    config.request_max_us = 200 * LAB_S;
    if (draw(rng, 6) == 0) {
        config.is_firewall = true;
        config.mapping = NAPT_ENDPOINT_INDEPENDENT;
        config.unsolicited = (enum napt_unsolicited)draw(rng, 2);
        config.block_ports = 0;
    }
    return config;
}

static struct napt_end inside_draw(struct rng *rng)
{
    return lab_end(0x0a000001 + draw(rng, INSIDES), 5000 + draw(rng, PORTS) * 3);
}

static struct napt_end remote_draw(struct rng *rng)
{
    return lab_end(LAB_SERVER_A + draw(rng, REMOTES), 700 + draw(rng, PORTS));
}

/* An external end, more often than not one that is in use. */
static struct napt_end external_draw(struct rng *rng, const struct model *model)
{
    if (model->record_count > 0 && draw(rng, 4) != 0) {
        const struct record *record = &model->records[draw(rng, (uint32_t)model->record_count)];
        return lab_end(model->config->is_firewall ? record->inside.ip : model->external_ip,
                       record->port);
    }
    return lab_end(model->config->is_firewall ? inside_draw(rng).ip : model->external_ip,
                   5000 + draw(rng, model->config->port_count));
}

static struct napt_packet packet_draw(struct rng *rng)
{
    struct napt_packet packet = {.protocol = draw(rng, 3) == 0 ? NAPT_TCP : NAPT_UDP};
    if (packet.protocol == NAPT_TCP) {
        packet.segment = (enum napt_segment)draw(rng, 3);
    }
    return packet;
}

static void compare(const struct napt_packet *packet, const struct napt_packet *expected,
                    enum napt_verdict verdict, enum napt_verdict wanted)
{
    judge(verdict == wanted);
    judge(lab_same(packet->from, expected->from));
    judge(lab_same(packet->to, expected->to));
}

static void step_in(struct napt *nat, struct model *model, struct napt_packet packet)
{
    struct napt_packet expected = packet;
    enum napt_verdict verdict = napt_in(nat, model->now_us, &packet);
    enum napt_verdict wanted = model_in(model, &expected);
    compare(&packet, &expected, verdict, wanted);
}

static void step_out(struct napt *nat, struct model *model, struct napt_packet packet)
{
    struct napt_packet expected = packet;
    enum napt_verdict verdict = napt_out(nat, model->now_us, &packet);
    enum napt_verdict wanted =
        model_out(model, &expected, verdict == NAPT_PASSED ? packet.from.port : 0);
    compare(&packet, &expected, verdict, wanted);
    if (verdict == NAPT_PASSED && packet.to.ip == model->external_ip) {
        step_in(nat, model, packet); /* Hairpinning. */
    }
}

static void step_request(struct napt *nat, struct model *model, struct rng *rng)
{
    unsigned protocol = draw(rng, 2);
    struct napt_end inside = inside_draw(rng);
    uint64_t lifetime_us = draw(rng, 4) * 90 * LAB_S;
    uint16_t suggested = (uint16_t)(4990 + draw(rng, model->config->port_count + 20u));
    struct napt_end external;
    uint64_t granted_us;
    int result = napt_request(nat, model->now_us, (enum napt_protocol)protocol, &inside,
                              lifetime_us, suggested, &external, &granted_us);
    bool is_supported =
        model->config->maps_on_request && !(model->config->is_udp_blocked && protocol == NAPT_UDP);
    judge((result == ERR_UNSUPPORTED) != is_supported);
    if (is_supported) {
        model_request(model, protocol, inside, lifetime_us, suggested, external.port);
    }
}

static void step(struct napt *nat, struct model *model, struct rng *rng)
{
    struct napt_packet packet = packet_draw(rng);
    uint32_t die = draw(rng, 1000);
    if (die < 550) {
        packet.from = inside_draw(rng);
        packet.to = remote_draw(rng);
        step_out(nat, model, packet);
    } else if (die < 870) {
        packet.from = remote_draw(rng);
        packet.to = external_draw(rng, model);
        step_in(nat, model, packet);
    } else if (die < 930) {
        packet.from = inside_draw(rng);
        packet.to = external_draw(rng, model);
        step_out(nat, model, packet);
    } else if (die < 996) {
        step_request(nat, model, rng);
    } else {
        model->external_ip += die % 2;
        if (die % 2 == 0) {
            napt_rebind(nat);
        } else {
            napt_renumber(nat, model->external_ip);
        }
        expire(model, UINT64_MAX);
        memset(model->next, 0xff, sizeof model->next);
        for (size_t i = 0; i < INSIDES && model->config->block_ports != 0; i++) {
            model->next[i] = 0;
        }
    }
}

static void compare_loads(struct napt *nat, struct model *model)
{
    for (size_t i = 0; i < model->host_count; i++) {
        struct napt_load load = napt_load_of(nat, model->now_us, model->hosts[i]);
        judge(load.sessions == sessions_of(model, model->hosts[i]));
        judge(load.sessions_most == model->most[i]);
    }
    struct napt_load load = napt_load_of(nat, model->now_us, 0);
    judge(load.sessions == model->record_count);
    judge(load.sessions_most == model->most_of_all);
}

static void run(uint64_t seed, int steps)
{
    static struct model model;
    struct rng rng;
    rng_stream(&rng, seed, "traffic", 0, 0);
    struct napt_config config = config_draw(&rng);
    memset(&model, 0, sizeof model);
    model.config = &config;
    model.external_ip = OUTER_IP;
    memset(model.next, config.block_ports != 0 ? 0 : 0xff, sizeof model.next);
    struct napt *nat = napt_open(&config, OUTER_IP, seed, 1);
    uint64_t now_us = 0;
    for (int i = 0; i < steps; i++) {
        uint32_t pace = draw(&rng, 100);
        now_us += pace < 60 ? 0 : pace < 97 ? draw(&rng, 3000000) : draw(&rng, 150) * LAB_S;
        expire(&model, now_us);
        running.seed = seed;
        running.step = i;
        step(nat, &model, &rng);
        expire(&model, now_us);
        judge(napt_check(nat) == NULL);
        for (int fate = 0; fate < NAPT_FATE_COUNT; fate++) {
            judge(napt_fates(nat)[fate] == model.fates[fate]);
        }
        if (draw(&rng, 20) == 0) {
            compare_loads(nat, &model);
        }
    }
    napt_close(nat);
}

Test(nat_model, boxes_do_what_a_list_of_sessions_says)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        run(seed, 600);
    }
}

Test(nat_model, and_so_for_long)
{
    for (uint64_t seed = 1001; seed <= 1020; seed++) {
        run(seed, 10000);
    }
}
