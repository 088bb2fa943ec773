/* test_store_file.c - files that are damaged, foreign, taken or out of reach, and what is done. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/base/rng.h"
#include "tests/unit/node_host/store_rig.h"

enum {
    BYTES_MAX = 1 << 20,
    ROWS = 300,
};

static struct rig rig;
static uint8_t bytes[BYTES_MAX];
static char reason[HOST_REASON_SIZE];

static void begin(void)
{
    rig_begin(&rig);
}

static void end(void)
{
    if (rig.store != NULL) {
        rig_close(&rig);
    }
    rig_end(&rig);
}

TestSuite(store_file, .init = begin, .fini = end, .timeout = 600);

static size_t file_get(const char *path, uint8_t *into)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    size_t len = fread(into, 1, BYTES_MAX, file);
    cr_assert_lt(len, (size_t)BYTES_MAX);
    (void)fclose(file);
    return len;
}

static void file_set(const char *path, const uint8_t *from, size_t len)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fwrite(from, 1, len, file), len);
    (void)fclose(file);
}

static void file_holds(const char *path, const uint8_t *expected, size_t len)
{
    static uint8_t found[BYTES_MAX];
    cr_assert_eq(file_get(path, found), len);
    cr_assert_eq(memcmp(found, expected, len), 0, "%s was changed", path);
}

static void sql(const char *path, const char *text)
{
    sqlite3 *database = NULL;
    char *error = NULL;
    cr_assert_eq(sqlite3_open(path, &database), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(database, text, NULL, NULL, &error), SQLITE_OK, "%s", error);
    cr_assert_eq(sqlite3_close(database), SQLITE_OK);
}

static int number(const char *path, const char *query)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    cr_assert_eq(sqlite3_open(path, &database), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(database, query, -1, &statement, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    int value = sqlite3_column_int(statement, 0);
    (void)sqlite3_finalize(statement);
    cr_assert_eq(sqlite3_close(database), SQLITE_OK);
    return value;
}

/* Where the last note says that the file has gone. */
static const char *aside(void)
{
    static char path[400];
    cr_assert_gt(rig.note_count, 0u);
    const char *told = strstr(rig.notes[rig.note_count - 1].text, "moved to ");
    cr_assert_not_null(told);
    cr_assert_eq(sscanf(told, "moved to %399[^,]", path), 1);
    return path;
}

static void row_name(unsigned row, char text[16])
{
    snprintf(text, 16, "row %u", row);
}

/* A database of ours with some rows, closed. */
static void fill(void)
{
    rig_open(&rig);
    char text[16];
    for (unsigned row = 0; row < ROWS; row++) {
        row_name(row, text);
        rig_put(&rig, text, text);
    }
    rig_commit(&rig, 1);
    rig_close(&rig);
}

/* Rows found, each of which has to be as it was written. */
static unsigned count_rows(void)
{
    unsigned count = 0;
    for (unsigned row = 0; row < ROWS; row++) {
        char text[16];
        char buffer[16];
        size_t len;
        row_name(row, text);
        int status = store_get(rig.store, rig_slice(text), buffer, sizeof buffer, &len);
        cr_assert(status == ERR_OK || status == ERR_MISSING, "%s: %s", text, err_text(status));
        if (status == ERR_OK) {
            cr_assert_eq(len, strlen(text));
            cr_assert_eq(memcmp(buffer, text, len), 0, "half-used");
            count++;
        }
    }
    return count;
}

static void expect_new_store(void)
{
    char out[64];
    rig_list(&rig, "", out, sizeof out);
    cr_assert_str_eq(out, "");
    rig_put(&rig, "a", "1");
    rig_commit(&rig, 1);
    rig_close(&rig);
    cr_assert_eq(rig_status(&rig, 1), ERR_OK);
    rig_open(&rig);
    rig_expect(&rig, "a", "1");
    rig_close(&rig);
}

/* --- not ours ----------------------------------------------------------------------------------
 */

Test(store_file, a_text_is_moved_aside_unchanged)
{
    static const char text[] = "dear diary,\nthis is no database\n";
    file_set(rig.path, (const uint8_t *)text, strlen(text));
    rig_open(&rig);
    cr_assert_eq(rig.note_count, 1u);
    cr_assert_eq(rig.notes[0].how, HOST_NOTE_WARNING);
    cr_assert(rig_noted(&rig, "not ours") && rig_noted(&rig, ".foreign-"), "%s", rig.notes[0].text);
    file_holds(aside(), (const uint8_t *)text, strlen(text));
    expect_new_store();
    cr_assert_eq(rig.note_count, 1u);
}

Test(store_file, the_database_of_another_application_is_moved_aside_with_its_log)
{
    /* A connection that dies with its process leaves a log. */
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *database = NULL;
        _exit(sqlite3_open(rig.path, &database) != SQLITE_OK ||
              sqlite3_exec(database,
                           "PRAGMA journal_mode = WAL; PRAGMA application_id = 42;"
                           "CREATE TABLE dear(x); INSERT INTO dear VALUES (7)",
                           NULL, NULL, NULL) != SQLITE_OK);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert_eq(rig_files(&rig, "db-wal"), 1u);
    rig_open(&rig);
    cr_assert(rig_noted(&rig, "another application"), "%s", rig.notes[0].text);
    cr_assert_eq(rig_files(&rig, "db.foreign-"), 3u, "the file, its log and the log's index");
    expect_new_store();
    cr_assert_eq(number(aside(), "SELECT x FROM dear"), 7, "what only the log held");
}

Test(store_file, a_database_of_another_version_is_moved_aside)
{
    fill();
    sql(rig.path, "PRAGMA user_version = 2");
    rig_open(&rig);
    cr_assert(rig_noted(&rig, "version 2, and this program knows 1"), "%s", rig.notes[0].text);
    cr_assert(rig_noted(&rig, ".foreign-"));
    expect_new_store();
}

Test(store_file, our_marks_on_another_schema_are_damage)
{
    fill();
    sql(rig.path, "CREATE TRIGGER hostile AFTER INSERT ON kv BEGIN DELETE FROM kv; END");
    rig_open(&rig);
    cr_assert(rig_noted(&rig, ".damaged-"), "%s", rig.notes[0].text);
    expect_new_store();
}

Test(store_file, names_aside_are_never_given_twice)
{
    for (unsigned i = 1; i <= 5; i++) { /* Within a second, mostly. */
        file_set(rig.path, (const uint8_t *)"text", 4);
        rig_open(&rig);
        rig_close(&rig);
        cr_assert_eq(rig_files(&rig, ".foreign-"), i);
    }
}

Test(store_file, an_empty_file_is_begun_as_it_is)
{
    file_set(rig.path, bytes, 0);
    rig_open(&rig);
    expect_new_store();
    cr_assert_eq(rig.note_count, 0u);
    cr_assert_eq(rig_files(&rig, "db."), 0u);
}

Test(store_file, a_log_without_its_file_is_kept)
{
    char log[400];
    snprintf(log, sizeof log, "%s-wal", rig.path);
    file_set(log, (const uint8_t *)"precious", 8);
    rig_open(&rig);
    cr_assert(rig_noted(&rig, "its log is not"), "%s", rig.notes[0].text);
    rig_close(&rig);
    rig_file(&rig, "-wal", log, sizeof log);
    cr_assert_not_null(strstr(log, ".damaged-"));
    file_holds(log, (const uint8_t *)"precious", 8);
}

/* --- damaged -----------------------------------------------------------------------------------
 */

/* Opens what was spoilt. Either it is set aside with every byte, or every row is right. */
static bool open_spoilt(const uint8_t *spoilt, size_t len, const char *how)
{
    file_set(rig.path, spoilt, len);
    rig.note_count = 0;
    cr_assert_eq(rig_try(&rig, rig.path, reason), ERR_OK, "%s: %s", how, reason);
    unsigned rows = count_rows();
    bool is_aside = rig.note_count > 0;
    if (is_aside) {
        cr_assert_eq(rows, 0u, "%s: half-used", how);
        file_holds(aside(), spoilt, len);
        static const char *const suffixes[] = {"", "-wal", "-shm"};
        for (size_t i = 0; i < array_len(suffixes); i++) {
            char path[420];
            snprintf(path, sizeof path, "%s%s", aside(), suffixes[i]);
            (void)unlink(path);
        }
    } else {
        cr_assert_eq(rows, (unsigned)ROWS, "%s: %u rows", how, rows);
    }
    rig_close(&rig);
    return is_aside;
}

Test(store_file, a_changed_byte_of_the_header_is_noticed_or_does_no_harm)
{
    static uint8_t spoilt[BYTES_MAX];
    fill();
    size_t len = file_get(rig.path, bytes);
    for (size_t at = 0; at < 100; at++) {
        static const uint8_t masks[] = {0x01, 0x80, 0xff};
        for (size_t i = 0; i < array_len(masks); i++) {
            char how[32];
            memcpy(spoilt, bytes, len);
            spoilt[at] ^= masks[i];
            snprintf(how, sizeof how, "byte %zu ^ %02x", at, masks[i]);
            (void)open_spoilt(spoilt, len, how);
        }
    }
    memcpy(spoilt, bytes, len);
    memset(spoilt, 0x5a, 100);
    cr_assert(open_spoilt(spoilt, len, "no header"));
}

Test(store_file, changed_bytes_anywhere_are_noticed_or_do_no_harm)
{
    static uint8_t spoilt[BYTES_MAX];
    const char *nightly = getenv("MESHTWIN_NIGHTLY");
    uint64_t seeds = nightly != NULL && nightly[0] == '1' ? 20000 : 400;
    unsigned noticed = 0;
    fill();
    size_t len = file_get(rig.path, bytes);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct rng rng;
        rng_stream(&rng, seed, "spoil", 0, 0);
        memcpy(spoilt, bytes, len);
        uint64_t count = (uint64_t)1 << rng_below(&rng, 8);
        for (uint64_t i = 0; i < count; i++) {
            spoilt[rng_below(&rng, len)] ^= (uint8_t)(1 + rng_below(&rng, 255));
        }
        char how[32];
        snprintf(how, sizeof how, "seed %llu", (unsigned long long)seed);
        noticed += open_spoilt(spoilt, len, how);
    }
    cr_assert_gt(noticed, seeds / 2, "noticed %u", noticed);
}

Test(store_file, a_file_cut_short_is_noticed)
{
    static uint8_t spoilt[BYTES_MAX];
    fill();
    size_t len = file_get(rig.path, bytes);
    /* From two bytes on: a file of one is empty in the eyes of SQLite's unix part. */
    for (size_t kept = 2; kept < len; kept += kept < 200 ? 13 : 1777) {
        char how[64];
        memcpy(spoilt, bytes, kept);
        snprintf(how, sizeof how, "%zu bytes of it", kept);
        cr_assert(open_spoilt(spoilt, kept, how));
    }
}

Test(store_file, a_log_cut_short_or_changed_gives_an_earlier_state)
{
    static uint8_t log_bytes[BYTES_MAX];
    char log[400];
    snprintf(log, sizeof log, "%s-wal", rig.path);
    rig_open(&rig);
    rig_put(&rig, "a", "0");
    rig_commit(&rig, 1);
    rig_close(&rig);
    rig_open(&rig);
    for (uint64_t ticket = 1; ticket <= 9; ticket++) {
        char text[2] = {(char)('0' + ticket), '\0'};
        rig_put(&rig, "a", text);
        rig_put(&rig, "b", text);
        rig_commit(&rig, ticket);
    }
    store_flush(rig.store);
    size_t len = file_get(rig.path, bytes);
    size_t log_len = file_get(log, log_bytes);
    rig_close(&rig);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct rng rng;
        rng_stream(&rng, seed, "spoil log", 0, 0);
        file_set(rig.path, bytes, len);
        size_t at = (size_t)rng_below(&rng, log_len);
        log_bytes[at] ^= 0x10;
        file_set(log, log_bytes, seed % 2 == 0 ? log_len : at + 1);
        log_bytes[at] ^= 0x10;
        rig_open(&rig);
        char a[4] = "";
        char b[4] = "";
        size_t found;
        cr_assert_eq(store_get(rig.store, rig_slice("a"), a, sizeof a, &found), ERR_OK);
        int status = store_get(rig.store, rig_slice("b"), b, sizeof b, &found);
        cr_assert(status == ERR_OK ? strcmp(a, b) == 0 : strcmp(a, "0") == 0,
                  "seed %llu: half a commit", (unsigned long long)seed);
        rig_close(&rig);
    }
    cr_assert_eq(rig.note_count, 0u);
}

Test(store_file, a_row_that_changes_while_it_runs_is_not_believed)
{
    fill();
    rig_open(&rig);
    sql(rig.path, "UPDATE kv SET value = x'00' WHERE key = CAST('row 7' AS BLOB)");
    char buffer[16];
    size_t len;
    cr_assert_eq(store_get(rig.store, rig_slice("row 7"), buffer, sizeof buffer, &len), ERR_IO);
    cr_assert(rig_noted(&rig, "restart to have it moved aside"), "%s", rig.notes[0].text);
    rig_expect(&rig, "row 8", "row 8");
    rig_close(&rig);
    rig_open(&rig);
    cr_assert(rig_noted(&rig, "a row and its hash disagree"));
}

/* --- out of reach ------------------------------------------------------------------------------
 */

static void expect_refusal(const char *path, const char *part)
{
    reason[0] = '\0';
    cr_assert_eq(rig_try(&rig, path, reason), ERR_IO);
    cr_assert_not_null(strstr(reason, part), "no \"%s\" in: %s", part, reason);
    cr_assert_null(strchr(reason, '\n'));
    cr_assert_eq(rig.note_count, 0u);
}

Test(store_file, a_folder_is_no_database)
{
    cr_assert_eq(mkdir(rig.path, 0700), 0);
    expect_refusal(rig.path, "it is a folder");
}

Test(store_file, a_missing_folder_is_said)
{
    char path[400];
    snprintf(path, sizeof path, "%s/none/node.db", rig.folder);
    expect_refusal(path, "No such file or directory");
    expect_refusal("/dev/null", "no regular file");
}

Test(store_file, a_folder_without_permission_is_said)
{
    uid_t user = geteuid();
    cr_assert_eq(chmod(rig.folder, 0500), 0);
    if (user == 0) { /* Root may write anywhere: be nobody. */
        cr_assert_eq(seteuid(65534), 0);
    }
    expect_refusal(rig.path, "Permission denied");
    cr_assert_eq(seteuid(user), 0);
    cr_assert_eq(chmod(rig.folder, 0700), 0);
}

Test(store_file, a_second_process_hears_who_has_it)
{
    rig_open(&rig);
    pid_t child = fork();
    if (child == 0) {
        struct store *store = NULL;
        uv_loop_t loop;
        struct store_options options = {.path = rig.path, .loop = &loop};
        char expected[64];
        snprintf(expected, sizeof expected, "is in use by process %ld", (long)getppid());
        _exit(uv_loop_init(&loop) != 0 || store_open(&options, &store, reason) != ERR_IO ||
              strstr(reason, expected) == NULL);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0, "the second process got in, or no reason");

    struct store *first = rig.store; /* Nor may this process have it twice. */
    expect_refusal(rig.path, "is in use by process");
    rig.store = first;
    rig_put(&rig, "a", "1");
    rig_commit(&rig, 1);
    rig_settle(&rig, 1);
    cr_assert_eq(rig_status(&rig, 1), ERR_OK);
}

Test(store_file, two_names_of_one_file_are_one_database)
{
    char path[400];
    snprintf(path, sizeof path, "%s/link.db", rig.folder);
    rig_open(&rig);
    struct store *first = rig.store;
    cr_assert_eq(symlink(rig.path, path), 0);
    expect_refusal(path, "is in use by process");
    rig.store = first;
    rig_put(&rig, "a", "1");
    rig_commit(&rig, 1);
    rig_close(&rig);
    cr_assert_eq(rig_try(&rig, path, reason), ERR_OK);
    rig_expect(&rig, "a", "1");
}

Test(store_file, a_commit_waits_for_another_program_to_let_go)
{
    rig_open(&rig);
    sqlite3 *other = NULL;
    cr_assert_eq(sqlite3_open(rig.path, &other), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    rig_put(&rig, "a", "1");
    rig_commit(&rig, 1);
    rig_expect(&rig, "a", "1"); /* Reading goes on meanwhile. */
    cr_assert_eq(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_close(other), SQLITE_OK);
    rig_settle(&rig, 1);
    cr_assert_eq(rig_status(&rig, 1), ERR_OK);
}

Test(store_file, a_name_that_looks_like_a_uri_is_a_name)
{
    char here[400];
    cr_assert_not_null(getcwd(here, sizeof here));
    cr_assert_eq(chdir(rig.folder), 0);
    cr_assert_eq(rig_try(&rig, "file:x?mode=memory", reason), ERR_OK, "%s", reason);
    rig_close(&rig);
    cr_assert_eq(rig_files(&rig, "file:x?mode=memory"), 2u); /* And its lock. */
    cr_assert_eq(chdir(here), 0);
}
