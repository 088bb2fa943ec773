/* upkeep.c - join, refresh, check, remember. */
#include "node/dht/upkeep.h"

#include <string.h>

#include "node/base/must.h"
#include "node/dht/dht.h"

enum {
    TIME_SHIFT = 14,
    CHECK_EVERY_US = 15000000,  /* Four pings a minute at most, */
    SUSPECT_EVERY_US = 5000000, /* and three times as many while contacts fail. */
    /* A client's table is where its lookups begin when no relay makes them for it; every contact
     * that it pings takes a place in the box in front of it. */
    CLIENT_CHECK_EVERY_US = 60000000,
    RETRY_FIRST_US = 1000000,
    RETRY_DOUBLINGS_MAX = 6,  /* Up to a minute. */
    LOOKUP_RETRY_US = 100000, /* When all lookups are taken. */
};

static void on_join(struct timer *timer);
static void try_join(struct dht *dht);
static void begin_or_wait(struct dht *dht);
static uint32_t call_known(struct dht *dht);
static uint32_t call_bootstrap(struct dht *dht);
static void on_join_call(void *owner, const struct call_result *result);
static void begin_with_answer(struct dht *dht);
static void try_later(struct dht *dht);
static void look_self_up(struct dht *dht);
static void on_self_found(void *owner, uint32_t tag, const struct lookup_result *result);
static void on_far_refreshed(void *owner, uint32_t tag, const struct lookup_result *result);
static void on_joined(struct dht *dht, enum dht_join_stage stage);
static void look_again_later(struct dht *dht);
static void on_look_again(struct timer *timer);
static void on_looked_again(void *owner, uint32_t tag, const struct lookup_result *result);
static void on_refresh(struct timer *timer);
static void refresh_turn(struct dht *dht, uint32_t depth);
static int refresh_bucket(struct dht *dht, uint32_t bucket, lookup_fn done);
static void on_refreshed(void *owner, uint32_t tag, const struct lookup_result *result);
static bool is_looked_at(const struct dht *dht, uint32_t bucket);
static void start_refresh(struct dht *dht);
static uint64_t jittered(struct dht *dht, uint64_t delay_us, uint32_t per_cent);
static void on_check(struct timer *timer);
static void ping(struct dht *dht, uint32_t peer);
static void on_pinged(void *owner, const struct call_result *result);
static void remember(struct dht *dht);
static void remember_growth(struct dht *dht);

void dht_upkeep_start(struct dht *dht, const struct dht_start_options *options)
{
    struct dht_upkeep *upkeep = &dht->upkeep;
    upkeep->bootstrap = options->bootstrap;
    upkeep->bootstrap_count = options->bootstrap_count;
    upkeep->done = options->done;
    upkeep->owner = options->owner;
    upkeep->started_us = core_now(dht->core);
    /* A table that was filled from outside has nothing to join. */
    upkeep->stage = dht->table.count > 0 ? JOIN_DONE : JOIN_CALLING;
    timer_start(&dht->core->timers, &upkeep->join, options->wait_us, on_join);
    /* Nodes that start together must not ping together. */
    timer_start(&dht->core->timers, &upkeep->check, jittered(dht, CHECK_EVERY_US, 100), on_check);
}

void dht_upkeep_stop(struct dht *dht)
{
    timer_stop(&dht->core->timers, &dht->upkeep.join);
    timer_stop(&dht->core->timers, &dht->upkeep.refresh);
    timer_stop(&dht->core->timers, &dht->upkeep.check);
    remember(dht);
}

void dht_upkeep_join(struct dht *dht)
{
    struct dht_upkeep *upkeep = &dht->upkeep;
    if (upkeep->stage != JOIN_CALLING && upkeep->stage < JOIN_SPREAD) {
        return;
    }
    timer_stop(&dht->core->timers, &upkeep->refresh);
    begin_with_answer(dht);
}

void dht_upkeep_on_lookup(struct dht *dht, const struct node_id *target)
{
    uint32_t bucket = dht_table_bucket_of(&dht->table, target);
    dht->upkeep.looked_at[bucket] = (uint32_t)(core_now(dht->core) >> TIME_SHIFT) + 1;
}

void dht_upkeep_check_bucket(struct dht *dht, uint32_t bucket)
{
    uint32_t peer = dht_table_silent(&dht->table, bucket, dht->config->check_us);
    if (peer != PORT_INTERN_NONE && !dht->upkeep.is_checking) {
        ping(dht, peer);
    }
}

/* --- join ---------------------------------------------------------------------------------- */

static void on_join(struct timer *timer)
{
    struct dht *dht = container_of(timer, struct dht, upkeep.join);
    if (dht->upkeep.stage == JOIN_DONE) {
        on_joined(dht, JOIN_DONE);
    } else if (dht->table.count > 0) {
        look_self_up(dht); /* Somebody answered us, or found us meanwhile. */
    } else if (dht->upkeep.stage == JOIN_ANSWERED) {
        try_later(dht); /* Whoever answered was not let in: for lack of memory. */
    } else {
        try_join(dht);
    }
}

static void try_join(struct dht *dht)
{
    struct dht_upkeep *upkeep = &dht->upkeep;
    if (upkeep->known_next >= dht->known.count) {
        dht_known_sort(&dht->known); /* All of them were called: once more, from those seen last. */
        upkeep->known_next = 0;
    }
    (void)call_known(dht);
    if (dht->known.count + call_bootstrap(dht) == 0) {
        begin_or_wait(dht);
    } else if (upkeep->calls == 0) {
        try_later(dht);
    }
}

/* The first of its network, unless whoever drives us is about to connect us to one. */
static void begin_or_wait(struct dht *dht)
{
    struct dht_upkeep *upkeep = &dht->upkeep;
    uint64_t waited_us = core_now(dht->core) - upkeep->started_us;
    if (waited_us < dht->config->join_wait_us) {
        timer_start(&dht->core->timers, &upkeep->join, dht->config->join_wait_us - waited_us,
                    on_join);
    } else {
        on_joined(dht, JOIN_DONE);
    }
}

/* Calls the next few of those known from earlier whom we have not met again. Returns how many. */
static uint32_t call_known(struct dht *dht)
{
    struct dht_upkeep *upkeep = &dht->upkeep;
    const struct dht_known *known = &dht->known;
    struct message request = {
        .kind = MESSAGE_FIND_NODE,
        .find_node = {.target = dht->identity->id, .count = dht->config->k},
    };
    struct call_options options = {.done = on_join_call, .owner = dht};
    uint32_t called = 0;
    while (upkeep->known_next < known->count && called < UPKEEP_TRIED_MAX) {
        uint32_t peer = known->peers[upkeep->known_next++].peer;
        const struct node_id *id = &contact_at(dht->core->port, peer)->id;
        if (dht_table_find(&dht->table, id) == PORT_INTERN_NONE) {
            called += transport_call(dht->transport, peer, &request, &options) >= 0;
        }
    }
    upkeep->calls = (uint8_t)(upkeep->calls + called);
    return called;
}

static uint32_t call_bootstrap(struct dht *dht)
{
    struct dht_upkeep *upkeep = &dht->upkeep;
    struct message request = {
        .kind = MESSAGE_FIND_NODE,
        .find_node = {.target = dht->identity->id, .count = dht->config->k},
    };
    struct call_options options = {.done = on_join_call, .owner = dht};
    uint32_t first = upkeep->tries * UPKEEP_TRIED_MAX;
    uint32_t known = 0;
    for (uint32_t i = 0; i < upkeep->bootstrap_count && known < UPKEEP_TRIED_MAX; i++) {
        const struct port_addr *addr = &upkeep->bootstrap[(first + i) % upkeep->bootstrap_count];
        if (port_addr_equal(addr, &dht->core->port->local)) {
            continue;
        }
        known++;
        upkeep->calls = (uint8_t)(upkeep->calls + (transport_call_addr(dht->transport, addr,
                                                                       &request, &options) >= 0));
    }
    return known;
}

static void on_join_call(void *owner, const struct call_result *result)
{
    struct dht *dht = owner;
    struct dht_upkeep *upkeep = &dht->upkeep;
    if (result->outcome == CALL_SLOW || dht->is_stopping) {
        return;
    }
    upkeep->calls--;
    if (upkeep->stage != JOIN_CALLING) {
        return;
    }
    if (result->outcome == CALL_ANSWERED) {
        begin_with_answer(dht);
    } else if (upkeep->calls == 0) {
        try_later(dht);
    }
}

/* After this entry: by then the hook `verified` has entered the peer, whatever their order. */
static void begin_with_answer(struct dht *dht)
{
    dht->upkeep.stage = JOIN_ANSWERED;
    timer_start(&dht->core->timers, &dht->upkeep.join, 0, on_join);
}

static void try_later(struct dht *dht)
{
    struct dht_upkeep *upkeep = &dht->upkeep;
    uint32_t doublings = upkeep->tries < RETRY_DOUBLINGS_MAX ? upkeep->tries : RETRY_DOUBLINGS_MAX;
    upkeep->tries = upkeep->tries < UINT8_MAX ? (uint8_t)(upkeep->tries + 1) : UINT8_MAX;
    upkeep->stage = JOIN_CALLING;
    timer_start(&dht->core->timers, &upkeep->join,
                jittered(dht, (uint64_t)RETRY_FIRST_US << doublings, 25), on_join);
    if (!upkeep->is_failure_told && !upkeep->is_success_told) {
        upkeep->is_failure_told = true;
        upkeep->done(upkeep->owner, ERR_UNREACHABLE,
                     (uint32_t)(core_now(dht->core) - upkeep->started_us));
    }
}

static void look_self_up(struct dht *dht)
{
    dht->upkeep.stage = JOIN_SELF;
    if (dht_lookup(dht, &dht->identity->id, LOOKUP_NODE, on_self_found, dht, 0) != ERR_OK) {
        timer_start(&dht->core->timers, &dht->upkeep.join, LOOKUP_RETRY_US, on_join);
    }
}

static void on_self_found(void *owner, uint32_t tag, const struct lookup_result *result)
{
    (void)tag;
    struct dht *dht = owner;
    struct dht_upkeep *upkeep = &dht->upkeep;
    if (result->status == ERR_STOPPED) {
        return;
    }
    if (result->status != ERR_OK) {
        try_later(dht);
        return;
    }
    upkeep->stage = JOIN_FAR;
    uint32_t depth = dht_table_depth(&dht->table);
    /* A client, or who does not know yet that it is none, has others look up for it, and a box in
     * front of it that remembers few: serving, it joins again. */
    uint32_t far = dht->is_client ? 0 : UPKEEP_FAR_BUCKETS;
    for (uint32_t i = 0; i < far && i <= depth; i++) {
        upkeep->lookups =
            (uint8_t)(upkeep->lookups + (refresh_bucket(dht, i, on_far_refreshed) == ERR_OK));
    }
    if (upkeep->lookups == 0) {
        on_joined(dht, JOIN_SPREAD);
    }
}

static void on_far_refreshed(void *owner, uint32_t tag, const struct lookup_result *result)
{
    (void)tag;
    struct dht *dht = owner;
    if (result->status != ERR_STOPPED && --dht->upkeep.lookups == 0) {
        on_joined(dht, JOIN_SPREAD);
    }
}

static void on_joined(struct dht *dht, enum dht_join_stage stage)
{
    struct dht_upkeep *upkeep = &dht->upkeep;
    upkeep->stage = (uint8_t)stage;
    upkeep->tries = 0;
    upkeep->refresh_next = stage == JOIN_SPREAD && !dht->is_client ? UPKEEP_FAR_BUCKETS : 0;
    start_refresh(dht);
    if (stage == JOIN_SPREAD) {
        remember(dht);
        upkeep->looks = 0;
        look_again_later(dht);
    }
    if (!upkeep->is_success_told) {
        upkeep->is_success_told = true;
        upkeep->done(upkeep->owner, ERR_OK, (uint32_t)(core_now(dht->core) - upkeep->started_us));
    }
}

/* Whoever answered first may know as little as we do: when many start at once, all of them join
 * through each other. A join that found fewer than k contacts has not met its neighbourhood yet,
 * or the network is that small. */
static void look_again_later(struct dht *dht)
{
    struct dht_upkeep *upkeep = &dht->upkeep;
    if (dht->table.count < dht->config->k && upkeep->looks < UPKEEP_LOOKS_MAX) {
        upkeep->looked_count = dht->table.count;
        timer_start(&dht->core->timers, &upkeep->join,
                    jittered(dht, (uint64_t)RETRY_FIRST_US << upkeep->looks++, 25), on_look_again);
    }
}

static void on_look_again(struct timer *timer)
{
    struct dht *dht = container_of(timer, struct dht, upkeep.join);
    struct dht_upkeep *upkeep = &dht->upkeep;
    remember_growth(dht);
    uint32_t called = dht->table.count < dht->config->k ? call_known(dht) : 0;
    if (called == 0 && dht->table.count == upkeep->looked_count) {
        return; /* There is nobody else, so far. */
    }
    if (dht_lookup(dht, &dht->identity->id, LOOKUP_NODE, on_looked_again, dht, 0) != ERR_OK) {
        look_again_later(dht);
    }
}

static void on_looked_again(void *owner, uint32_t tag, const struct lookup_result *result)
{
    (void)tag;
    struct dht *dht = owner;
    if (result->status != ERR_STOPPED && dht->upkeep.stage >= JOIN_SPREAD) {
        look_again_later(dht);
    }
}

/* --- refresh ------------------------------------------------------------------------------- */

static void on_refresh(struct timer *timer)
{
    struct dht *dht = container_of(timer, struct dht, upkeep.refresh);
    struct dht_upkeep *upkeep = &dht->upkeep;
    uint32_t depth = dht_table_depth(&dht->table);
    if (upkeep->stage == JOIN_DONE) {
        refresh_turn(dht, depth);
    } else if (upkeep->refresh_next <= depth) {
        /* A bucket that filled up meanwhile has nothing to gain. */
        uint32_t bucket = upkeep->refresh_next++;
        if (dht_table_bucket_count(&dht->table, bucket) < dht->config->k) {
            (void)refresh_bucket(dht, bucket, on_refreshed);
        }
    } else {
        upkeep->stage = JOIN_DONE;
        upkeep->refresh_next = 0;
    }
    start_refresh(dht);
}

/* One step of the endless round: each bucket down to our neighbourhood, then the neighbourhood. */
static void refresh_turn(struct dht *dht, uint32_t depth)
{
    struct dht_upkeep *upkeep = &dht->upkeep;
    uint32_t bucket = upkeep->refresh_next;
    if (bucket > depth) {
        upkeep->refresh_next = 0;
        (void)dht_lookup(dht, &dht->identity->id, LOOKUP_NODE, on_refreshed, dht, 0);
        remember(dht);
        return;
    }
    upkeep->refresh_next++;
    if (!is_looked_at(dht, bucket)) {
        (void)refresh_bucket(dht, bucket, on_refreshed);
    }
}

/* Looks up a random id of the bucket's range: our bits before `bucket`, the other one there, dice
 * behind. */
static int refresh_bucket(struct dht *dht, uint32_t bucket, lookup_fn done)
{
    must(bucket < DHT_BUCKETS);
    struct node_id target = dht->identity->id;
    uint8_t flip = (uint8_t)(0x80u >> (bucket % 8));
    uint8_t behind = (uint8_t)(flip - 1u);
    uint8_t *edge = &target.bytes[bucket / 8];
    *edge = (uint8_t)(*edge ^ flip ^ (rng_next(&dht->core->rng) & behind));
    for (uint8_t *byte = edge + 1; byte < target.bytes + NODE_ID_LEN; byte++) {
        *byte = (uint8_t)rng_next(&dht->core->rng);
    }
    return dht_lookup(dht, &target, LOOKUP_NODE, done, dht, 0);
}

static void on_refreshed(void *owner, uint32_t tag, const struct lookup_result *result)
{
    /* Who answered is in the table already: that was all. */
    (void)owner;
    (void)tag;
    (void)result;
}

/* Whether a lookup has gone to the bucket since about its last turn. Three quarters of the period,
 * so that a refresh of our own does not hide the next behind its jitter. */
static bool is_looked_at(const struct dht *dht, uint32_t bucket)
{
    uint32_t looked_at = dht->upkeep.looked_at[bucket];
    uint32_t age = (uint32_t)(core_now(dht->core) >> TIME_SHIFT) + 1 - looked_at;
    return looked_at != 0 && age < (uint32_t)((dht->config->refresh_us / 4 * 3) >> TIME_SHIFT);
}

static void start_refresh(struct dht *dht)
{
    const struct dht_upkeep *upkeep = &dht->upkeep;
    uint32_t depth = dht_table_depth(&dht->table);
    uint64_t delay_us = dht->config->refresh_us / (depth + 2);
    if (upkeep->stage == JOIN_SPREAD) {
        uint32_t left = depth >= UPKEEP_FAR_BUCKETS ? depth - UPKEEP_FAR_BUCKETS + 1 : 1;
        delay_us = dht->config->join_spread_us / left;
    }
    timer_start(&dht->core->timers, &dht->upkeep.refresh, jittered(dht, delay_us, 10), on_refresh);
}

/* delay_us, give or take up to per_cent of it. */
static uint64_t jittered(struct dht *dht, uint64_t delay_us, uint32_t per_cent)
{
    uint64_t most_us = delay_us * per_cent / 100;
    return delay_us - most_us + rng_below(&dht->core->rng, 2 * most_us + 1);
}

/* --- checks -------------------------------------------------------------------------------- */

static void on_check(struct timer *timer)
{
    struct dht *dht = container_of(timer, struct dht, upkeep.check);
    struct dht_upkeep *upkeep = &dht->upkeep;
    uint32_t suspect = dht_table_suspect(&dht->table);
    uint64_t delay_us = suspect != PORT_INTERN_NONE ? SUSPECT_EVERY_US : CHECK_EVERY_US;
    delay_us = dht->is_client ? CLIENT_CHECK_EVERY_US : delay_us;
    timer_start(&dht->core->timers, timer, jittered(dht, delay_us, 10), on_check);
    if (dht->table.count == 0 && upkeep->stage >= JOIN_SPREAD) {
        upkeep->stage = JOIN_CALLING; /* Everybody is gone: start again. */
        upkeep->known_next = dht->known.count;
        timer_stop(&dht->core->timers, &upkeep->refresh);
        timer_start(&dht->core->timers, &upkeep->join, 0, on_join);
        return;
    }
    remember_growth(dht);
    if (suspect != PORT_INTERN_NONE && !upkeep->is_checking) {
        ping(dht, suspect); /* A second silence settles it. */
    }
    for (uint32_t i = 0; i < DHT_BUCKETS && !upkeep->is_checking; i++) {
        uint32_t bucket = upkeep->check_next;
        upkeep->check_next = (uint8_t)((bucket + 1) % DHT_BUCKETS);
        dht_upkeep_check_bucket(dht, bucket);
    }
}

static void ping(struct dht *dht, uint32_t peer)
{
    struct call_options options = {.done = on_pinged, .owner = dht};
    dht->upkeep.is_checking = transport_ping(dht->transport, peer, &options) >= 0;
}

static void on_pinged(void *owner, const struct call_result *result)
{
    /* What it means for the contact comes by the hooks `verified` and `lost`. */
    struct dht *dht = owner;
    dht->upkeep.is_checking &= result->outcome == CALL_SLOW;
}

static void remember(struct dht *dht)
{
    dht->upkeep.remembered = dht->table.count;
    dht_known_save(&dht->known, &dht->table);
}

/* A young table grows fast: what was remembered of it is soon too little to come back by. */
static void remember_growth(struct dht *dht)
{
    if (dht->table.count >= 2 * dht->upkeep.remembered) {
        remember(dht);
    }
}
