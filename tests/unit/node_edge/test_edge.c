/* test_edge.c - the edge on real sockets: suspended requests, streams, slow clients, closing. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "node/edge/edge_parts.h"
#include "tests/support/fake_service.h"

#define TOKEN   "0123456789abcdef"
#define ADDRESS "127.27.1.1:0"
#define HEADERS "Host: 127.0.0.1\r\n"

/* Runs the loop until the condition holds; the test's own time limit is the only other end. */
#define RUN_UNTIL(condition)                                                                       \
    while (!(condition)) {                                                                         \
        uv_run(&loop, UV_RUN_ONCE);                                                                \
    }

struct client {
    int socket;
    char got[1 << 20];
    size_t len;
    bool is_closed;
};

static uv_loop_t loop;
static struct fake *fake;
static struct edge *edge;
static char token_path[64];

static void open_edge(void)
{
    cr_assert_eq(uv_loop_init(&loop), 0);
    fake = fake_open(&loop);
    snprintf(token_path, sizeof token_path, "/tmp/edge-test-XXXXXX");
    int file = mkstemp(token_path);
    cr_assert(file >= 0 && write(file, TOKEN, sizeof TOKEN - 1) == sizeof TOKEN - 1);
    close(file);
    char reason[HOST_REASON_SIZE] = "";
    struct edge_options options = {
        .verbs = {.service = fake_service(fake)}, .bind = ADDRESS, .token_path = token_path};
    cr_assert(edge_open(&options, &edge, reason), "%s", reason);
}

static void close_edge(void)
{
    if (edge != NULL) {
        edge_close(edge);
    }
    unlink(token_path);
    fake_close(fake);
    cr_expect_eq(uv_loop_close(&loop), 0, "the edge left something on the loop");
}

TestSuite(edge, .init = open_edge, .fini = close_edge, .timeout = 60);

static struct client *client_open(void)
{
    struct port_addr addr = edge_addr(edge);
    struct sockaddr_in to = {.sin_family = AF_INET};
    memcpy(&to.sin_addr, addr.ip + 12, 4);
    memcpy(&to.sin_port, addr.port, 2);
    struct client *client = calloc(1, sizeof *client);
    client->socket = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(client->socket, (struct sockaddr *)&to, sizeof to), 0);
    fcntl(client->socket, F_SETFL, O_NONBLOCK);
    return client;
}

static void client_close(struct client *client)
{
    close(client->socket);
    free(client);
}

static void client_say(struct client *client, const char *text)
{
    cr_assert_eq(send(client->socket, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Whatever has come: true when `part` is among it. */
static bool has(struct client *client, const char *part)
{
    ssize_t len;
    while (client->len + 1 < sizeof client->got &&
           (len = recv(client->socket, client->got + client->len,
                       sizeof client->got - 1 - client->len, 0)) >= 0) {
        client->is_closed = len == 0;
        client->len += (size_t)len;
        client->got[client->len] = '\0';
        if (len == 0) {
            break;
        }
    }
    return strstr(client->got, part) != NULL;
}

/* What would keep has() from ever turning true must end the loop. */
static bool is_over(struct client *client)
{
    has(client, "");
    return client->is_closed;
}

static void tick(uv_timer_t *timer)
{
    (void)timer; /* Only wakes the loop, so that conditions are looked at again. */
}

/* A loop that looks around 100 times a second. */
static void start_pulse(uv_timer_t *pulse)
{
    uv_timer_init(&loop, pulse);
    uv_timer_start(pulse, tick, 10, 10);
}

static void stop_pulse(uv_timer_t *pulse)
{
    uv_close((uv_handle_t *)pulse, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void expect_answer(const char *request, const char *status)
{
    uv_timer_t pulse;
    struct client *client = client_open();
    start_pulse(&pulse);
    client_say(client, request);
    RUN_UNTIL(has(client, "\r\n\r\n") || is_over(client));
    cr_expect_eq(strncmp(client->got, status, strlen(status)), 0, "%s\n-> %s", request,
                 client->got);
    stop_pulse(&pulse);
    client_close(client);
}

Test(edge, answers_carry_headers_that_keep_browsers_out)
{
    uv_timer_t pulse;
    struct client *client = client_open();
    start_pulse(&pulse);
    client_say(client, "GET /health/live HTTP/1.1\r\n" HEADERS "\r\n");
    RUN_UNTIL(has(client, "alive"));
    cr_expect(has(client, "HTTP/1.1 200"));
    cr_expect(has(client, "X-Content-Type-Options: nosniff"));
    cr_expect(has(client, "Content-Security-Policy: default-src 'none'"));
    cr_expect(has(client, "Cache-Control: no-store"));
    cr_expect_not(has(client, "Access-Control-Allow-Origin"));
    stop_pulse(&pulse);
    client_close(client);
}

Test(edge, requests_are_judged_by_their_headers)
{
    expect_answer("GET /health HTTP/1.1\r\n" HEADERS "\r\n", "HTTP/1.1 200");
    expect_answer("HEAD /metrics HTTP/1.1\r\n" HEADERS "\r\n", "HTTP/1.1 200");
    expect_answer("GET /health HTTP/1.1\r\nHost: example.invalid\r\n\r\n", "HTTP/1.1 403");
    expect_answer("GET /health HTTP/1.1\r\n" HEADERS "Host: localhost\r\n\r\n", "HTTP/1.1 400");
    expect_answer("GET /health HTTP/1.1\r\n" HEADERS "Origin: http://example.invalid\r\n\r\n",
                  "HTTP/1.1 403");
    expect_answer("GET /health HTTP/1.1\r\n\r\n", "HTTP/1.1 400");
    expect_answer("POST /api/v1/quit HTTP/1.1\r\n" HEADERS "\r\n", "HTTP/1.1 401");
    expect_answer("POST /api/v1/quit HTTP/1.1\r\n" HEADERS "X-Token: " TOKEN "\r\n\r\n",
                  "HTTP/1.1 200");
    expect_answer("POST /api/v1/publish HTTP/1.1\r\n" HEADERS "Authorization: Bearer " TOKEN
                  "\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n"
                  "{\"value\":\"on\"} ",
                  "HTTP/1.1 200");
    cr_expect_str_eq(fake->words, "[--][on]");
    expect_answer("BREW /health HTTP/1.1\r\n" HEADERS "\r\n", "HTTP/1.1 405");
    expect_answer("GET /nowhere HTTP/1.0\r\n" HEADERS "\r\n", "HTTP/1.1 404");
}

Test(edge, bodies_have_a_limit_announced_or_not)
{
    expect_answer("POST /api/v1/put HTTP/1.1\r\n" HEADERS "Content-Length: 16385\r\n\r\n",
                  "HTTP/1.1 413");
    char *request = calloc(1, 20000);
    size_t len = (size_t)sprintf(request, "POST /api/v1/put HTTP/1.1\r\n" HEADERS
                                          "Transfer-Encoding: chunked\r\n\r\n4500\r\n");
    memset(request + len, 'x', 0x4500);
    strcpy(request + len + 0x4500, "\r\n0\r\n\r\n");
    expect_answer(request, "HTTP/1.1 413");
    free(request);
}

Test(edge, request_waits_for_the_mesh_and_others_do_not_wait_for_it)
{
    uv_timer_t pulse;
    struct client *client = client_open();
    start_pulse(&pulse);
    client_say(client, "GET /api/v1/ping?id=3fa2 HTTP/1.1\r\n" HEADERS "\r\n");
    RUN_UNTIL(fake->pending_count == 1);
    expect_answer("GET /health HTTP/1.1\r\n" HEADERS "\r\n", "HTTP/1.1 200");
    cr_expect_eq(client->len, 0);
    fake_end(fake, "ok");
    RUN_UNTIL(has(client, "\"status\":\"ok\""));
    stop_pulse(&pulse);
    client_close(client);
}

Test(edge, client_that_leaves_while_it_waits_is_forgotten)
{
    uv_timer_t pulse;
    struct client *client = client_open();
    start_pulse(&pulse);
    client_say(client, "GET /api/v1/ping?id=3fa2 HTTP/1.1\r\n" HEADERS "\r\n");
    RUN_UNTIL(fake->pending_count == 1);
    client_close(client);
    fake_end(fake, "timeout");
    RUN_UNTIL(edge->face.connections == 0);
    cr_expect_eq(edge->face.waits, 0);
    stop_pulse(&pulse);
}

Test(edge, closing_answers_those_who_wait_and_ends_streams)
{
    uv_timer_t pulse;
    struct client *waiting = client_open();
    struct client *streaming = client_open();
    start_pulse(&pulse);
    client_say(waiting, "GET /api/v1/ping?id=3fa2 HTTP/1.1\r\n" HEADERS "\r\n");
    client_say(streaming, "GET /api/v1/events HTTP/1.1\r\n" HEADERS "\r\n");
    RUN_UNTIL(fake->pending_count == 1 && has(streaming, "retry:"));
    stop_pulse(&pulse);
    edge_close(edge);
    edge = NULL;
    cr_expect(has(waiting, "HTTP/1.1 503"), "%s", waiting->got);
    cr_expect(has(waiting, "leaving the mesh"));
    cr_expect(has(streaming, "\r\n0\r\n"), "the stream has no end: %s", streaming->got);
    cr_expect(is_over(waiting) && is_over(streaming));
    fake_end(fake, "ok"); /* The verb that nobody waits for any more. */
    client_close(waiting);
    client_close(streaming);
}

Test(edge, stream_delivers_and_resumes_behind_an_id)
{
    uv_timer_t pulse;
    struct client *client = client_open();
    start_pulse(&pulse);
    client_say(client, "GET /api/v1/events?topics=message HTTP/1.1\r\n" HEADERS "\r\n");
    RUN_UNTIL(has(client, "retry:"));
    fake_note(fake, "of another topic");
    fake_tell(fake, "first");
    RUN_UNTIL(has(client, "\"value\":\"first\""));
    cr_expect_not(has(client, "of another topic"));
    char id[64] = "";
    cr_assert_eq(sscanf(strstr(client->got, "id: "), "id: %63s", id), 1);
    client_close(client);
    fake_tell(fake, "second");
    client = client_open();
    char request[256];
    snprintf(request, sizeof request,
             "GET /api/v1/events?topics=message HTTP/1.1\r\n" HEADERS "Last-Event-ID: %s\r\n\r\n",
             id);
    client_say(client, request);
    RUN_UNTIL(has(client, "\"value\":\"second\""));
    cr_expect_not(has(client, "first"));
    cr_expect_not(has(client, "skipped"));
    stop_pulse(&pulse);
    client_close(client);
}

Test(edge, slow_client_is_told_what_it_lost)
{
    uv_timer_t pulse;
    struct client *client = client_open();
    char payload[900];
    start_pulse(&pulse);
    client_say(client, "GET /api/v1/events?topics=message HTTP/1.1\r\n" HEADERS "\r\n");
    RUN_UNTIL(has(client, "retry:"));
    memset(payload, 'x', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    /* Until the socket takes no more and the ring has moved on. */
    for (int i = 0; i < 20000; i++) {
        fake_tell(fake, payload);
        if (i % 16 == 0) {
            uv_run(&loop, UV_RUN_NOWAIT);
        }
    }
    while (!has(client, "event: skipped")) {
        client->len = client->len > 4096 ? 0 : client->len; /* Read and forget. */
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    cr_expect_gt(edge->face.events.skipped, 0);
    stop_pulse(&pulse);
    client_close(client);
}

Test(edge, streams_are_freed_when_their_clients_leave)
{
    uv_timer_t pulse;
    struct client *clients[8];
    start_pulse(&pulse);
    for (size_t i = 0; i < 8; i++) {
        clients[i] = client_open();
        client_say(clients[i], "GET /api/v1/events HTTP/1.1\r\n" HEADERS "\r\n");
        RUN_UNTIL(has(clients[i], "retry:"));
    }
    cr_expect_eq(edge->face.streams, 8);
    for (size_t i = 0; i < 8; i++) {
        client_close(clients[i]);
    }
    while (edge->face.streams > 0) { /* The first write after a reset may still succeed. */
        fake_note(fake, "anybody there?");
        uv_run(&loop, UV_RUN_ONCE);
    }
    cr_expect_eq(edge->streams, NULL);
    stop_pulse(&pulse);
}

Test(edge, half_open_requests_keep_nobody_out)
{
    enum { SLOW = 300 };
    uv_timer_t pulse;
    struct client *slow[SLOW];
    start_pulse(&pulse);
    for (size_t i = 0; i < SLOW; i++) {
        slow[i] = client_open();
        client_say(slow[i], "GET /health HTTP/1.1\r\nHost: 127.");
        uv_run(&loop, UV_RUN_NOWAIT);
        if (i % 50 == 0) {
            expect_answer("GET /health HTTP/1.1\r\n" HEADERS "\r\n", "HTTP/1.1 200");
        }
    }
    expect_answer("GET /health HTTP/1.1\r\n" HEADERS "\r\n", "HTTP/1.1 200");
    cr_expect_leq(edge->face.connections, EDGE_CONNECTIONS_MAX);
    cr_expect_geq(edge->face.connections_evicted, SLOW - EDGE_IDLE_MAX);
    stop_pulse(&pulse);
    for (size_t i = 0; i < SLOW; i++) {
        client_close(slow[i]);
    }
}

Test(edge, unusable_options_are_refused_with_a_reason)
{
    struct edge *other = NULL;
    char taken[HOST_ADDR_TEXT_SIZE];
    struct port_addr addr = edge_addr(edge);
    host_addr_format(&addr, taken);
    const struct {
        const char *bind;
        const char *token_path;
        const char *reason;
    } rows[] = {
        {taken, NULL, "Address already in use; choose another port"},
        {"0.0.0.0:0", NULL, "wants a token file"},
        {"example.invalid:80", NULL, "is none: write 127.0.0.1:8469"},
        {"127.27.1.1:0", "/nowhere/token", "token file /nowhere/token"},
        {"192.0.2.1:0", token_path, "Cannot assign requested address"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char reason[HOST_REASON_SIZE] = "";
        struct edge_options options = {.verbs = {.service = fake_service(fake)},
                                       .bind = rows[i].bind,
                                       .token_path = rows[i].token_path};
        cr_expect_not(edge_open(&options, &other, reason), "%s", rows[i].bind);
        cr_expect_not_null(strstr(reason, rows[i].reason), "%s", reason);
    }
}
