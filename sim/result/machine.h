/* machine.h - which program made a result, and on what: facts for the record, never for the run.
 *
 *      build, machine -> struct machine -> run table, `meshtwin version`
 */
#ifndef SIM_RESULT_MACHINE_H
#define SIM_RESULT_MACHINE_H

#include <stddef.h>
#include <stdint.h>

enum { MACHINE_CPU_SIZE = 96 };

struct machine {
    const char *version;    /* Of meshtwin. */
    const char *git_commit; /* "unknown" outside a checkout; "+" at its end: with changes. */
    const char *compiler;
    const char *build_flags;
    char cpu[MACHINE_CPU_SIZE];
};
void machine_describe(struct machine *machine);

uint32_t machine_cores(void);
uint64_t machine_memory_bytes(void);
uint64_t machine_clock_us(void);       /* Monotonic. */
uint64_t machine_peak_rss_bytes(void); /* Of this process. */
/* "2026-01-31T12:34:56Z" */
#define MACHINE_TIME_SIZE 21
void machine_time_utc(char text[MACHINE_TIME_SIZE]);

#endif /* SIM_RESULT_MACHINE_H */
