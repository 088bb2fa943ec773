/* test_noise.c - both handshakes against the vectors of the cacophony project, and what must fail.
 */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/port/crypto_calls.h"
#include "node/sodium/sodium_suite.h"
#include "node/transport/noise.h"
#include "tests/support/vectors.h"

enum {
    MESSAGE_LEN_MAX = 512,
};

struct party {
    struct noise noise;
    struct noise_static own;
    struct vector_bytes static_secret;
    uint8_t static_public[CRYPTO_AGREE_LEN];
    struct vector_bytes ephemeral;
    struct vector_bytes prologue;
    uint8_t send_key[CRYPTO_AGREE_LEN];
    uint8_t receive_key[CRYPTO_AGREE_LEN];
    uint64_t sent;
    uint64_t received;
};

static struct port port = {.crypto = &sodium_suite};
static struct party parties[2]; /* Initiator, responder. */

static void setup(void)
{
    cr_assert_eq(sodium_suite_init(), ERR_OK);
}

TestSuite(noise, .init = setup);

static void load_party(struct party *party, const cJSON *vector, bool is_initiator)
{
    vector_hex(vector, is_initiator ? "init_static" : "resp_static", &party->static_secret);
    vector_hex(vector, is_initiator ? "init_ephemeral" : "resp_ephemeral", &party->ephemeral);
    vector_hex(vector, is_initiator ? "init_prologue" : "resp_prologue", &party->prologue);
    uint8_t secret[CRYPTO_AGREE_LEN];
    sodium_suite.agree_keypair(party->static_secret.bytes, party->static_public, secret);
    party->own = (struct noise_static){party->static_public, party->static_secret.bytes};
}

static void start_both(enum noise_pattern pattern)
{
    for (int i = 0; i < 2; i++) {
        struct party *party = &parties[i];
        const uint8_t *peer = pattern == NOISE_IK && i == 0 ? parties[1].static_public : NULL;
        noise_start(&party->noise, &port, pattern, i == 0,
                    slice_of(party->prologue.bytes, party->prologue.len), &party->own, peer);
    }
}

static size_t prefix_len(enum noise_pattern pattern, int step)
{
    static const size_t prefixes[][3] = {
        [NOISE_IK] = {NOISE_IK_1_PREFIX, NOISE_IK_2_PREFIX},
        [NOISE_XX] = {NOISE_XX_1_PREFIX, NOISE_XX_2_PREFIX, NOISE_XX_3_PREFIX},
    };
    return prefixes[pattern][step];
}

static void exchange_handshake(enum noise_pattern pattern, int step, struct slice payload,
                               const struct vector_bytes *expected)
{
    struct party *from = &parties[step % 2];
    struct party *to = &parties[1 - step % 2];
    uint8_t message[MESSAGE_LEN_MAX];
    uint8_t opened[MESSAGE_LEN_MAX];
    size_t opened_len = 0;
    memcpy(message + prefix_len(pattern, step), payload.data, payload.len);
    int len =
        noise_write(&from->noise, &port, &from->own, from->ephemeral.bytes, message, payload.len);
    cr_assert_eq(len, (int)expected->len);
    cr_assert_arr_eq(message, expected->bytes, expected->len);
    cr_assert(noise_read(&to->noise, &port, &to->own, slice_of(message, (size_t)len), opened,
                         &opened_len));
    cr_assert_eq(opened_len, payload.len);
    cr_assert_arr_eq(opened, payload.data, payload.len);
}

static void exchange_transport(int step, struct slice payload, const struct vector_bytes *expected)
{
    struct party *from = &parties[step % 2];
    struct party *to = &parties[1 - step % 2];
    uint8_t message[MESSAGE_LEN_MAX];
    uint8_t opened[MESSAGE_LEN_MAX];
    struct slice none = slice_of(NULL, 0);
    port_seal(&port, message, payload, none, from->sent++, from->send_key);
    cr_assert_eq(expected->len, payload.len + CRYPTO_TAG_LEN);
    cr_assert_arr_eq(message, expected->bytes, expected->len);
    cr_assert(port_unseal(&port, opened, slice_of(message, expected->len), none, to->received++,
                          to->receive_key));
    cr_assert_arr_eq(opened, payload.data, payload.len);
}

static void run_vector(const cJSON *vector, enum noise_pattern pattern)
{
    memset(parties, 0, sizeof parties);
    load_party(&parties[0], vector, true);
    load_party(&parties[1], vector, false);
    start_both(pattern);

    static struct vector_bytes payload, expected;
    int step = 0;
    const cJSON *message;
    cJSON_ArrayForEach(message, cJSON_GetObjectItemCaseSensitive(vector, "messages"))
    {
        vector_hex(message, "payload", &payload);
        vector_hex(message, "ciphertext", &expected);
        struct slice bytes = slice_of(payload.bytes, payload.len);
        if (!noise_is_done(&parties[0].noise)) {
            exchange_handshake(pattern, step, bytes, &expected);
        } else {
            exchange_transport(step, bytes, &expected);
        }
        step++;
        if (noise_is_done(&parties[0].noise) && parties[0].sent + parties[1].sent == 0) {
            for (int i = 0; i < 2; i++) {
                noise_split(&parties[i].noise, &port, parties[i].send_key, parties[i].receive_key);
            }
        }
    }
    vector_hex(vector, "handshake_hash", &expected);
    cr_assert_arr_eq(parties[0].noise.hash, expected.bytes, CRYPTO_HASH_LEN);
    cr_assert_arr_eq(parties[1].noise.hash, expected.bytes, CRYPTO_HASH_LEN);
    cr_assert_gt(parties[0].sent, 0);
    cr_assert_gt(parties[1].sent, 0);
}

static void run_vectors_of(const char *protocol, enum noise_pattern pattern)
{
    cJSON *file = vectors_open("noise/cacophony_25519_chachapoly.json");
    const cJSON *list =
        cJSON_IsArray(file) ? file : cJSON_GetObjectItemCaseSensitive(file, "vectors");
    int found = 0;
    const cJSON *vector;
    cJSON_ArrayForEach(vector, list)
    {
        if (strcmp(vector_text(vector, "protocol_name"), protocol) == 0) {
            run_vector(vector, pattern);
            found++;
        }
    }
    cJSON_Delete(file);
    cr_assert_gt(found, 0, "no vectors for %s", protocol);
}

Test(noise, ik_equals_the_published_vectors)
{
    run_vectors_of("Noise_IK_25519_ChaChaPoly_SHA256", NOISE_IK);
}

Test(noise, xx_equals_the_published_vectors)
{
    run_vectors_of("Noise_XX_25519_ChaChaPoly_SHA256", NOISE_XX);
}

/* Two parties with keys of their own and equal prologues. */
static void make_parties(void)
{
    memset(parties, 0, sizeof parties);
    for (uint8_t i = 0; i < 2; i++) {
        struct party *party = &parties[i];
        uint8_t seed[CRYPTO_SEED_LEN] = {(uint8_t)(i + 1)};
        sodium_suite.agree_keypair(seed, party->static_public, party->static_secret.bytes);
        memset(party->ephemeral.bytes, i + 10, CRYPTO_AGREE_LEN);
        party->own = (struct noise_static){party->static_public, party->static_secret.bytes};
    }
}

/* Whether the responder accepts the first IK message after `spoil` had its way with it. */
static bool ik_1_arrives(void (*spoil)(uint8_t *message, int len), int at)
{
    uint8_t message[MESSAGE_LEN_MAX];
    uint8_t payload[MESSAGE_LEN_MAX];
    size_t payload_len;
    start_both(NOISE_IK);
    memset(message + NOISE_IK_1_PREFIX, 'x', 9);
    int len = noise_write(&parties[0].noise, &port, &parties[0].own, parties[0].ephemeral.bytes,
                          message, 9);
    cr_assert_gt(len, 0);
    if (spoil != NULL) {
        spoil(message, at < len ? at : len - 1);
    }
    return noise_read(&parties[1].noise, &port, &parties[1].own, slice_of(message, (size_t)len),
                      payload, &payload_len);
}

static void flip_bit(uint8_t *message, int at)
{
    message[at] ^= 0x10;
}

static void make_low_order(uint8_t *message, int at)
{
    (void)at;
    memset(message, 0, CRYPTO_AGREE_LEN);
}

Test(noise, refuses_a_message_with_any_byte_altered)
{
    make_parties();
    cr_assert(ik_1_arrives(NULL, 0));
    for (int at = 0; at < NOISE_IK_1_PREFIX + 9 + CRYPTO_TAG_LEN; at++) {
        cr_assert_not(ik_1_arrives(flip_bit, at), "byte %d", at);
    }
}

Test(noise, refuses_an_ephemeral_key_of_low_order)
{
    make_parties();
    cr_assert_not(ik_1_arrives(make_low_order, 0));
}

Test(noise, does_not_write_to_a_static_key_of_low_order)
{
    make_parties();
    memset(parties[1].static_public, 0, CRYPTO_AGREE_LEN);
    uint8_t message[MESSAGE_LEN_MAX];
    start_both(NOISE_IK);
    cr_assert_eq(noise_write(&parties[0].noise, &port, &parties[0].own, parties[0].ephemeral.bytes,
                             message, 0),
                 ERR_INVALID);
}

Test(noise, refuses_another_prologue)
{
    make_parties();
    parties[1].prologue.len = 1;
    cr_assert_not(ik_1_arrives(NULL, 0));
}

Test(noise, refuses_messages_cut_short)
{
    make_parties();
    uint8_t message[MESSAGE_LEN_MAX];
    uint8_t payload[MESSAGE_LEN_MAX];
    size_t payload_len;
    for (size_t len = 0; len < NOISE_IK_1_PREFIX + CRYPTO_TAG_LEN; len++) {
        start_both(NOISE_IK);
        cr_assert_gt(noise_write(&parties[0].noise, &port, &parties[0].own,
                                 parties[0].ephemeral.bytes, message, 0),
                     0);
        cr_assert_not(noise_read(&parties[1].noise, &port, &parties[1].own, slice_of(message, len),
                                 payload, &payload_len));
    }
}

Test(noise, charges_the_processor_for_every_primitive)
{
    make_parties();
    port.spent_ns = 0;
    cr_assert(ik_1_arrives(NULL, 0));
    /* One key pair and two agreements to write, two agreements to read. */
    uint64_t curve_ns = sodium_suite.cost.agree_keypair_ns + 4ull * sodium_suite.cost.agree_ns;
    cr_assert_gt(port.spent_ns, curve_ns);
    cr_assert_lt(port.spent_ns, curve_ns + curve_ns / 4);
}
