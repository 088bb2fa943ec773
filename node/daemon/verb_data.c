/* verb_data.c - the verbs that carry something: values into the mesh and out, messages. */
#include <stdlib.h>
#include <string.h>

#include "node/daemon/verb_rows.h"

static void start_with_bytes(struct verb_call *call, enum node_command_kind kind, size_t cap);
static void finish_put(struct verb_call *call, const struct port_event *event);

/* --- values ---------------------------------------------------------------------------------- */

void verb_put_start(struct verb_call *call)
{
    start_with_bytes(call, NODE_PUT, RECORD_VALUE_MAX);
}

void verb_put_finish(struct verb_call *call, const struct port_event *event)
{
    finish_put(call, event);
}

void verb_put_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "stored under ", "key", VERB_AS_TEXT, "");
    verb_say(data, out, ", held by ", "holders", VERB_AS_COUNT, " nodes");
    verb_say(data, out, ", in ", "took_us", VERB_AS_US, "");
}

void verb_publish_start(struct verb_call *call)
{
    start_with_bytes(call, NODE_PUBLISH, RECORD_VALUE_MAX);
}

void verb_publish_finish(struct verb_call *call, const struct port_event *event)
{
    finish_put(call, event);
}

void verb_publish_print(const cJSON *data, struct text *out)
{
    verb_put_print(data, out);
}

void verb_delete_start(struct verb_call *call)
{
    struct node_command command = {.kind = NODE_DELETE, .salt = call->salt};
    verb_submit(call, &command);
}

void verb_delete_finish(struct verb_call *call, const struct port_event *event)
{
    finish_put(call, event);
}

void verb_delete_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "deleted what was under ", "key", VERB_AS_TEXT, "");
    verb_say(data, out, " at ", "holders", VERB_AS_COUNT, " nodes");
}

void verb_get_start(struct verb_call *call)
{
    struct id_prefix key;
    if (!id_prefix_parse(call->words[0], &key) || key.digits != (size_t)2 * NODE_ID_LEN) {
        verb_fail(call, VERB_USAGE, "\"%.48s\" is no key: wanted are the 40 digits that put named",
                  call->words[0]);
        return;
    }
    struct node_command command = {.kind = NODE_GET, .id = key.id};
    verb_submit(call, &command);
}

void verb_get_finish(struct verb_call *call, const struct port_event *event)
{
    cJSON *data = verb_data(call);
    verb_add_about(data, "key", event);
    verb_add_count(data, "messages", event->count[0]);
    verb_add_count(data, "hops", event->count[1]);
    if (event->status == ERR_OK) {
        verb_add_count(data, "age_s", event->count[2]);
        verb_add_value(data, event->bytes, !call->is_hex);
    }
    verb_end_event(call, event, data);
}

void verb_get_print(const cJSON *data, struct text *out)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(data, "value");
    text_add(out, "%s", cJSON_IsString(value) ? value->valuestring : verb_text_of(data, "hex"));
}

/* --- messages -------------------------------------------------------------------------------- */

void verb_send_start(struct verb_call *call)
{
    struct node_command command = {.kind = NODE_SEND};
    uint8_t bytes[MESSAGE_PAYLOAD_MAX];
    size_t len;
    if (verb_take_id(call, 0, &command.id) && verb_take_bytes(call, 1, bytes, sizeof bytes, &len)) {
        command.bytes = slice_of(bytes, len);
        verb_submit(call, &command);
    }
}

void verb_send_finish(struct verb_call *call, const struct port_event *event)
{
    cJSON *data = verb_data(call);
    verb_add_about(data, "id", event);
    verb_add_count(data, "messages", event->count[0]);
    verb_end_event(call, event, data);
}

void verb_send_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "delivered to ", "id", VERB_AS_ID, "");
    verb_say(data, out, " in ", "took_us", VERB_AS_US, "");
}

void verb_broadcast_start(struct verb_call *call)
{
    start_with_bytes(call, NODE_BROADCAST, MESSAGE_PAYLOAD_MAX);
}

void verb_broadcast_finish(struct verb_call *call, const struct port_event *event)
{
    cJSON *data = verb_data(call);
    verb_add_hex(data, "broadcast", event->about.data, event->about.len);
    verb_end_event(call, event, data);
}

void verb_broadcast_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "on its way as ", "broadcast", VERB_AS_ID, "");
}

/* --- parts ----------------------------------------------------------------------------------- */

static void start_with_bytes(struct verb_call *call, enum node_command_kind kind, size_t cap)
{
    uint8_t bytes[MESSAGE_PAYLOAD_MAX];
    size_t len;
    if (verb_take_bytes(call, 0, bytes, cap, &len)) {
        struct node_command command = {
            .kind = kind, .salt = call->salt, .bytes = slice_of(bytes, len)};
        verb_submit(call, &command);
    }
}

static void finish_put(struct verb_call *call, const struct port_event *event)
{
    cJSON *data = verb_data(call);
    verb_add_about(data, "key", event);
    verb_add_count(data, "holders", event->count[0]);
    verb_end_event(call, event, data);
}
