/* napt_lab.h - a laboratory of NAT boxes: sockets behind chains of them, and packets between.
 *
 * A side is a socket and the boxes around it, innermost first. Packets take no time unless a test
 * holds one back; every packet moves the clock by a millisecond.
 *
 *      side.socket -> lab_leave: boxes in to out -> wire -> lab_arrive: boxes out to in -> socket
 */
#ifndef TESTS_UNIT_SIM_NET_NAPT_LAB_H
#define TESTS_UNIT_SIM_NET_NAPT_LAB_H

#include "sim/net/napt.h"

#define LAB_S        UINT64_C(1000000)
#define LAB_BOXES    2
#define LAB_SERVER_A UINT32_C(0xc6336401) /* Two addresses of a public server, RFC 5737 */
#define LAB_SERVER_B UINT32_C(0xc6336402) /* documentation ones: 198.51.100.1 and .2. */

struct lab_side {
    struct napt *boxes[LAB_BOXES];
    int box_count;
    struct napt_end socket;
    uint64_t *now_us;
};

struct lab {
    uint64_t now_us;
    uint64_t seed;
    uint64_t boxes; /* Opened so far. */
};

static inline struct napt_end lab_end(uint32_t ip, unsigned port)
{
    return (struct napt_end){ip, (uint16_t)port};
}

static inline bool lab_same(struct napt_end a, struct napt_end b)
{
    return a.ip == b.ip && a.port == b.port;
}

struct napt_config lab_config(enum napt_preset preset);

/* A socket behind these boxes (the second may be NULL). Configurations are borrowed. */
struct lab_side lab_side_open(struct lab *lab, const struct napt_config *inner,
                              const struct napt_config *outer);
void lab_side_close(struct lab_side *side);

/* Out through all boxes: whether it got there, and *packet as it is on the wire. */
enum napt_verdict lab_leave(struct lab_side *side, struct napt_packet *packet);
enum napt_verdict lab_arrive(struct lab_side *side, struct napt_packet *packet);

/* UDP from the side's socket to `to`; returns if it left, with its end on the wire in *seen. */
bool lab_send(struct lab_side *side, struct napt_end to, struct napt_end *seen);
/* UDP to the end `to`; true if it has reached the side's socket. */
bool lab_receive(struct lab_side *side, struct napt_end from, struct napt_end to);
/* The end that a server sees, and answers. */
struct napt_end lab_learn(struct lab_side *side, struct napt_end server);

/* A side in a punch. */
struct lab_puncher {
    struct lab_side *side;
    struct napt_end target;
    bool has_received;
};
/* One packet from `from` to its target, which is the other's if its boxes let it through; who
 * receives its first packet sends to where that came from. */
void lab_punch(struct lab_puncher *from, struct lab_puncher *to);
/* Plain punching: each learns its external end from one server, then four rounds. */
bool lab_punch_plain(struct lab_side *a, struct lab_side *b);

#endif /* TESTS_UNIT_SIM_NET_NAPT_LAB_H */
