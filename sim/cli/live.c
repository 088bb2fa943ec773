/* live.c - the comparison of both worlds as a person and as a program read it. */
#include "sim/cli/live.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/cli.h"
#include "sim/live/compare.h"
#include "sim/live/process.h"
#include "sim/live/replay.h"
#include "sim/scenario/json_write.h"

static int record(struct live_script *script, const struct replicate *replicate);
static int play(struct live_script *script, const struct live_options *options);
static void print_table(const struct comparison *comparison, const struct replicate *replicate,
                        const struct live_options *options);
static void print_json(const struct comparison *comparison, const struct replicate *replicate);

int live_command(const struct plan *plan, const struct live_options *options)
{
    if (plan->run_count != 1) {
        cli_complain("run", "--live plays one run: use --seeds 1, and --set instead of --sweep");
        return CLI_USAGE;
    }
    if (plan->runs[0].events_max != 0) {
        cli_complain("run", "--stop-at counts simulated events: use --until with --live");
        return CLI_USAGE;
    }
    struct live_script script;
    cli_catch_signals();
    int code = record(&script, &plan->runs[0]);
    code = code == CLI_OK ? play(&script, options) : code;
    if (code == CLI_OK) {
        struct comparison comparison;
        compare_make(&comparison, &script);
        if (options->is_json) {
            print_json(&comparison, &plan->runs[0]);
        } else {
            print_table(&comparison, &plan->runs[0], options);
        }
        code = comparison.failed == 0 ? CLI_OK : CLI_THRESHOLDS;
        compare_free(&comparison);
    }
    script_free(&script);
    return code;
}

static int record(struct live_script *script, const struct replicate *replicate)
{
    char reason[DATABASE_ERROR_SIZE] = "";
    struct script_options options = {.scenario = replicate->scenario,
                                     .seed = replicate->seed,
                                     .duration_us = replicate->until_us,
                                     .stop = &cli_stop};
    int status = script_record(script, &options, reason, sizeof reason);
    if (status == ERR_STOPPED) {
        return CLI_INTERRUPTED;
    }
    if (status != ERR_OK) {
        cli_complain("run", "--live: %s", reason);
        return status == ERR_UNSUPPORTED ? CLI_SCENARIO : CLI_FAILURE;
    }
    return CLI_OK;
}

struct playing {
    struct terminal terminal;
    uint64_t duration_us;
    bool is_quiet;
};

/* Elsewhere than on a terminal nobody waits for the next second. */
static void on_progress(void *arg, uint64_t now_us)
{
    const struct playing *playing = arg;
    if (playing->terminal.is_live && !playing->is_quiet) {
        char now[TERMINAL_NUMBER_SIZE], all[TERMINAL_NUMBER_SIZE];
        terminal_time(now_us, now);
        terminal_time(playing->duration_us, all);
        fprintf(playing->terminal.out, "\rlive %s/%s ", now, all);
    }
}

static int play(struct live_script *script, const struct live_options *options)
{
    char reason[DATABASE_ERROR_SIZE] = "";
    char program[PROCESS_PATH_MAX];
    if (options->program == NULL && !process_program(program, reason, sizeof reason)) {
        cli_complain("run", "--live: %s", reason);
        return CLI_FAILURE;
    }
    struct playing playing = {.duration_us = script->duration_us, .is_quiet = options->is_quiet};
    terminal_open(&playing.terminal, stderr, options->color);
    if (!options->is_quiet) {
        char all[TERMINAL_NUMBER_SIZE];
        terminal_time(script->duration_us, all);
        fprintf(stderr, "simulated; now %" PRIu32 " processes do the same, which takes %s\n",
                script->node_count, all);
    }
    struct replay_options replay = {.program =
                                        options->program != NULL ? options->program : program,
                                    .stop = &cli_stop,
                                    .progress = on_progress,
                                    .progress_arg = &playing};
    int status = replay_run(script, &replay, reason, sizeof reason);
    if (playing.terminal.is_live && !options->is_quiet) {
        fprintf(stderr, "\r\033[K");
    }
    if (status == ERR_STOPPED) {
        return CLI_INTERRUPTED;
    }
    if (status != ERR_OK) {
        cli_complain("run", "--live: %s", reason);
        return CLI_FAILURE;
    }
    return CLI_OK;
}

static const char *verdict_text(enum compare_verdict verdict)
{
    static const char *const texts[] = {
        [COMPARE_PASS] = "PASS", [COMPARE_FAIL] = "FAIL", [COMPARE_NOT_JUDGED] = ""};
    return texts[verdict];
}

static void format(double value, enum compare_unit unit, char text[TERMINAL_NUMBER_SIZE])
{
    if (unit == COMPARE_US) {
        terminal_number(value / 1e6, "s", text);
    } else if (unit == COMPARE_COUNT) {
        snprintf(text, TERMINAL_NUMBER_SIZE, "%.0f", value);
    } else {
        snprintf(text, TERMINAL_NUMBER_SIZE, "%.4g", value);
    }
}

static void print_table(const struct comparison *comparison, const struct replicate *replicate,
                        const struct live_options *options)
{
    struct terminal terminal;
    terminal_open(&terminal, stdout, options->color);
    printf("%s%sseed 0x%" PRIx64 "%s%" PRIu32 " nodes, simulated and live\n",
           replicate->scenario->name, terminal_dot(&terminal), replicate->seed,
           terminal_dot(&terminal), replicate->scenario->node_count);
    struct grid grid = {.columns = 7};
    static const char *const names[] = {"", "", "", "simulated", "live", "difference", "allowed"};
    for (size_t i = 0; i < grid.columns; i++) {
        grid_add(&grid, "%s", names[i]);
    }
    const char *section = "";
    for (uint32_t i = 0; i < comparison->count; i++) {
        const struct compare_row *row = &comparison->rows[i];
        bool is_judged = row->verdict != COMPARE_NOT_JUDGED;
        char cells[4][TERMINAL_NUMBER_SIZE];
        format(row->simulated, row->unit, cells[0]);
        format(row->live, row->unit, cells[1]);
        format(row->live - row->simulated, row->unit, cells[2]);
        format(row->allowed, row->unit, cells[3]);
        grid_add(&grid, "%s", verdict_text(row->verdict));
        grid_add(&grid, "%s", strcmp(section, row->section) != 0 ? row->section : "");
        grid_add(&grid, "%s", row->name);
        for (size_t j = 0; j < 4; j++) {
            grid_add(&grid, "%s", j < 3 || is_judged ? cells[j] : "");
        }
        section = row->section;
    }
    grid_print(&grid, &terminal, "  ", true);
    bool is_same = comparison->failed == 0;
    printf("%s%s%s: %" PRIu32 " of %" PRIu32 " comparisons hold\n",
           terminal_style(&terminal, is_same ? TERMINAL_GOOD : TERMINAL_BAD),
           is_same ? "PASS" : "FAIL", terminal_style(&terminal, TERMINAL_PLAIN),
           comparison->judged - comparison->failed, comparison->judged);
}

static void print_json(const struct comparison *comparison, const struct replicate *replicate)
{
    static const char *const units[] = {
        [COMPARE_COUNT] = "", [COMPARE_RATIO] = "ratio", [COMPARE_MEAN] = "", [COMPARE_US] = "us"};
    char seed[24];
    snprintf(seed, sizeof seed, "0x%016" PRIx64, replicate->seed);
    struct json_writer json;
    json_write_start(&json, stdout);
    json_write_open(&json, NULL, '{');
    json_write_string(&json, "schema", "meshtwin.live.v1");
    json_write_string(&json, "scenario", replicate->scenario->name);
    json_write_string(&json, "seed", seed);
    json_write_number(&json, "nodes", replicate->scenario->node_count);
    json_write_string(&json, "verdict", comparison->failed == 0 ? "pass" : "fail");
    json_write_open(&json, "rows", '[');
    for (uint32_t i = 0; i < comparison->count; i++) {
        const struct compare_row *row = &comparison->rows[i];
        bool is_judged = row->verdict != COMPARE_NOT_JUDGED;
        json_write_open(&json, NULL, '{');
        json_write_string(&json, "section", row->section);
        json_write_string(&json, "name", row->name);
        json_write_string(&json, "unit", units[row->unit]);
        json_write_number(&json, "simulated", row->simulated);
        json_write_number(&json, "live", row->live);
        if (is_judged) {
            json_write_number(&json, "allowed", row->allowed);
            json_write_string(&json, "verdict", row->verdict == COMPARE_PASS ? "pass" : "fail");
        }
        json_write_close(&json, '}');
    }
    json_write_close(&json, ']');
    json_write_close(&json, '}');
    putchar('\n');
}
