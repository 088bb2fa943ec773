/* endpoint.c - takes "host:port" apart. */
#include "node/daemon/endpoint.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_name(const char *text, size_t len);
static bool refuse(char reason[HOST_REASON_SIZE], const char *text, const char *why);

bool endpoint_parse(const char *text, struct endpoint *endpoint, char reason[HOST_REASON_SIZE])
{
    const char *name = text;
    size_t len;
    const char *rest;
    const char *colon = strchr(text, ':');
    if (text[0] == '[') {
        name = text + 1;
        len = strcspn(name, "]");
        rest = name + len;
        if (*rest == '\0') {
            return refuse(reason, text, "a closing bracket is missing");
        }
        rest++;
    } else if (colon != NULL && strchr(colon + 1, ':') != NULL) {
        len = strlen(text); /* More than one colon: an IPv6 address without brackets or port. */
        rest = text + len;
    } else {
        len = strcspn(text, ":");
        rest = text + len;
    }
    *endpoint = (struct endpoint){.port = HOST_PORT};
    if (len == 0 || len > ENDPOINT_NAME_MAX || !is_name(name, len)) {
        return refuse(reason, text, "wanted is a name or an address, such as node.example:8468");
    }
    memcpy(endpoint->name, name, len);
    if (*rest == '\0') {
        return true;
    }
    if (*rest != ':' || !endpoint_parse_port(rest + 1, &endpoint->port)) {
        return refuse(reason, text, "the port is a number from 1 to 65535");
    }
    endpoint->has_port = true;
    return true;
}

bool endpoint_parse_port(const char *text, uint16_t *port)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 5 || text[len] != '\0') {
        return false;
    }
    unsigned long number = strtoul(text, NULL, 10);
    *port = (uint16_t)number;
    return number >= 1 && number <= UINT16_MAX;
}

/* What names and numeric addresses are made of, zones ("fe80::1%eth0") too. */
static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr(".-_:%", text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool refuse(char reason[HOST_REASON_SIZE], const char *text, const char *why)
{
    snprintf(reason, HOST_REASON_SIZE, "\"%.60s\" is no host:port: %s", text, why);
    return false;
}
