/* store.c - the index of held records, and their form on disk. */
#include "node/dht/store.h"

#include <string.h>

#include "node/base/must.h"
#include "node/wire/codec.h"

enum {
    CAP_FIRST = 8,
    DISK_KEY_LEN = 1 + NODE_ID_LEN,
    RECEIVED_LEN = 8,
};

static const uint8_t disk_prefix = 'r';

static uint32_t wall_s(const struct dht_store *store);
static uint32_t lower_bound(const struct dht_store *store, const struct node_id *key);
static struct dht_held *find_any(const struct dht_store *store, const struct node_id *key);
static void disk_key(uint8_t out[DISK_KEY_LEN], const struct node_id *key);
static bool parse(const struct dht_store *store, struct slice value, struct dht_stored *out);
static uint32_t expiry_of(const struct dht_store *store, const struct dht_stored *stored);
static bool load_one(void *arg, struct slice key, struct slice value);
static enum dht_store_verdict judge(const struct dht_store *store, const struct dht_held *held,
                                    const struct record *record, uint32_t expires_s,
                                    bool is_cached);
static bool make_room(struct dht_store *store, const struct node_id *key, bool is_cached);
static bool grow(struct dht_store *store);
static int write_record(struct dht_store *store, const struct node_id *key,
                        const struct record *record, uint32_t age_s, bool is_cached);
static struct dht_held *index_add(struct dht_store *store, const struct node_id *key);
static void index_remove(struct dht_store *store, uint32_t place);

struct load {
    struct dht_store *store;
    int status;
};

void dht_record_copy(struct dht_record_copy *copy, const struct record *record)
{
    must(record->value.len <= sizeof copy->value);
    copy->record = *record;
    if (record->value.len > 0) {
        memcpy(copy->value, record->value.data, record->value.len);
    }
    copy->record.value.data = copy->value;
}

void dht_store_init(struct dht_store *store, struct core *core, const struct node_id *self,
                    uint32_t records_max)
{
    *store = (struct dht_store){.core = core, .self = self, .max = records_max};
}

int dht_store_load(struct dht_store *store)
{
    struct port *port = store->core->port;
    struct load load = {.store = store, .status = ERR_OK};
    int status = port->ops->store_scan(port, slice_of(&disk_prefix, 1), load_one, &load);
    return status != ERR_OK ? status : load.status;
}

enum dht_store_verdict dht_store_offer(struct dht_store *store, const struct record *record,
                                       uint32_t age_s, bool is_cached, struct dht_held **held)
{
    *held = NULL;
    if (age_s >= record->expiry_s || (is_cached && record->kind != RECORD_IMMUTABLE)) {
        return STORE_INVALID;
    }
    uint32_t life_s = record->expiry_s - age_s;
    uint32_t expires_s =
        wall_s(store) + (is_cached && life_s > STORE_CACHE_S ? STORE_CACHE_S : life_s);
    struct node_id key;
    record_key(&key, record);
    *held = dht_store_find(store, &key);
    if (*held != NULL) {
        enum dht_store_verdict verdict = judge(store, *held, record, expires_s, is_cached);
        if (verdict == STORE_SAME && !is_cached) {
            (*held)->is_outside = false; /* Somebody counts us among the k nearest again. */
        }
        if (verdict != STORE_WRITTEN) {
            return verdict;
        }
    }
    /* The signature last: everything else costs a tenth of it. */
    if (!record_is_valid(store->core->port, record)) {
        return STORE_FORGED;
    }
    if (*held == NULL && find_any(store, &key) == NULL && !make_room(store, &key, is_cached)) {
        return STORE_FULL;
    }
    if (write_record(store, &key, record, age_s, is_cached) != ERR_OK) {
        return STORE_FULL;
    }
    struct dht_held *entry = find_any(store, &key);
    *held = entry != NULL ? entry : index_add(store, &key);
    (*held)->expires_s = expires_s;
    (*held)->sequence = record->sequence;
    (*held)->is_cached = is_cached;
    (*held)->is_outside = false;
    count(&store->core->counters, COUNT_RECORDS_STORED);
    core_trace(store->core, TRACE_RECORD_HELD, (uint32_t)(node_id_prefix(&key) >> 32),
               (int64_t)record->sequence, (int64_t)record->value.len, is_cached);
    return STORE_WRITTEN;
}

struct dht_held *dht_store_find(const struct dht_store *store, const struct node_id *key)
{
    struct dht_held *held = find_any(store, key);
    return held != NULL && held->expires_s > wall_s(store) ? held : NULL;
}

bool dht_store_read(const struct dht_store *store, const struct dht_held *held,
                    struct dht_stored *out)
{
    struct port *port = store->core->port;
    uint8_t key[DISK_KEY_LEN];
    uint8_t value[STORE_VALUE_MAX];
    size_t len = 0;
    disk_key(key, &held->key);
    int status = port->ops->store_get(port, slice_of(key, sizeof key), value, sizeof value, &len);
    return status == ERR_OK && parse(store, slice_of(value, len), out);
}

void dht_store_drop(struct dht_store *store, const struct node_id *key)
{
    struct dht_held *held = find_any(store, key);
    must(held != NULL);

    struct port *port = store->core->port;
    uint8_t name[DISK_KEY_LEN];
    disk_key(name, key);
    /* A disk that refuses keeps the record; it is not in the index, and load drops it by its age.
     */
    (void)port->ops->store_del(port, slice_of(name, sizeof name));
    index_remove(store, (uint32_t)(held - store->held));
}

uint32_t dht_store_sweep(struct dht_store *store)
{
    uint32_t dropped = 0;
    for (uint32_t i = store->count; i-- > 0;) {
        if (store->held[i].expires_s <= wall_s(store)) {
            struct node_id key = store->held[i].key;
            dht_store_drop(store, &key);
            dropped++;
        }
    }
    count_by(&store->core->counters, COUNT_RECORDS_EXPIRED, dropped);
    return dropped;
}

const char *dht_store_check(const struct dht_store *store)
{
    if (store->count > store->max || store->count > store->cap) {
        return "dht store: more records than allowed";
    }
    for (uint32_t i = 1; i < store->count; i++) {
        if (memcmp(&store->held[i - 1].key, &store->held[i].key, sizeof(struct node_id)) >= 0) {
            return "dht store: the index is out of order";
        }
    }
    return NULL;
}

static uint32_t wall_s(const struct dht_store *store)
{
    return (uint32_t)(store->core->port->wall_us / 1000000);
}

/* The first place whose key is not lower. */
static uint32_t lower_bound(const struct dht_store *store, const struct node_id *key)
{
    uint32_t from = 0;
    uint32_t end = store->count;
    while (from < end) {
        uint32_t middle = from + (end - from) / 2;
        if (memcmp(&store->held[middle].key, key, sizeof *key) < 0) {
            from = middle + 1;
        } else {
            end = middle;
        }
    }
    return from;
}

static struct dht_held *find_any(const struct dht_store *store, const struct node_id *key)
{
    uint32_t place = lower_bound(store, key);
    bool is_held = place < store->count && node_id_equal(&store->held[place].key, key);
    return is_held ? &store->held[place] : NULL;
}

static void disk_key(uint8_t out[DISK_KEY_LEN], const struct node_id *key)
{
    out[0] = disk_prefix;
    memcpy(out + 1, key->bytes, NODE_ID_LEN);
}

/* Value on disk -> record, and its age now. */
static bool parse(const struct dht_store *store, struct slice value, struct dht_stored *out)
{
    if (value.len < RECEIVED_LEN || value.len > sizeof out->bytes) {
        return false;
    }
    memcpy(out->bytes, value.data, value.len);
    struct reader reader = reader_of(slice_of(out->bytes, value.len));
    uint64_t received_s = read_u64(&reader);
    struct message message;
    if (!message_decode(store->core->port, slice_of(reader.next, reader_left(&reader)), &message)) {
        return false;
    }
    if (message.kind != MESSAGE_STORE) {
        message_release(store->core->port, &message);
        return false;
    }
    /* A clock that was set back makes nothing younger than it was. */
    uint64_t elapsed_s = wall_s(store) > received_s ? wall_s(store) - received_s : 0;
    uint64_t age_s = message.store.age_s + elapsed_s;
    out->record = message.store.record;
    out->age_s = age_s < UINT32_MAX ? (uint32_t)age_s : UINT32_MAX;
    out->is_cached = message.store.is_cache;
    return true;
}

static uint32_t expiry_of(const struct dht_store *store, const struct dht_stored *stored)
{
    if (stored->age_s >= stored->record.expiry_s) {
        return 0;
    }
    return wall_s(store) + stored->record.expiry_s - stored->age_s;
}

static bool load_one(void *arg, struct slice key, struct slice value)
{
    struct load *load = arg;
    struct dht_store *store = load->store;
    struct dht_stored stored;
    if (key.len != DISK_KEY_LEN) {
        return true;
    }
    if (store->count == store->max) {
        return false; /* A lowered limit: what is left out comes back when the limit does. */
    }
    if (!grow(store)) {
        load->status = ERR_FULL;
        return false;
    }
    struct node_id id;
    memcpy(id.bytes, key.data + 1, NODE_ID_LEN);
    struct dht_held *held = index_add(store, &id);
    /* What cannot be read, and a cache copy (its short life is not worth counting over a restart),
     * has expired: the sweep takes it off the disk. */
    if (parse(store, value, &stored) && !stored.is_cached) {
        held->expires_s = expiry_of(store, &stored);
        held->sequence = stored.record.sequence;
    }
    return true;
}

/* Whether the record is to be written in the place of the one that is held. */
static enum dht_store_verdict judge(const struct dht_store *store, const struct dht_held *held,
                                    const struct record *record, uint32_t expires_s, bool is_cached)
{
    if (record->kind == RECORD_IMMUTABLE) {
        /* The same key is the same value; what can change is how long it is kept, and as what. */
        bool is_better = held->is_cached ? !is_cached || expires_s > held->expires_s
                                         : !is_cached && expires_s > held->expires_s;
        return is_better ? STORE_WRITTEN : STORE_SAME;
    }
    if (record->sequence != held->sequence) {
        return record->sequence > held->sequence ? STORE_WRITTEN : STORE_STALE;
    }
    struct dht_stored stored;
    if (!dht_store_read(store, held, &stored)) {
        return STORE_WRITTEN;
    }
    int order = record_compare(record, &stored.record);
    if (order == 0) {
        return STORE_SAME;
    }
    return order > 0 ? STORE_WRITTEN : STORE_STALE;
}

/* Room for one more record under `key`, made if need be by dropping one that matters less: a cache
 * copy, or a record farther from us. */
static bool make_room(struct dht_store *store, const struct node_id *key, bool is_cached)
{
    if (store->count < store->max) {
        return grow(store);
    }
    const struct dht_held *victim = NULL;
    for (uint32_t i = 0; i < store->count; i++) {
        const struct dht_held *held = &store->held[i];
        if (victim == NULL || held->is_cached > victim->is_cached ||
            (held->is_cached == victim->is_cached &&
             node_id_closer(&held->key, &victim->key, store->self) > 0)) {
            victim = held;
        }
    }
    bool is_worth_it =
        victim != NULL &&
        (victim->is_cached > is_cached ||
         (victim->is_cached == is_cached && node_id_closer(key, &victim->key, store->self) < 0));
    if (is_worth_it) {
        struct node_id dropped = victim->key;
        dht_store_drop(store, &dropped);
    }
    return is_worth_it;
}

static bool grow(struct dht_store *store)
{
    if (store->count < store->cap) {
        return true;
    }
    uint32_t cap = store->cap == 0 ? CAP_FIRST : store->cap * 2;
    cap = cap < store->max ? cap : store->max;
    struct dht_held *held = arena_alloc(&store->core->arena, ARENA_RECORDS, cap * sizeof *held);
    if (held == NULL) {
        return false;
    }
    if (store->count > 0) {
        memcpy(held, store->held, store->count * sizeof *held);
    }
    store->held = held;
    store->cap = cap;
    return true;
}

static int write_record(struct dht_store *store, const struct node_id *key,
                        const struct record *record, uint32_t age_s, bool is_cached)
{
    struct port *port = store->core->port;
    uint8_t name[DISK_KEY_LEN];
    uint8_t value[STORE_VALUE_MAX];
    struct message message = {.kind = MESSAGE_STORE,
                              .store = {.age_s = age_s, .is_cache = is_cached, .record = *record}};
    disk_key(name, key);
    struct writer writer = writer_of(value, sizeof value);
    write_u64(&writer, wall_s(store));
    int len = message_encode(port, &message, writer.next, sizeof value - writer_len(&writer));
    must(len > 0);
    return port->ops->store_put(port, slice_of(name, sizeof name),
                                slice_of(value, writer_len(&writer) + (size_t)len));
}

static struct dht_held *index_add(struct dht_store *store, const struct node_id *key)
{
    must(store->count < store->cap);
    uint32_t place = lower_bound(store, key);
    memmove(store->held + place + 1, store->held + place,
            (store->count - place) * sizeof *store->held);
    store->count++;
    store->held[place] = (struct dht_held){.key = *key};
    return &store->held[place];
}

static void index_remove(struct dht_store *store, uint32_t place)
{
    store->count--;
    memmove(store->held + place, store->held + place + 1,
            (store->count - place) * sizeof *store->held);
}
