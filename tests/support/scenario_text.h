/* scenario_text.h - a scenario for a test, from the few keys that the test is about.
 *
 * The head that every scenario needs is put before them: two minutes, seed 5.
 *
 *      body -> scenario_text -> struct scenario, or the test fails with what is wrong
 */
#ifndef TESTS_SUPPORT_SCENARIO_TEXT_H
#define TESTS_SUPPORT_SCENARIO_TEXT_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "sim/scenario/scenario.h"

static inline struct scenario *scenario_text(const char *body)
{
    char text[4096];
    int len = snprintf(text, sizeof text,
                       "{ \"schema_version\": 1, \"name\": \"test\", \"seed\": 5,"
                       " \"duration\": \"2m\", %s }",
                       body);
    cr_assert(len > 0 && (size_t)len < sizeof text);
    struct scenario_report report;
    scenario_report_init(&report);
    struct scenario *scenario;
    if (scenario_load_text("test.jsonc", text, (size_t)len, NULL, &scenario, &report) != ERR_OK) {
        scenario_report_print(&report, REPORT_HUMAN, stderr);
        cr_assert_fail("the scenario does not load");
    }
    scenario_report_free(&report);
    return scenario;
}

#endif /* TESTS_SUPPORT_SCENARIO_TEXT_H */
