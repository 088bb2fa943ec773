/* broadcast.c - news: whom it goes to, who has had it, and whose it is. */
#include "node/gossip/gossip.h"

#include "node/base/err.h"
#include "node/base/hash.h"
#include "node/base/must.h"
#include "node/gossip/seen.h"
#include "node/port/crypto_calls.h"
#include "node/wire/codec.h"

/* A signature of a broadcast is one of nothing else. */
static const uint8_t signed_domain[16] = "meshtwin news";

struct signed_text {
    uint8_t bytes[sizeof signed_domain + BROADCAST_ID_LEN];
};

struct targets {
    uint32_t max;
    uint32_t count;
    uint32_t handles[GOSSIP_FANOUT_MAX];
};

static void id_of(const struct message_broadcast *broadcast, uint8_t id[BROADCAST_ID_LEN]);
static struct signed_text signed_text_of(const uint8_t id[BROADCAST_ID_LEN]);
static bool seen_is_ready(struct gossip *gossip);
static void pass_on(struct gossip *gossip, const struct message_broadcast *broadcast,
                    uint32_t sender);
static void pass_to(struct gossip *gossip, uint32_t peer, const struct message *request);
static void on_heard(void *owner, const struct call_result *result);
static void targets_add_near(struct gossip *gossip, struct targets *targets, uint32_t sender);
static void targets_add_far(struct gossip *gossip, struct targets *targets, uint32_t sender);
static void targets_add(const struct gossip *gossip, struct targets *targets, uint32_t sender,
                        uint32_t peer);
static struct node_id id_at_distance(struct rng *rng, const struct node_id *self, int shared_bits);

int gossip_broadcast(struct gossip *gossip, struct slice payload, uint8_t id[BROADCAST_ID_LEN])
{
    if (payload.len > MESSAGE_PAYLOAD_MAX) {
        return ERR_TOO_LARGE;
    }
    if (dht_contact_count(gossip->dht) == 0) {
        return ERR_UNREACHABLE;
    }
    if (!seen_is_ready(gossip)) {
        return ERR_FULL;
    }
    struct message_broadcast broadcast = {
        .number = gossip->number_next++,
        .payload = payload,
    };
    memcpy(broadcast.origin, gossip->identity->public_key, sizeof broadcast.origin);
    id_of(&broadcast, broadcast.id);
    struct signed_text text = signed_text_of(broadcast.id);
    port_sign(gossip->core->port, broadcast.signature, slice_of(text.bytes, sizeof text.bytes),
              gossip->identity->secret_key);

    seen_add(gossip->seen, core_now(gossip->core), broadcast.id);
    memcpy(id, broadcast.id, BROADCAST_ID_LEN);
    pass_on(gossip, &broadcast, PORT_INTERN_NONE);
    return ERR_OK;
}

void gossip_on_broadcast(struct gossip *gossip, const struct message_from *from,
                         const struct message_broadcast *broadcast)
{
    struct core *core = gossip->core;
    uint8_t id[BROADCAST_ID_LEN];
    id_of(broadcast, id);
    if (memcmp(id, broadcast->id, sizeof id) != 0) {
        count(&core->counters, COUNT_MALFORMED);
        transport_offend(gossip->transport, from->peer, GUARD_FORGED);
        return;
    }
    if (!gossip->is_running || !seen_is_ready(gossip)) {
        return;
    }
    bool is_new = !seen_has(gossip->seen, id);
    struct signed_text text = signed_text_of(id);
    if (is_new && !port_verify(core->port, broadcast->signature,
                               slice_of(text.bytes, sizeof text.bytes), broadcast->origin)) {
        count(&core->counters, COUNT_UNAUTHENTIC);
        transport_offend(gossip->transport, from->peer, GUARD_FORGED);
        return;
    }
    struct message reply = {.kind = MESSAGE_HEARD, .heard = {.was_new = is_new}};
    /* An answer lost is a retransmission more, which finds the id here. */
    (void)transport_reply(gossip->transport, from, &reply);
    if (!is_new) {
        count(&core->counters, COUNT_BROADCASTS_DUPLICATE);
        return;
    }
    seen_add(gossip->seen, core_now(core), id);
    count(&core->counters, COUNT_BROADCASTS_NEW);
    struct node_id origin;
    contact_id(&origin, broadcast->origin);
    core_trace(core, TRACE_BROADCAST_NEW, from->peer, broadcast->hops,
               (int64_t)broadcast->payload.len, (int64_t)node_id_prefix(&origin));
    gossip->hooks.news(gossip->hooks.arg, broadcast);
    pass_on(gossip, broadcast, from->peer);
}

static void id_of(const struct message_broadcast *broadcast, uint8_t id[BROADCAST_ID_LEN])
{
    uint8_t header[CRYPTO_PUBLIC_LEN + 4];
    struct writer writer = writer_of(header, sizeof header);
    write_bytes(&writer, broadcast->origin, sizeof broadcast->origin);
    write_u32(&writer, broadcast->number);
    must(!writer.bad);
    hash_domain(id, BROADCAST_ID_LEN, "meshtwin news", slice_of(header, sizeof header),
                broadcast->payload);
}

static struct signed_text signed_text_of(const uint8_t id[BROADCAST_ID_LEN])
{
    struct signed_text text;
    memcpy(text.bytes, signed_domain, sizeof signed_domain);
    memcpy(text.bytes + sizeof signed_domain, id, BROADCAST_ID_LEN);
    return text;
}

/* Most nodes of most runs never see a broadcast, and do without the table. */
static bool seen_is_ready(struct gossip *gossip)
{
    if (gossip->seen == NULL) {
        gossip->seen = seen_new(gossip->core, gossip->config->seen_max);
    }
    return gossip->seen != NULL;
}

static void pass_on(struct gossip *gossip, const struct message_broadcast *broadcast,
                    uint32_t sender)
{
    if (broadcast->hops >= GOSSIP_HOPS_MAX) {
        return;
    }
    struct targets targets = {.max = gossip->config->fanout};
    targets_add_near(gossip, &targets, sender);
    targets_add_far(gossip, &targets, sender);

    struct message request = {.kind = MESSAGE_BROADCAST, .broadcast = *broadcast};
    request.broadcast.hops++;
    for (uint32_t i = 0; i < targets.count; i++) {
        pass_to(gossip, targets.handles[i], &request);
    }
    uint32_t clients[GOSSIP_CLIENTS_MAX];
    const struct gossip_hooks *hooks = &gossip->hooks;
    uint32_t count =
        hooks->clients != NULL ? hooks->clients(hooks->arg, clients, GOSSIP_CLIENTS_MAX) : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (clients[i] != sender) {
            pass_to(gossip, clients[i], &request);
        }
    }
}

static void pass_to(struct gossip *gossip, uint32_t peer, const struct message *request)
{
    struct call_options options = {.done = on_heard, .owner = gossip};
    if (transport_call(gossip->transport, peer, request, &options) < 0) {
        count(&gossip->core->counters, COUNT_BROADCASTS_UNHEARD);
    }
}

static void on_heard(void *owner, const struct call_result *result)
{
    struct gossip *gossip = owner;
    bool is_heard = result->outcome == CALL_ANSWERED && result->answer->kind == MESSAGE_HEARD;
    if (result->outcome != CALL_SLOW && !is_heard) {
        count(&gossip->core->counters, COUNT_BROADCASTS_UNHEARD);
    }
}

/* Half of the targets are the nearest neighbours. They know each other, whereas who came late to a
 * mesh whose far buckets were full is in few tables: random targets alone would miss it. Links that
 * are always used plus random ones: Voulgaris & van Steen, "Hybrid Dissemination", 2007. */
static void targets_add_near(struct gossip *gossip, struct targets *targets, uint32_t sender)
{
    uint32_t near[GOSSIP_FANOUT_MAX + 1];
    uint32_t wanted =
        dht_contact_count(gossip->dht) > targets->max + 1 ? (targets->max + 1) / 2 : targets->max;
    uint32_t near_count = dht_nearest(gossip->dht, &gossip->identity->id, near, wanted + 1);
    for (uint32_t i = 0; i < near_count && targets->count < wanted; i++) {
        targets_add(gossip, targets, sender, near[i]);
    }
}

/* The others are at random distances, each distance as likely as the next, for these links have to
 * reach every part of the id space, not mostly its far half. */
static void targets_add_far(struct gossip *gossip, struct targets *targets, uint32_t sender)
{
    if (targets->count == 0 || targets->count == targets->max) {
        return;
    }
    const struct node_id *self = &gossip->identity->id;
    const struct contact *nearest = contact_at(gossip->core->port, targets->handles[0]);
    uint64_t depth = (uint64_t)node_id_shared_bits(self, &nearest->id) + 1;
    for (uint32_t tries = 4 * targets->max; tries > 0 && targets->count < targets->max; tries--) {
        int shared_bits = (int)rng_below(&gossip->core->rng, depth);
        struct node_id place = id_at_distance(&gossip->core->rng, self, shared_bits);
        uint32_t peer;
        if (dht_nearest(gossip->dht, &place, &peer, 1) == 1) {
            targets_add(gossip, targets, sender, peer);
        }
    }
}

static void targets_add(const struct gossip *gossip, struct targets *targets, uint32_t sender,
                        uint32_t peer)
{
    const struct port *port = gossip->core->port;
    uint64_t prefix = contact_prefix(port, peer);
    if (sender != PORT_INTERN_NONE && prefix == contact_prefix(port, sender)) {
        return;
    }
    for (uint32_t i = 0; i < targets->count; i++) {
        if (prefix == contact_prefix(port, targets->handles[i])) {
            return;
        }
    }
    targets->handles[targets->count++] = peer;
}

/* A random id that shares exactly the first `shared_bits` bits with our own. */
static struct node_id id_at_distance(struct rng *rng, const struct node_id *self, int shared_bits)
{
    must(shared_bits >= 0 && shared_bits < NODE_ID_LEN * 8);

    struct node_id id;
    for (int i = 0; i < NODE_ID_LEN; i++) {
        id.bytes[i] = (uint8_t)rng_next(rng);
    }
    int whole = shared_bits / 8;
    memcpy(id.bytes, self->bytes, (size_t)whole);
    uint32_t own = self->bytes[whole];
    uint32_t flipped = 0x80u >> (shared_bits % 8);
    uint32_t kept = ~(2 * flipped - 1); /* The bits before the flipped one. */
    id.bytes[whole] =
        (uint8_t)((own & kept) | (~own & flipped) | (id.bytes[whole] & (flipped - 1)));
    return id;
}
