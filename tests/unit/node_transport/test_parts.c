/* test_parts.c - the replay window, the estimators and the packet formats by themselves. */
#include <signal.h>

#include <criterion/criterion.h>

#include "node/base/rng.h"
#include "node/transport/packet.h"
#include "node/transport/rtt.h"
#include "node/transport/window.h"

static bool take(struct window *window, uint64_t counter)
{
    if (!window_is_fresh(window, counter)) {
        return false;
    }
    window_mark(window, counter);
    return true;
}

Test(window, accepts_each_counter_once)
{
    struct window window = {0};
    for (uint64_t counter = 0; counter < 5000; counter++) {
        cr_assert(take(&window, counter));
        cr_assert_not(take(&window, counter));
    }
}

Test(window, accepts_what_was_overtaken_by_less_than_its_length)
{
    struct window window = {0};
    cr_assert(take(&window, 5000));
    cr_assert(take(&window, 5001 - WINDOW_LEN));
    cr_assert_not(take(&window, 5000 - WINDOW_LEN));
    cr_assert_not(take(&window, 5001 - WINDOW_LEN));
    cr_assert(take(&window, 4999));
}

Test(window, survives_jumps_of_any_length)
{
    struct window window = {0};
    cr_assert(take(&window, 3));
    cr_assert(take(&window, UINT64_C(1) << 40));
    cr_assert_not(take(&window, 3));
    cr_assert(take(&window, (UINT64_C(1) << 40) - 1));
    cr_assert(take(&window, UINT64_MAX - 1));
    cr_assert_not(take(&window, UINT64_MAX));
    cr_assert_not(take(&window, UINT64_MAX - 1));
}

Test(window, agrees_with_a_set_on_shuffled_counters)
{
    static bool seen[20000];
    struct window window = {0};
    struct rng rng;
    rng_seed(&rng, 3);
    uint64_t top = 0;
    uint32_t accepted = 0;
    for (int i = 0; i < 60000; i++) {
        uint64_t counter = (uint64_t)i / 4 + rng_below(&rng, 2000);
        bool is_old = top > 0 && counter + WINDOW_LEN < top;
        bool expected = !seen[counter] && !is_old;
        cr_assert_eq(take(&window, counter), expected, "step %d counter %d", i, (int)counter);
        seen[counter] |= expected;
        accepted += expected;
        top = expected && counter + 1 > top ? counter + 1 : top;
    }
    cr_assert_gt(accepted, 10000);
}

Test(rtt, quantiles_lie_within_a_bucket_of_the_truth)
{
    struct rtt_node node = {0};
    struct rng rng;
    rng_seed(&rng, 4);
    for (int i = 0; i < 200; i++) {
        rtt_node_add(&node, (uint32_t)(50000 + rng_below(&rng, 100000)));
    }
    const uint32_t parts[] = {50, 500, 950};
    for (int i = 0; i < 3; i++) {
        double truth = 50000 + 100.0 * parts[i];
        double estimate = rtt_node_quantile_us(&node, parts[i]);
        cr_assert_gt(estimate, truth * 0.85, "part %u", parts[i]);
        cr_assert_lt(estimate, truth * 1.2, "part %u", parts[i]);
    }
}

Test(rtt, follows_a_network_that_changes)
{
    struct rtt_node node = {0};
    for (int i = 0; i < 1000; i++) {
        rtt_node_add(&node, 20000);
    }
    cr_assert_lt(rtt_slow_us(&node), 25000);
    for (int i = 0; i < 500; i++) {
        rtt_node_add(&node, 300000);
    }
    cr_assert_gt(rtt_slow_us(&node), 250000);
    for (int i = 0; i < 1500; i++) {
        rtt_node_add(&node, 20000);
    }
    cr_assert_lt(rtt_slow_us(&node), 25000);
}

Test(rtt, every_sample_has_a_bucket)
{
    struct rtt_node node = {0};
    const uint32_t samples[] = {0, 1, 511, 512, 513, 8000000, 9000000, UINT32_MAX};
    for (size_t i = 0; i < array_len(samples); i++) {
        rtt_node_add(&node, samples[i]);
    }
    cr_assert_eq(node.total, array_len(samples));
    cr_assert_leq(rtt_node_quantile_us(&node, 0), 640);
    cr_assert_geq(rtt_node_quantile_us(&node, 1000), 7000000);
}

Test(rtt, timeouts_keep_their_floor_and_ceiling)
{
    struct rtt_node node = {0};
    struct rtt_peer peer = {0};
    cr_assert_eq(rtt_rto_us(NULL, &node), RTT_RTO_FIRST_US);
    cr_assert_eq(rtt_slow_us(&node), RTT_RTO_FIRST_US);
    for (int i = 0; i < RTT_SAMPLES_MIN; i++) {
        rtt_node_add(&node, 1000);
    }
    cr_assert_eq(rtt_rto_us(NULL, &node), RTT_RTO_MIN_US);
    rtt_peer_add(&peer, 300000);
    cr_assert_eq(rtt_rto_us(&peer, &node), 900000);
    for (int i = 0; i < 50; i++) {
        rtt_peer_add(&peer, 300000);
    }
    cr_assert_lt(rtt_rto_us(&peer, &node), 310000);
    rtt_peer_add(&peer, UINT32_MAX);
    cr_assert_eq(rtt_rto_us(&peer, &node), RTT_RTO_MAX_US);
}

Test(packet, reads_what_it_writes)
{
    uint8_t bytes[PORT_DATAGRAM_MAX] = {0};
    struct packet_handshake handshake;
    packet_write_handshake(bytes, PACKET_XX_2, 0x01020304, 0x05060708, 100);
    size_t len = PACKET_HANDSHAKE_HEADER_LEN + 100 + PACKET_MACS_LEN;
    cr_assert(packet_read_handshake(slice_of(bytes, len), &handshake));
    cr_assert_eq(handshake.step, PACKET_XX_2);
    cr_assert_eq(handshake.sender, 0x01020304);
    cr_assert_eq(handshake.receiver, 0x05060708);
    cr_assert_eq(handshake.noise.len, 100);
    cr_assert_eq(handshake.mac2 + CRYPTO_MAC_LEN, bytes + len);
    for (size_t cut = 0; cut < len; cut++) {
        cr_assert_not(packet_read_handshake(slice_of(bytes, cut), &handshake));
    }

    struct packet_data data;
    packet_write_data(bytes, 0x0a0b0c0d, UINT64_C(0x1112131415161718));
    cr_assert(packet_read_data(slice_of(bytes, PACKET_DATA_OVERHEAD), &data));
    cr_assert_eq(data.receiver, 0x0a0b0c0d);
    cr_assert_eq(data.counter, UINT64_C(0x1112131415161718));
    cr_assert_eq(data.sealed.len, CRYPTO_TAG_LEN);
    cr_assert_not(packet_read_data(slice_of(bytes, PACKET_DATA_OVERHEAD - 1), &data));
}

Test(packet, fragments_other_than_the_only_one_are_refused)
{
    uint8_t bytes[PORT_DATAGRAM_MAX] = {0};
    struct packet_handshake handshake;
    size_t len = PACKET_HANDSHAKE_HEADER_LEN + PACKET_MACS_LEN;
    packet_write_handshake(bytes, PACKET_IK_1, 1, 0, 0);
    cr_assert(packet_read_handshake(slice_of(bytes, len), &handshake));
    bytes[4] = 1;
    cr_assert_not(packet_read_handshake(slice_of(bytes, len), &handshake));
    bytes[4] = 0;
    bytes[5] = 2;
    cr_assert_not(packet_read_handshake(slice_of(bytes, len), &handshake));
}
