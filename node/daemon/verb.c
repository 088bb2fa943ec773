/* verb.c - from words to a verb, and from its outcome to one reply. */
#include "node/daemon/verb.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/daemon/verb_rows.h"

struct verb_row {
    size_t word_min;
    size_t word_max;
    unsigned options;
    void (*start)(struct verb_call *call);
    void (*finish)(struct verb_call *call, const struct port_event *event); /* NULL: never waits. */
    void (*print)(const cJSON *data, struct text *out);
};

#define IS_WRITE_READ      false
#define IS_WRITE_WRITE     true
#define IS_WRITE_ASK       false
#define IS_WRITE_ASK_WRITE true
#define VERB_PUBLIC(name, operands, word_min, word_max, options, kind, example, summary)           \
    {#name, operands, summary, example, IS_WRITE_##kind},
static const struct verb verbs[] = {VERBS(VERB_PUBLIC)};
enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

#define FINISH_READ(name)      NULL
#define FINISH_WRITE(name)     NULL
#define FINISH_ASK(name)       verb_##name##_finish
#define FINISH_ASK_WRITE(name) verb_##name##_finish
#define VERB_PRIVATE(name, operands, word_min, word_max, options, kind, example, summary)          \
    {word_min, word_max, options, verb_##name##_start, FINISH_##kind(name), verb_##name##_print},
static const struct verb_row rows[VERB_COUNT] = {VERBS(VERB_PRIVATE)};

static const char *verb_suggest(const char *name);
static bool take_words(struct verb_call *call, const char *const *words, size_t count);
static bool take_option(struct verb_call *call, const char *const *words, size_t count, size_t *at);
static void on_event(void *arg, const struct port_event *event);
static const char *remedy(int status);
static void reply(struct verb_call *call, int code, const char *text, cJSON *data);

const struct verb *verb_table(size_t *count)
{
    *count = VERB_COUNT;
    return verbs;
}

void verb_run(const struct verb_context *context, const char *verb, const char *const *words,
              size_t word_count, verb_done_fn done, void *arg)
{
    struct verb_call *call = text_alloc(1, sizeof *call);
    call->context = *context;
    call->done = done;
    call->arg = arg;
    call->index = VERB_COUNT;
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(verbs[i].name, verb) == 0) {
            call->index = i;
            call->verb = &verbs[i];
        }
    }
    if (call->index == VERB_COUNT) {
        const char *meant = verb_suggest(verb);
        verb_fail(call, VERB_USAGE, "unknown verb \"%.40s\"%s%s%s; `help` lists them", verb,
                  meant != NULL ? ", did you mean \"" : "", meant != NULL ? meant : "",
                  meant != NULL ? "\"?" : "");
        return;
    }
    if (take_words(call, words, word_count)) {
        rows[call->index].start(call);
    }
}

void verb_end(struct verb_call *call, cJSON *data)
{
    verb_end_with(call, VERB_OK, NULL, data);
}

void verb_end_with(struct verb_call *call, int code, const char *why, cJSON *data)
{
    struct text text = {0};
    if (why != NULL) {
        text_add(&text, "%s", why);
    } else {
        rows[call->index].print(data, &text);
    }
    reply(call, code, text.data != NULL ? text.data : "", data);
    free(text.data);
}

void verb_fail(struct verb_call *call, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = text_format_list(format, arguments);
    va_end(arguments);
    reply(call, code, text, NULL);
    free(text);
}

void verb_submit(struct verb_call *call, struct node_command *command)
{
    must(rows[call->index].finish != NULL);
    int status = service_submit(call->context.service, command, on_event, call);
    if (status < 0) {
        /* The outcome of something that was not even begun. */
        on_event(call, &(struct port_event){.status = (int16_t)status});
    }
}

void verb_end_event(struct verb_call *call, const struct port_event *event, cJSON *data)
{
    verb_add_status(data, event->status);
    verb_add_count(data, "took_us", event->took_us);
    if (event->status == ERR_OK) {
        verb_end(call, data);
        return;
    }
    char *why =
        text_format("%s: %s; %s", call->verb->name, err_text(event->status), remedy(event->status));
    verb_end_with(call, VERB_FAILED, why, data);
    free(why);
}

/* --- help ------------------------------------------------------------------------------------ */

void verb_help_start(struct verb_call *call)
{
    const char *about = call->word_count > 0 ? call->words[0] : NULL;
    cJSON *data = verb_data(call);
    cJSON *list = verb_add_array(data, "verbs");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (about != NULL && strcmp(about, verbs[i].name) != 0) {
            continue;
        }
        cJSON *row = cJSON_CreateObject();
        verb_add_text(row, "name", verbs[i].name);
        verb_add_text(row, "operands", verbs[i].operands);
        verb_add_text(row, "summary", verbs[i].summary);
        verb_add_text(row, "example", verbs[i].example);
        verb_add_bool(row, "is_write", verbs[i].is_write);
        verb_add_row(list, row);
    }
    if (cJSON_GetArraySize(list) == 0) {
        cJSON_Delete(data);
        const char *meant = verb_suggest(about);
        verb_fail(call, VERB_USAGE, "unknown verb \"%.40s\"%s%s%s; `help` lists them", about,
                  meant != NULL ? ", did you mean \"" : "", meant != NULL ? meant : "",
                  meant != NULL ? "\"?" : "");
        return;
    }
    verb_end(call, data);
}

void verb_help_print(const cJSON *data, struct text *out)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(data, "verbs");
    const cJSON *row = list->child;
    if (row->next == NULL) {
        text_add(out, "%s %s\n  %s\n  example: %s", verb_text_of(row, "name"),
                 verb_text_of(row, "operands"), verb_text_of(row, "summary"),
                 verb_text_of(row, "example"));
        return;
    }
    for (; row != NULL; row = row->next) {
        char *left = text_format("%s %s", verb_text_of(row, "name"), verb_text_of(row, "operands"));
        text_add(out, "%-36s %s\n", left, verb_text_of(row, "summary"));
        free(left);
    }
    text_add(out, "An <id> may be cut short to its first digits, as long as one node fits.");
}

static const char *verb_suggest(const char *name)
{
    const char *names[VERB_COUNT];
    for (size_t i = 0; i < VERB_COUNT; i++) {
        names[i] = verbs[i].name;
    }
    return text_suggest(name, names, VERB_COUNT);
}

/* Options stand before the operands, so that a message may begin with a dash in its middle; "--"
 * ends them earlier. */
static bool take_words(struct verb_call *call, const char *const *words, size_t count)
{
    const struct verb_row *row = &rows[call->index];
    size_t at = 0;
    while (at < count && words[at][0] == '-' && words[at][1] == '-') {
        bool is_last = words[at][2] == '\0';
        if (!is_last && !take_option(call, words, count, &at)) {
            return false;
        }
        at++;
        if (is_last) {
            break;
        }
    }
    if (count - at < row->word_min || count - at > row->word_max) {
        verb_fail(call, VERB_USAGE, "usage: %s %s   for example: %s", call->verb->name,
                  call->verb->operands, call->verb->example);
        return false;
    }
    while (at < count) {
        call->words[call->word_count++] = words[at++];
    }
    return true;
}

static bool take_option(struct verb_call *call, const char *const *words, size_t count, size_t *at)
{
    const char *word = words[*at];
    unsigned options = rows[call->index].options;
    if ((options & VERB_HEX) != 0 && strcmp(word, "--hex") == 0) {
        call->is_hex = true;
        return true;
    }
    if ((options & VERB_SALT) != 0 && strcmp(word, "--salt") == 0) {
        const char *value = *at + 1 < count ? words[*at + 1] : "";
        char *end;
        unsigned long long salt = strtoull(value, &end, 10);
        if (strspn(value, "0123456789") != strlen(value) || value[0] == '\0' || salt > UINT32_MAX) {
            verb_fail(call, VERB_USAGE, "--salt wants a number from 0 to %u", UINT32_MAX);
            return false;
        }
        call->salt = (uint32_t)salt;
        *at += 1;
        return true;
    }
    verb_fail(call, VERB_USAGE, "%s has no option \"%.40s\"; usage: %s %s", call->verb->name, word,
              call->verb->name, call->verb->operands);
    return false;
}

static void on_event(void *arg, const struct port_event *event)
{
    struct verb_call *call = arg;
    rows[call->index].finish(call, event);
}

/* What a person can do about it. */
static const char *remedy(int status)
{
    switch (status) {
    case ERR_AGAIN:
    case ERR_FULL:
        return "too much is under way, try again in a moment";
    case ERR_MISSING:
        return "nobody who answers has it";
    case ERR_TIMEOUT:
        return "see `peers` for who answers";
    case ERR_UNREACHABLE:
        return "see `peers` and `health`";
    case ERR_TOO_LARGE:
        return "make it shorter";
    case ERR_IO:
        return "see `health` for the disk";
    case ERR_STOPPED:
        return "start it again first";
    default:
        return "see `help` for what it wants";
    }
}

static void reply(struct verb_call *call, int code, const char *text, cJSON *data)
{
    struct verb_reply reply = {.ok = code == VERB_OK, .code = code, .text = text, .data = data};
    call->done(call->arg, &reply);
    cJSON_Delete(data);
    free(call);
}
