/* test_ledger.c - the ledger's promise under faults, with whole nodes: whatever is lost, doubled,
 * late or forgotten in a crash, both parties agree in the end and nothing is redeemed twice.
 *
 *      seed -> 2..5 nodes, loss, jitter -> storm: commands, kills, old statements again
 *           -> quiet -> every IOU in the same state on both sides, sums equal
 *
 * Loss and jitter are the network's; a crash undoes what is not durable, torn anywhere. Statements
 * come doubled and out of order because any that was ever sent may be handed to its receiver again,
 * at any time. MESHTWIN_LEDGER_SEED=n runs one seed, MESHTWIN_NIGHTLY=1 more of them.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/must.h"
#include "sim/host/host.h"

#define SECOND UINT64_C(1000000)

enum {
    NODES_MAX = 5,
    OPS_MAX = 8192,
    SAID_MAX = 8192,
    SEEDS = 32,
    SEEDS_NIGHTLY = 512,
    STORM_S = 900,
    QUIET_S = 3 * 3600,
    KILL_COMMANDS = 3,
    SMALL_TABLE = 12, /* Every other seed: closed IOUs must make room. */
};

/* A command that was taken, and how it ended. */
struct op {
    enum node_command_kind kind;
    uint32_t node;
    bool is_done;
    int status;
    uint8_t iou[IOU_ID_LEN];
};

/* A statement that may have been sent. */
struct said {
    uint32_t to;
    uint32_t from;
    struct message_statement statement;
};

static struct storm {
    uint64_t seed;
    struct rng rng;
    uint32_t nodes;
    struct world *world;
    struct dist latency;
    struct net_config net;
    struct net_access access;
    uint8_t seeds[NODES_MAX][CRYPTO_SEED_LEN];
    struct node_config configs[NODES_MAX];
    struct port_addr bootstrap;
    struct node_id ids[NODES_MAX];
    uint64_t up_us[NODES_MAX]; /* When a node that is down comes back. */
    struct op ops[OPS_MAX];
    uint32_t op_count;
    struct said said[SAID_MAX];
    uint32_t said_count;
    uint32_t redeemed;
    uint32_t kills;
} storm;

#define expect(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            cr_assert_fail(                                                                        \
                "%s; replay: MESHTWIN_LEDGER_SEED=%llu sim_stories --filter 'ledger/*'",           \
                #condition, (unsigned long long)storm.seed);                                       \
        }                                                                                          \
    } while (0)

static uint32_t dice(uint32_t bound)
{
    return (uint32_t)rng_below(&storm.rng, bound);
}

static const struct ledger *ledger_of(uint32_t node)
{
    const struct host *host = world_host(storm.world, node);
    return host_is_up(host) ? &host->node->ledger : NULL;
}

static void on_delivered(void *arg, struct host *host, const struct port_event *event)
{
    (void)arg;
    (void)host;
    if (event->kind != NODE_IOU_DONE) {
        return;
    }
    struct op *op = &storm.ops[event->command - 1];
    expect(!op->is_done, "command %u ended twice\n", event->command);
    op->is_done = true;
    op->status = event->status;
    if (event->about.len == IOU_ID_LEN) {
        memcpy(op->iou, event->about.data, IOU_ID_LEN);
    }
}

static void start(uint32_t node)
{
    struct host *host = world_host(storm.world, node);
    must(host_start(host, &storm.configs[node]) == ERR_OK);
    storm.ids[node] = host->node->identity.id;
    storm.up_us[node] = 0;
}

static void open_storm(uint64_t seed)
{
    memset(&storm, 0, sizeof storm);
    storm.seed = seed;
    rng_stream(&storm.rng, seed, "ledger storm", 0, 0);
    storm.nodes = 2 + (uint32_t)(seed % (NODES_MAX - 1));
    struct dist_spec latency = {.kind = DIST_UNIFORM, .min = 2000, .max = 400000};
    must(dist_fill(&storm.latency, &latency) == ERR_OK);
    storm.net = (struct net_config){.latency = NET_LATENCY_MATRIX,
                                    .jitter = NET_JITTER_ADD,
                                    .jitter_dist = &storm.latency,
                                    .loss = {.loss_good = UINT32_MAX / 100 * dice(25)},
                                    .access = &storm.access,
                                    .access_count = 1};
    static const uint32_t path_us = 1000;
    storm.net.matrix_us = &path_us;
    storm.net.region_count = 1;
    must(net_config_check(&storm.net) == ERR_OK);
    storm.world = world_open(&(struct world_options){.seed = seed,
                                                     .wall_start_us = 1000000 * SECOND,
                                                     .crypto = &modelled_suite,
                                                     .net = &storm.net,
                                                     .hosts_max = storm.nodes,
                                                     .node_bytes_max = 4 << 20,
                                                     .hooks = {.delivered = on_delivered}});
    for (uint32_t i = 0; i < storm.nodes; i++) {
        struct host *host = world_host(storm.world, world_add_host(storm.world, i));
        host_place(host, &(struct net_site){0}, seed);
        storm.bootstrap = world_host(storm.world, 0)->port.local;
        storm.seeds[i][0] = (uint8_t)(i + 1);
        struct node_config *config = &storm.configs[i];
        node_config_default(config);
        config->identity_seed = storm.seeds[i];
        config->bootstrap = &storm.bootstrap;
        config->bootstrap_count = 1;
        if (seed % 2 == 1) {
            config->ledger.ious_max = SMALL_TABLE;
        }
        config->ledger.offers_per_peer_max = 16;
    }
    for (uint32_t i = 0; i < storm.nodes; i++) {
        start(i);
    }
}

static uint32_t node_of(const uint8_t key[CRYPTO_PUBLIC_LEN])
{
    struct node_id id;
    contact_id(&id, key);
    for (uint32_t i = 0; i < storm.nodes; i++) {
        if (node_id_equal(&id, &storm.ids[i])) {
            return i;
        }
    }
    must(false);
    return 0;
}

/* What may be on its way by now: only what is durable at its sender. */
static void overhear(uint32_t node)
{
    const struct ledger *ledger = ledger_of(node);
    for (uint16_t place = 0; ledger != NULL && place < book_places(&ledger->book); place++) {
        const struct book_row *row = book_at(&ledger->book, place);
        bool is_mine = row != NULL && row->is_debtor == (row->said.state == IOU_OFFERED);
        if (is_mine && book_is_durable(row)) {
            struct said *said = &storm.said[storm.said_count++ % SAID_MAX];
            said->from = node;
            said->to = node_of(book_counterpart(row));
            said->statement = (struct message_statement){.iou = row->iou, .said = row->said};
        }
    }
}

static void say_again(struct node *node, void *arg)
{
    const struct said *said = arg;
    const uint8_t *key = said->statement.said.state == IOU_OFFERED ? said->statement.iou.debtor
                                                                   : said->statement.iou.creditor;
    struct port *port = node->core.port;
    uint32_t peer = contact_intern(port, key, &world_host(storm.world, said->from)->port.local);
    struct message_from from = {
        .peer = peer, .is_verified = true, .session = UINT32_MAX, .answer_max = MESSAGE_MAX};
    ledger_on_statement(&node->ledger, &from, &said->statement);
    timerq_settle(&node->core.timers);
    port->ops->intern_release(port, peer);
}

/* Any old statement, to its receiver. */
static void repeat_one(void)
{
    uint32_t count = storm.said_count < SAID_MAX ? storm.said_count : SAID_MAX;
    if (count > 0) {
        struct said *said = &storm.said[dice(count)];
        struct host *host = world_host(storm.world, said->to);
        if (host_is_up(host)) {
            host_enter(host, say_again, said);
        }
    }
}

static const struct book_row *random_row(uint32_t node)
{
    const struct book *book = &ledger_of(node)->book;
    uint16_t places = book_places(book);
    for (uint32_t tries = 0; places > 0 && tries < 8; tries++) {
        const struct book_row *row = book_at(book, (uint16_t)dice(places));
        if (row != NULL) {
            return row;
        }
    }
    return NULL;
}

static void submit(uint32_t node, struct node_command command)
{
    must(storm.op_count < OPS_MAX);
    struct op *op = &storm.ops[storm.op_count];
    *op = (struct op){.kind = command.kind, .node = node};
    memcpy(op->iou, command.iou, IOU_ID_LEN);
    command.number = ++storm.op_count;
    if (host_submit(world_host(storm.world, node), &command) != ERR_OK) {
        storm.op_count--;
    }
}

static void command_one(uint32_t node)
{
    static const enum node_command_kind kinds[] = {NODE_IOU_ACCEPT, NODE_IOU_ACCEPT,
                                                   NODE_IOU_REJECT, NODE_IOU_REDEEM,
                                                   NODE_IOU_REDEEM, NODE_IOU_DEFAULT};
    if (dice(3) == 0) {
        uint32_t other = (node + 1 + dice(storm.nodes - 1)) % storm.nodes;
        submit(node, (struct node_command){.kind = NODE_IOU_OWE,
                                           .id = storm.ids[other],
                                           .amount = 1 + dice(1000),
                                           .due_s = 1 + dice(300),
                                           .bytes = slice_of("storm", 5)});
        return;
    }
    const struct book_row *row = random_row(node);
    if (row != NULL) {
        struct node_command command = {.kind = kinds[dice(array_len(kinds))]};
        memcpy(command.iou, row->id, IOU_ID_LEN);
        submit(node, command);
    }
}

static void run(uint64_t for_us)
{
    must(world_run_until(storm.world, world_now_us(storm.world) + for_us, 0, NULL));
}

static void rage(void)
{
    for (uint32_t tick = 0; tick < STORM_S * 4; tick++) {
        /* Odd pauses, so that kills fall between a commit and its disk. */
        run(SECOND / 4 - dice(3000));
        uint32_t node = dice(storm.nodes);
        struct host *host = world_host(storm.world, node);
        if (!host_is_up(host)) {
            if (world_now_us(storm.world) >= storm.up_us[node]) {
                start(node);
            }
            continue;
        }
        if (dice(3) == 0) {
            command_one(node);
        }
        if (dice(8) == 0) {
            overhear(node);
        }
        if (dice(2) == 0) {
            repeat_one();
        }
        if (dice(40) == 0) {
            /* Something is on its way to the disk, which takes up to 5 ms. */
            for (uint32_t i = 0; i < KILL_COMMANDS; i++) {
                command_one(node);
            }
            run(dice(6000));
            dice(4) == 0 ? host_stop(host) : host_kill(host);
            storm.kills++;
            storm.up_us[node] = world_now_us(storm.world) + dice(40) * SECOND;
        }
    }
    for (uint32_t i = 0; i < storm.nodes; i++) {
        if (!host_is_up(world_host(storm.world, i))) {
            start(i);
        }
    }
}

/* Whoever is missing a row has let a closed one go, or never had room for the offer. */
static void compare_rows(uint32_t node)
{
    const struct ledger *ledger = ledger_of(node);
    for (uint16_t place = 0; place < book_places(&ledger->book); place++) {
        const struct book_row *row = book_at(&ledger->book, place);
        if (row == NULL) {
            continue;
        }
        uint32_t other = node_of(book_counterpart(row));
        const struct book_row *twin = book_find(&ledger_of(other)->book, row->id);
        if (twin != NULL) {
            expect(twin->said.state == row->said.state, "nodes %u, %u: %s and %s\n", node, other,
                   iou_state_text(row->said.state), iou_state_text(twin->said.state));
            expect(twin->is_debtor != row->is_debtor, "two debtors\n");
            expect(book_is_settled(row), "node %u: %s is not settled\n", node,
                   iou_state_text(row->said.state));
            continue;
        }
        bool is_waiting = row->is_debtor && row->said.state == IOU_OFFERED && row->confirmed == 0 &&
                          ledger->config->ious_max == SMALL_TABLE;
        bool may_have_gone =
            iou_is_closed(row->said.state) && ledger->config->ious_max == SMALL_TABLE;
        expect(is_waiting || may_have_gone, "node %u alone has %s\n", node,
               iou_state_text(row->said.state));
    }
}

static void compare_sums(void)
{
    uint64_t to_us = 0;
    uint64_t by_us = 0;
    for (uint32_t i = 0; i < storm.nodes; i++) {
        struct ledger_view view;
        ledger_view(ledger_of(i), &view);
        to_us += view.owed_to_us;
        by_us += view.owed_by_us;
        const char *wrong = node_check(world_host(storm.world, i)->node);
        expect(wrong == NULL, "node %u: %s\n", i, wrong != NULL ? wrong : "");
    }
    expect(to_us == by_us, "owed to somebody %llu, by somebody %llu\n", (unsigned long long)to_us,
           (unsigned long long)by_us);
}

/* A redemption that was acknowledged stands, and was acknowledged once. */
static void check_redeemed(void)
{
    for (uint32_t i = 0; i < storm.op_count; i++) {
        const struct op *op = &storm.ops[i];
        if (op->kind != NODE_IOU_REDEEM || !op->is_done || op->status != ERR_OK) {
            continue;
        }
        storm.redeemed++;
        for (uint32_t j = 0; j < i; j++) {
            const struct op *before = &storm.ops[j];
            bool is_again = before->kind == NODE_IOU_REDEEM && before->is_done &&
                            before->status == ERR_OK &&
                            memcmp(before->iou, op->iou, IOU_ID_LEN) == 0;
            expect(!is_again, "commands %u and %u redeemed one IOU\n", j + 1, i + 1);
        }
        for (uint32_t node = 0; node < storm.nodes; node++) {
            const struct book_row *row = book_find(&ledger_of(node)->book, op->iou);
            expect(row == NULL || row->said.state == IOU_REDEEMED, "node %u: redeemed, but %s\n",
                   node, iou_state_text(row->said.state));
        }
    }
}

/* An IOU that its debtor was told is durable is nowhere forgotten while it is open. */
static void check_owed(void)
{
    for (uint32_t i = 0; i < storm.op_count; i++) {
        const struct op *op = &storm.ops[i];
        bool is_made = op->kind == NODE_IOU_OWE && op->is_done && op->status == ERR_OK;
        if (is_made && storm.seed % 2 == 0) {
            expect(book_find(&ledger_of(op->node)->book, op->iou) != NULL,
                   "the IOU of command %u is gone\n", i + 1);
        }
    }
}

/* Each default was held against its debtor once, whatever crashed meanwhile. */
static void check_deeds(void)
{
    for (uint32_t node = 0; node < storm.nodes; node++) {
        struct ledger_view view;
        ledger_view(ledger_of(node), &view);
        uint32_t ended = 0;
        uint32_t taken = 0;
        for (uint32_t i = 0; i < storm.op_count; i++) {
            const struct op *op = &storm.ops[i];
            taken += op->node == node && op->kind == NODE_IOU_DEFAULT;
            ended += op->node == node && op->kind == NODE_IOU_DEFAULT && op->is_done;
        }
        expect(view.events[TRUST_IOU_DEFAULTED] >= ended &&
                   view.events[TRUST_IOU_DEFAULTED] <= taken,
               "node %u: %u defaults counted, %u acknowledged, %u begun\n", node,
               view.events[TRUST_IOU_DEFAULTED], ended, taken);
    }
}

static void weather(uint64_t seed)
{
    open_storm(seed);
    run(20 * SECOND);
    rage();
    run(QUIET_S * SECOND);
    for (uint32_t i = 0; i < storm.nodes; i++) {
        compare_rows(i);
    }
    compare_sums();
    check_redeemed();
    check_owed();
    check_deeds();
    fprintf(stderr, "seed %llu: %u nodes, %u commands, %u redeemed, %u kills\n",
            (unsigned long long)seed, storm.nodes, storm.op_count, storm.redeemed, storm.kills);
    expect(storm.redeemed > 0 && storm.kills > 0, "nothing happened\n");
    world_close(storm.world);
}

Test(ledger, any_storm_leaves_both_sides_agreed_and_nothing_redeemed_twice, .timeout = 0)
{
    const char *one = getenv("MESHTWIN_LEDGER_SEED");
    if (one != NULL) {
        weather(strtoull(one, NULL, 10));
        return;
    }
    const char *nightly = getenv("MESHTWIN_NIGHTLY");
    uint64_t seeds = nightly != NULL && strcmp(nightly, "1") == 0 ? SEEDS_NIGHTLY : SEEDS;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        weather(seed);
    }
}
