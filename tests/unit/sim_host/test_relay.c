/* test_relay.c - what a relay gives, to whom, and how exactly it counts. */
#include <criterion/criterion.h>

#include "tests/support/client_world.h"

static struct client_world *world;

/* One relay, so that every circuit is its. */
static void open_world(uint32_t clients)
{
    world = client_world_open(1, clients, 5);
    world->client.nat.has_punching = false;
    world->client.nat.relays_wanted = 1;
}

static void start_world(void)
{
    client_world_add_clients(world);
    client_world_start(world);
}

static struct nat *nat_of(struct host *host)
{
    return &host->node->nat;
}

static struct nat *relay(void)
{
    return nat_of(world_host(world->world, 0));
}

static void close_world(void)
{
    client_world_close(world);
}

Test(relay, counts_every_byte_once)
{
    open_world(4);
    start_world();
    for (int round = 0; round < 5; round++) {
        for (uint32_t from = 0; from < 4; from++) {
            for (uint32_t to = 0; to < 4; to++) {
                if (from != to) {
                    cr_assert_eq(client_world_send(world, client_world_client(world, from),
                                                   client_world_client(world, to)),
                                 ERR_OK);
                }
            }
        }
    }
    client_world_run(world, 5 * CLIENT_SECOND);
    uint64_t wrapped = 0;
    uint64_t unwrapped = 0;
    for (uint32_t i = 0; i < 4; i++) {
        wrapped += nat_of(client_world_client(world, i))->counts.wrapped_bytes;
        unwrapped += nat_of(client_world_client(world, i))->counts.unwrapped_bytes;
    }
    cr_assert_gt(wrapped, 5 * 12 * 100);
    cr_assert_eq(relay()->counts.relayed_bytes, wrapped);
    cr_assert_eq(relay()->counts.relayed_bytes, unwrapped);
    close_world();
}

/* A reservation without a session is a promise that cannot be kept. */
Test(relay, promises_no_more_than_its_sessions_allow)
{
    open_world(12);
    world->server.transport.sessions_max = 16;
    start_world();
    client_world_run(world, 60 * CLIENT_SECOND);
    cr_assert_eq(nat_reservation_count(relay()), 8, "half of its table");
    cr_assert_gt(relay()->counts.refused, 0);
    uint32_t peers[16];
    cr_assert_eq(nat_clients(relay(), peers, 16), 8, "and each of them has one");
    close_world();
}

Test(relay, ends_a_circuit_at_its_last_byte)
{
    open_world(2);
    world->server.nat.circuit_bytes = 3000;
    start_world();
    struct host *from = client_world_client(world, 0);
    struct host *to = client_world_client(world, 1);
    uint64_t given = 0;
    for (int i = 0; i < 200; i++) {
        uint64_t before = relay()->counts.relayed_bytes;
        /* Some are lost with their circuit; the next opens another. */
        (void)client_world_send(world, from, to);
        given = relay()->counts.relayed_bytes > before ? given + 1 : given;
        cr_assert_leq(relay()->counts.relayed_bytes, 3000 * relay()->counts.circuits_given);
    }
    cr_assert_gt(relay()->counts.circuits_given, 3);
    cr_assert_gt(given, 30);
    close_world();
}

Test(relay, ends_a_circuit_when_its_time_is_over)
{
    open_world(2);
    world->server.nat.circuit_s = 20;
    start_world();
    cr_assert_eq(
        client_world_send(world, client_world_client(world, 0), client_world_client(world, 1)),
        ERR_OK);
    cr_assert_eq(nat_circuit_count(relay()), 1);
    client_world_run(world, 18 * CLIENT_SECOND);
    cr_assert_eq(nat_circuit_count(relay()), 1);
    client_world_run(world, 4 * CLIENT_SECOND);
    cr_assert_eq(nat_circuit_count(relay()), 0);
    close_world();
}

/* Comes back with a new identity each time, from the same address: the group pays. */
Test(relay, gives_a_reconnecting_abuser_no_more_than_its_group_has)
{
    open_world(2);
    world->server.nat.circuits_per_hour = 2;
    world->server.nat.reservations_per_hour = 3;
    world->server.nat.circuit_s = 20;
    start_world();
    struct host *abuser = client_world_client(world, 0);
    struct host *to = client_world_client(world, 1);
    uint8_t seed[CRYPTO_SEED_LEN] = {0};
    struct node_config config = world->client;
    config.identity_seed = seed;
    for (int life = 0; life < 12; life++) {
        seed[0] = (uint8_t)(life + 1);
        host_kill(abuser);
        cr_assert_eq(host_start(abuser, &config), ERR_OK);
        client_world_run(world, 5 * CLIENT_SECOND);
        for (int i = 0; i < 3; i++) {
            (void)client_world_send(world, abuser, to);
            client_world_run(world, 22 * CLIENT_SECOND); /* The circuit is over. */
        }
    }
    cr_assert_eq(relay()->counts.circuits_given, 8, "four times what one peer has");
    cr_assert_leq(relay()->counts.reservations_given, 1 + 12);
    cr_assert_gt(relay()->counts.refused, 0);
    close_world();
}

static uint32_t call_status;

static void on_connected(void *owner, const struct call_result *result)
{
    (void)owner;
    if (result->outcome == CALL_ANSWERED) {
        call_status = result->answer->connected.status;
    }
}

/* CONNECT to the relay with this voucher, as the enterer. */
struct show {
    struct voucher voucher;
    uint8_t target[CRYPTO_PUBLIC_LEN];
};

static void show_voucher(struct node *node, void *arg)
{
    const struct show *show = arg;
    struct message request = {.kind = MESSAGE_CONNECT, .connect = {.voucher = show->voucher}};
    memcpy(request.connect.target, show->target, sizeof show->target);
    struct call_options options = {.done = on_connected};
    uint32_t peers[8];
    cr_assert_eq(dht_contacts(&node->dht, peers, 8), 1);
    cr_assert_gt(transport_call(&node->transport, peers[0], &request, &options), 0);
    timerq_settle(&node->core.timers);
}

static uint32_t shown(struct host *caller, struct show *show)
{
    call_status = UINT32_MAX;
    host_enter(caller, show_voucher, show);
    client_world_run(world, CLIENT_SECOND);
    return call_status;
}

Test(relay, takes_its_own_vouchers_and_no_others)
{
    open_world(2);
    start_world();
    struct host *caller = client_world_client(world, 0);
    struct host *client = client_world_client(world, 1);
    struct show show;
    cr_assert(nat_voucher(nat_of(client), 0, &show.voucher));
    memcpy(show.target, client->node->identity.public_key, sizeof show.target);
    cr_expect_eq(shown(caller, &show), RELAY_OK);

    struct show lie = show;
    lie.voucher.circuit_max *= 2;
    cr_expect_eq(shown(caller, &lie), RELAY_REFUSED, "more than was given");
    lie = show;
    lie.voucher.signature[5] ^= 1;
    cr_expect_eq(shown(caller, &lie), RELAY_REFUSED, "a forged signature");
    lie = show;
    memcpy(lie.target, caller->node->identity.public_key, sizeof lie.target);
    cr_expect_eq(shown(caller, &lie), RELAY_REFUSED, "somebody else's");
    cr_expect_eq(relay()->counts.vouchers_forged, 3);

    /* An older one of its own is no lie: it is out of date. */
    client_world_run(world, 1900 * CLIENT_SECOND);
    cr_expect_eq(shown(caller, &show), RELAY_MISSING);
    cr_expect_eq(relay()->counts.vouchers_forged, 3);
    close_world();
}

Test(relay, bans_who_keeps_lying)
{
    open_world(2);
    start_world();
    struct host *caller = client_world_client(world, 0);
    struct host *client = client_world_client(world, 1);
    struct show lie;
    cr_assert(nat_voucher(nat_of(client), 0, &lie.voucher));
    memcpy(lie.target, client->node->identity.public_key, sizeof lie.target);
    lie.voucher.serial += 9;
    for (int i = 0; i < 6; i++) {
        (void)shown(caller, &lie);
    }
    cr_assert(
        guard_is_banned(&world_host(world->world, 0)->node->guard, &caller->node->identity.id));
    close_world();
}
