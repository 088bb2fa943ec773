/* napt_lab.c - packets through chains of NAT boxes. */
#include "napt_lab.h"

#include "node/base/must.h"

#define ROUNDS      4
#define EXTERNAL_IP UINT32_C(0xcb007100) /* 203.0.113.0, RFC 5737. */
#define INSIDE_IP   UINT32_C(0x0a000002) /* 10.0.0.2 */
#define SOCKET_PORT 35765
#define SERVER_PORT 3478

struct napt_config lab_config(enum napt_preset preset)
{
    struct napt_config config;
    napt_preset_config(preset, &config);
    return config;
}

struct lab_side lab_side_open(struct lab *lab, const struct napt_config *inner,
                              const struct napt_config *outer)
{
    struct lab_side side = {.socket = {INSIDE_IP, SOCKET_PORT}, .now_us = &lab->now_us};
    const struct napt_config *configs[LAB_BOXES] = {inner, outer};
    for (int i = 0; i < LAB_BOXES && configs[i] != NULL; i++) {
        uint64_t number = lab->boxes++;
        /* An inner box has an address inside the outer one. */
        uint32_t ip =
            i == 0 && outer != NULL ? INSIDE_IP + 0x10000 : EXTERNAL_IP + (uint32_t)number;
        side.boxes[side.box_count++] = napt_open(configs[i], ip, lab->seed, number);
    }
    return side;
}

void lab_side_close(struct lab_side *side)
{
    for (int i = 0; i < side->box_count; i++) {
        must(napt_check(side->boxes[i]) == NULL);
        napt_close(side->boxes[i]);
    }
}

enum napt_verdict lab_leave(struct lab_side *side, struct napt_packet *packet)
{
    *side->now_us += 1000;
    enum napt_verdict verdict = NAPT_PASSED;
    for (int i = 0; i < side->box_count && verdict == NAPT_PASSED; i++) {
        verdict = napt_out(side->boxes[i], *side->now_us, packet);
    }
    return verdict;
}

enum napt_verdict lab_arrive(struct lab_side *side, struct napt_packet *packet)
{
    enum napt_verdict verdict = NAPT_PASSED;
    for (int i = side->box_count; i-- > 0 && verdict == NAPT_PASSED;) {
        verdict = napt_in(side->boxes[i], *side->now_us, packet);
    }
    return verdict;
}

bool lab_send(struct lab_side *side, struct napt_end to, struct napt_end *seen)
{
    struct napt_packet packet = {.from = side->socket, .to = to};
    enum napt_verdict verdict = lab_leave(side, &packet);
    *seen = packet.from;
    return verdict == NAPT_PASSED;
}

bool lab_receive(struct lab_side *side, struct napt_end from, struct napt_end to)
{
    struct napt_packet packet = {.from = from, .to = to};
    return lab_arrive(side, &packet) == NAPT_PASSED && lab_same(packet.to, side->socket);
}

struct napt_end lab_learn(struct lab_side *side, struct napt_end server)
{
    struct napt_end seen;
    must(lab_send(side, server, &seen));
    must(lab_receive(side, server, seen));
    return seen;
}

void lab_punch(struct lab_puncher *from, struct lab_puncher *to)
{
    struct napt_end seen;
    if (lab_send(from->side, from->target, &seen) && lab_receive(to->side, seen, from->target)) {
        if (!to->has_received) {
            to->target = seen;
        }
        to->has_received = true;
    }
}

bool lab_punch_plain(struct lab_side *a, struct lab_side *b)
{
    struct napt_end server = {LAB_SERVER_A, SERVER_PORT};
    struct lab_puncher left = {.side = a};
    struct lab_puncher right = {.side = b};
    right.target = lab_learn(a, server);
    left.target = lab_learn(b, server);
    for (int i = 0; i < ROUNDS; i++) {
        lab_punch(&left, &right);
        lab_punch(&right, &left);
    }
    return left.has_received && right.has_received;
}
