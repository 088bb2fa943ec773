/* stream.h - carriers on TCP: framed datagrams, plain or dressed as HTTP, for one real host.
 *
 * A plain stream is a preface and then frames: length(2) bytes(length). A masked one says the same
 * in the bodies of ordinary HTTP/1.1 requests and responses (masked.h). Either begins with a hello
 * that names the port its sender listens on, so that a peer goes by one address whatever carries
 * it: the address of the connection with that port. Whoever lies about the port lies about itself
 * only.
 *
 *      host_net.c -> stream_send(to) -> the stream with that address, opened on demand if masking
 *                 -> stream_path_*   -> a stream that the node asked for: port_ops.path_open
 *      connection -> frames -> hooks.received(path, from, bytes)
 *
 * Bounded: HOST_STREAMS_MAX connections, STREAM_PER_ADDR_MAX for one remote address, a fixed
 * backlog each (full: datagrams are dropped, as a socket would), a deadline for the preface and for
 * every frame that has begun, idle streams closed. Nothing here trusts a byte of the peer.
 */
#ifndef NODE_HOST_STREAM_H
#define NODE_HOST_STREAM_H

#include <uv.h>

#include "node/host/host.h"

enum {
    STREAM_PER_ADDR_MAX = 16, /* Inbound connections from one IP address. */
    STREAM_BACKLOG_BYTES_MAX = 64 * 1024,
    STREAM_OPENING_MS = 10000, /* Connect, preface and hello, all in all. */
    STREAM_FRAME_MS = 10000,   /* From the first byte of a frame to its last. */
    STREAM_IDLE_MS = 180000,
};

struct streams;

struct stream_hooks {
    void *arg;
    /* path: the number given to stream_path_open, or PORT_MAIN_PATH for every other stream. */
    void (*received)(void *arg, int path, const struct port_addr *from, struct slice bytes);
    void (*path_event)(void *arg, int path, enum port_path_event event);
};

/* The constants above where a field is 0. Checked four times in the shortest of them. */
struct stream_limits {
    uint32_t opening_ms;
    uint32_t frame_ms;
    uint32_t idle_ms;
};

struct stream_options {
    uv_loop_t *loop;
    struct port_addr local; /* Address to listen on and to connect from; its port to listen on. */
    bool is_listening;
    bool is_masking; /* stream_send opens masked streams to whom it has none. */
    struct stream_limits limits;
    struct stream_hooks hooks;
};

struct stream_view {
    uint32_t open;
    uint64_t refused;
    uint64_t dropped; /* Outgoing datagrams: a full backlog, a failed connection. */
};

/* ERR_REFUSED when the port is taken, ERR_IO; with the reason. */
NODISCARD int streams_open(const struct stream_options *options, struct streams **streams,
                           char reason[HOST_REASON_SIZE]);
/* Closes all; the memory goes when libuv has let go of it: the caller runs the loop. */
void streams_close(struct streams *streams);

/* A datagram of the main path. ERR_MISSING: no stream to that address, and not masking: UDP's
 * business. ERR_AGAIN: the backlog is full. */
int stream_send(struct streams *streams, const struct port_addr *to, struct slice bytes);

/* A stream of the node's own: PORT_TCP or PORT_MASKED from `hint`, as of port_ops.path_open, to
 * `remote`. Events and datagrams carry `path`. Never calls back before it returns. */
int stream_path_open(struct streams *streams, int path, enum port_carrier carrier,
                     const struct port_addr *hint, const struct port_addr *remote);
bool stream_path_local(const struct streams *streams, int path, struct port_addr *addr);
int stream_path_send(struct streams *streams, int path, struct slice bytes);
void stream_path_close(struct streams *streams, int path);

void streams_observe(const struct streams *streams, struct stream_view *view);

#endif /* NODE_HOST_STREAM_H */
