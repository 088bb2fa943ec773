/* test_store.c - the store keeps the contract of port_ops: order, staged reads, snapshots, tickets.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/rng.h"
#include "tests/unit/node_host/store_rig.h"

static struct rig rig;

static void begin(void)
{
    rig_begin(&rig);
}

static void end(void)
{
    rig_end(&rig);
}

TestSuite(store, .init = begin, .fini = end, .timeout = 60);

static void open_in(bool in_memory)
{
    char reason[HOST_REASON_SIZE] = "";
    cr_assert_eq(rig_try(&rig, in_memory ? NULL : rig.path, reason), ERR_OK, "%s", reason);
}

Test(store, reads_see_a_write_at_every_stage)
{
    for (int in_memory = 0; in_memory <= 1; in_memory++) {
        open_in(in_memory);
        rig_expect(&rig, "a", NULL);
        rig_put(&rig, "a", "one");
        rig_expect(&rig, "a", "one"); /* Staged, */
        rig_put(&rig, "a", "two");
        rig_expect(&rig, "a", "two");
        rig_commit(&rig, 1);
        rig_expect(&rig, "a", "two"); /* under way, */
        rig_settle(&rig, 1);
        rig_expect(&rig, "a", "two"); /* and in the file. */
        cr_assert_eq(store_del(rig.store, rig_slice("a")), ERR_OK);
        rig_expect(&rig, "a", NULL);
        cr_assert_eq(store_del(rig.store, rig_slice("a")), ERR_MISSING);
        rig_commit(&rig, 2);
        rig_settle(&rig, 2);
        rig_expect(&rig, "a", NULL);
        cr_assert_eq(store_del(rig.store, rig_slice("a")), ERR_MISSING);
        rig_close(&rig);
    }
    cr_assert_eq(rig.note_count, 0u);
}

Test(store, sizes_are_told_and_limits_kept)
{
    rig_open(&rig);
    static uint8_t value[PORT_VALUE_MAX + 1];
    uint8_t key[PORT_KEY_MAX + 1] = {7};
    struct slice longest = slice_of(key, PORT_KEY_MAX);
    cr_assert_eq(store_put(rig.store, longest, slice_of(value, PORT_VALUE_MAX)), ERR_OK);
    cr_assert_eq(store_put(rig.store, slice_of(key, 1), slice_of(value, 0)), ERR_OK);
    for (int is_settled = 0; is_settled <= 1; is_settled++) {
        size_t len = 0;
        cr_assert_eq(store_get(rig.store, longest, value, 5, &len), ERR_TOO_LARGE);
        cr_assert_eq(len, (size_t)PORT_VALUE_MAX);
        cr_assert_eq(store_get(rig.store, longest, value, sizeof value, &len), ERR_OK);
        cr_assert_eq(store_get(rig.store, slice_of(key, 1), value, 0, &len), ERR_OK);
        cr_assert_eq(len, 0u);
        rig_commit(&rig, 1 + (uint64_t)is_settled);
        rig_settle(&rig, 1 + (uint64_t)is_settled);
    }
    cr_assert_eq(store_put(rig.store, slice_of(key, sizeof key), slice_of(value, 1)),
                 ERR_TOO_LARGE);
    cr_assert_eq(store_put(rig.store, slice_of(key, 0), slice_of(value, 1)), ERR_TOO_LARGE);
    cr_assert_eq(store_put(rig.store, slice_of(key, 1), slice_of(value, sizeof value)),
                 ERR_TOO_LARGE);
}

Test(store, a_scan_merges_what_is_pending_into_the_file)
{
    char out[200];
    for (int in_memory = 0; in_memory <= 1; in_memory++) {
        open_in(in_memory);
        rig_put(&rig, "a", "1");
        rig_put(&rig, "b", "1");
        rig_put(&rig, "b2", "1");
        rig_put(&rig, "b4", "1");
        rig_put(&rig, "c", "1");
        rig_commit(&rig, 1);
        rig_settle(&rig, 1);
        rig_put(&rig, "b4", "2"); /* Under way on top of the file, */
        rig_put(&rig, "b10", "2");
        rig_commit(&rig, 2);
        rig_put(&rig, "b5", "3"); /* and staged on top of that. */
        rig_put(&rig, "b10", "3");
        cr_assert_eq(store_del(rig.store, rig_slice("b2")), ERR_OK);
        rig_list(&rig, "b", out, sizeof out);
        cr_assert_str_eq(out, "b=1 b10=3 b4=2 b5=3 ");
        rig_list(&rig, "", out, sizeof out);
        cr_assert_str_eq(out, "a=1 b=1 b10=3 b4=2 b5=3 c=1 ");
        rig_list(&rig, "b4", out, sizeof out);
        cr_assert_str_eq(out, "b4=2 ");
        rig_list(&rig, "d", out, sizeof out);
        cr_assert_str_eq(out, "");
        rig_commit(&rig, 3);
        rig_settle(&rig, 3);
        rig_list(&rig, "b", out, sizeof out);
        cr_assert_str_eq(out, "b=1 b10=3 b4=2 b5=3 ");
        rig_close(&rig);
    }
}

static bool stop_at_second(void *arg, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    return ++*(int *)arg < 2;
}

Test(store, a_visitor_ends_the_scan)
{
    rig_open(&rig);
    rig_put(&rig, "a", "1");
    rig_put(&rig, "c", "1");
    rig_commit(&rig, 1);
    rig_settle(&rig, 1);
    rig_put(&rig, "b", "2");
    rig_put(&rig, "d", "2");
    int visits = 0;
    cr_assert_eq(store_scan(rig.store, rig_slice(""), stop_at_second, &visits), ERR_OK);
    cr_assert_eq(visits, 2);
}

static bool read_inside(void *arg, struct slice key, struct slice value)
{
    (void)value;
    size_t len;
    char buffer[8];
    return store_get(arg, key, buffer, sizeof buffer, &len) == ERR_OK;
}

Test(store, a_visitor_makes_no_store_call, .signal = SIGABRT)
{
    open_in(true);
    cr_assert_eq(rmdir(rig.folder), 0); /* Nobody comes back to do it. */
    rig_put(&rig, "a", "1");
    (void)store_scan(rig.store, rig_slice(""), read_inside, rig.store);
}

Test(store, tickets_come_back_in_order_from_the_loop_alone)
{
    for (int in_memory = 0; in_memory <= 1; in_memory++) {
        open_in(in_memory);
        for (uint64_t ticket = 1; ticket <= 50; ticket++) {
            char key[16];
            snprintf(key, sizeof key, "n%llu", (unsigned long long)ticket);
            if (ticket % 7 != 0) { /* A commit of nothing keeps its place. */
                rig_put(&rig, key, "x");
            }
            rig_commit(&rig, ticket);
        }
        cr_assert_eq(rig.settled_count, 0u);
        rig_settle(&rig, 50);
        struct store_view view;
        store_observe(rig.store, &view);
        cr_assert_eq(view.commits, 50u);
        cr_assert_eq(view.commits_failed, 0u);
        cr_assert_geq(view.bytes, 8192u); /* The schema's page and the table's. */
        rig_close(&rig);
    }
}

Test(store, a_flush_settles_everything)
{
    rig_open(&rig);
    for (uint64_t ticket = 1; ticket <= 20; ticket++) {
        rig_put(&rig, "a", "x");
        rig_commit(&rig, ticket);
    }
    store_flush(rig.store);
    cr_assert_eq(rig_status(&rig, 20), ERR_OK);
}

Test(store, closing_keeps_what_is_committed_and_nothing_else)
{
    rig_open(&rig);
    rig_put(&rig, "kept", "yes");
    rig_commit(&rig, 1);
    rig_put(&rig, "kept", "overwritten");
    rig_put(&rig, "lost", "staged only");
    rig_close(&rig);
    cr_assert_eq(rig_status(&rig, 1), ERR_OK);
    cr_assert_eq(rig_files(&rig, "-wal"), 0u, "the log is folded into the file");
    rig_open(&rig);
    rig_expect(&rig, "kept", "yes");
    rig_expect(&rig, "lost", NULL);
    cr_assert_eq(rig.note_count, 0u);
}

Test(store, abandoning_loses_a_suffix_of_what_is_not_settled)
{
    for (int run = 0; run < 20; run++) {
        rig_open(&rig);
        char key[16];
        for (uint64_t ticket = 1; ticket <= 30; ticket++) {
            snprintf(key, sizeof key, "%d.%llu", run, (unsigned long long)ticket);
            rig_put(&rig, key, "x");
            rig_commit(&rig, ticket);
        }
        rig_settle(&rig, 3);
        rig_abandon(&rig);
        uint64_t told = rig.settled[rig.settled_count - 1].ticket;
        rig_open(&rig);
        bool is_gone = false;
        for (uint64_t ticket = 1; ticket <= 30; ticket++) {
            char buffer[8];
            size_t len;
            snprintf(key, sizeof key, "%d.%llu", run, (unsigned long long)ticket);
            int status = store_get(rig.store, rig_slice(key), buffer, sizeof buffer, &len);
            cr_assert(status == ERR_OK || (status == ERR_MISSING && ticket > told));
            cr_assert_not(is_gone && status == ERR_OK, "%s outlived an earlier write", key);
            is_gone |= status == ERR_MISSING;
        }
        rig_close(&rig);
    }
}

Test(store, only_its_owner_may_read_the_file)
{
    rig_open(&rig);
    rig_put(&rig, "a", "1");
    rig_commit(&rig, 1);
    rig_settle(&rig, 1);
    static const char *const parts[] = {".db-wal", ".db-shm", ".db-lock"};
    for (size_t i = 0; i <= array_len(parts); i++) {
        char path[400];
        struct stat about;
        if (i < array_len(parts)) {
            rig_file(&rig, parts[i], path, sizeof path);
        } else {
            snprintf(path, sizeof path, "%s", rig.path);
        }
        cr_assert_eq(stat(path, &about), 0);
        cr_assert_eq(about.st_mode & 0777u, 0600u, "%s has mode %o", path, about.st_mode & 0777u);
    }
}

Test(store, what_may_wait_for_the_disk_is_bounded)
{
    open_in(true);
    static uint8_t value[PORT_VALUE_MAX];
    uint32_t count = 0;
    int status = ERR_OK;
    while (status == ERR_OK) {
        count++;
        status =
            store_put(rig.store, slice_of(&count, sizeof count), slice_of(value, sizeof value));
        cr_assert_lt(count, 1000u);
    }
    cr_assert_eq(status, ERR_FULL);
    uint32_t first = 1;
    cr_assert_eq(store_del(rig.store, slice_of(&first, sizeof first)), ERR_FULL);
    rig_commit(&rig, 1);
    rig_settle(&rig, 1);
    cr_assert_eq(store_del(rig.store, slice_of(&first, sizeof first)), ERR_OK);
}

Test(store, a_long_log_is_folded_while_it_grows)
{
    rig_open(&rig);
    static uint8_t value[PORT_VALUE_MAX];
    for (uint64_t ticket = 1; ticket <= 400; ticket++) { /* 26 MB through one key. */
        memset(value, (int)ticket, sizeof value);
        cr_assert_eq(store_put(rig.store, rig_slice("k"), slice_of(value, sizeof value)), ERR_OK);
        rig_commit(&rig, ticket);
        rig_settle(&rig, ticket);
    }
    char path[400];
    struct stat about;
    rig_file(&rig, ".db-wal", path, sizeof path);
    cr_assert_eq(stat(path, &about), 0);
    cr_assert_lt(about.st_size, 8 << 20, "the log has %lld bytes", (long long)about.st_size);
}

/* --- against a model --------------------------------------------------------------------------
 */

enum {
    MODEL_KEYS = 40,
};

struct model {
    int values[MODEL_KEYS]; /* 0: absent. */
    unsigned next;          /* The key a scan has to show at the earliest. */
};

/* Keys of one to three bytes, some of them beginnings of others, in byte order. */
static struct slice model_key(unsigned at, uint8_t bytes[3])
{
    bytes[0] = (uint8_t)(at / 8 == 4 ? 0xff : at / 8);
    bytes[1] = (uint8_t)(at / 2 % 4 == 3 ? 0xff : at / 2 % 4);
    bytes[2] = 0;
    return slice_of(bytes, 2 + at % 2);
}

static bool compare(void *arg, struct slice key, struct slice value)
{
    struct model *model = arg;
    while (model->next < MODEL_KEYS && model->values[model->next] == 0) {
        model->next++;
    }
    cr_assert_lt(model->next, (unsigned)MODEL_KEYS, "a key too many");
    uint8_t bytes[3];
    struct slice expected = model_key(model->next, bytes);
    cr_assert_eq(key.len, expected.len);
    cr_assert_eq(memcmp(key.data, expected.data, key.len), 0);
    cr_assert_eq(value.len, sizeof(int));
    cr_assert_eq(memcmp(value.data, &model->values[model->next], sizeof(int)), 0);
    model->next++;
    return true;
}

static void model_check(struct model *model)
{
    model->next = 0;
    cr_assert_eq(store_scan(rig.store, rig_slice(""), compare, model), ERR_OK);
    while (model->next < MODEL_KEYS) {
        cr_assert_eq(model->values[model->next++], 0, "a key too few");
    }
}

static void model_step(struct model *model, struct rng *rng, int step, uint64_t *ticket)
{
    uint8_t bytes[3];
    unsigned at = (unsigned)rng_below(rng, MODEL_KEYS);
    struct slice key = model_key(at, bytes);
    switch (rng_below(rng, 10)) {
    case 0:
    case 1:
        cr_assert_eq(store_del(rig.store, key), model->values[at] == 0 ? ERR_MISSING : ERR_OK);
        model->values[at] = 0;
        break;
    case 2:
        rig_commit(&rig, ++*ticket);
        break;
    case 3:
        (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
        break;
    case 4:
        model_check(model);
        break;
    default:
        cr_assert_eq(store_put(rig.store, key, slice_of(&step, sizeof step)), ERR_OK);
        model->values[at] = step;
    }
}

Test(store, random_calls_do_what_a_model_does)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng rng;
        rng_stream(&rng, seed, "store model", 0, 0);
        struct model model = {.values = {0}};
        uint64_t ticket = 0;
        open_in(seed % 4 == 0);
        for (int step = 1; step <= 400; step++) {
            model_step(&model, &rng, step, &ticket);
        }
        rig_commit(&rig, ++ticket);
        rig_settle(&rig, ticket);
        model_check(&model);
        if (seed % 4 != 0) {
            rig_close(&rig);
            rig_open(&rig);
            model_check(&model);
            for (unsigned at = 0; at < MODEL_KEYS; at++) { /* The next seed begins with nothing. */
                uint8_t bytes[3];
                (void)store_del(rig.store, model_key(at, bytes));
            }
            rig_commit(&rig, 1);
        }
        rig_close(&rig);
    }
}
