/* port_host_real.c - the real host under the contract suite: loopback, and databases in a folder.
 */
#define _XOPEN_SOURCE 700 /* nftw */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/host/host.h"
#include "tests/port/port_host.h"

enum {
    HOSTS_MAX = 8,
    TICK_MS = 1, /* How often a condition is looked at while nothing happens. */
    FOLDER_SIZE = 256,
    PATH_SIZE = FOLDER_SIZE + 32,
    DESCRIPTORS_MAX = 8, /* For walking a folder. */
};

struct driver {
    unsigned delivered;
    uint16_t kind;
};

struct port_host {
    struct host_loop *loop;
    uv_timer_t tick;
    struct node_config config;
    unsigned count;
    struct host *hosts[HOSTS_MAX];
    struct driver drivers[HOSTS_MAX];
    char folder[FOLDER_SIZE];
};

static void on_delivered(void *arg, const struct port_event *event)
{
    struct driver *driver = arg;
    driver->delivered++;
    driver->kind = event->kind;
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer; /* That the loop has turned is all. */
}

static void open_one(struct port_host *hosts, unsigned index)
{
    char path[PATH_SIZE];
    char reason[HOST_REASON_SIZE];
    snprintf(path, sizeof path, "%s/%u.db", hosts->folder, index);
    const struct host_options options = {
        .bind = "127.21.0.1",
        .database = path,
        .accepts_streams = true,
        .node_bytes_max = PORT_HOST_NODE_BYTES,
        .hooks = {.arg = &hosts->drivers[index], .delivered = on_delivered}};
    must(host_open(hosts->loop, &options, &hosts->hosts[index], reason) == ERR_OK);
}

struct port_host *port_host_open(unsigned count)
{
    must(count <= HOSTS_MAX);
    struct port_host *hosts = calloc(1, sizeof *hosts);
    must(hosts != NULL);
    const char *place = getenv("TMPDIR");
    snprintf(hosts->folder, sizeof hosts->folder, "%s/port_real.XXXXXX",
             place != NULL ? place : "/tmp");
    must(mkdtemp(hosts->folder) != NULL);
    char reason[HOST_REASON_SIZE];
    must(host_loop_open(&hosts->loop, reason) == ERR_OK);
    must(uv_timer_init(host_loop_uv(hosts->loop), &hosts->tick) == 0);
    must(uv_timer_start(&hosts->tick, on_tick, TICK_MS, TICK_MS) == 0);
    hosts->count = count;
    for (unsigned i = 0; i < count; i++) {
        open_one(hosts, i);
        port_host_start(hosts, i);
    }
    return hosts;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

void port_host_close(struct port_host *hosts)
{
    for (unsigned i = 0; i < hosts->count; i++) {
        host_close(hosts->hosts[i]);
    }
    uv_close((uv_handle_t *)&hosts->tick, NULL);
    host_loop_close(hosts->loop);
    must(nftw(hosts->folder, remove_one, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS) == 0);
    free(hosts);
}

static void find_probe(struct node *node, void *arg)
{
    *(struct probe **)arg = probe_of(node);
}

struct probe *port_host_probe(struct port_host *hosts, unsigned index)
{
    struct probe *probe = NULL;
    host_enter(hosts->hosts[index], find_probe, &probe);
    return probe;
}

struct step {
    port_host_step_fn step;
    void *arg;
};

static void run_step(struct node *node, void *arg)
{
    struct step *step = arg;
    step->step(probe_of(node), step->arg);
}

void port_host_enter(struct port_host *hosts, unsigned index, port_host_step_fn step, void *arg)
{
    host_enter(hosts->hosts[index], run_step, &(struct step){step, arg});
}

bool port_host_run(struct port_host *hosts, port_host_until_fn until, void *arg, uint64_t limit_us)
{
    uint64_t end_us = host_loop_now_us(hosts->loop) + limit_us;
    while (!until(arg)) {
        if (host_loop_now_us(hosts->loop) >= end_us) {
            return false;
        }
        uv_run(host_loop_uv(hosts->loop), UV_RUN_ONCE);
    }
    return true;
}

static bool is_never(void *arg)
{
    (void)arg;
    return false;
}

void port_host_pass(struct port_host *hosts, uint64_t span_us)
{
    (void)port_host_run(hosts, is_never, NULL, span_us);
}

void port_host_kill(struct port_host *hosts, unsigned index)
{
    host_kill(hosts->hosts[index]);
}

void port_host_start(struct port_host *hosts, unsigned index)
{
    must(host_start(hosts->hosts[index], &hosts->config) == ERR_OK);
}

unsigned port_host_delivered(struct port_host *hosts, unsigned index, uint16_t *kind)
{
    *kind = hosts->drivers[index].kind;
    return hosts->drivers[index].delivered;
}

void port_host_name(struct port_host *hosts, unsigned index, char *name, size_t size)
{
    char text[HOST_ADDR_TEXT_SIZE];
    const struct port_addr addr = host_addr(hosts->hosts[index]);
    host_addr_format(&addr, text);
    snprintf(name, size, "%s", text);
}
