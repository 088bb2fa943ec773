/* judge.c - verdicts across seeds. */
#include "sim/result/judge.h"

#include <math.h>
#include <stdlib.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "sim/result/measures.h"
#include "sim/result/recorder.h"
#include "sim/result/verdict.h"

/* The verdicts of the runs on one threshold, as read. */
struct verdicts {
    struct verdict *items;
    uint64_t *run_ids;
    size_t count;
};

static void verdicts_read(struct verdicts *verdicts, struct database *results, uint32_t point,
                          uint32_t threshold);
static void write_across(struct database *results, const struct replicate *run, uint32_t index,
                         const struct verdicts *verdicts, const struct verdict_summary *summary);

uint32_t judge_across(struct database *results, const struct replicate *runs, uint32_t run_count)
{
    uint32_t failed = 0;
    for (uint32_t i = 0; i < run_count; i++) {
        if (i > 0 && runs[i].point == runs[i - 1].point) {
            continue;
        }
        const struct scenario *scenario = runs[i].scenario;
        for (uint32_t index = 0; index < scenario->threshold_count; index++) {
            struct verdicts verdicts = {0};
            verdicts_read(&verdicts, results, runs[i].point, index);
            if (verdicts.count > 0) {
                struct verdict_summary summary =
                    verdict_across(&scenario->thresholds[index], verdicts.items, verdicts.count);
                write_across(results, &runs[i], index, &verdicts, &summary);
                failed += !summary.verdict.passed;
            }
            free(verdicts.items);
            free(verdicts.run_ids);
        }
    }
    return failed;
}

static void verdicts_read(struct verdicts *verdicts, struct database *results, uint32_t point,
                          uint32_t threshold)
{
    sqlite3_stmt *statement =
        database_prepare(results, "SELECT run_id, observed, no_data, passed FROM threshold_result"
                                  " WHERE point = ? AND threshold = ? AND run_id IS NOT NULL"
                                  " ORDER BY run_id");
    if (statement == NULL) {
        return;
    }
    must(sqlite3_bind_int64(statement, 1, point) == SQLITE_OK);
    must(sqlite3_bind_int64(statement, 2, threshold) == SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        size_t at = verdicts->count++;
        verdicts->items = text_grow(verdicts->items, at, sizeof *verdicts->items);
        verdicts->run_ids = text_grow(verdicts->run_ids, at, sizeof *verdicts->run_ids);
        bool has_data = sqlite3_column_int(statement, 2) == 0;
        verdicts->run_ids[at] = (uint64_t)sqlite3_column_int64(statement, 0);
        verdicts->items[at] = (struct verdict){
            .observed = has_data ? sqlite3_column_double(statement, 1) : (double)NAN,
            .has_data = has_data,
            .passed = sqlite3_column_int(statement, 3) != 0};
    }
    sqlite3_finalize(statement);
}

static void write_across(struct database *results, const struct replicate *run, uint32_t index,
                         const struct verdicts *verdicts, const struct verdict_summary *summary)
{
    static const char *const across[] = {[SCENARIO_ACROSS_MEDIAN] = "median",
                                         [SCENARIO_ACROSS_MEAN] = "mean",
                                         [SCENARIO_ACROSS_ALL] = "all",
                                         [SCENARIO_ACROSS_ANY] = "any"};
    const struct scenario_threshold *threshold = &run->scenario->thresholds[index];
    database_insert(
        results, DATABASE_THRESHOLD_RESULT, database_null(), database_integer(run->point),
        database_integer(index), database_integer(threshold->metric),
        database_text(threshold->expr), database_text(measures_phase_text(threshold->phase)),
        database_text(recorder_scope_name(run->scenario, threshold)),
        database_real(summary->verdict.observed), database_real(threshold->limit),
        database_integer(summary->verdict.passed), database_integer(!summary->verdict.has_data),
        database_text(across[threshold->across_seeds]), database_integer(summary->passed_count),
        database_integer(verdicts->count), database_integer(verdicts->run_ids[summary->worst]),
        database_integer(threshold->line), database_integer(threshold->column),
        database_text(threshold->pointer));
}
