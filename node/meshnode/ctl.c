/* ctl.c - `meshnode ctl`: one verb to a running node, or a shell for it. */
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/meshnode/client.h"
#include "node/meshnode/program.h"
#include "node/meshnode/shell.h"

struct ctl_arguments {
    bool help;
    uint64_t port;
    const char *control;
    bool json;
};

#define AT(field) offsetof(struct ctl_arguments, field)
static const struct option ctl_options[] = {
    PROGRAM_HELP_OPTION,
    {'p', "port", "N", OPTION_COUNT, AT(port), NULL, "the node's port, for its socket (8468)"},
    {0, "control", "PATH", OPTION_TEXT, AT(control), NULL,
     "the node's control socket (default STATE/PORT/control.sock)"},
    {0, "json", NULL, OPTION_FLAG, AT(json), NULL,
     "print the reply's data as JSON; may follow the verb"},
};

static int ask(const struct ctl_arguments *arguments, const char *path,
               const struct option_list *operands);
static int watch(struct client *client, bool as_json);
static int open_shell(const char *path);

static int run(int count, char **words)
{
    struct ctl_arguments arguments = {.port = HOST_PORT};
    struct option_list operands;
    char reason[HOST_REASON_SIZE];
    int code;
    if (!program_parse(&program_ctl, count, words, &arguments, &operands, true, &code)) {
        option_list_free(&operands);
        return code;
    }
    char *own = arguments.control == NULL
                    ? settings_default_path(arguments.port, "control.sock", reason)
                    : NULL;
    const char *path = arguments.control != NULL ? arguments.control : own;
    if (path == NULL) {
        fprintf(stderr, "meshnode ctl: %s\n", reason);
        code = EXIT_FAILED;
    } else if (operands.count > 0) {
        code = ask(&arguments, path, &operands);
    } else if (isatty(STDIN_FILENO)) {
        code = open_shell(path);
    } else {
        fprintf(stderr, "meshnode ctl: no verb; `meshnode ctl help` lists them\n");
        code = EXIT_USAGE;
    }
    free(own);
    option_list_free(&operands);
    return code;
}

const struct program program_ctl = {
    .name = "ctl",
    .operands = "[VERB [words]]",
    .summary = "Asks a running node; `ctl help` lists the verbs.",
    .example = "meshnode ctl -p 8469 peers --json",
    .options = ctl_options,
    .option_count = sizeof ctl_options / sizeof ctl_options[0],
    .run = run,
};

static int ask(const struct ctl_arguments *arguments, const char *path,
               const struct option_list *operands)
{
    struct client client;
    char reason[HOST_REASON_SIZE];
    bool as_json = arguments->json;
    size_t count = operands->count - 1;
    if (count > 0 && strcmp(operands->items[count], "--json") == 0) {
        as_json = true;
        count--;
    }
    if (!client_open(&client, path, reason)) {
        fprintf(stderr, "meshnode ctl: %s\n", reason);
        return EXIT_FAILED;
    }
    cJSON *reply = NULL;
    int code = EXIT_FAILED;
    const char *verb = operands->items[0];
    if (!client_ask(&client, verb, operands->items + 1, count)) {
        fprintf(stderr, "meshnode ctl: the node closed the connection\n");
    } else {
        enum client_verdict verdict = client_wait(&client, -1, CLIENT_WAIT_MS, &reply);
        if (verdict == CLIENT_REPLY) {
            code = shell_print_reply(reply, as_json);
        } else {
            fprintf(stderr, "meshnode ctl: %s\n",
                    verdict == CLIENT_GONE ? "the node closed the connection" : "no reply in time");
        }
    }
    if (reply != NULL && code == EXIT_OK && strcmp(verb, "watch") == 0) {
        code = watch(&client, as_json);
    }
    cJSON_Delete(reply);
    client_close(&client);
    return code;
}

static void print_told(void *arg, const cJSON *line)
{
    const bool *as_json = arg;
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(line, "text");
    if (*as_json) {
        char *json = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(line, "data"));
        must(json != NULL);
        puts(json);
        free(json);
    } else if (cJSON_IsString(text)) {
        puts(text->valuestring);
    }
    fflush(stdout);
}

/* Until the node ends, or somebody ends us. */
static int watch(struct client *client, bool as_json)
{
    client->arg = &as_json;
    client->told = print_told;
    while (client_drain(client)) {
    }
    return EXIT_OK;
}

/* --- a shell for a node elsewhere ------------------------------------------------------------ */

static int interrupt_pipe[2];

static void on_interrupt(int number)
{
    (void)number;
    ssize_t written = write(interrupt_pipe[1], SHELL_INTERRUPT, sizeof SHELL_INTERRUPT - 1);
    (void)written;
}

static int open_shell(const char *path)
{
    must(pipe(interrupt_pipe) == 0);
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    must(sigaction(SIGINT, &action, NULL) == 0);
    char *history = shell_history_path(path);
    struct shell_options options = {
        .control = path, .history = history, .notices = interrupt_pipe[0]};
    int code = shell_run(&options);
    free(history);
    return code;
}
