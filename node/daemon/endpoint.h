/* endpoint.h - where a node can be reached, as people write it.
 *
 * A name or an address, and a port that may be left out. Names are kept as they are: looking them
 * up is the service's business, as often as it takes.
 *
 *      "node-a.example:8000" -> endpoint_parse -> {"node-a.example", 8000}
 *      "[2001:db8::1]"       -> endpoint_parse -> {"2001:db8::1", HOST_PORT}
 */
#ifndef NODE_DAEMON_ENDPOINT_H
#define NODE_DAEMON_ENDPOINT_H

#include "node/host/host.h"

enum {
    ENDPOINT_NAME_MAX = 253, /* RFC 1035 section 2.3.4, without the root's dot. */
};

struct endpoint {
    char name[ENDPOINT_NAME_MAX + 1];
    uint16_t port;
    bool has_port; /* It was given. */
};

/* False with a one-line reason. An IPv6 address with a port stands in brackets. */
NODISCARD bool endpoint_parse(const char *text, struct endpoint *endpoint,
                              char reason[HOST_REASON_SIZE]);

/* A number from 1 to 65535, nothing else. */
NODISCARD bool endpoint_parse_port(const char *text, uint16_t *port);

#endif /* NODE_DAEMON_ENDPOINT_H */
