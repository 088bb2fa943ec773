/* store_oracle.h - what a store may hold, whatever its disk does, and what it may not.
 *
 * Makes random calls and remembers them: what is acknowledged, what waits, what is staged. After
 * each failure or power cut it says which states are allowed.
 *
 *      oracle_step -> store calls -> rig's hooks -> oracle_hear -> oracle_check
 *      power cut, reopened -> oracle_check_survivors
 */
#ifndef TESTS_UNIT_NODE_HOST_STORE_ORACLE_H
#define TESTS_UNIT_NODE_HOST_STORE_ORACLE_H

#include "node/base/rng.h"
#include "tests/unit/node_host/store_rig.h"

enum {
    ORACLE_KEYS = 24,
    ORACLE_BATCHES = 512, /* Unsettled ones at a time. */
    ORACLE_DOUBTS = 512,
    ORACLE_KEPT = -1, /* In a batch: this key was not written. */
};

/* Values by key, as numbers from which the bytes follow. 0: absent. */
struct oracle_state {
    int values[ORACLE_KEYS];
};

struct oracle {
    struct rig *rig;
    uint64_t seed;
    struct rng rng;
    uint32_t value_max; /* Bytes. */
    int last_number;
    uint64_t ticket;
    size_t heard; /* Of the rig's list. */
    struct oracle_state durable;
    struct oracle_state staged; /* This one and those below: changes, ORACLE_KEPT where none. */
    struct {
        uint64_t ticket;
        struct oracle_state changes;
    } waiting[ORACLE_BATCHES];
    size_t waiting_count;
    /* Commits that failed since the last success: one may turn out to be on the disk. */
    struct oracle_state doubts[ORACLE_DOUBTS];
    size_t doubt_count;
    uint64_t acknowledged; /* Writes. */
};

void oracle_begin(struct oracle *oracle, struct rig *rig, uint64_t seed, uint32_t value_max);
/* One random call: a write, a commit, a turn of the loop or a look at everything. */
void oracle_step(struct oracle *oracle);
void oracle_commit(struct oracle *oracle);
/* Follows what the hooks have been told. */
void oracle_hear(struct oracle *oracle);
/* The store shows exactly what it has to. */
void oracle_check(struct oracle *oracle);
/* After a reopening: all that was acknowledged is there, and of the rest a beginning. */
void oracle_check_survivors(struct oracle *oracle);
/* After the store was closed in peace: exactly what was acknowledged. */
void oracle_check_closed(struct oracle *oracle);

#endif /* TESTS_UNIT_NODE_HOST_STORE_ORACLE_H */
