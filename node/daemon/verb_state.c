/* verb_state.c - the verbs about this node itself. */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/daemon/verb_rows.h"

static void add_health(cJSON *data, const struct service_health *health);
static void add_counters(cJSON *data, const struct node_view *view);
static void add_host(cJSON *data, const struct host_view *view);
static void print_pairs(const cJSON *object, struct text *out);

/* --- who ------------------------------------------------------------------------------------- */

void verb_id_start(struct verb_call *call)
{
    struct service *service = call->context.service;
    const struct node *node = service_node(service);
    if (node == NULL) {
        verb_fail(call, VERB_FAILED, "id: the node has stopped");
        return;
    }
    struct port_addr addr = host_addr(service_host(service));
    const char *key_path = service_options_of(service)->key_path;
    cJSON *data = verb_data(call);
    verb_add_id(data, "id", &node->identity.id);
    verb_add_hex(data, "public_key", node->identity.public_key, CRYPTO_PUBLIC_LEN);
    verb_add_addr(data, "addr", &addr);
    verb_add_text(data, "kept_in", key_path != NULL ? key_path : "the database");
    verb_end(call, data);
}

void verb_id_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "id          ", "id", VERB_AS_TEXT, "\n");
    verb_say(data, out, "public key  ", "public_key", VERB_AS_TEXT, "\n");
    verb_say(data, out, "bound to    ", "addr", VERB_AS_TEXT, "\n");
    verb_say(data, out, "kept in     ", "kept_in", VERB_AS_TEXT, "");
}

/* --- how ------------------------------------------------------------------------------------- */

void verb_status_start(struct verb_call *call)
{
    struct service *service = call->context.service;
    const struct node *node = service_node(service);
    struct service_health health;
    struct node_view view = {0};
    service_health(service, &health);
    if (node != NULL) {
        node_observe(node, &view);
    }
    struct port_addr addr = host_addr(service_host(service));
    cJSON *data = verb_data(call);
    add_health(data, &health);
    verb_add_id(data, "id", &view.id);
    verb_add_addr(data, "addr", &addr);
    verb_add_count(data, "contacts", view.contacts);
    verb_add_count(data, "sessions", view.sessions);
    verb_add_count(data, "records", view.records);
    if (node != NULL) {
        verb_add_nat(data, node);
    }
    verb_end(call, data);
}

static void print_reasons(const cJSON *data, struct text *out, const char *before)
{
    const cJSON *components = cJSON_GetObjectItemCaseSensitive(data, "components");
    for (const cJSON *row = components->child; row != NULL; row = row->next) {
        if (verb_text_of(row, "reason")[0] != '\0') {
            text_add(out, "%s%s: %s", before, row->string, verb_text_of(row, "reason"));
        }
    }
}

void verb_status_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "", "status", VERB_AS_TEXT, ", up ");
    verb_say(data, out, "", "uptime_s", VERB_AS_S, ", ");
    verb_say(data, out, "", "contacts", VERB_AS_COUNT, " peers, ");
    verb_say(data, out, "", "records", VERB_AS_COUNT, " records held");
    print_reasons(data, out, "; ");
    verb_print_nat(data, out);
}

/* The exit code answers a supervisor's question: may requests be sent here? */
void verb_health_start(struct verb_call *call)
{
    struct service_health health;
    service_health(call->context.service, &health);
    cJSON *data = verb_data(call);
    add_health(data, &health);
    if (health.is_ready) {
        verb_end(call, data);
        return;
    }
    struct text why = {0};
    verb_health_print(data, &why);
    verb_end_with(call, VERB_FAILED, why.data, data);
    free(why.data);
}

void verb_health_print(const cJSON *data, struct text *out)
{
    const cJSON *components = cJSON_GetObjectItemCaseSensitive(data, "components");
    bool is_ready = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(data, "is_ready"));
    text_add(out, "%s, %s", verb_text_of(data, "status"), is_ready ? "ready" : "not ready");
    for (const cJSON *row = components->child; row != NULL; row = row->next) {
        const char *reason = verb_text_of(row, "reason");
        text_add(out, "\n  %-9s %s%s%s", row->string, verb_text_of(row, "status"),
                 reason[0] != '\0' ? ": " : "", reason);
    }
}

static void add_health(cJSON *data, const struct service_health *health)
{
    verb_add_text(data, "status", service_state_text(health->state));
    verb_add_bool(data, "is_ready", health->is_ready);
    verb_add_count(data, "uptime_s", health->uptime_s);
    cJSON *components = verb_add_object(data, "components");
    for (size_t i = 0; i < health->component_count; i++) {
        const struct service_component *component = &health->components[i];
        cJSON *row = verb_add_object(components, component->name);
        verb_add_text(row, "status", service_state_text(component->state));
        verb_add_text(row, "reason", component->reason);
    }
}

/* --- how much -------------------------------------------------------------------------------- */

void verb_stats_start(struct verb_call *call)
{
    struct service *service = call->context.service;
    const struct node *node = service_node(service);
    if (node == NULL) {
        verb_fail(call, VERB_FAILED, "stats: the node has stopped");
        return;
    }
    struct node_view view;
    struct host_view host;
    struct service_health health;
    node_observe(node, &view);
    host_observe(service_host(service), &host);
    service_health(service, &health);
    cJSON *data = verb_data(call);
    verb_add_count(data, "uptime_s", health.uptime_s);
    add_counters(data, &view);
    add_host(data, &host);
    verb_end(call, data);
}

static void add_counters(cJSON *data, const struct node_view *view)
{
    static const char *const counter_names[] = {
#define COUNTER_NAME(name, text) text,
        COUNTERS(COUNTER_NAME)
#undef COUNTER_NAME
    };
    static const char *const user_names[] = {
#define USER_NAME(name, text) text,
        ARENA_USERS(USER_NAME)
#undef USER_NAME
    };
    cJSON *tables = verb_add_object(data, "tables");
    verb_add_count(tables, "contacts", view->contacts);
    verb_add_count(tables, "sessions", view->sessions);
    verb_add_count(tables, "records", view->records);
    verb_add_count(tables, "lookups", view->lookups);
    cJSON *counters = verb_add_object(data, "counters");
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        verb_add_count(counters, counter_names[i], view->counters.value[i]);
    }
    cJSON *traffic = verb_add_object(data, "traffic");
    for (size_t i = 0; i < TRAFFIC_ROWS; i++) {
        cJSON *row = verb_add_object(traffic, traffic_text((enum traffic_row)i));
        verb_add_count(row, "sent", view->traffic.sent[i]);
        verb_add_count(row, "received", view->traffic.received[i]);
    }
    cJSON *memory = verb_add_object(data, "memory");
    verb_add_count(memory, "arena_bytes", view->arena_bytes);
    for (size_t i = 0; i < ARENA_USER_COUNT; i++) {
        verb_add_count(memory, user_names[i], view->used_bytes[i]);
    }
}

static void add_host(cJSON *data, const struct host_view *view)
{
    cJSON *host = verb_add_object(data, "host");
    verb_add_count(host, "datagrams_in", view->datagrams_in);
    verb_add_count(host, "datagrams_out", view->datagrams_out);
    verb_add_count(host, "bytes_in", view->bytes_in);
    verb_add_count(host, "bytes_out", view->bytes_out);
    verb_add_count(host, "datagrams_dropped", view->datagrams_dropped);
    verb_add_count(host, "streams", view->streams);
    verb_add_count(host, "streams_refused", view->streams_refused);
    verb_add_count(host, "commits", view->commits);
    verb_add_count(host, "commits_failed", view->commits_failed);
    verb_add_count(host, "database_bytes", view->database_bytes);
    verb_add_bool(host, "is_read_only", view->disk == HOST_DISK_READ_ONLY);
}

void verb_stats_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "up ", "uptime_s", VERB_AS_S, "");
    for (const cJSON *section = data->child; section != NULL; section = section->next) {
        if (cJSON_IsObject(section)) {
            text_add(out, "\n%s", section->string);
            print_pairs(section, out);
        }
    }
}

/* What is zero says nothing. */
static void print_pairs(const cJSON *object, struct text *out)
{
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        double sent = verb_number_of(item, "sent");
        double received = verb_number_of(item, "received");
        if (cJSON_IsObject(item) && sent + received > 0) {
            text_add(out, "\n  %-22s %12.0f sent %12.0f received", item->string, sent, received);
        } else if (cJSON_IsString(item) || (cJSON_IsNumber(item) && item->valuedouble != 0)) {
            text_add(out, "\n  %-22s ", item->string);
            verb_print_value(out, item, VERB_AS_COUNT);
        }
    }
}

/* --- what it should do ----------------------------------------------------------------------- */

void verb_log_start(struct verb_call *call)
{
    const struct verb_context *context = &call->context;
    if (context->set_log_level == NULL) {
        verb_fail(call, VERB_USAGE, "log: nothing is logged here");
        return;
    }
    if (!context->set_log_level(context->arg, call->words[0])) {
        verb_fail(call, VERB_USAGE, "\"%.20s\" is no level: error, warn, info, debug",
                  call->words[0]);
        return;
    }
    cJSON *data = verb_data(call);
    verb_add_text(data, "level", call->words[0]);
    verb_end(call, data);
}

void verb_log_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "logging from level ", "level", VERB_AS_TEXT, " on");
}

/* Its lines come from whoever keeps the connection: here is only the answer that begins them. */
void verb_watch_start(struct verb_call *call)
{
    verb_end(call, verb_data(call));
}

void verb_watch_print(const cJSON *data, struct text *out)
{
    (void)data;
    text_add(out, "messages and news follow");
}

void verb_quit_start(struct verb_call *call)
{
    struct verb_context context = call->context;
    if (context.quit == NULL) {
        verb_fail(call, VERB_USAGE, "quit: this node is not ours to end");
        return;
    }
    verb_end(call, verb_data(call));
    context.quit(context.arg);
}

void verb_quit_print(const cJSON *data, struct text *out)
{
    (void)data;
    text_add(out, "leaving the mesh");
}
