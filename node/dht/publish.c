/* publish.c - the course of a put: number, sign, find the place, store, count who kept it. */
#include "node/dht/publish.h"

#include <string.h>

#include "node/base/must.h"
#include "node/dht/dht.h"

enum {
    RETRY_US = 50000, /* When every call of the transport is taken. */
};

static int publish_own(struct dht *dht, const struct record *record, put_fn done, void *owner,
                       uint32_t tag);
static struct dht_put *open_put(struct dht *dht, put_fn done, void *owner, uint32_t tag);
static void close_put(struct dht *dht, struct dht_put *put);
static struct dht_put *put_of(struct dht *dht, uint32_t put_tag);
static void on_read(void *owner, uint32_t tag, const struct lookup_result *result);
static void on_placed(void *owner, uint32_t tag, const struct lookup_result *result);
static bool is_near(const struct dht *dht, const struct node_id *key,
                    const struct lookup_result *result);
static void send_stores(struct dht *dht, struct dht_put *put);
static void on_retry(struct timer *timer);
static void on_stored(void *owner, const struct call_result *result);
static void settle(struct dht *dht, struct dht_put *put);
static void report(struct dht *dht, struct dht_put *put, int status);
static void ignore(void *owner, const struct call_result *result);

int dht_publish_init(struct dht *dht)
{
    return pool_init(&dht->publish.pool, &dht->core->arena, ARENA_RECORDS, sizeof(struct dht_put),
                     1, dht->config->lookups_max);
}

void dht_publish_stop(struct dht *dht)
{
    for (uint16_t i = 0; i < dht->publish.pool.made; i++) {
        struct dht_put *put = pool_peek(&dht->publish.pool, i);
        if (put != NULL && put->serial != 0) {
            report(dht, put, ERR_STOPPED);
            close_put(dht, put);
        }
    }
    timer_stop(&dht->core->timers, &dht->publish.retry);
}

int dht_put(struct dht *dht, const struct record *record, put_fn done, void *owner, uint32_t tag)
{
    if (dht->is_stopping) {
        return ERR_STOPPED;
    }
    if (record->expiry_s == 0 || !record_is_valid(dht->core->port, record)) {
        return ERR_INVALID;
    }
    struct dht_put *put = open_put(dht, done, owner, tag);
    if (put == NULL) {
        return ERR_FULL;
    }
    record_key(&put->key, record);
    dht_record_copy(&put->copy, record);
    int status = dht_lookup(dht, &put->key, LOOKUP_NODE, on_placed, dht,
                            dht_slot_tag(put->index, put->serial));
    if (status != ERR_OK) {
        close_put(dht, put);
    }
    return status;
}

int dht_publish(struct dht *dht, enum record_kind kind, uint32_t salt, struct slice value,
                put_fn done, void *owner, uint32_t tag)
{
    if (value.len > RECORD_VALUE_MAX) {
        return ERR_TOO_LARGE;
    }
    struct record record = {.kind = (uint8_t)kind, .expiry_s = dht->config->expiry_s};
    if (kind == RECORD_IMMUTABLE) {
        record.value = value;
        return dht_put(dht, &record, done, owner, tag);
    }
    record.salt = salt;
    memcpy(record.publisher, dht->identity->public_key, sizeof record.publisher);
    if (kind == RECORD_MUTABLE) {
        record.value = value;
    } else {
        record.expiry_s = RECORD_TOMBSTONE_S;
    }
    return publish_own(dht, &record, done, owner, tag);
}

int dht_publish_presence(struct dht *dht, struct slice value, uint32_t expiry_s, put_fn done,
                         void *owner, uint32_t tag)
{
    must(value.len <= RECORD_VALUE_MAX);
    struct record record = {.kind = RECORD_PRESENCE, .value = value};
    record.expiry_s = expiry_s < dht->config->expiry_s ? expiry_s : dht->config->expiry_s;
    memcpy(record.publisher, dht->identity->public_key, sizeof record.publisher);
    return publish_own(dht, &record, done, owner, tag);
}

/* Reads first: the sequence goes on from what is there. */
static int publish_own(struct dht *dht, const struct record *record, put_fn done, void *owner,
                       uint32_t tag)
{
    if (dht->is_stopping) {
        return ERR_STOPPED;
    }
    struct dht_put *put = open_put(dht, done, owner, tag);
    if (put == NULL) {
        return ERR_FULL;
    }
    record_key(&put->key, record);
    dht_record_copy(&put->copy, record);
    int status = dht_lookup(dht, &put->key, LOOKUP_VALUE, on_read, dht,
                            dht_slot_tag(put->index, put->serial));
    if (status != ERR_OK) {
        close_put(dht, put);
    }
    return status;
}

void dht_publish_on_own(struct dht *dht, uint32_t put_tag, int status)
{
    struct dht_put *put = put_of(dht, put_tag);
    if (put == NULL) {
        return; /* The node is stopping. */
    }
    put->in_flight--;
    put->holders = (uint8_t)(put->holders + (status == ERR_OK));
    settle(dht, put);
}

void dht_publish_send(struct dht *dht, uint32_t peer, const struct record *record, uint32_t age_s,
                      bool is_cached)
{
    struct message request = {
        .kind = MESSAGE_STORE,
        .store = {.age_s = age_s, .is_cache = is_cached, .record = *record},
    };
    struct call_options options = {.done = ignore, .owner = dht};
    /* No call free: the next read or republish mends what this one would have. */
    (void)transport_call(dht->transport, peer, &request, &options);
}

static struct dht_put *open_put(struct dht *dht, put_fn done, void *owner, uint32_t tag)
{
    must(done != NULL);
    uint16_t index;
    struct dht_put *put = pool_get(&dht->publish.pool, &index);
    if (put == NULL) {
        return NULL;
    }
    put->serial = dht_serial_next(&dht->publish.serial_last);
    put->index = index;
    put->done = done;
    put->owner = owner;
    put->tag = tag;
    put->started_us = core_now(dht->core);
    return put;
}

static void close_put(struct dht *dht, struct dht_put *put)
{
    struct port *port = dht->core->port;
    for (uint32_t i = 0; i < put->target_count; i++) {
        port->ops->intern_release(port, put->targets[i]);
    }
    put->serial = 0;
    pool_put(&dht->publish.pool, put->index);
}

static struct dht_put *put_of(struct dht *dht, uint32_t put_tag)
{
    struct dht_put *put = pool_peek(&dht->publish.pool, put_tag >> 16);
    return put != NULL && put->serial == (uint16_t)put_tag ? put : NULL;
}

/* What is there under our mutable key: the record takes the next sequence and our signature. */
static void on_read(void *owner, uint32_t tag, const struct lookup_result *result)
{
    struct dht *dht = owner;
    struct dht_put *put = put_of(dht, tag);
    if (put == NULL) {
        return;
    }
    struct record *record = &put->copy.record;
    record->sequence = result->record != NULL ? result->record->sequence + 1 : 1;
    int status = result->status;
    if (status == ERR_OK || status == ERR_MISSING || status == ERR_UNREACHABLE) {
        record_sign(dht->core->port, record, dht->identity->public_key, dht->identity->secret_key);
        status = dht_lookup(dht, &put->key, LOOKUP_NODE, on_placed, dht, tag);
    }
    if (status != ERR_OK) {
        report(dht, put, status);
        close_put(dht, put);
    }
}

static void on_placed(void *owner, uint32_t tag, const struct lookup_result *result)
{
    struct dht *dht = owner;
    struct port *port = dht->core->port;
    struct dht_put *put = put_of(dht, tag);
    if (put == NULL) {
        return;
    }
    put->is_placed = true;
    for (uint32_t i = 0; i < result->count; i++) {
        port->ops->intern_retain(port, result->nearest[i]);
        put->targets[put->target_count++] = result->nearest[i];
    }
    if (is_near(dht, &put->key, result)) {
        int status = dht_holder_keep(dht, &put->copy.record, tag);
        put->in_flight = (uint8_t)(put->in_flight + (status == ERR_OK));
        put->is_stale |= status == ERR_STALE;
    }
    send_stores(dht, put);
}

/* Whether we are among the k nearest to the key ourselves. */
static bool is_near(const struct dht *dht, const struct node_id *key,
                    const struct lookup_result *result)
{
    if (result->count < dht->config->k || dht->is_client) {
        return !dht->is_client;
    }
    const struct contact *farthest =
        contact_at(dht->core->port, result->nearest[result->count - 1]);
    return node_id_closer(&dht->identity->id, &farthest->id, key) < 0;
}

static void send_stores(struct dht *dht, struct dht_put *put)
{
    struct message request = {.kind = MESSAGE_STORE, .store = {.record = put->copy.record}};
    struct call_options options = {
        .done = on_stored, .owner = dht, .tag = dht_slot_tag(put->index, put->serial)};
    request.store.age_s =
        (uint32_t)((core_now(dht->core) - put->started_us) / 1000000); /* Signed at the start. */
    while (put->target_next < put->target_count) {
        int status =
            transport_call(dht->transport, put->targets[put->target_next], &request, &options);
        if (status == ERR_FULL) {
            break;
        }
        put->target_next++;
        put->in_flight = (uint8_t)(put->in_flight + (status >= 0));
    }
    if (put->target_next < put->target_count && put->in_flight == 0 &&
        !timer_is_running(&dht->publish.retry)) {
        timer_start(&dht->core->timers, &dht->publish.retry, RETRY_US, on_retry);
    }
    settle(dht, put);
}

static void on_retry(struct timer *timer)
{
    struct dht *dht = container_of(timer, struct dht, publish.retry);
    for (uint16_t i = 0; i < dht->publish.pool.made; i++) {
        struct dht_put *put = pool_peek(&dht->publish.pool, i);
        if (put != NULL && put->serial != 0 && put->is_placed) {
            send_stores(dht, put);
        }
    }
}

static void on_stored(void *owner, const struct call_result *result)
{
    struct dht *dht = owner;
    struct dht_put *put = put_of(dht, result->tag);
    if (put == NULL || result->outcome == CALL_SLOW) {
        return;
    }
    put->in_flight--;
    if (result->outcome == CALL_ANSWERED && result->answer->kind == MESSAGE_STORED) {
        const struct message_stored *stored = &result->answer->stored;
        put->holders =
            (uint8_t)(put->holders + (stored->status == STORED_OK && stored->is_durable));
        put->is_stale |= stored->status == STORED_STALE;
    }
    send_stores(dht, put);
}

/* In a mesh of fewer than store_ack_min nodes all of them are enough: everybody we know of, and we
 * know somebody, has it on disk, and so have we. */
static bool is_held_by_all(const struct dht *dht, const struct dht_put *put)
{
    return put->target_count > 0 && dht->table.count <= put->target_count &&
           put->holders == put->target_count + 1;
}

/* Reports as soon as the outcome is certain, and closes when nothing is under way any more. */
static void settle(struct dht *dht, struct dht_put *put)
{
    bool is_finished = put->in_flight == 0 && put->target_next == put->target_count;
    if (put->holders >= dht->config->store_ack_min || is_held_by_all(dht, put)) {
        report(dht, put, ERR_OK);
    } else if (is_finished) {
        report(dht, put, put->is_stale ? ERR_STALE : ERR_UNREACHABLE);
    }
    if (is_finished) {
        close_put(dht, put);
    }
}

static void report(struct dht *dht, struct dht_put *put, int status)
{
    if (put->is_reported) {
        return;
    }
    put->is_reported = true;
    struct put_result result = {
        .status = status,
        .key = put->key,
        .took_us = (uint32_t)(core_now(dht->core) - put->started_us),
        .holders = put->holders,
    };
    put->done(put->owner, put->tag, &result);
}

static void ignore(void *owner, const struct call_result *result)
{
    (void)owner;
    (void)result;
}
