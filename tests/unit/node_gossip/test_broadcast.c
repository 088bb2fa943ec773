/* test_broadcast.c - news reaches everybody once, and only what its origin signed. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdio.h>

#include "node/base/err.h"
#include "node/base/hash.h"
#include "tests/support/toy_suite.h"
#include "tests/unit/node_gossip/mesh.h"

#define SECOND UINT64_C(1000000)

static const struct gossip_config only_broadcasts = {.fanout = 8, .seen_max = 64};

/* Latencies of 10 to 200 ms, or all of 50 ms without loss. */
static void open_grown(uint32_t nodes, uint32_t loss_in_1000, uint64_t seed)
{
    mesh_open(&(struct mesh_options){
        .nodes = nodes,
        .seed = seed,
        .loss_in_1000 = loss_in_1000,
        .latency_min_us = loss_in_1000 > 0 ? 10000 : 50000,
        .latency_max_us = loss_in_1000 > 0 ? 200000 : 50000,
        .gossip = only_broadcasts,
    });
    mesh_grow_tables();
    for (uint32_t i = 0; i < nodes; i++) {
        mesh_start(i);
    }
}

TestSuite(broadcast, .fini = mesh_close, .timeout = 120);

static void tell(uint32_t node, const char *text)
{
    uint8_t id[BROADCAST_ID_LEN];
    mesh.nodes[node].port.now_us = mesh.now_us;
    cr_assert_eq(gossip_broadcast(&mesh.nodes[node].gossip, slice_of(text, strlen(text)), id),
                 ERR_OK);
}

static uint32_t counted(enum counter which)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < mesh.options.nodes; i++) {
        sum += mesh.nodes[i].core.counters.value[which];
    }
    return sum;
}

/* Coverage over `rounds` broadcasts from random origins, in parts of a million. */
static uint32_t coverage(uint32_t rounds)
{
    uint64_t heard = 0;
    struct rng rng;
    rng_seed(&rng, mesh.options.seed);
    for (uint32_t i = 0; i < rounds; i++) {
        tell((uint32_t)rng_below(&rng, mesh.options.nodes), "news");
        mesh_run_until(mesh.now_us + 10 * SECOND);
        cr_assert_null(mesh_check());
    }
    for (uint32_t i = 0; i < mesh.options.nodes; i++) {
        heard += mesh.nodes[i].news;
    }
    uint64_t due = (uint64_t)rounds * (mesh.options.nodes - 1);
    cr_assert_leq(heard, due, "nobody hears the same twice, or itself");
    return (uint32_t)(heard * 1000000 / due);
}

Test(broadcast, reaches_999_in_1000_of_200_nodes_at_five_per_cent_loss)
{
    enum { ROUNDS = 50 };
    open_grown(200, 50, 1);
    uint32_t reached = coverage(ROUNDS);
    uint32_t copies = mesh_sent_count(MESSAGE_BROADCAST, 0);
    fprintf(stderr, "200 nodes: %u ppm reached, %u.%02u copies a node\n", reached,
            copies / ROUNDS / 200, copies / ROUNDS / 2 % 100);
    cr_assert_geq(reached, 999000);
    /* Each node passes each broadcast on once, to at most `fanout` peers. */
    cr_assert_leq(copies, ROUNDS * 200 * only_broadcasts.fanout);
    cr_assert_leq(counted(COUNT_BROADCASTS_NEW) + counted(COUNT_BROADCASTS_DUPLICATE),
                  mesh.transmissions);
    uint32_t news = 0;
    for (uint32_t i = 0; i < 200; i++) {
        news += mesh.nodes[i].news;
    }
    cr_assert_eq(counted(COUNT_BROADCASTS_NEW), news);
}

Test(broadcast, reaches_those_whom_few_tables_hold)
{
    enum { ROUNDS = 5 };
    open_grown(1000, 50, 2);
    uint32_t reached = coverage(ROUNDS);
    fprintf(stderr, "1000 nodes: %u ppm reached\n", reached);
    cr_assert_geq(reached, 999000);
    /* Who came last is known to the fewest: all heard all. */
    for (uint32_t i = 900; i < 1000; i++) {
        cr_expect_geq(mesh.nodes[i].news, ROUNDS - 1, "node %u", i);
    }
}

Test(broadcast, targets_are_distinct_and_exclude_the_sender)
{
    open_grown(100, 0, 3);
    tell(7, "news");
    mesh_run_until(mesh.now_us + 10 * SECOND);
    static uint32_t told[100][100];
    static uint32_t tellers[100]; /* Who told a node first, plus one. */
    for (uint32_t i = 0; i < mesh.sent_count; i++) {
        const struct mesh_sent *sent = &mesh.sent[i];
        cr_assert_eq(sent->kind, MESSAGE_BROADCAST);
        cr_assert_neq(sent->from, sent->to);
        cr_assert_eq(told[sent->from][sent->to]++, 0, "%u told %u twice", sent->from, sent->to);
        if (tellers[sent->to] == 0) {
            tellers[sent->to] = sent->from + 1; /* Equal latencies: first sent, first there. */
        }
    }
    for (uint32_t node = 0; node < 100; node++) {
        uint32_t targets = 0;
        for (uint32_t peer = 0; peer < 100; peer++) {
            targets += told[node][peer];
        }
        cr_assert_eq(targets, only_broadcasts.fanout, "node %u", node);
        if (node != 7) {
            cr_assert_eq(told[node][tellers[node] - 1], 0, "%u told its teller", node);
        }
    }
}

Test(broadcast, in_a_tiny_mesh_everybody_is_told)
{
    open_grown(5, 0, 4);
    tell(0, "news");
    mesh_run_until(mesh.now_us + 10 * SECOND);
    cr_assert_eq(mesh_heard(1), 4);
    cr_assert_eq(mesh.nodes[0].news, 0, "not the origin");
    /* Four copies from the origin, three from each of the others: all but the teller. */
    cr_assert_eq(mesh.sent_count, 4 + 4 * 3);
    cr_assert_eq(counted(COUNT_BROADCASTS_DUPLICATE), 4 * 3);
}

Test(broadcast, arrives_as_it_was_sent_with_its_hops_counted)
{
    mesh_open(&(struct mesh_options){.nodes = 4,
                                     .seed = 5,
                                     .latency_min_us = 1000,
                                     .latency_max_us = 1000,
                                     .gossip = only_broadcasts});
    for (uint32_t i = 0; i < 4; i++) {
        mesh_start(i);
    }
    for (uint32_t i = 0; i < 3; i++) {
        mesh_know(i, i + 1); /* A line. */
    }
    tell(0, "down the line");
    mesh_run_until(mesh.now_us + SECOND);
    for (uint32_t i = 1; i < 4; i++) {
        const struct message_broadcast *news = &mesh.nodes[i].news_last;
        cr_assert_eq(mesh.nodes[i].news, 1);
        cr_assert_eq(news->hops, i);
        cr_assert_eq(news->payload.len, strlen("down the line"));
        cr_assert_arr_eq(news->payload.data, "down the line", news->payload.len);
        cr_assert_arr_eq(news->origin, mesh.nodes[0].identity.public_key, CRYPTO_PUBLIC_LEN);
    }
}

Test(broadcast, the_same_said_twice_is_two_broadcasts)
{
    open_grown(20, 0, 6);
    tell(3, "again");
    tell(3, "again");
    mesh_run_until(mesh.now_us + 10 * SECOND);
    cr_assert_eq(mesh_heard(2), 19);
}

/* One broadcast of node 0 as its neighbours get it, correctly signed. */
static struct message signed_broadcast(const char *text)
{
    struct message message = {.kind = MESSAGE_BROADCAST};
    struct message_broadcast *broadcast = &message.broadcast;
    broadcast->number = 77;
    broadcast->hops = 1;
    broadcast->payload = slice_of(text, strlen(text));
    memcpy(broadcast->origin, mesh.nodes[0].identity.public_key, CRYPTO_PUBLIC_LEN);
    uint8_t header[CRYPTO_PUBLIC_LEN + 4] = {[CRYPTO_PUBLIC_LEN + 3] = 77};
    memcpy(header, broadcast->origin, CRYPTO_PUBLIC_LEN);
    hash_domain(broadcast->id, BROADCAST_ID_LEN, "meshtwin news", slice_of(header, sizeof header),
                broadcast->payload);
    uint8_t signed_text[16 + BROADCAST_ID_LEN] = "meshtwin news";
    memcpy(signed_text + 16, broadcast->id, BROADCAST_ID_LEN);
    toy_suite.sign(broadcast->signature, slice_of(signed_text, sizeof signed_text),
                   mesh.nodes[0].identity.secret_key);
    return message;
}

static struct message told(uint32_t from, uint32_t to, const struct message *message)
{
    struct message answer;
    mesh_ask(from, to, message, &answer);
    mesh_run_until(mesh.now_us + 10 * SECOND);
    return answer;
}

Test(broadcast, a_repeat_is_acknowledged_as_heard_before)
{
    open_grown(10, 0, 7);
    struct message message = signed_broadcast("by hand");
    struct message answer = told(0, 1, &message);
    cr_assert_eq(answer.kind, MESSAGE_HEARD);
    cr_assert(answer.heard.was_new);
    cr_assert_eq(mesh_heard(1), 10, "also its origin, which did not send it by its own gossip");
    answer = told(2, 1, &message);
    cr_assert_eq(answer.kind, MESSAGE_HEARD);
    cr_assert_not(answer.heard.was_new);
    cr_assert_eq(mesh_heard(1), 10);
}

Test(broadcast, forgeries_get_no_answer_and_go_nowhere)
{
    open_grown(10, 0, 8);
    struct message forged = signed_broadcast("by hand");
    forged.broadcast.signature[10] ^= 1;
    cr_assert_eq(told(2, 1, &forged).kind, 0);
    cr_assert_geq(counted(COUNT_UNAUTHENTIC), 1);

    forged = signed_broadcast("by hand");
    forged.broadcast.id[10] ^= 1;
    cr_assert_eq(told(2, 1, &forged).kind, 0, "an id that is not of the content");
    forged = signed_broadcast("by hand");
    forged.broadcast.number++;
    cr_assert_eq(told(2, 1, &forged).kind, 0, "another number");
    forged = signed_broadcast("by hand");
    forged.broadcast.payload.len--;
    cr_assert_eq(told(2, 1, &forged).kind, 0, "another payload");
    cr_assert_geq(counted(COUNT_MALFORMED), 3);
    cr_assert_geq(mesh.nodes[1].offences, 4, "whoever sent them could have known");
    cr_assert_eq(mesh_heard(0), 10);

    /* And none of that is in the way of the true one. */
    struct message sound = signed_broadcast("by hand");
    cr_assert_eq(told(2, 1, &sound).kind, MESSAGE_HEARD);
    cr_assert_eq(mesh_heard(1), 10);
}

Test(broadcast, at_the_last_hop_it_is_news_and_goes_no_further)
{
    open_grown(10, 0, 9);
    struct message message = signed_broadcast("far travelled");
    message.broadcast.hops = GOSSIP_HOPS_MAX;
    cr_assert_eq(told(2, 1, &message).kind, MESSAGE_HEARD);
    cr_assert_eq(mesh_heard(1), 1);
    cr_assert_eq(mesh.nodes[1].news, 1);
}

Test(broadcast, memory_for_ids_is_taken_with_the_first_broadcast)
{
    open_grown(10, 0, 10);
    cr_assert_eq(mesh.nodes[1].core.arena.used_bytes[ARENA_GOSSIP], 0);
    tell(0, "news");
    mesh_run_until(mesh.now_us + 10 * SECOND);
    uint32_t used = mesh.nodes[1].core.arena.used_bytes[ARENA_GOSSIP];
    cr_assert_gt(used, 0);
    for (int i = 0; i < 200; i++) {
        tell(0, "more news");
        mesh_run_until(mesh.now_us + SECOND);
    }
    cr_assert_eq(mesh_heard(201), 9);
    cr_assert_eq(mesh.nodes[1].core.arena.used_bytes[ARENA_GOSSIP], used);
}

Test(broadcast, what_cannot_be_sent_is_refused)
{
    open_grown(1, 0, 11);
    static const uint8_t payload[MESSAGE_PAYLOAD_MAX + 1];
    uint8_t id[BROADCAST_ID_LEN];
    struct gossip *gossip = &mesh.nodes[0].gossip;
    cr_assert_eq(gossip_broadcast(gossip, slice_of(payload, sizeof payload), id), ERR_TOO_LARGE);
    cr_assert_eq(gossip_broadcast(gossip, slice_of(payload, 5), id), ERR_UNREACHABLE, "alone");
}

Test(broadcast, copies_that_nobody_acknowledges_are_counted)
{
    open_grown(3, 0, 12);
    mesh.nodes[1].is_dead = true;
    mesh.nodes[2].is_dead = true;
    tell(0, "anybody?");
    mesh_run_until(mesh.now_us + 10 * SECOND);
    cr_assert_eq(mesh.nodes[0].core.counters.value[COUNT_BROADCASTS_UNHEARD], 2);
}
