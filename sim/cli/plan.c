/* plan.c - loads the scenario at every point and lists the runs. */
#include "sim/cli/plan.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/text.h"
#include "sim/cli/cli.h"

enum { POINTS_MAX = 10000, REPLICATES_MAX = 10000 };

static int load_points(struct plan *plan, const struct plan_options *options);
static int load_point(struct plan *plan, const struct plan_options *options, uint32_t point);
static bool seeds_read(const char *text, uint64_t **seeds, uint32_t *count);
static void add_runs(struct plan *plan, const struct plan_options *options, uint32_t point,
                     const uint64_t *seeds, uint32_t count);

int plan_make(struct plan *plan, const struct plan_options *options)
{
    *plan = (struct plan){0};
    uint64_t *seeds = NULL;
    uint32_t count = 0;
    if (options->seeds != NULL && !seeds_read(options->seeds, &seeds, &count)) {
        cli_complain("run", "--seeds wants a number of replicates, or seeds such as 0x5eed,0x17");
        return CLI_USAGE;
    }
    int code = load_points(plan, options);
    for (uint32_t point = 0; point < plan->point_count && code == CLI_OK; point++) {
        if (options->until_us > plan->scenarios[point]->duration_us) {
            cli_complain("run", "--until is beyond the scenario's own duration");
            code = CLI_USAGE;
            break;
        }
        add_runs(plan, options, point, seeds, count);
    }
    free(seeds);
    return code;
}

void plan_free(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->point_count; i++) {
        scenario_free(plan->scenarios[i]);
        free(plan->texts[i]);
    }
    free(plan->scenarios);
    free(plan->texts);
    free(plan->runs);
}

static int load_points(struct plan *plan, const struct plan_options *options)
{
    size_t points = 1;
    for (size_t i = 0; i < options->sweeps.count; i++) {
        size_t values = scenario_sweep_count(options->sweeps.items[i]);
        if (values == 0 || values * points > POINTS_MAX) {
            cli_complain("run",
                         values == 0 ? "--sweep wants /pointer=a,b,c, not \"%s\""
                                     : "--sweep \"%s\" makes too many points",
                         options->sweeps.items[i]);
            return CLI_USAGE;
        }
        points *= values;
    }
    plan->scenarios = text_alloc(points, sizeof(struct scenario *));
    plan->texts = text_alloc(points, sizeof(char *));
    int code = CLI_OK;
    for (uint32_t point = 0; point < points && code == CLI_OK; point++) {
        code = load_point(plan, options, point);
    }
    return code;
}

/* The point's number counts through the sweeps' values, the last sweep fastest. */
static int load_point(struct plan *plan, const struct plan_options *options, uint32_t point)
{
    size_t sweeps = options->sweeps.count;
    size_t count = options->overrides.count + sweeps;
    const char **overrides = text_alloc(count, sizeof *overrides);
    char **values = text_alloc(sweeps, sizeof *values);
    for (size_t i = 0; i < options->overrides.count; i++) {
        overrides[i] = options->overrides.items[i];
    }
    size_t rest = point;
    for (size_t i = sweeps; i-- > 0;) {
        size_t radix = scenario_sweep_count(options->sweeps.items[i]);
        values[i] = scenario_sweep_point(options->sweeps.items[i], rest % radix);
        overrides[options->overrides.count + i] = values[i];
        rest /= radix;
    }
    struct text text = {0};
    text_add(&text, "%s", "");
    for (size_t i = 0; i < sweeps; i++) {
        text_add(&text, "%s%s", i > 0 ? " " : "", values[i]);
    }

    struct scenario_options load = {.overrides = overrides, .override_count = count};
    struct scenario_report report;
    scenario_report_init(&report);
    int status = scenario_load(options->path, &load, &plan->scenarios[point], &report);
    if (status != ERR_OK || point == 0) {
        scenario_report_print(&report, options->report_format, stderr);
    }
    scenario_report_free(&report);
    plan->texts[point] = text.data;
    plan->point_count = point + 1;
    for (size_t i = 0; i < sweeps; i++) {
        free(values[i]);
    }
    free(values);
    free(overrides);
    return status == ERR_OK ? CLI_OK : CLI_SCENARIO;
}

/* "20" is a number of replicates: *seeds stays NULL. "0x17" and "3,4" are seeds. */
static bool seeds_read(const char *text, uint64_t **seeds, uint32_t *count)
{
    bool is_list = strchr(text, ',') != NULL || strncmp(text, "0x", 2) == 0;
    const char *at = text;
    do {
        char *end;
        errno = 0;
        unsigned long long value = strtoull(at, &end, is_list ? 0 : 10);
        if (!isdigit((unsigned char)*at) || errno != 0 || (*end != '\0' && *end != ',')) {
            return false;
        }
        if (!is_list) {
            *count = value <= REPLICATES_MAX ? (uint32_t)value : 0;
            return *count > 0;
        }
        *seeds = text_grow(*seeds, *count, sizeof **seeds);
        (*seeds)[(*count)++] = value;
        at = *end == ',' ? end + 1 : end;
    } while (*at != '\0' && *count < REPLICATES_MAX);
    return *at == '\0' && at[-1] != ',';
}

static void add_runs(struct plan *plan, const struct plan_options *options, uint32_t point,
                     const uint64_t *seeds, uint32_t count)
{
    const struct scenario *scenario = plan->scenarios[point];
    uint32_t replicates = count > 0 ? count : scenario->replicates;
    for (uint32_t i = 0; i < replicates; i++) {
        plan->runs = text_grow(plan->runs, plan->run_count, sizeof *plan->runs);
        plan->runs[plan->run_count] = (struct replicate){
            .scenario = scenario,
            .scenario_path = options->path,
            .point_text = plan->texts[point],
            .point = point,
            .number = i,
            .run_id = plan->run_count + 1u,
            .seed = seeds != NULL ? seeds[i] : scenario_replicate_seed(scenario->seed, i),
            .until_us = options->until_us != 0 ? options->until_us : scenario->duration_us,
            .events_max = options->events_max,
            .queue_kind = options->queue_kind,
            .is_judged = options->is_judged,
        };
        plan->run_count++;
    }
}
