/* test_corpus.c - every input the fuzzers were given or found, once more, in every build. */
#include <signal.h>

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>

#include "tests/support/wire_check.h"
#include "tests/unit/node_wire/random_message.h"

static const char folder[] = SOURCE_DIR "/tests/fuzz/corpus/wire";

static size_t read_whole(const char *path, uint8_t *bytes, size_t cap)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    size_t len = fread(bytes, 1, cap, file);
    fclose(file);
    return len;
}

Test(corpus, every_input_is_refused_or_canonical)
{
    struct bare_port *bare = bare_open(1);
    DIR *inputs = opendir(folder);
    cr_assert_not_null(inputs, "%s", folder);
    uint32_t replayed = 0;
    for (struct dirent *entry = readdir(inputs); entry != NULL; entry = readdir(inputs)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        char path[512];
        uint8_t bytes[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        fprintf(stderr, "%s\n", entry->d_name); /* The last line names the culprit. */
        (void)wire_check(bare, slice_of(bytes, read_whole(path, bytes, sizeof bytes)));
        replayed++;
    }
    closedir(inputs);
    bare_close(bare);
    cr_assert_geq(replayed, message_kind_count);
}

/* Fuzzers find what is near to their seeds: each kind has one that is accepted. */
Test(corpus, every_kind_has_a_seed)
{
    struct bare_port *bare = bare_open(1);
    for (size_t k = 0; k < message_kind_count; k++) {
        char path[512];
        uint8_t bytes[4096];
        snprintf(path, sizeof path, "%s/%s", folder, message_text(message_kinds[k]));
        size_t len = read_whole(path, bytes, sizeof bytes);
        cr_assert_gt(len, 0);
        cr_assert_eq(bytes[0], message_kinds[k]);
        cr_assert(wire_check(bare, slice_of(bytes, len)), "%s", path);
    }
    bare_close(bare);
}
