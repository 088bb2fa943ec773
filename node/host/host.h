/* host.h - the seam, real: nodes on the sockets, disks and clocks of this machine.
 *
 * A loop owns what the nodes of a process share: libuv's loop, the interned contacts, the batch of
 * outgoing datagrams. A host owns what is its node's alone: port, sockets, streams, database,
 * memory. Everything here runs on the loop's thread; disk and CPU-heavy work go to others and come
 * back as entries. A production process has one host; tests and benchmarks have several on a loop.
 *
 *      node -> port_ops (host_net.c, host_store.c, ...) -> sockets, SQLite, threads
 *      libuv -> host_entry_begin -> node_on_*() -> host_entry_end -> hooks.delivered
 *
 * Each port operation lives in the file that carries the same name in sim/host.
 */
#ifndef NODE_HOST_HOST_H
#define NODE_HOST_HOST_H

#include <stdio.h>
#include <uv.h>

#include "node/node.h"

enum {
    HOST_PORT = 8468,           /* UDP, and TCP for the carriers. */
    HOST_REASON_SIZE = 256,     /* Of a sentence that says why something did not work. */
    HOST_PATHS_MAX = 256,       /* Extra paths of one host: a birthday attack's sockets. */
    HOST_STREAMS_MAX = 256,     /* Carrier connections of one host, both directions. */
    HOST_NODE_BYTES = 32 << 20, /* A node's declared maximum of memory by default. */
};

struct host;
struct host_loop;

/* How well the disk does; what it says is in host_view. */
enum host_disk_state {
    HOST_DISK_OK,
    HOST_DISK_READ_ONLY, /* Full, or refused a write: reads go on, stores are refused. */
};

enum host_note { /* How loud a remark of the host is. */
                 HOST_NOTE_INFO,
                 HOST_NOTE_WARNING,
                 HOST_NOTE_ERROR,
};

struct host_hooks {
    void *arg;
    /* A node's event, after its entry has returned. Borrowed. May submit commands. */
    void (*delivered)(void *arg, const struct port_event *event);
    /* NULL, or every trace event. From inside an entry: no call back into the node. */
    void (*traced)(void *arg, const struct port_trace *event);
    /* NULL, or a remark for the log: a database moved aside, a full disk, a socket that failed. */
    void (*noted)(void *arg, enum host_note how, const char *text);
};

struct host_options {
    /* Numeric address to bind, NULL for any (dual-stack). Node and carriers use the same one. */
    const char *bind;
    uint16_t port;           /* 0: any free one; UDP and TCP get the same number. */
    const char *database;    /* Path of the SQLite file; NULL: in memory, gone with the process. */
    bool accepts_streams;    /* Listen for TCP and masked carriers on `port`. */
    bool is_masking;         /* Carry the main path over masked streams instead of UDP. */
    uint32_t node_bytes_max; /* 0: HOST_NODE_BYTES. */
    const struct port_crypto *crypto; /* NULL: sodium_suite. */
    struct host_hooks hooks;
};

/* Numbers out, beside node_observe's. */
struct host_view {
    uint64_t datagrams_in;
    uint64_t datagrams_out;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t datagrams_dropped; /* Outgoing: the socket was full or refused. */
    uint64_t datagrams_refused; /* Incoming: over PORT_DATAGRAM_MAX, or for no node. */
    uint32_t streams;           /* Carrier connections open. */
    uint64_t streams_refused;   /* Over a limit, too slow, or not our protocol. */
    uint64_t commits;
    uint64_t commits_failed;
    uint64_t database_bytes;
    enum host_disk_state disk;
    uint64_t started_us; /* On the clock of port.now_us. */
};

/* ERR_OK, or ERR_IO with the reason. Initialises the crypto suite too. */
NODISCARD int host_loop_open(struct host_loop **loop, char reason[HOST_REASON_SIZE]);
/* After all its hosts are closed. */
void host_loop_close(struct host_loop *loop);
uv_loop_t *host_loop_uv(struct host_loop *loop);
/* Monotonic, the clock of all nodes of the process, µs. */
uint64_t host_loop_now_us(const struct host_loop *loop);

/* Binds sockets and opens the database; the node is not started. ERR_IO, ERR_INVALID (an address
 * that is none), ERR_REFUSED (taken port) with a one-line reason, and nothing is left open. */
NODISCARD int host_open(struct host_loop *loop, const struct host_options *options,
                        struct host **host, char reason[HOST_REASON_SIZE]);
/* node_init and node_start. The configuration is borrowed for as long as the node runs. */
NODISCARD int host_start(struct host *host, const struct node_config *config);
/* A polite leave: node_stop, then the last commit is made durable. Runs the loop until it is. */
void host_stop(struct host *host);
/* The process died here, as far as the node can tell: memory gone, staged writes and commits that
 * have not reached the writer lost. For the contract suite. */
void host_kill(struct host *host);
/* Closes sockets and database, runs the loop until libuv has let go of them. Stops the node first
 * if it runs. */
void host_close(struct host *host);

/* An intent, as an entry of its own. As node_submit. ERR_STOPPED while no node runs. */
int host_submit(struct host *host, const struct node_command *command);
/* Runs call(node, arg) as an entry: for tests, and for reading tables between entries. */
void host_enter(struct host *host, void (*call)(struct node *node, void *arg), void *arg);

const struct node *host_node(const struct host *host); /* NULL while none runs. */
struct host_loop *host_loop_of(const struct host *host);
struct port_addr host_addr(const struct host *host); /* Where the main path is bound. */
void host_observe(const struct host *host, struct host_view *view);

/* The addresses of this machine that others may reach it at, public ones first; ports are 0. How
 * many of at most `max`. */
size_t host_own_addrs(struct port_addr *addrs, size_t max);

/* The router that this machine's IPv4 default route leads to, at the port where it takes requests
 * for ports; and the same from the text of /proc/net/route. False when there is none. */
bool host_router(struct port_addr *addr);
bool host_router_read(FILE *routes, struct port_addr *addr);

/* A name or a numeric address to port addresses, in the order of the resolver; `done` is called
 * from the loop, later, with ERR_OK and at least one, or a negative ERR_*. */
typedef void (*host_resolved_fn)(void *arg, int status, const struct port_addr *addrs,
                                 size_t count);
void host_resolve_name(struct host_loop *loop, const char *name, uint16_t port,
                       host_resolved_fn done, void *arg);

/* --- addresses as people write them ------------------------------------------------------------
 */

#define HOST_ADDR_TEXT_SIZE 64
/* "192.0.2.1:8468", "[2001:db8::1]:8468". */
void host_addr_format(const struct port_addr *addr, char text[HOST_ADDR_TEXT_SIZE]);
/* The same back; numeric only. False when it is none. */
bool host_addr_parse(const char *text, struct port_addr *addr);

#endif /* NODE_HOST_HOST_H */
