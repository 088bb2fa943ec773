/* replay.c - `meshtwin replay`: runs a recorded replicate again and shows the world at an instant.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "sim/cli/cli.h"
#include "sim/cli/revival.h"
#include "sim/cli/summary.h"
#include "sim/cli/terminal.h"

struct replay_arguments {
    bool help;
    const char *seed;
    uint64_t at_us; /* UINT64_MAX: where the run ended. */
    uint64_t node;  /* UINT64_MAX: the whole world. */
};

#define ARGUMENT(member) offsetof(struct replay_arguments, member)
static const struct option replay_options[] = {
    CLI_HELP_OPTION,
    {0, "seed", "S|'#N'", OPTION_TEXT, ARGUMENT(seed), NULL,
     "which run: its seed, or the number of its replicate"},
    {0, "at", "TIME", OPTION_DURATION, ARGUMENT(at_us), NULL,
     "simulated time to stop at (default: where the run ended)"},
    {0, "node", "N", OPTION_NUMBER, ARGUMENT(node), NULL, "show this node instead of the world"},
};

static int run(const struct command *command, int count, char **words);
static int replay(struct revival *revival, const struct replay_arguments *arguments);
static uint64_t recorded_end_us(const struct catalog_run *run);
static void compare_digest(const struct revival *revival);
static void show_world(struct revival *revival, const struct terminal *terminal);
/* What it stands behind, and what it makes of that. */
static void show_nat(const struct host *host, const char *kind, const char *dot)
{
    const struct nat *nat = &host->node->nat;
    struct nat_class class;
    struct nat_map_view map;
    nat_class_of(nat, &class);
    nat_map_of(nat, &map);
    printf("behind %s%s%s%smapping %s, filtering %s%s%" PRIu32 " relays%s%" PRIu32
           " destinations open%sport asked for: %s\n",
           kind, dot, nat_reach_text(nat), dot, nat_mapping_text(class.mapping),
           nat_filtering_text(class.filtering), dot, nat_relay_count(nat), dot, nat_flow_count(nat),
           dot, nat_map_text(map.state));
}

static void show_node(struct revival *revival, uint32_t index, const struct terminal *terminal);

const struct command command_replay = {
    .name = "replay",
    .operands = "DB",
    .summary = "Runs a recorded replicate again and shows the world at an instant.",
    .example = "meshtwin replay results/first-mesh.db --seed '#0' --at 15m --node 3",
    CLI_TABLE(replay_options),
    .operand_min = 1,
    .operand_max = 1,
    .run = run};

static const char *const counter_names[COUNTER_COUNT] = {
#define COUNTER_NAME(name, text) text,
    COUNTERS(COUNTER_NAME)
#undef COUNTER_NAME
};

static int run(const struct command *command, int count, char **words)
{
    struct replay_arguments arguments = {.at_us = UINT64_MAX, .node = UINT64_MAX};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        struct revival revival;
        code = revival_open(&revival, "replay", operands.items[0], arguments.seed);
        if (code == CLI_OK && revival.run == NULL) {
            cli_complain("replay", "%s holds %zu runs: choose one with --seed, see meshtwin ls %s",
                         operands.items[0], revival.catalog.count, operands.items[0]);
            code = CLI_USAGE;
        }
        if (code == CLI_OK) {
            code = replay(&revival, &arguments);
        }
        revival_close(&revival);
    }
    option_list_free(&operands);
    return code;
}

static int replay(struct revival *revival, const struct replay_arguments *arguments)
{
    const struct catalog_run *recorded = revival->run;
    cli_catch_signals();
    int code = revival_start(revival, "replay", NULL, NULL);
    if (code != CLI_OK) {
        return code;
    }
    struct sim *sim = revival->sim;
    uint64_t end_us = revival->scenario->duration_us;
    uint64_t at_us = arguments->at_us == UINT64_MAX ? recorded_end_us(recorded) : arguments->at_us;
    if (at_us > end_us) {
        cli_complain("replay", "--at is beyond the scenario's duration");
        return CLI_USAGE;
    }
    if (arguments->node != UINT64_MAX && arguments->node >= sim_node_count(sim)) {
        cli_complain("replay", "there is no node %" PRIu64 ": they count from 0 to %" PRIu32,
                     arguments->node, sim_node_count(sim) - 1);
        return CLI_USAGE;
    }
    if (!sim_run_until(sim, at_us) && cli_stop != 0) {
        return CLI_INTERRUPTED;
    }
    if (at_us == recorded_end_us(recorded)) {
        compare_digest(revival);
    }
    struct terminal terminal;
    terminal_open(&terminal, stdout, TERMINAL_AUTO);
    summary_print_run(recorded, &terminal);
    if (arguments->node != UINT64_MAX) {
        show_node(revival, (uint32_t)arguments->node, &terminal);
    } else {
        show_world(revival, &terminal);
    }
    return CLI_OK;
}

/* A run that was cut short ended amid the events of its last microsecond. */
static uint64_t recorded_end_us(const struct catalog_run *run)
{
    bool is_cut = run->events_max != 0 || strcmp(run->status, "aborted") == 0;
    return is_cut && run->sim_time_us < run->until_us ? run->sim_time_us + 1 : run->sim_time_us;
}

/* Where the recorded run ended; one that was aborted may have left events of that moment out. */
static void compare_digest(const struct revival *revival)
{
    const struct catalog_run *run = revival->run;
    uint64_t events = world_counts(sim_world(revival->sim)).events;
    if (run->digest == NULL || (strcmp(run->status, "aborted") == 0 && events != run->events)) {
        return;
    }
    char digest[24];
    snprintf(digest, sizeof digest, "%016" PRIx64, sim_digest(revival->sim));
    if (strcmp(digest, run->digest) != 0) {
        cli_complain("replay",
                     "warning: digest %s, recorded was %s by commit %s: this is not the same run",
                     digest, run->digest, run->git_commit);
    }
}

static void show_time(struct revival *revival, const struct terminal *terminal)
{
    const char *dot = terminal_dot(terminal);
    printf("t=%.6fs%s%" PRIu32 " nodes online%s%" PRIu64 " events%sdigest %016" PRIx64 "\n",
           (double)sim_now_us(revival->sim) * 1e-6, dot, sim_nodes_online(revival->sim), dot,
           world_counts(sim_world(revival->sim)).events, dot, sim_digest(revival->sim));
}

static void show_groups(struct revival *revival, const struct terminal *terminal)
{
    struct grid grid = {.columns = 3};
    grid_add(&grid, "group");
    grid_add(&grid, "online");
    grid_add(&grid, "of");
    for (uint32_t i = 0, node = 0; i < revival->scenario->group_count; i++) {
        const struct scenario_group *group = &revival->scenario->groups[i];
        uint32_t online = 0;
        for (uint32_t end = node + group->count; node < end; node++) {
            online += host_is_up(world_host(sim_world(revival->sim), node));
        }
        grid_add(&grid, "%s", group->name);
        grid_add(&grid, "%" PRIu32, online);
        grid_add(&grid, "%" PRIu32, group->count);
    }
    grid_print(&grid, terminal, "  ", true);
}

static void add_counter(struct grid *grid, const char *name, uint64_t value)
{
    if (value > 0) {
        grid_add(grid, "%s", name);
        grid_add(grid, "%" PRIu64, value);
    }
}

static void show_world(struct revival *revival, const struct terminal *terminal)
{
    show_time(revival, terminal);
    show_groups(revival, terminal);
    struct grid grid = {.columns = 2};
    grid_add(&grid, "counter, all nodes");
    grid_add(&grid, "so far");
    uint64_t totals[COUNTER_COUNT];
    sim_counters(revival->sim, totals);
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        add_counter(&grid, counter_names[i], totals[i]);
    }
    struct host_counts counts = world_counts(sim_world(revival->sim));
    add_counter(&grid, "lost by the network", counts.datagrams_lost);
    add_counter(&grid, "arrived at nobody", counts.datagrams_dead);
    grid_print(&grid, terminal, "  ", true);
}

/* Contacts by bucket, and how many of them are really there: the world knows. */
static void show_table(struct world *world, const struct host *host,
                       const struct terminal *terminal)
{
    uint32_t handles[DHT_CONTACTS_MAX];
    const struct dht *dht = &host->node->dht;
    uint32_t count = dht_contacts(dht, handles, DHT_CONTACTS_MAX);
    uint32_t known[DHT_BUCKETS] = {0};
    uint32_t living[DHT_BUCKETS] = {0};
    for (uint32_t i = 0; i < count; i++) {
        const struct contact *contact = contact_at(&host->port, handles[i]);
        uint32_t bucket = dht_table_bucket_of(&dht->table, &contact->id);
        const struct host *other = world_find(world, &contact->addr);
        known[bucket]++;
        living[bucket] += other != NULL && host_is_up(other);
    }
    struct grid grid = {.columns = 3};
    grid_add(&grid, "bucket");
    grid_add(&grid, "contacts");
    grid_add(&grid, "online");
    for (uint32_t bucket = 0; bucket < DHT_BUCKETS; bucket++) {
        if (known[bucket] > 0) {
            grid_add(&grid, "%" PRIu32, bucket);
            grid_add(&grid, "%" PRIu32, known[bucket]);
            grid_add(&grid, "%" PRIu32, living[bucket]);
        }
    }
    grid_print(&grid, terminal, "  ", true);
}

static void show_counters(const struct counters *counters, const struct terminal *terminal)
{
    struct grid grid = {.columns = 2};
    grid_add(&grid, "counter, since its start");
    grid_add(&grid, "so far");
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        add_counter(&grid, counter_names[i], counters->value[i]);
    }
    grid_print(&grid, terminal, "  ", true);
}

static void show_node(struct revival *revival, uint32_t index, const struct terminal *terminal)
{
    struct world *world = sim_world(revival->sim);
    const struct host *host = world_host(world, index);
    struct sim_node_info info;
    sim_node_info(revival->sim, index, &info);
    const char *dot = terminal_dot(terminal);
    show_time(revival, terminal);
    printf("node %" PRIu32 "%sgroup %s%sregion %s%sstarted %" PRIu32 " times%s%s\n", index, dot,
           info.group_name, dot, info.region_name, dot, host->incarnation, dot,
           info.is_up ? "online" : "offline");
    if (!info.is_up) {
        return;
    }
    struct node_view view;
    node_observe(host->node, &view);
    char id[sizeof view.id.bytes * 2 + 1];
    sodium_bin2hex(id, sizeof id, view.id.bytes, sizeof view.id.bytes);
    printf("id %s%s%s\n", id, dot, view.is_joined ? "joined" : "joining");
    printf("%" PRIu32 " contacts%s%" PRIu32 " sessions%s%" PRIu32 " records held%s%" PRIu32
           " lookups open%s%" PRIu32 " bytes\n",
           view.contacts, dot, view.sessions, dot, view.records, dot, view.lookups, dot,
           view.arena_bytes);
    if (strcmp(info.nat_name, "public") != 0) {
        show_nat(host, info.nat_name, dot);
    }
    show_table(world, host, terminal);
    show_counters(&view.counters, terminal);
}
