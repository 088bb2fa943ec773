/* test_script.c - what is recorded of a simulated run, what is refused, and the verdicts. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "sim/live/answer.h"
#include "sim/live/compare.h"
#include "sim/live/possible.h"
#include "tests/support/scenario_text.h"

#define LIVE_PROTOCOL                                                                              \
    "\"defaults\": {\"protocol\": {\"refresh\": \"10m\", \"sessions_max\": 256}}, "
#define LIVE_NETWORK                                                                               \
    "\"network\": {\"latency\": {\"model\": \"constant\", \"value\": \"0us\"}}, "                  \
    "\"topology\": {\"source\": \"bootstrap\", \"join_ramp\": \"5s\"}, "
#define FIVE_NODES "\"groups\": [{\"name\": \"all\", \"count\": 5}]"

static void record(struct live_script *script, const char *body)
{
    struct scenario *scenario = scenario_text(body);
    char reason[256] = "";
    struct script_options options = {
        .scenario = scenario, .seed = 7, .duration_us = scenario->duration_us};
    cr_assert_eq(script_record(script, &options, reason, sizeof reason), ERR_OK, "%s", reason);
    scenario_free(scenario);
}

Test(script, names_nodes_starts_and_commands_in_order)
{
    struct live_script script;
    record(&script, LIVE_PROTOCOL LIVE_NETWORK FIVE_NODES
           ", \"workload\": [{\"type\": \"store\", \"rate\": \"6/min\", \"size\": \"64B\","
           " \"from\": \"10s\", \"until\": \"100s\"}]");
    cr_assert_eq(script.node_count, 5);
    uint32_t starts = 0, commands = 0;
    for (uint32_t i = 0; i < script.step_count; i++) {
        starts += script.steps[i].kind == LIVE_START;
        commands += script.steps[i].kind == LIVE_COMMAND;
        cr_assert(i == 0 || script.steps[i].at_us >= script.steps[i - 1].at_us);
    }
    cr_assert_eq(starts, 5);
    cr_assert_eq(commands, script.command_count);
    cr_assert_gt(commands, 20);
    for (uint32_t i = 0; i < script.command_count; i++) {
        cr_assert_eq(script.commands[i].kind, NODE_PUT);
        cr_assert_eq(script.commands[i].len, 64);
        cr_assert(script.commands[i].simulated.is_ok);
    }
    cr_assert_gt(script.simulated.joined_us, 0);
    cr_assert_gt(script.simulated.traffic.sent[TRAFFIC_STORE], 0);
    script_free(&script);
}

Test(script, gives_each_node_its_own_seed_and_address_group)
{
    static const uint8_t nothing[CRYPTO_SEED_LEN];
    struct live_script script;
    record(&script, LIVE_PROTOCOL LIVE_NETWORK FIVE_NODES);
    for (uint32_t i = 0; i < script.node_count; i++) {
        cr_assert(memcmp(script.nodes[i].seed, nothing, sizeof nothing) != 0);
        for (uint32_t j = 0; j < i; j++) {
            cr_assert(memcmp(script.nodes[i].seed, script.nodes[j].seed, CRYPTO_SEED_LEN) != 0);
        }
    }
    cr_assert_str_eq(script.nodes[0].host, "127.28.0.1");
    cr_assert_str_eq(script.nodes[4].host, "127.28.4.1");
    cr_assert_str_neq(script.nodes[4].bootstrap[0], script.nodes[4].host);
    script_free(&script);
}

Test(script, records_kills_of_nodes_that_leave)
{
    struct live_script script;
    record(&script, LIVE_PROTOCOL LIVE_NETWORK FIVE_NODES
           ", \"actions\": [{\"at\": \"60s\", \"type\": \"leave\", \"select\": \"all\","
           " \"fraction\": 0.4}]");
    uint32_t kills = 0;
    for (uint32_t i = 0; i < script.step_count; i++) {
        kills += script.steps[i].kind == LIVE_KILL;
    }
    cr_assert_eq(kills, 2);
    script_free(&script);
}

Test(script, says_what_cannot_be_live)
{
    static const struct {
        const char *body;
        const char *word;
    } cases[] = {
        {LIVE_PROTOCOL LIVE_NETWORK "\"groups\": [{\"name\": \"all\", \"count\": 65}]", "65 nodes"},
        {LIVE_PROTOCOL FIVE_NODES, "latency"},
        {LIVE_NETWORK FIVE_NODES, "refresh"},
        {LIVE_PROTOCOL FIVE_NODES ", \"topology\": {\"source\": \"prebuilt\"}", "prebuilt"},
        {LIVE_PROTOCOL FIVE_NODES ", \"network\": {\"latency\": {\"model\": \"constant\","
                                  " \"value\": \"0us\"}, \"loss\": {\"model\": \"bernoulli\","
                                  " \"p\": 0.1}}",
         "loss"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scenario *scenario = scenario_text(cases[i].body);
        char reason[256] = "";
        cr_assert_not(live_is_possible(scenario, reason, sizeof reason));
        cr_assert_not_null(strstr(reason, cases[i].word), "%s: %s", cases[i].word, reason);
        scenario_free(scenario);
    }
}

static const struct compare_row *row_of(const struct comparison *comparison, const char *name)
{
    for (uint32_t i = 0; i < comparison->count; i++) {
        if (strcmp(comparison->rows[i].name, name) == 0) {
            return &comparison->rows[i];
        }
    }
    cr_assert_fail("no row %s", name);
    return NULL;
}

Test(compare, allows_a_tenth_or_three_roots_and_no_more)
{
    struct live_script script = {.simulated = {.joined_us = 1000000}, .live = {.joined_us = 1}};
    struct traffic *simulated = &script.simulated.traffic;
    struct traffic *live = &script.live.traffic;
    simulated->sent[TRAFFIC_PING] = 10000; /* A tenth: 1000. */
    live->sent[TRAFFIC_PING] = 11000;
    simulated->sent[TRAFFIC_STORE] = 100; /* Three roots: 30. */
    live->sent[TRAFFIC_STORE] = 131;
    simulated->sent[TRAFFIC_APP] = 99; /* Too few. */
    live->sent[TRAFFIC_APP] = 50;
    struct comparison comparison;
    compare_make(&comparison, &script);
    cr_assert_eq(row_of(&comparison, traffic_text(TRAFFIC_PING))->verdict, COMPARE_PASS);
    cr_assert_eq(row_of(&comparison, traffic_text(TRAFFIC_STORE))->verdict, COMPARE_FAIL);
    cr_assert_eq(row_of(&comparison, traffic_text(TRAFFIC_APP))->verdict, COMPARE_NOT_JUDGED);
    cr_assert_eq(row_of(&comparison, "all joined")->verdict, COMPARE_FAIL);
    cr_assert_eq(comparison.failed, 2);
    compare_free(&comparison);
}

Test(compare, one_lost_answer_is_a_difference)
{
    struct live_command commands[2] = {
        {.kind = NODE_LOOKUP,
         .simulated = {.is_done = true, .is_ok = true, .hops = 1},
         .live = {.is_done = true, .is_ok = true, .hops = 1}},
        {.kind = NODE_LOOKUP, .simulated = {.is_done = true, .is_ok = true, .hops = 1}},
    };
    struct live_script script = {.commands = commands,
                                 .command_count = 2,
                                 .simulated = {.joined_us = 10},
                                 .live = {.joined_us = 10}};
    struct comparison comparison;
    compare_make(&comparison, &script);
    cr_assert_eq(comparison.failed, 1);
    cr_assert_eq(row_of(&comparison, "lookup")->verdict, COMPARE_FAIL);
    compare_free(&comparison);
}

Test(answer, another_value_than_stored_is_no_success)
{
    uint8_t value[2] = {0xab, 0x01};
    struct live_command command = {.kind = NODE_GET, .bytes = value, .len = 2};
    static const char *const texts[] = {
        "{\"id\":1,\"ok\":true,\"data\":{\"hex\":\"ab01\",\"hops\":2,\"took_us\":9}}",
        "{\"id\":1,\"ok\":true,\"data\":{\"hex\":\"ab02\"}}", "{\"id\":1,\"ok\":false}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cJSON *reply = cJSON_Parse(texts[i]);
        answer_outcome(reply, &command);
        cr_assert(command.live.is_done);
        cr_assert_eq(command.live.is_ok, i == 0);
        cJSON_Delete(reply);
        if (i == 0) {
            cr_assert_eq(command.live.hops, 2);
            cr_assert_eq(command.live.took_us, 9);
        }
    }
}
