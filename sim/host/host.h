/* host.h - the seam, simulated: a world of hosts, each with one node on it.
 *
 * A world owns the event queue, the packets in flight, the interned contacts and an array of hosts.
 * A host owns what is its node's alone: port, access link, disk, memory chunks, dice, digest. Hosts
 * touch each other only through events that take at least a millisecond; that is what lets them be
 * spread over threads without changing a result (world.h).
 *
 *      node -> port_ops (host_net.c, host_store.c, ...) -> queue
 *      world_run_until: queue -> event -> entry of one node -> deliveries to hooks.delivered
 *
 * Units: µs of simulated time since the world began, bytes, bit/s.
 */
#ifndef SIM_HOST_HOST_H
#define SIM_HOST_HOST_H

#include <stdio.h>

#include "node/node.h"
#include "sim/engine/queue.h"
#include "sim/engine/replay.h"
#include "sim/net/napt.h"
#include "sim/net/net.h"

enum {
    HOST_PORT = 8468,                /* UDP port of every main path, as the live node's default. */
    HOST_PATHS_MAX = 512,            /* Extra paths of one host: path p has port HOST_PORT + p. */
    WORLD_THREADS_MAX = 8,           /* As many as a packet's index can name. */
    HOST_GROUP_NODES_MAX = 254,      /* Hosts in one /24. */
    HOST_BACKLOG_BYTES_MAX = 212992, /* Socket buffer: Linux's net.core.rmem_default. */
    HOST_TTL = 64,                   /* Of a datagram that asks for none: RFC 1700's default. */
    WORLD_BOX_DEPTH_MAX = 8,         /* NAT boxes one inside the other. */
    /* Of streams, as the real host has them (node/host/stream.h, host.h). */
    HOST_STREAMS_MAX = 256,
    HOST_STREAMS_PER_ADDR_MAX = 16, /* Inbound ones from one address. */
    HOST_STREAM_BACKLOG_BYTES_MAX = 64 * 1024,
    HOST_STREAM_OPENING_US = 10000000,
    HOST_STREAM_IDLE_US = 180000000,
};
#define WORLD_BOX_NONE UINT32_MAX

enum host_event {
    HOST_EVENT_DATAGRAM,
    HOST_EVENT_READY, /* The processor is free again: the next datagram of the backlog. */
    HOST_EVENT_WAKE,
    HOST_EVENT_DURABLE,
    HOST_EVENT_RESOLVED,
    HOST_EVENT_WORK,
    HOST_EVENT_SCRIPT, /* An event of the population: churn, workload. */
    HOST_EVENT_STREAM, /* A segment of a stream, or one of its timers. */
};

struct host;
struct shard;
struct world;

struct world_hooks {
    void *arg;
    /* A node's event, soon after its entry has returned: at the end of the window of at most a
     * millisecond in which it fell. May submit commands to any host that is up. */
    void (*delivered)(void *arg, struct host *host, const struct port_event *event);
    /* A scripted event of a host has come due (host_script). */
    void (*scripted)(void *arg, struct host *host, uint32_t what);
    /* NULL, or observation of every trace event, on the thread that runs the host. */
    void (*traced)(void *arg, struct host *host, const struct port_trace *event);
    /* NULL, or every event that is dispatched, on the thread that runs its destination; in order
     * when there is one. */
    void (*dispatched)(void *arg, const struct event *event, uint32_t kind, struct slice bytes,
                       uint64_t chain);
};

struct world_options {
    uint64_t seed;
    uint64_t wall_start_us; /* Unix time at simulated time 0. */
    enum queue_kind queue_kind;
    const struct port_crypto *crypto;
    const struct net_config *net; /* Borrowed for the life of the world. */
    uint32_t hosts_max;
    uint32_t contacts_max;   /* Interned contacts; 0 = four for each host. */
    uint32_t node_bytes_max; /* A node's declared maximum of memory. */
    uint32_t threads;        /* That run hosts, up to WORLD_THREADS_MAX; 0 = 1. */
    struct world_hooks hooks;
};

struct host_counts {
    uint64_t events;
    uint64_t datagrams_sent;
    uint64_t datagrams_lost;     /* By the network: loss, queues, MTU, TTL, and boxes: */
    uint64_t datagrams_filtered; /* Those of the lost that a NAT box let not pass. */
    uint64_t datagrams_dead;     /* Arrived at a host whose node was down. */
    uint64_t bytes_sent;
};

struct host {
    struct port port;
    struct shard *shard; /* Who runs it. */
    struct node *node;   /* NULL while down. */
    struct net_link link;
    uint64_t wake_us;     /* The node's one pending wake-up. */
    uint64_t cpu_free_ns; /* Until when the simulated processor is busy. */
    uint64_t digest;
    struct rng entropy;
    struct host_disk *disk;    /* Survives a crash. */
    struct host_chunk *chunks; /* The node's memory; dropped by a crash. */
    uint32_t chunk_bytes;
    uint32_t index;
    uint32_t sequence;      /* Of the events this host causes. */
    uint32_t incarnation;   /* Starts so far. */
    uint32_t backlog_first; /* Datagrams that wait for the processor: packet + 1, 0 none. */
    uint32_t backlog_last;
    uint32_t backlog_bytes;
    uint32_t extra; /* What few hosts have (world.h), + 1; 0: nothing. */
};
_Static_assert(sizeof(struct host) <= 256, "four cache lines");

struct world *world_open(const struct world_options *options);
void world_close(struct world *world);

/* Adds a host in address group `group24` (hosts of one group share a /24). Returns its index. */
uint32_t world_add_host(struct world *world, uint32_t group24);

/* A NAT box in address group `group24`: its external address takes a place in the /24 as a host's
 * would. `outer` is WORLD_BOX_NONE or the box it stands behind (a carrier's, or a second router):
 * then its external address is a private one of that box's inside. Inside it addresses
 * are 10.x.y.z, and 10.x.y.1 is its own. A firewall translates nothing: who is behind it has
 * addresses of its outside. config is borrowed for the life of the world. Returns the box's number.
 */
uint32_t world_add_box(struct world *world, uint32_t group24, const struct napt_config *config,
                       uint32_t outer);
/* A host behind a box. All that is behind one outermost box is run by one shard. Returns its index.
 */
uint32_t world_add_host_behind(struct world *world, uint32_t box);
uint32_t world_box_count(const struct world *world);
struct napt *world_box(struct world *world, uint32_t box);
/* The one that stands next before the host; WORLD_BOX_NONE: the host is public. */
uint32_t world_box_of(const struct world *world, uint32_t host);
/* False for a firewall. */
bool world_box_translates(const struct world *world, uint32_t box);
/* Faults, between windows: the box forgets all it knew, or gets another external address too. */
void world_reboot_box(struct world *world, uint32_t box);
void world_renumber_box(struct world *world, uint32_t box);

struct host *world_host(struct world *world, uint32_t index);
uint32_t world_host_count(const struct world *world);
uint64_t world_now_us(const struct world *world);
/* While hooks.delivered runs: when the event was delivered. Else now. */
uint64_t world_told_us(const struct world *world);
uint64_t world_seed(const struct world *world);
struct host_counts world_counts(const struct world *world);
size_t world_queue_len(const struct world *world);

/* Runs every event before time_us, then sets the clock to it. Stops early, at the event it is about
 * to run, once `events_max` events have run in all (0 = no limit; else with one thread only) or, at
 * the end of a window, *stop is set. Returns true when time_us was reached. */
bool world_run_until(struct world *world, uint64_t time_us, uint64_t events_max,
                     const volatile int *stop);

/* Calls visit(arg, host) for `count` hosts from index `first` on, each on the thread that runs it,
 * between windows: visit looks, and changes nothing but what is the host's own or guarded. */
typedef void (*world_visit_fn)(void *arg, struct host *host);
void world_visit(struct world *world, uint32_t first, uint32_t count, world_visit_fn visit,
                 void *arg);

/* All owners' chains, combined in id order. */
uint64_t world_digest(const struct world *world);
void world_digest_chains(const struct world *world, uint64_t *chains); /* One per host. */

/* Points the context at the world's clock and counters, for as long as the world is open. */
void world_replay_context(const struct world *world, struct replay_context *context);

/* Where the host is in the network, and the stream of its link. Before it first starts. A box is
 * where the first host behind it is. */
void host_place(struct host *host, const struct net_site *site, uint64_t seed);

/* The host whose main path has this address in the public network, or NULL. */
struct host *world_find(struct world *world, const struct port_addr *addr);

/* Brings a node up on the host: fresh memory, the disk as it was left. ERR_* of node_init. */
int host_start(struct host *host, const struct node_config *config);
/* A polite leave, or a crash: memory gone, what was not durable lost or torn. */
void host_stop(struct host *host);
void host_kill(struct host *host);
/* What the host's driver asks of its node; an entry of its own. */
int host_submit(struct host *host, const struct node_command *command);
/* An event of the script for this host: hooks.scripted(host, what) at time_us, rounded up to a
 * whole millisecond; the past means now. */
void host_script(struct host *host, uint64_t time_us, uint32_t what);
/* Runs `call(node, arg)` as an entry of the host's node; for tests and prebuilt networks. */
void host_enter(struct host *host, void (*call)(struct node *node, void *arg), void *arg);

static inline bool host_is_up(const struct host *host)
{
    return host->node != NULL;
}

/* The suite for simulation at scale: host_crypto.c. */
extern const struct port_crypto modelled_suite;

/* Memory: node chunks in use, and what the world itself holds. */
size_t world_node_bytes(const struct world *world);
size_t world_disk_bytes(const struct world *world);
size_t world_packet_bytes(const struct world *world);
size_t world_intern_bytes(const struct world *world);

#endif /* SIM_HOST_HOST_H */
