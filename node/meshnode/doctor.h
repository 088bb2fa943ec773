/* doctor.h - `meshnode doctor`: what the files of the command share.
 *
 * Looks at this machine and at the way to others, and says line by line what it found and what
 * would help. It joins nothing, changes nothing, and leaves nothing behind.
 *
 *      doctor.c        options, the order of things, what is printed
 *      doctor_local.c  interfaces, gateways, clock, a running node
 *      doctor_net.c    port, bootstrap nodes by UDP and TCP, how they see us
 *      doctor_stun.c   how STUN servers see us
 *
 *      doctor_local, doctor_net, doctor_stun -> doctor_say -> lines -> text or JSON -> exit code
 */
#ifndef NODE_MESHNODE_DOCTOR_H
#define NODE_MESHNODE_DOCTOR_H

#include <cJSON.h>

#include "node/daemon/endpoint.h"
#include "node/meshnode/program.h"

enum doctor_verdict {
    DOCTOR_OK,
    DOCTOR_NOTE,    /* Good to know, and nothing wrong. */
    DOCTOR_PROBLEM, /* Makes the exit code 1. */
};

enum {
    DOCTOR_PEERS_MAX = 16, /* Bootstrap nodes, and STUN servers, that are asked. */
    DOCTOR_LOCAL_MAX = 64, /* Addresses of this machine. */
};

struct doctor_arguments {
    bool help;
    uint64_t port;
    const char *host;
    struct option_list bootstrap;
    struct option_list stun;
    const char *control;
    bool json;
};

struct doctor {
    const struct doctor_arguments *arguments;
    const char *control; /* Path of the socket. */
    cJSON *data;         /* What --json prints. */
    cJSON *checks;       /* In it: the lines. */
    unsigned problems;
    struct port_addr local[DOCTOR_LOCAL_MAX]; /* Of this machine; ports 0. */
    size_t local_count;
    bool has_node;    /* One runs here, */
    uint16_t port_of; /* at this port. */
};

/* One line: what was looked at, how it is, and what would help (NULL: nothing is needed). */
void doctor_say(struct doctor *doctor, const char *check, enum doctor_verdict verdict,
                const char *help, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The entries of a list whose items may hold several with commas, at most DOCTOR_PEERS_MAX; heap,
 * each of them too. */
size_t doctor_split(const struct option_list *list, char *entries[DOCTOR_PEERS_MAX]);
bool doctor_is_local(const struct doctor *doctor, const struct port_addr *addr);

void doctor_look_at_interfaces(struct doctor *doctor);
void doctor_look_at_clock(struct doctor *doctor);
void doctor_look_at_node(struct doctor *doctor);
void doctor_look_at_network(struct doctor *doctor);
void doctor_look_at_stun(struct doctor *doctor);

/* How one socket of ours looks from outside. */
struct doctor_sight {
    char by[ENDPOINT_NAME_MAX + 16]; /* Who says so, as it was given. */
    struct port_addr remote;
    struct port_addr mapped;
};
/* What several say together about the box in front of us, in the data under `name`; `local`: where
 * that socket is bound. */
void doctor_compare(struct doctor *doctor, const char *name, const struct doctor_sight *sights,
                    size_t count, const struct port_addr *local);

static inline unsigned doctor_port(const struct port_addr *addr)
{
    return (unsigned)addr->port[0] << 8 | addr->port[1];
}

#endif /* NODE_MESHNODE_DOCTOR_H */
