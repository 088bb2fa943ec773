/* crew.h - a few threads that do one thing at the same time, again and again.
 *
 *      crew_run -> job(arg, 0) on the caller's thread, job(arg, 1) ... on the others -> return
 *
 * Everything written before crew_run is seen by the jobs, and everything the jobs wrote is seen
 * after it. A thread that waits looks for its turn for some microseconds, then sleeps: a run that
 * shares its cores with others loses little, and an idle one costs nothing.
 */
#ifndef SIM_HOST_CREW_H
#define SIM_HOST_CREW_H

#include <stdint.h>

struct crew;
typedef void (*crew_job_fn)(void *arg, uint32_t number);

/* `count` threads in all, at least 2, the caller's included. NULL when the system gives none. */
struct crew *crew_open(uint32_t count, crew_job_fn job, void *arg);
void crew_close(struct crew *crew);

void crew_run(struct crew *crew);

#endif /* SIM_HOST_CREW_H */
