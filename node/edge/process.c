/* process.c - reads /proc (proc(5)). */
#include "node/edge/process.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "node/cli/text.h"

enum {
    FILE_BYTES_MAX = 1 << 20,
    /* Fields of /proc/self/stat, counted from the one behind the name in parentheses. */
    STAT_USER_TICKS = 11,
    STAT_SYSTEM_TICKS = 12,
    STAT_START_TICKS = 19,
    STAT_VIRTUAL_BYTES = 20,
    STAT_RESIDENT_PAGES = 21,
    STAT_FIELDS = 22,
};

static double boot_time_s(void);
static uint64_t count_open_files(void);

void process_read(struct process *process)
{
    *process = (struct process){0};
    size_t len;
    char *stat = text_read_file("/proc/self/stat", FILE_BYTES_MAX, &len);
    char *at = stat != NULL ? strrchr(stat, ')') : NULL;
    uint64_t fields[STAT_FIELDS] = {0};
    for (size_t i = 0; at != NULL && i < STAT_FIELDS; i++) {
        at = strchr(at + 1, ' ');
        fields[i] = at != NULL ? strtoull(at + 1, NULL, 10) : 0;
    }
    free(stat);
    double tick_s = 1.0 / (double)sysconf(_SC_CLK_TCK);
    process->cpu_s = (double)(fields[STAT_USER_TICKS] + fields[STAT_SYSTEM_TICKS]) * tick_s;
    process->started_s = boot_time_s() + (double)fields[STAT_START_TICKS] * tick_s;
    process->resident_bytes = fields[STAT_RESIDENT_PAGES] * (uint64_t)sysconf(_SC_PAGESIZE);
    process->virtual_bytes = fields[STAT_VIRTUAL_BYTES];
    process->open_files = count_open_files();
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        process->open_files_max = limit.rlim_cur;
    }
}

static double boot_time_s(void)
{
    size_t len;
    char *stat = text_read_file("/proc/stat", FILE_BYTES_MAX, &len);
    const char *line = stat != NULL ? strstr(stat, "\nbtime ") : NULL;
    double time_s = line != NULL ? strtod(line + strlen("\nbtime "), NULL) : 0;
    free(stat);
    return time_s;
}

/* The folder that is being read counts as open, too. */
static uint64_t count_open_files(void)
{
    uint64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL) {
        count++;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count > 3 ? count - 3 : 0; /* ".", "..", and that one. */
}
