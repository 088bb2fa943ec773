/* edge.c - opens and closes the HTTP face, and drives libmicrohttpd from the loop. */
#include "node/edge/edge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/edge/edge_parts.h"

enum {
    LISTEN_BACKLOG = 128,
    FAREWELL_RUNS = 4, /* One to resume, one for the answer or the last chunk, and some to spare. */
};

static bool open_gate(struct edge *edge, const struct edge_options *options,
                      char reason[HOST_REASON_SIZE]);
static bool is_loopback(const struct port_addr *addr);
static int open_socket(struct edge *edge, const char *bind_text, char reason[HOST_REASON_SIZE]);
static socklen_t sockaddr_of(const struct port_addr *addr, struct sockaddr_storage *storage);
static void read_address(struct edge *edge, int file);
static bool open_daemon(struct edge *edge, int file, char reason[HOST_REASON_SIZE]);
static void open_handles(struct edge *edge);
static void run(struct edge *edge);
static void on_readable(uv_poll_t *poll, int status, int events);
static void on_timeout(uv_timer_t *timer);
static void on_tick(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);

bool edge_open(const struct edge_options *options, struct edge **result,
               char reason[HOST_REASON_SIZE])
{
    struct edge *edge = text_alloc(1, sizeof *edge);
    edge->loop = host_loop_uv(host_loop_of(service_host(options->verbs.service)));
    face_init(&edge->face, &options->verbs, randombytes_random());
    int file = -1;
    if (!host_addr_parse(options->bind, &edge->addr)) {
        snprintf(reason, HOST_REASON_SIZE,
                 "HTTP address \"%.100s\" is none: write 127.0.0.1:8469 or [::1]:8469",
                 options->bind);
    } else if (open_gate(edge, options, reason)) {
        file = open_socket(edge, options->bind, reason);
    }
    if (file < 0 || !open_daemon(edge, file, reason)) {
        face_free(&edge->face);
        free(edge);
        return false;
    }
    open_handles(edge);
    edge_observe(edge);
    *result = edge;
    return true;
}

void edge_close(struct edge *edge)
{
    edge->is_closing = true;
    service_unobserve(edge->face.verbs.service, &edge->observer);
    uv_close((uv_handle_t *)&edge->poll, on_closed);
    uv_close((uv_handle_t *)&edge->timeout, on_closed);
    uv_close((uv_handle_t *)&edge->tick, on_closed);
    while (edge->open_handles > 0) {
        uv_run(edge->loop, UV_RUN_ONCE);
    }
    /* libmicrohttpd gives up the process when it is stopped with suspended connections. */
    edge_requests_end(edge);
    edge_streams_end(edge);
    for (int i = 0; i < FAREWELL_RUNS; i++) { /* Lets them end with an answer. */
        MHD_run(edge->daemon);
    }
    MHD_stop_daemon(edge->daemon);
    must(edge->oldest == NULL && edge->streams == NULL && edge->waiting == NULL);
    face_free(&edge->face);
    free(edge);
}

/* Without a thread of its own libmicrohttpd notices a resumed connection only when it is run. */
void edge_wake(struct edge *edge)
{
    edge->is_woken = true;
    if (!edge->is_running && !edge->is_closing) {
        must(uv_timer_start(&edge->timeout, on_timeout, 0, 0) == 0);
    }
}

struct port_addr edge_addr(const struct edge *edge)
{
    return edge->addr;
}

static bool open_gate(struct edge *edge, const struct edge_options *options,
                      char reason[HOST_REASON_SIZE])
{
    struct gate *gate = &edge->face.gate;
    gate->is_local = is_loopback(&edge->addr);
    gate->has_token = options->token_path != NULL;
    if (!gate->is_local && !gate->has_token) {
        snprintf(reason, HOST_REASON_SIZE,
                 "HTTP on %.60s would serve more than this machine: that wants a token file",
                 options->bind);
        return false;
    }
    if (gethostname(gate->own_name, sizeof gate->own_name - 1) != 0) {
        gate->own_name[0] = '\0'; /* Then there is one name less to go by. */
    }
    return !gate->has_token || token_load(&gate->token, options->token_path, reason);
}

static bool is_loopback(const struct port_addr *addr)
{
    static const uint8_t one[16] = {[15] = 1};
    return port_addr_is_v4(addr) ? addr->ip[12] == 127 : memcmp(addr->ip, one, sizeof one) == 0;
}

/* Bound here and not by libmicrohttpd, which does not say why it could not. */
static int open_socket(struct edge *edge, const char *bind_text, char reason[HOST_REASON_SIZE])
{
    struct sockaddr_storage storage;
    socklen_t len = sockaddr_of(&edge->addr, &storage);
    int file = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    if (file >= 0 && setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(file, (struct sockaddr *)&storage, len) == 0 && listen(file, LISTEN_BACKLOG) == 0 &&
        fcntl(file, F_SETFL, O_NONBLOCK) == 0) {
        read_address(edge, file);
        return file;
    }
    snprintf(reason, HOST_REASON_SIZE, "HTTP on %.60s: %s%s", bind_text, strerror(errno),
             errno == EADDRINUSE ? "; choose another port or \"off\"" : "");
    if (file >= 0) {
        close(file);
    }
    return -1;
}

static socklen_t sockaddr_of(const struct port_addr *addr, struct sockaddr_storage *storage)
{
    memset(storage, 0, sizeof *storage);
    if (port_addr_is_v4(addr)) {
        struct sockaddr_in *four = (struct sockaddr_in *)storage;
        four->sin_family = AF_INET;
        memcpy(&four->sin_addr, addr->ip + 12, 4);
        memcpy(&four->sin_port, addr->port, 2);
        return sizeof *four;
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)storage;
    six->sin6_family = AF_INET6;
    memcpy(&six->sin6_addr, addr->ip, 16);
    memcpy(&six->sin6_port, addr->port, 2);
    return sizeof *six;
}

/* The port that the kernel chose. */
static void read_address(struct edge *edge, int file)
{
    struct sockaddr_storage storage;
    socklen_t len = sizeof storage;
    must(getsockname(file, (struct sockaddr *)&storage, &len) == 0);
    if (storage.ss_family == AF_INET) {
        memcpy(edge->addr.port, &((struct sockaddr_in *)&storage)->sin_port, 2);
    } else {
        memcpy(edge->addr.port, &((struct sockaddr_in6 *)&storage)->sin6_port, 2);
    }
}

/* Without MHD_USE_ERROR_LOG, so that it prints nothing: a client that goes away is no news. */
static bool open_daemon(struct edge *edge, int file, char reason[HOST_REASON_SIZE])
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    edge->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, edge_on_request, edge, MHD_OPTION_LISTEN_SOCKET, file,
        MHD_OPTION_NOTIFY_CONNECTION, edge_on_connection, edge, MHD_OPTION_NOTIFY_COMPLETED,
        edge_on_completed, edge, MHD_OPTION_URI_LOG_CALLBACK, edge_on_target, edge,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)EDGE_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)EDGE_CONNECTION_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)EDGE_STALL_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_END);
    if (edge->daemon == NULL) {
        snprintf(reason, HOST_REASON_SIZE, "the HTTP server does not start: %s", strerror(errno));
        close(file);
        return false;
    }
    return true;
}

static void open_handles(struct edge *edge)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(edge->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    must(info != NULL && uv_poll_init(edge->loop, &edge->poll, info->epoll_fd) == 0);
    must(uv_timer_init(edge->loop, &edge->timeout) == 0);
    must(uv_timer_init(edge->loop, &edge->tick) == 0);
    edge->poll.data = edge;
    edge->timeout.data = edge;
    edge->tick.data = edge;
    edge->open_handles = 3;
    must(uv_poll_start(&edge->poll, UV_READABLE, on_readable) == 0);
    must(uv_timer_start(&edge->tick, on_tick, EDGE_TICK_MS, EDGE_TICK_MS) == 0);
}

/* Whatever is readable, then the time at which libmicrohttpd wants to be called again. */
static void run(struct edge *edge)
{
    if (edge->is_running || edge->is_closing) {
        return;
    }
    edge->is_running = true;
    edge->is_woken = false;
    must(MHD_run(edge->daemon) == MHD_YES);
    edge->is_running = false;
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
    if (edge->is_woken || MHD_get_timeout(edge->daemon, &timeout_ms) == MHD_YES) {
        must(uv_timer_start(&edge->timeout, on_timeout, timeout_ms, 0) == 0);
    } else {
        uv_timer_stop(&edge->timeout);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status; /* An error shows in MHD_run, too. */
    (void)events;
    run(poll->data);
}

static void on_timeout(uv_timer_t *timer)
{
    run(timer->data);
}

static void on_tick(uv_timer_t *timer)
{
    struct edge *edge = timer->data;
    edge_connections_tick(edge);
    edge_streams_tick(edge);
    if (uv_now(edge->loop) - edge->metric_ms >= EDGE_METRIC_MS) {
        edge->metric_ms = uv_now(edge->loop);
        edge_publish_numbers(edge);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct edge *edge = handle->data;
    edge->open_handles--;
}
