/* stream_rig.c - two hosts' streams on one loop, and a bare TCP client. */
#include "tests/unit/node_host/stream_rig.h"

#include <stdio.h>
#include <string.h>

#include "node/base/must.h"

enum { WATCHDOG_MS = 30000, PAIR_PORT = HOST_PORT };

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    must(!"a test of streams waits in vain");
}

static void on_received(void *arg, int path, const struct port_addr *from, struct slice bytes)
{
    struct pair_side *side = arg;
    must(side->heard_count < PAIR_HEARD_MAX);
    struct slice expected = pair_datagram(bytes.len, bytes.data[0]);
    side->heard[side->heard_count++] = (struct pair_heard){
        .path = path,
        .from = *from,
        .len = bytes.len,
        .first = bytes.data[0],
        .is_whole = memcmp(expected.data, bytes.data, bytes.len) == 0,
    };
}

static void on_path_event(void *arg, int path, enum port_path_event event)
{
    struct pair_side *side = arg;
    side->events[event]++;
    side->event_path = path;
}

void pair_open(struct pair *pair, unsigned net, bool is_masking, struct stream_limits limits)
{
    memset(pair, 0, sizeof *pair);
    must(uv_loop_init(&pair->loop) == 0);
    must(uv_timer_init(&pair->loop, &pair->watchdog) == 0);
    must(uv_timer_start(&pair->watchdog, on_watchdog, WATCHDOG_MS, 0) == 0);
    pair_side_open(pair, 0, net, is_masking, limits);
    pair_side_open(pair, 1, net, is_masking, limits);
}

void pair_side_open(struct pair *pair, int side, unsigned net, bool is_masking,
                    struct stream_limits limits)
{
    char text[HOST_ADDR_TEXT_SIZE];
    char reason[HOST_REASON_SIZE];
    struct pair_side *one = &pair->side[side];
    snprintf(text, sizeof text, "127.23.%u.%d:%d", net, side + 1, PAIR_PORT);
    must(host_addr_parse(text, &one->addr));
    struct stream_options options = {
        .loop = &pair->loop,
        .local = one->addr,
        .is_listening = true,
        .is_masking = is_masking,
        .limits = limits,
        .hooks = {.arg = one, .received = on_received, .path_event = on_path_event},
    };
    must(streams_open(&options, &one->streams, reason) == ERR_OK);
}

void pair_side_close(struct pair *pair, int side)
{
    streams_close(pair->side[side].streams);
    pair->side[side].streams = NULL;
}

void pair_close(struct pair *pair)
{
    for (int side = 0; side < 2; side++) {
        if (pair->side[side].streams != NULL) {
            pair_side_close(pair, side);
        }
    }
    uv_close((uv_handle_t *)&pair->watchdog, NULL);
    must(uv_run(&pair->loop, UV_RUN_DEFAULT) == 0);
    must(uv_loop_close(&pair->loop) == 0);
}

void pair_wait(struct pair *pair, const uint32_t *count, uint32_t want)
{
    while (*count < want) {
        uv_run(&pair->loop, UV_RUN_ONCE);
    }
}

void pair_wait_true(struct pair *pair, const bool *fact)
{
    while (!*fact) {
        uv_run(&pair->loop, UV_RUN_ONCE);
    }
}

struct stream_view pair_view(const struct pair *pair, int side)
{
    struct stream_view view;
    streams_observe(pair->side[side].streams, &view);
    return view;
}

void pair_wait_open(struct pair *pair, int side, uint32_t want)
{
    while (pair_view(pair, side).open != want) {
        uv_run(&pair->loop, UV_RUN_ONCE);
    }
}

struct slice pair_datagram(size_t len, uint8_t first)
{
    static uint8_t bytes[PORT_DATAGRAM_MAX];
    must(len > 0 && len <= sizeof bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(first + i * 7 + (i >> 8) * len);
    }
    return slice_of(bytes, len);
}

/* --- the client --------------------------------------------------------------------------------
 */

static void on_client_connected(uv_connect_t *connect, int status)
{
    struct pair_client *client = connect->handle->data;
    must(status == 0);
    client->is_connected = true;
}

static void on_client_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct pair_client *client = handle->data;
    *buffer = uv_buf_init(client->bytes + client->len,
                          (unsigned)(sizeof client->bytes - 1 - client->len));
}

static void on_client_read(uv_stream_t *tcp, ssize_t len, const uv_buf_t *buffer)
{
    (void)buffer;
    struct pair_client *client = tcp->data;
    if (len < 0) {
        client->is_closed = true;
        uv_read_stop(tcp);
        return;
    }
    client->len += (size_t)len;
    client->bytes[client->len] = '\0';
}

void pair_client_open(struct pair *pair, struct pair_client *client)
{
    union socket_address to;
    memset(client, 0, sizeof *client);
    must(uv_tcp_init(&pair->loop, &client->tcp) == 0);
    client->tcp.data = client;
    host_addr_to_socket(&pair->side[1].addr, true, &to);
    must(uv_tcp_connect(&client->connect, &client->tcp, &to.any, on_client_connected) == 0);
    pair_wait_true(pair, &client->is_connected);
    (void)uv_tcp_nodelay(&client->tcp, 1);
    must(uv_read_start((uv_stream_t *)&client->tcp, on_client_buffer, on_client_read) == 0);
}

void pair_client_send(struct pair_client *client, const void *bytes, size_t len)
{
    uv_buf_t buffer = uv_buf_init((char *)bytes, (unsigned)len);
    must(uv_try_write((uv_stream_t *)&client->tcp, &buffer, 1) == (int)len);
}

void pair_client_close(struct pair_client *client)
{
    uv_close((uv_handle_t *)&client->tcp, NULL);
}
