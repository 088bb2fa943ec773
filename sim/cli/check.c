/* check.c - the commands that look at scenarios and words: check, schema, explain, metrics. */
#include <stdlib.h>
#include <string.h>

#include "sim/cli/cli.h"
#include "sim/cli/terminal.h"
#include "sim/scenario/json_write.h"
#include "sim/scenario/scenario.h"

struct check_arguments {
    bool help;
    bool is_quiet;
    bool is_json;
    int error_format;
};

#define ARGUMENT(member) offsetof(struct check_arguments, member)

/* --- check ----------------------------------------------------------------------------------- */

static const char *const formats[] = {"human", "json", "github", NULL}; /* enum report_format */

static const struct option check_options[] = {
    CLI_HELP_OPTION,
    {'q', "quiet", NULL, OPTION_FLAG, ARGUMENT(is_quiet), NULL, "say nothing of good files"},
    {0, "error-format", "HOW", OPTION_CHOICE, ARGUMENT(error_format), formats,
     "human (standard error), json or github (standard output)"},
};

static bool check_file(const char *path, const struct check_arguments *arguments)
{
    enum report_format format = (enum report_format)arguments->error_format;
    struct scenario *scenario = NULL;
    struct scenario_report report;
    scenario_report_init(&report);
    bool ok = scenario_load(path, NULL, &scenario, &report) == ERR_OK;
    FILE *out = format == REPORT_HUMAN ? stderr : stdout;
    scenario_report_print(&report, format, out);
    if (format == REPORT_JSON) {
        fputc('\n', out); /* One document per file and line. */
    }
    if (ok && format == REPORT_HUMAN && !arguments->is_quiet) {
        printf("%s: ok\n", path);
    }
    scenario_report_free(&report);
    scenario_free(scenario);
    return ok;
}

static int run_check(const struct command *command, int count, char **words)
{
    struct check_arguments arguments = {0};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        for (size_t i = 0; i < operands.count; i++) {
            code = check_file(operands.items[i], &arguments) ? code : CLI_SCENARIO;
        }
    }
    option_list_free(&operands);
    return code;
}

const struct command command_check = {.name = "check",
                                      .operands = "SCENARIO...",
                                      .summary = "Looks for mistakes in scenarios, runs nothing.",
                                      .example = "meshtwin check scenarios/*.jsonc",
                                      CLI_TABLE(check_options),
                                      .operand_min = 1,
                                      .operand_max = SIZE_MAX,
                                      .run = run_check};

/* --- schema ---------------------------------------------------------------------------------- */

static const struct option plain_options[] = {CLI_HELP_OPTION};

static int run_schema(const struct command *command, int count, char **words)
{
    struct check_arguments arguments = {0};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        scenario_print_schema(stdout);
    }
    option_list_free(&operands);
    return code;
}

const struct command command_schema = {.name = "schema",
                                       .operands = "",
                                       .summary = "Prints the JSON Schema of scenarios.",
                                       CLI_TABLE(plain_options),
                                       .run = run_schema};

/* --- explain --------------------------------------------------------------------------------- */

static int explain(const char *word)
{
    enum report_code code = report_code_find(word);
    if (code == REPORT_CODE_COUNT) {
        cli_complain("explain", "there is no code \"%s\"; without one, explain lists them all",
                     word);
        return CLI_USAGE;
    }
    printf("%s: %s: %s\n\n%s\n", report_code_name(code),
           report_severity(code) == REPORT_ERROR ? "error" : "warning", report_code_title(code),
           report_code_text(code));
    return CLI_OK;
}

static int run_explain(const struct command *command, int count, char **words)
{
    struct check_arguments arguments = {0};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        if (operands.count > 0) {
            code = explain(operands.items[0]);
        }
        for (enum report_code i = 0; i < REPORT_CODE_COUNT && operands.count == 0; i++) {
            printf("%s  %s\n", report_code_name(i), report_code_title(i));
        }
    }
    option_list_free(&operands);
    return code;
}

const struct command command_explain = {
    .name = "explain",
    .operands = "[CODE]",
    .summary = "Says what an error code of a scenario means, and how to repair it.",
    .example = "meshtwin explain MT0103",
    CLI_TABLE(plain_options),
    .operand_max = 1,
    .run = run_explain};

/* --- metrics --------------------------------------------------------------------------------- */

static const struct option metrics_options[] = {
    CLI_HELP_OPTION,
    {0, "json", NULL, OPTION_FLAG, ARGUMENT(is_json), NULL, "print one JSON document"},
};

static void print_metrics_json(void)
{
    struct json_writer json;
    json_write_start(&json, stdout);
    json_write_open(&json, NULL, '[');
    for (enum metric_id metric = 0; metric < METRIC_COUNT; metric++) {
        const struct metric_info *info = metric_info(metric);
        json_write_open(&json, NULL, '{');
        json_write_string(&json, "name", info->name);
        json_write_string(&json, "unit", info->unit);
        json_write_string(&json, "better", metric_better_text(info->better));
        json_write_string(&json, "kind", metric_kind_text(info->kind));
        json_write_string(&json, "description", info->description);
        json_write_close(&json, '}');
    }
    json_write_close(&json, ']');
    fputc('\n', stdout);
}

static void print_metrics(void)
{
    struct terminal terminal;
    terminal_open(&terminal, stdout, TERMINAL_AUTO);
    struct grid grid = {.columns = 5};
    static const char *const names[] = {"metric", "unit", "better", "kind", "description"};
    for (size_t i = 0; i < grid.columns; i++) {
        grid_add(&grid, "%s", names[i]);
    }
    for (enum metric_id metric = 0; metric < METRIC_COUNT; metric++) {
        const struct metric_info *info = metric_info(metric);
        grid_add(&grid, "%s", info->name);
        grid_add(&grid, "%s", info->unit);
        grid_add(&grid, "%s", metric_better_text(info->better));
        grid_add(&grid, "%s", metric_kind_text(info->kind));
        grid_add(&grid, "%s", info->description);
    }
    grid_print(&grid, &terminal, "", true);
}

static int run_metrics(const struct command *command, int count, char **words)
{
    struct check_arguments arguments = {0};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        if (arguments.is_json) {
            print_metrics_json();
        } else {
            print_metrics();
        }
    }
    option_list_free(&operands);
    return code;
}

const struct command command_metrics = {.name = "metrics",
                                        .operands = "",
                                        .summary = "Lists everything that a run measures.",
                                        CLI_TABLE(metrics_options),
                                        .run = run_metrics};
