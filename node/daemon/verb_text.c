/* verb_text.c - facts into JSON, and JSON into what a person reads. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/base/must.h"
#include "node/daemon/verb_parts.h"

enum {
    ID_DIGITS_SHOWN = 12, /* Two of a million nodes share these with a chance of 1 in 500. */
    COLUMNS_MAX = 12,
};

static void add(cJSON *object, const char *name, cJSON *item);
static void print_duration_us(struct text *out, double us);
static void print_duration_s(struct text *out, uint64_t s);

cJSON *verb_data(const struct verb_call *call)
{
    cJSON *data = cJSON_CreateObject();
    char *schema = text_format("meshtwin.%s.v1", call->verb->name);
    verb_add_text(data, "schema", schema);
    free(schema);
    return data;
}

void verb_add_text(cJSON *object, const char *name, const char *text)
{
    add(object, name, cJSON_CreateString(text));
}

void verb_add_number(cJSON *object, const char *name, double value)
{
    add(object, name, cJSON_CreateNumber(value));
}

void verb_add_count(cJSON *object, const char *name, uint64_t value)
{
    if (value <= UINT64_C(1) << 53) {
        verb_add_number(object, name, (double)value);
        return;
    }
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    verb_add_text(object, name, text);
}

void verb_add_null(cJSON *object, const char *name)
{
    add(object, name, cJSON_CreateNull());
}

void verb_add_bool(cJSON *object, const char *name, bool value)
{
    add(object, name, cJSON_CreateBool(value));
}

void verb_add_id(cJSON *object, const char *name, const struct node_id *id)
{
    char text[ID_TEXT_SIZE];
    id_format(id, text);
    verb_add_text(object, name, text);
}

void verb_add_addr(cJSON *object, const char *name, const struct port_addr *addr)
{
    char text[HOST_ADDR_TEXT_SIZE];
    host_addr_format(addr, text);
    verb_add_text(object, name, text);
}

void verb_add_hex(cJSON *object, const char *name, const uint8_t *bytes, size_t len)
{
    char *text = text_alloc(2 * len + 1, 1);
    hex_format(bytes, len, text);
    verb_add_text(object, name, text);
    free(text);
}

void verb_add_value(cJSON *object, struct slice value, bool as_text)
{
    bool is_text = as_text && text_is_printable(value.data, value.len);
    char *text = text_copy(value.len > 0 ? (const char *)value.data : "", value.len);
    add(object, "value", is_text ? cJSON_CreateString(text) : cJSON_CreateNull());
    free(text);
    verb_add_hex(object, "hex", value.data, value.len);
    verb_add_count(object, "bytes", value.len);
}

void verb_add_about(cJSON *object, const char *name, const struct port_event *event)
{
    struct node_id id;
    if (event->about.len == sizeof id) {
        memcpy(&id, event->about.data, sizeof id);
        verb_add_id(object, name, &id);
    }
}

cJSON *verb_add_array(cJSON *object, const char *name)
{
    cJSON *array = cJSON_CreateArray();
    add(object, name, array);
    return array;
}

cJSON *verb_add_object(cJSON *object, const char *name)
{
    cJSON *inner = cJSON_CreateObject();
    add(object, name, inner);
    return inner;
}

void verb_add_row(cJSON *array, cJSON *row)
{
    must(row != NULL && cJSON_AddItemToArray(array, row));
}

void verb_add_status(cJSON *object, int status)
{
    static const struct {
        int status;
        const char *name;
    } names[] = {
#define STATUS_NAME(name, value, text) {value, #name},
        ERRORS(STATUS_NAME)
#undef STATUS_NAME
    };
    size_t i = 0;
    while (names[i].status != status) {
        i++;
        must(i < sizeof names / sizeof names[0]);
    }
    char *lower = text_copy(names[i].name, strlen(names[i].name));
    for (char *letter = lower; *letter != '\0'; letter++) {
        *letter = (char)tolower((unsigned char)*letter);
    }
    verb_add_text(object, "status", lower);
    free(lower);
}

bool verb_take_bytes(struct verb_call *call, size_t index, uint8_t *bytes, size_t cap, size_t *len)
{
    struct text text = {0};
    for (size_t i = index; i < call->word_count; i++) {
        text_add(&text, "%s%s", i > index && !call->is_hex ? " " : "", call->words[i]);
    }
    bool ok = text.data != NULL;
    if (call->is_hex) {
        ok = ok && hex_parse(text.data, bytes, cap, len);
    } else {
        *len = text.len;
        ok = ok && text.len <= cap;
        memcpy(bytes, ok ? text.data : "", ok ? text.len : 0);
    }
    free(text.data);
    if (!ok) {
        verb_fail(call, VERB_USAGE,
                  call->is_hex ? "--hex wants up to %zu bytes in pairs of digits"
                               : "that is longer than %zu bytes",
                  cap);
    }
    return ok;
}

void verb_print_rows(struct text *out, const cJSON *rows, const struct verb_column *columns,
                     size_t count)
{
    must(count <= COLUMNS_MAX);
    int width[COLUMNS_MAX];
    struct text cell = {0};
    for (size_t i = 0; i < count; i++) {
        width[i] = (int)strlen(columns[i].title);
        for (const cJSON *row = rows->child; row != NULL; row = row->next) {
            text_cut(&cell, 0);
            verb_print_value(&cell, cJSON_GetObjectItemCaseSensitive(row, columns[i].field),
                             columns[i].format);
            width[i] = (int)cell.len > width[i] ? (int)cell.len : width[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        text_add(out, "%-*s", i + 1 < count ? width[i] + 2 : 0, columns[i].title);
    }
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        text_add(out, "\n");
        for (size_t i = 0; i < count; i++) {
            text_cut(&cell, 0);
            verb_print_value(&cell, cJSON_GetObjectItemCaseSensitive(row, columns[i].field),
                             columns[i].format);
            text_add(out, "%-*s", i + 1 < count ? width[i] + 2 : 0,
                     cell.data != NULL ? cell.data : "");
        }
    }
    free(cell.data);
}

void verb_print_value(struct text *out, const cJSON *value, enum verb_format format)
{
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    double number = cJSON_IsNumber(value) ? value->valuedouble : 0;
    switch (format) {
    case VERB_AS_TEXT:
        text_add(out, "%s", text);
        break;
    case VERB_AS_ID:
        text_add(out, "%.*s", ID_DIGITS_SHOWN, text);
        break;
    case VERB_AS_COUNT:
        if (cJSON_IsString(value)) {
            text_add(out, "%s", text);
        } else {
            text_add(out, "%.0f", number);
        }
        break;
    case VERB_AS_US:
        print_duration_us(out, number);
        break;
    case VERB_AS_S:
        print_duration_s(out, (uint64_t)number);
        break;
    case VERB_AS_AGO_S:
        if (number < 0) {
            text_add(out, "never");
        } else {
            print_duration_s(out, (uint64_t)number);
            text_add(out, " ago");
        }
        break;
    case VERB_AS_UNIX_S: {
        time_t when = (time_t)number;
        struct tm parts;
        char date[32];
        must(gmtime_r(&when, &parts) != NULL);
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%SZ", &parts);
        text_add(out, "%s", date);
        break;
    }
    case VERB_AS_RATIO:
        text_add(out, "%.3f", number);
        break;
    case VERB_AS_YES:
        text_add(out, "%s", cJSON_IsTrue(value) ? "yes" : "-");
        break;
    }
}

void verb_say(const cJSON *object, struct text *out, const char *before, const char *field,
              enum verb_format format, const char *after)
{
    text_add(out, "%s", before);
    verb_print_value(out, cJSON_GetObjectItemCaseSensitive(object, field), format);
    text_add(out, "%s", after);
}

const char *verb_text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

double verb_number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static void add(cJSON *object, const char *name, cJSON *item)
{
    must(item != NULL && cJSON_AddItemToObject(object, name, item));
}

static void print_duration_us(struct text *out, double us)
{
    if (us <= 0) {
        text_add(out, "-");
    } else if (us < 1e6) {
        text_add(out, "%.*f ms", us < 1e4 ? 2 : 0, us / 1e3);
    } else {
        text_add(out, "%.1f s", us / 1e6);
    }
}

/* Two units at most: nobody reads the seconds of an hour. */
static void print_duration_s(struct text *out, uint64_t s)
{
    static const struct {
        uint64_t s;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;
    while (i < 3 && s < units[i].s) {
        i++;
    }
    text_add(out, "%" PRIu64 " %s", s / units[i].s, units[i].name);
    if (i < 3 && s % units[i].s >= units[i + 1].s) {
        text_add(out, " %" PRIu64 " %s", s % units[i].s / units[i + 1].s, units[i + 1].name);
    }
}
