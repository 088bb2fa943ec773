/* test_keyfile.c - a seed at rest: whole or not at all, for its owner alone, and damage is seen. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/base/hash.h"
#include "node/host/keyfile.h"

enum {
    PLAIN_LEN = 56,
    SEALED_LEN = 120,
    HASH_LEN = 16,
    PASSES_AT = 8,
    MEMORY_AT = 12,
};

static char folder[256];
static char path[300];
static char reason[HOST_REASON_SIZE];
static uint8_t seed[CRYPTO_SEED_LEN];
static uint8_t loaded[CRYPTO_SEED_LEN];

static void begin(void)
{
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.200s/meshtwin-key-XXXXXX", root != NULL ? root : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/identity.key", folder);
    for (size_t i = 0; i < sizeof seed; i++) {
        seed[i] = (uint8_t)(7 * i + 1);
    }
}

/* Names in the folder. */
static unsigned count_files(void)
{
    unsigned count = 0;
    DIR *list = opendir(folder);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(list);
    return count;
}

static void end(void)
{
    DIR *list = opendir(folder);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        char name[600];
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(name) != 0) {
            (void)rmdir(name);
        }
    }
    (void)closedir(list);
    cr_assert_eq(rmdir(folder), 0);
}

TestSuite(keyfile, .init = begin, .fini = end, .timeout = 60);

static size_t file_get(uint8_t *bytes, size_t cap)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    size_t len = fread(bytes, 1, cap, file);
    (void)fclose(file);
    return len;
}

static void file_set(const uint8_t *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, len, file), len);
    cr_assert_eq(fchmod(fileno(file), 0600), 0);
    (void)fclose(file);
}

static void expect(enum keyfile_verdict verdict, const char *passphrase, const char *part)
{
    reason[0] = '\0';
    memset(loaded, 0, sizeof loaded);
    enum keyfile_verdict found = keyfile_load(path, passphrase, loaded, reason);
    cr_assert_eq(found, verdict, "verdict %d: %s", found, reason);
    if (verdict == KEYFILE_OK) {
        cr_assert_eq(memcmp(seed, loaded, sizeof seed), 0);
        return;
    }
    cr_assert_not_null(strstr(reason, path), "no path in: %s", reason);
    cr_assert_not_null(strstr(reason, part), "no \"%s\" in: %s", part, reason);
    cr_assert_null(strchr(reason, '\n'));
    cr_assert_neq(memcmp(seed, loaded, sizeof seed), 0, "a refused file gave its seed");
}

static void create(const char *passphrase)
{
    cr_assert_eq(keyfile_create(path, passphrase, seed, reason), KEYFILE_OK, "%s", reason);
    cr_assert_eq(count_files(), 1u);
}

Test(keyfile, a_plain_seed_comes_back)
{
    expect(KEYFILE_MISSING, NULL, "No such file");
    umask(0);
    create(NULL);
    struct stat about;
    cr_assert_eq(stat(path, &about), 0);
    cr_assert_eq(about.st_mode & 07777u, 0600u);
    cr_assert_eq(about.st_size, PLAIN_LEN);
    expect(KEYFILE_OK, NULL, NULL);
    expect(KEYFILE_OK, "a passphrase it does not need", NULL);
}

Test(keyfile, a_sealed_seed_comes_back_for_its_passphrase_alone)
{
    create("correct horse");
    struct stat about;
    cr_assert_eq(stat(path, &about), 0);
    cr_assert_eq(about.st_mode & 07777u, 0600u);
    cr_assert_eq(about.st_size, SEALED_LEN);
    expect(KEYFILE_OK, "correct horse", NULL);
    expect(KEYFILE_LOCKED, NULL, "passphrase");
    expect(KEYFILE_WRONG_PASSPHRASE, "correct horse ", "does not open");
}

Test(keyfile, a_sealed_file_holds_nothing_of_the_seed)
{
    uint8_t first[SEALED_LEN];
    uint8_t second[SEALED_LEN];
    create("x");
    cr_assert_eq(file_get(first, sizeof first), sizeof first);
    cr_assert_eq(unlink(path), 0);
    create("x");
    cr_assert_eq(file_get(second, sizeof second), sizeof second);
    for (size_t at = 0; at + 4 <= sizeof first; at++) {
        for (size_t from = 0; from + 4 <= sizeof seed; from++) {
            cr_assert_neq(memcmp(first + at, seed + from, 4), 0, "four bytes of the seed");
        }
    }
    cr_assert_neq(memcmp(first + 16, second + 16, 16), 0, "one salt twice");
    cr_assert_neq(memcmp(first + 32, second + 32, 24), 0, "one nonce twice");
}

/* Every bit of every byte, and every other length. */
static void damage_everywhere(size_t len)
{
    uint8_t whole[SEALED_LEN];
    cr_assert_eq(file_get(whole, sizeof whole), len);
    for (size_t at = 0; at < len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            whole[at] ^= (uint8_t)(1u << bit);
            file_set(whole, len);
            expect(KEYFILE_DAMAGED, "x", "");
            whole[at] ^= (uint8_t)(1u << bit);
        }
    }
    for (size_t shorter = 0; shorter < len; shorter++) {
        file_set(whole, shorter);
        expect(KEYFILE_DAMAGED, "x", "");
    }
    uint8_t longer[SEALED_LEN + 200] = {0};
    memcpy(longer, whole, len);
    file_set(longer, len + 1);
    expect(KEYFILE_DAMAGED, "x", "");
    file_set(longer, sizeof longer);
    expect(KEYFILE_DAMAGED, "x", "");
    file_set(whole, len);
    expect(KEYFILE_OK, "x", NULL);
}

Test(keyfile, any_damage_to_a_plain_file_is_seen)
{
    create(NULL);
    damage_everywhere(PLAIN_LEN);
}

Test(keyfile, any_damage_to_a_sealed_file_is_seen)
{
    create("x");
    damage_everywhere(SEALED_LEN);
}

Test(keyfile, a_text_or_a_newer_file_is_none_of_ours)
{
    static const char text[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
    file_set((const uint8_t *)text, sizeof text - 1);
    expect(KEYFILE_DAMAGED, NULL, "no key file");
    file_set((const uint8_t *)"MTNKEY\2\0what may come", 22);
    expect(KEYFILE_DAMAGED, NULL, "version 2");
}

/* Somebody who can write the file makes its hash right too. */
static void file_forge(size_t at, uint32_t number)
{
    uint8_t bytes[SEALED_LEN];
    cr_assert_eq(file_get(bytes, sizeof bytes), sizeof bytes);
    for (size_t i = 0; i < 4; i++) {
        bytes[at + i] = (uint8_t)(number >> (24 - 8 * i));
    }
    hash_domain(bytes + SEALED_LEN - HASH_LEN, HASH_LEN, "meshnode keyfile",
                slice_of(bytes, SEALED_LEN - HASH_LEN), slice_of(NULL, 0));
    file_set(bytes, sizeof bytes);
}

Test(keyfile, a_hostile_file_cannot_ask_for_much)
{
    uint8_t honest[SEALED_LEN];
    create("x");
    cr_assert_eq(file_get(honest, sizeof honest), sizeof honest);
    static const uint32_t demands[][2] = {
        {MEMORY_AT, 64u << 20}, {MEMORY_AT, UINT32_MAX}, {MEMORY_AT, (1u << 20) + 1},
        {MEMORY_AT, 0},         {PASSES_AT, UINT32_MAX}, {PASSES_AT, 13},
        {PASSES_AT, 0},
    };
    for (size_t i = 0; i < array_len(demands); i++) {
        file_set(honest, sizeof honest);
        file_forge(demands[i][0], demands[i][1]);
        expect(KEYFILE_DAMAGED, "x", "asks for");
    }
    file_set(honest, sizeof honest);
    file_forge(MEMORY_AT, 8 << 10); /* Weaker than it was sealed: the seal covers it. */
    expect(KEYFILE_WRONG_PASSPHRASE, "x", "does not open");
}

Test(keyfile, a_file_that_others_may_use_is_refused)
{
    create(NULL);
    static const mode_t modes[] = {0640, 0620, 0610, 0604, 0602, 0601, 0777};
    for (size_t i = 0; i < array_len(modes); i++) {
        cr_assert_eq(chmod(path, modes[i]), 0);
        expect(KEYFILE_EXPOSED, NULL, "chmod 600 ");
    }
    cr_assert_eq(chmod(path, 0400), 0);
    expect(KEYFILE_OK, NULL, NULL);
}

Test(keyfile, a_file_of_another_user_is_refused)
{
    create(NULL);
    if (chown(path, geteuid() + 1, (gid_t)-1) != 0) {
        cr_skip_test("only root can give a file away");
    }
    expect(KEYFILE_EXPOSED, NULL, "belongs to user");
}

Test(keyfile, what_is_no_file_cannot_be_read_and_nobody_waits_for_it)
{
    cr_assert_eq(mkdir(path, 0700), 0);
    expect(KEYFILE_UNREADABLE, NULL, "a folder");
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect(KEYFILE_UNREADABLE, NULL, "no regular file");
    cr_assert_eq(unlink(path), 0);
    if (geteuid() != 0) { /* Who root is reads everything. */
        create(NULL);
        cr_assert_eq(chmod(path, 0), 0);
        expect(KEYFILE_UNREADABLE, NULL, "Permission denied");
    }
}

Test(keyfile, owner_and_mode_are_those_of_the_file_behind_a_link)
{
    create(NULL);
    char target[400];
    snprintf(target, sizeof target, "%s/mounted", folder);
    cr_assert_eq(rename(path, target), 0);
    cr_assert_eq(symlink("mounted", path), 0);
    expect(KEYFILE_OK, NULL, NULL);
    cr_assert_eq(chmod(target, 0644), 0);
    expect(KEYFILE_EXPOSED, NULL, "chmod 600 ");
}

Test(keyfile, a_name_that_is_taken_keeps_its_file)
{
    create(NULL);
    uint8_t other[CRYPTO_SEED_LEN] = {9};
    cr_assert_eq(keyfile_create(path, NULL, other, reason), KEYFILE_EXISTS);
    cr_assert_not_null(strstr(reason, path));
    cr_assert_eq(count_files(), 1u);
    expect(KEYFILE_OK, NULL, NULL);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("nowhere", path), 0); /* Nor is anything made behind a link. */
    cr_assert_eq(keyfile_create(path, NULL, other, reason), KEYFILE_EXISTS);
    cr_assert_eq(count_files(), 1u);
}

Test(keyfile, a_missing_folder_is_said)
{
    char missing[400];
    snprintf(missing, sizeof missing, "%s/none/identity.key", folder);
    cr_assert_eq(keyfile_create(missing, NULL, seed, reason), KEYFILE_UNREADABLE);
    cr_assert_not_null(strstr(reason, "No such file or directory"), "%s", reason);
    cr_assert_eq(count_files(), 0u);
}

/* One of several processes: starts when the pipe closes, and exits with its verdict. */
static pid_t race(int number, const int gate[2])
{
    pid_t child = fork();
    if (child == 0) {
        char byte;
        (void)close(gate[1]);
        (void)!read(gate[0], &byte, 1);
        memset(seed, number, sizeof seed);
        _exit(keyfile_create(path, NULL, seed, reason));
    }
    return child;
}

Test(keyfile, of_racing_creators_one_wins_and_nothing_else_is_left)
{
    enum { RACERS = 4 };
    for (int round = 0; round < 25; round++) {
        int gate[2];
        pid_t children[RACERS];
        cr_assert_eq(pipe(gate), 0);
        for (int i = 0; i < RACERS; i++) {
            children[i] = race(i, gate);
            cr_assert_gt(children[i], 0);
        }
        (void)close(gate[0]);
        (void)close(gate[1]);
        int winner = -1;
        for (int i = 0; i < RACERS; i++) {
            int status = 0;
            cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
            cr_assert(WIFEXITED(status));
            if (WEXITSTATUS(status) == KEYFILE_OK) {
                cr_assert_eq(winner, -1, "two have won");
                winner = i;
            } else {
                cr_assert_eq(WEXITSTATUS(status), KEYFILE_EXISTS);
            }
        }
        cr_assert_geq(winner, 0);
        memset(seed, winner, sizeof seed);
        expect(KEYFILE_OK, NULL, NULL);
        cr_assert_eq(count_files(), 1u);
        cr_assert_eq(unlink(path), 0);
    }
}
