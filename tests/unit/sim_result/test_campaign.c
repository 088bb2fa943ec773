/* test_campaign.c - whole runs in worker processes: the same file for any number of them, and what
 * is left when something goes wrong. */
#include <signal.h>

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "sim/result/campaign.h"

enum { RUNS = 3 };

struct campaign_test {
    struct scenario *scenario;
    struct replicate runs[RUNS];
    struct campaign_options options;
    struct campaign_outcome outcome;
    char error[DATABASE_ERROR_SIZE];
    volatile int stop;
    int stop_after; /* Progress calls until `stop` begins to rise; -1: never. */
    int stop_at;    /* How far it rises. */
    bool kills;     /* One worker, once there is one. */
    uint64_t events;
    char trouble[256];
};

/* The workers are the only children of a test's process. */
static void kill_a_worker(struct campaign_test *test)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
    FILE *file = fopen(path, "r");
    long process = 0;
    if (file != NULL && fscanf(file, "%ld", &process) == 1) {
        test->kills = kill((pid_t)process, SIGKILL) != 0;
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void on_progress(void *arg, const struct campaign_progress *progress)
{
    struct campaign_test *test = arg;
    cr_expect_leq(progress->runs_active, test->options.jobs);
    cr_expect_leq(progress->sim_time_us, progress->sim_time_max_us);
    cr_expect_geq(progress->events, test->events);
    test->events = progress->events;
    if (test->kills) {
        kill_a_worker(test);
    } else if (test->stop_after >= 0 && test->stop_after-- == 0) {
        test->stop = test->stop_at;
    }
}

static void on_trouble(void *arg, const struct replicate *run, const char *what)
{
    struct campaign_test *test = arg;
    snprintf(test->trouble, sizeof test->trouble, "run %d: %s", (int)run->run_id, what);
}

static void prepare(struct campaign_test *test, const char *target, uint32_t jobs, const char *more)
{
    *test = (struct campaign_test){.scenario = fixture_scenario(more), .stop_after = -1};
    for (uint32_t i = 0; i < RUNS; i++) {
        test->runs[i] = (struct replicate){.scenario = test->scenario,
                                           .scenario_path = "small.jsonc",
                                           .point_text = "",
                                           .number = i,
                                           .run_id = i + 1,
                                           .seed = scenario_replicate_seed(test->scenario->seed, i),
                                           .until_us = test->scenario->duration_us,
                                           .is_judged = true};
    }
    test->options = (struct campaign_options){.target = target,
                                              .runs = test->runs,
                                              .run_count = RUNS,
                                              .jobs = jobs,
                                              .stop = &test->stop,
                                              .progress = on_progress,
                                              .progress_arg = test,
                                              .trouble = on_trouble,
                                              .trouble_arg = test};
}

static int run(struct campaign_test *test)
{
    return campaign_run(&test->options, &test->outcome, test->error, sizeof test->error);
}

/* Rows that differ between two files in anything but clocks and memory peaks. */
static double differences(const char *left, const char *right, const char *table)
{
    char sql[1024];
    const char *columns = strcmp(table, "run") == 0
                              ? "run_id, replicate, seed_hex, scenario_json, scenario_sha256,"
                                "status, until_us, sim_time_us, events_total, node_count,"
                                "behaviour_digest, tables_hash, crypto_suite"
                              : "*";
    snprintf(sql, sizeof sql,
             "SELECT (SELECT count(*) FROM (SELECT %s FROM main.%s EXCEPT SELECT %s FROM other.%s))"
             " + (SELECT count(*) FROM (SELECT %s FROM other.%s EXCEPT SELECT %s FROM main.%s))"
             " + abs((SELECT count(*) FROM main.%s) - (SELECT count(*) FROM other.%s))",
             columns, table, columns, table, columns, table, columns, table, table, table);
    sqlite3 *connection;
    sqlite3_stmt *statement;
    char attach[512];
    snprintf(attach, sizeof attach, "ATTACH '%s' AS other", right);
    cr_assert_eq(sqlite3_open_v2(left, &connection, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(connection, attach, NULL, NULL, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(connection, sql, -1, &statement, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(connection));
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    double count = sqlite3_column_double(statement, 0);
    sqlite3_finalize(statement);
    cr_assert_eq(sqlite3_close(connection), SQLITE_OK);
    return count;
}

Test(campaign, the_content_does_not_depend_on_the_number_of_workers, .timeout = 60)
{
    struct campaign_test one, many;
    const char *paths[] = {fixture_path("one.db"), fixture_path("many.db")};
    const char *more = "\"metrics\": {\"events\": [\"lookup\"]},"
                       "\"thresholds\": {\"lookup_hops\": [\"mean < 5\"]}";
    prepare(&one, paths[0], 1, more);
    prepare(&many, paths[1], RUNS, more);
    cr_assert_eq(run(&one), ERR_OK, "%s", one.error);
    cr_assert_eq(run(&many), ERR_OK, "%s", many.error);
    cr_expect_eq(one.outcome.ok, RUNS);
    for (const char *const *table = database_relations(); strncmp(*table, "v_", 2) != 0; table++) {
        cr_expect_eq(differences(paths[0], paths[1], *table), 0, "table %s", *table);
    }
    /* Not because there is nothing in it. */
    cr_expect_gt(fixture_number(paths[0], "SELECT count(*) FROM lookup"), 100);
    cr_expect_eq(fixture_number(paths[0], "SELECT count(DISTINCT behaviour_digest) FROM run"),
                 RUNS);
    cr_expect_eq(fixture_number(paths[0], "SELECT runs_judged FROM threshold_result"
                                          " WHERE run_id IS NULL"),
                 RUNS);
    cr_expect_str_eq(fixture_text(paths[0], "PRAGMA integrity_check"), "ok");
    scenario_free(one.scenario);
    scenario_free(many.scenario);
    fixture_remove(2);
}

Test(campaign, an_interrupted_one_keeps_what_it_had_and_says_so, .timeout = 60)
{
    struct campaign_test test;
    const char *target = fixture_path("aborted.db");
    prepare(&test, target, 1, "");
    test.runs[0].until_us = test.scenario->duration_us;
    test.stop_after = 0; /* At the first display: the first run has just begun. */
    test.stop_at = 1;
    cr_assert_eq(run(&test), ERR_OK, "%s", test.error);
    cr_expect_eq(test.outcome.aborted, 1);
    cr_expect_str_eq(fixture_text(target, "SELECT group_concat(status) FROM run"), "aborted");
    cr_expect_lt(fixture_number(target, "SELECT sim_time_us FROM run"),
                 (double)test.scenario->duration_us);
    cr_expect_eq(fixture_number(target, "SELECT count(*) FROM threshold_result"), 0);
    cr_expect_str_eq(fixture_text(target, "PRAGMA integrity_check"), "ok");
    scenario_free(test.scenario);
    fixture_remove(1);
}

Test(campaign, interrupted_twice_it_leaves_the_old_file_alone, .timeout = 60)
{
    struct campaign_test test;
    const char *target = fixture_path("old.db");
    FILE *file = fopen(target, "wb");
    cr_assert(file != NULL && fputs("precious", file) >= 0);
    cr_assert_eq(fclose(file), 0);
    prepare(&test, target, 2, "");
    test.stop_after = 0;
    test.stop_at = 2;
    cr_expect_eq(run(&test), ERR_STOPPED);
    char text[16] = "";
    file = fopen(target, "rb");
    cr_assert(file != NULL && fgets(text, sizeof text, file) != NULL);
    cr_assert_eq(fclose(file), 0);
    cr_expect_str_eq(text, "precious");
    scenario_free(test.scenario);
    fixture_remove(1);
}

Test(campaign, a_worker_that_dies_fails_its_run_and_no_other, .timeout = 60)
{
    if (access("/proc/self/task", R_OK) != 0) {
        cr_skip("no /proc to find the worker in");
    }
    struct campaign_test test;
    const char *target = fixture_path("died.db");
    /* Long enough to be found alive; the others end at once. */
    prepare(&test, target, 1, "");
    struct scenario *endless = fixture_scenario("");
    endless->duration_us *= 10000;
    test.runs[0].scenario = endless;
    test.runs[0].until_us = endless->duration_us;
    test.kills = true;
    cr_assert_eq(run(&test), ERR_OK, "%s", test.error);
    cr_expect_eq(test.outcome.failed, 1);
    cr_expect_eq(test.outcome.ok, RUNS - 1);
    cr_expect_not_null(strstr(test.trouble, "run 1: its process died of signal 9"), "%s",
                       test.trouble);
    cr_expect_str_eq(fixture_text(target, "SELECT group_concat(status) FROM"
                                          " (SELECT status FROM run ORDER BY run_id)"),
                     "failed,ok,ok");
    cr_expect_eq(fixture_number(target, "SELECT count(*) FROM run WHERE behaviour_digest IS NULL"),
                 1);
    cr_expect_eq(fixture_number(target, "SELECT run_id FROM log WHERE level = 'error'"), 1);
    scenario_free(endless);
    scenario_free(test.scenario);
    fixture_remove(1);
}

Test(campaign, a_failed_threshold_names_the_worst_run, .timeout = 60)
{
    struct campaign_test test;
    const char *target = fixture_path("worst.db");
    prepare(&test, target, 2, "\"thresholds\": {\"messages_total\": [\"max < 1\"]}");
    cr_assert_eq(run(&test), ERR_OK, "%s", test.error);
    cr_expect_eq(test.outcome.thresholds_failed, 1);
    cr_expect_eq(fixture_number(target,
                                "SELECT t.worst_run_id = (SELECT run_id FROM threshold_result"
                                " WHERE run_id IS NOT NULL ORDER BY observed DESC LIMIT 1)"
                                " FROM threshold_result t WHERE t.run_id IS NULL"),
                 1);
    cr_expect_eq(fixture_number(target, "SELECT runs_passed FROM threshold_result"
                                        " WHERE run_id IS NULL"),
                 0);
    scenario_free(test.scenario);
    fixture_remove(1);
}

Test(campaign, a_run_that_ends_at_its_event_limit_is_whole_but_not_judged, .timeout = 60)
{
    struct campaign_test test;
    const char *target = fixture_path("limit.db");
    prepare(&test, target, 1, "\"thresholds\": {\"lookup_hops\": [\"mean < 5\"]}");
    test.runs[1].events_max = 500;
    cr_assert_eq(run(&test), ERR_OK, "%s", test.error);
    cr_expect_eq(fixture_number(target, "SELECT events_total FROM run WHERE run_id = 2"), 500);
    cr_expect_str_eq(fixture_text(target, "SELECT status FROM run WHERE run_id = 2"), "ok");
    cr_expect_eq(fixture_number(target, "SELECT count(*) FROM threshold_result WHERE run_id = 2"),
                 0);
    cr_expect_eq(fixture_number(target, "SELECT runs_judged FROM threshold_result"
                                        " WHERE run_id IS NULL"),
                 2);
    scenario_free(test.scenario);
    fixture_remove(1);
}

Test(campaign, results_that_cannot_be_written_are_no_results)
{
    struct campaign_test test;
    prepare(&test, fixture_path("no/folder.db"), 1, "");
    cr_expect_eq(run(&test), ERR_IO);
    cr_expect_not_null(strstr(test.error, "no/folder.db"), "%s", test.error);
    scenario_free(test.scenario);
    fixture_remove(0);
}
