/* toy_port.h - a host in memory, for unit tests of one module on one or a few nodes.
 *
 * Not a simulator: latency is a number, storage never fails, processors take no time. What it does
 * keep are the laws of an entry (node/port/port.h), so that a module that breaks them fails here.
 *
 *      module -> port_ops -> queue of datagrams, one wake-up per port, map, intern table
 *      toy_run_until -> on_datagram, on_wake, on_durable of the test -> module
 *
 * A test embeds a module next to its port (struct toy_port.owner leads from one to the other),
 * fills the three callbacks and runs. Datagrams pass world->filter, which may look, change, drop,
 * double or delay them.
 */
#ifndef TESTS_SUPPORT_TOY_PORT_H
#define TESTS_SUPPORT_TOY_PORT_H

#include "node/base/rng.h"
#include "node/port/port.h"

enum {
    TOY_PORTS_MAX = 4096,
    TOY_CONTACTS_MAX = 8192,
    TOY_LATENCY_US = 20000,       /* One way, unless the world says otherwise. */
    TOY_ARENA_MAX = 64 * 1048576, /* Bytes, unless the port says otherwise. */
};

struct toy_world;
struct toy_port;

struct toy_datagram {
    struct toy_datagram *next;
    uint64_t due_us;
    uint64_t order;
    struct port_addr from;
    struct port_addr to;
    struct port_send_flags flags;
    uint16_t len;
    uint8_t bytes[PORT_DATAGRAM_MAX];
};

/* How many copies arrive: 0, 1, 2, ... May change bytes, len, due_us, from and to. */
typedef int (*toy_filter_fn)(void *arg, struct toy_datagram *datagram);

struct toy_callbacks {
    void (*on_datagram)(struct toy_port *port, const struct port_addr *from, struct slice bytes);
    void (*on_wake)(struct toy_port *port);
    void (*on_durable)(struct toy_port *port, uint64_t ticket);
};

/* One stored pair; pairs are kept in key order. */
struct toy_pair {
    uint8_t *value;
    size_t value_len;
    uint8_t key[PORT_KEY_MAX];
    uint8_t key_len;
};

/* A captured port event: its bytes and about are copies. */
struct toy_event {
    struct port_event event;
    uint8_t *copies;
};

struct toy_port {
    struct port port;
    struct toy_world *world;
    struct toy_callbacks callbacks;
    void *owner; /* The test's. */
    uint32_t index;
    struct rng *entropy;
    uint64_t wake_us;
    uint64_t entropy_bytes; /* Drawn so far. */
    uint64_t datagrams_sent;
    uint64_t bytes_sent;
    void *chunks; /* Linked through their first word. */
    size_t arena_bytes;
    size_t arena_max;
    struct toy_pair *pairs;
    size_t pair_count;
    uint64_t *tickets; /* Commits that are not durable yet; all due at durable_us. */
    size_t ticket_count;
    uint64_t durable_us;
    struct toy_event *events;
    size_t event_count;
    struct port_trace *traces;
    size_t trace_count;
    bool is_muted;    /* Keep no events and traces: for benchmarks. */
    bool store_fails; /* Every storage call answers ERR_IO. */
};

struct toy_world {
    struct toy_port *ports;
    uint32_t port_count;
    uint64_t now_us;
    uint64_t latency_us;
    uint64_t durable_delay_us; /* From commit to on_durable. */
    toy_filter_fn filter;      /* NULL, or sees every datagram sent. */
    void *filter_arg;
    const struct toy_port *entered;
    struct toy_datagram *pending; /* In order of (due_us, order). */
    struct toy_datagram *last;
    struct toy_datagram *spare;
    uint64_t order_last;
    uint64_t delivered; /* Datagrams. */
    struct port_intern intern;
    uint8_t *records;
    uint64_t *prefixes;
    uint32_t *references;
    uint32_t *slots;
    uint32_t contact_count;
};

/* `count` ports at 10.x.y.1:8468, each in its own /24. Ends the process when memory does. */
struct toy_world *toy_open(uint32_t count, uint64_t seed, const struct port_crypto *crypto);
void toy_close(struct toy_world *world);

struct toy_port *toy_at(struct toy_world *world, uint32_t index);

static inline struct toy_port *toy_of(struct port *port)
{
    return container_of(port, struct toy_port, port);
}

/* The address port `index` starts with. */
struct port_addr toy_addr(uint32_t index);
/* Gives the port another address, as a mobile network would. */
void toy_move(struct toy_port *port, const struct port_addr *addr);

/* Around whatever a test asks of a node outside the callbacks: an entry of its own. */
void toy_enter(struct toy_port *port);
void toy_leave(struct toy_port *port);

/* Hands bytes to whoever has the address `to`, after the latency; past the filter. */
void toy_inject(struct toy_world *world, const struct port_addr *from, const struct port_addr *to,
                struct slice bytes);

/* Runs everything due up to and including time_us, then sets the clock to it. */
void toy_run_until(struct toy_world *world, uint64_t time_us);
void toy_run_for(struct toy_world *world, uint64_t span_us);

/* References held to all interned records together: 0 when nobody leaks. */
uint64_t toy_reference_count(const struct toy_world *world);

#endif /* TESTS_SUPPORT_TOY_PORT_H */
