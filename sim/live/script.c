/* script.c - runs the scenario simulated and writes down its driver's part. */
#include "sim/live/script.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "sim/live/possible.h"

enum {
    TICK_US = 100000,      /* How often the tables are looked at; the live run does the same. */
    LIVE_NET = 28,         /* Nodes live on 127.28.<address group>.<member>. */
    ADDR_GROUP_BYTE = 14,  /* Of a simulated address: groups count through its third octet, */
    ADDR_MEMBER_BYTE = 15, /* members through its fourth. */
};

#define NO_COMMAND UINT32_MAX

struct recording {
    struct live_script *script;
    struct sim *sim;
    uint32_t *open; /* By the number of an open command: its place in script->commands. */
    uint32_t open_count;
};

static void on_session(void *arg, uint32_t node, uint64_t start_us, uint64_t end_us,
                       const char *end_reason);
static void on_submitting(void *arg, uint32_t node, const struct node_command *command);
static void on_delivered(void *arg, uint32_t node, const struct port_event *event);
static bool run(struct recording *recording);
static bool has_joined(struct recording *recording);
static void describe_nodes(struct recording *recording);
static void add_step(struct live_script *script, const struct live_step *step);
static int step_order(const void *a, const void *b);

int script_record(struct live_script *script, const struct script_options *options, char *reason,
                  size_t reason_size)
{
    *script = (struct live_script){.node_count = options->scenario->node_count,
                                   .duration_us = options->duration_us};
    if (!live_is_possible(options->scenario, reason, reason_size)) {
        return ERR_UNSUPPORTED;
    }
    struct recording recording = {.script = script};
    struct sim_options sim_options = {.scenario = options->scenario,
                                      .seed = options->seed,
                                      .threads = 1,
                                      .stop = options->stop,
                                      .sink = {.arg = &recording,
                                               .session = on_session,
                                               .submitting = on_submitting,
                                               .delivered = on_delivered}};
    recording.sim = sim_open(&sim_options, reason, reason_size);
    if (recording.sim == NULL) {
        return ERR_INVALID;
    }
    bool is_whole = run(&recording);
    sim_traffic(recording.sim, &script->simulated.traffic);
    sim_counters(recording.sim, script->simulated.counters);
    describe_nodes(&recording);
    sim_finish(recording.sim);
    sim_close(recording.sim);
    free(recording.open);
    qsort(script->steps, script->step_count, sizeof *script->steps, step_order);
    return is_whole ? ERR_OK : ERR_STOPPED;
}

void script_free(struct live_script *script)
{
    for (uint32_t i = 0; i < script->command_count; i++) {
        free(script->commands[i].bytes);
    }
    free(script->commands);
    free(script->steps);
    free(script->nodes);
    *script = (struct live_script){0};
}

/* False when it was interrupted. */
static bool run(struct recording *recording)
{
    struct live_script *script = recording->script;
    for (uint64_t at_us = 0; at_us < script->duration_us;) {
        at_us += TICK_US;
        at_us = at_us < script->duration_us ? at_us : script->duration_us;
        if (!sim_run_until(recording->sim, at_us)) {
            return false;
        }
        if (script->simulated.joined_us == 0 && has_joined(recording)) {
            script->simulated.joined_us = at_us;
        }
    }
    return true;
}

static bool has_joined(struct recording *recording)
{
    struct world *world = sim_world(recording->sim);
    uint32_t others = sim_nodes_online(recording->sim) - 1;
    uint32_t enough = others < LIVE_TABLE_ENOUGH ? others : LIVE_TABLE_ENOUGH;
    for (uint32_t i = 0; i < recording->script->node_count; i++) {
        const struct host *host = world_host(world, i);
        bool never_started = host->incarnation == 0;
        if (never_started || (host_is_up(host) && dht_contact_count(&host->node->dht) < enough)) {
            return false;
        }
    }
    return true;
}

/* Told at its end: starts and kills come in the order of the kills, and are sorted later. */
static void on_session(void *arg, uint32_t node, uint64_t start_us, uint64_t end_us,
                       const char *end_reason)
{
    struct recording *recording = arg;
    struct live_script *script = recording->script;
    bool is_first = true;
    for (uint32_t i = 0; i < script->step_count; i++) {
        is_first &= script->steps[i].node != node || script->steps[i].kind != LIVE_START;
    }
    if (is_first && start_us > script->all_started_us) {
        script->all_started_us = start_us;
    }
    add_step(script, &(struct live_step){.at_us = start_us, .kind = LIVE_START, .node = node});
    if (strcmp(end_reason, "end") != 0) {
        add_step(script, &(struct live_step){.at_us = end_us, .kind = LIVE_KILL, .node = node});
    }
}

static void on_submitting(void *arg, uint32_t node, const struct node_command *command)
{
    struct recording *recording = arg;
    struct live_script *script = recording->script;
    uint32_t place = script->command_count;
    script->commands = text_grow(script->commands, place, sizeof *script->commands);
    script->commands[place] = (struct live_command){.kind = command->kind,
                                                    .node = node,
                                                    .at_us = sim_now_us(recording->sim),
                                                    .id = command->id,
                                                    .len = command->bytes.len};
    if (command->bytes.len > 0) {
        script->commands[place].bytes = text_alloc(command->bytes.len, 1);
        memcpy(script->commands[place].bytes, command->bytes.data, command->bytes.len);
    }
    script->command_count++;
    add_step(script, &(struct live_step){.at_us = script->commands[place].at_us,
                                         .kind = LIVE_COMMAND,
                                         .node = node,
                                         .command = place});
    while (recording->open_count <= command->number) {
        recording->open =
            text_grow(recording->open, recording->open_count, sizeof *recording->open);
        recording->open[recording->open_count++] = NO_COMMAND;
    }
    recording->open[command->number] = place;
}

static void on_delivered(void *arg, uint32_t node, const struct port_event *event)
{
    struct recording *recording = arg;
    if (event->command == 0 || event->command >= recording->open_count ||
        recording->open[event->command] == NO_COMMAND) {
        return;
    }
    struct live_command *command = &recording->script->commands[recording->open[event->command]];
    must(command->node == node);
    recording->open[event->command] = NO_COMMAND;
    bool has_hops = event->kind == NODE_LOOKUP_DONE || event->kind == NODE_GET_DONE;
    bool has_messages = has_hops || event->kind == NODE_SENT;
    command->simulated = (struct live_outcome){.is_done = true,
                                               .is_ok = event->status == ERR_OK,
                                               .messages = has_messages ? event->count[0] : 0,
                                               .hops = has_hops ? event->count[1] : 0,
                                               .took_us = event->took_us};
    if (event->kind == NODE_GET_DONE && event->bytes.len > 0) {
        command->len = event->bytes.len;
        command->bytes = text_alloc(command->len, 1);
        memcpy(command->bytes, event->bytes.data, command->len);
    }
}

static void live_addr(const struct port_addr *addr, char text[LIVE_ADDR_SIZE])
{
    snprintf(text, LIVE_ADDR_SIZE, "127.%d.%u.%u", LIVE_NET, addr->ip[ADDR_GROUP_BYTE],
             addr->ip[ADDR_MEMBER_BYTE]);
}

static void describe_nodes(struct recording *recording)
{
    struct live_script *script = recording->script;
    script->nodes = text_alloc(script->node_count, sizeof *script->nodes);
    for (uint32_t i = 0; i < script->node_count; i++) {
        struct live_node *node = &script->nodes[i];
        struct sim_node_info info;
        sim_node_info(recording->sim, i, &info);
        (void)sim_node_seed(recording->sim, i, node->seed); /* Who never starts needs none. */
        live_addr(&info.addr, node->host);
        must(info.config->bootstrap_count <= LIVE_BOOTSTRAP_MAX);
        for (uint32_t j = 0; j < info.config->bootstrap_count; j++) {
            if (!port_addr_equal(&info.config->bootstrap[j], &info.addr)) {
                live_addr(&info.config->bootstrap[j], node->bootstrap[node->bootstrap_count++]);
            }
        }
    }
}

static void add_step(struct live_script *script, const struct live_step *step)
{
    script->steps = text_grow(script->steps, script->step_count, sizeof *script->steps);
    script->steps[script->step_count++] = *step;
}

/* At one moment: first who goes, then who comes, then what is asked, in the order it was. */
static int step_order(const void *a, const void *b)
{
    static const int ranks[] = {[LIVE_KILL] = 0, [LIVE_START] = 1, [LIVE_COMMAND] = 2};
    const struct live_step *first = a;
    const struct live_step *second = b;
    if (first->at_us != second->at_us) {
        return first->at_us < second->at_us ? -1 : 1;
    }
    if (first->kind != second->kind) {
        return ranks[first->kind] - ranks[second->kind];
    }
    return (first->command > second->command) - (first->command < second->command);
}
