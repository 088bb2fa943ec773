/* loop.h - what the files of node/host share: the inside of a loop and of a host.
 *
 * A host has a life whenever a node runs on it: the node, its memory, and the errands (names being
 * looked up, work on other threads) that will end as entries. Errands may outlast the node; they
 * hold on to the life, find it over, and the last of them frees the memory that their work uses.
 *
 *      host_start -> life -> host_kill: over -> last errand back -> memory freed
 *
 * Outgoing datagrams of all hosts of a loop gather in one batch. It is flushed before the loop
 * sleeps and after it has handled what woke it, so one system call carries the answers to all that
 * one system call received.
 */
#ifndef NODE_HOST_LOOP_H
#define NODE_HOST_LOOP_H

#include <netinet/in.h>

#include "node/host/host.h"
#include "node/host/neighbours.h"
#include "node/host/store.h"
#include "node/host/stream.h"

/* --- outgoing datagrams: host_batch.c ---------------------------------------------------------
 */

enum {
    /* Twice what libuv receives by one call (20 in uv__udp_recvmmsg), so that one turn of a busy
     * loop is about one batch. UDP_MAX_SEGMENTS of the kernel is 64 too. */
    BATCH_MAX = 64,
};

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct batch_item {
    struct host_socket *socket;
    union socket_address to;
    uint32_t offset; /* Of its bytes; those of the next follow without a gap. */
    uint16_t len;
    struct port_send_flags flags;
};

struct batch {
    uint32_t count;
    uint32_t bytes_len;
    bool has_segments; /* The kernel takes many datagrams as one (UDP_SEGMENT). */
    struct batch_item items[BATCH_MAX];
    uint8_t bytes[BATCH_MAX * PORT_DATAGRAM_MAX];
};

/* --- interned contacts: host_memory.c ---------------------------------------------------------
 */

struct intern_slot {
    uint32_t handle; /* 0: empty. */
    uint32_t tag;    /* Of the key: spares looking at records of others. */
};

struct intern {
    struct port_intern view;
    uint8_t *records;
    uint64_t *prefixes;
    uint32_t *references; /* 0: a freed handle, whose record begins with the next free one. */
    struct intern_slot *slots;
    uint32_t slot_mask;
    uint32_t made; /* Handles ever given out, 0 included. */
    uint32_t held; /* Of them in use. */
    uint32_t free; /* The first freed handle; 0 for none. */
};

/* --- what nodes said, held back until the entry has returned: host_trace.c ---------------------
 */

struct delivery {
    struct host *host;
    struct port_event event;
    size_t bytes_at; /* Offsets into the text buffer. */
    size_t about_at;
};

struct deliveries {
    struct delivery *items;
    uint32_t count;
    uint32_t cap;
    uint8_t *text;
    size_t text_len;
    size_t text_cap;
};

enum {
    /* libuv receives as many datagrams by one call as a buffer has room for, 64 KiB each
     * (UV__UDP_DGRAM_MAXSIZE), and at most 20 (uv__udp_recvmmsg). */
    LOOP_RECEIVE_SLOTS = 20,
    LOOP_RECEIVE_SLOT_BYTES = 64 * 1024,
};

/* --- a node's life ---------------------------------------------------------------------------- */

struct host_chunk {
    struct host_chunk *next;
    struct host_chunk *previous;
    uint32_t bytes;
    uint32_t padding[3]; /* What follows is aligned to 16. */
};

struct host_life {
    struct host_loop *loop;
    struct host *host; /* While it is not over. */
    struct host_chunk *chunks;
    uint32_t chunk_bytes;
    uint32_t errands; /* Out, and coming back. */
    bool is_over;
};

/* A local UDP socket: the main path or an extra one. Lives until libuv has let go of it. */
struct host_socket {
    uv_udp_t udp;
    struct host *host;
    int path;
    int fd;
    bool is_v4; /* This kernel has no IPv6. */
};

struct host_loop {
    uv_loop_t uv;
    uv_thread_t thread;
    uv_prepare_t before_sleep;
    uv_check_t after_wake;
    struct host *entered; /* Whose entry is running: the laws are checked against it. */
    uint64_t entered_us;
    uint32_t host_count;
    uint32_t life_count;
    uint8_t *receive_buffer;
    struct batch batch;
    struct intern intern;
    struct deliveries heard;   /* Since the last round of telling. */
    struct deliveries telling; /* What a round tells. */
    bool is_telling;
};

struct host {
    struct port port;
    struct host_loop *loop;
    struct host_options options;
    char *database;         /* Ours: a node may be started again after the caller's is gone. */
    struct node *node;      /* NULL while none runs. */
    struct host_life *life; /* Likewise. */
    struct store *store;    /* NULL after a node has ended, until the next one starts. */
    uv_timer_t timer;
    uint64_t wake_us;         /* The node's one pending wake-up. */
    bool is_waking;           /* Its wake-up entry is running. */
    uint32_t handles;         /* That libuv holds. */
    struct host_view counts;  /* What the open store and sockets do not count themselves. */
    struct port_addr gateway; /* Port 0: none. */
    uint64_t gateway_us;      /* When it was looked for; 0: never. */
    struct host_socket *main;
    struct host_socket *paths[HOST_PATHS_MAX]; /* Path n at n - 1. */
    uint8_t carriers[HOST_PATHS_MAX];          /* enum port_carrier of those that are no sockets. */
    struct streams *streams;                   /* NULL: neither listening nor masking. */
    struct neighbours *neighbours;             /* NULL until the node opens their path. */
    int neighbours_path;
};

static inline struct host *host_of(struct port *port)
{
    return container_of(port, struct host, port);
}

/* host.c */
void host_entry_begin(struct host *host);
void host_entry_end(struct host *host);
void host_note(struct host *host, enum host_note how, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A life's errand has come back. */
void host_life_return(struct host_life *life);

/* host_clock.c */
void host_wake_at(struct port *port, uint64_t due_us);
void host_clock_open(struct host *host);

/* host_net.c */
int host_net_open(struct host *host, char reason[HOST_REASON_SIZE]);
void host_net_close(struct host *host);
void host_paths_close(struct host *host);
int host_send(struct port *port, int path, const struct port_addr *to, struct slice bytes,
              struct port_send_flags flags);
int host_path_open(struct port *port, enum port_carrier carrier, const struct port_addr *hint,
                   const struct port_addr *remote);
void host_path_close(struct port *port, int path);
bool host_path_local(struct port *port, int path, struct port_addr *addr);

/* A datagram has come by whatever carrier. */
void host_receive(struct host *host, int path, const struct port_addr *from, struct slice bytes);

/* host_stream.c. As host_open's: ERR_OK, or why not. */
int host_streams_open(struct host *host, char reason[HOST_REASON_SIZE]);
void host_streams_close(struct host *host);
void host_streams_observe(const struct host *host, struct host_view *view);
/* A datagram of the main path; false when it is UDP's business. */
bool host_stream_send(struct host *host, const struct port_addr *to, struct slice bytes);
/* Paths of the node's own that are no sockets. open returns the path or ERR_*. */
int host_carrier_open(struct host *host, int path, enum port_carrier carrier,
                      const struct port_addr *hint, const struct port_addr *remote);
bool host_carrier_local(const struct host *host, int path, struct port_addr *addr);
void host_carrier_close(struct host *host, int path);
int host_carrier_send(struct host *host, int path, struct slice bytes);

/* host_batch.c */
void batch_init(struct batch *batch);
void batch_add(struct batch *batch, struct host_socket *socket, const union socket_address *to,
               struct slice bytes, struct port_send_flags flags);
void batch_flush(struct batch *batch);

/* host_addr.c */
void host_addr_to_socket(const struct port_addr *addr, bool is_v4, union socket_address *to);
void host_addr_from_socket(const struct sockaddr *from, struct port_addr *addr);
bool host_addr_is_v4(const struct port_addr *addr);
bool host_port_parse(const char *text, uint16_t *port);

/* host_store.c */
int host_store_open(struct host *host, char reason[HOST_REASON_SIZE]);
/* Polite: after the last commit is durable. Otherwise as a crash leaves it. */
void host_store_close(struct host *host, bool is_polite);
int host_store_get(struct port *port, struct slice key, void *buffer, size_t cap, size_t *len);
int host_store_put(struct port *port, struct slice key, struct slice value);
int host_store_del(struct port *port, struct slice key);
int host_store_scan(struct port *port, struct slice prefix, port_scan_fn visit, void *arg);
int host_store_commit(struct port *port, uint64_t ticket);

/* host_memory.c */
void *host_chunk_get(struct host_life *life, size_t bytes);
void host_chunks_drop(struct host_life *life);
void *host_arena_more(struct port *port, size_t bytes, size_t *given);
void host_arena_less(struct port *port, void *memory);
void intern_open(struct intern *intern);
void intern_close(struct intern *intern);
/* Forgets all records: no node is left that could hold one. */
void intern_clear(struct intern *intern);
uint32_t host_intern_get(struct port *port, const void *key, port_intern_fn complete);
void host_intern_retain(struct port *port, uint32_t handle);
void host_intern_release(struct port *port, uint32_t handle);

/* host_trace.c */
void host_deliver(struct port *port, const struct port_event *event);
void host_trace(struct port *port, const struct port_trace *event);
void host_tell(struct host_loop *loop);
void deliveries_free(struct deliveries *deliveries);

/* host_work.c */
int host_work(struct port *port, struct port_work *work);
bool host_gateway(struct port *port, struct port_addr *addr);
int host_resolve(struct port *port, const char *name, uint32_t ticket);
void host_entropy(struct port *port, void *buffer, size_t len);

#endif /* NODE_HOST_LOOP_H */
