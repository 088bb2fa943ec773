/* test_truth.c - the index of who is nearest, against a plain search through everybody. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/base/rng.h"
#include "sim/population/truth.h"

enum { NODES_MAX = 3000, K = 20 };

struct crowd {
    struct node_id ids[NODES_MAX];
    bool is_in[NODES_MAX];
    uint32_t count;
};

static struct node_id id_drawn(struct rng *rng)
{
    struct node_id id;
    for (int i = 0; i < NODE_ID_LEN; i++) {
        id.bytes[i] = (uint8_t)rng_below(rng, 256);
    }
    return id;
}

/* The slow way: the nearest not taken yet, k times. */
static uint32_t nearest_plainly(const struct crowd *crowd, const struct node_id *target,
                                uint32_t except, uint32_t *nodes, uint32_t k)
{
    bool is_taken[NODES_MAX] = {false};
    uint32_t count = 0;
    for (; count < k; count++) {
        uint32_t best = TRUTH_NOBODY;
        for (uint32_t i = 0; i < crowd->count; i++) {
            if (crowd->is_in[i] && !is_taken[i] && i != except &&
                (best == TRUTH_NOBODY ||
                 node_id_closer(&crowd->ids[i], &crowd->ids[best], target) < 0)) {
                best = i;
            }
        }
        if (best == TRUTH_NOBODY) {
            break;
        }
        is_taken[best] = true;
        nodes[count] = best;
    }
    return count;
}

static void expect_same(struct truth *truth, const struct crowd *crowd, struct rng *rng)
{
    for (int i = 0; i < 50; i++) {
        struct node_id target = id_drawn(rng);
        uint32_t except = (uint32_t)rng_below(rng, crowd->count);
        uint32_t expected[K];
        uint32_t found[K];
        uint32_t expected_count = nearest_plainly(crowd, &target, except, expected, K);
        uint32_t found_count = truth_nearest(truth, &target, except, found, K);
        cr_assert_eq(found_count, expected_count);
        cr_assert_arr_eq(found, expected, found_count * sizeof *found);
    }
    for (uint32_t i = 0; i < crowd->count; i++) {
        cr_assert_eq(truth_find(truth, &crowd->ids[i]), crowd->is_in[i] ? i : TRUTH_NOBODY);
    }
    struct node_id stranger = id_drawn(rng);
    cr_assert_eq(truth_find(truth, &stranger), TRUTH_NOBODY);
}

Test(truth, equals_a_plain_search_at_every_size)
{
    static const uint32_t sizes[] = {1, 2, 7, 19, 20, 21, 150, NODES_MAX};
    for (size_t s = 0; s < array_len(sizes); s++) {
        static struct crowd crowd;
        struct truth truth;
        struct rng rng;
        rng_seed(&rng, s + 1);
        truth_open(&truth, sizes[s]);
        crowd.count = sizes[s];
        for (uint32_t i = 0; i < crowd.count; i++) {
            crowd.ids[i] = id_drawn(&rng);
            crowd.is_in[i] = true;
            truth_add(&truth, &crowd.ids[i], i);
        }
        expect_same(&truth, &crowd, &rng);
        truth_close(&truth);
    }
}

Test(truth, keeps_up_with_comings_and_goings)
{
    static struct crowd crowd = {.count = 500};
    struct truth truth;
    struct rng rng;
    rng_seed(&rng, 99);
    truth_open(&truth, crowd.count);
    for (uint32_t i = 0; i < crowd.count; i++) {
        crowd.ids[i] = id_drawn(&rng);
    }
    uint32_t in = 0;
    for (int round = 0; round < 20; round++) {
        for (int change = 0; change < 200; change++) {
            uint32_t node = (uint32_t)rng_below(&rng, crowd.count);
            if (crowd.is_in[node]) {
                truth_remove(&truth, &crowd.ids[node], node);
            } else {
                truth_add(&truth, &crowd.ids[node], node);
            }
            crowd.is_in[node] = !crowd.is_in[node];
            in += crowd.is_in[node] ? 1 : -1;
        }
        cr_assert_eq(truth.count, in);
        expect_same(&truth, &crowd, &rng);
    }
    truth_close(&truth);
}

Test(truth, an_empty_network_has_no_nearest)
{
    struct truth truth;
    truth_open(&truth, 1000);
    uint32_t nodes[K];
    struct node_id target = {{1}};
    cr_assert_eq(truth_nearest(&truth, &target, TRUTH_NOBODY, nodes, K), 0);
    truth_close(&truth);
}

Test(truth, equal_prefixes_are_told_apart_by_node_number)
{
    struct truth truth;
    truth_open(&truth, 8);
    struct node_id id = {{5}};
    truth_add(&truth, &id, 7);
    truth_add(&truth, &id, 3);
    uint32_t nodes[2];
    cr_assert_eq(truth_nearest(&truth, &id, TRUTH_NOBODY, nodes, 2), 2);
    cr_assert_eq(nodes[0], 3);
    cr_assert_eq(nodes[1], 7);
    truth_close(&truth);
}

Test(truth, removing_who_is_not_there_is_a_bug, .signal = SIGABRT)
{
    struct truth truth;
    truth_open(&truth, 8);
    struct node_id id = {{5}};
    truth_add(&truth, &id, 7);
    truth_remove(&truth, &id, 8);
}
