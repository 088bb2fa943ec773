/* route.c - the table of paths, and the way from a request to its handler. */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/edge/face.h"
#include "node/edge/fields.h"

#define API "/api/v1/"

static void answer_live(const struct face *face, const struct ask *ask, struct answer *answer);

static const char json[] = "application/json";
static const struct route routes[] = {
    {"/health", "How the node does, part by part", json, GATE_READ, NULL, health_answer},
    {"/health/live", "The process answers", json, GATE_OPEN, NULL, answer_live},
    {"/health/ready", "Whether the node is of use to others, and if not, why", json, GATE_READ,
     NULL, health_answer_ready},
    {"/metrics", "Everything that is counted, for Prometheus", "text/plain", GATE_READ, NULL,
     metrics_answer},
    {"/mesh/status", "The node in one object", json, GATE_READ, "status", NULL},
    {"/mesh/peers", "The nodes that this one knows", json, GATE_READ, "peers", NULL},
    {"/mesh/routes", "The buckets of the routing table", json, GATE_READ, "routes", NULL},
    {API "openapi.json", "This description", json, GATE_READ, NULL, openapi_answer},
    {API "events", "What happens, as it happens", "text/event-stream", GATE_READ, NULL, NULL},
};
enum { ROUTE_COUNT = sizeof routes / sizeof routes[0] };

static size_t find_route(const char *path, size_t len);
static bool takes_method(const struct verb *verb, const char *method, struct answer *answer);
static const struct verb *verb_at(size_t index);
static enum face_outcome ask_route(struct face *face, const struct route *route,
                                   const struct ask *ask, const char *query,
                                   struct face_reply *reply);
static enum face_outcome ask_events(struct face *face, const struct ask *ask, const char *query,
                                    struct face_reply *reply);
static bool read_topics(const struct fields *fields, unsigned *topics, struct answer *answer);

const struct route *route_table(size_t *count)
{
    *count = ROUTE_COUNT;
    return routes;
}

size_t route_count(void)
{
    size_t verb_count;
    verb_table(&verb_count);
    return ROUTE_COUNT + verb_count;
}

char *route_path(size_t index)
{
    if (index < ROUTE_COUNT) {
        return text_format("%s", routes[index].path);
    }
    const struct verb *verb = verb_at(index);
    return verb != NULL ? text_format(API "%s", verb->name) : text_format("other");
}

void face_init(struct face *face, const struct verb_context *verbs, uint32_t epoch)
{
    *face = (struct face){.verbs = *verbs};
    events_init(&face->events, epoch);
    face->requests = text_alloc((route_count() + 1) * FACE_CODES_MAX, sizeof *face->requests);
}

void face_free(struct face *face)
{
    must(face->waits == 0);
    events_free(&face->events);
    free(face->requests);
}

enum face_outcome face_ask(struct face *face, const struct ask *ask, struct face_reply *reply)
{
    size_t len = strcspn(ask->target, "?");
    const char *query = ask->target + len + (ask->target[len] == '?');
    reply->route = find_route(ask->target, len);
    const struct verb *verb = verb_at(reply->route);
    bool is_known = reply->route < route_count();
    enum gate_need need = verb != NULL && verb->is_write ? GATE_WRITE : GATE_READ;
    if (reply->route < ROUTE_COUNT) {
        need = routes[reply->route].need;
    }
    /* What may be asked for is no secret of the paths: strangers learn nothing but the code. */
    if (!gate_admits(&face->gate, ask, need, &reply->answer)) {
        return FACE_ANSWERED;
    }
    if (!is_known) {
        answer_error(&reply->answer, HTTP_NOT_FOUND, "GET " API "openapi.json lists the paths",
                     "there is nothing at this path");
        return FACE_ANSWERED;
    }
    if (!takes_method(verb, ask->method, &reply->answer)) {
        return FACE_ANSWERED;
    }
    if (verb != NULL) {
        return api_ask(face, verb, ask, query, reply);
    }
    return ask_route(face, &routes[reply->route], ask, query, reply);
}

void face_count(struct face *face, size_t route, int code)
{
    must(route <= route_count() && code >= 0 && code < FACE_CODES_MAX);
    face->requests[route * FACE_CODES_MAX + (size_t)code]++;
}

/* The row behind the last one for what is nowhere. */
static size_t find_route(const char *path, size_t len)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (strlen(routes[i].path) == len && memcmp(routes[i].path, path, len) == 0) {
            return i;
        }
    }
    size_t count;
    const struct verb *verbs = verb_table(&count);
    const size_t api_len = sizeof API - 1;
    for (size_t i = 0; len > api_len && i < count; i++) {
        if (api_offers(&verbs[i]) && memcmp(path, API, api_len) == 0 &&
            strlen(verbs[i].name) == len - api_len &&
            memcmp(verbs[i].name, path + api_len, len - api_len) == 0) {
            return ROUTE_COUNT + i;
        }
    }
    return ROUTE_COUNT + count;
}

static const struct verb *verb_at(size_t index)
{
    size_t count;
    const struct verb *verbs = verb_table(&count);
    return index >= ROUTE_COUNT && index < ROUTE_COUNT + count ? &verbs[index - ROUTE_COUNT] : NULL;
}

/* False: `answer` says which methods there are, or that is all that was asked for. */
static bool takes_method(const struct verb *verb, const char *method, struct answer *answer)
{
    bool is_write = verb != NULL && verb->is_write;
    bool is_get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    answer->allow = is_write ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
    if (strcmp(method, "OPTIONS") == 0) {
        answer->code = HTTP_NO_CONTENT;
        return false;
    }
    if (is_write ? strcmp(method, "POST") != 0 : !is_get) {
        answer_error(answer, HTTP_METHOD_NOT_ALLOWED, "see the Allow header",
                     "this path takes another method");
        return false;
    }
    answer->allow = NULL;
    return true;
}

static enum face_outcome ask_route(struct face *face, const struct route *route,
                                   const struct ask *ask, const char *query,
                                   struct face_reply *reply)
{
    if (route->verb == NULL && route->answer == NULL) {
        return ask_events(face, ask, query, reply);
    }
    if (*query != '\0') {
        answer_error(&reply->answer, HTTP_BAD_REQUEST, "leave out what follows the question mark",
                     "this path takes no parameters");
        return FACE_ANSWERED;
    }
    if (route->verb != NULL) {
        return api_run(face, route->verb, NULL, 0, reply);
    }
    route->answer(face, ask, &reply->answer);
    return FACE_ANSWERED;
}

static void answer_live(const struct face *face, const struct ask *ask, struct answer *answer)
{
    (void)face;
    (void)ask;
    cJSON *value = cJSON_CreateObject();
    cJSON_AddStringToObject(value, "status", "alive");
    answer_json(answer, HTTP_OK, value);
}

static enum face_outcome ask_events(struct face *face, const struct ask *ask, const char *query,
                                    struct face_reply *reply)
{
    struct fields fields = {0};
    const char *why;
    unsigned topics;
    enum face_outcome outcome = FACE_ANSWERED;
    if (!fields_read_query(&fields, query, &why)) {
        answer_error(&reply->answer, HTTP_BAD_REQUEST, "write ?topics=log,peer", "%s", why);
    } else if (!read_topics(&fields, &topics, &reply->answer)) {
        outcome = FACE_ANSWERED; /* The answer is there. */
    } else if (!events_start(&face->events, &reply->cursor, topics, ask->last_event_id)) {
        answer_error(&reply->answer, HTTP_BAD_REQUEST, "send the last id that came, or none",
                     "Last-Event-ID is no id of this stream");
    } else if (face->streams >= FACE_STREAMS_MAX) {
        answer_error(&reply->answer, HTTP_SERVICE_UNAVAILABLE, "close another one",
                     "%d event streams are open already", FACE_STREAMS_MAX);
    } else if (strcmp(ask->method, "HEAD") == 0) {
        reply->answer.code = HTTP_OK;
        reply->answer.type = "text/event-stream";
    } else {
        outcome = FACE_STREAMS;
    }
    fields_clear(&fields);
    return outcome;
}

static bool read_topics(const struct fields *fields, unsigned *topics, struct answer *answer)
{
    const char *text = fields_get(fields, "topics");
    if (fields->count > (text != NULL)) {
        answer_error(answer, HTTP_BAD_REQUEST, "the only parameter is topics",
                     "the event stream has no parameter \"%s\"",
                     fields->items[text == fields->items[0].value].name);
        return false;
    }
    const char *bad;
    size_t len;
    *topics = EVENTS_ALL;
    if (text != NULL && !events_read_topics(text, topics, &bad, &len)) {
        char *word = text_copy(bad, len);
        answer_error(answer, HTTP_BAD_REQUEST, "topics are log, peer, message, news, metric",
                     "there is no topic \"%s\"", word);
        free(word);
        return false;
    }
    return true;
}
