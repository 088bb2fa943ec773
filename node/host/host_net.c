/* host_net.c - paths: the main UDP socket, extra ones, and the way of a datagram out and in. */
#define _DEFAULT_SOURCE /* SO_RCVBUFFORCE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "node/base/must.h"
#include "node/host/loop.h"

enum {
    /* Room for a burst of 4,000 datagrams, as the reference of tests/bench/bench_live.c has it. The
     * kernel gives what net.core.rmem_max and wmem_max allow. */
    SOCKET_BUFFER_BYTES = 4 << 20,
    LOOP_RECEIVE_BYTES = LOOP_RECEIVE_SLOTS * LOOP_RECEIVE_SLOT_BYTES,
    PORT_TRIES_MAX = 16, /* Free for UDP, but taken for TCP. */
};
#define GATEWAY_US UINT64_C(30000000) /* Between two looks at the routes. */

static int udp_open(struct host *host, char reason[HOST_REASON_SIZE]);
static int free_path(const struct host *host);
static int socket_open(struct host *host, int path, const union socket_address *at,
                       struct host_socket **made);
static void socket_close(struct host_socket *socket);
static void on_socket_closed(uv_handle_t *handle);
static void socket_tune(const struct host_socket *socket);
static int bind_address(const struct host_options *options, union socket_address *at);
static void socket_address_get(const struct host_socket *socket, struct port_addr *addr);
static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
static void on_received(uv_udp_t *udp, ssize_t len, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags);

/* UDP and TCP on one number: that of any free port may have to be drawn again. */
int host_net_open(struct host *host, char reason[HOST_REASON_SIZE])
{
    int status = udp_open(host, reason);
    for (int tries = 1; status == ERR_OK; tries++) {
        status = host_streams_open(host, reason);
        if (status != ERR_REFUSED || host->options.port != 0 || tries == PORT_TRIES_MAX) {
            return status;
        }
        host_net_close(host);
        status = udp_open(host, reason);
    }
    return status;
}

static int udp_open(struct host *host, char reason[HOST_REASON_SIZE])
{
    const struct host_options *options = &host->options;
    const char *shown = options->bind != NULL ? options->bind : "any address";
    union socket_address at;
    if (bind_address(options, &at) != ERR_OK) {
        snprintf(reason, HOST_REASON_SIZE, "%.64s is no numeric address to bind", shown);
        return ERR_INVALID;
    }
    int status = socket_open(host, PORT_MAIN_PATH, &at, &host->main);
    if (status == 0) {
        socket_address_get(host->main, &host->port.local);
        return ERR_OK;
    }
    if (status == UV_EADDRINUSE) {
        snprintf(reason, HOST_REASON_SIZE, "UDP port %u of %.64s is taken by another program",
                 options->port, shown);
        return ERR_REFUSED;
    }
    snprintf(reason, HOST_REASON_SIZE, "cannot bind UDP port %u of %.64s: %s", options->port, shown,
             uv_strerror(status));
    return status == UV_EADDRNOTAVAIL ? ERR_INVALID : ERR_IO;
}

void host_net_close(struct host *host)
{
    must(host->node == NULL);
    batch_flush(&host->loop->batch);
    host_streams_close(host);
    if (host->main != NULL) {
        socket_close(host->main);
        host->main = NULL;
    }
}

void host_paths_close(struct host *host)
{
    for (int path = 1; path <= HOST_PATHS_MAX; path++) {
        if (host->paths[path - 1] != NULL || host->carriers[path - 1] != PORT_UDP) {
            host_path_close(&host->port, path);
        }
    }
}

int host_path_open(struct port *port, enum port_carrier carrier, const struct port_addr *hint,
                   const struct port_addr *remote)
{
    struct host *host = host_of(port);
    must(host->loop->entered == host);
    int path = free_path(host);
    if (path < 0) {
        return path;
    }
    if (carrier != PORT_UDP) {
        return host_carrier_open(host, path, carrier, hint, remote);
    }
    struct port_addr local = hint != NULL ? *hint : port->local;
    if (hint == NULL) {
        memset(local.port, 0, sizeof local.port);
    }
    union socket_address at;
    host_addr_to_socket(&local, host->main->is_v4, &at);
    /* Descriptors may have run out, or the hint is not ours or taken: no path, and no harm. */
    return socket_open(host, path, &at, &host->paths[path - 1]) == 0 ? path : ERR_FULL;
}

static int free_path(const struct host *host)
{
    for (int path = 1; path <= HOST_PATHS_MAX; path++) {
        if (host->paths[path - 1] == NULL && host->carriers[path - 1] == PORT_UDP) {
            return path;
        }
    }
    return ERR_FULL;
}

void host_path_close(struct port *port, int path)
{
    struct host *host = host_of(port);
    must(path > 0 && path <= HOST_PATHS_MAX);
    if (host->carriers[path - 1] != PORT_UDP) {
        host_carrier_close(host, path);
        return;
    }
    must(host->paths[path - 1] != NULL);
    batch_flush(&host->loop->batch); /* It may hold datagrams of this socket. */
    socket_close(host->paths[path - 1]);
    host->paths[path - 1] = NULL;
}

bool host_path_local(struct port *port, int path, struct port_addr *addr)
{
    struct host *host = host_of(port);
    union socket_address at;
    int len = sizeof at;
    if (path == PORT_MAIN_PATH) {
        *addr = port->local;
        return true;
    }
    if (path < 0 || path > HOST_PATHS_MAX) {
        return false;
    }
    if (host->carriers[path - 1] != PORT_UDP) {
        return host_carrier_local(host, path, addr);
    }
    const struct host_socket *socket = host->paths[path - 1];
    if (socket == NULL || uv_udp_getsockname(&socket->udp, &at.any, &len) != 0) {
        return false;
    }
    host_addr_from_socket(&at.any, addr);
    return true;
}

/* A file of the kernel's, read while a node has need of it: a machine moves now and then. */
bool host_gateway(struct port *port, struct port_addr *addr)
{
    struct host *host = host_of(port);
    uint64_t now_us = host_loop_now_us(host->loop);
    if (host->gateway_us == 0 || now_us - host->gateway_us >= GATEWAY_US) {
        host->gateway_us = now_us;
        if (!host_router(&host->gateway)) {
            host->gateway = (struct port_addr){.port = {0}};
        }
    }
    *addr = host->gateway;
    return host->gateway.port[0] != 0;
}

int host_send(struct port *port, int path, const struct port_addr *to, struct slice bytes,
              struct port_send_flags flags)
{
    struct host *host = host_of(port);
    must(host->loop->entered == host); /* Law: a node acts only inside an entry of its own. */
    if (bytes.len > PORT_DATAGRAM_MAX) {
        return ERR_TOO_LARGE;
    }
    if (path < 0 || path > HOST_PATHS_MAX) {
        return ERR_INVALID;
    }
    if (path == PORT_MAIN_PATH && host_stream_send(host, to, bytes)) {
        return ERR_OK;
    }
    if (path != PORT_MAIN_PATH && host->carriers[path - 1] != PORT_UDP) {
        return host_carrier_send(host, path, bytes);
    }
    struct host_socket *socket = path == PORT_MAIN_PATH ? host->main : host->paths[path - 1];
    if (socket == NULL) {
        return ERR_INVALID;
    }
    if (socket->is_v4 && !host_addr_is_v4(to)) {
        host->counts.datagrams_dropped++;
        return ERR_OK; /* Nobody can be reached there from here: the network does not tell. */
    }
    union socket_address address;
    host_addr_to_socket(to, socket->is_v4, &address);
    batch_add(&host->loop->batch, socket, &address, bytes, flags);
    return ERR_OK;
}

/* Any address: both families by one socket. */
static int bind_address(const struct host_options *options, union socket_address *at)
{
    if (options->bind == NULL || strcmp(options->bind, "::") == 0) {
        return uv_ip6_addr("::", options->port, &at->v6) == 0 ? ERR_OK : ERR_INVALID;
    }
    if (strchr(options->bind, ':') != NULL) {
        return uv_ip6_addr(options->bind, options->port, &at->v6) == 0 ? ERR_OK : ERR_INVALID;
    }
    char mapped[sizeof "::ffff:255.255.255.255"];
    struct sockaddr_in v4;
    if (uv_ip4_addr(options->bind, options->port, &v4) != 0) {
        return ERR_INVALID;
    }
    snprintf(mapped, sizeof mapped, "::ffff:%s", options->bind);
    return uv_ip6_addr(mapped, options->port, &at->v6) == 0 ? ERR_OK : ERR_INVALID;
}

/* A socket of both families, or of IPv4 alone where the kernel has no other. 0 or libuv's error. */
static int socket_bind(struct host_socket *socket, const union socket_address *at)
{
    if (!socket->is_v4) {
        int no = 0;
        (void)setsockopt(socket->fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
        return uv_udp_bind(&socket->udp, &at->any, 0);
    }
    union socket_address v4 = *at;
    if (at->any.sa_family == AF_INET6) {
        struct port_addr addr;
        host_addr_from_socket(&at->any, &addr);
        bool is_any = IN6_IS_ADDR_UNSPECIFIED(&at->v6.sin6_addr);
        if (!is_any && !host_addr_is_v4(&addr)) {
            return UV_EADDRNOTAVAIL;
        }
        host_addr_to_socket(&addr, true, &v4);
    }
    return uv_udp_bind(&socket->udp, &v4.any, 0);
}

static int socket_open(struct host *host, int path, const union socket_address *at,
                       struct host_socket **made)
{
    struct host_socket *socket = calloc(1, sizeof *socket);
    must(socket != NULL);
    socket->host = host;
    socket->path = path;
    socket->udp.data = socket;
    uv_loop_t *uv = &host->loop->uv;
    int status = uv_udp_init_ex(uv, &socket->udp, AF_INET6 | UV_UDP_RECVMMSG);
    if (status == UV_EAFNOSUPPORT) {
        socket->is_v4 = true;
        status = uv_udp_init_ex(uv, &socket->udp, AF_INET | UV_UDP_RECVMMSG);
    }
    if (status != 0) {
        free(socket);
        return status;
    }
    host->handles++;
    must(uv_fileno((uv_handle_t *)&socket->udp, &socket->fd) == 0);
    socket_tune(socket);
    status = socket_bind(socket, at);
    if (status == 0) {
        status = uv_udp_recv_start(&socket->udp, on_buffer, on_received);
    }
    if (status != 0) {
        socket_close(socket);
        return status;
    }
    *made = socket;
    return 0;
}

/* FORCE is for root; where it is refused the plain option gives what the system allows. */
static void socket_tune(const struct host_socket *socket)
{
    int bytes = SOCKET_BUFFER_BYTES;
    if (setsockopt(socket->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
        (void)setsockopt(socket->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    if (setsockopt(socket->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0) {
        (void)setsockopt(socket->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
}

static void socket_close(struct host_socket *socket)
{
    uv_close((uv_handle_t *)&socket->udp, on_socket_closed);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct host_socket *socket = handle->data;
    socket->host->handles--;
    free(socket);
}

static void socket_address_get(const struct host_socket *socket, struct port_addr *addr)
{
    union socket_address bound;
    int len = sizeof bound;
    must(uv_udp_getsockname(&socket->udp, &bound.any, &len) == 0);
    host_addr_from_socket(&bound.any, addr);
}

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    const struct host_socket *socket = handle->data;
    *buffer = uv_buf_init((char *)socket->host->loop->receive_buffer, LOOP_RECEIVE_BYTES);
}

static void on_received(uv_udp_t *udp, ssize_t len, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags)
{
    (void)flags;
    const struct host_socket *socket = udp->data;
    struct host *host = socket->host;
    if (len < 0 || from == NULL) {
        return; /* Nothing more for now; or an error of the moment, after which one reads on. */
    }
    struct port_addr addr;
    host_addr_from_socket(from, &addr);
    host_receive(host, socket->path, &addr, slice_of(buffer->base, (size_t)len));
}

void host_receive(struct host *host, int path, const struct port_addr *from, struct slice bytes)
{
    host->counts.datagrams_in++;
    host->counts.bytes_in += bytes.len;
    if (bytes.len > PORT_DATAGRAM_MAX || host->node == NULL) {
        host->counts.datagrams_refused++;
        return;
    }
    host_entry_begin(host);
    node_on_datagram(host->node, path, from, bytes);
    host_entry_end(host);
}
