/* test_contract.c - what every host promises the node: one suite, each host. */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "node/base/err.h"
#include "tests/port/port_host.h"

#define MS    UINT64_C(1000)
#define LIMIT (2000 * MS)

static struct port_host *hosts;

static void open_two(void)
{
    hosts = port_host_open(2);
}

static void close_all(void)
{
    port_host_close(hosts);
}

TestSuite(port, .init = open_two, .fini = close_all, .timeout = 60);

static struct probe *probe(unsigned index)
{
    return port_host_probe(hosts, index);
}

/* --- router ---------------------------------------------------------------------------------- */

static void find_gateway(struct probe *p, void *arg)
{
    struct port_addr *addr = arg;
    if (!p->port->ops->gateway(p->port, addr)) {
        *addr = p->port->local; /* None is known. */
    }
}

/* Most machines that tests run on have one; a simulated host has one behind a box only
 * (tests/sim/boxes). */
Test(port, a_gateway_is_another_machine_at_the_port_for_requests)
{
    struct port_addr addr;
    port_host_enter(hosts, 0, find_gateway, &addr);
    if (port_addr_equal(&addr, &probe(0)->port->local)) {
        cr_skip_test("no router is known here");
    }
    cr_expect(port_addr_is_v4(&addr));
    cr_expect_eq(addr.port[0] << 8 | addr.port[1], 5351, "RFC 6887 section 19.1");
    cr_expect_neq(memcmp(addr.ip, probe(0)->port->local.ip, sizeof addr.ip), 0);
}

/* --- clock ----------------------------------------------------------------------------------- */

static void wake_in(struct probe *p, void *arg)
{
    p->port->ops->wake_at(p->port, p->port->now_us + *(uint64_t *)arg);
}

static bool has_woken(void *arg)
{
    return probe(0)->wake_count >= *(unsigned *)arg;
}

Test(port, a_wake_comes_once_and_not_early)
{
    uint64_t delay_us = 30 * MS;
    uint64_t asked_us = probe(0)->port->now_us;
    port_host_enter(hosts, 0, wake_in, &delay_us);
    cr_assert(port_host_run(hosts, has_woken, &(unsigned){1}, LIMIT));
    cr_assert_geq(probe(0)->wakes_us[0], asked_us + delay_us);
    port_host_pass(hosts, 100 * MS);
    cr_assert_eq(probe(0)->wake_count, 1);
}

Test(port, a_new_wake_replaces_the_old_one)
{
    port_host_enter(hosts, 0, wake_in, &(uint64_t){20 * MS});
    port_host_enter(hosts, 0, wake_in, &(uint64_t){60 * MS});
    uint64_t from_us = probe(0)->port->now_us;
    cr_assert(port_host_run(hosts, has_woken, &(unsigned){1}, LIMIT));
    cr_assert_geq(probe(0)->wakes_us[0], from_us + 60 * MS);
    port_host_pass(hosts, 100 * MS);
    cr_assert_eq(probe(0)->wake_count, 1);
}

static void wake_never(struct probe *p, void *arg)
{
    (void)arg;
    p->port->ops->wake_at(p->port, PORT_NEVER);
}

Test(port, never_cancels_a_wake)
{
    port_host_enter(hosts, 0, wake_in, &(uint64_t){20 * MS});
    port_host_enter(hosts, 0, wake_never, NULL);
    port_host_pass(hosts, 100 * MS);
    cr_assert_eq(probe(0)->wake_count, 0);
}

static void wake_in_the_past(struct probe *p, void *arg)
{
    (void)arg;
    p->port->ops->wake_at(p->port, 0);
}

Test(port, a_wake_in_the_past_comes_soon_and_after_the_entry)
{
    port_host_enter(hosts, 0, wake_in_the_past, NULL);
    cr_assert_eq(probe(0)->wake_count, 0);
    cr_assert(port_host_run(hosts, has_woken, &(unsigned){1}, LIMIT));
}

static void wake_again(struct probe *p)
{
    if (p->wake_count < 5) {
        p->port->ops->wake_at(p->port, p->port->now_us + 10 * MS);
    }
}

Test(port, wakes_asked_for_inside_wakes_come_in_order)
{
    probe(0)->on_wake = wake_again;
    port_host_enter(hosts, 0, wake_in, &(uint64_t){10 * MS});
    cr_assert(port_host_run(hosts, has_woken, &(unsigned){5}, LIMIT));
    for (unsigned i = 1; i < 5; i++) {
        cr_assert_geq(probe(0)->wakes_us[i], probe(0)->wakes_us[i - 1] + 10 * MS);
    }
}

/* --- datagrams ------------------------------------------------------------------------------- */

struct shot {
    struct port_addr to;
    int path;
    size_t len;
    uint8_t fill;
    struct port_send_flags flags;
    int status;
};

static void shoot(struct probe *p, void *arg)
{
    struct shot *shot = arg;
    uint8_t bytes[PORT_DATAGRAM_MAX + 1];
    memset(bytes, shot->fill, sizeof bytes);
    shot->status =
        p->port->ops->send(p->port, shot->path, &shot->to, slice_of(bytes, shot->len), shot->flags);
    memset(bytes, 0, sizeof bytes); /* Copied before return, or the receiver sees zeros. */
}

static void shoot_many(struct probe *p, void *arg)
{
    for (unsigned i = 0; i < PROBE_DATAGRAMS_MAX; i++) {
        shoot(p, arg);
        cr_assert_eq(((struct shot *)arg)->status, ERR_OK);
    }
}

static bool has_received(void *arg)
{
    return probe(1)->datagram_count >= *(unsigned *)arg;
}

Test(port, a_datagram_arrives_whole_and_tells_its_sender)
{
    struct shot shot = {.to = probe(1)->port->local, .len = PORT_DATAGRAM_MAX, .fill = 7};
    port_host_enter(hosts, 0, shoot, &shot);
    cr_assert_eq(shot.status, ERR_OK);
    cr_assert(port_host_run(hosts, has_received, &(unsigned){1}, LIMIT));
    const struct probe_datagram *got = &probe(1)->datagrams[0];
    cr_assert_eq(got->len, PORT_DATAGRAM_MAX);
    cr_assert_eq(got->bytes[0], 7);
    cr_assert_eq(got->bytes[PORT_DATAGRAM_MAX - 1], 7);
    cr_assert_eq(got->path, PORT_MAIN_PATH);
    cr_assert(port_addr_equal(&got->from, &probe(0)->port->local));
}

Test(port, boundaries_of_datagrams_are_kept)
{
    for (unsigned i = 1; i <= 10; i++) {
        struct shot shot = {.to = probe(1)->port->local, .len = i, .fill = (uint8_t)i};
        port_host_enter(hosts, 0, shoot, &shot);
    }
    cr_assert(port_host_run(hosts, has_received, &(unsigned){10}, LIMIT));
    unsigned seen = 0;
    for (unsigned i = 0; i < 10; i++) {
        const struct probe_datagram *got = &probe(1)->datagrams[i];
        cr_assert_eq(got->len, got->bytes[0]);
        seen |= 1u << got->len;
    }
    cr_assert_eq(seen, 0x7fe);
}

Test(port, flags_do_not_stand_in_the_way_of_a_datagram)
{
    static const struct port_send_flags flags[] = {
        {.ttl = 64}, {.ecn = 2}, {.dont_fragment = true}, {.ttl = 9, .ecn = 1, .dont_fragment = 1}};
    for (unsigned i = 0; i < array_len(flags); i++) {
        struct shot shot = {.to = probe(1)->port->local, .len = 20, .flags = flags[i]};
        port_host_enter(hosts, 0, shoot, &shot);
        cr_assert_eq(shot.status, ERR_OK);
        cr_assert(port_host_run(hosts, has_received, &(unsigned){i + 1}, LIMIT));
    }
}

Test(port, a_burst_in_one_entry_arrives_in_full)
{
    struct shot shot = {.to = probe(1)->port->local, .len = 1000, .fill = 3};
    port_host_enter(hosts, 0, shoot_many, &shot);
    cr_assert(port_host_run(hosts, has_received, &(unsigned){PROBE_DATAGRAMS_MAX}, LIMIT));
    for (unsigned i = 0; i < PROBE_DATAGRAMS_MAX; i++) {
        cr_assert_eq(probe(1)->datagrams[i].len, 1000);
        cr_assert_eq(probe(1)->datagrams[i].bytes[999], 3);
    }
}

Test(port, too_long_a_datagram_is_refused)
{
    struct shot shot = {.to = probe(1)->port->local, .len = PORT_DATAGRAM_MAX + 1};
    port_host_enter(hosts, 0, shoot, &shot);
    cr_assert_eq(shot.status, ERR_TOO_LARGE);
}

Test(port, a_path_that_is_not_open_is_refused)
{
    struct shot shot = {.to = probe(1)->port->local, .len = 10, .path = 3};
    port_host_enter(hosts, 0, shoot, &shot);
    cr_assert_eq(shot.status, ERR_INVALID);
}

static void answer(struct probe *p)
{
    const struct probe_datagram *got = &p->datagrams[p->datagram_count - 1];
    p->port->ops->send(p->port, got->path, &got->from, slice_of(got->bytes, got->len),
                       (struct port_send_flags){0});
}

static bool first_has_received(void *arg)
{
    return probe(0)->datagram_count >= *(unsigned *)arg;
}

Test(port, an_answer_to_where_it_came_from_comes_back)
{
    probe(1)->on_datagram = answer;
    struct shot shot = {.to = probe(1)->port->local, .len = 33, .fill = 9};
    port_host_enter(hosts, 0, shoot, &shot);
    cr_assert(port_host_run(hosts, first_has_received, &(unsigned){1}, LIMIT));
    cr_assert_eq(probe(0)->datagrams[0].len, 33);
    cr_assert(port_addr_equal(&probe(0)->datagrams[0].from, &probe(1)->port->local));
}

Test(port, nothing_sent_to_oneself_arrives_inside_the_entry)
{
    probe(0)->on_datagram = NULL;
    struct shot shot = {.to = probe(0)->port->local, .len = 5};
    port_host_enter(hosts, 0, shoot, &shot);
    cr_assert(port_host_run(hosts, first_has_received, &(unsigned){1}, LIMIT));
}

static void open_path(struct probe *p, void *arg)
{
    *(int *)arg = p->port->ops->path_open(p->port, PORT_UDP, NULL, NULL);
}

static void open_path_beside(struct probe *p, void *arg)
{
    struct port_addr hint = p->port->local;
    memset(hint.port, 0, sizeof hint.port);
    *(int *)arg = p->port->ops->path_open(p->port, PORT_UDP, &hint, NULL);
}

struct told {
    int path;
    bool is_told;
    struct port_addr addr;
};

static void tell_local(struct probe *p, void *arg)
{
    struct told *told = arg;
    told->is_told = p->port->ops->path_local(p->port, told->path, &told->addr);
}

static void close_path(struct probe *p, void *arg)
{
    p->port->ops->path_close(p->port, *(int *)arg);
}

Test(port, an_extra_path_has_its_own_address_and_ends_when_closed)
{
    int path = 0;
    port_host_enter(hosts, 0, open_path, &path);
    cr_assert_gt(path, 0);
    probe(1)->on_datagram = answer;
    struct shot shot = {.to = probe(1)->port->local, .len = 12, .path = path};
    port_host_enter(hosts, 0, shoot, &shot);
    cr_assert(port_host_run(hosts, first_has_received, &(unsigned){1}, LIMIT));
    cr_assert_eq(probe(0)->datagrams[0].path, path);
    cr_assert_not(port_addr_equal(&probe(1)->datagrams[0].from, &probe(0)->port->local));

    port_host_enter(hosts, 0, shoot, &shot);
    port_host_enter(hosts, 0, close_path, &path);
    port_host_pass(hosts, 200 * MS);
    cr_assert_eq(probe(0)->datagram_count, 1, "a closed path still receives");
}

/* Given the main path's own address or none: the same address, and another port. */
Test(port, an_extra_path_is_at_the_address_of_the_main_one)
{
    static const port_host_step_fn opens[] = {open_path, open_path_beside};
    for (unsigned i = 0; i < array_len(opens); i++) {
        int path = 0;
        port_host_enter(hosts, 0, opens[i], &path);
        cr_assert_gt(path, 0);
        struct shot shot = {.to = probe(1)->port->local, .len = 12, .path = path};
        port_host_enter(hosts, 0, shoot, &shot);
        cr_assert(port_host_run(hosts, has_received, &(unsigned){i + 1}, LIMIT));
        const struct port_addr *from = &probe(1)->datagrams[i].from;
        const struct port_addr *local = &probe(0)->port->local;
        cr_assert_arr_eq(from->ip, local->ip, sizeof from->ip);
        cr_assert_arr_neq(from->port, local->port, sizeof from->port);
        struct told told = {.path = path};
        port_host_enter(hosts, 0, tell_local, &told);
        cr_assert(told.is_told && port_addr_equal(&told.addr, from));
    }
}

static void reopen_at(struct probe *p, void *arg)
{
    struct told *told = arg;
    p->port->ops->path_close(p->port, told->path);
    told->path = p->port->ops->path_open(p->port, PORT_UDP, &told->addr, NULL);
    cr_assert_lt(p->port->ops->path_open(p->port, PORT_UDP, &told->addr, NULL), 0, "taken");
}

Test(port, a_path_may_have_its_port_chosen_and_tells_it)
{
    struct told told = {0};
    port_host_enter(hosts, 0, tell_local, &told);
    cr_assert(told.is_told && port_addr_equal(&told.addr, &probe(0)->port->local));
    port_host_enter(hosts, 0, open_path, &told.path);
    port_host_enter(hosts, 0, tell_local, &told);
    cr_assert(told.is_told);
    struct port_addr before = told.addr;
    port_host_enter(hosts, 0, reopen_at, &told);
    cr_assert_gt(told.path, 0);
    port_host_enter(hosts, 0, tell_local, &told);
    cr_assert(told.is_told && port_addr_equal(&told.addr, &before));
    port_host_enter(hosts, 0, close_path, &told.path);
    port_host_enter(hosts, 0, tell_local, &told);
    cr_assert_not(told.is_told);
}

enum { PATHS_MIN = 256, PATHS_MAX = 1024 };

struct opened {
    int paths[PATHS_MAX];
    unsigned count;
    int status; /* Of the one that was refused. */
};

static void open_all_paths(struct probe *p, void *arg)
{
    struct opened *opened = arg;
    while (opened->count < PATHS_MAX) {
        int path = p->port->ops->path_open(p->port, PORT_UDP, NULL, NULL);
        if (path < 0) {
            opened->status = path;
            return;
        }
        opened->paths[opened->count++] = path;
    }
}

/* As many as a birthday attack on a box's ports wants. */
Test(port, paths_are_many_and_each_is_a_socket_of_its_own)
{
    struct opened opened = {0};
    port_host_enter(hosts, 0, open_all_paths, &opened);
    cr_assert_geq(opened.count, (unsigned)PATHS_MIN);
    cr_assert_eq(opened.status, ERR_FULL);
    probe(1)->on_datagram = answer;
    const unsigned chosen[] = {0, opened.count / 2, opened.count - 1};
    for (unsigned i = 0; i < array_len(chosen); i++) {
        struct shot shot = {
            .to = probe(1)->port->local, .len = 12, .path = opened.paths[chosen[i]]};
        port_host_enter(hosts, 0, shoot, &shot);
        cr_assert_eq(shot.status, ERR_OK);
        cr_assert(port_host_run(hosts, first_has_received, &(unsigned){i + 1}, LIMIT));
        cr_assert_eq(probe(0)->datagrams[i].path, shot.path);
        for (unsigned j = 0; j < i; j++) {
            cr_assert_not(
                port_addr_equal(&probe(1)->datagrams[i].from, &probe(1)->datagrams[j].from));
        }
    }
    int again = 0;
    port_host_enter(hosts, 0, close_path, &opened.paths[7]);
    port_host_enter(hosts, 0, open_path, &again);
    cr_assert_eq(again, opened.paths[7]);
    for (unsigned i = 0; i < opened.count; i++) {
        port_host_enter(hosts, 0, close_path, &opened.paths[i]);
    }
}

static void open_carriers(struct probe *p, void *arg)
{
    /* A host without a carrier says so and opens nothing. */
    static const enum port_carrier carriers[] = {PORT_TCP, PORT_MASKED, PORT_NEIGHBOURS};
    (void)arg;
    for (size_t i = 0; i < array_len(carriers); i++) {
        int path = p->port->ops->path_open(p->port, carriers[i], NULL, &p->port->local);
        cr_assert(path > 0 || (carriers[i] == PORT_NEIGHBOURS && path == ERR_UNSUPPORTED));
        if (path > 0) {
            p->port->ops->path_close(p->port, path);
        }
    }
}

Test(port, a_carrier_is_there_or_said_to_be_unsupported)
{
    port_host_enter(hosts, 0, open_carriers, NULL);
    struct shot shot = {.to = probe(1)->port->local, .len = 10, .path = 1};
    port_host_enter(hosts, 0, shoot, &shot);
    cr_assert_eq(shot.status, ERR_INVALID);
}

struct carriage {
    enum port_carrier carrier;
    const struct port_addr *from; /* NULL: any port. */
    struct port_addr to;
    int path;
};

static void open_carrier(struct probe *p, void *arg)
{
    struct carriage *carriage = arg;
    unsigned before = p->path_event_count;
    carriage->path =
        p->port->ops->path_open(p->port, carriage->carrier, carriage->from, &carriage->to);
    cr_assert_eq(p->path_event_count, before, "an event inside the entry");
}

static bool has_event(void *arg)
{
    return probe(0)->path_event_count >= *(unsigned *)arg;
}

static void carry(enum port_carrier carrier)
{
    struct carriage carriage = {.carrier = carrier, .to = probe(1)->port->local};
    port_host_enter(hosts, 0, open_carrier, &carriage);
    cr_assert_gt(carriage.path, 0);
    cr_assert(port_host_run(hosts, has_event, &(unsigned){1}, LIMIT));
    cr_assert_eq(probe(0)->path_events[0].path, carriage.path);
    cr_assert_eq(probe(0)->path_events[0].event, PORT_PATH_UP);

    static const size_t lens[] = {1, 2, PORT_DATAGRAM_MAX, 3, 700};
    for (size_t i = 0; i < array_len(lens); i++) {
        struct shot shot = {.path = carriage.path, .len = lens[i], .fill = (uint8_t)(i + 1)};
        port_host_enter(hosts, 0, shoot, &shot);
        cr_assert_eq(shot.status, ERR_OK);
    }
    probe(1)->on_datagram = answer;
    cr_assert(port_host_run(hosts, first_has_received, &(unsigned){array_len(lens)}, LIMIT));
    for (size_t i = 0; i < array_len(lens); i++) {
        const struct probe_datagram *there = &probe(1)->datagrams[i];
        const struct probe_datagram *back = &probe(0)->datagrams[i];
        cr_assert_eq(there->len, lens[i]);
        cr_assert_eq(there->bytes[lens[i] - 1], i + 1);
        cr_assert_eq(there->path, PORT_MAIN_PATH);
        /* Not where its opener listens: the stream may be the only way to it. */
        const struct port_addr *own = &probe(0)->port->local;
        cr_assert_arr_eq(there->from.ip, own->ip, sizeof own->ip);
        cr_assert(!port_addr_equal(&there->from, own));
        cr_assert(port_addr_equal(&there->from, &probe(1)->datagrams[0].from), "one address");
        cr_assert_eq(back->len, lens[i]);
        cr_assert_eq(back->path, carriage.path);
    }
}

/* As the far end sees it, where no box is in between. */
Test(port, a_stream_may_have_its_port_chosen_and_tells_it)
{
    struct carriage carriage = {.carrier = PORT_TCP, .to = probe(1)->port->local};
    port_host_enter(hosts, 0, open_carrier, &carriage);
    struct told told = {.path = carriage.path};
    cr_assert(port_host_run(hosts, has_event, &(unsigned){1}, LIMIT));
    port_host_enter(hosts, 0, tell_local, &told);
    cr_assert(told.is_told);
    struct shot shot = {.path = carriage.path, .len = 5, .fill = 1};
    port_host_enter(hosts, 0, shoot, &shot);
    cr_assert(port_host_run(hosts, has_received, &(unsigned){1}, LIMIT));
    cr_assert(port_addr_equal(&probe(1)->datagrams[0].from, &told.addr));

    struct carriage twin = {.carrier = PORT_TCP, .from = &told.addr, .to = probe(1)->port->local};
    port_host_enter(hosts, 0, open_carrier, &twin);
    cr_assert_lt(twin.path, 0, "both its ends are in use");
}

Test(port, a_plain_stream_keeps_boundaries_and_one_address)
{
    carry(PORT_TCP);
}

Test(port, a_masked_stream_keeps_boundaries_and_one_address)
{
    carry(PORT_MASKED);
}

static void forget(struct probe *p)
{
    p->datagram_count = 0;
}

struct flood {
    struct shot shot;
    unsigned taken;
};

static void shoot_until_full(struct probe *p, void *arg)
{
    enum { DATAGRAMS_MAX = 100000 }; /* More than any buffers on the way hold. */
    struct flood *flood = arg;
    do {
        shoot(p, &flood->shot);
        flood->taken++;
    } while (flood->shot.status == ERR_OK && flood->taken < DATAGRAMS_MAX);
}

Test(port, a_stream_that_is_full_says_so_and_tells_when_there_is_room)
{
    struct carriage carriage = {.carrier = PORT_TCP, .to = probe(1)->port->local};
    port_host_enter(hosts, 0, open_carrier, &carriage);
    cr_assert(port_host_run(hosts, has_event, &(unsigned){1}, LIMIT));
    probe(1)->on_datagram = forget;
    struct flood flood = {.shot = {.path = carriage.path, .len = PORT_DATAGRAM_MAX}};
    port_host_enter(hosts, 0, shoot_until_full, &flood);
    cr_assert_eq(flood.shot.status, ERR_AGAIN);
    cr_assert_gt(flood.taken, 64 * 1024 / (PORT_DATAGRAM_MAX + 2));
    cr_assert(port_host_run(hosts, has_event, &(unsigned){2}, LIMIT));
    cr_assert_eq(probe(0)->path_events[1].path, carriage.path);
    cr_assert_eq(probe(0)->path_events[1].event, PORT_PATH_WRITABLE);
    flood.shot.status = ERR_AGAIN;
    port_host_enter(hosts, 0, shoot, &flood.shot);
    cr_assert_eq(flood.shot.status, ERR_OK);
}

Test(port, what_is_sent_before_a_stream_is_up_follows_when_it_is)
{
    struct carriage carriage = {.carrier = PORT_TCP, .to = probe(1)->port->local};
    port_host_enter(hosts, 0, open_carrier, &carriage);
    for (unsigned i = 1; i <= 3; i++) {
        struct shot shot = {.path = carriage.path, .len = i, .fill = (uint8_t)i};
        port_host_enter(hosts, 0, shoot, &shot);
        cr_assert_eq(shot.status, ERR_OK);
    }
    cr_assert(port_host_run(hosts, has_received, &(unsigned){3}, LIMIT));
    for (unsigned i = 1; i <= 3; i++) {
        cr_assert_eq(probe(1)->datagrams[i - 1].len, i);
    }
}

Test(port, a_stream_path_that_is_closed_is_no_path_any_more)
{
    struct carriage carriage = {.carrier = PORT_TCP, .to = probe(1)->port->local};
    port_host_enter(hosts, 0, open_carrier, &carriage);
    cr_assert(port_host_run(hosts, has_event, &(unsigned){1}, LIMIT));
    port_host_enter(hosts, 0, close_path, &carriage.path);
    struct shot shot = {.path = carriage.path, .len = 10};
    port_host_enter(hosts, 0, shoot, &shot);
    cr_assert_eq(shot.status, ERR_INVALID);
    port_host_pass(hosts, 100 * MS);
    cr_assert_eq(probe(0)->path_event_count, 1u, "whoever closes is not told");
    /* The main path goes by UDP as before. */
    shot = (struct shot){.to = probe(1)->port->local, .len = 11};
    port_host_enter(hosts, 0, shoot, &shot);
    cr_assert(port_host_run(hosts, has_received, &(unsigned){1}, LIMIT));
}

Test(port, a_stream_to_nobody_is_refused)
{
    struct carriage carriage = {.carrier = PORT_TCP, .to = probe(1)->port->local};
    memcpy(carriage.to.port, "\0\1", sizeof carriage.to.port); /* tcpmux: nobody is there. */
    port_host_enter(hosts, 0, open_carrier, &carriage);
    cr_assert(port_host_run(hosts, has_event, &(unsigned){1}, LIMIT));
    cr_assert_eq(probe(0)->path_events[0].event, PORT_PATH_REFUSED);
}

/* --- entropy, names, events --------------------------------------------------------------------
 */

static void draw(struct probe *p, void *arg)
{
    p->port->ops->entropy(p->port, arg, 32);
}

Test(port, entropy_differs_between_draws_and_nodes)
{
    uint8_t drawn[3][32] = {{0}};
    port_host_enter(hosts, 0, draw, drawn[0]);
    port_host_enter(hosts, 0, draw, drawn[1]);
    port_host_enter(hosts, 1, draw, drawn[2]);
    cr_assert_neq(memcmp(drawn[0], drawn[1], 32), 0);
    cr_assert_neq(memcmp(drawn[0], drawn[2], 32), 0);
}

static void resolve(struct probe *p, void *arg)
{
    p->port->ops->resolve(p->port, arg, 1);
}

static bool has_resolved(void *arg)
{
    return probe(0)->resolved_count >= *(unsigned *)arg;
}

Test(port, a_known_name_resolves_and_an_unknown_one_says_so)
{
    char name[64];
    port_host_name(hosts, 1, name, sizeof name);
    port_host_enter(hosts, 0, resolve, name);
    cr_assert(port_host_run(hosts, has_resolved, &(unsigned){1}, LIMIT));
    cr_assert_eq(probe(0)->resolved_status, ERR_OK);
    cr_assert(port_addr_equal(&probe(0)->resolved_addr, &probe(1)->port->local));

    port_host_enter(hosts, 0, resolve, "no-such-name.invalid");
    cr_assert(port_host_run(hosts, has_resolved, &(unsigned){2}, LIMIT));
    cr_assert_lt(probe(0)->resolved_status, 0);
}

static void deliver(struct probe *p, void *arg)
{
    uint16_t kind;
    p->port->ops->deliver(p->port, &(struct port_event){.kind = 77});
    *(unsigned *)arg = port_host_delivered(hosts, 0, &kind);
}

Test(port, events_reach_the_driver_after_the_entry)
{
    unsigned inside = 1;
    uint16_t kind = 0;
    port_host_enter(hosts, 0, deliver, &inside);
    cr_assert_eq(inside, 0);
    port_host_pass(hosts, 10 * MS);
    cr_assert_eq(port_host_delivered(hosts, 0, &kind), 1);
    cr_assert_eq(kind, 77);
}

struct job {
    struct port_work work;
    int runs;
};

static void run_job(struct port_work *work)
{
    container_of(work, struct job, work)->runs++;
}

static void start_job(struct probe *p, void *arg)
{
    cr_assert_eq(p->port->ops->work(p->port, &((struct job *)arg)->work), ERR_OK);
}

static bool has_worked(void *arg)
{
    return probe(0)->work_count >= *(unsigned *)arg;
}

Test(port, work_runs_once_and_is_reported_once)
{
    struct job job = {.work = {.run = run_job, .cost_us = 3000}};
    port_host_enter(hosts, 0, start_job, &job);
    cr_assert_eq(probe(0)->work_count, 0);
    cr_assert(port_host_run(hosts, has_worked, &(unsigned){1}, LIMIT));
    port_host_pass(hosts, 50 * MS);
    cr_assert_eq(probe(0)->work_count, 1);
    cr_assert_eq(probe(0)->work_last, &job.work);
    cr_assert_eq(job.runs, 1);
}

/* --- memory and interning ----------------------------------------------------------------------
 */

static void take_all(struct probe *p, void *arg)
{
    size_t *total = arg;
    for (;;) {
        size_t given = 0;
        uint8_t *chunk = p->port->ops->arena_more(p->port, 1000, &given);
        if (chunk == NULL) {
            return;
        }
        cr_assert_geq(given, 1000u);
        cr_assert_eq((uintptr_t)chunk % 16, 0);
        for (size_t i = 0; i < given; i++) {
            cr_assert_eq(chunk[i], 0);
        }
        memset(chunk, 0xa5, given);
        *total += given;
    }
}

Test(port, memory_is_zeroed_aligned_and_ends_at_the_declared_maximum)
{
    size_t total = 0;
    port_host_enter(hosts, 0, take_all, &total);
    cr_assert_leq(total, (size_t)PORT_HOST_NODE_BYTES);
    cr_assert_gt(total, (size_t)PORT_HOST_NODE_BYTES * 3 / 4 - sizeof(struct probe));
    /* And again after a restart: what a node had is given back, and zeroed. */
    size_t again = 0;
    port_host_kill(hosts, 0);
    port_host_start(hosts, 0);
    port_host_enter(hosts, 0, take_all, &again);
    cr_assert_eq(again, total);
}

static unsigned completions;

static uint64_t complete(void *record)
{
    completions++;
    ((uint8_t *)record)[PORT_INTERN_KEY] = 99;
    return 4711;
}

static void intern(struct probe *p, void *arg)
{
    uint8_t key[PORT_INTERN_KEY] = {*(uint8_t *)arg};
    uint32_t handle = p->port->ops->intern_get(p->port, key, complete);
    cr_assert_neq(handle, (uint32_t)PORT_INTERN_NONE);
    cr_assert_eq(handle, p->port->ops->intern_get(p->port, key, complete));
    const uint8_t *record = p->port->intern->records + (size_t)handle * PORT_INTERN_RECORD;
    cr_assert_eq(memcmp(record, key, sizeof key), 0);
    cr_assert_eq(record[PORT_INTERN_KEY], 99);
    cr_assert_eq(p->port->intern->prefixes[handle], 4711);
    p->port->ops->intern_retain(p->port, handle);
    for (int i = 0; i < 2; i++) {
        p->port->ops->intern_release(p->port, handle);
    }
    cr_assert_eq(memcmp(record, key, sizeof key), 0); /* One reference is left. */
}

Test(port, equal_records_are_held_once_in_a_process)
{
    completions = 0;
    port_host_enter(hosts, 0, intern, &(uint8_t){1});
    port_host_enter(hosts, 1, intern, &(uint8_t){1});
    cr_assert_eq(completions, 1);
    port_host_enter(hosts, 1, intern, &(uint8_t){2});
    cr_assert_eq(completions, 2);
}

static void key_of(uint8_t key[PORT_INTERN_KEY], unsigned number)
{
    memset(key, 0, PORT_INTERN_KEY);
    memcpy(key, &number, sizeof number);
}

/* Many held at a time, released in another order than they came. */
static void come_and_go(struct probe *p, void *arg)
{
    enum { HELD = 500, STEP = 7 }; /* STEP is prime to HELD: it visits all. */
    (void)arg;
    uint8_t key[PORT_INTERN_KEY];
    uint32_t handles[HELD];
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < HELD; i++) {
            key_of(key, i);
            handles[i] = p->port->ops->intern_get(p->port, key, complete);
        }
        for (unsigned i = 0, at = 0; i < HELD; i++, at = (at + STEP) % HELD) {
            key_of(key, at);
            const uint8_t *record =
                p->port->intern->records + (size_t)handles[at] * PORT_INTERN_RECORD;
            cr_assert_eq(memcmp(record, key, sizeof key), 0);
            cr_assert_eq(record[PORT_INTERN_KEY], 99);
            cr_assert_eq(record[PORT_INTERN_RECORD - 1], 0);
            cr_assert_eq(handles[at], p->port->ops->intern_get(p->port, key, complete));
            p->port->ops->intern_release(p->port, handles[at]);
            p->port->ops->intern_release(p->port, handles[at]);
        }
    }
}

Test(port, records_are_whole_however_they_come_and_go)
{
    port_host_enter(hosts, 0, come_and_go, NULL);
}
