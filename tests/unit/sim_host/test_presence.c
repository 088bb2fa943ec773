/* test_presence.c - a client is reached under its id as long as one of its relays lives, and soon
 * after one has died.
 */
#include <criterion/criterion.h>

#include "tests/support/boxed_world.h"

enum { SERVERS = 80, CLIENTS = 12, NODES = SERVERS + CLIENTS, SEEDS = 6, DEATHS = 10 };

static struct napt_config box;

/* All clients are behind boxes that nobody gets through without being asked, nor by punching. */
static struct client_world *open_world(uint64_t seed)
{
    napt_preset_config(NAPT_PRESET_SYMMETRIC, &box);
    struct client_world *world = client_world_open(SERVERS, CLIENTS, seed);
    world->client.nat.birthday_sockets = 0;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        (void)boxed_add(world, &box);
    }
    client_world_start(world);
    client_world_run(world, 120 * CLIENT_SECOND); /* The boxes have forgotten the joins. */
    return world;
}

static bool has_met(const struct host *host, const struct host *other)
{
    struct transport_session session;
    return transport_session_of(&host->node->transport, &other->node->identity.id, &session);
}

/* A node that has no session with the client; the dice are the test's own. */
static struct host *pick_stranger(struct client_world *world, struct rng *rng,
                                  const struct host *client)
{
    for (int draw = 0; draw < 1000; draw++) {
        struct host *host = world_host(world->world, (uint32_t)rng_below(rng, NODES));
        if (host != client && host_is_up(host) && !has_met(host, client) &&
            !has_met(client, host)) {
            return host;
        }
    }
    return NULL;
}

Test(presence, lets_strangers_reach_a_client_by_its_id)
{
    uint32_t tries = 0;
    uint32_t reached = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct client_world *world = open_world(seed);
        struct rng rng;
        rng_stream(&rng, seed, "strangers", 0, 0);
        for (int i = 0; i < 60; i++) {
            struct host *to = client_world_client(world, (uint32_t)i % CLIENTS);
            struct host *from = pick_stranger(world, &rng, to);
            cr_assert_not_null(from);
            uint32_t before = world->messages[to->index];
            tries++;
            reached += client_world_send(world, from, to) == ERR_OK &&
                       world->messages[to->index] == before + 1;
        }
        client_world_close(world);
    }
    cr_assert_geq(tries, 300);
    cr_assert_geq(reached * 100, tries * 99, "%u of %u", reached, tries);
}

/* A relay that names this client among those it has reservations of; not the one that all join
 * through. */
static struct host *relay_of(struct client_world *world, const struct host *client, uint32_t number)
{
    struct nat_relay_view view;
    struct host *relay = NULL;
    for (uint32_t i = 0; nat_relay_at(&client->node->nat, i, &view); i++) {
        struct host *found = world_find(world->world, &contact_at(&client->port, view.peer)->addr);
        if (found->index != 0 && host_is_up(found)) {
            relay = relay == NULL || i <= number ? found : relay;
        }
    }
    return relay;
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *first = a;
    const uint64_t *second = b;
    return (*first > *second) - (*first < *second);
}

/* From the death to the first message that arrives, whatever was tried meanwhile. */
static uint64_t time_to_reach(struct client_world *world, struct host *from, struct host *to)
{
    uint64_t start_us = world_now_us(world->world);
    while (client_world_send(world, from, to) != ERR_OK &&
           world_now_us(world->world) - start_us < 120 * CLIENT_SECOND) {
    }
    return world_now_us(world->world) - start_us;
}

Test(presence, outlives_the_death_of_a_relay)
{
    uint64_t took_us[SEEDS * DEATHS];
    uint32_t count = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct client_world *world = open_world(seed);
        struct rng rng;
        rng_stream(&rng, seed, "deaths", 0, 0);
        for (uint32_t i = 0; i < DEATHS; i++) {
            struct host *to = client_world_client(world, i);
            struct host *relay = relay_of(world, to, i % 2);
            cr_assert_not_null(relay);
            host_kill(relay);
            struct host *from = pick_stranger(world, &rng, to);
            cr_assert_not_null(from);
            took_us[count++] = time_to_reach(world, from, to);
            client_world_run(world, 20 * CLIENT_SECOND);
            cr_expect_eq(nat_relay_count(&to->node->nat), 2, "it has found another");
            cr_assert_eq(host_start(relay, &world->server), ERR_OK);
            client_world_run(world, 20 * CLIENT_SECOND);
        }
        client_world_close(world);
    }
    qsort(took_us, count, sizeof *took_us, by_size);
    cr_log_info("median %.2f s, p90 %.2f s, most %.2f s", took_us[count / 2] / 1e6,
                took_us[count * 9 / 10] / 1e6, took_us[count - 1] / 1e6);
    cr_expect_lt(took_us[count - 1], 10 * CLIENT_SECOND, "%.2f s", took_us[count - 1] / 1e6);
}
