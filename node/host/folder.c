/* folder.c - makes the names in a folder durable. */
#include "node/host/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool folder_sync(const char *path)
{
    char folder[PATH_MAX];
    if (strlen(path) >= sizeof folder) {
        errno = ENAMETOOLONG;
        return false;
    }
    snprintf(folder, sizeof folder, "%s", path);
    char *end = strrchr(folder, '/');
    if (end == NULL) {
        snprintf(folder, sizeof folder, ".");
    } else {
        end[end == folder ? 1 : 0] = '\0'; /* What lies in the root lies in "/". */
    }
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        return false;
    }
    bool is_synced = fsync(descriptor) == 0;
    int cause = errno;
    (void)close(descriptor);
    errno = cause;
    return is_synced;
}
