/* test_contact.c - ids, distances, address groups and interning. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/base/hash.h"
#include "tests/support/bare_port.h"
#include "tests/unit/node_wire/random_message.h"

static struct node_id random_id(struct rng *rng)
{
    struct node_id id;
    random_bytes(rng, id.bytes, sizeof id.bytes);
    return id;
}

Test(contact, closeness_is_the_order_of_xor_distances)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 2000; i++) {
        struct node_id a = random_id(&rng);
        struct node_id b = random_id(&rng);
        struct node_id target = random_id(&rng);
        size_t equal = rng_below(&rng, NODE_ID_LEN + 1);
        memcpy(b.bytes, a.bytes, equal); /* So that late bytes decide as well. */

        uint8_t to_a[NODE_ID_LEN];
        uint8_t to_b[NODE_ID_LEN];
        for (int k = 0; k < NODE_ID_LEN; k++) {
            to_a[k] = a.bytes[k] ^ target.bytes[k];
            to_b[k] = b.bytes[k] ^ target.bytes[k];
        }
        int expected = memcmp(to_a, to_b, NODE_ID_LEN);
        int closer = node_id_closer(&a, &b, &target);
        cr_assert_eq(closer < 0, expected < 0);
        cr_assert_eq(closer > 0, expected > 0);
        cr_assert_eq(node_id_closer(&b, &a, &target) < 0, expected > 0);
    }
}

Test(contact, shared_bits_counts_up_to_the_first_that_differs)
{
    struct rng rng;
    rng_seed(&rng, 2);
    struct node_id a = random_id(&rng);
    cr_assert_eq(node_id_shared_bits(&a, &a), 160);
    for (int bit = 0; bit < 160; bit++) {
        struct node_id b = random_id(&rng);
        for (int k = 0; k < bit; k++) {
            uint8_t mask = (uint8_t)(0x80 >> (k % 8));
            b.bytes[k / 8] = (uint8_t)((b.bytes[k / 8] & ~mask) | (a.bytes[k / 8] & mask));
        }
        uint8_t mask = (uint8_t)(0x80 >> (bit % 8));
        b.bytes[bit / 8] = (uint8_t)((b.bytes[bit / 8] & ~mask) | (~a.bytes[bit / 8] & mask));
        cr_assert_eq(node_id_shared_bits(&a, &b), bit);
        cr_assert_eq(node_id_shared_bits(&b, &a), bit);
    }
}

Test(contact, an_id_is_the_hash_of_the_key_in_its_own_domain)
{
    uint8_t key[CRYPTO_PUBLIC_LEN] = {1, 2, 3};
    struct node_id id;
    contact_id(&id, key);
    uint8_t expected[NODE_ID_LEN];
    hash_domain(expected, sizeof expected, "meshtwin id", slice_of(key, sizeof key),
                slice_of(NULL, 0));
    cr_assert_arr_eq(id.bytes, expected, sizeof expected);
    cr_assert_eq(node_id_prefix(&id) >> 56, id.bytes[0]);
    cr_assert_eq(node_id_prefix(&id) & 0xff, id.bytes[7]);
}

Test(contact, equal_contacts_have_one_handle)
{
    struct bare_port *bare = bare_open(1);
    uint8_t key[CRYPTO_PUBLIC_LEN] = {7};
    struct port_addr addr = {.ip = {[10] = 0xff, 0xff, 10, 0, 0, 1}, .port = {1, 2}};
    struct port_addr moved = {.ip = {[10] = 0xff, 0xff, 10, 0, 0, 1}, .port = {1, 3}};
    uint32_t handle = contact_intern(&bare->port, key, &addr);
    cr_assert_neq(handle, PORT_INTERN_NONE);
    cr_assert_eq(contact_intern(&bare->port, key, &addr), handle);
    cr_assert_neq(contact_intern(&bare->port, key, &moved), handle);

    const struct contact *contact = contact_at(&bare->port, handle);
    struct node_id id;
    contact_id(&id, key);
    cr_assert(node_id_equal(&contact->id, &id));
    cr_assert_arr_eq(contact->key, key, sizeof key);
    cr_assert(port_addr_equal(&contact->addr, &addr));
    cr_assert_eq(contact_prefix(&bare->port, handle), node_id_prefix(&id));
    bare_close(bare);
}

Test(contact, address_groups_are_slash_24_and_slash_48)
{
    struct rng rng;
    rng_seed(&rng, 3);
    for (int i = 0; i < 1000; i++) {
        struct port_addr addr = random_addr(&rng);
        uint64_t group = contact_addr_group(&addr);
        cr_assert_neq(group, 0);
        int prefix_bits = port_addr_is_v4(&addr) ? 96 + 24 : 48;
        for (int bit = 0; bit < 128; bit++) {
            struct port_addr other = addr;
            other.ip[bit / 8] ^= (uint8_t)(0x80 >> (bit % 8));
            bool is_within = bit >= prefix_bits;
            cr_assert_eq(contact_addr_group(&other) == group, is_within, "bit %d", bit);
        }
        struct port_addr other = addr;
        other.port[0] ^= 1;
        cr_assert_eq(contact_addr_group(&other), group);
    }
}
