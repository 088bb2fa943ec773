/* test_threads.c - a world of boxes takes the same course on any number of threads. */
#include <string.h>

#include "node/base/must.h"
#include "tests/sim/boxes/lab.h"

enum { PUBLIC = 6, HOMES = 24, CARRIERS = 3, SPAN_S = 20, KNOWN_MAX = 64 };

struct outcome {
    uint64_t digest;
    struct host_counts counts;
    uint64_t fates[NAPT_FATE_COUNT];
    uint64_t streaming; /* Hosts with streams in the end. */
};

/* What a node may send to; each test process has one world. */
static struct port_addr known[KNOWN_MAX];
static uint32_t known_count;

/* The node's dice are its host's entropy, so they are of the world and not of the test. */
static uint32_t dice(struct probe *probe, uint32_t faces)
{
    uint32_t word;
    probe->port->ops->entropy(probe->port, &word, sizeof word);
    return word % faces;
}

/* Streams that are over make room for others. */
static void call(struct probe *probe)
{
    struct port *port = probe->port;
    for (unsigned i = 0; i < probe->path_event_count; i++) {
        enum port_path_event event = probe->path_events[i].event;
        if (event == PORT_PATH_CLOSED || event == PORT_PATH_REFUSED) {
            port->ops->path_close(port, probe->path_events[i].path);
        } else if (event == PORT_PATH_UP) {
            uint8_t word = 2;
            (void)port->ops->send(port, probe->path_events[i].path, &port->local,
                                  slice_of(&word, 1), (struct port_send_flags){0});
        }
    }
    probe->path_event_count = 0;
    if (dice(probe, 40) == 0) {
        (void)port->ops->path_open(port, PORT_TCP, dice(probe, 2) == 0 ? &port->local : NULL,
                                   &known[dice(probe, known_count)]);
    }
}

static void chat(struct probe *probe)
{
    call(probe);
    uint8_t bytes[200] = {1};
    for (uint32_t i = dice(probe, 3); i > 0; i--) {
        struct port_send_flags flags = {.ttl = dice(probe, 8) == 0 ? 3 : 0};
        const struct port_addr *to = &known[dice(probe, known_count)];
        (void)probe->port->ops->send(probe->port, PORT_MAIN_PATH, to,
                                     slice_of(bytes, 1 + dice(probe, sizeof bytes)), flags);
    }
    probe->wake_count = 0;
    probe->port->ops->wake_at(probe->port, probe->port->now_us + 1 + dice(probe, 50000));
}

static void answer(struct probe *probe)
{
    const struct probe_datagram *got = &probe->datagrams[0];
    if (dice(probe, 4) != 0) {
        (void)probe->port->ops->send(probe->port, got->path, &got->from,
                                     slice_of(got->bytes, got->len), (struct port_send_flags){0});
    }
    probe->datagram_count = 0;
}

static void begin(struct node *node, void *arg)
{
    (void)arg;
    struct probe *probe = probe_of(node);
    probe->on_wake = chat;
    probe->on_datagram = answer;
    probe->port->ops->wake_at(probe->port, probe->port->now_us + 1);
}

static void know(const struct port_addr *addr)
{
    must(known_count < KNOWN_MAX);
    known[known_count++] = *addr;
}

static void know_box(struct lab *lab, uint32_t box)
{
    struct port_addr at;
    addr_set(&at, napt_external_ip(world_box(lab->world, box)), HOST_PORT);
    know(&at);
}

static void build(struct lab *lab)
{
    struct napt_config carrier = lab->presets[NAPT_PRESET_FULL_CONE];
    carrier.has_hairpin = true;
    for (uint32_t i = 0; i < PUBLIC; i++) {
        struct port_addr at = lab_addr(lab, lab_public(lab));
        know(&at);
    }
    uint32_t carriers[CARRIERS];
    for (uint32_t i = 0; i < CARRIERS; i++) {
        carriers[i] = lab_box(lab, &carrier, WORLD_BOX_NONE);
        know_box(lab, carriers[i]);
    }
    for (uint32_t i = 0; i < HOMES; i++) {
        uint32_t outer = i % 4 == 3 ? carriers[i / 4 % CARRIERS] : WORLD_BOX_NONE;
        uint32_t box = lab_box(lab, &lab->presets[i % NAPT_PRESET_COUNT], outer);
        know_box(lab, box);
        for (uint32_t j = 0; j <= i % 3; j++) {
            struct port_addr at = lab_addr(lab, lab_behind(lab, box));
            if (i < 8) {
                know(&at);
            }
        }
    }
}

static struct outcome run(uint32_t threads)
{
    static const struct net_access access = {
        .up_bps = 400000, .down_bps = 300000, .up_queue_bytes = 4000, .down_queue_bytes = 4000};
    struct lab *lab = lab_open(threads);
    lab->access = access;
    lab->net.loss.loss_good = UINT32_MAX / 50;
    known_count = 0;
    build(lab);
    for (uint32_t i = 0; i < world_host_count(lab->world); i++) {
        host_enter(world_host(lab->world, i), begin, NULL);
    }
    lab_run(lab, SPAN_S * LAB_SECOND);
    struct outcome outcome = {.digest = world_digest(lab->world),
                              .counts = world_counts(lab->world)};
    for (uint32_t i = 0; i < world_host_count(lab->world); i++) {
        const struct host_extra *extra = host_extra(world_host(lab->world, i));
        outcome.streaming += extra != NULL && extra->streams != NULL;
    }
    for (uint32_t i = 0; i < world_box_count(lab->world); i++) {
        for (int j = 0; j < NAPT_FATE_COUNT; j++) {
            outcome.fates[j] += napt_fates(world_box(lab->world, i))[j];
        }
    }
    lab_close(lab);
    return outcome;
}

Test(threads, take_the_same_course_with_boxes, .timeout = 300)
{
    struct outcome one = run(1);
    cr_expect_gt(one.counts.events, 50000u);
    cr_expect_gt(one.counts.datagrams_filtered, 1000u);
    cr_expect_gt(one.fates[NAPT_FATE_POISONED], 0u);
    cr_expect_gt(one.streaming, 10u);
    for (uint32_t threads = 2; threads <= 8; threads *= 2) {
        struct outcome many = run(threads);
        cr_expect_eq(many.digest, one.digest, "%u threads", threads);
        cr_expect(memcmp(&many, &one, sizeof one) == 0, "%u threads", threads);
    }
}
