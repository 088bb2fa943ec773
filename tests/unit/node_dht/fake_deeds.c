/* fake_deeds.c - what tests do with the fake network, and the truth they compare with. */
#include <stdlib.h>
#include <string.h>

#include "fake_net_parts.h"
#include "node/base/must.h"

static int compare_ids(const void *a, const void *b)
{
    const struct net_node *const *left = a;
    const struct net_node *const *right = b;
    return memcmp(&(*left)->identity.id, &(*right)->identity.id, sizeof(struct node_id));
}

/* Enters up to k of sorted[from..end) at random. */
static void fill_bucket(struct net_node *node, struct net_node **sorted, uint32_t from,
                        uint32_t end)
{
    struct net *net = node->net;
    uint32_t range = end - from;
    uint32_t chosen[NODES_MAX];
    for (uint32_t i = 0; i < range; i++) {
        chosen[i] = from + i;
    }
    for (uint32_t i = 0; i < range && i < net->config.k; i++) {
        uint32_t j = i + (uint32_t)rng_below(&net->dice, range - i);
        uint32_t other = chosen[j];
        chosen[j] = chosen[i];
        dht_seed_contact(&node->dht, sorted[other]->contact);
    }
}

void net_fill_tables(struct net *net)
{
    static struct net_node *sorted[NODES_MAX];
    memcpy(sorted, net->nodes, net->node_count * sizeof *sorted);
    qsort(sorted, net->node_count, sizeof *sorted, compare_ids);
    for (uint32_t i = 0; i < net->node_count; i++) {
        struct net_node *node = sorted[i];
        net_set_clock(node);
        uint32_t from = 0;
        uint32_t end = net->node_count;
        for (int bit = 0; end - from > 1; bit++) {
            uint32_t middle = from;
            while (middle < end &&
                   (sorted[middle]->identity.id.bytes[bit / 8] & (0x80 >> (bit % 8))) == 0) {
                middle++;
            }
            if (i < middle) {
                fill_bucket(node, sorted, middle, end);
                end = middle;
            } else {
                fill_bucket(node, sorted, from, middle);
                from = middle;
            }
        }
    }
}

uint32_t net_true_nearest(struct net *net, const struct node_id *target,
                          const struct net_node *except, uint32_t *handles, uint32_t max)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < net->node_count; i++) {
        const struct net_node *node = net->nodes[i];
        if (!node->is_alive || !node->is_started || node == except) {
            continue;
        }
        uint32_t place = found < max ? found++ : max;
        for (; place > 0; place--) {
            const struct contact *before = contact_at(&node->port, handles[place - 1]);
            if (node_id_closer(&before->id, &node->identity.id, target) < 0) {
                break;
            }
            if (place < max) {
                handles[place] = handles[place - 1];
            }
        }
        if (place < max) {
            handles[place] = node->contact;
        }
    }
    return found;
}

struct net_node *net_by_contact(struct net *net, uint32_t handle)
{
    for (uint32_t i = 0; i < net->node_count; i++) {
        if (net->nodes[i]->contact == handle) {
            return net->nodes[i];
        }
    }
    return NULL;
}

uint32_t net_holders(struct net *net, const struct node_id *key)
{
    uint32_t holders = 0;
    for (uint32_t i = 0; i < net->node_count; i++) {
        struct net_node *node = net->nodes[i];
        net_set_clock(node);
        holders += node->is_alive && dht_holds(&node->dht, key);
    }
    return holders;
}

uint32_t net_requests(struct net *net, uint8_t kind)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < net->node_count; i++) {
        sum += net->nodes[i]->requests_got[kind];
    }
    return sum;
}

struct node_id net_random_id(struct net *net)
{
    struct node_id id;
    for (uint32_t i = 0; i < NODE_ID_LEN; i++) {
        id.bytes[i] = (uint8_t)rng_next(&net->dice);
    }
    return id;
}

void net_on_found(void *owner, uint32_t tag, const struct lookup_result *result)
{
    struct net_found *found = owner;
    (void)tag;
    must(!found->is_done);
    found->is_done = true;
    found->status = result->status;
    found->took_us = result->took_us;
    found->messages = result->messages;
    found->hops = result->hops;
    found->count = result->count;
    memcpy(found->nearest, result->nearest, result->count * sizeof *found->nearest);
    found->has_record = result->record != NULL;
    if (found->has_record) {
        dht_record_copy(&found->copy, result->record);
    }
    found->age_s = result->age_s;
}

void net_on_put(void *owner, uint32_t tag, const struct put_result *result)
{
    struct net_put *put = owner;
    (void)tag;
    put->is_done = true;
    put->reports++;
    put->result = *result;
}

struct net_found net_lookup(struct net_node *node, const struct node_id *target,
                            enum lookup_kind kind)
{
    struct net_found found = {0};
    net_set_clock(node);
    must(dht_lookup(&node->dht, target, kind, net_on_found, &found, 7) == ERR_OK);
    must(!found.is_done);
    timerq_settle(&node->core.timers);
    for (uint32_t i = 0; i < 60000 && !found.is_done; i++) {
        net_run_for(node->net, 10 * MILLISECOND);
    }
    must(found.is_done);
    return found;
}

struct net_put net_publish(struct net_node *node, enum record_kind kind, uint32_t salt,
                           const char *text)
{
    struct net_put put = {0};
    net_set_clock(node);
    int status =
        dht_publish(&node->dht, kind, salt, slice_of(text, strlen(text)), net_on_put, &put, 7);
    must(!put.is_done);
    if (status != ERR_OK) {
        put.result.status = status;
        return put;
    }
    timerq_settle(&node->core.timers);
    for (uint32_t i = 0; i < 6000 && !put.is_done; i++) {
        net_run_for(node->net, 10 * MILLISECOND);
    }
    must(put.is_done);
    net_run_for(node->net, 5 * SECOND); /* The silent rest of the stores. */
    must(put.reports == 1);
    return put;
}

struct record net_record(struct net_node *publisher, uint32_t salt, uint64_t sequence,
                         const char *text)
{
    struct record record = {.kind = text != NULL ? RECORD_MUTABLE : RECORD_TOMBSTONE,
                            .salt = salt,
                            .sequence = sequence,
                            .expiry_s = text != NULL ? 3600 : RECORD_TOMBSTONE_S,
                            .value = slice_of(text, text != NULL ? strlen(text) : 0)};
    record_sign(&publisher->port, &record, publisher->identity.public_key,
                publisher->identity.secret_key);
    return record;
}

struct stored_answer {
    bool is_done;
    struct message_stored stored;
};

static void on_stored(void *owner, const struct call_result *result)
{
    struct stored_answer *answer = owner;
    if (result->outcome == CALL_ANSWERED) {
        answer->is_done = true;
        answer->stored = result->answer->stored;
    }
}

struct message_stored net_store(struct net_node *holder, struct net_node *sender,
                                const struct record *record, uint32_t age_s, bool is_cache)
{
    struct stored_answer answer = {0};
    struct message request = {.kind = MESSAGE_STORE,
                              .store = {.age_s = age_s, .is_cache = is_cache, .record = *record}};
    struct call_options options = {.done = on_stored, .owner = &answer};
    net_set_clock(sender);
    must(transport_call(&sender->transport, holder->contact, &request, &options) > 0);
    net_run_for(sender->net, SECOND);
    must(answer.is_done);
    return answer.stored;
}

static struct net_blob *blob_of(struct net_node *node, const struct node_id *key)
{
    uint8_t name[1 + NODE_ID_LEN] = {'r'};
    memcpy(name + 1, key->bytes, NODE_ID_LEN);
    return fake_find_blob(node, slice_of(name, sizeof name));
}

bool net_alter_record(struct net_node *node, const struct node_id *key, const char *from,
                      const char *to)
{
    struct net_blob *blob = blob_of(node, key);
    size_t len = strlen(from);
    must(strlen(to) == len);
    for (size_t i = 0; blob != NULL && i + len <= blob->value_len; i++) {
        if (memcmp(blob->value + i, from, len) == 0) {
            memcpy(blob->value + i, to, len);
            return true;
        }
    }
    return false;
}

bool net_swap_record(struct net_node *node, const struct node_id *key, const struct node_id *other)
{
    struct net_blob *blob = blob_of(node, key);
    const struct net_blob *source = blob_of(node, other);
    if (blob == NULL || source == NULL) {
        return false;
    }
    blob->value = realloc(blob->value, source->value_len);
    must(blob->value != NULL);
    memcpy(blob->value, source->value, source->value_len);
    blob->value_len = source->value_len;
    return true;
}

static void on_taken(void *owner, const struct call_result *result)
{
    (void)owner;
    must(result->outcome != CALL_ANSWERED);
}

void net_take_calls(struct net_node *node, uint32_t left)
{
    struct message request = {.kind = MESSAGE_PING};
    struct call_options options = {.done = on_taken};
    struct port_addr nowhere = net_addr(60000);
    net_set_clock(node);
    while (node->calls_open < CALLS_OPEN_MAX - left) {
        must(transport_call_addr(&node->transport, &nowhere, &request, &options) > 0);
    }
}

static void on_tallied(void *owner, const struct call_result *result)
{
    struct net_tally *tally = owner;
    if (result->outcome == CALL_ANSWERED) {
        const struct message_stored *stored = &result->answer->stored;
        tally->answers++;
        tally->full += stored->status == STORED_FULL;
        tally->durable += stored->status == STORED_OK && stored->is_durable;
    }
}

void net_store_later(struct net_node *holder, struct net_node *sender, const struct record *record,
                     struct net_tally *tally)
{
    struct message request = {.kind = MESSAGE_STORE, .store = {.record = *record}};
    struct call_options options = {.done = on_tallied, .owner = tally};
    net_set_clock(sender);
    must(transport_call(&sender->transport, holder->contact, &request, &options) > 0);
}

struct asked {
    bool is_done;
    struct message_contacts contacts;
};

static void on_asked(void *owner, const struct call_result *result)
{
    struct asked *asked = owner;
    if (result->outcome == CALL_ANSWERED) {
        asked->is_done = true;
        asked->contacts = result->answer->nodes.contacts;
    }
}

struct message_contacts net_ask(struct net_node *asker, struct net_node *node,
                                const struct node_id *target)
{
    struct asked asked = {0};
    struct message request = {.kind = MESSAGE_FIND_NODE,
                              .find_node = {.target = *target, .count = DHT_K_MAX}};
    struct call_options options = {.done = on_asked, .owner = &asked};
    net_set_clock(asker);
    must(transport_call(&asker->transport, node->contact, &request, &options) > 0);
    net_run_for(asker->net, 2 * SECOND);
    must(asked.is_done);
    return asked.contacts;
}
