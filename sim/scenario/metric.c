/* metric.c - the rows of the metric dictionary and how to find them. */
#include "sim/scenario/metric.h"

#include <string.h>

#include "node/base/must.h"

static const struct metric_info rows[METRIC_COUNT] = {
#define METRIC_ROW(id, name, unit, better, kind, description)                                      \
    [METRIC_##id] = {name, unit, METRIC_##better, METRIC_##kind, description},
    METRICS(METRIC_ROW)
#undef METRIC_ROW
};

const struct metric_info *metric_info(enum metric_id id)
{
    must(id < METRIC_COUNT);
    return &rows[id];
}

enum metric_id metric_find(const char *name)
{
    enum metric_id id = 0;
    while (id < METRIC_COUNT && strcmp(rows[id].name, name) != 0) {
        id++;
    }
    return id;
}

const char *metric_better_text(enum metric_better better)
{
    static const char *const texts[] = {"lower", "higher", "none"};
    return texts[better];
}

const char *metric_kind_text(enum metric_kind kind)
{
    static const char *const texts[] = {"gauge", "counter", "distribution"};
    return texts[kind];
}
