/* record.c - keys, signatures and the order of records. */
#include "node/wire/record.h"

#include "node/base/hash.h"
#include "node/base/must.h"
#include "node/port/crypto_calls.h"
#include "node/wire/codec.h"

enum {
    /* kind, publisher, salt, sequence, expiry: what the signature covers besides the value. */
    BODY_HEADER_LEN = 1 + CRYPTO_PUBLIC_LEN + 4 + 8 + 4,
};

static size_t write_body(uint8_t *buffer, size_t cap, const struct record *record);
static bool is_shaped(const struct record *record);

void record_key(struct node_id *key, const struct record *record)
{
    if (record->kind == RECORD_IMMUTABLE) {
        hash_domain(key->bytes, sizeof key->bytes, "meshtwin value", record->value,
                    slice_of(NULL, 0));
        return;
    }
    if (record->kind == RECORD_PRESENCE) {
        contact_id(key, record->publisher);
        return;
    }
    uint8_t salt[4];
    struct writer writer = writer_of(salt, sizeof salt);
    write_u32(&writer, record->salt);
    hash_domain(key->bytes, sizeof key->bytes, "meshtwin mutable",
                slice_of(record->publisher, sizeof record->publisher), slice_of(salt, sizeof salt));
}

void record_body_hash(uint8_t hash[RECORD_HASH_LEN], const struct record *record)
{
    uint8_t body[BODY_HEADER_LEN + RECORD_VALUE_MAX];
    size_t len = write_body(body, sizeof body, record);
    hash_domain(hash, RECORD_HASH_LEN, "meshtwin body", slice_of(body, len), slice_of(NULL, 0));
}

void record_sign(struct port *port, struct record *record,
                 const uint8_t public_key[CRYPTO_PUBLIC_LEN],
                 const uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    must(record->kind != RECORD_IMMUTABLE);

    memcpy(record->publisher, public_key, sizeof record->publisher);
    must(is_shaped(record));
    uint8_t body[BODY_HEADER_LEN + RECORD_VALUE_MAX];
    size_t len = write_body(body, sizeof body, record);
    port_sign(port, record->signature, slice_of(body, len), secret_key);
}

bool record_is_valid(struct port *port, const struct record *record)
{
    if (!is_shaped(record)) {
        return false;
    }
    if (record->kind == RECORD_IMMUTABLE) {
        return true;
    }
    uint8_t body[BODY_HEADER_LEN + RECORD_VALUE_MAX];
    size_t len = write_body(body, sizeof body, record);
    return port_verify(port, record->signature, slice_of(body, len), record->publisher);
}

int record_compare(const struct record *candidate, const struct record *held)
{
    if (candidate->sequence != held->sequence) {
        return candidate->sequence > held->sequence ? 1 : -1;
    }
    uint8_t candidate_hash[RECORD_HASH_LEN];
    uint8_t held_hash[RECORD_HASH_LEN];
    record_body_hash(candidate_hash, candidate);
    record_body_hash(held_hash, held);
    /* Lower wins: any fixed rule does, as long as every holder applies the same one. */
    return memcmp(held_hash, candidate_hash, sizeof held_hash);
}

static size_t write_body(uint8_t *buffer, size_t cap, const struct record *record)
{
    struct writer writer = writer_of(buffer, cap);
    write_u8(&writer, record->kind);
    write_bytes(&writer, record->publisher, sizeof record->publisher);
    write_u32(&writer, record->salt);
    write_u64(&writer, record->sequence);
    write_u32(&writer, record->expiry_s);
    write_bytes(&writer, record->value.data, record->value.len);
    must(!writer.bad);
    return writer_len(&writer);
}

static bool is_shaped(const struct record *record)
{
    static const uint8_t zero[CRYPTO_SIGNATURE_LEN];
    if (record->value.len > RECORD_VALUE_MAX) {
        return false;
    }
    switch (record->kind) {
    case RECORD_IMMUTABLE:
        return record->sequence == 0 && record->salt == 0 &&
               record->expiry_s <= RECORD_EXPIRY_MAX_S &&
               memcmp(record->publisher, zero, sizeof record->publisher) == 0 &&
               memcmp(record->signature, zero, sizeof record->signature) == 0;
    case RECORD_MUTABLE:
        return record->expiry_s <= RECORD_EXPIRY_MAX_S;
    case RECORD_PRESENCE:
        return record->salt == 0 && record->expiry_s <= RECORD_EXPIRY_MAX_S;
    case RECORD_TOMBSTONE:
        return record->expiry_s == RECORD_TOMBSTONE_S && record->value.len == 0;
    default:
        return false;
    }
}
