/* test_named.c - DIAL and PUNCH name addresses that the node is to write to, and they may be
 * anybody's: who is named there gets no more bytes than it cost to name it. By whole nodes.
 *
 * The attacker is a node that says what the test has it say; the victim one of another network, to
 * which everything is noise. Messages that draw something to where they came from:
 * test_strangers.c.
 */
#include <criterion/criterion.h>

#include "node/transport/packet.h"
#include "sim/host/world.h"
#include "tests/support/client_world.h"

enum {
    SERVERS = 4,
    CLIENTS = 2, /* The victim takes the place of one. */
    DIAL_BYTES = MESSAGE_DIAL_LEN + PACKET_DATA_OVERHEAD,
    DIALS_AT_ONCE = 8,      /* NAT_DIALS_MAX: each lasts a second, for nobody answers. */
    DIALS_PER_MINUTE = 200, /* 100 at once, and 100 that a peer may have in a minute. */
    PORTS_TRIED = 1024,
    PLAIN = 0,         /* PUNCH's round: NAT_PUNCH_PLAIN, */
    MANY = 1,          /* NAT_PUNCH_MANY, */
    STREAMS = 2,       /* and NAT_PUNCH_STREAMS. */
    CALLS_MAX = 4 * 4, /* NAT_MEET_MAX, and four rounds. */
};

static struct client_world *world;
static struct host *attacker;
static struct host *asked;
static struct host *victim;
static struct node_config foreign;
static uint32_t datagrams;
static uint32_t segments; /* Of streams. */
static uint64_t bytes;

static void on_dispatched(void *arg, const struct event *event, uint32_t kind, struct slice text,
                          uint64_t chain)
{
    (void)arg;
    (void)chain;
    if (kind == HOST_EVENT_DATAGRAM && event->destination == victim->index) {
        datagrams++;
        bytes += text.len;
    }
    segments += kind == HOST_EVENT_STREAM && event->destination == victim->index;
}

/* The attacker has a session with a client, over a circuit that it does not leave, or with a
 * server. */
static void open_world(bool is_client, uint16_t birthday_sockets)
{
    world = client_world_open(SERVERS, CLIENTS, 3);
    world->server.nat.has_punching = false;
    world->client.nat.birthday_sockets = birthday_sockets;
    struct host *client = world_host(world->world, world_add_host(world->world, SERVERS));
    host_place(client, &(struct net_site){0}, world_seed(world->world));
    client_world_start(world);
    for (uint32_t i = 0; i < SERVERS; i++) {
        struct host *host = world_host(world->world, i);
        bool is_relay = nat_reservation_count(&host->node->nat) > 0;
        attacker = is_relay ? attacker : host;
    }
    asked = is_client ? client : world_host(world->world, 0);
    cr_assert_eq(client_world_send(world, attacker, asked), ERR_OK);
    victim = world_host(world->world, world_add_host(world->world, SERVERS + CLIENTS));
    host_place(victim, &(struct net_site){0}, world_seed(world->world));
    node_config_default(&foreign);
    foreign.transport.network_id++;
    cr_assert_eq(host_start(victim, &foreign), ERR_OK);
    client_world_run(world, CLIENT_SECOND);
    world->world->options.hooks.dispatched = on_dispatched;
    datagrams = 0;
    bytes = 0;
}

static void on_answer(void *owner, const struct call_result *result)
{
    (void)owner;
    (void)result;
}

static void ask(struct node *node, void *arg)
{
    struct transport_session session;
    const struct call_options options = {.done = on_answer, .patience_ms = 500};
    cr_assert(transport_session_of(&node->transport, &asked->node->identity.id, &session));
    cr_assert_gt(transport_call(&node->transport, session.peer, arg, &options), 0);
    timerq_settle(&node->core.timers);
}

static void say_go(struct node *node, void *arg)
{
    struct message go = {.kind = MESSAGE_PUNCH_GO};
    struct transport_session session;
    (void)arg;
    cr_assert(transport_session_of(&node->transport, &asked->node->identity.id, &session));
    cr_assert_eq(transport_note(&node->transport, session.index, &go), ERR_OK);
    timerq_settle(&node->core.timers);
}

/* All candidates are the victim. */
static void punch(uint8_t round, uint8_t count)
{
    struct message request = {.kind = MESSAGE_PUNCH, .punch = {.round = round, .count = count}};
    for (uint32_t i = 0; i < count; i++) {
        request.punch.candidates[i] =
            (struct candidate){.type = CANDIDATE_SERVER_REFLEXIVE, .addr = victim->port.local};
    }
    host_enter(attacker, ask, &request);
    client_world_run(world, CLIENT_SECOND / 2);
    host_enter(attacker, say_go, NULL);
    client_world_run(world, 4 * CLIENT_SECOND);
}

Test(named, by_punch_cost_what_they_get)
{
    open_world(true, 0);
    const struct nat_counts *counts = &asked->node->nat.counts;
    for (uint8_t count = 1; count <= PUNCH_CANDIDATES_MAX; count++) {
        uint64_t paid = counts->unwrapped_bytes;
        datagrams = 0;
        bytes = 0;
        punch(PLAIN, count);
        paid = counts->unwrapped_bytes - paid;
        cr_expect_geq(datagrams, count, "each is tried: %u of %u", datagrams, count);
        cr_expect_leq(bytes, paid, "%u candidates: %u bytes for %u", count, (unsigned)bytes,
                      (unsigned)paid);
    }
    client_world_close(world);
}

static void call_from(uint16_t port_first)
{
    struct message request = {.kind = MESSAGE_PUNCH,
                              .punch = {.round = STREAMS, .count = PUNCH_CANDIDATES_MAX}};
    for (uint32_t i = 0; i < PUNCH_CANDIDATES_MAX; i++) {
        struct candidate *candidate = &request.punch.candidates[i];
        candidate->addr = victim->port.local;
        candidate->addr.port[0] = (uint8_t)((port_first + i) >> 8);
        candidate->addr.port[1] = (uint8_t)(port_first + i);
    }
    segments = 0;
    host_enter(attacker, ask, &request);
    client_world_run(world, CLIENT_SECOND);
    host_enter(attacker, say_go, NULL);
    client_world_run(world, 10 * CLIENT_SECOND);
}

_Static_assert(60 * CALLS_MAX <= PUNCH_PROBES_MAX * PUNCH_PROBE_LEN, "calls are paid for");

/* A call is 60 bytes at most, and refused by all ports but one: 16 are less than what the PUNCH
 * has been padded to. */
Test(named, by_streams_are_called_a_few_times)
{
    open_world(true, 0);
    call_from(HOST_PORT + 1);
    cr_expect_gt(segments, 0);
    cr_expect_leq(segments, CALLS_MAX, "%u", segments);
    call_from(80);
    cr_expect_eq(segments, 0, "system ports are nobody's to call: %u", segments);
    client_world_close(world);
}

/* Its ports cannot be paid for, so they have their time. */
Test(named, by_birthday_are_tried_every_20_s)
{
    open_world(true, 256);
    const uint64_t *sent = &asked->node->transport.traffic.sent[TRAFFIC_PROBE];
    uint64_t before = *sent;
    for (int i = 0; i < 4; i++) {
        punch(MANY, 1);
    }
    cr_expect_geq(*sent - before, PORTS_TRIED);
    cr_expect_lt(*sent - before, PORTS_TRIED + 100, "%u", (unsigned)(*sent - before));
    client_world_run(world, 3 * CLIENT_SECOND);
    punch(MANY, 1);
    cr_expect_geq(*sent - before, 2 * PORTS_TRIED);
    client_world_close(world);
}

/* One handshake's first message for each, as long as the server takes the peer's requests. */
Test(named, by_dial_are_written_to_once)
{
    open_world(false, 0);
    const uint64_t *asks = &attacker->node->transport.traffic.sent[TRAFFIC_DIAL];
    for (uint32_t second = 0; second < 60; second++) {
        uint32_t before = datagrams;
        for (uint32_t i = 0; i < 10; i++) {
            struct message request = {.kind = MESSAGE_DIAL, .dial = {.addr = victim->port.local}};
            request.dial.key[0] = (uint8_t)second;
            request.dial.key[1] = (uint8_t)i;
            host_enter(attacker, ask, &request);
            client_world_run(world, CLIENT_SECOND / 10);
        }
        cr_expect_leq(datagrams - before, DIALS_AT_ONCE + 1, "%u in a second", datagrams - before);
    }
    client_world_run(world, 20 * CLIENT_SECOND);
    cr_expect_eq(*asks, 600);
    cr_expect_gt(datagrams, DIALS_PER_MINUTE / 2);
    cr_expect_leq(datagrams, DIALS_PER_MINUTE);
    cr_expect_leq(bytes, (uint64_t)datagrams * DIAL_BYTES, "each is paid for");
    client_world_close(world);
}
