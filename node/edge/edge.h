/* edge.h - the node's HTTP face: health, metrics, mesh state, an API and one event stream.
 *
 * libmicrohttpd on the loop's thread (its epoll descriptor is polled by libuv), so a request reads
 * the node between entries and needs no lock. Answers that wait for the mesh suspend their
 * connection.
 *
 *      GET /health /health/live /health/ready /metrics /mesh/status /mesh/peers /mesh/routes
 *      GET POST /api/v1/...  (openapi.json describes it)      GET /api/v1/events  (SSE)
 *
 * Loopback unless told otherwise, and then only with a token. Host and Origin are checked on every
 * request (DNS rebinding), writes want the token in any case, connections and bodies and time are
 * bounded.
 */
#ifndef NODE_EDGE_EDGE_H
#define NODE_EDGE_EDGE_H

#include "node/daemon/verb.h"

struct edge;

struct edge_options {
    struct verb_context verbs;
    const char *bind;       /* "127.0.0.1:8469", "[::1]:0"; numeric. */
    const char *token_path; /* Mode 0600, created with a random token when missing. */
};

/* False with a one-line reason: taken port, a public address without a token, ... */
NODISCARD bool edge_open(const struct edge_options *options, struct edge **edge,
                         char reason[HOST_REASON_SIZE]);
/* Ends every connection, suspended ones and event streams too. */
void edge_close(struct edge *edge);
struct port_addr edge_addr(const struct edge *edge); /* Where it listens. */

#endif /* NODE_EDGE_EDGE_H */
