/* gate.c - Host, Origin and token of a request. */
#include "node/edge/gate.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static bool is_our_host(const struct gate *gate, const char *host);
static bool is_our_name(const struct gate *gate, const char *name);
static bool is_same_origin(const char *origin, const char *host);
static bool brings_token(const struct gate *gate, const struct ask *ask);
static const char *bearer_of(const char *authorization);

bool gate_admits(const struct gate *gate, const struct ask *ask, enum gate_need need,
                 struct answer *answer)
{
    if (ask->is_ambiguous) {
        answer_error(answer, HTTP_BAD_REQUEST, "send each header once", "a header came twice");
        return false;
    }
    if (ask->host == NULL || !is_our_host(gate, ask->host)) {
        answer_error(answer, HTTP_FORBIDDEN, "ask for the node by its numeric address or localhost",
                     "the Host header names somebody else (DNS rebinding?)");
        return false;
    }
    if (ask->origin != NULL && !is_same_origin(ask->origin, ask->host)) {
        answer_error(answer, HTTP_FORBIDDEN, "only pages of this node itself may ask",
                     "the request comes from another origin");
        return false;
    }
    if (need == GATE_OPEN || (need == GATE_READ && gate->is_local)) {
        return true;
    }
    if (!gate->has_token) {
        answer_error(answer, HTTP_FORBIDDEN, "start the node with a token file",
                     "without a token file nothing can be changed here");
        return false;
    }
    if (!brings_token(gate, ask)) {
        answer_error(answer, HTTP_UNAUTHORIZED,
                     "send \"Authorization: Bearer\" or \"X-Token\" with what the token file holds",
                     "this needs the node's token");
        return false;
    }
    return true;
}

/* A name or number, with or without a port: behind a forwarded port the port is another. */
static bool is_our_host(const struct gate *gate, const char *host)
{
    char name[GATE_NAME_SIZE];
    bool is_bracketed = host[0] == '[';
    size_t len = is_bracketed ? strcspn(host, "]") : strcspn(host, ":");
    const char *rest = host + len;
    if (is_bracketed) {
        if (*rest != ']') {
            return false;
        }
        host++;
        len--;
        rest++;
    }
    bool has_port = rest[0] == ':' && rest[1] != '\0' && strspn(rest + 1, "0123456789") <= 5 &&
                    rest[1 + strspn(rest + 1, "0123456789")] == '\0';
    if (len == 0 || len >= sizeof name || (*rest != '\0' && !has_port)) {
        return false;
    }
    memcpy(name, host, len);
    name[len] = '\0';
    struct in6_addr six;
    return is_bracketed ? inet_pton(AF_INET6, name, &six) == 1 : is_our_name(gate, name);
}

/* A number is what a browser was told to connect to; no foreign page has a number's origin. */
static bool is_our_name(const struct gate *gate, const char *name)
{
    struct in_addr four;
    if (strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &four) == 1) {
        return true;
    }
    return !gate->is_local && gate->own_name[0] != '\0' && strcasecmp(name, gate->own_name) == 0;
}

static bool is_same_origin(const char *origin, const char *host)
{
    static const char scheme[] = "http://";
    return strncasecmp(origin, scheme, sizeof scheme - 1) == 0 &&
           strcasecmp(origin + sizeof scheme - 1, host) == 0;
}

static bool brings_token(const struct gate *gate, const struct ask *ask)
{
    const char *text = ask->token != NULL ? ask->token : bearer_of(ask->authorization);
    return text != NULL && token_matches(&gate->token, text, strlen(text));
}

/* RFC 6750 section 2.1; NULL for any other scheme. */
static const char *bearer_of(const char *authorization)
{
    static const char scheme[] = "Bearer ";
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0) {
        return NULL;
    }
    const char *text = authorization + sizeof scheme - 1;
    return text + strspn(text, " ");
}
