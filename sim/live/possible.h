/* possible.h - whether real processes on this machine can do what a scenario wants.
 *
 *      struct scenario -> live_is_possible -> true, or the first thing that cannot be
 */
#ifndef SIM_LIVE_POSSIBLE_H
#define SIM_LIVE_POSSIBLE_H

#include "sim/scenario/scenario.h"

/* False with a one-line reason that names the key and what to do about it. */
bool live_is_possible(const struct scenario *scenario, char *reason, size_t reason_size);

#endif /* SIM_LIVE_POSSIBLE_H */
