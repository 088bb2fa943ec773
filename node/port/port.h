/* port.h - the one seam between a node and the world it runs in.
 *
 * A node never reads a clock, opens a socket, touches a disk or asks the kernel for entropy. It
 * calls the operations below; node/host/ implements them with real sockets and disks, sim/host/
 * with an event queue. The world calls the node through the node_on_*() entries of node/node.h.
 *
 *      world -> node_on_datagram, node_on_wake, ... -> node -> port_ops -> world
 *
 * Four laws of an entry, asserted by every host: one thread; never re-entered; now_us does not
 * move; nothing that is sent, committed or delivered inside an entry arrives before it returns.
 *
 * Ownership: bytes passed down are borrowed and copied before return; bytes passed up are borrowed
 * for the length of the entry. Units are in the names. Errors are the negative ERR_* of base/err.h.
 */
#ifndef NODE_PORT_PORT_H
#define NODE_PORT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/slice.h"
#include "node/port/crypto.h"

enum {
    /* Fits IPv6's minimum MTU of 1280 (RFC 8200 section 5) with headers and a tunnel to spare; the
     * size QUIC starts from too (RFC 9000 section 14). */
    PORT_DATAGRAM_MAX = 1200,
    PORT_KEY_MAX = 64,      /* Longest storage key, bytes. */
    PORT_VALUE_MAX = 65536, /* Longest storage value, bytes. */
    PORT_MAIN_PATH = 0,     /* The UDP socket every node has. */
};
#define PORT_NEVER UINT64_MAX

/* IPv6 address and UDP port in network order; IPv4 is carried v4-mapped (RFC 4291 2.5.5.2). */
struct port_addr {
    uint8_t ip[16];
    uint8_t port[2];
};
_Static_assert(sizeof(struct port_addr) == 18, "addresses are compared with memcmp");

enum port_carrier {
    PORT_UDP,        /* An extra local UDP socket. */
    PORT_TCP,        /* One stream to `remote`; the host frames datagrams on it. */
    PORT_MASKED,     /* The same, dressed as HTTP. */
    PORT_NEIGHBOURS, /* Everybody on the link: multicast, or adjacent nodes of a mesh. */
};

enum port_path_event {
    PORT_PATH_UP,
    PORT_PATH_REFUSED,
    PORT_PATH_WRITABLE,
    PORT_PATH_CLOSED,
    PORT_PATH_ADDR_CHANGED,
    PORT_PATH_UNREACHABLE,
    PORT_PATH_MTU,
};

struct port_send_flags {
    uint8_t ttl; /* 0 = the host's default. */
    uint8_t ecn; /* RFC 3168 code point, 0..3. */
    bool dont_fragment;
};

/* What a node tells whoever drives it: shell, HTTP edge, scenario, test. */
struct port_event {
    uint16_t kind;      /* enum node_event_kind of node/node.h. */
    int16_t status;     /* ERR_OK or a negative ERR_*. */
    uint32_t command;   /* The command's own number; 0 for notifications. */
    uint64_t took_us;   /* From submission to this event. */
    uint32_t count[4];  /* Meaning per kind, stated in node/node.h. */
    struct slice bytes; /* Borrowed: value, message payload, or contact handles. */
    struct slice about; /* Borrowed: key, id or peer the event is about. */
};

/* Observation. Kinds and the meaning of value[] are one X-macro in node/base/trace.h. */
struct port_trace {
    uint16_t kind;
    uint32_t subject;
    int64_t value[3];
};

/* CPU-heavy work that must not stall the loop. run() may execute on another thread and touches only
 * what is reachable from `work`; node_on_work() reports it, exactly once, unless the node stops. */
struct port_work {
    void (*run)(struct port_work *work);
    uint64_t cost_us; /* What a simulated CPU is charged: an integer function of input size. */
};

enum {
    PORT_INTERN_KEY = 56,    /* Bytes that identify an interned record. */
    PORT_INTERN_RECORD = 80, /* Key plus the bytes derived from it. */
    PORT_INTERN_NONE = 0,    /* No record has this handle. */
};

/* Completes a new record (key bytes set, the rest zero) and returns its 64-bit ordering prefix.
 * Must depend on the key bytes alone. */
typedef uint64_t (*port_intern_fn)(void *record);

/* The interned records of this process. Both arrays never move. Handles are never ordered, hashed
 * or sent: they differ between runs of different hosts. */
struct port_intern {
    const uint8_t *records; /* PORT_INTERN_RECORD bytes each, handle 0 unused. */
    const uint64_t *prefixes;
};

struct port;
typedef bool (*port_scan_fn)(void *arg, struct slice key, struct slice value);

/* One const table per backend, shared by every node it hosts. */
struct port_ops {
    /* Clock: ask for node_on_wake() at due_us (or as soon after as the world can), replacing any
     * earlier request. PORT_NEVER cancels. */
    void (*wake_at)(struct port *port, uint64_t due_us);

    /* Network: a path is a local socket. It is bound to the address of `hint`, one of this machine,
     * and to its port if that is not 0; NULL: to the address of the main path and any port. Streams
     * to different remotes may have one port, as others see them one after the other through a box.
     * Returns a path number > 0, ERR_UNSUPPORTED, ERR_FULL (no more, or the port is taken), or
     * ERR_UNREACHABLE (nobody can be called there from here). */
    int (*path_open)(struct port *port, enum port_carrier carrier, const struct port_addr *hint,
                     const struct port_addr *remote);
    void (*path_close)(struct port *port, int path);
    /* Where a path is bound. False: there is no such path, or the host does not know. */
    bool (*path_local)(struct port *port, int path, struct port_addr *addr);
    /* Hand one datagram of at most PORT_DATAGRAM_MAX bytes to the network and forget it. Loss is
     * not an error. ERR_AGAIN: the local queue is full. ERR_TOO_LARGE. ERR_INVALID: no such path.
     */
    int (*send)(struct port *port, int path, const struct port_addr *to, struct slice bytes,
                struct port_send_flags flags);
    /* Where the router in front of this machine takes requests for ports (RFC 6887 section 8.1).
     * False: none is known. It changes when the machine moves; whoever cares asks again. */
    bool (*gateway)(struct port *port, struct port_addr *addr);
    /* A name, as the host writes them, to the first of its addresses that the main path can send
     * to; the answer comes by node_on_resolved() with the same ticket. */
    int (*resolve)(struct port *port, const char *name, uint32_t ticket);

    /* Entropy for keys, seeds, nonces. Cannot fail. Protocol jitter uses the node's own rng. */
    void (*entropy)(struct port *port, void *buffer, size_t len);

    /* Storage, keys ordered as bytes. Reads see staged writes. A write is durable once
     * node_on_durable() reports a ticket at or above its commit's. A scan sees a snapshot, and its
     * visitor makes no store call; returning false ends it. */
    int (*store_get)(struct port *port, struct slice key, void *buffer, size_t cap, size_t *len);
    int (*store_put)(struct port *port, struct slice key, struct slice value);
    int (*store_del)(struct port *port, struct slice key);
    int (*store_scan)(struct port *port, struct slice prefix, port_scan_fn visit, void *arg);
    int (*store_commit)(struct port *port, uint64_t ticket);

    /* Immutable records that many nodes of a process hold alike. get returns a handle with one
     * reference; it never fails (exhaustion ends the run). */
    uint32_t (*intern_get)(struct port *port, const void *key, port_intern_fn complete);
    /* A hint: the `count` keys at `keys` will be asked for next. NULL on a host without use for it.
     */
    void (*intern_expect)(struct port *port, const void *keys, size_t count);
    void (*intern_retain)(struct port *port, uint32_t handle);
    void (*intern_release)(struct port *port, uint32_t handle);

    /* Memory: at least `bytes` zeroed bytes, aligned to 16, owned by the node until it ends; the
     * size given is stored in *given. NULL when the node's declared maximum is reached. */
    void *(*arena_more)(struct port *port, size_t bytes, size_t *given);
    /* Gives back what arena_more returned. */
    void (*arena_less)(struct port *port, void *memory);

    /* Processor: run work off the loop. ERR_FULL when too much is queued. */
    int (*work)(struct port *port, struct port_work *work);

    /* Whoever drives the node hears of it after the entry returns. */
    void (*deliver)(struct port *port, const struct port_event *event);

    /* Observation. Never changes behaviour. */
    void (*trace)(struct port *port, const struct port_trace *event);
};

/* What a node holds of its host. The host embeds it and finds its own state by container_of. */
struct port {
    const struct port_ops *ops;
    const struct port_crypto *crypto;
    const struct port_intern *intern;
    uint64_t now_us;   /* Monotonic, frozen for the length of one entry. */
    uint64_t wall_us;  /* Unix time; may jump. For record expiry only. */
    uint64_t spent_ns; /* Cost of this entry, added by port_crypto calls, charged by sim/host. */
    struct port_addr local; /* The main path's own address as the host knows it. */
};

#endif /* NODE_PORT_PORT_H */
