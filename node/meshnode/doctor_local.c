/* doctor_local.c - what can be seen without asking anybody: interfaces, gateways, the clock, and
 * whether a node runs here. */
#define _DEFAULT_SOURCE /* getifaddrs */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "node/meshnode/client.h"
#include "node/meshnode/doctor.h"

enum {
    CLOCK_OFF_MAX_S = 2,
    CLOCK_BEHIND_MAX_S = 60, /* A package may be unpacked while its clock is being set. */
    ROUTES_MAX = 1 << 20,    /* Bytes of the kernel's tables. */
    ANSWER_MS = 5000,
};

static const char *scope_of(const struct port_addr *addr);
static bool addr_of(const struct sockaddr *from, struct port_addr *addr);
static void add_interface(struct doctor *doctor, const char *name, const struct port_addr *addr);
static unsigned add_gateways(struct doctor *doctor);
static void add_gateway(cJSON *list, const char *interface, const struct port_addr *addr);
static char *folder_of_files(const struct doctor *doctor);
static void judge_node(struct doctor *doctor, const cJSON *reply);

/* --- interfaces ------------------------------------------------------------------------------ */

void doctor_look_at_interfaces(struct doctor *doctor)
{
    struct ifaddrs *list = NULL;
    cJSON *rows = cJSON_AddArrayToObject(doctor->data, "interfaces");
    must(rows != NULL);
    if (getifaddrs(&list) != 0) {
        doctor_say(doctor, "interface", DOCTOR_NOTE, NULL, "the interfaces cannot be listed: %s",
                   strerror(errno));
        return;
    }
    for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        struct port_addr addr;
        if (at->ifa_addr != NULL && (at->ifa_flags & IFF_UP) != 0 && addr_of(at->ifa_addr, &addr) &&
            doctor->local_count < DOCTOR_LOCAL_MAX) {
            doctor->local[doctor->local_count++] = addr;
            add_interface(doctor, at->ifa_name, &addr);
        }
    }
    freeifaddrs(list);
    unsigned outer = 0;
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        const char *scope = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "scope"));
        outer += strcmp(scope, "loopback") != 0 && strcmp(scope, "link-local") != 0;
    }
    unsigned gateways = add_gateways(doctor);
    const char *host = doctor->arguments->host;
    bool is_inside = host != NULL && (strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0);
    if (outer == 0 && !is_inside) {
        doctor_say(doctor, "interface", DOCTOR_PROBLEM, "connect it, or set its interface up",
                   "this machine has no address beyond itself");
    } else if (gateways == 0 && !is_inside) {
        doctor_say(doctor, "gateway", DOCTOR_NOTE, NULL,
                   "there is no default gateway: only the local network can be reached");
    }
}

static void add_interface(struct doctor *doctor, const char *name, const struct port_addr *addr)
{
    char text[HOST_ADDR_TEXT_SIZE];
    host_addr_format(addr, text);
    *strrchr(text, ':') = '\0';
    const char *scope = scope_of(addr);
    cJSON *row = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(row, "name", name) != NULL &&
              cJSON_AddStringToObject(row, "addr", text) != NULL &&
              cJSON_AddStringToObject(row, "scope", scope) != NULL;
    must(ok &&
         cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(doctor->data, "interfaces"), row));
    if (strcmp(scope, "loopback") != 0) {
        doctor_say(doctor, "interface", DOCTOR_OK, NULL, "%s has %s, %s", name, text, scope);
    }
}

/* RFC 6890; IPv4 as mapped addresses. */
static const char *scope_of(const struct port_addr *addr)
{
    static const uint8_t one[16] = {[15] = 1};
    const uint8_t *ip = addr->ip;
    static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(ip, v4_prefix, sizeof v4_prefix) == 0) {
        const uint8_t *v4 = ip + sizeof v4_prefix;
        bool is_private = v4[0] == 10 || (v4[0] == 172 && v4[1] >= 16 && v4[1] < 32) ||
                          (v4[0] == 192 && v4[1] == 168);
        return v4[0] == 127                                     ? "loopback"
               : v4[0] == 169 && v4[1] == 254                   ? "link-local"
               : is_private                                     ? "private"
               : v4[0] == 100 && v4[1] >= 64 && v4[1] < 64 + 64 ? "carrier-grade NAT"
                                                                : "public";
    }
    return memcmp(ip, one, sizeof one) == 0          ? "loopback"
           : ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80 ? "link-local"
           : (ip[0] & 0xfe) == 0xfc                  ? "private"
                                                     : "public";
}

static bool addr_of(const struct sockaddr *from, struct port_addr *addr)
{
    *addr = (struct port_addr){.ip = {[10] = 0xff, [11] = 0xff}};
    if (from->sa_family == AF_INET) {
        memcpy(addr->ip + 12, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        memcpy(addr->ip, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
        return true;
    }
    return false;
}

/* --- gateways: proc_net(5) -------------------------------------------------------------------- */

static unsigned add_gateways(struct doctor *doctor)
{
    cJSON *list = cJSON_AddArrayToObject(doctor->data, "gateways");
    must(list != NULL);
    size_t len;
    char *text = text_read_file("/proc/net/route", ROUTES_MAX, &len);
    char *rest = text;
    for (char *line; text != NULL && (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        char name[IF_NAMESIZE];
        unsigned to;
        uint32_t by;
        struct port_addr addr = {.ip = {[10] = 0xff, [11] = 0xff}};
        if (sscanf(line, "%15s %x %x", name, &to, &by) == 3 && to == 0 && by != 0) {
            memcpy(addr.ip + 12, &by, sizeof by);
            add_gateway(list, name, &addr);
        }
    }
    free(text);
    text = text_read_file("/proc/net/ipv6_route", ROUTES_MAX, &len);
    rest = text;
    for (char *line; text != NULL && (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        char name[IF_NAMESIZE];
        char to[33];
        char by[33];
        unsigned prefix;
        struct port_addr addr = {0};
        bool is_default =
            sscanf(line, "%32s %x %*s %*s %32s %*s %*s %*s %*s %15s", to, &prefix, by, name) == 4 &&
            prefix == 0 && strspn(by, "0") != strlen(by);
        for (size_t i = 0; is_default && i < sizeof addr.ip; i++) {
            unsigned byte;
            is_default = sscanf(by + 2 * i, "%2x", &byte) == 1;
            addr.ip[i] = (uint8_t)byte;
        }
        if (is_default) {
            add_gateway(list, name, &addr);
        }
    }
    free(text);
    for (const cJSON *row = list->child; row != NULL; row = row->next) {
        doctor_say(doctor, "gateway", DOCTOR_OK, NULL, "%s by %s",
                   cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "addr")),
                   cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "interface")));
    }
    return (unsigned)cJSON_GetArraySize(list);
}

static void add_gateway(cJSON *list, const char *interface, const struct port_addr *addr)
{
    char text[HOST_ADDR_TEXT_SIZE];
    host_addr_format(addr, text);
    *strrchr(text, ':') = '\0';
    cJSON *row = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(row, "interface", interface) != NULL &&
              cJSON_AddStringToObject(row, "addr", text) != NULL;
    must(ok && cJSON_AddItemToArray(list, row));
}

/* --- the clock ------------------------------------------------------------------------------- */

/* Records expire by the clock, so it has to agree with the one that dates files, and a clock that
 * is behind this very program was set back, or never set. */
void doctor_look_at_clock(struct doctor *doctor)
{
    static const char set_it[] = "set the clock, best by NTP: records expire by it";
    char *folder = folder_of_files(doctor);
    char *path = text_format("%s/doctor.XXXXXX", folder);
    int file = mkstemp(path);
    if (file < 0) {
        doctor_say(doctor, "clock", DOCTOR_PROBLEM, "make it writable for who runs the node",
                   "%s cannot be written: %s", folder, strerror(errno));
        free(path);
        free(folder);
        return;
    }
    struct stat fresh;
    struct stat own;
    bool is_written = write(file, "", 1) == 1 && fstat(file, &fresh) == 0;
    time_t now = time(NULL);
    close(file);
    unlink(path);
    long long off = is_written ? (long long)(fresh.st_mtime - now) : 0;
    if (!is_written) {
        doctor_say(doctor, "clock", DOCTOR_PROBLEM, "free space there",
                   "a file in %s cannot be written: %s", folder, strerror(errno));
    } else if (off > CLOCK_OFF_MAX_S || off < -CLOCK_OFF_MAX_S) {
        doctor_say(doctor, "clock", DOCTOR_PROBLEM, set_it,
                   "files in %s are dated %lld s beside the clock", folder, off);
    } else if (stat("/proc/self/exe", &own) == 0 && own.st_mtime > now + CLOCK_BEHIND_MAX_S) {
        doctor_say(doctor, "clock", DOCTOR_PROBLEM, set_it,
                   "the clock is behind: this program was made in %lld s",
                   (long long)(own.st_mtime - now));
    } else {
        doctor_say(doctor, "clock", DOCTOR_OK, NULL, "the clock and the file system agree");
    }
    free(path);
    free(folder);
}

/* Where the node keeps its files if it has any yet. */
static char *folder_of_files(const struct doctor *doctor)
{
    const char *slash = strrchr(doctor->control, '/');
    char *folder = slash != NULL ? text_copy(doctor->control, (size_t)(slash - doctor->control))
                                 : text_format(".");
    struct stat status;
    if (stat(folder, &status) == 0 && S_ISDIR(status.st_mode)) {
        return folder;
    }
    free(folder);
    const char *place = getenv("TMPDIR");
    return text_format("%s", place != NULL ? place : "/tmp");
}

/* --- a running node -------------------------------------------------------------------------- */

void doctor_look_at_node(struct doctor *doctor)
{
    struct client client;
    char reason[HOST_REASON_SIZE];
    cJSON *reply = NULL;
    if (!client_open(&client, doctor->control, reason)) {
        doctor_say(doctor, "node", DOCTOR_NOTE, NULL, "no node runs at %s", doctor->control);
        return;
    }
    if (client_ask(&client, "status", NULL, 0) &&
        client_wait(&client, -1, ANSWER_MS, &reply) == CLIENT_REPLY) {
        judge_node(doctor, reply);
    } else {
        doctor_say(doctor, "node", DOCTOR_PROBLEM, "end it, and start it again",
                   "a node listens at %s and does not answer", doctor->control);
    }
    cJSON_Delete(reply);
    client_close(&client);
}

static void judge_node(struct doctor *doctor, const cJSON *reply)
{
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(reply, "data");
    const cJSON *nat = cJSON_GetObjectItemCaseSensitive(data, "nat");
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(reply, "text"));
    const char *status = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, "status"));
    const char *reach = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(nat, "reach"));
    const char *bound = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, "addr"));
    struct port_addr addr;
    if (text == NULL || status == NULL || reach == NULL || bound == NULL ||
        !host_addr_parse(bound, &addr)) {
        doctor_say(doctor, "node", DOCTOR_PROBLEM, "is it another version?",
                   "a node runs at %s, and its answer makes no sense", doctor->control);
        return;
    }
    doctor->has_node = true;
    doctor->port_of = (uint16_t)doctor_port(&addr);
    bool is_well = strcmp(status, "healthy") == 0 || strcmp(status, "starting") == 0;
    doctor_say(doctor, "node", is_well ? DOCTOR_OK : DOCTOR_PROBLEM,
               is_well ? NULL : "see `meshnode ctl health`", "runs at port %u: %.*s",
               doctor->port_of, (int)strcspn(text, "\n"), text);
    bool is_client = strcmp(reach, "client") == 0;
    doctor_say(doctor, "reach", is_client ? DOCTOR_NOTE : DOCTOR_OK,
               is_client ? "forward its UDP port to this machine, or do without: relays reach it"
                         : NULL,
               "the node says of itself: %s", reach);
}
