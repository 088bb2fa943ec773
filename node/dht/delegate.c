/* delegate.c - lookups given away, and lookups made for others. */
#include "node/dht/delegate.h"

#include "node/base/must.h"
#include "node/dht/dht.h"

static void on_seeking(void *owner, const struct call_result *result);
static void on_wait(struct timer *timer);
static void wait_for(struct dht *dht, uint64_t due_us);
static struct dht_lookup *given_away(struct dht *dht, uint32_t number);
static struct dht_errand *errand_of(struct dht *dht, uint32_t peer, uint32_t number);
static void on_found(void *owner, uint32_t tag, const struct lookup_result *result);
static void answer(struct dht *dht, const struct dht_errand *errand,
                   const struct lookup_result *result);

int dht_delegate_init(struct dht *dht)
{
    return pool_init(&dht->delegate.pending, &dht->core->arena, ARENA_LOOKUPS,
                     sizeof(struct dht_errand), 1, DELEGATE_PENDING_MAX);
}

void dht_delegate_stop(struct dht *dht)
{
    timer_stop(&dht->core->timers, &dht->delegate.wait);
}

/* --- a client's side ------------------------------------------------------------------------ */

bool dht_delegate_lookup(struct dht *dht, struct dht_lookup *lookup)
{
    struct dht_delegate *delegate = &dht->delegate;
    uint32_t peer = dht->is_client && delegate->choose != NULL ? delegate->choose(delegate->arg)
                                                               : PORT_INTERN_NONE;
    if (peer == PORT_INTERN_NONE) {
        return false;
    }
    uint32_t number = dht_slot_tag(lookup->index, lookup->serial);
    struct message request = {
        .kind = MESSAGE_SEEK,
        .seek = {.number = number, .kind = lookup->kind, .target = lookup->list.target}};
    struct call_options options = {.done = on_seeking, .owner = dht, .tag = number};
    if (transport_call(dht->transport, peer, &request, &options) < 0) {
        return false;
    }
    lookup->given_to = contact_prefix(dht->core->port, peer);
    lookup->given_until_us = core_now(dht->core) + DELEGATE_WAIT_US;
    lookup->messages++;
    wait_for(dht, lookup->given_until_us);
    return true;
}

static void on_seeking(void *owner, const struct call_result *result)
{
    struct dht *dht = owner;
    struct dht_lookup *lookup = given_away(dht, result->tag);
    bool is_taken = result->outcome == CALL_ANSWERED && result->answer->seeking.is_accepted;
    if (lookup != NULL && result->outcome != CALL_SLOW && !is_taken) {
        dht_lookup_take_back(dht, lookup);
    }
}

void dht_on_sought(struct dht *dht, const struct message_from *from,
                   const struct message_sought *note)
{
    struct dht_lookup *lookup = given_away(dht, note->number);
    if (lookup == NULL || lookup->given_to != contact_prefix(dht->core->port, from->peer)) {
        return; /* Too late, or never asked. */
    }
    if (!dht_lookup_end_given(dht, lookup, from->peer, note)) {
        transport_offend(dht->transport, from->peer, GUARD_FORGED);
        dht_lookup_take_back(dht, lookup);
    }
}

static void on_wait(struct timer *timer)
{
    struct dht *dht = container_of(timer, struct dht, delegate.wait);
    uint64_t now_us = core_now(dht->core);
    uint64_t next_us = PORT_NEVER;
    for (uint16_t i = 0; i < dht->lookups.pool.made; i++) {
        struct dht_lookup *lookup = pool_peek(&dht->lookups.pool, i);
        if (lookup == NULL || lookup->serial == 0 || lookup->given_until_us == 0) {
            continue;
        }
        if (now_us >= lookup->given_until_us) {
            dht_lookup_take_back(dht, lookup);
        } else if (lookup->given_until_us < next_us) {
            next_us = lookup->given_until_us;
        }
    }
    if (next_us != PORT_NEVER) {
        wait_for(dht, next_us);
    }
}

static void wait_for(struct dht *dht, uint64_t due_us)
{
    struct timer *timer = &dht->delegate.wait;
    if (!timer_is_running(timer) || timer->due_us > due_us) {
        timer_start(&dht->core->timers, timer, due_us - core_now(dht->core), on_wait);
    }
}

static struct dht_lookup *given_away(struct dht *dht, uint32_t number)
{
    struct dht_lookup *lookup = pool_peek(&dht->lookups.pool, number >> 16);
    return lookup != NULL && lookup->serial == (uint16_t)number && lookup->serial != 0 &&
                   lookup->given_until_us != 0
               ? lookup
               : NULL;
}

/* --- a server's side ------------------------------------------------------------------------ */

void dht_on_seek(struct dht *dht, const struct message_from *from,
                 const struct message_seek *request)
{
    struct port *port = dht->core->port;
    struct message reply = {.kind = MESSAGE_SEEKING};
    if (errand_of(dht, from->peer, request->number) != NULL) {
        reply.seeking.is_accepted = true; /* Asked again for our word: under way already. */
        (void)transport_reply(dht->transport, from, &reply);
        return;
    }
    uint16_t index;
    struct dht_errand *errand = dht->is_client ? NULL : pool_get(&dht->delegate.pending, &index);
    if (errand != NULL) {
        port->ops->intern_retain(port, from->peer);
        errand->from = *from;
        errand->number = request->number;
        errand->serial = dht_serial_next(&dht->delegate.serial_last);
        uint32_t tag = dht_slot_tag(index, errand->serial);
        int status =
            dht_lookup(dht, &request->target, (enum lookup_kind)request->kind, on_found, dht, tag);
        reply.seeking.is_accepted = status == ERR_OK;
        if (status != ERR_OK) {
            port->ops->intern_release(port, from->peer);
            errand->serial = 0;
            pool_put(&dht->delegate.pending, index);
        }
    }
    (void)transport_reply(dht->transport, from, &reply);
}

static struct dht_errand *errand_of(struct dht *dht, uint32_t peer, uint32_t number)
{
    for (uint16_t i = 0; i < dht->delegate.pending.made; i++) {
        struct dht_errand *errand = pool_peek(&dht->delegate.pending, i);
        if (errand != NULL && errand->serial != 0 && errand->from.peer == peer &&
            errand->number == number) {
            return errand;
        }
    }
    return NULL;
}

static void on_found(void *owner, uint32_t tag, const struct lookup_result *result)
{
    struct dht *dht = owner;
    struct port *port = dht->core->port;
    struct dht_errand *errand = pool_peek(&dht->delegate.pending, tag >> 16);
    if (errand == NULL || errand->serial != (uint16_t)tag) {
        return;
    }
    if (result->status != ERR_STOPPED) {
        answer(dht, errand, result);
    }
    port->ops->intern_release(port, errand->from.peer);
    errand->serial = 0;
    pool_put(&dht->delegate.pending, (uint16_t)(tag >> 16));
}

static void answer(struct dht *dht, const struct dht_errand *errand,
                   const struct lookup_result *result)
{
    struct message note = {.kind = MESSAGE_SOUGHT,
                           .sought = {.number = errand->number,
                                      .is_found = result->status == ERR_OK,
                                      .hops = result->hops}};
    struct message_value *value = &note.sought.value;
    if (result->record != NULL) {
        value->has_record = true;
        value->age_s = result->age_s;
        value->record = *result->record;
    } else {
        for (uint32_t i = 0; i < result->count; i++) {
            value->contacts.handles[value->contacts.count++] = result->nearest[i];
        }
    }
    (void)transport_note(dht->transport, errand->from.session, &note);
}
