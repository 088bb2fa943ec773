/* stream_parts.h - what the files of the stream carriers share: a table of streams, and a stream.
 *
 * A stream lives from connect or accept until libuv has let go of its handle. It leaves the ranks
 * of the open ones at once when it is closed, but tells its path's owner only from libuv's
 * callback: so no call of stream.h ever calls back before it returns.
 *
 *      stream.c (table, limits, sweep) <-> stream_link.c (one connection) -> stream_codec.c
 */
#ifndef NODE_HOST_STREAM_PARTS_H
#define NODE_HOST_STREAM_PARTS_H

#include "node/host/loop.h"
#include "node/host/stream.h"
#include "node/host/stream_codec.h"

enum {
    STREAM_READ_BYTES = 64 * 1024,
    /* Closed streams wait for libuv's next turn in the table too. */
    STREAM_TABLE_SIZE = 2 * HOST_STREAMS_MAX,
};

enum stream_state {
    STREAM_OPENING,  /* Until the peer's hello. */
    STREAM_UP,       /* Carries datagrams. */
    STREAM_REFUSING, /* A foreign client gets an answer; what it says is not read any more. */
    STREAM_CLOSING,
};

/* Framed datagrams, oldest first, in a ring. Its memory comes with the first of them: most
 * strangers who open a stream are never sent one. */
struct stream_backlog {
    uint32_t head;
    uint32_t len;
    uint32_t count;
    uint8_t *bytes; /* STREAM_BACKLOG_BYTES_MAX, or NULL. */
};

struct stream {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct streams *owner;
    struct port_addr addr; /* Of the peer; no port until its hello, if it called us. */
    uint8_t far_port[2];   /* Of the connection at the peer that called us. */
    int path;
    enum stream_state state;
    bool is_listed; /* In the table, and counted as open until it is closed. */
    bool is_inbound;
    bool is_connected;
    bool is_writing;
    bool has_farewell; /* The path's owner is told when it has closed. */
    bool is_owed_room; /* A datagram was turned away: tell when there is room. */
    enum port_path_event farewell;
    uint64_t opened_ms;
    uint64_t begun_ms;  /* When the frame began that is not whole yet; 0: none. */
    uint64_t active_ms; /* Last byte in, last byte out. */
    uint32_t in_flight; /* Datagrams in the encoder. */
    struct stream_decoder decoder;
    struct stream_encoder encoder;
    struct stream_backlog backlog;
};

struct streams {
    struct stream_options options;
    uv_tcp_t listener;
    uv_timer_t sweep;
    uint32_t handles; /* That libuv holds. */
    bool is_closing;
    bool is_v4;        /* This kernel has no IPv6. */
    bool has_listener; /* Its handle is open, whether we listen or not. */
    struct stream_view view;
    uint32_t count;
    struct stream *table[STREAM_TABLE_SIZE]; /* Oldest first. */
    uint8_t read_buffer[STREAM_READ_BYTES];
};

/* stream.c: a stream enters the table or leaves it, and the last one out frees the table. */
void streams_add(struct streams *streams, struct stream *stream);
void streams_remove(struct streams *streams, struct stream *stream);
void streams_release(struct streams *streams);
/* For one more connection from that address. */
bool streams_have_room_for(const struct streams *streams, const struct port_addr *from);

/* stream_link.c */

/* A stream with its handle open, not in the table; NULL when the system has no socket to give. */
struct stream *stream_make(struct streams *streams);
void stream_accept(struct streams *streams, uv_stream_t *listener);
/* `named` is where we say that we listen, 0 for nowhere. ERR_OK or ERR_UNREACHABLE, and then
 * nothing is left of it but a handle that libuv closes. */
int stream_call(struct stream *stream, enum stream_dress dress, const struct port_addr *local,
                const struct port_addr *remote, const uint8_t named[2]);
/* ERR_OK, ERR_AGAIN (counted). */
int stream_put(struct stream *stream, struct slice bytes);
void stream_shut(struct stream *stream);
/* As stream_shut, and counts it as refused. */
void stream_refuse(struct stream *stream);

#endif /* NODE_HOST_STREAM_PARTS_H */
