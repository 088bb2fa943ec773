/* fuzz_scenario.c - any bytes as a scenario file: complaints or a scenario, never anything else. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/scenario/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *resolved(const struct scenario *scenario)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    must(out != NULL);
    scenario_print_resolved(scenario, out);
    fclose(out);
    return text;
}

static void check_report(const struct scenario_report *report)
{
    uint32_t total = report->error_count + report->warning_count;
    must(report->item_count == (total < REPORT_ITEMS_MAX ? total : REPORT_ITEMS_MAX));
    for (uint32_t i = 0; i < report->item_count; i++) {
        const struct report_item *item = &report->items[i];
        must(item->message != NULL && item->message[0] != '\0');
        must(item->from <= item->to && item->to <= report->len);
    }
    for (enum report_format format = REPORT_HUMAN; format <= REPORT_GITHUB; format++) {
        FILE *out = fopen("/dev/null", "w");
        must(out != NULL);
        scenario_report_print(report, format, out);
        fclose(out);
    }
}

/* What loaded must load again from its resolved form, and resolve to the same. */
static void check_resolved(const struct scenario *scenario)
{
    struct scenario_report report;
    struct scenario *again;
    char *first = resolved(scenario);
    scenario_report_init(&report);
    int code = scenario_load_text("/nowhere/x.jsonc", first, strlen(first), NULL, &again, &report);
    must(code == ERR_OK);
    char *second = resolved(again);
    must(strcmp(first, second) == 0);
    struct scenario_estimate estimate;
    scenario_estimate(again, &estimate);
    must(estimate.memory_bytes > 0);
    free(first);
    free(second);
    scenario_free(again);
    scenario_report_free(&report);
}

/* Input that begins with '/' is an override for a small scenario instead. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char base[] =
        "{\"schema_version\":1,\"name\":\"t\",\"seed\":1,\"duration\":\"9m\","
        "\"groups\":[{\"name\":\"a\",\"count\":4}]}";
    char *text = malloc(size + 1);
    must(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    const char *override = text;
    bool is_override = size > 1 && text[0] == '/' && text[1] != '/' && text[1] != '*';
    struct scenario_options options = {.overrides = &override,
                                       .override_count = is_override ? 1 : 0};
    struct scenario_report report;
    struct scenario *scenario;
    scenario_report_init(&report);
    int code =
        scenario_load_text("/nowhere/x.jsonc", is_override ? base : text,
                           is_override ? sizeof base - 1 : size, &options, &scenario, &report);
    must((code == ERR_OK) == (scenario != NULL) && (code == ERR_OK) == (report.error_count == 0));
    check_report(&report);
    if (scenario != NULL) {
        check_resolved(scenario);
    }
    for (size_t i = 0; is_override && i < scenario_sweep_count(text); i++) {
        free(scenario_sweep_point(text, i));
    }
    scenario_free(scenario);
    scenario_report_free(&report);
    free(text);
    return 0;
}
