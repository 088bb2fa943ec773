/* bench_baseline.c - the lookups that SimGrid and ns-3 were measured with, through the whole node.
 *
 * N nodes, k = 8, alpha = 3, tables filled from global knowledge; one-way latency = access(from) +
 * access(to), each 10..40 ms; 0.1 % loss; every lookup seeks the id of an existing node and starts
 * at a fixed pseudo-random time within 600 simulated seconds. Unlike in the references every
 * message is encoded, sealed (modelled suite), travels as bytes and has its timers.
 *
 *   cold: no session is ever trusted to live; each request carries a handshake.
 *   warm: the same lookups again, over sessions that an earlier pass has opened and confirmed.
 *
 * usage: bench_baseline [NODES [LOOKUPS_PER_NODE]]      CPU time of one thread; prints one line a
 * mode
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "node/base/must.h"
#include "sim/host/host.h"

enum {
    K = 8,
    SPAN_S = 600,
    SETTLE_S = 60,      /* For what a node does of itself when it starts. */
    AGAIN_US = 1500000, /* Soon enough to use, and so confirm, the session just opened. */
    SEED = 1,
};

#define SECOND UINT64_C(1000000)

struct bench {
    struct world *world;
    struct node_config config;
    struct net_access access;
    struct net_config net;
    uint32_t path_us;
    uint32_t nodes;
    uint32_t lookups_per_node;
    struct node_id *ids;
    uint32_t *by_id; /* Host indices in id order. */
    uint64_t done;
    uint64_t found;
};

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static const struct node_id *target_of(const struct bench *bench, uint32_t node, uint32_t lookup)
{
    uint64_t word = rng_mix((uint64_t)node << 20 | lookup);
    return &bench->ids[rng_mix(word) % bench->nodes];
}

static void on_script(void *arg, struct host *host, uint32_t what)
{
    struct bench *bench = arg;
    struct node_command command = {
        .kind = NODE_LOOKUP, .number = what + 1, .id = *target_of(bench, host->index, what)};
    must(host_submit(host, &command) == ERR_OK);
}

static void on_delivered(void *arg, struct host *host, const struct port_event *event)
{
    struct bench *bench = arg;
    if (event->kind != NODE_LOOKUP_DONE) {
        return;
    }
    uint32_t first;
    bench->done++;
    if (event->bytes.len >= sizeof first) {
        memcpy(&first, event->bytes.data, sizeof first);
        bench->found += memcmp(&contact_at(&host->port, first)->id, event->about.data,
                               sizeof(struct node_id)) == 0;
    }
}

static struct bench *order_by;

static int id_order(const void *a, const void *b)
{
    return memcmp(&order_by->ids[*(const uint32_t *)a], &order_by->ids[*(const uint32_t *)b],
                  sizeof(struct node_id));
}

static void seed_bucket(struct bench *bench, struct node *node, uint32_t low, uint32_t high,
                        struct rng *rng)
{
    /* One pick in each of K equal strata: distinct, and spread over the bucket. */
    uint32_t count = high - low;
    uint32_t picks = count < K ? count : K;
    for (uint32_t i = 0; i < picks; i++) {
        uint32_t from = low + (uint32_t)((uint64_t)count * i / picks);
        uint32_t to = low + (uint32_t)((uint64_t)count * (i + 1) / picks);
        uint32_t pick = bench->by_id[from + rng_below(rng, to - from)];
        struct host *host = world_host(bench->world, pick);
        dht_seed_contact(
            &node->dht,
            contact_intern(node->core.port, host->node->identity.public_key, &host->port.local));
    }
}

/* The buckets of one node: at each bit the half of the remaining range that the node is not in. */
static void seed_table(struct node *node, void *arg)
{
    struct bench *bench = arg;
    struct rng rng;
    rng_stream(&rng, SEED, "table", node_id_prefix(&node->identity.id), 0);
    uint32_t low = 0;
    uint32_t high = bench->nodes;
    for (int bit = 0; bit < NODE_ID_LEN * 8 && high - low > 1; bit++) {
        uint32_t split = low;
        for (uint32_t end = high; split < end;) {
            uint32_t middle = split + (end - split) / 2;
            const struct node_id *id = &bench->ids[bench->by_id[middle]];
            if ((id->bytes[bit / 8] >> (7 - bit % 8)) & 1) {
                end = middle;
            } else {
                split = middle + 1;
            }
        }
        if ((node->identity.id.bytes[bit / 8] >> (7 - bit % 8)) & 1) {
            seed_bucket(bench, node, low, split, &rng);
            low = split;
        } else {
            seed_bucket(bench, node, split, high, &rng);
            high = split;
        }
    }
}

static void bench_open(struct bench *bench, bool is_warm)
{
    node_config_default(&bench->config);
    bench->config.dht.k = K;
    bench->config.dht.refresh_us = UINT64_C(1) << 50;
    bench->config.dht.join_spread_us = UINT64_C(1) << 50;
    bench->config.dht.check_us = DHT_SILENT_MAX_S * SECOND;
    bench->config.dht.lookups_max = 64;
    bench->config.gossip.period_us = 0;
    bench->config.guard.group_rate = 0;
    bench->config.guard.peer_per_minute = 0;
    bench->config.guard.peer_per_hour = 0;
    bench->config.transport.sessions_max = is_warm ? 512 : 64;
    bench->config.transport.session_idle_us = is_warm ? UINT64_C(1) << 50 : 0;
    bench->config.transport.rekey_after_us = UINT64_C(1) << 50;
    bench->net = (struct net_config){.latency = NET_LATENCY_MATRIX,
                                     .matrix_us = &bench->path_us,
                                     .region_count = 1,
                                     .loss = {.loss_good = net_chance(0.001)},
                                     .access = &bench->access,
                                     .access_count = 1};
    must(net_config_check(&bench->net) == ERR_OK);
    bench->world = world_open(&(struct world_options){
        .seed = SEED,
        .crypto = &modelled_suite,
        .net = &bench->net,
        .hosts_max = bench->nodes,
        .node_bytes_max = 64 << 20,
        .hooks = {.arg = bench, .delivered = on_delivered, .scripted = on_script}});
    for (uint32_t i = 0; i < bench->nodes; i++) {
        struct host *host = world_host(bench->world, world_add_host(bench->world, i));
        uint64_t word = rng_mix(i + UINT64_C(0x10001) * SEED);
        struct net_site site = {.access_us = 10000 + (uint32_t)(word % 30001)};
        host_place(host, &site, SEED);
        must(host_start(host, &bench->config) == ERR_OK);
        bench->ids[i] = host->node->identity.id;
        bench->by_id[i] = i;
    }
    order_by = bench;
    qsort(bench->by_id, bench->nodes, sizeof *bench->by_id, id_order);
    for (uint32_t i = 0; i < bench->nodes; i++) {
        host_enter(world_host(bench->world, i), seed_table, bench);
    }
    world_run_until(bench->world, SETTLE_S * SECOND, 0, NULL);
}

/* `mode` NULL: not measured, each lookup twice. */
static void run_once(struct bench *bench, const char *mode)
{
    uint64_t start_us = world_now_us(bench->world) + SECOND;
    struct rng rng;
    for (uint32_t i = 0; i < bench->nodes; i++) {
        rng_stream(&rng, SEED, "plan", i, 0);
        for (uint32_t lookup = 0; lookup < bench->lookups_per_node; lookup++) {
            uint64_t slot_us = SPAN_S * SECOND / bench->lookups_per_node;
            uint64_t at_us = start_us + slot_us * lookup + rng_below(&rng, slot_us);
            host_script(world_host(bench->world, i), at_us, lookup);
            if (mode == NULL) {
                host_script(world_host(bench->world, i), at_us + AGAIN_US, lookup);
            }
        }
    }
    struct host_counts before = world_counts(bench->world);
    bench->done = 0;
    bench->found = 0;
    double cpu = cpu_s();
    world_run_until(bench->world, start_us + (SPAN_S + 60) * SECOND, 0, NULL);
    cpu = cpu_s() - cpu;
    struct host_counts after = world_counts(bench->world);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    if (mode == NULL) {
        return;
    }
    double messages = (double)(after.datagrams_sent - before.datagrams_sent);
    printf("%s nodes=%u lookups=%llu found=%.4f messages=%.0f bytes_per_message=%.0f cpu_s=%.2f "
           "messages_per_cpu_s=%.0f events_per_cpu_s=%.0f lookups_per_cpu_s=%.0f rss_mb=%.0f "
           "digest=%016llx\n",
           mode, bench->nodes, (unsigned long long)bench->done,
           (double)bench->found / (double)(bench->done > 0 ? bench->done : 1), messages,
           (double)(after.bytes_sent - before.bytes_sent) / messages, cpu, messages / cpu,
           (double)(after.events - before.events) / cpu, (double)bench->done / cpu,
           (double)usage.ru_maxrss / 1024, (unsigned long long)world_digest(bench->world));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct bench bench = {.nodes = argc > 1 ? (uint32_t)atoi(argv[1]) : 10000,
                          .lookups_per_node = argc > 2 ? (uint32_t)atoi(argv[2]) : 10};
    if (bench.nodes < 2 || bench.lookups_per_node < 1) {
        fprintf(stderr, "usage: %s [NODES [LOOKUPS_PER_NODE]]\n", argv[0]);
        return 2;
    }
    bench.ids = calloc(bench.nodes, sizeof *bench.ids);
    bench.by_id = calloc(bench.nodes, sizeof *bench.by_id);
    must(bench.ids != NULL && bench.by_id != NULL);

    bench_open(&bench, false);
    run_once(&bench, "cold");
    world_close(bench.world);

    bench_open(&bench, true);
    run_once(&bench, NULL);
    run_once(&bench, "warm");
    world_close(bench.world);
    free(bench.ids);
    free(bench.by_id);
    return 0;
}
