/* test_corpus.c - replays the fuzzer's corpus, and a few thousand damaged scenarios, in every
 * build. */
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "fixtures.h"
#include "node/base/rng.h"
#include "node/cli/text.h"
#include "tests/fuzz/fuzz_scenario.c"

#define CORPUS_FOLDER    SOURCE_DIR "/tests/fuzz/corpus/scenario"
#define DAMAGED_PER_FILE 400

static size_t replay(const char *folder)
{
    DIR *directory = opendir(folder);
    cr_assert_not_null(directory, "no folder %s", folder);
    size_t count = 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        char *path = text_format("%s/%s", folder, entry->d_name);
        size_t len = 0;
        char *text = entry->d_name[0] != '.' ? text_read_file(path, 1 << 20, &len) : NULL;
        if (text != NULL) {
            LLVMFuzzerTestOneInput((const uint8_t *)text, len);
            count++;
        }
        free(text);
        free(path);
    }
    closedir(directory);
    return count;
}

Test(scenario_corpus, the_corpus_holds_what_the_fuzzer_found)
{
    cr_expect_geq(replay(CORPUS_FOLDER), 20);
    cr_expect_geq(replay(BAD_FOLDER), 60);
}

/* One file with a few bytes overwritten, dropped or doubled; the seed names the damage. */
static size_t damage(char *text, size_t len, uint64_t seed)
{
    static const char letters[] = "{}[]\",:0123456789.eE+-\\/*\n\x01\xc3 umsghx";
    struct rng rng;
    rng_stream(&rng, seed, "damage", 0, 0);
    uint64_t slips = 1 + rng_below(&rng, 4);
    for (uint64_t i = 0; i < slips && len > 2; i++) {
        size_t at = (size_t)rng_below(&rng, len - 1);
        switch (rng_below(&rng, 4)) {
        case 0:
            text[at] = letters[rng_below(&rng, sizeof letters - 1)];
            break;
        case 1:
            memmove(text + at, text + at + 1, len - at - 1);
            len--;
            break;
        case 2:
            text[at] = text[rng_below(&rng, len)];
            break;
        default:
            len = at + 1;
            break;
        }
    }
    return len;
}

Test(scenario_corpus, damaged_scenarios_get_complaints_and_nothing_worse, .timeout = 60)
{
    char **names = list_scenarios(GOOD_FOLDER);
    for (size_t i = 0; names[i] != NULL; i++) {
        char *path = text_format("%s/%s", GOOD_FOLDER, names[i]);
        size_t len;
        char *text = text_read_file(path, 1 << 20, &len);
        cr_assert_not_null(text);
        for (uint64_t seed = 0; seed < DAMAGED_PER_FILE; seed++) {
            char *copy = text_copy(text, len);
            size_t left = damage(copy, len, seed * 100 + i);
            LLVMFuzzerTestOneInput((const uint8_t *)copy, left);
            free(copy);
        }
        free(text);
        free(path);
    }
    list_free(names);
}
