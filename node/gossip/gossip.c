/* gossip.c - peer exchange: when, with whom, and what comes of the answer. */
#include "node/gossip/gossip.h"

#include "node/base/err.h"
#include "node/base/must.h"
#include "node/gossip/bloom.h"
#include "node/gossip/seen.h"

enum {
    /* Contacts that a filter or an answer looks at. A table of a million nodes' mesh has about 400;
     * more would not fit MESSAGE_BLOOM_MAX at any useful rate of false positives. */
    KNOWN_MAX = 512,
    /* The better of two random contacts becomes the partner: its chance grows with its rank, and
     * only the very last is never asked. The best of many would starve newcomers, and hand us to
     * whoever collects the most trust. */
    PARTNERS_DRAWN = 2,
};

static void exchange_due(struct timer *timer);
static void exchange_schedule(struct gossip *gossip);
static void exchange_send(struct gossip *gossip, uint8_t ttl, uint32_t except);
static bool partner_choose(struct gossip *gossip, uint32_t except, uint32_t *partner);
static void on_peers(void *owner, const struct call_result *result);
static bool candidate_is_good(const struct gossip *gossip, const struct message_contacts *peers,
                              uint32_t index);
static void on_candidate(void *owner, const struct call_result *result);
static void peers_choose(struct gossip *gossip, uint32_t asker,
                         const struct message_exchange *request, struct message_contacts *peers);
static bool is_same_peer(const struct gossip *gossip, uint32_t a, uint32_t b);

int gossip_init(struct gossip *gossip, struct core *core, const struct gossip_config *config,
                const struct identity *identity, struct transport *transport, struct dht *dht,
                const struct gossip_hooks *hooks)
{
    must(hooks->news != NULL);

    *gossip = (struct gossip){
        .core = core,
        .config = config,
        .identity = identity,
        .transport = transport,
        .dht = dht,
        .hooks = *hooks,
        .period_us = config->period_us,
    };
    /* Not from 0: a restarted node that says the same again means it. */
    core->port->ops->entropy(core->port, &gossip->number_next, sizeof gossip->number_next);

    bool is_sound = config->ttl <= GOSSIP_TTL_MAX && config->fanout > 0 &&
                    config->fanout <= GOSSIP_FANOUT_MAX && config->seen_max > 0 &&
                    config->period_max_us >= config->period_us;
    return is_sound ? ERR_OK : ERR_INVALID;
}

void gossip_start(struct gossip *gossip)
{
    gossip->is_running = true;
    gossip->has_news = true;
    if (gossip->config->period_us > 0) {
        /* A random first delay keeps nodes that start together from exchanging in step. */
        uint64_t delay_us = rng_below(&gossip->core->rng, gossip->config->period_us);
        timer_start(&gossip->core->timers, &gossip->exchange_timer, delay_us, exchange_due);
    }
}

void gossip_stop(struct gossip *gossip)
{
    gossip->is_running = false;
    timer_stop(&gossip->core->timers, &gossip->exchange_timer);
}

void gossip_on_change(struct gossip *gossip)
{
    gossip->has_news = true;
    if (!gossip->is_running || gossip->period_us == gossip->config->period_us) {
        return;
    }
    gossip->period_us = gossip->config->period_us;
    if (gossip->exchange_timer.due_us - core_now(gossip->core) > gossip->period_us) {
        exchange_schedule(gossip);
    }
}

void gossip_on_exchange(struct gossip *gossip, const struct message_from *from,
                        const struct message_exchange *request)
{
    if (!gossip->is_running) {
        return;
    }
    struct message reply = {.kind = MESSAGE_PEERS};
    peers_choose(gossip, from->peer, request, &reply.peers.contacts);
    /* What cannot be sent now is not sent: the asker asks again next period. */
    (void)transport_reply(gossip->transport, from, &reply);

    /* With ttl exchanges set off by each node's own, nodes see `ttl` of them a period on average;
     * more than that is somebody's wish to make us work. */
    const struct gossip_config *config = gossip->config;
    uint64_t now_us = core_now(gossip->core);
    if (request->ttl == 0 || config->ttl == 0 || now_us < gossip->forward_from_us) {
        return;
    }
    gossip->forward_from_us = now_us + config->period_us / config->ttl;
    exchange_send(gossip, request->ttl - 1, from->peer);
}

const char *gossip_check(const struct gossip *gossip)
{
    const struct gossip_config *config = gossip->config;
    if (gossip->period_us < config->period_us || gossip->period_us > config->period_max_us) {
        return "gossip: the period is outside of its limits";
    }
    bool wants_timer = gossip->is_running && config->period_us > 0;
    if (timer_is_running(&gossip->exchange_timer) != wants_timer) {
        return "gossip: the exchange timer does not match the state";
    }
    return gossip->seen != NULL ? seen_check(gossip->seen) : NULL;
}

static void exchange_due(struct timer *timer)
{
    struct gossip *gossip = container_of(timer, struct gossip, exchange_timer);
    const struct gossip_config *config = gossip->config;

    if (gossip->has_news || dht_contact_count(gossip->dht) == 0) {
        gossip->period_us = config->period_us;
    } else if (gossip->period_us < config->period_max_us / 2) {
        gossip->period_us *= 2;
    } else {
        gossip->period_us = config->period_max_us;
    }
    gossip->has_news = false;
    exchange_send(gossip, config->ttl, PORT_INTERN_NONE);
    exchange_schedule(gossip);
}

/* One period from now, give or take a quarter, so that no two nodes stay in step. */
static void exchange_schedule(struct gossip *gossip)
{
    uint64_t spread_us = gossip->period_us / 2;
    uint64_t delay_us =
        gossip->period_us - spread_us / 2 + rng_below(&gossip->core->rng, spread_us);
    timer_start(&gossip->core->timers, &gossip->exchange_timer, delay_us, exchange_due);
}

static void exchange_send(struct gossip *gossip, uint8_t ttl, uint32_t except)
{
    uint32_t partner = PORT_INTERN_NONE;
    if (!partner_choose(gossip, except, &partner)) {
        return;
    }
    uint32_t known[KNOWN_MAX];
    uint32_t known_count = dht_contacts(gossip->dht, known, KNOWN_MAX);
    uint8_t bloom[MESSAGE_BLOOM_MAX] = {0};
    size_t len = bloom_len(known_count);
    len = len < sizeof bloom ? len : sizeof bloom;
    uint32_t salt = (uint32_t)rng_next(&gossip->core->rng);
    for (uint32_t i = 0; i < known_count; i++) {
        bloom_add(bloom, len, BLOOM_HASHES, salt, contact_prefix(gossip->core->port, known[i]));
    }
    struct message request = {
        .kind = MESSAGE_EXCHANGE,
        .exchange = {.ttl = ttl,
                     .wanted = MESSAGE_CONTACTS_MAX,
                     .hash_count = BLOOM_HASHES,
                     .salt = salt,
                     .bloom = slice_of(bloom, len)},
    };
    struct call_options options = {.done = on_peers, .owner = gossip};
    if (transport_call(gossip->transport, partner, &request, &options) > 0) {
        count(&gossip->core->counters, COUNT_EXCHANGES);
    }
}

/* The better of two random contacts by priority; between equals the dice decide. */
static bool partner_choose(struct gossip *gossip, uint32_t except, uint32_t *partner)
{
    uint32_t drawn[PARTNERS_DRAWN];
    uint32_t drawn_count = dht_sample(gossip->dht, drawn, PARTNERS_DRAWN);
    uint32_t best = 0;
    uint32_t equals = 0;
    for (uint32_t i = 0; i < drawn_count; i++) {
        if (except != PORT_INTERN_NONE && is_same_peer(gossip, drawn[i], except)) {
            continue;
        }
        uint32_t priority = gossip->hooks.priority != NULL
                                ? gossip->hooks.priority(gossip->hooks.arg, drawn[i])
                                : 0;
        if (equals > 0 && priority < best) {
            continue;
        }
        equals = equals > 0 && priority == best ? equals + 1 : 1;
        best = priority;
        if (rng_below(&gossip->core->rng, equals) == 0) {
            *partner = drawn[i];
        }
    }
    return equals > 0;
}

static void on_peers(void *owner, const struct call_result *result)
{
    struct gossip *gossip = owner;
    if (!gossip->is_running || result->outcome != CALL_ANSWERED ||
        result->answer->kind != MESSAGE_PEERS) {
        return;
    }
    const struct message_contacts *peers = &result->answer->peers.contacts;
    struct call_options options = {.done = on_candidate, .owner = gossip};
    uint32_t wanted = dht_is_seeking(gossip->dht) ? gossip->config->candidates_per_exchange : 0;
    uint32_t pinged = 0;
    for (uint32_t i = 0; i < peers->count; i++) {
        if (pinged == wanted) {
            break;
        }
        if (!candidate_is_good(gossip, peers, i)) {
            continue;
        }
        struct message ping = {
            .kind = MESSAGE_PING,
            .ping = {.nonce = rng_next(&gossip->core->rng)},
        };
        if (transport_call(gossip->transport, peers->handles[i], &ping, &options) < 0) {
            break;
        }
        pinged++;
    }
}

/* Somebody else whom the dht has room for, and not one key at many addresses: that would be
 * somebody aiming our pings. */
static bool candidate_is_good(const struct gossip *gossip, const struct message_contacts *peers,
                              uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (is_same_peer(gossip, peers->handles[i], peers->handles[index])) {
            return false;
        }
    }
    const struct contact *contact = contact_at(gossip->core->port, peers->handles[index]);
    return !node_id_equal(&contact->id, &gossip->identity->id) &&
           dht_is_wanted(gossip->dht, &contact->id, &contact->addr);
}

/* Transport has told the dht of the round trip already. */
static void on_candidate(void *owner, const struct call_result *result)
{
    if (result->outcome == CALL_ANSWERED) {
        gossip_on_change(owner);
    }
}

/* Random known peers that are not in the asker's filter. */
static void peers_choose(struct gossip *gossip, uint32_t asker,
                         const struct message_exchange *request, struct message_contacts *peers)
{
    uint32_t known[KNOWN_MAX];
    uint32_t left = dht_contacts(gossip->dht, known, KNOWN_MAX);
    peers->count = 0;
    while (left > 0 && peers->count < request->wanted) {
        uint32_t drawn = (uint32_t)rng_below(&gossip->core->rng, left);
        uint32_t peer = known[drawn];
        known[drawn] = known[--left];
        if (!is_same_peer(gossip, peer, asker) &&
            !bloom_has(request->bloom, request->hash_count, request->salt,
                       contact_prefix(gossip->core->port, peer))) {
            peers->handles[peers->count++] = peer;
        }
    }
}

static bool is_same_peer(const struct gossip *gossip, uint32_t a, uint32_t b)
{
    return contact_prefix(gossip->core->port, a) == contact_prefix(gossip->core->port, b);
}
