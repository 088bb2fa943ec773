/* machine.c - asks the compiler and the operating system who they are. */
#include "sim/result/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <meshtwin_commit.h> /* Written by commit.cmake at build time. */

#include "node/base/must.h"

#if defined(__clang__)
#define MACHINE_COMPILER "clang " __clang_version__
#else
#define MACHINE_COMPILER "gcc " __VERSION__
#endif

static void cpu_name(char *text, size_t size);

void machine_describe(struct machine *machine)
{
    *machine = (struct machine){.version = MESHTWIN_VERSION,
                                .git_commit = MESHTWIN_COMMIT,
                                .compiler = MACHINE_COMPILER,
                                .build_flags = MESHTWIN_BUILD_FLAGS};
    cpu_name(machine->cpu, sizeof machine->cpu);
}

uint32_t machine_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (uint32_t)cores : 1;
}

uint64_t machine_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
}

uint64_t machine_clock_us(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t machine_peak_rss_bytes(void)
{
    struct rusage usage;
    must(getrusage(RUSAGE_SELF, &usage) == 0);
    return (uint64_t)usage.ru_maxrss * 1024;
}

void machine_time_utc(char text[MACHINE_TIME_SIZE])
{
    time_t now = time(NULL);
    struct tm utc;
    must(gmtime_r(&now, &utc) != NULL);
    must(strftime(text, MACHINE_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0);
}

/* The first "model name" of Linux; other systems and processors go without. */
static void cpu_name(char *text, size_t size)
{
    snprintf(text, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL) {
        return;
    }
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        const char *colon = strstr(line, ": ");
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            snprintf(text, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    fclose(file);
}
