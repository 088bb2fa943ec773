/* test_store_kill.c - a process that dies by kill -9 while it writes loses nothing it acknowledged.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/base/rng.h"
#include "tests/unit/node_host/store_rig.h"

enum {
    KILLS = 200,
    KILLS_NIGHTLY = 5000,
    SLOTS = 61,
    UNDER_WAY_MAX = 6,
};

static struct rig rig;
static uint8_t buffer[PORT_VALUE_MAX];

TestSuite(store_kill, .timeout = 3000);

/* Commit n writes its number under "last", and its value under slot n mod SLOTS. */
static struct slice slot_of(uint64_t number, char text[8])
{
    snprintf(text, 8, "s%02u", (unsigned)(number % SLOTS));
    return rig_slice(text);
}

/* The number, and a tail of up to 40 kB that follows from it. */
static struct slice value_of(uint64_t number)
{
    size_t len = sizeof number + (number % 13 == 0 ? number * 7919 % 40000 : number * 31 % 900);
    memset(buffer, (int)(number % 251), len);
    memcpy(buffer, &number, sizeof number);
    return slice_of(buffer, len);
}

/* --- the process that dies ---------------------------------------------------------------------
 */

struct victim {
    int pipe;
    uint64_t acknowledged;
};

static void acknowledge(void *arg, uint64_t ticket, int status)
{
    struct victim *victim = arg;
    victim->acknowledged = ticket;
    if (status != ERR_OK || write(victim->pipe, &ticket, sizeof ticket) != sizeof ticket) {
        _exit(3);
    }
}

static void refuse_notes(void *arg, enum host_note how, const char *text)
{
    (void)arg;
    (void)how;
    fprintf(stderr, "%s\n", text);
    _exit(4);
}

_Noreturn static void write_until_killed(uint64_t number, int pipe)
{
    struct victim victim = {pipe, number - 1};
    struct store *store = NULL;
    uv_loop_t loop;
    struct store_options options = {
        .path = rig.path, .loop = &loop, .hooks = {&victim, acknowledge, refuse_notes}};
    char reason[HOST_REASON_SIZE] = "";
    if (uv_loop_init(&loop) != 0 || store_open(&options, &store, reason) != ERR_OK) {
        fprintf(stderr, "%s\n", reason);
        _exit(2);
    }
    for (;; number++) {
        char text[8];
        if (store_put(store, slot_of(number, text), value_of(number)) != ERR_OK ||
            store_put(store, rig_slice("last"), slice_of(&number, sizeof number)) != ERR_OK ||
            store_commit(store, number) != ERR_OK) {
            _exit(5);
        }
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        while (number - victim.acknowledged >= UNDER_WAY_MAX) {
            (void)uv_run(&loop, UV_RUN_ONCE);
        }
    }
}

/* --- the process that looks --------------------------------------------------------------------
 */

/* The last number of the file; every slot has to be as that commit left it. */
static uint64_t recover(unsigned round)
{
    uint64_t last = 0;
    size_t len = 0;
    rig_open(&rig);
    cr_assert_eq(rig.note_count, 0u, "round %u: %s", round, rig.notes[0].text);
    int status = store_get(rig.store, rig_slice("last"), &last, sizeof last, &len);
    cr_assert(status == ERR_OK || status == ERR_MISSING, "round %u: %s", round, err_text(status));
    for (uint64_t back = 0; back < SLOTS && back < last; back++) {
        static uint8_t found[PORT_VALUE_MAX];
        char text[8];
        struct slice expected = value_of(last - back);
        status = store_get(rig.store, slot_of(last - back, text), found, sizeof found, &len);
        cr_assert_eq(status, ERR_OK, "round %u: %s of %llu: %s", round, text,
                     (unsigned long long)(last - back), err_text(status));
        cr_assert_eq(len, expected.len, "round %u: not the value of its commit", round);
        cr_assert_eq(memcmp(found, expected.data, len), 0, "round %u", round);
    }
    rig_close(&rig);
    return last;
}

/* Any moment will do, and none is waited for: this draws one. */
static void pass_some_time(struct rng *rng, uint64_t max_us)
{
    struct timespec time = {.tv_nsec = (long)rng_below(rng, max_us * 1000)};
    (void)nanosleep(&time, NULL);
}

/* Starts a writer, kills it, and returns the last number it acknowledged. */
static uint64_t kill_one(struct rng *rng, unsigned round, uint64_t last)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)close(ends[0]);
        write_until_killed(last + 1, ends[1]);
    }
    (void)close(ends[1]);
    uint64_t acknowledged = last;
    uint64_t wanted = round % 4 == 0 ? 0 : rng_below(rng, 60); /* Some die while they open. */
    while (wanted-- > 0) {
        cr_assert_eq(read(ends[0], &acknowledged, sizeof acknowledged),
                     (ssize_t)sizeof acknowledged, "round %u: the writer ended", round);
    }
    pass_some_time(rng, round % 4 == 0 ? 12000 : 1500);
    cr_assert_eq(kill(child, SIGKILL), 0);
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "round %u: status %x", round,
              (unsigned)status);
    while (read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged) {
    }
    (void)close(ends[0]);
    return acknowledged;
}

Test(store_kill, nothing_acknowledged_is_lost_and_every_file_readable)
{
    rig_begin(&rig);
    const char *nightly = getenv("MESHTWIN_NIGHTLY");
    unsigned kills = nightly != NULL && nightly[0] == '1' ? KILLS_NIGHTLY : KILLS;
    struct rng rng;
    rng_stream(&rng, 1, "kill", 0, 0);
    uint64_t last = 0;
    unsigned with_news = 0;
    for (unsigned round = 1; round <= kills; round++) {
        uint64_t acknowledged = kill_one(&rng, round, last);
        uint64_t found = recover(round);
        cr_assert_geq(found, acknowledged, "round %u: acknowledged %llu, found %llu", round,
                      (unsigned long long)acknowledged, (unsigned long long)found);
        with_news += acknowledged > last;
        last = found;
    }
    cr_assert_gt(with_news, kills / 2, "only %u writers came to write", with_news);
    cr_assert_eq(rig_files(&rig, "db."), 0u, "a database was moved aside");
    rig_end(&rig);
}
