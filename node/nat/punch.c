/* punch.c - from a circuit to a path of one's own: both sides send at the same moment.
 *
 *      caller  PUNCH(candidates) -----------------------> client      over the circuit
 *              <------------------------ PUNCHING(candidates)         RTT measured
 *              PUNCH_GO, openers ----------------------->  openers, probes
 *              RTT / 2 later: probes
 *
 * An opener is a probe with a low TTL: it opens our own box for the peer and dies before the peer's
 * box sees it. So when the first real probe arrives there is a mapping for it, and no box has taken
 * an early stranger for a session of its own (docs/modules/nat.md).
 *
 * Who is behind a box that gives out ports one after the other first has a relay tell which one an
 * extra socket got, and names those that come next.
 */
#include <string.h>

#include "node/base/must.h"
#include "node/nat/nat_parts.h"
#include "node/transport/packet.h"

enum {
    ROUND_MIN_US = 50000, /* RFC 8445's Ta, between two probes of everything. */
    READY_US = 10000000,  /* A client waits so long for PUNCH_GO. */
    MEASURE_US = 1000000, /* For a relay's answer. */
    PUNCH_MS = 4000,      /* The other side may measure too. */
    CIRCUIT_US = 2000000, /* So long a session stays on the circuit that it has moved to. */
    PREDICTED_MAX = 4,    /* The next port, and room for what others behind the box open. */
    DOUBLINGS_MAX = 5,
    MEET_MEASURE_US = 2500000, /* For a stream to come up and the answer to a probe. */
    MEET_ROUND_US = 500000,    /* Between calls to who has refused; TCP repeats others by itself. */
};

_Static_assert(MESSAGE_PROBE_LEN + PACKET_DATA_OVERHEAD == PUNCH_PROBE_LEN,
               "that is what it costs");
_Static_assert(PUNCH_PROBES_MAX *PUNCH_PROBE_LEN + PACKET_DATA_OVERHEAD <= MESSAGE_RELAYED_MAX,
               "the longest goes over a circuit");

static struct nat_punch *punch_with(const struct nat *nat, const struct node_id *id);
static void restart(struct nat_punch *punch, enum nat_punch_kind kind);
static struct nat_punch *punch_open(struct nat *nat, uint32_t session, const struct node_id *id);
static void begin(struct nat_punch *punch);
static bool measure(struct nat_punch *punch);
static void on_measured(struct nat_punch *punch);
static void gather(const struct nat_punch *punch, struct message_punch *side);
static void gather_own(const struct nat *nat, struct message_punch *side);
static void predict(const struct nat *nat, const struct nat_class *class,
                    struct message_punch *side);
static void take(struct nat_punch *punch, const struct message_punch *side);
static void on_punching(void *owner, const struct call_result *result);
static void go(struct nat_punch *punch, uint64_t delay_us);
static void on_timer(struct timer *timer);
static void next_round(struct nat_punch *punch);
static void fire(struct nat_punch *punch, uint8_t ttl);
static void call_end(struct nat_punch *punch);
static void release_from(struct nat_punch *punch);
static bool is_hard(uint8_t mapping);

void nat_punch_start(struct nat *nat, uint32_t peer)
{
    const struct node_id id = contact_at(nat->core->port, peer)->id;
    struct transport_session session;
    struct nat_trail *trail = nat_trail_get(nat, &id);
    bool is_able = !nat->is_udp_blocked || nat->config->has_stream_punching;
    if (!nat->config->has_punching || !is_able || nat->is_stopping || trail == NULL ||
        punch_with(nat, &id) != NULL || !transport_session_of(nat->transport, &id, &session)) {
        return;
    }
    if (core_now(nat->core) < trail->again_us) {
        trail->step = NAT_STEP_PUNCH_WAITING;
        return;
    }
    struct nat_punch *punch = punch_open(nat, session.index, &id);
    if (punch != NULL) {
        punch->is_caller = true;
        punch->kind = nat->is_udp_blocked ? NAT_PUNCH_STREAMS : NAT_PUNCH_PLAIN;
        nat->counts.punches_begun++;
        begin(punch);
    }
}

static void begin(struct nat_punch *punch)
{
    punch->state = NAT_PUNCH_MEASURING;
    if (!measure(punch)) {
        on_measured(punch);
    }
}

/* True when an answer is waited for. */
static bool measure(struct nat_punch *punch)
{
    struct nat *nat = punch->nat;
    struct port *port = nat->core->port;
    if (punch->kind == NAT_PUNCH_STREAMS) {
        timer_start(&nat->core->timers, &punch->timer, MEET_MEASURE_US, on_timer);
        return nat_meet_measure(punch);
    }
    struct nat_class class;
    nat_class_of(nat, &class);
    const struct nat_link *link = &nat->work->links[0];
    if (!nat->config->has_prediction || class.assignment != NAT_ASSIGNMENT_SEQUENTIAL ||
        !class.is_dependent || link->state != NAT_LINK_LIVE) {
        return false;
    }
    int path = port->ops->path_open(port, PORT_UDP, NULL, NULL);
    if (path <= 0) {
        return false;
    }
    struct transport_way way = {.addr = contact_at(port, link->peer)->addr, .path = (uint16_t)path};
    punch->path = (uint16_t)path;
    timer_start(&nat->core->timers, &punch->timer, MEASURE_US, on_timer);
    return transport_probe(nat->transport, link->session, &way) == ERR_OK;
}

/* Or not: then the candidates are what they are. */
static void on_measured(struct nat_punch *punch)
{
    struct nat *nat = punch->nat;
    struct port *port = nat->core->port;
    if (punch->path != PORT_MAIN_PATH && punch->kind != NAT_PUNCH_STREAMS) {
        port->ops->path_close(port, punch->path);
        punch->path = PORT_MAIN_PATH;
    }
    if (punch->is_caller && punch->kind == NAT_PUNCH_STREAMS && !punch->is_seen) {
        nat_punch_fail(punch, NAT_STEP_NO_CANDIDATES);
        return;
    }
    if (punch->is_caller) {
        struct transport_session session;
        struct message request = {.kind = MESSAGE_PUNCH, .punch = {.round = punch->kind}};
        struct call_options options = {
            .done = on_punching, .owner = punch, .patience_ms = PUNCH_MS};
        gather(punch, &request.punch);
        punch->state = NAT_PUNCH_ASKING;
        timer_stop(&nat->core->timers, &punch->timer);
        bool is_there = transport_session_at(nat->transport, punch->session, &session);
        punch->rtt_us = is_there ? session.rtt_us : 0;
        int call = is_there ? transport_call(nat->transport, session.peer, &request, &options)
                            : ERR_UNREACHABLE;
        if (call < 0) {
            nat_punch_close(punch);
        } else {
            punch->call = (uint32_t)call;
        }
        return;
    }
    struct message answer = {.kind = MESSAGE_PUNCHING};
    answer.punching.side.round = punch->kind;
    gather(punch, &answer.punching.side);
    (void)transport_reply(nat->transport, &punch->from, &answer);
    release_from(punch);
    punch->state = NAT_PUNCH_READY;
    timer_start(&nat->core->timers, &punch->timer, READY_US, on_timer);
}

/* Where we may be reached: as the host sees itself, as others see us, as the next may. */
static void gather(const struct nat_punch *punch, struct message_punch *side)
{
    const struct nat *nat = punch->nat;
    struct nat_class class;
    nat_class_of(nat, &class);
    side->mapping = class.mapping == NAT_MAPPING_UNKNOWN && class.is_dependent
                        ? NAT_MAPPING_ADDRESS_AND_PORT_DEPENDENT
                        : class.mapping;
    side->filtering = class.filtering;
    side->count = 0;
    if (punch->kind == NAT_PUNCH_STREAMS) {
        nat_meet_gather(punch, side);
        return;
    }
    gather_own(nat, side);
    struct nat_map_view map;
    nat_map_of(nat, &map);
    if (map.state == NAT_MAP_GRANTED && !port_addr_equal(&nat->observed, &map.external)) {
        side->candidates[side->count++] =
            (struct candidate){.type = CANDIDATE_MAPPED, .addr = map.external};
    }
    const struct port_addr local = nat_local(nat, &nat->observed);
    if (nat->has_observed && !port_addr_equal(&nat->observed, &local)) {
        bool is_mapped = nat_map_is_external(nat, &nat->observed);
        side->candidates[side->count++] =
            (struct candidate){.type = is_mapped ? CANDIDATE_MAPPED : CANDIDATE_SERVER_REFLEXIVE,
                               .addr = nat->observed};
        predict(nat, &class, side);
    }
}

static void gather_own(const struct nat *nat, struct message_punch *side)
{
    const struct nat_config *config = nat->config;
    struct candidate own = {.type = CANDIDATE_HOST, .addr = nat->core->port->local};
    if (!nat_is_any(nat) || config->own_count == 0) {
        side->candidates[side->count++] = own;
        return;
    }
    for (uint32_t i = 0; i < config->own_count; i++) {
        memcpy(own.addr.ip, config->own[i].ip, sizeof own.addr.ip);
        side->candidates[side->count++] = own;
    }
}

static void predict(const struct nat *nat, const struct nat_class *class,
                    struct message_punch *side)
{
    uint16_t ports[PREDICTED_MAX];
    bool is_wanted = nat->config->has_prediction && class->is_dependent;
    size_t count = is_wanted ? nat_class_predict(class, ports, PREDICTED_MAX) : 0;
    for (size_t i = 0; i < count && side->count < PUNCH_CANDIDATES_MAX; i++) {
        struct candidate *candidate = &side->candidates[side->count++];
        *candidate = (struct candidate){.type = CANDIDATE_PREDICTED, .addr = nat->observed};
        struct writer writer = writer_of(candidate->addr.port, sizeof candidate->addr.port);
        write_u16(&writer, ports[i]);
    }
}

static void take(struct nat_punch *punch, const struct message_punch *side)
{
    punch->count = 0;
    punch->paid = message_punch_probes(side->count);
    punch->peer_mapping = side->mapping;
    for (uint32_t i = 0; i < side->count; i++) {
        if (!transport_is_relayed(&side->candidates[i].addr)) {
            punch->candidates[punch->count++] = side->candidates[i];
        }
    }
}

void nat_on_punch(struct nat *nat, const struct message_from *from,
                  const struct message_punch *request)
{
    const struct contact *caller = contact_at(nat->core->port, from->peer);
    /* Only over a circuit: elsewhere there is nothing to be gained by it, and by this rule nobody
     * has us write to addresses of its choice who could not write there itself. */
    bool is_punching = nat->config->has_punching && transport_is_relayed(&caller->addr);
    bool is_able = request->round == NAT_PUNCH_STREAMS ? nat->config->has_stream_punching
                                                       : !nat->is_udp_blocked;
    bool is_willing = is_punching && is_able;
    struct nat_punch *punch = is_willing ? punch_with(nat, &caller->id) : NULL;
    if (is_willing && punch == NULL) {
        punch = punch_open(nat, from->session, &caller->id);
    }
    if (punch == NULL) {
        struct message refusal = {.kind = MESSAGE_PUNCHING};
        /* By streams it may work. */
        bool has_hint = is_punching && nat->is_udp_blocked && nat->config->has_stream_punching;
        refusal.punching.side.round = has_hint ? NAT_PUNCH_STREAMS : NAT_PUNCH_PLAIN;
        (void)transport_reply(nat->transport, from, &refusal);
        return;
    }
    if (punch->state != NAT_PUNCH_FREE && punch->is_caller &&
        memcmp(&nat->identity->id, &caller->id, sizeof caller->id) < 0) {
        return; /* Both began: the lower id's goes on. */
    }
    bool is_again = punch->state == NAT_PUNCH_MEASURING && !punch->is_caller &&
                    punch->from.session == from->session && punch->from.call == from->call;
    if (is_again) {
        return; /* The answer is under way. */
    }
    call_end(punch);
    release_from(punch);
    nat->core->port->ops->intern_retain(nat->core->port, from->peer);
    punch->from = *from;
    punch->session = from->session;
    punch->is_caller = false;
    punch->is_won = false;
    restart(punch, request->round == NAT_PUNCH_MANY || request->round == NAT_PUNCH_STREAMS
                       ? (enum nat_punch_kind)request->round
                       : NAT_PUNCH_PLAIN);
    take(punch, request);
    begin(punch);
}

static void on_punching(void *owner, const struct call_result *result)
{
    struct nat_punch *punch = owner;
    struct nat *nat = punch->nat;
    if (result->outcome == CALL_SLOW) {
        return;
    }
    punch->call = 0;
    if (result->outcome == CALL_ANSWERED && punch->kind == NAT_PUNCH_PLAIN &&
        nat->config->has_stream_punching &&
        result->answer->punching.side.round == NAT_PUNCH_STREAMS) {
        restart(punch, NAT_PUNCH_STREAMS);
        begin(punch);
        return;
    }
    if (result->outcome != CALL_ANSWERED || result->answer->punching.side.count == 0) {
        nat_punch_fail(punch, result->outcome == CALL_ANSWERED ? NAT_STEP_NO_CANDIDATES
                                                               : NAT_STEP_PUNCH_REFUSED);
        return;
    }
    take(punch, &result->answer->punching.side);
    struct message word = {.kind = MESSAGE_PUNCH_GO, .punch_go = {.round = punch->kind}};
    (void)transport_note(nat->transport, punch->session, &word);
    /* The answer may have taken longer than the way, if ports were looked into there. */
    bool is_known = punch->rtt_us != 0 && punch->rtt_us < result->rtt_us;
    punch->rtt_us = is_known ? punch->rtt_us : result->rtt_us;
    go(punch, punch->rtt_us / 2);
}

void nat_on_punch_go(struct nat *nat, const struct message_from *from,
                     const struct message_punch_go *note)
{
    (void)note;
    struct nat_punch *punch = punch_with(nat, &contact_at(nat->core->port, from->peer)->id);
    if (punch != NULL && punch->state == NAT_PUNCH_READY) {
        go(punch, 0);
    }
}

static void go(struct nat_punch *punch, uint64_t delay_us)
{
    struct nat *nat = punch->nat;
    punch->go_us = core_now(nat->core);
    if (punch->kind == NAT_PUNCH_MANY) {
        punch->state = NAT_PUNCH_BIRTHDAY;
        if (!nat_birthday_start(punch)) {
            nat_punch_fail(punch, NAT_STEP_PUNCH_UNANSWERED);
        }
        return;
    }
    punch->state = NAT_PUNCH_FIRING;
    if (punch->paid >= 2 * punch->count) { /* Else a probe for each is worth more. */
        fire(punch, nat->config->opener_ttl);
    }
    timer_start(&nat->core->timers, &punch->timer, delay_us, on_timer);
}

static void on_timer(struct timer *timer)
{
    struct nat_punch *punch = container_of(timer, struct nat_punch, timer);
    switch ((enum nat_punch_state)punch->state) {
    case NAT_PUNCH_MEASURING:
        on_measured(punch);
        break;
    case NAT_PUNCH_FIRING:
        next_round(punch);
        break;
    case NAT_PUNCH_BIRTHDAY:
        nat_birthday_tick(punch);
        break;
    default:
        nat_punch_close(punch); /* PUNCH_GO never came. */
        break;
    }
}

static void next_round(struct nat_punch *punch)
{
    struct nat *nat = punch->nat;
    if (punch->round < nat->config->punch_rounds) {
        punch->round++;
        fire(punch, 0);
        uint64_t least_us = punch->kind == NAT_PUNCH_STREAMS ? MEET_ROUND_US : ROUND_MIN_US;
        uint64_t pause_us = punch->rtt_us / 2 > least_us ? punch->rtt_us / 2 : least_us;
        if (punch->kind == NAT_PUNCH_STREAMS && punch->is_caller) {
            /* Calls that passed each other by so much do not do so again. */
            pause_us += rng_below(&nat->core->rng, pause_us / 2);
        }
        /* The last round's probes are waited for as long as they can take. */
        bool is_last = punch->round == nat->config->punch_rounds;
        timer_start(&nat->core->timers, &punch->timer, is_last ? 4 * pause_us : pause_us, on_timer);
        return;
    }
    if (punch->kind == NAT_PUNCH_STREAMS) {
        nat_punch_fail(punch, NAT_STEP_PUNCH_UNANSWERED);
        return;
    }
    struct nat_class class;
    nat_class_of(nat, &class);
    bool is_own_hard = class.is_dependent;
    bool is_both = is_own_hard && is_hard(punch->peer_mapping);
    if (punch->is_caller && !punch->is_won && !is_both &&
        is_own_hard != is_hard(punch->peer_mapping) && nat->config->birthday_sockets > 0) {
        restart(punch, NAT_PUNCH_MANY);
        begin(punch);
        return;
    }
    nat_punch_fail(punch, is_both ? NAT_STEP_PUNCH_HARD : NAT_STEP_PUNCH_UNANSWERED);
}

static bool is_hard(uint8_t mapping)
{
    return mapping == NAT_MAPPING_ADDRESS_DEPENDENT ||
           mapping == NAT_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
}

/* No more than the message that named the candidates was long: they are the peer's word, and may be
 * somebody else's addresses. */
static void fire(struct nat_punch *punch, uint8_t ttl)
{
    struct nat *nat = punch->nat;
    if (punch->kind == NAT_PUNCH_STREAMS) {
        /* Both sides at the same time: the caller's openers would come too early. */
        if (ttl == 0) {
            nat_meet_fire(punch);
        }
        return;
    }
    for (uint32_t i = 0; i < punch->count && punch->paid > 0; i++) {
        punch->paid--;
        struct transport_way way = {.addr = punch->candidates[i].addr, .ttl = ttl};
        if (nat_may_probe(nat, &way.addr)) {
            (void)transport_probe(nat->transport, punch->session, &way);
        }
    }
}

/* A way to the peer of a session is proved. Relayed sessions take the first that is; a session that
 * is direct already stays where it is while its punch runs, and follows its peer otherwise. */
bool nat_punch_proved(struct nat *nat, uint32_t session, const struct transport_way *way,
                      const struct port_addr *observed)
{
    struct transport_session found;
    if (!transport_session_at(nat->transport, session, &found)) {
        return false;
    }
    for (uint16_t place = 0; way->path != PORT_MAIN_PATH && place < nat->work->punches.made;
         place++) {
        struct nat_punch *punch = pool_peek(&nat->work->punches, place);
        if (punch != NULL && punch->state == NAT_PUNCH_MEASURING && punch->path == way->path) {
            if (observed != NULL) {
                punch->seen = *observed;
                punch->is_seen = true;
                on_measured(punch);
            }
            return false;
        }
        if (punch != NULL && punch->kind == NAT_PUNCH_STREAMS && punch->path == way->path) {
            return false; /* Too late, but no reason to move the relay's session either. */
        }
    }
    const struct contact *contact = contact_at(nat->core->port, found.peer);
    if (port_addr_equal(&contact->addr, &way->addr) && found.path == way->path) {
        return true;
    }
    struct nat_punch *punch = punch_with(nat, &contact->id);
    struct nat_trail known;
    if (transport_is_relayed(&way->addr) && nat_trail_of(nat, &contact->id, &known) &&
        known.moved_us != 0 && core_now(nat->core) - known.moved_us < CIRCUIT_US) {
        return false; /* Both sides looked for a circuit: one is enough. */
    }
    if (punch == NULL) {
        /* Not to a socket that will soon be closed; to a circuit, which nobody takes without need.
         */
        return way->path == found.path || transport_is_relayed(&way->addr);
    }
    if (!transport_is_relayed(&contact->addr)) {
        return false;
    }
    struct nat_trail *trail = nat_trail_get(nat, &contact->id);
    if (trail != NULL) {
        *trail = (struct nat_trail){.id = contact->id,
                                    .way = NAT_WAY_PUNCHED,
                                    .rtt_us = punch->rtt_us,
                                    .punch_us = (uint32_t)(core_now(nat->core) - punch->go_us),
                                    .touched_us = core_now(nat->core)};
    }
    nat->counts.punches_won += punch->is_caller;
    nat->counts.birthdays_won += punch->is_caller && punch->kind == NAT_PUNCH_MANY;
    if (punch->kind == NAT_PUNCH_MANY) {
        nat_birthday_end(nat, way->path);
    }
    if (punch->kind == NAT_PUNCH_STREAMS) {
        nat_meet_end(punch, way->path);
    }
    if (way->path != PORT_MAIN_PATH && !nat_is_stream(nat, way->path)) {
        nat_path_keep(nat, session, way->path);
    }
    /* Kept until its rounds are over: other ways that prove themselves now change nothing. */
    punch->state = NAT_PUNCH_FIRING;
    restart(punch, NAT_PUNCH_PLAIN);
    punch->round = nat->config->punch_rounds;
    punch->count = 0;
    punch->is_won = true;
    timer_start(&nat->core->timers, &punch->timer, NAT_SECOND, on_timer);
    return true;
}

/* As another kind: what was found out for the last is of no use. */
static void restart(struct nat_punch *punch, enum nat_punch_kind kind)
{
    nat_meet_end(punch, PORT_MAIN_PATH);
    if (punch->path != PORT_MAIN_PATH) {
        punch->nat->core->port->ops->path_close(punch->nat->core->port, punch->path);
        punch->path = PORT_MAIN_PATH;
    }
    punch->kind = (uint8_t)kind;
    punch->round = 0;
    punch->is_seen = false;
}

bool nat_punch_on_path(struct nat *nat, int path, enum port_path_event event)
{
    struct nat_punch *punch = nat_meet_of(nat, path);
    if (punch == NULL) {
        return false;
    }
    if (event == PORT_PATH_REFUSED || event == PORT_PATH_CLOSED) {
        bool is_measuring = punch->path == path && punch->state == NAT_PUNCH_MEASURING;
        nat_meet_lose(punch, path);
        if (is_measuring) {
            on_measured(punch);
        }
    }
    return true;
}

static struct nat_punch *punch_with(const struct nat *nat, const struct node_id *id)
{
    for (uint16_t place = 0; nat->work != NULL && place < nat->work->punches.made; place++) {
        struct nat_punch *punch = pool_peek(&nat->work->punches, place);
        if (punch != NULL && punch->state != NAT_PUNCH_FREE && node_id_equal(&punch->id, id)) {
            return punch;
        }
    }
    return NULL;
}

static struct nat_punch *punch_open(struct nat *nat, uint32_t session, const struct node_id *id)
{
    struct nat_work *work = nat_work_of(nat);
    uint16_t index;
    struct nat_punch *punch = work != NULL ? pool_get(&work->punches, &index) : NULL;
    if (punch != NULL) {
        *punch = (struct nat_punch){.nat = nat, .session = session, .id = *id, .index = index};
    }
    return punch;
}

void nat_punch_close(struct nat_punch *punch)
{
    struct nat *nat = punch->nat;
    struct port *port = nat->core->port;
    if (nat->work->birthday != NULL && nat->work->birthday->punch == punch) {
        nat_birthday_end(nat, PORT_MAIN_PATH);
    }
    if (punch->path != PORT_MAIN_PATH) {
        port->ops->path_close(port, punch->path);
    }
    nat_meet_end(punch, PORT_MAIN_PATH);
    call_end(punch);
    release_from(punch);
    timer_stop(&nat->core->timers, &punch->timer);
    punch->state = NAT_PUNCH_FREE;
    pool_put(&nat->work->punches, punch->index);
}

/* Nobody hears of it any more: the punch may be the other's now, or be gone. */
static void call_end(struct nat_punch *punch)
{
    if (punch->call != 0) {
        transport_cancel(punch->nat->transport, punch->call);
        punch->call = 0;
    }
}

static void release_from(struct nat_punch *punch)
{
    struct port *port = punch->nat->core->port;
    if (punch->from.peer != PORT_INTERN_NONE) {
        port->ops->intern_release(port, punch->from.peer);
        punch->from.peer = PORT_INTERN_NONE;
    }
}

void nat_punch_fail(struct nat_punch *punch, enum nat_step step)
{
    struct nat *nat = punch->nat;
    struct nat_trail *trail =
        punch->is_caller && !punch->is_won ? nat_trail_get(nat, &punch->id) : NULL;
    if (trail != NULL) {
        trail->step = (uint8_t)step;
        trail->attempts++;
        if (trail->attempts >= nat->config->punch_attempts) {
            trail->again_us =
                core_now(nat->core) + (nat->config->punch_again_us << trail->doublings);
            trail->doublings = (uint8_t)(trail->doublings + (trail->doublings < DOUBLINGS_MAX));
            trail->attempts = 0;
        }
    }
    nat_punch_close(punch);
}
