/* replay.c - the simulator's must_failed(). */
#include "sim/engine/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/must.h"

#define US_PER_S 1000000

/* The one mutable global of the simulator: must() has no other way to reach the run. */
static struct replay_context current;
static _Thread_local struct replay_context own; /* Of this thread: only what differs. */

void replay_context_set(const struct replay_context *context)
{
    current = context != NULL ? *context : (struct replay_context){0};
}

void replay_thread_set(const uint64_t *now_us, const uint32_t *node, const uint64_t *events)
{
    own = (struct replay_context){.now_us = now_us, .node = node, .events = events};
}

_Noreturn void must_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "must failed: %s:%d: %s\n", file, line, condition);
    if (current.scenario != NULL) {
        const struct replay_context *at = own.now_us != NULL ? &own : &current;
        uint64_t now_us = *at->now_us;
        uint64_t until_us = now_us + 1; /* The event that failed has to be inside. */
        fprintf(stderr,
                "  node=%" PRIu32 " t=%" PRIu64 ".%06" PRIu64 "s event=%" PRIu64 " seed=0x%" PRIx64
                "\n",
                *at->node, now_us / US_PER_S, now_us % US_PER_S, *at->events, current.seed);
        fprintf(stderr,
                "  replay: meshtwin run %s --seeds 0x%" PRIx64 " --until %" PRIu64 ".%06" PRIu64
                "s\n",
                current.scenario, current.seed, until_us / US_PER_S, until_us % US_PER_S);
    }
    abort();
}
