/* doctor_stun.c - how STUN servers see us, and what several who see us say together. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "node/meshnode/doctor.h"
#include "node/nat/classify.h"
#include "node/nat/stun_client.h"

enum {
    RTO_US = 250000,
    LIMIT_US = 4000000, /* Four requests, the last with two seconds to be answered. */
    DATAGRAM_MAX = 1500,
};

struct server {
    char *text;
    struct port_addr addr;
    bool has_addr;
    struct stun_client client;
};

/* All servers of one family are asked from one socket, so that what they see can be compared. */
struct family {
    int domain;
    int file; /* -1: none. */
    struct port_addr local;
};

static void find_server(struct server *server);
static void on_resolved(void *arg, int status, const struct port_addr *addrs, size_t count);
static bool open_family(const struct doctor *doctor, struct family *family, int domain);
static void ask_servers(struct family *family, struct server *servers, size_t count);
static bool is_of(const struct family *family, const struct server *server);
static void send_due(const struct family *family, struct server *server, uint64_t now_us);
static void hear(const struct family *family, struct server *servers, size_t count);
static void judge_servers(struct doctor *doctor, const struct family *family,
                          const struct server *servers, size_t count);
static uint64_t now_us(void);

void doctor_look_at_stun(struct doctor *doctor)
{
    static const int domains[] = {AF_INET, AF_INET6};
    struct server servers[DOCTOR_PEERS_MAX] = {0};
    char *entries[DOCTOR_PEERS_MAX];
    size_t count = doctor_split(&doctor->arguments->stun, entries);
    must(sodium_init() >= 0);
    for (size_t i = 0; i < count; i++) {
        servers[i].text = entries[i];
        find_server(&servers[i]);
        if (!servers[i].has_addr) {
            doctor_say(doctor, "stun", DOCTOR_PROBLEM, "check the name, and /etc/resolv.conf",
                       "the name in %s cannot be looked up", entries[i]);
        }
    }
    for (size_t i = 0; i < sizeof domains / sizeof domains[0]; i++) {
        struct family family;
        bool is_wanted = false;
        family.domain = domains[i];
        for (size_t j = 0; j < count; j++) {
            is_wanted |= is_of(&family, &servers[j]);
        }
        if (is_wanted && open_family(doctor, &family, domains[i])) {
            ask_servers(&family, servers, count);
            judge_servers(doctor, &family, servers, count);
            close(family.file);
        }
    }
    for (size_t i = 0; i < count; i++) {
        free(servers[i].text);
    }
}

/* --- asking ---------------------------------------------------------------------------------- */

static void find_server(struct server *server)
{
    struct endpoint endpoint;
    struct host_loop *loop;
    char reason[HOST_REASON_SIZE];
    must(endpoint_parse(server->text, &endpoint, reason)); /* Looked at before. */
    if (host_loop_open(&loop, reason) != ERR_OK) {
        return;
    }
    host_resolve_name(loop, endpoint.name, endpoint.has_port ? endpoint.port : STUN_PORT,
                      on_resolved, server);
    uv_run(host_loop_uv(loop), UV_RUN_DEFAULT);
    host_loop_close(loop);
}

static void on_resolved(void *arg, int status, const struct port_addr *addrs, size_t count)
{
    struct server *server = arg;
    server->has_addr = status == ERR_OK && count > 0;
    if (server->has_addr) {
        server->addr = addrs[0];
    }
}

static bool is_v4(const struct port_addr *addr)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(addr->ip, prefix, sizeof prefix) == 0;
}

static socklen_t socket_addr_of(const struct port_addr *addr, struct sockaddr_storage *to)
{
    memset(to, 0, sizeof *to);
    if (is_v4(addr)) {
        struct sockaddr_in *v4 = (void *)to;
        v4->sin_family = AF_INET;
        memcpy(&v4->sin_port, addr->port, sizeof addr->port);
        memcpy(&v4->sin_addr, addr->ip + 12, sizeof v4->sin_addr);
        return sizeof *v4;
    }
    struct sockaddr_in6 *v6 = (void *)to;
    v6->sin6_family = AF_INET6;
    memcpy(&v6->sin6_port, addr->port, sizeof addr->port);
    memcpy(&v6->sin6_addr, addr->ip, sizeof addr->ip);
    return sizeof *v6;
}

static void port_addr_of(const struct sockaddr_storage *from, struct port_addr *addr)
{
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)from;
        *addr = (struct port_addr){.ip = {[10] = 0xff, [11] = 0xff}};
        memcpy(addr->ip + 12, &v4->sin_addr, sizeof v4->sin_addr);
        memcpy(addr->port, &v4->sin_port, sizeof addr->port);
    } else {
        const struct sockaddr_in6 *v6 = (const void *)from;
        memcpy(addr->ip, &v6->sin6_addr, sizeof addr->ip);
        memcpy(addr->port, &v6->sin6_port, sizeof addr->port);
    }
}

/* At the node's address if that is of this family. */
static bool open_family(const struct doctor *doctor, struct family *family, int domain)
{
    const char *host = doctor->arguments->host;
    struct sockaddr_storage at = {.ss_family = (sa_family_t)domain};
    socklen_t len = domain == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    *family = (struct family){.domain = domain, .file = socket(domain, SOCK_DGRAM, 0)};
    if (family->file < 0) {
        return false;
    }
    if (host != NULL && domain == AF_INET) {
        (void)inet_pton(AF_INET, host, &((struct sockaddr_in *)(void *)&at)->sin_addr);
    } else if (host != NULL) {
        (void)inet_pton(AF_INET6, host, &((struct sockaddr_in6 *)(void *)&at)->sin6_addr);
    }
    if (bind(family->file, (const struct sockaddr *)(const void *)&at, len) != 0 ||
        getsockname(family->file, (struct sockaddr *)(void *)&at, &len) != 0) {
        close(family->file);
        return false;
    }
    port_addr_of(&at, &family->local);
    return true;
}

static void ask_servers(struct family *family, struct server *servers, size_t count)
{
    uint64_t end_us = now_us() + LIMIT_US;
    for (size_t i = 0; i < count; i++) {
        struct stun_id id;
        struct stun_client_options options = {.server = servers[i].addr, .rto_us = RTO_US};
        randombytes_buf(id.bytes, sizeof id.bytes);
        stun_client_start(&servers[i].client, &options, &id, now_us());
    }
    for (bool is_asking = true; is_asking && now_us() < end_us;) {
        is_asking = false;
        uint64_t next_us = end_us;
        for (size_t i = 0; i < count; i++) {
            struct server *server = &servers[i];
            if (is_of(family, server) && server->client.state == STUN_ASKING) {
                send_due(family, server, now_us());
                uint64_t due_us = stun_client_next_us(&server->client);
                next_us = due_us < next_us ? due_us : next_us;
                is_asking = true;
            }
        }
        uint64_t at_us = now_us();
        struct pollfd wait = {.fd = family->file, .events = POLLIN};
        int wait_ms = next_us > at_us ? (int)((next_us - at_us) / 1000 + 1) : 0;
        if (is_asking && poll(&wait, 1, wait_ms) > 0) {
            hear(family, servers, count);
        }
    }
}

static bool is_of(const struct family *family, const struct server *server)
{
    return server->has_addr && is_v4(&server->addr) == (family->domain == AF_INET);
}

/* What cannot be sent is lost, as on the way. */
static void send_due(const struct family *family, struct server *server, uint64_t at_us)
{
    uint8_t request[STUN_REQUEST_MAX];
    struct sockaddr_storage to;
    size_t len = stun_client_ask(&server->client, at_us, request);
    if (len > 0) {
        socklen_t to_len = socket_addr_of(&server->addr, &to);
        (void)sendto(family->file, request, len, 0, (const struct sockaddr *)(const void *)&to,
                     to_len);
    }
}

static void hear(const struct family *family, struct server *servers, size_t count)
{
    uint8_t bytes[DATAGRAM_MAX];
    struct sockaddr_storage source;
    socklen_t source_len = sizeof source;
    ssize_t len = recvfrom(family->file, bytes, sizeof bytes, 0, (struct sockaddr *)(void *)&source,
                           &source_len);
    if (len <= 0) {
        return; /* An error that a datagram of ours came back with: the next may get through. */
    }
    struct port_addr from;
    port_addr_of(&source, &from);
    for (size_t i = 0; i < count; i++) {
        (void)stun_client_hear(&servers[i].client, now_us(), &from, slice_of(bytes, (size_t)len));
    }
}

static uint64_t now_us(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}

/* --- judging --------------------------------------------------------------------------------- */

static void judge_servers(struct doctor *doctor, const struct family *family,
                          const struct server *servers, size_t count)
{
    struct doctor_sight sights[DOCTOR_PEERS_MAX];
    size_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        const struct stun_client *client = &servers[i].client;
        if (!is_of(family, &servers[i])) {
            continue;
        }
        if (client->state == STUN_ANSWERED && client->result.has_mapped) {
            doctor_say(doctor, "stun", DOCTOR_OK, NULL, "%s answers", servers[i].text);
            snprintf(sights[seen].by, sizeof sights[seen].by, "%s", servers[i].text);
            sights[seen].remote = servers[i].addr;
            sights[seen++].mapped = client->result.mapped;
        } else if (client->state == STUN_REFUSED) {
            doctor_say(doctor, "stun", DOCTOR_PROBLEM, "ask another server", "%s refuses: error %u",
                       servers[i].text, client->result.error_code);
        } else {
            doctor_say(doctor, "stun", DOCTOR_PROBLEM, "check the address, or ask another server",
                       "%s does not answer", servers[i].text);
        }
    }
    if (seen > 0) {
        doctor_compare(doctor,
                       family->domain == AF_INET ? "mapping_stun_ipv4" : "mapping_stun_ipv6",
                       sights, seen, &family->local);
    }
}

static void add_sight(struct doctor *doctor, const struct doctor_sight *sight)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(doctor->data, "mapped");
    list = list != NULL ? list : cJSON_AddArrayToObject(doctor->data, "mapped");
    char addr[HOST_ADDR_TEXT_SIZE];
    host_addr_format(&sight->mapped, addr);
    cJSON *row = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(row, "by", sight->by) != NULL &&
              cJSON_AddStringToObject(row, "addr", addr) != NULL;
    must(ok && cJSON_AddItemToArray(list, row));
    doctor_say(doctor, "mapping", DOCTOR_OK, NULL, "%s sees us at %s", sight->by, addr);
}

/* Two sights differ by more than chance only when both are of one family and of different eyes. */
void doctor_compare(struct doctor *doctor, const char *name, const struct doctor_sight *sights,
                    size_t count, const struct port_addr *local)
{
    bool is_bare = true;
    unsigned same = 0;
    unsigned other = 0;
    for (size_t i = 0; i < count; i++) {
        const struct port_addr *mapped = &sights[i].mapped;
        add_sight(doctor, &sights[i]);
        is_bare &= doctor_is_local(doctor, mapped) && doctor_port(mapped) == doctor_port(local);
        for (size_t j = 0; j < i; j++) {
            if (is_v4(&sights[j].remote) == is_v4(&sights[i].remote) &&
                !port_addr_equal(&sights[j].remote, &sights[i].remote)) {
                bool is_same = port_addr_equal(&sights[j].mapped, mapped);
                same += is_same;
                other += !is_same;
            }
        }
    }
    enum nat_mapping mapping = NAT_MAPPING_UNKNOWN;
    bool is_dependent = !is_bare && other > 0;
    if (is_bare) {
        mapping = NAT_MAPPING_NONE;
        doctor_say(doctor, "mapping", DOCTOR_OK, NULL, "no box translates our address");
    } else if (is_dependent) {
        doctor_say(doctor, "mapping", DOCTOR_PROBLEM,
                   "allow port mapping (PCP, NAT-PMP) on the router, or forward the port: else "
                   "some peers are reached through relays only",
                   "a box gives us another address or port for each destination");
    } else if (same > 0) {
        mapping = NAT_MAPPING_ENDPOINT_INDEPENDENT;
        doctor_say(doctor, "mapping", DOCTOR_OK, NULL,
                   "a box gives us the same address and port for every destination");
    } else {
        doctor_say(doctor, "mapping", DOCTOR_NOTE, NULL,
                   "a box translates our address: how, takes two to tell");
    }
    /* Whether by address or by port as well, two cannot tell. */
    must(cJSON_AddStringToObject(doctor->data, name,
                                 is_dependent ? "dependent" : nat_mapping_text(mapping)) != NULL);
}
