/* daemon.c - starts everything, in order; runs; closes everything, in the other order. */
#include "node/meshnode/daemon.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/edge/edge.h"
#include "node/meshnode/control.h"
#include "node/meshnode/log.h"
#include "node/meshnode/notify.h"
#include "node/meshnode/program.h"
#include "node/meshnode/shell.h"

enum {
    SIGNALS = 3,
    STATUS_MS = 1000,
};

struct daemon {
    struct settings *settings;
    int word_count;
    char **words;
    struct log log;
    struct host_loop *loop;
    struct service *service;
    struct control *control;
    struct edge *edge; /* NULL: off. */
    struct verb_context context;
    uv_signal_t signals[SIGNALS];
    uv_timer_t status_timer;
    uv_timer_t watchdog_timer;
    size_t handles;                /* Of libuv, open. */
    char status[HOST_REASON_SIZE]; /* What the service manager was told last. */
    bool is_quitting;

    pthread_t shell_thread;
    struct shell_options shell_options;
    char *history;
    int notices[2]; /* To the shell: log lines, Ctrl-C. -1: no shell. */
    bool has_shell;
};

static bool open_all(struct daemon *daemon, char reason[HOST_REASON_SIZE]);
static bool open_service(struct daemon *daemon, char reason[HOST_REASON_SIZE]);
static bool open_edge(struct daemon *daemon, char reason[HOST_REASON_SIZE]);
static void open_signals(struct daemon *daemon);
static void open_timers(struct daemon *daemon);
static void open_shell(struct daemon *daemon);
static void close_shell(struct daemon *daemon);
static void close_all(struct daemon *daemon);
static void on_signal(uv_signal_t *handle, int number);
static void reload(struct daemon *daemon);
static bool follow(struct daemon *daemon, const struct settings *fresh, struct text *errors);
static void quit(void *arg);
static bool set_log_level(void *arg, const char *level);
static void on_status(uv_timer_t *timer);
static void on_watchdog(uv_timer_t *timer);
static void on_handle_closed(uv_handle_t *handle);

int daemon_run(struct settings *settings, int count, char **words)
{
    struct daemon daemon = {
        .settings = settings, .word_count = count, .words = words, .notices = {-1, -1}};
    char reason[HOST_REASON_SIZE] = "";
    log_open(&daemon.log, (enum log_level)settings->log_level,
             (enum log_format)settings->log_format);
    signal(SIGPIPE, SIG_IGN); /* A reader that went away is told by the write itself. */
    if (!open_all(&daemon, reason)) {
        close_all(&daemon);
        fprintf(stderr, "meshnode: cannot start: %s\n", reason);
        return EXIT_CANNOT_START;
    }
    struct port_addr bound = host_addr(service_host(daemon.service));
    char addr[HOST_ADDR_TEXT_SIZE];
    host_addr_format(&bound, addr);
    log_say(&daemon.log, LOG_INFO, "start", "meshnode %s on %s, control socket %s",
            MESHNODE_VERSION, addr, settings->control);
    notify_send("READY=1\nSTATUS=starting");
    open_shell(&daemon);
    while (!daemon.is_quitting) {
        uv_run(host_loop_uv(daemon.loop), UV_RUN_ONCE);
    }
    notify_send("STOPPING=1\nSTATUS=leaving the mesh");
    log_say(&daemon.log, LOG_INFO, "stop", "leaving the mesh");
    close_all(&daemon);
    return EXIT_OK;
}

static bool open_all(struct daemon *daemon, char reason[HOST_REASON_SIZE])
{
    if (!settings_make_folders(daemon->settings, reason) ||
        host_loop_open(&daemon->loop, reason) != ERR_OK) {
        return false;
    }
    daemon->log.loop = daemon->loop;
    if (!open_service(daemon, reason)) {
        return false;
    }
    daemon->log.service = daemon->service;
    daemon->context = (struct verb_context){
        .service = daemon->service, .arg = daemon, .set_log_level = set_log_level, .quit = quit};
    if (!control_open(&daemon->context, daemon->settings->control, &daemon->control, reason) ||
        !open_edge(daemon, reason)) {
        return false;
    }
    open_signals(daemon);
    open_timers(daemon);
    return true;
}

static bool open_service(struct daemon *daemon, char reason[HOST_REASON_SIZE])
{
    const struct settings *settings = daemon->settings;
    char *passphrase = settings_passphrase(settings, reason);
    if (passphrase == NULL && reason[0] != '\0') {
        return false;
    }
    struct service_options options = {
        .host = {.bind = settings->host,
                 .port = (uint16_t)settings->port,
                 .database = settings->db,
                 .accepts_streams = true,
                 .is_masking = settings->masking},
        .key_path = settings->identity,
        .passphrase = passphrase,
        .bootstrap = (const char *const *)settings->peers,
        .bootstrap_count = settings->peer_count,
        .observer = &daemon->log.observer,
    };
    node_config_default(&options.node);
    settings_guard(settings, &options.node.guard);
    settings_nat(settings, &options.node.nat);
    bool ok = service_open(daemon->loop, &options, &daemon->service, reason);
    if (passphrase != NULL) {
        sodium_memzero(passphrase, strlen(passphrase));
        free(passphrase);
    }
    return ok;
}

/* Whoever asked for an HTTP face gets it or no node; the default one may be taken. */
static bool open_edge(struct daemon *daemon, char reason[HOST_REASON_SIZE])
{
    const struct settings *settings = daemon->settings;
    if (strcmp(settings->http, "off") == 0) {
        return true;
    }
    struct edge_options options = {
        .verbs = daemon->context, .bind = settings->http, .token_path = settings->http_token};
    if (edge_open(&options, &daemon->edge, reason)) {
        struct port_addr bound = edge_addr(daemon->edge);
        char addr[HOST_ADDR_TEXT_SIZE];
        host_addr_format(&bound, addr);
        log_say(&daemon->log, LOG_INFO, "http", "listening on %s", addr);
        return true;
    }
    daemon->edge = NULL;
    if (settings->is_http_default) {
        log_say(&daemon->log, LOG_WARN, "http", "off: %s", reason);
    }
    return settings->is_http_default;
}

static void open_signals(struct daemon *daemon)
{
    static const int numbers[SIGNALS] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < SIGNALS; i++) {
        must(uv_signal_init(host_loop_uv(daemon->loop), &daemon->signals[i]) == 0);
        daemon->signals[i].data = daemon;
        daemon->handles++;
        must(uv_signal_start(&daemon->signals[i], on_signal, numbers[i]) == 0);
    }
}

static void open_timers(struct daemon *daemon)
{
    uv_timer_t *timers[] = {&daemon->status_timer, &daemon->watchdog_timer};
    for (size_t i = 0; i < 2; i++) {
        must(uv_timer_init(host_loop_uv(daemon->loop), timers[i]) == 0);
        timers[i]->data = daemon;
        daemon->handles++;
    }
    if (notify_is_wanted()) {
        must(uv_timer_start(timers[0], on_status, STATUS_MS, STATUS_MS) == 0);
    }
    uint64_t watchdog_ms = notify_watchdog_us() / 2000; /* Twice as often as wanted. */
    if (watchdog_ms > 0) {
        must(uv_timer_start(timers[1], on_watchdog, watchdog_ms, watchdog_ms) == 0);
    }
}

static void close_all(struct daemon *daemon)
{
    close_shell(daemon);
    if (daemon->edge != NULL) {
        edge_close(daemon->edge);
    }
    if (daemon->control != NULL) {
        control_stop(daemon->control);
    }
    if (daemon->service != NULL) {
        daemon->log.service = NULL;
        service_close(daemon->service);
    }
    if (daemon->control != NULL) {
        control_close(daemon->control);
    }
    if (daemon->handles > 0) {
        for (size_t i = 0; i < SIGNALS; i++) {
            uv_close((uv_handle_t *)&daemon->signals[i], on_handle_closed);
        }
        uv_close((uv_handle_t *)&daemon->status_timer, on_handle_closed);
        uv_close((uv_handle_t *)&daemon->watchdog_timer, on_handle_closed);
    }
    while (daemon->handles > 0) {
        uv_run(host_loop_uv(daemon->loop), UV_RUN_ONCE);
    }
    if (daemon->loop != NULL) {
        daemon->log.loop = NULL;
        host_loop_close(daemon->loop);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct daemon *daemon = handle->data;
    daemon->handles--;
}

/* --- signals --------------------------------------------------------------------------------- */

/* In the shell Ctrl-C is a key; a terminal that hangs up ends the node that it was the shell of. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;
    if (daemon->is_quitting && number != SIGHUP) {
        _exit(number == SIGINT ? EXIT_INTERRUPTED : EXIT_TERMINATED); /* Asked twice. */
    }
    if (number == SIGINT && daemon->has_shell) {
        ssize_t written = write(daemon->notices[1], SHELL_INTERRUPT, sizeof SHELL_INTERRUPT - 1);
        (void)written; /* A full pipe holds enough of them. */
    } else if (number == SIGHUP && !daemon->has_shell) {
        reload(daemon);
    } else {
        quit(daemon);
    }
}

static void quit(void *arg)
{
    struct daemon *daemon = arg;
    daemon->is_quitting = true;
    service_stop_begin(daemon->service);
}

static bool set_log_level(void *arg, const char *level)
{
    struct daemon *daemon = arg;
    return log_set_level(&daemon->log, level);
}

/* What a running node can follow changes at once; nothing does when the file is wrong. */
static void reload(struct daemon *daemon)
{
    struct settings fresh = {0};
    struct text errors = {0};
    notify_send("RELOADING=1\nMONOTONIC_USEC=%llu",
                (unsigned long long)host_loop_now_us(daemon->loop));
    if (settings_reread(daemon->word_count, daemon->words, &fresh, &errors) &&
        follow(daemon, &fresh, &errors)) {
        char *changed = settings_changes(daemon->settings, &fresh, true);
        char *waiting = settings_changes(daemon->settings, &fresh, false);
        log_say(&daemon->log, LOG_INFO, "reload", "in force, and not as at the start: %s",
                changed != NULL ? changed : "nothing");
        if (waiting != NULL) {
            log_say(&daemon->log, LOG_WARN, "reload", "a restart is needed for %s", waiting);
        }
        free(changed);
        free(waiting);
    } else {
        errors.data[strcspn(errors.data, "\n")] = '\0';
        log_say(&daemon->log, LOG_ERROR, "reload", "nothing changed: %s", errors.data);
    }
    settings_free(&fresh);
    free(errors.data);
    notify_send("READY=1");
}

static bool follow(struct daemon *daemon, const struct settings *fresh, struct text *errors)
{
    char reason[HOST_REASON_SIZE];
    struct guard_config guard = service_options_of(daemon->service)->node.guard;
    settings_guard(fresh, &guard);
    if (!service_set_guard(daemon->service, &guard, reason) ||
        !service_set_bootstrap(daemon->service, (const char *const *)fresh->peers,
                               fresh->peer_count, reason)) {
        text_add(errors, "%s\n", reason);
        return false;
    }
    daemon->log.level = (enum log_level)fresh->log_level;
    daemon->log.format = (enum log_format)fresh->log_format;
    return true;
}

/* --- the service manager --------------------------------------------------------------------- */

static void on_status(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    struct service_health health;
    service_health(daemon->service, &health);
    char status[sizeof daemon->status];
    const char *reason = "";
    for (size_t i = 0; i < health.component_count && reason[0] == '\0'; i++) {
        reason = health.components[i].reason;
    }
    snprintf(status, sizeof status, "%s%s%.200s", service_state_text(health.state),
             reason[0] != '\0' ? ": " : "", reason);
    if (strcmp(status, daemon->status) != 0) {
        memcpy(daemon->status, status, sizeof status);
        notify_send("STATUS=%s", status);
    }
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    notify_send("WATCHDOG=1");
}

/* --- the shell's thread ---------------------------------------------------------------------- */

static void *run_shell(void *arg)
{
    shell_run(arg);
    return NULL;
}

/* Signals are the loop's: the thread takes none. Its lines come through a pipe that never makes the
 * loop wait. */
static void open_shell(struct daemon *daemon)
{
    if (daemon->settings->no_shell || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        return;
    }
    must(pipe(daemon->notices) == 0);
    for (size_t i = 0; i < 2; i++) {
        must(fcntl(daemon->notices[i], F_SETFD, FD_CLOEXEC) == 0);
    }
    must(fcntl(daemon->notices[1], F_SETFL, O_NONBLOCK) == 0);
    daemon->history = shell_history_path(daemon->settings->control);
    daemon->shell_options = (struct shell_options){.control = daemon->settings->control,
                                                   .history = daemon->history,
                                                   .notices = daemon->notices[0],
                                                   .is_own_node = true};
    if (isatty(STDERR_FILENO)) {
        daemon->log.descriptor = daemon->notices[1];
    }
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    must(pthread_create(&daemon->shell_thread, NULL, run_shell, &daemon->shell_options) == 0);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    daemon->has_shell = true;
}

/* The end of the pipe is the shell's signal to put the terminal back and end. */
static void close_shell(struct daemon *daemon)
{
    if (!daemon->has_shell) {
        return;
    }
    daemon->has_shell = false;
    daemon->log.descriptor = STDERR_FILENO;
    close(daemon->notices[1]);
    must(pthread_join(daemon->shell_thread, NULL) == 0);
    close(daemon->notices[0]);
    free(daemon->history);
}

/* --- the command ----------------------------------------------------------------------------- */

static int run(int count, char **words)
{
    struct settings settings = {0};
    int code;
    if (settings_read(count, words, &settings, &code)) {
        code = daemon_run(&settings, count, words);
    }
    settings_free(&settings);
    return code;
}

const struct program program_node = {
    .name = "",
    .operands = "",
    .summary = "Runs a node until it is told to end. On a terminal it shows a shell.",
    .example = "meshnode -p 8469 -b 127.0.0.1:8468",
    .run = run,
};
