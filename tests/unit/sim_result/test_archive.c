/* test_archive.c - a scenario goes into the results and comes out the same, wherever that is. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "sim/result/archive.h"
#include "sim/result/replicate.h"

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file != NULL && fputs(text, file) >= 0);
    cr_assert_eq(fclose(file), 0);
}

static const char matrix[] = "region,weight,north,south\n"
                             "north,0.5,10,80\n"
                             "south,0.5,80,20\n";
static const char trace[] = "node,start_s,end_s\n"
                            "0,0,50\n"
                            "1,10,200\n";
static const char members[] =
    "\"network\": {\"latency\": {\"model\": \"matrix_csv\", \"file\": \"cities.csv\"}}";

static struct scenario *load_with_files(void)
{
    char text[2048];
    snprintf(text, sizeof text,
             "{\"schema_version\": 1, \"name\": \"traced\", \"seed\": 7, \"duration\": \"4m\","
             "\"groups\": [{\"name\": \"core\", \"count\": 4}, {\"name\": \"edge\", \"count\": 8,"
             " \"churn\": {\"trace\": \"stays.csv\"}}],"
             "\"topology\": {\"source\": \"bootstrap\", \"bootstrap_group\": \"core\"}, %s}",
             members);
    write_file(fixture_path("cities.csv"), matrix);
    write_file(fixture_path("stays.csv"), trace);
    struct scenario *scenario = NULL;
    struct scenario_report report;
    scenario_report_init(&report);
    int status = scenario_load_text(fixture_path("traced.jsonc"), text, strlen(text), NULL,
                                    &scenario, &report);
    scenario_report_print(&report, REPORT_HUMAN, stderr);
    cr_assert_eq(status, ERR_OK);
    scenario_report_free(&report);
    return scenario;
}

static void write_run(struct database *database, const struct scenario *scenario)
{
    struct replicate replicate = {.scenario = scenario,
                                  .scenario_path = fixture_path("traced.jsonc"),
                                  .point_text = "",
                                  .run_id = 1,
                                  .until_us = scenario->duration_us};
    struct replicate_outcome outcome = {.started_at_utc = "2026-01-01T00:00:00Z"};
    replicate_write(&replicate, &outcome, database);
    archive_references(database, scenario, 1);
}

Test(archive, a_scenario_loads_after_its_files_are_gone)
{
    char error[256] = "";
    struct scenario *scenario = load_with_files();
    struct database database;
    const char *path = fixture_path("archive.db");
    cr_assert_eq(database_create(&database, path, DATABASE_RESULTS), ERR_OK);
    cr_assert_eq(
        archive_files(&database, scenario, fixture_path("traced.jsonc"), error, sizeof error),
        ERR_OK, "%s", error);
    write_run(&database, scenario);
    cr_assert_eq(database_finish(&database), ERR_OK);
    cr_assert_eq(unlink(fixture_path("cities.csv")), 0);
    cr_assert_eq(unlink(fixture_path("stays.csv")), 0);

    struct scenario *again = NULL;
    cr_assert_eq(database_open(&database, path), ERR_OK);
    cr_assert_eq(archive_load(&database, 1, &again, error, sizeof error), ERR_OK, "%s", error);
    database_close(&database);
    cr_expect_eq(again->network.latency.region_count, 2);
    cr_expect_eq(again->network.latency.one_way_us[1], scenario->network.latency.one_way_us[1]);
    cr_expect_eq(again->groups[1].churn.trace.stay_count, 2);
    cr_expect_eq(again->groups[1].churn.trace.stays[1].end_us, 200000000);
    char before[SCENARIO_SHA256_SIZE], after[SCENARIO_SHA256_SIZE];
    scenario_sha256(scenario, before);
    scenario_sha256(again, after);
    cr_expect_str_eq(before, after);
    scenario_free(again);
    scenario_free(scenario);
    fixture_remove(1);
}

Test(archive, a_file_that_has_changed_meanwhile_is_refused)
{
    char error[256] = "";
    struct scenario *scenario = load_with_files();
    struct database database;
    cr_assert_eq(database_create(&database, fixture_path("archive.db"), DATABASE_RESULTS), ERR_OK);
    write_file(fixture_path("stays.csv"), "node,start_s,end_s\n0,0,51\n");
    cr_expect_eq(
        archive_files(&database, scenario, fixture_path("traced.jsonc"), error, sizeof error),
        ERR_STALE);
    cr_expect_not_null(strstr(error, "stays.csv"), "%s", error);
    cr_assert_eq(unlink(fixture_path("stays.csv")), 0);
    cr_expect_eq(
        archive_files(&database, scenario, fixture_path("traced.jsonc"), error, sizeof error),
        ERR_IO);
    database_close(&database);
    scenario_free(scenario);
    fixture_remove(2);
}

Test(archive, a_run_that_is_not_there_is_missing)
{
    char error[256] = "";
    struct scenario *scenario = NULL;
    struct database database;
    cr_assert_eq(database_create(&database, fixture_path("archive.db"), DATABASE_RESULTS), ERR_OK);
    cr_expect_eq(archive_load(&database, 9, &scenario, error, sizeof error), ERR_MISSING);
    cr_expect_null(scenario);
    cr_expect_not_null(strstr(error, "9"), "%s", error);
    database_close(&database);
    fixture_remove(1);
}
