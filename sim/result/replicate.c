/* replicate.c - opens a world, steps through it, writes down what came of it. */
#include "sim/result/replicate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "sim/engine/replay.h"
#include "sim/result/archive.h"
#include "sim/result/machine.h"
#include "sim/result/recorder.h"

enum { STEPS = 1000 };

static bool run_steps(struct sim *sim, const struct replicate *replicate,
                      replicate_progress_fn progress, void *arg);
static void write_params(const struct replicate *replicate, struct database *database);
static void write_nodes(struct sim *sim, uint64_t run_id, struct database *database);
static void write_counters(struct sim *sim, uint64_t run_id, struct database *database);
static void write_fates(struct sim *sim, uint64_t run_id, struct database *database);
static void write_memory(struct sim *sim, uint64_t run_id, struct database *database);

int replicate_run(const struct replicate *replicate, struct database *part,
                  const volatile int *stop, replicate_progress_fn progress, void *arg, char *error,
                  size_t error_size)
{
    struct replicate_outcome outcome = {0};
    machine_time_utc(outcome.started_at_utc);
    uint64_t started_us = machine_clock_us();

    struct recorder recorder;
    recorder_init(&recorder, part, replicate->scenario, replicate->run_id, replicate->point,
                  replicate->seed);
    struct sim_options options = {.scenario = replicate->scenario,
                                  .seed = replicate->seed,
                                  .events_max = replicate->events_max,
                                  .queue_kind = replicate->queue_kind,
                                  .threads = replicate->threads,
                                  .sink = recorder_sink(&recorder),
                                  .stop = stop};
    struct sim *sim = sim_open(&options, error, error_size);
    if (sim == NULL) {
        recorder_free(&recorder);
        return ERR_INVALID;
    }
    struct replay_context context = {.scenario = replicate->scenario_path, .seed = replicate->seed};
    world_replay_context(sim_world(sim), &context);
    replay_context_set(&context);

    bool is_whole = run_steps(sim, replicate, progress, arg);
    uint64_t events = world_counts(sim_world(sim)).events;
    bool was_enough = replicate->events_max != 0 && events >= replicate->events_max;
    write_memory(sim, replicate->run_id, part);
    sim_finish(sim);

    outcome.sim_time_us = sim_now_us(sim);
    outcome.events = world_counts(sim_world(sim)).events;
    outcome.node_count = sim_node_count(sim);
    outcome.digest = sim_digest(sim);
    outcome.tables_hash = sim_tables_hash(sim);
    outcome.status = !is_whole && !was_enough  ? REPLICATE_ABORTED
                     : recorder.violations > 0 ? REPLICATE_FAILED
                                               : REPLICATE_OK;
    write_nodes(sim, replicate->run_id, part);
    write_counters(sim, replicate->run_id, part);
    replay_context_set(NULL);
    sim_close(sim);

    recorder_finish(&recorder);
    if (replicate->is_judged && is_whole) {
        recorder_judge(&recorder);
    }
    recorder_free(&recorder);
    outcome.wall_us = machine_clock_us() - started_us;
    outcome.peak_rss_bytes = machine_peak_rss_bytes();
    replicate_write(replicate, &outcome, part);
    write_params(replicate, part);
    archive_references(part, replicate->scenario, replicate->run_id);
    database_commit(part);
    if (part->status != ERR_OK) {
        snprintf(error, error_size, "%s", part->error);
    }
    return part->status;
}

void replicate_write(const struct replicate *replicate, const struct replicate_outcome *outcome,
                     struct database *database)
{
    static const char *const statuses[] = {
        [REPLICATE_OK] = "ok", [REPLICATE_ABORTED] = "aborted", [REPLICATE_FAILED] = "failed"};
    const struct scenario *scenario = replicate->scenario;
    struct machine machine;
    machine_describe(&machine);
    char sha256[SCENARIO_SHA256_SIZE];
    scenario_sha256(scenario, sha256);
    char *json = archive_text(scenario);
    char seed[24], digest[24], tables[24];
    snprintf(seed, sizeof seed, "0x%016" PRIx64, replicate->seed);
    snprintf(digest, sizeof digest, "%016" PRIx64, outcome->digest);
    snprintf(tables, sizeof tables, "%016" PRIx64, outcome->tables_hash);
    /* A run whose process died has a start and a status, and nothing else is known of it. */
    bool is_known = outcome->node_count > 0;
    struct database_value unknown = database_null();
    database_insert(
        database, DATABASE_RUN, database_integer(replicate->run_id),
        database_integer(replicate->point), database_text(replicate->point_text),
        database_integer(replicate->number), database_text(seed), database_text(scenario->name),
        database_text(sha256), database_text(json), database_text("sim"),
        database_text(statuses[outcome->status]), database_text(outcome->started_at_utc),
        is_known ? database_integer(outcome->wall_us) : unknown,
        is_known ? database_integer(outcome->peak_rss_bytes) : unknown,
        database_integer(replicate->until_us),
        replicate->events_max > 0 ? database_integer(replicate->events_max) : unknown,
        is_known ? database_integer(outcome->sim_time_us) : unknown,
        is_known ? database_integer(outcome->events) : unknown,
        is_known ? database_integer(outcome->node_count) : unknown,
        is_known ? database_text(digest) : unknown, is_known ? database_text(tables) : unknown,
        database_text(scenario->crypto == SCENARIO_CRYPTO_REAL ? "real" : "modelled"),
        database_text(replicate->queue_kind == QUEUE_HEAP ? "heap" : "wheel"),
        database_text(machine.version), database_text(machine.git_commit),
        database_text(machine.compiler), database_text(machine.build_flags),
        database_text(machine.cpu));
    free(json);
}

/* False when the run ended before its time: stopped by hand, or by its number of events. */
static bool run_steps(struct sim *sim, const struct replicate *replicate,
                      replicate_progress_fn progress, void *arg)
{
    for (uint64_t step = 1; step <= STEPS; step++) {
        uint64_t time_us = (uint64_t)((unsigned __int128)replicate->until_us * step / STEPS);
        if (!sim_run_until(sim, time_us) ||
            !progress(arg, sim_now_us(sim), world_counts(sim_world(sim)).events)) {
            return false;
        }
    }
    return true;
}

struct param_rows {
    struct database *database;
    uint64_t run_id;
};

static void write_param(void *arg, const struct scenario_param *param)
{
    const struct param_rows *rows = arg;
    database_insert(rows->database, DATABASE_PARAM, database_integer(rows->run_id),
                    database_text(param->pointer), database_text(param->value_text),
                    database_real(param->value_num), database_text(param->unit));
}

static void write_params(const struct replicate *replicate, struct database *database)
{
    struct param_rows rows = {.database = database, .run_id = replicate->run_id};
    scenario_visit_params(replicate->scenario, write_param, &rows);
}

static void write_nodes(struct sim *sim, uint64_t run_id, struct database *database)
{
    static const uint8_t never_started[CRYPTO_PUBLIC_LEN];
    for (uint32_t i = 0; i < sim_node_count(sim); i++) {
        struct sim_node_info info;
        sim_node_info(sim, i, &info);
        char key[CRYPTO_PUBLIC_LEN * 2 + 1];
        sodium_bin2hex(key, sizeof key, info.public_key, sizeof info.public_key);
        bool has_key = sodium_memcmp(info.public_key, never_started, sizeof never_started) != 0;
        database_insert(database, DATABASE_NODE, database_integer(run_id), database_integer(i),
                        database_text(info.group_name), database_text(info.region_name),
                        database_text(has_key ? key : NULL), database_integer(info.up_bps),
                        database_integer(info.down_bps), database_text(info.nat_name));
    }
}

static void write_counters(struct sim *sim, uint64_t run_id, struct database *database)
{
    static const char *const names[COUNTER_COUNT] = {
#define COUNTER_NAME(name, text) text,
        COUNTERS(COUNTER_NAME)
#undef COUNTER_NAME
    };
    uint64_t totals[COUNTER_COUNT];
    sim_counters(sim, totals);
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        database_insert(database, DATABASE_COUNTER, database_integer(run_id),
                        database_text(names[i]), database_integer(totals[i]));
    }
    struct host_counts counts = world_counts(sim_world(sim));
    database_insert(database, DATABASE_COUNTER, database_integer(run_id),
                    database_text("network_datagrams_sent"),
                    database_integer(counts.datagrams_sent));
    database_insert(database, DATABASE_COUNTER, database_integer(run_id),
                    database_text("network_datagrams_lost"),
                    database_integer(counts.datagrams_lost));
    database_insert(database, DATABASE_COUNTER, database_integer(run_id),
                    database_text("network_datagrams_dead"),
                    database_integer(counts.datagrams_dead));
    write_fates(sim, run_id, database);
}

/* What NAT boxes did, all together; nothing where there are none. */
static void write_fates(struct sim *sim, uint64_t run_id, struct database *database)
{
    uint64_t sums[NAPT_FATE_COUNT] = {0};
    uint32_t boxes = world_box_count(sim_world(sim));
    for (uint32_t box = 0; box < boxes; box++) {
        const uint64_t *fates = napt_fates(world_box(sim_world(sim), box));
        for (int fate = 0; fate < NAPT_FATE_COUNT; fate++) {
            sums[fate] += fates[fate];
        }
    }
    if (boxes == 0) {
        return;
    }
    struct host_counts counts = world_counts(sim_world(sim));
    database_insert(database, DATABASE_COUNTER, database_integer(run_id),
                    database_text("network_datagrams_filtered"),
                    database_integer(counts.datagrams_filtered));
    for (int fate = 0; fate < NAPT_FATE_COUNT; fate++) {
        char name[32];
        snprintf(name, sizeof name, "nat_%s", napt_fate_text((enum napt_fate)fate));
        database_insert(database, DATABASE_COUNTER, database_integer(run_id), database_text(name),
                        database_integer(sums[fate]));
    }
}

static void write_memory_row(struct database *database, uint64_t run_id, const char *per,
                             const char *owner, double bytes)
{
    database_insert(database, DATABASE_MEMORY, database_integer(run_id), database_text(owner),
                    database_text(per), database_real(bytes));
}

static void write_memory(struct sim *sim, uint64_t run_id, struct database *database)
{
    static const char *const users[ARENA_USER_COUNT] = {
#define ARENA_NAME(name, text) text,
        ARENA_USERS(ARENA_NAME)
#undef ARENA_NAME
    };
    struct sim_memory memory;
    sim_memory(sim, &memory);
    write_memory_row(database, run_id, "node", "struct node", memory.node_struct_bytes);
    write_memory_row(database, run_id, "node", "struct host", memory.host_bytes);
    for (size_t i = 0; i < ARENA_USER_COUNT; i++) {
        write_memory_row(database, run_id, "node", users[i], memory.used_bytes[i]);
    }
    write_memory_row(database, run_id, "node", "arena chunks", memory.arena_bytes);
    write_memory_row(database, run_id, "world", "event queue", (double)memory.queue_bytes);
    write_memory_row(database, run_id, "world", "packets", (double)memory.packet_bytes);
    write_memory_row(database, run_id, "world", "interned contacts", (double)memory.intern_bytes);
    write_memory_row(database, run_id, "world", "disks", (double)memory.disk_bytes);
}
