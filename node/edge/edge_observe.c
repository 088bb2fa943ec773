/* edge_observe.c - from what the service tells its observers to events of the stream. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/daemon/id_text.h"
#include "node/edge/edge_parts.h"

static void on_event(void *arg, const struct port_event *event);
static void on_traced(void *arg, const struct port_trace *event);
static void on_noted(void *arg, enum host_note how, const char *text);
static void publish(struct edge *edge, enum event_topic topic, cJSON *data);
static cJSON *new_data(const char *schema);
static void add_payload(cJSON *data, struct slice bytes);
static void add_hex(cJSON *data, const char *name, struct slice bytes);
static void add_contact(struct edge *edge, cJSON *data, uint32_t handle);

void edge_observe(struct edge *edge)
{
    edge->observer = (struct service_observer){
        .arg = edge, .event = on_event, .traced = on_traced, .noted = on_noted};
    service_observe(edge->face.verbs.service, &edge->observer);
}

void edge_publish_numbers(struct edge *edge)
{
    struct service *service = edge->face.verbs.service;
    const struct node *node = service_node(service);
    struct node_view view = {0};
    struct host_view host;
    struct service_health health;
    if (node != NULL) {
        node_observe(node, &view);
    }
    host_observe(service_host(service), &host);
    service_health(service, &health);
    cJSON *data = new_data("meshtwin.metric.v1");
    cJSON_AddStringToObject(data, "state", service_state_text(health.state));
    cJSON_AddNumberToObject(data, "uptime_s", (double)health.uptime_s);
    cJSON_AddNumberToObject(data, "contacts", view.contacts);
    cJSON_AddNumberToObject(data, "sessions", view.sessions);
    cJSON_AddNumberToObject(data, "records", view.records);
    cJSON_AddNumberToObject(data, "datagrams_in", (double)host.datagrams_in);
    cJSON_AddNumberToObject(data, "datagrams_out", (double)host.datagrams_out);
    cJSON_AddNumberToObject(data, "bytes_in", (double)host.bytes_in);
    cJSON_AddNumberToObject(data, "bytes_out", (double)host.bytes_out);
    publish(edge, EVENT_METRIC, data);
}

static void on_event(void *arg, const struct port_event *event)
{
    struct edge *edge = arg;
    if (event->kind == NODE_MESSAGE) {
        cJSON *data = new_data("meshtwin.message.v1");
        add_hex(data, "from", event->about);
        add_payload(data, event->bytes);
        publish(edge, EVENT_MESSAGE, data);
    } else if (event->kind == NODE_NEWS) {
        cJSON *data = new_data("meshtwin.news.v1");
        add_hex(data, "id", event->about);
        cJSON_AddNumberToObject(data, "hops", event->count[0]);
        add_payload(data, event->bytes);
        publish(edge, EVENT_NEWS, data);
    }
}

/* From inside an entry: reads the interned contacts, calls nothing of the node. */
static void on_traced(void *arg, const struct port_trace *event)
{
    static const char *const words[TRACE_KIND_COUNT] = {[TRACE_SESSION_UP] = "session up",
                                                        [TRACE_SESSION_GONE] = "session gone",
                                                        [TRACE_TABLE_ADD] = "contact added",
                                                        [TRACE_TABLE_DROP] = "contact dropped"};
    struct edge *edge = arg;
    if (event->kind >= TRACE_KIND_COUNT || words[event->kind] == NULL) {
        return;
    }
    cJSON *data = new_data("meshtwin.peer.v1");
    cJSON_AddStringToObject(data, "what", words[event->kind]);
    if (event->kind == TRACE_TABLE_ADD || event->kind == TRACE_TABLE_DROP) {
        add_contact(edge, data, (uint32_t)event->value[0]);
    } else {
        char prefix[17];
        snprintf(prefix, sizeof prefix, "%016" PRIx64, (uint64_t)event->value[0]);
        cJSON_AddStringToObject(data, "id_begins", prefix);
    }
    publish(edge, EVENT_PEER, data);
}

static void on_noted(void *arg, enum host_note how, const char *text)
{
    static const char *const levels[] = {
        [HOST_NOTE_INFO] = "info", [HOST_NOTE_WARNING] = "warning", [HOST_NOTE_ERROR] = "error"};
    cJSON *data = new_data("meshtwin.log.v1");
    cJSON_AddStringToObject(data, "level", levels[how]);
    /* Names of files may be anything. */
    bool is_text = text_is_printable((const uint8_t *)text, strlen(text));
    cJSON_AddStringToObject(data, "text", is_text ? text : "(not printable)");
    publish(arg, EVENT_LOG, data);
}

static void publish(struct edge *edge, enum event_topic topic, cJSON *data)
{
    events_add(&edge->face.events, topic, data);
    edge_streams_wake(edge, topic);
}

static cJSON *new_data(const char *schema)
{
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "schema", schema);
    return data;
}

/* As text where it is one; the bytes in any case. */
static void add_payload(cJSON *data, struct slice bytes)
{
    char text[MESSAGE_PAYLOAD_MAX + 1];
    if (bytes.len < sizeof text && text_is_printable(bytes.data, bytes.len)) {
        memcpy(text, bytes.data, bytes.len);
        text[bytes.len] = '\0';
        cJSON_AddStringToObject(data, "value", text);
    } else {
        cJSON_AddNullToObject(data, "value");
    }
    add_hex(data, "hex", bytes);
}

static void add_hex(cJSON *data, const char *name, struct slice bytes)
{
    char *hex = text_alloc(2 * bytes.len + 1, 1);
    hex_format(bytes.data, bytes.len, hex);
    cJSON_AddStringToObject(data, name, hex);
    free(hex);
}

static void add_contact(struct edge *edge, cJSON *data, uint32_t handle)
{
    const struct node *node = service_node(edge->face.verbs.service);
    if (node == NULL) {
        return;
    }
    const struct contact *contact = contact_at(node->core.port, handle);
    char id[ID_TEXT_SIZE];
    char addr[HOST_ADDR_TEXT_SIZE];
    id_format(&contact->id, id);
    host_addr_format(&contact->addr, addr);
    cJSON_AddStringToObject(data, "id", id);
    cJSON_AddStringToObject(data, "addr", addr);
}
