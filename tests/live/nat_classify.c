/* nat_classify.c - what kind of box a host is behind: nat_classify.h. */
#include "tests/live/nat_classify.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/base/must.h"

enum {
    PORT_ONE = 3478, /* Of the servers; RFC 5780 section 2 has two as well. */
    PORT_TWO = 3479,
    SAMPLES = 8,  /* Mappings whose ports are looked at. */
    STEP_MAX = 2, /* A box that counts may have served another host in between. */
};

struct servers {
    struct server first;      /* One address, one port. */
    struct server other_port; /* The same address. */
    struct server other_address;
};

static bool find_mapping(const char *host, const struct servers *servers,
                         struct classification *found);
static enum nat_scope find_filtering(const char *host, const struct servers *servers);
static enum nat_port_choice find_ports(const char *host, const struct servers *servers);
static enum nat_hairpin find_hairpin(const char *host, const struct servers *servers);

struct classification classify(const char *host, const char *server, const char *const *addresses)
{
    struct servers servers = {
        .first = net_server(server, addresses[0], PORT_ONE),
        .other_port = net_server(server, addresses[0], PORT_TWO),
        .other_address = net_server(server, addresses[1], PORT_ONE),
    };
    struct classification found = {.is_blocked = false};
    if (find_mapping(host, &servers, &found)) {
        found.filtering = find_filtering(host, &servers);
        found.ports = find_ports(host, &servers);
        found.hairpin = find_hairpin(host, &servers);
    } else {
        found.is_blocked = true;
    }
    net_server_close(&servers.first);
    net_server_close(&servers.other_port);
    net_server_close(&servers.other_address);
    return found;
}

void classification_print(const struct classification *found)
{
    static const char *const scopes[] = {"independent", "address", "address_and_port"};
    static const char *const ports[] = {"preserved", "sequential", "random"};
    static const char *const hairpins[] = {"no", "external", "internal"};
    if (found->is_blocked) {
        puts("blocked");
        return;
    }
    printf("mapping=%s filtering=%s ports=%s hairpin=%s\n",
           found->is_translated ? scopes[found->mapping] : "none", scopes[found->filtering],
           ports[found->ports], hairpins[found->hairpin]);
}

/* False: no answer. */
static bool find_mapping(const char *host, const struct servers *servers,
                         struct classification *found)
{
    struct sockaddr_in first, other_port, other_address;
    int socket = net_open(host, NULL);
    struct sockaddr_in own = net_own(socket, &servers->first.end);
    bool is_known = net_ask(socket, &servers->first, &first, NULL, NULL) &&
                    net_ask(socket, &servers->other_port, &other_port, NULL, NULL) &&
                    net_ask(socket, &servers->other_address, &other_address, NULL, NULL);
    (void)close(socket);
    if (!is_known) {
        return false;
    }
    found->is_translated = !net_same_address(&own, &first);
    if (!net_same(&first, &other_port)) {
        found->mapping = SCOPE_ADDRESS_AND_PORT;
    } else if (!net_same(&first, &other_address)) {
        found->mapping = SCOPE_ADDRESS;
    } else {
        found->mapping = SCOPE_INDEPENDENT;
    }
    return true;
}

struct unasked {
    const struct servers *servers;
    bool is_other_port;
    bool is_other_address;
};

static void hear_unasked(void *arg, const struct sockaddr_in *from, const struct note *note)
{
    struct unasked *unasked = arg;
    if (note->kind == NOTE_PUNCH) {
        unasked->is_other_port |= net_same(from, &unasked->servers->other_port.end);
        unasked->is_other_address |= net_same(from, &unasked->servers->other_address.end);
    }
}

/* Two servers that the host's new socket has not spoken to send to it; then the one that it has
 * spoken to answers a question, and what has not come before that answer was filtered. */
static enum nat_scope find_filtering(const char *host, const struct servers *servers)
{
    struct unasked unasked = {.servers = servers};
    const struct note note = {.kind = NOTE_PUNCH};
    struct sockaddr_in external;
    int socket = net_open(host, NULL);
    must(net_ask(socket, &servers->first, &external, NULL, NULL));
    net_send(servers->other_address.socket, &external, &note);
    net_send(servers->other_port.socket, &external, &note);
    must(net_ask(socket, &servers->first, &external, hear_unasked, &unasked));
    (void)close(socket);
    if (unasked.is_other_address) {
        return SCOPE_INDEPENDENT;
    }
    return unasked.is_other_port ? SCOPE_ADDRESS : SCOPE_ADDRESS_AND_PORT;
}

/* Ports of new sockets towards one server: a new mapping each, whatever mappings depend on. */
static enum nat_port_choice find_ports(const char *host, const struct servers *servers)
{
    bool is_preserved = true, is_sequential = true;
    int last = 0;
    for (int i = 0; i < SAMPLES; i++) {
        struct sockaddr_in external;
        int socket = net_open(host, NULL);
        struct sockaddr_in own = net_own(socket, &servers->first.end);
        must(net_ask(socket, &servers->first, &external, NULL, NULL));
        (void)close(socket);
        int port = net_port(&external);
        is_preserved = is_preserved && port == net_port(&own);
        is_sequential = is_sequential && (i == 0 || (port > last && port <= last + STEP_MAX));
        last = port;
    }
    if (is_preserved) {
        return PORTS_PRESERVED;
    }
    return is_sequential ? PORTS_SEQUENTIAL : PORTS_RANDOM;
}

struct loop {
    struct sockaddr_in sender;
    enum nat_hairpin seen;
};

static void hear_loop(void *arg, const struct sockaddr_in *from, const struct note *note)
{
    struct loop *loop = arg;
    if (note->kind == NOTE_PUNCH) {
        loop->seen = net_same(from, &loop->sender) ? HAIRPIN_EXTERNAL : HAIRPIN_INTERNAL;
    }
}

/* Two sockets behind the box send to each other's external end, so that no filter is in the way. */
static enum nat_hairpin find_hairpin(const char *host, const struct servers *servers)
{
    const struct note note = {.kind = NOTE_PUNCH};
    struct sockaddr_in one_end, other_end;
    int one = net_open(host, NULL);
    int other = net_open(host, NULL);
    must(net_ask(one, &servers->first, &one_end, NULL, NULL));
    must(net_ask(other, &servers->first, &other_end, NULL, NULL));
    struct loop loop = {.sender = one_end};
    net_send(other, &one_end, &note);
    net_send(one, &other_end, &note);
    must(net_ask(other, &servers->first, &other_end, hear_loop, &loop));
    (void)close(one);
    (void)close(other);
    return loop.seen;
}
