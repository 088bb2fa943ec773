/* test_nat.c - boxes and mixes of NAT, from the file to the struct. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "fixtures.h"
#include "node/base/slice.h"
#include "node/cli/text.h"
#include "sim/scenario/descriptor.h"

#define HEAD                                                                                       \
    "{ \"schema_version\": 1, \"name\": \"n\", \"seed\": 1, \"duration\": \"5m\","                 \
    "  \"groups\": [ { \"name\": \"p\", \"count\": 1 }, { \"name\": \"a\", \"count\": 100, "

static const struct scenario_key *key_of(const struct scenario_shape *shape, const char *name)
{
    for (size_t i = 0; i < shape->key_count; i++) {
        if (strcmp(shape->keys[i].name, name) == 0) {
            return &shape->keys[i];
        }
    }
    cr_assert_fail("no key %s", name);
    return NULL;
}

Test(scenario_nat, presets_have_the_names_and_the_order_of_the_boxes)
{
    const struct scenario_key *boxes = key_of(&scenario_shape, "boxes");
    const struct scenario_key *preset = key_of(boxes->shape, "preset");
    cr_assert_eq(preset->choices->count, NAPT_PRESET_COUNT);
    for (int i = 0; i < NAPT_PRESET_COUNT; i++) {
        cr_expect_str_eq(preset->choices->names[i], napt_preset_text((enum napt_preset)i));
    }
}

Test(scenario_nat, box_is_its_preset_but_for_what_the_file_says)
{
    struct scenario *scenario = load_good_text(
        HEAD "\"nat\": \"b\" } ], \"boxes\": { \"a\": { \"preset\": \"symmetric\" }, \"b\": {"
             "  \"preset\": \"full_cone\", \"filtering\": \"address_dependent\","
             "  \"unreplied_timeout\": \"20s\", \"hairpin\": true, \"port_block\": 128,"
             "  \"shared_by\": 7, \"behind\": \"a\" } } }");
    struct napt_config expected;
    napt_preset_config(NAPT_PRESET_SYMMETRIC, &expected);
    const struct scenario_box *box = &scenario->boxes[0];
    cr_expect_eq(scenario->box_count, 2);
    cr_expect(memcmp(&box->config, &expected, sizeof expected) == 0);
    cr_expect(box->shared_by == 1 && box->outer == SCENARIO_BOX_NONE);
    napt_preset_config(NAPT_PRESET_FULL_CONE, &expected);
    expected.filtering = NAPT_ADDRESS_DEPENDENT;
    expected.unreplied_us = 20000000;
    expected.has_hairpin = true;
    expected.block_ports = 128;
    box = &scenario->boxes[1];
    cr_expect_str_eq(box->name, "b");
    cr_expect(memcmp(&box->config, &expected, sizeof expected) == 0);
    cr_expect(box->shared_by == 7 && box->outer == 0);
    const struct scenario_group *group = &scenario->groups[1];
    cr_expect_eq(group->nat_mix_count, 1);
    cr_expect_eq(group->nat_mix[0].index, (uint32_t)SCENARIO_NAT_BOX + 1);
    cr_expect_str_eq(scenario_nat_text(scenario, group->nat_mix[0].index), "b");
    cr_expect(scenario_is_public(&scenario->groups[0]) && !scenario_is_public(group));
    scenario_free(scenario);
}

Test(scenario_nat, calibrated_is_a_mix_with_shares_that_a_key_replaces)
{
    static const struct {
        enum napt_preset preset;
        double ratio;
    } expected[] = {{NAPT_PRESET_FULL_CONE, 0.12},       {NAPT_PRESET_RESTRICTED, 0.075},
                    {NAPT_PRESET_PORT_RESTRICTED, 0.60}, {NAPT_PRESET_SYMMETRIC, 0.14},
                    {NAPT_PRESET_SEQUENTIAL, 0.035},     {NAPT_PRESET_UDP_BLOCKED, 0.03}};
    struct scenario *scenario =
        load_good_text(HEAD "\"nat\": \"calibrated\", \"nat_double\": 0 } ] }");
    const struct scenario_group *group = &scenario->groups[1];
    cr_assert_eq(group->nat_mix_count, array_len(expected));
    for (size_t i = 0; i < array_len(expected); i++) {
        cr_expect_eq(group->nat_mix[i].index, (uint32_t)SCENARIO_NAT_PRESET + expected[i].preset);
        cr_expect_eq(group->nat_mix[i].ratio, expected[i].ratio);
    }
    cr_expect(group->nat_hairpin.ratio == 0.25 && group->nat_hairpin.threshold == 1u << 30);
    cr_expect(group->nat_port_mapping.ratio == 0.3);
    cr_expect(group->nat_double.ratio == 0 && group->nat_double.threshold == 0);
    scenario_free(scenario);
}

/* Success of plain punching and of all techniques between nodes of the mix, as it was chosen for:
 * both near what the field reports (0.70 and 0.90). */
Test(scenario_nat, calibrated_mix_gives_the_rates_it_was_calibrated_to)
{
    enum { FULL, ADDRESS, PORT, RANDOM, SEQUENTIAL, BLOCKED, KINDS };
    struct scenario *scenario = load_good_text(HEAD "\"nat\": \"calibrated\" } ] }");
    const struct scenario_share *mix = scenario->groups[1].nat_mix;
    double plain = 0;
    double all = 0;
    for (int a = 0; a < KINDS; a++) {
        for (int b = 0; b < KINDS; b++) {
            double ratio = mix[a].ratio * mix[b].ratio;
            int harder = a > b ? a : b;
            int easier = a > b ? b : a;
            if (harder == BLOCKED) {
                continue;
            }
            bool is_plain = easier <= ADDRESS || harder <= PORT;
            double helped = easier == PORT && harder == RANDOM         ? 0.95
                            : easier == PORT && harder == SEQUENTIAL   ? 0.90
                            : easier == SEQUENTIAL && harder == easier ? 0.60
                                                                       : 0;
            plain += is_plain ? ratio : 0;
            all += is_plain ? ratio : ratio * helped;
        }
    }
    cr_expect_float_eq(plain, 0.70, 0.01);
    cr_expect_float_eq(all, 0.90, 0.01);
    scenario_free(scenario);
}

Test(scenario_nat, mix_near_one_is_scaled_with_a_warning)
{
    char *got = complaints_of(HEAD "\"nat\": { \"public\": 0.5, \"symmetric\": 0.48 } } ] }", NULL);
    cr_expect(strncmp(got, "MT0204@", 7) == 0, "%s", got);
    free(got);
}

/* So that the hash of a scenario from before there were boxes is what it was. */
Test(scenario_nat, without_boxes_the_resolved_form_says_nothing_of_them)
{
    struct scenario *scenario = load_good_text(HEAD "\"region\": \"all\" } ] }");
    char *text = printed_resolved(scenario);
    cr_expect_null(strstr(text, "nat"));
    cr_expect_null(strstr(text, "boxes"));
    free(text);
    scenario_free(scenario);
}

Test(scenario_nat, suggestion_names_kinds_and_boxes)
{
    static const char *const cases[][2] = {{"carier", "carrier"},
                                           {"symetric", "symmetric"},
                                           {"callibrated", "calibrated"},
                                           {"publik", "public"}};
    for (size_t i = 0; i < array_len(cases); i++) {
        char *text =
            text_format(HEAD "\"nat\": \"%s\" } ], \"boxes\": { \"carrier\": {} } }", cases[i][0]);
        struct scenario_report report;
        struct scenario *scenario;
        scenario_report_init(&report);
        cr_assert_eq(scenario_load_text("x", text, strlen(text), NULL, &scenario, &report),
                     ERR_INVALID);
        char *wanted = text_format("did you mean \"%s\"?", cases[i][1]);
        cr_assert_eq(report.item_count, 1);
        cr_expect(strstr(report.items[0].help, wanted) != NULL, "%s", report.items[0].help);
        free(wanted);
        free(text);
        scenario_report_free(&report);
    }
}

Test(scenario_nat, override_reaches_into_a_box)
{
    char *got = complaints_of(HEAD "\"nat\": \"b\" } ], \"boxes\": { \"b\": {} } }",
                              "/boxes/b/stream_timeout=1s");
    cr_expect(strstr(got, "MT0210") != NULL, "%s", got); /* Shorter than unreplied: 30 s. */
    free(got);
}
