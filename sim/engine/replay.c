/* replay.c - the simulator's must_failed(). */
#include "sim/engine/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/must.h"

#define US_PER_S 1000000

/* The one mutable global of the simulator: must() has no other way to reach the run. */
static struct replay_context current;

void replay_context_set(const struct replay_context *context)
{
    current = context != NULL ? *context : (struct replay_context){0};
}

_Noreturn void must_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "must failed: %s:%d: %s\n", file, line, condition);
    if (current.scenario != NULL) {
        uint64_t now_us = *current.now_us;
        uint64_t until_us = now_us + 1; /* The event that failed has to be inside. */
        fprintf(stderr,
                "  node=%" PRIu32 " t=%" PRIu64 ".%06" PRIu64 "s event=%" PRIu64 " seed=0x%" PRIx64
                "\n",
                *current.node, now_us / US_PER_S, now_us % US_PER_S, *current.events, current.seed);
        fprintf(stderr,
                "  replay: meshtwin run %s --seeds 0x%" PRIx64 " --until %" PRIu64 ".%06" PRIu64
                "s\n",
                current.scenario, current.seed, until_us / US_PER_S, until_us % US_PER_S);
    }
    abort();
}
