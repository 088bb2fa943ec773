/* test_script.c - scripted events happen at whole milliseconds, in order, and never in the past. */
#include <criterion/criterion.h>

#include "sim/host/host.h"

struct seen {
    struct world *world;
    uint32_t what[8];
    uint64_t at_us[8];
    uint32_t count;
};

static void on_scripted(void *arg, struct host *host, uint32_t what)
{
    struct seen *seen = arg;
    seen->what[seen->count] = what;
    seen->at_us[seen->count++] = world_now_us(seen->world);
    if (what == 2) {
        host_script(host, 1700, 3); /* Before it could be said. */
    }
}

static void run_script(uint32_t threads)
{
    struct seen seen = {0};
    struct net_access access = {0};
    uint32_t path_us = 1000;
    const struct net_config net = {.latency = NET_LATENCY_MATRIX,
                                   .matrix_us = &path_us,
                                   .region_count = 1,
                                   .access = &access,
                                   .access_count = 1};
    cr_assert_eq(net_config_check(&net), ERR_OK);
    seen.world =
        world_open(&(struct world_options){.seed = 1,
                                           .crypto = &modelled_suite,
                                           .net = &net,
                                           .hosts_max = 3,
                                           .node_bytes_max = 1 << 20,
                                           .threads = threads,
                                           .hooks = {.arg = &seen, .scripted = on_scripted}});
    for (uint32_t i = 0; i < 3; i++) {
        host_place(world_host(seen.world, world_add_host(seen.world, i)), &(struct net_site){0}, 1);
    }
    host_script(world_host(seen.world, 2), 5001, 4);
    host_script(world_host(seen.world, 1), 1500, 2);
    host_script(world_host(seen.world, 0), 1000, 1);
    cr_assert(world_run_until(seen.world, 6000, 0, NULL));
    cr_assert_eq(seen.count, 3, "what rounds to the end belongs to the next run");
    cr_assert(world_run_until(seen.world, 6001, 0, NULL));
    static const uint64_t expected_us[] = {1000, 2000, 2000, 6000};
    cr_assert_eq(seen.count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        cr_expect_eq(seen.what[i], i + 1);
        cr_expect_eq(seen.at_us[i], expected_us[i]);
    }
    world_close(seen.world);
}

Test(script, happens_at_whole_milliseconds_and_the_past_means_now)
{
    run_script(1);
    run_script(3);
}
