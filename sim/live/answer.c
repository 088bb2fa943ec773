/* answer.c - picks the fields of replies; what is missing is 0. */
#include "sim/live/answer.h"

#include <stdlib.h>
#include <string.h>

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Above 2^53 a count is a text (node/daemon); no run of ours counts so far. */
static uint64_t number(const cJSON *object, const char *name)
{
    const cJSON *item = member(object, name);
    return cJSON_IsNumber(item) && item->valuedouble > 0 ? (uint64_t)item->valuedouble : 0;
}

static bool is_same_value(const cJSON *data, const struct live_command *command)
{
    static const char digits[] = "0123456789abcdef";
    const cJSON *hex = member(data, "hex");
    if (!cJSON_IsString(hex) || strlen(hex->valuestring) != 2 * command->len) {
        return false;
    }
    for (size_t i = 0; i < command->len; i++) {
        if (hex->valuestring[2 * i] != digits[command->bytes[i] >> 4] ||
            hex->valuestring[2 * i + 1] != digits[command->bytes[i] & 15]) {
            return false;
        }
    }
    return true;
}

void answer_outcome(const cJSON *reply, struct live_command *command)
{
    const cJSON *data = member(reply, "data");
    bool is_ok = cJSON_IsTrue(member(reply, "ok"));
    bool is_right =
        command->kind != NODE_GET || command->bytes == NULL || is_same_value(data, command);
    command->live = (struct live_outcome){.is_done = true,
                                          .is_ok = is_ok && is_right,
                                          .hops = (uint32_t)number(data, "hops"),
                                          .messages = (uint32_t)number(data, "messages"),
                                          .took_us = number(data, "took_us")};
}

void answer_totals(const cJSON *reply, struct live_totals *totals, uint32_t *contacts)
{
    static const char *const counter_names[COUNTER_COUNT] = {
#define COUNTER_NAME(name, text) text,
        COUNTERS(COUNTER_NAME)
#undef COUNTER_NAME
    };
    const cJSON *data = member(reply, "data");
    const cJSON *traffic = member(data, "traffic");
    const cJSON *counters = member(data, "counters");
    *contacts = (uint32_t)number(member(data, "tables"), "contacts");
    for (size_t i = 0; i < TRAFFIC_ROWS; i++) {
        const cJSON *row = member(traffic, traffic_text((enum traffic_row)i));
        totals->traffic.sent[i] = number(row, "sent");
        totals->traffic.received[i] = number(row, "received");
    }
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        totals->counters[i] = number(counters, counter_names[i]);
    }
}
