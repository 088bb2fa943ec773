/* fixture.h - what the tests of sessions share: peers under the real suite, and a network with
 * eyes.
 *
 *      toy world -> watch -> what was sent, dropped, kept for a replay
 */
#ifndef TESTS_UNIT_NODE_TRANSPORT_FIXTURE_H
#define TESTS_UNIT_NODE_TRANSPORT_FIXTURE_H

#include <signal.h>

#include <criterion/criterion.h>

#include "node/transport/session.h"
#include "tests/support/toy_peer.h"

enum {
    RTT_US = 2 * TOY_LATENCY_US,
    SENT_MAX = 4096,
};

#define SECOND UINT64_C(1000000)

/* What went over the network, in order. */
struct sent {
    struct port_addr from;
    struct port_addr to;
    uint64_t at_us;
    uint16_t len;
    uint8_t bytes[PORT_DATAGRAM_MAX];
};

struct network {
    struct sent *sent;
    uint32_t count;
    /* Of the datagrams sent from now on, numbered from 0: which one fares how. */
    uint32_t numbered;
    int64_t drop;      /* This one is lost; -1 for none. */
    int64_t drop_from; /* This one and all later ones are lost; -1 for none. */
    int64_t doubled;
    int64_t late;    /* Arrives after three more latencies. */
    int64_t corrupt; /* Has the bit below flipped. */
    uint32_t corrupt_bit;
    const struct port_addr *deaf; /* Nothing arrives here; NULL for nowhere. */
};

extern struct toy_peers *peers;
extern struct network network;

/* `count` peers in a world that is watched; toy_peers_start is the caller's. */
void fixture_open(uint32_t count);
/* Checks the invariants and that no reference leaked. */
void fixture_close(void);

/* From here on datagrams are counted from 0, and nothing happens to them. */
void fixture_mark(void);
void fixture_settle(void); /* Runs for a second. */

static inline struct toy_peer *peer_at(uint32_t index)
{
    return &peers->peers[index];
}

static inline uint32_t counter_of(const struct toy_peer *peer, enum counter which)
{
    return peer->core.counters.value[which];
}

/* The handle of a peer where it is now; its reference is given back by fixture_close. */
uint32_t contact_of(uint32_t index);

/* One call that must be answered; how. */
struct toy_answer ask_now(uint32_t from, uint32_t to, uint8_t kind);

#endif /* TESTS_UNIT_NODE_TRANSPORT_FIXTURE_H */
