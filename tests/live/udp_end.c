/* udp_end.c - sockets and addresses of the small peer programs. */
#include "tests/live/udp_end.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/base/must.h"

uint64_t end_now_us(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

_Noreturn static void stop(const char *what)
{
    perror(what);
    exit(2);
}

static socklen_t to_socket(const struct port_addr *addr, struct sockaddr_storage *to)
{
    memset(to, 0, sizeof *to);
    if (port_addr_is_v4(addr)) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        memcpy(&v4.sin_addr, addr->ip + 12, sizeof v4.sin_addr);
        memcpy(&v4.sin_port, addr->port, sizeof addr->port);
        memcpy(to, &v4, sizeof v4);
        return sizeof v4;
    }
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    memcpy(&v6.sin6_addr, addr->ip, sizeof v6.sin6_addr);
    memcpy(&v6.sin6_port, addr->port, sizeof addr->port);
    memcpy(to, &v6, sizeof v6);
    return sizeof v6;
}

static struct port_addr from_socket(const struct sockaddr_storage *from)
{
    struct port_addr addr = {.ip = {[10] = 0xff, [11] = 0xff}};
    if (from->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        memcpy(addr.ip + 12, &v4.sin_addr, sizeof v4.sin_addr);
        memcpy(addr.port, &v4.sin_port, sizeof addr.port);
    } else {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        memcpy(addr.ip, &v6.sin6_addr, sizeof v6.sin6_addr);
        memcpy(addr.port, &v6.sin6_port, sizeof addr.port);
    }
    return addr;
}

bool end_parse(struct port_addr *addr, const char *ip, const char *port)
{
    char *end;
    unsigned long number = strtoul(port, &end, 10);
    uint16_t network = htons((uint16_t)number);
    *addr = (struct port_addr){.ip = {[10] = 0xff, [11] = 0xff}};
    memcpy(addr->port, &network, sizeof addr->port);
    return number <= UINT16_MAX && end != port && *end == '\0' &&
           (inet_pton(AF_INET, ip, addr->ip + 12) == 1 || inet_pton(AF_INET6, ip, addr->ip) == 1);
}

const char *end_text(const struct port_addr *addr)
{
    static char text[INET6_ADDRSTRLEN + 8];
    snprintf(text, sizeof text, "%s %u", end_ip_text(addr), end_port(addr));
    return text;
}

const char *end_ip_text(const struct port_addr *addr)
{
    static char ip[INET6_ADDRSTRLEN];
    bool is_v4 = port_addr_is_v4(addr);
    must(inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? addr->ip + 12 : addr->ip, ip, sizeof ip) !=
         NULL);
    return ip;
}

unsigned end_port(const struct port_addr *addr)
{
    return (unsigned)addr->port[0] << 8 | addr->port[1];
}

struct port_addr end_route(const struct port_addr *to)
{
    struct sockaddr_storage name;
    socklen_t len = to_socket(to, &name);
    int route = socket(name.ss_family, SOCK_DGRAM, 0);
    if (route < 0 || connect(route, (const struct sockaddr *)&name, len) != 0) {
        stop("connect");
    }
    struct port_addr local = end_name(route);
    memset(local.port, 0, sizeof local.port);
    close(route);
    return local;
}

int end_bind(const struct port_addr *addr)
{
    struct sockaddr_storage name;
    int one = 1;
    socklen_t len = to_socket(addr, &name);
    int handle = socket(name.ss_family, SOCK_DGRAM, 0);
    if (handle < 0 ||
        (name.ss_family == AF_INET6 &&
         setsockopt(handle, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) ||
        bind(handle, (const struct sockaddr *)&name, len) != 0) {
        stop("bind");
    }
    return handle;
}

struct port_addr end_name(int handle)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    if (getsockname(handle, (struct sockaddr *)&name, &len) != 0) {
        stop("getsockname");
    }
    return from_socket(&name);
}

void end_send(int handle, const struct port_addr *to, const void *bytes, size_t len)
{
    struct sockaddr_storage name;
    socklen_t name_len = to_socket(to, &name);
    (void)sendto(handle, bytes, len, 0, (const struct sockaddr *)&name, name_len);
}

size_t end_receive(int handle, uint8_t bytes[END_DATAGRAM_MAX], struct port_addr *from)
{
    struct sockaddr_storage name;
    socklen_t name_len = sizeof name;
    ssize_t len = recvfrom(handle, bytes, END_DATAGRAM_MAX, 0, (struct sockaddr *)&name, &name_len);
    if (len < 0) {
        return 0; /* A complaint about something sent before. */
    }
    *from = from_socket(&name);
    return (size_t)len;
}
