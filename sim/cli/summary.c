/* summary.c - the results of a campaign as text. */
#include "sim/cli/summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/quantity.h"
#include "sim/scenario/metric.h"

enum { RUNS_SHOWN = 8, STATS = 5, VIOLATIONS_SHOWN = 3 };

static void print_runs(struct database *database, const struct catalog *catalog,
                       const struct summary_options *options, const struct terminal *terminal);
static void print_thresholds(struct database *database, const struct summary_options *options,
                             const struct terminal *terminal);
static void print_metrics(struct database *database, uint32_t point,
                          const struct summary_options *options, const struct terminal *terminal);
static void print_memory(struct database *database, const struct terminal *terminal);
static void print_counters(struct database *database, const struct terminal *terminal);
static void print_next(struct database *database, const struct catalog *catalog,
                       const struct summary_options *options, const struct terminal *terminal);

void summary_print(struct database *database, const struct catalog *catalog,
                   const struct summary_options *options, const struct terminal *terminal)
{
    print_runs(database, catalog, options, terminal);
    print_thresholds(database, options, terminal);
    if (!options->is_quiet) {
        for (size_t i = 0; i < catalog->count; i++) {
            if (i == 0 || catalog->runs[i].point != catalog->runs[i - 1].point) {
                print_metrics(database, catalog->runs[i].point, options, terminal);
            }
        }
    }
    if (options->is_verbose) {
        print_memory(database, terminal);
        print_counters(database, terminal);
    }
    print_next(database, catalog, options, terminal);
}

void summary_print_run(const struct catalog_run *run, const struct terminal *terminal)
{
    const char *dot = terminal_dot(terminal);
    fprintf(terminal->out,
            "%s%s%s%sseed 0x%" PRIx64 "%s%" PRIu32 " nodes%s%" PRIu64 " events%sdigest %s",
            terminal_style(terminal, TERMINAL_STRONG), run->scenario_name,
            terminal_style(terminal, TERMINAL_PLAIN), dot, run->seed, dot, run->node_count, dot,
            run->events, dot, run->digest != NULL ? run->digest : "none");
    if (run->point_text[0] != '\0') {
        fprintf(terminal->out, "%s%s", dot, run->point_text);
    }
    if (strcmp(run->status, "ok") != 0) {
        char at[TERMINAL_NUMBER_SIZE];
        terminal_time(run->sim_time_us, at);
        fprintf(terminal->out, "%s%s%s at %s%s", dot, terminal_style(terminal, TERMINAL_BAD),
                run->status, at, terminal_style(terminal, TERMINAL_PLAIN));
    }
    fputc('\n', terminal->out);
}

/* What went wrong in one run: broken invariants, or the death of its process. */
static void print_log(struct database *database, const struct catalog_run *run,
                      const struct terminal *terminal)
{
    sqlite3_stmt *row = database_prepare(
        database, "SELECT t_us, node_id, message, count(*) OVER () FROM log"
                  " WHERE run_id = ? AND level = 'error' ORDER BY t_us, rowid LIMIT ?");
    if (row == NULL) {
        return;
    }
    must(sqlite3_bind_int64(row, 1, (sqlite3_int64)run->run_id) == SQLITE_OK);
    must(sqlite3_bind_int(row, 2, VIOLATIONS_SHOWN) == SQLITE_OK);
    int shown = 0;
    int64_t all = 0;
    while (sqlite3_step(row) == SQLITE_ROW) {
        all = sqlite3_column_int64(row, 3);
        shown++;
        fprintf(terminal->out, "  t=%.6fs", (double)sqlite3_column_int64(row, 0) * 1e-6);
        if (sqlite3_column_type(row, 1) != SQLITE_NULL) {
            fprintf(terminal->out, " node=%d", sqlite3_column_int(row, 1));
        }
        fprintf(terminal->out, ": %s\n", sqlite3_column_text(row, 2));
    }
    if (all > shown) {
        fprintf(terminal->out, "  and %" PRId64 " more: see table log\n", all - shown);
    }
    sqlite3_finalize(row);
}

static void print_runs(struct database *database, const struct catalog *catalog,
                       const struct summary_options *options, const struct terminal *terminal)
{
    uint64_t sim_us = 0;
    uint64_t events = 0;
    size_t hidden = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct catalog_run *run = &catalog->runs[i];
        sim_us += run->sim_time_us;
        events += run->events;
        if (i < RUNS_SHOWN || options->is_verbose || strcmp(run->status, "ok") != 0) {
            summary_print_run(run, terminal);
            print_log(database, run, terminal);
        } else {
            hidden++;
        }
    }
    if (hidden > 0) {
        fprintf(terminal->out, "and %zu more runs: meshtwin ls %s\n", hidden, options->path);
    }
    if (options->is_quiet) {
        return;
    }
    char sim[TERMINAL_NUMBER_SIZE], rate[TERMINAL_NUMBER_SIZE];
    double wall_s = (double)options->wall_us * 1e-6;
    terminal_time(sim_us, sim);
    terminal_count((double)events / wall_s, rate);
    fprintf(terminal->out, "%s simulated in %.1f s (%.0f times as fast, %s events/s)\n", sim,
            wall_s, (double)sim_us * 1e-6 / wall_s, rate);
}

static void add_threshold(struct grid *grid, sqlite3_stmt *row, bool has_points)
{
    char observed[TERMINAL_NUMBER_SIZE];
    const char *metric = (const char *)sqlite3_column_text(row, 1);
    const char *group = (const char *)sqlite3_column_text(row, 5);
    const char *phase = (const char *)sqlite3_column_text(row, 4);
    const char *expr = (const char *)sqlite3_column_text(row, 3);
    bool has_data = sqlite3_column_int(row, 8) == 0;
    int judged = sqlite3_column_int(row, 10);
    int stat_len = (int)strcspn(expr, " <>=!");
    terminal_number(has_data ? sqlite3_column_double(row, 6) : (double)NAN,
                    (const char *)sqlite3_column_text(row, 2), observed);
    grid_add(grid, "%s", sqlite3_column_int(row, 7) != 0 ? "PASS" : "FAIL");
    grid_add(grid, "%s", metric);
    grid_add(grid, "%.*s", stat_len, expr);
    grid_add(grid, "%s", has_data ? observed : "no data");
    grid_add(grid, "%s", expr + stat_len + strspn(expr + stat_len, " "));
    grid_add(grid, "%s%s%s", strcmp(phase, "steady") == 0 ? "" : phase,
             group[0] != '\0' ? " group " : "", group);
    if (judged > 1) {
        grid_add(grid, "%d/%d seeds pass", sqlite3_column_int(row, 9), judged);
    } else {
        grid_add(grid, "%s", "");
    }
    if (has_points) {
        grid_add(grid, "%s", sqlite3_column_text(row, 0));
    }
}

static void print_thresholds(struct database *database, const struct summary_options *options,
                             const struct terminal *terminal)
{
    sqlite3_stmt *row = database_prepare(
        database,
        "SELECT (SELECT point_text FROM run r WHERE r.point = t.point LIMIT 1), m.name, m.unit,"
        " t.expr, t.phase, t.group_name, t.observed, t.passed, t.no_data, t.runs_passed,"
        " t.runs_judged, (SELECT count(DISTINCT point) FROM run)"
        " FROM threshold_result t JOIN metric m USING(metric_id)"
        " WHERE t.run_id IS NULL ORDER BY t.point, t.threshold");
    struct grid grid = {0};
    while (row != NULL && sqlite3_step(row) == SQLITE_ROW) {
        bool has_points = sqlite3_column_int(row, 11) > 1;
        if (options->is_quiet && sqlite3_column_int(row, 7) != 0) {
            continue;
        }
        if (grid.columns == 0) {
            static const char *const names[] = {"",      "threshold", "", "observed",
                                                "limit", "",          "", "point"};
            grid.columns = has_points ? 8 : 7;
            for (size_t i = 0; i < grid.columns; i++) {
                grid_add(&grid, "%s", names[i]);
            }
        }
        add_threshold(&grid, row, has_points);
    }
    sqlite3_finalize(row);
    if (grid.cell_count > 0) {
        grid_print(&grid, terminal, "  ", true);
    }
}

/* --- metrics --------------------------------------------------------------------------------- */

static const char *const shown_stats[STATS] = {"mean", "p50", "p95", "p99", "max"};

struct metric_row {
    double values[STATS]; /* Medians over the runs; NAN where there is none. */
    uint64_t n;           /* Over all runs. */
    char name[48];
    char unit[24];
    bool is_counter;
};

/* The median over the runs is the middle row of those SQL has sorted. */
static bool metric_read(struct database *database, uint32_t point, enum metric_id metric,
                        struct metric_row *out)
{
    *out = (struct metric_row){0};
    sqlite3_stmt *row = database_prepare(
        database, "SELECT s.value, s.n, m.name, m.unit, m.kind = 'counter', count(*) OVER (),"
                  " sum(s.n) OVER () FROM summary s JOIN metric m USING(metric_id)"
                  " JOIN run r USING(run_id) WHERE r.point = ? AND m.name = ? AND s.stat = ?"
                  " AND s.phase = 'steady' AND s.group_name = '' ORDER BY s.value");
    if (row == NULL) {
        return false;
    }
    bool is_found = false;
    for (size_t i = 0; i < STATS; i++) {
        out->values[i] = (double)NAN;
        must(sqlite3_reset(row) == SQLITE_OK);
        must(sqlite3_bind_int64(row, 1, point) == SQLITE_OK);
        must(sqlite3_bind_text(row, 2, metric_info(metric)->name, -1, SQLITE_STATIC) == SQLITE_OK);
        must(sqlite3_bind_text(row, 3, shown_stats[i], -1, SQLITE_STATIC) == SQLITE_OK);
        for (int64_t at = 0; sqlite3_step(row) == SQLITE_ROW; at++) {
            int64_t count = sqlite3_column_int64(row, 5);
            double value = sqlite3_column_double(row, 0);
            if (at == (count - 1) / 2) {
                out->values[i] = value;
            } else if (at == count / 2) {
                out->values[i] += (value - out->values[i]) / 2;
            }
            out->n = (uint64_t)sqlite3_column_int64(row, 6);
            out->is_counter = sqlite3_column_int(row, 4) != 0;
            snprintf(out->name, sizeof out->name, "%s", (const char *)sqlite3_column_text(row, 2));
            snprintf(out->unit, sizeof out->unit, "%s", (const char *)sqlite3_column_text(row, 3));
            is_found = true;
        }
    }
    sqlite3_finalize(row);
    return is_found;
}

/* The quantiles of what is 1 or 0 say nothing that the mean does not. */
static bool is_yes_or_no(const struct metric_row *metric)
{
    bool is_so = strcmp(metric->unit, "ratio") == 0;
    for (size_t i = 1; i < STATS; i++) {
        is_so = is_so && (metric->values[i] == 0 || metric->values[i] == 1);
    }
    return is_so;
}

static void add_metric(struct grid *grid, const struct metric_row *metric)
{
    grid_add(grid, "%s", metric->name);
    grid_add(grid, "%" PRIu64, metric->n);
    for (size_t i = 0; i < STATS; i++) {
        char text[TERMINAL_NUMBER_SIZE];
        terminal_number(metric->values[i], metric->unit, text);
        grid_add(grid, "%s", i > 0 && is_yes_or_no(metric) ? "" : text);
    }
}

static void print_metrics(struct database *database, uint32_t point,
                          const struct summary_options *options, const struct terminal *terminal)
{
    struct grid grid = {.columns = STATS + 2};
    for (enum metric_id metric = 0; metric < METRIC_COUNT; metric++) {
        struct metric_row found;
        if (!metric_read(database, point, metric, &found) ||
            (found.is_counter && !options->is_verbose)) {
            continue;
        }
        if (grid.cell_count == 0) {
            grid_add(&grid, "after the warm-up");
            grid_add(&grid, "n");
            for (size_t i = 0; i < STATS; i++) {
                grid_add(&grid, "%s", shown_stats[i]);
            }
        }
        add_metric(&grid, &found);
    }
    if (grid.cell_count > 0) {
        grid_print(&grid, terminal, "  ", true);
    }
}

static void print_memory(struct database *database, const struct terminal *terminal)
{
    sqlite3_stmt *row = database_prepare(
        database, "SELECT m.owner, m.per, m.size_bytes, r.node_count, r.peak_rss_bytes"
                  " FROM memory m JOIN run r USING(run_id)"
                  " WHERE run_id = (SELECT min(run_id) FROM run WHERE node_count > 0)"
                  " ORDER BY m.per, m.rowid");
    struct grid grid = {.columns = 3};
    while (row != NULL && sqlite3_step(row) == SQLITE_ROW) {
        char size[TERMINAL_NUMBER_SIZE];
        if (grid.cell_count == 0) {
            terminal_number((double)sqlite3_column_int64(row, 4), "bytes", size);
            fprintf(terminal->out, "memory of the first run: peak %s\n", size);
            grid_add(&grid, "owner");
            grid_add(&grid, "of a");
            grid_add(&grid, "size");
        }
        terminal_number(sqlite3_column_double(row, 2), "bytes", size);
        grid_add(&grid, "%s", sqlite3_column_text(row, 0));
        grid_add(&grid, "%s", sqlite3_column_text(row, 1));
        grid_add(&grid, "%s", size);
    }
    sqlite3_finalize(row);
    if (grid.cell_count > 0) {
        grid_print(&grid, terminal, "  ", true);
    }
}

static void print_counters(struct database *database, const struct terminal *terminal)
{
    sqlite3_stmt *row = database_prepare(
        database,
        "SELECT name, sum(total) FROM counter WHERE total > 0 GROUP BY name ORDER BY name");
    struct grid grid = {.columns = 2};
    while (row != NULL && sqlite3_step(row) == SQLITE_ROW) {
        if (grid.cell_count == 0) {
            grid_add(&grid, "counter");
            grid_add(&grid, "all nodes");
        }
        grid_add(&grid, "%s", sqlite3_column_text(row, 0));
        grid_add(&grid, "%lld", sqlite3_column_int64(row, 1));
    }
    sqlite3_finalize(row);
    if (grid.cell_count > 0) {
        grid_print(&grid, terminal, "  ", true);
    }
}

/* Where the results are; after a failure, how to see the worst run again. */
static void print_next(struct database *database, const struct catalog *catalog,
                       const struct summary_options *options, const struct terminal *terminal)
{
    if (!options->is_quiet) {
        fprintf(terminal->out,
                "results: %s   next: meshtwin query %s \"SELECT * FROM v_summary\"\n",
                options->path, options->path);
    }
    sqlite3_stmt *row = database_prepare(
        database, "SELECT r.point, r.replicate, r.until_us FROM threshold_result t"
                  " JOIN run r ON r.run_id = t.worst_run_id"
                  " WHERE t.run_id IS NULL AND t.passed = 0 ORDER BY t.point, t.threshold LIMIT 1");
    if (row != NULL && sqlite3_step(row) == SQLITE_ROW) {
        char *until =
            quantity_format_short(QUANTITY_DURATION, (uint64_t)sqlite3_column_int64(row, 2));
        bool has_points = catalog->runs[catalog->count - 1].point > 0;
        char point[16] = "";
        if (has_points) {
            snprintf(point, sizeof point, "%d.", sqlite3_column_int(row, 0));
        }
        fprintf(terminal->out, "replay worst: meshtwin replay %s --seed '#%s%d' --at %s\n",
                options->path, point, sqlite3_column_int(row, 1), until);
        free(until);
    }
    sqlite3_finalize(row);
}
