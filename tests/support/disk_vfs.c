/* disk_vfs.c - a disk for SQLite that loses power, fills up and fails, all in memory. */
#include "tests/support/disk_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/base/rng.h"
#include "node/base/slice.h"

enum {
    FILES_MAX = 64,
    NAME_SIZE = 512,
    SECTOR = 512, /* What a power cut leaves whole. */
    SHARED_LOCKS = SQLITE_SHM_NLOCK,
    REGIONS_MAX = 64,
};

/* A write or truncation that no sync has followed. */
struct change {
    struct change *next;
    uint64_t at; /* Of a truncation: the new length. */
    uint32_t len;
    bool is_truncation;
    uint8_t bytes[];
};

struct content {
    uint8_t *bytes;
    uint64_t len;
    uint64_t cap;
};

/* The memory that connections to one file share; outlives the file for dead handles. */
struct shared {
    void *regions[REGIONS_MAX];
    int users;
    int readers[SHARED_LOCKS];
    bool is_exclusive[SHARED_LOCKS];
};

struct inode {
    char name[NAME_SIZE];
    struct content now;
    struct content durable;
    struct change *changes;
    struct change **changes_end;
    bool is_linked;
    bool is_linked_durably;
    bool is_log;
    int handles;
    int readers; /* Locks, sqlite.org/lockingv3.html section 3. */
    const void *reserver;
    const void *pender;
    const void *excluder;
    struct shared *shared;
};

struct handle {
    sqlite3_file base;
    struct inode *inode;
    struct shared *shared;
    uint64_t epoch;
    int lock;
    uint16_t shared_mask; /* Locks held of the shared memory. */
    uint16_t exclusive_mask;
};

static struct {
    struct inode *inodes[FILES_MAX];
    uint32_t count;
    struct rng rng;
    sqlite3_mutex *mutex;
    uint64_t epoch;
    uint64_t operations;
    uint64_t cut_at;
    bool is_cut;
    uint64_t limit;
    unsigned fail_operations;
    unsigned fail_parts;
    uint64_t fail_in;
    uint64_t fail_count;
    bool has_failed;
} disk;

static void lock_disk(void)
{
    sqlite3_mutex_enter(disk.mutex);
}

static void unlock_disk(void)
{
    sqlite3_mutex_leave(disk.mutex);
}

static struct handle *handle_of(sqlite3_file *file)
{
    return (struct handle *)(void *)file;
}

static bool is_dead(const struct handle *handle)
{
    return disk.is_cut || handle->epoch != disk.epoch;
}

/* --- content -----------------------------------------------------------------------------------
 */

static void content_grow(struct content *content, uint64_t len)
{
    if (len > content->cap) {
        content->cap = len * 2;
        content->bytes = realloc(content->bytes, content->cap);
        must(content->bytes != NULL);
    }
    if (len > content->len) {
        memset(content->bytes + content->len, 0, len - content->len);
        content->len = len;
    }
}

static void content_write(struct content *content, uint64_t at, const void *bytes, uint32_t len)
{
    content_grow(content, at + len);
    if (len > 0) {
        memcpy(content->bytes + at, bytes, len);
    }
}

static void content_truncate(struct content *content, uint64_t len)
{
    content_grow(content, len);
    content->len = len;
}

static void content_apply(struct content *content, const struct change *change)
{
    if (change->is_truncation) {
        content_truncate(content, change->at);
    } else {
        content_write(content, change->at, change->bytes, change->len);
    }
}

static void change_add(struct inode *inode, uint64_t at, const void *bytes, uint32_t len,
                       bool is_truncation)
{
    struct change *change = malloc(sizeof *change + len);
    must(change != NULL);
    *change = (struct change){.at = at, .len = len, .is_truncation = is_truncation};
    if (len > 0) {
        memcpy(change->bytes, bytes, len);
    }
    content_apply(&inode->now, change);
    *inode->changes_end = change;
    inode->changes_end = &change->next;
}

/* Forgets what was not synced, after applying it where it became durable. */
static void changes_end(struct inode *inode, bool is_durable)
{
    while (inode->changes != NULL) {
        struct change *change = inode->changes;
        if (is_durable) {
            content_apply(&inode->durable, change);
        }
        inode->changes = change->next;
        free(change);
    }
    inode->changes_end = &inode->changes;
}

/* --- power -------------------------------------------------------------------------------------
 */

/* Sector by sector, kept with the chance of this cut. */
static void change_tear(struct inode *inode, const struct change *change, uint32_t chance)
{
    if (change->is_truncation) {
        if (rng_chance(&disk.rng, chance)) {
            content_truncate(&inode->durable, change->at);
        }
        return;
    }
    for (uint32_t done = 0; done < change->len;) {
        uint32_t len = SECTOR - (uint32_t)((change->at + done) % SECTOR);
        len = len < change->len - done ? len : change->len - done;
        if (rng_chance(&disk.rng, chance)) {
            content_write(&inode->durable, change->at + done, change->bytes + done, len);
        }
        done += len;
    }
}

static void inode_cut(struct inode *inode)
{
    static const uint32_t chances[] = {0, UINT32_MAX, UINT32_MAX / 2, UINT32_MAX / 16 * 15};
    uint32_t chance = chances[rng_below(&disk.rng, array_len(chances))];
    for (const struct change *change = inode->changes; change != NULL; change = change->next) {
        change_tear(inode, change, chance);
    }
    changes_end(inode, false);
    content_truncate(&inode->now, inode->durable.len);
    content_write(&inode->now, 0, inode->durable.bytes, (uint32_t)inode->durable.len);
    if (inode->is_linked != inode->is_linked_durably) {
        inode->is_linked = rng_chance(&disk.rng, UINT32_MAX / 2);
        inode->is_linked_durably = inode->is_linked;
    }
    inode->readers = 0;
    inode->reserver = inode->pender = inode->excluder = NULL;
    inode->shared = NULL;
}

static struct inode *inode_find(const char *name)
{
    for (uint32_t i = disk.count; i > 0; i--) { /* The newest of its name. */
        if (disk.inodes[i - 1]->is_linked && strcmp(disk.inodes[i - 1]->name, name) == 0) {
            return disk.inodes[i - 1];
        }
    }
    return NULL;
}

static void inode_free(struct inode *inode)
{
    changes_end(inode, false);
    free(inode->now.bytes);
    free(inode->durable.bytes);
    free(inode);
}

/* Inodes without name and handle. */
static void inodes_sweep(void)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < disk.count; i++) {
        struct inode *inode = disk.inodes[i];
        if (inode->handles == 0 && !inode->is_linked && !inode->is_linked_durably) {
            inode_free(inode);
        } else {
            disk.inodes[kept++] = inode;
        }
    }
    disk.count = kept;
}

/* Counts an operation that a power cut may stop. */
static int operate(struct handle *handle, enum disk_operation operation)
{
    if (is_dead(handle)) {
        return SQLITE_IOERR;
    }
    if (operation != DISK_READ && ++disk.operations == disk.cut_at) {
        disk.is_cut = true;
        return SQLITE_IOERR;
    }
    unsigned part = handle->inode->is_log ? DISK_LOG : DISK_DATABASE;
    if ((disk.fail_operations & operation) == 0 || (disk.fail_parts & part) == 0 ||
        disk.fail_in == 0 || --disk.fail_in > 0) {
        return SQLITE_OK;
    }
    disk.fail_in = --disk.fail_count > 0 ? 1 : 0;
    disk.has_failed = true;
    return operation == DISK_READ    ? SQLITE_IOERR_READ
           : operation == DISK_WRITE ? SQLITE_IOERR_WRITE
           : operation == DISK_SYNC  ? SQLITE_IOERR_FSYNC
                                     : SQLITE_IOERR_TRUNCATE;
}

static uint64_t used(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < disk.count; i++) {
        bytes += disk.inodes[i]->is_linked ? disk.inodes[i]->now.len : 0;
    }
    return bytes;
}

/* --- files -------------------------------------------------------------------------------------
 */

static int file_close(sqlite3_file *file)
{
    struct handle *handle = handle_of(file);
    lock_disk();
    must(handle->shared == NULL);
    handle->inode->handles--;
    inodes_sweep();
    unlock_disk();
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *buffer, int wanted, sqlite3_int64 at)
{
    struct handle *handle = handle_of(file);
    lock_disk();
    int status = operate(handle, DISK_READ);
    if (status == SQLITE_OK) {
        const struct content *now = &handle->inode->now;
        uint64_t left = (uint64_t)at < now->len ? now->len - (uint64_t)at : 0;
        size_t len = left < (uint64_t)wanted ? (size_t)left : (size_t)wanted;
        if (len > 0) {
            memcpy(buffer, now->bytes + at, len);
        }
        memset((uint8_t *)buffer + len, 0, (size_t)wanted - len);
        status = len < (size_t)wanted ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
    }
    unlock_disk();
    return status;
}

static int file_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    struct handle *handle = handle_of(file);
    lock_disk();
    struct inode *inode = handle->inode;
    uint64_t end = (uint64_t)at + (uint64_t)len;
    bool was_dead = is_dead(handle);
    int status = operate(handle, DISK_WRITE);
    if (!was_dead && disk.is_cut) {
        /* What the cut struck may have come through in parts. */
        change_add(inode, (uint64_t)at, bytes, (uint32_t)len, false);
    } else if (status == SQLITE_OK && end > inode->now.len &&
               used() + end - inode->now.len > disk.limit) {
        status = SQLITE_FULL;
    } else if (status == SQLITE_OK) {
        change_add(inode, (uint64_t)at, bytes, (uint32_t)len, false);
    }
    unlock_disk();
    return status;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 len)
{
    struct handle *handle = handle_of(file);
    lock_disk();
    int status = operate(handle, DISK_TRUNCATE);
    if (status == SQLITE_OK) {
        change_add(handle->inode, (uint64_t)len, NULL, 0, true);
    }
    unlock_disk();
    return status;
}

/* The first sync of a new log keeps its name too, and with it all names, as SQLite's unix part does
 * it: there is one folder. */
static int file_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    struct handle *handle = handle_of(file);
    lock_disk();
    int status = operate(handle, DISK_SYNC);
    bool is_durable = status == SQLITE_OK;
    if (is_durable || status == SQLITE_IOERR_FSYNC) {
        changes_end(handle->inode, is_durable);
    }
    if (is_durable && handle->inode->is_linked && !handle->inode->is_linked_durably) {
        for (uint32_t i = 0; i < disk.count; i++) {
            disk.inodes[i]->is_linked_durably = disk.inodes[i]->is_linked;
        }
    }
    unlock_disk();
    return status;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    struct handle *handle = handle_of(file);
    lock_disk();
    int status = is_dead(handle) ? SQLITE_IOERR_FSTAT : SQLITE_OK;
    *size = (sqlite3_int64)handle->inode->now.len;
    unlock_disk();
    return status;
}

/* --- locks -------------------------------------------------------------------------------------
 */

static bool is_other(const void *holder, const void *handle)
{
    return holder != NULL && holder != handle;
}

static int file_lock(sqlite3_file *file, int wanted)
{
    struct handle *handle = handle_of(file);
    lock_disk();
    struct inode *inode = handle->inode;
    int status = is_dead(handle) ? SQLITE_IOERR_LOCK : SQLITE_OK;
    if (status == SQLITE_OK && handle->lock < wanted) {
        if (wanted == SQLITE_LOCK_SHARED) {
            bool is_barred = inode->pender != NULL || inode->excluder != NULL;
            status = is_barred ? SQLITE_BUSY : SQLITE_OK;
            inode->readers += is_barred ? 0 : 1;
        } else if (is_other(inode->reserver, handle) || is_other(inode->pender, handle)) {
            status = SQLITE_BUSY;
        } else if (wanted == SQLITE_LOCK_RESERVED) {
            inode->reserver = handle;
        } else {
            inode->reserver = inode->pender = handle;
            status = inode->readers > 1 ? SQLITE_BUSY : SQLITE_OK;
            inode->excluder = status == SQLITE_OK ? handle : NULL;
        }
        handle->lock = status == SQLITE_OK ? wanted : handle->lock;
    }
    unlock_disk();
    return status;
}

static int file_unlock(sqlite3_file *file, int wanted)
{
    struct handle *handle = handle_of(file);
    lock_disk();
    struct inode *inode = handle->inode;
    if (!is_dead(handle) && handle->lock > wanted) {
        inode->reserver = inode->reserver == handle ? NULL : inode->reserver;
        inode->pender = inode->pender == handle ? NULL : inode->pender;
        inode->excluder = inode->excluder == handle ? NULL : inode->excluder;
        inode->readers -= wanted == SQLITE_LOCK_NONE && handle->lock >= SQLITE_LOCK_SHARED;
    }
    handle->lock = handle->lock > wanted ? wanted : handle->lock;
    unlock_disk();
    return SQLITE_OK;
}

static int file_is_reserved(sqlite3_file *file, int *is_reserved)
{
    struct handle *handle = handle_of(file);
    lock_disk();
    *is_reserved = handle->inode->reserver != NULL;
    unlock_disk();
    return SQLITE_OK;
}

/* --- shared memory -----------------------------------------------------------------------------
 */

static int shared_map(sqlite3_file *file, int region, int size, int extends, void volatile **mapped)
{
    struct handle *handle = handle_of(file);
    lock_disk();
    int status = is_dead(handle) ? SQLITE_IOERR_SHMMAP : SQLITE_OK;
    *mapped = NULL;
    if (status == SQLITE_OK && handle->shared == NULL) {
        if (handle->inode->shared == NULL) {
            handle->inode->shared = calloc(1, sizeof *handle->inode->shared);
            must(handle->inode->shared != NULL);
        }
        handle->shared = handle->inode->shared;
        handle->shared->users++;
    }
    if (status == SQLITE_OK) {
        must(region < REGIONS_MAX);
        void **memory = &handle->shared->regions[region];
        if (*memory == NULL && extends != 0) {
            *memory = calloc(1, (size_t)size);
            must(*memory != NULL);
        }
        *mapped = *memory;
    }
    unlock_disk();
    return status;
}

static int shared_lock(sqlite3_file *file, int first, int count, int flags)
{
    struct handle *handle = handle_of(file);
    struct shared *shared = handle->shared;
    uint16_t mask = (uint16_t)(((1u << count) - 1) << first);
    bool is_exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    uint16_t *held = is_exclusive ? &handle->exclusive_mask : &handle->shared_mask;
    int status = SQLITE_OK;
    lock_disk();
    for (int i = first; i < first + count && (flags & SQLITE_SHM_LOCK) != 0; i++) {
        int others = shared->readers[i] - ((handle->shared_mask >> i) & 1);
        bool is_barred = shared->is_exclusive[i] && ((handle->exclusive_mask >> i) & 1) == 0;
        if (is_barred || (is_exclusive && others > 0)) {
            status = SQLITE_BUSY;
        }
    }
    for (int i = first; i < first + count && status == SQLITE_OK; i++) {
        bool has = ((*held >> i) & 1) != 0;
        bool takes = (flags & SQLITE_SHM_LOCK) != 0;
        if (has == takes) {
            continue;
        }
        if (is_exclusive) {
            shared->is_exclusive[i] = takes;
        } else {
            shared->readers[i] += takes ? 1 : -1;
        }
    }
    if (status == SQLITE_OK) {
        *held = (uint16_t)((flags & SQLITE_SHM_LOCK) != 0 ? *held | mask : *held & ~mask);
    }
    unlock_disk();
    return status;
}

static void shared_barrier(sqlite3_file *file)
{
    (void)file;
    lock_disk();
    unlock_disk();
}

static int shared_unmap(sqlite3_file *file, int deletes)
{
    (void)deletes;
    struct handle *handle = handle_of(file);
    lock_disk();
    struct shared *shared = handle->shared;
    if (shared != NULL && --shared->users == 0) {
        for (size_t i = 0; i < REGIONS_MAX; i++) {
            free(shared->regions[i]);
        }
        if (handle->inode->shared == shared) {
            handle->inode->shared = NULL;
        }
        free(shared);
    }
    handle->shared = NULL;
    unlock_disk();
    return SQLITE_OK;
}

/* --- the rest of a VFS -------------------------------------------------------------------------
 */

static int file_control(sqlite3_file *file, int what, void *arg)
{
    (void)file;
    (void)what;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *file)
{
    (void)file;
    return SECTOR;
}

/* As the unix VFS: a write changes no byte outside it, even when power goes. */
static int file_traits(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_is_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = shared_map,
    .xShmLock = shared_lock,
    .xShmBarrier = shared_barrier,
    .xShmUnmap = shared_unmap,
};

/* name NULL: a temporary file, which no power cut brings back. */
static struct inode *inode_make(const char *name, bool is_log)
{
    must(disk.count < FILES_MAX);
    struct inode *inode = calloc(1, sizeof *inode);
    must(inode != NULL);
    if (name != NULL) {
        must(strlen(name) < NAME_SIZE);
        snprintf(inode->name, sizeof inode->name, "%s", name);
    }
    inode->changes_end = &inode->changes;
    inode->is_log = is_log;
    inode->is_linked = name != NULL;
    inode->is_linked_durably = name != NULL && !is_log; /* The store syncs the folder itself. */
    disk.inodes[disk.count++] = inode;
    return inode;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *given)
{
    (void)vfs;
    struct handle *handle = handle_of(file);
    handle->base.pMethods = NULL; /* Not to be closed, should this fail. */
    lock_disk();
    struct inode *inode = disk.is_cut || name == NULL ? NULL : inode_find(name);
    if (inode == NULL && !disk.is_cut && (flags & SQLITE_OPEN_CREATE) != 0) {
        inode = inode_make(name, (flags & SQLITE_OPEN_MAIN_DB) == 0);
    }
    if (inode != NULL) {
        inode->handles++;
        *handle =
            (struct handle){.base = {.pMethods = &methods}, .inode = inode, .epoch = disk.epoch};
        if (given != NULL) {
            *given = flags;
        }
    }
    unlock_disk();
    return inode != NULL ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int syncs)
{
    (void)vfs;
    lock_disk();
    struct inode *inode = disk.is_cut ? NULL : inode_find(name);
    int status = disk.is_cut     ? SQLITE_IOERR_DELETE
                 : inode == NULL ? SQLITE_IOERR_DELETE_NOENT
                                 : SQLITE_OK;
    if (status == SQLITE_OK) {
        inode->is_linked = false;
        inode->is_linked_durably = syncs != 0 ? false : inode->is_linked_durably;
        inodes_sweep();
    }
    unlock_disk();
    return status;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *is_there)
{
    (void)vfs;
    (void)flags;
    lock_disk();
    struct inode *inode = inode_find(name);
    *is_there = inode != NULL && (flags != SQLITE_ACCESS_EXISTS || inode->now.len > 0);
    unlock_disk();
    return SQLITE_OK;
}

static int vfs_name(sqlite3_vfs *vfs, const char *name, int size, char *full)
{
    (void)vfs;
    return snprintf(full, (size_t)size, "%s", name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_error(sqlite3_vfs *vfs, int size, char *text)
{
    (void)vfs;
    (void)size;
    (void)text;
    return 0;
}

static sqlite3_vfs disk_vfs = {
    .szOsFile = sizeof(struct handle),
    .mxPathname = NAME_SIZE,
    .zName = DISK_VFS,
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_name,
    .xGetLastError = vfs_error,
};

void disk_begin(uint64_t seed)
{
    must(sqlite3_initialize() == SQLITE_OK);
    const sqlite3_vfs *host = sqlite3_vfs_find(NULL);
    disk_vfs.iVersion = 2;
    disk_vfs.xRandomness = host->xRandomness;
    disk_vfs.xSleep = host->xSleep;
    disk_vfs.xCurrentTime = host->xCurrentTime;
    disk_vfs.xCurrentTimeInt64 = host->xCurrentTimeInt64;
    memset(&disk, 0, sizeof disk);
    disk.mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_FAST);
    disk.epoch = 1;
    disk.limit = UINT64_MAX;
    rng_stream(&disk.rng, seed, "disk", 0, 0);
    must(sqlite3_vfs_register(&disk_vfs, 0) == SQLITE_OK);
}

void disk_end(void)
{
    must(sqlite3_vfs_unregister(&disk_vfs) == SQLITE_OK);
    for (uint32_t i = 0; i < disk.count; i++) {
        must(disk.inodes[i]->handles == 0);
        inode_free(disk.inodes[i]);
    }
    sqlite3_mutex_free(disk.mutex);
    memset(&disk, 0, sizeof disk);
}

void disk_cut_after(uint64_t operations)
{
    lock_disk();
    disk.cut_at = operations > 0 ? disk.operations + operations : 0;
    unlock_disk();
}

void disk_cut(void)
{
    lock_disk();
    disk.is_cut = true;
    unlock_disk();
}

bool disk_is_cut(void)
{
    lock_disk();
    bool is_cut = disk.is_cut;
    unlock_disk();
    return is_cut;
}

uint64_t disk_operations(void)
{
    lock_disk();
    uint64_t operations = disk.operations;
    unlock_disk();
    return operations;
}

void disk_restore(void)
{
    lock_disk();
    for (uint32_t i = 0; i < disk.count; i++) {
        inode_cut(disk.inodes[i]);
    }
    for (uint32_t i = 0; i < disk.count; i++) { /* One file to a name: the newest. */
        struct inode *inode = disk.inodes[i];
        if (inode->is_linked && inode_find(inode->name) != inode) {
            inode->is_linked = inode->is_linked_durably = false;
        }
    }
    inodes_sweep();
    disk.is_cut = false;
    disk.cut_at = 0;
    disk.epoch++;
    unlock_disk();
}

void disk_limit(uint64_t bytes)
{
    lock_disk();
    disk.limit = bytes;
    unlock_disk();
}

uint64_t disk_used(void)
{
    lock_disk();
    uint64_t bytes = used();
    unlock_disk();
    return bytes;
}

void disk_fail(unsigned operations, unsigned parts, uint64_t nth, uint64_t count)
{
    lock_disk();
    disk.fail_operations = operations;
    disk.fail_parts = parts;
    disk.fail_in = nth;
    disk.fail_count = count;
    disk.has_failed = false;
    unlock_disk();
}

bool disk_has_failed(void)
{
    lock_disk();
    bool has_failed = disk.has_failed;
    unlock_disk();
    return has_failed;
}
