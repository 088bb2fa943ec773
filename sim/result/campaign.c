/* campaign.c - workers, their parts, and the file they become. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "sim/result/campaign.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "sim/result/archive.h"
#include "sim/result/judge.h"
#include "sim/result/machine.h"

enum {
    POLL_US = 10000,      /* How soon a finished worker is noticed. */
    PROGRESS_US = 250000, /* Four times a second. */
    EXIT_TROUBLE = 1,     /* A worker's, with the reason in its slot. */
    TROUBLE_SIZE = DATABASE_ERROR_SIZE,
};

/* What a worker tells while it runs, in memory shared with it. */
struct slot {
    _Atomic uint64_t sim_time_us;
    _Atomic uint64_t events;
    char trouble[TROUBLE_SIZE]; /* Written before EXIT_TROUBLE. */
};

struct board {
    volatile int stop; /* Set by the parent, read by every world. */
    struct slot slots[];
};

enum worker_state { WORKER_WAITING, WORKER_RUNNING, WORKER_ENDED, WORKER_DIED };

struct worker {
    enum worker_state state;
    pid_t process;
    char started_at_utc[MACHINE_TIME_SIZE];
};

struct campaign {
    const struct campaign_options *options;
    struct campaign_outcome *outcome;
    struct board *board;
    size_t board_bytes;
    struct worker *workers;
    struct database results;
    char *partial; /* Path of the results until they are whole. */
    uint32_t next; /* To be started. */
    uint32_t running;
    uint32_t merged; /* All runs before this one are in the results, or never will be. */
    uint64_t started_us;
    uint64_t shown_us;
};

static int open_results(struct campaign *campaign, char *error, size_t error_size);
static void close_campaign(struct campaign *campaign);
static void start_workers(struct campaign *campaign);
static _Noreturn void work(struct campaign *campaign, uint32_t run);
static void reap(struct campaign *campaign);
static void merge_ended(struct campaign *campaign);
static void show(struct campaign *campaign, bool is_last);
static void kill_workers(struct campaign *campaign);
static int finish(struct campaign *campaign, char *error, size_t error_size);

int campaign_run(const struct campaign_options *options, struct campaign_outcome *outcome,
                 char *error, size_t error_size)
{
    must(options->run_count > 0 && options->jobs > 0);

    *outcome = (struct campaign_outcome){0};
    struct campaign campaign = {
        .options = options, .outcome = outcome, .started_us = machine_clock_us()};
    campaign.workers = text_alloc(options->run_count, sizeof *campaign.workers);
    campaign.partial = text_format("%s.partial.%ld", options->target, (long)getpid());
    campaign.board_bytes = sizeof(struct board) + options->run_count * sizeof(struct slot);
    campaign.board =
        mmap(NULL, campaign.board_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(campaign.board != MAP_FAILED);

    int status = open_results(&campaign, error, error_size);
    const struct timespec pause = {.tv_nsec = POLL_US * 1000};
    while (status == ERR_OK && (campaign.running > 0 || campaign.next < options->run_count)) {
        campaign.board->stop = *options->stop;
        if (*options->stop >= 2) {
            snprintf(error, error_size, "interrupted twice: nothing was written");
            status = ERR_STOPPED;
            break;
        }
        if (*options->stop != 0) {
            campaign.next = options->run_count; /* What has not begun never will. */
        }
        start_workers(&campaign);
        show(&campaign, false);
        (void)nanosleep(&pause, NULL); /* A signal may cut it short: all the better. */
        reap(&campaign);
        merge_ended(&campaign);
        if (campaign.results.status != ERR_OK) {
            snprintf(error, error_size, "%s", campaign.results.error);
            status = ERR_IO;
        }
    }
    kill_workers(&campaign);
    if (status == ERR_OK) {
        show(&campaign, true);
        status = finish(&campaign, error, error_size);
    }
    close_campaign(&campaign);
    return status;
}

static char *part_path(const struct campaign *campaign, uint32_t run)
{
    return text_format("%s.%u", campaign->partial, run + 1);
}

static void write_metrics(struct database *database)
{
    for (enum metric_id metric = 0; metric < METRIC_COUNT; metric++) {
        const struct metric_info *info = metric_info(metric);
        database_insert(
            database, DATABASE_METRIC, database_integer(metric), database_text(info->name),
            database_text(info->unit), database_text(metric_better_text(info->better)),
            database_text(metric_kind_text(info->kind)), database_text(info->description));
    }
}

/* What belongs to no run: the dictionary, and the files the scenarios read. */
static int open_results(struct campaign *campaign, char *error, size_t error_size)
{
    const struct campaign_options *options = campaign->options;
    int status = database_create(&campaign->results, campaign->partial, DATABASE_RESULTS);
    if (status != ERR_OK) {
        snprintf(error, error_size, "%s", campaign->results.error);
        return status;
    }
    write_metrics(&campaign->results);
    for (uint32_t i = 0; i < options->run_count && status == ERR_OK; i++) {
        if (i == 0 || options->runs[i].scenario != options->runs[i - 1].scenario) {
            status = archive_files(&campaign->results, options->runs[i].scenario,
                                   options->runs[i].scenario_path, error, error_size);
        }
    }
    database_commit(&campaign->results);
    return status;
}

static void remove_file(const char *path, const char *suffix)
{
    char *name = text_format("%s%s", path, suffix);
    (void)unlink(name);
    free(name);
}

static void close_campaign(struct campaign *campaign)
{
    for (uint32_t i = 0; i < campaign->options->run_count; i++) {
        char *path = part_path(campaign, i);
        (void)unlink(path);
        free(path);
    }
    database_close(&campaign->results);
    remove_file(campaign->partial, "");
    remove_file(campaign->partial, "-wal");
    remove_file(campaign->partial, "-shm");
    must(munmap(campaign->board, campaign->board_bytes) == 0);
    free(campaign->partial);
    free(campaign->workers);
}

static void start_workers(struct campaign *campaign)
{
    const struct campaign_options *options = campaign->options;
    while (campaign->running < options->jobs && campaign->next < options->run_count) {
        uint32_t run = campaign->next++;
        struct worker *worker = &campaign->workers[run];
        machine_time_utc(worker->started_at_utc);
        (void)fflush(NULL); /* What is buffered now must not be printed by both. */
        worker->process = fork();
        if (worker->process == 0) {
            work(campaign, run);
        }
        if (worker->process < 0) {
            snprintf(campaign->board->slots[run].trouble, TROUBLE_SIZE, "cannot fork: %s",
                     strerror(errno));
            worker->state = WORKER_DIED;
            continue;
        }
        worker->state = WORKER_RUNNING;
        campaign->running++;
    }
}

struct work_progress {
    struct slot *slot;
    pid_t parent;
};

static bool on_progress(void *arg, uint64_t now_us, uint64_t events)
{
    const struct work_progress *progress = arg;
    atomic_store(&progress->slot->sim_time_us, now_us);
    atomic_store(&progress->slot->events, events);
    return getppid() == progress->parent; /* Nobody would merge an orphan's part. */
}

/* The life of a worker. The terminal's signals reach every process of the group: workers leave them
 * to the parent, which passes the wish on through the board. */
static _Noreturn void work(struct campaign *campaign, uint32_t run)
{
    struct slot *slot = &campaign->board->slots[run];
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    must(sigaction(SIGINT, &ignore, NULL) == 0 && sigaction(SIGTERM, &ignore, NULL) == 0);

    /* The parent's connection must not be used here, not even to close it; it ends with us. */
    struct database part;
    char *path = part_path(campaign, run);
    int status = database_create(&part, path, DATABASE_PART);
    if (status == ERR_OK) {
        struct work_progress progress = {.slot = slot, .parent = getppid()};
        status = replicate_run(&campaign->options->runs[run], &part, &campaign->board->stop,
                               on_progress, &progress, slot->trouble, TROUBLE_SIZE);
    } else {
        snprintf(slot->trouble, TROUBLE_SIZE, "%s", part.error);
    }
    database_close(&part);
    free(path);
    _exit(status == ERR_OK ? 0 : EXIT_TROUBLE);
}

static void reap(struct campaign *campaign)
{
    for (uint32_t run = campaign->merged; run < campaign->next; run++) {
        struct worker *worker = &campaign->workers[run];
        int status = 0;
        if (worker->state != WORKER_RUNNING ||
            waitpid(worker->process, &status, WNOHANG) != worker->process) {
            continue;
        }
        campaign->running--;
        worker->state = WORKER_ENDED;
        if (status == 0) {
            continue;
        }
        worker->state = WORKER_DIED;
        char *trouble = campaign->board->slots[run].trouble;
        if (WIFSIGNALED(status)) {
            snprintf(trouble, TROUBLE_SIZE, "its process died of signal %d (%s)", WTERMSIG(status),
                     strsignal(WTERMSIG(status)));
        } else if (trouble[0] == '\0') {
            snprintf(trouble, TROUBLE_SIZE, "its process ended with code %d", WEXITSTATUS(status));
        }
    }
}

static void merge_died(struct campaign *campaign, uint32_t run)
{
    const struct replicate *replicate = &campaign->options->runs[run];
    const struct slot *slot = &campaign->board->slots[run];
    struct replicate_outcome outcome = {.status = REPLICATE_FAILED};
    memcpy(outcome.started_at_utc, campaign->workers[run].started_at_utc, MACHINE_TIME_SIZE);
    replicate_write(replicate, &outcome, &campaign->results);
    database_insert(&campaign->results, DATABASE_LOG, database_integer(replicate->run_id),
                    database_integer(atomic_load(&slot->sim_time_us)), database_text("error"),
                    database_null(), database_text("run"), database_text(slot->trouble));
    database_commit(&campaign->results);
    campaign->options->trouble(campaign->options->trouble_arg, replicate, slot->trouble);
}

static void merge_ended(struct campaign *campaign)
{
    while (campaign->merged < campaign->options->run_count) {
        enum worker_state state = campaign->workers[campaign->merged].state;
        if (state == WORKER_DIED) {
            merge_died(campaign, campaign->merged);
        } else if (state == WORKER_ENDED) {
            char *path = part_path(campaign, campaign->merged);
            database_merge(&campaign->results, path);
            (void)unlink(path);
            free(path);
        } else {
            return;
        }
        campaign->merged++;
    }
}

static void show(struct campaign *campaign, bool is_last)
{
    uint64_t now_us = machine_clock_us();
    if (!is_last && now_us - campaign->shown_us < PROGRESS_US) {
        return;
    }
    campaign->shown_us = now_us;
    const struct campaign_options *options = campaign->options;
    struct campaign_progress progress = {.runs = options->run_count,
                                         .runs_active = campaign->running,
                                         .elapsed_us = now_us - campaign->started_us};
    for (uint32_t run = 0; run < options->run_count; run++) {
        const struct slot *slot = &campaign->board->slots[run];
        progress.runs_ended += campaign->workers[run].state >= WORKER_ENDED;
        progress.sim_time_us += atomic_load(&slot->sim_time_us);
        progress.sim_time_max_us += options->runs[run].until_us;
        progress.events += atomic_load(&slot->events);
    }
    options->progress(options->progress_arg, &progress);
}

static void kill_workers(struct campaign *campaign)
{
    for (uint32_t run = 0; run < campaign->next; run++) {
        struct worker *worker = &campaign->workers[run];
        if (worker->state == WORKER_RUNNING) {
            (void)kill(worker->process, SIGKILL);
            (void)waitpid(worker->process, NULL, 0);
            worker->state = WORKER_DIED;
        }
    }
}

static uint32_t count_runs(struct database *database, const char *status)
{
    sqlite3_stmt *statement = database_prepare(
        database, "SELECT count(*) FROM run WHERE status = ? AND sim_time_us IS NOT NULL");
    uint32_t count = 0;
    if (statement != NULL && sqlite3_bind_text(statement, 1, status, -1, SQLITE_STATIC) == 0 &&
        sqlite3_step(statement) == SQLITE_ROW) {
        count = (uint32_t)sqlite3_column_int(statement, 0);
    }
    sqlite3_finalize(statement);
    return count;
}

static int finish(struct campaign *campaign, char *error, size_t error_size)
{
    struct campaign_outcome *outcome = campaign->outcome;
    struct database *results = &campaign->results;
    outcome->ok = count_runs(results, "ok");
    outcome->aborted = count_runs(results, "aborted");
    uint32_t broken = count_runs(results, "failed");
    outcome->failed = campaign->merged - outcome->ok - outcome->aborted;
    if (outcome->ok + outcome->aborted + broken == 0) {
        snprintf(error, error_size, "no run came to an end: %s is as it was",
                 campaign->options->target);
        return ERR_INVALID;
    }
    outcome->thresholds_failed =
        judge_across(results, campaign->options->runs, campaign->options->run_count);
    if (database_finish(results) != ERR_OK) {
        snprintf(error, error_size, "%s", results->error);
        return ERR_IO;
    }
    if (rename(campaign->partial, campaign->options->target) != 0) {
        snprintf(error, error_size, "cannot write %s: %s", campaign->options->target,
                 strerror(errno));
        return ERR_IO;
    }
    return ERR_OK;
}
