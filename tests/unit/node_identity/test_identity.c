/* test_identity.c - the identity outlives restarts and is never half-made. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/identity/identity.h"
#include "node/port/crypto_calls.h"
#include "node/sodium/sodium_suite.h"
#include "tests/support/toy_port.h"

static struct toy_world *world;
static struct core cores[2];

static void on_durable(struct toy_port *toy, uint64_t ticket)
{
    (void)toy;
    (void)ticket;
}

static void setup(void)
{
    cr_assert_eq(sodium_suite_init(), ERR_OK);
    world = toy_open(2, 1, &sodium_suite);
    for (uint32_t i = 0; i < 2; i++) {
        toy_at(world, i)->callbacks.on_durable = on_durable;
        cores[i] = (struct core){.port = &toy_at(world, i)->port};
    }
}

static void teardown(void)
{
    toy_close(world);
}

TestSuite(identity, .init = setup, .fini = teardown);

static int init_at(uint32_t index, struct identity *identity)
{
    toy_enter(toy_at(world, index));
    int status = identity_init(identity, &cores[index], NULL);
    toy_leave(toy_at(world, index));
    return status;
}

Test(identity, is_the_same_after_a_restart_on_the_same_disk)
{
    struct identity first;
    struct identity again;
    cr_assert_eq(init_at(0, &first), ERR_OK);
    uint64_t drawn = toy_at(world, 0)->entropy_bytes;
    cr_assert_eq(init_at(0, &again), ERR_OK);
    cr_assert_arr_eq(&first, &again, sizeof first);
    cr_assert_eq(toy_at(world, 0)->entropy_bytes, drawn);
    cr_assert_eq(toy_at(world, 0)->ticket_count, 1);
}

Test(identity, differs_between_disks)
{
    struct identity identities[2];
    cr_assert_eq(init_at(0, &identities[0]), ERR_OK);
    cr_assert_eq(init_at(1, &identities[1]), ERR_OK);
    cr_assert_not(node_id_equal(&identities[0].id, &identities[1].id));
}

Test(identity, holds_keys_and_an_id_that_belong_together)
{
    struct identity identity;
    cr_assert_eq(init_at(0, &identity), ERR_OK);
    struct port *port = &toy_at(world, 0)->port;
    struct node_id id;
    contact_id(&id, identity.public_key);
    cr_assert(node_id_equal(&id, &identity.id));
    uint8_t signature[CRYPTO_SIGNATURE_LEN];
    struct slice message = slice_of("message", 7);
    port_sign(port, signature, message, identity.secret_key);
    cr_assert(port_verify(port, signature, message, identity.public_key));
    uint8_t public_key[CRYPTO_AGREE_LEN];
    uint8_t secret_key[CRYPTO_AGREE_LEN];
    port_agree_keypair(port, identity.agree_secret, public_key, secret_key);
    cr_assert_arr_eq(public_key, identity.agree_public, sizeof public_key);
}

Test(identity, refuses_a_stored_seed_of_another_length)
{
    struct identity identity;
    struct port *port = &toy_at(world, 0)->port;
    uint8_t seed[CRYPTO_SEED_LEN + 1] = {0};
    const size_t lengths[] = {0, CRYPTO_SEED_LEN - 1, CRYPTO_SEED_LEN + 1};
    for (size_t i = 0; i < array_len(lengths); i++) {
        cr_assert_eq(
            port->ops->store_put(port, slice_of("identity", 8), slice_of(seed, lengths[i])),
            ERR_OK);
        cr_assert_eq(init_at(0, &identity), ERR_IO);
    }
}

Test(identity, is_not_made_on_a_disk_that_refuses)
{
    struct identity identity;
    toy_at(world, 0)->store_fails = true;
    cr_assert_eq(init_at(0, &identity), ERR_IO);
}
