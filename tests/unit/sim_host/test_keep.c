/* test_keep.c - a client finds out how long the box in front of it remembers, and stays reachable
 * for a word now and then.
 */
#include <criterion/criterion.h>

#include "tests/support/boxed_world.h"

enum { SERVERS = 16, DEATHS = 3 };

#define MINUTE (60 * CLIENT_SECOND)

static struct napt_config box;

/* One client behind a box that forgets what has been idle for so long. */
static struct client_world *open_world(uint64_t idle_us, uint64_t keep_us, uint64_t seed)
{
    napt_preset_config(NAPT_PRESET_PORT_RESTRICTED, &box);
    box.unreplied_us = idle_us;
    box.stream_us = idle_us;
    struct client_world *world = client_world_open(SERVERS, 1, seed);
    world->client.nat.keep_us = keep_us;
    /* No new keys because the time for them has come. */
    world->server.transport.rekey_after_us = 3 * 60 * MINUTE;
    world->client.transport.rekey_after_us = 3 * 60 * MINUTE;
    (void)boxed_add(world, &box);
    client_world_start(world);
    return world;
}

static struct host *relay_of(struct client_world *world, const struct host *client, uint32_t number)
{
    struct nat_relay_view view;
    cr_assert(nat_relay_at(&client->node->nat, number, &view));
    return world_find(world->world, &contact_at(&client->port, view.peer)->addr);
}

/* By the number that both ends know it by. */
static uint32_t session_with(const struct host *host, const struct host *other)
{
    struct transport_session session;
    return transport_session_of(&host->node->transport, &other->node->identity.id, &session)
               ? session.index
               : 0;
}

/* Somebody who has to come through a relay: it is none itself, and an old session is not trusted.
 */
static struct host *pick_stranger(struct client_world *world, struct rng *rng,
                                  const struct host *client)
{
    struct host *host;
    do {
        host = world_host(world->world, (uint32_t)rng_below(rng, SERVERS));
    } while (!host_is_up(host) || host == relay_of(world, client, 0) ||
             host == relay_of(world, client, 1));
    return host;
}

static uint64_t time_to_reach(struct client_world *world, struct host *from, struct host *to)
{
    uint64_t start_us = world_now_us(world->world);
    while (client_world_send(world, from, to) != ERR_OK &&
           world_now_us(world->world) - start_us < 10 * MINUTE) {
        client_world_run(world, 2 * CLIENT_SECOND); /* Relays give only so many circuits an hour. */
    }
    return world_now_us(world->world) - start_us;
}

static void keep_reaching(struct client_world *world, struct rng *rng, uint64_t idle_us)
{
    struct host *client = client_world_client(world, 0);
    for (uint64_t end_us = world_now_us(world->world) + 20 * MINUTE;
         world_now_us(world->world) < end_us;) {
        client_world_run(world, 60 * CLIENT_SECOND + rng_below(rng, 60 * CLIENT_SECOND));
        uint64_t took_us = time_to_reach(world, pick_stranger(world, rng, client), client);
        cr_expect_lt(took_us, 2 * CLIENT_SECOND, "%.0f s: %.2f s", idle_us / 1e6, took_us / 1e6);
    }
}

/* The first is kept with special care: what is learned is for the other. */
static void reach_through_the_second(struct client_world *world, struct rng *rng, uint64_t idle_us)
{
    struct host *client = client_world_client(world, 0);
    for (int i = 0; i < DEATHS; i++) {
        client_world_run(world, 150 * CLIENT_SECOND + rng_below(rng, 60 * CLIENT_SECOND));
        struct host *from = pick_stranger(world, rng, client);
        host_kill(relay_of(world, client, 0));
        uint64_t took_us = time_to_reach(world, from, client);
        cr_expect_lt(took_us, 5 * CLIENT_SECOND, "%.0f s: %.2f s", idle_us / 1e6, took_us / 1e6);
    }
}

static void live_behind(uint64_t idle_us)
{
    static const uint64_t most_us = 30 * CLIENT_SECOND;
    struct client_world *world = open_world(idle_us, 0, 5);
    struct host *client = client_world_client(world, 0);
    struct rng rng;
    rng_stream(&rng, 5, "strangers", 0, 0);
    client_world_run(world, 10 * MINUTE);
    uint64_t keep_us = nat_keep_us(&client->node->nat);
    uint64_t least_us = idle_us / 2 < most_us ? idle_us / 2 : most_us;
    cr_log_info("%.0f s: every %.0f s", idle_us / 1e6, keep_us / 1e6);
    cr_expect_lt(keep_us, idle_us, "%.0f s: %.0f s", idle_us / 1e6, keep_us / 1e6);
    cr_expect_geq(keep_us, least_us, "%.0f s: %.0f s", idle_us / 1e6, keep_us / 1e6);

    uint32_t sessions[2];
    for (uint32_t i = 0; i < 2; i++) {
        sessions[i] = session_with(client, relay_of(world, client, i));
    }
    keep_reaching(world, &rng, idle_us);
    for (uint32_t i = 0; i < 2; i++) {
        cr_expect_eq(session_with(client, relay_of(world, client, i)), sessions[i], "%.0f s",
                     idle_us / 1e6);
    }
    cr_expect_eq(nat_keep_us(&client->node->nat), keep_us, "%.0f s", idle_us / 1e6);
    reach_through_the_second(world, &rng, idle_us);
    const char *wrong = node_check(client->node);
    cr_expect_null(wrong, "%s", wrong);
    client_world_close(world);
}

Test(keep, holds_behind_boxes_that_forget_soon_or_late, .timeout = 120)
{
    static const uint64_t idle_s[] = {3, 30, 120, 300};
    for (size_t i = 0; i < sizeof idle_s / sizeof *idle_s; i++) {
        live_behind(idle_s[i] * CLIENT_SECOND);
    }
}

/* What a period is good for that is longer than the box remembers; and that this is no longer. */
Test(keep, notices_a_lost_mapping_within_two_periods, .timeout = 120)
{
    static const uint64_t keep_us = 100 * CLIENT_SECOND;
    struct client_world *world = open_world(30 * CLIENT_SECOND, keep_us, 6);
    struct host *client = client_world_client(world, 0);
    struct rng rng;
    rng_stream(&rng, 6, "strangers", 0, 0);
    uint64_t most_us = 0;
    for (int i = 0; i < 12; i++) {
        client_world_run(world, 2 * MINUTE + rng_below(&rng, MINUTE));
        uint64_t took_us = time_to_reach(world, pick_stranger(world, &rng, client), client);
        most_us = took_us > most_us ? took_us : most_us;
    }
    cr_expect_gt(most_us, 5 * CLIENT_SECOND, "the box has forgotten");
    cr_expect_lt(most_us, 2 * keep_us, "%.0f s", most_us / 1e6);
    client_world_close(world);
}

/* Datagrams of an idle client in its first hour, the join left out. */
static uint64_t count_datagrams(uint64_t idle_us, uint64_t keep_us)
{
    struct client_world *world = open_world(idle_us, keep_us, 7);
    const struct counters *counters = &client_world_client(world, 0)->node->core.counters;
    uint64_t before = counters->value[COUNT_DATAGRAMS_OUT] + counters->value[COUNT_DATAGRAMS_IN];
    client_world_run(world, 60 * MINUTE);
    uint64_t after = counters->value[COUNT_DATAGRAMS_OUT] + counters->value[COUNT_DATAGRAMS_IN];
    client_world_close(world);
    return after - before;
}

Test(keep, costs_no_more_than_a_fixed_period, .timeout = 120)
{
    uint64_t fixed = count_datagrams(120 * CLIENT_SECOND, 15 * CLIENT_SECOND);
    static const uint64_t idle_s[] = {30, 120};
    for (size_t i = 0; i < sizeof idle_s / sizeof *idle_s; i++) {
        uint64_t learned = count_datagrams(idle_s[i] * CLIENT_SECOND, 0);
        cr_log_info("%d s: %d datagrams an hour, %d at 15 s", (int)idle_s[i], (int)learned,
                    (int)fixed);
        cr_expect_lt(learned, fixed, "%d s: %d", (int)idle_s[i], (int)learned);
    }
}

/* Another box, less patient than the one before. */
Test(keep, begins_anew_behind_another_box, .timeout = 120)
{
    struct client_world *world = open_world(120 * CLIENT_SECOND, 0, 8);
    const struct nat *nat = &client_world_client(world, 0)->node->nat;
    client_world_run(world, 10 * MINUTE);
    uint64_t keep_us = nat_keep_us(nat);
    cr_assert_eq(keep_us, 30 * CLIENT_SECOND);
    box.unreplied_us = box.stream_us = 8 * CLIENT_SECOND;
    world_renumber_box(world->world, 0);
    client_world_run(world, 3 * MINUTE);
    cr_expect_lt(nat_keep_us(nat), 8 * CLIENT_SECOND);
    cr_expect_geq(nat_keep_us(nat), 4 * CLIENT_SECOND);
    client_world_close(world);
}
