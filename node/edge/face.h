/* face.h - the edge without sockets: what is asked, and the answer, at once or later.
 *
 *      ask -> face_ask -> route table -> gate -> handler -> FACE_ANSWERED
 *                                                  |-> FACE_WAITS: a verb asks the mesh
 *                                                  '-> FACE_STREAMS: events from a cursor on
 *
 * One table of routes (route.c) and the table of verbs (node/daemon/verb.h) make paths, methods,
 * the OpenAPI description and the labels of the request metrics.
 */
#ifndef NODE_EDGE_FACE_H
#define NODE_EDGE_FACE_H

#include "node/daemon/verb.h"
#include "node/edge/answer.h"
#include "node/edge/events.h"
#include "node/edge/gate.h"

enum {
    FACE_WAITS_MAX = 64,   /* Requests that wait for the mesh at once. */
    FACE_STREAMS_MAX = 32, /* Event streams. */
    FACE_CODES_MAX = 600,  /* HTTP status codes end at 599. */
};

struct face {
    struct verb_context verbs;
    struct gate gate;
    struct events events;
    uint64_t *requests; /* [route][code - 100]; the row behind the last route: unknown paths. */
    uint32_t waits;
    uint32_t streams;
    /* Counted by edge_connection.c. */
    uint32_t connections;
    uint64_t connections_evicted;
};

enum face_outcome {
    FACE_ANSWERED,
    FACE_WAITS,
    FACE_STREAMS,
};

/* An answer that a verb will give, or has given. */
struct face_wait {
    struct face *face; /* NULL: nobody waits any more. */
    struct answer answer;
    bool is_done;
    void (*ready)(void *arg); /* Called when is_done turns true. */
    void *arg;
};

/* One request under way; zero at first. */
struct face_reply {
    size_t route; /* Row of face.requests. */
    struct answer answer;
    struct face_wait *wait;     /* FACE_WAITS */
    struct event_cursor cursor; /* FACE_STREAMS */
};

void face_init(struct face *face, const struct verb_context *verbs, uint32_t epoch);
void face_free(struct face *face);

enum face_outcome face_ask(struct face *face, const struct ask *ask, struct face_reply *reply);
/* Counts an answer that goes out. */
void face_count(struct face *face, size_t route, int code);
/* The answer of a wait that is done; frees the wait. */
struct answer face_wait_take(struct face_wait *wait);
/* Nobody will take it: it frees itself when its verb ends. */
void face_wait_abandon(struct face_wait *wait);

/* --- for the files of the face -----------------------------------------------------------------
 */

struct route {
    const char *path;
    const char *summary;
    const char *type; /* Of a good answer. */
    enum gate_need need;
    const char *verb; /* Whose outcome is the answer, or NULL and */
    /* who makes it. Neither: the event stream. */
    void (*answer)(const struct face *face, const struct ask *ask, struct answer *answer);
};
const struct route *route_table(size_t *count);
size_t route_count(void);       /* With a route for each verb. */
char *route_path(size_t index); /* Heap; of the row behind the last: "other". */

/* health.c */
void health_answer(const struct face *face, const struct ask *ask, struct answer *answer);
void health_answer_ready(const struct face *face, const struct ask *ask, struct answer *answer);
/* metrics.c */
void metrics_answer(const struct face *face, const struct ask *ask, struct answer *answer);
/* openapi.c */
void openapi_answer(const struct face *face, const struct ask *ask, struct answer *answer);
/* api.c: verbs that HTTP offers. */
bool api_offers(const struct verb *verb);
enum face_outcome api_ask(struct face *face, const struct verb *verb, const struct ask *ask,
                          const char *query, struct face_reply *reply);
enum face_outcome api_run(struct face *face, const char *verb, const char *const *words,
                          size_t count, struct face_reply *reply);

#endif /* NODE_EDGE_FACE_H */
