/* bench_napt.c - the cost of a packet at a NAT box, out and in, in CPU time.
 *
 * One port-restricted box with 10, 64 and 1,000 live sessions, each packet of a random one; then
 * 10,000 boxes of 64 sessions, a random box for each packet, as a run with a box per node has them:
 * there the figure holds the cache misses, which hints that come in time take away again. The
 * reference is a call that only draws the packet and looks at it, in the same loop. Then what it
 * costs to make sessions that expire again, and what a box occupies. Usage: bench_napt [packets].
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "node/base/must.h"
#include "sim/net/napt.h"

#define BOXES_MAX   10000
#define INSIDE_IP   UINT32_C(0x0a000002)
#define INSIDE_PORT 8468
#define REMOTE_IP   UINT32_C(0xc6336400)
#define US_PER_S    UINT64_C(1000000)
#define AHEAD       8 /* Packets between two hints for one, and between the last and the packet. */

enum kind { KIND_NOTHING, KIND_OUT, KIND_IN, KIND_COUNT };

struct load {
    struct napt *boxes[BOXES_MAX];
    uint32_t box_count;
    uint32_t sessions; /* Per box. */
    struct napt_config config;
};

static void load_open(struct load *load, uint32_t boxes, uint32_t sessions);
static void load_close(struct load *load);
static struct napt_packet packet_of(const struct load *load, enum kind kind, uint32_t session);
static double packet_ns(struct load *load, enum kind kind, size_t packets);
static double hinted_ns(struct load *load, size_t packets);
static struct napt_packet packet_draw(const struct load *load, struct rng *rng, enum kind kind,
                                      struct napt **box);
static double session_ns(size_t sessions, uint64_t mean_us);
static enum napt_verdict nothing(struct napt *nat, uint64_t now_us, struct napt_packet *packet);
static double cpu_s(void);

int main(int argc, char **argv)
{
    size_t packets = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    must(packets > 0);
    static struct load load;
    static const uint32_t shapes[][2] = {{1, 10}, {1, 64}, {1, 1000}, {BOXES_MAX, 64}};
    printf("boxes x sessions   ns out  (ratio)   ns in  (ratio)   ns nothing   bytes per box\n");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        load_open(&load, shapes[i][0], shapes[i][1]);
        double ns[KIND_COUNT];
        for (int kind = 0; kind < KIND_COUNT; kind++) {
            ns[kind] = packet_ns(&load, (enum kind)kind, packets);
        }
        printf("%6u x %-8u %8.1f  %7.2f %7.1f  %7.2f %12.1f %15zu\n", load.box_count, load.sessions,
               ns[KIND_OUT], ns[KIND_OUT] / ns[KIND_NOTHING], ns[KIND_IN],
               ns[KIND_IN] / ns[KIND_NOTHING], ns[KIND_NOTHING], napt_bytes(load.boxes[0]));
        if (load.box_count == BOXES_MAX) {
            printf("the same, in, with hints: %.1f ns\n", hinted_ns(&load, packets));
        }
        load_close(&load);
    }
    for (uint32_t alive = 10; alive <= 1000; alive *= 10) {
        printf("a new session among %4u that expire: %.1f ns\n", alive,
               session_ns(packets / 10 + 1, load.config.unreplied_us / alive));
    }
    struct napt *idle = napt_open(&load.config, 1, 1, 1);
    printf("an idle box: %zu bytes\n", napt_bytes(idle));
    napt_close(idle);
    return 0;
}

static void load_open(struct load *load, uint32_t boxes, uint32_t sessions)
{
    napt_preset_config(NAPT_PRESET_PORT_RESTRICTED, &load->config);
    load->box_count = boxes;
    load->sessions = sessions;
    for (uint32_t box = 0; box < boxes; box++) {
        load->boxes[box] = napt_open(&load->config, box + 1, 1, box);
        for (uint32_t session = 0; session < sessions; session++) {
            struct napt_packet packet = packet_of(load, KIND_OUT, session);
            must(napt_out(load->boxes[box], 0, &packet) == NAPT_PASSED);
        }
    }
}

static void load_close(struct load *load)
{
    for (uint32_t box = 0; box < load->box_count; box++) {
        napt_close(load->boxes[box]);
    }
}

static struct napt_packet packet_of(const struct load *load, enum kind kind, uint32_t session)
{
    struct napt_end remote = {REMOTE_IP + session, (uint16_t)(1024 + session)};
    struct napt_end inside = {INSIDE_IP, INSIDE_PORT};
    struct napt_end external = {napt_external_ip(load->boxes[0]), INSIDE_PORT};
    if (kind == KIND_IN) {
        return (struct napt_packet){.from = remote, .to = external};
    }
    return (struct napt_packet){.from = inside, .to = remote};
}

/* Time moves so slowly that no session expires. */
static double packet_ns(struct load *load, enum kind kind, size_t packets)
{
    enum napt_verdict (*const calls[])(struct napt * nat, uint64_t now_us,
                                       struct napt_packet * packet) = {nothing, napt_out, napt_in};
    struct rng rng;
    rng_seed(&rng, 1);
    uint64_t now_us = (uint64_t)kind * US_PER_S;
    size_t passed = 0;
    double start_s = cpu_s();
    for (size_t i = 0; i < packets; i++) {
        struct napt *box;
        struct napt_packet packet = packet_draw(load, &rng, kind, &box);
        passed += calls[kind](box, now_us, &packet) == NAPT_PASSED;
        now_us += i % 64 == 0;
    }
    double spent_s = cpu_s() - start_s;
    must(passed == packets);
    return spent_s * 1e9 / (double)packets;
}

static struct napt_packet packet_draw(const struct load *load, struct rng *rng, enum kind kind,
                                      struct napt **box)
{
    uint64_t die = rng_next(rng);
    *box = load->boxes[(die >> 32) * load->box_count >> 32];
    return packet_of(load, kind, (uint32_t)((die & UINT32_MAX) * load->sessions >> 32));
}

/* As packet_ns; each packet is known 3 * AHEAD packets before its turn. */
static double hinted_ns(struct load *load, size_t packets)
{
    struct napt_packet ring[4 * AHEAD];
    struct napt *boxes[4 * AHEAD];
    struct rng rng;
    rng_seed(&rng, 1);
    size_t passed = 0;
    double start_s = cpu_s();
    for (size_t i = 0; i < packets + 3 * (size_t)AHEAD; i++) {
        size_t at = i % (4 * (size_t)AHEAD);
        ring[at] = packet_draw(load, &rng, KIND_IN, &boxes[at]);
        napt_expect(boxes[at]);
        if (i < 3 * (size_t)AHEAD) {
            continue;
        }
        at = (i - AHEAD) % (4 * (size_t)AHEAD);
        napt_expect_in(boxes[at], &ring[at]);
        at = (i - 2 * (size_t)AHEAD) % (4 * (size_t)AHEAD);
        napt_expect_in_next(boxes[at], &ring[at]);
        at = (i - 3 * (size_t)AHEAD) % (4 * (size_t)AHEAD);
        passed += napt_in(boxes[at], 10 * US_PER_S, &ring[at]) == NAPT_PASSED;
    }
    double spent_s = cpu_s() - start_s;
    must(passed == packets);
    return spent_s * 1e9 / (double)packets;
}

/* Never inlined, because the compiler does not see through the table of calls. */
static enum napt_verdict nothing(struct napt *nat, uint64_t now_us, struct napt_packet *packet)
{
    return nat != NULL && now_us < UINT64_MAX && packet->from.port != 0 ? NAPT_PASSED
                                                                        : NAPT_DROPPED;
}

/* Every packet goes to another remote end, at times between none and twice the mean after the last,
 * and makes a session. */
static double session_ns(size_t sessions, uint64_t mean_us)
{
    struct napt_config config;
    napt_preset_config(NAPT_PRESET_PORT_RESTRICTED, &config);
    struct napt *nat = napt_open(&config, 1, 1, 1);
    struct rng rng;
    rng_seed(&rng, 1);
    uint64_t now_us = 0;
    double start_s = cpu_s();
    for (size_t i = 0; i < sessions; i++) {
        struct napt_packet packet = {.from = {INSIDE_IP, INSIDE_PORT},
                                     .to = {REMOTE_IP + (uint32_t)i, 1024}};
        now_us += rng_below(&rng, 2 * mean_us);
        must(napt_out(nat, now_us, &packet) == NAPT_PASSED);
    }
    double spent_s = cpu_s() - start_s;
    napt_close(nat);
    return spent_s * 1e9 / (double)sessions;
}

static double cpu_s(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
