/* test_ice.c - two ICE agents find the same way, whatever is between them and whoever interferes.
 *
 * Kinds of boxes are in tests/sim/boxes/test_ice.c, other makes of agent in tests/live/ice.sh.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/support/corpus.h"
#include "tests/support/ice_check.h"
#include "tests/support/ice_world.h"

#define SECOND_US UINT64_C(1000000)

static struct ice_world world;

static const uint32_t ips[] = {0xc6336401, 0xcb007101}; /* 198.51.100.1, 203.0.113.1 */

/* Two hosts with public addresses, in these roles. */
static void start_public(uint64_t seed, bool first_controls, bool second_controls)
{
    ice_world_start(&world, seed, first_controls, second_controls);
    for (int side = 0; side < 2; side++) {
        struct port_addr addr = ice_world_addr(ips[side], (uint16_t)(4000 + side));
        cr_assert_eq(ice_add_host(&world.agents[side], &addr), 0);
    }
}

/* Both have agreed, on the same way, and exactly one of them controls. */
static void assert_agreement(uint64_t seed)
{
    struct ice_route one;
    struct ice_route two;
    cr_assert(ice_selected(&world.agents[0], &one), "seed %lu", (unsigned long)seed);
    cr_assert(ice_selected(&world.agents[1], &two), "seed %lu", (unsigned long)seed);
    cr_assert(port_addr_equal(&one.local, &two.remote), "seed %lu", (unsigned long)seed);
    cr_assert(port_addr_equal(&one.remote, &two.local), "seed %lu", (unsigned long)seed);
    cr_assert_neq(world.agents[0].is_controlling, world.agents[1].is_controlling);
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* RFC 8839's examples have candidates of a host with one address: 2130706431 and 1694498815. RFC
 * 5769 section 2.1 asks with PRIORITY 0x6e0001ff. */
Test(ice, priorities_are_the_published_ones)
{
    cr_assert_eq(ice_priority(ICE_HOST, 65535), 2130706431u);
    cr_assert_eq(ice_priority(ICE_REFLEXIVE, 65535), 1694498815u);
    cr_assert_eq(ice_priority(ICE_PEER_REFLEXIVE, 1), 0x6e0001ffu);
    cr_assert_eq(ice_priority(ICE_RELAYED, 65535), 16777215u);
    /* RFC 8445 section 6.1.2.3: 2^32 * MIN(G,D) + 2 * MAX(G,D) + (G > D ? 1 : 0). */
    cr_assert_eq(ice_pair_priority(2130706431, 1694498815), 7277816997797167103u);
    cr_assert_eq(ice_pair_priority(1694498815, 2130706431), 7277816997797167102u);
    cr_assert_eq(ice_pair_priority(7, 7), (UINT64_C(7) << 32) + 14);
}

Test(ice, credentials_are_long_enough_and_never_the_same)
{
    start_public(1, true, false);
    const struct ice *one = &world.agents[0];
    const struct ice *two = &world.agents[1];
    cr_assert_eq(strlen(one->fragment), ICE_FRAGMENT_LEN);
    cr_assert_eq(strlen(one->password), ICE_PASSWORD_LEN);
    cr_assert_neq(strcmp(one->fragment, two->fragment), 0);
    cr_assert_neq(strcmp(one->password, two->password), 0);
    cr_assert_neq(one->tie_breaker, two->tie_breaker);
    cr_assert_neq(memcmp(one->fragment, one->password, ICE_FRAGMENT_LEN), 0);
}

/* RFC 8445 section 5.1.1.3: type, address of the base and that of the server. */
Test(ice, foundations_are_equal_where_the_text_says_so)
{
    start_public(1, true, false);
    struct ice *agent = &world.agents[0];
    struct port_addr twin = ice_world_addr(ips[0], 4010);
    struct port_addr other = ice_world_addr(0xc6336402, 4000);
    struct port_addr servers[] = {ice_world_addr(0xc0000201, 3478), ice_world_addr(0xc0000201, 1),
                                  ice_world_addr(0xc0000202, 3478)};
    struct port_addr seen[3];
    for (int i = 0; i < 3; i++) {
        seen[i] = ice_world_addr(0xcb007109, (uint16_t)(7000 + i));
    }
    int same = ice_add_host(agent, &twin);
    int differs = ice_add_host(agent, &other);
    int first = ice_add_reflexive(agent, 0, &seen[0], &servers[0]);
    int second = ice_add_reflexive(agent, (uint8_t)same, &seen[1], &servers[1]);
    int third = ice_add_reflexive(agent, 0, &seen[2], &servers[2]);
    cr_assert_eq(third, 5);
    cr_assert_str_eq(agent->locals[same].foundation, agent->locals[0].foundation);
    cr_assert_str_neq(agent->locals[differs].foundation, agent->locals[0].foundation);
    cr_assert_str_neq(agent->locals[first].foundation, agent->locals[0].foundation);
    cr_assert_str_eq(agent->locals[second].foundation, agent->locals[first].foundation);
    cr_assert_str_neq(agent->locals[third].foundation, agent->locals[first].foundation);
    /* Section 5.1.3: one that is the base itself, or was there already, is not another. */
    cr_assert_eq(ice_add_reflexive(agent, 0, &agent->locals[0].addr, &servers[0]), 0);
    cr_assert_eq(ice_add_reflexive(agent, 0, &seen[2], &servers[0]), third);
}

/* --- agreement -------------------------------------------------------------------------------- */

Test(ice, both_end_with_the_same_pair)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        start_public(seed, seed % 2 == 0, seed % 2 == 1);
        ice_world_meet(&world);
        ice_world_run(&world, 5 * SECOND_US, true);
        assert_agreement(seed);
        /* A check each way, its answer, and the nomination: on the first round trips. */
        cr_assert_leq(world.now_us, 1000000 + 200000);
    }
}

Test(ice, loss_and_delay_only_take_time)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        start_public(seed, seed % 2 == 0, seed % 2 == 1);
        world.loss = UINT32_C(1) << 30;           /* A quarter, each way. */
        world.delay_us = (uint32_t)(seed * 5000); /* Up to a second: longer than the first pause. */
        world.jitter_us = 100000;
        ice_world_meet(&world);
        ice_world_run(&world, 60 * SECOND_US, true);
        assert_agreement(seed);
    }
}

Test(ice, of_two_in_one_role_the_larger_number_controls)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        bool is_controlling = seed % 2 == 0;
        start_public(seed, is_controlling, is_controlling);
        bool is_first_larger = world.agents[0].tie_breaker > world.agents[1].tie_breaker;
        world.jitter_us = seed % 3 == 0 ? 100000 : 0;
        ice_world_meet(&world);
        ice_world_run(&world, 10 * SECOND_US, true);
        assert_agreement(seed);
        cr_assert_eq(world.agents[0].is_controlling, is_first_larger, "seed %lu",
                     (unsigned long)seed);
    }
}

/* Sockets and candidates of both sides in any number, offered one by one while checks run. */
Test(ice, candidates_may_come_at_any_time)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        ice_world_start(&world, seed, seed % 2 == 0, seed % 2 == 1);
        world.loss = UINT32_C(1) << 28;
        ice_world_introduce(&world);
        for (int round = 0; round < 6; round++) {
            int side = (int)rng_below(&world.rng, 2);
            uint8_t first = world.agents[side].local_count;
            struct port_addr addr = ice_world_addr(ips[side], (uint16_t)(5000 + round));
            /* Some lead nowhere. */
            struct port_addr dead = ice_world_addr(0xc0000200 + (uint32_t)round, 9);
            struct ice_candidate nowhere = {.addr = dead,
                                            .type = ICE_RELAYED,
                                            .priority = ice_priority(ICE_HOST, 65535),
                                            .foundation = "x"};
            cr_assert_geq(ice_add_host(&world.agents[side], &addr), 0);
            cr_assert_eq(ice_add_remote(&world.agents[side], &nowhere), ERR_OK);
            ice_world_offer(&world, side, first);
            ice_world_run(&world, rng_below(&world.rng, SECOND_US), false);
        }
        for (int side = 0; side < 2; side++) {
            struct port_addr addr = ice_world_addr(ips[side], 6000);
            uint8_t first = world.agents[side].local_count;
            cr_assert_geq(ice_add_host(&world.agents[side], &addr), 0);
            ice_world_offer(&world, side, first);
        }
        ice_world_run(&world, 30 * SECOND_US, true);
        assert_agreement(seed);
    }
}

/* One side has been offered nothing: it learns the other from its check (section 7.3.1.3). */
Test(ice, a_peer_is_learnt_from_its_check)
{
    start_public(3, true, false);
    ice_world_introduce(&world);
    ice_world_offer(&world, 1, 0);
    ice_world_run(&world, 5 * SECOND_US, true);
    assert_agreement(3);
    struct ice_route route;
    cr_assert(ice_selected(&world.agents[1], &route));
    cr_assert_eq(route.remote_type, ICE_PEER_REFLEXIVE);
    /* And when it is offered after all, it is what the offer says. */
    ice_world_offer(&world, 0, 0);
    cr_assert(ice_selected(&world.agents[1], &route));
    cr_assert_eq(route.remote_type, ICE_HOST);
    cr_assert_eq(world.agents[1].remote_count, 1);
}

/* A check may come before the offer: it is answered at once, and its own check follows later. */
Test(ice, a_check_before_the_offer_is_answered)
{
    start_public(4, true, false);
    struct ice *late = &world.agents[1];
    cr_assert_eq(ice_set_peer(&world.agents[0], late->fragment, late->password, world.now_us),
                 ERR_OK);
    ice_world_offer(&world, 1, 0);
    ice_world_run(&world, SECOND_US, false);
    cr_assert_eq(world.agents[0].state, ICE_COMPLETED);
    cr_assert_eq(late->state, ICE_RUNNING);
    cr_assert_eq(world.requests[1], 0);
    cr_assert_eq(
        ice_set_peer(late, world.agents[0].fragment, world.agents[0].password, world.now_us),
        ERR_OK);
    ice_world_run(&world, 5 * SECOND_US, true);
    assert_agreement(4);
}

/* RFC 5245 section 8.1.1.2: the controlling side of old marks every check. */
Test(ice, the_best_of_aggressive_nominations_is_taken)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        start_public(seed, true, false);
        struct ice *old = &world.agents[0];
        for (uint16_t i = 1; i < 4; i++) {
            struct port_addr addr = ice_world_addr(ips[0], (uint16_t)(4000 + i));
            cr_assert_geq(ice_add_host(old, &addr), 0);
        }
        world.jitter_us = 200000;
        ice_world_meet(&world);
        for (int round = 0; round < 300; round++) {
            for (uint8_t i = 0; i < old->pair_count; i++) {
                old->pairs[i].is_nominating = true;
            }
            old->state = ICE_RUNNING; /* It does not rest with the first. */
            old->selected = ICE_NONE;
            ice_world_run(&world, 10000, false);
        }
        struct ice_route route;
        cr_assert(ice_selected(&world.agents[1], &route));
        cr_assert(port_addr_equal(&route.remote, &old->locals[0].addr), "seed %lu",
                  (unsigned long)seed);
    }
}

/* --- pace ------------------------------------------------------------------------------------- */

Test(ice, a_check_begins_every_50_ms_and_is_repeated_as_published)
{
    static const uint64_t repeats_ms[] = {0, 500, 1500, 3500, 7500, 15500, 31500};
    start_public(5, true, false);
    struct ice *agent = &world.agents[0];
    uint64_t start_us = world.now_us;
    struct ice_packet packet;
    cr_assert_eq(ice_next_us(agent), PORT_NEVER);
    cr_assert_eq(ice_set_peer(agent, "peer", "0123456789012345678901", start_us), ERR_OK);
    cr_assert_eq(ice_next_us(agent), PORT_NEVER);
    struct ice_candidate remote = {
        .type = ICE_HOST, .priority = ice_priority(ICE_HOST, 65535), .foundation = "f"};
    for (uint16_t i = 0; i < 5; i++) { /* All of one foundation: the others wait for the first. */
        remote.addr = ice_world_addr(0xc0000201, (uint16_t)(1 + i));
        cr_assert_eq(ice_add_remote(agent, &remote), ERR_OK);
    }
    ice_end_remotes(agent);
    for (size_t i = 0; i < array_len(repeats_ms); i++) {
        uint64_t due_us = start_us + 1000 * repeats_ms[i];
        cr_assert_eq(ice_next_us(agent), due_us);
        cr_assert(ice_ask(agent, due_us, &packet));
        cr_assert_not(ice_ask(agent, due_us, &packet));
    }
    /* It has failed, so another of its foundation begins, and the rest after it. */
    uint64_t next_us = ice_next_us(agent);
    cr_assert_eq(next_us, start_us + 39500000);
    cr_assert(ice_ask(agent, next_us, &packet));
    cr_assert_eq(agent->pairs[0].state, ICE_PAIR_FAILED);
    cr_assert_eq(agent->state, ICE_RUNNING);
}

Test(ice, pairs_of_different_foundations_begin_at_the_pace)
{
    start_public(6, true, false);
    struct ice *agent = &world.agents[0];
    uint64_t start_us = world.now_us;
    struct ice_packet packet;
    cr_assert_eq(ice_set_peer(agent, "peer", "0123456789012345678901", start_us), ERR_OK);
    for (uint16_t i = 0; i < ICE_REMOTES; i++) {
        struct ice_candidate remote = {.addr = ice_world_addr(0xc0000201, (uint16_t)(1 + i)),
                                       .type = ICE_HOST,
                                       .priority = ice_priority(ICE_HOST, i),
                                       .foundation = {(char)('a' + i)}};
        cr_assert_eq(ice_add_remote(agent, &remote), ERR_OK);
    }
    struct ice_candidate more = agent->remotes[0];
    more.addr.port[0] = 77;
    cr_assert_eq(ice_add_remote(agent, &more), ERR_FULL);
    for (int i = ICE_REMOTES - 1; i >= 0; i--) { /* The highest priority first. */
        uint64_t due_us = start_us + (uint64_t)(ICE_REMOTES - 1 - i) * ICE_TA_US;
        cr_assert_eq(ice_next_us(agent), due_us);
        cr_assert(ice_ask(agent, due_us, &packet));
        cr_assert(port_addr_equal(&packet.to, &agent->remotes[i].addr));
        cr_assert_not(ice_ask(agent, due_us, &packet));
    }
    /* Section 14.3: RTO = MAX (500 ms, Ta * pairs under way); the first pair was one of 16. */
    cr_assert_eq(ice_next_us(agent), start_us + ICE_REMOTES * ICE_TA_US);
}

Test(ice, a_full_checklist_keeps_the_best)
{
    start_public(7, true, false);
    struct ice *agent = &world.agents[0];
    for (uint16_t i = 1; i < ICE_LOCALS; i++) {
        struct port_addr addr = ice_world_addr(ips[0], (uint16_t)(4000 + i));
        cr_assert_eq(ice_add_host(agent, &addr), i);
    }
    cr_assert_eq(ice_add_host(agent, &world.agents[1].locals[0].addr), ERR_FULL);
    for (uint16_t i = 0; i < ICE_REMOTES; i++) {
        struct ice_candidate remote = {.addr = ice_world_addr(0xc0000201, (uint16_t)(1 + i)),
                                       .type = ICE_HOST,
                                       .priority = ice_priority(ICE_HOST, i),
                                       .foundation = "f"};
        cr_assert_eq(ice_add_remote(agent, &remote), ERR_OK);
    }
    cr_assert_eq(agent->pair_count, ICE_PAIRS);
    for (uint8_t i = 0; i < agent->pair_count; i++) {
        cr_assert_geq(agent->pairs[i].remote, ICE_REMOTES - ICE_PAIRS / ICE_LOCALS);
    }
}

Test(ice, families_do_not_mix)
{
    start_public(8, true, false);
    struct ice *agent = &world.agents[0];
    struct port_addr global = {.ip = {0x20, 1, 0xd, 0xb8, [15] = 1}, .port = {1, 1}};
    struct port_addr local = {.ip = {0xfe, 0x80, [15] = 1}, .port = {1, 1}};
    struct ice_candidate remote = {.type = ICE_HOST, .priority = 1, .foundation = "f"};
    cr_assert_eq(ice_add_host(agent, &global), 1);
    cr_assert_eq(ice_add_host(agent, &local), 2);
    remote.addr = ice_world_addr(0xc0000201, 1);
    cr_assert_eq(ice_add_remote(agent, &remote), ERR_OK);
    remote.addr = global;
    remote.addr.ip[15] = 2;
    cr_assert_eq(ice_add_remote(agent, &remote), ERR_OK);
    remote.addr = local;
    remote.addr.ip[15] = 2;
    cr_assert_eq(ice_add_remote(agent, &remote), ERR_OK);
    cr_assert_eq(agent->pair_count, 3);
    for (uint8_t i = 0; i < 3; i++) {
        cr_assert_eq(agent->pairs[i].base, agent->pairs[i].remote);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

Test(ice, a_peer_that_is_not_there_is_given_up)
{
    start_public(9, true, false);
    world.is_cut[1] = true;
    ice_world_meet(&world);
    ice_world_run(&world, 39 * SECOND_US, false);
    cr_assert_eq(world.agents[0].state, ICE_RUNNING);
    ice_world_run(&world, 60 * SECOND_US, false);
    cr_assert_eq(world.agents[0].state, ICE_FAILED);
    cr_assert_eq(ice_next_us(&world.agents[0]), PORT_NEVER);
}

/* RFC 8863: without any candidate of the peer's a check of its may still come. */
Test(ice, without_candidates_failure_takes_as_long)
{
    start_public(10, true, false);
    ice_world_introduce(&world);
    ice_end_remotes(&world.agents[0]);
    ice_world_run(&world, 39 * SECOND_US, false);
    cr_assert_eq(world.agents[0].state, ICE_RUNNING);
    ice_world_run(&world, SECOND_US, false);
    cr_assert_eq(world.agents[0].state, ICE_FAILED);
    cr_assert_eq(world.agents[1].state, ICE_RUNNING); /* It was not told that there are no more. */
}

/* RFC 7675 section 5.1: a check every 4 to 6 s, and the end 30 s after the last answer. */
Test(ice, consent_is_asked_for_and_its_loss_is_noticed)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        start_public(seed, true, false);
        ice_world_meet(&world);
        ice_world_run(&world, 5 * SECOND_US, true);
        uint32_t before = world.requests[0];
        ice_world_run(&world, 600 * SECOND_US, false);
        assert_agreement(seed);
        uint32_t asked = world.requests[0] - before;
        cr_assert_geq(asked, 100);
        cr_assert_leq(asked, 150);
        world.is_cut[1] = true; /* What agent 1 sends is lost: agent 0 gets no consent, */
        ice_world_run(&world, 23 * SECOND_US, false);
        cr_assert_eq(world.agents[0].state, ICE_COMPLETED);
        ice_world_run(&world, 8 * SECOND_US, false);
        struct ice_route route;
        cr_assert_eq(world.agents[0].state, ICE_LOST);
        cr_assert_not(ice_selected(&world.agents[0], &route));
        cr_assert_eq(ice_next_us(&world.agents[0]), PORT_NEVER);
        /* and since it sends nothing any more, the other gets none either. */
        ice_world_run(&world, 40 * SECOND_US, false);
        cr_assert_eq(world.agents[1].state, ICE_LOST);
    }
}

/* --- strangers -------------------------------------------------------------------------------- */

/* What an attacker sends without the password: nothing changes, and no answer is longer. */
Test(ice, garbage_and_wrong_passwords_change_nothing)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        start_public(seed, seed % 2 == 0, seed % 2 == 1);
        ice_world_meet(&world);
        for (int round = 0; round < 20; round++) {
            ice_world_run(&world, 10000, false);
            for (int i = 0; i < 50; i++) {
                static struct ice before;
                struct ice *agent = &world.agents[i % 2];
                uint8_t bytes[600];
                struct ice_packet answer;
                size_t len = ice_check_forge(agent, &world.rng, "not the right password", bytes);
                struct port_addr from = rng_chance(&world.rng, UINT32_C(1) << 31)
                                            ? world.agents[1 - i % 2].locals[0].addr
                                            : ice_world_addr(0xc0000205, 53);
                before = *agent;
                if (ice_hear(agent, world.now_us, 0, &from, slice_of(bytes, len), &answer)) {
                    cr_assert_leq(answer.len, len);
                }
                cr_assert_arr_eq((const uint8_t *)&before, (const uint8_t *)agent, sizeof before,
                                 "seed %lu", (unsigned long)seed);
            }
        }
        ice_world_run(&world, 5 * SECOND_US, true);
        assert_agreement(seed);
    }
}

/* The same with the right passwords: whatever it says, the agent stays whole (ice_check_whole). */
Test(ice, a_hostile_peer_breaks_nothing)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        start_public(seed, seed % 2 == 0, seed % 2 == 1);
        ice_world_meet(&world);
        for (int round = 0; round < 400; round++) {
            struct ice *agent = &world.agents[round % 2];
            uint8_t bytes[600];
            struct ice_packet answer;
            size_t len = ice_check_forge(agent, &world.rng, NULL, bytes);
            struct port_addr from =
                ice_world_addr(0xc0000200, (uint16_t)(rng_below(&world.rng, 40)));
            (void)ice_hear(agent, world.now_us, 0, &from, slice_of(bytes, len), &answer);
            ice_check_whole(agent);
            ice_world_run(&world, rng_below(&world.rng, 100000), false);
        }
    }
}

Test(ice, an_answer_counts_once_and_on_the_way_it_was_asked)
{
    start_public(11, true, false);
    struct ice *agent = &world.agents[0];
    ice_world_meet(&world);
    struct ice_packet request;
    struct ice_packet answer;
    struct ice_packet none;
    struct port_addr elsewhere = ice_world_addr(0xc0000205, 53);
    cr_assert(ice_ask(agent, world.now_us, &request));
    cr_assert(ice_hear(&world.agents[1], world.now_us, 0, &agent->locals[0].addr,
                       slice_of(request.bytes, request.len), &answer));
    struct slice bytes = slice_of(answer.bytes, answer.len);
    (void)ice_hear(agent, world.now_us, 0, &elsewhere, bytes, &none);
    cr_assert_eq(agent->pairs[0].state, ICE_PAIR_CHECKED);
    (void)ice_hear(agent, world.now_us, 0, &request.to, bytes, &none);
    cr_assert_eq(agent->pairs[0].state, ICE_PAIR_SUCCEEDED);
    cr_assert_not(agent->pairs[0].is_open);
    static struct ice before;
    before = *agent;
    (void)ice_hear(agent, world.now_us + SECOND_US, 0, &request.to, bytes, &none);
    cr_assert_arr_eq((const uint8_t *)&before, (const uint8_t *)agent, sizeof before);
}

/* RFC 8445 section 7.2.5.3.3. */
Test(ice, success_thaws_what_has_the_same_foundation)
{
    start_public(14, false, true);
    struct ice *agent = &world.agents[0];
    struct ice_packet request;
    struct ice_packet answer;
    struct ice_packet none;
    ice_world_meet(&world);
    struct ice_candidate remote = world.agents[1].locals[0];
    remote.addr.port[0] ^= 1;
    cr_assert_eq(ice_add_remote(agent, &remote), ERR_OK);
    cr_assert_eq(agent->pairs[1].state, ICE_PAIR_FROZEN);
    cr_assert(ice_ask(agent, world.now_us, &request));
    cr_assert(ice_hear(&world.agents[1], world.now_us, 0, &agent->locals[0].addr,
                       slice_of(request.bytes, request.len), &answer));
    cr_assert_eq(agent->pairs[1].state, ICE_PAIR_FROZEN);
    cr_assert(
        ice_hear(agent, world.now_us, 0, &request.to, slice_of(answer.bytes, answer.len), &none));
    cr_assert_eq(agent->pairs[1].state, ICE_PAIR_WAITING);
}

Test(ice, what_the_peer_may_not_offer_is_refused)
{
    start_public(12, true, false);
    struct ice *agent = &world.agents[0];
    char longest[ICE_TEXT_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[ICE_TEXT_MAX + 1] = '\0';
    cr_assert_eq(ice_set_peer(agent, "abc", "0123456789012345678901", 0), ERR_INVALID);
    cr_assert_eq(ice_set_peer(agent, "abcd", "012345678901234567890", 0), ERR_INVALID);
    cr_assert_eq(ice_set_peer(agent, "ab:d", "0123456789012345678901", 0), ERR_INVALID);
    cr_assert_eq(ice_set_peer(agent, longest, "0123456789012345678901", 0), ERR_INVALID);
    cr_assert_not(agent->has_peer);
    longest[ICE_TEXT_MAX] = '\0';
    struct ice_candidate remote = {
        .addr = ice_world_addr(0xc0000201, 1), .type = ICE_HOST, .priority = 1, .foundation = "f"};
    cr_assert_eq(ice_set_peer(agent, longest, longest, 0), ERR_OK);
    cr_assert_eq(ice_add_remote(agent, &remote), ERR_OK);
    struct ice_packet packet;
    cr_assert(ice_ask(agent, 0, &packet)); /* The longest request of all fits. */
    cr_assert_leq(packet.len, ICE_PACKET_MAX);
    remote.addr.port[0] = 9;
    remote.priority = 0;
    cr_assert_eq(ice_add_remote(agent, &remote), ERR_INVALID);
    remote.priority = 1;
    remote.foundation[0] = '\0';
    cr_assert_eq(ice_add_remote(agent, &remote), ERR_INVALID);
}

/* RFC 8489 sections 6.3.1 and 9.1.3. */
Test(ice, refusals_have_the_published_codes)
{
    start_public(13, true, false);
    struct ice *agent = &world.agents[0];
    struct port_addr from = world.agents[1].locals[0].addr;
    static const char right[] = "right";
    static const struct {
        const char *name;
        const char *password;
        bool has_foreign;
        unsigned code;
    } cases[] = {{NULL, NULL, false, 400},
                 {"who:me", right, false, 401},
                 {right, "wrong", false, 401},
                 {right, right, true, 420}};
    for (size_t i = 0; i < array_len(cases); i++) {
        struct stun_id id = {{(uint8_t)i}};
        struct stun_writer writer;
        struct stun_message message;
        struct ice_packet answer;
        uint8_t bytes[ICE_PACKET_MAX];
        char name[64];
        snprintf(name, sizeof name, "%s:peer", agent->fragment);
        stun_start(&writer, bytes, sizeof bytes, STUN_REQUEST, STUN_BINDING, &id);
        stun_add_bytes(&writer, STUN_SOFTWARE, slice_of("so that an answer fits", 22));
        if (cases[i].name != NULL) {
            const char *user = cases[i].name == right ? name : cases[i].name;
            stun_add_bytes(&writer, STUN_USERNAME, slice_of(user, strlen(user)));
        }
        if (cases[i].has_foreign) {
            stun_add_number(&writer, STUN_CHANGE_REQUEST, 2);
        }
        if (cases[i].password != NULL) {
            const char *key = cases[i].password == right ? agent->password : cases[i].password;
            stun_add_integrity(&writer, slice_of(key, strlen(key)));
        }
        stun_add_fingerprint(&writer);
        size_t len = stun_end(&writer);
        cr_assert(ice_hear(agent, 1, 0, &from, slice_of(bytes, len), &answer));
        cr_assert(stun_read(slice_of(answer.bytes, answer.len), &message));
        cr_assert_eq(message.error_code, cases[i].code);
        cr_assert_eq(stun_has(&message, STUN_MESSAGE_INTEGRITY), cases[i].code == 420);
    }
}

/* --- inputs of the fuzzers, once more in every build ----------------------------------------- */

Test(ice, every_input_of_the_corpus_leaves_the_agents_whole)
{
    struct corpus_count count = corpus_replay(SOURCE_DIR "/tests/fuzz/corpus/ice", ice_check);
    cr_assert_geq(count.accepted, 2);
}
