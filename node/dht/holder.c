/* holder.c - acknowledging, serving, republishing and handing over the records held here. */
#include "node/dht/holder.h"

#include <string.h>

#include "node/base/must.h"
#include "node/dht/dht.h"

enum {
    PENDING_FIRST = 4,
    SWEEP_US = 30000000,
    HANDOVER_US = 200000,
    REPUBLISH_JITTER = 10, /* Per cent, either way. */
};

static void answer_nearest(const struct dht *dht, const struct message_from *from,
                           const struct node_id *target, uint32_t wanted,
                           struct message_contacts *contacts);
static struct dht_pending *open_pending(struct dht *dht, uint16_t *index);
static void close_pending(struct dht *dht, uint16_t index);
static bool commit(struct dht *dht, struct dht_pending *pending, uint16_t index,
                   const struct dht_held *held);
static void on_settled(struct dht *dht, const struct dht_pending *pending, int status);
static void on_refused(struct dht *dht, const struct dht_pending *pending);
static void answer_stored(struct dht *dht, const struct message_from *from, uint8_t status,
                          bool is_durable, uint64_t sequence);
static void schedule(struct dht *dht, struct dht_held *held);
static uint32_t now_s(const struct dht *dht);
static void start_sweep(struct dht *dht);
static void on_sweep(struct timer *timer);
static void republish_next(struct dht *dht);
static void on_republish(void *owner, uint32_t tag, const struct lookup_result *result);
static void on_handover(struct timer *timer);
static bool is_to_hand_over(const struct dht *dht, const struct dht_held *held, uint32_t peer);
static void forget_newcomer(struct dht *dht);

int dht_holder_init(struct dht *dht)
{
    dht->holder.pending_first = POOL_NONE;
    dht->holder.pending_last = POOL_NONE;
    return pool_init(&dht->holder.pending, &dht->core->arena, ARENA_RECORDS,
                     sizeof(struct dht_pending), PENDING_FIRST, HOLDER_PENDING_MAX);
}

void dht_holder_start(struct dht *dht)
{
    for (uint32_t i = 0; i < dht->store.count; i++) {
        schedule(dht, &dht->store.held[i]);
    }
    if (dht->store.count > 0) {
        start_sweep(dht);
    }
}

void dht_holder_stop(struct dht *dht)
{
    struct dht_holder *holder = &dht->holder;
    while (holder->newcomer_count > 0) {
        forget_newcomer(dht);
    }
    while (holder->pending_first != POOL_NONE) {
        uint16_t index = holder->pending_first;
        holder->pending_first = ((struct dht_pending *)pool_at(&holder->pending, index))->next;
        close_pending(dht, index);
    }
    holder->pending_last = POOL_NONE;
    timer_stop(&dht->core->timers, &holder->sweep);
    timer_stop(&dht->core->timers, &holder->handover);
}

void dht_holder_meet(struct dht *dht, uint32_t peer)
{
    struct dht_holder *holder = &dht->holder;
    struct port *port = dht->core->port;
    if (dht->store.count == 0 || holder->newcomer_count == HOLDER_NEWCOMERS_MAX) {
        return;
    }
    port->ops->intern_retain(port, peer);
    holder->newcomers[holder->newcomer_count++] = peer;
    if (!timer_is_running(&holder->handover)) {
        timer_start(&dht->core->timers, &holder->handover, HANDOVER_US, on_handover);
    }
}

int dht_holder_keep(struct dht *dht, const struct record *record, uint32_t put_tag)
{
    uint16_t index;
    struct dht_pending *pending = dht->is_client ? NULL : open_pending(dht, &index);
    if (pending == NULL) {
        return ERR_FULL;
    }
    struct dht_held *held;
    enum dht_store_verdict verdict = dht_store_offer(&dht->store, record, 0, false, &held);
    if (verdict == STORE_WRITTEN || verdict == STORE_SAME) {
        /* One that is held already may still wait for the disk: a commit of nothing comes after it.
         */
        schedule(dht, held);
        pending->is_new = verdict == STORE_WRITTEN;
        pending->is_own = true;
        pending->put_tag = put_tag;
        return commit(dht, pending, index, held) ? ERR_OK : ERR_FULL;
    }
    close_pending(dht, index);
    return verdict == STORE_STALE ? ERR_STALE : ERR_FULL;
}

void dht_on_find_node(struct dht *dht, const struct message_from *from,
                      const struct message_find_node *request)
{
    struct message reply;
    reply.kind = MESSAGE_NODES;
    answer_nearest(dht, from, &request->target, request->count, &reply.nodes.contacts);
    (void)transport_reply(dht->transport, from, &reply);
}

void dht_on_find_value(struct dht *dht, const struct message_from *from,
                       const struct message_find_value *request)
{
    const struct dht_held *held = dht_store_find(&dht->store, &request->key);
    struct dht_stored stored;
    struct message reply;
    reply.kind = MESSAGE_VALUE;
    reply.value.has_record = held != NULL && dht_store_read(&dht->store, held, &stored);
    if (reply.value.has_record) {
        reply.value.is_cached = stored.is_cached;
        reply.value.age_s = stored.age_s;
        reply.value.record = stored.record;
    } else {
        answer_nearest(dht, from, &request->key, request->count, &reply.value.contacts);
    }
    (void)transport_reply(dht->transport, from, &reply);
}

void dht_on_store(struct dht *dht, const struct message_from *from,
                  const struct message_store *request)
{
    uint16_t index;
    struct dht_pending *pending = open_pending(dht, &index);
    if (pending == NULL) {
        answer_stored(dht, from, STORED_FULL, false, 0);
        return;
    }
    struct dht_held *held;
    enum dht_store_verdict verdict =
        dht_store_offer(&dht->store, &request->record, request->age_s, request->is_cache, &held);
    if (verdict == STORE_WRITTEN || verdict == STORE_SAME) {
        struct port *port = dht->core->port;
        if (!request->is_cache) {
            schedule(dht, held);
        }
        port->ops->intern_retain(port, from->peer);
        pending->is_new = verdict == STORE_WRITTEN;
        pending->from = *from;
        if (!commit(dht, pending, index, held)) {
            answer_stored(dht, from, STORED_FULL, false, 0);
        }
        return;
    }
    close_pending(dht, index);
    uint64_t sequence = held != NULL ? held->sequence : 0;
    if (verdict == STORE_INVALID || verdict == STORE_FORGED) {
        if (verdict == STORE_FORGED) {
            transport_offend(dht->transport, from->peer, GUARD_FORGED);
        }
        count(&dht->core->counters, COUNT_MALFORMED);
        answer_stored(dht, from, STORED_INVALID, false, sequence);
    } else {
        answer_stored(dht, from, verdict == STORE_STALE ? STORED_STALE : STORED_FULL, false,
                      sequence);
    }
}

void dht_on_durable(struct dht *dht, uint64_t ticket, int status)
{
    struct dht_holder *holder = &dht->holder;
    while (holder->pending_first != POOL_NONE) {
        uint16_t index = holder->pending_first;
        struct dht_pending *pending = pool_at(&holder->pending, index);
        if (pending->ticket > ticket) {
            return;
        }
        holder->pending_first = pending->next;
        if (holder->pending_first == POOL_NONE) {
            holder->pending_last = POOL_NONE;
        }
        on_settled(dht, pending, status);
        close_pending(dht, index);
    }
}

/* The nearest to the target, the asker left out: it knows itself. */
static void answer_nearest(const struct dht *dht, const struct message_from *from,
                           const struct node_id *target, uint32_t wanted,
                           struct message_contacts *contacts)
{
    uint32_t max = wanted < dht->config->k ? wanted : dht->config->k;
    contacts->count = dht_table_nearest(&dht->table, target, contacts->handles, max);
    for (uint32_t i = 0; i < contacts->count; i++) {
        if (contacts->handles[i] != from->peer) {
            continue;
        }
        uint32_t nearest[DHT_K_MAX + 1];
        uint32_t found = dht_table_nearest(&dht->table, target, nearest, max + 1);
        contacts->count = 0;
        for (uint32_t j = 0; j < found; j++) {
            if (nearest[j] != from->peer) {
                contacts->handles[contacts->count++] = nearest[j];
            }
        }
        return;
    }
}

static struct dht_pending *open_pending(struct dht *dht, uint16_t *index)
{
    struct dht_pending *pending = pool_get(&dht->holder.pending, index);
    if (pending != NULL) {
        pending->next = POOL_NONE;
        pending->from.peer = PORT_INTERN_NONE;
    }
    return pending;
}

static void close_pending(struct dht *dht, uint16_t index)
{
    struct port *port = dht->core->port;
    const struct dht_pending *pending = pool_at(&dht->holder.pending, index);
    if (pending->from.peer != PORT_INTERN_NONE) {
        port->ops->intern_release(port, pending->from.peer);
    }
    pool_put(&dht->holder.pending, index);
}

/* Commits, and queues the promise behind those before it. False (and closed) when the disk refuses.
 */
static bool commit(struct dht *dht, struct dht_pending *pending, uint16_t index,
                   const struct dht_held *held)
{
    struct dht_holder *holder = &dht->holder;
    pending->key = held->key;
    pending->sequence = held->sequence;
    if (core_commit(dht->core, &pending->ticket) != ERR_OK) {
        on_refused(dht, pending);
        close_pending(dht, index);
        return false;
    }
    if (holder->pending_last == POOL_NONE) {
        holder->pending_first = index;
    } else {
        ((struct dht_pending *)pool_at(&holder->pending, holder->pending_last))->next = index;
    }
    holder->pending_last = index;
    start_sweep(dht);
    return true;
}

/* The disk has spoken. */
static void on_settled(struct dht *dht, const struct dht_pending *pending, int status)
{
    if (status != ERR_OK) {
        on_refused(dht, pending);
    }
    if (pending->is_own) {
        dht_publish_on_own(dht, pending->put_tag, status);
    } else {
        answer_stored(dht, &pending->from, status == ERR_OK ? STORED_OK : STORED_FULL,
                      status == ERR_OK, pending->sequence);
    }
}

/* What the disk has not taken is not held, even while this run could still read it. */
static void on_refused(struct dht *dht, const struct dht_pending *pending)
{
    const struct dht_held *held = dht_store_find(&dht->store, &pending->key);
    if (pending->is_new && held != NULL && held->sequence == pending->sequence) {
        dht_store_drop(&dht->store, &pending->key);
    }
}

static void answer_stored(struct dht *dht, const struct message_from *from, uint8_t status,
                          bool is_durable, uint64_t sequence)
{
    struct message reply = {
        .kind = MESSAGE_STORED,
        .stored = {.status = status, .is_durable = is_durable, .sequence = sequence},
    };
    (void)transport_reply(dht->transport, from, &reply);
}

/* A record that has just come in, from wherever, need not be republished for a while: whoever sent
 * it has sent it to the others too (paper 2.5). The jitter lets one holder be first. */
static void schedule(struct dht *dht, struct dht_held *held)
{
    uint64_t period_us = dht->config->republish_us;
    uint64_t jitter_us = period_us * REPUBLISH_JITTER / 100;
    uint64_t delay_us = period_us - jitter_us + rng_below(&dht->core->rng, 2 * jitter_us);
    held->republish_s = now_s(dht) + (uint32_t)(delay_us / 1000000);
}

static uint32_t now_s(const struct dht *dht)
{
    return (uint32_t)(core_now(dht->core) / 1000000);
}

static void start_sweep(struct dht *dht)
{
    if (!timer_is_running(&dht->holder.sweep)) {
        timer_start(&dht->core->timers, &dht->holder.sweep, SWEEP_US, on_sweep);
    }
}

static void on_sweep(struct timer *timer)
{
    struct dht *dht = container_of(timer, struct dht, holder.sweep);
    uint64_t ticket;
    if (dht_store_sweep(&dht->store) > 0) {
        (void)core_commit(dht->core, &ticket);
    }
    republish_next(dht);
    if (dht->store.count > 0) {
        start_sweep(dht);
    }
}

/* One at a time; the end of one starts the next. */
static void republish_next(struct dht *dht)
{
    for (uint32_t i = 0; i < dht->store.count && !dht->holder.is_republishing; i++) {
        const struct dht_held *held = &dht->store.held[i];
        bool is_due = (int32_t)(now_s(dht) - held->republish_s) >= 0;
        if (!is_due || held->is_cached || held->is_outside) {
            continue;
        }
        if (dht_lookup(dht, &held->key, LOOKUP_NODE, on_republish, dht, 0) != ERR_OK) {
            return; /* All lookups are taken: the next sweep tries again. */
        }
        dht->holder.is_republishing = true;
    }
}

static void on_republish(void *owner, uint32_t tag, const struct lookup_result *result)
{
    (void)tag;
    struct dht *dht = owner;
    dht->holder.is_republishing = false;
    if (result->status == ERR_STOPPED) {
        return;
    }
    struct dht_held *held = dht_store_find(&dht->store, &result->target);
    struct dht_stored stored;
    if (held != NULL) {
        schedule(dht, held);
    }
    if (held != NULL && !held->is_cached && dht_store_read(&dht->store, held, &stored)) {
        for (uint32_t i = 0; i < result->count; i++) {
            dht_publish_send(dht, result->nearest[i], &stored.record, stored.age_s, false);
        }
        if (result->count == dht->config->k) {
            const struct contact *farthest =
                contact_at(dht->core->port, result->nearest[result->count - 1]);
            held->is_outside = node_id_closer(&farthest->id, &dht->identity->id, &held->key) < 0;
        }
    }
    republish_next(dht);
}

/* Looks at the records for the first of the newcomers, a few stores at a time. */
static void on_handover(struct timer *timer)
{
    struct dht *dht = container_of(timer, struct dht, holder.handover);
    struct dht_holder *holder = &dht->holder;
    uint32_t sent = 0;
    while (holder->newcomer_count > 0 && sent < HOLDER_HANDOVERS_PER_TICK) {
        if (holder->handover_next >= dht->store.count) {
            forget_newcomer(dht);
            continue;
        }
        const struct dht_held *held = &dht->store.held[holder->handover_next++];
        struct dht_stored stored;
        if (is_to_hand_over(dht, held, holder->newcomers[0]) &&
            dht_store_read(&dht->store, held, &stored) && stored.age_s < stored.record.expiry_s) {
            dht_publish_send(dht, holder->newcomers[0], &stored.record, stored.age_s, false);
            sent++;
        }
    }
    if (holder->newcomer_count > 0) {
        timer_start(&dht->core->timers, timer, HANDOVER_US, on_handover);
    }
}

/* Whether the newcomer is among the k nearest to the key that we know, and we among the few whose
 * business it is to tell it. */
static bool is_to_hand_over(const struct dht *dht, const struct dht_held *held, uint32_t peer)
{
    if (held->is_cached) {
        return false;
    }
    /* Whoever is in the key's bucket shares a bit more with the key than we do: all of them are
     * nearer. Most records end here. */
    uint32_t bucket = dht_table_bucket_of(&dht->table, &held->key);
    if (bucket < DHT_BUCKETS - 1 &&
        dht_table_bucket_count(&dht->table, bucket) > HOLDER_HANDOVER_RANK) {
        return false;
    }
    const struct port *port = dht->core->port;
    uint32_t nearest[DHT_K_MAX];
    uint32_t found = dht_table_nearest(&dht->table, &held->key, nearest, dht->config->k);
    uint32_t nearer_than_us = 0;
    bool is_near = false;
    for (uint32_t i = 0; i < found; i++) {
        const struct contact *contact = contact_at(port, nearest[i]);
        is_near |= nearest[i] == peer;
        nearer_than_us +=
            nearest[i] != peer && node_id_closer(&contact->id, &dht->identity->id, &held->key) < 0;
    }
    return is_near && nearer_than_us < HOLDER_HANDOVER_RANK;
}

static void forget_newcomer(struct dht *dht)
{
    struct dht_holder *holder = &dht->holder;
    struct port *port = dht->core->port;
    port->ops->intern_release(port, holder->newcomers[0]);
    holder->newcomer_count--;
    memmove(holder->newcomers, holder->newcomers + 1,
            holder->newcomer_count * sizeof holder->newcomers[0]);
    holder->handover_next = 0;
}
