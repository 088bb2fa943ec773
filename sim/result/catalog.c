/* catalog.c - reads the run table. */
#include "sim/result/catalog.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/text.h"

static void run_read(sqlite3_stmt *row, struct catalog_run *run);
static char *column_text(sqlite3_stmt *row, int column);
static uint64_t column_number(sqlite3_stmt *row, int column);

int catalog_read(struct database *database, struct catalog *catalog)
{
    *catalog = (struct catalog){0};
    sqlite3_stmt *row = database_prepare(
        database, "SELECT run_id, point, replicate, seed_hex, point_text, scenario_name, status,"
                  " behaviour_digest, tables_hash, git_commit, started_at_utc, until_us,"
                  " stop_at_events, sim_time_us, wall_time_us, events_total, node_count,"
                  " queue_kind FROM run ORDER BY run_id");
    while (row != NULL && sqlite3_step(row) == SQLITE_ROW) {
        catalog->runs = text_grow(catalog->runs, catalog->count, sizeof *catalog->runs);
        run_read(row, &catalog->runs[catalog->count++]);
    }
    sqlite3_finalize(row);
    return database->status;
}

void catalog_free(struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->count; i++) {
        struct catalog_run *run = &catalog->runs[i];
        free(run->point_text);
        free(run->scenario_name);
        free(run->status);
        free(run->digest);
        free(run->tables_hash);
        free(run->git_commit);
        free(run->started_at_utc);
    }
    free(catalog->runs);
    *catalog = (struct catalog){0};
}

const struct catalog_run *catalog_find(const struct catalog *catalog, const char *selector)
{
    bool is_number = selector[0] == '#';
    char *end;
    errno = 0;
    unsigned long long first = strtoull(selector + is_number, &end, is_number ? 10 : 0);
    unsigned long long second = 0;
    bool has_point = is_number && *end == '.' && isdigit((unsigned char)end[1]);
    if (has_point) {
        second = strtoull(end + 1, &end, 10);
    }
    if (end == selector + is_number || *end != '\0' || errno != 0) {
        return NULL;
    }
    unsigned long long point = has_point ? first : 0;
    unsigned long long replicate = has_point ? second : first;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct catalog_run *run = &catalog->runs[i];
        if (is_number ? run->point == point && run->replicate == replicate : run->seed == first) {
            return run;
        }
    }
    return NULL;
}

static void run_read(sqlite3_stmt *row, struct catalog_run *run)
{
    *run = (struct catalog_run){
        .run_id = column_number(row, 0),
        .point = (uint32_t)column_number(row, 1),
        .replicate = (uint32_t)column_number(row, 2),
        .seed = strtoull((const char *)sqlite3_column_text(row, 3), NULL, 16),
        .point_text = column_text(row, 4),
        .scenario_name = column_text(row, 5),
        .status = column_text(row, 6),
        .digest = column_text(row, 7),
        .tables_hash = column_text(row, 8),
        .git_commit = column_text(row, 9),
        .started_at_utc = column_text(row, 10),
        .until_us = column_number(row, 11),
        .events_max = column_number(row, 12),
        .sim_time_us = column_number(row, 13),
        .wall_us = column_number(row, 14),
        .events = column_number(row, 15),
        .node_count = (uint32_t)column_number(row, 16),
        .queue_kind = strcmp((const char *)sqlite3_column_text(row, 17), "heap") == 0 ? QUEUE_HEAP
                                                                                      : QUEUE_WHEEL,
    };
}

static char *column_text(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text != NULL ? text_copy(text, strlen(text)) : NULL;
}

/* 0 for NULL. */
static uint64_t column_number(sqlite3_stmt *row, int column)
{
    return (uint64_t)sqlite3_column_int64(row, column);
}
