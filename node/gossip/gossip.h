/* gossip.h - who else is there, and news for everybody.
 *
 * Peer exchange: every period one known peer gets a 1 % Bloom filter of whom we know, and answers with
 * peers that are not in it; an exchange with a TTL above zero is passed on to one more peer, which
 * makes newcomers known three hops away. Peers heard of are only candidates: the dht enters them when
 * a round trip has verified them. Silence doubles the period, up to a maximum; news resets it.
 *
 * Broadcast: each new message goes to `fanout` random peers once; a seen-filter (two generations of
 * ids) drops repeats. Acknowledged hop by hop (HEARD), so loss costs a retransmission, not the news.
 *
 *      timer -> EXCHANGE -> peer -> PEERS -> candidates -> ping -> dht_on_verified
 *      gossip_broadcast -> BROADCAST -> peers -> hooks.news, and on
 */
#ifndef NODE_GOSSIP_GOSSIP_H
#define NODE_GOSSIP_GOSSIP_H

#include "node/dht/dht.h"

struct gossip_config {
    uint64_t period_us;     /* 30 s. 0 switches peer exchange off. */
    uint64_t period_max_us; /* Where the exponential back-off ends: 8 minutes. */
    uint8_t ttl;            /* 3. */
    uint8_t fanout;         /* Of a broadcast: 6. */
    uint8_t candidates_per_exchange; /* Pinged at most: bounded work on hearsay. */
    uint16_t seen_max;      /* Broadcast ids per generation of the seen-filter. */
};

struct gossip_hooks {
    void *arg;
    void (*news)(void *arg, const struct message_broadcast *broadcast);
    /* Peers with a higher priority are preferred as partners; equal ones are drawn at random. NULL:
     * all equal. The trust module fills this later. */
    uint32_t (*priority)(void *arg, uint32_t peer);
};

struct gossip; /* Defined by the implementer in this header. */

int gossip_init(struct gossip *gossip, struct core *core, const struct gossip_config *config,
                const struct identity *identity, struct transport *transport, struct dht *dht,
                const struct gossip_hooks *hooks);
void gossip_start(struct gossip *gossip);
void gossip_stop(struct gossip *gossip);

/* Tells everybody; at most MESSAGE_PAYLOAD_MAX bytes. ERR_TOO_LARGE, ERR_UNREACHABLE (no peers). */
int gossip_broadcast(struct gossip *gossip, struct slice payload,
                     uint8_t id[BROADCAST_ID_LEN]);

void gossip_on_exchange(struct gossip *gossip, const struct message_from *from,
                        const struct message_exchange *request);
void gossip_on_broadcast(struct gossip *gossip, const struct message_from *from,
                         const struct message_broadcast *broadcast);
const char *gossip_check(const struct gossip *gossip);

#endif /* NODE_GOSSIP_GOSSIP_H */
