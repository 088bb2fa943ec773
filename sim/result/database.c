/* database.c - rows into SQLite, in batches. */
#include "sim/result/database.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/base/must.h"
#include "sim/result/schema.h"

static const char *const table_names[DATABASE_TABLE_COUNT] = {
#define DATABASE_NAME(name, text) text,
    DATABASE_TABLES(DATABASE_NAME)
#undef DATABASE_NAME
};

static void fail(struct database *database, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static sqlite3_stmt *insert_statement(struct database *database, enum database_table table);
static bool bind(sqlite3_stmt *statement, int index, const struct database_value *value);
static int64_t pragma(struct database *database, const char *sql);

int database_create(struct database *database, const char *path, enum database_kind kind)
{
    *database = (struct database){0};
    if (unlink(path) == 0) {
        char beside[4096];
        snprintf(beside, sizeof beside, "%s-wal", path);
        (void)unlink(beside);
        snprintf(beside, sizeof beside, "%s-shm", path);
        (void)unlink(beside);
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    if (sqlite3_open_v2(path, &database->connection, flags, NULL) != SQLITE_OK) {
        fail(database, ERR_IO, "cannot write %s: %s", path, sqlite3_errmsg(database->connection));
        return database->status;
    }
    database_execute(database, kind == DATABASE_RESULTS
                                   ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"
                                   : "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
    char identity[96];
    snprintf(identity, sizeof identity, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             DATABASE_APPLICATION_ID, DATABASE_VERSION);
    database_execute(database, identity);
    database_execute(database, schema_tables);
    return database->status;
}

int database_open(struct database *database, const char *path)
{
    *database = (struct database){0};
    if (access(path, R_OK) != 0) {
        fail(database, ERR_IO, "cannot read %s", path);
        return database->status;
    }
    if (sqlite3_open_v2(path, &database->connection, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK) {
        fail(database, ERR_IO, "cannot open %s: %s", path, sqlite3_errmsg(database->connection));
        return database->status;
    }
    int64_t application_id = pragma(database, "PRAGMA application_id");
    int64_t version = pragma(database, "PRAGMA user_version");
    if (application_id != DATABASE_APPLICATION_ID) {
        database->status = ERR_OK; /* That it is no database at all is the lesser news. */
        fail(database, ERR_INVALID, "%s is not a results file of meshtwin", path);
    } else if (version > DATABASE_VERSION) {
        fail(database, ERR_UNSUPPORTED,
             "%s has schema version %lld, and this program knows up to %d", path,
             (long long)version, DATABASE_VERSION);
    }
    return database->status;
}

void database_close(struct database *database)
{
    if (database->connection != NULL && !sqlite3_db_readonly(database->connection, "main")) {
        database_commit(database);
    }
    for (size_t i = 0; i < DATABASE_TABLE_COUNT; i++) {
        sqlite3_finalize(database->inserts[i]);
        database->inserts[i] = NULL;
    }
    if (database->connection != NULL) {
        must(sqlite3_close(database->connection) == SQLITE_OK);
        database->connection = NULL;
    }
}

void database_insert_row(struct database *database, enum database_table table,
                         const struct database_value *values, size_t count)
{
    must(table < DATABASE_TABLE_COUNT);
    if (database->status != ERR_OK) {
        return;
    }
    if (database->open_rows == 0) {
        database_execute(database, "BEGIN");
    }
    sqlite3_stmt *statement = insert_statement(database, table);
    if (statement == NULL) {
        return;
    }
    must((size_t)sqlite3_bind_parameter_count(statement) == count);
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        ok = ok && bind(statement, (int)i + 1, &values[i]);
    }
    if (!ok || sqlite3_step(statement) != SQLITE_DONE) {
        fail(database, ERR_IO, "table %s: %s", table_names[table],
             sqlite3_errmsg(database->connection));
    }
    (void)sqlite3_reset(statement); /* Repeats the verdict of the step. */
    if (++database->open_rows == DATABASE_BATCH_ROWS) {
        database_commit(database);
    }
}

void database_execute(struct database *database, const char *sql)
{
    if (database->status != ERR_OK) {
        return;
    }
    char *message = NULL;
    if (sqlite3_exec(database->connection, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail(database, ERR_IO, "%s", message);
    }
    sqlite3_free(message);
}

sqlite3_stmt *database_prepare(struct database *database, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (database->status == ERR_OK &&
        sqlite3_prepare_v2(database->connection, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail(database, ERR_IO, "%s", sqlite3_errmsg(database->connection));
    }
    return statement;
}

void database_commit(struct database *database)
{
    if (database->open_rows > 0) {
        database_execute(database, "COMMIT");
        database->open_rows = 0;
    }
}

void database_merge(struct database *database, const char *part_path)
{
    database_commit(database);
    sqlite3_stmt *attach = database_prepare(database, "ATTACH ? AS part");
    if (attach == NULL) {
        return;
    }
    if (sqlite3_bind_text(attach, 1, part_path, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_step(attach) != SQLITE_DONE) {
        fail(database, ERR_IO, "%s: %s", part_path, sqlite3_errmsg(database->connection));
    }
    sqlite3_finalize(attach);

    database_execute(database, "BEGIN");
    for (size_t table = 0; table < DATABASE_TABLE_COUNT; table++) {
        char sql[128];
        snprintf(sql, sizeof sql, "INSERT INTO main.%s SELECT * FROM part.%s", table_names[table],
                 table_names[table]);
        database_execute(database, sql);
    }
    database_execute(database, "COMMIT");
    database_execute(database, "DETACH part");
}

int database_finish(struct database *database)
{
    database_commit(database);
    database_execute(database, "BEGIN");
    database_execute(database, schema_views);
    database_execute(database, schema_indexes);
    database_execute(database, "COMMIT");
    database_execute(database, "PRAGMA optimize; PRAGMA journal_mode = DELETE");
    database_close(database);
    return database->status;
}

const char *const *database_relations(void)
{
    static const char *const relations[] = {
#define DATABASE_RELATION(name, text) text,
        DATABASE_TABLES(DATABASE_RELATION)
#undef DATABASE_RELATION
            "v_summary",
        "v_sample",
        "v_cdf",
        "v_threshold",
        NULL,
    };
    return relations;
}

/* Keeps the first trouble: what follows it is noise. */
static void fail(struct database *database, int status, const char *format, ...)
{
    if (database->status != ERR_OK) {
        return;
    }
    database->status = status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(database->error, sizeof database->error, format, arguments);
    va_end(arguments);
}

/* "INSERT INTO table VALUES(?,?,...)", with as many marks as the table has columns. */
static sqlite3_stmt *insert_statement(struct database *database, enum database_table table)
{
    if (database->inserts[table] != NULL) {
        return database->inserts[table];
    }
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pragma_table_info('%s')", table_names[table]);
    int64_t columns = pragma(database, sql);
    /* The last sample of a run may fall on the time of one before; two points may share a file. */
    bool may_repeat = table == DATABASE_SAMPLE || table == DATABASE_FILE;
    int len = snprintf(sql, sizeof sql, "INSERT%s INTO %s VALUES(", may_repeat ? " OR REPLACE" : "",
                       table_names[table]);
    for (int64_t i = 0; i < columns && len + 3 < (int)sizeof sql; i++) {
        len += snprintf(sql + len, sizeof sql - (size_t)len, i == 0 ? "?" : ",?");
    }
    snprintf(sql + len, sizeof sql - (size_t)len, ")");
    database->inserts[table] = database_prepare(database, sql);
    return database->inserts[table];
}

static bool bind(sqlite3_stmt *statement, int index, const struct database_value *value)
{
    switch (value->type) {
    case DATABASE_INTEGER:
        return sqlite3_bind_int64(statement, index, value->integer) == SQLITE_OK;
    case DATABASE_REAL:
        return sqlite3_bind_double(statement, index, value->real) == SQLITE_OK;
    case DATABASE_TEXT:
        return sqlite3_bind_text(statement, index, value->bytes, -1, SQLITE_STATIC) == SQLITE_OK;
    case DATABASE_BLOB:
        return sqlite3_bind_blob64(statement, index, value->bytes, (sqlite3_uint64)value->integer,
                                   SQLITE_STATIC) == SQLITE_OK;
    default:
        return sqlite3_bind_null(statement, index) == SQLITE_OK;
    }
}

static int64_t pragma(struct database *database, const char *sql)
{
    sqlite3_stmt *statement = database_prepare(database, sql);
    if (statement == NULL) {
        return 0;
    }
    int64_t value = 0;
    if (sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
    } else {
        fail(database, ERR_IO, "%s", sqlite3_errmsg(database->connection));
    }
    sqlite3_finalize(statement);
    return value;
}
