/* meshnode.c - the library's door: options copied, requests numbered, events turned into callbacks.
 */
#include "node/lib/meshnode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/daemon/service.h"
#include "node/lib/peers.h"

_Static_assert((int)MESHNODE_ID_LEN == (int)NODE_ID_LEN, "ids are the node's");
_Static_assert((int)MESHNODE_MESSAGE_MAX == (int)MESSAGE_PAYLOAD_MAX, "as the wire has it");
_Static_assert((int)MESHNODE_VALUE_MAX == (int)RECORD_VALUE_MAX, "as the wire has it");
_Static_assert((int)MESHNODE_PORT == (int)HOST_PORT, "the daemon's");
_Static_assert((int)MESHNODE_REASON_SIZE == (int)HOST_REASON_SIZE, "reasons are passed on");

struct meshnode {
    struct meshnode_options options; /* Its texts are our own copies. */
    struct host_loop *loop;          /* These three between start and stop. */
    struct service *service;
    struct service_observer observer;
    uv_timer_t turn_timer; /* Ends a turn in which nothing happens. */
    struct peers peers;
    struct request *ended; /* While they were made: told in the next turn. */
    bool is_joined;
    bool is_turning;
    bool is_submitting;
};

/* A request on its way. */
struct request {
    struct meshnode *node;
    meshnode_done_fn done;
    void *arg;
    struct request *next;
    struct meshnode_result result; /* Of one that has ended early; such have no data. */
};

static char *copy_of(const char *text);
static void options_free(struct meshnode_options *options);
static void observe(struct meshnode *node);
static void on_event(void *arg, const struct port_event *event);
static void on_traced(void *arg, const struct port_trace *event);
static void on_noted(void *arg, enum host_note how, const char *text);
static void on_done(void *arg, const struct port_event *event);
static void tell_ended(struct meshnode *node);
static int submit(struct meshnode *node, struct node_command *command, meshnode_done_fn done,
                  void *arg);

void meshnode_options_default(struct meshnode_options *options)
{
    *options = (struct meshnode_options){.port = MESHNODE_PORT};
}

int meshnode_create(const struct meshnode_options *options, struct meshnode **node)
{
    struct meshnode *made = calloc(1, sizeof *made);
    char **bootstrap = calloc(options->bootstrap_count + 1, sizeof *bootstrap);
    must(made != NULL && bootstrap != NULL);
    for (size_t i = 0; i < options->bootstrap_count; i++) {
        bootstrap[i] = copy_of(options->bootstrap[i]);
    }
    made->options = *options;
    made->options.bind = copy_of(options->bind);
    made->options.identity = copy_of(options->identity);
    made->options.passphrase = copy_of(options->passphrase);
    made->options.database = copy_of(options->database);
    made->options.bootstrap = (const char *const *)bootstrap;
    *node = made;
    return ERR_OK;
}

int meshnode_start(struct meshnode *node, char reason[MESHNODE_REASON_SIZE])
{
    must(node->service == NULL);
    const struct meshnode_options *options = &node->options;
    int status = host_loop_open(&node->loop, reason);
    if (status != ERR_OK) {
        return status;
    }
    struct service_options service_options = {
        .host = {.bind = options->bind,
                 .port = options->port,
                 .database = options->database,
                 .accepts_streams = !options->refuses_streams,
                 .is_masking = options->is_masking},
        .key_path = options->identity,
        .passphrase = options->passphrase,
        .bootstrap = options->bootstrap,
        .bootstrap_count = options->bootstrap_count,
    };
    node_config_default(&service_options.node);
    if (!service_open(node->loop, &service_options, &node->service, reason)) {
        host_loop_close(node->loop);
        node->loop = NULL;
        return ERR_IO;
    }
    must(uv_timer_init(host_loop_uv(node->loop), &node->turn_timer) == 0);
    uv_unref((uv_handle_t *)&node->turn_timer);
    observe(node);
    return ERR_OK;
}

void meshnode_stop(struct meshnode *node)
{
    must(!node->is_turning);
    if (node->service == NULL) {
        return;
    }
    /* What ends now still tells its callers; then nobody is told any more. */
    service_stop_begin(node->service);
    service_unobserve(node->service, &node->observer);
    service_close(node->service);
    tell_ended(node);
    node->service = NULL;
    uv_close((uv_handle_t *)&node->turn_timer, NULL);
    (void)uv_run(host_loop_uv(node->loop), UV_RUN_NOWAIT);
    host_loop_close(node->loop);
    node->loop = NULL;
    peers_free(&node->peers);
    node->is_joined = false;
}

void meshnode_destroy(struct meshnode *node)
{
    if (node == NULL) {
        return;
    }
    meshnode_stop(node);
    options_free(&node->options);
    free(node);
}

static void on_turn_timer(uv_timer_t *timer)
{
    (void)timer; /* That it came is all. */
}

/* A node without bootstrap nodes is ready at once: the mesh begins with it. */
static bool is_ready(const struct meshnode *node)
{
    struct service_health health;
    service_health(node->service, &health);
    return health.is_ready;
}

void meshnode_turn(struct meshnode *node, int timeout_ms)
{
    must(node->service != NULL && !node->is_turning);
    node->is_turning = true;
    uv_loop_t *loop = host_loop_uv(node->loop);
    if (node->ended != NULL) {
        tell_ended(node);
        timeout_ms = 0;
    }
    if (timeout_ms > 0) {
        must(uv_timer_start(&node->turn_timer, on_turn_timer, (uint64_t)timeout_ms, 0) == 0);
    }
    (void)uv_run(loop, timeout_ms == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    (void)uv_timer_stop(&node->turn_timer);
    const struct meshnode_callbacks *callbacks = &node->options.callbacks;
    if (!node->is_joined && is_ready(node)) {
        node->is_joined = true;
        if (callbacks->on_joined != NULL) {
            callbacks->on_joined(callbacks->arg);
        }
    }
    if (callbacks->on_peer != NULL) {
        peers_tell(&node->peers, service_node(node->service), callbacks);
    }
    node->is_turning = false;
}

int meshnode_fd(const struct meshnode *node)
{
    must(node->service != NULL);
    return uv_backend_fd(host_loop_uv(node->loop));
}

int meshnode_timeout_ms(const struct meshnode *node)
{
    must(node->service != NULL);
    return node->ended != NULL ? 0 : uv_backend_timeout(host_loop_uv(node->loop));
}

void meshnode_self(const struct meshnode *node, struct meshnode_id *id)
{
    must(node->service != NULL);
    struct node_view view;
    node_observe(service_node(node->service), &view);
    memcpy(id->bytes, view.id.bytes, sizeof id->bytes);
}

void meshnode_address(const struct meshnode *node, char text[MESHNODE_ADDRESS_SIZE])
{
    must(node->service != NULL);
    char whole[HOST_ADDR_TEXT_SIZE];
    _Static_assert(sizeof whole <= MESHNODE_ADDRESS_SIZE, "the address fits");
    struct port_addr addr = host_addr(service_host(node->service));
    host_addr_format(&addr, whole);
    memcpy(text, whole, sizeof whole);
}

bool meshnode_is_joined(const struct meshnode *node)
{
    return node->is_joined;
}

size_t meshnode_peer_count(const struct meshnode *node)
{
    must(node->service != NULL);
    struct node_view view;
    node_observe(service_node(node->service), &view);
    return view.contacts;
}

/* --- requests ------------------------------------------------------------------------------- */

int meshnode_connect(struct meshnode *node, const char *address, meshnode_done_fn done, void *arg)
{
    struct node_command command = {.kind = NODE_CONNECT};
    if (!host_addr_parse(address, &command.addr)) {
        return ERR_INVALID;
    }
    return submit(node, &command, done, arg);
}

int meshnode_ping(struct meshnode *node, const struct meshnode_id *id, meshnode_done_fn done,
                  void *arg)
{
    struct node_command command = {.kind = NODE_PING};
    memcpy(command.id.bytes, id->bytes, sizeof id->bytes);
    return submit(node, &command, done, arg);
}

int meshnode_send(struct meshnode *node, const struct meshnode_id *id, const void *data, size_t len,
                  meshnode_done_fn done, void *arg)
{
    struct node_command command = {.kind = NODE_SEND, .bytes = slice_of(data, len)};
    memcpy(command.id.bytes, id->bytes, sizeof id->bytes);
    return submit(node, &command, done, arg);
}

int meshnode_broadcast(struct meshnode *node, const void *data, size_t len, meshnode_done_fn done,
                       void *arg)
{
    struct node_command command = {.kind = NODE_BROADCAST, .bytes = slice_of(data, len)};
    return submit(node, &command, done, arg);
}

int meshnode_put(struct meshnode *node, const void *data, size_t len, meshnode_done_fn done,
                 void *arg)
{
    struct node_command command = {.kind = NODE_PUT, .bytes = slice_of(data, len)};
    return submit(node, &command, done, arg);
}

int meshnode_get(struct meshnode *node, const struct meshnode_id *key, meshnode_done_fn done,
                 void *arg)
{
    struct node_command command = {.kind = NODE_GET};
    memcpy(command.id.bytes, key->bytes, sizeof key->bytes);
    return submit(node, &command, done, arg);
}

static int submit(struct meshnode *node, struct node_command *command, meshnode_done_fn done,
                  void *arg)
{
    if (node->service == NULL) {
        return ERR_STOPPED;
    }
    struct request *request = calloc(1, sizeof *request);
    must(request != NULL);
    *request = (struct request){.node = node, .done = done, .arg = arg};
    node->is_submitting = true;
    int status = service_submit(node->service, command, on_done, request);
    node->is_submitting = false;
    if (status != ERR_OK) {
        free(request);
    }
    return status;
}

static void on_done(void *arg, const struct port_event *event)
{
    struct request *request = arg;
    struct meshnode_result result = {.status = event->status, .took_us = event->took_us};
    if (event->about.len == sizeof result.id.bytes) {
        memcpy(result.id.bytes, event->about.data, sizeof result.id.bytes);
    }
    if (event->kind == NODE_GET_DONE && event->status == ERR_OK) {
        result.data = event->bytes.data;
        result.len = event->bytes.len;
    }
    result.holders = event->kind == NODE_PUT_DONE ? event->count[0] : 0;
    if (request->node->is_submitting) {
        must(result.data == NULL); /* A value takes a lookup, and a lookup takes time. */
        request->result = result;
        request->next = request->node->ended;
        request->node->ended = request;
        return;
    }
    if (request->done != NULL) {
        request->done(request->arg, &result);
    }
    free(request);
}

/* Each call made at most one, and their order among each other says nothing. */
static void tell_ended(struct meshnode *node)
{
    while (node->ended != NULL) {
        struct request *request = node->ended;
        node->ended = request->next;
        if (request->done != NULL) {
            request->done(request->arg, &request->result);
        }
        free(request);
    }
}

/* --- what the node says --------------------------------------------------------------------- */

static void observe(struct meshnode *node)
{
    peers_open(&node->peers);
    node->observer = (struct service_observer){
        .arg = node, .event = on_event, .traced = on_traced, .noted = on_noted};
    service_observe(node->service, &node->observer);
}

static void on_event(void *arg, const struct port_event *event)
{
    struct meshnode *node = arg;
    const struct meshnode_callbacks *callbacks = &node->options.callbacks;
    switch (event->kind) {
    case NODE_MESSAGE:
        if (callbacks->on_message != NULL) {
            struct meshnode_id from;
            memcpy(from.bytes, event->about.data, sizeof from.bytes);
            callbacks->on_message(callbacks->arg, &from, event->bytes.data, event->bytes.len);
        }
        break;
    case NODE_NEWS:
        if (callbacks->on_news != NULL) {
            callbacks->on_news(callbacks->arg, event->bytes.data, event->bytes.len);
        }
        break;
    default: /* Outcomes go to whoever asked. */
        break;
    }
}

static void on_traced(void *arg, const struct port_trace *event)
{
    struct meshnode *node = arg;
    if (event->kind == TRACE_TABLE_ADD || event->kind == TRACE_TABLE_DROP) {
        node->peers.is_changed = true;
    }
}

static void on_noted(void *arg, enum host_note how, const char *text)
{
    const struct meshnode_callbacks *callbacks = &((struct meshnode *)arg)->options.callbacks;
    static const enum meshnode_level levels[] = {[HOST_NOTE_INFO] = MESHNODE_INFO,
                                                 [HOST_NOTE_WARNING] = MESHNODE_WARNING,
                                                 [HOST_NOTE_ERROR] = MESHNODE_ERROR};
    if (callbacks->on_log != NULL) {
        callbacks->on_log(callbacks->arg, levels[how], text);
    }
}

/* --- texts ----------------------------------------------------------------------------------- */

void meshnode_id_format(const struct meshnode_id *id, char text[MESHNODE_ID_TEXT_SIZE])
{
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", id->bytes[i]);
    }
}

static int digit_of(char letter)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = letter != '\0' ? strchr(digits, letter | 0x20) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

bool meshnode_id_parse(const char *text, struct meshnode_id *id)
{
    if (strlen(text) != 2 * sizeof id->bytes) {
        return false;
    }
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        int high = digit_of(text[2 * i]);
        int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        id->bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

const char *meshnode_status_text(int status)
{
    return err_text(status);
}

const char *meshnode_version(void)
{
    return MESHNODE_VERSION;
}

static char *copy_of(const char *text)
{
    char *copy = text != NULL ? strdup(text) : NULL;
    must(text == NULL || copy != NULL);
    return copy;
}

static void options_free(struct meshnode_options *options)
{
    for (size_t i = 0; i < options->bootstrap_count; i++) {
        free((char *)(uintptr_t)options->bootstrap[i]);
    }
    free((char **)(uintptr_t)options->bootstrap);
    free((char *)(uintptr_t)options->bind);
    free((char *)(uintptr_t)options->identity);
    free((char *)(uintptr_t)options->passphrase);
    free((char *)(uintptr_t)options->database);
}
