/* test_database.c - files that are whole, or that say what is wrong with them. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "sim/result/database.h"

static void insert_sample(struct database *database, uint64_t run_id, uint64_t t_us, double value)
{
    database_insert(database, DATABASE_SAMPLE, database_integer(run_id), database_integer(3),
                    database_text(""), database_integer(t_us), database_real(value));
}

static void insert_log(struct database *database, uint64_t run_id, const char *message)
{
    database_insert(database, DATABASE_LOG, database_integer(run_id), database_integer(5),
                    database_text("error"), database_null(), database_text("test"),
                    database_text(message));
}

Test(database, a_finished_file_is_whole_and_alone)
{
    const char *path = fixture_path("whole.db");
    struct database database;
    cr_assert_eq(database_create(&database, path, DATABASE_RESULTS), ERR_OK);
    for (uint64_t i = 0; i < 1000; i++) {
        insert_sample(&database, 1, i, (double)i / 4);
    }
    cr_assert_eq(database_finish(&database), ERR_OK);
    cr_expect_str_eq(fixture_text(path, "PRAGMA integrity_check"), "ok");
    cr_expect_str_eq(fixture_text(path, "PRAGMA journal_mode"), "delete");
    cr_expect_eq(fixture_number(path, "PRAGMA application_id"), DATABASE_APPLICATION_ID);
    cr_expect_eq(fixture_number(path, "PRAGMA user_version"), DATABASE_VERSION);
    cr_expect_eq(fixture_number(path, "SELECT sum(value) FROM sample"), 999 * 1000 / 2 / 4.0);
    fixture_remove(1);
}

Test(database, every_table_takes_rows_with_its_own_types_only)
{
    const char *path = fixture_path("strict.db");
    struct database database;
    cr_assert_eq(database_create(&database, path, DATABASE_RESULTS), ERR_OK);
    for (const char *const *name = database_relations(); *name != NULL && (*name)[1] != '_';
         name++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT strict FROM pragma_table_list WHERE name = '%s'", *name);
        database_commit(&database);
        cr_expect_eq(fixture_number(path, sql), 1, "table %s", *name);
    }
    database_insert(&database, DATABASE_SAMPLE, database_text("one"), database_integer(3),
                    database_text(""), database_integer(1), database_real(1));
    cr_expect_eq(database.status, ERR_IO);
    cr_expect_not_null(strstr(database.error, "sample"), "%s", database.error);
    database_close(&database);
    fixture_remove(1);
}

Test(database, the_first_trouble_is_kept_and_the_rest_is_silent)
{
    struct database database;
    cr_assert_eq(database_create(&database, fixture_path("trouble.db"), DATABASE_RESULTS), ERR_OK);
    database_execute(&database, "SELECT nothing");
    char first[DATABASE_ERROR_SIZE];
    memcpy(first, database.error, sizeof first);
    cr_expect_eq(database.status, ERR_IO);
    insert_sample(&database, 1, 1, 1);
    database_execute(&database, "SELECT less");
    cr_expect_null(database_prepare(&database, "SELECT 1"));
    cr_expect_str_eq(database.error, first);
    cr_expect_eq(database_finish(&database), ERR_IO);
    fixture_remove(1);
}

Test(database, parts_are_merged_in_the_order_they_come)
{
    const char *target = fixture_path("target.db");
    struct database results, part;
    cr_assert_eq(database_create(&results, target, DATABASE_RESULTS), ERR_OK);
    for (uint64_t run_id = 1; run_id <= 3; run_id++) {
        char name[16];
        snprintf(name, sizeof name, "part%d.db", (int)run_id);
        const char *path = fixture_path(name);
        cr_assert_eq(database_create(&part, path, DATABASE_PART), ERR_OK);
        insert_log(&part, run_id, "first");
        insert_log(&part, run_id, "second");
        insert_sample(&part, run_id, 10, 1);
        database_close(&part);
        database_merge(&results, path);
    }
    cr_assert_eq(database_finish(&results), ERR_OK, "%s", results.error);
    cr_expect_str_eq(fixture_text(target, "SELECT group_concat(run_id || message, ' ') FROM"
                                          " (SELECT * FROM log ORDER BY rowid)"),
                     "1first 1second 2first 2second 3first 3second");
    cr_expect_eq(fixture_number(target, "SELECT count(*) FROM sample"), 3);
    fixture_remove(4);
}

Test(database, a_part_that_is_none_is_refused)
{
    struct database results;
    const char *part = fixture_path("garbage");
    FILE *file = fopen(part, "wb");
    cr_assert(file != NULL && fputs("this is no database, whoever asks", file) >= 0);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(database_create(&results, fixture_path("x.db"), DATABASE_RESULTS), ERR_OK);
    database_merge(&results, part);
    cr_expect_eq(results.status, ERR_IO);
    database_close(&results);
    fixture_remove(2);
}

/* A process that is killed leaves what it had committed, and a file that opens. */
Test(database, a_killed_writer_leaves_a_whole_file)
{
    const char *path = fixture_path("killed.db");
    pid_t process = fork();
    cr_assert_geq(process, 0);
    if (process == 0) {
        struct database database;
        if (database_create(&database, path, DATABASE_RESULTS) == ERR_OK) {
            for (uint64_t i = 0; i < DATABASE_BATCH_ROWS + 1000; i++) {
                insert_sample(&database, 1, i, 1);
            }
        }
        raise(SIGKILL);
    }
    int status = 0;
    cr_assert_eq(waitpid(process, &status, 0), process);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_expect_str_eq(fixture_text(path, "PRAGMA integrity_check"), "ok");
    cr_expect_eq(fixture_number(path, "SELECT count(*) FROM sample"), DATABASE_BATCH_ROWS);
    fixture_remove(3);
}

Test(database, only_results_are_opened_as_results)
{
    struct database database;
    cr_expect_eq(database_open(&database, fixture_path("missing.db")), ERR_IO);
    cr_expect_not_null(strstr(database.error, "missing.db"));
    database_close(&database);

    FILE *file = fopen(fixture_path("note.txt"), "wb");
    cr_assert(file != NULL && fputs("milk, bread, and a great many other things", file) >= 0);
    cr_assert_eq(fclose(file), 0);
    cr_expect_eq(database_open(&database, fixture_path("note.txt")), ERR_INVALID);
    cr_expect_not_null(strstr(database.error, "not a results file"), "%s", database.error);
    database_close(&database);

    const char *path = fixture_path("newer.db");
    cr_assert_eq(database_create(&database, path, DATABASE_RESULTS), ERR_OK);
    database_execute(&database, "PRAGMA user_version = 99");
    cr_assert_eq(database_finish(&database), ERR_OK);
    cr_expect_eq(database_open(&database, path), ERR_UNSUPPORTED);
    cr_expect_not_null(strstr(database.error, "99"), "%s", database.error);
    database_close(&database);
    fixture_remove(2);
}

Test(database, readers_cannot_write)
{
    const char *path = fixture_path("reading.db");
    struct database database;
    cr_assert_eq(database_create(&database, path, DATABASE_RESULTS), ERR_OK);
    insert_log(&database, 1, "kept");
    cr_assert_eq(database_finish(&database), ERR_OK);
    cr_assert_eq(database_open(&database, path), ERR_OK);
    database_execute(&database, "DELETE FROM log");
    cr_expect_eq(database.status, ERR_IO);
    database_close(&database);
    cr_expect_eq(fixture_number(path, "SELECT count(*) FROM log"), 1);
    fixture_remove(1);
}

Test(database, a_folder_that_is_not_there_is_the_worlds_trouble)
{
    struct database database;
    cr_expect_eq(database_create(&database, fixture_path("no/x.db"), DATABASE_RESULTS), ERR_IO);
    cr_expect_not_null(strstr(database.error, "no/x.db"), "%s", database.error);
    database_close(&database);
    fixture_remove(0);
}
