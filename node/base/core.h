/* core.h - what every module of a node may use: its port, memory, timers, dice and counters.
 *
 * One per node, embedded in struct node; modules keep a pointer to it instead of five of their own.
 */
#ifndef NODE_BASE_CORE_H
#define NODE_BASE_CORE_H

#include "node/base/arena.h"
#include "node/base/err.h"
#include "node/base/rng.h"
#include "node/base/timerq.h"
#include "node/base/trace.h"
#include "node/port/port.h"

struct core {
    struct port *port;
    struct arena arena;
    struct timerq timers;
    struct rng rng; /* Protocol jitter and choices; never keys. */
    struct counters counters;
    uint64_t ticket_last; /* Of the storage commits of all modules: tickets rise. */
};

static inline uint64_t core_now(const struct core *core)
{
    return core->port->now_us;
}

static inline void core_trace(struct core *core, enum trace_kind kind, uint32_t subject, int64_t a,
                              int64_t b, int64_t c)
{
    struct port_trace event = {.kind = (uint16_t)kind, .subject = subject, .value = {a, b, c}};
    core->port->ops->trace(core->port, &event);
}

/* Commits what is staged in the storage, under the next ticket. ERR_OK, or why not. */
static inline int core_commit(struct core *core, uint64_t *ticket)
{
    *ticket = ++core->ticket_last;
    return core->port->ops->store_commit(core->port, *ticket);
}

#endif /* NODE_BASE_CORE_H */
