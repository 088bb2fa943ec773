/* reach.c - whether we can be reached: asked of others, and found out for others. */
#include <string.h>

#include "node/base/must.h"
#include "node/nat/nat_parts.h"

enum {
    PORT_WAIT_US = 1500000, /* For an answer to what another port of ours has sent. */
    ASK_AGAIN_US = 5000000, /* When there was nobody to ask. */
    SAMPLE_MAX = 16,
    REFUSALS_MAX = 2, /* So many strangers could not reach us: nobody can. */
    /* Each waits a little longer than what it has others wait for. */
    PING_MS = 1000,
    DIAL_MS = 2000,
    REACH_MS = 4500,
    ROUNDS_MAX = 7, /* Doublings of ASK_AGAIN_US. */
    PORT_ASKS_MAX = CLASSIFY_MISSES_MIN,
};

static void ask(struct nat *nat);
static void on_check(struct timer *timer);
static uint32_t choose_asked(struct nat *nat);
static void on_reached(void *owner, const struct call_result *result);
static enum reached_status judge(struct nat *nat, enum reach_from from,
                                 const struct message_reached *reached);
static bool is_steady(const struct nat *nat);
static bool note_verdict(struct nat *nat, enum reach_from from, enum reached_status status);
static void begin_to_serve(struct nat *nat);
static void settle(struct nat *nat);
static struct nat_dial *dial_open(struct nat *nat, const struct message_from *from);
static void dial_close(struct nat_dial *dial, enum reached_status status);
static uint32_t choose_stranger(struct nat *nat, uint32_t asker);
static void on_dialled(void *owner, const struct call_result *result);
static bool dial_from_port(struct nat_dial *dial);
static void on_port_timeout(struct timer *timer);
static void on_dial_answer(void *owner, const struct call_result *result);

/* --- for ourselves ------------------------------------------------------------------------------
 */

void nat_reach_start(struct nat *nat)
{
    struct nat_work *work = nat_work_of(nat);
    if (work == NULL || work->is_asking || nat->is_stopping) {
        return;
    }
    bool is_doubted = nat->is_server && work->refusals < REFUSALS_MAX;
    work->asked_count = 0;
    work->refusals = is_doubted ? work->refusals : 0;
    work->port_asks = 0;
    work->is_reached = false;
    ask(nat);
}

void nat_reach_again(struct nat *nat)
{
    struct nat_work *work = nat_work_of(nat);
    if (work == NULL || nat->config->reach != NAT_REACH_AUTO) {
        return;
    }
    work->rounds = 0;
    work->is_outdated = work->is_asking;
    nat_reach_start(nat);
}

/* One after the other: each names another stranger, and none of them can lie us into the tables. */
static void ask(struct nat *nat)
{
    struct nat_work *work = nat->work;
    uint32_t peer = choose_asked(nat);
    if (peer == PORT_INTERN_NONE) {
        settle(nat);
        return;
    }
    bool is_judged = work->refusals >= REFUSALS_MAX; /* What is left is what the box lets in. */
    work->port_asks = (uint8_t)(work->port_asks + is_judged);
    uint8_t from = is_judged ? REACH_FROM_PORT : REACH_FROM_STRANGER;
    struct message request = {.kind = MESSAGE_REACH, .reach = {.from = from}};
    struct call_options options = {
        .done = on_reached, .owner = nat, .tag = from, .patience_ms = REACH_MS};
    int call = transport_call(nat->transport, peer, &request, &options);
    work->asked_us = core_now(nat->core);
    work->is_asking = call >= 0;
    if (call < 0) {
        timer_start(&nat->core->timers, &work->check, ASK_AGAIN_US, on_check);
    }
}

static void on_check(struct timer *timer)
{
    struct nat_work *work = container_of(timer, struct nat_work, check);
    nat_reach_start(work->owner);
}

/* A server that we have not asked yet in this round: one that our box knows already if there is
 * one, or may get to know at once. */
static uint32_t choose_asked(struct nat *nat)
{
    struct nat_work *work = nat->work;
    uint32_t peers[SAMPLE_MAX];
    uint32_t count = nat->hooks.sample(nat->hooks.arg, peers, SAMPLE_MAX);
    uint32_t chosen = PORT_INTERN_NONE;
    uint32_t best = 0;
    for (uint32_t i = 0; i < count && work->asked_count < NAT_ASKED_MAX; i++) {
        const struct port_addr *addr = &contact_at(nat->core->port, peers[i])->addr;
        uint64_t prefix = contact_prefix(nat->core->port, peers[i]);
        bool is_asked = false;
        for (uint32_t j = 0; j < work->asked_count; j++) {
            is_asked |= work->asked[j] == prefix;
        }
        uint32_t ease = 1u + nat_may_open(nat, addr) + (nat_flow_since(nat, addr) != 0);
        if (!is_asked && !nat_map_is_older(nat, addr) && ease > best) {
            best = ease;
            chosen = peers[i];
        }
    }
    if (chosen != PORT_INTERN_NONE) {
        work->asked[work->asked_count++] = contact_prefix(nat->core->port, chosen);
    }
    return chosen;
}

static void on_reached(void *owner, const struct call_result *result)
{
    struct nat *nat = owner;
    struct nat_work *work = nat->work;
    if (result->outcome == CALL_SLOW || nat->is_stopping) {
        return;
    }
    work->is_asking = false;
    if (work->is_outdated) {
        work->is_outdated = false;
        nat_reach_start(nat);
        return;
    }
    if (result->outcome == CALL_ANSWERED) {
        const struct message_reached *reached = &result->answer->reached;
        nat_observe(nat, &contact_at(nat->core->port, result->peer)->addr, PORT_MAIN_PATH,
                    &reached->observed, core_now(nat->core) - result->rtt_us);
        enum reach_from from = (enum reach_from)result->tag;
        if (note_verdict(nat, from, judge(nat, from, reached))) {
            return;
        }
    }
    if (work->refusals >= REFUSALS_MAX && work->port_asks >= PORT_ASKS_MAX) {
        settle(nat);
    } else {
        ask(nat);
    }
}

/* What the answer is worth. Whom we have written to before is no stranger: our box may be open to
 * it for that. Another port of the asked is none either, unless no box is in sight, or the router
 * has said that it lets in everybody where we are seen. */
static enum reached_status judge(struct nat *nat, enum reach_from from,
                                 const struct message_reached *reached)
{
    static const uint8_t none[16];
    const struct port_addr local = nat_local(nat, &reached->observed);
    if (from == REACH_FROM_PORT || reached->status != REACHED_YES) {
        return (enum reached_status)reached->status;
    }
    if (memcmp(none, reached->by.ip, sizeof none) != 0) {
        bool is_stranger =
            nat->is_server || nat_was_stranger(nat, &reached->by, nat->work->asked_us);
        return is_stranger ? REACHED_YES : REACHED_UNKNOWN;
    }
    classify_probed(&nat->work->classify, CLASSIFY_OTHER_PORT, true);
    bool is_bare = port_addr_equal(&reached->observed, &local) ||
                   nat_map_is_external(nat, &reached->observed) ||
                   (nat_is_any(nat) && classify_is_private(&reached->observed));
    return is_bare ? REACHED_YES : REACHED_UNKNOWN;
}

/* Whether a stranger finds us where the others do: not behind a box that maps by destination. Until
 * two have seen us nobody knows. */
static bool is_steady(const struct nat *nat)
{
    struct nat_class class;
    nat_class_of(nat, &class);
    const struct port_addr local = nat_local(nat, &nat->observed);
    if (nat_map_is_external(nat, &nat->observed)) {
        return true;
    }
    return !class.is_dependent &&
           (class.mapping != NAT_MAPPING_UNKNOWN || port_addr_equal(&nat->observed, &local));
}

/* True when nothing is left to be asked. */
static bool note_verdict(struct nat *nat, enum reach_from from, enum reached_status status)
{
    struct nat_work *work = nat->work;
    if (status == REACHED_UNKNOWN) {
        return false;
    }
    bool is_stranger = from == REACH_FROM_STRANGER;
    bool is_reached = status == REACHED_YES;
    classify_probed(&work->classify, is_stranger ? CLASSIFY_OTHER_ADDRESS : CLASSIFY_OTHER_PORT,
                    is_reached);
    if (is_stranger && is_reached) {
        work->is_reached = true;
        if (!is_steady(nat)) {
            return false;
        }
        begin_to_serve(nat);
        return true;
    }
    if (is_stranger && ++work->refusals == REFUSALS_MAX) {
        work->asked_count = 0;
        nat_become(nat, false);
    }
    if (!is_stranger && is_reached) {
        work->port_asks = PORT_ASKS_MAX;
    }
    return false;
}

static void begin_to_serve(struct nat *nat)
{
    nat->work->refusals = 0;
    nat->work->rounds = 0;
    nat_become(nat, true);
    nat_map_keep(nat);
    timer_start(&nat->core->timers, &nat->work->check, nat->config->recheck_us, on_check);
}

/* Nobody is left to ask, or enough have failed. Without a single verdict things stay as they are,
 * and who serves already does not stop for a single one: that may have been a lost datagram. */
static void settle(struct nat *nat)
{
    struct nat_work *work = nat->work;
    if (nat->is_server) {
        nat_map_keep(nat);
    }
    if (nat->is_server && work->refusals > 0 && work->refusals < REFUSALS_MAX) {
        timer_start(&nat->core->timers, &work->check, ASK_AGAIN_US, on_check);
        return;
    }
    struct nat_class class;
    nat_class_of(nat, &class);
    if (work->is_reached && work->refusals == 0 && !class.is_dependent) {
        begin_to_serve(nat); /* Only one has seen us: it will have to do. */
        return;
    }
    if (work->refusals > 0 || work->is_reached) {
        nat_become(nat, false);
    } else if (!nat->is_server) {
        nat_watch(nat); /* A client until it is known better: it needs relays meanwhile. */
    }
    bool is_known = work->refusals > 0 || work->is_reached;
    uint64_t again_us = (uint64_t)ASK_AGAIN_US << work->rounds;
    work->rounds = (uint8_t)(work->rounds + (work->rounds < ROUNDS_MAX));
    timer_start(&nat->core->timers, &work->check,
                is_known || again_us > nat->config->recheck_us ? nat->config->recheck_us : again_us,
                on_check);
}

/* --- for others ----------------------------------------------------------------------------------
 */

void nat_on_reach(struct nat *nat, const struct message_from *from,
                  const struct message_reach *request)
{
    struct nat_dial *dial = dial_open(nat, from);
    if (dial == NULL) {
        return; /* It asks somebody else. */
    }
    const struct port_addr *addr = &contact_at(nat->core->port, from->peer)->addr;
    if (!from->is_verified || transport_is_relayed(addr)) {
        dial_close(dial, REACHED_UNKNOWN);
        return;
    }
    uint32_t stranger =
        request->from == REACH_FROM_STRANGER ? choose_stranger(nat, from->peer) : PORT_INTERN_NONE;
    if (stranger == PORT_INTERN_NONE) {
        if (!dial_from_port(dial)) {
            dial_close(dial, REACHED_UNKNOWN);
        }
        return;
    }
    struct message order = {.kind = MESSAGE_DIAL, .dial = {.addr = *addr}};
    memcpy(order.dial.key, contact_at(nat->core->port, from->peer)->key, sizeof order.dial.key);
    dial->by = contact_at(nat->core->port, stranger)->addr;
    struct call_options options = {.done = on_dialled, .owner = dial, .patience_ms = DIAL_MS};
    if (transport_call(nat->transport, stranger, &order, &options) < 0) {
        dial_close(dial, REACHED_UNKNOWN);
    }
}

static struct nat_dial *dial_open(struct nat *nat, const struct message_from *from)
{
    struct nat_work *work = nat_work_of(nat);
    uint16_t index;
    struct nat_dial *dial = work != NULL ? pool_get(&work->dials, &index) : NULL;
    if (dial != NULL) {
        nat->core->port->ops->intern_retain(nat->core->port, from->peer);
        *dial = (struct nat_dial){.nat = nat, .from = *from, .index = index, .is_used = true};
    }
    return dial;
}

static void dial_close(struct nat_dial *dial, enum reached_status status)
{
    struct nat *nat = dial->nat;
    struct port *port = nat->core->port;
    if (dial->is_order) {
        struct message answer = {.kind = MESSAGE_DIALLED, .dialled = {.status = (uint8_t)status}};
        (void)transport_reply(nat->transport, &dial->from, &answer);
    } else {
        struct message answer = {.kind = MESSAGE_REACHED,
                                 .reached = {.status = (uint8_t)status,
                                             .observed = contact_at(port, dial->from.peer)->addr,
                                             .by = dial->by}};
        (void)transport_reply(nat->transport, &dial->from, &answer);
    }
    if (dial->path != PORT_MAIN_PATH) {
        port->ops->path_close(port, dial->path);
    }
    timer_stop(&nat->core->timers, &dial->timer);
    port->ops->intern_release(port, dial->from.peer);
    dial->is_used = false;
    pool_put(&nat->work->dials, dial->index);
}

/* A server of neither's address group: a box may let through what comes from a group it has seen.
 */
static uint32_t choose_stranger(struct nat *nat, uint32_t asker)
{
    const struct port *port = nat->core->port;
    uint32_t peers[SAMPLE_MAX];
    uint32_t count = nat->hooks.sample(nat->hooks.arg, peers, SAMPLE_MAX);
    uint64_t group = contact_addr_group(&contact_at(port, asker)->addr);
    for (uint32_t i = 0; i < count; i++) {
        const struct contact *contact = contact_at(port, peers[i]);
        if (!node_id_equal(&contact->id, &contact_at(port, asker)->id) &&
            contact_addr_group(&contact->addr) != group) {
            return peers[i];
        }
    }
    return PORT_INTERN_NONE;
}

static void on_dialled(void *owner, const struct call_result *result)
{
    struct nat_dial *dial = owner;
    if (result->outcome == CALL_SLOW) {
        return;
    }
    uint8_t status =
        result->outcome == CALL_ANSWERED ? result->answer->dialled.status : REACHED_UNKNOWN;
    if (status != REACHED_UNKNOWN || !dial_from_port(dial)) {
        dial_close(dial, status);
    }
}

/* A probe from a port that the asker has never written to: in a network so small that everybody has
 * met it, that is as strange as it gets. */
static bool dial_from_port(struct nat_dial *dial)
{
    struct nat *nat = dial->nat;
    struct port *port = nat->core->port;
    int path = port->ops->path_open(port, PORT_UDP, NULL, NULL);
    if (path < 0) {
        return false;
    }
    dial->path = (uint16_t)path;
    dial->by = (struct port_addr){.port = {0}}; /* Ourselves, wherever we are seen. */
    struct transport_way way = {.addr = contact_at(port, dial->from.peer)->addr,
                                .path = dial->path};
    if (transport_probe(nat->transport, dial->from.session, &way) != ERR_OK) {
        return false;
    }
    timer_start(&nat->core->timers, &dial->timer, PORT_WAIT_US, on_port_timeout);
    return true;
}

static void on_port_timeout(struct timer *timer)
{
    dial_close(container_of(timer, struct nat_dial, timer), REACHED_NO);
}

/* False when the proof was of a question, ours or somebody's, and no session is to move for it. */
bool nat_reach_proved(struct nat *nat, uint32_t session, const struct transport_way *way)
{
    struct nat_work *work = nat->work;
    for (uint16_t place = 0; way->path != PORT_MAIN_PATH && place < work->dials.made; place++) {
        struct nat_dial *dial = pool_peek(&work->dials, place);
        if (dial != NULL && dial->is_used && dial->path == way->path &&
            dial->from.session == session) {
            dial_close(dial, REACHED_YES);
            return false;
        }
    }
    if (!work->is_asking) {
        return true;
    }
    struct transport_session found;
    return !transport_session_at(nat->transport, session, &found) ||
           port_addr_equal(&contact_at(nat->core->port, found.peer)->addr, &way->addr) ||
           contact_addr_group(&contact_at(nat->core->port, found.peer)->addr) !=
               contact_addr_group(&way->addr);
}

void nat_on_dial(struct nat *nat, const struct message_from *from,
                 const struct message_dial *request)
{
    struct nat_dial *dial = dial_open(nat, from);
    if (dial == NULL) {
        return;
    }
    dial->is_order = true;
    struct port *port = nat->core->port;
    uint32_t peer = contact_intern(port, request->key, &request->addr);
    struct transport_session session;
    struct call_options options = {.done = on_dial_answer, .owner = dial, .patience_ms = PING_MS};
    /* Whom we have a session with has written to us: we are no stranger to its box. */
    bool is_stranger =
        !transport_session_of(nat->transport, &contact_at(port, peer)->id, &session) &&
        !transport_is_relayed(&request->addr);
    if (!is_stranger || transport_ping(nat->transport, peer, &options) < 0) {
        dial_close(dial, REACHED_UNKNOWN);
    }
    port->ops->intern_release(port, peer);
}

static void on_dial_answer(void *owner, const struct call_result *result)
{
    if (result->outcome != CALL_SLOW) {
        dial_close(owner, result->outcome == CALL_ANSWERED ? REACHED_YES : REACHED_NO);
    }
}
