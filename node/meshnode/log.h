/* log.h - one line per event, for people or for programs.
 *
 * Reads what the service's observers hear, nothing else; so it shows what a node does and never
 * changes it. Each kind of event has a budget of lines; what is over it is counted and told with
 * the next line of the kind.
 *
 *      event, trace, note -> level, budget -> text or JSON line -> stderr, or the shell's screen
 *
 *      2026-11-26T11:02:03.456Z info  session.up peer=3fa2c01b77d0 handshake_us=812 initiator=1
 *      {"time":"2026-11-26T11:02:03.456Z","level":"info","event":"session.up","peer":"3fa2...",...}
 */
#ifndef NODE_MESHNODE_LOG_H
#define NODE_MESHNODE_LOG_H

#include "node/daemon/service.h"

enum log_level {
    LOG_ERROR,
    LOG_WARN,
    LOG_INFO,
    LOG_DEBUG,
};

enum log_format {
    LOG_TEXT,
    LOG_JSON,
};

/* "error", "warn", ... and "text", "json"; NULL at the end: choices of options. */
extern const char *const log_level_names[];
extern const char *const log_format_names[];

enum {
    LOG_LINE_MAX = 2048,
    LOG_BURST = 50, /* Lines of one kind within a window. */
    LOG_WINDOW_US = 1000000,
    LOG_KINDS = 64,
};

struct log_budget {
    uint64_t window_us; /* When it began. */
    uint32_t lines;
    uint32_t silenced;
};

struct log {
    enum log_level level;
    enum log_format format;
    int descriptor;
    struct host_loop *loop;  /* Its clock; NULL before there is one. */
    struct service *service; /* For the peers that traces name; NULL: none yet. */
    struct service_observer observer;
    struct log_budget budgets[LOG_KINDS];
};

void log_open(struct log *log, enum log_level level, enum log_format format);
/* False when there is no such level. */
bool log_set_level(struct log *log, const char *name);

/* A remark of the daemon itself: `event` is what happened ("start"), the rest its sentence. */
void log_say(struct log *log, enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif /* NODE_MESHNODE_LOG_H */
