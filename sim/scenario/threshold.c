/* threshold.c - "p95 < 1.2s": thresholds by metric, checked against the dictionary of metrics. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/scenario/parse.h"
#include "sim/scenario/relation.h"

static bool metric_read(struct loader *loader, const cJSON *list, const struct scenario_key *key,
                        enum metric_id metric);
static bool entry_read(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                       enum metric_id metric);
static void complain_metric(struct loader *loader, const char *name);
static bool stat_read(const char **at, struct scenario_threshold *threshold);
static bool percentile_read(const char **at, struct scenario_threshold *threshold);
static bool op_read(const char **at, enum scenario_op *op);
static bool limit_read(struct loader *loader, const char *text,
                       struct scenario_threshold *threshold);
static void spaces_skip(const char **at);
static void nat_check(struct loader *loader, struct scenario_threshold *threshold);

bool parse_thresholds(struct loader *loader, const cJSON *item, const struct scenario_key *key)
{
    if (!cJSON_IsObject(item)) {
        parse_complain_type(loader, item, "an object of metrics");
        return false;
    }
    uint32_t before = loader->report->error_count;
    const cJSON *list;
    cJSON_ArrayForEach(list, item)
    {
        if (parse_is_free(list)) {
            continue;
        }
        size_t mark = loader_enter(loader, list->string);
        enum metric_id metric = metric_find(list->string);
        if (metric == METRIC_COUNT) {
            complain_metric(loader, list->string);
        } else {
            (void)metric_read(loader, list, key, metric);
        }
        loader_leave(loader, mark);
    }
    return loader->report->error_count == before;
}

static void complain_metric(struct loader *loader, const char *name)
{
    const char *known[METRIC_COUNT];
    for (enum metric_id id = 0; id < METRIC_COUNT; id++) {
        known[id] = metric_info(id)->name;
    }
    const char *near = text_suggest(name, known, METRIC_COUNT);
    char *help = near != NULL ? text_format("did you mean \"%s\"?  list: meshtwin metrics", near)
                              : text_format("list: meshtwin metrics");
    loader_complain(loader, REPORT_MT0301, LOADER_KEY, help, "threshold on unknown metric \"%s\"",
                    name);
}

static bool metric_read(struct loader *loader, const cJSON *list, const struct scenario_key *key,
                        enum metric_id metric)
{
    if (!cJSON_IsArray(list)) {
        parse_complain_type(loader, list, "a list of thresholds");
        return false;
    }
    if (list->child == NULL) {
        loader_complain(loader, REPORT_MT0112, LOADER_VALUE, NULL,
                        "a threshold that demands nothing");
        return false;
    }
    if (cJSON_GetArraySize(list) > (int)key->max) {
        loader_complain(loader, REPORT_MT0106, LOADER_VALUE, NULL, "at most %d thresholds a metric",
                        (int)key->max);
        return false;
    }
    size_t index = 0;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list)
    {
        size_t mark = loader_enter_index(loader, index++);
        (void)entry_read(loader, entry, key, metric);
        loader_leave(loader, mark);
    }
    return true;
}

/* The plain form stands for the object form with nothing but "expr". */
static bool entry_read(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                       enum metric_id metric)
{
    struct scenario *scenario = loader->scenario;
    if (!cJSON_IsString(item) && !cJSON_IsObject(item)) {
        parse_complain_type(loader, item, "\"stat op value\" or an object");
        return false;
    }
    uint32_t count = scenario->threshold_count++;
    scenario->thresholds = text_grow(scenario->thresholds, count, sizeof *scenario->thresholds);
    struct scenario_threshold *threshold = &scenario->thresholds[count];
    *threshold = (struct scenario_threshold){.metric = metric};
    if (cJSON_IsObject(item)) {
        parse_object(loader, item, key->shape, threshold, false);
        return true;
    }
    cJSON *object = cJSON_CreateObject();
    must(object != NULL && cJSON_AddStringToObject(object, "expr", item->valuestring) != NULL);
    parse_object(loader, object, key->shape, threshold, false);
    cJSON_Delete(object);
    return true;
}

/* Reads the expression, and notes where it stands, for the results. */
void finish_threshold(struct loader *loader, const cJSON *object, void *data)
{
    struct scenario_threshold *threshold = data;
    if (threshold->expr == NULL) {
        return;
    }
    uint32_t place = json_place_find(&loader->document, loader->pointer.data);
    size_t at = place != JSON_NO_PLACE ? loader->document.places[place].from : 0;
    threshold->pointer = text_copy(loader->pointer.data, loader->pointer.len);
    report_locate(loader->report->text, loader->report->len, at, &threshold->line,
                  &threshold->column);

    /* The plain form stands at the list's element, the object form one level down. */
    size_t mark = loader->pointer.len;
    (void)loader_enter(loader, "expr");
    if (json_place_find(&loader->document, loader->pointer.data) == JSON_NO_PLACE) {
        loader_leave(loader, mark);
    }
    const char *text = threshold->expr;
    spaces_skip(&text);
    if (!stat_read(&text, threshold)) {
        loader_complain(loader, REPORT_MT0302, LOADER_VALUE,
                        text_format("stats: mean, median, min, max, last, sum, count, p50, p99.9"),
                        "\"%s\" begins with no known statistic", threshold->expr);
    } else if (!op_read(&text, &threshold->op)) {
        loader_complain(loader, REPORT_MT0302, LOADER_VALUE,
                        text_format("write stat op value: \"p95 < 1.2s\""),
                        "\"%s\" has no comparison: < <= > >= == !=", threshold->expr);
    } else {
        (void)limit_read(loader, text, threshold);
    }
    loader_leave(loader, mark);
    if (threshold->nat != NULL) {
        nat_check(loader, threshold);
    }
    if (threshold->phase == SCENARIO_PHASE_WARMUP && loader->scenario->warmup_us == 0 &&
        cJSON_GetObjectItemCaseSensitive(object, "phase") != NULL) {
        loader_complain_at(loader, "phase", REPORT_MT0210, text_format("set \"warmup\""),
                           "the run has no warm-up");
    }
}

static void nat_check(struct loader *loader, struct scenario_threshold *threshold)
{
    size_t mark = loader_enter(loader, "nat");
    if (threshold->metric != METRIC_DIRECT_RATIO || threshold->group != SCENARIO_GROUP_NONE) {
        loader_complain(loader, REPORT_MT0210, LOADER_KEY, NULL,
                        "only direct_ratio of the whole network is told by kinds of NAT");
    } else {
        (void)nat_pair_read(loader, threshold->nat, threshold->nat_pair);
    }
    loader_leave(loader, mark);
}

static bool stat_read(const char **at, struct scenario_threshold *threshold)
{
    static const char *const names[] = {"mean", "median", "min", "max", "last", "sum", "count"};
    size_t len = strspn(*at, "abcdefghijklmnopqrstuvwxyz");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i]) == len && memcmp(names[i], *at, len) == 0) {
            threshold->stat = (enum scenario_stat)i;
            *at += len;
            spaces_skip(at);
            return true;
        }
    }
    return percentile_read(at, threshold);
}

static bool percentile_read(const char **at, struct scenario_threshold *threshold)
{
    const char *digits = *at + 1;
    size_t whole = **at == 'p' ? strspn(digits, "0123456789") : 0;
    size_t decimals = digits[whole] == '.' ? strspn(digits + whole + 1, "0123456789") : 0;
    if (whole < 1 || whole > 3 || (digits[whole] == '.' && decimals == 0)) {
        return false;
    }
    threshold->stat = SCENARIO_STAT_PERCENTILE;
    threshold->percentile = strtod(digits, NULL);
    *at = digits + whole + (decimals > 0 ? decimals + 1 : 0);
    spaces_skip(at);
    return threshold->percentile <= 100;
}

static bool op_read(const char **at, enum scenario_op *op)
{
    /* Longer ones first, because "<" begins "<=". */
    static const struct {
        const char *text;
        enum scenario_op op;
    } ops[] = {{"<=", SCENARIO_OP_LE}, {">=", SCENARIO_OP_GE}, {"==", SCENARIO_OP_EQ},
               {"!=", SCENARIO_OP_NE}, {"<", SCENARIO_OP_LT},  {">", SCENARIO_OP_GT}};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        size_t len = strlen(ops[i].text);
        if (strncmp(*at, ops[i].text, len) == 0) {
            *op = ops[i].op;
            *at += len;
            spaces_skip(at);
            return true;
        }
    }
    return false;
}

/* A number, and a unit if the metric has one that can be written differently. */
static bool limit_read(struct loader *loader, const char *text,
                       struct scenario_threshold *threshold)
{
    static const struct {
        const char *unit;
        const char *metric_unit;
        double factor;
    } units[] = {
        {"us", "s", 1e6},        {"ms", "s", 1e3},           {"s", "s", 1},
        {"m", "s", -60},         {"h", "s", -3600},          {"B", "bytes", 1},
        {"KiB", "bytes", -1024}, {"MiB", "bytes", -1048576}, {"GiB", "bytes", -1073741824}};
    size_t sign = *text == '-' ? 1 : 0;
    size_t whole = strspn(text + sign, "0123456789");
    size_t decimals = text[sign + whole] == '.' ? strspn(text + sign + whole + 1, "0123456789") : 0;
    const char *unit = text + sign + whole + (decimals > 0 ? decimals + 1 : 0);
    spaces_skip(&unit);
    size_t len = strcspn(unit, " ");
    if (whole == 0 || unit[len + strspn(unit + len, " ")] != '\0') {
        loader_complain(loader, REPORT_MT0302, LOADER_VALUE,
                        text_format("write stat op value: \"p95 < 1.2s\""),
                        "\"%s\" does not end in a number", threshold->expr);
        return false;
    }
    threshold->limit = strtod(text, NULL);
    if (len == 0) {
        return true;
    }
    const char *wanted =
        threshold->stat == SCENARIO_STAT_COUNT ? "values" : metric_info(threshold->metric)->unit;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strlen(units[i].unit) == len && memcmp(units[i].unit, unit, len) == 0 &&
            strcmp(units[i].metric_unit, wanted) == 0) {
            /* Division by a power of ten rounds once; 1200 * 0.001 would round twice. */
            double factor = units[i].factor;
            threshold->limit = factor > 0 ? threshold->limit / factor : threshold->limit * -factor;
            return true;
        }
    }
    loader_complain(loader, REPORT_MT0303, LOADER_VALUE, NULL,
                    "\"%s\" counts in %s, not in \"%.*s\"", metric_info(threshold->metric)->name,
                    wanted, (int)len, unit);
    return false;
}

static void spaces_skip(const char **at)
{
    *at += strspn(*at, " ");
}
