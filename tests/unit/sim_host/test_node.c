/* test_node.c - whole nodes as their driver sees them: commands, events, numbers and rows. */
#include <criterion/criterion.h>

#include "node/inspect.h"
#include "sim/host/host.h"

#define SECOND UINT64_C(1000000)

enum {
    NODES = 6,
    EVENTS_MAX = 256,
    RTT_US = 20000,
};

struct told {
    uint32_t node;
    struct port_event event; /* bytes are not kept. */
    struct node_id about;
};

static struct net_access access_link;
static uint32_t path_us = RTT_US / 2;
static struct net_config net;
static struct world *world;
static struct node_config config;
static struct told told[EVENTS_MAX];
static uint32_t told_count;

static void on_delivered(void *arg, struct host *host, const struct port_event *event)
{
    (void)arg;
    cr_assert_lt(told_count, EVENTS_MAX);
    struct told *new = &told[told_count++];
    *new = (struct told){.node = host->index, .event = *event};
    if (event->about.len == NODE_ID_LEN) {
        memcpy(&new->about, event->about.data, NODE_ID_LEN);
    }
}

static void setup(void)
{
    net = (struct net_config){.latency = NET_LATENCY_MATRIX,
                              .matrix_us = &path_us,
                              .region_count = 1,
                              .access = &access_link,
                              .access_count = 1};
    cr_assert_eq(net_config_check(&net), ERR_OK);
    world = world_open(&(struct world_options){.seed = 7,
                                               .wall_start_us = 1000000 * SECOND,
                                               .crypto = &modelled_suite,
                                               .net = &net,
                                               .hosts_max = NODES,
                                               .node_bytes_max = 4 << 20,
                                               .hooks = {.delivered = on_delivered}});
    for (uint32_t i = 0; i < NODES; i++) {
        host_place(world_host(world, world_add_host(world, i)), &(struct net_site){0}, 7);
    }
    node_config_default(&config);
    told_count = 0;
}

static void teardown(void)
{
    for (uint32_t i = 0; i < NODES; i++) {
        const struct host *host = world_host(world, i);
        const char *wrong = host_is_up(host) ? node_check(host->node) : NULL;
        cr_assert_null(wrong, "node %u: %s", i, wrong);
    }
    world_close(world);
}

TestSuite(node, .init = setup, .fini = teardown);

static struct host *start_with(uint32_t index, const struct node_config *own)
{
    struct host *host = world_host(world, index);
    cr_assert_eq(host_start(host, own), ERR_OK);
    return host;
}

static struct host *start(uint32_t index)
{
    return start_with(index, &config);
}

static void run(uint64_t seconds)
{
    cr_assert(world_run_until(world, world_now_us(world) + seconds * SECOND, 0, NULL));
}

static const struct told *find(enum node_event_kind kind, uint32_t number)
{
    for (uint32_t i = 0; i < told_count; i++) {
        if (told[i].event.kind == kind && told[i].event.command == number) {
            return &told[i];
        }
    }
    return NULL;
}

static const struct told *submit(struct host *host, struct node_command command,
                                 enum node_event_kind kind)
{
    static uint32_t number;
    command.number = ++number;
    cr_assert_eq(host_submit(host, &command), ERR_OK);
    run(10);
    const struct told *answer = find(kind, number);
    cr_assert_not_null(answer);
    return answer;
}

static const struct told *connect_to(struct host *host, const struct host *other)
{
    struct node_command command = {.kind = NODE_CONNECT, .addr = other->port.local};
    return submit(host, command, NODE_CONNECTED);
}

Test(node, that_is_given_a_seed_is_who_the_seed_says_and_stores_nothing)
{
    uint8_t seed[CRYPTO_SEED_LEN] = {1, 2, 3};
    config.identity_seed = seed;
    struct host *host = start(0);
    struct node_id given = host->node->identity.id;
    host_kill(host);
    config.identity_seed = NULL;
    start(0);
    cr_assert_not(node_id_equal(&host->node->identity.id, &given));
    struct node_id drawn = host->node->identity.id;
    run(1); /* Until it is on disk. */
    host_kill(host);
    config.identity_seed = seed;
    start(0);
    cr_assert(node_id_equal(&host->node->identity.id, &given));
    host_kill(host);
    config.identity_seed = NULL;
    start(0);
    cr_assert(node_id_equal(&host->node->identity.id, &drawn));
}

/* A chain of acquaintances: each is introduced to the one before, and all get to know all. */
Test(node, connects_to_an_address_and_joins_through_it)
{
    for (uint32_t i = 0; i < NODES; i++) {
        start(i);
    }
    for (uint32_t i = 1; i < NODES; i++) {
        struct host *previous = world_host(world, i - 1);
        const struct told *answer = connect_to(world_host(world, i), previous);
        cr_assert_eq(answer->event.status, ERR_OK);
        cr_assert(node_id_equal(&answer->about, &previous->node->identity.id));
        cr_assert_geq(answer->event.took_us, 2 * RTT_US, "two round trips of Noise XX");
    }
    run(60);
    for (uint32_t i = 0; i < NODES; i++) {
        struct node_view view;
        node_observe(world_host(world, i)->node, &view);
        cr_assert_eq(view.contacts, NODES - 1);
    }
}

Test(node, says_so_when_nobody_answers_at_an_address)
{
    struct host *host = start(0);
    const struct told *answer = connect_to(host, world_host(world, 1));
    cr_assert_eq(answer->event.status, ERR_TIMEOUT);
    cr_assert_eq(answer->event.about.len, 0);
    struct node_command command = {.kind = NODE_CONNECT, .number = 99, .addr = host->port.local};
    cr_assert_eq(host_submit(host, &command), ERR_INVALID);
}

Test(node, pings_whom_it_knows_and_whom_it_has_to_look_up)
{
    /* Node 2 knows only node 1, and node 0 is introduced to node 1 without a word to node 2. */
    config.dht.group_bucket_max = config.dht.group_table_max = NODES;
    for (uint32_t i = 0; i < 3; i++) {
        start(i);
    }
    (void)connect_to(world_host(world, 2), world_host(world, 1));
    (void)connect_to(world_host(world, 0), world_host(world, 1));
    for (uint32_t i = 1; i < 3; i++) {
        struct node_id id = world_host(world, i)->node->identity.id;
        struct node_command command = {.kind = NODE_PING, .id = id};
        const struct told *answer = submit(world_host(world, 0), command, NODE_PINGED);
        cr_assert_eq(answer->event.status, ERR_OK);
        cr_assert_eq(answer->event.took_us, RTT_US);
        cr_assert(node_id_equal(&answer->about, &id));
    }
    struct node_command nobody = {.kind = NODE_PING};
    cr_assert_eq(submit(world_host(world, 0), nobody, NODE_PINGED)->event.status, ERR_UNREACHABLE);
    nobody = (struct node_command){
        .kind = NODE_PING, .number = 99, .id = world_host(world, 0)->node->identity.id};
    cr_assert_eq(host_submit(world_host(world, 0), &nobody), ERR_INVALID);
}

/* Node 0 by a configuration of its own. */
static void start_all(const struct node_config *first)
{
    start_with(0, first);
    for (uint32_t i = 1; i < NODES; i++) {
        start(i);
        (void)connect_to(world_host(world, i), world_host(world, 0));
    }
}

static void sum_traffic(struct traffic *sum)
{
    *sum = (struct traffic){0};
    for (uint32_t i = 0; i < NODES; i++) {
        struct node_view view;
        if (host_is_up(world_host(world, i))) {
            node_observe(world_host(world, i)->node, &view);
            traffic_add(sum, &view.traffic);
        }
    }
}

/* Nothing is lost here, so what one side sends the other receives, kind by kind. */
Test(node, counts_the_same_kinds_at_both_ends)
{
    start_all(&config);
    struct node_command put = {.kind = NODE_PUT, .bytes = slice_of("value", 5)};
    (void)submit(world_host(world, 1), put, NODE_PUT_DONE);
    struct node_command message = {.kind = NODE_SEND,
                                   .id = world_host(world, 2)->node->identity.id,
                                   .bytes = slice_of("hello", 5)};
    (void)submit(world_host(world, 1), message, NODE_SENT);
    struct node_command ping = {.kind = NODE_PING, .id = message.id};
    (void)submit(world_host(world, 1), ping, NODE_PINGED);
    run(120);

    struct traffic sum;
    struct traffic later;
    do { /* Until a moment at which nothing is under way. */
        sum_traffic(&sum);
        run(1);
        sum_traffic(&later);
    } while (memcmp(&sum, &later, sizeof sum) != 0);
    static const enum traffic_row used[] = {TRAFFIC_PING, TRAFFIC_FIND_NODE, TRAFFIC_STORE,
                                            TRAFFIC_APP,  TRAFFIC_EXCHANGE,  TRAFFIC_IK_1,
                                            TRAFFIC_IK_2, TRAFFIC_XX_1,      TRAFFIC_XX_2,
                                            TRAFFIC_XX_3, TRAFFIC_CONFIRM};
    for (uint32_t i = 0; i < sizeof used / sizeof used[0]; i++) {
        cr_expect_gt(sum.sent[used[i]], 0, "%s", traffic_text(used[i]));
    }
    for (int row = 0; row < TRAFFIC_ROWS; row++) {
        cr_expect_eq(sum.sent[row], sum.received[row], "%s", traffic_text((enum traffic_row)row));
    }
    cr_expect_eq(sum.sent[TRAFFIC_APP], 1);
    cr_expect_eq(sum.sent[TRAFFIC_APP_DONE], 1);
}

static uint32_t contacts_of(uint32_t index)
{
    return dht_contact_count(&world_host(world, index)->node->dht);
}

static void on_ban(void *arg, const struct inspect_ban *ban)
{
    *(struct inspect_ban *)arg = *ban;
}

Test(node, bans_and_forgives_by_command)
{
    start_all(&config);
    struct host *host = world_host(world, 0);
    struct node_id id = world_host(world, 1)->node->identity.id;
    struct node_command command = {.kind = NODE_BAN, .id = id};
    const struct told *banned = submit(host, command, NODE_BANNED);
    cr_assert_eq(banned->event.status, ERR_OK);
    cr_assert(node_id_equal(&banned->about, &id));
    struct inspect_peer peer;
    cr_assert_not(node_inspect_peer(host->node, &id, &peer));
    struct inspect_ban row = {0};
    node_inspect_bans(host->node, on_ban, &row);
    cr_assert(node_id_equal(&row.id, &id));
    cr_assert_leq(row.until_s, 3600);
    cr_assert_geq(row.until_s, 3600 - 10);
    run(1800);
    cr_assert_eq(contacts_of(0), NODES - 2);
    cr_assert_eq(contacts_of(1), NODES - 2, "it noticed that we are silent");

    command.kind = NODE_UNBAN;
    cr_assert_eq(submit(host, command, NODE_UNBANNED)->event.status, ERR_OK);
    cr_assert_eq(submit(host, command, NODE_UNBANNED)->event.status, ERR_MISSING);
    (void)connect_to(world_host(world, 1), host);
    cr_assert_eq(contacts_of(0), NODES - 1);
    command = (struct node_command){.kind = NODE_BAN, .number = 99, .id = host->node->identity.id};
    cr_assert_eq(host_submit(host, &command), ERR_INVALID);
}

Test(node, bans_who_floods_it_and_tells_its_driver)
{
    static struct node_config strict; /* For as long as the node runs. */
    strict = config;
    strict.guard.peer_per_minute = 20;
    strict.guard.threat_medium = 10;
    strict.guard.threat_high = 30;
    strict.guard.threat_decay = 0;
    start_all(&strict);
    struct host *flooder = world_host(world, 1);
    struct node_id victim = world_host(world, 0)->node->identity.id;
    static uint32_t number = 1000;
    for (uint32_t i = 0; i < 100; i++) {
        struct node_command ping = {.kind = NODE_PING, .id = victim, .number = ++number};
        (void)host_submit(flooder, &ping);
        cr_assert(world_run_until(world, world_now_us(world) + SECOND / 10, 0, NULL));
    }
    run(1);
    const struct told *banned = find(NODE_BANNED, 0);
    cr_assert_not_null(banned);
    cr_assert_eq(banned->node, 0);
    cr_assert_eq(banned->event.count[0], strict.guard.threat_high);
    cr_assert(node_id_equal(&banned->about, &flooder->node->identity.id));
    cr_assert_eq(contacts_of(0), NODES - 2);
    struct node_view view;
    node_observe(world_host(world, 0)->node, &view);
    cr_assert_eq(view.counters.value[COUNT_BANS], 1);
    run(60);
    node_observe(world_host(world, 0)->node, &view);
    cr_assert_gt(view.counters.value[COUNT_BANNED_DROPPED], 0, "it keeps trying");
    for (uint32_t i = 2; i < NODES; i++) { /* Nobody else has lost anybody. */
        cr_assert_eq(contacts_of(i), NODES - 1);
    }
}

struct known_rows {
    uint32_t count;
    uint32_t connected;
    uint64_t seen_min_s;
};

static void on_known(void *arg, const struct inspect_known *known)
{
    struct known_rows *rows = arg;
    rows->count++;
    rows->connected += known->is_connected;
    rows->seen_min_s = known->seen_s < rows->seen_min_s ? known->seen_s : rows->seen_min_s;
}

static struct known_rows known_rows(uint32_t index)
{
    struct known_rows rows = {.seen_min_s = UINT64_MAX};
    node_inspect_known(world_host(world, index)->node, on_known, &rows);
    return rows;
}

/* Whom it was introduced by is dead, and nobody is named to it any more. */
Test(node, comes_back_by_whom_it_knew)
{
    start_all(&config);
    run(30);
    struct known_rows rows = known_rows(2);
    cr_assert_eq(rows.count, NODES - 1);
    cr_assert_eq(rows.connected, NODES - 1);
    cr_assert_geq(rows.seen_min_s, 1000000);
    host_kill(world_host(world, 0));
    host_kill(world_host(world, 2));
    run(10);
    start(2);
    rows = known_rows(2);
    cr_assert_geq(rows.count, (NODES - 1) / 2, "as of the last time its table had doubled");
    cr_assert_eq(rows.connected, 0);
    run(30);
    cr_assert_geq(contacts_of(2), NODES - 2);
}

struct rows {
    uint32_t count;
    uint32_t sessions;
    uint32_t in_table;
    int32_t bucket_last;
    uint32_t in_buckets;
};

static void on_peer(void *arg, const struct inspect_peer *peer)
{
    struct rows *rows = arg;
    rows->count++;
    rows->sessions += peer->has_session;
    rows->in_table += peer->bucket >= 0;
    cr_expect(peer->has_session ? peer->sent > 0 : peer->sent == 0);
    cr_expect_geq(peer->heard_s, 0);
    if (peer->bucket >= 0) {
        cr_expect_geq(peer->bucket, rows->bucket_last, "nearest bucket last");
        rows->bucket_last = peer->bucket;
    }
}

static void on_bucket(void *arg, const struct inspect_bucket *bucket)
{
    ((struct rows *)arg)->in_buckets += bucket->count;
}

Test(node, shows_its_peers_and_buckets_row_by_row)
{
    start_all(&config);
    const struct node *node = world_host(world, 0)->node;
    struct rows rows = {.bucket_last = -1};
    node_inspect_peers(node, on_peer, &rows);
    node_inspect_buckets(node, on_bucket, &rows);
    struct node_view view;
    node_observe(node, &view);
    cr_expect_eq(rows.in_table, view.contacts);
    cr_expect_eq(rows.in_buckets, view.contacts);
    cr_expect_gt(rows.sessions, 0);

    struct inspect_peer peer;
    const struct identity *other = &world_host(world, NODES - 1)->node->identity;
    cr_assert(node_inspect_peer(node, &other->id, &peer));
    cr_expect_arr_eq(peer.contact->key, other->public_key, CRYPTO_PUBLIC_LEN);
    cr_expect(port_addr_equal(&peer.contact->addr, &world_host(world, NODES - 1)->port.local));
    cr_expect_not(node_inspect_peer(node, &node->identity.id, &peer));
}
