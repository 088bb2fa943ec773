/* classify.h - what kind of NAT box a node is behind, from what others have seen of it.
 *
 *      an answer says how we look from there -> classify_saw    --+
 *      a stranger's datagram came or did not -> classify_probed --+-> classify_result
 *      nobody answers                        -> classify_silent --+        |
 *                                                        struct nat_class -> nat_class_predict
 *
 * The questions are those of RFC 5780 sections 4.3 to 4.5, in the words of RFC 4787. The answers
 * may come from STUN servers or from plain peers, each of which is one more address that has seen
 * us. It asks nothing itself, keeps no clock and has a fixed size: of sights the oldest goes out.
 * One of these is for one address family and one network: after a change of either start anew.
 *
 * Confidence. Each independent observation that agrees with a verdict halves the doubt, each that
 * contradicts doubles it: with k more for than against, confidence is 1000 - 1000 / 2^k
 * thousandths. Without any excess the verdict is "unknown". A datagram that came in cannot have
 * come by accident and counts as CLASSIFY_PROOF; one that did not come may have been lost, so at
 * least CLASSIFY_MISSES_MIN of them are needed before silence says anything.
 */
#ifndef NODE_NAT_CLASSIFY_H
#define NODE_NAT_CLASSIFY_H

#include "node/port/port.h"

enum {
    CLASSIFY_SIGHTS_MAX = 8,
    CLASSIFY_SIGHTS_OF_ONE = 2, /* Of one address, so that no peer pushes out all others. */
    /* Two sights that differ say nothing when the box may have forgotten in between: hardly any
     * forgets within 30 s (Haetoenen et al., IMC 2010; Linux: nf_conntrack_udp_timeout). */
    CLASSIFY_SPAN_US = 30000000,
    CLASSIFY_STEP_MAX = 32,  /* Ports that were given out next to each other are this near. */
    CLASSIFY_MISSES_MIN = 5, /* At 10 % loss all of them are lost once in 100,000 cases. */
    CLASSIFY_SILENT_MIN = 7, /* Unanswered requests, as many as STUN sends: RFC 8489 6.2.1. */
    CLASSIFY_PROOF = 4,
    CLASSIFY_PORT_MIN = 1024, /* No box gives out ports below: RFC 4787 section 4.2.1, REQ-3. */
};

/* Which external end the box gives an inside end: RFC 4787 section 4.1. */
enum nat_mapping {
    NAT_MAPPING_UNKNOWN,
    NAT_MAPPING_NONE, /* We are seen with our own address: no NAT. */
    NAT_MAPPING_ENDPOINT_INDEPENDENT,
    NAT_MAPPING_ADDRESS_DEPENDENT,
    NAT_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
    NAT_MAPPING_COUNT,
};

/* Whose datagrams it lets in: RFC 4787 section 5. Also told of firewalls without NAT. */
enum nat_filtering {
    NAT_FILTERING_UNKNOWN,
    NAT_FILTERING_ENDPOINT_INDEPENDENT, /* Anybody's. */
    NAT_FILTERING_ADDRESS_DEPENDENT,
    NAT_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
    NAT_FILTERING_COUNT,
};

/* Which port a new mapping gets: RFC 4787 section 4.2. */
enum nat_assignment {
    NAT_ASSIGNMENT_UNKNOWN,
    NAT_ASSIGNMENT_PRESERVED,
    NAT_ASSIGNMENT_SEQUENTIAL,
    NAT_ASSIGNMENT_RANDOM,
    NAT_ASSIGNMENT_COUNT,
};

enum nat_fact {
    NAT_FACT_UNKNOWN,
    NAT_FACT_NO,
    NAT_FACT_YES,
    NAT_FACT_COUNT,
};

/* A verdict: what a node tells its user and the peer it wants to reach. */
struct nat_class {
    uint8_t mapping;    /* enum nat_mapping */
    uint8_t filtering;  /* enum nat_filtering */
    uint8_t assignment; /* enum nat_assignment */
    uint8_t hairpin;    /* enum nat_fact: a datagram to our own external end comes back. */
    uint8_t blocked;    /* enum nat_fact: UDP gets nowhere. */
    /* Different remote ends see different external ones: true for both dependent kinds of mapping,
     * and also while it is unknown which of them it is. */
    bool is_dependent;
    bool has_mapped;
    int16_t step; /* Of sequential ports, from one mapping to the next; 0: none. */
    uint16_t mapping_permille;
    uint16_t filtering_permille;
    uint16_t assignment_permille;
    uint16_t port_last;      /* External port of the newest mapping; 0: none. */
    struct port_addr mapped; /* How most see the main path. */
};

/* How we look from `remote`: it has told us that a datagram which we sent it over `path` came from
 * `mapped`. */
struct classify_sight {
    struct port_addr remote;
    struct port_addr mapped;
    struct port_addr local; /* What the socket is bound to; zeroes as far as unknown. */
    uint16_t path;
    uint64_t asked_us; /* When that datagram left: rises in the order of leaving, also within one
                          entry, since it is the order in which the box makes its mappings. */
};

/* A datagram from somebody to whom we sent nothing before, known to have been sent to us. */
enum classify_probe {
    CLASSIFY_OTHER_ADDRESS, /* From an address to which we have sent nothing at all. */
    CLASSIFY_OTHER_PORT,    /* From another port of an address to which we have. */
    CLASSIFY_HAIRPIN,       /* From ourselves, to our own external end. */
    CLASSIFY_PROBES,
};

struct classify_entry {
    struct port_addr remote;
    struct port_addr mapped;
    uint16_t path;
    bool is_bare;      /* It saw us as we are. */
    bool is_preserved; /* The port, at least. */
    uint64_t made_us;  /* When it was first seen so, */
    uint64_t seen_us;  /* and last. */
};

struct classify_count {
    uint8_t came;
    uint8_t missed;
};

struct classify {
    struct classify_entry entries[CLASSIFY_SIGHTS_MAX];
    uint8_t count;
    uint8_t silent;       /* Requests without answer since the last sight, */
    bool is_silence_wide; /* to more than the first of these addresses. */
    uint8_t silent_ip[16];
    struct classify_count probes[CLASSIFY_PROBES];
};
_Static_assert(sizeof(struct classify) <= 512, "every node behind a NAT has one");

void classify_start(struct classify *classify);

void classify_saw(struct classify *classify, const struct classify_sight *sight);

/* A miss counts once for each datagram that did not come. It must be sure that one was sent: by a
 * server that has done so before, by a peer that says so. */
void classify_probed(struct classify *classify, enum classify_probe probe, bool came);

/* A request to `remote` stays without answer. Says that UDP is blocked rather than that there is no
 * network only if something else, TCP, does get through. */
void classify_silent(struct classify *classify, const struct port_addr *remote);

void classify_result(const struct classify *classify, struct nat_class *class);

/* The external ports which the next mapping may get, likeliest first; how many of at most `max`. */
size_t nat_class_predict(const struct nat_class *class, uint16_t *ports, size_t max);

/* Of a network of somebody's own, or of one machine: no box is between us and who sees us there. */
bool classify_is_private(const struct port_addr *addr);

/* "endpoint_independent", ...; "unknown" for values that are none. */
const char *nat_mapping_text(unsigned mapping);
const char *nat_filtering_text(unsigned filtering);
const char *nat_assignment_text(unsigned assignment);
const char *nat_fact_text(unsigned fact);

#endif /* NODE_NAT_CLASSIFY_H */
