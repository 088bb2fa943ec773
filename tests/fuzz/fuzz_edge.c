/* fuzz_edge.c - any bytes as an HTTP request to the edge, without a socket: one answer,
 * well-formed.
 *
 * The first byte says how the gate stands and in which state the service is; the rest, line by
 * line, are method, target, Host, Origin, Authorization, X-Token, Content-Type, Accept and
 * Last-Event-ID (a line "-" is a header that was not sent), and the body behind them.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "node/base/must.h"
#include "node/edge/face.h"
#include "tests/support/fake_service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A line of `*rest`, ended in place; NULL for "-". */
static const char *take_line(char **rest)
{
    char *line = *rest;
    size_t len = strcspn(line, "\n");
    *rest = line + len + (line[len] == '\n');
    line[len] = '\0';
    return strcmp(line, "-") == 0 ? NULL : line;
}

/* An error says what and what to do; what claims to be JSON is. */
static void check_answer(const struct answer *answer)
{
    must(answer->code >= 200 && answer->code < FACE_CODES_MAX);
    must(answer->body.len == 0 || strlen(answer->body.data) == answer->body.len);
    if (answer->type == NULL || strcmp(answer->type, "application/json") != 0) {
        return;
    }
    cJSON *value = cJSON_Parse(answer->body.data);
    must(cJSON_IsObject(value));
    bool has_error = cJSON_IsString(cJSON_GetObjectItem(value, "error")) &&
                     cJSON_IsString(cJSON_GetObjectItem(value, "hint"));
    must(answer->code < 400 || answer->code == 503 || has_error);
    cJSON_Delete(value);
}

/* All that the cursor leads to is whole lines of a stream. */
static void check_stream(struct face *face, struct event_cursor *cursor)
{
    struct text text = {0};
    int events = 0;
    while (events_next(&face->events, cursor, &text)) {
        events++;
    }
    must(events <= EVENTS_KEPT * EVENT_TOPIC_COUNT);
    must(text.len == 0 || strcmp(text.data + text.len - 2, "\n\n") == 0);
    free(text.data);
}

static void add_events(struct face *face, int count)
{
    for (int i = 0; i < count; i++) {
        cJSON *value = cJSON_CreateObject();
        cJSON_AddNumberToObject(value, "n", i);
        events_add(&face->events, (enum event_topic)(i % EVENT_TOPIC_COUNT), value);
    }
}

static void ask_once(struct fake *fake, struct face *face, const struct ask *ask)
{
    struct face_reply reply = {0};
    switch (face_ask(face, ask, &reply)) {
    case FACE_WAITS:
        fake_end(fake, "ok");
        must(reply.wait->is_done);
        reply.answer = face_wait_take(reply.wait);
        break;
    case FACE_STREAMS:
        check_stream(face, &reply.cursor);
        reply.answer.code = HTTP_OK;
        break;
    case FACE_ANSWERED:
        break;
    }
    must(reply.route <= route_count() && face->waits == 0);
    check_answer(&reply.answer);
    face_count(face, reply.route, reply.answer.code);
    answer_free(&reply.answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fake *fake;
    static struct face face;
    if (fake == NULL) {
        fake = fake_open(NULL);
        face_init(&face, &(struct verb_context){.service = fake_service(fake)}, 0xabc);
        add_events(&face, EVENTS_KEPT * EVENT_TOPIC_COUNT + 17);
        /* A token that can be guessed. */
        crypto_generichash(face.gate.token.digest, TOKEN_DIGEST_LEN, (const unsigned char *)"t", 1,
                           NULL, 0);
    }
    if (size < 1) {
        return 0;
    }
    fake->state = (enum service_state)(data[0] % 5);
    fake->has_no_node = (data[0] & 8) != 0;
    face.gate.is_local = (data[0] & 16) != 0;
    face.gate.has_token = (data[0] & 32) != 0;
    char *text = text_copy((const char *)data + 1, size - 1);
    char *rest = text;
    struct ask ask = {.is_ambiguous = (data[0] & 64) != 0};
    const char **lines[] = {&ask.method,       &ask.target,        &ask.host,
                            &ask.origin,       &ask.authorization, &ask.token,
                            &ask.content_type, &ask.accept,        &ask.last_event_id};
    for (size_t i = 0; i < array_len(lines); i++) {
        *lines[i] = take_line(&rest);
    }
    ask.method = ask.method != NULL ? ask.method : "GET";
    ask.target = ask.target != NULL ? ask.target : "/";
    ask.body = rest;
    ask.body_len = size - 1 - (size_t)(rest - text);
    ask_once(fake, &face, &ask);
    free(text);
    return 0;
}
