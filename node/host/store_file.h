/* store_file.h - the database file of a store: found, locked, examined, moved aside, opened.
 *
 * One table, kv(key, value, hash): the hash is of both others, because SQLite notices damage to its
 * trees but not to what they hold. A file is used only when everything about it is as we left it; a
 * damaged one and one of somebody else's are moved aside with their logs, and a new one is begun.
 * A file that cannot be examined (no permission, an I/O error, another process) stays where it is.
 *
 *      path -> path-lock held -> examined -> two connections: writer's and reader's
 *                                       \-> path.damaged-TIME, path.foreign-TIME, and a new file
 *
 * Two connections, because a connection must not be shared between threads. The lock is a file of
 * its own: SQLite's locks are the process's, and closing any descriptor of the database would drop
 * them (sqlite.org/howtocorrupt.html section 2.2). It is never removed, since whoever waits for a
 * removed file holds nothing.
 */
#ifndef NODE_HOST_STORE_FILE_H
#define NODE_HOST_STORE_FILE_H

#include <sqlite3.h>

#include "node/host/store.h"

enum {
    STORE_APPLICATION_ID = 0x4d544e31, /* "MTN1" */
    STORE_VERSION = 1,                 /* Of the table. */
    STORE_HASH_LEN = 16,
    STORE_CAUSE_SIZE = 160, /* Of a sentence within a reason. */
};

struct store_file {
    char *path; /* NULL: in memory. */
    int lock;   /* Descriptor of path-lock; -1 in memory. */
    sqlite3 *writer;
    sqlite3 *reader; /* In memory the writer's. */
};

/* ERR_IO with a reason, and nothing is left open. Remarks go to the hook. */
NODISCARD int store_file_open(struct store_file *file, const struct store_options *options,
                              char reason[HOST_REASON_SIZE]);
/* All statements are finalized. Folds the log into the database and removes it. */
void store_file_close(struct store_file *file);

void store_file_hash(uint8_t hash[STORE_HASH_LEN], struct slice key, struct slice value);
/* Column `at` of a row, borrowed until its statement moves on. */
struct slice store_file_column(sqlite3_stmt *statement, int at);
/* True when columns 0 to 2 (key, value, hash) belong together and are of sizes that we write. */
bool store_file_row_is_whole(sqlite3_stmt *statement);
/* The cause of an SQLite status and what to do about it, for a person. */
void store_file_explain(int status, int system_errno, char text[STORE_CAUSE_SIZE]);

#endif /* NODE_HOST_STORE_FILE_H */
