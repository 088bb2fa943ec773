/* client.h - the other end of the control socket, for ctl and shell: ask, wait, read.
 *
 * Blocking, with a deadline for everything; no libuv. Lines that answer nothing (messages and news
 * of a connection that watches) go to a hook.
 *
 *      verb, words -> client_ask -> socket -> client_wait -> reply
 */
#ifndef NODE_MESHNODE_CLIENT_H
#define NODE_MESHNODE_CLIENT_H

#include <cJSON.h>

#include "node/host/host.h"

enum {
    CLIENT_LINE_MAX = 8 << 20, /* Of a reply: ten thousand known nodes. */
    CLIENT_WAIT_MS = 90000,    /* Beyond the service's own limit of a command. */
};

struct client {
    int descriptor; /* -1: closed. */
    char *buffer;   /* What was read and belongs to no line yet. */
    size_t len;
    size_t size;
    uint64_t number; /* Of the last request. */
    void *arg;
    void (*told)(void *arg, const cJSON *line); /* NULL: such lines are dropped. */
};

/* False with a reason: no node there, not allowed. */
NODISCARD bool client_open(struct client *client, const char *path, char reason[HOST_REASON_SIZE]);
void client_close(struct client *client);

/* Sends a request. False when the node is gone. */
NODISCARD bool client_ask(struct client *client, const char *verb, const char *const *words,
                          size_t count);

enum client_verdict {
    CLIENT_REPLY,
    CLIENT_GONE, /* The node closed the connection. */
    CLIENT_TIMEOUT,
    CLIENT_WOKEN, /* `wake` can be read. */
};
/* Waits for the reply to the last request: *reply is the caller's to delete. wake: a descriptor
 * that ends the wait early, or -1. */
enum client_verdict client_wait(struct client *client, int wake, int wait_ms, cJSON **reply);
/* Reads what has arrived without waiting, for its hook. False when the node is gone. */
NODISCARD bool client_drain(struct client *client);

#endif /* NODE_MESHNODE_CLIENT_H */
