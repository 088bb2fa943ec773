/* service.h - one live node with a life: starting, healthy, degraded, stopping.
 *
 * Owns the host and its node, resolves and calls bootstrap names until the mesh is joined, numbers
 * commands and hands their outcomes back, tells observers what happens, and knows whether all is
 * well and if not, why. What a person or a program can ask for goes through here: verbs (shell,
 * control socket), the HTTP edge and the library all sit on top.
 *
 *      service_submit -> host_submit -> ... -> delivered event -> done(arg, event)
 *      delivered, traced, noted -> observers: log, SSE stream, callbacks
 *
 * Everything runs on the loop's thread.
 */
#ifndef NODE_DAEMON_SERVICE_H
#define NODE_DAEMON_SERVICE_H

#include "node/host/host.h"
#include "node/inspect.h"

enum {
    SERVICE_COMMANDS_MAX = 256, /* Under way. */
    SERVICE_BOOTSTRAP_MAX = 64,
    SERVICE_REASONS_MAX = 8,
};

struct service_observer;

struct service_options {
    struct host_options host; /* hooks are the service's; the rest as given. */
    struct node_config node;  /* Without bootstrap: the service calls those itself. */
    const char *key_path;   /* Identity file; created when it is missing. NULL: in the database. */
    const char *passphrase; /* NULL: none. */
    /* "host:port", "[v6]:port", "host" (HOST_PORT); names are looked up again while not joined. */
    const char *const *bootstrap;
    size_t bootstrap_count;
    struct service_observer *observer; /* NULL, or one that hears of the opening too. */
};

struct service;

/* Exit code 8 business: false with a one-line reason, and nothing is left open. */
NODISCARD bool service_open(struct host_loop *loop, const struct service_options *options,
                            struct service **service, char reason[HOST_REASON_SIZE]);
/* Polite leave, everything durable, everything closed. */
void service_close(struct service *service);
/* From now on SERVICE_STOPPING; commands are refused. service_close does the rest. */
void service_stop_begin(struct service *service);

/* Other bootstrap nodes from now on. False with a reason, and nothing has changed. */
NODISCARD bool service_set_bootstrap(struct service *service, const char *const *bootstrap,
                                     size_t bootstrap_count, char reason[HOST_REASON_SIZE]);

/* Other limits for peers from now on: rates, threats and bans of `guard`; the sizes of its tables
 * stay as they are. False with a reason, and nothing has changed. */
NODISCARD bool service_set_guard(struct service *service, const struct guard_config *guard,
                                 char reason[HOST_REASON_SIZE]);

struct host *service_host(struct service *service);
const struct node *service_node(const struct service *service);
const struct service_options *service_options_of(const struct service *service);

/* The command's number is filled in here. `done` is called exactly once with its event (or one with
 * status ERR_STOPPED when the service closes first), unless this returns an error. */
typedef void (*service_done_fn)(void *arg, const struct port_event *event);
int service_submit(struct service *service, struct node_command *command, service_done_fn done,
                   void *arg);

/* --- health ------------------------------------------------------------------------------------
 */

enum service_state {
    SERVICE_STARTING, /* Not joined yet, and not given up. */
    SERVICE_HEALTHY,
    SERVICE_DEGRADED, /* Works, but not as it should: see the reasons. */
    SERVICE_UNHEALTHY,
    SERVICE_STOPPING,
};

struct service_component {
    const char *name; /* "mesh", "disk", "network", "identity", "reach" */
    enum service_state state;
    char reason[HOST_REASON_SIZE]; /* Empty while healthy; else cause and next step. */
};

struct service_health {
    enum service_state state;
    bool is_ready; /* Joined (or the first of its mesh), disk writable, not stopping. */
    uint64_t uptime_s;
    size_t component_count;
    struct service_component components[SERVICE_REASONS_MAX];
};
void service_health(const struct service *service, struct service_health *health);
const char *service_state_text(enum service_state state); /* "healthy", ... */

/* --- observers ---------------------------------------------------------------------------------
 */

struct service_observer {
    void *arg;
    /* Any of them NULL. Called after entries, except traced (see host.h). */
    void (*event)(void *arg, const struct port_event *event);
    void (*traced)(void *arg, const struct port_trace *event);
    void (*noted)(void *arg, enum host_note how, const char *text);
    struct service_observer *next; /* The service's. */
};
void service_observe(struct service *service, struct service_observer *observer);
void service_unobserve(struct service *service, struct service_observer *observer);

#endif /* NODE_DAEMON_SERVICE_H */
