/* fixture.c - folders, scenarios and queries for the tests of the results. */
#include <signal.h>

#include "fixture.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

const char *fixture_folder(void)
{
    if (folder[0] == '\0') {
        snprintf(folder, sizeof folder, "/tmp/meshtwin-test-XXXXXX");
        cr_assert_not_null(mkdtemp(folder));
    }
    return folder;
}

const char *fixture_path(const char *name)
{
    static char paths[8][512]; /* The folder's name is up to 255. */
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", fixture_folder(), name);
    return path;
}

void fixture_remove(size_t expected)
{
    DIR *listing = opendir(fixture_folder());
    cr_assert_not_null(listing);
    size_t count = 0;
    char names[512] = "";
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        count++;
        snprintf(names + strlen(names), sizeof names - strlen(names), " %s", entry->d_name);
        cr_expect_eq(unlink(fixture_path(entry->d_name)), 0);
    }
    closedir(listing);
    cr_expect_eq(rmdir(folder), 0);
    cr_expect_eq(count, expected, "the folder held%s", names);
}

struct scenario *fixture_scenario(const char *more)
{
    char text[4096];
    snprintf(text, sizeof text,
             "{\"schema_version\": 1, \"name\": \"small\", \"seed\": 7, \"duration\": \"4m\","
             "\"warmup\": \"1m\","
             "\"groups\": [{\"name\": \"core\", \"count\": 4}, {\"name\": \"edge\", \"count\": 8}],"
             "\"topology\": {\"source\": \"bootstrap\", \"bootstrap_group\": \"core\"},"
             "\"workload\": [{\"type\": \"lookup\", \"rate\": \"6/min\", \"per\": \"node\"}]%s%s}",
             more[0] != '\0' ? ", " : "", more);
    struct scenario *scenario = NULL;
    struct scenario_report report;
    scenario_report_init(&report);
    int status = scenario_load_text(fixture_path("small.jsonc"), text, strlen(text), NULL,
                                    &scenario, &report);
    scenario_report_print(&report, REPORT_HUMAN, stderr);
    cr_assert_eq(status, ERR_OK);
    scenario_report_free(&report);
    return scenario;
}

/* Nothing is left open: a reader's handle would show in the folder. */
static sqlite3_stmt *first_row(sqlite3 **connection, const char *path, const char *sql)
{
    sqlite3_stmt *statement;
    cr_assert_eq(sqlite3_open_v2(path, connection, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(*connection, sql, -1, &statement, NULL), SQLITE_OK, "%s: %s",
                 sql, sqlite3_errmsg(*connection));
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW, "%s: no row", sql);
    return statement;
}

double fixture_number(const char *path, const char *sql)
{
    sqlite3 *connection;
    sqlite3_stmt *statement = first_row(&connection, path, sql);
    int type = sqlite3_column_type(statement, 0);
    cr_assert(type == SQLITE_INTEGER || type == SQLITE_FLOAT, "%s: no number", sql);
    double number = sqlite3_column_double(statement, 0);
    sqlite3_finalize(statement);
    cr_assert_eq(sqlite3_close(connection), SQLITE_OK);
    return number;
}

const char *fixture_text(const char *path, const char *sql)
{
    static char text[65536];
    sqlite3 *connection;
    sqlite3_stmt *statement = first_row(&connection, path, sql);
    const char *found = (const char *)sqlite3_column_text(statement, 0);
    snprintf(text, sizeof text, "%s", found != NULL ? found : "NULL");
    sqlite3_finalize(statement);
    cr_assert_eq(sqlite3_close(connection), SQLITE_OK);
    return text;
}
