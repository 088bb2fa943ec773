/* diff.c - `meshtwin diff`: names the first event in which two recorded runs differ.
 *
 * Both runs dispatch their events in the one total order (sim/engine/event.h), so as long as they
 * are alike their n-th events are the same, with the same chain behind them. They run in turns, a
 * window of simulated time each; what each has dispatched in it is compared.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "node/transport/packet.h"
#include "sim/cli/cli.h"
#include "sim/cli/revival.h"
#include "sim/cli/terminal.h"

enum {
    WINDOW_US = 100000, /* To begin with; it follows the load. */
    WINDOW_MIN_US = 1000,
    WINDOW_MAX_US = 10000000,
    WINDOW_EVENTS_MANY = 1 << 18,
    WINDOW_EVENTS_FEW = 1 << 16,
    HEAD_LEN = 2, /* Of a datagram: what is not sealed, and tells what it is. */
};

/* One dispatched event, and the chain of its owner after it. */
struct seen {
    struct event event;
    uint64_t chain;
    uint32_t kind;
    uint16_t len;
    uint8_t head[HEAD_LEN];
};

struct side {
    struct revival revival;
    struct seen *seen; /* In this window. */
    size_t count;
};

struct diff_arguments {
    bool help;
};

static const struct option diff_options[] = {CLI_HELP_OPTION};

static int run(const struct command *command, int count, char **words);
static int side_open(struct side *side, const char *word);
static void side_close(struct side *side);
static int compare_all(struct side sides[2]);
static int compare(struct side sides[2], const struct terminal *terminal);
static int lock_step(struct side sides[2], const struct terminal *terminal);

const struct command command_diff = {
    .name = "diff",
    .operands = "DB[:SEED] DB[:SEED]",
    .summary = "Runs two recorded runs in lock step and names the first event that differs.",
    .example = "meshtwin diff before.db:#0 after.db:#0",
    CLI_TABLE(diff_options),
    .operand_min = 2,
    .operand_max = 2,
    .run = run};

static int run(const struct command *command, int count, char **words)
{
    struct diff_arguments arguments = {0};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        struct side sides[2] = {0};
        cli_catch_signals();
        for (size_t i = 0; i < 2 && code == CLI_OK; i++) {
            code = side_open(&sides[i], operands.items[i]);
        }
        if (code == CLI_OK) {
            code = compare_all(sides);
        }
        side_close(&sides[0]);
        side_close(&sides[1]);
    }
    option_list_free(&operands);
    return code;
}

/* "DB", "DB:0x17" or "DB:#3"; a colon that belongs to the file's name is left alone. */
static int side_open(struct side *side, const char *word)
{
    const char *colon = strrchr(word, ':');
    bool is_path = colon == NULL || access(word, F_OK) == 0;
    char *path = text_copy(word, is_path ? strlen(word) : (size_t)(colon - word));
    int code = revival_open(&side->revival, "diff", path, is_path ? NULL : colon + 1);
    free(path);
    return code;
}

static void side_close(struct side *side)
{
    revival_close(&side->revival);
    free(side->seen);
}

/* One chosen run on each side, or all of them, pair by pair. */
static int compare_all(struct side sides[2])
{
    struct terminal terminal;
    terminal_open(&terminal, stdout, TERMINAL_AUTO);
    struct catalog *catalogs[2] = {&sides[0].revival.catalog, &sides[1].revival.catalog};
    bool is_chosen = sides[0].revival.run != NULL && sides[1].revival.run != NULL;
    if (is_chosen) {
        return compare(sides, &terminal);
    }
    if (sides[0].revival.run != NULL || sides[1].revival.run != NULL ||
        catalogs[0]->count != catalogs[1]->count) {
        cli_complain("diff", "the files hold %zu and %zu runs: choose one of each, as DB:SEED",
                     catalogs[0]->count, catalogs[1]->count);
        return CLI_USAGE;
    }
    int code = CLI_OK;
    for (size_t i = 0; i < catalogs[0]->count && code == CLI_OK; i++) {
        sides[0].revival.run = &catalogs[0]->runs[i];
        sides[1].revival.run = &catalogs[1]->runs[i];
        code = compare(sides, &terminal);
    }
    return code;
}

static int compare(struct side sides[2], const struct terminal *terminal)
{
    const struct catalog_run *a = sides[0].revival.run;
    const struct catalog_run *b = sides[1].revival.run;
    if (a->digest == NULL || b->digest == NULL) {
        cli_complain("diff", "a run whose process died has no digest to compare");
        return CLI_FAILURE;
    }
    if (strcmp(a->digest, b->digest) == 0 && a->events == b->events) {
        printf("identical%sseed 0x%" PRIx64 "%s%" PRIu64 " events%sdigest %s\n",
               terminal_dot(terminal), a->seed, terminal_dot(terminal), a->events,
               terminal_dot(terminal), a->digest);
        return CLI_OK;
    }
    return lock_step(sides, terminal);
}

static void on_dispatched(void *arg, const struct event *event, uint32_t kind, struct slice bytes,
                          uint64_t chain)
{
    struct side *side = arg;
    side->seen = text_grow(side->seen, side->count, sizeof *side->seen);
    struct seen *seen = &side->seen[side->count++];
    *seen =
        (struct seen){.event = *event, .chain = chain, .kind = kind, .len = (uint16_t)bytes.len};
    if (bytes.len > 0) {
        memcpy(seen->head, bytes.data, bytes.len < HEAD_LEN ? bytes.len : HEAD_LEN);
    }
}

static bool is_same(const struct seen *a, const struct seen *b)
{
    return a->event.time_us == b->event.time_us && a->event.destination == b->event.destination &&
           a->event.source == b->event.source && a->event.sequence == b->event.sequence &&
           a->kind == b->kind && a->chain == b->chain;
}

/* Sealed messages stay sealed, but what carries them tells how far a conversation had come. */
static const char *datagram_text(const struct seen *seen)
{
    static const char *const steps[] = {[PACKET_IK_1] = "first IK handshake",
                                        [PACKET_IK_2] = "second IK handshake",
                                        [PACKET_XX_1] = "first XX handshake",
                                        [PACKET_XX_2] = "second XX handshake",
                                        [PACKET_XX_3] = "third XX handshake"};
    if (seen->len < HEAD_LEN) {
        return "stray";
    }
    switch (seen->head[0]) {
    case PACKET_HANDSHAKE:
        return seen->head[1] >= PACKET_IK_1 && seen->head[1] <= PACKET_XX_3 ? steps[seen->head[1]]
                                                                            : "strange handshake";
    case PACKET_COOKIE:
        return "cookie";
    case PACKET_DATA:
        return "sealed message";
    default:
        return "stray";
    }
}

static void print_seen(const char *name, const struct seen *seen, const struct terminal *terminal)
{
    static const char *const kinds[] = {
        [HOST_EVENT_DATAGRAM] = "datagram", [HOST_EVENT_READY] = "datagram that waited",
        [HOST_EVENT_WAKE] = "wake-up",      [HOST_EVENT_DURABLE] = "durable",
        [HOST_EVENT_RESOLVED] = "resolved", [HOST_EVENT_WORK] = "work done",
        [HOST_EVENT_SCRIPT] = "script",     [HOST_EVENT_STREAM] = "segment"};
    const char *dot = terminal_dot(terminal);
    if (seen == NULL) {
        printf("  %s  nothing more\n", name);
        return;
    }
    printf("  %s  t=%.6fs%snode %" PRIu32 "%sfrom %" PRIu32 "%ssequence %" PRIu32 "%s%s", name,
           (double)seen->event.time_us * 1e-6, dot, seen->event.destination, dot,
           seen->event.source, dot, seen->event.sequence, dot, kinds[seen->kind]);
    if (seen->kind == HOST_EVENT_DATAGRAM) {
        printf(" of %u bytes, %s", seen->len, datagram_text(seen));
    }
    printf("%schain %016" PRIx64 "\n", dot, seen->chain);
}

/* The first place where the windows differ, or the shorter one's end. */
static size_t first_difference(const struct side sides[2])
{
    size_t count = sides[0].count < sides[1].count ? sides[0].count : sides[1].count;
    size_t at = 0;
    while (at < count && is_same(&sides[0].seen[at], &sides[1].seen[at])) {
        at++;
    }
    return at;
}

static void report(const struct side sides[2], size_t at, uint64_t before,
                   const struct terminal *terminal)
{
    const struct seen *a = at < sides[0].count ? &sides[0].seen[at] : NULL;
    const struct seen *b = at < sides[1].count ? &sides[1].seen[at] : NULL;
    bool is_content = a != NULL && b != NULL && a->chain != b->chain &&
                      memcmp(&a->event, &b->event, offsetof(struct event, payload)) == 0;
    const struct seen *first =
        a == NULL || (b != NULL && event_before(&b->event, &a->event)) ? b : a;
    must(first != NULL);
    printf("different from event %" PRIu64 " on: t=%.6fs, node %" PRIu32 "%s\n", before + at + 1,
           (double)first->event.time_us * 1e-6, first->event.destination,
           is_content ? " (the same event with other content)" : "");
    print_seen("A", a, terminal);
    print_seen("B", b, terminal);
}

static uint64_t window_next(const struct side sides[2], uint64_t window_us)
{
    size_t count = sides[0].count > sides[1].count ? sides[0].count : sides[1].count;
    if (count > WINDOW_EVENTS_MANY && window_us > WINDOW_MIN_US) {
        return window_us / 2;
    }
    return count < WINDOW_EVENTS_FEW && window_us < WINDOW_MAX_US ? window_us * 2 : window_us;
}

static int lock_step(struct side sides[2], const struct terminal *terminal)
{
    int code = CLI_OK;
    for (size_t i = 0; i < 2 && code == CLI_OK; i++) {
        code = revival_start(&sides[i].revival, "diff", on_dispatched, &sides[i]);
    }
    uint64_t ends_us[2] = {sides[0].revival.run->until_us, sides[1].revival.run->until_us};
    uint64_t end_us = ends_us[0] < ends_us[1] ? ends_us[0] : ends_us[1];
    uint64_t window_us = WINDOW_US;
    uint64_t before = 0; /* Events compared so far, and alike. */
    bool is_found = false;
    bool is_over = false;
    for (uint64_t time_us = 0; code == CLI_OK && !is_found && !is_over && time_us < end_us;) {
        time_us = time_us + window_us < end_us ? time_us + window_us : end_us;
        for (size_t i = 0; i < 2; i++) {
            is_over = !sim_run_until(sides[i].revival.sim, time_us) || is_over;
        }
        size_t at = first_difference(sides);
        is_found = at < sides[0].count || at < sides[1].count;
        if (cli_stop != 0) {
            code = CLI_INTERRUPTED;
        } else if (is_found) {
            report(sides, at, before, terminal);
        }
        before += at;
        window_us = window_next(sides, window_us);
        sides[0].count = 0;
        sides[1].count = 0;
    }
    if (code == CLI_OK && !is_found) {
        printf("the same for %" PRIu64
               " events, as far as both go; the digests were recorded as %s "
               "by commit %s and %s by commit %s\n",
               before, sides[0].revival.run->digest, sides[0].revival.run->git_commit,
               sides[1].revival.run->digest, sides[1].revival.run->git_commit);
    }
    revival_stop(&sides[0].revival);
    revival_stop(&sides[1].revival);
    return code == CLI_OK ? CLI_FAILURE : code;
}
