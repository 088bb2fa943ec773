/* test_table.c - schema, reference, parameters and estimate: all from the one table of keys. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "fixtures.h"
#include "node/cli/text.h"
#include "sim/scenario/descriptor.h"
#include "sim/scenario/json.h"

#define SCHEMA_FILE    SOURCE_DIR "/scenarios/scenario.schema.json"
#define REFERENCE_FILE SOURCE_DIR "/docs/SCENARIOS.md"
#define BEGIN_MARK     "<!-- generated from sim/scenario/descriptor.c: begin -->\n"
#define END_MARK       "<!-- generated from sim/scenario/descriptor.c: end -->\n"
#define UPDATE_HINT    "run MESHTWIN_UPDATE=1 with this test program to write it anew"

static char *printed(void (*print)(FILE *))
{
    char *data = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&data, &len);
    print(out);
    fclose(out);
    return data;
}

static void write_file(const char *path, const char *before, size_t before_len, const char *middle,
                       const char *after)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fwrite(before, 1, before_len, file);
    fputs(middle, file);
    fputs(after, file);
    cr_assert_eq(fclose(file), 0);
}

Test(scenario_table, the_committed_schema_is_what_the_table_says)
{
    char *schema = printed(scenario_print_schema);
    if (getenv("MESHTWIN_UPDATE") != NULL) {
        write_file(SCHEMA_FILE, "", 0, schema, "");
    }
    size_t len = 0;
    char *committed = text_read_file(SCHEMA_FILE, 1 << 20, &len);
    cr_assert_not_null(committed, SCHEMA_FILE " is missing: " UPDATE_HINT);
    cr_expect(strcmp(schema, committed) == 0, SCHEMA_FILE " has drifted: " UPDATE_HINT);
    free(committed);
    free(schema);
}

Test(scenario_table, the_documentation_holds_the_generated_reference)
{
    size_t len = 0;
    char *document = text_read_file(REFERENCE_FILE, 1 << 20, &len);
    cr_assert_not_null(document);
    char *begin = strstr(document, BEGIN_MARK);
    char *end = strstr(document, END_MARK);
    cr_assert(begin != NULL && end != NULL && begin < end, "the marks are missing");
    begin += strlen(BEGIN_MARK);
    char *reference = printed(scenario_print_reference);
    if (getenv("MESHTWIN_UPDATE") != NULL) {
        write_file(REFERENCE_FILE, document, (size_t)(begin - document), reference, end);
    } else {
        size_t reference_len = strlen(reference);
        bool is_same =
            (size_t)(end - begin) == reference_len && memcmp(begin, reference, reference_len) == 0;
        cr_expect(is_same, REFERENCE_FILE " has drifted: " UPDATE_HINT);
    }
    free(reference);
    free(document);
}

Test(scenario_table, the_schema_is_json_and_defines_what_it_refers_to)
{
    char *schema = printed(scenario_print_schema);
    struct scenario_report slips;
    struct json_document document;
    scenario_report_init(&slips);
    json_read(&document, schema, strlen(schema), &slips);
    cr_assert_eq(slips.error_count, 0);
    const cJSON *definitions = cJSON_GetObjectItemCaseSensitive(document.root, "definitions");
    const char *at = schema;
    size_t references = 0;
    while ((at = strstr(at, "#/definitions/")) != NULL) {
        at += strlen("#/definitions/");
        char *name = text_copy(at, strcspn(at, "\""));
        cr_expect_not_null(cJSON_GetObjectItemCaseSensitive(definitions, name), "%s", name);
        free(name);
        references++;
    }
    cr_expect_gt(references, 20);
    json_free(&document);
    scenario_report_free(&slips);
    free(schema);
}

Test(scenario_table, every_row_is_complete)
{
    for (size_t i = 0; scenario_shapes[i] != NULL; i++) {
        const struct scenario_shape *shape = scenario_shapes[i];
        for (size_t j = 0; j < shape->key_count; j++) {
            const struct scenario_key *key = &shape->keys[j];
            size_t doc_len = strlen(key->doc);
            cr_expect(doc_len > 5 && key->doc[doc_len - 1] == '.' && strchr(key->doc, '|') == NULL,
                      "%s.%s: %s", shape->name, key->name, key->doc);
            cr_expect(key->fallback == NULL || key->required == 0,
                      "%s.%s has a default and is "
                      "required",
                      shape->name, key->name);
            cr_expect(key->min <= key->max, "%s.%s", shape->name, key->name);
            cr_expect_eq(key->choices != NULL, key->type == KEY_ENUM || key->type == KEY_FLAGS);
            cr_expect_eq(key->required & ~(key->variants != 0 ? key->variants : UINT32_MAX), 0,
                         "%s.%s is required where it is unknown", shape->name, key->name);
        }
        cr_expect(!shape->has_variants || shape->keys[0].type == KEY_ENUM, "%s", shape->name);
    }
}

struct found {
    size_t count;
    double mtu;
    double warmup;
    bool has_rate;
    bool has_share;
    bool has_event;
    char last[200];
};

static void note_param(void *arg, const struct scenario_param *param)
{
    struct found *found = arg;
    found->count++;
    cr_expect_eq(param->pointer[0], '/');
    cr_expect_str_neq(param->pointer, found->last, "each pointer once");
    snprintf(found->last, sizeof found->last, "%s", param->pointer);
    if (strcmp(param->pointer, "/network/mtu") == 0) {
        found->mtu = param->value_num;
    } else if (strcmp(param->pointer, "/warmup") == 0) {
        found->warmup = param->value_num;
        cr_expect_str_eq(param->unit, "us");
        cr_expect_str_eq(param->value_text, "630000000us");
    } else if (strcmp(param->pointer, "/workload/0/rate") == 0) {
        found->has_rate = true;
        cr_expect_eq(param->value_num, 0.2 / 60);
        cr_expect_str_eq(param->unit, "1/s");
    } else if (strcmp(param->pointer, "/groups/1/region/us") == 0) {
        found->has_share = true;
        cr_expect_eq(param->value_num, 0.3);
    } else if (strcmp(param->pointer, "/metrics/events/1") == 0) {
        found->has_event = true;
        cr_expect_str_eq(param->value_text, "broadcast");
        cr_expect(isnan(param->value_num));
    }
}

Test(scenario_table, parameters_are_the_resolved_file_flattened)
{
    struct scenario *scenario = load_good(GOOD_FOLDER "/every-key.jsonc");
    struct found found = {0};
    scenario_visit_params(scenario, note_param, &found);
    cr_expect_gt(found.count, 150);
    cr_expect_eq(found.mtu, 1280);
    cr_expect_eq(found.warmup, 630e6);
    cr_expect(found.has_rate && found.has_share && found.has_event);
    scenario_free(scenario);
}

Test(scenario_table, the_metric_dictionary_is_well_formed)
{
    for (enum metric_id id = 0; id < METRIC_COUNT; id++) {
        const struct metric_info *info = metric_info(id);
        cr_expect_eq(metric_find(info->name), id, "%s is there twice", info->name);
        cr_expect_eq(strspn(info->name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
                     strlen(info->name));
        cr_expect(info->description[strlen(info->description) - 1] == '.', "%s", info->name);
        cr_expect_neq(info->unit[0], '\0');
        cr_expect_not_null(metric_better_text(info->better));
        cr_expect_not_null(metric_kind_text(info->kind));
    }
    cr_expect_eq(metric_find("lookup_latency"), METRIC_COUNT);
    cr_expect_eq(metric_find(""), METRIC_COUNT);
}

static double online_of(const char *session)
{
    char *text = text_format("{\"schema_version\":1,\"name\":\"t\",\"seed\":1,"
                             "\"duration\":\"10m\",\"groups\":[{\"name\":\"a\",\"count\":1000,"
                             "\"churn\":{\"session\":%s,\"offline\":\"100s\"}}]}",
                             session);
    struct scenario *scenario = load_good_text(text);
    struct scenario_estimate estimate;
    scenario_estimate(scenario, &estimate);
    scenario_free(scenario);
    free(text);
    return estimate.online_mean;
}

Test(scenario_table, the_estimate_knows_the_mean_of_every_distribution)
{
    static const char *const sessions[] = {
        "\"300s\"",
        "{\"dist\":\"uniform\",\"min\":\"100s\",\"max\":\"500s\"}",
        "{\"dist\":\"exponential\",\"mean\":\"300s\"}",
        "{\"dist\":\"weibull\",\"scale\":\"150s\",\"shape\":0.5}",
        "{\"dist\":\"pareto\",\"scale\":\"200s\",\"shape\":3}",
        "{\"dist\":\"lognormal\",\"median\":\"181.959197s\",\"sigma\":1}",
    };
    for (size_t i = 0; i < sizeof sessions / sizeof sessions[0]; i++) {
        cr_expect_float_eq(online_of(sessions[i]), 750, 1e-4, "%s", sessions[i]);
    }
    cr_expect_gt(online_of("{\"dist\":\"pareto\",\"scale\":\"200s\",\"shape\":0.9}"), 990,
                 "a mean that does not exist is large");
}

Test(scenario_table, the_estimate_grows_with_what_costs)
{
    struct scenario *scenario = load_good(GOOD_FOLDER "/every-key.jsonc");
    struct scenario_estimate base;
    struct scenario_estimate more;
    scenario_estimate(scenario, &base);
    /* relay and recorded stay; home: 10 % plus 90 % of weibull(52m, 0.6) over its cycle with 18m;
     * mobile: pareto of mean 6m, away 6m. */
    double session_m = 52 * tgamma(1 + 1 / 0.6);
    double expected = 43 + 1400 * (0.1 + 0.9 * session_m / (session_m + 18)) + 560 * 0.5;
    cr_expect_float_eq(base.online_mean, expected, 1e-6 * expected);
    cr_expect_gt(base.messages, base.operations);
    cr_expect_gt(base.events, base.messages);

    scenario->duration_us *= 2;
    scenario_estimate(scenario, &more);
    cr_expect_gt(more.messages, base.messages);
    scenario->groups[0].count += 100000;
    scenario->node_count += 100000;
    scenario_estimate(scenario, &more);
    cr_expect_gt(more.memory_bytes, base.memory_bytes + 1e9);
    scenario_free(scenario);
}
