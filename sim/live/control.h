/* control.h - one node's control socket, seen from the asking side: lines of JSON, never waiting.
 *
 * The protocol is node/daemon/verb.h's: a request is a line {"id", "verb", "words"}, its reply a
 * line with the same id, in any order. Requests may be made before the node is there; they go out
 * once it listens.
 *
 *      control_ask -> buffer -> control_write -> socket -> control_read -> on_reply(id, reply)
 */
#ifndef SIM_LIVE_CONTROL_H
#define SIM_LIVE_CONTROL_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/err.h"
#include "node/cli/text.h"

struct control {
    int socket; /* -1: not connected. */
    struct text out;
    size_t out_at; /* What of it has gone. */
    struct text in;
};

/* `reply` is borrowed: {"ok", "data", ...}. */
typedef void (*control_reply_fn)(void *arg, uint32_t id, const cJSON *reply);

void control_init(struct control *control);
void control_close(struct control *control);

/* ERR_OK; ERR_AGAIN: nobody listens there yet; ERR_IO. */
NODISCARD int control_connect(struct control *control, const char *path);
static inline bool control_is_open(const struct control *control)
{
    return control->socket >= 0;
}

/* `words` may not need escaping: digits, letters, dashes. */
void control_ask(struct control *control, uint32_t id, const char *verb, const char *const *words,
                 size_t word_count);
bool control_has_output(const struct control *control);
/* As much as goes without waiting. ERR_IO: the node is gone. */
NODISCARD int control_write(struct control *control);
/* Everything that has come. ERR_IO: the node is gone, ERR_INVALID: it does not speak JSON. */
NODISCARD int control_read(struct control *control, control_reply_fn on_reply, void *arg);

#endif /* SIM_LIVE_CONTROL_H */
