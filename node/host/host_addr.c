/* host_addr.c - addresses as the node, the kernel and people write them. */
#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "node/base/must.h"
#include "node/host/loop.h"
#include "node/nat/pcp.h"

enum {
    PORT_MAX = 65535,
    ROUTE_LINE_SIZE = 256,
    ROUTE_UP = 1, /* RTF_UP and RTF_GATEWAY of <linux/route.h>. */
    ROUTE_GATEWAY = 2,
};

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void host_addr_format(const struct port_addr *addr, char text[HOST_ADDR_TEXT_SIZE])
{
    char ip[INET6_ADDRSTRLEN];
    bool is_v4 = host_addr_is_v4(addr);
    const uint8_t *octets = is_v4 ? addr->ip + sizeof v4_prefix : addr->ip;
    must(inet_ntop(is_v4 ? AF_INET : AF_INET6, octets, ip, sizeof ip) != NULL);
    unsigned port = (unsigned)addr->port[0] << 8 | addr->port[1];
    snprintf(text, HOST_ADDR_TEXT_SIZE, is_v4 ? "%s:%u" : "[%s]:%u", ip, port);
}

bool host_addr_parse(const char *text, struct port_addr *addr)
{
    char ip[INET6_ADDRSTRLEN];
    const char *begin = text[0] == '[' ? text + 1 : text;
    const char *end = strchr(text, text[0] == '[' ? ']' : ':');
    if (end == NULL || (size_t)(end - begin) >= sizeof ip) {
        return false;
    }
    memcpy(ip, begin, (size_t)(end - begin));
    ip[end - begin] = '\0';
    struct port_addr parsed = {0};
    if (text[0] == '[') {
        end++; /* The bracket. */
        if (*end != ':' || inet_pton(AF_INET6, ip, parsed.ip) != 1) {
            return false;
        }
    } else {
        memcpy(parsed.ip, v4_prefix, sizeof v4_prefix);
        if (inet_pton(AF_INET, ip, parsed.ip + sizeof v4_prefix) != 1) {
            return false;
        }
    }
    uint16_t port;
    if (!host_port_parse(end + 1, &port)) {
        return false;
    }
    parsed.port[0] = (uint8_t)(port >> 8);
    parsed.port[1] = (uint8_t)port;
    *addr = parsed;
    return true;
}

size_t host_own_addrs(struct port_addr *addrs, size_t max)
{
    uv_interface_address_t *list;
    int count;
    size_t found = 0;
    if (uv_interface_addresses(&list, &count) != 0) {
        return 0;
    }
    for (int wants_private = 0; wants_private <= 1; wants_private++) {
        for (int i = 0; i < count && found < max; i++) {
            struct port_addr addr;
            host_addr_from_socket((const struct sockaddr *)(const void *)&list[i].address, &addr);
            memset(addr.port, 0, sizeof addr.port);
            bool is_link_local = addr.ip[0] == 0xfe && (addr.ip[1] & 0xc0) == 0x80;
            if (!list[i].is_internal && !is_link_local &&
                classify_is_private(&addr) == (wants_private == 1)) {
                addrs[found++] = addr;
            }
        }
    }
    uv_free_interface_addresses(list, count);
    return found;
}

bool host_router(struct port_addr *addr)
{
    FILE *routes = fopen("/proc/net/route", "re");
    bool is_found = routes != NULL && host_router_read(routes, addr);
    if (routes != NULL) {
        fclose(routes);
    }
    return is_found;
}

/* Lines of: interface, destination, gateway, flags, references, uses, metric, mask; addresses as
 * the number that their bytes are on this machine. */
bool host_router_read(FILE *routes, struct port_addr *addr)
{
    char line[ROUTE_LINE_SIZE];
    unsigned long best = ULONG_MAX;
    while (fgets(line, sizeof line, routes) != NULL) {
        unsigned destination;
        unsigned gateway;
        unsigned flags;
        unsigned mask;
        unsigned long metric;
        bool is_route = sscanf(line, "%*s %x %x %x %*u %*u %lu %x", &destination, &gateway, &flags,
                               &metric, &mask) == 5;
        if (is_route && destination == 0 && mask == 0 && (flags & ROUTE_UP) != 0 &&
            (flags & ROUTE_GATEWAY) != 0 && metric < best) {
            best = metric;
            *addr = (struct port_addr){.port = {PCP_PORT >> 8, PCP_PORT & UINT8_MAX}};
            memcpy(addr->ip, v4_prefix, sizeof v4_prefix);
            memcpy(addr->ip + sizeof v4_prefix, &gateway, sizeof gateway);
        }
    }
    return best != ULONG_MAX;
}

bool host_port_parse(const char *text, uint16_t *port)
{
    uint32_t number = 0;
    if (text[0] == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        number = number * 10 + (uint32_t)(*text - '0');
        if (number > PORT_MAX) {
            return false;
        }
    }
    *port = (uint16_t)number;
    return true;
}

bool host_addr_is_v4(const struct port_addr *addr)
{
    return memcmp(addr->ip, v4_prefix, sizeof v4_prefix) == 0;
}

void host_addr_to_socket(const struct port_addr *addr, bool is_v4, union socket_address *to)
{
    memset(to, 0, sizeof *to);
    if (is_v4) {
        to->v4.sin_family = AF_INET;
        memcpy(&to->v4.sin_port, addr->port, sizeof addr->port);
        memcpy(&to->v4.sin_addr, addr->ip + sizeof v4_prefix, sizeof to->v4.sin_addr);
        return;
    }
    to->v6.sin6_family = AF_INET6;
    memcpy(&to->v6.sin6_port, addr->port, sizeof addr->port);
    memcpy(&to->v6.sin6_addr, addr->ip, sizeof addr->ip);
}

void host_addr_from_socket(const struct sockaddr *from, struct port_addr *addr)
{
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)from;
        memcpy(addr->ip, v4_prefix, sizeof v4_prefix);
        memcpy(addr->ip + sizeof v4_prefix, &v4->sin_addr, sizeof v4->sin_addr);
        memcpy(addr->port, &v4->sin_port, sizeof addr->port);
        return;
    }
    must(from->sa_family == AF_INET6);
    const struct sockaddr_in6 *v6 = (const void *)from;
    memcpy(addr->ip, &v6->sin6_addr, sizeof addr->ip);
    memcpy(addr->port, &v6->sin6_port, sizeof addr->port);
}
