/* store_oracle.c - what a store may hold, whatever its disk does, and what it may not. */
#include "tests/unit/node_host/store_oracle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/disk_vfs.h"

static uint8_t buffer[PORT_VALUE_MAX];

static struct oracle_state no_changes(void)
{
    struct oracle_state none;
    for (size_t i = 0; i < ORACLE_KEYS; i++) {
        none.values[i] = ORACLE_KEPT;
    }
    return none;
}

static void apply(struct oracle_state *state, const struct oracle_state *changes)
{
    for (size_t i = 0; i < ORACLE_KEYS; i++) {
        if (changes->values[i] != ORACLE_KEPT) {
            state->values[i] = changes->values[i];
        }
    }
}

static struct slice key_of(size_t at, char text[8])
{
    snprintf(text, 8, "k%03zu", at);
    return rig_slice(text);
}

/* The bytes of a number: its own, then a pattern of a length that follows from it. */
static struct slice value_of(const struct oracle *oracle, int number)
{
    size_t len = sizeof number + (size_t)((unsigned)number * 7919u % oracle->value_max);
    len = len < sizeof buffer ? len : sizeof buffer;
    memset(buffer, number * 31 + 7, len);
    memcpy(buffer, &number, sizeof number);
    return slice_of(buffer, len);
}

void oracle_begin(struct oracle *oracle, struct rig *rig, uint64_t seed, uint32_t value_max)
{
    memset(oracle, 0, sizeof *oracle);
    oracle->rig = rig;
    oracle->seed = seed;
    oracle->value_max = value_max;
    oracle->staged = no_changes();
    rng_stream(&oracle->rng, seed, "oracle", 0, 0);
}

static struct oracle_state shown(const struct oracle *oracle)
{
    struct oracle_state state = oracle->durable;
    for (size_t i = 0; i < oracle->waiting_count; i++) {
        apply(&state, &oracle->waiting[i].changes);
    }
    apply(&state, &oracle->staged);
    return state;
}

/* Whether the disk is in a state in which reading may fail. */
static bool may_fail(void)
{
    return disk_is_cut() || disk_has_failed();
}

static void write_one(struct oracle *oracle)
{
    char text[8];
    size_t at = rng_below(&oracle->rng, ORACLE_KEYS);
    if (rng_below(&oracle->rng, 4) == 0) {
        int status = store_del(oracle->rig->store, key_of(at, text));
        if (status == ERR_IO) {
            cr_assert(may_fail());
            return;
        }
        cr_assert_eq(status == ERR_MISSING, shown(oracle).values[at] == 0, "del of %s", text);
        oracle->staged.values[at] = status == ERR_OK ? 0 : oracle->staged.values[at];
        return;
    }
    int number = ++oracle->last_number;
    cr_assert_eq(store_put(oracle->rig->store, key_of(at, text), value_of(oracle, number)), ERR_OK);
    oracle->staged.values[at] = number;
}

void oracle_commit(struct oracle *oracle)
{
    cr_assert_lt(oracle->waiting_count, (size_t)ORACLE_BATCHES);
    oracle->waiting[oracle->waiting_count].ticket = ++oracle->ticket;
    oracle->waiting[oracle->waiting_count++].changes = oracle->staged;
    oracle->staged = no_changes();
    rig_commit(oracle->rig, oracle->ticket);
}

void oracle_step(struct oracle *oracle)
{
    oracle_hear(oracle);
    switch (rng_below(&oracle->rng, 12)) {
    case 0:
    case 1:
    case 2:
        oracle_commit(oracle);
        break;
    case 3:
        (void)uv_run(&oracle->rig->loop, UV_RUN_NOWAIT);
        break;
    case 4:
        if (oracle->waiting_count > 8) { /* Wait for the writer, not to outrun it. */
            (void)uv_run(&oracle->rig->loop, UV_RUN_ONCE);
        }
        break;
    case 5:
        oracle_check(oracle);
        break;
    default:
        write_one(oracle);
        break;
    }
}

static void settle(struct oracle *oracle, const struct oracle_state *changes, int status)
{
    if (status == ERR_OK) {
        apply(&oracle->durable, changes);
        oracle->acknowledged++;
        oracle->doubt_count = 0;
    } else {
        cr_assert_lt(oracle->doubt_count, (size_t)ORACLE_DOUBTS);
        oracle->doubts[oracle->doubt_count++] = *changes;
    }
}

void oracle_hear(struct oracle *oracle)
{
    for (; oracle->heard < oracle->rig->settled_count; oracle->heard++) {
        uint64_t ticket = oracle->rig->settled[oracle->heard].ticket;
        int status = oracle->rig->settled[oracle->heard].status;
        size_t count = 0;
        while (count < oracle->waiting_count && oracle->waiting[count].ticket <= ticket) {
            settle(oracle, &oracle->waiting[count].changes, status);
            count++;
        }
        cr_assert_gt(count, 0u, "ticket %llu settled twice", (unsigned long long)ticket);
        cr_assert_eq(oracle->waiting[count - 1].ticket, ticket, "no such ticket");
        oracle->waiting_count -= count;
        memmove(oracle->waiting, oracle->waiting + count,
                oracle->waiting_count * sizeof oracle->waiting[0]);
    }
}

/* --- looking -----------------------------------------------------------------------------------
 */

struct look {
    const struct oracle *oracle;
    struct oracle_state found;
    size_t next;
};

/* Reads a row's number, and refuses a row that no put has made. */
static bool look_at(void *arg, struct slice key, struct slice value)
{
    struct look *look = arg;
    char text[8];
    while (look->next < ORACLE_KEYS) {
        struct slice expected = key_of(look->next, text);
        if (key.len == expected.len && memcmp(key.data, expected.data, key.len) == 0) {
            break;
        }
        look->next++;
    }
    cr_assert_lt(look->next, (size_t)ORACLE_KEYS, "a key nobody wrote, or out of order");
    int number = 0;
    cr_assert_geq(value.len, sizeof number);
    memcpy(&number, value.data, sizeof number);
    cr_assert(number > 0 && number <= look->oracle->last_number);
    struct slice expected = value_of(look->oracle, number);
    cr_assert_eq(value.len, expected.len);
    cr_assert_eq(memcmp(value.data, expected.data, value.len), 0, "a value nobody wrote");
    look->found.values[look->next++] = number;
    return true;
}

/* False when the disk cannot be read. */
static bool look(const struct oracle *oracle, struct oracle_state *found)
{
    struct look look = {.oracle = oracle};
    int status = store_scan(oracle->rig->store, rig_slice(""), look_at, &look);
    *found = look.found;
    cr_assert(status == ERR_OK || (status == ERR_IO && may_fail()), "%s", err_text(status));
    return status == ERR_OK;
}

static bool is_same(const struct oracle_state *a, const struct oracle_state *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static void explain(const struct oracle *oracle, const struct oracle_state *found,
                    const struct oracle_state *expected)
{
    cr_log_error("seed %llu:", (unsigned long long)oracle->seed);
    for (size_t i = 0; i < ORACLE_KEYS; i++) {
        if (found->values[i] != expected->values[i]) {
            cr_log_error("key %zu: found %d, expected %d", i, found->values[i],
                         expected->values[i]);
        }
    }
}

void oracle_check(struct oracle *oracle)
{
    struct oracle_state found;
    struct oracle_state expected = shown(oracle);
    if (look(oracle, &found) && !is_same(&found, &expected)) {
        explain(oracle, &found, &expected);
        cr_assert_fail("the store does not show what was written");
    }
}

static void forget_waiting(struct oracle *oracle)
{
    oracle->waiting_count = 0;
    oracle->doubt_count = 0;
    oracle->heard = 0;
    oracle->ticket = 0;
    oracle->staged = no_changes();
}

static bool may_survive(const struct oracle *oracle, const struct oracle_state *found)
{
    struct oracle_state allowed = oracle->durable;
    bool is_allowed = is_same(found, &allowed);
    for (size_t i = 0; i < oracle->waiting_count && !is_allowed; i++) {
        apply(&allowed, &oracle->waiting[i].changes);
        is_allowed = is_same(found, &allowed);
    }
    for (size_t i = 0; i < oracle->doubt_count && !is_allowed; i++) {
        allowed = oracle->durable;
        apply(&allowed, &oracle->doubts[i]);
        is_allowed = is_same(found, &allowed);
    }
    return is_allowed;
}

void oracle_check_survivors(struct oracle *oracle)
{
    struct oracle_state found;
    if (!look(oracle, &found)) {
        return;
    }
    if (!may_survive(oracle, &found)) {
        explain(oracle, &found, &oracle->durable);
        cr_assert_fail("%zu waiting, %zu in doubt: this state never was", oracle->waiting_count,
                       oracle->doubt_count);
    }
    oracle->durable = found;
    forget_waiting(oracle);
}

void oracle_check_closed(struct oracle *oracle)
{
    cr_assert_eq(oracle->waiting_count, 0u);
    oracle->staged = no_changes();
    oracle_check(oracle);
    forget_waiting(oracle);
}
