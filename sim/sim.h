/* sim.h - one run of one scenario under one seed: what command line, tests and tools may call.
 *
 *      struct scenario, seed -> sim_open -> world of hosts, population, workload
 *      sim_run_until -> events; samples and checks at barriers -> struct sim_sink
 *
 * A sink hears of everything that was measured; whoever opened the run decides what becomes of it
 * (results database, a test's asserts). Sinks never influence a run.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "sim/host/host.h"
#include "sim/scenario/scenario.h"

struct sim;

/* One finished operation of the workload. Fields that make no sense for its type are 0. */
struct sim_operation {
    enum scenario_workload_type type;
    uint64_t start_us;
    uint32_t node;     /* Who asked. */
    uint32_t group;    /* Of that node. */
    uint32_t receiver; /* Message. */
    uint64_t took_us;
    uint32_t hops;
    uint32_t messages;
    uint32_t holders; /* Store: durable ones. */
    uint32_t bytes;
    double reach_ratio; /* Broadcast: of the nodes online at its start (and still at its end). */
    uint64_t t50_us;
    uint64_t t99_us;
    double duplicate_ratio;
    bool is_ok;    /* Judged against the truth: see docs/modules/population.md for each type. */
    bool is_exact; /* Lookup: exactly the true k closest. */
};

/* How a node behind a NAT box, or another that deals with one, reached its peer in the end. */
struct sim_way {
    uint64_t start_us; /* Of the message that wanted it. */
    uint32_t group;    /* Of the sender. */
    uint32_t nat_from; /* enum scenario_nat */
    uint32_t nat_to;
    enum nat_way way;
    enum nat_step step; /* What failed last on the way to a better one. */
};

struct sim_sink {
    void *arg;
    /* One value of a distribution (an operation's latency, a join) or of a gauge or counter at a
     * sample; finite and not negative. A distribution's value is told once, with the group of the
     * node it belongs to, and counts for the whole network too. A gauge or counter counts for
     * exactly the group it is told with. SCENARIO_GROUP_NONE: the whole network only. An
     * operation's values carry the time of its start, so they may be told out of order. */
    void (*observe)(void *arg, enum metric_id metric, uint64_t t_us, uint32_t group, double value);
    /* Only operations that can be judged: nothing beyond their node's power got in the way. */
    void (*operation)(void *arg, const struct sim_operation *operation);
    /* In scenarios with boxes, some time after a message has arrived. */
    void (*way)(void *arg, const struct sim_way *way);
    void (*session)(void *arg, uint32_t node, uint64_t start_us, uint64_t end_us,
                    const char *end_reason);
    /* What the run's driver is about to ask of a node, and what nodes tell it; borrowed. */
    void (*submitting)(void *arg, uint32_t node, const struct node_command *command);
    void (*delivered)(void *arg, uint32_t node, const struct port_event *event);
    /* A broken invariant. The run goes on; its verdict is failed. node UINT32_MAX: the world. */
    void (*violation)(void *arg, uint64_t t_us, uint32_t node, const char *what);
};

struct sim_options {
    const struct scenario *scenario; /* Borrowed for the life of the run. */
    uint64_t seed;                   /* Of this replicate. */
    uint64_t events_max;             /* --stop-at: 0 for none. */
    uint32_t threads;                /* Of this run, 0 = 1: the results are the same. */
    enum queue_kind queue_kind;
    struct sim_sink sink;     /* Members may be NULL. */
    const volatile int *stop; /* NULL, or ends the run early once it is not 0. */
    void (*dispatched)(void *arg, const struct event *event, uint32_t kind, struct slice bytes,
                       uint64_t chain); /* NULL, or sees every event (diff, replay). */
    void *dispatched_arg;
    /* With events_max or dispatched there is one thread, whatever `threads` says: both want the
     * events in their order. */
};

/* NULL with a message in `error` when the scenario cannot be set up. */
struct sim *sim_open(const struct sim_options *options, char *error, size_t error_size);
void sim_close(struct sim *sim);

/* Runs to simulated time time_us (at most the scenario's duration). False when stopped early. */
bool sim_run_until(struct sim *sim, uint64_t time_us);
/* After the last sim_run_until: settles open operations, closes sessions, last checks. */
void sim_finish(struct sim *sim);

uint64_t sim_now_us(const struct sim *sim);
uint64_t sim_digest(const struct sim *sim);
uint64_t sim_tables_hash(const struct sim *sim); /* Of all distribution and latency tables. */
uint32_t sim_nodes_online(const struct sim *sim);
struct world *sim_world(struct sim *sim);

/* What a node is in this run; for the results' node table and for replay. */
struct sim_node_info {
    const char *group_name;
    const char *region_name;
    const char *nat_name; /* "public", a preset's or a box's. */
    uint64_t up_bps;
    uint64_t down_bps;
    uint8_t public_key[CRYPTO_PUBLIC_LEN]; /* Zero until the node has started once. */
    struct port_addr addr;
    const struct node_config *config; /* What it runs with, whenever it runs. */
    bool is_up;
};
uint32_t sim_node_count(const struct sim *sim);
void sim_node_info(struct sim *sim, uint32_t node, struct sim_node_info *info);

/* What the node's identity was made from; false while it has never been up. */
bool sim_node_seed(struct sim *sim, uint32_t node, uint8_t seed[CRYPTO_SEED_LEN]);

/* Bytes by module, mean over the nodes online, and what the world itself holds: the memory table.
 */
struct sim_memory {
    double node_struct_bytes;
    double used_bytes[ARENA_USER_COUNT];
    double arena_bytes; /* Chunks, spare room included. */
    double host_bytes;  /* struct host, per node. */
    size_t queue_bytes;
    size_t packet_bytes;
    size_t intern_bytes;
    size_t disk_bytes;
};
void sim_memory(struct sim *sim, struct sim_memory *memory);

/* Sums of all nodes' counters since the start, those of nodes gone included. */
void sim_counters(struct sim *sim, uint64_t counters[COUNTER_COUNT]);
/* The same of their messages by kind. */
void sim_traffic(struct sim *sim, struct traffic *traffic);

/* For judging: of the nodes that are online and have joined, the k nearest to an id by the world's
 * knowledge; host indices, closest first. Returns how many (fewer than k in a small network).
 * `except` is left out. */
uint32_t sim_true_nearest(struct sim *sim, const struct node_id *target, uint32_t except,
                          uint32_t *nodes, uint32_t k);

#endif /* SIM_SIM_H */
