/* ice_check.h - what must hold of an ICE agent whatever comes to it.
 *
 *      any bytes -> ice_check: two agents under way, and what the bytes say is sent to them
 *      dice -> ice_check_forge -> a message as an attacker would make it, signed or not
 *      agent -> ice_check_whole -> its tables fit together
 *
 * Shared by the fuzz target, by the unit test that replays its corpus, and by those that draw
 * messages at random.
 */
#ifndef TESTS_SUPPORT_ICE_CHECK_H
#define TESTS_SUPPORT_ICE_CHECK_H

#include "tests/support/ice_world.h"

static inline void ice_check_whole(const struct ice *ice)
{
    must(ice->local_count <= ICE_LOCALS && ice->remote_count <= ICE_REMOTES);
    must(ice->pair_count <= ICE_PAIRS && ice->state <= ICE_LOST);
    must((ice->selected != ICE_NONE) == (ice->state == ICE_COMPLETED || ice->state == ICE_LOST));
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        const struct ice_pair *pair = &ice->pairs[i];
        must(ice->locals[pair->base].type == ICE_HOST && pair->remote < ice->remote_count);
        must(pair->valid == ICE_NONE ||
             (pair->valid < ice->local_count && ice->locals[pair->valid].base == pair->base));
        must(pair->state <= ICE_PAIR_FAILED && pair->sent <= 7);
        must(pair->state != ICE_PAIR_FAILED || pair->valid == ICE_NONE);
        must(pair->state != ICE_PAIR_SUCCEEDED || pair->valid != ICE_NONE);
        must(pair->state != ICE_PAIR_CHECKED || pair->is_open);
        must(!pair->is_nominating || (pair->valid != ICE_NONE && ice->is_controlling));
        must(pair->turn == 0 || pair->state == ICE_PAIR_WAITING);
        must(i != ice->selected || pair->state == ICE_PAIR_SUCCEEDED);
        for (uint8_t k = 0; k < i; k++) {
            must(ice->pairs[k].base != pair->base || ice->pairs[k].remote != pair->remote);
            must(ice->pairs[k].turn != pair->turn || pair->turn == 0);
        }
    }
}

/* --- messages --------------------------------------------------------------------------------- */

struct ice_check_forgery {
    enum stun_class class;
    uint32_t attributes; /* A bit for each that may be in it. */
    uint8_t pair;        /* Whose request's id an answer bears. */
    uint8_t error;       /* Of some. */
    uint32_t priority;
    uint64_t tie_breaker;
    struct port_addr mapped;
    struct slice more;    /* Attributes in full. */
    const char *password; /* NULL: the right one. */
};

enum {
    ICE_CHECK_USERNAME = 1,
    ICE_CHECK_PRIORITY = 2,
    ICE_CHECK_CONTROLLING = 4,
    ICE_CHECK_CONTROLLED = 8,
    ICE_CHECK_USE = 16,
    ICE_CHECK_MAPPED = 32,
    ICE_CHECK_ERROR = 64,
    ICE_CHECK_INTEGRITY = 128,
    ICE_CHECK_FINGERPRINT = 256,
};

static inline size_t ice_check_write_forgery(const struct ice *ice,
                                             const struct ice_check_forgery *forgery,
                                             uint8_t *bytes, size_t cap)
{
    static const enum stun_error errors[] = {STUN_ROLE_CONFLICT, STUN_BAD_REQUEST,
                                             STUN_UNAUTHENTICATED, STUN_SERVER_ERROR};
    struct stun_id id = {{forgery->pair}};
    struct stun_writer writer;
    char name[2 * ICE_TEXT_MAX + 2];
    bool is_answer = forgery->class == STUN_SUCCESS || forgery->class == STUN_ERROR;
    const char *right = is_answer ? ice->peer_password : ice->password;
    const char *key = forgery->password != NULL ? forgery->password : right;
    uint32_t has = forgery->attributes;
    if (is_answer && ice->pair_count > 0) {
        id = ice->pairs[forgery->pair % ice->pair_count].id;
    }
    memcpy(name, ice->fragment, ICE_FRAGMENT_LEN);
    memcpy(name + ICE_FRAGMENT_LEN, ":x", 2);
    stun_start(&writer, bytes, cap, forgery->class, STUN_BINDING, &id);
    if ((has & ICE_CHECK_USERNAME) != 0) {
        stun_add_bytes(&writer, STUN_USERNAME, slice_of(name, ICE_FRAGMENT_LEN + 2));
    }
    if ((has & ICE_CHECK_PRIORITY) != 0) {
        stun_add_number(&writer, STUN_PRIORITY, forgery->priority);
    }
    if ((has & ICE_CHECK_CONTROLLING) != 0) {
        stun_add_number(&writer, STUN_ICE_CONTROLLING, forgery->tie_breaker);
    }
    if ((has & ICE_CHECK_CONTROLLED) != 0) {
        stun_add_number(&writer, STUN_ICE_CONTROLLED, forgery->tie_breaker);
    }
    if ((has & ICE_CHECK_USE) != 0) {
        stun_add_bytes(&writer, STUN_USE_CANDIDATE, slice_of(NULL, 0));
    }
    if ((has & ICE_CHECK_MAPPED) != 0) {
        stun_add_addr(&writer, STUN_XOR_MAPPED_ADDRESS, &forgery->mapped);
    }
    if ((has & ICE_CHECK_ERROR) != 0) {
        stun_add_error(&writer, errors[forgery->error % array_len(errors)]);
    }
    if (forgery->more.len > 0) {
        write_bytes(&writer.writer, forgery->more.data, forgery->more.len / 4 * 4);
    }
    if ((has & ICE_CHECK_INTEGRITY) != 0) {
        stun_add_integrity(&writer, slice_of(key, strlen(key)));
    }
    if ((has & ICE_CHECK_FINGERPRINT) != 0) {
        stun_add_fingerprint(&writer);
    }
    return stun_end(&writer);
}

/* A message by the dice, mostly one that makes sense; `password` NULL: the right one. */
static inline size_t ice_check_forge(const struct ice *ice, struct rng *rng, const char *password,
                                     uint8_t bytes[600])
{
    struct ice_check_forgery forgery = {
        .class = (enum stun_class)rng_below(rng, 4),
        .attributes = (uint32_t)(rng_next(rng) & rng_next(rng)) ^ 0x1ff,
        .pair = (uint8_t)rng_next(rng),
        .error = (uint8_t)rng_next(rng),
        .priority = (uint32_t)rng_next(rng),
        .tie_breaker = rng_next(rng),
        .mapped = ice_world_addr((uint32_t)rng_next(rng), (uint16_t)rng_next(rng)),
        .password = password,
    };
    if (forgery.class != STUN_ERROR && !rng_chance(rng, UINT32_C(1) << 28)) {
        forgery.attributes &= ~(uint32_t)ICE_CHECK_ERROR;
    }
    size_t len = ice_check_write_forgery(ice, &forgery, bytes, 600);
    must(len > 0);
    if (rng_chance(rng, UINT32_C(1) << 30)) {
        bytes[rng_below(rng, len)] ^= (uint8_t)(1u << rng_below(rng, 8));
    }
    return len;
}

/* --- any bytes -------------------------------------------------------------------------------- */

enum { ICE_CHECK_STEPS_MAX = 64 }; /* Of one input: more of them are slower, and say the same. */

enum ice_check_step {
    ICE_CHECK_WAIT,
    ICE_CHECK_RAW,
    ICE_CHECK_FORGED,
    ICE_CHECK_SIGNED, /* Attributes as they are, in a message that is signed. */
    ICE_CHECK_REMOTE,
    ICE_CHECK_LOCAL,
    ICE_CHECK_CUT,
    ICE_CHECK_LOSS,
    ICE_CHECK_STEPS,
};

static inline struct slice ice_check_rest(struct reader *reader)
{
    size_t len = read_u8(reader);
    len = len < reader_left(reader) ? len : reader_left(reader);
    return reader->bad ? slice_of("", 0) : slice_of(read_bytes(reader, len), len);
}

/* Where a forged datagram comes from: the peer, or one of a few strangers. */
static inline struct port_addr ice_check_source(const struct ice_world *world, int side,
                                                uint8_t number)
{
    const struct ice *peer = &world->agents[1 - side];
    return number < 128 ? peer->locals[0].addr : ice_world_addr(0xc0000200 + number % 32u, 7);
}

static inline void ice_check_deliver(struct ice_world *world, int side, uint8_t source,
                                     struct slice bytes)
{
    struct ice *agent = &world->agents[side];
    struct port_addr from = ice_check_source(world, side, source);
    struct ice_packet answer;
    struct stun_message message;
    if (!ice_hear(agent, world->now_us, 0, &from, bytes, &answer)) {
        must(!stun_is_message(bytes));
        return;
    }
    if (answer.len == 0) {
        return;
    }
    must(port_addr_equal(&answer.to, &from) && answer.base == 0);
    must(stun_read(slice_of(answer.bytes, answer.len), &message));
    must(message.class == STUN_SUCCESS || message.class == STUN_ERROR);
    struct stun_message request;
    must(stun_read(bytes, &request) && request.class == STUN_REQUEST);
    bool is_proved = stun_integrity_is_valid(&request, slice_of(agent->password, ICE_PASSWORD_LEN));
    must(is_proved || (message.class == STUN_ERROR && answer.len <= bytes.len));
    must(message.class == STUN_ERROR || is_proved);
}

static inline void ice_check_forged(struct ice_world *world, int side, struct reader *reader,
                                    bool is_raw)
{
    uint8_t bytes[ICE_PACKET_MAX + 300];
    uint8_t source = read_u8(reader);
    struct ice_check_forgery forgery = {.class = (enum stun_class)(read_u8(reader) % 4)};
    forgery.attributes = read_u16(reader) | (is_raw ? 0x180u : 0u);
    forgery.pair = read_u8(reader);
    forgery.error = read_u8(reader);
    forgery.priority = read_u32(reader);
    forgery.tie_breaker = read_u64(reader);
    forgery.mapped = ice_world_addr(0xc0000200u + read_u8(reader), read_u8(reader));
    if (is_raw) {
        forgery.more = ice_check_rest(reader);
    }
    if (reader->bad) {
        return;
    }
    size_t len = ice_check_write_forgery(&world->agents[side], &forgery, bytes, sizeof bytes);
    ice_check_deliver(world, side, source, slice_of(bytes, len));
}

static inline void ice_check_candidate(struct ice_world *world, int side, struct reader *reader,
                                       bool is_local)
{
    struct ice *agent = &world->agents[side];
    struct ice_candidate candidate = {
        .addr = ice_world_addr(0xc0000200u + read_u8(reader), read_u8(reader)),
        .type = (enum ice_type)(read_u8(reader) % 4),
        .priority = read_u32(reader),
        .foundation = {(char)read_u8(reader)},
    };
    if (reader->bad) {
        return;
    }
    if (!is_local) {
        (void)ice_add_remote(agent, &candidate);
    } else if (candidate.type == ICE_HOST) {
        (void)ice_add_host(agent, &candidate.addr);
    } else {
        (void)ice_add_reflexive(agent, 0, &candidate.addr, &candidate.addr);
    }
}

static inline void ice_check_step(struct ice_world *world, struct reader *reader)
{
    uint8_t word = read_u8(reader);
    int side = word >> 7;
    switch ((enum ice_check_step)(word % ICE_CHECK_STEPS)) {
    case ICE_CHECK_WAIT:
        ice_world_run(world, 1 + read_u8(reader) * UINT64_C(10000), false);
        break;
    case ICE_CHECK_RAW: {
        uint8_t source = read_u8(reader);
        ice_check_deliver(world, side, source, ice_check_rest(reader));
        break;
    }
    case ICE_CHECK_FORGED:
        ice_check_forged(world, side, reader, false);
        break;
    case ICE_CHECK_SIGNED:
        ice_check_forged(world, side, reader, true);
        break;
    case ICE_CHECK_REMOTE:
        ice_check_candidate(world, side, reader, false);
        break;
    case ICE_CHECK_LOCAL:
        ice_check_candidate(world, side, reader, true);
        break;
    case ICE_CHECK_CUT:
        world->is_cut[side] = !world->is_cut[side];
        break;
    case ICE_CHECK_LOSS:
        world->loss = (uint32_t)read_u8(reader) << 23;
        break;
    case ICE_CHECK_STEPS:
        break;
    }
    ice_check_whole(&world->agents[0]);
    ice_check_whole(&world->agents[1]);
}

/* True when both agents have agreed on something in the end, be it a stranger's address. */
static inline bool ice_check(struct slice bytes)
{
    static struct ice_world world;
    struct reader reader = reader_of(bytes);
    uint8_t roles = read_u8(&reader);
    ice_world_start(&world, roles, (roles & 1) != 0, (roles & 2) != 0);
    for (int side = 0; side < 2; side++) {
        struct port_addr addr = ice_world_addr(0xc6336401u + (uint32_t)side, 4000);
        must(ice_add_host(&world.agents[side], &addr) == 0);
    }
    ice_world_meet(&world);
    for (int step = 0; step < ICE_CHECK_STEPS_MAX && !reader.bad && reader_left(&reader) > 0;
         step++) {
        ice_check_step(&world, &reader);
    }
    ice_world_run(&world, 1000000, true);
    ice_check_whole(&world.agents[0]);
    ice_check_whole(&world.agents[1]);
    return ice_world_is_completed(&world);
}

#endif /* TESTS_SUPPORT_ICE_CHECK_H */
