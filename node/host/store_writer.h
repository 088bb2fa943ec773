/* store_writer.h - the thread that makes batches durable: one transaction each, in order.
 *
 * A batch that fails takes with it all that were committed before its caller could know: they were
 * made on top of it. The next one after that is tried again, and so finds out when the disk is well
 * again. After a settled batch the writer folds a long log into the database.
 *
 *      store_writer_submit -> queue -> BEGIN, writes, COMMIT (synced) -> done -> wakes the loop
 *      store_writer_take <- done
 *
 * In memory there is no thread: a batch is done when submit returns.
 */
#ifndef NODE_HOST_STORE_WRITER_H
#define NODE_HOST_STORE_WRITER_H

#include <sqlite3.h>
#include <uv.h>

#include "node/host/host.h"
#include "node/host/store_overlay.h"

struct store_queue {
    struct overlay_batch *first;
    struct overlay_batch **end;
};

enum store_statement {
    STORE_BEGIN,
    STORE_PUT,
    STORE_DELETE,
    STORE_COMMIT,
    STORE_STATEMENT_COUNT,
};

struct store_writer {
    sqlite3 *connection; /* The thread's alone while it runs. */
    sqlite3_stmt *statements[STORE_STATEMENT_COUNT];
    int log_pages;              /* In the log after the last commit. */
    uint64_t generation_failed; /* Batches up to this one are lost. */
    int status_failed;          /* And why. */
    int errno_failed;

    uv_async_t *wake; /* The loop, when something is done. */
    uv_thread_t thread;
    bool has_thread;

    uv_mutex_t mutex; /* Guards what follows. */
    uv_cond_t changed;
    struct store_queue waiting;
    struct store_queue done;
    bool is_busy; /* With a batch of neither queue. */
    bool is_stopping;
    int fold_status; /* Of the last attempt to shorten the log. */
};

/* ERR_IO with a reason, and nothing is left running. */
NODISCARD int store_writer_start(struct store_writer *writer, sqlite3 *connection, bool has_thread,
                                 uv_async_t *wake, char reason[HOST_REASON_SIZE]);
void store_writer_submit(struct store_writer *writer, struct overlay_batch *batch);
/* What is done since the last call, in order; NULL: nothing. */
struct overlay_batch *store_writer_take(struct store_writer *writer, int *fold_status);
/* Until nothing waits and nothing is under way. */
void store_writer_wait(struct store_writer *writer);
/* Ends the thread after the batch it is at. Returns those it has not begun; what is done can still
 * be taken. */
struct overlay_batch *store_writer_stop(struct store_writer *writer);
void store_writer_free(struct store_writer *writer);

#endif /* NODE_HOST_STORE_WRITER_H */
