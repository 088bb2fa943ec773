/* test_gate.c - who is let in: Host, Origin, token; and the file that the token lies in. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "node/edge/gate.h"

#define TOKEN "0123456789abcdef"

static char folder[64];
static char path[128];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/edge-token-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/token", folder);
}

static void remove_folder(void)
{
    unlink(path);
    rmdir(folder);
}

static void write_file(const char *text, mode_t mode)
{
    unlink(path);
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    cr_assert(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
    cr_assert_eq(fchmod(file, mode), 0);
    close(file);
}

/* 0 when admitted, else the code of the refusal. */
static int judge(const struct gate *gate, struct ask ask, enum gate_need need)
{
    struct answer answer = {0};
    int code = gate_admits(gate, &ask, need, &answer) ? 0 : answer.code;
    cr_expect(code == 0 || (strstr(answer.body.data, "\"error\"") != NULL &&
                            strstr(answer.body.data, "\"hint\"") != NULL));
    answer_free(&answer);
    return code;
}

static struct gate gate_with_token(bool is_local)
{
    struct gate gate = {.is_local = is_local, .has_token = true, .own_name = "node-a"};
    char reason[HOST_REASON_SIZE];
    write_file(TOKEN "\n", 0600);
    cr_assert(token_load(&gate.token, path, reason), "%s", reason);
    return gate;
}

TestSuite(gate, .init = make_folder, .fini = remove_folder);
TestSuite(token, .init = make_folder, .fini = remove_folder);

Test(gate, host_must_be_a_number_or_localhost)
{
    const struct gate gate = {.is_local = true, .own_name = "node-a"};
    static const struct {
        const char *host;
        int code;
    } rows[] = {
        {"127.0.0.1:8469", 0},
        {"127.0.0.1", 0},
        {"localhost:9000", 0},
        {"LocalHost", 0},
        {"[::1]:8469", 0},
        {"[::1]", 0},
        {NULL, 403},
        {"", 403},
        {"example.invalid:8469", 403},
        {"localhost.example.invalid", 403},
        {"127.0.0.1.example.invalid", 403},
        {"127.0.0.1:8469.example.invalid", 403},
        {"127.0.0.1:", 403},
        {"127.0.0.1:80:80", 403},
        {"127.0.0.1:123456", 403},
        {"[::1", 403},
        {"[::1]x", 403},
        {"[localhost]", 403},
        {"::1", 403},
        {"node-a", 403},
        {"localhost@example.invalid", 403},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect_eq(judge(&gate, (struct ask){.host = rows[i].host}, GATE_READ), rows[i].code,
                     "%s", rows[i].host != NULL ? rows[i].host : "no Host");
    }
}

Test(gate, own_name_counts_when_bound_to_more_than_loopback)
{
    const struct gate gate = gate_with_token(false);
    struct ask ask = {.host = "node-a:8469", .token = TOKEN};
    cr_expect_eq(judge(&gate, ask, GATE_READ), 0);
    ask.host = "node-b:8469";
    cr_expect_eq(judge(&gate, ask, GATE_READ), 403);
}

Test(gate, origin_must_be_this_very_address)
{
    const struct gate gate = {.is_local = true};
    struct ask ask = {.host = "127.0.0.1:8469"};
    static const struct {
        const char *origin;
        int code;
    } rows[] = {
        {"http://127.0.0.1:8469", 0},
        {"http://localhost:8469", 403},
        {"http://127.0.0.1:9000", 403},
        {"https://127.0.0.1:8469", 403},
        {"http://example.invalid", 403},
        {"null", 403},
        {"", 403},
        {"http://127.0.0.1:8469.example.invalid", 403},
        {"http://127.0.0.1:8469/", 403},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ask.origin = rows[i].origin;
        cr_expect_eq(judge(&gate, ask, GATE_OPEN), rows[i].code, "%s", rows[i].origin);
    }
}

Test(gate, writes_want_the_token_and_so_do_reads_from_elsewhere)
{
    for (int is_local = 0; is_local < 2; is_local++) {
        const struct gate gate = gate_with_token(is_local == 1);
        struct ask ask = {.host = "127.0.0.1:1"};
        cr_expect_eq(judge(&gate, ask, GATE_OPEN), 0);
        cr_expect_eq(judge(&gate, ask, GATE_READ), is_local ? 0 : 401);
        cr_expect_eq(judge(&gate, ask, GATE_WRITE), 401);
        ask.token = TOKEN "x";
        cr_expect_eq(judge(&gate, ask, GATE_WRITE), 401);
        ask.token = TOKEN;
        cr_expect_eq(judge(&gate, ask, GATE_WRITE), 0);
        ask.token = NULL;
        ask.authorization = "Bearer " TOKEN;
        cr_expect_eq(judge(&gate, ask, GATE_WRITE), 0);
        ask.authorization = "bearer   " TOKEN;
        cr_expect_eq(judge(&gate, ask, GATE_WRITE), 0);
        ask.authorization = "Basic " TOKEN;
        cr_expect_eq(judge(&gate, ask, GATE_WRITE), 401);
        ask.authorization = "Bearer ";
        cr_expect_eq(judge(&gate, ask, GATE_WRITE), 401);
    }
}

Test(gate, without_a_token_file_nothing_is_written)
{
    const struct gate gate = {.is_local = true};
    cr_expect_eq(judge(&gate, (struct ask){.host = "localhost", .token = ""}, GATE_WRITE), 403);
}

Test(gate, headers_that_come_twice_are_refused)
{
    const struct gate gate = {.is_local = true};
    const struct ask ask = {.host = "localhost", .is_ambiguous = true};
    cr_expect_eq(judge(&gate, ask, GATE_OPEN), 400);
}

Test(token, missing_file_is_made_for_its_owner_alone)
{
    struct token token;
    struct token again;
    char reason[HOST_REASON_SIZE];
    struct stat status;
    cr_assert(token_load(&token, path, reason), "%s", reason);
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0600);
    cr_expect_eq(status.st_size, 65, "64 digits and a newline");
    cr_assert(token_load(&again, path, reason), "%s", reason);
    cr_expect_eq(memcmp(&token, &again, sizeof token), 0);
    char text[128] = "";
    FILE *file = fopen(path, "r");
    cr_assert_eq(fscanf(file, "%127s", text), 1);
    fclose(file);
    cr_expect(token_matches(&token, text, strlen(text)));
}

Test(token, unsafe_files_are_refused_with_one_line)
{
    struct token token;
    static const struct {
        const char *text;
        mode_t mode;
        const char *reason;
    } rows[] = {
        {TOKEN, 0640, "chmod 600"}, {TOKEN, 0604, "chmod 600"},   {"short", 0600, "16 to 256"},
        {"", 0600, "16 to 256"},    {" \n\n", 0600, "16 to 256"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char reason[HOST_REASON_SIZE] = "";
        write_file(rows[i].text, rows[i].mode);
        cr_expect_not(token_load(&token, path, reason), "row %zu", i);
        cr_expect_not_null(strstr(reason, rows[i].reason), "%s", reason);
        cr_expect_null(strchr(reason, '\n'));
    }
    char reason[HOST_REASON_SIZE] = "";
    cr_expect_not(token_load(&token, folder, reason));
    cr_expect_not_null(strstr(reason, "regular file"), "%s", reason);
    cr_expect_not(token_load(&token, "/nowhere/token", reason));
    cr_expect_not_null(strstr(reason, "No such file"), "%s", reason);
}
