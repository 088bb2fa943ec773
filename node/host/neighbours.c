/* neighbours.c - multicast to whoever is on the links of this machine. */
#define _DEFAULT_SOURCE /* IFF_MULTICAST, struct ip_mreqn */
#include "node/host/neighbours.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "node/base/must.h"
#include "node/host/loop.h"

/* ff12: transient, link-local; the rest spells "mesh". */
#define GROUP_V6 "ff12::6d65:7368"
#define GROUP_V4 "239.255.109.101"

/* One interface and family: datagrams leave by a socket of its own. */
struct link {
    uv_udp_t udp;
    bool is_closed; /* Could not be used; its memory is libuv's for another turn. */
    union socket_address to;
    struct port_addr from; /* What others, and our ears, see as its source. */
};

struct neighbours {
    struct neighbours_options options;
    struct neighbours_view view;
    uv_udp_t ears[2]; /* IPv6, IPv4: joined on every link. */
    bool has_ear[2];
    uint32_t handles;
    bool is_closing;
    uint32_t link_count;
    struct link links[NEIGHBOURS_LINKS_MAX];
    uint8_t buffer[65536];
};

static int links_open(struct neighbours *neighbours);
static bool is_wanted(const struct neighbours_options *options, const struct ifaddrs *one);
static void link_open(struct neighbours *neighbours, const struct ifaddrs *one);
static int ear_open(struct neighbours *neighbours, bool is_v4);
static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
static void on_received(uv_udp_t *udp, ssize_t len, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags);
static void on_closed(uv_handle_t *handle);

int neighbours_open(const struct neighbours_options *options, struct neighbours **made,
                    char reason[HOST_REASON_SIZE])
{
    struct neighbours *neighbours = calloc(1, sizeof *neighbours);
    must(neighbours != NULL && options->hooks.received != NULL && options->port != 0);
    neighbours->options = *options;
    *made = neighbours;
    int status = links_open(neighbours);
    if (status == 0 && neighbours->view.links > 0) {
        return ERR_OK;
    }
    *made = NULL;
    if (status == 0) {
        snprintf(reason, HOST_REASON_SIZE, "no interface for multicast is up");
    } else {
        snprintf(reason, HOST_REASON_SIZE, "cannot hear neighbours on UDP port %u: %s",
                 options->port, uv_strerror(status));
    }
    neighbours_close(neighbours);
    return status == 0 ? ERR_UNREACHABLE : ERR_IO;
}

int neighbours_send(struct neighbours *neighbours, struct slice bytes)
{
    uint32_t sent = 0;
    if (bytes.len == 0 || bytes.len > PORT_DATAGRAM_MAX) {
        return bytes.len == 0 ? ERR_INVALID : ERR_TOO_LARGE;
    }
    for (uint32_t i = 0; i < neighbours->link_count; i++) {
        struct link *link = &neighbours->links[i];
        if (link->is_closed) {
            continue;
        }
        uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes.data, (unsigned)bytes.len);
        bool is_sent = uv_udp_try_send(&link->udp, &buffer, 1, &link->to.any) >= 0;
        sent += is_sent;
        neighbours->view.dropped += !is_sent;
    }
    neighbours->view.sent += sent;
    return sent > 0 ? ERR_OK : ERR_UNREACHABLE;
}

void neighbours_close(struct neighbours *neighbours)
{
    must(!neighbours->is_closing);
    neighbours->is_closing = true;
    for (uint32_t i = 0; i < neighbours->link_count; i++) {
        if (!neighbours->links[i].is_closed) {
            uv_close((uv_handle_t *)&neighbours->links[i].udp, on_closed);
        }
    }
    for (int i = 0; i < 2; i++) {
        if (neighbours->has_ear[i]) {
            uv_close((uv_handle_t *)&neighbours->ears[i], on_closed);
        }
    }
    if (neighbours->handles == 0) {
        free(neighbours);
    }
}

void neighbours_observe(const struct neighbours *neighbours, struct neighbours_view *view)
{
    *view = neighbours->view;
}

/* An address of a link that cannot be used (going down, out of memberships) is passed over; only
 * ears that cannot be opened at all are an error. 0 or libuv's. */
static int links_open(struct neighbours *neighbours)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0) {
        return uv_translate_sys_error(errno);
    }
    int status = 0;
    for (const struct ifaddrs *one = all; one != NULL && status == 0; one = one->ifa_next) {
        if (!is_wanted(&neighbours->options, one) ||
            neighbours->link_count == NEIGHBOURS_LINKS_MAX) {
            continue;
        }
        bool is_v4 = one->ifa_addr->sa_family == AF_INET;
        if (!neighbours->has_ear[is_v4]) {
            status = ear_open(neighbours, is_v4);
        }
        if (status == 0) {
            link_open(neighbours, one);
        }
    }
    freeifaddrs(all);
    return status;
}

/* Of IPv6 the link-local address, which every interface has one of; loopback has ::1 instead. */
static bool is_wanted(const struct neighbours_options *options, const struct ifaddrs *one)
{
    bool is_loopback = (one->ifa_flags & IFF_LOOPBACK) != 0;
    bool is_able = is_loopback ? options->has_loopback : (one->ifa_flags & IFF_MULTICAST) != 0;
    if (one->ifa_addr == NULL || (one->ifa_flags & IFF_UP) == 0 || !is_able ||
        (options->interface != NULL && strcmp(options->interface, one->ifa_name) != 0)) {
        return false;
    }
    if (one->ifa_addr->sa_family == AF_INET) {
        return true;
    }
    const struct sockaddr_in6 *v6 = (const void *)one->ifa_addr;
    return one->ifa_addr->sa_family == AF_INET6 &&
           (is_loopback || IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr));
}

/* IPv4's is bound to the group, so that it hears nothing else. IPv6's cannot be: a group of the
 * link's scope is an address of one link only. */
static int ear_open(struct neighbours *neighbours, bool is_v4)
{
    uv_udp_t *ear = &neighbours->ears[is_v4];
    union socket_address at;
    int one = 1;
    int fd;
    int status = is_v4 ? uv_ip4_addr(GROUP_V4, neighbours->options.port, &at.v4)
                       : uv_ip6_addr("::", neighbours->options.port, &at.v6);
    must(status == 0);
    status = uv_udp_init_ex(neighbours->options.loop, ear, is_v4 ? AF_INET : AF_INET6);
    if (status != 0) {
        return status;
    }
    neighbours->has_ear[is_v4] = true;
    neighbours->handles++;
    ear->data = neighbours;
    must(uv_fileno((uv_handle_t *)ear, &fd) == 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    status = uv_udp_bind(ear, &at.any, UV_UDP_REUSEADDR | (is_v4 ? 0 : UV_UDP_IPV6ONLY));
    return status != 0 ? status : uv_udp_recv_start(ear, on_buffer, on_received);
}

static int join(const struct neighbours *neighbours, bool is_v4, unsigned index)
{
    int fd;
    must(uv_fileno((const uv_handle_t *)&neighbours->ears[is_v4], &fd) == 0);
    if (is_v4) {
        struct ip_mreqn request = {.imr_ifindex = (int)index};
        must(uv_inet_pton(AF_INET, GROUP_V4, &request.imr_multiaddr) == 0);
        return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request);
    }
    struct ipv6_mreq request = {.ipv6mr_interface = index};
    must(uv_inet_pton(AF_INET6, GROUP_V6, &request.ipv6mr_multiaddr) == 0);
    return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request);
}

/* Chooses the interface for what leaves; hop limit 1 and a copy for this machine are the kernel's
 * defaults (RFC 3493 section 5.2). */
static int leave_by(const uv_udp_t *udp, bool is_v4, unsigned index)
{
    int fd;
    must(uv_fileno((const uv_handle_t *)udp, &fd) == 0);
    struct ip_mreqn request = {.imr_ifindex = (int)index};
    return is_v4 ? setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request)
                 : setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
}

static void link_open(struct neighbours *neighbours, const struct ifaddrs *one)
{
    struct link *link = &neighbours->links[neighbours->link_count];
    bool is_v4 = one->ifa_addr->sa_family == AF_INET;
    unsigned index = if_nametoindex(one->ifa_name);
    union socket_address at = {0};
    int len = sizeof at;
    memcpy(&at, one->ifa_addr, is_v4 ? sizeof at.v4 : sizeof at.v6);
    if (uv_udp_init_ex(neighbours->options.loop, &link->udp, is_v4 ? AF_INET : AF_INET6) != 0) {
        return;
    }
    link->udp.data = neighbours;
    neighbours->handles++;
    neighbours->link_count++;
    /* An interface with two addresses has been joined already: EADDRINUSE. */
    if (index == 0 || uv_udp_bind(&link->udp, &at.any, 0) != 0 ||
        uv_udp_getsockname(&link->udp, &at.any, &len) != 0 ||
        leave_by(&link->udp, is_v4, index) != 0 ||
        (join(neighbours, is_v4, index) != 0 && errno != EADDRINUSE)) {
        link->is_closed = true;
        uv_close((uv_handle_t *)&link->udp, on_closed);
        return;
    }
    neighbours->view.links++;
    host_addr_from_socket(&at.any, &link->from);
    int port = neighbours->options.port;
    must((is_v4 ? uv_ip4_addr(GROUP_V4, port, &link->to.v4)
                : uv_ip6_addr(GROUP_V6, port, &link->to.v6)) == 0);
    if (!is_v4) {
        link->to.v6.sin6_scope_id = index;
    }
}

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct neighbours *neighbours = handle->data;
    *buffer = uv_buf_init((char *)neighbours->buffer, sizeof neighbours->buffer);
}

static void on_received(uv_udp_t *udp, ssize_t len, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags)
{
    (void)flags;
    struct neighbours *neighbours = udp->data;
    struct port_addr addr;
    if (len <= 0 || len > PORT_DATAGRAM_MAX || from == NULL || neighbours->is_closing) {
        return;
    }
    host_addr_from_socket(from, &addr);
    for (uint32_t i = 0; i < neighbours->link_count; i++) {
        if (memcmp(&neighbours->links[i].from, &addr, sizeof addr) == 0) {
            return; /* Our own. */
        }
    }
    neighbours->view.received++;
    neighbours->options.hooks.received(neighbours->options.hooks.arg, &addr,
                                       slice_of(buffer->base, (size_t)len));
}

static void on_closed(uv_handle_t *handle)
{
    struct neighbours *neighbours = handle->data;
    neighbours->handles--;
    if (neighbours->is_closing && neighbours->handles == 0) {
        free(neighbours);
    }
}
