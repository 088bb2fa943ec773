/* corpus.h - inputs of a fuzz target, once more in every build.
 *
 *      each file of tests/fuzz/corpus/TARGET -> the check of that target -> how many it took
 */
#ifndef TESTS_SUPPORT_CORPUS_H
#define TESTS_SUPPORT_CORPUS_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>

#include "node/base/slice.h"

struct corpus_count {
    uint32_t replayed;
    uint32_t accepted; /* The check returned true. */
};

static inline struct corpus_count corpus_replay(const char *folder, bool (*check)(struct slice))
{
    DIR *inputs = opendir(folder);
    cr_assert_not_null(inputs, "%s", folder);
    struct corpus_count count = {0};
    for (struct dirent *entry = readdir(inputs); entry != NULL; entry = readdir(inputs)) {
        char path[512];
        uint8_t bytes[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = fopen(path, "rb");
        cr_assert_not_null(file, "%s", path);
        size_t len = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        count.accepted += check(slice_of(bytes, len));
        count.replayed++;
    }
    closedir(inputs);
    return count;
}

#endif /* TESTS_SUPPORT_CORPUS_H */
