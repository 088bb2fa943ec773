/* disk_vfs.h - a disk for SQLite that loses power, fills up and fails, all in memory.
 *
 * What is written is seen at once and durable after a sync, as on a real machine. A power cut takes
 * each sector that was not synced or leaves it, in any combination; names that were not synced come
 * and go the same way. A failed sync loses what it should have kept for good, although it stays
 * readable until the power goes (Rebello et al., "Can Applications Recover from fsync Failures?",
 * USENIX ATC 2020).
 *
 *      disk_begin -> SQLite on DISK_VFS -> disk_cut_after, disk_limit, disk_fail
 *      cut -> every handle dead -> they are closed -> disk_restore -> the disk after the cut
 *
 * One disk per process. Safe to use from several threads.
 */
#ifndef TESTS_SUPPORT_DISK_VFS_H
#define TESTS_SUPPORT_DISK_VFS_H

#include <stdbool.h>
#include <stdint.h>

#define DISK_VFS "meshtwin-disk"

enum disk_operation {
    DISK_READ = 1,
    DISK_WRITE = 2,
    DISK_SYNC = 4,
    DISK_TRUNCATE = 8,
};

enum disk_part {
    DISK_DATABASE = 1,
    DISK_LOG = 2, /* And journals. */
};

void disk_begin(uint64_t seed);
/* Every handle is closed. */
void disk_end(void);

/* The power goes with the `operations`-th write, sync or truncation from now; 0: it does not. */
void disk_cut_after(uint64_t operations);
void disk_cut(void);
bool disk_is_cut(void);
/* Operations (writes, syncs, truncations) so far. */
uint64_t disk_operations(void);
/* After a cut: power is back, and a new handle sees what has survived. */
void disk_restore(void);

/* All files together have at most that many bytes; beyond, SQLITE_FULL. */
void disk_limit(uint64_t bytes);
uint64_t disk_used(void);

/* The `nth` matching operation from now fails, and the `count` - 1 after it; 0: none. Both masks.
 */
void disk_fail(unsigned operations, unsigned parts, uint64_t nth, uint64_t count);
/* Whether such a failure has happened since. */
bool disk_has_failed(void);

#endif /* TESTS_SUPPORT_DISK_VFS_H */
