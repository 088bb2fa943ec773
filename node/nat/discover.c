/* discover.c - STUN on the node's own socket: servers tell where they see us, and what our box lets
 * in. What others ask us goes on to stun_role.c.
 *
 *      names of servers -> addresses; again later where there is none
 *      address of ours, or another one -> questions to every server -> sights for classify.h
 *      the first with a second address -> answers from elsewhere: do they come?
 *                                      -> then questions to that address: the same mapping?
 *
 * In this order (RFC 5780 sections 4.3 and 4.4), because a question to the second address opens the
 * box for it.
 */
#include <string.h>

#include "node/base/must.h"
#include "node/nat/nat_parts.h"

/* Filters are tried twice as fast as RFC 8489 section 6.2.1 has it: what does not come is no
 * congestion. */
#define FILTER_RTO_US (STUN_RTO_US / 2)
#define AGAIN_US      (60 * NAT_SECOND) /* However often our address changes. */
#define NAME_WAIT_US  NAT_SECOND        /* After a name could not be looked up; doubles, */
#define NAME_WAITS    6                 /* so often. */

static bool has_servers(const struct nat_config *config);
static void add(struct nat_discovery *discovery, const struct stun_client_options *options);
static void go_on(struct nat_discovery *discovery);
static uint64_t look_up_due(struct nat_discovery *discovery);
static void name_failed(const struct nat_discovery *discovery, struct nat_name *name);
static uint64_t ask_due(struct nat_discovery *discovery);
static void on_timer(struct timer *timer);
static void note_miss(const struct nat_discovery *discovery, const struct stun_client *client);
static void try_mapping(struct nat_discovery *discovery);
static void on_ended(struct nat_discovery *discovery, const struct stun_client *client);
static void try_filter(struct nat_discovery *discovery, const struct stun_client *client);
static enum classify_probe probe_of(const struct stun_client *client);

void nat_discover(struct nat *nat)
{
    const struct nat_config *config = nat->config;
    struct nat_work *work = has_servers(config) ? nat_work_of(nat) : NULL;
    if (work == NULL || nat->is_stopping) {
        return;
    }
    struct nat_discovery *discovery = work->discovery;
    uint64_t now_us = core_now(nat->core);
    if (discovery == NULL) {
        discovery = arena_alloc(&nat->core->arena, ARENA_NAT, sizeof *discovery);
    } else if (now_us - discovery->begun_us < AGAIN_US) {
        return;
    } else {
        timer_stop(&nat->core->timers, &discovery->timer);
    }
    if (discovery == NULL) {
        return;
    }
    *discovery = (struct nat_discovery){.nat = nat, .begun_us = now_us};
    work->discovery = discovery;
    for (uint32_t i = 0; i < config->stun_count; i++) {
        add(discovery, &(struct stun_client_options){.server = config->stun[i]});
    }
    go_on(discovery);
}

void nat_discover_stop(struct nat *nat)
{
    if (nat->work != NULL && nat->work->discovery != NULL) {
        timer_stop(&nat->core->timers, &nat->work->discovery->timer);
    }
}

/* A lookup that an earlier discovery has begun has found the same. */
void nat_on_resolved(struct nat *nat, uint32_t ticket, int status, const struct port_addr *addr)
{
    struct nat_discovery *discovery = nat->work != NULL ? nat->work->discovery : NULL;
    must(discovery != NULL && ticket < nat->config->stun_name_count);
    struct nat_name *name = &discovery->names[ticket];
    if (nat->is_stopping || name->state == NAT_NAME_KNOWN) {
        return;
    }
    if (status == ERR_OK) {
        *name = (struct nat_name){.state = NAT_NAME_KNOWN};
        add(discovery, &(struct stun_client_options){.server = *addr});
    } else {
        name_failed(discovery, name);
    }
    go_on(discovery);
}

bool nat_discover_hear(struct nat *nat, int path, const struct port_addr *from, struct slice bytes)
{
    bool is_ours = has_servers(nat->config) || nat->config->is_stun_server;
    if (!is_ours || path != PORT_MAIN_PATH || !stun_is_message(bytes)) {
        return false;
    }
    struct counters *counters = &nat->core->counters;
    count(counters, COUNT_DATAGRAMS_IN);
    count_by(counters, COUNT_BYTES_IN, (uint32_t)bytes.len);
    struct nat_discovery *discovery = nat->work != NULL ? nat->work->discovery : NULL;
    for (uint32_t i = 0; discovery != NULL && i < discovery->count; i++) {
        struct stun_client *client = &discovery->clients[i];
        if (stun_client_hear(client, core_now(nat->core), from, bytes)) {
            nat->counts.stun_heard++;
            on_ended(discovery, client);
            go_on(discovery);
            return true;
        }
    }
    if (nat->config->is_stun_server && !nat->is_stopping) {
        nat_stun_answer(nat, 0, from, bytes);
    }
    return true;
}

static bool has_servers(const struct nat_config *config)
{
    return config->stun_count + config->stun_name_count > 0;
}

static void add(struct nat_discovery *discovery, const struct stun_client_options *options)
{
    struct port *port = discovery->nat->core->port;
    struct stun_id id;
    if (discovery->count < NAT_QUESTIONS_MAX) {
        port->ops->entropy(port, &id, sizeof id);
        stun_client_start(&discovery->clients[discovery->count++], options, &id, port->now_us);
    }
}

/* Does what is due, and waits for what is next. Names that are nowhere hold nothing up. */
static void go_on(struct nat_discovery *discovery)
{
    struct timerq *timers = &discovery->nat->core->timers;
    uint64_t now_us = core_now(discovery->nat->core);
    uint64_t names_us = look_up_due(discovery);
    uint64_t next_us = ask_due(discovery);
    if (next_us == PORT_NEVER && discovery->is_filtering) {
        try_mapping(discovery);
        next_us = ask_due(discovery);
    }
    next_us = names_us < next_us ? names_us : next_us;
    timer_stop(timers, &discovery->timer);
    if (next_us != PORT_NEVER) {
        timer_start(timers, &discovery->timer, next_us > now_us ? next_us - now_us : 0, on_timer);
    }
}

/* Returns when the next one is. */
static uint64_t look_up_due(struct nat_discovery *discovery)
{
    const struct nat_config *config = discovery->nat->config;
    struct port *port = discovery->nat->core->port;
    uint64_t next_us = PORT_NEVER;
    for (uint32_t i = 0; i < config->stun_name_count; i++) {
        struct nat_name *name = &discovery->names[i];
        if (name->state == NAT_NAME_WAITING && name->due_us <= core_now(discovery->nat->core)) {
            name->state = NAT_NAME_ASKED;
            if (port->ops->resolve(port, config->stun_names[i], i) != ERR_OK) {
                name_failed(discovery, name);
            }
        }
        if (name->state == NAT_NAME_WAITING && name->due_us < next_us) {
            next_us = name->due_us;
        }
    }
    return next_us;
}

static void name_failed(const struct nat_discovery *discovery, struct nat_name *name)
{
    uint32_t doublings = name->failures < NAME_WAITS ? name->failures : NAME_WAITS;
    name->state = NAT_NAME_WAITING;
    name->due_us = core_now(discovery->nat->core) + (NAME_WAIT_US << doublings);
    name->failures++;
}

/* Sends what is due, and returns when the next is. */
static uint64_t ask_due(struct nat_discovery *discovery)
{
    struct core *core = discovery->nat->core;
    uint64_t now_us = core_now(core);
    uint64_t next_us = PORT_NEVER;
    for (uint32_t i = 0; i < discovery->count; i++) {
        struct stun_client *client = &discovery->clients[i];
        uint8_t bytes[STUN_REQUEST_MAX];
        if (stun_client_next_us(client) <= now_us) {
            note_miss(discovery, client);
        }
        size_t len = stun_client_ask(client, now_us, bytes);
        if (len > 0) {
            count(&core->counters, COUNT_DATAGRAMS_OUT);
            count_by(&core->counters, COUNT_BYTES_OUT, (uint32_t)len);
            nat_sent(discovery->nat, &client->options.server);
            (void)core->port->ops->send(core->port, PORT_MAIN_PATH, &client->options.server,
                                        slice_of(bytes, len), (struct port_send_flags){0});
        }
        uint64_t due_us = stun_client_next_us(client);
        next_us = due_us < next_us ? due_us : next_us;
    }
    return next_us;
}

static void on_timer(struct timer *timer)
{
    go_on(container_of(timer, struct nat_discovery, timer));
}

/* A server that has named its other address sends from there when it is asked to. */
static void note_miss(const struct nat_discovery *discovery, const struct stun_client *client)
{
    if (client->options.change != 0 && client->sent > 0) {
        classify_probed(&discovery->nat->work->classify, probe_of(client), false);
    }
}

/* At one moment, for sights that are far apart in time contradict nothing: of the address that was
 * asked before, of the other one, and of another port of that. */
static void try_mapping(struct nat_discovery *discovery)
{
    struct port_addr third = discovery->other;
    memcpy(third.port, discovery->server.port, sizeof third.port);
    discovery->is_filtering = false;
    discovery->count = 0;
    add(discovery, &(struct stun_client_options){.server = discovery->server});
    add(discovery, &(struct stun_client_options){.server = third});
    add(discovery, &(struct stun_client_options){.server = discovery->other});
}

static void on_ended(struct nat_discovery *discovery, const struct stun_client *client)
{
    struct nat *nat = discovery->nat;
    const struct stun_result *result = &client->result;
    if (client->state != STUN_ANSWERED) {
        return;
    }
    if (client->options.change != 0) {
        classify_probed(&nat->work->classify, probe_of(client), true);
        return;
    }
    if (result->has_mapped) {
        nat_observe(nat, &client->options.server, PORT_MAIN_PATH, &result->mapped, client->sent_us);
    }
    if (result->has_other && !discovery->has_other) {
        try_filter(discovery, client);
    }
}

static void try_filter(struct nat_discovery *discovery, const struct stun_client *client)
{
    struct stun_client_options options = {
        .server = client->options.server, .other = client->result.other, .rto_us = FILTER_RTO_US};
    discovery->server = options.server;
    discovery->other = options.other;
    discovery->has_other = true;
    discovery->is_filtering = true;
    options.change = STUN_CHANGE_IP | STUN_CHANGE_PORT;
    add(discovery, &options);
    options.change = STUN_CHANGE_PORT;
    add(discovery, &options);
}

static enum classify_probe probe_of(const struct stun_client *client)
{
    bool is_elsewhere = (client->options.change & STUN_CHANGE_IP) != 0;
    return is_elsewhere ? CLASSIFY_OTHER_ADDRESS : CLASSIFY_OTHER_PORT;
}
