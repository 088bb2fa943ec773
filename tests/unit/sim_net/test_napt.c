/* test_napt.c - each behaviour of a NAT box by itself, as RFC 4787, 5382, 6887 and 6888 name them.
 */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "napt_lab.h"
#include "node/base/slice.h"

#define BOX_IP   UINT32_C(0xcb007109) /* 203.0.113.9 */
#define ANN      UINT32_C(0x0a000002)
#define BOB      UINT32_C(0x0a000003)
#define MEASURED 35765 /* The port whose flow a poisoned kernel moved. */

static struct napt *box_open(const struct napt_config *config)
{
    return napt_open(config, BOX_IP, 1, 1);
}

static void box_close(struct napt *nat)
{
    const char *fault = napt_check(nat);
    cr_expect_null(fault, "%s", fault);
    napt_close(nat);
}

/* The external port by which a packet of UDP leaves; 0 if it does not. */
static unsigned out(struct napt *nat, uint64_t now_us, struct napt_end from, struct napt_end to)
{
    struct napt_packet packet = {.from = from, .to = to};
    if (napt_out(nat, now_us, &packet) != NAPT_PASSED) {
        return 0;
    }
    cr_assert_eq(packet.from.ip, napt_external_ip(nat));
    cr_assert(lab_same(packet.to, to));
    return packet.from.port;
}

/* Whether a packet of UDP to this external port gets to `inside`. */
static bool in(struct napt *nat, uint64_t now_us, struct napt_end from, unsigned port,
               struct napt_end inside)
{
    struct napt_packet packet = {.from = from, .to = lab_end(napt_external_ip(nat), port)};
    if (napt_in(nat, now_us, &packet) != NAPT_PASSED) {
        return false;
    }
    cr_assert(lab_same(packet.from, from));
    cr_assert(lab_same(packet.to, inside));
    return true;
}

static struct napt_end server(unsigned address, unsigned port)
{
    return lab_end(LAB_SERVER_A + address, port);
}

static enum napt_verdict tcp_out(struct napt *nat, uint64_t now_us, enum napt_segment segment,
                                 struct napt_end from, struct napt_end to)
{
    struct napt_packet packet = {.protocol = NAPT_TCP, .segment = segment, .from = from, .to = to};
    return napt_out(nat, now_us, &packet);
}

static enum napt_verdict tcp_in(struct napt *nat, uint64_t now_us, enum napt_segment segment,
                                struct napt_end from, unsigned port)
{
    struct napt_packet packet = {.protocol = NAPT_TCP,
                                 .segment = segment,
                                 .from = from,
                                 .to = lab_end(napt_external_ip(nat), port)};
    return napt_in(nat, now_us, &packet);
}

/* --- mapping and ports --------------------------------------------------------------------- */

Test(nat, mapping_depends_on_what_it_should)
{
    for (int scope = NAPT_ENDPOINT_INDEPENDENT; scope <= NAPT_ADDRESS_AND_PORT_DEPENDENT; scope++) {
        struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
        config.mapping = (enum napt_scope)scope;
        struct napt *nat = box_open(&config);
        unsigned first = out(nat, 0, lab_end(ANN, 7777), server(0, 1));
        unsigned other_port = out(nat, 0, lab_end(ANN, 7777), server(0, 2));
        unsigned other_address = out(nat, 0, lab_end(ANN, 7777), server(1, 1));
        cr_expect_eq(first, out(nat, 1, lab_end(ANN, 7777), server(0, 1)));
        cr_expect_eq(first == other_port, scope <= NAPT_ADDRESS_DEPENDENT);
        cr_expect_eq(first == other_address, scope == NAPT_ENDPOINT_INDEPENDENT);
        box_close(nat);
    }
}

Test(nat, two_insides_with_one_port_each_have_a_stable_one)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt *nat = box_open(&config);
    cr_expect_eq(out(nat, 0, lab_end(ANN, 7777), server(0, 1)), 7777);
    unsigned second = out(nat, 0, lab_end(BOB, 7777), server(0, 1));
    cr_expect_eq(second, 7778); /* The next free one. */
    for (unsigned i = 0; i < 50; i++) {
        cr_expect_eq(out(nat, i, lab_end(ANN, 7777), server(i % 4, i)), 7777);
        cr_expect_eq(out(nat, i, lab_end(BOB, 7777), server(i % 4, i)), second);
    }
    /* Another protocol has ports of its own. */
    struct napt_packet syn = {
        .protocol = NAPT_TCP, .segment = NAPT_SEGMENT_SYN, .from = lab_end(BOB, 7777)};
    syn.to = server(0, 443);
    cr_assert_eq(napt_out(nat, 60, &syn), NAPT_PASSED);
    cr_expect_eq(syn.from.port, 7777);
    box_close(nat);
}

Test(nat, port_is_free_again_when_its_mapping_has_expired)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt *nat = box_open(&config);
    cr_expect_eq(out(nat, 0, lab_end(ANN, 7777), server(0, 1)), 7777);
    cr_expect_eq(out(nat, 30 * LAB_S - 1, lab_end(BOB, 7777), server(0, 1)), 7778);
    cr_expect_eq(out(nat, 90 * LAB_S, lab_end(BOB, 7777), server(0, 1)), 7777);
    box_close(nat);
}

Test(nat, parity_is_kept)
{
    for (int ports = NAPT_PORTS_PRESERVED; ports <= NAPT_PORTS_RANDOM; ports++) {
        struct napt_config config = lab_config(NAPT_PRESET_SYMMETRIC);
        config.ports = (enum napt_ports)ports;
        config.keeps_parity = true;
        config.port_count = 1001; /* An odd count, so that parity changes where the range ends. */
        struct napt *nat = box_open(&config);
        for (unsigned i = 0; i < 900; i++) {
            unsigned port = out(nat, 0, lab_end(ANN, 3000 + i), server(0, 1));
            cr_assert_neq(port, 0);
            cr_expect_eq(port % 2, i % 2);
        }
        box_close(nat);
    }
}

Test(nat, sequential_ports_follow_each_other_around_the_range)
{
    struct napt_config config = lab_config(NAPT_PRESET_SEQUENTIAL);
    config.port_count = 100;
    struct napt *nat = box_open(&config);
    unsigned last = out(nat, 0, lab_end(ANN, 5000), server(0, 1));
    for (unsigned i = 2; i <= 100; i++) {
        unsigned next = out(nat, 0, lab_end(ANN, 5000), server(0, i));
        cr_expect_eq(next, last == 1123 ? 1024 : last + 1);
        last = next;
    }
    cr_expect_eq(out(nat, 0, lab_end(ANN, 5000), server(0, 101)), 0);
    cr_expect_eq(napt_fates(nat)[NAPT_FATE_PORTS], 1);
    box_close(nat);
}

/* Chi-squared over 16 parts of the range, 15 degrees of freedom: 37.7 is the 0.999 quantile. */
Test(nat, random_ports_are_spread_evenly_and_never_shared)
{
    enum { PARTS = 16, FLOWS = 8000 };
    struct napt_config config = lab_config(NAPT_PRESET_SYMMETRIC);
    struct napt *nat = box_open(&config);
    static bool seen[UINT16_MAX + 1];
    double counts[PARTS] = {0};
    for (unsigned i = 0; i < FLOWS; i++) {
        unsigned port = out(nat, 0, lab_end(ANN, 5000), server(i % 4, 1 + i));
        cr_assert(port >= 1024 && !seen[port]);
        seen[port] = true;
        counts[(port - 1024) * PARTS / config.port_count]++;
    }
    double chi_squared = 0;
    for (int i = 0; i < PARTS; i++) {
        double expected = (double)FLOWS / PARTS;
        chi_squared += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    cr_expect_lt(chi_squared, 37.7);
    box_close(nat);
}

/* As measured: a carrier's block of 16 lets 16 of 30 flows out. */
Test(nat, block_of_ports_is_all_an_inside_address_gets)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    config.block_ports = 16;
    config.port_count = 40; /* Two blocks, and a rest for nobody. */
    struct napt *nat = box_open(&config);
    const struct {
        uint32_t ip;
        unsigned first;
        unsigned passed;
    } insides[] = {{ANN, 1024, 16}, {BOB, 1040, 16}, {BOB + 1, 0, 0}};
    for (size_t i = 0; i < array_len(insides); i++) {
        unsigned passed = 0;
        for (unsigned flow = 0; flow < 30; flow++) {
            unsigned port = out(nat, 0, lab_end(insides[i].ip, 5000 + flow), server(0, 1));
            passed += port != 0;
            cr_expect(port == 0 || (port >= insides[i].first && port < insides[i].first + 16));
        }
        cr_expect_eq(passed, insides[i].passed);
    }
    cr_expect_eq(napt_fates(nat)[NAPT_FATE_PORTS], 14 + 14 + 30);
    box_close(nat);
}

/* --- filtering ------------------------------------------------------------------------------ */

Test(nat, filter_asks_for_what_it_should)
{
    for (int scope = NAPT_ENDPOINT_INDEPENDENT; scope <= NAPT_ADDRESS_AND_PORT_DEPENDENT; scope++) {
        struct napt_config config = lab_config(NAPT_PRESET_FULL_CONE);
        config.filtering = (enum napt_scope)scope;
        struct napt *nat = box_open(&config);
        struct napt_end ann = lab_end(ANN, 7777);
        cr_expect_not(in(nat, 0, server(0, 1), 7777, ann)); /* Nothing is mapped yet. */
        unsigned port = out(nat, 0, ann, server(0, 1));
        cr_expect(in(nat, 0, server(0, 1), port, ann));
        cr_expect_eq(in(nat, 0, server(0, 2), port, ann), scope <= NAPT_ADDRESS_DEPENDENT);
        cr_expect_eq(in(nat, 0, server(1, 1), port, ann), scope == NAPT_ENDPOINT_INDEPENDENT);
        cr_expect_eq(napt_fates(nat)[NAPT_FATE_UNMAPPED], 1);
        cr_expect_eq(napt_fates(nat)[NAPT_FATE_FILTERED], (uint64_t)scope);
        box_close(nat);
    }
}

/* Whom only a stranger's packet has made known does not open the filter for his address. */
Test(nat, filter_by_address_counts_what_inside_has_sent_only)
{
    struct napt_config config = lab_config(NAPT_PRESET_RESTRICTED);
    struct napt *nat = box_open(&config);
    struct napt_end ann = lab_end(ANN, 7777);
    out(nat, 0, ann, server(0, 1));
    cr_expect(in(nat, 29 * LAB_S, server(0, 2), 7777, ann));
    cr_expect(in(nat, 58 * LAB_S, server(0, 2), 7777, ann));     /* A session of its own by now; */
    cr_expect_not(in(nat, 58 * LAB_S, server(0, 3), 7777, ann)); /* the one sent by has expired. */
    out(nat, 58 * LAB_S, ann, server(0, 2));
    cr_expect(in(nat, 58 * LAB_S, server(0, 3), 7777, ann));
    box_close(nat);
}

Test(nat, unsolicited_is_dropped_or_told)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt *drops = box_open(&config);
    struct napt_config told = config;
    told.unsolicited = NAPT_UNSOLICITED_REJECTED;
    struct napt *rejects = box_open(&told);
    cr_expect_eq(tcp_in(drops, 0, NAPT_SEGMENT_SYN, server(0, 1), 80), NAPT_DROPPED);
    cr_expect_eq(tcp_in(rejects, 0, NAPT_SEGMENT_SYN, server(0, 1), 80), NAPT_REJECTED);
    cr_expect_eq(tcp_in(rejects, 0, NAPT_SEGMENT_DATA, server(0, 1), 80), NAPT_REJECTED);
    cr_expect_eq(tcp_in(rejects, 0, NAPT_SEGMENT_END, server(0, 1), 80), NAPT_DROPPED);
    struct napt_packet packet = {.from = server(0, 1), .to = lab_end(BOX_IP, 80)};
    cr_expect_eq(napt_in(rejects, 0, &packet), NAPT_REJECTED);
    box_close(drops);
    box_close(rejects);
}

Test(nat, poison_moves_one_flow_and_expires)
{
    struct napt_config config = lab_config(NAPT_PRESET_POISONABLE);
    struct napt *nat = box_open(&config);
    struct napt_end ann = lab_end(ANN, MEASURED);
    cr_expect_eq(out(nat, 0, ann, server(0, 3478)), MEASURED);
    cr_expect_not(in(nat, 0, server(1, 9), MEASURED, ann));
    cr_expect_not(in(nat, 1, server(1, 9), MEASURED, ann)); /* The same entry. */
    cr_expect_eq(napt_fates(nat)[NAPT_FATE_POISONED], 1);
    unsigned moved = out(nat, 2, ann, server(1, 9));
    cr_expect(moved != 0 && moved != MEASURED);
    cr_expect_eq(napt_fates(nat)[NAPT_FATE_REMAPPED], 1);
    cr_expect(in(nat, 3, server(1, 9), moved, ann));
    cr_expect_not(in(nat, 3, server(1, 9), MEASURED, ann));
    cr_expect_eq(out(nat, 4, ann, server(1, 10)), MEASURED); /* All others are as before, */
    cr_expect_eq(out(nat, 4, ann, server(2, 9)), MEASURED);
    cr_expect_eq(out(nat, 5, ann, server(1, 9)), moved); /* and the flow stays where it is. */
    /* Until it has expired too: then the kept port is right again. */
    cr_expect_eq(out(nat, 200 * LAB_S, ann, server(1, 9)), MEASURED);
    cr_expect_eq(napt_fates(nat)[NAPT_FATE_REMAPPED], 1);
    box_close(nat);
}

/* --- hairpin, firewall, blocked ------------------------------------------------------------- */

Test(nat, hairpin_shows_the_external_end_and_obeys_the_filter)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    config.has_hairpin = true;
    struct napt *nat = box_open(&config);
    struct napt_end ann = lab_end(ANN, 7001);
    struct napt_end bob = lab_end(BOB, 7002);
    out(nat, 0, ann, server(0, 1));
    out(nat, 0, bob, server(0, 1));
    struct napt_packet packet = {.from = ann, .to = lab_end(BOX_IP, 7002)};
    cr_assert_eq(napt_out(nat, 1, &packet), NAPT_PASSED);
    cr_expect(lab_same(packet.from, lab_end(BOX_IP, 7001)));
    cr_expect_eq(napt_in(nat, 1, &packet), NAPT_DROPPED); /* Bob has not sent to Ann's end. */
    packet = (struct napt_packet){.from = bob, .to = lab_end(BOX_IP, 7001)};
    cr_assert_eq(napt_out(nat, 2, &packet), NAPT_PASSED);
    cr_assert_eq(napt_in(nat, 2, &packet), NAPT_PASSED);
    cr_expect(lab_same(packet.from, lab_end(BOX_IP, 7002)));
    cr_expect(lab_same(packet.to, ann));
    box_close(nat);
}

Test(nat, without_hairpin_the_own_address_leads_nowhere)
{
    struct napt_config config = lab_config(NAPT_PRESET_FULL_CONE);
    struct napt *nat = box_open(&config);
    out(nat, 0, lab_end(BOB, 7002), server(0, 1));
    cr_expect_eq(out(nat, 0, lab_end(ANN, 7001), lab_end(BOX_IP, 7002)), 0);
    cr_expect_eq(napt_fates(nat)[NAPT_FATE_HAIRPIN], 1);
    box_close(nat);
}

Test(nat, firewall_translates_nothing_and_filters)
{
    struct napt_config config = lab_config(NAPT_PRESET_FIREWALL);
    struct napt *nat = box_open(&config);
    for (uint32_t ip = ANN; ip <= BOB; ip++) { /* One port, two hosts: both keep it. */
        struct napt_packet packet = {.from = lab_end(ip, 80), .to = server(0, 1)};
        cr_assert_eq(napt_out(nat, 0, &packet), NAPT_PASSED);
        cr_expect(lab_same(packet.from, lab_end(ip, 80)));
        packet = (struct napt_packet){.from = server(0, 1), .to = lab_end(ip, 80)};
        cr_assert_eq(napt_in(nat, 0, &packet), NAPT_PASSED);
        cr_expect(lab_same(packet.to, lab_end(ip, 80)));
        packet.from = server(0, 2);
        cr_expect_eq(napt_in(nat, 0, &packet), NAPT_DROPPED);
    }
    struct napt_packet packet = {.from = server(0, 1), .to = lab_end(BOB + 1, 80)};
    cr_expect_eq(napt_in(nat, 0, &packet), NAPT_DROPPED);
    box_close(nat);
}

Test(nat, where_udp_is_blocked_tcp_passes)
{
    struct napt_config config = lab_config(NAPT_PRESET_UDP_BLOCKED);
    struct napt *nat = box_open(&config);
    cr_expect_eq(out(nat, 0, lab_end(ANN, 7777), server(0, 1)), 0);
    cr_expect_not(in(nat, 0, server(0, 1), 7777, lab_end(ANN, 7777)));
    cr_expect_eq(napt_fates(nat)[NAPT_FATE_BLOCKED], 2);
    cr_expect_eq(tcp_out(nat, 0, NAPT_SEGMENT_SYN, lab_end(ANN, 7777), server(0, 1)), NAPT_PASSED);
    cr_expect_eq(tcp_in(nat, 0, NAPT_SEGMENT_DATA, server(0, 1), 7777), NAPT_PASSED);
    box_close(nat);
}

/* --- time ----------------------------------------------------------------------------------- */

/* As measured with a timeout of 3 s: what comes in after 2 s passes, after 4 s it does not. */
Test(nat, unreplied_session_ends_at_its_timeout)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    config.unreplied_us = 3 * LAB_S;
    struct napt_end ann = lab_end(ANN, 7777);
    const struct {
        uint64_t at_us;
        bool passes;
    } cases[] = {{2 * LAB_S, true}, {3 * LAB_S - 1, true}, {3 * LAB_S, false}, {4 * LAB_S, false}};
    for (size_t i = 0; i < array_len(cases); i++) {
        struct napt *nat = box_open(&config);
        unsigned port = out(nat, 0, ann, server(0, 1));
        cr_expect_eq(in(nat, cases[i].at_us, server(0, 1), port, ann), cases[i].passes);
        box_close(nat);
    }
}

Test(nat, answered_session_lasts_longer_and_is_refreshed_both_ways)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt *nat = box_open(&config);
    struct napt_end ann = lab_end(ANN, 7777);
    unsigned port = out(nat, 0, ann, server(0, 1));
    uint64_t now_us = 29 * LAB_S;
    cr_expect(in(nat, now_us, server(0, 1), port, ann));
    for (int i = 0; i < 5; i++) { /* Kept alive by what comes in alone. */
        now_us += 120 * LAB_S - 1;
        cr_expect(in(nat, now_us, server(0, 1), port, ann));
    }
    cr_expect_eq(napt_load_of(nat, now_us + 120 * LAB_S - 1, ANN).sessions, 1);
    cr_expect_eq(napt_load_of(nat, now_us + 120 * LAB_S, ANN).sessions, 0);
    cr_expect_eq(napt_load_of(nat, now_us + 120 * LAB_S, ANN).mappings, 0);
    box_close(nat);
}

/* RFC 4787 REQ-6b: a box may leave it to the inside alone. */
Test(nat, where_inbound_does_not_count_it_keeps_nothing_alive)
{
    struct napt_config config = lab_config(NAPT_PRESET_FULL_CONE);
    config.refreshes_in = false;
    struct napt *nat = box_open(&config);
    struct napt_end ann = lab_end(ANN, 7777);
    unsigned port = out(nat, 0, ann, server(0, 1));
    cr_expect(in(nat, 29 * LAB_S, server(0, 1), port, ann));
    cr_expect(in(nat, 29 * LAB_S, server(1, 1), port, ann)); /* Passes, and makes no session. */
    cr_expect_eq(napt_load_of(nat, 29 * LAB_S, ANN).sessions, 1);
    cr_expect_not(in(nat, 30 * LAB_S, server(0, 1), port, ann));
    /* What has been answered lasts longer from the next packet out. */
    port = out(nat, 40 * LAB_S, ann, server(0, 1));
    cr_expect(in(nat, 41 * LAB_S, server(0, 1), port, ann));
    out(nat, 42 * LAB_S, ann, server(0, 1));
    cr_expect(in(nat, 161 * LAB_S, server(0, 1), port, ann));
    cr_expect_not(in(nat, 162 * LAB_S, server(0, 1), port, ann));
    box_close(nat);
}

/* An independent mapping lives as long as any of its sessions. */
Test(nat, one_live_session_keeps_the_mapping_for_all)
{
    struct napt_config config = lab_config(NAPT_PRESET_SYMMETRIC);
    config.mapping = NAPT_ENDPOINT_INDEPENDENT;
    struct napt *nat = box_open(&config);
    struct napt_end ann = lab_end(ANN, 7777);
    unsigned port = out(nat, 0, ann, server(0, 1));
    for (unsigned i = 1; i <= 100; i++) {
        cr_expect_eq(out(nat, i * 29 * LAB_S, ann, server(i % 4, i)), port);
        cr_expect_eq(napt_load_of(nat, i * 29 * LAB_S, ANN).mappings, 1);
    }
    cr_expect_eq(napt_load_of(nat, 2900 * LAB_S, ANN).sessions, 2);
    cr_expect_neq(out(nat, 2930 * LAB_S, ann, server(0, 1)), port);
    box_close(nat);
}

/* --- TCP ------------------------------------------------------------------------------------ */

Test(nat, tcp_timeouts_follow_the_connection)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt_end ann = lab_end(ANN, 7777);
    const struct {
        bool is_answered;
        bool is_ended;
        uint64_t idle_s;
    } cases[] = {{false, false, 240}, {true, false, 7440}, {true, true, 240}, {false, true, 240}};
    for (size_t i = 0; i < array_len(cases); i++) {
        struct napt *nat = box_open(&config);
        tcp_out(nat, 0, NAPT_SEGMENT_SYN, ann, server(0, 1));
        if (cases[i].is_answered) {
            cr_expect_eq(tcp_in(nat, 0, NAPT_SEGMENT_SYN, server(0, 1), 7777), NAPT_PASSED);
            tcp_out(nat, 0, NAPT_SEGMENT_DATA, ann, server(0, 1));
        }
        if (cases[i].is_ended) {
            tcp_out(nat, 0, NAPT_SEGMENT_END, ann, server(0, 1));
        }
        uint64_t end_us = cases[i].idle_s * LAB_S;
        cr_expect_eq(napt_load_of(nat, end_us - 1, ANN).sessions, 1);
        cr_expect_eq(napt_load_of(nat, end_us, ANN).sessions, 0);
        box_close(nat);
    }
}

Test(nat, connection_that_was_ended_may_be_opened_again)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt *nat = box_open(&config);
    struct napt_end ann = lab_end(ANN, 7777);
    for (uint64_t round = 0; round < 2; round++) {
        uint64_t now_us = round * LAB_S;
        cr_expect_eq(tcp_out(nat, now_us, NAPT_SEGMENT_SYN, ann, server(0, 1)), NAPT_PASSED);
        cr_expect_eq(tcp_in(nat, now_us, NAPT_SEGMENT_DATA, server(0, 1), 7777), NAPT_PASSED);
        if (round == 0) {
            cr_expect_eq(tcp_in(nat, now_us, NAPT_SEGMENT_END, server(0, 1), 7777), NAPT_PASSED);
        }
    }
    cr_expect_eq(napt_load_of(nat, 7440 * LAB_S, ANN).sessions, 1);
    box_close(nat);
}

Test(nat, tcp_without_a_session_is_picked_up_from_inside_only)
{
    struct napt_config config = lab_config(NAPT_PRESET_FULL_CONE);
    struct napt *nat = box_open(&config);
    struct napt_end ann = lab_end(ANN, 7777);
    cr_expect_eq(tcp_out(nat, 0, NAPT_SEGMENT_END, ann, server(0, 1)), NAPT_DROPPED);
    cr_expect_eq(tcp_out(nat, 0, NAPT_SEGMENT_DATA, ann, server(0, 1)), NAPT_PASSED);
    cr_expect_eq(tcp_in(nat, 0, NAPT_SEGMENT_DATA, server(1, 1), 7777), NAPT_DROPPED);
    cr_expect_eq(tcp_in(nat, 0, NAPT_SEGMENT_END, server(1, 1), 7777), NAPT_DROPPED);
    cr_expect_eq(tcp_in(nat, 0, NAPT_SEGMENT_SYN, server(1, 1), 7777), NAPT_PASSED);
    cr_expect_eq(tcp_in(nat, 0, NAPT_SEGMENT_DATA, server(1, 1), 7777), NAPT_PASSED);
    box_close(nat);
}

/* --- limits and requests -------------------------------------------------------------------- */

/* As measured: a cap of 64 lets exactly 64 of 200 flows through. */
Test(nat, session_cap_is_exact_and_of_each_inside_address)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    config.sessions_max = 64;
    struct napt *nat = box_open(&config);
    unsigned passed = 0;
    for (unsigned flow = 0; flow < 200; flow++) {
        passed += out(nat, 0, lab_end(ANN, 7777), server(0, 1 + flow)) != 0;
    }
    cr_expect_eq(passed, 64);
    cr_expect_eq(napt_load_of(nat, 0, ANN).sessions_most, 64);
    passed = 0;
    for (unsigned flow = 0; flow < 200; flow++) {
        passed += out(nat, 0, lab_end(BOB, 7777), server(0, 1 + flow)) != 0;
    }
    cr_expect_eq(passed, 64);
    cr_expect_eq(napt_fates(nat)[NAPT_FATE_SESSIONS], 2 * 136);
    /* Those it has go on; new ones pass when old ones have expired. */
    cr_expect_neq(out(nat, 29 * LAB_S, lab_end(ANN, 7777), server(0, 1)), 0);
    cr_expect_eq(out(nat, 29 * LAB_S, lab_end(ANN, 7777), server(1, 1)), 0);
    cr_expect_neq(out(nat, 30 * LAB_S, lab_end(ANN, 7777), server(1, 1)), 0);
    cr_expect_eq(napt_load_of(nat, 30 * LAB_S, ANN).sessions, 2);
    cr_expect_eq(napt_load_of(nat, 30 * LAB_S, 0).sessions_most, 128);
    box_close(nat);
}

Test(nat, mapping_on_request_is_open_to_all_for_its_lifetime)
{
    struct napt_config config = lab_config(NAPT_PRESET_SYMMETRIC);
    config.maps_on_request = true;
    struct napt *nat = box_open(&config);
    struct napt_end ann = lab_end(ANN, 7777);
    struct napt_end external;
    uint64_t granted_us;
    cr_assert_eq(napt_request(nat, 0, NAPT_UDP, &ann, 100 * LAB_S, 4000, &external, &granted_us),
                 ERR_OK);
    cr_expect(lab_same(external, lab_end(BOX_IP, 4000)));
    cr_expect_eq(granted_us, 100 * LAB_S);
    cr_expect(in(nat, 1, server(0, 1), 4000, ann));
    cr_expect_eq(out(nat, 2, ann, server(3, 3)), 4000); /* It serves what leaves, too. */
    cr_expect_not(in(nat, 2, server(0, 1), 4001, ann));
    struct napt_end bob = lab_end(BOB, 7777); /* The port is taken: another. */
    cr_assert_eq(napt_request(nat, 3, NAPT_UDP, &bob, 100 * LAB_S, 4000, &external, &granted_us),
                 ERR_OK);
    cr_expect_neq(external.port, 4000);
    cr_expect(in(nat, 100 * LAB_S - 1, server(2, 2), 4000, ann));
    cr_expect_not(in(nat, 100 * LAB_S, server(1, 1), 4000, ann));
    box_close(nat);
}

Test(nat, request_is_renewed_limited_and_ended)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    config.maps_on_request = true;
    config.request_max_us = 50 * LAB_S;
    struct napt *nat = box_open(&config);
    struct napt_end ann = lab_end(ANN, 7777);
    struct napt_end external;
    uint64_t granted_us;
    for (uint64_t i = 0; i < 10; i++) {
        cr_assert_eq(napt_request(nat, i * 49 * LAB_S, NAPT_UDP, &ann, UINT64_MAX, 4000, &external,
                                  &granted_us),
                     ERR_OK);
        cr_expect_eq(external.port, 4000);
        cr_expect_eq(granted_us, 50 * LAB_S);
    }
    cr_assert_eq(napt_request(nat, 450 * LAB_S, NAPT_UDP, &ann, 0, 0, &external, &granted_us),
                 ERR_OK);
    cr_expect_eq(napt_load_of(nat, 450 * LAB_S, ANN).mappings, 0);
    cr_expect_not(in(nat, 450 * LAB_S, server(0, 1), 4000, ann));
    box_close(nat);
}

Test(nat, request_is_refused_where_there_are_none_or_no_port_is_left)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt *nat = box_open(&config);
    struct napt_end ann = lab_end(ANN, 7777);
    struct napt_end external;
    uint64_t granted_us;
    cr_expect_eq(napt_request(nat, 0, NAPT_UDP, &ann, LAB_S, 4000, &external, &granted_us),
                 ERR_UNSUPPORTED);
    box_close(nat);
    config.maps_on_request = true;
    config.port_count = 3;
    nat = box_open(&config);
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_neq(out(nat, 0, lab_end(BOB, 7000 + i), server(0, 1)), 0);
    }
    cr_expect_eq(napt_request(nat, 0, NAPT_UDP, &ann, LAB_S, 1025, &external, &granted_us),
                 ERR_FULL);
    box_close(nat);
}

/* --- the box itself ------------------------------------------------------------------------- */

Test(nat, rebooted_box_knows_nothing_and_renumbered_has_another_address)
{
    struct napt_config config = lab_config(NAPT_PRESET_FULL_CONE);
    struct napt *nat = box_open(&config);
    struct napt_end ann = lab_end(ANN, 7777);
    for (unsigned i = 1; i <= 9; i++) {
        out(nat, 0, ann, server(0, i));
    }
    napt_rebind(nat);
    cr_expect_not(in(nat, 1, server(0, 1), 7777, ann));
    cr_expect_eq(out(nat, 2, ann, server(0, 1)), 7777);
    napt_renumber(nat, BOX_IP + 1);
    cr_expect_eq(napt_external_ip(nat), BOX_IP + 1);
    cr_expect_not(in(nat, 3, server(0, 1), 7777, ann));
    cr_expect_eq(out(nat, 4, ann, server(0, 1)), 7777);
    struct napt_load load = napt_load_of(nat, 4, ANN);
    cr_expect(load.mappings == 1 && load.sessions == 1 && load.sessions_most == 9);
    box_close(nat);
}

/* External ports of 500 flows in the order in which they began. */
static void ports_of(uint64_t seed, uint64_t number, uint16_t *ports)
{
    struct napt_config config = lab_config(NAPT_PRESET_SYMMETRIC);
    struct napt *nat = napt_open(&config, BOX_IP, seed, number);
    for (unsigned i = 0; i < 500; i++) {
        ports[i] = (uint16_t)out(nat, i * LAB_S, lab_end(ANN, 5000 + i % 7), server(i % 4, i));
    }
    box_close(nat);
}

Test(nat, dice_depend_on_seed_and_number_alone)
{
    uint16_t first[500];
    uint16_t other[500];
    ports_of(1, 1, first);
    ports_of(1, 1, other);
    cr_expect_arr_eq(first, other, sizeof first);
    ports_of(2, 1, other);
    cr_expect_arr_neq(first, other, sizeof first);
    ports_of(1, 2, other);
    cr_expect_arr_neq(first, other, sizeof first);
}

Test(nat, idle_box_is_small_and_a_used_one_in_proportion)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt *nat = box_open(&config);
    cr_expect_lt(napt_bytes(nat), 512);
    for (unsigned i = 0; i < 40; i++) {
        out(nat, 0, lab_end(ANN, 7777), server(0, 1 + i));
    }
    cr_expect_lt(napt_bytes(nat), 5000);
    /* Sessions that have expired are used again: a long life needs no more. */
    for (unsigned i = 0; i < 20000; i++) {
        out(nat, i * LAB_S, lab_end(ANN, 7777), server(i % 4, 1 + i));
    }
    cr_expect_lt(napt_bytes(nat), 5000);
    box_close(nat);
}

Test(nat, presets_are_sound_and_have_names)
{
    for (int i = 0; i < NAPT_PRESET_COUNT; i++) {
        struct napt_config config = lab_config((enum napt_preset)i);
        const char *reason;
        cr_expect_eq(napt_config_check(&config, &reason), ERR_OK);
        cr_expect_null(reason);
        enum napt_preset found;
        cr_assert(napt_preset_find(napt_preset_text((enum napt_preset)i), &found));
        cr_expect_eq((int)found, i);
    }
    enum napt_preset found;
    cr_expect_not(napt_preset_find("cone", &found));
}

Test(nat, nonsense_is_refused_with_a_reason)
{
    struct napt_config good = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt_config bad[12];
    for (size_t i = 0; i < array_len(bad); i++) {
        bad[i] = good;
    }
    bad[0].mapping = (enum napt_scope)3;
    bad[1].first_port = 0;
    bad[2].port_count = 0;
    bad[3].port_count = UINT16_MAX;
    bad[4].port_count = 10;
    bad[4].block_ports = 11;
    bad[5].keeps_parity = true;
    bad[5].block_ports = 1;
    bad[6].unreplied_us = 0;
    bad[7].stream_us = good.unreplied_us - 1;
    bad[8].tcp_established_us = good.tcp_opening_us - 1;
    bad[9].is_firewall = true;
    bad[9].mapping = NAPT_ADDRESS_DEPENDENT;
    bad[10].is_firewall = true;
    bad[10].unsolicited = NAPT_UNSOLICITED_POISONS;
    bad[11].maps_on_request = true;
    bad[11].request_max_us = 0;
    for (size_t i = 0; i < array_len(bad); i++) {
        const char *reason = NULL;
        cr_expect_eq(napt_config_check(&bad[i], &reason), ERR_INVALID, "case %zu", i);
        cr_expect_not_null(reason);
    }
}

Test(nat, time_that_runs_backwards_is_our_bug, .signal = SIGABRT)
{
    struct napt_config config = lab_config(NAPT_PRESET_PORT_RESTRICTED);
    struct napt *nat = box_open(&config);
    out(nat, 10, lab_end(ANN, 7777), server(0, 1));
    out(nat, 9, lab_end(ANN, 7777), server(0, 1));
}

Test(nat, box_of_nonsense_is_our_bug, .signal = SIGABRT)
{
    struct napt_config config = {0};
    (void)box_open(&config);
}
