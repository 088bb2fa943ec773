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
 */
#include <string.h>

#include "node/base/must.h"
#include "node/nat/nat_parts.h"

enum {
    ROUND_MIN_US = 50000, /* RFC 8445's Ta, between two probes of everything. */
    READY_US = 10000000,  /* A client waits so long for PUNCH_GO. */
    DOUBLINGS_MAX = 5,
};

static struct nat_punch *punch_with(const struct nat *nat, const struct node_id *id);
static struct nat_punch *punch_open(struct nat *nat, uint32_t session, const struct node_id *id);
static void punch_close(struct nat_punch *punch);
static void gather(const struct nat *nat, struct message_punch *side);
static void take(struct nat_punch *punch, const struct message_punch *side);
static void on_punching(void *owner, const struct call_result *result);
static void on_timer(struct timer *timer);
static void fire(struct nat_punch *punch, uint8_t ttl);
static void fail(struct nat_punch *punch, enum nat_step step);

void nat_punch_start(struct nat *nat, uint32_t peer)
{
    const struct node_id id = contact_at(nat->core->port, peer)->id;
    struct transport_session session;
    struct nat_trail *trail = nat_trail_get(nat, &id);
    if (!nat->config->has_punching || nat->is_stopping || trail == NULL ||
        punch_with(nat, &id) != NULL || !transport_session_of(nat->transport, &id, &session)) {
        return;
    }
    if (core_now(nat->core) < trail->again_us) {
        trail->step = NAT_STEP_PUNCH_WAITING;
        return;
    }
    struct nat_punch *punch = punch_open(nat, session.index, &id);
    if (punch == NULL) {
        return;
    }
    punch->is_caller = true;
    punch->state = NAT_PUNCH_ASKING;
    nat->counts.punches_begun++;
    struct message request = {.kind = MESSAGE_PUNCH};
    gather(nat, &request.punch);
    struct call_options options = {.done = on_punching, .owner = punch};
    if (transport_call(nat->transport, session.peer, &request, &options) < 0) {
        punch_close(punch);
    }
}

/* Where we may be reached: as the host sees itself, and as others see us. */
static void gather(const struct nat *nat, struct message_punch *side)
{
    const struct port *port = nat->core->port;
    side->count = 0;
    side->candidates[side->count++] =
        (struct candidate){.type = CANDIDATE_HOST, .addr = port->local};
    if (nat->has_observed && !port_addr_equal(&nat->observed, &port->local)) {
        side->candidates[side->count++] =
            (struct candidate){.type = CANDIDATE_SERVER_REFLEXIVE, .addr = nat->observed};
    }
}

static void take(struct nat_punch *punch, const struct message_punch *side)
{
    punch->count = 0;
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
    struct message answer = {.kind = MESSAGE_PUNCHING};
    /* Only over a circuit: elsewhere there is nothing to be gained by it, and by this rule nobody
     * has us write to addresses of its choice who could not write there itself. */
    if (nat->config->has_punching && transport_is_relayed(&caller->addr)) {
        struct nat_punch *punch = punch_with(nat, &caller->id);
        punch = punch != NULL ? punch : punch_open(nat, from->session, &caller->id);
        if (punch != NULL) {
            punch->session = from->session;
            punch->is_caller = false;
            punch->state = NAT_PUNCH_READY;
            take(punch, request);
            gather(nat, &answer.punching.side);
            timer_start(&nat->core->timers, &punch->timer, READY_US, on_timer);
        }
    }
    (void)transport_reply(nat->transport, from, &answer);
}

static void on_punching(void *owner, const struct call_result *result)
{
    struct nat_punch *punch = owner;
    struct nat *nat = punch->nat;
    if (result->outcome == CALL_SLOW) {
        return;
    }
    if (punch->state != NAT_PUNCH_ASKING || result->outcome != CALL_ANSWERED) {
        fail(punch, NAT_STEP_PUNCH_REFUSED);
        return;
    }
    take(punch, &result->answer->punching.side);
    if (punch->count == 0) {
        fail(punch, NAT_STEP_NO_CANDIDATES);
        return;
    }
    struct message go = {.kind = MESSAGE_PUNCH_GO};
    (void)transport_note(nat->transport, punch->session, &go);
    punch->rtt_us = result->rtt_us;
    punch->go_us = core_now(nat->core);
    punch->state = NAT_PUNCH_FIRING;
    fire(punch, nat->config->opener_ttl);
    timer_start(&nat->core->timers, &punch->timer, punch->rtt_us / 2, on_timer);
}

void nat_on_punch_go(struct nat *nat, const struct message_from *from,
                     const struct message_punch_go *note)
{
    (void)note;
    struct nat_punch *punch = punch_with(nat, &contact_at(nat->core->port, from->peer)->id);
    if (punch == NULL || punch->state != NAT_PUNCH_READY) {
        return;
    }
    punch->state = NAT_PUNCH_FIRING;
    punch->go_us = core_now(nat->core);
    fire(punch, nat->config->opener_ttl);
    timer_start(&nat->core->timers, &punch->timer, 0, on_timer);
}

static void on_timer(struct timer *timer)
{
    struct nat_punch *punch = container_of(timer, struct nat_punch, timer);
    struct nat *nat = punch->nat;
    if (punch->state != NAT_PUNCH_FIRING) {
        punch_close(punch); /* PUNCH_GO never came. */
        return;
    }
    if (punch->round >= nat->config->punch_rounds) {
        fail(punch, NAT_STEP_PUNCH_UNANSWERED);
        return;
    }
    punch->round++;
    fire(punch, 0);
    uint64_t pause_us = punch->rtt_us / 2 > ROUND_MIN_US ? punch->rtt_us / 2 : ROUND_MIN_US;
    /* The last round's probes are waited for as long as they can take. */
    bool is_last = punch->round == nat->config->punch_rounds;
    timer_start(&nat->core->timers, &punch->timer, is_last ? 4 * pause_us : pause_us, on_timer);
}

static void fire(struct nat_punch *punch, uint8_t ttl)
{
    struct nat *nat = punch->nat;
    for (uint32_t i = 0; i < punch->count; i++) {
        struct transport_way way = {.addr = punch->candidates[i].addr, .ttl = ttl};
        if (nat_may_probe(nat, &way.addr)) {
            (void)transport_probe(nat->transport, punch->session, &way);
        }
    }
}

/* A way to the peer of a session is proved. Relayed sessions take the first that is; a session that
 * is direct already stays where it is while its punch runs, and follows its peer otherwise. */
bool nat_punch_proved(struct nat *nat, uint32_t session, const struct transport_way *way)
{
    struct transport_session found;
    if (!transport_session_at(nat->transport, session, &found)) {
        return false;
    }
    const struct contact *contact = contact_at(nat->core->port, found.peer);
    if (port_addr_equal(&contact->addr, &way->addr)) {
        return true;
    }
    struct nat_punch *punch = punch_with(nat, &contact->id);
    if (punch == NULL) {
        return true;
    }
    if (!transport_is_relayed(&contact->addr)) {
        return false;
    }
    struct nat_trail *trail = nat_trail_get(nat, &contact->id);
    if (trail != NULL) {
        trail->way = NAT_WAY_PUNCHED;
        trail->step = NAT_STEP_NONE;
        trail->attempts = trail->doublings = 0;
        trail->again_us = 0;
        trail->rtt_us = punch->rtt_us;
        trail->punch_us = (uint32_t)(core_now(nat->core) - punch->go_us);
    }
    nat->counts.punches_won += punch->is_caller;
    /* Kept until its rounds are over: other ways that prove themselves now change nothing. */
    punch->round = nat->config->punch_rounds;
    punch->count = 0;
    punch->is_won = true;
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

static void punch_close(struct nat_punch *punch)
{
    struct nat *nat = punch->nat;
    timer_stop(&nat->core->timers, &punch->timer);
    punch->state = NAT_PUNCH_FREE;
    pool_put(&nat->work->punches, punch->index);
}

static void fail(struct nat_punch *punch, enum nat_step step)
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
    punch_close(punch);
}
