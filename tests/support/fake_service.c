/* fake_service.c - the service, verbs and host that fake_service.h describes. */
#include "tests/support/fake_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/sodium/sodium_suite.h"
#include "tests/support/toy_port.h"

static struct fake *the_fake; /* One at a time: hosts and services are opaque to the edge. */
static struct toy_world *world;
static struct node node;
static struct node_config config;

static const struct verb verbs[] = {
    {"status", "", "Says how it does.", "status", false},
    {"peers", "", "Lists peers.", "peers", false},
    {"routes", "", "Shows buckets.", "routes", false},
    {"health", "", "Judges.", "health", false},
    {"watch", "", "Prints what arrives.", "watch", false},
    {"ping", "<id>", "Asks the mesh.", "ping 3fa2", false},
    {"get", "[--hex] <key>", "Asks the mesh, too.", "get 3fa2", false},
    {"help", "[verb]", "Helps.", "help put", false},
    {"put", "[--hex] <value>", "Stores.", "put hello", true},
    {"publish", "[--salt N] [--hex] <value>", "Stores, too.", "publish hello", true},
    {"connect", "<address:port>", "Connects.", "connect 127.0.0.1:1", true},
    {"quit", "", "Ends.", "quit", true},
};

struct fake *fake_open(uv_loop_t *loop)
{
    must(the_fake == NULL);
    the_fake = calloc(1, sizeof *the_fake);
    must(the_fake != NULL);
    the_fake->state = SERVICE_HEALTHY;
    the_fake->is_ready = true;
    the_fake->mesh_reason = "";
    the_fake->loop = loop;
    world = toy_open(1, 7, &sodium_suite);
    node_config_default(&config);
    memset(&node, 0, sizeof node);
    toy_enter(toy_at(world, 0));
    must(node_init(&node, &toy_at(world, 0)->port, &config) == ERR_OK);
    toy_leave(toy_at(world, 0));
    return the_fake;
}

void fake_close(struct fake *fake)
{
    fake_end(fake, "stopped");
    must(fake->observers == NULL);
    toy_close(world);
    free(fake);
    the_fake = NULL;
}

struct service *fake_service(struct fake *fake)
{
    return (struct service *)(void *)fake;
}

void fake_end(struct fake *fake, const char *status)
{
    while (fake->pending_count > 0) {
        struct fake_pending pending = fake->pending[--fake->pending_count];
        bool ok = strcmp(status, "ok") == 0;
        char text[128];
        cJSON *data = cJSON_CreateObject();
        cJSON_AddStringToObject(data, "schema", "meshtwin.fake.v1");
        cJSON_AddStringToObject(data, "status", status);
        snprintf(text, sizeof text, "%s: %s; try again", pending.verb, status);
        struct verb_reply reply = {
            .ok = ok, .code = ok ? 0 : 1, .text = ok ? "done" : text, .data = data};
        pending.done(pending.arg, &reply);
        cJSON_Delete(data);
    }
}

void fake_tell(struct fake *fake, const char *text)
{
    struct port_event event = {.kind = NODE_MESSAGE,
                               .bytes = slice_of(text, strlen(text)),
                               .about = slice_of(&node.identity.id, NODE_ID_LEN)};
    for (struct service_observer *at = fake->observers; at != NULL; at = at->next) {
        at->event(at->arg, &event);
    }
}

void fake_note(struct fake *fake, const char *text)
{
    for (struct service_observer *at = fake->observers; at != NULL; at = at->next) {
        at->noted(at->arg, HOST_NOTE_INFO, text);
    }
}

/* --- service.h ------------------------------------------------------------------------------- */

const struct node *service_node(const struct service *service)
{
    (void)service;
    return the_fake->has_no_node ? NULL : &node;
}

struct host *service_host(struct service *service)
{
    return (struct host *)service;
}

void service_health(const struct service *service, struct service_health *health)
{
    (void)service;
    *health = (struct service_health){
        .state = the_fake->state,
        .is_ready = the_fake->is_ready,
        .uptime_s = 12,
        .component_count = 2,
        .components = {{.name = "mesh", .state = the_fake->state},
                       {.name = "disk", .state = SERVICE_HEALTHY}},
    };
    snprintf(health->components[0].reason, HOST_REASON_SIZE, "%s", the_fake->mesh_reason);
}

const char *service_state_text(enum service_state state)
{
    static const char *const texts[] = {"starting", "healthy", "degraded", "unhealthy", "stopping"};
    return texts[state];
}

void service_observe(struct service *service, struct service_observer *observer)
{
    (void)service;
    observer->next = the_fake->observers;
    the_fake->observers = observer;
}

void service_unobserve(struct service *service, struct service_observer *observer)
{
    (void)service;
    must(the_fake->observers == observer);
    the_fake->observers = observer->next;
}

/* --- host.h ---------------------------------------------------------------------------------- */

struct host_loop *host_loop_of(const struct host *host)
{
    return (struct host_loop *)(uintptr_t)host;
}

uv_loop_t *host_loop_uv(struct host_loop *loop)
{
    (void)loop;
    return the_fake->loop;
}

void host_observe(const struct host *host, struct host_view *view)
{
    (void)host;
    *view = the_fake->host;
}

void host_addr_format(const struct port_addr *addr, char text[HOST_ADDR_TEXT_SIZE])
{
    snprintf(text, HOST_ADDR_TEXT_SIZE, "%u.%u.%u.%u:%u", addr->ip[12], addr->ip[13], addr->ip[14],
             addr->ip[15], (unsigned)addr->port[0] * 256 + addr->port[1]);
}

bool host_addr_parse(const char *text, struct port_addr *addr)
{
    unsigned part[5];
    char rest;
    *addr = (struct port_addr){.ip = {[10] = 0xff, [11] = 0xff}};
    if (sscanf(text, "%u.%u.%u.%u:%u%c", &part[0], &part[1], &part[2], &part[3], &part[4], &rest) !=
        5) {
        *addr = (struct port_addr){.ip = {[15] = 1}};
        return strcmp(text, "[::1]:0") == 0;
    }
    for (size_t i = 0; i < 4; i++) {
        addr->ip[12 + i] = (uint8_t)part[i];
    }
    addr->port[0] = (uint8_t)(part[4] / 256);
    addr->port[1] = (uint8_t)part[4];
    return true;
}

/* --- verb.h ---------------------------------------------------------------------------------- */

const struct verb *verb_table(size_t *count)
{
    *count = array_len(verbs);
    return verbs;
}

void verb_run(const struct verb_context *context, const char *verb, const char *const *words,
              size_t word_count, verb_done_fn done, void *arg)
{
    (void)context;
    size_t len = 0;
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "schema", "meshtwin.fake.v1");
    the_fake->words[0] = '\0';
    for (size_t i = 0; i < word_count && len + strlen(words[i]) + 3 < sizeof the_fake->words; i++) {
        len += (size_t)sprintf(the_fake->words + len, "[%s]", words[i]);
    }
    bool asks = strcmp(verb, "ping") == 0 || strcmp(verb, "get") == 0 || strcmp(verb, "put") == 0;
    if (asks && the_fake->pending_count < FAKE_PENDING_MAX) {
        struct fake_pending *pending = &the_fake->pending[the_fake->pending_count++];
        *pending = (struct fake_pending){.done = done, .arg = arg};
        snprintf(pending->verb, sizeof pending->verb, "%s", verb);
    } else if (strcmp(verb, "help") == 0 && word_count > 1) {
        done(arg, &(struct verb_reply){.code = 2, .text = "unknown verb; `help` lists them"});
    } else if (strcmp(verb, "connect") == 0) {
        done(arg, &(struct verb_reply){.code = 1, .text = "nobody there"});
    } else {
        done(arg, &(struct verb_reply){.ok = true, .text = "done", .data = data});
    }
    cJSON_Delete(data);
}
