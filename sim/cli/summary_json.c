/* summary_json.c - the results of a campaign as one JSON document. */
#include <inttypes.h>
#include <string.h>

#include "sim/cli/summary.h"
#include "sim/result/machine.h"
#include "sim/scenario/json_write.h"

static void write_tool(struct json_writer *json);
static void write_runs(struct json_writer *json, const struct catalog *catalog);
static void write_thresholds(struct json_writer *json, struct database *database);
static void write_metrics(struct json_writer *json, struct database *database);

void summary_print_json(struct database *database, const struct catalog *catalog,
                        const struct summary_options *options, FILE *out)
{
    struct json_writer json;
    json_write_start(&json, out);
    json_write_open(&json, NULL, '{');
    json_write_string(&json, "schema", "meshtwin.run.v1");
    write_tool(&json);
    json_write_string(&json, "scenario", catalog->runs[0].scenario_name);
    json_write_string(&json, "results", options->path);
    json_write_number(&json, "wall_time_us", (double)options->wall_us);
    write_runs(&json, catalog);
    write_thresholds(&json, database);
    write_metrics(&json, database);
    json_write_close(&json, '}');
    fputc('\n', out);
}

static void write_tool(struct json_writer *json)
{
    struct machine machine;
    machine_describe(&machine);
    json_write_open(json, "tool", '{');
    json_write_string(json, "version", machine.version);
    json_write_string(json, "git_commit", machine.git_commit);
    json_write_string(json, "compiler", machine.compiler);
    json_write_string(json, "build_flags", machine.build_flags);
    json_write_close(json, '}');
}

static void write_runs(struct json_writer *json, const struct catalog *catalog)
{
    json_write_open(json, "runs", '[');
    for (size_t i = 0; i < catalog->count; i++) {
        const struct catalog_run *run = &catalog->runs[i];
        char seed[24];
        snprintf(seed, sizeof seed, "0x%016" PRIx64, run->seed);
        json_write_open(json, NULL, '{');
        json_write_number(json, "run_id", (double)run->run_id);
        json_write_number(json, "point", run->point);
        json_write_string(json, "point_text", run->point_text);
        json_write_number(json, "replicate", run->replicate);
        json_write_string(json, "seed", seed);
        json_write_string(json, "status", run->status);
        json_write_number(json, "nodes", run->node_count);
        json_write_number(json, "events", (double)run->events);
        json_write_number(json, "sim_time_us", (double)run->sim_time_us);
        json_write_number(json, "wall_time_us", (double)run->wall_us);
        json_write_string(json, "digest", run->digest);
        json_write_string(json, "tables_hash", run->tables_hash);
        json_write_close(json, '}');
    }
    json_write_close(json, ']');
}

/* A number, or null where the column is NULL. */
static void write_column(struct json_writer *json, const char *key, sqlite3_stmt *row, int column)
{
    if (sqlite3_column_type(row, column) == SQLITE_NULL) {
        json_write_string(json, key, NULL);
    } else {
        json_write_number(json, key, sqlite3_column_double(row, column));
    }
}

static void write_thresholds(struct json_writer *json, struct database *database)
{
    sqlite3_stmt *row = database_prepare(
        database, "SELECT t.point, m.name, m.unit, t.expr, t.phase, t.group_name, t.across_seeds,"
                  " t.observed, t.limit_value, t.runs_passed, t.runs_judged, t.worst_run_id,"
                  " t.passed, t.no_data FROM threshold_result t JOIN metric m USING(metric_id)"
                  " WHERE t.run_id IS NULL ORDER BY t.point, t.threshold");
    static const char *const texts[] = {"metric", "unit", "expr", "phase", "group", "across_seeds"};
    static const char *const numbers[] = {"observed", "limit", "runs_passed", "runs_judged",
                                          "worst_run_id"};
    json_write_open(json, "thresholds", '[');
    while (row != NULL && sqlite3_step(row) == SQLITE_ROW) {
        json_write_open(json, NULL, '{');
        write_column(json, "point", row, 0);
        for (int i = 0; i < 6; i++) {
            json_write_string(json, texts[i], (const char *)sqlite3_column_text(row, 1 + i));
        }
        for (int i = 0; i < 5; i++) {
            write_column(json, numbers[i], row, 7 + i);
        }
        json_write_bool(json, "passed", sqlite3_column_int(row, 12) != 0);
        json_write_bool(json, "no_data", sqlite3_column_int(row, 13) != 0);
        json_write_close(json, '}');
    }
    sqlite3_finalize(row);
    json_write_close(json, ']');
}

/* One object per run, metric, phase and group; its statistics are members. */
static void write_metrics(struct json_writer *json, struct database *database)
{
    sqlite3_stmt *row = database_prepare(
        database, "SELECT s.run_id, m.name, m.unit, s.phase, s.group_name, s.n, s.stat, s.value"
                  " FROM summary s JOIN metric m USING(metric_id)"
                  " ORDER BY s.run_id, s.metric_id, s.phase, s.group_name, s.stat");
    json_write_open(json, "metrics", '[');
    char open[256] = "";
    while (row != NULL && sqlite3_step(row) == SQLITE_ROW) {
        char now[256];
        snprintf(now, sizeof now, "%d %s %s %s", sqlite3_column_int(row, 0),
                 sqlite3_column_text(row, 1), sqlite3_column_text(row, 3),
                 sqlite3_column_text(row, 4));
        if (strcmp(now, open) != 0) {
            if (open[0] != '\0') {
                json_write_close(json, '}');
            }
            memcpy(open, now, sizeof open);
            json_write_open(json, NULL, '{');
            write_column(json, "run_id", row, 0);
            json_write_string(json, "metric", (const char *)sqlite3_column_text(row, 1));
            json_write_string(json, "unit", (const char *)sqlite3_column_text(row, 2));
            json_write_string(json, "phase", (const char *)sqlite3_column_text(row, 3));
            json_write_string(json, "group", (const char *)sqlite3_column_text(row, 4));
            write_column(json, "n", row, 5);
        }
        write_column(json, (const char *)sqlite3_column_text(row, 6), row, 7);
    }
    if (open[0] != '\0') {
        json_write_close(json, '}');
    }
    sqlite3_finalize(row);
    json_write_close(json, ']');
}
