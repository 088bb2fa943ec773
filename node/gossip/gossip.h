/* gossip.h - who else is there, and news for everybody.
 *
 * Peer exchange: every period one known peer gets a 1 % Bloom filter of whom we know, and answers
 * with peers that are not in it. Who is asked with a TTL above zero makes an exchange of its own
 * with one more peer: a pull that sets off the next, so that who has just come is asked about, and
 * spreads, several times within a period. Peers heard of are only candidates: a few that the dht
 * has room for are pinged, and the round trip is what enters them (and us, at their end). Silence
 * doubles the period, up to a maximum; news and a changed neighbourhood reset it.
 *
 * Broadcast: each new message goes to `fanout` peers once; a seen-filter (two generations of ids)
 * drops repeats. Acknowledged hop by hop (HEARD), so loss costs a retransmission, not the news. It
 * carries its origin's signature, checked once, before it is believed or passed on.
 *
 *      timer -> EXCHANGE -> peer -> PEERS -> candidates -> PING -> dht (hook `verified` of
 * transport) gossip_on_exchange -> PEERS; EXCHANGE with TTL - 1 -> another peer gossip_broadcast ->
 * BROADCAST -> peers -> hooks.news, and on
 *
 * What it does not do: guarantee delivery, order messages, or remember them.
 */
#ifndef NODE_GOSSIP_GOSSIP_H
#define NODE_GOSSIP_GOSSIP_H

#include "node/dht/dht.h"

enum {
    GOSSIP_TTL_MAX = 3,   /* What the wire allows. */
    GOSSIP_HOPS_MAX = 32, /* Of a broadcast. Eight peers each reach a million nodes in under 10. */
    GOSSIP_FANOUT_MAX = 20,
    GOSSIP_CLIENTS_MAX = 128,
};

struct gossip_config {
    uint64_t period_us;     /* 30 s. 0 switches own peer exchanges off; requests are answered. */
    uint64_t period_max_us; /* Where the exponential back-off ends: 8 minutes. */
    uint8_t ttl;            /* 3. */
    uint8_t fanout;         /* Of a broadcast: 8. See docs/modules/gossip.md for what fewer miss. */
    uint8_t candidates_per_exchange; /* Pinged at most: bounded work on hearsay. */
    uint16_t seen_max;               /* Broadcast ids per generation of the seen-filter. */
};

struct gossip_hooks {
    void *arg;
    /* A broadcast of somebody else, once. Borrowed. */
    void (*news)(void *arg, const struct message_broadcast *broadcast);
    /* Of two random peers the one with the higher priority becomes the partner of an exchange; of
     * equals the dice choose. NULL: all equal. The trust module fills this later. */
    uint32_t (*priority)(void *arg, uint32_t peer);
    /* Peers that are in nobody's table and rely on us to hear of broadcasts: up to `max` handles,
     * not retained. NULL: there are none. */
    uint32_t (*clients)(void *arg, uint32_t *peers, uint32_t max);
};

struct gossip {
    struct core *core;
    const struct gossip_config *config;
    const struct identity *identity;
    struct transport *transport;
    struct dht *dht;
    struct gossip_hooks hooks;

    struct timer exchange_timer;
    uint64_t period_us;       /* Now, between period_us and period_max_us of the configuration. */
    uint64_t forward_from_us; /* No exchange is set off by others before. */
    struct seen *seen;        /* Allocated with the first broadcast. */
    uint32_t number_next;     /* Of own broadcasts. */
    bool is_running;
    bool has_news; /* Since the last own exchange. */
};
_Static_assert(sizeof(struct gossip) <= 250, "the idle cost of gossip, times 100,000 nodes");

/* ERR_INVALID when the configuration is out of its limits. */
NODISCARD int gossip_init(struct gossip *gossip, struct core *core,
                          const struct gossip_config *config, const struct identity *identity,
                          struct transport *transport, struct dht *dht,
                          const struct gossip_hooks *hooks);
void gossip_start(struct gossip *gossip);
void gossip_stop(struct gossip *gossip);

/* The dht's table gained or lost a contact: back to the shortest period. */
void gossip_on_change(struct gossip *gossip);

/* Tells everybody but ourselves; at most MESSAGE_PAYLOAD_MAX bytes. ERR_TOO_LARGE, ERR_UNREACHABLE
 * (no peers), ERR_FULL (no memory to recognise the echo by). */
NODISCARD int gossip_broadcast(struct gossip *gossip, struct slice payload,
                               uint8_t id[BROADCAST_ID_LEN]);

void gossip_on_exchange(struct gossip *gossip, const struct message_from *from,
                        const struct message_exchange *request);
void gossip_on_broadcast(struct gossip *gossip, const struct message_from *from,
                         const struct message_broadcast *broadcast);

/* NULL when well-formed, else what is not. */
const char *gossip_check(const struct gossip *gossip);

#endif /* NODE_GOSSIP_GOSSIP_H */
