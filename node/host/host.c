/* host.c - loops and hosts: their life, and the entries into nodes. */
#include "node/host/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/host/loop.h"
#include "node/sodium/sodium_suite.h"

enum { NOTE_SIZE = 512 };

static void on_before_sleep(uv_prepare_t *handle);
static void on_after_wake(uv_check_t *handle);
static void on_closed(uv_handle_t *handle);
static void life_begin(struct host *host);
static void life_end(struct host *host);
static uint64_t wall_us(void);

static const struct port_ops real_ops = {
    .wake_at = host_wake_at,
    .path_open = host_path_open,
    .path_close = host_path_close,
    .send = host_send,
    .path_local = host_path_local,
    .gateway = host_gateway,
    .resolve = host_resolve,
    .entropy = host_entropy,
    .store_get = host_store_get,
    .store_put = host_store_put,
    .store_del = host_store_del,
    .store_scan = host_store_scan,
    .store_commit = host_store_commit,
    .intern_get = host_intern_get,
    .intern_retain = host_intern_retain,
    .intern_release = host_intern_release,
    .arena_more = host_arena_more,
    .arena_less = host_arena_less,
    .work = host_work,
    .deliver = host_deliver,
    .trace = host_trace,
};

int host_loop_open(struct host_loop **made, char reason[HOST_REASON_SIZE])
{
    if (sodium_suite_init() != ERR_OK) {
        snprintf(reason, HOST_REASON_SIZE, "libsodium cannot work on this machine");
        return ERR_IO;
    }
    struct host_loop *loop = calloc(1, sizeof *loop);
    must(loop != NULL);
    int status = uv_loop_init(&loop->uv);
    if (status != 0) {
        snprintf(reason, HOST_REASON_SIZE, "cannot make an event loop: %s", uv_strerror(status));
        free(loop);
        return ERR_IO;
    }
    loop->thread = uv_thread_self();
    loop->receive_buffer = malloc(LOOP_RECEIVE_SLOTS * LOOP_RECEIVE_SLOT_BYTES);
    must(loop->receive_buffer != NULL);
    batch_init(&loop->batch);
    intern_open(&loop->intern);
    must(uv_prepare_init(&loop->uv, &loop->before_sleep) == 0);
    must(uv_check_init(&loop->uv, &loop->after_wake) == 0);
    must(uv_prepare_start(&loop->before_sleep, on_before_sleep) == 0);
    must(uv_check_start(&loop->after_wake, on_after_wake) == 0);
    /* They serve what others do, and keep no loop running by themselves. */
    uv_unref((uv_handle_t *)&loop->before_sleep);
    uv_unref((uv_handle_t *)&loop->after_wake);
    *made = loop;
    return ERR_OK;
}

static void on_before_sleep(uv_prepare_t *handle)
{
    batch_flush(&container_of(handle, struct host_loop, before_sleep)->batch);
}

static void on_after_wake(uv_check_t *handle)
{
    batch_flush(&container_of(handle, struct host_loop, after_wake)->batch);
}

void host_loop_close(struct host_loop *loop)
{
    must(loop->host_count == 0 && loop->entered == NULL && !loop->is_telling);
    uv_close((uv_handle_t *)&loop->before_sleep, NULL);
    uv_close((uv_handle_t *)&loop->after_wake, NULL);
    /* Errands of nodes that have left come back to nobody. */
    while (uv_loop_close(&loop->uv) == UV_EBUSY) {
        (void)uv_run(&loop->uv, UV_RUN_ONCE);
    }
    must(loop->life_count == 0);
    deliveries_free(&loop->heard);
    deliveries_free(&loop->telling);
    intern_close(&loop->intern);
    free(loop->receive_buffer);
    free(loop);
}

uv_loop_t *host_loop_uv(struct host_loop *loop)
{
    return &loop->uv;
}

uint64_t host_loop_now_us(const struct host_loop *loop)
{
    (void)loop;
    return uv_hrtime() / 1000;
}

int host_open(struct host_loop *loop, const struct host_options *options, struct host **made,
              char reason[HOST_REASON_SIZE])
{
    must(loop->entered == NULL);
    struct host *host = calloc(1, sizeof *host);
    must(host != NULL);
    host->loop = loop;
    host->options = *options;
    if (options->node_bytes_max == 0) {
        host->options.node_bytes_max = HOST_NODE_BYTES;
    }
    if (options->database != NULL) {
        host->database = strdup(options->database);
        must(host->database != NULL);
    }
    host->port.ops = &real_ops;
    host->port.crypto = options->crypto != NULL ? options->crypto : &sodium_suite;
    host->port.intern = &loop->intern.view;
    loop->host_count++;
    host_clock_open(host);
    int status = host_net_open(host, reason);
    if (status == ERR_OK) {
        status = host_store_open(host, reason);
    }
    if (status != ERR_OK) {
        host_close(host);
        return status;
    }
    host->options.bind = NULL; /* The caller's, and of no more use. */
    host->options.database = NULL;
    *made = host;
    return ERR_OK;
}

void host_close(struct host *host)
{
    struct host_loop *loop = host->loop;
    must(loop->entered == NULL && !loop->is_telling);
    if (host->node != NULL) {
        host_stop(host);
    }
    if (host->store != NULL) {
        host_store_close(host, true);
    }
    host_net_close(host);
    uv_close((uv_handle_t *)&host->timer, on_closed);
    while (host->handles > 0) {
        (void)uv_run(&loop->uv, UV_RUN_ONCE);
    }
    loop->host_count--;
    free(host->database);
    free(host);
}

static void on_closed(uv_handle_t *handle)
{
    struct host *host = handle->data;
    host->handles--;
}

int host_start(struct host *host, const struct node_config *config)
{
    must(host->node == NULL);
    char reason[HOST_REASON_SIZE];
    if (host->store == NULL && host_store_open(host, reason) != ERR_OK) {
        host_note(host, HOST_NOTE_ERROR, "%s", reason);
        return ERR_IO;
    }
    life_begin(host);
    host_entry_begin(host);
    host->counts.started_us = host->port.now_us;
    int status = node_init(host->node, &host->port, config);
    if (status == ERR_OK) {
        status = node_start(host->node);
    }
    host_entry_end(host);
    if (status != ERR_OK) {
        host_kill(host);
    }
    return status;
}

void host_stop(struct host *host)
{
    must(host->node != NULL);
    host_entry_begin(host);
    node_stop(host->node);
    host_entry_end(host);
    life_end(host);
    host_store_close(host, true);
}

void host_kill(struct host *host)
{
    must(host->node != NULL);
    life_end(host);
    host_store_close(host, false);
}

static void life_begin(struct host *host)
{
    struct host_life *life = calloc(1, sizeof *life);
    must(life != NULL);
    life->host = host;
    life->loop = host->loop;
    host->loop->life_count++;
    host->life = life;
    host->node = host_chunk_get(life, sizeof(struct node));
}

/* What it has sent is sent, what it has said is said; all else is gone. */
static void life_end(struct host *host)
{
    struct host_loop *loop = host->loop;
    must(loop->entered == NULL && !loop->is_telling);
    host_wake_at(&host->port, PORT_NEVER);
    host_paths_close(host);
    batch_flush(&loop->batch);
    struct host_life *life = host->life;
    host->node = NULL;
    host->life = NULL;
    life->is_over = true;
    life->errands++;
    host_life_return(life);
}

void host_life_return(struct host_life *life)
{
    must(life->errands > 0);
    life->errands--;
    if (!life->is_over || life->errands > 0) {
        return;
    }
    struct host_loop *loop = life->loop;
    host_chunks_drop(life);
    free(life);
    loop->life_count--;
    if (loop->life_count == 0) {
        intern_clear(&loop->intern); /* The last that could hold a record. */
    }
}

int host_submit(struct host *host, const struct node_command *command)
{
    if (host->node == NULL) {
        return ERR_STOPPED;
    }
    host_entry_begin(host);
    int status = node_submit(host->node, command);
    host_entry_end(host);
    return status;
}

void host_enter(struct host *host, void (*call)(struct node *node, void *arg), void *arg)
{
    must(host->node != NULL);
    host_entry_begin(host);
    call(host->node, arg);
    host_entry_end(host);
}

const struct node *host_node(const struct host *host)
{
    return host->node;
}

struct host_loop *host_loop_of(const struct host *host)
{
    return host->loop;
}

struct port_addr host_addr(const struct host *host)
{
    return host->port.local;
}

void host_observe(const struct host *host, struct host_view *view)
{
    *view = host->counts;
    host_streams_observe(host, view);
    if (host->store != NULL) {
        struct store_view store;
        store_observe(host->store, &store);
        view->commits += store.commits;
        view->commits_failed += store.commits_failed;
        view->database_bytes = store.bytes;
        view->disk = store.is_read_only ? HOST_DISK_READ_ONLY : HOST_DISK_OK;
    }
}

void host_note(struct host *host, enum host_note how, const char *format, ...)
{
    const struct host_hooks *hooks = &host->options.hooks;
    if (hooks->noted == NULL) {
        return;
    }
    char text[NOTE_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    hooks->noted(hooks->arg, how, text);
}

void host_entry_begin(struct host *host)
{
    struct host_loop *loop = host->loop;
    uv_thread_t self = uv_thread_self();
    must(uv_thread_equal(&self, &loop->thread)); /* Law: one thread. */
    must(loop->entered == NULL);                 /* Law: never re-entered. */
    loop->entered = host;
    loop->entered_us = uv_hrtime() / 1000;
    host->port.now_us = loop->entered_us;
    host->port.wall_us = wall_us();
    host->port.spent_ns = 0;
}

/* What was sent inside has not left the batch or has left the process; what arrives is handed over
 * by the loop, after this. */
void host_entry_end(struct host *host)
{
    struct host_loop *loop = host->loop;
    must(loop->entered == host);
    must(host->port.now_us == loop->entered_us); /* Law: time stood still. */
    loop->entered = NULL;
    host_tell(loop);
}

static uint64_t wall_us(void)
{
    uv_timeval64_t now;
    must(uv_gettimeofday(&now) == 0);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_usec;
}
