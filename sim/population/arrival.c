/* arrival.c - the gaps of Poisson processes, and who gets a shared arrival. */
#include "sim/population/arrival.h"

#include <stdlib.h>

#include "node/base/must.h"

enum {
    /* Blind tries for a node that takes part; then the next one in order is taken. With a tenth of
     * the nodes there, one pick in a thousand comes to that. */
    PICK_TRIES = 64,
    WORK_SHIFT = 48, /* A time in us, 9 years, fits below. */
};

static void schedule(const struct population *population, struct host *host, uint32_t work,
                     uint64_t after_us);
static void span_of(const struct population *population, const struct population_work *work,
                    uint32_t *first, uint32_t *count);

void arrivals_open(struct population *population)
{
    const struct population_options *options = &population->options;
    population->arrivals = calloc(options->work_count + 1u, sizeof *population->arrivals);
    must(population->arrivals != NULL);
    for (uint32_t i = 0; i < options->work_count; i++) {
        struct arrival *arrival = &population->arrivals[i];
        uint64_t word = rng_stream_seed(options->seed, "arrival", i, arrival->number++);
        arrival->next_us = options->works[i].from_us + dist_at(options->works[i].gap, word);
    }
}

void arrivals_start(struct population *population)
{
    const struct population_options *options = &population->options;
    for (uint32_t i = 0; i < options->work_count; i++) {
        const struct population_work *work = &options->works[i];
        uint32_t first;
        uint32_t count;
        span_of(population, work, &first, &count);
        for (uint32_t node = first; work->is_per_node && node < first + count; node++) {
            schedule(population, world_host(options->world, node), i, work->from_us);
        }
    }
}

void arrivals_share(struct population *population, uint64_t next_us)
{
    const struct population_options *options = &population->options;
    for (uint32_t i = 0; i < options->work_count; i++) {
        const struct population_work *work = &options->works[i];
        struct arrival *arrival = &population->arrivals[i];
        uint64_t until_us = work->until_us < next_us ? work->until_us : next_us;
        uint32_t first;
        uint32_t count;
        span_of(population, work, &first, &count);
        while (!work->is_per_node && arrival->next_us < until_us) {
            struct rng rng;
            rng_stream(&rng, options->seed, "arrival", i, arrival->number++);
            uint64_t gap_us = dist_draw(work->gap, &rng);
            uint32_t node = arrival_pick(population, &rng, first, count, POPULATION_ALL);
            if (node != POPULATION_ALL) {
                host_script(world_host(options->world, node), arrival->next_us,
                            SCRIPT_ARRIVAL | i << SCRIPT_KIND_BITS);
            }
            arrival->next_us += gap_us;
        }
    }
}

void arrival_due(struct population *population, struct host *host, uint32_t work)
{
    must(work < population->options.work_count);
    if (population->options.works[work].is_per_node) {
        schedule(population, host, work, world_now_us(population->options.world));
    }
    if (population->members[host->index].joined_us != POPULATION_NEVER) {
        operation_begin(population, host, work);
    }
}

uint32_t arrival_pick(const struct population *population, struct rng *rng, uint32_t first,
                      uint32_t count, uint32_t except)
{
    uint32_t offset = 0;
    for (int tries = 0; tries < PICK_TRIES; tries++) {
        offset = (uint32_t)rng_below(rng, count);
        if (population_is_in(population->known, first + offset) && first + offset != except) {
            return first + offset;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = first + (offset + i) % count;
        if (population_is_in(population->known, node) && node != except) {
            return node;
        }
    }
    return POPULATION_ALL;
}

/* The node's next arrival of a work of its own. */
static void schedule(const struct population *population, struct host *host, uint32_t work,
                     uint64_t after_us)
{
    const struct population_work *it = &population->options.works[work];
    uint64_t word = rng_stream_seed(population->options.seed, "gap", host->index,
                                    (uint64_t)work << WORK_SHIFT | after_us);
    uint64_t gap_us = dist_at(it->gap, word);
    uint64_t due_us = after_us + (gap_us > 0 ? gap_us : 1);
    if (due_us < it->until_us) {
        host_script(host, due_us, SCRIPT_ARRIVAL | work << SCRIPT_KIND_BITS);
    }
}

static void span_of(const struct population *population, const struct population_work *work,
                    uint32_t *first, uint32_t *count)
{
    *first = 0;
    *count = population->member_count;
    if (work->group != POPULATION_ALL) {
        *first = population->options.groups[work->group].first;
        *count = population->options.groups[work->group].count;
    }
}
