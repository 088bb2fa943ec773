/* test_strangers.c - an address that has not proved that it receives is sent no more bytes than
 * came from it, whatever message a session brings from there: by whole nodes, kind by kind.
 *
 * A client behind a box writes to a server, and is struck dead as its box gets another address: the
 * server sees a session it knows come from where it has never sent anything, and nobody there ever
 * answers. Handshakes: tests/unit/node_transport/test_amplification.c. What DIAL and PUNCH have
 * somebody send goes to addresses named in them, not to where they came from: test_named.c.
 */
#include <criterion/criterion.h>

#include "node/transport/packet.h"
#include "node/transport/session.h"
#include "tests/support/boxed_world.h"

enum { SERVERS = 4, KINDS = 256, LENGTHS = 4 };

static const size_t lengths[LENGTHS] = {MESSAGE_HEADER_LEN, MESSAGE_HEADER_LEN + 8,
                                        MESSAGE_PROBE_LEN, 400};

enum verdict {
    NOT_JUDGED,
    DRAWS_PROBE, /* A PING, to see who is there, as long as the shortest message that draws it. */
    DRAWS_SAME,  /* An answer of its own that is no longer. */
};

/* A kind that is not here fails the test: whoever adds one says what it may draw. */
static const uint8_t verdicts[KINDS] = {
    [MESSAGE_PING] = DRAWS_PROBE,      [MESSAGE_PONG] = DRAWS_PROBE,
    [MESSAGE_PROBE] = DRAWS_SAME,      [MESSAGE_PROBED] = DRAWS_SAME,
    [MESSAGE_PROVED] = DRAWS_SAME,     [MESSAGE_FIND_NODE] = DRAWS_PROBE,
    [MESSAGE_NODES] = DRAWS_PROBE,     [MESSAGE_FIND_VALUE] = DRAWS_PROBE,
    [MESSAGE_VALUE] = DRAWS_PROBE,     [MESSAGE_STORE] = DRAWS_PROBE,
    [MESSAGE_STORED] = DRAWS_PROBE,    [MESSAGE_SEEK] = DRAWS_PROBE,
    [MESSAGE_SEEKING] = DRAWS_PROBE,   [MESSAGE_SOUGHT] = DRAWS_PROBE,
    [MESSAGE_EXCHANGE] = DRAWS_PROBE,  [MESSAGE_PEERS] = DRAWS_PROBE,
    [MESSAGE_BROADCAST] = DRAWS_PROBE, [MESSAGE_HEARD] = DRAWS_PROBE,
    [MESSAGE_APP] = DRAWS_PROBE,       [MESSAGE_APP_DONE] = DRAWS_PROBE,
    [MESSAGE_STATEMENT] = DRAWS_PROBE, [MESSAGE_STATED] = DRAWS_PROBE,
    [MESSAGE_REACH] = DRAWS_PROBE,     [MESSAGE_REACHED] = DRAWS_PROBE,
    [MESSAGE_DIAL] = DRAWS_PROBE,      [MESSAGE_DIALLED] = DRAWS_PROBE,
    [MESSAGE_RESERVE] = DRAWS_PROBE,   [MESSAGE_RESERVED] = DRAWS_PROBE,
    [MESSAGE_CONNECT] = DRAWS_PROBE,   [MESSAGE_CONNECTED] = DRAWS_PROBE,
    [MESSAGE_PUNCH] = DRAWS_PROBE,     [MESSAGE_PUNCHING] = DRAWS_PROBE,
    [MESSAGE_PUNCH_GO] = DRAWS_PROBE,  [MESSAGE_RELAY] = DRAWS_PROBE,
    [MESSAGE_HUNG_UP] = DRAWS_PROBE,
};

static const uint8_t kinds[] = {
#define KIND(name, number, body, text, owner, class) MESSAGE_##name,
    MESSAGES(KIND)
#undef KIND
};

static struct napt_config box;

/* What is said: a message of this kind of so many bytes, well-formed or not. */
struct words {
    struct node_id to;
    uint8_t kind;
    size_t len;
};

static void say(struct node *node, void *arg)
{
    const struct words *words = arg;
    struct transport_session session;
    cr_assert(transport_session_of(&node->transport, &words->to, &session));
    uint8_t datagram[PORT_DATAGRAM_MAX] = {0};
    datagram[PACKET_DATA_HEADER_LEN] = words->kind;
    session_send(&node->transport, session_find(&node->transport, session.index), datagram,
                 words->len);
    timerq_settle(&node->core.timers);
}

/* Whether an answer came to where nothing may come to, and no more than had come from there. */
static bool is_answered(uint8_t kind, size_t len)
{
    napt_preset_config(NAPT_PRESET_FULL_CONE, &box);
    struct client_world *world = client_world_open(SERVERS, 1, 9);
    uint32_t number = boxed_add(world, &box);
    client_world_start(world);
    struct host *client = client_world_client(world, 0);
    struct host *server = world_host(world->world, 1);
    cr_assert_eq(client_world_send(world, client, server), ERR_OK);
    client_world_run(world, CLIENT_SECOND);

    struct words words = {.to = server->node->identity.id, .kind = kind, .len = len};
    world_renumber_box(world->world, number);
    host_enter(client, say, &words);
    host_kill(client);
    uint64_t dead = world_counts(world->world).datagrams_dead;
    struct traffic before = server->node->transport.traffic;
    client_world_run(world, 20 * CLIENT_SECOND);
    const struct traffic *after = &server->node->transport.traffic;
    dead = world_counts(world->world).datagrams_dead - dead;
    uint64_t probes = after->sent[TRAFFIC_PROBED] - before.sent[TRAFFIC_PROBED] +
                      after->sent[TRAFFIC_PROVED] - before.sent[TRAFFIC_PROVED];
    cr_expect_leq(dead, 1, "%s of %zu bytes draws %u datagrams", message_text(kind), len,
                  (unsigned)dead);
    bool is_probe = dead > 0 && verdicts[kind] == DRAWS_PROBE;
    bool is_same = dead > 0 && verdicts[kind] == DRAWS_SAME && probes > 0;
    cr_expect(!is_probe || len >= MESSAGE_HEADER_LEN + 8, "%s", message_text(kind));
    cr_expect(!is_same || len >= MESSAGE_PROBE_LEN, "%s", message_text(kind));
    cr_expect(dead == 0 || verdicts[kind] == DRAWS_PROBE || is_same, "%s", message_text(kind));
    client_world_close(world);
    return dead > 0;
}

Test(strangers, draw_no_more_than_they_bring_by_any_message)
{
    uint32_t answered = 0;
    for (size_t i = 0; i < sizeof kinds; i++) {
        cr_assert_neq(verdicts[kinds[i]], NOT_JUDGED, "%s is new: what may it draw?",
                      message_text(kinds[i]));
        for (int k = 0; k < LENGTHS; k++) {
            answered += is_answered(kinds[i], lengths[k]);
        }
    }
    cr_assert_gt(answered, sizeof kinds, "they are answered at all");
}
