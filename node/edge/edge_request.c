/* edge_request.c - one request: gathered, answered at once or when the mesh has, forgotten.
 *
 *      headers -> body -> face_ask -> answer -> queued
 *                            '-> wait -> suspended ... ready -> resumed -> answer -> queued
 *
 * A suspended connection does not notice that its client is gone; it ends when its verb does, and
 * every verb ends within a minute.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "node/base/must.h"
#include "node/edge/edge_parts.h"

struct edge_request {
    struct edge *edge;
    struct MHD_Connection *handle;
    struct edge_request *next; /* While suspended. */
    struct text body;
    size_t body_len; /* Of all that came, kept or not. */
    struct face_reply reply;
    bool is_suspended;
};

static struct edge_request *request_open(struct edge *edge, struct MHD_Connection *handle);
static bool announces_too_much(struct MHD_Connection *handle);
static void take_body(struct edge_request *request, const char *data, size_t len);
static enum MHD_Result ask_face(struct edge_request *request, const char *method);
static enum MHD_Result refuse_body(struct edge_request *request);
static enum MHD_Result go_on(struct edge_request *request);
static enum MHD_Result refuse_stopping(struct edge_request *request);
static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                 const char *value);
static void suspend(struct edge_request *request);
static void resume(struct edge_request *request);
static void on_ready(void *arg);
static enum MHD_Result send_answer(struct edge_request *request);
static enum MHD_Result send_stream(struct edge_request *request);

/* Called before the headers are read; the request may end before it is one, so that its target is
 * kept with the connection. */
void *edge_on_target(void *arg, const char *target, struct MHD_Connection *handle)
{
    (void)arg;
    struct edge_connection *connection = edge_connection_of(handle);
    free(connection->target);
    connection->target = text_copy(target, strlen(target));
    return NULL;
}

/* Once with the headers, for each piece of the body, and when the request is whole; then again
 * after it has been suspended. */
enum MHD_Result edge_on_request(void *arg, struct MHD_Connection *handle, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *data_len, void **context)
{
    (void)url; /* Decoded; we take the target apart ourselves. */
    (void)version;
    struct edge_request *request = *context;
    if (request == NULL) {
        request = request_open(arg, handle);
        *context = request;
        return announces_too_much(handle) ? refuse_body(request) : MHD_YES;
    }
    if (*data_len > 0) {
        take_body(request, data, *data_len);
        *data_len = 0;
        return MHD_YES;
    }
    if (request->reply.wait != NULL) {
        return go_on(request);
    }
    return request->body_len > EDGE_BODY_MAX ? refuse_body(request) : ask_face(request, method);
}

void edge_on_completed(void *arg, struct MHD_Connection *handle, void **context,
                       enum MHD_RequestTerminationCode code)
{
    (void)arg;
    (void)code;
    struct edge_request *request = *context;
    if (request == NULL) {
        return;
    }
    must(!request->is_suspended);
    if (request->reply.wait != NULL) {
        face_wait_abandon(request->reply.wait);
    }
    answer_free(&request->reply.answer);
    free(request->body.data);
    free(request);
    *context = NULL;
    edge_connection_set_busy(edge_connection_of(handle), false);
}

void edge_requests_end(struct edge *edge)
{
    while (edge->waiting != NULL) {
        resume(edge->waiting);
    }
}

static struct edge_request *request_open(struct edge *edge, struct MHD_Connection *handle)
{
    struct edge_request *request = text_alloc(1, sizeof *request);
    request->edge = edge;
    request->reply.route = route_count(); /* Until it is known. */
    request->handle = handle;
    return request;
}

/* Refused before it is sent. */
static bool announces_too_much(struct MHD_Connection *handle)
{
    const char *text = MHD_lookup_connection_value(handle, MHD_HEADER_KIND, "Content-Length");
    return text != NULL && strtoull(text, NULL, 10) > EDGE_BODY_MAX;
}

/* What is over the limit is read and dropped: libmicrohttpd answers only whole requests. */
static void take_body(struct edge_request *request, const char *data, size_t len)
{
    size_t room = EDGE_BODY_MAX - request->body.len;
    size_t taken = len < room ? len : room;
    struct text *body = &request->body;
    request->body_len += len;
    if (body->data == NULL) {
        body->data = text_alloc(EDGE_BODY_MAX + 1, 1);
    }
    memcpy(body->data + body->len, data, taken);
    body->len += taken;
}

static enum MHD_Result ask_face(struct edge_request *request, const char *method)
{
    if (request->edge->is_closing) {
        return refuse_stopping(request);
    }
    struct edge_connection *connection = edge_connection_of(request->handle);
    struct ask ask = {.method = method,
                      .target = connection->target,
                      .body = request->body.data != NULL ? request->body.data : "",
                      .body_len = request->body.len};
    MHD_get_connection_values(request->handle, MHD_HEADER_KIND, on_header, &ask);
    switch (face_ask(&request->edge->face, &ask, &request->reply)) {
    case FACE_WAITS:
        suspend(request);
        return MHD_YES;
    case FACE_STREAMS:
        return send_stream(request);
    case FACE_ANSWERED:
        break;
    }
    return send_answer(request);
}

static enum MHD_Result refuse_body(struct edge_request *request)
{
    answer_error(&request->reply.answer, HTTP_CONTENT_TOO_LARGE, "send less at a time",
                 "the body is longer than %d bytes", EDGE_BODY_MAX);
    return send_answer(request);
}

/* Resumed, because the verb has ended or because the edge does. */
static enum MHD_Result go_on(struct edge_request *request)
{
    struct face_wait *wait = request->reply.wait;
    request->reply.wait = NULL;
    if (wait->is_done) {
        request->reply.answer = face_wait_take(wait);
    } else {
        face_wait_abandon(wait);
        return refuse_stopping(request);
    }
    return send_answer(request);
}

static enum MHD_Result refuse_stopping(struct edge_request *request)
{
    answer_error(&request->reply.answer, HTTP_SERVICE_UNAVAILABLE, "ask another node",
                 "the node is leaving the mesh");
    return send_answer(request);
}

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    (void)kind;
    struct ask *ask = arg;
    const struct {
        const char *name;
        const char **value;
    } rows[] = {{"Host", &ask->host},
                {"Origin", &ask->origin},
                {"Authorization", &ask->authorization},
                {"X-Token", &ask->token},
                {"Content-Type", &ask->content_type},
                {"Accept", &ask->accept},
                {"Last-Event-ID", &ask->last_event_id}};
    for (size_t i = 0; i < array_len(rows); i++) {
        if (strcasecmp(rows[i].name, name) == 0) {
            ask->is_ambiguous = ask->is_ambiguous || *rows[i].value != NULL;
            *rows[i].value = value != NULL ? value : "";
        }
    }
    return MHD_YES;
}

static void suspend(struct edge_request *request)
{
    struct edge *edge = request->edge;
    request->is_suspended = true;
    request->next = edge->waiting;
    edge->waiting = request;
    request->reply.wait->ready = on_ready;
    request->reply.wait->arg = request;
    edge_connection_set_busy(edge_connection_of(request->handle), true);
    MHD_suspend_connection(request->handle);
}

static void resume(struct edge_request *request)
{
    struct edge_request **link = &request->edge->waiting;
    while (*link != request) {
        must(*link != NULL);
        link = &(*link)->next;
    }
    *link = request->next;
    request->is_suspended = false;
    MHD_resume_connection(request->handle);
    edge_wake(request->edge);
}

static void on_ready(void *arg)
{
    struct edge_request *request = arg;
    if (request->is_suspended) {
        resume(request);
    }
}

/* Nothing here is to be kept, framed, run or guessed at by a browser. */
void edge_add_headers(struct MHD_Response *response)
{
    static const char *const headers[][2] = {
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    };
    for (size_t i = 0; i < array_len(headers); i++) {
        must(MHD_add_response_header(response, headers[i][0], headers[i][1]) == MHD_YES);
    }
}

static enum MHD_Result send_answer(struct edge_request *request)
{
    struct answer *answer = &request->reply.answer;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body.len, answer->body.data, MHD_RESPMEM_MUST_FREE);
    must(response != NULL);
    answer->body = (struct text){0}; /* The response's now. */
    edge_add_headers(response);
    if (answer->type != NULL) {
        MHD_add_response_header(response, "Content-Type", answer->type);
    }
    if (answer->allow != NULL) {
        MHD_add_response_header(response, "Allow", answer->allow);
    }
    if (answer->code == HTTP_UNAUTHORIZED) {
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"meshnode\"");
    }
    if (answer->code == HTTP_SERVICE_UNAVAILABLE) {
        MHD_add_response_header(response, "Retry-After", "1");
    }
    face_count(&request->edge->face, request->reply.route, answer->code);
    enum MHD_Result result = MHD_queue_response(request->handle, (unsigned)answer->code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_stream(struct edge_request *request)
{
    struct edge *edge = request->edge;
    struct MHD_Response *response = edge_stream_open(edge, request->handle, &request->reply.cursor);
    edge_connection_set_busy(edge_connection_of(request->handle), true);
    face_count(&edge->face, request->reply.route, HTTP_OK);
    enum MHD_Result result = MHD_queue_response(request->handle, HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}
