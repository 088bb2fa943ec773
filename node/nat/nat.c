/* nat.c - the module's door: what it is, what it watches, and what it remembers. */
#include "node/nat/nat.h"

#include <string.h>

#include "node/base/must.h"
#include "node/nat/nat_parts.h"

enum {
    TICK_US = 1000000,
    IDLE_TICK_US = 5000000, /* While nothing is under way. */
    FRESH_US = 20000000, /* Below the 30 s that the most impatient boxes keep (Linux: unreplied). */
    RESERVATIONS_FIRST = 4,
};

static void on_tick(struct timer *timer);
static bool is_busy(const struct nat_work *work);
static bool load_served(struct core *core);
static void remember_served(struct nat *nat);

static const char served_key[] = "nat.served";

int nat_init(struct nat *nat, struct core *core, const struct nat_config *config,
             const struct identity *identity, struct transport *transport,
             const struct nat_hooks *hooks)
{
    must(hooks->sample != NULL && hooks->presence != NULL && hooks->serving != NULL);
    if (config->relays_wanted < 1 || config->relays_wanted > PRESENCE_RELAYS_MAX ||
        config->stun_count + config->stun_name_count > NAT_STUN_MAX) {
        return ERR_INVALID;
    }
    *nat = (struct nat){.core = core,
                        .config = config,
                        .identity = identity,
                        .transport = transport,
                        .hooks = *hooks,
                        .is_server = config->reach == NAT_REACH_PUBLIC,
                        .is_checked = config->reach != NAT_REACH_AUTO};
    if (config->reach == NAT_REACH_AUTO) {
        nat->is_server = nat->has_served = load_served(core);
    }
    transport_set_client(transport, !nat->is_server);
    return ERR_OK;
}

bool nat_start(struct nat *nat)
{
    bool is_asking = nat_map_start(nat);
    nat_stun_open(nat);
    nat_discover(nat);
    return is_asking;
}

void nat_stop(struct nat *nat)
{
    nat->is_stopping = true;
    struct nat_work *work = nat->work;
    if (work == NULL) {
        return;
    }
    struct port *port = nat->core->port;
    timer_stop(&nat->core->timers, &work->tick);
    timer_stop(&nat->core->timers, &work->check);
    nat_map_drop(nat);
    nat_discover_stop(nat);
    nat_stun_close(nat);
    nat_links_drop(nat);
    nat_streams_close(nat);
    for (uint16_t place = 0; place < work->attempts.made; place++) {
        struct nat_attempt *attempt = pool_peek(&work->attempts, place);
        if (attempt != NULL && attempt->done != NULL) {
            nat_connect_fn done = attempt->done;
            attempt->done = NULL;
            done(attempt->owner, attempt->tag, ERR_STOPPED, PORT_INTERN_NONE, NAT_STEP_NONE);
        }
    }
    for (uint16_t place = 0; place < work->punches.made; place++) {
        struct nat_punch *punch = pool_peek(&work->punches, place);
        if (punch != NULL && punch->state != NAT_PUNCH_FREE) {
            timer_stop(&nat->core->timers, &punch->timer);
        }
    }
    for (uint16_t place = 0; place < work->dials.made; place++) {
        struct nat_dial *dial = pool_peek(&work->dials, place);
        if (dial != NULL && dial->is_used) {
            timer_stop(&nat->core->timers, &dial->timer);
            port->ops->intern_release(port, dial->from.peer);
        }
    }
}

void nat_on_joined(struct nat *nat, bool is_first)
{
    if (nat->is_stopping) {
        return;
    }
    if (nat->config->reach == NAT_REACH_AUTO && is_first && !nat->is_udp_blocked) {
        nat_become(nat, true); /* Who begins a network is whom others come to. */
    } else if (nat->config->reach == NAT_REACH_AUTO) {
        nat_reach_start(nat);
    } else if (!nat->is_server) {
        nat_watch(nat);
    }
}

void nat_on_met(struct nat *nat)
{
    if (nat->config->reach == NAT_REACH_CLIENT && !nat->is_stopping) {
        nat_watch(nat);
    }
}

void nat_become(struct nat *nat, bool is_server)
{
    bool is_news = nat->is_server != is_server;
    nat->is_checked = true;
    nat->is_server = is_server;
    if (is_news) {
        transport_set_client(nat->transport, !is_server);
        nat->hooks.serving(nat->hooks.arg, is_server);
    }
    remember_served(nat);
    if (!is_server) {
        nat_watch(nat);
        nat_map_check(nat);
    } else if (nat->work != NULL) {
        nat_links_drop(nat);
    }
}

/* When a whole network comes back at once, those that served have to be there for each other: asked
 * whether they still can be reached they are as soon as there is somebody to ask. */
static bool load_served(struct core *core)
{
    uint8_t value;
    size_t len;
    return core->port->ops->store_get(core->port, slice_of(served_key, sizeof served_key - 1),
                                      &value, sizeof value, &len) == ERR_OK;
}

static void remember_served(struct nat *nat)
{
    struct port *port = nat->core->port;
    const struct slice key = slice_of(served_key, sizeof served_key - 1);
    if (nat->config->reach != NAT_REACH_AUTO || nat->has_served == nat->is_server) {
        return;
    }
    uint64_t ticket;
    uint8_t yes = 1;
    int status = nat->is_server ? port->ops->store_put(port, key, slice_of(&yes, sizeof yes))
                                : port->ops->store_del(port, key);
    if (status == ERR_OK && core_commit(nat->core, &ticket) == ERR_OK) {
        nat->has_served = nat->is_server;
    }
}

void nat_observe(struct nat *nat, const struct port_addr *peer, uint16_t path,
                 const struct port_addr *observed, uint64_t asked_us)
{
    struct nat_work *work = nat_work_of(nat);
    if (path == PORT_MAIN_PATH && nat_map_is_older(nat, peer)) {
        return;
    }
    if (work != NULL) {
        struct reader port = reader_of(slice_of(observed->port, sizeof observed->port));
        struct classify_sight sight = {
            .remote = *peer, .mapped = *observed, .path = path, .asked_us = asked_us};
        if (path == PORT_MAIN_PATH) {
            sight.local = nat_local(nat, observed);
        }
        if (path == PORT_MAIN_PATH) {
            classify_saw(&work->classify, &sight);
        } else {
            /* A socket opened for this: what it got says how ports are given out, and where that
             * stands. */
            classify_saw(&work->ports, &sight);
            work->port_newest = read_u16(&port);
        }
    }
    if (path != PORT_MAIN_PATH) {
        return;
    }
    bool is_news = !nat->has_observed || !port_addr_equal(&nat->observed, observed);
    if (is_news && nat->has_observed && nat->work != NULL) {
        /* Another network, or another mapping: what did not work there may work here. */
        for (uint16_t place = 0; place < nat->work->trails.made; place++) {
            struct nat_trail *trail = pool_peek(&nat->work->trails, place);
            if (trail != NULL && trail->touched_us != 0) {
                trail->attempts = trail->doublings = 0;
                trail->again_us = 0;
            }
        }
    }
    bool has_moved =
        nat->has_observed && memcmp(nat->observed.ip, observed->ip, sizeof observed->ip) != 0;
    nat->observed = *observed;
    nat->has_observed = true;
    if (has_moved) {
        nat_discover(nat);
    }
}

struct port_addr nat_local(const struct nat *nat, const struct port_addr *observed)
{
    struct port_addr local = nat->core->port->local;
    for (uint32_t i = 0; nat_is_any(nat) && i < nat->config->own_count; i++) {
        if (memcmp(nat->config->own[i].ip, observed->ip, sizeof observed->ip) == 0) {
            memcpy(local.ip, observed->ip, sizeof local.ip);
        }
    }
    return local;
}

bool nat_is_any(const struct nat *nat)
{
    static const uint8_t any_v6[16];
    static const uint8_t any_v4[16] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *ip = nat->core->port->local.ip;
    return memcmp(ip, any_v6, sizeof any_v6) == 0 || memcmp(ip, any_v4, sizeof any_v4) == 0;
}

bool nat_on_datagram(struct nat *nat, int path, const struct port_addr *from, struct slice bytes)
{
    return nat_map_hear(nat, path, from, bytes) || nat_discover_hear(nat, path, from, bytes) ||
           nat_stun_hear(nat, path, from, bytes);
}

bool nat_is_fresh(const struct nat *nat, const struct transport_session *session)
{
    return !session->is_client || core_now(nat->core) - session->heard_us < FRESH_US;
}

bool nat_proved(struct nat *nat, uint32_t session, const struct transport_way *way,
                const struct port_addr *observed)
{
    if (nat->work == NULL || nat->is_stopping) {
        return true;
    }
    nat_carrier_proved(nat, way);
    if (!nat_reach_proved(nat, session, way) || !nat_keep_proved(nat, session, way, observed)) {
        return false;
    }
    struct transport_session found;
    /* Only a server sees us as strangers would. */
    bool is_stream = nat_is_stream(nat, way->path) || nat_meet_of(nat, way->path) != NULL;
    if (observed != NULL && !transport_is_relayed(observed) && !is_stream &&
        transport_session_at(nat->transport, session, &found) && !found.is_client) {
        uint64_t now_us = core_now(nat->core);
        /* Sockets that asked in one moment did so in the order of their numbers. */
        nat_observe(nat, &way->addr, way->path, observed,
                    (now_us > found.rtt_us ? now_us - found.rtt_us : 0) + way->path);
    }
    nat_links_proved(nat, session, way, observed);
    return nat_punch_proved(nat, session, way, observed);
}

void nat_class_of(const struct nat *nat, struct nat_class *class)
{
    *class = (struct nat_class){0};
    const struct nat_work *work = nat->work;
    if (work == NULL) {
        return;
    }
    classify_result(&work->classify, class);
    struct nat_class ports;
    classify_result(&work->ports, &ports);
    if (class->is_dependent && ports.assignment != NAT_ASSIGNMENT_UNKNOWN) {
        class->assignment = ports.assignment;
        class->assignment_permille = ports.assignment_permille;
        class->step = ports.step;
        class->port_last = work->port_newest;
    }
}

void nat_path_keep(struct nat *nat, uint32_t session, uint16_t path)
{
    struct port *port = nat->core->port;
    for (uint32_t i = 0; i < NAT_KEPT_MAX; i++) {
        if (nat->work->kept[i].path == PORT_MAIN_PATH) {
            nat->work->kept[i].session = session;
            nat->work->kept[i].path = path;
            nat_watch(nat);
            return;
        }
    }
    port->ops->path_close(port, path); /* The session will find another way. */
}

bool nat_path_lost(struct nat *nat, int path)
{
    for (uint32_t i = 0; i < NAT_KEPT_MAX; i++) {
        if (path != PORT_MAIN_PATH && nat->work->kept[i].path == path) {
            nat->core->port->ops->path_close(nat->core->port, path);
            nat->work->kept[i].path = PORT_MAIN_PATH;
            return true;
        }
    }
    return false;
}

void nat_paths_tick(struct nat *nat)
{
    struct port *port = nat->core->port;
    for (uint32_t i = 0; i < NAT_KEPT_MAX; i++) {
        struct transport_session session;
        uint16_t path = nat->work->kept[i].path;
        if (path != PORT_MAIN_PATH &&
            !(transport_session_at(nat->transport, nat->work->kept[i].session, &session) &&
              session.path == path)) {
            port->ops->path_close(port, path);
            nat->work->kept[i].path = PORT_MAIN_PATH;
        }
    }
}

struct nat_work *nat_work_of(struct nat *nat)
{
    if (nat->work != NULL) {
        return nat->work;
    }
    struct arena *arena = &nat->core->arena;
    const struct nat_config *config = nat->config;
    struct nat_work *work = arena_alloc(arena, ARENA_NAT, sizeof *work);
    if (work == NULL) {
        return NULL;
    }
    struct {
        struct pool *pool;
        uint32_t bytes;
        uint16_t first;
        uint16_t max;
    } pools[] = {
        {&work->dials, sizeof(struct nat_dial), 1, NAT_DIALS_MAX},
        {&work->ends, sizeof(struct nat_end), 2, NAT_ENDS_MAX},
        {&work->attempts, sizeof(struct nat_attempt), 1, NAT_ATTEMPTS_MAX},
        {&work->punches, sizeof(struct nat_punch), 1, NAT_PUNCHES_MAX},
        {&work->reservations, sizeof(struct nat_reservation), RESERVATIONS_FIRST,
         config->reservations_max},
        {&work->crossings, sizeof(struct nat_crossing), 2, config->circuits_max},
        {&work->trails, sizeof(struct nat_trail), 2, NAT_TRAILS_MAX},
    };
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        if (pool_init(pools[i].pool, arena, ARENA_NAT, pools[i].bytes, pools[i].first,
                      pools[i].max) != ERR_OK) {
            return NULL;
        }
    }
    work->owner = nat;
    classify_start(&work->classify);
    classify_start(&work->ports);
    nat->work = work;
    return work;
}

void nat_watch(struct nat *nat)
{
    struct nat_work *work = nat_work_of(nat);
    if (work != NULL) {
        bool is_watching = timer_is_running(&work->tick);
        nat_watch_by(nat, core_now(nat->core) + (is_watching ? TICK_US : 0));
    }
}

static void on_tick(struct timer *timer)
{
    struct nat_work *work = container_of(timer, struct nat_work, tick);
    struct nat *nat = work->owner;
    nat_links_tick(nat);
    nat_map_tick(nat);
    nat_relay_tick(nat);
    nat_pulses_tick(nat);
    nat_paths_tick(nat);
    nat_carrier_tick(nat);
    bool is_due_soon = is_busy(work);
    if (!nat->is_server || is_due_soon || work->ends.count + work->reservations.count > 0) {
        uint64_t now_us = core_now(nat->core);
        uint64_t links_us = nat->is_server ? PORT_NEVER : nat_links_next_us(nat);
        uint64_t due_us = now_us + (is_due_soon ? TICK_US : IDLE_TICK_US);
        due_us = links_us < due_us ? links_us : due_us;
        nat_watch_by(nat, due_us > now_us ? due_us : now_us + TICK_US);
    }
}

void nat_watch_by(struct nat *nat, uint64_t due_us)
{
    struct timer *tick = &nat->work->tick;
    if (!nat->is_stopping && (!timer_is_running(tick) || due_us < tick->due_us)) {
        timer_start(&nat->core->timers, tick, due_us - core_now(nat->core), on_tick);
    }
}

/* Something is under way that a second decides of. */
static bool is_busy(const struct nat_work *work)
{
    bool is_busy = work->crossings.count > 0;
    for (uint32_t i = 0; i < NAT_PULSES_MAX; i++) {
        is_busy |= work->pulses[i].session != 0;
    }
    for (uint32_t i = 0; i < NAT_KEPT_MAX; i++) {
        is_busy |= work->kept[i].path != PORT_MAIN_PATH;
    }
    return is_busy;
}

uint32_t nat_session_with(const struct nat *nat, uint32_t session, const struct node_id *id)
{
    struct transport_session found;
    if (session != 0 && transport_session_at(nat->transport, session, &found) &&
        node_id_equal(&contact_at(nat->core->port, found.peer)->id, id)) {
        return session;
    }
    return transport_session_of(nat->transport, id, &found) ? found.index : 0;
}

struct nat_trail *nat_trail_get(struct nat *nat, const struct node_id *id)
{
    struct nat_work *work = nat_work_of(nat);
    if (work == NULL) {
        return NULL;
    }
    struct nat_trail *oldest = NULL;
    for (uint16_t place = 0; place < work->trails.made; place++) {
        struct nat_trail *trail = pool_peek(&work->trails, place);
        if (trail == NULL || trail->touched_us == 0) {
            continue;
        }
        if (node_id_equal(&trail->id, id)) {
            trail->touched_us = core_now(nat->core);
            return trail;
        }
        oldest = oldest == NULL || trail->touched_us < oldest->touched_us ? trail : oldest;
    }
    uint16_t index;
    struct nat_trail *trail = pool_get(&work->trails, &index);
    trail = trail != NULL ? trail : oldest;
    if (trail != NULL) {
        *trail = (struct nat_trail){.id = *id, .touched_us = core_now(nat->core)};
    }
    return trail;
}

/* Whoever has no dealings with clients yet does not begin to remember for this. */
void nat_on_absent(struct nat *nat, const struct node_id *id)
{
    struct nat_trail *trail = nat->work != NULL ? nat_trail_get(nat, id) : NULL;
    if (trail != NULL) {
        trail->way = NAT_WAY_NONE;
        trail->step = NAT_STEP_NO_PRESENCE;
    }
}

bool nat_trail_of(const struct nat *nat, const struct node_id *id, struct nat_trail *trail)
{
    for (uint16_t place = 0; nat->work != NULL && place < nat->work->trails.made; place++) {
        const struct nat_trail *found = pool_peek(&nat->work->trails, place);
        if (found != NULL && found->touched_us != 0 && node_id_equal(&found->id, id)) {
            *trail = *found;
            return true;
        }
    }
    return false;
}

const char *nat_step_text(enum nat_step step)
{
    static const char *const texts[NAT_STEP_COUNT] = {
#define NAT_STEP_TEXT(name, text, help) [NAT_STEP_##name] = (text),
        NAT_STEPS(NAT_STEP_TEXT)
#undef NAT_STEP_TEXT
    };
    must(step < NAT_STEP_COUNT);
    return texts[step];
}

const char *nat_step_help(enum nat_step step)
{
    static const char *const texts[NAT_STEP_COUNT] = {
#define NAT_STEP_HELP(name, text, help) [NAT_STEP_##name] = (help),
        NAT_STEPS(NAT_STEP_HELP)
#undef NAT_STEP_HELP
    };
    must(step < NAT_STEP_COUNT);
    return texts[step];
}

const char *nat_way_text(enum nat_way way)
{
    static const char *const texts[] = {[NAT_WAY_NONE] = "none",
                                        [NAT_WAY_DIRECT] = "direct",
                                        [NAT_WAY_PUNCHED] = "punched",
                                        [NAT_WAY_RELAYED] = "relayed"};
    must(way <= NAT_WAY_RELAYED);
    return texts[way];
}

uint32_t nat_reservation_count(const struct nat *nat)
{
    return nat->work != NULL ? nat->work->reservations.count : 0;
}

uint32_t nat_circuit_count(const struct nat *nat)
{
    return nat->work != NULL ? nat->work->crossings.count : 0;
}

uint32_t nat_relay_count(const struct nat *nat)
{
    uint32_t live = 0;
    for (uint32_t i = 0; nat->work != NULL && i < PRESENCE_RELAYS_MAX; i++) {
        live += nat->work->links[i].state == NAT_LINK_LIVE;
    }
    return live;
}

const char *nat_check(const struct nat *nat)
{
    if (nat->transport->is_client == nat->is_server) {
        return "handshakes say of us what is not so";
    }
    const struct nat_work *work = nat->work;
    for (uint16_t place = 0; work != NULL && place < work->crossings.made; place++) {
        const struct nat_crossing *crossing = pool_peek(&work->crossings, place);
        if (crossing != NULL && crossing->number != 0 &&
            crossing->bytes_left > nat->config->circuit_bytes) {
            return "a circuit has more bytes left than it began with";
        }
    }
    return NULL;
}
