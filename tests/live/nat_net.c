/* nat_net.c - sockets in many network namespaces: nat_net.h. */
#define _GNU_SOURCE /* setns, sched_setaffinity */
#include "tests/live/nat_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/base/must.h"

enum {
    /* Clear of the external ports that recipes count from (40000), and not one after the other, so
     * that a box that keeps ports does not look like one that counts. */
    PORT_FIRST = 10007,
    PORT_STEP = 3,
    PORT_LAST = 39999,
    SECOND_US = 1000000,
    BUFFER_BYTES = 8 << 20, /* Thousands of notes: none is lost at its goal. */
};

static _Noreturn void stop(const char *what, const char *name)
{
    fprintf(stderr, "%s %s: %s\n", what, name, strerror(errno));
    exit(2);
}

void net_pin(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    int here = sched_getcpu();
    CPU_SET(here >= 0 ? (size_t)here : 0, &one);
    must(sched_setaffinity(0, sizeof one, &one) == 0);
}

uint64_t net_now_us(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_nsec / 1000;
}

struct sockaddr_in net_end(const char *address, uint16_t port)
{
    struct sockaddr_in end = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, address, &end.sin_addr) != 1) {
        errno = EINVAL;
        stop("address", address);
    }
    return end;
}

bool net_same_address(const struct sockaddr_in *one, const struct sockaddr_in *other)
{
    return one->sin_addr.s_addr == other->sin_addr.s_addr;
}

bool net_same(const struct sockaddr_in *one, const struct sockaddr_in *other)
{
    return net_same_address(one, other) && one->sin_port == other->sin_port;
}

uint16_t net_port(const struct sockaddr_in *end)
{
    return ntohs(end->sin_port);
}

uint16_t net_fresh_port(void)
{
    static uint16_t next = PORT_FIRST;
    uint16_t port = next;
    next = (uint16_t)(next + PORT_STEP);
    must(port <= PORT_LAST);
    return port;
}

int net_open(const char *name, const struct sockaddr_in *own)
{
    char path[256];
    (void)snprintf(path, sizeof path, "/var/run/netns/%s", name);
    struct sockaddr_in any = {.sin_family = AF_INET};
    if (own == NULL) {
        any.sin_port = htons(net_fresh_port());
        own = &any;
    }
    int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int there = open(path, O_RDONLY | O_CLOEXEC);
    if (here < 0 || there < 0 || setns(there, CLONE_NEWNET) != 0) {
        stop("namespace", name);
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)own, sizeof *own) != 0) {
        stop("socket in", name);
    }
    int size = BUFFER_BYTES;
    must(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) == 0);
    must(setns(here, CLONE_NEWNET) == 0);
    (void)close(here);
    (void)close(there);
    return fd;
}

struct server net_server(const char *name, const char *address, uint16_t port)
{
    struct server server = {.end = net_end(address, port)};
    server.socket = net_open(name, &server.end);
    return server;
}

void net_server_close(struct server *server)
{
    (void)close(server->socket);
}

/* A connected socket knows its address: this one is connected for as long as it is asked. */
struct sockaddr_in net_own(int socket, const struct sockaddr_in *to)
{
    struct sockaddr_in own;
    socklen_t len = sizeof own;
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    must(connect(socket, (const struct sockaddr *)to, sizeof *to) == 0);
    must(getsockname(socket, (struct sockaddr *)&own, &len) == 0);
    must(connect(socket, &nobody, sizeof nobody) == 0);
    return own;
}

/* A datagram that the kernel refuses is one that does not arrive. */
void net_send(int socket, const struct sockaddr_in *to, const struct note *note)
{
    (void)sendto(socket, note, sizeof *note, 0, (const struct sockaddr *)to, sizeof *to);
}

bool net_take(int socket, int patience_ms, struct sockaddr_in *from, struct note *note)
{
    for (;;) {
        socklen_t len = sizeof *from;
        ssize_t got = recvfrom(socket, note, sizeof *note, 0, (struct sockaddr *)from, &len);
        if (got == (ssize_t)sizeof *note) {
            return true;
        }
        struct pollfd ready = {.fd = socket, .events = POLLIN};
        if (got < 0 && errno == EAGAIN && poll(&ready, 1, patience_ms) <= 0) {
            return false;
        }
    }
}

/* True when a note of that kind and number comes; the others go to `take`. */
static bool await(int socket, const struct note *wanted, struct sockaddr_in *from, net_note_fn take,
                  void *arg)
{
    struct note note;
    while (net_take(socket, NET_PATIENCE_MS, from, &note)) {
        if (note.kind == wanted->kind && note.number == wanted->number) {
            return true;
        }
        if (take != NULL && note.kind != NOTE_ANSWER) {
            take(arg, from, &note);
        }
    }
    return false;
}

bool net_ask(int socket, const struct server *server, struct sockaddr_in *external,
             net_note_fn take, void *arg)
{
    static uint32_t questions;
    for (int attempt = 0; attempt < NET_ATTEMPTS; attempt++) {
        struct note ask = {.kind = NOTE_ASK, .number = ++questions};
        net_send(socket, &server->end, &ask);
        if (await(server->socket, &ask, external, NULL, NULL)) {
            struct note answer = {.kind = NOTE_ANSWER, .number = ask.number};
            struct sockaddr_in from;
            net_send(server->socket, external, &answer);
            if (await(socket, &answer, &from, take, arg)) {
                return true;
            }
        }
    }
    return false;
}
