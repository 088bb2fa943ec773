/* run.c - `meshtwin run`: from a scenario file to results, a summary and an exit code. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/cli/text.h"
#include "sim/cli/cli.h"
#include "sim/cli/live.h"
#include "sim/cli/plan.h"
#include "sim/cli/progress.h"
#include "sim/cli/summary.h"
#include "sim/result/campaign.h"
#include "sim/result/machine.h"

struct run_arguments {
    bool help;
    bool is_quiet;
    bool is_verbose;
    bool is_json;
    bool is_dry;
    bool prints_resolved;
    bool has_no_thresholds;
    bool is_live;
    const char *output;
    const char *meshnode;
    const char *seeds;
    struct option_list overrides;
    struct option_list sweeps;
    uint64_t jobs;    /* 0: as many as there are cores, and memory. */
    uint64_t threads; /* 0: threads_default. */
    uint64_t until_us;
    uint64_t events_max;
    int queue;
    int color;
    int error_format;
};

static const char *const queue_names[] = {"wheel", "heap", NULL};       /* enum queue_kind */
static const char *const formats[] = {"human", "json", "github", NULL}; /* enum report_format */

#define ARGUMENT(member) offsetof(struct run_arguments, member)
static const struct option run_options[] = {
    CLI_HELP_OPTION,
    {'o', "output", "FILE", OPTION_TEXT, ARGUMENT(output), NULL,
     "results file (default results/<scenario>.db)"},
    {0, "seeds", "N|S,S", OPTION_TEXT, ARGUMENT(seeds), NULL,
     "number of replicates, or their seeds: 0x5eed,0x17"},
    {'j', "jobs", "N", OPTION_COUNT, ARGUMENT(jobs), NULL,
     "replicates at a time (default: cores, as memory allows)"},
    {'t', "threads", "N", OPTION_COUNT, ARGUMENT(threads), NULL,
     "threads of a run, up to 8 (default: free cores when it is large); the results are the same"},
    {0, "set", "/P=V", OPTION_LIST, ARGUMENT(overrides), NULL,
     "override a value of the scenario (may be repeated)"},
    {0, "sweep", "/P=A,B", OPTION_LIST, ARGUMENT(sweeps), NULL,
     "run once per value; several sweeps multiply"},
    {0, "until", "TIME", OPTION_DURATION, ARGUMENT(until_us), NULL, "simulate only up to here"},
    {0, "stop-at", "EVENTS", OPTION_COUNT, ARGUMENT(events_max), NULL,
     "stop before the next event after so many; nothing is judged"},
    {0, "queue", "KIND", OPTION_CHOICE, ARGUMENT(queue), queue_names,
     "event queue, wheel or heap: the results are the same"},
    {0, "no-thresholds", NULL, OPTION_FLAG, ARGUMENT(has_no_thresholds), NULL, "judge nothing"},
    {0, "live", NULL, OPTION_FLAG, ARGUMENT(is_live), NULL,
     "then play it with real processes on loopback, and compare: takes as long as the scenario"},
    {0, "meshnode", "FILE", OPTION_TEXT, ARGUMENT(meshnode), NULL,
     "what --live runs as a node (default: the program beside this one)"},
    {0, "dry-run", NULL, OPTION_FLAG, ARGUMENT(is_dry), NULL,
     "estimate events and memory, run nothing"},
    {0, "print-resolved", NULL, OPTION_FLAG, ARGUMENT(prints_resolved), NULL,
     "print the scenario with every default, run nothing"},
    {0, "json", NULL, OPTION_FLAG, ARGUMENT(is_json), NULL, "print one JSON document"},
    {'q', "quiet", NULL, OPTION_FLAG, ARGUMENT(is_quiet), NULL,
     "no progress; only run lines and failed thresholds"},
    {'v', "verbose", NULL, OPTION_FLAG, ARGUMENT(is_verbose), NULL,
     "also memory by owner, counters, every run"},
    {0, "color", "WHEN", OPTION_CHOICE, ARGUMENT(color), terminal_color_names,
     "auto, always or never"},
    {0, "error-format", "HOW", OPTION_CHOICE, ARGUMENT(error_format), formats,
     "complaints about the scenario: human, json or github"},
};

static int run(const struct command *command, int count, char **words);

const struct command command_run = {
    .name = "run",
    .operands = "SCENARIO",
    .summary = "Simulates a scenario and judges its thresholds.",
    .example = "meshtwin run scenarios/first-mesh.jsonc --seeds 5 --set /network/mtu=1400",
    CLI_TABLE(run_options),
    .operand_min = 1,
    .operand_max = 1,
    .run = run};

static int print_estimates(const struct plan *plan, const struct run_arguments *arguments)
{
    struct terminal terminal;
    terminal_open(&terminal, stdout, (enum terminal_color)arguments->color);
    struct grid grid = {.columns = 7};
    static const char *const names[] = {"point",    "runs",   "nodes online",   "operations",
                                        "messages", "events", "memory of a run"};
    for (size_t i = 0; i < grid.columns; i++) {
        grid_add(&grid, "%s", names[i]);
    }
    for (uint32_t point = 0; point < plan->point_count; point++) {
        struct scenario_estimate estimate;
        scenario_estimate(plan->scenarios[point], &estimate);
        char text[4][TERMINAL_NUMBER_SIZE];
        terminal_count(estimate.operations, text[0]);
        terminal_count(estimate.messages, text[1]);
        terminal_count(estimate.events, text[2]);
        terminal_number(estimate.memory_bytes, "bytes", text[3]);
        grid_add(&grid, "%s", plan->texts[point][0] != '\0' ? plan->texts[point] : "-");
        grid_add(&grid, "%" PRIu32, plan->run_count / plan->point_count);
        grid_add(&grid, "%.0f", estimate.online_mean);
        for (size_t i = 0; i < 4; i++) {
            grid_add(&grid, "%s", text[i]);
        }
    }
    grid_print(&grid, &terminal, "", true);
    return CLI_OK;
}

static int print_resolved(const struct plan *plan)
{
    if (plan->point_count > 1) {
        cli_complain("run", "--print-resolved shows one point: use --set instead of --sweep");
        return CLI_USAGE;
    }
    scenario_print_resolved(plan->scenarios[0], stdout);
    return CLI_OK;
}

/* As many as there are cores, but together they may fill half of the memory at most. */
static uint32_t jobs_default(const struct plan *plan)
{
    double bytes = 1;
    for (uint32_t point = 0; point < plan->point_count; point++) {
        struct scenario_estimate estimate;
        scenario_estimate(plan->scenarios[point], &estimate);
        bytes = estimate.memory_bytes > bytes ? estimate.memory_bytes : bytes;
    }
    double fitting = (double)machine_memory_bytes() / 2 / bytes;
    uint32_t jobs = machine_cores();
    jobs = fitting < jobs ? (uint32_t)fitting : jobs;
    return jobs > 1 ? jobs : 1;
}

/* Below about this many nodes a millisecond holds too few events to share. */
#define THREADED_NODES_MIN 20000

static uint32_t threads_default(const struct replicate *replicate, uint32_t jobs)
{
    uint32_t free_cores = machine_cores() / jobs;
    free_cores = free_cores < WORLD_THREADS_MAX ? free_cores : WORLD_THREADS_MAX;
    bool is_large = replicate->scenario->node_count >= THREADED_NODES_MIN;
    return is_large && free_cores > 1 && replicate->events_max == 0 ? free_cores : 1;
}

/* CLI_OK, or CLI_USAGE after a complaint. */
static int share_cores(const struct run_arguments *arguments, struct plan *plan)
{
    if (arguments->threads > WORLD_THREADS_MAX) {
        cli_complain("run", "--threads: at most %d", WORLD_THREADS_MAX);
        return CLI_USAGE;
    }
    if (arguments->threads > 1 && arguments->events_max != 0) {
        cli_complain("run", "--stop-at counts the events of one thread: use it without --threads");
        return CLI_USAGE;
    }
    uint32_t jobs = arguments->jobs > 0 ? (uint32_t)arguments->jobs : jobs_default(plan);
    jobs = jobs < plan->run_count ? jobs : plan->run_count;
    for (uint32_t i = 0; i < plan->run_count; i++) {
        struct replicate *replicate = &plan->runs[i];
        replicate->threads = arguments->threads > 0 ? (uint32_t)arguments->threads
                                                    : threads_default(replicate, jobs);
    }
    return CLI_OK;
}

/* Only the folder of the default is ours to make. NULL after a complaint. */
static char *output_path(const struct run_arguments *arguments, const struct plan *plan)
{
    if (arguments->output != NULL) {
        return text_copy(arguments->output, strlen(arguments->output));
    }
    if (mkdir("results", 0777) != 0 && errno != EEXIST) {
        cli_complain("run", "cannot make the folder results: %s", strerror(errno));
        return NULL;
    }
    return text_format("results/%s.db", plan->scenarios[0]->name);
}

static void on_progress(void *arg, const struct campaign_progress *now)
{
    progress_show(arg, now);
}

static void on_trouble(void *arg, const struct replicate *replicate, const char *what)
{
    progress_clear(arg);
    cli_complain("run", "seed 0x%" PRIx64 ": %s", replicate->seed, what);
}

static int exit_code(const struct campaign_outcome *outcome)
{
    if (outcome->failed > 0) {
        return CLI_FAILURE;
    }
    return outcome->thresholds_failed > 0 ? CLI_THRESHOLDS : CLI_OK;
}

static int print_summary(const struct run_arguments *arguments, const char *path, uint64_t wall_us)
{
    struct database database;
    struct catalog catalog;
    if (!cli_open("run", path, &database, &catalog)) {
        return CLI_FAILURE;
    }
    struct terminal terminal;
    terminal_open(&terminal, stdout, (enum terminal_color)arguments->color);
    struct summary_options options = {.path = path,
                                      .is_quiet = arguments->is_quiet,
                                      .is_verbose = arguments->is_verbose,
                                      .wall_us = wall_us > 0 ? wall_us : 1};
    if (arguments->is_json) {
        summary_print_json(&database, &catalog, &options, stdout);
    } else {
        summary_print(&database, &catalog, &options, &terminal);
    }
    int code = database.status == ERR_OK ? CLI_OK : CLI_FAILURE;
    if (code != CLI_OK) {
        cli_complain("run", "%s", database.error);
    }
    catalog_free(&catalog);
    database_close(&database);
    return code;
}

static int run_plan(const struct run_arguments *arguments, const struct plan *plan,
                    const char *path)
{
    struct progress progress;
    progress_open(&progress, arguments->is_quiet, (enum terminal_color)arguments->color);
    struct campaign_options options = {.target = path,
                                       .runs = plan->runs,
                                       .run_count = plan->run_count,
                                       .jobs = arguments->jobs > 0 ? (uint32_t)arguments->jobs
                                                                   : jobs_default(plan),
                                       .stop = &cli_stop,
                                       .progress = on_progress,
                                       .progress_arg = &progress,
                                       .trouble = on_trouble,
                                       .trouble_arg = &progress};
    struct campaign_outcome outcome;
    char error[DATABASE_ERROR_SIZE];
    uint64_t started_us = machine_clock_us();
    cli_catch_signals();
    int status = campaign_run(&options, &outcome, error, sizeof error);
    uint64_t wall_us = machine_clock_us() - started_us;
    progress_clear(&progress);
    if (status != ERR_OK) {
        cli_complain("run", "%s", error);
        return cli_stop != 0 ? CLI_INTERRUPTED : CLI_FAILURE;
    }
    int code = print_summary(arguments, path, wall_us);
    if (cli_stop != 0) {
        return CLI_INTERRUPTED;
    }
    return code != CLI_OK ? code : exit_code(&outcome);
}

static int run(const struct command *command, int count, char **words)
{
    struct run_arguments arguments = {0};
    struct option_list operands;
    struct plan plan = {0};
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        struct plan_options options = {.path = operands.items[0],
                                       .overrides = arguments.overrides,
                                       .sweeps = arguments.sweeps,
                                       .seeds = arguments.seeds,
                                       .until_us = arguments.until_us,
                                       .events_max = arguments.events_max,
                                       .queue_kind = (enum queue_kind)arguments.queue,
                                       .is_judged = !arguments.has_no_thresholds &&
                                                    arguments.events_max == 0,
                                       .report_format = (enum report_format)arguments.error_format};
        code = plan_make(&plan, &options);
        code = code == CLI_OK ? share_cores(&arguments, &plan) : code;
        if (code == CLI_OK && arguments.prints_resolved) {
            code = print_resolved(&plan);
        } else if (code == CLI_OK && arguments.is_dry) {
            code = print_estimates(&plan, &arguments);
        } else if (code == CLI_OK && arguments.is_live) {
            struct live_options live = {.program = arguments.meshnode,
                                        .color = (enum terminal_color)arguments.color,
                                        .is_json = arguments.is_json,
                                        .is_quiet = arguments.is_quiet};
            code = live_command(&plan, &live);
        } else if (code == CLI_OK) {
            char *path = output_path(&arguments, &plan);
            code = path != NULL ? run_plan(&arguments, &plan, path) : CLI_FAILURE;
            free(path);
        }
    }
    plan_free(&plan);
    option_list_free(&arguments.overrides);
    option_list_free(&arguments.sweeps);
    option_list_free(&operands);
    return code;
}
