/* test_stream.c - streams over loopback: both dresses, boundaries, limits, deadlines, ends. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/slice.h"
#include "node/host/frame.h"
#include "tests/unit/node_host/stream_rig.h"

static const struct stream_limits patient = {0};
static const struct stream_limits hasty = {.opening_ms = 40, .frame_ms = 40, .idle_ms = 20000};

static struct pair pair; /* One test is one process. */

static void path_open_up(int path, enum port_carrier carrier)
{
    cr_assert_eq(stream_path_open(pair.side[0].streams, path, carrier, NULL, &pair.side[1].addr),
                 ERR_OK);
    cr_assert_eq(pair.side[0].events[PORT_PATH_UP], 0, "called back before it returned");
    pair_wait(&pair, &pair.side[0].events[PORT_PATH_UP], 1);
    cr_assert_eq(pair.side[0].event_path, path);
}

/* Every length there is, upstream and back again, in order and whole. */
static void every_length(unsigned net, enum port_carrier carrier)
{
    pair_open(&pair, net, false, patient);
    path_open_up(3, carrier);
    pair_wait_open(&pair, 1, 1);
    for (uint32_t len = 1; len <= PORT_DATAGRAM_MAX; len++) {
        struct slice bytes = pair_datagram(len, (uint8_t)(len * 3));
        cr_assert_eq(stream_path_send(pair.side[0].streams, 3, bytes), ERR_OK);
        pair_wait(&pair, &pair.side[1].heard_count, len);
        const struct port_addr *from = &pair.side[1].heard[len - 1].from;
        bytes = pair_datagram(len, (uint8_t)(len * 3));
        cr_assert_eq(stream_send(pair.side[1].streams, from, bytes), ERR_OK);
    }
    pair_wait(&pair, &pair.side[0].heard_count, PORT_DATAGRAM_MAX);
    for (uint32_t i = 0; i < PORT_DATAGRAM_MAX; i++) {
        for (int side = 0; side < 2; side++) {
            const struct pair_heard *heard = &pair.side[side].heard[i];
            cr_assert_eq(heard->len, i + 1);
            cr_assert(heard->is_whole && heard->first == (uint8_t)((i + 1) * 3));
            cr_assert_eq(heard->path, side == 0 ? 3 : PORT_MAIN_PATH);
            /* A path is the only way to its opener, who is not where it listens. */
            const struct port_addr *own = &pair.side[1 - side].addr;
            cr_assert_arr_eq(heard->from.ip, own->ip, sizeof own->ip);
            cr_assert_eq(port_addr_equal(&heard->from, own), side == 0);
            cr_assert(port_addr_equal(&heard->from, &pair.side[side].heard[0].from));
        }
    }
    cr_assert_eq(pair_view(&pair, 0).dropped + pair_view(&pair, 1).dropped, 0);
    pair_close(&pair);
}

Test(stream, plain_carries_every_length_both_ways)
{
    every_length(1, PORT_TCP);
}

Test(stream, masked_carries_every_length_both_ways)
{
    every_length(2, PORT_MASKED);
}

Test(stream, main_path_opens_masked_streams_when_masking)
{
    pair_open(&pair, 3, true, patient);
    for (uint32_t i = 0; i < 50; i++) { /* Before it is connected, and all in one stream. */
        struct slice bytes = pair_datagram(100 + i, (uint8_t)i);
        cr_assert_eq(stream_send(pair.side[0].streams, &pair.side[1].addr, bytes), ERR_OK);
    }
    cr_assert_eq(pair_view(&pair, 0).open, 1);
    pair_wait(&pair, &pair.side[1].heard_count, 50);
    for (uint32_t i = 0; i < 50; i++) {
        cr_assert_eq(pair.side[1].heard[i].first, i);
        cr_assert(pair.side[1].heard[i].is_whole);
    }
    pair_close(&pair);
}

Test(stream, without_masking_an_unknown_address_is_udps_business)
{
    pair_open(&pair, 4, false, patient);
    int status = stream_send(pair.side[0].streams, &pair.side[1].addr, pair_datagram(9, 1));
    cr_assert_eq(status, ERR_MISSING);
    cr_assert_eq(pair_view(&pair, 0).open, 0);
    pair_close(&pair);
}

Test(stream, both_may_call_each_other_at_once)
{
    pair_open(&pair, 5, true, patient);
    for (int side = 0; side < 2; side++) {
        const struct port_addr *to = &pair.side[1 - side].addr;
        cr_assert_eq(stream_send(pair.side[side].streams, to, pair_datagram(70, 1)), ERR_OK);
    }
    pair_wait(&pair, &pair.side[0].heard_count, 1);
    pair_wait(&pair, &pair.side[1].heard_count, 1);
    for (int side = 0; side < 2; side++) {
        pair_wait_open(&pair, side, 2);
        const struct port_addr *to = &pair.side[1 - side].addr;
        cr_assert_eq(stream_send(pair.side[side].streams, to, pair_datagram(71, 2)), ERR_OK);
        pair_wait(&pair, &pair.side[1 - side].heard_count, 2);
        cr_assert_eq(pair.side[1 - side].heard[1].len, 71);
    }
    pair_close(&pair);
}

Test(stream, full_backlog_drops_and_says_when_there_is_room)
{
    pair_open(&pair, 6, false, patient);
    path_open_up(1, PORT_TCP);
    uint32_t accepted = 0;
    int status = ERR_OK;
    while (status == ERR_OK) { /* The loop does not run, so nobody reads. */
        status = stream_path_send(pair.side[0].streams, 1, pair_datagram(1200, 5));
        accepted += status == ERR_OK;
    }
    cr_assert_eq(status, ERR_AGAIN);
    cr_assert_eq(pair_view(&pair, 0).dropped, 1);
    cr_assert_geq(accepted, STREAM_BACKLOG_BYTES_MAX / (1200 + FRAME_HEAD_LEN));
    pair_wait(&pair, &pair.side[0].events[PORT_PATH_WRITABLE], 1);
    pair_wait(&pair, &pair.side[1].heard_count, accepted);
    cr_assert_eq(pair.side[0].events[PORT_PATH_WRITABLE], 1);
    cr_assert_eq(stream_path_send(pair.side[0].streams, 1, pair_datagram(1200, 5)), ERR_OK);
    pair_close(&pair);
}

Test(stream, close_with_data_queued_counts_it_and_leaks_nothing)
{
    pair_open(&pair, 7, false, patient);
    path_open_up(1, PORT_MASKED);
    while (stream_path_send(pair.side[0].streams, 1, pair_datagram(1200, 5)) == ERR_OK) {
    }
    stream_path_close(pair.side[0].streams, 1);
    uint64_t least = STREAM_BACKLOG_BYTES_MAX / (1200 + FRAME_HEAD_LEN);
    cr_assert_geq(pair_view(&pair, 0).dropped, least);
    cr_assert_eq(stream_path_send(pair.side[0].streams, 1, pair_datagram(9, 5)), ERR_INVALID);
    pair_wait_open(&pair, 1, 0);
    cr_assert_eq(pair.side[0].events[PORT_PATH_CLOSED], 0, "who closes need not be told");
    pair_close(&pair);
}

Test(stream, death_of_the_peer_is_told_and_its_queue_dropped)
{
    pair_open(&pair, 8, false, patient);
    path_open_up(1, PORT_TCP);
    while (stream_path_send(pair.side[0].streams, 1, pair_datagram(1200, 5)) == ERR_OK) {
    }
    pair_side_close(&pair, 1);
    pair_wait(&pair, &pair.side[0].events[PORT_PATH_CLOSED], 1);
    cr_assert_gt(pair_view(&pair, 0).dropped, 1);
    cr_assert_eq(pair_view(&pair, 0).open, 0);
    pair_close(&pair);
}

Test(stream, nobody_listening_refuses_the_path)
{
    pair_open(&pair, 9, false, patient);
    pair_side_close(&pair, 1);
    int status = stream_path_open(pair.side[0].streams, 4, PORT_TCP, NULL, &pair.side[1].addr);
    cr_assert_eq(status, ERR_OK);
    cr_assert_eq(stream_path_send(pair.side[0].streams, 4, pair_datagram(10, 1)), ERR_OK);
    pair_wait(&pair, &pair.side[0].events[PORT_PATH_REFUSED], 1);
    cr_assert_eq(pair.side[0].event_path, 4);
    cr_assert_eq(pair_view(&pair, 0).dropped, 1);
    pair_close(&pair);
}

Test(stream, seventeenth_connection_of_an_address_is_refused)
{
    static struct pair_client clients[STREAM_PER_ADDR_MAX + 1];
    pair_open(&pair, 10, false, patient);
    for (size_t i = 0; i < array_len(clients); i++) {
        pair_client_open(&pair, &clients[i]);
    }
    pair_wait_true(&pair, &clients[STREAM_PER_ADDR_MAX].is_closed);
    cr_assert_eq(pair_view(&pair, 1).open, STREAM_PER_ADDR_MAX);
    cr_assert_eq(pair_view(&pair, 1).refused, 1);
    for (size_t i = 0; i < array_len(clients); i++) {
        cr_assert_eq(clients[i].is_closed, i == STREAM_PER_ADDR_MAX);
        pair_client_close(&clients[i]);
    }
    pair_close(&pair);
}

/* Sends so much, and expects to be cut off by a deadline. */
static void cut_off(unsigned net, const void *bytes, size_t len)
{
    static struct pair_client client;
    pair_open(&pair, net, false, hasty);
    pair_client_open(&pair, &client);
    pair_client_send(&client, bytes, len);
    pair_wait_true(&pair, &client.is_closed);
    cr_assert_eq(pair_view(&pair, 1).refused, 1);
    cr_assert_eq(pair_view(&pair, 1).open, 0);
    pair_client_close(&client);
    pair_close(&pair);
}

Test(stream, half_a_preface_is_cut_off)
{
    cut_off(11, "\x8dmes", 4);
}

Test(stream, half_a_head_is_cut_off)
{
    cut_off(12, "POST /upload HTTP/1.1\r\nHost: ", 29);
}

Test(stream, half_a_frame_is_cut_off)
{
    cut_off(13,
            "\x8dmesh\x01\x21\x14\x00\x05"
            "ab",
            12);
}

Test(stream, frame_of_impossible_length_closes)
{
    cut_off(14, "\x8dmesh\x01\x21\x14\x7f\xff", 10);
}

/* A datagram of one byte behind each preface: both come from where their connections do. */
Test(stream, callers_without_a_port_are_told_apart)
{
    static struct pair_client clients[2];
    pair_open(&pair, 15, false, patient);
    for (uint32_t i = 0; i < array_len(clients); i++) {
        pair_client_open(&pair, &clients[i]);
        pair_client_send(&clients[i], "\x8dmesh\x01\0\0\0\x01x", 11);
        pair_wait(&pair, &pair.side[1].heard_count, i + 1);
    }
    const struct pair_heard *heard = pair.side[1].heard;
    cr_assert_arr_eq(heard[0].from.ip, heard[1].from.ip, sizeof heard[0].from.ip);
    cr_assert(!port_addr_equal(&heard[0].from, &heard[1].from));
    for (uint32_t i = 0; i < array_len(clients); i++) {
        cr_assert_arr_neq(heard[i].from.port, "\0\0", 2);
        pair_client_close(&clients[i]);
    }
    pair_close(&pair);
}

Test(stream, silent_stream_is_closed_without_blame)
{
    pair_open(&pair, 16, false, (struct stream_limits){.idle_ms = 40});
    path_open_up(1, PORT_MASKED);
    pair_wait(&pair, &pair.side[0].events[PORT_PATH_CLOSED], 1);
    pair_wait_open(&pair, 1, 0);
    cr_assert_eq(pair_view(&pair, 0).refused + pair_view(&pair, 1).refused, 0);
    pair_close(&pair);
}

/* What a client that is none of ours is told. */
static void told(unsigned net, const char *request, const char *status)
{
    static struct pair_client client;
    pair_open(&pair, net, false, patient);
    pair_client_open(&pair, &client);
    pair_client_send(&client, request, strlen(request));
    pair_wait_true(&pair, &client.is_closed);
    cr_assert_eq(strncmp(client.bytes, status, strlen(status)), 0, "%s", client.bytes);
    const char *body = strstr(client.bytes, "\r\n\r\n");
    cr_assert_not_null(body);
    bool is_head = strncmp(request, "HEAD", 4) == 0;
    cr_assert_eq(strlen(body + 4) > 0, !is_head);
    const char *length = strstr(client.bytes, "Content-Length: ");
    cr_assert_not_null(length);
    if (!is_head) {
        cr_assert_eq(strtoul(length + 16, NULL, 10), strlen(body + 4));
    }
    cr_assert_eq(pair_view(&pair, 1).refused, 1);
    pair_client_close(&client);
    pair_wait_open(&pair, 1, 0);
    pair_close(&pair);
}

Test(stream, browser_is_told_there_is_nothing_here)
{
    told(17, "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", "HTTP/1.1 404 Not Found\r\n");
}

Test(stream, head_gets_no_body)
{
    told(18, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found\r\n");
}

Test(stream, upload_without_our_hello_is_told_there_is_nothing_here)
{
    told(19,
         "POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
         "20\r\n0123456789abcdef0123456789abcdef\r\n0\r\n\r\n",
         "HTTP/1.1 404 Not Found\r\n");
}

Test(stream, noise_is_a_bad_request)
{
    told(20, "\x16\x03\x01\x02\x05\x01", "HTTP/1.1 400 Bad Request\r\n");
}

Test(stream, taken_port_is_refused_with_a_reason)
{
    char reason[HOST_REASON_SIZE] = "";
    pair_open(&pair, 21, false, patient);
    struct streams *second;
    struct stream_options options = {.loop = &pair.loop,
                                     .local = pair.side[1].addr,
                                     .is_listening = true,
                                     .hooks = {.received = (void *)1, .path_event = (void *)1}};
    cr_assert_eq(streams_open(&options, &second, reason), ERR_REFUSED);
    cr_assert_not_null(strstr(reason, "127.23.21.2:8468"));
    pair_close(&pair);
}
