/* log.c - what happened, in one line. */
#include "node/meshnode/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "node/daemon/id_text.h"

const char *const log_level_names[] = {"error", "warn", "info", "debug", NULL};
const char *const log_format_names[] = {"text", "json", NULL};

/* Kinds that share a budget: traces by kind, behind them events, behind those the rest. */
enum {
    BUDGET_EVENTS = TRACE_KIND_COUNT,
    BUDGET_NOTES = BUDGET_EVENTS + 32,
    BUDGET_SAID,
    BUDGETS,
};
_Static_assert((int)BUDGETS <= (int)LOG_KINDS, "every kind has a budget");

enum { PEER_DIGITS = 12 };

/* A line under construction. */
struct line {
    struct log *log;
    struct text text;
};

static void on_event(void *arg, const struct port_event *event);
static void on_traced(void *arg, const struct port_trace *event);
static void on_noted(void *arg, enum host_note how, const char *text);
static bool line_begin(struct line *line, struct log *log, enum log_level level, size_t budget,
                       const char *event);
static void line_number(struct line *line, const char *name, int64_t value);
static void line_text(struct line *line, const char *name, const char *value, size_t len);
static void line_id(struct line *line, const char *name, const struct node_id *id);
static void line_end(struct line *line);

void log_open(struct log *log, enum log_level level, enum log_format format)
{
    *log = (struct log){.level = level, .format = format, .descriptor = STDERR_FILENO};
    log->observer = (struct service_observer){
        .arg = log, .event = on_event, .traced = on_traced, .noted = on_noted};
}

bool log_set_level(struct log *log, const char *name)
{
    for (int i = 0; log_level_names[i] != NULL; i++) {
        if (strcmp(log_level_names[i], name) == 0) {
            log->level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_say(struct log *log, enum log_level level, const char *event, const char *format, ...)
{
    struct line line;
    if (!line_begin(&line, log, level, BUDGET_SAID, event)) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    char *text = text_format_list(format, arguments);
    va_end(arguments);
    line_text(&line, "message", text, strlen(text));
    free(text);
    line_end(&line);
}

/* --- what is observed ------------------------------------------------------------------------ */

static const struct event_kind {
    const char *name; /* NULL: no such kind. */
    enum log_level level;
    const char *about; /* What port_event.about is, when an id. */
} event_kinds[] = {
    [NODE_JOINED] = {"node.joined", LOG_INFO, NULL},
    [NODE_LOOKUP_DONE] = {"node.lookup.done", LOG_DEBUG, "target"},
    [NODE_GET_DONE] = {"node.get.done", LOG_DEBUG, "key"},
    [NODE_PUT_DONE] = {"node.put.done", LOG_DEBUG, "key"},
    [NODE_SENT] = {"node.sent", LOG_DEBUG, "peer"},
    [NODE_BROADCAST_SENT] = {"node.broadcast.sent", LOG_DEBUG, NULL},
    [NODE_MESSAGE] = {"node.message", LOG_INFO, "peer"},
    [NODE_NEWS] = {"node.news", LOG_INFO, NULL},
    [NODE_CONNECTED] = {"node.connected", LOG_DEBUG, "peer"},
    [NODE_PINGED] = {"node.pinged", LOG_DEBUG, "peer"},
    [NODE_IOU_DONE] = {"node.iou.done", LOG_DEBUG, NULL},
    [NODE_IOU_CHANGED] = {"node.iou.changed", LOG_INFO, NULL},
    [NODE_BANNED] = {"node.banned", LOG_WARN, "peer"},
    [NODE_UNBANNED] = {"node.unbanned", LOG_INFO, "peer"},
};

static void on_event(void *arg, const struct port_event *event)
{
    size_t count = sizeof event_kinds / sizeof event_kinds[0];
    if (event->kind >= count || event_kinds[event->kind].name == NULL) {
        return;
    }
    const struct event_kind *kind = &event_kinds[event->kind];
    enum log_level level = event->status == ERR_OK || event->command != 0 ? kind->level : LOG_WARN;
    struct line line;
    struct node_id id;
    if (!line_begin(&line, arg, level, BUDGET_EVENTS + event->kind, kind->name)) {
        return;
    }
    if (kind->about != NULL && event->about.len == sizeof id) {
        memcpy(&id, event->about.data, sizeof id);
        line_id(&line, kind->about, &id);
    }
    if (event->status != ERR_OK) {
        line_text(&line, "error", err_text(event->status), strlen(err_text(event->status)));
    }
    if (event->took_us > 0) {
        line_number(&line, "took_us", (int64_t)event->took_us);
    }
    if (event->kind == NODE_MESSAGE || event->kind == NODE_NEWS) {
        line_number(&line, "bytes", (int64_t)event->bytes.len); /* Not ours to write down. */
    }
    line_end(&line);
}

static const struct trace_row {
    const char *name;
    const char *values;
} trace_rows[] = {
#define TRACE_ROW(name, text, values) {text, values},
    TRACE_KINDS(TRACE_ROW)
#undef TRACE_ROW
};

/* The first 64 bits of a peer's id: sessions name it so, tables by its handle. */
static uint64_t peer_of(const struct log *log, const struct port_trace *event)
{
    bool is_handle = event->kind == TRACE_TABLE_ADD || event->kind == TRACE_TABLE_DROP;
    const struct node *node = log->service != NULL ? service_node(log->service) : NULL;
    if (!is_handle) {
        return (uint64_t)event->value[0];
    }
    return node != NULL ? contact_prefix(node->core.port, (uint32_t)event->value[0]) : 0;
}

/* The table of traces names its values; so does the line. */
static void on_traced(void *arg, const struct port_trace *event)
{
    struct log *log = arg;
    struct line line;
    if (event->kind >= TRACE_KIND_COUNT ||
        !line_begin(&line, log, LOG_DEBUG, event->kind, trace_rows[event->kind].name)) {
        return;
    }
    const char *at = trace_rows[event->kind].values;
    for (size_t i = 0; i < 3 && *at != '\0'; i++) {
        size_t len = strcspn(at, " ");
        char *name = text_copy(at, len);
        if (strcmp(name, "peer") == 0) {
            char digits[2 * sizeof(uint64_t) + 1];
            snprintf(digits, sizeof digits, "%016" PRIx64, peer_of(log, event));
            line_text(&line, name, digits, PEER_DIGITS);
        } else {
            line_number(&line, name, event->value[i]);
        }
        free(name);
        at += len + (at[len] == ' ');
    }
    line_end(&line);
}

static void on_noted(void *arg, enum host_note how, const char *text)
{
    static const enum log_level levels[] = {
        [HOST_NOTE_INFO] = LOG_INFO, [HOST_NOTE_WARNING] = LOG_WARN, [HOST_NOTE_ERROR] = LOG_ERROR};
    struct line line;
    if (line_begin(&line, arg, levels[how], BUDGET_NOTES, "note")) {
        line_text(&line, "message", text, strlen(text));
        line_end(&line);
    }
}

/* --- lines ----------------------------------------------------------------------------------- */

/* Whether there is room for one more of its kind; *silenced: how many there was none for. */
static bool take_budget(struct log *log, size_t kind, uint32_t *silenced)
{
    struct log_budget *budget = &log->budgets[kind];
    uint64_t now_us = log->loop != NULL ? host_loop_now_us(log->loop) : 0;
    *silenced = 0;
    if (now_us - budget->window_us >= LOG_WINDOW_US) {
        *silenced = budget->silenced;
        *budget = (struct log_budget){.window_us = now_us};
    }
    if (budget->lines == LOG_BURST) {
        budget->silenced++;
        return false;
    }
    budget->lines++;
    return true;
}

static bool line_begin(struct line *line, struct log *log, enum log_level level, size_t budget,
                       const char *event)
{
    uint32_t silenced;
    if (level > log->level || !take_budget(log, budget, &silenced)) {
        return false;
    }
    struct timespec now;
    struct tm parts;
    char date[24];
    must(clock_gettime(CLOCK_REALTIME, &now) == 0 && gmtime_r(&now.tv_sec, &parts) != NULL);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    *line = (struct line){.log = log};
    if (log->format == LOG_JSON) {
        text_add(&line->text, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"event\":\"%s\"", date,
                 now.tv_nsec / 1000000, log_level_names[level], event);
    } else {
        text_add(&line->text, "%s.%03ldZ %-5s %s", date, now.tv_nsec / 1000000,
                 log_level_names[level], event);
    }
    if (silenced > 0) {
        line_number(line, "silenced", silenced);
    }
    return true;
}

static void line_number(struct line *line, const char *name, int64_t value)
{
    if (line->log->format == LOG_JSON) {
        text_add(&line->text, ",\"%s\":%" PRId64, name, value);
    } else {
        text_add(&line->text, " %s=%" PRId64, name, value);
    }
}

/* Whatever the text holds, the line stays one line, and JSON stays JSON (RFC 8259 section 7). */
static void line_text(struct line *line, const char *name, const char *value, size_t len)
{
    bool is_json = line->log->format == LOG_JSON;
    bool is_sentence = strcmp(name, "message") == 0;
    bool is_quoted = is_json || (!is_sentence && memchr(value, ' ', len) != NULL);
    if (is_json) {
        text_add(&line->text, ",\"%s\":\"", name);
    } else if (is_sentence) {
        text_add(&line->text, " ");
    } else {
        text_add(&line->text, " %s=%s", name, is_quoted ? "\"" : "");
    }
    bool is_clean = text_is_printable((const uint8_t *)value, len);
    for (size_t i = 0; i < len && line->text.len < LOG_LINE_MAX; i++) {
        unsigned char letter = (unsigned char)value[i];
        if (letter < 0x20 || letter == 0x7f || (!is_clean && letter >= 0x80)) {
            text_add(&line->text, "\\u%04x", letter);
        } else if (is_quoted && (letter == '"' || letter == '\\')) {
            text_add(&line->text, "\\%c", letter);
        } else {
            text_add(&line->text, "%c", letter);
        }
    }
    if (is_quoted) {
        text_add(&line->text, "\"");
    }
}

static void line_id(struct line *line, const char *name, const struct node_id *id)
{
    char text[ID_TEXT_SIZE];
    id_format(id, text);
    line_text(line, name, text, line->log->format == LOG_JSON ? ID_TEXT_SIZE - 1 : PEER_DIGITS);
}

/* One write: lines of two processes on one terminal do not mix. A log that nobody takes is lost. */
static void line_end(struct line *line)
{
    text_add(&line->text, line->log->format == LOG_JSON ? "}\n" : "\n");
    ssize_t written = write(line->log->descriptor, line->text.data, line->text.len);
    (void)written;
    free(line->text.data);
}
