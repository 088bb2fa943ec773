/* rtt.c - the estimators of rtt.h. */
#include "node/transport/rtt.h"

#include <stddef.h>

#include "node/base/must.h"

enum {
    FIRST_OCTAVE = 9, /* 2^9 µs = 512 µs. */
    PARTS_LOG2 = 2,   /* Buckets to the octave, as a power of two. */
    TOTAL_MAX = 250,  /* A single bucket may hold them all in 8 bits. */
    REFRESH = 8,      /* Samples between two looks for the p95. */
};

static uint32_t bucket_of(uint32_t rtt_us);
static uint32_t bucket_start_us(uint32_t bucket);

void rtt_peer_add(struct rtt_peer *peer, uint32_t rtt_us)
{
    rtt_us = rtt_us == 0 ? 1 : rtt_us; /* Zero means: no sample yet. */
    if (peer->smoothed_us == 0) {
        peer->smoothed_us = rtt_us;
        peer->variance_us = rtt_us / 2;
        return;
    }
    uint32_t off_us =
        rtt_us > peer->smoothed_us ? rtt_us - peer->smoothed_us : peer->smoothed_us - rtt_us;
    peer->variance_us = (uint32_t)(((uint64_t)peer->variance_us * 3 + off_us) / 4);
    peer->smoothed_us = (uint32_t)(((uint64_t)peer->smoothed_us * 7 + rtt_us) / 8);
}

void rtt_node_add(struct rtt_node *node, uint32_t rtt_us)
{
    if (node->total == TOTAL_MAX) {
        node->total = 0;
        for (uint32_t i = 0; i < RTT_BUCKETS; i++) {
            node->counts[i] /= 2;
            node->total = (uint16_t)(node->total + node->counts[i]);
        }
    }
    node->counts[bucket_of(rtt_us)]++;
    node->total++;
    if (node->total <= 2 * REFRESH || node->total % REFRESH == 0) {
        node->p95_us = rtt_node_quantile_us(node, 950);
    }
}

uint32_t rtt_node_quantile_us(const struct rtt_node *node, uint32_t part)
{
    must(part <= 1000);

    uint32_t rank = (node->total * part + 999) / 1000;
    rank = rank == 0 ? 1 : rank;
    uint32_t before = 0;
    for (uint32_t i = 0; i < RTT_BUCKETS; i++) {
        uint32_t count = node->counts[i];
        if (before + count >= rank) {
            uint32_t start_us = bucket_start_us(i);
            uint32_t width_us = bucket_start_us(i + 1) - start_us;
            return start_us + (uint32_t)((uint64_t)width_us * (rank - before) / count);
        }
        before += count;
    }
    return 0;
}

uint32_t rtt_slow_us(const struct rtt_node *node)
{
    return node->total < RTT_SAMPLES_MIN ? RTT_RTO_FIRST_US : node->p95_us;
}

uint32_t rtt_rto_us(const struct rtt_peer *peer, const struct rtt_node *node)
{
    uint64_t rto_us = RTT_RTO_FIRST_US;
    if (peer != NULL && peer->smoothed_us != 0) {
        rto_us = peer->smoothed_us + UINT64_C(4) * peer->variance_us;
    } else if (node->total >= RTT_SAMPLES_MIN) {
        rto_us = node->p95_us + node->p95_us / 5; /* A stranger: slower than 95 % and then some. */
    }
    rto_us = rto_us < RTT_RTO_MIN_US ? RTT_RTO_MIN_US : rto_us;
    return (uint32_t)(rto_us > RTT_RTO_MAX_US ? RTT_RTO_MAX_US : rto_us);
}

static uint32_t bucket_of(uint32_t rtt_us)
{
    if (rtt_us < 1u << FIRST_OCTAVE) {
        return 0;
    }
    uint32_t octave = 31u - (uint32_t)__builtin_clz(rtt_us);
    uint32_t part = (rtt_us >> (octave - PARTS_LOG2)) & ((1u << PARTS_LOG2) - 1);
    uint32_t bucket = ((octave - FIRST_OCTAVE) << PARTS_LOG2) + part;
    return bucket < RTT_BUCKETS ? bucket : RTT_BUCKETS - 1;
}

static uint32_t bucket_start_us(uint32_t bucket)
{
    if (bucket == 0) {
        return 0; /* It holds everything shorter too. */
    }
    uint32_t octave = FIRST_OCTAVE + (bucket >> PARTS_LOG2);
    uint32_t part = bucket & ((1u << PARTS_LOG2) - 1);
    return (1u << octave) + (part << (octave - PARTS_LOG2));
}
