/* stream.c - the streams of a host: who is connected, how many may be, how long they may take. */
#include "node/host/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "node/base/must.h"
#include "node/host/stream_parts.h"

enum { LISTEN_BACKLOG = 128, SWEEPS_PER_LIMIT = 4 };

static void limits_complete(struct stream_limits *limits);
static int listener_open(struct streams *streams);
static void on_handle_closed(uv_handle_t *handle);
static void on_connection(uv_stream_t *listener, int status);
static void on_sweep(uv_timer_t *timer);
static struct port_addr any_port(const struct streams *streams);
static struct stream *stream_to(const struct streams *streams, const struct port_addr *to);
static struct stream *stream_of_path(const struct streams *streams, int path);
static struct stream *stream_room(struct streams *streams);

int streams_open(const struct stream_options *options, struct streams **streams_made,
                 char reason[HOST_REASON_SIZE])
{
    struct streams *streams = calloc(1, sizeof *streams);
    must(streams != NULL && options->hooks.received != NULL && options->hooks.path_event != NULL);
    streams->options = *options;
    limits_complete(&streams->options.limits);
    const struct stream_limits *limits = &streams->options.limits;
    uint32_t shortest =
        limits->opening_ms < limits->frame_ms ? limits->opening_ms : limits->frame_ms;
    shortest = limits->idle_ms < shortest ? limits->idle_ms : shortest;
    uint64_t period = shortest < SWEEPS_PER_LIMIT ? 1 : shortest / SWEEPS_PER_LIMIT;
    must(uv_timer_init(options->loop, &streams->sweep) == 0);
    streams->sweep.data = streams;
    streams->handles++;
    must(uv_timer_start(&streams->sweep, on_sweep, period, period) == 0);
    int status = listener_open(streams);
    if (status == 0) {
        *streams_made = streams;
        return ERR_OK;
    }
    char text[HOST_ADDR_TEXT_SIZE];
    host_addr_format(&options->local, text);
    snprintf(reason, HOST_REASON_SIZE, "cannot listen on TCP %s: %s", text, uv_strerror(status));
    streams_close(streams);
    return status == UV_EADDRINUSE ? ERR_REFUSED : ERR_IO;
}

void streams_close(struct streams *streams)
{
    must(!streams->is_closing);
    streams->is_closing = true;
    for (uint32_t i = 0; i < streams->count; i++) {
        stream_shut(streams->table[i]);
    }
    uv_close((uv_handle_t *)&streams->sweep, on_handle_closed);
    if (streams->has_listener) {
        uv_close((uv_handle_t *)&streams->listener, on_handle_closed);
    }
}

int stream_send(struct streams *streams, const struct port_addr *to, struct slice bytes)
{
    must(bytes.len > 0 && bytes.len <= PORT_DATAGRAM_MAX);
    struct stream *stream = stream_to(streams, to);
    if (stream != NULL) {
        return stream_put(stream, bytes);
    }
    if (!streams->options.is_masking) {
        return ERR_MISSING;
    }
    stream = stream_room(streams);
    struct port_addr local = any_port(streams);
    if (stream == NULL ||
        stream_call(stream, STREAM_MASKED, &local, to, streams->options.local.port) != ERR_OK) {
        streams->view.dropped++;
        return ERR_OK; /* Lost, as on any network. */
    }
    return stream_put(stream, bytes);
}

int stream_path_open(struct streams *streams, int path, enum port_carrier carrier,
                     const struct port_addr *hint, const struct port_addr *remote)
{
    must(path != PORT_MAIN_PATH && stream_of_path(streams, path) == NULL);
    if (carrier != PORT_TCP && carrier != PORT_MASKED) {
        return ERR_UNSUPPORTED;
    }
    struct stream *stream = stream_room(streams);
    if (stream == NULL) {
        return ERR_FULL;
    }
    enum stream_dress dress = carrier == PORT_TCP ? STREAM_PLAIN : STREAM_MASKED;
    struct port_addr local = hint != NULL ? *hint : any_port(streams);
    static const uint8_t nowhere[2];
    int status = stream_call(stream, dress, &local, remote, nowhere);
    if (status == ERR_OK) {
        stream->path = path;
        stream->has_farewell = true;
    }
    return status;
}

bool stream_path_local(const struct streams *streams, int path, struct port_addr *addr)
{
    const struct stream *stream = stream_of_path(streams, path);
    union socket_address at;
    int len = sizeof at;
    if (stream == NULL || stream->state == STREAM_CLOSING ||
        uv_tcp_getsockname(&stream->tcp, &at.any, &len) != 0) {
        return false;
    }
    host_addr_from_socket(&at.any, addr);
    return true;
}

int stream_path_send(struct streams *streams, int path, struct slice bytes)
{
    struct stream *stream = stream_of_path(streams, path);
    if (stream == NULL || bytes.len == 0) {
        return ERR_INVALID;
    }
    if (bytes.len > PORT_DATAGRAM_MAX) {
        return ERR_TOO_LARGE;
    }
    if (stream->state == STREAM_CLOSING) { /* Its owner will hear of it. */
        streams->view.dropped++;
        return ERR_OK;
    }
    return stream_put(stream, bytes);
}

void stream_path_close(struct streams *streams, int path)
{
    struct stream *stream = stream_of_path(streams, path);
    if (stream != NULL) {
        stream_shut(stream);
        stream->has_farewell = false;
        stream->path = PORT_MAIN_PATH;
    }
}

void streams_observe(const struct streams *streams, struct stream_view *view)
{
    *view = streams->view;
}

/* --- the table ---------------------------------------------------------------------------------
 */

static struct port_addr any_port(const struct streams *streams)
{
    struct port_addr local = streams->options.local;
    memset(local.port, 0, sizeof local.port);
    return local;
}

void streams_add(struct streams *streams, struct stream *stream)
{
    must(streams->count < STREAM_TABLE_SIZE);
    streams->table[streams->count++] = stream;
    streams->view.open++;
    stream->is_listed = true;
}

void streams_remove(struct streams *streams, struct stream *stream)
{
    uint32_t at = 0;
    while (at < streams->count && streams->table[at] != stream) {
        at++;
    }
    must(at < streams->count);
    streams->count--;
    memmove(streams->table + at, streams->table + at + 1,
            (streams->count - at) * sizeof streams->table[0]);
}

void streams_release(struct streams *streams)
{
    if (streams->is_closing && streams->handles == 0) {
        free(streams);
    }
}

/* The newest that is up; before any is, the newest that may come up. The node's own paths are its
 * own business. */
static struct stream *stream_to(const struct streams *streams, const struct port_addr *to)
{
    struct stream *opening = NULL;
    for (uint32_t i = streams->count; i > 0; i--) {
        struct stream *stream = streams->table[i - 1];
        if (stream->path != PORT_MAIN_PATH || memcmp(&stream->addr, to, sizeof *to) != 0) {
            continue;
        }
        if (stream->state == STREAM_UP) {
            return stream;
        }
        if (stream->state == STREAM_OPENING && opening == NULL) {
            opening = stream;
        }
    }
    return opening;
}

static struct stream *stream_of_path(const struct streams *streams, int path)
{
    for (uint32_t i = 0; path != PORT_MAIN_PATH && i < streams->count; i++) {
        if (streams->table[i]->path == path) {
            return streams->table[i];
        }
    }
    return NULL;
}

/* A new stream for a call of ours. When all are taken the main path's one that has been silent for
 * longest makes room, so that strangers who hold their streams cannot keep us from calling. */
static struct stream *stream_room(struct streams *streams)
{
    if (streams->view.open >= HOST_STREAMS_MAX) {
        struct stream *silent = NULL;
        for (uint32_t i = 0; i < streams->count; i++) {
            struct stream *stream = streams->table[i];
            if (stream->path == PORT_MAIN_PATH && stream->state == STREAM_UP &&
                (silent == NULL || stream->active_ms < silent->active_ms)) {
                silent = stream;
            }
        }
        if (silent == NULL) {
            return NULL;
        }
        stream_shut(silent);
    }
    struct stream *stream = streams->count < STREAM_TABLE_SIZE ? stream_make(streams) : NULL;
    if (stream != NULL) {
        streams_add(streams, stream);
    }
    return stream;
}

/* --- listening ---------------------------------------------------------------------------------
 */

/* One socket for both families, like the main path's, or of IPv4 where the kernel has no other. 0
 * or libuv's error. */
static int listener_open(struct streams *streams)
{
    const struct stream_options *options = &streams->options;
    int status = uv_tcp_init_ex(options->loop, &streams->listener, AF_INET6);
    if (status == UV_EAFNOSUPPORT) {
        streams->is_v4 = true;
        status = uv_tcp_init_ex(options->loop, &streams->listener, AF_INET);
    }
    if (status != 0) {
        return status;
    }
    streams->has_listener = true;
    streams->listener.data = streams;
    streams->handles++;
    if (!options->is_listening) {
        return 0;
    }
    int no = 0;
    int fd;
    must(uv_fileno((uv_handle_t *)&streams->listener, &fd) == 0);
    if (!streams->is_v4) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    }
    union socket_address at;
    host_addr_to_socket(&options->local, streams->is_v4, &at);
    status = uv_tcp_bind(&streams->listener, &at.any, 0);
    if (status != 0) {
        return status;
    }
    return uv_listen((uv_stream_t *)&streams->listener, LISTEN_BACKLOG, on_connection);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct streams *streams = handle->data;
    streams->handles--;
    streams_release(streams);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct streams *streams = listener->data;
    if (status == 0 && !streams->is_closing) {
        stream_accept(streams, listener);
    }
}

bool streams_have_room_for(const struct streams *streams, const struct port_addr *from)
{
    uint32_t same = 0;
    for (uint32_t i = 0; i < streams->count; i++) {
        const struct stream *stream = streams->table[i];
        same += stream->is_inbound && stream->state != STREAM_CLOSING &&
                memcmp(stream->addr.ip, from->ip, sizeof from->ip) == 0;
    }
    return same < STREAM_PER_ADDR_MAX && streams->view.open < HOST_STREAMS_MAX &&
           streams->count < STREAM_TABLE_SIZE;
}

/* --- deadlines ---------------------------------------------------------------------------------
 */

static void limits_complete(struct stream_limits *limits)
{
    limits->opening_ms = limits->opening_ms > 0 ? limits->opening_ms : STREAM_OPENING_MS;
    limits->frame_ms = limits->frame_ms > 0 ? limits->frame_ms : STREAM_FRAME_MS;
    limits->idle_ms = limits->idle_ms > 0 ? limits->idle_ms : STREAM_IDLE_MS;
}

/* Closing moves nothing in the table: streams leave it in callbacks of their own. */
static void on_sweep(uv_timer_t *timer)
{
    struct streams *streams = timer->data;
    const struct stream_limits *limits = &streams->options.limits;
    uint64_t now = uv_now(streams->options.loop);
    for (uint32_t i = 0; i < streams->count; i++) {
        struct stream *stream = streams->table[i];
        bool is_up = stream->state == STREAM_UP;
        if (!is_up && now - stream->opened_ms > limits->opening_ms) {
            if (stream->is_inbound) {
                stream_refuse(stream);
            } else {
                stream_shut(stream); /* Nobody is there: the network's doing. */
            }
        } else if (is_up && stream->begun_ms > 0 && now - stream->begun_ms > limits->frame_ms) {
            stream_refuse(stream);
        } else if (is_up && now - stream->active_ms > limits->idle_ms) {
            stream_shut(stream);
        }
    }
}
