/* store_writer.c - the thread that makes batches durable: one transaction each, in order. */
#include "node/host/store_writer.h"

#include <stdio.h>

#include "node/base/must.h"
#include "node/host/store_file.h"

enum {
    /* 4 MB of log, as much as by SQLite's own default (sqlite.org/wal.html section 2.2). */
    LOG_PAGES_MAX = 500,
};

static const char *const statement_texts[STORE_STATEMENT_COUNT] = {
    [STORE_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_PUT] = "INSERT OR REPLACE INTO kv(key, value, hash) VALUES (?1, ?2, ?3)",
    [STORE_DELETE] = "DELETE FROM kv WHERE key = ?1",
    [STORE_COMMIT] = "COMMIT",
};

static void run(void *arg);
static void settle(struct store_writer *writer, struct overlay_batch *batch);
static int apply(struct store_writer *writer, const struct overlay_batch *batch);
static int write_one(struct store_writer *writer, const struct overlay_write *write);
static int step(struct store_writer *writer, enum store_statement which);
static int note_log(void *arg, sqlite3 *connection, const char *name, int pages);
static void fold_log(struct store_writer *writer);
static void push(struct store_queue *queue, struct overlay_batch *batch);
static struct overlay_batch *take_all(struct store_queue *queue);

int store_writer_start(struct store_writer *writer, sqlite3 *connection, bool has_thread,
                       uv_async_t *wake, char reason[HOST_REASON_SIZE])
{
    *writer =
        (struct store_writer){.connection = connection, .wake = wake, .has_thread = has_thread};
    writer->waiting.end = &writer->waiting.first;
    writer->done.end = &writer->done.first;
    (void)sqlite3_wal_hook(connection, note_log, writer);
    int status = SQLITE_OK;
    for (size_t i = 0; i < STORE_STATEMENT_COUNT && status == SQLITE_OK; i++) {
        status = sqlite3_prepare_v3(connection, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &writer->statements[i], NULL);
    }
    must(uv_mutex_init(&writer->mutex) == 0 && uv_cond_init(&writer->changed) == 0);
    if (status != SQLITE_OK) {
        snprintf(reason, HOST_REASON_SIZE, "cannot use the database: %s",
                 sqlite3_errmsg(connection));
    } else if (has_thread && (status = uv_thread_create(&writer->thread, run, writer)) != 0) {
        snprintf(reason, HOST_REASON_SIZE, "cannot start a thread: %s", uv_strerror(status));
    }
    if (status != 0) {
        store_writer_free(writer);
        return ERR_IO;
    }
    return ERR_OK;
}

void store_writer_submit(struct store_writer *writer, struct overlay_batch *batch)
{
    batch->next = NULL;
    if (!writer->has_thread) {
        settle(writer, batch);
        push(&writer->done, batch);
        must(uv_async_send(writer->wake) == 0);
        return;
    }
    uv_mutex_lock(&writer->mutex);
    push(&writer->waiting, batch);
    uv_cond_broadcast(&writer->changed);
    uv_mutex_unlock(&writer->mutex);
}

struct overlay_batch *store_writer_take(struct store_writer *writer, int *fold_status)
{
    uv_mutex_lock(&writer->mutex);
    struct overlay_batch *done = take_all(&writer->done);
    *fold_status = writer->fold_status;
    uv_mutex_unlock(&writer->mutex);
    return done;
}

void store_writer_wait(struct store_writer *writer)
{
    uv_mutex_lock(&writer->mutex);
    while (writer->waiting.first != NULL || writer->is_busy) {
        uv_cond_wait(&writer->changed, &writer->mutex);
    }
    uv_mutex_unlock(&writer->mutex);
}

struct overlay_batch *store_writer_stop(struct store_writer *writer)
{
    uv_mutex_lock(&writer->mutex);
    writer->is_stopping = true;
    struct overlay_batch *never_begun = take_all(&writer->waiting);
    uv_cond_broadcast(&writer->changed);
    uv_mutex_unlock(&writer->mutex);
    if (writer->has_thread) {
        must(uv_thread_join(&writer->thread) == 0);
    }
    return never_begun;
}

void store_writer_free(struct store_writer *writer)
{
    for (size_t i = 0; i < STORE_STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(writer->statements[i]); /* Repeats the verdict of the last step. */
    }
    uv_cond_destroy(&writer->changed);
    uv_mutex_destroy(&writer->mutex);
}

static void run(void *arg)
{
    struct store_writer *writer = arg;
    uv_mutex_lock(&writer->mutex);
    while (!writer->is_stopping) {
        struct overlay_batch *batch = writer->waiting.first;
        if (batch == NULL) {
            uv_cond_wait(&writer->changed, &writer->mutex);
            continue;
        }
        writer->waiting.first = batch->next;
        if (batch->next == NULL) {
            writer->waiting.end = &writer->waiting.first;
        }
        batch->next = NULL;
        writer->is_busy = true;
        uv_mutex_unlock(&writer->mutex);

        settle(writer, batch);

        uv_mutex_lock(&writer->mutex);
        push(&writer->done, batch);
        writer->is_busy = false;
        uv_cond_broadcast(&writer->changed);
        must(uv_async_send(writer->wake) == 0);
        if (writer->log_pages >= LOG_PAGES_MAX) {
            fold_log(writer);
        }
    }
    uv_mutex_unlock(&writer->mutex);
}

/* Writes the batch, or fails it because one that it was made on top of has failed. */
static void settle(struct store_writer *writer, struct overlay_batch *batch)
{
    if (batch->generation > writer->generation_failed) {
        batch->status = apply(writer, batch);
        if (batch->status == SQLITE_OK) {
            return;
        }
        writer->generation_failed = batch->generation;
        writer->status_failed = batch->status;
        writer->errno_failed = sqlite3_system_errno(writer->connection);
        if (!sqlite3_get_autocommit(writer->connection)) {
            (void)sqlite3_exec(writer->connection, "ROLLBACK", NULL, NULL, NULL);
        }
    }
    batch->status = writer->status_failed;
    batch->system_errno = writer->errno_failed;
}

static int apply(struct store_writer *writer, const struct overlay_batch *batch)
{
    if (batch->writes == NULL) {
        return SQLITE_OK;
    }
    int status = step(writer, STORE_BEGIN);
    for (const struct overlay_write *write = batch->writes; write != NULL && status == SQLITE_OK;
         write = write->next) {
        status = write_one(writer, write);
    }
    return status == SQLITE_OK ? step(writer, STORE_COMMIT) : status;
}

static int write_one(struct store_writer *writer, const struct overlay_write *write)
{
    enum store_statement which = write->is_deletion ? STORE_DELETE : STORE_PUT;
    sqlite3_stmt *statement = writer->statements[which];
    struct slice key = overlay_key(write->cell);
    int status = sqlite3_bind_blob(statement, 1, key.data, (int)key.len, SQLITE_STATIC);
    uint8_t hash[STORE_HASH_LEN];
    if (status == SQLITE_OK && !write->is_deletion) {
        /* No bytes still need an address: NULL would bind NULL. */
        struct slice value =
            slice_of(write->value_len > 0 ? write->value : key.data, write->value_len);
        store_file_hash(hash, key, value);
        status = sqlite3_bind_blob(statement, 2, value.data, (int)value.len, SQLITE_STATIC);
        status = status == SQLITE_OK
                     ? sqlite3_bind_blob(statement, 3, hash, sizeof hash, SQLITE_STATIC)
                     : status;
    }
    status = status == SQLITE_OK ? step(writer, which) : status;
    (void)sqlite3_clear_bindings(statement);
    return status;
}

static int step(struct store_writer *writer, enum store_statement which)
{
    (void)sqlite3_step(writer->statements[which]);
    return sqlite3_reset(writer->statements[which]);
}

static int note_log(void *arg, sqlite3 *connection, const char *name, int pages)
{
    struct store_writer *writer = arg;
    must(connection == writer->connection);
    must(name != NULL);
    writer->log_pages = pages;
    return SQLITE_OK;
}

/* Called and left with the mutex locked. A reader in a scan stops the folding where it reads, and
 * the next commit goes on with it. */
static void fold_log(struct store_writer *writer)
{
    uv_mutex_unlock(&writer->mutex);
    int status =
        sqlite3_wal_checkpoint_v2(writer->connection, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    uv_mutex_lock(&writer->mutex);
    writer->log_pages = 0; /* The next commit tells anew. */
    if ((status & 0xff) != SQLITE_BUSY && status != writer->fold_status) {
        writer->fold_status = status;
        must(uv_async_send(writer->wake) == 0);
    }
}

static void push(struct store_queue *queue, struct overlay_batch *batch)
{
    *queue->end = batch;
    queue->end = &batch->next;
}

static struct overlay_batch *take_all(struct store_queue *queue)
{
    struct overlay_batch *first = queue->first;
    *queue = (struct store_queue){.end = &queue->first};
    return first;
}
