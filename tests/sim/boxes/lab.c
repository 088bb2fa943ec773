/* lab.c - see lab.h. */
#include "tests/sim/boxes/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"

enum { SEED = 3, SETTLE_US = 40000 /* Out, back, and room for a hairpin. */ };

struct lab *lab_open(uint32_t threads)
{
    struct lab *lab = calloc(1, sizeof *lab);
    must(lab != NULL);
    lab->latency_us = LAB_LATENCY_US;
    lab->net = (struct net_config){.latency = NET_LATENCY_MATRIX,
                                   .matrix_us = &lab->latency_us,
                                   .region_count = 1,
                                   .access = &lab->access,
                                   .access_count = 1};
    must(net_config_check(&lab->net) == ERR_OK);
    for (int i = 0; i < NAPT_PRESET_COUNT; i++) {
        napt_preset_config((enum napt_preset)i, &lab->presets[i]);
    }
    lab->world = world_open(&(struct world_options){.seed = SEED,
                                                    .crypto = &modelled_suite,
                                                    .net = &lab->net,
                                                    .hosts_max = LAB_HOSTS_MAX,
                                                    .node_bytes_max = PORT_HOST_NODE_BYTES,
                                                    .threads = threads});
    return lab;
}

void lab_close(struct lab *lab)
{
    for (uint32_t i = 0; i < world_box_count(lab->world); i++) {
        const char *wrong = napt_check(world_box(lab->world, i));
        if (wrong != NULL) {
            fprintf(stderr, "box %u: %s\n", i, wrong);
        }
        must(wrong == NULL); /* No expectation: after a test they do not count. */
    }
    world_close(lab->world);
    free(lab);
}

static uint32_t begin(struct lab *lab, uint32_t index)
{
    struct host *host = world_host(lab->world, index);
    host_place(host, &(struct net_site){0}, SEED);
    must(host_start(host, &lab->config) == ERR_OK);
    return index;
}

uint32_t lab_public(struct lab *lab)
{
    return begin(lab, world_add_host(lab->world, lab->groups++));
}

/* Its answer holds the address that it answers to. */
static void reflect(struct probe *probe)
{
    const struct probe_datagram *got = &probe->datagrams[probe->datagram_count - 1];
    probe->port->ops->send(probe->port, got->path, &got->from,
                           slice_of(&got->from, sizeof got->from), (struct port_send_flags){0});
    probe->datagram_count = 0;
}

uint32_t lab_reflector(struct lab *lab)
{
    uint32_t host = lab_public(lab);
    lab_probe(lab, host)->on_datagram = reflect;
    return host;
}

uint32_t lab_box(struct lab *lab, const struct napt_config *config, uint32_t outer)
{
    uint32_t number = world_box_count(lab->world);
    must(number < LAB_BOXES_MAX);
    lab->configs[number] = *config;
    return world_add_box(lab->world, lab->groups++, &lab->configs[number], outer);
}

uint32_t lab_behind(struct lab *lab, uint32_t box)
{
    return begin(lab, world_add_host_behind(lab->world, box));
}

struct probe *lab_probe(struct lab *lab, uint32_t host)
{
    return probe_of(world_host(lab->world, host)->node);
}

struct port_addr lab_addr(struct lab *lab, uint32_t host)
{
    return world_host(lab->world, host)->port.local;
}

void lab_run(struct lab *lab, uint64_t span_us)
{
    cr_assert(world_run_until(lab->world, world_now_us(lab->world) + span_us, 0, NULL));
}

struct word {
    struct port_addr to;
    int path;
    char word;
    uint8_t ttl;
};

static void say(struct node *node, void *arg)
{
    const struct word *word = arg;
    struct port *port = probe_of(node)->port;
    cr_assert_eq(port->ops->send(port, word->path, &word->to, slice_of(&word->word, 1),
                                 (struct port_send_flags){.ttl = word->ttl}),
                 ERR_OK);
}

void lab_say_with(struct lab *lab, uint32_t host, int path, const struct port_addr *to, char word,
                  uint8_t ttl)
{
    struct word what = {*to, path, word, ttl};
    host_enter(world_host(lab->world, host), say, &what);
}

void lab_say(struct lab *lab, uint32_t host, const struct port_addr *to, char word)
{
    lab_say_with(lab, host, PORT_MAIN_PATH, to, word, 0);
}

static void open_path(struct node *node, void *arg)
{
    struct port *port = probe_of(node)->port;
    *(int *)arg = port->ops->path_open(port, PORT_UDP, NULL, NULL);
}

int lab_path(struct lab *lab, uint32_t host)
{
    int path = 0;
    host_enter(world_host(lab->world, host), open_path, &path);
    cr_assert_gt(path, 0);
    return path;
}

struct call {
    struct port_addr to;
    uint16_t port;
    int path;
};

static void call(struct node *node, void *arg)
{
    struct call *call = arg;
    struct port *port = probe_of(node)->port;
    struct port_addr hint;
    addr_set(&hint, 0, call->port);
    call->path = port->ops->path_open(port, PORT_TCP, call->port != 0 ? &hint : NULL, &call->to);
}

int lab_call(struct lab *lab, uint32_t host, const struct port_addr *to, uint16_t port)
{
    struct call what = {.to = *to, .port = port};
    host_enter(world_host(lab->world, host), call, &what);
    return what.path;
}

static void close_path(struct node *node, void *arg)
{
    struct port *port = probe_of(node)->port;
    port->ops->path_close(port, *(const int *)arg);
}

void lab_path_close(struct lab *lab, uint32_t host, int path)
{
    host_enter(world_host(lab->world, host), close_path, &path);
}

bool lab_told(struct lab *lab, uint32_t host, int path, enum port_path_event *event)
{
    const struct probe *probe = lab_probe(lab, host);
    for (unsigned i = probe->path_event_count; i > 0; i--) {
        if (probe->path_events[i - 1].path == path) {
            *event = probe->path_events[i - 1].event;
            return true;
        }
    }
    return false;
}

bool lab_is(struct lab *lab, uint32_t host, int path, enum port_path_event event)
{
    enum port_path_event told;
    return lab_told(lab, host, path, &told) && told == event;
}

const struct probe_datagram *lab_heard(struct lab *lab, uint32_t host)
{
    const struct probe *probe = lab_probe(lab, host);
    return probe->datagram_count > 0 ? &probe->datagrams[probe->datagram_count - 1] : NULL;
}

void lab_forget(struct lab *lab, uint32_t host)
{
    lab_probe(lab, host)->datagram_count = 0;
}

bool lab_reaches(struct lab *lab, uint32_t host, const struct port_addr *to, uint32_t other,
                 struct port_addr *from)
{
    lab_forget(lab, other);
    lab_say(lab, host, to, 'r');
    lab_run(lab, SETTLE_US);
    const struct probe_datagram *heard = lab_heard(lab, other);
    if (heard != NULL && from != NULL) {
        *from = heard->from;
    }
    return heard != NULL;
}

struct port_addr lab_seen(struct lab *lab, uint32_t host, uint32_t reflector)
{
    struct port_addr at = lab_addr(lab, reflector);
    lab_forget(lab, host);
    lab_say(lab, host, &at, '?');
    lab_run(lab, SETTLE_US);
    const struct probe_datagram *heard = lab_heard(lab, host);
    cr_assert(heard != NULL && heard->len == sizeof(struct port_addr));
    struct port_addr seen;
    memcpy(&seen, heard->bytes, sizeof seen);
    return seen;
}

uint32_t lab_ip(const struct port_addr *addr)
{
    uint32_t ip;
    cr_assert(addr_ip(addr, &ip));
    return ip;
}
