/* random_message.c - drawing and comparing messages of every kind. */
#include "tests/unit/node_wire/random_message.h"
#include "tests/unit/node_wire/random_nat.h"

const uint8_t message_kinds[] = {
#define KIND(name, number, body, text, owner, class) (number),
    MESSAGES(KIND)
#undef KIND
};
const size_t message_kind_count = array_len(message_kinds);

void random_bytes(struct rng *rng, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)rng_next(rng);
    }
}

struct port_addr random_addr(struct rng *rng)
{
    struct port_addr addr;
    random_bytes(rng, (uint8_t *)&addr, sizeof addr);
    if (rng_below(rng, 2) == 0) {
        memset(addr.ip, 0, 10);
        memset(addr.ip + 10, 0xff, 2);
    }
    return addr;
}

static struct slice random_slice(struct rng *rng, uint8_t *bytes, size_t max)
{
    size_t len = 0;
    switch (rng_below(rng, 4)) {
    case 0:
        break;
    case 1:
        len = max;
        break;
    default:
        len = rng_below(rng, max + 1);
    }
    random_bytes(rng, bytes, len);
    return slice_of(bytes, len);
}

static bool random_fact(struct rng *rng)
{
    return rng_below(rng, 2) == 1;
}

static uint8_t random_wanted(struct rng *rng)
{
    return (uint8_t)(1 + rng_below(rng, MESSAGE_CONTACTS_MAX));
}

static void random_contacts(struct message_contacts *contacts, struct bare_port *bare,
                            struct rng *rng)
{
    contacts->count = (uint32_t)rng_below(rng, MESSAGE_CONTACTS_MAX + 1);
    for (uint32_t i = 0; i < contacts->count; i++) {
        uint8_t key[CRYPTO_PUBLIC_LEN];
        random_bytes(rng, key, sizeof key);
        struct port_addr addr = random_addr(rng);
        contacts->handles[i] = contact_intern(&bare->port, key, &addr);
    }
}

static void random_record(struct record *record, struct rng *rng, uint8_t *bytes)
{
    *record = (struct record){
        .kind = (uint8_t)(RECORD_IMMUTABLE + rng_below(rng, RECORD_KIND_END - RECORD_IMMUTABLE)),
        .expiry_s = (uint32_t)rng_next(rng),
    };
    if (record->kind != RECORD_IMMUTABLE) {
        random_bytes(rng, record->publisher, sizeof record->publisher);
        random_bytes(rng, record->signature, sizeof record->signature);
        record->salt = (uint32_t)rng_next(rng);
        record->sequence = rng_next(rng);
    }
    if (record->kind != RECORD_TOMBSTONE) {
        record->value = random_slice(rng, bytes, RECORD_VALUE_MAX);
    }
}

static void random_value(struct message_value *value, struct bare_port *bare, struct rng *rng,
                         uint8_t *bytes)
{
    value->has_record = random_fact(rng);
    if (!value->has_record) {
        random_contacts(&value->contacts, bare, rng);
        return;
    }
    random_record(&value->record, rng, bytes);
    value->is_cached = value->record.kind == RECORD_IMMUTABLE && random_fact(rng);
    value->age_s = (uint32_t)rng_next(rng);
}

static void random_broadcast(struct message_broadcast *broadcast, struct rng *rng, uint8_t *bytes)
{
    random_bytes(rng, broadcast->id, sizeof broadcast->id);
    random_bytes(rng, broadcast->origin, sizeof broadcast->origin);
    random_bytes(rng, broadcast->signature, sizeof broadcast->signature);
    broadcast->number = (uint32_t)rng_next(rng);
    broadcast->hops = (uint8_t)rng_next(rng);
    broadcast->payload = random_slice(rng, bytes, MESSAGE_PAYLOAD_MAX);
}

static void random_exchange(struct message_exchange *exchange, struct rng *rng, uint8_t *bytes)
{
    exchange->ttl = (uint8_t)rng_below(rng, 4);
    exchange->wanted = random_wanted(rng);
    exchange->hash_count = (uint8_t)(1 + rng_below(rng, 16));
    exchange->salt = (uint32_t)rng_next(rng);
    exchange->bloom = random_slice(rng, bytes, MESSAGE_BLOOM_MAX);
}

static void random_said(struct iou_statement *said, struct rng *rng)
{
    said->state = (uint8_t)rng_below(rng, IOU_STATE_COUNT);
    if (said->state != IOU_OFFERED) {
        said->said_s = (uint32_t)rng_next(rng);
        random_bytes(rng, said->signature, sizeof said->signature);
    }
}

static void random_statement(struct message_statement *statement, struct rng *rng)
{
    struct iou *iou = &statement->iou;
    random_bytes(rng, iou->debtor, sizeof iou->debtor);
    random_bytes(rng, iou->creditor, sizeof iou->creditor);
    random_bytes(rng, iou->signature, sizeof iou->signature);
    iou->amount = rng_next(rng);
    iou->nonce = rng_next(rng);
    iou->created_s = (uint32_t)rng_next(rng);
    iou->due_s = (uint32_t)rng_next(rng);
    iou->memo_len = (uint8_t)rng_below(rng, IOU_MEMO_MAX + 1);
    random_bytes(rng, iou->memo, iou->memo_len);
    random_said(&statement->said, rng);
}

void random_message(struct message *message, uint8_t kind, struct bare_port *bare, struct rng *rng,
                    uint8_t *bytes)
{
    memset(message, 0, sizeof *message);
    message->kind = kind;
    message->call = (uint32_t)rng_next(rng);
    switch ((enum message_kind)kind) {
    case MESSAGE_PING:
        message->ping.nonce = rng_next(rng);
        break;
    case MESSAGE_PONG:
        message->pong = (struct message_pong){rng_next(rng), random_addr(rng)};
        break;
    case MESSAGE_FIND_NODE:
    case MESSAGE_FIND_VALUE:
        random_bytes(rng, message->find_node.target.bytes, NODE_ID_LEN);
        message->find_node.count = random_wanted(rng);
        break;
    case MESSAGE_NODES:
    case MESSAGE_PEERS:
        random_contacts(&message->nodes.contacts, bare, rng);
        break;
    case MESSAGE_VALUE:
        random_value(&message->value, bare, rng, bytes);
        break;
    case MESSAGE_STORE:
        random_record(&message->store.record, rng, bytes);
        message->store.age_s = (uint32_t)rng_next(rng);
        message->store.is_cache =
            message->store.record.kind == RECORD_IMMUTABLE && random_fact(rng);
        break;
    case MESSAGE_STORED:
        message->stored = (struct message_stored){(uint8_t)rng_below(rng, STORED_INVALID + 1),
                                                  random_fact(rng), rng_next(rng)};
        break;
    case MESSAGE_SOUGHT:
        message->sought.number = (uint32_t)rng_next(rng);
        message->sought.is_found = random_fact(rng);
        message->sought.hops = (uint8_t)rng_next(rng);
        random_value(&message->sought.value, bare, rng, bytes);
        break;
    case MESSAGE_EXCHANGE:
        random_exchange(&message->exchange, rng, bytes);
        break;
    case MESSAGE_BROADCAST:
        random_broadcast(&message->broadcast, rng, bytes);
        break;
    case MESSAGE_HEARD:
        message->heard.was_new = random_fact(rng);
        break;
    case MESSAGE_APP:
        message->app.payload = random_slice(rng, bytes, MESSAGE_PAYLOAD_MAX);
        break;
    case MESSAGE_APP_DONE:
        message->app_done.status = (uint8_t)rng_next(rng);
        break;
    case MESSAGE_STATEMENT:
        random_statement(&message->statement, rng);
        break;
    case MESSAGE_STATED:
        message->stated.status = (uint8_t)rng_below(rng, LEDGER_INVALID + 1);
        random_said(&message->stated.said, rng);
        break;
    default:
        must(random_nat(message, rng, bytes));
    }
}

static bool slices_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool contacts_equal(const struct message_contacts *a, const struct message_contacts *b)
{
    return a->count == b->count &&
           memcmp(a->handles, b->handles, a->count * sizeof a->handles[0]) == 0;
}

static bool records_equal(const struct record *a, const struct record *b)
{
    return a->kind == b->kind && a->salt == b->salt && a->sequence == b->sequence &&
           a->expiry_s == b->expiry_s &&
           memcmp(a->publisher, b->publisher, sizeof a->publisher) == 0 &&
           memcmp(a->signature, b->signature, sizeof a->signature) == 0 &&
           slices_equal(a->value, b->value);
}

static bool said_equal(const struct iou_statement *a, const struct iou_statement *b)
{
    return a->state == b->state && a->said_s == b->said_s &&
           memcmp(a->signature, b->signature, sizeof a->signature) == 0;
}

static bool ious_equal(const struct iou *a, const struct iou *b)
{
    return memcmp(a->debtor, b->debtor, sizeof a->debtor) == 0 &&
           memcmp(a->creditor, b->creditor, sizeof a->creditor) == 0 && a->amount == b->amount &&
           a->nonce == b->nonce && a->created_s == b->created_s && a->due_s == b->due_s &&
           a->memo_len == b->memo_len && memcmp(a->memo, b->memo, sizeof a->memo) == 0 &&
           memcmp(a->signature, b->signature, sizeof a->signature) == 0;
}

static bool values_equal(const struct message_value *a, const struct message_value *b)
{
    if (a->has_record != b->has_record) {
        return false;
    }
    if (!a->has_record) {
        return contacts_equal(&a->contacts, &b->contacts);
    }
    return a->is_cached == b->is_cached && a->age_s == b->age_s &&
           records_equal(&a->record, &b->record);
}

static bool broadcasts_equal(const struct message_broadcast *a, const struct message_broadcast *b)
{
    return memcmp(a->id, b->id, sizeof a->id) == 0 &&
           memcmp(a->origin, b->origin, sizeof a->origin) == 0 &&
           memcmp(a->signature, b->signature, sizeof a->signature) == 0 && a->number == b->number &&
           a->hops == b->hops && slices_equal(a->payload, b->payload);
}

bool messages_equal(const struct message *a, const struct message *b)
{
    if (a->kind != b->kind || a->call != b->call) {
        return false;
    }
    switch ((enum message_kind)a->kind) {
    case MESSAGE_PING:
        return a->ping.nonce == b->ping.nonce;
    case MESSAGE_PONG:
        return a->pong.nonce == b->pong.nonce &&
               port_addr_equal(&a->pong.observed, &b->pong.observed);
    case MESSAGE_FIND_NODE:
    case MESSAGE_FIND_VALUE:
        return node_id_equal(&a->find_node.target, &b->find_node.target) &&
               a->find_node.count == b->find_node.count;
    case MESSAGE_NODES:
    case MESSAGE_PEERS:
        return contacts_equal(&a->nodes.contacts, &b->nodes.contacts);
    case MESSAGE_VALUE:
        return values_equal(&a->value, &b->value);
    case MESSAGE_STORE:
        return a->store.age_s == b->store.age_s && a->store.is_cache == b->store.is_cache &&
               records_equal(&a->store.record, &b->store.record);
    case MESSAGE_STORED:
        return a->stored.status == b->stored.status &&
               a->stored.is_durable == b->stored.is_durable &&
               a->stored.sequence == b->stored.sequence;
    case MESSAGE_SEEK:
        return a->seek.number == b->seek.number && a->seek.kind == b->seek.kind &&
               node_id_equal(&a->seek.target, &b->seek.target);
    case MESSAGE_SEEKING:
        return a->seeking.is_accepted == b->seeking.is_accepted;
    case MESSAGE_SOUGHT:
        return a->sought.number == b->sought.number && a->sought.is_found == b->sought.is_found &&
               a->sought.hops == b->sought.hops && values_equal(&a->sought.value, &b->sought.value);
    case MESSAGE_EXCHANGE:
        return a->exchange.ttl == b->exchange.ttl && a->exchange.wanted == b->exchange.wanted &&
               a->exchange.hash_count == b->exchange.hash_count &&
               a->exchange.salt == b->exchange.salt &&
               slices_equal(a->exchange.bloom, b->exchange.bloom);
    case MESSAGE_BROADCAST:
        return broadcasts_equal(&a->broadcast, &b->broadcast);
    case MESSAGE_HEARD:
        return a->heard.was_new == b->heard.was_new;
    case MESSAGE_APP:
        return slices_equal(a->app.payload, b->app.payload);
    case MESSAGE_APP_DONE:
        return a->app_done.status == b->app_done.status;
    case MESSAGE_STATEMENT:
        return ious_equal(&a->statement.iou, &b->statement.iou) &&
               said_equal(&a->statement.said, &b->statement.said);
    case MESSAGE_STATED:
        return a->stated.status == b->stated.status && said_equal(&a->stated.said, &b->stated.said);
    default:
        return nat_messages_equal(a, b);
    }
}
