/* test_voucher.c - vouchers are bound to all they say; presences have one form. */
#include <criterion/criterion.h>

#include "node/wire/record.h"
#include "tests/support/bare_port.h"
#include "tests/support/toy_suite.h"
#include "tests/unit/node_wire/random_message.h"

static struct bare_port *bare;
static struct rng rng;
static uint8_t relay_key[CRYPTO_PUBLIC_LEN];
static uint8_t relay_secret[CRYPTO_SECRET_LEN];
static uint8_t client_key[CRYPTO_PUBLIC_LEN];

static void setup(void)
{
    bare = bare_open(1);
    bare->port.crypto = &toy_suite;
    rng_seed(&rng, 3);
    uint8_t seed[CRYPTO_SEED_LEN] = {9};
    toy_suite.sign_keypair(seed, relay_key, relay_secret);
    random_bytes(&rng, client_key, sizeof client_key);
}

static void teardown(void)
{
    bare_close(bare);
}

TestSuite(voucher, .init = setup, .fini = teardown);

static struct voucher signed_voucher(void)
{
    struct voucher voucher = {
        .serial = 7, .life_s = 3600, .circuit_max = 1 << 20, .circuit_s = 120};
    voucher_sign(&bare->port, &voucher, client_key, relay_key, relay_secret);
    return voucher;
}

static bool is_genuine(const struct voucher *voucher)
{
    return voucher_is_genuine(&bare->port, voucher, client_key, relay_key);
}

Test(voucher, is_bound_to_everything_it_says)
{
    struct voucher voucher = signed_voucher();
    cr_assert(is_genuine(&voucher));
    struct voucher altered = voucher;
    altered.serial++;
    cr_expect_not(is_genuine(&altered), "serial");
    altered = voucher;
    altered.life_s++;
    cr_expect_not(is_genuine(&altered), "life");
    altered = voucher;
    altered.circuit_max++;
    cr_expect_not(is_genuine(&altered), "bytes");
    altered = voucher;
    altered.circuit_s++;
    cr_expect_not(is_genuine(&altered), "time");
    altered = voucher;
    altered.signature[63] ^= 1;
    cr_expect_not(is_genuine(&altered), "signature");
    client_key[0] ^= 1;
    cr_expect_not(is_genuine(&voucher), "client");
}

static struct presence random_presence(uint32_t relays)
{
    struct presence presence = {.relay_count = relays};
    for (uint32_t i = 0; i < relays; i++) {
        random_bytes(&rng, presence.relays[i].key, CRYPTO_PUBLIC_LEN);
        presence.relays[i].addr = random_addr(&rng);
        presence.relays[i].voucher = signed_voucher();
    }
    return presence;
}

Test(voucher, a_presence_is_read_as_it_was_written_and_in_no_other_form)
{
    for (int i = 0; i < 200; i++) {
        struct presence presence = random_presence((uint32_t)i % (PRESENCE_RELAYS_MAX + 1));
        uint8_t bytes[PRESENCE_LEN_MAX + 1];
        size_t len = presence_write(&presence, bytes);
        struct presence read;
        cr_assert_leq(len, RECORD_VALUE_MAX);
        cr_assert(presence_read(slice_of(bytes, len), &read));
        uint8_t again[PRESENCE_LEN_MAX];
        cr_assert_eq(presence_write(&read, again), len);
        cr_assert_arr_eq(again, bytes, len);
        for (size_t cut = 0; cut < len; cut++) {
            cr_assert_not(presence_read(slice_of(bytes, cut), &read), "cut to %zu", cut);
        }
        bytes[len] = 0;
        cr_assert_not(presence_read(slice_of(bytes, len + 1), &read), "trailing");
    }
}

Test(voucher, a_presence_lives_under_the_id_of_its_publisher)
{
    struct record record = {.kind = RECORD_PRESENCE, .expiry_s = 60};
    uint8_t seed[CRYPTO_SEED_LEN] = {4};
    uint8_t public_key[CRYPTO_PUBLIC_LEN];
    uint8_t secret_key[CRYPTO_SECRET_LEN];
    toy_suite.sign_keypair(seed, public_key, secret_key);
    record_sign(&bare->port, &record, public_key, secret_key);
    struct node_id id;
    struct node_id key;
    contact_id(&id, public_key);
    record_key(&key, &record);
    cr_assert(node_id_equal(&id, &key));
    cr_assert(record_is_valid(&bare->port, &record));
    record.salt = 1;
    cr_assert_not(record_is_valid(&bare->port, &record), "a presence has no salt");
}
