/* store_rig.h - a store in a folder of its own, with all it told its hooks.
 *
 * One per test. The folder lies under $TMPDIR and goes with the rig.
 *
 *      rig_begin -> rig_open -> store calls, rig_settle -> rig_close, rig_abandon -> rig_end
 */
#ifndef TESTS_UNIT_NODE_HOST_STORE_RIG_H
#define TESTS_UNIT_NODE_HOST_STORE_RIG_H

#include "node/host/store.h"

enum {
    RIG_SETTLED_MAX = 4096,
    RIG_NOTES_MAX = 1024,
    RIG_TEXT_SIZE = 1024,
};

struct rig {
    uv_loop_t loop;
    char folder[256];
    char path[300];
    const char *vfs;
    struct store *store; /* NULL while closed. */
    struct {
        uint64_t ticket;
        int status;
    } settled[RIG_SETTLED_MAX];
    size_t settled_count;
    struct {
        enum host_note how;
        char text[RIG_TEXT_SIZE];
    } notes[RIG_NOTES_MAX];
    size_t note_count;
    bool is_calling; /* Inside a store call from which no hook may come. */
};

void rig_begin(struct rig *rig);
void rig_end(struct rig *rig);

/* ERR_OK or ERR_IO, with rig's path or in memory. */
int rig_try(struct rig *rig, const char *path, char reason[HOST_REASON_SIZE]);
void rig_open(struct rig *rig); /* Has to succeed. */
void rig_close(struct rig *rig);
void rig_abandon(struct rig *rig);

void rig_put(struct rig *rig, const char *key, const char *value);
void rig_commit(struct rig *rig, uint64_t ticket);
/* Runs the loop until `ticket` has been told. */
void rig_settle(struct rig *rig, uint64_t ticket);
/* Asserts what a key reads as; NULL: nothing. */
void rig_expect(struct rig *rig, const char *key, const char *value);
/* "a=1 b=2 " of everything under a prefix. */
void rig_list(struct rig *rig, const char *prefix, char *out, size_t size);
/* The last status told at or above `ticket`; 1: none. */
int rig_status(const struct rig *rig, uint64_t ticket);
/* Whether a note contains `text`. */
bool rig_noted(const struct rig *rig, const char *text);
/* Files of the folder whose names contain `part`. */
unsigned rig_files(const struct rig *rig, const char *part);
/* The name of the one such file, as a path. */
void rig_file(const struct rig *rig, const char *part, char *path, size_t size);

static inline struct slice rig_slice(const char *text)
{
    size_t len = 0;
    while (text[len] != '\0') {
        len++;
    }
    return slice_of(text, len);
}

#endif /* TESTS_UNIT_NODE_HOST_STORE_RIG_H */
