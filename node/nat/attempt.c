/* attempt.c - reaching a client through one of its relays. */
#include <string.h>

#include "node/base/must.h"
#include "node/nat/nat_parts.h"

enum {
    STAGGER_MIN_US = 250000,  /* RFC 8305 section 5: the default, */
    STAGGER_MAX_US = 2000000, /* and its largest. */
    PROBES_MAX = 3,           /* Through one circuit while there is another. */
    SETTLE_US = 100000,       /* A peer moves a moment after us. */
};

static void on_stagger(struct timer *timer);
static bool is_needed(struct nat_attempt *attempt);
static void on_heard(struct timer *timer);
static void probe(struct nat_attempt *attempt);
static void try_next(struct nat_attempt *attempt);
static bool ask_next(struct nat_attempt *attempt);
static uint64_t stagger_us(const struct nat *nat);
static void on_connected(void *owner, const struct call_result *result);
static void keep_spare(struct nat_attempt *attempt, uint32_t relay, uint32_t circuit);
static bool take_circuit(struct nat_attempt *attempt, uint32_t relay, uint32_t circuit);
static void on_shaken(void *owner, const struct call_result *result);
static void forget_calls(struct nat_attempt *attempt);
static void let_go(struct nat_attempt *attempt);

int nat_connect(struct nat *nat, const uint8_t key[CRYPTO_PUBLIC_LEN],
                const struct presence *presence, nat_connect_fn done, void *owner, uint32_t tag)
{
    must(done != NULL);
    if (nat->is_stopping) {
        return ERR_STOPPED;
    }
    struct nat_attempt *attempt = nat_attempt_open(nat, key);
    if (attempt == NULL) {
        return ERR_FULL;
    }
    attempt->done = done;
    attempt->owner = owner;
    attempt->tag = tag;
    attempt->presence = *presence;
    nat->counts.connects_begun++;
    timer_start(&nat->core->timers, &attempt->timer, 0, nat_attempt_begin);
    return ERR_OK;
}

struct nat_attempt *nat_attempt_open(struct nat *nat, const uint8_t key[CRYPTO_PUBLIC_LEN])
{
    struct nat_work *work = nat_work_of(nat);
    uint16_t index;
    struct nat_attempt *attempt = work != NULL ? pool_get(&work->attempts, &index) : NULL;
    if (attempt != NULL) {
        *attempt = (struct nat_attempt){
            .nat = nat, .index = index, .began_us = core_now(nat->core), .step = NAT_STEP_NO_RELAY};
        memcpy(attempt->key, key, sizeof attempt->key);
    }
    return attempt;
}

/* Not inside nat_connect: done is not called before it returns. */
void nat_attempt_begin(struct timer *timer)
{
    struct nat_attempt *attempt = container_of(timer, struct nat_attempt, timer);
    if (is_needed(attempt)) {
        try_next(attempt);
    }
}

/* False when the session that was to be moved has been heard of: then the attempt is over as soon
 * as it has had the time to move to where that came from. */
static bool is_needed(struct nat_attempt *attempt)
{
    struct nat *nat = attempt->nat;
    struct transport_session session;
    if (attempt->session == 0 ||
        !transport_session_at(nat->transport, attempt->session, &session) ||
        session.heard_us < attempt->began_us) {
        return true;
    }
    timer_start(&nat->core->timers, &attempt->timer, stagger_us(nat), on_heard);
    return false;
}

static void on_heard(struct timer *timer)
{
    struct nat_attempt *attempt = container_of(timer, struct nat_attempt, timer);
    struct nat *nat = attempt->nat;
    uint32_t index = attempt->session;
    nat_attempt_close(attempt);
    transport_go_on(nat->transport, index);
}

/* What is not there within the stagger is not waited for alone: the next is asked beside it (RFC
 * 8305 section 5 does so with addresses). */
static void on_stagger(struct timer *timer)
{
    struct nat_attempt *attempt = container_of(timer, struct nat_attempt, timer);
    if (attempt->is_moved) {
        nat_attempt_finish(attempt, ERR_OK);
    } else if (attempt->session != 0 && attempt->peer != PORT_INTERN_NONE) {
        if (is_needed(attempt)) {
            probe(attempt);
        }
    } else {
        (void)ask_next(attempt);
    }
}

/* A session that is to move to the circuit. */
static void probe(struct nat_attempt *attempt)
{
    struct nat *nat = attempt->nat;
    struct transport_way way = {.addr = contact_at(nat->core->port, attempt->peer)->addr};
    bool has_other = attempt->spare != 0 || attempt->next < attempt->presence.relay_count;
    bool is_over = core_now(nat->core) - attempt->began_us > NAT_RESCUE_US;
    if (is_over || transport_probe(nat->transport, attempt->session, &way) != ERR_OK) {
        nat_attempt_finish(attempt, ERR_UNREACHABLE);
    } else if (attempt->probes++ >= PROBES_MAX && has_other) {
        try_next(attempt);
    } else if (attempt->probes == 1 || !ask_next(attempt)) {
        timer_start(&nat->core->timers, &attempt->timer, stagger_us(nat), on_stagger);
    }
}

static void try_next(struct nat_attempt *attempt)
{
    let_go(attempt);
    if (attempt->spare != 0) {
        uint32_t circuit = attempt->spare;
        attempt->spare = 0;
        if (take_circuit(attempt, attempt->spare_relay, circuit)) {
            return;
        }
    }
    if (!ask_next(attempt) && attempt->asked == 0) {
        nat_attempt_finish(attempt, ERR_UNREACHABLE);
    }
}

/* False when there is no relay left. */
static bool ask_next(struct nat_attempt *attempt)
{
    struct nat *nat = attempt->nat;
    struct port *port = nat->core->port;
    while (attempt->next < attempt->presence.relay_count) {
        uint32_t number = attempt->next++;
        const struct presence_relay *relay = &attempt->presence.relays[number];
        if (memcmp(relay->key, nat->identity->public_key, sizeof relay->key) == 0 ||
            transport_is_relayed(&relay->addr)) {
            continue;
        }
        struct message request = {.kind = MESSAGE_CONNECT, .connect = {.voucher = relay->voucher}};
        memcpy(request.connect.target, attempt->key, sizeof request.connect.target);
        uint32_t peer = contact_intern(port, relay->key, &relay->addr);
        struct call_options options = {.done = on_connected, .owner = attempt, .tag = number};
        int call = transport_call(nat->transport, peer, &request, &options);
        port->ops->intern_release(port, peer);
        if (call >= 0) {
            attempt->calls[number] = (uint32_t)call;
            attempt->asked++;
            timer_start(&nat->core->timers, &attempt->timer, stagger_us(nat), on_stagger);
            return true;
        }
    }
    return false;
}

/* Three round trips: a handshake, the request, and one for good measure. */
static uint64_t stagger_us(const struct nat *nat)
{
    uint64_t us = 3 * (uint64_t)transport_rtt_quantile_us(nat->transport, 950);
    us = us > STAGGER_MIN_US ? us : STAGGER_MIN_US;
    return us < STAGGER_MAX_US ? us : STAGGER_MAX_US;
}

static void on_connected(void *owner, const struct call_result *result)
{
    struct nat_attempt *attempt = owner;
    if (result->outcome == CALL_SLOW || attempt->done == NULL) {
        return;
    }
    attempt->calls[result->tag] = 0;
    attempt->asked--;
    bool is_answered = result->outcome == CALL_ANSWERED;
    const struct message_connected *connected = is_answered ? &result->answer->connected : NULL;
    if (is_answered && attempt->step == NAT_STEP_NO_RELAY) {
        attempt->step = NAT_STEP_NO_CIRCUIT;
    }
    bool has_circuit = is_answered && connected->status == RELAY_OK;
    if (attempt->peer != PORT_INTERN_NONE) {
        if (has_circuit && attempt->spare == 0) {
            keep_spare(attempt, result->peer, connected->circuit);
        }
    } else if (!has_circuit || !take_circuit(attempt, result->peer, connected->circuit)) {
        try_next(attempt);
    }
}

/* Two relays have answered: the second is for when nobody answers through the first. */
static void keep_spare(struct nat_attempt *attempt, uint32_t relay, uint32_t circuit)
{
    struct port *port = attempt->nat->core->port;
    if (attempt->spare_relay != PORT_INTERN_NONE) {
        port->ops->intern_release(port, attempt->spare_relay);
    }
    port->ops->intern_retain(port, relay);
    attempt->spare_relay = relay;
    attempt->spare = circuit;
}

/* Shakes hands with the peer over the circuit, or has the session with it move there. */
static bool take_circuit(struct nat_attempt *attempt, uint32_t relay, uint32_t circuit)
{
    struct nat *nat = attempt->nat;
    if (nat_end_open(nat, relay, 0, circuit) != ERR_OK) {
        return false;
    }
    struct port_addr addr;
    nat_end_addr(nat, relay, circuit, &addr);
    attempt->peer = contact_intern(nat->core->port, attempt->key, &addr);
    attempt->step = NAT_STEP_NO_HANDSHAKE;
    if (attempt->session != 0) {
        attempt->probes = 0;
        timer_start(&nat->core->timers, &attempt->timer, 0, on_stagger);
        return true;
    }
    struct call_options options = {.done = on_shaken, .owner = attempt};
    int call = transport_ping(nat->transport, attempt->peer, &options);
    if (call < 0) {
        let_go(attempt);
        return false;
    }
    attempt->ping = (uint32_t)call;
    timer_start(&nat->core->timers, &attempt->timer, stagger_us(nat), on_stagger);
    return true;
}

static void on_shaken(void *owner, const struct call_result *result)
{
    struct nat_attempt *attempt = owner;
    if (result->outcome == CALL_SLOW || attempt->done == NULL) {
        return;
    }
    attempt->ping = 0;
    if (result->outcome == CALL_ANSWERED) {
        nat_attempt_finish(attempt, ERR_OK);
    } else {
        try_next(attempt);
    }
}

void nat_attempt_finish(struct nat_attempt *attempt, int status)
{
    struct nat *nat = attempt->nat;
    struct port *port = nat->core->port;
    struct node_id id;
    contact_id(&id, attempt->key);
    struct nat_trail *trail = nat_trail_get(nat, &id);
    if (trail != NULL) {
        trail->way = status == ERR_OK ? NAT_WAY_RELAYED : NAT_WAY_NONE;
        trail->step = status == ERR_OK ? trail->step : attempt->step;
        if (attempt->session != 0) {
            trail->attempts = 0; /* What has worked before may work again. */
            trail->again_us = 0;
        }
    }
    nat->counts.connects_won += status == ERR_OK && attempt->session == 0;
    nat_connect_fn done = attempt->done;
    attempt->done = NULL;
    forget_calls(attempt);
    uint32_t peer = attempt->peer;
    if (peer != PORT_INTERN_NONE) {
        port->ops->intern_retain(port, peer);
    }
    if (status == ERR_OK) {
        nat_punch_start(nat, peer);
    }
    done(attempt->owner, attempt->tag, status, status == ERR_OK ? peer : PORT_INTERN_NONE,
         (enum nat_step)attempt->step);
    if (peer != PORT_INTERN_NONE) {
        port->ops->intern_release(port, peer);
    }
    nat_attempt_close(attempt);
}

void nat_attempt_settle(struct nat_attempt *attempt)
{
    attempt->is_moved = true;
    timer_start(&attempt->nat->core->timers, &attempt->timer, SETTLE_US, on_stagger);
}

void nat_attempt_close(struct nat_attempt *attempt)
{
    struct nat *nat = attempt->nat;
    attempt->done = NULL;
    forget_calls(attempt);
    let_go(attempt);
    timer_stop(&nat->core->timers, &attempt->timer);
    pool_put(&nat->work->attempts, attempt->index);
}

/* Relays that are still to answer, and a circuit that was not needed: it ends by itself. */
static void forget_calls(struct nat_attempt *attempt)
{
    struct nat *nat = attempt->nat;
    for (uint32_t i = 0; i < PRESENCE_RELAYS_MAX; i++) {
        if (attempt->calls[i] != 0) {
            transport_cancel(nat->transport, attempt->calls[i]);
            attempt->calls[i] = 0;
        }
    }
    if (attempt->ping != 0) {
        transport_cancel(nat->transport, attempt->ping);
        attempt->ping = 0;
    }
    if (attempt->spare_relay != PORT_INTERN_NONE) {
        nat->core->port->ops->intern_release(nat->core->port, attempt->spare_relay);
        attempt->spare_relay = PORT_INTERN_NONE;
    }
}

static void let_go(struct nat_attempt *attempt)
{
    struct port *port = attempt->nat->core->port;
    if (attempt->peer != PORT_INTERN_NONE) {
        port->ops->intern_release(port, attempt->peer);
        attempt->peer = PORT_INTERN_NONE;
    }
}
