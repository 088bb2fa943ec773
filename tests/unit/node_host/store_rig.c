/* store_rig.c - a store in a folder of its own, with all it told its hooks. */
#include "tests/unit/node_host/store_rig.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_settled(void *arg, uint64_t ticket, int status)
{
    struct rig *rig = arg;
    cr_assert_not(rig->is_calling, "settled from inside a call");
    cr_assert_lt(rig->settled_count, (size_t)RIG_SETTLED_MAX);
    if (rig->settled_count > 0) {
        cr_assert_lt(rig->settled[rig->settled_count - 1].ticket, ticket, "tickets out of order");
    }
    rig->settled[rig->settled_count].ticket = ticket;
    rig->settled[rig->settled_count++].status = status;
}

static void on_noted(void *arg, enum host_note how, const char *text)
{
    struct rig *rig = arg;
    cr_assert_lt(rig->note_count, (size_t)RIG_NOTES_MAX, "one note more: %s", text);
    rig->notes[rig->note_count].how = how;
    snprintf(rig->notes[rig->note_count++].text, RIG_TEXT_SIZE, "%s", text);
}

void rig_begin(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    const char *root = getenv("TMPDIR");
    snprintf(rig->folder, sizeof rig->folder, "%.200s/meshtwin-store-XXXXXX",
             root != NULL ? root : "/tmp");
    cr_assert_not_null(mkdtemp(rig->folder));
    snprintf(rig->path, sizeof rig->path, "%s/node.db", rig->folder);
    cr_assert_eq(uv_loop_init(&rig->loop), 0);
}

void rig_end(struct rig *rig)
{
    if (rig->store != NULL) {
        rig_abandon(rig);
    }
    cr_assert_eq(uv_loop_close(&rig->loop), 0, "the store left a handle");
    DIR *folder = opendir(rig->folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", rig->folder, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(path) != 0) {
            (void)rmdir(path);
        }
    }
    (void)closedir(folder);
    cr_assert_eq(rmdir(rig->folder), 0);
}

int rig_try(struct rig *rig, const char *path, char reason[HOST_REASON_SIZE])
{
    struct store_options options = {
        .path = path, .vfs = rig->vfs, .loop = &rig->loop, .hooks = {rig, on_settled, on_noted}};
    rig->settled_count = 0;
    return store_open(&options, &rig->store, reason);
}

void rig_open(struct rig *rig)
{
    char reason[HOST_REASON_SIZE] = "";
    cr_assert_eq(rig_try(rig, rig->path, reason), ERR_OK, "%s", reason);
}

void rig_close(struct rig *rig)
{
    store_close(rig->store);
    rig->store = NULL;
}

void rig_abandon(struct rig *rig)
{
    store_abandon(rig->store);
    rig->store = NULL;
}

void rig_put(struct rig *rig, const char *key, const char *value)
{
    cr_assert_eq(store_put(rig->store, rig_slice(key), rig_slice(value)), ERR_OK);
}

void rig_commit(struct rig *rig, uint64_t ticket)
{
    rig->is_calling = true;
    cr_assert_eq(store_commit(rig->store, ticket), ERR_OK);
    rig->is_calling = false;
}

void rig_settle(struct rig *rig, uint64_t ticket)
{
    while (rig_status(rig, ticket) > 0) {
        uv_run(&rig->loop, UV_RUN_ONCE);
    }
}

void rig_expect(struct rig *rig, const char *key, const char *value)
{
    char buffer[256] = {0};
    size_t len = 0;
    int status = store_get(rig->store, rig_slice(key), buffer, sizeof buffer - 1, &len);
    if (value == NULL) {
        cr_assert_eq(status, ERR_MISSING, "%s is there: %s", key, buffer);
        return;
    }
    cr_assert_eq(status, ERR_OK, "%s: %s", key, err_text(status));
    cr_assert_eq(len, strlen(value));
    cr_assert_str_eq(buffer, value);
}

struct listing {
    char *out;
    size_t size;
};

static bool list_one(void *arg, struct slice key, struct slice value)
{
    struct listing *listing = arg;
    size_t used = strlen(listing->out);
    snprintf(listing->out + used, listing->size - used, "%.*s=%.*s ", (int)key.len,
             (const char *)key.data, (int)value.len, (const char *)value.data);
    return true;
}

void rig_list(struct rig *rig, const char *prefix, char *out, size_t size)
{
    out[0] = '\0';
    struct listing listing = {out, size};
    cr_assert_eq(store_scan(rig->store, rig_slice(prefix), list_one, &listing), ERR_OK);
}

int rig_status(const struct rig *rig, uint64_t ticket)
{
    for (size_t i = 0; i < rig->settled_count; i++) {
        if (rig->settled[i].ticket >= ticket) {
            return rig->settled[i].status;
        }
    }
    return 1;
}

bool rig_noted(const struct rig *rig, const char *text)
{
    for (size_t i = 0; i < rig->note_count; i++) {
        if (strstr(rig->notes[i].text, text) != NULL) {
            return true;
        }
    }
    return false;
}

/* The number of matching names; the last of them in `path`, unless NULL. */
static unsigned find_files(const struct rig *rig, const char *part, char *path, size_t size)
{
    unsigned count = 0;
    DIR *folder = opendir(rig->folder);
    cr_assert_not_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strstr(entry->d_name, part) != NULL) {
            count++;
            if (path != NULL) {
                snprintf(path, size, "%s/%s", rig->folder, entry->d_name);
            }
        }
    }
    (void)closedir(folder);
    return count;
}

unsigned rig_files(const struct rig *rig, const char *part)
{
    return find_files(rig, part, NULL, 0);
}

void rig_file(const struct rig *rig, const char *part, char *path, size_t size)
{
    cr_assert_eq(find_files(rig, part, path, size), 1u, "not one file named *%s*", part);
}
