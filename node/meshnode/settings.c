/* settings.c - option table, layers, and the defaults that depend on other options. */
#include "node/meshnode/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "node/daemon/endpoint.h"
#include "node/meshnode/log.h"
#include "node/meshnode/program.h"

#define SECOND UINT64_C(1000000)

enum {
    HTTP_PORT_OFFSET = 1000,
    BIRTHDAY_SOCKETS = 256, /* With 1,024 ports tried from the other side: 98 %, node/nat/nat.h. */
    GROUP_BURST_S = 2,      /* Seconds' worth that an address group may send at once. */
    PASSPHRASE_MAX = 1024,
};

static const char *const reach_names[] = {"auto", "public", "client", NULL};
static const enum nat_reach reaches[] = {NAT_REACH_AUTO, NAT_REACH_PUBLIC, NAT_REACH_CLIENT};

#define AT(field) offsetof(struct settings, field)
/* clang-format off */
const struct option settings_options[] = {
    {'h', "help", NULL, OPTION_FLAG, AT(help), NULL, "show this text"},
    {'V', "version", NULL, OPTION_FLAG, AT(version), NULL, "name the version"},
    {0, "print-config", NULL, OPTION_FLAG, AT(print_config), NULL,
     "print every value and where it comes from, and end"},
    {0, "config", "FILE", OPTION_TEXT, AT(config), NULL,
     "options, one `name = value` in a line"},
    {'p', "port", "N", OPTION_NUMBER, AT(port), NULL,
     "UDP and TCP port (default 8468; 0: any free one)"},
    {'H', "host", "ADDR", OPTION_TEXT, AT(host), NULL,
     "numeric address to bind (default: all of them)"},
    {'b', "bootstrap", "PEER,...", OPTION_LIST, AT(bootstrap), NULL,
     "nodes to join through: name:port, IPv4:port, [IPv6]:port"},
    {'i', "identity", "FILE", OPTION_TEXT, AT(identity), NULL,
     "key file, made when missing (default STATE/PORT/identity.key)"},
    {0, "passphrase-file", "FILE", OPTION_TEXT, AT(passphrase_file), NULL,
     "its first line opens the key file; else MESHTWIN_NODE_PASSPHRASE"},
    {'d', "db", "FILE", OPTION_TEXT, AT(db), NULL,
     "database of records, peers and ledger (default STATE/PORT/ledger.db)"},
    {'m', "masking", NULL, OPTION_FLAG, AT(masking), NULL,
     "carry everything in what looks like HTTP, over TCP"},
    {0, "reach", "HOW", OPTION_CHOICE, AT(reach), reach_names,
     "whether strangers can reach it: auto (find out), public or client"},
    {0, "no-relay", NULL, OPTION_FLAG, AT(no_relay), NULL,
     "do not relay for nodes that strangers cannot reach"},
    {0, "no-port-mapping", NULL, OPTION_FLAG, AT(no_port_mapping), NULL,
     "do not ask the router for a port"},
    {0, "birthday", NULL, OPTION_FLAG, AT(birthday), NULL,
     "try hundreds of ports where nothing less gets off a relay"},
    {0, "stun", "HOST:PORT,...", OPTION_LIST, AT(stun), NULL,
     "STUN servers that tell where they see it (default port 3478)"},
    {0, "stun-server", NULL, OPTION_FLAG, AT(stun_server), NULL,
     "answer STUN requests on the node's own port"},
    {0, "stun-other", "IP", OPTION_TEXT, AT(stun_other), NULL,
     "and from this address beside --host: NAT behaviour, RFC 5780"},
    {0, "http", "ADDR:PORT", OPTION_TEXT, AT(http), NULL,
     "HTTP face, or off (default 127.0.0.1 at PORT + 1000)"},
    {0, "http-token", "FILE", OPTION_TEXT, AT(http_token), NULL,
     "secret that HTTP writes want (default STATE/PORT/http.token)"},
    {0, "control", "PATH", OPTION_TEXT, AT(control), NULL,
     "unix socket for `ctl` (default STATE/PORT/control.sock)"},
    {0, "limit-minute", "N", OPTION_NUMBER, AT(limit_minute), NULL,
     "requests of one peer in a minute (default 100; 0: no limit)"},
    {0, "limit-hour", "N", OPTION_NUMBER, AT(limit_hour), NULL,
     "and in an hour (default 1000; 0: no limit)"},
    {0, "limit-group", "N", OPTION_NUMBER, AT(limit_group), NULL,
     "datagrams a second from one /24 or IPv6 /48 (default 200; 0: any)"},
    {0, "ban-at", "POINTS", OPTION_NUMBER, AT(ban_at), NULL,
     "of threat at which a peer is banned (default 2000; 0: never)"},
    {0, "ban-for", "TIME", OPTION_DURATION, AT(ban_for_us), NULL,
     "how long (default 1h)"},
    {0, "no-shell", NULL, OPTION_FLAG, AT(no_shell), NULL,
     "no prompt, even on a terminal"},
    {'v', "verbose", NULL, OPTION_FLAG, AT(verbose), NULL,
     "log everything: --log-level debug"},
    {0, "log-level", "LEVEL", OPTION_CHOICE, AT(log_level), log_level_names,
     "error, warn, info (default) or debug"},
    {0, "log-format", "FORMAT", OPTION_CHOICE, AT(log_format), log_format_names,
     "text (default) or json: one object per line"},
};
/* clang-format on */
const size_t settings_option_count = sizeof settings_options / sizeof settings_options[0];
enum { UNFILED = 4 }; /* help, version, print-config, config */
_Static_assert(sizeof settings_options / sizeof settings_options[0] <= SETTINGS_OPTIONS_MAX,
               "each option has an origin");

static const char *const reloadable_names[] = {"bootstrap",   "limit-minute", "limit-hour",
                                               "limit-group", "ban-at",       "ban-for",
                                               "verbose",     "log-level",    "log-format"};

static void set_defaults(struct settings *settings);
static struct option_table table_of(struct settings *settings);
static bool parse_words(int count, char **words, struct settings *settings, char *error,
                        size_t error_size);
static bool complete(struct settings *settings, char reason[HOST_REASON_SIZE]);
static bool limits_are_sound(const struct settings *settings, char reason[HOST_REASON_SIZE]);
static char *default_http(uint64_t port);
static void split(const struct option_list *list, char ***items, size_t *count);
static char *state_folder(char reason[HOST_REASON_SIZE]);
static char *print_option(const struct settings *settings, size_t index);

bool settings_read(int count, char **words, struct settings *settings, int *code)
{
    char error[512];
    *code = EXIT_OK;
    set_defaults(settings);
    if (!parse_words(count, words, settings, error, sizeof error)) {
        fprintf(stderr, "meshnode: %s\n", error);
        fprintf(stderr, "usage: meshnode [options]   (more: meshnode --help)\n");
        *code = EXIT_USAGE;
        return false;
    }
    if (settings->help || settings->version) {
        if (settings->help) {
            program_help(stdout);
        } else {
            printf("meshnode %s\n", MESHNODE_VERSION);
        }
        return false;
    }
    struct text errors = {0};
    if (!settings_reread(count, words, settings, &errors)) {
        fprintf(stderr, "%s", errors.data);
        free(errors.data);
        *code = settings->config != NULL ? EXIT_CONFIG : EXIT_USAGE;
        return false;
    }
    if (settings->print_config) {
        struct option_table table = table_of(settings);
        option_print_values(&table, settings, settings->config, stdout);
        return false;
    }
    return true;
}

bool settings_reread(int count, char **words, struct settings *settings, struct text *errors)
{
    /* First only for --config itself; then from the lowest layer up. */
    char error[512];
    settings_free(settings);
    set_defaults(settings);
    bool ok = parse_words(count, words, settings, error, sizeof error);
    const char *config = settings->config;
    if (ok && config != NULL) {
        settings_free(settings);
        set_defaults(settings);
        struct option_table table = table_of(settings);
        settings->file_text = option_read_file(&table, config, settings, errors);
        ok = errors->len == 0;
        settings->config = config;
        if (!ok) {
            return false;
        }
        ok = parse_words(count, words, settings, error, sizeof error);
    }
    char reason[HOST_REASON_SIZE];
    if (!ok) {
        text_add(errors, "meshnode: %s\n", error);
        return false;
    }
    split(&settings->bootstrap, &settings->peers, &settings->peer_count);
    split(&settings->stun, &settings->stun_servers, &settings->stun_server_count);
    if (!complete(settings, reason)) {
        text_add(errors, "meshnode: %s\n", reason);
        return false;
    }
    return true;
}

void settings_free(struct settings *settings)
{
    for (size_t i = 0; i < settings->own_count; i++) {
        free(settings->own[i]);
    }
    for (size_t i = 0; i < settings->peer_count; i++) {
        free(settings->peers[i]);
    }
    free(settings->peers);
    for (size_t i = 0; i < settings->stun_server_count; i++) {
        free(settings->stun_servers[i]);
    }
    free(settings->stun_servers);
    free(settings->file_text);
    option_list_free(&settings->bootstrap);
    option_list_free(&settings->stun);
    *settings = (struct settings){0};
}

void settings_nat(const struct settings *settings, struct nat_config *nat)
{
    enum nat_reach reach = reaches[settings->reach];
    /* Strangers knock by UDP and from ports of the moment, where no stream can be opened to: what
     * they would find of a node that answers by streams says nothing. */
    bool is_untold = settings->masking && reach == NAT_REACH_AUTO;
    nat->reach = (uint8_t)(is_untold ? NAT_REACH_PUBLIC : reach);
    nat->is_relay = !settings->no_relay;
    settings_stun(settings, nat);
    nat->has_mapping = !settings->no_port_mapping && !settings->masking;
    nat->birthday_sockets = settings->birthday ? BIRTHDAY_SOCKETS : 0;
}

void settings_guard(const struct settings *settings, struct guard_config *guard)
{
    guard->peer_per_minute = (uint32_t)settings->limit_minute;
    guard->peer_per_hour = (uint32_t)settings->limit_hour;
    guard->group_rate = (uint32_t)settings->limit_group;
    guard->group_burst = (uint32_t)settings->limit_group * GROUP_BURST_S;
    guard->threat_medium = (uint16_t)(settings->ban_at / 4);
    guard->threat_high = (uint16_t)settings->ban_at;
    guard->ban_s = (uint32_t)(settings->ban_for_us / SECOND);
}

bool settings_make_folders(const struct settings *settings, char reason[HOST_REASON_SIZE])
{
    for (size_t i = 0; i < settings->own_count; i++) {
        if (settings->own[i][0] == '/' && !settings_make_parent(settings->own[i], reason)) {
            return false;
        }
    }
    return true;
}

bool settings_make_parent(const char *path, char reason[HOST_REASON_SIZE])
{
    char *copy = text_copy(path, strlen(path));
    *strrchr(copy, '/') = '\0';
    bool ok = true;
    for (char *at = copy + 1; ok && at != NULL;) {
        at = strchr(at, '/');
        if (at != NULL) {
            *at = '\0';
        }
        ok = mkdir(copy, 0700) == 0 || errno == EEXIST;
        if (!ok) {
            snprintf(reason, HOST_REASON_SIZE, "the folder %.180s cannot be made: %s", copy,
                     strerror(errno));
        }
        if (at != NULL) {
            *at++ = '/';
        }
    }
    free(copy);
    return ok;
}

char *settings_changes(const struct settings *before, const struct settings *after, bool reloadable)
{
    struct text names = {0};
    for (size_t i = UNFILED; i < settings_option_count; i++) {
        bool can_reload = false;
        for (size_t j = 0; j < sizeof reloadable_names / sizeof reloadable_names[0]; j++) {
            can_reload |= strcmp(reloadable_names[j], settings_options[i].name) == 0;
        }
        char *left = print_option(before, i);
        char *right = print_option(after, i);
        if (can_reload == reloadable && strcmp(left, right) != 0) {
            text_add(&names, "%s--%s", names.len > 0 ? ", " : "", settings_options[i].name);
        }
        free(left);
        free(right);
    }
    return names.data;
}

char *settings_default_path(uint64_t port, const char *name, char reason[HOST_REASON_SIZE])
{
    char *folder = state_folder(reason);
    if (folder == NULL) {
        return NULL;
    }
    char *path = text_format("%s/%llu/%s", folder, (unsigned long long)port, name);
    free(folder);
    return path;
}

char *settings_passphrase(const struct settings *settings, char reason[HOST_REASON_SIZE])
{
    reason[0] = '\0';
    const char *given = getenv("MESHTWIN_NODE_PASSPHRASE");
    if (settings->passphrase_file == NULL) {
        return given != NULL && given[0] != '\0' ? text_copy(given, strlen(given)) : NULL;
    }
    size_t len;
    char *text = text_read_file(settings->passphrase_file, PASSPHRASE_MAX, &len);
    if (text == NULL) {
        snprintf(reason, HOST_REASON_SIZE, "the passphrase file %.150s cannot be read: %s",
                 settings->passphrase_file, strerror(errno));
        return NULL;
    }
    text[strcspn(text, "\r\n")] = '\0';
    if (text[0] == '\0') {
        snprintf(reason, HOST_REASON_SIZE, "the first line of the passphrase file %.150s is empty",
                 settings->passphrase_file);
        free(text);
        return NULL;
    }
    return text;
}

static void set_defaults(struct settings *settings)
{
    struct node_config node;
    node_config_default(&node);
    *settings = (struct settings){.port = HOST_PORT,
                                  .limit_minute = node.guard.peer_per_minute,
                                  .limit_hour = node.guard.peer_per_hour,
                                  .limit_group = node.guard.group_rate,
                                  .ban_at = node.guard.threat_high,
                                  .ban_for_us = node.guard.ban_s * SECOND,
                                  .log_level = LOG_INFO,
                                  .log_format = LOG_TEXT};
}

static struct option_table table_of(struct settings *settings)
{
    return (struct option_table){.command = "node",
                                 .options = settings_options,
                                 .count = settings_option_count,
                                 .unfiled = UNFILED,
                                 .origins = settings->origins};
}

static bool parse_words(int count, char **words, struct settings *settings, char *error,
                        size_t error_size)
{
    struct option_table table = table_of(settings);
    struct option_list operands;
    bool ok = option_parse(&table, count, words, settings, &operands, error, error_size);
    if (ok && operands.count > 0) {
        const char *meant = program_suggest(operands.items[0]);
        snprintf(error, error_size, "\"%s\" is no option%s%s%s", operands.items[0],
                 meant != NULL ? ", did you mean the command \"" : " and no command",
                 meant != NULL ? meant : "", meant != NULL ? "\"?" : "");
        ok = false;
    }
    option_list_free(&operands);
    return ok;
}

/* Fills in what nobody gave and what follows from the rest. */
static bool complete(struct settings *settings, char reason[HOST_REASON_SIZE])
{
    if (settings->port > UINT16_MAX) {
        snprintf(reason, HOST_REASON_SIZE, "--port is a number from 0 to 65535, not %llu",
                 (unsigned long long)settings->port);
        return false;
    }
    if (!limits_are_sound(settings, reason) || !settings_stun_complete(settings, reason)) {
        return false;
    }
    for (size_t i = 0; i < settings->peer_count; i++) {
        struct endpoint endpoint;
        char why[HOST_REASON_SIZE];
        if (!endpoint_parse(settings->peers[i], &endpoint, why)) {
            snprintf(reason, HOST_REASON_SIZE, "--bootstrap: %.200s", why);
            return false;
        }
    }
    struct {
        const char **place;
        const char *name;
    } paths[] = {{&settings->identity, "identity.key"},
                 {&settings->db, "ledger.db"},
                 {&settings->http_token, "http.token"},
                 {&settings->control, "control.sock"}};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (*paths[i].place != NULL) {
            continue;
        }
        char *path = settings_default_path(settings->port, paths[i].name, reason);
        if (path == NULL) {
            return false;
        }
        *paths[i].place = path;
        settings->own[settings->own_count++] = path;
    }
    if (settings->verbose) {
        settings->log_level = LOG_DEBUG;
    }
    if (settings->http == NULL) {
        settings->http = default_http(settings->port);
        settings->is_http_default = true;
        settings->own[settings->own_count++] = (char *)(uintptr_t)settings->http;
    }
    return true;
}

static bool limits_are_sound(const struct settings *settings, char reason[HOST_REASON_SIZE])
{
    const struct {
        const char *name;
        uint64_t value;
        uint64_t max;
    } limits[] = {
        {"limit-minute", settings->limit_minute, GUARD_REQUESTS_MAX},
        {"limit-hour", settings->limit_hour, GUARD_REQUESTS_MAX},
        {"limit-group", settings->limit_group, GUARD_BURST_MAX / GROUP_BURST_S},
        {"ban-at", settings->ban_at, GUARD_THREAT_MAX},
        {"ban-for", settings->ban_for_us / SECOND, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i].value > limits[i].max) {
            snprintf(reason, HOST_REASON_SIZE, "--%s is at most %llu", limits[i].name,
                     (unsigned long long)limits[i].max);
            return false;
        }
    }
    return true;
}

/* Beside the node's port, so that two nodes on one machine have two. */
static char *default_http(uint64_t port)
{
    uint64_t beside =
        port + HTTP_PORT_OFFSET <= UINT16_MAX ? port + HTTP_PORT_OFFSET : port - HTTP_PORT_OFFSET;
    return text_format("127.0.0.1:%llu", port == 0 ? 0ULL : (unsigned long long)beside);
}

/* "a:1,b:2" and "c:3" are three. */
static void split(const struct option_list *list, char ***items, size_t *count)
{
    for (size_t i = 0; i < list->count; i++) {
        for (const char *at = list->items[i]; *at != '\0';) {
            size_t len = strcspn(at, ",");
            if (len > 0) {
                *items = text_grow(*items, *count, sizeof **items);
                (*items)[(*count)++] = text_copy(at, len);
            }
            at += len + (at[len] == ',');
        }
    }
}

/* A service manager's folder (systemd.exec(5), StateDirectory=), else the user's own (XDG Base
 * Directory Specification 0.8). */
static char *state_folder(char reason[HOST_REASON_SIZE])
{
    const char *given = getenv("STATE_DIRECTORY");
    if (given != NULL && given[0] == '/') {
        return text_copy(given, strcspn(given, ":"));
    }
    given = getenv("XDG_STATE_HOME");
    if (given != NULL && given[0] == '/') {
        return text_format("%s/meshtwin", given);
    }
    given = getenv("HOME");
    if (given != NULL && given[0] == '/') {
        return text_format("%s/.local/state/meshtwin", given);
    }
    snprintf(reason, HOST_REASON_SIZE,
             "no place for the node's files: HOME is not set; give --identity, --db, --http-token "
             "and --control");
    return NULL;
}

/* The option as a line of a file, without its origin. */
static char *print_option(const struct settings *settings, size_t index)
{
    struct option_origin origin = {.layer = OPTION_DEFAULT};
    struct option_table table = {
        .command = "node", .options = &settings_options[index], .count = 1, .origins = &origin};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    must(out != NULL);
    option_print_values(&table, settings, NULL, out);
    must(fclose(out) == 0);
    return text;
}
