/* message.c - encoding and decoding of every message, one pair of functions each. */
#include "node/wire/message.h"

#include "node/base/err.h"
#include "node/base/must.h"
#include "node/base/prefetch.h"
#include "node/wire/addr.h"
#include "node/wire/codec.h"

enum {
    CONTACT_V4_LEN = 1 + CRYPTO_PUBLIC_LEN + 4 + 2,
    EXCHANGE_HASHES_MAX = 16,
    EXCHANGE_TTL_MAX = 3,
    PROBE_PADDING_LEN = MESSAGE_PROBE_LEN - MESSAGE_HEADER_LEN - 8 - 2,
    BOOLEAN_NAMES = 2, /* Canonical: a boolean is 0 or 1 and nothing else. */
};

/* --- parts --------------------------------------------------------------------------------- */

static bool read_boolean(struct reader *reader)
{
    uint8_t value = read_u8(reader);
    reader->bad |= value >= BOOLEAN_NAMES;
    return value == 1;
}

static void write_contacts(const struct port *port, struct writer *writer,
                           const struct message_contacts *contacts)
{
    for (uint32_t i = 0; i < contacts->count; i++) {
        /* Scattered over all contacts of the process: let them come all at once. */
        prefetch(contact_at(port, contacts->handles[i]), sizeof(struct contact));
    }
    uint8_t *count = writer->next;
    write_u8(writer, 0);
    for (uint32_t i = 0; i < contacts->count && !writer->bad; i++) {
        const struct contact *contact = contact_at(port, contacts->handles[i]);
        struct writer whole = *writer;
        write_bytes(&whole, contact->key, sizeof contact->key);
        write_addr(&whole, &contact->addr);
        if (whole.bad) {
            break; /* The nearest come first, so what is cut is worth least. */
        }
        *writer = whole;
        (*count)++;
    }
}

static void read_contacts(struct port *port, struct reader *reader,
                          struct message_contacts *contacts)
{
    uint8_t keys[MESSAGE_CONTACTS_MAX][PORT_INTERN_KEY];
    uint8_t listed = read_u8(reader);
    reader->bad |= listed > MESSAGE_CONTACTS_MAX;
    uint32_t read = 0;
    for (; read < listed && !reader->bad; read++) {
        const uint8_t *key = read_bytes(reader, CRYPTO_PUBLIC_LEN);
        struct port_addr addr;
        read_addr(reader, &addr);
        if (!reader->bad) {
            contact_key(keys[read], key, &addr);
        }
    }
    contacts->count = reader->bad ? 0 : read;
    contact_intern_all(port, (const uint8_t(*)[PORT_INTERN_KEY])keys, contacts->count,
                       contacts->handles);
}

static void release_contacts(struct port *port, struct message_contacts *contacts)
{
    for (uint32_t i = 0; i < contacts->count; i++) {
        port->ops->intern_release(port, contacts->handles[i]);
    }
    contacts->count = 0;
}

static void write_sized(struct writer *writer, struct slice bytes)
{
    write_u16(writer, (uint16_t)bytes.len);
    write_bytes(writer, bytes.data, bytes.len);
}

static struct slice read_sized(struct reader *reader, size_t max)
{
    size_t len = read_u16(reader);
    reader->bad |= len > max;
    const uint8_t *bytes = read_bytes(reader, len);
    return slice_of(bytes, bytes != NULL ? len : 0);
}

static void write_record(struct writer *writer, const struct record *record)
{
    write_u8(writer, record->kind);
    write_u32(writer, record->expiry_s);
    if (record->kind != RECORD_IMMUTABLE) {
        write_bytes(writer, record->publisher, sizeof record->publisher);
        write_u32(writer, record->salt);
        write_u64(writer, record->sequence);
        write_bytes(writer, record->signature, sizeof record->signature);
    }
    if (record->kind != RECORD_TOMBSTONE) {
        write_sized(writer, record->value);
    }
}

static void read_record(struct reader *reader, struct record *record)
{
    *record = (struct record){.kind = read_u8(reader)};
    record->expiry_s = read_u32(reader);
    reader->bad |= record->kind < RECORD_IMMUTABLE || record->kind >= RECORD_KIND_END;
    if (record->kind != RECORD_IMMUTABLE) {
        read_into(reader, record->publisher, sizeof record->publisher);
        record->salt = read_u32(reader);
        record->sequence = read_u64(reader);
        read_into(reader, record->signature, sizeof record->signature);
    }
    if (record->kind != RECORD_TOMBSTONE) {
        record->value = read_sized(reader, RECORD_VALUE_MAX);
    }
}

static void write_said(struct writer *writer, const struct iou_statement *said)
{
    write_u8(writer, said->state);
    if (said->state != IOU_OFFERED) {
        write_u32(writer, said->said_s);
        write_bytes(writer, said->signature, sizeof said->signature);
    }
}

static void read_said(struct reader *reader, struct iou_statement *said)
{
    *said = (struct iou_statement){.state = read_u8(reader)};
    reader->bad |= said->state >= IOU_STATE_COUNT;
    if (said->state != IOU_OFFERED) {
        said->said_s = read_u32(reader);
        read_into(reader, said->signature, sizeof said->signature);
    }
}

/* Zeros that make a message as long as what it may cause: canonical too. */
static void read_padding(struct reader *reader, size_t len)
{
    const uint8_t *bytes = read_bytes(reader, len);
    for (size_t i = 0; bytes != NULL && i < len; i++) {
        reader->bad |= bytes[i] != 0;
    }
}

static uint8_t read_wanted(struct reader *reader)
{
    uint8_t wanted = read_u8(reader);
    reader->bad |= wanted == 0 || wanted > MESSAGE_CONTACTS_MAX;
    return wanted;
}

/* --- bodies -------------------------------------------------------------------------------- */

static void encode_ping(const struct port *port, struct writer *writer,
                        const struct message_ping *ping)
{
    (void)port;
    write_u64(writer, ping->nonce);
}

static void decode_ping(struct port *port, struct reader *reader, struct message_ping *ping)
{
    (void)port;
    ping->nonce = read_u64(reader);
}

static void encode_pong(const struct port *port, struct writer *writer,
                        const struct message_pong *pong)
{
    (void)port;
    write_u64(writer, pong->nonce);
    write_addr(writer, &pong->observed);
}

static void decode_pong(struct port *port, struct reader *reader, struct message_pong *pong)
{
    (void)port;
    pong->nonce = read_u64(reader);
    read_addr(reader, &pong->observed);
}

static void encode_find_node(const struct port *port, struct writer *writer,
                             const struct message_find_node *find)
{
    (void)port;
    write_bytes(writer, find->target.bytes, NODE_ID_LEN);
    write_u8(writer, find->count);
}

static void decode_find_node(struct port *port, struct reader *reader,
                             struct message_find_node *find)
{
    (void)port;
    read_into(reader, find->target.bytes, NODE_ID_LEN);
    find->count = read_wanted(reader);
}

static void encode_nodes(const struct port *port, struct writer *writer,
                         const struct message_nodes *nodes)
{
    write_contacts(port, writer, &nodes->contacts);
}

static void decode_nodes(struct port *port, struct reader *reader, struct message_nodes *nodes)
{
    read_contacts(port, reader, &nodes->contacts);
}

static void encode_find_value(const struct port *port, struct writer *writer,
                              const struct message_find_value *find)
{
    (void)port;
    write_bytes(writer, find->key.bytes, NODE_ID_LEN);
    write_u8(writer, find->count);
}

static void decode_find_value(struct port *port, struct reader *reader,
                              struct message_find_value *find)
{
    (void)port;
    read_into(reader, find->key.bytes, NODE_ID_LEN);
    find->count = read_wanted(reader);
}

static void encode_value(const struct port *port, struct writer *writer,
                         const struct message_value *value)
{
    write_u8(writer, value->has_record);
    if (value->has_record) {
        write_u8(writer, value->is_cached);
        write_u32(writer, value->age_s);
        write_record(writer, &value->record);
    } else {
        write_contacts(port, writer, &value->contacts);
    }
}

static void decode_value(struct port *port, struct reader *reader, struct message_value *value)
{
    value->has_record = read_boolean(reader);
    value->contacts.count = 0;
    if (value->has_record) {
        value->is_cached = read_boolean(reader);
        value->age_s = read_u32(reader);
        read_record(reader, &value->record);
        /* A cache never serves what may have changed since. */
        reader->bad |= value->is_cached && value->record.kind != RECORD_IMMUTABLE;
    } else {
        read_contacts(port, reader, &value->contacts);
    }
}

static void encode_store(const struct port *port, struct writer *writer,
                         const struct message_store *store)
{
    (void)port;
    write_u32(writer, store->age_s);
    write_u8(writer, store->is_cache);
    write_record(writer, &store->record);
}

static void decode_store(struct port *port, struct reader *reader, struct message_store *store)
{
    (void)port;
    store->age_s = read_u32(reader);
    store->is_cache = read_boolean(reader);
    read_record(reader, &store->record);
    reader->bad |= store->is_cache && store->record.kind != RECORD_IMMUTABLE;
}

static void encode_stored(const struct port *port, struct writer *writer,
                          const struct message_stored *stored)
{
    (void)port;
    write_u8(writer, stored->status);
    write_u8(writer, stored->is_durable);
    write_u64(writer, stored->sequence);
}

static void decode_stored(struct port *port, struct reader *reader, struct message_stored *stored)
{
    (void)port;
    stored->status = read_u8(reader);
    reader->bad |= stored->status > STORED_INVALID;
    stored->is_durable = read_boolean(reader);
    stored->sequence = read_u64(reader);
}

static void encode_seek(const struct port *port, struct writer *writer,
                        const struct message_seek *seek)
{
    (void)port;
    write_u32(writer, seek->number);
    write_u8(writer, seek->kind);
    write_bytes(writer, seek->target.bytes, NODE_ID_LEN);
}

static void decode_seek(struct port *port, struct reader *reader, struct message_seek *seek)
{
    (void)port;
    seek->number = read_u32(reader);
    seek->kind = read_u8(reader);
    reader->bad |= seek->kind >= BOOLEAN_NAMES;
    read_into(reader, seek->target.bytes, NODE_ID_LEN);
}

static void encode_seeking(const struct port *port, struct writer *writer,
                           const struct message_seeking *seeking)
{
    (void)port;
    write_u8(writer, seeking->is_accepted);
}

static void decode_seeking(struct port *port, struct reader *reader,
                           struct message_seeking *seeking)
{
    (void)port;
    seeking->is_accepted = read_boolean(reader);
}

static void encode_sought(const struct port *port, struct writer *writer,
                          const struct message_sought *sought)
{
    write_u32(writer, sought->number);
    write_u8(writer, sought->is_found);
    write_u8(writer, sought->hops);
    encode_value(port, writer, &sought->value);
}

static void decode_sought(struct port *port, struct reader *reader, struct message_sought *sought)
{
    sought->number = read_u32(reader);
    sought->is_found = read_boolean(reader);
    sought->hops = read_u8(reader);
    decode_value(port, reader, &sought->value);
}

static void encode_exchange(const struct port *port, struct writer *writer,
                            const struct message_exchange *exchange)
{
    (void)port;
    write_u8(writer, exchange->ttl);
    write_u8(writer, exchange->wanted);
    write_u8(writer, exchange->hash_count);
    write_u32(writer, exchange->salt);
    write_sized(writer, exchange->bloom);
}

static void decode_exchange(struct port *port, struct reader *reader,
                            struct message_exchange *exchange)
{
    (void)port;
    exchange->ttl = read_u8(reader);
    reader->bad |= exchange->ttl > EXCHANGE_TTL_MAX;
    exchange->wanted = read_wanted(reader);
    exchange->hash_count = read_u8(reader);
    reader->bad |= exchange->hash_count == 0 || exchange->hash_count > EXCHANGE_HASHES_MAX;
    exchange->salt = read_u32(reader);
    exchange->bloom = read_sized(reader, MESSAGE_BLOOM_MAX);
}

static void encode_peers(const struct port *port, struct writer *writer,
                         const struct message_peers *peers)
{
    write_contacts(port, writer, &peers->contacts);
}

static void decode_peers(struct port *port, struct reader *reader, struct message_peers *peers)
{
    read_contacts(port, reader, &peers->contacts);
}

static void encode_broadcast(const struct port *port, struct writer *writer,
                             const struct message_broadcast *broadcast)
{
    (void)port;
    write_bytes(writer, broadcast->id, BROADCAST_ID_LEN);
    write_bytes(writer, broadcast->origin, CRYPTO_PUBLIC_LEN);
    write_u32(writer, broadcast->number);
    write_u8(writer, broadcast->hops);
    write_bytes(writer, broadcast->signature, sizeof broadcast->signature);
    write_sized(writer, broadcast->payload);
}

static void decode_broadcast(struct port *port, struct reader *reader,
                             struct message_broadcast *broadcast)
{
    (void)port;
    read_into(reader, broadcast->id, BROADCAST_ID_LEN);
    read_into(reader, broadcast->origin, CRYPTO_PUBLIC_LEN);
    broadcast->number = read_u32(reader);
    broadcast->hops = read_u8(reader);
    read_into(reader, broadcast->signature, sizeof broadcast->signature);
    broadcast->payload = read_sized(reader, MESSAGE_PAYLOAD_MAX);
}

static void encode_heard(const struct port *port, struct writer *writer,
                         const struct message_heard *heard)
{
    (void)port;
    write_u8(writer, heard->was_new);
}

static void decode_heard(struct port *port, struct reader *reader, struct message_heard *heard)
{
    (void)port;
    heard->was_new = read_boolean(reader);
}

static void encode_app(const struct port *port, struct writer *writer,
                       const struct message_app *app)
{
    (void)port;
    write_sized(writer, app->payload);
}

static void decode_app(struct port *port, struct reader *reader, struct message_app *app)
{
    (void)port;
    app->payload = read_sized(reader, MESSAGE_PAYLOAD_MAX);
}

static void encode_app_done(const struct port *port, struct writer *writer,
                            const struct message_app_done *done)
{
    (void)port;
    write_u8(writer, done->status);
}

static void decode_app_done(struct port *port, struct reader *reader, struct message_app_done *done)
{
    (void)port;
    done->status = read_u8(reader);
}

static void encode_statement(const struct port *port, struct writer *writer,
                             const struct message_statement *statement)
{
    (void)port;
    const struct iou *iou = &statement->iou;
    write_bytes(writer, iou->debtor, sizeof iou->debtor);
    write_bytes(writer, iou->creditor, sizeof iou->creditor);
    write_u64(writer, iou->amount);
    write_u64(writer, iou->nonce);
    write_u32(writer, iou->created_s);
    write_u32(writer, iou->due_s);
    write_sized(writer, slice_of(iou->memo, iou->memo_len));
    write_bytes(writer, iou->signature, sizeof iou->signature);
    write_said(writer, &statement->said);
}

static void decode_statement(struct port *port, struct reader *reader,
                             struct message_statement *statement)
{
    (void)port;
    struct iou *iou = &statement->iou;
    *iou = (struct iou){.amount = 0};
    read_into(reader, iou->debtor, sizeof iou->debtor);
    read_into(reader, iou->creditor, sizeof iou->creditor);
    iou->amount = read_u64(reader);
    iou->nonce = read_u64(reader);
    iou->created_s = read_u32(reader);
    iou->due_s = read_u32(reader);
    struct slice memo = read_sized(reader, IOU_MEMO_MAX);
    if (memo.len > 0) {
        memcpy(iou->memo, memo.data, memo.len);
    }
    iou->memo_len = (uint8_t)memo.len;
    read_into(reader, iou->signature, sizeof iou->signature);
    read_said(reader, &statement->said);
}

static void encode_stated(const struct port *port, struct writer *writer,
                          const struct message_stated *stated)
{
    (void)port;
    write_u8(writer, stated->status);
    write_said(writer, &stated->said);
}

static void decode_stated(struct port *port, struct reader *reader, struct message_stated *stated)
{
    (void)port;
    stated->status = read_u8(reader);
    reader->bad |= stated->status > LEDGER_INVALID;
    read_said(reader, &stated->said);
}

static void encode_probe(const struct port *port, struct writer *writer,
                         const struct message_probe *probe)
{
    (void)port;
    static const uint8_t padding[PROBE_PADDING_LEN];
    write_u64(writer, probe->nonce);
    write_u16(writer, probe->port);
    write_bytes(writer, padding, PROBE_PADDING_LEN);
}

static void decode_probe(struct port *port, struct reader *reader, struct message_probe *probe)
{
    (void)port;
    probe->nonce = read_u64(reader);
    probe->port = read_u16(reader);
    read_padding(reader, PROBE_PADDING_LEN);
}

static void encode_probed(const struct port *port, struct writer *writer,
                          const struct message_probed *probed)
{
    (void)port;
    write_u64(writer, probed->nonce);
    write_u64(writer, probed->own_nonce);
    write_addr(writer, &probed->observed);
}

static void decode_probed(struct port *port, struct reader *reader, struct message_probed *probed)
{
    (void)port;
    probed->nonce = read_u64(reader);
    probed->own_nonce = read_u64(reader);
    read_addr(reader, &probed->observed);
}

static void encode_proved(const struct port *port, struct writer *writer,
                          const struct message_proved *proved)
{
    (void)port;
    write_u64(writer, proved->nonce);
}

static void decode_proved(struct port *port, struct reader *reader, struct message_proved *proved)
{
    (void)port;
    proved->nonce = read_u64(reader);
}

static void encode_reach(const struct port *port, struct writer *writer,
                         const struct message_reach *reach)
{
    (void)port;
    write_u8(writer, reach->from);
}

static void decode_reach(struct port *port, struct reader *reader, struct message_reach *reach)
{
    (void)port;
    reach->from = read_u8(reader);
    reader->bad |= reach->from > REACH_FROM_STRANGER;
}

static void encode_reached(const struct port *port, struct writer *writer,
                           const struct message_reached *reached)
{
    (void)port;
    write_u8(writer, reached->status);
    write_addr(writer, &reached->observed);
    write_addr(writer, &reached->by);
}

static void decode_reached(struct port *port, struct reader *reader,
                           struct message_reached *reached)
{
    (void)port;
    reached->status = read_u8(reader);
    reader->bad |= reached->status > REACHED_UNKNOWN;
    read_addr(reader, &reached->observed);
    read_addr(reader, &reached->by);
}

static void encode_dial(const struct port *port, struct writer *writer,
                        const struct message_dial *dial)
{
    (void)port;
    static const uint8_t padding[MESSAGE_DIAL_LEN];
    const uint8_t *start = writer->next;
    write_bytes(writer, dial->key, sizeof dial->key);
    write_addr(writer, &dial->addr);
    write_bytes(writer, padding,
                MESSAGE_DIAL_LEN - MESSAGE_HEADER_LEN - (size_t)(writer->next - start));
}

static void decode_dial(struct port *port, struct reader *reader, struct message_dial *dial)
{
    (void)port;
    const uint8_t *start = reader->next;
    read_into(reader, dial->key, sizeof dial->key);
    read_addr(reader, &dial->addr);
    size_t read = (size_t)(reader->next - start);
    read_padding(reader, MESSAGE_DIAL_LEN - MESSAGE_HEADER_LEN - read);
}

static void encode_dialled(const struct port *port, struct writer *writer,
                           const struct message_dialled *dialled)
{
    (void)port;
    write_u8(writer, dialled->status);
}

static void decode_dialled(struct port *port, struct reader *reader,
                           struct message_dialled *dialled)
{
    (void)port;
    dialled->status = read_u8(reader);
    reader->bad |= dialled->status > REACHED_UNKNOWN;
}

static void encode_reserve(const struct port *port, struct writer *writer,
                           const struct message_reserve *reserve)
{
    (void)port;
    write_u32(writer, reserve->life_s);
}

static void decode_reserve(struct port *port, struct reader *reader,
                           struct message_reserve *reserve)
{
    (void)port;
    reserve->life_s = read_u32(reader);
}

static void encode_reserved(const struct port *port, struct writer *writer,
                            const struct message_reserved *reserved)
{
    (void)port;
    write_u8(writer, reserved->status);
    if (reserved->status == RELAY_OK) {
        write_voucher(writer, &reserved->voucher);
    }
}

static void decode_reserved(struct port *port, struct reader *reader,
                            struct message_reserved *reserved)
{
    (void)port;
    reserved->status = read_u8(reader);
    reader->bad |= reserved->status >= RELAY_STATUS_COUNT;
    if (reserved->status == RELAY_OK) {
        read_voucher(reader, &reserved->voucher);
    }
}

static void encode_connect(const struct port *port, struct writer *writer,
                           const struct message_connect *connect)
{
    (void)port;
    write_bytes(writer, connect->target, sizeof connect->target);
    write_voucher(writer, &connect->voucher);
}

static void decode_connect(struct port *port, struct reader *reader,
                           struct message_connect *connect)
{
    (void)port;
    read_into(reader, connect->target, sizeof connect->target);
    read_voucher(reader, &connect->voucher);
}

static void encode_connected(const struct port *port, struct writer *writer,
                             const struct message_connected *connected)
{
    (void)port;
    write_u8(writer, connected->status);
    write_u32(writer, connected->circuit);
}

static void decode_connected(struct port *port, struct reader *reader,
                             struct message_connected *connected)
{
    (void)port;
    connected->status = read_u8(reader);
    reader->bad |= connected->status >= RELAY_STATUS_COUNT;
    connected->circuit = read_u32(reader);
}

/* What follows the `len` bytes of the body. */
static size_t punch_padding(const struct message_punch *punch, size_t len)
{
    size_t len_min = (size_t)message_punch_probes(punch->count) * PUNCH_PROBE_LEN;
    len += MESSAGE_HEADER_LEN;
    return len < len_min ? len_min - len : 0;
}

static void encode_punch(const struct port *port, struct writer *writer,
                         const struct message_punch *punch)
{
    (void)port;
    static const uint8_t padding[PUNCH_PROBES_MAX * PUNCH_PROBE_LEN];
    const uint8_t *start = writer->next;
    write_u8(writer, punch->round);
    write_u8(writer, punch->mapping);
    write_u8(writer, punch->filtering);
    write_u8(writer, punch->count);
    for (uint32_t i = 0; i < punch->count; i++) {
        write_u8(writer, punch->candidates[i].type);
        write_addr(writer, &punch->candidates[i].addr);
    }
    write_bytes(writer, padding, punch_padding(punch, (size_t)(writer->next - start)));
}

static void decode_punch(struct port *port, struct reader *reader, struct message_punch *punch)
{
    (void)port;
    const uint8_t *start = reader->next;
    punch->round = read_u8(reader);
    punch->mapping = read_u8(reader);
    punch->filtering = read_u8(reader);
    punch->count = read_u8(reader);
    reader->bad |= punch->count > PUNCH_CANDIDATES_MAX;
    for (uint32_t i = 0; i < punch->count && !reader->bad; i++) {
        punch->candidates[i].type = read_u8(reader);
        reader->bad |= punch->candidates[i].type >= CANDIDATE_TYPE_COUNT;
        read_addr(reader, &punch->candidates[i].addr);
    }
    if (!reader->bad) {
        read_padding(reader, punch_padding(punch, (size_t)(reader->next - start)));
    }
}

static void encode_punching(const struct port *port, struct writer *writer,
                            const struct message_punching *punching)
{
    encode_punch(port, writer, &punching->side);
}

static void decode_punching(struct port *port, struct reader *reader,
                            struct message_punching *punching)
{
    decode_punch(port, reader, &punching->side);
}

static void encode_punch_go(const struct port *port, struct writer *writer,
                            const struct message_punch_go *go)
{
    (void)port;
    write_u8(writer, go->round);
}

static void decode_punch_go(struct port *port, struct reader *reader, struct message_punch_go *go)
{
    (void)port;
    go->round = read_u8(reader);
}

static void encode_relay(const struct port *port, struct writer *writer,
                         const struct message_relay *relay)
{
    (void)port;
    write_sized(writer, relay->datagram);
}

static void decode_relay(struct port *port, struct reader *reader, struct message_relay *relay)
{
    (void)port;
    relay->datagram = read_sized(reader, MESSAGE_RELAYED_MAX);
    reader->bad |= relay->datagram.len == 0;
}

static void encode_hung_up(const struct port *port, struct writer *writer,
                           const struct message_hung_up *hung_up)
{
    (void)port;
    write_u8(writer, hung_up->reason);
}

static void decode_hung_up(struct port *port, struct reader *reader,
                           struct message_hung_up *hung_up)
{
    (void)port;
    hung_up->reason = read_u8(reader);
    reader->bad |= hung_up->reason >= HUNG_UP_REASON_COUNT;
}

/* --- the table ----------------------------------------------------------------------------- */

int message_encode(const struct port *port, const struct message *message, uint8_t *buffer,
                   size_t cap)
{
    struct writer writer = writer_of(buffer, cap);
    write_u8(&writer, message->kind);
    write_u32(&writer, message->call);
    switch (message->kind) {
#define MESSAGE_CASE(name, number, body, text, owner, class)                                       \
    case (number):                                                                                 \
        encode_##body(port, &writer, &message->body);                                              \
        break;
        MESSAGES(MESSAGE_CASE)
#undef MESSAGE_CASE
    default:
        must(message_kind_is_known(message->kind));
    }
    return writer.bad ? ERR_TOO_LARGE : (int)writer_len(&writer);
}

bool message_decode(struct port *port, struct slice bytes, struct message *message)
{
    struct reader reader = reader_of(bytes);
    message->kind = read_u8(&reader);
    message->call = read_u32(&reader);
    switch (message->kind) {
#define MESSAGE_CASE(name, number, body, text, owner, class)                                       \
    case (number):                                                                                 \
        decode_##body(port, &reader, &message->body);                                              \
        break;
        MESSAGES(MESSAGE_CASE)
#undef MESSAGE_CASE
    default:
        return false;
    }
    if (reader.bad || reader_left(&reader) != 0) {
        message_release(port, message);
        return false;
    }
    return true;
}

void message_release(struct port *port, struct message *message)
{
    switch (message->kind) {
    case MESSAGE_NODES:
        release_contacts(port, &message->nodes.contacts);
        break;
    case MESSAGE_VALUE:
        release_contacts(port, &message->value.contacts);
        break;
    case MESSAGE_SOUGHT:
        release_contacts(port, &message->sought.value.contacts);
        break;
    case MESSAGE_PEERS:
        release_contacts(port, &message->peers.contacts);
        break;
    default:
        break;
    }
}

enum message_class message_class_of(uint8_t kind)
{
    switch (kind) {
#define MESSAGE_CASE(name, number, body, text, owner, class)                                       \
    case (number):                                                                                 \
        return MESSAGE_##class;
        MESSAGES(MESSAGE_CASE)
#undef MESSAGE_CASE
    default:
        return MESSAGE_REPLY;
    }
}

bool message_kind_is_known(uint8_t kind)
{
    switch (kind) {
#define MESSAGE_CASE(name, number, body, text, owner, class) case (number):
        MESSAGES(MESSAGE_CASE)
#undef MESSAGE_CASE
        return true;
    default:
        return false;
    }
}

const char *message_text(uint8_t kind)
{
    switch (kind) {
#define MESSAGE_CASE(name, number, body, text, owner, class)                                       \
    case (number):                                                                                 \
        return (text);
        MESSAGES(MESSAGE_CASE)
#undef MESSAGE_CASE
    default:
        return "unknown";
    }
}

size_t message_answer_max(const struct message *request)
{
    /* Contact lists are cut to fit, so a v6 neighbourhood gets fewer contacts, not a larger answer.
     */
    switch (request->kind) {
    case MESSAGE_PING:
        return MESSAGE_HEADER_LEN + 8 + 1 + sizeof(struct port_addr);
    case MESSAGE_FIND_NODE:
        return MESSAGE_HEADER_LEN + 1 + (size_t)request->find_node.count * CONTACT_V4_LEN;
    case MESSAGE_EXCHANGE:
        return MESSAGE_HEADER_LEN + 1 + (size_t)request->exchange.wanted * CONTACT_V4_LEN;
    case MESSAGE_FIND_VALUE:
        return MESSAGE_MAX;
    case MESSAGE_STATEMENT:
        return MESSAGE_HEADER_LEN + 1 + 1 + 4 + CRYPTO_SIGNATURE_LEN;
    case MESSAGE_RESERVE:
        return MESSAGE_HEADER_LEN + 1 + VOUCHER_LEN;
    case MESSAGE_PUNCH:
        return MESSAGE_MAX;
    case MESSAGE_REACH:
        return MESSAGE_HEADER_LEN + 1 + 2 * (1 + sizeof(struct port_addr));
    default:
        return MESSAGE_HEADER_LEN + 16;
    }
}
