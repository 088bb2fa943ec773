/* bench_net.c - the cost of one datagram's departure, per network model, in CPU time.
 *
 * Senders and receivers are picked at random among 10,000 and 100,000 links, so the figures hold
 * the cache misses of two 64-byte links per datagram, as a run has them; the loop that only picks
 * and touches them is printed as the reference. Usage: bench_net [departures].
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "node/base/must.h"
#include "sim/net/net.h"

#define REGIONS   200
#define LINKS_MAX 100000

struct world {
    struct net_config config;
    struct net_link *links;
    struct net_site *sites;
    uint32_t matrix_us[REGIONS * REGIONS];
    struct net_access access[2]; /* Unlimited; 50 Mbit/s. */
    struct dist jitter;
    struct geo geo;
};

static void world_fill(struct world *world);
static void links_place(struct world *world, uint32_t count, uint16_t access);
static double depart_ns(struct world *world, uint32_t count, size_t departures);
static double touch_ns(const struct world *world, uint32_t count, size_t departures);
static double cpu_s(void);

int main(int argc, char **argv)
{
    size_t departures = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    struct world *world = calloc(1, sizeof *world);
    must(world != NULL && departures > 0);
    world_fill(world);
    printf("ns per departure           10,000 links   100,000 links\n");
    const struct net_config full = world->config;
    for (int model = 0; model < 5; model++) {
        static const char *const names[] = {"pick two links only", "matrix", "matrix, jitter, loss",
                                            "+ 50 Mbit/s uplink", "geo, jitter, loss"};
        world->config = full;
        if (model == 1) {
            world->config.jitter = NET_JITTER_NONE;
            world->config.loss = (struct net_loss){0};
        }
        world->config.latency = model == 4 ? NET_LATENCY_GEO : NET_LATENCY_MATRIX;
        double ns[2];
        for (int i = 0; i < 2; i++) {
            uint32_t count = i == 0 ? LINKS_MAX / 10 : LINKS_MAX;
            links_place(world, count, model == 3);
            ns[i] = model == 0 ? touch_ns(world, count, departures)
                               : depart_ns(world, count, departures);
        }
        printf("%-24s %14.1f %15.1f\n", names[model], ns[0], ns[1]);
    }
    free(world->sites);
    free(world->links);
    free(world);
    return 0;
}

static void world_fill(struct world *world)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (size_t i = 0; i < REGIONS * REGIONS; i++) {
        world->matrix_us[i] = (uint32_t)(2000 + rng_below(&rng, 150000));
    }
    world->access[1] = (struct net_access){.up_bps = 50000000, .up_queue_bytes = 1 << 20};
    must(dist_fill(&world->jitter,
                   &(struct dist_spec){.kind = DIST_LOGNORMAL, .median = 3000, .sigma = 0.5}) ==
         ERR_OK);
    must(geo_fill(&world->geo, 1.7) == ERR_OK);
    world->links = calloc(LINKS_MAX, sizeof *world->links);
    world->sites = calloc(LINKS_MAX, sizeof *world->sites);
    must(world->links != NULL && world->sites != NULL);
    world->config = (struct net_config){.jitter = NET_JITTER_ADD,
                                        .mtu_bytes = 1500,
                                        .loss = {.loss_good = net_chance(0.01)},
                                        .matrix_us = world->matrix_us,
                                        .region_count = REGIONS,
                                        .geo = &world->geo,
                                        .jitter_dist = &world->jitter,
                                        .access = world->access,
                                        .access_count = 2};
}

static void links_place(struct world *world, uint32_t count, uint16_t access)
{
    struct rng rng;
    rng_seed(&rng, 2);
    for (uint32_t i = 0; i < count; i++) {
        struct net_site site = {.access = access,
                                .region = (uint16_t)rng_below(&rng, REGIONS),
                                .access_us = (uint32_t)(2000 + rng_below(&rng, 8000))};
        double latitude = (double)rng_below(&rng, 120) - 60;
        must(geo_place_at(&site.place, latitude, (double)rng_below(&rng, 360) - 180) == ERR_OK);
        net_link_init(&world->links[i], &world->config, &site, 1, i);
        world->sites[i] = site;
    }
}

static double depart_ns(struct world *world, uint32_t count, size_t departures)
{
    struct rng rng;
    rng_seed(&rng, 3);
    uint64_t sum = 0;
    double start_s = cpu_s();
    for (size_t i = 0; i < departures; i++) {
        struct net_link *from = &world->links[rng_below(&rng, count)];
        const struct net_site *to = &world->sites[rng_below(&rng, count)];
        uint64_t arrive_us = 0;
        sum += net_depart(&world->config, from, to, 100, i, &arrive_us) + arrive_us;
    }
    double spent_s = cpu_s() - start_s;
    must(sum != 0);
    return spent_s * 1e9 / (double)departures;
}

static double touch_ns(const struct world *world, uint32_t count, size_t departures)
{
    struct rng rng;
    rng_seed(&rng, 3);
    uint64_t sum = 0;
    double start_s = cpu_s();
    for (size_t i = 0; i < departures; i++) {
        sum += world->links[rng_below(&rng, count)].rng.state[0];
        sum += world->links[rng_below(&rng, count)].region;
    }
    double spent_s = cpu_s() - start_s;
    must(sum != 0);
    return spent_s * 1e9 / (double)departures;
}

static double cpu_s(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
