/* test_moves.c - a box forgets its mappings, or gets another address, in the middle of a talk: the
 * session goes on.
 *
 * That it is the same session is read off its number at both ends: a handshake would make another.
 */
#include <criterion/criterion.h>

#include "tests/support/boxed_world.h"

enum { SERVERS = 16, FAULTS = 4 };

enum pair { WITH_SERVER, PUNCHED, RELAYED, PAIRS };
enum fault { REBOOT, RENUMBER };

static const char *const pair_texts[] = {"with a server", "punched", "relayed"};

/* Ports at random: after a reboot the mapping has another. */
static struct napt_config box;

struct talk {
    struct client_world *world;
    struct host *inside; /* Behind box 0, to which it happens. */
    struct host *other;
};

static struct talk open_talk(enum pair pair, uint64_t seed)
{
    napt_preset_config(NAPT_PRESET_PORT_RESTRICTED, &box);
    box.ports = NAPT_PORTS_RANDOM;
    struct talk talk = {.world = client_world_open(SERVERS, 2, seed)};
    talk.world->client.nat.has_punching = pair == PUNCHED;
    /* No new keys because the time for them has come. */
    talk.world->server.transport.rekey_after_us = 3600 * CLIENT_SECOND;
    talk.world->client.transport.rekey_after_us = 3600 * CLIENT_SECOND;
    (void)boxed_add(talk.world, &box);
    (void)boxed_add(talk.world, &box);
    client_world_start(talk.world);
    talk.inside = client_world_client(talk.world, 0);
    talk.other =
        pair == WITH_SERVER ? world_host(talk.world->world, 7) : client_world_client(talk.world, 1);
    return talk;
}

static uint32_t session_with(const struct host *host, const struct host *other,
                             struct transport_session *session)
{
    bool is_there =
        transport_session_of(&host->node->transport, &other->node->identity.id, session);
    return is_there ? session->index : 0;
}

/* Until something has arrived. */
static uint64_t time_to_reach(struct talk *talk, struct host *from, struct host *to)
{
    struct world *world = talk->world->world;
    uint64_t start_us = world_now_us(world);
    while (client_world_send(talk->world, from, to) != ERR_OK &&
           world_now_us(world) - start_us < 60 * CLIENT_SECOND) {
    }
    return world_now_us(world) - start_us;
}

static void chat(struct talk *talk, struct host *from, struct host *to)
{
    for (int i = 0; i < 25; i++) {
        cr_assert_eq(client_world_send(talk->world, from, to), ERR_OK);
        client_world_run(talk->world, CLIENT_SECOND / 5);
    }
}

static void strike(struct talk *talk, enum fault fault)
{
    if (fault == REBOOT) {
        world_reboot_box(talk->world->world, 0);
    } else {
        world_renumber_box(talk->world->world, 0);
    }
}

/* The longest time without a word. */
static uint64_t most_us(enum pair pair, bool is_inside_talking)
{
    uint64_t most = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct talk talk = open_talk(pair, seed);
        struct host *from = is_inside_talking ? talk.inside : talk.other;
        struct host *to = is_inside_talking ? talk.other : talk.inside;
        for (int i = 0; i < FAULTS; i++) {
            struct transport_session before[2];
            struct transport_session after[2];
            chat(&talk, from, to);
            cr_assert_neq(session_with(from, to, &before[0]), 0);
            cr_assert_neq(session_with(to, from, &before[1]), 0);
            bool is_relayed = transport_is_relayed(&contact_at(&from->port, before[0].peer)->addr);
            cr_assert_eq(is_relayed, pair == RELAYED, "%s", pair_texts[pair]);
            strike(&talk, i % 2 == 0 ? REBOOT : RENUMBER);
            uint64_t took_us = time_to_reach(&talk, from, to);
            cr_expect_eq(session_with(from, to, &after[0]), before[0].index, "%s: a handshake",
                         pair_texts[pair]);
            cr_expect_eq(session_with(to, from, &after[1]), before[1].index, "%s: a handshake",
                         pair_texts[pair]);
            most = took_us > most ? took_us : most;
            client_world_run(talk.world, 5 * CLIENT_SECOND);
        }
        client_world_close(talk.world);
    }
    cr_log_info("%s, %s talks: %.2f s", pair_texts[pair], is_inside_talking ? "inside" : "outside",
                most / 1e6);
    return most;
}

Test(moves, are_survived_while_the_inside_talks)
{
    for (enum pair pair = WITH_SERVER; pair < PAIRS; pair++) {
        uint64_t most = most_us(pair, true);
        cr_expect_leq(most, 3 * CLIENT_SECOND, "%s: %.2f s", pair_texts[pair], most / 1e6);
    }
}

Test(moves, are_survived_while_the_outside_talks)
{
    for (enum pair pair = WITH_SERVER; pair < PAIRS; pair++) {
        uint64_t most = most_us(pair, false);
        cr_expect_leq(most, 3 * CLIENT_SECOND, "%s: %.2f s", pair_texts[pair], most / 1e6);
    }
}
