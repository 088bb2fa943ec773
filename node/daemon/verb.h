/* verb.h - what a person can ask of a running node: one table for shell, control socket and edge.
 *
 *      words -> verb_run -> service -> reply {ok, code, text, data} -> done
 *
 * A reply holds the same facts twice: `data`, a JSON object with a "schema" member
 * ("meshtwin.peers.v1"), and `text`, what a person reads, made from it. Errors are one line with
 * cause and remedy in `text`; `code` is a process's exit code for them (0, 1 runtime, 2 usage).
 *
 * On the control socket a request is one line of JSON, and so is its reply; replies may come in
 * another order than requests, told apart by "id" (echoed, any JSON value):
 *
 *      {"id": 7, "verb": "put", "words": ["hello"]}
 *      {"id": 7, "ok": true, "code": 0, "text": "...", "data": {"schema": "meshtwin.put.v1", ...}}
 *
 * After the verb "watch" its connection also gets a line for every message and piece of news:
 *
 *      {"event": "message", "text": "...", "data": {"schema": "meshtwin.message.v1", ...}}
 */
#ifndef NODE_DAEMON_VERB_H
#define NODE_DAEMON_VERB_H

#include <cJSON.h>

#include "node/daemon/service.h"

enum {
    VERB_WORDS_MAX = 256,
    VERB_LINE_MAX = 16 * 1024, /* Of a request on the control socket. */
};

struct verb_context {
    struct service *service;
    /* Filled by the daemon: what `log` and `quit` do; NULL where there is none of it. */
    void *arg;
    bool (*set_log_level)(void *arg, const char *level); /* False: no such level. */
    void (*quit)(void *arg);
};

struct verb_reply {
    bool ok;
    int code;
    const char *text; /* Ends without a newline. */
    /* Borrowed, like text. NULL when the request itself was wrong; an operation of the mesh that
     * failed still says how: "status", "took_us". */
    cJSON *data;
};
typedef void (*verb_done_fn)(void *arg, const struct verb_reply *reply);

struct verb {
    const char *name;
    const char *operands; /* As help writes them: "<id> <message>". */
    const char *summary;
    const char *example;
    bool is_write; /* Changes something: the edge wants a token for it. */
};

/* The table, for help, completion, man page and OpenAPI. */
const struct verb *verb_table(size_t *count);

/* `done` is called exactly once, now or later from the loop. */
void verb_run(const struct verb_context *context, const char *verb, const char *const *words,
              size_t word_count, verb_done_fn done, void *arg);

#endif /* NODE_DAEMON_VERB_H */
