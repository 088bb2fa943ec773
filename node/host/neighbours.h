/* neighbours.h - "all neighbours" of the real host: multicast on every link of this machine.
 *
 * A datagram goes to an IPv6 group of link-local scope (RFC 4291 2.7, a transient address as RFC
 * 3307 4.3.2 has them) and to an IPv4 group of the administratively scoped local scope (RFC 2365
 * 6.1), over each multicast interface that was up when the socket was opened, with a hop limit of
 * 1. What comes in carries the address it was sent from: the neighbours' port of the sender, which
 * answers nothing; who its sender is, the bytes must say.
 *
 *      neighbours_send -> ff12::6d65:7368 and 239.255.109.101, on every link -> other hosts
 *      both sockets -> not our own -> hooks.received(from, bytes)
 *
 * Several processes of a machine share the port, and hear each other. What a host sends is not
 * delivered to itself: a datagram from a source address and port that one of its own sending
 * sockets has is dropped, so each sends from a port of its own.
 */
#ifndef NODE_HOST_NEIGHBOURS_H
#define NODE_HOST_NEIGHBOURS_H

#include <uv.h>

#include "node/host/host.h"

enum { NEIGHBOURS_LINKS_MAX = 32 /* Interfaces, both families counted; more are left out. */ };

struct neighbours;

struct neighbours_hooks {
    void *arg;
    void (*received)(void *arg, const struct port_addr *from, struct slice bytes);
};

struct neighbours_options {
    uv_loop_t *loop;
    uint16_t port;         /* Of the groups: the same for all; not a node's own. */
    const char *interface; /* The name of the only one to use; NULL: all. */
    bool has_loopback;     /* The loopback interface too, which is no link to anybody else. */
    struct neighbours_hooks hooks;
};

struct neighbours_view {
    uint32_t links; /* Joined: interface and family. */
    uint64_t sent;  /* Datagrams, each link counted. */
    uint64_t received;
    uint64_t dropped; /* Not sent: the socket was full or its link has gone. */
};

/* ERR_UNREACHABLE when there is no interface to use, ERR_IO; with the reason. */
NODISCARD int neighbours_open(const struct neighbours_options *options,
                              struct neighbours **neighbours, char reason[HOST_REASON_SIZE]);
/* ERR_OK, ERR_TOO_LARGE, ERR_INVALID (empty); ERR_UNREACHABLE when no link took it. */
int neighbours_send(struct neighbours *neighbours, struct slice bytes);
/* The memory goes when libuv has let go of it: the caller runs the loop. */
void neighbours_close(struct neighbours *neighbours);

void neighbours_observe(const struct neighbours *neighbours, struct neighbours_view *view);

#endif /* NODE_HOST_NEIGHBOURS_H */
