/* trust.c - the table of peers' trust: arithmetic, caps, who makes room, and its storage. */
#include "node/ledger/trust.h"

#include "node/base/must.h"
#include "node/wire/codec.h"

enum {
    DISK_KEY_LEN = 2 + NODE_ID_LEN,
    DISK_VALUE_LEN = 1 + IOU_ID_LEN + 4 * 5 + TRUST_EVENT_COUNT * (4 + 2) + 4,
    /* A million halves to nothing in 20 half-lives, and rounding towards zero takes the rest. */
    STEPS_MAX = 64 * TRUST_STEPS,
};

/* 2^(-1/32), times 2^32. */
#define STEP_FACTOR UINT64_C(4202935003)

static const uint8_t disk_prefix[2] = {'l', 'p'};

struct rule {
    int32_t micro;
    uint16_t cap;
    bool is_cheap;
};
static const struct rule rules[TRUST_EVENT_COUNT] = {
#define CHEAP                                    true
#define DEEDS                                    false
#define TRUST_RULE(name, text, micro, cap, part) {micro, cap, part},
    TRUST_EVENTS(TRUST_RULE)
#undef TRUST_RULE
#undef CHEAP
#undef DEEDS
};

struct load {
    struct trust *trust;
    int status;
};

static bool load_one(void *arg, struct slice key, struct slice value);
static struct trust_row *set_of(struct trust *trust, const struct node_id *id);
static const struct trust_row *find(const struct trust *trust, const struct node_id *id);
static struct trust_row *row_for(struct trust *trust, const struct node_id *id);
static void apply(struct trust_row *row, enum trust_event event, uint32_t now_s);
static void bring_up(struct trust_row *row, uint32_t now_s);
static int64_t weight(const struct trust_row *row);
static void forget(struct trust *trust, struct trust_row *row);
static void soil(struct trust *trust, struct trust_row *row);
static void write_row(struct trust *trust, struct trust_row *row);
static void on_flush(struct timer *timer);
static uint32_t flush_some(struct trust *trust, uint32_t max);

int trust_init(struct trust *trust, struct core *core, uint32_t peers_max)
{
    uint32_t set_count = peers_max / TRUST_WAYS;
    *trust = (struct trust){.core = core, .start_us = core_now(core)};
    if (peers_max == 0) {
        return ERR_OK;
    }
    if (peers_max % TRUST_WAYS != 0 || (set_count & (set_count - 1)) != 0) {
        return ERR_INVALID;
    }
    trust->set_count = set_count;
    core->port->ops->entropy(core->port, &trust->salt, sizeof trust->salt);
    struct load load = {.trust = trust, .status = ERR_OK};
    struct slice prefix = slice_of(disk_prefix, sizeof disk_prefix);
    int status = core->port->ops->store_scan(core->port, prefix, load_one, &load);
    return status != ERR_OK ? status : load.status;
}

void trust_stop(struct trust *trust)
{
    timer_stop(&trust->core->timers, &trust->flush);
    (void)flush_some(trust, UINT32_MAX);
}

void trust_note(struct trust *trust, const struct node_id *id, enum trust_event event)
{
    must(event < TRUST_EVENT_COUNT);
    if (trust->set_count == 0) {
        return;
    }
    uint32_t now_s = trust_now_s(trust);
    struct trust_row fresh = {.id = *id, .cheap_s = now_s, .deeds_s = now_s, .window_s = now_s};
    struct trust_row *row = (struct trust_row *)find(trust, id);
    if (row != NULL) {
        apply(row, event, now_s);
        soil(trust, row);
        return;
    }
    apply(&fresh, event, now_s);
    row = row_for(trust, id);
    if (row == NULL || (row->is_used && weight(row) > weight(&fresh))) {
        return; /* Everybody there is better known than this one. */
    }
    if (row->is_used) {
        forget(trust, row);
    }
    *row = fresh;
    row->is_used = true;
    soil(trust, row);
}

void trust_note_iou(struct trust *trust, const struct node_id *id, enum trust_event event,
                    const uint8_t iou[IOU_ID_LEN], uint8_t state)
{
    struct trust_row *row = (struct trust_row *)find(trust, id);
    if (row != NULL && row->deed_state == state && memcmp(row->deed_iou, iou, IOU_ID_LEN) == 0) {
        return;
    }
    trust_note(trust, id, event);
    row = (struct trust_row *)find(trust, id);
    if (row != NULL) {
        row->deed_state = state;
        memcpy(row->deed_iou, iou, IOU_ID_LEN);
        write_row(trust, row);
    }
}

uint32_t trust_micro(const struct trust *trust, const struct node_id *id)
{
    const struct trust_row *row = find(trust, id);
    return row != NULL ? trust_row_micro(trust, row) : 0;
}

uint32_t trust_now_s(const struct trust *trust)
{
    return trust->base_s + (uint32_t)((core_now(trust->core) - trust->start_us) / 1000000);
}

const struct trust_row *trust_next(const struct trust *trust, uint32_t *place)
{
    while (trust->sets != NULL && *place < trust->set_count * TRUST_WAYS) {
        const struct trust_row *set = trust->sets[*place / TRUST_WAYS];
        if (set == NULL) {
            *place = (*place / TRUST_WAYS + 1) * TRUST_WAYS;
            continue;
        }
        const struct trust_row *row = &set[(*place)++ % TRUST_WAYS];
        if (row->is_used) {
            return row;
        }
    }
    return NULL;
}

uint32_t trust_row_micro(const struct trust *trust, const struct trust_row *row)
{
    struct trust_row now = *row;
    bring_up(&now, trust_now_s(trust));
    int64_t sum = (int64_t)now.cheap_micro + now.deeds_micro;
    return sum <= 0 ? 0 : sum < TRUST_ONE ? (uint32_t)sum : TRUST_ONE;
}

const char *trust_event_text(enum trust_event event)
{
    static const char *const texts[] = {
#define TRUST_EVENT_TEXT(name, text, micro, cap, part) text,
        TRUST_EVENTS(TRUST_EVENT_TEXT)
#undef TRUST_EVENT_TEXT
    };
    must(event < TRUST_EVENT_COUNT);
    return texts[event];
}

int32_t trust_decayed(int32_t value, uint32_t steps)
{
    must(value > INT32_MIN);
    if (steps > STEPS_MAX) {
        return 0;
    }
    uint32_t size = (uint32_t)(value < 0 ? -value : value);
    for (; steps > 0 && size > 0; steps--) {
        size = (uint32_t)(size * STEP_FACTOR >> 32);
    }
    return value < 0 ? -(int32_t)size : (int32_t)size;
}

static struct trust_row *set_of(struct trust *trust, const struct node_id *id)
{
    struct arena *arena = &trust->core->arena;
    if (trust->sets == NULL) {
        trust->sets = arena_alloc(arena, ARENA_LEDGER, trust->set_count * sizeof *trust->sets);
        if (trust->sets == NULL) {
            return NULL;
        }
    }
    struct trust_row **set =
        &trust->sets[rng_mix(node_id_prefix(id) ^ trust->salt) & (trust->set_count - 1)];
    if (*set == NULL) {
        *set = arena_alloc(arena, ARENA_LEDGER, TRUST_WAYS * sizeof **set);
    }
    return *set;
}

static const struct trust_row *find(const struct trust *trust, const struct node_id *id)
{
    if (trust->sets == NULL) {
        return NULL;
    }
    const struct trust_row *set =
        trust->sets[rng_mix(node_id_prefix(id) ^ trust->salt) & (trust->set_count - 1)];
    for (uint32_t way = 0; set != NULL && way < TRUST_WAYS; way++) {
        if (set[way].is_used && node_id_equal(&set[way].id, id)) {
            return &set[way];
        }
    }
    return NULL;
}

/* A free row, or the one that is nearest to a stranger's. NULL without memory. */
static struct trust_row *row_for(struct trust *trust, const struct node_id *id)
{
    struct trust_row *set = set_of(trust, id);
    struct trust_row *lightest = set;
    for (uint32_t way = 0; set != NULL && way < TRUST_WAYS; way++) {
        if (!set[way].is_used) {
            return &set[way];
        }
        bring_up(&set[way], trust_now_s(trust));
        if (weight(&set[way]) < weight(lightest)) {
            lightest = &set[way];
        }
    }
    return lightest;
}

static void apply(struct trust_row *row, enum trust_event event, uint32_t now_s)
{
    const struct rule *rule = &rules[event];
    bring_up(row, now_s);
    if (now_s - row->window_s >= TRUST_WINDOW_S) {
        row->window_s = now_s;
        memset(row->in_window, 0, sizeof row->in_window);
    }
    row->count[event] += row->count[event] < UINT32_MAX;
    if (row->in_window[event] >= rule->cap) {
        return;
    }
    row->in_window[event]++;
    if (rule->is_cheap) {
        int32_t cheap = row->cheap_micro + rule->micro;
        row->cheap_micro = cheap < TRUST_CHEAP_MAX ? cheap : TRUST_CHEAP_MAX;
        return;
    }
    int32_t deeds = row->deeds_micro + rule->micro;
    deeds = deeds < TRUST_ONE ? deeds : TRUST_ONE;
    row->deeds_micro = deeds > -TRUST_ONE ? deeds : -TRUST_ONE;
}

/* Whole steps only; what is left of one counts next time. While the table is loaded node time may
 * still lie before a row's. */
static void bring_up(struct trust_row *row, uint32_t now_s)
{
    uint32_t steps = now_s > row->cheap_s ? (now_s - row->cheap_s) / TRUST_CHEAP_STEP_S : 0;
    row->cheap_micro = trust_decayed(row->cheap_micro, steps);
    row->cheap_s += steps * TRUST_CHEAP_STEP_S;
    steps = now_s > row->deeds_s ? (now_s - row->deeds_s) / TRUST_DEEDS_STEP_S : 0;
    row->deeds_micro = trust_decayed(row->deeds_micro, steps);
    row->deeds_s += steps * TRUST_DEEDS_STEP_S;
}

/* How much is lost by forgetting it. */
static int64_t weight(const struct trust_row *row)
{
    int64_t deeds = row->deeds_micro;
    return (deeds < 0 ? -deeds : deeds) + row->cheap_micro;
}

static void disk_key(uint8_t key[DISK_KEY_LEN], const struct node_id *id)
{
    memcpy(key, disk_prefix, sizeof disk_prefix);
    memcpy(key + sizeof disk_prefix, id->bytes, NODE_ID_LEN);
}

static void forget(struct trust *trust, struct trust_row *row)
{
    struct port *port = trust->core->port;
    uint8_t key[DISK_KEY_LEN];
    disk_key(key, &row->id);
    trust->dirty_count -= row->is_dirty;
    /* Committed with the next flush. A row that stays on the disk is one more that the next run
     * knows. */
    (void)port->ops->store_del(port, slice_of(key, sizeof key));
}

static void soil(struct trust *trust, struct trust_row *row)
{
    trust->dirty_count += !row->is_dirty;
    row->is_dirty = true;
    if (!timer_is_running(&trust->flush)) {
        timer_start(&trust->core->timers, &trust->flush, TRUST_FLUSH_US, on_flush);
    }
}

static void write_row(struct trust *trust, struct trust_row *row)
{
    struct port *port = trust->core->port;
    uint8_t key[DISK_KEY_LEN];
    uint8_t value[DISK_VALUE_LEN];
    struct writer writer = writer_of(value, sizeof value);
    write_u32(&writer, trust_now_s(trust));
    write_u32(&writer, (uint32_t)row->cheap_micro);
    write_u32(&writer, (uint32_t)row->deeds_micro);
    write_u32(&writer, row->cheap_s);
    write_u32(&writer, row->deeds_s);
    write_u32(&writer, row->window_s);
    for (uint32_t i = 0; i < TRUST_EVENT_COUNT; i++) {
        write_u32(&writer, row->count[i]);
        write_u16(&writer, row->in_window[i]);
    }
    write_u8(&writer, row->deed_state);
    write_bytes(&writer, row->deed_iou, sizeof row->deed_iou);
    must(!writer.bad && writer_len(&writer) == DISK_VALUE_LEN);
    disk_key(key, &row->id);
    if (port->ops->store_put(port, slice_of(key, sizeof key), slice_of(value, sizeof value)) ==
        ERR_OK) {
        trust->dirty_count -= row->is_dirty;
        row->is_dirty = false;
    }
}

static bool load_one(void *arg, struct slice key, struct slice value)
{
    struct load *load = arg;
    struct trust *trust = load->trust;
    if (key.len != DISK_KEY_LEN || value.len != DISK_VALUE_LEN) {
        return true;
    }
    struct trust_row row = {.is_used = true};
    struct reader reader = reader_of(value);
    memcpy(row.id.bytes, key.data + sizeof disk_prefix, NODE_ID_LEN);
    uint32_t written_s = read_u32(&reader);
    row.cheap_micro = (int32_t)read_u32(&reader);
    row.deeds_micro = (int32_t)read_u32(&reader);
    row.cheap_s = read_u32(&reader);
    row.deeds_s = read_u32(&reader);
    row.window_s = read_u32(&reader);
    for (uint32_t i = 0; i < TRUST_EVENT_COUNT; i++) {
        row.count[i] = read_u32(&reader);
        row.in_window[i] = read_u16(&reader);
    }
    row.deed_state = read_u8(&reader);
    read_into(&reader, row.deed_iou, sizeof row.deed_iou);
    bool is_sound = row.cheap_micro >= 0 && row.cheap_micro <= TRUST_CHEAP_MAX &&
                    row.deeds_micro >= -TRUST_ONE && row.deeds_micro <= TRUST_ONE &&
                    row.cheap_s <= written_s && row.deeds_s <= written_s &&
                    row.window_s <= written_s;
    if (!is_sound) {
        return true; /* A stranger again: the disk has lost what it was. */
    }
    trust->base_s = trust->base_s > written_s ? trust->base_s : written_s;
    struct trust_row *place = row_for(trust, &row.id);
    if (place == NULL) {
        load->status = ERR_FULL;
        return false;
    }
    if (!place->is_used || weight(place) < weight(&row)) {
        *place = row;
    }
    return true;
}

static void on_flush(struct timer *timer)
{
    struct trust *trust = container_of(timer, struct trust, flush);
    uint64_t ticket;
    if (flush_some(trust, TRUST_FLUSH_MAX) > 0) {
        (void)core_commit(trust->core, &ticket);
    }
    if (trust->dirty_count > 0) {
        timer_start(&trust->core->timers, &trust->flush, TRUST_FLUSH_US, on_flush);
    }
}

/* Returns how many rows were staged. Goes round the table, so that no row waits for ever. */
static uint32_t flush_some(struct trust *trust, uint32_t max)
{
    uint32_t staged = 0;
    uint32_t places = trust->sets != NULL ? trust->set_count * TRUST_WAYS : 0;
    for (uint32_t seen = 0; seen < places && staged < max && trust->dirty_count > 0; seen++) {
        uint32_t place = trust->flush_from;
        trust->flush_from = (place + 1) % places;
        struct trust_row *set = trust->sets[place / TRUST_WAYS];
        if (set != NULL && set[place % TRUST_WAYS].is_used && set[place % TRUST_WAYS].is_dirty) {
            write_row(trust, &set[place % TRUST_WAYS]);
            staged++;
        }
    }
    return staged;
}
