/* store.c - ordered keys on SQLite, with tickets: the disk of one real node. */
#include "node/host/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/host/store_file.h"
#include "node/host/store_overlay.h"
#include "node/host/store_writer.h"

enum {
    /* What may wait for a disk that hangs. Far more than a node commits while a healthy one syncs,
     * and as much as its own memory. */
    PENDING_BYTES_MAX = 32 << 20,
    NOTE_SIZE = 1024,
};

struct store {
    struct store_hooks hooks;
    uv_loop_t *loop;
    uv_async_t wake;
    bool is_wake_closed;

    struct store_file file;
    struct store_writer writer;
    struct overlay overlay;
    sqlite3_stmt *get; /* All three on the reader's connection. */
    sqlite3_stmt *scan;
    sqlite3_stmt *pages;
    int64_t page_bytes;

    uint64_t generation; /* Rises with each failure that the hooks hear of. */
    uint64_t commits;
    uint64_t commits_failed;
    int fold_status;       /* Of the writer, as last told. */
    bool is_read_only;     /* The last commit failed. */
    bool has_failed_reads; /* And has said so. */
    bool is_scanning;      /* In a visitor, which makes no store call. */
    bool is_telling;       /* In a hook. */
};

static int prepare(struct store *store, char *reason);
static int row_find(struct store *store, struct slice key, struct slice *value);
static int read_failed(struct store *store, int status);
static bool scan_row(struct store *store, struct slice prefix, struct slice *key, bool *is_there);
static void on_wake(uv_async_t *wake);
static void settle_done(struct store *store);
static void tell(struct store *store, uint64_t ticket, int status, int system_errno);
static void tell_fold(struct store *store, int status);
static void note(struct store *store, enum host_note how, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void close_all(struct store *store);
static void wake_close(struct store *store);

int store_open(const struct store_options *options, struct store **made,
               char reason[HOST_REASON_SIZE])
{
    struct store *store = calloc(1, sizeof *store);
    must(store != NULL);
    store->hooks = options->hooks;
    store->loop = options->loop;
    store->generation = 1;
    if (store_file_open(&store->file, options, reason) != ERR_OK) {
        free(store);
        return ERR_IO;
    }
    must(uv_async_init(store->loop, &store->wake, on_wake) == 0);
    int status = prepare(store, reason);
    if (status == ERR_OK) {
        bool has_thread = store->file.reader != store->file.writer;
        status = store_writer_start(&store->writer, store->file.writer, has_thread, &store->wake,
                                    reason);
    }
    if (status != ERR_OK) {
        close_all(store);
        return ERR_IO;
    }
    overlay_init(&store->overlay);
    *made = store;
    return ERR_OK;
}

void store_close(struct store *store)
{
    store_flush(store);
    store_abandon(store);
}

void store_abandon(struct store *store)
{
    must(!store->is_scanning && !store->is_telling);
    struct overlay_batch *lost = store_writer_stop(&store->writer);
    while (lost != NULL) {
        struct overlay_batch *next = lost->next;
        overlay_drop(&store->overlay, lost);
        lost = next;
    }
    settle_done(store);
    store_writer_free(&store->writer);
    overlay_free(&store->overlay);
    close_all(store);
}

void store_flush(struct store *store)
{
    must(!store->is_scanning && !store->is_telling);
    store_writer_wait(&store->writer);
    settle_done(store);
}

int store_get(struct store *store, struct slice key, void *buffer, size_t cap, size_t *len)
{
    must(!store->is_scanning);
    struct slice value;
    const struct overlay_write *write = overlay_find(&store->overlay, key);
    int status = ERR_OK;
    if (write != NULL) {
        status = write->is_deletion ? ERR_MISSING : ERR_OK;
        value = slice_of(write->value, write->value_len);
    } else {
        status = row_find(store, key, &value);
    }
    if (status == ERR_OK) {
        *len = value.len;
        status = value.len > cap ? ERR_TOO_LARGE : ERR_OK;
    }
    if (status == ERR_OK && value.len > 0) {
        memcpy(buffer, value.data, value.len);
    }
    (void)sqlite3_reset(store->get); /* The value was borrowed from it. */
    return status;
}

int store_put(struct store *store, struct slice key, struct slice value)
{
    must(!store->is_scanning);
    if (key.len == 0 || key.len > PORT_KEY_MAX || value.len > PORT_VALUE_MAX) {
        return ERR_TOO_LARGE;
    }
    if (store->overlay.bytes >= PENDING_BYTES_MAX) {
        return ERR_FULL;
    }
    overlay_write(&store->overlay, key, &value);
    return ERR_OK;
}

int store_del(struct store *store, struct slice key)
{
    must(!store->is_scanning);
    const struct overlay_write *write = overlay_find(&store->overlay, key);
    int status = write == NULL ? ERR_OK : write->is_deletion ? ERR_MISSING : ERR_OK;
    if (write == NULL) {
        struct slice value;
        status = row_find(store, key, &value);
        (void)sqlite3_reset(store->get);
    }
    if (status == ERR_OK && store->overlay.bytes >= PENDING_BYTES_MAX) {
        return ERR_FULL;
    }
    if (status == ERR_OK) {
        overlay_write(&store->overlay, key, NULL);
    }
    return status;
}

/* Merges two ordered sources. Where both have a key, the overlay's value is the newer one. */
int store_scan(struct store *store, struct slice prefix, port_scan_fn visit, void *arg)
{
    must(!store->is_scanning);
    store->is_scanning = true;
    struct overlay *overlay = &store->overlay;
    size_t at = overlay_seek(overlay, prefix);
    struct slice key;
    bool has_row = false;
    must(sqlite3_bind_blob(store->scan, 1, prefix.len > 0 ? prefix.data : (const void *)"",
                           (int)prefix.len, SQLITE_STATIC) == SQLITE_OK);
    bool goes_on = scan_row(store, prefix, &key, &has_row);
    bool is_read = goes_on;
    while (goes_on) {
        const struct overlay_cell *cell = at < overlay->cell_count ? overlay->cells[at] : NULL;
        if (cell != NULL &&
            (cell->key_len < prefix.len || memcmp(cell->key, prefix.data, prefix.len) != 0)) {
            cell = NULL;
        }
        if (cell == NULL && !has_row) {
            break;
        }
        int order = cell == NULL ? 1 : !has_row ? -1 : overlay_key_order(overlay_key(cell), key);
        if (order > 0) {
            goes_on = visit(arg, key, store_file_column(store->scan, 1));
        } else if (!cell->newest->is_deletion) {
            goes_on = visit(arg, overlay_key(cell),
                            slice_of(cell->newest->value, cell->newest->value_len));
        }
        at += order <= 0 ? 1 : 0;
        if (goes_on && order >= 0) {
            is_read = scan_row(store, prefix, &key, &has_row);
            goes_on = is_read;
        }
    }
    (void)sqlite3_reset(store->scan);
    (void)sqlite3_clear_bindings(store->scan);
    store->is_scanning = false;
    return is_read ? ERR_OK : ERR_IO;
}

int store_commit(struct store *store, uint64_t ticket)
{
    must(!store->is_scanning);
    struct overlay_batch *batch = overlay_commit(&store->overlay, ticket);
    batch->generation = store->generation;
    store_writer_submit(&store->writer, batch);
    return ERR_OK;
}

void store_observe(const struct store *store, struct store_view *view)
{
    must(!store->is_scanning);
    *view = (struct store_view){.commits = store->commits,
                                .commits_failed = store->commits_failed,
                                .is_read_only = store->is_read_only};
    if (sqlite3_step(store->pages) == SQLITE_ROW) {
        view->bytes = (uint64_t)(sqlite3_column_int64(store->pages, 0) * store->page_bytes);
    }
    (void)sqlite3_reset(store->pages);
}

static int prepare(struct store *store, char *reason)
{
    const unsigned kept = SQLITE_PREPARE_PERSISTENT;
    sqlite3 *reader = store->file.reader;
    sqlite3_stmt *page_size = NULL;
    bool is_ready =
        sqlite3_prepare_v3(reader, "SELECT key, value, hash FROM kv WHERE key = ?1", -1, kept,
                           &store->get, NULL) == SQLITE_OK &&
        sqlite3_prepare_v3(reader,
                           "SELECT key, value, hash FROM kv WHERE key >= ?1 "
                           "ORDER BY key",
                           -1, kept, &store->scan, NULL) == SQLITE_OK &&
        sqlite3_prepare_v3(reader, "PRAGMA page_count", -1, kept, &store->pages, NULL) ==
            SQLITE_OK &&
        sqlite3_prepare_v2(reader, "PRAGMA page_size", -1, &page_size, NULL) == SQLITE_OK &&
        sqlite3_step(page_size) == SQLITE_ROW;
    if (is_ready) {
        store->page_bytes = sqlite3_column_int64(page_size, 0);
    } else {
        snprintf(reason, HOST_REASON_SIZE, "cannot read the database: %s", sqlite3_errmsg(reader));
    }
    (void)sqlite3_finalize(page_size);
    return is_ready ? ERR_OK : ERR_IO;
}

/* The value is borrowed until store->get is reset. */
static int row_find(struct store *store, struct slice key, struct slice *value)
{
    if (key.len == 0 || key.len > PORT_KEY_MAX) {
        return ERR_MISSING;
    }
    must(sqlite3_bind_blob(store->get, 1, key.data, (int)key.len, SQLITE_STATIC) == SQLITE_OK);
    int status = sqlite3_step(store->get);
    if (status == SQLITE_DONE) {
        return ERR_MISSING;
    }
    if (status != SQLITE_ROW || !store_file_row_is_whole(store->get)) {
        return read_failed(store, status);
    }
    *value = store_file_column(store->get, 1);
    return ERR_OK;
}

/* status SQLITE_ROW: a row came, but not the one that was written. Said once: a node reads often.
 */
static int read_failed(struct store *store, int status)
{
    if (!store->has_failed_reads) {
        store->has_failed_reads = true;
        char cause[STORE_CAUSE_SIZE];
        store_file_explain(status == SQLITE_ROW ? SQLITE_CORRUPT : status,
                           sqlite3_system_errno(store->file.reader), cause);
        note(store, HOST_NOTE_ERROR, "cannot read: %s", cause);
    }
    return ERR_IO;
}

/* The next row of the scan, or none left under the prefix. False when it cannot be read. */
static bool scan_row(struct store *store, struct slice prefix, struct slice *key, bool *is_there)
{
    int status = sqlite3_step(store->scan);
    *is_there = false;
    if (status == SQLITE_DONE) {
        return true;
    }
    if (status != SQLITE_ROW || !store_file_row_is_whole(store->scan)) {
        (void)read_failed(store, status);
        return false;
    }
    *key = store_file_column(store->scan, 0);
    *is_there = key->len >= prefix.len &&
                (prefix.len == 0 || memcmp(key->data, prefix.data, prefix.len) == 0);
    return true;
}

static void on_wake(uv_async_t *wake)
{
    settle_done(container_of(wake, struct store, wake));
}

/* One call of the hook for each run of batches that ended alike. */
static void settle_done(struct store *store)
{
    int fold_status = SQLITE_OK;
    struct overlay_batch *batch = store_writer_take(&store->writer, &fold_status);
    tell_fold(store, fold_status);
    while (batch != NULL) {
        bool is_kept = batch->status == SQLITE_OK;
        uint64_t *count = is_kept ? &store->commits : &store->commits_failed;
        bool is_news = false; /* Of a failure after the last one that was told. */
        struct overlay_batch settled = {0};
        while (batch != NULL && (batch->status == SQLITE_OK) == is_kept) {
            struct overlay_batch *next = batch->next;
            settled = *batch;
            is_news |= !is_kept && batch->generation == store->generation;
            (*count)++;
            overlay_drop(&store->overlay, batch);
            batch = next;
        }
        store->generation += is_news;
        tell(store, settled.ticket, settled.status, settled.system_errno);
    }
}

static void tell(struct store *store, uint64_t ticket, int status, int system_errno)
{
    bool is_read_only = status != SQLITE_OK;
    if (is_read_only && !store->is_read_only) {
        char cause[STORE_CAUSE_SIZE];
        store_file_explain(status, system_errno, cause);
        note(store, HOST_NOTE_ERROR, "nothing can be stored, reading goes on: %s", cause);
    } else if (!is_read_only && store->is_read_only) {
        note(store, HOST_NOTE_INFO, "storing works again");
    }
    store->is_read_only = is_read_only;
    store->is_telling = true;
    store->hooks.settled(store->hooks.arg, ticket, is_read_only ? ERR_IO : ERR_OK);
    store->is_telling = false;
}

/* Nothing is lost while the log cannot be folded, but it grows. */
static void tell_fold(struct store *store, int status)
{
    if (status != SQLITE_OK && store->fold_status == SQLITE_OK) {
        char cause[STORE_CAUSE_SIZE];
        store_file_explain(status, 0, cause);
        note(store, HOST_NOTE_WARNING, "its log cannot be shortened: %s", cause);
    } else if (status == SQLITE_OK && store->fold_status != SQLITE_OK) {
        note(store, HOST_NOTE_INFO, "its log is short again");
    }
    store->fold_status = status;
}

static void note(struct store *store, enum host_note how, const char *format, ...)
{
    char text[NOTE_SIZE];
    int len = snprintf(text, sizeof text,
                       "database %s: ", store->file.path != NULL ? store->file.path : "in memory");
    va_list list;
    va_start(list, format);
    if (len > 0 && (size_t)len < sizeof text) {
        vsnprintf(text + len, sizeof text - (size_t)len, format, list);
    }
    va_end(list);
    store->hooks.noted(store->hooks.arg, how, text);
}

static void close_all(struct store *store)
{
    (void)sqlite3_finalize(store->get);
    (void)sqlite3_finalize(store->scan);
    (void)sqlite3_finalize(store->pages);
    store_file_close(&store->file);
    wake_close(store);
    free(store);
}

static void on_wake_closed(uv_handle_t *handle)
{
    container_of((uv_async_t *)handle, struct store, wake)->is_wake_closed = true;
}

static void wake_close(struct store *store)
{
    uv_close((uv_handle_t *)&store->wake, on_wake_closed);
    while (!store->is_wake_closed) {
        (void)uv_run(store->loop, UV_RUN_ONCE);
    }
}
