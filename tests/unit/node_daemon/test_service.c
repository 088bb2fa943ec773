/* test_service.c - a service's life: bootstrap, health, commands, and starts that must fail. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "node/cli/text.h"
#include "node/daemon/service.h"

enum { TURNS_MAX = 200000 };

static struct host_loop *loop;

struct notes {
    struct service_observer observer;
    char last_warning[512];
    int warnings;
};

static void on_noted(void *arg, enum host_note how, const char *text)
{
    struct notes *notes = arg;
    if (how == HOST_NOTE_WARNING) {
        notes->warnings++;
        snprintf(notes->last_warning, sizeof notes->last_warning, "%s", text);
    }
}

static struct service_options options_of(const char *bind, struct notes *notes)
{
    struct service_options options = {.host = {.bind = bind}};
    node_config_default(&options.node);
    if (notes != NULL) {
        *notes = (struct notes){.observer = {.arg = notes, .noted = on_noted}};
        options.observer = &notes->observer;
    }
    return options;
}

static void setup(void)
{
    char reason[HOST_REASON_SIZE];
    cr_assert_eq(host_loop_open(&loop, reason), ERR_OK, "%s", reason);
}

static void teardown(void)
{
    host_loop_close(loop);
}

/* Until the state is that, or the deadline passes. */
static struct service_health wait_for(struct service *service, enum service_state state)
{
    struct service_health health;
    service_health(service, &health);
    for (int turn = 0; health.state != state && turn < TURNS_MAX; turn++) {
        uv_run(host_loop_uv(loop), UV_RUN_ONCE);
        service_health(service, &health);
    }
    cr_expect_eq(health.state, state, "%s", service_state_text(health.state));
    return health;
}

TestSuite(service, .init = setup, .fini = teardown);

Test(service, first_node_of_a_mesh_is_ready)
{
    char reason[HOST_REASON_SIZE];
    struct service *service;
    struct service_health health;
    struct service_options options = options_of("127.26.75.1", NULL);
    cr_assert(service_open(loop, &options, &service, reason), "%s", reason);
    health = wait_for(service, SERVICE_HEALTHY);
    cr_expect(health.is_ready);
    service_stop_begin(service);
    service_health(service, &health);
    cr_expect_eq(health.state, SERVICE_STOPPING);
    cr_expect_not(health.is_ready);
    struct node_command command = {.kind = NODE_LOOKUP};
    cr_expect_eq(service_submit(service, &command, NULL, NULL), ERR_STOPPED);
    service_close(service);
}

Test(service, only_itself_to_bootstrap_from_is_the_first_too)
{
    char reason[HOST_REASON_SIZE];
    struct service *service;
    struct service_options options = options_of("127.26.75.1", NULL);
    options.host.port = 8475;
    const char *own[] = {"127.26.75.1:8475"};
    options.bootstrap = own;
    options.bootstrap_count = 1;
    cr_assert(service_open(loop, &options, &service, reason), "%s", reason);
    cr_expect(wait_for(service, SERVICE_HEALTHY).is_ready);
    service_close(service);
}

Test(service, silent_bootstrap_node_is_noted_and_not_fatal)
{
    char reason[HOST_REASON_SIZE];
    struct service *service;
    struct service_health health;
    struct notes notes;
    struct service_options options = options_of("127.26.75.1", &notes);
    const char *nobody[] = {"127.26.79.1:9"};
    options.bootstrap = nobody;
    options.bootstrap_count = 1;
    cr_assert(service_open(loop, &options, &service, reason), "%s", reason);
    service_health(service, &health);
    cr_expect_eq(health.state, SERVICE_STARTING);
    cr_expect_not(health.is_ready);
    for (int turn = 0; notes.warnings == 0 && turn < TURNS_MAX; turn++) {
        uv_run(host_loop_uv(loop), UV_RUN_ONCE);
    }
    cr_expect_not_null(strstr(notes.last_warning, "127.26.79.1:9"), "%s", notes.last_warning);
    cr_expect_not_null(strstr(notes.last_warning, "called again"), "%s", notes.last_warning);
    service_close(service);
}

Test(service, bootstrap_nodes_can_be_changed_all_or_nothing)
{
    char reason[HOST_REASON_SIZE];
    struct service *service;
    struct service_options options = options_of("127.26.75.1", NULL);
    cr_assert(service_open(loop, &options, &service, reason), "%s", reason);
    wait_for(service, SERVICE_HEALTHY);
    const char *wrong[] = {"127.26.79.1:9", "a b"};
    cr_expect_not(service_set_bootstrap(service, wrong, 2, reason));
    struct service_health health;
    service_health(service, &health);
    cr_expect_eq(health.state, SERVICE_HEALTHY, "nothing has changed");
    cr_expect(service_set_bootstrap(service, wrong, 1, reason), "%s", reason);
    service_health(service, &health);
    cr_expect_eq(health.state, SERVICE_STARTING, "there is somebody to join now");
    /* While the call is under way. */
    cr_expect(service_set_bootstrap(service, NULL, 0, reason), "%s", reason);
    service_close(service);
}

Test(service, limits_above_what_is_counted_are_refused)
{
    char reason[HOST_REASON_SIZE];
    struct service *service;
    struct service_options options = options_of("127.26.75.1", NULL);
    cr_assert(service_open(loop, &options, &service, reason), "%s", reason);
    struct guard_config guard = options.node.guard;
    guard.peer_per_minute = GUARD_REQUESTS_MAX + 1;
    cr_expect_not(service_set_guard(service, &guard, reason));
    guard.peer_per_minute = 7;
    cr_expect(service_set_guard(service, &guard, reason));
    service_close(service);
}

Test(service, taken_port_and_foreign_address_are_reasons_not_to_start)
{
    char reason[HOST_REASON_SIZE] = "";
    struct service *service;
    struct service *second;
    struct service_options options = options_of("127.26.75.1", NULL);
    cr_assert(service_open(loop, &options, &service, reason), "%s", reason);
    struct port_addr addr = host_addr(service_host(service));
    options.host.port = (uint16_t)(addr.port[0] * 256 + addr.port[1]);
    cr_expect_not(service_open(loop, &options, &second, reason));
    cr_expect_neq(reason[0], '\0');
    options = options_of("192.0.2.1", NULL);
    reason[0] = '\0';
    cr_expect_not(service_open(loop, &options, &second, reason));
    cr_expect_neq(reason[0], '\0');
    const char *wrong[] = {"host:0"};
    options = options_of("127.26.75.1", NULL);
    options.bootstrap = wrong;
    options.bootstrap_count = 1;
    cr_expect_not(service_open(loop, &options, &second, reason));
    cr_expect_not_null(strstr(reason, "host:0"), "%s", reason);
    service_close(service);
}
