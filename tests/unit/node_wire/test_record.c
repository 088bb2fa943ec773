/* test_record.c - keys, shapes, the order and the signatures of records.
 *
 * Signatures are those of toy_suite.h where it does not matter whose they are. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/base/err.h"
#include "node/sodium/sodium_suite.h"
#include "node/wire/record.h"
#include "tests/support/bare_port.h"
#include "tests/support/toy_suite.h"

static struct bare_port *bare;
static uint8_t public_key[CRYPTO_PUBLIC_LEN];
static uint8_t secret_key[CRYPTO_SECRET_LEN];

static void setup(void)
{
    bare = bare_open(1);
    bare->port.crypto = &toy_suite;
    uint8_t seed[CRYPTO_SEED_LEN] = {9};
    toy_suite.sign_keypair(seed, public_key, secret_key);
}

static void teardown(void)
{
    bare_close(bare);
}

TestSuite(record, .init = setup, .fini = teardown);

static struct slice text(const char *letters)
{
    return slice_of(letters, strlen(letters));
}

static struct record mutable_record(uint64_t sequence, const char *value)
{
    struct record record = {.kind = RECORD_MUTABLE,
                            .salt = 5,
                            .sequence = sequence,
                            .expiry_s = 3600,
                            .value = text(value)};
    record_sign(&bare->port, &record, public_key, secret_key);
    return record;
}

static struct record tombstone(uint64_t sequence)
{
    struct record record = {
        .kind = RECORD_TOMBSTONE, .salt = 5, .sequence = sequence, .expiry_s = RECORD_TOMBSTONE_S};
    record_sign(&bare->port, &record, public_key, secret_key);
    return record;
}

Test(record, a_signed_record_is_valid_and_the_processor_is_charged)
{
    struct record record = mutable_record(1, "value");
    cr_assert_eq(bare->port.spent_ns, toy_suite.cost.sign_ns);
    cr_assert(record_is_valid(&bare->port, &record));
    cr_assert_eq(bare->port.spent_ns, toy_suite.cost.sign_ns + toy_suite.cost.verify_ns);
    struct record grave = tombstone(2);
    cr_assert(record_is_valid(&bare->port, &grave));
}

Test(record, every_signed_field_is_covered)
{
    struct record record = mutable_record(1, "value");
    struct record altered = record;
    altered.sequence++;
    cr_expect_not(record_is_valid(&bare->port, &altered), "sequence");
    altered = record;
    altered.salt++;
    cr_expect_not(record_is_valid(&bare->port, &altered), "salt");
    altered = record;
    altered.expiry_s++;
    cr_expect_not(record_is_valid(&bare->port, &altered), "expiry");
    altered = record;
    altered.value = text("Value");
    cr_expect_not(record_is_valid(&bare->port, &altered), "value");
    altered = record;
    altered.value = text("valu");
    cr_expect_not(record_is_valid(&bare->port, &altered), "length");
    altered = record;
    altered.publisher[0] ^= 1;
    cr_expect_not(record_is_valid(&bare->port, &altered), "publisher");
    altered = record;
    altered.signature[63] ^= 1;
    cr_expect_not(record_is_valid(&bare->port, &altered), "signature");
    altered = record;
    altered.kind = RECORD_TOMBSTONE;
    altered.value.len = 0;
    altered.expiry_s = RECORD_TOMBSTONE_S;
    cr_expect_not(record_is_valid(&bare->port, &altered), "kind");
}

Test(record, a_real_signature_covers_every_bit_of_it_and_of_the_value)
{
    cr_assert_eq(sodium_suite_init(), ERR_OK);
    bare->port.crypto = &sodium_suite;
    uint8_t seed[CRYPTO_SEED_LEN] = {1};
    sodium_suite.sign_keypair(seed, public_key, secret_key);
    uint8_t value[] = "thirty-two bytes of some value..";
    struct record record = {.kind = RECORD_MUTABLE,
                            .sequence = 1,
                            .expiry_s = 60,
                            .value = slice_of(value, sizeof value)};
    record_sign(&bare->port, &record, public_key, secret_key);
    cr_assert(record_is_valid(&bare->port, &record));
    for (size_t bit = 0; bit < 8 * sizeof value; bit++) {
        value[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_not(record_is_valid(&bare->port, &record), "value, bit %zu", bit);
        value[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * CRYPTO_SIGNATURE_LEN; bit++) {
        record.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_not(record_is_valid(&bare->port, &record), "signature, bit %zu", bit);
        record.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

Test(record, shapes_out_of_their_limits_are_refused_before_any_signature)
{
    static const uint8_t long_value[RECORD_VALUE_MAX + 1];
    struct record records[] = {
        mutable_record(1, "value"), mutable_record(1, "value"), tombstone(1), tombstone(1),
        mutable_record(1, "value"),
    };
    records[0].expiry_s = RECORD_EXPIRY_MAX_S + 1;
    records[1].value = slice_of(long_value, sizeof long_value);
    records[2].expiry_s = RECORD_TOMBSTONE_S - 1;
    records[3].value = text("not empty");
    records[4].kind = 4;
    bare->port.spent_ns = 0;
    for (size_t i = 0; i < array_len(records); i++) {
        cr_expect_not(record_is_valid(&bare->port, &records[i]), "record %zu", i);
    }
    cr_assert_eq(bare->port.spent_ns, 0);
}

Test(record, an_immutable_record_is_nothing_but_its_value)
{
    const struct record sound = {
        .kind = RECORD_IMMUTABLE, .expiry_s = 3600, .value = text("value")};
    cr_assert(record_is_valid(&bare->port, &sound));
    struct record altered = sound;
    altered.sequence = 1;
    cr_expect_not(record_is_valid(&bare->port, &altered), "sequence");
    altered = sound;
    altered.salt = 1;
    cr_expect_not(record_is_valid(&bare->port, &altered), "salt");
    altered = sound;
    altered.publisher[31] = 1;
    cr_expect_not(record_is_valid(&bare->port, &altered), "publisher");
    altered = sound;
    altered.signature[63] = 1;
    cr_expect_not(record_is_valid(&bare->port, &altered), "signature");
    altered = sound;
    altered.expiry_s = RECORD_EXPIRY_MAX_S + 1;
    cr_expect_not(record_is_valid(&bare->port, &altered), "expiry");
}

Test(record, keys_follow_value_or_publisher_and_salt)
{
    struct record value = {.kind = RECORD_IMMUTABLE, .value = text("value")};
    struct record other = {.kind = RECORD_IMMUTABLE, .value = text("other")};
    struct record first = mutable_record(1, "value");
    struct record second = mutable_record(2, "another");
    struct record grave = tombstone(3);
    struct record salted = first;
    salted.salt++;
    struct record stranger = first;
    stranger.publisher[5] ^= 1;

    struct node_id keys[7];
    const struct record *records[7] = {&value, &other, &first, &second, &grave, &salted, &stranger};
    for (int i = 0; i < 7; i++) {
        record_key(&keys[i], records[i]);
    }
    cr_assert(node_id_equal(&keys[2], &keys[3]), "sequence and value do not move a record");
    cr_assert(node_id_equal(&keys[2], &keys[4]), "a tombstone lies where its record was");
    static const int distinct[] = {0, 1, 2, 5, 6};
    for (size_t i = 0; i < array_len(distinct); i++) {
        for (size_t k = i + 1; k < array_len(distinct); k++) {
            cr_assert_not(node_id_equal(&keys[distinct[i]], &keys[distinct[k]]), "%zu %zu", i, k);
        }
    }
    /* An expiry is no part of what a value is. */
    value.expiry_s = 7;
    struct node_id again;
    record_key(&again, &value);
    cr_assert(node_id_equal(&again, &keys[0]));
}

Test(record, the_higher_sequence_wins_whatever_it_holds)
{
    struct record older = mutable_record(7, "older");
    struct record newer = mutable_record(8, "newer");
    struct record grave = tombstone(9);
    cr_assert_gt(record_compare(&newer, &older), 0);
    cr_assert_lt(record_compare(&older, &newer), 0);
    cr_assert_gt(record_compare(&grave, &newer), 0);
    cr_assert_eq(record_compare(&newer, &newer), 0);
}

/* Whatever order holders hear of equal sequences in, they all end with the same record. */
Test(record, equal_sequences_settle_on_the_lower_body_hash)
{
    struct record records[] = {
        mutable_record(7, "a"), mutable_record(7, "b"), mutable_record(7, "c"),
        tombstone(7),           mutable_record(7, ""),
    };
    const struct record *lowest = &records[0];
    for (size_t i = 0; i < array_len(records); i++) {
        uint8_t hash[RECORD_HASH_LEN];
        uint8_t lowest_hash[RECORD_HASH_LEN];
        record_body_hash(hash, &records[i]);
        record_body_hash(lowest_hash, lowest);
        if (memcmp(hash, lowest_hash, sizeof hash) < 0) {
            lowest = &records[i];
        }
    }
    for (size_t start = 0; start < array_len(records); start++) {
        const struct record *held = &records[start];
        for (size_t i = 0; i < array_len(records); i++) {
            const struct record *candidate = &records[(start * 3 + i * 2) % array_len(records)];
            held = record_compare(candidate, held) > 0 ? candidate : held;
        }
        cr_assert_eq(held, lowest, "starting with %zu", start);
    }
}

Test(record, the_signature_decides_nothing)
{
    struct record record = mutable_record(7, "a");
    struct record resigned = record;
    resigned.signature[0] ^= 1;
    cr_assert_eq(record_compare(&resigned, &record), 0);
    struct node_id keys[2];
    record_key(&keys[0], &record);
    record_key(&keys[1], &resigned);
    cr_assert(node_id_equal(&keys[0], &keys[1]));
}

Test(record, a_tombstone_outlives_what_it_suppresses)
{
    cr_assert_gt(RECORD_TOMBSTONE_S, RECORD_EXPIRY_MAX_S);
}

Test(record, signing_an_immutable_record_is_a_bug, .signal = SIGABRT)
{
    struct record record = {.kind = RECORD_IMMUTABLE};
    record_sign(&bare->port, &record, public_key, secret_key);
}

Test(record, signing_a_misshapen_record_is_a_bug, .signal = SIGABRT)
{
    struct record record = {.kind = RECORD_TOMBSTONE, .expiry_s = 1};
    record_sign(&bare->port, &record, public_key, secret_key);
}
