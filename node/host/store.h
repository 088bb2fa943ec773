/* store.h - ordered keys on SQLite, with tickets: the disk of one real node.
 *
 * Reads and staged writes happen on the caller's thread; commits are written and synced by a thread
 * of the store's own, one transaction for each ticket, in order. What is staged or under way lies
 * in an overlay that reads look at first, so a read sees every write at once, whatever the disk
 * does.
 *
 *      put, del -> overlay -> commit(ticket) -> queue -> writer: BEGIN .. COMMIT (synced)
 *                                                          -> settled(ticket, status), on the loop
 *      get, scan <- overlay, then the file as last committed
 *
 * WAL, synchronous=EXTRA: a settled ticket survives power loss (sqlite.org/wal.html section 3). The
 * file is checked on open; one that is damaged or not ours is moved aside and a new one begun. When
 * the disk is full the store becomes read-only, says so once, and tries again with later commits.
 */
#ifndef NODE_HOST_STORE_H
#define NODE_HOST_STORE_H

#include <uv.h>

#include "node/host/host.h"

struct store;

struct store_hooks {
    void *arg;
    /* All of the commits up to `ticket` have been settled the same way: on the loop's thread, never
     * from inside a call of this header. ERR_OK: durable. ERR_IO: lost, and what they wrote is not
     * readable any more. */
    void (*settled)(void *arg, uint64_t ticket, int status);
    void (*noted)(void *arg, enum host_note how, const char *text);
};

struct store_options {
    const char *path; /* NULL: in memory. */
    const char *vfs;  /* SQLite's name of it; NULL: the default. For tests. */
    uv_loop_t *loop;
    struct store_hooks hooks;
};

struct store_view {
    uint64_t commits;
    uint64_t commits_failed;
    uint64_t bytes; /* Of the database file. */
    bool is_read_only;
};

/* ERR_IO with a one-line reason (cannot create, locked by another process, ...). Creates the file
 * with mode 0600. */
NODISCARD int store_open(const struct store_options *options, struct store **store,
                         char reason[HOST_REASON_SIZE]);
/* Waits for the commits that are queued, discards what is only staged, closes. settled is called
 * for the last of them from inside. Runs the loop until libuv has let go of it. */
void store_close(struct store *store);
/* The same after a crash: queued commits are dropped too; one that the writer has begun ends as it
 * will. */
void store_abandon(struct store *store);
/* Waits until everything committed so far is settled, telling the hooks. */
void store_flush(struct store *store);

/* As the operations of port_ops. */
int store_get(struct store *store, struct slice key, void *buffer, size_t cap, size_t *len);
int store_put(struct store *store, struct slice key, struct slice value);
int store_del(struct store *store, struct slice key);
int store_scan(struct store *store, struct slice prefix, port_scan_fn visit, void *arg);
int store_commit(struct store *store, uint64_t ticket);

void store_observe(const struct store *store, struct store_view *view);

#endif /* NODE_HOST_STORE_H */
