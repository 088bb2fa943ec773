/* inspect.c - rows of the node's tables for whoever shows them. */
#include "node/inspect.h"

#define SECOND UINT64_C(1000000)

static void add_session(const struct node *node, const struct transport_session *session,
                        struct inspect_peer *peer);
static enum guard_threat threat_of(const struct node *node, uint32_t peer);
static uint32_t trust_of(const struct node *node, uint32_t peer);
static struct inspect_peer peer_of_row(const struct node *node, const struct dht_table_row *row);
static struct inspect_peer peer_of_session(const struct node *node,
                                           const struct transport_session *session);

void node_inspect_peers(const struct node *node, inspect_peer_fn visit, void *arg)
{
    for (uint32_t i = 0; i < node->dht.table.count; i++) {
        struct dht_table_row row;
        dht_table_row(&node->dht.table, i, &row);
        struct inspect_peer peer = peer_of_row(node, &row);
        visit(arg, &peer);
    }
    struct transport_session session;
    for (uint32_t place = 0; transport_session_next(&node->transport, &place, &session);) {
        struct inspect_peer peer = peer_of_session(node, &session);
        if (dht_find(&node->dht, &peer.contact->id) == PORT_INTERN_NONE) {
            visit(arg, &peer);
        }
    }
}

bool node_inspect_peer(const struct node *node, const struct node_id *id, struct inspect_peer *peer)
{
    for (uint32_t i = 0; i < node->dht.table.count; i++) {
        struct dht_table_row row;
        dht_table_row(&node->dht.table, i, &row);
        if (node_id_equal(&contact_at(node->core.port, row.peer)->id, id)) {
            *peer = peer_of_row(node, &row);
            return true;
        }
    }
    struct transport_session session;
    if (!transport_session_of(&node->transport, id, &session)) {
        return false;
    }
    *peer = peer_of_session(node, &session);
    return true;
}

void node_inspect_buckets(const struct node *node, inspect_bucket_fn visit, void *arg)
{
    for (uint32_t i = 0; i < DHT_BUCKETS; i++) {
        const struct dht_bucket *bucket = node->dht.table.buckets[i];
        if (bucket != NULL && bucket->count + bucket->spare_count > 0) {
            visit(arg, &(struct inspect_bucket){
                           .index = i, .count = bucket->count, .spares = bucket->spare_count});
        }
    }
}

void node_inspect_known(const struct node *node, inspect_known_fn visit, void *arg)
{
    const struct dht_known *known = &node->dht.known;
    for (uint32_t i = 0; i < known->count; i++) {
        struct inspect_known row = {.contact = contact_at(node->core.port, known->peers[i].peer),
                                    .trust_micro = trust_of(node, known->peers[i].peer),
                                    .seen_s = known->peers[i].seen_s};
        struct inspect_peer peer;
        row.is_connected = node_inspect_peer(node, &row.contact->id, &peer);
        if (row.is_connected) { /* Its own time is brought up to date only now and then. */
            uint64_t heard_s = node->core.port->wall_us / SECOND - (uint64_t)peer.heard_s;
            row.seen_s = heard_s > row.seen_s ? heard_s : row.seen_s;
        }
        visit(arg, &row);
    }
}

void node_inspect_bans(const struct node *node, inspect_ban_fn visit, void *arg)
{
    const struct guard_ban *ban;
    for (uint32_t i = 0; (ban = guard_ban_at(&node->guard, i)) != NULL; i++) {
        visit(arg, &(struct inspect_ban){
                       .id = ban->id,
                       .until_s = (ban->until_us - core_now(&node->core) + SECOND - 1) / SECOND,
                       .offences = ban->points});
    }
}

static void add_session(const struct node *node, const struct transport_session *session,
                        struct inspect_peer *peer)
{
    uint64_t now_us = core_now(&node->core);
    int64_t heard_s = (int64_t)((now_us - session->heard_us) / SECOND);
    peer->heard_s =
        peer->heard_s == INSPECT_NEVER_S || heard_s < peer->heard_s ? heard_s : peer->heard_s;
    peer->has_session = true;
    peer->is_client = session->is_client;
    struct nat_way_view view;
    nat_way_of(&node->nat, session, &view);
    peer->way = view.way;
    if (view.relay != PORT_INTERN_NONE) {
        peer->relay = contact_at(node->core.port, view.relay);
    }
    peer->is_initiator = session->is_initiator;
    peer->rtt_us = session->rtt_us;
    peer->age_s = (now_us - session->started_us) / SECOND;
    peer->sent = session->sent;
    peer->received = session->received;
}

static enum guard_threat threat_of(const struct node *node, uint32_t peer)
{
    return guard_threat_of(&node->guard, &contact_at(node->core.port, peer)->id);
}

/* Nobody is trusted by a node that keeps no ledger. */
static uint32_t trust_of(const struct node *node, uint32_t peer)
{
    return node->config->ledger.peers_max > 0
               ? ledger_trust_micro(&node->ledger, &contact_at(node->core.port, peer)->id)
               : 0;
}

static struct inspect_peer peer_of_row(const struct node *node, const struct dht_table_row *row)
{
    struct inspect_peer peer = {.contact = contact_at(node->core.port, row->peer),
                                .bucket = (int32_t)row->bucket,
                                .trust_micro = trust_of(node, row->peer),
                                .threat = threat_of(node, row->peer),
                                .losses = row->losses,
                                .heard_s = (int64_t)(row->silent_us / SECOND)};
    struct transport_session session;
    if (transport_session_of(&node->transport, &peer.contact->id, &session)) {
        add_session(node, &session, &peer);
    }
    return peer;
}

static struct inspect_peer peer_of_session(const struct node *node,
                                           const struct transport_session *session)
{
    struct inspect_peer peer = {.contact = contact_at(node->core.port, session->peer),
                                .bucket = -1,
                                .trust_micro = trust_of(node, session->peer),
                                .threat = threat_of(node, session->peer),
                                .heard_s = INSPECT_NEVER_S};
    add_session(node, session, &peer);
    return peer;
}
