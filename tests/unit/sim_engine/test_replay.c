/* test_replay.c - the last words of a simulator process. */
#include <signal.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/base/must.h"
#include "sim/engine/replay.h"

/* Breaks a must() in a child under `context` and returns what it wrote. */
static void last_words(const struct replay_context *context, char *text, size_t size)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        replay_context_set(context);
        must(text == NULL);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t got; (got = read(ends[0], text + len, size - 1 - len)) > 0;) {
        len += (size_t)got;
    }
    text[len] = '\0';
    close(ends[0]);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

Test(replay, broken_must_names_place_moment_and_command)
{
    uint64_t now_us = 61002003;
    uint32_t node = 17;
    uint64_t events = 123456;
    const struct replay_context context = {.scenario = "scenarios/first-mesh.jsonc",
                                           .seed = 0xabcdef,
                                           .now_us = &now_us,
                                           .node = &node,
                                           .events = &events};
    char text[1000];
    last_words(&context, text, sizeof text);
    cr_assert(strncmp(text, "must failed: ", 13) == 0, "%s", text);
    cr_assert_not_null(strstr(text, "test_replay.c:"), "%s", text);
    cr_assert_not_null(strstr(text, ": text == NULL\n"), "%s", text);
    cr_assert_not_null(strstr(text, "  node=17 t=61.002003s event=123456 seed=0xabcdef\n"), "%s",
                       text);
    const char *last = "  replay: meshtwin run scenarios/first-mesh.jsonc --seeds 0xabcdef "
                       "--until 61.002004s\n";
    cr_assert_str_eq(strstr(text, "  replay:"), last);
}

Test(replay, without_a_run_there_is_only_the_place)
{
    char text[1000];
    last_words(NULL, text, sizeof text);
    cr_assert_not_null(strstr(text, "test_replay.c:"), "%s", text);
    cr_assert_eq(strchr(text, '\n'), text + strlen(text) - 1, "one line: %s", text);
}
