/* replay.h - what a simulator process says when a must() breaks: where, when, and how to see it
 * again.
 *
 * This folder defines must_failed() for every program that links the simulator. The world points
 * the context at its live counters before the run; the last line printed is then a command that
 * leads back to the very event.
 *
 *      replay_context_set -> (must breaks) -> stderr: file:line, node, time, seed, command -> abort
 */
#ifndef SIM_ENGINE_REPLAY_H
#define SIM_ENGINE_REPLAY_H

#include <stdint.h>

/* The pointers are read when a must() breaks, so they stay valid until the context is cleared. */
struct replay_context {
    const char *scenario; /* Path as given on the command line. */
    uint64_t seed;
    const uint64_t *now_us;
    const uint32_t *node;   /* Owner being entered. */
    const uint64_t *events; /* Events handled so far. */
};

/* One per process; copied. NULL clears it: a broken must() then prints only its own line. */
void replay_context_set(const struct replay_context *context);

/* On a thread that runs a part of the world: its own time, node and count of events instead. */
void replay_thread_set(const uint64_t *now_us, const uint32_t *node, const uint64_t *events);

#endif /* SIM_ENGINE_REPLAY_H */
