/* test_override.c - --set and --sweep: what they change, and complaints that name them. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "fixtures.h"

#define BASE                                                                                       \
    "{\"schema_version\":1,\"name\":\"t\",\"seed\":1,\"duration\":\"10m\","                        \
    "\"groups\":[{\"name\":\"a\",\"count\":4},{\"name\":\"b\",\"count\":4}]}"

static struct scenario *load_with(const char *const *overrides, size_t count)
{
    struct scenario_report report;
    struct scenario *scenario;
    struct scenario_options options = {.overrides = overrides, .override_count = count};
    scenario_report_init(&report);
    int code = scenario_load_text("x.jsonc", BASE, strlen(BASE), &options, &scenario, &report);
    cr_assert_eq(code, ERR_OK);
    scenario_report_free(&report);
    return scenario;
}

static void expect_complaint(const char *override, const char *expected)
{
    char *got = complaints_of(BASE, override);
    cr_expect_str_eq(got, expected, "%s: got %s, expected %s", override, got, expected);
    free(got);
}

Test(scenario_override, values_are_json_or_else_strings)
{
    static const char *const overrides[] = {
        "/duration=5m",
        "/network/mtu=1400",
        "/groups/1/count=7",
        "/groups/0/churn={\"session\":\"1h\",\"offline\":{\"dist\":\"constant\",\"value\":\"2m\"}}",
        "/seed=0xABCDEF0123456789",
        "/description=a = b, c",
        "/defaults/protocol/path_cache=false",
        "/groups/1/count=8",
    };
    struct scenario *scenario = load_with(overrides, 8);
    cr_expect_eq(scenario->duration_us, 300000000);
    cr_expect_eq(scenario->network.mtu, 1400);
    cr_expect_eq(scenario->groups[1].count, 8, "the last one wins");
    cr_expect(scenario->groups[0].has_churn);
    cr_expect_eq(scenario->groups[0].churn.offline.value, 120000000);
    cr_expect_eq(scenario->seed, 0xABCDEF0123456789);
    cr_expect_str_eq(scenario->description, "a = b, c");
    cr_expect_not(scenario->protocol.path_cache);
    scenario_free(scenario);
}

Test(scenario_override, complaints_name_the_override)
{
    expect_complaint("/network/mtu=9", "MT0106@--set /network/mtu=9 ");
    expect_complaint("/network/mtoo=1400", "MT0101@--set /network/mtoo=1400 ");
    expect_complaint("/netwrok/mtu=1400", "MT0101@--set /netwrok/mtu=1400 ");
    expect_complaint("/groups/0/churn/session=1h", "MT0102@--set /groups/0/churn/session=1h ");
    expect_complaint("/groups/0={\"name\":\"a\"}", "MT0102@--set /groups/0={\"name\":\"a\"} ");
    expect_complaint("/duration=5 min", "MT0105@--set /duration=5 min ");
    expect_complaint("/seed=18446744073709551615", "MT0110@--set /seed=18446744073709551615 ");
}

Test(scenario_override, one_that_makes_no_sense_is_refused)
{
    expect_complaint("duration=5m", "MT0401@--set duration=5m ");
    expect_complaint("/duration", "MT0401@--set /duration ");
    expect_complaint("=5m", "MT0401@--set =5m ");
    expect_complaint("/groups={", "MT0401@--set /groups={ ");
    expect_complaint("/name=\"a", "MT0401@--set /name=\"a ");
    expect_complaint("/groups/2/count=7", "MT0402@--set /groups/2/count=7 ");
    expect_complaint("/groups/-/count=7", "MT0402@--set /groups/-/count=7 ");
    expect_complaint("/groups/x=7", "MT0402@--set /groups/x=7 ");
    expect_complaint("/duration/us=7", "MT0402@--set /duration/us=7 ");
    expect_complaint("/duration/us/x=7", "MT0402@--set /duration/us/x=7 ");
}

Test(scenario_override, other_complaints_still_point_into_the_file)
{
    char *got = complaints_of("{\"schema_version\":1,\"name\":\"t\",\"seed\":1,\"groups\":"
                              "[{\"name\":\"a\",\"count\":0}]}",
                              "/duration=5m");
    cr_expect_str_eq(got, "MT0106@1:71 ");
    free(got);
}

Test(scenario_override, a_sweep_is_split_at_its_outer_commas)
{
    static const char sweep[] =
        "/groups/0/churn={\"session\":\"1h\",\"offline\":\"1h\"},[1,2],\"a,]\\\",\",5m";
    cr_assert_eq(scenario_sweep_count(sweep), 4);
    static const char *const points[] = {"/groups/0/churn={\"session\":\"1h\",\"offline\":\"1h\"}",
                                         "/groups/0/churn=[1,2]", "/groups/0/churn=\"a,]\\\",\"",
                                         "/groups/0/churn=5m"};
    for (size_t i = 0; i < 4; i++) {
        char *point = scenario_sweep_point(sweep, i);
        cr_expect_str_eq(point, points[i]);
        free(point);
    }
    cr_expect_eq(scenario_sweep_count("/k=1"), 1);
    cr_expect_eq(scenario_sweep_count("/k="), 0);
    cr_expect_eq(scenario_sweep_count("/k=1,"), 0);
    cr_expect_eq(scenario_sweep_count("/k=,1"), 0);
    cr_expect_eq(scenario_sweep_count("/k=1,,2"), 0);
    cr_expect_eq(scenario_sweep_count("k=1,2"), 0);
    cr_expect_eq(scenario_sweep_count("/k"), 0);
    cr_expect_eq(scenario_sweep_count("/k=}1,2"), 2);
}

Test(scenario_override, a_point_beyond_the_sweep_is_our_bug, .signal = SIGABRT)
{
    free(scenario_sweep_point("/k=1,2", 2));
}
