/* api.c - verbs over HTTP: fields to words, outcomes to status codes. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "node/base/must.h"
#include "node/edge/face.h"
#include "node/edge/fields.h"
#include "node/edge/operand.h"

enum {
    WORDS_MAX = 2 * FIELDS_MAX + 1, /* An option is two, "--" one. */
};

/* The words of a request, borrowed from its fields but for the options' names. */
struct words {
    const char *items[WORDS_MAX];
    char *options[FIELDS_MAX];
    size_t count;
    size_t option_count;
};

static bool read_fields(const struct verb *verb, const struct ask *ask, const char *query,
                        struct fields *fields, struct answer *answer);
static bool knows_fields(const struct verb *verb, const struct fields *fields,
                         struct answer *answer);
static bool make_words(const struct verb *verb, const struct fields *fields, struct words *words,
                       struct answer *answer);
static bool add_option(const struct operand *operand, const char *value, struct words *words,
                       struct answer *answer);
static void on_done(void *arg, const struct verb_reply *reply);
static void answer_reply(const struct face *face, const struct verb_reply *reply,
                         struct answer *answer);
static int code_of(const struct face *face, const struct verb_reply *reply);

/* Events come by the event stream. */
bool api_offers(const struct verb *verb)
{
    return strcmp(verb->name, "watch") != 0;
}

enum face_outcome api_ask(struct face *face, const struct verb *verb, const struct ask *ask,
                          const char *query, struct face_reply *reply)
{
    struct fields fields = {0};
    struct words words = {0};
    enum face_outcome outcome = FACE_ANSWERED;
    if (read_fields(verb, ask, query, &fields, &reply->answer) &&
        knows_fields(verb, &fields, &reply->answer) &&
        make_words(verb, &fields, &words, &reply->answer)) {
        outcome = api_run(face, verb->name, words.items, words.count, reply);
    }
    for (size_t i = 0; i < words.option_count; i++) {
        free(words.options[i]);
    }
    fields_clear(&fields);
    return outcome;
}

enum face_outcome api_run(struct face *face, const char *verb, const char *const *words,
                          size_t count, struct face_reply *reply)
{
    if (face->waits >= FACE_WAITS_MAX) {
        answer_error(&reply->answer, HTTP_SERVICE_UNAVAILABLE, "try again in a moment",
                     "%d requests wait for the mesh already", FACE_WAITS_MAX);
        return FACE_ANSWERED;
    }
    struct face_wait *wait = text_alloc(1, sizeof *wait);
    wait->face = face;
    face->waits++;
    verb_run(&face->verbs, verb, words, count, on_done, wait);
    if (wait->is_done) {
        reply->answer = face_wait_take(wait);
        return FACE_ANSWERED;
    }
    reply->wait = wait;
    return FACE_WAITS;
}

struct answer face_wait_take(struct face_wait *wait)
{
    must(wait->is_done);
    struct answer answer = wait->answer;
    wait->face->waits--;
    free(wait);
    return answer;
}

void face_wait_abandon(struct face_wait *wait)
{
    wait->face->waits--;
    wait->face = NULL;
    if (wait->is_done) {
        answer_free(&wait->answer);
        free(wait);
    }
}

static bool read_fields(const struct verb *verb, const struct ask *ask, const char *query,
                        struct fields *fields, struct answer *answer)
{
    static const char json[] = "application/json";
    const char *why;
    if (!verb->is_write) {
        if (!fields_read_query(fields, query, &why)) {
            answer_error(answer, HTTP_BAD_REQUEST, "write them as ?name=value&name=value", "%s",
                         why);
            return false;
        }
        return true;
    }
    const char *type = ask->content_type != NULL ? ask->content_type : "";
    size_t len = strcspn(type, "; \t");
    if (ask->body_len == 0 && ask->content_type == NULL) {
        return true;
    }
    /* Forms of foreign pages cannot have this type (Fetch standard, CORS-safelisted headers). */
    if (len != sizeof json - 1 || strncasecmp(type, json, len) != 0) {
        answer_error(answer, HTTP_UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json",
                     "the body is no JSON by its Content-Type");
        return false;
    }
    if (!fields_read_json(fields, ask->body, ask->body_len, &why)) {
        answer_error(answer, HTTP_BAD_REQUEST, "send one flat JSON object", "%s", why);
        return false;
    }
    return true;
}

/* Every field is an operand. */
static bool knows_fields(const struct verb *verb, const struct fields *fields,
                         struct answer *answer)
{
    for (size_t i = 0; i < fields->count; i++) {
        const char *at = verb->operands;
        struct operand operand;
        bool is_known = false;
        while (!is_known && operand_next(&at, &operand)) {
            is_known = strcmp(operand.name, fields->items[i].name) == 0;
        }
        if (!is_known) {
            char *hint = text_format("%s takes: %s", verb->name,
                                     verb->operands[0] != '\0' ? verb->operands : "nothing");
            answer_error(answer, HTTP_BAD_REQUEST, hint, "%s has no field \"%s\"", verb->name,
                         fields->items[i].name);
            free(hint);
            return false;
        }
    }
    return true;
}

/* Options first, then "--", so that a value may begin with dashes. */
static bool make_words(const struct verb *verb, const struct fields *fields, struct words *words,
                       struct answer *answer)
{
    for (int pass = 0; pass < 2; pass++) {
        const char *at = verb->operands;
        struct operand operand;
        while (operand_next(&at, &operand)) {
            const char *value = fields_get(fields, operand.name);
            if ((operand.kind == OPERAND_WORD) != (pass == 1)) {
                continue;
            }
            if (value == NULL && operand.is_required) {
                answer_error(answer, HTTP_BAD_REQUEST, verb->operands, "%s wants the field \"%s\"",
                             verb->name, operand.name);
                return false;
            }
            if (value != NULL && pass == 0 && !add_option(&operand, value, words, answer)) {
                return false;
            }
            if (value != NULL && pass == 1) {
                words->items[words->count++] = value;
            }
        }
        if (pass == 0) {
            words->items[words->count++] = "--";
        }
    }
    return true;
}

static bool add_option(const struct operand *operand, const char *value, struct words *words,
                       struct answer *answer)
{
    bool is_on = strcmp(value, "true") == 0;
    if (operand->kind == OPERAND_SWITCH && !is_on && strcmp(value, "false") != 0) {
        answer_error(answer, HTTP_BAD_REQUEST, "give true or false",
                     "\"%s\" is not a switch's value", operand->name);
        return false;
    }
    if (operand->kind == OPERAND_SWITCH && !is_on) {
        return true;
    }
    char *name = text_format("--%s", operand->name);
    words->options[words->option_count++] = name;
    words->items[words->count++] = name;
    if (operand->kind == OPERAND_OPTION) {
        words->items[words->count++] = value;
    }
    return true;
}

static void on_done(void *arg, const struct verb_reply *reply)
{
    struct face_wait *wait = arg;
    if (wait->face == NULL) {
        free(wait);
        return;
    }
    answer_reply(wait->face, reply, &wait->answer);
    wait->is_done = true;
    if (wait->ready != NULL) {
        wait->ready(wait->arg);
    }
}

/* Errors of verbs are one line, "cause; remedy". */
static void answer_reply(const struct face *face, const struct verb_reply *reply,
                         struct answer *answer)
{
    if (reply->ok) {
        answer_json(answer, HTTP_OK,
                    reply->data != NULL ? cJSON_Duplicate(reply->data, true)
                                        : cJSON_CreateObject());
        return;
    }
    const char *remedy = strstr(reply->text, "; ");
    size_t len = remedy != NULL ? (size_t)(remedy - reply->text) : strlen(reply->text);
    char *cause = text_copy(reply->text, len);
    cJSON *value = cJSON_CreateObject();
    cJSON_AddStringToObject(value, "error", cause);
    cJSON_AddStringToObject(value, "hint", remedy != NULL ? remedy + 2 : "see the verb's help");
    if (reply->data != NULL) {
        cJSON_AddItemToObject(value, "data", cJSON_Duplicate(reply->data, true));
    }
    free(cause);
    answer_json(answer, code_of(face, reply), value);
}

/* What a verb says about a failure is the "status" of its data: the name of an ERR_*. */
static int code_of(const struct face *face, const struct verb_reply *reply)
{
    static const struct {
        const char *status;
        int code;
    } codes[] = {
        {"missing", HTTP_NOT_FOUND},           {"timeout", HTTP_GATEWAY_TIMEOUT},
        {"refused", HTTP_BAD_GATEWAY},         {"unreachable", HTTP_BAD_GATEWAY},
        {"too_large", HTTP_CONTENT_TOO_LARGE}, {"stale", HTTP_CONFLICT},
        {"unsupported", HTTP_NOT_IMPLEMENTED}, {"invalid", HTTP_BAD_REQUEST},
    };
    if (reply->code == 2) {
        return HTTP_BAD_REQUEST;
    }
    const char *status =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(reply->data, "status"));
    for (size_t i = 0; status != NULL && i < array_len(codes); i++) {
        if (strcmp(status, codes[i].status) == 0) {
            return codes[i].code;
        }
    }
    bool is_unknown = reply->data == NULL && service_node(face->verbs.service) != NULL;
    return is_unknown ? HTTP_NOT_FOUND : HTTP_SERVICE_UNAVAILABLE;
}
