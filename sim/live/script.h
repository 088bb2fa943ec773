/* script.h - what a simulated run did to its nodes, and what came of it: the part to play again.
 *
 * A script knows no world: when which node starts and is killed, what it is asked for, as whom and
 * through whom it joins. Beside each command stands its outcome, once as it was simulated and once
 * as it was live.
 *
 *      scenario, seed -> script_record (simulated) -> struct live_script -> replay_run (live)
 *                                                          both outcomes -> compare.h
 */
#ifndef SIM_LIVE_SCRIPT_H
#define SIM_LIVE_SCRIPT_H

#include "sim/sim.h"

enum {
    LIVE_NODES_MAX = 64, /* Processes on one machine that still leave it idle most of the time. */
    LIVE_BOOTSTRAP_MAX = 4,
    LIVE_ADDR_SIZE = 32,   /* "127.28.0.1:8468" */
    LIVE_TABLE_ENOUGH = 10 /* Contacts: whoever knows so many (or all) has joined for good. */
};

struct live_node {
    uint8_t seed[CRYPTO_SEED_LEN];
    char host[LIVE_ADDR_SIZE]; /* "127.28.0.1" */
    char bootstrap[LIVE_BOOTSTRAP_MAX][LIVE_ADDR_SIZE];
    uint32_t bootstrap_count;
};

enum live_step_kind { LIVE_START, LIVE_KILL, LIVE_COMMAND };

struct live_step {
    uint64_t at_us;
    enum live_step_kind kind;
    uint32_t node;
    uint32_t command; /* Of LIVE_COMMAND: its place in `commands`. */
};

struct live_outcome {
    bool is_done;
    bool is_ok; /* And of a get: the value that was stored. */
    uint32_t hops;
    uint32_t messages;
    uint64_t took_us;
};

struct live_command {
    enum node_command_kind kind;
    uint32_t node;
    uint64_t at_us;
    struct node_id id;
    uint8_t *bytes; /* Of a get: the value it brought. */
    size_t len;
    struct live_outcome simulated;
    struct live_outcome live;
};

/* What a whole run adds up to. */
struct live_totals {
    struct traffic traffic;
    uint64_t counters[COUNTER_COUNT];
    /* When every node had started, and all that were up knew LIVE_TABLE_ENOUGH others or all there
     * are; 0: never. */
    uint64_t joined_us;
};

struct live_script {
    struct live_node *nodes;
    uint32_t node_count;
    struct live_step *steps; /* By time. */
    uint32_t step_count;
    struct live_command *commands;
    uint32_t command_count;
    uint64_t duration_us;
    uint64_t all_started_us; /* The last node's first start. */
    struct live_totals simulated;
    struct live_totals live;
};

struct script_options {
    const struct scenario *scenario;
    uint64_t seed;
    uint64_t duration_us; /* At most the scenario's. */
    const volatile int *stop;
};

/* ERR_OK; ERR_UNSUPPORTED when the real world cannot do what the scenario wants, ERR_INVALID when
 * it cannot be simulated, both with a one-line reason; ERR_STOPPED. */
NODISCARD int script_record(struct live_script *script, const struct script_options *options,
                            char *reason, size_t reason_size);
void script_free(struct live_script *script);

#endif /* SIM_LIVE_SCRIPT_H */
