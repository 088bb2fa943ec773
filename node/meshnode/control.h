/* control.h - the control socket: verbs from other processes of the same user.
 *
 * A unix stream socket of mode 0600; who may open it may do everything. Requests and replies are
 * lines of JSON (verb.h says which). Bounded: connections, the length of a request, requests of one
 * connection under way, and what waits to be read by a client that watches.
 *
 *      connection -> line -> verb_run -> reply -> line        message, news -> lines of watchers
 */
#ifndef NODE_MESHNODE_CONTROL_H
#define NODE_MESHNODE_CONTROL_H

#include "node/daemon/verb.h"

enum {
    CONTROL_CONNECTIONS_MAX = 32,
    CONTROL_REQUESTS_MAX = 64, /* Of one connection, under way. */
    CONTROL_BACKLOG_BYTES = 256 * 1024,
};

struct control;

/* False with a reason. A socket that a dead node left behind is replaced. */
NODISCARD bool control_open(const struct verb_context *context, const char *path,
                            struct control **control, char reason[HOST_REASON_SIZE]);
/* Takes no more connections and requests; replies still go out. */
void control_stop(struct control *control);
/* Closes all, removes the socket; runs the loop until libuv has let go of it. After the service is
 * closed, which ends every request. */
void control_close(struct control *control);

#endif /* NODE_MESHNODE_CONTROL_H */
