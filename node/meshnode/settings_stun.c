/* settings_stun.c - whom the node asks where it is seen, and from where it answers such questions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "node/daemon/endpoint.h"
#include "node/meshnode/settings.h"
#include "node/nat/stun.h"

static bool server_complete(char **server, char reason[HOST_REASON_SIZE]);
static bool other_is_sound(const struct settings *settings, char reason[HOST_REASON_SIZE]);
static bool ip_parse(const char *text, struct port_addr *addr);
static bool is_any(const struct port_addr *addr);
static bool refuse(char reason[HOST_REASON_SIZE], const char *why);

bool settings_stun_complete(struct settings *settings, char reason[HOST_REASON_SIZE])
{
    if (settings->stun_server_count > NAT_STUN_MAX) {
        snprintf(reason, HOST_REASON_SIZE, "--stun is at most %d servers, not %zu", NAT_STUN_MAX,
                 settings->stun_server_count);
        return false;
    }
    for (size_t i = 0; i < settings->stun_server_count; i++) {
        if (!server_complete(&settings->stun_servers[i], reason)) {
            return false;
        }
    }
    return settings->stun_other == NULL || other_is_sound(settings, reason);
}

void settings_stun(const struct settings *settings, struct nat_config *nat)
{
    for (size_t i = 0; i < settings->stun_server_count; i++) {
        const char *server = settings->stun_servers[i];
        if (host_addr_parse(server, &nat->stun[nat->stun_count])) {
            nat->stun_count++;
        } else {
            nat->stun_names[nat->stun_name_count++] = server;
        }
    }
    nat->is_stun_server = settings->stun_server;
    nat->has_stun_other = settings->stun_other != NULL;
    if (nat->has_stun_other) {
        must(ip_parse(settings->stun_other, &nat->stun_other));
    }
}

static bool server_complete(char **server, char reason[HOST_REASON_SIZE])
{
    struct endpoint endpoint;
    char why[HOST_REASON_SIZE];
    if (!endpoint_parse(*server, &endpoint, why)) {
        snprintf(reason, HOST_REASON_SIZE, "--stun: %.200s", why);
        return false;
    }
    const char *format = strchr(endpoint.name, ':') != NULL ? "[%s]:%u" : "%s:%u";
    free(*server);
    *server = text_format(format, endpoint.name, endpoint.has_port ? endpoint.port : STUN_PORT);
    return true;
}

/* A node that is bound to all addresses answers from whichever the kernel takes, so clients could
 * not tell the two apart. */
static bool other_is_sound(const struct settings *settings, char reason[HOST_REASON_SIZE])
{
    struct port_addr own;
    struct port_addr other;
    if (!settings->stun_server) {
        return refuse(reason, "wants --stun-server too: it is that server's other address");
    }
    if (!ip_parse(settings->stun_other, &other) || is_any(&other)) {
        return refuse(reason, "is one numeric IP address, without a port");
    }
    if (settings->host == NULL || !ip_parse(settings->host, &own) || is_any(&own)) {
        return refuse(reason, "wants --host ADDR too: the one address that it is other than");
    }
    if (port_addr_is_v4(&own) != port_addr_is_v4(&other)) {
        return refuse(reason, "and --host are of one family: both IPv4, or both IPv6");
    }
    return !port_addr_equal(&own, &other) || refuse(reason, "is not the address of --host");
}

/* Port 0. */
static bool ip_parse(const char *text, struct port_addr *addr)
{
    char with_port[HOST_ADDR_TEXT_SIZE];
    const char *format = strchr(text, ':') != NULL ? "[%s]:1" : "%s:1";
    int len = snprintf(with_port, sizeof with_port, format, text);
    bool ok = len < (int)sizeof with_port && host_addr_parse(with_port, addr);
    memset(addr->port, 0, sizeof addr->port);
    return ok;
}

static bool is_any(const struct port_addr *addr)
{
    static const uint8_t none[sizeof addr->ip];
    size_t at = port_addr_is_v4(addr) ? 12 : 0;
    return memcmp(addr->ip + at, none, sizeof none - at) == 0;
}

static bool refuse(char reason[HOST_REASON_SIZE], const char *why)
{
    snprintf(reason, HOST_REASON_SIZE, "--stun-other %s", why);
    return false;
}
