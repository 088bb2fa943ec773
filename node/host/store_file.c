/* store_file.c - the database file of a store: found, locked, examined, moved aside, opened. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "node/host/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/base/hash.h"
#include "node/base/must.h"
#include "node/host/folder.h"

enum {
    PATH_SIZE = PATH_MAX + 64, /* A path with what we append to it. */
    /* Another program that looks at the file (sqlite3, a backup) may hold it for a moment. Readers
     * hardly ever wait in WAL mode, and theirs is the loop's thread. */
    WRITER_PATIENCE_MS = 5000,
    READER_PATIENCE_MS = 500,
};

#define SCHEMA                                                                                     \
    "CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB NOT NULL, hash BLOB NOT NULL) "              \
    "WITHOUT ROWID, STRICT"

/* What a file turned out to be. */
enum finding {
    FINDING_OURS,
    FINDING_BLANK, /* No bytes, or a database without content. */
    FINDING_DAMAGED,
    FINDING_FOREIGN,
    FINDING_UNKNOWN, /* It could not be examined. */
};

struct examination {
    enum finding finding;
    char text[STORE_CAUSE_SIZE]; /* Of the three last. */
};

static int path_resolve(struct store_file *file, const char *path, char *reason);
static int lock(struct store_file *file, char *reason);
static int touch(const struct store_file *file, char *reason);
static int file_open(struct store_file *file, const struct store_options *options, char *reason);
static bool examine_log(const char *path, struct examination *examination);
static void examine(sqlite3 *database, struct examination *examination);
static int move_aside(const struct store_file *file, const struct examination *examination,
                      const struct store_options *options, char *reason);
static int set_up(struct store_file *file, const char *vfs, bool is_blank, char *reason);
static int connection_open(sqlite3 **connection, const char *path, const char *vfs,
                           int patience_ms);
static int explain_open(const struct store_file *file, sqlite3 *database, char *reason);
static int execute(sqlite3 *database, const char *sql);

int store_file_open(struct store_file *file, const struct store_options *options,
                    char reason[HOST_REASON_SIZE])
{
    must(sqlite3_threadsafe() != 0);
    *file = (struct store_file){.lock = -1};
    if (options->path == NULL) {
        int status = sqlite3_open_v2(":memory:", &file->writer,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        must(status == SQLITE_OK && execute(file->writer, SCHEMA) == SQLITE_OK);
        file->reader = file->writer;
        return ERR_OK;
    }
    int status = path_resolve(file, options->path, reason);
    status = status == ERR_OK ? lock(file, reason) : status;
    status = status == ERR_OK ? touch(file, reason) : status;
    status = status == ERR_OK ? file_open(file, options, reason) : status;
    if (status != ERR_OK) {
        store_file_close(file);
    }
    return status;
}

void store_file_close(struct store_file *file)
{
    if (file->reader != file->writer) {
        must(sqlite3_close(file->reader) == SQLITE_OK);
    }
    must(sqlite3_close(file->writer) == SQLITE_OK);
    if (file->lock >= 0) {
        (void)close(file->lock);
    }
    free(file->path);
    *file = (struct store_file){.lock = -1};
}

void store_file_hash(uint8_t hash[STORE_HASH_LEN], struct slice key, struct slice value)
{
    /* A key has one length byte in front of it, so that no two pairs are the same bytes. */
    uint8_t head[1 + PORT_KEY_MAX];
    must(key.len <= PORT_KEY_MAX);
    head[0] = (uint8_t)key.len;
    memcpy(head + 1, key.data, key.len);
    hash_domain(hash, STORE_HASH_LEN, "meshnode row", slice_of(head, 1 + key.len), value);
}

struct slice store_file_column(sqlite3_stmt *statement, int at)
{
    const void *bytes = sqlite3_column_blob(statement, at);
    size_t len = (size_t)sqlite3_column_bytes(statement, at);
    return slice_of(len > 0 ? bytes : "", len); /* SQLite has no address for no bytes. */
}

bool store_file_row_is_whole(sqlite3_stmt *statement)
{
    struct slice key = store_file_column(statement, 0);
    struct slice value = store_file_column(statement, 1);
    struct slice hash = store_file_column(statement, 2);
    uint8_t expected[STORE_HASH_LEN];
    if (key.len == 0 || key.len > PORT_KEY_MAX || value.len > PORT_VALUE_MAX ||
        hash.len != STORE_HASH_LEN) {
        return false;
    }
    store_file_hash(expected, key, value);
    return memcmp(hash.data, expected, STORE_HASH_LEN) == 0;
}

void store_file_explain(int status, int system_errno, char text[STORE_CAUSE_SIZE])
{
    const char *remedy = NULL;
    switch (status & 0xff) { /* The primary code, sqlite.org/rescode.html section 2. */
    case SQLITE_FULL:
        remedy = "free some space on its disk";
        break;
    case SQLITE_IOERR:
        remedy = system_errno == ENOSPC || system_errno == EDQUOT ? "free some space on its disk"
                                                                  : "look after its disk";
        break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        remedy = "let this user write to it and its folder";
        break;
    case SQLITE_BUSY:
        remedy = "close the other program that uses it";
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        remedy = "restart to have it moved aside";
        break;
    default:
        remedy = "restart";
        break;
    }
    bool is_system = (status & 0xff) == SQLITE_IOERR || (status & 0xff) == SQLITE_CANTOPEN;
    const char *system = is_system && system_errno != 0 ? strerror(system_errno) : "";
    snprintf(text, STORE_CAUSE_SIZE, "%s%s%s%s; %s", sqlite3_errstr(status),
             *system != '\0' ? " (" : "", system, *system != '\0' ? ")" : "", remedy);
}

/* The file behind symbolic links, because SQLite puts its log beside that one. */
static int path_resolve(struct store_file *file, const char *path, char *reason)
{
    struct stat about;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode)) {
        snprintf(reason, HOST_REASON_SIZE, "cannot use %s as a database: it is %s", path,
                 S_ISDIR(about.st_mode) ? "a folder" : "no regular file");
        return ERR_IO;
    }
    file->path = realpath(path, NULL);
    if (file->path == NULL) { /* There is none yet, or a folder on the way stops us. */
        /* "file:" in front would make a URI of it, sqlite.org/uri.html. */
        const char *here = strncmp(path, "file:", 5) == 0 ? "./" : "";
        size_t size = strlen(here) + strlen(path) + 1;
        file->path = malloc(size);
        must(file->path != NULL);
        snprintf(file->path, size, "%s%s", here, path);
    }
    if (strlen(file->path) >= PATH_MAX) {
        snprintf(reason, HOST_REASON_SIZE, "cannot use a path of %zu bytes", strlen(file->path));
        return ERR_IO;
    }
    return ERR_OK;
}

static int lock(struct store_file *file, char *reason)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s-lock", file->path);
    file->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (file->lock < 0) {
        snprintf(reason, HOST_REASON_SIZE, "cannot lock %s: %s", file->path, strerror(errno));
        return ERR_IO;
    }
    if (flock(file->lock, LOCK_EX | LOCK_NB) == 0) {
        if (ftruncate(file->lock, 0) == 0) {
            /* For the message below; a disk too full for it does not matter. */
            (void)dprintf(file->lock, "%ld\n", (long)getpid());
        }
        return ERR_OK;
    }
    if (errno != EWOULDBLOCK) {
        snprintf(reason, HOST_REASON_SIZE, "cannot lock %s: %s", file->path, strerror(errno));
        return ERR_IO;
    }
    char holder[16] = "";
    ssize_t len = pread(file->lock, holder, sizeof holder - 1, 0);
    long process = len > 0 ? strtol(holder, NULL, 10) : 0;
    if (process > 0) {
        snprintf(reason, HOST_REASON_SIZE, "%s is in use by process %ld", file->path, process);
    } else {
        snprintf(reason, HOST_REASON_SIZE, "%s is in use by another process", file->path);
    }
    return ERR_IO;
}

/* Creates a missing file, which SQLite would do with a mode of its own; the log takes its mode
 * after the file. */
static int touch(const struct store_file *file, char *reason)
{
    int descriptor = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (descriptor >= 0) {
        (void)close(descriptor);
        (void)folder_sync(file->path); /* Some file systems cannot; they have other ways. */
        return ERR_OK;
    }
    if (errno == EEXIST) {
        return ERR_OK;
    }
    snprintf(reason, HOST_REASON_SIZE, "cannot create %s: %s", file->path, strerror(errno));
    return ERR_IO;
}

static int file_open(struct store_file *file, const struct store_options *options, char *reason)
{
    struct examination examination;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!examine_log(file->path, &examination)) {
            int opened =
                connection_open(&file->writer, file->path, options->vfs, WRITER_PATIENCE_MS);
            if (opened != SQLITE_OK) {
                return explain_open(file, file->writer, reason);
            }
            examine(file->writer, &examination);
        }
        if (examination.finding == FINDING_OURS || examination.finding == FINDING_BLANK) {
            return set_up(file, options->vfs, examination.finding == FINDING_BLANK, reason);
        }
        if (examination.finding == FINDING_UNKNOWN) {
            return explain_open(file, file->writer, reason);
        }
        must(sqlite3_close(file->writer) == SQLITE_OK);
        file->writer = NULL;
        int status = move_aside(file, &examination, options, reason);
        status = status == ERR_OK ? touch(file, reason) : status;
        if (status != ERR_OK) {
            return status;
        }
    }
    snprintf(reason, HOST_REASON_SIZE, "cannot begin %s anew: %s", file->path, examination.text);
    return ERR_IO;
}

/* --- examination -------------------------------------------------------------------------------
 */

/* True for a log whose database is empty or gone: SQLite would remove it without a word. */
static bool examine_log(const char *path, struct examination *examination)
{
    char log[PATH_SIZE];
    snprintf(log, sizeof log, "%s-wal", path);
    struct stat file;
    struct stat beside;
    if (stat(path, &file) != 0 || file.st_size > 0 || stat(log, &beside) != 0 ||
        beside.st_size == 0) {
        return false;
    }
    *examination = (struct examination){.finding = FINDING_DAMAGED,
                                        .text = "the file is empty and its log is not"};
    return true;
}

/* What a failed read says about the file. Our questions are sound SQL, so SQLITE_ERROR too means
 * that the file holds what SQLite does not understand. */
static void conclude(sqlite3 *database, struct examination *examination)
{
    int status = sqlite3_errcode(database) & 0xff;
    examination->finding = status == SQLITE_NOTADB                              ? FINDING_FOREIGN
                           : status == SQLITE_CORRUPT || status == SQLITE_ERROR ? FINDING_DAMAGED
                                                                                : FINDING_UNKNOWN;
    snprintf(examination->text, sizeof examination->text, "%s", sqlite3_errmsg(database));
}

/* The first column of a statement's first row. False when there is none to be had. */
static bool number_of(sqlite3 *database, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    bool is_read = sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK &&
                   sqlite3_step(statement) == SQLITE_ROW;
    if (is_read) {
        *number = sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement); /* Repeats the verdict of the step. */
    return is_read;
}

static void examine_pages(sqlite3 *database, struct examination *examination)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(database, "PRAGMA quick_check(1)", -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        conclude(database, examination);
    } else {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        if (text == NULL || strcmp(text, "ok") != 0) {
            examination->finding = FINDING_DAMAGED;
            snprintf(examination->text, sizeof examination->text, "%.120s",
                     text != NULL ? text : "no verdict");
            for (char *at = examination->text; *at != '\0'; at++) {
                *at = *at == '\n' ? ' ' : *at;
            }
        }
    }
    (void)sqlite3_finalize(statement);
}

static void examine_rows(sqlite3 *database, struct examination *examination)
{
    sqlite3_stmt *statement = NULL;
    int status =
        sqlite3_prepare_v2(database, "SELECT key, value, hash FROM kv", -1, &statement, NULL);
    status = status == SQLITE_OK ? sqlite3_step(statement) : status;
    while (status == SQLITE_ROW && store_file_row_is_whole(statement)) {
        status = sqlite3_step(statement);
    }
    if (status == SQLITE_ROW) {
        examination->finding = FINDING_DAMAGED;
        snprintf(examination->text, sizeof examination->text, "a row and its hash disagree");
    } else if (status != SQLITE_DONE) {
        conclude(database, examination);
    }
    (void)sqlite3_finalize(statement);
}

static void examine(sqlite3 *database, struct examination *examination)
{
    /* Until we know that it is ours, closing must not fold its log into it. */
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    *examination = (struct examination){.finding = FINDING_OURS};
    int64_t application = 0;
    int64_t version = 0;
    int64_t objects = 0;
    int64_t tables = 0;
    if (!number_of(database, "PRAGMA application_id", &application) ||
        !number_of(database, "PRAGMA user_version", &version) ||
        !number_of(database, "SELECT count(*) FROM sqlite_schema", &objects) ||
        !number_of(database, "SELECT count(*) FROM sqlite_schema WHERE sql = '" SCHEMA "'",
                   &tables)) {
        conclude(database, examination);
    } else if (application == 0 && version == 0 && objects == 0) {
        examination->finding = FINDING_BLANK;
    } else if (application != STORE_APPLICATION_ID) {
        examination->finding = FINDING_FOREIGN;
        snprintf(examination->text, sizeof examination->text,
                 "it is the database of another application");
    } else if (version != STORE_VERSION) {
        examination->finding = FINDING_FOREIGN;
        snprintf(examination->text, sizeof examination->text,
                 "it has version %lld, and this program knows %d", (long long)version,
                 STORE_VERSION);
    } else if (objects != 1 || tables != 1) {
        examination->finding = FINDING_DAMAGED;
        snprintf(examination->text, sizeof examination->text, "its table is not as we left it");
    }
    if (examination->finding == FINDING_OURS) {
        examine_pages(database, examination);
    }
    if (examination->finding == FINDING_OURS) {
        examine_rows(database, examination);
    }
}

/* --- moving aside ------------------------------------------------------------------------------
 */

/* Renames path+suffix to to+suffix. A missing file is none of our business. */
static bool rename_part(const char *path, const char *to, const char *suffix)
{
    char from_part[PATH_SIZE + 16];
    char to_part[PATH_SIZE + 16];
    snprintf(from_part, sizeof from_part, "%s%s", path, suffix);
    snprintf(to_part, sizeof to_part, "%s%s", to, suffix);
    return rename(from_part, to_part) == 0 || errno == ENOENT;
}

/* A name that no file has: under the lock, nobody else makes such names. */
static void name_aside(char name[PATH_SIZE], const char *path, const char *kind)
{
    time_t now = time(NULL);
    struct tm parts;
    char stamp[32] = "";
    must(gmtime_r(&now, &parts) != NULL);
    must(strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%S", &parts) > 0);
    struct stat about;
    snprintf(name, PATH_SIZE, "%s.%s-%s", path, kind, stamp);
    for (int more = 2; lstat(name, &about) == 0; more++) {
        snprintf(name, PATH_SIZE, "%s.%s-%s-%d", path, kind, stamp, more);
    }
}

static int move_aside(const struct store_file *file, const struct examination *examination,
                      const struct store_options *options, char *reason)
{
    bool is_damaged = examination->finding == FINDING_DAMAGED;
    char name[PATH_SIZE];
    name_aside(name, file->path, is_damaged ? "damaged" : "foreign");
    /* The file first: should we die in between, its log is found alone, which is damage too. */
    if (!rename_part(file->path, name, "") || !rename_part(file->path, name, "-wal") ||
        !rename_part(file->path, name, "-shm") || !rename_part(file->path, name, "-journal")) {
        snprintf(reason, HOST_REASON_SIZE, "%s is %s and cannot be moved aside: %s", file->path,
                 is_damaged ? "damaged" : "not ours", strerror(errno));
        return ERR_IO;
    }
    (void)folder_sync(file->path); /* Some file systems cannot; they have other ways. */
    char text[2 * PATH_SIZE + HOST_REASON_SIZE];
    snprintf(text, sizeof text, "database %s: %s (%s); moved to %s, and a new one is begun",
             file->path, is_damaged ? "damaged" : "not ours", examination->text, name);
    options->hooks.noted(options->hooks.arg, HOST_NOTE_WARNING, text);
    return ERR_OK;
}

/* --- connections -------------------------------------------------------------------------------
 */

/* The pragma succeeds with the mode it was, when the new one cannot be had. */
static int see_mode(void *is_logged, int count, char **values, char **names)
{
    (void)names;
    *(bool *)is_logged = count == 1 && values[0] != NULL && strcmp(values[0], "wal") == 0;
    return 0;
}

/* The table and our marks, together or not at all. */
static bool begin_anew(sqlite3 *database)
{
    char marks[96];
    snprintf(marks, sizeof marks, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             STORE_APPLICATION_ID, STORE_VERSION);
    return execute(database, "BEGIN IMMEDIATE") == SQLITE_OK &&
           execute(database, SCHEMA) == SQLITE_OK && execute(database, marks) == SQLITE_OK &&
           execute(database, "COMMIT") == SQLITE_OK;
}

static int set_up(struct store_file *file, const char *vfs, bool is_blank, char *reason)
{
    (void)sqlite3_db_config(file->writer, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    /* A row above a quarter of a page takes a whole one beside it (sqlite.org/fileformat2.html
     * section 1.6). Of 8 kB that is 2,030 bytes, more than any record has. */
    bool is_ready = !is_blank || execute(file->writer, "PRAGMA page_size = 8192") == SQLITE_OK;
    /* FULL is what a log needs. EXTRA also syncs the folder after the journal of the first commit,
     * made before there is a log, was removed: one that came back would undo the file's beginning,
     * and the log would be thrown away with it (sqlite.org/pragma.html#pragma_synchronous). */
    is_ready = is_ready && execute(file->writer, "PRAGMA synchronous = EXTRA") == SQLITE_OK;
    bool is_logged = false;
    is_ready = is_ready &&
               sqlite3_exec(file->writer, "PRAGMA journal_mode = WAL", see_mode, &is_logged,
                            NULL) == SQLITE_OK &&
               execute(file->writer, "PRAGMA journal_size_limit = 8388608") == SQLITE_OK &&
               (!is_blank || begin_anew(file->writer));
    if (!is_ready) {
        return explain_open(file, file->writer, reason);
    }
    if (!is_logged) {
        snprintf(reason, HOST_REASON_SIZE,
                 "cannot use %s: its file system cannot share memory, which the log needs",
                 file->path);
        return ERR_IO;
    }
    if (connection_open(&file->reader, file->path, vfs, READER_PATIENCE_MS) != SQLITE_OK ||
        execute(file->reader, "PRAGMA query_only = ON") != SQLITE_OK) {
        return explain_open(file, file->reader, reason);
    }
    return ERR_OK;
}

/* On failure *connection, which may be NULL, holds the error; it is to be closed like any other. */
static int connection_open(sqlite3 **connection, const char *path, const char *vfs, int patience_ms)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int status = sqlite3_open_v2(path, connection, flags, vfs);
    if (status != SQLITE_OK) {
        return status;
    }
    (void)sqlite3_extended_result_codes(*connection, 1);
    (void)sqlite3_busy_timeout(*connection, patience_ms);
    /* The file may be anybody's work: nothing written in its schema is run. */
    (void)sqlite3_db_config(*connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(*connection, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return SQLITE_OK;
}

static int explain_open(const struct store_file *file, sqlite3 *database, char *reason)
{
    char cause[STORE_CAUSE_SIZE];
    store_file_explain(sqlite3_extended_errcode(database), sqlite3_system_errno(database), cause);
    snprintf(reason, HOST_REASON_SIZE, "cannot open %s: %s", file->path, cause);
    return ERR_IO;
}

static int execute(sqlite3 *database, const char *sql)
{
    return sqlite3_exec(database, sql, NULL, NULL, NULL);
}
