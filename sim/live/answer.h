/* answer.h - what a node's replies say, in the terms of a script.
 *
 *      reply of find, get, put, ... -> answer_outcome -> struct live_outcome
 *      reply of stats               -> answer_totals  -> struct live_totals
 */
#ifndef SIM_LIVE_ANSWER_H
#define SIM_LIVE_ANSWER_H

#include <cJSON.h>

#include "sim/live/script.h"

/* Into command->live. */
void answer_outcome(const cJSON *reply, struct live_command *command);
/* All of the node's counters since its start, and its contacts now. */
void answer_totals(const cJSON *reply, struct live_totals *totals, uint32_t *contacts);

#endif /* SIM_LIVE_ANSWER_H */
