/* settings.h - how a node is to run: its option table, the layers of it, and what they leave open.
 *
 * Command line > environment (MESHTWIN_NODE_<OPTION>) > --config file > defaults. Paths that nobody
 * gave lie in a folder of the node's own, named by its port, so that two nodes of one person do not
 * meet in one file.
 *
 *      argv, environment, file -> settings_read -> struct settings -> daemon
 */
#ifndef NODE_MESHNODE_SETTINGS_H
#define NODE_MESHNODE_SETTINGS_H

#include "node/cli/manual.h"
#include "node/cli/option.h"
#include "node/daemon/service.h"

enum exit_code { /* Of the program; never reused for another meaning. */
                 EXIT_OK = 0,
                 EXIT_FAILED = 1,
                 EXIT_USAGE = 2,
                 EXIT_CONFIG = 3, /* The configuration file is wrong. */
                 EXIT_CANNOT_START = 8,
                 EXIT_INTERRUPTED = 130,
                 EXIT_TERMINATED = 143,
};

enum { SETTINGS_OPTIONS_MAX = 32 };

struct settings {
    bool help;
    bool version;
    bool print_config;
    const char *config;
    uint64_t port;
    const char *host;
    struct option_list bootstrap; /* As given: items may hold several with commas. */
    const char *identity;
    const char *passphrase_file;
    const char *db;
    bool masking;
    int reach; /* Index of its names. */
    bool no_relay;
    bool no_port_mapping;
    bool birthday;
    struct option_list stun; /* Items may hold several with commas. */
    bool stun_server;
    const char *stun_other;
    const char *http; /* "off", or an address. */
    const char *http_token;
    const char *control;
    uint64_t limit_minute;
    uint64_t limit_hour;
    uint64_t limit_group;
    uint64_t ban_at;
    uint64_t ban_for_us;
    bool no_shell;
    bool verbose;
    int log_level;
    int log_format;

    struct option_origin origins[SETTINGS_OPTIONS_MAX];
    char *file_text;
    char *own[5]; /* Texts that were put together here. */
    size_t own_count;
    char **peers; /* bootstrap, one by one. */
    size_t peer_count;
    char **stun_servers; /* The same of stun, each with a port. */
    size_t stun_server_count;
    bool is_http_default; /* Nobody asked for it: no reason not to start. */
};

extern const struct option settings_options[];
extern const size_t settings_option_count;

/* False when it has already said all there is to say, and *code is the exit code: complaints on
 * standard error, help, version or --print-config on standard output. */
bool settings_read(int count, char **words, struct settings *settings, int *code);
void settings_free(struct settings *settings);
/* The same again, for SIGHUP: from the same words. False with every complaint, a line each. */
bool settings_reread(int count, char **words, struct settings *settings, struct text *errors);

/* Whether strangers can reach the node, and whether it relays. */
void settings_nat(const struct settings *settings, struct nat_config *nat);
/* settings_stun.c. The servers get their ports; false with a reason. */
bool settings_stun_complete(struct settings *settings, char reason[HOST_REASON_SIZE]);
/* A part of settings_nat. Names are borrowed. */
void settings_stun(const struct settings *settings, struct nat_config *nat);
/* The limits for peers among them. */
void settings_guard(const struct settings *settings, struct guard_config *guard);

/* Makes the folders of the default paths, mode 0700. False with a reason. */
bool settings_make_folders(const struct settings *settings, char reason[HOST_REASON_SIZE]);
/* The folder that `path`, absolute, lies in, and those above it. */
bool settings_make_parent(const char *path, char reason[HOST_REASON_SIZE]);

/* Names of options that differ, for a message; heap. NULL when none does. `reloadable`: only those
 * that a running node can follow, else only the others. */
char *settings_changes(const struct settings *before, const struct settings *after,
                       bool reloadable);

/* Where a file of a node is when nobody says so; heap. NULL with a reason. */
char *settings_default_path(uint64_t port, const char *name, char reason[HOST_REASON_SIZE]);

/* From the file, or MESHTWIN_NODE_PASSPHRASE: heap, or NULL with an empty reason for none. */
char *settings_passphrase(const struct settings *settings, char reason[HOST_REASON_SIZE]);

#endif /* NODE_MESHNODE_SETTINGS_H */
