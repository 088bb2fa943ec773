/* test_streams.c - streams of simulated hosts: through boxes and losses, and how they end. */
#include <string.h>

#include "node/base/must.h"
#include "tests/sim/boxes/lab.h"

enum { RTT_US = 2 * LAB_LATENCY_US, LONE_PORT = 9000 /* Nobody listens there. */ };

static struct lab *lab;
static uint32_t server;
static struct port_addr at; /* Of the server. */

static void setup(void)
{
    lab = lab_open(1);
    server = lab_public(lab);
    at = lab_addr(lab, server);
}

static void teardown(void)
{
    lab_close(lab);
}

TestSuite(streams, .init = setup, .fini = teardown, .timeout = 60);

static uint32_t client_behind(const struct napt_config *config)
{
    return lab_behind(lab, lab_box(lab, config, WORLD_BOX_NONE));
}

/* A stream to the server that is up. */
static int open_stream(uint32_t client)
{
    int path = lab_call(lab, client, &at, 0);
    cr_assert_gt(path, 0);
    lab_run(lab, 2 * RTT_US);
    cr_assert(lab_is(lab, client, path, PORT_PATH_UP));
    return path;
}

static void say(uint32_t host, int path, char word)
{
    lab_say_with(lab, host, path, &at, word, 0);
}

static bool has_streams(uint32_t host)
{
    const struct host_extra *extra = host_extra(world_host(lab->world, host));
    return extra != NULL && extra->streams != NULL;
}

static unsigned words_of(uint32_t host)
{
    return lab_probe(lab, host)->datagram_count;
}

Test(streams, are_up_after_a_round_trip_and_not_before)
{
    uint32_t client = lab_public(lab);
    int path = lab_call(lab, client, &at, 0);
    enum port_path_event event;
    lab_run(lab, RTT_US); /* What falls due at its end is not part of it. */
    cr_expect_not(lab_told(lab, client, path, &event));
    lab_run(lab, 1);
    cr_expect(lab_is(lab, client, path, PORT_PATH_UP));
}

Test(streams, pass_every_kind_of_box)
{
    for (int i = 0; i < NAPT_PRESET_COUNT; i++) {
        const char *name = napt_preset_text((enum napt_preset)i);
        uint32_t client = client_behind(&lab->presets[i]);
        int path = open_stream(client);
        lab_forget(lab, server);
        say(client, path, 'q');
        lab_run(lab, RTT_US);
        const struct probe_datagram *heard = lab_heard(lab, server);
        cr_assert(heard != NULL && heard->bytes[0] == 'q', "%s", name);
        cr_expect_eq(heard->path, PORT_MAIN_PATH);
        cr_expect_neq(addr_port(&heard->from), HOST_PORT, "nobody listens there for us");
        bool is_wall = i == NAPT_PRESET_FIREWALL;
        struct port_addr own = lab_addr(lab, client);
        struct napt *box = world_box(lab->world, world_box_of(lab->world, client));
        cr_expect_eq(lab_ip(&heard->from), is_wall ? lab_ip(&own) : napt_external_ip(box));

        struct port_addr back = heard->from;
        lab_say(lab, server, &back, 'a');
        lab_run(lab, RTT_US);
        const struct probe_datagram *answer = lab_heard(lab, client);
        cr_assert(answer != NULL && answer->bytes[0] == 'a', "%s", name);
        cr_expect_eq(answer->path, path);
        cr_expect(memcmp(&answer->from, &at, sizeof at) == 0);
    }
}

/* What was measured with kernels: boxes that map by themselves let both in when they drop what
 * comes too early, not when they answer it, and not when one maps by the goal. */
struct opening {
    enum napt_preset presets[2];
    enum napt_unsolicited unsolicited;
    bool opens;
};

static const struct opening openings[] = {
    {{NAPT_PRESET_PORT_RESTRICTED, NAPT_PRESET_PORT_RESTRICTED}, NAPT_UNSOLICITED_DROPPED, true},
    {{NAPT_PRESET_FULL_CONE, NAPT_PRESET_RESTRICTED}, NAPT_UNSOLICITED_DROPPED, true},
    {{NAPT_PRESET_UDP_BLOCKED, NAPT_PRESET_PORT_RESTRICTED}, NAPT_UNSOLICITED_DROPPED, true},
    {{NAPT_PRESET_PORT_RESTRICTED, NAPT_PRESET_PORT_RESTRICTED}, NAPT_UNSOLICITED_REJECTED, false},
    {{NAPT_PRESET_PORT_RESTRICTED, NAPT_PRESET_SYMMETRIC}, NAPT_UNSOLICITED_DROPPED, false},
};

Test(streams, two_that_call_each_other_meet_in_one)
{
    for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++) {
        const struct opening *opening = &openings[i];
        uint32_t hosts[2];
        struct port_addr outside[2];
        int paths[2];
        for (int side = 0; side < 2; side++) {
            struct napt_config config = lab->presets[opening->presets[side]];
            config.unsolicited = opening->unsolicited;
            hosts[side] = client_behind(&config);
            const struct napt *box = world_box(lab->world, world_box_of(lab->world, hosts[side]));
            addr_set(&outside[side], napt_external_ip(box), LONE_PORT);
        }
        for (int side = 0; side < 2; side++) {
            paths[side] = lab_call(lab, hosts[side], &outside[1 - side], LONE_PORT);
            cr_assert_gt(paths[side], 0);
            lab_run(lab, 50 * LAB_MS); /* So the first comes too early. */
        }
        lab_run(lab, 11 * LAB_SECOND);
        for (int side = 0; side < 2; side++) {
            cr_expect(lab_is(lab, hosts[side], paths[side],
                             opening->opens ? PORT_PATH_UP : PORT_PATH_REFUSED),
                      "opening %zu, side %d", i, side);
            if (opening->opens) {
                lab_forget(lab, hosts[1 - side]);
                say(hosts[side], paths[side], 's');
                lab_run(lab, RTT_US);
                const struct probe_datagram *heard = lab_heard(lab, hosts[1 - side]);
                cr_assert_not_null(heard);
                cr_expect_eq(heard->path, paths[1 - side]);
            }
        }
    }
}

static void lose_all(bool is_lost)
{
    lab->access.loss = is_lost ? UINT32_MAX : 0;
}

/* RFC 6298: again after 1 s, 2 s more, 4 s more. */
Test(streams, are_asked_for_again_until_the_deadline)
{
    static const uint64_t again_us[] = {0, 1 * LAB_SECOND, 3 * LAB_SECOND, 7 * LAB_SECOND};
    uint32_t client = lab_public(lab);
    for (int i = 1; i < 4; i++) {
        uint64_t from_us = world_now_us(lab->world);
        lose_all(true);
        int path = lab_call(lab, client, &at, 0);
        lab_run(lab, again_us[i - 1] + LAB_MS);
        lose_all(false);
        lab_run(lab, from_us + again_us[i] + RTT_US - world_now_us(lab->world));
        enum port_path_event event;
        cr_expect_not(lab_told(lab, client, path, &event), "attempt %d", i);
        lab_run(lab, 1);
        cr_expect(lab_is(lab, client, path, PORT_PATH_UP), "attempt %d", i);
        lab_path_close(lab, client, path);
        lab_probe(lab, client)->path_event_count = 0;
    }
    lose_all(true);
    int path = lab_call(lab, client, &at, 0);
    enum port_path_event event;
    lab_run(lab, HOST_STREAM_OPENING_US);
    cr_expect_not(lab_told(lab, client, path, &event));
    lab_run(lab, 1);
    cr_expect(lab_is(lab, client, path, PORT_PATH_REFUSED));
    cr_expect_not(has_streams(client));
}

Test(streams, are_refused_where_nobody_listens_and_where_nobody_is_up)
{
    uint32_t client = lab_public(lab);
    struct port_addr deaf = at;
    deaf.port[1]++;
    int path = lab_call(lab, client, &deaf, 0);
    lab_run(lab, 2 * RTT_US);
    cr_expect(lab_is(lab, client, path, PORT_PATH_REFUSED));
    uint32_t down = lab_public(lab);
    struct port_addr there = lab_addr(lab, down);
    host_kill(world_host(lab->world, down));
    path = lab_call(lab, client, &there, 0);
    lab_run(lab, 2 * RTT_US);
    cr_expect(lab_is(lab, client, path, PORT_PATH_REFUSED));
    cr_expect_not(has_streams(client));
    cr_assert_eq(host_start(world_host(lab->world, down), &lab->config), ERR_OK);
}

Test(streams, say_so_when_a_box_answers_in_the_server_s_place)
{
    struct napt_config config = lab->presets[NAPT_PRESET_PORT_RESTRICTED];
    config.unsolicited = NAPT_UNSOLICITED_REJECTED;
    uint32_t hidden = client_behind(&config);
    struct port_addr there;
    addr_set(&there, napt_external_ip(world_box(lab->world, world_box_of(lab->world, hidden))),
             HOST_PORT);
    uint32_t client = client_behind(&lab->presets[NAPT_PRESET_SYMMETRIC]);
    int path = lab_call(lab, client, &there, 0);
    lab_run(lab, RTT_US + 1);
    cr_expect(lab_is(lab, client, path, PORT_PATH_REFUSED));
    cr_expect_not(has_streams(hidden));
}

/* Everything arrives, in order, and what was lost on the way arrives later. */
Test(streams, repeat_what_is_lost_and_keep_the_order)
{
    enum { WORDS = 60 };
    uint32_t client = lab_public(lab);
    int path = open_stream(client);
    lab_forget(lab, server);
    lab->access.loss = UINT32_MAX / 6;
    uint64_t from_us = world_now_us(lab->world);
    for (int i = 0; i < WORDS; i++) {
        say(client, path, (char)i);
        lab_run(lab, LAB_MS);
    }
    lab->access.loss = 0;
    lab_run(lab, 20 * LAB_SECOND);
    const struct probe *probe = lab_probe(lab, server);
    cr_assert_eq(probe->datagram_count, (unsigned)WORDS);
    uint64_t jumps = 0;
    for (unsigned i = 0; i < WORDS; i++) {
        cr_expect_eq(probe->datagrams[i].bytes[0], i);
        uint64_t late_us =
            probe->datagrams[i].at_us - (from_us + i * LAB_MS) - (uint64_t)LAB_LATENCY_US;
        if (i > 0 && probe->datagrams[i].at_us > probe->datagrams[i - 1].at_us + LAB_MS) {
            cr_expect_geq(late_us, 200 * LAB_MS);
            jumps++;
        }
    }
    cr_expect_gt(jumps, 0u);
    cr_expect_eq(world_counts(lab->world).datagrams_lost, 0);
}

Test(streams, end_with_the_first_word_to_a_node_that_has_died)
{
    uint32_t client = lab_public(lab);
    int path = open_stream(client);
    host_kill(world_host(lab->world, server));
    lab_run(lab, LAB_SECOND);
    cr_expect(lab_is(lab, client, path, PORT_PATH_UP), "nobody has told");
    say(client, path, 'x');
    lab_run(lab, RTT_US + 1);
    cr_expect(lab_is(lab, client, path, PORT_PATH_CLOSED));
    cr_expect_not(has_streams(client));
    cr_assert_eq(host_start(world_host(lab->world, server), &lab->config), ERR_OK);
    lab_path_close(lab, client, path);
    cr_expect_eq(open_stream(client), path, "a number that is free again");
}

Test(streams, end_for_both_when_a_node_leaves_politely)
{
    uint32_t client = lab_public(lab);
    int path = open_stream(client);
    struct port_addr back = lab_addr(lab, client);
    lab_say(lab, server, &back, '1');
    host_stop(world_host(lab->world, server));
    lab_run(lab, LAB_LATENCY_US + 1);
    cr_expect_eq(words_of(client), 1u, "what was said before arrives before");
    cr_expect(lab_is(lab, client, path, PORT_PATH_CLOSED));
    cr_assert_eq(host_start(world_host(lab->world, server), &lab->config), ERR_OK);
}

Test(streams, carry_the_main_path_as_long_as_they_are_there)
{
    uint32_t client = lab_public(lab);
    int path = open_stream(client);
    say(client, path, 'f');
    lab_run(lab, RTT_US);
    struct port_addr back = lab_heard(lab, server)->from;
    lab_say(lab, server, &back, 's');
    lab_run(lab, RTT_US);
    cr_expect_eq(lab_heard(lab, client)->path, path);
    lab_say(lab, client, &at, 'u'); /* A path of the node's own carries nothing but its own. */
    lab_run(lab, RTT_US);
    cr_expect_eq(lab_heard(lab, server)->path, PORT_MAIN_PATH);
    lab_path_close(lab, client, path);
    lab_run(lab, RTT_US);
    cr_expect_not(has_streams(server));
    back = lab_addr(lab, client);
    lab_say(lab, server, &back, 'd');
    lab_run(lab, RTT_US);
    cr_expect_eq(lab_heard(lab, client)->path, PORT_MAIN_PATH);
}

Test(streams, that_are_idle_are_closed_and_leave_nothing)
{
    uint32_t client = lab_public(lab);
    int path = open_stream(client);
    lab_run(lab, 100 * LAB_SECOND);
    say(client, path, 'x');
    lab_run(lab, 179 * LAB_SECOND);
    cr_expect(lab_is(lab, client, path, PORT_PATH_UP));
    lab_run(lab, 2 * LAB_SECOND);
    cr_expect(lab_is(lab, client, path, PORT_PATH_CLOSED));
    cr_expect_not(has_streams(client));
    cr_expect_not(has_streams(server));
    lab_path_close(lab, client, path);
    lab_run(lab, HOST_STREAM_IDLE_US);
    cr_expect_eq(world_queue_len(lab->world), 0u, "no timer is left");
}

/* The box forgets an idle connection; it learns it anew from what the inside sends, and what the
 * outside has sent meanwhile is sent again until it passes. */
Test(streams, outlive_what_a_box_forgets_if_it_drops_and_not_if_it_answers)
{
    for (int rejects = 0; rejects < 2; rejects++) {
        struct napt_config config = lab->presets[NAPT_PRESET_PORT_RESTRICTED];
        config.tcp_opening_us = 30 * LAB_SECOND;
        config.tcp_established_us = 60 * LAB_SECOND;
        config.unsolicited = rejects ? NAPT_UNSOLICITED_REJECTED : NAPT_UNSOLICITED_DROPPED;
        uint32_t client = client_behind(&config);
        struct napt *box = world_box(lab->world, world_box_of(lab->world, client));
        int path = open_stream(client);
        say(client, path, 'f');
        lab_run(lab, RTT_US);
        struct port_addr back = lab_heard(lab, server)->from;
        lab_forget(lab, server);
        lab_run(lab, 61 * LAB_SECOND);
        lab_say(lab, server, &back, 'l');
        lab_run(lab, LAB_SECOND);
        cr_expect_eq(words_of(client), 0u);
        cr_expect_gt(napt_fates(box)[NAPT_FATE_UNMAPPED], 0u);
        say(client, path, 'w');
        lab_run(lab, 5 * LAB_SECOND);
        if (rejects) {
            cr_expect(lab_is(lab, client, path, PORT_PATH_CLOSED));
            cr_expect_eq(words_of(server), 0u);
        } else {
            cr_expect(lab_is(lab, client, path, PORT_PATH_UP));
            cr_expect_eq(words_of(server), 1u);
            cr_expect_eq(words_of(client), 1u);
        }
    }
}

Test(streams, give_up_when_nothing_has_got_through_for_long)
{
    struct napt_config config = lab->presets[NAPT_PRESET_PORT_RESTRICTED];
    config.tcp_opening_us = 30 * LAB_SECOND;
    config.tcp_established_us = 60 * LAB_SECOND;
    uint32_t client = client_behind(&config);
    struct napt *box = world_box(lab->world, world_box_of(lab->world, client));
    (void)open_stream(client);
    struct port_addr back;
    addr_set(&back, napt_external_ip(box), HOST_PORT);
    lab_run(lab, 61 * LAB_SECOND);
    lab_say(lab, server, &back, 'l');
    lab_run(lab, 100 * LAB_SECOND); /* RFC 9293 section 3.8.3: at least. */
    cr_expect(has_streams(server));
    lab_run(lab, 65 * LAB_SECOND);
    cr_expect_not(has_streams(server));
}

Test(streams, from_one_address_are_limited)
{
    uint32_t carrier = lab_box(lab, &lab->presets[NAPT_PRESET_PORT_RESTRICTED], WORLD_BOX_NONE);
    uint32_t hosts[HOST_STREAMS_PER_ADDR_MAX + 1];
    int paths[HOST_STREAMS_PER_ADDR_MAX + 1];
    for (int i = 0; i <= HOST_STREAMS_PER_ADDR_MAX; i++) {
        hosts[i] = lab_behind(lab, carrier);
        paths[i] = lab_call(lab, hosts[i], &at, 0);
        lab_run(lab, 2 * RTT_US);
        cr_expect(lab_is(lab, hosts[i], paths[i],
                         i < HOST_STREAMS_PER_ADDR_MAX ? PORT_PATH_UP : PORT_PATH_REFUSED));
    }
    lab_path_close(lab, hosts[0], paths[0]);
    lab_run(lab, RTT_US);
    lab_path_close(lab, hosts[16], paths[16]);
    cr_expect_eq(open_stream(hosts[16]), paths[16]);
}

static void think(struct probe *probe)
{
    probe->port->spent_ns += 30 * LAB_MS * 1000;
}

/* Datagrams and the end wait for the processor in the order they came in. */
Test(streams, wait_for_a_busy_processor_in_order)
{
    uint32_t client = lab_public(lab);
    int path = open_stream(client);
    struct port_addr back = lab_addr(lab, client);
    lab_probe(lab, client)->on_datagram = think;
    for (char word = '1'; word <= '3'; word++) {
        lab_say(lab, server, &back, word);
    }
    host_stop(world_host(lab->world, server));
    lab_run(lab, LAB_LATENCY_US + 65 * LAB_MS);
    cr_expect_eq(words_of(client), 3u);
    cr_expect(lab_is(lab, client, path, PORT_PATH_UP));
    lab_run(lab, 30 * LAB_MS);
    cr_expect(lab_is(lab, client, path, PORT_PATH_CLOSED));
    const struct probe *probe = lab_probe(lab, client);
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(probe->datagrams[i].bytes[0], '1' + i);
    }
    cr_assert_eq(host_start(world_host(lab->world, server), &lab->config), ERR_OK);
}

/* A peer that has crashed and calls again from the same port is the same peer anew. */
Test(streams, begin_anew_from_the_same_ends)
{
    uint32_t client = lab_public(lab);
    int path = lab_call(lab, client, &at, LONE_PORT);
    lab_run(lab, 2 * RTT_US);
    say(client, path, 'a');
    lab_run(lab, RTT_US);
    host_kill(world_host(lab->world, client));
    cr_assert_eq(host_start(world_host(lab->world, client), &lab->config), ERR_OK);
    path = lab_call(lab, client, &at, LONE_PORT);
    lab_run(lab, 2 * RTT_US);
    cr_assert(lab_is(lab, client, path, PORT_PATH_UP));
    cr_expect_eq(lab_call(lab, client, &at, LONE_PORT), ERR_UNREACHABLE, "these are taken");
    lab_forget(lab, server);
    say(client, path, 'b');
    lab_run(lab, RTT_US);
    cr_expect_not_null(lab_heard(lab, server));
}

/* The downlink of who is behind a box takes its time for segments too. */
Test(streams, are_as_fast_as_the_slowest_link)
{
    static const struct net_access slow[] = {{0}, {.up_bps = 800000, .down_bps = 800000}};
    lab->net.access = slow;
    lab->net.access_count = 2;
    uint32_t index = world_add_host(lab->world, lab->groups++);
    struct host *host = world_host(lab->world, index);
    host_place(host, &(struct net_site){.access = 1}, 1);
    cr_assert_eq(host_start(host, &lab->config), ERR_OK);
    int path = open_stream(index);
    lab_forget(lab, server);
    uint64_t from_us = world_now_us(lab->world);
    for (int i = 0; i < 10; i++) {
        say(index, path, 'x');
    }
    lab_run(lab, LAB_SECOND);
    const struct probe *probe = lab_probe(lab, server);
    cr_assert_eq(probe->datagram_count, 10u);
    for (unsigned i = 0; i < 10; i++) { /* 1 byte, 2 of frame, 40 of headers: 430 us each. */
        cr_expect_eq(probe->datagrams[i].at_us - from_us, LAB_LATENCY_US + 430 * (i + 1));
    }
}
