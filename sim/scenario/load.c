/* load.c - the whole way: file, syntax, overrides, keys, struct; and how to free it again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/rng.h"
#include "sim/scenario/parse.h"

static void tree_read(struct loader *loader, const struct scenario_options *options);
static void loader_free(struct loader *loader);
static void group_free(struct scenario_group *group);
static void latency_free(struct scenario_latency *latency);

int scenario_load(const char *path, const struct scenario_options *options, struct scenario **out,
                  struct scenario_report *report)
{
    *out = NULL;
    size_t len = 0;
    char *text = text_read_file(path, JSON_LEN_MAX, &len);
    if (text == NULL) {
        int error = errno;
        struct report_place place = {0};
        report->path = text_copy(path, strlen(path));
        if (error == EFBIG) {
            report_add(report, REPORT_MT0002, &place,
                       text_format("the file is larger than %zu MiB", JSON_LEN_MAX >> 20),
                       text_format("is this the right file?"));
        } else {
            report_add(report, REPORT_MT0001, &place,
                       text_format("cannot read the file: %s", strerror(error)), NULL);
        }
        return ERR_INVALID;
    }
    int code = scenario_load_text(path, text, len, options, out, report);
    free(text);
    return code;
}

int scenario_load_text(const char *path, const char *text, size_t len,
                       const struct scenario_options *options, struct scenario **out,
                       struct scenario_report *report)
{
    *out = NULL;
    report->path = text_copy(path, strlen(path));
    report->text = text_copy(text, len);
    report->len = len;

    struct loader loader = {.report = report};
    loader.scenario = text_alloc(1, sizeof *loader.scenario);
    text_add(&loader.pointer, "%s", "");
    json_read(&loader.document, report->text, len, report);
    if (loader.document.root != NULL) {
        tree_read(&loader, options);
    }
    if (report->error_count == 0) {
        *out = loader.scenario;
        loader.scenario = NULL;
    }
    loader_free(&loader);
    return *out != NULL ? ERR_OK : ERR_INVALID;
}

static void tree_read(struct loader *loader, const struct scenario_options *options)
{
    cJSON *root = loader->document.root;
    if (!cJSON_IsObject(root)) {
        parse_complain_type(loader, root, "an object");
        return;
    }
    for (size_t i = 0; options != NULL && i < options->override_count; i++) {
        loader_override(loader, options->overrides[i]);
    }
    parse_object(loader, root, &scenario_shape, loader->scenario, false);
}

static void loader_free(struct loader *loader)
{
    for (size_t i = 0; i < loader->override_count; i++) {
        free(loader->overrides[i].pointer);
    }
    free(loader->overrides);
    free(loader->pointer.data);
    json_free(&loader->document);
    scenario_free(loader->scenario);
}

void scenario_free(struct scenario *scenario)
{
    if (scenario == NULL) {
        return;
    }
    for (uint32_t i = 0; i < scenario->group_count; i++) {
        group_free(&scenario->groups[i]);
    }
    for (uint32_t i = 0; i < scenario->threshold_count; i++) {
        free(scenario->thresholds[i].expr);
        free(scenario->thresholds[i].nat);
        free(scenario->thresholds[i].pointer);
    }
    for (uint32_t i = 0; i < scenario->box_count; i++) {
        free(scenario->boxes[i].name);
        free(scenario->boxes[i].behind);
    }
    latency_free(&scenario->network.latency);
    free(scenario->boxes);
    free(scenario->groups);
    free(scenario->workloads);
    free(scenario->actions);
    free(scenario->thresholds);
    free(scenario->name);
    free(scenario->description);
    free(scenario);
}

static void group_free(struct scenario_group *group)
{
    free(group->name);
    free(group->region_mix);
    free(group->nat_mix);
    free(group->churn.trace_file);
    free(group->churn.trace_sha256);
    free(group->churn.trace.stays);
}

static void latency_free(struct scenario_latency *latency)
{
    for (uint32_t i = 0; i < latency->region_count; i++) {
        free(latency->regions[i].name);
    }
    free(latency->regions);
    free(latency->one_way_us);
    free(latency->coordinates);
    free(latency->file);
    free(latency->file_sha256);
}

uint64_t scenario_replicate_seed(uint64_t seed, uint32_t index)
{
    return rng_stream_seed(seed, "replicate", index, 0);
}
