/* attempt.c - reaching a client through one of its relays. */
#include <string.h>

#include "node/base/must.h"
#include "node/nat/nat_parts.h"

static void try_next(struct nat_attempt *attempt);
static void on_connected(void *owner, const struct call_result *result);
static void on_shaken(void *owner, const struct call_result *result);
static void finish(struct nat_attempt *attempt, int status);
static void let_go(struct nat_attempt *attempt);

int nat_connect(struct nat *nat, const uint8_t key[CRYPTO_PUBLIC_LEN],
                const struct presence *presence, nat_connect_fn done, void *owner, uint32_t tag)
{
    must(done != NULL);
    if (nat->is_stopping) {
        return ERR_STOPPED;
    }
    struct nat_work *work = nat_work_of(nat);
    uint16_t index;
    struct nat_attempt *attempt = work != NULL ? pool_get(&work->attempts, &index) : NULL;
    if (attempt == NULL) {
        return ERR_FULL;
    }
    *attempt = (struct nat_attempt){.nat = nat,
                                    .done = done,
                                    .owner = owner,
                                    .tag = tag,
                                    .index = index,
                                    .presence = *presence,
                                    .step = NAT_STEP_NO_RELAY};
    memcpy(attempt->key, key, sizeof attempt->key);
    nat->counts.connects_begun++;
    timer_start(&nat->core->timers, &attempt->timer, 0, nat_attempt_begin);
    return ERR_OK;
}

/* Not inside nat_connect: done is not called before it returns. */
void nat_attempt_begin(struct timer *timer)
{
    try_next(container_of(timer, struct nat_attempt, timer));
}

static void try_next(struct nat_attempt *attempt)
{
    struct nat *nat = attempt->nat;
    struct port *port = nat->core->port;
    let_go(attempt);
    while (attempt->next < attempt->presence.relay_count) {
        const struct presence_relay *relay = &attempt->presence.relays[attempt->next++];
        if (memcmp(relay->key, nat->identity->public_key, sizeof relay->key) == 0 ||
            transport_is_relayed(&relay->addr)) {
            continue;
        }
        struct message request = {.kind = MESSAGE_CONNECT, .connect = {.voucher = relay->voucher}};
        memcpy(request.connect.target, attempt->key, sizeof request.connect.target);
        uint32_t peer = contact_intern(port, relay->key, &relay->addr);
        struct call_options options = {.done = on_connected, .owner = attempt};
        int call = transport_call(nat->transport, peer, &request, &options);
        port->ops->intern_release(port, peer);
        if (call >= 0) {
            return;
        }
    }
    finish(attempt, ERR_UNREACHABLE);
}

static void on_connected(void *owner, const struct call_result *result)
{
    struct nat_attempt *attempt = owner;
    struct nat *nat = attempt->nat;
    struct port *port = nat->core->port;
    if (result->outcome == CALL_SLOW || attempt->done == NULL) {
        return;
    }
    if (result->outcome != CALL_ANSWERED) {
        try_next(attempt);
        return;
    }
    attempt->step = NAT_STEP_NO_CIRCUIT;
    const struct message_connected *connected = &result->answer->connected;
    if (connected->status != RELAY_OK ||
        nat_end_open(nat, result->peer, 0, connected->circuit) != ERR_OK) {
        try_next(attempt);
        return;
    }
    struct port_addr addr;
    nat_end_addr(nat, result->peer, connected->circuit, &addr);
    attempt->peer = contact_intern(port, attempt->key, &addr);
    attempt->step = NAT_STEP_NO_HANDSHAKE;
    struct call_options options = {.done = on_shaken, .owner = attempt};
    if (transport_ping(nat->transport, attempt->peer, &options) < 0) {
        try_next(attempt);
    }
}

static void on_shaken(void *owner, const struct call_result *result)
{
    struct nat_attempt *attempt = owner;
    if (result->outcome == CALL_SLOW || attempt->done == NULL) {
        return;
    }
    if (result->outcome == CALL_ANSWERED) {
        finish(attempt, ERR_OK);
    } else {
        try_next(attempt);
    }
}

static void finish(struct nat_attempt *attempt, int status)
{
    struct nat *nat = attempt->nat;
    struct port *port = nat->core->port;
    struct node_id id;
    contact_id(&id, attempt->key);
    struct nat_trail *trail = nat_trail_get(nat, &id);
    if (trail != NULL) {
        trail->way = status == ERR_OK ? NAT_WAY_RELAYED : NAT_WAY_NONE;
        trail->step = status == ERR_OK ? trail->step : attempt->step;
    }
    nat->counts.connects_won += status == ERR_OK;
    nat_connect_fn done = attempt->done;
    attempt->done = NULL;
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
    let_go(attempt);
    timer_stop(&nat->core->timers, &attempt->timer);
    pool_put(&nat->work->attempts, attempt->index);
}

static void let_go(struct nat_attempt *attempt)
{
    struct port *port = attempt->nat->core->port;
    if (attempt->peer != PORT_INTERN_NONE) {
        port->ops->intern_release(port, attempt->peer);
        attempt->peer = PORT_INTERN_NONE;
    }
}
