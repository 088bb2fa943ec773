/* test_host.c - loops and hosts: what they refuse to open, and two nodes on real sockets. */
#include <criterion/criterion.h>
#include <string.h>

#include "node/host/host.h"

enum {
    LIMIT_US = 20000000, /* Generous: what is waited for takes milliseconds. */
    TICK_MS = 20,
    LIST_MAX = 200, /* More than a batch of datagrams holds. */
};

static struct host_loop *loop;
static uv_timer_t tick;

static void on_tick(uv_timer_t *timer)
{
    (void)timer; /* That the loop has turned is all. */
}

static void open_loop(void)
{
    char reason[HOST_REASON_SIZE];
    cr_assert_eq(host_loop_open(&loop, reason), ERR_OK, "%s", reason);
    uv_timer_init(host_loop_uv(loop), &tick);
    uv_timer_start(&tick, on_tick, TICK_MS, TICK_MS);
}

static void close_loop(void)
{
    uv_close((uv_handle_t *)&tick, NULL);
    host_loop_close(loop);
}

TestSuite(host, .init = open_loop, .fini = close_loop, .timeout = 60);

static struct host *open_at(const char *bind, struct host_hooks hooks)
{
    char reason[HOST_REASON_SIZE] = "";
    struct host *host = NULL;
    const struct host_options options = {.bind = bind, .hooks = hooks};
    cr_assert_eq(host_open(loop, &options, &host, reason), ERR_OK, "%s", reason);
    return host;
}

static int refused(const char *bind, uint16_t port, char reason[HOST_REASON_SIZE])
{
    struct host *host = NULL;
    const struct host_options options = {.bind = bind, .port = port};
    int status = host_open(loop, &options, &host, reason);
    cr_assert_null(host);
    cr_assert_null(strchr(reason, '\n'));
    return status;
}

static bool run_until(bool (*until)(void *arg), void *arg)
{
    uint64_t end_us = host_loop_now_us(loop) + LIMIT_US;
    while (!until(arg) && host_loop_now_us(loop) < end_us) {
        uv_run(host_loop_uv(loop), UV_RUN_ONCE);
    }
    return until(arg);
}

static uint16_t port_of(const struct host *host)
{
    struct port_addr addr = host_addr(host);
    return (uint16_t)(addr.port[0] << 8 | addr.port[1]);
}

/* --- opening --------------------------------------------------------------------------------- */

Test(host, a_taken_port_is_refused_with_its_number)
{
    struct host *first = open_at("127.21.1.1", (struct host_hooks){0});
    char reason[HOST_REASON_SIZE] = "";
    char number[8];
    snprintf(number, sizeof number, "%u", port_of(first));
    cr_assert_eq(refused("127.21.1.1", port_of(first), reason), ERR_REFUSED);
    cr_assert_not_null(strstr(reason, number), "%s", reason);
    host_close(first);
}

Test(host, a_port_is_free_again_after_closing)
{
    struct host *first = open_at("127.21.1.1", (struct host_hooks){0});
    uint16_t port = port_of(first);
    host_close(first);
    char reason[HOST_REASON_SIZE] = "";
    struct host *second = NULL;
    const struct host_options options = {.bind = "127.21.1.1", .port = port};
    cr_assert_eq(host_open(loop, &options, &second, reason), ERR_OK, "%s", reason);
    host_close(second);
}

Test(host, what_is_no_address_or_not_ours_is_refused_by_name)
{
    static const char *const bad[] = {"localhost",    "127.0.0",    "::g",         "",
                                      "127.0.0.1:80", "192.0.2.77", "2001:db8::77"};
    for (size_t i = 0; i < array_len(bad); i++) {
        char reason[HOST_REASON_SIZE] = "";
        cr_assert_eq(refused(bad[i], 0, reason), ERR_INVALID, "%s", bad[i]);
        cr_assert_not_null(strstr(reason, bad[i]), "%s", reason);
    }
}

Test(host, a_database_that_cannot_be_is_refused_and_frees_the_port)
{
    char reason[HOST_REASON_SIZE] = "";
    struct host *host = NULL;
    const struct host_options options = {.bind = "127.21.1.1", .database = "/no/such/folder/x.db"};
    cr_assert_eq(host_open(loop, &options, &host, reason), ERR_IO);
    cr_assert_null(host);
    cr_assert_gt(strlen(reason), 0u);
}

Test(host, nothing_runs_before_it_is_started)
{
    struct host *host = open_at("127.21.1.1", (struct host_hooks){0});
    const struct node_command command = {.kind = NODE_LOOKUP, .number = 1};
    cr_assert_null(host_node(host));
    cr_assert_eq(host_submit(host, &command), ERR_STOPPED);
    cr_assert_eq(host_loop_of(host), loop);
    host_close(host);
}

/* --- two nodes ------------------------------------------------------------------------------- */

struct driver {
    struct host *host;
    struct node_config config;
    unsigned joined;
    unsigned sent;
    unsigned messages;
};

static void on_delivered(void *arg, const struct port_event *event)
{
    struct driver *driver = arg;
    driver->joined += event->kind == NODE_JOINED && event->status == ERR_OK;
    driver->sent += event->kind == NODE_SENT && event->status == ERR_OK;
    driver->messages += event->kind == NODE_MESSAGE;
}

static void start(struct driver *driver, const char *bind, const struct port_addr *bootstrap)
{
    *driver = (struct driver){0};
    node_config_default(&driver->config);
    driver->config.bootstrap = bootstrap;
    driver->config.bootstrap_count = bootstrap != NULL;
    driver->host = open_at(bind, (struct host_hooks){.arg = driver, .delivered = on_delivered});
    cr_assert_eq(host_start(driver->host, &driver->config), ERR_OK);
}

static bool has_joined(void *arg)
{
    return ((struct driver *)arg)->joined > 0;
}

static bool has_sent(void *arg)
{
    return ((struct driver *)arg)->sent > 0;
}

static void exchange(const char *bind)
{
    struct driver first;
    struct driver second;
    start(&first, bind, NULL);
    const struct port_addr bootstrap = host_addr(first.host);
    start(&second, bind, &bootstrap);
    cr_assert(run_until(has_joined, &second));

    struct node_view view;
    node_observe(host_node(first.host), &view);
    const struct node_command command = {
        .kind = NODE_SEND, .number = 7, .id = view.id, .bytes = slice_of("hello", 5)};
    cr_assert_eq(host_submit(second.host, &command), ERR_OK);
    cr_assert(run_until(has_sent, &second));
    cr_assert_eq(first.messages, 1u);

    struct host_view counts;
    host_observe(second.host, &counts);
    cr_assert_gt(counts.datagrams_out, 0u);
    cr_assert_gt(counts.datagrams_in, 0u);
    cr_assert_gt(counts.bytes_in, counts.datagrams_in);
    cr_assert_eq(counts.datagrams_dropped, 0u);
    host_stop(second.host);
    cr_assert_null(host_node(second.host));
    host_close(second.host);
    host_close(first.host);
}

Test(host, two_nodes_find_each_other_and_talk_over_ipv4)
{
    exchange("127.21.1.2");
}

Test(host, two_nodes_find_each_other_and_talk_over_ipv6)
{
    exchange("::1");
}

Test(host, a_node_starts_again_on_the_same_host)
{
    struct driver driver;
    start(&driver, "127.21.1.2", NULL);
    uint16_t port = port_of(driver.host);
    host_stop(driver.host);
    cr_assert_eq(host_start(driver.host, &driver.config), ERR_OK);
    host_kill(driver.host);
    cr_assert_eq(host_start(driver.host, &driver.config), ERR_OK);
    cr_assert_eq(port_of(driver.host), port);
    host_close(driver.host);
}

static uint64_t complete(void *record)
{
    (void)record;
    return 1;
}

static void recycle(struct node *node, void *arg)
{
    (void)arg;
    struct port *port = node->core.port;
    uint8_t key[PORT_INTERN_KEY] = {1};
    uint32_t held = port->ops->intern_get(port, key, complete);
    key[0] = 2;
    uint32_t freed = port->ops->intern_get(port, key, complete);
    port->ops->intern_release(port, freed);
    key[0] = 3;
    cr_assert_eq(port->ops->intern_get(port, key, complete), freed, "not used again");
    key[0] = 1;
    cr_assert_eq(port->ops->intern_get(port, key, complete), held);
}

Test(host, a_record_that_nobody_refers_to_makes_room_for_another)
{
    struct driver driver;
    start(&driver, "127.21.1.2", NULL);
    host_enter(driver.host, recycle, NULL);
    host_close(driver.host);
}

/* --- datagrams ------------------------------------------------------------------------------- */

struct shots {
    struct port_addr to;
    unsigned count;
    struct port_send_flags flags;
};

static void shoot(struct node *node, void *arg)
{
    static const uint8_t bytes[PORT_DATAGRAM_MAX];
    const struct shots *shots = arg;
    struct port *port = node->core.port;
    for (unsigned i = 0; i < shots->count; i++) {
        /* Of all lengths, so that some go together and some do not. */
        cr_assert_eq(port->ops->send(port, PORT_MAIN_PATH, &shots->to,
                                     slice_of(bytes, i % 3 == 0 ? 700 : 40), shots->flags),
                     ERR_OK);
    }
}

struct counted {
    struct host *host;
    uint64_t datagrams_in;
};

static bool has_counted(void *arg)
{
    const struct counted *counted = arg;
    struct host_view view;
    host_observe(counted->host, &view);
    return view.datagrams_in >= counted->datagrams_in;
}

Test(host, an_entry_may_send_more_than_a_batch_holds)
{
    struct driver sender;
    start(&sender, "127.21.1.3", NULL);
    struct host *receiver = open_at("127.21.1.3", (struct host_hooks){0});
    struct shots shots = {.to = host_addr(receiver), .count = LIST_MAX};
    host_enter(sender.host, shoot, &shots);
    cr_assert(run_until(has_counted, &(struct counted){receiver, LIST_MAX}));
    struct host_view view;
    host_observe(receiver, &view);
    cr_assert_eq(view.datagrams_in, LIST_MAX);
    cr_assert_eq(view.datagrams_refused, LIST_MAX, "no node runs there");
    cr_assert_eq(view.bytes_in, (LIST_MAX + 2) / 3 * 700 + (LIST_MAX - (LIST_MAX + 2) / 3) * 40);
    host_observe(sender.host, &view);
    cr_assert_eq(view.datagrams_out, LIST_MAX);
    cr_assert_eq(view.datagrams_dropped, 0u);
    host_close(receiver);
    host_close(sender.host);
}

Test(host, what_the_kernel_refuses_is_counted_and_the_rest_goes_out)
{
    struct driver sender;
    start(&sender, "127.21.1.3", NULL);
    struct host *receiver = open_at("127.21.1.3", (struct host_hooks){0});
    struct shots good = {.to = host_addr(receiver), .count = 3};
    struct shots bad = good;
    memset(bad.to.port, 0, sizeof bad.to.port); /* No datagram goes to port 0. */
    host_enter(sender.host, shoot, &bad);
    host_enter(sender.host, shoot, &good);
    cr_assert(run_until(has_counted, &(struct counted){receiver, 3}));
    struct host_view view;
    host_observe(sender.host, &view);
    cr_assert_eq(view.datagrams_dropped, 3u);
    cr_assert_eq(view.datagrams_out, 3u);
    host_close(receiver);
    host_close(sender.host);
}

Test(host, nobody_at_the_other_end_does_not_end_the_socket)
{
    struct driver sender;
    start(&sender, "127.21.1.3", NULL);
    struct host *gone = open_at("127.21.1.3", (struct host_hooks){0});
    struct shots shots = {.to = host_addr(gone), .count = 3};
    host_close(gone);
    struct host *receiver = open_at("127.21.1.3", (struct host_hooks){0});
    for (int i = 0; i < 5; i++) {
        host_enter(sender.host, shoot, &shots);
        uv_run(host_loop_uv(loop), UV_RUN_ONCE);
    }
    shots.to = host_addr(receiver);
    host_enter(sender.host, shoot, &shots);
    cr_assert(run_until(has_counted, &(struct counted){receiver, 3}));
    host_close(receiver);
    host_close(sender.host);
}
