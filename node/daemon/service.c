/* service.c - a live node's life: opening, commands and their outcomes, observers, closing. */
#include "node/daemon/service.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "node/daemon/service_parts.h"
#include "node/host/keyfile.h"

/* Of a command: every module ends its own work sooner; this one ends what a bug would leave. */
#define COMMAND_LIMIT_US UINT64_C(60000000)
/* For a bootstrap node to be called twice, names looked up and datagrams lost on the way. Whom
 * nobody has answered until then begins a network: nodes that share a list of each other have to
 * begin somewhere. */
#define JOIN_WAIT_US     UINT64_C(5000000)
#define OWN_ADDRS_US     UINT64_C(30000000) /* Between two looks at the machine's addresses. */

static void copy_options(struct service *service, const struct service_options *options);
static void free_all(struct service *service);
static bool load_key(struct service *service, char reason[HOST_REASON_SIZE]);
static bool open_host(struct service *service, char reason[HOST_REASON_SIZE]);
static void open_tick(struct service *service);
static void on_delivered(void *arg, const struct port_event *event);
static void on_traced(void *arg, const struct port_trace *event);
static void on_noted(void *arg, enum host_note how, const char *text);
static void on_tick(uv_timer_t *timer);
static void look_at_own_addrs(struct service *service);
static void on_tick_closed(uv_handle_t *handle);
static void end_command(struct service_slot *slot, const struct port_event *event);
static void end_commands(struct service *service, uint64_t begun_before_us, int status);

bool service_open(struct host_loop *loop, const struct service_options *options,
                  struct service **result, char reason[HOST_REASON_SIZE])
{
    struct service *service = text_alloc(1, sizeof *service);
    service->loop = loop;
    service->started_us = host_loop_now_us(loop);
    copy_options(service, options);
    look_at_own_addrs(service);
    if (!bootstrap_set(service, options->bootstrap, options->bootstrap_count, reason) ||
        !load_key(service, reason) || !open_host(service, reason)) {
        free_all(service);
        return false;
    }
    open_tick(service);
    stun_tick(service);
    bootstrap_tick(service);
    *result = service;
    return true;
}

void service_stop_begin(struct service *service)
{
    service->is_stopping = true;
}

void service_close(struct service *service)
{
    service_stop_begin(service);
    host_stop(service->host);
    end_commands(service, UINT64_MAX, ERR_STOPPED);
    bootstrap_clear(service);
    uv_close((uv_handle_t *)&service->tick, on_tick_closed);
    host_close(service->host);
    while (service->is_tick_open) {
        uv_run(host_loop_uv(service->loop), UV_RUN_ONCE);
    }
    free_all(service);
}

struct host *service_host(struct service *service)
{
    return service->host;
}

const struct node *service_node(const struct service *service)
{
    return host_node(service->host);
}

const struct service_options *service_options_of(const struct service *service)
{
    return &service->options;
}

bool service_set_bootstrap(struct service *service, const char *const *texts, size_t count,
                           char reason[HOST_REASON_SIZE])
{
    struct endpoint endpoint;
    for (size_t i = 0; i < count; i++) {
        if (!endpoint_parse(texts[i], &endpoint, reason)) {
            return false;
        }
    }
    bootstrap_clear(service);
    bool is_set = bootstrap_set(service, texts, count, reason);
    if (is_set) {
        bootstrap_tick(service);
    }
    return is_set;
}

bool service_set_guard(struct service *service, const struct guard_config *guard,
                       char reason[HOST_REASON_SIZE])
{
    struct guard_config *own = &service->config.guard;
    if (guard->peer_per_minute > GUARD_REQUESTS_MAX || guard->peer_per_hour > GUARD_REQUESTS_MAX ||
        guard->group_burst > GUARD_BURST_MAX || guard->threat_high > GUARD_THREAT_MAX ||
        guard->threat_medium > guard->threat_high) {
        snprintf(reason, HOST_REASON_SIZE, "a limit for peers is above what is counted");
        return false;
    }
    struct guard_config fresh = *guard;
    fresh.groups_max = own->groups_max;
    fresh.peers_max = own->peers_max;
    fresh.bans_max = own->bans_max;
    *own = fresh;
    return true;
}

int service_submit(struct service *service, struct node_command *command, service_done_fn done,
                   void *arg)
{
    if (service->is_stopping) {
        return ERR_STOPPED;
    }
    uint32_t index = 0;
    while (index < SERVICE_COMMANDS_MAX && service->slots[index].done != NULL) {
        index++;
    }
    if (index == SERVICE_COMMANDS_MAX) {
        return ERR_FULL;
    }
    struct service_slot *slot = &service->slots[index];
    service->uses++;
    command->number = service->uses * SERVICE_COMMANDS_MAX + index;
    if (command->number == 0) { /* Every sixteen million commands. */
        command->number = SERVICE_COMMANDS_MAX;
    }
    *slot = (struct service_slot){
        .done = done, .arg = arg, .number = command->number, .begun_us = service_now_us(service)};
    /* The outcome may be there before this returns: the slot is not ours any more then. */
    uint32_t number = command->number;
    int status = host_submit(service->host, command);
    if (status < 0 && slot->number == number) {
        *slot = (struct service_slot){0};
    }
    return status;
}

void service_observe(struct service *service, struct service_observer *observer)
{
    observer->next = service->observers;
    service->observers = observer;
}

void service_unobserve(struct service *service, struct service_observer *observer)
{
    struct service_observer **link = &service->observers;
    while (*link != observer) {
        must(*link != NULL);
        link = &(*link)->next;
    }
    *link = observer->next;
}

void service_note(struct service *service, enum host_note how, const char *format, ...)
{
    char text[HOST_REASON_SIZE + 128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    on_noted(service, how, text);
}

uint32_t service_contacts(const struct service *service)
{
    const struct node *node = service_node(service);
    struct node_view view = {0};
    if (node != NULL) {
        node_observe(node, &view);
    }
    return view.contacts;
}

static char *copy(const char *text)
{
    return text != NULL ? text_copy(text, strlen(text)) : NULL;
}

static void copy_options(struct service *service, const struct service_options *options)
{
    service->options = *options;
    struct service_options *own = &service->options;
    own->host.bind = copy(options->host.bind);
    own->host.database = copy(options->host.database);
    own->key_path = copy(options->key_path);
    own->bootstrap = NULL;
    own->bootstrap_count = 0;
    own->host.hooks = (struct host_hooks){
        .arg = service, .delivered = on_delivered, .traced = on_traced, .noted = on_noted};
    for (size_t i = 0; i < own->node.nat.stun_name_count; i++) {
        own->node.nat.stun_names[i] = copy(own->node.nat.stun_names[i]);
    }
    service->config = own->node;
    service->config.bootstrap = NULL;
    service->config.bootstrap_count = 0;
    service->config.dht.join_wait_us = options->bootstrap_count > 0 ? JOIN_WAIT_US : 0;
    service->observers = options->observer;
}

static void free_all(struct service *service)
{
    bootstrap_clear(service);
    sodium_memzero(service->seed, sizeof service->seed);
    free((char *)(uintptr_t)service->options.host.bind);
    free((char *)(uintptr_t)service->options.host.database);
    free((char *)(uintptr_t)service->options.key_path);
    for (size_t i = 0; i < service->options.node.nat.stun_name_count; i++) {
        free((char *)(uintptr_t)service->options.node.nat.stun_names[i]);
    }
    free(service);
}

/* A missing file is made; any other trouble with it is a reason not to start. */
static bool load_key(struct service *service, char reason[HOST_REASON_SIZE])
{
    const char *path = service->options.key_path;
    const char *passphrase = service->options.passphrase;
    service->options.passphrase = NULL; /* Used once, and kept by nobody. */
    if (path == NULL) {
        return true;
    }
    enum keyfile_verdict verdict = keyfile_load(path, passphrase, service->seed, reason);
    if (verdict == KEYFILE_MISSING) {
        randombytes_buf(service->seed, sizeof service->seed);
        verdict = keyfile_create(path, passphrase, service->seed, reason);
    }
    service->config.identity_seed = service->seed;
    return verdict == KEYFILE_OK;
}

static bool open_host(struct service *service, char reason[HOST_REASON_SIZE])
{
    if (host_open(service->loop, &service->options.host, &service->host, reason) != ERR_OK) {
        return false;
    }
    int status = host_start(service->host, &service->config);
    sodium_memzero(service->seed, sizeof service->seed);
    service->config.identity_seed = NULL;
    if (status == ERR_OK) {
        return true;
    }
    snprintf(reason, HOST_REASON_SIZE, "the node does not start: %s", err_text(status));
    host_close(service->host);
    return false;
}

static void open_tick(struct service *service)
{
    must(uv_timer_init(host_loop_uv(service->loop), &service->tick) == 0);
    service->tick.data = service;
    service->is_tick_open = true;
    must(uv_timer_start(&service->tick, on_tick, SERVICE_TICK_MS, SERVICE_TICK_MS) == 0);
}

/* Outcomes go to who asked, and to the observers before that: a log shows them in order. */
static void on_delivered(void *arg, const struct port_event *event)
{
    struct service *service = arg;
    for (struct service_observer *at = service->observers, *next; at != NULL; at = next) {
        next = at->next;
        if (at->event != NULL) {
            at->event(at->arg, event);
        }
    }
    if (event->command != 0) {
        struct service_slot *slot = &service->slots[event->command % SERVICE_COMMANDS_MAX];
        if (slot->done != NULL && slot->number == event->command) {
            end_command(slot, event);
        }
    }
}

static void on_traced(void *arg, const struct port_trace *event)
{
    struct service *service = arg;
    for (struct service_observer *at = service->observers; at != NULL; at = at->next) {
        if (at->traced != NULL) {
            at->traced(at->arg, event);
        }
    }
}

static void on_noted(void *arg, enum host_note how, const char *text)
{
    struct service *service = arg;
    for (struct service_observer *at = service->observers, *next; at != NULL; at = next) {
        next = at->next;
        if (at->noted != NULL) {
            at->noted(at->arg, how, text);
        }
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct service *service = timer->data;
    if (service->is_stopping) {
        return;
    }
    health_tick(service);
    stun_tick(service);
    bootstrap_tick(service);
    uint64_t now_us = service_now_us(service);
    if (now_us - service->own_addrs_us >= OWN_ADDRS_US) {
        look_at_own_addrs(service);
    }
    if (now_us > COMMAND_LIMIT_US) {
        end_commands(service, now_us - COMMAND_LIMIT_US, ERR_TIMEOUT);
    }
}

/* Machines move from network to network. */
static void look_at_own_addrs(struct service *service)
{
    struct nat_config *nat = &service->config.nat;
    nat->own_count = (uint8_t)host_own_addrs(nat->own, NAT_OWN_MAX);
    service->own_addrs_us = service_now_us(service);
}

static void on_tick_closed(uv_handle_t *handle)
{
    struct service *service = handle->data;
    service->is_tick_open = false;
}

static void end_command(struct service_slot *slot, const struct port_event *event)
{
    struct service_slot ended = *slot;
    *slot = (struct service_slot){0};
    ended.done(ended.arg, event);
}

static void end_commands(struct service *service, uint64_t begun_before_us, int status)
{
    for (size_t i = 0; i < SERVICE_COMMANDS_MAX; i++) {
        struct service_slot *slot = &service->slots[i];
        if (slot->done != NULL && slot->begun_us < begun_before_us) {
            end_command(slot,
                        &(struct port_event){.status = (int16_t)status,
                                             .command = slot->number,
                                             .took_us = service_now_us(service) - slot->begun_us});
        }
    }
}
