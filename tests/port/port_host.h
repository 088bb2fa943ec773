/* port_host.h - what the contract suite needs of a host under test.
 *
 * The suite (test_*.c) is written once. Each host brings one file port_host_NAME.c with these
 * functions; instead of the node the program links a probe (probe.c) that does what a test tells it
 * and remembers what the host did.
 *
 *      test -> port_host_enter(i, step) -> port_ops of host i
 *      host -> node_on_*() of the probe -> struct probe
 */
#ifndef TESTS_PORT_PORT_HOST_H
#define TESTS_PORT_PORT_HOST_H

#include "node/node.h"

enum {
    PROBE_DATAGRAMS_MAX = 64,
    PROBE_WAKES_MAX = 64,
    PROBE_TICKETS_MAX = 16,
    PROBE_PATH_EVENTS_MAX = 16,
    PORT_HOST_NODE_BYTES = 256 * 1024, /* The declared maximum of a node's memory. */
};

struct probe_datagram {
    int path;
    struct port_addr from;
    size_t len;
    uint8_t bytes[PORT_DATAGRAM_MAX];
    uint64_t at_us;
};

/* What one node's host has done to it since it was started. */
struct probe {
    struct port *port;
    unsigned datagram_count;
    struct probe_datagram datagrams[PROBE_DATAGRAMS_MAX];
    unsigned wake_count;
    uint64_t wakes_us[PROBE_WAKES_MAX];
    unsigned ticket_count;
    uint64_t tickets[PROBE_TICKETS_MAX];
    unsigned path_event_count;
    struct {
        int path;
        enum port_path_event event;
    } path_events[PROBE_PATH_EVENTS_MAX];
    unsigned work_count;
    struct port_work *work_last;
    unsigned resolved_count;
    int resolved_status;
    struct port_addr resolved_addr;
    unsigned entries_open;                    /* Never above 1. */
    void (*on_datagram)(struct probe *probe); /* NULL, or runs inside the entry. */
    void (*on_wake)(struct probe *probe);
};

/* The probe behind a started node. */
struct probe *probe_of(struct node *node);

struct port_host;
typedef void (*port_host_step_fn)(struct probe *probe, void *arg);
typedef bool (*port_host_until_fn)(void *arg);

/* `count` hosts with a started node each; 10 ms apart or less, nothing lost. */
struct port_host *port_host_open(unsigned count);
void port_host_close(struct port_host *hosts);

struct probe *port_host_probe(struct port_host *hosts, unsigned index);
/* Runs step as an entry of node `index`. */
void port_host_enter(struct port_host *hosts, unsigned index, port_host_step_fn step, void *arg);
/* Lets the world run until `until` holds; false when it does not after limit_us of the host's own
 * clock. */
bool port_host_run(struct port_host *hosts, port_host_until_fn until, void *arg, uint64_t limit_us);
/* Lets span_us pass on the host's own clock. */
void port_host_pass(struct port_host *hosts, uint64_t span_us);
/* The power fails; port_host_start boots the node again on the same disk. */
void port_host_kill(struct port_host *hosts, unsigned index);
void port_host_start(struct port_host *hosts, unsigned index);
/* Events delivered by node `index` so far, and the kind of the last. */
unsigned port_host_delivered(struct port_host *hosts, unsigned index, uint16_t *kind);
/* A name the host's resolver knows for node `index`. */
void port_host_name(struct port_host *hosts, unsigned index, char *name, size_t size);

#endif /* TESTS_PORT_PORT_HOST_H */
