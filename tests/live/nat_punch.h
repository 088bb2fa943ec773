/* nat_punch.h - plain UDP hole punching between two hosts: the least a node has to match.
 *
 * Each side learns its external end from a public server, sends to the other's in rounds, and
 * answers to wherever the other's first packet came from (a peer-reflexive end: RFC 8445 section
 * 7.2.5.3.1). Nothing takes time between the hosts, so one side's packet has arrived before the
 * other side sends its own: the order is chosen, not raced.
 *
 *      server -> external ends -> openers -> rounds: sends, guesses -> both heard each other?
 */
#ifndef TESTS_LIVE_NAT_PUNCH_H
#define TESTS_LIVE_NAT_PUNCH_H

#include "tests/live/nat_net.h"

struct punch {
    const char *hosts[2]; /* Namespaces. */
    const struct server *server;
    uint32_t rounds;
    bool is_staggered;   /* The second host begins when the first one's packets have arrived. */
    uint32_t opener_ttl; /* Before the rounds both send a packet that dies on its way; 0: none. */
    uint32_t guesses;    /* Ports after the learned one that are tried as well. */
    uint32_t sockets;    /* Birthday: the first host has so many sockets, */
    uint32_t probes; /* and the second one tries so many of the ports of its address; 0: plain. */
    uint64_t seed;   /* Of the ports that are tried. */
};

/* True: each side has heard the other. */
bool punch_pair(const struct punch *punch);

#endif /* TESTS_LIVE_NAT_PUNCH_H */
