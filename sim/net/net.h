/* net.h - the network between nodes: how long a datagram takes, or why it does not arrive.
 *
 * A datagram leaves through its sender's access link, crosses a path, and comes in through its
 * receiver's access link. Sender side and path belong to the sender: net_depart reads and changes
 * only the sender's link (of the receiver it reads what never changes). The receiver's side happens
 * when the datagram gets there: net_arrive. So every piece of state has one owner, and all dice are
 * the sender's own stream: another node more, or another node's traffic, moves none of them.
 *
 *      net_depart: MTU -> uplink queue -> loss -> arrive_us = now + uplink + access + path + jitter
 *      net_arrive: downlink queue -> deliver_us
 *
 * A departure takes exactly two words from the stream, one for loss and one for time, whatever the
 * configuration and whatever becomes of the datagram: switching loss on leaves every surviving
 * datagram's latency as it was.
 *
 * Loss is Gilbert-Elliott (Elliott, Bell System Technical Journal 42, 1963): per datagram that gets
 * onto the path, first the state may change, then the state's loss applies. The mean loss is
 * enter / (enter + leave) * loss_bad + leave / (enter + leave) * loss_good and a bad spell lasts
 * 1 / leave datagrams on average. Bernoulli loss is the case enter_bad = 0.
 *
 * What it does not do: NAT boxes (napt.h), partitions, duplication, corruption. Those stand beside
 * it.
 */
#ifndef SIM_NET_NET_H
#define SIM_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/err.h"
#include "node/base/rng.h"
#include "sim/engine/dist.h"
#include "sim/net/geo.h"

/* No datagram takes less: the look-ahead of the parallel engine. */
#define NET_LATENCY_MIN_US 1000
#define NET_REGIONS_MAX    256
/* Routers of a path, each of which counts a datagram's TTL down. Nine of ten hosts were within 18
 * of a campus (Fei, Pei, Liu and Zhang, Measurements on Delay and Hop-count of the Internet, 1998);
 * half of that, because those near either end are part of access links here. So a TTL of 5, by
 * which mappings are opened and nobody else is told, ends on the path. */
#define NET_HOPS           8
/* Longest datagram that may be offered: IPv4's. */
#define NET_BYTES_MAX      65535

/* A probability p as the integer p * 2^32; certainty is UINT32_MAX and holds always. */
uint32_t net_chance(double probability);

enum net_latency {
    NET_LATENCY_DIST,   /* Drawn anew for every datagram. */
    NET_LATENCY_MATRIX, /* Between regions. */
    NET_LATENCY_GEO,    /* Great circle between coordinates (geo.h). */
};

enum net_jitter {
    NET_JITTER_NONE,
    NET_JITTER_ADD,   /* Adds a drawn number of microseconds. */
    NET_JITTER_SCALE, /* Multiplies the path by a drawn number of 1/65536ths. */
};

struct net_loss {
    uint32_t enter_bad; /* Chances, see net_chance. */
    uint32_t leave_bad;
    uint32_t loss_good;
    uint32_t loss_bad;
};

/* An access link as an operator sells it; shared by a group, or one node's own. 0 is unlimited. */
struct net_access {
    uint64_t up_bps; /* Bits per second. */
    uint64_t down_bps;
    /* Drop-tail: a datagram is dropped if it and what is still to be sent exceed this. A link that
     * is idle takes one of any size. */
    uint32_t up_queue_bytes;
    uint32_t down_queue_bytes;
    uint32_t loss; /* Chance per datagram and direction, on top of the path's. */
};

/* Shared by all links of a run and immutable during it. The tables are borrowed. */
struct net_config {
    enum net_latency latency;
    enum net_jitter jitter;
    uint32_t mtu_bytes; /* Longer ones vanish; 0 is unlimited. */
    struct net_loss loss;
    const struct dist *latency_us; /* NET_LATENCY_DIST, one way. */
    const uint32_t *matrix_us;     /* NET_LATENCY_MATRIX: [from * region_count + to], one way. */
    uint32_t region_count;
    const struct geo *geo;          /* NET_LATENCY_GEO. */
    const struct dist *jitter_dist; /* Unit: see enum net_jitter. */
    const struct net_access *access;
    uint32_t access_count;
};

/* ERR_INVALID if a table is missing or empty. Call it once, before the first link. */
NODISCARD int net_config_check(const struct net_config *config);

/* A node's place in the network: what others need of it to send to it. */
struct net_site {
    struct geo_place place;
    uint16_t access; /* Index into config->access. */
    uint16_t region; /* Index into config->matrix_us. */
    /* One way, between the node and the network, at most NET_ACCESS_US_MAX. The "height" of a
     * coordinate system counts both directions of a round trip: it is twice this. */
    uint32_t access_us;
};

#define NET_ACCESS_US_MAX INT32_MAX

/* One per node; one cache line. */
struct net_link {
    struct rng rng;
    uint64_t up_free_ns;    /* When the uplink has sent all it holds. Owner: this node as sender. */
    uint64_t down_free_ns;  /* Likewise the downlink. Owner: this node as receiver. */
    struct geo_place place; /* As in its site. */
    uint16_t access;
    uint16_t region;
    uint32_t access_us : 31;
    uint32_t is_bad : 1; /* Gilbert-Elliott state of the datagrams that leave here. */
};

_Static_assert(sizeof(struct net_link) == 64, "a link is one cache line");

/* Idle, its loss state drawn from the chain's equilibrium. The stream is ("link", node). */
void net_link_init(struct net_link *link, const struct net_config *config,
                   const struct net_site *site, uint64_t seed, uint64_t node);

enum net_verdict {
    NET_PASSED,
    NET_LOST,      /* By chance. */
    NET_TOO_LONG,  /* Above the MTU. */
    NET_QUEUE_FULL /* No room in an access link's queue. */
};

/* Writes to `from` only. `bytes` as on the wire (what the MTU and the bandwidth count). *arrive_us
 * is set if it passed, and is at least now_us + NET_LATENCY_MIN_US. now_us never runs backwards for
 * one link. */
enum net_verdict net_depart(const struct net_config *config, struct net_link *from,
                            const struct net_site *to, size_t bytes, uint64_t now_us,
                            uint64_t *arrive_us);

/* As net_depart, to somebody behind the same box: through the sender's link but along no path, so
 * that none is lost by chance and all are there after the least latency. The dice are thrown all
 * the same. */
enum net_verdict net_depart_inside(const struct net_config *config, struct net_link *from,
                                   size_t bytes, uint64_t now_us, uint64_t *arrive_us);

/* Not for callers: net_arrive for a downlink with a limit. */
enum net_verdict net_arrive_limited(const struct net_access *access, struct net_link *to,
                                    size_t bytes, uint64_t now_us, uint64_t *deliver_us);

/* At the moment arrive_us: NET_PASSED and the moment at which the node has it all, or a full queue.
 * Free without a downlink limit, where *deliver_us is now_us. */
static inline enum net_verdict net_arrive(const struct net_config *config, struct net_link *to,
                                          size_t bytes, uint64_t now_us, uint64_t *deliver_us)
{
    const struct net_access *access = &config->access[to->access];
    *deliver_us = now_us;
    if (access->down_bps == 0) {
        return NET_PASSED;
    }
    return net_arrive_limited(access, to, bytes, now_us, deliver_us);
}

#endif /* SIM_NET_NET_H */
