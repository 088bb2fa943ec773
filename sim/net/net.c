/* net.c - departures and arrivals. */
#include "sim/net/net.h"

#include <math.h>

#include "node/base/must.h"

#define NS_PER_US    1000
#define BIT_NS_PER_S UINT64_C(8000000000) /* Nanoseconds per second and bits per byte. */
#define SCALE_BITS   16                   /* Of NET_JITTER_SCALE. */
#define CERTAIN      (UINT64_C(1) << 32)
#define ACCESS_MAX   (UINT16_MAX + 1)

/* One direction of an access link. */
struct pipe {
    uint64_t bps;
    uint64_t queue_bytes;
    uint64_t *free_ns;
};

static bool uplink_take(const struct net_config *config, struct net_link *from, size_t bytes,
                        uint64_t now_us, uint64_t *sent_us);
static bool pipe_take(struct pipe pipe, size_t bytes, uint64_t now_us, uint64_t *done_us);
static bool is_lost(const struct net_config *config, struct net_link *from,
                    const struct net_site *to, uint64_t word);
static bool happens(uint32_t chance, uint32_t die);
static uint64_t survival(uint32_t chance);
static uint64_t path_us(const struct net_config *config, const struct net_link *from,
                        const struct net_site *to, uint64_t word);

uint32_t net_chance(double probability)
{
    must(probability >= 0 && probability <= 1);
    double chance = floor(probability * (double)CERTAIN + 0.5);
    return chance >= (double)UINT32_MAX ? UINT32_MAX : (uint32_t)chance;
}

int net_config_check(const struct net_config *config)
{
    bool is_valid =
        config->access != NULL && config->access_count > 0 && config->access_count <= ACCESS_MAX;
    switch (config->latency) {
    case NET_LATENCY_DIST:
        is_valid = is_valid && config->latency_us != NULL;
        break;
    case NET_LATENCY_MATRIX:
        is_valid = is_valid && config->matrix_us != NULL && config->region_count > 0 &&
                   config->region_count <= NET_REGIONS_MAX;
        break;
    case NET_LATENCY_GEO:
        is_valid = is_valid && config->geo != NULL;
        break;
    }
    is_valid = is_valid && (config->jitter == NET_JITTER_NONE || config->jitter_dist != NULL);
    return is_valid ? ERR_OK : ERR_INVALID;
}

void net_link_init(struct net_link *link, const struct net_config *config,
                   const struct net_site *site, uint64_t seed, uint64_t node)
{
    must(site->access < config->access_count);
    must(config->latency != NET_LATENCY_MATRIX || site->region < config->region_count);
    must(site->access_us <= NET_ACCESS_US_MAX);
    *link = (struct net_link){.place = site->place,
                              .access = site->access,
                              .region = site->region,
                              .access_us = site->access_us & NET_ACCESS_US_MAX};
    rng_stream(&link->rng, seed, "link", node, 0);
    uint64_t moves = (uint64_t)config->loss.enter_bad + config->loss.leave_bad;
    link->is_bad = rng_below(&link->rng, moves) < config->loss.enter_bad;
}

enum net_verdict net_depart(const struct net_config *config, struct net_link *from,
                            const struct net_site *to, size_t bytes, uint64_t now_us,
                            uint64_t *arrive_us)
{
    must(bytes <= NET_BYTES_MAX);
    uint64_t loss_word = rng_next(&from->rng);
    uint64_t time_word = rng_next(&from->rng);
    if (config->mtu_bytes != 0 && bytes > config->mtu_bytes) {
        return NET_TOO_LONG;
    }
    uint64_t sent_us;
    if (!uplink_take(config, from, bytes, now_us, &sent_us)) {
        return NET_QUEUE_FULL;
    }
    if (is_lost(config, from, to, loss_word)) {
        return NET_LOST;
    }
    uint64_t earliest_us = now_us + NET_LATENCY_MIN_US;
    uint64_t us = sent_us + from->access_us + path_us(config, from, to, time_word) + to->access_us;
    *arrive_us = us > earliest_us ? us : earliest_us;
    return NET_PASSED;
}

enum net_verdict net_depart_inside(const struct net_config *config, struct net_link *from,
                                   size_t bytes, uint64_t now_us, uint64_t *arrive_us)
{
    must(bytes <= NET_BYTES_MAX);
    (void)rng_next(&from->rng);
    (void)rng_next(&from->rng);
    if (config->mtu_bytes != 0 && bytes > config->mtu_bytes) {
        return NET_TOO_LONG;
    }
    uint64_t sent_us;
    if (!uplink_take(config, from, bytes, now_us, &sent_us)) {
        return NET_QUEUE_FULL;
    }
    *arrive_us = sent_us + NET_LATENCY_MIN_US;
    return NET_PASSED;
}

static bool uplink_take(const struct net_config *config, struct net_link *from, size_t bytes,
                        uint64_t now_us, uint64_t *sent_us)
{
    const struct net_access *access = &config->access[from->access];
    *sent_us = now_us;
    if (access->up_bps == 0) {
        return true;
    }
    struct pipe up = {access->up_bps, access->up_queue_bytes, &from->up_free_ns};
    return pipe_take(up, bytes, now_us, sent_us);
}

enum net_verdict net_arrive_limited(const struct net_access *access, struct net_link *to,
                                    size_t bytes, uint64_t now_us, uint64_t *deliver_us)
{
    must(bytes <= NET_BYTES_MAX);
    struct pipe down = {access->down_bps, access->down_queue_bytes, &to->down_free_ns};
    return pipe_take(down, bytes, now_us, deliver_us) ? NET_PASSED : NET_QUEUE_FULL;
}

/* Appends to what the pipe still has to send; false if that would exceed the queue. Work is kept in
 * nanoseconds, so that short datagrams on fast links do not all cost a microsecond. */
static bool pipe_take(struct pipe pipe, size_t bytes, uint64_t now_us, uint64_t *done_us)
{
    uint64_t now_ns = now_us * NS_PER_US;
    uint64_t own_ns = (bytes * BIT_NS_PER_S + pipe.bps - 1) / pipe.bps;
    uint64_t start_ns = now_ns;
    if (*pipe.free_ns > now_ns) {
        start_ns = *pipe.free_ns;
        /* Compared as products: bytes = ns * bps / BIT_NS_PER_S. */
        unsigned __int128 held = (unsigned __int128)(start_ns - now_ns + own_ns) * pipe.bps;
        unsigned __int128 room = (unsigned __int128)pipe.queue_bytes * BIT_NS_PER_S;
        if (pipe.queue_bytes != 0 && held > room) {
            return false;
        }
    }
    *pipe.free_ns = start_ns + own_ns;
    *done_us = (*pipe.free_ns + NS_PER_US - 1) / NS_PER_US;
    return true;
}

/* The word's high half moves the state, its low half decides over this datagram. */
static bool is_lost(const struct net_config *config, struct net_link *from,
                    const struct net_site *to, uint64_t word)
{
    const struct net_loss *loss = &config->loss;
    if (happens(from->is_bad ? loss->leave_bad : loss->enter_bad, (uint32_t)(word >> 32))) {
        from->is_bad ^= 1;
    }
    uint64_t passes = survival(from->is_bad ? loss->loss_bad : loss->loss_good);
    uint32_t loss_from = config->access[from->access].loss;
    uint32_t loss_to = config->access[to->access].loss;
    if ((loss_from | loss_to) != 0) {
        unsigned __int128 product = (unsigned __int128)passes * survival(loss_from);
        passes = (uint64_t)((product >> 32) * survival(loss_to) >> 32);
    }
    return (uint32_t)word >= passes;
}

static bool happens(uint32_t chance, uint32_t die)
{
    return die < chance || chance == UINT32_MAX;
}

/* Times 2^32. */
static uint64_t survival(uint32_t chance)
{
    return chance == UINT32_MAX ? 0 : CERTAIN - chance;
}

static uint64_t path_us(const struct net_config *config, const struct net_link *from,
                        const struct net_site *to, uint64_t word)
{
    uint64_t us;
    switch (config->latency) {
    case NET_LATENCY_MATRIX:
        us = config->matrix_us[from->region * config->region_count + to->region];
        break;
    case NET_LATENCY_GEO:
        us = geo_us(config->geo, from->place, to->place);
        break;
    default:
        /* Mixed again, so that latency and jitter are independent without a third word. */
        us = dist_at(config->latency_us, rng_mix(word));
        break;
    }
    if (config->jitter == NET_JITTER_ADD) {
        us += dist_at(config->jitter_dist, word);
    } else if (config->jitter == NET_JITTER_SCALE) {
        unsigned __int128 scaled = (unsigned __int128)us * dist_at(config->jitter_dist, word);
        us = (uint64_t)((scaled + (1u << (SCALE_BITS - 1))) >> SCALE_BITS);
    }
    return us;
}
