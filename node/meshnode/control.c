/* control.c - a server of lines on a unix socket. */
#include "node/meshnode/control.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/daemon/verb_parts.h"

struct connection {
    uv_pipe_t pipe;
    struct control *control;
    struct connection *next;
    char *line; /* VERB_LINE_MAX and a terminator; allocated with the first byte. */
    size_t len;
    size_t requests; /* Under way: the connection lives until the last is answered. */
    bool is_watching;
    bool is_ending; /* The client asks no more, and may still read. */
    bool is_closing;
    bool is_closed;
};

struct request {
    struct connection *connection;
    cJSON *id; /* NULL: the client gave none. */
};

struct control {
    struct verb_context context;
    uv_pipe_t listener;
    bool is_listener_open;
    char *path;
    struct service *service; /* NULL once it is gone: nobody to stop observing. */
    struct service_observer observer;
    struct connection *connections;
    size_t count;
    char chunk[4096]; /* What libuv reads into, one connection at a time. */
};

static bool remove_stale(const char *path, char reason[HOST_REASON_SIZE]);
static void on_connection(uv_stream_t *listener, int status);
static void on_listener_closed(uv_handle_t *handle);
static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);
static void take_line(struct connection *connection);
static void run_request(struct connection *connection, const cJSON *request);
static void on_reply(void *arg, const struct verb_reply *reply);
static void answer(struct connection *connection, const cJSON *id, const struct verb_reply *reply);
static void complain(struct connection *connection, const cJSON *id, const char *text);
static void send_line(struct connection *connection, const cJSON *line);
static void on_event(void *arg, const struct port_event *event);
static void connection_close(struct connection *connection);
static void connection_release(struct connection *connection);

bool control_open(const struct verb_context *context, const char *path, struct control **result,
                  char reason[HOST_REASON_SIZE])
{
    if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
        snprintf(reason, HOST_REASON_SIZE,
                 "the control socket's path is longer than %zu bytes: give a shorter --control",
                 sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
        return false;
    }
    if (!remove_stale(path, reason)) {
        return false;
    }
    struct control *control = text_alloc(1, sizeof *control);
    control->context = *context;
    control->service = context->service;
    control->path = text_copy(path, strlen(path));
    uv_loop_t *loop = host_loop_uv(host_loop_of(service_host(context->service)));
    must(uv_pipe_init(loop, &control->listener, 0) == 0);
    control->listener.data = control;
    control->is_listener_open = true;
    mode_t mask = umask(0177); /* The socket is never open to others, not even for a moment. */
    int status = uv_pipe_bind(&control->listener, path);
    umask(mask);
    if (status == 0) {
        status =
            uv_listen((uv_stream_t *)&control->listener, CONTROL_CONNECTIONS_MAX, on_connection);
    }
    if (status != 0) {
        snprintf(reason, HOST_REASON_SIZE, "the control socket %.120s cannot be made: %s", path,
                 uv_strerror(status));
        control->path[0] = '\0'; /* Not ours to remove. */
        control->service = NULL;
        control_close(control);
        return false;
    }
    control->observer = (struct service_observer){.arg = control, .event = on_event};
    service_observe(control->service, &control->observer);
    *result = control;
    return true;
}

void control_stop(struct control *control)
{
    if (control->is_listener_open && !uv_is_closing((uv_handle_t *)&control->listener)) {
        uv_close((uv_handle_t *)&control->listener, on_listener_closed);
    }
    for (struct connection *at = control->connections; at != NULL; at = at->next) {
        if (!at->is_closing) {
            uv_read_stop((uv_stream_t *)&at->pipe);
        }
    }
    if (control->service != NULL) {
        service_unobserve(control->service, &control->observer);
        control->service = NULL;
    }
}

void control_close(struct control *control)
{
    uv_loop_t *loop = control->listener.loop;
    control_stop(control);
    for (struct connection *at = control->connections; at != NULL; at = at->next) {
        connection_close(at);
    }
    while (control->is_listener_open || control->connections != NULL) {
        uv_run(loop, UV_RUN_ONCE);
    }
    if (control->path[0] != '\0') {
        unlink(control->path);
    }
    free(control->path);
    free(control);
}

/* A socket nobody listens on any more is removed; a live one is another node's. */
static bool remove_stale(const char *path, char reason[HOST_REASON_SIZE])
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat status;
    if (lstat(path, &status) != 0) {
        return true;
    }
    if (!S_ISSOCK(status.st_mode)) {
        snprintf(reason, HOST_REASON_SIZE, "%.150s exists and is no socket: give another --control",
                 path);
        return false;
    }
    memcpy(addr.sun_path, path, strlen(path));
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(descriptor >= 0);
    bool is_live = connect(descriptor, (const struct sockaddr *)&addr, sizeof addr) == 0;
    close(descriptor);
    if (is_live) {
        snprintf(reason, HOST_REASON_SIZE,
                 "another node answers at the control socket %.100s: stop it, or give another "
                 "--control",
                 path);
        return false;
    }
    unlink(path);
    return true;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct control *control = listener->data;
    if (status != 0) {
        return;
    }
    struct connection *connection = text_alloc(1, sizeof *connection);
    must(uv_pipe_init(listener->loop, &connection->pipe, 0) == 0);
    connection->pipe.data = connection;
    connection->control = control;
    connection->next = control->connections;
    control->connections = connection;
    control->count++;
    if (uv_accept(listener, (uv_stream_t *)&connection->pipe) != 0) {
        connection_close(connection);
        return;
    }
    if (control->count > CONTROL_CONNECTIONS_MAX) {
        complain(connection, NULL, "too many connections: close one first");
        connection_close(connection);
        return;
    }
    uv_read_start((uv_stream_t *)&connection->pipe, on_room, on_read);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct control *control = handle->data;
    control->is_listener_open = false;
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct connection *connection = handle->data;
    *buffer = uv_buf_init(connection->control->chunk, sizeof connection->control->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    if (count < 0) {
        connection->is_ending = true;
        uv_read_stop(stream);
        if (count != UV_EOF || connection->requests == 0) {
            connection_close(connection);
        }
        return;
    }
    if (connection->line == NULL) {
        connection->line = text_alloc(VERB_LINE_MAX + 1, 1);
    }
    for (ssize_t i = 0; i < count && !connection->is_closing; i++) {
        if (buffer->base[i] == '\n') {
            connection->line[connection->len] = '\0';
            take_line(connection);
            connection->len = 0;
        } else if (connection->len == VERB_LINE_MAX) {
            complain(connection, NULL, "the request is longer than a line may be");
            connection_close(connection);
        } else {
            connection->line[connection->len++] = buffer->base[i];
        }
    }
}

static void take_line(struct connection *connection)
{
    const char *end = NULL;
    cJSON *request = cJSON_ParseWithOpts(connection->line, &end, true);
    if (!cJSON_IsObject(request)) {
        complain(connection, NULL, "the request is no JSON object on one line");
    } else if (connection->requests == CONTROL_REQUESTS_MAX) {
        complain(connection, cJSON_GetObjectItemCaseSensitive(request, "id"),
                 "too many requests are under way on this connection");
    } else {
        run_request(connection, request);
    }
    cJSON_Delete(request);
}

static void run_request(struct connection *connection, const cJSON *request)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(request, "id");
    const cJSON *verb = cJSON_GetObjectItemCaseSensitive(request, "verb");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(request, "words");
    const char *words[VERB_WORDS_MAX];
    size_t count = 0;
    bool ok = cJSON_IsString(verb) && (list == NULL || cJSON_IsArray(list));
    const cJSON *word;
    cJSON_ArrayForEach(word, list)
    {
        ok = ok && cJSON_IsString(word) && count < VERB_WORDS_MAX;
        if (ok) {
            words[count++] = word->valuestring;
        }
    }
    if (!ok) {
        complain(connection, id, "a request has \"verb\", a text, and \"words\", a list of texts");
        return;
    }
    struct request *running = text_alloc(1, sizeof *running);
    *running = (struct request){connection, cJSON_Duplicate(id, true)};
    connection->requests++;
    connection->is_watching |= strcmp(verb->valuestring, "watch") == 0;
    verb_run(&connection->control->context, verb->valuestring, words, count, on_reply, running);
}

static void on_reply(void *arg, const struct verb_reply *reply)
{
    struct request *request = arg;
    struct connection *connection = request->connection;
    answer(connection, request->id, reply);
    cJSON_Delete(request->id);
    free(request);
    connection->requests--;
    if (connection->is_ending && connection->requests == 0) {
        connection_close(connection);
    }
    connection_release(connection);
}

static void answer(struct connection *connection, const cJSON *id, const struct verb_reply *reply)
{
    cJSON *line = cJSON_CreateObject();
    if (id != NULL) {
        must(cJSON_AddItemToObject(line, "id", cJSON_Duplicate(id, true)));
    }
    verb_add_bool(line, "ok", reply->ok);
    verb_add_number(line, "code", reply->code);
    verb_add_text(line, "text", reply->text);
    if (reply->data != NULL) {
        must(cJSON_AddItemReferenceToObject(line, "data", reply->data));
    }
    send_line(connection, line);
    cJSON_Delete(line);
}

static void complain(struct connection *connection, const cJSON *id, const char *text)
{
    answer(connection, id, &(struct verb_reply){.code = VERB_USAGE, .text = text});
}

/* --- out ------------------------------------------------------------------------------------- */

struct outgoing {
    uv_write_t write;
    char *text;
};

static void on_written(uv_write_t *write, int status)
{
    (void)status; /* A client that is gone is noticed when reading. */
    struct outgoing *outgoing = write->data;
    free(outgoing->text);
    free(outgoing);
}

static void send_line(struct connection *connection, const cJSON *line)
{
    uv_stream_t *stream = (uv_stream_t *)&connection->pipe;
    if (connection->is_closing || uv_stream_get_write_queue_size(stream) > CONTROL_BACKLOG_BYTES) {
        return;
    }
    struct outgoing *outgoing = text_alloc(1, sizeof *outgoing);
    outgoing->text = cJSON_PrintUnformatted(line);
    must(outgoing->text != NULL);
    outgoing->write.data = outgoing;
    size_t len = strlen(outgoing->text);
    outgoing->text[len] = '\n'; /* In the terminator's place: a line, not a string, from here on. */
    uv_buf_t buffer = uv_buf_init(outgoing->text, (unsigned)len + 1);
    if (uv_write(&outgoing->write, stream, &buffer, 1, on_written) != 0) {
        on_written(&outgoing->write, 0);
    }
}

static void on_event(void *arg, const struct port_event *event)
{
    struct control *control = arg;
    if (event->kind != NODE_MESSAGE && event->kind != NODE_NEWS) {
        return;
    }
    bool is_message = event->kind == NODE_MESSAGE;
    cJSON *data = cJSON_CreateObject();
    verb_add_text(data, "schema", is_message ? "meshtwin.message.v1" : "meshtwin.news.v1");
    if (is_message) {
        verb_add_about(data, "from", event);
    } else {
        verb_add_hex(data, "broadcast", event->about.data, event->about.len);
        verb_add_count(data, "hops", event->count[0]);
    }
    verb_add_value(data, event->bytes, true);
    struct text text = {0};
    verb_say(data, &text, is_message ? "message from " : "news ", is_message ? "from" : "broadcast",
             VERB_AS_ID, ": ");
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(data, "value");
    text_add(&text, "%s", cJSON_IsString(value) ? value->valuestring : verb_text_of(data, "hex"));
    cJSON *line = cJSON_CreateObject();
    verb_add_text(line, "event", is_message ? "message" : "news");
    verb_add_text(line, "text", text.data);
    must(cJSON_AddItemToObject(line, "data", data));
    for (struct connection *at = control->connections; at != NULL; at = at->next) {
        if (at->is_watching) {
            send_line(at, line);
        }
    }
    free(text.data);
    cJSON_Delete(line);
}

/* --- ends ------------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    connection->is_closed = true;
    connection_release(connection);
}

static void connection_close(struct connection *connection)
{
    if (!connection->is_closing) {
        connection->is_closing = true;
        uv_close((uv_handle_t *)&connection->pipe, on_closed);
    }
}

/* When nobody holds it any more: neither libuv nor a request. */
static void connection_release(struct connection *connection)
{
    struct control *control = connection->control;
    if (!connection->is_closed || connection->requests > 0) {
        return;
    }
    struct connection **link = &control->connections;
    while (*link != connection) {
        link = &(*link)->next;
    }
    *link = connection->next;
    control->count--;
    free(connection->line);
    free(connection);
}
