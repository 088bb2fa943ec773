/* test_neighbours.c - multicast between hosts of one machine, over the loopback interface alone. */
#include <criterion/criterion.h>
#include <string.h>

#include "node/host/neighbours.h"

enum { GROUP_PORT = 23468 };

struct listener {
    struct neighbours *neighbours;
    uint32_t count;
    size_t len;
};

static void on_received(void *arg, const struct port_addr *from, struct slice bytes)
{
    struct listener *listener = arg;
    cr_assert(from->port[0] != 0 || from->port[1] != 0);
    listener->count++;
    listener->len = bytes.len;
}

static void listener_open(uv_loop_t *loop, struct listener *listener)
{
    char reason[HOST_REASON_SIZE] = "";
    struct neighbours_options options = {
        .loop = loop,
        .port = GROUP_PORT,
        .interface = "lo",
        .has_loopback = true,
        .hooks = {.arg = listener, .received = on_received},
    };
    cr_assert_eq(neighbours_open(&options, &listener->neighbours, reason), ERR_OK, "%s", reason);
}

Test(neighbours, others_hear_and_the_sender_does_not, .timeout = 30)
{
    static struct listener listeners[3];
    static const uint8_t bytes[PORT_DATAGRAM_MAX + 1];
    struct neighbours_view view;
    uv_loop_t loop;
    cr_assert_eq(uv_loop_init(&loop), 0);
    for (int i = 0; i < 3; i++) {
        listener_open(&loop, &listeners[i]);
    }
    struct neighbours *sender = listeners[0].neighbours;
    cr_assert_eq(neighbours_send(sender, slice_of(bytes, sizeof bytes)), ERR_TOO_LARGE);
    cr_assert_eq(neighbours_send(sender, slice_of(bytes, PORT_DATAGRAM_MAX)), ERR_OK);
    neighbours_observe(sender, &view);
    while (listeners[1].count < view.sent || listeners[2].count < view.sent) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    cr_assert_eq(listeners[1].len, PORT_DATAGRAM_MAX);
    /* Once another has answered, what the first sent before has reached it or never will. */
    cr_assert_eq(neighbours_send(listeners[1].neighbours, slice_of(bytes, 7)), ERR_OK);
    while (listeners[0].count == 0) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    cr_assert_eq(listeners[0].len, 7);
    for (int i = 0; i < 3; i++) {
        neighbours_close(listeners[i].neighbours);
    }
    cr_assert_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

Test(neighbours, no_such_interface_is_said)
{
    char reason[HOST_REASON_SIZE] = "";
    struct neighbours *neighbours;
    uv_loop_t loop;
    cr_assert_eq(uv_loop_init(&loop), 0);
    struct neighbours_options options = {
        .loop = &loop, .port = GROUP_PORT, .interface = "none", .hooks = {.received = on_received}};
    cr_assert_eq(neighbours_open(&options, &neighbours, reason), ERR_UNREACHABLE);
    cr_assert_gt(strlen(reason), 0);
    cr_assert_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
    cr_assert_eq(uv_loop_close(&loop), 0);
}
