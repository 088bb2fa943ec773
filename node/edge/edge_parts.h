/* edge_parts.h - what the files of the edge's socket side share.
 *
 *      edge.c             opening and closing, libmicrohttpd on the loop, what observers hear
 *      edge_connection.c  connections: who waits for what, who has to go
 *      edge_request.c     a request from its first header to its answer
 *      edge_stream.c      event streams
 *
 *      socket -> epoll of libmicrohttpd -> uv_poll -> MHD_run -> request -> face (no sockets)
 */
#ifndef NODE_EDGE_EDGE_PARTS_H
#define NODE_EDGE_EDGE_PARTS_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <uv.h>

#include "node/edge/edge.h"
#include "node/edge/face.h"

enum {
    /* Connections that wait for their client: reading a request, sending an answer, kept alive.
     * The oldest makes room, so a thousand half-open ones keep nobody out: an honest request is
     * read long before so many have come after it. On loopback all have one address. */
    EDGE_IDLE_MAX = 128,
    EDGE_IDLE_PER_IP_MAX = 32,
    /* Cut connections are gone only when libmicrohttpd has looked at them. */
    EDGE_CONNECTIONS_MAX = EDGE_IDLE_MAX + FACE_WAITS_MAX + FACE_STREAMS_MAX + 64,
    /* Buffers of one connection: headers must fit. Above 32 KiB libmicrohttpd maps them and gives
     * them back with the connection; below, the heap keeps what a flood took. */
    EDGE_CONNECTION_BYTES = 40 * 1024,
    EDGE_BODY_MAX = 16 * 1024, /* As on the control socket: VERB_LINE_MAX. */
    EDGE_REQUEST_MS = 10000,   /* From connecting, or the last answer, to the end of a request. */
    EDGE_STALL_S = 30,         /* Without a byte in either direction. */
    EDGE_TICK_MS = 1000,
    EDGE_HEARTBEAT_MS = 15000, /* Of event streams: finds clients that are gone. */
    EDGE_METRIC_MS = 5000,
};

struct edge_request;

/* One TCP connection, from accept to close. */
struct edge_connection {
    struct edge *edge;
    struct edge_connection *older;
    struct edge_connection *newer;
    int socket;
    struct in6_addr ip;
    uint64_t since_ms; /* Waits for its client since. */
    char *target;      /* Of the request that is being read. */
    bool is_busy;      /* Waits for us: for the mesh, or for events. */
    bool is_cut;
};

struct edge_stream {
    struct edge *edge;
    struct edge_stream *next;
    struct MHD_Connection *handle;
    struct event_cursor cursor;
    struct text out; /* Not sent yet from `sent` on. */
    size_t sent;
    uint64_t spoke_ms;
    bool is_suspended;
};

struct edge {
    struct face face;
    struct service_observer observer;
    struct port_addr addr;
    uv_loop_t *loop;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timeout; /* What MHD_get_timeout asks for. */
    uv_timer_t tick;
    unsigned open_handles;
    struct edge_connection *oldest; /* By since_ms. */
    struct edge_connection *newest;
    struct edge_request *waiting; /* Suspended ones. */
    struct edge_stream *streams;
    uint64_t metric_ms;
    bool is_running; /* Inside MHD_run. */
    bool is_woken;   /* Somebody was resumed since its beginning. */
    bool is_closing;
};

/* edge.c */
void edge_wake(struct edge *edge); /* A connection was resumed. */

/* edge_connection.c */
void edge_on_connection(void *arg, struct MHD_Connection *handle, void **context,
                        enum MHD_ConnectionNotificationCode code);
struct edge_connection *edge_connection_of(struct MHD_Connection *handle);
void edge_connection_set_busy(struct edge_connection *connection, bool is_busy);
void edge_connections_tick(struct edge *edge); /* Cuts who is too slow. */

/* edge_request.c */
void *edge_on_target(void *arg, const char *target, struct MHD_Connection *handle);
enum MHD_Result edge_on_request(void *arg, struct MHD_Connection *handle, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *data_len, void **context);
void edge_on_completed(void *arg, struct MHD_Connection *handle, void **context,
                       enum MHD_RequestTerminationCode code);
void edge_requests_end(struct edge *edge); /* Those that wait get an answer now. */
void edge_add_headers(struct MHD_Response *response);

/* edge_stream.c */
struct MHD_Response *edge_stream_open(struct edge *edge, struct MHD_Connection *handle,
                                      const struct event_cursor *cursor);
void edge_streams_wake(struct edge *edge, enum event_topic topic);
void edge_streams_tick(struct edge *edge);
void edge_streams_end(struct edge *edge);

/* edge_observe.c */
void edge_observe(struct edge *edge);
void edge_publish_numbers(struct edge *edge);

#endif /* NODE_EDGE_EDGE_PARTS_H */
