/* service_bootstrap.c - calls bootstrap nodes until somebody answers, and again when everybody is
 * gone: names are looked up anew each round, addresses of one name are called one after another. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/text.h"
#include "node/daemon/service_parts.h"

#define PAUSE_FIRST_US UINT64_C(1000000)
#define PAUSE_MAX_US   UINT64_C(60000000)

static bool is_router_asked(const struct service *service);
static void begin_round(struct service *service);
static void on_resolved(void *arg, int status, const struct port_addr *addrs, size_t count);
static void take_addrs(struct service *service, struct bootstrap_entry *entry,
                       const struct port_addr *addrs, size_t count);
static void call_next(struct bootstrap_attempt *attempt);
static void on_called(void *arg, const struct port_event *event);
static void call_failed(struct service *service, struct bootstrap_entry *entry, int status);
static struct bootstrap_entry *entry_of(const struct bootstrap_attempt *attempt);
static void end_attempt(struct bootstrap_attempt *attempt);
static bool is_ourselves(const struct service *service, const struct port_addr *addr);

bool bootstrap_set(struct service *service, const char *const *texts, size_t count,
                   char reason[HOST_REASON_SIZE])
{
    struct bootstrap *bootstrap = &service->bootstrap;
    if (count > SERVICE_BOOTSTRAP_MAX) {
        snprintf(reason, HOST_REASON_SIZE, "%zu bootstrap nodes are more than %d", count,
                 SERVICE_BOOTSTRAP_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct bootstrap_entry *entry = &bootstrap->entries[i];
        *entry = (struct bootstrap_entry){0};
        if (!endpoint_parse(texts[i], &entry->endpoint, reason)) {
            return false;
        }
        entry->text = text_copy(texts[i], strlen(texts[i]));
        bootstrap->count = i + 1;
    }
    bootstrap->pause_us = PAUSE_FIRST_US;
    return true;
}

void bootstrap_clear(struct service *service)
{
    struct bootstrap *bootstrap = &service->bootstrap;
    for (size_t i = 0; i < bootstrap->count; i++) {
        if (bootstrap->entries[i].attempt != NULL) {
            bootstrap->entries[i].attempt->service = NULL;
        }
        free(bootstrap->entries[i].text);
    }
    *bootstrap = (struct bootstrap){0};
}

void bootstrap_tick(struct service *service)
{
    struct bootstrap *bootstrap = &service->bootstrap;
    uint64_t now_us = service_now_us(service);
    bool is_first_round = bootstrap->next_us == 0;
    if (is_first_round && is_router_asked(service)) {
        return; /* A tick later will do. */
    }
    if (now_us < bootstrap->next_us || (!is_first_round && service_contacts(service) > 0)) {
        return;
    }
    for (size_t i = 0; i < bootstrap->count; i++) {
        if (bootstrap->entries[i].attempt != NULL) {
            return;
        }
    }
    begin_round(service);
}

/* And for no longer than it is worth while: see nat_start. */
static bool is_router_asked(const struct service *service)
{
    struct nat_map_view map = {0};
    const struct node *node = service_node(service);
    if (node != NULL) {
        nat_map_of(&node->nat, &map);
    }
    return map.state == NAT_MAP_ASKING &&
           service_now_us(service) - service->started_us < NAT_ROUTER_WAIT_US;
}

bool bootstrap_has_others(const struct service *service)
{
    for (size_t i = 0; i < service->bootstrap.count; i++) {
        if (!service->bootstrap.entries[i].is_self) {
            return true;
        }
    }
    return false;
}

/* Pauses double from a second to a minute, give or take a quarter: a mesh that lost its bootstrap
 * node does not call it in one voice. */
static void begin_round(struct service *service)
{
    struct bootstrap *bootstrap = &service->bootstrap;
    uint64_t pause_us = bootstrap->pause_us;
    pause_us += randombytes_uniform((uint32_t)pause_us / 2);
    bootstrap->next_us = service_now_us(service) + pause_us - bootstrap->pause_us / 4;
    bootstrap->pause_us *= bootstrap->pause_us < PAUSE_MAX_US ? 2 : 1;
    for (size_t i = 0; i < bootstrap->count; i++) {
        struct bootstrap_entry *entry = &bootstrap->entries[i];
        entry->attempt = text_alloc(1, sizeof *entry->attempt);
        *entry->attempt = (struct bootstrap_attempt){service, i};
        host_resolve_name(service->loop, entry->endpoint.name, entry->endpoint.port, on_resolved,
                          entry->attempt);
    }
}

static void on_resolved(void *arg, int status, const struct port_addr *addrs, size_t count)
{
    struct bootstrap_attempt *attempt = arg;
    struct bootstrap_entry *entry = entry_of(attempt);
    if (entry == NULL) {
        end_attempt(attempt);
        return;
    }
    if (status != ERR_OK) {
        struct service *service = attempt->service;
        snprintf(service->bootstrap.failure, HOST_REASON_SIZE, "%.100s cannot be looked up",
                 entry->text);
        service_note(service, HOST_NOTE_WARNING, "bootstrap: the name in %s cannot be looked up",
                     entry->text);
        end_attempt(attempt);
        return;
    }
    take_addrs(attempt->service, entry, addrs, count);
    call_next(attempt);
}

static void take_addrs(struct service *service, struct bootstrap_entry *entry,
                       const struct port_addr *addrs, size_t count)
{
    entry->addr_count = 0;
    entry->addr_next = 0;
    entry->is_self = false;
    for (size_t i = 0; i < count && entry->addr_count < SERVICE_ADDRS_MAX; i++) {
        if (is_ourselves(service, &addrs[i])) {
            entry->is_self = true;
        } else {
            entry->addrs[entry->addr_count++] = addrs[i];
        }
    }
    entry->is_self = entry->is_self && entry->addr_count == 0;
}

/* Until one takes the call, or none is left. */
static void call_next(struct bootstrap_attempt *attempt)
{
    struct service *service = attempt->service;
    struct bootstrap_entry *entry = entry_of(attempt);
    while (entry->addr_next < entry->addr_count) {
        struct node_command command = {.kind = NODE_CONNECT,
                                       .addr = entry->addrs[entry->addr_next]};
        int status = service_submit(service, &command, on_called, attempt);
        if (status == ERR_OK) {
            return;
        }
        call_failed(service, entry, status);
    }
    end_attempt(attempt);
}

static void on_called(void *arg, const struct port_event *event)
{
    struct bootstrap_attempt *attempt = arg;
    struct bootstrap_entry *entry = entry_of(attempt);
    if (entry == NULL || event->status == ERR_STOPPED) {
        end_attempt(attempt);
    } else if (event->status == ERR_OK) {
        attempt->service->bootstrap.pause_us = PAUSE_FIRST_US;
        service_note(attempt->service, HOST_NOTE_INFO, "bootstrap: joined through %s", entry->text);
        end_attempt(attempt);
    } else {
        call_failed(attempt->service, entry, event->status);
        call_next(attempt);
    }
}

static void call_failed(struct service *service, struct bootstrap_entry *entry, int status)
{
    char addr[HOST_ADDR_TEXT_SIZE];
    host_addr_format(&entry->addrs[entry->addr_next], addr);
    entry->addr_next++;
    snprintf(service->bootstrap.failure, HOST_REASON_SIZE, "%.100s (%s): %s", entry->text, addr,
             err_text(status));
    bool is_alone = service_contacts(service) == 0;
    service_note(service, is_alone ? HOST_NOTE_WARNING : HOST_NOTE_INFO, "bootstrap: %s (%s): %s%s",
                 entry->text, addr, err_text(status), is_alone ? "; it will be called again" : "");
}

/* NULL when the entry is not wanted any more. */
static struct bootstrap_entry *entry_of(const struct bootstrap_attempt *attempt)
{
    struct service *service = attempt->service;
    return service != NULL && !service->is_stopping ? &service->bootstrap.entries[attempt->index]
                                                    : NULL;
}

static void end_attempt(struct bootstrap_attempt *attempt)
{
    if (attempt->service != NULL) {
        attempt->service->bootstrap.entries[attempt->index].attempt = NULL;
    }
    free(attempt);
}

/* A node bound to every address answers on all of this machine's loopback addresses. */
static bool is_ourselves(const struct service *service, const struct port_addr *addr)
{
    static const uint8_t any_v6[16];
    static const uint8_t any_v4[16] = {[10] = 0xff, 0xff};
    static const uint8_t loopback_v4[13] = {[10] = 0xff, 0xff, 127};
    static const uint8_t loopback_v6[16] = {[15] = 1};
    struct port_addr own = host_addr(service->host);
    if (port_addr_equal(&own, addr)) {
        return true;
    }
    bool is_any =
        memcmp(own.ip, any_v6, sizeof any_v6) == 0 || memcmp(own.ip, any_v4, sizeof any_v4) == 0;
    bool is_loopback = memcmp(addr->ip, loopback_v4, sizeof loopback_v4) == 0 ||
                       memcmp(addr->ip, loopback_v6, sizeof loopback_v6) == 0;
    return is_any && is_loopback && memcmp(own.port, addr->port, sizeof own.port) == 0;
}
