/* answer.h - a request without its socket, and the answer to it.
 *
 * What the edge knows of HTTP beside libmicrohttpd: which headers matter, and how answers and
 * errors look. Every error is {"error": what is wrong, "hint": what to do about it}.
 *
 *      connection -> struct ask -> gate, routes -> struct answer -> connection
 */
#ifndef NODE_EDGE_ANSWER_H
#define NODE_EDGE_ANSWER_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "node/cli/text.h"

/* Borrowed texts; NULL for a header that was not sent. */
struct ask {
    const char *method;
    const char *target; /* Path and query as they stood on the request line. */
    const char *host;
    const char *origin;
    const char *authorization;
    const char *token; /* X-Token */
    const char *content_type;
    const char *accept;
    const char *last_event_id;
    const char *body;
    size_t body_len;
    bool is_ambiguous; /* One of the headers above came twice. */
};

enum { /* RFC 9110 section 15, RFC 6585 section 5. */
       HTTP_OK = 200,
       HTTP_NO_CONTENT = 204,
       HTTP_BAD_REQUEST = 400,
       HTTP_UNAUTHORIZED = 401,
       HTTP_FORBIDDEN = 403,
       HTTP_NOT_FOUND = 404,
       HTTP_METHOD_NOT_ALLOWED = 405,
       HTTP_CONFLICT = 409,
       HTTP_CONTENT_TOO_LARGE = 413,
       HTTP_UNSUPPORTED_MEDIA_TYPE = 415,
       HTTP_INTERNAL_SERVER_ERROR = 500,
       HTTP_NOT_IMPLEMENTED = 501,
       HTTP_BAD_GATEWAY = 502,
       HTTP_SERVICE_UNAVAILABLE = 503,
       HTTP_GATEWAY_TIMEOUT = 504,
};

struct answer {
    int code;
    const char *type;  /* Of the body; NULL without one. */
    const char *allow; /* NULL, or the methods that the path takes. */
    struct text body;
};

/* `value` is taken over. */
void answer_json(struct answer *answer, int code, cJSON *value);
void answer_error(struct answer *answer, int code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void answer_free(struct answer *answer);

#endif /* NODE_EDGE_ANSWER_H */
