/* rtt.h - how long answers take: of one session, and of all peers together.
 *
 * A session's estimate is that of RFC 6298: smoothed mean and mean deviation. The node's is a
 * histogram with four buckets to the octave whose counts are halved before they overflow, so that
 * it follows the last few hundred round trips. All integers: the same on every machine.
 *
 *      round trip, never an ambiguous one (Karn) -> rtt_node_add, rtt_peer_add
 *      -> rtt_node_quantile_us (soft timeout, DESIGN's p95), rtt_*_rto_us (retransmission)
 */
#ifndef NODE_TRANSPORT_RTT_H
#define NODE_TRANSPORT_RTT_H

#include <stdint.h>

enum {
    RTT_BUCKETS = 56, /* 512 µs to 8 s; below and above go to the first and the last. */
    RTT_SAMPLES_MIN = 8,
    RTT_RTO_MIN_US = 200000,    /* The stated floor: RFC 6298 says 1 s, Linux and QUIC less. */
    RTT_RTO_FIRST_US = 1000000, /* Before anything is known: RFC 6298 section 2.1. */
    RTT_RTO_MAX_US = 10000000,
};

/* A session's: zero until the first sample. */
struct rtt_peer {
    uint32_t smoothed_us;
    uint32_t variance_us;
};

struct rtt_node {
    uint32_t p95_us; /* Brought up to date every few samples. */
    uint16_t total;
    uint8_t counts[RTT_BUCKETS];
};

void rtt_peer_add(struct rtt_peer *peer, uint32_t rtt_us);
void rtt_node_add(struct rtt_node *node, uint32_t rtt_us);

/* The quantile `part` in 1/1000; 0 before the first sample. */
uint32_t rtt_node_quantile_us(const struct rtt_node *node, uint32_t part);

/* When to call an answer slow: the p95, or RTT_RTO_FIRST_US before RTT_SAMPLES_MIN samples. */
uint32_t rtt_slow_us(const struct rtt_node *node);

/* When to send again: from the peer's samples, or from everybody's when it has none. */
uint32_t rtt_rto_us(const struct rtt_peer *peer, const struct rtt_node *node);

#endif /* NODE_TRANSPORT_RTT_H */
