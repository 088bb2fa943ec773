/* prebuilt.c - buckets as ranges of a sorted array, and contacts drawn from them. */
#include "sim/population/prebuilt.h"

#include <stdlib.h>

#include "node/base/must.h"
#include "sim/population/population.h"

enum {
    /* Draws for a bucket, in k: repeats and what the limits refuse are drawn again. */
    DRAWS_PER_PLACE = 8,
};

struct place {
    uint64_t prefix;
    uint32_t node;
    uint32_t handle; /* Of its interned contact. */
};

struct filling {
    struct place *places; /* By prefix. */
    uint32_t count;
    const struct place *self;
    struct rng rng;
};

static struct place *places_make(struct population *population, uint32_t *count);
static void intern_self(struct node *node, void *arg);
static int order_places(const void *a, const void *b);
static void fill(struct node *node, void *arg);
static void fill_bucket(struct filling *filling, struct dht *dht, uint32_t first, uint32_t count);
static uint32_t split(const struct filling *filling, uint32_t first, uint32_t end, uint32_t bit);

void prebuilt_fill(struct population *population)
{
    struct filling filling = {0};
    filling.places = places_make(population, &filling.count);
    for (uint32_t i = 0; i < filling.count; i++) {
        filling.self = &filling.places[i];
        uint32_t node = filling.self->node;
        rng_stream(&filling.rng, population->options.seed, "prebuilt", node, 0);
        host_enter(world_host(population->options.world, node), fill, &filling);
    }
    free(filling.places);
}

static struct place *places_make(struct population *population, uint32_t *count)
{
    struct place *places = malloc((population->online + 1u) * sizeof *places);
    must(places != NULL);
    *count = 0;
    for (uint32_t node = 0; node < population->member_count; node++) {
        struct host *host = world_host(population->options.world, node);
        if (host_is_up(host)) {
            struct place *place = &places[(*count)++];
            *place = (struct place){.prefix = node_id_prefix(&population->members[node].id),
                                    .node = node};
            host_enter(host, intern_self, place);
        }
    }
    qsort(places, *count, sizeof *places, order_places);
    return places;
}

/* The world keeps interned contacts for the whole run: the reference can be given back at once. */
static void intern_self(struct node *node, void *arg)
{
    struct place *place = arg;
    struct port *port = node->core.port;
    place->handle = contact_intern(port, node->identity.public_key, &port->local);
    port->ops->intern_release(port, place->handle);
}

static int order_places(const void *a, const void *b)
{
    const struct place *left = a;
    const struct place *right = b;
    if (left->prefix != right->prefix) {
        return left->prefix < right->prefix ? -1 : 1;
    }
    return left->node < right->node ? -1 : 1;
}

/* Halves the range of those who share ever more bits with the node; the other half is a bucket. */
static void fill(struct node *node, void *arg)
{
    struct filling *filling = arg;
    uint32_t first = 0;
    uint32_t end = filling->count;
    for (uint32_t bit = 0; bit < 64 && end - first > 1; bit++) {
        uint32_t middle = split(filling, first, end, bit);
        bool is_upper = (filling->self->prefix >> (63 - bit) & 1) != 0;
        if (is_upper) {
            fill_bucket(filling, &node->dht, first, middle - first);
            first = middle;
        } else {
            fill_bucket(filling, &node->dht, middle, end - middle);
            end = middle;
        }
    }
    timerq_settle(&node->core.timers);
}

static void fill_bucket(struct filling *filling, struct dht *dht, uint32_t first, uint32_t count)
{
    uint32_t k = dht->config->k;
    uint32_t filled = dht_contact_count(dht) + k;
    if (count <= k) {
        for (uint32_t i = first; i < first + count; i++) {
            dht_seed_contact(dht, filling->places[i].handle);
        }
        return;
    }
    uint32_t draws = k * DRAWS_PER_PLACE;
    for (uint32_t i = 0; i < draws && dht_contact_count(dht) < filled; i++) {
        uint32_t drawn = first + (uint32_t)rng_below(&filling->rng, count);
        dht_seed_contact(dht, filling->places[drawn].handle);
    }
}

/* The first place in [first, end), which share all bits before `bit`, whose bit is set. */
static uint32_t split(const struct filling *filling, uint32_t first, uint32_t end, uint32_t bit)
{
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if ((filling->places[middle].prefix >> (63 - bit) & 1) != 0) {
            end = middle;
        } else {
            first = middle + 1;
        }
    }
    return first;
}
