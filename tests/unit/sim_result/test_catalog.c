/* test_catalog.c - finding the run a person means. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "sim/result/catalog.h"
#include "sim/result/replicate.h"

/* Two points of two replicates; the last run's process died. */
static void make(const char *path)
{
    struct scenario *scenario = fixture_scenario("");
    struct database database;
    cr_assert_eq(database_create(&database, path, DATABASE_RESULTS), ERR_OK);
    for (uint32_t i = 0; i < 4; i++) {
        struct replicate replicate = {.scenario = scenario,
                                      .point_text = i < 2 ? "/a=1" : "/a=2",
                                      .point = i / 2,
                                      .number = i % 2,
                                      .run_id = i + 1,
                                      .seed = UINT64_C(0xf000000000000000) + i % 2,
                                      .until_us = 100,
                                      .queue_kind = i == 1 ? QUEUE_HEAP : QUEUE_WHEEL};
        struct replicate_outcome outcome = {.status = REPLICATE_OK,
                                            .sim_time_us = 100,
                                            .events = 1000 + i,
                                            .node_count = 12,
                                            .digest = 0xab + i,
                                            .started_at_utc = "2026-01-01T00:00:00Z"};
        struct replicate_outcome died = {.status = REPLICATE_FAILED,
                                         .started_at_utc = "2026-01-01T00:00:00Z"};
        replicate_write(&replicate, i == 3 ? &died : &outcome, &database);
    }
    cr_assert_eq(database_finish(&database), ERR_OK);
    scenario_free(scenario);
}

Test(catalog, runs_are_read_as_they_were_written)
{
    const char *path = fixture_path("catalog.db");
    make(path);
    struct database database;
    struct catalog catalog;
    cr_assert_eq(database_open(&database, path), ERR_OK);
    cr_assert_eq(catalog_read(&database, &catalog), ERR_OK);
    cr_assert_eq(catalog.count, 4);
    const struct catalog_run *run = &catalog.runs[1];
    cr_expect_eq(run->seed, UINT64_C(0xf000000000000001));
    cr_expect_eq(run->queue_kind, QUEUE_HEAP);
    cr_expect_eq(run->events, 1001);
    cr_expect_str_eq(run->digest, "00000000000000ac");
    cr_expect_str_eq(run->status, "ok");
    cr_expect_str_eq(run->point_text, "/a=1");
    cr_expect_null(catalog.runs[3].digest);
    cr_expect_str_eq(catalog.runs[3].status, "failed");
    catalog_free(&catalog);
    database_close(&database);
    fixture_remove(1);
}

Test(catalog, selectors_name_seeds_and_replicates)
{
    const char *path = fixture_path("catalog.db");
    make(path);
    struct database database;
    struct catalog catalog;
    cr_assert_eq(database_open(&database, path), ERR_OK);
    cr_assert_eq(catalog_read(&database, &catalog), ERR_OK);
    static const struct {
        const char *selector;
        uint64_t run_id; /* 0: none. */
    } cases[] = {
        {"#0", 1},
        {"#1", 2},
        {"#1.0", 3},
        {"#1.1", 4},
        {"#2", 0},
        {"#2.0", 0},
        {"#", 0},
        {"#1.", 0},
        {"#x", 0},
        {"", 0},
        {"7", 0},
        {"0xf000000000000001", 2},
        {"0xf000000000000001z", 0},
        {"17293822569102704640", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct catalog_run *run = catalog_find(&catalog, cases[i].selector);
        cr_expect_eq(run != NULL ? run->run_id : 0, cases[i].run_id, "\"%s\"", cases[i].selector);
    }
    catalog_free(&catalog);
    database_close(&database);
    fixture_remove(1);
}
