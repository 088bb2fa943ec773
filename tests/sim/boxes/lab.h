/* lab.h - hosts and NAT boxes with probes in the nodes' place, and words between them.
 *
 * Ten milliseconds from anyone to anyone in the public network, nothing lost by chance. A host says
 * a word (one byte) to an address; what a probe has heard last is kept. A reflector is a public
 * host that answers each datagram with the sender's address as it sees it.
 *
 *      lab_open -> lab_public, lab_box, lab_behind -> lab_say -> lab_run -> lab_heard
 */
#ifndef TESTS_SIM_BOXES_LAB_H
#define TESTS_SIM_BOXES_LAB_H

#include <criterion/criterion.h>

#include "sim/host/world.h"
#include "tests/port/port_host.h"

#define LAB_MS     UINT64_C(1000)
#define LAB_SECOND UINT64_C(1000000)

enum { LAB_HOSTS_MAX = 1200, LAB_BOXES_MAX = 100, LAB_LATENCY_US = 10000 };

struct lab {
    struct world *world;
    struct net_access access;
    struct net_config net;
    uint32_t latency_us;
    uint32_t groups;
    struct node_config config;
    struct napt_config presets[NAPT_PRESET_COUNT];
    struct napt_config configs[LAB_BOXES_MAX]; /* By box. */
};

struct lab *lab_open(uint32_t threads);
void lab_close(struct lab *lab);

/* Hosts are started at once; each of public hosts and outermost boxes has a /24. */
uint32_t lab_public(struct lab *lab);
uint32_t lab_reflector(struct lab *lab);
/* Copies config. */
uint32_t lab_box(struct lab *lab, const struct napt_config *config, uint32_t outer);
uint32_t lab_behind(struct lab *lab, uint32_t box);

struct probe *lab_probe(struct lab *lab, uint32_t host);
struct port_addr lab_addr(struct lab *lab, uint32_t host);
void lab_run(struct lab *lab, uint64_t span_us);

void lab_say(struct lab *lab, uint32_t host, const struct port_addr *to, char word);
void lab_say_with(struct lab *lab, uint32_t host, int path, const struct port_addr *to, char word,
                  uint8_t ttl);
int lab_path(struct lab *lab, uint32_t host);
/* A stream to `to`, from this port of the host or, with 0, from any; its path, or ERR_*. */
int lab_call(struct lab *lab, uint32_t host, const struct port_addr *to, uint16_t port);
void lab_path_close(struct lab *lab, uint32_t host, int path);
/* The last event of the path; false when there has been none. */
bool lab_told(struct lab *lab, uint32_t host, int path, enum port_path_event *event);
bool lab_is(struct lab *lab, uint32_t host, int path, enum port_path_event event);
/* The last datagram, NULL when the host has heard none since lab_forget. */
const struct probe_datagram *lab_heard(struct lab *lab, uint32_t host);
void lab_forget(struct lab *lab, uint32_t host);
/* Says a word and lets it arrive: whether it was heard there; *from is who said it then. */
bool lab_reaches(struct lab *lab, uint32_t host, const struct port_addr *to, uint32_t other,
                 struct port_addr *from);
/* What the reflector sees of the host. The test fails without an answer. */
struct port_addr lab_seen(struct lab *lab, uint32_t host, uint32_t reflector);

uint32_t lab_ip(const struct port_addr *addr);

#endif /* TESTS_SIM_BOXES_LAB_H */
