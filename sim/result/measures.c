/* measures.c - files values under metric, phase and group. */
#include "sim/result/measures.h"

#include <stdlib.h>

#include "node/base/must.h"
#include "node/cli/text.h"

static struct histogram *cell(const struct measures *measures, enum metric_id metric,
                              enum scenario_phase phase, uint32_t group);
static struct histogram *pair_cell(const struct measures *measures, enum scenario_phase phase,
                                   const uint32_t pair[2]);

void measures_init(struct measures *measures, uint32_t group_count, uint32_t nat_count,
                   uint64_t warmup_us)
{
    *measures = (struct measures){
        .group_count = group_count, .nat_count = nat_count, .warmup_us = warmup_us};
    measures->cells =
        text_alloc((size_t)METRIC_COUNT * 2 * (group_count + 1u), sizeof(struct histogram));
    measures->pairs = text_alloc((size_t)2 * nat_count * nat_count, sizeof(struct histogram));
}

void measures_free(struct measures *measures)
{
    size_t count = (size_t)METRIC_COUNT * 2 * (measures->group_count + 1u);
    for (size_t i = 0; i < count; i++) {
        histogram_free(&measures->cells[i]);
    }
    for (size_t i = 0; i < (size_t)2 * measures->nat_count * measures->nat_count; i++) {
        histogram_free(&measures->pairs[i]);
    }
    free(measures->pairs);
    free(measures->cells);
    *measures = (struct measures){0};
}

void measures_observe(struct measures *measures, enum metric_id metric, uint64_t t_us,
                      uint32_t group, double value)
{
    enum scenario_phase phase =
        t_us < measures->warmup_us ? SCENARIO_PHASE_WARMUP : SCENARIO_PHASE_STEADY;
    histogram_record(cell(measures, metric, phase, group), value);
    if (group != SCENARIO_GROUP_NONE && metric_info(metric)->kind == METRIC_DISTRIBUTION) {
        histogram_record(cell(measures, metric, phase, SCENARIO_GROUP_NONE), value);
    }
}

void measures_take(const struct measures *measures, enum metric_id metric,
                   enum scenario_phase phase, uint32_t group, struct histogram *out)
{
    must(out->count == 0);
    if (phase != SCENARIO_PHASE_STEADY) {
        histogram_add(out, cell(measures, metric, SCENARIO_PHASE_WARMUP, group));
    }
    if (phase != SCENARIO_PHASE_WARMUP) {
        histogram_add(out, cell(measures, metric, SCENARIO_PHASE_STEADY, group));
    }
}

void measures_observe_pair(struct measures *measures, uint64_t t_us, const uint32_t pair[2],
                           double value)
{
    enum scenario_phase phase =
        t_us < measures->warmup_us ? SCENARIO_PHASE_WARMUP : SCENARIO_PHASE_STEADY;
    histogram_record(pair_cell(measures, phase, pair), value);
}

void measures_take_pair(const struct measures *measures, enum scenario_phase phase,
                        const uint32_t pair[2], struct histogram *out)
{
    must(out->count == 0);
    if (phase != SCENARIO_PHASE_STEADY) {
        histogram_add(out, pair_cell(measures, SCENARIO_PHASE_WARMUP, pair));
    }
    if (phase != SCENARIO_PHASE_WARMUP) {
        histogram_add(out, pair_cell(measures, SCENARIO_PHASE_STEADY, pair));
    }
}

bool measures_stat(const struct histogram *histogram, enum scenario_stat stat, double percentile,
                   double *value)
{
    *value = 0;
    if (stat == SCENARIO_STAT_COUNT) {
        *value = (double)histogram->count;
        return true;
    }
    if (histogram->count == 0) {
        return false;
    }
    switch (stat) {
    case SCENARIO_STAT_MEAN:
        *value = histogram->sum / (double)histogram->count;
        break;
    case SCENARIO_STAT_MEDIAN:
        *value = histogram_quantile(histogram, 50);
        break;
    case SCENARIO_STAT_MIN:
        *value = histogram->min;
        break;
    case SCENARIO_STAT_MAX:
        *value = histogram->max;
        break;
    case SCENARIO_STAT_LAST:
        *value = histogram->last;
        break;
    case SCENARIO_STAT_SUM:
        *value = histogram->sum;
        break;
    default:
        *value = histogram_quantile(histogram, percentile);
        break;
    }
    return true;
}

const char *measures_phase_text(enum scenario_phase phase)
{
    static const char *const texts[MEASURES_PHASES] = {
        [SCENARIO_PHASE_STEADY] = "steady",
        [SCENARIO_PHASE_WARMUP] = "warmup",
        [SCENARIO_PHASE_ALL] = "all",
    };
    must((size_t)phase < MEASURES_PHASES);
    return texts[phase];
}

static struct histogram *cell(const struct measures *measures, enum metric_id metric,
                              enum scenario_phase phase, uint32_t group)
{
    must(metric < METRIC_COUNT && phase != SCENARIO_PHASE_ALL);
    must(group == SCENARIO_GROUP_NONE || group < measures->group_count);
    size_t column = group == SCENARIO_GROUP_NONE ? measures->group_count : group;
    size_t row = (size_t)phase * METRIC_COUNT + metric;
    return &measures->cells[row * (measures->group_count + 1u) + column];
}

static struct histogram *pair_cell(const struct measures *measures, enum scenario_phase phase,
                                   const uint32_t pair[2])
{
    uint32_t low = pair[0] < pair[1] ? pair[0] : pair[1];
    uint32_t high = pair[0] < pair[1] ? pair[1] : pair[0];
    must(phase != SCENARIO_PHASE_ALL && high < measures->nat_count);
    return &measures
                ->pairs[((size_t)phase * measures->nat_count + low) * measures->nat_count + high];
}
