/* test_store_trouble.c - full disks and I/O errors: said once, nothing half-written, and back
 * again.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/disk_vfs.h"
#include "tests/unit/node_host/store_oracle.h"

static struct rig rig;
static struct oracle oracle;

static void begin(void)
{
    rig_begin(&rig);
    rig.vfs = DISK_VFS;
    disk_begin(1);
    rig_open(&rig);
}

static void end(void)
{
    if (rig.store != NULL) {
        rig_close(&rig);
    }
    disk_end();
    rig_end(&rig);
}

TestSuite(store_trouble, .init = begin, .fini = end, .timeout = 600);

static bool is_read_only(void)
{
    struct store_view view;
    store_observe(rig.store, &view);
    return view.is_read_only;
}

static void put_big(const char *key)
{
    static uint8_t value[PORT_VALUE_MAX];
    cr_assert_eq(store_put(rig.store, rig_slice(key), slice_of(value, sizeof value)), ERR_OK);
}

Test(store_trouble, a_full_disk_makes_it_read_only_until_there_is_room)
{
    rig_put(&rig, "old", "1");
    rig_put(&rig, "both", "1");
    rig_commit(&rig, 1);
    rig_settle(&rig, 1);
    disk_limit(disk_used() + 10000);
    for (uint64_t ticket = 2; ticket <= 4; ticket++) {
        put_big("big");
        rig_put(&rig, "both", "2");
        cr_assert_eq(store_del(rig.store, rig_slice("old")), ERR_OK);
        rig_commit(&rig, ticket);
        rig_expect(&rig, "both", "2");
        rig_settle(&rig, ticket);
        cr_assert_eq(rig_status(&rig, ticket), ERR_IO);
        rig_expect(&rig, "both", "1"); /* What the failed commit wrote is gone, all of it. */
        rig_expect(&rig, "old", "1");
        rig_expect(&rig, "big", NULL);
        cr_assert(is_read_only());
    }
    cr_assert_eq(rig.note_count, 1u, "said once");
    cr_assert_eq(rig.notes[0].how, HOST_NOTE_ERROR);
    cr_assert(rig_noted(&rig, "full") && rig_noted(&rig, "free some space"), "%s",
              rig.notes[0].text);

    disk_limit(UINT64_MAX);
    put_big("big");
    rig_commit(&rig, 5);
    rig_settle(&rig, 5);
    cr_assert_eq(rig_status(&rig, 5), ERR_OK);
    cr_assert(!is_read_only());
    cr_assert_eq(rig.note_count, 2u);
    cr_assert(rig_noted(&rig, "works again"));
    struct store_view view;
    store_observe(rig.store, &view);
    cr_assert_eq(view.commits, 2u);
    cr_assert_eq(view.commits_failed, 3u);
}

Test(store_trouble, a_failed_commit_takes_along_what_was_made_on_top_of_it)
{
    rig_put(&rig, "a", "1");
    rig_commit(&rig, 1);
    rig_settle(&rig, 1);
    disk_fail(DISK_SYNC, DISK_LOG, 1, 1); /* One failure, and the disk is well again. */
    rig_put(&rig, "a", "2");
    rig_commit(&rig, 2);
    rig_put(&rig, "b", "2");
    rig_commit(&rig, 3);
    rig_commit(&rig, 4);
    rig_put(&rig, "c", "staged");
    rig_settle(&rig, 4);
    cr_assert_eq(rig_status(&rig, 2), ERR_IO);
    cr_assert_eq(rig_status(&rig, 3), ERR_IO);
    cr_assert_eq(rig_status(&rig, 4), ERR_IO);
    rig_expect(&rig, "a", "1");
    rig_expect(&rig, "b", NULL);
    rig_expect(&rig, "c", "staged");
    rig_commit(&rig, 5); /* Made in the knowledge of it. */
    rig_settle(&rig, 5);
    cr_assert_eq(rig_status(&rig, 5), ERR_OK);
    rig_close(&rig);
    rig_open(&rig);
    char out[64];
    rig_list(&rig, "", out, sizeof out);
    cr_assert_str_eq(out, "a=1 c=staged ");
}

Test(store_trouble, an_earlier_value_shows_again_when_a_later_one_fails)
{
    rig_put(&rig, "a", "0"); /* Begins the log, which takes syncs of its own. */
    rig_commit(&rig, 1);
    rig_settle(&rig, 1);
    disk_fail(DISK_SYNC, DISK_LOG, 2, 1);
    rig_put(&rig, "a", "1");
    rig_commit(&rig, 2);
    rig_put(&rig, "a", "2");
    rig_commit(&rig, 3);
    rig_expect(&rig, "a", "2");
    rig_settle(&rig, 3);
    cr_assert_eq(rig_status(&rig, 2), ERR_OK);
    cr_assert_eq(rig_status(&rig, 3), ERR_IO);
    rig_expect(&rig, "a", "1");
}

Test(store_trouble, what_cannot_be_read_is_said_and_not_invented)
{
    rig_put(&rig, "a", "1");
    rig_commit(&rig, 1);
    rig_close(&rig);
    rig_open(&rig);
    char buffer[8];
    size_t len;
    disk_fail(DISK_READ, DISK_DATABASE | DISK_LOG, 1, 100);
    cr_assert_eq(store_get(rig.store, rig_slice("a"), buffer, sizeof buffer, &len), ERR_IO);
    cr_assert_eq(store_get(rig.store, rig_slice("a"), buffer, sizeof buffer, &len), ERR_IO);
    cr_assert_eq(store_del(rig.store, rig_slice("a")), ERR_IO);
    rig_put(&rig, "b", "2");
    rig_expect(&rig, "b", "2");
    cr_assert_eq(rig.note_count, 1u, "said once");
    cr_assert(rig_noted(&rig, "cannot read"));
    disk_fail(0, 0, 0, 0);
    rig_expect(&rig, "a", "1");
}

Test(store_trouble, a_log_that_cannot_be_folded_is_said_and_loses_nothing)
{
    disk_fail(DISK_WRITE, DISK_DATABASE, 1, UINT64_MAX);
    uint64_t ticket = 0;
    while (!rig_noted(&rig, "log cannot be shortened")) {
        put_big("big");
        rig_commit(&rig, ++ticket);
        rig_settle(&rig, ticket);
        cr_assert_eq(rig_status(&rig, ticket), ERR_OK);
        cr_assert_lt(ticket, 1000u);
    }
    disk_fail(0, 0, 0, 0);
    while (!rig_noted(&rig, "log is short again")) {
        put_big("big");
        rig_commit(&rig, ++ticket);
        rig_settle(&rig, ticket);
        cr_assert_lt(ticket, 1000u);
    }
    cr_assert_eq(rig.note_count, 2u);
    cr_assert(!is_read_only());
}

Test(store_trouble, a_new_database_on_a_full_disk_says_why_it_cannot_be)
{
    rig_close(&rig);
    disk_end();
    disk_begin(2);
    disk_limit(2000);
    char reason[HOST_REASON_SIZE] = "";
    cr_assert_eq(rig_try(&rig, rig.path, reason), ERR_IO);
    cr_assert_not_null(strstr(reason, "full"), "%s", reason);
    cr_assert_not_null(strstr(reason, rig.path), "%s", reason);
    cr_assert_eq(rig.note_count, 0u);
}

/* Whatever fails, and whenever: the store shows what was acknowledged and, once the disk is well,
 * goes on. */
static bool fail_at(unsigned operation, uint64_t nth, uint64_t count, uint64_t seed)
{
    disk_end();
    disk_begin(seed);
    rig.note_count = 0;
    rig_open(&rig);
    oracle_begin(&oracle, &rig, seed, 3000);
    disk_fail(operation, DISK_DATABASE | DISK_LOG, nth, count);
    for (int step = 0; step < 60; step++) {
        oracle_step(&oracle);
        /* A writer that has not had the processor meanwhile does all in one; every other run waits
         * for it, so that what can fail does not depend on who runs when. */
        if (seed % 2 == 0 && step % 6 == 5) {
            store_flush(rig.store);
        }
    }
    store_flush(rig.store);
    oracle_hear(&oracle);
    oracle_check(&oracle);
    bool has_failed = disk_has_failed();
    disk_fail(0, 0, 0, 0);
    oracle_commit(&oracle);
    store_flush(rig.store);
    oracle_hear(&oracle);
    cr_assert_eq(rig_status(&rig, oracle.ticket), ERR_OK);
    rig_close(&rig);
    rig_open(&rig);
    oracle_check_closed(&oracle);
    cr_assert(!rig_noted(&rig, "moved to"));
    rig_close(&rig);
    return has_failed;
}

Test(store_trouble, any_operation_may_fail)
{
    const char *nightly = getenv("MESHTWIN_NIGHTLY");
    uint64_t nth_max = nightly != NULL && nightly[0] == '1' ? 1000 : 100;
    static const unsigned operations[] = {DISK_READ, DISK_WRITE, DISK_SYNC, DISK_TRUNCATE};
    unsigned failures = 0;
    rig_close(&rig);
    for (size_t i = 0; i < array_len(operations); i++) {
        for (uint64_t nth = 1; nth < nth_max; nth++) {
            failures += fail_at(operations[i], nth, 1 + nth % 4, nth);
        }
    }
    cr_assert_geq(failures, 60u, "only %u runs had a failure", failures);
}

Test(store_trouble, a_disk_that_fills_up_anywhere)
{
    rig_close(&rig);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        disk_end();
        disk_begin(seed);
        rig.note_count = 0;
        rig_open(&rig);
        oracle_begin(&oracle, &rig, seed, 9000);
        disk_limit(disk_used() + seed * 3001);
        for (int step = 0; step < 150; step++) {
            oracle_step(&oracle);
        }
        store_flush(rig.store);
        oracle_hear(&oracle);
        oracle_check(&oracle);
        disk_limit(UINT64_MAX);
        oracle_commit(&oracle);
        store_flush(rig.store);
        oracle_hear(&oracle);
        rig_close(&rig);
        rig_open(&rig);
        oracle_check_closed(&oracle);
        rig_close(&rig);
    }
}
