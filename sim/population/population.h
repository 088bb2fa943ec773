/* population.h - who is there, who comes and goes, what they do, and what the world knows of them.
 *
 * A population fills a world with members, one per host, in groups. Members come and go by
 * their churn model, join, and begin operations at random moments; every operation is judged
 * against the truth (judge.c, docs/modules/population.md).
 *
 *      population_start -> host_script -> population_scripted -> host_start, host_kill, host_submit
 *      node -> population_delivered -> operation ends -> judge -> hooks.ended
 *      population_barrier (once per tick) -> arrivals that nodes share, broadcasts that are over
 *
 * Owner rule: an event of a member changes that member only. What a member uses of others (whom to
 * write to, which keys are stored) is what was so at the last barrier. Judging reads everything and
 * changes nothing that a node could see.
 *
 * Departures are silent: memory gone, what was not durable lost, no word to anybody. That is what
 * measurements of churn see, and the harder case. Who returns finds the disk as it was left, so it
 * is the same node.
 *
 * What it does not do: know scenario files, keep statistics.
 */
#ifndef SIM_POPULATION_POPULATION_H
#define SIM_POPULATION_POPULATION_H

#include "sim/host/host.h"
#include "sim/population/churn.h"
#include "sim/population/keys.h"
#include "sim/population/operation.h"
#include "sim/population/truth.h"

#define POPULATION_ALL   UINT32_MAX
#define POPULATION_NEVER UINT64_MAX

enum {
    POPULATION_BROADCAST_US = 60000000, /* A broadcast is judged this long after its start. */
    /* Enough for every attempt of node/nat to get off the relay, a birthday's included. */
    POPULATION_SETTLE_US = 30000000,
};

struct population_group {
    uint32_t first; /* Its hosts are first .. first + count - 1. */
    uint32_t count;
    const struct node_config *configs; /* Member i uses configs[i % config_count]. */
    uint32_t config_count;
    /* The first seed_count members are whom everybody joins through: they never leave, and count as
     * joined when they have tried, for there may be nobody before them. */
    uint32_t seed_count;
    const struct node_config *seed_configs; /* Used like configs; may be NULL without seeds. */
    const struct churn_model *churn;        /* NULL: nobody leaves. */
    uint32_t always_on; /* Share that never leaves, in 2^-32; evenly over the members. */
    uint64_t origin_us; /* When the group's own time begins, */
    uint64_t ramp_us;   /* and over how long its members start, evenly. */
};

struct population_work {
    enum operation_kind kind;
    bool is_per_node;              /* `gap` is that of each node; else of all of them together. */
    uint32_t group;                /* Who begins: POPULATION_ALL for everybody. */
    const struct dist *gap;        /* Between arrivals, us. Borrowed, like all pointers here. */
    const struct dist *size_bytes; /* Of messages and broadcasts, and of fresh values. */
    const struct dist *ranks;      /* Zipf over keys; NULL: evenly. */
    uint32_t key_count;            /* 0: a fresh key each time. */
    uint64_t from_us;
    uint64_t until_us;
};

struct population_hooks {
    void *arg;
    void (*joined)(void *arg, uint32_t node, uint64_t took_us);
    /* A stay is over; the node is still up. */
    void (*session)(void *arg, uint32_t node, uint64_t start_us, uint64_t end_us,
                    const char *end_reason);
    void (*ended)(void *arg, const struct operation_end *end);
    /* NULL, or: a message has arrived. False when its ends may still find a better way to each
     * other: then it is asked again POPULATION_SETTLE_US later, if both have stayed, for the last
     * time. */
    bool (*settled)(void *arg, uint32_t node, uint32_t receiver, uint64_t start_us, bool is_last);
    /* NULL, or what is about to be asked of a node. */
    void (*submitting)(void *arg, uint32_t node, const struct node_command *command);
    /* A node that could not start, or refused what it must not refuse. */
    void (*trouble)(void *arg, uint32_t node, const char *what);
};

struct population_options {
    struct world *world; /* With its hosts and their links. */
    uint64_t seed;
    uint64_t end_us; /* Of the run: nothing is scheduled beyond it. */
    bool is_prebuilt;
    const struct population_group *groups;
    uint32_t group_count;
    const struct population_work *works;
    uint32_t work_count;
    uint32_t key_count;             /* The largest of the works'. */
    const struct dist *value_bytes; /* Sizes of the keys' values. */
    uint64_t value_expiry_us;       /* How long a stored value may be asked for. */
    struct population_hooks hooks;
};

struct member {
    uint64_t since_us;  /* Up since, or down since. */
    uint64_t joined_us; /* Takes part since; POPULATION_NEVER while it does not. */
    uint64_t end_us;    /* Of its stay. */
    struct churn_state churn;
    struct node_id id;  /* Once it has started. */
    uint32_t operation; /* First open one + 1; 0 for none. */
    uint16_t group;
    bool is_gone; /* For good: a leave action took it. */
};
_Static_assert(sizeof(struct member) <= 64, "a cache line per member");

struct population {
    struct population_options options;
    struct member *members;
    uint32_t member_count;
    uint32_t online;
    struct truth truth; /* Of those who have joined and are up. */
    uint64_t *joined;   /* Bit per member: takes part now. */
    uint64_t *known;    /* The same at the last barrier. */
    uint64_t barrier_us;
    struct keys keys;
    struct operations operations;
    struct settling *settling;    /* Messages that arrived lately, oldest first, */
    uint32_t settling_first;      /* from here */
    uint32_t settling_count;      /* to here, */
    uint32_t settling_cap;        /* of so many places. */
    struct arrival *arrivals;     /* One per work that nodes share. */
    uint64_t gone[COUNTER_COUNT]; /* Counters of nodes that ended, */
    struct traffic gone_traffic;  /* and their traffic. */
};

struct population *population_open(const struct population_options *options);
void population_close(struct population *population);

/* At time 0: schedules everybody's first stay; prebuilt starts and fills tables here. */
void population_start(struct population *population);
/* For world_hooks. */
void population_scripted(struct population *population, struct host *host, uint32_t what);
void population_delivered(struct population *population, struct host *host,
                          const struct port_event *event);
/* Between two stretches of the run, at most a second apart: until next_us is the next stretch. */
void population_barrier(struct population *population, uint64_t next_us);

enum population_select {
    POPULATION_SELECT_ALL,
    POPULATION_SELECT_GROUP,
    POPULATION_SELECT_HOLDERS
};

struct population_leave {
    enum population_select select; /* Holders: nodes that hold a record just now. */
    uint32_t group;
    uint32_t fraction; /* Of those, in 2^-32; rounded to whole nodes. */
    uint32_t number;   /* Of the action, for its dice. */
};
/* At a barrier: they vanish for good. Returns how many. */
uint32_t population_leave(struct population *population, const struct population_leave *leave);
/* At a barrier: the boxes next before them forget all mappings, each once however many of them are
 * behind it, and unless `keeps_address` those that translate get another external address. Returns
 * how many boxes. */
uint32_t population_strike_boxes(struct population *population, const struct population_leave *who,
                                 bool keeps_address);

/* At the end: closes sessions. Operations still open are neither successes nor failures. */
void population_finish(struct population *population);

/* What the node runs with, whenever it runs. */
const struct node_config *population_config(const struct population *population, uint32_t node);
/* Up, and part of the network, ever since then. */
bool population_stayed(const struct population *population, uint32_t node, uint64_t since_us);
static inline bool population_is_in(const uint64_t *bits, uint32_t node)
{
    return (bits[node / 64] >> (node % 64) & 1) != 0;
}

/* Sums over all nodes that ever ran. */
void population_counters(const struct population *population, uint64_t counters[COUNTER_COUNT]);
void population_traffic(const struct population *population, struct traffic *traffic);
uint64_t population_counter(const struct population *population, enum counter which);

/* A put of this key has been acknowledged: notes since when it is stored, and as its holders those
 * of the nearest nodes that hold it for good, not as a cache copy. */
void population_acknowledged(struct population *population, struct key *key);
/* Adds other living holders among the nearest, and drops such ones that no longer hold it. */
void population_holders_update(struct population *population, struct key *key);
/* Whether this host's node is up and holds the record. */
bool population_holds(const struct population *population, uint32_t node,
                      const struct node_id *key);

#endif /* SIM_POPULATION_POPULATION_H */
