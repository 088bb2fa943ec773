/* test_store.c - the storage contract: order, staged reads, snapshots, durability across a crash.
 */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node/base/err.h"
#include "tests/port/port_host.h"

#define MS    UINT64_C(1000)
#define LIMIT (2000 * MS)

static struct port_host *hosts;

static void open_one(void)
{
    hosts = port_host_open(1);
}

static void close_all(void)
{
    port_host_close(hosts);
}

TestSuite(store, .init = open_one, .fini = close_all, .timeout = 60);

static struct slice text(const char *letters)
{
    return slice_of(letters, strlen(letters));
}

static void expect(struct probe *p, const char *key, const char *value)
{
    char buffer[64] = {0};
    size_t len = 0;
    int status = p->port->ops->store_get(p->port, text(key), buffer, sizeof buffer, &len);
    if (value == NULL) {
        cr_assert_eq(status, ERR_MISSING, "%s is there", key);
        return;
    }
    cr_assert_eq(status, ERR_OK, "%s is missing", key);
    cr_assert_eq(len, strlen(value));
    cr_assert_str_eq(buffer, value);
}

static void put(struct probe *p, const char *key, const char *value)
{
    cr_assert_eq(p->port->ops->store_put(p->port, text(key), text(value)), ERR_OK);
}

static void write_and_read(struct probe *p, void *arg)
{
    (void)arg;
    expect(p, "a", NULL);
    put(p, "a", "one");
    expect(p, "a", "one");
    put(p, "a", "two");
    expect(p, "a", "two");
    cr_assert_eq(p->port->ops->store_del(p->port, text("a")), ERR_OK);
    expect(p, "a", NULL);
    cr_assert_eq(p->port->ops->store_del(p->port, text("a")), ERR_MISSING);
}

Test(store, reads_see_staged_writes)
{
    port_host_enter(hosts, 0, write_and_read, NULL);
}

static void read_short(struct probe *p, void *arg)
{
    (void)arg;
    char buffer[2];
    size_t len = 0;
    put(p, "long", "value");
    cr_assert_eq(p->port->ops->store_get(p->port, text("long"), buffer, sizeof buffer, &len),
                 ERR_TOO_LARGE);
    cr_assert_eq(len, 5u);
    char key[PORT_KEY_MAX + 1] = {1};
    cr_assert_eq(p->port->ops->store_put(p->port, slice_of(key, sizeof key), text("x")),
                 ERR_TOO_LARGE);
}

Test(store, sizes_are_told_and_limits_kept)
{
    port_host_enter(hosts, 0, read_short, NULL);
}

static bool collect(void *arg, struct slice key, struct slice value)
{
    char *out = arg;
    strncat(out, (const char *)key.data, key.len);
    strcat(out, "=");
    strncat(out, (const char *)value.data, value.len);
    strcat(out, " ");
    return strlen(out) < 30;
}

static void scan(struct probe *p, void *arg)
{
    (void)arg;
    put(p, "b2", "2");
    put(p, "b", "0");
    put(p, "c", "9");
    put(p, "b10", "10");
    put(p, "a", "1");
    char out[64] = "";
    cr_assert_eq(p->port->ops->store_scan(p->port, text("b"), collect, out), ERR_OK);
    cr_assert_str_eq(out, "b=0 b10=10 b2=2 ");
    put(p, "b3", "a-rather-long-value");
    out[0] = '\0';
    p->port->ops->store_scan(p->port, text(""), collect, out);
    cr_assert_str_eq(out, "a=1 b=0 b10=10 b2=2 b3=a-rather-long-value ", "the visitor ends it");
}

Test(store, a_scan_visits_a_prefix_in_byte_order_until_told_to_stop)
{
    port_host_enter(hosts, 0, scan, NULL);
}

static void write_and_commit(struct probe *p, void *arg)
{
    put(p, "kept", "yes");
    cr_assert_eq(p->port->ops->store_commit(p->port, *(uint64_t *)arg), ERR_OK);
    cr_assert_eq(p->ticket_count, 0u);
}

static bool is_durable(void *arg)
{
    const struct probe *p = port_host_probe(hosts, 0);
    return p->ticket_count > 0 && p->tickets[p->ticket_count - 1] >= *(uint64_t *)arg;
}

static void write_more(struct probe *p, void *arg)
{
    (void)arg;
    put(p, "kept", "overwritten");
    put(p, "lost", "staged only");
}

static void expect_kept_only(struct probe *p, void *arg)
{
    (void)arg;
    expect(p, "kept", "yes");
    expect(p, "lost", NULL);
}

Test(store, durable_writes_survive_a_crash_and_staged_ones_do_not)
{
    port_host_enter(hosts, 0, write_and_commit, &(uint64_t){1});
    cr_assert(port_host_run(hosts, is_durable, &(uint64_t){1}, LIMIT));
    port_host_enter(hosts, 0, write_more, NULL);
    port_host_kill(hosts, 0);
    port_host_start(hosts, 0);
    port_host_enter(hosts, 0, expect_kept_only, NULL);
}

static void commit_numbered(struct probe *p, void *arg)
{
    uint64_t ticket = *(uint64_t *)arg;
    char key[16];
    snprintf(key, sizeof key, "n%llu", (unsigned long long)ticket);
    put(p, key, "x");
    cr_assert_eq(p->port->ops->store_commit(p->port, ticket), ERR_OK);
}

Test(store, tickets_are_reported_in_order)
{
    for (uint64_t ticket = 1; ticket <= 8; ticket++) {
        port_host_enter(hosts, 0, commit_numbered, &ticket);
    }
    cr_assert(port_host_run(hosts, is_durable, &(uint64_t){8}, LIMIT));
    const struct probe *p = port_host_probe(hosts, 0);
    for (unsigned i = 1; i < p->ticket_count; i++) {
        cr_assert_gt(p->tickets[i], p->tickets[i - 1]);
    }
}

static void expect_prefix(struct probe *p, void *arg)
{
    (void)arg;
    /* Committed, not yet durable: any number of them may be gone, but only from the end. */
    bool is_gone = false;
    for (int i = 1; i <= 6; i++) {
        char key[16];
        char buffer[8];
        size_t len;
        snprintf(key, sizeof key, "n%d", i);
        int status = p->port->ops->store_get(p->port, text(key), buffer, sizeof buffer, &len);
        cr_assert(status == ERR_OK || status == ERR_MISSING);
        cr_assert_not(is_gone && status == ERR_OK, "%s outlived an earlier write", key);
        is_gone |= status == ERR_MISSING;
    }
}

Test(store, a_crash_before_durability_loses_a_suffix)
{
    for (uint64_t ticket = 1; ticket <= 6; ticket++) {
        port_host_enter(hosts, 0, commit_numbered, &ticket);
    }
    port_host_kill(hosts, 0);
    port_host_start(hosts, 0);
    port_host_enter(hosts, 0, expect_prefix, NULL);
}
