/* lookup.c - the course of a lookup: whom to ask, what answers mean, when it is over. */
#include "node/dht/lookup.h"

#include <string.h>

#include "node/base/must.h"
#include "node/dht/dht.h"

enum {
    /* When every call of the transport is taken: about a third of a usual round trip. */
    RETRY_US = 50000,
};

static struct dht_lookup *open_lookup(struct dht *dht, const struct node_id *target,
                                      enum lookup_kind kind);
static void begin(struct dht *dht, struct dht_lookup *lookup);
static void look_at_home(struct dht *dht, struct dht_lookup *lookup);
static void kick(struct dht *dht, uint64_t delay_us);
static void on_kick(struct timer *timer);
static void advance(struct dht *dht, struct dht_lookup *lookup);
static bool is_over(const struct dht *dht, const struct dht_lookup *lookup);
static void ask_more(struct dht *dht, struct dht_lookup *lookup);
static int ask(struct dht *dht, struct dht_lookup *lookup, struct shortlist_entry *entry);
static void on_call(void *owner, const struct call_result *result);
static bool on_answer(struct dht *dht, struct dht_lookup *lookup, struct shortlist_entry *entry,
                      const struct message *answer);
static void on_contacts(struct dht *dht, struct dht_lookup *lookup, struct shortlist_entry *entry,
                        const struct message_contacts *contacts);
static bool on_record(struct dht *dht, struct dht_lookup *lookup, struct shortlist_entry *entry,
                      const struct message_value *value);
static bool weigh(struct dht *dht, struct dht_lookup *lookup, struct shortlist_entry *entry,
                  const struct record *record, uint32_t age_s);
static void end_at_home(struct dht *dht, struct dht_lookup *lookup);
static void end_with_candidate(struct dht *dht, struct dht_lookup *lookup, bool is_complete);
static void repair(struct dht *dht, struct dht_lookup *lookup, bool is_complete);
static void cache(struct dht *dht, struct dht_lookup *lookup, const struct record *record,
                  uint32_t age_s);
static void end(struct dht *dht, struct dht_lookup *lookup, struct lookup_result *result);
static const struct dht_candidate *candidate_of(const struct dht *dht,
                                                const struct dht_lookup *lookup);

int dht_lookups_init(struct dht *dht)
{
    struct dht_lookups *lookups = &dht->lookups;
    uint16_t max = dht->config->lookups_max;
    int status = pool_init(&lookups->pool, &dht->core->arena, ARENA_LOOKUPS,
                           sizeof(struct dht_lookup), 1, max);
    if (status != ERR_OK) {
        return status;
    }
    /* One more: the owner of a lookup that ends reads its candidate while it may start the next. */
    return pool_init(&lookups->candidates, &dht->core->arena, ARENA_LOOKUPS,
                     sizeof(struct dht_candidate), 1, (uint16_t)(max + 1));
}

void dht_lookups_stop(struct dht *dht)
{
    struct dht_lookups *lookups = &dht->lookups;
    for (uint16_t i = 0; i < lookups->pool.made; i++) {
        struct dht_lookup *lookup = pool_peek(&lookups->pool, i);
        if (lookup != NULL && lookup->serial != 0) {
            end(dht, lookup, &(struct lookup_result){.status = ERR_STOPPED});
        }
    }
    timer_stop(&dht->core->timers, &lookups->kick);
}

int dht_lookup(struct dht *dht, const struct node_id *target, enum lookup_kind kind, lookup_fn done,
               void *owner, uint32_t tag)
{
    must(done != NULL);

    if (dht->is_stopping) {
        return ERR_STOPPED;
    }
    struct dht_lookup *lookup = open_lookup(dht, target, kind);
    if (lookup == NULL) {
        count(&dht->core->counters, COUNT_LOOKUPS_REFUSED);
        return ERR_FULL;
    }
    lookup->done = done;
    lookup->owner = owner;
    lookup->tag = tag;
    count(&dht->core->counters, COUNT_LOOKUPS);
    dht_upkeep_on_lookup(dht, target);
    if (!dht_delegate_lookup(dht, lookup)) {
        begin(dht, lookup);
    }
    return ERR_OK;
}

static void begin(struct dht *dht, struct dht_lookup *lookup)
{
    const struct node_id *target = &lookup->list.target;
    uint32_t nearest[DHT_K_MAX];
    uint32_t found = dht_table_nearest(&dht->table, target, nearest, dht->config->k);
    dht_shortlist_merge(&lookup->list, nearest, found, 1);
    if (lookup->kind == LOOKUP_VALUE) {
        look_at_home(dht, lookup);
    }
    if (lookup->is_local || is_over(dht, lookup)) {
        kick(dht, 0);
    } else {
        ask_more(dht, lookup);
    }
}

void dht_lookup_take_back(struct dht *dht, struct dht_lookup *lookup)
{
    must(lookup->given_until_us != 0);
    lookup->given_until_us = 0;
    begin(dht, lookup);
}

bool dht_lookup_end_given(struct dht *dht, struct dht_lookup *lookup, uint32_t server,
                          const struct message_sought *sought)
{
    const struct message_value *value = &sought->value;
    struct lookup_result result = {.status = sought->is_found ? ERR_OK : ERR_MISSING,
                                   .hops = (uint8_t)(sought->hops + (sought->hops < UINT8_MAX))};
    if (value->has_record) {
        struct node_id key;
        record_key(&key, &value->record);
        if (lookup->kind != LOOKUP_VALUE || !node_id_equal(&key, &lookup->list.target) ||
            value->age_s >= value->record.expiry_s ||
            !record_is_valid(dht->core->port, &value->record)) {
            return false;
        }
        result.record = &value->record;
        result.age_s = value->age_s;
        result.status = value->record.kind == RECORD_TOMBSTONE ? ERR_MISSING : ERR_OK;
    } else {
        if (sought->is_found && lookup->kind == LOOKUP_VALUE) {
            return false;
        }
        /* It does not name itself. */
        (void)dht_shortlist_merge(&lookup->list, &server, 1, 1);
        (void)dht_shortlist_merge(&lookup->list, value->contacts.handles, value->contacts.count,
                                  result.hops);
        for (uint32_t i = 0; i < lookup->list.count; i++) {
            lookup->list.entries[i].state = ENTRY_ANSWERED;
        }
        result.status = ERR_MISSING; /* Unless somebody was found: see end(). */
    }
    lookup->given_until_us = 0;
    end(dht, lookup, &result);
    return true;
}

const char *dht_lookups_check(const struct dht *dht)
{
    const struct pool *pool = &dht->lookups.pool;
    uint32_t running = 0;
    for (uint16_t i = 0; i < pool->made; i++) {
        const struct dht_lookup *lookup = pool_peek(pool, i);
        bool is_live = lookup != NULL && lookup->serial != 0;
        const char *wrong = is_live ? dht_shortlist_check(&lookup->list) : NULL;
        if (wrong != NULL) {
            return wrong;
        }
        running += is_live;
    }
    return running == pool->count ? NULL : "dht lookups: the count of running ones is wrong";
}

static struct dht_lookup *open_lookup(struct dht *dht, const struct node_id *target,
                                      enum lookup_kind kind)
{
    uint16_t index;
    struct dht_lookup *lookup = pool_get(&dht->lookups.pool, &index);
    if (lookup == NULL) {
        return NULL;
    }
    lookup->serial = dht_serial_next(&dht->lookups.serial_last);
    lookup->index = index;
    lookup->kind = (uint8_t)kind;
    lookup->started_us = core_now(dht->core);
    lookup->candidate = POOL_NONE;
    dht_shortlist_init(&lookup->list, dht->core->port, &dht->identity->id, target,
                       dht->config->group_result_max);
    return lookup;
}

/* Our own storage answers first: alone for what cannot change, as one holder for what can. */
static void look_at_home(struct dht *dht, struct dht_lookup *lookup)
{
    const struct dht_held *held = dht_store_find(&dht->store, &lookup->list.target);
    struct dht_stored stored;
    if (held == NULL || !dht_store_read(&dht->store, held, &stored)) {
        return;
    }
    if (stored.record.kind == RECORD_IMMUTABLE) {
        lookup->is_local = true;
    } else {
        (void)weigh(dht, lookup, NULL, &stored.record, stored.age_s);
    }
}

/* Looks at all lookups again after delay_us, or sooner if that was asked for. */
static void kick(struct dht *dht, uint64_t delay_us)
{
    struct timer *timer = &dht->lookups.kick;
    if (!timer_is_running(timer) || timer->due_us > core_now(dht->core) + delay_us) {
        timer_start(&dht->core->timers, timer, delay_us, on_kick);
    }
}

static void on_kick(struct timer *timer)
{
    struct dht *dht = container_of(timer, struct dht, lookups.kick);
    for (uint16_t i = 0; i < dht->lookups.pool.made; i++) {
        struct dht_lookup *lookup = pool_peek(&dht->lookups.pool, i);
        if (lookup != NULL && lookup->serial != 0) {
            advance(dht, lookup);
        }
    }
}

static void advance(struct dht *dht, struct dht_lookup *lookup)
{
    if (lookup->given_until_us != 0) {
        return; /* Somebody else is at it. */
    }
    if (lookup->is_local) {
        end_at_home(dht, lookup);
    } else if (!is_over(dht, lookup)) {
        ask_more(dht, lookup);
    } else if (lookup->candidate != POOL_NONE) {
        end_with_candidate(dht, lookup, true);
    } else {
        end(dht, lookup, &(struct lookup_result){.status = ERR_MISSING});
    }
}

/* Whether the k nearest of those that did not fail have answered, enough holders agree, or the
 * lookup has asked more than any honest one would. */
static bool is_over(const struct dht *dht, const struct dht_lookup *lookup)
{
    const struct dht_shortlist *list = &lookup->list;
    if (lookup->candidate != POOL_NONE && lookup->agreeing >= dht->config->read_agree_min) {
        return true;
    }
    bool is_waiting = false;
    bool is_complete = true;
    for (uint32_t i = 0; i < list->count && i < dht->config->k; i++) {
        is_waiting |= list->entries[i].state == ENTRY_ASKED || list->entries[i].state == ENTRY_SLOW;
        is_complete &= list->entries[i].state == ENTRY_ANSWERED;
    }
    return is_complete || (lookup->messages >= LOOKUP_REQUESTS_MAX && !is_waiting);
}

/* Asks the nearest that were not asked yet. Those that are slow count neither among the requests
 * under way nor among the k nearest: should they fail, their substitutes have been asked already.
 */
static void ask_more(struct dht *dht, struct dht_lookup *lookup)
{
    struct dht_shortlist *list = &lookup->list;
    uint32_t waiting = 0;
    uint32_t asked = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        asked += list->entries[i].state == ENTRY_ASKED;
        waiting += list->entries[i].state == ENTRY_ASKED || list->entries[i].state == ENTRY_SLOW;
    }
    /* Kademlia paper 2.3: nothing nearer is coming in, so all that is left is asked at once. */
    uint32_t asked_max = lookup->barren >= dht->config->alpha ? DHT_K_MAX : dht->config->alpha;
    uint32_t reach = 0;
    uint32_t i = 0;
    while (i < list->count && reach < dht->config->k && asked < asked_max &&
           lookup->messages < LOOKUP_REQUESTS_MAX) {
        struct shortlist_entry *entry = &list->entries[i];
        if (entry->state == ENTRY_NEW) {
            int status = ask(dht, lookup, entry);
            if (status == ERR_FULL) {
                break;
            }
            if (status < 0) {
                dht_shortlist_fail(list, entry); /* The next one has moved to its place. */
                continue;
            }
            asked++;
            waiting++;
        }
        reach += entry->state != ENTRY_SLOW;
        i++;
    }
    if (waiting == 0) {
        kick(dht, is_over(dht, lookup) ? 0 : RETRY_US);
    }
}

static int ask(struct dht *dht, struct dht_lookup *lookup, struct shortlist_entry *entry)
{
    struct message request;
    if (lookup->kind == LOOKUP_NODE) {
        request.kind = MESSAGE_FIND_NODE;
        request.find_node =
            (struct message_find_node){.target = lookup->list.target, .count = dht->config->k};
    } else {
        request.kind = MESSAGE_FIND_VALUE;
        request.find_value =
            (struct message_find_value){.key = lookup->list.target, .count = dht->config->k};
    }
    struct call_options options = {
        .done = on_call,
        .owner = dht,
        .tag = dht_slot_tag(lookup->index, lookup->serial),
    };
    int status = transport_call(dht->transport, entry->peer, &request, &options);
    if (status >= 0) {
        entry->state = ENTRY_ASKED;
        lookup->messages++;
    }
    return status;
}

static void on_call(void *owner, const struct call_result *result)
{
    struct dht *dht = owner;
    struct dht_lookup *lookup = pool_peek(&dht->lookups.pool, result->tag >> 16);
    if (lookup == NULL || lookup->serial != (uint16_t)result->tag) {
        return; /* Its lookup has ended. */
    }
    struct shortlist_entry *entry = dht_shortlist_find(&lookup->list, result->peer);
    if (entry == NULL) {
        advance(dht, lookup); /* Nearer ones have pushed it out of sight. */
        return;
    }
    bool has_ended = false;
    switch (result->outcome) {
    case CALL_ANSWERED:
        has_ended = on_answer(dht, lookup, entry, result->answer);
        break;
    case CALL_SLOW:
        entry->state = ENTRY_SLOW;
        break;
    case CALL_LOST:
        dht_shortlist_fail(&lookup->list, entry);
        break;
    }
    if (!has_ended) {
        advance(dht, lookup);
    }
}

/* True when the answer ended the lookup. */
static bool on_answer(struct dht *dht, struct dht_lookup *lookup, struct shortlist_entry *entry,
                      const struct message *answer)
{
    entry->state = ENTRY_ANSWERED;
    if (lookup->kind == LOOKUP_NODE && answer->kind == MESSAGE_NODES) {
        on_contacts(dht, lookup, entry, &answer->nodes.contacts);
        return false;
    }
    if (lookup->kind == LOOKUP_VALUE && answer->kind == MESSAGE_VALUE) {
        if (answer->value.has_record) {
            return on_record(dht, lookup, entry, &answer->value);
        }
        on_contacts(dht, lookup, entry, &answer->value.contacts);
        return false;
    }
    count(&dht->core->counters, COUNT_MALFORMED);
    dht_shortlist_fail(&lookup->list, entry);
    return false;
}

static void on_contacts(struct dht *dht, struct dht_lookup *lookup, struct shortlist_entry *entry,
                        const struct message_contacts *contacts)
{
    uint8_t hops = entry->hops < UINT8_MAX ? (uint8_t)(entry->hops + 1) : UINT8_MAX;
    uint32_t known = contacts->count < dht->config->k ? contacts->count : dht->config->k;
    if (dht_shortlist_merge(&lookup->list, contacts->handles, known, hops)) {
        lookup->barren = 0;
    } else if (lookup->barren < UINT8_MAX) {
        lookup->barren++;
    }
}

static bool on_record(struct dht *dht, struct dht_lookup *lookup, struct shortlist_entry *entry,
                      const struct message_value *value)
{
    const struct record *record = &value->record;
    struct node_id key;
    record_key(&key, record);
    if (!node_id_equal(&key, &lookup->list.target) || !record_is_valid(dht->core->port, record)) {
        count(&dht->core->counters, COUNT_MALFORMED);
        transport_offend(dht->transport, entry->peer, GUARD_FORGED);
        dht_shortlist_fail(&lookup->list, entry);
        return false;
    }
    if (value->age_s >= record->expiry_s) {
        return false; /* It has answered, with nothing. */
    }
    if (record->kind != RECORD_IMMUTABLE) {
        return weigh(dht, lookup, entry, record, value->age_s);
    }
    entry->version = 1;
    if (dht->config->path_cache) {
        cache(dht, lookup, record, value->age_s);
    }
    end(dht, lookup,
        &(struct lookup_result){
            .status = ERR_OK, .record = record, .age_s = value->age_s, .hops = entry->hops});
    return true;
}

/* Compares a mutable record, from a holder or (entry NULL) our own storage, with the best so far.
 * True when that ended the lookup. */
static bool weigh(struct dht *dht, struct dht_lookup *lookup, struct shortlist_entry *entry,
                  const struct record *record, uint32_t age_s)
{
    struct pool *candidates = &dht->lookups.candidates;
    struct dht_candidate *best = NULL;
    int order = 1;
    if (lookup->candidate != POOL_NONE) {
        best = pool_at(candidates, lookup->candidate);
        order = record_compare(record, &best->copy.record);
    } else {
        best = pool_get(candidates, &lookup->candidate);
        if (best == NULL) {
            lookup->candidate = POOL_NONE;
            if (entry == NULL) {
                return false; /* Holders will be asked, and another try made then. */
            }
            end(dht, lookup, &(struct lookup_result){.status = ERR_FULL});
            return true;
        }
    }
    if (order > 0) {
        dht_record_copy(&best->copy, record);
        best->age_s = age_s;
        best->received_us = core_now(dht->core);
        best->hops = entry != NULL ? entry->hops : 0;
        lookup->version++;
        lookup->agreeing = 0;
    }
    if (entry != NULL) {
        /* Older ones keep a number of their own: it is never that of the best. */
        entry->version = order >= 0 ? lookup->version : UINT8_MAX;
    }
    lookup->agreeing = (uint8_t)(lookup->agreeing + (order >= 0));
    if (entry == NULL || lookup->agreeing < dht->config->read_agree_min) {
        return false;
    }
    end_with_candidate(dht, lookup, false);
    return true;
}

static void end_at_home(struct dht *dht, struct dht_lookup *lookup)
{
    const struct dht_held *held = dht_store_find(&dht->store, &lookup->list.target);
    struct dht_stored stored;
    lookup->is_local = false;
    if (held == NULL || !dht_store_read(&dht->store, held, &stored)) {
        advance(dht, lookup); /* It has expired within this very moment. */
        return;
    }
    end(dht, lookup,
        &(struct lookup_result){.status = ERR_OK, .record = &stored.record, .age_s = stored.age_s});
}

static void end_with_candidate(struct dht *dht, struct dht_lookup *lookup, bool is_complete)
{
    const struct dht_candidate *best = candidate_of(dht, lookup);
    uint64_t waited_s = (core_now(dht->core) - best->received_us) / 1000000;
    struct lookup_result result = {
        .status = best->copy.record.kind == RECORD_TOMBSTONE ? ERR_MISSING : ERR_OK,
        .record = &best->copy.record,
        .age_s = best->age_s + (uint32_t)waited_s,
        .hops = best->hops,
    };
    repair(dht, lookup, is_complete);
    end(dht, lookup, &result);
}

/* Read-repair: those that answered with an older record get the best one; when the k nearest have
 * answered, so do those among them that had none. */
static void repair(struct dht *dht, struct dht_lookup *lookup, bool is_complete)
{
    const struct dht_candidate *best = candidate_of(dht, lookup);
    const struct record *record = &best->copy.record;
    struct dht_shortlist *list = &lookup->list;
    for (uint32_t i = 0; i < list->count && i < dht->config->k; i++) {
        const struct shortlist_entry *entry = &list->entries[i];
        bool is_old = entry->version != 0 && entry->version != lookup->version;
        bool is_lacking = is_complete && entry->version == 0;
        if (entry->state == ENTRY_ANSWERED && (is_old || is_lacking)) {
            dht_publish_send(dht, entry->peer, record, best->age_s, false);
        }
    }
    struct dht_held *held = dht_store_find(&dht->store, &list->target);
    uint64_t ticket;
    if (held != NULL &&
        dht_store_offer(&dht->store, record, best->age_s, false, &held) == STORE_WRITTEN) {
        (void)core_commit(dht->core, &ticket);
    }
}

/* Kademlia paper 2.3: the nearest that was asked and did not have the value gets a copy. */
static void cache(struct dht *dht, struct dht_lookup *lookup, const struct record *record,
                  uint32_t age_s)
{
    for (uint32_t i = 0; i < lookup->list.count; i++) {
        const struct shortlist_entry *entry = &lookup->list.entries[i];
        if (entry->state == ENTRY_ANSWERED && entry->version == 0) {
            dht_publish_send(dht, entry->peer, record, age_s, true);
            return;
        }
    }
}

/* Completes the result, frees the lookup, then tells its owner: who may start the next one at once.
 */
static void end(struct dht *dht, struct dht_lookup *lookup, struct lookup_result *result)
{
    struct port *port = dht->core->port;
    struct dht_shortlist *list = &lookup->list;
    uint32_t nearest[DHT_K_MAX];
    uint8_t found = 0;
    for (uint32_t i = 0; i < list->count && i < dht->config->k; i++) {
        if (list->entries[i].state == ENTRY_ANSWERED) {
            if (found == 0 && result->record == NULL) {
                result->hops = list->entries[i].hops;
            }
            nearest[found++] = list->entries[i].peer;
            port->ops->intern_retain(port, list->entries[i].peer);
        }
    }
    if (result->status == ERR_MISSING && result->record == NULL) {
        int status = lookup->kind == LOOKUP_NODE ? ERR_OK : ERR_MISSING;
        result->status = found > 0 ? status : ERR_UNREACHABLE;
    }
    result->kind = lookup->kind;
    result->target = list->target;
    result->took_us = (uint32_t)(core_now(dht->core) - lookup->started_us);
    result->messages = lookup->messages;
    result->count = found;
    result->nearest = nearest;
    core_trace(dht->core, TRACE_LOOKUP_DONE, lookup->kind, result->took_us, result->messages,
               lookup->kind == LOOKUP_NODE ? found : result->status == ERR_OK);

    uint16_t candidate = lookup->candidate;
    lookup_fn done = lookup->done;
    void *owner = lookup->owner;
    uint32_t tag = lookup->tag;
    dht_shortlist_release(list);
    lookup->serial = 0;
    pool_put(&dht->lookups.pool, lookup->index);
    done(owner, tag, result);
    for (uint32_t i = 0; i < found; i++) {
        port->ops->intern_release(port, nearest[i]);
    }
    if (candidate != POOL_NONE) {
        pool_put(&dht->lookups.candidates, candidate);
    }
}

static const struct dht_candidate *candidate_of(const struct dht *dht,
                                                const struct dht_lookup *lookup)
{
    return pool_at(&dht->lookups.candidates, lookup->candidate);
}
