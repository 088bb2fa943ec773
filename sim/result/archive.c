/* archive.c - scenarios and their files into the results, and out again. */
#include "sim/result/archive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/cli/text.h"

#define FILE_LEN_MAX ((size_t)1 << 30)

/* A file that a scenario names, and where it names it. */
struct reference {
    const char *file;
    const char *sha256;
    char pointer[48];
};

/* Files put where a scenario can read them, for as long as it is being loaded. */
struct unpacked {
    char folder[64];
    char **overrides; /* "/pointer=path" */
    char **names;     /* What the scenario itself calls them. */
    size_t count;
};

static size_t references(const struct scenario *scenario, struct reference **list);
static int file_store(struct database *database, const struct reference *reference,
                      const char *scenario_path, char *error, size_t error_size);
static int unpack(struct database *database, uint64_t run_id, struct unpacked *unpacked,
                  char *error, size_t error_size);
static bool unpack_file(sqlite3_stmt *statement, struct unpacked *unpacked);
static void restore_names(struct scenario *scenario, const struct unpacked *unpacked);
static void unpacked_remove(struct unpacked *unpacked);
static char *scenario_text_of(struct database *database, uint64_t run_id);

char *archive_text(const struct scenario *scenario)
{
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    must(stream != NULL);
    scenario_print_resolved(scenario, stream);
    must(fclose(stream) == 0);
    return text;
}

int archive_files(struct database *database, const struct scenario *scenario, const char *path,
                  char *error, size_t error_size)
{
    struct reference *list = NULL;
    size_t count = references(scenario, &list);
    int status = ERR_OK;
    for (size_t i = 0; i < count && status == ERR_OK; i++) {
        status = file_store(database, &list[i], path, error, error_size);
    }
    free(list);
    return status;
}

void archive_references(struct database *database, const struct scenario *scenario, uint64_t run_id)
{
    struct reference *list = NULL;
    size_t count = references(scenario, &list);
    for (size_t i = 0; i < count; i++) {
        database_insert(database, DATABASE_RUN_FILE, database_integer(run_id),
                        database_text(list[i].pointer), database_text(list[i].file),
                        database_text(list[i].sha256));
    }
    free(list);
}

int archive_load(struct database *database, uint64_t run_id, struct scenario **scenario,
                 char *error, size_t error_size)
{
    *scenario = NULL;
    char *text = scenario_text_of(database, run_id);
    if (text == NULL) {
        snprintf(error, error_size, "there is no run %llu", (unsigned long long)run_id);
        return ERR_MISSING;
    }
    struct unpacked unpacked = {0};
    int status = unpack(database, run_id, &unpacked, error, error_size);
    if (status == ERR_OK) {
        struct scenario_options options = {.overrides = (const char *const *)unpacked.overrides,
                                           .override_count = unpacked.count};
        struct scenario_report report;
        scenario_report_init(&report);
        status = scenario_load_text("archived scenario", text, strlen(text), &options, scenario,
                                    &report);
        if (status != ERR_OK) {
            snprintf(error, error_size, "this program refuses the archived scenario: %s",
                     report.item_count > 0 ? report.items[0].message : err_text(status));
        }
        scenario_report_free(&report);
    }
    if (status == ERR_OK) {
        restore_names(*scenario, &unpacked);
    }
    unpacked_remove(&unpacked);
    free(text);
    return status;
}

static size_t references(const struct scenario *scenario, struct reference **list)
{
    const struct scenario_latency *latency = &scenario->network.latency;
    size_t count = 0;
    *list = text_alloc(scenario->group_count + 1u, sizeof **list);
    if (latency->file != NULL) {
        (*list)[count++] =
            (struct reference){latency->file, latency->file_sha256, "/network/latency/file"};
    }
    for (uint32_t i = 0; i < scenario->group_count; i++) {
        const struct scenario_churn *churn = &scenario->groups[i].churn;
        if (churn->trace_file != NULL) {
            struct reference *reference = &(*list)[count++];
            *reference =
                (struct reference){.file = churn->trace_file, .sha256 = churn->trace_sha256};
            snprintf(reference->pointer, sizeof reference->pointer, "/groups/%u/churn/trace", i);
        }
    }
    return count;
}

/* As the loader finds it: beside the scenario, unless the name begins at the root. */
static char *beside(const char *scenario_path, const char *file)
{
    const char *slash = strrchr(scenario_path, '/');
    if (file[0] == '/' || slash == NULL) {
        return text_copy(file, strlen(file));
    }
    return text_format("%.*s/%s", (int)(slash - scenario_path), scenario_path, file);
}

static int file_store(struct database *database, const struct reference *reference,
                      const char *scenario_path, char *error, size_t error_size)
{
    size_t len = 0;
    char *path = beside(scenario_path, reference->file);
    char *content = text_read_file(path, FILE_LEN_MAX, &len);
    int status = ERR_OK;
    if (content == NULL) {
        snprintf(error, error_size, "cannot read %s: %s", path, strerror(errno));
        status = ERR_IO;
    } else {
        char sha256[TEXT_SHA256_SIZE];
        text_sha256(content, len, sha256);
        if (strcmp(sha256, reference->sha256) != 0) {
            snprintf(error, error_size, "%s has changed since the scenario was read", path);
            status = ERR_STALE;
        } else {
            database_insert(database, DATABASE_FILE, database_text(sha256),
                            database_blob(content, len));
        }
    }
    free(content);
    free(path);
    return status;
}

static char *scenario_text_of(struct database *database, uint64_t run_id)
{
    char *text = NULL;
    sqlite3_stmt *statement =
        database_prepare(database, "SELECT scenario_json FROM run WHERE run_id = ?");
    if (statement != NULL && sqlite3_bind_int64(statement, 1, (sqlite3_int64)run_id) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        const char *found = (const char *)sqlite3_column_text(statement, 0);
        text = text_copy(found, strlen(found));
    }
    sqlite3_finalize(statement);
    return text;
}

static int unpack(struct database *database, uint64_t run_id, struct unpacked *unpacked,
                  char *error, size_t error_size)
{
    const char *parent = getenv("TMPDIR");
    int len = snprintf(unpacked->folder, sizeof unpacked->folder, "%s/meshtwin-XXXXXX",
                       parent != NULL && strlen(parent) < 40 ? parent : "/tmp");
    must(len < (int)sizeof unpacked->folder);
    if (mkdtemp(unpacked->folder) == NULL) {
        snprintf(error, error_size, "cannot make a temporary folder: %s", strerror(errno));
        unpacked->folder[0] = '\0';
        return ERR_IO;
    }
    sqlite3_stmt *statement = database_prepare(
        database, "SELECT r.pointer, f.content, r.name FROM run_file r JOIN file f USING(sha256)"
                  " WHERE r.run_id = ? ORDER BY r.pointer");
    if (statement == NULL || sqlite3_bind_int64(statement, 1, (sqlite3_int64)run_id) != SQLITE_OK) {
        snprintf(error, error_size, "%s", database->error);
        return ERR_IO;
    }
    bool ok = true;
    while (ok && sqlite3_step(statement) == SQLITE_ROW) {
        ok = unpack_file(statement, unpacked);
    }
    sqlite3_finalize(statement);
    if (!ok) {
        snprintf(error, error_size, "cannot write into %s: %s", unpacked->folder, strerror(errno));
        return ERR_IO;
    }
    return ERR_OK;
}

static bool unpack_file(sqlite3_stmt *statement, struct unpacked *unpacked)
{
    char *path = text_format("%s/%zu", unpacked->folder, unpacked->count);
    FILE *file = fopen(path, "wb");
    bool ok = file != NULL;
    if (ok) {
        size_t len = (size_t)sqlite3_column_bytes(statement, 1);
        ok = len == 0 || fwrite(sqlite3_column_blob(statement, 1), 1, len, file) == len;
        ok = fclose(file) == 0 && ok;
    }
    unpacked->overrides =
        text_grow(unpacked->overrides, unpacked->count, sizeof *unpacked->overrides);
    unpacked->names = text_grow(unpacked->names, unpacked->count, sizeof *unpacked->names);
    const char *name = (const char *)sqlite3_column_text(statement, 2);
    unpacked->names[unpacked->count] = text_copy(name, strlen(name));
    unpacked->overrides[unpacked->count++] =
        text_format("%s=%s", (const char *)sqlite3_column_text(statement, 0), path);
    free(path);
    return ok;
}

/* The contents are loaded: the scenario may say again where it had them from. */
static void restore_names(struct scenario *scenario, const struct unpacked *unpacked)
{
    for (size_t i = 0; i < unpacked->count; i++) {
        unsigned group = 0;
        char **place = &scenario->network.latency.file;
        if (sscanf(unpacked->overrides[i], "/groups/%u/churn/trace=", &group) == 1) {
            must(group < scenario->group_count);
            place = &scenario->groups[group].churn.trace_file;
        }
        free(*place);
        *place = text_copy(unpacked->names[i], strlen(unpacked->names[i]));
    }
}

static void unpacked_remove(struct unpacked *unpacked)
{
    for (size_t i = 0; i < unpacked->count; i++) {
        (void)unlink(strchr(unpacked->overrides[i], '=') + 1);
        free(unpacked->overrides[i]);
        free(unpacked->names[i]);
    }
    free(unpacked->overrides);
    free(unpacked->names);
    if (unpacked->folder[0] != '\0') {
        (void)rmdir(unpacked->folder);
    }
}
