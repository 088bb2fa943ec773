/* database.h - the results file: tables, rows in, and a connection that remembers its first
 * trouble.
 *
 * Writers do not check each row: the first failure (a full disk) is kept, later writes do nothing,
 * and whoever finishes asks database_status. Rows go in batches, one transaction each.
 *
 *      database_create -> database_insert ... -> database_finish     one writer
 *      database_merge: a worker's part -> the results
 *      database_open  -> prepared statements                         any number of readers
 *
 * What the columns mean is docs/RESULTS.md's business; units are in their names.
 */
#ifndef SIM_RESULT_DATABASE_H
#define SIM_RESULT_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "node/base/err.h"

enum {
    DATABASE_APPLICATION_ID = 0x4d545731, /* "MTW1" */
    DATABASE_VERSION = 1,         /* Of the schema; raised only together with a migration. */
    DATABASE_BATCH_ROWS = 100000, /* In one transaction. */
    DATABASE_ERROR_SIZE = 512,
};

enum database_kind {
    DATABASE_RESULTS, /* Write-ahead log while writing: a killed process leaves what it committed.
                       */
    DATABASE_PART,    /* A worker's: no journal, because half a part is worth nothing. */
};

/* Rows to insert; each names its columns in schema.c. */
#define DATABASE_TABLES(X)                                                                         \
    X(RUN, "run")                                                                                  \
    X(PARAM, "param")                                                                              \
    X(FILE, "file")                                                                                \
    X(RUN_FILE, "run_file")                                                                        \
    X(NODE, "node")                                                                                \
    X(NODE_SESSION, "node_session")                                                                \
    X(METRIC, "metric")                                                                            \
    X(SAMPLE, "sample")                                                                            \
    X(HISTOGRAM_BUCKET, "histogram_bucket")                                                        \
    X(SUMMARY, "summary")                                                                          \
    X(LOOKUP, "lookup")                                                                            \
    X(MESSAGE, "message")                                                                          \
    X(BROADCAST, "broadcast")                                                                      \
    X(WAY, "way")                                                                                  \
    X(THRESHOLD_RESULT, "threshold_result")                                                        \
    X(COUNTER, "counter")                                                                          \
    X(MEMORY, "memory")                                                                            \
    X(LOG, "log")

enum database_table {
#define DATABASE_ENUM(name, text) DATABASE_##name,
    DATABASE_TABLES(DATABASE_ENUM)
#undef DATABASE_ENUM
        DATABASE_TABLE_COUNT
};

struct database {
    sqlite3 *connection;
    sqlite3_stmt *inserts[DATABASE_TABLE_COUNT]; /* Prepared when first used. */
    uint32_t open_rows;                          /* Of the transaction; 0 when none is open. */
    int status;                                  /* ERR_OK, or ERR_IO since the first failure. */
    char error[DATABASE_ERROR_SIZE];
};

/* Makes a new file; an old one at `path` is replaced. ERR_IO, with database->error saying why. */
NODISCARD int database_create(struct database *database, const char *path, enum database_kind kind);
/* Opens results for reading only. ERR_IO, ERR_INVALID (no results file), ERR_UNSUPPORTED (a newer
 * schema); database->error says what a person needs to know. */
NODISCARD int database_open(struct database *database, const char *path);
/* Ends the open transaction and the connection. Safe after a failure of create or open. */
void database_close(struct database *database);

struct database_value {
    enum { DATABASE_NULL, DATABASE_INTEGER, DATABASE_REAL, DATABASE_TEXT, DATABASE_BLOB } type;
    int64_t integer; /* Length of a blob. */
    double real;
    const void *bytes;
};

static inline struct database_value database_null(void)
{
    return (struct database_value){.type = DATABASE_NULL};
}

static inline struct database_value database_integer(uint64_t value)
{
    return (struct database_value){.type = DATABASE_INTEGER, .integer = (int64_t)value};
}

/* NAN becomes NULL. */
static inline struct database_value database_real(double value)
{
    return (struct database_value){.type = DATABASE_REAL, .real = value};
}

/* NULL becomes NULL. */
static inline struct database_value database_text(const char *text)
{
    return (struct database_value){.type = DATABASE_TEXT, .bytes = text};
}

static inline struct database_value database_blob(const void *bytes, size_t len)
{
    return (struct database_value){.type = DATABASE_BLOB, .integer = (int64_t)len, .bytes = bytes};
}

/* One row, its values in the order of the table's columns. */
#define database_insert(database, table, ...)                                                      \
    database_insert_row((database), (table), (const struct database_value[]){__VA_ARGS__},         \
                        sizeof((const struct database_value[]){__VA_ARGS__}) /                     \
                            sizeof(struct database_value))
void database_insert_row(struct database *database, enum database_table table,
                         const struct database_value *values, size_t count);

/* Runs statements without results. */
void database_execute(struct database *database, const char *sql);
/* Prepares one statement for the caller to step and finalize; NULL after a failure. */
sqlite3_stmt *database_prepare(struct database *database, const char *sql);
/* Ends the batch: what was inserted is now in the file. */
void database_commit(struct database *database);
/* Appends all runs of a finished part. */
void database_merge(struct database *database, const char *part_path);
/* Indexes, then one portable file without a log beside it; closes. ERR_OK or the first trouble,
 * kept in database->error. */
NODISCARD int database_finish(struct database *database);

/* Tables and views that readers may name, in the order of the schema; NULL ends the list. */
const char *const *database_relations(void);

#endif /* SIM_RESULT_DATABASE_H */
