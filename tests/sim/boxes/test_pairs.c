/* test_pairs.c - two hosts behind boxes of each kind: who finds a way to whom, at the hosts.
 *
 * Both learn their external address from a reflector, tell it each other, and say hello four times,
 * switching to the address they are heard from: what kernels were measured with. Whether they meet
 * must follow from what the boxes do: not if both filter by port and one maps by destination.
 */
#include <string.h>

#include "tests/sim/boxes/lab.h"

enum { ROUNDS = 4 };

struct side {
    uint32_t host;
    struct port_addr seen;
    struct port_addr to; /* The other, as far as is known. */
    bool has_heard;
};

static void open_side(struct lab *lab, struct side *side, enum napt_preset preset)
{
    uint32_t box = lab_box(lab, &lab->presets[preset], WORLD_BOX_NONE);
    *side = (struct side){.host = lab_behind(lab, box)};
}

static void hear(struct lab *lab, struct side *side)
{
    const struct probe_datagram *heard = lab_heard(lab, side->host);
    if (heard != NULL) {
        side->to = heard->from;
        side->has_heard = true;
    }
    lab_forget(lab, side->host);
}

static bool meet(struct lab *lab, uint32_t reflector, struct side *a, struct side *b)
{
    a->seen = lab_seen(lab, a->host, reflector);
    b->seen = lab_seen(lab, b->host, reflector);
    lab_forget(lab, a->host);
    lab_forget(lab, b->host);
    a->to = b->seen;
    b->to = a->seen;
    for (int round = 0; round < ROUNDS; round++) {
        lab_say(lab, a->host, &a->to, 'a');
        lab_say(lab, b->host, &b->to, 'b');
        lab_run(lab, 50 * LAB_MS);
        hear(lab, a);
        hear(lab, b);
    }
    return a->has_heard && b->has_heard;
}

static bool filters_by_port(const struct napt_config *config)
{
    return config->filtering == NAPT_ADDRESS_AND_PORT_DEPENDENT;
}

static bool maps_by_goal(const struct napt_config *config)
{
    return config->mapping != NAPT_ENDPOINT_INDEPENDENT;
}

static bool should_meet(const struct napt_config *a, const struct napt_config *b)
{
    if (filters_by_port(a) && filters_by_port(b)) {
        return !maps_by_goal(a) && !maps_by_goal(b);
    }
    return true;
}

Test(pairs, meet_as_their_boxes_let_them, .timeout = 120)
{
    for (int i = 0; i < NAPT_PRESET_COUNT; i++) {
        for (int j = 0; j < NAPT_PRESET_COUNT; j++) {
            if (i == NAPT_PRESET_UDP_BLOCKED || j == NAPT_PRESET_UDP_BLOCKED) {
                continue;
            }
            struct lab *lab = lab_open(1);
            uint32_t reflector = lab_reflector(lab);
            struct side a;
            struct side b;
            open_side(lab, &a, (enum napt_preset)i);
            open_side(lab, &b, (enum napt_preset)j);
            bool expected = should_meet(&lab->presets[i], &lab->presets[j]);
            cr_expect_eq(meet(lab, reflector, &a, &b), expected, "%s and %s",
                         napt_preset_text((enum napt_preset)i),
                         napt_preset_text((enum napt_preset)j));
            lab_close(lab);
        }
    }
}

Test(pairs, a_blocked_host_says_nothing_and_hears_nothing)
{
    struct lab *lab = lab_open(1);
    uint32_t outside = lab_public(lab);
    uint32_t box = lab_box(lab, &lab->presets[NAPT_PRESET_UDP_BLOCKED], WORLD_BOX_NONE);
    uint32_t inside = lab_behind(lab, box);
    uint32_t neighbour = lab_behind(lab, box);
    struct port_addr there = lab_addr(lab, outside);
    struct port_addr here;
    addr_set(&here, napt_external_ip(world_box(lab->world, box)), HOST_PORT);
    cr_expect_not(lab_reaches(lab, inside, &there, outside, NULL));
    cr_expect_not(lab_reaches(lab, outside, &here, inside, NULL));
    struct host_counts counts = world_counts(lab->world);
    cr_expect_eq(counts.datagrams_filtered, 2);
    cr_expect_eq(counts.datagrams_lost, 2);
    struct port_addr beside = lab_addr(lab, neighbour);
    cr_expect(lab_reaches(lab, inside, &beside, neighbour, NULL), "the box is not on this way");
    lab_close(lab);
}

/* What is told to nobody inside is filtered whatever kind of box; what was asked for passes. */
Test(pairs, an_answer_passes_every_box_and_a_stranger_only_some)
{
    for (int i = 0; i < NAPT_PRESET_COUNT; i++) {
        if (i == NAPT_PRESET_UDP_BLOCKED) {
            continue;
        }
        struct lab *lab = lab_open(1);
        uint32_t reflector = lab_reflector(lab);
        uint32_t stranger = lab_public(lab);
        struct side side;
        open_side(lab, &side, (enum napt_preset)i);
        struct port_addr seen = lab_seen(lab, side.host, reflector);
        bool is_open = lab->presets[i].filtering == NAPT_ENDPOINT_INDEPENDENT;
        cr_expect_eq(lab_reaches(lab, stranger, &seen, side.host, NULL), is_open, "%s",
                     napt_preset_text((enum napt_preset)i));
        cr_expect_eq(world_counts(lab->world).datagrams_filtered, is_open ? 0 : 1);
        lab_close(lab);
    }
}
