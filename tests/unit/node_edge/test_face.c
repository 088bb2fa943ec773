/* test_face.c - every path in every state, without a socket. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "node/edge/face.h"
#include "tests/support/fake_service.h"

static struct fake *fake;
static struct face face;
static struct answer answer;
static struct ask ask;

static void open_face(void)
{
    fake = fake_open(NULL);
    struct verb_context context = {.service = fake_service(fake)};
    face_init(&face, &context, 0xabc);
    face.gate.is_local = true;
    ask = (struct ask){.method = "GET", .host = "127.0.0.1", .body = ""};
}

static void close_face(void)
{
    answer_free(&answer);
    face_free(&face);
    fake_close(fake);
}

TestSuite(face, .init = open_face, .fini = close_face);

/* The code of an answer that comes at once; the rest is in `answer`. */
static int asked(const char *method, const char *target)
{
    struct face_reply reply = {0};
    ask.method = method;
    ask.target = target;
    answer_free(&answer);
    cr_assert_eq(face_ask(&face, &ask, &reply), FACE_ANSWERED, "%s", target);
    face_count(&face, reply.route, reply.answer.code);
    answer = reply.answer;
    return answer.code;
}

static int posted(const char *target, const char *body)
{
    ask.content_type = "application/json";
    ask.body = body;
    ask.body_len = strlen(body);
    return asked("POST", target);
}

/* Lets everybody write. */
static void hand_out_token(void)
{
    char reason[HOST_REASON_SIZE];
    char path[] = "/tmp/edge-face-XXXXXX";
    int file = mkstemp(path);
    static const char text[] = "0123456789abcdef";
    cr_assert(file >= 0 && write(file, text, sizeof text - 1) == sizeof text - 1);
    cr_assert(token_load(&face.gate.token, path, reason), "%s", reason);
    close(file);
    unlink(path);
    face.gate.has_token = true;
    ask.token = text;
}

static void expect_in_body(const char *part)
{
    cr_expect_not_null(strstr(answer.body.data, part), "no %s in %s", part, answer.body.data);
}

static void expect_error(void)
{
    cJSON *value = cJSON_Parse(answer.body.data);
    cr_expect(cJSON_IsString(cJSON_GetObjectItem(value, "error")));
    cr_expect(cJSON_IsString(cJSON_GetObjectItem(value, "hint")));
    cr_expect_str_eq(answer.type, "application/json");
    cJSON_Delete(value);
}

Test(face, health_says_how_it_is_in_each_state)
{
    static const struct {
        enum service_state state;
        const char *status;
        int code;
    } rows[] = {
        {SERVICE_STARTING, "{\"status\":\"degraded\",\"state\":\"starting\"", 200},
        {SERVICE_HEALTHY, "{\"status\":\"healthy\",\"state\":\"healthy\"", 200},
        {SERVICE_DEGRADED, "{\"status\":\"degraded\",\"state\":\"degraded\"", 200},
        {SERVICE_UNHEALTHY, "{\"status\":\"unhealthy\",\"state\":\"unhealthy\"", 503},
        {SERVICE_STOPPING, "{\"status\":\"unhealthy\",\"state\":\"stopping\"", 503},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fake->state = rows[i].state;
        fake->mesh_reason = rows[i].state == SERVICE_HEALTHY ? "" : "no peer; wait";
        cr_expect_eq(asked("GET", "/health"), rows[i].code);
        expect_in_body(rows[i].status);
        expect_in_body("\"components\":{\"mesh\":{");
        expect_in_body("\"version\":\"");
        if (rows[i].state != SERVICE_HEALTHY) {
            expect_in_body("\"reason\":\"no peer; wait\"");
        }
        cr_expect_eq(asked("GET", "/health/live"), 200);
    }
}

Test(face, readiness_has_reasons_when_it_is_not)
{
    cr_expect_eq(asked("GET", "/health/ready"), 200);
    expect_in_body("\"reasons\":[]");
    fake->is_ready = false;
    cr_expect_eq(asked("GET", "/health/ready"), 503);
    expect_in_body("has not joined");
    fake->mesh_reason = "no peer";
    cr_expect_eq(asked("GET", "/health/ready"), 503);
    expect_in_body("[\"mesh: no peer\"]");
    fake->state = SERVICE_STOPPING;
    cr_expect_eq(asked("GET", "/health/ready"), 503);
    expect_in_body("leaving the mesh");
}

Test(face, every_path_answers_in_every_state)
{
    static const char *const paths[] = {
        "/health",     "/health/live", "/health/ready",        "/metrics",       "/mesh/status",
        "/mesh/peers", "/mesh/routes", "/api/v1/openapi.json", "/api/v1/status", "/api/v1/peers",
    };
    for (int state = SERVICE_STARTING; state <= SERVICE_STOPPING; state++) {
        fake->state = (enum service_state)state;
        for (int has_no_node = 0; has_no_node < 2; has_no_node++) {
            fake->has_no_node = has_no_node == 1;
            for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
                int code = asked("GET", paths[i]);
                cr_expect(code == 200 || code == 503, "%s: %d", paths[i], code);
                cr_expect_gt(answer.body.len, 0);
                cr_expect_eq(asked("OPTIONS", paths[i]), 204);
                cr_expect_str_eq(answer.allow, "GET, HEAD, OPTIONS");
                cr_expect_eq(asked("POST", paths[i]), 405);
                expect_error();
            }
        }
    }
}

Test(face, what_is_nowhere_is_404_and_no_file_is_served)
{
    static const char *const paths[] = {
        "/",
        "",
        "/etc/passwd",
        "/../../etc/passwd",
        "/health/",
        "/Health",
        "health",
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v1/watch",
        "/api/v1/put/",
        "*",
        "http://localhost/health",
        "//health",
        "/%68ealth",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        cr_expect_eq(asked("GET", paths[i]), 404, "%s", paths[i]);
        expect_error();
    }
}

Test(face, parameters_that_nobody_takes_are_refused)
{
    cr_expect_eq(asked("GET", "/health?x=1"), 400);
    cr_expect_eq(asked("GET", "/mesh/peers?x"), 400);
    cr_expect_eq(asked("GET", "/api/v1/ping?id=3fa2&deep=1"), 400);
    expect_in_body("ping takes: <id>");
    cr_expect_eq(asked("GET", "/api/v1/ping"), 400);
    cr_expect_eq(asked("GET", "/health?"), 200);
}

Test(face, write_wants_token_then_method_then_type_then_fields)
{
    cr_expect_eq(posted("/api/v1/quit", "{}"), 403);
    hand_out_token();
    const char *token = ask.token;
    ask.token = NULL;
    cr_expect_eq(posted("/api/v1/quit", "{}"), 401);
    ask.token = token;
    cr_expect_eq(asked("GET", "/api/v1/quit"), 405);
    cr_expect_str_eq(answer.allow, "POST, OPTIONS");
    ask.content_type = "text/plain";
    cr_expect_eq(asked("POST", "/api/v1/quit"), 415);
    ask.content_type = NULL;
    cr_expect_eq(asked("POST", "/api/v1/quit"), 415);
    cr_expect_eq(posted("/api/v1/put", "{"), 400);
    cr_expect_eq(posted("/api/v1/put", "{}"), 400);
    cr_expect_eq(posted("/api/v1/put", "{\"value\":\"a\",\"salt\":1}"), 400);
    cr_expect_eq(posted("/api/v1/publish", "{\"value\":\"a\",\"hex\":\"perhaps\"}"), 400);
    ask.content_type = NULL;
    ask.body_len = 0;
    cr_expect_eq(asked("POST", "/api/v1/quit"), 200);
}

Test(face, fields_become_words_with_options_first)
{
    hand_out_token();
    cr_expect_eq(posted("/api/v1/publish", "{\"value\":\"--salt 9\",\"hex\":true,\"salt\":7}"),
                 200);
    cr_expect_str_eq(fake->words, "[--salt][7][--hex][--][--salt 9]");
    cr_expect_eq(posted("/api/v1/publish", "{\"value\":\"a b\",\"hex\":false}"), 200);
    cr_expect_str_eq(fake->words, "[--][a b]");
    cr_expect_eq(asked("GET", "/api/v1/help?verb=a+b"), 400);
    cr_expect_str_eq(fake->words, "[--][a b]");
    expect_in_body("{\"error\":\"unknown verb\",\"hint\":\"`help` lists them\"}");
}

Test(face, answers_of_the_mesh_come_later)
{
    static const struct {
        const char *status;
        int code;
    } rows[] = {
        {"ok", 200},      {"missing", 404},   {"timeout", 504}, {"unreachable", 502},
        {"refused", 502}, {"too_large", 413}, {"stale", 409},   {"unsupported", 501},
        {"invalid", 400}, {"stopped", 503},   {"full", 503},    {"anything", 503},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct face_reply reply = {0};
        ask.target = "/api/v1/ping?id=3fa2";
        cr_assert_eq(face_ask(&face, &ask, &reply), FACE_WAITS);
        cr_expect_not(reply.wait->is_done);
        fake_end(fake, rows[i].status);
        cr_assert(reply.wait->is_done);
        answer = face_wait_take(reply.wait);
        cr_expect_eq(answer.code, rows[i].code, "%s", rows[i].status);
        answer_free(&answer);
    }
    cr_expect_eq(face.waits, 0);
}

Test(face, waits_are_bounded_and_may_be_abandoned)
{
    struct face_reply replies[FACE_WAITS_MAX] = {0};
    ask.target = "/api/v1/ping?id=3fa2";
    for (size_t i = 0; i < FACE_WAITS_MAX; i++) {
        cr_assert_eq(face_ask(&face, &ask, &replies[i]), FACE_WAITS);
    }
    cr_expect_eq(asked("GET", "/api/v1/ping?id=3fa2"), 503);
    for (size_t i = 0; i < FACE_WAITS_MAX; i++) {
        face_wait_abandon(replies[i].wait);
    }
    cr_expect_eq(face.waits, 0);
}

Test(face, event_stream_checks_what_it_is_asked)
{
    struct face_reply reply = {0};
    ask.target = "/api/v1/events?topics=log,message";
    cr_expect_eq(face_ask(&face, &ask, &reply), FACE_STREAMS);
    cr_expect_eq(reply.cursor.topics, 1U << EVENT_LOG | 1U << EVENT_MESSAGE);
    cr_expect_eq(asked("GET", "/api/v1/events?topics=pears"), 400);
    expect_in_body("no topic \\\"pears\\\"");
    cr_expect_eq(asked("GET", "/api/v1/events?topic=log"), 400);
    cr_expect_eq(asked("GET", "/api/v1/events?topics=log&x=1"), 400);
    expect_in_body("\\\"x\\\"");
    cr_expect_eq(asked("GET", "/api/v1/events?topics=%"), 400);
    cr_expect_eq(asked("HEAD", "/api/v1/events"), 200);
    ask.last_event_id = "nonsense";
    cr_expect_eq(asked("GET", "/api/v1/events"), 400);
    ask.last_event_id = NULL;
    face.streams = FACE_STREAMS_MAX;
    cr_expect_eq(asked("GET", "/api/v1/events"), 503);
    face.streams = 0;
}

Test(face, metrics_count_requests_by_route_and_code)
{
    asked("GET", "/health");
    asked("GET", "/health");
    asked("GET", "/nothing");
    cr_expect_eq(asked("GET", "/metrics"), 200);
    expect_in_body("meshtwin_http_requests_total{route=\"/health\",code=\"200\"} 2\n");
    expect_in_body("meshtwin_http_requests_total{route=\"other\",code=\"404\"} 1\n");
    expect_in_body("meshtwin_messages_total{kind=\"dht.find_node\",direction=\"in\"} 0\n");
    expect_in_body("meshtwin_handshake_packets_total{step=\"ik_1\",direction=\"out\"} 0\n");
    expect_in_body("meshtwin_state{state=\"healthy\"} 1\n");
    cr_expect_str_eq(answer.type, "text/plain; version=0.0.4; charset=utf-8");
    ask.accept = "application/openmetrics-text";
    cr_expect_eq(asked("GET", "/metrics"), 200);
    cr_expect_str_eq(answer.type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    cr_expect_str_eq(answer.body.data + answer.body.len - 6, "# EOF\n");
}

Test(face, description_covers_every_path_that_is_served)
{
    cr_assert_eq(asked("GET", "/api/v1/openapi.json"), 200);
    cJSON *document = cJSON_Parse(answer.body.data);
    const cJSON *paths = cJSON_GetObjectItem(document, "paths");
    size_t described = 0;
    for (size_t i = 0; i < route_count(); i++) {
        char *path = route_path(i);
        described += cJSON_GetObjectItemCaseSensitive(paths, path) != NULL;
        free(path);
    }
    cr_expect_eq(described, route_count() - 1, "all but watch");
    const cJSON *put = cJSON_GetObjectItem(cJSON_GetObjectItem(paths, "/api/v1/publish"), "post");
    char *text = cJSON_PrintUnformatted(put);
    cr_expect_not_null(strstr(text, "\"salt\":{\"type\":\"integer\"}"), "%s", text);
    cr_expect_not_null(strstr(text, "\"required\":[\"value\"]"), "%s", text);
    free(text);
    cJSON_Delete(document);
}
