/* rescue.c - sessions whose way has gone: our box has forgotten us, or the peer's has, or either
 * has another address.
 *
 * With a server nothing is needed but a word from us: it sees our datagrams come from elsewhere,
 * has us prove that, and the session follows. So who is behind a box has to notice that nothing
 * comes any more; a session that was busy is probed when it falls silent, and all that are in use
 * when a relay sees us at another address.
 *
 * Between two clients neither may be let in by the other's box any more. Then the one whose call is
 * not answered takes a circuit to the other, as if for the first time, and proves that way instead
 * of shaking hands: the session moves to the circuit, and from there gets off it again.
 *
 *      call unanswered -> hooks.seek -> circuit -> PROBE through it -> moved -> PUNCH
 */
#include "node/nat/nat_parts.h"

enum {
    BEATS_MIN = 3,       /* Seconds in a row make a session busy. */
    BEAT_US = 900000,    /* A second, looked at a little early. */
    SILENT_US = 1500000, /* More than the second between two looks. */
    IN_USE_US = 30000000,
    WAIT_MIN_US = 200000, /* For a server's answer to a probe: the least RTO. */
    IN_USE_MAX = 16,      /* Sessions probed at once. */
    AGAIN_US = 10000000,  /* After a rescue that failed. */
};

static bool begin(struct nat *nat, const struct transport_session *session);
static struct nat_attempt *rescue_of(const struct nat *nat, uint32_t session);
static void on_rescued(void *owner, uint32_t tag, int status, uint32_t peer, enum nat_step step);
static bool has_pulse(const struct nat_work *work, uint32_t session);
static void look(struct nat *nat, const struct transport_session *session);
static struct nat_pulse *pulse_of(struct nat *nat, uint32_t session);
static void probe(struct nat *nat, const struct transport_session *session);

uint64_t nat_on_silent(struct nat *nat, uint32_t index)
{
    struct transport_session session;
    if (nat->is_stopping || !transport_session_at(nat->transport, index, &session)) {
        return 0;
    }
    if (nat->is_server && !session.is_client) {
        return 0; /* It is where it was, and so are we. */
    }
    if (nat_work_of(nat) == NULL) {
        return 0;
    }
    if (!nat->is_server) {
        nat_links_doubt(nat, PORT_INTERN_NONE, session.heard_us + 1);
    }
    if (session.is_client) {
        return begin(nat, &session) ? NAT_RESCUE_US : 0;
    }
    const struct contact *contact = contact_at(nat->core->port, session.peer);
    struct transport_way way = {.addr = contact->addr, .path = session.path};
    (void)transport_probe(nat->transport, index, &way);
    uint64_t wait_us = 2 * (uint64_t)session.rtt_us;
    return wait_us > WAIT_MIN_US ? wait_us : WAIT_MIN_US;
}

/* True when a rescue is under way. */
static bool begin(struct nat *nat, const struct transport_session *session)
{
    if (rescue_of(nat, session->index) != NULL) {
        return true;
    }
    const struct contact *contact = contact_at(nat->core->port, session->peer);
    struct nat_trail *trail = nat_trail_get(nat, &contact->id);
    if (trail == NULL || nat->hooks.seek == NULL || core_now(nat->core) < trail->rescue_us) {
        return false;
    }
    struct nat_attempt *attempt = nat_attempt_open(nat, contact->key);
    if (attempt == NULL) {
        return false;
    }
    attempt->done = on_rescued;
    attempt->owner = nat;
    attempt->session = attempt->tag = session->index;
    attempt->is_seeking = true;
    if (!nat->hooks.seek(nat->hooks.arg, &contact->id)) {
        attempt->done = NULL;
        pool_put(&nat->work->attempts, attempt->index);
        return false;
    }
    trail->rescue_us = core_now(nat->core) + AGAIN_US;
    nat->counts.rescues_begun++;
    return true;
}

static struct nat_attempt *rescue_of(const struct nat *nat, uint32_t session)
{
    for (uint16_t place = 0; place < nat->work->attempts.made; place++) {
        struct nat_attempt *attempt = pool_peek(&nat->work->attempts, place);
        if (attempt != NULL && attempt->done != NULL && attempt->session == session) {
            return attempt;
        }
    }
    return NULL;
}

/* What has moved goes on by itself. */
static void on_rescued(void *owner, uint32_t tag, int status, uint32_t peer, enum nat_step step)
{
    (void)peer;
    (void)step;
    struct nat *nat = owner;
    nat->counts.rescues_won += status == ERR_OK;
    if (status != ERR_OK) {
        transport_go_on(nat->transport, tag);
    }
}

void nat_on_presence(struct nat *nat, const struct node_id *id, const struct presence *presence)
{
    for (uint16_t place = 0; nat->work != NULL && place < nat->work->attempts.made; place++) {
        struct nat_attempt *attempt = pool_peek(&nat->work->attempts, place);
        struct node_id own;
        if (attempt == NULL || attempt->done == NULL || !attempt->is_seeking) {
            continue;
        }
        contact_id(&own, attempt->key);
        if (!node_id_equal(&own, id)) {
            continue;
        }
        attempt->is_seeking = false;
        if (presence == NULL) {
            nat_attempt_finish(attempt, ERR_UNREACHABLE);
            return;
        }
        attempt->presence = *presence;
        uint64_t since_us = core_now(nat->core) - attempt->began_us;
        timer_start(&nat->core->timers, &attempt->timer,
                    since_us < WAIT_MIN_US ? WAIT_MIN_US - since_us : 0, nat_attempt_begin);
        return;
    }
}

void nat_on_moved(struct nat *nat, uint32_t index)
{
    struct nat_attempt *attempt = nat->work != NULL ? rescue_of(nat, index) : NULL;
    struct transport_session session;
    if (nat->work == NULL || !transport_session_at(nat->transport, index, &session)) {
        return;
    }
    const struct contact *contact = contact_at(nat->core->port, session.peer);
    bool is_relayed = transport_is_relayed(&contact->addr);
    struct nat_trail *trail = is_relayed ? nat_trail_get(nat, &contact->id) : NULL;
    if (trail != NULL) {
        trail->moved_us = core_now(nat->core);
    }
    if (attempt == NULL || attempt->is_seeking || attempt->is_moved) {
        return;
    }
    if (is_relayed) {
        nat_attempt_settle(attempt);
    } else {
        nat_attempt_close(attempt); /* It was the peer that came back. */
    }
}

/* --- what is noticed in time ----------------------------------------------------------------- */

/* Whose box is in the way sees to it: a server's address stays. */
void nat_pulses_tick(struct nat *nat)
{
    struct transport_session session;
    struct nat_work *work = nat->work;
    uint64_t now_us = core_now(nat->core);
    if (now_us - work->pulses_us < BEAT_US) {
        return;
    }
    work->pulses_us = now_us;
    for (uint32_t place = 0;
         !nat->is_server && transport_session_next(nat->transport, &place, &session);) {
        bool is_silent = now_us - session.heard_us >= SILENT_US;
        if (is_silent && !has_pulse(work, session.index)) {
            continue; /* Most are, and where they lead is far off in memory. */
        }
        if (!transport_is_relayed(&contact_at(nat->core->port, session.peer)->addr)) {
            look(nat, &session);
        }
    }
}

static bool has_pulse(const struct nat_work *work, uint32_t session)
{
    bool has_one = false;
    for (uint32_t i = 0; i < NAT_PULSES_MAX; i++) {
        has_one |= work->pulses[i].session == session;
    }
    return has_one;
}

static void look(struct nat *nat, const struct transport_session *session)
{
    uint64_t silent_us = core_now(nat->core) - session->heard_us;
    struct nat_pulse *pulse = pulse_of(nat, session->index);
    if (pulse == NULL) {
        return;
    }
    if (silent_us < SILENT_US) {
        pulse->session = session->index;
        pulse->beats = (uint8_t)(pulse->beats + (pulse->beats < UINT8_MAX));
        return;
    }
    if (pulse->session == session->index && pulse->beats >= BEATS_MIN) {
        probe(nat, session);
        nat_links_doubt(nat, PORT_INTERN_NONE, session->heard_us + 1);
    }
    *pulse = (struct nat_pulse){0};
}

/* Its own, or a free one; NULL when all are others'. */
static struct nat_pulse *pulse_of(struct nat *nat, uint32_t session)
{
    struct nat_pulse *place = NULL;
    for (uint32_t i = 0; i < NAT_PULSES_MAX; i++) {
        struct nat_pulse *pulse = &nat->work->pulses[i];
        struct transport_session other;
        if (pulse->session == session) {
            return pulse;
        }
        bool is_free =
            pulse->session == 0 || !transport_session_at(nat->transport, pulse->session, &other);
        if (is_free && place == NULL) {
            *pulse = (struct nat_pulse){0};
            place = pulse;
        }
    }
    return place;
}

/* A server follows us when it has heard us. A client's box may not let us in: when it wants
 * something it finds us by our relays, which have heard us too. */
static void probe(struct nat *nat, const struct transport_session *session)
{
    struct transport_way way = {.addr = contact_at(nat->core->port, session->peer)->addr,
                                .path = session->path};
    (void)transport_probe(nat->transport, session->index, &way);
}

void nat_on_renumbered(struct nat *nat)
{
    struct transport_session session;
    uint32_t left = IN_USE_MAX;
    for (uint32_t place = 0;
         left > 0 && transport_session_next(nat->transport, &place, &session);) {
        bool is_in_use = core_now(nat->core) - session.heard_us < IN_USE_US;
        if (is_in_use && !transport_is_relayed(&contact_at(nat->core->port, session.peer)->addr)) {
            probe(nat, &session);
            left--;
        }
    }
}
