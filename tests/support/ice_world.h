/* ice_world.h - two ICE agents and a network between them that loses, delays and translates.
 *
 *      agent 0 -- box (hook) -- flights, each with its time of arrival -- box (hook) -- agent 1
 *
 * Time jumps from one due event to the next. What boxes do is up to the test: a hook translates
 * what leaves one side and what comes in to it, or drops it. Without hooks all addresses are
 * public. Every agent has one socket unless a test adds more.
 */
#ifndef TESTS_SUPPORT_ICE_WORLD_H
#define TESTS_SUPPORT_ICE_WORLD_H

#include "node/base/must.h"
#include "node/base/rng.h"
#include "node/nat/ice.h"

enum { ICE_WORLD_FLIGHTS = 512 };

struct ice_flight {
    uint64_t arrive_us; /* 0: an empty place. */
    struct port_addr from;
    struct port_addr to;
    size_t len;
    uint8_t bytes[ICE_PACKET_MAX];
};

struct ice_world;

/* False: dropped. The end that the box owns is translated: `from` outward, `to` inward. */
typedef bool (*ice_world_box_fn)(struct ice_world *world, int side, struct port_addr *from,
                                 struct port_addr *to);

struct ice_world {
    struct ice agents[2];
    uint64_t now_us;
    struct rng rng;
    uint32_t loss;        /* In 2^32. */
    uint32_t delay_us;    /* One way; */
    uint32_t jitter_us;   /* and up to so much more. */
    uint32_t is_cut[2];   /* What this side sends is lost. */
    uint32_t requests[2]; /* Sent by ice_ask. */
    ice_world_box_fn out;
    ice_world_box_fn in;
    void *arg; /* The hooks'. */
    struct ice_flight flights[ICE_WORLD_FLIGHTS];
};

static inline struct port_addr ice_world_addr(uint32_t ip, uint16_t port)
{
    struct port_addr addr = {.ip = {[10] = 0xff, [11] = 0xff}};
    for (int i = 0; i < 4; i++) {
        addr.ip[12 + i] = (uint8_t)(ip >> (24 - 8 * i));
    }
    addr.port[0] = (uint8_t)(port >> 8);
    addr.port[1] = (uint8_t)port;
    return addr;
}

/* Agent 0 in the first role, agent 1 in the second. */
static inline void ice_world_start(struct ice_world *world, uint64_t seed, bool first_controls,
                                   bool second_controls)
{
    *world = (struct ice_world){.now_us = 1000000, .delay_us = 20000};
    rng_seed(&world->rng, seed);
    for (int side = 0; side < 2; side++) {
        struct ice_options options = {.is_controlling =
                                          side == 0 ? first_controls : second_controls};
        for (size_t i = 0; i < sizeof options.entropy; i++) {
            options.entropy[i] = (uint8_t)rng_next(&world->rng);
        }
        ice_start(&world->agents[side], &options);
    }
}

/* Each learns the other's credentials, */
static inline void ice_world_introduce(struct ice_world *world)
{
    for (int side = 0; side < 2; side++) {
        const struct ice *other = &world->agents[1 - side];
        must(ice_set_peer(&world->agents[side], other->fragment, other->password, world->now_us) ==
             ERR_OK);
    }
}

/* and one the other's candidates from the given number on. */
static inline void ice_world_offer(struct ice_world *world, int side, uint8_t first)
{
    const struct ice *agent = &world->agents[side];
    for (uint8_t i = first; i < agent->local_count; i++) {
        if (agent->locals[i].type <= ICE_REFLEXIVE) {
            must(ice_add_remote(&world->agents[1 - side], &agent->locals[i]) == ERR_OK);
        }
    }
}

static inline void ice_world_meet(struct ice_world *world)
{
    ice_world_introduce(world);
    for (int side = 0; side < 2; side++) {
        ice_world_offer(world, side, 0);
        ice_end_remotes(&world->agents[1 - side]);
    }
}

static inline void ice_world_send(struct ice_world *world, int side,
                                  const struct ice_packet *packet)
{
    struct port_addr from = world->agents[side].locals[packet->base].addr;
    struct port_addr to = packet->to;
    if ((world->out != NULL && !world->out(world, side, &from, &to)) || world->is_cut[side] ||
        rng_chance(&world->rng, world->loss)) {
        return;
    }
    struct ice_flight *flight = world->flights;
    while (flight->arrive_us != 0) {
        flight++;
        must(flight < world->flights + ICE_WORLD_FLIGHTS);
    }
    flight->arrive_us =
        world->now_us + world->delay_us + 1 + rng_below(&world->rng, world->jitter_us + 1);
    flight->from = from;
    flight->to = to;
    flight->len = packet->len;
    memcpy(flight->bytes, packet->bytes, packet->len);
}

/* The number of the side's socket with that address, or ICE_NONE. */
static inline uint8_t ice_world_base(const struct ice *agent, const struct port_addr *addr)
{
    for (uint8_t i = 0; i < agent->local_count; i++) {
        if (agent->locals[i].type == ICE_HOST && port_addr_equal(&agent->locals[i].addr, addr)) {
            return i;
        }
    }
    return ICE_NONE;
}

static inline void ice_world_land(struct ice_world *world, struct ice_flight *flight)
{
    struct ice_flight landed = *flight;
    flight->arrive_us = 0;
    for (int side = 0; side < 2; side++) {
        struct port_addr from = landed.from;
        struct port_addr to = landed.to;
        struct ice_packet answer;
        if (world->in != NULL && !world->in(world, side, &from, &to)) {
            continue;
        }
        uint8_t base = ice_world_base(&world->agents[side], &to);
        if (base != ICE_NONE &&
            ice_hear(&world->agents[side], world->now_us, base, &from,
                     slice_of(landed.bytes, landed.len), &answer) &&
            answer.len > 0) {
            ice_world_send(world, side, &answer);
        }
    }
}

/* All that is due now; then no agent wants to be called before time has passed. */
static inline void ice_world_ask(struct ice_world *world)
{
    for (int side = 0; side < 2; side++) {
        struct ice_packet packet;
        while (ice_ask(&world->agents[side], world->now_us, &packet)) {
            world->requests[side]++;
            ice_world_send(world, side, &packet);
        }
        must(ice_next_us(&world->agents[side]) > world->now_us);
    }
}

static inline bool ice_world_is_completed(const struct ice_world *world)
{
    return world->agents[0].state == ICE_COMPLETED && world->agents[1].state == ICE_COMPLETED;
}

/* Lets time pass: so much, or until both have agreed if that is wanted. */
static inline void ice_world_run(struct ice_world *world, uint64_t span_us, bool until_completed)
{
    uint64_t end_us = world->now_us + span_us;
    for (;;) {
        ice_world_ask(world);
        uint64_t next_us = end_us;
        struct ice_flight *first = NULL;
        for (int side = 0; side < 2; side++) {
            uint64_t due_us = ice_next_us(&world->agents[side]);
            next_us = due_us < next_us ? due_us : next_us;
        }
        for (struct ice_flight *flight = world->flights;
             flight < world->flights + ICE_WORLD_FLIGHTS; flight++) {
            if (flight->arrive_us != 0 && flight->arrive_us <= next_us) {
                next_us = flight->arrive_us;
                first = flight;
            }
        }
        world->now_us = next_us;
        if (first != NULL) {
            ice_world_land(world, first);
        }
        if (world->now_us >= end_us || (until_completed && ice_world_is_completed(world))) {
            return;
        }
    }
}

#endif /* TESTS_SUPPORT_ICE_WORLD_H */
